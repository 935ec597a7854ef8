//! Answers: what a server sends, and what a client reads.
//!
//! Owns the layout of SUCCESS, RECORD, IGNORED and FAILURE. Reading settles what kind of answer it is and that it is well formed to its last
//! byte; what the metadata mean is read by [`crate::summary`], records by [`RecordDecoder`](crate::RecordDecoder).
//! Writing lays out the metadata as real servers do, shaped by version. Facts: Bolt specification, "message".

use core::fmt;

use crate::encode::{Encode, Encoder, Output};
use crate::entries::{Entries, EntrySink, encode_map};
use crate::error::{DecodeError, DecodeReason, EncodeError};
use crate::request::WriteMessage;
use crate::value::Map;
use crate::value_ref::{MapRef, RawRef};
use crate::version::Version;
use crate::walk::Walker;

/// Tag of SUCCESS.
pub const SUCCESS: u8 = 0x70;
/// Tag of RECORD.
pub const RECORD: u8 = 0x71;
/// Tag of IGNORED.
pub const IGNORED: u8 = 0x7E;
/// Tag of FAILURE.
pub const FAILURE: u8 = 0x7F;

/// The type of an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AnswerKind {
    /// It worked.
    Success,
    /// One row; the answer proper is still to come.
    Record,
    /// Not even tried, because something before it failed.
    Ignored,
    /// It failed.
    Failure,
}

impl fmt::Display for AnswerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "SUCCESS",
            Self::Record => "RECORD",
            Self::Ignored => "IGNORED",
            Self::Failure => "FAILURE",
        })
    }
}

/// An answer as a client reads it, borrowed from the message.
#[derive(Clone, Copy, Debug)]
pub enum Response<'a> {
    /// SUCCESS with its metadata.
    Success(MapRef<'a>),
    /// RECORD; nothing of it was looked at but the first two bytes. [`RecordDecoder::scan`](crate::RecordDecoder::scan) does the rest.
    Record,
    /// IGNORED.
    Ignored,
    /// FAILURE with its metadata.
    Failure(MapRef<'a>),
}

impl<'a> Response<'a> {
    /// Whether a message body is a RECORD: what a client asks first, as nearly every message is one.
    #[inline]
    #[must_use]
    pub fn is_record(body: &[u8]) -> bool {
        matches!(body, [0xB1, RECORD, ..])
    }

    /// Reads a message body to its end.
    ///
    /// # Errors
    /// Not a structure, an unknown tag, a request's tag, a wrong number of fields, no map where one belongs, left-over bytes, or
    /// anything a walk refuses. The connection is of no further use.
    pub fn parse(
        body: &'a [u8],
        version: Version,
        utc: bool,
        walker: &mut Walker,
    ) -> Result<Self, DecodeError> {
        let &[marker, tag, ..] = body else {
            return Err(DecodeError::new(
                0,
                match body {
                    [marker] if !matches!(marker, 0xB0..=0xBF) => not_a_structure(body),
                    _ => DecodeReason::UnexpectedEnd { needed: 2, available: body.len() },
                },
            ));
        };
        if !matches!(marker, 0xB0..=0xBF) {
            return Err(DecodeError::new(0, not_a_structure(body)));
        }
        let found = marker & 0x0F;
        let (what, expected) = match tag {
            SUCCESS => ("SUCCESS", 1),
            RECORD => ("RECORD", 1),
            IGNORED => ("IGNORED", 0),
            FAILURE => ("FAILURE", 1),
            _ => return Err(DecodeError::new(1, DecodeReason::UnknownStructure { tag })),
        };
        if found != expected {
            return Err(DecodeError::new(0, DecodeReason::FieldCount { what, expected, found }));
        }
        if tag == RECORD {
            return Ok(Self::Record);
        }
        // What went wrong is better told with a blemish than not at all: its text is mended where it is read.
        let end = if tag == FAILURE && walker.checks_text() {
            walker.set_check_text(false);
            let end = walker.walk(body, 0, version.dialect(utc));
            walker.set_check_text(true);
            end?
        } else {
            walker.walk(body, 0, version.dialect(utc))?
        };
        if end != body.len() {
            return Err(DecodeError::new(end, DecodeReason::TrailingBytes(body.len() - end)));
        }
        let metadata = RawRef::new(body, 2);
        match tag {
            SUCCESS => metadata.map().map(Self::Success),
            FAILURE => metadata.map().map(Self::Failure),
            _ => Ok(Self::Ignored),
        }
    }

    /// Which type of answer it is.
    #[must_use]
    pub const fn kind(&self) -> AnswerKind {
        match self {
            Self::Success(_) => AnswerKind::Success,
            Self::Record => AnswerKind::Record,
            Self::Ignored => AnswerKind::Ignored,
            Self::Failure(_) => AnswerKind::Failure,
        }
    }
}

#[cold]
fn not_a_structure(body: &[u8]) -> DecodeReason {
    DecodeReason::WrongType { expected: "a structure", found: RawRef::new(body, 0).kind().name() }
}

/// SUCCESS with whatever metadata: a tuple list, one of the replies below, or [`Entries`] of one's own. `Success(())` is empty.
///
/// ```
/// use bolt_wire::{request::WriteMessage, response::Success, Version};
/// let mut out = Vec::new();
/// Success([("has_more", true)]).write(Version::V5_8, false, &mut out).unwrap();
/// assert_eq!(out, b"\x00\x0D\xB1\x70\xA1\x88has_more\xC3\x00\x00");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Success<E>(pub E);

impl<E: Entries> WriteMessage for Success<E> {
    fn encode_body<O: Output>(&self, _: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.struct_header(1, SUCCESS)?;
        encode_map(e, &self.0)
    }
}

/// IGNORED.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ignored;

impl WriteMessage for Ignored {
    fn encode_body<O: Output>(&self, _: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.struct_header(0, IGNORED)
    }
}

/// A RECORD whose values are known as a slice. For values of mixed types write [`record_header`] and then each value.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a, T>(pub &'a [T]);

impl<T: Encode> WriteMessage for Record<'_, T> {
    fn encode_body<O: Output>(&self, _: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        record_header(e, self.0.len())?;
        self.0.iter().try_for_each(|value| e.encode(value))
    }
}

/// Writes what stands before the values of a RECORD; `columns` values must follow.
///
/// # Errors
/// The output is full.
#[inline]
pub fn record_header<O: Output>(e: &mut Encoder<'_, O>, columns: usize) -> Result<(), EncodeError> {
    // One write for what nearly every record begins with.
    match columns {
        0..=15 => e.raw(&[0xB1, RECORD, 0x90 | columns as u8]),
        _ => {
            e.raw(&[0xB1, RECORD])?;
            e.list_header(columns)
        }
    }
}

/// What a server says of itself in answer to HELLO: `Success(HelloReply { .. })`.
#[derive(Clone, Copy, Debug, Default)]
pub struct HelloReply<'a> {
    /// `Name/Version`.
    pub server: &'a str,
    /// Name of the connection in the server's log.
    pub connection_id: &'a str,
    /// How long the client may wait for any byte after a request; `None` says nothing.
    pub recv_timeout_seconds: Option<u32>,
    /// Whether TELEMETRY is welcome.
    pub telemetry: Option<bool>,
    /// Whether any member can reach any database.
    pub ssr: Option<bool>,
    /// Whether `patch_bolt: ["utc"]` is granted.
    pub utc_patch: bool,
    /// The version, when it was agreed on by manifest, and only then.
    pub protocol_version: Option<Version>,
}

struct Hints<'a>(&'a HelloReply<'a>);

impl Entries for Hints<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put_some("connection.recv_timeout_seconds", self.0.recv_timeout_seconds.as_ref())?;
        sink.put_some("telemetry.enabled", self.0.telemetry.as_ref())?;
        sink.put_some("ssr.enabled", self.0.ssr.as_ref())
    }
}

impl HelloReply<'_> {
    fn has_hints(&self) -> bool {
        self.recv_timeout_seconds.is_some() || self.telemetry.is_some() || self.ssr.is_some()
    }
}

impl Entries for HelloReply<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put("server", self.server)?;
        sink.put("connection_id", self.connection_id)?;
        if self.has_hints() {
            sink.put_map("hints", &Hints(self))?;
        }
        if self.utc_patch {
            sink.put("patch_bolt", &["utc"])?;
        }
        match self.protocol_version {
            Some(version) => sink.put("protocol_version", &VersionText(version)),
            None => Ok(()),
        }
    }
}

struct VersionText(Version);

impl Encode for VersionText {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        // "6.1": two numbers below 256 and a dot, written without a heap.
        let Version { major, minor } = self.0;
        let mut text = [0; 7];
        let mut at = 0;
        for (i, number) in [major, minor].into_iter().enumerate() {
            if i == 1 {
                text[at] = b'.';
                at += 1;
            }
            for unit in [100, 10, 1] {
                if number >= unit || unit == 1 {
                    text[at] = b'0' + number / unit % 10;
                    at += 1;
                }
            }
        }
        e.str(core::str::from_utf8(&text[..at]).unwrap_or_default())
    }
}

/// What a server answers to RUN: `Success(RunReply { .. })`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunReply<'a, F> {
    /// The column names.
    pub fields: &'a [F],
    /// Milliseconds to the first record.
    pub t_first_ms: Option<i64>,
    /// Number of the result, in an explicit transaction only.
    pub qid: Option<i64>,
    /// The database that was resolved (5.8), when the request named none.
    pub db: Option<&'a str>,
}

impl<F: Encode> Entries for RunReply<'_, F> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put_some("t_first", self.t_first_ms.as_ref())?;
        sink.put("fields", self.fields)?;
        sink.put_some("qid", self.qid.as_ref())?;
        sink.put_some("db", self.db)
    }
}

/// FAILURE, shaped by version: code and message before 5.7, the GQL form since.
#[derive(Clone, Copy, Debug)]
pub struct FailureReply<'a> {
    /// `Neo.<Classification>.<Category>.<Title>`.
    pub code: &'a str,
    /// For people.
    pub message: &'a str,
    /// GQL status; `None` means "50N42", a general error.
    pub gql_status: Option<&'a str>,
    /// GQL description; `None` means one made of the message.
    pub description: Option<&'a str>,
    /// Diagnostic record.
    pub diagnostic_record: Option<&'a Map>,
}

impl<'a> FailureReply<'a> {
    /// A failure without GQL details.
    #[must_use]
    pub const fn new(code: &'a str, message: &'a str) -> Self {
        Self { code, message, gql_status: None, description: None, diagnostic_record: None }
    }
}

/// The status of an error nobody classified.
pub(crate) const GENERAL_ERROR: &str = "50N42";
/// What such an error's description begins with.
pub(crate) const GENERAL_ERROR_TEXT: &str = "error: general processing exception - unexpected error. ";

struct FailureEntries<'a>(&'a FailureReply<'a>, Version);

impl Entries for FailureEntries<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        let Self(failure, version) = self;
        if !version.features().gql_errors {
            sink.put("code", failure.code)?;
            return sink.put("message", failure.message);
        }
        sink.put("neo4j_code", failure.code)?;
        sink.put("message", failure.message)?;
        sink.put("gql_status", failure.gql_status.unwrap_or(GENERAL_ERROR))?;
        match failure.description {
            Some(description) => sink.put("description", description)?,
            None => sink.put("description", &GeneralError(failure.message))?,
        }
        sink.put_some("diagnostic_record", failure.diagnostic_record)
    }
}

/// The description of an unclassified error: two strings as one, without a heap.
struct GeneralError<'a>(&'a str);

impl Encode for GeneralError<'_> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.str_header(GENERAL_ERROR_TEXT.len() + self.0.len())?;
        e.raw(GENERAL_ERROR_TEXT.as_bytes())?;
        e.raw(self.0.as_bytes())
    }
}

impl WriteMessage for FailureReply<'_> {
    fn encode_body<O: Output>(&self, version: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.struct_header(1, FAILURE)?;
        encode_map(e, &FailureEntries(self, version))
    }
}
