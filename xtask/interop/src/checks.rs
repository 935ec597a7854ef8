//! The checks, each a plain function from a [`Target`] to what was seen.
//!
//! Every check opens its own connection, labels what it creates with `Interop…` and deletes it at the end. Limits: the
//! longest single wait is the client's read timeout of 60 s.

use std::time::{Duration as Span, Instant};

use bolt_client::{
    Auth, Config, Connection, Error, Limits, RouteOptions, RunOptions, TelemetryApi, TxOptions,
};
use bolt_wire::{
    Date, DateTime, DateTimeForm, DateTimeZoned, Duration, ElementType, LocalDateTime, LocalTime, Map,
    Point2D, Point3D, Time, Uuid, Value, ValueRef, Vector, Version,
};

use crate::server::{Kind, Target};

/// What a check saw.
pub(crate) enum Seen {
    /// Everything the check asks for.
    Works,
    /// Everything but the parts named.
    Partly(Vec<String>),
    /// The server does not have what the check is about.
    Unsupported(String),
}

type Outcome = Result<Seen, String>;
type Check = fn(&Target) -> Outcome;

/// Every check by name, in the order in which they run.
pub(crate) const ALL: &[(&str, Check)] = &[
    ("return-one", return_one),
    ("versions", versions),
    ("types", types),
    ("server-made-values", server_made_values),
    ("types-on-each-version", types_on_each_version),
    ("sizes", sizes),
    ("large-messages", large_messages),
    ("deep-nesting", deep_nesting),
    ("graph", graph),
    ("long-stream", long_stream),
    ("fetch-sizes", fetch_sizes),
    ("dropped-streams", dropped_streams),
    ("failure-in-mid-stream", failure_in_mid_stream),
    ("errors", errors),
    ("transactions", transactions),
    ("two-results-open", two_results_open),
    ("between-queries", between_queries),
    ("cancel-a-busy-query", cancel_a_busy_query),
    ("cancel-a-stream", cancel_a_stream),
    ("limits", limits),
    ("noops", noops),
    ("read-mode", read_mode),
    ("query-timeout", query_timeout),
    ("wrong-password", wrong_password),
    ("tls-only-port", tls_only_port),
];

fn config(target: &Target) -> Result<Config, String> {
    let mut config = Config::from_uri(&format!("bolt://{}", target.address))
        .map_err(text)?
        .auth(Auth::basic(&target.user, &target.password))
        .database("neo4j");
    config.read_timeout = Some(Span::from_secs(60));
    Ok(config)
}

fn connect(target: &Target) -> Result<Connection, String> {
    Connection::connect(&config(target)?).map_err(text)
}

#[allow(clippy::needless_pass_by_value)] // used as `map_err(text)`
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn ensure(truth: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if truth { Ok(()) } else { Err(otherwise()) }
}

/// The one value of a one-row, one-column result, owned.
fn single(conn: &mut Connection, query: &str, params: impl bolt_wire::Params) -> Result<Value, Error> {
    let mut rows = conn.run(query, params)?;
    let mut value = Value::Null;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        value = row.get(0)?;
        count += 1;
    }
    rows.finish()?;
    assert_eq!(count, 1, "{query} gave {count} rows");
    Ok(value)
}

fn alive(conn: &mut Connection) -> Result<(), String> {
    let value = single(conn, "RETURN 7 AS n", ()).map_err(|e| format!("the next query failed: {e}"))?;
    ensure(value == Value::Int(7), || format!("the next query answered {value:?} for 7"))
}

fn echo(conn: &mut Connection, value: &Value) -> Result<Value, Error> {
    single(conn, "RETURN $x AS x", &[("x", value)][..])
}

fn brief(value: &Value) -> String {
    let mut text = format!("{value:?}");
    if text.len() > 90 {
        let cut = (0..=90).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    text
}

fn return_one(target: &Target) -> Outcome {
    let mut conn = connect(target)?;
    let value = single(&mut conn, "RETURN 1 AS n", ()).map_err(text)?;
    ensure(value == Value::Int(1), || format!("RETURN 1 gave {value:?}"))?;
    println!("{} speaks {} and calls itself {:?}", target.kind.name(), conn.version(), conn.server().agent);
    conn.close();
    Ok(Seen::Works)
}

fn versions(target: &Target) -> Outcome {
    let mut missing = Vec::new();
    for &version in Version::SUPPORTED {
        let alone = config(target)?.only_version(version).map_err(text)?;
        match Connection::connect(&alone) {
            Ok(mut conn) => {
                ensure(target.kind.serves(version), || {
                    format!("{version} is served, but listed as missing")
                })?;
                ensure(conn.version() == version, || format!("asked for {version}, got {}", conn.version()))?;
                alive(&mut conn).map_err(|e| format!("on {version}: {e}"))?;
                conn.close();
            }
            Err(error) if !target.kind.serves(version) => missing.push(format!("Bolt {version} ({error})")),
            Err(error) => return Err(format!("on {version}: {error}")),
        }
    }
    Ok(if missing.is_empty() { Seen::Works } else { Seen::Partly(missing) })
}

/// Values that every version carries.
fn plain_values() -> Vec<Value> {
    let mut values = vec![Value::Null, Value::Bool(true), Value::Bool(false)];
    for n in [
        0,
        1,
        -1,
        -16,
        -17,
        127,
        128,
        -128,
        -129,
        32_767,
        32_768,
        -32_768,
        -32_769,
        2_147_483_647,
        2_147_483_648,
        -2_147_483_648,
        -2_147_483_649,
        i64::MAX,
        i64::MIN,
    ] {
        values.push(Value::Int(n));
    }
    for f in [0.0, 1.5, -1.1, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::INFINITY, f64::NEG_INFINITY] {
        values.push(Value::Float(f));
    }
    for s in ["", "a", "größe", "😀 emoji", "nul\u{0}inside", "new\nline"] {
        values.push(Value::from(s));
    }
    values.push(Value::List(vec![Value::Int(1), Value::Float(2.0), Value::from("three"), Value::Null]));
    values.push(Value::List(vec![Value::List(vec![]), Value::Map(Map::default())]));
    values.push(Value::Map(
        [("a", Value::Int(1)), ("b", Value::Null), ("größe", Value::from("x"))].into_iter().collect(),
    ));
    values
}

fn temporal_values() -> Vec<Value> {
    vec![
        Value::Date(Date { days: 0 }),
        Value::Date(Date { days: 19_782 }),
        Value::Date(Date { days: -719_162 }),
        Value::LocalTime(LocalTime { nanoseconds: 86_399_999_999_999 }),
        Value::LocalDateTime(LocalDateTime { seconds: -1, nanoseconds: 999_999_999 }),
        Value::Duration(Duration { months: 1, days: 2, seconds: 3, nanoseconds: 500_000_000 }),
        Value::Duration(Duration { months: 0, days: 0, seconds: -1, nanoseconds: 500_000_000 }),
    ]
}

/// Values that carry an offset or a zone: their bytes differ between Bolt 4 and 5.
fn zoned_values(form: DateTimeForm) -> Vec<Value> {
    let zone = "Europe/Paris".to_owned();
    vec![
        Value::Time(Time { nanoseconds: 1_000_000_000, offset_seconds: 3_600 }),
        Value::DateTime(DateTime::new(4_500, 42, 3_600)),
        Value::from(DateTimeZoned { seconds: 1_715_000_000, nanoseconds: 7, zone, form }),
    ]
}

fn point_values() -> Vec<Value> {
    vec![
        Value::Point2D(Point2D { srid: 7_203, x: 1.0, y: 2.0 }),
        Value::Point2D(Point2D { srid: 4_326, x: 12.5, y: 55.5 }),
        Value::Point3D(Point3D { srid: 9_157, x: 1.0, y: 2.0, z: 3.0 }),
        Value::Point3D(Point3D { srid: 4_979, x: 12.5, y: 55.5, z: 10.0 }),
    ]
}

fn echo_all(conn: &mut Connection, values: &[Value]) -> Result<(), String> {
    for value in values {
        let back = echo(conn, value).map_err(|e| format!("{}: {e}", brief(value)))?;
        ensure(same(&back, value), || format!("sent {}, got {}", brief(value), brief(&back)))?;
    }
    Ok(())
}

/// Equal values, where the two forms of one date-time count as one and a dictionary's order does not count.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::DateTime(a), Value::DateTime(b)) => {
            let instant = |t: &DateTime| (t.utc_seconds(), t.nanoseconds, t.offset_seconds);
            instant(a) == instant(b)
        }
        (Value::Map(a), Value::Map(b)) => {
            let sorted = |map: &Map| {
                let mut entries = map.0.clone();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries
            };
            sorted(a) == sorted(b)
        }
        _ => a == b,
    }
}

fn types(target: &Target) -> Outcome {
    let mut conn = connect(target)?;
    let mut missing = Vec::new();
    echo_all(&mut conn, &plain_values())?;
    let nan = echo(&mut conn, &Value::Float(f64::NAN)).map_err(text)?;
    ensure(matches!(nan, Value::Float(f) if f.is_nan()), || format!("NaN came back as {nan:?}"))?;
    echo_all(&mut conn, &temporal_values())?;
    echo_all(&mut conn, &zoned_values(DateTimeForm::Utc))?;
    if target.kind == Kind::Kglite {
        missing.push("byte strings, Cartesian and 3D points (the engine has no such types)".to_owned());
    } else {
        echo_all(&mut conn, &point_values())?;
        echo_all(&mut conn, &[Value::Bytes(vec![]), Value::Bytes(vec![0, 1, 255])])?;
    }
    let vectors = [
        Vector::from(&[1.0_f32, -2.0][..]),
        Vector::from(&[0.1_f64][..]),
        Vector::from(&[1_i8, -2, 3][..]),
        Vector::from(&[1_i16, -2][..]),
        Vector::from(&[7_i32][..]),
        Vector::from(&[1_i64 << 62][..]),
    ]
    .map(Value::Vector);
    let uuid = Value::Uuid("550e8400-e29b-41d4-a716-446655440000".parse::<Uuid>().map_err(text)?);
    let version = conn.version();
    for (first, name, values) in
        [(Version::V6_0, "vectors", &vectors[..]), (Version::V6_1, "UUIDs", std::slice::from_ref(&uuid))]
    {
        if version >= first {
            echo_all(&mut conn, values)?;
        } else {
            let refused = echo(&mut conn, &values[0]);
            ensure(refused.is_err(), || format!("{name} were sent on Bolt {version}"))?;
            alive(&mut conn)?;
            missing.push(format!("{name} (they begin with Bolt {first}, the server's newest is {version})"));
        }
    }
    conn.close();
    Ok(if missing.is_empty() { Seen::Works } else { Seen::Partly(missing) })
}

/// Values the server makes itself from literals, so that the encoder cannot hide a decoder's error.
fn server_made_values(target: &Target) -> Outcome {
    let mut conn = connect(target)?;
    let mut missing = Vec::new();
    let expect = |conn: &mut Connection, query: &str, expected: &Value| -> Result<(), String> {
        let back = single(conn, query, ()).map_err(|e| format!("{query}: {e}"))?;
        ensure(same(&back, expected), || format!("{query} gave {back:?} for {expected:?}"))
    };
    expect(&mut conn, "RETURN 9223372036854775807 AS x", &Value::Int(i64::MAX))?;
    expect(
        &mut conn,
        "RETURN [1, 2.5, 'x', null, true] AS x",
        &Value::List(vec![
            Value::Int(1),
            Value::Float(2.5),
            Value::from("x"),
            Value::Null,
            Value::Bool(true),
        ]),
    )?;
    expect(&mut conn, "RETURN date('2024-02-29') AS x", &Value::Date(Date { days: 19_782 }))?;
    expect(
        &mut conn,
        "RETURN localdatetime('1970-01-01T00:00:01') AS x",
        &Value::LocalDateTime(LocalDateTime { seconds: 1, nanoseconds: 0 }),
    )?;
    if target.kind.is_neo4j() {
        expect(
            &mut conn,
            "RETURN datetime('1970-01-01T02:15:00.000000042+01:00') AS x",
            &Value::DateTime(DateTime::new(4_500, 42, 3_600)),
        )?;
        expect(
            &mut conn,
            "RETURN duration('P1M2DT3.5S') AS x",
            &Value::Duration(Duration { months: 1, days: 2, seconds: 3, nanoseconds: 500_000_000 }),
        )?;
        expect(
            &mut conn,
            "RETURN point({x: 1.0, y: 2.0}) AS x",
            &Value::Point2D(Point2D { srid: 7_203, x: 1.0, y: 2.0 }),
        )?;
    } else {
        missing.push(
            "literal forms of date-times with an offset, durations and points (its own Cypher dialect)"
                .to_owned(),
        );
    }
    if conn.version() >= Version::V6_0 {
        let vector =
            single(&mut conn, "CYPHER 25 RETURN vector([1, 2, 3], 3, INT32) AS x", ()).map_err(text)?;
        ensure(
            matches!(&vector, Value::Vector(v) if v.element_type == ElementType::I32 && *v == Vector::from(&[1_i32, 2, 3][..])),
            || format!("vector() gave {vector:?}"),
        )?;
        let old = config(target)?.only_version(Version::V6_0).map_err(text)?;
        let mut old = Connection::connect(&old).map_err(text)?;
        let query = "CYPHER 25 RETURN uuid('550e8400-e29b-41d4-a716-446655440000') AS x";
        let back = single(&mut old, query, ()).map_err(text)?;
        ensure(matches!(&back, Value::Unsupported(u) if u.name == "UUID"), || {
            format!("a UUID on 6.0 gave {back:?}, expected the stand-in structure")
        })?;
    }
    Ok(if missing.is_empty() { Seen::Works } else { Seen::Partly(missing) })
}

fn types_on_each_version(target: &Target) -> Outcome {
    for &version in Version::SUPPORTED.iter().filter(|v| target.kind.serves(**v)) {
        let alone = config(target)?.only_version(version).map_err(text)?;
        let mut conn = Connection::connect(&alone).map_err(text)?;
        let on = |e: String| format!("on {version}: {e}");
        echo_all(&mut conn, &temporal_values()).map_err(on)?;
        // The UTC forms begin with 5.0; with 4.3 and 4.4 they may be agreed on, which only the first try tells.
        let utc = echo_all(&mut conn, &zoned_values(DateTimeForm::Utc));
        if version >= Version::V5_0 {
            utc.map_err(on)?;
        } else if utc.is_err() {
            echo_all(&mut conn, &zoned_values(DateTimeForm::LegacyLocal)).map_err(on)?;
        }
        let query = "CREATE (a:InteropV {k: 1})-[r:R {w: 2}]->(b:InteropV) WITH a, r, b MATCH p = (a)-[r]->(b) RETURN a, r, p";
        let mut rows = conn.run(query, ()).map_err(|e| on(text(e)))?;
        let mut seen = 0;
        while let Some(row) = rows.next().map_err(|e| on(text(e)))? {
            let ValueRef::Node(node) = row.value(0).map_err(text)? else { return Err(on("no node".into())) };
            ensure(
                node.properties().get_as::<i64>("k").map_err(text)? == 1,
                || on("property k lost".into()),
            )?;
            let ValueRef::Relationship(rel) = row.value(1).map_err(text)? else {
                return Err(on("no relationship".into()));
            };
            ensure(rel.rel_type().map_err(text)? == "R", || on("type lost".into()))?;
            let ValueRef::Path(path) = row.value(2).map_err(text)? else { return Err(on("no path".into())) };
            ensure(path.len() == 1, || on(format!("path of length {}", path.len())))?;
            seen += 1;
        }
        rows.finish().map_err(|e| on(text(e)))?;
        ensure(seen == 1, || on(format!("{seen} rows")))?;
        single(&mut conn, "MATCH (n:InteropV) DETACH DELETE n RETURN count(*) AS n", ())
            .map_err(|e| on(text(e)))?;
        conn.close();
    }
    Ok(Seen::Works)
}

fn sizes(target: &Target) -> Outcome {
    let mut conn = connect(target)?;
    for n in [0, 1, 15, 16, 17, 255, 256, 257, 65_535, 65_536, 1_000_000] {
        let mut values = vec![Value::String("s".repeat(n))];
        if target.kind != Kind::Kglite {
            values.push(Value::Bytes((0..n).map(|i| (i % 251) as u8).collect()));
        }
        if n <= 65_536 {
            values.push(Value::List((0..n as i64).map(Value::Int).collect()));
            values.push(Value::Map((0..n as i64).map(|i| (format!("k{i}"), Value::Int(i))).collect()));
        }
        for value in values {
            let back = echo(&mut conn, &value).map_err(|e| format!("size {n}, {}: {e}", brief(&value)))?;
            ensure(same(&back, &value), || {
                format!("size {n}: {} came back as {}", brief(&value), brief(&back))
            })?;
        }
    }
    let missing = if target.kind == Kind::Kglite { vec!["byte strings".to_owned()] } else { vec![] };
    Ok(if missing.is_empty() { Seen::Works } else { Seen::Partly(missing) })
}

fn large_messages(target: &Target) -> Outcome {
    let mut conn = connect(target)?;
    let value = Value::String("0123456789abcdef".repeat(700_000));
    let back = echo(&mut conn, &value).map_err(text)?;
    ensure(back == value, || "11 MB came back changed".to_owned())?;
    let mut rows = conn
        .run("UNWIND range(1, 20) AS i RETURN i, [x IN range(1, 50000) | x * i] AS l", ())
        .map_err(text)?;
    let mut sum = 0_i64;
    while let Some(row) = rows.next().map_err(text)? {
        let list: Vec<i64> = row.get(1).map_err(text)?;
        sum += list.iter().sum::<i64>();
    }
    rows.finish().map_err(text)?;
    ensure(sum == 210 * 1_250_025_000, || format!("sum over the long lists is {sum}"))?;
    alive(&mut conn)?;
    Ok(Seen::Works)
}

fn deep_nesting(target: &Target) -> Outcome {
    let mut conn = connect(target)?;
    let depth = target.kind.nesting();
    let mut value = Value::Int(1);
    for _ in 0..depth {
        value = Value::List(vec![value]);
    }
    let back = echo(&mut conn, &value).map_err(text)?;
    ensure(back == value, || format!("a list {depth} deep came back changed"))?;
    Ok(if depth < 1_000 {
        Seen::Partly(vec![format!("lists deeper than {depth} (the server's own limit)")])
    } else {
        Seen::Works
    })
}

fn graph(target: &Target) -> Outcome {
    let mut conn = connect(target)?;
    let rows = conn
        .run("CREATE (a:InteropA:InteropB {name: 'Ada', n: 1})-[:KNOWS {since: 1840}]->(b:InteropA {name: 'Charles'})", ())
        .map_err(text)?;
    let summary = rows.finish().map_err(text)?;
    ensure(summary.counters().nodes_created == 2, || format!("counters say {:?}", summary.counters()))?;
    let mut rows = conn
        .run("MATCH p = (a:InteropA {name: 'Ada'})-[r:KNOWS]->(b) RETURN a, r, b, p", ())
        .map_err(text)?;
    let mut seen = 0;
    while let Some(row) = rows.next().map_err(text)? {
        let ValueRef::Node(a) = row.by_name::<ValueRef<'_>>("a").map_err(text)? else {
            return Err("column a is no node".into());
        };
        let mut labels = a.labels().collect::<Result<Vec<&str>, _>>().map_err(text)?;
        labels.sort_unstable();
        ensure(labels == ["InteropA", "InteropB"], || format!("labels {labels:?}"))?;
        ensure(a.properties().get_as::<&str>("name").map_err(text)? == "Ada", || "name lost".into())?;
        let Value::Path(path) = row.by_name::<Value>("p").map_err(text)? else {
            return Err("no path".into());
        };
        ensure(path.nodes.len() == 2 && path.relationships.len() == 1, || format!("{path:?}"))?;
        seen += 1;
    }
    rows.finish().map_err(text)?;
    ensure(seen == 1, || format!("{seen} rows"))?;
    let left =
        single(&mut conn, "MATCH (n:InteropA) DETACH DELETE n RETURN count(*) AS n", ()).map_err(text)?;
    ensure(left == Value::Int(2), || format!("deleted {left:?}"))?;
    Ok(Seen::Works)
}

fn long_stream(target: &Target) -> Outcome {
    let mut conn = connect(target)?;
    let n = target.records as i64;
    let began = Instant::now();
    let mut rows = conn.run("UNWIND range(1, $n) AS x RETURN x, x * 2 AS y", [("n", n)]).map_err(text)?;
    let (mut count, mut sum) = (0_i64, 0_i64);
    while let Some(row) = rows.next().map_err(text)? {
        sum += row.get::<i64>(0).map_err(text)? + row.get::<i64>(1).map_err(text)?;
        count += 1;
    }
    rows.finish().map_err(text)?;
    ensure(count == n && sum == n * (n + 1) / 2 * 3, || format!("{count} records, sum {sum}"))?;
    println!(
        "{} {count} records in {:.2}s, buffer at most {} KiB",
        target.kind.name(),
        began.elapsed().as_secs_f64(),
        conn.stats().buffer.high_water_bytes / 1024,
    );
    Ok(Seen::Works)
}

fn fetch_sizes(target: &Target) -> Outcome {
    for size in [1, 2, 3, 7, 999, 1_000, 1_001, -1] {
        let mut conn = Connection::connect(&config(target)?.fetch_size(size)).map_err(text)?;
        for n in [0_i64, 1, 2, 3, 1_000, 2_500] {
            let mut rows = conn.run("UNWIND range(1, $n) AS x RETURN x", [("n", n)]).map_err(text)?;
            let mut seen = 0;
            while let Some(row) = rows.next().map_err(|e| format!("fetch size {size}, {n} rows: {e}"))? {
                seen += 1;
                ensure(row.get::<i64>(0).map_err(text)? == seen, || format!("row {seen} is out of order"))?;
            }
            rows.finish().map_err(text)?;
            ensure(seen == n, || format!("fetch size {size}: {seen} of {n} rows"))?;
        }
    }
    Ok(Seen::Works)
}

fn dropped_streams(target: &Target) -> Outcome {
    let mut conn = Connection::connect(&config(target)?.fetch_size(100)).map_err(text)?;
    for take in [0, 1, 49, 50, 51, 99, 100, 101, 250, 999, 1_000] {
        {
            let mut rows = conn.run("UNWIND range(1, 1000) AS x RETURN x", ()).map_err(text)?;
            for _ in 0..take {
                rows.next().map_err(text)?;
            }
        }
        alive(&mut conn).map_err(|e| format!("after dropping a stream at row {take}: {e}"))?;
    }
    Ok(Seen::Works)
}

fn failure_in_mid_stream(target: &Target) -> Outcome {
    const QUERY: &str = "UNWIND range(1, 5000) AS x RETURN 10 / (4000 - x) AS q";
    let mut conn = connect(target)?;
    if target.kind == Kind::Kglite {
        let error = conn.run(QUERY, ()).map(|_| ()).expect_err("a division by zero passed");
        ensure(error.is_connection_usable(), || format!("the connection is given up: {error}"))?;
        ensure(error.failure().is_some(), || format!("not the server's failure: {error}"))?;
        alive(&mut conn)?;
        let lack = "results are made whole before RUN answers, so that the failure is RUN's and no row comes before it";
        return Ok(Seen::Unsupported(lack.into()));
    }
    let mut rows = conn.run(QUERY, ()).map_err(text)?;
    let mut seen = 0;
    let error = loop {
        match rows.next() {
            Ok(Some(_)) => seen += 1,
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let error = error.ok_or(format!("no failure came after {seen} rows"))?;
    ensure(error.is_connection_usable(), || format!("the connection is given up: {error}"))?;
    let code = error.failure().map(|f| f.code.clone()).unwrap_or_default();
    ensure(code.contains("Arithmetic"), || format!("failure {code}: {error}"))?;
    if target.kind.is_neo4j() {
        ensure(seen == 3_999, || format!("{seen} rows before the failure, expected 3999"))?;
    }
    alive(&mut conn)?;
    Ok(Seen::Works)
}

fn errors(target: &Target) -> Outcome {
    let mut conn = connect(target)?;
    let error = single(&mut conn, "THIS IS NO QUERY", ()).expect_err("nonsense was accepted");
    ensure(error.failure().is_some_and(|f| f.code.starts_with("Neo.ClientError.")), || format!("{error}"))?;
    ensure(error.is_connection_usable() && !error.is_retryable(), || format!("judged wrongly: {error}"))?;
    alive(&mut conn)?;
    if !target.kind.is_neo4j() {
        return Ok(Seen::Partly(vec!["a missing parameter as an error (its own dialect)".into()]));
    }
    let error = single(&mut conn, "RETURN $missing AS x", ()).expect_err("a missing parameter was accepted");
    let code = error.failure().map(|f| f.code.clone()).unwrap_or_default();
    ensure(code == "Neo.ClientError.Statement.ParameterMissing", || format!("{code}: {error}"))?;
    alive(&mut conn)?;
    Ok(Seen::Works)
}

fn count_of(conn: &mut Connection, label: &str) -> Result<i64, String> {
    let value = single(conn, &format!("MATCH (n:{label}) RETURN count(n) AS n"), ()).map_err(text)?;
    if let Value::Int(n) = value { Ok(n) } else { Err(format!("count is {value:?}")) }
}

fn transactions(target: &Target) -> Outcome {
    let mut conn = connect(target)?;
    let mut missing = Vec::new();

    let mut tx = conn.begin(&TxOptions::default()).map_err(text)?;
    let rows = tx.run("CREATE (:InteropTx)", ()).map_err(text)?;
    tx.finish(rows).map_err(text)?;
    tx.rollback().map_err(text)?;
    ensure(count_of(&mut conn, "InteropTx")? == 0, || "rolled back, yet there".into())?;

    let mut tx = conn.begin(&TxOptions::default()).map_err(text)?;
    let rows = tx.run("CREATE (:InteropTx)", ()).map_err(text)?;
    tx.finish(rows).map_err(text)?;
    let bookmark = tx.commit().map_err(text)?;
    if bookmark.is_none() {
        missing.push("bookmarks".to_owned());
    }
    ensure(count_of(&mut conn, "InteropTx")? == 1, || "committed, yet not there".into())?;

    // A transaction dropped half-way is rolled back.
    {
        let mut tx = conn.begin(&TxOptions::default()).map_err(text)?;
        tx.run("CREATE (:InteropTx) WITH 1 AS one UNWIND range(1, 5000) AS x RETURN x", ()).map_err(text)?;
    }
    ensure(count_of(&mut conn, "InteropTx")? == 1, || "dropped, yet committed".into())?;

    // A failure ends the transaction; the connection lives.
    let mut tx = conn.begin(&TxOptions::default()).map_err(text)?;
    let refused = tx.run("THIS IS NO QUERY", ());
    ensure(refused.is_err(), || "nonsense was accepted".into())?;
    let late = tx.run("RETURN 1", ());
    ensure(late.is_err(), || "a failed transaction went on".into())?;
    drop(tx);
    alive(&mut conn)?;

    single(&mut conn, "MATCH (n:InteropTx) DETACH DELETE n RETURN count(*) AS n", ()).map_err(text)?;
    Ok(if missing.is_empty() { Seen::Works } else { Seen::Partly(missing) })
}

fn two_results_open(target: &Target) -> Outcome {
    let mut conn = Connection::connect(&config(target)?.fetch_size(7)).map_err(text)?;
    let mut tx = conn.begin(&TxOptions::default()).map_err(text)?;
    let one = tx.run("UNWIND range(1, 50) AS x RETURN x", ()).map_err(text)?;
    let two = tx.run("UNWIND range(1, 50) AS x RETURN x * 10 AS y", ()).map_err(text)?;
    for i in 1..=50 {
        let b = tx.next(two).map_err(text)?.ok_or("two ended early")?.get::<i64>(0).map_err(text)?;
        let a = tx.next(one).map_err(text)?.ok_or("one ended early")?.get::<i64>(0).map_err(text)?;
        ensure(a == i && b == i * 10, || format!("row {i}: {a} and {b}"))?;
    }
    ensure(tx.next(one).map_err(text)?.is_none(), || "one goes on".into())?;
    ensure(tx.next(two).map_err(text)?.is_none(), || "two goes on".into())?;
    tx.commit().map_err(text)?;
    alive(&mut conn)?;
    Ok(Seen::Works)
}

const BUSY: &str = "UNWIND range(1, 1000) AS a UNWIND range(1, 20000) AS b WITH a * b AS c WHERE c % 7 = 3 RETURN count(c) AS n";

/// ROUTE or its procedure, LOGOFF and LOGON, TELEMETRY: what a driver asks between queries, on every version that has it.
fn between_queries(target: &Target) -> Outcome {
    let mut missing: Vec<String> = Vec::new();
    let mut lacks = |what: &str, version: Version, error: &Error| {
        let name = format!("{what} ({error})");
        if !missing.iter().any(|known| known.starts_with(what)) {
            missing.push(format!("{name}, from Bolt {version} on"));
        }
    };
    for &version in Version::SUPPORTED.iter().filter(|v| target.kind.serves(**v)) {
        let alone = config(target)?.only_version(version).map_err(text)?;
        let connect = || Connection::connect(&alone).map_err(text);
        let mut conn = connect()?;
        let options = RouteOptions {
            context: vec![("address".to_owned(), target.address.clone())],
            database: Some("neo4j".to_owned()),
            ..RouteOptions::default()
        };
        match conn.route(&options) {
            Ok(table) => {
                ensure(
                    !table.routers.is_empty() && !table.readers.is_empty() && table.ttl_seconds > 0,
                    || format!("a table on {version} without servers: {table:?}"),
                )?;
                alive(&mut conn).map_err(|e| format!("after ROUTE on {version}: {e}"))?;
            }
            Err(error) if !target.kind.is_neo4j() => lacks("a routing table", version, &error),
            Err(error) => return Err(format!("ROUTE on {version}: {error}")),
        }
        if version >= Version::V5_1 {
            let mut conn = connect()?;
            conn.logoff().map_err(text)?;
            conn.logon(&Auth::basic(&target.user, &target.password)).map_err(text)?;
            let writes = conn.stats().writes;
            match single(&mut conn, "RETURN 7 AS n", ()) {
                Ok(_) => {
                    ensure(conn.stats().writes == writes + 1, || "LOGON and RUN in two writes".to_owned())?;
                }
                Err(error) if !target.kind.is_neo4j() => lacks("LOGOFF and LOGON", version, &error),
                Err(error) => return Err(format!("LOGOFF, LOGON, RUN on {version}: {error}")),
            }
            let mut conn = connect()?;
            conn.logoff().map_err(text)?;
            conn.logon(&Auth::basic(&target.user, "wrong")).map_err(text)?;
            let refused = single(&mut conn, "RETURN 7 AS n", ());
            ensure(refused.is_err(), || format!("LOGON on {version} took a wrong password"))?;
        }
        if version >= Version::V5_4 {
            let mut conn = connect()?;
            conn.telemetry(TelemetryApi::AutoCommit).map_err(text)?;
            match single(&mut conn, "RETURN 7 AS n", ()) {
                Ok(_) => {}
                Err(error) if !target.kind.is_neo4j() => lacks("TELEMETRY", version, &error),
                Err(error) => return Err(format!("TELEMETRY on {version}: {error}")),
            }
        }
    }
    Ok(if missing.is_empty() { Seen::Works } else { Seen::Partly(missing) })
}

fn cancel_a_busy_query(target: &Target) -> Outcome {
    if matches!(target.kind, Kind::ArcadeDb | Kind::Kglite) {
        return Ok(Seen::Unsupported("RESET does not interrupt a running query on this server".into()));
    }
    let mut conn = connect(target)?;
    let handle = conn.cancel_handle();
    let began = Instant::now();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Span::from_millis(300));
        handle.cancel()
    });
    let result = single(&mut conn, BUSY, ());
    let took = began.elapsed();
    thread.join().map_err(|_| "the cancelling thread panicked")?.map_err(text)?;
    let error = result.err().ok_or("the busy query ended before it was cancelled")?;
    ensure(error.is_connection_usable(), || format!("the connection is given up: {error}"))?;
    alive(&mut conn)?;
    if took > Span::from_secs(15) && target.kind == Kind::Neo4j4 {
        return Ok(Seen::Partly(vec![format!(
            "an end soon after RESET: this server looks for it only where a query touches the store ({took:.1?})"
        )]));
    }
    ensure(took < Span::from_secs(15), || format!("cancelling took {took:?}"))?;
    Ok(Seen::Works)
}

fn cancel_a_stream(target: &Target) -> Outcome {
    let mut conn = Connection::connect(&config(target)?.fetch_size(-1)).map_err(text)?;
    let handle = conn.cancel_handle();
    let mut rows = conn.run("UNWIND range(1, 2000000) AS x RETURN x", ()).map_err(text)?;
    let mut seen = 0_u64;
    let ended = loop {
        match rows.next() {
            Ok(Some(_)) => seen += 1,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
        if seen == 1_000 {
            handle.cancel().map_err(text)?;
        }
    };
    match ended {
        Ok(()) if target.kind.is_neo4j() => return Err(format!("all {seen} records came in spite of RESET")),
        Err(error) if !error.is_connection_usable() => {
            return Err(format!("the connection is given up: {error}"));
        }
        _ => {}
    }
    alive(&mut conn)?;
    Ok(Seen::Works)
}

fn limits(target: &Target) -> Outcome {
    // A record beyond the message limit: an error that names the limit, and a connection that is over.
    let mut small = Limits::DEFAULT;
    small.message_bytes_max = 100_000;
    let mut conn = Connection::connect(&config(target)?.limits(small)).map_err(text)?;
    let mut rows = conn.run("RETURN [x IN range(1, 300000) | x] AS l", ()).map_err(text)?;
    let error = match rows.next() {
        Err(error) => error,
        Ok(_) => return Err("a record beyond the message limit was read".into()),
    };
    ensure(error.to_string().contains("100000"), || format!("the limit is not named: {error}"))?;
    ensure(!error.is_connection_usable(), || format!("the connection is kept: {error}"))?;
    ensure(conn.run("RETURN 1", ()).is_err(), || "a connection that is over was used".into())?;

    // A record deeper than the limit.
    let mut shallow = Limits::DEFAULT;
    shallow.depth_max = 20;
    let mut conn = Connection::connect(&config(target)?.limits(shallow)).map_err(text)?;
    let mut deep = Value::Int(1);
    for _ in 0..40 {
        deep = Value::List(vec![deep]);
    }
    ensure(echo(&mut conn, &deep).is_err(), || "a list deeper than the limit was read".into())?;
    Ok(Seen::Works)
}

fn noops(target: &Target) -> Outcome {
    if !target.noops {
        return Ok(Seen::Unsupported("the server cannot be told to send NOOP chunks, or was not".into()));
    }
    let mut conn = connect(target)?;
    let began = Instant::now();
    let value = single(&mut conn, BUSY, ()).map_err(text)?;
    ensure(matches!(value, Value::Int(n) if n > 0), || format!("{value:?}"))?;
    let noops = conn.stats().noops;
    ensure(noops > 0, || format!("no NOOP came in {:?}", began.elapsed()))?;
    println!("{} sent {noops} NOOPs in {:.1}s", target.kind.name(), began.elapsed().as_secs_f64());
    alive(&mut conn)?;
    Ok(Seen::Works)
}

fn read_mode(target: &Target) -> Outcome {
    let mut conn = connect(target)?;
    let options = RunOptions::read_only();
    let result = conn
        .run_with("CREATE (n:InteropRead) RETURN 1 AS n", (), &options)
        .and_then(|rows| rows.finish().map(drop));
    let seen = match (result, target.kind) {
        (Ok(()), Kind::ArcadeDb) => {
            Seen::Unsupported("READ mode does not refuse writes on this server".into())
        }
        (Ok(()), _) => return Err("a write went through in READ mode".into()),
        (Err(error), _) => {
            ensure(error.failure().is_some(), || format!("{error}"))?;
            Seen::Works
        }
    };
    single(&mut conn, "MATCH (n:InteropRead) DETACH DELETE n RETURN count(*) AS n", ()).map_err(text)?;
    alive(&mut conn)?;
    Ok(seen)
}

fn query_timeout(target: &Target) -> Outcome {
    if target.kind == Kind::ArcadeDb {
        return Ok(Seen::Unsupported("tx_timeout is ignored by this server".into()));
    }
    let mut conn = connect(target)?;
    let options = RunOptions::default().timeout(Span::from_millis(200));
    let began = Instant::now();
    let result = conn.run_with(BUSY, (), &options).and_then(|rows| rows.finish().map(drop));
    let error = result.err().ok_or(format!("ran to its end in {:?}", began.elapsed()))?;
    let code = error.failure().map(|f| f.code.clone()).unwrap_or_default();
    ensure(code.contains("TimedOut") || code.contains("Terminated"), || format!("{code}: {error}"))?;
    alive(&mut conn)?;
    Ok(Seen::Works)
}

fn wrong_password(target: &Target) -> Outcome {
    let wrong = config(target)?.auth(Auth::basic(&target.user, "certainly wrong"));
    let error = match Connection::connect(&wrong) {
        Ok(_) => return Err("a wrong password was accepted".into()),
        Err(error) => error,
    };
    let code = error.failure().map(|f| f.code.clone()).unwrap_or_default();
    ensure(code.starts_with("Neo.ClientError.Security."), || format!("{code}: {error}"))?;
    Ok(Seen::Works)
}

fn tls_only_port(target: &Target) -> Outcome {
    let Some(address) = &target.tls_only else {
        return Ok(Seen::Unsupported("no second port that wants TLS was given for this server".into()));
    };
    let mut config = Config::from_uri(&format!("bolt://{address}"))
        .map_err(text)?
        .auth(Auth::basic(&target.user, &target.password));
    config.login_timeout = Some(Span::from_secs(10));
    let began = Instant::now();
    let error = match Connection::connect(&config) {
        Ok(_) => return Err("a plain connection to a TLS-only port was accepted".into()),
        Err(error) => error.to_string(),
    };
    ensure(began.elapsed() < Span::from_secs(15), || "refusing took too long".into())?;
    ensure(error.contains("TLS"), || format!("the error does not speak of TLS: {error}"))?;
    Ok(Seen::Works)
}
