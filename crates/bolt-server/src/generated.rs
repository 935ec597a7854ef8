//! The backend that makes its records up: streams of exact shapes, faster than any client, for tests and benchmarks.
//!
//! Owns the ready-made blocks, one for each shape and dialect that was asked for, and shares them between connections.
//! Keeps no data and changes nothing: transactions begin and end without effect. Limits: five blocks of about 1 MiB
//! for each of the five dialects of the protocol.

mod query;
mod shape;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bolt_wire::{AuthRef, Dialect, Encoder, MapRef, ValueRef};

pub use shape::{Expected, LIST_ITEMS, MIXED_KINDS, Shape, expected, list_item};

use crate::{
    Backend, Columns, Credentials, Failure, Interrupt, Peer, Progress, QueryRequest, RecordSink, Session,
    TransactionRequest,
};
use query::{Generator, Operand, Query};
use shape::Block;

/// Bytes of records sent between two looks at the interrupt.
const STEP_BYTES: usize = 256 << 10;

/// Serves generated streams:
///
/// | query | answer |
/// |---|---|
/// | `CALL generate.scalars(N)`, `.nodes(N)`, `.lists(N)`, `.mixed(N)` | `N` records of that [`Shape`], sent as fast as they are taken |
/// | `CALL generate.slow(N, delay_ms)` | `N` records `n` = 0, 1, …, each sent alone after a pause |
/// | `CALL generate.failing(N, fail_at)` | `N` records `n`, but a FAILURE `…Statement.ArithmeticError` in place of record `fail_at` |
/// | `RETURN 1`, `RETURN $x AS x, 'two', 3.0` | one record; parameters come back byte for byte, whatever their type |
///
/// Arguments are integers or parameters. Anything else is a syntax error that lists these forms.
#[derive(Debug)]
pub struct GeneratedBackend {
    credentials: Credentials,
    blocks: Blocks,
}

type Blocks = Arc<Mutex<HashMap<(Shape, Dialect), Arc<Block>>>>;

impl GeneratedBackend {
    /// A backend that lets these users in.
    pub fn new(credentials: Credentials) -> Self {
        GeneratedBackend { credentials, blocks: Blocks::default() }
    }
}

impl Backend for GeneratedBackend {
    type Session = GeneratedSession;

    fn authenticate(&self, auth: &AuthRef<'_>) -> Result<(), Failure> {
        self.credentials.check(auth)
    }

    fn open(&self, _peer: &Peer, _interrupt: Interrupt) -> Result<GeneratedSession, Failure> {
        Ok(GeneratedSession { blocks: Arc::clone(&self.blocks) })
    }
}

/// One connection's session of a [`GeneratedBackend`].
#[derive(Debug)]
pub struct GeneratedSession {
    blocks: Blocks,
}

/// An open generated result.
#[derive(Debug)]
pub struct GeneratedStream(Source);

#[derive(Debug)]
enum Source {
    /// Records `next..end`; the block is made at the first PULL, when the dialect is known.
    Replay {
        shape: Shape,
        block: Option<Arc<Block>>,
        next: u64,
        end: u64,
    },
    Slow {
        next: u64,
        end: u64,
        delay: Duration,
    },
    Failing {
        next: u64,
        end: u64,
        fail_at: u64,
    },
    /// The one record of a RETURN, encoded; `None` once sent.
    Row(Option<Vec<u8>>),
}

impl Session for GeneratedSession {
    type Stream = GeneratedStream;

    fn begin(&mut self, _transaction: &TransactionRequest<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn run(&mut self, query: &QueryRequest<'_>, columns: &mut Columns) -> Result<GeneratedStream, Failure> {
        let source = match query::parse(query.text)? {
            Query::Return(items) => {
                let mut row = Vec::with_capacity(64);
                let mut e = Encoder::new(&mut row, query.version.dialect(false));
                for (operand, name) in &items {
                    columns.push(*name);
                    match operand {
                        Operand::Null => e.null()?,
                        Operand::Bool(value) => e.bool(*value)?,
                        Operand::Int(value) => e.int(*value)?,
                        Operand::Float(value) => e.float(*value)?,
                        Operand::Text(value) => e.str(value)?,
                        Operand::Parameter(name) => {
                            let value = query.parameters.raw(name);
                            e.raw(value.ok_or_else(|| Failure::parameter_missing(name))?.as_bytes())?;
                        }
                    }
                }
                Source::Row(Some(row))
            }
            Query::Generate { what, arguments } => {
                let count = |i: usize, name| argument(&arguments[i], name, query.parameters);
                let end = count(0, "N")?;
                let (shape, source) = match what {
                    Generator::Scalars => replay(Shape::Scalars, end),
                    Generator::Nodes => replay(Shape::Nodes, end),
                    Generator::Lists => replay(Shape::Lists, end),
                    Generator::Mixed => replay(Shape::Mixed, end),
                    Generator::Slow => {
                        let delay = Duration::from_millis(count(1, "delay_ms")?);
                        (Shape::Numbers, Source::Slow { next: 0, end, delay })
                    }
                    Generator::Failing => {
                        let fail_at = count(1, "fail_at")?;
                        (Shape::Numbers, Source::Failing { next: 0, end, fail_at })
                    }
                };
                shape.columns().iter().for_each(|column| columns.push(*column));
                source
            }
        };
        Ok(GeneratedStream(source))
    }

    fn pull(
        &mut self,
        stream: &mut GeneratedStream,
        n: u64,
        sink: &mut RecordSink<'_>,
    ) -> Result<Progress, Failure> {
        match &mut stream.0 {
            Source::Replay { shape, block, next, end } => {
                let block = match block {
                    Some(block) => block,
                    None => block.insert(self.block(*shape, sink.dialect())?),
                };
                let stop = next.saturating_add(n).min(*end);
                while *next < stop {
                    let from = *next % block.records();
                    let to = block.step(from, stop - *next, STEP_BYTES);
                    sink.framed(block.slice(from, to), to - from)?;
                    *next += to - from;
                }
                Ok(more_if(*next < *end))
            }
            Source::Slow { next, end, delay } => {
                let stop = next.saturating_add(n).min(*end);
                while *next < stop {
                    sink.flush()?;
                    sink.interrupt().sleep(*delay)?;
                    sink.record(|e| e.int(*next as i64))?;
                    *next += 1;
                }
                Ok(more_if(*next < *end))
            }
            Source::Failing { next, end, fail_at } => {
                let stop = next.saturating_add(n).min(*end);
                while *next < stop && *next < *fail_at {
                    sink.record(|e| e.int(*next as i64))?;
                    *next += 1;
                }
                if *next == *fail_at && *next < *end && *next < stop {
                    return Err(division_by_zero());
                }
                Ok(more_if(*next < *end))
            }
            Source::Row(row) => {
                if let Some(row) = row.take() {
                    sink.record(|e| e.raw(&row))?;
                }
                Ok(Progress::done())
            }
        }
    }

    fn discard(&mut self, stream: &mut GeneratedStream, n: u64) -> Result<Progress, Failure> {
        match &mut stream.0 {
            Source::Replay { next, end, .. } | Source::Slow { next, end, .. } => {
                *next = next.saturating_add(n).min(*end);
                Ok(more_if(*next < *end))
            }
            Source::Failing { next, end, fail_at } => {
                let stop = next.saturating_add(n).min(*end);
                if *fail_at < stop {
                    return Err(division_by_zero());
                }
                *next = stop;
                Ok(more_if(*next < *end))
            }
            Source::Row(row) => {
                *row = None;
                Ok(Progress::done())
            }
        }
    }

    fn commit(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn reset(&mut self) {}
}

impl GeneratedSession {
    /// The ready-made records of a shape; made once per dialect, some milliseconds.
    fn block(&self, shape: Shape, dialect: Dialect) -> Result<Arc<Block>, Failure> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = blocks.get(&(shape, dialect)) {
            return Ok(Arc::clone(block));
        }
        let block = Arc::new(Block::new(shape, dialect)?);
        blocks.insert((shape, dialect), Arc::clone(&block));
        Ok(block)
    }
}

fn replay(shape: Shape, end: u64) -> (Shape, Source) {
    (shape, Source::Replay { shape, block: None, next: 0, end })
}

fn more_if(more: bool) -> Progress {
    if more { Progress::More } else { Progress::done() }
}

fn division_by_zero() -> Failure {
    Failure::new("Neo.ClientError.Statement.ArithmeticError", "/ by zero")
        .gql("22012", "error: data exception - division by zero")
}

/// A count: a literal or a parameter, not negative.
fn argument(operand: &Operand<'_>, name: &str, parameters: MapRef<'_>) -> Result<u64, Failure> {
    let value = match operand {
        Operand::Int(value) => *value,
        Operand::Parameter(parameter) => match parameters.get(parameter)? {
            Some(ValueRef::Int(value)) => value,
            Some(other) => {
                let found = other.type_name();
                return Err(Failure::wrong_type(format!(
                    "{name} must be an integer, ${parameter} is {found}"
                )));
            }
            None => return Err(Failure::parameter_missing(parameter)),
        },
        _ => return Err(Failure::wrong_type(format!("{name} must be an integer or a parameter"))),
    };
    u64::try_from(value).map_err(|_| Failure::argument(format!("{name} must not be negative, it is {value}")))
}
