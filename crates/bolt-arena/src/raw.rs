//! Owns: the memory of a pool and its cursor: scratch in place, chunks on the heap, and the log of allocations.
//! Never moves a value that a handle or reference can see; never decides policy beyond chunk sizes.
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
//! - **R1** The entries of the log describe disjoint slices in stack order; every value of every entry is initialised. An entry lies in
//!   the last region whose `first_index` does not exceed the entry's index, from its `first` to the `first` of the next entry there, or to where the
//!   cursor left that region, or stands.
//! - **R2** All memory at and above the cursor, and all of the chunks past the current region, holds no value the log
//!   knows; frames and builders put theirs there and take them away before the log is touched again.
//! - **R3** The cursor describes its region: `base <= next <= end`, whole slots apart, at most 2³² − 1 of them. In a chunk they point into its memory;
//!   in the scratch, which moves with the pool, they are distances in bytes from its first slot. A slot of a zero-sized type counts as one byte.
//! - **R4** A chunk's memory is allocated with the layout `chunk_layout(cap)` and is freed only while no value lies in it.
//! - **R5** An epoch is part of one pool's log at a time and is left for good whenever an allocation is released; so (index, epoch) names one
//!   allocation in the life of the process, and a [`Ticket`] whose pair is in the log tells that allocation's length.

use alloc::alloc::{alloc, dealloc};
use alloc::vec::Vec;
use core::alloc::Layout;
use core::mem::{ManuallyDrop, needs_drop, size_of};
use core::ptr::{NonNull, null_mut};

use bolt_sync::IdSource;

use crate::error::AllocError;
use crate::frame::{Frame, Open};
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

/// One allocation. 16 bytes: four to a line of cache, indexed by a shift. Its length is not written down: the handle has it, and
/// releasing reads it off the cursor.
struct Entry<T> {
    epoch: u64,
    /// The first slot, as in R3.
    first: *mut T,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Entry<T> {}

/// What names an allocation. Only [`Heap::commit`] makes them, so that R5 can vouch for the length.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    epoch: u64,
    index: u32,
    len: u32,
}

impl Ticket {
    #[inline(always)]
    pub(crate) const fn epoch(self) -> u64 {
        self.epoch
    }

    #[inline(always)]
    pub(crate) const fn index(self) -> u32 {
        self.index
    }

    #[inline(always)]
    pub(crate) const fn len(self) -> u32 {
        self.len
    }
}

struct Chunk<T> {
    first: NonNull<T>,
    /// Slots.
    cap: usize,
    // As of when the cursor entered this chunk; meaningless for an empty one:
    /// Entries in all regions below.
    first_index: usize,
    /// Bytes of values in all regions below.
    bytes_below: usize,
    /// Where the cursor stood in the region below.
    left_at: *mut T,
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

/// The slot at a place.
///
/// # Safety
/// By R3 `at` is a place of the scratch that begins at `scratch`, or else of a chunk.
#[inline(always)]
unsafe fn slot<T>(at: *mut T, in_scratch: bool, scratch: NonNull<T>) -> NonNull<T> {
    if size_of::<T>() == 0 {
        // Places only count here; a value without bytes may be anywhere that is aligned.
        NonNull::dangling()
    } else if in_scratch {
        // SAFETY: R3: a distance within the slots, or to their end.
        unsafe { scratch.byte_add(at.addr()) }
    } else {
        // SAFETY: R3: in a chunk, so not null.
        unsafe { NonNull::new_unchecked(at) }
    }
}

/// A point in the stack.
pub(crate) struct Cursor<T> {
    pub(crate) region: u32,
    /// As in R3.
    pub(crate) next: *mut T,
}

impl<T> Clone for Cursor<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Cursor<T> {}

/// Bytes from one slot to the next.
const fn stride<T>() -> usize {
    if size_of::<T>() == 0 { 1 } else { size_of::<T>() }
}

/// The place `n` slots after `at`, a cursor of R3: within the region or at its end, as the caller has checked.
#[inline(always)]
pub(crate) const fn after<T>(at: *mut T, n: usize) -> *mut T {
    at.wrapping_byte_add(n.wrapping_mul(stride::<T>()))
}

/// Slots from `start` to `end`, two places of one region.
#[inline(always)]
pub(crate) fn slots_between<T>(start: *mut T, end: *mut T) -> usize {
    end.addr().wrapping_sub(start.addr()) / stride::<T>()
}

/// All of a pool but its scratch slots. What an allocation reads and writes comes first: one line of cache, since `Slots` before it is
/// a multiple of 64 bytes.
#[repr(C)]
pub(crate) struct Heap<T> {
    log: Vec<Entry<T>>,
    /// Entries up to which the log may be filled without a look: its capacity, or 0 while the pool has no epoch to give.
    log_limit: usize,
    /// The cursor: R3.
    pub(crate) next: *mut T,
    pub(crate) end: *mut T,
    /// Null in the scratch.
    pub(crate) base: *mut T,
    /// The epoch of new entries; a multiple of `EPOCH_BLOCK` (0 at first) means: take a block before the next entry.
    epoch: u64,

    /// Entries below this are in the scratch: all (`usize::MAX`) until the cursor leaves it.
    scratch_entries: usize,
    /// Cutting the log to fewer entries than this leaves the current region empty. 0 in the scratch, else one more than its `first_index`.
    floor: usize,
    /// Bytes of values in the regions below the current one.
    bytes_below: usize,
    bytes_high_water: usize,
    pub(crate) region: u32,
    /// Bytes of chunks and log. The table of chunks, 40 bytes for every 4 KiB or more, is not counted.
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
    const ENTRY_BYTES: usize = size_of::<Entry<T>>();

    const fn new(limits: PoolLimits, scratch_cap: usize) -> Self {
        Self {
            log: Vec::new(),
            log_limit: 0,
            next: null_mut(),
            end: after(null_mut(), scratch_cap),
            base: null_mut(),
            epoch: 0,
            scratch_entries: usize::MAX,
            floor: 0,
            bytes_below: 0,
            bytes_high_water: 0,
            region: 0,
            heap_bytes: 0,
            limits,
            chunks: Vec::new(),
            chunk_bytes_next: CHUNK_BYTES_MIN,
            id: 0,
            overflows: 0,
        }
    }

    #[inline(always)]
    pub(crate) fn cursor(&self) -> Cursor<T> {
        Cursor { region: self.region, next: self.next }
    }

    /// The first free slot.
    #[inline(always)]
    pub(crate) fn next_slot(&self, scratch: Scratch<T>) -> NonNull<T> {
        // SAFETY: by R3 the cursor is a place of the current region.
        unsafe { slot(self.next, self.base.is_null(), scratch.first) }
    }

    /// Whether `n` slots are free from `next` on, in a region that ends at `end`.
    #[inline(always)]
    pub(crate) fn fits(n: usize, next: *mut T, end: *mut T) -> bool {
        // Saturated, it is more than any region has.
        n.saturating_mul(stride::<T>()) <= end.addr().wrapping_sub(next.addr())
    }

    /// Makes sure that one more entry fits the log and has an epoch, and that `n` slots are free from the cursor on.
    #[inline(always)]
    pub(crate) fn make_room(&mut self, n: usize) -> Result<(), AllocError> {
        if self.log.len() >= self.log_limit {
            self.prepare_log()?;
        }
        if !Self::fits(n, self.next, self.end) {
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
        let bytes_below = self.bytes_below + self.bytes_here();
        let chunk = &mut self.chunks[next];
        chunk.bytes_below = bytes_below;
        chunk.left_at = self.next;
        chunk.first_index = self.log.len();
        self.enter_region(self.region + 1, 0);
        self.next = self.base;
        self.overflows += 1;
        Ok(())
    }

    fn new_chunk(&mut self, n: usize) -> Result<Chunk<T>, AllocError> {
        if n > VALUES_MAX {
            return Err(AllocError::TooLarge { requested_values: n, values_max: VALUES_MAX });
        }
        if size_of::<T>() == 0 {
            return Ok(Chunk {
                first: NonNull::dangling(),
                cap: VALUES_MAX,
                first_index: 0,
                bytes_below: 0,
                left_at: null_mut(),
            });
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
        Ok(Chunk { first, cap, first_index: 0, bytes_below: 0, left_at: null_mut() })
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
    pub(crate) unsafe fn commit(&mut self, n: usize) -> Ticket {
        // Everything is read before anything is written: a store might alias, for all the compiler knows.
        let (index, first, epoch) = (self.log.len(), self.next, self.epoch);
        let spare = self.log.as_mut_ptr();
        // SAFETY: `make_room` left capacity for one more entry behind the last.
        let slot = unsafe { spare.add(index) };
        // SAFETY: as above.
        unsafe { slot.write(Entry { epoch, first }) };
        // SAFETY: that entry was just written, within the capacity.
        unsafe { self.log.set_len(index + 1) };
        self.next = after(first, n);
        Ticket { epoch, index: index as u32, len: n as u32 }
    }

    /// Bytes of values in the current region.
    #[inline(always)]
    fn bytes_here(&self) -> usize {
        self.next.addr().wrapping_sub(self.base.addr())
    }

    /// Sets the cursor to a point at or below where it is.
    #[inline]
    pub(crate) fn enter(&mut self, at: Cursor<T>, scratch_cap: usize) {
        if at.region != self.region {
            self.enter_region(at.region, scratch_cap);
        }
        self.next = at.next;
    }

    /// Makes a region the current one. Where the cursor stands in it is up to the caller.
    #[cold]
    fn enter_region(&mut self, region: u32, scratch_cap: usize) {
        self.region = region;
        if region == 0 {
            (self.base, self.end) = (null_mut(), after(null_mut(), scratch_cap));
            (self.floor, self.bytes_below, self.scratch_entries) = (0, 0, usize::MAX);
        } else {
            let chunk = &self.chunks[region as usize - 1];
            self.base = chunk.first.as_ptr();
            self.end = after(self.base, chunk.cap);
            (self.floor, self.bytes_below) = (chunk.first_index + 1, chunk.bytes_below);
            self.scratch_entries = self.chunks[0].first_index;
        }
    }

    /// Leaves the current region for the one below, at the place where the cursor left it.
    pub(crate) fn enter_region_below(&mut self, scratch_cap: usize) {
        let next = self.chunks[self.region as usize - 1].left_at;
        self.enter_region(self.region - 1, scratch_cap);
        self.next = next;
    }

    /// Leaves the regions that hold no entry when the log has `live` of them.
    #[inline]
    fn settle(&mut self, live: usize, scratch_cap: usize) {
        while live < self.floor {
            self.enter_region_below(scratch_cap);
        }
    }

    /// Leaves the regions that hold no entry.
    #[inline]
    pub(crate) fn settle_now(&mut self, scratch_cap: usize) {
        self.settle(self.log.len(), scratch_cap);
    }

    /// The place behind a live entry's last value: see R1.
    fn end_of(&self, index: usize) -> *mut T {
        let entered = &self.chunks[..self.region as usize];
        let region = entered.partition_point(|chunk| chunk.first_index <= index);
        match (entered.get(region), self.log.get(index + 1)) {
            (Some(above), _) if above.first_index == index + 1 => above.left_at,
            (_, Some(following)) => following.first,
            (_, None) => self.next,
        }
    }

    #[inline(always)]
    pub(crate) fn note_high_water(&mut self) {
        self.bytes_high_water = self.bytes_high_water.max(self.bytes_below + self.bytes_here());
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
        } else if live >= self.floor {
            self.next = self.log[live].first;
            self.log.truncate(live);
        } else {
            self.truncate_below(live, scratch.cap);
        }
    }

    /// Cuts the log where that leaves the current region empty.
    #[cold]
    #[inline(never)]
    fn truncate_below(&mut self, live: usize, scratch_cap: usize) {
        let end = if live == 0 { null_mut() } else { self.end_of(live - 1) };
        self.settle(live, scratch_cap);
        self.next = end;
        self.log.truncate(live);
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
            loop {
                // The region of the newest entry, and its end (R1).
                self.heap.settle(self.heap.log.len(), self.scratch.cap);
                if self.heap.log.len() <= self.live {
                    return;
                }
                let Some(entry) = self.heap.log.pop() else { return };
                let len = slots_between(entry.first, self.heap.next);
                self.heap.next = entry.first;
                let first = self.heap.next_slot(self.scratch);
                let values = NonNull::slice_from_raw_parts(first, len);
                // SAFETY: R1: initialised and disjoint from all others; popped before, so dropped once.
                unsafe { values.drop_in_place() };
            }
        }
    }
    impl<T> Drop for Rest<'_, T> {
        fn drop(&mut self) {
            // Runs only what a panic left over; on the straight path nothing is left.
            self.run();
        }
    }
    Rest { heap, live, scratch }.run();
}

/// The memory of a pool: scratch slots, heap, and the log over both.
pub(crate) struct Stack<T, const N: usize> {
    pub(crate) slots: Slots<T, N>,
    pub(crate) heap: Heap<T>,
}

impl<T, const N: usize> Stack<T, N> {
    pub(crate) const fn new(limits: PoolLimits) -> Self {
        const { assert!(N <= VALUES_MAX, "the scratch of a pool holds at most 2^32 - 1 values") }
        Self { slots: Slots::new(), heap: Heap::new(limits, N) }
    }

    #[inline(always)]
    pub(crate) fn scratch(&mut self) -> Scratch<T> {
        Scratch { first: self.slots.first_mut(), cap: N }
    }

    #[inline(always)]
    pub(crate) fn live(&self) -> usize {
        self.heap.log.len()
    }

    /// Values of allocation `index`.
    pub(crate) fn len_of(&self, index: usize) -> usize {
        slots_between(self.heap.log[index].first, self.heap.end_of(index))
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

    /// Takes `n` slots and fills them.
    #[inline]
    pub(crate) fn alloc_with(
        &mut self,
        n: usize,
        make: impl FnMut(usize) -> T,
    ) -> Result<Ticket, AllocError> {
        self.heap.make_room(n)?;
        let scratch = self.scratch();
        let first = self.heap.next_slot(scratch);
        /// Puts the cursor back if `make` panics: room may have been made in a later region.
        struct Back<'a, T>(&'a mut Heap<T>, usize);
        impl<T> Drop for Back<'_, T> {
            fn drop(&mut self) {
                self.0.settle_now(self.1);
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
    pub(crate) fn alloc_value(&mut self, value: T) -> Result<Ticket, AllocError> {
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
    pub(crate) fn alloc_copy(&mut self, values: &[T]) -> Result<Ticket, AllocError>
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
    pub(crate) fn get(&self, ticket: Ticket) -> Option<&[T]> {
        let entry = self.heap.log.get(ticket.index as usize)?;
        if entry.epoch != ticket.epoch {
            return None;
        }
        let in_scratch = (ticket.index as usize) < self.heap.scratch_entries;
        // SAFETY: R1: a place of the scratch, or of a chunk.
        let first = unsafe { slot(entry.first, in_scratch, self.slots.first()) }.as_ptr().cast_const();
        // SAFETY: R1 and R5: so many values are initialised there, and the borrow of self keeps the entry alive and unchanged.
        Some(unsafe { core::slice::from_raw_parts(first, ticket.len as usize) })
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut [T]> {
        let entry = *self.heap.log.get(ticket.index as usize)?;
        if entry.epoch != ticket.epoch {
            return None;
        }
        let in_scratch = (ticket.index as usize) < self.heap.scratch_entries;
        // SAFETY: R1: a place of the scratch, or of a chunk.
        let first = unsafe { slot(entry.first, in_scratch, self.slots.first_mut()) };
        // SAFETY: R1 and R5: initialised and disjoint from all others; the borrow of self is exclusive.
        Some(unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), ticket.len as usize) })
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
        (self.heap.bytes_below + self.heap.bytes_here()) / stride::<T>()
    }

    pub(crate) fn values_high_water(&self) -> usize {
        (self.heap.bytes_high_water / stride::<T>()).max(self.values_in_use())
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
        Open::new(self)
    }
}

impl<T, const N: usize> Drop for Stack<T, N> {
    fn drop(&mut self) {
        // `heap` is dropped afterwards, whatever happens here.
        self.truncate(0);
    }
}
