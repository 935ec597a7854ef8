//! The one error of this crate: who must act, why, and whether the connection survives it.
//!
//! Owns the sentences users read. Never carries a password: nothing here is built from credentials. Limits: one
//! pointer in size, so that the hot path returns it in a register; the heap is touched only when there is an error.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use bolt_wire::{DecodeError, EncodeError, ServerFailure};

/// Who must act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The code that called: an argument, a type, or the order of calls is wrong.
    Caller,
    /// The other end does not keep to the protocol.
    Peer,
    /// The network, the machine or a deadline between the two.
    Network,
    /// The server answered FAILURE; [`Error::failure`] tells what it said.
    Server,
    /// This crate. Please report it.
    Internal,
}

/// Why, in finer steps than [`ErrorKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The configuration or the address contradicts itself or asks for what is not served.
    InvalidConfig,
    /// A query, parameter or option that cannot be sent.
    InvalidArgument,
    /// A value of a record is not what was asked for, or is not valid; the record's other values are.
    WrongValue,
    /// The transaction, or the cursor, is over.
    TransactionOver,
    /// The connection ended with an earlier error, or was closed.
    ConnectionOver,
    /// A limit of the configuration would be passed: memory, message size, open results.
    Limit,
    /// Somebody used a cancel handle, or RESET interrupted the request.
    Cancelled,
    /// No connection could be opened.
    Unreachable,
    /// A deadline passed.
    TimedOut,
    /// The other end closed the connection.
    Closed,
    /// The connection broke while COMMIT was under way: whether it took effect is not known.
    CommitUnknown,
    /// Another error of the socket.
    Io,
    /// The other end is no Bolt server, or wants TLS.
    NotBolt,
    /// A Bolt server, but none of the versions offered is served.
    NoCommonVersion,
    /// Bytes that are no legal message.
    Malformed,
    /// A legal message at a moment when it cannot come.
    Unexpected,
    /// The server answered FAILURE.
    Failure,
    /// A state that cannot be.
    Internal,
}

impl Reason {
    /// Who must act.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        match self {
            Reason::InvalidConfig
            | Reason::InvalidArgument
            | Reason::WrongValue
            | Reason::TransactionOver
            | Reason::ConnectionOver
            | Reason::Limit
            | Reason::Cancelled => ErrorKind::Caller,
            Reason::Unreachable | Reason::TimedOut | Reason::Closed | Reason::CommitUnknown | Reason::Io => {
                ErrorKind::Network
            }
            Reason::NotBolt | Reason::NoCommonVersion | Reason::Malformed | Reason::Unexpected => {
                ErrorKind::Peer
            }
            Reason::Failure => ErrorKind::Server,
            Reason::Internal => ErrorKind::Internal,
        }
    }
}

/// What went wrong on a connection. One pointer; its display is one sentence that ends with what to do.
pub struct Error(Box<Inner>);

struct Inner {
    reason: Reason,
    message: String,
    /// Whether the connection on which it happened can be used on.
    usable: bool,
    failure: Option<ServerFailure>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    #[cold]
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        let usable = matches!(reason.kind(), ErrorKind::Caller | ErrorKind::Server)
            && reason != Reason::ConnectionOver;
        Error(Box::new(Inner { reason, message: message.into(), usable, failure: None, source: None }))
    }

    #[cold]
    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    #[cold]
    pub(crate) fn with_failure(mut self, failure: ServerFailure) -> Self {
        self.0.failure = Some(failure);
        self
    }

    /// The connection broke with COMMIT under way.
    #[cold]
    pub(crate) fn commit_unknown(mut self) -> Self {
        self.0.reason = Reason::CommitUnknown;
        self.0.message.push_str("; COMMIT was under way, so whether it took effect is not known");
        self
    }

    /// Marks that the connection does not survive this.
    #[cold]
    pub(crate) fn fatal(mut self) -> Self {
        self.0.usable = false;
        self
    }

    #[cold]
    pub(crate) fn from_failure(failure: ServerFailure, during: &str) -> Self {
        let what = match during {
            "RUN" | "PULL" | "DISCARD" => "the query failed",
            "HELLO" | "LOGON" => "the server refused the login",
            "LOGOFF" => "the server refused to log off",
            "ROUTE" => "the server gave no routing table",
            "BEGIN" => "the server refused to open a transaction",
            "COMMIT" => "the server refused to commit",
            _ => "the server failed",
        };
        let mut error = Error::new(Reason::Failure, format!("{what}: {failure}"));
        error.0.failure = Some(failure);
        error
    }

    /// The same story again, for a call that comes after the one that saw it first.
    #[cold]
    pub(crate) fn over(why: &str) -> Self {
        Error::new(
            Reason::ConnectionOver,
            format!("this connection is over ({why}); open a new one with Connection::connect"),
        )
    }

    #[cold]
    pub(crate) fn internal(what: &str) -> Self {
        Error::new(
            Reason::Internal,
            format!("bolt-client contradicts itself: {what}; please report this as a bug"),
        )
    }

    #[cold]
    pub(crate) fn from_io(error: io::Error, during: &str) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Reason::TimedOut,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Reason::Closed,
            _ => Reason::Io,
        };
        Error::new(reason, format!("the connection broke while {during}: {error}; open a new one"))
            .with_source(error)
    }

    /// Who must act.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.reason.kind()
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// What the server said, when it was the server ([`ErrorKind::Server`]).
    #[must_use]
    pub fn failure(&self) -> Option<&ServerFailure> {
        self.0.failure.as_ref()
    }

    /// Whether the same work may succeed when tried again, on a new connection if this one is not usable.
    ///
    /// True for what the server calls transient and for a lost network; false when a COMMIT's outcome is unknown.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.reason {
            Reason::Failure => self.0.failure.as_ref().is_some_and(ServerFailure::is_retryable),
            Reason::Unreachable | Reason::TimedOut | Reason::Closed | Reason::Io => true,
            _ => false,
        }
    }

    /// Whether the connection can be used on. A transaction in which it happened is over nevertheless.
    #[must_use]
    pub fn is_connection_usable(&self) -> bool {
        self.0.usable
    }

    /// Whether a cancel handle, or RESET, ended the request.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.reason == Reason::Cancelled
    }

    /// Whether a deadline passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.reason == Reason::TimedOut
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("reason", &self.0.reason)
            .field("message", &self.0.message)
            .field("connection_usable", &self.0.usable)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| -> &(dyn StdError + 'static) { source.as_ref() })
    }
}

/// An error from reading one value: the caller asked for another type, or this value is broken. The connection and
/// the record's other values are fine.
impl From<DecodeError> for Error {
    #[cold]
    fn from(error: DecodeError) -> Self {
        Error::new(Reason::WrongValue, format!("a value cannot be read as asked: {error}")).with_source(error)
    }
}

/// As for [`DecodeError`]; the message names the field.
#[cfg(feature = "serde")]
impl From<bolt_wire::DeError> for Error {
    #[cold]
    fn from(error: bolt_wire::DeError) -> Self {
        Error::new(Reason::WrongValue, format!("a row cannot be read as asked: {error}")).with_source(error)
    }
}

/// Nothing of the request was sent.
impl From<EncodeError> for Error {
    #[cold]
    fn from(error: EncodeError) -> Self {
        let reason = match error {
            EncodeError::Full { .. } => Reason::Limit,
            _ => Reason::InvalidArgument,
        };
        Error::new(reason, format!("the request cannot be sent, and nothing of it was: {error}"))
            .with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pointer_and_shareable() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        fn shareable<T: Send + Sync + 'static>() {}
        shareable::<Error>();
    }

    #[test]
    fn who_must_act_and_what_survives() {
        for (reason, kind, usable, retryable) in [
            (Reason::InvalidArgument, ErrorKind::Caller, true, false),
            (Reason::Cancelled, ErrorKind::Caller, true, false),
            (Reason::ConnectionOver, ErrorKind::Caller, false, false),
            (Reason::TimedOut, ErrorKind::Network, false, true),
            (Reason::CommitUnknown, ErrorKind::Network, false, false),
            (Reason::Malformed, ErrorKind::Peer, false, false),
            (Reason::Internal, ErrorKind::Internal, false, false),
        ] {
            let error = Error::new(reason, "x");
            assert_eq!(error.kind(), kind, "{reason:?}");
            assert_eq!(error.is_connection_usable(), usable, "{reason:?}");
            assert_eq!(error.is_retryable(), retryable, "{reason:?}");
        }
        assert!(!Error::new(Reason::Limit, "x").fatal().is_connection_usable());
    }
}
