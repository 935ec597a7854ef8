//! The marker byte: which type a value has and how many bytes it takes, as two 256-entry tables.
//! Owns the constants of PackStream versions 1 and 2; never touches a message itself.

/// The type a marker announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `C0`.
    Null,
    /// `C2`, `C3`.
    Bool,
    /// `00`–`7F`, `F0`–`FF`, `C8`–`CB`.
    Int,
    /// `C1`.
    Float,
    /// `CC`–`CE`.
    Bytes,
    /// `80`–`8F`, `D0`–`D2`.
    String,
    /// `90`–`9F`, `D4`–`D6`.
    List,
    /// `A0`–`AF`, `D8`–`DA`.
    Map,
    /// `B0`–`BF`.
    Structure,
    /// `E0`, PackStream 2 only.
    Uuid,
    /// No value begins so.
    Reserved,
}

impl Kind {
    /// The word errors use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Int => "an integer",
            Self::Float => "a float",
            Self::Bytes => "bytes",
            Self::String => "a string",
            Self::List => "a list",
            Self::Map => "a dictionary",
            Self::Structure => "a structure",
            Self::Uuid => "a UUID",
            Self::Reserved => "a reserved marker",
        }
    }

    /// The kind of value that begins with `marker`.
    #[inline]
    #[must_use]
    pub const fn of(marker: u8) -> Self {
        KIND[marker as usize]
    }
}

pub(crate) const NULL: u8 = 0xC0;
pub(crate) const FLOAT: u8 = 0xC1;
pub(crate) const FALSE: u8 = 0xC2;
pub(crate) const TRUE: u8 = 0xC3;
pub(crate) const INT8: u8 = 0xC8;
pub(crate) const INT16: u8 = 0xC9;
pub(crate) const INT32: u8 = 0xCA;
pub(crate) const INT64: u8 = 0xCB;
pub(crate) const BYTES8: u8 = 0xCC;
pub(crate) const BYTES32: u8 = 0xCE;
pub(crate) const STRING0: u8 = 0x80;
pub(crate) const STRING8: u8 = 0xD0;
pub(crate) const STRING32: u8 = 0xD2;
pub(crate) const LIST0: u8 = 0x90;
pub(crate) const LIST8: u8 = 0xD4;
pub(crate) const LIST32: u8 = 0xD6;
pub(crate) const MAP0: u8 = 0xA0;
pub(crate) const MAP8: u8 = 0xD8;
pub(crate) const MAP32: u8 = 0xDA;
pub(crate) const STRUCT0: u8 = 0xB0;
pub(crate) const UUID: u8 = 0xE0;

/// Sizes end here: 2³¹ − 1, though four bytes could hold more.
pub(crate) const SIZE_MAX: u32 = i32::MAX as u32;

const fn kind_of(marker: u8) -> Kind {
    match marker {
        0x00..=0x7F | 0xF0..=0xFF | INT8..=INT64 => Kind::Int,
        0x80..=0x8F | STRING8..=STRING32 => Kind::String,
        0x90..=0x9F | LIST8..=LIST32 => Kind::List,
        0xA0..=0xAF | MAP8..=MAP32 => Kind::Map,
        0xB0..=0xBF => Kind::Structure,
        NULL => Kind::Null,
        FLOAT => Kind::Float,
        FALSE | TRUE => Kind::Bool,
        BYTES8..=BYTES32 => Kind::Bytes,
        UUID => Kind::Uuid,
        _ => Kind::Reserved,
    }
}

const fn leaf_len_of(marker: u8) -> u8 {
    match marker {
        0x00..=0x7F | 0xF0..=0xFF | NULL | FALSE | TRUE => 1,
        FLOAT | INT64 => 9,
        INT8 => 2,
        INT16 => 3,
        INT32 => 5,
        0x80..=0x8F => 1 + (marker & 0x0F),
        _ => 0,
    }
}

static KIND: [Kind; 256] = {
    let mut table = [Kind::Reserved; 256];
    let mut m = 0;
    while m < 256 {
        table[m] = kind_of(m as u8);
        m += 1;
    }
    table
};

/// Bytes of a value whose marker alone tells its length, marker included; 0 for all others
/// (sized strings and bytes, containers, `E0`, reserved markers).
pub(crate) static LEAF_LEN: [u8; 256] = {
    let mut table = [0; 256];
    let mut m = 0;
    while m < 256 {
        table[m] = leaf_len_of(m as u8);
        m += 1;
    }
    table
};
