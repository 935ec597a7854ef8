//! What goes out, byte for byte: the official Python driver's messages (`tests/golden/make.py`) and the worked exchange of the specification.

use bolt_wire::chunk::MessageWriter;
use bolt_wire::request::{
    AccessMode, Begin, BoltAgent, Commit, Discard, Goodbye, Hello, Logoff, Logon, MinimumSeverity,
    NotificationClass, NotificationFilter, Pull, Reset, Rollback, Route, Run, RunExtra, Telemetry,
    TelemetryApi, WriteMessage,
};
use bolt_wire::response::{Ignored, Record, RunReply, Success};
use bolt_wire::{Auth, Bytes, Encode, EncodeError, Encoder, Map, Output, Params, Version};
use std::time::Duration;

pub(crate) fn body(message: &impl WriteMessage, version: Version) -> Vec<u8> {
    message.check(version).expect("the version can carry it");
    let mut out = Vec::new();
    message
        .encode_body(version, &mut Encoder::new(&mut out, version.dialect(false)))
        .expect("a Vec has room");
    out
}

/// The parameters that make.py sends with `run-extra`.
struct Mixed;

impl Params for Mixed {
    fn encode_params<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.map_header(2)?;
        e.str("a")?;
        e.list_header(6)?;
        e.int(1)?;
        e.float(2.5)?;
        e.str("three")?;
        e.null()?;
        e.bool(true)?;
        Bytes(&[1, 2]).encode(e)?;
        e.str("n")?;
        e.int(1 << 40)
    }
}

fn ours(version: Version, name: &str) -> Vec<u8> {
    let auth = Auth::basic("neo4j", "secret");
    let bookmarks: Vec<String> = vec!["b1".into(), "b2".into()];
    let mut metadata = Map::new();
    metadata.insert("app", "demo");
    let features = version.features();
    let filtered = features.filters != bolt_wire::FilterNames::None;
    let extra = RunExtra {
        mode: AccessMode::Read,
        db: Some("neo4j"),
        imp_user: features.impersonation.then_some("alice"),
        notifications: NotificationFilter {
            minimum_severity: filtered.then_some(MinimumSeverity::Off),
            disabled: if filtered { Some(&[NotificationClass::Schema]) } else { None },
        },
        bookmarks: &bookmarks,
        tx_metadata: Some(&metadata),
        tx_timeout: Some(Duration::from_millis(1_500)),
    };
    let hello = Hello {
        user_agent: "demo/1",
        bolt_agent: BoltAgent {
            product: "bs/1",
            platform: Some("p"),
            language: Some("Rust"),
            language_details: Some("d"),
        },
        routing: None,
        auth: &auth,
        notifications: NotificationFilter::default(),
    };
    let route = Route {
        routing: &[("address", "h:7687")],
        bookmarks: &bookmarks[..1],
        db: Some("neo4j"),
        imp_user: None,
    };
    match name {
        "hello" => body(&hello, version),
        // 4.0 has no routing in HELLO; the driver drops it silently, we refuse it.
        "hello-routed" if version == Version::V4_0 => body(&hello, version),
        "hello-routed" => {
            body(&Hello { routing: Some(&[("region", "eu"), ("address", "h:7687")]), ..hello }, version)
        }
        "hello-filtered" => {
            let notifications = NotificationFilter {
                minimum_severity: Some(MinimumSeverity::Warning),
                disabled: Some(&[NotificationClass::Hint, NotificationClass::Generic]),
            };
            body(&Hello { notifications, ..hello }, version)
        }
        "logon" => body(&Logon { auth: &auth }, version),
        "logoff" => body(&Logoff, version),
        "run" => {
            let (query, params) = ("RETURN $x AS x", &[("x", 1)]);
            body(&Run { query, params, extra: &RunExtra::default() }, version)
        }
        "run-extra" => body(&Run { query: "RETURN 1", params: &Mixed, extra: &extra }, version),
        "begin" => body(&Begin { extra: &extra }, version),
        "pull" => body(&Pull { n: 1_000, qid: None }, version),
        "pull-qid" => body(&Pull { n: -1, qid: Some(3) }, version),
        "discard" => body(&Discard { n: -1, qid: None }, version),
        "commit" => body(&Commit, version),
        "rollback" => body(&Rollback, version),
        "route" => body(&route, version),
        "route-imp" => body(&Route { bookmarks: &[], imp_user: Some("alice"), ..route }, version),
        "telemetry" => body(&Telemetry { api: TelemetryApi::AutoCommit }, version),
        "reset" => body(&Reset, version),
        "goodbye" => body(&Goodbye, version),
        _ => panic!("make.py writes {name}, which is unknown here"),
    }
}

#[test]
fn every_message_equals_the_official_drivers() {
    let golden = include_str!("../golden/driver-6.4.1.txt");
    let mut compared = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (version, name, hex) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let (major, minor) = version.split_once('.').unwrap();
        let version = Version::new(major.parse().unwrap(), minor.parse().unwrap());
        assert!(version.is_supported());
        let expected: Vec<u8> =
            (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
        assert_eq!(ours(version, name), expected, "{version} {name}");
        compared += 1;
    }
    assert!(compared > 200, "the golden file has shrunk to {compared} messages");
}

/// Bolt 5.8, HELLO to GOODBYE, as the specification's pages spell it.
#[test]
fn the_worked_exchange() {
    let version = Version::V5_8;
    let mut out = Vec::new();
    let auth = Auth::basic("neo4j", "secret");
    let agent = BoltAgent { product: "bs/1", platform: None, language: None, language_details: None };
    let hello = Hello {
        user_agent: "demo/1",
        bolt_agent: agent,
        routing: None,
        auth: &auth,
        notifications: NotificationFilter::default(),
    };
    hello.write(version, false, &mut out).unwrap();
    assert_eq!(
        out,
        b"\x00\x2E\xB1\x01\xA2\x8Auser_agent\x86demo/1\x8Abolt_agent\xA1\x87product\x84bs/1\x00\x00"
    );
    out.clear();
    Logon { auth: &auth }.write(version, false, &mut out).unwrap();
    assert_eq!(
        out,
        b"\x00\x33\xB1\x6A\xA3\x86scheme\x85basic\x89principal\x85neo4j\x8Bcredentials\x86secret\x00\x00"
    );
    out.clear();
    // RUN and PULL leave in one write.
    let extra = RunExtra { mode: AccessMode::Read, db: Some("neo4j"), ..RunExtra::default() };
    Run { query: "RETURN $x AS x", params: &[("x", 1)], extra: &extra }
        .write(version, false, &mut out)
        .unwrap();
    Pull { n: 1_000, qid: None }.write(version, false, &mut out).unwrap();
    assert_eq!(
        out,
        b"\x00\x26\xB3\x10\x8ERETURN $x AS x\xA1\x81x\x01\xA2\x84mode\x81r\x82db\x85neo4j\x00\x00\
          \x00\x08\xB1\x3F\xA1\x81n\xC9\x03\xE8\x00\x00"
    );
    out.clear();
    let reply = RunReply { fields: &["x"], t_first_ms: Some(5), qid: None, db: None };
    Success(reply).write(version, false, &mut out).unwrap();
    Record(&[1]).write(version, false, &mut out).unwrap();
    assert_eq!(
        out,
        b"\x00\x16\xB1\x70\xA2\x87t_first\x05\x86fields\x91\x81x\x00\x00\x00\x04\xB1\x71\x91\x01\x00\x00"
    );
    assert_eq!(body(&Ignored, version), b"\xB0\x7E");
    assert_eq!(body(&Success([("has_more", true)]), version), b"\xB1\x70\xA1\x88has_more\xC3");
    assert_eq!(body(&Pull { n: -1, qid: Some(0) }, version), b"\xB1\x3F\xA2\x81n\xFF\x83qid\x00");
}

/// An official driver cuts where it likes; what is equal is the message. Ours cuts at 65,535.
#[test]
fn a_long_message_is_cut_at_the_largest_chunk() {
    for len in [65_534, 65_535, 65_536, 131_070, 131_071] {
        let mut out = Vec::new();
        let mut message = MessageWriter::begin(&mut out).unwrap();
        message.write(&vec![7; len]).unwrap();
        assert_eq!(message.body_len(), len);
        let chunks = len.div_ceil(65_535);
        assert_eq!(message.finish().unwrap(), len + 2 * chunks + 2);
        assert_eq!(out.len(), len + 2 * chunks + 2);
        assert_eq!(out[..2], (len.min(65_535) as u16).to_be_bytes());
        assert_eq!(out[out.len() - 2..], [0, 0]);
    }
}
