//! A service on a real socket, blocking: it takes a `SwapEvent` and answers with a `PoolStateUpdate`, and counts what that allocates.
//!
//! Owns both ends: `cargo run --release -p bolt-tlv-build --example service [EVENTS]` serves and asks on loopback. The messages are in `common`.
//! Limits: one client.

mod common;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use bolt_tlv::{BufferPool, FrameReader, write_frame, write_message};
use common::messages::{self, Message, services};
use common::{FROM_THE_FUTURE, Outcome, allocations};

fn main() -> Outcome<()> {
    common::report(run)
}

/// Sends `events` swaps through a service and checks every answer. Returns how often both ends allocated once warm.
fn run(events: u64) -> Outcome<u64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || serve(listener.accept()?.0));
    let of_the_client = ask(TcpStream::connect(address)?, events)?;
    let (served, skipped, of_the_service) = server.join().map_err(|_| "the service panicked")??;
    // One event warms both ends up, and one message nobody knows is passed over.
    assert_eq!((served, skipped), (events + 1, 1));
    Ok(of_the_client + of_the_service)
}

/// The service: every swap is answered with the state of its pool. Returns how many it served, how many it did not know, and how often
/// its thread allocated after the first.
fn serve(mut stream: TcpStream) -> Outcome<(u64, u64, u64)> {
    stream.set_nodelay(true)?;
    let pool = BufferPool::from_service(&services::POLYGON_ADAPTER);
    let mut reader = FrameReader::new();
    let (mut served, mut skipped, mut warm) = (0, 0, 0);
    while let Some(frame) = reader.read(&mut stream, &pool)? {
        match Message::decode(frame.type_id(), &frame.payload)? {
            Message::SwapEvent(swap) => {
                served += 1;
                write_message(&mut stream, &pool, &common::answer(&swap, served))?;
                if served == 1 {
                    warm = allocations();
                }
            }
            // Of a newer client perhaps, or for somebody else: the stream is in step, and the buffer goes back.
            Message::PoolStateUpdate(_) | Message::Unknown { .. } => skipped += 1,
        }
    }
    Ok((served, skipped, allocations() - warm))
}

/// The client: sends swaps, reads states, compares.
fn ask(mut stream: TcpStream, events: u64) -> Outcome<u64> {
    stream.set_nodelay(true)?;
    let pool = messages::create_buffer_pool();
    let mut reader = FrameReader::new();
    write_frame(&mut stream, FROM_THE_FUTURE, b"new")?;
    let mut warm = 0;
    for number in 0..=events {
        if number == 1 {
            warm = allocations();
        }
        write_message(&mut stream, &pool, &common::swap(number))?;
        let frame = reader.read(&mut stream, &pool)?.ok_or("the service hung up")?;
        let Message::PoolStateUpdate(state) = Message::decode(frame.type_id(), &frame.payload)? else {
            return Err("the service answered with something else".into());
        };
        common::check(&state, number);
    }
    Ok(allocations() - warm)
}

/// `cargo test` runs it too: a thousand frames each way, and nothing allocated for them.
#[test]
fn a_thousand_swaps_go_round_without_allocating() -> Outcome<()> {
    assert_eq!(run(1_000)?, 0);
    Ok(())
}
