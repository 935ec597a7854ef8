//! The integration tests of bolt-buf: one binary, a module a subject. The allocator counts, so that what is said about
//! memory is read from it and not from the buffer's own numbers.

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc::new();

mod buffer;
mod frames;
mod memory;
mod model;
mod readers;
