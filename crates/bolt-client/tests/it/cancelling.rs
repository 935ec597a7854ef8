//! Cancelling from another thread: exactly one RESET, a usable connection, and never another query's answer.

use std::time::{Duration, Instant};

use bolt_client::{Reason, TxOptions};

use crate::peer::*;
use crate::script;

#[test]
fn a_running_query_is_cancelled_and_the_connection_goes_on() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    let handle = conn.cancel_handle();
    let mut rows = conn.run("slow 1000000", ()).unwrap();
    rows.next().unwrap().unwrap();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        handle.cancel().unwrap();
        handle.cancel().unwrap();
    });
    let started = Instant::now();
    let mut count = 1;
    let error = loop {
        match rows.next() {
            Ok(Some(row)) => {
                assert_eq!(row.get::<i64>(0).unwrap(), count);
                count += 1;
            }
            Ok(None) => panic!("it was cancelled"),
            Err(error) => break error,
        }
    };
    assert!(error.is_cancelled() && error.is_connection_usable(), "{error:?}");
    assert!(started.elapsed() < DEADLINE);
    canceller.join().unwrap();
    for _ in 0..2 {
        let mut rows = conn.run("count 2", ()).unwrap();
        assert_eq!(rows.next().unwrap().unwrap().get::<&str>(1).unwrap(), "count 2");
        assert!(rows.next().unwrap().is_some());
        assert!(rows.next().unwrap().is_none());
    }
    drop(conn);
    assert_eq!(seen.recv().unwrap().resets, 1);
    server.join();
}

#[test]
fn on_an_idle_connection_it_does_no_harm() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    let handle = conn.cancel_handle();
    for round in 0..5 {
        handle.cancel().unwrap();
        handle.clone().cancel().unwrap();
        let mut rows = conn.run("count 1", ()).unwrap();
        assert_eq!(rows.next().unwrap().unwrap().get::<&str>(1).unwrap(), "count 1", "round {round}");
        assert!(rows.next().unwrap().is_none());
    }
    handle.cancel().unwrap();
    conn.settle().unwrap();
    assert!(conn.is_clean());
    drop(conn);
    handle.cancel().unwrap();
    assert_eq!(seen.recv().unwrap().resets, 6);
    server.join();
}

#[test]
fn a_cancelled_transaction_takes_no_further_queries() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    let handle = conn.cancel_handle();
    let mut tx = conn.begin(&TxOptions::default()).unwrap();
    let cursor = tx.run_fetching("count 10", (), 2_u32).unwrap();
    tx.next(cursor).unwrap().unwrap();
    handle.cancel().unwrap();
    // Sent now, RUN would be a query of its own outside any transaction: it is not sent.
    let error = tx.run("count 1", ()).unwrap_err();
    assert!(error.is_cancelled(), "{error:?}");
    assert_eq!(tx.commit().unwrap_err().reason(), Reason::Cancelled);
    let mut rows = conn.run("count 1", ()).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().get::<&str>(1).unwrap(), "count 1");
    drop(conn);
    let seen = seen.recv().unwrap();
    assert_eq!((seen.resets, seen.commits), (1, 0));
    assert_eq!(seen.completed, ["count 1"]);
    server.join();
}

#[test]
fn between_two_batches_the_next_pull_is_withheld() {
    let (server, seen) = script::start();
    let mut conn = server.connect();
    let handle = conn.cancel_handle();
    let options = bolt_client::RunOptions::default().fetch_size(1);
    let mut rows = conn.run_with("count 10", (), &options).unwrap();
    rows.next().unwrap().unwrap();
    handle.cancel().unwrap();
    let error = loop {
        match rows.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was cancelled"),
            Err(error) => break error,
        }
    };
    assert!(error.is_cancelled(), "{error:?}");
    drop(conn);
    assert_eq!(seen.recv().unwrap().resets, 1);
    server.join();
}

#[test]
fn requests_the_reset_overtook_are_ignored_and_told_as_cancelled() {
    let server = Server::one(|peer| {
        peer.login();
        peer.run_and_pull();
        peer.expect(RESET);
        // RESET jumps the queue: RUN and PULL are answered by IGNORED.
        peer.send(&[ignored(), ignored(), success(&[])]);
        peer.run_and_pull();
        peer.send(&[columns(&["x"]), record(&[int(7)]), success(&[])]);
        peer.expect_close();
    });
    let mut conn = server.connect();
    let handle = conn.cancel_handle();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        handle.cancel().unwrap();
    });
    let error = conn.run("RETURN 1", ()).map(|_| ()).unwrap_err();
    assert!(error.is_cancelled() && error.is_connection_usable(), "{error:?}");
    canceller.join().unwrap();
    let mut rows = conn.run("RETURN 7 AS x", ()).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().get::<i64>(0).unwrap(), 7);
    drop(conn);
    server.join();
}

#[test]
fn while_begin_is_unanswered_the_reset_waits() {
    let server = Server::one(|peer| {
        peer.login();
        peer.expect(BEGIN);
        peer.expect_silence(
            Duration::from_millis(150),
            "RESET behind an unanswered BEGIN closes real servers",
        );
        peer.send(&[success(&[])]);
        peer.expect(RESET);
        peer.send(&[success(&[])]);
        peer.expect_close();
    });
    let mut conn = server.connect();
    let handle = conn.cancel_handle();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(40));
        handle.cancel().unwrap();
    });
    let tx = conn.begin(&TxOptions::default()).unwrap();
    canceller.join().unwrap();
    assert!(tx.commit().unwrap_err().is_cancelled());
    conn.settle().unwrap();
    drop(conn);
    server.join();
}

#[test]
fn a_storm_of_cancels_never_mixes_answers() {
    let (server, _seen) = script::start();
    let mut conn = server.connect();
    let handle = conn.cancel_handle();
    let stop = std::sync::Arc::new(std::sync::Mutex::new(false));
    let stopped = stop.clone();
    let canceller = std::thread::spawn(move || {
        let mut pause = 1_u64;
        while !*stopped.lock().unwrap() {
            pause = pause * 48_271 % 2_147_483_647;
            std::thread::sleep(Duration::from_micros(pause % 700));
            if handle.cancel().is_err() {
                break;
            }
        }
    });
    let started = Instant::now();
    let (mut whole, mut cut) = (0, 0);
    let mut round = 0;
    while started.elapsed() < Duration::from_millis(1500) {
        round += 1;
        let query = format!("count {}", 100 + round % 50);
        let options = bolt_client::RunOptions::default().fetch_size(7);
        let outcome = conn.run_with(&query, (), &options).and_then(|mut rows| {
            let mut expected = 0;
            while let Some(row) = rows.next()? {
                assert_eq!(row.get::<i64>(0)?, expected);
                assert_eq!(row.get::<&str>(1)?, query);
                expected += 1;
            }
            assert_eq!(expected, 100 + round % 50);
            Ok(())
        });
        match outcome {
            Ok(()) => whole += 1,
            Err(error) => {
                assert!(error.is_cancelled(), "{error:?}");
                cut += 1;
            }
        }
    }
    *stop.lock().unwrap() = true;
    canceller.join().unwrap();
    assert!(cut > 0, "{whole} whole, {cut} cut");
    conn.settle().unwrap();
    drop(conn);
    server.join();
}
