#![doc = include_str!("../README.md")]
//!
//! # This file
//!
//! Owns the crate's face: which names are public and the limits of keys and values. Holds no code of its own.
//! Limit: files only; nothing here opens a socket, and no state is global.

mod batch;
mod bucket;
mod check;
mod compact;
mod cursor;
mod db;
#[doc(hidden)]
pub mod digest;
mod dump;
mod error;
#[doc(hidden)]
pub mod free;
mod freelist;
mod homes;
mod image;
pub mod io;
mod iter;
mod lookup;
mod map;
#[cfg(any(test, feature = "model"))]
pub mod model;
mod open;
mod options;
pub mod page;
mod places;
mod raw_file;
#[doc(hidden)]
pub mod readers;
mod repair;
mod scale;
mod source;
mod stats;
mod survey;
mod svg;
mod tx;
mod walk;
mod work;
mod write;

pub use bucket::{Bucket, Entry, Value};
pub use check::{CheckOptions, Counts, Finding, Report, Severity, check, check_meta};
pub use compact::{Copied, compact, salvage};
pub use cursor::Cursor;
pub use db::Db;
pub use dump::{DUMP_VALUE_BYTES, DumpValue, Hex, dump};
pub use error::{Damage, Error, IoFailure, Refusal, Result, Rule, Usage};
pub use iter::Iter;
pub use map::Hint;
pub use options::{FreelistType, MapMode, Options};
pub use raw_file::{Allocation, RawBytes, RawFile, open_shared};
pub use repair::{Repaired, backup, repair};
pub use stats::{MemoryStats, Stats, TxStats};
pub use survey::{BucketStats, BucketTree, PageInfo, PageTable, PageUse};
pub use svg::{SQUARES_MAX, map_svg};
pub use tx::ReadTx;
pub use walk::{Found, FoundBucket, PageSeen, Step, Tree, Walk};
pub use work::BucketId;
pub use write::{BucketMut, CursorMut, CursorState, WriteTx};

/// Most bytes of a key.
pub const MAX_KEY_BYTES: usize = 32_768;
/// Most bytes of a bucket's name. bbolt sets no limit; what follows from the format's 32-bit positions is far above this one.
pub const MAX_NAME_BYTES: usize = 1 << 20;
/// Most bytes of a value. bbolt permits 2^31 − 2 and then cannot read it back: position, key and value of an element must stay below
/// 2^31. This is what is left for the value beside the longest key and the fullest page.
pub const MAX_VALUE_BYTES: usize = (1 << 31) - 1 - (MAX_KEY_BYTES + 16 * 65_535);
