//! The integration tests of bolt-alloc, in a binary whose allocator counts.

use bolt_alloc::CountingAlloc;

#[cfg(not(all(feature = "jemalloc", not(target_env = "msvc"))))]
#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc::new();

#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOC: CountingAlloc<bolt_alloc::Jemalloc> = CountingAlloc::with(bolt_alloc::Jemalloc);

mod counts;
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
mod jemalloc;
