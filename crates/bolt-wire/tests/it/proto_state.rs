//! What is owed and what is allowed: the client's queue and the server's table.

use bolt_wire::Version;
use bolt_wire::request::RequestTag as R;
use bolt_wire::response::AnswerKind as A;
use bolt_wire::state::{Outcome, PENDING_MAX, Pending, Rule, ServerState as S};

fn owing(requests: &[R]) -> Pending {
    let mut pending = Pending::new();
    for (token, &request) in requests.iter().enumerate() {
        pending.push(request, token as u32).unwrap();
    }
    pending
}

/// Flights and what may come back: the answers in order, and whether each is expected.
#[test]
fn answers_of_a_flight() {
    type Flight<'a> = (&'a [R], &'a [(A, bool)]);
    let table: &[Flight<'_>] = &[
        (&[R::Run, R::Pull], &[(A::Success, true), (A::Record, true), (A::Record, true), (A::Success, true)]),
        (&[R::Run, R::Pull], &[(A::Record, false)]),
        (&[R::Begin], &[(A::Record, false)]),
        (&[], &[(A::Success, false)]),
        (&[R::Run], &[(A::Ignored, false)]),
        (&[R::Discard], &[(A::Record, false)]),
        // A failure makes the rest ignored.
        (&[R::Begin, R::Run, R::Pull], &[(A::Failure, true), (A::Ignored, true), (A::Ignored, true)]),
        (&[R::Run, R::Pull], &[(A::Failure, true), (A::Success, false)]),
        (&[R::Run, R::Pull], &[(A::Failure, true), (A::Record, false)]),
        // Records before a failure are rows of a failed query.
        (&[R::Run, R::Pull], &[(A::Success, true), (A::Record, true), (A::Failure, true)]),
        // RESET overtakes: what stands before it may succeed, fail or be ignored.
        (&[R::Pull, R::Reset], &[(A::Success, true), (A::Success, true)]),
        (&[R::Pull, R::Reset], &[(A::Failure, true), (A::Success, true)]),
        (&[R::Pull, R::Reset], &[(A::Ignored, true), (A::Success, true)]),
        (&[R::Pull, R::Reset], &[(A::Record, true), (A::Ignored, true), (A::Success, true)]),
        // A second RESET may turn the first one's answer into IGNORED, the last one's never.
        (&[R::Reset, R::Reset], &[(A::Ignored, true), (A::Success, true)]),
        (&[R::Reset], &[(A::Ignored, false)]),
        (&[R::Run, R::Reset, R::Run], &[(A::Failure, true), (A::Success, true), (A::Success, true)]),
        (&[R::Run, R::Reset, R::Run], &[(A::Failure, true), (A::Success, true), (A::Ignored, false)]),
    ];
    for (flight, answers) in table {
        let mut pending = owing(flight);
        for (answer, expected) in *answers {
            let came = pending.answer(*answer);
            assert_eq!(came.is_ok(), *expected, "{flight:?} {answers:?}: {came:?}");
        }
    }
}

#[test]
fn the_queue_says_what_it_awaited() {
    let mut pending = owing(&[R::Run, R::Pull]);
    assert_eq!(pending.front().unwrap().request, R::Run);
    assert_eq!(pending.answer(A::Failure).unwrap().token, 0);
    let error = pending.answer(A::Success).unwrap_err();
    assert_eq!(error.to_string(), "at byte 0: SUCCESS arrived for PULL after a failure, expected IGNORED");
    assert_eq!(pending.answer(A::Ignored).unwrap().token, 1);
    assert!(pending.is_failed() && pending.is_empty());
    let error = pending.answer(A::Record).unwrap_err();
    assert_eq!(error.to_string(), "at byte 0: RECORD arrived although no answer is owed");
    pending.push(R::Reset, 9).unwrap();
    assert_eq!(pending.answer(A::Success).unwrap().token, 9);
    assert!(!pending.is_failed());
}

#[test]
fn the_queue_is_bounded_and_goes_round() {
    let mut pending = Pending::new();
    for round in 0..10_u32 {
        for i in 0..PENDING_MAX as u32 - round {
            pending.push(R::Pull, i).unwrap();
        }
        for i in 0..PENDING_MAX as u32 - round {
            assert_eq!(pending.answer(A::Success).unwrap().token, i);
        }
    }
    for i in 0..PENDING_MAX as u32 {
        pending.push(R::Run, i).unwrap();
    }
    assert_eq!(pending.push(R::Run, 0).unwrap_err().request, R::Run);
    // GOODBYE is not answered, so it takes no room.
    pending.push(R::Goodbye, 0).unwrap();
    assert_eq!(pending.len(), PENDING_MAX);
}

#[test]
fn what_real_servers_bear_in_one_flight() {
    let table: &[(&[R], R, bool)] = &[
        (&[], R::Begin, true),
        (&[R::Reset], R::Begin, true),
        (&[R::Run, R::Pull], R::Begin, false),
        (&[R::Run, R::Reset], R::Begin, true),
        (&[R::Begin, R::Run, R::Pull], R::Commit, true),
        (&[R::Hello], R::Logon, true),
        (&[R::Logoff], R::Logon, true),
        (&[R::Logoff, R::Logon], R::Run, true),
        (&[R::Run], R::Logoff, false),
        (&[R::Run], R::Logon, false),
        (&[R::Begin], R::Reset, false),
        (&[R::Logoff], R::Reset, false),
        (&[R::Hello, R::Logon, R::Run, R::Pull], R::Reset, false),
        (&[R::Run, R::Pull], R::Reset, true),
    ];
    for (owed, request, allowed) in table {
        assert_eq!(owing(owed).allows_behind(*request), *allowed, "{request} behind {owed:?}");
    }
    let mut failed = owing(&[R::Run]);
    failed.answer(A::Failure).unwrap();
    assert!(!failed.allows_behind(R::Begin));
}

/// The server's table, state by state: what is served, what is ignored; the rest closes.
#[test]
fn every_state_and_request() {
    let table: [(S, &[R], &[R]); 9] = [
        (S::Negotiation, &[R::Hello], &[]),
        (S::Authentication, &[R::Logon, R::Reset], &[]),
        (S::Ready, &[R::Run, R::Begin, R::Route, R::Logoff, R::Telemetry, R::Reset], &[]),
        (S::Streaming, &[R::Pull, R::Discard, R::Reset], &[]),
        (S::TxReady, &[R::Run, R::Commit, R::Rollback, R::Reset, R::Pull, R::Discard], &[]),
        (S::TxStreaming, &[R::Run, R::Commit, R::Rollback, R::Reset, R::Pull, R::Discard], &[]),
        (
            S::Failed,
            &[R::Reset],
            &[R::Run, R::Pull, R::Discard, R::Commit, R::Rollback, R::Route, R::Telemetry],
        ),
        (
            S::Interrupted,
            &[R::Reset],
            &[R::Run, R::Pull, R::Discard, R::Commit, R::Rollback, R::Route, R::Telemetry],
        ),
        (S::Defunct, &[], &[]),
    ];
    assert_eq!(table.map(|(state, ..)| state), S::ALL);
    for (state, served, ignored) in table {
        for request in R::ALL {
            let expected = if request == R::Goodbye {
                Rule::Close
            } else if served.contains(&request) {
                Rule::Serve
            } else if ignored.contains(&request) {
                Rule::Ignore
            } else {
                Rule::Violation
            };
            assert_eq!(state.rule(request), expected, "{request} in {state:?}");
        }
    }
}

#[test]
fn conversations_walk_through_the_states() {
    const OPEN: Outcome = Outcome::Success { results_open: true };
    const OK: Outcome = Outcome::Success { results_open: false };
    const FAIL: Outcome = Outcome::Failure;
    type Steps<'a> = &'a [(R, Outcome, S)];
    let login: Steps<'_> = &[(R::Hello, OK, S::Authentication), (R::Logon, OK, S::Ready)];
    let talks: [(Version, Steps<'_>); 6] = [
        (
            Version::V5_0,
            &[
                (R::Hello, OK, S::Ready),
                (R::Run, OPEN, S::Streaming),
                (R::Pull, OPEN, S::Streaming),
                (R::Discard, OK, S::Ready),
            ],
        ),
        (Version::V6_1, login),
        (
            Version::V5_1,
            &[
                (R::Hello, OK, S::Authentication),
                (R::Reset, OK, S::Authentication),
                (R::Logon, FAIL, S::Defunct),
            ],
        ),
        (
            Version::V5_0,
            &[
                (R::Hello, OK, S::Ready),
                (R::Begin, OK, S::TxReady),
                (R::Run, OPEN, S::TxStreaming),
                (R::Run, OPEN, S::TxStreaming),
                (R::Pull, OPEN, S::TxStreaming),
                (R::Pull, OK, S::TxReady),
                (R::Commit, OK, S::Ready),
            ],
        ),
        (
            Version::V5_0,
            &[
                (R::Hello, OK, S::Ready),
                (R::Begin, OK, S::TxReady),
                (R::Run, OPEN, S::TxStreaming),
                (R::Rollback, OK, S::Ready),
            ],
        ),
        (
            Version::V5_0,
            &[
                (R::Hello, OK, S::Ready),
                (R::Run, FAIL, S::Failed),
                (R::Reset, OK, S::Ready),
                (R::Route, OK, S::Ready),
                (R::Telemetry, OK, S::Ready),
            ],
        ),
    ];
    for (version, talk) in talks {
        let mut state = S::Negotiation;
        for &(request, outcome, next) in talk {
            assert_eq!(state.rule(request), Rule::Serve, "{request} in {state:?}");
            state = state.after(request, outcome, version);
            assert_eq!(state, next, "after {request}");
        }
    }
    assert_eq!(S::Ready.after(R::Logoff, OK, Version::V5_8), S::Authentication);
    assert_eq!(S::Streaming.interrupted(), S::Interrupted);
    assert_eq!(S::Authentication.interrupted(), S::Authentication);
    assert_eq!(S::Interrupted.after(R::Reset, OK, Version::V5_8), S::Ready);
    assert!(S::Failed.is_authenticated() && !S::Authentication.is_authenticated());
}
