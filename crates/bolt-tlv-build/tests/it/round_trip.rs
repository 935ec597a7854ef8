//! What is written is what is read: every type, random values, the largest values, and payloads that were damaged on the way.
//!
//! Owns a generator of random messages of `everything.yaml`.

use bolt_tlv::{DecodeErrorKind, EncodeErrorKind, I256, Message as _, U256, View, Writer};

use crate::everything::*;
use crate::{Random, any_message, source};

/// How many random messages of each kind are tried.
const ROUNDS: usize = if cfg!(miri) { 2 } else { 300 };

fn encoded(message: &impl bolt_tlv::Message) -> Vec<u8> {
    try_encoded(message).expect("the message is within its maxima")
}

fn try_encoded<M: bolt_tlv::Message>(message: &M) -> Result<Vec<u8>, bolt_tlv::EncodeError> {
    let mut memory = vec![0xAA; M::MAX_SIZE];
    let mut writer = Writer::new(M::NAME, &mut memory);
    message.encode_into(&mut writer)?;
    let written = writer.position();
    assert_eq!(message.encoded_len(), written, "{}: the size said before is the size written", M::NAME);
    memory.truncate(written);
    Ok(memory)
}

/// Encodes, decodes, compares; then damages the payload in every way that fits into the time.
fn round_trip<M>(message: &M, random: &mut Random, owned: impl Fn(&[u8]) -> Result<M, bolt_tlv::DecodeError>)
where
    M: bolt_tlv::Message + PartialEq + std::fmt::Debug,
{
    let payload = encoded(message);
    assert!(payload.len() <= M::MAX_SIZE && M::MAX_SIZE <= M::BUFFER_CLASS);
    assert_eq!(owned(&payload).as_ref(), Ok(message));
    // Shorter than the message: an error that says where, or an older version of it. Never a panic.
    for _ in 0..20 {
        let end = random.below(payload.len().max(1));
        if let Err(error) = owned(&payload[..end]) {
            assert!(
                error.offset <= end && !error.message.is_empty() && !error.to_string().is_empty(),
                "{error:?}"
            );
        }
    }
    for _ in 0..20 {
        let mut damaged = payload.clone();
        for _ in 0..=random.below(3) {
            if !damaged.is_empty() {
                let at = random.below(damaged.len());
                damaged[at] = random.next() as u8;
            }
        }
        // Whatever is read from it is a message, and a message can be written.
        if let Ok(other) = owned(&damaged) {
            assert!(encoded(&other).len() <= M::MAX_SIZE);
        }
    }
}

macro_rules! round_trips {
    ($($name:ident: $type:ident, $make:expr;)*) => {$(
        #[test]
        fn $name() {
            let mut random = Random(1);
            for _ in 0..ROUNDS {
                let message = $make(&mut random);
                let owned = |payload: &[u8]| $type::decode(payload).and_then($type::try_from);
                round_trip(&message, &mut random, owned);
            }
        }
    )*};
}

round_trips! {
    levels_come_back: Level, level;
    notes_come_back: Note, note;
    books_come_back: OrderBook, book;
    numbers_come_back: Numbers, numbers;
    shapes_come_back: Shapes, shapes;
    grown_messages_come_back: Grown, grown;
    holders_come_back: Holder, |random: &mut Random| Holder { grown: grown(random), after: random.next() as u16 };
    names_come_back: Names, names;
    heartbeats_come_back: Heartbeat, |_: &mut Random| Heartbeat {};
}

fn text(random: &mut Random, max: usize) -> String {
    let mut text = String::new();
    for _ in 0..random.below(max + 1) {
        let c = ['a', 'ß', '€', '🦀'][random.below(4)];
        if text.len() + c.len_utf8() <= max {
            text.push(c);
        }
    }
    text
}

fn list<T>(random: &mut Random, max: usize, mut item: impl FnMut(&mut Random) -> T) -> Vec<T> {
    (0..random.below(max + 1)).map(|_| item(random)).collect()
}

fn some<T>(random: &mut Random, item: impl FnOnce(&mut Random) -> T) -> Option<T> {
    (random.below(2) == 0).then(|| item(random))
}

fn side(random: &mut Random) -> Side {
    if random.below(2) == 0 { Side::Buy } else { Side::Sell }
}

fn level(random: &mut Random) -> Level {
    Level { price: random.next(), amount: u128::from(random.next()) << random.below(32), side: side(random) }
}

fn note(random: &mut Random) -> Note {
    Note { text: text(random, 40), tags: list(random, 5, |random| text(random, 12)) }
}

fn book(random: &mut Random) -> OrderBook {
    OrderBook {
        market: text(random, 32),
        sequence: random.next(),
        bids: list(random, 20, level),
        asks: list(random, 20, level),
        closed: random.below(2) == 0,
        note: some(random, note),
    }
}

/// The low `bits` of a random number, sign-extended.
fn signed(random: &mut Random, bits: u32) -> i128 {
    let wide = i128::from_le_bytes(random.bytes());
    wide << (128 - bits) >> (128 - bits)
}

fn numbers(random: &mut Random) -> Numbers {
    let low = |random: &mut Random, bytes: usize| {
        let mut number = [0; 32];
        number[..bytes].copy_from_slice(&random.bytes::<32>()[..bytes]);
        number
    };
    let negative = |random: &mut Random, bytes: usize| {
        let mut number = low(random, bytes);
        if number[bytes - 1] & 0x80 != 0 {
            number[bytes..].fill(0xFF);
        }
        number
    };
    Numbers {
        a8: random.next() as u8,
        a16: random.next() as u16,
        a24: random.next() as u32 & 0xFF_FFFF,
        a32: random.next() as u32,
        a40: random.next() & 0xFF_FFFF_FFFF,
        a64: random.next(),
        a112: u128::from_le_bytes(random.bytes()) >> 16,
        a128: u128::from_le_bytes(random.bytes()),
        a160: U256::from_le_bytes(low(random, 20)),
        a256: U256::from_le_bytes(random.bytes()),
        b8: random.next() as i8,
        b16: random.next() as i16,
        b24: signed(random, 24) as i32,
        b32: random.next() as i32,
        b56: signed(random, 56) as i64,
        b64: random.next() as i64,
        b72: signed(random, 72),
        b128: signed(random, 128),
        b200: I256::from_le_bytes(negative(random, 25)),
        b256: I256::from_le_bytes(random.bytes()),
        c32: (random.next() as i32) as f32 / 7.0,
        c64: (random.next() as i64) as f64 / 7.0,
        yes: random.below(2) == 0,
    }
}

fn shapes(random: &mut Random) -> Shapes {
    Shapes {
        r#type: [Venue::UniswapV3, Venue::Curve, Venue::Balancer][random.below(3)],
        from: random.bytes(),
        flag: if random.below(2) == 0 { Flag::Off } else { Flag::On },
        grid: [[1, 2, 3], [random.next() as i16, 5, -6]],
        sides: [side(random), Side::Buy, side(random), Side::Sell],
        raw: list(random, 3_000, |random| random.next() as u8),
        big: Box::new(random.bytes()),
        many: Box::new(std::array::from_fn(|_| random.next())),
        matrix: list(random, 4, |random| {
            list(random, 3, |random| some(random, |random| random.next() as u16))
        }),
        notes: [note(random), note(random)],
        maybe: some(random, Random::bytes),
        level: level(random),
        texts: [text(random, 5), text(random, 5)],
        wide: Box::new(Wide { left: random.bytes(), right: random.bytes(), ok: random.below(2) == 0 }),
    }
}

fn names(random: &mut Random) -> Names {
    Names {
        into: text(random, 4),
        try_into: random.next() as u8,
        clone: random.below(2) == 0,
        next: [Other::View, Other::Owned, Other::Parts, Other::Error, Other::Unknown][random.below(5)],
        decode: random.next() as u16,
        payload: list(random, 3, |random| random.next() as u8),
        reader: some(random, |random| random.next() as u8),
        self_: random.next() as u8,
        fixed_0: random.next() as u8,
        len: list(random, 2, |random| random.next() as u8),
    }
}

fn grown(random: &mut Random) -> Grown {
    Grown {
        id: random.next() as u32,
        name: text(random, 16),
        side: some(random, side),
        extra: some(random, |random| list(random, 8, |random| random.next() as u32)),
    }
}

#[test]
fn the_largest_messages_are_as_large_as_was_said() {
    let mut random = Random(3);
    let note = Note { text: "x".repeat(40), tags: vec!["y".repeat(12); 5] };
    assert_eq!(encoded(&note).len(), Note::MAX_SIZE);
    let levels = vec![level(&mut random); 20];
    let book = OrderBook {
        market: "m".repeat(32),
        sequence: 1,
        bids: levels.clone(),
        asks: levels,
        closed: true,
        note: Some(note.clone()),
    };
    assert_eq!(encoded(&book).len(), OrderBook::MAX_SIZE);
    assert_eq!(encoded(&numbers(&mut random)).len(), Numbers::MAX_SIZE);
    let mut largest = shapes(&mut random);
    largest.raw = vec![1; 70_000];
    largest.matrix = vec![vec![Some(1); 3]; 4];
    largest.notes = [note.clone(), note];
    largest.maybe = Some([1; 32]);
    largest.texts = ["a".repeat(5), "b".repeat(5)];
    assert_eq!(encoded(&largest).len(), Shapes::MAX_SIZE);
    let mut grown = grown(&mut random);
    grown.name = "n".repeat(16);
    grown.side = Some(Side::Buy);
    grown.extra = Some(vec![1; 8]);
    assert_eq!(encoded(&grown).len(), Grown::MAX_SIZE);
    assert_eq!(encoded(&Holder { grown, after: 1 }).len(), Holder::MAX_SIZE);
    assert_eq!((Heartbeat::MAX_SIZE, encoded(&Heartbeat {}).len()), (0, 0));
}

/// What the source's design says of its two messages.
#[test]
fn the_messages_of_the_source_have_the_sizes_it_says() {
    assert_eq!((source::SwapEvent::MAX_SIZE, source::SwapEvent::BUFFER_CLASS), (84, 128));
    assert_eq!((source::PoolStateUpdate::MAX_SIZE, source::PoolStateUpdate::BUFFER_CLASS), (180, 192));
    let event =
        source::SwapEvent { pool_address: [7; 20], amount_in: U256::from(1_u64), amount_out: U256::MAX };
    let payload = encoded(&event);
    assert_eq!(
        payload[..21],
        [&[7; 20][..], &[1]].concat(),
        "address, then the low byte of the first amount"
    );
    assert_eq!(source::SwapEvent::decode(&payload).and_then(source::SwapEvent::try_from), Ok(event));
}

#[test]
fn parts_are_written_as_the_owned_message_is() {
    let mut random = Random(9);
    for _ in 0..ROUNDS {
        let book = book(&mut random);
        let tags: Vec<&str> =
            book.note.iter().flat_map(|note| note.tags.iter().map(String::as_str)).collect();
        let parts = OrderBookParts {
            market: &book.market,
            sequence: book.sequence,
            bids: &book.bids,
            asks: &book.asks,
            closed: book.closed,
            note: book.note.as_ref().map(|note| NoteParts { text: &note.text, tags: &tags }),
        };
        assert_eq!(encoded(&parts), encoded(&book));
    }
}

#[test]
fn what_is_too_long_is_refused_by_the_name_of_its_field() {
    let refused = |message: &Note| {
        let mut memory = [0; 4096];
        let error =
            message.encode_into(&mut Writer::new(Note::NAME, &mut memory)).expect_err("it is too long");
        assert!(message.encoded_len() <= Note::MAX_SIZE, "a buffer is never asked for that no class has");
        (error.message, error.field, error.kind)
    };
    let long = Note { text: "x".repeat(41), tags: Vec::new() };
    assert_eq!(refused(&long), ("Note", "text", EncodeErrorKind::TooLong { length: 41, length_max: 40 }));
    let many = Note { text: String::new(), tags: vec![String::new(); 6] };
    assert_eq!(refused(&many), ("Note", "tags", EncodeErrorKind::TooLong { length: 6, length_max: 5 }));
    let mut wide = numbers(&mut Random(1));
    wide.a24 = 1 << 24;
    let error = try_encoded(&wide).expect_err("24 bits do not hold it");
    assert_eq!((error.field, error.kind), ("a24", EncodeErrorKind::OutOfRange { bits: 24 }));
    wide.a24 = 0;
    wide.b24 = -(1 << 23) - 1;
    assert_eq!(try_encoded(&wide).expect_err("nor this").field, "b24");
}

#[test]
fn what_is_wrong_is_told_with_offset_message_and_field() {
    let book = OrderBook {
        market: "EUR".to_owned(),
        sequence: 5,
        bids: vec![level(&mut Random(1))],
        asks: Vec::new(),
        closed: false,
        note: None,
    };
    let payload = encoded(&book);
    let with = |at: usize, byte: u8| {
        let mut payload = payload.clone();
        payload[at] = byte;
        payload
    };
    // 0: length 3, 2: EUR, 5: sequence, 13: count 1, 15: price, 23: amount, 35: side, 36: count 0, 38: closed, 39: no note.
    let bad = with(1, 1);
    let error = OrderBook::decode(&bad).expect_err("259 bytes of name");
    assert_eq!((error.message, error.field, error.offset), ("OrderBook", "market", 0));
    assert_eq!(error.kind, DecodeErrorKind::TooLong { length: 259, length_max: 32 });
    let bad = with(3, 0xFF);
    let error = OrderBook::decode(&bad).expect("lengths are right").market().expect_err("no UTF-8");
    assert_eq!(
        (error.field, error.offset, error.kind),
        ("market", 3, DecodeErrorKind::InvalidUtf8 { valid_up_to: 1 })
    );
    let bad = with(35, 2);
    let view = OrderBook::decode(&bad).expect("lengths are right");
    assert_eq!(view.sequence(), 5);
    let first =
        view.bids().expect("there is one").get(0).expect("there is one").expect("its length is right");
    let error = first.side().expect_err("no such side");
    assert_eq!((error.message, error.field, error.offset), ("Level", "side", 35));
    assert_eq!(error.kind, DecodeErrorKind::UnknownVariant { found: 2 });
    let bad = with(38, 9);
    let error = OrderBook::decode(&bad).expect("lengths are right").closed().expect_err("no bool");
    assert_eq!(
        (error.field, error.offset, error.kind),
        ("closed", 38, DecodeErrorKind::InvalidBool { found: 9 })
    );
    let bad = with(39, 9);
    assert_eq!(OrderBook::decode(&bad).expect_err("no presence").offset, 39);
    let error = source::SwapEvent::decode(&[0; 60]).expect_err("too short");
    assert_eq!((error.message, error.field, error.offset), ("SwapEvent", "amount_out", 52));
    assert_eq!(error.kind, DecodeErrorKind::Truncated { needed: 32, available: 8 });
}

#[test]
fn ids_choose_the_message_and_unknown_ones_are_kept_apart() {
    let payload = encoded(&Heartbeat {});
    assert!(matches!(Message::decode(Heartbeat::TYPE_ID, &payload), Ok(Message::Heartbeat(_))));
    assert_eq!(OrderBook::TYPE_ID, 7);
    let unknown = Message::decode(1, &[1, 2, 3]).expect("that is no error");
    assert!(matches!(unknown, Message::Unknown { type_id: 1, payload: [1, 2, 3] }) && unknown.type_id() == 1);
    assert_eq!(unknown.known().expect_err("it is unknown").kind, DecodeErrorKind::UnknownType { type_id: 1 });
    assert!(Message::decode(Level::TYPE_ID, &[]).is_err());
    let mut ids: Vec<u16> = CATALOG.messages.iter().map(|message| message.type_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), CATALOG.messages.len());
}

#[test]
fn messages_travel_in_buffers_of_their_class() {
    let pool = create_buffer_pool();
    let mut random = Random(4);
    for _ in 0..10 {
        let shapes = shapes(&mut random);
        let buffer = shapes.encode_pooled(&pool).expect("the pool has every class");
        assert_eq!(Shapes::decode(&buffer).and_then(Shapes::try_from), Ok(shapes));
    }
    assert_eq!(pool.stats().in_use(), 0);
    for message in CATALOG.messages {
        let class = pool.classes().class_bytes(message.size_max);
        assert_eq!(class, Some(message.class_bytes), "{}", message.name);
    }
}

#[test]
fn views_read_lists_without_owning_them() {
    let mut random = Random(5);
    let book = book(&mut random);
    let payload = encoded(&book);
    let view = <OrderBookView<'_> as View<'_>>::decode(&payload).expect("it was just written");
    let bids = view.bids().expect("its lengths are right");
    assert_eq!(bids.len(), book.bids.len());
    for (index, bid) in book.bids.iter().enumerate() {
        let price = bids.get(index).expect("it is there").expect("it is right").price();
        assert_eq!(price, bid.price);
    }
    assert!(bids.get(book.bids.len()).is_none());
    let sum: u128 = bids.iter().map(|bid| u128::from(bid.expect("it is right").price())).sum();
    assert_eq!(sum, book.bids.iter().map(|bid| u128::from(bid.price)).sum());
    assert!(!format!("{view:?} {bids:?}").is_empty());
}

/// The fuzz target `tlv_message` runs the same function on bytes that it makes up.
#[test]
fn any_bytes_are_a_message_or_an_error() {
    let mut random = Random(6);
    let payloads = |random: &mut Random| {
        [
            (OrderBook::TYPE_ID, encoded(&book(random))),
            (Numbers::TYPE_ID, encoded(&numbers(random))),
            (Shapes::TYPE_ID, encoded(&shapes(random))),
            (Holder::TYPE_ID, encoded(&Holder { grown: grown(random), after: 1 })),
            (Names::TYPE_ID, encoded(&names(random))),
            (Heartbeat::TYPE_ID, Vec::new()),
        ]
    };
    let mut good = 0;
    for _ in 0..ROUNDS {
        for (type_id, payload) in payloads(&mut random) {
            let mut bytes = [&type_id.to_le_bytes()[..], &payload].concat();
            good += usize::from(any_message::run(&bytes));
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            any_message::run(&bytes);
            bytes.truncate(at);
            any_message::run(&bytes);
        }
    }
    assert_eq!(good, 6 * ROUNDS);
}
