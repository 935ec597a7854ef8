//! One binary for all integration tests. Owns the list of modules; each says what it proves. Miri runs what needs neither files nor minutes.

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc::new();

#[cfg(not(miri))]
mod allocations;
#[cfg(not(miri))]
mod basics;
#[cfg(not(miri))]
mod check;
mod codec;
#[cfg(not(miri))]
mod compact;
#[cfg(not(miri))]
mod crash;
#[cfg(not(miri))]
mod damage;
#[cfg(not(miri))]
mod files;
#[cfg(not(miri))]
mod fixtures;
#[cfg(not(miri))]
mod golden;
#[cfg(feature = "model")]
mod model;
#[cfg(not(miri))]
mod repair;
#[cfg(not(miri))]
mod scratch;
