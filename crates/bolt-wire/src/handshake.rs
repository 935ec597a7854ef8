//! Agreeing on a version: the magic, four proposals, ranges, and the manifest, for both sides.
//!
//! Owns the bytes before the first message and the choice of a version. It never reads a socket and keeps no copy of
//! the input: it is given all bytes received so far, as often as wanted, and says how many it used when it is done.
//! Limits: a varint ends after 10 bytes, a manifest after [`Limits::manifest_entries_max`] entries, and nothing is allocated
//! by a number the peer announced. Facts: Bolt specification, "handshake"; behaviour of real servers where it is silent.
//!
//! ```text
//! client   60 60 B0 17  magic            server   rr nn mm MM   the version, or
//!          rr nn mm MM  proposal 1                00 00 00 00   nothing in common, or
//!          rr nn mm MM  proposal 2                00 00 01 FF   manifest follows, or
//!          rr nn mm MM  proposal 3                48 54 54 50   "HTTP": a web port
//!          rr nn mm MM  proposal 4
//! ```

use alloc::vec::Vec;
use core::fmt;

use crate::encode::Output;
use crate::error::EncodeError;
use crate::limits::Limits;
use crate::version::Version;

/// The four bytes every Bolt connection begins with.
pub const MAGIC: [u8; 4] = [0x60, 0x60, 0xB0, 0x17];

/// The port Bolt listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 7687;

/// The proposal, and the answer, that means "manifest, style 1".
const MANIFEST_V1: [u8; 4] = [0, 0, 1, MANIFEST_MAJOR];
const MANIFEST_MAJOR: u8 = 0xFF;
const NOTHING: [u8; 4] = [0; 4];
/// Magic and four proposals.
const HELLO_BYTES: usize = 20;
/// 64 bits in groups of seven.
const VARINT_BYTES_MAX: usize = 10;
/// Ranges are understood by servers of 4.3 and later, which 4.2 proposed in a range may rely on; older ones need a slot each.
const RANGE_FROM: Version = Version::V4_2;

/// A set of versions of this crate, one bit per entry of [`Version::SUPPORTED`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Set(u32);

impl Set {
    const ALL: Self = Self((1 << Version::SUPPORTED.len()) - 1);

    fn between(low: Version, high: Version) -> Self {
        let bits = Version::SUPPORTED.iter().enumerate().filter(|(_, v)| (low..=high).contains(*v));
        Self(bits.fold(0, |set, (row, _)| set | 1 << row))
    }

    fn holds(self, version: Version) -> bool {
        version.row().is_some_and(|row| self.0 & 1 << row != 0)
    }

    /// Members, newest first.
    fn newest_first(self) -> impl Iterator<Item = Version> {
        Version::SUPPORTED.iter().rev().copied().filter(move |&v| self.holds(v))
    }

    /// The newest member inside a proposal.
    fn newest_in(self, range: VersionRange) -> Option<Version> {
        self.newest_first().find(|&v| range.contains(v))
    }
}

/// A version and so many minors below it, as a proposal or manifest entry says it: never across a major.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VersionRange {
    /// The newest version meant.
    pub newest: Version,
    /// How many minors below it are meant as well. May be more than there are; the range then ends at minor 0.
    pub below: u8,
}

impl VersionRange {
    /// Whether the range means `version`.
    #[must_use]
    pub fn contains(self, version: Version) -> bool {
        version.major == self.newest.major
            && version.minor <= self.newest.minor
            && version.minor >= self.newest.minor.saturating_sub(self.below)
    }

    fn from_bytes([_reserved, below, minor, major]: [u8; 4]) -> Self {
        Self { newest: Version { major, minor }, below }
    }

    const fn to_bytes(self) -> [u8; 4] {
        [0, self.below, self.newest.minor, self.newest.major]
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.newest.minor.saturating_sub(self.below) {
            low if low == self.newest.minor => write!(f, "{}", self.newest),
            low => write!(f, "{}–{}.{low}", self.newest, self.newest.major),
        }
    }
}

/// What a client proposes.
///
/// The default is everything that fits: the manifest (6.1–5.7 on current servers), 5.8–5.0, 4.4–4.2 and 4.1. For a server that has
/// nothing but 4.0, connect a second time with `Offer::only(Version::V4_0)`.
///
/// ```
/// use bolt_wire::{handshake::Offer, Version};
/// assert_eq!(Offer::default().slots(), [[0, 0, 1, 0xFF], [0, 8, 8, 5], [0, 2, 4, 4], [0, 0, 1, 4]]);
/// assert_eq!(Offer::only(Version::V4_0).unwrap().slots()[0], [0, 0, 0, 4]);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Offer {
    allowed: Set,
    manifest: bool,
}

/// A version was asked for that this crate does not speak, or a range without one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnsupportedVersion(pub Version);

impl fmt::Display for UnsupportedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bolt {} is not spoken here: choose among 4.0–4.4, 5.0–5.4, 5.6–5.8, 6.0 and 6.1", self.0)
    }
}

impl core::error::Error for UnsupportedVersion {}

impl Default for Offer {
    fn default() -> Self {
        Self { allowed: Set::ALL, manifest: true }
    }
}

impl Offer {
    /// Offers one version and nothing else, without the manifest.
    ///
    /// # Errors
    /// The version is not one of [`Version::SUPPORTED`].
    pub fn only(version: Version) -> Result<Self, UnsupportedVersion> {
        Self::range(version, version).map(Self::without_manifest)
    }

    /// Offers every supported version from `oldest` to `newest`, by manifest too where `newest` has it.
    ///
    /// When the versions need more than four slots the oldest are left out.
    ///
    /// # Errors
    /// Either end is not one of [`Version::SUPPORTED`], or they are the wrong way round.
    pub fn range(oldest: Version, newest: Version) -> Result<Self, UnsupportedVersion> {
        for end in [oldest, newest] {
            if !end.is_supported() {
                return Err(UnsupportedVersion(end));
            }
        }
        if oldest > newest {
            return Err(UnsupportedVersion(oldest));
        }
        Ok(Self { allowed: Set::between(oldest, newest), manifest: newest.features().manifest })
    }

    /// The same versions by the four slots alone.
    #[must_use]
    pub fn without_manifest(self) -> Self {
        Self { manifest: false, ..self }
    }

    /// The four proposals, most wanted first, unused ones zero.
    #[must_use]
    pub fn slots(&self) -> [[u8; 4]; 4] {
        let mut slots = [NOTHING; 4];
        let mut used = 0;
        if self.manifest {
            slots[0] = MANIFEST_V1;
            used = 1;
        }
        let mut run: Option<(Version, Version)> = None;
        // Bolt 6 needs no slot beside the manifest: every server that has it knows the manifest.
        let by_slot = self.allowed.newest_first().filter(|v| !self.manifest || v.major < Version::V6_0.major);
        for version in by_slot {
            let joins = |(_, low): (Version, Version)| version.major == low.major && version >= RANGE_FROM;
            run = match run {
                Some((high, low)) if joins((high, low)) => Some((high, version)),
                done => {
                    Self::put(&mut slots, &mut used, done);
                    Some((version, version))
                }
            };
        }
        Self::put(&mut slots, &mut used, run);
        slots
    }

    fn put(slots: &mut [[u8; 4]; 4], used: &mut usize, run: Option<(Version, Version)>) {
        if let (Some((high, low)), Some(slot)) = (run, slots.get_mut(*used)) {
            *slot = VersionRange { newest: high, below: high.minor - low.minor }.to_bytes();
            *used += 1;
        }
    }

    /// Whether the server may answer with `version`, by slot or by manifest.
    #[must_use]
    pub fn contains(&self, version: Version) -> bool {
        self.allowed.holds(version) && (self.manifest || self.in_slot(version))
    }

    fn in_slot(&self, version: Version) -> bool {
        self.allowed.holds(version)
            && self.slots().iter().any(|slot| {
                *slot != MANIFEST_V1 && *slot != NOTHING && VersionRange::from_bytes(*slot).contains(version)
            })
    }
}

/// Where a handshake stands after a look at the input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandshakeStep {
    /// The input ends before a decision. Send what was written, read more, and come again with all of it.
    NeedMore,
    /// Agreed. What was written must still be sent; messages follow after `consumed` bytes of input.
    Done {
        /// The version both sides speak from here on.
        version: Version,
        /// Bytes of input that belonged to the handshake.
        consumed: usize,
        /// Whether the manifest was used.
        manifest: bool,
    },
}

/// Why no version was agreed on. The connection is of no further use.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The server serves none of the proposed versions (it answered four zeros).
    NoCommonVersion,
    /// The server's manifest holds none of the versions allowed here. Four zeros were written as the answer.
    NoneInManifest {
        /// What the server has.
        server: Vec<VersionRange>,
    },
    /// The answer is no version that was proposed.
    NotOffered {
        /// The four bytes of the answer.
        answer: [u8; 4],
    },
    /// The port belongs to a web server.
    Http,
    /// The port wants TLS, or the other side began to speak it.
    Tls,
    /// A varint runs past ten bytes or 64 bits.
    Varint {
        /// Where it begins.
        offset: usize,
    },
    /// The manifest announces more entries than allowed.
    ManifestTooLong {
        /// Where the number stands.
        offset: usize,
        /// What it says.
        entries: u64,
        /// What is allowed.
        entries_max: u32,
    },
    /// The peer closed the connection in the middle of the handshake.
    Closed {
        /// Bytes it had sent by then.
        received: usize,
    },
    /// Server side: the connection does not begin with Bolt's magic.
    BadMagic {
        /// What it begins with.
        found: [u8; 4],
    },
    /// Server side: a range reaches below minor 0.
    BadRange {
        /// Where the proposal stands in the input.
        offset: usize,
        /// Its bytes.
        proposal: [u8; 4],
    },
    /// Server side: the manifest was answered with something that was not in it.
    BadChoice {
        /// The four bytes of the answer.
        answer: [u8; 4],
    },
    /// Server side: the client switched on capabilities that were not offered.
    BadCapabilities {
        /// Where the mask stands in the input.
        offset: usize,
        /// The mask.
        mask: u64,
    },
    /// The answer could not be written.
    Output(EncodeError),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommonVersion => f.write_str(
                "at byte 0: the server speaks none of the Bolt versions proposed: offer others, or upgrade one side",
            ),
            Self::NoneInManifest { server } => {
                f.write_str("the server speaks none of the Bolt versions allowed here; it has ")?;
                if server.is_empty() {
                    return f.write_str("none at all");
                }
                for (i, range) in server.iter().enumerate() {
                    write!(f, "{}{range}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::NotOffered { answer: [a, b, c, d] } => write!(
                f,
                "at byte 0: the answer {a:02X} {b:02X} {c:02X} {d:02X} is no version that was proposed: is this a Bolt port?"
            ),
            Self::Http => write!(
                f,
                "at byte 0: the answer begins with \"HTTP\": this is a web port, Bolt usually listens on {DEFAULT_PORT}"
            ),
            // What an address must look like for that is the business of whoever has addresses.
            Self::Tls => f.write_str(
                "at byte 0: the port wants encryption (TLS): put TLS around the connection, or use a port, or set the server, to accept \
                 unencrypted ones",
            ),
            Self::Varint { offset } => {
                write!(f, "at byte {offset}: a varint must end within {VARINT_BYTES_MAX} bytes and 64 bits")
            }
            Self::ManifestTooLong { offset, entries, entries_max } => {
                write!(f, "at byte {offset}: the manifest announces {entries} entries, at most {entries_max} are read")
            }
            Self::Closed { received } => write!(
                f,
                "the connection was closed after {received} bytes of handshake: \
                 not a Bolt port, a port that wants TLS, or a server that refuses this client"
            ),
            Self::BadMagic { found: [a, b, c, d] } => write!(
                f,
                "at byte 0: expected Bolt's magic 60 60 B0 17, found {a:02X} {b:02X} {c:02X} {d:02X}"
            ),
            Self::BadRange { offset, proposal: [_, below, minor, major] } => write!(
                f,
                "at byte {offset}: the proposal {major}.{minor} cannot reach {below} minors below itself"
            ),
            Self::BadChoice { answer: [a, b, c, d] } => {
                write!(f, "the choice {a:02X} {b:02X} {c:02X} {d:02X} is no single version of the manifest")
            }
            Self::BadCapabilities { offset, mask } => {
                write!(f, "at byte {offset}: the capabilities {mask:#x} were not offered")
            }
            Self::Output(error) => write!(f, "the handshake could not be written: {error}"),
        }
    }
}

impl core::error::Error for HandshakeError {}

impl From<EncodeError> for HandshakeError {
    fn from(error: EncodeError) -> Self {
        Self::Output(error)
    }
}

/// The client's half.
///
/// ```
/// use bolt_wire::{handshake::{ClientHandshake, HandshakeStep, Offer}, Version};
/// let mut out = Vec::new();
/// let mut handshake = ClientHandshake::new(&Offer::default());
/// handshake.start(&mut out).unwrap();
/// assert_eq!(out.len(), 20);
/// out.clear();
/// // What Neo4j 2026.08 answers: a manifest with 4.4–4.0, 5.4–5.0, 5.8–5.6 and 6.1–6.0.
/// let answer = [0, 0, 1, 0xFF, 4, 0, 4, 4, 4, 0, 4, 4, 5, 0, 2, 8, 5, 0, 1, 1, 6, 0];
/// assert_eq!(handshake.read(&answer[..9], &mut out), Ok(HandshakeStep::NeedMore));
/// let done = HandshakeStep::Done { version: Version::V6_1, consumed: 22, manifest: true };
/// assert_eq!(handshake.read(&answer, &mut out), Ok(done));
/// assert_eq!(out, [0, 0, 1, 6, 0]);
/// ```
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    offer: Offer,
    entries_max: u32,
}

impl ClientHandshake {
    /// A handshake that proposes `offer`, with the default limits.
    #[must_use]
    pub fn new(offer: &Offer) -> Self {
        Self::with_limits(offer, &Limits::DEFAULT)
    }

    /// A handshake that proposes `offer` and refuses a manifest longer than [`Limits::manifest_entries_max`].
    #[must_use]
    pub fn with_limits(offer: &Offer, limits: &Limits) -> Self {
        Self { offer: *offer, entries_max: limits.manifest_entries_max }
    }

    /// Writes the magic and the four proposals, 20 bytes.
    ///
    /// # Errors
    /// The output is full.
    pub fn start<O: Output>(&mut self, out: &mut O) -> Result<(), EncodeError> {
        out.write(&MAGIC)?;
        self.offer.slots().iter().try_for_each(|slot| out.write(slot))
    }

    /// Looks at everything the server has sent so far. May be called with one byte more each time; consumes nothing until done.
    ///
    /// Writes the choice after a manifest, which may be sent in one flight with HELLO. Also after
    /// [`HandshakeError::NoneInManifest`] an answer was written, which is polite to send before closing.
    ///
    /// # Errors
    /// The server has nothing in common with the offer, or is no Bolt server. Close the connection.
    pub fn read<O: Output>(&mut self, input: &[u8], out: &mut O) -> Result<HandshakeStep, HandshakeError> {
        // A TLS server answers plain bytes with an alert (15 03 ..): two bytes tell, the third never comes from some.
        if matches!(input, [0x15 | 0x16, 0x03, ..]) {
            return Err(HandshakeError::Tls);
        }
        let Some(&answer) = input.first_chunk::<4>() else {
            return Ok(HandshakeStep::NeedMore);
        };
        match answer {
            NOTHING => return Err(HandshakeError::NoCommonVersion),
            [b'H', b'T', b'T', b'P'] => return Err(HandshakeError::Http),
            _ => {}
        }
        // The reserved byte and the range of an answer mean nothing.
        let version = VersionRange::from_bytes(answer).newest;
        if self.offer.manifest && version == (Version { major: MANIFEST_MAJOR, minor: 1 }) {
            return self.read_manifest(input, out);
        }
        if self.offer.in_slot(version) {
            Ok(HandshakeStep::Done { version, consumed: 4, manifest: false })
        } else {
            Err(HandshakeError::NotOffered { answer })
        }
    }

    fn read_manifest<O: Output>(&self, input: &[u8], out: &mut O) -> Result<HandshakeStep, HandshakeError> {
        let Some((entries, at)) = varint(input, 4)? else {
            return Ok(HandshakeStep::NeedMore);
        };
        if entries > u64::from(self.entries_max) {
            return Err(HandshakeError::ManifestTooLong {
                offset: 4,
                entries,
                entries_max: self.entries_max,
            });
        }
        // Bounded by `entries_max` now, a u32: neither the conversion nor the product can wrap on 64 bits, nor the slice on 32.
        let Some(list_end) = usize::try_from(entries).ok().and_then(|n| n.checked_mul(4)?.checked_add(at))
        else {
            return Err(HandshakeError::ManifestTooLong {
                offset: 4,
                entries,
                entries_max: self.entries_max,
            });
        };
        let Some(list) = input.get(at..list_end) else {
            return Ok(HandshakeStep::NeedMore);
        };
        let Some((_capabilities, consumed)) = varint(input, list_end)? else {
            return Ok(HandshakeStep::NeedMore);
        };
        let ranges = || list.chunks_exact(4).map(|e| VersionRange::from_bytes([e[0], e[1], e[2], e[3]]));
        // Entries of unknown majors match nothing; order means nothing.
        match ranges().filter_map(|range| self.offer.allowed.newest_in(range)).max() {
            Some(version) => {
                out.write(&VersionRange { newest: version, below: 0 }.to_bytes())?;
                out.write(&[0])?;
                Ok(HandshakeStep::Done { version, consumed, manifest: true })
            }
            None => {
                out.write(&NOTHING)?;
                out.write(&[0])?;
                Err(HandshakeError::NoneInManifest { server: ranges().collect() })
            }
        }
    }

    /// What to report when the peer closed the connection after `received`.
    #[must_use]
    pub fn closed(&self, received: &[u8]) -> HandshakeError {
        closed(received)
    }
}

/// The server's half.
///
/// Follows what real servers do: the first proposal in the client's order that can be served, the newest version within it; a wrong
/// magic, a range below minor 0 or a choice that was not offered is closed upon without an answer.
#[derive(Clone, Debug)]
pub struct ServerHandshake {
    served: Set,
    manifest: bool,
    /// The manifest has been written; the choice is awaited.
    asked: bool,
}

impl Default for ServerHandshake {
    fn default() -> Self {
        Self { served: Set::ALL, manifest: true, asked: false }
    }
}

impl ServerHandshake {
    /// Serves every version of this crate, by manifest too.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves the versions from `oldest` to `newest`; the manifest where `newest` has it.
    ///
    /// # Errors
    /// As [`Offer::range`].
    pub fn range(oldest: Version, newest: Version) -> Result<Self, UnsupportedVersion> {
        let Offer { allowed, manifest } = Offer::range(oldest, newest)?;
        Ok(Self { served: allowed, manifest, asked: false })
    }

    /// The same versions, with the manifest unknown as to an old server.
    #[must_use]
    pub fn without_manifest(self) -> Self {
        Self { manifest: false, ..self }
    }

    /// Looks at everything the client has sent so far; consumes nothing until done. What is written must be sent at each step.
    ///
    /// # Errors
    /// No version can be agreed on. After [`HandshakeError::NoCommonVersion`] four zeros were written and should be sent; after every other
    /// error nothing was. Close the connection.
    pub fn read<O: Output>(&mut self, input: &[u8], out: &mut O) -> Result<HandshakeStep, HandshakeError> {
        if matches!(input, [0x16, 0x03, ..]) {
            return Err(HandshakeError::Tls);
        }
        if let Some(&found) = input.first_chunk::<4>()
            && found != MAGIC
        {
            let http = matches!(&found, b"GET " | b"POST" | b"PUT " | b"HEAD" | b"OPTI" | b"DELE" | b"PATC");
            return Err(if http { HandshakeError::Http } else { HandshakeError::BadMagic { found } });
        }
        if input.len() < HELLO_BYTES {
            return Ok(HandshakeStep::NeedMore);
        }
        if !self.asked {
            match self.choose(&input[4..HELLO_BYTES])? {
                Choice::Version(version) => {
                    out.write(&VersionRange { newest: version, below: 0 }.to_bytes())?;
                    return Ok(HandshakeStep::Done { version, consumed: HELLO_BYTES, manifest: false });
                }
                Choice::Manifest => {
                    self.write_manifest(out)?;
                    self.asked = true;
                }
                Choice::Nothing => {
                    out.write(&NOTHING)?;
                    return Err(HandshakeError::NoCommonVersion);
                }
            }
        }
        self.read_choice(input)
    }

    fn choose(&self, proposals: &[u8]) -> Result<Choice, HandshakeError> {
        let slots = || proposals.chunks_exact(4).map(|p| [p[0], p[1], p[2], p[3]]);
        // One malformed proposal spoils all four, as with real servers.
        for (i, proposal) in slots().enumerate() {
            let [_, below, minor, _] = proposal;
            if below > minor {
                return Err(HandshakeError::BadRange { offset: 4 + 4 * i, proposal });
            }
        }
        for proposal in slots() {
            if self.manifest && proposal[2..] == MANIFEST_V1[2..] {
                return Ok(Choice::Manifest);
            }
            if let Some(version) = self.served.newest_in(VersionRange::from_bytes(proposal)) {
                return Ok(Choice::Version(version));
            }
        }
        Ok(Choice::Nothing)
    }

    fn write_manifest<O: Output>(&self, out: &mut O) -> Result<(), EncodeError> {
        let mut ranges = [VersionRange { newest: Version { major: 0, minor: 0 }, below: 0 }; 32];
        let mut count = 0;
        for &version in Version::SUPPORTED.iter().filter(|&&v| self.served.holds(v)) {
            let last = ranges[..count].last_mut();
            match last {
                Some(r) if r.newest.major == version.major && r.newest.minor + 1 == version.minor => {
                    *r = VersionRange { newest: version, below: r.below + 1 };
                }
                _ => {
                    ranges[count] = VersionRange { newest: version, below: 0 };
                    count += 1;
                }
            }
        }
        out.write(&MANIFEST_V1)?;
        // At most one range per supported version, so the number is a varint of one byte.
        out.write(&[count as u8])?;
        ranges[..count].iter().try_for_each(|range| out.write(&range.to_bytes()))?;
        out.write(&[0])
    }

    fn read_choice(&self, input: &[u8]) -> Result<HandshakeStep, HandshakeError> {
        let Some(&answer) = input[HELLO_BYTES..].first_chunk::<4>() else {
            return Ok(HandshakeStep::NeedMore);
        };
        let VersionRange { newest: version, below } = VersionRange::from_bytes(answer);
        if below != 0 || !self.served.holds(version) {
            return Err(HandshakeError::BadChoice { answer });
        }
        let mask_at = HELLO_BYTES + 4;
        match varint(input, mask_at)? {
            None => Ok(HandshakeStep::NeedMore),
            Some((0, consumed)) => Ok(HandshakeStep::Done { version, consumed, manifest: true }),
            Some((mask, _)) => Err(HandshakeError::BadCapabilities { offset: mask_at, mask }),
        }
    }

    /// What to report when the peer closed the connection after `received`.
    #[must_use]
    pub fn closed(&self, received: &[u8]) -> HandshakeError {
        closed(received)
    }
}

enum Choice {
    Version(Version),
    Manifest,
    Nothing,
}

// The newest row's index must fit the set's bits, and every range its place in `write_manifest`.
const _: () = assert!(Version::SUPPORTED.len() < 32);

fn closed(received: &[u8]) -> HandshakeError {
    match received {
        [0x15 | 0x16, ..] => HandshakeError::Tls,
        _ => HandshakeError::Closed { received: received.len() },
    }
}

/// Reads a varint at `at`: low group first, top bit = more follow. `None`: the input ends first.
fn varint(input: &[u8], at: usize) -> Result<Option<(u64, usize)>, HandshakeError> {
    let mut value = 0_u64;
    for i in 0..VARINT_BYTES_MAX {
        let Some(&byte) = input.get(at + i) else {
            return Ok(None);
        };
        let group = u64::from(byte & 0x7F);
        // The tenth byte has room for the 64th bit only.
        if i == VARINT_BYTES_MAX - 1 && byte > 1 {
            return Err(HandshakeError::Varint { offset: at });
        }
        value |= group << (7 * i);
        if byte & 0x80 == 0 {
            return Ok(Some((value, at + i + 1)));
        }
    }
    Err(HandshakeError::Varint { offset: at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_the_specification() {
        let read = |bytes: &[u8]| varint(bytes, 0);
        assert_eq!(read(&[0xFF, 0x82, 0x71]), Ok(Some((1_851_775, 3))));
        assert_eq!(read(&[0]), Ok(Some((0, 1))));
        assert_eq!(read(&[0x7F]), Ok(Some((127, 1))));
        assert_eq!(read(&[0x80, 0x01]), Ok(Some((128, 2))));
        assert_eq!(read(&[0x80, 0x00]), Ok(Some((0, 2))));
        assert_eq!(read(&[0x80]), Ok(None));
        let max = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        assert_eq!(read(&max), Ok(Some((u64::MAX, 10))));
        let mut bits_65 = max;
        bits_65[9] = 0x02;
        assert_eq!(read(&bits_65), Err(HandshakeError::Varint { offset: 0 }));
        assert_eq!(read(&[0x80; 11]), Err(HandshakeError::Varint { offset: 0 }));
    }
}
