//! Owns: a pool per thread and kind of object, for code that has no pool to pass around. Never shared between threads; never panics
//! when it is entered twice or while the thread ends. Limits: keeps [`KEPT_PER_KIND`] objects of a kind and thread.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

use crate::local::LocalPool;
use crate::manage::Manage;

/// Objects of one kind kept per thread: as many levels of re-entry run without the heap once warm.
pub const KEPT_PER_KIND: usize = 4;

/// An object that holds more is not kept: there is one for each thread.
const BYTES_KEPT: usize = 256 << 10;

thread_local! {
    /// Few kinds, so a list that is searched beats a map that hashes.
    static POOLS: RefCell<Vec<(TypeId, Rc<dyn Any>)>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` with an object of this thread's pool for `M`, and takes it back when `f` returns or panics.
///
/// It may be entered again from inside `f`: the inner call gets another object. While the thread is ending a fresh one is made.
///
/// **Cost.** A thread-local access, a search among the thread's kinds and a count that is not atomic: some 6 ns. A pool of your own
/// is faster; this is for where none can be passed.
///
/// ```
/// use bolt_objects::with_thread_object;
/// use bolt_objects::ready::StringBuffers;
/// let length = with_thread_object::<String, StringBuffers, _>(|outer| {
///     outer.push_str("outer");
///     with_thread_object::<String, StringBuffers, _>(|inner| assert!(inner.is_empty()));
///     outer.len()
/// });
/// assert_eq!(length, 5);
/// ```
pub fn with_thread_object<T, M, R>(f: impl FnOnce(&mut T) -> R) -> R
where
    T: 'static,
    M: Manage<T> + Default + 'static,
{
    match pool::<T, M>() {
        Some(pool) => f(&mut pool.get()),
        None => f(&mut M::default().create()),
    }
}

/// This thread's pool for `M`; `None` when the thread is ending.
fn pool<T: 'static, M: Manage<T> + Default + 'static>() -> Option<Rc<LocalPool<T, M>>> {
    let wanted = TypeId::of::<LocalPool<T, M>>();
    let found = POOLS.try_with(|pools| {
        let pools = pools.borrow();
        pools.iter().find(|(kind, _)| *kind == wanted).map(|(_, pool)| pool.clone())
    });
    let pool = match found.ok()? {
        Some(pool) => pool,
        None => {
            // Made outside of the borrow: `default` is somebody's code.
            let pool: Rc<dyn Any> =
                Rc::new(LocalPool::<T, M>::new(M::default(), KEPT_PER_KIND).object_bytes_max(BYTES_KEPT));
            POOLS.try_with(|pools| pools.borrow_mut().push((wanted, pool.clone()))).ok()?;
            pool
        }
    };
    pool.downcast().ok()
}
