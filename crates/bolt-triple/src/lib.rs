#![doc = include_str!("../README.md")]
//!
//! # This file
//!
//! Owns the list of modules and names. Holds no code.

#![cfg_attr(not(any(feature = "std", bolt_loom)), no_std)]
#![deny(unsafe_code)]

mod batch;
mod error;
mod pool;
mod profile;
mod receipt;
mod sharded;
#[allow(unsafe_code)]
mod slots;
mod ticket;

pub use batch::{BatchLen, MAX_RUN_LEN, MatchMask, SoaBatch, Triple};
pub use error::PoolError;
pub use pool::{
    BATCHES_MAX, BufferPool, CapacityUsage, Cleared, DEFAULT_BATCHES, PooledSoa, SoaHandle, SoaPool,
    TRIPLES_MAX,
};
#[cfg(feature = "profiling")]
pub use profile::PoolStats;
pub use receipt::{DEFAULT_RECEIPTS, Receipt, ReceiptHandle, ReceiptPool};
pub use sharded::{ShardedPool, SharedSoa};
