//! Values between the protocol and the embedded engine.
//!
//! Every value of the engine has a form in the protocol. The other way round bytes, points, vectors, UUIDs and structures have none and
//! are refused by name. Depth is bounded on both sides: parameters passed the server's depth limit, and the engine nests no deeper than
//! what it was given. The identity of a relationship is the engine's sequence number, which is never used twice.

use std::collections::{BTreeMap, HashMap};

use bolt_wire::{self as wire, DecodeError, MapRef, ValueRef};
use graphdblite::{Edge, Node, PathValue, Properties, Value};
use serde_json::json;

use crate::engine::{Fault, Graph};

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// The parameters of a query, for the engine.
///
/// # Errors
/// The first one the engine has no form for.
pub(crate) fn params(graph: &mut Graph, from: MapRef<'_>) -> Result<HashMap<String, Value>, Fault> {
    let mut params = HashMap::with_capacity(from.len());
    for entry in from.iter() {
        let (name, value) = entry.map_err(broken)?;
        params.insert(name.to_owned(), to_engine(graph, value).map_err(|f| f.about(name))?);
    }
    Ok(params)
}

fn broken(e: DecodeError) -> Fault {
    Fault::new("Neo.ClientError.Request.InvalidFormat", format!("the parameters cannot be read: {e}"))
}

fn to_engine(graph: &mut Graph, value: ValueRef<'_>) -> Result<Value, Fault> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Bool(v) => Value::Bool(v),
        ValueRef::Int(v) => Value::I64(v),
        ValueRef::Float(v) => Value::F64(v),
        ValueRef::String(v) => Value::String(v.to_owned()),
        ValueRef::List(list) => {
            let mut items = Vec::with_capacity(list.len());
            for item in list.iter() {
                items.push(to_engine(graph, item.map_err(broken)?)?);
            }
            Value::List(items)
        }
        ValueRef::Map(map) => {
            let mut entries = BTreeMap::new();
            for entry in map.iter() {
                let (key, value) = entry.map_err(broken)?;
                entries.insert(key.to_owned(), to_engine(graph, value)?);
            }
            Value::Map(entries)
        }
        ValueRef::Date(d) => made("Date", ymd(d.days)?)?,
        ValueRef::LocalTime(t) => made("LocalTime", hms(t.nanoseconds)?)?,
        ValueRef::Time(t) => {
            made("Time", merged(hms(t.nanoseconds)?, "offset_seconds", json!(t.offset_seconds)))?
        }
        ValueRef::LocalDateTime(t) => made("LocalDateTime", ymd_hms(t.seconds, t.nanoseconds)?)?,
        ValueRef::DateTime(t) => {
            let local = t.local_seconds().ok_or_else(|| out_of_range("date-time"))?;
            made(
                "DateTime",
                merged(ymd_hms(local, t.nanoseconds)?, "offset_seconds", json!(t.offset_seconds)),
            )?
        }
        ValueRef::DateTimeZoned(t) if t.form == wire::DateTimeForm::Utc => {
            graph.zoned(t.seconds, t.nanoseconds, t.zone)?
        }
        ValueRef::DateTimeZoned(_) => {
            return Err(no_form("a date-time of a zone in the form before Bolt 5.0"));
        }
        ValueRef::Duration(d) => made(
            "Duration",
            json!({"months": d.months, "days": d.days, "seconds": d.seconds, "nanos": d.nanoseconds}),
        )?,
        other => return Err(no_form(other.type_name())),
    })
}

fn no_form(kind: &str) -> Fault {
    Fault::new("Neo.ClientError.Statement.TypeError", format!("{kind} is not known to the embedded graph"))
}

fn out_of_range(kind: &str) -> Fault {
    Fault::new(
        "Neo.ClientError.Statement.ArgumentError",
        format!("the {kind} is beyond what the embedded graph can hold"),
    )
}

/// Builds one of the engine's temporal values; their types have no public name, but a documented serialised form.
fn made(variant: &str, fields: serde_json::Value) -> Result<Value, Fault> {
    serde_json::from_value(json!({ variant: fields })).map_err(|_| out_of_range(variant))
}

fn merged(mut fields: serde_json::Value, key: &str, value: serde_json::Value) -> serde_json::Value {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
    fields
}

fn ymd(days: i64) -> Result<serde_json::Value, Fault> {
    // The engine's calendar ends some 260,000 years from now; the text form has the arithmetic already.
    let mut text = Vec::new();
    crate::scalar::date(&mut text, days);
    let text = String::from_utf8(text).map_err(|_| out_of_range("date"))?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.trim_start_matches('+')),
    };
    let mut parts = digits.split('-').map(|p| p.parse::<i64>().ok());
    let (Some(Some(year)), Some(Some(month)), Some(Some(day))) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(out_of_range("date"));
    };
    let year = i32::try_from(if negative { -year } else { year }).map_err(|_| out_of_range("date"))?;
    Ok(json!({"year": year, "month": month, "day": day}))
}

fn hms(nanos: i64) -> Result<serde_json::Value, Fault> {
    let (seconds, nanos) = (nanos.div_euclid(NANOS_PER_SECOND), nanos.rem_euclid(NANOS_PER_SECOND));
    if !(0..SECONDS_PER_DAY).contains(&seconds) {
        return Err(out_of_range("time"));
    }
    Ok(
        json!({"hour": seconds / 3_600, "minute": seconds / 60 % 60, "second": seconds % 60, "nanosecond": nanos}),
    )
}

fn ymd_hms(seconds: i64, nanos: i64) -> Result<serde_json::Value, Fault> {
    // Nanoseconds beyond a second carry over, as real servers do.
    let seconds =
        seconds.checked_add(nanos.div_euclid(NANOS_PER_SECOND)).ok_or_else(|| out_of_range("date-time"))?;
    let mut fields = ymd(seconds.div_euclid(SECONDS_PER_DAY))?;
    let clock =
        hms(seconds.rem_euclid(SECONDS_PER_DAY) * NANOS_PER_SECOND + nanos.rem_euclid(NANOS_PER_SECOND))?;
    if let (Some(fields), Some(clock)) = (fields.as_object_mut(), clock.as_object()) {
        fields.extend(clock.clone());
    }
    Ok(fields)
}

/// An engine's value, for the wire.
pub(crate) fn to_wire(value: &Value) -> wire::Value {
    match value {
        Value::Null => wire::Value::Null,
        Value::Bool(v) => wire::Value::Bool(*v),
        Value::I64(v) => wire::Value::Int(*v),
        Value::F64(v) => wire::Value::Float(*v),
        Value::String(v) => wire::Value::String(v.clone()),
        Value::List(items) => wire::Value::List(items.iter().map(to_wire).collect()),
        Value::Map(entries) => {
            wire::Value::Map(entries.iter().map(|(k, v)| (k.clone(), to_wire(v))).collect())
        }
        Value::Node(n) => wire::Value::Node(Box::new(node(n))),
        Value::Edge(e) => wire::Value::Relationship(Box::new(relationship(e))),
        Value::Path(p) => wire::Value::Path(Box::new(path(p))),
        Value::Date(d) => {
            let midnight = d.0.and_time(Default::default());
            wire::Value::Date(wire::Date { days: midnight.and_utc().timestamp().div_euclid(SECONDS_PER_DAY) })
        }
        Value::LocalTime(t) => wire::Value::LocalTime(wire::LocalTime {
            nanoseconds: nanos(t.0.signed_duration_since(Default::default()).num_nanoseconds()),
        }),
        Value::Time(t) => wire::Value::Time(wire::Time {
            nanoseconds: nanos(t.0.signed_duration_since(Default::default()).num_nanoseconds()),
            offset_seconds: i64::from(t.1.local_minus_utc()),
        }),
        Value::LocalDateTime(t) => {
            let t = t.0.and_utc();
            wire::Value::LocalDateTime(wire::LocalDateTime {
                seconds: t.timestamp(),
                nanoseconds: i64::from(t.timestamp_subsec_nanos()),
            })
        }
        Value::DateTime(t) => {
            let offset_seconds = i64::from(t.1.local_minus_utc());
            let local = t.0.and_utc();
            let (seconds, nanoseconds) =
                (local.timestamp() - offset_seconds, i64::from(local.timestamp_subsec_nanos()));
            match &t.2 {
                Some(zone) => wire::Value::DateTimeZoned(Box::new(wire::DateTimeZoned {
                    seconds,
                    nanoseconds,
                    zone: zone.clone(),
                    form: wire::DateTimeForm::Utc,
                })),
                None => wire::Value::DateTime(wire::DateTime::new(seconds, nanoseconds, offset_seconds)),
            }
        }
        Value::Duration(d) => wire::Value::Duration(wire::Duration {
            months: d.months,
            days: d.days,
            // The wire has no negative nanoseconds: half a second back is one back and half a one forth.
            seconds: d.seconds.saturating_add(d.nanos.div_euclid(NANOS_PER_SECOND)),
            nanoseconds: d.nanos.rem_euclid(NANOS_PER_SECOND),
        }),
    }
}

fn nanos(since_midnight: Option<i64>) -> i64 {
    // A day has 8.64e13 nanoseconds: always within 64 bits.
    since_midnight.unwrap_or(0)
}

fn id(id: u64) -> i64 {
    // The engine counts from 1 upwards, one at a time.
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn properties(from: &Properties) -> wire::Map {
    let mut entries: Vec<(&String, &Value)> = from.iter().collect();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    entries.into_iter().map(|(k, v)| (k.clone(), to_wire(v))).collect()
}

fn node(n: &Node) -> wire::Node {
    wire::Node {
        id: id(n.id.0),
        labels: n.labels.clone(),
        properties: properties(&n.properties),
        element_id: Some(element_id('n', n.id.0)),
    }
}

/// `n:7` or `r:7`: opaque to clients, and never the same for a node and a relationship.
fn element_id(kind: char, id: u64) -> String {
    format!("{kind}:{id}")
}

fn relationship(e: &Edge) -> wire::Relationship {
    wire::Relationship {
        id: id(e.seq),
        start_id: id(e.src.0),
        end_id: id(e.dst.0),
        rel_type: e.label.clone(),
        properties: properties(&e.properties),
        element_ids: Some([element_id('r', e.seq), element_id('n', e.src.0), element_id('n', e.dst.0)]),
    }
}

/// Nodes and relationships once each, and the walk over them.
fn path(p: &PathValue) -> wire::Path {
    let mut path = wire::Path::default();
    let (mut node_at, mut edge_at) = (HashMap::new(), HashMap::new());
    let mut place = |path: &mut wire::Path, n: &Node| {
        *node_at.entry(n.id.0).or_insert_with(|| {
            path.nodes.push(node(n));
            path.nodes.len() - 1
        }) as i64
    };
    if let Some(first) = p.nodes.first() {
        place(&mut path, first);
    }
    for (edge, pair) in p.edges.iter().zip(p.nodes.windows(2)) {
        let number = *edge_at.entry(edge.seq).or_insert_with(|| {
            path.relationships.push(wire::UnboundRelationship {
                id: id(edge.seq),
                rel_type: edge.label.clone(),
                properties: properties(&edge.properties),
                element_id: Some(element_id('r', edge.seq)),
            });
            path.relationships.len()
        }) as i64;
        let to = place(&mut path, &pair[1]);
        path.indices.push(if edge.src == pair[0].id { number } else { -number });
        path.indices.push(to);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Access, Store};

    /// Sends a value as a parameter through the engine and back.
    fn round_trip(value: wire::Value) -> Result<wire::Value, Fault> {
        let store = Store::open(None).expect("a temporary graph");
        let mut graph = store.graph();
        let mut message = Vec::new();
        let dialect = wire::Dialect { uuid: true, vector: true, utc: true, element_ids: true };
        let sent = wire::Map::from([("x", value)]);
        wire::Encoder::new(&mut message, dialect).encode(&sent).expect("encoded");
        wire::Walker::new(1_024).walk(&message, 0, dialect).expect("walked");
        let map = wire::RawRef::new(&message, 0).map().expect("a map");
        let params = params(&mut graph, map)?;
        let answer = graph.run("RETURN $x AS x", &params, Access::Read)?;
        Ok(to_wire(answer.records[0].value_at(0).expect("a value")))
    }

    #[test]
    fn every_value_the_engine_knows_comes_back() {
        for value in [
            wire::Value::Null,
            wire::Value::Bool(true),
            wire::Value::Int(i64::MIN),
            wire::Value::Float(-0.0),
            wire::Value::String("größe\u{0}😀".into()),
            wire::Value::List(vec![wire::Value::Int(1), wire::Value::List(vec![]), wire::Value::Null]),
            wire::Value::Map(wire::Map::from([
                ("a", wire::Value::Int(1)),
                ("b", wire::Value::Map(wire::Map::default())),
            ])),
            wire::Value::Date(wire::Date { days: 19_782 }),
            wire::Value::Date(wire::Date { days: -800_000 }),
            wire::Value::LocalTime(wire::LocalTime { nanoseconds: 86_399_999_999_999 }),
            wire::Value::Time(wire::Time { nanoseconds: 1, offset_seconds: -3_600 }),
            wire::Value::LocalDateTime(wire::LocalDateTime { seconds: -1, nanoseconds: 999_999_999 }),
            wire::Value::DateTime(wire::DateTime::new(4_500, 42, 3_600)),
            wire::Value::DateTimeZoned(Box::new(wire::DateTimeZoned {
                seconds: 1_700_000_000,
                nanoseconds: 7,
                zone: "Europe/Paris".into(),
                form: wire::DateTimeForm::Utc,
            })),
            wire::Value::Duration(wire::Duration {
                months: 14,
                days: -3,
                seconds: -1,
                nanoseconds: 500_000_000,
            }),
        ] {
            assert_eq!(round_trip(value.clone()), Ok(value));
        }
    }

    #[test]
    fn what_has_no_form_is_refused_by_name() {
        for (value, part) in [
            (wire::Value::Bytes(vec![1]), "bytes"),
            (wire::Value::Point2D(wire::Point2D { srid: 7_203, x: 1.0, y: 2.0 }), "point"),
            (wire::Value::Uuid(wire::Uuid([7; 16])), "UUID"),
            (wire::Value::Date(wire::Date { days: i64::MAX }), "beyond"),
            (wire::Value::LocalTime(wire::LocalTime { nanoseconds: -1 }), "beyond"),
        ] {
            let fault = round_trip(value).expect_err("refused");
            assert!(fault.message.contains(part) && fault.message.contains("$x"), "{}", fault.message);
        }
    }

    #[test]
    fn a_path_lists_each_node_once_and_walks_backwards() {
        let store = Store::open(None).expect("a temporary graph");
        let mut graph = store.graph();
        let none = HashMap::new();
        graph.run("CREATE (a:A)-[:T]->(b:B)-[:T]->(a)", &none, Access::Write).expect("created");
        let answer =
            graph.run("MATCH p = (:B)<-[:T]-(:A)<-[:T]-(:B) RETURN p", &none, Access::Read).expect("found");
        let wire::Value::Path(path) = to_wire(answer.records[0].value_at(0).expect("a path")) else {
            panic!("a path")
        };
        assert_eq!((path.nodes.len(), path.relationships.len()), (2, 2));
        assert_eq!(path.indices, [-1, 1, -2, 0]);
        assert_eq!(path.steps().count(), 2);
    }
}
