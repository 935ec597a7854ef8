//! `StringPool` beside its peers: interning what is there, and ids back to strings. 10,000 strings; the pool and quick_cache evict, the others
//! only grow.
//!
//! Not criterion: the contenders take turns, round by round, so that a machine whose speed wanders slows all of them alike; the figure is the
//! median of all rounds in ns an operation, with the tenth and ninetieth percentile. Every contender is checked before it is
//! timed. `--test` for one round.

use std::hint::black_box;
use std::time::Instant;

use bolt_objects::{StringPool, StringPoolConfig};
use rustc_hash::{FxBuildHasher, FxHashMap};
use string_interner::{DefaultSymbol, StringInterner, backend::StringBackend};

const STRINGS: usize = 10_000;
const PASS: usize = 10_000;
const ROUNDS: usize = 201;

fn turns(group: &str, contenders: &mut [(&str, Box<dyn FnMut(&[usize]) -> usize + '_>)], expected: &[usize]) {
    let rounds = if std::env::args().any(|arg| arg == "--test") { 1 } else { ROUNDS };
    let order: Vec<usize> = (0..PASS).map(|i| i * 7001 % STRINGS).collect();
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for ((name, pass), expected) in contenders.iter_mut().zip(expected) {
        assert_eq!(pass(&order), *expected, "{name}");
    }
    for _ in 0..rounds {
        for ((_, pass), times) in contenders.iter_mut().zip(&mut times) {
            let start = Instant::now();
            black_box(pass(black_box(&order)));
            times.push(start.elapsed().as_nanos() as f64 / PASS as f64);
        }
    }
    for ((name, _), times) in contenders.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!("{group:8} {name:18} {:6.2} ns   {:6.2} {:6.2}", at(50), at(10), at(90));
    }
}

fn main() {
    let texts: Vec<String> = (0..STRINGS).map(|i| format!("property {:x}", i * 7919)).collect();
    let mut pool =
        StringPool::new(StringPoolConfig::new(1 << 20).strings_max(STRINGS as u32)).expect("enough");
    let ids: Vec<_> = texts.iter().map(|text| pool.intern(text).expect("short")).collect();
    let mut map = FxHashMap::<Box<str>, u32>::default();
    map.extend(texts.iter().zip(0..).map(|(text, i)| (text.as_str().into(), i)));
    let mut interner = StringInterner::<StringBackend<DefaultSymbol>, FxBuildHasher>::new();
    let symbols: Vec<_> = texts.iter().map(|text| interner.get_or_intern(text)).collect();
    let mut rodeo = lasso::Rodeo::<lasso::Spur, FxBuildHasher>::with_hasher(FxBuildHasher);
    let spurs: Vec<_> = texts.iter().map(|text| rodeo.get_or_intern(text)).collect();
    let cache = quick_cache::sync::Cache::<Box<str>, u32>::new(STRINGS * 2);
    texts.iter().enumerate().for_each(|(i, text)| cache.insert(text.as_str().into(), i as u32));
    let list: Vec<Box<str>> = texts.iter().map(|text| text.as_str().into()).collect();

    let sum = STRINGS * (STRINGS - 1) / 2;
    {
        let (texts, map, cache) = (&texts, &map, &cache);
        turns(
            "hit",
            &mut [
                (
                    "StringPool",
                    Box::new(|order| {
                        order.iter().map(|&i| pool.intern(&texts[i]).expect("a hit").index()).sum()
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
            &[sum; 5],
        );
    }
    assert_eq!(pool.stats().interned, STRINGS as u64, "all were hits");
    let bytes = texts.iter().map(String::len).sum::<usize>();
    turns(
        "resolve",
        &mut [
            (
                "StringPool",
                Box::new(|order| {
                    order.iter().map(|&i| black_box(pool.resolve(ids[i]).expect("alive")).len()).sum()
                }),
            ),
            (
                "string-interner",
                Box::new(|order| {
                    order.iter().map(|&i| black_box(interner.resolve(symbols[i]).expect("in")).len()).sum()
                }),
            ),
            (
                "lasso",
                Box::new(|order| order.iter().map(|&i| black_box(rodeo.resolve(&spurs[i])).len()).sum()),
            ),
            ("Vec<Box<str>>", Box::new(|order| order.iter().map(|&i| black_box(&*list[i]).len()).sum())),
        ],
        &[bytes; 4],
    );
}
