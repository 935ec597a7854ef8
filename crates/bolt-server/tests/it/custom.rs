//! A backend of one's own: what it is asked, what becomes of its outcomes, failures and panics.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bolt_server::{
    Backend, Columns, Counters, Credentials, Failure, Interrupt, Notification, Outcome, Peer, Progress,
    QueryKind, QueryRequest, RecordSink, Session, TransactionRequest,
};
use bolt_wire::request::{
    Begin, Commit, MinimumSeverity, NotificationClass, NotificationFilter, Rollback, Run, RunExtra,
};
use bolt_wire::{AuthRef, Map, Value, Version};

use crate::client::{Answer, Client, eventually, map, serve_backend};

type Log = Arc<Mutex<Vec<String>>>;

#[derive(Clone, Default)]
struct Recorder {
    log: Log,
}

struct RecorderSession {
    log: Log,
    interrupt: Interrupt,
}

impl Backend for Recorder {
    type Session = RecorderSession;

    fn authenticate(&self, auth: &AuthRef<'_>) -> Result<(), Failure> {
        Credentials::user("neo4j", "secret").check(auth)
    }

    fn open(&self, peer: &Peer, interrupt: Interrupt) -> Result<RecorderSession, Failure> {
        self.log.lock().unwrap().push(format!("open {} {} {}", peer.user, peer.user_agent, peer.version));
        Ok(RecorderSession { log: Arc::clone(&self.log), interrupt })
    }

    fn default_database(&self) -> &str {
        "things"
    }
}

impl RecorderSession {
    fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }
}

impl Drop for RecorderSession {
    fn drop(&mut self) {
        self.note("drop");
    }
}

impl Session for RecorderSession {
    type Stream = String;

    fn begin(&mut self, transaction: &TransactionRequest<'_>) -> Result<(), Failure> {
        self.note(format!("begin {} {:?} {:?}", transaction.database, transaction.mode, transaction.timeout));
        Ok(())
    }

    fn run(&mut self, query: &QueryRequest<'_>, columns: &mut Columns) -> Result<String, Failure> {
        self.note(format!("run {} {}", query.text, query.auto_commit.is_some()));
        match query.text {
            "write" => {}
            "panic" => panic!("a backend's mistake, on purpose"),
            "caused" => {
                return Err(Failure::new("Neo.DatabaseError.General.UnknownError", "outer")
                    .caused_by(Failure::syntax("inner").caused_by(Failure::wrong_type("innermost"))));
            }
            _ => columns.push("value"),
        }
        Ok(query.text.to_owned())
    }

    fn pull(&mut self, stream: &mut String, _n: u64, sink: &mut RecordSink<'_>) -> Result<Progress, Failure> {
        match stream.as_str() {
            "busy" => {
                // An engine that computes, and looks up now and then.
                sink.flush()?;
                self.note("computing");
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_secs(30) {
                    std::hint::black_box((0..1000).sum::<u64>());
                    self.interrupt.check()?;
                }
                self.note("not interrupted");
                Ok(Progress::done())
            }
            "short" => {
                sink.values(&[])?;
                Ok(Progress::done())
            }
            "half" => {
                // A record that fails half-way leaves nothing behind.
                sink.values(&[Value::Int(1)])?;
                sink.record(|e| {
                    e.str("to be taken back")?;
                    e.uuid(bolt_wire::Uuid([0; 16]))
                })?;
                Ok(Progress::done())
            }
            _ => Ok(Progress::done_with(Outcome {
                kind: QueryKind::Write,
                counters: Counters { nodes_created: 2, properties_set: 3, ..Counters::default() },
                notifications: vec![
                    Notification {
                        warning: true,
                        category: "PERFORMANCE",
                        ..Notification::new("Neo.ClientNotification.Statement.Slow", "slow", "It is slow.")
                    },
                    Notification::new("Neo.ClientNotification.Statement.Note", "note", "A note."),
                ],
                plan: Some(Value::Map(map([("operatorType", Value::String("Nothing".into()))]))),
                profile: None,
            })),
        }
    }

    fn discard(&mut self, _stream: &mut String, _n: u64) -> Result<Progress, Failure> {
        Ok(Progress::done())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        self.note("commit");
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), Failure> {
        self.note("rollback");
        Ok(())
    }

    fn reset(&mut self) {
        self.note("reset");
    }
}

#[test]
fn the_session_is_called_in_order() {
    let backend = Recorder::default();
    let server = serve_backend(backend.clone(), |_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    let extra = RunExtra {
        mode: bolt_wire::request::AccessMode::Read,
        tx_timeout: Some(Duration::from_secs(9)),
        ..RunExtra::default()
    };
    client
        .queue(&Begin { extra: &extra })
        .queue_run("one", &Map::default())
        .queue_pull(-1)
        .queue(&Commit)
        .send();
    assert_eq!(client.answer().success().get("db"), Some(&Value::String("things".into())));
    client.answer().success();
    client.answer().success();
    client.answer().success();
    client.queue(&Begin { extra: &RunExtra::default() }).queue(&Rollback).send();
    client.answer().success();
    client.answer().success();
    let (_, failure) = client.query("caused", &Map::default());
    assert_eq!(failure.failure(), "Neo.DatabaseError.General.UnknownError");
    client.reset();
    drop(client);
    eventually("the session is dropped", || backend.log.lock().unwrap().last().is_some_and(|l| l == "drop"));
    assert_eq!(
        *backend.log.lock().unwrap(),
        [
            "open neo4j tests/1.0 5.8",
            "begin things Read Some(9s)",
            "run one false",
            "commit",
            "begin things Write None",
            "rollback",
            "run caused true",
            "reset",
            "reset",
            "reset",
            "drop"
        ]
    );
}

#[test]
fn causes_travel_without_their_codes() {
    let server = serve_backend(Recorder::default(), |_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_7);
    let (_, failure) = client.query("caused", &Map::default());
    let Answer::Failure(outer) = failure else { panic!("{failure:?}") };
    let Some(Value::Map(inner)) = outer.get("cause") else { panic!("{outer:?}") };
    assert_eq!(inner.get("message"), Some(&Value::String("inner".into())));
    assert_eq!(inner.get("neo4j_code"), None);
    let Some(Value::Map(innermost)) = inner.get("cause") else { panic!("{inner:?}") };
    assert_eq!(innermost.get("gql_status"), Some(&Value::String("22N01".into())));
    assert_eq!(innermost.get("cause"), None);
    let Some(Value::Map(record)) = innermost.get("diagnostic_record") else { panic!("{innermost:?}") };
    assert_eq!(record.get("_classification"), Some(&Value::String("CLIENT_ERROR".into())));
}

#[test]
fn outcomes_become_summaries_of_the_version() {
    let server = serve_backend(Recorder::default(), |_| {});
    let stats = map([
        ("nodes-created", Value::Int(2)),
        ("properties-set", Value::Int(3)),
        ("contains-updates", Value::Bool(true)),
    ]);
    for version in [Version::V4_4, Version::V5_4, Version::V5_6, Version::V6_1] {
        let mut client = Client::login(server.handle().local_addr(), version);
        let (_, end) = client.query("write", &Map::default());
        let summary = end.success();
        assert_eq!(summary.get("type"), Some(&Value::String("w".into())));
        assert_eq!(summary.get("db"), Some(&Value::String("things".into())));
        assert_eq!(summary.get("stats"), Some(&Value::Map(stats.clone())));
        assert!(summary.get("plan").is_some() && summary.get("profile").is_none());
        let names: Vec<&str> = if version >= Version::V5_6 {
            assert_eq!(summary.get("notifications"), None);
            let Some(Value::List(statuses)) = summary.get("statuses") else { panic!("{summary:?}") };
            statuses.iter().map(|status| text(status, "gql_status")).collect()
        } else {
            assert_eq!(summary.get("statuses"), None);
            let Some(Value::List(notifications)) = summary.get("notifications") else {
                panic!("{summary:?}")
            };
            notifications.iter().map(|notification| text(notification, "severity")).collect()
        };
        let expected: &[&str] = match version >= Version::V5_6 {
            true => &["01N42", "00001", "03N42"],
            false => &["WARNING", "INFORMATION"],
        };
        assert_eq!(names, expected, "{version}");
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    match value {
        Value::Map(map) => match map.get(key) {
            Some(Value::String(text)) => text,
            other => panic!("{key}: {other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn clients_choose_their_notifications() {
    let server = serve_backend(Recorder::default(), |_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_4);
    let severities = [
        (Some(MinimumSeverity::Off), None, 0),
        (Some(MinimumSeverity::Warning), None, 1),
        (Some(MinimumSeverity::Information), None, 2),
        (None, Some(&[NotificationClass::Performance][..]), 1),
        (None, Some(&[NotificationClass::Performance, NotificationClass::Generic]), 0),
        (None, None, 2),
    ];
    for (minimum_severity, disabled, expected) in severities {
        let notifications = NotificationFilter { minimum_severity, disabled };
        let extra = RunExtra { notifications, ..RunExtra::default() };
        client.queue(&Run { query: "write", params: &(), extra: &extra }).queue_pull(-1).send();
        client.answer().success();
        let summary = client.answer().success();
        let count = match summary.get("notifications") {
            Some(Value::List(list)) => list.len(),
            None => 0,
            other => panic!("{other:?}"),
        };
        assert_eq!(count, expected, "{minimum_severity:?} {disabled:?}");
    }
}

#[test]
fn a_busy_engine_learns_of_a_reset_and_of_a_client_that_is_gone() {
    let backend = Recorder::default();
    let server = serve_backend(backend.clone(), |_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    client.queue_run("busy", &Map::default()).queue_pull(-1).send();
    client.answer().success();
    // A RESET that overtakes the PULL makes the answer IGNORED, as it should be; here it must come later.
    eventually("the engine computes", || backend.log.lock().unwrap().iter().any(|line| line == "computing"));
    client.queue(&bolt_wire::request::Reset).send();
    assert_eq!(client.answer().failure(), "Neo.ClientError.Transaction.Terminated");
    client.answer().success();
    client.queue_run("busy", &Map::default()).queue_pull(-1).send();
    client.answer().success();
    drop(client);
    eventually("the engine gave up", || server.handle().connections() == 0);
    let log = backend.log.lock().unwrap();
    assert!(
        !log.iter().any(|line| line == "not interrupted") && log.last().is_some_and(|line| line == "drop")
    );
}

#[test]
fn a_panic_ends_its_own_connection_only() {
    let server = serve_backend(Recorder::default(), |_| {});
    let address = server.handle().local_addr();
    let mut bystander = Client::login(address, Version::V5_8);
    let mut client = Client::login(address, Version::V5_8);
    client.queue_run("panic", &Map::default()).send();
    assert_eq!(client.answer(), Answer::Closed);
    let (_, end) = bystander.query("write", &Map::default());
    end.success();
    eventually("its place is free", || server.handle().connections() == 1);
    server.shutdown();
}

#[test]
fn a_record_is_whole_or_not_there() {
    let server = serve_backend(Recorder::default(), |_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    let (records, end) = client.query("half", &Map::default());
    assert_eq!(records, [[Value::Int(1)]]);
    assert_eq!(end.failure(), "Neo.ClientError.Statement.TypeError");
    client.reset();
    let (records, end) = client.query("short", &Map::default());
    assert!(records.is_empty());
    assert_eq!(end.failure(), "Neo.DatabaseError.Statement.ExecutionFailed");
    client.reset();
    let (_, end) = client.query("write", &Map::default());
    end.success();
}
