//! One binary for all integration tests. Owns the list of modules; each says what it proves. Miri runs what needs neither files nor
//! minutes, ThreadSanitizer leaves out what has one thread and takes minutes, and
//! 32-bit programs what is about mappings, which they have none of.

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc::new();

#[cfg(all(target_pointer_width = "64", not(miri)))]
mod allocations;
#[cfg(not(miri))]
mod basics;
#[cfg(not(any(miri, bolt_tsan)))]
mod check;
#[cfg(not(any(miri, bolt_tsan)))]
mod child;
mod codec;
#[cfg(not(any(miri, bolt_tsan)))]
mod compact;
#[cfg(not(any(miri, bolt_tsan)))]
mod crash;
#[cfg(not(any(miri, bolt_tsan)))]
mod damage;
#[cfg(all(target_pointer_width = "64", not(any(miri, bolt_tsan))))]
mod digests;
#[cfg(not(any(miri, bolt_tsan)))]
mod files;
#[cfg(not(any(miri, bolt_tsan)))]
mod fill;
#[cfg(not(any(miri, bolt_tsan)))]
mod fixtures;
#[cfg(not(any(miri, bolt_tsan)))]
mod golden;
#[cfg(not(any(miri, bolt_tsan)))]
mod kill;
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(any(miri, bolt_tsan))))]
mod large;
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(any(miri, bolt_tsan))))]
mod memory;
#[cfg(feature = "model")]
mod model;
#[cfg(not(any(miri, bolt_tsan)))]
mod outside;
#[cfg(not(miri))]
mod readers;
#[cfg(not(any(miri, bolt_tsan)))]
mod repair;
#[cfg(not(miri))]
mod scratch;
#[cfg(not(any(miri, bolt_tsan)))]
mod writable;
