//! The crate's integration tests: one binary, a module for each subject.

mod pool;
