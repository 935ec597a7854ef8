//! Owns: one process of the study under mimalloc, counted. Its times are not told.

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc<mimalloc::MiMalloc> = CountingAlloc::with(mimalloc::MiMalloc);

fn main() -> std::process::ExitCode {
    boltstack_compare_study::worker::main()
}
