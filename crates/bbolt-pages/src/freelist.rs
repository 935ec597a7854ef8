//! The freelist in the file: free and pending pages in ascending order, of which a commit writes what differs from what stands there.
//!
//! Owns `Listed`, the set that is listed, and what is known of the places it was last written to. A commit likes to put the list where it stood two
//! commits ago, once no reader can see that state: then only the stretches from a changed id to where as many ids lie below as
//! before are written again. What a place holds is known from this process's own writes and by exact comparison, never guessed: a failed
//! commit, pages taken for something else and reopening forget it. Never chooses pages by itself. Limits: three places, for each at most 64 words of old bits and
//! one for every eight of its pages; past that it is written whole.

use rustc_hash::FxHashMap;

use crate::error::Result;
use crate::free::{PageSet, Run};
use crate::page::{FreelistPage, LONG_FREELIST, PAGE_HEADER_BYTES, PageHeader, PageKind};

/// Places remembered: the one in force, the one before it, and one more for a reader that holds that one.
const PLACES: usize = 3;
/// Bytes that are written as one, in files whose pages are at least as long; a quarter of it in others. The system keeps files by such pages.
const GRAIN_BYTES: u64 = 4096;
/// Bytes that are made at a time, so that a list of any length takes no more memory.
const CHUNK_BYTES: u64 = 256 << 10;
/// A list of this many pages gets one page more than it needs, so that it can stay where it is as it grows.
const PAGES_PER_SPARE: u64 = 16;

const _: () = assert!(CHUNK_BYTES.is_multiple_of(GRAIN_BYTES) && GRAIN_BYTES.is_multiple_of(32));

/// See the file's header.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    set: PageSet,
    /// The latest last.
    places: Vec<Place>,
    /// Whether any place keeps count of what is touched.
    watched: bool,
    /// Words touched since the latest place was written: all places have those, or are lost.
    seen: PageSet,
}

/// A run of pages that holds the list as it was at some moment.
#[derive(Debug)]
struct Place {
    run: Run,
    /// How many ids it lists.
    count: u64,
    /// The bits, at that moment, of every word that was touched since.
    before: FxHashMap<u64, u64>,
    /// Too much was touched to keep count of.
    lost: bool,
}

impl Place {
    fn words_max(&self) -> usize {
        64 + self.run.length as usize / 8
    }

    #[inline]
    fn touch(&mut self, word: u64, bits: u64) {
        if self.lost {
            return;
        }
        self.before.entry(word).or_insert(bits);
        if self.before.len() > self.words_max() {
            self.before.clear();
            self.lost = true;
        }
    }
}

fn is_long(count: u64) -> bool {
    count >= u64::from(LONG_FREELIST)
}

/// Bytes before the first id.
fn head_bytes(count: u64) -> u64 {
    PAGE_HEADER_BYTES as u64 + if is_long(count) { 8 } else { 0 }
}

impl Listed {
    pub(crate) fn new(set: PageSet) -> Self {
        Self { set, ..Self::default() }
    }

    pub(crate) fn count(&self) -> u64 {
        self.set.count()
    }

    /// All ids, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.set.iter()
    }

    #[inline]
    fn touch(&mut self, run: Run) {
        if self.watched {
            run.words().for_each(|(word, _)| self.touch_word(word));
        }
    }

    fn touch_word(&mut self, word: u64) {
        if !self.seen.insert(word) {
            return;
        }
        self.watched = false;
        for place in &mut self.places {
            place.touch(word, self.set.bits(word));
            self.watched |= !place.lost;
        }
    }

    /// Lists `run`; if some of its pages are listed, changes nothing and gives the first.
    #[inline]
    pub(crate) fn insert(&mut self, run: Run) -> Result<(), u64> {
        self.touch(run);
        self.set.insert_run(run)
    }

    /// Takes `run`, which is listed, off the list.
    #[inline]
    pub(crate) fn remove(&mut self, run: Run) {
        self.touch(run);
        self.set.remove_run(run);
    }

    /// Forgets what the pages of `run` hold.
    #[inline]
    pub(crate) fn forget(&mut self, run: Run) {
        if self.places.iter().any(|place| place.run.meets(run)) {
            self.places.retain(|place| !place.run.meets(run));
        }
    }

    /// Forgets what all places hold.
    pub(crate) fn forget_all(&mut self) {
        self.places.clear();
    }

    /// Pages that the list needs as it is. The pages it is given may be taken off it, so one more than enough in the end is possible.
    pub(crate) fn pages_needed(&self, page_size: u64) -> u64 {
        FreelistPage::bytes_for(self.count()) / page_size + 1
    }

    /// How many pages to take for a list that needs `needed`.
    pub(crate) fn pages_wanted(needed: u64) -> u64 {
        needed + needed / PAGES_PER_SPARE
    }

    /// Whether a place of `length` pages suits a list that needs `needed`.
    pub(crate) fn suits(length: u64, needed: u64) -> bool {
        (needed..=needed + needed / 4 + 1).contains(&length)
    }

    /// The place that differs least, as far as is known, among those that `usable` admits.
    pub(crate) fn best_place(&self, usable: impl Fn(Run) -> bool) -> Option<Run> {
        let places = self.places.iter().filter(|place| usable(place.run));
        places.min_by_key(|place| (place.lost, place.before.len())).map(|place| place.run)
    }

    /// Brings the pages of `run` up to date, in as few bytes as is known to be enough; the writes it took. `write` gets byte offsets in the file.
    pub(crate) fn write(
        &mut self,
        run: Run,
        page_size: u64,
        buffer: &mut Vec<u8>,
        mut write: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<u64> {
        let total = run.length * page_size;
        debug_assert!(
            FreelistPage::bytes_for(self.count()) <= total,
            "the pages were counted for at least as many ids"
        );
        // If a write fails, nobody knows what stands there.
        let known = self.places.iter().position(|place| place.run == run).map(|at| self.places.remove(at));
        self.forget(run);
        let stretches = match &known {
            Some(place) => self.stretches(place),
            None => None,
        };
        let grain = if page_size < GRAIN_BYTES { GRAIN_BYTES / 4 } else { GRAIN_BYTES };
        let mut writes = 0;
        let mut done = 0;
        let mut stretches = stretches.unwrap_or_else(|| vec![(0, total)]).into_iter().peekable();
        while let Some((start, end)) = stretches.next() {
            let start = (start / grain * grain).max(done);
            let mut end = end.next_multiple_of(grain).min(total);
            // What lies at most one grain apart is one write.
            while let Some((_, next)) = stretches.next_if(|&(next, _)| next <= end + grain) {
                end = end.max(next.next_multiple_of(grain).min(total));
            }
            let mut from = start;
            while from < end {
                let to = end.min(from + CHUNK_BYTES);
                self.paint(run, from, to, buffer);
                write(run.start * page_size + from, buffer)?;
                writes += 1;
                from = to;
            }
            done = done.max(end);
        }
        if self.places.len() == PLACES {
            self.places.remove(0);
        }
        let mut before = known.map(|place| place.before).unwrap_or_default();
        before.clear();
        self.places.push(Place { run, count: self.count(), before, lost: false });
        self.watched = true;
        self.seen.clear();
        Ok(writes)
    }

    /// The byte ranges, ascending, in which the list differs from what `place` holds; `None` if that is not known.
    fn stretches(&self, place: &Place) -> Option<Vec<(u64, u64)>> {
        let count = self.count();
        if place.lost || is_long(count) != is_long(place.count) {
            return None;
        }
        let head = head_bytes(count);
        let at = |rank: u64| head + 8 * rank;
        let mut changed: Vec<(u64, u64)> = place.before.iter().map(|(&word, &bits)| (word, bits)).collect();
        changed.retain(|&(word, bits)| bits != self.set.bits(word));
        changed.sort_unstable();
        let mut stretches = Vec::new();
        if count != place.count {
            stretches.push((0, head));
        }
        let mut olds = changed.iter();
        // By how many ids more than then lie below, and since which rank that is so.
        let (mut more, mut since) = (0_i64, None);
        self.set.ranks(changed.iter().map(|&(word, _)| word), |word, rank| {
            let Some(&(_, old)) = olds.next() else { return };
            let new = self.set.bits(word);
            let start = *since.get_or_insert(rank);
            more += i64::from(new.count_ones()) - i64::from(old.count_ones());
            if more == 0 {
                stretches.push((at(start), at(rank + u64::from(new.count_ones()))));
                since = None;
            }
        });
        debug_assert_eq!(place.count.wrapping_add_signed(more), count, "every change was noted");
        if let Some(start) = since {
            // Where ids stood that are gone, zeros do.
            stretches.push((at(start), at(count.max(place.count))));
        }
        Some(stretches)
    }

    /// Puts bytes `from` to `to` of the page at `run` into `buffer`.
    fn paint(&self, run: Run, from: u64, to: u64, buffer: &mut Vec<u8>) {
        let count = self.count();
        let head = head_bytes(count);
        buffer.clear();
        buffer.resize((to - from) as usize, 0);
        if from == 0 {
            let short = u16::try_from(count).ok().filter(|&count| count < LONG_FREELIST);
            let header = PageHeader {
                id: run.start,
                flags: PageKind::Freelist.flags(),
                count: short.unwrap_or(LONG_FREELIST),
                overflow: (run.length - 1) as u32,
            };
            header.write(buffer);
            if is_long(count) {
                buffer[PAGE_HEADER_BYTES..PAGE_HEADER_BYTES + 8].copy_from_slice(&count.to_le_bytes());
            }
        }
        let first = from.max(head);
        if first < to {
            self.set.render((first - head) / 8, &mut buffer[(first - from) as usize..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: u64, length: u64) -> Run {
        Run { start, length }
    }

    /// What the pages of a freelist hold, written out the plain way.
    fn plain(ids: &[u64], run: Run, page_size: u64) -> Vec<u8> {
        let count = u16::try_from(ids.len()).ok().filter(|&count| count < LONG_FREELIST);
        let mut bytes = vec![0; PAGE_HEADER_BYTES];
        let flags = PageKind::Freelist.flags();
        let overflow = run.length as u32 - 1;
        PageHeader { id: run.start, flags, count: count.unwrap_or(LONG_FREELIST), overflow }
            .write(&mut bytes);
        if count.is_none() {
            bytes.extend_from_slice(&(ids.len() as u64).to_le_bytes());
        }
        ids.iter().for_each(|id| bytes.extend_from_slice(&id.to_le_bytes()));
        bytes.resize((run.length * page_size) as usize, 0);
        bytes
    }

    /// A file, the list, and how many bytes writing it took.
    struct File {
        bytes: Vec<u8>,
        listed: Listed,
        page_size: u64,
    }

    impl File {
        fn new(page_size: u64, pages: u64) -> Self {
            // What was never written is not zero.
            let bytes = vec![0xA5; (pages * page_size) as usize];
            Self { bytes, listed: Listed::default(), page_size }
        }

        /// Writes the list and compares every byte of its pages.
        fn write(&mut self, run: Run) -> usize {
            let (mut buffer, mut written) = (Vec::new(), 0);
            let bytes = &mut self.bytes;
            let writes = self.listed.write(run, self.page_size, &mut buffer, |offset, new| {
                bytes[offset as usize..offset as usize + new.len()].copy_from_slice(new);
                written += new.len();
                Ok(())
            });
            assert!(writes.is_ok() && buffer.len() <= CHUNK_BYTES as usize);
            let ids: Vec<u64> = self.listed.iter().collect();
            let (from, to) = (run.start * self.page_size, (run.start + run.length) * self.page_size);
            let found = &self.bytes[from as usize..to as usize];
            assert!(found == plain(&ids, run, self.page_size), "{run:?} with {} ids", ids.len());
            written
        }

        fn toggle(&mut self, run: Run) {
            if self.listed.insert(run).is_err() {
                for page in run.start..run.start + run.length {
                    if self.listed.set.contains(page) {
                        self.listed.remove(Run { start: page, length: 1 });
                    }
                }
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of thousands of ids")]
    fn what_is_written_in_part_is_what_would_be_written_whole() {
        let mut seed = 3_u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        for (page_size, pages) in [(1024, 2000), (4096, 20_000), (65_536, 3000), (4096, 66_000)] {
            let mut file = File::new(page_size, 700);
            // Three places of their own, far from the ids that change.
            let _ = file.listed.insert(run(0, pages));
            let length = file.listed.pages_needed(page_size) + 2;
            let places = [run(0, length), run(length, length), run(2 * length, length)];
            let mut in_part = 0;
            for _ in 0..120 {
                for _ in 0..random(4) {
                    let most = 1 << random(11);
                    file.toggle(run(random(pages), 1 + random(most)));
                }
                if random(10) == 0 {
                    file.listed.forget(run(random(3 * length), 1));
                }
                let place = places[random(3) as usize];
                if file.listed.pages_needed(page_size) <= length {
                    let written = file.write(place) as u64;
                    in_part += u64::from(written < length * page_size);
                }
            }
            assert!(in_part > 10, "{in_part}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "a hundred thousand ids")]
    fn a_commit_of_one_key_writes_what_it_changed() {
        let mut file = File::new(4096, 500);
        assert!(file.listed.insert(run(1000, 100_000)).is_ok());
        let length = Listed::pages_wanted(file.listed.pages_needed(4096));
        let (one, other) = (run(2, length), run(2 + length, length));
        assert!(file.listed.insert(run(2, 2 * length)).is_ok());
        let mut current = None;
        let mut bytes = Vec::new();
        for round in 0..10 {
            // Three pages go, three others come, and the list moves to where it was before.
            file.listed.remove(run(1000 + 3 * (round % 2), 3));
            if round > 0 {
                let _ = file.listed.insert(run(1000 + 3 * (1 - round % 2), 3));
            }
            let next = if current == Some(one) { other } else { one };
            if let Some(old) = current.replace(next) {
                let _ = file.listed.insert(old);
            }
            file.listed.remove(next);
            bytes.push(file.write(next));
        }
        let whole = (length * 4096) as usize;
        assert_eq!(bytes[..2], [whole, whole], "nothing is known of places not written yet");
        // At first the count differs from the first state; from then on every other state is the same.
        assert!(bytes[2] <= whole && bytes[4..].iter().all(|&bytes| bytes == 0), "{bytes:?}");
        // Four pages more are gone: what lies behind them moves.
        file.listed.remove(run(50_000, 4));
        file.listed.remove(run(1000, 1));
        assert!(file.write(one) > whole / 2);
        // As many come as go: only what lies between them moves.
        file.listed.remove(run(60_000, 4));
        let _ = file.listed.insert(run(50_000, 4));
        let written = file.write(one);
        assert!((80_000..90_000).contains(&written), "{written}");
    }

    #[test]
    fn nothing_is_known_of_pages_after_a_failed_write_or_another_use() {
        let mut file = File::new(1024, 40);
        assert!(file.listed.insert(run(0, 300)).is_ok());
        let place = run(10, 4);
        assert_eq!(file.write(place), 4096);
        assert_eq!(file.write(place), 0);
        file.listed.forget(run(13, 9));
        assert_eq!(file.write(place), 4096);
        file.listed.remove(run(7, 1));
        let refused =
            file.listed.write(place, 1024, &mut Vec::new(), |_, _| Err(crate::Usage::NoEntry.into()));
        assert!(refused.is_err() && file.listed.best_place(|_| true).is_none());
        assert_eq!(file.write(place), 4096);
    }
}
