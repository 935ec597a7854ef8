//! Requests both ways: what a version cannot carry is refused before it is sent, what is sent is read back, and what is malformed is told
//! from what ends the connection.

use std::time::Duration;

use bolt_wire::request::{
    AccessMode, Begin, BoltAgent, Discard, Hello, Logoff, Logon, MinimumSeverity, NotificationClass,
    NotificationFilter, Pull, Request, RequestError, RequestTag, Route, Run, RunExtra, Telemetry,
    TelemetryApi, WriteMessage,
};
use bolt_wire::{Auth, AuthRef, EncodeError, Map, Value, Version, Walker};

use crate::proto_golden::body;

fn parse(body: &[u8], version: Version) -> Result<Request<'_>, RequestError> {
    Request::parse(body, version, false, &mut Walker::default())
}

fn since(message: &impl WriteMessage, first: Version) {
    for &version in Version::SUPPORTED {
        let mut out = vec![0xEE];
        match message.write(version, false, &mut out) {
            Ok(()) => assert!(version >= first, "{version} took what needs {first}"),
            Err(EncodeError::Unsupported { since, .. }) => {
                assert!(version < first && since == first, "{version} refused, naming {since} for {first}");
                assert_eq!(out, [0xEE], "nothing was written");
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn what_a_version_cannot_carry_is_refused_before_it_is_sent() {
    let auth = Auth::None;
    let default = RunExtra::default();
    let imp = RunExtra { imp_user: Some("alice"), ..default };
    let notifications = NotificationFilter { minimum_severity: Some(MinimumSeverity::Off), disabled: None };
    let filtered = RunExtra { notifications, ..default };
    let hello = Hello {
        user_agent: "a/1",
        bolt_agent: BoltAgent::default(),
        routing: None,
        auth: &auth,
        notifications: NotificationFilter::default(),
    };
    let route = Route { routing: &[], bookmarks: &[], db: None, imp_user: None };
    since(&Logon { auth: &auth }, Version::V5_1);
    since(&Logoff, Version::V5_1);
    since(&Telemetry { api: TelemetryApi::AutoCommit }, Version::V5_4);
    since(&Run { query: "", params: &(), extra: &default }, Version::V4_0);
    since(&Run { query: "", params: &(), extra: &RunExtra { db: Some("neo4j"), ..default } }, Version::V4_0);
    since(&Run { query: "", params: &(), extra: &imp }, Version::V4_4);
    since(&Begin { extra: &imp }, Version::V4_4);
    since(&Begin { extra: &filtered }, Version::V5_2);
    since(&hello, Version::V4_0);
    since(&Hello { routing: Some(&[]), ..hello }, Version::V4_1);
    since(&Hello { notifications, ..hello }, Version::V5_2);
    since(&route, Version::V4_3);
    let as_alice = Route { imp_user: Some("alice"), ..route };
    let refused = as_alice.check(Version::V4_3).unwrap_err();
    assert!(matches!(refused, EncodeError::Unsupported { since: Version::V4_4, .. }), "{refused}");
    assert_eq!(as_alice.check(Version::V4_4), Ok(()));
    since(&Run { query: "", params: &[("u", bolt_wire::Uuid([0; 16]))], extra: &default }, Version::V6_1);
    let vector = bolt_wire::Vector { element_type: bolt_wire::ElementType::I8, data: vec![1] };
    since(&Run { query: "", params: &[("v", Value::Vector(vector))], extra: &default }, Version::V6_0);
}

#[test]
fn a_timeout_is_rounded_but_not_to_nothing() {
    let table = [
        (Duration::ZERO, 0),
        (Duration::from_nanos(1), 1),
        (Duration::from_micros(500), 1),
        (Duration::from_micros(1_500), 2),
        (Duration::from_micros(2_500), 2),
        (Duration::from_micros(2_501), 3),
        (Duration::from_secs(30), 30_000),
        (Duration::MAX, i64::MAX),
    ];
    for (timeout, ms) in table {
        let extra = RunExtra { tx_timeout: Some(timeout), ..RunExtra::default() };
        let bytes = body(&Begin { extra: &extra }, Version::V5_8);
        let Request::Begin(read) = parse(&bytes, Version::V5_8).unwrap() else { panic!() };
        assert_eq!(read.tx_timeout_ms, Some(ms), "{timeout:?}");
    }
}

#[test]
fn what_is_sent_is_read_back_in_every_version() {
    let auth = Auth::Custom {
        scheme: "own".into(),
        principal: Some("me".into()),
        credentials: Some("it".into()),
        realm: Some("here".into()),
        parameters: Some(Map(vec![("k".into(), Value::Int(1))])),
    };
    let bookmarks = vec![String::from("b1")];
    let mut metadata = Map::new();
    metadata.insert("app", "demo");
    for &version in Version::SUPPORTED {
        let features = version.features();
        let filtered = features.filters != bolt_wire::FilterNames::None;
        let notifications = NotificationFilter {
            minimum_severity: filtered.then_some(MinimumSeverity::Information),
            disabled: if filtered { Some(&[NotificationClass::Hint]) } else { None },
        };
        let routing: &[(&str, &str)] = &[("address", "h:1")];
        let hello = Hello {
            user_agent: "a/1",
            bolt_agent: BoltAgent::default(),
            routing: features.hello_routing.then_some(routing),
            auth: &auth,
            notifications,
        };
        let bytes = body(&hello, version);
        let Request::Hello(read) = parse(&bytes, version).unwrap() else { panic!() };
        assert_eq!(read.user_agent, "a/1");
        assert_eq!(read.bolt_agent.is_some(), features.bolt_agent);
        assert_eq!(read.routing.is_some(), features.hello_routing);
        assert_eq!(read.utc_patch, features.utc_patch);
        assert_eq!(read.auth.is_some(), !features.logon);
        assert_eq!(read.notifications.minimum_severity, filtered.then_some("INFORMATION"));
        assert_eq!(read.notifications.disabled.map(|list| list.len()), filtered.then_some(1));
        let same = |read: AuthRef<'_>| {
            assert_eq!((read.scheme, read.principal), (Some("own"), Some("me")));
            assert_eq!((read.credentials, read.realm), (Some("it"), Some("here")));
            assert_eq!(read.parameters.map(|map| map.len()), Some(1));
            assert!(!format!("{read:?}").contains("it\""));
        };
        if features.logon {
            let bytes = body(&Logon { auth: &auth }, version);
            let Request::Logon(read) = parse(&bytes, version).unwrap() else { panic!() };
            same(read);
        } else {
            same(read.auth.unwrap());
        }
        let extra = RunExtra {
            mode: AccessMode::Read,
            db: Some("neo4j"),
            imp_user: features.impersonation.then_some("alice"),
            notifications,
            bookmarks: &bookmarks,
            tx_metadata: Some(&metadata),
            tx_timeout: None,
        };
        let bytes = body(&Run { query: "RETURN 1", params: &[("x", 1)], extra: &extra }, version);
        let Request::Run { query, params, extra: read } = parse(&bytes, version).unwrap() else { panic!() };
        assert_eq!((query, params.get_as::<i64>("x")), ("RETURN 1", Ok(1)));
        assert_eq!((read.mode, read.db), (AccessMode::Read, Some("neo4j")));
        assert_eq!(read.imp_user.is_some(), features.impersonation);
        assert_eq!(read.bookmarks.map(|list| list.len()), Some(1));
        assert_eq!(read.tx_metadata.unwrap().get_as::<&str>("app"), Ok("demo"));
        assert_eq!(read.notifications.disabled.is_some(), filtered);
        let default = RunExtra::default();
        let bytes = body(&Run { query: "", params: &(), extra: &default }, version);
        assert_eq!(bytes, b"\xB3\x10\x80\xA0\xA0");
        let bytes = body(&Pull { n: 5, qid: Some(2) }, version);
        let Request::Pull(read) = parse(&bytes, version).unwrap() else { panic!() };
        assert_eq!((read.n, read.qid), (Some(5), Some(2)));
        let bytes = body(&Discard { n: -1, qid: None }, version);
        let Request::Discard(read) = parse(&bytes, version).unwrap() else { panic!() };
        assert_eq!((read.n, read.qid), (None, None));
        let imp_user = features.impersonation.then_some("alice");
        let route = Route { routing, bookmarks: &bookmarks, db: Some("neo4j"), imp_user };
        if route.check(version).is_ok() {
            let bytes = body(&route, version);
            let Request::Route { routing, bookmarks, db, imp_user: read } = parse(&bytes, version).unwrap()
            else {
                panic!()
            };
            assert_eq!((routing.len(), bookmarks.len(), db, read), (1, 1, Some("neo4j"), imp_user));
        }
    }
}

#[test]
fn secrets_are_not_shown() {
    for auth in [Auth::basic("u", "hush"), Auth::bearer("hush"), Auth::kerberos("hush")] {
        assert!(!format!("{auth:?}").contains("hush"));
        let bytes = body(&Logon { auth: &auth }, Version::V5_8);
        assert!(!format!("{:?}", parse(&bytes, Version::V5_8).unwrap()).contains("hush"));
        let Request::Logon(read) = parse(&bytes, Version::V5_8).unwrap() else { panic!() };
        assert_eq!(read.credentials, Some("hush"));
        assert_eq!(read.scheme, Some(auth.scheme()));
    }
}

/// Malformed requests as real servers treat them: FAILURE and the connection lives, or a close without a word.
#[test]
fn malformed_requests() {
    let v = Version::V5_8;
    let invalid: [(&[u8], RequestTag, usize, &str); 22] = [
        (b"\xB2\x10\x80\xA0", RequestTag::Run, 0, "RUN, field count: at byte 0: RUN has 3 fields, found 2"),
        (b"\xB4\x10\x80\xA0\xA0\xA0", RequestTag::Run, 0, "RUN has 3 fields, found 4"),
        (b"\xB1\x0F\xA0", RequestTag::Reset, 0, "RESET has 0 fields, found 1"),
        (
            b"\xB3\x10\x01\xA0\xA0",
            RequestTag::Run,
            2,
            "RUN, query: at byte 2: expected a string, found an integer",
        ),
        (b"\xB3\x10\x82\xC3\x28\xA0\xA0", RequestTag::Run, 3, "UTF-8"),
        (b"\xB3\x10\x80\x90\xA0", RequestTag::Run, 3, "expected a dictionary, found a list"),
        (b"\xB3\x10\x80\xA2\x81a\x01\x81a\x02\xA0", RequestTag::Run, 9, "every key once"),
        (b"\xB3\x10\x80\xA0\x01", RequestTag::Run, 4, "expected a dictionary"),
        (b"\xB1\x11\x01", RequestTag::Begin, 2, "BEGIN, extra"),
        (b"\xB1\x11\xA1\x84mode\x81x", RequestTag::Begin, 8, "\"r\" or \"w\""),
        (b"\xB1\x11\xA1\x82db\x01", RequestTag::Begin, 6, "BEGIN, db: at byte 6: expected a string"),
        (b"\xB1\x11\xA1\x89bookmarks\x91\x01", RequestTag::Begin, 14, "expected a string"),
        (b"\xB1\x3F\xA0", RequestTag::Pull, 3, "PULL, n"),
        (b"\xB1\x3F\xA1\x81n\x00", RequestTag::Pull, 5, "at least 1, or -1"),
        (b"\xB1\x3F\xA1\x81n\xFE", RequestTag::Pull, 5, "at least 1, or -1"),
        (
            b"\xB1\x2F\xA1\x81n\xC1\0\0\0\0\0\0\0\0",
            RequestTag::Discard,
            5,
            "expected an integer, found a float",
        ),
        (b"\xB1\x54\x04", RequestTag::Telemetry, 2, "from 0 to 3"),
        (b"\xB3\x66\xA0\x90\xC0", RequestTag::Route, 4, "ROUTE, extra"),
        (b"\xB1\x01\xA0", RequestTag::Hello, 2, "HELLO, bolt_agent"),
        (b"\xB1\x01\xA1\x8Abolt_agent\xA1\x87product\x81x", RequestTag::Hello, 3, "HELLO, user_agent"),
        (b"\xB1\x01\xA1\x8Abolt_agent\xA0", RequestTag::Hello, 15, "HELLO, product"),
        (b"\xB1\x6A\xA1\x86scheme\x01", RequestTag::Logon, 10, "LOGON, auth: at byte 10"),
    ];
    for (bytes, tag, offset, text) in invalid {
        let refused = parse(bytes, v).unwrap_err();
        let RequestError::Invalid { request, error, .. } = refused else {
            panic!("{bytes:02X?}: {refused:?}")
        };
        assert_eq!((request, error.offset), (tag, offset), "{refused}");
        assert!(!refused.is_fatal() && refused.to_string().contains(text), "{refused}");
    }

    let deep = [&b"\xB3\x10\x80"[..], &[0xA1, 0x81, b'a'].repeat(100_000), &[1]].concat();
    let fatal: [(&[u8], Version, &str); 9] = [
        (b"", v, "at byte 0"),
        (b"\xB0", v, "2 bytes needed"),
        (b"\x01\x02", v, "a message is a structure"),
        (b"\xB1\x0E\xA0", v, "0E is no request"),
        (b"\xB1\x70\xA0", v, "70 is no request"),
        (b"\xB3\x10\xD2\x7F\xFF\xFF\xFFR", v, "2147483647 bytes needed"),
        (&deep, v, "deeper than the limit of 1024"),
        // Requests that the version does not have.
        (b"\xB1\x6A\xA0", Version::V5_0, "6A is no request"),
        (b"\xB3\x66\xA0\x90\xC0", Version::V4_2, "66 is no request"),
    ];
    for (bytes, version, text) in fatal {
        let refused = parse(bytes, version).unwrap_err();
        assert!(refused.is_fatal() && refused.to_string().contains(text), "{refused}");
    }

    // As real servers: left-over bytes, unknown keys, and null for what is not given are no harm.
    assert!(matches!(parse(b"\xB0\x0F\x01\x02", v), Ok(Request::Reset)));
    let Ok(Request::Begin(extra)) = parse(b"\xB1\x11\xA3\x82db\xC0\x84what\x90\x84mode\x81w", v) else {
        panic!()
    };
    assert_eq!((extra.db, extra.mode), (None, AccessMode::Write));
    let Ok(Request::Begin(extra)) = parse(b"\xB1\x11\xA1\x82db\x80", v) else { panic!() };
    assert_eq!(extra.db, None);
    // Many parameters, one of them twice.
    let mut many = vec![0xB3, 0x10, 0x80, 0xD8, 100];
    for i in 0..100_u8 {
        many.extend([0x82, b'a' + i / 10 % 10, b'0' + i % 10, i & 0x7F]);
    }
    many.push(0xA0);
    assert!(parse(&many, v).is_ok());
    many[6..8].copy_from_slice(b"c7");
    let refused = parse(&many, v).unwrap_err();
    assert!(refused.to_string().contains("every key once"), "{refused}");
}
