//! Cancelling a query from another thread: who may write RESET, when, and exactly how often.
//!
//! Owns the little state that the connection and its [`CancelHandle`]s share, and the six bytes of RESET. Never reads
//! from the socket: the answer to a RESET is read by the connection's owner, in its place among the other answers.
//! Limits: the lock is held for one write of six bytes at most; a handle waits for nothing else.
//!
//! Bolt answers requests in the order in which they were written, so the owner must know where between its own
//! writes a RESET went out. Three rules make that certain:
//!
//! 1. While the owner is writing a flight (`busy`), a cancel is only noted; the owner sends it when the flight is out.
//!    The same holds until an answer to BEGIN has come, since servers close a connection on which RESET overtakes it.
//! 2. A RESET that is already the last thing on the wire is not followed by a second one.
//! 3. Before each flight the owner asks whether a RESET has gone out since the last one. If so, a flight that
//!    continues something (PULL, COMMIT, RUN in a transaction) is not written at all: the server forgot that state.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// RESET as a chunked message: `00 02 B0 0F 00 00`.
pub(crate) const RESET: [u8; 6] = [0x00, 0x02, 0xB0, 0x0F, 0x00, 0x00];

/// The second pair of hands on a connection's outgoing half, used for RESET only.
pub trait Interrupt: Send {
    /// Writes all of `bytes`, or fails.
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Cancels what a connection is doing, from any thread.
///
/// Cheap to clone (one reference count); outliving the connection is fine. Made by `Connection::cancel_handle`.
#[derive(Clone)]
pub struct CancelHandle(Arc<Mutex<State>>);

struct State {
    busy: bool,
    requested: bool,
    /// A RESET was written by a handle and the owner does not know yet.
    unaccounted: bool,
    /// Nothing was written after the latest RESET.
    reset_is_last: bool,
    /// None once the connection is over.
    out: Option<Box<dyn Interrupt>>,
}

impl State {
    fn send(&mut self) -> io::Result<()> {
        let Some(out) = self.out.as_mut() else { return Ok(()) };
        if let Err(error) = out.write_now(&RESET) {
            // A part of the six bytes may be out: nothing may follow them.
            self.out = None;
            return Err(error);
        }
        self.unaccounted = true;
        self.reset_is_last = true;
        Ok(())
    }
}

impl std::fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelHandle").finish_non_exhaustive()
    }
}

impl CancelHandle {
    pub(crate) fn new(out: Box<dyn Interrupt>) -> Self {
        CancelHandle(Arc::new(Mutex::new(State {
            busy: false,
            requested: false,
            unaccounted: false,
            reset_is_last: false,
            out: Some(out),
        })))
    }

    /// Asks the server to stop whatever it does for this connection: sends RESET, at once if it can.
    ///
    /// The call that is waiting returns an error whose `is_cancelled()` is true, or its result if the server was
    /// faster; an open transaction is rolled back. The connection stays usable. Calling it again before the
    /// connection is used anew changes nothing; on an idle connection it does no harm, on a closed one nothing.
    ///
    /// Cost: one system call, or none when the owner is in the middle of a write and will send it itself.
    ///
    /// # Errors
    /// When the socket does not take six bytes. The connection is of no use then and will say so itself.
    pub fn cancel(&self) -> io::Result<()> {
        let mut state = self.lock();
        if state.reset_is_last {
            return Ok(());
        }
        if state.busy {
            state.requested = true;
            return Ok(());
        }
        state.send()
    }

    /// The owner is about to write. `continues` says that the flight only makes sense in the server's present state.
    pub(crate) fn begin_write(&self, continues: bool) -> Grant {
        let mut state = self.lock();
        if state.out.is_none() {
            return Grant::Broken;
        }
        let reset_before = std::mem::take(&mut state.unaccounted);
        if reset_before && continues {
            return Grant::Interrupted;
        }
        state.busy = true;
        state.reset_is_last = false;
        Grant::Write { reset_before }
    }

    /// The flight is out (and BEGIN, if it was one, answered): what was asked for meanwhile is sent now.
    pub(crate) fn end_write(&self, ends_with_reset: bool) -> io::Result<()> {
        let mut state = self.lock();
        state.busy = false;
        state.reset_is_last = ends_with_reset;
        if std::mem::take(&mut state.requested) && !ends_with_reset { state.send() } else { Ok(()) }
    }

    /// Whether a RESET has gone out that the owner did not know of; it knows now.
    pub(crate) fn take_reset(&self) -> bool {
        std::mem::take(&mut self.lock().unaccounted)
    }

    /// The connection is over; handles do nothing from here on.
    pub(crate) fn close(&self) {
        self.lock().out = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way, so a poisoned lock still guards a sound state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to [`CancelHandle::begin_write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Go ahead; a RESET stands on the wire before this flight if `reset_before`.
    Write { reset_before: bool },
    /// A RESET made this flight pointless; its answer is owed.
    Interrupted,
    /// A RESET was written in part; the connection cannot be used.
    Broken,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Interrupt for Sink {
        fn write_now(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(())
        }
    }

    fn pair() -> (CancelHandle, impl Fn() -> usize) {
        let sink = Sink::default();
        let seen = sink.clone();
        (CancelHandle::new(Box::new(sink)), move || seen.0.lock().unwrap().len() / RESET.len())
    }

    #[test]
    fn a_second_cancel_is_not_a_second_reset() {
        let (handle, resets) = pair();
        handle.cancel().unwrap();
        handle.clone().cancel().unwrap();
        assert_eq!(resets(), 1);
        assert_eq!(handle.begin_write(false), Grant::Write { reset_before: true });
        handle.end_write(false).unwrap();
        handle.cancel().unwrap();
        assert_eq!(resets(), 2, "a new flight can be cancelled anew");
    }

    #[test]
    fn a_cancel_during_a_write_follows_it() {
        let (handle, resets) = pair();
        assert_eq!(handle.begin_write(false), Grant::Write { reset_before: false });
        handle.cancel().unwrap();
        handle.cancel().unwrap();
        assert_eq!(resets(), 0, "six bytes in the middle of a message would break it");
        handle.end_write(false).unwrap();
        assert_eq!(resets(), 1);
        assert!(handle.take_reset());
        assert!(!handle.take_reset());
    }

    #[test]
    fn a_flight_that_continues_is_withheld() {
        let (handle, _) = pair();
        handle.cancel().unwrap();
        assert_eq!(handle.begin_write(true), Grant::Interrupted);
        assert_eq!(handle.begin_write(false), Grant::Write { reset_before: false });
    }

    #[test]
    fn the_owner_s_own_reset_serves_a_waiting_cancel() {
        let (handle, resets) = pair();
        handle.begin_write(false);
        handle.cancel().unwrap();
        handle.end_write(true).unwrap();
        handle.cancel().unwrap();
        assert_eq!(resets(), 0);
    }

    #[test]
    fn after_the_end_nothing_is_written() {
        let (handle, resets) = pair();
        handle.close();
        handle.cancel().unwrap();
        assert_eq!(resets(), 0);
        assert_eq!(handle.begin_write(false), Grant::Broken);
    }
}
