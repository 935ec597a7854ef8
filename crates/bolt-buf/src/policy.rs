//! When a buffer should grow or shrink: numbers in, a decision out.
//!
//! Owns a moving average and two counters. Never touches memory, so that every traffic shape can be a row of a table.
//!
//! ```text
//!  share of capacity
//!  1.00 ┤
//!  0.85 ┤ - - - - - - - - - - -  above for 3 cycles in a row: grow (at least double)
//!       │      nothing happens
//!  0.30 ┤ - - - - - - - - - - -  below for 32 cycles in a row, and idle, and drained: shrink
//!  0.00 ┤
//! ```
//!
//! Doubling halves the share, 0.85 → 0.425, which is still above 0.30: growing never makes shrinking due. A counter goes
//! back to zero when its condition is *missed* or acted upon; the original reset it on every hit as well, so it never adapted.

use crate::config::GrowthConfig;

/// What the owner of a buffer reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cycle {
    /// An I/O cycle has ended: one read, or one batch of writes. A cycle in which no byte entered is not counted.
    Active,
    /// A tick without traffic; how long a tick is, is the owner's to say. Only here a buffer ever shrinks.
    Idle,
}

/// What a [`GrowthPolicy`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Leave the capacity as it is.
    Keep,
    /// Grow to this capacity, which is larger than the present one.
    Grow {
        /// The capacity to reach, in bytes.
        to_bytes: usize,
    },
    /// Shrink to this capacity, which is smaller than the present one and not below the floor.
    Shrink {
        /// The capacity to reach, in bytes.
        to_bytes: usize,
    },
}

/// The adaptive part of a [`BoltBuf`](crate::BoltBuf): an exponential moving average of the bytes per cycle, with hysteresis.
///
/// About two cache lines, no heap. One observation costs a multiplication and four comparisons.
///
/// ```
/// use bolt_buf::{Cycle, Decision, GrowthConfig, GrowthPolicy};
///
/// let mut policy = GrowthPolicy::new(GrowthConfig::default(), 16 << 10, 128 << 10);
/// let mut capacity = 16 << 10;
/// for _ in 0..100 {
///     if let Decision::Grow { to_bytes } = policy.observe(Cycle::Active, 16 << 10, capacity, true) {
///         capacity = to_bytes;
///     }
/// }
/// assert_eq!(capacity, 32 << 10, "16 KiB a cycle fill half of 32 KiB, and there it rests");
/// ```
#[derive(Clone, Debug)]
pub struct GrowthPolicy {
    config: GrowthConfig,
    floor_bytes: usize,
    ceiling_bytes: usize,
    /// In 256ths of a byte: integers, since a conversion to floating point and back is dearer than all the rest of a cycle.
    average_q8: i64,
    alpha_q16: i64,
    /// The capacity for which the thresholds below were computed.
    capacity_bytes: usize,
    grow_above_q8: i64,
    shrink_below_q8: i64,
    high_cycles: u32,
    low_cycles: u32,
    idle_cycles: u32,
}

/// The largest cycle that is told from larger ones, 256 GiB: 46 bits with its fraction, 62 once multiplied by alpha.
const CYCLE_BYTES_MAX: u64 = 1 << 38;

const Q8: f64 = 256.0;
const Q16: f64 = 65_536.0;

impl GrowthPolicy {
    /// A policy that moves a capacity between a floor and a ceiling. A ceiling below the floor counts as the floor.
    #[must_use]
    pub fn new(config: GrowthConfig, floor_bytes: usize, ceiling_bytes: usize) -> Self {
        let mut policy = Self {
            config,
            floor_bytes,
            ceiling_bytes: ceiling_bytes.max(floor_bytes),
            average_q8: 0,
            alpha_q16: ((config.alpha * Q16) as i64).max(1),
            capacity_bytes: 0,
            grow_above_q8: 0,
            shrink_below_q8: 0,
            high_cycles: 0,
            low_cycles: 0,
            idle_cycles: 0,
        };
        policy.set_capacity(floor_bytes);
        policy
    }

    #[cold]
    fn set_capacity(&mut self, capacity_bytes: usize) {
        self.capacity_bytes = capacity_bytes;
        let capacity_q8 = capacity_bytes as f64 * Q8;
        // Casts from floating point saturate.
        self.grow_above_q8 = (self.config.grow_above * capacity_q8) as i64;
        self.shrink_below_q8 = (self.config.shrink_below * capacity_q8) as i64;
    }

    /// Takes one cycle into account and says what to do with a buffer of `capacity_bytes`.
    ///
    /// `moved_bytes` entered the buffer in this cycle; `drained` says that nothing is unread. The decision is not repeated:
    /// whoever cannot follow it now (no memory) is asked again after as many cycles as it took the first time.
    #[inline]
    pub fn observe(
        &mut self,
        cycle: Cycle,
        moved_bytes: usize,
        capacity_bytes: usize,
        drained: bool,
    ) -> Decision {
        if capacity_bytes != self.capacity_bytes {
            self.set_capacity(capacity_bytes);
        }
        let moved_q8 = ((moved_bytes as u64).min(CYCLE_BYTES_MAX) << 8) as i64;
        self.average_q8 += ((moved_q8 - self.average_q8) * self.alpha_q16) >> 16;
        match cycle {
            Cycle::Active => self.observe_active(),
            Cycle::Idle => self.observe_idle(drained),
        }
    }

    /// The moving average of bytes per cycle.
    #[must_use]
    pub fn average_bytes(&self) -> usize {
        (self.average_q8 >> 8) as usize
    }

    /// Idle cycles in a row, up to now.
    #[must_use]
    pub fn idle_cycles(&self) -> u32 {
        self.idle_cycles
    }

    #[inline]
    fn observe_active(&mut self) -> Decision {
        self.idle_cycles = 0;
        if self.average_q8 <= self.grow_above_q8 {
            self.high_cycles = 0;
            let low_cycles = self.low_cycles.saturating_add(1);
            self.low_cycles = if self.average_q8 < self.shrink_below_q8 { low_cycles } else { 0 };
            return Decision::Keep;
        }
        self.low_cycles = 0;
        self.high_cycles = self.high_cycles.saturating_add(1);
        if self.high_cycles < self.config.grow_cycles || self.capacity_bytes >= self.ceiling_bytes {
            return Decision::Keep;
        }
        self.high_cycles = 0;
        Decision::Grow { to_bytes: self.grown() }
    }

    #[cold]
    fn observe_idle(&mut self, drained: bool) -> Decision {
        // Nothing moved, which is below any threshold: the average needs no time to follow.
        self.high_cycles = 0;
        self.low_cycles = self.low_cycles.saturating_add(1);
        self.idle_cycles = self.idle_cycles.saturating_add(1);
        let shrink_cycles = self.config.shrink_cycles;
        let to_bytes = if !drained {
            return Decision::Keep;
        } else if self.idle_cycles >= shrink_cycles {
            self.floor_bytes
        } else if self.low_cycles >= shrink_cycles {
            // Light traffic, and now a pause: leave it twice its average.
            ceil_power_of_two(self.average_bytes().saturating_mul(2)).max(self.floor_bytes)
        } else {
            return Decision::Keep;
        };
        if to_bytes >= self.capacity_bytes {
            return Decision::Keep;
        }
        self.low_cycles = 0;
        Decision::Shrink { to_bytes }
    }

    /// At least double, and enough for the average when one cycle moves more than the whole capacity.
    #[cold]
    fn grown(&self) -> usize {
        let doubled_bytes = self.capacity_bytes.saturating_mul(2);
        ceil_power_of_two(self.average_bytes()).max(doubled_bytes).min(self.ceiling_bytes)
    }
}

/// The next power of two, saturating.
fn ceil_power_of_two(bytes: usize) -> usize {
    bytes.checked_next_power_of_two().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const KIB: usize = 1024;
    const FLOOR: usize = 16 * KIB;
    const CEILING: usize = 128 * KIB;
    const LONG: usize = if cfg!(miri) { 200 } else { 10_000 };

    /// A cycle of a traffic shape: bytes moved (as a share of the capacity of that moment, or absolute), or idle.
    #[derive(Clone, Copy)]
    enum Step {
        Share(f64),
        Bytes(usize),
        /// A message that had to fit: the mechanism grew to this capacity whatever the policy thinks.
        Forced(usize),
        Idle,
        /// An idle tick while a partial message waits.
        IdleUndrained,
    }
    use Step::*;

    struct Story {
        capacity: usize,
        highest: usize,
        grows: u32,
        shrinks: u32,
    }

    fn play(start: usize, steps: impl IntoIterator<Item = Step>) -> Story {
        let mut policy = GrowthPolicy::new(GrowthConfig::default(), FLOOR, CEILING);
        let mut story = Story { capacity: start, highest: start, grows: 0, shrinks: 0 };
        for step in steps {
            let (cycle, bytes, drained) = match step {
                Share(share) => (Cycle::Active, (share * story.capacity as f64) as usize, true),
                Bytes(bytes) => (Cycle::Active, bytes, true),
                Forced(capacity) => {
                    story.capacity = story.capacity.max(capacity);
                    (Cycle::Active, 64 * KIB, true)
                }
                Idle => (Cycle::Idle, 0, true),
                IdleUndrained => (Cycle::Idle, 0, false),
            };
            match policy.observe(cycle, bytes, story.capacity, drained) {
                Decision::Keep => {}
                Decision::Grow { to_bytes } => {
                    assert!(to_bytes > story.capacity && to_bytes <= CEILING);
                    assert_eq!(cycle, Cycle::Active, "an idle buffer never grows");
                    story.capacity = to_bytes;
                    story.grows += 1;
                }
                Decision::Shrink { to_bytes } => {
                    assert!(to_bytes < story.capacity && to_bytes >= FLOOR);
                    assert!(cycle == Cycle::Idle && drained, "only an idle, drained buffer shrinks");
                    story.capacity = to_bytes;
                    story.shrinks += 1;
                }
            }
            story.highest = story.highest.max(story.capacity);
        }
        story
    }

    fn times(step: Step, n: usize) -> Vec<Step> {
        std::vec![step; n]
    }

    /// Name, capacity at the start, the shape; then the capacity at the end, the highest, grows and shrinks.
    #[test]
    #[rustfmt::skip]
    fn named_traffic_shapes() {
        let cat = |parts: &[Vec<Step>]| parts.concat();
        let alternate = |n: usize, steps: &[Step]| -> Vec<Step> { steps.iter().copied().cycle().take(n).collect() };
        let ramp = |kib: core::ops::Range<usize>| -> Vec<Step> { kib.map(|i| Bytes(i * KIB)).collect() };
        let huge = || times(Forced(16 << 20), 256);
        const HUGE: usize = 16 << 20;
        const TWICE: usize = 2 * FLOOR;
        type Row = (&'static str, usize, Vec<Step>, usize, usize, u32, u32);
        let table: Vec<Row> = std::vec![
            ("steady, small reads", FLOOR, times(Bytes(1448), LONG), FLOOR, FLOOR, 0, 0),
            ("steady, half full", FLOOR, times(Share(0.5), LONG), FLOOR, FLOOR, 0, 0),
            ("steady, one floor a cycle", FLOOR, times(Bytes(FLOOR), 1_000), TWICE, TWICE, 1, 0),
            ("steady, every read full", FLOOR, times(Share(1.0), 1_000), CEILING, CEILING, 3, 0),
            ("burst of one cycle", FLOOR,
                cat(&[times(Bytes(1448), 100), times(Share(1.0), 1), times(Bytes(1448), 100)]), FLOOR, FLOOR, 0, 0),
            ("burst of twelve cycles", FLOOR,
                cat(&[times(Bytes(1448), 100), times(Bytes(FLOOR), 12), times(Bytes(1448), 100)]), TWICE, TWICE, 1, 0),
            ("burst, then idle", FLOOR, cat(&[times(Share(1.0), 100), times(Idle, 32)]), FLOOR, CEILING, 3, 1),
            ("burst, then one idle tick too few", FLOOR,
                cat(&[times(Share(1.0), 100), times(Idle, 31)]), CEILING, CEILING, 3, 0),
            ("ramp up by 1 KiB a cycle", FLOOR, ramp(1..100), CEILING, CEILING, 3, 0),
            ("ramp down, never idle", CEILING, cat(&[ramp(0..127).into_iter().rev().collect()]), CEILING, CEILING, 0, 0),
            ("oscillation around the upper threshold", FLOOR,
                alternate(LONG, &[Share(0.80), Share(0.90)]), FLOOR, FLOOR, 0, 0),
            ("oscillation between full and a tenth", FLOOR,
                alternate(LONG, &[Share(1.0), Share(0.1)]), FLOOR, FLOOR, 0, 0),
            ("oscillation of load and pause", 4 * FLOOR,
                alternate(LONG, &[Share(0.50), Share(0.60), Share(0.55), Idle]), 4 * FLOOR, 4 * FLOOR, 0, 0),
            ("one huge message, then small ones", FLOOR,
                cat(&[huge(), times(Bytes(1448), 1_000)]), HUGE, HUGE, 0, 0),
            ("one huge message, then one idle tick", FLOOR, cat(&[huge(), times(Idle, 1)]), CEILING, HUGE, 0, 1),
            ("one huge message, then idle", FLOOR, cat(&[huge(), times(Idle, 32)]), FLOOR, HUGE, 0, 2),
            ("light traffic with pauses after a burst", CEILING,
                alternate(200, &[Bytes(20 * KIB), Idle]), TWICE, CEILING, 0, 1),
            ("idle from the start", FLOOR, times(Idle, LONG), FLOOR, FLOOR, 0, 0),
            ("idle with a partial message", CEILING, times(IdleUndrained, LONG), CEILING, CEILING, 0, 0),
            ("idle with a partial message that completes", CEILING,
                cat(&[times(IdleUndrained, 100), times(Idle, 1)]), FLOOR, CEILING, 0, 1),
            ("never idle, hardly used", CEILING, times(Bytes(100), LONG), CEILING, CEILING, 0, 0),
        ];
        for (name, start, steps, capacity, highest, grows, shrinks) in table {
            let story = play(start, steps);
            assert_eq!(
                (story.capacity, story.highest, story.grows, story.shrinks),
                (capacity, highest, grows, shrinks),
                "{name}"
            );
        }
    }

    /// The original reset its counter on each tick that had not yet reached the required hits: 1,000 ticks above the
    /// threshold grew 0 times.
    #[test]
    fn hits_add_up_until_they_are_acted_upon() {
        let mut policy = GrowthPolicy::new(GrowthConfig::default(), FLOOR, CEILING);
        let mut first = None;
        for tick in 0..1_000 {
            if let Decision::Grow { .. } = policy.observe(Cycle::Active, FLOOR, FLOOR, true) {
                first.get_or_insert(tick);
            }
        }
        // The average passes 0.85 in the ninth cycle (1 - 0.8⁹ = 0.866) and must stay there for three.
        assert_eq!(first, Some(10));
    }

    #[test]
    fn a_cycle_larger_than_the_capacity_grows_to_fit_it_at_once() {
        let config = GrowthConfig { alpha: 1.0, grow_cycles: 1, ..GrowthConfig::default() };
        let mut policy = GrowthPolicy::new(config, FLOOR, 1 << 20);
        let decision = policy.observe(Cycle::Active, 300 * KIB, FLOOR, false);
        assert_eq!(decision, Decision::Grow { to_bytes: 512 * KIB });
    }

    #[test]
    fn a_small_alpha_does_not_delay_the_way_back_to_the_floor() {
        let config = GrowthConfig { alpha: 0.01, ..GrowthConfig::default() };
        let mut policy = GrowthPolicy::new(config, FLOOR, CEILING);
        for _ in 0..1_000 {
            policy.observe(Cycle::Active, CEILING, CEILING, true);
        }
        let decisions: Vec<Decision> =
            (0..32).map(|_| policy.observe(Cycle::Idle, 0, CEILING, true)).collect();
        assert_eq!(decisions[31], Decision::Shrink { to_bytes: FLOOR });
        assert!(decisions[..31].iter().all(|d| *d == Decision::Keep));
    }
}
