//! Transactions: several results at once, what ends them, what survives.

use bolt_client::{Reason, TxOptions};

use crate::peer::*;
use crate::script;

#[test]
fn rows_of_several_results_come_in_any_order() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    for fetch in [1_u32, 3, 4, 0] {
        let mut tx = conn.begin(&TxOptions::default()).unwrap();
        let lengths = [13_i64, 0, 7, 25];
        let queries = lengths.map(|n| format!("count {n}"));
        let cursors: Vec<_> = queries.iter().map(|q| tx.run_fetching(q, (), fetch).unwrap()).collect();
        let mut next = [0_i64; 4];
        let mut ended = [false; 4];
        // A fixed but unruly order of reading.
        let mut turn = 1_u64;
        while ended != [true; 4] {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let i = (turn >> 61) as usize % 4;
            match tx.next(cursors[i]).unwrap() {
                Some(row) => {
                    assert_eq!(row.get::<i64>(0).unwrap(), next[i]);
                    assert_eq!(row.get::<&str>(1).unwrap(), queries[i]);
                    next[i] += 1;
                }
                None => ended[i] = true,
            }
        }
        assert_eq!(next, lengths);
        assert_eq!(tx.commit().unwrap().as_deref(), Some("bm:tx"));
    }
    drop(conn);
    assert_eq!(seen.recv().unwrap().commits, 4);
    server.join();
}

#[test]
fn commit_ends_what_is_open_in_as_few_flights_as_possible() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    let mut tx = conn.begin(&TxOptions::default()).unwrap();
    let a = tx.run_fetching("count 9", (), 2_u32).unwrap();
    tx.run_fetching("count 5", (), 2_u32).unwrap();
    tx.run_fetching("count 1", (), 2_u32).unwrap();
    tx.next(a).unwrap().unwrap();
    tx.commit().unwrap();
    let writes = conn.stats().writes;
    let tx = conn.begin(&TxOptions::default()).unwrap();
    tx.commit().unwrap();
    assert_eq!(conn.stats().writes, writes + 2);
    drop(conn);
    let seen = seen.recv().unwrap();
    assert_eq!((seen.commits, seen.resets, seen.discards), (2, 0, 2));
    server.join();
}

#[test]
fn one_failure_ends_the_transaction_and_not_the_connection() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    let mut tx = conn.begin(&TxOptions::default()).unwrap();
    let good = tx.run_fetching("count 9", (), 3_u32).unwrap();
    assert!(tx.next(good).unwrap().is_some());
    let error = tx.run("bad", ()).unwrap_err();
    assert_eq!(error.reason(), Reason::Failure);
    assert!(error.is_connection_usable());
    // Rows that had come before the failure are still there; then the end of the transaction shows.
    let mut expected = 1;
    let error = loop {
        match tx.next(good) {
            Ok(row) => assert_eq!(row.unwrap().get::<i64>(0).unwrap(), expected),
            Err(error) => break error,
        }
        expected += 1;
    };
    assert_eq!(error.reason(), Reason::TransactionOver);
    assert!(expected == 3 || expected == 6, "one or two batches of three: {expected}");
    assert_eq!(tx.run("count 1", ()).unwrap_err().reason(), Reason::TransactionOver);
    assert_eq!(tx.commit().unwrap_err().reason(), Reason::TransactionOver);

    let mut tx = conn.begin(&TxOptions::default()).unwrap();
    let failing = tx.run_fetching("fail 9 4", (), 3_u32).unwrap();
    let other = tx.run_fetching("count 2", (), 1_u32).unwrap();
    let mut rows = 0;
    let error = loop {
        match tx.next(failing) {
            Ok(Some(_)) => rows += 1,
            Ok(None) => panic!("it fails"),
            Err(error) => break error,
        }
    };
    assert_eq!((rows, error.reason()), (4, Reason::Failure));
    assert!(tx.next(other).unwrap().is_some(), "set aside before the failure");
    assert!(tx.next(other).is_err());
    tx.rollback().unwrap();

    let mut rows = conn.run("count 2", ()).unwrap();
    assert!(rows.next().unwrap().is_some());
    drop(conn);
    let seen = seen.recv().unwrap();
    assert_eq!((seen.commits, seen.resets), (0, 2));
    server.join();
}

#[test]
fn finished_cursors_are_void_and_their_slots_are_used_again() {
    let (server, _seen) = script::start();
    let mut config = server.config();
    config.results_max = 2;
    let mut conn = bolt_client::Connection::connect(&config).unwrap();
    let mut tx = conn.begin(&TxOptions::default()).unwrap();
    let mut last = None;
    for _ in 0..20 {
        let cursor = tx.run_fetching("count 4", (), 2_u32).unwrap();
        if let Some(old) = last {
            assert_eq!(tx.next(old).map(|row| row.is_some()).unwrap_err().reason(), Reason::TransactionOver);
        }
        assert_eq!(tx.next(cursor).unwrap().unwrap().get::<i64>(0).unwrap(), 0);
        tx.finish(cursor).unwrap();
        last = Some(cursor);
    }
    tx.run("count 1", ()).unwrap();
    tx.run("count 1", ()).unwrap();
    let error = tx.run("count 1", ()).unwrap_err();
    assert_eq!(error.reason(), Reason::Limit);
    assert!(error.to_string().contains("results_max"), "{error}");
    tx.commit().unwrap();
    drop(conn);
    server.join();
}

#[test]
fn a_connection_lost_during_commit_is_no_plain_loss() {
    let server = Server::one(|peer| {
        peer.login();
        peer.expect(BEGIN);
        peer.send(&[success(&[])]);
        peer.expect(COMMIT);
    });
    let mut conn = server.connect();
    let tx = conn.begin(&TxOptions::default()).unwrap();
    let error = tx.commit().unwrap_err();
    assert_eq!(error.reason(), Reason::CommitUnknown);
    assert!(!error.is_retryable() && !error.is_connection_usable());
    assert_eq!(conn.run("x", ()).map(|_| ()).unwrap_err().reason(), Reason::ConnectionOver);
    server.join();
}

#[test]
fn a_refused_begin_leaves_the_connection_usable() {
    let server = Server::one(|peer| {
        peer.login();
        peer.expect(BEGIN);
        peer.send(&[failure("Neo.ClientError.Transaction.InvalidBookmark", "no such bookmark")]);
        peer.expect(RESET);
        peer.run_and_pull();
        peer.send(&[success(&[]), columns(&["x"]), record(&[int(1)]), success(&[])]);
        peer.expect_close();
    });
    let mut conn = server.connect();
    let options = TxOptions { bookmarks: vec!["nonsense".to_owned()], ..TxOptions::default() };
    let error = conn.begin(&options).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("no such bookmark"), "{error}");
    let mut rows = conn.run("RETURN 1 AS x", ()).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().get::<i64>(0).unwrap(), 1);
    drop(conn);
    server.join();
}
