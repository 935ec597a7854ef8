//! Owns: one process of the study under jemalloc, counted. Its times are not told.

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc<tikv_jemallocator::Jemalloc> = CountingAlloc::with(tikv_jemallocator::Jemalloc);

fn main() -> std::process::ExitCode {
    boltstack_compare_study::worker::main()
}
