//! The string pool beside the Fx map one writes without it: a hit, a string that is new (the pool evicts all the while), and id to string.
//!
//! A pass is 1,000 operations over 10,000 strings in an order of no pattern, all of them in the pool with eviction on. Every pass is
//! checked before it is timed. Other crates: `benches/compare/pools`.

use std::hint::black_box;
use std::time::Duration;

use bolt_objects::{StringId, StringPool, StringPoolConfig};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rustc_hash::FxHashMap;

const STRINGS: usize = 10_000;
const PASS: usize = 1000;

fn texts() -> Vec<String> {
    (0..STRINGS).map(|i| format!("property {:x}", i * 7919)).collect()
}

/// `PASS` numbers below `STRINGS`, another part of a fixed walk each time.
struct Walk(usize);

impl Walk {
    fn pass(&mut self) -> impl Iterator<Item = usize> {
        let start = self.0;
        self.0 = (self.0 + PASS * 7001) % STRINGS;
        (0..PASS).map(move |i| (start + i * 7001) % STRINGS)
    }
}

fn hit(c: &mut Criterion) {
    let mut group = c.benchmark_group("bolt-objects-strings/hit");
    group.throughput(Throughput::Elements(PASS as u64));
    let texts = texts();
    let mut pool =
        StringPool::new(StringPoolConfig::new(1 << 20).strings_max(STRINGS as u32)).expect("enough");
    let ids: Vec<StringId> = texts.iter().map(|text| pool.intern(text).expect("short")).collect();
    for (text, &id) in texts.iter().zip(&ids) {
        assert_eq!(pool.intern(text), Ok(id));
    }
    let mut walk = Walk(0);
    group.bench_function(BenchmarkId::from_parameter("string-pool"), |b| {
        b.iter(|| walk.pass().map(|i| pool.intern(&texts[i]).expect("a hit").index()).sum::<usize>());
    });
    assert_eq!(pool.stats().interned, STRINGS as u64, "all were hits");
    let mut map = FxHashMap::<Box<str>, u32>::default();
    map.extend(texts.iter().zip(0..).map(|(text, i)| (text.as_str().into(), i)));
    group.bench_function(BenchmarkId::from_parameter("fx-hash-map"), |b| {
        b.iter(|| walk.pass().map(|i| map[texts[i].as_str()] as usize).sum::<usize>());
    });
    group.finish();
}

fn new(c: &mut Criterion) {
    let mut group = c.benchmark_group("bolt-objects-strings/new-and-evict");
    group.throughput(Throughput::Elements(PASS as u64));
    let texts = texts();
    // A tenth of the strings fit, so a walk through all of them finds none.
    let mut pool = StringPool::new(StringPoolConfig::new(1 << 20).strings_max(1000)).expect("enough");
    texts.iter().for_each(|text| assert!(pool.intern(text).is_ok()));
    assert_eq!(pool.stats().evicted, 9000);
    let mut walk = Walk(0);
    group.bench_function(BenchmarkId::from_parameter("string-pool"), |b| {
        b.iter(|| walk.pass().map(|i| pool.intern(&texts[i]).expect("room").index()).sum::<usize>());
    });
    group.finish();
}

fn resolve(c: &mut Criterion) {
    let mut group = c.benchmark_group("bolt-objects-strings/resolve");
    group.throughput(Throughput::Elements(PASS as u64));
    let texts = texts();
    let mut pool =
        StringPool::new(StringPoolConfig::new(1 << 20).strings_max(STRINGS as u32)).expect("enough");
    let ids: Vec<StringId> = texts.iter().map(|text| pool.intern(text).expect("short")).collect();
    let list: Vec<Box<str>> = texts.iter().map(|text| text.as_str().into()).collect();
    for (id, text) in ids.iter().zip(&texts) {
        assert_eq!(pool.resolve(*id), Some(text.as_str()));
    }
    let order: Vec<StringId> = Walk(0).pass().map(|i| ids[i]).collect();
    group.bench_function(BenchmarkId::from_parameter("string-pool"), |b| {
        b.iter(|| order.iter().map(|&id| black_box(pool.resolve(id).expect("alive")).len()).sum::<usize>());
    });
    group.bench_function(BenchmarkId::from_parameter("vec-of-boxes"), |b| {
        b.iter(|| order.iter().map(|id| black_box(&*list[id.index()]).len()).sum::<usize>());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2));
    targets = hit, new, resolve
}
criterion_main!(benches);
