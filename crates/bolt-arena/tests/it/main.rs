//! The integration tests of bolt-arena: one binary, a module a subject. The allocator counts, so that "allocates
//! nothing" is a test.

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc::new();

mod allocations;
mod drops;
mod handles;
mod memory;
#[cfg(feature = "std")]
mod threads;
