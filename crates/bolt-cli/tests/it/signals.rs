//! Ctrl-C, SIGTERM, and readers that leave.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{DEADLINE, Guard, Server, bolt, done, finish, start};

fn signal(guard: &Guard, name: &str) {
    let pid = guard.0.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().expect("kill runs").success());
}

/// Starts a query and waits until its first records have come out.
fn running(server: &Server, words: &[&str]) -> Guard {
    let mut guard = start(&mut server.run(words));
    let mut first = [0; 1];
    guard.0.stdout.as_mut().expect("piped").read_exact(&mut first).expect("a first byte");
    guard
}

#[test]
fn ctrl_c_resets_the_query_and_exits_130() {
    let server = Server::start(&["--generated"]);
    // The output is flushed in blocks, so a fast stream without end is what shows a first byte.
    let guard = running(&server, &["--format", "json", "CALL generate.scalars(2000000000)"]);
    signal(&guard, "-INT");
    let began = Instant::now();
    let done = finish(guard);
    assert_eq!(done.code(), 130, "{}", done.err);
    assert!(done.err.contains("interrupted"), "{}", done.err);
    assert!(began.elapsed() < DEADLINE / 4);
    // The server is well, and the connection it lost has not taken it along.
    assert_eq!(server.json("RETURN 1 AS one"), "{\"one\":1}\n");
}

#[test]
fn ctrl_c_ends_a_wait_for_a_slow_server() {
    let server = Server::start(&["--generated"]);
    let guard = start(&mut server.run(&["--format", "null", "CALL generate.slow(1000000, 1000)"]));
    thread::sleep(Duration::from_millis(700));
    signal(&guard, "-INT");
    let began = Instant::now();
    assert_eq!(finish(guard).code(), 130);
    assert!(began.elapsed() < DEADLINE / 4);
}

#[test]
fn a_server_stops_cleanly_on_sigterm_and_sigint_with_clients_connected() {
    for name in ["-TERM", "-INT"] {
        let mut server = Server::start(&["--generated"]);
        let client = running(&server, &["--format", "json", "CALL generate.scalars(2000000000)"]);
        signal(&server.guard, name);
        let status = server.guard.wait();
        assert_eq!(status.code(), Some(0), "{name}: {status}");
        let done = finish(client);
        assert_eq!(done.code(), 1, "{}", done.err);
    }
}

#[test]
fn a_server_goes_with_its_parent() {
    let mut command = bolt(&["serve", "--listen", "127.0.0.1:0", "--generated", "--until-eof"]);
    let mut guard = start(command.stdin(Stdio::piped()));
    let mut first = [0; 1];
    guard.0.stdout.as_mut().expect("piped").read_exact(&mut first).expect("ready");
    drop(guard.0.stdin.take());
    assert_eq!(finish(guard).code(), 0);
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let server = Server::start(&["--generated"]);
    for format in ["table", "json", "csv"] {
        let mut guard = running(&server, &["--format", format, "CALL generate.scalars(2000000000)"]);
        drop(guard.0.stdout.take());
        let done = finish(guard);
        assert_eq!((done.code(), done.err.as_str()), (0, ""), "{format}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let server = Server::start(&["--generated"]);
    let mut command = server.run(&["--format", "json", "CALL generate.scalars(100000)"]);
    command.stdout(Stdio::from(full)).stderr(Stdio::piped());
    let done = finish(Guard(command.spawn().expect("starts")));
    assert_eq!(done.code(), 1);
    assert!(done.err.contains("the output cannot be written"), "{}", done.err);
}

#[test]
fn what_came_before_a_failure_is_printed() {
    let server = Server::start(&["--generated"]);
    for (format, lines) in [("json", 7), ("csv", 8), ("table", 11)] {
        let done = done(&mut server.run(&["--format", format, "CALL generate.failing(10, 7)"]));
        assert_eq!(done.code(), 1);
        assert_eq!(done.out.lines().count(), lines, "{}", done.out);
        assert!(done.err.contains("Neo.ClientError.Statement.ArithmeticError"), "{}", done.err);
    }
}
