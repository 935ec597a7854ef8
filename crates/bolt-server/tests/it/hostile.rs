//! Requests nobody should send: each is a FAILURE or a close, never a panic, and others are not disturbed.

use bolt_wire::{Auth, Version};

use crate::client::{Answer, Client, hello_with, serve};

/// Whole requests that mean nothing are FAILUREs that a RESET mends.
#[test]
fn malformed_requests_fail_and_the_connection_lives() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    let query: &[u8] = &[0x88, 0x52, 0x45, 0x54, 0x55, 0x52, 0x4E, 0x20, 0x31];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("RUN with 2 fields", [&[0xB2, 0x10][..], query, &[0xA0]].concat()),
        ("RUN with 4 fields", [&[0xB4, 0x10][..], query, &[0xA0, 0xA0, 0xA0]].concat()),
        ("query not a string", vec![0xB3, 0x10, 0x01, 0xA0, 0xA0]),
        ("query not UTF-8", vec![0xB3, 0x10, 0x82, 0xC3, 0x28, 0xA0, 0xA0]),
        ("a parameter's name not UTF-8", [&[0xB3, 0x10][..], query, b"\xA1\x82\xC3(\x01\xA0"].concat()),
        ("a parameter not UTF-8", [&[0xB3, 0x10][..], query, b"\xA1\x81a\x91\x82\xC0\x80\xA0"].concat()),
        ("an unknown key not UTF-8", [&[0xB3, 0x10][..], query, b"\xA0\xA1\x83\xED\xA0\x80\x01"].concat()),
        ("a database not UTF-8", vec![0xB1, 0x11, 0xA1, 0x82, b'd', b'b', 0x82, 0xC3, 0x28]),
        ("parameters not a map", [&[0xB3, 0x10][..], query, &[0x90, 0xA0]].concat()),
        (
            "a parameter twice",
            [&[0xB3, 0x10][..], query, &[0xA2, 0x81, 0x61, 1, 0x81, 0x61, 2, 0xA0]].concat(),
        ),
        ("extra not a map", [&[0xB3, 0x10][..], query, &[0xA0, 0xC0]].concat()),
        ("mode unknown", [&[0xB3, 0x10][..], query, b"\xA0\xA1\x84mode\x81x"].concat()),
        ("bookmarks not strings", [&[0xB3, 0x10][..], query, b"\xA0\xA1\x89bookmarks\x91\x01"].concat()),
        (
            "severity unknown",
            [&[0xB3, 0x10][..], query, b"\xA0\xA1\xD0\x26notifications_minimum_severity\x83LOW".as_slice()]
                .concat(),
        ),
        ("BEGIN extra not a map", vec![0xB1, 0x11, 0x01]),
        ("BEGIN without extra", vec![0xB0, 0x11]),
        ("TELEMETRY 9", vec![0xB1, 0x54, 0x09]),
        ("ROUTE db null in 5.8", vec![0xB3, 0x66, 0xA0, 0x90, 0xC0]),
    ];
    for (what, body) in cases {
        // The declared length of the severity key is corrected here, where it can be counted.
        let body = if what == "severity unknown" {
            let key = b"notifications_minimum_severity";
            let mut body = body;
            let at = body.windows(2).position(|pair| pair == [0xD0, 0x26]).unwrap();
            body[at + 1] = key.len() as u8;
            body
        } else {
            body
        };
        client.send_body(&body);
        assert_eq!(client.answer().failure(), "Neo.ClientError.Request.Invalid", "{what}");
        client.reset();
        client.assert_alive();
    }
    for (what, n) in [("PULL 0", 0), ("PULL -2", -2)] {
        client.queue_run("RETURN 1", &bolt_wire::Map::default()).queue_pull(n).send();
        client.answer().success();
        assert_eq!(client.answer().failure(), "Neo.ClientError.Request.Invalid", "{what}");
        client.reset();
    }
    client.assert_alive();
}

/// What is no request, cut short, or nested too deep ends the connection without a word.
#[test]
fn what_is_no_request_ends_the_connection() {
    let server = serve(|_| {});
    let address = server.handle().local_addr();
    let mut bystander = Client::login(address, Version::V5_8);
    let deep = |n: usize| {
        let mut body = b"\xB3\x10\x88RETURN 1\xA1\x81x".to_vec();
        body.resize(body.len() + n, 0x91);
        body.extend_from_slice(&[0x01, 0xA0]);
        body
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("not a structure", vec![0x01]),
        ("a list", vec![0x91, 0x01]),
        ("an answer's tag", vec![0xB1, 0x70, 0xA0]),
        ("ACK_FAILURE of old", vec![0xB0, 0x0E]),
        ("unknown tag", vec![0xB1, 0x55, 0xA0]),
        ("cut in the header", vec![0xB3]),
        ("cut in a string", vec![0xB3, 0x10, 0xD0, 0xFF, 0x41]),
        ("list of 2^31-1", vec![0xB3, 0x10, 0x80, 0xA1, 0x81, 0x61, 0xD6, 0x7F, 0xFF, 0xFF, 0xFF]),
        ("map of 2^31-1", vec![0xB3, 0x10, 0x80, 0xDA, 0x7F, 0xFF, 0xFF, 0xFF]),
        ("reserved marker", vec![0xB3, 0x10, 0x80, 0xA1, 0x81, 0x61, 0xC4, 0xA0]),
        ("key not a string", vec![0xB3, 0x10, 0x80, 0xA1, 0x01, 0x02, 0xA0]),
        ("UUID below 6.1", [&b"\xB3\x10\x80\xA1\x81a\xE0"[..], &[0; 16], &[0xA0]].concat()),
        ("400,000 nested lists", deep(400_000)),
    ];
    for (what, body) in cases {
        let mut client = Client::login(address, Version::V5_8);
        client.send_body(&body);
        assert_eq!(client.answer(), Answer::Closed, "{what}");
    }
    // 1,000 deep is legal data.
    let mut client = Client::login(address, Version::V5_8);
    client.send_body(&deep(1_000));
    client.answer().success();
    client.queue_pull(-1).send();
    client.records().1.success();
    bystander.assert_alive();
}

#[test]
fn malformed_logins_end_the_connection() {
    let server = serve(|_| {});
    let address = server.handle().local_addr();
    // HELLO that is not one.
    for body in [&[0xB1, 0x01, 0x01][..], &[0xB0, 0x01], &[0xB2, 0x01, 0xA0, 0xA0], &[0xB1, 0x01, 0xC0]] {
        let mut client = Client::greet(address, Version::V5_8);
        client.send_body(body);
        assert_eq!(client.answer().failure(), "Neo.ClientError.Request.Invalid");
        assert_eq!(client.answer(), Answer::Closed);
    }
    // LOGON that is not one.
    for body in [
        &[0xB1, 0x6A, 0x01][..],
        &[0xB0, 0x6A],
        b"\xB1\x6A\xA1\x86scheme\x01",
        b"\xB1\x6A\xA1\x8Bcredentials\x90",
    ] {
        let mut client = Client::greet(address, Version::V5_8);
        client.queue(&hello_with(&Auth::None)).send();
        client.answer().success();
        client.send_body(body);
        assert_eq!(client.answer().failure(), "Neo.ClientError.Request.Invalid");
        assert_eq!(client.answer(), Answer::Closed);
    }
    Client::login(address, Version::V5_8).assert_alive();
}
