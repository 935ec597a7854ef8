//! Arenas beside their peers: bumpalo, bump-scope, typed-arena, slotmap, a reserved `Vec`; and lists that could serve inside one.
//!
//! Not criterion: the contenders take turns, round by round, so that a machine whose speed wanders slows all of them alike, and each
//! ratio is one of neighbours in time. Every contender first shows that it computes the same answer. Limits: one thread; values are made from one
//! opaque register, since copying an opaque aggregate measures the copy. Arguments: a part of a group's name to run
//! only that; `--test` for one round.

use std::hint::black_box;
use std::time::Instant;

use bolt_arena::BoltPool;

/// Allocations a pass: 8 KiB of `u64`, so everything stays in the first-level cache.
const PASS: u64 = 1000;
/// Scopes of eight a pass.
const SCOPES: u64 = 125;
/// Passes a turn: long enough for the clock, short enough that the machine is the same for the next contender.
const PASSES_PER_TURN: u32 = 40;
const WARM_UP_ROUNDS: usize = 20;
const ROUNDS: usize = 400;
/// Values in the scratch of the pool under test: a pass fits.
const SCRATCH: usize = 1024;

/// 24 bytes made from one register.
#[derive(Clone, Copy)]
struct Three([u64; 3]);

impl Three {
    #[inline(always)]
    fn new(seed: u64) -> Self {
        Self([seed, seed ^ 1, seed ^ 2])
    }
}

/// One pass of allocation: each value gets a reference, a handle or a key, which the compiler must produce.
macro_rules! pass {
    ($value:expr, $alloc:expr) => {{
        // A sum, so that the running value is a register: `black_box` pins the place it returned in memory.
        let mut seed = black_box(6_u64) + 1;
        for _ in 0..PASS {
            black_box($alloc($value(seed)));
            seed += 3;
        }
        seed
    }};
}

/// Eight allocations.
macro_rules! eight {
    ($alloc:expr) => {{
        let seed = black_box(1_u64);
        for i in 0..8 {
            black_box($alloc(seed + i));
        }
        seed
    }};
}

type Contender = (&'static str, Box<dyn FnMut() -> u64>);

/// Runs the contenders in turns and prints, for each, the median of its times per operation and of its ratios to the first.
fn turns(group: &str, expected: u64, operations_per_pass: u64, mut contenders: Vec<Contender>) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let only = arguments.iter().find(|argument| !argument.starts_with("--"));
    if only.is_some_and(|only| !group.contains(only.as_str())) {
        return;
    }
    let rounds = if arguments.iter().any(|argument| argument == "--test") { 1 } else { ROUNDS };
    for (name, pass) in &mut contenders {
        assert_eq!(pass(), expected, "{group}: {name}");
    }
    let mut times_ns = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..WARM_UP_ROUNDS + rounds {
        for (at, (_, pass)) in contenders.iter_mut().enumerate() {
            let start = Instant::now();
            for _ in 0..PASSES_PER_TURN {
                black_box(pass());
            }
            let operations = u64::from(PASSES_PER_TURN) * operations_per_pass;
            if round >= WARM_UP_ROUNDS {
                times_ns[at].push(start.elapsed().as_nanos() as f64 / operations as f64);
            }
        }
    }
    println!("{group}");
    for (at, (name, _)) in contenders.iter().enumerate() {
        let ratios = times_ns[at].iter().zip(&times_ns[0]).map(|(mine, first)| mine / first).collect();
        let ([low, median, high], ns) = (quartiles(ratios), quartiles(times_ns[at].clone())[1]);
        println!("  {name:<28} {ns:7.2} ns   {median:5.2} × the first (quartiles {low:.2}–{high:.2})");
    }
}

fn quartiles(mut numbers: Vec<f64>) -> [f64; 3] {
    numbers.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| numbers[numbers.len() * quarter / 4])
}

fn unchecked<T: Copy + 'static>(group: &str, value: impl Fn(u64) -> T + Copy + 'static) {
    let mut scratch = Box::new(BoltPool::<T, SCRATCH>::new());
    let mut arena = BoltPool::<T, 0>::new();
    let mut bump = bumpalo::Bump::with_capacity(64 << 10);
    let mut scoped: bump_scope::Bump = bump_scope::Bump::with_size(64 << 10);
    let mut list: Vec<T> = Vec::with_capacity(PASS as usize);
    let contenders: Vec<Contender> = vec![
        (
            "bumpalo",
            Box::new(move || {
                let seed = pass!(value, |v| bump.alloc(v) as *mut T);
                bump.reset();
                seed
            }),
        ),
        (
            "bolt_frame in scratch",
            Box::new(move || {
                scratch.frame(|frame| pass!(value, |v| frame.alloc(v).expect("memory") as *mut T))
            }),
        ),
        (
            "bolt_frame in arena",
            Box::new(move || {
                arena.frame(|frame| pass!(value, |v| frame.alloc(v).expect("memory") as *mut T))
            }),
        ),
        (
            "bump_scope",
            Box::new(move || {
                scoped
                    .scoped(|scope| pass!(value, |v| bump_scope::BumpBox::into_raw(scope.alloc(v)).as_ptr()))
            }),
        ),
        // It has no reset: each pass pays for one arena of the right size.
        (
            "typed_arena, a new one a pass",
            Box::new(move || {
                let arena = typed_arena::Arena::with_capacity(PASS as usize);
                pass!(value, |v| arena.alloc(v) as *mut T)
            }),
        ),
        (
            "vec, reserved",
            Box::new(move || {
                let seed = pass!(value, |v| {
                    list.push(v);
                    list.last().map(|v| v as *const T)
                });
                list.clear();
                seed
            }),
        ),
    ];
    turns(group, 7 + 3 * PASS, PASS, contenders);
}

fn checked<T: Copy + 'static>(group: &str, value: impl Fn(u64) -> T + Copy + 'static) {
    let mut pool = Box::new(BoltPool::<T, SCRATCH>::new());
    let mut map = slotmap::SlotMap::<slotmap::DefaultKey, T>::with_capacity(PASS as usize);
    let contenders: Vec<Contender> = vec![
        (
            "slotmap, insert and clear",
            Box::new(move || {
                let seed = pass!(value, |v| map.insert(v));
                map.clear();
                seed
            }),
        ),
        (
            "bolt_pool, alloc and reset",
            Box::new(move || {
                let seed = pass!(value, |v| pool.alloc_value(v).expect("memory"));
                pool.reset_all();
                seed
            }),
        ),
    ];
    turns(group, 7 + 3 * PASS, PASS, contenders);
}

fn resolve() {
    // A fixed shuffle, so that nobody profits from order.
    let order: Vec<usize> = (0..PASS as usize).map(|i| i * 389 % PASS as usize).collect();

    let mut pool = Box::new(BoltPool::<u64, SCRATCH>::new());
    let made: Vec<_> = (0..PASS).map(|i| pool.alloc_value(i).expect("memory")).collect();
    let handles: Vec<_> = order.iter().map(|&i| made[i]).collect();

    let mut arena = BoltPool::<u64, 0>::new();
    let made: Vec<_> = (0..PASS).map(|i| arena.alloc_value(i).expect("memory")).collect();
    let arena_handles: Vec<_> = order.iter().map(|&i| made[i]).collect();

    let mut map = slotmap::SlotMap::<slotmap::DefaultKey, u64>::new();
    let made: Vec<_> = (0..PASS).map(|i| map.insert(i)).collect();
    let keys: Vec<_> = order.iter().map(|&i| made[i]).collect();

    let list: Vec<u64> = (0..PASS).collect();
    let contenders: Vec<Contender> = vec![
        ("slotmap", Box::new(move || keys.iter().map(|&key| map[key]).sum())),
        (
            "bolt_pool in scratch",
            Box::new(move || handles.iter().map(|&handle| pool.resolve(handle).expect("live")[0]).sum()),
        ),
        (
            "bolt_pool in arena",
            Box::new(move || {
                arena_handles.iter().map(|&handle| arena.resolve(handle).expect("live")[0]).sum()
            }),
        ),
        ("vec, index", Box::new(move || order.iter().map(|&i| list[i]).sum())),
    ];
    turns("resolve/u64", (0..PASS).sum(), PASS, contenders);
}

/// Scopes of eight allocations, rolled back; the time is of one scope.
fn scope_of_8() {
    let mut frames = BoltPool::<u64, 256>::new();
    frames.alloc_value(1).expect("memory");
    let mut pool = BoltPool::<u64, 256>::new();
    pool.alloc_value(1).expect("memory");
    let mut scoped: bump_scope::Bump = bump_scope::Bump::with_size(64 << 10);
    let mut bump = bumpalo::Bump::with_capacity(64 << 10);
    let mut list: Vec<u64> = Vec::with_capacity(64);
    list.push(1);
    let contenders: Vec<Contender> = vec![
        (
            "bump_scope",
            Box::new(move || {
                let scope =
                    || scoped.scoped(|s| eight!(|v| bump_scope::BumpBox::into_raw(s.alloc(v)).as_ptr()));
                std::iter::repeat_with(scope).take(SCOPES as usize).sum()
            }),
        ),
        (
            "bolt_frame",
            Box::new(move || {
                let scope = || frames.frame(|f| eight!(|v| f.alloc(v).expect("memory") as *mut u64));
                std::iter::repeat_with(scope).take(SCOPES as usize).sum()
            }),
        ),
        (
            "bolt_pool, handles",
            Box::new(move || {
                let scope = || pool.scope(|p| eight!(|v| p.alloc_value(v).expect("memory")));
                std::iter::repeat_with(scope).take(SCOPES as usize).sum()
            }),
        ),
        (
            "bumpalo, reset",
            Box::new(move || {
                let scope = || {
                    let seed = eight!(|v| bump.alloc(v) as *mut u64);
                    bump.reset();
                    seed
                };
                std::iter::repeat_with(scope).take(SCOPES as usize).sum()
            }),
        ),
        (
            "vec, truncate",
            Box::new(move || {
                let scope = || {
                    let mark = list.len();
                    let seed = eight!(|v| {
                        list.push(v);
                        list.last().map(|v| v as *const u64)
                    });
                    list.truncate(mark);
                    seed
                };
                std::iter::repeat_with(scope).take(SCOPES as usize).sum()
            }),
        ),
    ];
    turns("scope_of_8/u64", SCOPES, SCOPES, contenders);
}

/// What an entry of the pool's log weighs.
type LogEntry = [u64; 2];

/// Where `smallvec` could serve: the pool's log of 16-byte entries, kept for as long as the pool, and its table of chunks, of which a record needs none
/// or a few. The time is of one round: eight entries written and cut off again, or all of 1,000 read in a shuffled order.
fn list_inside() {
    fn rounds(mut one: impl FnMut(LogEntry)) -> u64 {
        (0..SCOPES).map(|_| eight!(|v| one([v, v]))).sum()
    }
    // Both keep their lists, as a pool does.
    let mut list: Vec<LogEntry> = Vec::with_capacity(64);
    let mut inline = smallvec::SmallVec::<[LogEntry; 64]>::new();
    let mut spilled = smallvec::SmallVec::<[LogEntry; 8]>::with_capacity(64);
    assert!(!inline.spilled() && spilled.spilled());
    macro_rules! kept {
        ($list:ident) => {
            Box::new(move || {
                rounds(|entry| {
                    if $list.len() == 8 {
                        $list.truncate(0);
                    }
                    $list.push(entry);
                    black_box(&mut $list);
                })
            })
        };
    }
    turns(
        "list_inside/write-8",
        SCOPES,
        SCOPES,
        vec![
            ("vec", kept!(list)),
            ("smallvec, in place", kept!(inline)),
            ("smallvec, spilled", kept!(spilled)),
        ],
    );

    let order: Vec<usize> = (0..PASS as usize).map(|i| i * 389 % PASS as usize).collect();
    let list: Vec<LogEntry> = (0..PASS).map(|i| [i, 0]).collect();
    let spilled: smallvec::SmallVec<[LogEntry; 8]> = list.iter().copied().collect();
    let inline: Box<smallvec::SmallVec<[LogEntry; 1024]>> = Box::new(list.iter().copied().collect());
    assert!(spilled.spilled() && !inline.spilled());
    macro_rules! read {
        ($list:ident) => {{
            let order = order.clone();
            Box::new(move || {
                order.iter().map(|&i| black_box(&$list).get(i).map_or(0, |entry| entry[0])).sum()
            })
        }};
    }
    turns(
        "list_inside/read",
        (0..PASS).sum(),
        PASS,
        vec![
            ("vec", read!(list)),
            ("smallvec, in place", read!(inline)),
            ("smallvec, spilled", read!(spilled)),
        ],
    );

    // What a first use costs: the one place where room in place saves a call of the allocator.
    turns(
        "list_inside/new-8-drop",
        SCOPES,
        SCOPES,
        vec![
            (
                "vec",
                Box::new(|| {
                    let one = || {
                        let mut list: Vec<LogEntry> = Vec::with_capacity(64);
                        eight!(|v| {
                            list.push([v, v]);
                            list.as_ptr()
                        })
                    };
                    std::iter::repeat_with(one).take(SCOPES as usize).sum()
                }),
            ),
            (
                "smallvec, in place",
                Box::new(|| {
                    let one = || {
                        let mut list = smallvec::SmallVec::<[LogEntry; 64]>::new();
                        eight!(|v| {
                            list.push([v, v]);
                            list.as_ptr()
                        })
                    };
                    std::iter::repeat_with(one).take(SCOPES as usize).sum()
                }),
            ),
        ],
    );
}

fn main() {
    unchecked("alloc/u64", |seed| seed);
    unchecked("alloc/24-bytes", Three::new);
    checked("checked_alloc/u64", |seed| seed);
    checked("checked_alloc/24-bytes", Three::new);
    resolve();
    scope_of_8();
    list_inside();
    // Read once, so that the compiler cannot drop the fields.
    assert_eq!(Three::new(5).0.iter().sum::<u64>(), 5 + 4 + 7);
}
