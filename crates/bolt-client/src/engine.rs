//! The body of a connection over any [`Io`]: its buffers and books, login, and what it says of itself.
//!
//! Owns the buffers, the queue of owed answers and the open results; `flights` writes and `answers` reads through it.
//! Written once, as async code: the blocking face polls it once, since its socket blocks, and a face on a runtime awaits
//! it. Never sleeps, spawns, or locks across an await. Limits: one owner; buffers stay under the configured ceiling.
//!
//! Every request enters the queue before it is written, so that a future dropped half-way leaves books that are right:
//! the next call reads what is owed first. Only a write cut in the middle ends the connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bolt_buf::{BoltBuf, BufConfig, BufStats, Cycle};
use bolt_wire::chunk::Dechunker;
use bolt_wire::handshake::{ClientHandshake, HandshakeError, HandshakeStep};
use bolt_wire::request::{BoltAgent, Hello, Logon, WriteMessage};
use bolt_wire::route::RoutingTable;
use bolt_wire::summary::{HelloSuccess, Hints, LogonSuccess};
use bolt_wire::{Fields, Limits, RecordDecoder, RecordRef, ServerFailure, Summary, Version, Walker};

use crate::answers::{Location, Outcome, Owed};
use crate::cancel::CancelHandle;
use crate::config::Config;
use crate::error::{Error, Reason};
use crate::io::Io;
use crate::results::{Phase, Results, Slot};

/// Requests on the wire at once: a RESET, two results' RUN and PULL, and what a transaction adds. More only costs a
/// reallocation.
const OWED_CAPACITY: usize = 16;

/// Room that the receive buffer keeps beside the largest message: chunk headers and the start of what follows.
const BESIDE_MESSAGE_BYTES: usize = 64 * 1024;

/// How this driver names itself in HELLO: the driver, never its user.
const AGENT: BoltAgent<'static> = BoltAgent {
    product: concat!("boltstack/", env!("CARGO_PKG_VERSION")),
    platform: None,
    language: Some("Rust"),
    language_details: None,
};

/// What a connection has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Bytes that came from the server.
    pub bytes_read: u64,
    /// Bytes that went to it, without the RESETs of cancel handles.
    pub bytes_written: u64,
    /// Read calls, and with them system calls on a plain socket.
    pub reads: u64,
    /// Write calls.
    pub writes: u64,
    /// Messages received, records included.
    pub messages: u64,
    /// Empty chunks received to keep the connection alive.
    pub noops: u64,
    /// PULLs sent before the reader had reached the end of its batch.
    pub prefetches: u64,
    /// RESETs sent by this side, without those of cancel handles.
    pub resets: u64,
    /// The receive buffer's own story.
    pub buffer: BufStats,
    /// Bytes that the connection's buffers hold at present.
    pub buffers_bytes: usize,
}

/// The counters behind [`ConnectionStats`].
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) messages: u64,
    pub(crate) noops: u64,
    pub(crate) prefetches: u64,
    pub(crate) resets: u64,
}

/// One Bolt connection over any [`Io`]. The faces wrap it; use it directly to write another face.
pub struct Engine<I: Io> {
    pub(crate) io: I,
    pub(crate) recv: BoltBuf,
    pub(crate) send: BoltBuf,
    pub(crate) dechunker: Dechunker,
    pub(crate) decoder: RecordDecoder,
    pub(crate) walker: Walker,
    pub(crate) owed: VecDeque<Owed>,
    /// What the flight under construction will owe once it is written.
    pub(crate) staged: VecDeque<Owed>,
    /// Requests that leave at the front of the next flight, framed; see `standing`.
    pub(crate) ahead: Vec<u8>,
    pub(crate) ahead_owed: Vec<Owed>,
    /// LOGOFF was asked for and LOGON has not been.
    pub(crate) logged_off: bool,
    /// What ROUTE's answer said.
    pub(crate) table: Option<RoutingTable>,
    pub(crate) results: Results,
    pub(crate) cancel: CancelHandle,
    /// Bytes at the front of `recv` of the message handed out last.
    pub(crate) held: usize,
    /// A message handed out that was not used and must be handed out again.
    pub(crate) replay: Option<(usize, usize)>,
    /// Where the front of `recv` stands in the incoming stream.
    pub(crate) position: u64,
    /// Bytes the dechunker wants before it can go on.
    pub(crate) need: usize,
    pub(crate) stats: Counts,
    pub(crate) message_max: usize,
    pub(crate) limits: Limits,
    pub(crate) version: Version,
    pub(crate) utc_patch: bool,
    pub(crate) in_transaction: bool,
    pub(crate) transaction_failed: bool,
    /// The server answers IGNORED until a RESET; see Bolt specification, "server states".
    pub(crate) failed: bool,
    /// The latest failure came from a RESET, not from the request.
    pub(crate) interrupted: bool,
    /// A read-only result was left half-way: the next flight begins with RESET.
    pub(crate) reset_wanted: bool,
    pub(crate) failure: Option<ServerFailure>,
    pub(crate) bookmark: String,
    pub(crate) server: ServerInfo,
    /// Why nothing works any more.
    pub(crate) over: Option<String>,
    pub(crate) writing: bool,
    pub(crate) login_deadline: Option<Instant>,
    pub(crate) waiting_since: Option<(u64, Instant)>,
    pub(crate) settings: Settings,
}

/// The numbers of the configuration that are needed after login.
pub(crate) struct Settings {
    pub(crate) fetch_size: i64,
    pub(crate) database: Option<String>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) answer_timeout: Option<Duration>,
    pub(crate) aside_bytes_max: usize,
}

/// What the server said of itself at login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Its name and version, such as `Neo4j/5.26.0`.
    pub agent: String,
    /// Its name for this connection, as its logs show it.
    pub connection_id: String,
    /// Whether the password must be changed before anything else is allowed.
    pub credentials_expired: bool,
    /// The address it wants to be known by (5.8 and later).
    pub advertised_address: Option<String>,
    /// What it asks of its clients.
    pub hints: Hints,
}

impl ServerInfo {
    /// Takes over HELLO's answer.
    pub(crate) fn hello(&mut self, said: HelloSuccess<'_>, version: Version) {
        let features = version.features();
        self.agent = said.server.unwrap_or_default().to_owned();
        self.connection_id = said.connection_id.unwrap_or_default().to_owned();
        self.credentials_expired |= said.credentials_expired;
        self.hints = said.hints;
        // A hint about what the version does not have would lead a caller astray.
        self.hints.telemetry &= features.telemetry;
        self.hints.ssr &= features.ssr;
    }

    /// Takes over LOGON's answer, or what of it HELLO's holds in older versions.
    pub(crate) fn logon(&mut self, said: LogonSuccess<'_>) {
        self.credentials_expired |= said.credentials_expired;
        if let Some(address) = said.advertised_address {
            self.advertised_address = Some(address.to_owned());
        }
    }
}

impl<I: Io> Engine<I> {
    /// Agrees on a version and logs in: two flights.
    ///
    /// # Errors
    /// `NotBolt` when the other end is something else, `Failure` when it refuses the login, `TimedOut` when all of it
    /// takes longer than [`Config::login_timeout`].
    pub async fn login(io: I, config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let mut engine = Engine::new(io, config)?;
        engine.login_deadline = config.login_timeout.map(|timeout| Instant::now() + timeout);
        engine.handshake(config).await?;
        engine.hello(config).await?;
        engine.login_deadline = None;
        let message_max = engine.recv.max_capacity_bytes() - BESIDE_MESSAGE_BYTES;
        engine.message_max = config.limits.message_bytes_max.min(message_max);
        engine.rest();
        Ok(engine)
    }

    fn new(io: I, config: &Config) -> Result<Self, Error> {
        let cancel = match io.interrupt() {
            Ok(out) => CancelHandle::new(out),
            Err(error) => return Err(Error::from_io(error, "preparing the socket")),
        };
        let share = |part: usize| {
            BufConfig { max_capacity_bytes: config.memory_bytes_max / part, ..BufConfig::default() }
                .normalized()
        };
        // Until a version is agreed on, the dialect is the oldest.
        let dialect = Version::V4_0.dialect(false);
        Ok(Engine {
            io,
            recv: BoltBuf::with_config(share(2)),
            send: BoltBuf::with_config(share(4)),
            dechunker: Dechunker::new(),
            decoder: RecordDecoder::new(config.limits.depth_max, dialect),
            walker: Walker::new(config.limits.depth_max),
            owed: VecDeque::with_capacity(OWED_CAPACITY),
            staged: VecDeque::with_capacity(OWED_CAPACITY),
            ahead: Vec::new(),
            ahead_owed: Vec::new(),
            logged_off: false,
            table: None,
            results: Results::new(config.results_max),
            cancel,
            held: 0,
            replay: None,
            position: 0,
            need: 0,
            stats: Counts::default(),
            message_max: config.limits.login_message_bytes_max,
            limits: config.limits,
            version: Version::V4_0,
            utc_patch: false,
            in_transaction: false,
            transaction_failed: false,
            failed: false,
            interrupted: false,
            reset_wanted: false,
            failure: None,
            bookmark: String::new(),
            server: ServerInfo::default(),
            over: None,
            writing: false,
            login_deadline: None,
            waiting_since: None,
            settings: Settings {
                fetch_size: config.fetch_size.to_wire(),
                database: config.database.clone(),
                read_timeout: config.read_timeout,
                write_timeout: config.write_timeout,
                answer_timeout: config.answer_timeout,
                aside_bytes_max: config.memory_bytes_max / 4,
            },
        })
    }

    async fn handshake(&mut self, config: &Config) -> Result<(), Error> {
        let mut handshake = ClientHandshake::with_limits(&config.offer, &config.limits);
        handshake.start(&mut self.send)?;
        self.write_out().await?;
        let version = loop {
            match handshake.read(self.recv.read_slice(), &mut self.send) {
                Ok(HandshakeStep::Done { version, consumed, .. }) => {
                    // What the manifest calls for goes out with HELLO, in one write.
                    self.recv.consume(consumed);
                    self.position += consumed as u64;
                    break version;
                }
                Ok(HandshakeStep::NeedMore) => {}
                Err(error) => {
                    // The refusal, where there is one to send, is a courtesy.
                    let _ = self.write_out().await;
                    return Err(self.not_bolt(error, config));
                }
            }
            if let Err(error) = self.fill().await {
                if error.reason() == Reason::Closed {
                    let error = handshake.closed(self.recv.read_slice());
                    return Err(self.not_bolt(error, config));
                }
                return Err(error);
            }
        };
        self.version = version;
        self.set_dialect();
        Ok(())
    }

    fn set_dialect(&mut self) {
        self.decoder.set_dialect(self.version.dialect(self.utc_patch));
    }

    async fn hello(&mut self, config: &Config) -> Result<(), Error> {
        let routing = config.routing.as_deref().map(|context| {
            context.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>()
        });
        let hello = Hello {
            user_agent: &config.user_agent,
            bolt_agent: AGENT,
            // 4.0 has no place for it.
            routing: routing.as_deref().filter(|_| self.version.features().hello_routing),
            auth: &config.auth,
            notifications: config.notifications.as_wire(),
        };
        hello.write(self.version, false, &mut self.send)?;
        self.owed.push_back(Owed::Hello);
        if self.version.features().logon {
            Logon { auth: &config.auth }.write(self.version, false, &mut self.send)?;
            self.owed.push_back(Owed::Logon);
        }
        self.write_out().await?;
        while !self.owed.is_empty() {
            let answered = self.answer().await?;
            if answered.outcome != Outcome::Success {
                let error = self.refusal(answered);
                return Err(self.break_off(error));
            }
        }
        self.set_dialect();
        Ok(())
    }

    /// What the handshake found instead of a Bolt server it can talk to.
    #[cold]
    fn not_bolt(&mut self, error: HandshakeError, config: &Config) -> Error {
        let Config { host, port, .. } = config;
        let reason = match error {
            HandshakeError::NoCommonVersion | HandshakeError::NoneInManifest { .. } => {
                Reason::NoCommonVersion
            }
            HandshakeError::Closed { .. } => Reason::Closed,
            HandshakeError::Output(_) => Reason::Internal,
            _ => Reason::NotBolt,
        };
        // The handshake's own sentences end with what to do.
        self.break_off(
            Error::new(reason, format!("no Bolt connection to {host}:{port}: {error}")).with_source(error),
        )
    }

    // ---- what it says of itself

    /// The record at a location that the last call of `next` gave.
    #[inline]
    pub fn record(&self, slot: Slot, location: Location) -> RecordRef<'_> {
        let result = self.results.peek(slot.index);
        let bytes = if location.aside { result.aside_unread() } else { self.recv.read_slice() };
        // The location came from these very bytes; were it stale, an empty message has no readable column.
        let message = bytes.get(location.start..location.end).unwrap_or_default();
        self.decoder.record(message, &result.fields)
    }

    /// The columns of a result; none for a slot that is void.
    pub fn fields(&self, slot: Slot) -> &Fields {
        static NONE: std::sync::OnceLock<Fields> = std::sync::OnceLock::new();
        match self.results.get(slot) {
            Ok(result) => &result.fields,
            Err(_) => NONE.get_or_init(Fields::new),
        }
    }

    /// The summary of a result that has been read or finished.
    ///
    /// # Errors
    /// The slot is void, the result has not ended, or its metadata are malformed.
    pub fn summary(&self, slot: Slot) -> Result<&Summary, Error> {
        let result = self.results.get(slot)?;
        if result.phase == Phase::Done { Ok(&result.summary) } else { Err(self.ended()) }
    }

    /// As [`summary`](Self::summary), taken out of the slot instead of copied.
    pub(crate) fn take_summary(&mut self, slot: Slot) -> Result<Summary, Error> {
        self.summary(slot)?;
        Ok(std::mem::take(&mut self.results.get_mut(slot)?.summary))
    }

    /// Gives a slot free for another result.
    pub(crate) fn free(&mut self, slot: Slot) {
        if let Ok(result) = self.results.get_mut(slot) {
            result.drop_aside();
            result.phase = Phase::Free;
        }
    }

    /// The version agreed on.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What the server said of itself.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// A handle that cancels from another thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// What has been done so far.
    pub fn stats(&self) -> ConnectionStats {
        let buffers_bytes =
            self.recv.capacity_bytes() + self.send.capacity_bytes() + self.results.aside_capacity();
        let Counts { bytes_read, bytes_written, reads, writes, messages, noops, prefetches, resets } =
            self.stats;
        ConnectionStats {
            bytes_read,
            bytes_written,
            reads,
            writes,
            messages,
            noops,
            prefetches,
            resets,
            buffer: self.recv.stats(),
            buffers_bytes,
        }
    }

    /// Whether no error has ended the connection.
    pub fn is_usable(&self) -> bool {
        self.over.is_none() && !self.writing
    }

    /// Whether nothing is owed, open or to be cleaned up.
    pub fn is_clean(&mut self) -> bool {
        self.is_usable()
            && !self.reset_is_owed()
            && self.owed.is_empty()
            && self.ahead_owed.is_empty()
            && !self.in_transaction
            && !self.failed
            && !self.reset_wanted
            && !self.results.peek(0).is_open()
    }

    /// Nothing happens at present: an idle tick for the buffers.
    pub fn rest(&mut self) {
        if self.replay.is_none() {
            self.let_go();
        }
        self.recv.end_cycle(Cycle::Idle);
        self.send.end_cycle(Cycle::Idle);
    }

    /// The limits of the buffer for rows set aside, when others hold `taken_bytes` of the share.
    pub(crate) fn aside_config(&self, taken_bytes: usize) -> BufConfig {
        let left = self.settings.aside_bytes_max.saturating_sub(taken_bytes);
        BufConfig { max_capacity_bytes: left, ..BufConfig::default() }.normalized()
    }
}

impl<I: Io> Drop for Engine<I> {
    fn drop(&mut self) {
        // A handle somebody still holds must not keep the socket open.
        self.cancel.close();
        self.io.close();
    }
}

impl<I: Io> std::fmt::Debug for Engine<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("version", &self.version)
            .field("owed", &self.owed)
            .field("in_transaction", &self.in_transaction)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
