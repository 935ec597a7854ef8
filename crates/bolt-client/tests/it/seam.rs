//! The I/O seam: the same body over a transport that is never ready at once, as on a runtime, and futures given up.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bolt_buf::BoltBuf;
use bolt_client::{
    Auth, CancelHandle, Config, Connection, ConnectionStats, Cursor, Engine, Error, Interrupt, Io, RecordRef,
    RouteOptions, Rows, RunOptions, ServerInfo, TcpIo, Transaction, TxOptions, Version,
};

use crate::peer::*;

/// Gives prepared bytes, a few at a time, and is not ready at every other poll.
///
/// The answers to a flight are there when the flight has been written, as with any server.
struct Shy {
    flights: VecDeque<Vec<u8>>,
    input: Vec<u8>,
    at: usize,
    step: usize,
    output: Arc<Mutex<Vec<u8>>>,
}

/// Not ready once, then ready.
struct NotYet(bool);

impl Future for NotYet {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

struct Nowhere;

impl Interrupt for Nowhere {
    fn write_now(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

impl Io for Shy {
    async fn read(&mut self, into: &mut BoltBuf, _: Option<Duration>) -> io::Result<usize> {
        NotYet(false).await;
        let end = self.input.len().min(self.at + self.step);
        let part = &self.input[self.at..end];
        into.append(part)?;
        self.at = end;
        Ok(part.len())
    }

    async fn write_all(&mut self, bytes: &[u8], _: Option<Duration>) -> io::Result<()> {
        NotYet(false).await;
        self.output.lock().unwrap().extend_from_slice(bytes);
        self.input.extend(self.flights.pop_front().unwrap_or_default());
        Ok(())
    }

    fn interrupt(&self) -> io::Result<Box<dyn Interrupt>> {
        Ok(Box::new(Nowhere))
    }

    fn close(&mut self) {}
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// A future that a runtime may move between threads.
fn movable<F: Future + Send>(future: F) -> F {
    future
}

fn shy(rows: i64, queries: usize, step: usize) -> Shy {
    let whole = |bodies: Vec<Vec<u8>>| bodies.iter().flat_map(|body| framed(body)).collect::<Vec<u8>>();
    let mut flights =
        VecDeque::from([vec![0, 0, 4, 5], whole(vec![success(&[("server", text("S/1"))]), success(&[])])]);
    for _ in 0..queries {
        let mut bodies = vec![columns(&["x"])];
        bodies.extend((0..rows).map(|i| record(&[int(i)])));
        bodies.push(success(&[("type", text("r"))]));
        flights.push_back(whole(bodies));
    }
    Shy { flights, input: Vec::new(), at: 0, step, output: Arc::default() }
}

fn config() -> Config {
    Config::new("nowhere", 7687).auth(Auth::None).only_version(Version::V5_4).unwrap()
}

#[test]
fn the_body_runs_over_a_transport_that_waits() {
    for step in [1, 2, 7, 1000] {
        let io = shy(50, 2, step);
        let output = io.output.clone();
        let config = config();
        let mut engine = block_on(movable(Engine::login(io, &config))).unwrap();
        for _ in 0..2 {
            let slot = block_on(movable(engine.run("q", &(), &RunOptions::default()))).unwrap();
            let mut expected = 0;
            while let Some(location) = block_on(movable(engine.next(slot))).unwrap() {
                assert_eq!(engine.record(slot, location).get::<i64>(0).unwrap(), expected);
                expected += 1;
            }
            assert_eq!(expected, 50);
        }
        assert!(output.lock().unwrap().starts_with(&[0x60, 0x60, 0xB0, 0x17]));
    }
}

#[test]
fn a_future_given_up_while_reading_loses_nothing() {
    let io = shy(200, 2, 3);
    let mut engine = block_on(Engine::login(io, &config())).unwrap();
    let slot = block_on(engine.run("q", &(), &RunOptions::default())).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut expected = 0;
    let mut given_up = 0;
    while expected < 100 {
        let polled = pin!(engine.next(slot)).poll(&mut context);
        match polled {
            Poll::Ready(location) => {
                let location = location.unwrap().unwrap();
                assert_eq!(engine.record(slot, location).get::<i64>(0).unwrap(), expected);
                expected += 1;
            }
            Poll::Pending => {
                given_up += 1;
                // Now and then let one through, or no byte is ever read.
                if let Some(location) = block_on(engine.next(slot)).unwrap() {
                    assert_eq!(engine.record(slot, location).get::<i64>(0).unwrap(), expected);
                    expected += 1;
                }
            }
        }
    }
    assert!(given_up > 10);
    // The rest is left; the next query is given up while it waits for its columns, which are then owed.
    {
        let options = RunOptions::default();
        let future = engine.run("q", &(), &options);
        let mut future = pin!(future);
        for _ in 0..2000 {
            if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
                done.unwrap();
                break;
            }
        }
    }
    let stats = engine.stats();
    assert!(stats.messages > 100 && engine.is_usable());
}

#[test]
fn a_write_given_up_half_way_ends_the_connection() {
    let io = shy(1, 1, 100);
    let mut engine = block_on(Engine::login(io, &config())).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(engine.run("q", &(), &RunOptions::default())).poll(&mut context).is_pending());
    assert!(!engine.is_usable());
    let error = block_on(engine.run("q", &(), &RunOptions::default())).unwrap_err();
    assert!(error.to_string().contains("given up half-way"), "{error}");
}

/// A face on a runtime spawns these futures, and its users hold rows across their own waits.
#[test]
fn futures_and_rows_may_go_to_other_threads() {
    fn send<T: Send>(_: &T) {}
    fn shareable<T: Send + Sync>() {}
    async fn everything<I: Io>(engine: &mut Engine<I>) -> Result<i64, Error> {
        let slot = engine.run("RETURN 1", [("x", 1)], &RunOptions::default()).await?;
        let mut sum = 0;
        while let Some(location) = engine.next(slot).await? {
            let record = engine.record(slot, location);
            // The row lives on while something else is waited for.
            std::future::ready(()).await;
            sum += record.get::<i64>(0)?;
        }
        engine.finish(slot).await?;
        engine.begin(&TxOptions::default()).await?;
        engine.commit().await?;
        engine.rollback().await?;
        engine.route(&RouteOptions::default()).await?;
        engine.reset().await?;
        engine.settle().await?;
        engine.close().await;
        Ok(sum)
    }
    fn face<I: Io>(engine: &mut Engine<I>, io: I, config: &Config) {
        send(&everything(engine));
        send(&Engine::login(io, config));
    }
    let _: fn(&mut Engine<TcpIo>, TcpIo, &Config) = face::<TcpIo>;
    fn movable<T: Send>() {}
    movable::<(Connection, Rows<'_>, Transaction<'_>, Engine<TcpIo>)>();
    shareable::<(CancelHandle, Config, Error, Cursor, RecordRef<'_>, ConnectionStats, ServerInfo)>();
}
