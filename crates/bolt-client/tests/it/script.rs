//! A small Bolt server with the state machine of the specification, stricter than real ones: what a client may not do
//! stops the test. Its queries are made of words: `count N`, `fail N K` (fails after K rows), `slow N`, `empty`, `bad`.
//!
//! Row i of query q is `[i, q]`, so a row of another query cannot be taken for one's own.

use std::collections::HashMap;
use std::time::Duration;

use crate::peer::*;

#[derive(Default, Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) resets: u32,
    pub(crate) discards: u32,
    pub(crate) commits: u32,
    pub(crate) rollbacks: u32,
    /// Queries that ran to their end, in order.
    pub(crate) completed: Vec<String>,
}

struct Open {
    query: String,
    next: i64,
    rows: i64,
    fail_at: Option<i64>,
    slow: bool,
}

#[derive(PartialEq, Debug, Clone, Copy)]
enum State {
    Ready,
    Streaming,
    Tx,
    Failed,
}

/// Serves one connection until the client closes; returns what happened.
pub(crate) fn serve(peer: &mut Peer) -> Seen {
    let mut seen = Seen::default();
    let mut state = State::Ready;
    let mut open: HashMap<i64, Open> = HashMap::new();
    let mut last_qid = -1;
    let mut in_tx = false;
    while let Some(request) = peer.next_request() {
        if state == State::Failed && !matches!(request.tag, RESET | GOODBYE) {
            assert!(
                matches!(request.tag, RUN | PULL | DISCARD | COMMIT | ROLLBACK),
                "violation in FAILED: {:02X}",
                request.tag
            );
            peer.send(&[ignored()]);
            continue;
        }
        match request.tag {
            RESET => {
                seen.resets += 1;
                open.clear();
                in_tx = false;
                last_qid = -1;
                state = State::Ready;
                peer.send(&[success(&[])]);
            }
            GOODBYE => break,
            RUN => {
                assert!(matches!(state, State::Ready | State::Tx), "RUN in {state:?}");
                let query = request.query();
                let words: Vec<&str> = query.split(' ').collect();
                let number = |i: usize| words.get(i).map(|word| word.parse::<i64>().unwrap());
                if words[0] == "bad" {
                    state = State::Failed;
                    peer.send(&[failure("Neo.ClientError.Statement.SyntaxError", "bad query")]);
                    continue;
                }
                last_qid += 1;
                let fail_at = if words[0] == "fail" { number(2) } else { None };
                let rows = number(1).unwrap_or(0);
                open.insert(
                    last_qid,
                    Open { query: query.clone(), next: 0, rows, fail_at, slow: words[0] == "slow" },
                );
                let mut answer = vec![("fields", list(&[text("i"), text("q")])), ("t_first", int(1))];
                if in_tx {
                    answer.push(("qid", int(last_qid)));
                } else {
                    state = State::Streaming;
                }
                peer.send(&[success(&answer)]);
            }
            PULL | DISCARD => {
                assert!(
                    in_tx || state == State::Streaming,
                    "{:02X} in {state:?}: real servers close on it",
                    request.tag
                );
                let qid = request.number("qid").filter(|qid| *qid >= 0).unwrap_or(last_qid);
                let n = request.number("n").expect("n is required");
                assert!(n == -1 || n > 0, "n = {n}");
                let Some(result) = open.get_mut(&qid) else {
                    panic!("{:02X} for qid {qid}, which is not open", request.tag);
                };
                let discard = request.tag == DISCARD;
                seen.discards += u32::from(discard);
                let mut left = if n == -1 { i64::MAX } else { n };
                let mut out = Vec::new();
                let mut failed = false;
                while left > 0 && result.next < result.rows {
                    if result.fail_at == Some(result.next) {
                        failed = true;
                        break;
                    }
                    if result.slow {
                        peer.raw(&std::mem::take(&mut out));
                        peer.stream.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
                        let interrupted = matches!(peer.stream.peek(&mut [0; 1]), Ok(1));
                        peer.stream.set_read_timeout(Some(DEADLINE)).unwrap();
                        if interrupted {
                            failed = true;
                            break;
                        }
                    }
                    if !discard {
                        out.extend(framed(&record(&[int(result.next), text(&result.query)])));
                    }
                    result.next += 1;
                    left -= 1;
                }
                if failed {
                    let slow = result.slow;
                    let code = if slow {
                        "Neo.TransientError.Transaction.Terminated"
                    } else {
                        "Neo.ClientError.Statement.ArithmeticError"
                    };
                    out.extend(framed(&failure(code, "stopped half-way")));
                    state = State::Failed;
                } else if result.next < result.rows {
                    out.extend(framed(&success(&[("has_more", vec![TRUE])])));
                } else {
                    seen.completed.push(result.query.clone());
                    open.remove(&qid);
                    if !in_tx {
                        state = State::Ready;
                        last_qid = -1;
                    }
                    out.extend(framed(&success(&[
                        ("type", text("r")),
                        ("t_last", int(1)),
                        ("bookmark", text("bm:auto")),
                    ])));
                }
                peer.raw(&out);
            }
            BEGIN => {
                assert_eq!(state, State::Ready, "BEGIN");
                state = State::Tx;
                in_tx = true;
                last_qid = -1;
                peer.send(&[success(&[])]);
            }
            COMMIT | ROLLBACK => {
                assert_eq!(state, State::Tx);
                assert!(open.is_empty(), "results are still open");
                in_tx = false;
                last_qid = -1;
                state = State::Ready;
                if request.tag == COMMIT {
                    seen.commits += 1;
                    peer.send(&[success(&[("bookmark", text("bm:tx"))])]);
                } else {
                    seen.rollbacks += 1;
                    peer.send(&[success(&[])]);
                }
            }
            other => panic!("request {other:02X} in {state:?}"),
        }
    }
    seen
}

/// A server that plays [`serve`] to one client; what it saw comes back by the channel.
pub(crate) fn start() -> (Server, std::sync::mpsc::Receiver<Seen>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let server = Server::one(move |peer| {
        peer.login();
        let seen = serve(peer);
        let _ = sender.send(seen);
    });
    (server, receiver)
}
