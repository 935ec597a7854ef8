//! Owns: the pool as its users see it - handles, builder, policies, statistics, errors. Memory and lists are elsewhere.
//! Never allocates after the pool is warm. Limits: 16 classes, 2³¹ − 1 buffers a class.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::block::PooledBuffer;
use crate::class::{CLASS_COUNT_MAX, CLASS_STEP_BYTES, ClassSpec, ClassTable};
use crate::message::ServiceSpec;
use crate::policy::TrimPolicy;
use crate::shelf::{Core, Options};

/// Most buffers of one class: what one list of numbers can hold on every target.
const CAPACITY_MAX: usize = if cfg!(target_has_atomic = "64") { (1 << 31) - 1 } else { (1 << 15) - 1 };

/// What happens when a class has no buffer left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Exhausted {
    /// `acquire` says so, and the caller decides: back-pressure.
    Error,
    /// A plain allocation, counted as a miss and freed on return, until the class holds `bytes_max` bytes; then an error.
    #[default]
    Allocate,
    /// `acquire` waits so long for a buffer to come back, then says so. Buffers are kept in a list behind a lock then, whatever the
    /// strategy, since one that lies in another thread's cache could not be waited for.
    #[cfg(feature = "std")]
    Wait(core::time::Duration),
}

/// How free buffers are kept. All behave alike; they differ in cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Strategy {
    /// A lock-free list; works without the standard library. About 30 ns, and no better than a lock under contention.
    #[cfg_attr(not(feature = "std"), default)]
    List,
    /// A stack behind a mutex: exact and simple, 30 ns alone, hundreds when threads meet.
    #[cfg(feature = "std")]
    Mutex,
    /// A small stack of buffers in each thread before a shared depot: 2 ns, with any number of threads.
    ///
    /// A buffer that lies in one thread's stack cannot be taken by another, so a class can be exhausted for one thread while up to
    /// a quarter of its buffers, and at most 64, lie idle with each of the others.
    #[cfg(feature = "std")]
    #[cfg_attr(feature = "std", default)]
    Magazines,
    /// A ring from one returning thread to one taking thread; see [`BufferPool::ring`]. Buffers that are dropped instead of given
    /// to the ring go to a list behind a mutex.
    #[cfg(feature = "std")]
    Ring,
}

impl Strategy {
    /// What [`Default`] gives, for constants.
    #[cfg(feature = "std")]
    pub const DEFAULT: Self = Self::Magazines;
    /// What [`Default`] gives, for constants.
    #[cfg(not(feature = "std"))]
    pub const DEFAULT: Self = Self::List;
}

/// When a buffer's bytes are cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Zeroing {
    /// Never: a taken buffer shows what its last user left. Free of cost; wrong where one user's bytes must not reach another.
    #[default]
    Never,
    /// When it is taken, over the whole class.
    OnTake,
    /// When it comes back, over the whole class: secrets do not lie about in free buffers.
    OnReturn,
}

/// A pool of buffers in size classes. Cloning makes another handle to the same pool.
///
/// **Layout.** Two words a handle. **Memory.** Nothing but tables until a buffer is asked for; then at most `bytes_max` of each class. Memory
/// goes back by [`idle_tick`](Self::idle_tick), and all of it when the last handle and the last buffer are gone.
/// **Cost.** `acquire` and dropping the buffer: see [`Strategy`]; no allocation once as many buffers exist as are used at once.
///
/// ```
/// use bolt_tlv::{AcquireError, BufferPool, Exhausted};
/// let pool = BufferPool::builder()
///     .with_size_class(128, 2)
///     .with_size_class(1024, 1)
///     .exhausted(Exhausted::Error)
///     .build();
/// let small = pool.acquire(84)?;
/// let large = pool.acquire(129)?;
/// assert_eq!((small.capacity(), large.capacity()), (128, 1024));
/// assert!(matches!(pool.acquire(1000), Err(AcquireError::Exhausted { class_bytes: 1024, .. })));
/// assert!(matches!(pool.acquire(1025), Err(AcquireError::TooLarge { largest_bytes: 1024, .. })));
/// # Ok::<(), AcquireError>(())
/// ```
#[derive(Clone)]
pub struct BufferPool {
    core: Arc<Core>,
    /// Shared by all handles: its drop is the end of the last one.
    _handles: Arc<Handles>,
}

/// Closes the pool when the last handle goes.
struct Handles(Arc<Core>);

impl Drop for Handles {
    fn drop(&mut self) {
        Core::close(&self.0);
    }
}

impl BufferPool {
    /// A pool to be described.
    pub fn builder() -> BufferPoolBuilder {
        BufferPoolBuilder::default()
    }

    /// The pool of a service as `config.toml` described it at build time.
    #[must_use]
    pub fn from_service(service: &ServiceSpec) -> Self {
        let mut builder = Self::builder()
            .enabled(service.buffer_pool_enabled)
            .exhausted(service.exhausted)
            .strategy(service.strategy);
        for &class in service.classes {
            builder = builder.with_class(class);
        }
        builder.build()
    }

    /// A buffer of `len` bytes from the smallest class that holds them. Its bytes are what the last user left (see
    /// [`Zeroing`]).
    ///
    /// Cost: see [`Strategy`]. The first buffers of a class are allocated here. Blocks only under [`Exhausted::Wait`].
    ///
    /// # Errors
    /// [`AcquireError::TooLarge`] when no class holds `len`: the message is not one this pool was made for.
    /// [`AcquireError::Exhausted`] when the class may not hold more: shed load, or raise its capacity.
    #[inline]
    pub fn acquire(&self, len: usize) -> Result<PooledBuffer, AcquireError> {
        self.core.acquire(len)
    }

    /// As [`acquire`](Self::acquire), for code that may not block: where that would wait, this says `Pending` and wakes the task
    /// when a buffer comes back. The timeout of [`Exhausted::Wait`] is the caller's to keep here.
    ///
    /// # Errors
    /// As `acquire`.
    #[cfg(feature = "std")]
    pub fn poll_acquire(
        &self,
        context: &mut core::task::Context<'_>,
        len: usize,
    ) -> core::task::Poll<Result<PooledBuffer, AcquireError>> {
        match self.core.poll_acquire(len, context.waker()) {
            Some(result) => core::task::Poll::Ready(result),
            None => core::task::Poll::Pending,
        }
    }

    /// The classes as a table from lengths.
    #[must_use]
    pub fn classes(&self) -> &ClassTable {
        self.core.table()
    }

    /// How free buffers are kept.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.core.options().strategy
    }

    /// When the buffers that serve `len` bytes are cleared.
    #[must_use]
    pub fn zeroing(&self, len: usize) -> Zeroing {
        self.core.zeroing(len)
    }

    /// The class a buffer is of, if it is a kept one of this pool.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn class_of_buffer(&self, buffer: &PooledBuffer) -> Option<usize> {
        self.core.class_of_buffer(buffer)
    }

    /// What the pool holds and has done, class by class.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let mut stats = PoolStats { classes: [ClassStats::default(); CLASS_COUNT_MAX], count: 0 };
        for (slot, class) in stats.classes.iter_mut().zip(self.core.stats()) {
            *slot = class;
            stats.count += 1;
        }
        stats
    }

    /// Makes up to `n` buffers of each class now, so that the first frames find them.
    ///
    /// # Errors
    /// The allocator refused; what was made stays.
    pub fn prefill(&self, n: usize) -> Result<(), AcquireError> {
        self.core.prefill(n)
    }

    /// One beat of the rhythm in which idle memory goes back ([`TrimPolicy`]); once a second, say. Returns how many buffers
    /// were freed.
    pub fn idle_tick(&self) -> usize {
        self.core.idle_tick()
    }

    /// Frees every idle buffer that can be reached, whatever the policy. Returns how many.
    pub fn release_idle(&self) -> usize {
        self.core.release_idle()
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool").field("classes", &self.stats().classes()).finish_non_exhaustive()
    }
}

/// Describes a pool; made by [`BufferPool::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct BufferPoolBuilder {
    classes: Vec<ClassSpec>,
    exhausted: Exhausted,
    strategy: Strategy,
    zeroing: Zeroing,
    zeroing_of: Vec<(usize, Zeroing)>,
    disabled: bool,
    trim: TrimPolicy,
}

impl BufferPoolBuilder {
    /// Adds a class of `capacity` buffers of `size_bytes` bytes each.
    pub fn with_size_class(self, size_bytes: usize, capacity: usize) -> Self {
        self.with_class(ClassSpec::new(size_bytes, capacity))
    }

    /// Adds a class; its size is rounded up to a multiple of [`CLASS_STEP_BYTES`]. Of two with one size the later counts; a class of
    /// 0 bytes is left out.
    pub fn with_class(mut self, mut class: ClassSpec) -> Self {
        let asked = class.size_bytes;
        class.size_bytes = asked.checked_next_multiple_of(CLASS_STEP_BYTES).unwrap_or(0);
        // The bound was meant for buffers of the size asked for.
        class.bytes_max = class
            .bytes_max
            .checked_div(asked)
            .unwrap_or(0)
            .saturating_mul(class.size_bytes)
            .max(class.bytes_max);
        self.classes.retain(|known| known.size_bytes != class.size_bytes);
        // The bound in bytes lowers the capacity where both cannot hold.
        let mut class = class.with_bytes_max(class.bytes_max);
        class.capacity = class.capacity.min(CAPACITY_MAX);
        if class.size_bytes > 0 && class.size_bytes < isize::MAX as usize {
            self.classes.push(class);
        }
        self
    }

    /// What happens when a class has no buffer left.
    pub fn exhausted(mut self, exhausted: Exhausted) -> Self {
        self.exhausted = exhausted;
        self
    }

    /// How free buffers are kept.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// When buffers are cleared, in every class that is not told otherwise.
    pub fn zeroing(mut self, zeroing: Zeroing) -> Self {
        self.zeroing = zeroing;
        self
    }

    /// When the buffers that serve `len` bytes are cleared: for the one class that carries secrets.
    pub fn zeroing_of(mut self, len: usize, zeroing: Zeroing) -> Self {
        self.zeroing_of.push((len, zeroing));
        self
    }

    /// Whether buffers are kept at all. Without, each is a plain allocation under the same bound in bytes: the way to measure
    /// what the pool is worth.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.disabled = !enabled;
        self
    }

    /// When idle memory goes back.
    pub fn trim(mut self, trim: TrimPolicy) -> Self {
        self.trim = trim;
        self
    }

    /// The pool. Allocates the tables; buffers come when they are asked for. Classes beyond the sixteenth are merged
    /// into the next larger.
    pub fn build(mut self) -> BufferPool {
        self.classes.sort_unstable_by_key(|class| class.size_bytes);
        while self.classes.len() > CLASS_COUNT_MAX {
            let small = self.classes.remove(0);
            if let Some(next) = self.classes.first_mut() {
                next.capacity = next.capacity.saturating_add(small.capacity).min(CAPACITY_MAX);
                let more = next.size_bytes.saturating_mul(2).saturating_mul(small.capacity);
                next.bytes_max = next.bytes_max.saturating_add(more);
            }
        }
        #[cfg(feature = "std")]
        if matches!(self.exhausted, Exhausted::Wait(_)) {
            self.strategy = Strategy::Mutex;
        }
        let options = Options {
            strategy: self.strategy,
            exhausted: self.exhausted,
            enabled: !self.disabled,
            trim: self.trim,
        };
        let table = ClassTable::new(&self.classes);
        let mut zeroing = [self.zeroing; CLASS_COUNT_MAX];
        for (len, told) in self.zeroing_of {
            if let Some(index) = table.class_of(len) {
                zeroing[index] = told;
            }
        }
        let core = Core::new(&self.classes, table, &zeroing, options);
        BufferPool { _handles: Arc::new(Handles(core.clone())), core }
    }
}

/// What a pool holds and has done; a copy of the moment.
#[derive(Debug, Clone, Copy)]
pub struct PoolStats {
    classes: [ClassStats; CLASS_COUNT_MAX],
    count: usize,
}

impl PoolStats {
    /// Class by class, in ascending order of size.
    #[must_use]
    pub fn classes(&self) -> &[ClassStats] {
        &self.classes[..self.count]
    }

    /// The class that serves `len` bytes.
    #[must_use]
    pub fn class_for(&self, len: usize) -> Option<&ClassStats> {
        self.classes().iter().find(|class| len <= class.size_bytes)
    }

    /// Buffers in use.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.classes().iter().map(|class| class.in_use).sum()
    }

    /// Bytes of all buffers, in use or free.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.classes().iter().map(|class| class.bytes).sum()
    }

    /// Takes that found a free buffer.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.classes().iter().map(|class| class.hits).sum()
    }

    /// Takes that had to allocate.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.classes().iter().map(|class| class.misses).sum()
    }
}

/// What one class holds and has done. Exact when no thread is in the middle of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ClassStats {
    /// Bytes of one buffer.
    pub size_bytes: usize,
    /// Buffers the class keeps at most.
    pub capacity: usize,
    /// Buffers in use, plain ones included.
    pub in_use: usize,
    /// Buffers that wait to be taken, threads' own stacks included.
    pub free: usize,
    /// Plain allocations in use.
    pub plain: usize,
    /// Bytes of all buffers, in use or free.
    pub bytes: usize,
    /// Bytes the class may hold.
    pub bytes_max: usize,
    /// Takes that found a free buffer.
    pub hits: u64,
    /// Takes that had to allocate: a buffer to keep, or a plain one.
    pub misses: u64,
    /// Takes that were refused.
    pub refused: u64,
    /// Idle buffers freed.
    pub trimmed: u64,
    /// Most buffers that existed at once.
    pub high_water: usize,
}

/// Why no buffer was given. The pool is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquireError {
    /// No class is that large.
    TooLarge {
        /// Bytes asked for.
        requested: usize,
        /// Bytes of the largest class.
        largest_bytes: usize,
    },
    /// The class may not hold more buffers.
    Exhausted {
        /// Bytes asked for.
        requested: usize,
        /// Bytes of the class's buffers.
        class_bytes: usize,
        /// Buffers the class keeps.
        capacity: usize,
    },
    /// The allocator refused.
    OutOfMemory {
        /// Bytes of the class's buffers.
        requested: usize,
    },
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLarge { requested, largest_bytes } => write!(
                f,
                "{requested} bytes asked for, and the largest class holds {largest_bytes}; is the message in the service's list?"
            ),
            Self::Exhausted { requested, class_bytes, capacity } => write!(
                f,
                "no buffer for {requested} bytes: all {capacity} of the {class_bytes}-byte class are out; drop some, or raise \
                 the class's capacity"
            ),
            Self::OutOfMemory { requested } => write!(f, "the global allocator refused {requested} bytes"),
        }
    }
}

impl core::error::Error for AcquireError {}
