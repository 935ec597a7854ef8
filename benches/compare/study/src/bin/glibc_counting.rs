//! Owns: one process of the study under the system's allocator, glibc's on the machines this study is for, counted. Its times are not told.

use bolt_alloc::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc<std::alloc::System> = CountingAlloc::with(std::alloc::System);

fn main() -> std::process::ExitCode {
    boltstack_compare_study::worker::main()
}
