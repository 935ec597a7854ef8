//! Owns: the memory of a pool and its cursor: scratch in place, chunks on the heap, the log of allocations, and
//! builders. Never moves a value that a handle or reference can see; never decides policy beyond chunk sizes.
//! Limits: 2³² − 1 values a slice and live allocations a pool. unsafe: allowed here
//!
//! ```text
//!  region 0: scratch (inline)   region 1: chunk        region 2: chunk       empty chunks kept
//!  ┌───────────────┬────┐       ┌──────────────┬──┐    ┌───────┬─────────┐   ┌───────────────┐
//!  │ a0 │ a1 │ a2  │gap │       │ a3    │ a4   │  │    │ a5    │  free   │   │               │
//!  └───────────────┴────┘       └──────────────┴──┘    └───────┴─────────┘   └───────────────┘
//!                                                              ▲ cursor (region 2, used)
//!  log: a0 a1 a2 a3 a4 a5   one entry an allocation; rolling back truncates it and reads the cursor off its last entry
//! ```
//!
//! # Invariants
//!
//! - **R1** The entries of the log describe disjoint slices in stack order; every value of every entry is initialised. An entry lies at `start` of
//!   the last region whose `first_index` does not exceed the entry's index.
//! - **R2** All memory at and above the cursor, and all of the chunks past the current region, holds no value the log
//!   knows; frames and builders put theirs there and take them away before the log is touched again.
//! - **R3** The cursor describes its region: `base` is its first slot (`None`: the scratch), `cap` its slots, `used <= cap <= 2³² − 1`.
//! - **R4** A chunk's memory is allocated with the layout `chunk_layout(cap)` and is freed only while no value lies in it.
//! - **R5** An epoch is part of one pool's log at a time and is left for good whenever an allocation is released; so (index, epoch) names one
//!   allocation in the life of the process.

use alloc::alloc::{alloc, dealloc};
use alloc::vec::Vec;
use core::alloc::Layout;
use core::mem::{ManuallyDrop, needs_drop, size_of};
use core::ptr::NonNull;

use bolt_sync::IdSource;

use crate::error::AllocError;
use crate::frame::Frame;
use crate::pool::PoolLimits;
use crate::scratch::Slots;

/// Most values of one slice and of one region: `start` and `len` of an entry are 32 bits.
pub(crate) const VALUES_MAX: usize = u32::MAX as usize;
/// Chunks start at a line of cache.
const CHUNK_ALIGN: usize = 64;
/// The first chunk: a page.
const CHUNK_BYTES_MIN: usize = 4096;
/// Chunks double up to this; beyond, doubling saves too few calls for the memory it may leave unused.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Entries of the first log: 1 KiB.
const LOG_ENTRIES_MIN: usize = 64;
/// A pool takes epochs from the process in blocks of this many, so that the shared counter is touched once per 4,096 rollbacks.
const EPOCH_BLOCK: u64 = 1 << 12;

static EPOCH_BLOCKS: IdSource = IdSource::new();

/// Writes `make(0)`, `make(1)` … to `n` slots and lends them. If `make` panics, what was written is dropped.
///
/// # Safety
/// From `first`, `n` slots are valid for writes for `'a`, hold no value that must be kept, and nothing else accesses them.
#[inline(always)]
pub(crate) unsafe fn fill<'a, T>(
    first: NonNull<T>,
    n: usize,
    mut make: impl FnMut(usize) -> T,
) -> &'a mut [T] {
    struct Partial<T> {
        first: NonNull<T>,
        made: usize,
    }
    impl<T> Drop for Partial<T> {
        fn drop(&mut self) {
            let made = NonNull::slice_from_raw_parts(self.first, self.made);
            // SAFETY: `fill` wrote these and was interrupted, so nobody else will drop them.
            unsafe { made.drop_in_place() };
        }
    }
    let mut partial = Partial { first, made: 0 };
    for i in 0..n {
        let value = make(i);
        // SAFETY: `i < n`, and the caller vouches for `n` slots.
        let slot = unsafe { first.add(i) };
        // SAFETY: as above, the slot is valid for writes and holds nothing.
        unsafe { slot.write(value) };
        partial.made = i + 1;
    }
    // All are made: nothing is partial any more.
    partial.made = 0;
    let mut made = NonNull::slice_from_raw_parts(first, n);
    // SAFETY: all `n` were just written, and the caller grants exclusive access for `'a`.
    unsafe { made.as_mut() }
}

/// One allocation. 16 bytes: four to a line of cache, indexed by a shift. Its region is not written down: regions are entered in
/// stack order, so the index tells.
#[derive(Clone, Copy)]
struct Entry {
    epoch: u64,
    /// First slot, counted from the start of the region, and above it the length: one word, so that it is one store.
    start_and_len: u64,
}

impl Entry {
    #[inline(always)]
    const fn new(epoch: u64, start: usize, len: usize) -> Self {
        Self { epoch, start_and_len: start as u64 | (len as u64) << 32 }
    }

    #[inline(always)]
    const fn start(self) -> usize {
        self.start_and_len as u32 as usize
    }

    #[inline(always)]
    const fn len(self) -> usize {
        (self.start_and_len >> 32) as usize
    }
}

struct Chunk<T> {
    first: NonNull<T>,
    /// Slots.
    cap: usize,
    /// Values and entries in all regions below, as of when the cursor entered this chunk. Meaningless for an empty chunk.
    before: usize,
    first_index: usize,
}

/// Where the scratch slots are at the moment and how many; passed down since they move with the pool.
pub(crate) struct Scratch<T> {
    pub(crate) first: NonNull<T>,
    pub(crate) cap: usize,
}

impl<T> Clone for Scratch<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Scratch<T> {}

/// A point in the stack.
#[derive(Clone, Copy)]
pub(crate) struct Cursor {
    pub(crate) region: u32,
    pub(crate) used: usize,
}

/// All of a pool but its scratch slots. What an allocation reads and writes comes first: one line of cache, since `Slots` before it is
/// a multiple of 64 bytes.
#[repr(C)]
pub(crate) struct Heap<T> {
    log: Vec<Entry>,
    /// Entries up to which the log may be filled without a look: its capacity, or 0 while the pool has no epoch to give.
    log_limit: usize,
    pub(crate) used: usize,
    pub(crate) cap: usize,
    pub(crate) base: Option<NonNull<T>>,
    /// The epoch of new entries; a multiple of `EPOCH_BLOCK` (0 at first) means: take a block before the next entry.
    epoch: u64,

    /// Entries in the regions below the current one: the index of its first.
    first_index: usize,
    /// Values in the regions below the current one.
    pub(crate) before: usize,
    values_high_water: usize,
    pub(crate) region: u32,
    /// Bytes of chunks and log. The table of chunks, 32 bytes for every 4 KiB or more, is not counted.
    heap_bytes: usize,
    limits: PoolLimits,
    /// Region `k` is `chunks[k - 1]`; those past the current region are empty and kept for later.
    chunks: Vec<Chunk<T>>,
    chunk_bytes_next: usize,
    /// The first block of epochs this pool took: its identity. 0 until then.
    id: u64,
    overflows: u64,
}

// SAFETY: the pointers of R1 and R4 lead to memory this struct owns alone; sending it sends the `T`s.
unsafe impl<T: Send> Send for Heap<T> {}
// SAFETY: through a shared reference only `&T` can be reached.
unsafe impl<T: Sync> Sync for Heap<T> {}

fn chunk_layout<T>(cap: usize) -> Result<Layout, AllocError> {
    Layout::array::<T>(cap).and_then(|layout| layout.align_to(CHUNK_ALIGN)).map_err(|_| {
        AllocError::TooLarge {
            requested_values: cap,
            values_max: isize::MAX as usize / size_of::<T>().max(1),
        }
    })
}

impl<T> Heap<T> {
    const ENTRY_BYTES: usize = size_of::<Entry>();

    const fn new(limits: PoolLimits, scratch_cap: usize) -> Self {
        Self {
            log: Vec::new(),
            log_limit: 0,
            chunks: Vec::new(),
            base: None,
            used: 0,
            cap: scratch_cap,
            region: 0,
            first_index: 0,
            before: 0,
            epoch: 0,
            id: 0,
            limits,
            heap_bytes: 0,
            chunk_bytes_next: CHUNK_BYTES_MIN,
            values_high_water: 0,
            overflows: 0,
        }
    }

    #[inline(always)]
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { region: self.region, used: self.used }
    }

    /// The first free slot.
    #[inline(always)]
    pub(crate) fn next_slot(&self, scratch: Scratch<T>) -> NonNull<T> {
        let base = self.base.unwrap_or(scratch.first);
        // SAFETY: by R3 `used <= cap`, so the result is in the region or at its end.
        unsafe { base.add(self.used) }
    }

    /// Makes sure that one more entry fits the log and has an epoch, and that `n` slots are free from the cursor on.
    #[inline(always)]
    fn make_room(&mut self, n: usize) -> Result<(), AllocError> {
        if self.log.len() >= self.log_limit {
            self.prepare_log()?;
        }
        if n > self.cap - self.used {
            self.advance(n)?;
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn prepare_log(&mut self) -> Result<(), AllocError> {
        self.ensure_epoch()?;
        let held = self.log.capacity();
        if self.log.len() < held {
            self.log_limit = held;
            return Ok(());
        }
        if held >= VALUES_MAX {
            return Err(AllocError::TooLarge { requested_values: held, values_max: VALUES_MAX });
        }
        let wanted = held.saturating_mul(2).clamp(LOG_ENTRIES_MIN, VALUES_MAX);
        let requested_bytes = (wanted - held) * Self::ENTRY_BYTES;
        self.check_limit(requested_bytes)?;
        self.log
            .try_reserve_exact(wanted - self.log.len())
            .map_err(|_| AllocError::OutOfMemory { requested_bytes })?;
        self.log_limit = self.log.capacity();
        self.heap_bytes += (self.log_limit - held) * Self::ENTRY_BYTES;
        Ok(())
    }

    fn ensure_epoch(&mut self) -> Result<(), AllocError> {
        if self.epoch.is_multiple_of(EPOCH_BLOCK) {
            let block =
                EPOCH_BLOCKS.next().map(|block| block.get()).filter(|&block| block < u64::MAX / EPOCH_BLOCK);
            let block = block.ok_or(AllocError::HandlesExhausted)?;
            // The first of a block is never used: it is the sign that a block is needed.
            self.epoch = block * EPOCH_BLOCK + 1;
            if self.id == 0 {
                self.id = block;
            }
        }
        Ok(())
    }

    fn check_limit(&self, requested_bytes: usize) -> Result<(), AllocError> {
        let heap_bytes_max = self.limits.heap_bytes_max;
        if requested_bytes > heap_bytes_max.saturating_sub(self.heap_bytes) {
            return Err(AllocError::LimitReached {
                requested_bytes,
                heap_bytes: self.heap_bytes,
                heap_bytes_max,
            });
        }
        Ok(())
    }

    /// Moves the cursor to the start of a region with at least `n` slots: an empty chunk that is kept, or a new one.
    #[cold]
    #[inline(never)]
    pub(crate) fn advance(&mut self, n: usize) -> Result<(), AllocError> {
        let next = self.region as usize;
        let fits = self.chunks[next..].iter().position(|chunk| chunk.cap >= n).map(|i| next + i);
        let found = match fits {
            Some(index) => index,
            None => {
                self.chunks
                    .try_reserve(1)
                    .map_err(|_| AllocError::OutOfMemory { requested_bytes: size_of::<Chunk<T>>() })?;
                let chunk = self.new_chunk(n)?;
                self.chunks.push(chunk);
                self.chunks.len() - 1
            }
        };
        // The chunks past the cursor are empty (R2), so their order is free.
        self.chunks.swap(next, found);
        self.before += self.used;
        let chunk = &mut self.chunks[next];
        chunk.before = self.before;
        self.first_index = self.log.len();
        chunk.first_index = self.first_index;
        self.base = Some(chunk.first);
        self.cap = chunk.cap;
        self.used = 0;
        self.region += 1;
        self.overflows += 1;
        Ok(())
    }

    fn new_chunk(&mut self, n: usize) -> Result<Chunk<T>, AllocError> {
        if n > VALUES_MAX {
            return Err(AllocError::TooLarge { requested_values: n, values_max: VALUES_MAX });
        }
        if size_of::<T>() == 0 {
            return Ok(Chunk { first: NonNull::dangling(), cap: VALUES_MAX, before: 0, first_index: 0 });
        }
        let regular = (self.chunk_bytes_next / size_of::<T>()).clamp(1, VALUES_MAX);
        let mut cap = n.max(regular);
        let mut layout = chunk_layout::<T>(cap)?;
        if self.check_limit(layout.size()).is_err() {
            // Near the ceiling: exactly what was asked for may still fit.
            cap = n;
            layout = chunk_layout::<T>(cap)?;
            self.check_limit(layout.size())?;
        }
        // SAFETY: the size is not zero: `T` is not zero-sized, and `cap >= n >= 1` since `n` exceeded the room left.
        let memory = unsafe { alloc(layout) };
        let first = NonNull::new(memory.cast::<T>())
            .ok_or(AllocError::OutOfMemory { requested_bytes: layout.size() })?;
        self.heap_bytes += layout.size();
        // One step a chunk, whatever was asked for: a single large request must not make every later chunk as large.
        let bytes_max = self.limits.retained_bytes_max.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        self.chunk_bytes_next = (self.chunk_bytes_next * 2).min(bytes_max);
        Ok(Chunk { first, cap, before: 0, first_index: 0 })
    }

    /// Gives one chunk's memory back. The chunk holds no values (R4 is the caller's).
    fn free_chunk(&mut self, chunk: &Chunk<T>) {
        if size_of::<T>() == 0 {
            return;
        }
        if let Ok(layout) = chunk_layout::<T>(chunk.cap) {
            self.heap_bytes -= layout.size();
            // SAFETY: R4: this layout is the one it was allocated with, and the chunk was taken out of `chunks`, so once.
            unsafe { dealloc(chunk.first.as_ptr().cast(), layout) };
        }
    }

    /// Appends the entry for `n` values that were written from the cursor on, and moves the cursor past them.
    ///
    /// # Safety
    /// `make_room(n)` succeeded, the cursor has not moved since, and the `n` slots from it on are initialised.
    #[inline(always)]
    unsafe fn commit(&mut self, n: usize) -> (u32, u64) {
        // Everything is read before anything is written: a store might alias, for all the compiler knows.
        let (index, used, epoch) = (self.log.len(), self.used, self.epoch);
        let spare = self.log.as_mut_ptr();
        // SAFETY: `make_room` left capacity for one more entry behind the last.
        let slot = unsafe { spare.add(index) };
        // SAFETY: as above.
        unsafe { slot.write(Entry::new(epoch, used, n)) };
        // SAFETY: that entry was just written, within the capacity.
        unsafe { self.log.set_len(index + 1) };
        self.used = used + n;
        (index as u32, epoch)
    }

    /// Sets the cursor to a point at or below where it is.
    #[inline]
    pub(crate) fn enter(&mut self, at: Cursor, scratch_cap: usize) {
        self.used = at.used;
        if at.region != self.region {
            self.enter_region(at.region, scratch_cap);
        }
    }

    #[cold]
    pub(crate) fn enter_region(&mut self, region: u32, scratch_cap: usize) {
        self.region = region;
        if region == 0 {
            (self.base, self.cap, self.before, self.first_index) = (None, scratch_cap, 0, 0);
        } else {
            let chunk = &self.chunks[region as usize - 1];
            (self.base, self.cap) = (Some(chunk.first), chunk.cap);
            (self.before, self.first_index) = (chunk.before, chunk.first_index);
        }
    }

    /// The region of a live entry that is not in the current one: the last that was entered before the entry was made.
    #[cold]
    fn region_of(&self, index: usize) -> u32 {
        let entered = &self.chunks[..self.region as usize];
        entered.partition_point(|chunk| chunk.first_index <= index) as u32
    }

    /// The first slot of the region of a live entry; `scratch` is the first slot of region 0.
    #[inline(always)]
    fn base_of(&self, index: usize, scratch: NonNull<T>) -> NonNull<T> {
        let base = if index >= self.first_index { self.base } else { self.base_below(index) };
        base.unwrap_or(scratch)
    }

    #[cold]
    #[inline(never)]
    fn base_below(&self, index: usize) -> Option<NonNull<T>> {
        let region = self.region_of(index) as usize;
        if region == 0 { None } else { Some(self.chunks[region - 1].first) }
    }

    /// Sets the cursor to the end of the last entry.
    #[inline]
    fn enter_end_of_log(&mut self, scratch_cap: usize) {
        let end = match self.log.last() {
            Some(entry) => {
                let index = self.log.len() - 1;
                let region = if index >= self.first_index { self.region } else { self.region_of(index) };
                Cursor { region, used: entry.start() + entry.len() }
            }
            None => Cursor { region: 0, used: 0 },
        };
        self.enter(end, scratch_cap);
    }

    #[inline(always)]
    pub(crate) fn note_high_water(&mut self) {
        self.values_high_water = self.values_high_water.max(self.before + self.used);
    }

    /// Releases the allocations from number `live` on, newest first.
    #[inline]
    fn truncate(&mut self, live: usize, scratch: Scratch<T>) {
        if live >= self.log.len() {
            return;
        }
        self.note_high_water();
        // R5. Without a limit there was no entry since the epoch's block ran out, so there is no epoch to leave.
        if self.log_limit != 0 {
            self.epoch += 1;
            if self.epoch.is_multiple_of(EPOCH_BLOCK) {
                self.log_limit = 0;
            }
        }
        if needs_drop::<T>() {
            drop_entries(self, live, scratch);
        } else {
            self.log.truncate(live);
        }
        self.enter_end_of_log(scratch.cap);
    }

    /// Gives empty chunks back, the largest first, then unused log, until at most `bytes` are held or nothing is left to give.
    #[cold]
    #[inline(never)]
    fn shrink_to(&mut self, bytes: usize) {
        while self.heap_bytes > bytes && size_of::<T>() != 0 {
            let empty = self.region as usize;
            let largest = (empty..self.chunks.len()).max_by_key(|&i| self.chunks[i].cap);
            let Some(largest) = largest else { break };
            let chunk = self.chunks.swap_remove(largest);
            self.free_chunk(&chunk);
        }
        self.chunks.shrink_to_fit();
        self.chunk_bytes_next = self.chunk_bytes_next.min(bytes.max(CHUNK_BYTES_MIN));
        if self.heap_bytes > bytes {
            let held = self.log.capacity();
            let above = self.heap_bytes - bytes;
            let keep = held.saturating_sub(above.div_ceil(Self::ENTRY_BYTES)).max(self.log.len());
            self.log.shrink_to(keep);
            self.log_limit = self.log_limit.min(self.log.capacity());
            self.heap_bytes -= (held - self.log.capacity()) * Self::ENTRY_BYTES;
        }
    }
}

impl<T> Drop for Heap<T> {
    fn drop(&mut self) {
        // The values are gone: `Stack` drops them first, also when one of their destructors panics.
        while let Some(chunk) = self.chunks.pop() {
            self.free_chunk(&chunk);
        }
        debug_assert_eq!(self.heap_bytes, self.log.capacity() * Self::ENTRY_BYTES, "every chunk came back");
    }
}

/// Pops and drops the entries from number `live` on; if a destructor panics, the others still run, once each.
#[inline(never)]
fn drop_entries<T>(heap: &mut Heap<T>, live: usize, scratch: Scratch<T>) {
    struct Rest<'a, T> {
        heap: &'a mut Heap<T>,
        live: usize,
        scratch: Scratch<T>,
    }
    impl<T> Rest<'_, T> {
        fn run(&mut self) {
            while self.heap.log.len() > self.live {
                let Some(entry) = self.heap.log.pop() else { return };
                let base = self.heap.base_of(self.heap.log.len(), self.scratch.first);
                // SAFETY: R1: `start` is a slot of the entry's region.
                let first = unsafe { base.add(entry.start()) };
                let values = NonNull::slice_from_raw_parts(first, entry.len());
                // SAFETY: R1: initialised and disjoint from all others; popped before, so dropped once.
                unsafe { values.drop_in_place() };
            }
        }
    }
    impl<T> Drop for Rest<'_, T> {
        fn drop(&mut self) {
            // Runs only what a panic left over; on the straight path nothing is left.
            self.run();
            self.heap.enter_end_of_log(self.scratch.cap);
        }
    }
    Rest { heap, live, scratch }.run();
}

/// The memory of a pool: scratch slots, heap, and the log over both.
pub(crate) struct Stack<T, const N: usize> {
    slots: Slots<T, N>,
    heap: Heap<T>,
}

impl<T, const N: usize> Stack<T, N> {
    pub(crate) const fn new(limits: PoolLimits) -> Self {
        const { assert!(N <= VALUES_MAX, "the scratch of a pool holds at most 2^32 - 1 values") }
        Self { slots: Slots::new(), heap: Heap::new(limits, N) }
    }

    #[inline(always)]
    fn scratch(&mut self) -> Scratch<T> {
        Scratch { first: self.slots.first_mut(), cap: N }
    }

    #[inline(always)]
    pub(crate) fn live(&self) -> usize {
        self.heap.log.len()
    }

    /// Values of allocation `index`.
    pub(crate) fn len_of(&self, index: usize) -> usize {
        self.heap.log[index].len()
    }

    /// The epoch of allocation `index`, 0 when it is not live.
    #[inline]
    pub(crate) fn epoch_of(&self, index: usize) -> u64 {
        self.heap.log.get(index).map_or(0, |entry| entry.epoch)
    }

    /// The pool's identity; taken now if it has none yet. 0 when the process has none left.
    #[inline]
    pub(crate) fn id(&mut self) -> u64 {
        if self.heap.id == 0 {
            let _ = self.heap.ensure_epoch();
        }
        self.heap.id
    }

    /// Takes `n` slots and fills them. Returns the number of the allocation and its epoch.
    #[inline]
    pub(crate) fn alloc_with(
        &mut self,
        n: usize,
        make: impl FnMut(usize) -> T,
    ) -> Result<(u32, u64), AllocError> {
        self.heap.make_room(n)?;
        let scratch = self.scratch();
        let first = self.heap.next_slot(scratch);
        /// Puts the cursor back if `make` panics: room may have been made in a later region.
        struct Back<'a, T>(&'a mut Heap<T>, usize);
        impl<T> Drop for Back<'_, T> {
            fn drop(&mut self) {
                self.0.enter_end_of_log(self.1);
            }
        }
        let back = Back(&mut self.heap, N);
        // SAFETY: `make_room` left `n` slots from the cursor on, empty by R2; the pool is borrowed exclusively.
        unsafe { fill(first, n, make) };
        // `fill` returned, so the cursor stays; the guard owns nothing that would need dropping.
        let _ = ManuallyDrop::new(back);
        // SAFETY: the room was made above, and `fill` wrote all `n`.
        Ok(unsafe { self.heap.commit(n) })
    }

    /// Moves one value into a new allocation.
    #[inline]
    pub(crate) fn alloc_value(&mut self, value: T) -> Result<(u32, u64), AllocError> {
        self.heap.make_room(1)?;
        let scratch = self.scratch();
        let slot = self.heap.next_slot(scratch);
        // SAFETY: the room was made above; the slot is written directly below, and nothing in between can panic or look.
        let committed = unsafe { self.heap.commit(1) };
        // SAFETY: `make_room` left a slot at the cursor, empty by R2.
        unsafe { slot.write(value) };
        Ok(committed)
    }

    /// Copies `values` into a new allocation.
    #[inline]
    pub(crate) fn alloc_copy(&mut self, values: &[T]) -> Result<(u32, u64), AllocError>
    where
        T: Copy,
    {
        let n = values.len();
        self.heap.make_room(n)?;
        let scratch = self.scratch();
        let first = self.heap.next_slot(scratch);
        // SAFETY: `n` empty slots from the cursor on (R2, R3); the source is borrowed elsewhere, so they do not overlap.
        unsafe { first.as_ptr().copy_from_nonoverlapping(values.as_ptr(), n) };
        // SAFETY: the room was made above, and all `n` were copied.
        Ok(unsafe { self.heap.commit(n) })
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: u32, epoch: u64) -> Option<&[T]> {
        let entry = self.heap.log.get(index as usize)?;
        if entry.epoch != epoch {
            return None;
        }
        let base = self.heap.base_of(index as usize, self.slots.first());
        // SAFETY: R1: `start` is a slot of the entry's region.
        let first = unsafe { base.add(entry.start()) }.as_ptr().cast_const();
        // SAFETY: R1: initialised, and the borrow of self keeps the entry alive and unchanged.
        Some(unsafe { core::slice::from_raw_parts(first, entry.len()) })
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, index: u32, epoch: u64) -> Option<&mut [T]> {
        let entry = *self.heap.log.get(index as usize)?;
        if entry.epoch != epoch {
            return None;
        }
        let scratch = self.slots.first_mut();
        // SAFETY: R1: `start` is a slot of the entry's region.
        let first = unsafe { self.heap.base_of(index as usize, scratch).add(entry.start()) };
        // SAFETY: R1: initialised and disjoint from all others; the borrow of self is exclusive.
        Some(unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), entry.len()) })
    }

    /// Releases the allocations from number `live` on, newest first.
    #[inline]
    pub(crate) fn truncate(&mut self, live: usize) {
        let scratch = self.scratch();
        self.heap.truncate(live, scratch);
    }

    /// Releases everything and gives back what is held above the cap.
    #[inline]
    pub(crate) fn reset(&mut self) {
        if !self.heap.log.is_empty() {
            self.truncate(0);
        }
        if self.heap.heap_bytes > self.heap.limits.retained_bytes_max {
            self.heap.shrink_to(self.heap.limits.retained_bytes_max);
        }
    }

    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        self.heap.shrink_to(bytes);
    }

    pub(crate) fn limits(&self) -> PoolLimits {
        self.heap.limits
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap.heap_bytes
    }

    pub(crate) fn values_in_use(&self) -> usize {
        self.heap.before + self.heap.used
    }

    pub(crate) fn values_high_water(&self) -> usize {
        self.heap.values_high_water.max(self.values_in_use())
    }

    pub(crate) fn overflows(&self) -> u64 {
        self.heap.overflows
    }

    #[inline]
    pub(crate) fn frame<R>(&mut self, body: impl for<'f> FnOnce(&mut Frame<'f, T>) -> R) -> R {
        let scratch = self.scratch();
        Frame::run(&mut self.heap, scratch, body)
    }

    #[inline]
    pub(crate) fn open(&mut self) -> Result<Open<'_, T, N>, AllocError> {
        self.heap.make_room(0)?;
        Ok(Open { stack: self, len: 0 })
    }
}

impl<T, const N: usize> Drop for Stack<T, N> {
    fn drop(&mut self) {
        // `heap` is dropped afterwards, whatever happens here.
        self.truncate(0);
    }
}

/// A slice under construction at the top of a pool; see `pool::Builder`.
///
/// Invariant O1: the `len` slots from the cursor on are initialised and belong to this value alone.
pub(crate) struct Open<'p, T, const N: usize> {
    stack: &'p mut Stack<T, N>,
    len: usize,
}

impl<T, const N: usize> Open<'_, T, N> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn push(&mut self, value: T) -> Result<(), AllocError> {
        if self.len == self.stack.heap.cap - self.stack.heap.used {
            self.grow(1)?;
        }
        let first = self.first();
        // SAFETY: `len` is below the slots left in the region, checked above or made so by `grow`.
        let slot = unsafe { first.add(self.len) };
        // SAFETY: by O1 and R2 that slot is empty and ours.
        unsafe { slot.write(value) };
        self.len += 1;
        Ok(())
    }

    #[inline]
    pub(crate) fn reserve(&mut self, additional: usize) -> Result<(), AllocError> {
        if additional > self.stack.heap.cap - self.stack.heap.used - self.len {
            self.grow(additional)?;
        }
        Ok(())
    }

    /// Moves what is built to a region with room for `additional` more.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, additional: usize) -> Result<(), AllocError> {
        let too_large = AllocError::TooLarge {
            requested_values: self.len.saturating_add(additional),
            values_max: VALUES_MAX,
        };
        let least = self.len.checked_add(additional).filter(|&n| n <= VALUES_MAX).ok_or(too_large)?;
        let scratch = self.stack.scratch();
        let old = self.stack.heap.next_slot(scratch);
        // Twice as much, so that pushing one by one moves each value a bounded number of times; or just enough near a limit.
        let ample = least.max(self.len.saturating_mul(2)).min(VALUES_MAX);
        if self.stack.heap.advance(ample).is_err() {
            self.stack.heap.advance(least)?;
        }
        // Through the same borrow of the scratch as `old`, which a new one would end.
        let new = self.stack.heap.next_slot(scratch);
        // SAFETY: `len` values are initialised there (O1), as many slots are free here (R2), and regions are disjoint. They are moved: the
        // old slots lie above the log's end and count as empty from now on.
        unsafe { new.copy_from_nonoverlapping(old, self.len) };
        Ok(())
    }

    #[inline]
    pub(crate) fn finish(self) -> (u32, u64) {
        let mut open = ManuallyDrop::new(self);
        let len = open.len;
        // SAFETY: `open` made room for the entry, the slots are there by O1, and the cursor stands before the first.
        unsafe { open.stack.heap.commit(len) }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        let base = self.stack.heap.base.unwrap_or(self.stack.slots.first());
        // SAFETY: R3: `used` is within the region.
        let first = unsafe { base.add(self.stack.heap.used) }.as_ptr().cast_const();
        // SAFETY: O1.
        unsafe { core::slice::from_raw_parts(first, self.len) }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        let first = self.first();
        // SAFETY: O1, and the borrow of self is exclusive.
        unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), self.len) }
    }

    #[inline(always)]
    fn first(&mut self) -> NonNull<T> {
        let scratch = self.stack.scratch();
        self.stack.heap.next_slot(scratch)
    }
}

impl<T, const N: usize> Drop for Open<'_, T, N> {
    fn drop(&mut self) {
        struct Back<'a, T>(&'a mut Heap<T>, usize);
        impl<T> Drop for Back<'_, T> {
            fn drop(&mut self) {
                self.0.enter_end_of_log(self.1);
            }
        }
        let built = NonNull::slice_from_raw_parts(self.first(), self.len);
        let _back = Back(&mut self.stack.heap, N);
        // SAFETY: O1; this value is going away, so they are dropped once.
        unsafe { built.drop_in_place() };
    }
}
