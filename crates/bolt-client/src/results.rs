//! What the connection knows about each open result: columns, batches asked for, rows set aside, final metadata.
//!
//! Owns the slots, whose memory is reused from query to query, and the store for rows that arrive while another
//! result is being read. Never touches the socket. Limits: the number of slots is bounded by the configuration, the
//! bytes set aside by the share of the memory ceiling that the engine passes in.

use bolt_buf::{BoltBuf, BufConfig};
use bolt_wire::summary::{PullSuccess, ResultFacts, RunSuccess};
use bolt_wire::{DecodeError, Fields, Limits, MapRef, Summary};

use crate::answers::Owed;
use crate::error::{Error, Reason};

/// Names one result of a connection. Its generation tells a result from the one that used the slot before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Where a result stands, as far as its answers have been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The slot is free.
    Free,
    /// RUN is written, its answer has not been read.
    Running,
    /// Columns are known; a PULL or DISCARD is owed, or the next one must be sent.
    Open,
    /// The last record has been received; the final metadata is in `summary`.
    Done,
    /// A FAILURE, IGNORED or RESET ended it.
    Ended,
}

/// How far ahead of the reader the end of the current batch has been looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Not until `until_look` more records have been read.
    Later,
    /// From this position of the incoming stream on, once another read than this has brought more bytes.
    From { position: u64, fill: u64 },
    /// The answer is known, or the next batch has been asked for.
    Never,
}

/// The size in front of a row that was set aside.
const ASIDE_HEADER: usize = 4;

pub(crate) struct OpenResult {
    pub(crate) generation: u32,
    pub(crate) phase: Phase,
    /// The column names. Storage is kept from query to query.
    pub(crate) fields: Fields,
    /// The server's name for this result, in a transaction.
    pub(crate) qid: Option<i64>,
    /// Records per PULL; −1 for all.
    pub(crate) batch: i64,
    /// PULL and DISCARD requests whose final answer has not been read.
    pub(crate) pulls_owed: u32,
    /// Nobody reads this result any more: its records are skipped.
    pub(crate) abandoned: bool,
    /// The query was declared to be read-only, so that stopping it half-way changes nothing.
    pub(crate) read_only: bool,
    /// Milliseconds to the first record, as RUN's answer said.
    t_first_ms: Option<i64>,
    /// The metadata of the last answer. Storage is kept, unless the user takes it away.
    pub(crate) summary: Summary,
    /// Records still to be read before the end of this batch is looked for.
    pub(crate) until_look: u64,
    pub(crate) look: Look,
    pub(crate) records: u64,
    aside: Option<BoltBuf>,
    aside_held: usize,
}

impl OpenResult {
    fn new() -> Self {
        OpenResult {
            generation: 0,
            phase: Phase::Free,
            fields: Fields::new(),
            qid: None,
            batch: 0,
            pulls_owed: 0,
            abandoned: false,
            read_only: false,
            t_first_ms: None,
            summary: Summary::default(),
            until_look: u64::MAX,
            look: Look::Never,
            records: 0,
            aside: None,
            aside_held: 0,
        }
    }

    /// Makes the slot ready for a new query; what pointed at the old one no longer does.
    fn reuse(&mut self, batch: i64, read_only: bool) {
        self.generation = self.generation.wrapping_add(1);
        self.phase = Phase::Running;
        self.fields.clear();
        self.qid = None;
        self.batch = batch;
        self.pulls_owed = 0;
        self.abandoned = false;
        self.read_only = read_only;
        self.t_first_ms = None;
        self.records = 0;
        self.drop_aside();
        self.stop_looking();
    }

    /// What a SUCCESS tells of this result: its columns, the end of a batch, the end of it all.
    pub(crate) fn enter_success(
        &mut self,
        to: Owed,
        metadata: MapRef<'_>,
        limits: &Limits,
    ) -> Result<(), DecodeError> {
        if let Owed::Run(_) = to {
            let said = RunSuccess::read(metadata, &mut self.fields, limits)?;
            self.qid = said.qid;
            self.t_first_ms = said.t_first_ms;
            if self.phase == Phase::Running {
                self.phase = Phase::Open;
            }
            return Ok(());
        }
        let said = PullSuccess::read(metadata)?;
        self.pulls_owed = self.pulls_owed.saturating_sub(1);
        if let PullSuccess::Done(metadata) = said {
            let facts = ResultFacts {
                t_first_ms: self.t_first_ms,
                has_columns: !self.fields.is_empty(),
                has_records: self.records > 0,
            };
            self.summary.fill(metadata, facts);
            if self.phase == Phase::Open {
                self.phase = Phase::Done;
            }
            self.stop_looking();
        } else if self.pulls_owed > 0 && !self.abandoned {
            self.batch_begins();
        }
        Ok(())
    }

    /// A PULL is on its way. Unless an older one is still being answered, its batch begins now.
    pub(crate) fn pull_sent(&mut self) {
        self.pulls_owed += 1;
        if self.pulls_owed == 1 {
            self.batch_begins();
        } else {
            self.stop_looking();
        }
    }

    /// The end of a batch is looked for when half of it has been read.
    fn batch_begins(&mut self) {
        match u64::try_from(self.batch) {
            Ok(batch) => {
                self.until_look = (batch / 2).max(1);
                self.look = Look::Later;
            }
            // All of it in one batch: nothing follows.
            Err(_) => self.stop_looking(),
        }
    }

    pub(crate) fn stop_looking(&mut self) {
        self.look = Look::Never;
        self.until_look = u64::MAX;
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Open)
    }

    /// Nobody will read on: rows set aside go, those still to come are skipped.
    pub(crate) fn abandon(&mut self) {
        self.abandoned = true;
        self.stop_looking();
        self.drop_aside();
    }

    pub(crate) fn has_aside(&self) -> bool {
        self.aside.as_ref().is_some_and(|aside| aside.read_slice().len() > self.aside_held)
    }

    pub(crate) fn aside_capacity(&self) -> usize {
        self.aside.as_ref().map_or(0, BoltBuf::capacity_bytes)
    }

    /// Copies the body of a RECORD for later.
    pub(crate) fn set_aside(&mut self, body: &[u8], config: BufConfig) -> Result<(), Error> {
        let aside = self.aside.get_or_insert_with(|| BoltBuf::with_config(config));
        let length = u32::try_from(body.len()).map_err(|_| Error::internal("a message beyond 4 GiB"))?;
        let stored = aside.reserve(ASIDE_HEADER + body.len()).and_then(|()| {
            aside.append(&length.to_be_bytes())?;
            aside.append(body)
        });
        stored.map_err(|error| {
            Error::new(
                Reason::Limit,
                format!(
                    "rows of a result that is not being read have to be kept, and there is no room: {error}; read \
                     that result first, ask for smaller batches (fetch_size), or raise Config::memory_bytes_max"
                ),
            )
        })
    }

    /// The next row set aside, as a range of [`aside_unread`](Self::aside_unread). The one before it is let go.
    pub(crate) fn next_aside(&mut self) -> Option<(usize, usize)> {
        let aside = self.aside.as_mut()?;
        aside.consume(std::mem::take(&mut self.aside_held));
        let header = aside.read_slice().first_chunk::<ASIDE_HEADER>()?;
        let end = ASIDE_HEADER + u32::from_be_bytes(*header) as usize;
        self.aside_held = end;
        Some((ASIDE_HEADER, end))
    }

    /// The rows set aside, the current one first.
    pub(crate) fn aside_unread(&self) -> &[u8] {
        self.aside.as_ref().map_or(&[], |aside| aside.read_slice())
    }

    pub(crate) fn drop_aside(&mut self) {
        self.aside = None;
        self.aside_held = 0;
    }
}

/// The slots of one connection. Slot 0 is the auto-commit result's; the others belong to the open transaction.
pub(crate) struct Results {
    slots: Vec<OpenResult>,
    max: usize,
}

pub(crate) const AUTO_COMMIT: usize = 0;

impl Results {
    pub(crate) fn new(max: usize) -> Self {
        Results { slots: vec![OpenResult::new()], max: max.max(1) }
    }

    /// Takes a slot for a new query.
    pub(crate) fn open(&mut self, in_transaction: bool, batch: i64, read_only: bool) -> Result<Slot, Error> {
        let index = if in_transaction {
            let free = self.slots.iter().skip(1).position(|slot| slot.phase == Phase::Free);
            match free {
                Some(position) => position + 1,
                None if self.slots.len() <= self.max => {
                    self.slots.push(OpenResult::new());
                    self.slots.len() - 1
                }
                None => {
                    return Err(Error::new(
                        Reason::Limit,
                        format!(
                            "the transaction has {} results open, which is the limit; finish one first, or raise \
                             Config::results_max",
                            self.max
                        ),
                    ));
                }
            }
        } else {
            AUTO_COMMIT
        };
        self.slots[index].reuse(batch, read_only);
        Ok(Slot { index: index as u32, generation: self.slots[index].generation })
    }

    /// The result of a slot, if it is still that one.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Result<&mut OpenResult, Error> {
        match self.slots.get_mut(slot.index as usize) {
            Some(result) if result.generation == slot.generation && result.phase != Phase::Free => Ok(result),
            _ => Err(over()),
        }
    }

    pub(crate) fn get(&self, slot: Slot) -> Result<&OpenResult, Error> {
        match self.slots.get(slot.index as usize) {
            Some(result) if result.generation == slot.generation && result.phase != Phase::Free => Ok(result),
            _ => Err(over()),
        }
    }

    pub(crate) fn by_index(&mut self, index: u32) -> &mut OpenResult {
        &mut self.slots[index as usize]
    }

    #[inline]
    pub(crate) fn peek(&self, index: u32) -> &OpenResult {
        &self.slots[index as usize]
    }

    /// The transaction's results whose end has not been read.
    pub(crate) fn open_slots(&self) -> impl Iterator<Item = Slot> {
        (0u32..)
            .zip(&self.slots)
            .skip(1)
            .filter(|(_, result)| result.is_open())
            .map(|(index, result)| Slot { index, generation: result.generation })
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut OpenResult> {
        self.slots.iter_mut()
    }

    /// The transaction is over: its cursors no longer name anything.
    pub(crate) fn close_transaction(&mut self) {
        for slot in self.slots.iter_mut().skip(1) {
            slot.phase = Phase::Free;
            slot.drop_aside();
        }
    }

    pub(crate) fn aside_capacity(&self) -> usize {
        self.slots.iter().map(OpenResult::aside_capacity).sum()
    }
}

#[cold]
fn over() -> Error {
    Error::new(
        Reason::TransactionOver,
        "this cursor's result was finished, or its transaction is over; run the query again",
    )
}
