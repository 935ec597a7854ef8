//! What the two services have in common: the messages, one exchange of them, and the counting of allocations.
//!
//! A program of its own would have the code from its build script; here it is the tree's golden file. Never touches a socket.

use std::error::Error;

use bolt_alloc::CountingAlloc;
use bolt_tlv::{Header, U256};

/// What `tests/schemas/source.yaml` and `source.toml` become.
#[allow(dead_code, unreachable_pub)]
pub(crate) mod messages {
    include!("../../tests/golden/source.rs.txt");
}

use messages::{PoolStateUpdate, PoolStateUpdateView, SwapEvent, SwapEventView};

#[global_allocator]
static ALLOCATOR: CountingAlloc = CountingAlloc::new();

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The header of a message that this schema does not have, three bytes long.
pub(crate) const FROM_THE_FUTURE: Header = Header { type_id: 9, version: 1, flags: 0, length: 3 };

/// The body of `main`: as many events as the first argument says.
pub(crate) fn report(run: impl FnOnce(u64) -> Outcome<u64>) -> Outcome<()> {
    let events = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let allocations = run(events)?;
    println!("{events} swaps there, {events} states back, {allocations} allocations by both ends once warm");
    Ok(())
}

/// How often this thread has allocated.
pub(crate) fn allocations() -> u64 {
    bolt_alloc::thread_counts().allocations
}

/// The swap that a client sends.
pub(crate) fn swap(number: u64) -> SwapEvent {
    SwapEvent {
        pool_address: [number as u8; 20],
        amount_in: U256::from(number),
        amount_out: U256::from(u128::from(number) << 64),
    }
}

/// What the service answers, read from the frame as it lies in its buffer.
pub(crate) fn answer(swap: &SwapEventView<'_>, served: u64) -> PoolStateUpdate {
    PoolStateUpdate {
        pool_address: *swap.pool_address(),
        reserve0: swap.amount_in(),
        reserve1: swap.amount_out(),
        sqrt_price: U256::ZERO,
        liquidity: U256::from(served),
        block_hash: [0xB1; 32],
    }
}

/// That the answer to swap `number` is the right one.
pub(crate) fn check(state: &PoolStateUpdateView<'_>, number: u64) {
    let swap = swap(number);
    assert_eq!((state.pool_address(), state.reserve0()), (&swap.pool_address, swap.amount_in));
    assert_eq!((state.reserve1(), state.liquidity()), (swap.amount_out, U256::from(number + 1)));
}
