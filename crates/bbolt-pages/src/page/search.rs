//! The place of a key among a page's elements.
//!
//! Owns the binary search of whole keys. Most keys differ in their first eight bytes, so each step compares those as one number, and which half it
//! goes on in is computed and not jumped to: of random keys every other jump would be foretold wrongly, at about the price of the rest of the
//! step. Every element that is looked at is checked as [`Elements::key`] does. Never looks at order.

use std::cmp::Ordering;
use std::hint::select_unpredictable;

use super::{Elements, Piece, compare_keys, element_at, u32_at};
use crate::error::Damage;

impl<const BRANCH: bool> Elements<'_, BRANCH> {
    /// The index of the first key that is not below `key`, and whether it is equal.
    ///
    /// # Errors
    /// As [`Elements::key`].
    #[inline]
    pub(super) fn place_of(&self, key: &[u8]) -> Result<(usize, bool), Damage> {
        let Some(&sought) = key.first_chunk::<8>() else {
            return self.lower_bound(|other| compare_keys(other, key));
        };
        let sought = u64::from_be_bytes(sought);
        let count = self.count();
        let behind_elements = element_at(count) as u64;
        // It was checked that they are there.
        let elements = self.pieces().get(1..=count).unwrap_or_default();
        let (mut low, mut high) = (0, elements.len());
        while low < high {
            let middle = (low + high) / 2;
            let below = match self.head(elements, middle, behind_elements) {
                Some(head) if head != sought => head < sought,
                _ => match self.compare_whole(middle, key)? {
                    Ordering::Equal => return Ok((middle, true)),
                    ordering => ordering == Ordering::Less,
                },
            };
            low = select_unpredictable(below, middle + 1, low);
            high = select_unpredictable(below, high, middle);
        }
        Ok((low, false))
    }

    /// The first eight bytes of a key as a number, of an element that is checked as [`Elements::key`] does, which tells of what is wrong.
    #[inline(always)]
    fn head(&self, elements: &[Piece], index: usize, behind_elements: u64) -> Option<u64> {
        let element = elements.get(index)?;
        let at = element_at(index) as u64;
        let (pos, key_bytes, value_bytes) = if BRANCH {
            (u32_at(element, 0), u32_at(element, 4), 0)
        } else {
            (u32_at(element, 4), u32_at(element, 8), u32_at(element, 12))
        };
        let start = at + u64::from(pos);
        let end = start + u64::from(key_bytes) + u64::from(value_bytes);
        if start < behind_elements || end > self.bytes.len() as u64 || key_bytes < 8 {
            return None;
        }
        let head = self.bytes.get(start as usize..)?.first_chunk()?;
        Some(u64::from_be_bytes(*head))
    }

    #[cold]
    #[inline(never)]
    fn compare_whole(&self, index: usize, key: &[u8]) -> Result<Ordering, Damage> {
        Ok(compare_keys(self.key(index)?, key))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Leaf;

    /// A leaf of keys without values.
    fn leaf_of(keys: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; 16 + 16 * keys.len()];
        for (index, key) in keys.iter().enumerate() {
            let at = 16 + 16 * index;
            let pos = (bytes.len() - at) as u32;
            bytes[at + 4..at + 8].copy_from_slice(&pos.to_le_bytes());
            bytes[at + 8..at + 12].copy_from_slice(&(key.len() as u32).to_le_bytes());
            bytes.extend_from_slice(key);
        }
        bytes
    }

    /// Keys shorter than eight bytes, longer ones that agree in those, and ones that are beginnings of others.
    #[test]
    fn the_place_is_that_of_a_search_through_all_keys() {
        let heads: [&[u8]; 6] =
            [b"", b"a", b"object/", b"object/0", b"object/00", b"\xff\xff\xff\xff\xff\xff\xff\xff"];
        let tails: [&[u8]; 5] = [b"", b"\0", b"1", b"12345678", b"123456789abcdef"];
        let mut all: Vec<Vec<u8>> =
            heads.iter().flat_map(|head| tails.iter().map(move |tail| [*head, *tail].concat())).collect();
        all.retain(|key| !key.is_empty());
        all.sort();
        all.dedup();
        for step in [1, 2, 3, 7, 50] {
            let some: Vec<_> = all.iter().step_by(step).cloned().collect();
            for keys in [&some[..], &some[..some.len() - 1], &[]] {
                let bytes = leaf_of(keys);
                let leaf = Leaf::of(&bytes, 5, keys.len() as u16).unwrap();
                for key in &all {
                    let expected = keys.binary_search(key);
                    let (index, found) = leaf.search(key).unwrap();
                    assert_eq!(if found { Ok(index) } else { Err(index) }, expected, "{key:?}");
                }
            }
        }
    }

    #[test]
    fn an_element_outside_its_page_is_an_error_wherever_it_is_looked_at() {
        let keys: Vec<Vec<u8>> = (0..9_u8).map(|key| vec![b'a' + key; 12]).collect();
        let sound = leaf_of(&keys);
        for index in 0..keys.len() {
            for (word, value) in [(4, u32::MAX), (4, 8), (8, 4096), (12, u32::MAX)] {
                let mut bytes = sound.clone();
                bytes[16 + 16 * index + word..][..4].copy_from_slice(&u32::to_le_bytes(value));
                let leaf = Leaf::of(&bytes, 5, keys.len() as u16).unwrap();
                assert!(leaf.key(index).is_err());
                assert!(leaf.search(&keys[index]).is_err(), "{index} {word} {value}");
            }
        }
    }
}
