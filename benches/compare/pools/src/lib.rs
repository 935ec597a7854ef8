//! What the comparisons share: shapes of use that take turns, and the table they print. Owns nothing at run time; never published.
//! Limits: two threads.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Rounds of one row.
pub const ROUNDS: usize = 60;
/// Operations of one round on one thread.
pub const OPERATIONS: u64 = 20_000;
/// Time of one round with two threads: a shared window, since with a fixed count the slower thread ends unopposed.
const WINDOW: Duration = Duration::from_millis(5);
/// Items handed over at once across threads.
const BATCH: usize = 32;

/// One operation of a contender. A trait and not a closure, since the method can be told to stand in the loop that times it: a call would be
/// a third of what some contenders cost.
pub trait Trip {
    /// Does it once; `#[inline(always)]`.
    fn trip(&self);
}

/// One operation at a time on this thread: nanoseconds of one.
pub fn alone(it: &impl Trip) -> f64 {
    let start = Instant::now();
    for _ in 0..OPERATIONS {
        it.trip();
    }
    start.elapsed().as_nanos() as f64 / OPERATIONS as f64
}

/// The same operation on two threads at once: nanoseconds of one operation of one thread.
pub fn together(it: &(impl Trip + Sync)) -> f64 {
    each(it, it)
}

/// As [`together`], each thread with a contender of its own: what two busy cores lose to each other when nothing is shared.
pub fn each<T: Trip + Sync>(one: &T, two: &T) -> f64 {
    let (stop, barrier, total) = (AtomicBool::new(false), Barrier::new(2), AtomicU64::new(0));
    let body = |it: &T, leads: bool| {
        alone(it);
        barrier.wait();
        let start = Instant::now();
        let mut operations = 0_u64;
        // At least once, also where the other thread's window is over before this one is let run.
        while operations == 0 || !stop.load(Ordering::Relaxed) {
            for _ in 0..256 {
                it.trip();
            }
            operations += 256;
            if leads && start.elapsed() >= WINDOW {
                stop.store(true, Ordering::Relaxed);
            }
        }
        total.fetch_add((start.elapsed().as_nanos() as u64) * 1000 / operations, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        scope.spawn(|| body(two, false));
        body(one, true);
    });
    total.load(Ordering::Relaxed) as f64 / 2000.0
}

/// Waits for the other thread; where that one has no core, lets it have this one.
fn pause(turns: &mut u32) {
    *turns = turns.wrapping_add(1);
    if turns.is_multiple_of(1024) { thread::yield_now() } else { std::hint::spin_loop() }
}

/// Taken on one thread, given back on another, 32 at a time over a ring: nanoseconds an item.
#[inline(always)]
pub fn across<T: Send>(mut take: impl FnMut() -> T, mut give: impl FnMut(T) + Send) -> f64 {
    let (mut sender, mut receiver) = bolt_sync::ring::with_capacity::<T>(4 * BATCH).expect("memory");
    thread::scope(|scope| {
        let consumer = scope.spawn(move || {
            let (mut received, mut turns) = (0, 0);
            while received < OPERATIONS {
                let n = receiver.pop_each(BATCH, |item| give(black_box(item)));
                if n == 0 {
                    pause(&mut turns);
                }
                received += n as u64;
            }
        });
        let start = Instant::now();
        let (mut sent, mut turns) = (0, 0);
        let mut batch = Vec::with_capacity(BATCH);
        while sent < OPERATIONS {
            while sender.free() < BATCH {
                pause(&mut turns);
            }
            for _ in 0..BATCH {
                batch.push(take());
            }
            sent += sender.push_iter(batch.drain(..)) as u64;
        }
        consumer.join().expect("nobody panics");
        start.elapsed().as_nanos() as f64 / OPERATIONS as f64
    })
}

/// A contender: its name, and one round of it.
pub type Run<'a> = (&'static str, Box<dyn Fn() -> f64 + 'a>);

/// Runs the contenders in turns and prints a line for each: median, tenth and ninetieth percentile, and the ratio to the first.
pub fn row(name: &str, contenders: &[Run<'_>], rounds: usize) {
    let mut samples = vec![Vec::new(); contenders.len()];
    for (_, run) in contenders {
        run();
    }
    for _ in 0..rounds {
        for (samples, (_, run)) in samples.iter_mut().zip(contenders) {
            samples.push(run());
        }
    }
    println!("{name}");
    let mut ours = None;
    for (samples, (contender, _)) in samples.iter_mut().zip(contenders) {
        samples.sort_by(f64::total_cmp);
        let at = |part: f64| samples[((samples.len() - 1) as f64 * part) as usize];
        let median = at(0.5);
        let ratio = median / *ours.get_or_insert(median);
        println!("  {contender:<28} {median:>9.2} ns  [{:>8.2} {:>8.2}]  x {ratio:.2}", at(0.1), at(0.9));
    }
}
