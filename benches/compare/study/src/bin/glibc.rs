//! Owns: one process of the study under the system's allocator, glibc's on the machines this study is for. Nothing is counted here, so that
//! times are the allocator's own.

#[global_allocator]
static ALLOC: std::alloc::System = std::alloc::System;

fn main() -> std::process::ExitCode {
    boltstack_compare_study::worker::main()
}
