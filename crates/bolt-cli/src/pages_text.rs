//! Keys and values as `bolt pages` shows them: bbolt's five formats.
//!
//! Owns the formats and nothing of the file. `ascii-encoded` is the quoting of Go's `%q`, `redacted` a length and a SHA-256, so that a
//! listing can be shown to somebody who may not see the data. Limit: what counts as printable is Unicode's word as the Rust standard
//! library knows it; Go's tables may be of another version.

use bbolt_pages::Hex;

/// How bytes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As text if all of it is printable, else in hexadecimal.
    Auto,
    /// Quoted, with escapes.
    AsciiEncoded,
    Hex,
    /// As they are.
    Bytes,
    /// Length and SHA-256.
    Redacted,
}

impl Format {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "ascii-encoded" => Self::AsciiEncoded,
            "hex" => Self::Hex,
            "bytes" => Self::Bytes,
            "redacted" => Self::Redacted,
            _ => return None,
        })
    }

    /// The text of `bytes`; bytes themselves for [`Format::Bytes`].
    pub(crate) fn show(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Auto if is_printable(bytes) => bytes.to_vec(),
            Self::Bytes => bytes.to_vec(),
            Self::Auto | Self::Hex => Hex(bytes).to_string().into_bytes(),
            Self::AsciiEncoded => quoted(bytes).into_bytes(),
            Self::Redacted => {
                format!("<redacted len:{} sha256:{}>", bytes.len(), Hex(&sha256(bytes))).into_bytes()
            }
        }
    }
}

/// Whether `bytes` are text without control characters or blanks other than the space.
pub(crate) fn is_printable(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(is_print))
}

fn is_print(c: char) -> bool {
    match c {
        ' ' | '"' | '\'' | '\\' => true,
        _ if c.is_whitespace() || c.is_control() => false,
        // Behind another character a mark that combines with it is shown as it is, and Go calls it printable anywhere.
        _ => format!("x{c}").escape_debug().nth(2).is_none(),
    }
}

/// Go's `%q`.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\u{7}' => text.push_str("\\a"),
                '\u{8}' => text.push_str("\\b"),
                '\u{c}' => text.push_str("\\f"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\u{b}' => text.push_str("\\v"),
                c if is_print(c) => text.push(c),
                c if c < ' ' || c == '\u{7f}' => text += &format!("\\x{:02x}", u32::from(c)),
                c if u32::from(c) < 0x1_0000 => text += &format!("\\u{:04x}", u32::from(c)),
                c => text += &format!("\\U{:08x}", u32::from(c)),
            }
        }
        for byte in chunk.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text.push('"');
    text
}

/// Bytes from hexadecimal digits, two a byte.
pub(crate) fn parse_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8)).collect()
}

/// SHA-256 [FIPS 180-4].
fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut state: [u32; 8] = std::array::from_fn(|at| root_bits(PRIMES[at], 2));
    let rounds: [u32; 64] = std::array::from_fn(|at| root_bits(PRIMES[at], 3));
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend_from_slice(&(8 * bytes.len() as u64).to_be_bytes());
    for block in padded.as_chunks::<64>().0 {
        let mut words = [0_u32; 64];
        for (word, four) in words.iter_mut().zip(block.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*four);
        }
        for at in 16..64 {
            let (a, b) = (words[at - 15], words[at - 2]);
            let s0 = a.rotate_right(7) ^ a.rotate_right(18) ^ a >> 3;
            let s1 = b.rotate_right(17) ^ b.rotate_right(19) ^ b >> 10;
            words[at] = words[at - 16].wrapping_add(s0).wrapping_add(words[at - 7]).wrapping_add(s1);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
        for (word, round) in words.iter().zip(rounds) {
            let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let first =
                h.wrapping_add(s1).wrapping_add(e & f ^ !e & g).wrapping_add(round).wrapping_add(*word);
            let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let second = s0.wrapping_add(a & b ^ a & c ^ b & c);
            (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(first), c, b, a, first.wrapping_add(second));
        }
        for (total, word) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *total = total.wrapping_add(word);
        }
    }
    let mut hash = [0; 32];
    for (four, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *four = word.to_be_bytes();
    }
    hash
}

const PRIMES: [u64; 64] = primes();

const fn primes() -> [u64; 64] {
    let (mut primes, mut count, mut candidate) = ([0; 64], 0, 2);
    while count < 64 {
        let mut at = 0;
        while at < count && candidate % primes[at] != 0 {
            at += 1;
        }
        if at == count {
            primes[count] = candidate;
            count += 1;
        }
        candidate += 1;
    }
    primes
}

/// The first 32 bits behind the point of the square (2) or cube (3) root of `n`: the constants of the standard.
fn root_bits(n: u64, degree: u32) -> u32 {
    // The greatest r with r^degree <= n * 2^(32 degree), found bit by bit; its low 32 bits are the fraction.
    let target = u128::from(n) << (32 * degree).min(120);
    let mut root = 0_u128;
    for bit in (0..36).rev() {
        let next = root | 1 << bit;
        let power = (0..degree).try_fold(1_u128, |power, _| power.checked_mul(next));
        if power.is_some_and(|power| power <= target) {
            root = next;
        }
    }
    root as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: Format, bytes: &[u8]) -> String {
        String::from_utf8(format.show(bytes)).expect("text")
    }

    #[test]
    fn formats_are_those_of_bbolt() {
        for (bytes, auto, ascii) in [
            (&b"plain text"[..], "plain text", "\"plain text\""),
            (b"", "", "\"\""),
            (b"a\nb", "610a62", "\"a\\nb\""),
            (b"\xff\x00", "ff00", "\"\\xff\\x00\""),
            (b"say \"x\" \\", "say \"x\" \\", "\"say \\\"x\\\" \\\\\""),
            ("\u{e9}\u{200b}".as_bytes(), "c3a9e2808b", "\"\u{e9}\\u200b\""),
            (b"\x7f", "7f", "\"\\x7f\""),
            ("\u{301}".as_bytes(), "\u{301}", "\"\u{301}\""),
        ] {
            assert_eq!(shown(Format::Auto, bytes), auto);
            assert_eq!(shown(Format::AsciiEncoded, bytes), ascii);
            assert_eq!(Format::Bytes.show(bytes), bytes);
            assert_eq!(parse_hex(&Format::Hex.show(bytes)).as_deref(), Some(bytes));
        }
        assert_eq!(parse_hex(b"abc"), None);
        assert_eq!(parse_hex(b"zz"), None);
    }

    #[test]
    fn the_hash_has_its_published_values() {
        for (bytes, hash) in [
            (&b""[..], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (&[b'a'; 1_000_000], "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        ] {
            let wanted = format!("<redacted len:{} sha256:{hash}>", bytes.len());
            assert_eq!(shown(Format::Redacted, bytes), wanted);
        }
    }
}
