//! The integration tests of bolt-objects: one binary, a module a subject. The allocator counts, so that "allocates nothing" is a test.
#![cfg(all(feature = "std", not(bolt_loom)))]

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc::new();

mod allocations;
#[cfg(feature = "arenas")]
mod arenas;
#[cfg(feature = "bytes")]
mod bytes;
mod hostile;
mod pools;
mod ready;
#[cfg(feature = "strings")]
mod strings;
#[cfg(all(feature = "arenas", feature = "maps", feature = "strings"))]
mod study;
