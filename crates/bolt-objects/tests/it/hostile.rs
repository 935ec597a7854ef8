//! What a user does who means no good, or has bad luck: hooks and destructors that panic, limits of nothing and of everything, threads that end
//! with objects out, arenas entered again from anywhere. Nothing is lost or handed out twice, and the pool goes on.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bolt_objects::{Exhausted, Hooks, LocalPool, Manage, ObjectPool, OwnedGuard, PoolConfig};

/// Without a message on standard error.
fn unwind() -> ! {
    resume_unwind(Box::new("as told"))
}

fn panics<R>(f: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

/// An object that says when it is gone, and panics while it goes if it was told to.
struct Fragile {
    alive: Arc<AtomicUsize>,
    panics: bool,
}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
        if self.panics {
            unwind();
        }
    }
}

fn fragile(alive: &Arc<AtomicUsize>) -> impl Fn() -> Fragile + Send + Sync + use<> {
    let alive = alive.clone();
    move || {
        alive.fetch_add(1, Ordering::SeqCst);
        Fragile { alive: alive.clone(), panics: false }
    }
}

#[test]
fn destructors_that_panic_cost_their_object_alone() {
    let alive = Arc::new(AtomicUsize::new(0));
    let hooks = Hooks::new(fragile(&alive)).is_valid(|object| !object.panics);
    let pool = ObjectPool::with_hooks(hooks, PoolConfig::new().bounded(3)).unwrap();
    // Judged invalid on its way out, and panics while it is dropped for that.
    pool.try_get().unwrap().panics = true;
    assert!(panics(|| pool.try_get()));
    assert_eq!((alive.load(Ordering::SeqCst), pool.stats().in_use, pool.stats().idle), (0, 0, 0));
    // Trimmed: the one before it and the one behind it are not lost.
    let mut held: Vec<_> = (0..3).map(|_| pool.try_get().unwrap()).collect();
    held[1].panics = true;
    drop(held);
    while pool.stats().idle > 0 {
        panics(|| pool.trim(0));
    }
    assert_eq!((alive.load(Ordering::SeqCst), pool.stats().in_use), (0, 0));
    // The bound has not shrunk.
    assert_eq!((0..3).map(|_| pool.try_get().unwrap()).collect::<Vec<_>>().len(), 3);
    // With the pool, where it is the only one.
    pool.trim(0);
    pool.try_get().unwrap().panics = true;
    assert!(panics(|| drop(pool)));
}

#[test]
fn factories_that_panic_leave_no_count_behind() {
    let left = AtomicUsize::new(5);
    let next = move || {
        if left.fetch_sub(1, Ordering::SeqCst) == 3 {
            unwind();
        }
        0_u8
    };
    let pool = Arc::new(ObjectPool::with_hooks(Hooks::new(next), PoolConfig::new().bounded(4)).unwrap());
    assert!(panics(|| pool.fill(4)));
    assert_eq!((pool.stats().created, pool.stats().in_use), (2, 0));
    pool.flush_thread();
    let held: Vec<_> = (0..4).map(|_| pool.try_get_owned().unwrap()).collect();
    assert_eq!(pool.try_get().err(), Some(Exhausted { objects_max: 4 }));
    drop(held);
    assert_eq!((pool.stats().idle, pool.stats().dropped_panicked), (4, 1));
}

#[test]
fn limits_of_nothing_and_of_everything() {
    let nothing = PoolConfig::new().idle_max(0).threads_max(0).magazine_items(0).object_bytes_max(0);
    let pool = ObjectPool::with_hooks(Hooks::new(|| 1_u8), nothing).unwrap();
    drop((pool.get(), pool.get()));
    pool.put(7);
    pool.fill(usize::MAX);
    assert_eq!((pool.stats().idle, pool.stats().in_use, pool.trim(0)), (0, 0, 0));

    let everything =
        PoolConfig::new().bounded(usize::MAX - 1).magazine_items(usize::MAX).threads_max(usize::MAX);
    let pool = ObjectPool::with_hooks(Hooks::new(|| 1_u8), everything).unwrap();
    drop((0..100).map(|_| pool.try_get().unwrap()).collect::<Vec<_>>());
    assert_eq!(pool.stats().in_use, 0);
    assert_eq!(pool.trim(usize::MAX), 0);

    // More slots than there is memory: an error with the number, before anything is taken.
    // (Beyond the half of all addresses, as the allocators of miri and the sanitizers end the program for less.)
    for idle_max in [usize::MAX, usize::MAX / 8, usize::MAX / 32] {
        let config = PoolConfig::new().idle_max(idle_max);
        let error = ObjectPool::with_hooks(Hooks::new(|| [0_u64; 4]), config).expect_err("too many");
        assert!(!error.to_string().is_empty());
    }

    let local = LocalPool::new(Hooks::new(|| 1_u8), 0);
    drop((local.get(), local.get()));
    assert_eq!((local.idle(), local.trim(0)), (0, 0));
    let local = LocalPool::new(Hooks::new(|| 1_u8), usize::MAX);
    drop((0..50).map(|_| local.get()).collect::<Vec<_>>());
    assert_eq!((local.idle(), local.trim(20), local.trim(0), local.idle()), (50, 30, 20, 0));
}

#[test]
fn a_thread_ends_with_its_objects_out() {
    thread_local! {
        static LATE: RefCell<Vec<OwnedGuard<String>>> = const { RefCell::new(Vec::new()) };
    }
    let pool = Arc::new(ObjectPool::with_hooks(Hooks::new(String::new), PoolConfig::new()).unwrap());
    let outlives = {
        let pool = pool.clone();
        thread::spawn(move || {
            // Touched first, so that it is destroyed after the thread's magazines: the guards come back when those are gone.
            LATE.with(|_| ());
            drop((pool.get_owned(), pool.get_owned(), pool.get_owned()));
            LATE.with(|late| late.borrow_mut().extend([pool.get_owned(), pool.get_owned()]));
            pool.get_owned()
        })
        .join()
        .unwrap()
    };
    let stats = pool.stats();
    assert_eq!((stats.created, stats.idle, stats.in_use), (3, 2, 1));
    drop(outlives);
    assert_eq!((0..3).map(|_| pool.get_owned()).collect::<Vec<_>>().len(), 3);
    assert_eq!(pool.stats().created, 3, "all three were found");
}

#[test]
fn a_pool_of_one_thread_survives_its_hooks() {
    struct Moody {
        mood: Cell<u8>,
        alive: Rc<Cell<i32>>,
    }
    struct Counted(Rc<Cell<i32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    impl Manage<Counted> for Moody {
        fn create(&self) -> Counted {
            if self.mood.get() == 1 {
                unwind();
            }
            self.alive.set(self.alive.get() + 1);
            Counted(self.alive.clone())
        }
        fn reset(&self, _: &mut Counted) {
            if self.mood.get() == 2 {
                unwind();
            }
        }
        fn is_valid(&self, _: &Counted) -> bool {
            if self.mood.get() == 3 {
                unwind();
            }
            self.mood.get() != 5
        }
        fn bytes(&self, _: &Counted) -> usize {
            if self.mood.get() == 4 {
                unwind();
            }
            0
        }
    }
    let alive = Rc::new(Cell::new(0));
    let moody = Rc::new(Moody { mood: Cell::new(0), alive: alive.clone() });
    struct Shared(Rc<Moody>);
    impl Manage<Counted> for Shared {
        fn create(&self) -> Counted {
            self.0.create()
        }
        fn reset(&self, object: &mut Counted) {
            self.0.reset(object);
        }
        fn is_valid(&self, object: &Counted) -> bool {
            self.0.is_valid(object)
        }
        fn bytes(&self, object: &Counted) -> usize {
            self.0.bytes(object)
        }
    }
    let pool = LocalPool::new(Shared(moody.clone()), 4);
    for mood in 1..=4 {
        drop((0..3).map(|_| pool.get()).collect::<Vec<_>>());
        if mood == 1 {
            pool.trim(0);
        }
        moody.mood.set(mood);
        assert!(panics(|| drop(pool.get())), "hook {mood}");
        moody.mood.set(0);
        assert_eq!(alive.get(), pool.idle() as i32, "hook {mood}");
    }
    // All are invalid: each is dropped, and a new one made.
    drop((0..3).map(|_| pool.get()).collect::<Vec<_>>());
    moody.mood.set(5);
    let only = pool.get();
    assert_eq!((alive.get(), pool.idle()), (1, 0));
    drop(only);
}

#[cfg(feature = "arenas")]
#[test]
fn arenas_take_any_hint_and_any_order() {
    use bolt_objects::{ArenaLimits, ArenaPool, SizeHint, with_thread_arena};
    let everything = SizeHint::new().bytes(usize::MAX);
    for limits in [(0, 0), (usize::MAX, usize::MAX), (usize::MAX, 0)] {
        let limits = ArenaLimits { retained_bytes_max: limits.0, arena_bytes_max: limits.1 };
        let pool = ArenaPool::with_limits(limits).unwrap();
        let parent = pool.batch(SizeHint::new());
        // A hint that no memory could hold is no more than a hint.
        let child = parent.child(everything);
        let grandchild = child.child(SizeHint::new());
        let text = grandchild.str("the last to go");
        drop(parent);
        assert_eq!(child.str("its parent is gone"), "its parent is gone");
        drop(child);
        assert_eq!(text, "the last to go");
        drop(grandchild);
        assert!(pool.stats().retained_bytes <= limits.retained_bytes_max);
        pool.trim(0);
        assert_eq!(pool.stats().retained_bytes, 0);
    }
    // Entered six times, through panics, with children that end on another thread.
    fn deeper(level: usize) -> usize {
        with_thread_arena(|arena| {
            let text = arena.str("level");
            if level == 0 {
                unwind();
            }
            let inner = if level == 3 { usize::from(panics(|| deeper(0))) } else { deeper(level - 1) };
            let child = arena.child(SizeHint::new().bytes(usize::MAX));
            assert_eq!(child.str(text), "level");
            thread::scope(|scope| scope.spawn(move || drop(child)).join().unwrap());
            inner + text.len()
        })
    }
    assert_eq!(deeper(6), 1 + 4 * 5);
}

#[cfg(feature = "strings")]
#[test]
fn budgets_of_nothing_and_of_everything() {
    use bolt_objects::{SharedStringPool, StringError, StringPool, StringPoolConfig};
    let too_small = |config| matches!(StringPool::new(config), Err(StringError::BudgetTooSmall { .. }));
    assert!(too_small(StringPoolConfig::new(0)));
    assert!(too_small(StringPoolConfig::new(1 << 20).strings_max(u32::MAX)));
    assert!(too_small(StringPoolConfig::new(1 << 20).pinned_bytes(usize::MAX)));
    let config = StringPoolConfig::new(20_000).strings_max(0).text_bytes_max(usize::MAX);
    let mut pool = StringPool::new(config).unwrap();
    assert_eq!(pool.intern("one place").and_then(|_| pool.intern("another")).map(|id| id.index()), Ok(0));
    assert!(
        SharedStringPool::new(StringPoolConfig::new(1 << 20), usize::MAX)
            .is_err_and(|error| { matches!(error, StringError::BudgetTooSmall { bytes_max: 1024, .. }) })
    );
    assert!(SharedStringPool::new(StringPoolConfig::new(1 << 16), 0).is_ok());
    #[cfg(feature = "bytes")]
    {
        use bolt_objects::BytesPool;
        assert!(BytesPool::new(StringPoolConfig::new(1 << 20).strings_max(u32::MAX)).is_err());
        let mut pool = BytesPool::new(StringPoolConfig::new(2_000).strings_max(0)).unwrap();
        let long = vec![0; pool.text_bytes_max() + 1];
        assert!(pool.intern(&long[1..]).is_ok() && pool.intern(b"").is_ok());
        assert!(matches!(pool.intern(&long), Err(StringError::TooLong { .. })));
    }
}
