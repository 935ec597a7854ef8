#![doc = include_str!("../README.md")]
//!
//! # This file
//!
//! Owns the list of modules and names. Holds no code.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod error;
mod frame;
#[cfg(any(test, feature = "model"))]
#[doc(hidden)]
pub mod model;
mod pool;
mod raw;
mod scratch;
#[cfg(feature = "std")]
mod thread_pool;

pub use error::{AllocError, HandleError, ReleaseError, RollbackError};
pub use frame::Frame;
pub use pool::{ArenaAllocator, BoltPool, Builder, Handle, Mark, PoolLimits, PoolStats};
pub use scratch::ScratchBuffer;
#[cfg(feature = "std")]
pub use thread_pool::{THREAD_POOL_SCRATCH, with_thread_pool};
