//! Owns: patterns and what is asked about batches with them: ask, count, select. Never allocates; which instructions do the comparing is
//! `cpu`'s. Limits: equality of ids only; ranges, joins and terms are other layers'.

use core::fmt;

use crate::batch::{MatchMask, SoaBatch, Triple};
use crate::cpu::{self, Kernels, Level, OBJECT, PREDICATE, SUBJECT};

/// Which triples are wanted: each of the three is bound to an id or open.
///
/// The eight combinations are eight kernels; an open position costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Pattern {
    /// The subject, or any.
    pub subject: Option<u64>,
    /// The predicate, or any.
    pub predicate: Option<u64>,
    /// The object, or any.
    pub object: Option<u64>,
}

impl Pattern {
    /// Everything open: each triple matches.
    pub const ANY: Self = Self { subject: None, predicate: None, object: None };

    /// A pattern of three positions.
    pub const fn new(subject: Option<u64>, predicate: Option<u64>, object: Option<u64>) -> Self {
        Self { subject, predicate, object }
    }

    /// True if the triple is wanted.
    #[inline]
    pub fn matches(&self, triple: Triple) -> bool {
        let is = |bound: Option<u64>, id: u64| bound.is_none_or(|bound| bound == id);
        is(self.subject, triple.subject)
            && is(self.predicate, triple.predicate)
            && is(self.object, triple.object)
    }

    fn kind(&self) -> u8 {
        let bit = |bound: Option<u64>, bit: u8| if bound.is_some() { bit } else { 0 };
        bit(self.subject, SUBJECT) | bit(self.predicate, PREDICATE) | bit(self.object, OBJECT)
    }
}

/// A pattern with the kernel for it, chosen once.
///
/// **Layout.** The pattern's ids and a pointer to a table. `Copy`, `Send`. **Cost.** Making one asks for the processor's abilities (a few ns);
/// a question about one batch is one call, a load and a compare for each bound position, and no branch that depends on the data.
///
/// ```
/// use bolt_triple::{Matcher, MatchMask, Pattern, SoaBatch, Triple};
/// let batch = SoaBatch::from_triples(&[(1, 10, 2).into(), (3, 11, 2).into(), (1, 11, 4).into()])?;
/// let about_one = Matcher::new(Pattern { subject: Some(1), ..Pattern::ANY });
/// assert!(about_one.ask(&batch));
/// assert_eq!(about_one.count(&batch), 2);
/// assert_eq!(about_one.select(&batch), MatchMask(0b101));
/// let objects: Vec<u64> = about_one.select(&batch).indices().map(|at| batch.objects()[at]).collect();
/// assert_eq!(objects, [2, 4]);
/// # Ok::<(), bolt_triple::PoolError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Matcher {
    values: [u64; 3],
    kernels: &'static Kernels,
    level: Level,
    pattern: Pattern,
}

impl Matcher {
    /// The widest kernel this processor has.
    pub fn new(pattern: Pattern) -> Self {
        let with = |level| Self::with_level(pattern, level);
        match with(Level::detect()).or_else(|| with(Level::Scalar)) {
            Some(matcher) => matcher,
            None => unreachable!("every processor has the scalar kernel"),
        }
    }

    /// The kernel of one level; nothing if this processor does not have it.
    pub fn with_level(pattern: Pattern, level: Level) -> Option<Self> {
        let kernels = cpu::kernels(level, pattern.kind())?;
        let values = [pattern.subject, pattern.predicate, pattern.object].map(Option::unwrap_or_default);
        Some(Self { values, kernels, level, pattern })
    }

    /// What is wanted.
    pub const fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// What compares.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Which triples of the batch match.
    #[inline]
    pub fn select(&self, batch: &SoaBatch) -> MatchMask {
        self.kernels.select(&self.values, batch)
    }

    /// Whether any triple of the batch matches.
    #[inline]
    pub fn ask(&self, batch: &SoaBatch) -> bool {
        self.select(batch).any()
    }

    /// How many triples of the batch match.
    #[inline]
    pub fn count(&self, batch: &SoaBatch) -> u32 {
        self.select(batch).count()
    }

    /// The mask of each batch, into `masks`; returns how many, the length of the shorter slice.
    pub fn select_each(&self, batches: &[SoaBatch], masks: &mut [MatchMask]) -> usize {
        self.kernels.select_each(&self.values, batches, masks);
        batches.len().min(masks.len())
    }

    /// How many triples match over all batches.
    pub fn count_all(&self, batches: &[SoaBatch]) -> u64 {
        self.kernels.count_all(&self.values, batches)
    }

    /// Whether any triple of any batch matches; stops soon after the first that does.
    pub fn ask_any(&self, batches: &[SoaBatch]) -> bool {
        self.kernels.ask_any(&self.values, batches)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").field("pattern", &self.pattern).field("level", &self.level).finish()
    }
}
