//! For testing only (feature `model`): bytes as inputs to the protocol layer, each checked against a naive twin.
//!
//! Owns the properties that the tests here and the fuzz targets share. Each function panics when a promise is broken, and returns
//! otherwise. It is not part of the crate's interface.

use alloc::vec::Vec;

use crate::chunk::{ChunkError, Chunked, Dechunker, MessageWriter, look_ahead};
use crate::encode::{Encoder, Output};
use crate::failure::ServerFailure;
use crate::handshake::{ClientHandshake, HandshakeError, HandshakeStep, Offer, ServerHandshake};
use crate::limits::Limits;
use crate::record::Fields;
use crate::request::{Request, RequestTag, WriteMessage};
use crate::response::{Response, Success};
use crate::route::RoutingTable;
use crate::summary::{HelloSuccess, LogonSuccess, PullSuccess, ResultFacts, RunSuccess, Summary};
use crate::version::Version;
use crate::walk::Walker;

/// Takes decisions out of the input, zeros when it is used up.
#[derive(Debug)]
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> usize {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(first)
    }

    /// A size with a taste for borders: mostly small, now and then around a chunk's limit.
    fn size(&mut self) -> usize {
        match self.byte() {
            small @ 0..=199 => small,
            near @ 200..=229 => 65_535 - 15 + (near - 200),
            large => (large - 230) * 4_099,
        }
    }
}

#[derive(Debug, PartialEq)]
enum Event {
    Message(Vec<u8>),
    Noop,
}

/// What a stream of chunks means, read the obvious way: each event with the offset of its end.
fn dechunk_naively(raw: &[u8], message_bytes_max: usize) -> (Vec<(Event, usize)>, Option<usize>) {
    let (mut events, mut body, mut at) = (Vec::new(), Vec::new(), 0);
    loop {
        let Some(header) = raw.get(at..at + 2) else { return (events, None) };
        let size = usize::from(u16::from_be_bytes([header[0], header[1]]));
        at += 2;
        if size == 0 {
            let event =
                if body.is_empty() { Event::Noop } else { Event::Message(core::mem::take(&mut body)) };
            events.push((event, at));
            continue;
        }
        if body.len() + size > message_bytes_max {
            return (events, Some(body.len() + size));
        }
        let Some(chunk) = raw.get(at..at + size) else { return (events, None) };
        body.extend_from_slice(chunk);
        at += size;
    }
}

/// Chunked streams, well formed and not, through the [`Dechunker`] in any cuts: the same messages, the same refusal.
pub fn dechunk(input: &[u8]) {
    let mut source = Source(input);
    let mode = source.byte();
    let message_bytes_max = if mode & 2 == 0 { usize::MAX } else { source.size() };
    let mut raw = Vec::new();
    if mode & 1 == 0 {
        for _ in 0..source.byte() % 6 {
            for _ in 0..source.byte() % 3 {
                raw.extend_from_slice(&[0, 0]);
            }
            let message: Vec<u8> = (0..source.size().max(1)).map(|i| (i % 251) as u8 ^ 0x5A).collect();
            if source.byte() & 1 == 0 {
                // Our own writer, fed in pieces.
                let mut writer = MessageWriter::begin(&mut raw).expect("a Vec has room");
                let mut rest = &message[..];
                while !rest.is_empty() {
                    let (piece, later) = rest.split_at(source.size().clamp(1, rest.len()));
                    writer.write(piece).expect("a Vec has room");
                    rest = later;
                }
                assert_eq!(writer.body_len(), message.len());
                writer.finish().expect("a Vec has room");
            } else {
                let mut rest = &message[..];
                while !rest.is_empty() {
                    let (chunk, later) = rest.split_at(source.size().clamp(1, rest.len().min(65_535)));
                    raw.extend_from_slice(&(chunk.len() as u16).to_be_bytes());
                    raw.extend_from_slice(chunk);
                    rest = later;
                }
                raw.extend_from_slice(&[0, 0]);
            }
        }
    } else {
        raw.extend_from_slice(source.0);
    }

    let (expected, refused) = dechunk_naively(&raw, message_bytes_max);
    check_look_ahead(&raw);
    let mut expected = expected.into_iter().peekable();
    let mut dechunker = Dechunker::new();
    // The receive buffer: `unread` begins at `consumed` of the stream and moves in memory whenever it is drained.
    let (mut unread, mut consumed, mut received) = (Vec::new(), 0, 0);
    loop {
        match dechunker.next(&mut unread, message_bytes_max) {
            Ok(Chunked::Message { start, end, consumed: used }) => {
                consumed += used;
                let message = Event::Message(unread[start..end].to_vec());
                assert_eq!(expected.next(), Some((message, consumed)));
                unread.drain(..used);
            }
            Ok(Chunked::Noop { consumed: used }) => {
                for _ in 0..used / 2 {
                    consumed += 2;
                    assert_eq!(expected.next(), Some((Event::Noop, consumed)));
                }
                unread.drain(..used);
            }
            Ok(Chunked::NeedMore { at_least }) => {
                assert!(at_least > 0);
                if let Some((event, end)) = expected.peek() {
                    assert!(
                        *end >= received + at_least,
                        "{event:?} ends at {end}, asked {at_least} from {received}"
                    );
                }
                if received == raw.len() {
                    assert_eq!(expected.next(), None);
                    assert!(refused.is_none(), "{refused:?} was not refused");
                    return;
                }
                let end = (received + source.size().max(1)).min(raw.len());
                unread.extend_from_slice(&raw[received..end]);
                received = end;
            }
            Err(ChunkError { message_bytes, .. }) => {
                assert_eq!(expected.next(), None);
                assert_eq!(refused, Some(message_bytes));
                return;
            }
        }
    }
}

fn check_look_ahead(raw: &[u8]) {
    let (events, _) = dechunk_naively(raw, usize::MAX);
    let messages = events.iter().filter_map(|(event, end)| match event {
        Event::Message(body) => Some((body, *end)),
        Event::Noop => None,
    });
    let mut seen = look_ahead(raw);
    for (body, end) in messages {
        let ahead = seen.next().expect("a whole message is seen");
        assert_eq!(ahead.end, end);
        assert!(body.starts_with(ahead.first_chunk));
        assert_eq!(ahead.is_whole, body.len() == ahead.first_chunk.len());
    }
    assert!(seen.next().is_none());
}

/// Anything at all as the answer to a handshake, both ways: whole or byte by byte gives the same; and both halves agree with each other.
pub fn handshake(input: &[u8]) {
    let mut source = Source(input);
    let offer = pick_offer(&mut source);
    let server = pick_server(&mut source);
    let rest = source.0;

    let whole = ClientHandshake::new(&offer).read(rest, &mut Vec::new());
    let mut client = ClientHandshake::new(&offer);
    let by_byte = (0..=rest.len()).map(|end| client.read(&rest[..end], &mut Vec::new()));
    same_step(&whole, by_byte.into_iter().find(|step| *step != Ok(HandshakeStep::NeedMore)));
    if let Ok(HandshakeStep::Done { version, consumed, .. }) = whole {
        assert!(offer.contains(version) && consumed <= rest.len());
    }
    let _ = client.closed(rest);

    let mut out = Vec::new();
    let whole = server.clone().read(rest, &mut out);
    let (mut one, mut out_by_byte) = (server.clone(), Vec::new());
    let by_byte = (0..=rest.len()).map(|end| one.read(&rest[..end], &mut out_by_byte));
    same_step(&whole, by_byte.into_iter().find(|step| *step != Ok(HandshakeStep::NeedMore)));
    assert_eq!(out, out_by_byte);

    agree(&offer, server);
}

fn same_step(
    whole: &Result<HandshakeStep, HandshakeError>,
    by_byte: Option<Result<HandshakeStep, HandshakeError>>,
) {
    let by_byte = by_byte.unwrap_or(Ok(HandshakeStep::NeedMore));
    assert_eq!(*whole, by_byte);
}

fn pick_offer(source: &mut Source<'_>) -> Offer {
    let all = Version::SUPPORTED;
    let (a, b) = (all[source.byte() % all.len()], all[source.byte() % all.len()]);
    let offer = Offer::range(a.min(b), a.max(b)).expect("supported and in order");
    if source.byte() & 1 == 0 { offer } else { offer.without_manifest() }
}

fn pick_server(source: &mut Source<'_>) -> ServerHandshake {
    let all = Version::SUPPORTED;
    let (a, b) = (all[source.byte() % all.len()], all[source.byte() % all.len()]);
    let server = ServerHandshake::range(a.min(b), a.max(b)).expect("supported and in order");
    if source.byte() & 1 == 0 { server } else { server.without_manifest() }
}

fn agree(offer: &Offer, mut server: ServerHandshake) {
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let mut client = ClientHandshake::new(offer);
    client.start(&mut to_server).expect("a Vec has room");
    let served = server.read(&to_server, &mut to_client);
    match (client.read(&to_client, &mut to_server), served) {
        (Ok(HandshakeStep::Done { version, .. }), Ok(HandshakeStep::Done { version: same, .. })) => {
            assert_eq!(version, same);
        }
        (Ok(done @ HandshakeStep::Done { version, manifest: true, .. }), Ok(HandshakeStep::NeedMore)) => {
            let after = server.read(&to_server, &mut Vec::new());
            assert!(
                matches!(after, Ok(HandshakeStep::Done { version: same, .. }) if same == version),
                "{done:?} but {after:?}"
            );
        }
        (Err(HandshakeError::NoCommonVersion), Err(HandshakeError::NoCommonVersion)) => {}
        (Err(HandshakeError::NoneInManifest { .. }), Ok(HandshakeStep::NeedMore)) => {
            assert!(server.read(&to_server, &mut Vec::new()).is_err());
        }
        other => panic!("{offer:?} and {server:?} disagree: {other:?}"),
    }
}

/// Anything at all as a request of any version: parsed or refused, never worse; what is parsed can be shown.
pub fn request(input: &[u8]) {
    let mut source = Source(input);
    let version = Version::SUPPORTED[source.byte() % Version::SUPPORTED.len()];
    let utc = source.byte() & 1 == 1;
    let body = source.0;
    match Request::parse(body, version, utc, &mut Walker::default()) {
        Ok(request) => {
            assert_eq!(RequestTag::of(body, version), Ok(request.tag()));
            assert!(request.tag().exists_in(version));
            let _ = alloc::format!("{request:?}");
        }
        Err(error) => {
            let _ = (error.is_fatal(), alloc::format!("{error}"));
        }
    }
}

/// Anything at all as an answer in any version: parsed or refused, and then read as the answer to every request.
pub fn response(input: &[u8]) {
    let mut source = Source(input);
    let version = Version::SUPPORTED[source.byte() % Version::SUPPORTED.len()];
    let body = source.0;
    let limits = Limits { causes_max: 16, plan_operators_max: 64, ..Limits::default() };
    match Response::parse(body, version, false, &mut Walker::default()) {
        Ok(Response::Success(metadata)) => {
            let _ = HelloSuccess::read(metadata);
            let _ = LogonSuccess::read(metadata);
            let _ = RunSuccess::read(metadata, &mut Fields::new(), &limits);
            let _ = RoutingTable::read(metadata, &limits);
            let _ = PullSuccess::read(metadata);
            let facts = ResultFacts { t_first_ms: None, has_columns: true, has_records: false };
            let summary = Summary::read(metadata, facts);
            assert_eq!(summary.metadata().len(), metadata.len());
            assert!(!summary.statuses().is_empty() || !metadata.is_empty());
            for status in summary.statuses() {
                let _ = (status.operation(), status.operation_code(), status.current_schema());
            }
            let _ = (summary.query_type(), summary.bookmark(), summary.database(), summary.t_last_ms());
            let _ = summary.notifications();
            for plan in [summary.plan(&limits), summary.profile(&limits)].into_iter().flatten().flatten() {
                assert!(plan.operators.len() <= 64 && plan.root().parent.is_none());
            }
            // What was read can be sent on, and is read the same again.
            let mut again = Vec::new();
            let mut e = Encoder::new(&mut again, version.dialect(false));
            if Success(&AsEntries(metadata)).encode_body(version, &mut e).is_ok() {
                assert!(Response::parse(&again, version, false, &mut Walker::default()).is_ok());
            }
        }
        Ok(Response::Failure(metadata)) => {
            if let Ok(failure) = ServerFailure::read(metadata, &limits) {
                assert!(
                    !failure.code.is_empty()
                        || metadata.raw("code").is_some()
                        || metadata.raw("neo4j_code").is_some()
                );
                let _ = (failure.is_retryable(), failure.classification(), alloc::format!("{failure}"));
            }
        }
        Ok(Response::Record | Response::Ignored) => {}
        Err(error) => assert!(error.offset <= body.len(), "{error} is beyond {} bytes", body.len()),
    }
}

/// A borrowed map as entries, each written as it stands.
struct AsEntries<'a>(crate::value_ref::MapRef<'a>);

impl crate::entries::Entries for &AsEntries<'_> {
    fn visit<S: crate::entries::EntrySink>(&self, sink: &mut S) -> Result<(), crate::error::EncodeError> {
        self.0.entries().try_for_each(|(key, raw)| match core::str::from_utf8(key) {
            Ok(key) => sink.put(key, &raw),
            Err(_) => Ok(()),
        })
    }
}
