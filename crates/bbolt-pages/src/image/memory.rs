//! Where an image's bytes lie: private memory, or the page of the file that they are going to be.
//!
//! Owns [`Memory`]: how many bytes are in use, and from where on all are zero, so that the rest of a page is made zero once and only where an
//! earlier page left something. Whatever is not zero was a page of the same file. Never knows what the bytes mean.
//! Limit: what outgrows its page of the file moves to private memory and stays there.

use std::ops::{Deref, DerefMut};

use crate::map::Room;

/// Bytes that are copied by one call. Longer copies take the processor's string move, which starts slowly: of the copies of a page's
/// data, which are of one to three KiB, it made up nearly half of the time.
const PIECE_BYTES: usize = 1024;

#[derive(Debug)]
enum Place {
    /// All of it initialised.
    Heap(Vec<u8>),
    /// In a page of the writable map.
    Home(Room),
}

impl Deref for Place {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Home(room) => room,
        }
    }
}

impl DerefMut for Place {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Home(room) => room,
        }
    }
}

/// See the file's header. As a slice it is what is in use.
#[derive(Debug)]
pub(crate) struct Memory {
    place: Place,
    /// Bytes in use, at most all of `place`.
    used: usize,
    /// Bytes of `place` from here on are zero; not below `used`.
    dirty: usize,
}

impl Memory {
    /// Private memory for `length` bytes.
    pub(crate) fn heap(length: usize) -> Self {
        Self { place: Place::Heap(vec![0; length]), used: 0, dirty: 0 }
    }

    /// Memory in a page of the writable map.
    pub(crate) fn home(room: Room) -> Self {
        Self { used: 0, dirty: room.len(), place: Place::Home(room) }
    }

    pub(crate) fn is_heap(&self) -> bool {
        matches!(self.place, Place::Heap(_))
    }

    /// Bytes of private memory.
    pub(crate) fn private_bytes(&self) -> usize {
        match &self.place {
            Place::Heap(bytes) => bytes.capacity(),
            Place::Home(_) => 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.used = length.min(self.used);
    }

    /// Makes it `length` bytes, new ones with whatever value: what outgrows its page moves to the heap.
    #[inline]
    pub(super) fn resize(&mut self, length: usize) {
        if length > self.place.len() {
            self.grow(length);
        }
        self.used = length;
        self.dirty = length.max(self.dirty);
    }

    #[inline]
    pub(super) fn extend_from_slice(&mut self, bytes: &[u8]) {
        let start = self.used;
        self.resize(start + bytes.len());
        copy(&mut self[start..], bytes);
    }

    /// Makes what is not in use zero, as it is to be in the file.
    #[inline]
    pub(super) fn clean(&mut self) {
        self.place[self.used..self.dirty].fill(0);
        self.dirty = self.used;
    }

    /// What is in use, and zeros up to `length` bytes.
    pub(super) fn padded(&self, length: usize) -> &[u8] {
        debug_assert!(self.dirty == self.used, "zeros stand behind it");
        &self.place[..length]
    }

    /// Makes zeros of what stands behind, up to `length` bytes.
    pub(super) fn pad(&mut self, length: usize) {
        debug_assert!(self.used <= length);
        if length > self.place.len() {
            self.grow(length);
        }
        self.clean();
    }

    /// Private memory of `length` bytes, and some to spare.
    #[cold]
    fn grow(&mut self, length: usize) {
        let room = length + (length / 4).min(4096);
        match &mut self.place {
            Place::Heap(bytes) => bytes.resize(room, 0),
            Place::Home(_) => {
                let mut bytes = vec![0; room];
                bytes[..self.used].copy_from_slice(self);
                self.place = Place::Heap(bytes);
                self.dirty = self.used;
            }
        }
    }
}

impl Deref for Memory {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.place[..self.used]
    }
}

impl DerefMut for Memory {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.place[..self.used]
    }
}

/// Copies bytes to others of the same number, in pieces of at most [`PIECE_BYTES`].
#[inline]
pub(super) fn copy(to: &mut [u8], from: &[u8]) {
    debug_assert_eq!(to.len(), from.len());
    for (to, from) in to.chunks_mut(PIECE_BYTES).zip(from.chunks(PIECE_BYTES)) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_use_is_zero_in_the_file_whatever_lay_there() {
        let mut memory = Memory::heap(64);
        let fills =
            [(60, 1_u8), (0, 2), (30, 3), (64, 4), (10, 5), (10, 6), (200, 7), (5, 8), (300, 9), (0, 10)];
        for (length, value) in fills {
            memory.clear();
            memory.extend_from_slice(&vec![value; length]);
            // Longer for a time, and shorter again.
            memory.resize(length + 7);
            memory[length..].fill(0xEE);
            memory.truncate(length);
            let whole = length.next_multiple_of(64).max(64);
            memory.pad(whole);
            let padded = memory.padded(whole);
            assert_eq!(padded.len(), whole);
            assert!(padded[..length].iter().all(|&byte| byte == value), "{length}");
            assert!(padded[length..].iter().all(|&byte| byte == 0), "{length}");
            assert_eq!(memory.len(), length);
        }
    }

    #[test]
    fn copies_of_every_length_are_whole() {
        let from: Vec<u8> = (0..3 * PIECE_BYTES + 9).map(|at| at as u8).collect();
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, from.len()] {
            let mut to = vec![0; length];
            copy(&mut to, &from[..length]);
            assert_eq!(to, from[..length]);
        }
    }
}
