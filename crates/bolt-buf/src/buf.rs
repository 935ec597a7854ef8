//! The buffer: cursors over one chunk of memory, and when that memory moves, grows and shrinks.
//!
//! Owns one chunk, at most one spare, and the counters. Never reads a socket by itself, never locks, never touches a byte
//! that is not its own; the raw memory is in `chunk.rs`, the numbers in `policy.rs`. Limits: one owner; capacities up to
//! the configured maximum.
//!
//! Cost of moving bytes: an early compaction moves at most an eighth of what was consumed since the last one, one that is
//! needed for room at most as much as that, and growth copies what is unread, once per doubling. At the hard maximum, where
//! growth is no way out, each fill may move all that is unread.

use core::fmt;

use crate::chunk::Store;
use crate::config::{BufConfig, ConfigError};
use crate::error::{CapacityError, RangeError};
use crate::frame::{FrameCutter, SharedFrame};
use crate::policy::{Cycle, Decision, GrowthPolicy};

/// An early compaction must free this many times the bytes it moves.
const CHEAP_MOVE_RATIO: usize = 8;

/// A compaction for want of room must free this part of the capacity, otherwise the buffer grows. With a half, it never moves
/// more than was consumed; a quarter moved twice as much and was 3 % slower on frames of 32 to 96 KiB.
const WORTHWHILE_PART: usize = 2;

/// A fill asks for at most this part of the floor, so that a tiny floor is not outgrown by the first read.
const FILL_ROOM_PART: usize = 4;

/// An adaptive I/O buffer with one owner.
///
/// ```text
///  │ consumed │ unread: read_slice() │ tail: writable() │ guard │
///             └ read cursor          └ write cursor
/// ```
///
/// Memory: none until the first write; then one allocation, aligned to [`LINE_BYTES`](crate::LINE_BYTES), of the configured
/// floor up to the configured maximum, always initialised. Offsets that count from the read cursor survive every operation
/// but those that consume. `Send`, not `Clone`; no locks, no atomics unless frames are cut.
///
/// ```
/// use bolt_buf::BoltBuf;
///
/// let mut buf = BoltBuf::new();
/// buf.append(b"\x05hello\x05wor")?;
/// // A complete message is decoded where it lies.
/// assert_eq!(&buf.read_slice()[1..6], b"hello");
/// buf.consume(6);
/// // The partial one stays, and its rest arrives behind it.
/// buf.append(b"ld")?;
/// assert_eq!(buf.read_slice(), b"\x05world");
/// # Ok::<(), bolt_buf::CapacityError>(())
/// ```
pub struct BoltBuf {
    store: Store,
    /// A chunk of the same capacity that frames still held when the buffer left it.
    spare: Option<Store>,
    config: BufConfig,
    policy: GrowthPolicy,
    /// The room a fill makes at least.
    fill_room_bytes: usize,
    /// Bytes that entered since the last cycle ended.
    cycle_bytes: usize,
    /// A capacity the policy asked for, taken when room is made next: then little is unread and little is copied.
    target_bytes: usize,
    counters: Counters,
}

#[derive(Clone, Copy, Default)]
struct Counters {
    moves: u64,
    bytes_moved: u64,
    grows: u64,
    shrinks: u64,
    high_water_bytes: usize,
    capacity_high_water_bytes: usize,
}

/// What a buffer has done so far, and what it holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BufStats {
    /// Bytes that are unread.
    pub unread_bytes: usize,
    /// Bytes the present chunk can hold.
    pub capacity_bytes: usize,
    /// Bytes of the spare chunk, if there is one: it serves when frames hold the present one.
    pub spare_bytes: usize,
    /// How often unread bytes were moved, by compaction or into another chunk.
    pub moves: u64,
    /// How many bytes that were, in all.
    pub bytes_moved: u64,
    /// How often the capacity grew, not counting the first allocation.
    pub grows: u64,
    /// How often the capacity shrank.
    pub shrinks: u64,
    /// The most bytes that were ever unread at once.
    pub high_water_bytes: usize,
    /// The largest capacity there ever was.
    pub capacity_high_water_bytes: usize,
}

impl BoltBuf {
    /// A buffer with the default configuration. Allocates nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_config(BufConfig::default())
    }

    /// A buffer with limits of its own. Allocates nothing yet.
    ///
    /// A configuration that contradicts itself is repaired as [`BufConfig::normalized`] says; ask
    /// [`try_with_config`](Self::try_with_config) to refuse it.
    #[must_use]
    pub fn with_config(config: BufConfig) -> Self {
        let config = config.normalized();
        Self {
            store: Store::empty(),
            spare: None,
            config,
            policy: GrowthPolicy::new(config.growth, config.min_capacity_bytes, config.load_capacity_bytes),
            fill_room_bytes: config.min_fill_bytes.min(config.min_capacity_bytes / FILL_ROOM_PART).max(1),
            cycle_bytes: 0,
            target_bytes: 0,
            counters: Counters::default(),
        }
    }

    /// A buffer with limits of its own, if they fit together. Allocates nothing yet.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn try_with_config(config: BufConfig) -> Result<Self, ConfigError> {
        config.validate().map(Self::with_config)
    }

    /// How many bytes are unread.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether nothing is unread.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.store.len() == 0
    }

    /// Bytes the present chunk can hold; 0 before the first write and after [`release`](Self::release).
    #[inline]
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.store.capacity()
    }

    /// The capacity that is never exceeded.
    #[inline]
    #[must_use]
    pub fn max_capacity_bytes(&self) -> usize {
        self.config.max_capacity_bytes
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &BufConfig {
        &self.config
    }

    /// The unread bytes, contiguous.
    #[inline]
    #[must_use]
    pub fn read_slice(&self) -> &[u8] {
        self.store.unread()
    }

    /// The unread bytes, to be changed in place: chunk headers squeezed out, bytes swapped.
    #[inline]
    #[must_use]
    pub fn read_slice_mut(&mut self) -> &mut [u8] {
        self.store.unread_mut()
    }

    /// The unread bytes followed by at least [`tail_guard_bytes`](BufConfig::tail_guard_bytes) more that may be read but mean
    /// nothing, so that a decoder can load whole words at the end. Empty before the first write.
    ///
    /// The first [`len`](Self::len) bytes are the message.
    #[inline]
    #[must_use]
    pub fn read_slice_with_guard(&self) -> &[u8] {
        self.store.unread_with_guard()
    }

    /// Consumes the first `n` unread bytes. Moves nothing; about a nanosecond.
    ///
    /// `n` beyond [`len`](Self::len) is a mistake of the caller: it stops a debug build, and otherwise consumes what there is,
    /// since the read cursor never passes the write cursor. For lengths that come from outside there is
    /// [`try_consume`](Self::try_consume).
    #[inline]
    pub fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len(), "consume({n}) of {} unread bytes", self.len());
        self.store.consume(n);
    }

    /// Consumes the first `n` unread bytes if there are that many.
    ///
    /// # Errors
    /// Fewer are unread; nothing was consumed.
    #[inline]
    pub fn try_consume(&mut self, n: usize) -> Result<(), RangeError> {
        let available = self.len();
        if n > available {
            return Err(RangeError { end: n, available });
        }
        self.store.consume(n);
        Ok(())
    }

    /// Makes unread again what was consumed since room was last made or a frame was cut; says how many bytes that were.
    ///
    /// A decoder may consume its way into a message, find it incomplete, and start over. Room is made by `append`, `reserve`,
    /// `writable`, the fills, `compact`, `frames` and idle ticks, whether or not they move anything.
    pub fn reset_read(&mut self) -> usize {
        self.store.rewind()
    }

    /// The tail, to be written and then committed by [`advance`](Self::advance). Always initialised memory.
    ///
    /// Makes room as a fill does. Empty only when the hard maximum is unread, or the allocator refused.
    #[inline]
    pub fn writable(&mut self) -> &mut [u8] {
        // What a refusal leaves is an empty slice, or a short one.
        let _ = self.make_room();
        self.store.tail_mut()
    }

    /// How long [`writable`](Self::writable) would be without making room.
    #[inline]
    #[must_use]
    pub fn tail_len(&self) -> usize {
        self.store.tail_len()
    }

    /// The first `n` bytes of the tail, written through [`writable`](Self::writable), are unread from now on.
    ///
    /// # Errors
    /// The tail is shorter than `n`; nothing was changed.
    #[inline]
    pub fn advance(&mut self, n: usize) -> Result<(), RangeError> {
        if !self.store.commit(n) {
            return Err(RangeError { end: n, available: self.store.tail_len() });
        }
        self.entered(n, n);
        Ok(())
    }

    /// Makes the tail at least `additional` bytes long. Keeps the unread bytes; may move them.
    ///
    /// Cost: nothing if the tail is long enough; else one move of the unread bytes, or an allocation and a copy of them. The
    /// capacity at least doubles when it grows.
    ///
    /// # Errors
    /// What is unread and `additional` exceed the maximum, or the allocator refused. Nothing was changed.
    #[inline]
    pub fn reserve(&mut self, additional: usize) -> Result<(), CapacityError> {
        self.store.prepare();
        if additional <= self.store.tail_len() {
            return Ok(());
        }
        self.reserve_slow(additional)
    }

    /// Copies `bytes` behind the unread ones, making room where needed.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve): they do not fit. Nothing was appended.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), CapacityError> {
        self.reserve(bytes.len())?;
        if let Some(tail) = self.store.tail_mut().get_mut(..bytes.len()) {
            tail.copy_from_slice(bytes);
            let committed = self.store.commit(bytes.len());
            debug_assert!(committed);
            self.entered(bytes.len(), bytes.len());
        }
        Ok(())
    }

    /// Overwrites unread bytes, from `offset` behind the read cursor: a length that is known only now.
    ///
    /// # Errors
    /// The range is not wholly unread; nothing was written.
    #[inline]
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), RangeError> {
        let available = self.len();
        let end = offset.saturating_add(bytes.len());
        match self.store.unread_mut().get_mut(offset..end) {
            Some(range) => {
                range.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(RangeError { end, available }),
        }
    }

    /// Forgets the unread bytes behind the first `len`: takes back a message that was half written.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.store.truncate(len);
    }

    /// Forgets all unread bytes. Keeps the memory, the counters and the moving average.
    pub fn reset(&mut self) {
        self.store.truncate(0);
        self.store.prepare();
    }

    /// Moves the unread bytes to the front of the memory, whatever that costs. Does nothing while frames hold it.
    pub fn compact(&mut self) {
        self.compact_in_place();
    }

    /// Gives all memory back if nothing is unread, and says whether it did. Frames that live keep theirs.
    ///
    /// For connections that rest: an idle [`end_cycle`](Self::end_cycle) returns to the floor, this to nothing.
    pub fn release(&mut self) -> bool {
        if !self.is_empty() {
            return false;
        }
        self.store = Store::empty();
        self.spare = None;
        true
    }

    /// Tells the buffer that a cycle has ended, or that a tick has passed in which nothing happened.
    ///
    /// After [`Cycle::Active`], sustained load makes the next fill grow the buffer, up to
    /// [`load_capacity_bytes`](BufConfig::load_capacity_bytes). A fill ends the cycle before it by itself; owners that
    /// use `append` or `writable` say it here. After [`Cycle::Idle`], a drained buffer that was hardly used returns memory:
    /// to the floor after [`shrink_cycles`](crate::GrowthConfig::shrink_cycles) idle ticks in a row.
    ///
    /// Cost: a few arithmetic operations; on the tick that shrinks, an allocation and a release.
    #[inline]
    pub fn end_cycle(&mut self, cycle: Cycle) {
        self.settle_cycle();
        if cycle == Cycle::Idle {
            self.idle_tick();
        }
    }

    /// Cuts owned frames off the front, one batch of them; see [`FrameCutter`].
    ///
    /// ```
    /// use bolt_buf::{BoltBuf, Frame};
    ///
    /// let mut buf = BoltBuf::new();
    /// buf.append(b"\x03one\x03two\x05par")?;
    /// let mut frames: Vec<Frame> = Vec::new();
    /// let mut cutter = buf.frames()?;
    /// while let Some((&len, rest)) = cutter.unread().split_first() {
    ///     let len = usize::from(len);
    ///     if rest.len() < len {
    ///         break;
    ///     }
    ///     cutter.skip(1);
    ///     frames.push(cutter.cut(len)?);
    /// }
    /// drop(cutter);
    /// buf.append(b"ts")?;
    /// assert_eq!(frames, ["one", "two"]);
    /// assert_eq!(buf.read_slice(), b"\x05parts");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Cost: at most one atomic operation. When sixteen batches of this chunk are still alive, the unread bytes are moved to
    /// another chunk.
    ///
    /// # Errors
    /// Another chunk was needed and the allocator refused.
    pub fn frames(&mut self) -> Result<FrameCutter<'_>, CapacityError> {
        self.store.prepare();
        let refused = self.capacity_error(0);
        if !self.store.has_slot() {
            let capacity_bytes = self.capacity_bytes().max(self.config.min_capacity_bytes);
            if !self.relocate(capacity_bytes) {
                return Err(refused);
            }
        }
        FrameCutter::open(&mut self.store).ok_or(refused)
    }

    /// The first `n` unread bytes as a frame that may go to other threads. Cost: two atomic operations in its life, no copy.
    ///
    /// # Errors
    /// Fewer than `n` bytes are unread, or there never were any; nothing was changed.
    pub fn take_shared(&mut self, n: usize) -> Result<SharedFrame, RangeError> {
        let available = self.len();
        SharedFrame::take(&mut self.store, n).ok_or(RangeError { end: n, available })
    }

    /// What happened so far, and what is held now.
    #[must_use]
    pub fn stats(&self) -> BufStats {
        let Counters { moves, bytes_moved, grows, shrinks, high_water_bytes, capacity_high_water_bytes } =
            self.counters;
        BufStats {
            unread_bytes: self.len(),
            capacity_bytes: self.capacity_bytes(),
            spare_bytes: self.spare.as_ref().map_or(0, Store::capacity),
            moves,
            bytes_moved,
            grows,
            shrinks,
            high_water_bytes,
            capacity_high_water_bytes,
        }
    }

    /// Counts `n` bytes that entered, and `load_bytes` as what the policy is told of them.
    #[inline]
    pub(crate) fn entered(&mut self, n: usize, load_bytes: usize) {
        debug_assert!(load_bytes >= n);
        self.cycle_bytes = self.cycle_bytes.saturating_add(load_bytes);
        self.counters.high_water_bytes = self.counters.high_water_bytes.max(self.store.len());
    }

    /// The tail as it is, for a reader to fill.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn tail_mut(&mut self) -> &mut [u8] {
        self.store.tail_mut()
    }

    /// Takes over `n` bytes that a reader says it has put into the tail. `false`, and nothing changes, if it cannot have.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn filled(&mut self, n: usize) -> bool {
        let offered = self.store.tail_len();
        if !self.store.commit(n) {
            return false;
        }
        // A read that took all it was offered would have taken more: it counts as a full cycle.
        self.entered(n, if n == offered { n.max(self.store.capacity()) } else { n });
        true
    }

    /// Tells the policy about the cycle that has ended, if any byte entered in it.
    #[inline]
    pub(crate) fn settle_cycle(&mut self) {
        if self.cycle_bytes == 0 {
            return;
        }
        // A buffer that has released its memory stands at its floor.
        let capacity_bytes = self.store.capacity().max(self.target_bytes).max(self.config.min_capacity_bytes);
        let bytes = core::mem::take(&mut self.cycle_bytes);
        if let Decision::Grow { to_bytes } =
            self.policy.observe(Cycle::Active, bytes, capacity_bytes, self.store.len() == 0)
        {
            self.target_bytes = to_bytes;
        }
    }

    /// Makes the tail long enough for a read that is worth a system call: by moving a few bytes early, by moving more when it
    /// must, by growing.
    #[inline]
    pub(crate) fn make_room(&mut self) -> Result<(), CapacityError> {
        self.store.prepare();
        let consumed = self.store.consumed();
        if self.target_bytes == 0 && self.store.tail_len() >= self.fill_room_bytes {
            let cheap = self.store.len() <= consumed / CHEAP_MOVE_RATIO;
            if consumed >= self.config.compact_after_bytes && cheap {
                self.compact_in_place();
            }
            return Ok(());
        }
        self.make_room_slow()
    }

    #[cold]
    fn make_room_slow(&mut self) -> Result<(), CapacityError> {
        let target_bytes = core::mem::take(&mut self.target_bytes).min(self.config.max_capacity_bytes);
        if target_bytes > self.store.capacity() {
            // A refusal is no reason to fail: growth under load is a matter of speed.
            self.relocate(target_bytes);
        }
        let capacity = self.store.capacity();
        if self.store.tail_len() < self.fill_room_bytes {
            let is_worthwhile = self.store.consumed() >= (capacity / WORTHWHILE_PART).max(1);
            let grown_bytes = self.grown(self.len().saturating_add(self.fill_room_bytes));
            let has_grown = !is_worthwhile && grown_bytes > capacity && self.relocate(grown_bytes);
            if !has_grown && self.store.consumed() > 0 && !self.compact_in_place() {
                // Frames hold the memory in front, so a compaction needs a chunk of its own.
                self.relocate(capacity);
            }
        }
        if self.store.tail_len() == 0 { Err(self.capacity_error(1)) } else { Ok(()) }
    }

    #[cold]
    fn reserve_slow(&mut self, additional: usize) -> Result<(), CapacityError> {
        let needed_bytes = self.len().saturating_add(additional);
        if needed_bytes > self.config.max_capacity_bytes {
            return Err(self.capacity_error(additional));
        }
        let capacity = self.store.capacity();
        let fits = needed_bytes <= capacity;
        let is_worthwhile = fits && self.store.consumed() >= capacity / WORTHWHILE_PART;
        let grown_bytes = self.grown(needed_bytes);
        let has_grown = !is_worthwhile && grown_bytes > capacity && self.relocate(grown_bytes);
        if !has_grown {
            // Either there is room in the chunk, or at least the exact size may still be had.
            let has_room = fits && self.compact_in_place();
            if !has_room && !self.relocate(capacity.max(needed_bytes)) {
                return Err(self.capacity_error(additional));
            }
        }
        Ok(())
    }

    /// The capacity to grow to: at least double, a power of two, between floor and maximum, never below `needed_bytes` unless
    /// that is beyond the maximum.
    fn grown(&self, needed_bytes: usize) -> usize {
        let wanted = needed_bytes.max(self.store.capacity().saturating_mul(2));
        wanted
            .checked_next_power_of_two()
            .unwrap_or(usize::MAX)
            .max(self.config.min_capacity_bytes)
            .min(self.config.max_capacity_bytes)
    }

    /// Moves the unread bytes to the front. `false` while frames hold the memory.
    fn compact_in_place(&mut self) -> bool {
        match self.store.compact() {
            None => false,
            Some(0) => true,
            Some(bytes) => {
                self.counters.moves += 1;
                self.counters.bytes_moved += bytes as u64;
                true
            }
        }
    }

    /// Moves the unread bytes into another chunk. `false`, and nothing changes, if the allocator refuses.
    #[cold]
    fn relocate(&mut self, capacity_bytes: usize) -> bool {
        let Some(mut next) = self.take_chunk(capacity_bytes) else {
            return false;
        };
        let unread = self.store.unread();
        let Some(room) = next.tail_mut().get_mut(..unread.len()) else {
            debug_assert!(false, "a chunk of {capacity_bytes} bytes for {} unread ones", unread.len());
            return false;
        };
        room.copy_from_slice(unread);
        let bytes = unread.len();
        next.commit(bytes);
        if bytes > 0 {
            self.counters.moves += 1;
            self.counters.bytes_moved += bytes as u64;
        }
        let mut left = core::mem::replace(&mut self.store, next);
        let capacity = self.store.capacity();
        if left.capacity() > 0 && capacity > left.capacity() {
            self.counters.grows += 1;
        }
        self.counters.capacity_high_water_bytes = self.counters.capacity_high_water_bytes.max(capacity);
        self.spare = None;
        if left.capacity() == capacity && !left.is_exclusive() {
            self.spare = Some(left);
        }
        true
    }

    /// The spare if it fits and no frame holds it any more, or a new chunk.
    fn take_chunk(&mut self, capacity_bytes: usize) -> Option<Store> {
        if let Some(spare) = &mut self.spare
            && spare.capacity() == capacity_bytes
            && spare.is_exclusive()
        {
            spare.truncate(0);
            spare.prepare();
            return self.spare.take();
        }
        Store::allocate(capacity_bytes, self.config.tail_guard_bytes)
    }

    #[cold]
    fn idle_tick(&mut self) {
        self.target_bytes = 0;
        self.store.prepare();
        let decision = self.policy.observe(Cycle::Idle, 0, self.store.capacity(), self.is_empty());
        if let Decision::Shrink { to_bytes } = decision
            && let Some(smaller) = Store::allocate(to_bytes, self.config.tail_guard_bytes)
        {
            self.store = smaller;
            self.spare = None;
            self.counters.shrinks += 1;
        }
        if self.policy.idle_cycles() >= self.config.growth.shrink_cycles {
            self.spare = None;
        }
    }

    /// The error for `additional` bytes that cannot be had.
    #[cold]
    fn capacity_error(&self, additional: usize) -> CapacityError {
        let maximum = self.config.max_capacity_bytes;
        CapacityError {
            requested: self.len().saturating_add(additional),
            available: maximum - self.len(),
            maximum,
        }
    }
}

impl Default for BoltBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for BoltBuf {
    /// The numbers, not the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoltBuf")
            .field("unread_bytes", &self.len())
            .field("consumed_bytes", &self.store.consumed())
            .field("tail_bytes", &self.tail_len())
            .field("capacity_bytes", &self.capacity_bytes())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "bytes")]
impl bytes::Buf for BoltBuf {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.read_slice()
    }

    /// The trait's `advance` consumes; the buffer's own [`advance`](BoltBuf::advance), which a method call on a `BoltBuf`
    /// means, commits what was written.
    ///
    /// # Panics
    /// If `cnt` is more than is unread, as the trait asks.
    fn advance(&mut self, cnt: usize) {
        if let Err(error) = self.try_consume(cnt) {
            panic!("advance: {error}");
        }
    }
}
