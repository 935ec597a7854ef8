//! What a FAILURE says: owned, with the defaults and renames every driver agrees on.
//!
//! Owns the reading of codes: who is to blame, and whether another try may help. It never fails for a missing key. Limits: causes are
//! read one after another, never by recursion, at most [`Limits::causes_max`](crate::Limits::causes_max). Facts: Bolt specification,
//! "message", FAILURE; the official drivers' retry rules.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::{DecodeError, DecodeReason};
use crate::limits::Limits;
use crate::response::{GENERAL_ERROR, GENERAL_ERROR_TEXT};
use crate::value::{Map, Value};
use crate::value_ref::{MapRef, RawRef};

/// The code of a failure that came without one.
const UNKNOWN_CODE: &str = "Neo.DatabaseError.General.UnknownError";

/// Who is to blame: the second part of a code.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Classification {
    /// The request was wrong: `ClientError`.
    ClientError,
    /// The server was in trouble that may pass: `TransientError`.
    TransientError,
    /// The server was in trouble: `DatabaseError`.
    DatabaseError,
    /// Anything else.
    Unknown,
}

/// A server's failure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerFailure {
    /// `Neo.<Classification>.<Category>.<Title>`.
    pub code: String,
    /// For people; not stable from Bolt 6.0 on.
    pub message: String,
    /// GQL status: stable, meant for programs.
    pub gql_status: String,
    /// GQL description.
    pub description: String,
    /// More about it: at least `OPERATION`, `OPERATION_CODE` and `CURRENT_SCHEMA`.
    pub diagnostic_record: Map,
    /// What it was caused by, nearest first.
    pub causes: Vec<FailureCause>,
}

/// What a failure was caused by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FailureCause {
    /// For people.
    pub message: String,
    /// GQL status.
    pub gql_status: String,
    /// GQL description.
    pub description: String,
    /// More about it.
    pub diagnostic_record: Map,
}

/// `Neo.TransientError` codes of 4.x servers that no other try helps against, and what they are called today.
const RENAMES: [(&str, &str); 2] = [
    ("Neo.TransientError.Transaction.Terminated", "Neo.ClientError.Transaction.Terminated"),
    ("Neo.TransientError.Transaction.LockClientStopped", "Neo.ClientError.Transaction.LockClientStopped"),
];

/// Failures that are worth another try although their class says otherwise.
const RETRYABLE: [&str; 3] = [
    "Neo.ClientError.Cluster.NotALeader",
    "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase",
    AUTHORIZATION_EXPIRED,
];

const AUTHORIZATION_EXPIRED: &str = "Neo.ClientError.Security.AuthorizationExpired";
const SECURITY: &str = "Neo.ClientError.Security.";

/// Failures that every router would answer with.
const FATAL_DURING_DISCOVERY: [&str; 6] = [
    "Neo.ClientError.Database.DatabaseNotFound",
    "Neo.ClientError.Transaction.InvalidBookmark",
    "Neo.ClientError.Transaction.InvalidBookmarkMixture",
    "Neo.ClientError.Statement.TypeError",
    "Neo.ClientError.Statement.ArgumentError",
    "Neo.ClientError.Request.Invalid",
];

/// What a diagnostic record holds when it does not say.
pub(crate) const DIAGNOSTIC_DEFAULTS: [(&str, &str); 3] =
    [("OPERATION", ""), ("OPERATION_CODE", "0"), ("CURRENT_SCHEMA", "/")];

impl ServerFailure {
    /// Reads the metadata of a FAILURE. A missing key, or one of the wrong type, gets its default.
    ///
    /// # Errors
    /// More causes than allowed.
    pub fn read(metadata: MapRef<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        let code = text(metadata, "neo4j_code").or_else(|| text(metadata, "code"));
        let code = code.unwrap_or_else(|| UNKNOWN_CODE.into());
        let code = match RENAMES.iter().find(|(old, _)| *old == code) {
            Some((_, new)) => (*new).into(),
            None => code,
        };
        let FailureCause { message, gql_status, description, diagnostic_record } =
            FailureCause::read(metadata);
        let mut causes = Vec::new();
        let mut next = cause_of(metadata);
        while let Some((raw, cause)) = next {
            if causes.len() as u64 >= u64::from(limits.causes_max) {
                let reason = DecodeReason::TooDeep { limit: limits.causes_max };
                return Err(DecodeError::new(raw.offset(), reason));
            }
            causes.push(FailureCause::read(cause));
            next = cause_of(cause);
        }
        Ok(Self { code, message, gql_status, description, diagnostic_record, causes })
    }

    /// A failure by code and message, the rest filled with defaults: for tests, and for servers.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        let description = general_description(&message);
        Self {
            code: code.into(),
            message,
            gql_status: GENERAL_ERROR.into(),
            description,
            diagnostic_record: diagnostic_record(None),
            causes: Vec::new(),
        }
    }

    /// Who is to blame, by the code.
    #[must_use]
    pub fn classification(&self) -> Classification {
        match self.code.split('.').nth(1) {
            Some("ClientError") => Classification::ClientError,
            Some("TransientError") => Classification::TransientError,
            Some("DatabaseError") => Classification::DatabaseError,
            _ => Classification::Unknown,
        }
    }

    /// The GQL classification the server gave, such as `CLIENT_ERROR`.
    #[must_use]
    pub fn gql_classification(&self) -> Option<&str> {
        match self.diagnostic_record.get("_classification") {
            Some(Value::String(name)) => Some(name),
            _ => None,
        }
    }

    /// Whether the same transaction may succeed when tried again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.classification() == Classification::TransientError || RETRYABLE.contains(&self.code.as_str())
    }

    /// Whether the server vouches that nothing was done, so that an auto-commit query may be repeated once.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        matches!(self.diagnostic_record.get("_idempotent"), Some(Value::Bool(true)))
    }

    /// Whether it concerns who one is or what one may do.
    #[must_use]
    pub fn is_security(&self) -> bool {
        self.code.starts_with(SECURITY)
    }

    /// Whether every open connection to the server must authenticate again, or be replaced.
    #[must_use]
    pub fn is_authorization_expired(&self) -> bool {
        self.code == AUTHORIZATION_EXPIRED
    }

    /// Whether the server no longer writes: drop it from the writers of this database.
    #[must_use]
    pub fn is_not_a_leader(&self) -> bool {
        RETRYABLE[..2].contains(&self.code.as_str())
    }

    /// Whether the server cannot serve the database at all: drop it from every routing table.
    #[must_use]
    pub fn is_database_unavailable(&self) -> bool {
        self.code == "Neo.TransientError.General.DatabaseUnavailable"
    }

    /// Whether every router would answer so, and asking the next one is of no use.
    #[must_use]
    pub fn is_fatal_during_discovery(&self) -> bool {
        FATAL_DURING_DISCOVERY.contains(&self.code.as_str())
            || (self.is_security() && !self.is_authorization_expired())
    }
}

impl FailureCause {
    fn read(metadata: MapRef<'_>) -> Self {
        let message = text(metadata, "message").unwrap_or_default();
        Self {
            gql_status: text(metadata, "gql_status").unwrap_or_else(|| GENERAL_ERROR.into()),
            description: text(metadata, "description").unwrap_or_else(|| general_description(&message)),
            diagnostic_record: diagnostic_record(metadata.raw("diagnostic_record")),
            message,
        }
    }
}

impl fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        // A general status says nothing that the code does not.
        if self.gql_status != GENERAL_ERROR {
            write!(f, " ({}: {})", self.gql_status, self.description)?;
        }
        for cause in self.causes.iter().take(8) {
            write!(f, "; caused by {}: {}", cause.gql_status, cause.message)?;
        }
        Ok(())
    }
}

impl core::error::Error for ServerFailure {}

fn cause_of(metadata: MapRef<'_>) -> Option<(RawRef<'_>, MapRef<'_>)> {
    let raw = metadata.raw("cause")?;
    raw.map().ok().map(|map| (raw, map))
}

/// A string, mended where it is not UTF-8: what went wrong is better told with a blemish than not at all.
fn text(metadata: MapRef<'_>, key: &str) -> Option<String> {
    let bytes = metadata.raw(key)?.str_bytes().ok()?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

fn general_description(message: &str) -> String {
    let mut description = String::with_capacity(GENERAL_ERROR_TEXT.len() + message.len());
    description.push_str(GENERAL_ERROR_TEXT);
    description.push_str(message);
    description
}

fn diagnostic_record(raw: Option<RawRef<'_>>) -> Map {
    let mut record = match raw.map(Value::read) {
        Some(Ok(Value::Map(record))) => record,
        _ => Map::new(),
    };
    for (key, value) in DIAGNOSTIC_DEFAULTS {
        if record.get(key).is_none() {
            record.insert(key, value);
        }
    }
    record
}
