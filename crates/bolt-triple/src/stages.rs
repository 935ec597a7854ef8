//! Owns: the five stages of a pipeline as traits, the stages one gets if one brings none, and what goes wrong in them. Never allocates, except
//! for the text of a fault that has one. Limits: ids and equality; what reads text is `ingest_text`, under the feature `rdf`.

#[cfg(feature = "alloc")]
use alloc::boxed::Box;
use core::fmt;

use crate::batch::{MatchMask, SoaBatch, Triple};
use crate::error::PoolError;
use crate::kernels::Matcher;
use crate::receipt::Receipt;
use crate::ticks;

/// One of the five stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum Stage {
    Ingest,
    Transform,
    Load,
    Reflex,
    Emit,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Transform => "transform",
            Self::Load => "load",
            Self::Reflex => "reflex",
            Self::Emit => "emit",
        })
    }
}

/// A place in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The triple with this number, counted from 1; 0 is before the first.
    Triple(u64),
    /// A line and a column of a text, both counted from 1. A column is a code point.
    Text {
        /// The line.
        line: u64,
        /// The column.
        column: u64,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Triple(number) => write!(f, "triple {number}"),
            Self::Text { line, column } => write!(f, "line {line}, column {column}"),
        }
    }
}

/// What went wrong in a stage.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The pool or the receipts refused.
    Pool(PoolError),
    /// A stage of yours refused, and says why.
    Refused(&'static str),
    /// The text is not what its format asks for; the message is the parser's.
    #[cfg(feature = "alloc")]
    Malformed(Box<str>),
    /// A term is longer than the limit: raise the limit, or mend the input.
    TermTooLong {
        /// Bytes it has at least; reading stopped there.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The interner has no room for another term: raise its limit, or begin another.
    TermsExhausted {
        /// Terms it has.
        terms: usize,
        /// Bytes they take.
        bytes: usize,
    },
    /// The reader failed.
    #[cfg(feature = "std")]
    Io(std::io::Error),
    /// An error of a stage of yours.
    #[cfg(feature = "alloc")]
    Other(Box<dyn core::error::Error + Send + Sync>),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(error) => error.fmt(f),
            Self::Refused(why) => f.write_str(why),
            #[cfg(feature = "alloc")]
            Self::Malformed(message) => f.write_str(message),
            Self::TermTooLong { bytes, max } => {
                write!(
                    f,
                    "a term has at least {bytes} bytes and at most {max} are allowed; raise the limit or mend the input"
                )
            }
            Self::TermsExhausted { terms, bytes } => {
                write!(
                    f,
                    "the interner is full with {terms} terms of {bytes} bytes; raise its limits or begin another"
                )
            }
            #[cfg(feature = "std")]
            Self::Io(error) => error.fmt(f),
            #[cfg(feature = "alloc")]
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Fault {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Pool(error) => Some(error),
            #[cfg(feature = "std")]
            Self::Io(error) => Some(error),
            #[cfg(feature = "alloc")]
            Self::Other(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        Self::Pool(error)
    }
}

/// What went wrong, in which stage, and where in the input.
///
/// For stages that see a whole batch the place is that of its first triple.
#[derive(Debug)]
pub struct PipelineError {
    /// The stage.
    pub stage: Stage,
    /// The place in the input.
    pub place: Place,
    /// What went wrong.
    pub fault: Fault,
}

impl fmt::Display for PipelineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.stage, self.place, self.fault)
    }
}

impl core::error::Error for PipelineError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.fault.source()
    }
}

/// Brings in one item after the other: triples of ids, or of terms.
pub trait Ingest {
    /// What comes in.
    type Item;

    /// The next item, or nothing at the end. After a fault it may be asked again: what comes then is what follows the fault.
    ///
    /// # Errors
    /// What is wrong with the input at [`place`](Self::place).
    fn ingest(&mut self) -> Result<Option<Self::Item>, Fault>;

    /// Where the item or the fault was that came last.
    fn place(&self) -> Place;

    /// Where the subject (0), predicate (1) or object (2) of the item that came last stood, as exactly as it is known.
    fn place_of_term(&self, _term: usize) -> Place {
        self.place()
    }
}

/// Turns an item into a triple of ids.
pub trait Transform<Item> {
    /// The triple that the item is.
    ///
    /// # Errors
    /// What is wrong with this item. It is left out; the others stay.
    fn transform(&mut self, item: Item) -> Result<Triple, Fault>;

    /// Which term of the item was refused last, 0 to 2, if it knows.
    fn refused_term(&self) -> Option<usize> {
        None
    }
}

/// Puts typed triples into a batch from the pool.
pub trait Load {
    /// Writes the triples, of which there are at most eight, into a batch that is as long as they are many.
    ///
    /// # Errors
    /// The batch goes back to its pool; the triples are kept and loaded again by the next call.
    fn load_into(&mut self, typed: &[Triple], soa: &mut SoaBatch) -> Result<(), Fault>;
}

/// Looks at a batch with all its hooks.
pub trait Reflex {
    /// What the hooks found, one firing each.
    type Firings: AsRef<[Firing]>;

    /// How many firings [`reflex`](Self::reflex) makes at most: as many receipts there must be room for.
    fn hooks(&self) -> usize;

    /// What each hook found in this batch.
    ///
    /// # Errors
    /// The batch goes back to its pool; the triples are kept and tried again by the next call.
    fn reflex(&mut self, soa: &SoaBatch, cycle: Cycle) -> Result<Self::Firings, Fault>;
}

/// Takes a batch and what was found in it.
pub trait Emit {
    /// Takes it, or says not now.
    ///
    /// # Errors
    /// The batch is kept, as if the answer had been not now.
    fn emit(&mut self, emission: &Emission<'_>) -> Result<Answer, Fault>;
}

/// Which batch of which shard: what a receipt says of its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Cycle {
    /// The number of the batch, counted from 1.
    pub cycle: u64,
    /// The shard.
    pub shard: u64,
    /// The span of the trace.
    pub span_id: u64,
}

/// What one hook found in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firing {
    /// What it left behind.
    pub receipt: Receipt,
    /// The triples it found.
    pub matched: MatchMask,
}

/// A batch on its way out.
#[derive(Debug, Clone, Copy)]
pub struct Emission<'a> {
    /// The triples.
    pub batch: &'a SoaBatch,
    /// What each hook found, in their order.
    pub firings: &'a [Firing],
    /// Which batch it is.
    pub cycle: Cycle,
    /// Where its first triple stood in the input.
    pub place: Place,
}

/// What a sink says to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Taken: its memory may go back to the pool.
    Taken,
    /// Not now: it is kept and offered again, before all that came after it.
    NotNow,
}

/// Triples of ids from an iterator: [`Ingest`] for whatever becomes a [`Triple`], such as `(u64, u64, u64)`.
#[derive(Debug, Clone)]
pub struct Ids<I> {
    items: I,
    taken: u64,
}

impl<I> Ids<I> {
    /// The triples of `items`.
    pub fn new<J: IntoIterator<IntoIter = I>>(items: J) -> Self {
        Self { items: items.into_iter(), taken: 0 }
    }
}

impl Ids<core::iter::Empty<Triple>> {
    /// The triples of one predicate, from pairs of subject and object: what a list of edges is.
    ///
    /// ```
    /// use bolt_triple::{Ids, Ingest, Triple};
    ///
    /// const KNOWS: u64 = 7;
    /// let mut edges = Ids::pairs(KNOWS, [(1, 2), (2, 3)]);
    /// assert_eq!(edges.ingest()?, Some(Triple { subject: 1, predicate: KNOWS, object: 2 }));
    /// assert_eq!(edges.ingest()?, Some(Triple { subject: 2, predicate: KNOWS, object: 3 }));
    /// assert_eq!(edges.ingest()?, None);
    /// # Ok::<(), bolt_triple::Fault>(())
    /// ```
    pub fn pairs<J: IntoIterator<Item = (u64, u64)>>(
        predicate: u64,
        pairs: J,
    ) -> Ids<impl Iterator<Item = Triple>> {
        Ids::new(pairs.into_iter().map(move |(subject, object)| Triple { subject, predicate, object }))
    }
}

impl<I: Iterator<Item: Into<Triple>>> Ingest for Ids<I> {
    type Item = I::Item;

    #[inline]
    fn ingest(&mut self) -> Result<Option<I::Item>, Fault> {
        let item = self.items.next();
        self.taken += u64::from(item.is_some());
        Ok(item)
    }

    #[inline]
    fn place(&self) -> Place {
        Place::Triple(self.taken)
    }
}

/// The [`Transform`] of what is a triple of ids already.
#[derive(Debug, Clone, Copy, Default)]
pub struct Typed;

impl<Item: Into<Triple>> Transform<Item> for Typed {
    #[inline]
    fn transform(&mut self, item: Item) -> Result<Triple, Fault> {
        Ok(item.into())
    }
}

/// A closure is a [`Transform`].
impl<Item, F: FnMut(Item) -> Result<Triple, Fault>> Transform<Item> for F {
    #[inline]
    fn transform(&mut self, item: Item) -> Result<Triple, Fault> {
        self(item)
    }
}

/// The [`Load`] that writes triple after triple.
#[derive(Debug, Clone, Copy, Default)]
pub struct InOrder;

impl Load for InOrder {
    #[inline]
    fn load_into(&mut self, typed: &[Triple], soa: &mut SoaBatch) -> Result<(), Fault> {
        soa.clear();
        for &triple in typed {
            soa.push(triple)?;
        }
        Ok(())
    }
}

/// What looks at a batch: a pattern, or your own.
pub trait Hook {
    /// Its number, which its receipts carry.
    fn id(&self) -> u64;

    /// The triples it wants.
    ///
    /// # Errors
    /// What keeps it from telling.
    fn fire(&mut self, soa: &SoaBatch) -> Result<MatchMask, Fault>;
}

/// The [`Hook`] of a pattern.
#[derive(Debug, Clone, Copy)]
pub struct PatternHook {
    id: u64,
    matcher: Matcher,
}

impl PatternHook {
    /// The hook `id`, which selects what `matcher` matches.
    pub const fn new(id: u64, matcher: Matcher) -> Self {
        Self { id, matcher }
    }
}

impl Hook for PatternHook {
    #[inline]
    fn id(&self) -> u64 {
        self.id
    }

    #[inline]
    fn fire(&mut self, soa: &SoaBatch) -> Result<MatchMask, Fault> {
        Ok(self.matcher.select(soa))
    }
}

impl<H: Hook + ?Sized> Hook for &mut H {
    fn id(&self) -> u64 {
        (**self).id()
    }

    fn fire(&mut self, soa: &SoaBatch) -> Result<MatchMask, Fault> {
        (**self).fire(soa)
    }
}

/// The [`Reflex`] of `N` hooks, one after the other.
///
/// The ticks of a receipt are those between the end of the hook before and the end of this one; its lanes are the triples found; its hash is that
/// of the triples found, in whatever order, so that the merged receipt of a run is the same however it was cut into batches.
///
/// Cost: a reading of the counter more than there are hooks.
#[derive(Debug, Clone)]
pub struct Hooks<H, const N: usize>([H; N]);

impl<H: Hook, const N: usize> Hooks<H, N> {
    /// These hooks, in this order.
    pub const fn new(hooks: [H; N]) -> Self {
        Self(hooks)
    }
}

impl<H: Hook, const N: usize> Reflex for Hooks<H, N> {
    type Firings = [Firing; N];

    fn hooks(&self) -> usize {
        N
    }

    #[inline]
    fn reflex(&mut self, soa: &SoaBatch, cycle: Cycle) -> Result<[Firing; N], Fault> {
        let mut firings = [const { Firing { receipt: Receipt::IDENTITY, matched: MatchMask::NONE } }; N];
        let mut start = if N == 0 { 0 } else { ticks::now() };
        for (hook, firing) in self.0.iter_mut().zip(&mut firings) {
            let matched = hook.fire(soa)?;
            let end = ticks::now();
            firing.matched = matched;
            firing.receipt = Receipt {
                cycle: cycle.cycle,
                shard: cycle.shard,
                hook: hook.id(),
                ticks: end.wrapping_sub(start),
                lanes: u64::from(matched.count()),
                span_id: cycle.span_id,
                hash: hash(soa, matched),
            };
            start = end;
        }
        Ok(firings)
    }
}

/// The same for the same triples in any order. It tells runs apart; it is no protection against who wants two to look alike.
#[inline]
fn hash(soa: &SoaBatch, matched: MatchMask) -> u64 {
    // The odd multipliers are the fractional bits of the golden ratio, of the square root of 3 and of that of 5.
    const PHI: u64 = 0x9e37_79b9_7f4a_7c15;
    const SQRT_3: u64 = 0xbb67_ae85_84ca_a73b;
    const SQRT_5: u64 = 0x3c6e_f372_fe94_f82b;
    let [subjects, predicates, objects] = soa.lanes();
    let mut sum = 0_u64;
    for at in matched.indices() {
        let mixed = subjects[at]
            .wrapping_add(1)
            .wrapping_mul(PHI)
            .rotate_left(29)
            .wrapping_add(predicates[at])
            .wrapping_mul(SQRT_3)
            .rotate_left(31)
            .wrapping_add(objects[at])
            .wrapping_mul(SQRT_5);
        sum ^= mixed ^ mixed >> 32;
    }
    sum
}

/// The [`Emit`] that counts and lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Batches that came.
    pub batches: u64,
    /// Triples in them.
    pub triples: u64,
    /// Triples found, over all hooks.
    pub found: u64,
}

impl Emit for Tally {
    #[inline]
    fn emit(&mut self, emission: &Emission<'_>) -> Result<Answer, Fault> {
        self.batches += 1;
        self.triples += emission.batch.len() as u64;
        self.found += emission.firings.iter().map(|firing| firing.receipt.lanes).sum::<u64>();
        Ok(Answer::Taken)
    }
}

/// A closure is a sink.
impl<F: FnMut(&Emission<'_>) -> Result<Answer, Fault>> Emit for F {
    #[inline]
    fn emit(&mut self, emission: &Emission<'_>) -> Result<Answer, Fault> {
        self(emission)
    }
}
