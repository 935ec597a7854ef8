//! The integration tests of bolt-sync on the real atomics; the models are in `tests/loom.rs`.
#![cfg(not(bolt_loom))]

#[cfg(feature = "std")]
mod magazines;
#[cfg(feature = "alloc")]
mod rings;
mod slots;
