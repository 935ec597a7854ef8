//! Generated code in a crate without the standard library, as firmware has it: that it compiles is the proof.
//!
//! Owns nothing: every type of a schema stands in `tests/schemas/everything.yaml`, and a payload is read and written here with `core` alone.

#![no_std]

/// What `tests/schemas/everything.yaml` becomes.
#[allow(dead_code)]
pub mod messages {
    include!("../tests/golden/everything.rs.txt");
}

use bolt_tlv::{DecodeError, EncodeError, Message as _, Writer};
use messages::{Note, NoteParts};

/// Writes a note into memory that is there already.
///
/// # Errors
/// It is too long, or the memory too short.
pub fn write(memory: &mut [u8], text: &str) -> Result<usize, EncodeError> {
    let mut writer = Writer::new(Note::NAME, memory);
    NoteParts { text, tags: &[] }.encode_into(&mut writer)?;
    Ok(writer.position())
}

/// The text of a note, still in its payload.
///
/// # Errors
/// The payload is no note.
pub fn text(payload: &[u8]) -> Result<&str, DecodeError> {
    Note::decode(payload)?.text()
}
