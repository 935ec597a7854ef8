//! Rows that outlive the stream: owned records, batches, structs by serde; what they cost.

use bolt_client::{DecodeError, OwnedRecord, Reason, RecordBatch, RunOptions};

use crate::peer::*;
use crate::script;
use crate::streaming::stream_scalars;

#[test]
fn rows_can_be_kept_and_structs_made() {
    let (server, _seen) = script::start();
    let mut conn = server.connect();
    let mut rows = conn.run_with("count 25", (), &RunOptions::default().fetch_size(4)).unwrap();
    let mut owned: Vec<OwnedRecord> = Vec::new();
    let mut batch = RecordBatch::new();
    while let Some(row) = rows.next().unwrap() {
        owned.push(row.to_owned());
        batch.push(row);
    }
    drop(conn);
    for (i, record) in owned.iter().enumerate() {
        assert_eq!(record.as_ref().get::<i64>(0).unwrap(), i as i64);
        assert_eq!(record.as_ref().by_name::<String>("q").unwrap(), "count 25");
        assert_eq!(batch.get(i).unwrap().get::<i64>(0).unwrap(), i as i64);
    }
    assert_eq!((owned.len(), batch.len()), (25, 25));
    server.join();
}

#[test]
fn a_value_of_another_type_is_the_caller_s_error_and_spares_the_rest() {
    let (server, _seen) = script::start();
    let mut conn = server.connect();
    let mut rows = conn.run("count 2", ()).unwrap();
    let row = rows.next().unwrap().unwrap();
    let error: DecodeError = row.get::<bool>(0).unwrap_err();
    let error = bolt_client::Error::from(error);
    assert_eq!(error.reason(), Reason::WrongValue);
    assert!(error.is_connection_usable());
    assert!(row.get::<i64>(7).is_err() && row.by_name::<i64>("nope").is_err());
    assert_eq!(row.get::<i64>(0).unwrap(), 0);
    assert!(rows.next().unwrap().is_some());
    drop(conn);
    server.join();
}

#[test]
fn a_kept_row_costs_two_allocations_and_a_batch_next_to_none() {
    const ROWS: i64 = 10_000;
    let server = Server::one(|peer| {
        peer.login();
        for _ in 0..4 {
            stream_scalars(peer, ROWS);
        }
        peer.expect_close();
    });
    let mut conn = server.connect();
    let mut rows = conn.run("warm", ()).unwrap();
    while rows.next().unwrap().is_some() {}

    let mut kept = Vec::with_capacity(ROWS as usize);
    let ((), counts) = bolt_alloc::measure(|| {
        let mut rows = conn.run("q", ()).unwrap();
        while let Some(row) = rows.next().unwrap() {
            kept.push(row.to_owned());
        }
    });
    assert_eq!(kept.len() as i64, ROWS);
    assert!(counts.allocations <= 2 * ROWS as u64 + 4, "{counts:?}");

    let mut batch = RecordBatch::new();
    let ((), counts) = bolt_alloc::measure(|| {
        let mut rows = conn.run("q", ()).unwrap();
        while let Some(row) = rows.next().unwrap() {
            batch.push(row);
        }
    });
    assert_eq!(batch.len() as i64, ROWS);
    assert!(counts.allocations + counts.reallocations < 100, "{counts:?}");

    #[cfg(feature = "serde")]
    {
        #[derive(serde_derive::Deserialize)]
        struct Row {
            i: i64,
            f: f64,
            s: String,
            b: bool,
        }
        let ((), counts) = bolt_alloc::measure(|| {
            let mut rows = conn.run("q", ()).unwrap();
            let mut count = 0;
            for row in rows.typed::<Row>() {
                let Row { i, f, s, b } = row.unwrap();
                assert_eq!((i, f, s.len(), b), (1000, 1.5, 10, true));
                count += 1;
            }
            assert_eq!(count, ROWS);
        });
        assert!(counts.allocations <= ROWS as u64 + 4, "one string a row: {counts:?}");
    }
    drop(conn);
}

#[cfg(feature = "serde")]
#[test]
fn a_struct_that_does_not_fit_names_the_field() {
    #[derive(Debug, serde_derive::Deserialize)]
    struct Wrong {
        #[allow(dead_code, reason = "only its type matters")]
        q: i64,
    }
    let (server, _seen) = script::start();
    let mut conn = server.connect();
    let mut rows = conn.run("count 3", ()).unwrap();
    let error = rows.typed::<Wrong>().next().unwrap().unwrap_err();
    assert_eq!(error.reason(), Reason::WrongValue);
    assert!(error.to_string().contains('q'), "{error}");
    assert!(error.is_connection_usable());
    drop(conn);
    server.join();
}
