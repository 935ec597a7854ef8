//! Blocks of 64 B, 1 KiB and 16 KiB, aligned to 64 bytes, through `bolt-objects` and through what one would use instead: other pools
//! of objects, a bounded queue, allocators.
//!
//! Owns one loop for each shape of use and one contender for each way to get a block. Allocators are called directly, through their
//! `GlobalAlloc`, so all stand in one run. Every contender is checked before it is timed: blocks that are out at the same time are
//! different ones, each aligned; and afterwards the pool must not have made any beyond those it began with.
//!
//! Not criterion: the contenders take turns, round by round, so that a machine whose speed wanders slows all of them alike; the figure
//! is the median of all rounds, in ns for one block taken and given back, with the tenth and ninetieth percentile. Arguments: a part of
//! a row's name to run only that; `--test` for one round.
//!
//! unsafe: allowed here

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard};

use bolt_objects::{LocalGuard, LocalPool, Manage, ObjectPool, PoolConfig, PoolGuard};
use bolt_sync::magazine::{MagazineConfig, Magazines};
use boltstack_compare_pools::{ROUNDS, Run, Trip, row};

/// Blocks that lie ready before anything is timed: more than are ever out.
const READY: usize = 512;
/// Blocks held at once by the check.
const HELD: usize = 100;

#[repr(align(64))]
struct Block<const N: usize>([u8; N]);

type Boxed<const N: usize> = Box<Block<N>>;

fn boxed<const N: usize>() -> Boxed<N> {
    Box::new(Block([0; N]))
}

/// One way to take a block and give it back. Pools live as long as the program, since guards borrow them.
trait Source {
    type Object;
    fn take(&self) -> Self::Object;
    /// Where the block lies: shown to the optimiser, so that none is left out.
    fn start(&self, object: &Self::Object) -> *const u8;
    /// As `start` where that is not the block's own address.
    fn address(&self, object: &Self::Object) -> *const u8 {
        self.start(object)
    }
    fn give(&self, object: Self::Object);
}

/// How every pool here makes its blocks.
struct Maker;

impl<const N: usize> Manage<Boxed<N>> for Maker {
    fn create(&self) -> Boxed<N> {
        boxed()
    }
}

impl<const N: usize> opool::PoolAllocator<Boxed<N>> for Maker {
    fn allocate(&self) -> Boxed<N> {
        boxed()
    }
}

/// A source whose guards bring the block back when they are dropped.
macro_rules! guarded {
    ($pool:ty, $guard:ty, |$self:ident| $take:expr) => {
        impl<const N: usize> Source for &'static $pool {
            type Object = $guard;
            #[inline(always)]
            fn take(&self) -> Self::Object {
                let $self = *self;
                $take
            }
            #[inline(always)]
            fn start(&self, object: &Self::Object) -> *const u8 {
                object.0.as_ptr()
            }
            #[inline(always)]
            fn give(&self, object: Self::Object) {
                drop(object);
            }
        }
    };
}

guarded!(ObjectPool<Boxed<N>, Maker>, PoolGuard<'static, Boxed<N>, Maker>, |pool| pool.get());
guarded!(LocalPool<Boxed<N>, Maker>, LocalGuard<'static, Boxed<N>, Maker>, |pool| pool.get());
guarded!(opool::Pool<Maker, Boxed<N>>, opool::RefGuard<'static, Maker, Boxed<N>>, |pool| pool.get());
guarded!(opool::LocalPool<Maker, Boxed<N>>, opool::RefLocalGuard<'static, Maker, Boxed<N>>, |pool| pool.get());
guarded!(object_pool::Pool<Boxed<N>>, object_pool::Reusable<'static, Boxed<N>>, |pool| pool.pull(boxed));
guarded!(
    lockfree_object_pool::LinearObjectPool<Boxed<N>>,
    lockfree_object_pool::LinearReusable<'static, Boxed<N>>,
    |pool| pool.pull()
);

/// A source that is a store of boxes: out by one call, back by another, made anew where there is none.
macro_rules! store {
    ($store:ty, |$self:ident| $take:expr, |$object:ident| $give:expr) => {
        impl<const N: usize> Source for &'static $store {
            type Object = Boxed<N>;
            #[inline(always)]
            fn take(&self) -> Boxed<N> {
                let $self = *self;
                $take.unwrap_or_else(boxed)
            }
            #[inline(always)]
            fn start(&self, object: &Boxed<N>) -> *const u8 {
                object.0.as_ptr()
            }
            #[inline(always)]
            fn give(&self, $object: Boxed<N>) {
                let $self = *self;
                $give
            }
        }
    };
}

store!(Magazines<Boxed<N>>, |store| store.take(), |object| drop(store.give(object)));
store!(crossbeam_queue::ArrayQueue<Boxed<N>>, |store| store.pop(), |object| drop(store.push(object)));
store!(Mutex<Vec<Boxed<N>>>, |store| locked(store).pop(), |object| locked(store).push(object));

#[inline(always)]
fn locked<T>(store: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    store.lock().expect("nobody panics")
}

/// What sharded-slab asks of its objects.
struct Kept<const N: usize>(Boxed<N>);

impl<const N: usize> Default for Kept<N> {
    fn default() -> Self {
        Self(boxed())
    }
}

impl<const N: usize> sharded_slab::Clear for Kept<N> {
    fn clear(&mut self) {}
}

/// Its guards stay on their thread, so blocks travel as keys: the block is seen when it is taken.
impl<const N: usize> Source for &'static sharded_slab::Pool<Kept<N>> {
    type Object = usize;
    #[inline(always)]
    fn take(&self) -> usize {
        let key = self.create_with(|kept| {
            black_box(kept.0.0.as_ptr());
        });
        key.expect("there is room")
    }
    #[inline(always)]
    fn start(&self, object: &usize) -> *const u8 {
        std::ptr::without_provenance(*object)
    }
    fn address(&self, object: &usize) -> *const u8 {
        self.get(*object).expect("it was taken").0.0.as_ptr()
    }
    #[inline(always)]
    fn give(&self, object: usize) {
        self.clear(object);
    }
}

/// No pool: an allocator, asked for the same memory.
struct Direct<A, const N: usize>(A);

struct Raw(*mut u8);

// SAFETY: owned memory.
unsafe impl Send for Raw {}

impl<A: GlobalAlloc, const N: usize> Direct<A, N> {
    const LAYOUT: Layout = Layout::new::<Block<N>>();
}

impl<A: GlobalAlloc, const N: usize> Source for Direct<A, N> {
    type Object = Raw;
    #[inline(always)]
    fn take(&self) -> Raw {
        // SAFETY: no block has the size 0.
        let start = unsafe { self.0.alloc(Self::LAYOUT) };
        assert!(!start.is_null());
        Raw(start)
    }
    #[inline(always)]
    fn start(&self, object: &Raw) -> *const u8 {
        object.0
    }
    #[inline(always)]
    fn give(&self, object: Raw) {
        // SAFETY: allocated here with this layout.
        unsafe { self.0.dealloc(object.0, Self::LAYOUT) };
    }
}

/// Nothing is taken: what the loops themselves cost, and the ring between threads.
struct Nothing;

impl Source for Nothing {
    type Object = usize;
    #[inline(always)]
    fn take(&self) -> usize {
        black_box(64)
    }
    #[inline(always)]
    fn start(&self, object: &usize) -> *const u8 {
        std::ptr::without_provenance(*object)
    }
    #[inline(always)]
    fn give(&self, _object: usize) {}
}

fn check<S: Source>(source: &S) {
    let held: Vec<_> = (0..HELD).map(|_| source.take()).collect();
    let mut starts: Vec<_> = held.iter().map(|object| source.address(object)).collect();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), HELD, "blocks that are out are different ones");
    assert!(starts.iter().all(|start| start.addr() % 64 == 0), "each is aligned");
    held.into_iter().for_each(|object| source.give(object));
}

/// Take and give back, one at a time.
struct TakeGive<'a, S>(&'a S);

impl<S: Source> Trip for TakeGive<'_, S> {
    #[inline(always)]
    fn trip(&self) {
        let object = self.0.take();
        black_box(self.0.start(&object));
        self.0.give(object);
    }
}

fn alone<S: Source>(source: &S) -> f64 {
    boltstack_compare_pools::alone(&TakeGive(source))
}

fn together<S: Source + Sync>(source: &S) -> f64 {
    boltstack_compare_pools::together(&TakeGive(source))
}

fn across<S: Source + Sync>(source: &S) -> f64
where
    S::Object: Send,
{
    boltstack_compare_pools::across(|| source.take(), |object| source.give(object))
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// All rows of one size.
fn size<const N: usize>(rounds: usize, wanted: &dyn Fn(&str) -> bool) {
    let ours = leak(ObjectPool::<Boxed<N>, Maker>::managed(Maker, PoolConfig::new()).expect("memory"));
    ours.fill(READY);
    let other = leak(ObjectPool::<Boxed<N>, Maker>::managed(Maker, PoolConfig::new()).expect("memory"));
    other.fill(READY);
    let local = leak(LocalPool::<Boxed<N>, Maker>::new(Maker, READY));
    let magazines = leak(Magazines::<Boxed<N>>::new(MagazineConfig::new(2 * READY)).expect("memory"));
    let opool_local = leak(opool::LocalPool::<Maker, Boxed<N>>::new_prefilled(READY, Maker));
    let opool = leak(opool::Pool::<Maker, Boxed<N>>::new_prefilled(READY, Maker));
    let object_pool = leak(object_pool::Pool::new(READY, boxed::<N>));
    let linear = leak(lockfree_object_pool::LinearObjectPool::new(boxed::<N>, |_| ()));
    let slab = leak(sharded_slab::Pool::<Kept<N>>::new());
    let queue = leak(crossbeam_queue::ArrayQueue::<Boxed<N>>::new(READY));
    let mutex = leak(Mutex::new(Vec::<Boxed<N>>::new()));
    for _ in 0..READY {
        magazines.give(boxed()).unwrap_or_else(|_| unreachable!("there is room"));
        queue.push(boxed()).unwrap_or_else(|_| unreachable!("there is room"));
        locked(mutex).push(boxed());
    }
    let snmalloc = Direct::<_, N>(snmalloc_rs::SnMalloc);
    let mimalloc = Direct::<_, N>(mimalloc::MiMalloc);
    let jemalloc = Direct::<_, N>(tikv_jemallocator::Jemalloc);
    let system = Direct::<_, N>(std::alloc::System);

    // The contenders that may be used by several threads.
    macro_rules! shared {
        ($run:ident) => {{
            let contenders: Vec<Run<'_>> = vec![
                ("bolt-objects ObjectPool", Box::new(|| $run(&ours))),
                ("(its magazines alone)", Box::new(|| $run(&magazines))),
                ("snmalloc", Box::new(|| $run(&snmalloc))),
                ("mimalloc", Box::new(|| $run(&mimalloc))),
                ("jemalloc", Box::new(|| $run(&jemalloc))),
                ("system allocator", Box::new(|| $run(&system))),
                ("opool", Box::new(|| $run(&opool))),
                ("object-pool", Box::new(|| $run(&object_pool))),
                ("sharded-slab", Box::new(|| $run(&slab))),
                ("lockfree-object-pool", Box::new(|| $run(&linear))),
                ("ArrayQueue", Box::new(|| $run(&queue))),
                ("Mutex<Vec>", Box::new(|| $run(&mutex))),
                ("(nothing taken)", Box::new(|| $run(&Nothing))),
            ];
            contenders
        }};
    }
    macro_rules! checked {
        ($($source:expr),*) => { $(check(&$source);)* };
    }
    checked!(ours, local, magazines, snmalloc, mimalloc, jemalloc, system);
    checked!(opool, opool_local, object_pool, slab, linear, queue, mutex);

    let name = format!("objects/take-give/{N}");
    if wanted(&name) {
        let mut contenders = shared!(alone);
        contenders.push(("bolt-objects LocalPool", Box::new(|| alone(&local))));
        contenders.push(("opool LocalPool", Box::new(|| alone(&opool_local))));
        row(&name, &contenders, rounds);
    }
    let name = format!("objects/two-threads/{N}");
    if wanted(&name) {
        let mut contenders = shared!(together);
        let each = || boltstack_compare_pools::each(&TakeGive(&ours), &TakeGive(&other));
        contenders.push(("(an ObjectPool for each)", Box::new(each)));
        row(&name, &contenders, rounds.min(40));
    }
    let name = format!("objects/across-threads/{N}");
    if wanted(&name) {
        row(&name, &shared!(across), rounds.min(40));
    }
    let stats = ours.stats();
    assert_eq!((stats.created, stats.in_use), (READY, 0), "nothing was made once warm, all came back");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter =
        arguments.iter().find(|argument| !argument.starts_with("--") && argument.parse::<f64>().is_err());
    let wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter.as_str()));
    let rounds = if arguments.iter().any(|argument| argument == "--test") { 1 } else { ROUNDS };
    size::<64>(rounds, &wanted);
    size::<1024>(rounds, &wanted);
    size::<{ 16 << 10 }>(rounds, &wanted);
}
