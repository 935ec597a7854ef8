//! Magazines through their public face: order, caps, threads that end, values that call back. Owns pools of its own, so tests run
//! side by side; thread counts shrink under miri.

use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread;

use bolt_sync::magazine::{MagazineConfig, MagazineError, Magazines};

fn pool<T: Send>(config: MagazineConfig) -> Magazines<T> {
    Magazines::new(config).expect("small")
}

/// Runs `f` on `threads` threads and waits until they have ended altogether. A scope that closes by itself waits for their closures
/// only, and a thread's magazines are flushed after its closure.
fn on_threads(threads: usize, f: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        let f = &f;
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || f(thread))).collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

fn drain<T: Send>(pool: &Magazines<T>) -> Vec<T> {
    std::iter::from_fn(|| pool.take()).collect()
}

#[test]
fn one_thread_gets_back_what_it_gave_last() {
    let pool = pool(MagazineConfig::new(64));
    for item in 0..64 {
        assert_eq!(pool.give(item), Ok(()));
    }
    // 8 items a magazine: over all exchanges the order stays that of a stack.
    assert!(drain(&pool).into_iter().eq((0..64).rev()));
    assert_eq!(pool.take(), None);
    let counts = pool.counts();
    assert_eq!((counts.hits, counts.misses, counts.kept, counts.refused, counts.idle), (64, 2, 64, 0, 0));
}

#[test]
fn the_cap_is_exact_for_one_thread() {
    let sizes: &[usize] = if cfg!(miri) { &[0, 1, 9, 31] } else { &[0, 1, 2, 7, 8, 9, 31, 100, 1000] };
    for &items_max in sizes {
        let pool = pool(MagazineConfig::new(items_max));
        let offered = 2 * items_max + 1;
        let kept = (0..offered).filter(|&item| pool.give(item).is_ok()).count();
        assert_eq!(kept, items_max);
        assert_eq!(pool.idle(), items_max);
        assert_eq!(pool.counts().refused, offered - items_max);
        assert_eq!(drain(&pool).len(), items_max);
    }
}

#[test]
fn a_refused_item_comes_back() {
    let pool = pool(MagazineConfig::new(0));
    assert_eq!(pool.give(String::from("mine")), Err(String::from("mine")));
}

#[test]
fn a_thread_that_ends_leaves_its_items_to_the_others() {
    let pool = pool(MagazineConfig::new(1000));
    for round in 0..if cfg!(miri) { 2 } else { 3 } {
        on_threads(4, |thread| {
            for item in 0..50 + thread {
                pool.give((round, thread, item)).unwrap();
            }
        });
        let found: HashSet<_> = drain(&pool).into_iter().collect();
        assert_eq!(found.len(), 50 + 51 + 52 + 53);
    }
}

#[test]
fn flushing_shows_this_threads_items_to_the_others() {
    let pool = Arc::new(pool(MagazineConfig::new(100)));
    for item in 0..5 {
        pool.give(item).unwrap();
    }
    let other = |pool: &Arc<Magazines<i32>>| {
        let pool = pool.clone();
        thread::spawn(move || drain(&pool)).join().unwrap()
    };
    assert_eq!(other(&pool), [], "they lie in this thread's magazine");
    assert_eq!(pool.take_shared(), None);
    pool.flush_thread();
    assert_eq!(pool.take_shared(), Some(4));
    assert_eq!(other(&pool).len(), 4);
    assert_eq!(pool.counts().trimmed, 1);
}

#[test]
fn slots_are_never_refused_while_none_exceeds_their_number() {
    const SLOTS: usize = 24;
    let (threads, rounds) = if cfg!(miri) { (3, 40) } else { (8, 20_000) };
    let pool = pool(MagazineConfig::new(SLOTS).threads_max(16).never_refuses());
    (0..SLOTS).for_each(|slot| pool.give(slot).unwrap());
    pool.flush_thread();
    let out: Vec<AtomicUsize> = (0..SLOTS).map(|_| AtomicUsize::new(0)).collect();
    on_threads(threads, |thread| {
        let mut mine = Vec::new();
        for round in 0..rounds {
            if (round * 7 + thread) % 5 < 3 {
                if let Some(slot) = pool.take() {
                    assert_eq!(out[slot].swap(1, Ordering::Relaxed), 0, "slot {slot} has two owners");
                    mine.push(slot);
                }
            } else if let Some(slot) = mine.pop() {
                out[slot].store(0, Ordering::Relaxed);
                pool.give(slot).expect("no more slots than it was made for");
            }
        }
        for slot in mine {
            out[slot].store(0, Ordering::Relaxed);
            pool.give(slot).expect("no more slots than it was made for");
        }
    });
    let mut back = drain(&pool);
    back.sort_unstable();
    assert!(back.into_iter().eq(0..SLOTS), "each slot is back once");
}

#[test]
fn more_threads_than_lanes() {
    const ITEMS: usize = if cfg!(miri) { 5 } else { 20 };
    // 80 living threads: in the second pool half of them have no lane, in the third nobody has.
    let threads = if cfg!(miri) { 6 } else { 80 };
    let items_max = if cfg!(miri) { 1024 } else { 4096 };
    for threads_max in [256, threads / 2, 0] {
        let pool = pool(MagazineConfig::new(items_max).threads_max(threads_max));
        let all_alive = Barrier::new(threads);
        on_threads(threads, |thread| {
            pool.give((thread, 0)).unwrap();
            all_alive.wait();
            for item in 1..ITEMS {
                pool.give((thread, item)).unwrap();
            }
            let taken = pool.take().expect("this thread gave some");
            pool.give(taken).unwrap();
            all_alive.wait();
        });
        assert_eq!(pool.idle(), threads * ITEMS);
        assert_eq!(drain(&pool).into_iter().collect::<HashSet<_>>().len(), threads * ITEMS);
    }
}

#[test]
fn without_lanes_nothing_is_out_of_reach() {
    let pool = Arc::new(pool(MagazineConfig::new(3).threads_max(0)));
    for item in 0..3 {
        pool.give(item).unwrap();
    }
    let there = pool.clone();
    assert_eq!(thread::spawn(move || drain(&there)).join().unwrap(), [2, 1, 0]);
}

/// Counts how many of its kind are alive.
struct Tracked(Arc<AtomicUsize>);

impl Tracked {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(alive.clone())
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        assert_ne!(self.0.fetch_sub(1, Ordering::Relaxed), 0, "dropped twice");
    }
}

/// The drop of a store once stopped at the first destructor that panicked and leaked what was behind it.
#[test]
fn items_are_dropped_with_the_pool_also_when_destructors_panic() {
    struct Fuse(u32, Arc<AtomicUsize>);
    impl Drop for Fuse {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
            assert!(!self.0.is_multiple_of(7), "fuse {}", self.0);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let pool = Magazines::new(MagazineConfig::new(100).magazine_items(4)).unwrap();
    thread::scope(|scope| {
        // In a lane, in the depot, and behind the lock, where a thread that ended left what fills no magazine.
        let gone = scope.spawn(|| (0..30).for_each(|i| assert!(pool.give(Fuse(i, dropped.clone())).is_ok())));
        gone.join().unwrap();
    });
    (30..63).for_each(|i| assert!(pool.give(Fuse(i, dropped.clone())).is_ok()));
    let idle = pool.idle();
    let panic = catch_unwind(AssertUnwindSafe(|| drop(pool))).expect_err("the first panic comes out");
    assert!(panic.downcast_ref::<String>().is_some_and(|message| message.starts_with("fuse")));
    assert_eq!((idle, dropped.load(Ordering::Relaxed)), (63, 63));
}

#[test]
fn items_left_in_the_pool_are_dropped_with_it_once() {
    let alive = Arc::new(AtomicUsize::new(0));
    let kept = Arc::new(pool(MagazineConfig::new(100)));
    let (ready, gone) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let other = {
        let (alive, kept, ready, gone) = (alive.clone(), kept.clone(), ready.clone(), gone.clone());
        thread::spawn(move || {
            (0..30).for_each(|_| drop(kept.give(Tracked::new(&alive))));
            drop(kept);
            ready.wait();
            gone.wait(); // still alive when the pool goes: its lane is emptied by who drops the pool
        })
    };
    (0..90).for_each(|_| drop(kept.give(Tracked::new(&alive))));
    ready.wait();
    assert!((80..=100).contains(&alive.load(Ordering::Relaxed)), "some were refused and dropped");
    drop(Arc::into_inner(kept).expect("the last owner"));
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    gone.wait();
    other.join().unwrap();
}

#[test]
fn a_destructor_may_use_the_pool_it_lies_in() {
    struct Chatty(Arc<OnceLock<Magazines<Chatty>>>, usize);
    impl Drop for Chatty {
        fn drop(&mut self) {
            // Takes and gives in the middle of somebody else's drop.
            if let Some(pool) = self.0.get()
                && self.1 > 0
                && let Some(mut other) = pool.take()
            {
                other.1 = 0;
                drop(pool.give(other));
            }
        }
    }
    let cell = Arc::new(OnceLock::new());
    let pool = cell.get_or_init(|| pool(MagazineConfig::new(16)));
    for at in 0..64 {
        drop(pool.give(Chatty(cell.clone(), at)));
    }
    while let Some(item) = pool.take() {
        drop(item);
    }
    assert_eq!(pool.idle(), 0);
}

#[test]
fn a_guard_dropped_by_another_thread_local_still_finds_the_pool() {
    static POOL: OnceLock<Magazines<u32>> = OnceLock::new();
    fn shared() -> &'static Magazines<u32> {
        POOL.get_or_init(|| pool(MagazineConfig::new(64)))
    }
    struct AtExit(u32);
    impl Drop for AtExit {
        fn drop(&mut self) {
            // Before or after the thread's magazines were flushed: either way the item is found later.
            shared().give(self.0).unwrap();
        }
    }
    thread_local! {
        static EARLY: RefCell<Option<AtExit>> = const { RefCell::new(None) };
        static LATE: RefCell<Option<AtExit>> = const { RefCell::new(None) };
    }
    thread::spawn(|| {
        EARLY.set(Some(AtExit(1)));
        shared().give(0).unwrap();
        LATE.set(Some(AtExit(2)));
    })
    .join()
    .unwrap();
    let mut found = drain(shared());
    found.sort_unstable();
    assert_eq!(found, [0, 1, 2]);
}

#[test]
fn values_that_ask_for_alignment_get_it() {
    #[derive(Debug, PartialEq)]
    #[repr(align(512))]
    struct Wide(u8);
    let wide = pool(MagazineConfig::new(40));
    (0..50).for_each(|n| drop(wide.give(Box::new(Wide(n)))));
    assert!(drain(&wide).iter().all(|value| (&raw const **value).addr() % 512 == 0));
    let in_place = pool(MagazineConfig::new(40));
    (0..40).for_each(|n| in_place.give(Wide(n)).unwrap());
    assert!(drain(&in_place).into_iter().eq((0..40).rev().map(Wide)));
}

#[test]
fn impossible_sizes_are_an_error() {
    let refused = Magazines::<[u64; 64]>::new(MagazineConfig::new(usize::MAX)).unwrap_err();
    assert_eq!(refused, MagazineError::TooManyItems { items: usize::MAX });
    assert!(refused.to_string().contains("ask for fewer"));
}

#[test]
fn one_takes_and_another_gives() {
    let items = if cfg!(miri) { 200 } else { 200_000 };
    let pool = pool(MagazineConfig::new(1024));
    let between = Mutex::new(Vec::<u64>::new());
    let created = AtomicUsize::new(0);
    on_threads(2, |thread| {
        if thread == 0 {
            for _ in 0..items {
                let item = pool.take().unwrap_or_else(|| created.fetch_add(1, Ordering::Relaxed) as u64);
                let mut between = between.lock().unwrap();
                between.push(item);
                if between.len() > 64 {
                    drop(between);
                    thread::yield_now();
                }
            }
        } else {
            let mut given = 0;
            while given < items {
                let batch = std::mem::take(&mut *between.lock().unwrap());
                given += batch.len();
                for item in batch {
                    let _ = pool.give(item);
                }
                thread::yield_now();
            }
        }
    });
    let counts = pool.counts();
    assert_eq!(counts.hits + counts.misses, items);
    assert_eq!(counts.kept + counts.refused, items);
    let unique: HashSet<_> = drain(&pool).into_iter().collect();
    assert_eq!(unique.len(), counts.idle, "an item came back twice");
}
