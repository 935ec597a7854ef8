//! From the first byte to READY: every version, every wrong port, every way to dawdle.

use std::time::{Duration, Instant};

use bolt_client::{Auth, Config, Connection, ErrorKind, Offer, Reason, Version};

use crate::peer::*;

#[test]
fn every_version_logs_in_and_runs_in_two_flights_and_one() {
    for &version in Version::SUPPORTED {
        let server = Server::one(move |peer| {
            peer.handshake();
            assert_eq!(peer.version, version);
            let hello = peer.expect(HELLO);
            assert!(hello.contains(b"bolt-client/"));
            assert_eq!(hello.contains(b"bolt_agent"), version >= Version::V5_3);
            assert_eq!(hello.contains(b"patch_bolt"), version == Version::V4_3 || version == Version::V4_4);
            assert_eq!(hello.contains(b"secret"), version < Version::V5_1);
            let mut answers = vec![success(&[
                ("server", text("Neo4j/9.9")),
                ("connection_id", text("bolt-7")),
                (
                    "hints",
                    map(&[
                        ("connection.recv_timeout_seconds", int(120)),
                        ("telemetry.enabled", vec![TRUE]),
                        ("ssr.enabled", vec![TRUE]),
                    ]),
                ),
            ])];
            if version >= Version::V5_1 {
                assert!(peer.expect(LOGON).contains(b"secret"));
                answers.push(success(&[]));
            }
            peer.send(&answers);
            let run = peer.run_and_pull();
            assert_eq!(run.query(), "RETURN $x AS x");
            assert!(run.contains(&map(&[("x", int(42))])));
            peer.send(&[columns(&["x"]), record(&[int(42)]), success(&[("type", text("r"))])]);
            peer.expect(GOODBYE);
        });
        let mut conn = Connection::connect(&server.config_for(version)).unwrap();
        assert_eq!(conn.version(), version);
        assert_eq!(
            (conn.server().agent.as_str(), conn.server().connection_id.as_str()),
            ("Neo4j/9.9", "bolt-7")
        );
        assert_eq!(conn.hints().recv_timeout, Some(Duration::from_secs(120)));
        assert_eq!(conn.hints().telemetry, version >= Version::V5_4);
        assert_eq!(conn.hints().ssr, version >= Version::V5_8);
        let writes = conn.stats().writes;
        let mut rows = conn.run("RETURN $x AS x", [("x", 42)]).unwrap();
        assert_eq!(rows.fields().name(0), "x");
        assert_eq!(rows.next().unwrap().unwrap().by_name::<i64>("x").unwrap(), 42);
        assert!(rows.next().unwrap().is_none());
        assert_eq!(conn.stats().writes, writes + 1, "RUN and PULL are one write");
        conn.close();
        server.join();
    }
}

#[test]
fn the_manifest_is_answered_in_the_same_write_as_hello() {
    let server = Server::one(|peer| {
        let offer: [u8; 20] = peer.read_exact();
        assert_eq!(offer[4..8], [0, 0, 1, 0xFF]);
        // As Neo4j 2026.08 sends it, with an unknown major in front.
        peer.raw(&[0, 0, 1, 0xFF, 5, 0, 7, 7, 0xF2, 0, 4, 4, 4, 0, 4, 4, 5, 0, 2, 8, 5, 0, 1, 1, 6, 0]);
        assert_eq!(peer.read_exact::<5>(), [0, 0, 1, 6, 0]);
        peer.expect(HELLO);
        peer.expect(LOGON);
        peer.send(&[success(&[("server", text("S/1"))]), success(&[])]);
        peer.expect_close();
    });
    let mut config = server.config();
    config.offer = Offer::default();
    let conn = Connection::connect(&config).unwrap();
    assert_eq!(conn.version(), Version::V6_1);
    assert_eq!(conn.stats().writes, 2, "the proposals; then choice, HELLO and LOGON");
    drop(conn);
    server.join();
}

#[test]
fn a_server_of_4_0_is_found_by_a_second_attempt() {
    let server = Server::new(vec![
        Box::new(|peer: &mut Peer| {
            peer.read_exact::<20>();
            peer.raw(&[0, 0, 0, 0]);
            peer.expect_close();
        }),
        Box::new(|peer: &mut Peer| {
            peer.login();
            assert_eq!(peer.version, Version::V4_0);
            peer.expect_close();
        }),
    ]);
    let mut config = server.config();
    config.offer = Offer::default();
    let conn = Connection::connect(&config).unwrap();
    assert_eq!(conn.version(), Version::V4_0);
    drop(conn);
    server.join();
}

#[test]
fn a_wrong_password_is_the_server_s_word() {
    let server = Server::one(|peer| {
        peer.handshake();
        peer.expect(HELLO);
        peer.expect(LOGON);
        peer.send(&[
            success(&[("server", text("S/1"))]),
            failure("Neo.ClientError.Security.Unauthorized", "The client is unauthorized"),
        ]);
        peer.expect_close();
    });
    let error = Connection::connect(&server.config()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert!(!error.is_connection_usable() && !error.is_retryable());
    assert_eq!(error.failure().unwrap().code, "Neo.ClientError.Security.Unauthorized");
    assert!(!format!("{error} {error:?} {:?}", server.config()).contains("secret"));
    server.join();
}

/// What stands at the port, what it says, and what the error must mention.
#[test]
fn wrong_ports_are_named() {
    let cases: [(&[u8], Reason, &str); 10] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Reason::NotBolt, "7687"),
        (&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46], Reason::NotBolt, "encryption"),
        (&[], Reason::Closed, "TLS"),
        (&[0, 0], Reason::Closed, "TLS"),
        (&[0, 0, 0, 0], Reason::NoCommonVersion, "version"),
        (&[0, 0, 5, 5], Reason::NotBolt, "05"),
        (&[0, 0, 0, 0xFF], Reason::NotBolt, "FF"),
        (&[0, 0, 2, 0xFF], Reason::NotBolt, "FF"),
        (b"SSH-2.0-OpenSSH_9.2", Reason::NotBolt, "Bolt"),
        (&[0, 0, 8, 5], Reason::NotBolt, "08"),
    ];
    for (answer, reason, mention) in cases {
        let server = Server::one(move |peer| {
            peer.read_exact::<20>();
            peer.raw(answer);
        });
        let error = Connection::connect(&server.config()).unwrap_err();
        assert_eq!(error.reason(), reason, "{answer:02X?}: {error}");
        assert!(error.to_string().contains(mention), "{answer:02X?}: {error}");
        assert!(!error.is_connection_usable());
        server.join();
    }
}

#[test]
fn hostile_manifests_are_refused() {
    let cases: [&[u8]; 4] = [
        &[0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        &[0, 0, 1, 0xFF, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
        &[0, 0, 1, 0xFF, 5],
        &[0, 0, 1, 0xFF, 1, 0, 0, 9, 9, 0],
    ];
    for answer in cases {
        let server = Server::one(move |peer| {
            peer.read_exact::<20>();
            peer.raw(answer);
        });
        let mut config = server.config();
        config.offer = Offer::range(Version::V5_0, Version::V6_1).unwrap();
        let error = Connection::connect(&config).unwrap_err();
        assert!(!error.is_connection_usable(), "{answer:02X?}: {error}");
        server.join();
    }
}

#[test]
fn silence_and_dribbling_end_at_the_login_deadline() {
    for dribble in [false, true] {
        let server = Server::one(move |peer| {
            peer.read_exact::<20>();
            if dribble {
                // One byte now and then keeps a plain read timeout from ever firing.
                for byte in std::iter::once(&0).chain([0, 1, 0xFF, 0x7F].iter()).chain([0; 200].iter()) {
                    peer.raw(&[*byte]);
                    std::thread::sleep(Duration::from_millis(60));
                }
            } else {
                peer.expect_close();
            }
        });
        let mut config = server.config();
        config.offer = Offer::default();
        config.login_timeout = Some(Duration::from_millis(400));
        let started = Instant::now();
        let error = Connection::connect(&config).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        assert!(error.to_string().contains("login_timeout"), "{error}");
        drop(server);
    }
}

#[test]
fn before_login_a_message_may_not_be_large() {
    let server = Server::one(|peer| {
        peer.handshake();
        peer.expect(HELLO);
        peer.expect(LOGON);
        peer.send(&[success(&[("server", text(&"x".repeat(200_000)))])]);
        peer.expect_close();
    });
    let error = Connection::connect(&server.config()).unwrap_err();
    assert_eq!(error.reason(), Reason::Malformed, "{error}");
    server.join();
}

#[test]
fn settings_that_cannot_work_are_found_before_anything_is_sent() {
    let mut config = Config::new("", 7687);
    assert_eq!(Connection::connect(&config).unwrap_err().reason(), Reason::InvalidConfig);
    config.host = "127.0.0.1".to_owned();
    config.memory_bytes_max = 1000;
    assert!(Connection::connect(&config).unwrap_err().to_string().contains("memory_bytes_max"));
    config.memory_bytes_max = 1 << 20;
    config.read_timeout = Some(Duration::ZERO);
    assert!(Connection::connect(&config).unwrap_err().to_string().contains("read_timeout"));
    assert!(format!("{:?}", config.auth(Auth::basic("neo4j", "hunter2"))).contains("neo4j"));
}
