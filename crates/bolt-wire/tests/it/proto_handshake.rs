//! Agreeing on a version: what is proposed, what is answered, and what is refused with offset and reason.

use bolt_wire::Version;
use bolt_wire::handshake::{ClientHandshake, HandshakeError, HandshakeStep, Offer, ServerHandshake};

const V: fn(u8, u8) -> Version = Version::new;

fn client(offer: &Offer, answer: &[u8]) -> Result<HandshakeStep, HandshakeError> {
    ClientHandshake::new(offer).read(answer, &mut Vec::new())
}

fn server(proposals: [[u8; 4]; 4]) -> (Result<HandshakeStep, HandshakeError>, Vec<u8>) {
    let mut out = Vec::new();
    let mut input = vec![0x60, 0x60, 0xB0, 0x17];
    input.extend(proposals.as_flattened());
    let step = ServerHandshake::new().read(&input, &mut out);
    (step, out)
}

fn done(version: Version, consumed: usize, manifest: bool) -> Result<HandshakeStep, HandshakeError> {
    Ok(HandshakeStep::Done { version, consumed, manifest })
}

#[test]
fn what_is_proposed() {
    let manifest = [0, 0, 1, 0xFF];
    let none = [0; 4];
    let table: [(Offer, [[u8; 4]; 4]); 8] = [
        (Offer::default(), [manifest, [0, 8, 8, 5], [0, 2, 4, 4], [0, 0, 1, 4]]),
        (Offer::default().without_manifest(), [[0, 1, 1, 6], [0, 8, 8, 5], [0, 2, 4, 4], [0, 0, 1, 4]]),
        (Offer::only(Version::V6_1).unwrap(), [[0, 0, 1, 6], none, none, none]),
        (Offer::only(Version::V4_0).unwrap(), [[0, 0, 0, 4], none, none, none]),
        (
            Offer::range(Version::V4_0, Version::V4_4).unwrap(),
            [[0, 2, 4, 4], [0, 0, 1, 4], [0, 0, 0, 4], none],
        ),
        (Offer::range(Version::V5_6, Version::V6_1).unwrap(), [manifest, [0, 2, 8, 5], none, none]),
        (Offer::range(Version::V4_4, Version::V5_4).unwrap(), [[0, 4, 4, 5], [0, 0, 4, 4], none, none]),
        (Offer::range(Version::V6_0, Version::V6_1).unwrap(), [manifest, none, none, none]),
    ];
    for (offer, slots) in table {
        assert_eq!(offer.slots(), slots, "{offer:?}");
        let mut out = Vec::new();
        ClientHandshake::new(&offer).start(&mut out).unwrap();
        assert_eq!(out[..4], [0x60, 0x60, 0xB0, 0x17]);
        assert_eq!(out[4..], *slots.as_flattened());
    }
    assert!(Offer::only(V(5, 5)).is_err());
    assert!(Offer::only(V(3, 0)).unwrap_err().to_string().contains("Bolt 3.0"));
    assert!(Offer::range(Version::V5_0, Version::V4_4).is_err());
    // Everything a default offer names is taken, by one way or the other; 4.0 has no slot and comes by manifest alone.
    let offer = Offer::default();
    assert!(Version::SUPPORTED.iter().all(|&version| offer.contains(version)));
    assert!(!offer.contains(V(5, 5)));
    assert!(!offer.without_manifest().contains(Version::V4_0));
}

#[test]
fn every_version_alone_is_agreed_on_with_our_server() {
    for &version in Version::SUPPORTED {
        let mut slots = [[0; 4]; 4];
        slots[3] = [0, 0, version.minor, version.major];
        let (step, out) = server(slots);
        assert_eq!(step, done(version, 20, false));
        assert_eq!(out, slots[3]);
        assert_eq!(client(&Offer::only(version).unwrap(), &out), done(version, 4, false));
    }
}

#[test]
fn what_a_client_refuses() {
    let offer = Offer::default();
    type Check = fn(&HandshakeError) -> bool;
    let table: [(&[u8], Check, &str); 12] = [
        (&[0, 0, 0, 0], |e| *e == HandshakeError::NoCommonVersion, "none of the Bolt versions proposed"),
        (&[0, 0, 5, 5], |e| matches!(e, HandshakeError::NotOffered { .. }), "00 00 05 05"),
        (&[0, 0, 9, 5], |e| matches!(e, HandshakeError::NotOffered { .. }), "00 00 09 05"),
        // 4.0 has no slot, and 6.0 comes by manifest alone.
        (&[0, 0, 0, 4], |e| matches!(e, HandshakeError::NotOffered { .. }), "00 00 00 04"),
        (&[0, 0, 0, 6], |e| matches!(e, HandshakeError::NotOffered { .. }), "00 00 00 06"),
        (&[0, 0, 0, 0xFF], |e| matches!(e, HandshakeError::NotOffered { .. }), "00 00 00 FF"),
        (&[0, 0, 2, 0xFF], |e| matches!(e, HandshakeError::NotOffered { .. }), "00 00 02 FF"),
        (b"HTTP/1.1 400", |e| *e == HandshakeError::Http, "7687"),
        (&[0x15, 3, 3, 0, 2, 2, 70], |e| *e == HandshakeError::Tls, "unencrypted"),
        (
            &[0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            |e| {
                matches!(
                    e,
                    HandshakeError::ManifestTooLong { offset: 4, entries: u64::MAX, entries_max: 255 }
                )
            },
            "at byte 4",
        ),
        (
            &[0, 0, 1, 0xFF, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
            |e| *e == HandshakeError::Varint { offset: 4 },
            "10 bytes",
        ),
        (
            &[0, 0, 1, 0xFF, 2, 0, 7, 7, 0xF2, 0, 0, 9, 5, 0],
            |e| matches!(e, HandshakeError::NoneInManifest { server } if server.len() == 2),
            "it has 242.7–242.0, 5.9",
        ),
    ];
    for (answer, is, text) in table {
        let error = client(&offer, answer).unwrap_err();
        assert!(is(&error), "{answer:02X?}: {error:?}");
        assert!(error.to_string().contains(text), "{error}");
    }
    // Cut anywhere: more is wanted, and a close then says how far it came.
    let manifest = [0, 0, 1, 0xFF, 5, 0, 4, 4, 4];
    for end in 0..manifest.len() {
        assert_eq!(client(&offer, &manifest[..end]), Ok(HandshakeStep::NeedMore));
        let closed = ClientHandshake::new(&offer).closed(&manifest[..end]);
        assert_eq!(closed, HandshakeError::Closed { received: end });
    }
    // The manifest was not asked for.
    assert!(client(&offer.without_manifest(), &manifest).is_err());
}

#[test]
fn what_a_client_takes() {
    let offer = Offer::default();
    // Reserved byte and range of an answer are ignored.
    assert_eq!(client(&offer, &[9, 3, 8, 5, 0xB1]), done(Version::V5_8, 4, false));
    assert_eq!(client(&offer, &[0, 0, 1, 4]), done(Version::V4_1, 4, false));
    let table: [(&[u8], Version); 6] = [
        // Neo4j 5.26, Neo4j 2026.08.
        (&[0, 0, 1, 0xFF, 3, 0, 4, 4, 4, 0, 4, 4, 5, 0, 2, 8, 5, 0], Version::V5_8),
        (&[0, 0, 1, 0xFF, 4, 0, 4, 4, 4, 0, 4, 4, 5, 0, 2, 8, 5, 0, 1, 1, 6, 0], Version::V6_1),
        // Any order; unknown majors skipped; a range beyond what there is; capabilities of ten bytes.
        (&[0, 0, 1, 0xFF, 3, 0, 0, 0, 6, 0, 7, 7, 0xF2, 0, 4, 4, 4, 0], Version::V6_0),
        (&[0, 0, 1, 0xFF, 1, 0, 0xFF, 0xFF, 5, 0], Version::V5_8),
        (&[0, 0, 1, 0xFF, 1, 0, 9, 3, 4, 0x83, 0], Version::V4_3),
        (&[0, 0, 1, 0xFF, 0x81, 0, 0, 0, 0, 4, 0], Version::V4_0),
    ];
    for (answer, version) in table {
        let (mut out, mut handshake) = (Vec::new(), ClientHandshake::new(&offer));
        for end in 0..answer.len() {
            assert_eq!(handshake.read(&answer[..end], &mut out), Ok(HandshakeStep::NeedMore));
        }
        assert!(out.is_empty());
        assert_eq!(handshake.read(answer, &mut out), done(version, answer.len(), true));
        assert_eq!(out, [0, 0, version.minor, version.major, 0]);
    }
    // Nothing in common: polite zeros, and the list in the error.
    let mut out = Vec::new();
    let mut handshake = ClientHandshake::new(&Offer::range(Version::V6_0, Version::V6_1).unwrap());
    let error = handshake.read(table[0].0, &mut out).unwrap_err();
    assert_eq!(out, [0; 5]);
    assert!(error.to_string().ends_with("it has 4.4–4.0, 5.4–5.0, 5.8–5.6"), "{error}");
}

#[test]
fn a_server_does_what_real_ones_do() {
    let z = [0; 4];
    let table: [([[u8; 4]; 4], Version); 7] = [
        ([[0, 8, 8, 5], z, z, z], Version::V5_8),
        ([[0, 2, 4, 4], [0, 8, 8, 5], z, z], Version::V4_4),
        ([[0, 4, 9, 5], z, z, z], Version::V5_8),
        ([[0, 9, 9, 6], z, z, z], Version::V6_1),
        ([[0, 0, 5, 5], [0, 0, 2, 4], z, z], Version::V4_2),
        ([[0, 0, 2, 0xFF], [0, 0, 0, 0xFF], [7, 0, 0, 6], z], Version::V6_0),
        // The manifest behind a proposal that can be served is not used.
        ([[0, 0, 4, 5], [0, 0, 1, 0xFF], z, z], Version::V5_4),
    ];
    for (proposals, version) in table {
        let (step, out) = server(proposals);
        assert_eq!(step, done(version, 20, false), "{proposals:?}");
        assert_eq!(out, [0, 0, version.minor, version.major]);
    }
    assert_eq!(server([z; 4]), (Err(HandshakeError::NoCommonVersion), vec![0; 4]));
    assert_eq!(server([[0, 0, 0, 3], z, z, z]), (Err(HandshakeError::NoCommonVersion), vec![0; 4]));
    let (step, out) = server([[0, 8, 8, 5], z, [0, 7, 0, 5], z]);
    assert_eq!(step, Err(HandshakeError::BadRange { offset: 12, proposal: [0, 7, 0, 5] }));
    assert!(out.is_empty());

    let mut out = Vec::new();
    let http = ServerHandshake::new().read(b"GET / HTTP/1.1\r\n", &mut out);
    assert_eq!(http, Err(HandshakeError::Http));
    let magic = ServerHandshake::new().read(&[0x60, 0x60, 0xB0, 0x18], &mut out);
    assert_eq!(magic, Err(HandshakeError::BadMagic { found: [0x60, 0x60, 0xB0, 0x18] }));
    assert_eq!(ServerHandshake::new().read(&[0x16, 3, 1, 2], &mut out), Err(HandshakeError::Tls));
    assert!(out.is_empty());
}

#[test]
fn a_server_hands_out_its_manifest_once_and_checks_the_choice() {
    let hello = [&[0x60, 0x60, 0xB0, 0x17, 0, 0, 1, 0xFF][..], &[0; 12]].concat();
    let mut out = Vec::new();
    let mut handshake = ServerHandshake::new();
    assert_eq!(handshake.read(&hello, &mut out), Ok(HandshakeStep::NeedMore));
    // As Neo4j 2026.08 sends it.
    assert_eq!(out, [0, 0, 1, 0xFF, 4, 0, 4, 4, 4, 0, 4, 4, 5, 0, 2, 8, 5, 0, 1, 1, 6, 0]);
    assert_eq!(handshake.read(&hello, &mut out), Ok(HandshakeStep::NeedMore));
    assert_eq!(out.len(), 22, "the manifest is sent once");
    let choose = |choice: &[u8]| handshake.clone().read(&[&hello[..], choice].concat(), &mut Vec::new());
    assert_eq!(choose(&[0, 0, 1, 6, 0, 0xAA]), done(Version::V6_1, 25, true));
    assert_eq!(choose(&[0, 0, 0, 4, 0x80, 0]), done(Version::V4_0, 26, true));
    assert_eq!(choose(&[0, 0, 0, 4]), Ok(HandshakeStep::NeedMore));
    for bad in [[0, 1, 1, 6], [0, 0, 5, 5], [0, 0, 0, 0], [0, 0, 1, 0xFF], [0, 0, 0, 3]] {
        assert_eq!(choose(&[&bad[..], &[0]].concat()), Err(HandshakeError::BadChoice { answer: bad }));
    }
    for (bytes, mask) in [(&[1_u8][..], 1), (&[0x81, 0], 1), (&[0x80, 1], 128)] {
        let choice = [&[0, 0, 1, 6], bytes].concat();
        assert_eq!(choose(&choice), Err(HandshakeError::BadCapabilities { offset: 24, mask }));
    }
}
