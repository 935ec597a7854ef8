//! Reading: messages out of the receive buffer, answers matched to the requests they belong to, the look ahead.
//!
//! Owns the order of answers: each request written has one entry in the queue, and nothing is believed that does not
//! fit its head. Never writes and never waits; when the buffer has no whole message it says so. Limits: a message is
//! at most `message_max` bytes; rows set aside for later stay within a quarter of the connection's memory ceiling.

use bolt_wire::ServerFailure;
use bolt_wire::chunk::{self, Chunked};
use bolt_wire::response::Response;
use bolt_wire::route::RoutingTable;
use bolt_wire::summary::{HelloSuccess, LogonSuccess, bookmark};

use crate::engine::Engine;
use crate::error::{Error, Reason};
use crate::io::Io;
use crate::results::{Look, Phase, Slot};

/// A request whose answer has not been read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    Hello,
    Logon,
    Logoff,
    Telemetry,
    Route,
    Run(Slot),
    Pull(Slot),
    Discard(Slot),
    Begin,
    Commit,
    Rollback,
    Reset,
}

impl Owed {
    /// For the sentence "the server refused …".
    pub(crate) fn name(self) -> &'static str {
        match self {
            Owed::Hello => "HELLO",
            Owed::Logon => "LOGON",
            Owed::Logoff => "LOGOFF",
            Owed::Telemetry => "TELEMETRY",
            Owed::Route => "ROUTE",
            Owed::Run(_) => "RUN",
            Owed::Pull(_) => "PULL",
            Owed::Discard(_) => "DISCARD",
            Owed::Begin => "BEGIN",
            Owed::Commit => "COMMIT",
            Owed::Rollback => "ROLLBACK",
            Owed::Reset => "RESET",
        }
    }

    pub(crate) fn slot(self) -> Option<Slot> {
        match self {
            Owed::Run(slot) | Owed::Pull(slot) | Owed::Discard(slot) => Some(slot),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Ignored,
    /// What the server said is in `Engine::failure`.
    Failure,
}

/// An answer that has been read and entered into the books.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) to: Owed,
    pub(crate) outcome: Outcome,
}

/// Where the bytes of a record lie; valid until the next call that reads.
#[derive(Clone, Copy, Debug)]
pub struct Location {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) aside: bool,
}

/// What one look at the buffered bytes gave.
pub(crate) enum Polled {
    /// A record of the result asked about; `prefetch` when the next batch should be asked for at once.
    Record { location: Location, prefetch: bool },
    /// The result has ended well.
    End,
    /// Nothing of this result is under way: a PULL must be sent.
    Pull,
    /// A whole message is not there: more bytes must be read.
    Fill,
    /// An answer was read, which may end this or another result.
    Answered(Answered),
}

const RECORD: u8 = 0x71;

/// `SUCCESS {has_more: true}` in the only form servers write it: alone, and in the smallest encoding. Any other
/// spelling is understood too, but only when its turn comes.
const HAS_MORE: [u8; 13] = *b"\xB1\x70\xA1\x88has_more\xC3";

/// `B1 71 …`, and also `B0 71` and `B2 71`, which the scan then refuses with the reason.
#[inline]
fn is_record(body: &[u8]) -> bool {
    matches!(body, [0xB0..=0xBF, RECORD, ..])
}

impl<I: Io> Engine<I> {
    /// The next whole message as a range of `recv.read_slice()`. The one before it is let go.
    #[inline]
    pub(crate) fn next_message(&mut self) -> Result<Option<(usize, usize)>, Error> {
        if let Some(range) = self.replay.take() {
            return Ok(Some(range));
        }
        self.let_go();
        loop {
            match self.dechunker.next(self.recv.read_slice_mut(), self.message_max) {
                Ok(Chunked::Message { start, end, consumed }) => {
                    self.held = consumed;
                    self.stats.messages += 1;
                    return Ok(Some((start, end)));
                }
                Ok(Chunked::Noop { consumed }) => {
                    self.recv.consume(consumed);
                    self.position += consumed as u64;
                    self.stats.noops += consumed as u64 / 2;
                }
                Ok(Chunked::NeedMore { at_least }) => {
                    self.need = at_least;
                    return Ok(None);
                }
                Err(error) => {
                    let limit = self.message_max;
                    return Err(self.break_off(
                        Error::new(
                            Reason::Malformed,
                            format!(
                                "the server sent what is no legal message: {error}; messages of up to {limit} bytes \
                                 are accepted (Config::limits, Config::memory_bytes_max)"
                            ),
                        )
                        .with_source(error),
                    ));
                }
            }
        }
    }

    /// Gives the bytes of the message handed out last back to the buffer.
    #[inline]
    pub(crate) fn let_go(&mut self) {
        if self.held != 0 {
            self.recv.consume(self.held);
            self.position += self.held as u64;
            self.held = 0;
        }
    }

    /// Goes on with one result as far as the buffered bytes allow. No input or output.
    #[inline]
    pub(crate) fn poll(&mut self, slot: Slot) -> Result<Polled, Error> {
        let result = self.results.get_mut(slot)?;
        if result.phase != Phase::Open || result.has_aside() {
            return self.poll_slow(slot);
        }
        if result.pulls_owed == 0 {
            return Ok(Polled::Pull);
        }
        let Some((start, end)) = self.next_message()? else { return Ok(Polled::Fill) };
        let body = &self.recv.read_slice()[start..end];
        if is_record(body) && self.owed.front() == Some(&Owed::Pull(slot)) {
            let result = self.results.by_index(slot.index);
            if let Err(error) = self.decoder.scan(body, result.fields.len()) {
                return Err(self.malformed(error));
            }
            result.records += 1;
            result.until_look = result.until_look.saturating_sub(1);
            let prefetch = result.until_look == 0 && self.look_ahead(slot);
            return Ok(Polled::Record { location: Location { start, end, aside: false }, prefetch });
        }
        match self.take_message(start, end)? {
            Some(answered) => Ok(Polled::Answered(answered)),
            None => self.poll_slow(slot),
        }
    }

    /// Everything but the next record of the result at the head of the queue.
    fn poll_slow(&mut self, slot: Slot) -> Result<Polled, Error> {
        loop {
            let result = self.results.get_mut(slot)?;
            if let Some((start, end)) = result.next_aside() {
                let body = &result.aside_unread()[start..end];
                if let Err(error) = self.decoder.scan(body, result.fields.len()) {
                    return Err(self.malformed(error));
                }
                result.records += 1;
                return Ok(Polled::Record {
                    location: Location { start, end, aside: true },
                    prefetch: false,
                });
            }
            match result.phase {
                Phase::Done => return Ok(Polled::End),
                Phase::Ended | Phase::Free => return Err(self.ended()),
                Phase::Open if result.pulls_owed == 0 => return Ok(Polled::Pull),
                Phase::Open | Phase::Running => {}
            }
            let Some((start, end)) = self.next_message()? else { return Ok(Polled::Fill) };
            let body = &self.recv.read_slice()[start..end];
            if is_record(body) && self.owed.front() == Some(&Owed::Pull(slot)) {
                let result = self.results.by_index(slot.index);
                if result.phase == Phase::Open {
                    if let Err(error) = self.decoder.scan(body, result.fields.len()) {
                        return Err(self.malformed(error));
                    }
                    result.records += 1;
                    result.until_look = result.until_look.saturating_sub(1);
                    let prefetch = result.until_look == 0 && self.look_ahead(slot);
                    return Ok(Polled::Record { location: Location { start, end, aside: false }, prefetch });
                }
            }
            if let Some(answered) = self.take_message(start, end)? {
                return Ok(Polled::Answered(answered));
            }
        }
    }

    /// The next answer among the buffered bytes, setting records aside or skipping them on the way. `None`: more
    /// bytes must be read.
    pub(crate) fn poll_answer(&mut self) -> Result<Option<Answered>, Error> {
        while let Some((start, end)) = self.next_message()? {
            if let Some(answered) = self.take_message(start, end)? {
                return Ok(Some(answered));
            }
        }
        Ok(None)
    }

    /// Enters one message into the books: a record is set aside or skipped, an answer is returned.
    fn take_message(&mut self, start: usize, end: usize) -> Result<Option<Answered>, Error> {
        let body = &self.recv.read_slice()[start..end];
        if is_record(body) {
            let Some(&Owed::Pull(slot)) = self.owed.front() else {
                let instead = self.owed.front().map_or("no answer at all", |owed| owed.name());
                return Err(self.unexpected("RECORD", instead));
            };
            let aside_before = self.results.aside_capacity();
            return match self.results.get_mut(slot) {
                // A result of a transaction that is over, or one that nobody reads: its rows are skipped unread.
                Err(_) => Ok(None),
                Ok(result) if result.abandoned => Ok(None),
                Ok(result) if result.phase == Phase::Open => {
                    let config =
                        self.aside_config(aside_before - self.results.peek(slot.index).aside_capacity());
                    let body = &self.recv.read_slice()[start..end];
                    match self.results.by_index(slot.index).set_aside(body, config) {
                        Ok(()) => Ok(None),
                        Err(error) => {
                            // The message stays where it is: once the other result is read there may be room.
                            self.replay = Some((start, end));
                            Err(error)
                        }
                    }
                }
                Ok(_) => Err(self.unexpected("RECORD", "IGNORED")),
            };
        }
        self.take_answer(start, end).map(Some)
    }

    fn take_answer(&mut self, start: usize, end: usize) -> Result<Answered, Error> {
        // A RESET from another thread adds an answer that this side did not know to be owed.
        if self.owed.is_empty() && self.cancel.take_reset() {
            self.owed.push_back(Owed::Reset);
        }
        let Some(&to) = self.owed.front() else {
            return Err(self.unexpected("an answer", "no message"));
        };
        let body = &self.recv.read_slice()[start..end];
        let response = match Response::parse(body, self.version, self.utc_patch, &mut self.walker) {
            Ok(response) => response,
            Err(error) => return Err(self.malformed(error)),
        };
        let outcome = match response {
            Response::Success(metadata) => {
                if self.failed && to != Owed::Reset {
                    return Err(self.unexpected("SUCCESS", "IGNORED"));
                }
                let entered = match to {
                    Owed::Hello => {
                        let said = HelloSuccess::read(metadata);
                        self.utc_patch = said.utc_patch && self.version.features().utc_patch;
                        self.server.hello(said, self.version);
                        Ok(())
                    }
                    Owed::Logon => {
                        self.server.logon(LogonSuccess::read(metadata));
                        Ok(())
                    }
                    Owed::Route => match RoutingTable::read(metadata, &self.limits) {
                        Ok(table) => {
                            self.table = Some(table);
                            Ok(())
                        }
                        Err(error) => Err(error),
                    },
                    Owed::Commit => {
                        self.bookmark.clear();
                        self.bookmark.push_str(bookmark(metadata).unwrap_or_default());
                        Ok(())
                    }
                    Owed::Reset => {
                        self.failed = false;
                        Ok(())
                    }
                    Owed::Run(slot) | Owed::Pull(slot) | Owed::Discard(slot) => {
                        match self.results.get_mut(slot) {
                            Ok(result) => result.enter_success(to, metadata, &self.limits),
                            // The answer to a request of a result that is gone.
                            Err(_) => Ok(()),
                        }
                    }
                    Owed::Begin | Owed::Rollback | Owed::Logoff | Owed::Telemetry => Ok(()),
                };
                if let Err(error) = entered {
                    return Err(self.malformed(error));
                }
                Outcome::Success
            }
            Response::Ignored => {
                if !self.failed {
                    // Without a failure only a RESET that overtook the request explains it.
                    if !self.reset_is_owed() {
                        return Err(self.unexpected("IGNORED", "SUCCESS or FAILURE"));
                    }
                    self.failed = true;
                    self.interrupted = true;
                }
                // A RESET that a second one overtook is ignored; the second one counts.
                if to == Owed::Reset && !self.owed.iter().skip(1).any(|owed| *owed == Owed::Reset) {
                    return Err(self.unexpected("IGNORED", "SUCCESS"));
                }
                if matches!(to, Owed::Hello | Owed::Logon | Owed::Logoff) {
                    return Err(self.unexpected("IGNORED", "SUCCESS"));
                }
                Outcome::Ignored
            }
            Response::Failure(failure) => {
                match ServerFailure::read(failure, &self.limits) {
                    // Servers close after these, or should: there is no state to go on from.
                    Ok(failure) if matches!(to, Owed::Hello | Owed::Logon | Owed::Logoff | Owed::Reset) => {
                        let error = Error::from_failure(failure, to.name());
                        return Err(self.break_off(error));
                    }
                    Ok(failure) => self.failure = Some(failure),
                    Err(error) => return Err(self.malformed(error)),
                }
                self.interrupted = self.reset_is_owed();
                self.failed = true;
                Outcome::Failure
            }
            Response::Record => return Err(self.unexpected("RECORD", to.name())),
        };
        self.owed.pop_front();
        if outcome != Outcome::Success {
            if let Some(slot) = to.slot()
                && let Ok(result) = self.results.get_mut(slot)
            {
                result.phase = Phase::Ended;
                result.pulls_owed = result.pulls_owed.saturating_sub(1);
            }
            if self.in_transaction {
                // One failure ends the transaction and everything in it; rows already set aside can still be read.
                self.transaction_failed = true;
                self.results.iter_mut().filter(|result| result.is_open()).for_each(|result| {
                    result.phase = Phase::Ended;
                });
            }
        }
        Ok(Answered { to, outcome })
    }

    /// Whether a RESET is on the wire whose answer has not come, from this side or from a cancel handle.
    pub(crate) fn reset_is_owed(&mut self) -> bool {
        if self.cancel.take_reset() {
            self.owed.push_back(Owed::Reset);
        }
        self.owed.contains(&Owed::Reset)
    }

    /// Half of the batch is read: is its end in the buffer already, and does it say that more will follow?
    ///
    /// A PULL sent before `has_more: true` was seen is a violation when the batch turns out to be the last one, and
    /// servers close the connection on it. So the chunk headers behind the current record are walked (a load and an
    /// add each) until the end of the batch or of the bytes; what was walked is not walked again.
    fn look_ahead(&mut self, slot: Slot) -> bool {
        let result = self.results.by_index(slot.index);
        let next = self.position + self.held as u64;
        let from = match result.look {
            Look::Never => return false,
            Look::Later => next,
            // Nothing new has come since the last look.
            Look::From { fill, .. } if fill == self.stats.reads => return false,
            Look::From { position, .. } => position.max(next),
        };
        let mut at = (from - self.position) as usize;
        let unread = self.recv.read_slice().get(at..).unwrap_or_default();
        for ahead in chunk::look_ahead(unread) {
            if is_record(ahead.first_chunk) {
                at = (from - self.position) as usize + ahead.end;
                continue;
            }
            result.stop_looking();
            return ahead.is_whole && ahead.first_chunk == HAS_MORE;
        }
        result.look = Look::From { position: self.position + at as u64, fill: self.stats.reads };
        false
    }

    #[cold]
    pub(crate) fn malformed(&mut self, error: bolt_wire::DecodeError) -> Error {
        let during = self.owed.front().map_or("no answer was owed", |owed| owed.name());
        self.break_off(
            Error::new(
                Reason::Malformed,
                format!("the server sent a malformed message (next answer owed: {during}): {error}"),
            )
            .with_source(error),
        )
    }

    #[cold]
    fn unexpected(&mut self, found: &str, expected: &str) -> Error {
        self.break_off(Error::new(
            Reason::Unexpected,
            format!(
                "the server sent {found} where {expected} was expected; it does not keep to the protocol"
            ),
        ))
    }

    /// Why a result that is over cannot be read on.
    #[cold]
    pub(crate) fn ended(&self) -> Error {
        if let Some(why) = &self.over {
            return Error::over(why);
        }
        if self.interrupted {
            return Error::new(Reason::Cancelled, "the request was cancelled; the connection can be used on");
        }
        Error::new(
            Reason::TransactionOver,
            "an earlier failure ended this result and the transaction it belongs to; run it again from the start",
        )
    }
}
