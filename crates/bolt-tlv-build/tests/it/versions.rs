//! Old and new versions of a message meet: each reads what the other writes, as far as it knows it.

use bolt_tlv::{Message as _, Writer};

use crate::{everything, first};

fn encoded<M: bolt_tlv::Message>(message: &M) -> Vec<u8> {
    let mut memory = vec![0; M::MAX_SIZE];
    let mut writer = Writer::new(M::NAME, &mut memory);
    message.encode_into(&mut writer).expect("the message is within its maxima");
    let written = writer.position();
    memory.truncate(written);
    memory
}

fn new() -> everything::Grown {
    everything::Grown {
        id: 7,
        name: "new".to_owned(),
        side: Some(everything::Side::Sell),
        extra: Some(vec![1, 2, 3]),
    }
}

#[test]
fn an_id_follows_from_the_name_alone() {
    assert_eq!(first::Grown::TYPE_ID, everything::Grown::TYPE_ID);
    assert_eq!((first::Grown::VERSION, everything::Grown::VERSION), (1, 3));
    assert_eq!(everything::Grown::header(9).version, 3);
}

#[test]
fn an_old_reader_passes_over_what_it_does_not_know() {
    let payload = encoded(&new());
    assert!(payload.len() > first::Grown::MAX_SIZE.min(payload.len() - 1));
    let old = first::Grown::decode(&payload).and_then(first::Grown::try_from);
    assert_eq!(old, Ok(first::Grown { id: 7, name: "new".to_owned() }));
}

#[test]
fn a_new_reader_finds_nothing_where_an_old_sender_sent_nothing() {
    let payload = encoded(&first::Grown { id: 7, name: "old".to_owned() });
    let new = everything::Grown::decode(&payload).and_then(everything::Grown::try_from);
    assert_eq!(new, Ok(everything::Grown { id: 7, name: "old".to_owned(), side: None, extra: None }));
    // Version 2 ended behind `side`.
    let second = [&payload[..], &[1, 1]].concat();
    let view = everything::Grown::decode(&second).expect("a message of version 2");
    assert_eq!(
        (view.side(), view.extra().map(|extra| extra.is_none())),
        (Ok(Some(everything::Side::Sell)), Ok(true))
    );
}

#[test]
fn a_nested_message_grows_without_moving_what_stands_behind_it() {
    let payload = encoded(&everything::Holder { grown: new(), after: 0xBEEF });
    let old = first::Holder::decode(&payload).expect("an old reader");
    assert_eq!((old.after(), old.grown().map(|grown| grown.id())), (0xBEEF, Ok(7)));
    let payload = encoded(&first::Holder { grown: first::Grown { id: 1, name: String::new() }, after: 3 });
    let new = everything::Holder::decode(&payload).expect("a new reader");
    assert_eq!((new.after(), new.grown().and_then(|grown| grown.side())), (3, Ok(None)));
}

#[test]
fn an_unknown_value_of_an_enum_spoils_its_field_alone() {
    let mut payload = encoded(&new());
    let at = payload.iter().rposition(|&byte| byte == b'w').expect("the name ends there") + 2;
    payload[at] = 77;
    let view = everything::Grown::decode(&payload).expect("its lengths are right");
    assert!(view.side().is_err());
    assert_eq!(
        (view.id(), view.name(), view.extra().map(|extra| extra.map(|extra| extra.len()))),
        (7, Ok("new"), Ok(Some(3)))
    );
}
