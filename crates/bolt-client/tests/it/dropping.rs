//! A result left at any point: the next query gets its own rows, and the server sees only what the protocol allows.

use bolt_client::{Connection, Reason, RunOptions, TxOptions};

use crate::script;

/// All rows of `query`, each checked to be that query's own.
fn rows_of(conn: &mut Connection, query: &str) -> i64 {
    let mut rows = conn.run(query, ()).unwrap();
    let mut count = 0;
    while let Some(row) = rows.next().unwrap() {
        assert_eq!(row.get::<i64>(0).unwrap(), count);
        assert_eq!(row.get::<&str>(1).unwrap(), query);
        count += 1;
    }
    rows.finish().unwrap();
    count
}

fn read_some(conn: &mut Connection, query: &str, take: i64, options: &RunOptions) {
    let mut rows = conn.run_with(query, (), options).unwrap();
    for expected in 0..take {
        let row = rows.next().unwrap().unwrap();
        assert_eq!(row.get::<i64>(0).unwrap(), expected);
        assert_eq!(row.get::<&str>(1).unwrap(), query);
    }
}

#[test]
fn after_any_number_of_rows_the_next_query_is_correct() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    for fetch in [1, 2, 3, 5, 0] {
        for take in 0..=7 {
            let options = RunOptions::default().fetch_size(fetch);
            read_some(&mut conn, "count 7", take, &options);
            assert_eq!(rows_of(&mut conn, "count 3"), 3, "fetch {fetch}, take {take}");
        }
    }
    drop(conn);
    let seen = seen.recv().unwrap();
    server.join();
    // Nothing was cut short: whatever the queries write is committed.
    assert_eq!(seen.resets, 0);
    assert_eq!(seen.completed.len(), 2 * 5 * 8);
}

#[test]
fn a_read_only_result_is_stopped_by_a_reset_in_the_same_write() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    let mut left_half_way = 0;
    for fetch in [1, 2, 3, 5, 0] {
        for take in 0..=7 {
            let options = RunOptions::read_only().fetch_size(fetch);
            read_some(&mut conn, "count 7", take, &options);
            let clean = conn.is_clean();
            left_half_way += u32::from(!clean);
            let writes = conn.stats().writes;
            assert_eq!(rows_of(&mut conn, "count 3"), 3, "fetch {fetch}, take {take}");
            assert_eq!(conn.stats().writes, writes + 1, "one flight: RESET, RUN and PULL");
        }
    }
    drop(conn);
    let seen = seen.recv().unwrap();
    server.join();
    assert_eq!((seen.resets, seen.discards), (left_half_way, 0));
}

#[test]
fn a_failure_in_the_part_nobody_read_is_nobody_s() {
    let (server, _seen) = script::start();
    let mut conn = server.connect();
    for take in 0..=4 {
        for fetch in [1, 2, 5, 0] {
            read_some(&mut conn, "fail 9 4", take, &RunOptions::default().fetch_size(fetch));
            assert_eq!(rows_of(&mut conn, "count 3"), 3, "fetch {fetch}, take {take}");
        }
    }
    drop(conn);
    server.join();
}

#[test]
fn after_an_error_the_next_query_is_correct() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    for round in 0..3 {
        let error = conn.run("bad", ()).map(|_| ()).unwrap_err();
        assert_eq!(error.reason(), Reason::Failure);
        assert!(error.is_connection_usable());
        assert_eq!(rows_of(&mut conn, "count 2"), 2, "round {round}");

        let mut rows = conn.run("fail 5 2", ()).unwrap();
        assert!(rows.next().unwrap().is_some());
        assert!(rows.next().unwrap().is_some(), "rows before a failure are delivered");
        let error = rows.next().map(|row| row.is_some()).unwrap_err();
        assert!(error.to_string().contains("stopped half-way"), "{error}");
        assert!(rows.next().is_err(), "a failed result stays failed");
        assert!(rows.finish().is_err());
        assert_eq!(rows_of(&mut conn, "count 2"), 2, "round {round}");
    }
    drop(conn);
    let seen = seen.recv().unwrap();
    server.join();
    assert_eq!(seen.resets, 6, "one RESET for each failure, none besides");
}

#[test]
fn finish_discards_the_rest_and_tells_its_errors() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    for take in 0..4 {
        let mut rows = conn.run_with("count 9", (), &RunOptions::default().fetch_size(3)).unwrap();
        for _ in 0..take {
            rows.next().unwrap().unwrap();
        }
        let summary = rows.finish().unwrap();
        assert_eq!(summary.bookmark(), Some("bm:auto"));
    }
    let rows = conn.run_with("fail 9 5", (), &RunOptions::default().fetch_size(3)).unwrap();
    assert_eq!(rows.finish().unwrap_err().reason(), Reason::Failure);
    assert_eq!(rows_of(&mut conn, "count 2"), 2);
    drop(conn);
    assert!(seen.recv().unwrap().discards >= 4);
    server.join();
}

#[test]
fn a_transaction_dropped_anywhere_is_rolled_back() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    for take in 0..=4 {
        for fetch in [1_u32, 2, 0] {
            {
                let mut tx = conn.begin(&TxOptions::default()).unwrap();
                if take > 0 {
                    let cursor = tx.run_fetching("count 4", (), fetch).unwrap();
                    for _ in 0..take {
                        tx.next(cursor).unwrap().unwrap();
                    }
                }
            }
            assert_eq!(rows_of(&mut conn, "count 3"), 3, "fetch {fetch}, take {take}");
        }
    }
    drop(conn);
    let seen = seen.recv().unwrap();
    server.join();
    assert_eq!(seen.commits, 0);
    assert_eq!(seen.rollbacks + seen.resets, 15);
}

#[test]
fn settle_leaves_a_clean_connection() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    assert!(conn.is_clean());
    read_some(&mut conn, "count 9", 2, &RunOptions::default().fetch_size(3));
    assert!(!conn.is_clean());
    conn.settle().unwrap();
    assert!(conn.is_clean());
    assert!(conn.run("bad", ()).is_err());
    conn.settle().unwrap();
    assert!(conn.is_clean());
    read_some(&mut conn, "count 9", 2, &RunOptions::read_only().fetch_size(3));
    conn.settle().unwrap();
    assert!(conn.is_clean());
    conn.close();
    assert_eq!(seen.recv().unwrap().resets, 2);
    server.join();
}
