//! Generated streams: every value as promised, interrupts, back-pressure, pipelines.

use std::time::{Duration, Instant};

use bolt_server::generated::{Expected, LIST_ITEMS, MIXED_KINDS, Shape, expected, list_item};
use bolt_wire::request::{Discard, Pull, Reset, RunExtra};
use bolt_wire::{Map, Value, Version};

use crate::client::{Answer, Client, map, serve};

fn add(value: &Value, sum: &mut Expected) {
    match value {
        Value::Int(int) => sum.ints = sum.ints.wrapping_add(*int),
        Value::Float(float) => sum.floats += float,
        Value::String(text) => sum.string_bytes += text.len() as u64,
        Value::Bool(true) => sum.trues += 1,
        Value::List(items) => items.iter().for_each(|item| add(item, sum)),
        Value::Node(node) => node.properties.0.iter().for_each(|(_, value)| add(value, sum)),
        _ => {}
    }
}

/// Read with a batch size that divides nothing, across the end of a block: sums and counts are those promised.
#[test]
fn what_arrives_adds_up() {
    let server = serve(|_| {});
    for version in [Version::V4_0, Version::V4_4, Version::V5_4, Version::V6_1] {
        let mut client = Client::login(server.handle().local_addr(), version);
        for (name, shape, n) in [
            ("scalars", Shape::Scalars, 9_000),
            ("nodes", Shape::Nodes, 5_000),
            ("lists", Shape::Lists, 1_500),
            ("scalars", Shape::Scalars, 0),
        ] {
            client.queue_run(&format!("CALL generate.{name}($n)"), &map([("n", Value::Int(n))])).send();
            let run = client.answer().success();
            let columns: Vec<_> = shape.columns().iter().map(|c| Value::String((*c).to_owned())).collect();
            assert_eq!(run.get("fields"), Some(&Value::List(columns)));
            let mut sum = Expected::default();
            loop {
                client.queue_pull(777).send();
                let (records, end) = client.records();
                assert!(records.len() <= 777);
                for record in &records {
                    assert_eq!(record.len(), shape.columns().len());
                    sum.records += 1;
                    record.iter().for_each(|value| add(value, &mut sum));
                }
                if end.success().get("has_more").is_none() {
                    break;
                }
                assert_eq!(records.len(), 777, "a batch that is not the last is full");
            }
            assert_eq!(sum, expected(shape, n as u64), "{name} on {version}");
        }
    }
}

#[test]
fn list_items_are_the_formula() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    let (records, end) = client.query("CALL generate.lists(3)", &Map::default());
    end.success();
    for (r, record) in records.iter().enumerate() {
        let items: Vec<_> = (0..LIST_ITEMS).map(|j| Value::Int(list_item(r as u64, j))).collect();
        assert_eq!(record, &[Value::List(items)]);
    }
}

/// Each type of the mixed stream decodes as the type it is named for, in every dialect.
#[test]
fn mixed_holds_every_type_that_its_version_has() {
    let server = serve(|_| {});
    for version in [Version::V4_1, Version::V4_4, Version::V5_8, Version::V6_0, Version::V6_1] {
        let mut client = Client::login(server.handle().local_addr(), version);
        let (records, end) = client.query("CALL generate.mixed(5000)", &Map::default());
        end.success();
        assert_eq!(records.len(), 5000);
        for (i, record) in records.iter().enumerate() {
            let r = i as i64 % 4096;
            assert_eq!(record[0], Value::Int(r));
            let kind = MIXED_KINDS[r as usize % MIXED_KINDS.len()];
            let value = &record[1];
            let right = match kind {
                "null" => *value == Value::Null,
                "true" => *value == Value::Bool(true),
                "false" => *value == Value::Bool(false),
                "integer of any width" => matches!(value, Value::Int(_)),
                "float" => matches!(value, Value::Float(_)),
                "empty string" => *value == Value::String(String::new()),
                "string of 0 to 299 bytes" => {
                    matches!(value, Value::String(text) if text.len() as i64 == r % 300)
                }
                "string beyond ASCII" => *value == Value::String("größe 数 \u{1F980}".into()),
                "bytes of 0 to 299" => matches!(value, Value::Bytes(bytes) if bytes.len() as i64 == r % 300),
                "empty list" => *value == Value::List(vec![]),
                "list of mixed types" => matches!(value, Value::List(items) if items.len() == 4),
                "list nested 20 deep" => matches!(value, Value::List(items) if items.len() == 1),
                "dictionary of 3" => matches!(value, Value::Map(map) if map.0.len() == 3),
                "dictionary of 20" => {
                    matches!(value, Value::Map(map) if map.get("key19") == Some(&Value::Int(r * 19)))
                }
                "date" => matches!(value, Value::Date(_)),
                "time" => matches!(value, Value::Time(_)),
                "local time" => matches!(value, Value::LocalTime(_)),
                "date-time with offset" => {
                    matches!(value, Value::DateTime(time) if time.utc_seconds() == Some(r * 86_399))
                }
                "date-time with zone" => {
                    matches!(value, Value::DateTimeZoned(time) if time.zone == "Africa/Nairobi")
                }
                "local date-time" => matches!(value, Value::LocalDateTime(_)),
                "duration" => matches!(value, Value::Duration(_)),
                "point in the plane" => matches!(value, Value::Point2D(_)),
                "point in space" => matches!(value, Value::Point3D(_)),
                "node" => matches!(value, Value::Node(_)),
                "relationship" => matches!(value, Value::Relationship(_)),
                "path" => matches!(value, Value::Path(_)),
                "vector" if version >= Version::V6_0 => matches!(value, Value::Vector(_)),
                "UUID" if version == Version::V6_1 => matches!(value, Value::Uuid(_)),
                "UUID" if version == Version::V6_0 => matches!(value, Value::Unsupported(_)),
                "vector" | "UUID" => {
                    matches!(value, Value::Map(map) if map.get("reason") == Some(&Value::String("UNKNOWN_TYPE".into())))
                }
                other => panic!("{other}"),
            };
            assert!(right, "{kind} on {version} is {value:?}");
        }
    }
}

/// The client's own words come back byte for byte, whatever they are.
#[test]
fn parameters_are_echoed() {
    let server = serve(|_| {});
    for &version in Version::SUPPORTED {
        let mut client = Client::login(server.handle().local_addr(), version);
        let (records, end) = client.query("CALL generate.mixed(56)", &Map::default());
        end.success();
        for record in records {
            // Graph structures may not be sent by any client, and unsupported values by none either.
            if matches!(
                record[1],
                Value::Node(_) | Value::Relationship(_) | Value::Path(_) | Value::Unsupported(_)
            ) {
                continue;
            }
            let sent = record[1].clone();
            let (echo, end) = client.query("RETURN $x AS x, $x", &map([("x", sent.clone())]));
            end.success();
            // Compared as text, since NaN is not equal to itself.
            assert_eq!(format!("{:?}", echo[0]), format!("{:?}", [&sent, &sent]), "{version}");
        }
        let (_, end) = client.query("RETURN $missing", &Map::default());
        assert_eq!(end.failure(), "Neo.ClientError.Statement.ParameterMissing");
        client.reset();
        client.assert_alive();
    }
}

#[test]
fn large_parameters_travel_in_many_chunks() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    for len in [65_500, 65_536, 1 << 20, 20 << 20] {
        let text = "ab".repeat(len / 2);
        let (records, end) = client.query("RETURN $x", &map([("x", Value::String(text.clone()))]));
        end.success();
        assert!(records == [[Value::String(text)]], "{len} bytes came back changed");
    }
    client.assert_alive();
}

#[test]
fn a_failing_stream_delivers_what_came_before() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    for (n, fail_at, pull) in [(10, 4, -1), (10, 0, -1), (10, 4, 4), (10, 9, -1), (5000, 3999, 1000)] {
        let params = map([("n", Value::Int(n)), ("at", Value::Int(fail_at))]);
        client.queue_run("CALL generate.failing($n, $at)", &params).send();
        client.answer().success();
        let mut seen = 0;
        loop {
            client.queue_pull(pull).send();
            let (records, end) = client.records();
            for record in records {
                assert_eq!(record, [Value::Int(seen)]);
                seen += 1;
            }
            match end {
                Answer::Success(map) => assert_eq!(map.get("has_more"), Some(&Value::Bool(true))),
                other => {
                    assert_eq!(other.failure(), "Neo.ClientError.Statement.ArithmeticError");
                    let Answer::Failure(map) = other else { unreachable!() };
                    assert_eq!(map.get("gql_status"), Some(&Value::String("22012".into())));
                    break;
                }
            }
        }
        assert_eq!(seen, fail_at);
        client.queue_pull(1).send();
        assert_eq!(client.answer(), Answer::Ignored);
        client.reset();
    }
    // Nothing fails that ends before it.
    let (records, end) = client.query("CALL generate.failing(3, 3)", &Map::default());
    assert_eq!(records.len(), 3);
    end.success();
}

#[test]
fn a_slow_stream_sends_each_record_when_it_is_made() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    let begun = Instant::now();
    client.queue_run("CALL generate.slow(5, 30)", &Map::default()).queue_pull(-1).send();
    client.answer().success();
    for i in 0..5 {
        assert_eq!(client.answer(), Answer::Record(vec![Value::Int(i)]));
        assert!(begun.elapsed() >= Duration::from_millis(30) * (i as u32 + 1));
    }
    client.answer().success();
}

#[test]
fn reset_stops_an_endless_stream() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    let endless = map([("n", Value::Int(i64::MAX))]);
    for query in ["CALL generate.scalars($n)", "CALL generate.lists($n)", "CALL generate.slow($n, 60000)"] {
        client.queue_run(query, &endless).queue_pull(-1).queue_run("RETURN 1", &endless).send();
        client.answer().success();
        let slow = query.contains("slow");
        if slow {
            // Its first record is a minute away: nothing tells from outside that the PULL has begun.
            std::thread::sleep(Duration::from_millis(200));
        } else {
            // Far more than any buffer holds, so that the server is blocked in a write again and again.
            for _ in 0..50_000 {
                client.body().unwrap();
            }
        }
        let begun = Instant::now();
        client.queue(&Reset).send();
        let (_, tag) = client.count();
        // On a machine so busy that the PULL had not begun, the RESET overtakes it.
        let overtaken = slow && tag == bolt_wire::response::IGNORED;
        assert!(tag == bolt_wire::response::FAILURE || overtaken, "the PULL was stopped, answer {tag:02X}");
        assert_eq!(client.answer(), Answer::Ignored, "what was queued before the RESET is passed over");
        assert_eq!(client.answer(), Answer::Success(Map::default()));
        assert!(begun.elapsed() < Duration::from_secs(5), "{query} took {:?} to stop", begun.elapsed());
        client.assert_alive();
    }
}

/// DISCARD gives up an endless result at once, and part of one keeps its place.
#[test]
fn discard_skips() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    client.queue_run("CALL generate.slow(10, 0)", &Map::default());
    client.queue(&Discard { n: 4, qid: None }).queue(&Pull { n: 2, qid: Some(0) });
    client.queue(&Discard { n: -1, qid: Some(-1) }).send();
    client.answer().success();
    assert_eq!(client.answer().success(), map([("has_more", Value::Bool(true))]));
    let (records, end) = client.records();
    assert_eq!(records, [[Value::Int(4)], [Value::Int(5)]]);
    end.success();
    assert!(client.answer().success().get("bookmark").is_some());
    client.queue_run("CALL generate.nodes(9223372036854775807)", &Map::default());
    client.queue(&Discard { n: -1, qid: None }).send();
    client.answer().success();
    client.answer().success();
    client.assert_alive();
}

#[test]
fn two_hundred_queries_in_one_flight() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    for i in 0..200 {
        client.queue_run("RETURN $i AS i", &map([("i", Value::Int(i))])).queue_pull(-1);
    }
    client.send();
    for i in 0..200 {
        client.answer().success();
        assert_eq!(client.answer(), Answer::Record(vec![Value::Int(i)]));
        client.answer().success();
    }
}

/// More requests in flight than the server queues: it stops reading until there is room, and loses none.
#[test]
fn a_flight_larger_than_the_queue_is_served_in_turn() {
    let server = serve(|config| (config.queued_requests_max, config.queued_bytes_max) = (3, 200));
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    for i in 0..500 {
        client.queue_run("RETURN $i AS i", &map([("i", Value::Int(i))])).queue_pull(-1);
    }
    client.send();
    for i in 0..500 {
        client.answer().success();
        assert_eq!(client.answer(), Answer::Record(vec![Value::Int(i)]));
        client.answer().success();
    }
}

#[test]
fn a_transaction_that_takes_too_long_is_stopped() {
    let server = serve(|_| {});
    let mut client = Client::login(server.handle().local_addr(), Version::V5_8);
    let extra = RunExtra { tx_timeout: Some(Duration::from_millis(40)), ..RunExtra::default() };
    let begun = Instant::now();
    let run = bolt_wire::request::Run { query: "CALL generate.slow(1, 60000)", params: &(), extra: &extra };
    client.queue(&run).queue_pull(-1).send();
    client.answer().success();
    assert!(client.answer().failure().ends_with("TransactionTimedOutClientConfiguration"));
    assert!(begun.elapsed() >= Duration::from_millis(40) && begun.elapsed() < Duration::from_secs(10));
    client.reset();
    // The timeout went with its transaction.
    std::thread::sleep(Duration::from_millis(50));
    client.assert_alive();
    // An explicit one runs out between requests.
    client.queue(&bolt_wire::request::Begin { extra: &extra }).send();
    client.answer().success();
    std::thread::sleep(Duration::from_millis(60));
    client.queue(&bolt_wire::request::Commit).send();
    assert!(client.answer().failure().ends_with("TransactionTimedOutClientConfiguration"));
    client.reset();
    client.assert_alive();
}
