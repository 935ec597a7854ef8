//! Owns: `SoaBatch`, up to eight triples as three arrays, and the types of its length and its masks. Never allocates. Limits: eight
//! triples, because eight 64-bit words are one cache line and one AVX-512 register.

use core::fmt;

use crate::error::PoolError;

/// The most triples a batch holds: a cache line of 64 bytes has room for eight words.
pub const MAX_RUN_LEN: usize = 8;

const _: () = assert!(MAX_RUN_LEN * size_of::<u64>() == 64, "a lane is one cache line");

/// One triple of ids.
///
/// Layout: 24 bytes. What the ids stand for is the caller's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Triple {
    /// Who or what it is about.
    pub subject: u64,
    /// Which relation.
    pub predicate: u64,
    /// To whom or what.
    pub object: u64,
}

impl Triple {
    /// A triple of three ids.
    #[inline]
    pub const fn new(subject: u64, predicate: u64, object: u64) -> Self {
        Self { subject, predicate, object }
    }
}

impl From<(u64, u64, u64)> for Triple {
    fn from((subject, predicate, object): (u64, u64, u64)) -> Self {
        Self { subject, predicate, object }
    }
}

/// A length from 0 to 8, which no value of this type exceeds.
///
/// Layout: 1 byte. The compiler knows the range, so slicing a lane by it needs no bounds check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
#[allow(missing_docs)] // the names say it
pub enum BatchLen {
    #[default]
    Zero = 0,
    One = 1,
    Two = 2,
    Three = 3,
    Four = 4,
    Five = 5,
    Six = 6,
    Seven = 7,
    Eight = 8,
}

impl BatchLen {
    /// The guard of every pool: a run longer than [`MAX_RUN_LEN`] is refused.
    ///
    /// # Errors
    /// [`PoolError::InvalidSize`]: split the run.
    #[inline]
    pub const fn new(len: usize) -> Result<Self, PoolError> {
        // Compiles to one comparison.
        Ok(match len {
            0 => Self::Zero,
            1 => Self::One,
            2 => Self::Two,
            3 => Self::Three,
            4 => Self::Four,
            5 => Self::Five,
            6 => Self::Six,
            7 => Self::Seven,
            8 => Self::Eight,
            _ => return Err(PoolError::InvalidSize { requested: len, max: MAX_RUN_LEN }),
        })
    }

    /// The same as a number.
    #[inline]
    pub const fn get(self) -> usize {
        self as usize
    }

    /// The mask with a bit for each of the first `self` triples.
    #[inline]
    pub const fn mask(self) -> MatchMask {
        MatchMask(((1_u16 << self as u16) - 1) as u8)
    }
}

impl TryFrom<usize> for BatchLen {
    type Error = PoolError;
    fn try_from(len: usize) -> Result<Self, PoolError> {
        Self::new(len)
    }
}

impl From<BatchLen> for usize {
    fn from(len: BatchLen) -> Self {
        len.get()
    }
}

/// Up to eight triples as a structure of arrays.
///
/// **Layout.** 256 bytes at a 64-byte boundary: one cache line of subjects, one of predicates, one of objects (192 bytes, the lanes), and
/// one that holds the length. All eight words of a lane are always initialised; those at and above the length are leftovers.
///
/// **Cost.** A batch from a pool is neither cleared nor copied; `push` is three stores and a length.
///
/// ```
/// use bolt_triple::{SoaBatch, Triple};
/// let mut batch = SoaBatch::new();
/// batch.push(Triple::new(1, 10, 2))?;
/// batch.push(Triple::new(1, 11, 3))?;
/// assert_eq!(batch.subjects(), [1, 1]);
/// assert_eq!(batch.get(1), Some(Triple::new(1, 11, 3)));
/// # Ok::<(), bolt_triple::PoolError>(())
/// ```
#[derive(Clone)]
#[repr(C, align(64))]
pub struct SoaBatch {
    subjects: [u64; MAX_RUN_LEN],
    predicates: [u64; MAX_RUN_LEN],
    objects: [u64; MAX_RUN_LEN],
    len: BatchLen,
}

const _: () = assert!(align_of::<SoaBatch>() == 64 && size_of::<SoaBatch>() == 4 * 64);

impl SoaBatch {
    /// No triples; every word is zero.
    pub const fn new() -> Self {
        Self { subjects: [0; 8], predicates: [0; 8], objects: [0; 8], len: BatchLen::Zero }
    }

    /// A batch of these triples.
    ///
    /// # Errors
    /// [`PoolError::InvalidSize`] for more than eight: split the run.
    pub fn from_triples(triples: &[Triple]) -> Result<Self, PoolError> {
        let len = BatchLen::new(triples.len())?;
        let mut batch = Self::new();
        batch.len = len;
        for (at, &triple) in triples.iter().enumerate() {
            batch.write(at, triple);
        }
        Ok(batch)
    }

    /// How many triples.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// How many, as the type that cannot exceed eight.
    #[inline]
    pub const fn batch_len(&self) -> BatchLen {
        self.len
    }

    /// True if there is none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        matches!(self.len, BatchLen::Zero)
    }

    /// True if there are eight.
    #[inline]
    pub const fn is_full(&self) -> bool {
        matches!(self.len, BatchLen::Eight)
    }

    /// Sets the length. Triples that this adds are whatever the words held before.
    #[inline]
    pub fn set_len(&mut self, len: BatchLen) {
        self.len = len;
    }

    /// Empties it; the words stay. Cost: one store.
    #[inline]
    pub fn clear(&mut self) {
        self.len = BatchLen::Zero;
    }

    /// Appends a triple.
    ///
    /// # Errors
    /// [`PoolError::InvalidSize`] when it is full: load it and take another batch.
    #[inline]
    pub fn push(&mut self, triple: Triple) -> Result<(), PoolError> {
        let at = self.len();
        let len = BatchLen::new(at + 1)?;
        self.write(at, triple);
        self.len = len;
        Ok(())
    }

    /// Appends triples until the iterator ends or the batch is full, and returns how many. Takes none that does not fit.
    #[inline]
    pub fn extend_from(&mut self, triples: impl IntoIterator<Item = Triple>) -> usize {
        let start = self.len();
        for triple in triples.into_iter().take(MAX_RUN_LEN - start) {
            if self.push(triple).is_err() {
                break;
            }
        }
        self.len() - start
    }

    /// The triple at `index`, if there are that many.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Triple> {
        (index < self.len()).then(|| {
            Triple::new(
                self.subjects[index % MAX_RUN_LEN],
                self.predicates[index % MAX_RUN_LEN],
                self.objects[index % MAX_RUN_LEN],
            )
        })
    }

    /// Replaces the triple at `index`.
    ///
    /// # Errors
    /// [`PoolError::InvalidSize`] with the length, for an index at or above it.
    #[inline]
    pub fn set(&mut self, index: usize, triple: Triple) -> Result<(), PoolError> {
        if index >= self.len() {
            return Err(PoolError::InvalidSize { requested: index.saturating_add(1), max: self.len() });
        }
        self.write(index, triple);
        Ok(())
    }

    #[inline(always)]
    fn write(&mut self, at: usize, triple: Triple) {
        self.subjects[at % MAX_RUN_LEN] = triple.subject;
        self.predicates[at % MAX_RUN_LEN] = triple.predicate;
        self.objects[at % MAX_RUN_LEN] = triple.object;
    }

    /// The subjects, as many as there are triples.
    #[inline]
    pub fn subjects(&self) -> &[u64] {
        &self.subjects[..self.len as usize]
    }

    /// The predicates, as many as there are triples.
    #[inline]
    pub fn predicates(&self) -> &[u64] {
        &self.predicates[..self.len as usize]
    }

    /// The objects, as many as there are triples.
    #[inline]
    pub fn objects(&self) -> &[u64] {
        &self.objects[..self.len as usize]
    }

    /// The three lanes, whole, for kernels: words at and above the length are leftovers.
    #[inline]
    pub const fn lanes(&self) -> [&[u64; MAX_RUN_LEN]; 3] {
        [&self.subjects, &self.predicates, &self.objects]
    }

    /// The three lanes, whole, to be written.
    #[inline]
    pub const fn lanes_mut(&mut self) -> [&mut [u64; MAX_RUN_LEN]; 3] {
        [&mut self.subjects, &mut self.predicates, &mut self.objects]
    }

    /// The triples, in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Triple> + '_ {
        (0..self.len()).map(|at| Triple::new(self.subjects[at], self.predicates[at], self.objects[at]))
    }
}

impl Default for SoaBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Equal if the triples are; leftovers do not count.
impl PartialEq for SoaBatch {
    fn eq(&self, other: &Self) -> bool {
        self.subjects() == other.subjects()
            && self.predicates() == other.predicates()
            && self.objects() == other.objects()
    }
}

impl Eq for SoaBatch {}

impl fmt::Debug for SoaBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Which of the eight triples of a batch: bit `i` stands for triple `i`.
///
/// Layout: 1 byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MatchMask(pub u8);

impl MatchMask {
    /// None.
    pub const NONE: Self = Self(0);

    /// True if any.
    #[inline]
    pub const fn any(self) -> bool {
        self.0 != 0
    }

    /// How many.
    #[inline]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// True if triple `index` is among them.
    #[inline]
    pub const fn contains(self, index: usize) -> bool {
        index < MAX_RUN_LEN && self.0 >> index & 1 == 1
    }

    /// The indices, rising.
    #[inline]
    pub fn indices(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let next = left.trailing_zeros() as usize;
            (left != 0).then(|| {
                left &= left - 1;
                next
            })
        })
    }
}

impl fmt::Debug for MatchMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatchMask({:#010b})", self.0)
    }
}
