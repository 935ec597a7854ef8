//! Walking through a bucket: the path from its root to a leaf, and the cursor over it.
//!
//! Owns [`Walk`], a path of page ids and indices that lies in the cursor itself, so moving allocates nothing; and [`Cursor`], bbolt's
//! cursor with its few oddities repaired. Never changes a page. Limits: a tree deeper than 32 pages is reported as damage, as is one whose
//! leaves do not ascend, so that no walk over damaged pages is endless.

use std::cmp::Ordering;

use crate::bucket::{Entry, Root};
use crate::error::{Damage, Error, Result, Rule};
use crate::lookup;
use crate::page::{Branch, Leaf, LeafElement, MAX_ELEMENTS, PageKind, Piece, compare_keys};
use crate::source::{Source, prefetch_key};

/// Branch pages on the way to a leaf. A sound branch has two children or more, so 32 levels would be 2^32 leaves at the very least.
pub(crate) const MAX_DEPTH: usize = 32;

/// Keys of a leaf that are asked for at once where a walk begins; the leaves behind it are asked for while it walks.
const FETCHED_KEYS: usize = 32;
/// So many leaves before a branch ends the branch behind it is asked for.
const BRANCH_AHEAD: usize = 4;
/// The elements of the leaf this many behind are asked for at each leaf.
const LEAVES_AHEAD: usize = 2;
/// A number of children that was not looked at.
const UNKNOWN: u16 = u16::MAX;
const _: () = assert!(MAX_ELEMENTS < UNKNOWN as usize);

#[derive(Clone, Copy, Default)]
struct Step {
    page: u64,
    index: u16,
    count: u16,
}

/// A position in a bucket's tree.
#[derive(Clone)]
pub(crate) struct Walk<'a> {
    source: Source<'a>,
    root: Root<'a>,
    leaf: Leaf<'a>,
    index: usize,
    depth: usize,
    /// Whether it was found out which leaf comes after this one.
    looked_ahead: bool,
    /// That leaf, where it is known and mapped: its keys are fetched while this one is walked through.
    ahead: &'a [Piece],
    steps: [Step; MAX_DEPTH],
}

#[cold]
pub(crate) fn too_deep(page: u64) -> Error {
    Damage { page, offset: 0, rule: Rule::Depth, found: MAX_DEPTH as u64 + 1, expected: MAX_DEPTH as u64 }
        .into()
}

#[cold]
pub(crate) fn wrong_kind(page: u64, kind: PageKind) -> Error {
    let rule = Rule::PageKind;
    Damage { page, offset: 8, rule, found: kind.flags().into(), expected: PageKind::Leaf.flags().into() }
        .into()
}

impl<'a> Walk<'a> {
    pub(crate) fn new(source: Source<'a>, root: Root<'a>) -> Self {
        let steps = [Step::default(); MAX_DEPTH];
        Self { source, root, leaf: Leaf::empty(), index: 0, depth: 0, looked_ahead: false, ahead: &[], steps }
    }

    /// The element at this position. A walk that stands on none is a mistake of this crate and gives an error.
    #[inline]
    pub(crate) fn element(&self) -> Result<LeafElement<'a>> {
        Ok(self.leaf.element(self.index)?)
    }

    /// Element `index` of this leaf, if nothing is wrong with it, and asks for one of the leaf after this one.
    #[inline(always)]
    pub(crate) fn element_in_loop(&self, index: u16) -> Option<LeafElement<'a>> {
        prefetch_key(self.ahead, usize::from(index));
        self.leaf.element_in_loop(index)
    }

    /// The place on the leaf.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Moves within the leaf, to a place that a loop over it reached.
    pub(crate) fn move_to(&mut self, index: usize) {
        debug_assert!(index < self.leaf.count(), "loops end with the leaf");
        self.index = index;
    }

    /// Where the elements of this leaf end that come before or at `back`, if it is given, and the leaf's end otherwise.
    pub(crate) fn end_on_leaf(&self, back: Option<&Self>) -> usize {
        match back {
            Some(back) if std::ptr::eq(self.leaf.bytes(), back.leaf.bytes()) => back.index + 1,
            _ => self.leaf.count(),
        }
    }

    #[inline]
    pub(crate) fn entry(&self) -> Result<Entry<'a>> {
        Ok(Entry::new(self.element()?))
    }

    /// Whether both stand on the same element.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        self.index == other.index && std::ptr::eq(self.leaf.bytes(), other.leaf.bytes())
    }

    /// Descends from page `id`, which is at `self.depth`, choosing a child of each branch by `choose`.
    fn descend(
        &mut self,
        mut id: u64,
        mut choose: impl FnMut(&Branch<'a>) -> Result<usize, Damage>,
    ) -> Result<()> {
        loop {
            let page = self.source.page(id)?;
            match page.kind() {
                PageKind::Leaf => {
                    self.leaf = page.leaf()?;
                    // Only a root may be empty, but for pages that this very transaction emptied.
                    if self.leaf.count() == 0 && self.depth > 0 && self.source.work.is_none() {
                        let rule = Rule::EmptyPage;
                        return Err(Damage { page: id, offset: 10, rule, found: 0, expected: 1 }.into());
                    }
                    return Ok(());
                }
                PageKind::Branch if self.depth < MAX_DEPTH => {
                    let branch = page.branch()?;
                    let index = choose(&branch)?;
                    let child = branch.child(index)?;
                    self.steps[self.depth] =
                        Step { page: id, index: index as u16, count: branch.count() as u16 };
                    self.depth += 1;
                    id = child;
                }
                PageKind::Branch => return Err(too_deep(id)),
                kind => return Err(wrong_kind(id, kind)),
            }
        }
    }

    fn start(&mut self, choose: impl FnMut(&Branch<'a>) -> Result<usize, Damage>) -> Result<()> {
        self.depth = 0;
        self.forget_ahead();
        match self.root {
            Root::Inline(leaf) => {
                self.leaf = leaf;
                Ok(())
            }
            Root::Page(id) => self.descend(id, choose),
        }
    }

    fn forget_ahead(&mut self) {
        self.looked_ahead = false;
        self.ahead = &[];
    }

    /// To the first element whose key is not below `key`; false if all are below.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<bool> {
        let (Some(digests), Root::Page(root)) = (self.source.digests, self.root) else {
            return self.seek_by(|other| compare_keys(other, key));
        };
        self.forget_ahead();
        let (source, steps, mut depth) = (self.source, &mut self.steps, 0);
        let found = lookup::seek(&source, digests, root, key, |page, index| {
            if let Some(step) = steps.get_mut(depth) {
                *step = Step { page, index: index as u16, count: UNKNOWN };
            }
            depth += 1;
        })?;
        let Some((leaf, index)) = found.filter(|_| depth <= MAX_DEPTH) else {
            return self.seek_by(|other| compare_keys(other, key));
        };
        self.depth = depth;
        self.leaf = leaf;
        self.index = index;
        if index < leaf.count() {
            return Ok(true);
        }
        self.next_leaf()
    }

    /// To the first element; false if there is none.
    pub(crate) fn first(&mut self) -> Result<bool> {
        self.start(|_| Ok(0))?;
        self.index = 0;
        Ok(self.leaf.count() > 0 || self.next_leaf()?)
    }

    /// To the last element; false if there is none.
    pub(crate) fn last(&mut self) -> Result<bool> {
        self.start(|branch| Ok(branch.count().saturating_sub(1)))?;
        self.index = self.leaf.count().saturating_sub(1);
        Ok(self.leaf.count() > 0 || self.previous_leaf()?)
    }

    /// To the first element that is not below what `compare` seeks; false if all are below.
    pub(crate) fn seek_by(&mut self, mut compare: impl FnMut(&[u8]) -> Ordering) -> Result<bool> {
        self.start(|branch| branch.search_by(&mut compare))?;
        self.index = self.leaf.search_by(&mut compare)?.0;
        if self.index < self.leaf.count() {
            return Ok(true);
        }
        self.next_leaf()
    }

    /// To the next element; false, and no move, if this is the last.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<bool> {
        if self.index + 1 < self.leaf.count() {
            self.look_ahead_once();
            prefetch_key(self.ahead, self.index);
            self.index += 1;
            return Ok(true);
        }
        self.next_leaf()
    }

    /// To the element before; false, and no move, if this is the first.
    #[inline]
    pub(crate) fn previous(&mut self) -> Result<bool> {
        if self.index > 0 && self.leaf.count() > 0 {
            self.index -= 1;
            return Ok(true);
        }
        self.previous_leaf()
    }

    #[cold]
    fn next_leaf(&mut self) -> Result<bool> {
        self.other_leaf(true)
    }

    #[cold]
    fn previous_leaf(&mut self) -> Result<bool> {
        self.other_leaf(false)
    }

    /// Finds out which leaf comes after this one, for walks that go forward; asks for the elements of the two after this one, and for the keys of
    /// this one from `unasked` on.
    #[cold]
    fn look_ahead(&mut self, unasked: usize) {
        let walking = self.looked_ahead;
        self.forget_ahead();
        self.looked_ahead = true;
        for index in unasked..self.leaf.count().min(unasked + FETCHED_KEYS) {
            prefetch_key(self.leaf.pieces(), index);
        }
        // What is wrong with these pages is told when the walk reaches them.
        let Some(level) = self.depth.checked_sub(1) else { return };
        let Some(branch) = self.branch_at(level) else { return };
        let index = usize::from(self.steps[level].index);
        let left = branch.count().saturating_sub(index + 1);
        let behind = if left < BRANCH_AHEAD { self.branch_behind(level) } else { None };
        if let Some(behind) = behind.filter(|_| left >= LEAVES_AHEAD) {
            self.source.prefetch(behind, 0, 1);
        }
        let leaf = |ahead: usize| {
            if ahead <= left {
                return branch.child(index + ahead).ok();
            }
            self.source.page(behind?).ok()?.branch().ok()?.child(ahead - left - 1).ok()
        };
        if let Some(id) = leaf(LEAVES_AHEAD) {
            self.source.prefetch_elements(id);
        }
        let Some(id) = leaf(1) else { return };
        if !walking {
            self.source.prefetch_elements(id);
        }
        self.ahead = self.source.ahead(id);
        prefetch_key(self.ahead, self.index);
    }

    /// Looks ahead where a walk begins.
    #[inline(always)]
    pub(crate) fn look_ahead_once(&mut self) {
        if !self.looked_ahead {
            self.look_ahead(self.index + 1);
        }
    }

    fn branch_at(&self, level: usize) -> Option<Branch<'a>> {
        self.source.page(self.steps[level].page).ok()?.branch().ok()
    }

    /// The page after the one at `level`, if both have one parent.
    fn branch_behind(&self, level: usize) -> Option<u64> {
        let above = level.checked_sub(1)?;
        self.branch_at(above)?.child(usize::from(self.steps[above].index) + 1).ok()
    }

    /// The lowest level at which there is another child in one direction.
    fn turning_level(&mut self, forward: bool) -> Result<Option<usize>> {
        for level in (0..self.depth).rev() {
            let Step { page, index, count } = self.steps[level];
            if forward && count == UNKNOWN {
                self.steps[level].count = self.source.page(page)?.branch()?.count() as u16;
            }
            if if forward { index + 1 < self.steps[level].count } else { index > 0 } {
                return Ok(Some(level));
            }
        }
        Ok(None)
    }

    /// To the nearest leaf with elements in one direction; false, and no move, if there is none.
    fn other_leaf(&mut self, forward: bool) -> Result<bool> {
        let before = self.source.work.map(|_| self.clone());
        let border = match self.leaf.count() {
            0 => None,
            count => Some(self.leaf.key(if forward { count - 1 } else { 0 })?),
        };
        // Of the next leaf as many keys were asked for as this one has.
        let asked = if self.looked_ahead { self.leaf.count() } else { 0 };
        loop {
            let Some(level) = self.turning_level(forward)? else {
                if let Some(before) = before {
                    *self = before;
                }
                return Ok(false);
            };
            let step = &mut self.steps[level];
            let index = if forward { step.index + 1 } else { step.index - 1 };
            step.index = index;
            let branch = self.source.page(step.page)?.branch()?;
            let child = branch.child(usize::from(index))?;
            self.depth = level + 1;
            self.descend(child, |branch| Ok(if forward { 0 } else { branch.count().saturating_sub(1) }))?;
            let count = self.leaf.count();
            if count == 0 {
                continue;
            }
            self.index = if forward { 0 } else { count - 1 };
            // Leaves ascend, or else pages are shared or form a loop: without this a damaged file could keep a walk busy for ever.
            let found = self.leaf.key(self.index)?;
            let ascends = border.is_none_or(|border| if forward { border < found } else { found < border });
            if !ascends {
                let rule = Rule::KeyOrder;
                return Err(Damage { page: self.leaf.page(), offset: 0, rule, found: 0, expected: 0 }.into());
            }
            if forward {
                self.look_ahead(asked);
            } else {
                self.forget_ahead();
            }
            return Ok(true);
        }
    }
}

/// Where a cursor stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Not moved yet.
    Nowhere,
    /// On an element.
    Element,
    /// A seek found nothing: behind the last element.
    End,
}

/// A position in a bucket that moves both ways.
///
/// At either end a move gives `None` and the cursor stays on the last or first entry, so that turning around gives the one beside it; after a seek past
/// the end, `prev` gives the last entry. A new cursor stands nowhere: `next` and `prev` give `None` until it was placed.
///
/// Layout: about 700 bytes, the path to the leaf included. Cost: no allocation; a move within a leaf touches nothing but its element.
#[derive(Clone)]
pub struct Cursor<'tx> {
    walk: Walk<'tx>,
    at: At,
}

impl<'tx> Cursor<'tx> {
    pub(crate) fn new(source: Source<'tx>, root: Root<'tx>) -> Self {
        Self { walk: Walk::new(source, root), at: At::Nowhere }
    }

    fn arrive(&mut self, found: bool) -> Result<Option<Entry<'tx>>> {
        if found {
            self.at = At::Element;
            return self.walk.entry().map(Some);
        }
        Ok(None)
    }

    /// Moves to the first entry.
    ///
    /// # Errors
    /// Damage on the way, or a failed read.
    pub fn first(&mut self) -> Result<Option<Entry<'tx>>> {
        let found = self.walk.first()?;
        self.at = At::Nowhere;
        self.arrive(found)
    }

    /// Moves to the last entry.
    ///
    /// # Errors
    /// As [`Cursor::first`].
    pub fn last(&mut self) -> Result<Option<Entry<'tx>>> {
        let found = self.walk.last()?;
        self.at = At::Nowhere;
        self.arrive(found)
    }

    /// Moves to the first entry whose key is not below `key`.
    ///
    /// # Errors
    /// As [`Cursor::first`].
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<Entry<'tx>>> {
        let found = self.walk.seek(key)?;
        self.at = At::End;
        self.arrive(found)
    }

    /// Moves to the next entry; on the last one it stays and gives `None`.
    ///
    /// # Errors
    /// As [`Cursor::first`].
    #[expect(
        clippy::should_implement_trait,
        reason = "bbolt's name; a cursor turns around, which an iterator does not"
    )]
    pub fn next(&mut self) -> Result<Option<Entry<'tx>>> {
        if self.at != At::Element {
            return Ok(None);
        }
        let found = self.walk.next()?;
        self.arrive(found)
    }

    /// Moves to the entry before; on the first one it stays and gives `None`.
    ///
    /// # Errors
    /// As [`Cursor::first`].
    pub fn prev(&mut self) -> Result<Option<Entry<'tx>>> {
        match self.at {
            At::Nowhere => Ok(None),
            At::End => self.last(),
            At::Element => {
                let found = self.walk.previous()?;
                self.arrive(found)
            }
        }
    }

    /// The entry under the cursor, if it stands on one.
    ///
    /// # Errors
    /// As [`Cursor::first`].
    pub fn current(&self) -> Result<Option<Entry<'tx>>> {
        if self.at == At::Element { self.walk.entry().map(Some) } else { Ok(None) }
    }
}

impl std::fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("depth", &self.walk.depth).field("index", &self.walk.index).finish()
    }
}
