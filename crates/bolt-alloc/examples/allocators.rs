//! Compares the system's allocator with jemalloc: time of single calls, of memory that one thread takes and another gives back,
//! and what stays resident when most of it was given back. `docs/jemalloc.md` quotes it.
//!
//! `cargo run --release -p bolt-alloc --example allocators --features jemalloc`
//!
//! Owns both allocators as plain values: neither is the global one, so both are timed in one process, turn by turn, and only their own
//! calls. What stays resident is measured in one child process for each case. It never reports a number of which it has not
//! checked that the memory could be written and read. Limits: resident bytes are read from `/proc`, so elsewhere they show as 0.
//! unsafe: allowed here

use std::alloc::{GlobalAlloc, Layout, System};
use std::env;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::ptr::NonNull;
use std::sync::Barrier;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use bolt_alloc::{Jemalloc, JemallocStats};

/// Turns of each allocator a case, taken alternately.
const TURNS: usize = 31;
/// Blocks taken and given back in one turn of one thread.
const CALLS: usize = 100_000;
/// Blocks alive at once where blocks of all sizes come and go.
const CHURN_LIVE: usize = 10_000;
/// Blocks handed from thread to thread at once, so that the channel does not count.
const BATCH: usize = 500;
/// Requested bytes alive before most of them are given back.
const FILL_BYTES: usize = 128 << 20;
/// Longer than the ten seconds over which jemalloc gives unused pages back.
const CALM: Duration = Duration::from_secs(12);

/// One block of an allocator, with its first and last byte written.
struct Block {
    /// Invariant 1: points at `layout.size()` bytes that `A` gave for `layout` and that nobody has given back.
    memory: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a block owns its bytes (invariant 1), and every `GlobalAlloc` takes memory back on any thread.
unsafe impl Send for Block {}

impl Block {
    /// Takes memory from `A`. The layout must have a size.
    #[inline]
    fn take<A: GlobalAlloc>(from: &A, layout: Layout) -> Self {
        assert!(layout.size() > 0);
        // SAFETY: the size is not zero.
        let memory = unsafe { from.alloc(layout) };
        let memory = NonNull::new(memory).expect("memory");
        for offset in [0, layout.size() - 1] {
            // SAFETY: the offset lies inside the block (invariant 1).
            let byte = unsafe { memory.add(offset) };
            // SAFETY: the byte is the block's own (invariant 1).
            unsafe { byte.write(offset as u8) };
        }
        Self { memory: black_box(memory), layout }
    }

    /// Gives it back. The allocator must be the one it was taken from: each case below has only one.
    #[inline]
    fn give<A: GlobalAlloc>(self, to: &A) {
        let last = self.layout.size() - 1;
        // SAFETY: the offset lies inside the block (invariant 1).
        let byte = unsafe { self.memory.add(last) };
        // SAFETY: `take` wrote this byte.
        let value = unsafe { byte.read() };
        assert_eq!(value, last as u8, "a block was overwritten");
        // SAFETY: invariant 1; `self` is consumed, so nobody gives it back again.
        unsafe { to.dealloc(self.memory.as_ptr(), self.layout) };
    }

    /// Writes one byte in each page, so that it is in memory.
    fn touch(&self) {
        for offset in (0..self.layout.size()).step_by(4096) {
            // SAFETY: the offset lies inside the block (invariant 1).
            let byte = unsafe { self.memory.add(offset) };
            // SAFETY: the byte is the block's own (invariant 1).
            unsafe { byte.write(offset as u8) };
        }
        let last = self.layout.size() - 1;
        // SAFETY: the offset lies inside the block (invariant 1).
        let byte = unsafe { self.memory.add(last) };
        // SAFETY: the byte is the block's own (invariant 1).
        unsafe { byte.write(last as u8) };
    }
}

/// xorshift: sizes and choices that are the same for both allocators.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize
    }

    /// A size of 16 bytes to twice `1 << top_log2` less one, each power of two equally likely.
    fn layout(&mut self, top_log2: usize) -> Layout {
        let power = 1 << (4 + self.roll() % (top_log2 - 3));
        Layout::from_size_align(power + self.roll() % power, 8).expect("small")
    }
}

/// One kind of work: runs one turn on one thread and says how long a block took.
#[derive(Clone, Copy)]
enum Work {
    /// Takes `held` blocks of one layout, gives them back in the same order.
    Same { layout: Layout, held: usize },
    /// Replaces blocks of 16 B to 8 KiB at random places among `CHURN_LIVE`.
    Churn,
}

impl Work {
    fn turn<A: GlobalAlloc>(self, allocator: &A) -> f64 {
        match self {
            Self::Same { layout, held } => {
                let mut blocks = Vec::with_capacity(held);
                let start = Instant::now();
                for _ in 0..CALLS / held {
                    for _ in 0..held {
                        blocks.push(Block::take(allocator, layout));
                    }
                    for block in blocks.drain(..) {
                        block.give(allocator);
                    }
                }
                start.elapsed().as_nanos() as f64 / (CALLS / held * held) as f64
            }
            Self::Churn => {
                let mut dice = Dice(0x2545_F491_4F6C_DD1D);
                let mut blocks: Vec<Block> =
                    (0..CHURN_LIVE).map(|_| Block::take(allocator, dice.layout(12))).collect();
                let start = Instant::now();
                for _ in 0..CALLS {
                    let new = Block::take(allocator, dice.layout(12));
                    std::mem::replace(&mut blocks[dice.roll() % CHURN_LIVE], new).give(allocator);
                }
                let time = start.elapsed();
                for block in blocks {
                    block.give(allocator);
                }
                time.as_nanos() as f64 / CALLS as f64
            }
        }
    }
}

/// The same work on `threads` threads at once; the mean of their times.
fn on_threads<A: GlobalAlloc + Sync>(threads: usize, work: Work, allocator: &A) -> f64 {
    let start = Barrier::new(threads);
    let sum: f64 = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    work.turn(allocator)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker")).sum()
    });
    sum / threads as f64
}

/// One thread takes blocks of 16 B to 8 KiB, another gives them back.
fn handed_over<A: GlobalAlloc + Sync>(allocator: &A) -> f64 {
    let (full, to_free) = sync_channel::<Vec<Block>>(4);
    let (empty, to_fill) = sync_channel::<Vec<Block>>(8);
    for _ in 0..6 {
        empty.send(Vec::with_capacity(BATCH)).expect("room");
    }
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(move || {
            for mut batch in to_free {
                for block in batch.drain(..) {
                    block.give(allocator);
                }
                // The taker may have ended.
                let _ = empty.send(batch);
            }
        });
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        for _ in 0..CALLS / BATCH {
            let mut batch = to_fill.recv().expect("the giver is there");
            batch.extend((0..BATCH).map(|_| Block::take(allocator, dice.layout(12))));
            full.send(batch).expect("the giver is there");
        }
        drop(full);
    });
    start.elapsed().as_nanos() as f64 / CALLS as f64
}

/// Times both allocators alternately and prints medians, and the median and quartiles of the turn-by-turn ratio.
fn compare(name: &str, system: impl Fn() -> f64, jemalloc: impl Fn() -> f64) {
    system();
    jemalloc();
    let (mut a, mut b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let (one, other) = if turn % 2 == 0 {
            let one = system();
            (one, jemalloc())
        } else {
            let other = jemalloc();
            (system(), other)
        };
        a.push(one);
        b.push(other);
        ratios.push(one / other);
    }
    for list in [&mut a, &mut b, &mut ratios] {
        list.sort_by(f64::total_cmp);
    }
    let (middle, quarter) = (TURNS / 2, TURNS / 4);
    println!(
        "| {name} | {:.0} | {:.0} | {:.2} | {:.2}–{:.2} |",
        a[middle],
        b[middle],
        ratios[middle],
        ratios[quarter],
        ratios[TURNS - 1 - quarter]
    );
}

/// Resident bytes of this process, 0 where there is no `/proc`.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<usize>().ok()).unwrap_or_default() << 10
}

/// Blocks of 16 B to 16 KiB, `FILL_BYTES` in all, then nine in ten given back at random, then calm, then full again. With
/// more than one thread these fill and end; the main thread does all the rest.
fn residue<A: GlobalAlloc + Sync>(allocator: &A, threads: usize, stats: impl Fn() -> Option<JemallocStats>) {
    // The tables are in memory before the first reading.
    let per_thread = FILL_BYTES / threads / 1000;
    let mut tables: Vec<Vec<Option<Block>>> =
        (0..threads).map(|_| (0..per_thread).map(|_| None).collect()).collect();
    let base = resident();
    let fill = |table: &mut Vec<Option<Block>>, dice: &mut Dice, bytes: usize, top_log2: usize| {
        let mut left = bytes as isize;
        for place in table.iter_mut().filter(|place| place.is_none()) {
            if left <= 0 {
                break;
            }
            let layout = dice.layout(top_log2);
            left -= layout.size() as isize;
            let block = Block::take(allocator, layout);
            block.touch();
            *place = Some(block);
        }
        assert!(left <= 0, "the table is too short");
    };
    let report = |step: &str, tables: &[Vec<Option<Block>>]| {
        let live: usize = tables.iter().flatten().flatten().map(|block| block.layout.size()).sum();
        let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        let now = resident().saturating_sub(base);
        print!("{threads}\t{step}\t{:.1}\t{:.1}\t{:.2}", mib(live), mib(now), now as f64 / live as f64);
        match stats() {
            Some(s) => println!(
                "\t{:.1}\t{:.1}\t{:.1}\t{:.2}",
                mib(s.allocated),
                mib(s.active),
                mib(s.resident),
                s.fragmentation()
            ),
            None => println!("\t\t\t\t"),
        }
    };
    let seed = 0x2545_F491_4F6C_DD1D;
    if let [table] = tables.as_mut_slice() {
        // On this very thread, which gives back and fills again: allocators keep memory apart by thread.
        fill(table, &mut Dice(seed), FILL_BYTES, 13);
    } else {
        thread::scope(|scope| {
            for (number, table) in tables.iter_mut().enumerate() {
                let fill = &fill;
                scope.spawn(move || fill(table, &mut Dice(seed + number as u64), FILL_BYTES / threads, 13));
            }
        });
    }
    report("full", &tables);
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for place in tables.iter_mut().flatten() {
        if !dice.roll().is_multiple_of(10)
            && let Some(block) = place.take()
        {
            block.give(allocator);
        }
    }
    report("90 % given back", &tables);
    let calm = Instant::now();
    while calm.elapsed() < CALM {
        for _ in 0..1000 {
            Block::take(allocator, dice.layout(13)).give(allocator);
        }
        thread::sleep(Duration::from_millis(10));
    }
    report("12 s later", &tables);
    for table in &mut tables {
        fill(table, &mut dice, FILL_BYTES / threads / 10 * 9, 13);
    }
    report("full again", &tables);
    for block in tables.into_iter().flatten().flatten() {
        block.give(allocator);
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [case, allocator, threads] = arguments.as_slice()
        && case == "residue"
    {
        let threads = threads.parse().expect("a number of threads");
        if allocator == "jemalloc" {
            residue(&Jemalloc, threads, || JemallocStats::read().ok());
        } else {
            residue(&System, threads, || None);
        }
        return;
    }
    println!("Time a block, taken and given back (ns; ratio above 1: jemalloc is faster)\n");
    println!("| case | system | jemalloc | ratio | quartiles |\n|---|---:|---:|---:|---:|");
    let layout = |size, align| Layout::from_size_align(size, align).expect("small");
    let small = [
        ("64 B", Work::Same { layout: layout(64, 8), held: 1 }),
        ("1 KiB", Work::Same { layout: layout(1024, 8), held: 1 }),
        ("1 KiB aligned to 64", Work::Same { layout: layout(1024, 64), held: 1 }),
        ("64 B, 100 held", Work::Same { layout: layout(64, 8), held: 100 }),
        ("1 KiB aligned to 64, 100 held", Work::Same { layout: layout(1024, 64), held: 100 }),
        ("64 KiB", Work::Same { layout: layout(64 << 10, 8), held: 1 }),
        ("16 B–8 KiB, 10,000 held, replaced at random", Work::Churn),
    ];
    for (name, work) in small {
        for threads in [1, 2] {
            let name = format!("{name}, {threads} thread{}", if threads == 1 { "" } else { "s" });
            compare(&name, || on_threads(threads, work, &System), || on_threads(threads, work, &Jemalloc));
        }
    }
    compare("16 B–8 KiB, handed to another thread", || handed_over(&System), || handed_over(&Jemalloc));

    println!("\nMiB resident for blocks of 16 B to 16 KiB, each case in a process of its own\n");
    println!(
        "| allocator | filled by threads | step | live | resident | resident / live | allocated | active | resident (jemalloc's) | fragmentation |"
    );
    println!("|---|---:|---|---:|---:|---:|---:|---:|---:|---:|");
    let myself = env::current_exe().expect("this program's path");
    let cases = [("system", "1"), ("jemalloc", "1"), ("system", "8"), ("jemalloc", "8")];
    let children = cases.map(|(allocator, threads)| {
        let child =
            Command::new(&myself).args(["residue", allocator, threads]).stdout(Stdio::piped()).spawn();
        (allocator, child.expect("this program starts"))
    });
    for (allocator, child) in children {
        let output = child.wait_with_output().expect("the child ends");
        assert!(output.status.success(), "the case of {allocator} failed");
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            println!("| {allocator} | {} |", line.replace('\t', " | "));
        }
    }
}
