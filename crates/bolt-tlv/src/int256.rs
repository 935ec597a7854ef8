//! Owns: `U256` and `I256`, the two widths the language lacks. Storage, order, bytes and text; no arithmetic.

use core::fmt;

/// Bytes of a 256-bit integer.
const BYTES: usize = 32;
const LIMBS: usize = 4;

/// An unsigned integer of 256 bits, as ledgers count amounts in.
///
/// Layout: four `u64`, least significant first; 32 bytes little-endian on the wire. It compares, converts and prints; for
/// arithmetic hand its bytes to the library of your choice.
///
/// ```
/// use bolt_tlv::U256;
/// let amount = U256::from(1_u64 << 40);
/// assert_eq!(U256::from_be_bytes(amount.to_be_bytes()), amount);
/// assert_eq!(amount.to_string(), "0x10000000000");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct U256(
    /// Limbs, least significant first.
    pub [u64; LIMBS],
);

/// A signed integer of 256 bits in two's complement.
///
/// Layout: four `u64`, least significant first; 32 bytes little-endian on the wire.
///
/// ```
/// use bolt_tlv::I256;
/// assert!(I256::from(-1_i64) < I256::ZERO);
/// assert_eq!(I256::from(-1_i64).to_string(), "-0x1");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct I256(
    /// Limbs in two's complement, least significant first.
    pub [u64; LIMBS],
);

// A limb at a time: a loop over bytes is not seen to be the copy that it is, and costs ten times as much.
#[inline]
const fn limbs_from_le(bytes: [u8; BYTES]) -> [u64; LIMBS] {
    let (chunks, _) = bytes.as_chunks();
    let mut limbs = [0; LIMBS];
    let mut i = 0;
    while i < LIMBS {
        limbs[i] = u64::from_le_bytes(chunks[i]);
        i += 1;
    }
    limbs
}

#[inline]
const fn limbs_to_le(limbs: [u64; LIMBS]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let (chunks, _) = bytes.as_chunks_mut();
    let mut i = 0;
    while i < LIMBS {
        chunks[i] = limbs[i].to_le_bytes();
        i += 1;
    }
    bytes
}

const fn reversed(bytes: [u8; BYTES]) -> [u8; BYTES] {
    let mut out = [0; BYTES];
    let mut i = 0;
    while i < BYTES {
        out[i] = bytes[BYTES - 1 - i];
        i += 1;
    }
    out
}

macro_rules! both {
    ($($name:ident),*) => {$(
        impl $name {
            /// Zero.
            pub const ZERO: Self = Self([0; LIMBS]);

            /// From 32 bytes, least significant first.
            #[inline]
            #[must_use]
            pub const fn from_le_bytes(bytes: [u8; BYTES]) -> Self {
                Self(limbs_from_le(bytes))
            }

            /// To 32 bytes, least significant first.
            #[inline]
            #[must_use]
            pub const fn to_le_bytes(self) -> [u8; BYTES] {
                limbs_to_le(self.0)
            }

            /// From 32 bytes, most significant first.
            #[must_use]
            pub const fn from_be_bytes(bytes: [u8; BYTES]) -> Self {
                Self(limbs_from_le(reversed(bytes)))
            }

            /// To 32 bytes, most significant first.
            #[must_use]
            pub const fn to_be_bytes(self) -> [u8; BYTES] {
                reversed(limbs_to_le(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }
    )*};
}

both!(U256, I256);

impl U256 {
    /// The largest value.
    pub const MAX: Self = Self([u64::MAX; LIMBS]);
}

impl I256 {
    /// The largest value.
    pub const MAX: Self = Self([u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 1]);
    /// The smallest value.
    pub const MIN: Self = Self([0, 0, 0, 1 << 63]);

    /// Whether the value is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0[LIMBS - 1] >> 63 == 1
    }
}

impl Ord for U256 {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl Ord for I256 {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        // With the sign bit turned over, two's complement compares as unsigned.
        let unsigned = |value: &Self| {
            let mut limbs = value.0;
            limbs[LIMBS - 1] ^= 1 << 63;
            U256(limbs)
        };
        unsigned(self).cmp(&unsigned(other))
    }
}

impl From<u64> for U256 {
    fn from(value: u64) -> Self {
        Self([value, 0, 0, 0])
    }
}

impl From<u128> for U256 {
    fn from(value: u128) -> Self {
        Self([value as u64, (value >> 64) as u64, 0, 0])
    }
}

impl From<i64> for I256 {
    fn from(value: i64) -> Self {
        Self::from(i128::from(value))
    }
}

impl From<i128> for I256 {
    fn from(value: i128) -> Self {
        let sign = (value >> 127) as u64;
        Self([value as u64, (value >> 64) as u64, sign, sign])
    }
}

/// Writes `sign 0x digits`, without leading zeros.
fn write_hex(f: &mut fmt::Formatter<'_>, sign: &str, limbs: [u64; LIMBS]) -> fmt::Result {
    let highest = (0..LIMBS).rev().find(|&i| limbs[i] != 0).unwrap_or(0);
    write!(f, "{sign}0x{:x}", limbs[highest])?;
    limbs[..highest].iter().rev().try_for_each(|limb| write!(f, "{limb:016x}"))
}

impl fmt::Display for U256 {
    /// Hexadecimal, as `0x…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, "", self.0)
    }
}

impl fmt::Display for I256 {
    /// Hexadecimal with a sign, as `-0x…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_negative() {
            return write_hex(f, "", self.0);
        }
        // The magnitude: all bits turned over, plus one.
        let mut carry = true;
        let magnitude = self.0.map(|limb| {
            let (sum, overflow) = (!limb).overflowing_add(u64::from(carry));
            carry = overflow;
            sum
        });
        write_hex(f, "-", magnitude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_place_in_both_orders() {
        for place in 0..BYTES {
            for bit in 0..8 {
                let mut bytes = [0; BYTES];
                bytes[place] = 1 << bit;
                let mut limbs = [0; LIMBS];
                limbs[place / 8] = 1 << (8 * (place % 8) + bit);
                assert_eq!(U256::from_le_bytes(bytes).0, limbs);
                assert_eq!(U256(limbs).to_le_bytes(), bytes);
                assert_eq!(I256::from_le_bytes(bytes).0, limbs);
                let turned: [u8; BYTES] = core::array::from_fn(|at| bytes[BYTES - 1 - at]);
                assert_eq!(U256::from_be_bytes(turned).0, limbs);
                assert_eq!(I256(limbs).to_be_bytes(), turned);
            }
        }
    }
}
