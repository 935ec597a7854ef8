//! The embedded graph: `graphdblite`, one SQLite file behind a handful of handles.
//!
//! Owns the file (a private temporary one unless `--data` names it), the translation of the engine's errors into the server codes that
//! drivers know, and two repairs of what the engine leaves out (see [`Graph::run`]). Limits, all the engine's: one writer at a time,
//! results held in memory up to [`ROWS_MAX`] rows, no bytes, points, vectors or UUIDs, no way to interrupt a statement.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use graphdblite::{Config, Database, ErrorCode, GraphError, NodeId, QueryError, Record, SyncMode, Value};

use crate::cypher;

/// Records one statement may return: the engine holds them all, at some 300 bytes each and more.
pub(crate) const ROWS_MAX: usize = 1_000_000;
/// Bytes a statement may hold while it sorts, joins and collects.
const MATERIALIZED_BYTES_MAX: u64 = 512 << 20;
/// How long a writer waits for another one.
const BUSY_TIMEOUT_MS: u32 = 5_000;
/// Largest property value, below the 16 MiB a message may have.
const PROPERTY_BYTES_MAX: usize = 8 << 20;

/// Handles opened at the start. Opening one takes the graph's write lock for a moment, so it would wait for whoever holds a write
/// transaction; a handle is only borrowed for a statement or a transaction, so few of them serve many connections.
const HANDLES_AT_START: usize = 8;
/// Idle handles kept; each has a page cache of up to 4 MiB.
const HANDLES_IDLE_MAX: usize = 32;

/// Where the graph lives.
pub(crate) struct Store {
    path: PathBuf,
    idle: Mutex<Vec<Database>>,
    /// The private directory of a graph that ends with the server.
    temporary: Option<PathBuf>,
}

impl Store {
    /// Opens or creates `data`, or a private temporary graph.
    ///
    /// # Errors
    /// A sentence when the file cannot be used.
    pub(crate) fn open(data: Option<&Path>) -> Result<Arc<Self>, String> {
        let (path, temporary) = match data {
            Some(path) => (path.to_owned(), None),
            None => {
                let directory = private_directory()
                    .map_err(|e| format!("no temporary directory for the graph: {e}; give --data FILE"))?;
                (directory.join("graph"), Some(directory))
            }
        };
        let store = Self { path, idle: Mutex::default(), temporary };
        // A file that is no graph, or cannot be written, is found out now and not by the first client.
        let handles =
            (0..HANDLES_AT_START).map(|_| store.database()).collect::<graphdblite::Result<Vec<_>>>();
        let handles = handles.map_err(|e| {
            format!("the graph file {} cannot be used: {}", store.path.display(), plain(&e.to_string()))
        })?;
        store.idle().extend(handles);
        Ok(Arc::new(store))
    }

    /// The private directory of a graph that ends with the server.
    pub(crate) fn temporary(&self) -> Option<PathBuf> {
        self.temporary.clone()
    }

    /// A session's view of the graph. Costs nothing until its first statement.
    pub(crate) fn graph(self: &Arc<Self>) -> Graph {
        Graph { store: Arc::clone(self), db: None, open: None, started: false }
    }

    fn take(&self) -> Result<Database, Fault> {
        let idle = self.idle().pop();
        match idle {
            Some(db) => Ok(db),
            None => self.database().map_err(|e| fault(&e)),
        }
    }

    fn give_back(&self, mut db: Database) {
        if db.in_transaction() && db.rollback().is_err() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < HANDLES_IDLE_MAX {
            idle.push(db);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Database>> {
        // A push or a pop cannot be left half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> graphdblite::Result<Database> {
        // A temporary graph is gone after a crash anyway; a kept one survives the loss of power once COMMIT was answered.
        let synchronous = if self.temporary.is_some() { SyncMode::Off } else { SyncMode::Full };
        let config = Config {
            busy_timeout_ms: BUSY_TIMEOUT_MS,
            synchronous,
            max_materialized_bytes: MATERIALIZED_BYTES_MAX,
            max_property_value_bytes: PROPERTY_BYTES_MAX,
            max_result_rows: ROWS_MAX,
            cache_size: -4_000,
            ..Config::default()
        };
        Database::open_with_config(&self.path, config)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The handles close first: the last one folds the log into the file.
        self.idle().clear();
        if let Some(directory) = &self.temporary {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// A new directory that only this user can enter.
fn private_directory() -> std::io::Result<PathBuf> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let path = std::env::temp_dir().join(format!(
        "bolt-{}-{}",
        std::process::id(),
        &crate::password::made_up()[..8]
    ));
    builder.create(&path)?;
    Ok(path)
}

/// What the engine refuses, as a server says it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The same, said of a parameter.
    pub(crate) fn about(mut self, parameter: &str) -> Self {
        self.message = format!("parameter ${parameter}: {}", self.message);
        self
    }
}

/// A finished statement.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    pub(crate) records: Vec<Record>,
    /// `r`, `w`, `rw` or `s`.
    pub(crate) kind: &'static str,
}

/// How a transaction was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// One session's view of the graph. Dropping it undoes what was not committed.
pub(crate) struct Graph {
    store: Arc<Store>,
    /// The handle borrowed for the statement or the transaction at hand.
    db: Option<Database>,
    /// The access of the explicit transaction, if one is open; the engine's own transaction starts with its first statement, so that a
    /// client that opens one and thinks does not lock others out.
    open: Option<Access>,
    /// Whether the engine's transaction for `open` has been started. If it is gone after that, the engine undid it on its own.
    started: bool,
}

impl Drop for Graph {
    fn drop(&mut self) {
        let _ = self.rollback();
    }
}

impl Graph {
    /// Opens an explicit transaction.
    pub(crate) fn begin(&mut self, access: Access) {
        (self.open, self.started) = (Some(access), false);
    }

    /// Makes the transaction's changes last.
    pub(crate) fn commit(&mut self) -> Result<(), Fault> {
        let lost = self.is_lost();
        (self.open, self.started) = (None, false);
        let Some(mut db) = self.db.take() else { return Ok(()) };
        let outcome = match (lost, db.in_transaction()) {
            (true, _) => Err(lost_transaction()),
            (false, true) => db.commit().map_err(|e| fault(&e)),
            (false, false) => Ok(()),
        };
        self.store.give_back(db);
        outcome
    }

    /// Undoes the transaction's changes; also right when there are none, or no transaction.
    pub(crate) fn rollback(&mut self) -> Result<(), Fault> {
        (self.open, self.started) = (None, false);
        let Some(mut db) = self.db.take() else { return Ok(()) };
        let outcome = if db.in_transaction() { db.rollback().map_err(|e| fault(&e)) } else { Ok(()) };
        self.store.give_back(db);
        outcome
    }

    /// Runs a statement, in the open transaction or in one of its own.
    ///
    /// Repairs two things: columns are named by the query's text, as Neo4j does, also when no record came; and nodes and relationships
    /// that the engine returns bare from a grouping RETURN get their properties back.
    pub(crate) fn run(
        &mut self,
        query: &str,
        params: &HashMap<String, Value>,
        access: Access,
    ) -> Result<Answer, Fault> {
        if self.is_lost() {
            return Err(lost_transaction());
        }
        let shape = cypher::shape(query);
        let db = self.handle()?;
        if !db.in_transaction() {
            match self.open.unwrap_or(access) {
                Access::Read => self.handle()?.begin_read().map_err(|e| fault(&e))?,
                // One snapshot for a grouping read and the repair after it.
                Access::Write if self.open.is_none() && shape.aggregates && shape.kind == "r" => {
                    self.handle()?.begin_read().map_err(|e| fault(&e))?;
                }
                Access::Write if self.open.is_some() || shape.aggregates => {
                    self.handle()?.begin_write().map_err(|e| fault(&e))?;
                }
                // The engine opens the right kind of transaction itself, once it has planned the statement.
                Access::Write => {}
            }
            self.started = self.open.is_some();
        }
        let outcome = self.statement(query, params, shape);
        if self.open.is_some() {
            return outcome;
        }
        match outcome {
            Ok(answer) => self.commit().map(|()| answer),
            Err(e) => {
                let _ = self.rollback();
                Err(e)
            }
        }
    }

    fn handle(&mut self) -> Result<&mut Database, Fault> {
        if self.db.is_none() {
            self.db = Some(self.store.take()?);
        }
        self.db.as_mut().ok_or_else(lost_transaction)
    }

    fn execute(&mut self, query: &str, params: &HashMap<String, Value>) -> Result<Vec<Record>, Fault> {
        self.handle()?.execute_with_params(query, Some(params)).map_err(|e| fault(&e))
    }

    fn is_lost(&self) -> bool {
        self.started && !self.db.as_ref().is_some_and(Database::in_transaction)
    }

    fn statement(
        &mut self,
        query: &str,
        params: &HashMap<String, Value>,
        shape: cypher::Shape,
    ) -> Result<Answer, Fault> {
        let mut records = self.execute(query, params)?;
        if shape.aggregates {
            self.restore_properties(&mut records);
        }
        let named = records.first().map(|r| r.keys().cloned().collect::<Vec<_>>());
        let columns = match (shape.columns, named) {
            (Some(columns), None) => columns,
            (Some(columns), Some(named)) if columns.len() == named.len() => columns,
            (_, Some(named)) => named,
            (None, None) => Vec::new(),
        };
        Ok(Answer { columns, records, kind: shape.kind })
    }

    fn restore_properties(&mut self, records: &mut [Record]) {
        let mut nodes: HashMap<u64, Option<Value>> = HashMap::new();
        let mut edges: HashMap<u64, Option<Value>> = HashMap::new();
        for record in records {
            for column in 0..record.len() {
                let whole = match record.value_at(column) {
                    Some(Value::Node(n)) if n.properties.is_empty() => {
                        let id = n.id;
                        nodes.entry(id.0).or_insert_with(|| self.node(id)).clone()
                    }
                    Some(Value::Edge(e)) if e.properties.is_empty() => {
                        let (src, dst, seq) = (e.src, e.dst, e.seq);
                        edges.entry(seq).or_insert_with(|| self.edge(src, dst, seq)).clone()
                    }
                    _ => None,
                };
                if let (Some(whole), Some(name)) = (whole, record.name_at(column).cloned()) {
                    record.set(name, whole);
                }
            }
        }
    }

    fn node(&mut self, id: NodeId) -> Option<Value> {
        let params = HashMap::from([("id".to_owned(), Value::I64(i64::try_from(id.0).ok()?))]);
        let rows = self.execute("MATCH (n) WHERE id(n) = $id RETURN n", &params).ok()?;
        rows.first()?.value_at(0).cloned()
    }

    fn edge(&mut self, src: NodeId, dst: NodeId, seq: u64) -> Option<Value> {
        let id = |n: NodeId| i64::try_from(n.0).ok().map(Value::I64);
        let params = HashMap::from([("a".to_owned(), id(src)?), ("b".to_owned(), id(dst)?)]);
        let query = "MATCH (a)-[r]->(b) WHERE id(a) = $a AND id(b) = $b RETURN r";
        let rows = self.execute(query, &params).ok()?;
        let hit =
            rows.iter().filter_map(|r| r.value_at(0)).find(|v| matches!(v, Value::Edge(e) if e.seq == seq));
        hit.cloned()
    }

    /// The value the engine itself makes of an instant in a named zone: it owns the zone database.
    pub(crate) fn zoned(&mut self, seconds: i64, nanos: i64, zone: &str) -> Result<Value, Fault> {
        let params = HashMap::from([
            ("s".to_owned(), Value::I64(seconds)),
            ("n".to_owned(), Value::I64(nanos)),
            ("z".to_owned(), Value::String(zone.to_owned())),
        ]);
        let query = "RETURN datetime({epochSeconds: $s, nanosecond: $n, timezone: $z}) AS d";
        let rows = self.execute(query, &params)?;
        rows.first().and_then(|r| r.value_at(0)).cloned().ok_or_else(|| {
            Fault::new(
                "Neo.ClientError.Statement.ArgumentError",
                format!("{seconds} s in zone {zone:?} is no date-time"),
            )
        })
    }
}

/// The engine ended the transaction by itself, after a full disk for example.
fn lost_transaction() -> Fault {
    Fault::new(
        "Neo.TransientError.Transaction.Terminated",
        "the transaction was rolled back by the storage; begin it again",
    )
}

/// The code and the words for what the engine refuses.
fn fault(error: &GraphError) -> Fault {
    match error {
        GraphError::Query(query) => query_fault(query),
        GraphError::Storage { source, .. } => {
            // The error type is SQLite's and not re-exported; its own name for the case is the stable part.
            let case = format!("{:?}", source.sqlite_error_code());
            if case.contains("Busy") || case.contains("Locked") {
                let message = "another transaction holds the write lock of the graph; try again";
                return Fault::new("Neo.TransientError.Transaction.LockAcquisitionTimeout", message);
            }
            let code = if case.contains("DiskFull") || case.contains("SystemIo") {
                "Neo.DatabaseError.General.DatabaseStorageFailure"
            } else {
                "Neo.DatabaseError.General.UnknownError"
            };
            Fault::new(code, plain(&error.to_string()))
        }
        GraphError::NodeNotFound { .. } | GraphError::EdgeNotFound { .. } => {
            Fault::new("Neo.ClientError.Statement.EntityNotFound", plain(&error.to_string()))
        }
        GraphError::HasEdges { .. } => {
            Fault::new("Neo.ClientError.Schema.ConstraintValidationFailed", plain(&error.to_string()))
        }
        GraphError::Transaction { message, .. } if message.contains("read transaction") => {
            Fault::new("Neo.ClientError.Statement.AccessMode", "writing is not allowed with read access")
        }
        GraphError::Transaction { message, .. } => {
            Fault::new("Neo.ClientError.Transaction.TransactionNotFound", plain(message))
        }
        GraphError::IndexAlreadyExists { .. } => {
            Fault::new("Neo.ClientError.Schema.IndexAlreadyExists", plain(&error.to_string()))
        }
        GraphError::IndexNotFound { .. } => {
            Fault::new("Neo.ClientError.Schema.IndexNotFound", plain(&error.to_string()))
        }
        GraphError::InvalidIndexDefinition { .. }
        | GraphError::InvalidName { .. }
        | GraphError::SizeLimit { .. } => {
            Fault::new("Neo.ClientError.Statement.ArgumentError", plain(&error.to_string()))
        }
        _ => Fault::new("Neo.DatabaseError.General.UnknownError", plain(&error.to_string())),
    }
}

fn query_fault(error: &QueryError) -> Fault {
    let code = match (error, error.code()) {
        (_, ErrorCode::MissingParameter) => "Neo.ClientError.Statement.ParameterMissing",
        (_, ErrorCode::ProcedureNotFound) => "Neo.ClientError.Procedure.ProcedureNotFound",
        (_, ErrorCode::DeleteConnectedNode) => "Neo.ClientError.Schema.ConstraintValidationFailed",
        (_, ErrorCode::DeletedEntityAccess) => "Neo.ClientError.Statement.EntityNotFound",
        (QueryError::SyntaxError { .. }, _) => "Neo.ClientError.Statement.SyntaxError",
        (QueryError::TypeError { .. }, _) => "Neo.ClientError.Statement.TypeError",
        (QueryError::ArgumentError { .. }, _) if error.message().starts_with("missing parameter") => {
            "Neo.ClientError.Statement.ParameterMissing"
        }
        // What other servers find while compiling, they call a syntax error too.
        (QueryError::SemanticError { .. }, _) => "Neo.ClientError.Statement.SyntaxError",
        (QueryError::ArgumentError { .. }, _) => "Neo.ClientError.Statement.ArgumentError",
        (QueryError::ArithmeticError { .. }, _) => "Neo.ClientError.Statement.ArithmeticError",
        (QueryError::EntityNotFound { .. }, _) => "Neo.ClientError.Statement.EntityNotFound",
        (QueryError::ProcedureError { .. }, _) => "Neo.ClientError.Procedure.ProcedureCallFailed",
        _ => "Neo.ClientError.Statement.ExecutionFailed",
    };
    // A parser's message is a drawing of the query; its last line is the sentence.
    let mut message = match error.message().rsplit_once("= ") {
        Some((_, sentence)) => sentence.trim().to_owned(),
        None => plain(error.message()),
    };
    if error.code() == ErrorCode::UndefinedVariable {
        message = format!("variable `{message}` is not defined");
    }
    if let Some(hint) = error.hint() {
        message.push_str("; ");
        message.push_str(hint);
    }
    if let Some(span) = error.span() {
        message.push_str(&format!(" (line {}, column {} (offset: {}))", span.line, span.col, span.start));
    }
    Fault::new(code, message)
}

/// One line.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> (Arc<Store>, Graph) {
        let store = Store::open(None).expect("a temporary graph");
        let graph = store.graph();
        (store, graph)
    }

    fn run(graph: &mut Graph, query: &str) -> Result<Answer, Fault> {
        graph.run(query, &HashMap::new(), Access::Write)
    }

    #[test]
    fn columns_are_named_by_the_text_with_and_without_records() {
        let (_store, mut g) = graph();
        let empty = run(&mut g, "MATCH (n:Nobody) RETURN n.born+1, n.name AS name").expect("empty");
        run(&mut g, "CREATE (:Nobody {born: 1, name: 'x'})").expect("created");
        let full = run(&mut g, "MATCH (n:Nobody) RETURN n.born+1, n.name AS name").expect("one");
        assert_eq!(empty.columns, ["n.born+1", "name"]);
        assert_eq!(full.columns, empty.columns);
        assert_eq!((empty.records.len(), full.records.len()), (0, 1));
    }

    #[test]
    fn grouped_nodes_and_relationships_keep_their_properties() {
        let (_store, mut g) = graph();
        run(&mut g, "CREATE (:P {name: 'Ann'})-[:KNOWS {since: 3}]->(:P {name: 'Bo'})").expect("created");
        let answer = run(&mut g, "MATCH (a)-[r]->(b) RETURN a, r, count(*) AS n").expect("grouped");
        let record = &answer.records[0];
        let Some(Value::Node(node)) = record.get("a") else { panic!("a node") };
        let Some(Value::Edge(edge)) = record.get("r") else { panic!("a relationship") };
        assert_eq!(node.properties.get("name"), Some(&Value::String("Ann".into())));
        assert_eq!(edge.properties.get("since"), Some(&Value::I64(3)));
        assert_eq!(record.get("n"), Some(&Value::I64(1)));
    }

    #[test]
    fn transactions_commit_and_roll_back() {
        let (store, mut g) = graph();
        let count = |g: &mut Graph| {
            run(g, "MATCH (n:T) RETURN count(n) AS c").expect("a count").records[0].get("c").cloned()
        };
        g.begin(Access::Write);
        run(&mut g, "CREATE (:T)").expect("created");
        g.rollback().expect("rolled back");
        assert_eq!(count(&mut g), Some(Value::I64(0)));
        g.begin(Access::Write);
        run(&mut g, "CREATE (:T)").expect("created");
        let mut other = store.graph();
        assert_eq!(count(&mut other), Some(Value::I64(0)), "not visible before COMMIT");
        g.commit().expect("committed");
        assert_eq!(count(&mut other), Some(Value::I64(1)));
    }

    #[test]
    fn read_access_refuses_writes() {
        let (_store, mut g) = graph();
        let refused = g.run("CREATE (:T)", &HashMap::new(), Access::Read).expect_err("refused");
        assert_eq!(refused.code, "Neo.ClientError.Statement.AccessMode");
        g.begin(Access::Read);
        assert_eq!(
            run(&mut g, "CREATE (:T)").expect_err("refused").code,
            "Neo.ClientError.Statement.AccessMode"
        );
        g.rollback().expect("rolled back");
        run(&mut g, "CREATE (:T)").expect("allowed again");
    }

    #[test]
    fn errors_have_codes_and_places() {
        let (_store, mut g) = graph();
        run(&mut g, "CREATE (:A)-[:R]->(:B)").expect("created");
        for (query, code, part) in [
            ("RETRUN 1", "Statement.SyntaxError", "(line 1, column 1 (offset: 0))"),
            ("MATCH (n) RETURN m", "Statement.SyntaxError", "variable `m` is not defined"),
            ("RETURN 1/0", "Statement.ArithmeticError", "division by zero"),
            ("RETURN $x", "Statement.ParameterMissing", "$x"),
            ("RETURN foo(1)", "Statement.SyntaxError", "unknown function"),
            ("CALL db.nothing()", "Procedure.ProcedureNotFound", "db.nothing"),
            ("MATCH (a:A) DELETE a", "Schema.ConstraintValidationFailed", "DETACH DELETE"),
        ] {
            let fault = run(&mut g, query).expect_err(query);
            assert_eq!(fault.code, format!("Neo.ClientError.{code}"), "{query}: {}", fault.message);
            assert!(
                fault.message.contains(part) && !fault.message.contains('\n'),
                "{query}: {}",
                fault.message
            );
        }
    }

    #[test]
    fn a_temporary_graph_leaves_nothing_and_a_foreign_file_is_refused() {
        let store = Store::open(None).expect("a temporary graph");
        let directory = store.temporary.clone().expect("a directory");
        assert!(directory.exists());
        drop(store);
        assert!(!directory.exists());
        let path = std::env::temp_dir().join(format!("bolt-foreign-{}", std::process::id()));
        fs::write(&path, "this is no graph, it is a text of more than a hundred bytes ".repeat(4))
            .expect("a file");
        let refused = Store::open(Some(&path)).map(|_| ()).expect_err("refused");
        assert!(refused.contains("cannot be used"), "{refused}");
        fs::remove_file(&path).expect("removed");
    }
}
