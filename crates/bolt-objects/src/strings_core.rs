//! Owns: the mechanism of a string pool: slots, index, queues of text, places of pinned text, eviction by S3-FIFO. Generic over the memory
//! that holds the text, so that the pool of one owner and the shards of the shared pool run the same code. Never allocates after
//! construction. Limits: 2^31 strings, 32 GiB of text; an operation looks at 16 entries of the index, gives at most [`CHANCES`] strings
//! a second chance, and evicts as many as the new text's length asks for.
//!
//! unsafe: allowed here

use alloc::vec::Vec;
use core::hash::Hasher as _;

use rustc_hash::FxHasher;

use crate::strings_config::{Plan, StringError, StringId, StringStats};

/// Strings that one operation moves instead of evicting, because they were asked for. The trace study shows what the bound costs: 0.3 % of
/// hits at most.
const CHANCES: u32 = 8;
/// Text is placed in units of eight bytes; a header before each text is one.
pub(crate) const UNIT: usize = 8;
/// No slot: the end of a list, or the header of a gap at the end of a queue.
const NONE: u32 = u32::MAX;
/// Entries of a bucket: tags and slots fill one cache line.
const WAYS: usize = 8;
/// Pins that are never taken back.
const STATIC: u16 = u16::MAX;

/// Where text lies. Positions are in units.
pub(crate) trait Memory {
    /// Writes `text` at `at`.
    fn put(&mut self, at: u32, text: &[u8]);
    /// Moves `len` bytes; the places may overlap.
    fn shift(&mut self, from: u32, to: u32, len: usize);
    /// Whether `text` is what lies at `at`.
    fn equals(&self, at: u32, text: &[u8]) -> bool;
    /// The word at `at`.
    fn word(&self, at: u32) -> u64;
    /// Sets the word at `at`.
    fn set_word(&mut self, at: u32, word: u64);
    /// From now on no reader may trust what it knows of `slot`. Comes before any change of its text.
    fn retract(&mut self, slot: u32);
    /// Readers may trust again.
    fn publish(&mut self, slot: u32, generation: u32, at: u32, len: u32);
    /// Appends the text to `out`.
    fn copy_to(&self, at: u32, len: usize, out: &mut Vec<u8>);
}

/// Memory whose text can be borrowed.
pub(crate) trait Borrowed: Memory {
    /// The bytes at `at`.
    fn bytes(&self, at: u32, len: usize) -> Option<&[u8]>;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Free,
    Small,
    Main,
    Block,
}

/// One string. Invariants, for slots whose place is not `Free`:
///
/// 1. `at` and `len` name bytes that were copied whole from a `str` by `Memory::put` or `Memory::shift`.
/// 2. Those bytes have not been written since: a queue writes only where no live slot's text lies, and a block has one user.
/// 3. `generation` is odd; for free slots it is even.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    generation: u32,
    /// Where the text lies, in units; the next free slot while this one is free.
    at: u32,
    len: u32,
    tag: u32,
    pins: u16,
    place: Place,
    /// Asked for since the hand passed. The one thing a hit writes, and only when it is not set already.
    visited: bool,
}

/// One cache line of the index. A tag of 0 is an empty entry.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Bucket {
    tags: [u32; WAYS],
    slots: [u32; WAYS],
}

const _: () = assert!(size_of::<Bucket>() == 64 && size_of::<Slot>() == 20);

impl Bucket {
    const EMPTY: Self = Self { tags: [0; WAYS], slots: [NONE; WAYS] };

    /// A bit for each entry with this tag.
    #[inline(always)]
    fn matches(&self, tag: u32) -> u32 {
        let mut mask = 0;
        for (way, &other) in self.tags.iter().enumerate() {
            mask |= u32::from(other == tag) << way;
        }
        mask
    }

    fn room(&self) -> Option<usize> {
        self.tags.iter().position(|&tag| tag == 0)
    }
}

/// A log of text: what is pushed at the head leaves at the tail. No text lies across the end.
struct Queue {
    base: u32,
    cap: u32,
    head: u32,
    tail: u32,
    /// Units between tail and head, holes and the gap at the end included.
    used: u32,
    /// Live strings.
    count: u32,
}

impl Queue {
    fn new(base: u32, cap: u32) -> Self {
        Self { base, cap, head: 0, tail: 0, used: 0, count: 0 }
    }

    fn fits(&self, units: u32) -> bool {
        if self.used == 0 {
            units <= self.cap
        } else if self.head > self.tail {
            units <= self.cap - self.head || units <= self.tail
        } else {
            units <= self.tail - self.head
        }
    }

    /// Takes the place that `fits` promised; headers are the caller's, and so is that of the gap, if there is one.
    fn take(&mut self, units: u32) -> (u32, Option<(u32, u32)>) {
        debug_assert!(self.fits(units), "no room for {units} units");
        let mut gap = None;
        if self.used == 0 {
            (self.head, self.tail) = (0, 0);
        } else if self.head > self.tail && units > self.cap - self.head {
            let left = self.cap - self.head;
            if left > 0 {
                gap = Some((self.base + self.head, left));
                self.used += left;
            }
            self.head = 0;
        }
        let at = self.base + self.head;
        self.head += units;
        self.used += units;
        self.count += 1;
        (at, gap)
    }

    /// Lets the entry of `units` at the tail go.
    fn release(&mut self, units: u32) {
        self.used -= units;
        self.tail += units;
        if self.tail == self.cap {
            self.tail = 0;
        }
    }
}

/// Blocks of a power of two of units for pinned text: a bump, and a list of free blocks for each power, linked through their first word.
struct Blocks {
    end: u32,
    next: u32,
    free: [u32; 32],
}

impl Blocks {
    fn power(len: usize) -> u32 {
        len.div_ceil(UNIT).max(1).next_power_of_two().trailing_zeros()
    }

    fn take(&mut self, memory: &mut impl Memory, len: usize) -> Option<u32> {
        let power = Self::power(len);
        let units = 1_u32.checked_shl(power)?;
        let found = (power..32).find(|&power| self.free[power as usize] != NONE);
        match found {
            Some(found) if found == power || self.end - self.next < units => {
                let at = self.free[found as usize];
                self.free[found as usize] = memory.word(at) as u32;
                // The upper halves go back to the lists of their powers.
                for half in power..found {
                    self.give(memory, at + (1 << half), half);
                }
                Some(at)
            }
            _ if self.end - self.next >= units => {
                self.next += units;
                Some(self.next - units)
            }
            _ => None,
        }
    }

    fn give(&mut self, memory: &mut impl Memory, at: u32, power: u32) {
        memory.set_word(at, u64::from(self.free[power as usize]));
        self.free[power as usize] = at;
    }
}

/// What a string asks of a queue: its header and its text.
fn units(len: usize) -> u32 {
    1 + len.div_ceil(UNIT) as u32
}

/// The tag of a text in the index, never 0.
#[inline(always)]
pub(crate) fn tag_of(text: &[u8]) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(text);
    // The hasher's best bits are the 26 lowest; the index goes by the highest of a tag.
    (hasher.finish() as u32).rotate_left(6) | 1
}

pub(crate) struct Core<M> {
    memory: M,
    slots: Vec<Slot>,
    buckets: Vec<Bucket>,
    /// Tags of strings that left the small queue, each in the one place its tag names: a hint, so collisions only forget.
    ghosts: Vec<u32>,
    small: Queue,
    main: Queue,
    blocks: Blocks,
    free: u32,
    /// The main queue has been full: from now on it takes what was asked for, and nothing else.
    filled: bool,
    live: u32,
    pinned: u32,
    text_bytes: usize,
    interned: u64,
    evicted: u64,
    retired: u32,
    plan: Plan,
}

impl<M: Memory> Core<M> {
    /// The tables' bytes for a plan of so many strings, and the buckets and ghosts among them.
    pub(crate) const fn tables(strings_max: u32) -> (usize, usize, usize) {
        // Half of the entries are filled at most.
        let buckets = (strings_max as usize * 2).div_ceil(WAYS) + 1;
        let ghosts = strings_max as usize;
        let bytes = strings_max as usize * size_of::<Slot>()
            + buckets * size_of::<Bucket>()
            + ghosts * size_of::<u32>();
        (bytes, buckets, ghosts)
    }

    pub(crate) fn new(plan: Plan, memory: M) -> Self {
        let (_, buckets, ghosts) = Self::tables(plan.strings_max);
        Self {
            memory,
            slots: Vec::with_capacity(plan.strings_max as usize),
            buckets: alloc::vec![Bucket::EMPTY; buckets],
            ghosts: alloc::vec![0; ghosts],
            small: Queue::new(plan.block_units, plan.small_units),
            main: Queue::new(plan.block_units + plan.small_units, plan.main_units),
            blocks: Blocks { end: plan.block_units, next: 0, free: [NONE; 32] },
            free: NONE,
            filled: false,
            live: 0,
            pinned: 0,
            text_bytes: 0,
            interned: 0,
            evicted: 0,
            retired: 0,
            plan,
        }
    }

    // Reading.

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    #[inline]
    fn slot(&self, id: StringId) -> Option<&Slot> {
        self.slots.get(id.slot() as usize).filter(|slot| slot.generation == id.generation())
    }

    #[inline]
    pub(crate) fn is_live(&self, id: StringId) -> bool {
        self.slot(id).is_some()
    }

    /// The text of `slot` in a pool whose memory can be borrowed.
    #[inline]
    pub(crate) fn resolve(&self, id: StringId) -> Option<&str>
    where
        M: Borrowed,
    {
        let slot = self.slot(id)?;
        let bytes = self.memory.bytes(slot.at, slot.len as usize)?;
        // SAFETY: the generation of an id is odd, so the slot is live (3) and its bytes are those of a `str` (1), unchanged (2).
        Some(unsafe { core::str::from_utf8_unchecked(bytes) })
    }

    /// Appends the text of `id` to `out`; false when it is dead.
    #[cfg(feature = "std")]
    pub(crate) fn copy_to(&self, id: StringId, out: &mut Vec<u8>) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        self.memory.copy_to(slot.at, slot.len as usize, out);
        true
    }

    pub(crate) fn stats(&self) -> StringStats {
        StringStats {
            strings: self.live as usize,
            text_bytes: self.text_bytes,
            pinned: self.pinned as usize,
            bytes_held: self.plan.bytes_held,
            interned: self.interned,
            evicted: self.evicted,
            retired: self.retired as usize,
        }
    }

    #[inline]
    fn ways(&self, tag: u32) -> (usize, usize) {
        let buckets = self.buckets.len() as u64;
        let first = (u64::from(tag) * buckets) >> 32;
        let second = (u64::from(tag.wrapping_mul(0x9e37_79b1)) * buckets) >> 32;
        (first as usize, second as usize)
    }

    #[inline(always)]
    fn find_in(&self, bucket: usize, tag: u32, text: &[u8]) -> Option<u32> {
        let bucket = &self.buckets[bucket];
        let mut mask = bucket.matches(tag);
        while mask != 0 {
            let slot = bucket.slots[mask.trailing_zeros() as usize % WAYS];
            let found = &self.slots[slot as usize];
            if found.len as usize == text.len() && self.memory.equals(found.at, text) {
                return Some(slot);
            }
            mask &= mask - 1;
        }
        None
    }

    #[inline(always)]
    fn find(&self, tag: u32, text: &[u8]) -> Option<u32> {
        let (first, second) = self.ways(tag);
        if let Some(slot) = self.find_in(first, tag, text) {
            return Some(slot);
        }
        self.find_in(second, tag, text)
    }

    fn id(&self, slot: u32) -> StringId {
        StringId::new(slot, self.slots[slot as usize].generation)
    }

    #[inline]
    pub(crate) fn get(&self, tag: u32, text: &str) -> Option<StringId> {
        self.find(tag, text.as_bytes()).map(|slot| self.id(slot))
    }

    // Writing.

    #[inline]
    pub(crate) fn intern(&mut self, tag: u32, text: &str) -> Result<StringId, StringError> {
        if let Some(found) = self.find(tag, text.as_bytes()) {
            let slot = &mut self.slots[found as usize];
            if !slot.visited {
                slot.visited = true;
            }
            return Ok(StringId::new(found, slot.generation));
        }
        self.insert(tag, text)
    }

    /// Says that `id` was asked for, as a hit would; false when it is dead.
    pub(crate) fn touch(&mut self, id: StringId) -> bool {
        let live = self.is_live(id);
        if live {
            self.slots[id.slot() as usize].visited = true;
        }
        live
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, tag: u32, text: &str) -> Result<StringId, StringError> {
        let slot = self.enter(tag, text)?;
        let ghost = self.ghost(tag);
        let seen_before = core::mem::replace(&mut self.ghosts[ghost], 0) == tag;
        let mut chances = CHANCES;
        let place = if seen_before {
            self.room_in_main(units(text.len()), &mut chances);
            Place::Main
        } else {
            self.room_in_small(units(text.len()), &mut chances);
            Place::Small
        };
        let at = self.push(place, slot, text.len());
        self.settle(slot, place, at, text)
    }

    /// Finds a slot and a place in the index for a text that the pool does not hold. The slot is not live yet.
    fn enter(&mut self, tag: u32, text: &str) -> Result<u32, StringError> {
        if text.len() > self.plan.text_bytes_max {
            let bytes_max = self.plan.text_bytes_max;
            return Err(StringError::TooLong { bytes: text.len(), bytes_max });
        }
        let full = StringError::Full { strings_max: self.plan.strings_max };
        if self.free == NONE && self.slots.len() == self.plan.strings_max as usize && !self.evict_for_slot() {
            return Err(full);
        }
        let (bucket, way) = self.room_in_index(tag).ok_or(full)?;
        let slot = if self.free == NONE {
            let slot = self.slots.len() as u32;
            self.slots.push(Slot {
                generation: 0,
                at: NONE,
                len: 0,
                tag: 0,
                pins: 0,
                place: Place::Free,
                visited: false,
            });
            slot
        } else {
            let slot = self.free;
            self.free = self.slots[slot as usize].at;
            slot
        };
        self.buckets[bucket].tags[way] = tag;
        self.buckets[bucket].slots[way] = slot;
        self.slots[slot as usize].tag = tag;
        self.slots[slot as usize].at = NONE;
        Ok(slot)
    }

    /// Writes the text to the place made for it, and the slot is live.
    fn settle(&mut self, slot: u32, place: Place, at: u32, text: &str) -> Result<StringId, StringError> {
        self.memory.put(at, text.as_bytes());
        let entry = &mut self.slots[slot as usize];
        entry.generation += 1;
        (entry.at, entry.len, entry.place) = (at, text.len() as u32, place);
        (entry.visited, entry.pins) = (false, 0);
        let generation = entry.generation;
        self.memory.publish(slot, generation, at, text.len() as u32);
        self.live += 1;
        self.text_bytes += text.len();
        self.interned += 1;
        Ok(StringId::new(slot, generation))
    }

    /// An empty entry for `tag` in one of its two buckets: found, or made by moving one entry to its other bucket, or, when 16 strings with
    /// unlucky hashes meet, by evicting one of them.
    fn room_in_index(&mut self, tag: u32) -> Option<(usize, usize)> {
        let (first, second) = self.ways(tag);
        for bucket in [first, second] {
            if let Some(way) = self.buckets[bucket].room() {
                return Some((bucket, way));
            }
        }
        for way in 0..WAYS {
            let (tag, slot) = (self.buckets[first].tags[way], self.buckets[first].slots[way]);
            let (one, two) = self.ways(tag);
            let other = if one == first { two } else { one };
            if let Some(room) = self.buckets[other].room() {
                self.buckets[other].tags[room] = tag;
                self.buckets[other].slots[room] = slot;
                self.buckets[first].tags[way] = 0;
                return Some((first, way));
            }
        }
        let entries =
            || [first, second].into_iter().flat_map(|bucket| (0..WAYS).map(move |way| (bucket, way)));
        let unlucky = |unvisited: bool| {
            entries().find(|&(bucket, way)| {
                let slot = &self.slots[self.buckets[bucket].slots[way] as usize];
                slot.pins == 0 && !(unvisited && slot.visited)
            })
        };
        let (bucket, way) = unlucky(true).or_else(|| unlucky(false))?;
        let slot = self.buckets[bucket].slots[way];
        self.leave_queue(slot);
        self.evict(slot);
        Some((bucket, way))
    }

    fn ghost(&self, tag: u32) -> usize {
        let mixed = tag.wrapping_mul(0x85eb_ca6b);
        ((u64::from(mixed) * self.ghosts.len() as u64) >> 32) as usize
    }

    /// The string is not in its queue any more; its header there names a hole.
    fn leave_queue(&mut self, slot: u32) {
        match self.slots[slot as usize].place {
            Place::Small => self.small.count -= 1,
            Place::Main => self.main.count -= 1,
            Place::Free | Place::Block => {}
        }
    }

    /// Ends the life of a string that is in no queue: its ids are dead, its slot is free.
    fn evict(&mut self, slot: u32) {
        let tag = self.slots[slot as usize].tag;
        let (first, second) = self.ways(tag);
        'index: for bucket in [first, second] {
            for way in 0..WAYS {
                let bucket = &mut self.buckets[bucket];
                if bucket.tags[way] == tag && bucket.slots[way] == slot {
                    bucket.tags[way] = 0;
                    break 'index;
                }
            }
        }
        self.memory.retract(slot);
        // Readers learn that nothing is there; no generation is 0.
        self.memory.publish(slot, 0, 0, 0);
        let entry = &mut self.slots[slot as usize];
        entry.place = Place::Free;
        entry.generation = entry.generation.wrapping_add(1);
        self.live -= 1;
        self.text_bytes -= entry.len as usize;
        self.evicted += 1;
        if entry.generation == 0 {
            // After 2^31 lives the numbers would begin again: the slot rests for ever.
            self.retired += 1;
        } else {
            entry.at = self.free;
            self.free = slot;
        }
    }

    fn queue(&mut self, place: Place) -> &mut Queue {
        if place == Place::Small { &mut self.small } else { &mut self.main }
    }

    /// Takes what is at the tail of a queue: a string, or nothing when it is a hole.
    fn pop(&mut self, place: Place) -> Option<u32> {
        let at = {
            let queue = self.queue(place);
            debug_assert!(queue.used > 0, "the queue is empty");
            queue.base + queue.tail
        };
        let header = self.memory.word(at);
        let (slot, taken) = ((header >> 32) as u32, header as u32);
        self.queue(place).release(taken);
        let entry = self.slots.get(slot as usize)?;
        if entry.place != place || entry.at != at + 1 {
            return None;
        }
        self.queue(place).count -= 1;
        Some(slot)
    }

    /// Takes a place in a queue that has room, and writes its header. The text's place is returned.
    fn push(&mut self, place: Place, slot: u32, len: usize) -> u32 {
        let (at, gap) = self.queue(place).take(units(len));
        if let Some((gap, left)) = gap {
            self.memory.set_word(gap, u64::from(NONE) << 32 | u64::from(left));
        }
        self.memory.set_word(at, u64::from(slot) << 32 | u64::from(units(len)));
        at + 1
    }

    /// Moves the text of a string that is in no queue to the head of one that has room.
    fn move_to(&mut self, place: Place, slot: u32) {
        let Slot { at: from, len, generation, .. } = self.slots[slot as usize];
        let (head, gap) = self.queue(place).take(units(len as usize));
        self.memory.retract(slot);
        // The text first: the new header may lie where its end was.
        self.memory.shift(from, head + 1, len as usize);
        if let Some((gap, left)) = gap {
            self.memory.set_word(gap, u64::from(NONE) << 32 | u64::from(left));
        }
        self.memory.set_word(head, u64::from(slot) << 32 | u64::from(units(len as usize)));
        let entry = &mut self.slots[slot as usize];
        (entry.at, entry.place, entry.visited) = (head + 1, place, false);
        self.memory.publish(slot, generation, head + 1, len);
    }

    fn room_in_main(&mut self, wanted: u32, chances: &mut u32) {
        while !self.main.fits(wanted) {
            self.filled = true;
            let Some(slot) = self.pop(Place::Main) else { continue };
            if self.slots[slot as usize].visited && *chances > 0 {
                *chances -= 1;
                self.again(slot);
            } else {
                self.evict(slot);
            }
        }
    }

    /// A string that was taken from the tail of the main queue goes to its head. Its bytes stay until then: nothing is pushed meanwhile.
    fn again(&mut self, slot: u32) {
        let wanted = units(self.slots[slot as usize].len as usize);
        while !self.main.fits(wanted) {
            if let Some(other) = self.pop(Place::Main) {
                self.evict(other);
            }
        }
        self.move_to(Place::Main, slot);
    }

    fn room_in_small(&mut self, wanted: u32, chances: &mut u32) {
        while !self.small.fits(wanted) {
            let Some(slot) = self.pop(Place::Small) else { continue };
            let moved = units(self.slots[slot as usize].len as usize);
            if !self.filled && self.main.fits(moved) {
                self.move_to(Place::Main, slot);
            } else if self.slots[slot as usize].visited && *chances > 0 {
                *chances -= 1;
                self.room_in_main(moved, chances);
                self.move_to(Place::Main, slot);
            } else {
                self.forget(slot);
            }
        }
    }

    /// Evicts a string of the small queue, but keeps its tag: if it is asked for again soon, it was evicted too early.
    fn forget(&mut self, slot: u32) {
        self.filled = true;
        let tag = self.slots[slot as usize].tag;
        let ghost = self.ghost(tag);
        self.ghosts[ghost] = tag;
        self.evict(slot);
    }

    /// Evicts one string for its slot. False when all are pinned.
    fn evict_for_slot(&mut self) -> bool {
        let mut chances = CHANCES;
        while self.free == NONE && self.small.count + self.main.count > 0 {
            let share = (self.small.count + self.main.count) / 10;
            if self.small.count > 0 && (self.small.count >= share || self.main.count == 0) {
                let Some(slot) = self.pop(Place::Small) else { continue };
                if self.slots[slot as usize].visited && chances > 0 {
                    chances -= 1;
                    self.room_in_main(units(self.slots[slot as usize].len as usize), &mut chances);
                    self.move_to(Place::Main, slot);
                } else {
                    self.forget(slot);
                }
            } else {
                let Some(slot) = self.pop(Place::Main) else { continue };
                if self.slots[slot as usize].visited && chances > 0 {
                    chances -= 1;
                    self.again(slot);
                } else {
                    self.evict(slot);
                }
            }
        }
        self.free != NONE
    }

    // Pins.

    pub(crate) fn pin(&mut self, id: StringId, times: u16) -> Result<(), StringError> {
        if !self.is_live(id) {
            return Err(StringError::Dead { id });
        }
        let entry = self.slots[id.slot() as usize];
        if entry.pins == 0 {
            let at = self.block(entry.len as usize)?;
            self.leave_queue(id.slot());
            self.memory.retract(id.slot());
            self.memory.shift(entry.at, at, entry.len as usize);
            let slot = &mut self.slots[id.slot() as usize];
            (slot.at, slot.place) = (at, Place::Block);
            self.memory.publish(id.slot(), entry.generation, at, entry.len);
            self.pinned += 1;
        }
        // A string pinned 65,535 times is static.
        let slot = &mut self.slots[id.slot() as usize];
        slot.pins = slot.pins.saturating_add(times);
        Ok(())
    }

    pub(crate) fn pin_static(&mut self, id: StringId) -> Result<(), StringError> {
        self.pin(id, STATIC)
    }

    fn block(&mut self, len: usize) -> Result<u32, StringError> {
        self.blocks.take(&mut self.memory, len).ok_or(StringError::PinsFull {
            bytes: UNIT << Blocks::power(len),
            bytes_max: self.plan.block_units as usize * UNIT,
        })
    }

    pub(crate) fn unpin(&mut self, id: StringId) -> Result<(), StringError> {
        if !self.is_live(id) {
            return Err(StringError::Dead { id });
        }
        let entry = self.slots[id.slot() as usize];
        match entry.pins {
            0 => return Err(StringError::NotPinned { id }),
            STATIC => return Ok(()),
            1 => {
                self.room_in_main(units(entry.len as usize), &mut { CHANCES });
                self.move_to(Place::Main, id.slot());
                self.blocks.give(&mut self.memory, entry.at, Blocks::power(entry.len as usize));
                self.pinned -= 1;
            }
            _ => {}
        }
        self.slots[id.slot() as usize].pins -= 1;
        Ok(())
    }

    // Snapshots.

    /// Calls `f` for each live string: the pinned, then both queues from the oldest on.
    pub(crate) fn each(&self, mut f: impl FnMut(&M, Kept)) {
        for (slot, entry) in self.slots.iter().enumerate().filter(|(_, entry)| entry.place == Place::Block) {
            f(&self.memory, Kept::new(slot as u32, entry));
        }
        for (queue, place) in [(&self.main, Place::Main), (&self.small, Place::Small)] {
            let (mut tail, mut left) = (queue.tail, queue.used);
            while left > 0 {
                let header = self.memory.word(queue.base + tail);
                let (slot, taken) = ((header >> 32) as u32, header as u32);
                if let Some(entry) = self.slots.get(slot as usize)
                    && entry.place == place
                    && entry.at == queue.base + tail + 1
                {
                    f(&self.memory, Kept::new(slot, entry));
                }
                left -= taken;
                tail = if tail + taken == queue.cap { 0 } else { tail + taken };
            }
        }
    }

    /// The generations of all slots ever used: even ones are free.
    pub(crate) fn generations(&self) -> impl ExactSizeIterator<Item = u32> {
        self.slots.iter().map(|slot| slot.generation)
    }

    /// Makes the slots of a snapshot, all free, in an empty pool.
    pub(crate) fn restore_slots(&mut self, generations: impl Iterator<Item = u32>) {
        debug_assert!(self.slots.is_empty(), "the pool is new");
        for generation in generations {
            // A live slot becomes so again by `restore`; until then it has one life less.
            let generation = if generation % 2 == 1 { generation - 1 } else { generation };
            self.slots.push(Slot {
                generation,
                at: NONE,
                len: 0,
                tag: 0,
                pins: 0,
                place: Place::Free,
                visited: false,
            });
        }
    }

    /// Puts a string of a snapshot into its slot. It may evict such as came before it, if this pool is smaller.
    pub(crate) fn restore(&mut self, kept: Kept, text: &str) -> Result<(), StringError> {
        let tag = tag_of(text.as_bytes());
        if text.len() > self.plan.text_bytes_max {
            let bytes_max = self.plan.text_bytes_max;
            return Err(StringError::TooLong { bytes: text.len(), bytes_max });
        }
        let full = StringError::Full { strings_max: self.plan.strings_max };
        let (bucket, way) = self.room_in_index(tag).ok_or(full)?;
        let at = if kept.pins > 0 {
            self.block(text.len())?
        } else {
            match kept.place {
                Place::Small if self.small.fits(units(text.len())) => {}
                Place::Small => self.room_in_small(units(text.len()), &mut { CHANCES }),
                _ => self.room_in_main(units(text.len()), &mut { CHANCES }),
            }
            self.push(kept.place, kept.slot, text.len())
        };
        self.buckets[bucket].tags[way] = tag;
        self.buckets[bucket].slots[way] = kept.slot;
        self.slots[kept.slot as usize].tag = tag;
        self.settle(kept.slot, kept.place, at, text)?;
        let slot = &mut self.slots[kept.slot as usize];
        (slot.pins, slot.visited) = (kept.pins, kept.visited);
        self.pinned += u32::from(kept.pins > 0);
        Ok(())
    }

    /// Links the slots that stayed free, the lowest first to be used.
    pub(crate) fn restore_done(&mut self) {
        self.free = NONE;
        self.retired = 0;
        (self.interned, self.evicted) = (0, 0);
        for slot in (0..self.slots.len() as u32).rev() {
            let entry = &mut self.slots[slot as usize];
            if entry.place != Place::Free {
                continue;
            }
            if entry.generation == 0 {
                self.retired += 1;
            } else {
                entry.at = self.free;
                self.free = slot;
            }
        }
    }

    /// Whether the slot of a snapshot is still to be filled.
    pub(crate) fn is_free(&self, slot: u32) -> bool {
        self.slots.get(slot as usize).is_some_and(|slot| slot.place == Place::Free)
    }
}

/// What a snapshot keeps of a live string beside its text.
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) slot: u32,
    pub(crate) place: Place,
    pub(crate) visited: bool,
    pub(crate) pins: u16,
    pub(crate) at: u32,
    pub(crate) len: u32,
}

impl Kept {
    fn new(slot: u32, entry: &Slot) -> Self {
        let Slot { place, visited, pins, at, len, .. } = *entry;
        Self { slot, place, visited, pins, at, len }
    }
}
