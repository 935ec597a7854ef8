//! The embedded graph as a backend of `bolt-server`: sessions, streams, summaries.
//!
//! A session borrows a handle of the graph for a statement or a transaction. The engine materialises results, so a stream is a list that
//! is handed out PULL by PULL, and an auto-commit statement is committed when RUN is answered: dropping its stream early undoes nothing.
//! `CALL generate.…` is answered by the generated streams of `bolt-server`, so that one server serves both. Limits: one database, no
//! bookmarks, no counters (the engine counts nothing), a running statement cannot be interrupted.

use std::sync::Arc;

use bolt_server::generated::{GeneratedBackend, GeneratedSession, GeneratedStream};
use bolt_server::{
    AccessMode, Backend, Columns, Credentials, Failure, Interrupt, Outcome, Peer, Progress, QueryKind,
    QueryRequest, RecordSink, Session, TransactionRequest,
};
use bolt_wire::AuthRef;
use graphdblite::Record;

use crate::convert;
use crate::engine::{Access, Fault, Graph, Store};

/// Stack for the engine and the conversions around it, which recurse by the depth of values: 16 KiB for each of the 1,024 levels that a
/// parameter may have, where a connection's thread has 2 MiB in all. Mapped per statement, touched only as deep as it is used.
const STACK_BYTES: usize = 16 << 20;

/// Serves one graph to everyone who may log in.
pub(crate) struct GraphBackend {
    store: Arc<Store>,
    credentials: Credentials,
    generated: GeneratedBackend,
}

impl GraphBackend {
    pub(crate) fn new(store: Arc<Store>, credentials: Credentials) -> Self {
        Self { store, generated: GeneratedBackend::new(credentials.clone()), credentials }
    }
}

impl Backend for GraphBackend {
    type Session = GraphSession;

    fn authenticate(&self, auth: &AuthRef<'_>) -> Result<(), Failure> {
        self.credentials.check(auth)
    }

    fn open(&self, peer: &Peer, interrupt: Interrupt) -> Result<GraphSession, Failure> {
        Ok(GraphSession { graph: self.store.graph(), generated: self.generated.open(peer, interrupt)? })
    }
}

/// One connection's session.
pub(crate) struct GraphSession {
    graph: Graph,
    generated: GeneratedSession,
}

/// An open result.
pub(crate) enum Stream {
    Rows { records: Vec<Record>, next: usize, kind: QueryKind },
    Generated(GeneratedStream),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::new(fault.code, fault.message)
    }
}

fn access(mode: AccessMode) -> Access {
    match mode {
        AccessMode::Read => Access::Read,
        AccessMode::Write => Access::Write,
    }
}

fn is_generated(query: &str) -> bool {
    let mut words = query.split_whitespace();
    words.next().is_some_and(|w| w.eq_ignore_ascii_case("call"))
        && words.next().and_then(|w| w.get(..9)).is_some_and(|w| w.eq_ignore_ascii_case("generate."))
}

impl Session for GraphSession {
    type Stream = Stream;

    fn begin(&mut self, transaction: &TransactionRequest<'_>) -> Result<(), Failure> {
        self.graph.begin(access(transaction.mode));
        Ok(())
    }

    fn run(&mut self, query: &QueryRequest<'_>, columns: &mut Columns) -> Result<Stream, Failure> {
        if is_generated(query.text) {
            return self.generated.run(query, columns).map(Stream::Generated);
        }
        let mode = query.auto_commit.map_or(Access::Write, |t| access(t.mode));
        let answer = stacker::grow(STACK_BYTES, || {
            let params = convert::params(&mut self.graph, query.parameters)?;
            self.graph.run(query.text, &params, mode)
        })?;
        for column in answer.columns {
            columns.push(column);
        }
        let kind = match answer.kind {
            "w" => QueryKind::Write,
            "rw" => QueryKind::ReadWrite,
            "s" => QueryKind::Schema,
            _ => QueryKind::Read,
        };
        Ok(Stream::Rows { records: answer.records, next: 0, kind })
    }

    fn pull(&mut self, stream: &mut Stream, n: u64, sink: &mut RecordSink<'_>) -> Result<Progress, Failure> {
        let (records, next, kind) = match stream {
            Stream::Generated(stream) => return self.generated.pull(stream, n, sink),
            Stream::Rows { records, next, kind } => (records, next, *kind),
        };
        let end = records.len().min(next.saturating_add(usize::try_from(n).unwrap_or(usize::MAX)));
        stacker::grow(STACK_BYTES, || {
            while *next < end {
                let record = &records[*next];
                sink.record(|e| record.values().try_for_each(|value| e.encode(&convert::to_wire(value))))?;
                *next += 1;
            }
            Ok(progress(*next, records.len(), kind))
        })
    }

    fn discard(&mut self, stream: &mut Stream, n: u64) -> Result<Progress, Failure> {
        match stream {
            Stream::Generated(stream) => self.generated.discard(stream, n),
            Stream::Rows { records, next, kind } => {
                *next = records.len().min(next.saturating_add(usize::try_from(n).unwrap_or(usize::MAX)));
                Ok(progress(*next, records.len(), *kind))
            }
        }
    }

    fn commit(&mut self) -> Result<(), Failure> {
        Ok(self.graph.commit()?)
    }

    fn rollback(&mut self) -> Result<(), Failure> {
        Ok(self.graph.rollback()?)
    }

    fn reset(&mut self) {
        // Nothing is open afterwards either way: a handle that cannot roll back is dropped, and its transaction with it.
        let _ = self.graph.rollback();
        self.generated.reset();
    }
}

fn progress(next: usize, records: usize, kind: QueryKind) -> Progress {
    if next < records {
        Progress::More
    } else {
        Progress::Done(Box::new(Outcome { kind, ..Outcome::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_calls_are_told_from_the_graph_s_own() {
        for (query, expected) in [
            ("CALL generate.scalars(10)", true),
            ("  call\n Generate.Nodes($n)", true),
            ("CALL db.counts()", false),
            ("MATCH (n) RETURN 'CALL generate.scalars(1)'", false),
            ("CALL", false),
            ("CALL größer.x()", false),
        ] {
            assert_eq!(is_generated(query), expected, "{query}");
        }
    }
}
