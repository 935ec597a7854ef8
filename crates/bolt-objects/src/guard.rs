//! Owns: the guards that lend an object and bring it back. Never lets an object go twice, nor lose it: it goes home when the guard is
//! dropped, by panic too. Limits: a guard that is forgotten keeps its object for good.
//!
//! unsafe: allowed here
//!
//! # Invariants
//!
//! 1. `object` is initialised from the guard's making until its `drop` or `detach` takes it, each of which is the last that touches it.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr;

/// Where an object goes when its guard is dropped. Implemented by this crate's pools only.
pub trait Home<T> {
    /// The object comes back.
    #[doc(hidden)]
    fn give_back(&self, object: T);
    /// The object has left for good.
    #[doc(hidden)]
    fn lose_one(&self);
}

/// An object lent by a pool: use it through `Deref`, drop it to give the object back.
///
/// [`PoolGuard`](crate::PoolGuard) borrows its pool, [`OwnedGuard`](crate::OwnedGuard) shares it, [`LocalGuard`](crate::LocalGuard) borrows a
/// pool of one thread. The object comes back also when a panic unwinds through the guard; the pool resets it then as always.
///
/// Layout: the object and the pointer to the pool; moving a guard moves the object.
#[must_use = "dropping the guard at once gives the object back unused"]
pub struct Guard<T, H: Home<T>> {
    /// Invariant 1.
    object: ManuallyDrop<T>,
    home: H,
}

impl<T, H: Home<T>> Guard<T, H> {
    #[inline(always)]
    pub(crate) fn new(object: T, home: H) -> Self {
        Self { object: ManuallyDrop::new(object), home }
    }

    /// Takes the object out of the pool for good: it will be dropped where you drop it.
    #[inline]
    pub fn detach(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: 1: `this` is never dropped, so nobody takes the object again.
        let object = unsafe { ManuallyDrop::take(&mut this.object) };
        // SAFETY: `this` is never dropped, so the home is moved out exactly once.
        let home = unsafe { ptr::read(&raw const this.home) };
        home.lose_one();
        object
    }
}

impl<T, H: Home<T>> Drop for Guard<T, H> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: 1: `drop` runs once, and `detach` prevents it.
        let object = unsafe { ManuallyDrop::take(&mut self.object) };
        self.home.give_back(object);
    }
}

impl<T, H: Home<T>> Deref for Guard<T, H> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T, H: Home<T>> DerefMut for Guard<T, H> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.object
    }
}

impl<T, H: Home<T>> AsRef<T> for Guard<T, H> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T, H: Home<T>> AsMut<T> for Guard<T, H> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: fmt::Debug, H: Home<T>> fmt::Debug for Guard<T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&**self).finish()
    }
}
