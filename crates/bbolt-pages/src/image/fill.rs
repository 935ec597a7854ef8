//! Filling an image from a page of the file, whole or with its first change made on the way.
//!
//! Owns the two ways to copy: in one piece where a page's data lies packed, as in all sound pages, element by element elsewhere; and [`Splice`], a
//! leaf's first change, made while it is copied: elements and data go to where they will lie at once, and what positions say is
//! checked and corrected in the same pass. Never decides what is changed. Limits: only leaves are spliced, and only packed ones below 256 MiB.

use super::memory::copy;
use super::{Image, Rest};
use crate::error::Damage;
use crate::page::{ELEMENT_BYTES, Leaf, PAGE_HEADER_BYTES, Page, PageKind, element_at};

/// Positions and sizes below this, those of what is put in included, have sums that 32 bits hold.
const SPLICED_BYTES: u32 = 1 << 28;

/// One element of a leaf taken out, put in, or both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Splice<'a> {
    /// The element that goes, or before which the new one comes.
    pub(crate) index: usize,
    pub(crate) removed: bool,
    /// Key, flags and value.
    pub(crate) added: Option<(&'a [u8], u32, &'a [u8])>,
}

impl Image {
    /// Makes this empty image a copy of `page`, every element checked. A page that is packed, as all sound ones are, is copied in one piece.
    pub(crate) fn fill_from(&mut self, page: &Page<'_>) -> Result<(), Damage> {
        match page.kind() {
            PageKind::Branch => {
                let branch = page.branch()?;
                if let Some(end) = branch.packed_end() {
                    self.copy(branch.bytes(), end, branch.count());
                    return Ok(());
                }
                (0..branch.count()).try_for_each(|index| {
                    self.insert(index, branch.key(index)?, Rest::Branch { child: branch.child(index)? });
                    Ok(())
                })
            }
            _ => self.fill_from_leaf(&page.leaf()?),
        }
    }

    /// As [`Image::fill_from`], of a leaf, or of an inline bucket's page.
    pub(crate) fn fill_from_leaf(&mut self, leaf: &Leaf<'_>) -> Result<(), Damage> {
        if let Some(end) = leaf.packed_end() {
            self.copy(leaf.bytes(), end, leaf.count());
            return Ok(());
        }
        (0..leaf.count()).try_for_each(|index| {
            let element = leaf.element(index)?;
            self.insert(index, element.key, Rest::Leaf { flags: element.flags, value: element.value });
            Ok(())
        })
    }

    fn copy(&mut self, from: &[u8], end: usize, count: usize) {
        self.bytes.extend_from_slice(&from[PAGE_HEADER_BYTES..end]);
        self.filled(count);
    }

    /// Ends a copy of `count` elements.
    #[inline]
    fn filled(&mut self, count: usize) {
        // Now, while the page is at hand; on the heap it is done when the page is written, and mostly there is nothing to do.
        if !self.bytes.is_heap() {
            self.bytes.clean();
        }
        self.set_count(count);
    }

    /// Makes this empty leaf a copy of `leaf` with `splice` made. False, and it stays empty, if that cannot be done in one pass, as with a leaf that
    /// is not packed; then it is to be filled first and changed afterwards.
    pub(crate) fn fill_spliced(&mut self, leaf: &Leaf<'_>, splice: &Splice<'_>) -> bool {
        debug_assert!(self.head_changed, "what is new to its parent, as every empty image");
        let whole = self.splice(leaf, splice);
        match whole {
            Some(count) => self.filled(count),
            None => self.bytes.truncate(PAGE_HEADER_BYTES),
        }
        whole.is_some()
    }

    /// The number of elements; `None` if what was written is not to be believed.
    #[inline]
    fn splice(&mut self, leaf: &Leaf<'_>, splice: &Splice<'_>) -> Option<usize> {
        let Splice { index, removed, added } = *splice;
        let (count, page) = (leaf.count(), leaf.bytes());
        let behind = index + usize::from(removed);
        let elements = leaf.pieces().get(1..count + 1)?;
        let (first, middle, last) =
            (elements.get(..index)?, elements.get(index..behind)?, elements.get(behind..)?);
        // Where data begins and ends by the elements' own words. If all agree with each other, as is found out below, these are true.
        let start_of = |index: usize| element_at(index).wrapping_add(elements[index].pos() as usize);
        let end = match elements.last() {
            Some(element) => start_of(count - 1).checked_add(element.data_bytes() as usize)?,
            None => element_at(0),
        };
        let place = if index < count { start_of(index) } else { end };
        let stop = if behind < count { start_of(behind) } else { end };
        let (before, after) = (page.get(element_at(count)..place)?, page.get(stop..end)?);
        let data = added.map_or(0, |(key, _, value)| key.len() + value.len());
        if data >= SPLICED_BYTES as usize {
            return None;
        }

        let new_count = first.len() + usize::from(added.is_some()) + last.len();
        let new_place = element_at(new_count) + before.len();
        self.bytes.resize(new_place + data + after.len());
        let (new_elements, new_data) =
            self.bytes[PAGE_HEADER_BYTES..].split_at_mut(element_at(new_count) - PAGE_HEADER_BYTES);
        let new_elements = new_elements.as_chunks_mut::<ELEMENT_BYTES>().0;
        let (new_first, rest) = new_elements.split_at_mut(first.len());
        let (new_middle, new_last) = rest.split_at_mut(rest.len() - last.len());

        let mut chain = Chain { next: (ELEMENT_BYTES * count) as u32, wrong: 0, all: 0 };
        // The array of elements changes its length, which moves all data; the data behind the change moves by its length, too.
        let array = (ELEMENT_BYTES as u32).wrapping_mul((new_count as u32).wrapping_sub(count as u32));
        chain.copy(new_first, first, array);
        middle.iter().for_each(|element| chain.link(element));
        chain.copy(new_last, last, (data as u32).wrapping_sub((stop.wrapping_sub(place)) as u32));
        if chain.wrong != 0 || chain.all >= SPLICED_BYTES {
            return None;
        }
        let (new_before, rest) = new_data.split_at_mut(before.len());
        copy(new_before, before);
        let (new, new_after) = rest.split_at_mut(data);
        copy(new_after, after);
        if let (Some((key, flags, value)), [element]) = (added, new_middle) {
            new[..key.len()].copy_from_slice(key);
            new[key.len()..].copy_from_slice(value);
            let pos = (new_place - element_at(index)) as u32;
            let words = [flags, pos, key.len() as u32, value.len() as u32];
            for (to, word) in element.as_chunks_mut::<4>().0.iter_mut().zip(words) {
                *to = word.to_le_bytes();
            }
        }
        Some(new_count)
    }
}

/// A leaf's element as two words of 64 bits, and what they say.
trait Element {
    /// Flags and position; key and value bytes.
    fn halves(&self) -> (u64, u64);

    #[inline(always)]
    fn pos(&self) -> u32 {
        (self.halves().0 >> 32) as u32
    }

    #[inline(always)]
    fn data_bytes(&self) -> u32 {
        let sizes = self.halves().1;
        (sizes as u32).wrapping_add((sizes >> 32) as u32)
    }
}

impl Element for [u8; ELEMENT_BYTES] {
    #[inline(always)]
    fn halves(&self) -> (u64, u64) {
        let both = u128::from_le_bytes(*self);
        (both as u64, (both >> 64) as u64)
    }
}

/// Whether the data of each element begins where that of the one before ended.
struct Chain {
    /// The position that the next element must have.
    next: u32,
    /// Bits in which one had another.
    wrong: u32,
    /// Bits of all positions and sizes: that sums did not leave 32 bits is found from them, too.
    all: u32,
}

impl Chain {
    #[inline(always)]
    fn link(&mut self, element: &[u8; ELEMENT_BYTES]) {
        let (pos, (_, sizes)) = (element.pos(), element.halves());
        self.wrong |= pos ^ self.next;
        self.all |= pos | sizes as u32 | (sizes >> 32) as u32;
        self.next = pos.wrapping_add(element.data_bytes()).wrapping_sub(ELEMENT_BYTES as u32);
    }

    /// Copies elements, `by` added to their positions.
    #[inline(always)]
    fn copy(&mut self, to: &mut [[u8; ELEMENT_BYTES]], from: &[[u8; ELEMENT_BYTES]], by: u32) {
        for (to, from) in to.iter_mut().zip(from) {
            self.link(from);
            let (low, high) = from.halves();
            let (to_low, to_high) = to.split_at_mut(8);
            to_low.copy_from_slice(&low.wrapping_add(u64::from(by) << 32).to_le_bytes());
            to_high.copy_from_slice(&high.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Memory;
    use crate::image::tests::{leaf_of, pairs_of};

    fn empty() -> Image {
        Image::empty((Memory::heap(40), 0), PageKind::Leaf)
    }

    /// The image after the change as it is made to one that was copied before.
    fn changed(page: &Page<'_>, splice: &Splice<'_>) -> Image {
        let mut image = empty();
        image.fill_from(page).unwrap();
        image.change(splice);
        image
    }

    /// Every change of every element: put in before it, taken out, replaced by values shorter, as long and longer.
    fn splices<'a>(count: usize, values: &'a [Vec<u8>]) -> impl Iterator<Item = Splice<'a>> {
        let added = |value: &'a Vec<u8>| Some((b"a key".as_slice(), 0, value.as_slice()));
        (0..=count).flat_map(move |index| {
            let put = values.iter().map(move |value| Splice { index, removed: false, added: added(value) });
            let taken = [Splice { index, removed: true, added: None }];
            put.chain(taken).filter(move |splice| index < count || !splice.removed)
        })
    }

    #[test]
    fn a_change_made_while_copying_is_the_change_made_afterwards() {
        // Miri looks at each byte.
        let lengths = if cfg!(miri) { [0, 1, 20, 40, 300] } else { [0, 1, 100, 1500, 70_000] };
        let values: Vec<_> = lengths.map(|length| vec![0xAB; length]).to_vec();
        for (count, value_bytes) in [(0, 0), (1, 0), (1, 3000), (2, 1023), (3, 5), (26, 100), (80, 31)] {
            let (count, value_bytes) =
                if cfg!(miri) { (count.min(2), value_bytes.min(40)) } else { (count, value_bytes) };
            let pairs: Vec<_> =
                (0..count).map(|key| (vec![key as u8; 5 + key % 3], vec![key as u8; value_bytes])).collect();
            let image = leaf_of(&pairs);
            let page = image.page(9);
            let leaf = page.leaf().unwrap();
            for splice in splices(count, &values) {
                let mut copy = empty();
                assert!(copy.fill_spliced(&leaf, &splice), "{count} {splice:?}");
                let expected = changed(&page, &splice);
                assert_eq!(copy.bytes[..8], expected.bytes[..8]);
                assert_eq!(pairs_of(&copy), pairs_of(&expected), "{count} {splice:?}");
                assert_eq!(copy.bytes[..], expected.bytes[..]);
            }
            // A value in the place of another, in one pass and afterwards.
            for (index, value) in (0..count).flat_map(|index| values.iter().map(move |value| (index, value)))
            {
                let splice = Splice { index, removed: true, added: Some((&pairs[index].0, 1, value)) };
                let mut copy = empty();
                assert!(copy.fill_spliced(&leaf, &splice));
                assert_eq!(copy.bytes[..], changed(&page, &splice).bytes[..]);
            }
        }
    }

    /// A page whose elements lie otherwise than packed is refused, and the image stays empty for the other way; sound bytes behind the data are no fault.
    #[test]
    fn what_is_not_packed_is_left_to_the_other_way() {
        let pairs: Vec<_> = (0..6_u8).map(|key| (vec![key; 4], vec![key; 10])).collect();
        let image = leaf_of(&pairs);
        let whole = [image.bytes(), &[0; 50]].concat();
        let value = vec![7; 20];
        let values = [value];
        for splice in splices(6, &values).step_by(if cfg!(miri) { 6 } else { 1 }) {
            let page = Leaf::of(&whole, 9, 6).unwrap();
            assert!(empty().fill_spliced(&page, &splice));
            for at in (16..16 + 6 * 16).step_by(if cfg!(miri) { 20 } else { 4 }).filter(|at| at % 16 != 0) {
                for value in [0, 1, 13, 15, 40, 1 << 28, u32::MAX - 14, u32::MAX]
                    .into_iter()
                    .step_by(if cfg!(miri) { 4 } else { 1 })
                {
                    let mut bytes = whole.clone();
                    if bytes[at..at + 4] == u32::to_le_bytes(value) {
                        continue;
                    }
                    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
                    let leaf = Leaf::of(&bytes, 9, 6).unwrap();
                    let mut copy = empty();
                    let spliced = copy.fill_spliced(&leaf, &splice);
                    assert_eq!(spliced, leaf.packed_end().is_some(), "{at} {value} {splice:?}");
                    if spliced {
                        let page = Page::of_parts(&bytes, 9, PageKind::Leaf, 6);
                        assert_eq!(copy.bytes[..], changed(&page, &splice).bytes[..]);
                        continue;
                    }
                    assert_eq!((copy.size(), copy.count()), (PAGE_HEADER_BYTES, 0));
                    if (0..6).all(|index| leaf.element(index).is_ok()) {
                        copy.fill_from_leaf(&leaf).unwrap();
                        assert_eq!(pairs_of(&copy).len(), 6);
                    }
                }
            }
        }
    }

    #[test]
    fn a_leaf_without_room_for_its_elements_is_refused() {
        let image = leaf_of(&[(vec![1], vec![2; 30]), (vec![3], vec![])]);
        let splice = Splice { index: 1, removed: true, added: None };
        for length in 48..image.size() {
            let leaf = Leaf::of(&image.bytes()[..length], 9, 2).unwrap();
            assert!(!empty().fill_spliced(&leaf, &splice), "{length}");
        }
        assert!(!empty().fill_spliced(&Leaf::empty(), &splice), "an element that is not there");
    }
}
