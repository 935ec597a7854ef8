//! "Allocates nothing once warm", shown over at least 10,000 operations each, on each thread that takes part.

use std::sync::Barrier;
use std::sync::mpsc::sync_channel;
use std::thread;

use bolt_alloc::assert_no_alloc;
use bolt_objects::ready::{self, VecBuffers};
use bolt_objects::{Hooks, ObjectPool, PoolConfig};

const ROUNDS: usize = if cfg!(miri) { 20 } else { 10_000 };

/// Objects that one thread holds at once, at the most: more than two magazines full, so that the depot takes part. Fewer where each is
/// interpreted.
const HELD_MAX: usize = if cfg!(miri) { 5 } else { 70 };

#[test]
fn one_thread() {
    let vectors = ready::vec_buffers().unwrap();
    let hooks =
        Hooks::new(|| Box::new([0_u8; 256])).reset(|b| b[0] = 0).is_valid(|b| b[1] == 0).bytes(|_| 256);
    let boxes = ObjectPool::with_hooks(hooks, PoolConfig::new().bounded(100)).unwrap();
    let round = |round: usize| {
        let mut held = [const { None }; HELD_MAX];
        for slot in &mut held[..1 + round % HELD_MAX] {
            let mut vector = vectors.get();
            vector.extend_from_slice(&[1; 1000]);
            *slot = Some((vector, boxes.try_get().unwrap()));
        }
    };
    (0..HELD_MAX).for_each(round);
    assert_no_alloc(|| (0..ROUNDS / 10).for_each(round));
    assert_eq!(vectors.stats().created, HELD_MAX);
}

#[test]
fn two_threads_at_once() {
    let pool = ready::string_buffers().unwrap();
    let both = Barrier::new(2);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let round = |_| pool.get().push_str("words");
                (0..10).for_each(round);
                both.wait();
                assert_no_alloc(|| (0..ROUNDS).for_each(round));
                both.wait();
            });
        }
    });
}

#[test]
fn taken_here_and_given_back_there() {
    const AT_ONCE: usize = if cfg!(miri) { 4 } else { 32 };
    const READY: usize = if cfg!(miri) { 64 } else { 1024 };
    // All objects there can be lie ready, so that neither side's speed decides whether one must be made.
    let pool = ObjectPool::managed(VecBuffers, PoolConfig::new()).unwrap();
    pool.fill(READY);
    let (to, from) = sync_channel::<Vec<_>>(1);
    let (back, empties) = sync_channel::<Vec<_>>(2);
    back.send(Vec::with_capacity(AT_ONCE)).unwrap();
    back.send(Vec::with_capacity(AT_ONCE)).unwrap();
    let rounds = ROUNDS / 4;
    // The first use by a thread is behind us then.
    let warm = rounds.div_ceil(10);
    thread::scope(|scope| {
        let pool = &pool;
        scope.spawn(move || {
            for (round, mut guards) in from.into_iter().enumerate() {
                if round < warm {
                    guards.clear();
                } else {
                    assert_no_alloc(|| guards.clear());
                }
                // The other side may have ended.
                let _ = back.send(guards);
            }
        });
        for round in 0..rounds {
            let mut guards = empties.recv().unwrap();
            let mut take = || guards.extend((0..AT_ONCE).map(|_| pool.get()));
            if round < warm {
                take();
            } else {
                assert_no_alloc(take);
            }
            to.send(guards).unwrap();
        }
        drop(to);
    });
    assert_eq!(pool.stats().created, READY);
}

#[test]
fn through_panics() {
    let pool = ready::serialization_buffers().unwrap();
    for _ in 0..if cfg!(miri) { 5 } else { 1000 } {
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut buffer = pool.get();
            buffer.push(1);
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(unwound.is_err());
    }
    let stats = pool.stats();
    assert_eq!((stats.created, stats.idle, stats.in_use), (1, 1, 0), "each came back through its panic");
}

#[test]
fn objects_of_the_thread() {
    let round = || {
        ready::with_vec_buffer(|outer| {
            outer.push(1);
            ready::with_vec_buffer(|inner| inner.extend_from_slice(outer));
            ready::with_string_buffer(|text| text.push('x'));
        });
    };
    round();
    assert_no_alloc(|| (0..ROUNDS).for_each(|_| round()));
}

#[cfg(feature = "maps")]
#[test]
fn maps() {
    let hash_maps = ready::hash_maps::<u64, u64>().unwrap();
    let index_maps = ready::index_maps::<u64, u64>().unwrap();
    let round = || {
        let (mut hash, mut index) = (hash_maps.get(), index_maps.get());
        for key in 0..16 {
            hash.insert(key, key);
            index.insert(key, key);
        }
        ready::with_hash_map::<u64, u64, _>(|map| map.insert(1, 1));
        ready::with_index_map::<u64, u64, _>(|map| map.insert(1, 1));
    };
    round();
    assert_no_alloc(|| (0..ROUNDS).for_each(|_| round()));
}

#[cfg(feature = "arenas")]
#[test]
fn batches() {
    use bolt_objects::{ArenaPool, SizeHint, with_thread_arena};
    let pool = ArenaPool::new().unwrap();
    let round = |round: usize| {
        let batch = pool.batch(SizeHint::new().values::<u64>(512));
        let mut numbers = batch.vec::<u64>(8);
        numbers.extend(0..(round % 2000) as u64);
        let child = batch.child(SizeHint::new());
        child.str("gone before its parent");
        drop(child);
        assert_eq!(numbers.len(), round % 2000);
        with_thread_arena(|outer| {
            outer.slice(&numbers);
            with_thread_arena(|inner| inner.value(7_u64).to_owned())
        });
    };
    (0..if cfg!(miri) { 3 } else { 4000 }).for_each(round);
    // Warm: every size that batches come to waits in the pool by now.
    if !cfg!(miri) {
        assert_no_alloc(|| {
            for n in 0..ROUNDS {
                let batch = pool.batch(SizeHint::new().values::<u64>(512));
                let mut numbers = batch.vec::<u64>(400);
                numbers.extend(0..(n % 400) as u64);
                drop(batch.child(SizeHint::new()));
                with_thread_arena(|outer| {
                    with_thread_arena(|inner| outer.slice(&[1]).len() + inner.slice(&[2]).len())
                });
            }
        });
    }
}
