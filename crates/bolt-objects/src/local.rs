//! Owns: `LocalPool<T>`: the pool for one thread, for values that must stay there. Never locks, never shares; runs hooks and
//! destructors outside of every borrow. Limits: what its making says; nothing is trimmed by itself.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;

use crate::config::OBJECT_BYTES_MAX;
use crate::guard::{Guard, Home};
use crate::manage::Manage;

/// An object that borrows a pool of its thread. See [`Guard`].
pub type LocalGuard<'pool, T, M> = Guard<T, &'pool LocalPool<T, M>>;

/// A pool of one thread: a stack of idle objects, last in, first out.
///
/// For values that are not `Send`, and where `no_std` or the smallest cost decides. Neither the pool nor its guards leave their thread.
///
/// **Layout.** The object given back last lies in the pool itself, the others in a stack.
///
/// **Cost.** Take and give back, one at a time: the object is moved out and in, 1.4 ns for a word; more at a time: a borrow flag and a push.
/// No allocation once the stack has grown, which it does up to `idle_max`.
///
/// ```
/// use bolt_objects::{Hooks, LocalPool};
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// let pool = LocalPool::new(Hooks::new(|| Rc::new(Cell::new(0))).reset(|number| number.set(0)), 16);
/// pool.get().set(7);
/// assert_eq!(pool.get().get(), 0);
/// assert_eq!(pool.idle(), 1);
/// ```
///
/// ```compile_fail,E0277
/// use bolt_objects::{Hooks, LocalPool};
/// let pool = LocalPool::new(Hooks::new(String::new), 16);
/// // error[E0277]: `LocalPool` cannot be shared between threads safely
/// std::thread::scope(|scope| { scope.spawn(|| drop(pool.get())); });
/// ```
pub struct LocalPool<T, M: Manage<T>> {
    /// The top of the stack, without a flag and a length to look at: nearly all of the taking and giving is here.
    top: Cell<Option<T>>,
    /// Below the top; not empty only while there are more idle objects than one, or the top is out.
    below: RefCell<Vec<T>>,
    manage: M,
    idle_max: usize,
    object_bytes_max: usize,
    hits: Cell<usize>,
    misses: Cell<usize>,
}

impl<T, M: Manage<T>> LocalPool<T, M> {
    /// A pool that keeps at most `idle_max` objects, each of at most 1 MiB.
    pub const fn new(manage: M, idle_max: usize) -> Self {
        Self {
            top: Cell::new(None),
            below: RefCell::new(Vec::new()),
            manage,
            idle_max,
            object_bytes_max: OBJECT_BYTES_MAX,
            hits: Cell::new(0),
            misses: Cell::new(0),
        }
    }

    /// Sets what an object may hold and still be kept, as `Manage::bytes` tells.
    #[must_use]
    pub fn object_bytes_max(self, object_bytes_max: usize) -> Self {
        Self { object_bytes_max, ..self }
    }

    /// The object given back last, or a new one.
    #[inline]
    pub fn get(&self) -> LocalGuard<'_, T, M> {
        loop {
            // A borrow ends with the statement: hooks run after it.
            let object = self.top.take().or_else(|| self.below.borrow_mut().pop());
            match object {
                Some(object) if self.manage.is_valid(&object) => {
                    self.hits.set(self.hits.get().wrapping_add(1));
                    return Guard::new(object, self);
                }
                Some(invalid) => drop(invalid),
                None => {
                    self.misses.set(self.misses.get().wrapping_add(1));
                    return Guard::new(self.manage.create(), self);
                }
            }
        }
    }

    /// Objects lying in the pool.
    pub fn idle(&self) -> usize {
        let top = self.top.take();
        let idle = usize::from(top.is_some()) + self.below.borrow().len();
        self.top.set(top);
        idle
    }

    /// Gets that an idle object served, and gets that made a new one.
    pub fn hits_and_misses(&self) -> (usize, usize) {
        (self.hits.get(), self.misses.get())
    }

    /// Drops idle objects until no more than `keep` are left, the coldest first. Answers how many.
    pub fn trim(&self, keep: usize) -> usize {
        let surplus = self.idle().saturating_sub(keep);
        let dropped = {
            let mut below = self.below.borrow_mut();
            let count = surplus.min(below.len());
            below.drain(..count).collect::<Vec<_>>()
        };
        // Destructors run here, outside of the borrow.
        if dropped.len() < surplus {
            drop(self.top.take());
        }
        surplus
    }

    /// One more than the top: it goes on top, if there is room for both.
    #[inline(never)]
    fn push(&self, top: T, object: T) {
        let mut below = self.below.borrow_mut();
        if below.len() + 1 < self.idle_max {
            below.push(top);
            drop(below);
            self.top.set(Some(object));
        } else {
            drop(below);
            self.top.set(Some(top));
            drop(object);
        }
    }
}

impl<T, M: Manage<T>> Home<T> for &LocalPool<T, M> {
    #[inline]
    fn give_back(&self, mut object: T) {
        self.manage.reset(&mut object);
        if self.manage.bytes(&object) > self.object_bytes_max {
            return;
        }
        match self.top.take() {
            None if self.idle_max > 0 => self.top.set(Some(object)),
            None => drop(object),
            Some(top) => self.push(top, object),
        }
    }

    fn lose_one(&self) {}
}

impl<T, M: Manage<T>> fmt::Debug for LocalPool<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPool").field("idle", &self.idle()).finish_non_exhaustive()
    }
}
