//! Looking keys up: one, or many in step; with digests where the file is large, without them elsewhere.
//!
//! Owns the two ways from a bucket's root to an element. Both end in a search of the leaf itself; what may be believed of a branch without a look
//! at it is said in `digest.rs`. The rest of the art is to have memory fetched before it is needed: the lines that the next steps will read
//! are asked for at once, and what can be checked while they are on their way is checked then. Never changes a page. Limits: as for
//! every walk, a tree deeper than 32 pages is damage.

use std::cmp::Ordering;

use crate::bucket::Root;
use crate::cursor::{MAX_DEPTH, too_deep, wrong_kind};
use crate::digest::{ChildGuess, Digests, LeafGuess};
use crate::error::Result;
use crate::map::LINE_BYTES;
use crate::page::{Branch, Leaf, LeafElement, PageKind, compare_keys, element_at};
use crate::source::Source;

/// Leaves of up to this many keys have all of them fetched at once before they are searched; of larger ones the keys that a binary search looks
/// at first.
const FETCHED_KEYS: usize = 32;

/// Asks for the keys that the search of a leaf will look at: each is a cache line of its own, and one after the other they would cost a miss each.
#[inline(always)]
fn prefetch_keys(source: &Source<'_>, leaf: &Leaf<'_>) {
    let count = leaf.count();
    let step = count.div_ceil(FETCHED_KEYS).max(1);
    let mut index = step / 2;
    while index < count {
        source.prefetch(leaf.page(), leaf.data_hint(index), 1);
        index += step;
    }
}

/// The element with exactly this key, and the page it is on.
#[inline]
pub(crate) fn find<'a>(
    source: &Source<'a>,
    root: Root<'a>,
    key: &[u8],
) -> Result<Option<(u64, LeafElement<'a>)>> {
    match (source.digests, root) {
        (Some(digests), Root::Page(id)) => find_digested(source, digests, id, key),
        _ => find_plain(source, root, key),
    }
}

#[inline]
fn find_plain<'a>(source: &Source<'a>, root: Root<'a>, key: &[u8]) -> Result<Option<(u64, LeafElement<'a>)>> {
    let leaf = match root {
        Root::Inline(leaf) => leaf,
        Root::Page(mut id) => {
            let mut depth = 0;
            loop {
                let page = source.page(id)?;
                match page.kind() {
                    PageKind::Leaf => {
                        let leaf = page.leaf()?;
                        prefetch_keys(source, &leaf);
                        break leaf;
                    }
                    PageKind::Branch if depth < MAX_DEPTH => {
                        let branch = page.branch()?;
                        id = branch.child(branch.search(key)?)?;
                        source.prefetch_elements(id);
                        depth += 1;
                    }
                    PageKind::Branch => return Err(too_deep(id)),
                    kind => return Err(wrong_kind(id, kind)),
                }
            }
        }
    };
    element_of(&leaf, leaf.search(key)?)
}

/// Asks for what a search of a leaf reads if the guess is right: element, key, and the value behind it that the caller will look at; or the key
/// before, where the key is not expected to be there and both neighbours have to say so.
#[inline(always)]
fn prefetch_guess(source: &Source<'_>, id: u64, guess: LeafGuess, key: &[u8]) {
    source.prefetch(id, element_at(guess.index) as u64, 1);
    source.prefetch(id, guess.data, 1);
    for line in 1..key.len().div_ceil(LINE_BYTES) {
        source.prefetch(id, guess.data + (LINE_BYTES * line) as u64, 1);
    }
    if guess.there {
        source.prefetch(id, guess.data + key.len() as u64, 1);
    } else {
        source.prefetch(id, element_at(guess.index.saturating_sub(1)) as u64, 1);
    }
}

/// Searches a branch without help, and has it digested if this happens again: the child, where it is, and whether it is a leaf.
#[cold]
fn child_plain(
    source: &Source<'_>,
    digests: &Digests,
    branch: &Branch<'_>,
    key: &[u8],
) -> Result<(usize, u64, bool)> {
    let index = branch.search(key)?;
    let child = branch.child(index)?;
    source.prefetch_elements(child);
    let above_leaves = source.page(child)?.kind() == PageKind::Leaf;
    digests.learn_branch(branch, above_leaves, false);
    Ok((index, child, above_leaves))
}

/// The child of branch `id` that leads to `key`, searched for from the guess on.
#[inline(always)]
fn child_guessed(
    source: &Source<'_>,
    digests: &Digests,
    id: u64,
    guess: ChildGuess,
    key: &[u8],
) -> Result<(usize, u64)> {
    let branch = source.page(id)?.branch()?;
    let index = branch.search_from(guess.index, key)?;
    let child = branch.child(index)?;
    if child != guess.child {
        digests.correct_branch(&branch, index, child, guess.above_leaves);
    }
    Ok((index, child))
}

/// The child that the digest of branch `id` leads to; what comes next is asked for before anything is looked at.
#[inline(always)]
fn child_digested(
    source: &Source<'_>,
    digests: &Digests,
    id: u64,
    guess: ChildGuess,
    key: &[u8],
) -> Result<(usize, u64)> {
    digests.prefetch(guess.child, guess.above_leaves);
    if guess.above_leaves {
        source.prefetch(guess.child, 0, 1);
    }
    if guess.certain {
        Ok((guess.index, guess.child))
    } else {
        child_guessed(source, digests, id, guess, key)
    }
}

/// The element with this key in leaf `id`, which has no digest.
#[inline(never)]
fn element_plain<'a>(
    digests: &Digests,
    source: &Source<'a>,
    leaf: &Leaf<'a>,
    key: &[u8],
) -> Result<Option<(u64, LeafElement<'a>)>> {
    prefetch_keys(source, leaf);
    let found = leaf.search(key)?;
    digests.learn_leaf(leaf, false);
    element_of(leaf, found)
}

#[inline(always)]
fn element_of<'a>(leaf: &Leaf<'a>, found: (usize, bool)) -> Result<Option<(u64, LeafElement<'a>)>> {
    match found {
        (index, true) => Ok(Some((leaf.page(), leaf.element(index)?))),
        _ => Ok(None),
    }
}

/// The element with this key in a leaf, searched for from the guess on.
#[inline(always)]
fn element_guessed<'a>(
    digests: &Digests,
    leaf: &Leaf<'a>,
    guess: LeafGuess,
    key: &[u8],
) -> Result<Option<(u64, LeafElement<'a>)>> {
    let found = leaf.search_from(guess.index, key)?;
    if found.0 != guess.index {
        digests.correct_leaf(leaf, found.0);
    }
    element_of(leaf, found)
}

/// Descends from `root` to the leaf for `key` by digests, telling `pass` each branch and the place of the child that was taken, and `arrive` the
/// leaf as soon as its number is known. Gives the page where the descent ended, and where in it the key probably stands; if the page is no leaf, the
/// tree is uneven, or damaged, and digests are no help.
#[inline(always)]
fn descend_digested(
    source: &Source<'_>,
    digests: &Digests,
    root: u64,
    key: &[u8],
    mut pass: impl FnMut(u64, usize),
    arrive: impl Fn(u64, Option<LeafGuess>),
) -> Result<(u64, Option<LeafGuess>)> {
    let mut id = root;
    for _ in 0..=MAX_DEPTH {
        let (index, child, above_leaves) = match digests.child(id, key) {
            Some(guess) => {
                let (index, child) = child_digested(source, digests, id, guess, key)?;
                (index, child, guess.above_leaves)
            }
            None => {
                let page = source.page(id)?;
                match page.kind() {
                    PageKind::Branch => child_plain(source, digests, &page.branch()?, key)?,
                    PageKind::Leaf => break,
                    kind => return Err(wrong_kind(id, kind)),
                }
            }
        };
        pass(id, index);
        id = child;
        if above_leaves {
            let guess = digests.leaf(id, key);
            arrive(id, guess);
            return Ok((id, guess));
        }
    }
    Ok((id, None))
}

/// [`find`] with digests.
fn find_digested<'a>(
    source: &Source<'a>,
    digests: &Digests,
    root: u64,
    key: &[u8],
) -> Result<Option<(u64, LeafElement<'a>)>> {
    let arrive = |id, guess: Option<LeafGuess>| {
        if let Some(guess) = guess.filter(|guess| !guess.absent) {
            prefetch_guess(source, id, guess, key);
        }
    };
    let (id, guess) = descend_digested(source, digests, root, key, |_, _| (), arrive)?;
    element_reached(source, digests, root, id, guess, key)
}

/// The element with this key in page `id`, which a descent from `root` reached.
#[inline(always)]
fn element_reached<'a>(
    source: &Source<'a>,
    digests: &Digests,
    root: u64,
    id: u64,
    guess: Option<LeafGuess>,
    key: &[u8],
) -> Result<Option<(u64, LeafElement<'a>)>> {
    if guess.is_some_and(|guess| guess.absent) {
        return Ok(None);
    }
    let page = source.page(id)?;
    match (page.kind(), guess) {
        (PageKind::Leaf, Some(guess)) => element_guessed(digests, &page.leaf()?, guess, key),
        (PageKind::Leaf, None) if id == root => element_of_root(source, &page.leaf()?, key),
        (PageKind::Leaf, None) => element_plain(digests, source, &page.leaf()?, key),
        // An uneven tree, or a damaged one.
        _ => find_plain(source, Root::Page(root), key),
    }
}

/// The leaf and the place in it where the first key stands that is not below `key`, or the end of the leaf that it stands behind, for walks that go on
/// from there; `pass` as in [`descend_digested`]. `None` if digests are no help.
pub(crate) fn seek<'a>(
    source: &Source<'a>,
    digests: &Digests,
    root: u64,
    key: &[u8],
    mut pass: impl FnMut(u64, usize),
) -> Result<Option<(Leaf<'a>, usize)>> {
    let pass = |page, index| {
        // Where the walk will look for the leaves behind.
        source.prefetch(page, 0, 1);
        source.prefetch(page, element_at(index + 1) as u64, 1);
        pass(page, index);
    };
    let arrive = |id, guess: Option<LeafGuess>| {
        source.prefetch_elements(id);
        if let Some(guess) = guess {
            source.prefetch(id, guess.data, 1);
        }
    };
    let (id, guess) = descend_digested(source, digests, root, key, pass, arrive)?;
    let page = source.page(id)?;
    if page.kind() != PageKind::Leaf {
        return Ok(None);
    }
    let leaf = page.leaf()?;
    let (index, _) = match guess {
        Some(guess) => {
            let found = leaf.search_from(guess.index, key)?;
            if found.0 != guess.index {
                digests.correct_leaf(&leaf, found.0);
            }
            found
        }
        None => {
            prefetch_keys(source, &leaf);
            let found = leaf.search(key)?;
            if leaf.page() != root {
                digests.learn_leaf(&leaf, false);
            }
            found
        }
    };
    Ok(Some((leaf, index)))
}

/// The element with this key in a bucket that is one leaf: it is small, or a single page is looked at so often that it is in the caches.
#[inline(never)]
fn element_of_root<'a>(
    source: &Source<'a>,
    leaf: &Leaf<'a>,
    key: &[u8],
) -> Result<Option<(u64, LeafElement<'a>)>> {
    prefetch_keys(source, leaf);
    element_of(leaf, leaf.search(key)?)
}

/// Keys that are looked up together.
const TOGETHER: usize = 16;

/// The elements with these keys, each as [`find`] would give it. All keys go down one level before any goes down the next, so that the pages of all
/// are on their way from memory at once.
pub(crate) fn find_many<'a>(
    source: &Source<'a>,
    root: Root<'a>,
    keys: &[&[u8]],
    mut give: impl FnMut(usize, Option<LeafElement<'a>>),
) -> Result<()> {
    match (source.digests, root) {
        (Some(digests), Root::Page(id)) => {
            for (chunk, keys) in keys.chunks(TOGETHER).enumerate() {
                find_many_digested(source, digests, id, keys, |at, element| {
                    give(chunk * TOGETHER + at, element);
                })?;
            }
            Ok(())
        }
        _ => find_many_plain(source, root, keys, give),
    }
}

/// [`find_many`] for up to [`TOGETHER`] keys, with digests.
fn find_many_digested<'a>(
    source: &Source<'a>,
    digests: &Digests,
    root: u64,
    keys: &[&[u8]],
    mut give: impl FnMut(usize, Option<LeafElement<'a>>),
) -> Result<()> {
    let mut ids = [root; TOGETHER];
    // Keys whose page is a branch, as far as is known.
    let mut above = (1_u32 << keys.len()) - 1;
    for _ in 0..=MAX_DEPTH {
        if above == 0 {
            break;
        }
        for (at, key) in keys.iter().enumerate() {
            if above >> at & 1 == 0 {
                continue;
            }
            let id = ids[at];
            let Some(guess) = digests.child(id, key) else {
                let page = source.page(id)?;
                match page.kind() {
                    PageKind::Branch => ids[at] = child_plain(source, digests, &page.branch()?, key)?.1,
                    _ => above &= !(1 << at),
                }
                continue;
            };
            if guess.above_leaves {
                above &= !(1 << at);
            }
            ids[at] = child_digested(source, digests, id, guess, key)?.1;
        }
    }
    let mut leaf_guesses = [None; TOGETHER];
    for (at, key) in keys.iter().enumerate() {
        leaf_guesses[at] = digests.leaf(ids[at], key);
        match leaf_guesses[at] {
            Some(guess) if guess.absent => {}
            Some(guess) => prefetch_guess(source, ids[at], guess, key),
            None => source.prefetch_elements(ids[at]),
        }
    }
    for (at, key) in keys.iter().enumerate() {
        let found = element_reached(source, digests, root, ids[at], leaf_guesses[at], key)?;
        give(at, found.map(|(_, element)| element));
    }
    Ok(())
}

/// [`find_many`] without digests.
fn find_many_plain<'a>(
    source: &Source<'a>,
    root: Root<'a>,
    keys: &[&[u8]],
    mut give: impl FnMut(usize, Option<LeafElement<'a>>),
) -> Result<()> {
    for (chunk, keys) in keys.chunks(TOGETHER).enumerate() {
        let mut leaves = [Leaf::empty(); TOGETHER];
        match root {
            Root::Inline(leaf) => leaves.fill(leaf),
            Root::Page(root) => {
                let mut ids = [root; TOGETHER];
                let mut on_the_way = (1_u32 << keys.len()) - 1;
                for _ in 0..=MAX_DEPTH {
                    for (at, key) in keys.iter().enumerate() {
                        if on_the_way >> at & 1 == 0 {
                            continue;
                        }
                        let page = source.page(ids[at])?;
                        match page.kind() {
                            PageKind::Leaf => {
                                leaves[at] = page.leaf()?;
                                on_the_way &= !(1 << at);
                            }
                            PageKind::Branch => {
                                let branch = page.branch()?;
                                ids[at] = branch.child(branch.search(key)?)?;
                                source.prefetch_elements(ids[at]);
                            }
                            kind => return Err(wrong_kind(ids[at], kind)),
                        }
                    }
                    if on_the_way == 0 {
                        break;
                    }
                }
                if on_the_way != 0 {
                    return Err(too_deep(ids[on_the_way.trailing_zeros() as usize]));
                }
            }
        }
        // The leaves are searched in step as well: each round looks at one key of each leaf and asks for the next ones.
        let mut places = [(0, 0); TOGETHER];
        for (place, leaf) in places.iter_mut().zip(&leaves[..keys.len()]) {
            *place = (0, leaf.count());
            source.prefetch(leaf.page(), leaf.data_hint(leaf.count() / 2), 1);
        }
        let mut searching = true;
        while searching {
            searching = false;
            for (at, key) in keys.iter().enumerate() {
                let (low, high) = places[at];
                if low >= high {
                    continue;
                }
                let middle = (low + high) / 2;
                let leaf = &leaves[at];
                places[at] = match compare_keys(leaf.key(middle)?, key) {
                    Ordering::Less => (middle + 1, high),
                    Ordering::Equal => {
                        give(chunk * TOGETHER + at, Some(leaf.element(middle)?));
                        (usize::MAX, 0)
                    }
                    Ordering::Greater => (low, middle),
                };
                let (low, high) = places[at];
                if low < high {
                    source.prefetch(leaf.page(), leaf.data_hint((low + high) / 2), 1);
                    searching = true;
                }
            }
        }
        for (at, &(low, _)) in places[..keys.len()].iter().enumerate() {
            if low != usize::MAX {
                give(chunk * TOGETHER + at, None);
            }
        }
    }
    Ok(())
}
