//! Owns: the bytes that the tests of the models feed them: the same for a seed on every machine. Never part of a build. Limits: a seed of 0 gives
//! zeros.

use alloc::vec::Vec;

/// `len` bytes without a pattern.
pub(crate) fn noise(mut state: u64, len: usize) -> Vec<u8> {
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| step()).collect()
}
