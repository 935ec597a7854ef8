//! Random messages of every schema in `schemas/`: written and read again, cut short at every byte, followed by bytes of a later version, damaged; and that writing them and looking at them allocates nothing.
//!
//! Owns what must hold for any schema. The functions that make the messages are written by the build script. Limits: payloads above
//! `LONG_BYTES` are cut at some places instead of all.

use std::fmt::Debug;

use bolt_alloc::{CountingAlloc, assert_no_alloc};
use bolt_tlv::{BufferPool, DecodeError, Exhausted, I256, Message, U256, Writer};

#[global_allocator]
static ALLOCATOR: CountingAlloc = CountingAlloc::new();

/// How many random messages of each kind are tried.
const ROUNDS: u64 = if cfg!(miri) { 2 } else { 12 };

/// A longer payload is not cut at every byte …
const LONG_BYTES: usize = 600;

/// … and one above this at a few.
const HUGE_BYTES: usize = 20_000;

include!(concat!(env!("OUT_DIR"), "/samples.rs"));

/// How full a message is.
#[derive(Clone, Copy, PartialEq)]
enum Fill {
    Empty,
    Some,
    Full,
}

/// Values that are the same in every run.
struct Random {
    state: u64,
    fill: Fill,
}

/// An integer of any width, from its low bytes.
trait Integer {
    fn of(bytes: [u8; 32]) -> Self;
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Integer for $type {
            fn of(bytes: [u8; 32]) -> Self {
                Self::from_le_bytes(*bytes.first_chunk().expect("no integer has more than 32 bytes"))
            }
        }
    )*};
}

integers! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 U256 I256 }

impl Random {
    fn next(&mut self) -> u64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) ^ (self.state << 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 8) as usize % n
    }

    fn yes(&mut self) -> bool {
        self.next() & 0x400 != 0
    }

    fn float(&mut self) -> f64 {
        self.next() as i64 as f64 / 3.0
    }

    /// Often one at an edge: zero, one, the largest, the smallest, minus one. `bytes` are on the wire; the rest is the sign.
    fn integer<T: Integer>(&mut self, bytes: usize) -> T {
        let mut all = [0; 32];
        match self.below(6) {
            0 => {}
            1 => all[0] = 1,
            2 => all[..bytes].fill(0xFF),
            3 => all[bytes - 1] = 0x80,
            4 => {
                all[..bytes].fill(0xFF);
                all[bytes - 1] = 0x7F;
            }
            _ => all[..bytes].fill_with(|| self.next() as u8),
        }
        let signed =
            std::any::type_name::<T>().rsplit("::").next().is_some_and(|name| name.starts_with(['i', 'I']));
        if signed && all[bytes - 1] & 0x80 != 0 {
            all[bytes..].fill(0xFF);
        }
        T::of(all)
    }

    fn choice<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    fn count(&mut self, max: usize) -> usize {
        match self.fill {
            Fill::Empty => 0,
            Fill::Some => self.below(max.min(20) + 1),
            Fill::Full => max,
        }
    }

    fn text(&mut self, max: usize) -> String {
        let count = self.count(max);
        let mut text = String::new();
        while text.len() < count {
            let c = if self.fill == Fill::Full { 'x' } else { ['a', 'ß', '€', '🦀'][self.below(4)] };
            if text.len() + c.len_utf8() > max {
                break;
            }
            text.push(c);
        }
        text
    }

    fn list<T>(&mut self, max: usize, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.count(max)).map(|_| item(self)).collect()
    }

    fn boxed<T: Debug, const N: usize>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Box<[T; N]> {
        array((0..N).map(|_| item(self)))
    }

    fn option<T>(&mut self, item: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let there = match self.fill {
            Fill::Empty => false,
            Fill::Some => self.yes(),
            Fill::Full => true,
        };
        there.then(|| item(self))
    }
}

/// Exactly so many items, made on the heap.
fn array<T: Debug, const N: usize>(items: impl Iterator<Item = T>) -> Box<[T; N]> {
    items.collect::<Vec<T>>().into_boxed_slice().try_into().expect("exactly so many")
}

/// Borrowed lists of lists need somebody to own the outer ones; a test may leak them.
fn leaked<'a, T>(items: Vec<T>) -> &'a [T] {
    items.leak()
}

fn leaked_array<'a, T, const N: usize>(items: Box<[T; N]>) -> &'a [T; N] {
    Box::leak(items)
}

fn encoded<M: Message>(message: &M) -> Vec<u8> {
    let mut memory = vec![0xAA; M::MAX_SIZE];
    let mut writer = Writer::new(M::NAME, &mut memory);
    message.encode_into(&mut writer).unwrap_or_else(|error| panic!("{error}"));
    let written = writer.position();
    assert_eq!(message.encoded_len(), written, "{}: the size said before is the size written", M::NAME);
    memory.truncate(written);
    memory
}

/// Is handed every message of a schema.
struct Probe {
    schema: &'static str,
    messages: usize,
}

impl Probe {
    fn run(schema: &'static str, each: impl FnOnce(&mut Self)) {
        let mut probe = Self { schema, messages: 0 };
        each(&mut probe);
        assert!(probe.messages > 0, "{schema} has no message");
    }

    /// `since`: whether a shorter payload may be an older version's.
    fn message<M: Message + PartialEq + Debug>(
        &mut self,
        since: bool,
        make: impl Fn(&mut Random) -> M,
        read: impl Fn(&[u8]) -> Result<M, DecodeError>,
        written: impl Fn(&M) -> Vec<u8>,
        look: impl Fn(&[u8]),
    ) {
        self.messages += 1;
        let name = M::NAME;
        let pool =
            BufferPool::builder().exhausted(Exhausted::Error).with_size_class(M::BUFFER_CLASS, 2).build();
        assert!(M::MAX_SIZE <= M::BUFFER_CLASS && M::TYPE_ID > 0 && M::VERSION > 0, "{name}");
        for round in 0..ROUNDS {
            let fill = match round {
                0 => Fill::Empty,
                1 => Fill::Full,
                _ => Fill::Some,
            };
            let mut random = Random { state: round, fill };
            let message = make(&mut random);
            let payload = encoded(&message);
            assert_eq!(
                written(&message),
                payload,
                "{} {name}: borrowed parts are written alike",
                self.schema
            );
            if fill == Fill::Full {
                assert_eq!(
                    payload.len(),
                    M::MAX_SIZE,
                    "{} {name}: the largest message is as large as was said",
                    self.schema
                );
            }
            assert_eq!(read(&payload).as_ref(), Ok(&message), "{} {name}", self.schema);
            // Once the pool is warm, neither writing nor looking at any field of any message allocates.
            drop(message.encode_pooled(&pool));
            let frame = assert_no_alloc(|| message.encode_pooled(&pool));
            let frame = frame.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(frame[..], payload);
            assert_no_alloc(|| look(&frame));
            random.fill = Fill::Some;
            self.cut(since, &payload, &message, &read, &mut random);
            // A newer version's fields stand behind those that are known.
            let longer = [&payload[..], &[0, 1, 0xFF, 7]].concat();
            match read(&longer) {
                Ok(same) => assert_eq!(same, message, "{} {name}", self.schema),
                Err(error) => panic!("{} {name}: {error}", self.schema),
            }
            self.damaged(&payload, &read, &mut random);
        }
    }

    fn cut<M: Message + PartialEq + Debug>(
        &self,
        since: bool,
        payload: &[u8],
        message: &M,
        read: &impl Fn(&[u8]) -> Result<M, DecodeError>,
        random: &mut Random,
    ) {
        let cuts = if payload.len() > HUGE_BYTES { 10 } else { LONG_BYTES };
        let step = payload.len().div_ceil(cuts).max(1);
        for end in
            (0..payload.len()).step_by(step).map(|end| end + random.below(step).min(payload.len() - 1 - end))
        {
            match read(&payload[..end]) {
                Err(error) => {
                    assert!(
                        error.offset <= end && !error.message.is_empty() && !error.field.is_empty(),
                        "{error:?}"
                    );
                }
                Ok(_) => assert!(since, "{} {}: {message:?} cut at {end} is none", self.schema, M::NAME),
            }
        }
    }

    fn damaged<M: Message + PartialEq + Debug>(
        &self,
        payload: &[u8],
        read: &impl Fn(&[u8]) -> Result<M, DecodeError>,
        random: &mut Random,
    ) {
        let times = match payload.len() {
            0 => 0,
            HUGE_BYTES.. => 2,
            _ => 20,
        };
        for _ in 0..times {
            let mut damaged = payload.to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(damaged.len());
                damaged[at] = random.next() as u8;
            }
            match read(&damaged) {
                // Whatever is read is a message, and a message can be written.
                Ok(other) => assert!(encoded(&other).len() <= M::MAX_SIZE),
                Err(error) => assert!(error.offset <= damaged.len() && !error.field.is_empty(), "{error:?}"),
            }
        }
    }
}
