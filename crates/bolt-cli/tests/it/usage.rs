//! Exit code 2, help, and the sources of queries and passwords.

use std::io::Write;
use std::process::Stdio;

use crate::support::{SECRET, Server, bolt, done, finish, start};

#[test]
fn a_wrong_command_line_is_exit_code_2_with_a_hint() {
    for (words, part) in [
        (&[][..], "no command given"),
        (&["dance"], "unknown command"),
        (&["run"], "no query given"),
        (&["run", "--format", "xml", "RETURN 1"], "table, json, csv or null"),
        (&["run", "--password", "secret", "RETURN 1"], "BOLT_PASSWORD"),
        (&["run", "--param", "x", "RETURN 1"], "NAME=JSON"),
        (&["run", "--param", "x=9223372036854775808", "RETURN 1"], "outside the integers of Bolt"),
        (&["run", "--param", "x=1", "--param", "x=2", "RETURN 1"], "given twice"),
        (&["run", "--uri", "http://localhost", "RETURN 1"], "Bolt"),
        (&["run", "--uri", "bolt://neo4j:secret@localhost", "RETURN 1"], "user and password"),
        (&["run", "--uri", "neo4j+s://localhost", "RETURN 1"], "TLS"),
        (&["serve", "--no-auth", "--listen", "0.0.0.0:0"], "--expose"),
        (&["run", "-"], "standard input is empty"),
    ] {
        let done = done(&mut bolt(words));
        assert_eq!(done.code(), 2, "{words:?}: {done:?}");
        assert!(done.err.contains(part) && done.err.contains("hint: "), "{words:?}: {}", done.err);
        assert!(!done.err.contains("secret"), "a password was repeated: {}", done.err);
        assert_eq!(done.out, "");
    }
}

#[test]
fn help_names_every_option_and_exit_code() {
    for (words, parts) in [
        (&["help"][..], &["run", "serve", "demo", "Exit codes"][..]),
        (&["run", "--help"], &["--param", "--fetch-size", "--stats", "BOLT_PASSWORD", "Exit codes"]),
        (&["serve", "--help"], &["--data", "--generated", "--no-auth", "SIGTERM"]),
        (&["help", "demo"], &["--records"]),
    ] {
        let text = done(&mut bolt(words)).ok();
        for part in parts {
            assert!(text.contains(part), "{words:?} does not mention {part}");
        }
    }
}

#[test]
fn queries_and_passwords_come_from_where_they_should() {
    let server = Server::start(&["--generated"]);
    let mut command = server.run(&["--format", "json", "-"]);
    let mut guard = start(command.stdin(Stdio::piped()));
    guard.0.stdin.take().expect("piped").write_all(b"RETURN 1 AS one\n").expect("written");
    assert_eq!(finish(guard).ok(), "{\"one\":1}\n");

    let wrong = done(server.run(&["RETURN 1"]).env("BOLT_PASSWORD", "no"));
    assert_eq!(wrong.code(), 1);
    assert!(
        wrong.err.contains("Neo.ClientError.Security.Unauthorized") && wrong.err.contains("--user"),
        "{wrong:?}"
    );

    let path = std::env::temp_dir().join(format!("bolt-it-password-{}", std::process::id()));
    std::fs::write(&path, format!("{SECRET}\n")).expect("a file");
    let words = ["--password-file", path.to_str().expect("a path"), "--format", "json", "RETURN 2 AS two"];
    assert_eq!(done(server.run(&words).env("BOLT_PASSWORD", "no")).ok(), "{\"two\":2}\n");
    std::fs::remove_file(&path).expect("removed");

    let none = done(server.run(&["RETURN 1"]).env_remove("BOLT_PASSWORD"));
    assert_eq!(none.code(), 2, "{none:?}");
    assert!(none.err.contains("no terminal to ask on"), "{none:?}");
}

#[test]
fn a_made_up_password_lets_in_and_no_auth_needs_none() {
    use std::io::{BufRead, BufReader};

    let mut command = bolt(&["serve", "--listen", "127.0.0.1:0", "--generated"]);
    let mut guard = start(command.env_remove("BOLT_PASSWORD"));
    let mut line = String::new();
    BufReader::new(guard.0.stderr.take().expect("piped")).read_line(&mut line).expect("a line");
    let password = line.trim().rsplit(' ').next().expect("a password").to_owned();
    let mut ready = String::new();
    BufReader::new(guard.0.stdout.take().expect("piped")).read_line(&mut ready).expect("a line");
    let uri = ready.split_whitespace().find(|w| w.starts_with("bolt://")).expect("an address").to_owned();
    let mut run = bolt(&["run", "--uri", &uri, "--format", "json", "RETURN 1 AS one"]);
    assert_eq!(done(run.env("BOLT_PASSWORD", &password)).ok(), "{\"one\":1}\n");
    assert_eq!(done(run.env("BOLT_PASSWORD", "guess")).code(), 1);

    let open = Server::start(&["--generated", "--no-auth"]);
    let mut run = open.run(&["--no-auth", "--format", "json", "RETURN 1 AS one"]);
    assert_eq!(done(run.env_remove("BOLT_PASSWORD")).ok(), "{\"one\":1}\n");
}
