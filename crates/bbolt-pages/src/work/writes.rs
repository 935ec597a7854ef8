//! What a commit writes of a transaction's images, once they have their numbers.
//!
//! Owns how they become pages: sealed, padded with zeros, and handed out together where they lie one behind the other. Never does I/O. Limit: at most
//! [`NEIGHBOURS`] at a time.

use std::io::IoSlice;

use smallvec::SmallVec;

use super::Work;
use crate::error::Result;
use crate::source::Source;

/// Images that are written by one call, at most.
const NEIGHBOURS: usize = 16;

impl Work {
    /// The pages to write, in ascending order, each padded with zeros: up to [`NEIGHBOURS`] images that lie one behind the other at a time, with the
    /// first one's page.
    pub(crate) fn for_each_write(
        &mut self,
        base: &Source<'_>,
        mut write: impl FnMut(u64, &[IoSlice<'_>]) -> Result<()>,
    ) -> Result<()> {
        let mut rest = &self.writes[..];
        while let Some(&(first, _)) = rest.first() {
            let (mut count, mut end) = (0, first);
            while let Some(&(page, slot)) = rest.get(count)
                && page == end
                && count < NEIGHBOURS
            {
                if let Some(Some(image)) = self.images.get_mut(slot as usize) {
                    let pages = image.size().div_ceil(self.page_size);
                    image.seal_padded(page, pages as u32 - 1, pages * self.page_size);
                    end += pages as u64;
                }
                count += 1;
                // An image was changed a thousand others ago: the next one comes while this one is made and written.
                if let Some(&(page, next)) = rest.get(count)
                    && let Some(Some(image)) = self.images.get(next as usize)
                {
                    image.prefetch();
                    base.prefetch_room(page);
                }
            }
            let (these, behind) = rest.split_at(count);
            let pieces: SmallVec<[IoSlice<'_>; NEIGHBOURS]> = these
                .iter()
                .filter_map(|&(_, slot)| self.images.get(slot as usize)?.as_ref())
                .map(|image| IoSlice::new(image.padded(image.size().next_multiple_of(self.page_size))))
                .collect();
            write(first, &pieces)?;
            rest = behind;
        }
        Ok(())
    }

    /// Pages that will be written.
    pub(crate) fn write_count(&self) -> usize {
        self.writes.len() + self.settled
    }
}
