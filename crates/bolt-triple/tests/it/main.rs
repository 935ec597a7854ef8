//! The integration tests of bolt-triple. Every allocation of this binary is counted.

#![cfg(not(bolt_loom))]

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc::new();

mod kernels;
mod pool;
mod receipts;
