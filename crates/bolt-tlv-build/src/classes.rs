//! Owns: which buffer sizes a schema gets, how many buffers of each, and what that wastes.
//! Pure numbers; knows nothing of messages but their sizes. Limits: `CLASSES_MAX` classes, as many as the pool's table holds.

use std::collections::BTreeMap;

/// A class is a multiple of this: a cache line, so that neighbours never share one.
pub(crate) const CLASS_STEP: u64 = 64;

/// No class is smaller; below two cache lines the pool's own bookkeeping would outweigh the buffer.
pub(crate) const CLASS_MIN: u64 = 128;

/// The pool's table has room for so many.
pub(crate) const CLASSES_MAX: usize = 16;

/// So many are chosen at most when nothing else is asked for: beyond it the lookup grows and the gain does not.
pub(crate) const CLASSES_DEFAULT: usize = 8;

/// A class of `CLASS_MIN` keeps so many buffers, and a larger one as many as take the same memory …
const CAPACITY_OF_SMALLEST: u64 = 1024;

/// … but never fewer than this, or the large ones would not be pooled at all.
const CAPACITY_MIN: u64 = 4;

/// One class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) bytes: u64,
    pub(crate) capacity: u64,
}

/// The classes chosen, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Classes {
    pub(crate) classes: Vec<Class>,
}

/// The smallest buffer that could hold `size`.
pub(crate) fn rounded(size: u64) -> u64 {
    size.max(CLASS_MIN).div_ceil(CLASS_STEP) * CLASS_STEP
}

/// How many buffers a class keeps.
pub(crate) fn capacity(bytes: u64) -> u64 {
    (CAPACITY_OF_SMALLEST * CLASS_MIN / bytes).max(CAPACITY_MIN)
}

impl Classes {
    /// At most `classes_max` classes that waste least when each message travels as often as any other: every buffer holds the
    /// longest payload of its message, and what is left of the buffer is waste. Of equal choices the one with the fewest classes.
    ///
    /// An exact answer: with the sizes sorted, a class serves a run of neighbours and has the size of the last, so the best cut
    /// into `k` runs follows from the best cuts of every beginning into `k - 1`.
    pub(crate) fn choose(sizes: impl IntoIterator<Item = u64>, classes_max: usize) -> Self {
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for size in sizes {
            *counts.entry(rounded(size)).or_default() += 1;
        }
        let sizes: Vec<(u64, u64)> = counts.into_iter().collect();
        let n = sizes.len();
        // Bytes of all buffers, one a message; the payloads are the same in every choice, so least bytes is least waste.
        let mut messages_before = vec![0_u64; n + 1];
        for (i, (_, count)) in sizes.iter().enumerate() {
            messages_before[i + 1] = messages_before[i] + count;
        }
        let run = |from: usize, to: usize| {
            sizes[to - 1].0.saturating_mul(messages_before[to] - messages_before[from])
        };
        let rounds = classes_max.clamp(1, CLASSES_MAX).min(n);
        let mut best: Vec<u64> = (0..=n).map(|to| if to == 0 { 0 } else { run(0, to) }).collect();
        let mut cuts: Vec<Vec<usize>> = vec![vec![0; n + 1]];
        let mut totals = vec![best[n]];
        for _ in 1..rounds {
            let mut next = vec![0; n + 1];
            let mut cut = vec![0; n + 1];
            for to in 1..=n {
                let choices = (0..to).map(|from| (best[from].saturating_add(run(from, to)), from));
                // `from` 0 leaves the first run empty, which is the choice with one class fewer.
                (next[to], cut[to]) = choices.min().unwrap_or_default();
            }
            totals.push(next[n]);
            cuts.push(cut);
            best = next;
        }
        let least = totals.iter().copied().min().unwrap_or_default();
        let mut round = totals.iter().position(|&total| total == least).unwrap_or_default();
        let mut classes = Vec::new();
        let mut to = n;
        while to > 0 {
            let bytes = sizes[to - 1].0;
            classes.push(Class { bytes, capacity: capacity(bytes) });
            to = cuts[round][to];
            round = round.saturating_sub(1);
        }
        classes.reverse();
        Self { classes }
    }

    /// The class for a payload of `size` bytes.
    pub(crate) fn class_of(&self, size: u64) -> Option<Class> {
        self.classes.iter().copied().find(|class| class.bytes >= size)
    }

    /// Tenths of a per cent of the buffers' bytes that stay empty when each message of these sizes fills its own once.
    pub(crate) fn waste_permille(&self, sizes: impl IntoIterator<Item = u64>) -> u64 {
        let (mut used, mut held) = (0_u128, 0_u128);
        for size in sizes {
            used += u128::from(size);
            held += u128::from(self.class_of(size).map_or(size, |class| class.bytes));
        }
        permille(held - used, held)
    }
}

fn permille(part: u128, whole: u128) -> u64 {
    (part * 1000).checked_div(whole).and_then(|permille| u64::try_from(permille).ok()).unwrap_or_default()
}

/// What the same messages would waste in powers of two, for comparison.
pub(crate) fn power_of_two_waste_permille(sizes: impl IntoIterator<Item = u64>) -> u64 {
    let (mut used, mut held) = (0_u128, 0_u128);
    for size in sizes {
        used += u128::from(size);
        held += u128::from(size.max(CLASS_MIN).next_power_of_two());
    }
    permille(held - used, held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(sizes: &[u64], k: usize) -> Vec<u64> {
        Classes::choose(sizes.iter().copied(), k).classes.iter().map(|class| class.bytes).collect()
    }

    /// Every way to cut the sizes, tried.
    fn least_by_force(sizes: &[u64], k: usize) -> u64 {
        let mut distinct: Vec<u64> = sizes.iter().map(|&size| rounded(size)).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let inner = distinct.len() - 1;
        let mut least = u64::MAX;
        for chosen in 0_u32..1 << inner {
            if chosen.count_ones() as usize + 1 > k {
                continue;
            }
            let mut classes: Vec<u64> =
                (0..inner).filter(|i| chosen >> i & 1 == 1).map(|i| distinct[i]).collect();
            classes.push(distinct[inner]);
            let fit = |size: u64| *classes.iter().find(|&&class| class >= size).expect("the last holds all");
            least = least.min(sizes.iter().map(|&size| fit(size)).sum());
        }
        least
    }

    #[test]
    fn the_source_s_messages_get_the_source_s_small_classes() {
        assert_eq!(bytes(&[84, 180, 800], 8), [128, 192, 832]);
        assert_eq!(capacity(128), 1024);
        assert_eq!(capacity(192), 682);
        assert_eq!(capacity(1 << 20), CAPACITY_MIN, "large classes are pooled too");
    }

    #[test]
    fn no_choice_wastes_less() {
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let n = 1 + random(9) as usize;
            let sizes: Vec<u64> = (0..n).map(|_| random(2_000)).collect();
            for k in 1..6 {
                let chosen = Classes::choose(sizes.iter().copied(), k);
                assert!(chosen.classes.len() <= k);
                assert!(
                    chosen
                        .classes
                        .iter()
                        .all(|class| class.bytes % CLASS_STEP == 0 && class.bytes >= CLASS_MIN)
                );
                let total: u64 = sizes.iter().map(|&size| chosen.class_of(size).expect("fits").bytes).sum();
                assert_eq!(total, least_by_force(&sizes, k), "{sizes:?} in {k}");
            }
        }
    }

    #[test]
    fn equal_choices_take_the_fewest_classes() {
        assert_eq!(bytes(&[1, 2, 100, 128], 8), [128]);
        assert_eq!(bytes(&[], 8), [] as [u64; 0]);
        assert_eq!(bytes(&[8_193, 84], 1), [8_256]);
        let many: Vec<u64> = (1..100).map(|i| i * 64).collect();
        assert_eq!(bytes(&many, 99).len(), CLASSES_MAX);
    }

    #[test]
    fn waste_is_told_beside_powers_of_two() {
        let sizes = [84, 180, 8_193];
        let classes = Classes::choose(sizes, 8);
        assert_eq!(classes.waste_permille(sizes), 13);
        assert_eq!(power_of_two_waste_permille(sizes), 495);
        assert_eq!(Classes::choose([], 8).waste_permille([]), 0);
    }
}
