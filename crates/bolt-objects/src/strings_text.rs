//! Owns: the memory of a string pool with one owner: bytes, in units of eight. Knows nothing of strings; every access is checked.

use alloc::vec::Vec;

use crate::strings_core::{Borrowed, Memory, UNIT};

/// Bytes of one owner.
pub(crate) struct PlainText {
    bytes: Vec<u8>,
}

impl PlainText {
    /// Memory the system hands out zeroed, page by page as it is used.
    pub(crate) fn new(units: usize) -> Self {
        Self { bytes: alloc::vec![0; units * UNIT] }
    }
}

impl Memory for PlainText {
    fn put(&mut self, at: u32, text: &[u8]) {
        let at = at as usize * UNIT;
        self.bytes[at..at + text.len()].copy_from_slice(text);
    }

    fn shift(&mut self, from: u32, to: u32, len: usize) {
        let from = from as usize * UNIT;
        self.bytes.copy_within(from..from + len, to as usize * UNIT);
    }

    #[inline(always)]
    fn equals(&self, at: u32, text: &[u8]) -> bool {
        self.bytes(at, text.len()).is_some_and(|bytes| bytes == text)
    }

    fn word(&self, at: u32) -> u64 {
        let at = at as usize * UNIT;
        let mut word = [0; UNIT];
        word.copy_from_slice(&self.bytes[at..at + UNIT]);
        u64::from_ne_bytes(word)
    }

    fn set_word(&mut self, at: u32, word: u64) {
        let at = at as usize * UNIT;
        self.bytes[at..at + UNIT].copy_from_slice(&word.to_ne_bytes());
    }

    fn retract(&mut self, _slot: u32) {}

    fn publish(&mut self, _slot: u32, _generation: u32, _at: u32, _len: u32) {}

    fn copy_to(&self, at: u32, len: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes(at, len).unwrap_or(&[]));
    }
}

impl Borrowed for PlainText {
    #[inline(always)]
    fn bytes(&self, at: u32, len: usize) -> Option<&[u8]> {
        let at = at as usize * UNIT;
        self.bytes.get(at..at + len)
    }
}
