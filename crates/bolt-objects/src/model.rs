//! Owns: the model of an object pool: bytes become operations, run against a naive pool. For tests and fuzz targets only. Never part
//! of a build without feature `model`. Limits: one thread, 4,096 operations an input.

use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::vec::Vec;

use crate::config::PoolConfig;
use crate::guard::Guard;
use crate::manage::Manage;
use crate::policy::TrimPolicy;
use crate::pool::{ObjectPool, OwnedGuard};

/// What the hooks look at, and what proves that nothing is lost or doubled.
struct Object {
    number: u32,
    /// Set by users, judged by `is_valid`.
    valid: bool,
    /// Set by users, weighed by `bytes`.
    bytes: usize,
    /// Set by users, cleared by `reset`.
    used: bool,
    alive: Arc<Mutex<Vec<bool>>>,
}

impl Drop for Object {
    fn drop(&mut self) {
        let mut alive = self.alive.lock().expect("nobody panics under the lock");
        assert!(
            std::mem::replace(&mut alive[self.number as usize], false),
            "object {} dropped twice",
            self.number
        );
    }
}

struct Hooked {
    alive: Arc<Mutex<Vec<bool>>>,
}

/// An object whose use says so makes its reset panic.
const POISON: usize = usize::MAX;

impl Manage<Object> for Hooked {
    fn create(&self) -> Object {
        let mut alive = self.alive.lock().expect("nobody panics under the lock");
        alive.push(true);
        Object {
            number: alive.len() as u32 - 1,
            valid: true,
            bytes: 0,
            used: false,
            alive: self.alive.clone(),
        }
    }
    fn reset(&self, object: &mut Object) {
        if object.bytes == POISON {
            // No message and no hook: a fuzzer's would end the process.
            resume_unwind(Box::new("as the input wishes"));
        }
        object.used = false;
    }
    fn is_valid(&self, object: &Object) -> bool {
        object.valid
    }
    fn bytes(&self, object: &Object) -> usize {
        object.bytes
    }
}

/// A pool the simple way: a stack and numbers.
#[derive(Default)]
struct Naive {
    /// Number and validity, the last given back on top.
    idle: Vec<(u32, bool)>,
    in_use: usize,
    created: usize,
    dropped: usize,
    /// After trimming, objects lie in the depot as well as in the magazines, and which comes first is the pool's affair.
    any_order: bool,
}

const BYTES_MAX: usize = 100;

/// Runs `bytes` as operations on a pool and panics where the pool and the naive one differ.
pub fn run(bytes: &[u8]) {
    let mut input = bytes.iter().copied();
    let mut next = || input.next();
    let Some(shape) = next() else { return };
    let idle_max = [0, 1, 3, 8, 20, 40, 100, 257][usize::from(shape & 7)];
    let bound = if shape & 8 == 0 { usize::MAX } else { usize::from(shape >> 5) + 1 };
    let mut config = PoolConfig::new().idle_max(idle_max).object_bytes_max(BYTES_MAX).trim(TrimPolicy {
        keep: 2,
        patience_ticks: 2,
        patience_ticks_max: 4,
    });
    if bound != usize::MAX {
        config = config.bounded(bound);
    }
    if shape & 16 != 0 {
        config = config.magazine_items(usize::from(shape >> 5));
    }
    let idle_max = idle_max.min(bound);
    let alive = Arc::new(Mutex::new(Vec::new()));
    let pool = ObjectPool::managed(Hooked { alive: alive.clone() }, config).expect("small");
    let pool = Arc::new(pool);
    let mut naive = Naive::default();
    let mut out: Vec<OwnedGuard<Object, Hooked>> = Vec::new();

    for _ in 0..4096 {
        let Some(operation) = next() else { break };
        let argument = usize::from(operation >> 4);
        match operation & 15 {
            // Half of the operations take, the other half give back: pools run empty and full.
            0..=2 => take(&pool, &mut naive, &mut out, usize::MAX),
            3..=5 => take(&pool, &mut naive, &mut out, bound),
            6..=10 if !out.is_empty() => {
                let mut guard = out.swap_remove(argument % out.len());
                guard.used = true;
                naive.give_back(guard.number, guard.valid, guard.bytes, bound, idle_max);
                drop(guard);
            }
            11 if !out.is_empty() => {
                let at = argument % out.len();
                out[at].valid = operation & 128 == 0;
                out[at].bytes =
                    if operation & 64 == 0 { 0 } else { BYTES_MAX + usize::from(operation & 16 != 0) };
            }
            12 if !out.is_empty() => {
                let guard = out.swap_remove(argument % out.len());
                naive.in_use -= 1;
                let mut object = Guard::detach(guard);
                if operation & 128 == 0 {
                    object.bytes = 0;
                    naive.in_use += 1;
                    naive.give_back(object.number, object.valid, 0, bound, idle_max);
                    pool.put(object);
                } else {
                    naive.dropped += 1;
                }
            }
            13 if !out.is_empty() => {
                let mut guard = out.swap_remove(argument % out.len());
                guard.bytes = POISON;
                naive.in_use -= 1;
                naive.dropped += 1;
                let unwound = catch_unwind(AssertUnwindSafe(|| drop(guard)));
                assert!(unwound.is_err(), "the hook's panic goes to whoever dropped the guard");
            }
            14 => {
                let dropped = pool.trim(argument);
                assert_eq!(dropped, naive.idle.len().saturating_sub(argument));
                naive.trimmed(&alive, &out);
            }
            15 => {
                let idle = naive.idle.len();
                let dropped = pool.tick();
                assert!(idle - dropped >= idle.min(2), "what is to be kept was kept");
                naive.trimmed(&alive, &out);
            }
            _ => {}
        }
        naive.any_order &= !naive.idle.is_empty();
        let stats = pool.stats();
        assert_eq!((stats.idle, stats.in_use), (naive.idle.len(), naive.in_use));
        assert_eq!(stats.created, naive.created);
        assert_eq!(out.len(), naive.in_use);
        let living =
            alive.lock().expect("nobody panics under the lock").iter().filter(|&&alive| alive).count();
        assert_eq!(living, naive.idle.len() + naive.in_use);
        assert_eq!(living + naive.dropped, naive.created);
    }
    drop(out);
    drop(pool);
    let alive = alive.lock().expect("nobody panics under the lock");
    assert!(alive.iter().all(|&alive| !alive), "an object outlived its pool");
}

fn take(
    pool: &Arc<ObjectPool<Object, Hooked>>,
    naive: &mut Naive,
    out: &mut Vec<OwnedGuard<Object, Hooked>>,
    bound: usize,
) {
    let live_before = naive.idle.len() + naive.in_use;
    if naive.any_order && naive.idle.iter().any(|&(_, valid)| valid) {
        let guard =
            if bound == usize::MAX { pool.get_owned() } else { pool.try_get_owned().expect("one is idle") };
        assert!(guard.valid && !guard.used && guard.bytes <= BYTES_MAX);
        let at = naive.idle.iter().position(|&(number, _)| number == guard.number).expect("it was idle");
        naive.idle.remove(at);
        naive.in_use += 1;
        // The invalid ones that came before it are gone.
        let alive = guard.alive.lock().expect("nobody panics under the lock");
        naive.idle.retain(|&(number, _)| alive[number as usize]);
        drop(alive);
        naive.dropped += live_before - naive.idle.len() - naive.in_use;
        out.push(guard);
        return;
    }
    let expected = naive.take(bound);
    let got = if bound == usize::MAX { Ok(pool.get_owned()) } else { pool.try_get_owned() };
    match (expected, got) {
        (Some(number), Ok(guard)) => {
            assert_eq!(guard.number, number, "last in, first out");
            assert!(guard.valid && !guard.used && guard.bytes <= BYTES_MAX);
            out.push(guard);
        }
        (None, Err(exhausted)) => assert_eq!(exhausted.objects_max, bound),
        (expected, got) => panic!("expected {expected:?}, got {:?}", got.map(|guard| guard.number)),
    }
}

impl Naive {
    fn take(&mut self, bound: usize) -> Option<u32> {
        while let Some((number, valid)) = self.idle.pop() {
            if valid {
                self.in_use += 1;
                return Some(number);
            }
            self.dropped += 1;
        }
        if self.in_use >= bound {
            return None;
        }
        self.in_use += 1;
        self.created += 1;
        Some(self.created as u32 - 1)
    }

    fn give_back(&mut self, number: u32, valid: bool, bytes: usize, bound: usize, idle_max: usize) {
        let existing = self.idle.len() + self.in_use;
        self.in_use -= 1;
        if bytes > BYTES_MAX || existing > bound || self.idle.len() >= idle_max {
            self.dropped += 1;
        } else {
            self.idle.push((number, valid));
        }
    }

    /// Something was dropped: only of what was idle.
    fn trimmed(&mut self, alive: &Arc<Mutex<Vec<bool>>>, out: &[OwnedGuard<Object, Hooked>]) {
        let before = self.idle.len();
        self.idle.retain(|&(number, _)| alive.lock().expect("nobody panics under the lock")[number as usize]);
        self.dropped += before - self.idle.len();
        assert!(
            out.iter()
                .all(|guard| alive.lock().expect("nobody panics under the lock")[guard.number as usize])
        );
        self.any_order = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn random_operations_agree_with_the_naive_pool() {
        let (inputs, len) = if cfg!(miri) { (3_u64, 60) } else { (100, 800) };
        for seed in 0..inputs {
            run(&noise((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15), len));
        }
    }

    #[test]
    fn all_out_and_all_in_again() {
        for shape in (0..=255).step_by(if cfg!(miri) { 51 } else { 1 }) {
            let mut bytes = std::vec![shape];
            bytes.extend([0; 60]);
            bytes.extend([6; 70]);
            bytes.extend([3; 60]);
            bytes.extend([15, 15, 15, 6, 6, 6, 6]);
            run(&bytes[..if cfg!(miri) { 12 } else { bytes.len() }]);
        }
    }
}
