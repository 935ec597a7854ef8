//! Keys of one page as numbers: a few bits that tell them apart and keep their order.
//!
//! Owns [`Scale`], which of a page's keys what makes such a number, and its form in a word beside a page's number. The number is a function of the
//! key's bytes alone, so keys with different numbers are different; it keeps the order of keys that have the page's common bytes. Knows no
//! page and no table. Limits: prefixes of up to 4,095 bytes, pages below 2^32.

/// The eight bytes behind a common prefix as a number; a key that ends before is as if zeros followed.
#[inline(always)]
pub(crate) fn head(key: &[u8], prefix: usize) -> u64 {
    let Some(rest) = key.get(prefix..) else { return 0 };
    if let Some(bytes) = rest.first_chunk::<8>() {
        return u64::from_be_bytes(*bytes);
    }
    rest.iter().fold(0, |head, &byte| head << 8 | u64::from(byte)) << (8 * (8 - rest.len() as u32) % 64)
}

/// The first `count` bytes of a word, as they stand in a key.
#[inline(always)]
fn leading(count: usize) -> u64 {
    if count >= 8 { u64::MAX } else { !(u64::MAX >> (8 * count)) }
}

fn common_prefix(first: &[u8], last: &[u8]) -> usize {
    first.iter().zip(last).take_while(|(a, b)| a == b).count()
}

/// How keys of one page become numbers: `(head − low) >> shift`, which keeps their order. The head is the eight bytes behind the common prefix; or, where
/// all keys agree again after a few of them, as in `tenant-07/object/5f…`, those few and then the bytes behind what they agree in.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    prefix: usize,
    /// Bytes behind the prefix in which keys differ, and bytes behind those in which they agree; 8 and 0 if there is no such place.
    differ: usize,
    agree: usize,
    pub(crate) low: u64,
    shift: u32,
}

/// Words behind the common prefix in which it is looked for bytes that all keys have.
const LOOKED_AT: usize = 5;

impl Scale {
    const PREFIX_MOST: usize = (1 << 12) - 1;
    const AGREE_MOST: usize = (1 << 5) - 1;
    const EXTRA_BITS: u32 = 6;

    /// For `count` ascending keys, in `bits` bits; the lowest `coarse` bits of heads, fewer than 64, are not looked at.
    pub(crate) fn of<'k>(
        count: usize,
        key: impl Fn(usize) -> Option<&'k [u8]>,
        bits: u32,
        coarse: u32,
    ) -> Option<Self> {
        let (first, last) = (key(0)?, key(count.checked_sub(1)?)?);
        let prefix = common_prefix(first, last);
        let (differ, agree) = Self::agreement(count, &key, first, prefix)?;
        let scale = Self { prefix, differ, agree, low: 0, shift: 0 };
        let (low, high) = (scale.head(first) >> coarse << coarse, scale.head(last));
        let width = u64::BITS - high.checked_sub(low)?.leading_zeros();
        let shift = width.saturating_sub(bits).max(coarse);
        (prefix <= Self::PREFIX_MOST).then_some(Self { low, shift, ..scale })
    }

    /// The longest run of bytes behind the prefix that all keys have, if it begins within a head: how many bytes before it differ, and its length.
    fn agreement<'k>(
        count: usize,
        key: impl Fn(usize) -> Option<&'k [u8]>,
        first: &[u8],
        prefix: usize,
    ) -> Option<(usize, usize)> {
        let mut differing = [0; LOOKED_AT];
        let mut shortest = usize::MAX;
        for index in 0..count {
            let key = key(index)?;
            shortest = shortest.min(key.len());
            for (word, differing) in differing.iter_mut().enumerate() {
                *differing |= head(key, prefix + 8 * word) ^ head(first, prefix + 8 * word);
            }
        }
        let reach = shortest.saturating_sub(prefix).min(8 * LOOKED_AT);
        let agrees = |at: usize| at < reach && (differing[at / 8] >> (56 - 8 * (at % 8))) & 0xFF == 0;
        let (mut best, mut at) = ((8, 0), 1);
        while at < 8 {
            let length = (at..reach).take_while(|&at| agrees(at)).count();
            if length > best.1 {
                best = (at, length.min(Self::AGREE_MOST));
            }
            at += length + 1;
        }
        Some(best)
    }

    /// Where the bytes that decide end to be looked for: all before them but those that differ are the same in all keys.
    #[inline(always)]
    pub(crate) fn common_end(self) -> usize {
        if self.agree == 0 { self.prefix } else { self.prefix + self.differ + self.agree }
    }

    /// Which bytes of word `word` of a key are the same in all keys before [`Scale::common_end`].
    #[inline(always)]
    pub(crate) fn common_bytes(self, word: usize) -> u64 {
        let upto = |end: usize| leading(end.saturating_sub(8 * word));
        if self.agree == 0 {
            return upto(self.prefix);
        }
        upto(self.common_end()) & !(upto(self.prefix + self.differ) & !upto(self.prefix))
    }

    #[inline(always)]
    fn head(self, key: &[u8]) -> u64 {
        let near = head(key, self.prefix);
        if self.agree == 0 {
            return near;
        }
        near & leading(self.differ) | head(key, self.common_end()) >> (8 * self.differ % 64)
    }

    #[inline(always)]
    pub(crate) fn digest(self, key: &[u8], most: u64) -> u64 {
        (self.head(key).saturating_sub(self.low) >> self.shift).min(most)
    }

    /// With a page's number and six more bits, as one word; `None` if the number needs more than 32 bits.
    pub(crate) fn pack(self, page: u64, extra: u8) -> Option<u64> {
        let page = u64::from(u32::try_from(page).ok()?);
        let fields = [
            (self.prefix as u64, 12),
            (self.differ as u64 - 1, 3),
            (self.agree as u64, 5),
            (u64::from(self.shift), 6),
            (u64::from(extra), Self::EXTRA_BITS),
        ];
        (u32::from(extra) >> Self::EXTRA_BITS == 0)
            .then(|| fields.iter().fold(page, |word, &(field, bits)| word << bits | field))
    }

    #[inline(always)]
    pub(crate) fn unpack(word: u64, low: u64) -> (Self, u8) {
        let field = |at: u32, bits: u32| (word >> at & ((1 << bits) - 1)) as usize;
        let (prefix, differ, agree) = (field(20, 12), field(17, 3) + 1, field(12, 5));
        (Self { prefix, differ, agree, low, shift: field(6, 6) as u32 }, field(0, Self::EXTRA_BITS) as u8)
    }
}
