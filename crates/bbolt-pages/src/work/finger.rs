//! Where the last key was put: keys that arrive in order, or in runs, find their leaf without a descent.
//!
//! Owns [`Finger`], the path to that leaf, and the proof that another key belongs there, too: it lies between the leaf's first and last key, or
//! behind the last one and before the next separator. Never outlives a change other than the one that made it.
//! Limit: one finger for all buckets; a key before the leaf's first one is looked for from the root.

use super::Work;
use super::way::Path;
use crate::error::Result;

/// The way to the leaf that the last key was put into, all of it images.
#[derive(Debug)]
pub(super) struct Finger {
    pub(super) bucket: u32,
    pub(super) path: Path,
}

impl Work {
    /// The path to `key`, if it belongs to the leaf that the last one was put into. The finger is taken.
    #[inline]
    pub(super) fn near(&mut self, bucket: u32, key: &[u8]) -> Result<Option<Path>> {
        let Some(Finger { bucket: found, mut path }) = self.finger.take() else { return Ok(None) };
        let leaf = self.image(path.leaf)?;
        let count = leaf.count();
        if found != bucket || leaf.written_home().is_some() || count == 0 || key < leaf.key(0) {
            return Ok(None);
        }
        if key > leaf.key(count - 1) {
            for &(branch, index) in path.branches.iter().rev() {
                let branch = self.image(branch)?;
                if index + 1 < branch.count() {
                    if key < branch.key(index + 1) {
                        break;
                    }
                    return Ok(None);
                }
            }
            (path.index, path.found) = (count, false);
        } else {
            (path.index, path.found) = leaf.page(path.leaf).leaf()?.search(key)?;
        }
        Ok(Some(path))
    }
}
