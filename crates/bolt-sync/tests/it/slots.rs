//! `SlotList` and `IdSource` from outside: order, limits, misuse, and threads that hammer one list.

use std::collections::HashSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use bolt_sync::{IdSource, Link, SlotList, SlotListError};

fn boxed(slots: usize) -> SlotList<Box<[Link]>> {
    SlotList::with_links((0..slots).map(|_| Link::new()).collect()).expect("within the limit")
}

#[test]
fn fresh_list_gives_each_slot_once_in_rising_order() {
    let list = boxed(5);
    assert_eq!(list.capacity(), 5);
    assert!(!list.is_empty());
    let taken: Vec<u32> = std::iter::from_fn(|| list.pop()).collect();
    assert_eq!(taken, [0, 1, 2, 3, 4]);
    assert!(list.is_empty());
    assert_eq!(list.pop(), None);
}

#[test]
fn last_returned_is_first_taken() {
    let list = boxed(4);
    for _ in 0..4 {
        list.pop().unwrap();
    }
    list.push(2).unwrap();
    list.push(0).unwrap();
    assert_eq!((list.pop(), list.pop(), list.pop()), (Some(0), Some(2), None));
}

#[test]
fn misuse_is_refused_and_changes_nothing() {
    let list = boxed(2);
    assert_eq!(list.push(0), Err(SlotListError::NotTaken { index: 0 }), "never taken");
    assert_eq!(list.push(2), Err(SlotListError::NoSuchSlot { index: 2, slots: 2 }));
    let slot = list.pop().unwrap();
    list.push(slot).unwrap();
    assert_eq!(list.push(slot), Err(SlotListError::NotTaken { index: slot }), "returned twice");
    assert_eq!((list.pop(), list.pop(), list.pop()), (Some(0), Some(1), None));
    assert!(SlotListError::NotTaken { index: 7 }.to_string().contains("slot 7 is free already"));
}

#[test]
fn no_slots_and_one_slot_work() {
    let none = boxed(0);
    assert!(none.is_empty());
    assert_eq!(none.pop(), None);
    assert!(none.push(0).is_err());
    let one = boxed(1);
    for _ in 0..1000 {
        assert_eq!(one.pop(), Some(0));
        assert_eq!(one.pop(), None);
        one.push(0).unwrap();
    }
}

#[test]
fn array_lists_live_in_statics_and_borrowed_links_work() {
    static LIST: SlotList<[Link; 3]> = SlotList::array();
    assert_eq!(LIST.pop(), Some(0));
    LIST.push(0).unwrap();

    let links = [Link::new(), Link::new()];
    let list = SlotList::with_links(&links[..]).unwrap();
    assert_eq!((list.pop(), list.pop(), list.pop()), (Some(0), Some(1), None));
}

#[test]
fn threads_never_hold_the_same_slot() {
    const THREADS: usize = 4;
    const SLOTS: usize = 6; // fewer than the threads want, so that the list runs empty often
    let rounds = if cfg!(miri) { 60 } else { 40_000 };
    let list = boxed(SLOTS);
    let owners: Vec<AtomicU32> = (0..SLOTS).map(|_| AtomicU32::new(0)).collect();
    let start = Barrier::new(THREADS);
    let taken: usize = thread::scope(|scope| {
        let workers: Vec<_> = (1..=THREADS as u32)
            .map(|me| {
                let (list, owners, start) = (&list, &owners, &start);
                scope.spawn(move || {
                    start.wait();
                    let mut taken = 0;
                    let mut mine = Vec::new();
                    for round in 0..rounds {
                        if let Some(slot) = list.pop() {
                            // Relaxed on purpose: the list alone must order owners after one another.
                            assert_eq!(
                                owners[slot as usize].load(Ordering::Relaxed),
                                0,
                                "slot {slot} has two owners"
                            );
                            owners[slot as usize].store(me, Ordering::Relaxed);
                            mine.push(slot);
                            taken += 1;
                        }
                        if mine.len() == 2 || round % 3 == 0 {
                            for slot in mine.drain(..) {
                                assert_eq!(owners[slot as usize].load(Ordering::Relaxed), me);
                                owners[slot as usize].store(0, Ordering::Relaxed);
                                list.push(slot).unwrap();
                            }
                        }
                    }
                    for slot in mine.drain(..) {
                        owners[slot as usize].store(0, Ordering::Relaxed);
                        list.push(slot).unwrap();
                    }
                    taken
                })
            })
            .collect();
        workers.into_iter().map(|w| w.join().unwrap()).sum()
    });
    assert!(taken > 0);
    let left: HashSet<u32> = std::iter::from_fn(|| list.pop()).collect();
    assert_eq!(left.len(), SLOTS, "every slot came back exactly once");
}

#[test]
fn ids_are_unique_across_threads() {
    let source = IdSource::new();
    let per_thread = if cfg!(miri) { 50 } else { 10_000 };
    let all: HashSet<u64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| (0..per_thread).map(|_| source.next().unwrap().get()).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    assert_eq!(all.len(), 4 * per_thread);
}
