//! The service of `service.rs` on tokio: it takes a `SwapEvent` and answers with a `PoolStateUpdate`, and counts what that allocates.
//!
//! Owns both ends: `cargo run --release -p bolt-tlv-build --example service_tokio [EVENTS]` serves and asks on loopback. The messages are in
//! `common`. Limits: one client; both ends live on one thread.

mod common;

use std::net::Ipv4Addr;

use bolt_tlv::tokio::{write_frame, write_message};
use bolt_tlv::{BufferPool, FrameReader};
use common::messages::{self, Message, services};
use common::{FROM_THE_FUTURE, Outcome, allocations};
use tokio::net::{TcpListener, TcpStream};

fn main() -> Outcome<()> {
    common::report(run)
}

/// Sends `events` swaps through a service and checks every answer. Returns how often both ends allocated once warm.
fn run(events: u64) -> Outcome<u64> {
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(exchange(events))
}

async fn exchange(events: u64) -> Outcome<u64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move { serve(listener.accept().await?.0).await });
    let of_both = ask(TcpStream::connect(address).await?, events).await?;
    // One event warms both ends up, and one message nobody knows is passed over.
    assert_eq!(server.await??, (events + 1, 1));
    Ok(of_both)
}

/// The service: every swap is answered with the state of its pool. Returns how many it served, and how many it did not know.
async fn serve(mut stream: TcpStream) -> Outcome<(u64, u64)> {
    stream.set_nodelay(true)?;
    let pool = BufferPool::from_service(&services::POLYGON_ADAPTER);
    let mut reader = FrameReader::new();
    let (mut served, mut skipped) = (0, 0);
    while let Some(frame) = reader.read_tokio(&mut stream, &pool).await? {
        match Message::decode(frame.type_id(), &frame.payload)? {
            Message::SwapEvent(swap) => {
                served += 1;
                write_message(&mut stream, &pool, &common::answer(&swap, served)).await?;
            }
            // Of a newer client perhaps, or for somebody else: the stream is in step, and the buffer goes back.
            Message::PoolStateUpdate(_) | Message::Unknown { .. } => skipped += 1,
        }
    }
    Ok((served, skipped))
}

/// The client: sends swaps, reads states, compares.
async fn ask(mut stream: TcpStream, events: u64) -> Outcome<u64> {
    stream.set_nodelay(true)?;
    let pool = messages::create_buffer_pool();
    let mut reader = FrameReader::new();
    write_frame(&mut stream, FROM_THE_FUTURE, b"new").await?;
    let mut warm = 0;
    for number in 0..=events {
        if number == 1 {
            warm = allocations();
        }
        write_message(&mut stream, &pool, &common::swap(number)).await?;
        let frame = reader.read_tokio(&mut stream, &pool).await?.ok_or("the service hung up")?;
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
