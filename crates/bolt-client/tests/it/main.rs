//! Integration tests of bolt-client, one binary: every test talks over a real loopback socket and has a deadline.

mod cancelling;
mod dropping;
mod hostile;
mod keeping;
mod login;
mod memory;
mod peer;
mod script;
mod seam;
mod standing;
mod streaming;
mod transactions;

#[global_allocator]
static ALLOC: bolt_alloc::CountingAlloc = bolt_alloc::CountingAlloc::new();
