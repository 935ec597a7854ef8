//! Owns: what is asked of the processor: its counter of time, the memory node it stands at, and the match kernels in its vector registers.
//! Never decides what to match: `kernels` does. Limits: AVX2, AVX-512 and NEON; anything else gets the scalar kernel.
//!
//! unsafe: allowed here

use crate::batch::{MatchMask, SoaBatch};

/// The bits of a pattern's kind: which of the three are bound.
pub(crate) const SUBJECT: u8 = 1;
pub(crate) const PREDICATE: u8 = 2;
pub(crate) const OBJECT: u8 = 4;

/// A way to compare eight words at once.
///
/// Which of them a processor has is found out at run time with the feature `std`, and at compile time (`-C target-cpu`) without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Plain loops: every processor has it, and every other level answers the same.
    Scalar,
    /// x86-64, 256-bit registers.
    Avx2,
    /// x86-64, 512-bit registers: one compare a lane.
    Avx512,
    /// aarch64, 128-bit registers.
    Neon,
}

impl Level {
    /// All levels there are, from the plainest.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Neon];

    /// The widest that this processor has. Cost: a load or two once the standard library has looked.
    pub fn detect() -> Self {
        Self::ALL.into_iter().rev().find(|level| level.is_available()).unwrap_or(Self::Scalar)
    }

    /// True if this processor (without `std`: every processor this was compiled for) has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::has_avx2(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::has_avx512(),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => true,
            _ => false,
        }
    }
}

/// The kernels of one kind of pattern on one level.
///
/// # Invariants
///
/// 1. The functions need no more of the processor than it has: a table is reached through [`kernels`] only, which asks first.
#[derive(Debug)]
pub(crate) struct Kernels {
    select: unsafe fn(&[u64; 3], &SoaBatch) -> u8,
    select_each: unsafe fn(&[u64; 3], &[SoaBatch], &mut [MatchMask]),
    count_all: unsafe fn(&[u64; 3], &[SoaBatch]) -> u64,
    ask_any: unsafe fn(&[u64; 3], &[SoaBatch]) -> bool,
}

impl Kernels {
    #[inline(always)]
    pub(crate) fn select(&self, values: &[u64; 3], batch: &SoaBatch) -> MatchMask {
        // SAFETY: by 1.
        MatchMask(unsafe { (self.select)(values, batch) })
    }

    /// As many masks as the shorter of both has room for.
    #[inline]
    pub(crate) fn select_each(&self, values: &[u64; 3], batches: &[SoaBatch], masks: &mut [MatchMask]) {
        // SAFETY: by 1.
        unsafe { (self.select_each)(values, batches, masks) }
    }

    #[inline]
    pub(crate) fn count_all(&self, values: &[u64; 3], batches: &[SoaBatch]) -> u64 {
        // SAFETY: by 1.
        unsafe { (self.count_all)(values, batches) }
    }

    #[inline]
    pub(crate) fn ask_any(&self, values: &[u64; 3], batches: &[SoaBatch]) -> bool {
        // SAFETY: by 1.
        unsafe { (self.ask_any)(values, batches) }
    }
}

/// The kernels of a kind (bits of `SUBJECT`, `PREDICATE`, `OBJECT`), if the processor has the level.
pub(crate) fn kernels(level: Level, kind: u8) -> Option<&'static Kernels> {
    if !level.is_available() {
        return None;
    }
    let table = match level {
        Level::Scalar => &scalar::KERNELS,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => &x86::AVX2,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => &x86::AVX512,
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        Level::Neon => &neon::KERNELS,
        #[allow(unreachable_patterns)] // of another architecture, and refused above
        _ => return None,
    };
    table.get(usize::from(kind))
}

/// The bulk kernels around a `select`, and the table of all eight kinds. `$target` is what the functions ask of the processor.
macro_rules! table {
    ($name:ident, $select:ident $(, $target:meta)?) => {
        $(#[$target])?
        fn select_each<const KIND: u8>(values: &[u64; 3], batches: &[SoaBatch], masks: &mut [MatchMask]) {
            for (batch, mask) in batches.iter().zip(masks) {
                *mask = MatchMask($select::<KIND>(values, batch));
            }
        }

        $(#[$target])?
        fn count_all<const KIND: u8>(values: &[u64; 3], batches: &[SoaBatch]) -> u64 {
            batches.iter().map(|batch| u64::from($select::<KIND>(values, batch).count_ones())).sum()
        }

        $(#[$target])?
        fn ask_any<const KIND: u8>(values: &[u64; 3], batches: &[SoaBatch]) -> bool {
            // Several batches a branch: a miss costs more than a compare.
            let mut groups = batches.chunks_exact(4);
            for group in &mut groups {
                if group.iter().fold(0, |any, batch| any | $select::<KIND>(values, batch)) != 0 {
                    return true;
                }
            }
            groups.remainder().iter().any(|batch| $select::<KIND>(values, batch) != 0)
        }

        const fn of<const KIND: u8>() -> Kernels {
            Kernels {
                select: $select::<KIND>,
                select_each: select_each::<KIND>,
                count_all: count_all::<KIND>,
                ask_any: ask_any::<KIND>,
            }
        }

        pub(in crate::cpu) static $name: [Kernels; 8] =
            [of::<0>(), of::<1>(), of::<2>(), of::<3>(), of::<4>(), of::<5>(), of::<6>(), of::<7>()];
    };
}

/// Plain loops: the twin that the others are held equal to.
mod scalar {
    use super::{Kernels, MatchMask, OBJECT, PREDICATE, SUBJECT, SoaBatch};

    #[inline(always)]
    fn equal(lane: &[u64; 8], value: u64) -> u8 {
        let mut mask = 0;
        for (at, &word) in lane.iter().enumerate() {
            mask |= u8::from(word == value) << at;
        }
        mask
    }

    #[inline]
    fn select<const KIND: u8>(values: &[u64; 3], batch: &SoaBatch) -> u8 {
        let mut mask = batch.batch_len().mask().0;
        for (at, bit) in [SUBJECT, PREDICATE, OBJECT].into_iter().enumerate() {
            if KIND & bit != 0 {
                mask &= equal(batch.lanes()[at], values[at]);
            }
        }
        mask
    }

    table!(KERNELS, select);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::{
        __m256i, __m512i, _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_load_si256, _mm256_movemask_pd,
        _mm256_set1_epi64x, _mm512_cmpeq_epu64_mask, _mm512_load_si512, _mm512_mask_cmpeq_epu64_mask,
        _mm512_set1_epi64,
    };

    use super::{Kernels, MatchMask, OBJECT, PREDICATE, SUBJECT, SoaBatch};

    #[cfg(feature = "std")]
    pub(super) fn has_avx2() -> bool {
        std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("popcnt")
    }
    #[cfg(feature = "std")]
    pub(super) fn has_avx512() -> bool {
        std::is_x86_feature_detected!("avx512f") && has_avx2()
    }
    #[cfg(not(feature = "std"))]
    pub(super) fn has_avx2() -> bool {
        cfg!(all(target_feature = "avx2", target_feature = "popcnt"))
    }
    #[cfg(not(feature = "std"))]
    pub(super) fn has_avx512() -> bool {
        cfg!(target_feature = "avx512f") && has_avx2()
    }

    pub(super) use avx2::AVX2;
    pub(super) use avx512::AVX512;

    mod avx2 {
        use super::*;

        /// Two halves of a lane against one value.
        #[inline]
        #[target_feature(enable = "avx2,popcnt")]
        fn equal(lane: &[u64; 8], value: u64) -> [__m256i; 2] {
            let value = _mm256_set1_epi64x(value.cast_signed());
            let (low, high) = lane.split_at(4);
            // SAFETY: four words, and a lane is a cache line of a `SoaBatch`, so each half is aligned to 32 bytes.
            let low = unsafe { _mm256_load_si256(low.as_ptr().cast()) };
            // SAFETY: as above.
            let high = unsafe { _mm256_load_si256(high.as_ptr().cast()) };
            [_mm256_cmpeq_epi64(low, value), _mm256_cmpeq_epi64(high, value)]
        }

        #[inline]
        #[target_feature(enable = "avx2,popcnt")]
        fn bits([low, high]: [__m256i; 2]) -> u8 {
            let low = _mm256_movemask_pd(_mm256_castsi256_pd(low));
            let high = _mm256_movemask_pd(_mm256_castsi256_pd(high));
            (low | high << 4) as u8
        }

        #[inline]
        #[target_feature(enable = "avx2,popcnt")]
        fn select<const KIND: u8>(values: &[u64; 3], batch: &SoaBatch) -> u8 {
            use core::arch::x86_64::_mm256_and_si256 as and;
            let mut mask = batch.batch_len().mask().0;
            let mut both: Option<[__m256i; 2]> = None;
            for (at, bit) in [SUBJECT, PREDICATE, OBJECT].into_iter().enumerate() {
                if KIND & bit != 0 {
                    let [low, high] = equal(batch.lanes()[at], values[at]);
                    both = Some(match both {
                        Some([a, b]) => [and(a, low), and(b, high)],
                        None => [low, high],
                    });
                }
            }
            if let Some(both) = both {
                mask &= bits(both);
            }
            mask
        }

        table!(AVX2, select, target_feature(enable = "avx2,popcnt"));
    }

    mod avx512 {
        use super::*;

        #[inline]
        #[target_feature(enable = "avx512f,avx2,popcnt")]
        fn load(lane: &[u64; 8]) -> __m512i {
            // SAFETY: eight words, and a lane is a cache line of a `SoaBatch`, aligned to 64 bytes.
            unsafe { _mm512_load_si512(lane.as_ptr().cast()) }
        }

        #[inline]
        #[target_feature(enable = "avx512f,avx2,popcnt")]
        fn select<const KIND: u8>(values: &[u64; 3], batch: &SoaBatch) -> u8 {
            let mut found: Option<u8> = None;
            for (at, bit) in [SUBJECT, PREDICATE, OBJECT].into_iter().enumerate() {
                if KIND & bit != 0 {
                    let value = _mm512_set1_epi64(values[at].cast_signed());
                    let lane = load(batch.lanes()[at]);
                    found = Some(match found {
                        Some(mask) => _mm512_mask_cmpeq_epu64_mask(mask, lane, value),
                        None => _mm512_cmpeq_epu64_mask(lane, value),
                    });
                }
            }
            batch.batch_len().mask().0 & found.unwrap_or(!0)
        }

        table!(AVX512, select, target_feature(enable = "avx512f,avx2,popcnt"));
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon {
    use core::arch::aarch64::{
        uint64x2_t, vaddvq_u64, vandq_u64, vceqq_u64, vdupq_n_u64, vld1q_u64, vorrq_u64,
    };

    use super::{Kernels, MatchMask, OBJECT, PREDICATE, SUBJECT, SoaBatch};

    /// The bit that each word of a lane stands for.
    const BITS: [u64; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

    #[inline(always)]
    fn load(words: &[u64; 8], pair: usize) -> uint64x2_t {
        let words = &words[2 * pair..][..2];
        // SAFETY: two words; any alignment will do.
        unsafe { vld1q_u64(words.as_ptr()) }
    }

    #[inline]
    fn select<const KIND: u8>(values: &[u64; 3], batch: &SoaBatch) -> u8 {
        // SAFETY: (the intrinsics below) this module exists only where the whole program may use NEON.
        let zero = unsafe { vdupq_n_u64(0) };
        let mut any = zero;
        for pair in 0..4 {
            let mut found = load(&BITS, pair);
            for (at, bit) in [SUBJECT, PREDICATE, OBJECT].into_iter().enumerate() {
                if KIND & bit != 0 {
                    // SAFETY: as above.
                    let value = unsafe { vdupq_n_u64(values[at]) };
                    // SAFETY: as above.
                    let equal = unsafe { vceqq_u64(load(batch.lanes()[at], pair), value) };
                    // SAFETY: as above.
                    found = unsafe { vandq_u64(found, equal) };
                }
            }
            // SAFETY: as above.
            any = unsafe { vorrq_u64(any, found) };
        }
        // SAFETY: as above.
        let sum = unsafe { vaddvq_u64(any) };
        sum as u8 & batch.batch_len().mask().0
    }

    table!(KERNELS, select);
}

/// The counter of time, see [`ticks`](crate::ticks).
#[inline(always)]
pub(crate) fn counter() -> u64 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        // SAFETY: every x86-64 processor has the instruction; it reads no memory.
        #[allow(unused_unsafe)]
        unsafe {
            core::arch::x86_64::_rdtsc()
        }
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    {
        let ticks: u64;
        // SAFETY: the virtual counter may be read by programs on every system this is compiled for; it touches no memory and no flags.
        unsafe {
            core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags));
        }
        ticks
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        crate::ticks::clock()
    }
}

/// The memory node of the processor this runs on, if the system tells: Linux on x86-64 keeps it where `rdtscp` reads it (node in the bits
/// above the twelfth, the processor below, as its own `getcpu` does).
#[cfg(feature = "std")]
pub(crate) mod node {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
    pub(crate) fn is_told() -> bool {
        use core::arch::x86_64::__cpuid;
        const EXTENDED: u32 = 0x8000_0000;
        const FEATURES: u32 = 0x8000_0001;
        const RDTSCP: u32 = 1 << 27;
        // SAFETY: every x86-64 processor has the instruction and leaf 0x80000000.
        #[allow(unused_unsafe)]
        let highest = unsafe { __cpuid(EXTENDED) }.eax;
        if highest < FEATURES {
            return false;
        }
        // SAFETY: as above, and the leaf exists.
        #[allow(unused_unsafe)]
        let features = unsafe { __cpuid(FEATURES) };
        features.edx & RDTSCP != 0
    }

    /// Only after `is_told` said so.
    #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
    #[inline]
    pub(crate) fn current() -> u32 {
        let mut aux = 0;
        // SAFETY: without the instruction this would be an illegal one, never undefined; `is_told` saw it. It writes the borrowed word.
        unsafe { core::arch::x86_64::__rdtscp(&mut aux) };
        aux >> 12
    }

    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(miri))))]
    pub(crate) fn is_told() -> bool {
        false
    }

    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(miri))))]
    pub(crate) fn current() -> u32 {
        0
    }
}
