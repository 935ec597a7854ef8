//! Owns: one pool per thread and type. Never shared between threads; never panics when it is entered twice or while
//! the thread ends. Limits: keeps four pools a type and thread; scratch of [`THREAD_POOL_SCRATCH`] values.

use std::any::{Any, TypeId};
use std::boxed::Box;
use std::cell::RefCell;
use std::vec::Vec;

use crate::pool::BoltPool;

/// Values in the scratch of a thread's pool.
pub const THREAD_POOL_SCRATCH: usize = 256;
/// Pools of one type kept per thread: as many levels of re-entry run without the heap once warm.
const KEPT_PER_TYPE: usize = 4;

/// The idle pools of one type. A pool in use is out of here, so entering again finds the next one.
type Idle<T> = Vec<Box<BoltPool<T, THREAD_POOL_SCRATCH>>>;

thread_local! {
    /// Few types, so a list that is searched beats a map that hashes.
    static POOLS: RefCell<Vec<(TypeId, Box<dyn Any>)>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` with this thread's pool of `T`; what `f` allocated is released when it returns or panics, the memory is kept
/// for the next time.
///
/// It may be entered again from inside `f`: the inner call gets a pool of its own, so no borrow can clash and handles of the
/// outer pool are recognised as foreign by the inner. While the thread is ending it gets a fresh one.
///
/// **Cost.** A thread-local access, a search among the thread's types and two moves of a box, a few nanoseconds; heap the first
/// time a thread uses a type (or a new depth of re-entry).
///
/// ```
/// use bolt_arena::with_thread_pool;
/// let sum = with_thread_pool(|pool| {
///     let outer = pool.alloc_copy(&[1_u32, 2, 3])?;
///     let inner: u32 = with_thread_pool(|pool| {
///         let handle = pool.alloc_copy(&[10_u32])?;
///         Ok::<_, Box<dyn std::error::Error>>(pool.resolve(handle)?[0])
///     })?;
///     Ok::<_, Box<dyn std::error::Error>>(pool.resolve(outer)?.iter().sum::<u32>() + inner)
/// })?;
/// assert_eq!(sum, 16);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn with_thread_pool<T: 'static, R>(f: impl FnOnce(&mut BoltPool<T, THREAD_POOL_SCRATCH>) -> R) -> R {
    struct Out<T: 'static>(Option<Box<BoltPool<T, THREAD_POOL_SCRATCH>>>);
    impl<T: 'static> Drop for Out<T> {
        fn drop(&mut self) {
            let Some(mut pool) = self.0.take() else { return };
            // User code (`Drop` of values) runs here, before the list is borrowed, so it may enter again.
            pool.reset_all();
            let surplus = with_idle::<T, _>(|idle| {
                if idle.len() < KEPT_PER_TYPE {
                    idle.push(pool);
                    None
                } else {
                    Some(pool)
                }
            });
            // Empty, so dropping it runs no user code; it is dropped outside of the borrow all the same.
            drop(surplus);
        }
    }

    let pool = with_idle::<T, _>(Vec::pop).flatten();
    let mut out = Out(Some(pool.unwrap_or_default()));
    match &mut out.0 {
        Some(pool) => f(pool),
        None => f(&mut BoltPool::new()),
    }
}

/// Lends this thread's idle pools of `T`; `None` when the thread is ending.
fn with_idle<T: 'static, R>(f: impl FnOnce(&mut Idle<T>) -> R) -> Option<R> {
    POOLS
        .try_with(|pools| {
            let mut pools = pools.try_borrow_mut().ok()?;
            let wanted = TypeId::of::<T>();
            let at = match pools.iter().position(|(id, _)| *id == wanted) {
                Some(at) => at,
                None => {
                    pools.push((wanted, Box::new(Idle::<T>::with_capacity(KEPT_PER_TYPE))));
                    pools.len() - 1
                }
            };
            pools[at].1.downcast_mut::<Idle<T>>().map(f)
        })
        .ok()
        .flatten()
}
