//! The way to a key in a write transaction's tree, and what is done on it while its pages come.
//!
//! Owns [`Path`] and the descent. A change of a large tree is mostly waiting: its leaf is in no cache, nor is the page that its copy goes to.
//! Of each as much is asked for at a time as a processor fetches at a time, with work of the descent between, and while the leaf's first lines
//! come the branches above it are copied. Never changes what a tree holds.

use smallvec::SmallVec;

use super::{Work, is_image};
use crate::cursor::{MAX_DEPTH, too_deep, wrong_kind};
use crate::error::Result;
use crate::page::PageKind;
use crate::source::{PAGE_LINES, Source};

/// Lines that are asked for at once. Of more than it has buffers for (10 to 16) a processor makes all wait that comes behind them, what lies in
/// its second cache, too.
const AT_ONCE: u64 = 12;

/// The way to a key: branch pages with the child taken, the leaf, and the place in it.
#[derive(Debug, Default)]
pub(super) struct Path {
    pub(super) branches: SmallVec<[(u64, usize); 8]>,
    pub(super) leaf: u64,
    pub(super) index: usize,
    pub(super) found: bool,
}

impl Path {
    /// The page `level` steps below the root.
    pub(super) fn page(&self, level: usize) -> u64 {
        self.branches.get(level).map_or(self.leaf, |&(id, _)| id)
    }

    pub(super) fn set_page(&mut self, level: usize, id: u64) {
        match self.branches.get_mut(level) {
            Some(step) => step.0 = id,
            None => self.leaf = id,
        }
    }
}

impl Work {
    /// The way to `key`.
    pub(super) fn descend(&self, base: &Source<'_>, bucket: u32, key: &[u8]) -> Result<Path> {
        let mut path = self.start(bucket);
        self.go_down(base, key, &mut path, usize::MAX)?;
        self.place(base, key, &mut path)?;
        Ok(path)
    }

    /// The way to `key` from its start on, where something will be changed: its branches may be images afterwards, if it is `certain` that they will have to be.
    pub(super) fn descend_to_change(
        &mut self,
        base: &Source<'_>,
        bucket: u32,
        key: &[u8],
        path: &mut Path,
        certain: bool,
    ) -> Result<()> {
        self.ask_for_room(base, 0);
        self.go_down(base, key, path, self.open[bucket as usize].levels)?;
        self.ask_for_room(base, 1);
        if certain && !is_image(path.leaf) {
            for level in 0..path.branches.len() {
                if !is_image(path.page(level)) {
                    self.own(base, bucket, path, level, None)?;
                    self.ask_for_room(base, 0);
                    self.ask_for_room(base, 1);
                }
            }
        }
        // Where it is no leaf yet, the tree is deeper than it was.
        self.go_down(base, key, path, usize::MAX)?;
        self.open[bucket as usize].levels = path.branches.len();
        if !is_image(path.leaf) {
            base.prefetch_lines(path.leaf, AT_ONCE..PAGE_LINES);
        }
        self.ask_for_room(base, 2);
        self.place(base, key, path)?;
        self.ask_for_room(base, 3);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn start(&self, bucket: u32) -> Path {
        Path { branches: SmallVec::new(), leaf: self.open[bucket as usize].root, index: 0, found: false }
    }

    /// Goes on from `path.leaf` to the leaf, or to what lies `levels` branches below the root.
    #[inline]
    fn go_down(&self, base: &Source<'_>, key: &[u8], path: &mut Path, levels: usize) -> Result<()> {
        while path.branches.len() < levels {
            let id = path.leaf;
            let page = self.page(base, id)?;
            match page.kind() {
                PageKind::Leaf => return Ok(()),
                PageKind::Branch if path.branches.len() < MAX_DEPTH => {
                    let branch = page.branch()?;
                    let index = branch.search(key)?;
                    let child = branch.child(index)?;
                    path.branches.push((id, index));
                    path.leaf = child;
                    // Nearly always it is read to be copied, so all of it may come, beginning with what the search needs. Of an image the
                    // search reads up to a dozen lines, one after the other if they are not asked for.
                    if is_image(child) {
                        self.image(child)?.prefetch();
                    } else if path.branches.len() == levels {
                        base.prefetch_lines(child, 0..AT_ONCE);
                    } else {
                        base.prefetch_lines(child, 0..PAGE_LINES);
                    }
                }
                PageKind::Branch => return Err(too_deep(id)),
                kind => return Err(wrong_kind(id, kind)),
            }
        }
        Ok(())
    }

    /// Finds the key's place in the leaf of a path.
    fn place(&self, base: &Source<'_>, key: &[u8], path: &mut Path) -> Result<()> {
        (path.index, path.found) = self.page(base, path.leaf)?.leaf()?.search(key)?;
        Ok(())
    }

    /// The flags at the end of a path that was found.
    pub(super) fn flags_at(&self, base: &Source<'_>, path: &Path) -> Result<u32> {
        Ok(self.page(base, path.leaf)?.leaf()?.places(path.index)?.0)
    }

    /// Asks the processor for one part of what the next image will be made in.
    #[inline]
    fn ask_for_room(&self, base: &Source<'_>, part: u64) {
        if let Some(&home) = self.homes.last() {
            base.prefetch_room_lines(home, part * AT_ONCE..(part + 1) * AT_ONCE);
        }
    }
}
