//! One changed page in memory, in the format of the file, edited in place.
//!
//! Owns [`Image`]: bytes with header, elements and data packed without a gap, and the edits that keep them so: insert, remove, replace, split,
//! append. One routine serves leaves and branches. An image may outgrow its page; the tree splits it or gives it overflow pages when it
//! is written. Never allocates page ids and never looks at other pages. Limit: an edit moves what lies behind it, so it costs in proportion to the page.

mod fill;
mod memory;

use crate::map::{LINE_BYTES, fetch};
use crate::page::{
    BUCKET_FLAG, ELEMENT_BYTES, MAX_ELEMENTS, PAGE_HEADER_BYTES, Page, PageHeader, PageKind, element_at,
};
use crate::source::ROOM_LINES;

pub(crate) use fill::Splice;
pub(crate) use memory::Memory;

/// A page's bytes, packed: `bytes.len()` is what is in use.
#[derive(Debug)]
pub(crate) struct Image {
    bytes: Memory,
    /// The page of the file that was given to it when it was made; 0 for none.
    home: u64,
    /// What the header says, too. Kept here because a commit asks every image for it, and their bytes have left the caches by then.
    count: u16,
    is_leaf: bool,
    /// Bytes it had in use when it was written to `home` ahead of the commit, where all of it has lain since; 0 if it is here.
    written_bytes: usize,
    /// Whether elements were taken out, so that it may have become too small.
    pub(crate) shrunk: bool,
    /// Whether the first key may be another than the separator above says.
    pub(crate) head_changed: bool,
}

/// What a new element consists of beside its key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rest<'a> {
    Leaf { flags: u32, value: &'a [u8] },
    Branch { child: u64 },
}

impl Image {
    /// An empty page of `kind` in `memory`, which is page `home` of the file, or 0.
    #[inline(always)]
    pub(crate) fn empty((mut bytes, home): (Memory, u64), kind: PageKind) -> Self {
        bytes.clear();
        bytes.resize(PAGE_HEADER_BYTES);
        PageHeader { id: home, flags: kind.flags(), count: 0, overflow: 0 }.write(&mut bytes);
        Self {
            bytes,
            home,
            count: 0,
            is_leaf: kind == PageKind::Leaf,
            written_bytes: 0,
            shrunk: false,
            head_changed: true,
        }
    }

    /// The image as a page that is called `id`. Its header is not looked at: what it says is kept here, too.
    #[inline]
    pub(crate) fn page(&self, id: u64) -> Page<'_> {
        let kind = if self.is_leaf { PageKind::Leaf } else { PageKind::Branch };
        Page::of_parts(&self.bytes, id, kind, self.count)
    }

    /// Bytes in use, header included: what decides about splitting and merging.
    pub(crate) fn size(&self) -> usize {
        if self.written_bytes != 0 { self.written_bytes } else { self.bytes.len() }
    }

    /// The page of the file that holds all of it, if it was written ahead: nothing but what is asked of every image can be asked of it then.
    #[inline]
    pub(crate) fn written_home(&self) -> Option<u64> {
        (self.written_bytes != 0).then_some(self.home)
    }

    /// The page it may be written to ahead of the commit, if it is a leaf that is as the commit will have it: one that others may still
    /// merge with, or whose separator is to be changed, is not.
    pub(crate) fn may_be_written(&self, page_size: usize) -> Option<u64> {
        let settled = self.is_leaf && self.count > 0 && !self.shrunk && !self.head_changed;
        self.fits_home(page_size).filter(|_| settled)
    }

    /// The page that was given to it, if it lies elsewhere and fits.
    pub(crate) fn fits_home(&self, page_size: usize) -> Option<u64> {
        let elsewhere = self.home != 0 && self.bytes.is_heap() && self.written_bytes == 0;
        (elsewhere && self.bytes.len() <= page_size).then_some(self.home)
    }

    /// Moves into its home. Gives the memory back.
    pub(crate) fn move_home(&mut self, mut home: Memory) -> Memory {
        self.seal(self.home, 0);
        home.extend_from_slice(&self.bytes);
        home.clean();
        std::mem::replace(&mut self.bytes, home)
    }

    /// It was written to its home. Gives the memory back.
    pub(crate) fn set_written(&mut self) -> Memory {
        self.written_bytes = self.bytes.len();
        std::mem::replace(&mut self.bytes, Memory::heap(0))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the memory back for another image, and the page it was given.
    pub(crate) fn into_parts(self) -> (Memory, u64) {
        (self.bytes, self.home)
    }

    /// Bytes of private memory.
    pub(crate) fn private_bytes(&self) -> usize {
        self.bytes.private_bytes()
    }

    /// The page of the file that was given to it and is now asked back; 0 for none.
    pub(crate) fn take_home(&mut self) -> u64 {
        std::mem::take(&mut self.home)
    }

    /// Leaves the page it lies in, which is then as the file is to have it. False for an image on the heap.
    pub(crate) fn settle_at_home(&mut self) -> bool {
        if self.bytes.is_heap() {
            return false;
        }
        self.bytes.clean();
        self.bytes = Memory::heap(0);
        true
    }

    #[inline]
    pub(crate) fn count(&self) -> usize {
        usize::from(self.count)
    }

    pub(crate) fn is_leaf(&self) -> bool {
        self.is_leaf
    }

    /// An image cannot take more elements than the format can count.
    pub(crate) fn is_full(&self) -> bool {
        self.count() >= MAX_ELEMENTS
    }

    fn set_count(&mut self, count: usize) {
        debug_assert!(count <= MAX_ELEMENTS);
        self.count = count as u16;
        self.bytes[10..12].copy_from_slice(&(count as u16).to_le_bytes());
    }

    /// Writes the header as it goes to the file.
    pub(crate) fn seal(&mut self, id: u64, overflow: u32) {
        let flags = if self.is_leaf() { PageKind::Leaf } else { PageKind::Branch }.flags();
        PageHeader { id, flags, count: self.count() as u16, overflow }.write(&mut self.bytes);
    }

    /// Makes the page as it goes to the file, with zeros up to `length` bytes.
    pub(crate) fn seal_padded(&mut self, id: u64, overflow: u32, length: usize) {
        debug_assert!(self.bytes.is_heap(), "what lies at home is as it is to be");
        self.seal(id, overflow);
        self.bytes.pad(length);
    }

    /// As [`Image::seal_padded`], and what it made.
    pub(crate) fn sealed(&mut self, id: u64, overflow: u32, length: usize) -> &[u8] {
        self.seal_padded(id, overflow, length);
        self.padded(length)
    }

    /// What [`Image::seal_padded`] made.
    pub(crate) fn padded(&self, length: usize) -> &[u8] {
        self.bytes.padded(length)
    }

    /// Asks the processor for all that is in use.
    #[inline]
    pub(crate) fn prefetch(&self) {
        let lines = self.bytes.len().div_ceil(LINE_BYTES) as u64;
        fetch(self.bytes.as_ptr(), lines.min(ROOM_LINES));
    }

    /// Asks the processor for the elements.
    #[inline]
    pub(crate) fn prefetch_elements(&self) {
        fetch(
            self.bytes.as_ptr(),
            element_at(self.count()).div_ceil(LINE_BYTES).min(ROOM_LINES as usize) as u64,
        );
    }

    #[inline]
    fn word(&self, at: usize) -> u32 {
        let mut word = [0; 4];
        word.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_le_bytes(word)
    }

    #[inline]
    fn set_word(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Where the position of an element stands, within the element.
    fn pos_at(&self) -> usize {
        if self.is_leaf() { 4 } else { 0 }
    }

    /// Where the data of element `index` starts; for the count itself, where all data ends.
    fn data_at(&self, index: usize) -> usize {
        if index == self.count() {
            return self.bytes.len();
        }
        let at = element_at(index);
        at + self.word(at + self.pos_at()) as usize
    }

    /// Adds a constant to the positions of the elements in `range`.
    #[inline]
    fn shift_positions(&mut self, range: std::ops::Range<usize>, by: u32) {
        let at = self.pos_at();
        let bytes = &mut self.bytes[element_at(range.start)..element_at(range.end)];
        for element in bytes.chunks_exact_mut(ELEMENT_BYTES) {
            let mut word = [0; 4];
            word.copy_from_slice(&element[at..at + 4]);
            let shifted = u32::from_le_bytes(word).wrapping_add(by);
            element[at..at + 4].copy_from_slice(&shifted.to_le_bytes());
        }
    }

    /// Puts a new element before element `index`.
    pub(crate) fn insert(&mut self, index: usize, key: &[u8], rest: Rest<'_>) {
        let count = self.count();
        let value = match rest {
            Rest::Leaf { value, .. } => value,
            Rest::Branch { .. } => &[],
        };
        let data = key.len() + value.len();
        let old_end = self.bytes.len();
        let elements_end = element_at(count);
        let place = self.data_at(index);
        let element = element_at(index);
        self.head_changed |= index == 0;
        // The element array grows by one element, which pushes all data; what lies behind the new data is pushed by that as well.
        self.bytes.resize(old_end + ELEMENT_BYTES + data);
        self.bytes.copy_within(place..old_end, place + ELEMENT_BYTES + data);
        self.bytes.copy_within(elements_end..place, elements_end + ELEMENT_BYTES);
        self.bytes.copy_within(element..elements_end, element + ELEMENT_BYTES);
        self.set_count(count + 1);
        self.shift_positions(0..index, ELEMENT_BYTES as u32);
        self.shift_positions(index + 1..count + 1, data as u32);
        let start = place + ELEMENT_BYTES;
        self.bytes[start..start + key.len()].copy_from_slice(key);
        self.bytes[start + key.len()..start + data].copy_from_slice(value);
        let pos = (start - element) as u32;
        match rest {
            Rest::Leaf { flags, value } => {
                let words = [flags, pos, key.len() as u32, value.len() as u32];
                for (word, value) in words.into_iter().enumerate() {
                    self.set_word(element + 4 * word, value);
                }
            }
            Rest::Branch { child } => {
                self.set_word(element, pos);
                self.set_word(element + 4, key.len() as u32);
                self.bytes[element + 8..element + 16].copy_from_slice(&child.to_le_bytes());
            }
        }
    }

    /// Makes the change to a leaf that is no more being copied.
    pub(crate) fn change(&mut self, splice: &Splice<'_>) {
        match *splice {
            Splice { index, removed: true, added: Some((_, flags, value)) } => {
                self.set_value(index, flags, value);
            }
            Splice { index, removed: false, added: Some((key, flags, value)) } => {
                self.insert(index, key, Rest::Leaf { flags, value });
            }
            Splice { index, removed: true, added: None } => self.remove(index),
            Splice { removed: false, added: None, .. } => {}
        }
    }

    /// Takes element `index` out.
    pub(crate) fn remove(&mut self, index: usize) {
        let count = self.count();
        let (start, stop) = (self.data_at(index), self.data_at(index + 1));
        let old_end = self.bytes.len();
        let elements_end = element_at(count);
        let element = element_at(index);
        let data = (stop - start) as u32;
        self.head_changed |= index == 0;
        self.shift_positions(0..index, (ELEMENT_BYTES as u32).wrapping_neg());
        self.shift_positions(index + 1..count, data.wrapping_neg());
        self.bytes.copy_within(element + ELEMENT_BYTES..elements_end, element);
        self.bytes.copy_within(elements_end..start, elements_end - ELEMENT_BYTES);
        self.bytes.copy_within(stop..old_end, start - ELEMENT_BYTES);
        self.bytes.truncate(old_end - ELEMENT_BYTES - (stop - start));
        self.set_count(count - 1);
    }

    /// Makes room so that the bytes `[start, stop)` become `length` bytes; the data of later elements moves.
    fn resize_data(&mut self, index: usize, start: usize, stop: usize, length: usize) {
        let old_end = self.bytes.len();
        let old = stop - start;
        if length > old {
            self.bytes.resize(old_end + length - old);
            self.bytes.copy_within(stop..old_end, start + length);
        } else {
            self.bytes.copy_within(stop..old_end, start + length);
            self.bytes.truncate(old_end - (old - length));
        }
        if length != old {
            let count = self.count();
            self.shift_positions(index + 1..count, (length as u32).wrapping_sub(old as u32));
        }
    }

    /// Replaces the value of leaf element `index`.
    pub(crate) fn set_value(&mut self, index: usize, flags: u32, value: &[u8]) {
        let element = element_at(index);
        let start = self.data_at(index) + self.word(element + 8) as usize;
        let stop = start + self.word(element + 12) as usize;
        self.resize_data(index, start, stop, value.len());
        self.bytes[start..start + value.len()].copy_from_slice(value);
        self.set_word(element, flags);
        self.set_word(element + 12, value.len() as u32);
    }

    /// Replaces the separator of branch element `index`.
    pub(crate) fn set_key(&mut self, index: usize, key: &[u8]) {
        self.head_changed |= index == 0;
        let element = element_at(index);
        let start = self.data_at(index);
        let stop = start + self.word(element + 4) as usize;
        self.resize_data(index, start, stop, key.len());
        self.bytes[start..start + key.len()].copy_from_slice(key);
        self.set_word(element + 4, key.len() as u32);
    }

    /// Replaces the child of branch element `index`.
    pub(crate) fn set_child(&mut self, index: usize, child: u64) {
        let at = element_at(index) + 8;
        self.bytes[at..at + 8].copy_from_slice(&child.to_le_bytes());
    }

    /// The first element at `index` or behind it whose child is one that `wanted` takes by the highest byte of its id.
    #[inline]
    pub(crate) fn next_child(&self, index: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
        let elements = self.bytes.get(element_at(index)..element_at(self.count()))?;
        elements.chunks_exact(ELEMENT_BYTES).position(|element| wanted(element[15])).map(|at| index + at)
    }

    /// The child of branch element `index`.
    #[inline]
    pub(crate) fn child(&self, index: usize) -> u64 {
        let at = element_at(index) + 8;
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes[at..at + 8]);
        u64::from_le_bytes(word)
    }

    /// The key or separator of element `index`.
    #[inline]
    pub(crate) fn key(&self, index: usize) -> &[u8] {
        let element = element_at(index);
        let length = self.word(element + if self.is_leaf() { 8 } else { 4 }) as usize;
        let start = self.data_at(index);
        &self.bytes[start..start + length]
    }

    /// Whether any element is a bucket.
    pub(crate) fn has_bucket(&self) -> bool {
        self.is_leaf() && (0..self.count()).any(|index| self.word(element_at(index)) & BUCKET_FLAG != 0)
    }

    /// Where to split so that the left part fills at most `threshold` bytes: bbolt's rule. The left part has 2 elements or more, the right `least_right` or
    /// more. `None` if the page has no more than 4 elements, or fits.
    pub(crate) fn split_point(
        &self,
        page_size: usize,
        threshold: usize,
        least_right: usize,
    ) -> Option<usize> {
        let count = self.count();
        if self.size() <= page_size || count <= 4 {
            return None;
        }
        let first = self.data_at(0);
        let mut index = 2;
        while index < count - least_right {
            // Size of a page with the elements up to and including this one.
            let size = element_at(index + 1) + (self.data_at(index + 1) - first);
            if size > threshold {
                break;
            }
            index += 1;
        }
        Some(index)
    }

    /// Moves the elements from `index` on into an empty image of the same kind.
    pub(crate) fn split_off(&mut self, index: usize, right: &mut Self) {
        let count = self.count();
        let moved = count - index;
        let elements_end = element_at(count);
        let place = self.data_at(index);
        debug_assert_eq!(right.size(), PAGE_HEADER_BYTES);
        right.bytes.extend_from_slice(&self.bytes[element_at(index)..elements_end]);
        right.bytes.extend_from_slice(&self.bytes[place..]);
        right.set_count(moved);
        right.shrunk = self.shrunk;
        // Right: elements moved to the front, data from `place` to right behind them. An element's distance to its data shrinks by the
        // data left behind and grows by nothing else.
        let left_data = place - elements_end;
        right.shift_positions(0..moved, (left_data as u32).wrapping_neg());
        // Left: the elements that went make the array shorter, the data stays in order.
        self.bytes.copy_within(elements_end..place, element_at(index));
        self.bytes.truncate(element_at(index) + left_data);
        self.set_count(index);
        self.shift_positions(0..index, ((ELEMENT_BYTES * moved) as u32).wrapping_neg());
    }

    /// The greatest number of first elements that fit into a page of `limit` bytes, and the bytes of that page.
    pub(crate) fn fitting(&self, limit: usize) -> (usize, usize) {
        let first = self.data_at(0);
        let sizes = (1..=self.count())
            .map(|count| (count, element_at(count) + (self.data_at(count) - first)))
            .take_while(|&(_, size)| size <= limit);
        sizes.last().unwrap_or((0, PAGE_HEADER_BYTES))
    }

    /// Moves the elements from `index` on to the front of `right`, whose keys are above all of this one's. Gives the memory that is left over.
    pub(crate) fn pour_right(&mut self, index: usize, right: &mut Self, memory: Memory) -> Memory {
        let mut moved = self.cut(index, memory);
        moved.append(right);
        right.take_elements(moved)
    }

    /// Moves the elements before `index` to the end of `left`, whose keys are below all of this one's. Gives the memory that is left over.
    pub(crate) fn pour_left(&mut self, index: usize, left: &mut Self, memory: Memory) -> Memory {
        let kept = self.cut(index, memory);
        left.append(self);
        self.take_elements(kept)
    }

    /// Cuts the elements from `index` on off, into an image in `memory`.
    fn cut(&mut self, index: usize, memory: Memory) -> Self {
        let kind = if self.is_leaf { PageKind::Leaf } else { PageKind::Branch };
        let mut rest = Self::empty((memory, 0), kind);
        self.split_off(index, &mut rest);
        rest
    }

    /// Becomes the page of `other`'s elements, where it lies; the memory that this leaves over.
    fn take_elements(&mut self, other: Self) -> Memory {
        self.count = other.count;
        let mut new = other.bytes;
        new[..8].copy_from_slice(&self.bytes[..8]);
        if self.bytes.is_heap() && new.is_heap() {
            return std::mem::replace(&mut self.bytes, new);
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(&new);
        new
    }

    /// Appends all elements of `right`, whose keys are above all of this one's.
    pub(crate) fn append(&mut self, right: &Self) {
        let (count, added) = (self.count(), right.count());
        self.head_changed |= count == 0;
        let elements_end = element_at(count);
        let old_end = self.bytes.len();
        let left_data = old_end - elements_end;
        let right_elements = &right.bytes[PAGE_HEADER_BYTES..element_at(added)];
        let right_data = &right.bytes[element_at(added)..];
        self.bytes.resize(old_end + right_elements.len() + right_data.len());
        let shifted = elements_end + right_elements.len();
        self.bytes.copy_within(elements_end..old_end, shifted);
        self.bytes[elements_end..shifted].copy_from_slice(right_elements);
        self.bytes[shifted + left_data..].copy_from_slice(right_data);
        self.set_count(count + added);
        self.shift_positions(0..count, right_elements.len() as u32);
        self.shift_positions(count..count + added, left_data as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn leaf_of(pairs: &[(Vec<u8>, Vec<u8>)]) -> Image {
        let mut image = Image::empty((Memory::heap(0), 0), PageKind::Leaf);
        for (index, (key, value)) in pairs.iter().enumerate() {
            image.insert(index, key, Rest::Leaf { flags: 0, value });
        }
        image
    }

    /// Every element as the page codec reads it, and the layout a strict check asks for.
    pub(super) fn pairs_of(image: &Image) -> Vec<(Vec<u8>, Vec<u8>)> {
        let leaf = image.page(9).leaf().unwrap();
        let mut end = element_at(leaf.count());
        let pairs = (0..leaf.count()).map(|index| {
            let (_, (start, _, stop)) = leaf.places(index).unwrap();
            assert_eq!(start, end, "packed");
            end = stop;
            let element = leaf.element(index).unwrap();
            (element.key.to_vec(), element.value.to_vec())
        });
        let pairs = pairs.collect();
        assert_eq!(end, image.size());
        pairs
    }

    #[test]
    fn edits_agree_with_a_vector_of_pairs() {
        let mut seed = 7_u64;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % below
        };
        let mut image = leaf_of(&[]);
        let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let rounds = if cfg!(miri) { 40 } else { 3000 };
        for round in 0..rounds {
            let key = vec![round as u8; 1 + random(20)];
            let value = vec![!(round as u8); random(50)];
            let index = random(pairs.len() + 1);
            match random(8) {
                0..=3 if pairs.len() < 60 => {
                    image.insert(index, &key, Rest::Leaf { flags: 0, value: &value });
                    pairs.insert(index, (key, value));
                }
                4 if index < pairs.len() => {
                    image.remove(index);
                    pairs.remove(index);
                }
                5 if index < pairs.len() => {
                    image.set_value(index, 0, &value);
                    pairs[index].1 = value;
                }
                6 => {
                    let mut right = Image::empty((Memory::heap(0), 0), PageKind::Leaf);
                    image.split_off(index, &mut right);
                    assert_eq!(pairs_of(&image), pairs[..index]);
                    assert_eq!(pairs_of(&right), pairs[index..]);
                    image.append(&right);
                }
                _ => {}
            }
            assert_eq!(pairs_of(&image), pairs);
        }
        let page = image.page(9);
        let mut copy = Image::empty((Memory::heap(0), 0), page.kind());
        copy.fill_from(&page).unwrap();
        assert_eq!(pairs_of(&copy), pairs);
    }

    #[test]
    fn elements_poured_into_a_neighbour_stay_packed_and_in_order() {
        let all: Vec<_> =
            (0..20_u8).map(|key| (vec![key; 1 + key as usize % 3], vec![key; key as usize])).collect();
        for (cut, at) in [(12, 5), (12, 11), (19, 1), (1, 0)] {
            let (mut left, mut right) = (leaf_of(&all[..cut]), leaf_of(&all[cut..]));
            left.pour_right(at, &mut right, Memory::heap(0));
            assert_eq!((pairs_of(&left), pairs_of(&right)), (all[..at].to_vec(), all[at..].to_vec()));
            let (mut left, mut right) = (leaf_of(&all[..at]), leaf_of(&all[at..]));
            right.pour_left(cut - at, &mut left, Memory::heap(0));
            assert_eq!((pairs_of(&left), pairs_of(&right)), (all[..cut].to_vec(), all[cut..].to_vec()));
        }
        let image = leaf_of(&all);
        for limit in (0..=image.size() + 1).step_by(if cfg!(miri) { 97 } else { 1 }) {
            let (count, bytes) = image.fitting(limit);
            assert_eq!(bytes, leaf_of(&all[..count]).size());
            assert!(count == 0 || bytes <= limit);
            assert!(count == all.len() || leaf_of(&all[..=count]).size() > limit);
        }
    }

    #[test]
    fn branches_are_edited_by_the_same_routines() {
        let mut image = Image::empty((Memory::heap(0), 0), PageKind::Branch);
        for (index, key) in [b"a".as_slice(), b"ccc", b"ee"].into_iter().enumerate() {
            image.insert(index, key, Rest::Branch { child: index as u64 });
        }
        image.insert(1, b"bb", Rest::Branch { child: 7 });
        image.set_key(0, b"aaaa");
        image.set_child(3, 11);
        image.remove(2);
        let page = image.page(9);
        let branch = page.branch().unwrap();
        let all: Vec<_> = (0..branch.count())
            .map(|index| (branch.key(index).unwrap(), branch.child(index).unwrap()))
            .collect();
        assert_eq!(all, [(b"aaaa".as_slice(), 0), (b"bb", 7), (b"ee", 11)]);
    }

    #[test]
    fn the_split_point_leaves_two_and_three() {
        let pairs: Vec<_> = (0..5_u8).map(|key| (vec![key], vec![0; 1000])).collect();
        let image = leaf_of(&pairs);
        assert_eq!(image.split_point(1024, 100, 3), Some(2));
        assert_eq!(image.split_point(1024, 100_000, 3), Some(2));
        assert_eq!(image.split_point(100_000, 100, 3), None);
        assert_eq!(leaf_of(&pairs[..4]).split_point(1024, 100, 3), None);
        let small: Vec<_> = (0..40_u8).map(|key| (vec![key], vec![0; 8])).collect();
        let image = leaf_of(&small);
        // 16 + 25 × index bytes: the greatest index with at most 512 is 19.
        assert_eq!(image.split_point(1000, 512, 3), Some(19));
    }
}
