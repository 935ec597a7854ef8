//! Owns: the model of the pools of one owner, of strings and of byte strings: bytes become operations, run against a naive map. For tests and fuzz
//! targets only. Never part of a build without feature `model`. Limits: 4,096 operations an input.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

#[cfg(feature = "bytes")]
use crate::BytesPool;
use crate::{SnapshotError, StringError, StringId, StringPool, StringPoolConfig, StringStats};

/// What both pools do, in bytes.
pub trait Pool: Sized {
    /// A new one.
    fn new(config: StringPoolConfig) -> Result<Self, StringError>;
    /// A text that this pool takes, from one of ASCII.
    fn text(text: Vec<u8>) -> Vec<u8>;
    /// Interns a text of `text`.
    fn intern(&mut self, text: &[u8]) -> Result<StringId, StringError>;
    /// Interns and pins for ever.
    fn intern_static(&mut self, text: &[u8]) -> Result<StringId, StringError>;
    /// Looks for a text of `text`.
    fn get(&self, text: &[u8]) -> Option<StringId>;
    /// The text of an id.
    fn resolve(&self, id: StringId) -> Option<&[u8]>;
    /// Whether an id is alive.
    fn is_live(&self, id: StringId) -> bool;
    /// Asks for an id.
    fn touch(&mut self, id: StringId) -> bool;
    /// Pins once.
    fn pin(&mut self, id: StringId) -> Result<(), StringError>;
    /// Takes a pin back.
    fn unpin(&mut self, id: StringId) -> Result<(), StringError>;
    /// The pool in numbers.
    fn stats(&self) -> StringStats;
    /// The pool as bytes.
    fn to_snapshot(&self, out: &mut Vec<u8>);
    /// The pool of such bytes.
    fn from_snapshot(config: StringPoolConfig, bytes: &[u8]) -> Result<Self, SnapshotError>;
}

/// What both have by the same name.
macro_rules! same {
    ($pool:ty) => {
        fn new(config: StringPoolConfig) -> Result<Self, StringError> {
            <$pool>::new(config)
        }
        fn is_live(&self, id: StringId) -> bool {
            self.is_live(id)
        }
        fn touch(&mut self, id: StringId) -> bool {
            self.touch(id)
        }
        fn pin(&mut self, id: StringId) -> Result<(), StringError> {
            self.pin(id)
        }
        fn unpin(&mut self, id: StringId) -> Result<(), StringError> {
            self.unpin(id)
        }
        fn stats(&self) -> StringStats {
            self.stats()
        }
        fn to_snapshot(&self, out: &mut Vec<u8>) {
            self.to_snapshot(out);
        }
        fn from_snapshot(config: StringPoolConfig, bytes: &[u8]) -> Result<Self, SnapshotError> {
            <$pool>::from_snapshot(config, bytes)
        }
    };
}

fn utf8(text: &[u8]) -> &str {
    core::str::from_utf8(text).expect("texts of a string pool are UTF-8")
}

impl Pool for StringPool {
    same!(StringPool);
    fn text(text: Vec<u8>) -> Vec<u8> {
        // Some with letters of two bytes.
        utf8(&text).replace('x', "\u{fc}").into_bytes()
    }
    fn intern(&mut self, text: &[u8]) -> Result<StringId, StringError> {
        self.intern(utf8(text))
    }
    fn intern_static(&mut self, text: &[u8]) -> Result<StringId, StringError> {
        self.intern_static(utf8(text))
    }
    fn get(&self, text: &[u8]) -> Option<StringId> {
        self.get(utf8(text))
    }
    fn resolve(&self, id: StringId) -> Option<&[u8]> {
        self.resolve(id).map(str::as_bytes)
    }
}

#[cfg(feature = "bytes")]
impl Pool for BytesPool {
    same!(BytesPool);
    fn text(mut text: Vec<u8>) -> Vec<u8> {
        // Some that are no UTF-8.
        text.iter_mut().filter(|byte| **byte == b'x').for_each(|byte| *byte = 0xff);
        text
    }
    fn intern(&mut self, text: &[u8]) -> Result<StringId, StringError> {
        // A copy and a handle in turns.
        if text.len().is_multiple_of(2) {
            self.intern(text)
        } else {
            self.intern_bytes(bytes::Bytes::copy_from_slice(text))
        }
    }
    fn intern_static(&mut self, text: &[u8]) -> Result<StringId, StringError> {
        self.intern_static(text)
    }
    fn get(&self, text: &[u8]) -> Option<StringId> {
        self.get(text)
    }
    fn resolve(&self, id: StringId) -> Option<&[u8]> {
        self.resolve(id).map(|handle| &**handle)
    }
}

/// Every id that was ever given out, and what it stands for.
#[derive(Default)]
struct Naive {
    /// Text, pins, and whether it was alive when last looked at.
    ids: BTreeMap<StringId, (Vec<u8>, u32, bool)>,
    /// The id that a text had last.
    texts: BTreeMap<Vec<u8>, StringId>,
}

/// Pins after which a string stays.
const STATIC: u32 = 65_535;

/// Runs `bytes` as operations on a pool, of strings or of byte strings by the first of them, and panics where it breaks a promise.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        #[cfg(feature = "bytes")]
        Some((kind, bytes)) if kind % 2 == 1 => run_on::<BytesPool>(bytes),
        Some((_, bytes)) => run_on::<StringPool>(bytes),
        None => {}
    }
}

/// Runs `bytes` as operations on a pool of this kind.
pub fn run_on<P: Pool>(bytes: &[u8]) {
    let mut input = bytes.iter().copied();
    let Some(shape) = input.next() else { return };
    let strings_max = [1, 2, 5, 16, 40, 100, 300, 1000][usize::from(shape & 7)];
    // From pools that hardly hold a string to such as hold them all.
    let bytes_max = strings_max as usize * 48 + [1000, 2000, 8000, 64_000][usize::from(shape >> 3 & 3)];
    let mut config = StringPoolConfig::new(bytes_max).strings_max(strings_max);
    if shape & 32 != 0 {
        config = config.pinned_bytes(usize::from(shape >> 6) * 64);
    }
    let Ok(mut pool) = P::new(config) else { return };
    let mut naive = Naive::default();
    let mut evicted = 0;

    for _ in 0..4096 {
        let (Some(operation), Some(argument)) = (input.next(), input.next()) else { break };
        match operation & 15 {
            // A few texts come often, others once; some are longer than the pool likes.
            0..=6 => naive.intern(&mut pool, &text::<P>(operation >> 4, argument)),
            7 => naive.intern(&mut pool, &text::<P>(15, argument ^ operation)),
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
                let text = text::<P>(0, argument);
                naive.intern(&mut pool, &text);
                if let Ok(id) = pool.intern_static(&text) {
                    naive.ids.get_mut(&id).expect("it was interned").1 = STATIC;
                }
            }
            14 if operation & 0x70 == 0 => {
                let before = pool.stats();
                let mut bytes = Vec::new();
                pool.to_snapshot(&mut bytes);
                pool = P::from_snapshot(config, &bytes).expect("a snapshot of its own");
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
                assert!(P::from_snapshot(config, &snapshot).is_err(), "a changed byte is noticed");
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
    run_snapshot_on::<StringPool>(bytes);
    #[cfg(feature = "bytes")]
    run_snapshot_on::<BytesPool>(bytes);
}

fn run_snapshot_on<P: Pool>(bytes: &[u8]) {
    let config = StringPoolConfig::new(64_000).strings_max(200);
    match P::from_snapshot(config, bytes) {
        Ok(pool) => {
            let mut again = Vec::new();
            pool.to_snapshot(&mut again);
            P::from_snapshot(config, &again).expect("a snapshot of its own");
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

fn text<P: Pool>(kind: u8, number: u8) -> Vec<u8> {
    let text = match kind {
        0..=7 => format!("n{}", number % 8),
        8..=11 => format!("label {number}"),
        12 => "x".repeat(usize::from(number) / 4),
        13 => format!("{number}"),
        14 => "y".repeat(usize::from(number) * 4),
        _ => format!("{number:0>40}"),
    };
    P::text(text.into_bytes())
}

impl Naive {
    fn intern<P: Pool>(&mut self, pool: &mut P, text: &[u8]) {
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

    fn with(&mut self, number: u8, f: impl FnOnce(StringId, &mut (Vec<u8>, u32, bool))) {
        let count = self.ids.len();
        // The latest are the more interesting ones.
        if let Some((&id, entry)) = self.ids.iter_mut().nth(count.saturating_sub(1 + usize::from(number))) {
            f(id, entry);
        }
    }

    /// Looks at every id ever given out, and returns how many died meanwhile.
    fn look<P: Pool>(&mut self, pool: &P) -> u64 {
        let mut died = 0;
        for (&id, (text, pins, alive)) in &mut self.ids {
            let found = pool.resolve(id);
            assert_eq!(found.is_some(), pool.is_live(id));
            if let Some(found) = found {
                assert!(*alive, "{id:?} was dead");
                assert_eq!(found, &text[..], "{id:?} is another string");
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
            let mut bytes = noise(u64::from(shape) * 2 + 1, if cfg!(miri) { 40 } else { 200 });
            bytes[1] = shape;
            for kind in 0..2 {
                bytes[0] = kind;
                run(&bytes);
            }
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
