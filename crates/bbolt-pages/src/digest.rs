//! Digests of hot pages: which child of a branch leads to a key, and where in a leaf a key probably stands, without touching the page.
//!
//! Owns two tables of fixed size, one for branches and one for leaves, with a few bytes for each key of a page. Where a **leaf's** digest puts a key is
//! a guess: whoever asks searches the page from there on ([`gallop`](crate::page::gallop)), which is right from any place. Which child a
//! **branch's** digest leads to, and that a key is **not** in a leaf, can be certain, and then the page is not looked at. That rests on five things:
//!
//! - D1: a digest is made by a reader that can reach the page, so of contents that do not change until the page is free again;
//! - D2: a commit makes the table forget each page it is about to write, when no reader can reach the old contents any more and
//!   none can reach the new ones yet: the lock of `readers.rs` lies between each of the three;
//! - D3: a sequence number before and after shows that nobody wrote into the place meanwhile, as in every sequence lock;
//! - D4: heads keep the order of keys that agree where the page's keys all agree, so a head that differs from the sought one decides, and equal
//!   ones decide nothing;
//! - D5: a leaf's numbers are a function of the key's bytes, the same for the key that is sought, and ascend; so where the first of them that is not
//!   below the sought key's is another than that, none of the leaf's keys is the sought one, whatever bytes they have in common.
//!
//! `tests/loom.rs` has models of D2 and D3 for both tables and twins without them. Never follows a reference and never allocates. Limits: pages below 2^32,
//! branches of up to 512 children whose keys agree in at most 64 bytes before they can be told apart; of leaves with more than 36 keys every n-th.

use core::ops::Deref;

use bolt_sync::atomic::{AtomicU64, Ordering, fence};

use crate::map::Words;
use crate::page::{Branch, Leaf};
use crate::scale::{Scale, head};

/// Digests of keys to one word, 15 bits each: the highest bit of each lane is left for the comparison.
const LANES: usize = 4;
/// The highest bit of each lane.
const GUARDS: u64 = 0x8000_8000_8000_8000;
/// One in each lane.
const ONES: u64 = 0x0001_0001_0001_0001;
/// A lane that holds no key: above all digests.
const NO_KEY: u64 = 0x7FFF;
/// The greatest digest.
const MOST: u64 = NO_KEY - 1;
/// Bits of a digest.
const DIGEST_BITS: u32 = 15;
/// Words before a leaf's digests: which page and how to digest; and a word with the upper half of its first key's head above its sequence number. 32 bits
/// come round when 2^31 digests, each of a microsecond or so, were made in one place while one lookup stood still in it.
const LEAF_HEADER: usize = 2;
const LEAF_SEQUENCE: usize = 1;
/// Lower bits of heads that leaves do without.
const LEAF_COARSE: u32 = 32;
/// Words of digests of a leaf: for 36 keys, which makes a place two cache lines.
pub(crate) const GROUPS: usize = 9;
/// Data offsets to a word, in units of which a page has 256.
const OFFSETS: usize = 8;
/// Words before the samples of a branch: tag, sequence number, head of the first key, candidate, and the bytes that all keys have.
const BRANCH_HEADER: usize = 8;
const SEQUENCE: usize = 1;
const LOW: usize = 2;
const CANDIDATE: usize = 3;
const PREFIX: usize = 4;
/// Words of common bytes in the header, and more of them behind the children, where most branches need none.
const NEAR_PREFIX: usize = BRANCH_HEADER - PREFIX;
const FAR_PREFIX: usize = 4;
/// Common bytes that are kept, and so the most before the place where keys differ under which a digest can be certain.
const PREFIX_BYTES: usize = 8 * (NEAR_PREFIX + FAR_PREFIX);
/// Children that share a sample.
pub(crate) const BLOCK: usize = 16;
/// Branches of more children get no digest.
const MOST_CHILDREN: usize = 512;
/// Bytes of an element with a key of eight bytes, as numbers are kept: no page holds more children than its size divided by this, but for shorter keys.
const CHILD_BYTES: usize = 24;
/// Places that a branch may have its digest in.
const WAYS: u64 = 4;
/// 2^32 divided by the golden ratio: multiples of it, cut to 32 bits, lie far from each other.
const SPREAD: u32 = 0x9E37_79B9;
/// A place among a branch's children that holds none: above all heads.
const NO_CHILD: u64 = u64::MAX;
/// Bytes of a processor's cache line, in words.
const LINE: usize = 8;

/// Whether `word` is of `page`.
#[inline(always)]
fn is_of(word: u64, page: u64) -> bool {
    word >> 32 == page && page != 0
}

/// Words of a bit for each of `slots` places, in whole lines.
fn bit_words(slots: usize) -> usize {
    slots.div_ceil(64).next_multiple_of(LINE)
}

/// How many places of `slot_words` fit `words`, with a bit for each in front.
fn places(words: usize, slot_words: usize) -> usize {
    let mut slots = words / slot_words;
    while slots > 0 && bit_words(slots) + slots * slot_words > words {
        slots -= 1;
    }
    slots
}

/// The bit that says whether place `slot` was ever used.
fn used_bit(words: &[AtomicU64], slot: u64) -> (&AtomicU64, u64) {
    (&words[slot as usize / 64], 1 << (slot % 64))
}

/// Writes into the place that `sequence` guards as its only writer (D3); false, and nothing is done, if somebody else writes there. `write` is given
/// the even number that was found, and gives the next, which differs.
fn write_alone(sequence: &AtomicU64, write: impl FnOnce(u64) -> u64) -> bool {
    let before = sequence.load(Ordering::Relaxed);
    // Acquire: what the writer before wrote is not written later than what comes now.
    let turn = before & 1 == 0
        && sequence.compare_exchange(before, before | 1, Ordering::Acquire, Ordering::Relaxed).is_ok();
    if turn {
        // Pairs with the fences of both `guess`.
        fence(Ordering::Release);
        let after = write(before);
        debug_assert!(after != before && after & 1 == 0, "each write is told");
        sequence.store(after, Ordering::Release);
    }
    turn
}

/// What became of a wish to have a page digested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Built {
    /// The page was not asked for often enough, or cannot have a digest.
    No,
    /// In a place that was never used.
    New,
    /// In the place of another page, or anew.
    Again,
}

impl Built {
    /// Whether a digest was `written`, and whether its place was `used_before`.
    fn of(written: bool, used_before: bool) -> Self {
        match (written, used_before) {
            (false, _) => Self::No,
            (true, false) => Self::New,
            (true, true) => Self::Again,
        }
    }
}

/// Where a key probably stands in a leaf.
#[derive(Debug, Clone, Copy)]
pub struct LeafGuess {
    /// The element.
    pub index: usize,
    /// Where its data begins in the page.
    pub data: u64,
    /// Whether the key itself is expected there, and not only its place.
    pub there: bool,
    /// Whether it is certain that the leaf has no such key, as long as the caller can reach the leaf.
    pub absent: bool,
}

/// Digests of leaves: `GROUPS` words of four digests, half as many of eight data offsets.
#[derive(Debug)]
pub struct Leaves<W, const GROUPS: usize> {
    /// A bit for each place that was ever used, then the places.
    words: W,
    /// Where the places begin.
    first: usize,
    mask: u64,
    /// How many bits of a data offset are left out.
    unit_bits: u32,
}

impl<W: Deref<Target = [AtomicU64]>, const GROUPS: usize> Leaves<W, GROUPS> {
    /// Words of offsets; the last has room for the candidate, too.
    const OFFSET_WORDS: usize = (LANES * GROUPS + 4).div_ceil(OFFSETS);
    const FIRST_OFFSETS: usize = LEAF_HEADER + GROUPS;
    const LAST: usize = Self::SLOT - 1;
    const KEYS: usize = LANES * GROUPS;
    /// Words a page takes.
    pub const SLOT: usize = LEAF_HEADER + GROUPS + Self::OFFSET_WORDS;

    /// As many pages as fit `words`, rounded down to a power of two; `None` if not one does.
    pub fn new(words: W, page_size: usize) -> Option<Self> {
        let mask = (1_u64 << places(words.len(), Self::SLOT).checked_ilog2()?) - 1;
        let unit_bits = page_size.next_power_of_two().ilog2().saturating_sub(8);
        Some(Self { words, first: bit_words(mask as usize + 1), mask, unit_bits })
    }

    #[inline(always)]
    fn start(&self, page: u64) -> usize {
        self.first + (page & self.mask) as usize * Self::SLOT
    }

    #[inline(always)]
    fn slot(&self, page: u64) -> &[AtomicU64] {
        let start = self.start(page);
        &self.words[start..start + Self::SLOT]
    }

    #[inline(always)]
    fn offset(slot: &[AtomicU64], at: usize) -> u64 {
        slot[Self::FIRST_OFFSETS + at / OFFSETS].load(Ordering::Relaxed) >> (8 * (at % OFFSETS)) & 0xFF
    }

    /// Where `key` probably stands in leaf `page`; `None` if it has no digest.
    #[inline(always)]
    pub fn guess(&self, page: u64, key: &[u8]) -> Option<LeafGuess> {
        let slot = self.slot(page);
        // Acquire pairs with the Release at the end of `write_alone`.
        let sequence = slot[LEAF_SEQUENCE].load(Ordering::Acquire);
        let word = slot[0].load(Ordering::Relaxed);
        if !is_of(word, page) {
            return None;
        }
        let (scale, step) = Scale::unpack(word, sequence >> LEAF_COARSE << LEAF_COARSE);
        let digest = scale.digest(key, MOST);
        let mut at_least = 0;
        for word in &slot[LEAF_HEADER..LEAF_HEADER + GROUPS] {
            // Each lane: guard + its digest − the one sought; the guard stays where the lane's is not below.
            let above = (word.load(Ordering::Relaxed) | GUARDS).wrapping_sub(digest * ONES) & GUARDS;
            at_least += above >> 15;
        }
        // The sums of the four lanes meet in the highest.
        let below = Self::KEYS - ((at_least.wrapping_mul(ONES) >> 48) as usize).min(Self::KEYS);
        let at = below.min(Self::KEYS - 1);
        let found = slot[LEAF_HEADER + at / LANES].load(Ordering::Relaxed) >> (16 * (at % LANES)) & 0xFFFF;
        let data = Self::offset(slot, at) << self.unit_bits;
        let step = usize::from(step).max(1);
        let there = step == 1 && found == digest;
        // Pairs with the fence of `write_alone` (D3). All but this is right whatever is torn.
        fence(Ordering::Acquire);
        let whole = sequence & 1 == 0 && slot[LEAF_SEQUENCE].load(Ordering::Relaxed) == sequence;
        let absent = step == 1 && found != digest && whole;
        Some(LeafGuess { index: (below * step).saturating_sub(step / 2), data, there, absent })
    }

    /// Whether leaf `page` has a digest that puts element `index` elsewhere than at `data`: it is of other contents then.
    #[inline]
    pub fn is_stale(&self, page: u64, index: usize, data: u64) -> bool {
        let slot = self.slot(page);
        let word = slot[0].load(Ordering::Relaxed);
        let step = usize::from(Scale::unpack(word, 0).1).max(1);
        let at = index / step;
        if !is_of(word, page) || at >= Self::KEYS || !index.is_multiple_of(step) {
            return false;
        }
        Self::offset(slot, at) != data >> self.unit_bits & 0xFF
    }

    /// Digests leaf `page` of `count` keys, each with its data's offset, if it was asked for the second time in a row or if `again` says that there
    /// is an old digest of it. The caller must be able to reach the leaf for as long as this takes (D1).
    pub fn learn<'k>(
        &self,
        page: u64,
        count: usize,
        again: bool,
        key: impl Fn(usize) -> Option<(&'k [u8], u64)>,
    ) -> Built {
        let Ok(candidate) = u32::try_from(page) else { return Built::No };
        let candidate = u64::from(candidate) << 32;
        let slot = self.slot(page);
        let last_word = slot[Self::LAST].load(Ordering::Relaxed);
        if !again && last_word >> 32 << 32 != candidate {
            slot[Self::LAST].store(last_word << 32 >> 32 | candidate, Ordering::Relaxed);
            return Built::No;
        }
        let step = count.div_ceil(Self::KEYS);
        let Ok(extra) = u8::try_from(step) else { return Built::No };
        let Some(scale) = Scale::of(count, |index| Some(key(index)?.0), DIGEST_BITS, LEAF_COARSE) else {
            return Built::No;
        };
        let Some(word) = scale.pack(page, extra) else { return Built::No };
        let (mut digests, mut offsets) = ([0; GROUPS], [0; GROUPS]);
        let mut last = 0;
        for at in 0..Self::KEYS {
            let (digest, data) = match key(at * step) {
                Some((key, data)) if at * step < count => (scale.digest(key, MOST), data),
                _ => (NO_KEY, 0),
            };
            if digest < last {
                // Keys that do not ascend are damage: nothing may be concluded from their numbers (D5).
                return Built::No;
            }
            last = digest;
            digests[at / LANES] |= digest << (16 * (at % LANES));
            offsets[at / OFFSETS] |= (data >> self.unit_bits & 0xFF) << (8 * (at % OFFSETS));
        }
        offsets[Self::OFFSET_WORDS - 1] |= candidate;
        let mut used_before = false;
        let written = write_alone(&slot[LEAF_SEQUENCE], |sequence| {
            let (used, bit) = used_bit(&self.words, page & self.mask);
            used_before = used.fetch_or(bit, Ordering::Relaxed) & bit != 0;
            let places = slot[LEAF_HEADER..].iter().zip(digests.iter().chain(&offsets[..Self::OFFSET_WORDS]));
            places.for_each(|(place, &word)| place.store(word, Ordering::Relaxed));
            slot[0].store(word, Ordering::Relaxed);
            scale.low | u64::from((sequence as u32).wrapping_add(2))
        });
        Built::of(written, used_before)
    }

    /// Forgets what is known of leaf `page`, which is about to be written (D2).
    #[inline]
    pub fn forget(&self, page: u64) {
        let (used, bit) = used_bit(&self.words, page & self.mask);
        if used.load(Ordering::Relaxed) & bit != 0 {
            self.forget_at(page);
        }
    }

    #[cold]
    fn forget_at(&self, page: u64) {
        let slot = self.slot(page);
        if is_of(slot[0].load(Ordering::Relaxed), page) {
            // If somebody else is writing there, it is about another page, whose digest takes the place of this one.
            write_alone(&slot[LEAF_SEQUENCE], |sequence| {
                slot[0].store(0, Ordering::Relaxed);
                sequence & !u64::from(u32::MAX) | u64::from((sequence as u32).wrapping_add(2))
            });
        }
    }
}

// Two cache lines, and the last word of offsets keeps half of itself for the candidate.
const _: () =
    assert!(Leaves::<&[AtomicU64], GROUPS>::SLOT == 2 * LINE && (LANES * GROUPS) % OFFSETS == OFFSETS / 2);

/// Which child of a branch leads to a key.
#[derive(Debug, Clone, Copy)]
pub struct ChildGuess {
    /// Its place among the children.
    pub index: usize,
    /// The child.
    pub child: u64,
    /// Whether that is certain, as long as the caller can reach the branch; else it is a guess.
    pub certain: bool,
    /// Whether the children of this branch are leaves; a guess.
    pub above_leaves: bool,
}

/// Digests of branches: heads of 32 bits with the child beside each, and the last of every `BLOCK` heads once more in front.
#[derive(Debug)]
pub struct Branches<W, const BLOCK: usize> {
    /// A bit for each place that was ever used, then the places.
    words: W,
    /// Where the places begin, how many there are, and words of each.
    first: usize,
    slots: u64,
    slot_words: usize,
    /// How many places a branch has, beside each other: a power of two.
    ways: u64,
    children: usize,
}

impl<W: Deref<Target = [AtomicU64]>, const BLOCK: usize> Branches<W, BLOCK> {
    /// Words for one branch of up to `children` children.
    fn slot_words(children: usize) -> usize {
        BRANCH_HEADER + Self::sample_words(children) + children + FAR_PREFIX.next_multiple_of(LINE)
    }

    fn sample_words(children: usize) -> usize {
        if children > BLOCK { (children / BLOCK).next_multiple_of(LINE) } else { 1 }
    }

    /// As many branches of up to `children` children, a multiple of `BLOCK`, as fit `words`; `None` if not one does.
    pub fn new(words: W, children: usize) -> Option<Self> {
        if children == 0 || !children.is_multiple_of(BLOCK) {
            return None;
        }
        let slot_words = Self::slot_words(children);
        let slots = places(words.len(), slot_words) as u64;
        let ways = 1 << slots.checked_ilog2()?.min(WAYS.ilog2());
        let slots = slots / ways * ways;
        Some(Self { words, first: bit_words(slots as usize), slots, slot_words, ways, children })
    }

    fn samples(&self) -> usize {
        self.children / BLOCK
    }

    fn first_child(&self) -> usize {
        BRANCH_HEADER + Self::sample_words(self.children)
    }

    /// The first of the places of `page`. Numbers of branches often lie a fixed way from each other, which taken as they are would put many into one place.
    #[inline(always)]
    fn home(&self, page: u64) -> u64 {
        (u64::from((page as u32).wrapping_mul(SPREAD)) * self.slots) >> u32::BITS
    }

    /// The places of `page`: its home, and those beside it, if it is another page's.
    #[inline(always)]
    fn places_of(&self, page: u64) -> impl Iterator<Item = u64> + use<W, BLOCK> {
        let home = self.home(page);
        (0..self.ways).map(move |way| home ^ way)
    }

    /// Where a place starts.
    #[inline(always)]
    fn start(&self, place: u64) -> usize {
        self.first + place as usize * self.slot_words
    }

    #[inline(always)]
    fn slot(&self, place: u64) -> &[AtomicU64] {
        let start = self.start(place);
        &self.words[start..start + self.slot_words]
    }

    /// The place that holds a digest of `page`.
    #[inline(always)]
    fn place_of(&self, page: u64) -> Option<u64> {
        let holds = |place| is_of(self.slot(place)[0].load(Ordering::Relaxed), page);
        let home = self.home(page);
        if holds(home) { Some(home) } else { self.place_beside(page) }
    }

    #[inline(never)]
    fn place_beside(&self, page: u64) -> Option<u64> {
        let holds = |place: &u64| is_of(self.slot(*place)[0].load(Ordering::Relaxed), page);
        self.places_of(page).skip(1).find(holds)
    }

    /// Which child of branch `page` leads to `key`; `None` if it has no digest.
    #[inline(always)]
    pub fn guess(&self, page: u64, key: &[u8]) -> Option<ChildGuess> {
        let slot = self.slot(self.place_of(page)?);
        // Acquire pairs with the Release at the end of `write_alone`: who sees the number sees what was written under it.
        let sequence = slot[SEQUENCE].load(Ordering::Acquire);
        let word = slot[0].load(Ordering::Relaxed);
        if !is_of(word, page) {
            return None;
        }
        let (scale, above_leaves) = Scale::unpack(word, slot[LOW].load(Ordering::Relaxed));
        let digest = scale.digest(key, u64::from(u32::MAX) - 1);
        // The highest word that a child with this head can have.
        let bound = digest << 32 | u64::from(u32::MAX);
        let count = |words: &[AtomicU64]| -> usize {
            words.iter().map(|word| usize::from(word.load(Ordering::Relaxed) <= bound)).sum()
        };
        let block = count(&slot[BRANCH_HEADER..BRANCH_HEADER + self.samples()]).min(self.samples() - 1);
        let children = &slot[self.first_child()..];
        let not_above = block * BLOCK + count(&children[block * BLOCK..(block + 1) * BLOCK]);
        let index = not_above.saturating_sub(1);
        let entry = children[index].load(Ordering::Relaxed);
        // D4: the head below is below and the one behind is above, or the first is above already.
        let mut certain = not_above == 0 || entry >> 32 != digest;
        if scale.common_end() != 0 {
            certain &= self.shares_bytes(slot, key, scale);
        }
        // Pairs with the fence of `write_alone`: if any word above came from a later write, the number read now is that write's or a later one (D3).
        fence(Ordering::Acquire);
        certain &= sequence & 1 == 0 && slot[SEQUENCE].load(Ordering::Relaxed) == sequence;
        Some(ChildGuess { index, child: u64::from(entry as u32), certain, above_leaves: above_leaves != 0 })
    }

    /// Where word `word` of the common bytes stands.
    #[inline(always)]
    fn prefix_word(&self, word: usize) -> usize {
        if word < NEAR_PREFIX {
            PREFIX + word
        } else {
            self.first_child() + self.children + word - NEAR_PREFIX
        }
    }

    /// Whether `key` has the bytes that all separators have before the last that differ (D4).
    #[inline(always)]
    fn shares_bytes(&self, slot: &[AtomicU64], key: &[u8], scale: Scale) -> bool {
        let end = scale.common_end();
        end <= key.len().min(PREFIX_BYTES)
            && (0..end.div_ceil(8)).all(|word| {
                let common = slot[self.prefix_word(word)].load(Ordering::Relaxed);
                (common ^ head(key, 8 * word)) & scale.common_bytes(word) == 0
            })
    }

    /// Whether branch `page` has a digest with another child in place `index` than `child`.
    #[inline]
    pub fn is_stale(&self, page: u64, index: usize, child: u64) -> bool {
        let Some(place) = self.place_of(page) else { return false };
        let slot = self.slot(place);
        index < self.children
            && u64::from(slot[self.first_child() + index].load(Ordering::Relaxed) as u32) != child
    }

    /// Digests branch `page` of `count` children; the conditions are those of [`Leaves::learn`]. `key` gives separator and child. The caller must be
    /// able to reach the page for as long as this takes (D1).
    pub fn learn<'k>(
        &self,
        page: u64,
        count: usize,
        again: bool,
        above_leaves: bool,
        key: impl Fn(usize) -> Option<(&'k [u8], u64)>,
    ) -> Built {
        if count == 0 || count > self.children {
            return Built::No;
        }
        let free = |place: &u64| self.slot(*place)[0].load(Ordering::Relaxed) == 0;
        let home = self.home(page);
        let place = self.place_of(page).or(self.places_of(page).find(free)).unwrap_or(home);
        let slot = self.slot(place);
        if !again && slot[CANDIDATE].load(Ordering::Relaxed) != page {
            slot[CANDIDATE].store(page, Ordering::Relaxed);
            return Built::No;
        }
        let Some((first, _)) = key(0) else { return Built::No };
        let Some(scale) = Scale::of(count, |index| Some(key(index)?.0), u32::BITS, 0) else {
            return Built::No;
        };
        let Some(word) = scale.pack(page, u8::from(above_leaves)) else { return Built::No };
        if (0..count).any(|index| key(index).is_none_or(|(_, child)| child > u64::from(u32::MAX))) {
            return Built::No;
        }
        let mut used_before = false;
        let written = write_alone(&slot[SEQUENCE], |sequence| {
            let (used, bit) = used_bit(&self.words, place);
            used_before = used.fetch_or(bit, Ordering::Relaxed) & bit != 0;
            slot[LOW].store(scale.low, Ordering::Relaxed);
            for word in 0..scale.common_end().min(PREFIX_BYTES).div_ceil(8) {
                slot[self.prefix_word(word)].store(head(first, 8 * word), Ordering::Relaxed);
            }
            let first_child = self.first_child();
            for index in 0..self.children {
                let entry = match key(index) {
                    Some((key, child)) if index < count => {
                        scale.digest(key, u64::from(u32::MAX) - 1) << 32 | child
                    }
                    _ => NO_CHILD,
                };
                slot[first_child + index].store(entry, Ordering::Relaxed);
                if index % BLOCK == BLOCK - 1 {
                    slot[BRANCH_HEADER + index / BLOCK].store(entry, Ordering::Relaxed);
                }
            }
            slot[0].store(word, Ordering::Relaxed);
            sequence.wrapping_add(2)
        });
        Built::of(written, used_before)
    }

    /// Forgets what is known of branch `page`, which is about to be written (D2).
    #[inline]
    pub fn forget(&self, page: u64) {
        for place in self.places_of(page) {
            let (used, bit) = used_bit(&self.words, place);
            if used.load(Ordering::Relaxed) & bit != 0 {
                self.forget_at(place, page);
            }
        }
    }

    #[cold]
    fn forget_at(&self, place: u64, page: u64) {
        let slot = self.slot(place);
        if is_of(slot[0].load(Ordering::Relaxed), page) {
            // If somebody else is writing there, it is about another page, whose digest takes the place of this one.
            write_alone(&slot[SEQUENCE], |sequence| {
                slot[0].store(0, Ordering::Relaxed);
                sequence.wrapping_add(2)
            });
        }
    }
}

/// Both tables, and how much of them is in use.
#[derive(Debug)]
pub(crate) struct Digests {
    branches: Branches<Words, BLOCK>,
    leaves: Leaves<Words, GROUPS>,
    used_bytes: AtomicU64,
    built: AtomicU64,
}

impl Digests {
    /// Of a total of `bytes` this share is for branches, of which there are few, but each is larger.
    const BRANCH_SHARE: usize = 2;

    /// Tables of at most `bytes` together; `None` if that is too little, or if the system has no address space for them.
    pub(crate) fn new(bytes: u64, page_size: u64) -> Option<Self> {
        let words = usize::try_from(bytes / 8).ok()?;
        let page_size = usize::try_from(page_size).ok()?;
        // The bits in front of the leaves come from the other share, which is no power of two's multiple.
        let leaf_share = words - words / Self::BRANCH_SHARE;
        let leaf_words = leaf_share + bit_words(leaf_share / Leaves::<Words, GROUPS>::SLOT);
        let branch_words = words.saturating_sub(leaf_words);
        let children = (page_size / CHILD_BYTES).next_multiple_of(BLOCK).clamp(BLOCK, MOST_CHILDREN);
        // Whether a table can have a single place is seen before memory is asked for.
        if branch_words < Branches::<Words, BLOCK>::slot_words(children) {
            return None;
        }
        Some(Self {
            branches: Branches::new(Words::zeroed(branch_words).ok()?, children)?,
            leaves: Leaves::new(Words::zeroed(leaf_words).ok()?, page_size)?,
            used_bytes: AtomicU64::new(0),
            built: AtomicU64::new(0),
        })
    }

    /// Bytes of the places that are in use, and how many digests were made.
    pub(crate) fn figures(&self) -> (u64, u64) {
        (self.used_bytes.load(Ordering::Relaxed), self.built.load(Ordering::Relaxed))
    }

    /// Forgets what is known of page `page`, which a commit is about to write.
    #[inline]
    pub(crate) fn forget(&self, page: u64) {
        self.branches.forget(page);
        self.leaves.forget(page);
    }

    #[inline(always)]
    pub(crate) fn child(&self, page: u64, key: &[u8]) -> Option<ChildGuess> {
        self.branches.guess(page, key)
    }

    #[inline(always)]
    pub(crate) fn leaf(&self, page: u64, key: &[u8]) -> Option<LeafGuess> {
        self.leaves.guess(page, key)
    }

    /// Asks the processor for the digest of a page that will be looked at next.
    #[inline(always)]
    pub(crate) fn prefetch(&self, page: u64, is_leaf: bool) {
        if is_leaf {
            self.leaves.words.prefetch(self.leaves.start(page), Leaves::<Words, GROUPS>::SLOT / LINE);
        } else {
            let lines = (BRANCH_HEADER + self.branches.samples()).div_ceil(LINE);
            self.branches.words.prefetch(self.branches.start(self.branches.home(page)), lines);
        }
    }

    /// Notes that branch `page` was searched without help, or found another child than its digest said.
    #[cold]
    pub(crate) fn learn_branch(&self, branch: &Branch<'_>, above_leaves: bool, again: bool) {
        let key = |index| Some((branch.key(index).ok()?, branch.child(index).ok()?));
        let built = self.branches.learn(branch.page(), branch.count(), again, above_leaves, key);
        self.count(built, self.branches.slot_words);
    }

    /// Notes that a leaf was searched without help, or had the key elsewhere than its digest said.
    #[cold]
    pub(crate) fn learn_leaf(&self, leaf: &Leaf<'_>, again: bool) {
        let key = |index| Some((leaf.key(index).ok()?, leaf.data_hint(index)));
        let built = self.leaves.learn(leaf.page(), leaf.count(), again, key);
        self.count(built, Leaves::<Words, GROUPS>::SLOT);
    }

    fn count(&self, built: Built, words: usize) {
        if built == Built::New {
            self.used_bytes.fetch_add(8 * words as u64, Ordering::Relaxed);
        }
        if built != Built::No {
            self.built.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Corrects the digest of a branch whose child `index` is not the one that was guessed.
    #[cold]
    pub(crate) fn correct_branch(&self, branch: &Branch<'_>, index: usize, child: u64, above_leaves: bool) {
        if self.branches.is_stale(branch.page(), index, child) {
            self.learn_branch(branch, above_leaves, true);
        }
    }

    /// Corrects the digest of a leaf that had a key, or its place, at `index` and not where it was guessed.
    #[cold]
    pub(crate) fn correct_leaf(&self, leaf: &Leaf<'_>, index: usize) {
        if index < leaf.count() && self.leaves.is_stale(leaf.page(), index, leaf.data_hint(index)) {
            self.learn_leaf(leaf, true);
        }
    }
}

#[cfg(all(test, not(bolt_loom)))]
mod tests {
    use super::*;
    use crate::page::{compare_keys, gallop};

    fn words(count: usize) -> Vec<AtomicU64> {
        (0..count).map(|_| AtomicU64::new(0)).collect()
    }

    fn random(seed: &mut u64, below: u64) -> u64 {
        *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*seed >> 33) % below
    }

    /// Keys of many kinds: short, with zeros at the end, long shared prefixes, few different bytes, all alike but for the tail.
    fn key(seed: &mut u64, kind: u64) -> Vec<u8> {
        let any = |seed: &mut u64, length: u64, bytes: u64| -> Vec<u8> {
            (0..length).map(|_| random(seed, bytes) as u8).collect()
        };
        match kind {
            6 => {
                let mut key = b"t00/object/by-name/and-more-that-all-keys-have/".to_vec();
                (key[1], key[2]) = (b'0' + random(seed, 2) as u8, b'0' + random(seed, 10) as u8);
                key.truncate(if random(seed, 20) == 0 {
                    random(seed, 47) as usize
                } else {
                    3 + random(seed, 30) as usize * 2
                });
                [key, any(seed, 6, 4)].concat()
            }
            7 => {
                let tenant = random(seed, 5) as u8;
                let mut key = [&[7; 3][..], &[tenant], b"/object/by-name/", &any(seed, 5, 256)].concat();
                if random(seed, 16) == 0 {
                    key[9] = random(seed, 256) as u8;
                }
                key
            }
            0 => any(seed, 16, 256),
            1 => {
                let length = 1 + random(seed, 4);
                any(seed, length, 3)
            }
            2 => [b"tenant-00/object/".as_slice(), &any(seed, 6, 4)].concat(),
            3 => [vec![7; 40], any(seed, 3, 256)].concat(),
            4 => {
                let length = 1 + random(seed, 30);
                any(seed, length, 2)
            }
            _ => [vec![0; random(seed, 12) as usize], vec![1 + random(seed, 255) as u8]].concat(),
        }
    }

    /// Kinds of keys.
    const KINDS: u64 = 8;

    fn keys(seed: &mut u64, kind: u64, most: u64) -> Vec<Vec<u8>> {
        let wanted = 1 + random(seed, most);
        let mut keys: Vec<Vec<u8>> = (0..wanted).map(|_| key(seed, kind)).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    #[test]
    fn what_a_branch_says_for_certain_is_true() {
        let (mut seed, mut certain, mut asked) = (3, 0, 0);
        let rounds = if cfg!(miri) { 12 } else { 1500 };
        for round in 0..rounds {
            let table = Branches::<_, 16>::new(words(600), 128).unwrap();
            let separators = keys(&mut seed, round % KINDS, 128);
            let at = |index: usize| separators.get(index).map(|key| (&key[..], 100 + index as u64));
            assert_eq!(table.learn(9, separators.len(), true, true, at), Built::New);
            for other in 0..60 {
                // Of the same kind, of another, and the separators themselves.
                let sought = match other % 3 {
                    0 => key(&mut seed, round % KINDS),
                    1 => key(&mut seed, other % KINDS),
                    _ => separators[random(&mut seed, separators.len() as u64) as usize].clone(),
                };
                let expected = separators.partition_point(|key| *key <= sought).saturating_sub(1);
                let guess = table.guess(9, &sought).unwrap();
                if guess.certain {
                    assert_eq!((guess.index, guess.child), (expected, 100 + expected as u64), "{sought:?}");
                    certain += 1;
                }
                asked += u32::from(other % 3 == 0 && round % KINDS == 0);
            }
            assert!(table.guess(9 + 64, b"k").is_none(), "another page");
            table.forget(9);
            assert!(table.guess(9, b"k").is_none());
        }
        assert!(certain >= asked, "random keys are told apart for certain: {certain} of {asked}");
    }

    #[test]
    fn a_search_is_right_from_any_guess_and_short_from_a_good_one() {
        let (mut seed, mut looked_at, mut searches) = (5, 0, 0);
        let rounds = if cfg!(miri) { 4 } else { 1500 };
        for round in 0..rounds {
            let table = Leaves::<_, GROUPS>::new(words(64), 4096).unwrap();
            let all = keys(&mut seed, round % KINDS, 90);
            let at = |index: usize| all.get(index).map(|key| (&key[..], 40 * index as u64));
            assert_eq!(table.learn(5, all.len(), false, at), Built::No, "only when asked again");
            assert_eq!(table.learn(5, all.len(), false, at), Built::New);
            for other in 0..60 {
                let sought = if other % 2 == 0 {
                    all[random(&mut seed, all.len() as u64) as usize].clone()
                } else {
                    key(&mut seed, round % KINDS)
                };
                let expected = all.binary_search(&sought);
                let expected = (expected.unwrap_or_else(|place| place), expected.is_ok());
                let guess = table.guess(5, &sought).unwrap();
                for from in [guess.index, random(&mut seed, 200) as usize] {
                    let found = gallop(all.len(), from, |index| {
                        looked_at += u32::from(from == guess.index && round % KINDS == 0 && all.len() <= 36);
                        Ok::<_, ()>(compare_keys(&all[index], &sought))
                    });
                    assert_eq!(found, Ok(expected));
                }
                searches += u32::from(round % KINDS == 0 && all.len() <= 36);
                if guess.there {
                    assert!(guess.data.abs_diff(40 * guess.index as u64) < 16, "{guess:?}");
                }
                let place = expected.0.min(all.len() - 1);
                assert!(!table.is_stale(5, place, 40 * place as u64));
            }
        }
        assert!(looked_at <= 3 * searches, "{looked_at} keys in {searches} searches");
    }

    #[test]
    fn a_key_said_to_be_absent_is_absent_and_most_are_said_to_be() {
        let (mut seed, mut absent, mut told) = (11, 0, 0);
        let rounds = if cfg!(miri) { 8 } else { 2000 };
        for round in 0..rounds {
            let table = Leaves::<_, GROUPS>::new(words(64), 4096).unwrap();
            // One key, few, as many as a digest holds, and more.
            let all = keys(&mut seed, round % KINDS, [1, 5, 36, 90][(round / KINDS % 4) as usize]);
            let at = |index: usize| all.get(index).map(|key| (&key[..], 40 * index as u64));
            assert_eq!(table.learn(6, all.len(), true, at), Built::New);
            for other in 0..60 {
                let mut sought = match other % 4 {
                    0 => key(&mut seed, round % KINDS),
                    1 => key(&mut seed, other % KINDS),
                    _ => all[random(&mut seed, all.len() as u64) as usize].clone(),
                };
                // As a key that is there, cut off anywhere, longer, and with another byte anywhere.
                match (other % 4, random(&mut seed, 4)) {
                    (3, 0) => sought.truncate(random(&mut seed, sought.len() as u64 + 1) as usize),
                    (3, 1) => sought.push(random(&mut seed, 3) as u8),
                    (3, 2) => {
                        let at = random(&mut seed, sought.len() as u64) as usize;
                        sought[at] ^= 1 << random(&mut seed, 8);
                    }
                    _ => {}
                }
                let there = all.binary_search(&sought).is_ok();
                let guess = table.guess(6, &sought).unwrap();
                assert!(!(there && guess.absent), "{sought:?} in {all:?}");
                // Keys below the first of the leaf look like it; the tree sends them elsewhere.
                let random = round % KINDS == 0 && other % 4 == 0 && sought > all[0];
                if random && (2..=36).contains(&all.len()) && !there {
                    absent += 1;
                    told += u32::from(guess.absent);
                }
            }
            table.forget(6);
            assert!(table.guess(6, b"k").is_none());
        }
        assert!(100 * told >= 99 * absent, "of random keys: {told} of {absent}");
    }

    #[test]
    fn nothing_is_concluded_from_leaves_that_do_not_ascend() {
        let table = Leaves::<_, GROUPS>::new(words(64), 4096).unwrap();
        let keys: [&[u8]; 4] = [b"a", b"x", b"m", b"z"];
        let at = |index: usize| keys.get(index).map(|key| (*key, 0));
        assert_eq!(table.learn(6, keys.len(), true, at), Built::No);
        assert!(table.guess(6, b"m").is_none());
    }

    #[test]
    fn branches_whose_numbers_lie_a_fixed_way_apart_all_keep_their_digests() {
        let table = Branches::<_, 16>::new(words(if cfg!(miri) { 4 } else { 64 } * 1024), 64).unwrap();
        let keys = |index: usize| [(b"a".as_slice(), 7), (b"m", 8)].get(index).copied();
        // Taken as they are, numbers that a power of two divides would share few places.
        for step in [1, 2, 16, 63, 64, 85, 512, 4096, 65_536] {
            let pages = || (1..=table.slots / 8).map(|at| at * step);
            pages().for_each(|page| assert_ne!(table.learn(page, 2, true, true, keys), Built::No));
            let kept = pages().filter(|&page| table.guess(page, b"b").is_some()).count();
            assert_eq!(kept as u64, table.slots / 8, "pages {step} apart");
            pages().for_each(|page| table.forget(page));
            assert!(pages().all(|page| table.guess(page, b"b").is_none()));
        }
    }
}
