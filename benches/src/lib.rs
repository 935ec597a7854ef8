//! What the criterion suites share. Owns nothing at run time; never part of a published crate.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId};

/// Asserts the answer of a pass, warm and every time, then times it under `name`.
pub fn timed(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    expected: u64,
    mut pass: impl FnMut() -> u64,
) {
    for _ in 0..3 {
        assert_eq!(pass(), expected, "{name}");
    }
    group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(&mut pass));
}
