//! Owns: the mechanism of a string pool: numbers and their lives, eviction by S3-FIFO, pins. Generic over the memory that holds texts and index,
//! so that the pool of one owner, the shards of the shared pool and the pool of `Bytes` run the same code. Never allocates after
//! construction. Limits: 2^31 strings, 32 GiB of text; an operation looks at 24 entries of the index, gives at most [`CHANCES`] strings
//! a second chance, and evicts as many as the new text's length asks for.

use alloc::vec::Vec;

use crate::strings_config::{Plan, StringError, StringId, StringStats};
use crate::strings_index::{tag_of, ways};
use crate::strings_places::{Blocks, FLAGS, Queue, UNIT, VISITED, is_string, second_word, tag_in};

/// Strings that one operation moves instead of evicting, because they were asked for. The trace study shows what the bound costs: 0.3 % of
/// hits at most.
const CHANCES: u32 = 8;
/// No slot: the end of a list.
const NONE: u32 = u32::MAX;
/// Pins that are never taken back.
const STATIC: u16 = u16::MAX;

/// Where headers, texts and the index lie. Positions are in units and those of headers; a text follows its header, or lies elsewhere.
pub(crate) trait Memory {
    /// Entries of a bucket of the index.
    const WAYS: usize;
    /// Units that a string of `len` bytes takes in the queues.
    fn units(len: usize) -> u32;
    /// Whether so many bytes more may be held, whatever the queues say.
    fn has_room(&self, len: usize) -> bool {
        let _ = len;
        true
    }
    /// The word at `at`.
    fn word(&self, at: u32) -> u64;
    /// Sets the word at `at`.
    fn set_word(&mut self, at: u32, word: u64);
    /// Moves so many units; the places may overlap.
    fn shift(&mut self, from: u32, to: u32, units: u32);
    /// The tag of the string at `at`.
    fn tag(&self, at: u32) -> u32 {
        tag_in(self.word(at + 1))
    }
    /// Whether the string was asked for since `unvisit`.
    #[inline(always)]
    fn is_visited(&self, slot: u32, at: u32) -> bool {
        let _ = slot;
        self.word(at + 1) & VISITED != 0
    }
    /// The string is asked for. Writes only when it was not before.
    #[inline(always)]
    fn visit(&mut self, slot: u32, found: Found) {
        let _ = slot;
        if found.second & VISITED == 0 {
            self.set_word(found.at + 1, found.second | VISITED);
        }
    }
    /// Forgets that the string was asked for, where its header does not.
    fn unvisit(&mut self, slot: u32) {
        let _ = slot;
    }
    /// From now on no reader may trust what it knows of `slot`. Comes before any change of its text.
    fn retract(&mut self, slot: u32) {
        let _ = slot;
    }
    /// Readers may trust again; generation 0: nothing is there.
    fn publish(&mut self, slot: u32, generation: u32, at: u32, len: u32);
    /// Appends the text of `slot` to `out`.
    fn copy_to(&self, slot: u32, at: u32, len: usize, out: &mut Vec<u8>);
    /// Buckets of the index.
    fn buckets(&self) -> usize;
    /// `text`, where the first look at its first bucket finds it: so few instructions that a processor has several hits under way. Others, and long
    /// texts, are for `find_in`. Here the flags of the header count.
    #[inline(always)]
    fn find_quick(&self, bucket: usize, tag: u32, text: &[u8]) -> Option<Found> {
        let _ = (bucket, tag, text);
        None
    }
    /// The string with this tag and text in a bucket.
    fn find_in(&self, bucket: usize, tag: u32, text: &[u8]) -> Option<Found>;
    /// The place that an entry of the index names.
    fn entry(&self, bucket: usize, way: usize) -> Option<u32>;
    /// Sets an entry of the index: tag and place.
    fn set_entry(&mut self, bucket: usize, way: usize, entry: Option<(u32, u32)>);
}

/// A string that was found: its place, and the words of its header.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) at: u32,
    pub(crate) first: u64,
    pub(crate) second: u64,
}

impl Found {
    #[inline(always)]
    fn id(self) -> StringId {
        StringId::from_header(self.first)
    }
}

/// Memory that takes texts given as `S`.
pub(crate) trait Put<S>: Memory {
    /// Keeps `text`, whose header is at `at`.
    fn put(&mut self, slot: u32, at: u32, text: S);
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
/// 1. `at` is the place of its header, whose first word is its id; if the text follows there, `len` bytes of it were copied whole from
///    what `Put::put` got.
/// 2. Neither header nor text has been written since, but for flags: a queue writes only where no live string lies, and a block has one user.
/// 3. `generation` is odd; for free slots it is even.
/// 4. The units that it takes, `Memory::units` of them from `at` on, lie in the memory: in a block, or in the queue of its place.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Slot {
    generation: u32,
    /// Where the string lies; the next free slot while this one is free.
    at: u32,
    len: u32,
    pins: u16,
    place: Place,
}

const _: () = assert!(size_of::<Slot>() == 16);

impl Slot {
    /// The next life of a number, still to be filled.
    const fn free(generation: u32) -> Self {
        Self { generation, at: NONE, len: 0, pins: 0, place: Place::Free }
    }
}

/// Bytes of the tables for each string: slot and ghost.
pub(crate) const TABLE_BYTES: usize = size_of::<Slot>() + size_of::<u32>();

pub(crate) struct Core<M> {
    memory: M,
    slots: Vec<Slot>,
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
    pub(crate) fn new(plan: Plan, memory: M) -> Self {
        Self {
            memory,
            slots: Vec::with_capacity(plan.strings_max as usize),
            ghosts: alloc::vec![0; plan.strings_max as usize],
            small: Queue::new(plan.block_units, plan.small_units),
            main: Queue::new(plan.block_units + plan.small_units, plan.main_units),
            blocks: Blocks::new(plan.block_units),
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

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    #[cfg(feature = "bytes")]
    pub(crate) fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Place and length of the string of `id`.
    #[inline(always)]
    pub(crate) fn place_of(&self, id: StringId) -> Option<(u32, u32)> {
        let slot = self.slots.get(id.slot() as usize)?;
        (slot.generation == id.generation()).then_some((slot.at, slot.len))
    }

    #[inline]
    pub(crate) fn is_live(&self, id: StringId) -> bool {
        self.place_of(id).is_some()
    }

    /// Appends the text of `id` to `out`; false when it is dead.
    #[cfg(feature = "std")]
    pub(crate) fn copy_to(&self, id: StringId, out: &mut Vec<u8>) -> bool {
        let Some((at, len)) = self.place_of(id) else { return false };
        self.memory.copy_to(id.slot(), at, len as usize, out);
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

    #[inline(always)]
    fn find_quick(&self, tag: u32, text: &[u8]) -> Option<Found> {
        let [first, _] = ways(tag, self.memory.buckets());
        self.memory.find_quick(first, tag, text)
    }

    #[cold]
    #[inline(never)]
    fn find(&self, tag: u32, text: &[u8]) -> Option<Found> {
        let [first, second] = ways(tag, self.memory.buckets());
        self.memory.find_in(first, tag, text).or_else(|| self.memory.find_in(second, tag, text))
    }

    #[inline]
    pub(crate) fn get(&self, tag: u32, text: &[u8]) -> Option<StringId> {
        let found = match self.find_quick(tag, text) {
            None => self.find(tag, text),
            found => found,
        };
        found.map(Found::id)
    }

    // Writing.

    /// The id of `text`, new or not.
    #[inline(always)]
    pub(crate) fn intern<S: AsRef<[u8]>>(&mut self, tag: u32, text: S) -> Result<StringId, StringError>
    where
        M: Put<S>,
    {
        match self.find_quick(tag, text.as_ref()) {
            Some(found) if found.second & VISITED != 0 => Ok(found.id()),
            _ => self.intern_slow(tag, text),
        }
    }

    /// What is new, was not asked for before, or is not where one looks first: of a full pool's strings fifteen in a thousand, as another
    /// one has their byte of a tag, or their first bucket is full. A function of its own, so that the other hits save no registers.
    #[cold]
    #[inline(never)]
    fn intern_slow<S: AsRef<[u8]>>(&mut self, tag: u32, text: S) -> Result<StringId, StringError>
    where
        M: Put<S>,
    {
        if let Some(found) = self.find(tag, text.as_ref()) {
            self.memory.visit(found.id().slot(), found);
            return Ok(found.id());
        }
        self.insert(tag, text)
    }

    /// Says that `id` was asked for, as a hit would; false when it is dead.
    pub(crate) fn touch(&mut self, id: StringId) -> bool {
        let place = self.place_of(id);
        if let Some((at, _)) = place {
            self.visit(id.slot(), at);
        }
        place.is_some()
    }

    fn visit(&mut self, slot: u32, at: u32) {
        let found = Found { at, first: self.memory.word(at), second: self.memory.word(at + 1) };
        self.memory.visit(slot, found);
    }

    fn insert<S: AsRef<[u8]>>(&mut self, tag: u32, text: S) -> Result<StringId, StringError>
    where
        M: Put<S>,
    {
        let len = text.as_ref().len();
        self.check_length(len)?;
        let full = StringError::Full { strings_max: self.plan.strings_max };
        if !self.evict_until(|core| core.has_slot()) || !self.evict_until(|core| core.memory.has_room(len)) {
            return Err(full);
        }
        let entry = self.room_in_index(tag).ok_or(full)?;
        let slot = self.take_slot();
        let ghost = self.ghost(tag);
        let seen_before = core::mem::replace(&mut self.ghosts[ghost], 0) == tag;
        let place = if seen_before {
            self.room_in_main(M::units(len), &mut { CHANCES });
            Place::Main
        } else {
            self.room_in_small(M::units(len), &mut { CHANCES });
            Place::Small
        };
        let at = self.push(place, M::units(len));
        Ok(self.settle(entry, Slot { at, len: len as u32, pins: 0, place, ..Slot::free(0) }, slot, tag, text))
    }

    fn check_length(&self, bytes: usize) -> Result<(), StringError> {
        let bytes_max = self.plan.text_bytes_max;
        if bytes > bytes_max { Err(StringError::TooLong { bytes, bytes_max }) } else { Ok(()) }
    }

    fn has_slot(&self) -> bool {
        self.free != NONE || self.slots.len() < self.plan.strings_max as usize
    }

    /// A slot that `has_slot` promised; it is not live yet.
    fn take_slot(&mut self) -> u32 {
        let slot = self.free;
        if slot == NONE {
            self.slots.push(Slot::free(0));
            return self.slots.len() as u32 - 1;
        }
        self.free = self.slots[slot as usize].at;
        slot
    }

    /// Writes the text to the place made for it, and the slot is live.
    fn settle<S>(&mut self, entry: (usize, usize), new: Slot, slot: u32, tag: u32, text: S) -> StringId
    where
        M: Put<S>,
    {
        let generation = self.slots[slot as usize].generation + 1;
        self.slots[slot as usize] = Slot { generation, ..new };
        let id = StringId::new(slot, generation);
        // Though nothing is there: who sees the place that is published last must not believe what lay there first.
        self.memory.retract(slot);
        self.memory.set_word(new.at, id.to_raw());
        self.memory.set_word(new.at + 1, second_word(tag, new.len));
        self.memory.unvisit(slot);
        self.memory.put(slot, new.at, text);
        self.memory.publish(slot, generation, new.at, new.len);
        self.memory.set_entry(entry.0, entry.1, Some((tag, new.at)));
        self.live += 1;
        self.text_bytes += new.len as usize;
        self.interned += 1;
        id
    }

    fn room(&self, bucket: usize) -> Option<usize> {
        (0..M::WAYS).find(|&way| self.memory.entry(bucket, way).is_none())
    }

    /// An empty entry for `tag` in one of its two buckets: found, or made by moving one entry to its other bucket, or, when 16 or 24 strings with
    /// unlucky hashes meet, by evicting one of them.
    fn room_in_index(&mut self, tag: u32) -> Option<(usize, usize)> {
        let buckets = ways(tag, self.memory.buckets());
        for bucket in buckets {
            if let Some(way) = self.room(bucket) {
                return Some((bucket, way));
            }
        }
        let first = buckets[0];
        for way in 0..M::WAYS {
            let Some(at) = self.memory.entry(first, way) else { continue };
            let tag = self.memory.tag(at);
            let [one, two] = ways(tag, self.memory.buckets());
            let other = if one == first { two } else { one };
            if let Some(room) = self.room(other) {
                self.memory.set_entry(other, room, Some((tag, at)));
                self.memory.set_entry(first, way, None);
                return Some((first, way));
            }
        }
        let entries = || buckets.into_iter().flat_map(|bucket| (0..M::WAYS).map(move |way| (bucket, way)));
        let unlucky = |unvisited: bool| {
            entries().find_map(|(bucket, way)| {
                let at = self.memory.entry(bucket, way)?;
                let slot = self.memory.word(at) as u32;
                let stays =
                    self.slots[slot as usize].pins > 0 || unvisited && self.memory.is_visited(slot, at);
                (!stays).then_some((bucket, way, slot, at))
            })
        };
        let (bucket, way, slot, at) = unlucky(true).or_else(|| unlucky(false))?;
        self.evict(slot);
        self.leave_queue(slot, at);
        Some((bucket, way))
    }

    fn ghost(&self, tag: u32) -> usize {
        let mixed = tag.wrapping_mul(0x85eb_ca6b);
        ((u64::from(mixed) * self.ghosts.len() as u64) >> 32) as usize
    }

    /// What `slot` had at `at` is in its queue no more, if it was in one; a hole is left.
    fn leave_queue(&mut self, slot: u32, at: u32) {
        let units = M::units(self.slots[slot as usize].len as usize);
        // By the place, as the slot may be free already.
        let queue = match at {
            _ if at < self.plan.block_units => return,
            _ if at < self.plan.block_units + self.plan.small_units => &mut self.small,
            _ => &mut self.main,
        };
        queue.leave(&mut self.memory, at, units);
    }

    /// The entry of the index that names a place.
    fn entry_of(&self, tag: u32, at: u32) -> Option<(usize, usize)> {
        let buckets = ways(tag, self.memory.buckets()).into_iter();
        let mut entries = buckets.flat_map(|bucket| (0..M::WAYS).map(move |way| (bucket, way)));
        entries.find(|&(bucket, way)| self.memory.entry(bucket, way) == Some(at))
    }

    /// Ends the life of a string whose header is still there: its ids are dead, its slot is free.
    fn evict(&mut self, slot: u32) {
        let at = self.slots[slot as usize].at;
        if let Some((bucket, way)) = self.entry_of(self.memory.tag(at), at) {
            self.memory.set_entry(bucket, way, None);
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

    fn is_visited(&self, slot: u32) -> bool {
        self.memory.is_visited(slot, self.slots[slot as usize].at)
    }

    fn units_of(&self, slot: u32) -> u32 {
        M::units(self.slots[slot as usize].len as usize)
    }

    /// Takes what is at the tail of a queue: a string, or nothing when it is a hole.
    fn pop(&mut self, place: Place) -> Option<u32> {
        let at = self.queue(place).oldest();
        let first = self.memory.word(at);
        if !is_string(first) {
            self.queue(place).release(first as u32);
            return None;
        }
        let slot = first as u32;
        debug_assert_eq!(self.slots[slot as usize].at, at, "a header names its slot");
        let units = self.units_of(slot);
        let queue = self.queue(place);
        queue.release(units);
        queue.count -= 1;
        Some(slot)
    }

    /// Takes a place in a queue that has room.
    fn push(&mut self, place: Place, units: u32) -> u32 {
        let (at, gap) = self.queue(place).take(units);
        if let Some(gap) = gap {
            gap.write(&mut self.memory);
        }
        at
    }

    /// Moves a string that is in no queue to the head of one that has room.
    fn move_to(&mut self, place: Place, slot: u32) {
        let units = self.units_of(slot);
        let (at, gap) = self.queue(place).take(units);
        self.relocate(slot, at, place);
        // After the text, which may have lain where the gap is now.
        if let Some(gap) = gap {
            gap.write(&mut self.memory);
        }
    }

    /// Moves header and text of a string to a place that is free but for, perhaps, itself.
    fn relocate(&mut self, slot: u32, to: u32, place: Place) {
        let Slot { at: from, len, generation, .. } = self.slots[slot as usize];
        let tag = self.memory.tag(from);
        let entry = self.entry_of(tag, from);
        self.memory.retract(slot);
        self.memory.shift(from, to, M::units(len as usize));
        let second = self.memory.word(to + 1);
        self.memory.set_word(to + 1, second & !FLAGS);
        self.memory.unvisit(slot);
        let moved = &mut self.slots[slot as usize];
        (moved.at, moved.place) = (to, place);
        self.memory.publish(slot, generation, to, len);
        if let Some((bucket, way)) = entry {
            self.memory.set_entry(bucket, way, Some((tag, to)));
        }
    }

    fn room_in_main(&mut self, wanted: u32, chances: &mut u32) {
        while !self.main.fits(wanted) {
            self.filled = true;
            if let Some(slot) = self.pop(Place::Main) {
                self.judge_main(slot, chances);
            }
        }
    }

    /// What was taken from the tail of the main queue goes to its head, if it was asked for, or for good.
    fn judge_main(&mut self, slot: u32, chances: &mut u32) {
        if *chances == 0 || !self.is_visited(slot) {
            return self.evict(slot);
        }
        *chances -= 1;
        // Its bytes stay until it is moved: nothing is pushed meanwhile.
        while !self.main.fits(self.units_of(slot)) {
            if let Some(other) = self.pop(Place::Main) {
                self.evict(other);
            }
        }
        self.move_to(Place::Main, slot);
    }

    fn room_in_small(&mut self, wanted: u32, chances: &mut u32) {
        while !self.small.fits(wanted) {
            let Some(slot) = self.pop(Place::Small) else { continue };
            if !self.filled && self.main.fits(self.units_of(slot)) {
                self.move_to(Place::Main, slot);
            } else {
                self.judge_small(slot, chances);
            }
        }
    }

    /// What was taken from the tail of the small queue goes to the main queue, if it was asked for. If not, it goes for good, but its tag is
    /// kept: if it is asked for again soon, it was evicted too early.
    fn judge_small(&mut self, slot: u32, chances: &mut u32) {
        if *chances > 0 && self.is_visited(slot) {
            *chances -= 1;
            self.room_in_main(self.units_of(slot), chances);
            return self.move_to(Place::Main, slot);
        }
        self.filled = true;
        let tag = self.memory.tag(self.slots[slot as usize].at);
        let ghost = self.ghost(tag);
        self.ghosts[ghost] = tag;
        self.evict(slot);
    }

    /// Evicts strings until `enough`. False when all are pinned and it is not.
    fn evict_until(&mut self, enough: impl Fn(&Self) -> bool) -> bool {
        let mut chances = CHANCES;
        while !enough(self) {
            if self.small.count + self.main.count == 0 {
                return false;
            }
            let share = (self.small.count + self.main.count) / 10;
            if self.small.count > 0 && (self.small.count >= share || self.main.count == 0) {
                if let Some(slot) = self.pop(Place::Small) {
                    self.judge_small(slot, &mut chances);
                }
            } else if let Some(slot) = self.pop(Place::Main) {
                self.judge_main(slot, &mut chances);
            }
        }
        true
    }

    // Pins.

    pub(crate) fn pin(&mut self, id: StringId, times: u16) -> Result<(), StringError> {
        if !self.is_live(id) {
            return Err(StringError::Dead { id });
        }
        let entry = self.slots[id.slot() as usize];
        if entry.pins == 0 {
            let block = self.block(entry.len as usize)?;
            self.relocate(id.slot(), block, Place::Block);
            self.leave_queue(id.slot(), entry.at);
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
        let power = Blocks::power(M::units(len));
        self.blocks.take(&mut self.memory, power).ok_or(StringError::PinsFull {
            bytes: UNIT << power,
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
                let units = M::units(entry.len as usize);
                self.room_in_main(units, &mut { CHANCES });
                self.move_to(Place::Main, id.slot());
                self.blocks.give(&mut self.memory, entry.at, Blocks::power(units));
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
            f(&self.memory, Kept::new(slot as u32, entry, false));
        }
        for queue in [&self.main, &self.small] {
            let units = |first: u64| self.units_of(first as u32);
            queue.each(&self.memory, units, |at, first| {
                let slot = first as u32;
                let visited = self.memory.is_visited(slot, at);
                f(&self.memory, Kept::new(slot, &self.slots[slot as usize], visited));
            });
        }
    }

    /// The generations of all slots ever used: even ones are free.
    pub(crate) fn generations(&self) -> impl ExactSizeIterator<Item = u32> {
        self.slots.iter().map(|slot| slot.generation)
    }

    /// Makes the slots of a snapshot, all free, in an empty pool.
    pub(crate) fn restore_slots(&mut self, generations: impl Iterator<Item = u32>) {
        debug_assert!(self.slots.is_empty(), "the pool is new");
        // A live slot becomes so again by `restore`; until then it has one life less.
        self.slots.extend(generations.map(|generation| Slot::free(generation & !1)));
    }

    /// Puts a string of a snapshot into its slot. It may evict such as came before it, if this pool is smaller.
    pub(crate) fn restore<S: AsRef<[u8]>>(&mut self, kept: Kept, text: S) -> Result<(), StringError>
    where
        M: Put<S>,
    {
        let (tag, len) = (tag_of(text.as_ref()), text.as_ref().len());
        self.check_length(len)?;
        let full = StringError::Full { strings_max: self.plan.strings_max };
        if !self.evict_until(|core| core.memory.has_room(len)) {
            return Err(full);
        }
        let entry = self.room_in_index(tag).ok_or(full)?;
        let units = M::units(len);
        let at = if kept.pins > 0 {
            self.block(len)?
        } else {
            match kept.place {
                Place::Small if self.small.fits(units) => {}
                Place::Small => self.room_in_small(units, &mut { CHANCES }),
                _ => self.room_in_main(units, &mut { CHANCES }),
            }
            self.push(kept.place, units)
        };
        let new = Slot { at, len: len as u32, pins: kept.pins, place: kept.place, ..Slot::free(0) };
        self.settle(entry, new, kept.slot, tag, text);
        if kept.visited {
            self.visit(kept.slot, at);
        }
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
    fn new(slot: u32, entry: &Slot, visited: bool) -> Self {
        let Slot { place, pins, at, len, .. } = *entry;
        Self { slot, place, visited, pins, at, len }
    }
}
