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
/// **Cost.** Take and give back: a borrow flag and a push; no allocation once the stack has grown, which it does up to `idle_max`.
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
    idle: RefCell<Vec<T>>,
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
            idle: RefCell::new(Vec::new()),
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
            // The borrow ends with the statement: hooks run after it.
            let object = self.idle.borrow_mut().pop();
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
        self.idle.borrow().len()
    }

    /// Gets that an idle object served, and gets that made a new one.
    pub fn hits_and_misses(&self) -> (usize, usize) {
        (self.hits.get(), self.misses.get())
    }

    /// Drops idle objects until no more than `keep` are left, the coldest first. Answers how many.
    pub fn trim(&self, keep: usize) -> usize {
        let surplus = {
            let mut idle = self.idle.borrow_mut();
            let surplus = idle.len().saturating_sub(keep);
            idle.drain(..surplus).collect::<Vec<_>>()
        };
        // Destructors run here, outside of the borrow.
        surplus.len()
    }
}

impl<T, M: Manage<T>> Home<T> for &LocalPool<T, M> {
    #[inline]
    fn give_back(&self, mut object: T) {
        self.manage.reset(&mut object);
        if self.manage.bytes(&object) > self.object_bytes_max {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.idle_max {
            idle.push(object);
        } else {
            drop(idle);
            drop(object);
        }
    }

    fn lose_one(&self) {}
}

impl<T, M: Manage<T>> fmt::Debug for LocalPool<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPool").field("idle", &self.idle()).finish_non_exhaustive()
    }
}
