//! Owns: the model of a pool: bytes become operations, run against a naive oracle. For tests and fuzz targets only.
//! Never part of a build without feature `model`. Limits: 4,096 operations an input.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use crate::{BoltPool, Handle, Mark, PoolLimits};

/// A value that counts how many of its kind are alive.
struct Tracked {
    value: u32,
    alive: Rc<Cell<usize>>,
}

impl Tracked {
    fn new(value: u32, alive: &Rc<Cell<usize>>) -> Self {
        alive.set(alive.get() + 1);
        Self { value, alive: alive.clone() }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // Dropped twice, the count goes below zero and this panics.
        self.alive.set(self.alive.get().checked_sub(1).expect("a value was dropped twice"));
    }
}

/// What the pool should hold, kept the simple way.
struct Oracle {
    /// Live allocations: unique number and values.
    live: Vec<(u64, Vec<u32>)>,
    /// Every handle ever made, with the unique number of its allocation.
    handles: Vec<(Handle<Tracked>, u64)>,
    /// Every mark, with the unique numbers that were live when it was taken.
    marks: Vec<(Mark, Vec<u64>)>,
    next_number: u64,
}

impl Oracle {
    fn allocated(&mut self, handle: Handle<Tracked>, values: Vec<u32>) {
        self.live.push((self.next_number, values));
        self.handles.push((handle, self.next_number));
        self.next_number += 1;
    }

    fn values(&self) -> usize {
        self.live.iter().map(|(_, values)| values.len()).sum()
    }
}

/// Runs `bytes` as operations on a pool and panics where the pool and the oracle differ.
pub fn run(bytes: &[u8]) {
    let alive = Rc::new(Cell::new(0));
    {
        // A small scratch and a low ceiling, so that short inputs overflow and hit the limit.
        let limits = PoolLimits { heap_bytes_max: 64 << 10, retained_bytes_max: 8 << 10 };
        let mut pool = BoltPool::<Tracked, 8>::with_limits(limits);
        let mut stranger = BoltPool::<Tracked, 8>::new();
        let foreign = stranger.alloc_value(Tracked::new(0, &Rc::new(Cell::new(0)))).expect("no limit");
        let mut oracle = Oracle { live: Vec::new(), handles: Vec::new(), marks: Vec::new(), next_number: 0 };
        for operation in bytes.chunks_exact(2).take(4096) {
            step(&mut pool, &mut oracle, operation[0], operation[1], &alive);
            assert_eq!(alive.get(), oracle.values(), "values alive after {operation:?}");
            assert!(pool.resolve(foreign).is_err(), "a stranger's handle");
            let stats = pool.stats();
            assert_eq!((stats.allocations, stats.values_in_use), (oracle.live.len(), oracle.values()));
            assert!(stats.values_high_water >= stats.values_in_use);
            assert!(stats.heap_bytes <= limits.heap_bytes_max);
        }
        check_handles(&mut pool, &oracle);
    }
    assert_eq!(alive.get(), 0, "the pool drops what is left");
}

fn step(
    pool: &mut BoltPool<Tracked, 8>,
    oracle: &mut Oracle,
    code: u8,
    argument: u8,
    alive: &Rc<Cell<usize>>,
) {
    let seed = u32::from(argument) << 8 | u32::from(code);
    let n = match argument {
        0..=127 => usize::from(argument % 13),
        128..=250 => usize::from(argument),
        _ => usize::from(argument) * 9,
    };
    let values = |n: usize| (0..n as u32).map(|i| seed.wrapping_add(i)).collect::<Vec<_>>();
    match code % 10 {
        0 | 1 => {
            if let Ok(handle) = pool.alloc_with(n, |i| Tracked::new(seed.wrapping_add(i as u32), alive)) {
                assert_eq!(handle.len(), n);
                oracle.allocated(handle, values(n));
            }
        }
        2 => {
            if let Ok(mut builder) = pool.builder() {
                let mut pushed = 0;
                while pushed < n
                    && builder.push(Tracked::new(seed.wrapping_add(pushed as u32), alive)).is_ok()
                {
                    pushed += 1;
                }
                assert_eq!(builder.len(), pushed);
                if argument.is_multiple_of(3) {
                    drop(builder);
                } else {
                    let handle = builder.finish();
                    oracle.allocated(handle, values(pushed));
                }
            }
        }
        3 => {
            let released = pool.release(n);
            assert_eq!(released.is_ok(), n <= oracle.live.len());
            if released.is_ok() {
                oracle.live.truncate(oracle.live.len() - n);
            }
        }
        4 => {
            let mut live = oracle.live.len();
            let mut found = 0;
            while found < n && live > 0 && found + oracle.live[live - 1].1.len() <= n {
                found += oracle.live[live - 1].1.len();
                live -= 1;
            }
            assert_eq!(pool.release_values(n).is_ok(), found == n);
            if found == n {
                oracle.live.truncate(live);
            }
        }
        5 => oracle.marks.push((pool.mark(), oracle.live.iter().map(|(number, _)| *number).collect())),
        6 => {
            if !oracle.marks.is_empty() {
                let (mark, below) = oracle.marks.swap_remove(usize::from(argument) % oracle.marks.len());
                let good = oracle.live.len() >= below.len()
                    && oracle.live.iter().zip(&below).all(|((number, _), marked)| number == marked);
                assert_eq!(pool.rollback(mark).is_ok(), good);
                if good {
                    oracle.live.truncate(below.len());
                }
            }
        }
        7 => scopes(pool, oracle, n, seed, alive),
        8 => match argument % 4 {
            0 => {
                pool.reset_all();
                oracle.live.clear();
                assert!(pool.stats().heap_bytes <= pool.limits().retained_bytes_max);
            }
            1 => pool.shrink_to(n * 100),
            _ => check_handles(pool, oracle),
        },
        _ => {
            if let Some(last) = oracle.live.last_mut()
                && let Some(&(handle, _)) = oracle.handles.iter().find(|(_, number)| *number == last.0)
            {
                for (have, want) in pool.resolve_mut(handle).expect("live").iter_mut().zip(&mut last.1) {
                    *want ^= seed;
                    have.value ^= seed;
                }
            }
        }
    }
}

/// A scope with handles, and a frame with a frame inside; neither leaves anything behind.
fn scopes(
    pool: &mut BoltPool<Tracked, 8>,
    oracle: &mut Oracle,
    n: usize,
    seed: u32,
    alive: &Rc<Cell<usize>>,
) {
    let before = oracle.values();
    let gone = pool.scope(|pool| pool.alloc_with(n, |_| Tracked::new(seed, alive)));
    if let Ok(gone) = gone {
        assert!(pool.resolve(gone).is_err(), "a scope was left");
    }
    assert_eq!(alive.get(), before);
    pool.frame(|frame| {
        let Ok(one) = frame.alloc(Tracked::new(seed, alive)) else { return };
        let Ok(many) = frame.alloc_with(n, |i| Tracked::new(i as u32, alive)) else { return };
        frame.frame(|inner| {
            if let Ok(inside) = inner.alloc_with(n, |_| Tracked::new(!0, alive)) {
                inside.iter_mut().for_each(|tracked| tracked.value = 0);
            }
        });
        assert_eq!(alive.get(), before + 1 + n);
        let Ok(last) = frame.alloc(Tracked::new(!seed, alive)) else { return };
        assert!(many.iter().enumerate().all(|(i, tracked)| tracked.value == i as u32));
        assert_eq!((one.value, last.value), (seed, !seed));
    });
    assert_eq!(alive.get(), before);
}

/// Every handle ever made resolves to its values, or is refused if its allocation is gone.
fn check_handles(pool: &mut BoltPool<Tracked, 8>, oracle: &Oracle) {
    for (handle, number) in &oracle.handles {
        let live = oracle.live.binary_search_by_key(number, |(number, _)| *number);
        match (pool.resolve(*handle), live) {
            (Ok(have), Ok(at)) => {
                assert!(have.iter().map(|tracked| tracked.value).eq(oracle.live[at].1.iter().copied()));
            }
            (Err(_), Err(_)) => {}
            (Ok(_), Err(_)) => panic!("{handle:?} was released but resolves"),
            (Err(error), Ok(_)) => panic!("{handle:?} is live but: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::run;
    use alloc::vec::Vec;

    /// A generator of bytes good enough to choose operations: xorshift64.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed | 1;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn random_operations_agree_with_the_oracle() {
        let (inputs, len) = if cfg!(miri) { (4_u64, 100) } else { (400, 1200) };
        for seed in 0..inputs {
            run(&noise((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15), len));
        }
    }

    #[test]
    fn growing_without_release_reaches_the_ceiling_and_comes_back() {
        // Allocations of 2,304 values until the limit refuses, then a reset, twice.
        let mut bytes = [0_u8, 255].repeat(40);
        bytes.extend([8, 0]);
        bytes.extend([2_u8, 254].repeat(40));
        bytes.extend([8, 0, 8, 2]);
        run(&bytes);
    }
}
