//! What a commit does to a bucket's changed pages before they are numbered: empty ones go, small ones merge, large ones split.
//!
//! Owns the walk over the images of a tree, from the leaves upward, and the merging. Afterwards every separator above an image is its first key and no image
//! is larger than its page, but for those whose elements are. Never gives an image a page of the file. Limit: only changed pages are looked at.

use smallvec::SmallVec;

use super::{IMAGE_BIT, MAX_IMAGE_BYTES, Work, is_image, is_image_byte, slot_of};
use crate::error::Result;
use crate::free::Run;
use crate::image::Image;
use crate::page::PageKind;
use crate::source::Source;

impl Work {
    /// Settles a bucket's tree, root included.
    pub(super) fn settle_root(&mut self, base: &Source<'_>, bucket: u32) -> Result<()> {
        self.finger.lift();
        let (mut root, fill_percent) = (self.open[bucket as usize].root, self.fill_percent(bucket));
        if !is_image(root) {
            return Ok(());
        }
        self.settle(base, root, fill_percent)?;
        // A branch with one child is no tree: the child moves up. One without any is an empty leaf.
        while is_image(root) && !self.image(root)?.is_leaf() && self.image(root)?.count() <= 1 {
            let image = self.image(root)?;
            let child = (image.count() == 1).then(|| image.child(0));
            self.drop_image(root);
            root = child.unwrap_or_else(|| self.add_empty(PageKind::Leaf));
            self.counters.rebalance += 1;
        }
        if is_image(root) {
            self.recall(base, root)?;
        }
        while is_image(root) {
            let pieces = self.split(base, root, fill_percent)?;
            if pieces.is_empty() {
                break;
            }
            root = self.raise(root, &pieces)?;
        }
        self.open[bucket as usize].root = root;
        Ok(())
    }

    /// Makes all that lies below branch `id` final: empty pages gone, small ones merged, large ones split, separators equal to the first keys.
    fn settle(&mut self, base: &Source<'_>, id: u64, fill_percent: f64) -> Result<()> {
        if self.image(id)?.is_leaf() {
            return Ok(());
        }
        let threshold = (self.page_size as f64 * fill_percent / 2.0) as usize;
        let mut index = 0;
        while let Some(at) = self.image(id)?.next_child(index, is_image_byte) {
            index = at;
            let child = self.image(id)?.child(index);
            if !self.image(child)?.is_leaf() {
                self.ask_for_next(id, index)?;
            }
            self.settle(base, child, fill_percent)?;
            let image = self.image(child)?;
            if image.written_home().is_some() {
                index += 1;
                continue;
            }
            let (count, shrunk, size) = (image.count(), image.shrunk, image.size());
            if count == 0 {
                self.drop_image(child);
                let parent = self.image_mut(id)?;
                parent.remove(index);
                parent.shrunk = true;
                continue;
            }
            let least = if image.is_leaf() { 1 } else { 2 };
            if shrunk && (size <= threshold || count <= least) {
                if let Some(left) = self.merge(base, id, index, fill_percent)? {
                    index = left;
                    continue;
                }
                self.image_mut(child)?.shrunk = false;
            }
            self.fix_separator(id, index, child)?;
            let pieces = self.split(base, child, fill_percent)?;
            self.adopt(id, index, &pieces)?;
            index += 1 + pieces.len();
        }
        Ok(())
    }

    fn fix_separator(&mut self, id: u64, index: usize, child: u64) -> Result<()> {
        if !std::mem::take(&mut self.image_mut(child)?.head_changed) {
            return Ok(());
        }
        if self.image(id)?.key(index) != self.image(child)?.key(0) {
            let key: SmallVec<[u8; 64]> = SmallVec::from_slice(self.image(child)?.key(0));
            self.image_mut(id)?.set_key(index, &key);
        }
        Ok(())
    }

    /// Merges child `index` of branch `id` with a neighbour, the left one where there is one. Gives the place of the merged page, which is to
    /// be looked at again; `None` if there is nothing to merge with.
    fn merge(
        &mut self,
        base: &Source<'_>,
        id: u64,
        index: usize,
        fill_percent: f64,
    ) -> Result<Option<usize>> {
        if self.image(id)?.count() < 2 {
            return Ok(None);
        }
        let left_index = index.saturating_sub(1);
        let (mut left, right) = (self.image(id)?.child(left_index), self.image(id)?.child(left_index + 1));
        if index == 0 && is_image(right) {
            self.settle(base, right, fill_percent)?;
        }
        let (left_kind, left_count) = self.kind_and_count(base, left)?;
        let (right_kind, right_count) = self.kind_and_count(base, right)?;
        let bytes = self.page(base, left)?.bytes().len() + self.page(base, right)?.bytes().len();
        if left_kind != right_kind
            || left_count + right_count > crate::page::MAX_ELEMENTS
            || bytes > MAX_IMAGE_BYTES
        {
            return Ok(None);
        }
        if !is_image(left) {
            left = self.copy_in(base, left, None)?.0;
            self.image_mut(id)?.set_child(left_index, left);
        }
        self.recall(base, left)?;
        let right_image = if is_image(right) {
            self.recall(base, right)?;
            self.images.get_mut(slot_of(right)).and_then(Option::take)
        } else {
            let page = base.page(right)?;
            let length = (page.bytes().len() / self.page_size) as u64;
            let mut image = Image::empty((self.heap(), 0), page.kind());
            image.fill_from(&page)?;
            self.freed.push(Run { start: right, length });
            Some(image)
        };
        let Some(right_image) = right_image else {
            return Err(crate::source::out_of_bounds(right, IMAGE_BIT));
        };
        let merged = self.image_mut(left)?;
        merged.append(&right_image);
        merged.shrunk = true;
        if is_image(right) {
            self.vacant.push(slot_of(right) as u32);
        }
        self.keep(right_image);
        let parent = self.image_mut(id)?;
        parent.remove(left_index + 1);
        parent.shrunk = true;
        self.counters.rebalance += 1;
        Ok(Some(left_index))
    }
}
