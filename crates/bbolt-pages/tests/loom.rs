//! Loom models of readers against the writer: begin, read, close, commit, release; and broken twins that must fail.
//!
//! Run: `RUSTFLAGS="--cfg bolt_loom" cargo test -p bbolt-pages --test loom`. The pages are loom's cells, so a page that is written
//! while somebody reads it, or was given to a new state too early, is reported by loom itself or by the reader's own comparison.
#![cfg(bolt_loom)]

use std::panic::catch_unwind;

use bbolt_pages::digest::{Branches, Leaves};
use bbolt_pages::free::{FreePages, Run};
use bbolt_pages::readers::Readers;
use bolt_sync::atomic::AtomicU64;
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

// ---- digests -------------------------------------------------------------------------------------------------------

/// A table with one place, which pages with other contents fight for, and what is certain by it.
trait Table: Send + Sync + 'static {
    fn new() -> Self;
    /// Digests page `page` as transaction `txid` wrote it.
    fn learn(&self, page: u64, txid: u64);
    /// Whether something is known of page `page`, and if so, `Ok` if it is certain (or `checked` is not asked for) and true of what `txid` wrote.
    fn knows(&self, page: u64, txid: u64, checked: bool) -> Option<bool>;
    fn forget(&self, page: u64);
}

type OneBranch = Branches<Vec<AtomicU64>, 2>;

/// The child of page `page` that leads to `m` when transaction `txid` wrote it, and the other one.
fn children(page: u64, txid: u64) -> [u64; 2] {
    [10 * page + 100 * txid, 10 * page + 100 * txid + 1]
}

impl Table for OneBranch {
    fn new() -> Self {
        Branches::new((0..8 + 8 + 1 + 2 + 8).map(|_| AtomicU64::new(0)).collect(), 2).expect("one place")
    }
    fn learn(&self, page: u64, txid: u64) {
        let children = children(page, txid);
        let key = |index: usize| Some(([b"a", b"z"].get(index)?.as_slice(), children[index]));
        self.learn(page, 2, true, true, key);
    }
    fn knows(&self, page: u64, txid: u64, checked: bool) -> Option<bool> {
        let guess = self.guess(page, b"m").filter(|guess| guess.certain || !checked)?;
        Some(guess.child == children(page, txid)[0])
    }
    fn forget(&self, page: u64) {
        Branches::forget(self, page);
    }
}

type OneLeaf = Leaves<Vec<AtomicU64>, 1>;

/// The second of the two keys of page `page` as transaction `txid` wrote it; the first is that of all pages, so that digests differ in few words.
fn second_key(page: u64, txid: u64) -> [u8; 2] {
    [b'b' + page as u8, txid as u8]
}

impl Table for OneLeaf {
    fn new() -> Self {
        Leaves::new((0..8 + 4).map(|_| AtomicU64::new(0)).collect(), 4096).expect("one place")
    }
    fn learn(&self, page: u64, txid: u64) {
        let second = second_key(page, txid);
        let key = |index: usize| Some(([b"a".as_slice(), &second].get(index).copied()?, 0));
        Leaves::learn(self, page, 2, true, key);
    }
    fn knows(&self, page: u64, txid: u64, checked: bool) -> Option<bool> {
        let guess = self.guess(page, &second_key(page, txid))?;
        match (guess.absent, guess.there) {
            (true, _) => Some(false),
            // The twin believes whatever is said.
            (false, false) if !checked => Some(false),
            (false, there) => there.then_some(true),
        }
    }
    fn forget(&self, page: u64) {
        Leaves::forget(self, page);
    }
}

/// Two readers digest two pages into one place and ask for what they digested. `CHECKED` is what the twin leaves out: it believes every guess.
fn fight<T: Table, const CHECKED: bool>() {
    loom::model(|| {
        let digests = Arc::new(T::new());
        digests.learn(1, 0);
        let other = {
            let digests = digests.clone();
            thread::spawn(move || digests.learn(2, 0))
        };
        assert_ne!(digests.knows(1, 0, CHECKED), Some(false), "what is of another page");
        other.join().unwrap();
    });
}

#[test]
fn a_certain_guess_is_of_the_page_that_was_asked_for() {
    fight::<OneBranch, true>();
    fight::<OneLeaf, true>();
}

#[test]
fn a_guess_that_is_not_checked_is_found() {
    assert!(catch_unwind(fight::<OneBranch, false>).is_err(), "the twin must fail");
    assert!(catch_unwind(fight::<OneLeaf, false>).is_err(), "the twin must fail");
}

/// A reader digests the page it sees; the writer replaces it, and, when nobody sees the old one, writes new contents under the old number.
/// `FORGETS` is what the twin leaves out.
fn rewrite<T: Table, const FORGETS: bool>() {
    loom::model(|| {
        // The state is the transaction whose contents page 1 has, or 0 for a state without that page.
        let shared = Arc::new((Readers::<u64>::new(1, 1), T::new()));
        let reader = {
            let shared = shared.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    let (registry, digests) = &*shared;
                    let (txid, wrote) = registry.enter();
                    if wrote != 0 {
                        match digests.knows(1, wrote, true) {
                            Some(right) => assert!(right, "old contents"),
                            None => digests.learn(1, wrote),
                        }
                    }
                    registry.leave(txid);
                }
            })
        };
        let (registry, digests) = &*shared;
        registry.publish(2, 0);
        let mut held = Vec::new();
        registry.held(&mut held);
        if held.iter().all(|&txid| txid >= 2) {
            if FORGETS {
                digests.forget(1);
            }
            registry.publish(3, 3);
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_page_written_anew_is_not_answered_from_its_old_digest() {
    rewrite::<OneBranch, true>();
    rewrite::<OneLeaf, true>();
}

#[test]
fn a_digest_that_is_not_forgotten_is_found() {
    assert!(catch_unwind(rewrite::<OneBranch, false>).is_err(), "the twin must fail");
    assert!(catch_unwind(rewrite::<OneLeaf, false>).is_err(), "the twin must fail");
}
