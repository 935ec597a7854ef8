//! Streams: batches, the early PULL, NOOPs, timeouts, chunks of any cut, long results without an allocation.

use std::time::{Duration, Instant};

use bolt_client::{Connection, Reason, RunOptions};

use crate::peer::*;

#[test]
fn the_next_pull_leaves_at_half_a_batch_and_only_when_more_is_certain() {
    let server = Server::one(|peer| {
        peer.login();
        peer.run_and_pull();
        let mut out = vec![columns(&["x"])];
        out.extend((0..10).map(|i| record(&[int(i)])));
        out.push(success(&[("has_more", vec![TRUE])]));
        peer.send(&out);
        // The client reads slowly and has five rows left when this PULL arrives.
        assert_eq!(peer.expect(PULL).number("n"), Some(10));
        let mut out: Vec<_> = (10..20).map(|i| record(&[int(i)])).collect();
        // The last batch: a PULL behind it would be a violation, and real servers close on it.
        out.push(success(&[("type", text("r"))]));
        peer.send(&out);
        peer.expect_close();
    });
    let mut conn = server.connect();
    let mut rows = conn.run_with("q", (), &RunOptions::default().fetch_size(10)).unwrap();
    for expected in 0..20 {
        assert_eq!(rows.next().unwrap().unwrap().get::<i64>(0).unwrap(), expected);
        if expected == 4 {
            // Half is read: the PULL is out, though five rows of this batch are unread.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert!(rows.next().unwrap().is_none());
    assert_eq!(conn.stats().prefetches, 1);
    drop(conn);
    server.join();
}

#[test]
fn when_the_end_of_the_batch_comes_late_so_does_the_pull() {
    let server = Server::one(|peer| {
        peer.login();
        peer.run_and_pull();
        let mut out = vec![columns(&["x"])];
        out.extend((0..8).map(|i| record(&[int(i)])));
        peer.send(&out);
        std::thread::sleep(Duration::from_millis(30));
        peer.send(&[record(&[int(8)]), record(&[int(9)]), success(&[("has_more", vec![TRUE])])]);
        peer.expect(PULL);
        peer.send(&[success(&[])]);
        peer.expect_close();
    });
    let mut conn = server.connect();
    let mut rows = conn.run_with("q", (), &RunOptions::default().fetch_size(10)).unwrap();
    let mut count = 0;
    while let Some(row) = rows.next().unwrap() {
        assert_eq!(row.get::<i64>(0).unwrap(), count);
        count += 1;
    }
    assert_eq!((count, conn.stats().prefetches), (10, 1), "seen with the second read, at row 8");
    drop(conn);
    server.join();
}

#[test]
fn any_cut_of_the_stream_gives_the_same_rows() {
    let long = "long ".repeat(30_000);
    let bodies = [
        columns(&["x", "s"]),
        record(&[int(1), text("a")]),
        record(&[int(2), text(&long)]),
        record(&[int(3), text("größe")]),
        success(&[("has_more", vec![TRUE])]),
    ];
    let last = [record(&[int(4), text("")]), success(&[("type", text("r"))])];
    // Chunk sizes, and how many bytes each write carries.
    for (chunk, write) in [(1, 7919), (3, 1), (1000, 3), (65_535, 1448), (16_384, 100_000), (2, 5)] {
        let cut = move |bodies: &[Vec<u8>]| -> Vec<u8> {
            let mut out = vec![0, 0];
            for body in bodies {
                for part in body.chunks(chunk) {
                    out.extend((part.len() as u16).to_be_bytes());
                    out.extend(part);
                }
                out.extend([0, 0, 0, 0, 0, 0]);
            }
            out
        };
        let (first, second) = (cut(&bodies), cut(&last));
        // A write of one byte costs a system call; the long message is spared that.
        let write = if write < 100 { write.max(first.len() / 20_000) } else { write };
        let server = Server::one(move |peer| {
            peer.login();
            peer.run_and_pull();
            first.chunks(write).for_each(|part| peer.raw(part));
            peer.expect(PULL);
            second.chunks(write).for_each(|part| peer.raw(part));
            peer.expect_close();
        });
        let mut conn = server.connect();
        let mut rows = conn.run_with("q", (), &RunOptions::default().fetch_size(3)).unwrap();
        let mut got = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            got.push((row.get::<i64>(0).unwrap(), row.get::<String>(1).unwrap()));
        }
        let expected = [(1, "a".to_owned()), (2, long.clone()), (3, "größe".to_owned()), (4, String::new())];
        assert_eq!(got, expected, "chunks of {chunk}, writes of {write}");
        assert!(conn.stats().noops > 0);
        drop(conn);
        server.join();
    }
}

#[test]
fn noops_keep_a_slow_query_alive_and_silence_does_not() {
    for alive in [true, false] {
        let server = Server::one(move |peer| {
            peer.login();
            peer.run_and_pull();
            peer.send(&[columns(&["x"])]);
            for _ in 0..8 {
                std::thread::sleep(Duration::from_millis(60));
                if alive {
                    peer.raw(&[0, 0]);
                }
            }
            peer.send(&[record(&[int(1)]), success(&[])]);
            peer.expect_close();
        });
        let mut config = server.config();
        config.read_timeout = Some(Duration::from_millis(250));
        let mut conn = Connection::connect(&config).unwrap();
        let mut rows = conn.run("q", ()).unwrap();
        if alive {
            assert_eq!(rows.next().unwrap().unwrap().get::<i64>(0).unwrap(), 1);
        } else {
            let error = rows.next().map(|row| row.is_some()).unwrap_err();
            assert!(error.is_timeout() && !error.is_connection_usable(), "{error:?}");
            assert!(error.to_string().contains("read_timeout"), "{error}");
            assert_eq!(rows.next().map(|row| row.is_some()).unwrap_err().reason(), Reason::ConnectionOver);
        }
        drop(conn);
        server.join();
    }
}

#[test]
fn endless_noops_cost_no_memory_and_end_at_the_answer_timeout() {
    let server = Server::one(|peer| {
        peer.login();
        peer.run_and_pull();
        let noops = vec![0; 64 * 1024];
        peer.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            if std::io::Write::write_all(&mut peer.stream, &noops).is_err() {
                break;
            }
        }
    });
    let mut config = server.config();
    config.answer_timeout = Some(Duration::from_millis(300));
    let mut conn = Connection::connect(&config).unwrap();
    let started = Instant::now();
    let error = conn.run("q", ()).map(|_| ()).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(error.to_string().contains("answer_timeout"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(conn.stats().noops > 1000);
    assert!(conn.stats().buffers_bytes < 400 * 1024, "{:?}", conn.stats());
    server.join();
}

#[test]
fn the_server_s_own_hint_limits_the_wait() {
    let server = Server::one(|peer| {
        peer.handshake();
        peer.expect(HELLO);
        peer.expect(LOGON);
        let hints = map(&[("connection.recv_timeout_seconds", int(1))]);
        peer.send(&[success(&[("server", text("S/1")), ("hints", hints)]), success(&[])]);
        peer.run_and_pull();
        peer.expect_close();
    });
    let mut conn = server.connect();
    let started = Instant::now();
    let error = conn.run("q", ()).map(|_| ()).unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("recv_timeout_seconds"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
    server.join();
}

#[test]
fn a_server_that_does_not_read_ends_the_write() {
    let server = Server::one(|peer| {
        peer.login();
        std::thread::sleep(Duration::from_millis(1500));
    });
    let mut config = server.config();
    config.write_timeout = Some(Duration::from_millis(200));
    let mut conn = Connection::connect(&config).unwrap();
    let big = "x".repeat(40 << 20);
    let error = conn.run("RETURN $x", [("x", big.as_str())]).map(|_| ()).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert!(error.to_string().contains("write_timeout"), "{error}");
    assert!(!conn.is_usable());
    server.join();
}

#[test]
fn what_cannot_be_sent_is_refused_and_nothing_is_sent() {
    let server = Server::one(|peer| {
        peer.login();
        peer.run_and_pull();
        peer.send(&[columns(&["x"]), success(&[])]);
        peer.expect_close();
    });
    let mut config = server.config();
    config.memory_bytes_max = 1 << 20;
    let mut conn = Connection::connect(&config).unwrap();
    let written = conn.stats().bytes_written;
    let error = conn.run("q", [("n", u64::MAX)]).map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidArgument, "{error}");
    let big = "x".repeat(2 << 20);
    let error = conn.run("q", [("s", big.as_str())]).map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), Reason::Limit, "{error}");
    let options = RunOptions {
        tx: bolt_client::TxOptions { impersonate: Some("x".into()), ..Default::default() },
        ..Default::default()
    };
    conn.run_with("q", (), &options).unwrap();
    assert!(conn.stats().bytes_written - written < 200, "only the good request was sent");
    drop(conn);
    server.join();
}

/// Plays `rows` records of four scalars in batches of what PULL asks for, from one prepared buffer.
pub(crate) fn stream_scalars(peer: &mut Peer, mut rows: i64) {
    peer.run_and_pull_n(&mut rows);
}

impl Peer {
    fn run_and_pull_n(&mut self, rows: &mut i64) {
        self.expect(RUN);
        let mut first = true;
        while *rows > 0 {
            let n = self.expect(PULL).number("n").unwrap();
            if std::mem::take(&mut first) {
                self.send(&[columns(&["i", "f", "s", "b"])]);
            }
            let batch = if n == -1 { *rows } else { n.min(*rows) };
            let one = framed(&record(&[
                int(1000),
                [&[0xC1][..], &1.5_f64.to_be_bytes()].concat(),
                text("ten  bytes"),
                vec![TRUE],
            ]));
            let block = one.repeat(1000.min(batch as usize));
            let mut left = batch as usize * one.len();
            while left > 0 {
                let part = left.min(block.len());
                self.raw(&block[..part]);
                left -= part;
            }
            *rows -= batch;
            if *rows > 0 {
                self.send(&[success(&[("has_more", vec![TRUE])])]);
            }
        }
        self.send(&[success(&[("type", text("r"))])]);
    }
}

#[test]
fn a_long_stream_allocates_nothing_per_record() {
    const ROWS: i64 = 50_000;
    const ROUNDS: usize = 4;
    for fetch in [1_u32, 10, 1000, 0] {
        let rows = if fetch == 1 { 10_000 } else { ROWS };
        let server = Server::one(move |peer| {
            peer.login();
            for _ in 0..ROUNDS {
                stream_scalars(peer, rows);
            }
            peer.expect_close();
        });
        let mut conn = server.connect();
        let options = RunOptions::default().fetch_size(fetch);
        let mut least = u64::MAX;
        for round in 0..ROUNDS {
            let (count, counts) = bolt_alloc::measure(|| {
                let mut stream = conn.run_with("q", (), &options).unwrap();
                let (mut count, mut sum, mut bytes) = (0_i64, 0_i64, 0_usize);
                while let Some(row) = stream.next().unwrap() {
                    sum += row.get::<i64>(0).unwrap();
                    assert_eq!(row.get::<f64>(1).unwrap(), 1.5);
                    bytes += row.get::<&str>(2).unwrap().len();
                    assert!(row.get::<bool>(3).unwrap());
                    count += 1;
                }
                assert_eq!((sum, bytes as i64), (count * 1000, count * 10));
                count
            });
            assert_eq!(count, rows);
            // What there is belongs to the stream and not to its records: columns, and the buffer as it adapts to
            // the sizes of the reads, which is the kernel's choice.
            assert!(counts.allocations <= 20, "fetch {fetch}, round {round}: {counts:?}");
            least = least.min(counts.allocations);
        }
        assert_eq!(least, 0, "fetch {fetch}: warm, a whole stream allocates nothing");
        assert!(conn.stats().buffers_bytes <= 256 * 1024, "{:?}", conn.stats());
        drop(conn);
        server.join();
    }
}

#[test]
fn one_row_costs_one_flight_and_hardly_an_allocation() {
    let server = Server::one(|peer| {
        peer.login();
        for _ in 0..200 {
            peer.run_and_pull();
            peer.send(&[columns(&["1"]), record(&[int(1)]), success(&[("type", text("r"))])]);
        }
        peer.expect_close();
    });
    let mut conn = server.connect();
    let mut once = || {
        let writes = conn.stats().writes;
        let mut rows = conn.run("RETURN 1", ()).unwrap();
        assert_eq!(rows.next().unwrap().unwrap().get::<i64>(0).unwrap(), 1);
        assert!(rows.next().unwrap().is_none());
        assert_eq!(conn.stats().writes, writes + 1);
    };
    (0..100).for_each(|_| once());
    let ((), counts) = bolt_alloc::measure(|| (0..100).for_each(|_| once()));
    assert_eq!(counts.allocations, 0, "bar: five for each query");
    drop(conn);
    server.join();
}
