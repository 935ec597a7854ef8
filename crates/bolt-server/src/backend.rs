//! The seam between the protocol and what answers queries: [`Backend`], [`Session`], and what passes between them.
//!
//! Owns traits and plain data. Never touches a socket or a byte of the protocol; a backend can be called by a test
//! without a server. Limits: a backend sees parameters only while it is called, as they lie in the received message.

use std::time::Duration;

use bolt_wire::request::AccessMode;
use bolt_wire::summary::Counters;
use bolt_wire::{AuthRef, MapRef, Value, Version};

use crate::{Failure, Interrupt, RecordSink};

/// Supplies sessions: one for each connection that has logged in. Shared by all connections.
pub trait Backend: Send + Sync + 'static {
    /// What serves one connection. It is made, used and dropped on that connection's thread, so it need not be `Send`.
    type Session: Session;

    /// Checks a login. Called again for each LOGON on a connection. See [`Credentials`](crate::Credentials) for the
    /// usual single user, compared in constant time.
    ///
    /// # Errors
    /// [`Failure::unauthorized`] for all that is not right; it is sent after a pause, and the connection closed.
    fn authenticate(&self, auth: &AuthRef<'_>) -> Result<(), Failure>;

    /// Makes a session for a connection that has just logged in. `interrupt` is raised whenever the session's
    /// running request should stop, for as long as the connection lives.
    ///
    /// # Errors
    /// The failure the login is answered with; the connection is closed.
    fn open(&self, peer: &Peer, interrupt: Interrupt) -> Result<Self::Session, Failure>;

    /// The database used when a request names none, and by default the only one there is.
    fn default_database(&self) -> &str {
        "neo4j"
    }

    /// Whether a database exists, by the name a client gave. Names are not case-sensitive.
    fn has_database(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.default_database())
    }
}

/// Serves the requests of one connection, one at a time and in a legal order: the server keeps the protocol's
/// state machine, so that `commit` is only called after `begin`, `pull` only with a stream `run` gave, and so on.
///
/// After a method returned a [`Failure`] the next call is [`reset`](Self::reset), or the session is dropped. All open
/// streams are dropped before `commit`, `rollback` and `reset`. A session dropped while a transaction is open must
/// roll it back.
pub trait Session {
    /// An open result: where the query stands. Dropped when it is finished, or early when the client loses interest.
    type Stream;

    /// Begins an explicit transaction.
    ///
    /// # Errors
    /// Sent to the client; the connection awaits RESET.
    fn begin(&mut self, transaction: &TransactionRequest<'_>) -> Result<(), Failure>;

    /// Starts a query and names its columns. With [`QueryRequest::auto_commit`] the query is a transaction of its
    /// own: commit it before [`Progress::Done`] is returned, roll it back when its stream is dropped before that.
    ///
    /// # Errors
    /// Sent to the client; the connection awaits RESET.
    fn run(&mut self, query: &QueryRequest<'_>, columns: &mut Columns) -> Result<Self::Stream, Failure>;

    /// Sends up to `n` records (`u64::MAX`: all) into `sink`.
    ///
    /// [`Progress::More`] promises at least one more record: a batch that ends with the last record is `Done` at once.
    /// The sink blocks while the client is slow, so nothing need be buffered here. Answers to earlier requests of the
    /// same flight may wait in it: [`RecordSink::flush`] sends them before work that takes long.
    ///
    /// # Errors
    /// Sent after the records that were given before it; the connection awaits RESET.
    fn pull(
        &mut self,
        stream: &mut Self::Stream,
        n: u64,
        sink: &mut RecordSink<'_>,
    ) -> Result<Progress, Failure>;

    /// Skips up to `n` records (`u64::MAX`: all), with the side effects they have.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    fn discard(&mut self, stream: &mut Self::Stream, n: u64) -> Result<Progress, Failure>;

    /// Commits the explicit transaction.
    ///
    /// # Errors
    /// Nothing was committed; the transaction is over.
    fn commit(&mut self) -> Result<(), Failure>;

    /// Rolls the explicit transaction back.
    ///
    /// # Errors
    /// The transaction is over all the same.
    fn rollback(&mut self) -> Result<(), Failure>;

    /// Ends whatever is open without keeping it: after RESET, after a failure, and when the client goes away. Must
    /// be harmless when nothing is open.
    fn reset(&mut self);
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Peer {
    /// The connection's name, as told in HELLO's answer: `bolt-7`.
    pub connection_id: String,
    /// Where it came from.
    pub address: std::net::SocketAddr,
    /// The version both sides speak.
    pub version: Version,
    /// The application, in its own words.
    pub user_agent: String,
    /// The user that logged in; empty without authentication.
    pub user: String,
}

impl Peer {
    /// A peer of which no more is known than where it is and what it speaks.
    pub fn new(connection_id: String, address: std::net::SocketAddr, version: Version) -> Self {
        Peer { connection_id, address, version, user_agent: String::new(), user: String::new() }
    }
}

/// What a client asked of a transaction, explicit or auto-commit.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct TransactionRequest<'a> {
    /// Whether it may write. In [`AccessMode::Read`] a write should fail with `Neo.ClientError.Statement.AccessMode`.
    pub mode: AccessMode,
    /// The database: the one asked for, which exists, or the default one.
    pub database: &'a str,
    /// `tx_timeout`. The server already raises the [`Interrupt`] when it has passed.
    pub timeout: Option<Duration>,
    /// `tx_metadata`, for logs.
    pub metadata: Option<MapRef<'a>>,
}

/// One RUN.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct QueryRequest<'a> {
    /// The query.
    pub text: &'a str,
    /// Its parameters. Already walked, so reading them fails only for what a single value is.
    pub parameters: MapRef<'a>,
    /// The transaction the query is by itself; `None` inside an explicit one.
    pub auto_commit: Option<TransactionRequest<'a>>,
    /// The version both sides speak, for backends that hold prepared records.
    pub version: Version,
}

/// The column names of a result, filled by [`Session::run`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(Vec<String>);

impl Columns {
    /// Adds a column.
    pub fn push(&mut self, name: impl Into<String>) {
        self.0.push(name.into());
    }

    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// How many columns there are. A result without columns has no records.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How a batch ended.
#[derive(Debug)]
pub enum Progress {
    /// There is at least one more record.
    More,
    /// That was the last record, or there was none.
    Done(Box<Outcome>),
}

impl Progress {
    /// The end of a query that only read and has nothing to tell.
    pub fn done() -> Self {
        Progress::Done(Box::default())
    }

    /// The end of a query, with what it leaves to be told.
    pub fn done_with(outcome: Outcome) -> Self {
        Progress::Done(Box::new(outcome))
    }
}

/// What kind of query it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryKind {
    /// `r`
    #[default]
    Read,
    /// `rw`
    ReadWrite,
    /// `w`
    Write,
    /// `s`: schema
    Schema,
}

impl QueryKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            QueryKind::Read => "r",
            QueryKind::ReadWrite => "rw",
            QueryKind::Write => "w",
            QueryKind::Schema => "s",
        }
    }
}

/// What a finished query leaves to be told. The server adds times, database, bookmark and statuses.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What kind of query it was.
    pub kind: QueryKind,
    /// What it changed. Zeros are not sent, and that there were changes at all the server sees for itself.
    pub counters: Counters,
    /// What the user should know about the query. Sent as `notifications` up to 5.4 and as `statuses` from 5.6.
    pub notifications: Vec<Notification>,
    /// The plan, for EXPLAIN: a dictionary as the protocol describes it.
    pub plan: Option<Value>,
    /// The plan with its measurements, for PROFILE.
    pub profile: Option<Value>,
}

/// Something the user should know about a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// `Neo.ClientNotification.…`
    pub code: String,
    /// A short title.
    pub title: String,
    /// What to know, and what to do.
    pub description: String,
    /// A warning, or else information.
    pub warning: bool,
    /// `HINT`, `UNRECOGNIZED`, `UNSUPPORTED`, `PERFORMANCE`, `DEPRECATION`, `GENERIC`, `SECURITY`, `TOPOLOGY`, `SCHEMA`.
    pub category: &'static str,
}

impl Notification {
    /// A piece of information of category `GENERIC`; change fields as needed.
    pub fn new(code: impl Into<String>, title: impl Into<String>, description: impl Into<String>) -> Self {
        Notification {
            code: code.into(),
            title: title.into(),
            description: description.into(),
            warning: false,
            category: "GENERIC",
        }
    }
}
