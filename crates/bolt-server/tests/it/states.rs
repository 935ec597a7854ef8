//! The state machine over a socket: what is served, ignored, refused, and what a RESET mends.

use bolt_wire::request::{
    Begin, Commit, Discard, Goodbye, Logoff, Logon, Pull, Reset, Rollback, Route, RunExtra, Telemetry,
    TelemetryApi,
};
use bolt_wire::{Auth, Map, Value, Version};

use crate::client::{Answer, Client, PASSWORD, USER, hello_with, map, serve};

const INVALID: &str = "Neo.ClientError.Request.Invalid";

/// Brings a new connection into a state by requests that succeed (or, for FAILED, fail).
fn in_state(server: &bolt_server::RunningServer, state: &str) -> Client {
    let address = server.handle().local_addr();
    let none = Map::default();
    match state {
        "NEGOTIATION" => return Client::greet(address, Version::V5_4),
        "AUTHENTICATION" => {
            let mut client = Client::greet(address, Version::V5_4);
            client.queue(&hello_with(&Auth::None)).send();
            client.answer().success();
            return client;
        }
        _ => {}
    }
    let mut client = Client::login(address, Version::V5_4);
    let flight: &[&str] = match state {
        "READY" => &[],
        "STREAMING" => &["run"],
        "TX_READY" => &["begin"],
        "TX_STREAMING" => &["begin", "run"],
        "FAILED" => &["bad"],
        _ => panic!("{state}"),
    };
    for step in flight {
        match *step {
            "begin" => client.queue(&Begin { extra: &RunExtra::default() }),
            "bad" => client.queue_run("NONSENSE", &none),
            _ => client.queue_run("CALL generate.scalars(10)", &none),
        };
        client.send();
        match client.answer() {
            Answer::Success(_) if *step != "bad" => {}
            Answer::Failure(_) if *step == "bad" => {}
            other => panic!("{step}: {other:?}"),
        }
    }
    client
}

fn queue(client: &mut Client, request: &str) {
    let none = Map::default();
    let auth = Auth::basic(USER, PASSWORD);
    match request {
        "HELLO" => client.queue(&hello_with(&auth)),
        "LOGON" => client.queue(&Logon { auth: &auth }),
        "LOGOFF" => client.queue(&Logoff),
        "GOODBYE" => client.queue(&Goodbye),
        "RESET" => client.queue(&Reset),
        "RUN" => client.queue_run("RETURN 1", &none),
        "BEGIN" => client.queue(&Begin { extra: &RunExtra::default() }),
        "COMMIT" => client.queue(&Commit),
        "ROLLBACK" => client.queue(&Rollback),
        "PULL" => client.queue(&Pull { n: -1, qid: None }),
        "DISCARD" => client.queue(&Discard { n: -1, qid: None }),
        "TELEMETRY" => client.queue(&Telemetry { api: TelemetryApi::AutoCommit }),
        "ROUTE" => client.queue(&Route { routing: &[], bookmarks: &[], db: None, imp_user: None }),
        _ => panic!("{request}"),
    };
}

/// `s` SUCCESS, `i` IGNORED, `f` FAILURE and the connection lives, `x` FAILURE and it ends, `c` it ends without a word.
#[test]
fn every_request_in_every_state() {
    const REQUESTS: [&str; 13] = [
        "HELLO",
        "LOGON",
        "LOGOFF",
        "GOODBYE",
        "RESET",
        "RUN",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "PULL",
        "DISCARD",
        "TELEMETRY",
        "ROUTE",
    ];
    let rows = [
        ("NEGOTIATION", "sxxcxxxxxxxxx"),
        ("AUTHENTICATION", "xsxcsxxxxxxxx"),
        ("READY", "xxscsssxxxxss"),
        ("STREAMING", "xxxcsxxxxssxx"),
        ("TX_READY", "xxxcssxssffxx"),
        ("TX_STREAMING", "xxxcssxssssxx"),
        ("FAILED", "xxxcsixiiiiii"),
    ];
    let server = serve(|_| {});
    for (state, row) in rows {
        for (request, expected) in REQUESTS.into_iter().zip(row.chars()) {
            let mut client = in_state(&server, state);
            queue(&mut client, request);
            client.send();
            let (_, answer) = client.records();
            let found = match &answer {
                Answer::Success(_) => 's',
                Answer::Ignored => 'i',
                Answer::Closed => 'c',
                Answer::Failure(_) => {
                    assert_eq!(answer.failure(), INVALID, "{request} in {state}");
                    client.queue(&Reset).send();
                    if client.answer() == Answer::Closed { 'x' } else { 'f' }
                }
                Answer::Record(_) => unreachable!("records() ends at the first other answer"),
            };
            assert_eq!(found, expected, "{request} in {state}");
            // Whatever a living connection went through, a RESET brings it back.
            if matches!(found, 's' | 'i' | 'f')
                && !matches!(state, "NEGOTIATION" | "AUTHENTICATION")
                && request != "LOGOFF"
            {
                client.reset();
                client.assert_alive();
            }
        }
    }
}

#[test]
fn a_failure_makes_the_rest_of_the_flight_ignored_until_reset() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    let none = Map::default();
    client.queue_run("NONSENSE", &none).queue_pull(-1).queue_run("RETURN 2", &none).queue_pull(-1).send();
    assert_eq!(client.answer().failure(), "Neo.ClientError.Statement.SyntaxError");
    for _ in 0..3 {
        assert_eq!(client.answer(), Answer::Ignored);
    }
    // Only now: in the same flight the RESET might overtake the failure itself.
    client.queue(&Reset).queue_run("RETURN 3", &none).queue_pull(-1).send();
    client.answer().success();
    client.answer().success();
    assert_eq!(client.answer(), Answer::Record(vec![Value::Int(3)]));
    client.answer().success();
}

#[test]
fn several_results_are_open_in_a_transaction_and_told_apart_by_qid() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    let none = Map::default();
    client.queue(&Begin { extra: &RunExtra::default() });
    client.queue_run("CALL generate.slow(3, 0)", &none).queue_run("CALL generate.slow(5, 0)", &none);
    client.queue(&Pull { n: 2, qid: Some(0) }).queue(&Pull { n: 2, qid: None }).send();
    assert_eq!(client.answer().success().get("db"), Some(&Value::String("neo4j".into())));
    for qid in 0..2 {
        let run = client.answer().success();
        assert_eq!(run.get("qid"), Some(&Value::Int(qid)));
        assert_eq!(run.get("db"), None, "the transaction has named it");
    }
    for _ in 0..2 {
        let (records, end) = client.records();
        assert_eq!(records, [[Value::Int(0)], [Value::Int(1)]]);
        assert_eq!(end.success(), map([("has_more", Value::Bool(true))]), "has_more comes alone");
    }
    // The first ends exactly with its last record, and says so at once.
    client.queue(&Pull { n: 1, qid: Some(0) }).queue(&Discard { n: 1, qid: Some(1) }).send();
    let (records, end) = client.records();
    assert_eq!(records, [[Value::Int(2)]]);
    let end = end.success();
    assert_eq!((end.get("has_more"), end.get("type")), (None, Some(&Value::String("r".into()))));
    assert_eq!(end.get("bookmark"), None, "only COMMIT gives one");
    client.answer().success();
    // A finished result is gone, the other still there; the transaction is not hurt by the look at COMMIT.
    client.queue(&Pull { n: -1, qid: Some(1) }).queue(&Commit).send();
    let (records, end) = client.records();
    assert_eq!(records, [[Value::Int(3)], [Value::Int(4)]]);
    end.success();
    assert!(client.answer().success().get("bookmark").is_some());
    client.assert_alive();
    // qids begin anew, and an unknown one is a failure.
    client.queue(&Begin { extra: &RunExtra::default() }).queue_run("RETURN 1", &none);
    client.queue(&Pull { n: -1, qid: Some(7) }).send();
    client.answer().success();
    assert_eq!(client.answer().success().get("qid"), Some(&Value::Int(0)));
    assert_eq!(client.answer().failure(), INVALID);
    client.reset();
    client.assert_alive();
}

#[test]
fn commit_and_rollback_end_open_results() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V6_1);
    for commit in [true, false] {
        client.queue(&Begin { extra: &RunExtra::default() });
        client.queue_run("CALL generate.nodes(100)", &Map::default()).queue_pull(10);
        if commit {
            client.queue(&Commit)
        } else {
            client.queue(&Rollback)
        };
        client.send();
        client.answer().success();
        client.answer().success();
        let (records, end) = client.records();
        assert_eq!(records.len(), 10);
        end.success();
        client.answer().success();
        client.assert_alive();
    }
}

#[test]
fn logging_off_and_on_again_in_one_flight() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_4);
    let auth = Auth::basic(USER, PASSWORD);
    client.queue(&Logoff).queue(&Logon { auth: &auth });
    client.queue_run("RETURN 1", &Map::default()).queue_pull(-1).send();
    for _ in 0..3 {
        client.answer().success();
    }
    assert_eq!(client.answer(), Answer::Record(vec![Value::Int(1)]));
    client.answer().success();
    // The second user has the wrong password: FAILURE, and the end.
    client.queue(&Logoff).queue(&Logon { auth: &Auth::basic(USER, "guess") }).send();
    client.answer().success();
    assert_eq!(client.answer().failure(), "Neo.ClientError.Security.Unauthorized");
    assert_eq!(client.answer(), Answer::Closed);
}

#[test]
fn wrong_logins_all_look_the_same() {
    let server = serve(|_| {});
    let address = server.handle().local_addr();
    let bearer = Auth::bearer(PASSWORD);
    let mut failures = Vec::new();
    for version in [Version::V4_4, Version::V5_0, Version::V5_1, Version::V6_1] {
        let wrong = [
            Auth::basic(USER, "guess"),
            Auth::basic("somebody", PASSWORD),
            Auth::basic("", ""),
            Auth::None,
            bearer.clone(),
        ];
        for auth in wrong {
            let mut client = Client::greet(address, version);
            client.queue(&hello_with(&auth));
            if version.features().logon {
                client.queue(&Logon { auth: &auth }).send();
                client.answer().success();
            }
            client.send();
            let failure = client.answer();
            assert_eq!(failure.failure(), "Neo.ClientError.Security.Unauthorized");
            let Answer::Failure(map) = &failure else { unreachable!() };
            failures.push(map.get("message").cloned());
            assert_eq!(client.answer(), Answer::Closed);
        }
    }
    failures.dedup();
    assert_eq!(failures.len(), 1);
}

#[test]
fn bookmarks_count_up_are_taken_back_and_others_are_refused() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_4);
    let bookmark = |end: Answer| match end.success().get("bookmark") {
        Some(Value::String(bookmark)) => bookmark.clone(),
        other => panic!("{other:?}"),
    };
    let first = bookmark(client.query("RETURN 1", &Map::default()).1);
    let second = bookmark(client.query("RETURN 1", &Map::default()).1);
    assert_ne!(first, second);
    let known = [first, second];
    client
        .queue(&Begin { extra: &RunExtra { bookmarks: &known, ..RunExtra::default() } })
        .queue(&Commit)
        .send();
    client.answer().success();
    assert!(!known.contains(&bookmark(client.answer())));
    let unknown = ["FB:kcwQ".to_owned()];
    client.queue(&Begin { extra: &RunExtra { bookmarks: &unknown, ..RunExtra::default() } }).send();
    assert_eq!(client.answer().failure(), "Neo.ClientError.Transaction.InvalidBookmark");
    client.reset();
    client.assert_alive();
}

#[test]
fn unknown_databases_and_impersonation_are_refused() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_4);
    let refused = [
        (RunExtra { db: Some("other"), ..RunExtra::default() }, "Neo.ClientError.Database.DatabaseNotFound"),
        (
            RunExtra { imp_user: Some("eve"), ..RunExtra::default() },
            "Neo.ClientError.Statement.ArgumentError",
        ),
    ];
    for (extra, code) in refused {
        client.queue(&Begin { extra: &extra }).send();
        assert_eq!(client.answer().failure(), code);
        client.reset();
    }
    client.queue(&Begin { extra: &RunExtra { db: Some("NEO4J"), ..RunExtra::default() } }).send();
    client.answer().success();
    client.reset();
    client.assert_alive();
}
