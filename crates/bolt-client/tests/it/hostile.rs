//! Servers that send what no server may: each time an error that names offset and reason, within a deadline, the
//! connection discarded, and nothing carried over to the next one.

use std::time::{Duration, Instant};

use bolt_client::{Connection, ErrorKind, Reason, Version};

use crate::peer::*;

/// A RECORD of one column that holds `value`.
fn row(value: &[u8]) -> Vec<u8> {
    [&[0xB1, 0x71, 0x91][..], value].concat()
}

/// Plays the body to a client that awaits a record; gives the error of `next`, or of reading the value as a whole.
struct Outcome {
    fatal: Option<bolt_client::Error>,
    value: Option<bolt_client::Error>,
}

fn play(body: Vec<u8>, version: Version) -> Outcome {
    let server = Server::new(vec![
        Box::new(move |peer: &mut Peer| {
            peer.login();
            peer.run_and_pull();
            peer.send(&[columns(&["x"]), body, record(&[int(1)]), success(&[])]);
            peer.expect_close();
        }),
        Box::new(|peer: &mut Peer| {
            peer.login();
            peer.run_and_pull();
            peer.send(&[columns(&["x"]), record(&[int(5)]), success(&[])]);
            peer.expect_close();
        }),
    ]);
    let started = Instant::now();
    let config = server.config_for(version);
    let mut conn = Connection::connect(&config).unwrap();
    let mut outcome = Outcome { fatal: None, value: None };
    {
        let mut rows = conn.run("q", ()).unwrap();
        match rows.next() {
            Err(error) => outcome.fatal = Some(error),
            Ok(None) => panic!("a row was sent"),
            Ok(Some(row)) => {
                // Reading it all must not panic or overflow either.
                outcome.value = row.to_values().err().map(bolt_client::Error::from);
                assert!(row.raw(0).len() < usize::MAX);
            }
        }
        if outcome.fatal.is_none() {
            // The next record is in step.
            assert_eq!(rows.next().unwrap().unwrap().get::<i64>(0).unwrap(), 1);
            assert!(rows.next().unwrap().is_none());
        } else {
            let again = rows.next().map(|row| row.is_some()).unwrap_err();
            assert_eq!(again.reason(), Reason::ConnectionOver, "nothing is read past a malformed message");
        }
    }
    assert_eq!(conn.is_usable(), outcome.fatal.is_none());
    drop(conn);
    let mut conn = Connection::connect(&config).unwrap();
    let mut rows = conn.run("q", ()).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().get::<i64>(0).unwrap(), 5);
    drop(conn);
    server.join();
    assert!(started.elapsed() < DEADLINE, "no hang");
    outcome
}

fn fatal(body: Vec<u8>, mention: &str) {
    fatal_on(body, mention, Version::V5_4);
}

fn fatal_on(body: Vec<u8>, mention: &str, version: Version) {
    let shown: Vec<u8> = body.iter().take(24).copied().collect();
    let error = play(body, version).fatal.unwrap_or_else(|| panic!("{shown:02X?} was accepted"));
    assert_eq!(error.kind(), ErrorKind::Peer, "{shown:02X?}: {error}");
    let message = error.to_string();
    assert!(message.contains("at byte"), "{shown:02X?}: {message}");
    assert!(message.contains(mention), "{shown:02X?}: {message}");
    assert!(!error.is_connection_usable());
}

/// The message is in order, one value in it is not: the row is delivered and the connection lives.
fn only_the_value(body: Vec<u8>) {
    let shown: Vec<u8> = body.iter().take(24).copied().collect();
    let outcome = play(body, Version::V5_4);
    assert!(outcome.fatal.is_none(), "{shown:02X?}: {:?}", outcome.fatal);
}

#[test]
fn nesting() {
    fatal([row(&vec![0x91; 400_000]), vec![1]].concat(), "deep");
    fatal([row(&[0xA1, 0x81, 0x61].repeat(200_000)), vec![1]].concat(), "deep");
    fatal([row(&[0xB1, 0x5A].repeat(200_000)), vec![1]].concat(), "deep");
    // Real servers return lists 1,000 deep.
    let legal = [row(&vec![0x91; 999]), vec![0x90]].concat();
    assert!(play(legal, Version::V5_4).fatal.is_none());
}

#[test]
fn counts_and_sizes_nobody_paid_for() {
    fatal(row(&[0xD6, 0x7F, 0xFF, 0xFF, 0xFF]), "2147483647");
    fatal(row(&[0xDA, 0x7F, 0xFF, 0xFF, 0xFF]), "2147483647");
    fatal(row(&[0xD2, 0x7F, 0xFF, 0xFF, 0xFF, 0x41]), "left");
    fatal(row(&[0xCE, 0x7F, 0xFF, 0xFF, 0xFF, 0x00]), "left");
    fatal(row(&[0xD2, 0x80, 0, 0, 0]), "2147483648");
    fatal(row(&[0xD6, 0xFF, 0xFF, 0xFF, 0xFF]), "4294967295");
}

#[test]
fn messages_cut_short() {
    fatal(vec![0xB1, 0x71, 0x94, 0x01, 0x02], "");
    for cut in [&[0xCB, 0, 0][..], &[0xC1], &[0xD1, 0], &[0xC9, 1], &[0xCC], &[0xA1], &[0xB1]] {
        fatal(row(cut), "");
    }
    fatal(vec![0xB1], "");
    fatal(vec![0xB1, 0x71], "");
}

#[test]
fn reserved_markers() {
    for marker in [0xC4, 0xC5, 0xC6, 0xC7, 0xCF, 0xD3, 0xD7, 0xDB, 0xDE, 0xDF, 0xE1, 0xEF, 0xE0] {
        fatal(row(&[marker]), &format!("{marker:02X}"));
    }
    fatal_on(row(&[&[0xE0][..], &[0; 15]].concat()), "", Version::V6_1);
    assert!(play(row(&[&[0xE0][..], &[7; 16]].concat()), Version::V6_1).fatal.is_none());
}

#[test]
fn broken_text_ends_the_connection_wherever_it_stands() {
    // Bad continuation, over-long, surrogate.
    for bad in [&[0x82, 0xC3, 0x28][..], &[0x82, 0xC0, 0x80], &[0x83, 0xED, 0xA0, 0x80]] {
        let places: [(&[u8], &[u8]); 7] = [
            (&[], &[]),
            // A key, and a value below one.
            (&[0xA1], &[0x01]),
            (&[0xA1, 0x81, 0x61, 0x91], &[]),
            // A node's label, key and element id, a relationship's type.
            (&[0xB4, 0x4E, 0x00, 0x91], &[0xA0, 0x81, 0x65]),
            (&[0xB4, 0x4E, 0x00, 0x90, 0xA1], &[0x01, 0x81, 0x65]),
            (&[0xB4, 0x4E, 0x00, 0x90, 0xA0], &[]),
            (&[0xB4, 0x72, 0x00], &[0xA0, 0x81, 0x65]),
        ];
        for (before, behind) in places {
            fatal(row(&[before, bad, behind].concat()), "UTF-8");
        }
        // In the summary.
        fatal([&[0xB1, 0x70, 0xA1][..], &text("type"), bad].concat(), "UTF-8");
    }
    // The long form, and a text whose bad byte is its last.
    fatal(row(&[&[0xD0, 0x40][..], &[b'x'; 63], &[0xC3]].concat()), "UTF-8");
}

#[test]
fn broken_text_in_a_failure_is_mended() {
    let body = [vec![0xB1, 0x7F, 0xA2], text("code"), text("Neo.ClientError.X.Y"), text("message")].concat();
    let body = [&body[..], b"\x84no\xC3("].concat();
    let server = Server::one(move |peer| {
        peer.login();
        peer.run_and_pull();
        peer.send(&[body, ignored()]);
        peer.expect_close();
    });
    let mut conn = server.connect();
    let error = conn.run("q", ()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error}");
    assert!(error.is_connection_usable());
    assert_eq!(error.failure().unwrap().message, "no\u{FFFD}(");
    drop(conn);
    server.join();
}

#[test]
fn rows_set_aside_with_broken_text_end_the_connection_when_their_turn_comes() {
    let server = Server::one(|peer| {
        peer.login();
        peer.expect(BEGIN);
        peer.send(&[success(&[])]);
        peer.run_and_pull();
        let first = success(&[("fields", list(&[text("x")])), ("qid", int(0))]);
        peer.send(&[first, row(&[0x82, 0xC3, 0x28]), success(&[])]);
        peer.run_and_pull();
        let second = success(&[("fields", list(&[text("y")])), ("qid", int(1))]);
        peer.send(&[second, record(&[int(7)]), success(&[])]);
        peer.expect_close();
    });
    let mut conn = server.connect();
    let mut tx = conn.begin(&Default::default()).unwrap();
    let first = tx.run("q", ()).unwrap();
    let second = tx.run("q", ()).unwrap();
    assert_eq!(tx.next(second).unwrap().unwrap().get::<i64>(0).unwrap(), 7);
    let error = tx.next(first).map(|row| row.is_some()).unwrap_err();
    assert_eq!(error.reason(), Reason::Malformed, "{error}");
    assert!(!error.is_connection_usable());
    drop(tx);
    assert!(!conn.is_usable());
    drop(conn);
    server.join();
}

#[test]
fn keys_that_are_no_strings() {
    for map in [&[0xA1, 0x01, 0x02][..], &[0xA1, 0xC0, 0x02], &[0xA1, 0x90, 0x02]] {
        fatal(row(map), "key");
    }
}

#[test]
fn structures_that_are_unknown_or_wrong_spare_the_message() {
    let node: &[u8] = &[0xB4, 0x4E, 0x00, 0x90, 0xA0, 0x81, 0x61];
    let rel: &[u8] = &[0xB4, 0x72, 0x00, 0x81, 0x54, 0xA0, 0x81, 0x62];
    let path = |nodes: &[&[u8]], rels: &[&[u8]], indices: &[u8]| {
        let mut out = vec![0xB3, 0x50, 0x90 | nodes.len() as u8];
        out.extend(nodes.concat());
        out.push(0x90 | rels.len() as u8);
        out.extend(rels.concat());
        out.push(0x90 | indices.len() as u8);
        out.extend(indices);
        row(&out)
    };
    only_the_value(row(&[0xB1, 0x5A, 0x01]));
    only_the_value(row(&[0xB2, 0x44, 0x01, 0x01]));
    only_the_value(row(&[0xB0, 0x44]));
    only_the_value(row(&[0xB1, 0x44, 0x81, 0x41]));
    only_the_value(path(&[], &[], &[]));
    only_the_value(path(&[node], &[rel], &[1]));
    only_the_value(path(&[node], &[rel], &[0, 0]));
    only_the_value(path(&[node], &[rel], &[2, 0]));
    only_the_value(path(&[node], &[rel], &[1, 5]));
    only_the_value(row(&[0xB2, 0x56, 0xCC, 1, 0xC6, 0xCC, 3, 0x3F, 0x80, 0]));
    only_the_value(row(&[0xB2, 0x56, 0xCC, 1, 0xC7, 0xCC, 1, 0]));
    only_the_value(row(&[0xB1, 0x44, 0xCB, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]));
    let zone = text(&"Z".repeat(2 << 20));
    only_the_value(row(&[&[0xB3, 0x69, 0x01, 0x02][..], &zone].concat()));
}

#[test]
fn records_of_the_wrong_shape() {
    fatal(row(&[0x01, 0x00]), "");
    fatal(vec![0xB2, 0x71, 0x91, 0x01, 0x91, 0x02], "");
    fatal(vec![0xB0, 0x71], "");
    fatal(vec![0xB1, 0x71, 0x01], "");
    fatal(vec![0xB1, 0x71, 0xA0], "");
    fatal(record(&[int(1), int(2)]), "column");
}

#[test]
fn answers_of_the_wrong_shape() {
    fatal(vec![0xB1, 0x70, 0x01], "");
    fatal(vec![0xB0, 0x70], "");
    fatal(success(&[("has_more", int(1))]), "");
    fatal(vec![0x01], "");
    fatal(vec![0x91, 0x01], "");
    fatal(vec![0xB1, 0x55, 0xA0], "55");
    fatal(vec![0xB1, 0x10, 0xA0], "10");
    fatal([failure("a", "b"), vec![0]].concat(), "");
}

#[test]
fn columns_that_are_no_list() {
    let server = Server::one(|peer| {
        peer.login();
        peer.run_and_pull();
        peer.send(&[success(&[("fields", int(1))])]);
        peer.expect_close();
    });
    let mut conn = server.connect();
    let error = conn.run("q", ()).map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), Reason::Malformed, "{error}");
    drop(conn);
    server.join();
}

#[test]
fn answers_nobody_asked_for() {
    // A record as the answer to RUN, and to BEGIN; IGNORED without a failure; SUCCESS after one.
    let scripts: [(Vec<Vec<u8>>, &str); 4] = [
        (vec![record(&[int(1)])], "RECORD"),
        (vec![ignored()], "IGNORED"),
        (vec![columns(&["x"]), ignored()], "IGNORED"),
        (vec![columns(&["x"]), success(&[]), success(&[])], "no message"),
    ];
    for (answers, mention) in scripts {
        let server = Server::one(move |peer| {
            peer.login();
            peer.run_and_pull();
            peer.send(&answers);
            if peer.next_request().is_some_and(|request| request.tag == RUN) {
                peer.expect(PULL);
            }
            peer.expect_close();
        });
        let mut conn = server.connect();
        let outcome = conn
            .run("q", ())
            .and_then(|mut rows| rows.next().map(|row| row.is_some()))
            .and_then(|_| conn.run("q", ()).map(|_| ()));
        // Too many answers show at the latest when the next request is made.
        let error = outcome.unwrap_err();
        assert_eq!(error.reason(), Reason::Unexpected, "{mention}: {error}");
        assert!(!conn.is_usable());
        drop(conn);
        server.join();
    }

    let server = Server::one(|peer| {
        peer.login();
        peer.expect(BEGIN);
        peer.send(&[record(&[int(1)])]);
        peer.expect_close();
    });
    let mut conn = server.connect();
    let error = conn.begin(&Default::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), Reason::Unexpected);
    assert!(error.to_string().contains("BEGIN"), "{error}");
    drop(conn);
    server.join();
}

#[test]
fn failures_of_any_shape() {
    for body in [vec![0xB1, 0x7F, 0xA0], success_shaped_failure()] {
        let server = Server::one(move |peer| {
            peer.login();
            peer.run_and_pull();
            peer.send(&[body, ignored()]);
            peer.expect(RESET);
            peer.run_and_pull();
            peer.send(&[success(&[]), columns(&["x"]), record(&[int(3)]), success(&[])]);
            peer.expect_close();
        });
        let mut conn = server.connect();
        let error = conn.run("q", ()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server, "{error}");
        assert!(!error.failure().unwrap().code.is_empty());
        let mut rows = conn.run("q", ()).unwrap();
        assert_eq!(rows.next().unwrap().unwrap().get::<i64>(0).unwrap(), 3);
        drop(conn);
        server.join();
    }
    // Causes nested 100,000 deep.
    let mut deep = vec![0xB1, 0x7F];
    deep.extend([&[0xA1][..], &text("cause")].concat().repeat(100_000));
    deep.push(0xA0);
    fatal(deep, "deep");
}

fn success_shaped_failure() -> Vec<u8> {
    [vec![0xB1, 0x7F], map(&[("code", int(7)), ("message", list(&[])), ("other", text("x"))])].concat()
}

#[test]
fn a_refused_reset_ends_the_connection() {
    let server = Server::one(|peer| {
        peer.login();
        peer.expect(RESET);
        peer.send(&[failure("Neo.ClientError.Request.Invalid", "no")]);
        peer.expect_close();
    });
    let mut conn = server.connect();
    assert!(conn.reset().is_err());
    assert!(!conn.is_usable());
    drop(conn);
    server.join();
}

#[test]
fn messages_without_end_meet_the_limit() {
    // Chunks of 65,535 bytes for ever, and chunks of one byte for ever.
    for chunk in [0xFFFF_usize, 1] {
        let server = Server::one(move |peer| {
            peer.login();
            peer.run_and_pull();
            peer.send(&[columns(&["x"])]);
            let mut block = Vec::new();
            while block.len() < 1 << 20 {
                block.extend((chunk as u16).to_be_bytes());
                block.extend(vec![0xB1; chunk]);
            }
            peer.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
            for _ in 0..64 {
                if std::io::Write::write_all(&mut peer.stream, &block).is_err() {
                    break;
                }
            }
        });
        let mut config = server.config();
        config.memory_bytes_max = 8 << 20;
        let mut conn = Connection::connect(&config).unwrap();
        let started = Instant::now();
        let mut rows = conn.run("q", ()).unwrap();
        let error = rows.next().map(|row| row.is_some()).unwrap_err();
        assert!(matches!(error.reason(), Reason::Malformed | Reason::Limit), "{error:?}");
        assert!(error.to_string().contains("memory_bytes_max"), "{error}");
        assert!(started.elapsed() < DEADLINE, "linear in the bytes: {:?}", started.elapsed());
        assert!(conn.stats().buffers_bytes <= 8 << 20, "{:?}", conn.stats());
        server.join();
    }
}

#[test]
fn a_connection_closed_at_every_byte_is_an_error_and_never_a_hang() {
    let bytes: Vec<u8> = [columns(&["x"]), record(&[text("hello")]), success(&[("type", text("r"))])]
        .iter()
        .flat_map(|body| framed(body))
        .collect();
    let whole = bytes.len();
    for cut in 0..=whole {
        let part = bytes[..cut].to_vec();
        let server = Server::one(move |peer| {
            peer.login();
            peer.run_and_pull();
            peer.raw(&part);
        });
        let mut conn = server.connect();
        let outcome = conn.run("q", ()).and_then(|mut rows| {
            while let Some(row) = rows.next()? {
                assert_eq!(row.get::<&str>(0)?, "hello");
            }
            Ok(())
        });
        assert_eq!(outcome.is_ok(), cut == whole, "cut at {cut}");
        if let Err(error) = outcome {
            assert_eq!(error.reason(), Reason::Closed, "{error}");
            assert!(error.is_retryable());
        }
        drop(conn);
        server.join();
    }
}
