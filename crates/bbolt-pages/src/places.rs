//! Where the pages of a commit go: free pages, and where there are none, those from the high-water mark on.
//!
//! Owns [`Pages`]. Single pages are the lowest ones. The last pages of a small commit are put side by side, since disks take neighbours as one write: what nearly
//! every commit replaces (a bucket's root, the root bucket's, a short freelist) so moves to and fro between two runs of free pages. Those numbered first,
//! leaves and lower branches, stay in use when the others move on, and would break the run up. Never decides which pages are free. Limit: where no run of free
//! pages is long enough the file becomes longer, by six pages at most.

use crate::error::{Result, Usage};
use crate::free::{FreePages, Run};
use crate::freelist::Listed;
use crate::options::Options;
use crate::work::Allocate;

/// Pages of the largest commit that gets some side by side.
const FEW: u64 = 16;
/// Pages of the longest freelist that is put beside the others; longer ones are written in part, where they stood before.
const SHORT_LIST: u64 = 4;
/// Pages that are put beside the freelist in any case: a bucket's root and the root bucket's.
const TOGETHER: u64 = 2;

/// Pages for a commit.
pub(crate) struct Pages<'a> {
    pub(crate) free: &'a mut FreePages,
    pub(crate) high_water: u64,
    page_size: u64,
    options: &'a Options,
    pub(crate) taken: &'a mut Vec<Run>,
    pub(crate) fresh: &'a mut Vec<Run>,
    /// Free pages kept for a freelist that stood there before, as long as there are others.
    aside: Option<Run>,
    block: Option<Block>,
    /// Whether the freelist is to be of the block.
    list_beside: bool,
    /// Whether it was told how many pages to expect.
    planned: bool,
}

/// Pages side by side, for the last ones of a small commit.
struct Block {
    /// How many come before them.
    others: u64,
    /// What was taken of it.
    taken: Run,
    /// What is left: free pages set aside, or `None` where it is made at the high-water mark.
    left: Option<Run>,
}

impl Block {
    /// The next `pages` of it, if it is their turn; `end` is the high-water mark.
    fn next(&mut self, pages: u64, end: u64) -> Option<Run> {
        if self.others > 0 {
            self.others = self.others.saturating_sub(pages);
            return None;
        }
        let start = match &mut self.left {
            Some(left) if left.length < pages => return None,
            Some(left) => {
                *left = Run { start: left.start + pages, length: left.length - pages };
                left.start - pages
            }
            None => end,
        };
        if self.taken.length == 0 {
            self.taken.start = start;
        }
        self.taken.length += pages;
        Some(Run { start, length: pages })
    }
}

impl<'a> Pages<'a> {
    pub(crate) fn new(
        free: &'a mut FreePages,
        high_water: u64,
        page_size: u64,
        options: &'a Options,
        taken: &'a mut Vec<Run>,
        fresh: &'a mut Vec<Run>,
    ) -> Self {
        let (aside, block, list_beside, planned) = (None, None, false, false);
        Self { free, high_water, page_size, options, taken, fresh, aside, block, list_beside, planned }
    }

    /// Gives back what was set aside and is not used. Whether that was anything.
    fn put_back(&mut self) -> bool {
        let block = self.block.take().and_then(|block| block.left).filter(|left| left.length > 0);
        let unused = [self.aside.take(), block];
        unused.into_iter().flatten().inspect(|&run| self.free.put_back(run)).count() > 0
    }

    /// Ends the commit. Where it put pages side by side, if it came to something, the ones after it will look for room.
    pub(crate) fn end(&mut self, committed: bool) {
        let block = self.block.as_ref().map(|block| block.taken).filter(|run| committed && run.length > 1);
        if let Some(run) = block {
            self.free.remember(run);
        }
        self.put_back();
    }

    /// Whether the file may become longer by that much.
    fn permits(&self, pages: u64) -> bool {
        let needed = (self.high_water + pages).saturating_mul(self.page_size);
        self.options.max_size == 0 || needed <= self.options.max_size
    }

    /// Pages of the block, if it is their turn.
    fn take_of_block(&mut self, pages: u64) -> Option<Run> {
        if !self.permits(pages) {
            self.block.take_if(|block| block.left.is_none());
        }
        let block = self.block.as_mut()?;
        let run = block.next(pages, self.high_water)?;
        if block.left.is_some() {
            self.free.take_several(run);
            self.taken.push(run);
        } else {
            self.high_water += pages;
            self.fresh.push(run);
        }
        Some(run)
    }

    /// Pages for the freelist as it is listed: those set aside, if they suit it.
    pub(crate) fn allocate_list(&mut self) -> Result<Run> {
        let needed = self.free.listed.pages_needed(self.page_size);
        if self.list_beside
            && let Some(run) = self.take_of_block(needed)
        {
            return Ok(run);
        }
        if let Some(run) = self.aside.take_if(|run| Listed::suits(run.length, needed)) {
            self.free.take_aside(run);
            self.taken.push(run);
            return Ok(run);
        }
        self.put_back();
        if let Some(run) = self.free.take(Listed::pages_wanted(needed)) {
            self.taken.push(run);
            return Ok(run);
        }
        Ok(Run { start: self.allocate(needed)?, length: needed })
    }
}

impl Allocate for Pages<'_> {
    fn expect(&mut self, images: usize) {
        if std::mem::replace(&mut self.planned, true) {
            return;
        }
        let images = images as u64;
        let listed = !self.options.no_freelist_sync;
        let list = if listed { self.free.listed.pages_needed(self.page_size) } else { 0 };
        let list = if list > SHORT_LIST || images > FEW {
            self.aside = if listed { self.free.set_aside() } else { None };
            0
        } else {
            list
        };
        if images > FEW {
            return;
        }
        self.list_beside = list > 0;
        let least = images.min(TOGETHER) + list;
        if least < 2 {
            return;
        }
        let left = self.free.set_several_aside(images + list, least);
        let length = left.map_or(least, |run| run.length);
        self.block = Some(Block { others: images + list - length, taken: Run { start: 0, length: 0 }, left });
    }

    fn allocate(&mut self, pages: u64) -> Result<u64> {
        if let Some(run) = self.take_of_block(pages) {
            return Ok(run.start);
        }
        let mut run = self.free.take(pages);
        // Rather than that the block is broken up, the file becomes longer, if it may.
        if run.is_none() && (self.block.is_none() || !self.permits(pages)) && self.put_back() {
            run = self.free.take(pages);
        }
        if let Some(run) = run {
            self.taken.push(run);
            return Ok(run.start);
        }
        let run = Run { start: self.high_water, length: pages };
        if !self.permits(pages) {
            let needed = (run.start + pages).saturating_mul(self.page_size);
            return Err(Usage::MaxSizeReached { needed, limit: self.options.max_size }.into());
        }
        self.high_water += pages;
        self.fresh.push(run);
        Ok(run.start)
    }
}

#[cfg(test)]
mod tests {
    use crate::Options;
    use crate::io::{Event, MemoryStorage, Recording};

    /// How many pieces, apart from each other, a commit wrote before its barrier, for each of `events`' commits.
    fn pieces(events: &[Event]) -> Vec<usize> {
        let (mut all, mut places) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::Write { offset, bytes } => places.push((*offset, *offset + bytes.len() as u64)),
                Event::SetLen(_) => {}
                Event::Sync => {
                    places.sort_unstable();
                    let apart = places.windows(2).filter(|pair| pair[0].1 != pair[1].0).count();
                    all.push(usize::from(!places.is_empty()) + apart);
                    places.clear();
                }
            }
        }
        // Every other one is the meta alone.
        all.into_iter().step_by(2).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "twenty thousand keys")]
    fn a_commit_of_one_key_writes_few_pieces_and_no_longer_file() {
        let memory = MemoryStorage::default();
        let options = Options::new().page_size(4096);
        let key = |id: u64| id.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        let put = |db: &crate::Db, ids: std::ops::Range<u64>| {
            db.update(|tx| {
                let mut bucket = tx.create_bucket_if_not_exists(b"kv")?;
                ids.into_iter().try_for_each(|id| bucket.put(&key(id), &[7; 100]))
            })
            .expect("a commit");
        };
        let db = options.open_storage(memory.clone()).expect("a database");
        (0..20).for_each(|round| put(&db, 1000 * round..1000 * (round + 1)));
        drop(db);
        let (storage, events) = Recording::new(memory.clone());
        let db = options.open_storage(storage).expect("a database");
        (0..10).for_each(|round| put(&db, 777 * round..777 * round + 1));
        let length = memory.to_vec().len();
        events.lock().expect("the events").clear();
        (0..200).for_each(|round| put(&db, 91 * round..91 * round + 1));
        let mut pieces = pieces(&events.lock().expect("the events"));
        assert_eq!(pieces.len(), 200);
        pieces.sort_unstable();
        // Two roots and the freelist are one piece, the leaf and a branch or two are others.
        assert!(pieces[100] <= 3 && pieces[190] <= 4, "{pieces:?}");
        drop(db);
        for round in 0..50 {
            let db = options.open_storage(memory.clone()).expect("a database");
            put(&db, 333 * round..333 * round + 1);
        }
        assert_eq!(memory.to_vec().len(), length, "what lay free is found again");
    }
}
