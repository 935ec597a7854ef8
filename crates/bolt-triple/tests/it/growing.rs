//! Pools for more than one thread or load: the policy by table, the pool that grows, shards, memory nodes by injection.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bolt_triple::{
    AdaptivePool, CapacityConfig, CapacityPolicy, CycleLoad, NodeSource, NumaPool, PoolError, ShardedPool,
    SoaPool, SystemNodes, Triple, pool_of_node,
};

const EXHAUSTED: CycleLoad = CycleLoad { exhausted: 1, in_use_max: 16 };
const FULL: CycleLoad = CycleLoad { exhausted: 0, in_use_max: 16 };
const IDLE: CycleLoad = CycleLoad { exhausted: 0, in_use_max: 1 };

/// Runs loads through a policy from 16 batches, and lists the capacities it changes to.
fn capacities(config: CapacityConfig, loads: impl IntoIterator<Item = CycleLoad>) -> Vec<usize> {
    let mut policy = CapacityPolicy::new(config);
    let mut capacity = 16;
    let mut changes = Vec::new();
    for load in loads {
        let next = policy.next(capacity, load);
        if next != capacity {
            changes.push(next);
        }
        capacity = next;
    }
    changes
}

#[test]
fn the_policy_by_table() {
    let config = CapacityConfig { batches_min: 16, batches_max: 128, exhausted_cycles: 3, idle_cycles: 4 };
    let times = |load: CycleLoad, n: usize| vec![load; n];
    let table: Vec<(&str, Vec<CycleLoad>, Vec<usize>)> = vec![
        ("nothing happens", vec![], vec![]),
        ("a full pool is not an exhausted one", times(FULL, 100), vec![]),
        ("one spike is not enough", [times(EXHAUSTED, 1), times(FULL, 50)].concat(), vec![]),
        ("two of three are not enough", [times(EXHAUSTED, 2), times(FULL, 1)].concat().repeat(9), vec![]),
        ("sustained exhaustion doubles", times(EXHAUSTED, 3), vec![32]),
        ("again and again, up to the cap", times(EXHAUSTED, 99), vec![32, 64, 128]),
        ("idle at the minimum stays", times(IDLE, 99), vec![]),
        (
            "grown, then idle, then back",
            [times(EXHAUSTED, 6), times(IDLE, 99)].concat(),
            vec![32, 64, 32, 16],
        ),
        (
            "idle, but not for long",
            [times(EXHAUSTED, 3), times(IDLE, 3), times(EXHAUSTED, 1)].concat(),
            vec![32],
        ),
        (
            "swinging traffic does not swing the pool",
            [times(EXHAUSTED, 3), [times(IDLE, 3), times(EXHAUSTED, 1)].concat().repeat(20)].concat(),
            vec![32],
        ),
        (
            "half in use is idle, one more is not",
            [times(EXHAUSTED, 3), times(CycleLoad { exhausted: 0, in_use_max: 17 }, 50)].concat(),
            vec![32],
        ),
    ];
    for (story, loads, expected) in table {
        assert_eq!(capacities(config, loads), expected, "{story}");
    }
}

#[test]
fn a_policy_of_nonsense_is_put_in_order() {
    let nonsense =
        CapacityConfig { batches_min: 0, batches_max: usize::MAX, exhausted_cycles: 0, idle_cycles: 0 };
    let config = CapacityPolicy::new(nonsense).config();
    assert_eq!(
        (config.batches_min, config.batches_max, config.exhausted_cycles, config.idle_cycles),
        (1, 1024, 1, 1)
    );
    let crossed = CapacityConfig { batches_min: 64, batches_max: 8, ..CapacityConfig::DEFAULT };
    assert_eq!(CapacityPolicy::new(crossed).config().batches_max, 64);
    assert_eq!(CapacityPolicy::new(crossed).next(usize::MAX, EXHAUSTED), 64);
}

#[test]
fn a_pool_grows_under_sustained_exhaustion_and_shrinks_when_idle() {
    let config = CapacityConfig { batches_min: 16, batches_max: 64, exhausted_cycles: 2, idle_cycles: 3 };
    let mut pool = AdaptivePool::new(config).unwrap();
    let mut seen = Vec::new();
    for _ in 0..6 {
        let mut held = Vec::new();
        while let Ok(mut soa) = pool.get_soa(1) {
            soa.set(0, Triple::new(held.len() as u64, 0, 0)).unwrap();
            held.push(soa);
        }
        assert!(held.iter().enumerate().all(|(at, soa)| soa.subjects() == [at as u64]), "each has its own");
        let capacity = held.len();
        assert_eq!(
            pool.get_soa(1).unwrap_err(),
            PoolError::ExhaustedCapacity { in_use: capacity, total: capacity }
        );
        drop(held);
        seen.push(pool.end_cycle().unwrap());
    }
    assert_eq!(seen, [16, 32, 32, 64, 64, 64]);
    assert_eq!(pool.capacity_usage().soa_buffers_total, 64);
    assert_eq!(pool.capacity_usage().soa_buffers_high_water, 64);
    let idle: Vec<usize> = (0..9)
        .map(|_| {
            pool.return_soa(pool.get_soa(8).unwrap());
            pool.end_cycle().unwrap()
        })
        .collect();
    assert_eq!(idle, [64, 64, 32, 32, 32, 16, 16, 16, 16]);
    assert_eq!(pool.get_soa(9).unwrap_err(), PoolError::InvalidSize { requested: 9, max: 8 });
}

#[test]
fn a_warm_adaptive_pool_allocates_nothing_within_a_cycle() {
    let mut pool = AdaptivePool::new(CapacityConfig::DEFAULT).unwrap();
    for _ in 0..3 {
        let held: Vec<_> = std::iter::from_fn(|| pool.get_soa(1).ok()).collect();
        drop(held);
        pool.end_cycle().unwrap();
    }
    assert_eq!(pool.capacity(), 32);
    bolt_alloc::assert_no_alloc(|| {
        for _ in 0..if cfg!(miri) { 30 } else { 10_000 } {
            let three = (pool.get_soa(8).unwrap(), pool.get_soa(1).unwrap(), pool.get_soa(2).unwrap());
            drop(three);
        }
    });
    #[cfg(feature = "profiling")]
    {
        let stats = pool.stats();
        assert!(stats.cache_hit_rate > if cfg!(miri) { 0.5 } else { 0.95 }, "{stats:?}");
        assert_eq!(stats.allocation_count, 2, "two chunks of sixteen");
        assert_eq!(stats.exhausted, 3);
        pool.reset_stats();
        assert_eq!(pool.stats().hits, 0);
    }
}

#[test]
fn a_shard_that_is_empty_is_helped_by_the_next() {
    let pool = ShardedPool::<3, 2>::new();
    let held: Vec<_> = (0..6).map(|_| pool.get_soa_near(1, 4).unwrap()).collect();
    assert_eq!(pool.get_soa_near(1, 4).unwrap_err(), PoolError::ExhaustedCapacity { in_use: 6, total: 6 });
    assert_eq!(
        pool.get_soa_near(usize::MAX, 9).unwrap_err(),
        PoolError::InvalidSize { requested: 9, max: 8 }
    );
    let usage = pool.capacity_usage();
    assert_eq!((usage.soa_buffers_in_use, usage.soa_buffers_total, usage.soa_buffers_high_water), (6, 6, 6));
    assert_eq!(usage.triples_total, 48);
    drop(held);
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
    let soa = pool.get_soa(3).unwrap();
    assert_eq!(soa.len(), 3);
    pool.return_soa(soa);
}

#[test]
fn threads_never_hold_the_same_batch() {
    const THREADS: u64 = 4;
    let rounds = if cfg!(miri) { 12 } else { 20_000 };
    let pool = ShardedPool::<2, 3>::new();
    let (start, served) = (Barrier::new(THREADS as usize), AtomicUsize::new(0));
    thread::scope(|scope| {
        for me in 1..=THREADS {
            let (pool, start, served) = (&pool, &start, &served);
            scope.spawn(move || {
                start.wait();
                for round in 0..rounds {
                    let Ok(mut soa) = pool.get_soa(8) else { continue };
                    let mine = me << 32 | round;
                    for at in 0..8 {
                        soa.set(at, Triple::new(mine, mine, mine)).unwrap();
                    }
                    let other = pool.get_soa(1);
                    assert!(soa.iter().all(|triple| triple == Triple::new(mine, mine, mine)));
                    // Returned by another thread than the one that took it, now and then.
                    if round % 64 == 0 {
                        scope.spawn(move || drop(soa));
                    }
                    drop(other);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(served.load(Ordering::Relaxed) > 0);
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
    // A scope waits for its closures, not for the thread-locals of its threads: until those are gone, what lies ready there is theirs.
    let mut held = Vec::new();
    while held.len() < 6 {
        match pool.get_soa(1) {
            Ok(soa) => held.push(soa),
            Err(_) => thread::yield_now(),
        }
    }
    assert!(pool.get_soa(1).is_err());
}

#[test]
fn what_lies_ready_near_a_thread_comes_when_asked_or_when_it_has_ended() {
    let pool = ShardedPool::<2, 4>::new();
    let take_all = || {
        let held: Vec<_> = std::iter::from_fn(|| pool.get_soa(8).ok()).collect();
        let refused = pool.get_soa(8).unwrap_err();
        assert_eq!(refused, PoolError::ExhaustedCapacity { in_use: held.len(), total: 8 });
        held.len()
    };
    let take_all_elsewhere = || thread::scope(|scope| scope.spawn(take_all).join().unwrap());
    assert_eq!(take_all(), 8, "one thread has all of them, and half a shard lies ready near it then");
    assert_eq!(take_all_elsewhere(), 6, "the two that lie ready were asked for");
    assert!(
        pool.get_soa(1).is_ok(),
        "the owner's next call puts them on the list, and lays up to half of the shard ready again of what came back elsewhere"
    );
    assert_eq!(take_all_elsewhere(), 6);
    assert_eq!(take_all(), 8, "what lay ready near the threads that have ended is anybody's");
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
}

/// Somebody's word for the node, changed by the test.
struct Injected<'a>(&'a Cell<Option<usize>>);

impl NodeSource for Injected<'_> {
    fn current_node(&self) -> Option<usize> {
        self.0.get()
    }
}

#[test]
fn the_node_policy_by_table() {
    let table = [
        (None, 1, 0),
        (None, 4, 0), // a system that does not tell
        (Some(0), 1, 0),
        (Some(7), 1, 0), // one pool for all
        (Some(0), 4, 0),
        (Some(3), 4, 3),
        (Some(4), 4, 0), // more nodes than pools
        (Some(usize::MAX), 2, 1),
        (Some(1), 0, 0),
    ];
    for (node, pools, expected) in table {
        assert_eq!(pool_of_node(node, pools), expected, "{node:?} of {pools}");
    }
}

#[test]
fn a_thread_is_served_by_its_node_and_by_others_when_that_is_empty() {
    let here = Cell::new(Some(1));
    let pool = NumaPool::<_, 2>::with_source(3, Injected(&here));
    assert_eq!((pool.nodes(), pool.home()), (3, 1));
    let mine = (pool.get_soa(1).unwrap(), pool.get_soa(1).unwrap());
    assert_eq!((pool.usage_of(1).soa_buffers_in_use, pool.usage_of(2).soa_buffers_in_use), (2, 0));
    let far = pool.get_soa(1).unwrap();
    assert_eq!(pool.usage_of(2).soa_buffers_in_use, 1, "the next node helps out");
    here.set(Some(0));
    let home = pool.get_soa(1).unwrap();
    assert_eq!(pool.usage_of(0).soa_buffers_in_use, 1);
    here.set(None);
    assert_eq!(pool.home(), 0, "a system that stops telling");
    let rest: Vec<_> = std::iter::from_fn(|| pool.get_soa(1).ok()).collect();
    assert_eq!(rest.len(), 2);
    assert_eq!(pool.get_soa(1).unwrap_err(), PoolError::ExhaustedCapacity { in_use: 6, total: 6 });
    drop((mine, far, home, rest));
    let usage = pool.capacity_usage();
    assert_eq!((usage.soa_buffers_in_use, usage.soa_buffers_total, usage.soa_buffers_high_water), (0, 6, 6));
    assert_eq!(pool.usage_of(9).soa_buffers_total, 2, "a node nobody knows is an idle one");
}

/// What a strange system might say: numbers beyond 64 processors' worth of nodes, gaps, nodes that are offline, nothing at all.
const ODD_NODES: [Option<usize>; 14] = [
    Some(0),
    Some(2), // 1 is offline
    Some(5),
    None,
    Some(63),
    Some(64),
    Some(65),
    Some(255),
    Some(1023),
    Some((1 << 20) - 1), // all that the word of the processor has room for
    Some(u32::MAX as usize),
    Some(usize::MAX / 2),
    Some(usize::MAX - 1),
    Some(usize::MAX),
];

#[test]
fn whatever_node_is_told_there_is_a_pool_for_it() {
    let here = Cell::new(None);
    let sizes: &[usize] = if cfg!(miri) { &[0, 3] } else { &[0, 1, 2, 3, 5, 64, 65] };
    for &nodes in sizes {
        let pool = NumaPool::<_, 1>::with_source(nodes, Injected(&here));
        let pools = nodes.max(1);
        assert_eq!(pool.nodes(), pools);
        for node in ODD_NODES {
            here.set(node);
            let home = node.map_or(0, |node| node % pools); // round robin; the first where nothing is told
            assert_eq!(pool.home(), home, "{node:?} of {pools}");
            let soa = pool.get_soa(8).unwrap();
            let in_use: Vec<usize> =
                (0..pools).filter(|&at| pool.usage_of(at).soa_buffers_in_use == 1).collect();
            assert_eq!(in_use, [home], "{node:?} of {pools}");
            assert_eq!(pool.get_soa(9).unwrap_err(), PoolError::InvalidSize { requested: 9, max: 8 });
            let all: Vec<_> = std::iter::from_fn(|| pool.get_soa(1).ok()).collect();
            assert_eq!(all.len(), pools - 1, "from any node all the others can be reached");
            drop((soa, all));
            assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
        }
        assert_eq!(pool.usage_of(usize::MAX).soa_buffers_in_use, 0, "no such pool");
    }
}

/// Says something else each time it is asked, on whatever thread.
struct Fickle(AtomicUsize);

impl NodeSource for Fickle {
    fn current_node(&self) -> Option<usize> {
        let call = self.0.fetch_add(1, Ordering::Relaxed);
        ODD_NODES[call.wrapping_mul(5) % ODD_NODES.len()]
    }
}

#[test]
fn a_batch_goes_home_whatever_is_told_meanwhile() {
    let pool = NumaPool::<_, 2>::with_source(3, Fickle(AtomicUsize::new(0)));
    let rounds = if cfg!(miri) { 10 } else { 2_000 };
    thread::scope(|scope| {
        for me in 0..3_u64 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..rounds {
                    assert!(pool.home() < 3);
                    let Ok(mut soa) = pool.get_soa(1) else { continue };
                    let mine = Triple::new(me, round, round);
                    soa.set(0, mine).unwrap();
                    let other = pool.get_soa(1);
                    assert_eq!(soa.get(0), Some(mine), "nobody else has it");
                    drop((soa, other));
                }
            });
        }
    });
    for node in 0..3 {
        let usage = pool.usage_of(node);
        assert_eq!((usage.soa_buffers_in_use, usage.soa_buffers_total), (0, 2), "each in its own pool");
    }
}

/// Panics when told to.
struct Broken<'a>(&'a Cell<bool>);

impl NodeSource for Broken<'_> {
    fn current_node(&self) -> Option<usize> {
        assert!(!self.0.get(), "the system is out of its mind");
        Some(1)
    }
}

#[test]
fn a_panic_of_the_node_source_takes_nothing() {
    let broken = Cell::new(false);
    let pool = NumaPool::<_, 2>::with_source(2, Broken(&broken));
    let held = pool.get_soa(1).unwrap();
    broken.set(true);
    let refused = catch_unwind(AssertUnwindSafe(|| pool.get_soa(1).map(drop)));
    assert!(refused.is_err(), "it passes through");
    assert!(catch_unwind(AssertUnwindSafe(|| pool.home())).is_err());
    assert_eq!(
        pool.get_soa(9).unwrap_err(),
        PoolError::InvalidSize { requested: 9, max: 8 },
        "asked for no node"
    );
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 1);
    drop(held); // a way back asks nobody
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
    broken.set(false);
    let all: Vec<_> = std::iter::from_fn(|| pool.get_soa(1).ok()).collect();
    assert_eq!(all.len(), 4);
}

#[test]
fn what_lies_ready_near_a_thread_does_not_count_as_in_use_of_the_nodes() {
    let pool = NumaPool::<_, 4>::with_source(2, Fickle(AtomicUsize::new(0)));
    let take_all = || {
        let held: Vec<_> = std::iter::from_fn(|| pool.get_soa(8).ok()).collect();
        let refused = pool.get_soa(8).unwrap_err();
        assert_eq!(refused, PoolError::ExhaustedCapacity { in_use: held.len(), total: 8 });
        held.len()
    };
    assert_eq!(take_all(), 8);
    let elsewhere = thread::scope(|scope| scope.spawn(take_all).join().unwrap());
    assert_eq!(elsewhere, 4, "two of each node lie ready near the first thread, and the error says so");
}

#[test]
fn this_system_names_a_node_or_falls_back_to_one() {
    let nodes = SystemNodes::new();
    if let Some(node) = nodes.current_node() {
        assert!(node < 1024, "{node}");
    }
    let pool: NumaPool = NumaPool::new(0);
    assert_eq!((pool.nodes(), pool.home()), (1, 0), "at least one");
    assert!(pool.get_soa(8).is_ok());
    assert_eq!(SoaPool::capacity_usage(&pool).soa_buffers_total, 16);
}

/// One body of code over every kind of pool.
fn serves(pool: &impl SoaPool) {
    let mut soa = pool.get_soa(2).unwrap();
    soa.set(1, Triple::new(1, 2, 3)).unwrap();
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 1);
    drop(soa);
    assert!(matches!(pool.get_soa(9), Err(PoolError::InvalidSize { .. })));
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
}

#[test]
fn every_pool_is_a_soa_pool() {
    serves(&bolt_triple::BufferPool::<4, 1>::new());
    serves(&ShardedPool::<2, 2>::new());
    serves(&NumaPool::<SystemNodes, 2>::new(2));
    serves(&AdaptivePool::new(CapacityConfig::DEFAULT).unwrap());
}
