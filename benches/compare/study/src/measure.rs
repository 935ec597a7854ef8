//! Owns: the instruments: random numbers that repeat, sums that prove what was read, a histogram of latencies, resident memory. Never allocates
//! while something is measured.

use std::fs;
use std::io::Read as _;
use std::time::Duration;

/// One workload on one thread. What `prepare` makes is its input and not measured; `operate` is one operation.
pub trait Work {
    /// Makes the input of the next operation, in memory that is used again.
    fn prepare(&mut self);
    /// Does it. The answer is a sum that does not depend on the order of operations.
    fn operate(&mut self) -> u64;
    /// After the last operation: what is not done yet, and a look at all that is kept.
    fn finish(&mut self) -> u64;
}

/// SplitMix64 (Steele, Lea and Flood, 2014): a weak generator with good numbers, the same everywhere.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    #[inline]
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Below `end`, each equally likely.
    #[inline]
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.word()) * end as u128) >> 64) as usize
    }

    /// Below `end`, small numbers far likelier: half of all draws are below an eighth.
    #[inline]
    pub fn skewed(&mut self, end: usize) -> usize {
        let unit = (self.word() >> 11) as f64 / (1_u64 << 53) as f64;
        (unit * unit * unit * end as f64) as usize
    }

    /// True in so many of a hundred draws.
    #[inline]
    pub fn percent(&mut self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }
}

/// Mixes a word into a sum.
#[inline]
pub fn mix(sum: u64, word: u64) -> u64 {
    (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// A sum over all bytes, eight at a time, and their number.
#[inline]
pub fn digest(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(bytes.len() as u64, |sum, &word| mix(sum, u64::from_le_bytes(word)));
    rest.iter().fold(sum, |sum, &byte| mix(sum, byte.into()))
}

const FILLER_BYTES: usize = 4096;

/// What values are made of: bytes without a pattern, the same in every run.
static FILLER: [u8; FILLER_BYTES] = {
    let mut bytes = [0; FILLER_BYTES];
    let (mut at, mut state) = (0, 1_u64);
    while at < FILLER_BYTES {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        bytes[at] = (state >> 56) as u8;
        at += 1;
    }
    bytes
};

/// So many bytes, chosen by `word`; at most 1 KiB.
#[inline]
pub fn filler(word: u64, length: usize) -> &'static [u8] {
    let from = word as usize % (FILLER_BYTES - 1024);
    &FILLER[from..from + length]
}

/// Buckets of each power of two: latencies are told to within a sixteenth.
const BUCKETS_PER_OCTAVE: usize = 16;
const BUCKETS: usize = 64 * BUCKETS_PER_OCTAVE;

/// Latencies in buckets that grow with them. 8 KiB, no allocation but its own box.
#[derive(Clone)]
pub struct Histogram {
    buckets: Box<[u64; BUCKETS]>,
    count: u64,
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        Self { buckets: Box::new([0; BUCKETS]), count: 0 }
    }

    fn bucket_of(nanos: u64) -> usize {
        if nanos < BUCKETS_PER_OCTAVE as u64 {
            return nanos as usize;
        }
        let octave = nanos.ilog2() as usize;
        let within = (nanos >> (octave - 4)) as usize & (BUCKETS_PER_OCTAVE - 1);
        (octave - 3) * BUCKETS_PER_OCTAVE + within
    }

    /// The middle of a bucket.
    fn nanos_of(bucket: usize) -> u64 {
        if bucket < BUCKETS_PER_OCTAVE {
            return bucket as u64;
        }
        let octave = bucket / BUCKETS_PER_OCTAVE + 3;
        let within = (bucket % BUCKETS_PER_OCTAVE + BUCKETS_PER_OCTAVE) as u64;
        (within << (octave - 4)) + (1_u64 << (octave - 4)) / 2
    }

    /// Counts one.
    #[inline]
    pub fn record(&mut self, latency: Duration) {
        self.buckets[Self::bucket_of(latency.as_nanos() as u64)] += 1;
        self.count += 1;
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets[..]).for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency that so many of a thousand stay below.
    pub fn per_mille(&self, share: u64) -> u64 {
        let rank = (self.count * share).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Self::nanos_of(bucket);
            }
        }
        0
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// What the kernel says this process holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// Now, in KiB.
    pub now_kib: u64,
    /// The most it ever was, in KiB.
    pub peak_kib: u64,
}

impl Resident {
    /// Reads `/proc/self/status` into a buffer on the stack; zeros where there is none.
    pub fn read() -> Self {
        let mut buffer = [0; 4096];
        let read =
            fs::File::open("/proc/self/status").and_then(|mut file| file.read(&mut buffer)).unwrap_or(0);
        let text = str::from_utf8(&buffer[..read]).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or(0)
        };
        Self { now_kib: field("VmRSS:"), peak_kib: field("VmHWM:") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_they_say() {
        for nanos in (0..200).chain([1000, 12_345, 1 << 20, 999_999_999]) {
            let told = Histogram::nanos_of(Histogram::bucket_of(nanos));
            assert!(told.abs_diff(nanos) <= nanos / 16, "{nanos} is told as {told}");
        }
    }

    #[test]
    fn shares_of_a_thousand() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        for (share, micros) in [(500, 500), (990, 990), (999, 999)] {
            let told = histogram.per_mille(share);
            assert!(told.abs_diff(micros * 1000) <= micros * 1000 / 16, "{share}: {told}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_answers() {
        let resident = Resident::read();
        assert!(resident.now_kib > 0 && resident.peak_kib >= resident.now_kib);
    }
}
