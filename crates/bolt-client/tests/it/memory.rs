//! The ceiling on memory, and the way back to the floor after a burst.

use bolt_client::{Connection, Reason, RunOptions, TxOptions};

use crate::peer::*;
use crate::script;

#[test]
fn rows_set_aside_stay_under_the_ceiling_and_none_is_lost() {
    let (server, _seen) = script::start();
    let mut config = server.config();
    config.memory_bytes_max = 256 << 10;
    let mut conn = Connection::connect(&config).unwrap();
    let mut tx = conn.begin(&TxOptions::default()).unwrap();
    // All of it arrives before anything of the second result does: 20,000 rows of about 30 bytes.
    let large = tx.run_fetching("count 20000", (), 0_u32).unwrap();
    let mut error = None;
    let small = match tx.run_fetching("count 1", (), 0_u32) {
        Ok(_) => panic!("600 KB do not fit a quarter of 256 KiB"),
        Err(e) => error.insert(e),
    };
    assert_eq!(small.reason(), Reason::Limit, "{small:?}");
    assert!(small.is_connection_usable());
    assert!(small.to_string().contains("fetch_size"), "{small}");
    let mut count = 0;
    while let Some(row) = tx.next(large).unwrap() {
        assert_eq!(row.get::<i64>(0).unwrap(), count);
        count += 1;
    }
    assert_eq!(count, 20_000);
    // So does a request that is itself too large to be written while rows are owed.
    let large = tx.run_fetching("count 20000", (), 0_u32).unwrap();
    let parameter = "x".repeat(40_000);
    let error = tx.run("count 1", [("p", parameter.as_str())]).unwrap_err();
    assert_eq!(error.reason(), Reason::Limit, "{error}");
    let mut count = 0;
    while tx.next(large).unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 20_000);
    let fits = tx.run("count 1", [("p", parameter.as_str())]).unwrap();
    assert!(tx.next(fits).unwrap().is_some());
    tx.commit().unwrap();
    assert!(conn.stats().buffers_bytes <= 256 << 10, "{:?}", conn.stats());
    drop(conn);
    server.join();
}

#[test]
fn a_message_beyond_the_ceiling_is_refused_and_one_below_passes() {
    for (bytes, fits) in [(300_000, true), (3_000_000, false)] {
        let server = Server::one(move |peer| {
            peer.login();
            peer.run_and_pull();
            peer.send(&[columns(&["x"]), record(&[text(&"x".repeat(bytes))]), success(&[])]);
            peer.expect_close();
        });
        let mut config = server.config();
        config.memory_bytes_max = 2 << 20;
        let mut conn = Connection::connect(&config).unwrap();
        let mut rows = conn.run("q", ()).unwrap();
        match rows.next() {
            Ok(row) => {
                assert!(fits);
                assert_eq!(row.unwrap().get::<&str>(0).unwrap().len(), bytes);
            }
            Err(error) => {
                assert!(!fits, "{error}");
                assert!(error.to_string().contains("memory_bytes_max"), "{error}");
                assert!(!error.is_connection_usable());
            }
        }
        assert!(conn.stats().buffers_bytes <= 2 << 20);
        drop(conn);
        server.join();
    }
}

#[test]
fn after_a_burst_the_memory_goes_back_to_the_floor() {
    const BURST: usize = 8 << 20;
    let server = Server::one(|peer| {
        peer.login();
        peer.run_and_pull();
        peer.send(&[columns(&["x"]), record(&[text(&"x".repeat(BURST))]), success(&[])]);
        for _ in 0..64 {
            peer.run_and_pull();
            peer.send(&[columns(&["x"]), record(&[int(1)]), success(&[])]);
        }
        peer.expect_close();
    });
    let mut conn = server.connect();
    let live = || bolt_alloc::thread_counts().live_bytes;
    let floor = (conn.stats().buffers_bytes, live());
    let mut rows = conn.run("q", ()).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().get::<&str>(0).unwrap().len(), BURST);
    assert!(rows.next().unwrap().is_none());
    assert!(conn.stats().buffers_bytes >= BURST);
    for _ in 0..64 {
        let mut rows = conn.run("q", ()).unwrap();
        rows.next().unwrap().unwrap();
        assert!(rows.next().unwrap().is_none());
    }
    assert!(conn.stats().buffers_bytes <= floor.0.max(48 << 10), "{:?}", conn.stats());
    // The allocator agrees with the buffer.
    assert!(live() - floor.1 < 64 << 10, "{} bytes more than at rest", live() - floor.1);
    drop(conn);
    server.join();
}

#[test]
fn memory_does_not_depend_on_the_size_of_the_batch() {
    let (server, _seen) = script::start();
    let mut conn = server.connect();
    for fetch in [10_u32, 100_000, 0] {
        let mut rows = conn.run_with("count 100000", (), &RunOptions::default().fetch_size(fetch)).unwrap();
        let mut count = 0;
        while rows.next().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 100_000);
        assert!(conn.stats().buffers_bytes <= 256 << 10, "fetch {fetch}: {:?}", conn.stats());
    }
    drop(conn);
    server.join();
}
