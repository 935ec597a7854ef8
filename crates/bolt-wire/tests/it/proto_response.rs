//! Answers both ways: the hostile list, and what metadata mean.

use bolt_wire::response::{FailureReply, HelloReply, Response, RunReply, Success, record_header};
use bolt_wire::route::RoutingTable;
use bolt_wire::summary::{
    HelloSuccess, LogonSuccess, Position, PullSuccess, QueryType, ResultFacts, RunSuccess, Severity, Summary,
};
use bolt_wire::{
    Classification, DecodeError, DecodeReason, Encoder, Fields, Limits, Map, MapRef, ServerFailure, Value,
    Version, Walker,
};

use crate::proto_golden::body;

fn parse(body: &[u8]) -> Result<Response<'_>, DecodeError> {
    Response::parse(body, Version::V5_8, false, &mut Walker::default())
}

/// The metadata of a SUCCESS or FAILURE whose map is `map`.
fn metadata(body: &[u8]) -> MapRef<'_> {
    match parse(body).unwrap() {
        Response::Success(map) | Response::Failure(map) => map,
        other => panic!("{other:?}"),
    }
}

/// SUCCESS with `map` as its metadata.
fn success(map: &Map) -> Vec<u8> {
    let mut out = Vec::new();
    let mut e = Encoder::new(&mut out, Version::V5_8.dialect(false));
    e.struct_header(1, 0x70).unwrap();
    e.encode(map).unwrap();
    out
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
    Map(entries.map(|(key, value)| (key.into(), value)).into())
}

fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// The messages of the hostile list that a RECORD's own scan does not see: each names offset and reason.
#[test]
fn hostile_answers() {
    let deep_cause = [&b"\xB1\x7F"[..], &b"\xA1\x85cause".repeat(100_000), &[0xA0]].concat();
    let table: [(&[u8], usize, &str); 17] = [
        (b"", 0, "2 bytes needed but 0 are left"),
        (b"\xB1", 0, "2 bytes needed but 1 are left"),
        (b"\xB1\x70", 0, "1 items but 0 bytes are left"),
        (b"\x01", 0, "expected a structure, found an integer"),
        (b"\x91\x01", 0, "expected a structure, found a list"),
        (b"\xB1\x70\x01", 2, "expected a dictionary, found an integer"),
        (b"\xB0\x70", 0, "SUCCESS has 1 fields, found 0"),
        (b"\xB2\x71\x91\x01\x91\x02", 0, "RECORD has 1 fields, found 2"),
        (b"\xB0\x71", 0, "RECORD has 1 fields, found 0"),
        (b"\xB1\x7E\xA0", 0, "IGNORED has 0 fields, found 1"),
        (b"\xB1\x55\xA0", 1, "unknown structure tag 55"),
        (b"\xB1\x10\xA0", 1, "unknown structure tag 10"),
        (b"\xB1\x70\xA0\x00", 3, "found 1 more bytes"),
        (b"\xB1\x7F\xA1\x01\x02", 3, "expected a string as dictionary key"),
        (b"\xB1\x70\xA1\x81a\xE0", 5, "reserved marker E0"),
        (b"\xB1\x70\xDA\x7F\xFF\xFF\xFF", 2, "2147483647 entries"),
        (&deep_cause, 2 + 1_023 * 7, "deeper than the limit of 1024"),
    ];
    for (bytes, offset, text) in table {
        let error = parse(bytes).unwrap_err();
        assert!(error.to_string().contains(text), "{:02X?}: {error}", &bytes[..bytes.len().min(9)]);
        assert_eq!(error.offset, offset, "{error}");
    }
    assert!(Response::is_record(b"\xB1\x71\x01") && !Response::is_record(b"\xB2\x71"));

    let fields = &mut Fields::new();
    let error =
        RunSuccess::read(metadata(b"\xB1\x70\xA1\x86fields\x01"), fields, &Limits::DEFAULT).unwrap_err();
    assert_eq!(error.to_string(), "at byte 10: expected a list, found an integer");
    let error =
        RunSuccess::read(metadata(b"\xB1\x70\xA1\x86fields\x91\x01"), fields, &Limits::DEFAULT).unwrap_err();
    assert_eq!(error.to_string(), "at byte 11: expected a string, found an integer");
    let narrow = Limits { columns_max: 1, ..Limits::DEFAULT };
    let error =
        RunSuccess::read(metadata(b"\xB1\x70\xA1\x86fields\x92\x81a\x81b"), fields, &narrow).unwrap_err();
    assert!(error.to_string().contains("columns_max"), "{error}");
    let error = PullSuccess::read(metadata(b"\xB1\x70\xA1\x88has_more\x01")).unwrap_err();
    assert_eq!(error.to_string(), "at byte 12: expected a boolean, found an integer");
    assert_eq!(PullSuccess::read(metadata(b"\xB1\x70\xA1\x88has_more\xC3")), Ok(PullSuccess::HasMore));
    assert!(matches!(PullSuccess::read(metadata(b"\xB1\x70\xA1\x88has_more\xC2")), Ok(PullSuccess::Done(_))));
}

#[test]
fn hello_logon_and_run() {
    let reply = HelloReply {
        server: "Neo4j/5.26.0",
        connection_id: "bolt-7",
        recv_timeout_seconds: Some(120),
        telemetry: Some(true),
        ssr: Some(false),
        utc_patch: true,
        protocol_version: Some(Version::V6_1),
    };
    let bytes = body(&Success(reply), Version::V6_1);
    let read = HelloSuccess::read(metadata(&bytes));
    assert_eq!((read.server, read.connection_id), (Some("Neo4j/5.26.0"), Some("bolt-7")));
    assert_eq!(read.hints.recv_timeout, Some(std::time::Duration::from_secs(120)));
    assert!(read.hints.telemetry && !read.hints.ssr && read.utc_patch && !read.credentials_expired);
    assert_eq!(read.protocol_version, Some("6.1"));

    // Another server says little, and says it wrongly: nothing of it is an error.
    let odd = map([
        ("hints", map([("connection.recv_timeout_seconds", Value::Int(0))]).into()),
        ("server", Value::Int(3)),
        ("patch_bolt", text("utc")),
    ]);
    assert_eq!(HelloSuccess::read(metadata(&success(&odd))), HelloSuccess::default());
    for wrong in [text("120"), Value::Int(-1), Value::Float(1.0)] {
        let hints = map([("hints", map([("connection.recv_timeout_seconds", wrong)]).into())]);
        assert_eq!(HelloSuccess::read(metadata(&success(&hints))).hints.recv_timeout, None);
    }
    let due = map([("credentials_expired", Value::Bool(true)), ("advertised_address", text("h:7687"))]);
    let read_due = success(&due);
    let read = LogonSuccess::read(metadata(&read_due));
    assert_eq!((read.credentials_expired, read.advertised_address), (true, Some("h:7687")));

    let reply = RunReply { fields: &["a", "b"], t_first_ms: Some(5), qid: Some(1), db: Some("neo4j") };
    let bytes = body(&Success(reply), Version::V5_8);
    let mut fields: Fields = ["old"].into_iter().collect();
    let read = RunSuccess::read(metadata(&bytes), &mut fields, &Limits::DEFAULT).unwrap();
    assert_eq!(read, RunSuccess { t_first_ms: Some(5), qid: Some(1), db: Some("neo4j") });
    assert_eq!(fields.iter().collect::<Vec<_>>(), ["a", "b"]);
    RunSuccess::read(metadata(b"\xB1\x70\xA0"), &mut fields, &Limits::DEFAULT).unwrap();
    assert!(fields.is_empty());
}

#[test]
fn a_record_header_for_any_width() {
    for (columns, header) in [
        (0, &b"\xB1\x71\x90"[..]),
        (15, b"\xB1\x71\x9F"),
        (16, b"\xB1\x71\xD4\x10"),
        (300, b"\xB1\x71\xD5\x01\x2C"),
    ] {
        let mut out = Vec::new();
        record_header(&mut Encoder::new(&mut out, Version::V5_8.dialect(false)), columns).unwrap();
        assert_eq!(out, header);
    }
}

#[test]
fn failures_have_every_field_whatever_came() {
    let limits = Limits::DEFAULT;
    let read = |bytes: &[u8]| ServerFailure::read(metadata(bytes), &limits).unwrap();
    let none = read(b"\xB1\x7F\xA0");
    assert_eq!(none.code, "Neo.DatabaseError.General.UnknownError");
    assert_eq!((none.gql_status.as_str(), none.message.as_str()), ("50N42", ""));
    assert_eq!(none.diagnostic_record.get("OPERATION_CODE"), Some(&text("0")));
    assert_eq!(none.diagnostic_record.get("CURRENT_SCHEMA"), Some(&text("/")));
    assert_eq!(none.classification(), Classification::DatabaseError);
    // Wrong types and bad text do not hide that something failed.
    assert_eq!(read(b"\xB1\x7F\xA2\x84code\x01\x87message\x82\xC3\x28").message, "\u{FFFD}(");

    // Before 5.7, and since.
    let reply = FailureReply::new("Neo.ClientError.Statement.SyntaxError", "no");
    let old = read(&body(&reply, Version::V4_4));
    let new = read(&body(&reply, Version::V5_8));
    assert_eq!(old, new);
    assert_eq!(old.description, "error: general processing exception - unexpected error. no");
    assert_eq!(old.to_string(), "Neo.ClientError.Statement.SyntaxError: no");

    let record = map([("_classification", text("CLIENT_ERROR")), ("_idempotent", Value::Bool(true))]);
    let gql = FailureReply {
        gql_status: Some("42N62"),
        description: Some("error: variable undefined"),
        diagnostic_record: Some(&record),
        ..reply
    };
    let read_gql = read(&body(&gql, Version::V5_8));
    assert_eq!(read_gql.gql_classification(), Some("CLIENT_ERROR"));
    assert!(read_gql.is_idempotent() && !read_gql.is_retryable());
    assert!(read_gql.to_string().ends_with("(42N62: error: variable undefined)"));
}

#[test]
fn codes_are_renamed_and_judged() {
    let read = |code: &str| {
        let bytes = body(&FailureReply::new(code, ""), Version::V4_4);
        ServerFailure::read(metadata(&bytes), &Limits::DEFAULT).unwrap()
    };
    // code, retryable, fatal during discovery
    let table = [
        ("Neo.TransientError.Transaction.DeadlockDetected", true, false),
        ("Neo.TransientError.General.DatabaseUnavailable", true, false),
        ("Neo.ClientError.Cluster.NotALeader", true, false),
        ("Neo.ClientError.General.ForbiddenOnReadOnlyDatabase", true, false),
        ("Neo.ClientError.Security.AuthorizationExpired", true, false),
        ("Neo.ClientError.Security.Unauthorized", false, true),
        ("Neo.ClientError.Security.TokenExpired", false, true),
        ("Neo.ClientError.Database.DatabaseNotFound", false, true),
        ("Neo.ClientError.Transaction.InvalidBookmarkMixture", false, true),
        ("Neo.ClientError.Statement.SyntaxError", false, false),
        ("Neo.DatabaseError.General.UnknownError", false, false),
        ("nonsense", false, false),
    ];
    for (code, retryable, fatal) in table {
        let failure = read(code);
        assert_eq!((failure.code.as_str(), failure.is_retryable()), (code, retryable));
        assert_eq!(failure.is_fatal_during_discovery(), fatal, "{code}");
    }
    for title in ["Terminated", "LockClientStopped"] {
        let failure = read(&format!("Neo.TransientError.Transaction.{title}"));
        assert_eq!(failure.code, format!("Neo.ClientError.Transaction.{title}"));
        assert!(!failure.is_retryable());
    }
    assert!(read("Neo.ClientError.Cluster.NotALeader").is_not_a_leader());
    assert!(read("Neo.TransientError.General.DatabaseUnavailable").is_database_unavailable());
    assert_eq!(read("nonsense").classification(), Classification::Unknown);
}

#[test]
fn causes_come_in_a_row_and_are_bounded() {
    let chain = |depth: usize| {
        let bytes = [&b"\xB1\x7F"[..], &b"\xA2\x87message\x81m\x85cause".repeat(depth), &[0xA0]].concat();
        ServerFailure::read(metadata(&bytes), &Limits::DEFAULT)
    };
    assert_eq!(chain(3).unwrap().causes.len(), 3);
    assert_eq!(chain(256).unwrap().causes.len(), 256);
    let error = chain(257).unwrap_err();
    assert_eq!(error.reason, DecodeReason::TooDeep { limit: 256 });
    let failure = chain(2).unwrap();
    assert_eq!((failure.causes[0].message.as_str(), failure.causes[1].message.as_str()), ("m", ""));
}

fn summary(map: &Map, facts: ResultFacts) -> Summary {
    Summary::read(metadata(&success(map)), facts)
}

#[test]
fn a_summary_and_its_counters() {
    let stats = map([
        ("nodes-created", Value::Int(3)),
        ("labels-added", Value::Int(2)),
        ("system-updates", Value::Int(1)),
        ("what", text("?")),
        ("properties-set", Value::Int(-5)),
    ]);
    let all = map([
        ("type", text("rw")),
        ("t_last", Value::Int(12)),
        ("bookmark", text("FB:k")),
        ("db", text("neo4j")),
        ("stats", stats.into()),
    ]);
    let facts = ResultFacts { t_first_ms: Some(3), has_columns: true, has_records: true };
    let s = summary(&all, facts);
    assert_eq!(s.query_type(), Some(QueryType::ReadWrite));
    assert_eq!((s.t_first_ms(), s.t_last_ms()), (Some(3), Some(12)));
    assert_eq!((s.bookmark(), s.database()), (Some("FB:k"), Some("neo4j")));
    let c = s.counters();
    assert_eq!((c.nodes_created, c.labels_added, c.system_updates, c.properties_set), (3, 2, 1, 0));
    assert!(c.contains_updates && c.contains_system_updates);
    // What the server says of itself wins.
    let said = map([(
        "stats",
        map([("nodes-created", Value::Int(1)), ("contains-updates", Value::Bool(false))]).into(),
    )]);
    assert!(!summary(&said, facts).counters().contains_updates);
    // Nothing at all is a summary too.
    let none = summary(&Map::new(), ResultFacts::default());
    assert_eq!((none.query_type(), none.bookmark(), none.database()), (None, None, None));
    assert!(none.plan(&Limits::DEFAULT).unwrap().is_none() && none.notifications().is_empty());
    assert_eq!(Summary::default().statuses()[0].gql_status, "00001");
    // Memory of an older summary is reused.
    let mut reused = s.clone();
    reused.fill(metadata(&success(&Map::new())), ResultFacts::default());
    assert_eq!((reused.bookmark(), reused.counters().nodes_created), (None, 0));
}

#[test]
fn notifications_become_statuses_and_back() {
    let position = map([("offset", Value::Int(7)), ("line", Value::Int(1)), ("column", Value::Int(8))]);
    let warning = map([
        ("code", text("Neo.ClientNotification.Statement.X")),
        ("title", text("t")),
        ("description", text("d")),
        ("severity", text("WARNING")),
        ("category", text("DEPRECATION")),
        ("position", position.clone().into()),
    ]);
    let mute = map([("severity", text("INFORMATION"))]);
    let old = map([("notifications", list([mute.into(), warning.into()]))]);
    let outcomes = [
        (ResultFacts { has_records: true, has_columns: true, ..ResultFacts::default() }, "00000", 1),
        (ResultFacts { has_records: false, has_columns: true, ..ResultFacts::default() }, "02000", 0),
        (ResultFacts::default(), "00001", 1),
    ];
    for (facts, outcome, place) in outcomes {
        let s = summary(&old, facts);
        let statuses = s.statuses();
        assert_eq!(statuses.len(), 3);
        assert_eq!(statuses[place].gql_status, outcome);
        assert!(!statuses[place].is_notification);
        let warned = statuses.iter().find(|status| status.gql_status == "01N42").unwrap();
        assert_eq!((&*warned.description, warned.severity), ("d", Severity::Warning));
        assert_eq!((warned.operation(), warned.operation_code(), warned.current_schema()), ("", "0", "/"));
        assert_eq!(statuses[2].gql_status, "03N42");
        assert_eq!(statuses[2].description, "info: unknown notification");
    }
    let s = summary(&old, ResultFacts::default());
    let notifications = s.notifications();
    assert_eq!(notifications[1].position, Some(Position { offset: 7, line: 1, column: 8 }));
    assert_eq!(notifications[1].category, Some("DEPRECATION"));
    assert_eq!((notifications[0].position, notifications[0].severity), (None, Severity::Information));

    // 5.6 and later: statuses, of which those with a code are notifications.
    let record = map([
        ("_severity", text("WARNING")),
        ("_classification", text("HINT")),
        ("_position", position.into()),
        ("OPERATION", text("op")),
    ]);
    let remark = map([
        ("gql_status", text("01N50")),
        ("status_description", text("warn: label")),
        ("neo4j_code", text("Neo.ClientNotification.Y")),
        ("title", text("t")),
        ("description", text("d")),
        ("diagnostic_record", record.into()),
    ]);
    let outcome = map([("gql_status", text("02000")), ("status_description", text("note: no data"))]);
    let new = map([("statuses", list([outcome.into(), remark.into()]))]);
    let s = summary(&new, ResultFacts::default());
    let statuses = s.statuses();
    assert_eq!(statuses.iter().map(|s| s.gql_status).collect::<Vec<_>>(), ["02000", "01N50"]);
    assert_eq!((statuses[1].operation(), statuses[1].current_schema()), ("op", "/"));
    assert_eq!(statuses[1].position.unwrap().column, 8);
    let notifications = s.notifications();
    assert_eq!(notifications.len(), 1);
    assert_eq!(
        (notifications[0].code, notifications[0].severity),
        ("Neo.ClientNotification.Y", Severity::Warning)
    );
    assert_eq!(notifications[0].category, Some("HINT"));
}

#[test]
fn plans_are_read_in_order_and_bounded() {
    let leaf = |name: &str, rows: i64| {
        map([("operatorType", text(name)), ("rows", Value::Int(rows)), ("identifiers", list([text("n")]))])
    };
    let left = map([("operatorType", text("Left")), ("children", list([leaf("LeftLeaf", 1).into()]))]);
    let root = map([
        ("operatorType", text("ProduceResults@neo4j")),
        ("args", map([("planner", text("COST"))]).into()),
        ("children", list([left.into(), leaf("Right", 2).into()])),
        ("dbHits", Value::Int(0)),
    ]);
    let s = summary(&map([("profile", root.into())]), ResultFacts::default());
    let plan = s.profile(&Limits::DEFAULT).unwrap().unwrap();
    let shape: Vec<_> = plan.operators.iter().map(|o| (o.operator_type, o.depth, o.parent)).collect();
    assert_eq!(
        shape,
        [
            ("ProduceResults@neo4j", 0, None),
            ("Left", 1, Some(0)),
            ("LeftLeaf", 2, Some(1)),
            ("Right", 1, Some(0))
        ]
    );
    assert_eq!(plan.children(0).map(|o| o.operator_type).collect::<Vec<_>>(), ["Left", "Right"]);
    assert_eq!((plan.root().db_hits, plan.root().rows), (Some(0), None));
    assert_eq!(plan.operators[3].identifiers, ["n"]);
    assert_eq!(plan.root().args.get_as::<&str>("planner"), Ok("COST"));
    let few = Limits { plan_operators_max: 3, ..Limits::DEFAULT };
    assert!(s.profile(&few).is_err());
    assert!(s.plan(&Limits::DEFAULT).unwrap().is_none());
    assert!(summary(&map([("plan", Value::Int(1))]), ResultFacts::default()).plan(&Limits::DEFAULT).is_err());
}

#[test]
fn routing_tables_are_read_with_bounds() {
    let server = |role: &str, addresses: Vec<&str>| {
        let addresses = Value::List(addresses.into_iter().map(text).collect());
        Value::from(map([("role", text(role)), ("addresses", addresses)]))
    };
    let table = |ttl: i64, servers: Vec<Value>| {
        let rt = map([("ttl", Value::Int(ttl)), ("db", text("neo4j")), ("servers", Value::List(servers))]);
        RoutingTable::read(metadata(&success(&map([("rt", rt.into())]))), &Limits::DEFAULT)
    };
    let good = || {
        vec![
            server("WRITE", vec![]),
            server("READ", vec!["a", "[::1]:7688"]),
            server("ROUTE", vec!["a:9"]),
            server("LEND", vec![""]),
        ]
    };
    let read = table(300, good()).unwrap();
    assert_eq!((read.ttl_seconds, read.db.as_deref()), (300, Some("neo4j")));
    assert_eq!(read.readers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:7687", "[::1]:7688"]);
    assert_eq!((read.routers.len(), read.writers.len()), (1, 0));
    assert_eq!(table(i64::MAX, good()).unwrap().ttl_seconds, bolt_wire::route::TTL_SECONDS_MAX);
    assert!(table(-1, good()).unwrap_err().to_string().contains("time to live"));
    assert!(table(1, vec![]).unwrap_err().to_string().contains("a router and a reader"));
    let long = "h".repeat(2_000_000);
    for bad in ["", "h:0", "h:99999", "h:+1", ":7687", "h:", "[::1", "[::1]7687", "u@h:1", "a b", &long] {
        let error = table(1, vec![server("ROUTE", vec![bad])]).unwrap_err();
        assert!(error.to_string().contains("an address as host:port"), "{:.9}: {error}", bad);
    }
    let error = table(1, vec![server("READ", vec!["h"; 5_000])]).unwrap_err();
    assert!(error.to_string().contains("route_addresses_max"), "{error}");
    assert!(RoutingTable::read(metadata(b"\xB1\x70\xA0"), &Limits::DEFAULT).is_err());
}
