//! `batch`: callers on several threads share one transaction and one wait for the disk.
//!
//! Owns the open group. Each caller runs its own function on the group's transaction, one after another, and waits; whoever opened the group commits it
//! after the delay, or whoever fills it does at once. A function that fails undoes the group: the others run theirs again in a
//! new one, and the failing caller runs alone, so that its error is its own. Spawns no thread. Limit: a function may run several times, and
//! must not call `batch` itself.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use crate::db::Db;
use crate::error::{Error, Result};
use crate::write::WriteTx;

/// What became of a group.
#[derive(Debug, Clone)]
enum Outcome {
    Committed,
    Failed(Error),
    /// Another member's function failed: run again.
    Undone,
}

struct Group {
    tx: WriteTx<'static>,
    members: usize,
    outcome: Arc<OnceLock<Outcome>>,
}

/// The group that callers join now.
#[derive(Default)]
pub(crate) struct Batches {
    group: Mutex<Option<Group>>,
    changed: Condvar,
}

/// Ends the group if the function that runs on it panics.
struct Undo<'a> {
    batches: &'a Batches,
    group: &'a mut Option<Group>,
    armed: bool,
}

impl Undo<'_> {
    fn undo(&mut self) {
        if let Some(group) = self.group.take() {
            group.tx.rollback();
            let _ = group.outcome.set(Outcome::Undone);
            self.batches.changed.notify_all();
        }
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.undo();
        }
    }
}

impl Batches {
    fn lock(&self) -> MutexGuard<'_, Option<Group>> {
        // A panicking member has taken its group out before the lock notices.
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(&self, group: &mut Option<Group>) {
        if let Some(group) = group.take() {
            let outcome = match group.tx.commit() {
                Ok(()) => Outcome::Committed,
                Err(error) => Outcome::Failed(error),
            };
            let _ = group.outcome.set(outcome);
            self.changed.notify_all();
        }
    }
}

impl Db {
    /// Runs `f` in a write transaction that it may share with other callers of `batch`: many small commits then cost one wait for the disk.
    ///
    /// Returns when the transaction is durable. A lone caller waits `max_batch_delay` for company, so use `update` where there is none. If another
    /// caller's function fails, `f` runs again; only what it did in the run that was committed counts.
    ///
    /// # Errors
    /// As [`Db::update`].
    pub fn batch<T>(&self, mut f: impl FnMut(&mut WriteTx<'_>) -> Result<T>) -> Result<T> {
        let batches = &self.inner().batches;
        let options = self.options();
        loop {
            let mut open = batches.lock();
            let leads = open.is_none();
            if leads {
                let tx = self.begin_write_owned()?;
                *open = Some(Group { tx, members: 0, outcome: Arc::default() });
            }
            let deadline = Instant::now() + options.max_batch_delay;
            let mut undo = Undo { batches, group: &mut open, armed: true };
            let Some(group) = undo.group.as_mut() else { continue };
            let outcome = Arc::clone(&group.outcome);
            group.members += 1;
            let full = group.members >= options.max_batch_size.max(1);
            let value = f(&mut group.tx);
            undo.armed = false;
            let Ok(value) = value else {
                undo.undo();
                drop(undo);
                drop(open);
                return self.update(f);
            };
            drop(undo);
            if full {
                batches.commit(&mut open);
            }
            let decided = loop {
                if let Some(outcome) = outcome.get() {
                    break outcome.clone();
                }
                if !leads {
                    open = batches.changed.wait(open).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    batches.commit(&mut open);
                    continue;
                }
                open = batches.changed.wait_timeout(open, left).unwrap_or_else(PoisonError::into_inner).0;
            };
            match decided {
                Outcome::Committed => return Ok(value),
                Outcome::Failed(error) => return Err(error),
                Outcome::Undone => {}
            }
        }
    }
}
