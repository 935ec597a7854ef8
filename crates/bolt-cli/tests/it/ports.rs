//! Ports where no Bolt server is: closed, silent, talking HTTP, closing at once, dribbling.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{DEADLINE, Done, bolt, done};

/// Runs a query against a port where `serve` answers each connection.
fn against(serve: impl Fn(std::net::TcpStream) + Send + 'static) -> (Done, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let uri = format!("bolt://{}", listener.local_addr().expect("an address"));
    // The thread ends with the test's process; it holds nothing but the port.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve(stream);
        }
    });
    let began = Instant::now();
    let done = done(&mut bolt(&["run", "--uri", &uri, "--connect-timeout", "1", "RETURN 1"]));
    (done, began.elapsed())
}

fn assert_refused(done: &Done, took: Duration, part: &str) {
    assert_eq!(done.code(), 1, "{done:?}");
    assert!(done.err.starts_with("error: ") && done.err.contains("hint: "), "{done:?}");
    assert!(done.err.contains(part), "{part:?} is not in {:?}", done.err);
    assert!(took < DEADLINE / 4, "it took {took:?}");
    assert_eq!(done.out, "");
}

#[test]
fn a_closed_port() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let began = Instant::now();
    let done = done(&mut bolt(&["run", "--uri", &format!("bolt://127.0.0.1:{port}"), "RETURN 1"]));
    assert_refused(&done, began.elapsed(), "bolt serve");
}

#[test]
fn a_web_server() {
    let (done, took) = against(|mut stream| {
        let _ = stream.read(&mut [0; 64]);
        let _ =
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
    assert_refused(&done, took, "web");
}

#[test]
fn a_silent_server() {
    let (done, took) = against(|stream| {
        thread::spawn(move || {
            thread::sleep(DEADLINE);
            drop(stream);
        });
    });
    assert_refused(&done, took, "hint: ");
    assert!(took >= Duration::from_millis(900), "it gave up after {took:?} already");
}

#[test]
fn a_server_that_hangs_up() {
    let (done, took) = against(drop);
    assert_eq!(done.code(), 1, "{done:?}");
    assert!(done.err.starts_with("error: "), "{done:?}");
    assert!(took < DEADLINE / 4);
}

#[test]
fn a_server_that_sends_a_byte_now_and_then() {
    let (done, took) = against(|mut stream| {
        thread::spawn(move || {
            // The manifest of a server with endless versions.
            let _ = stream.write_all(&[0, 0, 1, 0xFF]);
            while stream.write_all(&[0x80]).is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        });
    });
    assert_eq!(done.code(), 1, "{done:?}");
    assert!(took < DEADLINE / 4, "it took {took:?}");
}
