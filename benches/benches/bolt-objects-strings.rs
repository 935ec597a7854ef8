//! The string pool beside the Fx map one writes without it: a hit, a string that is new (the pool evicts all the while), and id to string. The
//! shared pool beside the same map behind a `RwLock`, on one thread and on two at once; a time is that of one operation of one thread.
//!
//! A pass is 1,000 operations over 10,000 strings in an order of no pattern, all of them in the pool with eviction on. Every pass is
//! checked before it is timed. Other crates: `benches/compare/pools`.

use std::hint::black_box;
use std::sync::{Barrier, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use bolt_objects::{SharedStringPool, StringId, StringPool, StringPoolConfig};
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

/// `passes` of `pass` on each of so many threads at once: the time of the slowest.
fn on_threads(threads: usize, passes: u64, pass: impl Fn(&mut Walk) + Sync) -> Duration {
    let start = Barrier::new(threads);
    let work = |thread: usize| {
        let mut walk = Walk(thread * PASS);
        pass(&mut walk);
        start.wait();
        let begin = Instant::now();
        (0..passes).for_each(|_| pass(&mut walk));
        begin.elapsed()
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let own = work(0);
        others.into_iter().map(|other| other.join().expect("nobody panics")).fold(own, Duration::max)
    })
}

fn shared(c: &mut Criterion) {
    let texts = texts();
    let config = StringPoolConfig::new(4 << 20).strings_max(2 * STRINGS as u32);
    let pool = SharedStringPool::new(config, 16).expect("enough");
    let ids: Vec<StringId> = texts.iter().map(|text| pool.intern(text).expect("short")).collect();
    let mut map = FxHashMap::<Box<str>, u32>::default();
    map.extend(texts.iter().zip(0..).map(|(text, i)| (text.as_str().into(), i)));
    let map = RwLock::new(map);
    let list: RwLock<Vec<Box<str>>> = RwLock::new(texts.iter().map(|text| text.as_str().into()).collect());
    for (text, &id) in texts.iter().zip(&ids) {
        assert_eq!((pool.intern(text), pool.resolve(id).as_ref()), (Ok(id), Some(text)));
    }
    let hit = |walk: &mut Walk| {
        black_box(walk.pass().map(|i| pool.intern(&texts[i]).expect("a hit").index()).sum::<usize>());
    };
    let map_hit = |walk: &mut Walk| {
        let get = |i: usize| map.read().expect("nobody panics")[texts[i].as_str()] as usize;
        black_box(walk.pass().map(get).sum::<usize>());
    };
    let resolve = |walk: &mut Walk| {
        let mut out = String::with_capacity(64);
        walk.pass().for_each(|i| assert!(pool.resolve_into(ids[i], black_box(&mut out))));
    };
    let list_resolve = |walk: &mut Walk| {
        let mut out = String::with_capacity(64);
        walk.pass().for_each(|i| {
            out.clear();
            black_box(&mut out).push_str(&list.read().expect("nobody panics")[i]);
        });
    };
    type Pass<'a> = &'a (dyn Fn(&mut Walk) + Sync);
    let contenders: [(&str, &str, Pass<'_>); 4] = [
        ("hit", "shared-pool", &hit),
        ("hit", "fx-hash-map-in-rwlock", &map_hit),
        ("resolve", "shared-pool", &resolve),
        ("resolve", "vec-in-rwlock", &list_resolve),
    ];
    for (operation, name, pass) in contenders {
        let mut group = c.benchmark_group(format!("bolt-objects-strings/shared-{operation}"));
        group.throughput(Throughput::Elements(PASS as u64));
        for threads in [1, 2] {
            group.bench_function(BenchmarkId::new(name, format!("{threads}-threads")), |b| {
                b.iter_custom(|passes| on_threads(threads, passes, pass));
            });
        }
        group.finish();
    }
    assert_eq!(pool.stats().interned, STRINGS as u64, "all were hits");
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2));
    targets = hit, new, resolve, shared
}
criterion_main!(benches);
