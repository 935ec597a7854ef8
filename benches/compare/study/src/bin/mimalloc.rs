//! Owns: one process of the study under mimalloc. Nothing is counted here, so that times are the allocator's own.

#[global_allocator]
static ALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    boltstack_compare_study::worker::main()
}
