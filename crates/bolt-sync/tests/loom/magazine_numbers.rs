//! Models of what a magazine store tells of itself: how many items are in it, and that its short ways are shut. Each with broken twins that must
//! fail. Owns the bodies and the twins; what they need of the store itself is in `loom.rs`. Limits: one lane and two threads.

use std::panic::catch_unwind;

use bolt_sync::atomic::{AtomicU32, Ordering, fence};
use bolt_sync::magazine::Depot;
use bolt_sync::sync::{Arc, Mutex};
use bolt_sync::thread;

use super::{Slots, bounded};

/// What the models of counting need: one lane whose magazines hold `magazine_items`, given to by one thread, counted by another.
pub(crate) trait Counted: Send + Sync + 'static {
    fn new(magazine_items: usize) -> Self;
    fn give(&self, item: u32);
    fn end(&self);
    fn idle(&self) -> usize;
    /// What who found all returned does to the magazines.
    fn free(&self) {}
}

/// The numbers of one lane without the items: how full the loaded magazine is, what lies elsewhere, what lies behind the lock. Of three rules one
/// can be taken out: that a give publishes, that who counts asks whether items move meanwhile, and that a flushed item goes on counting for its lane.
struct CountTwin<const PUBLISHED: bool, const ASKED: bool, const KEPT: bool> {
    magazine_items: u32,
    fill: AtomicU32,
    stored: AtomicU32,
    moves: AtomicU32,
    settled: AtomicU32,
    /// Items that count here and for the lane no more.
    locked: Mutex<u32>,
    /// Stands for the slots.
    slots: Slots<1>,
}

impl<const PUBLISHED: bool, const ASKED: bool, const KEPT: bool> CountTwin<PUBLISHED, ASKED, KEPT> {
    const ORDER: Ordering = if PUBLISHED { Ordering::Release } else { Ordering::Relaxed };

    fn unload(&self) {
        let (moves, stored) = (self.moves.load(Ordering::Relaxed), self.stored.load(Ordering::Relaxed));
        let settled = stored + self.fill.load(Ordering::Relaxed);
        self.settled.store(settled, Self::ORDER);
        self.moves.store(moves + 1, Self::ORDER);
        self.fill.store(0, Self::ORDER);
        self.stored.store(settled, Self::ORDER);
        self.moves.store(moves + 2, Self::ORDER);
    }
}

impl<const PUBLISHED: bool, const ASKED: bool, const KEPT: bool> Counted
    for CountTwin<PUBLISHED, ASKED, KEPT>
{
    fn new(magazine_items: usize) -> Self {
        let zero = || AtomicU32::new(0);
        let (fill, stored, moves, settled) = (zero(), zero(), zero(), zero());
        let locked = Mutex::new(0);
        Self {
            magazine_items: magazine_items as u32,
            fill,
            stored,
            moves,
            settled,
            locked,
            slots: Slots::new(),
        }
    }
    fn give(&self, _: u32) {
        if self.fill.load(Ordering::Relaxed) == self.magazine_items {
            self.unload();
        }
        self.slots.write(0);
        self.fill.store(self.fill.load(Ordering::Relaxed) + 1, Self::ORDER);
    }
    fn end(&self) {
        let fill = self.fill.load(Ordering::Relaxed);
        if KEPT || fill == self.magazine_items {
            self.unload();
        } else {
            self.fill.store(0, Ordering::Release);
            *self.locked.lock().unwrap() += fill;
        }
    }
    fn idle(&self) -> usize {
        let locked = *self.locked.lock().unwrap();
        loop {
            let moves = self.moves.load(Ordering::Acquire);
            let lane = if ASKED && moves % 2 == 1 {
                self.settled.load(Ordering::Acquire)
            } else {
                self.stored.load(Ordering::Acquire) + self.fill.load(Ordering::Acquire)
            };
            if !ASKED || self.moves.load(Ordering::Relaxed) == moves {
                return (locked + lane) as usize;
            }
        }
    }
    fn free(&self) {
        self.slots.write(0);
    }
}

/// One thread gives two items back and ends, another counts: finding both it may do with them what it likes, as who frees a pool does.
fn who_finds_all_returned_may_free_them<C: Counted>() {
    let shared = Arc::new((C::new(1), Slots::<2>::new()));
    let counter = {
        let shared = shared.clone();
        thread::spawn(move || {
            if shared.0.idle() == 2 {
                (0..2).for_each(|item| shared.1.write(item));
                shared.0.free();
            }
        })
    };
    for item in 0..2 {
        shared.1.write(item);
        shared.0.give(item);
    }
    shared.0.end();
    counter.join().unwrap();
    assert_eq!(shared.0.idle(), 2, "an item was not counted");
}

/// Before another counts, one thread has given `given` items; meanwhile it gives `more` and ends, by which items move to where others find them.
/// None of them is missed and none counted twice, at any moment.
fn what_moves_is_counted_once<C: Counted>(given: u32, more: u32) {
    let shared = Arc::new(C::new(2));
    (0..given).for_each(|item| shared.give(item));
    let counter = {
        let shared = shared.clone();
        thread::spawn(move || {
            let idle = shared.idle();
            assert!(idle >= given as usize, "an item was missed");
            assert!(idle <= (given + more) as usize, "an item was counted twice");
        })
    };
    (given..given + more).for_each(|item| shared.give(item));
    shared.end();
    counter.join().unwrap();
    assert_eq!(shared.idle(), (given + more) as usize, "an item was not counted");
}

/// A magazine that is not full, a full one, and one that is exchanged before the end.
fn whatever_moves_is_counted_once<C: Counted>() {
    for (given, more) in [(1, 0), (2, 0), (2, 1)] {
        bounded(1, move || what_moves_is_counted_once::<C>(given, more));
    }
}

#[test]
fn magazines_are_counted_in_time_and_once() {
    bounded(1, who_finds_all_returned_may_free_them::<Depot<u32>>);
    whatever_moves_is_counted_once::<Depot<u32>>();
}

#[test]
fn magazines_counting_twin_with_nothing_removed_passes() {
    bounded(1, who_finds_all_returned_may_free_them::<CountTwin<true, true, true>>);
    whatever_moves_is_counted_once::<CountTwin<true, true, true>>();
}

#[test]
fn magazines_broken_counting_twin_that_publishes_nothing_fails() {
    let verdict =
        catch_unwind(|| bounded(1, who_finds_all_returned_may_free_them::<CountTwin<false, true, true>>));
    assert!(verdict.is_err(), "the model did not notice that a give publishes nothing");
}

#[test]
fn magazines_broken_counting_twin_that_asks_nothing_fails() {
    let verdict = catch_unwind(whatever_moves_is_counted_once::<CountTwin<true, false, true>>);
    assert!(verdict.is_err(), "the model did not notice that a magazine was missed while it was unloaded");
}

#[test]
fn magazines_broken_counting_twin_that_counts_elsewhere_fails() {
    let verdict = catch_unwind(whatever_moves_is_counted_once::<CountTwin<true, true, false>>);
    assert!(
        verdict.is_err(),
        "the model did not notice that an item was missed while it went behind the lock"
    );
}

/// What the models of the short way need: one lane, filled by its owner, and a way that another thread shuts.
pub(crate) trait Shut: Send + Sync + 'static {
    fn new() -> Self;
    /// The long way, which opens the short one.
    fn give(&self, item: u32);
    /// The short way.
    fn give_short(&self, item: u32) -> bool;
    fn flush(&self);
    fn shut(&self);
}

/// The limit and the word that says shut, for magazines of two. Of two rules one can be taken out: the fences, and that the owner raises the
/// limit before it asks whether the way is shut.
struct ShutTwin<const FENCED: bool, const RAISED_FIRST: bool> {
    limit: AtomicU32,
    shut: AtomicU32,
    fill: AtomicU32,
}

impl<const FENCED: bool, const RAISED_FIRST: bool> ShutTwin<FENCED, RAISED_FIRST> {
    fn fence() {
        if FENCED {
            fence(Ordering::SeqCst);
        }
    }
}

impl<const FENCED: bool, const RAISED_FIRST: bool> Shut for ShutTwin<FENCED, RAISED_FIRST> {
    fn new() -> Self {
        Self { limit: AtomicU32::new(0), shut: AtomicU32::new(0), fill: AtomicU32::new(0) }
    }
    fn give(&self, _: u32) {
        self.fill.store(self.fill.load(Ordering::Relaxed) % 2 + 1, Ordering::Relaxed);
        if self.limit.load(Ordering::Relaxed) == 2 {
            return;
        }
        if RAISED_FIRST {
            self.limit.store(2, Ordering::Relaxed);
            Self::fence();
            if self.shut.load(Ordering::Relaxed) == 1 {
                self.limit.store(0, Ordering::Relaxed);
            }
        } else if self.shut.load(Ordering::Relaxed) == 0 {
            Self::fence();
            self.limit.store(2, Ordering::Relaxed);
        }
    }
    fn give_short(&self, _: u32) -> bool {
        let fill = self.fill.load(Ordering::Relaxed);
        if fill >= self.limit.load(Ordering::Relaxed) {
            return false;
        }
        self.fill.store(fill + 1, Ordering::Relaxed);
        true
    }
    fn flush(&self) {
        self.limit.store(0, Ordering::Relaxed);
        self.fill.store(0, Ordering::Relaxed);
    }
    fn shut(&self) {
        self.shut.store(1, Ordering::Relaxed);
        Self::fence();
        self.limit.store(0, Ordering::Relaxed);
    }
}

/// One thread opens its short way while another shuts all of them: at the end it is shut, whoever came first, and stays so.
fn who_shuts_has_the_last_word<S: Shut>() {
    let shared = Arc::new(S::new());
    let shutting = {
        let shared = shared.clone();
        thread::spawn(move || shared.shut())
    };
    shared.give(0);
    // As long as it is open, there is room for one more and not for two.
    if shared.give_short(1) {
        assert!(!shared.give_short(2), "more was given than there are slots");
    }
    shutting.join().unwrap();
    shared.flush();
    shared.give(3);
    assert!(!shared.give_short(4), "the short way is open again");
}

/// As above, and nothing comes after that would shut it again.
fn who_shuts_is_heard<S: Shut>() {
    let shared = Arc::new(S::new());
    let shutting = {
        let shared = shared.clone();
        thread::spawn(move || shared.shut())
    };
    shared.give(0);
    shutting.join().unwrap();
    assert!(!shared.give_short(1), "the short way is open after all");
}

#[test]
fn magazines_are_shut_by_who_says_so() {
    loom::model(who_shuts_is_heard::<Depot<u32>>);
    loom::model(who_shuts_has_the_last_word::<Depot<u32>>);
}

#[test]
fn magazines_shut_twin_with_nothing_removed_passes() {
    loom::model(who_shuts_is_heard::<ShutTwin<true, true>>);
    loom::model(who_shuts_has_the_last_word::<ShutTwin<true, true>>);
}

#[test]
fn magazines_broken_shut_twin_without_fences_fails() {
    let verdict = catch_unwind(|| loom::model(who_shuts_is_heard::<ShutTwin<false, true>>));
    assert!(verdict.is_err(), "the model did not notice that nobody saw the other's word");
}

#[test]
fn magazines_broken_shut_twin_that_asks_first_fails() {
    let verdict = catch_unwind(|| loom::model(who_shuts_is_heard::<ShutTwin<true, false>>));
    assert!(verdict.is_err(), "the model did not notice that the way was opened after it was shut");
}
