//! What each request means: the state of one connection, its session, its open results.
//!
//! Owns the conversation from HELLO to GOODBYE. Reads no socket; answers go to the [`Outbox`]. Every request but
//! GOODBYE gets exactly one of SUCCESS, FAILURE, IGNORED. Limits: results open at once in a transaction, and what
//! the state machine of [`bolt_wire::state`] allows.

use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use bolt_wire::request::{
    Demand, ExtraRef, FilterRef, HelloRef, Request, RequestError, RequestTag, WriteMessage,
};
use bolt_wire::response::{HelloReply, Ignored, RunReply, Success, record_header};
use bolt_wire::state::{Outcome as Came, Pending, Rule, ServerState};
use bolt_wire::{AuthRef, EncodeError, Entries, EntrySink, ListRef, MapRef, RouteShape, Version, Walker};

use crate::answer::{FailureAnswer, ROUTING_COLUMNS, RoutingTable, SummaryAnswer, routing_record};
use crate::connection::{Admission, Context};
use crate::inbox::Inbox;
use crate::routing::Call;
use crate::sink::{Outbox, RecordEncoder, RecordSink};
use crate::{
    Backend, Columns, Failure, Interrupt, Notification, Outcome, Peer, Progress, QueryRequest, Session,
    StopReason, TransactionRequest,
};

/// Whether the connection goes on after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    /// Send what is buffered, then close.
    Close,
}

/// Where the records of a result come from.
enum Source<S> {
    /// The backend.
    Stream(S),
    /// The routing procedure, with its one record: this server's address in every role.
    Routing(String),
}

/// An open result.
struct Open<S> {
    qid: i64,
    source: Source<S>,
    width: usize,
    /// Whether a record was sent or skipped.
    has_records: bool,
    filter: Filter,
}

/// Which notifications the client wants.
#[derive(Clone, Debug, Default)]
struct Filter {
    /// None at all.
    off: bool,
    warnings_only: bool,
    disabled: Vec<String>,
}

/// How a request failed.
enum Ending {
    /// Failed; the connection waits for RESET.
    Failed(Failure),
    /// Failed, and the connection ends.
    Fatal(Failure),
}

impl From<Failure> for Ending {
    fn from(failure: Failure) -> Self {
        Ending::Failed(failure)
    }
}

/// The bookmarks of this server: this and a number.
const BOOKMARK_PREFIX: &str = "boltstack:";

pub(crate) struct Conversation<'c, B: Backend> {
    context: &'c Context<'c, B>,
    inbox: &'c Inbox,
    interrupt: Interrupt,
    out: Outbox,
    walker: Walker,
    peer: Peer,
    manifest: bool,
    admission: Admission,
    state: ServerState,
    utc: bool,
    session: Option<B::Session>,
    login_deadline: Option<Instant>,
    filter: Filter,
    routing_address: Option<String>,
    /// Open results, in the order of their RUNs.
    open: Vec<Open<<B::Session as Session>::Stream>>,
    next_qid: i64,
    /// The database of the open transaction.
    database: String,
}

impl<'c, B: Backend> Conversation<'c, B> {
    #[allow(clippy::too_many_arguments)] // It is made in one place, from what that place has learned.
    pub(crate) fn new(
        context: &'c Context<'c, B>,
        inbox: &'c Inbox,
        out: Outbox,
        id: u64,
        address: SocketAddr,
        version: Version,
        manifest: bool,
        admission: Admission,
    ) -> Self {
        Conversation {
            context,
            inbox,
            interrupt: inbox.interrupt(),
            out,
            walker: Walker::new(context.config.depth_max),
            peer: Peer::new(format!("bolt-{id}"), address, version),
            manifest,
            admission,
            state: ServerState::Negotiation,
            utc: false,
            session: None,
            login_deadline: None,
            filter: Filter::default(),
            routing_address: None,
            open: Vec::new(),
            next_qid: 0,
            database: String::new(),
        }
    }

    pub(crate) fn outbox(&mut self) -> &mut Outbox {
        &mut self.out
    }

    pub(crate) fn is_logged_in(&self) -> bool {
        self.state.is_authenticated()
    }

    /// When a client that has logged off must have logged on again.
    pub(crate) fn login_deadline(&self) -> Option<Instant> {
        self.login_deadline
    }

    /// Serves one request: the body of a message.
    pub(crate) fn serve(&mut self, body: &[u8]) -> Flow {
        let version = self.peer.version;
        // As real servers do: what is no request at all ends the connection without a word.
        let Ok(tag) = RequestTag::of(body, version) else { return Flow::Close };
        // A RESET that waits in the queue overtakes what came before it.
        let waits = tag != RequestTag::Reset && self.inbox.reset_waits();
        let state = if waits { self.state.interrupted() } else { self.state };
        match state.rule(tag) {
            Rule::Serve => {}
            Rule::Ignore => return self.ignored(),
            Rule::Close => return Flow::Close,
            Rule::Violation => {
                return self
                    .end(&Failure::invalid_request(format!("{tag} is not allowed in the state {state:?}.")));
            }
        }
        // The walker is taken out so that the request may borrow the message and the rest of `self` be changed.
        let mut walker = std::mem::take(&mut self.walker);
        let parsed = Request::parse(body, version, self.utc, &mut walker);
        let ending = match parsed {
            Ok(request) => self.dispatch(request),
            Err(error) if error.is_fatal() => {
                self.walker = walker;
                return Flow::Close;
            }
            Err(error) => Err(malformed(&error)),
        };
        self.walker = walker;
        match ending {
            Ok(()) => {
                let came = Came::Success { results_open: !self.open.is_empty() };
                self.state = self.state.after(tag, came, version);
                self.go_on()
            }
            Err(Ending::Failed(failure)) if Pending::is_fatal(tag) => self.end(&failure),
            Err(Ending::Fatal(failure)) => self.end(&failure),
            Err(Ending::Failed(failure)) => self.fail(&failure),
        }
    }

    /// Tells the client why the connection ends.
    pub(crate) fn end(&mut self, failure: &Failure) -> Flow {
        self.close_results();
        self.answer(&FailureAnswer(failure));
        Flow::Close
    }

    fn fail(&mut self, failure: &Failure) -> Flow {
        self.close_results();
        if let Some(session) = &mut self.session {
            session.reset();
        }
        self.inbox.set_deadline(None);
        self.state = ServerState::Failed;
        self.answer(&FailureAnswer(failure));
        self.go_on()
    }

    fn ignored(&mut self) -> Flow {
        self.answer(&Ignored);
        self.go_on()
    }

    fn go_on(&self) -> Flow {
        if self.out.is_broken() { Flow::Close } else { Flow::Continue }
    }

    fn close_results(&mut self) {
        self.open.clear();
    }

    /// Writes one answer. The buffer takes any that this server makes; one that is refused all the same would put
    /// the client out of step, so the connection ends.
    fn answer(&mut self, message: &impl WriteMessage) {
        if message.write(self.peer.version, self.utc, self.out.buf()).is_err() {
            self.out.give_up();
        }
    }

    fn success(&mut self, entries: impl Entries) {
        self.answer(&Success(entries));
    }

    fn dispatch(&mut self, request: Request<'_>) -> Result<(), Ending> {
        match request {
            Request::Hello(hello) => self.hello(&hello),
            Request::Logon(auth) => self.log_on(&auth),
            Request::Logoff => {
                self.session = None;
                self.login_deadline = Some(Instant::now() + self.context.config.login_timeout);
                self.success(());
                Ok(())
            }
            Request::Goodbye => Ok(()),
            Request::Reset => {
                self.close_results();
                if let Some(session) = &mut self.session {
                    session.reset();
                }
                self.inbox.reset_served();
                self.success(());
                Ok(())
            }
            Request::Run { query, params, extra } => self.run(query, params, &extra),
            Request::Begin(extra) => self.begin(&extra),
            Request::Commit => {
                self.close_results();
                self.in_time()?;
                self.inbox.set_deadline(None);
                self.session()?.commit()?;
                let bookmark = self.next_bookmark();
                self.success([("bookmark", bookmark.as_str())]);
                Ok(())
            }
            Request::Rollback => {
                self.close_results();
                self.inbox.set_deadline(None);
                self.session()?.rollback()?;
                self.success(());
                Ok(())
            }
            Request::Pull(demand) => self.advance(demand, true),
            Request::Discard(demand) => self.advance(demand, false),
            Request::Telemetry(_) => {
                self.success(());
                Ok(())
            }
            Request::Route { routing, bookmarks, db, imp_user } => {
                self.route(routing, bookmarks, db, imp_user)
            }
        }
    }

    fn session(&mut self) -> Result<&mut B::Session, Failure> {
        // The state machine lets nothing through that needs a session before there is one.
        self.session.as_mut().ok_or_else(|| Failure::invalid_request("Log in first."))
    }

    /// # Errors
    /// The transaction's time is up, or the server is stopping.
    fn in_time(&self) -> Result<(), Failure> {
        match self.interrupt.reason() {
            None | Some(StopReason::Reset | StopReason::Disconnected) => Ok(()),
            Some(reason @ (StopReason::Timeout | StopReason::Shutdown)) => Err(reason.failure()),
        }
    }

    // Login.

    fn hello(&mut self, hello: &HelloRef<'_>) -> Result<(), Ending> {
        let features = self.peer.version.features();
        if self.admission == Admission::Refused {
            return Err(Ending::Fatal(Failure::too_many_connections(self.context.config.connections_max)));
        }
        self.filter = Filter::default().refine(&hello.notifications).map_err(Ending::Fatal)?;
        hello.user_agent.clone_into(&mut self.peer.user_agent);
        self.routing_address =
            hello.routing.and_then(|context| context.get_as::<&str>("address").ok()).map(str::to_owned);
        if let (false, Some(auth)) = (features.logon, &hello.auth) {
            self.authenticate(auth)?;
        }
        self.utc = hello.utc_patch && features.utc_patch;
        let connection_id = self.peer.connection_id.clone();
        self.success(Hints {
            reply: HelloReply {
                server: &self.context.config.agent,
                connection_id: &connection_id,
                utc_patch: self.utc,
                protocol_version: self.manifest.then_some(self.peer.version),
                ..HelloReply::default()
            },
            has_hints: features.hints,
        });
        Ok(())
    }

    fn log_on(&mut self, auth: &AuthRef<'_>) -> Result<(), Ending> {
        self.authenticate(auth)?;
        self.login_deadline = None;
        if self.peer.version.features().ssr {
            let address = self.address(None);
            self.success([("advertised_address", address.as_str())]);
        } else {
            self.success(());
        }
        Ok(())
    }

    fn authenticate(&mut self, auth: &AuthRef<'_>) -> Result<(), Ending> {
        if let Err(failure) = self.context.backend.authenticate(auth) {
            // The answer to HELLO need not wait with this one.
            self.out.flush();
            let _ = self.interrupt.sleep(self.context.config.failed_login_delay);
            return Err(Ending::Fatal(failure));
        }
        auth.principal.unwrap_or_default().clone_into(&mut self.peer.user);
        let session = self.context.backend.open(&self.peer, self.interrupt.clone()).map_err(Ending::Fatal)?;
        self.session = Some(session);
        Ok(())
    }

    // Transactions and queries.

    /// Checks what RUN and BEGIN have in common; the database is the one to use.
    fn transaction<'q>(
        &self,
        extra: &ExtraRef<'q>,
    ) -> Result<(TransactionRequest<'q>, Option<Instant>), Failure>
    where
        'c: 'q,
    {
        let backend = self.context.backend;
        let database = resolve(backend, extra.db)?;
        refuse_impersonation(extra.imp_user)?;
        check_bookmarks(extra.bookmarks)?;
        // Zero means no limit; real servers take negative values for the same.
        let timeout = extra.tx_timeout_ms.and_then(|ms| u64::try_from(ms).ok()).filter(|&ms| ms > 0);
        let timeout = timeout.map(Duration::from_millis);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Ok((
            TransactionRequest { mode: extra.mode, database, timeout, metadata: extra.tx_metadata },
            deadline,
        ))
    }

    fn begin(&mut self, extra: &ExtraRef<'_>) -> Result<(), Ending> {
        let (request, deadline) = self.transaction(extra)?;
        // HELLO's filter is refined only to be checked: in a transaction each RUN has the one of BEGIN.
        self.filter.clone().refine(&extra.notifications)?;
        self.inbox.set_deadline(deadline);
        self.session()?.begin(&request)?;
        self.next_qid = 0;
        request.database.clone_into(&mut self.database);
        if extra.db.is_none() && self.peer.version.features().ssr {
            let database = self.database.clone();
            self.success([("db", database.as_str())]);
        } else {
            self.success(());
        }
        Ok(())
    }

    fn run(&mut self, text: &str, parameters: MapRef<'_>, extra: &ExtraRef<'_>) -> Result<(), Ending> {
        let begun = Instant::now();
        let in_transaction = self.state != ServerState::Ready;
        if self.open.len() >= self.context.config.open_results_max {
            let limit = self.context.config.open_results_max;
            return Err(
                Failure::argument(format!("{limit} results are open already; finish some first")).into()
            );
        }
        if self.peer.version.features().route == RouteShape::Procedure
            && let Some(call) = Call::of(text, parameters)?
        {
            return self.call_routing(call, extra, begun);
        }
        let auto_commit = if in_transaction {
            self.in_time()?;
            None
        } else {
            let (request, deadline) = self.transaction(extra)?;
            self.inbox.set_deadline(deadline);
            self.next_qid = 0;
            request.database.clone_into(&mut self.database);
            Some(request)
        };
        let filter = self.filter.clone().refine(&extra.notifications)?;
        let mut columns = Columns::default();
        let query = QueryRequest { text, parameters, auto_commit, version: self.peer.version };
        let stream = self.session()?.run(&query, &mut columns)?;
        let qid = self.opened(Source::Stream(stream), columns.len(), filter);
        let names_database = !in_transaction && extra.db.is_none() && self.peer.version.features().ssr;
        let database = if names_database { Some(self.database.clone()) } else { None };
        self.success(RunReply {
            fields: columns.names(),
            t_first_ms: Some(millis(begun)),
            qid: in_transaction.then_some(qid),
            db: database.as_deref(),
        });
        Ok(())
    }

    fn opened(
        &mut self,
        source: Source<<B::Session as Session>::Stream>,
        width: usize,
        filter: Filter,
    ) -> i64 {
        let qid = self.next_qid;
        self.next_qid += 1;
        self.open.push(Open { qid, source, width, has_records: false, filter });
        qid
    }

    /// RUN of the routing procedure, answered as ROUTE is. The database it runs in is the system's, whatever the client calls it.
    fn call_routing(&mut self, call: Call<'_>, extra: &ExtraRef<'_>, begun: Instant) -> Result<(), Ending> {
        let in_transaction = self.state != ServerState::Ready;
        resolve(self.context.backend, call.database)?;
        refuse_impersonation(extra.imp_user)?;
        check_bookmarks(extra.bookmarks)?;
        if !in_transaction {
            self.next_qid = 0;
            extra
                .db
                .unwrap_or_else(|| self.context.backend.default_database())
                .clone_into(&mut self.database);
        }
        let address = self.address(call.context.get_as("address").unwrap_or(None));
        let qid = self.opened(Source::Routing(address), ROUTING_COLUMNS.len(), self.filter.clone());
        self.success(RunReply {
            fields: &ROUTING_COLUMNS,
            t_first_ms: Some(millis(begun)),
            qid: in_transaction.then_some(qid),
            db: None,
        });
        Ok(())
    }

    /// PULL or DISCARD.
    fn advance(&mut self, demand: Demand, send: bool) -> Result<(), Ending> {
        self.in_time()?;
        let begun = Instant::now();
        let found = match demand.qid {
            None => self.open.len().checked_sub(1).filter(|&last| self.open[last].qid + 1 == self.next_qid),
            Some(qid) => self.open.iter().position(|open| open.qid == qid),
        };
        let Some(index) = found else {
            let which = demand.qid.map_or("the last result".to_owned(), |qid| format!("result {qid}"));
            return Err(Failure::invalid_request(format!(
                "There is no open result of that number: {which}."
            ))
            .into());
        };
        let n = demand.n.unwrap_or(u64::MAX);
        let (Some(session), Some(open)) = (&mut self.session, self.open.get_mut(index)) else {
            return Err(Failure::invalid_request("Log in first.").into());
        };
        let dialect = self.peer.version.dialect(self.utc);
        let progress = match &mut open.source {
            Source::Routing(address) => {
                if send {
                    let record = |e: &mut RecordEncoder<'_, '_>| {
                        record_header(e, ROUTING_COLUMNS.len())?;
                        routing_record(e, address)
                    };
                    self.out.message(dialect, record).map_err(Failure::from)?;
                }
                open.has_records = true;
                Progress::done()
            }
            Source::Stream(stream) if send => {
                let (out, interrupt) = (&mut self.out, &self.interrupt);
                let mut sink = RecordSink { out, dialect, width: open.width, interrupt, records: 0 };
                let progress = session.pull(stream, n, &mut sink);
                open.has_records |= sink.records > 0;
                progress?
            }
            Source::Stream(stream) => {
                open.has_records = true;
                session.discard(stream, n)?
            }
        };
        match progress {
            Progress::More => {
                open.has_records = true;
                self.success([("has_more", true)]);
            }
            Progress::Done(outcome) => {
                let open = self.open.remove(index);
                self.finish(&open, &outcome, begun);
            }
        }
        Ok(())
    }

    fn finish(&mut self, open: &Open<<B::Session as Session>::Stream>, outcome: &Outcome, begun: Instant) {
        let mut bookmark = None;
        if self.state == ServerState::Streaming {
            self.inbox.set_deadline(None);
            bookmark = Some(self.next_bookmark());
        }
        let notifications: Vec<&Notification> =
            outcome.notifications.iter().filter(|n| open.filter.lets_through(n)).collect();
        let database = std::mem::take(&mut self.database);
        let summary = SummaryAnswer {
            version: self.peer.version,
            outcome,
            notifications: &notifications,
            bookmark: bookmark.as_deref(),
            database: &database,
            t_last_ms: millis(begun),
            has_columns: open.width > 0,
            has_records: open.has_records,
        };
        self.success(summary);
        self.database = database;
    }

    fn next_bookmark(&self) -> String {
        let mut commits = self.context.commits.lock().unwrap_or_else(PoisonError::into_inner);
        *commits += 1;
        format!("{BOOKMARK_PREFIX}{commits}")
    }

    // Routing.

    fn route(
        &mut self,
        routing: MapRef<'_>,
        bookmarks: ListRef<'_>,
        db: Option<&str>,
        imp_user: Option<&str>,
    ) -> Result<(), Ending> {
        let database = resolve(self.context.backend, db.filter(|db| !db.is_empty()))?;
        refuse_impersonation(imp_user)?;
        check_bookmarks(Some(bookmarks))?;
        let address = self.address(routing.get_as("address").unwrap_or(None));
        let names_database = self.peer.version.features().route == RouteShape::Extra;
        self.success(RoutingTable { address: &address, database: names_database.then_some(database) });
        Ok(())
    }

    /// The address clients should use.
    fn address(&self, from_route: Option<&str>) -> String {
        let configured = self.context.config.advertised_address.as_deref();
        match configured.or(from_route).or(self.routing_address.as_deref()) {
            Some(address) => address.to_owned(),
            None => self.out.local_address().unwrap_or(self.context.address).to_string(),
        }
    }
}

impl<B: Backend> Drop for Conversation<'_, B> {
    fn drop(&mut self) {
        self.open.clear();
        // A backend that panicked is not asked again.
        if let (false, Some(session)) = (std::thread::panicking(), &mut self.session) {
            session.reset();
        }
    }
}

fn malformed(error: &RequestError) -> Ending {
    Ending::Failed(Failure::invalid_request(format!("Malformed request: {error}.")))
}

fn millis(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX)
}

fn resolve<'a, B: Backend>(backend: &'a B, asked: Option<&'a str>) -> Result<&'a str, Failure> {
    match asked {
        None => Ok(backend.default_database()),
        Some(name) if backend.has_database(name) => Ok(name),
        Some(name) => Err(Failure::database_not_found(name)),
    }
}

fn refuse_impersonation(user: Option<&str>) -> Result<(), Failure> {
    match user {
        None => Ok(()),
        Some(user) => {
            Err(Failure::argument(format!("This server has no impersonation: leave imp_user ('{user}') out")))
        }
    }
}

/// # Errors
/// A bookmark that this server cannot have given.
fn check_bookmarks(bookmarks: Option<ListRef<'_>>) -> Result<(), Failure> {
    for raw in bookmarks.iter().flat_map(ListRef::raws) {
        let bookmark = raw.str()?;
        let number = bookmark.strip_prefix(BOOKMARK_PREFIX).and_then(|number| number.parse::<u64>().ok());
        if number.is_none() {
            return Err(Failure::new(
                "Neo.ClientError.Transaction.InvalidBookmark",
                format!("This server gave no such bookmark: '{bookmark}'"),
            ));
        }
    }
    Ok(())
}

impl Filter {
    /// This filter, changed by what a request says.
    fn refine(mut self, request: &FilterRef<'_>) -> Result<Self, Failure> {
        match request.minimum_severity {
            None => {}
            Some("OFF") => (self.off, self.warnings_only) = (true, false),
            Some("WARNING") => (self.off, self.warnings_only) = (false, true),
            Some("INFORMATION") => (self.off, self.warnings_only) = (false, false),
            Some(other) => {
                return Err(Failure::invalid_request(format!(
                    "notifications_minimum_severity is OFF, WARNING or INFORMATION, not '{other}'."
                )));
            }
        }
        if let Some(classes) = request.disabled {
            self.disabled.clear();
            for class in classes.raws() {
                let class = class.str()?;
                const KNOWN: [&str; 9] = [
                    "HINT",
                    "UNRECOGNIZED",
                    "UNSUPPORTED",
                    "PERFORMANCE",
                    "DEPRECATION",
                    "GENERIC",
                    "SECURITY",
                    "TOPOLOGY",
                    "SCHEMA",
                ];
                if !KNOWN.contains(&class) {
                    return Err(Failure::invalid_request(format!("'{class}' is no class of notifications.")));
                }
                self.disabled.push(class.to_owned());
            }
        }
        Ok(self)
    }

    fn lets_through(&self, notification: &Notification) -> bool {
        !self.off
            && (notification.warning || !self.warnings_only)
            && !self.disabled.iter().any(|class| class == notification.category)
    }
}

/// HELLO's answer: with `hints`, empty as they are here, from the version on that has them.
struct Hints<'a> {
    reply: HelloReply<'a>,
    has_hints: bool,
}

impl Entries for Hints<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.reply.visit(sink)?;
        if self.has_hints { sink.put_map("hints", &()) } else { Ok(()) }
    }
}
