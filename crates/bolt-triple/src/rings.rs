//! Owns: the two rings of a pipeline: changes that come in, assertions that go out. The ring itself is `bolt_sync::ring`; here stand what
//! travels and how it meets a batch. Never blocks, never allocates after it was made. Limits: one producer and one consumer each; a
//! power of two of slots.

use bolt_sync::ring::{Consumer, Full, Producer, Ring, RingError};

use crate::batch::{SoaBatch, Triple};
use crate::receipt::Receipt;

/// Whether a triple comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DeltaKind {
    /// The triple is new.
    Insert,
    /// The triple is gone.
    Remove,
}

/// One change on its way in.
///
/// Layout: 40 bytes, `Copy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delta {
    /// What changed.
    pub triple: Triple,
    /// The cycle it belongs to.
    pub cycle: u64,
    /// How it changed.
    pub kind: DeltaKind,
}

/// One statement on its way out, with the receipt of the hook that made it.
///
/// Layout: 128 bytes, `Copy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Assertion {
    /// What is said.
    pub triple: Triple,
    /// Who said it, when, and over what.
    pub receipt: Receipt,
}

/// A ring of `N` changes in place.
///
/// ```
/// use bolt_triple::{Delta, DeltaKind, DeltaRing, SoaBatch, Triple};
/// static RING: DeltaRing<64> = DeltaRing::new();
/// let (mut producer, mut consumer) = RING.split()?;
/// let delta = |subject| Delta { triple: Triple::new(subject, 1, 2), cycle: 7, kind: DeltaKind::Insert };
/// assert_eq!(producer.push_iter((0..10).map(delta)), 10);
/// let mut batch = SoaBatch::new();
/// let run = consumer.load_into(&mut batch).expect("something came");
/// assert_eq!((run.cycle, run.kind, batch.len()), (7, DeltaKind::Insert, 8));
/// # Ok::<(), bolt_sync::ring::RingError>(())
/// ```
#[derive(Debug)]
pub struct DeltaRing<const N: usize>(Ring<Delta, N>);

impl<const N: usize> DeltaRing<N> {
    /// An empty ring. `N` is a power of two; anything else does not compile.
    #[cfg(not(bolt_loom))]
    pub const fn new() -> Self {
        Self(Ring::new())
    }

    /// An empty ring.
    #[cfg(bolt_loom)]
    pub fn new() -> Self {
        Self(Ring::new())
    }

    /// The two halves.
    ///
    /// # Errors
    /// [`RingError::AlreadySplit`] while a half is out.
    pub fn split(&self) -> Result<(DeltaProducer<'_>, DeltaConsumer<'_>), RingError> {
        let (producer, consumer) = self.0.split()?;
        Ok((DeltaProducer(producer), DeltaConsumer(consumer)))
    }
}

impl<const N: usize> Default for DeltaRing<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// A ring of at least `capacity` changes on the heap, as its two halves.
///
/// # Errors
/// As [`bolt_sync::ring::with_capacity`].
#[cfg(feature = "alloc")]
pub fn delta_ring(capacity: usize) -> Result<(DeltaProducer<'static>, DeltaConsumer<'static>), RingError> {
    let (producer, consumer) = bolt_sync::ring::with_capacity(capacity)?;
    Ok((DeltaProducer(producer), DeltaConsumer(consumer)))
}

/// Where changes go in.
#[derive(Debug)]
pub struct DeltaProducer<'r>(Producer<'r, Delta>);

impl DeltaProducer<'_> {
    /// Puts one change in.
    ///
    /// # Errors
    /// [`Full`] with the change: the consumer has fallen behind by the whole ring.
    #[inline]
    pub fn push(&mut self, delta: Delta) -> Result<(), Full<Delta>> {
        self.0.push(delta)
    }

    /// Puts in as many as fit, and returns how many; they become visible together.
    #[inline]
    pub fn push_slice(&mut self, deltas: &[Delta]) -> usize {
        self.0.push_slice(deltas)
    }

    /// Puts in changes until the iterator ends or the ring is full, and returns how many. Takes none that does not fit.
    pub fn push_iter(&mut self, deltas: impl IntoIterator<Item = Delta>) -> usize {
        self.0.push_iter(deltas)
    }

    /// Room for how many there is at least.
    pub fn free(&mut self) -> usize {
        self.0.free()
    }

    /// True once the consumer is gone.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Where changes come out, one by one or as runs that fit a batch.
#[derive(Debug)]
pub struct DeltaConsumer<'r>(Consumer<'r, Delta>);

/// What the triples of a loaded run have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeltaRun {
    /// Their cycle.
    pub cycle: u64,
    /// What happens to them.
    pub kind: DeltaKind,
}

impl DeltaConsumer<'_> {
    /// Takes the oldest change.
    #[inline]
    pub fn pop(&mut self) -> Option<Delta> {
        self.0.pop()
    }

    /// Replaces what is in `batch` by the next run: the oldest changes that share cycle and kind, eight at most. Nothing when nothing is there;
    /// the batch is empty then.
    pub fn load_into(&mut self, batch: &mut SoaBatch) -> Option<DeltaRun> {
        batch.clear();
        let oldest = self.0.peek()?;
        let run = DeltaRun { cycle: oldest.cycle, kind: oldest.kind };
        // A change that does not belong stays in the ring, so that dropping this half loses nothing.
        while let Some(delta) = self.0.peek() {
            if delta.cycle != run.cycle || delta.kind != run.kind || batch.push(delta.triple).is_err() {
                break;
            }
            self.0.skip(1);
        }
        Some(run)
    }

    /// How many changes are there at least.
    pub fn len(&mut self) -> usize {
        self.0.len()
    }

    /// True if nothing was there when it looked.
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    /// True once the producer is gone: what a look finds after that is all there will be.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// A ring of `N` assertions in place.
///
/// ```
/// use bolt_triple::{Assertion, AssertionRing, Receipt, Triple};
/// let ring = AssertionRing::<16>::new();
/// let (mut producer, mut consumer) = ring.split()?;
/// let said = Assertion { triple: Triple::new(1, 2, 3), receipt: Receipt { lanes: 1, ..Receipt::IDENTITY } };
/// assert!(producer.push(said).is_ok());
/// let mut receipts = Receipt::IDENTITY;
/// consumer.pop_each(8, |assertion| receipts = receipts.merge(assertion.receipt));
/// assert_eq!(receipts.lanes, 1);
/// # Ok::<(), bolt_sync::ring::RingError>(())
/// ```
#[derive(Debug)]
pub struct AssertionRing<const N: usize>(Ring<Assertion, N>);

impl<const N: usize> AssertionRing<N> {
    /// An empty ring. `N` is a power of two; anything else does not compile.
    #[cfg(not(bolt_loom))]
    pub const fn new() -> Self {
        Self(Ring::new())
    }

    /// An empty ring.
    #[cfg(bolt_loom)]
    pub fn new() -> Self {
        Self(Ring::new())
    }

    /// The two halves, which are [`bolt_sync::ring`]'s.
    ///
    /// # Errors
    /// [`RingError::AlreadySplit`] while a half is out.
    pub fn split(&self) -> Result<(Producer<'_, Assertion>, Consumer<'_, Assertion>), RingError> {
        self.0.split()
    }
}

impl<const N: usize> Default for AssertionRing<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// A ring of at least `capacity` assertions on the heap, as its two halves.
///
/// # Errors
/// As [`bolt_sync::ring::with_capacity`].
#[cfg(feature = "alloc")]
pub fn assertion_ring(
    capacity: usize,
) -> Result<(Producer<'static, Assertion>, Consumer<'static, Assertion>), RingError> {
    bolt_sync::ring::with_capacity(capacity)
}
