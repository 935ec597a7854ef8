//! Any bytes as a frame of `everything.yaml`: two bytes of id, then the payload.
//!
//! Owns what must hold whatever the bytes are. The tests and the fuzz target `tlv_message` run it; both have the generated code as
//! `crate::everything`.

use bolt_tlv::{DecodeError, Writer};

use crate::everything::{self, Message};

/// Decodes a message, reads every field into an owned one, and writes that. Returns whether it was a known and whole one.
pub(crate) fn run(bytes: &[u8]) -> bool {
    let Some((id, payload)) = bytes.split_first_chunk() else { return false };
    let type_id = u16::from_le_bytes(*id);
    let message = match Message::decode(type_id, payload) {
        Ok(message) => message,
        Err(error) => return is_in_place(error, payload),
    };
    assert_eq!(message.type_id(), type_id);
    match message {
        Message::Level(view) => again::<everything::Level>(view.try_into(), payload),
        Message::Note(view) => again::<everything::Note>(view.try_into(), payload),
        Message::OrderBook(view) => again::<everything::OrderBook>(view.try_into(), payload),
        Message::Numbers(view) => again::<everything::Numbers>(view.try_into(), payload),
        Message::Shapes(view) => again::<everything::Shapes>(view.try_into(), payload),
        Message::Wide(view) => again::<everything::Wide>(view.try_into(), payload),
        Message::Grown(view) => again::<everything::Grown>(view.try_into(), payload),
        Message::Holder(view) => again::<everything::Holder>(view.try_into(), payload),
        Message::Heartbeat(view) => again::<everything::Heartbeat>(view.try_into(), payload),
        Message::Names(view) => again::<everything::Names>(everything::Names::try_from(view), payload),
        Message::Unknown { payload: kept, .. } => {
            assert_eq!(kept, payload);
            false
        }
    }
}

/// What was read can be written, and what was written reads as the same bytes once more.
fn again<M: bolt_tlv::Message>(message: Result<M, DecodeError>, payload: &[u8]) -> bool {
    let message = match message {
        Ok(message) => message,
        Err(error) => return is_in_place(error, payload),
    };
    let mut memory = vec![0; M::MAX_SIZE];
    let mut writer = Writer::new(M::NAME, &mut memory);
    message.encode_into(&mut writer).expect("what was read is within its maxima");
    let written = writer.position();
    assert_eq!(written, message.encoded_len());
    let known = match Message::decode(M::TYPE_ID, &memory[..written]) {
        Ok(known) => known,
        Err(error) => panic!("what was written cannot be read: {error}"),
    };
    assert_eq!(known.type_id(), M::TYPE_ID);
    true
}

fn is_in_place(error: DecodeError, payload: &[u8]) -> bool {
    assert!(error.offset <= payload.len(), "{error}");
    assert!(!error.message.is_empty() && !error.field.is_empty(), "{error}");
    false
}
