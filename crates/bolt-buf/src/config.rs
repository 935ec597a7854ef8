//! The numbers of a buffer, each written once with its reason, and the check that they fit together.
//!
//! Owns no memory. Never reads the machine: every number is the user's or a constant below.

use core::error::Error;
use core::fmt;

/// Capacity of a buffer at rest. A third of a 48 KiB L1 data cache: the reader, its state and the source of the next
/// read keep their place beside it.
const MIN_CAPACITY_BYTES: usize = 16 * 1024;

/// Capacity that load alone may reach. Two reads of 64 KiB: above that, measured throughput no longer rises
/// (`docs/bolt-buf.md`), while L2 misses and resident memory do.
const LOAD_CAPACITY_BYTES: usize = 128 * 1024;

/// Hard maximum. Four times the 16 MiB message that servers are known to send.
const MAX_CAPACITY_BYTES: usize = 64 * 1024 * 1024;

/// Bytes behind the capacity that no write reaches: one line of the widest common vector load.
const TAIL_GUARD_BYTES: usize = 64;

/// Tail below which a fill makes room first. A read of less than one Ethernet segment (1,448 bytes of payload) wastes
/// a system call.
const MIN_FILL_BYTES: usize = 2 * 1024;

/// Consumed bytes after which a cheap compaction is due: a quarter of a 48 KiB L1. Measured: 8 and 16 KiB are 2 % slower, 24 KiB 15 %.
const COMPACT_AFTER_BYTES: usize = 12 * 1024;

const _: () = assert!(COMPACT_AFTER_BYTES + MIN_FILL_BYTES < MIN_CAPACITY_BYTES);
const _: () = assert!(MIN_CAPACITY_BYTES <= LOAD_CAPACITY_BYTES && LOAD_CAPACITY_BYTES <= MAX_CAPACITY_BYTES);

/// When load changes the capacity. The defaults are those of the original LightningBolt buffer.
///
/// A cycle is one read, or one batch of writes; its load is the bytes it moved as a share of the capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GrowthConfig {
    /// Weight of the newest cycle in the moving average, above 0 and at most 1. Default 0.2.
    pub alpha: f64,
    /// The average must exceed this share of the capacity to grow. Default 0.85.
    pub grow_above: f64,
    /// For how many cycles in a row. Default 3.
    pub grow_cycles: u32,
    /// The average must be below this share of the capacity to shrink; less than half of `grow_above`, so that a
    /// capacity that has just doubled is not at once too large. Default 0.30.
    pub shrink_below: f64,
    /// For how many cycles in a row; an idle cycle always counts as one of them. Default 32.
    pub shrink_cycles: u32,
}

impl Default for GrowthConfig {
    fn default() -> Self {
        Self { alpha: 0.2, grow_above: 0.85, grow_cycles: 3, shrink_below: 0.30, shrink_cycles: 32 }
    }
}

impl GrowthConfig {
    /// Says which number is out of its range, if one is.
    ///
    /// # Errors
    /// The first field that is wrong, with its range.
    pub fn validate(self) -> Result<Self, ConfigError> {
        let Self { alpha, grow_above, grow_cycles, shrink_below, shrink_cycles } = self;
        // Written so that a NaN fails each of them.
        if !(alpha > 0.0 && alpha <= 1.0) {
            return Err(ConfigError { field: "growth.alpha", expected: "above 0 and at most 1" });
        }
        if !(grow_above > 0.0 && grow_above <= 1.0) {
            return Err(ConfigError { field: "growth.grow_above", expected: "above 0 and at most 1" });
        }
        if !(shrink_below >= 0.0 && shrink_below < grow_above / 2.0) {
            return Err(ConfigError {
                field: "growth.shrink_below",
                expected: "at least 0 and less than half of grow_above, or the capacity would oscillate",
            });
        }
        if grow_cycles == 0 {
            return Err(ConfigError { field: "growth.grow_cycles", expected: "at least 1" });
        }
        if shrink_cycles == 0 {
            return Err(ConfigError { field: "growth.shrink_cycles", expected: "at least 1" });
        }
        Ok(self)
    }
}

/// The limits of a [`BoltBuf`](crate::BoltBuf).
///
/// ```
/// use bolt_buf::{BoltBuf, BufConfig};
///
/// let config = BufConfig { max_capacity_bytes: 32 << 20, ..BufConfig::default() }.validate()?;
/// let buf = BoltBuf::with_config(config);
/// assert_eq!(buf.capacity_bytes(), 0, "memory is taken at the first write");
/// # Ok::<(), bolt_buf::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BufConfig {
    /// Capacity of the first allocation, and what idling returns to. Default 16 KiB.
    pub min_capacity_bytes: usize,
    /// Capacity that load alone may reach; a message larger than this still fits, up to the maximum. Default 128 KiB.
    pub load_capacity_bytes: usize,
    /// Capacity never exceeded. Default 64 MiB.
    pub max_capacity_bytes: usize,
    /// When load changes the capacity.
    pub growth: GrowthConfig,
    /// Readable bytes behind the capacity that no write reaches. Default 64.
    pub tail_guard_bytes: usize,
    /// A fill with less room than this makes room first. Default 2 KiB.
    pub min_fill_bytes: usize,
    /// A fill with this much consumed moves the unread bytes to the front if they are few. Default 12 KiB.
    pub compact_after_bytes: usize,
}

impl Default for BufConfig {
    fn default() -> Self {
        Self {
            min_capacity_bytes: MIN_CAPACITY_BYTES,
            load_capacity_bytes: LOAD_CAPACITY_BYTES,
            max_capacity_bytes: MAX_CAPACITY_BYTES,
            growth: GrowthConfig::default(),
            tail_guard_bytes: TAIL_GUARD_BYTES,
            min_fill_bytes: MIN_FILL_BYTES,
            compact_after_bytes: COMPACT_AFTER_BYTES,
        }
    }
}

impl BufConfig {
    /// The default numbers between a floor and a hard maximum of your own.
    ///
    /// # Errors
    /// As [`validate`](Self::validate): the floor must be at least one byte and at most the maximum.
    pub fn new(min_capacity_bytes: usize, max_capacity_bytes: usize) -> Result<Self, ConfigError> {
        let default = Self::default();
        Self {
            min_capacity_bytes,
            max_capacity_bytes,
            load_capacity_bytes: default.load_capacity_bytes.max(min_capacity_bytes).min(max_capacity_bytes),
            ..default
        }
        .validate()
    }

    /// Says which number does not fit the others, if one does not.
    ///
    /// # Errors
    /// The first field that is wrong, with what was expected of it.
    pub fn validate(self) -> Result<Self, ConfigError> {
        if self.min_capacity_bytes == 0 {
            return Err(ConfigError { field: "min_capacity_bytes", expected: "at least 1" });
        }
        if self.max_capacity_bytes < self.min_capacity_bytes {
            return Err(ConfigError { field: "max_capacity_bytes", expected: "at least min_capacity_bytes" });
        }
        if self.load_capacity_bytes < self.min_capacity_bytes
            || self.load_capacity_bytes > self.max_capacity_bytes
        {
            return Err(ConfigError {
                field: "load_capacity_bytes",
                expected: "between min_capacity_bytes and max_capacity_bytes",
            });
        }
        self.growth.validate()?;
        Ok(self)
    }

    /// The nearest configuration that [`validate`](Self::validate) accepts: the hard maximum wins over the rest, and
    /// growth numbers that make no sense give way to the defaults, all together.
    #[must_use]
    pub fn normalized(self) -> Self {
        let max = self.max_capacity_bytes.max(1);
        let min = self.min_capacity_bytes.clamp(1, max);
        Self {
            min_capacity_bytes: min,
            load_capacity_bytes: self.load_capacity_bytes.clamp(min, max),
            max_capacity_bytes: max,
            growth: self.growth.validate().unwrap_or_default(),
            ..self
        }
    }
}

/// A configuration that contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The field at fault.
    pub field: &'static str,
    /// What was expected of it.
    pub expected: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.field, self.expected)
    }
}

impl Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(BufConfig::default().validate(), Ok(BufConfig::default()));
        assert_eq!(BufConfig::default().normalized(), BufConfig::default());
    }

    #[test]
    fn each_wrong_number_is_named() {
        let ok = BufConfig::default();
        let g = ok.growth;
        let table = [
            (BufConfig { min_capacity_bytes: 0, ..ok }, "min_capacity_bytes"),
            (BufConfig { max_capacity_bytes: 1, ..ok }, "max_capacity_bytes"),
            (BufConfig { load_capacity_bytes: 1, ..ok }, "load_capacity_bytes"),
            (BufConfig { load_capacity_bytes: usize::MAX, ..ok }, "load_capacity_bytes"),
            (BufConfig { growth: GrowthConfig { alpha: 0.0, ..g }, ..ok }, "growth.alpha"),
            (BufConfig { growth: GrowthConfig { alpha: f64::NAN, ..g }, ..ok }, "growth.alpha"),
            (BufConfig { growth: GrowthConfig { grow_above: 1.5, ..g }, ..ok }, "growth.grow_above"),
            (BufConfig { growth: GrowthConfig { shrink_below: 0.5, ..g }, ..ok }, "growth.shrink_below"),
            (BufConfig { growth: GrowthConfig { grow_cycles: 0, ..g }, ..ok }, "growth.grow_cycles"),
            (BufConfig { growth: GrowthConfig { shrink_cycles: 0, ..g }, ..ok }, "growth.shrink_cycles"),
        ];
        for (config, field) in table {
            assert_eq!(config.validate().map_err(|e| e.field), Err(field));
            assert!(config.normalized().validate().is_ok(), "{field} can be repaired");
        }
    }

    #[test]
    fn a_floor_above_the_maximum_is_refused_by_the_constructor() {
        assert!(BufConfig::new(4096, 1 << 20).is_ok());
        assert_eq!(BufConfig::new(4096, 64).map_err(|e| e.field), Err("max_capacity_bytes"));
    }
}
