#![doc = include_str!("../README.md")]
//!
//! # This file
//!
//! Owns the list of modules and names. Holds no code.

#![cfg_attr(not(any(feature = "std", bolt_loom)), no_std)]
#![deny(unsafe_code)]

mod batch;
// The files that may hold unsafe code, as the manifest lists them.
#[allow(unsafe_code)]
mod cpu;
mod error;
mod kernels;
mod pool;
mod profile;
mod receipt;
mod sharded;
#[allow(unsafe_code)]
mod slots;
mod ticket;
pub mod ticks;

pub use batch::{BatchLen, MAX_RUN_LEN, MatchMask, SoaBatch, Triple};
pub use cpu::Level;
pub use error::PoolError;
pub use kernels::{Matcher, Pattern};
pub use pool::{
    BATCHES_MAX, BufferPool, CapacityUsage, Cleared, DEFAULT_BATCHES, PooledSoa, SoaHandle, SoaPool,
    TRIPLES_MAX,
};
#[cfg(feature = "profiling")]
pub use profile::PoolStats;
pub use receipt::{DEFAULT_RECEIPTS, Receipt, ReceiptHandle, ReceiptPool};
pub use sharded::{ShardedPool, SharedSoa};
