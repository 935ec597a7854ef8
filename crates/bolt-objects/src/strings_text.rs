//! Owns: the memory of a string pool with one owner: text, the index beside it. Every access but that of `resolve` is checked against its end;
//! that what lies there is the text of a live string is the affair of `strings_core`.
//!
//! unsafe: allowed here

use alloc::vec::Vec;

use crate::strings_config::StringId;
use crate::strings_core::{Core, Found, Memory, Put};
use crate::strings_index::{Index, tag_of};
use crate::strings_places::{HEADER, LEN_MAX, UNIT};

/// The header before a text, in bytes. The upper half of its second word is text already: a tag is asked for when a string leaves, and hashed again
/// then. With four bytes fewer a name more often lies in one cache line.
const HEADER_BYTES: usize = HEADER as usize * UNIT - 4;

/// Text begins with a cache line, so that one with its header lies in one line more often than in two.
pub(crate) const LINE: usize = 64;

/// Bytes of one owner. Invariant: 1. `start + len` is at most the length of `bytes`, `len` at least that of a header, and none of
/// the three ever changes.
pub(crate) struct PlainText {
    /// Zeroed by the system, page by page as it is used.
    bytes: Vec<u8>,
    start: usize,
    len: usize,
    index: Index,
}

impl PlainText {
    /// A line more than `units` take is allocated.
    pub(crate) fn new(units: usize, strings_max: u32) -> Self {
        let len = units * UNIT;
        assert!(len >= HEADER_BYTES, "a plan has place for a string");
        let bytes = alloc::vec![0; len + LINE];
        let start = bytes.as_ptr().addr().wrapping_neg() % LINE;
        Self { bytes, start, len, index: Index::new(strings_max) }
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        // SAFETY: 1.
        unsafe { self.bytes.get_unchecked(self.start..self.start + self.len) }
    }

    /// From the text of the first place on: the memory is longer than a header.
    #[inline(always)]
    fn texts(&self) -> &[u8] {
        let from = self.start + HEADER_BYTES;
        // SAFETY: 1.
        unsafe { self.bytes.get_unchecked(from..self.start + self.len) }
    }

    #[inline(always)]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: 1.
        unsafe { self.bytes.get_unchecked_mut(self.start..self.start + self.len) }
    }

    #[inline(always)]
    fn text(&self, at: u32, len: usize) -> Option<&[u8]> {
        let start = at as usize * UNIT + HEADER_BYTES;
        self.bytes().get(start..start + len)
    }

    /// The string at `at`, if it is `text` by `same`.
    #[inline(always)]
    fn found(&self, at: u32, text: &[u8], same: impl Fn(&[u8], &[u8]) -> bool) -> Option<Found> {
        let there = self.bytes().get(at as usize * UNIT..)?;
        let header = there.first_chunk::<{ HEADER as usize * UNIT }>()?;
        let (first, second) = (u64::from_le_bytes(word(header, 0)), u64::from_le_bytes(word(header, UNIT)));
        if second as usize & LEN_MAX != text.len() {
            return None;
        }
        let there = there.get(HEADER_BYTES..)?.get(..text.len())?;
        same(there, text).then_some(Found { at, first, second })
    }
}

/// Up to eight bytes at `at` as a word, whose place is known to be inside.
#[inline(always)]
fn word<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut word = [0; N];
    word.copy_from_slice(&bytes[at..at + N]);
    word
}

/// The first `N` bytes of a text that has so many.
#[inline(always)]
fn head<const N: usize>(text: &[u8]) -> Option<&[u8; N]> {
    text.first_chunk()
}

/// The last ones.
#[inline(always)]
fn tail<const N: usize>(text: &[u8]) -> Option<&[u8; N]> {
    text.last_chunk()
}

/// Whether two texts of the same length, of 4 to 32 bytes as most names are, are the same: two comparisons, and no call.
#[inline(always)]
fn same_short(one: &[u8], two: &[u8]) -> bool {
    match one.len() {
        17..=32 => (head::<16>(one) == head(two)) & (tail::<16>(one) == tail(two)),
        8..=16 => (head::<8>(one) == head(two)) & (tail::<8>(one) == tail(two)),
        4..=7 => (head::<4>(one) == head(two)) & (tail::<4>(one) == tail(two)),
        _ => false,
    }
}

/// A bit for each of `bytes` that is `byte`. Here and not with the index, as it is the vector instruction that needs a promise.
#[inline(always)]
pub(crate) fn equal_bytes(bytes: &[u8; 16], byte: u8) -> u32 {
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    // SAFETY: the program is compiled for processors that have SSE2.
    return unsafe { equal_bytes_sse2(bytes, byte) };
    #[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
    bytes.iter().enumerate().fold(0, |mask, (n, &other)| mask | u32::from(other == byte) << n)
}

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
#[target_feature(enable = "sse2")]
#[inline]
fn equal_bytes_sse2(bytes: &[u8; 16], byte: u8) -> u32 {
    use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: sixteen bytes, from anywhere.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()))).cast_unsigned()
}

impl Memory for PlainText {
    const WAYS: usize = Index::WAYS;

    #[inline(always)]
    fn units(len: usize) -> u32 {
        ((HEADER_BYTES + len).div_ceil(UNIT) as u32).max(HEADER)
    }

    fn tag(&self, at: u32) -> u32 {
        let len = self.word(at + 1) as usize & LEN_MAX;
        tag_of(self.text(at, len).unwrap_or(&[]))
    }

    #[inline(always)]
    fn word(&self, at: u32) -> u64 {
        u64::from_le_bytes(word(self.bytes(), at as usize * UNIT))
    }

    #[inline(always)]
    fn set_word(&mut self, at: u32, word: u64) {
        let at = at as usize * UNIT;
        self.bytes_mut()[at..at + UNIT].copy_from_slice(&word.to_le_bytes());
    }

    fn shift(&mut self, from: u32, to: u32, units: u32) {
        let (from, len) = (from as usize * UNIT, units as usize * UNIT);
        self.bytes_mut().copy_within(from..from + len, to as usize * UNIT);
    }

    fn publish(&mut self, _slot: u32, _generation: u32, _at: u32, _len: u32) {}

    fn copy_to(&self, _slot: u32, at: u32, len: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text(at, len).unwrap_or(&[]));
    }

    #[inline(always)]
    fn buckets(&self) -> usize {
        self.index.buckets()
    }

    #[inline(always)]
    fn find_quick(&self, bucket: usize, tag: u32, text: &[u8]) -> Option<Found> {
        self.found(self.index.places(bucket, tag).next()?, text, same_short)
    }

    fn find_in(&self, bucket: usize, tag: u32, text: &[u8]) -> Option<Found> {
        self.index.places(bucket, tag).find_map(|at| self.found(at, text, |one, two| one == two))
    }

    fn entry(&self, bucket: usize, way: usize) -> Option<u32> {
        self.index.entry(bucket, way)
    }

    fn set_entry(&mut self, bucket: usize, way: usize, entry: Option<(u32, u32)>) {
        self.index.set_entry(bucket, way, entry);
    }
}

/// Of `str` and nothing else: `resolve` rests on it.
impl Put<&str> for PlainText {
    fn put(&mut self, _slot: u32, at: u32, text: &str) {
        let start = at as usize * UNIT + HEADER_BYTES;
        self.bytes_mut()[start..start + text.len()].copy_from_slice(text.as_bytes());
    }
}

impl Core<PlainText> {
    /// The text of `id`, if it is alive.
    #[inline(always)]
    pub(crate) fn resolve(&self, id: StringId) -> Option<&str> {
        let (at, len) = self.place_of(id)?;
        // What is the same for all ids first.
        let texts = self.memory().texts();
        let start = at as usize * UNIT;
        debug_assert!(start + len as usize <= texts.len(), "a string lies in its memory");
        // SAFETY: the generation of an id is odd, so the slot is live (3 of `Slot`), and a live string lies in the memory (4), whose length never
        // changes. The check would be a quarter of the whole.
        let bytes = unsafe { texts.get_unchecked(start..start + len as usize) };
        // SAFETY: the generation of an id is odd, so the slot is live (3 of `Slot`) and its bytes are those of a `str` (1), unchanged (2).
        Some(unsafe { core::str::from_utf8_unchecked(bytes) })
    }
}
