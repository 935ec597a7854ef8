//! The model of `bolt_buf::model` on generated scripts. Deterministic: a failure names its seed.

use bolt_buf::model;

/// Marsaglia's xorshift64: enough to spread operations, and the same on every machine.
fn script(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

#[test]
fn agrees_with_a_plain_vec() {
    let (seeds, len) = if cfg!(miri) {
        (6, 160)
    } else if cfg!(bolt_tsan) {
        (30, 1_500)
    } else {
        (1_000, 1_500)
    };
    for seed in 0..seeds {
        let script = script(seed, len);
        if std::panic::catch_unwind(|| model::run(&script)).is_err() {
            panic!("the model differs for seed {seed}");
        }
    }
}

#[test]
fn accepts_every_short_script() {
    model::run(&[]);
    if cfg!(miri) {
        return;
    }
    for first in 0..=255 {
        for second in 0..=255 {
            model::run(&[4, first, 8, 8, 8, second, first, second]);
        }
    }
}
