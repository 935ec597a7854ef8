//! What a user can set: the connection, and each query or transaction.
//!
//! Owns numbers, names and their defaults, each with its reason. Never opens anything. Limits are checked where they
//! are used; contradictions are found by `Config::validate` before the first packet.

use std::num::NonZeroU32;
use std::time::Duration;

use bolt_wire::handshake::Offer;
use bolt_wire::request::{AccessMode, MinimumSeverity, NotificationClass, NotificationFilter, RunExtra};
use bolt_wire::{Auth, Limits, Map, Version};

use crate::error::{Error, Reason};
use crate::uri;

/// Enough for a name lookup and a few lost packets; a server that takes longer is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Handshake and login are two round trips and one password hash.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// A server that does not read for so long will not read any more.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// What official drivers ask for at a time.
const FETCH_SIZE: u32 = 1000;

/// Half of it is for one incoming message, a quarter for one outgoing flight, a quarter for rows set aside.
const MEMORY_BYTES_MAX: usize = 256 << 20;

/// Below this the buffers' floors alone would pass the ceiling.
pub(crate) const MEMORY_BYTES_MIN: usize = 256 << 10;

/// Results open at once in a transaction. Each costs about 300 bytes, and a buffer when its rows are set aside.
const RESULTS_MAX: usize = 256;

/// How many records a PULL asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchSize {
    /// So many, and the next batch is asked for when half of them are read.
    Records(NonZeroU32),
    /// All that are left. The memory used is the same; the server, not the reader, sets the pace until the network's
    /// buffers are full.
    All,
}

impl FetchSize {
    pub(crate) fn to_wire(self) -> i64 {
        match self {
            FetchSize::Records(records) => i64::from(records.get()),
            FetchSize::All => -1,
        }
    }
}

/// 0, and with signed numbers what is below, means all; above `u32::MAX` the maximum is meant.
impl From<i64> for FetchSize {
    fn from(records: i64) -> Self {
        let records = u32::try_from(records.max(0)).unwrap_or(u32::MAX);
        NonZeroU32::new(records).map_or(FetchSize::All, FetchSize::Records)
    }
}

/// As for `i64`.
impl From<i32> for FetchSize {
    fn from(records: i32) -> Self {
        i64::from(records).into()
    }
}

/// As for `i64`.
impl From<u32> for FetchSize {
    fn from(records: u32) -> Self {
        i64::from(records).into()
    }
}

/// Which notifications a server should send. The default leaves it to the server, or to what was said at login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notifications {
    /// From which severity on.
    pub minimum_severity: Option<MinimumSeverity>,
    /// Which kinds not; an empty list switches all on.
    pub disabled: Option<Vec<NotificationClass>>,
}

impl Notifications {
    pub(crate) fn as_wire(&self) -> NotificationFilter<'_> {
        NotificationFilter { minimum_severity: self.minimum_severity, disabled: self.disabled.as_deref() }
    }
}

/// How to reach a server, who to be there, and what the connection may cost.
///
/// ```
/// use bolt_client::{Auth, Config};
///
/// let config = Config::from_uri("bolt://localhost:7687")?
///     .auth(Auth::basic("neo4j", "secret"))
///     .memory_bytes_max(32 << 20);
/// assert_eq!((config.host.as_str(), config.port), ("localhost", 7687));
/// # Ok::<(), bolt_client::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Name or address of the server.
    pub host: String,
    /// Its Bolt port. Default 7687.
    pub port: u16,
    /// Who to log in as. Default nobody (`Auth::None`). Its `Debug` form hides secrets.
    pub auth: Auth,
    /// The application's name, as the server's logs show it. Default this crate's.
    pub user_agent: String,
    /// Database of queries and transactions that name none. Default none: the user's home database.
    pub database: Option<String>,
    /// Which notifications the server should send (5.2 and later). Default: what the server is configured for.
    pub notifications: Notifications,
    /// The routing context told at login (4.1 and later), with `address`: for drivers, whose connections belong to a cluster. Default
    /// none: the connection is to this server and no other.
    pub routing: Option<Vec<(String, String)>>,
    /// Versions to offer. Default everything from 6.1 down to 4.1, and 4.0 by a second attempt.
    pub offer: Offer,
    /// Records per PULL. Default 1000.
    pub fetch_size: FetchSize,
    /// For all addresses of the name together. Default 5 s.
    pub connect_timeout: Option<Duration>,
    /// From the first byte to a usable connection, however slowly the server dribbles. Default 15 s.
    pub login_timeout: Option<Duration>,
    /// The longest silence while an answer is awaited; NOOPs count as a sign of life. Default none: a query may take
    /// as long as it likes. The server's own hint (`connection.recv_timeout_seconds`) applies in any case.
    pub read_timeout: Option<Duration>,
    /// The longest wait for one message while an answer is awaited, whatever NOOPs come. Default none.
    pub answer_timeout: Option<Duration>,
    /// The longest wait for the server to take more bytes. Default 60 s.
    pub write_timeout: Option<Duration>,
    /// Ceiling on the buffers of the connection: half for one incoming message, a quarter for one outgoing request, a
    /// quarter for rows set aside. Default 256 MiB; a stream of small records needs 150 KiB whatever its length.
    pub memory_bytes_max: usize,
    /// Results that may be open at once in a transaction. Default 256.
    pub results_max: usize,
    /// Limits on single messages. The ceiling above applies as well.
    pub limits: Limits,
}

impl Config {
    /// The defaults for a server at `host` and `port`.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Config {
            host: host.into(),
            port,
            auth: Auth::None,
            user_agent: concat!("bolt-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            database: None,
            notifications: Notifications::default(),
            routing: None,
            offer: Offer::default(),
            fetch_size: FetchSize::from(FETCH_SIZE),
            connect_timeout: Some(CONNECT_TIMEOUT),
            login_timeout: Some(LOGIN_TIMEOUT),
            read_timeout: None,
            answer_timeout: None,
            write_timeout: Some(WRITE_TIMEOUT),
            memory_bytes_max: MEMORY_BYTES_MAX,
            results_max: RESULTS_MAX,
            limits: Limits::default(),
        }
    }

    /// The defaults for a server at `bolt://host[:port]`.
    ///
    /// # Errors
    /// What is wrong with the address and how to write it. Schemes that ask for routing or TLS are refused by name.
    pub fn from_uri(uri: &str) -> Result<Self, Error> {
        let (host, port) = uri::parse(uri)?;
        Ok(Config::new(host, port))
    }

    /// Sets who to log in as.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Sets the application's name.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Offers one version only.
    ///
    /// # Errors
    /// When this crate does not speak it.
    pub fn only_version(mut self, version: Version) -> Result<Self, Error> {
        self.offer =
            Offer::only(version).map_err(|error| Error::new(Reason::InvalidConfig, error.to_string()))?;
        Ok(self)
    }

    /// Sets the records per PULL; 0 means all.
    #[must_use]
    pub fn fetch_size(mut self, records: impl Into<FetchSize>) -> Self {
        self.fetch_size = records.into();
        self
    }

    /// Sets the database of queries and transactions that name none.
    #[must_use]
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.database = Some(name.into());
        self
    }

    /// Sets the limits on single messages.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the ceiling on the connection's buffers.
    #[must_use]
    pub fn memory_bytes_max(mut self, bytes: usize) -> Self {
        self.memory_bytes_max = bytes;
        self
    }

    /// Sets the routing context told at login.
    #[must_use]
    pub fn routing(mut self, context: impl Into<Vec<(String, String)>>) -> Self {
        self.routing = Some(context.into());
        self
    }

    /// Finds what cannot work before anything is sent.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let bad = |what: String| Err(Error::new(Reason::InvalidConfig, what));
        if self.host.is_empty() {
            return bad("Config::host is empty; name the server".to_owned());
        }
        if self.memory_bytes_max < MEMORY_BYTES_MIN {
            return bad(format!(
                "Config::memory_bytes_max is {}, which is less than the buffers need at rest; give at least {MEMORY_BYTES_MIN}",
                self.memory_bytes_max
            ));
        }
        for (name, timeout) in [
            ("connect_timeout", self.connect_timeout),
            ("login_timeout", self.login_timeout),
            ("read_timeout", self.read_timeout),
            ("answer_timeout", self.answer_timeout),
            ("write_timeout", self.write_timeout),
        ] {
            if timeout.is_some_and(|timeout| timeout.is_zero()) {
                return bad(format!("Config::{name} is zero; leave it out to wait without end"));
            }
        }
        Ok(())
    }
}

/// What goes with a transaction. The default asks for nothing.
///
/// ```
/// use bolt_client::TxOptions;
///
/// let options = TxOptions { database: Some("movies".into()), read_only: true, ..TxOptions::default() };
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxOptions {
    /// Which database; none means the user's home database.
    pub database: Option<String>,
    /// The server refuses writes; and a result left half-way may be stopped by RESET.
    pub read_only: bool,
    /// As whom (4.4 and later).
    pub impersonate: Option<String>,
    /// What must be visible before it begins.
    pub bookmarks: Vec<String>,
    /// Shown in the server's query log.
    pub metadata: Option<Map>,
    /// When the server gives up; zero means never, none what the server is configured for.
    pub timeout: Option<Duration>,
    /// Which notifications are wanted, in place of what was said at login (5.2 and later).
    pub notifications: Notifications,
}

impl TxOptions {
    pub(crate) fn as_wire<'a>(&'a self, database: Option<&'a str>) -> RunExtra<'a> {
        RunExtra {
            mode: if self.read_only { AccessMode::Read } else { AccessMode::Write },
            db: self.database.as_deref().or(database),
            imp_user: self.impersonate.as_deref(),
            notifications: self.notifications.as_wire(),
            bookmarks: &self.bookmarks,
            tx_metadata: self.metadata.as_ref(),
            tx_timeout: self.timeout,
        }
    }
}

/// What is asked of a routing table. The default asks for the home database's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteOptions {
    /// The routing context of the address, with `address` itself; the same as [`Config::routing`].
    pub context: Vec<(String, String)>,
    /// What must be visible to the server that answers.
    pub bookmarks: Vec<String>,
    /// Of which database; none means the user's home database, which the table then names (4.4 and later).
    pub database: Option<String>,
    /// As whom (4.4 and later).
    pub impersonate: Option<String>,
}

/// What goes with a query in a transaction of its own: that transaction's options, and the size of its batches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunOptions {
    /// Options of the transaction. Within an open transaction they have no meaning and are not sent.
    pub tx: TxOptions,
    /// Records per PULL, in place of [`Config::fetch_size`].
    pub fetch_size: Option<FetchSize>,
}

impl RunOptions {
    /// A query that only reads: the server refuses writes, and leaving its result half-way costs no round trip.
    #[must_use]
    pub fn read_only() -> Self {
        RunOptions { tx: TxOptions { read_only: true, ..TxOptions::default() }, fetch_size: None }
    }

    /// Reading or writing.
    #[must_use]
    pub fn mode(mut self, mode: AccessMode) -> Self {
        self.tx.read_only = mode == AccessMode::Read;
        self
    }

    /// In this database.
    #[must_use]
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.tx.database = Some(name.into());
        self
    }

    /// Given up by the server after so long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.tx.timeout = Some(timeout);
        self
    }

    /// Records per PULL; 0 means all.
    #[must_use]
    pub fn fetch_size(mut self, records: impl Into<FetchSize>) -> Self {
        self.fetch_size = Some(records.into());
        self
    }
}
