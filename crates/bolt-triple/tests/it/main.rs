//! The integration tests of bolt-triple. Every allocation of this binary is counted.

#![cfg(not(bolt_loom))]

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc::new();

#[cfg(feature = "std")]
mod growing;
mod kernels;
#[cfg(feature = "rdf")]
mod malformed;
mod pipeline;
mod pool;
mod receipts;
#[cfg(feature = "alloc")]
mod rings;
#[cfg(feature = "rdf")]
mod text;
mod transcript;
