//! Overfull pages: shared with a neighbour, or split, upward from the leaf until all fit.
//!
//! Owns where a page is split, how its new neighbours come into the branch above, and the new root where there is none. Keys that arrive in order leave full
//! pages behind, unless a fill percent was set. Never moves elements between neighbours; `shift.rs` does. Limit: four elements
//! and fewer stay together, in a page with overflow if need be, as in bbolt.

use smallvec::SmallVec;

use super::way::Path;
use super::{DEFAULT_FILL_PERCENT, Work};
use crate::error::Result;
use crate::image::{Image, Rest};
use crate::page::PageKind;
use crate::source::Source;

/// Elements of a right part that was split off, at least: bbolt's number.
const LEAST_RIGHT: usize = 3;

impl Work {
    /// Splits an image as often as its size asks for; the new ones, from left to right.
    pub(super) fn split(
        &mut self,
        base: &Source<'_>,
        id: u64,
        fill_percent: f64,
    ) -> Result<SmallVec<[u64; 4]>> {
        // bbolt clamps here, and only here.
        let threshold = (self.page_size as f64 * fill_percent.clamp(0.1, 1.0)) as usize;
        self.split_at(base, id, threshold, LEAST_RIGHT)
    }

    /// The same with left parts of at most `threshold` bytes, and right ones of at least `least_right` elements.
    fn split_at(
        &mut self,
        base: &Source<'_>,
        id: u64,
        threshold: usize,
        least_right: usize,
    ) -> Result<SmallVec<[u64; 4]>> {
        let mut pieces = SmallVec::new();
        let mut left = id;
        loop {
            let image = self.image(left)?;
            let limit = if image.is_full() { 0 } else { self.page_size };
            let Some(at) = image.split_point(limit, threshold, least_right) else { return Ok(pieces) };
            let kind = if image.is_leaf() { PageKind::Leaf } else { PageKind::Branch };
            let mut other = Image::empty(self.memory(base), kind);
            self.image_mut(left)?.split_off(at, &mut other);
            let right = self.add(other);
            self.counters.split += 1;
            pieces.push(right);
            left = right;
        }
    }

    /// Puts `pieces` behind element `index` of branch `parent`.
    pub(super) fn adopt(&mut self, parent: u64, index: usize, pieces: &[u64]) -> Result<()> {
        for (offset, &piece) in pieces.iter().enumerate() {
            let key: SmallVec<[u8; 64]> = SmallVec::from_slice(self.image(piece)?.key(0));
            self.image_mut(parent)?.insert(index + 1 + offset, &key, Rest::Branch { child: piece });
            self.image_mut(piece)?.head_changed = false;
        }
        Ok(())
    }

    /// A new root above `id` and `pieces`.
    pub(super) fn raise(&mut self, id: u64, pieces: &[u64]) -> Result<u64> {
        let root = self.add_empty(PageKind::Branch);
        let key: SmallVec<[u8; 64]> = SmallVec::from_slice(self.image(id)?.key(0));
        self.image_mut(root)?.insert(0, &key, Rest::Branch { child: id });
        self.image_mut(id)?.head_changed = false;
        self.adopt(root, 0, pieces)?;
        Ok(root)
    }

    /// Whether a page is the last below its parent, by the parent and its place there; the root is.
    fn is_last(&self, parent: Option<(u64, usize)>) -> Result<bool> {
        parent.map_or(Ok(true), |(parent, index)| Ok(index + 1 == self.image(parent)?.count()))
    }

    /// Brings the leaf of a path, and what then overflows above it, back to about a page in size, at once: by a neighbour that has room, or by
    /// splitting.
    pub(super) fn relieve(&mut self, base: &Source<'_>, bucket: u32, mut path: Path) -> Result<()> {
        let fill_percent = self.open[bucket as usize].fill_percent;
        // The page, and the element that came last.
        let (mut id, mut newest) = (path.leaf, path.index);
        loop {
            let image = self.image(id)?;
            if image.size() <= self.page_size && !image.is_full() {
                return Ok(());
            }
            let (last, least_at_end) = (newest + 1 == image.count(), if image.is_leaf() { 1 } else { 2 });
            let parent = path.branches.pop();
            let pieces = match (fill_percent, parent) {
                // It was said how pages are to be left when they are split.
                (Some(fill_percent), _) => self.split(base, id, fill_percent)?,
                (None, Some(place)) if self.shift(base, place, id, newest)? => {
                    (id, newest) = place;
                    continue;
                }
                // Nothing will come between keys that arrive in order: what they leave behind stays full.
                (None, _) if last && self.is_last(parent)? => {
                    self.split_at(base, id, self.page_size, least_at_end)?
                }
                (None, _) => self.split(base, id, DEFAULT_FILL_PERCENT)?,
            };
            if pieces.is_empty() {
                return Ok(());
            }
            match parent {
                Some((parent, index)) => {
                    self.adopt(parent, index, &pieces)?;
                    (id, newest) = (parent, index + pieces.len());
                }
                None => {
                    let root = self.raise(id, &pieces)?;
                    self.open[bucket as usize].root = root;
                    (id, newest) = (root, pieces.len());
                }
            }
        }
    }
}
