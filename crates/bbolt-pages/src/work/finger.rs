//! Where the last key was put: keys that arrive in order, or in runs, find their leaf without a descent.
//!
//! Owns [`Finger`], the path to that leaf, and the proof that another key belongs there, too: it lies between the leaf's first and last key, or
//! behind the last one and before the next separator. Never outlives a change other than the one that made it: `edit`, `settle_root` and `drop_image`,
//! one of which is part of every other change, lift it.
//! Limits: one finger for all buckets, kept from the second key in a row on that goes to the same leaf, so that keys in random order do without; a key
//! before the leaf's first one is looked for from the root.

use super::Work;
use super::way::Path;
use crate::error::Result;

/// The way to the leaf that the last key was put into, all of it images.
#[derive(Debug, Default)]
pub(super) struct Finger {
    bucket: u32,
    path: Option<Path>,
    /// The leaf of the last key, whether there is a path to it or not.
    leaf: u64,
}

impl Finger {
    /// Forgets the path: the tree changes.
    #[inline]
    pub(super) fn lift(&mut self) {
        self.path = None;
    }
}

impl Work {
    /// The path to `key`, if it belongs to the leaf that the last one was put into. The finger is lifted.
    #[inline]
    pub(super) fn near(&mut self, bucket: u32, key: &[u8]) -> Result<Option<Path>> {
        if self.finger.path.is_none() {
            return Ok(None);
        }
        self.near_finger(bucket, key)
    }

    fn near_finger(&mut self, bucket: u32, key: &[u8]) -> Result<Option<Path>> {
        let Some(mut path) = self.finger.path.take().filter(|_| self.finger.bucket == bucket) else {
            return Ok(None);
        };
        let leaf = self.image(path.leaf)?;
        let count = leaf.count();
        if leaf.written_home().is_some() || count == 0 || key < leaf.key(0) {
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

    /// A key was put at the end of `path`, and nothing else was changed.
    #[inline]
    pub(super) fn point(&mut self, bucket: u32, path: &mut Path) {
        let again = self.finger.leaf == path.leaf;
        self.finger.leaf = path.leaf;
        if again {
            self.finger.bucket = bucket;
            self.finger.path = Some(std::mem::take(path));
        }
    }
}
