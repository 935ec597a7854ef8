//! The file format's bytes as typed views: meta, page header, leaf, branch, bucket value, freelist.
//!
//! Owns every offset and constant of bbolt's format, version 2, for reading and for writing. Views borrow the bytes of one page
//! allocation (the page and its overflow), read unaligned little-endian numbers, and check each access against the bytes they
//! hold: whatever the bytes are, an access gives data or a [`Damage`] with page and offset, never a panic. Never follows a
//! reference to another page and never looks at order or layout; that is for the tree and for the strict check.
//!
//! ```text
//! page header            leaf element           branch element         bucket value           meta, from byte 16
//! 0  id                  0  flags    pos        0  pos      key size   0  root page           16 magic    version
//! 8  flags count overfl. 8  key size value size 8  child page          8  sequence            24 page sz  flags
//!                                                                      16 inline page if      32 root     40 sequence
//!    eight bytes a row   pos counts from the start of its own element     root page is 0      48 freelist 56 high-water
//!                                                                                             64 txid     72 checksum
//! ```

mod search;

use std::cmp::Ordering;

use crate::error::{Damage, Rule};

/// Bytes of a page's header; its elements or ids follow.
pub const PAGE_HEADER_BYTES: usize = 16;
/// Bytes of one element of a leaf or branch page.
pub const ELEMENT_BYTES: usize = 16;
/// Bytes of a bucket's header, in a leaf's value and in the meta page: root page id and sequence.
pub const BUCKET_HEADER_BYTES: usize = 16;
/// Bytes of a meta page that mean something: page header, then 64 bytes of meta.
pub const META_PAGE_BYTES: usize = 80;
/// The first four bytes after a meta page's header.
pub const MAGIC: u32 = 0xED0C_DAED;
/// The version of the format that this crate reads and writes, and the only one there is.
pub const VERSION: u32 = 2;
/// Freelist id that says: the freelist was not written, find free pages by walking the tree.
pub const NO_FREELIST: u64 = u64::MAX;
/// Leaf element flag: the value is a bucket.
pub const BUCKET_FLAG: u32 = 0x01;
/// A freelist's 16-bit count with this value says that the true count is in the first 64-bit word.
pub const LONG_FREELIST: u16 = 0xFFFF;
/// Most elements a page can have: the count is 16 bits wide and bbolt refuses its greatest value.
pub const MAX_ELEMENTS: usize = 65_534;
/// Pages 0 and 1 are the metas; data starts here.
pub const FIRST_DATA_PAGE: u64 = 2;
/// The smallest page that holds a meta.
pub const MIN_PAGE_SIZE: u32 = META_PAGE_BYTES as u32;
/// The largest page size that bbolt's page-size detection looks for.
pub const MAX_PAGE_SIZE: u32 = 16 << 20;

/// Where element `index` of a page stands, or, for the count of elements, where they end.
#[inline(always)]
pub(crate) const fn element_at(index: usize) -> usize {
    PAGE_HEADER_BYTES + ELEMENT_BYTES * index
}

const CHECKSUMMED: core::ops::Range<usize> = 16..72;
const _: () = assert!(CHECKSUMMED.end + 8 == META_PAGE_BYTES && CHECKSUMMED.start == PAGE_HEADER_BYTES);

#[inline(always)]
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let mut word = [0; 2];
    word.copy_from_slice(&bytes[at..at + 2]);
    u16::from_le_bytes(word)
}

#[inline(always)]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

#[inline(always)]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// Keys in their order: as plain bytes. Most differ in their first eight, which are compared at once.
#[inline(always)]
pub(crate) fn compare_keys(left: &[u8], right: &[u8]) -> Ordering {
    if let (Some(a), Some(b)) = (left.first_chunk::<8>(), right.first_chunk::<8>()) {
        match u64::from_be_bytes(*a).cmp(&u64::from_be_bytes(*b)) {
            Ordering::Equal => {}
            ordering => return ordering,
        }
        // The one key that is sought is compared to its end: without a call, if it is as short as most.
        if let (Some(a), Some(b)) = (left[8..].first_chunk::<8>(), right[8..].first_chunk::<8>()) {
            match u64::from_be_bytes(*a).cmp(&u64::from_be_bytes(*b)) {
                Ordering::Equal if left.len() == 16 && right.len() == 16 => return Ordering::Equal,
                Ordering::Equal => {}
                ordering => return ordering,
            }
        }
    }
    left.cmp(right)
}

/// The first of `count` ascending places that is not below what `compare` seeks, and whether it is equal: first beside the place that was guessed,
/// then in steps that double, and by halves once both sides are known. Right whatever was guessed; a good guess takes two comparisons.
///
/// # Errors
/// Those of `compare`.
#[inline(always)]
pub fn gallop<E>(
    count: usize,
    guess: usize,
    mut compare: impl FnMut(usize) -> Result<Ordering, E>,
) -> Result<(usize, bool), E> {
    let (mut low, mut high) = (0, count);
    let (mut below_known, mut above_known) = (false, false);
    let mut at = guess.min(count.saturating_sub(1));
    let mut reach = 0;
    while low < high {
        match compare(at)? {
            Ordering::Equal => return Ok((at, true)),
            Ordering::Less => {
                low = at + 1;
                below_known = true;
            }
            Ordering::Greater => {
                high = at;
                above_known = true;
            }
        }
        at = match (below_known, above_known) {
            (true, false) => (low + reach).min(high.saturating_sub(1)),
            (false, true) => high.saturating_sub(1 + reach),
            _ => (low + high) / 2,
        };
        reach = 2 * reach + 1;
    }
    Ok((low, false))
}

/// 64-bit FNV-1a, the meta page's checksum and the canonical dump's hash.
pub fn fnv1a_64(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// What a page is, by its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PageKind {
    /// Separators and child pages.
    Branch,
    /// Keys and values.
    Leaf,
    /// One of the two metas.
    Meta,
    /// The list of free and pending pages.
    Freelist,
}

impl PageKind {
    /// The value of the header's flags.
    pub const fn flags(self) -> u16 {
        match self {
            Self::Branch => 0x01,
            Self::Leaf => 0x02,
            Self::Meta => 0x04,
            Self::Freelist => 0x10,
        }
    }

    /// The kind with exactly these flags.
    pub const fn from_flags(flags: u16) -> Option<Self> {
        match flags {
            0x01 => Some(Self::Branch),
            0x02 => Some(Self::Leaf),
            0x04 => Some(Self::Meta),
            0x10 => Some(Self::Freelist),
            _ => None,
        }
    }

    /// bbolt's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Leaf => "leaf",
            Self::Meta => "meta",
            Self::Freelist => "freelist",
        }
    }
}

/// The first 16 bytes of a page, as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageHeader {
    /// The page's own number.
    pub id: u64,
    /// The kind, as bits.
    pub flags: u16,
    /// Number of elements.
    pub count: u16,
    /// Number of further physical pages that belong to this one.
    pub overflow: u32,
}

impl PageHeader {
    /// Reads the header; `None` if there are fewer than 16 bytes.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<PAGE_HEADER_BYTES>()?;
        Some(Self {
            id: u64_at(header, 0),
            flags: u16_at(header, 8),
            count: u16_at(header, 10),
            overflow: u32_at(header, 12),
        })
    }

    /// Writes the header to the first 16 bytes.
    ///
    /// # Panics
    /// If there are fewer than 16 bytes.
    pub fn write(&self, bytes: &mut [u8]) {
        bytes[0..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.flags.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.count.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.overflow.to_le_bytes());
    }

    /// The kind, if exactly one known flag is set.
    #[inline]
    pub fn kind(&self) -> Option<PageKind> {
        PageKind::from_flags(self.flags)
    }
}

/// What a meta page says about the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Bytes of a page.
    pub page_size: u32,
    /// Unused; carried along.
    pub flags: u32,
    /// Root page of the root bucket.
    pub root: u64,
    /// Sequence of the root bucket; no interface sets it, and it is carried along.
    pub sequence: u64,
    /// Page of the freelist, or [`NO_FREELIST`].
    pub freelist: u64,
    /// The high-water mark: the first page id that was never allocated.
    pub high_water: u64,
    /// The transaction that wrote this meta.
    pub txid: u64,
}

/// Why 80 bytes are no valid meta page, in the order in which bbolt looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaFault {
    /// Fewer than 80 bytes.
    Short,
    /// The magic is another.
    Magic,
    /// The magic stands there in the other byte order.
    ByteSwapped,
    /// The version is another; this is what was found.
    Version(u32),
    /// The checksum does not fit the bytes.
    Checksum,
    /// The checksum fits, and yet no file can have this page size.
    PageSize(u32),
}

impl Meta {
    /// Reads and validates the meta in a page's bytes (header included; it is not looked at, as in bbolt).
    ///
    /// # Errors
    /// The first test that fails: length, magic, version, checksum, page size.
    pub fn read(page: &[u8]) -> Result<Self, MetaFault> {
        let bytes = page.first_chunk::<META_PAGE_BYTES>().ok_or(MetaFault::Short)?;
        match u32_at(bytes, 16) {
            MAGIC => {}
            magic if magic == MAGIC.swap_bytes() => return Err(MetaFault::ByteSwapped),
            _ => return Err(MetaFault::Magic),
        }
        let version = u32_at(bytes, 20);
        if version != VERSION {
            return Err(MetaFault::Version(version));
        }
        if u64_at(bytes, 72) != fnv1a_64(&bytes[CHECKSUMMED]) {
            return Err(MetaFault::Checksum);
        }
        let meta = Self::read_unchecked(bytes);
        if !(MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&meta.page_size) {
            return Err(MetaFault::PageSize(meta.page_size));
        }
        Ok(meta)
    }

    /// The fields as they stand, valid or not: for tools that show damaged files.
    pub fn read_unchecked(page: &[u8; META_PAGE_BYTES]) -> Self {
        Self {
            page_size: u32_at(page, 24),
            flags: u32_at(page, 28),
            root: u64_at(page, 32),
            sequence: u64_at(page, 40),
            freelist: u64_at(page, 48),
            high_water: u64_at(page, 56),
            txid: u64_at(page, 64),
        }
    }

    /// Writes a meta page for page `id` (0 or 1): header, fields, checksum, zeros behind.
    ///
    /// # Panics
    /// If `page` is shorter than 80 bytes.
    pub fn write(&self, id: u64, page: &mut [u8]) {
        page.fill(0);
        PageHeader { id, flags: PageKind::Meta.flags(), count: 0, overflow: 0 }.write(page);
        page[16..20].copy_from_slice(&MAGIC.to_le_bytes());
        page[20..24].copy_from_slice(&VERSION.to_le_bytes());
        page[24..28].copy_from_slice(&self.page_size.to_le_bytes());
        page[28..32].copy_from_slice(&self.flags.to_le_bytes());
        let words = [self.root, self.sequence, self.freelist, self.high_water, self.txid];
        for (at, word) in (32..).step_by(8).zip(words) {
            page[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        let checksum = fnv1a_64(&page[CHECKSUMMED]);
        page[72..80].copy_from_slice(&checksum.to_le_bytes());
    }

    /// The checksum these fields have on disk.
    pub fn checksum(&self) -> u64 {
        let mut page = [0; META_PAGE_BYTES];
        self.write(0, &mut page);
        u64_at(&page, 72)
    }
}

/// One page allocation, header checked: the page's number, its kind, and that all of it is here.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    bytes: &'a [u8],
    id: u64,
    kind: PageKind,
    count: u16,
}

impl<'a> Page<'a> {
    /// Checks the header of page `id` against `bytes`, which begin with it and hold its whole allocation.
    ///
    /// # Errors
    /// [`Rule::PageInFile`], [`Rule::PageId`] or [`Rule::PageKind`].
    #[inline]
    pub fn new(bytes: &'a [u8], id: u64) -> Result<Self, Damage> {
        let Some(header) = PageHeader::read(bytes) else {
            return Err(fault(id, 0, Rule::PageInFile, bytes.len() as u64, PAGE_HEADER_BYTES as u64));
        };
        if header.id != id {
            return Err(fault(id, 0, Rule::PageId, header.id, id));
        }
        let Some(kind) = header.kind() else {
            return Err(fault(id, 8, Rule::PageKind, u64::from(header.flags), 0));
        };
        Ok(Self { bytes, id, kind, count: header.count })
    }

    /// A page whose header is known.
    #[inline]
    pub(crate) fn of_parts(bytes: &'a [u8], id: u64, kind: PageKind, count: u16) -> Self {
        Self { bytes, id, kind, count }
    }

    /// The page's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The page's kind.
    #[inline]
    pub fn kind(&self) -> PageKind {
        self.kind
    }

    /// The header's count of elements.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The whole allocation.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The page as a leaf.
    ///
    /// # Errors
    /// [`Rule::PageKind`] or [`Rule::ElementCount`].
    #[inline]
    pub fn leaf(&self) -> Result<Leaf<'a>, Damage> {
        self.expect(PageKind::Leaf)?;
        Leaf::of(self.bytes, self.id, self.count)
    }

    /// The page as a branch.
    ///
    /// # Errors
    /// [`Rule::PageKind`] or [`Rule::ElementCount`].
    #[inline]
    pub fn branch(&self) -> Result<Branch<'a>, Damage> {
        self.expect(PageKind::Branch)?;
        Branch::of(self.bytes, self.id, self.count)
    }

    /// The page as a freelist.
    ///
    /// # Errors
    /// [`Rule::PageKind`] or [`Rule::FreelistCount`].
    pub fn freelist(&self) -> Result<FreelistPage<'a>, Damage> {
        self.expect(PageKind::Freelist)?;
        FreelistPage::of(self.bytes, self.id, self.count)
    }

    #[inline]
    fn expect(&self, kind: PageKind) -> Result<(), Damage> {
        if self.kind == kind {
            Ok(())
        } else {
            Err(fault(self.id, 8, Rule::PageKind, u64::from(self.kind.flags()), u64::from(kind.flags())))
        }
    }
}

#[cold]
fn fault(page: u64, offset: u64, rule: Rule, found: u64, expected: u64) -> Damage {
    Damage { page, offset, rule, found, expected }
}

/// Checks that `count` elements lie within `bytes`.
#[inline]
fn elements_fit(bytes: &[u8], page: u64, count: u16) -> Result<(), Damage> {
    let end = element_at(usize::from(count));
    if end <= bytes.len() {
        Ok(())
    } else {
        Err(fault(
            page,
            10,
            Rule::ElementCount,
            u64::from(count),
            (bytes.len() / ELEMENT_BYTES).max(1) as u64 - 1,
        ))
    }
}

/// The byte range `[at + pos, + first, + second)`, checked against the element array's end and the page's.
#[inline]
fn data_of(
    bytes: &[u8],
    page: u64,
    count: usize,
    at: usize,
    pos: u32,
    sizes: [u32; 2],
) -> Result<Spans, Damage> {
    // 64-bit sums of 32-bit numbers cannot overflow, whatever a damaged page says.
    let start = at as u64 + u64::from(pos);
    let middle = start + u64::from(sizes[0]);
    let end = middle + u64::from(sizes[1]);
    let behind_elements = element_at(count) as u64;
    if end > bytes.len() as u64 || start < behind_elements {
        return Err(fault(page, at as u64, Rule::ElementBounds, end, bytes.len() as u64));
    }
    Ok((start as usize, middle as usize, end as usize))
}

/// One element of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafElement<'a> {
    /// 1 for a bucket, else 0.
    pub flags: u32,
    /// The key, or the bucket's name.
    pub key: &'a [u8],
    /// The value, or the bucket's header and, if it is inline, its page.
    pub value: &'a [u8],
}

impl LeafElement<'_> {
    /// Whether the value is a bucket.
    #[inline]
    pub fn is_bucket(&self) -> bool {
        self.flags & BUCKET_FLAG != 0
    }
}

/// An element as it stands.
type Words = [u8; ELEMENT_BYTES];
/// A page's header or one of its elements.
pub(crate) type Piece = [u8; ELEMENT_BYTES];
const _: () = assert!(PAGE_HEADER_BYTES == ELEMENT_BYTES);
/// Where a key starts, where its value starts, and where both end.
type Spans = (usize, usize, usize);

/// Where the data of element `index` of a leaf begins by the element's own word, unchecked: for hints that may be wrong.
#[inline(always)]
pub(crate) fn data_hint(leaf: &[Piece], index: usize) -> Option<usize> {
    let element = leaf.get(index + 1)?;
    // Where a `usize` has 32 bits, a damaged page's word can take the sum past its end.
    Some((ELEMENT_BYTES * (index + 1)).wrapping_add(u32_at(element, 4) as usize))
}

/// A page of elements: its count is checked, each element when it is looked at. [`Leaf`] and [`Branch`] are the two kinds.
///
/// Layout: a slice, a page id and a count. Cost: nothing is copied; the kind is known when compiling.
#[derive(Debug, Clone, Copy)]
pub struct Elements<'a, const BRANCH: bool> {
    bytes: &'a [u8],
    page: u64,
    count: u16,
}

/// A leaf page, or the page image of an inline bucket.
pub type Leaf<'a> = Elements<'a, false>;
/// A branch page.
pub type Branch<'a> = Elements<'a, true>;

impl<'a, const BRANCH: bool> Elements<'a, BRANCH> {
    #[inline]
    pub(crate) fn of(bytes: &'a [u8], page: u64, count: u16) -> Result<Self, Damage> {
        elements_fit(bytes, page, count)?;
        Ok(Self { bytes, page, count })
    }

    /// Number of elements.
    #[inline]
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// The page this is, or the page that holds the inline bucket.
    pub fn page(&self) -> u64 {
        self.page
    }

    /// The image: header, elements, data.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The key of element `index`; in a branch no key of the element's child is below it.
    ///
    /// # Errors
    /// [`Rule::ElementBounds`], or [`Rule::ElementCount`] for an index at or above the count.
    #[inline]
    pub fn key(&self, index: usize) -> Result<&'a [u8], Damage> {
        let (_, (start, middle, _)) = self.spans(index)?;
        Ok(&self.bytes[start..middle])
    }

    /// The page in pieces of 16 bytes: the header, the elements, and data.
    #[inline(always)]
    pub(crate) fn pieces(&self) -> &'a [Piece] {
        self.bytes.as_chunks().0
    }

    /// Where the data of the last element ends, if every element's data lies within the page and begins where the one before ended, as in all
    /// sound pages.
    #[inline]
    pub(crate) fn packed_end(&self) -> Option<usize> {
        let first = element_at(self.count());
        let elements = self.bytes.get(PAGE_HEADER_BYTES..first)?;
        // 65,535 sums of three 32-bit numbers cannot overflow; one comparison at the end instead of a branch for each element.
        let (mut at, mut end, mut wrong) = (PAGE_HEADER_BYTES as u64, first as u64, 0);
        for element in elements.chunks_exact(ELEMENT_BYTES) {
            let (pos, size) = if BRANCH {
                (u32_at(element, 0), u64::from(u32_at(element, 4)))
            } else {
                (u32_at(element, 4), u64::from(u32_at(element, 8)) + u64::from(u32_at(element, 12)))
            };
            wrong |= (at + u64::from(pos)) ^ end;
            end += size;
            at += ELEMENT_BYTES as u64;
        }
        (wrong == 0 && end <= self.bytes.len() as u64).then_some(end as usize)
    }

    /// The words of element `index`, and where they stand.
    #[inline]
    fn words(&self, index: usize) -> Result<(usize, &'a Words), Damage> {
        let at = element_at(index);
        match self.bytes.get(at..).and_then(<[u8]>::first_chunk::<ELEMENT_BYTES>) {
            Some(element) if index < self.count() => Ok((at, element)),
            _ => Err(fault(self.page, at as u64, Rule::ElementCount, index as u64, self.count() as u64)),
        }
    }

    /// The words of element `index`; where its key starts, its value starts and both end.
    #[inline]
    fn spans(&self, index: usize) -> Result<(&'a Words, Spans), Damage> {
        let (at, element) = self.words(index)?;
        let (pos, sizes) = if BRANCH {
            (u32_at(element, 0), [u32_at(element, 4), 0])
        } else {
            (u32_at(element, 4), [u32_at(element, 8), u32_at(element, 12)])
        };
        Ok((element, data_of(self.bytes, self.page, self.count(), at, pos, sizes)?))
    }

    /// The index of the first key that is not below the place that is sought, by what `compare` says of a key; and whether it is there.
    #[inline]
    fn lower_bound(&self, mut compare: impl FnMut(&[u8]) -> Ordering) -> Result<(usize, bool), Damage> {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = (low + high) / 2;
            match compare(self.key(middle)?) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok((middle, true)),
                Ordering::Greater => high = middle,
            }
        }
        Ok((low, false))
    }
}

impl<'a> Leaf<'a> {
    /// A leaf without elements, for buckets that do not exist yet.
    pub const fn empty() -> Leaf<'static> {
        Leaf { bytes: &[0; PAGE_HEADER_BYTES], page: 0, count: 0 }
    }

    /// Element `index`, its bytes checked against the page.
    ///
    /// # Errors
    /// [`Rule::ElementBounds`]; also for an index at or above the count.
    #[inline]
    pub fn element(&self, index: usize) -> Result<LeafElement<'a>, Damage> {
        let (flags, (start, middle, end)) = self.places(index)?;
        Ok(LeafElement { flags, key: &self.bytes[start..middle], value: &self.bytes[middle..end] })
    }

    /// Element `index` with the checks of [`Leaf::element`], for loops over a page: `None` where that one has an error to tell. A number of 16 bits
    /// shows the compiler that no sum overflows.
    #[inline(always)]
    pub(crate) fn element_in_loop(&self, index: u16) -> Option<LeafElement<'a>> {
        if index >= self.count {
            return None;
        }
        let element = self.pieces().get(usize::from(index) + 1)?;
        let at = PAGE_HEADER_BYTES as u64 + ELEMENT_BYTES as u64 * u64::from(index);
        let start = at + u64::from(u32_at(element, 4));
        let (key_bytes, value_bytes) = (u64::from(u32_at(element, 8)), u64::from(u32_at(element, 12)));
        if start < element_at(usize::from(self.count)) as u64 {
            return None;
        }
        // Cut to 32 bits, a damaged page's sums could lie in the page again.
        let end = usize::try_from(start + key_bytes + value_bytes).ok()?;
        let data = self.bytes.get(start as usize..end)?;
        let (key, value) = data.split_at_checked(key_bytes as usize)?;
        Some(LeafElement { flags: u32_at(element, 0), key, value })
    }

    /// Where the data of element `index` begins by the element's own word, unchecked: for hints that may be wrong.
    #[inline(always)]
    pub(crate) fn data_hint(&self, index: usize) -> u64 {
        data_hint(self.pieces(), index).unwrap_or(0) as u64
    }

    /// Flags, and where key and value of element `index` start and end in [`Leaf::bytes`].
    ///
    /// # Errors
    /// As [`Leaf::element`].
    #[inline]
    pub fn places(&self, index: usize) -> Result<(u32, (usize, usize, usize)), Damage> {
        let (element, spans) = self.spans(index)?;
        Ok((u32_at(element, 0), spans))
    }

    /// The index of the first key that is not below `key`, and whether it is equal.
    ///
    /// Cost: about log2(count) comparisons of whole keys.
    ///
    /// # Errors
    /// As [`Leaf::element`], for the elements that were looked at.
    #[inline]
    pub fn search(&self, key: &[u8]) -> Result<(usize, bool), Damage> {
        self.place_of(key)
    }

    /// As [`Leaf::search`], beginning where the key is expected.
    ///
    /// # Errors
    /// As [`Leaf::search`].
    #[inline(always)]
    pub fn search_from(&self, guess: usize, key: &[u8]) -> Result<(usize, bool), Damage> {
        gallop(self.count(), guess, |index| Ok(compare_keys(self.key(index)?, key)))
    }

    /// As [`Leaf::search`], for whatever `compare` says about a key: below the place that is sought, there, or above.
    ///
    /// # Errors
    /// As [`Leaf::search`].
    #[inline]
    pub fn search_by(&self, compare: impl FnMut(&[u8]) -> Ordering) -> Result<(usize, bool), Damage> {
        self.lower_bound(compare)
    }
}

impl Branch<'_> {
    /// The child of element `index`.
    ///
    /// # Errors
    /// [`Rule::ElementCount`] for an index at or above the count.
    #[inline]
    pub fn child(&self, index: usize) -> Result<u64, Damage> {
        let (_, element) = self.words(index)?;
        Ok(u64_at(element, 8))
    }

    /// Where the key of element `index` starts and ends in [`Branch::bytes`].
    ///
    /// # Errors
    /// As [`Branch::key`].
    #[inline]
    pub fn places(&self, index: usize) -> Result<(usize, usize), Damage> {
        let (_, (start, middle, _)) = self.spans(index)?;
        Ok((start, middle))
    }

    /// The index of the child that may hold `key`: the last separator not above it, or 0 if all are.
    ///
    /// # Errors
    /// As [`Branch::key`]; [`Rule::EmptyPage`] if there are no elements.
    #[inline]
    pub fn search(&self, key: &[u8]) -> Result<usize, Damage> {
        self.child_at(|branch| branch.place_of(key))
    }

    /// As [`Branch::search`], beginning at the child that is expected.
    ///
    /// # Errors
    /// As [`Branch::search`].
    #[inline(always)]
    pub fn search_from(&self, guess: usize, key: &[u8]) -> Result<usize, Damage> {
        if self.count == 0 {
            return Err(fault(self.page, 10, Rule::EmptyPage, 0, 1));
        }
        // The place behind the child is sought: its separator is the first above the key.
        let found = gallop(self.count(), guess + 1, |index| Ok(compare_keys(self.key(index)?, key)))?;
        Ok(if found.1 { found.0 } else { found.0.saturating_sub(1) })
    }

    /// As [`Branch::search`], for whatever `compare` says about a separator: below the place that is sought, there, or above.
    ///
    /// # Errors
    /// As [`Branch::search`].
    #[inline]
    pub fn search_by(&self, compare: impl FnMut(&[u8]) -> Ordering) -> Result<usize, Damage> {
        self.child_at(|branch| branch.lower_bound(compare))
    }

    /// The child whose separator is the last that is not above the place.
    #[inline(always)]
    fn child_at(&self, place: impl FnOnce(&Self) -> Result<(usize, bool), Damage>) -> Result<usize, Damage> {
        if self.count == 0 {
            return Err(fault(self.page, 10, Rule::EmptyPage, 0, 1));
        }
        let (index, there) = place(self)?;
        Ok(if there { index } else { index.saturating_sub(1) })
    }
}

/// The header of a bucket, from a leaf's value or from the meta page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketHeader {
    /// The root page; 0 if the bucket is inline.
    pub root: u64,
    /// The bucket's sequence.
    pub sequence: u64,
}

impl BucketHeader {
    /// Reads a bucket's value, which lies in a leaf of page `page`.
    ///
    /// # Errors
    /// [`Rule::BucketValue`] if the value is shorter than 16 bytes, longer than 16 without being inline, or inline without a page
    /// header.
    #[inline]
    pub fn read(value: &[u8], page: u64) -> Result<Self, Damage> {
        let Some(bytes) = value.first_chunk::<BUCKET_HEADER_BYTES>() else {
            return Err(fault(page, 0, Rule::BucketValue, value.len() as u64, BUCKET_HEADER_BYTES as u64));
        };
        let header = Self { root: u64_at(bytes, 0), sequence: u64_at(bytes, 8) };
        let inline_least = BUCKET_HEADER_BYTES + PAGE_HEADER_BYTES;
        if header.root == 0 && value.len() < inline_least {
            return Err(fault(page, 0, Rule::BucketValue, value.len() as u64, inline_least as u64));
        }
        if header.root != 0 && value.len() != BUCKET_HEADER_BYTES {
            return Err(fault(page, 0, Rule::BucketValue, value.len() as u64, BUCKET_HEADER_BYTES as u64));
        }
        Ok(header)
    }

    /// The 16 bytes of the header.
    pub fn to_bytes(self) -> [u8; BUCKET_HEADER_BYTES] {
        let mut bytes = [0; BUCKET_HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.root.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sequence.to_le_bytes());
        bytes
    }

    /// The page image of an inline bucket, from its whole value.
    ///
    /// # Errors
    /// [`Rule::InlineBucket`] if its header is not that of an inline page, [`Rule::ElementCount`] if its elements do not fit.
    pub fn inline_leaf(value: &[u8], page: u64) -> Result<Leaf<'_>, Damage> {
        let image = value.get(BUCKET_HEADER_BYTES..).unwrap_or(&[]);
        let Some(header) = PageHeader::read(image) else {
            return Err(fault(page, 0, Rule::BucketValue, value.len() as u64, 32));
        };
        if header.kind() != Some(PageKind::Leaf) || header.overflow != 0 {
            return Err(fault(page, 8, Rule::InlineBucket, u64::from(header.flags), 2));
        }
        Leaf::of(image, page, header.count)
    }
}

/// The freelist page: count checked against the allocation, ids as they stand.
#[derive(Debug, Clone, Copy)]
pub struct FreelistPage<'a> {
    ids: &'a [u8],
}

impl<'a> FreelistPage<'a> {
    fn of(bytes: &'a [u8], page: u64, count: u16) -> Result<Self, Damage> {
        let (true_count, first) = if count == LONG_FREELIST {
            let word = bytes.get(PAGE_HEADER_BYTES..).and_then(<[u8]>::first_chunk::<8>);
            let Some(word) = word else {
                return Err(fault(page, 10, Rule::FreelistCount, u64::from(count), 0));
            };
            (u64::from_le_bytes(*word), PAGE_HEADER_BYTES + 8)
        } else {
            (u64::from(count), PAGE_HEADER_BYTES)
        };
        let room = (bytes.len() - first) as u64 / 8;
        if true_count > room {
            return Err(fault(page, 10, Rule::FreelistCount, true_count, room));
        }
        Ok(Self { ids: &bytes[first..first + 8 * true_count as usize] })
    }

    /// Number of ids.
    pub fn count(&self) -> usize {
        self.ids.len() / 8
    }

    /// The ids, in the order of the page.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = u64> + use<'a> {
        self.ids.chunks_exact(8).map(|word| u64_at(word, 0))
    }

    /// Bytes that a freelist of `count` ids takes, header included.
    pub fn bytes_for(count: u64) -> u64 {
        let long = if count >= u64::from(LONG_FREELIST) { 8 } else { 0 };
        PAGE_HEADER_BYTES as u64 + 8 * count + long
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums that leave 32 bits came back into the page in 32-bit programs: a loop was given what `element` refuses, and a hint panicked in debug builds.
    #[test]
    fn data_beyond_the_page_stays_beyond_it_in_32_bits_too() {
        let mut bytes = [0; 64];
        for (pos, key, value) in
            [(u32::MAX, 1, 1), (u32::MAX, 0, 0), (u32::MAX - 15, 16, 8), (16, 1, u32::MAX)]
        {
            for (at, word) in (20..).step_by(4).zip([pos, key, value]) {
                bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
            let leaf = Leaf::of(&bytes, 5, 1).unwrap();
            assert!(leaf.element(0).is_err(), "{pos} {key} {value}");
            assert_eq!(leaf.element_in_loop(0), None, "{pos} {key} {value}");
            assert_eq!(leaf.data_hint(0), 16_usize.wrapping_add(pos as usize) as u64);
        }
    }
}
