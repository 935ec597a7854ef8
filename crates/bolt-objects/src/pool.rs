//! Owns: `ObjectPool<T>`: per-thread magazines of idle objects, hooks around them, bounds and counts. Never runs a hook or a
//! destructor while something is borrowed or locked. Limits: those of [`PoolConfig`]; objects are `Send + 'static`.

use core::fmt;
use core::mem;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use bolt_sync::CachePadded;
use bolt_sync::atomic::{AtomicUsize, Ordering};
use bolt_sync::magazine::{MagazineConfig, MagazineCounts, MagazineError, Magazines};
use bolt_sync::sync::Mutex;
// For counts that nothing is ordered by, so loom need not explore them.
use bolt_sync::unmodelled::AtomicUsize as PlainCount;

use crate::config::{Exhausted, PoolConfig, PoolStats};
use crate::guard::{Guard, Home};
use crate::manage::{Hooks, Manage};
use crate::policy::{Trimmer, Usage};

/// An object that borrows its pool. See [`Guard`].
pub type PoolGuard<'pool, T, M = Hooks<T>> = Guard<T, &'pool ObjectPool<T, M>>;
/// An object that shares its pool: it can outlive the variable that held the pool. See [`Guard`].
pub type OwnedGuard<T, M = Hooks<T>> = Guard<T, Arc<ObjectPool<T, M>>>;

/// A pool of objects for any number of threads.
///
/// An object that comes back is reset and kept in a magazine of the thread, from where that thread's next [`get`](Self::get) takes it:
/// last in, first out, while it is hot in the cache. Threads exchange whole magazines through a lock-free depot
/// ([`bolt_sync::magazine`]), so where one thread takes and another gives back the objects go round as well.
///
/// **Layout.** One allocation of [`idle_max`](PoolConfig::idle_max) slots of `size_of::<T>()`; 128 bytes for each thread that came.
///
/// **Cost.** Take and give back 2.3 to 3.3 ns for an object of a word on one thread; no allocation once warm. A
/// [bounded](PoolConfig::bounded) pool 30 ns. An [`OwnedGuard`] counts the `Arc` up and down, 7 ns each and far more when several
/// threads do it at once: prefer guards that borrow.
///
/// **Limits.** Nobody reaches the idle objects in another thread's magazines (at most 64 each) until that thread ends, calls
/// [`flush_thread`](Self::flush_thread) or gives more.
///
/// ```
/// use bolt_objects::{Hooks, ObjectPool, PoolConfig};
///
/// let hooks = Hooks::new(|| Vec::<u32>::with_capacity(100)).reset(Vec::clear);
/// let pool = ObjectPool::with_hooks(hooks, PoolConfig::new())?;
/// {
///     let mut numbers = pool.get();
///     numbers.extend([1, 2, 3]);
/// } // back in the pool, empty, with its capacity
/// assert!(pool.get().capacity() >= 100);
/// assert_eq!(pool.stats().created, 1);
/// # Ok::<(), bolt_objects::PoolError>(())
/// ```
///
/// Objects that must stay on their thread cannot be pooled here; [`LocalPool`](crate::LocalPool) takes them:
///
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// // error[E0277]: `Rc<u32>` cannot be sent between threads safely
/// let pool = bolt_objects::ObjectPool::new(|| Rc::new(1_u32));
/// ```
pub struct ObjectPool<T: Send + 'static, M: Manage<T> = Hooks<T>> {
    magazines: Magazines<T>,
    manage: M,
    /// `objects_max` is a bound at all.
    bounded: bool,
    objects_max: usize,
    object_bytes_max: usize,
    magazine_items: usize,
    /// Objects that exist, idle and in use. Changed only when one is made or goes for good.
    live: CachePadded<AtomicUsize>,
    totals: CachePadded<Totals>,
    trim: Mutex<Trim>,
}

/// How long a pool that goes waits, in debug builds, before it believes that a guard was forgotten: far longer than the end of a thread
/// takes, also on a busy machine.
const ENDING_THREAD_MS_MAX: u32 = 200;

/// What the depot takes for each idle object at most, beside the object.
const LINK_BYTES: usize = 32;

/// Why a pool could not be made: more idle slots than memory. Ask for fewer.
pub type PoolError = MagazineError;

#[derive(Default)]
struct Totals {
    created: Count,
    detached: Count,
    adopted: Count,
    dropped_oversized: Count,
    dropped_full: Count,
    dropped_invalid: Count,
    dropped_panicked: Count,
    trimmed: Count,
    exhausted: Count,
}

#[derive(Default)]
struct Count(PlainCount);

impl Count {
    #[cold]
    fn one(&self) {
        // Relaxed: nothing is ordered by a count.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        // Relaxed: as above.
        self.0.load(Ordering::Relaxed)
    }
}

struct Trim {
    trimmer: Trimmer,
    /// The counts at the last tick.
    last: MagazineCounts,
}

impl<T: Send + 'static> ObjectPool<T> {
    /// A pool with the usual limits whose objects are made by `create` and kept as they come back.
    ///
    /// # Panics
    /// When the system has not the memory for the slots of idle objects (4 MiB at most, or 16 objects), as `Vec::with_capacity` does.
    ///
    /// ```
    /// let pool = bolt_objects::ObjectPool::new(|| Box::new([0_u8; 4096]));
    /// pool.get()[0] = 1;
    /// assert_eq!(pool.get()[0], 1, "the same box: no reset was asked for");
    /// ```
    pub fn new(create: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::with_hooks(Hooks::new(create), PoolConfig::new())
            .unwrap_or_else(|error| panic!("no memory for a pool of the usual size: {error}"))
    }

    /// A pool whose objects are handled by closures.
    ///
    /// # Errors
    /// [`PoolError`] when so many idle objects do not fit the memory.
    pub fn with_hooks(hooks: Hooks<T>, config: PoolConfig) -> Result<Self, PoolError> {
        Self::managed(hooks, config)
    }
}

impl<T: Send + 'static, M: Manage<T>> ObjectPool<T, M> {
    /// A pool whose objects are handled by `manage`, compiled in.
    ///
    /// # Errors
    /// [`PoolError`] when so many idle objects do not fit the memory.
    pub fn managed(manage: M, config: PoolConfig) -> Result<Self, PoolError> {
        let bounded = config.objects_max != usize::MAX;
        let idle_slots = config.idle_slots(size_of::<T>());
        // Asked for and given back at once: more than all memory is an error, and not the end of the program.
        let slots_bytes = idle_slots.saturating_mul(size_of::<T>().max(LINK_BYTES));
        let probe = Vec::<u8>::new().try_reserve_exact(slots_bytes);
        probe.map_err(|_| PoolError::OutOfMemory { bytes: slots_bytes })?;
        let mut magazines = MagazineConfig::new(idle_slots);
        magazines = match config.magazine_items {
            Some(0) => magazines.threads_max(0),
            None if bounded => magazines.threads_max(0),
            Some(items) => magazines.magazine_items(items).threads_max(config.threads_max),
            None => magazines.threads_max(config.threads_max),
        };
        if bounded {
            // What exists finds room: an object of a bounded pool is not dropped for want of a magazine.
            magazines = match config.idle_max {
                Some(idle_max) if idle_max < config.objects_max => magazines,
                _ => magazines.never_refuses(),
            };
        }
        let magazines = Magazines::new(magazines)?;
        Ok(Self {
            magazine_items: magazines.magazine_items(),
            magazines,
            manage,
            bounded,
            objects_max: config.objects_max,
            object_bytes_max: config.object_bytes_max,
            live: CachePadded::new(AtomicUsize::new(0)),
            totals: CachePadded::default(),
            trim: Mutex::new(Trim { trimmer: Trimmer::new(config.trim), last: MagazineCounts::default() }),
        })
    }

    /// An object: the one this thread gave back last, another idle one, or a new one.
    ///
    /// It always succeeds: a bounded pool that is exhausted makes one object more, which is dropped when it comes back. Where the
    /// bound must hold, use [`try_get`](Self::try_get).
    #[inline]
    pub fn get(&self) -> PoolGuard<'_, T, M> {
        Guard::new(self.take(), self)
    }

    /// An object, unless the pool is bounded and all are out.
    ///
    /// # Errors
    /// [`Exhausted`]: as many objects as the bound allows are in use (or, in a bounded pool with magazines, out of reach): wait for
    /// one, or do without.
    ///
    /// ```
    /// use bolt_objects::{Exhausted, Hooks, ObjectPool, PoolConfig};
    /// let pool = ObjectPool::with_hooks(Hooks::new(String::new), PoolConfig::new().bounded(1))?;
    /// let only = pool.try_get()?;
    /// assert_eq!(pool.try_get().err(), Some(Exhausted { objects_max: 1 }));
    /// drop(only);
    /// assert!(pool.try_get().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_get(&self) -> Result<PoolGuard<'_, T, M>, Exhausted> {
        Ok(Guard::new(self.try_take()?, self))
    }

    /// As [`get`](Self::get), with a guard that keeps the pool alive.
    ///
    /// ```
    /// use std::sync::Arc;
    /// let pool = Arc::new(bolt_objects::ObjectPool::new(String::new));
    /// let name = pool.get_owned();
    /// std::thread::spawn(move || drop(name)).join().unwrap();
    /// assert_eq!(pool.stats().idle, 1);
    /// ```
    #[inline]
    pub fn get_owned(self: &Arc<Self>) -> OwnedGuard<T, M> {
        Guard::new(self.take(), self.clone())
    }

    /// As [`try_get`](Self::try_get), with a guard that keeps the pool alive.
    ///
    /// # Errors
    /// As `try_get`.
    #[inline]
    pub fn try_get_owned(self: &Arc<Self>) -> Result<OwnedGuard<T, M>, Exhausted> {
        Ok(Guard::new(self.try_take()?, self.clone()))
    }

    /// Gives the pool an object that was made elsewhere (or detached): reset, weighed and kept or dropped as one that comes back.
    pub fn put(&self, object: T) {
        // Relaxed: a count, and a bound that `try_get` checks by itself.
        self.live.fetch_add(1, Ordering::Relaxed);
        self.totals.adopted.one();
        self.take_back(object);
    }

    /// Makes objects until `idle` lie in the pool (or it is full), so that the first users find them. They go to the depot, for
    /// whichever thread comes.
    pub fn fill(&self, idle: usize) {
        for _ in self.magazines.idle()..idle {
            if self.live.load(Ordering::Relaxed) >= self.objects_max {
                break;
            }
            // Counted first: the bound holds also while this runs.
            self.live.fetch_add(1, Ordering::Relaxed);
            let object = self.create();
            if let Err(object) = self.magazines.give(object) {
                self.discard(object, &self.totals.dropped_full);
                break;
            }
        }
        self.flush_thread();
    }

    /// Moves this thread's idle objects to the depot, where other threads find them.
    pub fn flush_thread(&self) {
        self.magazines.flush_thread();
    }

    /// Drops idle objects until no more than `keep` are left, as far as they can be reached: those of this thread and of the depot.
    /// Answers how many were dropped.
    pub fn trim(&self, keep: usize) -> usize {
        self.flush_thread();
        let surplus = self.magazines.idle().saturating_sub(keep);
        self.trim_by(surplus)
    }

    /// To be called in even intervals, a second for example, by one thread: drops objects that nobody needed for long, as the
    /// [`TrimPolicy`](crate::TrimPolicy) of the pool says. Answers how many.
    ///
    /// Cost: adds up the counts of all threads.
    pub fn tick(&self) -> usize {
        let surplus = {
            // Two that tick at once would each see half an interval; one is enough.
            let Ok(mut trim) = self.trim.try_lock() else { return 0 };
            let now = self.magazines.counts();
            let last = mem::replace(&mut trim.last, now);
            // Each thread that came has two magazines, and so has the counter of those without a number.
            let moved = (now.exchanges - last.exchanges).saturating_add(2 * (now.lanes + 1));
            trim.trimmer.tick(Usage {
                idle: now.idle,
                hits: now.hits - last.hits,
                misses: now.misses - last.misses,
                mobile: moved.saturating_mul(self.magazine_items),
            })
        };
        self.trim_by(surplus)
    }

    /// What happened so far and what the pool holds. Exact while nobody takes or gives and no thread is ending: what an ending thread is moving to
    /// the depot counts as in use. Joining a thread waits for that, the end of a scope alone does not.
    ///
    /// Cost: adds up the counts of all threads.
    pub fn stats(&self) -> PoolStats {
        let counts = self.magazines.counts();
        let totals = &*self.totals;
        let live = self.live.load(Ordering::Relaxed); // Relaxed: a count.
        PoolStats {
            hits: counts.hits.saturating_sub(totals.dropped_invalid.get()),
            // One that was refused has looked twice.
            misses: counts.misses.saturating_sub(totals.exhausted.get()),
            created: totals.created.get(),
            detached: totals.detached.get(),
            adopted: totals.adopted.get(),
            dropped_oversized: totals.dropped_oversized.get(),
            dropped_full: totals.dropped_full.get(),
            dropped_invalid: totals.dropped_invalid.get(),
            dropped_panicked: totals.dropped_panicked.get(),
            trimmed: totals.trimmed.get(),
            exhausted: totals.exhausted.get(),
            idle: counts.idle,
            in_use: live.saturating_sub(counts.idle),
        }
    }

    /// What handles the objects.
    pub fn manage(&self) -> &M {
        &self.manage
    }

    #[inline]
    fn take(&self) -> T {
        match self.magazines.take() {
            Some(object) if self.judge(&object) => object,
            other => self.take_cold(other),
        }
    }

    #[inline]
    fn try_take(&self) -> Result<T, Exhausted> {
        match self.magazines.take() {
            Some(object) if self.judge(&object) => Ok(object),
            other => self.try_take_cold(other),
        }
    }

    /// Asks the validity hook; a panic in it costs the object, and the counts know.
    #[inline(always)]
    fn judge(&self, object: &T) -> bool {
        let leaving = Leaving(self);
        let valid = self.manage.is_valid(object);
        mem::forget(leaving);
        valid
    }

    #[cold]
    #[inline(never)]
    fn take_cold(&self, invalid: Option<T>) -> T {
        // Nothing at all, or one that must go and perhaps a better one behind it.
        invalid.and_then(|invalid| self.next_valid(invalid)).unwrap_or_else(|| {
            // Relaxed: a count; the bound is for `try_get`.
            self.live.fetch_add(1, Ordering::Relaxed);
            self.create()
        })
    }

    #[cold]
    #[inline(never)]
    fn try_take_cold(&self, invalid: Option<T>) -> Result<T, Exhausted> {
        if let Some(object) = invalid.and_then(|invalid| self.next_valid(invalid)) {
            return Ok(object);
        }
        // Relaxed: the count alone decides, and a read-modify-write sees the latest; objects themselves travel through the magazines.
        let reserve = |live| (live < self.objects_max).then_some(live + 1);
        if self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).is_ok() {
            return Ok(self.create());
        }
        // Somebody may have made the last one and given it back since we looked.
        let found = match self.magazines.take() {
            Some(object) if self.judge(&object) => Some(object),
            Some(invalid) => self.next_valid(invalid),
            None => None,
        };
        found.ok_or_else(|| {
            self.totals.exhausted.one();
            Exhausted { objects_max: self.objects_max }
        })
    }

    /// The next idle object that is valid; this one and all others that are not are dropped.
    fn next_valid(&self, mut invalid: T) -> Option<T> {
        loop {
            self.discard(invalid, &self.totals.dropped_invalid);
            let object = self.magazines.take()?;
            if self.judge(&object) {
                return Some(object);
            }
            invalid = object;
        }
    }

    /// Calls the factory for an object that is counted in `live` already.
    fn create(&self) -> T {
        let leaving = Leaving(self);
        let object = self.manage.create();
        mem::forget(leaving);
        self.totals.created.one();
        object
    }

    /// An object comes back: reset, weighed, kept.
    #[inline(always)]
    fn take_back(&self, mut object: T) {
        let leaving = Leaving(self);
        self.manage.reset(&mut object);
        let bytes = self.manage.bytes(&object);
        mem::forget(leaving);
        if bytes > self.object_bytes_max {
            return self.discard(object, &self.totals.dropped_oversized);
        }
        // Relaxed: above the bound are only objects that `get` made in spite of it; which of them goes does not matter.
        if self.bounded && self.live.load(Ordering::Relaxed) > self.objects_max {
            return self.discard(object, &self.totals.dropped_full);
        }
        if let Err(object) = self.magazines.give(object) {
            self.discard(object, &self.totals.dropped_full);
        }
    }

    /// Drops an object for good. It counts until its destructor is through, so that no more exist than the bound says.
    #[cold]
    #[inline(never)]
    fn discard(&self, object: T, why: &Count) {
        why.one();
        let gone = Gone(&self.live);
        drop(object);
        drop(gone);
    }

    fn trim_by(&self, surplus: usize) -> usize {
        let mut dropped = 0;
        while dropped < surplus
            && let Some(object) = self.magazines.take_shared()
        {
            self.discard(object, &self.totals.trimmed);
            dropped += 1;
        }
        dropped
    }
}

/// Counts an object as gone, also when its destructor panics.
struct Gone<'pool>(&'pool AtomicUsize);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        // Relaxed: a count; see `try_take_cold`.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Dropped only when a hook panics: the object it was about is lost.
struct Leaving<'pool, T: Send + 'static, M: Manage<T>>(&'pool ObjectPool<T, M>);

impl<T: Send + 'static, M: Manage<T>> Drop for Leaving<'_, T, M> {
    #[cold]
    fn drop(&mut self) {
        self.0.totals.dropped_panicked.one();
        drop(Gone(&self.0.live));
    }
}

impl<T: Send + 'static, M: Manage<T>> Home<T> for &ObjectPool<T, M> {
    #[inline(always)]
    fn give_back(&self, object: T) {
        self.take_back(object);
    }

    fn lose_one(&self) {
        self.totals.detached.one();
        drop(Gone(&self.live));
    }
}

impl<T: Send + 'static, M: Manage<T>> Home<T> for Arc<ObjectPool<T, M>> {
    #[inline(always)]
    fn give_back(&self, object: T) {
        self.take_back(object);
    }

    fn lose_one(&self) {
        Home::lose_one(&&**self);
    }
}

impl<T: Send + 'static, M: Manage<T>> Drop for ObjectPool<T, M> {
    fn drop(&mut self) {
        if cfg!(all(debug_assertions, not(bolt_loom))) && !std::thread::panicking() {
            // A thread that is just ending may be moving its objects to the depot, where for a moment they count as in use: a scope does not
            // wait for the thread-locals of its threads. A guard that was forgotten is still missing after that.
            for _ in 0..ENDING_THREAD_MS_MAX {
                if self.stats().in_use == 0 {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            let stats = self.stats();
            debug_assert_eq!(stats.in_use, 0, "a guard of this pool was forgotten: {stats:?}");
        }
    }
}

impl<T: Send + 'static, M: Manage<T>> fmt::Debug for ObjectPool<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectPool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
