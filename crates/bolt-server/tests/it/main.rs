//! The server as a client meets it: real sockets, raw bytes, hostile bytes, every version.

mod client;
mod custom;
mod hostile;
mod limits;
mod memory;
mod states;
mod streams;
mod transcript;
mod versions;

#[global_allocator]
static ALLOC: bolt_alloc::CountingAlloc = bolt_alloc::CountingAlloc::new();
