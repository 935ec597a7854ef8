//! Who reads what: the state that new transactions begin from, and the transactions that are still open.
//!
//! Owns the published state and the list of open readers, under one lock that is held for a few dozen instructions and never during
//! input or output. That is the whole argument for snapshots: a reader takes the state and enters the list in one step, and the writer
//! publishes a new state and looks at the list in steps of the same lock, so a page is given to the writer again only when no reader
//! that may see it is on the list. Modelled in `tests/loom.rs`. Never touches a page. Limit: entering and leaving contend for one cache line.

use bolt_sync::sync::{Mutex, MutexGuard};

/// The published state `S` of transaction `txid`, and the readers that hold it or older ones.
#[derive(Debug)]
pub struct Readers<S> {
    shared: Mutex<Shared<S>>,
}

#[derive(Debug)]
struct Shared<S> {
    txid: u64,
    state: S,
    /// Transaction ids that readers hold, ascending, each with their number.
    open: Vec<(u64, u32)>,
    started: u64,
}

impl<S: Copy> Readers<S> {
    /// Publishes the first state.
    pub fn new(txid: u64, state: S) -> Self {
        // Room for a few generations of readers, so that entering allocates only in crowds.
        Self { shared: Mutex::new(Shared { txid, state, open: Vec::with_capacity(16), started: 0 }) }
    }

    fn lock(&self) -> MutexGuard<'_, Shared<S>> {
        // Nothing panics while the lock is held, so a poisoned lock still guards consistent data.
        self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Enters a reader: the newest state and its transaction id. Pair with [`Readers::leave`].
    pub fn enter(&self) -> (u64, S) {
        let mut shared = self.lock();
        let txid = shared.txid;
        match shared.open.last_mut() {
            Some((newest, count)) if *newest == txid => *count += 1,
            _ => shared.open.push((txid, 1)),
        }
        shared.started += 1;
        (txid, shared.state)
    }

    /// Takes a reader that entered with `txid` off the list.
    pub fn leave(&self, txid: u64) {
        let mut shared = self.lock();
        if let Ok(at) = shared.open.binary_search_by_key(&txid, |&(txid, _)| txid) {
            shared.open[at].1 -= 1;
            if shared.open[at].1 == 0 {
                shared.open.remove(at);
            }
        } else {
            debug_assert!(false, "a reader leaves once");
        }
    }

    /// The newest state without entering: for the one writer.
    pub fn current(&self) -> (u64, S) {
        let shared = self.lock();
        (shared.txid, shared.state)
    }

    /// Makes `state` what new transactions begin from; returns whether any reader was open at that moment.
    pub fn publish(&self, txid: u64, state: S) -> bool {
        let mut shared = self.lock();
        debug_assert!(txid >= shared.txid, "states are published in order");
        shared.txid = txid;
        shared.state = state;
        !shared.open.is_empty()
    }

    /// Puts the ids that readers hold into `into`, ascending.
    pub fn held(&self, into: &mut Vec<u64>) {
        into.clear();
        into.extend(self.lock().open.iter().map(|&(txid, _)| txid));
    }

    /// Readers open now, and readers started ever.
    pub fn counts(&self) -> (u64, u64) {
        let shared = self.lock();
        (shared.open.iter().map(|&(_, count)| u64::from(count)).sum(), shared.started)
    }
}
