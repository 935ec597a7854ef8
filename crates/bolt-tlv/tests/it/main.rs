//! The crate's integration tests: one binary, a module for each subject. The counting allocator is installed for all of them.

mod allocations;
#[cfg(not(miri))] // Text to numbers: nothing unsafe, and slow to interpret.
mod config;
mod frames;
mod frames_async;
mod pool;
mod seed;

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOCATOR: CountingAlloc = CountingAlloc::new();
