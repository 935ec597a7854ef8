//! Loom models of readers against the writer: begin, read, close, commit, release; and broken twins that must fail.
//!
//! Run: `RUSTFLAGS="--cfg bolt_loom" cargo test -p bbolt-pages --test loom`. The pages are loom's cells, so a page that is written
//! while somebody reads it, or was given to a new state too early, is reported by loom itself or by the reader's own comparison.
#![cfg(bolt_loom)]

use std::panic::catch_unwind;

use bbolt_pages::free::{FreePages, Run};
use bbolt_pages::readers::Readers;
use bolt_sync::cell::UnsafeCell;
use bolt_sync::sync::{Arc, Mutex};
use bolt_sync::thread;

const PAGES: usize = 4;

/// What the model needs of the registry; the state is the page that holds it.
trait Registry: Send + Sync + 'static {
    fn new() -> Self;
    fn enter(&self) -> (u64, usize);
    fn leave(&self, txid: u64);
    fn publish(&self, txid: u64, page: usize) -> bool;
    fn held(&self, into: &mut Vec<u64>);
}

impl Registry for Readers<usize> {
    fn new() -> Self {
        Readers::new(0, 0)
    }
    fn enter(&self) -> (u64, usize) {
        Readers::enter(self)
    }
    fn leave(&self, txid: u64) {
        Readers::leave(self, txid);
    }
    fn publish(&self, txid: u64, page: usize) -> bool {
        Readers::publish(self, txid, page)
    }
    fn held(&self, into: &mut Vec<u64>) {
        Readers::held(self, into);
    }
}

/// A registry with one piece taken out: state and list under two locks, or a reader that is never listed.
struct Twin<const LISTED: bool> {
    state: Mutex<(u64, usize)>,
    open: Mutex<Vec<u64>>,
}

impl<const LISTED: bool> Registry for Twin<LISTED> {
    fn new() -> Self {
        Self { state: Mutex::new((0, 0)), open: Mutex::new(Vec::new()) }
    }
    fn enter(&self) -> (u64, usize) {
        let state = *self.state.lock().unwrap();
        // Between the two locks the writer may look at the list and not find this reader.
        if LISTED {
            self.open.lock().unwrap().push(state.0);
        }
        state
    }
    fn leave(&self, txid: u64) {
        let mut open = self.open.lock().unwrap();
        if let Some(at) = open.iter().position(|&held| held == txid) {
            open.remove(at);
        }
    }
    fn publish(&self, txid: u64, page: usize) -> bool {
        *self.state.lock().unwrap() = (txid, page);
        !self.open.lock().unwrap().is_empty()
    }
    fn held(&self, into: &mut Vec<u64>) {
        into.clear();
        into.extend(self.open.lock().unwrap().iter());
        into.sort_unstable();
        into.dedup();
    }
}

struct Store<R> {
    registry: R,
    pages: [UnsafeCell<u64>; PAGES],
}

// SAFETY: loom runs one thread at a time and reports every unordered pair of accesses itself; that report is the test.
unsafe impl<R: Send> Send for Store<R> {}
// SAFETY: as above.
unsafe impl<R: Sync> Sync for Store<R> {}

impl<R: Registry> Store<R> {
    fn new() -> Self {
        Self { registry: R::new(), pages: std::array::from_fn(|_| UnsafeCell::new(0)) }
    }

    /// A read transaction: the page says which transaction wrote it, and must go on saying so until the end.
    fn read(&self) {
        let (txid, page) = self.registry.enter();
        for _ in 0..2 {
            self.pages[page].with(|cell| {
                // SAFETY: the pointer is valid for the call; whether somebody writes meanwhile is what loom checks here.
                let written = unsafe { *cell };
                assert_eq!(written, txid, "a snapshot does not change");
            });
        }
        self.registry.leave(txid);
    }

    /// `commits` write transactions, each in the lowest page that nobody can see.
    fn write(&self, commits: u64) {
        let mut free = FreePages::new(1..PAGES as u64).expect("different pages");
        let mut held = Vec::new();
        let mut current = 0;
        for txid in 1..=commits {
            self.registry.held(&mut held);
            free.release(&held);
            let Some(run) = free.take(1) else { return };
            self.pages[run.start as usize].with_mut(|cell| {
                // SAFETY: the pointer is valid for the call; exclusive access is what loom checks here.
                unsafe { *cell = txid };
            });
            let old = Run { start: current, length: 1 };
            free.list(old).expect("freed once");
            let readers = self.registry.publish(txid, run.start as usize);
            free.commit(txid, [old].into_iter(), [run].into_iter(), readers);
            current = run.start;
        }
    }
}

fn model<R: Registry>(readers: usize, commits: u64) {
    loom::model(move || {
        let store = Arc::new(Store::<R>::new());
        let others: Vec<_> = (0..readers)
            .map(|_| {
                let store = store.clone();
                thread::spawn(move || store.read())
            })
            .collect();
        store.write(commits);
        for other in others {
            other.join().unwrap();
        }
        let mut held = Vec::new();
        store.registry.held(&mut held);
        assert_eq!(held, [], "everybody left");
    });
}

#[test]
fn a_reader_sees_one_state_while_the_writer_reuses_pages() {
    model::<Readers<usize>>(1, 4);
}

#[test]
fn two_readers_of_different_states_keep_their_pages() {
    model::<Readers<usize>>(2, 3);
}

#[test]
fn a_reader_listed_a_moment_late_is_found() {
    assert!(catch_unwind(|| model::<Twin<true>>(1, 4)).is_err(), "the twin must fail");
}

#[test]
fn a_reader_that_is_not_listed_is_found() {
    assert!(catch_unwind(|| model::<Twin<false>>(1, 4)).is_err(), "the twin must fail");
}
