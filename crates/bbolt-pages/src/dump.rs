//! The canonical dump: everything in a database as text, the same for the same contents whatever the pages look like.
//!
//! Owns the format, which the oracle shares, and [`dump`]. One line a bucket and one a plain key, in byte order of the names; a
//! sub-bucket's line is followed at once by what is in it. Never holds more than a line. Limit: values above 32 bytes are told by length
//! and hash, so two databases with equal dumps are equal but for a collision of 64-bit FNV-1a.
//!
//! ```text
//! B /bucket-hex/… seq=N                  a bucket
//! K /bucket-hex/… key-hex v:value-hex    a plain key, value of at most 32 bytes
//! K /bucket-hex/… key-hex h:LEN:HASH     a longer value
//! ```

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use crate::error::{Error, Result};
use crate::page::fnv1a_64;
use crate::walk::{Step, Tree};

/// Values up to this many bytes stand in the dump as they are.
pub const DUMP_VALUE_BYTES: usize = 32;

/// A value as the dump shows it: `v:` and hex, or `h:`, length and hash.
#[derive(Debug, Clone, Copy)]
pub struct DumpValue<'a>(pub &'a [u8]);

impl fmt::Display for DumpValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= DUMP_VALUE_BYTES {
            write!(f, "v:{}", Hex(self.0))
        } else {
            write!(f, "h:{}:{:016x}", self.0.len(), fnv1a_64(self.0))
        }
    }
}

/// Bytes as lower-case hexadecimal.
#[derive(Debug, Clone, Copy)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for piece in self.0.chunks(text.len() / 2) {
            for (pair, byte) in text.chunks_exact_mut(2).zip(piece) {
                pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
            f.write_str(std::str::from_utf8(&text[..2 * piece.len()]).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

/// Writes the dump of what `tree` sees.
///
/// # Errors
/// The first damage on the way (a dump of part of a database would look like one of another), and those of reading and of `out`.
pub fn dump(tree: &Tree<'_>, out: &mut dyn Write) -> Result<()> {
    let write = |e: io::Error| Error::io("write", 0, e);
    let mut walk = tree.walk(&tree.root());
    let mut line = String::new();
    let mut at = String::from("/");
    while let Some(step) = walk.next()? {
        line.clear();
        let told = match step {
            Step::Bucket { path, sequence, .. } => {
                at = path_text(path);
                writeln!(line, "B {at} seq={sequence}")
            }
            Step::Pair { path, key, value } => {
                if at.is_empty() {
                    at = path_text(path);
                }
                writeln!(line, "K {at} {} {}", Hex(key), DumpValue(value))
            }
            // The enclosing bucket goes on: its path is written out again with its next pair.
            Step::End => {
                at.clear();
                Ok(())
            }
            Step::Page(_) => Ok(()),
            Step::Damage(damage) => return Err(damage.into()),
        };
        told.map_err(|_| write(io::ErrorKind::OutOfMemory.into()))?;
        out.write_all(line.as_bytes()).map_err(write)?;
    }
    Ok(())
}

/// `/hex/hex…`, or `/` for the root.
fn path_text(path: &[Vec<u8>]) -> String {
    if path.is_empty() {
        return "/".into();
    }
    path.iter().fold(String::new(), |mut text, name| {
        let _ = write!(text, "/{}", Hex(name));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_one_text() {
        assert_eq!(DumpValue(b"").to_string(), "v:");
        assert_eq!(DumpValue(&[0xAB; 32]).to_string(), format!("v:{}", "ab".repeat(32)));
        let long = vec![b'x'; 33];
        assert_eq!(DumpValue(&long).to_string(), format!("h:33:{:016x}", fnv1a_64(&long)));
        assert_eq!(Hex(&[7; 100]).to_string(), "07".repeat(100));
    }
}
