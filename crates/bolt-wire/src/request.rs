//! Requests: what a client sends, and what a server reads.
//!
//! Owns the layout of every client message of Bolt 4.0 to 6.1. Writing refuses, before anything is sent, what the version cannot
//! carry, and omits what is default; no request allocates. [`Request`] is the reading side, in a file of its own. Which request is
//! allowed when is the business of [`crate::state`].
//! Facts: Bolt specification, "message".

use core::fmt;
use core::time::Duration;

use crate::auth::Auth;
use crate::chunk::{ChunkOutput, MessageWriter};
use crate::encode::{Encode, Encoder, Output, Params};
use crate::entries::{Entries, EntrySink, encode_map};
use crate::error::{DecodeError, DecodeReason, EncodeError};
use crate::value::Map;
use crate::version::{Features, FilterNames, RouteShape, Version};

pub use crate::request_ref::{Demand, ExtraRef, FilterRef, HelloRef, Request, RequestError};

/// A message that can be written, by either side.
pub trait WriteMessage {
    /// Refuses what `version` cannot carry; values inside are checked while they are encoded.
    ///
    /// # Errors
    /// [`EncodeError::Unsupported`], with the first version that can.
    fn check(&self, version: Version) -> Result<(), EncodeError> {
        let _ = version;
        Ok(())
    }

    /// Encodes the body, without chunks.
    ///
    /// # Errors
    /// A value cannot be encoded in this version, or the output is full.
    fn encode_body<O: Output>(&self, version: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError>;

    /// Writes the whole message in chunks behind what `out` holds; on an error `out` is as it was.
    ///
    /// `utc` tells that `patch_bolt: ["utc"]` was granted; from 5.0 it has no meaning.
    ///
    /// # Errors
    /// The version cannot carry the message, or the output is full.
    fn write<B: ChunkOutput>(&self, version: Version, utc: bool, out: &mut B) -> Result<(), EncodeError> {
        self.check(version)?;
        let mut message = MessageWriter::begin(out)?;
        self.encode_body(version, &mut Encoder::new(&mut message, version.dialect(utc)))?;
        message.finish().map(|_| ())
    }
}

fn require(version: Version, what: &'static str, has: impl Fn(&Features) -> bool) -> Result<(), EncodeError> {
    if has(version.features()) {
        Ok(())
    } else {
        Err(EncodeError::Unsupported { what, since: Version::first_with(has) })
    }
}

/// The type of a request; the number is its tag.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum RequestTag {
    /// Opens the conversation.
    Hello = 0x01,
    /// Ends it; never answered.
    Goodbye = 0x02,
    /// Back to READY, whatever happened.
    Reset = 0x0F,
    /// A query.
    Run = 0x10,
    /// Opens a transaction.
    Begin = 0x11,
    /// Keeps what the transaction did.
    Commit = 0x12,
    /// Undoes it.
    Rollback = 0x13,
    /// Skips records.
    Discard = 0x2F,
    /// Asks for records.
    Pull = 0x3F,
    /// Says which interface the application used (5.4).
    Telemetry = 0x54,
    /// Asks for a routing table (4.3).
    Route = 0x66,
    /// Authenticates (5.1).
    Logon = 0x6A,
    /// Forgets who authenticated (5.1).
    Logoff = 0x6B,
}

impl RequestTag {
    /// Every request.
    pub const ALL: [Self; 13] = [
        Self::Hello,
        Self::Goodbye,
        Self::Reset,
        Self::Run,
        Self::Begin,
        Self::Commit,
        Self::Rollback,
        Self::Discard,
        Self::Pull,
        Self::Telemetry,
        Self::Route,
        Self::Logon,
        Self::Logoff,
    ];

    /// The name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "HELLO",
            Self::Goodbye => "GOODBYE",
            Self::Reset => "RESET",
            Self::Run => "RUN",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
            Self::Discard => "DISCARD",
            Self::Pull => "PULL",
            Self::Telemetry => "TELEMETRY",
            Self::Route => "ROUTE",
            Self::Logon => "LOGON",
            Self::Logoff => "LOGOFF",
        }
    }

    /// How many fields the request has.
    #[must_use]
    pub const fn field_count(self) -> u8 {
        match self {
            Self::Run | Self::Route => 3,
            Self::Hello | Self::Begin | Self::Discard | Self::Pull | Self::Telemetry | Self::Logon => 1,
            Self::Goodbye | Self::Reset | Self::Commit | Self::Rollback | Self::Logoff => 0,
        }
    }

    /// Whether a version has the request at all.
    #[must_use]
    pub fn exists_in(self, version: Version) -> bool {
        let features = version.features();
        match self {
            Self::Telemetry => features.telemetry,
            Self::Route => features.route != RouteShape::Procedure,
            Self::Logon | Self::Logoff => features.logon,
            _ => true,
        }
    }

    /// The request a message body holds, by its second byte: what a server in FAILED needs to know, and no more.
    ///
    /// # Errors
    /// Not a structure, cut short, or no request of `version`. Close the connection.
    #[inline]
    pub fn of(body: &[u8], version: Version) -> Result<Self, RequestError> {
        match body {
            [0xB0..=0xBF, tag, ..] => Self::ALL
                .into_iter()
                .find(|one| *one as u8 == *tag && one.exists_in(version))
                .ok_or(RequestError::UnknownTag { tag: *tag }),
            [marker, _, ..] => Err(RequestError::NotAStructure { marker: *marker }),
            _ => {
                let reason = DecodeReason::UnexpectedEnd { needed: 2, available: body.len() };
                Err(RequestError::Broken(DecodeError::new(0, reason)))
            }
        }
    }
}

impl fmt::Display for RequestTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a query or transaction means to do.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum AccessMode {
    /// May write; the default, and never sent.
    #[default]
    Write,
    /// Only reads; a server refuses writes.
    Read,
}

/// From which severity on a server tells of notifications.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MinimumSeverity {
    /// Never.
    Off,
    /// Warnings only.
    Warning,
    /// Everything.
    Information,
}

impl MinimumSeverity {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Warning => "WARNING",
            Self::Information => "INFORMATION",
        }
    }
}

/// A kind of notification: "category" up to 5.4, "classification" since.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NotificationClass {
    /// A hint could not be followed.
    Hint,
    /// Something named in the query does not exist.
    Unrecognized,
    /// Something that is not supported.
    Unsupported,
    /// The query may be slow.
    Performance,
    /// Something will go away.
    Deprecation,
    /// Everything else.
    Generic,
    /// Something that touches security.
    Security,
    /// Something about the cluster.
    Topology,
    /// Something about the schema.
    Schema,
}

impl NotificationClass {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hint => "HINT",
            Self::Unrecognized => "UNRECOGNIZED",
            Self::Unsupported => "UNSUPPORTED",
            Self::Performance => "PERFORMANCE",
            Self::Deprecation => "DEPRECATION",
            Self::Generic => "GENERIC",
            Self::Security => "SECURITY",
            Self::Topology => "TOPOLOGY",
            Self::Schema => "SCHEMA",
        }
    }
}

impl Encode for NotificationClass {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.str(self.as_str())
    }
}

/// Which notifications a client wants to hear of (5.2). The default leaves it to the server, or to what HELLO said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NotificationFilter<'a> {
    /// From which severity on.
    pub minimum_severity: Option<MinimumSeverity>,
    /// Which classes not. An empty list switches all on again; `None` says nothing.
    pub disabled: Option<&'a [NotificationClass]>,
}

impl NotificationFilter<'_> {
    fn check(&self, version: Version) -> Result<(), EncodeError> {
        if *self == Self::default() {
            return Ok(());
        }
        require(version, "a notification filter", |f| f.filters != FilterNames::None)
    }

    fn visit<S: EntrySink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        self.visit_severity(version, sink)?;
        self.visit_disabled(version.features().filters, sink)
    }

    fn visit_severity<S: EntrySink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        let known = version.features().filters != FilterNames::None;
        let severity = self.minimum_severity.filter(|_| known);
        sink.put_some(MINIMUM_SEVERITY, severity.map(MinimumSeverity::as_str))
    }

    fn visit_disabled<S: EntrySink>(&self, names: FilterNames, sink: &mut S) -> Result<(), EncodeError> {
        match names {
            FilterNames::None => Ok(()),
            FilterNames::Categories => sink.put_some(CATEGORIES, self.disabled),
            FilterNames::Classifications => sink.put_some(CLASSIFICATIONS, self.disabled),
        }
    }
}

pub(crate) const MINIMUM_SEVERITY: &str = "notifications_minimum_severity";
pub(crate) const CATEGORIES: &str = "notifications_disabled_categories";
pub(crate) const CLASSIFICATIONS: &str = "notifications_disabled_classifications";

/// Names the driver in HELLO (5.3). Nothing in it may identify a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BoltAgent<'a> {
    /// `Name/Version` of the driver.
    pub product: &'a str,
    /// Operating system and the like.
    pub platform: Option<&'a str>,
    /// Programming language.
    pub language: Option<&'a str>,
    /// More about it.
    pub language_details: Option<&'a str>,
}

impl Default for BoltAgent<'_> {
    fn default() -> Self {
        Self {
            product: concat!("bolt-wire/", env!("CARGO_PKG_VERSION")),
            platform: None,
            language: Some("Rust"),
            language_details: None,
        }
    }
}

impl Entries for BoltAgent<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put("product", self.product)?;
        sink.put_some("platform", self.platform)?;
        sink.put_some("language", self.language)?;
        sink.put_some("language_details", self.language_details)
    }
}

/// HELLO: the first message. Before 5.1 it carries the authentication as well.
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    /// `Name/Version` of the application.
    pub user_agent: &'a str,
    /// Name of the driver; sent from 5.3 on.
    pub bolt_agent: BoltAgent<'a>,
    /// The routing context with `address`, for routed connections (4.1); `None` for direct ones.
    pub routing: Option<&'a [(&'a str, &'a str)]>,
    /// Who one is; sent before 5.1, when there is no LOGON.
    pub auth: &'a Auth,
    /// Which notifications are wanted (5.2).
    pub notifications: NotificationFilter<'a>,
}

struct HelloEntries<'a>(&'a Hello<'a>, Version);

impl Entries for HelloEntries<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        let Self(hello, version) = *self;
        let features = version.features();
        // The order is that of the official drivers.
        sink.put("user_agent", hello.user_agent)?;
        if let Some(routing) = hello.routing.filter(|_| features.hello_routing) {
            sink.put_map("routing", routing)?;
        }
        if features.utc_patch {
            sink.put("patch_bolt", &["utc"])?;
        }
        // Order means nothing to a server; the official driver puts the list behind the agent in 5.6–5.8, and before it elsewhere.
        let (before, behind) = match features.filters {
            FilterNames::Classifications if !features.vector => (FilterNames::None, features.filters),
            names => (names, FilterNames::None),
        };
        hello.notifications.visit_severity(version, sink)?;
        hello.notifications.visit_disabled(before, sink)?;
        if features.bolt_agent {
            sink.put_map("bolt_agent", &hello.bolt_agent)?;
        }
        hello.notifications.visit_disabled(behind, sink)?;
        if !features.logon {
            hello.auth.visit(sink)?;
        }
        Ok(())
    }
}

impl WriteMessage for Hello<'_> {
    fn check(&self, version: Version) -> Result<(), EncodeError> {
        if self.routing.is_some() {
            require(version, "a routing context in HELLO", |f| f.hello_routing)?;
        }
        self.notifications.check(version)
    }

    fn encode_body<O: Output>(&self, version: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.struct_header(1, RequestTag::Hello as u8)?;
        encode_map(e, &HelloEntries(self, version))
    }
}

/// LOGON: who one is (5.1). May leave in one flight with HELLO.
#[derive(Clone, Copy, Debug)]
pub struct Logon<'a> {
    /// Who.
    pub auth: &'a Auth,
}

impl WriteMessage for Logon<'_> {
    fn check(&self, version: Version) -> Result<(), EncodeError> {
        require(version, "LOGON", |f| f.logon)
    }

    fn encode_body<O: Output>(&self, _: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.struct_header(1, RequestTag::Logon as u8)?;
        encode_map(e, self.auth)
    }
}

/// Requests without fields.
macro_rules! bare {
    ($($(#[$doc:meta])* $name:ident $(since $what:literal $has:expr)?;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct $name;

        impl WriteMessage for $name {
            $(fn check(&self, version: Version) -> Result<(), EncodeError> {
                require(version, $what, $has)
            })?

            fn encode_body<O: Output>(&self, _: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
                e.struct_header(0, RequestTag::$name as u8)
            }
        }
    )*};
}

bare! {
    /// LOGOFF: back to AUTHENTICATION (5.1).
    Logoff since "LOGOFF" |f: &Features| f.logon;
    /// GOODBYE: the client leaves. It is never answered.
    Goodbye;
    /// RESET: stop what runs, forget results and transaction, back to READY.
    Reset;
    /// COMMIT: keep what the transaction did.
    Commit;
    /// ROLLBACK: undo what the transaction did.
    Rollback;
}

/// What goes with a query or a transaction. The default is an empty map, which RUN inside a transaction must send.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunExtra<'a> {
    /// Reading or writing.
    pub mode: AccessMode,
    /// Which database; none, or an empty name, means the user's home database.
    pub db: Option<&'a str>,
    /// As whom (4.4).
    pub imp_user: Option<&'a str>,
    /// Which notifications are wanted, in place of what HELLO said (5.2).
    pub notifications: NotificationFilter<'a>,
    /// What must be visible before it begins.
    pub bookmarks: &'a [alloc::string::String],
    /// Shown in the server's query log.
    pub tx_metadata: Option<&'a Map>,
    /// When the server gives up; zero means never, `None` what the server is configured for. Rounded to milliseconds, but not to 0.
    pub tx_timeout: Option<Duration>,
}

impl RunExtra<'_> {
    fn check(&self, version: Version) -> Result<(), EncodeError> {
        if self.imp_user.is_some() {
            require(version, "an impersonated user", |f| f.impersonation)?;
        }
        self.notifications.check(version)
    }
}

/// The extra map of RUN or BEGIN. The order is that of the official Python driver, which puts the filter last in BEGIN.
struct ExtraEntries<'a> {
    extra: &'a RunExtra<'a>,
    version: Version,
    request: RequestTag,
}

impl Entries for ExtraEntries<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        let Self { extra, version, request } = *self;
        if extra.mode == AccessMode::Read {
            sink.put("mode", "r")?;
        }
        sink.put_some("db", extra.db.filter(|name| !name.is_empty()))?;
        sink.put_some("imp_user", extra.imp_user)?;
        if request == RequestTag::Run {
            extra.notifications.visit(version, sink)?;
        }
        if !extra.bookmarks.is_empty() {
            sink.put("bookmarks", extra.bookmarks)?;
        }
        sink.put_some("tx_metadata", extra.tx_metadata.filter(|map| !map.is_empty()))?;
        sink.put_some("tx_timeout", extra.tx_timeout.map(timeout_ms).as_ref())?;
        if request == RequestTag::Begin {
            extra.notifications.visit(version, sink)?;
        }
        Ok(())
    }
}

/// Milliseconds, halves to even as the official drivers round, never 0 for a wait that is not 0.
fn timeout_ms(timeout: Duration) -> i64 {
    const HALF: u32 = 500_000;
    let (below, rest) = (timeout.as_millis(), timeout.subsec_nanos() % 1_000_000);
    let up = rest > HALF || (rest == HALF && below % 2 == 1);
    let ms = i64::try_from(below + u128::from(up)).unwrap_or(i64::MAX);
    if ms == 0 && !timeout.is_zero() { 1 } else { ms }
}

/// RUN: a query and its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a, P: Params + ?Sized> {
    /// The query.
    pub query: &'a str,
    /// Its parameters.
    pub params: &'a P,
    /// What goes with it; nothing inside a transaction.
    pub extra: &'a RunExtra<'a>,
}

impl<P: Params + ?Sized> WriteMessage for Run<'_, P> {
    fn check(&self, version: Version) -> Result<(), EncodeError> {
        self.extra.check(version)
    }

    fn encode_body<O: Output>(&self, version: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.struct_header(3, RequestTag::Run as u8)?;
        e.str(self.query)?;
        self.params.encode_params(e)?;
        encode_map(e, &ExtraEntries { extra: self.extra, version, request: RequestTag::Run })
    }
}

/// BEGIN: opens a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Begin<'a> {
    /// What goes with it.
    pub extra: &'a RunExtra<'a>,
}

impl WriteMessage for Begin<'_> {
    fn check(&self, version: Version) -> Result<(), EncodeError> {
        self.extra.check(version)
    }

    fn encode_body<O: Output>(&self, version: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.struct_header(1, RequestTag::Begin as u8)?;
        encode_map(e, &ExtraEntries { extra: self.extra, version, request: RequestTag::Begin })
    }
}

/// How many records: all that are left.
pub const ALL: i64 = -1;

/// PULL: the next records, please.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pull {
    /// How many, at least 1, or [`ALL`].
    pub n: i64,
    /// Of which result in the transaction; `None` means that of the last RUN.
    pub qid: Option<i64>,
}

/// DISCARD: skip records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Discard {
    /// How many, at least 1, or [`ALL`].
    pub n: i64,
    /// Of which result in the transaction; `None` means that of the last RUN.
    pub qid: Option<i64>,
}

fn encode_demand<O: Output>(
    tag: RequestTag,
    n: i64,
    qid: Option<i64>,
    e: &mut Encoder<'_, O>,
) -> Result<(), EncodeError> {
    e.struct_header(1, tag as u8)?;
    e.map_header(1 + usize::from(qid.is_some()))?;
    e.put("n", &n)?;
    e.put_some("qid", qid.as_ref())
}

impl WriteMessage for Pull {
    fn encode_body<O: Output>(&self, _: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        encode_demand(RequestTag::Pull, self.n, self.qid, e)
    }
}

impl WriteMessage for Discard {
    fn encode_body<O: Output>(&self, _: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        encode_demand(RequestTag::Discard, self.n, self.qid, e)
    }
}

/// Which interface of a driver was used. The number travels.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum TelemetryApi {
    /// A managed transaction function.
    ManagedTransaction = 0,
    /// An explicit transaction.
    ExplicitTransaction = 1,
    /// An auto-commit query.
    AutoCommit = 2,
    /// The one-call interface.
    ExecuteQuery = 3,
}

impl TelemetryApi {
    pub(crate) const ALL: [Self; 4] =
        [Self::ManagedTransaction, Self::ExplicitTransaction, Self::AutoCommit, Self::ExecuteQuery];
}

/// TELEMETRY: which interface the application used (5.4). Sent only if the server's hints ask for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Telemetry {
    /// Which.
    pub api: TelemetryApi,
}

impl WriteMessage for Telemetry {
    fn check(&self, version: Version) -> Result<(), EncodeError> {
        require(version, "TELEMETRY", |f| f.telemetry)
    }

    fn encode_body<O: Output>(&self, _: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.struct_header(1, RequestTag::Telemetry as u8)?;
        e.int(i64::from(self.api as u8))
    }
}

/// ROUTE: asks for a routing table (4.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Route<'a> {
    /// The routing context with `address`; may be empty.
    pub routing: &'a [(&'a str, &'a str)],
    /// What must be visible.
    pub bookmarks: &'a [alloc::string::String],
    /// Of which database; `None` asks for the home database.
    pub db: Option<&'a str>,
    /// As whom (4.4).
    pub imp_user: Option<&'a str>,
}

struct RouteExtra<'a>(&'a Route<'a>);

impl Entries for RouteExtra<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put_some("db", self.0.db)?;
        sink.put_some("imp_user", self.0.imp_user)
    }
}

impl WriteMessage for Route<'_> {
    fn check(&self, version: Version) -> Result<(), EncodeError> {
        require(version, "ROUTE", |f| f.route != RouteShape::Procedure)?;
        if self.imp_user.is_some() {
            require(version, "an impersonated user", |f| f.impersonation)?;
        }
        Ok(())
    }

    fn encode_body<O: Output>(&self, version: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.struct_header(3, RequestTag::Route as u8)?;
        encode_map(e, self.routing)?;
        e.encode(self.bookmarks)?;
        match version.features().route {
            RouteShape::Extra => encode_map(e, &RouteExtra(self)),
            RouteShape::Database | RouteShape::Procedure => e.encode(&self.db),
        }
    }
}
