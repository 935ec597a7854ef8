//! Owns: the two ends of a pool whose buffers go round between one taking and one returning thread. Never locks on its way; what does not
//! fit, or comes from elsewhere, takes the pool's ordinary way. Limits: one taker and one giver a ring.

use alloc::vec::Vec;
use core::fmt;

use bolt_sync::ring::{self, Consumer, Producer, RingError};

use crate::block::PooledBuffer;
use crate::frame::Acquire;
use crate::pool::{AcquireError, BufferPool, Zeroing};

/// Buffers fetched from the ring at once: one publication of the reader's index for so many takes.
const FETCH_COUNT: usize = 32;

/// The end that takes; made by [`BufferPool::ring`]. It can be sent to another thread.
///
/// Cost: a buffer that the giver returned costs neither a lock nor an atomic read-modify-write; one that is not there comes from the
/// pool.
pub struct RingTaker {
    /// A ring for each class, with what was fetched from it.
    lanes: Vec<(Consumer<'static, PooledBuffer>, Vec<PooledBuffer>)>,
    pool: BufferPool,
}

/// The end that returns; made by [`BufferPool::ring`]. It can be sent to another thread.
pub struct RingGiver {
    lanes: Vec<Producer<'static, PooledBuffer>>,
    pool: BufferPool,
}

impl BufferPool {
    /// A ring for each class, between a thread that takes buffers and one that is done with them: a reader and a handler.
    ///
    /// Buffers in the ring count as in use. A buffer that is dropped instead of given goes to the pool, and a taker that finds the
    /// ring empty takes from there. Several rings over one pool do not know each other.
    ///
    /// ```
    /// use bolt_tlv::{BufferPool, Strategy};
    /// let pool = BufferPool::builder().strategy(Strategy::Ring).with_size_class(128, 64).build();
    /// let (mut taker, mut giver) = pool.ring()?;
    /// let buffer = taker.acquire(84)?;
    /// std::thread::spawn(move || giver.give(buffer)).join().unwrap();
    /// let again = taker.acquire(100)?;
    /// assert_eq!(pool.stats().misses(), 1, "it is the same buffer");
    /// # drop(again);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The rings' memory could not be had.
    pub fn ring(&self) -> Result<(RingTaker, RingGiver), RingError> {
        let mut taker = RingTaker { lanes: Vec::new(), pool: self.clone() };
        let mut giver = RingGiver { lanes: Vec::new(), pool: self.clone() };
        for class in self.stats().classes() {
            let (producer, consumer) = ring::with_capacity(class.capacity.max(1))?;
            taker.lanes.push((consumer, Vec::with_capacity(FETCH_COUNT)));
            giver.lanes.push(producer);
        }
        Ok((taker, giver))
    }
}

impl RingTaker {
    /// A buffer of `len` bytes: from the ring, or else from the pool.
    ///
    /// # Errors
    /// As [`BufferPool::acquire`].
    #[inline]
    pub fn acquire(&mut self, len: usize) -> Result<PooledBuffer, AcquireError> {
        if let Some(index) = self.pool.classes().class_of(len)
            && let Some((ring, fetched)) = self.lanes.get_mut(index)
        {
            if fetched.is_empty() {
                ring.pop_each(FETCH_COUNT, |buffer| fetched.push(buffer));
            }
            if let Some(mut buffer) = fetched.pop() {
                if self.pool.zeroing(len) == Zeroing::OnTake {
                    clear(&mut buffer);
                }
                // The ring holds buffers of its class only, which holds `len`.
                let _ = buffer.set_len(len);
                return Ok(buffer);
            }
        }
        self.pool.acquire(len)
    }
}

impl Acquire for &mut RingTaker {
    #[inline]
    fn acquire(&mut self, len: usize) -> Result<PooledBuffer, AcquireError> {
        RingTaker::acquire(self, len)
    }
}

impl RingGiver {
    /// Returns a buffer to the taker. One of another pool, a plain one, or one for which the ring has no room, goes home the ordinary
    /// way.
    #[inline]
    pub fn give(&mut self, mut buffer: PooledBuffer) {
        if let Some(index) = self.pool.class_of_buffer(&buffer)
            && let Some(ring) = self.lanes.get_mut(index)
        {
            if self.pool.zeroing(buffer.capacity()) == Zeroing::OnReturn {
                clear(&mut buffer);
            }
            // A full ring, and one whose taker is gone, give the buffer back, and it is dropped: it goes home.
            if !ring.is_closed() {
                drop(ring.push(buffer));
            }
        }
    }
}

/// Writes zeros over the whole class.
#[cold]
fn clear(buffer: &mut PooledBuffer) {
    let _ = buffer.set_len(buffer.capacity());
    buffer.fill(0);
}

impl fmt::Debug for RingTaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingTaker").field("classes", &self.lanes.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for RingGiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingGiver").field("classes", &self.lanes.len()).finish_non_exhaustive()
    }
}
