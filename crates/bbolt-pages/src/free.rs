//! Free pages, and pages that wait until no reader can see them.
//!
//! Owns `PageSet`, a set of page ids as bits with a summary of the runs in each 4,096 pages, and `FreePages`: what may be allocated (lowest
//! address first), what is pending, and when each page was born where a reader makes that matter. A page is visible to readers r
//! with birth ≤ r < death; it becomes free as soon as no such reader is open, the pages of old freelists and those taken at
//! the high-water mark included. How all of them are listed in the file is `freelist.rs`'s. Never does I/O. Limits: one bit a page below the highest
//! that was ever free, twice; a search for a run of several pages looks at one summary for each 4,096 pages.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::error::{Damage, Rule};
use crate::freelist::Listed;

/// Pages a segment stands for.
const SEGMENT_PAGES: u64 = 4096;
/// Words of 64 pages in a segment.
const WORDS: usize = (SEGMENT_PAGES / 64) as usize;
/// Freed runs for which room is kept from one commit to the next.
const FRESH_KEPT: usize = 4096;

/// Runs that are remembered: of the state at hand, of the one before, and one more for a reader that holds that one.
const RECENT: usize = 3;
/// Free runs that are looked at for one of a few pages.
const RUNS_LOOKED_AT: usize = 64;

/// A set of page ids: bits in segments of 4,096, a segment allocated when it gets its first member and kept from then on.
#[derive(Debug, Default, Clone)]
pub(crate) struct PageSet {
    segments: Vec<Option<Box<Segment>>>,
    /// Members in each segment, side by side: what is counted over thousands of segments at a time.
    counts: Vec<u32>,
    count: u64,
    /// No word of 64 pages below this one has a member.
    lowest: u64,
}

#[derive(Debug, Clone)]
struct Segment {
    words: [u64; WORDS],
    /// The runs at the segment's beginning, longest inside, at its end; `None` after a change.
    runs: Option<Runs>,
}

#[derive(Debug, Clone, Copy)]
struct Runs {
    first: u32,
    longest: u32,
    last: u32,
}

impl Segment {
    /// The runs of members inside this segment, each as long as it is here: first page and length, ascending.
    fn each_run(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = self.next(at, 0)?;
            at = self.next(start, u64::MAX).unwrap_or(SEGMENT_PAGES as u32);
            Some((start, at - start))
        })
    }

    /// The first page from `at` on that is a member (`flip` all zeros), or that is none (all ones).
    fn next(&self, at: u32, flip: u64) -> Option<u32> {
        let mut word = at as usize / 64;
        let mut bits = (self.words.get(word)? ^ flip) & u64::MAX << (at % 64);
        while bits == 0 {
            word += 1;
            bits = self.words.get(word)? ^ flip;
        }
        Some(word as u32 * 64 + bits.trailing_zeros())
    }

    fn runs(&mut self) -> Runs {
        if let Some(runs) = self.runs {
            return runs;
        }
        let mut runs = Runs { first: 0, longest: 0, last: 0 };
        for (start, length) in self.each_run() {
            if start == 0 {
                runs.first = length;
            }
            if start + length == SEGMENT_PAGES as u32 {
                runs.last = length;
            }
            runs.longest = runs.longest.max(length);
        }
        self.runs = Some(runs);
        runs
    }

    /// The first run of at least `length` members inside this segment.
    fn find(&self, length: u32) -> Option<u32> {
        self.each_run().find(|&(_, found)| found >= length).map(|(start, _)| start)
    }
}

impl PageSet {
    /// Number of members.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    #[inline]
    fn place(word: u64) -> (usize, usize) {
        ((word / WORDS as u64) as usize, (word % WORDS as u64) as usize)
    }

    /// Members among pages 64 × `word` to 64 × `word` + 63, as bits.
    #[inline]
    pub(crate) fn bits(&self, word: u64) -> u64 {
        let (segment, word) = Self::place(word);
        match self.segments.get(segment) {
            Some(Some(segment)) => segment.words[word],
            _ => 0,
        }
    }

    #[cold]
    fn make_segment<'a>(
        segments: &'a mut Vec<Option<Box<Segment>>>,
        counts: &mut Vec<u32>,
        index: usize,
    ) -> &'a mut Segment {
        if index >= segments.len() {
            segments.resize_with(index + 1, || None);
            counts.resize(index + 1, 0);
        }
        segments[index].insert(Box::new(Segment { words: [0; WORDS], runs: None }))
    }

    /// Adds the `number` pages of `bits` in a word of 64 pages; if some are members already, changes nothing and gives those.
    #[inline]
    fn add(&mut self, word: u64, bits: u64, number: u32) -> Result<(), u64> {
        let (index, inside) = Self::place(word);
        let segment = match self.segments.get_mut(index) {
            Some(Some(segment)) => segment,
            _ => Self::make_segment(&mut self.segments, &mut self.counts, index),
        };
        let old = segment.words[inside];
        if old & bits != 0 {
            return Err(old & bits);
        }
        segment.words[inside] = old | bits;
        segment.runs = None;
        self.counts[index] += number;
        self.count += u64::from(number);
        self.lowest = self.lowest.min(word);
        Ok(())
    }

    /// Removes the `number` pages of `bits` in a word of 64 pages, all of which are members.
    #[inline]
    fn remove(&mut self, word: u64, bits: u64, number: u32) {
        let (index, inside) = Self::place(word);
        let Some(Some(segment)) = self.segments.get_mut(index) else { return };
        segment.words[inside] &= !bits;
        segment.runs = None;
        self.counts[index] -= number;
        self.count -= u64::from(number);
    }

    /// Whether `page` is a member.
    pub(crate) fn contains(&self, page: u64) -> bool {
        self.bits(page / 64) >> (page % 64) & 1 == 1
    }

    /// Whether every page of `run` is a member.
    pub(crate) fn contains_run(&self, run: Run) -> bool {
        run.words().all(|(word, mask)| self.bits(word) & mask == mask)
    }

    /// Adds `page`; false if it was a member already.
    #[inline]
    pub(crate) fn insert(&mut self, page: u64) -> bool {
        self.add(page / 64, 1 << (page % 64), 1).is_ok()
    }

    /// Removes everything, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        for (segment, count) in self.segments.iter_mut().zip(&mut self.counts) {
            if let (Some(segment), 1..) = (segment, std::mem::take(count)) {
                **segment = Segment { words: [0; WORDS], runs: None };
            }
        }
        self.count = 0;
    }

    /// Adds every page of `run`; if some are members already, changes nothing and gives the first.
    #[inline]
    pub(crate) fn insert_run(&mut self, run: Run) -> Result<(), u64> {
        // Nearly all runs are one page.
        if run.length == 1 {
            return if self.insert(run.start) { Ok(()) } else { Err(run.start) };
        }
        for (word, mask) in run.words() {
            if let Err(twice) = self.add(word, mask, mask.count_ones()) {
                let done = run.words().take_while(|&(done, _)| done < word);
                done.for_each(|(word, mask)| self.remove(word, mask, mask.count_ones()));
                return Err(word * 64 + u64::from(twice.trailing_zeros()));
            }
        }
        Ok(())
    }

    /// Removes every page of `run`, which are members.
    #[inline]
    pub(crate) fn remove_run(&mut self, run: Run) {
        debug_assert!(self.contains_run(run), "what is removed is there");
        if run.length == 1 {
            return self.remove(run.start / 64, 1 << (run.start % 64), 1);
        }
        run.words().for_each(|(word, mask)| self.remove(word, mask, mask.count_ones()));
    }

    /// Removes the lowest member and gives it.
    #[inline]
    pub(crate) fn take_lowest(&mut self) -> Option<u64> {
        let mut bits = self.bits(self.lowest);
        if bits == 0 {
            self.lowest = self.lowest_word()?;
            bits = self.bits(self.lowest);
        }
        self.remove(self.lowest, bits & bits.wrapping_neg(), 1);
        Some(self.lowest * 64 + u64::from(bits.trailing_zeros()))
    }

    /// The lowest word with a member.
    fn lowest_word(&self) -> Option<u64> {
        let (index, inside) = Self::place(self.lowest);
        let word = |index: usize, from: usize| {
            let words = &self.segments[index].as_ref()?.words;
            let inside = from + words[from..].iter().position(|&word| word != 0)?;
            Some((index * WORDS + inside) as u64)
        };
        if self.counts.get(index).is_some_and(|&count| count > 0)
            && let Some(found) = word(index, inside)
        {
            return Some(found);
        }
        let next = index + 1 + self.counts.get(index + 1..)?.iter().position(|&count| count > 0)?;
        word(next, 0)
    }

    /// Calls `each` with every word of `words`, ascending, and the number of members below it.
    pub(crate) fn ranks(&self, words: impl Iterator<Item = u64>, mut each: impl FnMut(u64, u64)) {
        let (mut at, mut below) = (0, 0);
        for word in words {
            let (segment, inside) = Self::place(word);
            let segment = segment.min(self.counts.len());
            below += self.counts[at..segment].iter().map(|&count| u64::from(count)).sum::<u64>();
            at = segment;
            let before = match self.segments.get(segment) {
                Some(Some(segment)) => segment.words[..inside].iter().map(|bits| bits.count_ones()).sum(),
                _ => 0,
            };
            each(word, below + u64::from(before));
        }
    }

    /// The members from the one on that has `rank` members below it, as little-endian words, as far as there is room; the bytes that were filled.
    pub(crate) fn render(&self, rank: u64, room: &mut [u8]) -> usize {
        let mut skip = rank;
        let mut slots = room.chunks_exact_mut(8);
        let mut left = slots.len();
        for (index, segment) in self.segments.iter().enumerate() {
            let count = u64::from(self.counts[index]);
            if skip >= count {
                skip -= count;
                continue;
            }
            let Some(segment) = segment else { continue };
            let mut base = index as u64 * SEGMENT_PAGES;
            for &bits in &segment.words {
                let mut bits = bits;
                let here = u64::from(bits.count_ones());
                if skip >= here {
                    skip -= here;
                } else {
                    while skip > 0 {
                        bits &= bits - 1;
                        skip -= 1;
                    }
                    let whole = bits == u64::MAX && left >= 64;
                    let next = if whole { 64 } else { (bits.count_ones() as usize).min(left) };
                    for (nth, slot) in slots.by_ref().take(next).enumerate() {
                        let bit = if whole { nth as u64 } else { u64::from(bits.trailing_zeros()) };
                        slot.copy_from_slice(&(base + bit).to_le_bytes());
                        bits &= bits.wrapping_sub(1);
                    }
                    left -= next;
                    if left == 0 {
                        return room.len() / 8 * 8;
                    }
                }
                base += 64;
            }
        }
        room.len() / 8 * 8 - 8 * left
    }

    /// The lowest run of `length` consecutive members, which stay members.
    pub(crate) fn lowest_run(&mut self, length: u64) -> Option<u64> {
        if length == 0 || length > self.count {
            return None;
        }
        self.lowest = self.lowest_word()?;
        // Members right before the segment at hand, which a run may begin with.
        let mut carried = 0;
        for index in Self::place(self.lowest).0..self.segments.len() {
            let base = index as u64 * SEGMENT_PAGES;
            let count = u64::from(self.counts[index]);
            let runs = match &mut self.segments[index] {
                Some(segment) if count > 0 => {
                    // After a change the run itself is found sooner than all there is to know of runs.
                    if carried == 0
                        && segment.runs.is_none()
                        && let Some(start) =
                            u32::try_from(length).ok().and_then(|length| segment.find(length))
                    {
                        return Some(base + u64::from(start));
                    }
                    segment.runs()
                }
                _ => {
                    carried = 0;
                    continue;
                }
            };
            if carried + u64::from(runs.first) >= length {
                return Some(base - carried);
            }
            if u64::from(runs.longest) >= length {
                let found = self.segments[index].as_ref()?.find(length as u32);
                return found.map(|start| base + u64::from(start));
            }
            carried = if count == SEGMENT_PAGES { carried + SEGMENT_PAGES } else { u64::from(runs.last) };
        }
        None
    }

    /// The lowest run of `most` members, or the longest that is shorter, among the lowest [`RUNS_LOOKED_AT`]; they stay members. Runs end
    /// where segments do.
    pub(crate) fn roomy_run(&mut self, most: u64) -> Option<Run> {
        self.lowest = self.lowest_word()?;
        let first = Self::place(self.lowest).0;
        let there = self.segments.iter().zip(&self.counts).enumerate().skip(first);
        let runs = there.filter(|&(_, (_, &count))| count > 0).flat_map(|(index, (segment, _))| {
            let base = index as u64 * SEGMENT_PAGES;
            let runs = segment.iter().flat_map(|segment| segment.each_run());
            runs.map(move |(start, length)| Run { start: base + u64::from(start), length: length.into() })
        });
        let mut best: Option<Run> = None;
        for run in runs.take(RUNS_LOOKED_AT) {
            if run.length >= most {
                return Some(Run { length: most, ..run });
            }
            if best.is_none_or(|best| best.length < run.length) {
                best = Some(run);
            }
        }
        best
    }

    /// All members, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.segments.iter().enumerate().flat_map(|(index, segment)| {
            let words = segment.as_ref().map_or(&[][..], |segment| &segment.words[..]);
            words.iter().enumerate().flat_map(move |(word, &bits)| {
                let base = index as u64 * SEGMENT_PAGES + word as u64 * 64;
                let mut bits = bits;
                std::iter::from_fn(move || {
                    let bit = (bits != 0).then(|| u64::from(bits.trailing_zeros()))?;
                    bits &= bits - 1;
                    Some(base + bit)
                })
            })
        })
    }
}

/// One page allocation: its first page and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first page.
    pub start: u64,
    /// How many.
    pub length: u64,
}

impl Run {
    /// The words of 64 pages it lies in, with the bits of its pages.
    pub(crate) fn words(self) -> impl Iterator<Item = (u64, u64)> {
        let end = self.start + self.length;
        (self.start / 64..end.div_ceil(64)).map(move |word| {
            let (low, high) = (self.start.max(word * 64) % 64, end.min(word * 64 + 64) - word * 64);
            (word, u64::MAX >> (64 - (high - low)) << low)
        })
    }

    /// Whether any page is in both.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.start < other.start + other.length && other.start < self.start + self.length
    }
}

/// A freed allocation that some reader may still see.
#[derive(Debug, Clone, Copy)]
struct Pending {
    run: Run,
    /// Visible to readers from this transaction on; 0 if not known.
    birth: u64,
    /// Not visible to readers from this transaction on.
    death: u64,
}

/// Every page that is not in use.
#[derive(Debug, Default)]
pub struct FreePages {
    /// What may be allocated.
    free: PageSet,
    /// Free and pending: what the freelist page lists.
    pub(crate) listed: Listed,
    /// Freed by the last commits, not yet looked at against the readers.
    fresh: Vec<Pending>,
    /// Waiting, by the oldest reader that sees them: looked at again only when that one is gone.
    blocked: BTreeMap<u64, Vec<Pending>>,
    /// Where small commits put their pages side by side, the latest last: mostly they find room there again.
    recent: Vec<Run>,
    /// The transaction that allocated a run (by its first page), recorded only while a reader is open that is older.
    births: FxHashMap<u64, u64>,
}

impl FreePages {
    /// Begins with `ids`, all of them free.
    ///
    /// # Errors
    /// The first id that comes twice.
    pub fn new(ids: impl Iterator<Item = u64>) -> Result<Self, u64> {
        let mut free = PageSet::default();
        for id in ids {
            if !free.insert(id) {
                return Err(id);
            }
        }
        Ok(Self { listed: Listed::new(free.clone()), free, ..Self::default() })
    }

    /// Pages that can be allocated now.
    pub fn free_count(&self) -> u64 {
        self.free.count()
    }

    /// Pages that wait for a reader or for the next write transaction.
    pub fn pending_count(&self) -> u64 {
        self.listed.count() - self.free.count()
    }

    /// Free and pending pages, ascending.
    pub(crate) fn listed(&self) -> impl Iterator<Item = u64> + '_ {
        self.listed.iter()
    }

    /// Frees what no reader in `held` (ascending) can see.
    pub fn release(&mut self, held: &[u64]) {
        if held.is_empty() {
            // Nobody who begins from here on sees an older state, so no birth matters any more.
            self.births.clear();
        }
        let gone: Vec<u64> =
            self.blocked.keys().copied().filter(|reader| held.binary_search(reader).is_err()).collect();
        for reader in gone {
            let waiting = self.blocked.remove(&reader).unwrap_or_default();
            self.fresh.extend(waiting);
        }
        let mut fresh = std::mem::take(&mut self.fresh);
        for pending in fresh.drain(..) {
            let oldest = held.partition_point(|&reader| reader < pending.birth);
            match held.get(oldest) {
                Some(&reader) if reader < pending.death => {
                    self.blocked.entry(reader).or_default().push(pending);
                }
                _ => self.make_free(pending.run),
            }
        }
        fresh.shrink_to(FRESH_KEPT);
        self.fresh = fresh;
    }

    fn make_free(&mut self, run: Run) {
        let twice = self.free.insert_run(run);
        debug_assert!(twice.is_ok(), "a page that waited was not free");
    }

    /// The lowest free run of `length` pages.
    #[inline]
    pub fn take(&mut self, length: u64) -> Option<Run> {
        let run = match length {
            1 => Run { start: self.free.take_lowest()?, length },
            _ => {
                let run = Run { start: self.free.lowest_run(length)?, length };
                self.free.remove_run(run);
                run
            }
        };
        self.listed.remove(run);
        // Whatever is written there now, it is no freelist that was known.
        self.listed.forget(run);
        Some(run)
    }

    /// Sets pages of a former freelist aside, all of them free, whose contents are known: they stay listed, but `take` does not find them.
    pub(crate) fn set_aside(&mut self) -> Option<Run> {
        let run = self.listed.best_place(|run| self.free.contains_run(run))?;
        self.free.remove_run(run);
        Some(run)
    }

    /// Sets a run of `most` pages aside, or of fewer, but at least of `least`: they stay listed, but `take` does not find them.
    pub(crate) fn set_several_aside(&mut self, most: u64, least: u64) -> Option<Run> {
        let mut best = self.free.roomy_run(most);
        for run in &self.recent {
            let mut length = 0;
            for page in run.start..run.start + run.length {
                length = if self.free.contains(page) { length + 1 } else { 0 };
                if length > best.map_or(0, |best| best.length) && length <= most {
                    best = Some(Run { start: page + 1 - length, length });
                }
            }
        }
        let best = best.filter(|run| run.length >= least).or_else(|| {
            let start = self.free.lowest_run(least)?;
            Some(Run { start, length: least })
        })?;
        self.free.remove_run(best);
        Some(best)
    }

    /// Remembers where pages were put side by side.
    pub(crate) fn remember(&mut self, run: Run) {
        self.recent.retain(|known| !known.meets(run));
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push(run);
    }

    /// Takes what was set aside, for whatever is written there now.
    pub(crate) fn take_several(&mut self, run: Run) {
        self.listed.remove(run);
        self.listed.forget(run);
    }

    /// Takes back [`FreePages::set_aside`].
    pub(crate) fn put_back(&mut self, run: Run) {
        self.make_free(run);
    }

    /// Takes what was set aside; as [`FreePages::take`], but what the pages hold stays known.
    pub(crate) fn take_aside(&mut self, run: Run) {
        self.listed.remove(run);
    }

    /// Gives back what `take` gave: the transaction came to nothing.
    pub fn untake(&mut self, run: Run) {
        self.make_free(run);
        let twice = self.listed.insert(run);
        debug_assert!(twice.is_ok(), "a page that was taken was not listed");
    }

    /// Lists `run` as freed by the transaction that is being committed.
    ///
    /// # Errors
    /// [`Rule::FreedTwice`]; nothing of this run is listed then.
    pub fn list(&mut self, run: Run) -> Result<(), Damage> {
        self.listed.insert(run).map_err(|page| Damage {
            page,
            offset: 0,
            rule: Rule::FreedTwice,
            found: page,
            expected: 0,
        })
    }

    /// Takes back a `list`: the transaction came to nothing.
    pub fn unlist(&mut self, run: Run) {
        self.listed.remove(run);
    }

    /// What a durable commit of transaction `txid` changed: `freed` was listed before, `taken` is in use. `readers`: whether any is open.
    pub fn commit(
        &mut self,
        txid: u64,
        freed: impl Iterator<Item = Run>,
        taken: impl Iterator<Item = Run>,
        readers: bool,
    ) {
        for run in freed {
            // Without readers there is none to look for.
            let birth = if self.births.is_empty() { None } else { self.births.remove(&run.start) };
            let birth = birth.unwrap_or(0);
            self.fresh.push(Pending { run, birth, death: txid });
        }
        if readers {
            for run in taken {
                self.births.insert(run.start, txid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(set: &PageSet) -> Vec<u64> {
        set.iter().collect()
    }

    #[test]
    fn the_lowest_run_is_found_across_words_and_segments() {
        let mut set = PageSet::default();
        for page in [3, 5, 6, 63, 64, 65, 4094, 4095, 4096, 4097, 9000] {
            assert!(set.insert(page));
        }
        assert!(!set.insert(65));
        assert_eq!(set.lowest_run(1), Some(3));
        assert_eq!(set.lowest_run(2), Some(5));
        assert_eq!(set.lowest_run(3), Some(63));
        assert_eq!(set.lowest_run(4), Some(4094));
        assert_eq!(set.lowest_run(5), None);
        set.remove_run(run(64, 1));
        assert!(!set.contains(64));
        assert_eq!(set.lowest_run(3), Some(4094));
        assert_eq!(ids(&set), [3, 5, 6, 63, 65, 4094, 4095, 4096, 4097, 9000]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "thirteen thousand insertions")]
    fn runs_longer_than_a_segment_are_found() {
        let mut set = PageSet::default();
        for page in 100..13_000 {
            set.insert(page);
        }
        assert_eq!(set.lowest_run(12_900), Some(100));
        assert_eq!(set.lowest_run(12_901), None);
        set.remove_run(run(5000, 1));
        assert_eq!(set.lowest_run(4901), Some(5001));
        assert_eq!(set.lowest_run(4900), Some(100));
    }

    /// Against the naive answer, over random sets.
    #[test]
    fn runs_agree_with_a_naive_search() {
        let mut seed = 1_u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            seed >> 33
        };
        let mut set = PageSet::default();
        let mut naive = std::collections::BTreeSet::new();
        let rounds = if cfg!(miri) { 5 } else { 4000 };
        for _ in 0..rounds {
            let (start, length) = (random() % 9000, random() % 40);
            let add = random() % 2 == 0;
            for page in start..start + length {
                if add {
                    assert_eq!(set.insert(page), naive.insert(page));
                } else {
                    assert_eq!(set.contains(page), naive.remove(&page));
                    if set.contains(page) {
                        set.remove_run(run(page, 1));
                    }
                }
            }
            let wanted = 1 + random() % 30;
            let mut expected = None;
            let (mut begin, mut previous) = (None, None);
            for &page in &naive {
                if previous != Some(page - 1) || begin.is_none() {
                    begin = Some(page);
                }
                previous = Some(page);
                if page + 1 - begin.unwrap_or(page) >= wanted {
                    expected = begin;
                    break;
                }
            }
            assert_eq!(set.lowest_run(wanted), expected);
            assert_eq!(set.count(), naive.len() as u64);
        }
        assert_eq!(ids(&set), naive.into_iter().collect::<Vec<_>>());
    }

    fn run(start: u64, length: u64) -> Run {
        Run { start, length }
    }

    fn commit(free: &mut FreePages, txid: u64, freed: &[Run], taken: &[Run], readers: bool) {
        for &run in freed {
            free.list(run).unwrap();
        }
        free.commit(txid, freed.iter().copied(), taken.iter().copied(), readers);
    }

    #[test]
    fn a_page_waits_for_exactly_the_readers_that_see_it() {
        let mut free = FreePages::new([10, 11].into_iter()).unwrap();
        // Reader 5 is open. Transaction 6 allocates 10 and frees 20, which 5 sees.
        assert_eq!(free.take(1), Some(run(10, 1)));
        commit(&mut free, 6, &[run(20, 2)], &[run(10, 1)], true);
        free.release(&[5]);
        assert_eq!((free.free_count(), free.pending_count()), (1, 2));
        // Transaction 7 frees 10, born after 5 and seen by nobody: it is free at once.
        commit(&mut free, 7, &[run(10, 1)], &[], true);
        free.release(&[5]);
        assert_eq!(free.take(1), Some(run(10, 1)));
        free.untake(run(10, 1));
        // With a reader at 6 it would have had to wait.
        free.take(1);
        commit(&mut free, 8, &[], &[run(10, 1)], true);
        commit(&mut free, 9, &[run(10, 1)], &[], true);
        free.release(&[5, 8]);
        assert_eq!(free.free_count(), 1, "only 11");
        free.release(&[5, 9]);
        assert_eq!(free.free_count(), 2, "10 and 11");
        free.release(&[9]);
        assert_eq!((free.free_count(), free.pending_count()), (4, 0));
    }

    #[test]
    fn the_lowest_run_that_is_long_enough_is_found_or_else_the_longest() {
        let mut set = PageSet::default();
        assert_eq!(set.roomy_run(2), None);
        for page in [3, 5, 6, 9, 10, 11, 4095, 4096, 4097, 4098, 4099] {
            assert!(set.insert(page));
        }
        assert_eq!(set.roomy_run(2), Some(run(5, 2)));
        assert_eq!(set.roomy_run(3), Some(run(9, 3)));
        // Of 4095 to 4099 the first page lies in another segment.
        assert_eq!(set.roomy_run(4), Some(run(4096, 4)));
        assert_eq!(set.roomy_run(9), Some(run(4096, 4)));
        (0..RUNS_LOOKED_AT as u64).for_each(|nth| assert!(set.insert(100 + 2 * nth)));
        assert_eq!(set.roomy_run(4), Some(run(9, 3)), "no more runs than these are looked at");
        let mut alone = PageSet::default();
        assert!(alone.insert(7));
        assert_eq!(alone.roomy_run(4), Some(run(7, 1)));
    }

    #[test]
    fn where_pages_lay_side_by_side_they_do_again() {
        // Singles enough to hide the run at their end.
        let singles = (10..10 + 4 * RUNS_LOOKED_AT as u64).step_by(2);
        let mut free = FreePages::new(singles.chain(5000..5008)).unwrap();
        assert_eq!(free.set_several_aside(4, 9), None);
        assert_eq!(free.set_several_aside(4, 3), Some(run(5000, 3)), "all runs are looked at, for the least");
        free.put_back(run(5000, 3));
        free.remember(run(5001, 4));
        assert_eq!(free.set_several_aside(9, 3), Some(run(5001, 4)));
        assert_eq!(free.set_several_aside(4, 3), Some(run(5005, 3)));
        free.put_back(run(5005, 3));
        free.take_several(run(5001, 1));
        free.put_back(run(5002, 3));
        assert_eq!(free.set_several_aside(2, 2), Some(run(5002, 2)));
    }

    #[test]
    fn a_reader_at_the_freeing_transaction_does_not_hold_the_page() {
        let mut free = FreePages::default();
        commit(&mut free, 6, &[run(20, 1)], &[], true);
        free.release(&[6]);
        assert_eq!(free.free_count(), 1);
    }

    #[test]
    fn freeing_twice_is_found_and_undone() {
        let mut free = FreePages::new([7].into_iter()).unwrap();
        assert_eq!(free.list(run(5, 4)).unwrap_err().rule, Rule::FreedTwice);
        assert_eq!(free.listed().collect::<Vec<_>>(), [7]);
        // Over several words, too, wherever the first of its pages lies.
        for start in [1, 63, 64, 100] {
            let mut set = PageSet::default();
            assert!(set.insert(200));
            assert_eq!(set.insert_run(run(start, 300)), Err(200));
            assert_eq!((ids(&set), set.count()), (vec![200], 1), "{start}");
        }
        assert!(FreePages::new([4, 4].into_iter()).is_err());
    }
}
