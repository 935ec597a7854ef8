//! Every bound, reached: connections, message sizes, time to log in, idling, slow readers, and the end of the server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bolt_server::REFUSALS_MAX;
use bolt_wire::{Auth, Map, Value, Version};

use crate::client::{Answer, Client, PASSWORD, USER, eventually, hello_with, map, serve};

/// Feeds the server one byte now and then until it closes.
fn drip(stream: &mut TcpStream, bytes: &[u8]) {
    let begun = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(15))).unwrap();
    let mut scratch = [0; 4096];
    for &byte in bytes.iter().cycle() {
        let sent = stream.write_all(&[byte]);
        match stream.read(&mut scratch) {
            Ok(0) => break,
            Ok(_) => {}
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        if sent.is_err() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "still open");
    }
}

#[test]
fn logging_in_has_a_deadline_that_dripping_does_not_move() {
    let timeout = Duration::from_millis(250);
    let server = serve(|config| config.login_timeout = timeout);
    let address = server.handle().local_addr();
    let late = |begun: Instant| {
        let elapsed = begun.elapsed();
        assert!(elapsed >= timeout && elapsed < timeout + Duration::from_secs(5), "closed after {elapsed:?}");
    };
    // Silence.
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    late(begun);
    // A handshake a byte at a time; a HELLO without end; keep-alives.
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    drip(&mut stream, &[0x60, 0x60, 0xB0, 0x17, 0, 0, 1, 0xFF, 0, 0, 0, 0, 0, 0]);
    late(begun);
    for bytes in [&[0, 1, 0xB1][..], &[0, 0]] {
        let begun = Instant::now();
        let mut client = Client::greet(address, Version::V5_8);
        drip(&mut client.stream, bytes);
        late(begun);
    }
    // HELLO alone is no login.
    let mut client = Client::greet(address, Version::V5_8);
    client.queue(&hello_with(&Auth::None)).send();
    client.answer().success();
    assert_eq!(client.answer(), Answer::Closed);
    // Who has logged in may take as long as he likes, until he logs off.
    let mut client = Client::login(address, Version::V5_8);
    std::thread::sleep(timeout * 2);
    client.assert_alive();
    let begun = Instant::now();
    client.queue(&bolt_wire::request::Logoff).send();
    client.answer().success();
    assert_eq!(client.answer(), Answer::Closed);
    late(begun);
}

#[test]
fn messages_are_small_before_login_and_bounded_after() {
    let server = serve(|config| config.message_bytes_max = 1 << 20);
    let address = server.handle().local_addr();
    let mut client = Client::greet(address, Version::V5_8);
    client.queue(&hello_with(&Auth::None));
    client.queue(&bolt_wire::request::Logon { auth: &Auth::basic(USER, "x".repeat(1 << 20)) }).send();
    client.answer().success();
    assert_eq!(client.answer().failure(), "Neo.ClientError.Request.Invalid");
    assert_eq!(client.answer(), Answer::Closed);

    // A large RUN in the flight of the login is legal: it comes after it.
    let mut client = Client::greet(address, Version::V5_8);
    let auth = Auth::basic(USER, PASSWORD);
    client.queue(&hello_with(&auth)).queue(&bolt_wire::request::Logon { auth: &auth });
    let text = Value::String("x".repeat(500_000));
    client.queue_run("RETURN $x", &map([("x", text.clone())])).queue_pull(-1).send();
    for _ in 0..3 {
        client.answer().success();
    }
    assert_eq!(client.answer(), Answer::Record(vec![text]));
    client.answer().success();

    // Beyond the limit: told so, and closed, as chunks could not be told apart any more.
    let large = map([("x", Value::String("x".repeat(2 << 20)))]);
    client.queue_run("RETURN 1", &Map::default()).queue_pull(-1).queue_run("RETURN $x", &large).send();
    client.answer().success();
    assert_eq!(client.answer(), Answer::Record(vec![Value::Int(1)]));
    client.answer().success();
    assert_eq!(client.answer().failure(), "Neo.ClientError.Request.Invalid");
    assert_eq!(client.answer(), Answer::Closed);
}

#[test]
fn connections_beyond_the_limit_are_told_so_or_closed() {
    let server = serve(|config| config.connections_max = 2);
    let address = server.handle().local_addr();
    let mut first = Client::login(address, Version::V5_8);
    let mut second = Client::login(address, Version::V4_4);
    for version in [Version::V4_4, Version::V5_8] {
        let mut third = Client::greet(address, version);
        assert_eq!(
            third.hello(USER, PASSWORD).failure(),
            "Neo.TransientError.Request.NoThreadsAvailable",
            "even with the right password"
        );
        assert_eq!(third.answer(), Answer::Closed);
    }
    // A crowd that waits to be refused is bounded as well: the rest are closed unheard.
    let crowd: Vec<_> = (0..REFUSALS_MAX + 8).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut unheard = TcpStream::connect(address).unwrap();
    assert_eq!(unheard.read(&mut [0; 4]).unwrap_or(0), 0);
    drop((crowd, unheard));
    assert_eq!(server.handle().connections(), 2);
    first.assert_alive();
    second.assert_alive();
    // A place that is free is given away again.
    drop(first);
    eventually("the place is free", || server.handle().connections() == 1);
    eventually("the refused are gone", || {
        let mut client = Client::greet(address, Version::V5_8);
        matches!(client.hello(USER, PASSWORD), Answer::Success(_))
    });
}

#[test]
fn an_idle_client_is_cut_off_only_if_so_configured() {
    let server = serve(|config| config.idle_timeout = Some(Duration::from_millis(150)));
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(60));
        client.assert_alive();
    }
    let begun = Instant::now();
    assert_eq!(client.answer(), Answer::Closed);
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

/// A client that asks for everything and reads nothing: the server waits for it, with the same small buffers.
#[test]
fn a_client_that_does_not_read_blocks_its_own_stream_and_is_cut_off_in_the_end() {
    let server = serve(|config| config.write_timeout = Some(Duration::from_millis(200)));
    let address = server.handle().local_addr();
    let mut stuck = Client::login(address, Version::V5_8);
    stuck.queue_run("CALL generate.lists(9223372036854775807)", &Map::default()).queue_pull(-1).send();
    assert_eq!(server.handle().connections(), 1);
    let mut other = Client::login(address, Version::V5_8);
    other.assert_alive();
    eventually("the stuck one is cut off", || server.handle().connections() == 1);
    other.assert_alive();
    // It reads what the kernel held, and then the end.
    let mut bytes = 0;
    let mut scratch = vec![0; 1 << 20];
    while let Ok(n @ 1..) = stuck.stream.read(&mut scratch) {
        bytes += n;
    }
    assert!(bytes < 64 << 20, "{bytes} bytes were sent to somebody who did not read");
}

#[test]
fn shutdown_interrupts_closes_and_joins() {
    let server = serve(|_| {});
    let address = server.handle().local_addr();
    let handle = server.handle().clone();
    let mut idle = Client::login(address, Version::V5_8);
    let mut fresh = TcpStream::connect(address).unwrap();
    let mut busy: Vec<_> = ["scalars($n)", "slow($n, 60000)"]
        .into_iter()
        .map(|query| {
            let mut client = Client::login(address, Version::V5_8);
            let params = map([("n", Value::Int(i64::MAX))]);
            client.queue_run(&format!("CALL generate.{query}"), &params).queue_pull(-1).send();
            client.answer().success();
            client
        })
        .collect();
    std::thread::sleep(Duration::from_millis(20));
    let begun = Instant::now();
    server.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(10), "took {:?}", begun.elapsed());
    assert_eq!(handle.connections(), 0);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    assert_eq!(idle.answer(), Answer::Closed);
    assert_eq!(fresh.read(&mut [0; 4]).unwrap_or(0), 0);
    for client in &mut busy {
        let mut scratch = vec![0; 1 << 16];
        while client.stream.read(&mut scratch).is_ok_and(|n| n > 0) {}
    }
    // A second time does nothing.
    handle.shutdown();
}

#[test]
fn clients_that_vanish_leave_nothing_behind() {
    let server = serve(|_| {});
    let address = server.handle().local_addr();
    for _ in 0..20 {
        drop(TcpStream::connect(address).unwrap());
        drop(Client::greet(address, Version::V5_8));
        let mut client = Client::login(address, Version::V5_8);
        let endless = map([("n", Value::Int(i64::MAX))]);
        client.queue_run("CALL generate.nodes($n)", &endless).queue_pull(-1).send();
        client.answer().success();
        drop(client);
    }
    eventually("all connections are gone", || server.handle().connections() == 0);
    Client::login(address, Version::V5_8).assert_alive();
}
