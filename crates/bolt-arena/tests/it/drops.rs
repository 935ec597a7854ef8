//! `Drop` runs exactly once for every value that was made, whatever ends it: release, rollback, frames, builders, panics in
//! constructors, panics in destructors.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use bolt_arena::{BoltPool, ScratchBuffer};

/// Records how often each value was dropped, and in which order; can panic on request.
#[derive(Default)]
struct Ledger {
    order: RefCell<Vec<u32>>,
    panic_at: Cell<Option<u32>>,
}

struct Noisy {
    number: u32,
    ledger: Rc<Ledger>,
}

impl Drop for Noisy {
    fn drop(&mut self) {
        self.ledger.order.borrow_mut().push(self.number);
        if self.ledger.panic_at.get() == Some(self.number) {
            self.ledger.panic_at.set(None);
            panic!("destructor of {}", self.number);
        }
    }
}

/// Makes numbered values.
struct Maker {
    ledger: Rc<Ledger>,
    next: Cell<u32>,
}

impl Maker {
    fn new() -> Self {
        Self { ledger: Rc::default(), next: Cell::new(0) }
    }
    fn make(&self) -> Noisy {
        let number = self.next.get();
        self.next.set(number + 1);
        Noisy { number, ledger: self.ledger.clone() }
    }
    fn dropped(&self) -> Vec<u32> {
        self.ledger.order.take()
    }
    /// All values made so far were dropped once.
    fn assert_all_dropped_once(&self) {
        let mut dropped = self.dropped();
        dropped.sort_unstable();
        assert!(dropped.iter().copied().eq(0..self.next.get()), "{dropped:?} of {}", self.next.get());
        assert_eq!(Rc::strong_count(&self.ledger), 1);
    }
}

#[test]
fn release_drops_newest_allocation_first_and_values_in_order() {
    let maker = Maker::new();
    let mut pool = BoltPool::<Noisy, 4>::new();
    for n in [2, 1, 3] {
        pool.alloc_with(n, |_| maker.make()).unwrap();
    }
    pool.release(2).unwrap();
    assert_eq!(maker.dropped(), [3, 4, 5, 2]);
    pool.reset_all();
    assert_eq!(maker.dropped(), [0, 1]);
    drop(pool);
    assert_eq!(maker.dropped(), [0; 0]);
}

#[test]
fn dropping_the_pool_drops_what_is_left() {
    let maker = Maker::new();
    let mut pool = BoltPool::<Noisy, 4>::new();
    for n in [1, 0, 3, 900, 2] {
        pool.alloc_with(n, |_| maker.make()).unwrap();
    }
    drop(pool);
    maker.assert_all_dropped_once();
}

#[test]
fn scopes_frames_and_builders_drop_once() {
    let maker = Maker::new();
    let mut pool = BoltPool::<Noisy, 4>::new();
    pool.alloc_with(2, |_| maker.make()).unwrap();
    pool.scope(|pool| pool.alloc_with(700, |_| maker.make()).map(drop)).unwrap();
    assert_eq!(maker.dropped().len(), 700);
    pool.frame(|frame| {
        for _ in 0..900 {
            frame.alloc(maker.make()).unwrap();
        }
        frame.frame(|inner| inner.alloc_with(800, |_| maker.make()).map(drop)).unwrap();
        assert_eq!(maker.dropped().len(), 800);
        frame.alloc(maker.make()).unwrap();
    });
    assert_eq!(maker.dropped().len(), 901);
    let mut builder = pool.builder().unwrap();
    for _ in 0..300 {
        builder.push(maker.make()).unwrap();
    }
    drop(builder);
    assert_eq!(maker.dropped().len(), 300, "moved while it grew, dropped once");
    let mut builder = pool.builder().unwrap();
    for _ in 0..300 {
        builder.push(maker.make()).unwrap();
    }
    builder.finish();
    assert_eq!(maker.dropped(), [0; 0]);
    pool.release(1).unwrap();
    assert_eq!(maker.dropped().len(), 300);
    drop(pool);
    assert_eq!(maker.dropped(), [0, 1]);
}

#[test]
fn a_panicking_constructor_leaves_the_pool_as_before() {
    let maker = Maker::new();
    let mut pool = BoltPool::<Noisy, 4>::new();
    let kept = pool.alloc_with(2, |_| maker.make()).unwrap();
    for n in [2, 50] {
        // In the scratch, then in the arena.
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.alloc_with(n, |i| if i + 1 == n { panic!("no more") } else { maker.make() })
        }));
        assert!(result.is_err());
        assert_eq!(maker.dropped().len(), n - 1);
        let stats = pool.stats();
        assert_eq!((stats.allocations, stats.values_in_use), (1, 2));
    }
    pool.frame(|frame| {
        let first = frame.alloc(maker.make()).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| {
            frame.alloc_with(9, |i| if i == 5 { panic!("no more") } else { maker.make() }).map(|_| ())
        }));
        assert!(result.is_err());
        assert_eq!(maker.dropped().len(), 5);
        assert_eq!(frame.alloc_with(2, |_| maker.make()).unwrap().len(), 2);
        assert_eq!(first.ledger.order.borrow().len(), 0);
    });
    assert_eq!(maker.dropped().len(), 3);
    assert_eq!(pool.resolve(kept).unwrap().len(), 2);
    let mut scratch = ScratchBuffer::<Noisy, 4>::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        scratch.alloc_with(3, |i| if i == 2 { panic!("no more") } else { maker.make() }).map(|_| ())
    }));
    assert!(result.is_err() && scratch.is_empty());
    assert_eq!(maker.dropped().len(), 2);
}

#[test]
fn a_panic_in_a_scope_or_frame_still_rolls_back() {
    let maker = Maker::new();
    let mut pool = BoltPool::<Noisy, 4>::new();
    pool.alloc_with(1, |_| maker.make()).unwrap();
    let result = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|pool| {
            pool.alloc_with(60, |_| maker.make()).unwrap();
            panic!("in the scope");
        })
    }));
    assert!(result.is_err());
    assert_eq!((pool.allocations(), maker.dropped().len()), (1, 60));
    let result = catch_unwind(AssertUnwindSafe(|| {
        pool.frame(|frame| {
            frame.alloc_with(60, |_| maker.make()).unwrap();
            frame.frame(|inner| {
                inner.alloc_with(200, |_| maker.make()).unwrap();
                panic!("in the frame");
            })
        })
    }));
    assert!(result.is_err());
    assert_eq!((pool.stats().values_in_use, maker.dropped().len()), (1, 260));
}

#[test]
fn a_panicking_destructor_stops_no_other_and_runs_once() {
    for (at, allocations) in [(0, 1), (3, 2), (5, 3)] {
        let maker = Maker::new();
        let mut pool = BoltPool::<Noisy, 4>::new();
        for n in [2, 40, 3] {
            pool.alloc_with(n, |_| maker.make()).unwrap();
        }
        let before = pool.allocations();
        maker.ledger.panic_at.set(Some(if allocations == 1 { 43 } else { at }));
        let result = catch_unwind(AssertUnwindSafe(|| pool.release(allocations).unwrap()));
        let hit = maker.ledger.panic_at.get().is_none();
        assert_eq!(result.is_err(), hit);
        assert_eq!(pool.allocations(), before - allocations, "all of them are gone all the same");
        let new = pool.alloc_with(1, |_| maker.make()).unwrap();
        assert_eq!(pool.resolve(new).unwrap().len(), 1);
        drop(pool);
        maker.assert_all_dropped_once();
    }
}

#[test]
fn a_panicking_destructor_in_a_frame_or_pool_drop_leaks_nothing() {
    let maker = Maker::new();
    let mut pool = BoltPool::<Noisy, 4>::new();
    maker.ledger.panic_at.set(Some(1));
    let result = catch_unwind(AssertUnwindSafe(|| {
        pool.frame(|frame| {
            frame
                .alloc_with(3, |_| maker.make())
                .and_then(|_| frame.alloc_with(300, |_| maker.make()))
                .map(drop)
        })
    }));
    assert!(result.is_err());
    assert_eq!((pool.stats().values_in_use, maker.dropped().len()), (0, 303));
    let mut builder = pool.builder().unwrap();
    for _ in 0..10 {
        builder.push(maker.make()).unwrap();
    }
    maker.ledger.panic_at.set(Some(305));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(builder))).is_err());
    assert_eq!((pool.stats().values_in_use, maker.dropped().len()), (0, 10));
    for _ in 0..3 {
        pool.alloc_with(100, |_| maker.make()).unwrap();
    }
    maker.ledger.panic_at.set(Some(400));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(pool))).is_err());
    assert_eq!(maker.dropped().len(), 300);
    assert_eq!(Rc::strong_count(&maker.ledger), 1);
}

#[test]
fn a_value_that_is_refused_is_dropped() {
    let maker = Maker::new();
    let limits = bolt_arena::PoolLimits { heap_bytes_max: 1500, ..bolt_arena::PoolLimits::DEFAULT };
    let mut pool = BoltPool::<Noisy, 1>::with_limits(limits);
    while pool.alloc_value(maker.make()).is_ok() {}
    assert_eq!(maker.dropped().len(), 1);
    assert!(pool.frame(|frame| frame.alloc(maker.make()).is_err()));
    assert_eq!(maker.dropped().len(), 1);
}

/// The log names where an allocation begins; where it ends is read off its neighbour. So neighbours of no length, and regions that
/// hold no entry, are where one could take another's values.
#[test]
fn empty_neighbours_and_skipped_regions_take_nobodys_values() {
    const LONG: u32 = 1000;
    let maker = Maker::new();
    let mut pool = BoltPool::<Noisy, 4>::new();
    let numbers = |values: &[Noisy]| values.iter().map(|noisy| noisy.number).collect::<Vec<_>>();
    let kept = pool.alloc_with(3, |_| maker.make()).expect("memory");
    let empty_in_scratch = pool.alloc_with(0, |_| maker.make()).expect("memory");

    // It grows past the rest of the scratch and at least one whole chunk, which is left without an entry.
    let mut builder = pool.builder().expect("memory");
    while builder.len() < LONG as usize {
        builder.push(maker.make()).expect("memory");
    }
    let long = builder.finish();
    let empty_on_top = pool.alloc_with(0, |_| maker.make()).expect("memory");
    let last = pool.alloc_value(maker.make()).expect("memory");
    assert!(pool.stats().overflows >= 2, "{:?}", pool.stats());
    assert_eq!(numbers(pool.resolve(kept).expect("live")), [0, 1, 2]);
    assert_eq!(numbers(pool.resolve(long).expect("live")), (3..3 + LONG).collect::<Vec<_>>());
    assert_eq!(numbers(pool.resolve(last).expect("live")), [3 + LONG]);
    for empty in [empty_in_scratch, empty_on_top] {
        assert!(pool.resolve(empty).expect("live").is_empty());
    }
    assert_eq!(pool.release_values(2).expect_err("ends inside the long one").available, 1);
    pool.release_values(1).expect("the last");
    assert_eq!(maker.dropped(), [3 + LONG]);
    pool.release_values(LONG as usize).expect("the empty one and the long one");
    assert_eq!(maker.dropped(), (3..3 + LONG).collect::<Vec<_>>());
    assert_eq!((pool.stats().allocations, pool.stats().values_in_use), (2, 3));

    // The one free slot of the scratch is the next to be used again.
    let overflows = pool.stats().overflows;
    let in_scratch = pool.alloc_value(maker.make()).expect("memory");
    assert_eq!(pool.stats().overflows, overflows);
    pool.release(1).expect("just made");
    assert_eq!(maker.dropped(), [4 + LONG]);
    assert!(pool.resolve(in_scratch).is_err());

    pool.reset_all();
    assert_eq!(maker.dropped(), [0, 1, 2]);
}

/// A forgotten builder's values are never dropped, as `forget` says; those of its neighbours are, once.
#[test]
fn a_forgotten_builder_takes_nobody_with_it() {
    struct Counted<'a>(u32, &'a Cell<u32>);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.1.set(self.1.get() + self.0);
        }
    }
    let dropped = Cell::new(0);
    let mut pool = BoltPool::<Counted<'_>, 4>::new();
    let kept = pool.alloc_with(3, |_| Counted(1, &dropped)).expect("memory");
    let mut builder = pool.builder().expect("memory");
    for _ in 0..100 {
        builder.push(Counted(1_000_000, &dropped)).expect("memory");
    }
    std::mem::forget(builder);
    let above = pool.alloc_with(2, |_| Counted(100, &dropped)).expect("memory");
    assert_eq!(pool.resolve(above).expect("live").len(), 2);
    pool.release(1).expect("above");
    assert_eq!(dropped.get(), 200);
    assert!(pool.resolve(kept).expect("live").iter().all(|value| value.0 == 1));
    drop(pool);
    assert_eq!(dropped.get(), 203);
}
