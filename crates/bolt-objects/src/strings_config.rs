//! Owns: the numbers of a string pool: configuration, how a budget is divided, ids, errors, statistics. Holds no memory and no state.

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU64;

use crate::strings_core::TABLE_BYTES;
use crate::strings_places::{HEADER, LEN_MAX, UNIT};
use crate::strings_text::LINE;

/// What each string is reckoned to take when the number of strings is left to the pool: 31 bytes of tables, 12 before the text, 37 of text.
const BYTES_PER_STRING: usize = 80;
/// Strings longer than this are refused unless the configuration says otherwise, so that one text cannot sweep the pool.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// A pool has place in its small queue for a text of 24 bytes at least, and for what stands in front of it.
const SMALL_UNITS_MIN: usize = 5;
/// Numbers of strings have 32 bits; the highest of all says that there is none.
const STRINGS_MAX: u32 = 1 << 31;
/// The small queue's part of the text that is not pinned.
const SMALL_PART: usize = 10;

/// How large a string pool is and how it divides that. 40 bytes; `Copy`.
///
/// ```
/// use bolt_objects::{StringPool, StringPoolConfig};
///
/// let config = StringPoolConfig::new(1 << 20).strings_max(10_000).text_bytes_max(1024);
/// let pool = StringPool::new(config)?;
/// assert!(pool.stats().bytes_held <= 1 << 20);
/// # Ok::<(), bolt_objects::StringError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StringPoolConfig {
    bytes_max: usize,
    strings_max: Option<u32>,
    text_bytes_max: usize,
    pinned_bytes: Option<usize>,
}

impl StringPoolConfig {
    /// A pool that never holds more than `bytes_max` bytes: text, entries and index together, from the start on.
    pub const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, strings_max: None, text_bytes_max: TEXT_BYTES_MAX, pinned_bytes: None }
    }

    /// So many strings at a time; 31 bytes of the budget each. Unset: one for each 80 bytes of the budget.
    #[must_use]
    pub const fn strings_max(mut self, strings_max: u32) -> Self {
        self.strings_max = Some(strings_max);
        self
    }

    /// Longer strings are refused. Unset: 64 KiB. The pool's own limit is lower when its small queue, a tenth of the text, is shorter.
    #[must_use]
    pub const fn text_bytes_max(mut self, bytes: usize) -> Self {
        self.text_bytes_max = bytes;
        self
    }

    /// So much of the budget is kept for pinned and static strings, each with 12 bytes rounded up to a power of two. Unset: an eighth of the text.
    #[must_use]
    pub const fn pinned_bytes(mut self, bytes: usize) -> Self {
        self.pinned_bytes = Some(bytes);
        self
    }

    /// A part of this configuration for each of `shards` pools.
    #[cfg(feature = "std")]
    pub(crate) fn divided(self, shards: usize) -> Self {
        Self {
            bytes_max: self.bytes_max / shards,
            strings_max: self.strings_max.map(|strings| strings.div_ceil(shards as u32)),
            pinned_bytes: self.pinned_bytes.map(|bytes| bytes / shards),
            ..self
        }
    }

    /// The budget divided, when the index takes so many bytes and `beside` more are asked for each string.
    pub(crate) fn plan(self, beside: usize, index_bytes: impl Fn(u32) -> usize) -> Result<Plan, StringError> {
        let strings_max = self.strings(BYTES_PER_STRING + beside);
        // A line more, as text begins with one.
        let each = (strings_max as usize).saturating_mul(TABLE_BYTES + beside);
        let tables = index_bytes(strings_max).saturating_add(each).saturating_add(LINE);
        let queues_min = SMALL_PART * SMALL_UNITS_MIN * UNIT;
        let pinned_min = self.pinned_bytes.unwrap_or(0);
        let needed =
            tables.saturating_add(queues_min.saturating_add(pinned_min).div_ceil(LINE).saturating_mul(LINE));
        if self.bytes_max < needed {
            return Err(StringError::BudgetTooSmall { bytes_max: self.bytes_max, bytes_needed: needed });
        }
        // Whole cache lines; positions are 32-bit numbers of units.
        let lines = ((self.bytes_max - tables) / LINE).min((u32::MAX as usize * UNIT) / LINE);
        let text_units = lines * (LINE / UNIT);
        let pinned = self.pinned_bytes.map_or(text_units / 8, |bytes| bytes.div_ceil(UNIT));
        let block_units = pinned.min(text_units - queues_min / UNIT);
        let small_units = (text_units - block_units) / SMALL_PART;
        let main_units = text_units - block_units - small_units;
        probe(tables + text_units * UNIT)?;
        Ok(Plan {
            strings_max,
            text_bytes_max: self.text_bytes_max.min((small_units - HEADER as usize) * UNIT).min(LEN_MAX),
            block_units: block_units as u32,
            small_units: small_units as u32,
            main_units: main_units as u32,
            bytes_held: tables + text_units * UNIT,
        })
    }

    /// The budget divided for strings that lie elsewhere: queues that hold headers only, and the bytes left for what they name.
    #[cfg(feature = "bytes")]
    pub(crate) fn plan_handles(
        self,
        handle_bytes: usize,
        index_bytes: impl Fn(u32) -> usize,
    ) -> Result<(Plan, usize), StringError> {
        /// What each string is reckoned to take when their number is left to the pool: 97 bytes of tables, handle and headers, 63 of its own.
        const BYTES_EACH: usize = 160;
        /// Of the bytes of strings, a string takes no more than this part, so that none sweeps the pool.
        const LONGEST_PART: usize = 8;
        let strings_max = self.strings(BYTES_EACH).min(u32::MAX / 8);
        // Each string may be in the main queue, each may be pinned, and a tenth in the small queue.
        let all_units = strings_max * HEADER;
        let small_units = (all_units / SMALL_PART as u32).next_multiple_of(HEADER).max(HEADER);
        let words = (all_units as usize).saturating_mul(2).saturating_add(small_units as usize);
        let each = (strings_max as usize).saturating_mul(TABLE_BYTES + handle_bytes);
        let headers = words.saturating_mul(UNIT);
        let tables = index_bytes(strings_max).saturating_add(each).saturating_add(headers);
        let needed = tables.saturating_add(LONGEST_PART * UNIT);
        if self.bytes_max < needed {
            return Err(StringError::BudgetTooSmall { bytes_max: self.bytes_max, bytes_needed: needed });
        }
        probe(tables)?;
        let bytes_max = self.bytes_max - tables;
        let plan = Plan {
            strings_max,
            text_bytes_max: self.text_bytes_max.min(bytes_max / LONGEST_PART).min(LEN_MAX),
            block_units: all_units,
            small_units,
            main_units: all_units,
            bytes_held: tables,
        };
        Ok((plan, bytes_max))
    }

    /// The number of strings, when each is reckoned to take so many bytes.
    fn strings(&self, bytes_each: usize) -> u32 {
        let reckoned = (self.bytes_max / bytes_each).min(STRINGS_MAX as usize) as u32;
        self.strings_max.unwrap_or(reckoned).clamp(1, STRINGS_MAX)
    }
}

/// Asks the system for so many bytes and gives them back: a budget beyond all memory is an error, and not the end of the program.
fn probe(bytes: usize) -> Result<(), StringError> {
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| StringError::OutOfMemory { bytes })
}

/// A budget divided. Small and main together with the blocks are the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) strings_max: u32,
    pub(crate) text_bytes_max: usize,
    pub(crate) block_units: u32,
    pub(crate) small_units: u32,
    pub(crate) main_units: u32,
    pub(crate) bytes_held: usize,
}

impl Plan {
    pub(crate) fn text_units(&self) -> usize {
        self.block_units as usize + self.small_units as usize + self.main_units as usize
    }
}

/// The name of a string in a pool: a dense number, and the generation that tells this string from every other that had, or will have, the
/// number. 8 bytes, `Option<StringId>` too. Ids of different pools are not told apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StringId(NonZeroU64);

impl StringId {
    #[inline]
    pub(crate) fn new(slot: u32, generation: u32) -> Self {
        let raw = u64::from(generation) << 32 | u64::from(slot);
        Self::from_header(raw)
    }

    /// The id that a string's header begins with.
    #[inline(always)]
    pub(crate) fn from_header(raw: u64) -> Self {
        // Generations of ids are odd, so the other arm is never taken.
        Self(NonZeroU64::new(raw).unwrap_or(NonZeroU64::MIN))
    }

    /// The id of the string at `index` of the list that a pool was made with by [`StringPool::with_statics`](crate::StringPool::with_statics).
    /// Known before the pool exists, so that it can be a constant.
    pub const fn of_static(index: u32) -> Self {
        match NonZeroU64::new(1 << 32 | index as u64) {
            Some(raw) => Self(raw),
            None => unreachable!(),
        }
    }

    /// The number among the strings of the pool: below `strings_max`, used again after an eviction. For tables beside the pool.
    #[inline]
    pub const fn index(self) -> usize {
        self.0.get() as u32 as usize
    }

    /// All of it, to be stored.
    #[inline]
    pub const fn to_raw(self) -> u64 {
        self.0.get()
    }

    /// An id from [`to_raw`](Self::to_raw); nothing for a number that no pool ever gives out. Whether it is alive is the pool's to say.
    #[inline]
    pub const fn from_raw(raw: u64) -> Option<Self> {
        match NonZeroU64::new(raw) {
            Some(nonzero) if (raw >> 32) % 2 == 1 => Some(Self(nonzero)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn slot(self) -> u32 {
        self.0.get() as u32
    }

    #[inline]
    pub(crate) fn generation(self) -> u32 {
        (self.0.get() >> 32) as u32
    }
}

impl fmt::Debug for StringId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StringId({}, life {})", self.slot(), self.generation().div_ceil(2))
    }
}

/// Why a string pool said no. 24 bytes, `Copy`, no heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StringError {
    /// The configuration leaves no place for text.
    BudgetTooSmall {
        /// What the configuration allows.
        bytes_max: usize,
        /// The least that its other numbers need.
        bytes_needed: usize,
    },
    /// The system has not the memory of the budget: ask for less.
    OutOfMemory {
        /// What the pool would hold.
        bytes: usize,
    },
    /// The text is longer than the pool takes.
    TooLong {
        /// Of this text.
        bytes: usize,
        /// Of any text of this pool.
        bytes_max: usize,
    },
    /// Every place that this text could have had is pinned.
    Full {
        /// Of this pool.
        strings_max: u32,
    },
    /// What is kept for pinned strings is used up.
    PinsFull {
        /// What this string asks for.
        bytes: usize,
        /// What is kept for all.
        bytes_max: usize,
    },
    /// The string of this id was evicted.
    Dead {
        /// The id.
        id: StringId,
    },
    /// The string is not pinned, so it cannot be unpinned.
    NotPinned {
        /// The id.
        id: StringId,
    },
    /// A list of static strings has the same string twice.
    StaticTwice {
        /// The index of the second.
        index: usize,
    },
}

impl fmt::Display for StringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BudgetTooSmall { bytes_max, bytes_needed } => {
                write!(
                    f,
                    "a string pool of {bytes_max} bytes has no place for text: give it {bytes_needed} or ask for fewer strings"
                )
            }
            Self::OutOfMemory { bytes } => {
                write!(f, "the system has no {bytes} bytes for a string pool: give it a smaller budget")
            }
            Self::TooLong { bytes, bytes_max } => {
                write!(
                    f,
                    "a string of {bytes} bytes is over this pool's limit of {bytes_max}: keep it elsewhere or raise text_bytes_max and the budget"
                )
            }
            Self::Full { strings_max } => {
                write!(
                    f,
                    "the strings this one could replace are pinned (the pool has {strings_max} places): unpin some or raise strings_max"
                )
            }
            Self::PinsFull { bytes, bytes_max } => {
                write!(
                    f,
                    "no place for {bytes} more bytes among the {bytes_max} kept for pinned strings: unpin some or raise pinned_bytes"
                )
            }
            Self::Dead { id } => write!(f, "the string of {id:?} was evicted: intern it again"),
            Self::NotPinned { id } => write!(f, "{id:?} is not pinned"),
            Self::StaticTwice { index } => {
                write!(f, "the static string at index {index} is in the list before: remove it")
            }
        }
    }
}

impl core::error::Error for StringError {}

/// A pool in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StringStats {
    /// Strings that are alive.
    pub strings: usize,
    /// Their text.
    pub text_bytes: usize,
    /// Those of them that are pinned or static.
    pub pinned: usize,
    /// All the memory of the pool; constant, never above the budget.
    pub bytes_held: usize,
    /// Strings that were put in: calls of `intern` that were no hits. Hits are not counted, since that would be a write each.
    pub interned: u64,
    /// Strings that left.
    pub evicted: u64,
    /// Numbers that had 2^31 strings each and rest for ever.
    pub retired: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_system_has_is_an_error_with_the_number() {
        // Beyond the half of all addresses, where the judges' allocators are not asked: they end the program for less.
        let error = probe(usize::MAX - 1).unwrap_err();
        assert_eq!(error, StringError::OutOfMemory { bytes: usize::MAX - 1 });
        assert!(alloc::format!("{error}").contains("smaller budget"));
        assert_eq!(probe(1000), Ok(()));
    }
}
