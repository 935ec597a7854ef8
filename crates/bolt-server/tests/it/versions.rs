//! Handshakes: every version by every way, and the ways to refuse.

use std::io::{Read, Write};
use std::net::TcpStream;

use bolt_wire::handshake::Offer;
use bolt_wire::{Auth, Map, Value, Version};

use crate::client::{Answer, Client, hello_with, serve};

#[test]
fn every_version_by_proposal_and_by_manifest() {
    let server = serve(|_| {});
    let address = server.handle().local_addr();
    for &version in Version::SUPPORTED {
        let mut client = Client::login(address, version);
        assert_eq!(client.version, version);
        client.assert_alive();
        // What the version added to a summary.
        let summary = client.query("RETURN 1", &Map::default()).1.success();
        assert_eq!(summary.get("statuses").is_some(), version >= Version::V5_6, "{version}");
        let (_, failure) = client.query("NONSENSE", &Map::default());
        let Answer::Failure(failure) = failure else { panic!("{failure:?}") };
        assert_eq!(failure.get("gql_status").is_some(), version >= Version::V5_7, "{version}");
        assert_eq!(failure.get("code").is_some(), version < Version::V5_7, "{version}");
    }
    for newest in [Version::V5_7, Version::V5_8, Version::V6_0, Version::V6_1] {
        let offer = Offer::range(Version::V5_0, newest).unwrap();
        let mut client = Client::offer(address, &offer);
        assert_eq!(client.version, newest);
        let hello = client.hello(crate::client::USER, crate::client::PASSWORD).success();
        assert_eq!(hello.get("protocol_version"), Some(&Value::String(newest.to_string())));
        client.assert_alive();
    }
}

#[test]
fn a_server_can_be_held_to_a_range() {
    let server = serve(|config| (config.version_min, config.version_max) = (Version::V5_0, Version::V5_4));
    let client = Client::offer(server.handle().local_addr(), &Offer::default());
    assert_eq!(client.version, Version::V5_4);
    let server = serve(|config| config.manifest = false);
    let client = Client::offer(server.handle().local_addr(), &Offer::default());
    assert_eq!(client.version, Version::V5_8);
}

fn raw_answer(server: &bolt_server::RunningServer, input: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.handle().local_addr()).unwrap();
    stream.write_all(input).unwrap();
    let mut answer = Vec::new();
    // A close may come as a reset when bytes were left unread.
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn bad_handshakes_are_refused_as_real_servers_do() {
    let server = serve(|_| {});
    let magic = [0x60, 0x60, 0xB0, 0x17];
    let none: [u8; 0] = [];
    let slots = |slot: [u8; 4]| [&magic[..], &slot, &[0; 12]].concat();
    assert_eq!(raw_answer(&server, &slots([0, 0, 5, 5])), [0; 4], "5.5 was never served");
    assert_eq!(raw_answer(&server, &slots([0, 0, 0, 3])), [0; 4], "3 is too old");
    assert_eq!(raw_answer(&server, &slots([0, 0, 2, 0xFF])), [0; 4], "manifest 2 is unknown");
    assert_eq!(raw_answer(&server, &slots([0, 0, 0, 0])), [0; 4]);
    assert_eq!(raw_answer(&server, &slots([0, 7, 0, 5])), none, "a range below minor 0");
    assert_eq!(raw_answer(&server, b"\x60\x60\xB0\x18 and sixteen more"), none, "wrong magic");
    assert_eq!(raw_answer(&server, b"\x16\x03\x01\x02\x00 a TLS client hello"), none);
    // Manifest answers that were not offered.
    for choice in [[0, 0, 5, 5, 0], [0, 2, 8, 5, 0], [0, 0, 0, 0, 0], [0, 0, 8, 5, 1]] {
        let input = [&slots([0, 0, 1, 0xFF])[..], &choice].concat();
        let answer = raw_answer(&server, &input);
        assert_eq!(answer[..4], [0, 0, 1, 0xFF]);
        assert_eq!(
            answer.len(),
            5 + 4 * usize::from(answer[4]) + 1,
            "nothing after the manifest: {answer:02X?}"
        );
    }
}

/// Legacy date-times on 4.x unless both sides agreed on the patch, which only 4.3 and 4.4 can.
#[test]
fn the_utc_patch_is_granted_where_it_exists() {
    let server = serve(|_| {});
    for &version in Version::SUPPORTED {
        let mut client = Client::login(server.handle().local_addr(), version);
        assert_eq!(client.utc, matches!(version, Version::V4_3 | Version::V4_4), "{version}");
        client.queue_run("CALL generate.mixed(18)", &Map::default()).queue_pull(-1).send();
        client.answer().success();
        let mut tags = Vec::new();
        loop {
            let body = client.body().unwrap();
            if body[1] != 0x71 {
                break;
            }
            // B1 71 92, n below 18 in one byte, then the value.
            if body[3] == 17 {
                tags.push(body[5]);
            }
        }
        let expected = if client.utc || version >= Version::V5_0 { b'I' } else { b'F' };
        assert_eq!(tags, [expected], "{version}");
    }
}

#[test]
fn hello_needs_what_its_version_asks_for() {
    let server = serve(|_| {});
    // {} : no user agent, no bolt agent.
    for version in [Version::V4_4, Version::V5_4, Version::V6_1] {
        let mut client = Client::greet(server.handle().local_addr(), version);
        client.send_body(&[0xB1, 0x01, 0xA0]);
        assert_eq!(client.answer().failure(), "Neo.ClientError.Request.Invalid");
        assert_eq!(client.answer(), Answer::Closed);
    }
    // A good one, in two flights.
    let mut client = Client::greet(server.handle().local_addr(), Version::V5_4);
    client.queue(&hello_with(&Auth::None)).send();
    let hello = client.answer().success();
    assert_eq!(hello.get("hints"), Some(&Value::Map(Map::default())));
    assert!(matches!(hello.get("server"), Some(Value::String(name)) if name.starts_with("Neo4j/")));
}
