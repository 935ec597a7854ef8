//! The integration tests of bolt-tlv-build, one module a subject.
//!
//! Owns the list, and the generated code that the others use. `tests/golden` holds that code; `src/golden.rs` keeps it current.

mod any_message;
mod refused;
mod round_trip;
mod services;
mod versions;

/// What `tests/schemas/source.yaml` becomes.
#[allow(dead_code, unreachable_pub)]
mod source {
    include!("../golden/source.rs.txt");
}

/// What `tests/schemas/everything.yaml` becomes.
#[allow(dead_code, unreachable_pub)]
mod everything {
    include!("../golden/everything.rs.txt");
}

/// What `tests/schemas/first.yaml` becomes.
#[allow(dead_code, unreachable_pub)]
mod first {
    include!("../golden/first.rs.txt");
}

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) ^ (self.0 << 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 8) as usize % n
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }
}
