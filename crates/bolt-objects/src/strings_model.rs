//! Owns: the model of a string pool: bytes become operations, run against a naive map. For tests and fuzz targets only. Never part of a
//! build without feature `model`. Limits: 4,096 operations an input.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{StringError, StringId, StringPool, StringPoolConfig};

/// Every id that was ever given out, and what it stands for.
#[derive(Default)]
struct Naive {
    /// Text, pins, and whether it was alive when last looked at.
    ids: BTreeMap<StringId, (String, u32, bool)>,
    /// The id that a text had last.
    texts: BTreeMap<String, StringId>,
}

/// Pins after which a string stays.
const STATIC: u32 = 65_535;

/// Runs `bytes` as operations on a pool and panics where it breaks a promise.
pub fn run(bytes: &[u8]) {
    let mut input = bytes.iter().copied();
    let Some(shape) = input.next() else { return };
    let strings_max = [1, 2, 5, 16, 40, 100, 300, 1000][usize::from(shape & 7)];
    // From pools that hardly hold a string to such as hold them all.
    let bytes_max = strings_max as usize * 48 + [1000, 2000, 8000, 64_000][usize::from(shape >> 3 & 3)];
    let mut config = StringPoolConfig::new(bytes_max).strings_max(strings_max);
    if shape & 32 != 0 {
        config = config.pinned_bytes(usize::from(shape >> 6) * 64);
    }
    let Ok(mut pool) = StringPool::new(config) else { return };
    let mut naive = Naive::default();
    let mut evicted = 0;

    for _ in 0..4096 {
        let (Some(operation), Some(argument)) = (input.next(), input.next()) else { break };
        match operation & 15 {
            // A few texts come often, others once; some are longer than the pool likes.
            0..=6 => naive.intern(&mut pool, &text(operation >> 4, argument)),
            7 => naive.intern(&mut pool, &text(15, argument ^ operation)),
            8..=9 => naive.with(argument, |id, entry| {
                assert_eq!(pool.touch(id), entry.2);
            }),
            10 => naive.with(argument, |id, entry| match pool.pin(id) {
                Ok(()) => entry.1 += u32::from(entry.1 < STATIC),
                Err(StringError::Dead { id: dead }) => assert!(dead == id && !entry.2),
                Err(StringError::PinsFull { .. }) => assert!(entry.2 && entry.1 == 0),
                Err(error) => panic!("{error}"),
            }),
            11 | 12 => naive.with(argument, |id, entry| match pool.unpin(id) {
                Ok(()) => entry.1 -= u32::from(entry.1 < STATIC),
                Err(StringError::Dead { .. }) => assert!(!entry.2),
                Err(StringError::NotPinned { .. }) => assert!(entry.2 && entry.1 == 0),
                Err(error) => panic!("{error}"),
            }),
            13 if operation & 0x70 == 0 => {
                let text = text(0, argument);
                naive.intern(&mut pool, &text);
                if let Ok(id) = pool.intern_static(&text) {
                    naive.ids.get_mut(&id).expect("it was interned").1 = STATIC;
                }
            }
            14 if operation & 0x70 == 0 => {
                let before = pool.stats();
                let mut bytes = Vec::new();
                pool.to_snapshot(&mut bytes);
                pool = StringPool::from_snapshot(config, &bytes).expect("a snapshot of its own");
                let after = pool.stats();
                // Other places of gaps in the logs may cost a string.
                assert_eq!(before.strings as u64, after.strings as u64 + after.evicted);
                assert!(before.retired == after.retired && before.pinned == after.pinned);
                evicted = 0;
                naive.look(&pool);
                evicted += after.evicted;
            }
            15 if operation & 0x70 == 0 && !bytes.is_empty() => {
                let mut snapshot = Vec::new();
                pool.to_snapshot(&mut snapshot);
                let at = usize::from(argument) * 7 % snapshot.len();
                snapshot[at] ^= operation >> 7 | 2;
                assert!(StringPool::from_snapshot(config, &snapshot).is_err(), "a changed byte is noticed");
            }
            _ => {}
        }
        let died = naive.look(&pool);
        let stats = pool.stats();
        assert_eq!(stats.evicted, evicted + died, "each death is an eviction");
        evicted = stats.evicted;
        let alive = || naive.ids.values().filter(|entry| entry.2);
        assert_eq!(stats.strings, alive().count());
        assert_eq!(stats.text_bytes, alive().map(|entry| entry.0.len()).sum::<usize>());
        assert_eq!(stats.pinned, alive().filter(|entry| entry.1 > 0).count());
        assert!(stats.bytes_held <= bytes_max && stats.strings <= strings_max as usize);
    }
}

/// Bytes as a snapshot: refused with a place inside of it, or a pool that gives the same again.
pub fn run_snapshot(bytes: &[u8]) {
    let config = StringPoolConfig::new(64_000).strings_max(200);
    match StringPool::from_snapshot(config, bytes) {
        Ok(pool) => {
            let mut again = Vec::new();
            pool.to_snapshot(&mut again);
            StringPool::from_snapshot(config, &again).expect("a snapshot of its own");
        }
        Err(error) => assert!(error.at <= bytes.len(), "{error}"),
    }
}

/// As [`run_snapshot`], with magic and checksum made right, so that what is between is reached.
pub fn run_snapshot_body(body: &[u8]) {
    let mut bytes = b"boltstr\x01".to_vec();
    bytes.extend_from_slice(body);
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    bytes.extend_from_slice(&sum.to_le_bytes());
    run_snapshot(&bytes);
}

fn text(kind: u8, number: u8) -> String {
    match kind {
        0..=7 => format!("n{}", number % 8),
        8..=11 => format!("label {number}"),
        12 => "ü".repeat(usize::from(number) / 4),
        13 => format!("{number}"),
        14 => "x".repeat(usize::from(number) * 4),
        _ => format!("{number:0>40}"),
    }
}

impl Naive {
    fn intern(&mut self, pool: &mut StringPool, text: &str) {
        let before = pool.get(text);
        let interned = pool.stats().interned;
        match pool.intern(text) {
            Ok(id) => {
                assert_eq!(pool.resolve(id), Some(text));
                assert_eq!(pool.get(text), Some(id));
                if let Some(before) = before {
                    assert_eq!((before, interned), (id, pool.stats().interned), "a hit");
                    assert_eq!(self.texts.get(text), Some(&id));
                } else {
                    assert_eq!(pool.stats().interned, interned + 1);
                    let other = self.ids.insert(id, (text.into(), 0, true));
                    assert!(other.is_none(), "{id:?} was given out before");
                    self.texts.insert(text.into(), id);
                }
            }
            Err(StringError::TooLong { bytes, bytes_max }) => {
                assert!(before.is_none() && bytes == text.len() && bytes > bytes_max);
            }
            Err(StringError::Full { .. }) => {
                assert!(before.is_none() && pool.stats().pinned > 0, "only pins fill a pool for good");
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn with(&mut self, number: u8, f: impl FnOnce(StringId, &mut (String, u32, bool))) {
        let count = self.ids.len();
        // The latest are the more interesting ones.
        if let Some((&id, entry)) = self.ids.iter_mut().nth(count.saturating_sub(1 + usize::from(number))) {
            f(id, entry);
        }
    }

    /// Looks at every id ever given out, and returns how many died meanwhile.
    fn look(&mut self, pool: &StringPool) -> u64 {
        let mut died = 0;
        for (&id, (text, pins, alive)) in &mut self.ids {
            let found = pool.resolve(id);
            assert_eq!(found.is_some(), pool.is_live(id));
            if let Some(found) = found {
                assert!(*alive, "{id:?} was dead");
                assert_eq!(found, text, "{id:?} is another string");
            } else if *alive {
                assert_eq!(*pins, 0, "{id:?} was pinned");
                died += 1;
                *alive = false;
            }
        }
        died
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn random_operations_agree_with_the_naive_map() {
        let (inputs, len) = if cfg!(miri) {
            (1_u64, 80)
        } else if cfg!(bolt_tsan) {
            (10, 900) // on one thread there is nothing to find
        } else {
            (300, 900)
        };
        for seed in 0..inputs {
            run(&noise((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15), len));
        }
    }

    #[test]
    fn every_shape_of_pool() {
        for shape in 0..if cfg!(miri) { 2 } else { 255 } {
            let mut bytes = noise(u64::from(shape) * 2 + 1, if cfg!(miri) { 40 } else { 400 });
            bytes[0] = shape;
            run(&bytes);
        }
    }

    #[test]
    fn noise_is_no_snapshot() {
        for seed in 1..if cfg!(miri) { 8 } else { 3000 } {
            let mut bytes = noise(seed * 0x9e37_79b9, 60);
            run_snapshot(&bytes);
            run_snapshot_body(&bytes);
            // Small numbers get further.
            bytes.iter_mut().for_each(|byte| *byte %= 6);
            run_snapshot_body(&bytes);
        }
    }
}
