//! Digests of hot pages: where in a page a key probably stands, and which child probably leads to it, without touching the page.
//!
//! Owns two tables of fixed size, one for branches and one for leaves, with a few bytes for each key of a page. A digest is a hint and never an
//! answer: whoever asks goes on to search the page from the place that was guessed ([`gallop`](crate::page::gallop)), and that search is right
//! from any place. So a digest of a page that was freed and written anew, or one that two threads write at once, costs time and never truth,
//! and the words need no order among each other. Never follows a reference and never allocates. Limits: pages below 2^32, branches of up to
//! 512 children; of larger leaves every n-th key.

use core::ops::Deref;

use bolt_sync::atomic::{AtomicU64, Ordering};

use crate::map::Words;
use crate::page::{Branch, Leaf};

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
/// Words before a leaf's digests: which page and how to digest, and the head of its first key.
const LEAF_HEADER: usize = 2;
/// Words of digests of a leaf: enough for 40 keys.
pub(crate) const GROUPS: usize = 10;
/// Words before the samples of a branch.
const BRANCH_HEADER: usize = 8;
/// Children that share a sample.
const BLOCK: usize = 16;
/// Branches of more children get no digest.
const MOST_CHILDREN: usize = 512;
/// Bytes of the least element with its key, rounded: no page holds more children than its size divided by this, but for keys of a few bytes.
const CHILD_BYTES: usize = 32;
/// A place among a branch's children that holds none: above all heads.
const NO_CHILD: u64 = u64::MAX;
/// Bytes of a processor's cache line, in words.
const LINE: usize = 8;

/// The eight bytes behind a common prefix as a number; a key that ends before is as if zeros followed.
#[inline(always)]
fn head(key: &[u8], prefix: usize) -> u64 {
    let Some(rest) = key.get(prefix..) else { return 0 };
    if let Some(bytes) = rest.first_chunk::<8>() {
        return u64::from_be_bytes(*bytes);
    }
    rest.iter().fold(0, |head, &byte| head << 8 | u64::from(byte)) << (8 * (8 - rest.len() as u32) % 64)
}

fn common_prefix(first: &[u8], last: &[u8]) -> usize {
    first.iter().zip(last).take_while(|(a, b)| a == b).count()
}

/// How keys of one page become numbers: `(head − low) >> shift`, which keeps their order.
#[derive(Clone, Copy)]
struct Scale {
    prefix: usize,
    low: u64,
    shift: u32,
}

impl Scale {
    /// For keys between `first` and `last`, in `bits` bits.
    fn of(first: &[u8], last: &[u8], bits: u32) -> Option<Self> {
        let prefix = common_prefix(first, last);
        let (low, high) = (head(first, prefix), head(last, prefix));
        let width = u64::BITS - high.checked_sub(low)?.leading_zeros();
        (prefix <= usize::from(u16::MAX)).then_some(Self { prefix, low, shift: width.saturating_sub(bits) })
    }

    #[inline(always)]
    fn digest(self, key: &[u8], most: u64) -> u64 {
        (head(key, self.prefix).saturating_sub(self.low) >> self.shift).min(most)
    }

    /// With a page's number and one more byte, as one word; `None` if the number needs more than 32 bits.
    fn pack(self, page: u64, extra: u8) -> Option<u64> {
        let page = u64::from(u32::try_from(page).ok()?);
        Some(page << 32 | (self.prefix as u64) << 16 | u64::from(self.shift) << 8 | u64::from(extra))
    }

    #[inline(always)]
    fn unpack(word: u64, low: u64) -> (Self, u8) {
        let prefix = usize::from((word >> 16) as u16);
        (Self { prefix, low, shift: (word >> 8) as u32 & 63 }, word as u8)
    }
}

/// Whether `word` is of `page`.
#[inline(always)]
fn is_of(word: u64, page: u64) -> bool {
    word >> 32 == page && page != 0
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

/// Where a key probably stands in a leaf.
#[derive(Debug, Clone, Copy)]
pub struct LeafGuess {
    /// The element.
    pub index: usize,
    /// Where its data begins in the page.
    pub data: u64,
    /// Whether the key itself is expected there, and not only its place.
    pub there: bool,
}

/// Digests of leaves: `GROUPS` words of four digests, as many of four data offsets.
#[derive(Debug)]
pub struct Leaves<W, const GROUPS: usize> {
    words: W,
    mask: u64,
}

impl<W: Deref<Target = [AtomicU64]>, const GROUPS: usize> Leaves<W, GROUPS> {
    /// Words a page takes: whole cache lines, if it takes more than one.
    pub const SLOT: usize =
        (LEAF_HEADER + 2 * GROUPS + 1).next_multiple_of(if GROUPS > 2 { LINE } else { 1 });
    const CANDIDATE: usize = LEAF_HEADER + 2 * GROUPS;
    const KEYS: usize = LANES * GROUPS;

    /// As many pages as fit `words`, rounded down to a power of two; `None` if not one does.
    pub fn new(words: W) -> Option<Self> {
        let slots = words.len() / Self::SLOT;
        let mask = (1_u64 << slots.checked_ilog2()?) - 1;
        Some(Self { words, mask })
    }

    #[inline(always)]
    fn start(&self, page: u64) -> usize {
        (page & self.mask) as usize * Self::SLOT
    }

    #[inline(always)]
    fn slot(&self, page: u64) -> &[AtomicU64] {
        let start = self.start(page);
        &self.words[start..start + Self::SLOT]
    }

    /// Where `key` probably stands in leaf `page`; `None` if it has no digest.
    #[inline(always)]
    pub fn guess(&self, page: u64, key: &[u8]) -> Option<LeafGuess> {
        let slot = self.slot(page);
        // Relaxed, here and everywhere: a hint that is torn or old costs a longer search.
        let word = slot[0].load(Ordering::Relaxed);
        if !is_of(word, page) {
            return None;
        }
        let (scale, step) = Scale::unpack(word, slot[1].load(Ordering::Relaxed));
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
        let lane = 16 * (at % LANES) as u32;
        let found = slot[LEAF_HEADER + at / LANES].load(Ordering::Relaxed) >> lane & 0xFFFF;
        let data = slot[LEAF_HEADER + GROUPS + at / LANES].load(Ordering::Relaxed) >> lane & 0xFFFF;
        let step = usize::from(step).max(1);
        let there = step == 1 && found == digest;
        Some(LeafGuess { index: (below * step).saturating_sub(step / 2), data, there })
    }

    /// Whether leaf `page` has a digest that puts element `index` elsewhere than at `data`: it is of other contents then.
    #[inline]
    pub fn is_stale(&self, page: u64, index: usize, data: u64) -> bool {
        let slot = self.slot(page);
        let word = slot[0].load(Ordering::Relaxed);
        let at = index / usize::from(word as u8).max(1);
        if !is_of(word, page) || at >= Self::KEYS || index % usize::from(word as u8).max(1) != 0 {
            return false;
        }
        let offsets = slot[LEAF_HEADER + GROUPS + at / LANES].load(Ordering::Relaxed);
        offsets >> (16 * (at % LANES)) & 0xFFFF != data & 0xFFFF
    }

    /// Digests leaf `page` of `count` keys, each with its data's offset, if it was asked for the second time in a row or if `again` says that there
    /// is an old digest of it.
    pub fn learn<'k>(
        &self,
        page: u64,
        count: usize,
        again: bool,
        key: impl Fn(usize) -> Option<(&'k [u8], u64)>,
    ) -> Built {
        let slot = self.slot(page);
        let before = slot[0].load(Ordering::Relaxed);
        if !again && slot[Self::CANDIDATE].load(Ordering::Relaxed) != page {
            slot[Self::CANDIDATE].store(page, Ordering::Relaxed);
            return Built::No;
        }
        let step = count.div_ceil(Self::KEYS);
        let (Ok(extra), Some(last)) = (u8::try_from(step), count.checked_sub(1)) else { return Built::No };
        let (Some((first, _)), Some((last, _))) = (key(0), key(last)) else { return Built::No };
        let Some(scale) = Scale::of(first, last, DIGEST_BITS) else { return Built::No };
        let Some(word) = scale.pack(page, extra) else { return Built::No };
        // Nobody takes it for a digest while it is written, as far as relaxed stores can say so.
        slot[0].store(0, Ordering::Relaxed);
        slot[1].store(scale.low, Ordering::Relaxed);
        for group in 0..GROUPS {
            let (mut digests, mut offsets) = (0, 0);
            for lane in 0..LANES {
                let (digest, offset) = match key((group * LANES + lane) * step) {
                    Some((key, offset)) if (group * LANES + lane) * step < count => {
                        (scale.digest(key, MOST), offset & 0xFFFF)
                    }
                    _ => (NO_KEY, 0),
                };
                digests |= digest << (16 * lane);
                offsets |= offset << (16 * lane);
            }
            slot[LEAF_HEADER + group].store(digests, Ordering::Relaxed);
            slot[LEAF_HEADER + GROUPS + group].store(offsets, Ordering::Relaxed);
        }
        slot[0].store(word, Ordering::Relaxed);
        if before == 0 { Built::New } else { Built::Again }
    }
}

/// Which child of a branch probably leads to a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildGuess {
    pub(crate) index: usize,
    pub(crate) child: u64,
    /// Whether the children of this branch are leaves.
    pub(crate) above_leaves: bool,
}

/// Digests of branches: heads of 32 bits with the child beside each, and every 16th head once more in front.
#[derive(Debug)]
pub(crate) struct Branches<W> {
    words: W,
    mask: u64,
    children: usize,
}

impl<W: Deref<Target = [AtomicU64]>> Branches<W> {
    /// Words for one branch of up to `children` children.
    fn slot_words(children: usize) -> usize {
        BRANCH_HEADER + (children / BLOCK).next_multiple_of(LINE) + children
    }

    /// As many branches of a page size as fit `words`, rounded down to a power of two; `None` if not one does.
    pub(crate) fn new(words: W, page_size: usize) -> Option<Self> {
        let children = Self::children_of(page_size);
        let slots = words.len() / Self::slot_words(children);
        let mask = (1_u64 << slots.checked_ilog2()?) - 1;
        Some(Self { words, mask, children })
    }

    fn children_of(page_size: usize) -> usize {
        (page_size / CHILD_BYTES).next_multiple_of(BLOCK).clamp(BLOCK, MOST_CHILDREN)
    }

    fn samples(&self) -> usize {
        self.children / BLOCK
    }

    fn first_child(&self) -> usize {
        BRANCH_HEADER + self.samples().next_multiple_of(LINE)
    }

    #[inline(always)]
    fn start(&self, page: u64) -> usize {
        (page & self.mask) as usize * Self::slot_words(self.children)
    }

    #[inline(always)]
    fn slot(&self, page: u64) -> &[AtomicU64] {
        let start = self.start(page);
        &self.words[start..start + Self::slot_words(self.children)]
    }

    /// Which child of branch `page` probably leads to `key`; `None` if it has no digest.
    #[inline(always)]
    pub(crate) fn guess(&self, page: u64, key: &[u8]) -> Option<ChildGuess> {
        let slot = self.slot(page);
        let word = slot[0].load(Ordering::Relaxed);
        if !is_of(word, page) {
            return None;
        }
        let (scale, above_leaves) = Scale::unpack(word, slot[1].load(Ordering::Relaxed));
        // The highest word that a child with this head can have.
        let bound = scale.digest(key, u64::from(u32::MAX) - 1) << 32 | u64::from(u32::MAX);
        let count = |words: &[AtomicU64]| -> usize {
            words.iter().map(|word| usize::from(word.load(Ordering::Relaxed) <= bound)).sum()
        };
        let block = count(&slot[BRANCH_HEADER..BRANCH_HEADER + self.samples()]).min(self.samples() - 1);
        let children = &slot[self.first_child()..];
        let index = block * BLOCK + count(&children[block * BLOCK..(block + 1) * BLOCK]);
        let index = index.saturating_sub(1);
        let child = u64::from(children[index].load(Ordering::Relaxed) as u32);
        Some(ChildGuess { index, child, above_leaves: above_leaves != 0 })
    }

    /// Whether branch `page` has a digest with another child in place `index` than `child`.
    #[inline]
    pub(crate) fn is_stale(&self, page: u64, index: usize, child: u64) -> bool {
        let slot = self.slot(page);
        is_of(slot[0].load(Ordering::Relaxed), page)
            && index < self.children
            && u64::from(slot[self.first_child() + index].load(Ordering::Relaxed) as u32) != child
    }

    /// Digests branch `page` of `count` children; the conditions are those of [`Leaves::learn`]. `key` gives separator and child.
    pub(crate) fn learn<'k>(
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
        let slot = self.slot(page);
        let before = slot[0].load(Ordering::Relaxed);
        const CANDIDATE: usize = 2;
        if !again && slot[CANDIDATE].load(Ordering::Relaxed) != page {
            slot[CANDIDATE].store(page, Ordering::Relaxed);
            return Built::No;
        }
        let (Some((first, _)), Some((last, _))) = (key(0), key(count - 1)) else { return Built::No };
        let Some(scale) = Scale::of(first, last, u32::BITS) else { return Built::No };
        let Some(word) = scale.pack(page, u8::from(above_leaves)) else { return Built::No };
        slot[0].store(0, Ordering::Relaxed);
        slot[1].store(scale.low, Ordering::Relaxed);
        let first_child = self.first_child();
        for index in 0..self.children {
            let entry = if index < count {
                let Some((key, child)) = key(index) else { return Built::No };
                let Ok(child) = u32::try_from(child) else { return Built::No };
                scale.digest(key, u64::from(u32::MAX) - 1) << 32 | u64::from(child)
            } else {
                NO_CHILD
            };
            slot[first_child + index].store(entry, Ordering::Relaxed);
            if index % BLOCK == BLOCK - 1 {
                slot[BRANCH_HEADER + index / BLOCK].store(entry, Ordering::Relaxed);
            }
        }
        slot[0].store(word, Ordering::Relaxed);
        if before == 0 { Built::New } else { Built::Again }
    }
}

/// Both tables, and how much of them is in use.
#[derive(Debug)]
pub(crate) struct Digests {
    branches: Branches<Words>,
    leaves: Leaves<Words, GROUPS>,
    used_bytes: AtomicU64,
    built: AtomicU64,
}

impl Digests {
    /// Of a total of `bytes` this share is for branches, of which there are few, but each is larger.
    const BRANCH_SHARE: usize = 4;

    /// Tables of at most `bytes` together; `None` if that is too little, or if the system has no address space for them.
    pub(crate) fn new(bytes: u64, page_size: u64) -> Option<Self> {
        let words = usize::try_from(bytes / 8).ok()?;
        let page_size = usize::try_from(page_size).ok()?;
        let branch_words = words / Self::BRANCH_SHARE;
        // Whether a table can have a single place is seen before memory is asked for.
        if branch_words < Branches::<Words>::slot_words(Branches::<Words>::children_of(page_size)) {
            return None;
        }
        Some(Self {
            branches: Branches::new(Words::zeroed(branch_words).ok()?, page_size)?,
            leaves: Leaves::new(Words::zeroed(words - branch_words).ok()?)?,
            used_bytes: AtomicU64::new(0),
            built: AtomicU64::new(0),
        })
    }

    /// Bytes of the places that are in use, and how many digests were made.
    pub(crate) fn figures(&self) -> (u64, u64) {
        (self.used_bytes.load(Ordering::Relaxed), self.built.load(Ordering::Relaxed))
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
            let lines = 1 + self.branches.samples().div_ceil(LINE);
            self.branches.words.prefetch(self.branches.start(page), lines);
        }
    }

    /// Notes that branch `page` was searched without help, or found another child than its digest said.
    #[cold]
    pub(crate) fn learn_branch(&self, branch: &Branch<'_>, above_leaves: bool, again: bool) {
        let key = |index| Some((branch.key(index).ok()?, branch.child(index).ok()?));
        let built = self.branches.learn(branch.page(), branch.count(), again, above_leaves, key);
        self.count(built, Branches::<Words>::slot_words(self.branches.children));
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
