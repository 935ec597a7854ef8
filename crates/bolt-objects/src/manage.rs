//! Owns: what a pool has to know about its objects: how to make, reset, judge and weigh one. Never keeps an object.
//! Limits: hooks run outside of every borrow and lock of a pool, so they may use the pool themselves.

use alloc::boxed::Box;
use core::fmt;

/// How the objects of a pool are made, reset, judged and weighed.
///
/// A type that implements this costs nothing: its methods are compiled into the pool. For closures see [`Hooks`].
///
/// ```
/// use bolt_objects::{LocalPool, Manage};
///
/// struct Lines;
/// impl Manage<Vec<String>> for Lines {
///     fn create(&self) -> Vec<String> {
///         Vec::with_capacity(64)
///     }
///     fn reset(&self, lines: &mut Vec<String>) {
///         lines.clear();
///     }
/// }
/// let pool = LocalPool::new(Lines, 8);
/// pool.get().push("one".into());
/// assert!(pool.get().is_empty(), "the same vector, cleared");
/// ```
pub trait Manage<T> {
    /// A new object, when the pool has none.
    fn create(&self) -> T;

    /// Called when an object comes back, before it is kept: empty it, and give away what should not lie in a pool. If it
    /// panics, the object is dropped.
    fn reset(&self, object: &mut T) {
        let _ = object;
    }

    /// Called when an object leaves the pool again: false drops it, and the next one is tried (a connection that was closed meanwhile).
    fn is_valid(&self, object: &T) -> bool {
        let _ = object;
        true
    }

    /// Bytes that the object holds on the heap, after `reset`. A pool does not keep objects above its limit.
    fn bytes(&self, object: &T) -> usize {
        let _ = object;
        0
    }
}

type Create<T> = Box<dyn Fn() -> T + Send + Sync>;
type Reset<T> = Box<dyn Fn(&mut T) + Send + Sync>;
type IsValid<T> = Box<dyn Fn(&T) -> bool + Send + Sync>;
type Bytes<T> = Box<dyn Fn(&T) -> usize + Send + Sync>;

/// [`Manage`] from closures. Each hook that is set costs an indirect call, a nanosecond; implement [`Manage`] where that matters.
///
/// ```
/// use bolt_objects::{Hooks, LocalPool};
/// let hooks = Hooks::new(String::new).reset(String::clear).bytes(String::capacity);
/// let pool = LocalPool::new(hooks, 8);
/// pool.get().push_str("used");
/// assert_eq!(*pool.get(), "");
/// ```
pub struct Hooks<T> {
    create: Create<T>,
    reset: Option<Reset<T>>,
    is_valid: Option<IsValid<T>>,
    bytes: Option<Bytes<T>>,
}

impl<T> Hooks<T> {
    /// Objects made by `create`, kept as they come back.
    pub fn new(create: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self { create: Box::new(create), reset: None, is_valid: None, bytes: None }
    }

    /// Sets what happens to an object that comes back.
    #[must_use]
    pub fn reset(self, reset: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        Self { reset: Some(Box::new(reset)), ..self }
    }

    /// Sets how an object is judged before it leaves again.
    #[must_use]
    pub fn is_valid(self, is_valid: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        Self { is_valid: Some(Box::new(is_valid)), ..self }
    }

    /// Sets how many bytes an object holds.
    #[must_use]
    pub fn bytes(self, bytes: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        Self { bytes: Some(Box::new(bytes)), ..self }
    }
}

impl<T> Manage<T> for Hooks<T> {
    fn create(&self) -> T {
        (self.create)()
    }

    #[inline]
    fn reset(&self, object: &mut T) {
        if let Some(reset) = &self.reset {
            reset(object);
        }
    }

    #[inline]
    fn is_valid(&self, object: &T) -> bool {
        self.is_valid.as_ref().is_none_or(|is_valid| is_valid(object))
    }

    #[inline]
    fn bytes(&self, object: &T) -> usize {
        self.bytes.as_ref().map_or(0, |bytes| bytes(object))
    }
}

impl<T> fmt::Debug for Hooks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("reset", &self.reset.is_some())
            .field("is_valid", &self.is_valid.is_some())
            .field("bytes", &self.bytes.is_some())
            .finish_non_exhaustive()
    }
}
