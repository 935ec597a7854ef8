#![doc = include_str!("../README.md")]
//!
//! # This file
//!
//! Owns the list of modules and names. Holds no code.

#![cfg_attr(not(any(feature = "std", feature = "model", test, bolt_loom)), no_std)]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "alloc")]
mod adaptive;
mod batch;
// The files that may hold unsafe code, as the manifest lists them.
#[allow(unsafe_code)]
mod cpu;
mod error;
#[cfg(feature = "rdf")]
mod ingest_text;
#[cfg(feature = "rdf")]
mod intern;
mod kernels;
#[cfg(any(test, feature = "model"))]
#[doc(hidden)]
pub mod model;
#[cfg(all(any(test, feature = "model"), feature = "rdf"))]
#[doc(hidden)]
pub mod model_text;
#[cfg(feature = "std")]
mod numa;
mod pipeline;
mod pool;
mod profile;
mod receipt;
mod rings;
#[allow(unsafe_code)]
mod shard;
mod sharded;
#[allow(unsafe_code)]
mod slots;
mod stages;
mod ticket;
pub mod ticks;

#[cfg(feature = "alloc")]
pub use adaptive::{AdaptivePool, CapacityConfig, CapacityPolicy, CycleLoad, GrowError};
pub use batch::{BatchLen, MAX_RUN_LEN, MatchMask, SoaBatch, Triple};
pub use cpu::Level;
pub use error::PoolError;
#[cfg(feature = "rdf")]
pub use ingest_text::{DEFAULT_STATEMENT_BYTES, TermTriple, Text};
#[cfg(feature = "rdf")]
pub use intern::{DEFAULT_TERM_BYTES, Intern, Interner, TermTable};
pub use kernels::{Matcher, Pattern};
#[cfg(feature = "std")]
pub use numa::{NodeSource, NumaPool, SystemNodes, pool_of_node};
pub use pipeline::{DEFAULT_IN_FLIGHT, InFlight, Pipeline, Progress, Stages, Totals};
pub use pool::{
    BATCHES_MAX, BufferPool, CapacityUsage, Cleared, DEFAULT_BATCHES, PooledSoa, SoaHandle, SoaPool,
    TRIPLES_MAX,
};
#[cfg(feature = "profiling")]
pub use profile::PoolStats;
pub use receipt::{DEFAULT_RECEIPTS, Receipt, ReceiptHandle, ReceiptPool};
pub use rings::{
    Assertion, AssertionRing, Delta, DeltaConsumer, DeltaKind, DeltaProducer, DeltaRing, DeltaRun,
};
#[cfg(feature = "alloc")]
pub use rings::{assertion_ring, delta_ring};
pub use sharded::{ShardedPool, SharedSoa};
pub use stages::{
    Answer, Cycle, Emission, Emit, Fault, Firing, Hook, Hooks, Ids, InOrder, Ingest, Load, PatternHook,
    PipelineError, Place, Reflex, Stage, Tally, Transform, Typed,
};
