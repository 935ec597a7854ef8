//! Which request is served in which state: the protocol's state machine as one table.
//!
//! Owns states and verdicts; never acts on them. Where the specification and real servers differ, it follows real
//! servers for what they allow more (COMMIT and ROLLBACK with results open) and the specification for what they
//! refuse without need (a FAILED connection ignores every request, BEGIN too).

use bolt_wire::request::RequestTag;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Handshake done, HELLO awaited.
    Negotiation,
    /// HELLO answered, or logged off; LOGON awaited.
    Authentication,
    /// Logged in, nothing open.
    Ready,
    /// An auto-commit result is open.
    Streaming,
    /// A transaction is open, no result in it.
    TxReady,
    /// A transaction is open, and results in it.
    TxStreaming,
    /// A request failed; RESET awaited.
    Failed,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Serve it.
    Serve,
    /// Answer IGNORED.
    Ignore,
    /// Answer FAILURE and wait for RESET.
    Fail,
    /// Answer FAILURE and close.
    Violation,
}

impl State {
    /// What a connection in this state does with a request.
    pub(crate) fn verdict(self, tag: RequestTag) -> Verdict {
        use RequestTag as K;
        use State as S;
        match (self, tag) {
            (_, K::Goodbye) => Verdict::Serve,
            (S::Negotiation, K::Hello) | (S::Authentication, K::Logon) => Verdict::Serve,
            (S::Negotiation | S::Authentication, _) => Verdict::Violation,
            (_, K::Reset) => Verdict::Serve,
            (S::Failed, _) => Verdict::Ignore,
            (S::Ready, K::Run | K::Begin | K::Route | K::Logoff | K::Telemetry) => Verdict::Serve,
            (S::Streaming, K::Pull | K::Discard) => Verdict::Serve,
            (S::TxReady, K::Run | K::Commit | K::Rollback) => Verdict::Serve,
            (S::TxReady, K::Pull | K::Discard) => Verdict::Fail,
            (S::TxStreaming, K::Run | K::Pull | K::Discard | K::Commit | K::Rollback) => Verdict::Serve,
            (S::Ready | S::Streaming | S::TxReady | S::TxStreaming, _) => Verdict::Violation,
        }
    }

    /// The state's name in messages to people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Negotiation => "NEGOTIATION",
            State::Authentication => "AUTHENTICATION",
            State::Ready => "READY",
            State::Streaming => "STREAMING",
            State::TxReady => "TX_READY",
            State::TxStreaming => "TX_STREAMING",
            State::Failed => "FAILED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole machine as text, one row a state: s serve, i ignore, f fail, - violation.
    #[test]
    fn the_table() {
        use RequestTag as K;
        const KINDS: [RequestTag; 13] = [
            K::Hello,
            K::Logon,
            K::Logoff,
            K::Goodbye,
            K::Reset,
            K::Run,
            K::Begin,
            K::Commit,
            K::Rollback,
            K::Pull,
            K::Discard,
            K::Telemetry,
            K::Route,
        ];
        let rows = [
            //                      HELLO LOGON LOGOFF GOODBYE RESET RUN BEGIN COMMIT ROLLBACK PULL DISCARD TELEM. ROUTE
            (State::Negotiation, "s--s---------"),
            (State::Authentication, "-s-s---------"),
            (State::Ready, "--sssss----ss"),
            (State::Streaming, "---ss----ss--"),
            (State::TxReady, "---sss-ssff--"),
            (State::TxStreaming, "---sss-ssss--"),
            (State::Failed, "iiissiiiiiiii"),
        ];
        for (state, row) in rows {
            for (kind, expected) in KINDS.into_iter().zip(row.chars()) {
                let expected = match expected {
                    's' => Verdict::Serve,
                    'i' => Verdict::Ignore,
                    'f' => Verdict::Fail,
                    _ => Verdict::Violation,
                };
                assert_eq!(state.verdict(kind), expected, "{} in {}", kind.name(), state.name());
            }
        }
    }
}
