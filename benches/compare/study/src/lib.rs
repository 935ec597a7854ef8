//! A small database's own work (tree nodes, batches, log, names), written once for plain std and for each memory technique, and what it
//! takes to measure that: counts, resident memory, latencies, threads. `src/bin/study.rs` drives it and `docs/memory-study.md` tells what came
//! out. Never published. Limits: Linux, for the resident memory; elsewhere those columns are 0.

pub mod batches;
pub mod figures;
pub mod kinds;
pub mod log;
pub mod measure;
pub mod names;
pub mod nodes;
pub mod report;
pub mod worker;
