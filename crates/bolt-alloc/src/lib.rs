#![doc = include_str!("../README.md")]
//!
//! # This file
//!
//! Owns the list of modules and names. Holds no code.

mod counting;
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
mod jemalloc;
mod scope;

#[cfg(all(feature = "jemalloc", target_env = "msvc"))]
compile_error!("feature `jemalloc` of bolt-alloc does not build for MSVC targets; leave it off there");

pub use counting::{CountingAlloc, global_counts, is_installed, thread_counts};
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
pub use jemalloc::{Jemalloc, JemallocError, JemallocStats};
pub use scope::{Counts, assert_no_alloc, measure};
