//! Owns: when an idle pool gives memory back, and how much. Pure numbers in, a number out; never touches an object, a clock or a
//! lock. Limits: it trusts what it is told.

/// When objects that nobody needed are dropped.
///
/// At each tick the pool computes how many objects *surely* lay untouched since the last one. Only when that was
/// more than nothing for [`patience_ticks`](Self::patience_ticks) ticks in a row is half of the least such number dropped. A
/// miss means that the pool is too small already: patience starts anew, and it doubles if objects had just
/// been dropped, so a load that comes and goes is left alone after the second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrimPolicy {
    /// Objects that are never dropped, 8 at first: the next burst begins with them.
    pub keep: usize,
    /// Ticks without need before the first object goes, 8 at first.
    pub patience_ticks: u32,
    /// Doubling stops here, 128 at first.
    pub patience_ticks_max: u32,
}

impl Default for TrimPolicy {
    fn default() -> Self {
        Self { keep: 8, patience_ticks: 8, patience_ticks_max: 128 }
    }
}

/// What a pool saw between two ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Objects in the pool at the tick.
    pub idle: usize,
    /// Takes that were served from the pool since the last tick. Each touched one object, perhaps the same again and again.
    pub hits: usize,
    /// Takes that found nothing since the last tick.
    pub misses: usize,
    /// Objects that the threads' magazines may hold at most, plus those that went through the depot since the last tick. The others
    /// of `idle` lay in the depot all the time.
    pub mobile: usize,
}

impl Usage {
    /// Objects that nobody touched since the last tick, at the least: each hit touched one at the most, and whatever neither lay in a thread's
    /// magazine nor was exchanged was out of reach.
    pub fn untouched(self) -> usize {
        self.idle.saturating_sub(self.hits.min(self.mobile))
    }
}

/// A [`TrimPolicy`] at work.
///
/// ```
/// use bolt_objects::{TrimPolicy, Trimmer, Usage};
/// let mut trimmer = Trimmer::new(TrimPolicy { keep: 10, patience_ticks: 3, ..TrimPolicy::default() });
/// let idle = |idle| Usage { idle, ..Usage::default() };
/// assert_eq!(trimmer.tick(idle(90)), 0);
/// assert_eq!(trimmer.tick(idle(90)), 0);
/// assert_eq!(trimmer.tick(idle(90)), 40, "half of the 80 above the ten to keep");
/// assert_eq!(trimmer.tick(idle(50)), 20, "patience is spent: it goes on");
/// ```
#[derive(Debug, Clone)]
pub struct Trimmer {
    policy: TrimPolicy,
    /// Ticks to wait at present; doubled by regret.
    patience_ticks: u32,
    quiet_ticks: u32,
    /// The least surplus in the quiet ticks.
    surplus_min: usize,
    /// Ticks since something was dropped; a miss soon after means it was dropped in vain.
    since_trim: Option<u32>,
}

impl Trimmer {
    /// A policy that has seen nothing yet.
    pub fn new(policy: TrimPolicy) -> Self {
        Self {
            policy,
            patience_ticks: policy.patience_ticks.max(1),
            quiet_ticks: 0,
            surplus_min: usize::MAX,
            since_trim: None,
        }
    }

    /// How many objects to drop at this tick.
    pub fn tick(&mut self, usage: Usage) -> usize {
        self.since_trim = self.since_trim.map(|ticks| ticks.saturating_add(1));
        if usage.misses > 0 {
            if self.since_trim.is_some_and(|ticks| ticks <= self.patience_ticks) {
                let doubled = self.patience_ticks.saturating_mul(2);
                self.patience_ticks = doubled.min(self.policy.patience_ticks_max.max(1));
            }
            self.start_anew();
            self.since_trim = None;
            return 0;
        }
        let surplus = usage.untouched().min(usage.idle.saturating_sub(self.policy.keep));
        if surplus == 0 {
            self.start_anew();
            return 0;
        }
        self.quiet_ticks = self.quiet_ticks.saturating_add(1);
        self.surplus_min = self.surplus_min.min(surplus);
        if self.quiet_ticks < self.patience_ticks {
            return 0;
        }
        let drop = self.surplus_min.div_ceil(2);
        // Calm for as long as this is regret no more: the next change of load is judged afresh.
        if self.since_trim.is_some_and(|ticks| ticks > self.policy.patience_ticks_max) {
            self.patience_ticks = self.policy.patience_ticks.max(1);
        }
        self.since_trim = Some(0);
        self.surplus_min = usize::MAX;
        drop
    }

    fn start_anew(&mut self) {
        self.quiet_ticks = 0;
        self.surplus_min = usize::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(idle: usize) -> Usage {
        Usage { idle, ..Usage::default() }
    }

    fn missed(idle: usize) -> Usage {
        Usage { idle, misses: 1, hits: 5, mobile: 5 }
    }

    /// One scenario: the policy, and each tick with what it should drop.
    fn play(name: &str, policy: TrimPolicy, ticks: &[(Usage, usize)]) {
        let mut trimmer = Trimmer::new(policy);
        for (at, &(usage, expected)) in ticks.iter().enumerate() {
            assert_eq!(trimmer.tick(usage), expected, "{name}, tick {at}, {usage:?}");
        }
    }

    #[test]
    fn table() {
        let policy = TrimPolicy { keep: 4, patience_ticks: 2, patience_ticks_max: 4 };
        play("an empty pool is left alone", policy, &[(idle(0), 0), (idle(0), 0), (idle(0), 0)]);
        play("what is to be kept is kept", policy, &[(idle(4), 0), (idle(4), 0), (idle(4), 0)]);
        play(
            "half at a time, down to what is kept",
            policy,
            &[
                (idle(20), 0),
                (idle(20), 8),
                (idle(12), 4),
                (idle(8), 2),
                (idle(6), 1),
                (idle(5), 1),
                (idle(4), 0),
            ],
        );
        play("the least surplus counts, not the last", policy, &[(idle(8), 0), (idle(100), 2)]);
        play(
            "one busy tick starts patience anew",
            policy,
            &[
                (idle(20), 0),
                (Usage { idle: 20, hits: 20, misses: 0, mobile: 20 }, 0),
                (idle(20), 0),
                (idle(20), 8),
            ],
        );
        play(
            "one hot object among many idle ones does not hide them",
            policy,
            &[
                (Usage { idle: 500, hits: 1_000_000, misses: 0, mobile: 64 }, 0),
                (Usage { idle: 500, hits: 1_000_000, misses: 0, mobile: 64 }, 218),
            ],
        );
        play(
            "a miss after a drop doubles patience, up to the limit",
            policy,
            &[
                (idle(20), 0),
                (idle(20), 8),
                (missed(0), 0), // regret: 4 ticks from here on
                (idle(20), 0),
                (idle(20), 0),
                (idle(20), 0),
                (idle(20), 8),
                (missed(0), 0), // 8 would be next, and 4 is the limit
                (idle(20), 0),
                (idle(20), 0),
                (idle(20), 0),
                (idle(20), 8),
            ],
        );
        play(
            "a miss long after a drop does not",
            policy,
            &[
                (idle(6), 0),
                (idle(6), 1),
                (idle(4), 0),
                (idle(4), 0),
                (idle(4), 0),
                (missed(0), 0),
                (idle(20), 0),
                (idle(20), 8),
            ],
        );
        let zero = TrimPolicy { keep: 0, patience_ticks: 0, patience_ticks_max: 0 };
        play("no patience at all", zero, &[(idle(3), 2), (idle(1), 1), (missed(1), 0), (idle(1), 1)]);
    }

    #[test]
    fn a_load_that_comes_and_goes_settles() {
        let mut trimmer = Trimmer::new(TrimPolicy { keep: 0, patience_ticks: 2, patience_ticks_max: 64 });
        let mut idle_objects = 0_usize;
        let mut created = 0;
        for round in 0..20 {
            // A burst of 100, then five calm ticks.
            let misses = 100 - idle_objects.min(100);
            created += misses;
            idle_objects = 100;
            trimmer.tick(Usage { idle: 100, hits: 100 - misses, misses, mobile: 100 });
            for _ in 0..5 {
                idle_objects -= trimmer.tick(idle(idle_objects));
            }
            assert!(
                round < 3 || idle_objects == 100,
                "round {round}: it still drops what the next burst needs"
            );
        }
        assert!(created < 400, "{created} objects for 20 bursts of 100");
    }
}
