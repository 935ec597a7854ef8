//! One binary for all integration tests. Owns the list of modules; each says what it proves.

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc::new();

mod allocations;
mod basics;
mod check;
mod codec;
mod compact;
mod crash;
mod damage;
mod files;
mod fixtures;
mod golden;
#[cfg(feature = "model")]
mod model;
mod repair;
mod scratch;
