//! What a SUCCESS says, by the request it answers: typed and tolerant.
//!
//! Owns the reading of metadata. Every key is optional, as servers differ; only `fields` and `has_more` of the wrong type are errors, since
//! guessing there would put client and server out of step. A [`Summary`] keeps one copy of the metadata and decodes the rest when asked.
//! Limits: [`Limits::columns_max`], [`Limits::plan_operators_max`]; plans are read with a stack of their own, never by recursion.
//! Facts: Bolt specification, "message" and "summary".

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::time::Duration;

use crate::entries::{Entries, EntrySink};
use crate::error::{DecodeError, DecodeReason, EncodeError};
use crate::failure::DIAGNOSTIC_DEFAULTS;
use crate::from_value::FromValue;
use crate::limits::Limits;
use crate::record::Fields;
use crate::value_ref::{ListRef, MapRef, RawIter, RawRef};

/// The value of a key, or nothing if it is missing, null, or of another type.
fn tolerant<'a, T: FromValue<'a>>(map: MapRef<'a>, key: &str) -> Option<T> {
    map.raw(key).and_then(|raw| T::from_raw(raw).ok())
}

/// What a server says of itself in answer to HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HelloSuccess<'a> {
    /// `Name/Version`, such as "Neo4j/5.26.0".
    pub server: Option<&'a str>,
    /// Name of the connection in the server's log.
    pub connection_id: Option<&'a str>,
    /// What the server asks of the client.
    pub hints: Hints,
    /// `patch_bolt: ["utc"]` was granted: date-times are counted in UTC from here on, both ways.
    pub utc_patch: bool,
    /// The version; sent only after a manifest handshake.
    pub protocol_version: Option<&'a str>,
    /// A change of password is due (before 5.1; later in LOGON's answer).
    pub credentials_expired: bool,
}

impl<'a> HelloSuccess<'a> {
    /// Reads the metadata; nothing is mandatory.
    #[must_use]
    pub fn read(metadata: MapRef<'a>) -> Self {
        let patches: Option<ListRef<'a>> = tolerant(metadata, "patch_bolt");
        Self {
            server: tolerant(metadata, "server"),
            connection_id: tolerant(metadata, "connection_id"),
            hints: tolerant(metadata, "hints").map_or_else(Hints::default, Hints::read),
            utc_patch: patches.is_some_and(|list| list.raws().any(|raw| raw.str_bytes() == Ok(b"utc"))),
            protocol_version: tolerant(metadata, "protocol_version"),
            credentials_expired: tolerant(metadata, "credentials_expired").unwrap_or_default(),
        }
    }
}

/// What a server asks of a client, in HELLO's answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Hints {
    /// After a request, silence for so long means the server is dead. Absent when it was not a whole number above 0.
    pub recv_timeout: Option<Duration>,
    /// TELEMETRY is welcome (5.4).
    pub telemetry: bool,
    /// Any member of the cluster can reach any database (5.8).
    pub ssr: bool,
}

impl Hints {
    fn read(hints: MapRef<'_>) -> Self {
        let seconds: Option<i64> = tolerant(hints, "connection.recv_timeout_seconds");
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|&seconds| seconds > 0);
        Self {
            recv_timeout: seconds.map(Duration::from_secs),
            telemetry: tolerant(hints, "telemetry.enabled").unwrap_or_default(),
            ssr: tolerant(hints, "ssr.enabled").unwrap_or_default(),
        }
    }
}

/// What a server answers to LOGON.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LogonSuccess<'a> {
    /// A change of password is due: until then the server refuses queries.
    pub credentials_expired: bool,
    /// Where the server wants to be reached (5.8).
    pub advertised_address: Option<&'a str>,
}

impl<'a> LogonSuccess<'a> {
    /// Reads the metadata; nothing is mandatory.
    #[must_use]
    pub fn read(metadata: MapRef<'a>) -> Self {
        Self {
            credentials_expired: tolerant(metadata, "credentials_expired").unwrap_or_default(),
            advertised_address: tolerant(metadata, "advertised_address"),
        }
    }
}

/// What a server answers to RUN, but for the column names.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RunSuccess<'a> {
    /// Milliseconds until the first record was ready.
    pub t_first_ms: Option<i64>,
    /// Number of the result, in an explicit transaction.
    pub qid: Option<i64>,
    /// The database that was resolved, when the request named none (5.8).
    pub db: Option<&'a str>,
}

impl<'a> RunSuccess<'a> {
    /// Reads the metadata and fills `fields` with the column names, reusing its memory.
    ///
    /// # Errors
    /// `fields` is no list of strings, or longer than [`Limits::columns_max`]. If it is missing there are no columns.
    pub fn read(metadata: MapRef<'a>, fields: &mut Fields, limits: &Limits) -> Result<Self, DecodeError> {
        fields.clear();
        if let Some(raw) = metadata.raw("fields") {
            let names = raw.list()?;
            if names.len() as u64 > u64::from(limits.columns_max) {
                let reason = DecodeReason::OutOfRange { expected: "Limits::columns_max columns" };
                return Err(DecodeError::new(raw.offset(), reason));
            }
            names.raws().try_for_each(|name| name.str().map(|name| fields.push(name)))?;
        }
        Ok(Self {
            t_first_ms: tolerant(metadata, "t_first"),
            qid: tolerant(metadata, "qid"),
            db: tolerant(metadata, "db"),
        })
    }
}

/// What a server answers to PULL and DISCARD.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PullSuccess<'a> {
    /// More records are left: ask for them.
    HasMore,
    /// That was all; [`Summary::read`] takes the metadata.
    Done(MapRef<'a>),
}

impl<'a> PullSuccess<'a> {
    /// Tells the end of a batch from the end of the result.
    ///
    /// # Errors
    /// `has_more` is no boolean.
    #[inline]
    pub fn read(metadata: MapRef<'a>) -> Result<Self, DecodeError> {
        let has_more: Option<bool> = metadata.get_as("has_more")?;
        Ok(if has_more == Some(true) { Self::HasMore } else { Self::Done(metadata) })
    }
}

/// The bookmark of COMMIT's answer, and of an auto-commit summary.
#[must_use]
pub fn bookmark(metadata: MapRef<'_>) -> Option<&str> {
    tolerant(metadata, "bookmark")
}

/// The database BEGIN's answer names (5.8), when the request named none.
#[must_use]
pub fn database(metadata: MapRef<'_>) -> Option<&str> {
    tolerant(metadata, "db")
}

/// What a query did to the graph.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum QueryType {
    /// "r"
    Read,
    /// "rw"
    ReadWrite,
    /// "w"
    Write,
    /// "s"
    Schema,
}

/// How much a query changed; all zero for one that only read.
///
/// Both sides use it: a client reads it out of a summary, a server that has counted writes it, by [`Entries`], without the zeros.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Counters {
    /// Nodes created.
    pub nodes_created: u64,
    /// Nodes deleted.
    pub nodes_deleted: u64,
    /// Relationships created.
    pub relationships_created: u64,
    /// Relationships deleted.
    pub relationships_deleted: u64,
    /// Properties set.
    pub properties_set: u64,
    /// Labels added.
    pub labels_added: u64,
    /// Labels removed.
    pub labels_removed: u64,
    /// Indexes added.
    pub indexes_added: u64,
    /// Indexes removed.
    pub indexes_removed: u64,
    /// Constraints added.
    pub constraints_added: u64,
    /// Constraints removed.
    pub constraints_removed: u64,
    /// Changes to the system database.
    pub system_updates: u64,
    /// Whether the graph or its schema changed. Need not be set to be sent: counters above zero say it too.
    pub contains_updates: bool,
    /// Whether the system database changed. Need not be set to be sent.
    pub contains_system_updates: bool,
}

const CONTAINS_UPDATES: &str = "contains-updates";
const CONTAINS_SYSTEM_UPDATES: &str = "contains-system-updates";

impl Counters {
    /// The counters under the names they travel by, that of the system database last.
    fn named(&mut self) -> [(&'static str, &mut u64); 12] {
        [
            ("nodes-created", &mut self.nodes_created),
            ("nodes-deleted", &mut self.nodes_deleted),
            ("relationships-created", &mut self.relationships_created),
            ("relationships-deleted", &mut self.relationships_deleted),
            ("properties-set", &mut self.properties_set),
            ("labels-added", &mut self.labels_added),
            ("labels-removed", &mut self.labels_removed),
            ("indexes-added", &mut self.indexes_added),
            ("indexes-removed", &mut self.indexes_removed),
            ("constraints-added", &mut self.constraints_added),
            ("constraints-removed", &mut self.constraints_removed),
            ("system-updates", &mut self.system_updates),
        ]
    }

    fn read(stats: MapRef<'_>) -> Self {
        let mut counters = Self::default();
        let (mut updates, mut system) = (None, None);
        for (key, raw) in stats.entries() {
            if key == CONTAINS_UPDATES.as_bytes() {
                updates = raw.bool().ok();
            } else if key == CONTAINS_SYSTEM_UPDATES.as_bytes() {
                system = raw.bool().ok();
            } else if let Some((_, place)) =
                counters.named().into_iter().find(|(name, _)| name.as_bytes() == key)
            {
                *place = raw.int().ok().and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
            }
        }
        counters.contains_updates = updates.unwrap_or_else(|| counters.any_update());
        counters.contains_system_updates = system.unwrap_or(counters.system_updates > 0);
        counters
    }

    /// Whether a counter says that the graph or its schema changed.
    #[must_use]
    pub fn any_update(mut self) -> bool {
        let [data @ .., _system] = self.named();
        data.iter().any(|(_, count)| **count > 0)
    }
}

impl Entries for Counters {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        let mut counters = *self;
        for (name, count) in counters.named() {
            if *count > 0 {
                sink.put(name, &i64::try_from(*count).unwrap_or(i64::MAX))?;
            }
        }
        if self.contains_updates || self.any_update() {
            sink.put(CONTAINS_UPDATES, &true)?;
        }
        if self.contains_system_updates || self.system_updates > 0 {
            sink.put(CONTAINS_SYSTEM_UPDATES, &true)?;
        }
        Ok(())
    }
}

/// What a client knows of a result before its summary comes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ResultFacts {
    /// From RUN's answer.
    pub t_first_ms: Option<i64>,
    /// Whether the result has columns.
    pub has_columns: bool,
    /// Whether a record came.
    pub has_records: bool,
}

/// The summary of a result: owned, one copy of the metadata, decoded when asked.
///
/// ```
/// use bolt_wire::{summary::{QueryType, ResultFacts, Summary}, response::Response, Version, Walker};
/// let body = b"\xB1\x70\xA3\x84type\x81r\x86t_last\x00\x82db\x85neo4j";
/// let Response::Success(metadata) = Response::parse(body, Version::V5_8, false, &mut Walker::default())? else { panic!() };
/// let summary = Summary::read(metadata, ResultFacts::default());
/// assert_eq!(summary.query_type(), Some(QueryType::Read));
/// assert_eq!(summary.database(), Some("neo4j"));
/// assert!(!summary.counters().contains_updates);
/// # Ok::<(), bolt_wire::DecodeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The message the metadata came in; walked.
    message: Vec<u8>,
    facts: ResultFacts,
    counters: Counters,
}

impl Summary {
    /// Keeps a copy of the metadata that end a result.
    #[must_use]
    pub fn read(metadata: MapRef<'_>, facts: ResultFacts) -> Self {
        let mut summary = Self::default();
        summary.fill(metadata, facts);
        summary
    }

    /// As [`read`](Self::read), into the memory of an older summary: allocates only if that is too small.
    pub fn fill(&mut self, metadata: MapRef<'_>, facts: ResultFacts) {
        self.message.clear();
        // The map alone, behind a header of its own: whatever else the message held is not kept.
        let body = RawRef::new(metadata.first.message, metadata.first.at);
        let end = crate::walk::skip_values(body.message, body.at, 2 * metadata.len() as u64);
        self.message.push(0xDA);
        self.message.extend_from_slice(&metadata.len.to_be_bytes());
        self.message.extend_from_slice(body.message.get(body.at..end).unwrap_or_default());
        self.facts = facts;
        self.counters = tolerant(self.metadata(), "stats").map_or_else(Counters::default, Counters::read);
    }

    /// The metadata as they came.
    #[must_use]
    pub fn metadata(&self) -> MapRef<'_> {
        RawRef::new(&self.message, 0).map().unwrap_or(MapRef::empty())
    }

    /// What the query did to the graph; `None` if the server did not say, or said something unknown.
    #[must_use]
    pub fn query_type(&self) -> Option<QueryType> {
        match tolerant(self.metadata(), "type")? {
            "r" => Some(QueryType::Read),
            "rw" => Some(QueryType::ReadWrite),
            "w" => Some(QueryType::Write),
            "s" => Some(QueryType::Schema),
            _ => None,
        }
    }

    /// How much it changed.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Milliseconds until the first record was ready.
    #[must_use]
    pub const fn t_first_ms(&self) -> Option<i64> {
        self.facts.t_first_ms
    }

    /// Milliseconds until the last record was consumed.
    #[must_use]
    pub fn t_last_ms(&self) -> Option<i64> {
        tolerant(self.metadata(), "t_last")
    }

    /// The bookmark of an auto-commit query.
    #[must_use]
    pub fn bookmark(&self) -> Option<&str> {
        bookmark(self.metadata())
    }

    /// The database that was used.
    #[must_use]
    pub fn database(&self) -> Option<&str> {
        database(self.metadata())
    }

    /// The plan of an EXPLAIN.
    ///
    /// # Errors
    /// It is no plan, or has more operators than allowed.
    pub fn plan(&self, limits: &Limits) -> Result<Option<Plan<'_>>, DecodeError> {
        self.metadata()
            .raw("plan")
            .filter(|raw| !raw.is_null())
            .map(|raw| Plan::read(raw, limits))
            .transpose()
    }

    /// The profile of a PROFILE: a plan with what each operator took.
    ///
    /// # Errors
    /// It is no plan, or has more operators than allowed.
    pub fn profile(&self, limits: &Limits) -> Result<Option<Plan<'_>>, DecodeError> {
        self.metadata()
            .raw("profile")
            .filter(|raw| !raw.is_null())
            .map(|raw| Plan::read(raw, limits))
            .transpose()
    }

    /// What the server has to remark, in the older form. Made of the statuses where the server sends those (5.6).
    #[must_use]
    pub fn notifications(&self) -> Vec<Notification<'_>> {
        let metadata = self.metadata();
        match tolerant::<ListRef<'_>>(metadata, "statuses") {
            Some(statuses) => maps(statuses).filter_map(Notification::from_status).collect(),
            None => tolerant(metadata, "notifications")
                .map_or_else(Vec::new, |list| maps(list).map(Notification::read).collect()),
        }
    }

    /// What the server has to remark, in GQL's form, the outcome included: never empty.
    ///
    /// Made of the notifications where the server sends those (before 5.6), ordered as GQL asks: no data, warnings, success, information.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status<'_>> {
        let metadata = self.metadata();
        if let Some(statuses) = tolerant::<ListRef<'_>>(metadata, "statuses").filter(|list| !list.is_empty())
        {
            return maps(statuses).map(Status::read).collect();
        }
        let mut statuses = Vec::with_capacity(1);
        statuses.push(Status::outcome(self.facts));
        if let Some(list) = tolerant(metadata, "notifications") {
            statuses.extend(maps(list).map(Notification::read).map(Status::from_notification));
        }
        statuses.sort_by_key(|status| match status.gql_status.get(..2) {
            Some("02") => 0,
            Some("01") => 1,
            Some("00") => 2,
            _ => 3,
        });
        statuses
    }
}

fn maps(list: ListRef<'_>) -> impl Iterator<Item = MapRef<'_>> {
    list.raws().filter_map(|raw| raw.map().ok())
}

/// How grave a remark is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Severity {
    /// `WARNING`
    Warning,
    /// `INFORMATION`
    Information,
    /// Anything else.
    Unknown,
}

impl Severity {
    fn of(text: Option<&str>) -> Self {
        match text {
            Some("WARNING") => Self::Warning,
            Some("INFORMATION") => Self::Information,
            _ => Self::Unknown,
        }
    }
}

/// A place in a query; lines and columns count from 1, the offset from 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Position {
    /// Characters before it.
    pub offset: i64,
    /// Line.
    pub line: i64,
    /// Column.
    pub column: i64,
}

impl Position {
    fn read(position: MapRef<'_>) -> Option<Self> {
        Some(Self {
            offset: tolerant(position, "offset")?,
            line: tolerant(position, "line")?,
            column: tolerant(position, "column")?,
        })
    }
}

/// A remark of the server about a query, in the older form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Notification<'a> {
    /// `Neo.ClientNotification.…`
    pub code: &'a str,
    /// A few words.
    pub title: &'a str,
    /// A sentence or two.
    pub description: &'a str,
    /// How grave.
    pub severity: Severity,
    /// The word behind `severity`.
    pub raw_severity: &'a str,
    /// Of what kind: HINT, UNRECOGNIZED, PERFORMANCE …
    pub category: Option<&'a str>,
    /// Where in the query.
    pub position: Option<Position>,
}

impl<'a> Notification<'a> {
    fn read(map: MapRef<'a>) -> Self {
        let severity: Option<&str> = tolerant(map, "severity");
        Self {
            code: tolerant(map, "code").unwrap_or_default(),
            title: tolerant(map, "title").unwrap_or_default(),
            description: tolerant(map, "description").unwrap_or_default(),
            severity: Severity::of(severity),
            raw_severity: severity.unwrap_or_default(),
            category: tolerant(map, "category"),
            position: tolerant(map, "position").and_then(Position::read),
        }
    }

    /// Statuses with a `neo4j_code` are notifications, the others are outcomes.
    fn from_status(map: MapRef<'a>) -> Option<Self> {
        let record: Option<MapRef<'a>> = tolerant(map, "diagnostic_record");
        let of_record = |key| record.and_then(|record| tolerant::<&str>(record, key));
        let severity = of_record("_severity");
        Some(Self {
            code: tolerant(map, "neo4j_code")?,
            title: tolerant(map, "title").unwrap_or_default(),
            description: tolerant(map, "description").unwrap_or_default(),
            severity: Severity::of(severity),
            raw_severity: severity.unwrap_or_default(),
            category: of_record("_classification"),
            position: record.and_then(|record| tolerant(record, "_position")).and_then(Position::read),
        })
    }
}

/// A remark of the server about a query, or its outcome, in GQL's form.
#[derive(Clone, Debug, PartialEq)]
pub struct Status<'a> {
    /// Five characters: `00000` success, `02000` no data, `01…` warning, `03…` information.
    pub gql_status: &'a str,
    /// What it means.
    pub description: Cow<'a, str>,
    /// How grave, for a remark.
    pub severity: Severity,
    /// Of what kind, for a remark.
    pub classification: Option<&'a str>,
    /// Where in the query, for a remark.
    pub position: Option<Position>,
    /// The whole diagnostic record, where one was sent. What it lacks is read by [`operation`](Self::operation) and its like.
    pub diagnostic_record: Option<MapRef<'a>>,
    /// Whether it is a remark, which [`Summary::notifications`] lists too.
    pub is_notification: bool,
}

impl<'a> Status<'a> {
    fn read(map: MapRef<'a>) -> Self {
        let record: Option<MapRef<'a>> = tolerant(map, "diagnostic_record");
        let notification = Notification::from_status(map);
        Self {
            gql_status: tolerant(map, "gql_status").unwrap_or_default(),
            description: Cow::Borrowed(tolerant(map, "status_description").unwrap_or_default()),
            severity: Severity::of(record.and_then(|record| tolerant(record, "_severity"))),
            classification: record.and_then(|record| tolerant(record, "_classification")),
            position: record.and_then(|record| tolerant(record, "_position")).and_then(Position::read),
            diagnostic_record: record,
            is_notification: notification.is_some(),
        }
    }

    fn outcome(facts: ResultFacts) -> Self {
        let (gql_status, description) = match facts {
            ResultFacts { has_records: true, .. } => ("00000", "note: successful completion"),
            ResultFacts { has_columns: true, .. } => ("02000", "note: no data"),
            _ => ("00001", "note: successful completion - omitted result"),
        };
        Self {
            gql_status,
            description: Cow::Borrowed(description),
            severity: Severity::Unknown,
            classification: None,
            position: None,
            diagnostic_record: None,
            is_notification: false,
        }
    }

    fn from_notification(notification: Notification<'a>) -> Self {
        let (gql_status, default) = match notification.severity {
            Severity::Warning => ("01N42", "warn: unknown warning"),
            _ => ("03N42", "info: unknown notification"),
        };
        let description =
            if notification.description.is_empty() { default } else { notification.description };
        Self {
            gql_status,
            description: Cow::Borrowed(description),
            severity: notification.severity,
            classification: notification.category,
            position: notification.position,
            diagnostic_record: None,
            is_notification: true,
        }
    }

    fn diagnostic(&self, nth: usize) -> &'a str {
        let (key, default) = DIAGNOSTIC_DEFAULTS[nth];
        self.diagnostic_record.and_then(|record| tolerant(record, key)).unwrap_or(default)
    }

    /// The operation it is about, or "".
    #[must_use]
    pub fn operation(&self) -> &'a str {
        self.diagnostic(0)
    }

    /// The code of that operation, or "0".
    #[must_use]
    pub fn operation_code(&self) -> &'a str {
        self.diagnostic(1)
    }

    /// The schema it happened in, or "/".
    #[must_use]
    pub fn current_schema(&self) -> &'a str {
        self.diagnostic(2)
    }
}

/// A plan or profile: its operators in the order they are written, each before its children. Never empty.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// The operators; the first is the root.
    pub operators: Vec<Operator<'a>>,
}

/// One operator of a plan. What a profile adds may be missing, and missing is not zero.
#[derive(Clone, Debug)]
pub struct Operator<'a> {
    /// How far below the root, which is 0.
    pub depth: u32,
    /// Index of its parent among the plan's operators; the root has none.
    pub parent: Option<usize>,
    /// Such as "AllNodesScan@neo4j".
    pub operator_type: &'a str,
    /// Its arguments.
    pub args: MapRef<'a>,
    /// The names it deals with.
    pub identifiers: Vec<&'a str>,
    /// Storage hits.
    pub db_hits: Option<i64>,
    /// Rows it produced.
    pub rows: Option<i64>,
    /// Page cache hits.
    pub page_cache_hits: Option<i64>,
    /// Page cache misses.
    pub page_cache_misses: Option<i64>,
    /// Hits to all accesses, 0 to 1.
    pub page_cache_hit_ratio: Option<f64>,
    /// Time, in the server's unit.
    pub time: Option<i64>,
}

impl<'a> Plan<'a> {
    fn read(root: RawRef<'a>, limits: &Limits) -> Result<Self, DecodeError> {
        let mut operators = Vec::new();
        // Parents on the way to here, each with the children it still has.
        let mut open: Vec<(usize, RawIter<'a>)> = Vec::new();
        let mut next = Some(root);
        loop {
            if let Some(raw) = next {
                if operators.len() as u64 >= u64::from(limits.plan_operators_max) {
                    let reason =
                        DecodeReason::OutOfRange { expected: "Limits::plan_operators_max operators" };
                    return Err(DecodeError::new(raw.offset(), reason));
                }
                let map = raw.map()?;
                let depth = u32::try_from(open.len()).unwrap_or(u32::MAX);
                operators.push(Operator::read(map, depth, open.last().map(|(parent, _)| *parent)));
                if let Some(children) = tolerant::<ListRef<'a>>(map, "children") {
                    open.push((operators.len() - 1, children.raws()));
                }
            }
            let Some((_, children)) = open.last_mut() else {
                return Ok(Self { operators });
            };
            next = children.next();
            if next.is_none() {
                open.pop();
            }
        }
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &Operator<'a> {
        // `read` pushes the root before anything else.
        &self.operators[0]
    }

    /// The children of operator `parent`, in order.
    pub fn children(&self, parent: usize) -> impl Iterator<Item = &Operator<'a>> {
        self.operators.iter().filter(move |operator| operator.parent == Some(parent))
    }
}

impl<'a> Operator<'a> {
    fn read(map: MapRef<'a>, depth: u32, parent: Option<usize>) -> Self {
        let identifiers: Option<ListRef<'a>> = tolerant(map, "identifiers");
        Self {
            depth,
            parent,
            operator_type: tolerant(map, "operatorType").unwrap_or_default(),
            args: tolerant(map, "args").unwrap_or(MapRef::empty()),
            identifiers: identifiers
                .map_or_else(Vec::new, |list| list.raws().filter_map(|raw| raw.str().ok()).collect()),
            db_hits: tolerant(map, "dbHits"),
            rows: tolerant(map, "rows"),
            page_cache_hits: tolerant(map, "pageCacheHits"),
            page_cache_misses: tolerant(map, "pageCacheMisses"),
            page_cache_hit_ratio: tolerant(map, "pageCacheHitRatio"),
            time: tolerant(map, "time"),
        }
    }
}
