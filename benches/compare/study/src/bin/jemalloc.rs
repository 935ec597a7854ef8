//! Owns: one process of the study under jemalloc. Nothing is counted here, so that times are the allocator's own.

#[global_allocator]
static ALLOC: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    boltstack_compare_study::worker::main()
}
