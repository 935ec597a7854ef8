//! The requests of one connection between the thread that reads them and the thread that serves them, and the
//! token by which a running query learns that it should stop.
//!
//! Owns the bounded queue, the count of RESETs that wait in it, and the reasons to stop. Never touches a socket.
//! One mutex guards it all; it is held for a few instructions, never across I/O. Limits: requests and bytes that
//! wait, from [`ServerConfig`](crate::ServerConfig); a message larger than the byte limit may wait alone.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Failure;

/// Buffers kept for the next requests, and the largest that is kept: what an ordinary client has in flight.
const SPARES_MAX: usize = 8;
const SPARE_BYTES_MAX: usize = 64 << 10;

/// Why a query should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The client sent RESET.
    Reset,
    /// The client's `tx_timeout` has passed.
    Timeout,
    /// The client is gone.
    Disconnected,
    /// The server is being shut down.
    Shutdown,
}

impl StopReason {
    /// The failure a stopped request is answered with.
    pub fn failure(self) -> Failure {
        match self {
            StopReason::Reset => Failure::terminated("the client asked for a reset"),
            StopReason::Timeout => Failure::timed_out(),
            StopReason::Disconnected => Failure::terminated("the client is gone"),
            StopReason::Shutdown => Failure::terminated("the server is stopping"),
        }
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Vec<u8>>,
    spares: Vec<Vec<u8>>,
    queued_bytes: usize,
    /// RESETs in `queue`, or taken out of it and not yet answered.
    resets: u32,
    deadline: Option<Instant>,
    closed: Option<StopReason>,
    /// Nothing more is read, but what is queued is served; then the client is told this.
    failure: Option<Failure>,
    ended: bool,
    reader_done: bool,
}

impl State {
    fn stop(&self) -> Option<StopReason> {
        if let Some(reason) = self.closed {
            return Some(reason);
        }
        if self.resets > 0 {
            return Some(StopReason::Reset);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Some(StopReason::Timeout),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something arrived, or the connection ended. Waited on by the serving thread.
    arrived: Condvar,
    /// Room was made, or the connection ended. Waited on by the reading thread.
    room: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave the state half-changed: every change below is a few plain stores.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came out of [`Inbox::pop`].
pub(crate) enum Popped {
    Request(Vec<u8>),
    TimedOut,
    Closed,
}

/// The queue's two ends; cloned for the reader, the server thread and the [`Interrupt`].
#[derive(Clone)]
pub(crate) struct Inbox {
    shared: Arc<Shared>,
    requests_max: usize,
    bytes_max: usize,
}

impl Inbox {
    pub(crate) fn new(requests_max: usize, bytes_max: usize) -> Self {
        Inbox { shared: Arc::default(), requests_max, bytes_max }
    }

    pub(crate) fn interrupt(&self) -> Interrupt {
        Interrupt { shared: Arc::clone(&self.shared) }
    }

    /// Queues a copy of one message; waits for room. `false` when the connection has ended.
    pub(crate) fn push(&self, message: &[u8], is_reset: bool) -> bool {
        let mut state = self.shared.lock();
        loop {
            if state.ended || state.closed.is_some() {
                return false;
            }
            let fits = state.queue.len() < self.requests_max
                && (state.queue.is_empty() || state.queued_bytes + message.len() <= self.bytes_max);
            if fits {
                break;
            }
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut buffer = state.spares.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(message);
        state.queued_bytes += message.len();
        state.resets += u32::from(is_reset);
        state.queue.push_back(buffer);
        drop(state);
        self.shared.arrived.notify_all();
        true
    }

    /// The next request if one waits.
    pub(crate) fn try_pop(&self) -> Option<Vec<u8>> {
        let mut state = self.shared.lock();
        let taken = Self::take(&mut state);
        drop(state);
        if taken.is_some() {
            self.shared.room.notify_one();
        }
        taken
    }

    /// The next request; waits for it until `deadline`. What arrived before the end is still served.
    pub(crate) fn pop(&self, deadline: Option<Instant>) -> Popped {
        let mut state = self.shared.lock();
        loop {
            if let Some(message) = Self::take(&mut state) {
                drop(state);
                self.shared.room.notify_one();
                return Popped::Request(message);
            }
            if state.ended || state.closed.is_some() {
                return Popped::Closed;
            }
            state = match deadline {
                None => self.shared.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Popped::TimedOut;
                    }
                    self.shared.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn take(state: &mut State) -> Option<Vec<u8>> {
        // Nothing more is served once the server stops.
        if state.closed == Some(StopReason::Shutdown) {
            return None;
        }
        let message = state.queue.pop_front()?;
        state.queued_bytes -= message.len();
        Some(message)
    }

    /// Gives a served request's buffer back for the next one.
    pub(crate) fn recycle(&self, buffer: Vec<u8>) {
        if buffer.capacity() > SPARE_BYTES_MAX {
            return;
        }
        let mut state = self.shared.lock();
        if state.spares.len() < SPARES_MAX {
            state.spares.push(buffer);
        }
    }

    /// A RESET is about to be answered; what follows it is no longer interrupted by it.
    pub(crate) fn reset_served(&self) {
        let mut state = self.shared.lock();
        state.resets = state.resets.saturating_sub(1);
        state.deadline = None;
    }

    /// Whether a RESET waits, so that everything before it is to be ignored.
    pub(crate) fn reset_waits(&self) -> bool {
        self.shared.lock().resets > 0
    }

    /// Sets or clears the moment after which the running transaction is interrupted.
    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        self.shared.lock().deadline = deadline;
    }

    /// Ends the queue: both threads wake, running queries are interrupted. The first reason stays.
    pub(crate) fn close(&self, reason: StopReason) {
        let mut state = self.shared.lock();
        if state.closed.is_none() || reason == StopReason::Shutdown {
            state.closed = Some(reason);
        }
        drop(state);
        self.shared.arrived.notify_all();
        self.shared.room.notify_all();
    }

    /// Ends the queue from the reading side, with something to tell the client.
    pub(crate) fn fail(&self, failure: Failure) {
        let mut state = self.shared.lock();
        state.failure = Some(failure);
        state.ended = true;
        drop(state);
        self.shared.arrived.notify_all();
    }

    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.shared.lock().failure.take()
    }

    /// The reading thread says that it is about to end.
    pub(crate) fn reader_done(&self) {
        self.shared.lock().reader_done = true;
        self.shared.arrived.notify_all();
    }

    /// Waits until the reading thread ends, but not longer than `time`.
    pub(crate) fn wait_reader_done(&self, time: Duration) {
        let state = self.shared.lock();
        let waiting = self.shared.arrived.wait_timeout_while(state, time, |state| !state.reader_done);
        drop(waiting);
    }
}

/// Tells a running query whether it should stop: the client sent RESET, its timeout passed, it went away, or the
/// server is stopping. Cheap to clone and to ask (one uncontended lock, some 20 ns), from any thread.
///
/// A query that runs long should ask every few microseconds to milliseconds of work, and give up with
/// [`check`](Self::check)'s failure. One that never asks still ends, but the client waits for it.
#[derive(Clone)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

impl Interrupt {
    /// A token that nothing raises, for calling a session without a server.
    pub fn never() -> Self {
        Interrupt { shared: Arc::default() }
    }

    /// The reason to stop, if there is one.
    pub fn reason(&self) -> Option<StopReason> {
        self.shared.lock().stop()
    }

    /// Whether to stop.
    pub fn is_raised(&self) -> bool {
        self.reason().is_some()
    }

    /// # Errors
    /// The failure to give up with, when the query should stop.
    pub fn check(&self) -> Result<(), Failure> {
        match self.reason() {
            None => Ok(()),
            Some(reason) => Err(reason.failure()),
        }
    }

    /// Sleeps for `time`, or until there is a reason to stop, whichever comes first.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn sleep(&self, time: Duration) -> Result<(), Failure> {
        let end = Instant::now() + time;
        let mut state = self.shared.lock();
        loop {
            if let Some(reason) = state.stop() {
                return Err(reason.failure());
            }
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            let until = state.deadline.map_or(end, |deadline| deadline.min(end));
            let wait = until.saturating_duration_since(now).max(Duration::from_micros(50));
            state = self.shared.arrived.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupt").field("reason", &self.reason()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popped(inbox: &Inbox) -> Option<Vec<u8>> {
        match inbox.pop(Some(Instant::now())) {
            Popped::Request(message) => Some(message),
            Popped::TimedOut | Popped::Closed => None,
        }
    }

    #[test]
    fn requests_come_out_in_order_and_buffers_are_used_again() {
        let inbox = Inbox::new(4, 100);
        assert!(inbox.push(b"one", false) && inbox.push(b"two", false));
        let first = popped(&inbox).unwrap();
        assert_eq!(first, b"one");
        let address = first.as_ptr();
        inbox.recycle(first);
        assert!(inbox.push(b"abc", false));
        assert_eq!(popped(&inbox).unwrap(), b"two");
        let third = popped(&inbox).unwrap();
        assert_eq!((third.as_slice(), third.as_ptr()), (b"abc".as_slice(), address));
        assert!(popped(&inbox).is_none());
    }

    #[test]
    fn a_reset_in_the_queue_raises_the_token_until_it_is_served() {
        let inbox = Inbox::new(4, 100);
        let token = inbox.interrupt();
        assert!(inbox.push(b"run", false));
        assert_eq!(token.reason(), None);
        assert!(inbox.push(b"reset", true));
        assert_eq!(token.reason(), Some(StopReason::Reset));
        assert!(token.check().is_err_and(|f| f.code().ends_with("Transaction.Terminated")));
        popped(&inbox);
        popped(&inbox);
        assert!(inbox.reset_waits());
        inbox.reset_served();
        assert_eq!(token.reason(), None);
    }

    #[test]
    fn a_full_queue_makes_the_reader_wait_and_a_large_message_may_wait_alone() {
        let inbox = Inbox::new(2, 10);
        assert!(inbox.push(&[0; 50], false));
        let reader = inbox.clone();
        let waiting = std::thread::spawn(move || reader.push(&[1; 5], false));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        assert_eq!(popped(&inbox).unwrap().len(), 50);
        assert!(waiting.join().unwrap());
        assert_eq!(popped(&inbox).unwrap().len(), 5);
    }

    #[test]
    fn closing_wakes_everybody_and_keeps_what_had_arrived() {
        let inbox = Inbox::new(1, 10);
        assert!(inbox.push(b"last", false));
        let reader = inbox.clone();
        let waiting = std::thread::spawn(move || reader.push(b"more", false));
        std::thread::sleep(Duration::from_millis(10));
        inbox.close(StopReason::Disconnected);
        assert!(!waiting.join().unwrap());
        assert_eq!(popped(&inbox).unwrap(), b"last");
        assert!(matches!(inbox.pop(None), Popped::Closed));
        assert_eq!(inbox.interrupt().reason(), Some(StopReason::Disconnected));
    }

    #[test]
    fn sleep_ends_early_for_a_reason_and_on_time_without() {
        let inbox = Inbox::new(4, 100);
        let token = inbox.interrupt();
        let begun = Instant::now();
        assert!(token.sleep(Duration::from_millis(5)).is_ok());
        assert!(begun.elapsed() >= Duration::from_millis(5));
        inbox.set_deadline(Some(Instant::now() + Duration::from_millis(5)));
        assert_eq!(token.sleep(Duration::from_secs(60)).unwrap_err(), Failure::timed_out());
        inbox.set_deadline(None);
        let other = token.clone();
        let sleeper = std::thread::spawn(move || other.sleep(Duration::from_secs(60)));
        assert!(inbox.push(b"reset", true));
        assert!(sleeper.join().unwrap().is_err());
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
