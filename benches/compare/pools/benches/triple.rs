//! A pooled batch of eight triples beside other pools, a receipt beside its own use, and the match kernels: what each adds to using the memory
//! alone, in cycles of the core.
//!
//! Not criterion: the contenders take turns, round by round, so that a machine whose speed wanders slows all of them alike. Each round also times
//! a chain of multiplications (three cycles, and one for the bit that keeps it odd), so that nanoseconds become core cycles; dependent additions would not do, since
//! recent cores fold them. Every contender first shows that it computes the same answer. What several threads share is timed by the loops of all
//! comparisons of pools, in nanoseconds. Limits: two threads. Arguments: a part of a group's name to run only that; `--test` for one round.
//!
//! unsafe: allowed here

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::time::{Duration, Instant};

use bolt_triple::{
    BufferPool, Level, MatchMask, Matcher, Pattern, Receipt, ReceiptPool, ShardedPool, SharedSoa, SoaBatch,
    Triple, ticks,
};
use boltstack_compare_pools::{Run, Trip, row};
use crossbeam_queue::ArrayQueue;
use sharded_slab::Clear;

/// Operations a pass: the pass is one cache-warm loop.
const PASS: u64 = 1000;
const PASSES_PER_TURN: u32 = 20;
const WARM_UP_ROUNDS: usize = 20;
const ROUNDS: usize = 300;
/// Rounds of a row of several threads.
const ROUNDS_SHARED: usize = 40;
/// Links of the chain that measures the core's clock, and the cycles of one.
const CHAIN: u64 = 20_000;
const CYCLES_PER_MULTIPLICATION: f64 = 4.0;

type Contender<'a> = (&'static str, Box<dyn FnMut() -> u64 + 'a>);

/// Nanoseconds a core cycle takes right now.
fn cycle_ns() -> f64 {
    let start = Instant::now();
    let mut value = black_box(3_u64);
    for _ in 0..CHAIN / 10 {
        // Ten at a time, so that the loop's own work hides behind the chain.
        for _ in 0..10 {
            // The other factor is the value too, so that nothing can be folded.
            value = value.wrapping_mul(value | 1);
        }
    }
    black_box(value);
    start.elapsed().as_nanos() as f64 / (CHAIN as f64 * CYCLES_PER_MULTIPLICATION)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How many rounds of `group` the arguments ask for, where `rounds` is usual; `None` if they name another group.
fn asked(group: &str, rounds: usize) -> Option<usize> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let only = arguments.iter().find(|argument| !argument.starts_with("--"));
    let rounds = if arguments.iter().any(|argument| argument == "--test") { 1 } else { rounds };
    only.is_none_or(|only| group.contains(only.as_str())).then_some(rounds)
}

/// Runs the contenders in turns and prints, for each, the median of cycles an operation, and of what it has more than the first.
fn turns(group: &str, expected: u64, mut contenders: Vec<Contender<'_>>) {
    let Some(rounds) = asked(group, ROUNDS) else { return };
    for (name, pass) in &mut contenders {
        assert_eq!(pass(), expected, "{group}: {name}");
    }
    let ticks_per_ns = ticks::hz(Duration::from_millis(20)).unwrap_or(0.0) / 1e9;
    let mut cycles = vec![Vec::with_capacity(rounds); contenders.len()];
    let mut nanoseconds = cycles.clone();
    let mut more = cycles.clone();
    for round in 0..WARM_UP_ROUNDS + rounds {
        let cycle = cycle_ns();
        let mut first = 0.0;
        for (at, (_, pass)) in contenders.iter_mut().enumerate() {
            let start = Instant::now();
            for _ in 0..PASSES_PER_TURN {
                black_box(pass());
            }
            let time = start.elapsed().as_nanos() as f64 / (f64::from(PASSES_PER_TURN) * PASS as f64);
            if at == 0 {
                first = time;
            }
            if round >= WARM_UP_ROUNDS {
                nanoseconds[at].push(time);
                cycles[at].push(time / cycle);
                more[at].push((time - first) / cycle);
            }
        }
    }
    println!("\n{group}: medians of {rounds} rounds ({ticks_per_ns:.2} ticks a ns)");
    println!("  {:34} {:>8} {:>8} {:>8} {:>10}", "", "ns", "ticks", "cycles", "over first");
    for (at, (name, _)) in contenders.iter().enumerate() {
        let ns = median(&mut nanoseconds[at]);
        let (cycles, more) = (median(&mut cycles[at]), median(&mut more[at]));
        println!("  {name:34} {ns:8.2} {:8.2} {cycles:8.2} {more:+10.2}", ns * ticks_per_ns);
    }
}

/// What everybody does with a batch: one triple in, the last lane's word out.
#[inline(always)]
fn touch(batch: &mut SoaBatch, seed: u64) -> u64 {
    let batch = black_box(batch);
    let [subjects, predicates, objects] = batch.lanes_mut();
    subjects[0] = seed;
    predicates[0] = seed;
    objects[0] = seed;
    let batch = black_box(batch);
    batch.lanes()[2][0]
}

/// A pass of `PASS` operations over one opaque seed each.
macro_rules! pass {
    ($seed:ident => $operation:expr) => {
        Box::new(move || {
            let mut sum = 0_u64;
            for i in 0..PASS {
                let $seed = black_box(i);
                sum += $operation;
            }
            sum
        })
    };
}

const SUM: u64 = PASS * (PASS - 1) / 2;

/// An object that a sharded slab can clear; nothing is cleared.
#[derive(Default)]
struct Reused(Box<SoaBatch>);

impl Clear for Reused {
    fn clear(&mut self) {}
}

struct Allocator;

impl opool::PoolAllocator<Box<SoaBatch>> for Allocator {
    fn allocate(&self) -> Box<SoaBatch> {
        Box::default()
    }
}

/// The shape of the source's own pool: batches travel by value and are zeroed on the way back.
struct Origin {
    batches: Vec<SoaBatch>,
}

impl Origin {
    #[inline(never)]
    fn get(&mut self) -> Option<SoaBatch> {
        self.batches.pop()
    }
    #[inline(never)]
    fn give(&mut self, mut batch: SoaBatch) {
        for lane in batch.lanes_mut() {
            *lane = [0; 8];
        }
        self.batches.push(batch);
    }
}

fn pools() {
    let mut alone = Box::new(SoaBatch::new());
    let pool: BufferPool = BufferPool::new();
    let parked: BufferPool = BufferPool::new();
    let sharded = ShardedPool::<2>::new();
    let mut stack: Vec<Box<SoaBatch>> = (0..16).map(|_| Box::default()).collect();
    let local = opool::LocalPool::new_prefilled(16, Allocator);
    let shared = opool::Pool::new_prefilled(16, Allocator);
    let object_pool = object_pool::Pool::<Box<SoaBatch>>::new(16, Box::default);
    let linear = lockfree_object_pool::LinearObjectPool::<Box<SoaBatch>>::new(Box::default, |_| ());
    let slab = sharded_slab::Pool::<Reused>::new();
    let queue = ArrayQueue::<Box<SoaBatch>>::new(16);
    for _ in 0..16 {
        assert!(queue.push(Box::default()).is_ok());
    }
    let mut origin = Origin { batches: vec![SoaBatch::new(); 16] };
    turns(
        "get-use-return",
        SUM,
        vec![
            ("use alone", pass!(seed => touch(&mut alone, seed))),
            (
                "bolt-triple",
                pass!(seed => {
                    let mut soa = pool.get_soa(black_box(8)).expect("one is out");
                    let answer = touch(&mut soa, seed);
                    pool.return_soa(soa);
                    answer
                }),
            ),
            (
                "bolt-triple, parked once",
                pass!(seed => {
                    let mut soa = parked.get_soa(black_box(8)).expect("one is out");
                    let answer = touch(&mut soa, seed);
                    let handle = black_box(soa.into_handle().expect("tickets"));
                    parked.return_handle(handle).expect("fresh");
                    answer
                }),
            ),
            (
                "bolt-triple, sharded",
                pass!(seed => {
                    let mut soa = sharded.get_soa(black_box(8)).expect("one is out");
                    touch(&mut soa, seed)
                }),
            ),
            (
                "Vec<Box>",
                pass!(seed => {
                    let mut soa = stack.pop().expect("one is out");
                    let answer = touch(&mut soa, seed);
                    stack.push(soa);
                    answer
                }),
            ),
            (
                "opool LocalPool",
                pass!(seed => {
                    let mut soa = local.get();
                    touch(&mut soa, seed)
                }),
            ),
            (
                "opool Pool",
                pass!(seed => {
                    let mut soa = shared.get();
                    touch(&mut soa, seed)
                }),
            ),
            (
                "object-pool",
                pass!(seed => {
                    let mut soa = object_pool.try_pull().expect("one is out");
                    touch(&mut soa, seed)
                }),
            ),
            (
                "lockfree-object-pool linear",
                pass!(seed => {
                    let mut soa = linear.pull();
                    touch(&mut soa, seed)
                }),
            ),
            (
                "sharded-slab",
                pass!(seed => {
                    let mut soa = slab.create().expect("room");
                    let answer = touch(&mut soa.0, seed);
                    let key = soa.key();
                    drop(soa);
                    slab.clear(key);
                    answer
                }),
            ),
            (
                "crossbeam ArrayQueue",
                pass!(seed => {
                    let mut soa = queue.pop().expect("one is out");
                    let answer = touch(&mut soa, seed);
                    assert!(queue.push(soa).is_ok());
                    answer
                }),
            ),
            (
                "Box::new",
                pass!(seed => {
                    let mut soa = Box::new(SoaBatch::new());
                    touch(&mut soa, seed)
                }),
            ),
            (
                "the original's shape",
                pass!(seed => {
                    let mut soa = origin.get().expect("one is out");
                    let answer = touch(&mut soa, seed);
                    origin.give(soa);
                    answer
                }),
            ),
        ],
    );
}

#[inline(always)]
fn filled(seed: u64) -> Receipt {
    Receipt { cycle: seed, shard: seed, hook: seed, ticks: seed, lanes: seed, span_id: seed, hash: seed }
}

fn receipts() {
    // Both write the same number of cache lines, in the same order.
    let mut alone = vec![Receipt::IDENTITY; PASS as usize];
    let pool = Box::new(ReceiptPool::<1024>::new());
    let handles = Box::new(ReceiptPool::<1024>::new());
    let mut written: Vec<String> = vec![String::new(); PASS as usize];
    turns(
        "receipt",
        SUM,
        vec![
            (
                "use alone: an array",
                Box::new(move || {
                    let alone = black_box(&mut alone);
                    for (i, receipt) in alone.iter_mut().enumerate() {
                        *receipt = filled(black_box(i as u64));
                    }
                    // As the pool's reset: the used ones are cleared between runs.
                    let sum = alone.iter().map(|receipt| receipt.lanes).sum();
                    black_box(&mut *alone).fill(Receipt::IDENTITY);
                    sum
                }),
            ),
            (
                "bolt-triple record",
                Box::new(move || {
                    for i in 0..PASS {
                        black_box(pool.record(filled(black_box(i))).expect("room"));
                    }
                    let sum = pool.iter().map(|receipt| receipt.lanes).sum();
                    pool.reset_receipt_pool();
                    sum
                }),
            ),
            (
                "bolt-triple get, then write",
                Box::new(move || {
                    for i in 0..PASS {
                        let handle = black_box(handles.get_receipt().expect("room"));
                        handles.write_receipt(handle, filled(black_box(i))).expect("of this run");
                    }
                    let sum = handles.iter().map(|receipt| receipt.lanes).sum();
                    handles.reset_receipt_pool();
                    sum
                }),
            ),
            (
                "the original's shape: a String",
                Box::new(move || {
                    for (i, text) in written.iter_mut().enumerate() {
                        *text = black_box("span").to_owned();
                        black_box(i);
                    }
                    SUM
                }),
            ),
        ],
    );
}

fn kernels() {
    // A thousand batches would leave the first-level cache: sixteen, as in the pool, over and over.
    let batches: Vec<SoaBatch> = (0..16)
        .map(|_| {
            let triples: [Triple; 8] =
                std::array::from_fn(|i| Triple::new(i as u64 % 2, 10, 20 + i as u64 % 2));
            SoaBatch::from_triples(&triples).expect("eight")
        })
        .collect();
    let pattern = Pattern::new(Some(1), Some(10), Some(21)); // all three bound: the most work
    let expected = PASS * 4;
    let mut contenders: Vec<Contender<'_>> = Vec::new();
    contenders.push(("loop over a Vec of triples", {
        let batches: Vec<Vec<Triple>> = batches.iter().map(|batch| batch.iter().collect()).collect();
        Box::new(move || {
            (0..PASS as usize)
                .map(|i| {
                    let pattern = black_box(pattern);
                    batches[i % 16].iter().filter(|&&triple| pattern.matches(triple)).count() as u64
                })
                .sum()
        })
    }));
    for level in Level::ALL {
        let Some(matcher) = Matcher::with_level(pattern, level) else { continue };
        let single = match level {
            Level::Scalar => "select, scalar",
            Level::Avx2 => "select, AVX2",
            Level::Avx512 => "select, AVX-512",
            _ => "select, NEON",
        };
        let bulk = match level {
            Level::Scalar => "select_each, scalar",
            Level::Avx2 => "select_each, AVX2",
            Level::Avx512 => "select_each, AVX-512",
            _ => "select_each, NEON",
        };
        let batches = &batches;
        contenders.push((
            single,
            Box::new(move || {
                let matcher = black_box(&matcher);
                (0..PASS as usize)
                    .map(|i| u64::from(matcher.select(black_box(&batches[i % 16])).count()))
                    .sum()
            }),
        ));
        contenders.push((
            bulk,
            Box::new(move || {
                let matcher = black_box(&matcher);
                let mut masks = [MatchMask::NONE; 16];
                let mut sum = 0;
                for _ in 0..PASS / 16 {
                    matcher.select_each(black_box(batches), &mut masks);
                    sum += black_box(&masks).iter().map(|mask| u64::from(mask.count())).sum::<u64>();
                }
                let rest = (PASS % 16) as usize;
                sum + matcher.count_all(&batches[..rest])
            }),
        ));
    }
    turns("kernel", expected, contenders);
}

/// One way to take a batch that several threads share, and to give it back on any of them.
trait Shared: Sync {
    type Batch: Send;
    /// Takes one and uses it.
    fn take(&self, seed: u64) -> Self::Batch;
    fn give(&self, batch: Self::Batch);
}

/// A pool whose guards bring the batch back when they are dropped.
macro_rules! guarded {
    ($pool:ty, $guard:ty, |$self:ident| $take:expr) => {
        impl Shared for &'static $pool {
            type Batch = $guard;
            #[inline(always)]
            fn take(&self, seed: u64) -> $guard {
                let $self = *self;
                let mut batch = $take;
                touch(&mut batch, seed);
                batch
            }
            #[inline(always)]
            fn give(&self, batch: $guard) {
                drop(batch);
            }
        }
    };
}

guarded!(ShardedPool<2, READY>, SharedSoa<'static, READY>, |pool| pool.get_soa(8).expect("not all are out"));
guarded!(
    lockfree_object_pool::LinearObjectPool<Box<SoaBatch>>,
    lockfree_object_pool::LinearReusable<'static, Box<SoaBatch>>,
    |pool| pool.pull()
);

/// Its guards stay on their thread, so batches travel as keys.
impl Shared for &'static sharded_slab::Pool<Reused> {
    type Batch = usize;
    #[inline(always)]
    fn take(&self, seed: u64) -> usize {
        let mut batch = self.create().expect("room");
        touch(&mut batch.0, seed);
        batch.key()
    }
    #[inline(always)]
    fn give(&self, batch: usize) {
        self.clear(batch);
    }
}

impl Shared for ArrayQueue<Box<SoaBatch>> {
    type Batch = Box<SoaBatch>;
    #[inline(always)]
    fn take(&self, seed: u64) -> Box<SoaBatch> {
        let mut batch = self.pop().expect("not all are out");
        touch(&mut batch, seed);
        batch
    }
    #[inline(always)]
    fn give(&self, batch: Box<SoaBatch>) {
        assert!(self.push(batch).is_ok());
    }
}

/// No pool: an allocator, asked for the same memory.
struct Direct<A>(A);

struct Raw(*mut SoaBatch);

// SAFETY: owned memory.
unsafe impl Send for Raw {}

impl<A: GlobalAlloc + Sync> Shared for Direct<A> {
    type Batch = Raw;
    #[inline(always)]
    fn take(&self, seed: u64) -> Raw {
        // SAFETY: a batch has a size.
        let start: *mut SoaBatch = unsafe { self.0.alloc(Layout::new::<SoaBatch>()) }.cast();
        assert!(!start.is_null());
        // SAFETY: for one batch, and aligned for it.
        unsafe { start.write(SoaBatch::new()) };
        // SAFETY: written just now, and nobody else's.
        touch(unsafe { &mut *start }, seed);
        Raw(start)
    }
    #[inline(always)]
    fn give(&self, batch: Raw) {
        // SAFETY: allocated here with this layout.
        unsafe { self.0.dealloc(batch.0.cast(), Layout::new::<SoaBatch>()) };
    }
}

/// A fresh batch on the stack, zeroed each time, and the ring that carries a word between the threads.
struct Nothing;

impl Shared for Nothing {
    type Batch = u64;
    #[inline(always)]
    fn take(&self, seed: u64) -> u64 {
        touch(&mut SoaBatch::new(), seed)
    }
    #[inline(always)]
    fn give(&self, _: u64) {}
}

/// One batch taken, used and given back.
struct TakeGive<'a, S>(&'a S);

impl<S: Shared> Trip for TakeGive<'_, S> {
    #[inline(always)]
    fn trip(&self) {
        self.0.give(self.0.take(black_box(1)));
    }
}

/// Batches ready for each of two threads; across threads 160 are out at once.
const READY: usize = 512;

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Two threads, each for itself and one for the other.
fn shared() {
    let ours = leak(ShardedPool::<2, READY>::new());
    let other = leak(ShardedPool::<2, READY>::new());
    let linear = leak(lockfree_object_pool::LinearObjectPool::<Box<SoaBatch>>::new(Box::default, |_| ()));
    let slab = leak(sharded_slab::Pool::<Reused>::new());
    let queue = ArrayQueue::<Box<SoaBatch>>::new(2 * READY);
    for _ in 0..2 * READY {
        assert!(queue.push(Box::default()).is_ok());
    }
    let snmalloc = Direct(snmalloc_rs::SnMalloc);
    macro_rules! contenders {
        ($run:ident) => {{
            let contenders: Vec<Run<'_>> = vec![
                ("bolt-triple ShardedPool", Box::new(|| $run(&ours))),
                ("snmalloc", Box::new(|| $run(&snmalloc))),
                ("sharded-slab", Box::new(|| $run(&slab))),
                ("lockfree-object-pool linear", Box::new(|| $run(&linear))),
                ("crossbeam ArrayQueue", Box::new(|| $run(&queue))),
                ("(one on the stack)", Box::new(|| $run(&Nothing))),
            ];
            contenders
        }};
    }
    fn alone<S: Shared>(it: &S) -> f64 {
        boltstack_compare_pools::alone(&TakeGive(it))
    }
    fn together<S: Shared>(it: &S) -> f64 {
        boltstack_compare_pools::together(&TakeGive(it))
    }
    fn across<S: Shared>(it: &S) -> f64 {
        boltstack_compare_pools::across(|| it.take(black_box(1)), |batch| it.give(batch))
    }
    if let Some(rounds) = asked("shared/one-thread", ROUNDS_SHARED) {
        row("shared/one-thread", &contenders!(alone), rounds);
    }
    if let Some(rounds) = asked("shared/two-threads", ROUNDS_SHARED) {
        let mut contenders = contenders!(together);
        let each = || boltstack_compare_pools::each(&TakeGive(&ours), &TakeGive(&other));
        contenders.push(("(a ShardedPool for each)", Box::new(each)));
        row("shared/two-threads", &contenders, rounds);
    }
    if let Some(rounds) = asked("shared/across-threads", ROUNDS_SHARED) {
        row("shared/across-threads", &contenders!(across), rounds);
    }
    assert_eq!(ours.capacity_usage().soa_buffers_in_use, 0, "all came back");
}

fn main() {
    pools();
    shared();
    receipts();
    kernels();
}
