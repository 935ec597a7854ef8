//! What a request that failed is answered with: a status code, a message, and from Bolt 5.7 on a GQL status.
//!
//! Owns the failure as a backend states it. Never knows how a version lays it out on the wire: the connection
//! encodes it. Limits: a cause chain is as long as the backend makes it, and is cut at [`CAUSES_MAX`] on the wire.

use std::fmt;

/// Longest chain of causes that is sent; a client guards itself against endless ones, so none are made here.
pub const CAUSES_MAX: usize = 16;

/// Why a request failed, in the server's own words. One pointer wide, so that a `Result` around it stays small.
///
/// The code has the form `Neo.<Classification>.<Category>.<Title>`, where the classification is `ClientError`
/// (mend the request), `TransientError` (repeat it) or `DatabaseError` (mend the server). Clients retry by it.
///
/// ```
/// use bolt_server::Failure;
/// let failure = Failure::new("Neo.ClientError.Statement.ArithmeticError", "/ by zero")
///     .gql("22012", "error: data exception - division by zero");
/// assert_eq!(failure.code(), "Neo.ClientError.Statement.ArithmeticError");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    code: String,
    message: String,
    gql: Option<(String, String)>,
    cause: Option<Failure>,
}

impl Failure {
    /// A failure with a status code and a message for people. Allocates; failures are not a hot path.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Failure(Box::new(Inner { code: code.into(), message: message.into(), gql: None, cause: None }))
    }

    /// Adds the five-character GQL status and its description, which clients of Bolt 5.7 and later read.
    /// Without it they are given `50N42`, "general processing exception".
    pub fn gql(mut self, status: impl Into<String>, description: impl Into<String>) -> Self {
        self.0.gql = Some((status.into(), description.into()));
        self
    }

    /// Adds what brought this failure about (sent from Bolt 5.7 on; its code is not, by the protocol).
    pub fn caused_by(mut self, cause: Failure) -> Self {
        self.0.cause = Some(cause);
        self
    }

    /// The status code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The GQL status, or the general one.
    pub fn gql_status(&self) -> &str {
        self.0.gql.as_ref().map_or("50N42", |(status, _)| status)
    }

    /// The description that goes with the GQL status.
    pub fn gql_description(&self) -> &str {
        self.0
            .gql
            .as_ref()
            .map_or("error: general processing exception - unexpected error", |(_, description)| description)
    }

    /// `CLIENT_ERROR`, `TRANSIENT_ERROR` or `DATABASE_ERROR`, by the code.
    pub fn classification(&self) -> &'static str {
        match self.0.code.split('.').nth(1) {
            Some("ClientError") => "CLIENT_ERROR",
            Some("TransientError") => "TRANSIENT_ERROR",
            _ => "DATABASE_ERROR",
        }
    }

    /// What brought this failure about.
    pub fn cause(&self) -> Option<&Failure> {
        self.0.cause.as_ref()
    }

    /// The query text is not understood. `Neo.ClientError.Statement.SyntaxError`.
    pub fn syntax(message: impl Into<String>) -> Self {
        Failure::new("Neo.ClientError.Statement.SyntaxError", message)
            .gql("42001", "error: syntax error or access rule violation - invalid syntax")
    }

    /// The query names a parameter that was not sent. `Neo.ClientError.Statement.ParameterMissing`.
    pub fn parameter_missing(name: &str) -> Self {
        Failure::new("Neo.ClientError.Statement.ParameterMissing", format!("Expected parameter(s): {name}"))
            .gql("42N51", "error: syntax error or access rule violation - invalid parameter")
    }

    /// A value has the wrong type. `Neo.ClientError.Statement.TypeError`.
    pub fn wrong_type(message: impl Into<String>) -> Self {
        Failure::new("Neo.ClientError.Statement.TypeError", message)
            .gql("22N01", "error: data exception - invalid type")
    }

    /// A value has the right type and cannot be used. `Neo.ClientError.Statement.ArgumentError`.
    pub fn argument(message: impl Into<String>) -> Self {
        Failure::new("Neo.ClientError.Statement.ArgumentError", message)
            .gql("22N03", "error: data exception - specified numeric value out of range")
    }

    /// Wrong name, wrong password, or a scheme that is not served. `Neo.ClientError.Security.Unauthorized`.
    /// The message is the same for all, so that it tells an attacker nothing.
    pub fn unauthorized() -> Self {
        Failure::new(
            "Neo.ClientError.Security.Unauthorized",
            "The client is unauthorized due to authentication failure.",
        )
        .gql("42NFF", "error: syntax error or access rule violation - permission/access denied")
    }

    /// The request does not fit the protocol or the connection's state. `Neo.ClientError.Request.Invalid`.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Failure::new("Neo.ClientError.Request.Invalid", message)
            .gql("08N06", "error: connection exception - protocol error")
    }

    /// The database asked for is not here. `Neo.ClientError.Database.DatabaseNotFound`.
    pub fn database_not_found(name: &str) -> Self {
        Failure::new(
            "Neo.ClientError.Database.DatabaseNotFound",
            format!("Database does not exist. Database name: '{name}'."),
        )
        .gql("22N51", "error: data exception - database not found")
    }

    /// The running query was stopped by a RESET or by the server's end.
    /// `Neo.ClientError.Transaction.Terminated`.
    pub fn terminated(why: &str) -> Self {
        Failure::new(
            "Neo.ClientError.Transaction.Terminated",
            format!("The transaction has been terminated: {why}."),
        )
        .gql("25N02", "error: invalid transaction state - unable to complete transaction")
    }

    /// The client's `tx_timeout` passed.
    /// `Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration`.
    pub fn timed_out() -> Self {
        Failure::new(
            "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
            "The transaction has not completed within the timeout that the client asked for.",
        )
        .gql("25N14", "error: invalid transaction state - transaction termination client error")
    }

    /// No room for one more connection. `Neo.TransientError.Request.NoThreadsAvailable`, which clients retry.
    pub fn too_many_connections(limit: usize) -> Self {
        Failure::new(
            "Neo.TransientError.Request.NoThreadsAvailable",
            format!("The server already serves {limit} connections, its limit; try again later."),
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Failure");
        shown.field("code", &self.0.code).field("message", &self.0.message);
        shown.field("gql_status", &self.gql_status());
        if let Some(cause) = &self.0.cause {
            shown.field("cause", cause);
        }
        shown.finish()
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classification_follows_the_code() {
        assert_eq!(Failure::syntax("x").classification(), "CLIENT_ERROR");
        assert_eq!(Failure::too_many_connections(3).classification(), "TRANSIENT_ERROR");
        assert_eq!(
            Failure::new("Neo.DatabaseError.General.UnknownError", "").classification(),
            "DATABASE_ERROR"
        );
        assert_eq!(Failure::new("nonsense", "").classification(), "DATABASE_ERROR");
        assert_eq!(Failure::new("nonsense", "").gql_status(), "50N42");
    }

    #[test]
    fn a_failure_is_one_pointer_wide() {
        assert_eq!(size_of::<Result<(), Failure>>(), size_of::<usize>());
    }
}
