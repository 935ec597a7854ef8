//! Room beside an overfull page: its neighbours are filled before it is split, so that a file of keys in random order is four fifths full.
//!
//! Owns the choice of the neighbour, the point at which the elements of both are parted, and the separator between them. Never touches a page
//! of another parent. Limit: two pages become two; never two three.

use smallvec::SmallVec;

use super::{Work, is_image, slot_of};
use crate::error::Result;
use crate::page::{PAGE_HEADER_BYTES, Page, PageKind};
use crate::source::Source;

/// A leaf less full than this takes elements of an overfull neighbour. Measured by loads of a million random keys: 60 leaves the file at 179 MiB
/// instead of 194, 85 at 165, 90 at 163; and the nearer to full, the less a shift gains.
const LEAF_ROOM_PERCENT: usize = 85;
/// The same of a branch. A transaction of many random keys changes nearly all branches above the leaves, so the fewer there are, the less it
/// writes; they overflow so rarely that the shifts cost nothing.
const BRANCH_ROOM_PERCENT: usize = 95;

/// Bytes in use of a page whose data is packed; a damaged one is none, and who reads it is told.
fn packed_bytes(page: &Page<'_>, kind: PageKind) -> Option<usize> {
    match kind {
        PageKind::Leaf => page.leaf().ok()?.packed_end(),
        _ => page.branch().ok()?.packed_end(),
    }
}

impl Work {
    /// Moves elements of the overfull page `id`, which is child `index` of `parent` and whose element `newest` came last, to the emptier of its
    /// neighbours, until both are equally full. False, and nothing is changed, if neither has room. Keys that arrive in order find their page at
    /// the end and split it, as `fill_percent` says.
    pub(super) fn shift(
        &mut self,
        base: &Source<'_>,
        (parent, index): (u64, usize),
        id: u64,
        newest: usize,
    ) -> Result<bool> {
        let full = self.image(id)?;
        let (kind, room_percent) = match full.is_leaf() {
            true => (PageKind::Leaf, LEAF_ROOM_PERCENT),
            false => (PageKind::Branch, BRANCH_ROOM_PERCENT),
        };
        let children = self.image(parent)?.count();
        let at_end = index + 1 == children && newest + 1 == full.count();
        if at_end || full.is_full() || full.size() > 2 * self.page_size {
            return Ok(false);
        }
        let neighbours = [index.checked_sub(1), Some(index + 1).filter(|&right| right < children)];
        for at in neighbours.into_iter().flatten() {
            base.prefetch_elements(self.image(parent)?.child(at));
        }
        let mut best = (self.page_size * room_percent / 100, None);
        for at in neighbours.into_iter().flatten() {
            let neighbour = self.page(base, self.image(parent)?.child(at)).ok();
            if let Some(size) = neighbour.and_then(|page| packed_bytes(&page, kind))
                && size < best.0
            {
                best = (size, Some(at));
            }
        }
        let (size, Some(at)) = best else { return Ok(false) };
        let leftward = at < index;
        // Both pages together have two headers; `half` is a page of half of their elements.
        let half = (full.size() + size).div_ceil(2);
        let (first, bytes) = full.fitting(if leftward { half + PAGE_HEADER_BYTES - size } else { half });
        let rest = full.size() + PAGE_HEADER_BYTES - bytes;
        let (kept, moved) = if leftward { (rest, bytes) } else { (bytes, rest) };
        if first == 0 || first == full.count() || kept.max(size + moved - PAGE_HEADER_BYTES) > self.page_size
        {
            return Ok(false);
        }
        let mut neighbour = self.image(parent)?.child(at);
        if !is_image(neighbour) {
            neighbour = self.own_child(base, (parent, at), None)?.0;
        }
        self.recall(base, neighbour)?;
        let memory = self.heap();
        let slots = [slot_of(id), slot_of(neighbour)];
        let Ok([Some(full), Some(other)]) = self.images.get_disjoint_mut(slots) else { return Ok(false) };
        let (left_over, right) = if leftward {
            (full.pour_left(first, other, memory), full)
        } else {
            (full.pour_right(first, other, memory), other)
        };
        right.head_changed = false;
        let key: SmallVec<[u8; 64]> = SmallVec::from_slice(right.key(0));
        self.image_mut(parent)?.set_key(at.max(index), &key);
        self.keep_bytes(left_over);
        Ok(true)
    }
}
