//! Owns: the eight bytes in front of every payload, and the rules by which old readers live with new senders.
//! Never touches a payload. Limits: 65,535 message types, 256 versions of each, payloads of at most 2³² − 1 bytes.

/// Bytes of a header on the wire.
pub const HEADER_BYTES: usize = 8;

/// Flags a reader may ignore when it does not know them.
pub const FLAGS_OPTIONAL: u8 = 0x0F;

/// Flags a reader must refuse when it does not know them. None is defined, so today any of them refuses the message.
pub const FLAGS_CRITICAL: u8 = 0xF0;

/// The header of one frame.
///
/// **On the wire**, little-endian, 8 bytes:
///
/// ```text
///    0     1     2     3     4     5     6     7
/// ┌─────┬─────┬─────┬─────┬─────┬─────┬─────┬─────┐
/// │  type id  │ ver │flags│        length         │   then `length` bytes of payload
/// └─────┴─────┴─────┴─────┴─────┴─────┴─────┴─────┘
/// ```
///
/// **Rules** that let readers and senders change at different times:
/// 1. A reader that does not know a type id skips `length` bytes and is in step again.
/// 2. A message changes by appending fields, which raises `version`. A newer payload begins with the older one, so a reader
///    ignores the bytes behind the last field it knows. Any other change is a new message with a new type id.
/// 3. `flags & 0x0F` may be ignored by who does not know them; `flags & 0xF0` must be understood, or the message is refused
///    (and skipped, by rule 1).
/// 4. Type id 0 is never a message: eight zero bytes are a stream out of step, not a frame.
///
/// ```
/// use bolt_tlv::Header;
/// let header = Header { type_id: 0x0102, version: 1, flags: 0, length: 84 };
/// assert_eq!(header.to_bytes(), [0x02, 0x01, 1, 0, 84, 0, 0, 0]);
/// assert_eq!(Header::from_bytes(header.to_bytes()), header);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Which message the payload is; never 0.
    pub type_id: u16,
    /// Version of the message, raised with each field appended.
    pub version: u8,
    /// See the rules above; 0 unless the two ends agreed on more.
    pub flags: u8,
    /// Bytes of payload behind the header.
    pub length: u32,
}

impl Header {
    /// The header as it stands on the wire.
    #[inline]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [t0, t1] = self.type_id.to_le_bytes();
        let [l0, l1, l2, l3] = self.length.to_le_bytes();
        [t0, t1, self.version, self.flags, l0, l1, l2, l3]
    }

    /// The header that stands in these bytes. Every eight bytes are some header; whether it is acceptable is for the frame
    /// reader to say.
    #[inline]
    #[must_use]
    pub const fn from_bytes(bytes: [u8; HEADER_BYTES]) -> Self {
        let [t0, t1, version, flags, l0, l1, l2, l3] = bytes;
        Self {
            type_id: u16::from_le_bytes([t0, t1]),
            version,
            flags,
            length: u32::from_le_bytes([l0, l1, l2, l3]),
        }
    }

    /// The flags that a reader of this version does not know and may not ignore.
    #[inline]
    #[must_use]
    pub const fn unknown_critical_flags(self) -> u8 {
        self.flags & FLAGS_CRITICAL
    }
}
