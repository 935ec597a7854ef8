//! Owns: the pipeline, which drives five stages over pooled batches, the batches in flight and their order. Never allocates; no unsafe. Limits:
//! one thread, `F` batches in flight, eight triples a batch.

use core::fmt;

use crate::batch::{MAX_RUN_LEN, Triple};
use crate::error::PoolError;
use crate::pool::SoaPool;
use crate::receipt::{Receipt, ReceiptPool};
use crate::stages::{
    Answer, Cycle, Emission, Emit, Ids, InOrder, Ingest, Load, PipelineError, Place, Reflex, Stage,
    Transform, Typed,
};

/// How many batches a pipeline has in flight unless it is told otherwise: the eight operations of the source's design, half of a pool's batches.
pub const DEFAULT_IN_FLIGHT: usize = 8;

/// Says how many batches a pipeline may have in flight: `Pipeline::bounded(InFlight::<2>, …)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InFlight<const F: usize>;

/// The five stages.
#[derive(Debug, Clone)]
pub struct Stages<I, T, L, X, E> {
    /// Brings items in.
    pub ingest: I,
    /// Makes triples of ids of them.
    pub transform: T,
    /// Puts these into a batch.
    pub load: L,
    /// Looks at it.
    pub reflex: X,
    /// Takes it.
    pub emit: E,
}

impl<I, X, E> Stages<Ids<I>, Typed, InOrder, X, E> {
    /// Triples of ids from an iterator, through `reflex`, to `emit`.
    pub fn of_ids(items: impl IntoIterator<IntoIter = I>, reflex: X, emit: E) -> Self {
        Self { ingest: Ids::new(items), transform: Typed, load: InOrder, reflex, emit }
    }
}

/// How far a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a sink that said not now waits to be asked again"]
pub enum Progress {
    /// The input is at its end and the sink has everything.
    Done,
    /// One batch more was loaded, or the sink took one; call again.
    Moved,
    /// The sink said not now and there is no room for another batch. Nothing is lost: call again when the sink is ready.
    NotNow,
}

/// What a pipeline has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Triples that came through ingest and transform.
    pub triples: u64,
    /// Batches that were loaded and looked at.
    pub batches: u64,
    /// Batches that the sink took.
    pub emitted: u64,
    /// Times the sink said not now.
    pub refused: u64,
    /// Most batches in flight at once.
    pub in_flight_high_water: usize,
    /// How often the receipts were folded to make room.
    pub folds: u64,
    /// All receipts of this pipeline, merged.
    pub receipt: Receipt,
}

/// Ingest, transform, load, reflex, emit: over batches of a pool, at most `F` of them at once.
///
/// **Order.** Batches reach the sink in the order of the input, each until it is taken once.
///
/// **Back-pressure.** While the sink says not now, up to `F` batches are loaded and wait; then, or when the pool has no other, [`run`](Self::run)
/// answers [`Progress::NotNow`] and takes no more input.
///
/// **Errors** say stage and place. The call after one goes on: an item that ingest or transform refused is left out, the triples before it are
/// kept; a batch that load or reflex refused goes back to its pool at once and its triples are tried again; a batch that the sink refused
/// waits. [`discard`](Self::discard) gives up what is held instead.
///
/// **Memory.** Every batch goes back to its pool: when the sink took it, on an error of load or reflex, on a panic of any stage while it is
/// at work, at `discard`, or when the pipeline is dropped.
///
/// **Receipts.** One for each hook and batch. When the pool of receipts is full, they are merged into [`Totals::receipt`] and the pool begins a new run, so
/// that any number of batches passes; handles of the old run are refused then, so give the pipeline a pool of receipts to itself.
///
/// **Cost.** No allocation. In place: `F` guards with their firings, 128 bytes a hook, and eight triples.
///
/// ```
/// use bolt_triple::{BufferPool, Hooks, Matcher, Pattern, PatternHook, Pipeline, Progress, Stages, Tally};
///
/// let pool: BufferPool = BufferPool::new();
/// let known = Matcher::new(Pattern { predicate: Some(3), ..Pattern::ANY });
/// let ids = (0..1_000_000_u64).map(|i| (i, i % 10, i + 1));
/// let stages = Stages::of_ids(ids, Hooks::new([PatternHook::new(1, known)]), Tally::default());
/// let mut pipeline = Pipeline::new(&pool, pool.receipts(), stages);
/// assert_eq!(pipeline.run()?, Progress::Done);
/// assert_eq!(pipeline.totals().receipt.lanes, 100_000);
/// assert_eq!(pipeline.stages().emit, Tally { batches: 125_000, triples: 1_000_000, found: 100_000 });
/// # Ok::<(), bolt_triple::PipelineError>(())
/// ```
pub struct Pipeline<
    'p,
    P: SoaPool,
    I,
    T,
    L,
    X: Reflex,
    E,
    const R: usize = { crate::DEFAULT_RECEIPTS },
    const F: usize = DEFAULT_IN_FLIGHT,
> {
    pool: &'p P,
    receipts: &'p ReceiptPool<R>,
    stages: Stages<I, T, L, X, E>,
    waiting: Waiting<Held<'p, P, X>, F>,
    /// What came through transform and is not in a batch yet.
    typed: [Triple; MAX_RUN_LEN],
    typed_len: usize,
    /// Where the first of them stood.
    place: Place,
    cycle: Cycle,
    ended: bool,
    totals: Totals,
}

/// A batch that reflex has seen.
struct Loaded<G, O> {
    guard: G,
    firings: O,
    cycle: Cycle,
    place: Place,
}

/// A batch of the pool `P` that the hooks `X` have seen.
type Held<'p, P, X> = Loaded<<P as SoaPool>::Guard<'p>, <X as Reflex>::Firings>;

impl<'p, P, I, T, L, X, E, const R: usize> Pipeline<'p, P, I, T, L, X, E, R>
where
    P: SoaPool,
    I: Ingest,
    T: Transform<I::Item>,
    L: Load,
    X: Reflex,
    E: Emit,
{
    /// A pipeline that has done nothing yet, with at most [`DEFAULT_IN_FLIGHT`] batches in flight.
    pub fn new(pool: &'p P, receipts: &'p ReceiptPool<R>, stages: Stages<I, T, L, X, E>) -> Self {
        Self::bounded(InFlight, pool, receipts, stages)
    }
}

impl<'p, P, I, T, L, X, E, const R: usize, const F: usize> Pipeline<'p, P, I, T, L, X, E, R, F>
where
    P: SoaPool,
    I: Ingest,
    T: Transform<I::Item>,
    L: Load,
    X: Reflex,
    E: Emit,
{
    /// The same with at most `F` batches in flight. A pipeline with none does not compile.
    pub fn bounded(
        _in_flight: InFlight<F>,
        pool: &'p P,
        receipts: &'p ReceiptPool<R>,
        stages: Stages<I, T, L, X, E>,
    ) -> Self {
        const { assert!(F > 0, "a pipeline moves nothing without a batch in flight") }
        Self {
            pool,
            receipts,
            stages,
            waiting: Waiting::new(),
            typed: [Triple::new(0, 0, 0); MAX_RUN_LEN],
            typed_len: 0,
            place: Place::Triple(0),
            cycle: Cycle::default(),
            ended: false,
            totals: Totals::default(),
        }
    }

    /// The same, with the shard and the span that its receipts carry.
    #[must_use]
    pub fn with_origin(mut self, shard: u64, span_id: u64) -> Self {
        (self.cycle.shard, self.cycle.span_id) = (shard, span_id);
        self
    }

    /// Goes on until the input ends ([`Progress::Done`]) or the sink wants no more ([`Progress::NotNow`]).
    ///
    /// # Errors
    /// What went wrong, in which stage, and where in the input; see the type for what is kept. Call again to go on.
    pub fn run(&mut self) -> Result<Progress, PipelineError> {
        loop {
            match self.step()? {
                Progress::Moved => {}
                end => return Ok(end),
            }
        }
    }

    /// One batch further: for who has other things to do in between.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    #[inline]
    pub fn step(&mut self) -> Result<Progress, PipelineError> {
        if !self.waiting.is_empty() {
            self.emit_waiting()?;
            if self.waiting.is_full() {
                return Ok(Progress::NotNow);
            }
        }
        self.fill()?;
        if self.typed_len == 0 {
            return Ok(if self.waiting.is_empty() { Progress::Done } else { Progress::NotNow });
        }
        let Some(loaded) = self.load()? else { return Ok(Progress::NotNow) };
        self.totals.in_flight_high_water = self.totals.in_flight_high_water.max(self.waiting.len + 1);
        if self.waiting.is_empty() {
            self.offer(loaded)?;
        } else {
            self.waiting.push_back(loaded);
        }
        Ok(Progress::Moved)
    }

    /// Offers what waits, oldest first, until the sink has had enough.
    #[cold]
    fn emit_waiting(&mut self) -> Result<(), PipelineError> {
        while let Some(oldest) = self.waiting.pop_front() {
            if self.offer(oldest)? == Answer::NotNow {
                break;
            }
        }
        Ok(())
    }

    /// Offers a batch, older than all that wait. Should the sink panic, the batch is on this stack and goes back to its pool.
    #[inline]
    fn offer(&mut self, loaded: Held<'p, P, X>) -> Result<Answer, PipelineError> {
        let emission = Emission {
            batch: &loaded.guard,
            firings: loaded.firings.as_ref(),
            cycle: loaded.cycle,
            place: loaded.place,
        };
        let answer = self.stages.emit.emit(&emission);
        match answer {
            Ok(Answer::Taken) => {
                self.totals.emitted += 1;
                Ok(Answer::Taken)
            }
            Ok(Answer::NotNow) => {
                self.totals.refused += 1;
                self.waiting.push_front(loaded);
                Ok(Answer::NotNow)
            }
            Err(fault) => {
                let place = loaded.place;
                self.waiting.push_front(loaded);
                Err(PipelineError { stage: Stage::Emit, place, fault })
            }
        }
    }

    /// Ingests and transforms until there are eight triples or no more.
    #[inline]
    fn fill(&mut self) -> Result<(), PipelineError> {
        while self.typed_len < MAX_RUN_LEN && !self.ended {
            let item = match self.stages.ingest.ingest() {
                Ok(Some(item)) => item,
                Ok(None) => {
                    self.ended = true;
                    break;
                }
                Err(fault) => {
                    return Err(PipelineError {
                        stage: Stage::Ingest,
                        place: self.stages.ingest.place(),
                        fault,
                    });
                }
            };
            let triple = match self.stages.transform.transform(item) {
                Ok(triple) => triple,
                Err(fault) => {
                    let ingest = &self.stages.ingest;
                    let place = match self.stages.transform.refused_term() {
                        Some(term) => ingest.place_of_term(term),
                        None => ingest.place(),
                    };
                    return Err(PipelineError { stage: Stage::Transform, place, fault });
                }
            };
            if self.typed_len == 0 {
                self.place = self.stages.ingest.place();
            }
            self.typed[self.typed_len % MAX_RUN_LEN] = triple;
            self.typed_len += 1;
            self.totals.triples += 1;
        }
        Ok(())
    }

    /// Loads the typed triples into a batch and lets the hooks look at it; nothing if the pool's batches are all waiting for the sink.
    #[inline]
    fn load(&mut self) -> Result<Option<Held<'p, P, X>>, PipelineError> {
        let place = self.place;
        let failed = |stage, fault| PipelineError { stage, place, fault };
        let pool: &'p P = self.pool;
        let mut guard = match pool.get_soa(self.typed_len) {
            Ok(guard) => guard,
            Err(PoolError::ExhaustedCapacity { .. }) if !self.waiting.is_empty() => return Ok(None),
            Err(error) => return Err(failed(Stage::Load, error.into())),
        };
        let typed = self.typed.get(..self.typed_len).unwrap_or(&self.typed);
        self.stages.load.load_into(typed, &mut guard).map_err(|fault| failed(Stage::Load, fault))?;

        let wanted = self.stages.reflex.hooks();
        if R - self.receipts.in_use() < wanted {
            if R < wanted {
                return Err(failed(Stage::Reflex, PoolError::ReceiptsExhausted { total: R }.into()));
            }
            self.fold_receipts();
        }
        let cycle = Cycle { cycle: self.cycle.cycle + 1, ..self.cycle };
        let firings =
            self.stages.reflex.reflex(&guard, cycle).map_err(|fault| failed(Stage::Reflex, fault))?;
        for firing in firings.as_ref() {
            self.receipts.record(firing.receipt).map_err(|error| failed(Stage::Reflex, error.into()))?;
            self.totals.receipt = self.totals.receipt.merge(firing.receipt);
        }
        self.cycle = cycle;
        self.totals.batches += 1;
        self.typed_len = 0;
        Ok(Some(Loaded { guard, firings, cycle, place }))
    }

    /// The total has them already.
    #[cold]
    fn fold_receipts(&mut self) {
        self.receipts.reset_receipt_pool();
        self.totals.folds += 1;
    }

    /// Gives up what is held: batches that wait, which go back to their pool, and triples that are not in a batch yet. Says how many triples.
    pub fn discard(&mut self) -> usize {
        let mut triples = core::mem::take(&mut self.typed_len);
        while let Some(loaded) = self.waiting.pop_front() {
            triples += loaded.guard.len();
        }
        triples
    }

    /// What was done so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Batches that wait for the sink.
    pub fn in_flight(&self) -> usize {
        self.waiting.len
    }

    /// The stages.
    pub fn stages(&self) -> &Stages<I, T, L, X, E> {
        &self.stages
    }

    /// The stages, to be changed between two calls.
    pub fn stages_mut(&mut self) -> &mut Stages<I, T, L, X, E> {
        &mut self.stages
    }

    /// The stages back; what is held is given up, as by [`discard`](Self::discard).
    pub fn into_stages(self) -> Stages<I, T, L, X, E> {
        self.stages
    }
}

impl<P: SoaPool, I, T, L, X: Reflex, E, const R: usize, const F: usize> fmt::Debug
    for Pipeline<'_, P, I, T, L, X, E, R, F>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("totals", &self.totals)
            .field("in_flight", &self.waiting.len)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// At most `F` values, first in, first out.
struct Waiting<V, const F: usize> {
    /// Those at `first` and the `len - 1` after it, modulo `F`, are there.
    slots: [Option<V>; F],
    first: usize,
    len: usize,
}

impl<V, const F: usize> Waiting<V, F> {
    fn new() -> Self {
        Self { slots: [const { None }; F], first: 0, len: 0 }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.len == F
    }

    /// The callers look for room first.
    fn push_back(&mut self, value: V) {
        debug_assert!(!self.is_full());
        self.slots[(self.first + self.len) % F] = Some(value);
        self.len += 1;
    }

    fn push_front(&mut self, value: V) {
        debug_assert!(!self.is_full());
        self.first = (self.first + F - 1) % F;
        self.slots[self.first] = Some(value);
        self.len += 1;
    }

    fn pop_front(&mut self) -> Option<V> {
        if self.len == 0 {
            return None;
        }
        let value = self.slots[self.first].take();
        self.first = (self.first + 1) % F;
        self.len -= 1;
        value
    }
}
