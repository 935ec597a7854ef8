//! Writing: requests into one flight, the flight into one write, and the waits for its answers.
//!
//! Owns the order of writes: what a flight may follow, when it must begin with RESET, when it must wait. Never parses a
//! message. Limits: a flight above 32 KiB is not written while answers are owed, since both ends could wait for the
//! other to read; what is owed is read first.

use std::time::{Duration, Instant};

use bolt_buf::Cycle;
use bolt_wire::request::{Begin, Commit, Discard, Goodbye, Pull, Rollback, Run, RunExtra, WriteMessage};
use bolt_wire::{EncodeError, Params};

use crate::answers::{Answered, Location, Outcome, Owed, Polled};
use crate::cancel::{Grant, RESET};
use crate::config::{RunOptions, TxOptions};
use crate::engine::Engine;
use crate::error::{Error, Reason};
use crate::io::{Io, is_timeout};
use crate::results::{AUTO_COMMIT, Phase, Slot};

/// A flight up to this size always fits the socket's send buffer, so that writing it cannot wait for the peer to read.
const SMALL_FLIGHT_BYTES: usize = 32 * 1024;

/// What a flight does to the state the server is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flight {
    /// Starts from READY: RUN, BEGIN. A RESET may stand before it.
    Fresh,
    /// Only makes sense in the present state: PULL, COMMIT, RUN in a transaction.
    Continues,
    /// As `Fresh`, and nothing may overtake its answer: BEGIN.
    Begin,
    /// Ends with RESET.
    Reset,
}

impl<I: Io> Engine<I> {
    /// Starts a flight: what was written into the send buffer before and not sent is forgotten.
    pub(crate) fn start_flight(&mut self, flight: Flight) -> Result<(), Error> {
        self.check_alive()?;
        if self.owed.is_empty() && self.recv.len() > self.held {
            // Nothing is owed, so nothing but keep-alives, or the answer to a cancel handle's RESET, can be there.
            while self.poll_answer()?.is_some() {}
        }
        self.send.reset();
        self.staged.clear();
        if flight == Flight::Continues {
            return Ok(());
        }
        let owed = self.reset_is_owed();
        if (self.failed && !owed) || self.reset_wanted {
            self.send.append(&RESET).map_err(no_room)?;
            self.staged.push_back(Owed::Reset);
        }
        if !self.ahead.is_empty() {
            self.send.append(&self.ahead).map_err(no_room)?;
            self.staged.extend(&self.ahead_owed);
        }
        Ok(())
    }

    /// Sends the flight. The answers it will get are owed from here on, even if this future is dropped.
    pub(crate) async fn send_flight(&mut self, flight: Flight) -> Result<(), Error> {
        if self.send.len() > SMALL_FLIGHT_BYTES && !self.owed.is_empty() {
            self.clear_the_way().await?;
        }
        match self.cancel.begin_write(flight == Flight::Continues) {
            Grant::Broken => return Err(self.break_off(half_reset())),
            Grant::Interrupted => {
                self.owed.push_back(Owed::Reset);
                self.send.reset();
                self.staged.clear();
                self.interrupt_all();
                return Err(self.ended());
            }
            Grant::Write { reset_before } => {
                if reset_before {
                    self.owed.push_back(Owed::Reset);
                }
            }
        }
        let resets = self.staged.iter().filter(|owed| **owed == Owed::Reset).count();
        if resets > 0 {
            self.reset_wanted = false;
            self.stats.resets += resets as u64;
        }
        if matches!(flight, Flight::Fresh | Flight::Begin) {
            self.interrupted = false;
        }
        self.owed.append(&mut self.staged);
        if matches!(flight, Flight::Fresh | Flight::Begin) {
            self.ahead.clear();
            self.ahead_owed.clear();
        }
        self.write_out().await?;
        // RESET must not overtake the answer to BEGIN or LOGOFF: a cancel waits until it has been read.
        if !self.owed.iter().any(|owed| holds_reset(*owed)) {
            self.release_cancel(flight == Flight::Reset)?;
        }
        Ok(())
    }

    pub(crate) fn release_cancel(&mut self, ends_with_reset: bool) -> Result<(), Error> {
        match self.cancel.end_write(ends_with_reset) {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = Error::from_io(error, "sending RESET");
                Err(self.break_off(error))
            }
        }
    }

    /// Reads all that is owed before a large flight; a RESET at its front goes out first, or it might take for ever.
    async fn clear_the_way(&mut self) -> Result<(), Error> {
        if self.staged.front() == Some(&Owed::Reset) {
            match self.cancel.begin_write(false) {
                Grant::Broken | Grant::Interrupted => return Err(self.break_off(half_reset())),
                Grant::Write { reset_before } => {
                    if reset_before {
                        self.owed.push_back(Owed::Reset);
                    }
                }
            }
            self.staged.pop_front();
            self.send.consume(RESET.len());
            self.owed.push_back(Owed::Reset);
            self.reset_wanted = false;
            self.stats.resets += 1;
            self.write_bytes(&RESET).await?;
            self.release_cancel(true)?;
        }
        while !self.owed.is_empty() {
            self.answer().await?;
        }
        Ok(())
    }

    /// Writes what the send buffer holds, in one call, and empties it.
    pub(crate) async fn write_out(&mut self) -> Result<(), Error> {
        let bytes = self.send.len();
        let patience = self.write_patience();
        self.writing = true;
        let written = self.io.write_all(self.send.read_slice(), patience).await;
        self.written(written, bytes)?;
        self.send.reset();
        self.send.end_cycle(Cycle::Active);
        Ok(())
    }

    async fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let patience = self.write_patience();
        self.writing = true;
        let written = self.io.write_all(bytes, patience).await;
        self.written(written, bytes.len())
    }

    fn written(&mut self, written: std::io::Result<()>, bytes: usize) -> Result<(), Error> {
        self.stats.writes += 1;
        if let Err(error) = written {
            let error = if is_timeout(&error) {
                Error::new(
                    Reason::TimedOut,
                    format!(
                        "the server took no bytes for {:?} while {bytes} were being sent; check the network, or \
                         raise Config::write_timeout",
                        self.write_patience().unwrap_or_default()
                    ),
                )
                .with_source(error)
            } else {
                Error::from_io(error, "sending a request")
            };
            return Err(self.break_off(error));
        }
        self.writing = false;
        self.stats.bytes_written += bytes as u64;
        Ok(())
    }

    fn write_patience(&self) -> Option<Duration> {
        match self.login_deadline {
            Some(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            None => self.settings.write_timeout,
        }
    }

    /// Waits for the next answer; rows of results that are not being read are set aside or skipped.
    pub(crate) async fn answer(&mut self) -> Result<Answered, Error> {
        loop {
            if let Some(answered) = self.poll_answer()? {
                if holds_reset(answered.to) && !self.owed.iter().any(|owed| holds_reset(*owed)) {
                    self.release_cancel(false)?;
                }
                return Ok(answered);
            }
            self.fill().await?;
        }
    }

    /// One read into the receive buffer.
    pub(crate) async fn fill(&mut self) -> Result<(), Error> {
        self.check_alive()?;
        let (patience, limited_by) = self.read_patience()?;
        match self.io.read(&mut self.recv, patience).await {
            Ok(0) => {
                let owed = self.owed.front().map_or("a request", |owed| owed.name());
                let (reason, what) = if self.owed.contains(&Owed::Commit) {
                    (Reason::CommitUnknown, "; whether the transaction was committed is not known")
                } else {
                    (Reason::Closed, "")
                };
                let error = Error::new(
                    reason,
                    format!(
                        "the server closed the connection while the answer to {owed} was awaited{what}; its log may \
                         say why, open a new connection to go on"
                    ),
                );
                Err(self.break_off(error))
            }
            Ok(bytes) => {
                self.stats.reads += 1;
                self.stats.bytes_read += bytes as u64;
                Ok(())
            }
            Err(error) => {
                let commit = self.owed.contains(&Owed::Commit);
                let mut wrapped = if is_timeout(&error) {
                    Error::new(
                        Reason::TimedOut,
                        format!(
                            "nothing came from the server for {:.1?} ({limited_by}); it may be gone, or the limit too \
                             short",
                            patience.unwrap_or_default()
                        ),
                    )
                    .with_source(error)
                } else if error.kind() == std::io::ErrorKind::OutOfMemory {
                    Error::new(
                        Reason::Limit,
                        format!(
                            "a message does not fit the connection's memory: {error}; raise Config::memory_bytes_max"
                        ),
                    )
                    .with_source(error)
                    .fatal()
                } else {
                    Error::from_io(error, "waiting for an answer")
                };
                if commit {
                    wrapped = wrapped.commit_unknown();
                }
                Err(self.break_off(wrapped))
            }
        }
    }

    /// How long the next read may wait, and which setting says so.
    fn read_patience(&mut self) -> Result<(Option<Duration>, &'static str), Error> {
        if let Some(deadline) = self.login_deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let error = Error::new(
                    Reason::TimedOut,
                    "the handshake and login took longer than Config::login_timeout; is this a Bolt port, and is the \
                     server well?",
                );
                return Err(self.break_off(error));
            }
            return Ok((Some(left), "what was left of Config::login_timeout"));
        }
        let mut patience = self.settings.read_timeout;
        let mut by = "Config::read_timeout";
        if let Some(hint) = self.server.hints.recv_timeout
            && patience.is_none_or(|patience| hint < patience)
        {
            patience = Some(hint);
            by = "the server's own hint connection.recv_timeout_seconds";
        }
        if let Some(limit) = self.settings.answer_timeout {
            let now = Instant::now();
            let since = match self.waiting_since {
                Some((messages, since)) if messages == self.stats.messages => since,
                _ => now,
            };
            self.waiting_since = Some((self.stats.messages, since));
            let left = limit.saturating_sub(now - since);
            if left.is_zero() {
                let error = Error::new(
                    Reason::TimedOut,
                    format!("no answer came within Config::answer_timeout ({limit:?})"),
                );
                return Err(self.break_off(error));
            }
            if patience.is_none_or(|patience| left < patience) {
                patience = Some(left);
                by = "what was left of Config::answer_timeout";
            }
        }
        Ok((patience, by))
    }

    /// Adds a message to the flight; on an error the flight is as it was.
    pub(crate) fn write(&mut self, message: &impl WriteMessage) -> Result<(), EncodeError> {
        message.write(self.version, self.utc_patch, &mut self.send)
    }

    // ---- queries

    /// Sends RUN and PULL in one flight and waits for the columns.
    ///
    /// Outside a transaction what an earlier result left over is dealt with first: see [`settle`](Self::settle).
    ///
    /// # Errors
    /// `InvalidArgument` when query or parameters cannot be sent (nothing was), `Failure` when the server refuses
    /// them, or what broke the connection.
    pub async fn run(
        &mut self,
        query: &str,
        params: impl Params,
        options: &RunOptions,
    ) -> Result<Slot, Error> {
        let flight = if self.in_transaction {
            self.check_transaction()?;
            Flight::Continues
        } else {
            self.settle_result().await?;
            Flight::Fresh
        };
        self.start_flight(flight)?;
        let batch = options.fetch_size.map_or(self.settings.fetch_size, |size| size.to_wire());
        let slot = self.results.open(self.in_transaction, batch, options.tx.read_only)?;
        let none = RunExtra::default();
        let asked = options.tx.as_wire(self.settings.database.as_deref());
        let extra = if self.in_transaction { &none } else { &asked };
        let (version, utc) = (self.version, self.utc_patch);
        let written = Run { query, params: &params, extra }
            .write(version, utc, &mut self.send)
            .and_then(|()| Pull { n: batch, qid: None }.write(version, utc, &mut self.send));
        if let Err(error) = written {
            self.free(slot);
            self.send.reset();
            self.staged.clear();
            return Err(error.into());
        }
        self.staged.push_back(Owed::Run(slot));
        self.staged.push_back(Owed::Pull(slot));
        self.results.by_index(slot.index).pull_sent();
        if let Err(error) = self.send_flight(flight).await {
            // Nothing of it was sent when there was no room for the rows that are in the way.
            if error.reason() == Reason::Limit {
                self.free(slot);
            }
            return Err(error);
        }
        loop {
            let answered = match self.answer().await {
                Ok(answered) => answered,
                Err(error) => {
                    // The caller gets no name for this result, so nobody will read it.
                    if let Ok(result) = self.results.get_mut(slot) {
                        result.abandon();
                    }
                    return Err(error);
                }
            };
            if answered.to == Owed::Run(slot) {
                return match answered.outcome {
                    Outcome::Success => Ok(slot),
                    _ => Err(self.refusal(answered)),
                };
            }
            self.pass_on(answered)?;
        }
    }

    /// The next record of a result, or none at its end. Synchronous while whole messages are buffered.
    ///
    /// # Errors
    /// What ended the result: the server's failure, a cancel, or a broken connection.
    pub async fn next(&mut self, slot: Slot) -> Result<Option<Location>, Error> {
        loop {
            match self.poll(slot)? {
                Polled::Record { location, prefetch } => {
                    if prefetch {
                        self.prefetch(slot).await?;
                    }
                    return Ok(Some(location));
                }
                other => {
                    if self.proceed(slot, other).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// What `next` does when the buffer holds no record: true at the end of the result.
    pub(crate) async fn proceed(&mut self, slot: Slot, polled: Polled) -> Result<bool, Error> {
        match polled {
            Polled::End => {
                self.rest();
                return Ok(true);
            }
            Polled::Pull => self.pull(slot).await?,
            Polled::Fill => self.fill().await?,
            Polled::Answered(answered) if answered.outcome != Outcome::Success => {
                if answered.to.slot() == Some(slot) {
                    return Err(self.refusal(answered));
                }
                self.pass_on(answered)?;
            }
            Polled::Answered(_) | Polled::Record { .. } => {}
        }
        Ok(false)
    }

    /// Asks for the next batch while half of the present one is still to be read.
    pub(crate) async fn prefetch(&mut self, slot: Slot) -> Result<(), Error> {
        self.stats.prefetches += 1;
        self.pull(slot).await
    }

    async fn pull(&mut self, slot: Slot) -> Result<(), Error> {
        self.start_flight(Flight::Continues)?;
        let result = self.results.get_mut(slot)?;
        result.pull_sent();
        let (batch, qid) = (result.batch, result.qid.filter(|_| self.in_transaction));
        self.write(&Pull { n: batch, qid })?;
        self.staged.push_back(Owed::Pull(slot));
        self.send_flight(Flight::Continues).await
    }

    /// Ends a result: skips what is on its way, tells the server to discard the rest, and waits for the summary.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub async fn finish(&mut self, slot: Slot) -> Result<(), Error> {
        if self.results.get(slot)?.phase == Phase::Ended {
            return Err(self.ended());
        }
        self.results.get_mut(slot)?.abandon();
        while self.results.get(slot)?.is_open() {
            let result = self.results.get(slot)?;
            if result.phase == Phase::Open && result.pulls_owed == 0 {
                self.start_flight(Flight::Continues)?;
                self.stage_discard(slot)?;
                self.send_flight(Flight::Continues).await?;
            }
            let answered = self.answer().await?;
            if answered.to.slot() == Some(slot) && answered.outcome != Outcome::Success {
                return Err(self.refusal(answered));
            }
            self.pass_on(answered)?;
        }
        Ok(())
    }

    fn stage_discard(&mut self, slot: Slot) -> Result<(), Error> {
        let result = self.results.get_mut(slot)?;
        result.pulls_owed += 1;
        let qid = result.qid.filter(|_| self.in_transaction);
        self.write(&Discard { n: -1, qid })?;
        self.staged.push_back(Owed::Discard(slot));
        Ok(())
    }

    /// Brings what an auto-commit result left behind to an end, so that the next request is answered by its own
    /// answers.
    ///
    /// - A result that was read to its end, or failed: nothing to do.
    /// - One declared read-only: the next flight begins with RESET, which costs no round trip; what still comes is
    ///   skipped.
    /// - Any other: the batch on its way is skipped and the rest discarded, so that its writes are committed just as
    ///   if it had been read. An error in that rest is nobody's any more; it costs a RESET.
    pub(crate) async fn settle_result(&mut self) -> Result<(), Error> {
        self.check_alive()?;
        if self.logged_off {
            return Err(Error::new(
                Reason::InvalidArgument,
                "nobody is logged on after logoff(); call logon() first",
            ));
        }
        self.skip_result().await
    }

    pub(crate) async fn skip_result(&mut self) -> Result<(), Error> {
        while self.results.peek(AUTO_COMMIT as u32).is_open() {
            let result = self.results.by_index(AUTO_COMMIT as u32);
            result.abandon();
            if result.read_only {
                result.phase = Phase::Ended;
                self.reset_wanted = true;
                break;
            }
            let slot = Slot { index: AUTO_COMMIT as u32, generation: result.generation };
            if result.phase == Phase::Open && result.pulls_owed == 0 {
                self.start_flight(Flight::Continues)?;
                self.stage_discard(slot)?;
                match self.send_flight(Flight::Continues).await {
                    Ok(()) => {}
                    Err(error) if error.is_connection_usable() => break,
                    Err(error) => return Err(error),
                }
            }
            self.answer().await?;
        }
        Ok(())
    }

    // ---- transactions

    /// Opens a transaction and waits until it is.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub async fn begin(&mut self, options: &TxOptions) -> Result<(), Error> {
        if self.in_transaction {
            return Err(Error::new(
                Reason::InvalidArgument,
                "a transaction is open already; commit or roll it back first",
            ));
        }
        self.settle_result().await?;
        self.start_flight(Flight::Begin)?;
        let extra = options.as_wire(self.settings.database.as_deref());
        if let Err(error) = (Begin { extra: &extra }).write(self.version, self.utc_patch, &mut self.send) {
            self.send.reset();
            self.staged.clear();
            return Err(error.into());
        }
        self.staged.push_back(Owed::Begin);
        self.transaction_failed = false;
        self.send_flight(Flight::Begin).await?;
        loop {
            let answered = self.answer().await?;
            if answered.to == Owed::Begin {
                return match answered.outcome {
                    Outcome::Success => {
                        self.in_transaction = true;
                        Ok(())
                    }
                    _ => Err(self.refusal(answered)),
                };
            }
            self.pass_on(answered)?;
        }
    }

    /// Commits. Results that are still open are discarded first, as the specification wants it.
    ///
    /// # Errors
    /// `TransactionOver` or `Cancelled` when it had ended before; `CommitUnknown` when the connection broke after
    /// COMMIT was sent.
    pub async fn commit(&mut self) -> Result<Option<&str>, Error> {
        let outcome = match self.check_transaction() {
            Ok(()) => self.try_commit().await,
            over => over,
        };
        // Whatever was wrong, the caller is told once and the transaction does not linger.
        if outcome.is_err() {
            let _ = self.abandon_transaction().await;
        }
        self.leave_transaction();
        outcome?;
        Ok(Some(self.bookmark.as_str()).filter(|bookmark| !bookmark.is_empty()))
    }

    async fn try_commit(&mut self) -> Result<(), Error> {
        for result in self.results.iter_mut().skip(1).filter(|result| result.is_open()) {
            result.abandon();
        }
        while !self.owed.is_empty() {
            let answered = self.answer().await?;
            self.pass_on(answered)?;
        }
        self.start_flight(Flight::Continues)?;
        let open: Vec<Slot> = self.results.open_slots().collect();
        for slot in open {
            self.stage_discard(slot)?;
        }
        self.write(&Commit)?;
        self.staged.push_back(Owed::Commit);
        self.bookmark.clear();
        self.send_flight(Flight::Continues).await?;
        loop {
            let answered = self.answer().await?;
            if answered.to == Owed::Commit {
                return match answered.outcome {
                    Outcome::Success => Ok(()),
                    _ => Err(self.refusal(answered)),
                };
            }
            self.pass_on(answered)?;
        }
    }

    /// Rolls back and waits for the answer. After a failure that is a RESET, which the transaction needs anyway.
    ///
    /// # Errors
    /// Only what breaks the connection: a transaction that is over already is rolled back.
    pub async fn rollback(&mut self) -> Result<(), Error> {
        if !self.in_transaction {
            return Ok(());
        }
        self.send_rollback().await?;
        self.leave_transaction();
        while !self.owed.is_empty() {
            self.answer().await?;
        }
        Ok(())
    }

    /// Rolls back what is still open and waits for nothing: the next request reads the answer.
    ///
    /// # Errors
    /// What breaks the connection.
    pub async fn abandon_transaction(&mut self) -> Result<(), Error> {
        if !self.in_transaction {
            return Ok(());
        }
        let sent = self.send_rollback().await;
        self.leave_transaction();
        sent
    }

    /// Sends what ends the transaction: ROLLBACK, or RESET when results are open or it failed.
    async fn send_rollback(&mut self) -> Result<(), Error> {
        self.check_alive()?;
        let reset_owed = self.reset_is_owed();
        if reset_owed {
            return Ok(());
        }
        if self.failed || self.transaction_failed || self.results.open_slots().next().is_some() {
            return self.send_reset().await;
        }
        self.start_flight(Flight::Continues)?;
        self.write(&Rollback)?;
        self.staged.push_back(Owed::Rollback);
        match self.send_flight(Flight::Continues).await {
            // A RESET was faster, and rolls back as well.
            Err(error) if error.is_cancelled() => Ok(()),
            other => other,
        }
    }

    async fn send_reset(&mut self) -> Result<(), Error> {
        self.check_alive()?;
        self.send.reset();
        self.staged.clear();
        self.send.append(&RESET).map_err(no_room)?;
        self.staged.push_back(Owed::Reset);
        self.send_flight(Flight::Reset).await
    }

    pub(crate) fn leave_transaction(&mut self) {
        self.in_transaction = false;
        self.transaction_failed = false;
        self.results.close_transaction();
    }

    /// RESET: ends whatever is open, rolls back, and waits until the server is ready.
    ///
    /// # Errors
    /// What breaks the connection.
    pub async fn reset(&mut self) -> Result<(), Error> {
        self.results.by_index(AUTO_COMMIT as u32).abandon();
        self.send_reset().await?;
        self.interrupt_all();
        self.leave_transaction();
        while !self.owed.is_empty() {
            self.answer().await?;
        }
        self.interrupted = false;
        self.rest();
        Ok(())
    }

    /// Brings everything left behind to an end and reads all that is owed: the connection is as after login.
    ///
    /// # Errors
    /// What breaks the connection.
    pub async fn settle(&mut self) -> Result<(), Error> {
        if self.in_transaction {
            self.rollback().await?;
        }
        self.check_alive()?;
        self.skip_result().await?;
        if self.reset_wanted || (self.failed && !self.reset_is_owed()) {
            self.send_reset().await?;
        }
        self.reset_is_owed();
        while !self.owed.is_empty() {
            self.answer().await?;
        }
        if !self.ahead.is_empty() {
            self.start_flight(Flight::Fresh)?;
            self.send_flight(Flight::Fresh).await?;
            while !self.owed.is_empty() {
                let answered = self.answer().await?;
                self.pass_on(answered)?;
            }
        }
        self.rest();
        Ok(())
    }

    /// Says GOODBYE and closes.
    pub async fn close(&mut self) {
        if self.over.is_none() {
            self.send.reset();
            if self.write(&Goodbye).is_ok() && matches!(self.cancel.begin_write(false), Grant::Write { .. }) {
                let _ = self.write_out().await;
            }
            self.end("it was closed");
        }
    }

    // ---- what went wrong

    /// An answer to something other than what is being waited for.
    pub(crate) fn pass_on(&mut self, answered: Answered) -> Result<(), Error> {
        // The error of a result that nobody reads is nobody's; within a transaction it is everybody's.
        let concerns = answered.to == Owed::Telemetry || (self.in_transaction && answered.to != Owed::Reset);
        if answered.outcome != Outcome::Success && concerns { Err(self.refusal(answered)) } else { Ok(()) }
    }

    /// The error for a request that did not succeed.
    pub(crate) fn refusal(&mut self, answered: Answered) -> Error {
        match (answered.outcome, self.failure.take()) {
            (Outcome::Failure, Some(failure)) if self.interrupted => self.ended().with_failure(failure),
            (Outcome::Failure, Some(failure)) => Error::from_failure(failure, answered.to.name()),
            _ => self.ended(),
        }
    }

    fn interrupt_all(&mut self) {
        self.interrupted = true;
        self.transaction_failed = self.in_transaction;
        for result in self.results.iter_mut().filter(|result| result.is_open()) {
            result.abandon();
            result.phase = Phase::Ended;
        }
    }

    fn check_transaction(&self) -> Result<(), Error> {
        if !self.in_transaction || self.transaction_failed {
            return Err(self.ended());
        }
        Ok(())
    }

    pub(crate) fn check_alive(&mut self) -> Result<(), Error> {
        if let Some(why) = &self.over {
            return Err(Error::over(why));
        }
        if self.writing {
            self.end("a write was given up half-way");
            return Err(Error::over("a write was given up half-way"));
        }
        Ok(())
    }

    /// Nothing can be sent or read any more.
    #[cold]
    pub(crate) fn break_off(&mut self, error: Error) -> Error {
        self.end(&error.to_string());
        error.fatal()
    }

    fn end(&mut self, why: &str) {
        self.over.get_or_insert_with(|| why.to_owned());
        // What is still buffered is not looked at any more.
        for result in self.results.iter_mut() {
            result.abandon();
            if result.is_open() {
                result.phase = Phase::Ended;
            }
        }
        self.cancel.close();
        self.io.close();
    }
}

/// Requests whose answer RESET must not overtake: real servers close the connection on it.
fn holds_reset(owed: Owed) -> bool {
    matches!(owed, Owed::Begin | Owed::Logoff | Owed::Logon)
}

#[cold]
fn no_room(error: bolt_buf::CapacityError) -> Error {
    Error::from(EncodeError::Full(error))
}

#[cold]
fn half_reset() -> Error {
    Error::new(Reason::Io, "a RESET from a cancel handle went out only in part; open a new connection")
}
