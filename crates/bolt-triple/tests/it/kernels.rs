//! The kernels: every level this processor has, against a naive loop, for all eight kinds of pattern; ticks.

use bolt_triple::{BatchLen, Level, MatchMask, Matcher, Pattern, SoaBatch, Triple, ticks};
use proptest::prelude::*;

/// Fewer where each is interpreted.
const BATCHES: usize = if cfg!(miri) { 4 } else { 11 };

/// Ids from a few values, so that they meet often, and extremes.
fn id() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..4_u64, 1 => Just(u64::MAX), 1 => Just(1 << 63), 1 => any::<u64>()]
}

fn triple() -> impl Strategy<Value = Triple> {
    (id(), id(), id()).prop_map(Triple::from)
}

/// A batch whose words above its length are leftovers that would match.
fn batch() -> impl Strategy<Value = SoaBatch> {
    (prop::collection::vec(triple(), 8), 0..=8_usize).prop_map(|(triples, len)| {
        let mut batch = SoaBatch::from_triples(&triples).unwrap();
        batch.set_len(BatchLen::new(len).unwrap());
        batch
    })
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let position = || prop::option::of(id());
    (position(), position(), position()).prop_map(|(s, p, o)| Pattern::new(s, p, o))
}

fn naive(pattern: Pattern, batch: &SoaBatch) -> MatchMask {
    let mut mask = 0;
    for (at, triple) in batch.iter().enumerate() {
        mask |= u8::from(pattern.matches(triple)) << at;
    }
    MatchMask(mask)
}

fn levels(pattern: Pattern) -> Vec<Matcher> {
    Level::ALL.into_iter().filter_map(|level| Matcher::with_level(pattern, level)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_level_answers_as_the_naive_loop(pattern in pattern(), batches in prop::collection::vec(batch(), 0..BATCHES)) {
        let expected: Vec<MatchMask> = batches.iter().map(|batch| naive(pattern, batch)).collect();
        let total: u64 = expected.iter().map(|mask| u64::from(mask.count())).sum();
        for matcher in levels(pattern) {
            for (batch, &mask) in batches.iter().zip(&expected) {
                prop_assert_eq!(matcher.select(batch), mask, "{:?}", matcher);
                prop_assert_eq!(matcher.ask(batch), mask.any());
                prop_assert_eq!(matcher.count(batch), mask.count());
            }
            let mut masks = vec![MatchMask(0xaa); batches.len() + 1];
            prop_assert_eq!(matcher.select_each(&batches, &mut masks), batches.len());
            prop_assert_eq!(&masks[..batches.len()], &expected[..]);
            prop_assert_eq!(masks[batches.len()], MatchMask(0xaa), "not written past the batches");
            prop_assert_eq!(matcher.count_all(&batches), total, "{:?}", matcher);
            prop_assert_eq!(matcher.ask_any(&batches), total > 0, "{:?}", matcher);
        }
    }
}

#[test]
fn all_eight_kinds_at_each_place_and_length() {
    let triples: [Triple; 8] = std::array::from_fn(|i| Triple::new(i as u64, 10 + i as u64, 20 + i as u64));
    for len in (0..=8).step_by(if cfg!(miri) { 5 } else { 1 }) {
        let mut batch = SoaBatch::from_triples(&triples).unwrap();
        batch.set_len(BatchLen::new(len).unwrap());
        for (at, triple) in triples.iter().enumerate() {
            for kind in 0..8 {
                let bound = |bit: u8, id: u64| (kind & bit != 0).then_some(id);
                let pattern = Pattern::new(
                    bound(1, triple.subject),
                    bound(2, triple.predicate),
                    bound(4, triple.object),
                );
                let expected = match (kind, at < len) {
                    (0, _) => BatchLen::new(len).unwrap().mask(),
                    (_, true) => MatchMask(1 << at),
                    (_, false) => MatchMask::NONE,
                };
                for matcher in levels(pattern) {
                    assert_eq!(matcher.select(&batch), expected, "{matcher:?} at {at} of {len}");
                }
            }
        }
    }
}

#[test]
fn the_widest_level_is_chosen_and_the_scalar_one_is_always_there() {
    let matcher = Matcher::new(Pattern::ANY);
    assert_eq!(matcher.level(), Level::detect());
    assert!(Level::Scalar.is_available());
    assert!(matcher.level().is_available());
    assert!(Level::ALL.iter().any(|level| !level.is_available()), "no processor is of both kinds");
    let missing = Level::ALL.into_iter().find(|level| !level.is_available()).unwrap();
    assert!(Matcher::with_level(Pattern::ANY, missing).is_none());
    assert_eq!(matcher.pattern(), Pattern::ANY);
}

#[test]
fn masks_count_and_list_their_bits() {
    let mask = MatchMask(0b1001_0010);
    assert_eq!((mask.count(), mask.any()), (3, true));
    assert!(mask.indices().eq([1, 4, 7]));
    assert!(mask.contains(4) && !mask.contains(0) && !mask.contains(8));
    assert_eq!(format!("{mask:?}"), "MatchMask(0b10010010)");
    assert_eq!(MatchMask::NONE.indices().next(), None);
}

#[test]
fn ticks_go_forward_and_say_their_unit() {
    if ticks::UNIT == ticks::Unit::Nothing {
        return assert_eq!(ticks::now(), 0);
    }
    let start = ticks::now();
    let mut work = 1_u64;
    while ticks::now() == start {
        work = std::hint::black_box(work.wrapping_mul(3));
    }
    assert!(ticks::now().wrapping_sub(start) > 0);
    #[cfg(feature = "std")]
    {
        let hz = ticks::hz(std::time::Duration::from_millis(5)).unwrap();
        assert!((1e5..2e10).contains(&hz), "{hz} ticks a second");
    }
    if cfg!(all(target_arch = "x86_64", not(miri))) {
        assert_eq!(ticks::UNIT, ticks::Unit::TimeStampCycles);
    }
}
