//! `StringPool` beside its peers: interning what is there, and ids back to strings. From 1,000 strings to 1,000,000; the pools and quick_cache
//! evict, the others only grow. The sparse pool has four times as many places as strings, and so an index four times as large.
//!
//! Not criterion: the contenders take turns, round by round, so that a machine whose speed wanders slows all of them alike; the figure is the
//! median of all rounds in ns an operation, with the tenth and ninetieth percentile. Every contender is checked before it is
//! timed. `--test` for one round.

use std::hint::black_box;
use std::time::Instant;

use bolt_objects::{SharedStringPool, StringId, StringPool, StringPoolConfig};
use rustc_hash::{FxBuildHasher, FxHashMap};
use string_interner::{DefaultSymbol, StringInterner, backend::StringBackend};

const PASS: usize = 10_000;
const ROUNDS: usize = 201;
/// A multiplier without a common divisor with any number of strings, so that a walk meets each of them.
const STRIDE: usize = 7001;

type Contender<'a> = (&'static str, Box<dyn FnMut(&[usize]) -> usize + 'a>);

fn turns(group: &str, strings: usize, contenders: &mut [Contender<'_>], expected: impl Fn(usize) -> usize) {
    let rounds = if std::env::args().any(|arg| arg == "--test") { 1 } else { ROUNDS };
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    // Another part of the walk for each pass of each contender: none finds in the cache what the one before it brought there.
    let mut start = 0;
    let mut order = || {
        start += PASS;
        (start..start + PASS).map(|i| i * STRIDE % strings).collect::<Vec<_>>()
    };
    for (name, pass) in contenders.iter_mut() {
        let order = order();
        assert_eq!(pass(&order), order.iter().map(|&i| expected(i)).sum::<usize>(), "{name}");
    }
    for _ in 0..rounds {
        for ((_, pass), times) in contenders.iter_mut().zip(&mut times) {
            let order = order();
            let begin = Instant::now();
            black_box(pass(black_box(&order)));
            times.push(begin.elapsed().as_nanos() as f64 / PASS as f64);
        }
    }
    for ((name, _), times) in contenders.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!("{group}/{strings:<8} {name:20} {:6.2} ns   {:6.2} {:6.2}", at(50), at(10), at(90));
    }
}

fn main() {
    for strings in [1_000, 10_000, 100_000, 1_000_000] {
        size(strings);
    }
}

fn pool_of(texts: &[String], places: usize) -> (StringPool, Vec<StringId>) {
    let config = StringPoolConfig::new(places * 110 + 10_000).strings_max(places as u32);
    let mut pool = StringPool::new(config).expect("enough");
    let ids = texts.iter().map(|text| pool.intern(text).expect("short")).collect();
    assert_eq!(pool.stats().evicted, 0, "all fit");
    (pool, ids)
}

fn size(strings: usize) {
    let texts: Vec<String> = (0..strings).map(|i| format!("property {:x}", i * 7919)).collect();
    let (mut pool, ids) = pool_of(&texts, strings);
    let (mut sparse, _) = pool_of(&texts, 4 * strings);
    let config = StringPoolConfig::new(strings * 200 + 10_000).strings_max(strings as u32 * 2);
    let shared = SharedStringPool::new(config, 1).expect("enough");
    texts.iter().for_each(|text| assert!(shared.intern(text).is_ok()));
    let mut map = FxHashMap::<Box<str>, u32>::default();
    map.extend(texts.iter().zip(0..).map(|(text, i)| (text.as_str().into(), i)));
    let mut interner = StringInterner::<StringBackend<DefaultSymbol>, FxBuildHasher>::new();
    let symbols: Vec<_> = texts.iter().map(|text| interner.get_or_intern(text)).collect();
    let mut rodeo = lasso::Rodeo::<lasso::Spur, FxBuildHasher>::with_hasher(FxBuildHasher);
    let spurs: Vec<_> = texts.iter().map(|text| rodeo.get_or_intern(text)).collect();
    let cache = quick_cache::sync::Cache::<Box<str>, u32>::new(strings * 2);
    texts.iter().enumerate().for_each(|(i, text)| cache.insert(text.as_str().into(), i as u32));
    let list: Vec<Box<str>> = texts.iter().map(|text| text.as_str().into()).collect();

    let (texts, map, cache, shared, rodeo, interner) =
        (&texts, &map, &cache, &shared, &mut rodeo, &mut interner);
    let hit = |pool: &mut StringPool, i: usize| pool.intern(&texts[i]).expect("a hit").index();
    turns(
        "hit",
        strings,
        &mut [
            ("StringPool", Box::new(|order| order.iter().map(|&i| hit(&mut pool, i)).sum())),
            ("StringPool, sparse", Box::new(|order| order.iter().map(|&i| hit(&mut sparse, i)).sum())),
            (
                "SharedStringPool",
                Box::new(|order| {
                    order.iter().map(|&i| shared.intern(&texts[i]).expect("a hit").index()).sum()
                }),
            ),
            ("FxHashMap", Box::new(|order| order.iter().map(|&i| map[texts[i].as_str()] as usize).sum())),
            (
                "string-interner",
                Box::new(|order| {
                    use string_interner::Symbol as _;
                    order.iter().map(|&i| interner.get_or_intern(&texts[i]).to_usize()).sum()
                }),
            ),
            (
                "lasso",
                Box::new(|order| {
                    use lasso::Key as _;
                    order.iter().map(|&i| rodeo.get_or_intern(&texts[i]).into_usize()).sum()
                }),
            ),
            (
                "quick_cache",
                Box::new(|order| {
                    order.iter().map(|&i| cache.get(texts[i].as_str()).expect("in") as usize).sum()
                }),
            ),
        ],
        |i| i,
    );
    assert_eq!(pool.stats().interned, strings as u64, "all were hits");
    // What is resolved comes as a list of ids in the order of the walk, so that it is not their fetching that is timed.
    let walk: Vec<usize> = (0..strings + PASS).map(|i| i * STRIDE % strings).collect();
    let ids: Vec<_> = walk.iter().map(|&i| ids[i]).collect();
    let symbols: Vec<_> = walk.iter().map(|&i| symbols[i]).collect();
    let spurs: Vec<_> = walk.iter().map(|&i| spurs[i]).collect();
    let inverse = inverse(STRIDE, strings);
    let first = |order: &[usize]| order[0] * inverse % strings;
    turns(
        "resolve",
        strings,
        &mut [
            (
                "StringPool",
                Box::new(|order| {
                    let ids = &ids[first(order)..][..PASS];
                    ids.iter().map(|&id| black_box(pool.resolve(id).expect("alive")).len()).sum()
                }),
            ),
            (
                "string-interner",
                Box::new(|order| {
                    let symbols = &symbols[first(order)..][..PASS];
                    symbols.iter().map(|&id| black_box(interner.resolve(id).expect("in")).len()).sum()
                }),
            ),
            (
                "lasso",
                Box::new(|order| {
                    let spurs = &spurs[first(order)..][..PASS];
                    spurs.iter().map(|id| black_box(rodeo.resolve(id)).len()).sum()
                }),
            ),
            (
                "Vec<Box<str>>",
                Box::new(|order| {
                    let numbers = &walk[first(order)..][..PASS];
                    numbers.iter().map(|&i| black_box(&*list[i]).len()).sum()
                }),
            ),
        ],
        |i| texts[i].len(),
    );
}

/// The number that `stride` times it is 1 more than a multiple of `modulus`.
fn inverse(stride: usize, modulus: usize) -> usize {
    (1..modulus).find(|&number| number * stride % modulus == 1).expect("no common divisor")
}
