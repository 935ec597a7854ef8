//! Owns: one process of the study: the work with one set of techniques under this binary's allocator, and the lines it prints. Never compares.
//! On one thread the time is the processor's, so that neighbours do not count, without what making the input takes; latencies are by the clock.
//! Arguments: `CONFIGURATION THREADS SCALE`; lines as in [`figures`](crate::figures).

use std::env;
use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use bolt_alloc::global_counts;
use cpu_time::ThreadTime;

use crate::batches::batches;
use crate::figures::{Figures, Techniques, WORKLOADS};
use crate::kinds::{Common, Pools};
use crate::log::log;
use crate::measure::{Histogram, Resident, Rng, Work};
use crate::names::names;
use crate::nodes::nodes;

/// Operations of each workload at scale 100, in the order of [`WORKLOADS`].
const OPERATIONS: [usize; 4] = [20_000, 9_000, 40_000, 40_000];
/// Keys of the tree and of the table at scale 100. Each thread of several has its share of them.
const TREE_KEYS: usize = 60_000;
const TABLE_KEYS: usize = 8_000;

/// How much of the work is done.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Threads; with more than one, each does its share of the operations.
    pub threads: usize,
    /// In hundredths.
    pub scale: usize,
}

impl Size {
    fn operations(self, workload: usize) -> usize {
        (OPERATIONS[workload] * self.scale / 100 / self.threads).max(1)
    }

    fn make<'c, 'p>(self, workload: usize, thread: usize, common: &'c Common<'p>) -> Box<dyn Work + 'c> {
        let seed = Rng::new((thread * WORKLOADS.len() + workload) as u64).word();
        let share = |keys: usize| (keys * self.scale / 100 / self.threads).max(64);
        match workload {
            0 => nodes(common, seed, share(TREE_KEYS)),
            1 => batches(common, seed, share(TABLE_KEYS)),
            2 => log(common, seed),
            _ => names(common, seed),
        }
    }
}

/// What one workload took on one thread.
#[derive(Default)]
struct Taken {
    answer: u64,
    time: Duration,
    latencies: Histogram,
}

impl Taken {
    fn operate(&mut self, work: &mut dyn Work, operations: usize) {
        let begin = ThreadTime::now();
        for _ in 0..operations {
            work.prepare();
            let begin = Instant::now();
            let answer = work.operate();
            self.latencies.record(begin.elapsed());
            self.answer = self.answer.wrapping_add(answer);
        }
        self.time += begin.elapsed();
    }

    fn finish(&mut self, work: &mut dyn Work) {
        let begin = ThreadTime::now();
        self.answer = self.answer.wrapping_add(work.finish());
        self.time += begin.elapsed();
    }

    /// Takes off what everything beside the operations costs, by doing that alone.
    fn without_input(&mut self, work: &mut dyn Work, operations: usize) {
        let mut idle = Histogram::new();
        let begin = ThreadTime::now();
        for _ in 0..operations {
            work.prepare();
            idle.record(Instant::now().elapsed());
        }
        self.time = self.time.saturating_sub(begin.elapsed());
    }

    fn add(&mut self, other: &Self) {
        self.answer = self.answer.wrapping_add(other.answer);
        self.time += other.time;
        self.latencies.merge(&other.latencies);
    }

    fn figures(&self, workload: &str) -> Figures {
        Figures {
            workload: workload.into(),
            operations: self.latencies.count(),
            answer: self.answer,
            time_us: self.time.as_micros() as u64,
            p50_ns: self.latencies.per_mille(500),
            p99_ns: self.latencies.per_mille(990),
            p999_ns: self.latencies.per_mille(999),
            ..Figures::default()
        }
    }
}

/// All four workloads, one after the other on one thread, each with its own counts; then all of them.
fn on_one_thread(on: Techniques, size: Size) -> Vec<Figures> {
    let mut lines: Vec<Figures> = Vec::with_capacity(WORKLOADS.len() + 1);
    let mut sum = Figures::default();
    // The histograms are the study's own, so they are made outside of what is counted.
    let mut each: Vec<Taken> = WORKLOADS.iter().map(|_| Taken::default()).collect();
    let pools = Pools::new();
    let common = Common::new(on, false, &pools);
    let mut kept = Vec::with_capacity(WORKLOADS.len());
    for (workload, taken) in each.iter_mut().enumerate() {
        let before = global_counts();
        let mut work = size.make(workload, 0, &common);
        taken.operate(&mut *work, size.operations(workload));
        taken.finish(&mut *work);
        let after = global_counts();
        kept.push(work);
        lines.push(Figures {
            allocations: after.allocations - before.allocations,
            reallocations: after.reallocations - before.reallocations,
            bytes: after.bytes_allocated - before.bytes_allocated,
            ..Figures::default()
        });
    }
    // Everything is still there; then everything has gone but what pools hold.
    let live = Resident::read();
    sum.live_kib = live.now_kib;
    // The kernel's peak lags a little behind what is resident.
    sum.peak_kib = live.peak_kib.max(live.now_kib);
    sum.peak_live = global_counts().peak_bytes;
    drop(kept);
    sum.end_kib = Resident::read().now_kib;
    let mut whole = Taken::default();
    for (workload, (taken, line)) in each.iter_mut().zip(&mut lines).enumerate() {
        taken.without_input(&mut *size.make(workload, 0, &common), size.operations(workload));
        let Figures { allocations, reallocations, bytes, .. } = *line;
        *line = Figures { allocations, reallocations, bytes, ..taken.figures(WORKLOADS[workload]) };
        sum.allocations += allocations;
        sum.reallocations += reallocations;
        sum.bytes += bytes;
        whole.add(taken);
    }
    let Figures { allocations, reallocations, bytes, peak_live, peak_kib, live_kib, end_kib, .. } = sum;
    let whole = whole.figures("whole");
    lines.push(Figures {
        allocations,
        reallocations,
        bytes,
        peak_live,
        peak_kib,
        live_kib,
        end_kib,
        ..whole
    });
    lines
}

/// The stress run: every thread does all four workloads, each beginning with another one; pools, the log's queue and the names are shared. The
/// time is from when the first begins to when the last ends.
fn on_many_threads(on: Techniques, size: Size) -> Figures {
    let pools = Pools::new();
    let common = Common::new(on, true, &pools);
    let start = Barrier::new(size.threads);
    let before = global_counts();
    let ended: Vec<(Taken, Instant, Instant)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..size.threads)
            .map(|thread| {
                let (common, start) = (&common, &start);
                scope.spawn(move || {
                    let mut taken = Taken::default();
                    let mut works: Vec<_> = WORKLOADS.iter().map(|_| None).collect();
                    start.wait();
                    let begin = Instant::now();
                    for turn in 0..WORKLOADS.len() {
                        let workload = (thread + turn) % WORKLOADS.len();
                        let work = works[workload].insert(size.make(workload, thread, common));
                        taken.operate(&mut **work, size.operations(workload));
                    }
                    for work in works.iter_mut().flatten() {
                        taken.finish(&mut **work);
                    }
                    (taken, begin, Instant::now())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    let mut whole = Taken::default();
    ended.iter().for_each(|(taken, ..)| whole.add(taken));
    let first = ended.iter().map(|&(_, begin, _)| begin).min();
    let time = first
        .zip(ended.iter().map(|&(.., end)| end).max())
        .map_or(Duration::ZERO, |(begin, end)| end - begin);
    let after = global_counts();
    let resident = Resident::read();
    Figures {
        time_us: time.as_micros() as u64,
        allocations: after.allocations - before.allocations,
        reallocations: after.reallocations - before.reallocations,
        bytes: after.bytes_allocated - before.bytes_allocated,
        peak_live: after.peak_bytes,
        peak_kib: resident.peak_kib,
        live_kib: 0,
        end_kib: resident.now_kib,
        ..whole.figures("whole")
    }
}

/// The work of one configuration, here and now.
pub fn run(on: Techniques, size: Size) -> Vec<Figures> {
    if size.threads == 1 { on_one_thread(on, size) } else { vec![on_many_threads(on, size)] }
}

/// The whole of a worker binary.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let parsed = match &arguments[..] {
        [on, threads, scale] => Techniques::parse(on).zip(threads.parse().ok().zip(scale.parse().ok())),
        _ => None,
    };
    let Some((on, (threads, scale))) = parsed.filter(|&(_, (threads, _))| threads > 0) else {
        eprintln!(
            "expected CONFIGURATION THREADS SCALE, such as `+arena 1 100`, but got {arguments:?}; `study run` calls this"
        );
        return ExitCode::FAILURE;
    };
    for figures in run(on, Size { threads, scale }) {
        println!("{figures}");
    }
    ExitCode::SUCCESS
}
