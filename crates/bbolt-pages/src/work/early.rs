//! Leaves that are written before the commit, while they are in the processor's caches.
//!
//! Owns [`Early`]: which leaves were copied last, and how often one that was written is asked back. A transaction of many keys in random order
//! changes most of its leaves once: written soon after, to a free page that was given ahead, they need no memory of their own, and the commit has
//! only what lies above them to write. Nobody can see a free page, so what is written to it early is undone by forgetting it.
//! Limits: leaves alone, in pages that were free when the transaction began; one that was asked back stays until the commit.

use std::collections::VecDeque;
use std::io;

use super::{Work, slot_of};
use crate::error::Result;
use crate::image::Image;
use crate::page::PageKind;
use crate::source::Source;

/// Leaves that are written at once, at most; never more than are kept.
const AT_ONCE: usize = 16;
/// One in this many may be asked back, and a few at first: where there are more, all others wait for the commit.
const RECALLED_ONE_IN: usize = 8;
const RECALLED_AT_FIRST: usize = 16;

/// See the file's header.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// How many leaves are kept; `None` if none is written early.
    kept: Option<usize>,
    /// Slots of leaves in the order of their copying.
    leaves: VecDeque<u32>,
    written: usize,
    recalled: usize,
}

impl Early {
    pub(super) fn begin(&mut self, kept: Option<usize>) {
        self.kept = kept;
    }

    pub(super) fn end(&mut self) {
        let leaves = std::mem::take(&mut self.leaves);
        *self = Self { leaves, ..Self::default() };
        self.leaves.clear();
    }

    /// Whether leaves are written early, as far as has been seen.
    pub(super) fn is_on(&self) -> bool {
        self.kept.is_some()
    }

    /// The number of images from which on pages are to be given ahead, if they are for this.
    pub(super) fn homes_from(&self) -> Option<usize> {
        self.kept.map(|kept| kept / 2)
    }

    /// A page of `kind` was copied into `slot`.
    #[inline]
    pub(super) fn note(&mut self, slot: usize, kind: PageKind) {
        if self.kept.is_some() && kind == PageKind::Leaf {
            self.leaves.push_back(slot as u32);
        }
    }

    fn stop(&mut self) {
        self.kept = None;
        self.leaves.clear();
    }
}

impl Work {
    /// Whether some leaves should be written.
    #[inline]
    pub(crate) fn has_cooled(&self) -> bool {
        self.early.kept.is_some_and(|kept| self.early.leaves.len() >= kept + kept.clamp(1, AT_ONCE))
    }

    /// Writes the leaves that were copied longest ago, each to the page it was given, as far as nothing is left to be done to them. Where a write fails all
    /// others wait for the commit, which says what is wrong.
    pub(crate) fn write_early(
        &mut self,
        base: &Source<'_>,
        mut write: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) {
        let (kept, page_size) = (self.early.kept.unwrap_or(0), self.page_size);
        while self.early.leaves.len() > kept
            && let Some(slot) = self.early.leaves.pop_front()
        {
            // What the system stores into comes meanwhile: its copy would wait for each line of it.
            let home_of = |image: &Image| image.may_be_written(page_size);
            let next = self.early.leaves.front().and_then(|&next| self.images.get(next as usize)?.as_ref());
            if let Some(home) = next.and_then(home_of) {
                base.prefetch_room(home);
            }
            let Some(Some(image)) = self.images.get_mut(slot as usize) else { continue };
            let Some(home) = home_of(image) else { continue };
            if write(home, image.sealed(home, 0, page_size)).is_err() {
                self.early.stop();
                return;
            }
            let memory = image.set_written();
            self.early.written += 1;
            self.keep_bytes(memory);
        }
    }

    /// Brings an image back that was written early, so that it can be changed.
    #[inline]
    pub(super) fn recall(&mut self, base: &Source<'_>, id: u64) -> Result<()> {
        match self.image(id)?.written_home() {
            None => Ok(()),
            Some(home) => self.read_back(base, id, home),
        }
    }

    #[cold]
    fn read_back(&mut self, base: &Source<'_>, id: u64, home: u64) -> Result<()> {
        let page = base.given_page(home)?;
        // Somebody else may have written to it: what is a leaf stays one.
        page.leaf()?;
        let mut image = Image::empty((self.heap(), home), PageKind::Leaf);
        let filled = image.fill_from(&page);
        if let Err(damage) = filled {
            self.keep_bytes(image.into_parts().0);
            return Err(damage.into());
        }
        image.head_changed = false;
        self.images[slot_of(id)] = Some(image);
        self.early.recalled += 1;
        if self.early.recalled > self.early.written / RECALLED_ONE_IN + RECALLED_AT_FIRST {
            self.early.stop();
        }
        Ok(())
    }
}
