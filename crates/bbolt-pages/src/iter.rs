//! Iterators over a bucket: all entries, a range of keys, a prefix; from both ends.
//!
//! Owns [`Iter`]. Its ends are positions, found when it is made, so a bound is never copied and iterating allocates nothing. Never changes a
//! page. Limit: an item is a `Result`, since pages are checked as they are reached; after an error it ends.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::bucket::{Entry, Root};
use crate::cursor::Walk;
use crate::error::{Error, Result};
use crate::source::Source;

/// Entries of a bucket in ascending order of their keys, from both ends.
///
/// Cost: no allocation; one descent for each bound, then a few nanoseconds an entry.
#[derive(Clone)]
pub struct Iter<'tx> {
    /// Elements `next..stop` of the leaf under `front` come next, without another look at the path or at `back`. Where `stop` is not 0, `front` may
    /// stand too far back on its leaf, and the element before `next` was given.
    next: u16,
    stop: u16,
    front: Walk<'tx>,
    /// The last entry; found only when it is asked for, if the end is open.
    back: Option<Walk<'tx>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The entry under `front` comes next.
    Ready,
    /// `front` has given its entry and moves before it gives another.
    Given,
    Done,
}

impl<'tx> Iter<'tx> {
    pub(crate) fn new(
        source: Source<'tx>,
        root: Root<'tx>,
        start: Bound<&[u8]>,
        end: End<'_>,
    ) -> Result<Self> {
        let mut front = Walk::new(source, root);
        let found = match start {
            Bound::Unbounded => front.first()?,
            Bound::Included(start) => front.seek(start)?,
            Bound::Excluded(start) => {
                front.seek(start)? && (front.element()?.key != start || front.next()?)
            }
        };
        let state = if found { State::Ready } else { State::Done };
        let mut iter = Self { next: 0, stop: 0, front, back: None, state };
        if state == State::Ready && !matches!(end, End::Bound(Bound::Unbounded)) {
            let mut back = Walk::new(source, root);
            if !end.place(&mut back)? || back.element()?.key < iter.front.element()?.key {
                iter.state = State::Done;
            }
            iter.back = Some(back);
        }
        Ok(iter)
    }

    /// Ends the loop over a leaf, if there is one: `front` stands on what was given last.
    fn settle(&mut self) {
        if self.stop != 0 {
            self.front.move_to(usize::from(self.next) - 1);
            (self.next, self.stop) = (0, 0);
        }
    }

    /// The next entry where it takes more than the next element of a leaf; a loop over the elements behind it begins.
    #[cold]
    #[inline(never)]
    fn next_by_walk(&mut self) -> Option<Result<Entry<'tx>>> {
        self.settle();
        match self.state {
            State::Ready => self.state = State::Given,
            State::Given if self.is_last() => self.state = State::Done,
            State::Given => match self.front.next() {
                Ok(true) => {}
                Ok(false) => self.state = State::Done,
                Err(error) => return self.end(error),
            },
            State::Done => {}
        }
        if self.state == State::Done {
            return None;
        }
        match self.front.entry() {
            Ok(entry) => {
                self.front.look_ahead_once();
                // At most as many as a page has elements.
                self.next = self.front.index() as u16 + 1;
                self.stop = self.front.end_on_leaf(self.back.as_ref()) as u16;
                Some(Ok(entry))
            }
            Err(error) => self.end(error),
        }
    }

    /// An iterator that gives nothing but `error`.
    #[cold]
    fn end(&mut self, error: Error) -> Option<Result<Entry<'tx>>> {
        self.state = State::Done;
        Some(Err(error))
    }

    /// Whether front and back stand on one entry, which is then the last.
    #[inline]
    fn is_last(&self) -> bool {
        self.back.as_ref().is_some_and(|back| self.front.same_place(back))
    }
}

/// Where a range ends.
pub(crate) enum End<'k> {
    Bound(Bound<&'k [u8]>),
    /// Behind all keys that begin with this.
    Prefix(&'k [u8]),
}

impl End<'_> {
    /// Places a walk on the last entry; false if there is none.
    fn place(&self, walk: &mut Walk<'_>) -> Result<bool> {
        let behind = match *self {
            Self::Bound(Bound::Unbounded) => false,
            Self::Bound(Bound::Excluded(end)) => walk.seek(end)?,
            Self::Bound(Bound::Included(end)) => {
                let found = walk.seek(end)?;
                if found && walk.element()?.key == end {
                    return Ok(true);
                }
                found
            }
            Self::Prefix(prefix) => {
                walk.seek_by(|key| match key[..key.len().min(prefix.len())].cmp(prefix) {
                    Ordering::Greater => Ordering::Greater,
                    _ => Ordering::Less,
                })?
            }
        };
        if behind { walk.previous() } else { walk.last() }
    }
}

impl<'tx> Iterator for Iter<'tx> {
    type Item = Result<Entry<'tx>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next < self.stop
            && let Some(element) = self.front.element_in_loop(self.next)
        {
            self.next += 1;
            return Some(Ok(Entry::new(element)));
        }
        // What is wrong with an element is told there, too.
        self.next_by_walk()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.settle();
        if self.state == State::Done {
            return None;
        }
        if self.back.is_none() {
            let mut back = self.front.clone();
            match back.last() {
                Ok(true) => self.back = Some(back),
                Ok(false) => {
                    self.state = State::Done;
                    return None;
                }
                Err(error) => return self.end(error),
            }
        }
        let last = self.is_last();
        if last && self.state == State::Given {
            self.state = State::Done;
            return None;
        }
        let back = self.back.as_mut()?;
        let entry = back.entry();
        if last {
            self.state = State::Done;
        } else if let Err(error) = back.previous() {
            return self.end(error);
        }
        match entry {
            Ok(entry) => Some(Ok(entry)),
            Err(error) => self.end(error),
        }
    }
}

impl std::iter::FusedIterator for Iter<'_> {}

impl std::fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Iter").field("done", &(self.state == State::Done)).finish()
    }
}
