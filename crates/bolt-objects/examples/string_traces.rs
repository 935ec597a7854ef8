//! The trace study behind `StringPool`: which strings should leave when the pool is full? LRU, FIFO, CLOCK and S3-FIFO, each with at most one
//! bit written on a hit (LRU excepted), on four kinds of traces at three sizes, and the pool itself beside its own simulation.
//!
//! Deterministic: the same table on every machine. Run: `cargo run --release -p bolt-objects --example string_traces`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use bolt_objects::{StringPool, StringPoolConfig};

/// Different strings that the recurring part of a trace asks for.
const KEYS: u32 = 20_000;
/// Requests of a trace.
const REQUESTS: usize = 1_000_000;
/// What fits, in strings: 1, 5 and 20 % of `KEYS`.
const SIZES: [usize; 3] = [200, 1_000, 4_000];

/// Keys of scans start here, so that none is asked for twice.
const SCAN: u32 = 1 << 24;

fn main() {
    let traces: [(&str, Vec<u32>); 5] = [
        ("Zipf 1.0", zipf(1.0, 0)),
        ("Zipf 0.8", zipf(0.8, 0)),
        ("Zipf 1.0, half scanned", zipf(1.0, 50)),
        ("loop", (0..REQUESTS).map(|i| (i % 2_000) as u32).collect()),
        ("shifting working set", shifting()),
    ];
    println!("| trace | strings that fit | LRU | FIFO | CLOCK | S3-FIFO | S3-FIFO, bounded | `StringPool` |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for (name, trace) in &traces {
        for size in SIZES {
            let mut row = format!("| {name} | {size} ");
            let policies: [Box<dyn Cache>; 6] = [
                Box::new(Lru { size, clock: 0, age: vec![0; keys(trace)], order: BTreeMap::new() }),
                Box::new(Clock::new(size, keys(trace), 0)),
                Box::new(Clock::new(size, keys(trace), usize::MAX)),
                Box::new(S3Fifo::new(size, keys(trace), usize::MAX)),
                Box::new(S3Fifo::new(size, keys(trace), 8)),
                Box::new(Ours::new(size)),
            ];
            for mut policy in policies {
                let hits = trace.iter().filter(|&&key| policy.hit(key)).count();
                write!(row, "| {:.1} ", hits as f64 * 100.0 / trace.len() as f64).expect("a string");
            }
            println!("{row}|");
        }
    }
}

fn keys(trace: &[u32]) -> usize {
    trace.iter().max().map_or(0, |&key| key as usize + 1)
}

// Traces.

struct Random(u64);

impl Random {
    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }
}

/// Key `k` is asked for in proportion to `1 / (k + 1)^skew`; of 100 requests, `scanned` are for a key that never comes again.
fn zipf(skew: f64, scanned: u64) -> Vec<u32> {
    let mut sum = 0.0;
    let weights: Vec<f64> = (1..=KEYS)
        .map(|rank| {
            sum += 1.0 / f64::from(rank).powf(skew);
            sum
        })
        .collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut fresh = SCAN - 1;
    (0..REQUESTS)
        .map(|_| {
            if random.below(100) < scanned {
                fresh += 1;
                return fresh;
            }
            let point = random.below(1 << 52) as f64 / (1_u64 << 52) as f64 * sum;
            weights.partition_point(|&weight| weight < point) as u32
        })
        .collect()
}

/// 3,000 keys at a time, the popular ones more often; every 50,000 requests a third of them is replaced by new ones.
fn shifting() -> Vec<u32> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    (0..REQUESTS)
        .map(|i| {
            let first = (i / 50_000) as u32 * 1_000;
            let near = random.below(3_000).min(random.below(3_000));
            first + near as u32
        })
        .collect()
}

// Policies.

trait Cache {
    /// Asks for `key`, which is there afterwards; whether it was there before.
    fn hit(&mut self, key: u32) -> bool;
}

struct Lru {
    size: usize,
    clock: u64,
    /// When each key was last asked for; 0: it is not there.
    age: Vec<u64>,
    order: BTreeMap<u64, u32>,
}

impl Cache for Lru {
    fn hit(&mut self, key: u32) -> bool {
        self.clock += 1;
        let age = std::mem::replace(&mut self.age[key as usize], self.clock);
        if age != 0 {
            self.order.remove(&age);
        } else if self.order.len() == self.size {
            let (_, oldest) = self.order.pop_first().expect("it is full");
            self.age[oldest as usize] = 0;
        }
        self.order.insert(self.clock, key);
        age != 0
    }
}

/// What a key is to a queue: not there, there, or there and asked for since the hand passed.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Absent,
    Once,
    Again,
}

/// FIFO with as many second chances an eviction as `chances`; none of them is FIFO itself.
struct Clock {
    size: usize,
    chances: usize,
    seen: Vec<Seen>,
    order: VecDeque<u32>,
}

impl Clock {
    fn new(size: usize, keys: usize, chances: usize) -> Self {
        Self { size, chances, seen: vec![Seen::Absent; keys], order: VecDeque::new() }
    }
}

impl Cache for Clock {
    fn hit(&mut self, key: u32) -> bool {
        if self.seen[key as usize] != Seen::Absent {
            self.seen[key as usize] = Seen::Again;
            return true;
        }
        let mut chances = self.chances;
        while self.order.len() == self.size {
            let oldest = self.order.pop_front().expect("it is full");
            if self.seen[oldest as usize] == Seen::Again && chances > 0 {
                chances -= 1;
                self.seen[oldest as usize] = Seen::Once;
                self.order.push_back(oldest);
            } else {
                self.seen[oldest as usize] = Seen::Absent;
            }
        }
        self.seen[key as usize] = Seen::Once;
        self.order.push_back(key);
        false
    }
}

/// S3-FIFO (Yang and others, SOSP 2023) with one bit a key: a small queue of a tenth, a main queue, and the names of as many keys that left the
/// small queue as the main queue holds.
struct S3Fifo {
    size: usize,
    chances: usize,
    seen: Vec<Seen>,
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    ghost: VecDeque<u32>,
    ghosts: Vec<bool>,
}

impl S3Fifo {
    fn new(size: usize, keys: usize, chances: usize) -> Self {
        Self {
            size,
            chances,
            seen: vec![Seen::Absent; keys],
            small: VecDeque::new(),
            main: VecDeque::new(),
            ghost: VecDeque::new(),
            ghosts: vec![false; keys],
        }
    }

    fn evict_small(&mut self, chances: &mut usize) {
        let oldest = self.small.pop_front().expect("it holds its share");
        if self.seen[oldest as usize] == Seen::Again && *chances > 0 {
            *chances -= 1;
            self.seen[oldest as usize] = Seen::Once;
            self.main.push_back(oldest);
            return;
        }
        self.seen[oldest as usize] = Seen::Absent;
        if self.ghost.len() == self.size * 9 / 10 {
            let forgotten = self.ghost.pop_front().expect("it is full");
            self.ghosts[forgotten as usize] = false;
        }
        if !std::mem::replace(&mut self.ghosts[oldest as usize], true) {
            self.ghost.push_back(oldest);
        }
    }
}

impl Cache for S3Fifo {
    fn hit(&mut self, key: u32) -> bool {
        if self.seen[key as usize] != Seen::Absent {
            self.seen[key as usize] = Seen::Again;
            return true;
        }
        let mut chances = self.chances;
        while self.small.len() + self.main.len() == self.size {
            if self.small.len() >= self.size / 10 {
                self.evict_small(&mut chances);
                continue;
            }
            let oldest = self.main.pop_front().expect("the small queue is short");
            if self.seen[oldest as usize] == Seen::Again && chances > 0 {
                chances -= 1;
                self.seen[oldest as usize] = Seen::Once;
                self.main.push_back(oldest);
            } else {
                self.seen[oldest as usize] = Seen::Absent;
            }
        }
        self.seen[key as usize] = Seen::Once;
        if std::mem::replace(&mut self.ghosts[key as usize], false) {
            self.ghost.retain(|&ghost| ghost != key);
            self.main.push_back(key);
        } else {
            self.small.push_back(key);
        }
        false
    }
}

/// The pool itself: strings of eight bytes, so that as many fit as in the simulations.
struct Ours {
    pool: StringPool,
    text: String,
}

impl Ours {
    fn new(size: usize) -> Self {
        let config = StringPoolConfig::new(size * 128).strings_max(size as u32);
        Self { pool: StringPool::new(config).expect("enough"), text: String::new() }
    }
}

impl Cache for Ours {
    fn hit(&mut self, key: u32) -> bool {
        self.text.clear();
        write!(self.text, "{key:08x}").expect("a string");
        let before = self.pool.stats().interned;
        self.pool.intern(&self.text).expect("it is short");
        self.pool.stats().interned == before
    }
}
