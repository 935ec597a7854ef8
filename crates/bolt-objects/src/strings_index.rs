//! Owns: the index of a string pool: from the tag of a text to the places where such a text may lie. Two buckets for each tag, twelve entries
//! a bucket, one cache line. Made once for the most strings there can be, half filled then at most, and never made again, so that no
//! operation ever pays for growing. Knows nothing of text.

use alloc::vec::Vec;
use core::hash::Hasher as _;

use rustc_hash::FxHasher;

use crate::strings_text::equal_bytes;

/// The tag of a text, never 0.
#[inline(always)]
pub(crate) fn tag_of(text: &[u8]) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(text);
    // The hasher ends with a multiplication, whose best bits are the highest, and turns it by 26, so that they are the lowest: turned back.
    (hasher.finish().rotate_right(26) >> 32) as u32 | 1
}

/// The two buckets that a tag may lie in.
#[inline(always)]
pub(crate) fn ways(tag: u32, buckets: usize) -> [usize; 2] {
    let scale = |mixed: u32| ((u64::from(mixed) * buckets as u64) >> 32) as usize;
    [scale(tag), scale(tag.wrapping_mul(0x9e37_79b1))]
}

/// Entries of a bucket.
const WAYS: usize = 12;

/// One cache line: of each entry a byte of the tag, 0 for none, and the place.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    /// The last four are always 0.
    bytes: [u8; 16],
    places: [u32; WAYS],
}

const _: () = assert!(size_of::<Bucket>() == 64);

/// The byte of a tag that a bucket remembers, never 0: bits that are good and do not choose the bucket.
#[inline(always)]
fn byte_of(tag: u32) -> u8 {
    ((tag >> 6) as u8).max(1)
}

/// The index of a pool with one owner.
pub(crate) struct Index {
    buckets: Vec<Bucket>,
}

impl Index {
    pub(crate) const WAYS: usize = WAYS;

    /// Half of the entries are filled at most.
    const fn buckets_for(strings_max: u32) -> usize {
        (strings_max as usize).saturating_mul(2).div_ceil(WAYS) + 1
    }

    /// Bytes of an index for so many strings.
    pub(crate) const fn bytes_for(strings_max: u32) -> usize {
        Self::buckets_for(strings_max).saturating_mul(size_of::<Bucket>())
    }

    pub(crate) fn new(strings_max: u32) -> Self {
        let empty = Bucket { bytes: [0; 16], places: [0; WAYS] };
        Self { buckets: alloc::vec![empty; Self::buckets_for(strings_max)] }
    }

    #[inline(always)]
    pub(crate) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// The places in the bucket whose tag may be this one.
    #[inline(always)]
    pub(crate) fn places(&self, bucket: usize, tag: u32) -> Places<'_> {
        let Bucket { bytes, places } = &self.buckets[bucket];
        Places { places, left: equal_bytes(bytes, byte_of(tag)) }
    }

    /// The place of an entry.
    pub(crate) fn entry(&self, bucket: usize, way: usize) -> Option<u32> {
        let bucket = &self.buckets[bucket];
        (bucket.bytes[way] != 0).then_some(bucket.places[way])
    }

    pub(crate) fn set_entry(&mut self, bucket: usize, way: usize, entry: Option<(u32, u32)>) {
        let bucket = &mut self.buckets[bucket];
        bucket.bytes[way] = entry.map_or(0, |(tag, _)| byte_of(tag));
        bucket.places[way] = entry.map_or(0, |(_, place)| place);
    }
}

/// Places of one bucket that are still to be looked at.
pub(crate) struct Places<'a> {
    places: &'a [u32; WAYS],
    left: u32,
}

impl Iterator for Places<'_> {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        let place = self.places.get(self.left.trailing_zeros() as usize).copied();
        self.left &= self.left.wrapping_sub(1);
        place
    }
}
