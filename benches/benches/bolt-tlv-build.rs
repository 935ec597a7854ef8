//! Generated messages beside what one would write by hand with `to_le_bytes`: written, looked at in place, read into structs of their own.
//!
//! A pass is 1,000 messages, SwapEvent (84 bytes) or PoolStateUpdate (180). Every pass is checked against its sum before it is timed. What taking
//! and giving back a buffer costs is in `bolt-tlv`.

use std::hint::black_box;
use std::time::Duration;

use bolt_tlv::{BufferPool, U256, Writer};
use boltstack_benches::timed;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

/// What the schema of bolt-tlv-build's examples becomes.
#[allow(dead_code, unreachable_pub)]
mod messages {
    include!("../../crates/bolt-tlv-build/tests/golden/source.rs.txt");
}

use messages::{PoolStateUpdate, SwapEvent, services};

const PASS: u64 = 1000;

/// The last byte of a message says which it was.
fn swap(last: u8) -> SwapEvent {
    let mut amount = [7; 32];
    amount[31] = last;
    SwapEvent {
        pool_address: [0xAD; 20],
        amount_in: U256::from(9_u64),
        amount_out: U256::from_le_bytes(amount),
    }
}

fn state(last: u8) -> PoolStateUpdate {
    let mut block_hash = [0xB1; 32];
    block_hash[31] = last;
    let amount = U256::from(9_u64);
    PoolStateUpdate {
        pool_address: [0xAD; 20],
        reserve0: amount,
        reserve1: amount,
        sqrt_price: amount,
        liquidity: amount,
        block_hash,
    }
}

/// What the two generated messages have in common with hand-written code.
trait Sample: bolt_tlv::Message {
    /// Written by hand, field by field, behind what is in `out`.
    fn append(&self, out: &mut Vec<u8>);
    /// A number from the first and the last field, looked at in place.
    fn looked_at(payload: &[u8]) -> u64;
    fn looked_at_by_hand(payload: &[u8]) -> u64;
    fn owned(payload: &[u8]) -> Self;
    fn owned_by_hand(payload: &[u8]) -> Self;
    fn ends(&self) -> u64;
}

fn number(payload: &[u8], at: usize) -> Option<U256> {
    Some(U256::from_le_bytes(payload.get(at..)?.first_chunk().copied()?))
}

impl Sample for SwapEvent {
    fn append(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pool_address);
        out.extend_from_slice(&self.amount_in.to_le_bytes());
        out.extend_from_slice(&self.amount_out.to_le_bytes());
    }

    fn looked_at(payload: &[u8]) -> u64 {
        let view = Self::decode(payload).expect("whole");
        u64::from(view.pool_address()[0]) + u64::from(view.amount_out().to_le_bytes()[31])
    }

    fn looked_at_by_hand(payload: &[u8]) -> u64 {
        let address: &[u8; 20] = payload.first_chunk().expect("whole");
        let amount_out = number(payload, 52).expect("whole");
        u64::from(address[0]) + u64::from(amount_out.to_le_bytes()[31])
    }

    fn owned(payload: &[u8]) -> Self {
        Self::decode(payload).and_then(Self::try_from).expect("whole")
    }

    fn owned_by_hand(payload: &[u8]) -> Self {
        Self {
            pool_address: *payload.first_chunk().expect("whole"),
            amount_in: number(payload, 20).expect("whole"),
            amount_out: number(payload, 52).expect("whole"),
        }
    }

    fn ends(&self) -> u64 {
        u64::from(self.pool_address[0]) + u64::from(self.amount_out.to_le_bytes()[31])
    }
}

impl Sample for PoolStateUpdate {
    fn append(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pool_address);
        for amount in [&self.reserve0, &self.reserve1, &self.sqrt_price, &self.liquidity] {
            out.extend_from_slice(&amount.to_le_bytes());
        }
        out.extend_from_slice(&self.block_hash);
    }

    fn looked_at(payload: &[u8]) -> u64 {
        let view = Self::decode(payload).expect("whole");
        u64::from(view.pool_address()[0]) + u64::from(view.block_hash()[31])
    }

    fn looked_at_by_hand(payload: &[u8]) -> u64 {
        let address: &[u8; 20] = payload.first_chunk().expect("whole");
        let hash: &[u8; 32] = payload.get(148..).and_then(|rest| rest.first_chunk()).expect("whole");
        u64::from(address[0]) + u64::from(hash[31])
    }

    fn owned(payload: &[u8]) -> Self {
        Self::decode(payload).and_then(Self::try_from).expect("whole")
    }

    fn owned_by_hand(payload: &[u8]) -> Self {
        Self {
            pool_address: *payload.first_chunk().expect("whole"),
            reserve0: number(payload, 20).expect("whole"),
            reserve1: number(payload, 52).expect("whole"),
            sqrt_price: number(payload, 84).expect("whole"),
            liquidity: number(payload, 116).expect("whole"),
            block_hash: payload.get(148..).and_then(|rest| rest.first_chunk()).copied().expect("whole"),
        }
    }

    fn ends(&self) -> u64 {
        u64::from(self.pool_address[0]) + u64::from(self.block_hash[31])
    }
}

/// What is written: the sum of the last bytes and the lengths.
fn encode<M: Sample>(group: &mut BenchmarkGroup<'_, WallTime>, make: fn(u8) -> M) {
    let messages: Vec<M> = (0..PASS).map(|i| make(i as u8)).collect();
    let sum = |payload: &[u8]| payload.len() as u64 + u64::from(payload[payload.len() - 1]);
    let expected = (0..PASS).map(|i| M::MAX_SIZE as u64 + i % 256).sum();
    let mut memory = [0; 192];
    timed(group, "generated-into-memory", expected, || {
        let mut total = 0;
        for message in &messages {
            let mut writer = Writer::new(M::NAME, black_box(&mut memory));
            message.encode_into(&mut writer).expect("it fits");
            let written = writer.position();
            total += sum(&black_box(&memory)[..written]);
        }
        total
    });
    let mut reused = Vec::with_capacity(192);
    timed(group, "by-hand-into-reused-vec", expected, || {
        let mut total = 0;
        for message in &messages {
            reused.clear();
            message.append(black_box(&mut reused));
            total += sum(black_box(&reused));
        }
        total
    });
    let pool = BufferPool::from_service(&services::POLYGON_ADAPTER);
    timed(group, "generated-into-pooled-buffer", expected, || {
        messages.iter().map(|message| sum(black_box(&message.encode_pooled(&pool).expect("a buffer")))).sum()
    });
    timed(group, "by-hand-into-new-vec", expected, || {
        let mut total = 0;
        for message in &messages {
            let mut out = Vec::with_capacity(message.encoded_len());
            message.append(&mut out);
            total += sum(black_box(&out));
        }
        total
    });
}

fn decode<M: Sample>(group: &mut BenchmarkGroup<'_, WallTime>, make: fn(u8) -> M) {
    let mut payloads = Vec::new();
    for i in 0..PASS {
        make(i as u8).append(&mut payloads);
    }
    let each = || payloads.chunks(M::MAX_SIZE);
    let expected = (0..PASS).map(|i| 0xAD + i % 256).sum();
    timed(group, "view-of-two-fields", expected, || {
        each().map(|payload| M::looked_at(black_box(payload))).sum()
    });
    timed(group, "two-fields-by-hand", expected, || {
        each().map(|payload| M::looked_at_by_hand(black_box(payload))).sum()
    });
    timed(group, "owned", expected, || {
        each().map(|payload| black_box(M::owned(black_box(payload))).ends()).sum()
    });
    timed(group, "owned-by-hand", expected, || {
        each().map(|payload| black_box(M::owned_by_hand(black_box(payload))).ends()).sum()
    });
}

fn run<M: Sample>(c: &mut Criterion, name: &str, make: fn(u8) -> M) {
    let mut group = c.benchmark_group(format!("bolt-tlv-build/encode-{name}"));
    group.throughput(Throughput::Elements(PASS));
    encode(&mut group, make);
    group.finish();
    let mut group = c.benchmark_group(format!("bolt-tlv-build/decode-{name}"));
    group.throughput(Throughput::Elements(PASS));
    decode(&mut group, make);
    group.finish();
}

fn all(c: &mut Criterion) {
    run(c, "swap-event", swap);
    run(c, "pool-state-update", state);
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(30);
    targets = all
}
criterion_main!(benches);
