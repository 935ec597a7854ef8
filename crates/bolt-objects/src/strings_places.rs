//! Owns: where strings lie in the memory of a string pool: two queues that are logs, and blocks for what is pinned. In front of each string stand
//! two words, its header; what left a queue from the middle is a hole, and no two holes lie side by side, so that whoever walks a queue meets
//! a string at every third step at least. Positions are in units of eight bytes. Knows nothing of eviction.
//!
//! ```text
//!  string │ id: life (32), number (32) │ tag (32) or text, flags (2), length (30) │ text, if it lies here … │
//!  hole   │ 0 (32), units (32)         │ …                                        │ 0 (32), units (32)      │   one word alone: both at once
//! ```

use crate::strings_core::Memory;

/// Text is placed in units of eight bytes.
pub(crate) const UNIT: usize = 8;
/// Units in front of each string.
pub(crate) const HEADER: u32 = 2;
/// In the second word of a header: asked for since the hand passed.
pub(crate) const VISITED: u64 = 1 << 31;
/// In the second word of a header: the place before is a hole, unless the queue begins here.
const AFTER_HOLE: u64 = 1 << 30;
/// All flags of a header.
pub(crate) const FLAGS: u64 = VISITED | AFTER_HOLE;
/// Texts are shorter, so that flags have their place.
pub(crate) const LEN_MAX: usize = (1 << 30) - 1;
/// The end of a list of free blocks.
const NONE: u32 = u32::MAX;

/// The second word of a header, without flags: with the tag where text is not in its place.
pub(crate) fn second_word(tag: u32, len: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(len)
}

/// The tag in the second word of a header, of memory that keeps it there.
pub(crate) fn tag_in(word: u64) -> u32 {
    (word >> 32) as u32
}

/// Whether the first word of a header is a string's: no generation of a string is 0.
pub(crate) fn is_string(word: u64) -> bool {
    word >> 32 != 0
}

/// A log: what is pushed at the head leaves at the tail. Nothing lies across the end.
pub(crate) struct Queue {
    base: u32,
    cap: u32,
    head: u32,
    tail: u32,
    /// Units between tail and head, holes and the gap at the end included.
    used: u32,
    /// Strings.
    pub(crate) count: u32,
}

impl Queue {
    pub(crate) fn new(base: u32, cap: u32) -> Self {
        Self { base, cap, head: 0, tail: 0, used: 0, count: 0 }
    }

    pub(crate) fn fits(&self, units: u32) -> bool {
        if self.used == 0 {
            units <= self.cap
        } else if self.head > self.tail {
            units <= self.cap - self.head || units <= self.tail
        } else {
            units <= self.tail - self.head
        }
    }

    /// Takes the place that `fits` promised, and the gap that it leaves at the end of the log; what is written there is the caller's affair.
    pub(crate) fn take(&mut self, units: u32) -> (u32, Option<Gap>) {
        debug_assert!(self.fits(units), "no room for {units} units");
        let mut gap = None;
        if self.used == 0 {
            (self.head, self.tail) = (0, 0);
        } else if self.head > self.tail && units > self.cap - self.head {
            let left = self.cap - self.head;
            if left > 0 {
                gap = Some(Gap { at: self.base + self.head, units: left });
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

    /// Where the oldest entry lies, a string or a hole.
    pub(crate) fn oldest(&self) -> u32 {
        debug_assert!(self.used > 0, "the queue is empty");
        self.base + self.tail
    }

    /// Lets the entry of `units` at the tail go.
    pub(crate) fn release(&mut self, units: u32) {
        self.used -= units;
        self.tail += units;
        if self.tail == self.cap {
            self.tail = 0;
        }
    }

    /// The string at `at` has left, and not by the tail. Its place is one with the holes beside it.
    pub(crate) fn leave(&mut self, memory: &mut impl Memory, at: u32, units: u32) {
        self.count -= 1;
        let (mut start, mut units) = (at - self.base, units);
        if start != self.tail && memory.word(at + 1) & AFTER_HOLE != 0 {
            // The last word of a hole is its length.
            let before = memory.word(at - 1) as u32;
            start -= before;
            units += before;
        }
        let mut end = start + units;
        if end != self.head && end != self.cap {
            let next = memory.word(self.base + end);
            if !is_string(next) {
                units += next as u32;
                end += next as u32;
            }
        }
        if start == self.tail {
            self.release(units);
        } else if end == self.head {
            self.head = start;
            self.used -= units;
        } else {
            Gap { at: self.base + start, units }.write(memory);
            if end != self.cap {
                let second = self.base + end + 1;
                memory.set_word(second, memory.word(second) | AFTER_HOLE);
            }
        }
    }

    /// Calls `f` with the place and id of each string, the oldest first.
    pub(crate) fn each<M: Memory>(
        &self,
        memory: &M,
        units: impl Fn(u64) -> u32,
        mut f: impl FnMut(u32, u64),
    ) {
        let (mut tail, mut left) = (self.tail, self.used);
        while left > 0 {
            let at = self.base + tail;
            let first = memory.word(at);
            let taken = if is_string(first) { units(first) } else { first as u32 };
            if is_string(first) {
                f(at, first);
            }
            left -= taken;
            tail = if tail + taken == self.cap { 0 } else { tail + taken };
        }
    }
}

/// A stretch of a queue without a string.
pub(crate) struct Gap {
    at: u32,
    units: u32,
}

impl Gap {
    pub(crate) fn write(self, memory: &mut impl Memory) {
        memory.set_word(self.at, u64::from(self.units));
        memory.set_word(self.at + self.units - 1, u64::from(self.units));
    }
}

/// Blocks of a power of two of units for pinned strings: a bump, and a list of free blocks for each power, linked through their first word.
pub(crate) struct Blocks {
    end: u32,
    next: u32,
    free: [u32; 32],
}

impl Blocks {
    pub(crate) fn new(end: u32) -> Self {
        Self { end, next: 0, free: [NONE; 32] }
    }

    pub(crate) fn power(units: u32) -> u32 {
        units.next_power_of_two().trailing_zeros()
    }

    pub(crate) fn take(&mut self, memory: &mut impl Memory, power: u32) -> Option<u32> {
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

    pub(crate) fn give(&mut self, memory: &mut impl Memory, at: u32, power: u32) {
        memory.set_word(at, u64::from(self.free[power as usize]));
        self.free[power as usize] = at;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::noise::noise;
    use crate::strings_text::PlainText;

    /// What bounds the work of an eviction: however strings leave, two steps from a string another one is met, or the end of the log.
    #[test]
    fn no_two_holes_lie_side_by_side() {
        const CAP: u32 = 40;
        let mut memory = PlainText::new(8 + CAP as usize, 1);
        let mut queue = Queue::new(8, CAP);
        let mut strings: Vec<(u32, u32)> = Vec::new();
        for operation in noise(0x9e37_79b9_7f4a_7c15, if cfg!(miri) { 150 } else { 20_000 }) {
            let units = 2 + u32::from(operation >> 4) % 5;
            match operation % 4 {
                0 | 1 if queue.fits(units) => {
                    let (at, gap) = queue.take(units);
                    if let Some(gap) = gap {
                        gap.write(&mut memory);
                    }
                    memory.set_word(at, 1 << 32 | u64::from(units));
                    memory.set_word(at + 1, 0);
                    strings.push((at, units));
                }
                2 if !strings.is_empty() => {
                    let (at, units) = strings.remove(usize::from(operation >> 2) % strings.len());
                    queue.leave(&mut memory, at, units);
                }
                3 if queue.used > 0 => {
                    let oldest = queue.oldest();
                    let first = memory.word(oldest);
                    if is_string(first) {
                        assert_eq!(strings.remove(0), (oldest, first as u32));
                        queue.count -= 1;
                    }
                    queue.release(first as u32);
                }
                _ => {}
            }
            let mut found = Vec::new();
            queue.each(&memory, |first| first as u32, |at, first| found.push((at, first as u32)));
            assert_eq!(found, strings);
            assert_eq!(queue.count as usize, strings.len());
            let (mut at, mut left, mut after_hole) = (queue.tail, queue.used, false);
            while left > 0 {
                let first = memory.word(queue.base + at);
                assert!(is_string(first) || !after_hole, "two holes, the second at {at}");
                (at, left) = (at + first as u32, left - first as u32);
                after_hole = !is_string(first) && at != CAP;
                at %= CAP;
            }
        }
    }
}
