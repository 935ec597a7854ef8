//! The model test over seeded bytes: in memory, and on a mapped file.

use bbolt_pages::io::MemoryStorage;
use bbolt_pages::{Options, model};

#[cfg(not(miri))]
use crate::scratch::Scratch;

/// SplitMix64.
fn bytes_of(mut seed: u64, length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as u8
    })
    .take(length)
    .collect()
}

fn in_memory(seed: u64, length: usize) {
    let storage = MemoryStorage::default();
    model::run(&bytes_of(seed, length), &|options: &Options| {
        options.open_storage(storage.clone()).expect("open")
    });
}

#[test]
fn store_and_model_agree_in_memory() {
    let (seeds, length) = if cfg!(miri) { (1, 300) } else { (10, 4000) };
    for seed in 0..seeds {
        in_memory(seed, length);
    }
}

#[test]
#[cfg(not(miri))]
fn store_and_model_agree_on_a_mapped_file() {
    let scratch = Scratch::new("model");
    for seed in 100..112 {
        let path = scratch.path(format!("{seed}.db"));
        model::run(&bytes_of(seed, 4000), &|options: &Options| options.open(&path).expect("open"));
    }
}
