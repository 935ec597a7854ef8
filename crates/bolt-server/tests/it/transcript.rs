//! The exchange of the protocol notes, byte for byte.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::client::{Answer, Client, serve};
use bolt_wire::{Map, Value, Version};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

#[test]
fn bolt_5_8_in_two_flights() {
    let server = serve(|_| {});
    let mut stream = TcpStream::connect(server.handle().local_addr()).unwrap();
    let mut version = [0; 4];
    stream.write_all(&bytes("60 60 B0 17 00 00 08 05 00000000 00000000 00000000")).unwrap();
    stream.read_exact(&mut version).unwrap();
    assert_eq!(version, [0, 0, 8, 5]);
    // HELLO {user_agent: "demo/1", bolt_agent: {product: "bs/1"}}, LOGON basic neo4j secret.
    let mut flight = bytes(
        "00 2E B1 01 A2 8A 75 73 65 72 5F 61 67 65 6E 74 86 64 65 6D 6F 2F 31 8A 62 6F 6C 74 5F 61 67 65 6E 74
         A1 87 70 72 6F 64 75 63 74 84 62 73 2F 31 00 00",
    );
    flight.extend(bytes(
        "00 33 B1 6A A3 86 73 63 68 65 6D 65 85 62 61 73 69 63 89 70 72 69 6E 63 69 70 61 6C 85 6E 65 6F 34 6A
         8B 63 72 65 64 65 6E 74 69 61 6C 73 86 73 65 63 72 65 74 00 00",
    ));
    stream.write_all(&flight).unwrap();
    let address = server.handle().local_addr().to_string();
    let agent = concat!("Neo4j/5.26.0-compatible-boltstack/", env!("CARGO_PKG_VERSION"));
    let mut expected = vec![0xB1, 0x70, 0xA3, 0x86];
    expected.extend_from_slice(b"server");
    expected.extend_from_slice(&[0xD0, agent.len() as u8]);
    expected.extend_from_slice(agent.as_bytes());
    expected.extend_from_slice(b"\x8Dconnection_id\x86bolt-0\x85hints\xA0");
    expected.splice(0..0, [0, expected.len() as u8]);
    expected.extend_from_slice(&[0, 0]);
    let mut logon = vec![0xB1, 0x70, 0xA1, 0xD0, 18];
    logon.extend_from_slice(b"advertised_address");
    match address.len() {
        len @ ..16 => logon.push(0x80 | len as u8),
        len => logon.extend_from_slice(&[0xD0, len as u8]),
    }
    logon.extend_from_slice(address.as_bytes());
    logon.splice(0..0, [0, logon.len() as u8]);
    logon.extend_from_slice(&[0, 0]);
    expected.extend(logon);
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(got, expected, "{}", String::from_utf8_lossy(&got));

    // RUN "RETURN $x AS x" {x: 1} {mode: "r", db: "neo4j"} and PULL {n: 1000} in one flight.
    let mut flight = bytes(
        "00 26 B3 10 8E 52 45 54 55 52 4E 20 24 78 20 41 53 20 78 A1 81 78 01 A2 84 6D 6F 64 65 81 72 82 64 62
         85 6E 65 6F 34 6A 00 00",
    );
    flight.extend(bytes("00 08 B1 3F A1 81 6E C9 03 E8 00 00"));
    stream.write_all(&flight).unwrap();
    let mut run = bytes("00 16 B1 70 A2 87 74 5F 66 69 72 73 74 00 86 66 69 65 6C 64 73 91 81 78 00 00");
    run.extend(bytes("00 04 B1 71 91 01 00 00"));
    let mut got = vec![0; run.len()];
    stream.read_exact(&mut got).unwrap();
    // Milliseconds to the first record: too few to be seen, but a busy machine may take some.
    assert!(got[13] < 0x80);
    got[13] = 0;
    assert_eq!(got, run);

    // GOODBYE has no answer; the server closes.
    stream.write_all(&bytes("00 02 B0 02 00 00")).unwrap();
    let mut summary = Vec::new();
    stream.read_to_end(&mut summary).unwrap();
    let mut walker = bolt_wire::Walker::new(100);
    let body = &summary[2..summary.len() - 2];
    let Ok(bolt_wire::response::Response::Success(map)) =
        bolt_wire::response::Response::parse(body, Version::V5_8, false, &mut walker)
    else {
        panic!("{summary:02X?}")
    };
    assert_eq!(map.get_as("type"), Ok("r"));
    assert_eq!(map.get_as("db"), Ok("neo4j"));
    assert_eq!(map.get_as("bookmark"), Ok("boltstack:1"));
    assert!(map.get_as::<i64>("t_last").is_ok());
    assert_eq!(map.raw("statuses").unwrap().list().unwrap().len(), 1);
}

/// Every byte in a chunk and a segment of its own, with keep-alives between the messages.
#[test]
fn chunks_of_one_byte_and_keep_alives() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_4);
    for message in ["B3 10 88 52 45 54 55 52 4E 20 31 A0 A0", "B1 3F A1 81 6E FF"] {
        client.stream.write_all(&[0, 0, 0, 0]).unwrap();
        for byte in bytes(message) {
            client.stream.write_all(&[0, 1, byte]).unwrap();
        }
        client.stream.write_all(&[0, 0]).unwrap();
    }
    client.answer().success();
    assert_eq!(client.answer(), Answer::Record(vec![Value::Int(1)]));
    client.answer().success();
    client.assert_alive();
}

#[test]
fn a_web_browser_is_told_what_the_port_is() {
    let server = serve(|_| {});
    let mut stream = TcpStream::connect(server.handle().local_addr()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 400 ") && head.contains(&format!("Content-Length: {}\r\n", body.len()))
    );
    assert!(body.contains("Bolt"));
}

#[test]
fn routing_tables_name_this_server_in_every_role() {
    let server = serve(|_| {});
    let address = server.handle().local_addr().to_string();
    for (version, db) in
        [(Version::V4_3, None), (Version::V4_4, Some("neo4j")), (Version::V6_0, Some("neo4j"))]
    {
        let mut client = Client::login(server.handle().local_addr(), version);
        for (context, expected) in
            [(&[][..], address.as_str()), (&[("address", "graph.example:7687")], "graph.example:7687")]
        {
            let route =
                bolt_wire::request::Route { routing: context, bookmarks: &[], db: None, imp_user: None };
            client.queue(&route).send();
            let map = client.answer().success();
            let Some(Value::Map(rt)) = map.get("rt") else { panic!("{map:?}") };
            assert_eq!(rt.get("ttl"), Some(&Value::Int(300)));
            assert_eq!(rt.get("db"), db.map(|db: &str| Value::String(db.to_owned())).as_ref());
            let Some(Value::List(servers)) = rt.get("servers") else { panic!("{rt:?}") };
            let mut roles = Vec::new();
            for server in servers {
                let Value::Map(server) = server else { panic!("{server:?}") };
                assert_eq!(server.get("addresses"), Some(&Value::List(vec![Value::String(expected.into())])));
                let Some(Value::String(role)) = server.get("role") else { panic!("{server:?}") };
                roles.push(role.clone());
            }
            roles.sort();
            assert_eq!(roles, ["READ", "ROUTE", "WRITE"]);
        }
        client.queue(&bolt_wire::request::Route {
            routing: &[],
            bookmarks: &[],
            db: Some("nowhere"),
            imp_user: None,
        });
        client.send();
        assert_eq!(client.answer().failure(), "Neo.ClientError.Database.DatabaseNotFound");
        client.reset();
        let _: Map = Map::default();
    }
}
