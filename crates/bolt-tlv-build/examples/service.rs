//! A service on a real socket, blocking: it takes a `SwapEvent` and answers with a `PoolStateUpdate`, and counts what that allocates.
//!
//! Owns both ends: `cargo run --release -p bolt-tlv-build --example service [EVENTS]` serves and asks on loopback. A program of its own would have
//! the code from its build script; here it is the tree's golden file. Limits: one client.

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use bolt_alloc::CountingAlloc;
use bolt_tlv::{BufferPool, FrameReader, Header, U256, write_frame, write_message};

/// What `tests/schemas/source.yaml` and `source.toml` become.
#[allow(dead_code, unreachable_pub)]
mod messages {
    include!("../tests/golden/source.rs.txt");
}

use messages::{Message, PoolStateUpdate, SwapEvent, services};

#[global_allocator]
static ALLOCATOR: CountingAlloc = CountingAlloc::new();

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// An id that no message of this schema has.
const FROM_THE_FUTURE: u16 = 9;

fn main() -> Outcome<()> {
    let events = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let allocations = run(events)?;
    println!("{events} swaps there, {events} states back, {allocations} allocations by both ends once warm");
    Ok(())
}

/// Sends `events` swaps through a service and checks every answer. Returns how often both ends allocated once warm.
fn run(events: u64) -> Outcome<u64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || serve(listener.accept()?.0));
    let allocations = ask(TcpStream::connect(address)?, events)?;
    let (served, skipped, of_the_service) = server.join().map_err(|_| "the service panicked")??;
    // One event warms both ends up, and one message nobody knows is passed over.
    assert_eq!((served, skipped), (events + 1, 1));
    Ok(allocations + of_the_service)
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
                let state = PoolStateUpdate {
                    pool_address: *swap.pool_address(),
                    reserve0: swap.amount_in(),
                    reserve1: swap.amount_out(),
                    sqrt_price: U256::ZERO,
                    liquidity: U256::from(served),
                    block_hash: [0xB1; 32],
                };
                write_message(&mut stream, &pool, &state)?;
                if served == 1 {
                    warm = bolt_alloc::thread_counts().allocations;
                }
            }
            // Of a newer client perhaps, or for somebody else: the stream is in step, and the buffer goes back.
            Message::PoolStateUpdate(_) | Message::Unknown { .. } => skipped += 1,
        }
    }
    Ok((served, skipped, bolt_alloc::thread_counts().allocations - warm))
}

/// The client: sends swaps, reads states, compares.
fn ask(mut stream: TcpStream, events: u64) -> Outcome<u64> {
    stream.set_nodelay(true)?;
    let pool = messages::create_buffer_pool();
    let mut reader = FrameReader::new();
    let mut exchange = |number: u64| -> Outcome<()> {
        let swap = SwapEvent {
            pool_address: [number as u8; 20],
            amount_in: U256::from(number),
            amount_out: U256::from(u128::from(number) << 64),
        };
        write_message(&mut stream, &pool, &swap)?;
        if number == 0 {
            let header = Header { type_id: FROM_THE_FUTURE, version: 1, flags: 0, length: 3 };
            write_frame(&mut stream, header, b"new")?;
        }
        let frame = reader.read(&mut stream, &pool)?.ok_or("the service hung up")?;
        let Message::PoolStateUpdate(state) = Message::decode(frame.type_id(), &frame.payload)? else {
            return Err("the service answered with something else".into());
        };
        assert_eq!((state.pool_address(), state.reserve0()), (&swap.pool_address, swap.amount_in));
        assert_eq!((state.reserve1(), state.liquidity()), (swap.amount_out, U256::from(number + 1)));
        Ok(())
    };
    exchange(0)?;
    let before = bolt_alloc::thread_counts().allocations;
    for number in 1..=events {
        exchange(number)?;
    }
    Ok(bolt_alloc::thread_counts().allocations - before)
}

/// `cargo test` runs it too: a thousand frames each way, and nothing allocated for them.
#[test]
fn a_thousand_swaps_go_round_without_allocating() -> Outcome<()> {
    assert_eq!(run(1_000)?, 0);
    Ok(())
}
