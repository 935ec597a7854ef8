//! Owns: the byte form of a string pool. Numbers are LEB128 (at most 32 bits), but for the fixed ones:
//!
//! ```text
//!   b o l t s t r   1        magic and version
//!   numbers used             then for each its generation; odd: alive
//!   strings                  then for each, oldest first within its queue:
//!     number   kind   [pins]   length   text
//!   checksum                 FNV-1a of all before, 64 bits, little-endian
//! ```
//!
//! Kinds: 0 small queue, 1 the same and asked for, 2 main queue, 3 the same and asked for, 4 pinned, with its pins.
//! Reading checks everything: a snapshot is refused with its offset, or gives a pool as good as any.

use alloc::vec::Vec;
use core::fmt;

use crate::strings_config::StringError;
use crate::strings_core::{Core, Kept, Memory, Place, Put};
use crate::strings_index::tag_of;

/// The last byte is the version of the form.
const MAGIC: [u8; 8] = *b"boltstr\x01";
const CHECKSUM_BYTES: usize = 8;

/// Why a snapshot was refused, and where. `Copy`, no heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotError {
    /// The byte of the snapshot at which it ends to make sense.
    pub at: usize,
    /// What is wrong there.
    pub fault: SnapshotFault,
}

/// What is wrong with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotFault {
    /// It does not begin as a snapshot does.
    NotASnapshot,
    /// A version that this crate does not read.
    Version(u8),
    /// It ends here, in the middle.
    Truncated,
    /// Bytes follow after its end.
    TrailingBytes(usize),
    /// The checksum is another one.
    Checksum,
    /// A number over 32 bits.
    Number,
    /// It has more numbers than this pool has places.
    TooManyStrings {
        /// Of the snapshot.
        strings: u32,
        /// Of the pool.
        strings_max: u32,
    },
    /// A string's number that is not among those alive, or comes twice.
    Slot(u32),
    /// A generation says that a string is alive, and none has that number; or the other way round.
    Missing(u32),
    /// A kind that does not exist.
    Kind(u8),
    /// Pins out of 1..=65535.
    Pins(u32),
    /// The text is not UTF-8, as a `StringPool` needs it.
    Utf8,
    /// The text is in the snapshot twice.
    TextTwice,
    /// The pool cannot take the string, or cannot be made.
    Pool(StringError),
}

impl SnapshotError {
    pub(crate) fn pool(error: StringError) -> Self {
        Self { at: 0, fault: SnapshotFault::Pool(error) }
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot of strings, byte {}: ", self.at)?;
        match self.fault {
            SnapshotFault::NotASnapshot => write!(f, "it must begin with \"boltstr\""),
            SnapshotFault::Version(version) => write!(f, "version {version}, but only version 1 is known"),
            SnapshotFault::Truncated => write!(f, "it ends in the middle"),
            SnapshotFault::TrailingBytes(bytes) => write!(f, "{bytes} bytes follow after its end"),
            SnapshotFault::Checksum => write!(f, "the checksum differs: some byte before was changed"),
            SnapshotFault::Number => write!(f, "a number over 32 bits"),
            SnapshotFault::TooManyStrings { strings, strings_max } => {
                write!(f, "{strings} strings, but the pool has {strings_max} places: raise strings_max")
            }
            SnapshotFault::Slot(slot) => write!(f, "number {slot} is not alive, or came before"),
            SnapshotFault::Missing(strings) => {
                write!(f, "the generations tell of another number of strings than {strings}")
            }
            SnapshotFault::Kind(kind) => write!(f, "kind {kind}, but kinds are 0 to 4"),
            SnapshotFault::Pins(pins) => write!(f, "{pins} pins, but 1 to 65535 are possible"),
            SnapshotFault::Utf8 => write!(f, "the text is not UTF-8"),
            SnapshotFault::TextTwice => write!(f, "the text came before"),
            SnapshotFault::Pool(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for SnapshotError {}

fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn put(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn write<M: Memory>(core: &Core<M>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    put(out, core.generations().len() as u32);
    for generation in core.generations() {
        put(out, generation);
    }
    put(out, core.stats().strings as u32);
    core.each(|memory, kept| {
        put(out, kept.slot);
        let kind = match kept.place {
            Place::Small => u8::from(kept.visited),
            Place::Main => 2 + u8::from(kept.visited),
            Place::Block | Place::Free => 4,
        };
        out.push(kind);
        if kind == 4 {
            put(out, u32::from(kept.pins));
        }
        put(out, kept.len);
        memory.copy_to(kept.slot, kept.at, kept.len as usize, out);
    });
    let sum = checksum(&out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn fault<T>(&self, at: usize, fault: SnapshotFault) -> Result<T, SnapshotError> {
        Err(SnapshotError { at, fault })
    }

    fn byte(&mut self) -> Result<u8, SnapshotError> {
        let Some(&byte) = self.bytes.get(self.at) else {
            return self.fault(self.at, SnapshotFault::Truncated);
        };
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u32, SnapshotError> {
        let start = self.at;
        let mut number = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return match u32::try_from(number) {
                    Ok(number) => Ok(number),
                    Err(_) => self.fault(start, SnapshotFault::Number),
                };
            }
        }
        self.fault(start, SnapshotFault::Number)
    }

    fn text<S: Text<'a>>(&mut self, len: usize) -> Result<S, SnapshotError> {
        let bytes = match self.bytes[self.at..].get(..len) {
            Some(bytes) => bytes,
            None => return self.fault(self.bytes.len(), SnapshotFault::Truncated),
        };
        match S::checked(bytes) {
            Ok(text) => {
                self.at += len;
                Ok(text)
            }
            Err(valid) => self.fault(self.at + valid, SnapshotFault::Utf8),
        }
    }
}

/// What the texts of a pool may be.
pub(crate) trait Text<'a>: AsRef<[u8]> + Copy {
    /// The text, or how many of the bytes could be one.
    fn checked(bytes: &'a [u8]) -> Result<Self, usize>;
}

impl<'a> Text<'a> for &'a str {
    fn checked(bytes: &'a [u8]) -> Result<Self, usize> {
        core::str::from_utf8(bytes).map_err(|error| error.valid_up_to())
    }
}

#[cfg(feature = "bytes")]
impl<'a> Text<'a> for &'a [u8] {
    fn checked(bytes: &'a [u8]) -> Result<Self, usize> {
        Ok(bytes)
    }
}

/// Fills a new pool.
pub(crate) fn read<'a, S: Text<'a>, M: Put<S>>(
    core: &mut Core<M>,
    bytes: &'a [u8],
) -> Result<(), SnapshotError> {
    let same = bytes.iter().zip(&MAGIC).take_while(|(one, other)| one == other).count();
    if same < MAGIC.len() {
        let fault = match bytes.get(same) {
            None => SnapshotFault::Truncated,
            Some(&version) if same == MAGIC.len() - 1 => SnapshotFault::Version(version),
            Some(_) => SnapshotFault::NotASnapshot,
        };
        return Err(SnapshotError { at: same, fault });
    }
    let Some(end) = bytes.len().checked_sub(CHECKSUM_BYTES).filter(|&end| end >= MAGIC.len()) else {
        return Err(SnapshotError { at: bytes.len(), fault: SnapshotFault::Truncated });
    };
    let mut reader = Reader { bytes: &bytes[..end], at: MAGIC.len() };
    let fault = |at, fault| Err(SnapshotError { at, fault });

    let at = reader.at;
    let slots = reader.number()?;
    let strings_max = core.plan().strings_max;
    if slots > strings_max {
        return fault(at, SnapshotFault::TooManyStrings { strings: slots, strings_max });
    }
    let generations = reader.at;
    let mut alive = 0;
    for _ in 0..slots {
        alive += reader.number()? % 2;
    }
    let at = reader.at;
    let strings = reader.number()?;
    if strings != alive {
        return fault(at, SnapshotFault::Missing(strings));
    }
    // Read once more, now that their number is known to be right: nothing is kept between but the pool itself.
    let mut again = Reader { bytes: reader.bytes, at: generations };
    core.restore_slots((0..slots).map_while(|_| again.number().ok()));
    let mut odd = OddBits { reader: Reader { bytes: reader.bytes, at: generations }, bits: Vec::new() };
    odd.fill(slots)?;

    for _ in 0..strings {
        let at = reader.at;
        let slot = reader.number()?;
        if !odd.take(slot) || !core.is_free(slot) {
            return fault(at, SnapshotFault::Slot(slot));
        }
        let at = reader.at;
        let (place, visited, pins) = match reader.byte()? {
            kind @ 0..=1 => (Place::Small, kind == 1, 0),
            kind @ 2..=3 => (Place::Main, kind == 3, 0),
            4 => {
                let at = reader.at;
                let pins = reader.number()?;
                match u16::try_from(pins) {
                    Ok(pins) if pins > 0 => (Place::Block, false, pins),
                    _ => return fault(at, SnapshotFault::Pins(pins)),
                }
            }
            kind => return fault(at, SnapshotFault::Kind(kind)),
        };
        let len = reader.number()?;
        let at = reader.at;
        let text = reader.text::<S>(len as usize)?;
        if core.get(tag_of(text.as_ref()), text.as_ref()).is_some() {
            return fault(at, SnapshotFault::TextTwice);
        }
        let kept = Kept { slot, place, visited, pins, at: 0, len };
        if let Err(error) = core.restore(kept, text) {
            return fault(at, SnapshotFault::Pool(error));
        }
    }
    if reader.at != end {
        return fault(reader.at, SnapshotFault::TrailingBytes(end - reader.at));
    }
    // Last: what was torn is told by its place, and only what reads well can be caught by the sum alone.
    if bytes[end..] != checksum(&bytes[..end]).to_le_bytes() {
        return fault(end, SnapshotFault::Checksum);
    }
    core.restore_done();
    Ok(())
}

/// Which numbers are alive by the generations and have no string yet: a bit each.
struct OddBits<'a> {
    reader: Reader<'a>,
    bits: Vec<u64>,
}

impl OddBits<'_> {
    fn fill(&mut self, slots: u32) -> Result<(), SnapshotError> {
        self.bits.resize((slots as usize).div_ceil(64), 0);
        for slot in 0..slots as usize {
            self.bits[slot / 64] |= u64::from(self.reader.number()? % 2) << (slot % 64);
        }
        Ok(())
    }

    fn take(&mut self, slot: u32) -> bool {
        let Some(bits) = self.bits.get_mut(slot as usize / 64) else { return false };
        let bit = 1 << (slot % 64);
        let was = *bits & bit != 0;
        *bits &= !bit;
        was
    }
}
