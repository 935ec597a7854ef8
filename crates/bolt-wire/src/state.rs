//! What is owed and what is allowed: the client's queue of awaited answers, and the server's states as a table.
//!
//! Owns no message and no socket. [`Pending`] holds at most [`PENDING_MAX`] requests, inline; [`ServerState`] is one byte. Facts: Bolt
//! specification, "server state", and where real servers leave it.

use core::fmt;

use crate::request::RequestTag;
use crate::response::AnswerKind;
use crate::version::Version;

/// How many requests may await an answer at once. A flight has six at most; the rest is room for a pipeline of queries.
pub const PENDING_MAX: usize = 64;

/// A request that awaits its answer, with a number of the caller's own: which result, which callback.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owed {
    /// The request.
    pub request: RequestTag,
    /// The caller's number.
    pub token: u32,
}

/// As many requests await answers as can be noted: read answers first. Nothing was added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PendingFull {
    /// The request that found no room.
    pub request: RequestTag,
}

impl fmt::Display for PendingFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PENDING_MAX} requests await answers: read some before {} is sent", self.request)
    }
}

impl core::error::Error for PendingFull {}

/// An answer that nothing asked for. The two sides are out of step: discard the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unexpected {
    /// What came.
    pub answer: AnswerKind,
    /// What is answered next, if anything.
    pub owed: Option<RequestTag>,
    /// Whether an earlier request of the same flight has failed.
    pub failed: bool,
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answer, owed, failed } = self;
        match owed {
            None => write!(f, "at byte 0: {answer} arrived although no answer is owed"),
            Some(request) if *failed => {
                write!(f, "at byte 0: {answer} arrived for {request} after a failure, expected IGNORED")
            }
            Some(request) => write!(f, "at byte 0: {answer} is no answer to {request}"),
        }
    }
}

impl core::error::Error for Unexpected {}

/// The client's queue of awaited answers: 528 bytes, no heap.
///
/// Every request but GOODBYE is answered once, in order; only PULL has records before its answer. After a FAILURE the rest of the
/// queue must be IGNORED until RESET succeeds.
///
/// ```
/// use bolt_wire::{request::RequestTag, response::AnswerKind, state::Pending};
/// let mut pending = Pending::new();
/// pending.push(RequestTag::Run, 7).unwrap();
/// pending.push(RequestTag::Pull, 7).unwrap();
/// assert_eq!(pending.answer(AnswerKind::Failure).unwrap().request, RequestTag::Run);
/// assert!(pending.answer(AnswerKind::Success).is_err());
/// assert_eq!(pending.answer(AnswerKind::Ignored).unwrap().request, RequestTag::Pull);
/// assert!(pending.is_failed());
/// ```
#[derive(Clone, Debug)]
pub struct Pending {
    ring: [Owed; PENDING_MAX],
    head: usize,
    len: usize,
    failed: bool,
}

impl Default for Pending {
    fn default() -> Self {
        Self::new()
    }
}

impl Pending {
    /// Nothing owed, nothing failed.
    #[must_use]
    pub const fn new() -> Self {
        let none = Owed { request: RequestTag::Reset, token: 0 };
        Self { ring: [none; PENDING_MAX], head: 0, len: 0, failed: false }
    }

    /// How many answers are owed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no answer is owed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a request has failed and RESET has not succeeded since.
    #[must_use]
    pub const fn is_failed(&self) -> bool {
        self.failed
    }

    /// The requests that await answers, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Owed> {
        (0..self.len).map(|i| self.ring[(self.head + i) % PENDING_MAX])
    }

    /// What is answered next.
    #[inline]
    #[must_use]
    pub fn front(&self) -> Option<Owed> {
        (self.len > 0).then(|| self.ring[self.head])
    }

    /// Notes that `request` is sent. GOODBYE is not noted, as it gets no answer.
    ///
    /// # Errors
    /// The queue is full.
    pub fn push(&mut self, request: RequestTag, token: u32) -> Result<(), PendingFull> {
        if request == RequestTag::Goodbye {
            return Ok(());
        }
        if self.len == PENDING_MAX {
            return Err(PendingFull { request });
        }
        self.ring[(self.head + self.len) % PENDING_MAX] = Owed { request, token };
        self.len += 1;
        Ok(())
    }

    /// Whether real servers bear `request` behind what is owed.
    ///
    /// They close the connection upon BEGIN, LOGON or LOGOFF behind a request of the same flight that fails, and upon RESET behind an
    /// unanswered BEGIN or LOGOFF. A RESET that arrives before HELLO or LOGON was answered is answered FAILURE or IGNORED in its turn and
    /// resets nothing (seen on Neo4j 5.26). RESET, BEGIN, RUN, PULL in one flight is fine, as are HELLO, LOGON and LOGOFF, LOGON.
    #[must_use]
    pub fn allows_behind(&self, request: RequestTag) -> bool {
        use RequestTag as R;
        let all_owed = |allowed: fn(R) -> bool| self.iter().all(|owed| allowed(owed.request));
        match request {
            R::Begin | R::Logoff => !self.failed_without_reset() && self.owed_since_reset() == 0,
            R::Logon => all_owed(|owed| matches!(owed, R::Hello | R::Logoff | R::Reset)),
            R::Reset => all_owed(|owed| !matches!(owed, R::Begin | R::Logoff | R::Hello | R::Logon)),
            _ => true,
        }
    }

    fn owed_since_reset(&self) -> usize {
        self.iter().fold(0, |n, owed| if owed.request == RequestTag::Reset { 0 } else { n + 1 })
    }

    fn failed_without_reset(&self) -> bool {
        self.failed && !self.iter().any(|owed| owed.request == RequestTag::Reset)
    }

    /// Notes that an answer of this kind came, and returns the request it answers. That request is settled, unless the answer is a
    /// RECORD, which leaves its PULL owed.
    ///
    /// # Errors
    /// Nothing is owed that this answers.
    #[inline]
    pub fn answer(&mut self, answer: AnswerKind) -> Result<Owed, Unexpected> {
        let Some(owed) = self.front() else {
            return Err(Unexpected { answer, owed: None, failed: self.failed });
        };
        let expected = match answer {
            AnswerKind::Record => {
                if owed.request == RequestTag::Pull && !self.failed {
                    return Ok(owed);
                }
                false
            }
            AnswerKind::Success => !self.failed || owed.request == RequestTag::Reset,
            AnswerKind::Failure => true,
            // A RESET on its way interrupts what stands before it, even another RESET.
            AnswerKind::Ignored => {
                let interrupted = self.iter().skip(1).any(|later| later.request == RequestTag::Reset);
                interrupted || (self.failed && owed.request != RequestTag::Reset)
            }
        };
        if !expected {
            return Err(Unexpected { answer, owed: Some(owed.request), failed: self.failed });
        }
        self.head = (self.head + 1) % PENDING_MAX;
        self.len -= 1;
        match answer {
            AnswerKind::Failure => self.failed = true,
            AnswerKind::Success if owed.request == RequestTag::Reset => self.failed = false,
            _ => {}
        }
        Ok(owed)
    }

    /// Whether a connection must be closed when `request` gets a FAILURE, as no RESET mends it.
    #[must_use]
    pub const fn is_fatal(request: RequestTag) -> bool {
        matches!(request, RequestTag::Hello | RequestTag::Logon | RequestTag::Logoff | RequestTag::Reset)
    }
}

/// Where a server's side of a connection stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ServerState {
    /// A version is agreed on; HELLO is awaited.
    Negotiation,
    /// LOGON is awaited (5.1).
    Authentication,
    /// Nothing is open.
    Ready,
    /// The result of an auto-commit query is open.
    Streaming,
    /// A transaction is open, and no result in it.
    TxReady,
    /// A transaction is open with one result or several.
    TxStreaming,
    /// A request failed; RESET is awaited.
    Failed,
    /// A RESET has arrived and overtakes what is queued before it.
    Interrupted,
    /// Closed, or to be.
    Defunct,
}

/// What to do with a request in a state.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Rule {
    /// Serve it.
    Serve,
    /// Answer IGNORED.
    Ignore,
    /// FAILURE `Neo.ClientError.Request.Invalid`, then close.
    Violation,
    /// Close without an answer: GOODBYE.
    Close,
}

/// How a request that was served came out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// SUCCESS. `results_open` tells whether any result can still be pulled from; it matters for RUN, PULL and DISCARD.
    Success {
        /// Whether a result is open now.
        results_open: bool,
    },
    /// FAILURE.
    Failure,
}

const S: Rule = Rule::Serve;
const I: Rule = Rule::Ignore;
const V: Rule = Rule::Violation;
const C: Rule = Rule::Close;

/// One row per state, one column per request, in the order of [`RequestTag::ALL`]. As real servers have it: COMMIT and ROLLBACK work with
/// results open, RESET works before LOGON, and FAILED forgives neither BEGIN nor LOGON, LOGOFF or HELLO.
#[rustfmt::skip]
const RULES: [[Rule; 13]; 9] = [
    // HELLO GOODBYE RESET RUN BEGIN COMMIT ROLLBACK DISCARD PULL TELEMETRY ROUTE LOGON LOGOFF
    [S,      C,      V,    V,  V,    V,     V,       V,      V,   V,        V,    V,    V], // Negotiation
    [V,      C,      S,    V,  V,    V,     V,       V,      V,   V,        V,    S,    V], // Authentication
    [V,      C,      S,    S,  S,    V,     V,       V,      V,   S,        S,    V,    S], // Ready
    [V,      C,      S,    V,  V,    V,     V,       S,      S,   V,        V,    V,    V], // Streaming
    [V,      C,      S,    S,  V,    S,     S,       S,      S,   V,        V,    V,    V], // TxReady
    [V,      C,      S,    S,  V,    S,     S,       S,      S,   V,        V,    V,    V], // TxStreaming
    [V,      C,      S,    I,  V,    I,     I,       I,      I,   I,        I,    V,    V], // Failed
    [V,      C,      S,    I,  V,    I,     I,       I,      I,   I,        I,    V,    V], // Interrupted
    [V,      C,      V,    V,  V,    V,     V,       V,      V,   V,        V,    V,    V], // Defunct
];

impl ServerState {
    /// Every state, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Negotiation,
        Self::Authentication,
        Self::Ready,
        Self::Streaming,
        Self::TxReady,
        Self::TxStreaming,
        Self::Failed,
        Self::Interrupted,
        Self::Defunct,
    ];

    /// What to do with a request.
    ///
    /// ```
    /// use bolt_wire::{request::RequestTag, state::{Rule, ServerState}};
    /// assert_eq!(ServerState::Ready.rule(RequestTag::Run), Rule::Serve);
    /// assert_eq!(ServerState::Failed.rule(RequestTag::Run), Rule::Ignore);
    /// assert_eq!(ServerState::Failed.rule(RequestTag::Begin), Rule::Violation);
    /// ```
    #[must_use]
    pub fn rule(self, request: RequestTag) -> Rule {
        let column = RequestTag::ALL.iter().position(|&one| one == request);
        column.map_or(Rule::Violation, |column| RULES[self as usize][column])
    }

    /// Where the connection stands after a request that [`rule`](Self::rule) said to serve.
    #[must_use]
    pub fn after(self, request: RequestTag, outcome: Outcome, version: Version) -> Self {
        use RequestTag as R;
        let Outcome::Success { results_open } = outcome else {
            return if Pending::is_fatal(request) { Self::Defunct } else { Self::Failed };
        };
        let in_transaction = matches!(self, Self::TxReady | Self::TxStreaming);
        match (request, in_transaction) {
            (R::Hello, _) if version.features().logon => Self::Authentication,
            (R::Reset, _) if self == Self::Authentication => Self::Authentication,
            (R::Logoff, _) => Self::Authentication,
            (R::Goodbye, _) => Self::Defunct,
            (R::Begin, _) => Self::TxReady,
            (R::Run | R::Pull | R::Discard, true) if results_open => Self::TxStreaming,
            (R::Run | R::Pull | R::Discard, true) => Self::TxReady,
            (R::Run | R::Pull | R::Discard, false) if results_open => Self::Streaming,
            _ => Self::Ready,
        }
    }

    /// Where the connection stands when a RESET arrives while something runs: what is queued before it is ignored from here on.
    #[must_use]
    pub const fn interrupted(self) -> Self {
        match self {
            Self::Negotiation | Self::Authentication | Self::Defunct => self,
            _ => Self::Interrupted,
        }
    }

    /// Whether somebody has authenticated.
    #[must_use]
    pub const fn is_authenticated(self) -> bool {
        !matches!(self, Self::Negotiation | Self::Authentication | Self::Defunct)
    }
}
