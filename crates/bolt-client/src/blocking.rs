//! The blocking face: a connection, the rows of a query, a transaction with its cursors.
//!
//! Owns nothing but a borrowed or owned [`Engine`]. Never buffers, parses or decides; each call polls the engine's
//! async body once, over a socket that blocks. Limits: one thread at a time; other threads have the [`CancelHandle`].

use bolt_wire::handshake::Offer;
use bolt_wire::request::TelemetryApi;
use bolt_wire::route::RoutingTable;
use bolt_wire::summary::{Hints, Summary};
use bolt_wire::{Auth, Fields, Params, RecordRef, Version};

use crate::answers::Polled;
use crate::cancel::CancelHandle;
use crate::config::{Config, FetchSize, RouteOptions, RunOptions, TxOptions};
use crate::engine::{ConnectionStats, Engine, ServerInfo};
use crate::error::{Error, Reason};
use crate::io::{TcpIo, drive};
use crate::results::Slot;

/// One connection to a Bolt server, with one owner.
///
/// Memory: two buffers that adapt to the traffic (16 KiB each at rest, 128 KiB under load, larger while a larger
/// message passes through), never more than [`Config::memory_bytes_max`]. Dropping it closes the socket.
///
/// ```no_run
/// use bolt_client::{Auth, Config, Connection};
///
/// let config = Config::from_uri("bolt://localhost:7687")?.auth(Auth::basic("neo4j", "secret"));
/// let mut conn = Connection::connect(&config)?;
/// let mut rows = conn.run("UNWIND range(1, $n) AS x RETURN x", [("n", 1_000_000)])?;
/// let mut sum = 0;
/// while let Some(row) = rows.next()? {
///     sum += row.get::<i64>(0)?;
/// }
/// assert_eq!(sum, 500_000_500_000);
/// # Ok::<(), bolt_client::Error>(())
/// ```
pub struct Connection {
    engine: Engine<TcpIo>,
}

impl Connection {
    /// Connects and logs in: two round trips after TCP's own.
    ///
    /// Blocks for [`Config::connect_timeout`] plus [`Config::login_timeout`] at most (name lookup apart). When the
    /// server knows none of the versions in the default offer, a second connection asks for 4.0, which does not fit
    /// the first one's four slots.
    ///
    /// # Errors
    /// `Unreachable` or `TimedOut` when nobody answers; `NotBolt` when somebody else does; `Failure` when the login is
    /// refused; `InvalidConfig` before anything is sent.
    pub fn connect(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let attempt = |config: &Config| {
            let io = TcpIo::connect(&config.host, config.port, config.connect_timeout)?;
            drive(Engine::login(io, config))
        };
        match attempt(config) {
            Err(error) if error.reason() == Reason::NoCommonVersion && config.offer == Offer::default() => {
                let Ok(oldest) = Offer::only(Version::V4_0) else { return Err(error) };
                let second = Config { offer: oldest, ..config.clone() };
                // The first refusal says more than the second.
                attempt(&second).map_err(|again| if again.reason() == error.reason() { error } else { again })
            }
            other => other,
        }
        .map(|engine| Connection { engine })
    }

    /// Logs in over a socket that is connected already.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub fn over(io: TcpIo, config: &Config) -> Result<Self, Error> {
        drive(Engine::login(io, config)).map(|engine| Connection { engine })
    }

    /// Runs a query in a transaction of its own.
    ///
    /// RUN and the first PULL leave in one write; the call returns when the columns are known. What an earlier
    /// [`Rows`] left unread is dealt with first, as told [there](Rows#dropping).
    ///
    /// # Errors
    /// `InvalidArgument` when the query cannot be sent, `Failure` when the server refuses it, or what broke the
    /// connection.
    pub fn run(&mut self, query: &str, params: impl Params) -> Result<Rows<'_>, Error> {
        self.run_with(query, params, &RunOptions::default())
    }

    /// As [`run`](Self::run), with a database, an access mode, a timeout and more.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn run_with(
        &mut self,
        query: &str,
        params: impl Params,
        options: &RunOptions,
    ) -> Result<Rows<'_>, Error> {
        let slot = drive(self.engine.run(query, &params, options))?;
        Ok(Rows { engine: &mut self.engine, slot })
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn begin(&mut self, options: &TxOptions) -> Result<Transaction<'_>, Error> {
        drive(self.engine.begin(options))?;
        Ok(Transaction { engine: &mut self.engine })
    }

    /// Asks which servers of a cluster there are, for one database: by ROUTE, or before 4.3 by the procedure that did the same.
    ///
    /// One round trip; what an earlier [`Rows`] left unread is dealt with first. When to ask, and what to do with the answer, is a
    /// driver's business.
    ///
    /// # Errors
    /// `Failure` when the server has no table to give; `InvalidArgument` for an impersonated user below 4.4; `Malformed`,
    /// which ends the connection, for a table without a router or a reader, or with addresses that are none.
    pub fn route(&mut self, options: &RouteOptions) -> Result<RoutingTable, Error> {
        drive(self.engine.route(options))
    }

    /// Ends the session of the user logged on (5.1). Does not wait: LOGOFF leaves in the same write as the next request, or
    /// with [`settle`](Self::settle). [`logon`](Self::logon) must come before the next query.
    ///
    /// ```no_run
    /// # let config = bolt_client::Config::from_uri("bolt://localhost:7687")?;
    /// # let mut conn = bolt_client::Connection::connect(&config)?;
    /// use bolt_client::Auth;
    ///
    /// conn.logoff()?;
    /// conn.logon(&Auth::basic("alice", "secret"))?;
    /// // LOGOFF, LOGON, RUN and PULL in one write.
    /// let mut rows = conn.run("RETURN 1", ())?;
    /// # rows.next()?;
    /// # Ok::<(), bolt_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` below 5.1, or when nobody is logged on; nothing is sent then.
    pub fn logoff(&mut self) -> Result<(), Error> {
        self.engine.logoff()
    }

    /// Begins the session of another user after [`logoff`](Self::logoff) (5.1). Does not wait: LOGON leaves in the same
    /// write as the next request, or with [`settle`](Self::settle).
    ///
    /// # Errors
    /// `InvalidArgument` below 5.1, or while somebody is logged on. That the server refuses the user shows with the request it leaves
    /// with, and ends the connection, as the server does.
    pub fn logon(&mut self, auth: &Auth) -> Result<(), Error> {
        self.engine.logon(auth)
    }

    /// Tells the server which interface of a driver is used (5.4). Does not wait: TELEMETRY leaves in the same write as the
    /// next request, or with [`settle`](Self::settle). For servers whose [`hints`](Self::hints) ask for it; this
    /// crate never sends it by itself.
    ///
    /// # Errors
    /// `InvalidArgument` below 5.4; nothing is sent then.
    pub fn telemetry(&mut self, api: TelemetryApi) -> Result<(), Error> {
        self.engine.telemetry(api)
    }

    /// A handle that cancels, from any thread, what this connection is doing.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.engine.cancel_handle()
    }

    /// RESET: ends whatever is open, rolls back, and waits until the server is ready.
    ///
    /// There is no need to call it after an error; the next request does what is necessary.
    ///
    /// # Errors
    /// What breaks the connection.
    pub fn reset(&mut self) -> Result<(), Error> {
        drive(self.engine.reset())
    }

    /// Brings what was left half-way to an end now and not with the next request: the server keeps nothing open for
    /// this connection afterwards. For pools, before they put it aside.
    ///
    /// # Errors
    /// What breaks the connection.
    pub fn settle(&mut self) -> Result<(), Error> {
        drive(self.engine.settle())
    }

    /// Tells the buffers that nothing happens at present. After 32 such ticks in a row (a query counts as one) they
    /// are back to their floor. Costs nothing else, and no system call.
    pub fn idle_tick(&mut self) {
        self.engine.rest();
    }

    /// Says goodbye and closes the socket. Dropping the connection closes it without the word.
    pub fn close(mut self) {
        let _ = drive(async {
            self.engine.close().await;
            Ok(())
        });
    }

    /// The version agreed on.
    #[must_use]
    pub fn version(&self) -> Version {
        self.engine.version()
    }

    /// What the server said of itself.
    #[must_use]
    pub fn server(&self) -> &ServerInfo {
        self.engine.server()
    }

    /// What the server asks of its clients.
    #[must_use]
    pub fn hints(&self) -> Hints {
        self.engine.server().hints
    }

    /// What the connection has done so far.
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        self.engine.stats()
    }

    /// Whether nothing is owed and nothing open: what [`settle`](Self::settle) leaves behind.
    #[must_use]
    pub fn is_clean(&mut self) -> bool {
        self.engine.is_clean()
    }

    /// Whether the connection can be used: no error has ended it. A network that has gone away unnoticed shows only
    /// when it is used.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.engine.is_usable()
    }

    /// The engine under this face.
    #[must_use]
    pub fn engine(&mut self) -> &mut Engine<TcpIo> {
        &mut self.engine
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("version", &self.version())
            .field("server", &self.server().agent)
            .field("usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}

/// The rows of one query, in the order the server sends them.
///
/// A row borrows the receive buffer: it lives until the next call. Nothing is allocated per row, and what is not
/// looked at is not decoded. [`RecordRef::to_owned`] keeps a row, `RecordRef::deserialize` turns it into a struct that
/// may borrow from it (feature `serde`).
///
/// # Dropping
/// Rows may be dropped at any point; that does no input or output. The next request of the connection first brings
/// the result to its end: nothing if it was read to the end; a RESET in the same write if the query was declared
/// read-only ([`RunOptions::read_only`]); otherwise the batch on its way is skipped and the rest is discarded, so that
/// what the query writes is committed exactly as if all had been read. An error in that unread rest is not reported:
/// who wants to know calls [`finish`](Self::finish).
pub struct Rows<'c> {
    engine: &'c mut Engine<TcpIo>,
    slot: Slot,
}

impl Rows<'_> {
    /// The next row, or none after the last.
    ///
    /// Cost: one pass over the row's bytes; a read when the buffer is out of whole rows; a write of a few bytes when
    /// half a batch is read and more is known to follow. No allocation.
    ///
    /// # Errors
    /// What ended the result: the server's failure (rows before it were delivered), a cancel, or a broken connection.
    /// Asking again gives an error again.
    #[inline]
    #[allow(clippy::should_implement_trait, reason = "a lending iterator, which Iterator cannot be")]
    pub fn next(&mut self) -> Result<Option<RecordRef<'_>>, Error> {
        next(self.engine, self.slot)
    }

    /// The columns.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        self.engine.fields(self.slot)
    }

    /// Ends the result and gives its summary. What was not read is discarded; the query itself runs to its end.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub fn finish(self) -> Result<Summary, Error> {
        drive(self.engine.finish(self.slot))?;
        self.engine.take_summary(self.slot)
    }

    /// The rows turned into values of `T`, one by one.
    #[cfg(feature = "serde")]
    pub fn typed<T: serde::de::DeserializeOwned>(&mut self) -> Typed<'_, T> {
        Typed { engine: self.engine, slot: self.slot, done: false, of: std::marker::PhantomData }
    }
}

#[inline]
fn next(engine: &mut Engine<TcpIo>, slot: Slot) -> Result<Option<RecordRef<'_>>, Error> {
    loop {
        match engine.poll(slot)? {
            Polled::Record { location, prefetch } => {
                if prefetch {
                    drive(engine.prefetch(slot))?;
                }
                return Ok(Some(engine.record(slot, location)));
            }
            other => {
                if drive(engine.proceed(slot, other))? {
                    return Ok(None);
                }
            }
        }
    }
}

/// Rows as values of a type; made by [`Rows::typed`]. Ends after the first error.
#[cfg(feature = "serde")]
pub struct Typed<'r, T> {
    engine: &'r mut Engine<TcpIo>,
    slot: Slot,
    done: bool,
    of: std::marker::PhantomData<fn() -> T>,
}

#[cfg(feature = "serde")]
impl<T: serde::de::DeserializeOwned> Iterator for Typed<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = match next(self.engine, self.slot) {
            Ok(None) => None,
            Ok(Some(row)) => Some(row.deserialize().map_err(Error::from)),
            Err(error) => Some(Err(error)),
        };
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}

/// A result within a [`Transaction`]. Several can be open at once.
///
/// Only a name: copying it is free, dropping it does nothing. It is void when the transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(Slot);

impl From<&Cursor> for Cursor {
    fn from(cursor: &Cursor) -> Self {
        *cursor
    }
}

/// An open transaction: queries that take effect together, or not at all.
///
/// Dropping it rolls back: one small write, whose answer the next request reads.
///
/// ```no_run
/// # let config = bolt_client::Config::from_uri("bolt://localhost:7687")?;
/// # let mut conn = bolt_client::Connection::connect(&config)?;
/// use bolt_client::TxOptions;
///
/// let mut tx = conn.begin(&TxOptions::default())?;
/// let people = tx.run("MATCH (p:Person) RETURN p.name", ())?;
/// let cities = tx.run("MATCH (c:City) RETURN c.name", ())?;
/// // Both results are open; rows of the one that is not being read are kept for later.
/// while let Some(person) = tx.next(people)? {
///     println!("{}", person.get::<&str>(0)?);
///     if let Some(city) = tx.next(cities)? {
///         println!("  lives in {}", city.get::<&str>(0)?);
///     }
/// }
/// let bookmark = tx.commit()?;
/// # let _: Option<String> = bookmark;
/// # Ok::<(), bolt_client::Error>(())
/// ```
pub struct Transaction<'c> {
    engine: &'c mut Engine<TcpIo>,
}

impl Transaction<'_> {
    /// Runs a query. Results opened before stay open.
    ///
    /// # Errors
    /// As for [`Connection::run`]; a refusal ends the transaction.
    pub fn run(&mut self, query: &str, params: impl Params) -> Result<Cursor, Error> {
        drive(self.engine.run(query, &params, &RunOptions::default())).map(Cursor)
    }

    /// As [`run`](Self::run), with so many records per PULL.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn run_fetching(
        &mut self,
        query: &str,
        params: impl Params,
        fetch_size: impl Into<FetchSize>,
    ) -> Result<Cursor, Error> {
        let options = RunOptions { fetch_size: Some(fetch_size.into()), ..RunOptions::default() };
        drive(self.engine.run(query, &params, &options)).map(Cursor)
    }

    /// The next row of a result, or none after the last.
    ///
    /// Rows of other results that come in between are copied into a buffer of their own, a quarter of the memory
    /// ceiling at most.
    ///
    /// # Errors
    /// As for [`Rows::next`]. `Limit` when there is no room to keep the rows that are in the way: read that result
    /// first; nothing is lost.
    #[inline]
    pub fn next(&mut self, cursor: impl Into<Cursor>) -> Result<Option<RecordRef<'_>>, Error> {
        next(self.engine, cursor.into().0)
    }

    /// The columns of a result; none when the cursor is void.
    #[must_use]
    pub fn fields(&self, cursor: impl Into<Cursor>) -> &Fields {
        self.engine.fields(cursor.into().0)
    }

    /// Ends a result and gives its summary; the cursor is void afterwards.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub fn finish(&mut self, cursor: Cursor) -> Result<Summary, Error> {
        drive(self.engine.finish(cursor.0))?;
        let summary = self.engine.take_summary(cursor.0);
        self.engine.free(cursor.0);
        summary
    }

    /// Commits and gives the bookmark, if the server sent one. Results still open are discarded.
    ///
    /// # Errors
    /// `Failure` when the server refuses; `CommitUnknown` when the connection broke before the answer came.
    pub fn commit(self) -> Result<Option<String>, Error> {
        drive(async { self.engine.commit().await.map(|bookmark| bookmark.map(str::to_owned)) })
    }

    /// Rolls back and waits for the answer.
    ///
    /// # Errors
    /// Only what breaks the connection, and that rolls back too.
    pub fn rollback(self) -> Result<(), Error> {
        drive(self.engine.rollback())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // After commit or rollback there is nothing left to do, and an error shows at the next request.
        let _ = drive(self.engine.abandon_transaction());
    }
}
