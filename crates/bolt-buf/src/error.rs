//! The errors of this crate: small `Copy` values with the numbers inside. Owns no memory and never allocates.

use core::error::Error;
use core::fmt;

/// There is no room for what was asked: the hard maximum stands in the way, or the allocator refused.
///
/// The buffer is unchanged: every unread byte is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityError {
    /// Bytes the buffer would have had to hold at once: what is unread plus what was asked.
    pub requested: usize,
    /// Bytes that could still be accepted when the error arose.
    pub available: usize,
    /// The configured hard maximum, in bytes.
    pub maximum: usize,
}

impl CapacityError {
    /// Whether the allocator refused although the configured maximum would have allowed the request.
    #[must_use]
    pub const fn is_out_of_memory(&self) -> bool {
        self.requested <= self.maximum
    }
}

impl fmt::Display for CapacityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requested, available, maximum } = self;
        if self.is_out_of_memory() {
            write!(f, "the allocator refused a buffer of {requested} bytes; {available} more can be held now")
        } else {
            write!(
                f,
                "{requested} bytes do not fit the buffer's maximum of {maximum}, {available} more can be held: \
                 consume first, or raise max_capacity_bytes"
            )
        }
    }
}

impl Error for CapacityError {}

/// A range that does not lie inside the part of the buffer it was meant for. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeError {
    /// Where the range would have ended, counted from the start of that part.
    pub end: usize,
    /// How long that part is.
    pub available: usize,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { end, available } = self;
        write!(f, "a range that ends at byte {end} does not fit the {available} bytes that are there")
    }
}

impl Error for RangeError {}
