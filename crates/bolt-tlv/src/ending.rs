//! Pools that are closed while the end of a class has not been noticed: they are looked at again.
//!
//! Owns a list of them for the whole program. Never keeps a pool alive, never runs on the way of a buffer. Limits: with magazines alone;
//! see "How a pool ends" in `shelf.rs`.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

// Not explored by loom: a hint that spares the lock when the list is empty.
use bolt_sync::unmodelled::{AtomicUsize, Ordering};

use crate::shelf::Core;

// Not loom's lock, since it lives in a `static`: under loom nothing is remembered, and the protocol has a model of its own.
static WAITING: Mutex<Vec<Weak<Core>>> = Mutex::new(Vec::new());
static WAITING_COUNT: AtomicUsize = AtomicUsize::new(0);

fn waiting() -> MutexGuard<'static, Vec<Weak<Core>>> {
    // Nothing panics under the lock; if it did, the list would still be whole.
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A closed pool of which something is out, or was when its closer looked.
#[cold]
pub(crate) fn remember(core: &Arc<Core>) {
    if cfg!(bolt_loom) {
        return;
    }
    let mut waiting = waiting();
    waiting.push(Arc::downgrade(core));
    // Relaxed: a hint.
    WAITING_COUNT.store(waiting.len(), Ordering::Relaxed);
}

/// A pool whose end was noticed.
#[cold]
pub(crate) fn forget(core: *const Core) {
    drop(keep(|known| !ptr::eq(known.as_ptr(), core)));
}

/// Looks at all of them. Called where a pool is made, closed or trimmed, so that what is not noticed never adds up.
pub(crate) fn look_again() {
    // Relaxed: a hint.
    if WAITING_COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    // Their ends run the allocator, which is somebody's code: not under the lock.
    let pools: Vec<Arc<Core>> =
        keep(|known| known.strong_count() > 0).iter().filter_map(Weak::upgrade).collect();
    for pool in &pools {
        Core::look(pool);
    }
}

fn keep(wanted: impl FnMut(&Weak<Core>) -> bool) -> MutexGuard<'static, Vec<Weak<Core>>> {
    let mut waiting = waiting();
    waiting.retain(wanted);
    // Relaxed: a hint.
    WAITING_COUNT.store(waiting.len(), Ordering::Relaxed);
    waiting
}
