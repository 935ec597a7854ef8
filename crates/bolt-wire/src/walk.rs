//! The structural walk: one pass that proves every marker, bound, count, nesting level and string of a value, without recursion.
//! Owns the stack of open containers and nothing else; never decodes a scalar. Messages end at 4 GiB − 1; nesting ends at the
//! limit the user sets. That strings are UTF-8 is part of the proof unless the user leaves it out ([`Walker::set_check_text`]).

use alloc::vec::Vec;

use crate::encode::Dialect;
use crate::error::{DecodeError, DecodeReason};
use crate::marker::{self, Kind, LEAF_LEN};

/// The nesting limit to use when nothing else is asked for. Real servers send lists 1,000 deep, and close on 10,000.
pub const DEPTH_MAX_DEFAULT: u32 = 1_024;

/// Set in a stack word when the container is a dictionary; sizes end at 2³¹ − 1, so the bit is free.
const KEYED: u32 = 1 << 31;

/// Walks values; reusable, so that a warm walker allocates nothing.
///
/// Its stack takes four bytes for each container open at the same time, grows only as deep as the bytes at hand really
/// nest (each level costs them at least one byte), and never beyond the limit.
///
/// ```
/// use bolt_wire::{Dialect, Walker};
///
/// let mut walker = Walker::new(8);
/// assert_eq!(walker.walk(b"\x93\x01\x02\x03", 0, Dialect::default()), Ok(4));
/// let error = walker.walk(b"\x93\x01\x02", 0, Dialect::default()).unwrap_err();
/// assert_eq!(error.to_string(), "at byte 0: list announces 3 items but 2 bytes are left");
/// ```
#[derive(Clone, Debug)]
pub struct Walker {
    /// Open containers outside the current one: entries left, with [`KEYED`] for dictionaries.
    stack: Vec<u32>,
    depth_max: u32,
    check_text: bool,
}

impl Walker {
    /// A walker that refuses more than `depth_max` containers inside one another, and strings that are not UTF-8.
    #[must_use]
    pub const fn new(depth_max: u32) -> Self {
        Self { stack: Vec::new(), depth_max, check_text: true }
    }

    /// Whether strings, keys among them, are checked to be UTF-8, as they are at first.
    ///
    /// Without the check a bad string is an error of [`RawRef::str`](crate::RawRef::str), there and only there: for those who want to
    /// mend such text, or pass it on as it is, by [`RawRef::str_bytes`](crate::RawRef::str_bytes).
    pub const fn set_check_text(&mut self, check_text: bool) {
        self.check_text = check_text;
    }

    /// The nesting limit.
    #[must_use]
    pub const fn depth_max(&self) -> u32 {
        self.depth_max
    }

    /// Changes the nesting limit.
    pub const fn set_depth_max(&mut self, depth_max: u32) {
        self.depth_max = depth_max;
    }

    pub(crate) const fn checks_text(&self) -> bool {
        self.check_text
    }

    /// Walks the one value that begins at `message[at]` and returns the offset of its end.
    ///
    /// # Errors
    /// The first marker, size, count, key, nesting level or string that is not legal, with its offset in `message`.
    #[inline]
    pub fn walk(&mut self, message: &[u8], at: usize, dialect: Dialect) -> Result<usize, DecodeError> {
        // Most values are scalars and short strings: settle those without a call.
        if let Some(&m) = message.get(at) {
            let len = usize::from(LEAF_LEN[usize::from(m)]);
            if len != 0 && len <= message.len() - at {
                if self.check_text && m & 0xF0 == marker::STRING0 {
                    check_short(message, at, len)?;
                }
                return Ok(at + len);
            }
        }
        if self.check_text {
            self.walk_any::<true>(message, at, dialect)
        } else {
            self.walk_any::<false>(message, at, dialect)
        }
    }

    #[inline(never)]
    fn walk_any<const TEXT: bool>(
        &mut self,
        message: &[u8],
        mut at: usize,
        dialect: Dialect,
    ) -> Result<usize, DecodeError> {
        if message.len() > u32::MAX as usize {
            let limit = u32::MAX as usize;
            return Err(DecodeError::new(0, DecodeReason::MessageTooLarge { limit }));
        }
        self.stack.clear();
        // The container being walked: a list of one item, to begin with.
        let mut left: u32 = 1;
        let mut keyed = false;
        loop {
            // Items that are leaves, until one is not or the container ends.
            let mut m;
            loop {
                if left == 0 {
                    let Some(word) = self.stack.pop() else { return Ok(at) };
                    left = word & !KEYED;
                    keyed = word & KEYED != 0;
                    continue;
                }
                left -= 1;
                if keyed {
                    at = walk_key::<TEXT>(message, at)?;
                }
                let Some(&marker) = message.get(at) else { return Err(ends_before_value(message, at)) };
                m = marker;
                let len = usize::from(LEAF_LEN[usize::from(m)]);
                if len == 0 {
                    break;
                }
                if len > message.len() - at {
                    return Err(unexpected_end(message, at, len));
                }
                if TEXT && m & 0xF0 == marker::STRING0 {
                    check_short(message, at, len)?;
                }
                at += len;
            }
            let (count, entry_len, is_map, what, body) = match Kind::of(m) {
                Kind::String => {
                    at = walk_sized::<TEXT>(message, at, m)?;
                    continue;
                }
                Kind::Bytes => {
                    at = walk_sized::<false>(message, at, m)?;
                    continue;
                }
                Kind::List => {
                    let (count, body) = size_at(message, at, m, marker::LIST0)?;
                    (count, 1, false, "list", body)
                }
                Kind::Map => {
                    let (count, body) = size_at(message, at, m, marker::MAP0)?;
                    (count, 2, true, "dictionary", body)
                }
                Kind::Structure => {
                    if at + 1 >= message.len() {
                        return Err(unexpected_end(message, at, 2));
                    }
                    (u32::from(m & 0x0F), 1, false, "structure", at + 2)
                }
                Kind::Uuid if dialect.uuid => {
                    if message.len() - at < 17 {
                        return Err(unexpected_end(message, at, 17));
                    }
                    at += 17;
                    continue;
                }
                _ => return Err(DecodeError::new(at, DecodeReason::ReservedMarker(m))),
            };
            let available = message.len() - body;
            if u64::from(count) * entry_len > available as u64 {
                return Err(DecodeError::new(at, DecodeReason::CountTooLarge { what, count, available }));
            }
            if self.stack.len() as u64 >= u64::from(self.depth_max) {
                return Err(DecodeError::new(at, DecodeReason::TooDeep { limit: self.depth_max }));
            }
            self.stack.push(if keyed { left | KEYED } else { left });
            left = count;
            keyed = is_map;
            at = body;
            if !keyed {
                (at, left) = walk_leaves::<TEXT>(message, at, left);
            }
        }
    }
}

impl Default for Walker {
    /// A walker with [`DEPTH_MAX_DEFAULT`].
    fn default() -> Self {
        Self::new(DEPTH_MAX_DEFAULT)
    }
}

/// Walks leaves of a list, as many as are sure to lie within the message; returns the place and number of the items left.
///
/// Where one item begins depends on the marker of the one before: load, look up, add, some eleven cycles an item that nothing
/// can overlap. Lists of one type escape that: the places of the next four 64-bit numbers, or of the next eight small
/// integers, are known beforehand if they are such, which a few independent comparisons tell.
///
/// Where text is checked, it stops at a short string.
fn walk_leaves<const TEXT: bool>(message: &[u8], mut at: usize, mut left: u32) -> (usize, u32) {
    // All comparisons are made before the one branch: which of them fails in a mixed list cannot be guessed.
    while left >= 8 {
        let Some(rest) = message.get(at..) else { break };
        if let Some(window) = rest.first_chunk::<28>() {
            let m = window[0];
            let wide = (m == marker::INT64) | (m == marker::FLOAT);
            if wide & (window[9] == m) & (window[18] == m) & (window[27] == m) & (rest.len() >= 36) {
                at += 36;
                left -= 4;
                continue;
            }
        }
        let Some(window) = rest.first_chunk::<8>() else { break };
        if window.iter().fold(true, |tiny, &m| tiny & (m.cast_signed() >= -16)) {
            at += 8;
            left -= 8;
            continue;
        }
        // A mixed list, it seems: do not ask again too soon. Integers of any width are told by arithmetic, which is quicker than the table.
        let mut inside = 0;
        let mut ints = left.min(48);
        while ints >= 8 && rest.len() - inside >= 8 * 9 {
            let (mut ahead, mut other) = (inside, false);
            for _ in 0..8 {
                let m = rest.get(ahead).copied().unwrap_or_default();
                let sized = usize::from(m.cast_signed() < -16);
                other |= (sized != 0) & (m & 0xFC != marker::INT8);
                ahead += 1 + (sized << (m & 3));
            }
            if other {
                break;
            }
            inside = ahead;
            ints -= 8;
            left -= 8;
        }
        for _ in 0..left.min(48) {
            let Some(&m) = rest.get(inside) else { return (at + inside, left) };
            let len = usize::from(LEAF_LEN[usize::from(m)]);
            if len == 0 || len > rest.len() - inside || (TEXT && m & 0xF0 == marker::STRING0) {
                return (at + inside, left);
            }
            inside += len;
            left -= 1;
        }
        at += inside;
    }
    (at, left)
}

/// Proves that a string begins at `at` and ends within the message; returns its end.
#[inline]
fn walk_key<const TEXT: bool>(message: &[u8], at: usize) -> Result<usize, DecodeError> {
    let Some(&m) = message.get(at) else { return Err(ends_before_value(message, at)) };
    if m & 0xF0 == marker::STRING0 {
        let len = 1 + usize::from(m & 0x0F);
        if len > message.len() - at {
            return Err(unexpected_end(message, at, len));
        }
        if TEXT {
            check_short(message, at, len)?;
        }
        return Ok(at + len);
    }
    if Kind::of(m) != Kind::String {
        return Err(DecodeError::new(at, DecodeReason::KeyNotString(m)));
    }
    walk_sized::<TEXT>(message, at, m)
}

/// High bits of the bytes 1 to n of a window of 16 in memory order: a short string's, when its marker is byte 0.
const HIGH_BEHIND_MARKER: [u128; 16] = high_bits(true);
/// High bits of the last n bytes of such a window.
const HIGH_AT_END: [u128; 16] = high_bits(false);

const fn high_bits(behind_marker: bool) -> [u128; 16] {
    let mut table = [0; 16];
    let mut n = 0;
    while n < 16 {
        let mut byte = 0;
        while byte < n {
            let place = if behind_marker { 1 + byte } else { 15 - byte };
            table[n] |= 0x80 << (8 * place);
            byte += 1;
        }
        n += 1;
    }
    table
}

/// Proves that the string at `at`, of `len` bytes (1 to 16) with its marker and within the message, is UTF-8.
///
/// Text is ASCII nearly always: one load of sixteen bytes and one comparison tell, whatever its length.
#[inline(always)]
pub(crate) fn check_short(message: &[u8], at: usize, len: usize) -> Result<(), DecodeError> {
    let n = (len - 1) & 15;
    let end = at + len;
    let high = if let Some(window) = message.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        u128::from_le_bytes(*window) & HIGH_BEHIND_MARKER[n]
    } else if let Some(window) = message.get(..end).and_then(|rest| rest.last_chunk::<16>()) {
        // Too near the end of the message for the one, but not too near its beginning for the other.
        u128::from_le_bytes(*window) & HIGH_AT_END[n]
    } else {
        1
    };
    if high == 0 { Ok(()) } else { check_text(message, at + 1, n) }
}

/// Proves that the `len` bytes at `body`, which lie within the message, are UTF-8.
#[inline(never)]
fn check_text(message: &[u8], body: usize, len: usize) -> Result<(), DecodeError> {
    let bytes = message.get(body..body + len).unwrap_or_default();
    if bytes.is_ascii() {
        return Ok(());
    }
    match core::str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(DecodeError::new(body + error.valid_up_to(), DecodeReason::InvalidUtf8)),
    }
}

/// Proves the bounds of a string or byte array with a size of its own, and the text of a string; returns its end.
#[inline]
fn walk_sized<const TEXT: bool>(message: &[u8], at: usize, m: u8) -> Result<usize, DecodeError> {
    let (len, body) = size_at(message, at, m, marker::STRING0)?;
    if len as usize > message.len() - body {
        return Err(unexpected_end(message, body, len as usize));
    }
    if TEXT {
        check_text(message, body, len as usize)?;
    }
    Ok(body + len as usize)
}

/// Size and first byte of the body of a string, byte array, list or dictionary whose marker `m` stands at `at`.
/// `small` is the marker family that carries its size in the low nibble.
#[inline]
pub(crate) fn size_at(message: &[u8], at: usize, m: u8, small: u8) -> Result<(u32, usize), DecodeError> {
    if m & 0xF0 == small {
        return Ok((u32::from(m & 0x0F), at + 1));
    }
    // CC–CE, D0–D2, D4–D6, D8–DA: the low two bits are the binary logarithm of the size's width.
    let width = 1usize << (m & 3);
    let Some(field) = message.get(at + 1..at + 1 + width) else {
        return Err(unexpected_end(message, at, 1 + width));
    };
    let size = match *field {
        [a] => u32::from(a),
        [a, b] => u32::from(u16::from_be_bytes([a, b])),
        [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
        _ => return Err(DecodeError::new(at, DecodeReason::ReservedMarker(m))),
    };
    if size > marker::SIZE_MAX {
        return Err(DecodeError::new(at + 1, DecodeReason::SizeTooLarge(size)));
    }
    Ok((size, at + 1 + width))
}

/// The end of the value at `at`, in bytes that were walked before: no checks but those that keep it in bounds.
/// One counter suffices, since nobody needs to know where the containers in between end.
#[inline(always)]
pub(crate) fn skip(message: &[u8], at: usize) -> usize {
    match message.get(at) {
        Some(&m) if LEAF_LEN[usize::from(m)] != 0 => at + usize::from(LEAF_LEN[usize::from(m)]),
        _ => skip_values(message, at, 1),
    }
}

/// The end of `pending` values in a row.
#[inline(never)]
pub(crate) fn skip_values(message: &[u8], mut at: usize, mut pending: u64) -> usize {
    while pending > 0 {
        pending -= 1;
        let Some(&m) = message.get(at) else { return message.len() };
        let len = usize::from(LEAF_LEN[usize::from(m)]);
        if len != 0 {
            at += len;
            continue;
        }
        match Kind::of(m) {
            Kind::List => {
                let Ok((count, body)) = size_at(message, at, m, marker::LIST0) else { return message.len() };
                pending += u64::from(count);
                at = body;
            }
            Kind::Map => {
                let Ok((count, body)) = size_at(message, at, m, marker::MAP0) else { return message.len() };
                pending += 2 * u64::from(count);
                at = body;
            }
            Kind::Structure => {
                pending += u64::from(m & 0x0F);
                at += 2;
            }
            Kind::Uuid => at += 17,
            _ => {
                let Ok((len, body)) = size_at(message, at, m, marker::STRING0) else { return message.len() };
                at = body + len as usize;
            }
        }
    }
    at
}

#[cold]
#[inline(never)]
pub(crate) fn unexpected_end(message: &[u8], at: usize, needed: usize) -> DecodeError {
    let available = message.len().saturating_sub(at);
    DecodeError { offset: at, reason: DecodeReason::UnexpectedEnd { needed, available } }
}

#[cold]
#[inline(never)]
fn ends_before_value(message: &[u8], at: usize) -> DecodeError {
    unexpected_end(message, at, 1)
}
