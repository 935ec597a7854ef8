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
    /// `start` and `end` say of a key whether it lies before the place (`Less`), there, or behind.
    pub(crate) fn new(
        source: Source<'tx>,
        root: Root<'tx>,
        start: Option<impl FnMut(&[u8]) -> Ordering>,
        end: Option<impl FnMut(&[u8]) -> Ordering>,
    ) -> Result<Self> {
        let mut front = Walk::new(source, root);
        let found = match start {
            None => front.first()?,
            Some(start) => front.seek_by(start)?,
        };
        let mut iter = Self { front, back: None, state: if found { State::Ready } else { State::Done } };
        if let (State::Ready, Some(end)) = (iter.state, end) {
            let mut back = Walk::new(source, root);
            let found = if back.seek_by(end)? { back.previous()? } else { back.last()? };
            if !found || back.element()?.key < iter.front.element()?.key {
                iter.state = State::Done;
            }
            iter.back = Some(back);
        }
        Ok(iter)
    }

    /// An iterator that gives nothing but `error`.
    #[inline]
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

/// What a bound says about a key when it begins a range.
pub(crate) fn start_of<'k>(bound: Bound<&'k [u8]>) -> Option<impl FnMut(&[u8]) -> Ordering + use<'k>> {
    let (bound, skip) = match bound {
        Bound::Unbounded => return None,
        Bound::Included(bound) => (bound, false),
        Bound::Excluded(bound) => (bound, true),
    };
    Some(move |key: &[u8]| match key.cmp(bound) {
        Ordering::Equal if skip => Ordering::Less,
        ordering => ordering,
    })
}

/// What a bound says about a key when it ends a range: the first key behind it is sought.
pub(crate) fn end_of<'k>(bound: Bound<&'k [u8]>) -> Option<impl FnMut(&[u8]) -> Ordering + use<'k>> {
    start_of(match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(bound) => Bound::Excluded(bound),
        Bound::Excluded(bound) => Bound::Included(bound),
    })
}

impl<'tx> Iterator for Iter<'tx> {
    type Item = Result<Entry<'tx>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.state {
            State::Ready => self.state = State::Given,
            State::Given => {
                if self.is_last() {
                    self.state = State::Done;
                    return None;
                }
                match self.front.next() {
                    Ok(true) => {}
                    Ok(false) => {
                        self.state = State::Done;
                        return None;
                    }
                    Err(error) => return self.end(error),
                }
            }
            State::Done => return None,
        }
        match self.front.entry() {
            Ok(entry) => Some(Ok(entry)),
            Err(error) => self.end(error),
        }
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
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
