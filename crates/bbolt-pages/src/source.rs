//! Where a transaction's pages come from: the mapping, ordinary reads, or the write transaction's own changed pages.
//!
//! Owns [`Source`], the one way to a page: its bytes are whole, lie below the snapshot's high-water mark and within the file, and its header
//! says what it should, or an error says what does not. Owns the page cache of the plain mode, too. Never follows a reference.
//! Limits: the plain mode keeps each page that a transaction touched until that transaction ends.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::digest::Digests;
use crate::error::{Damage, Error, Result, Rule};
use crate::io::Storage;
use crate::map::{LINE_BYTES, Mapping, Room, fetch};
use crate::page::{FIRST_DATA_PAGE, Page, PageHeader, Piece, data_hint};
use crate::work::{Work, is_image};

/// The most lines that are asked for at once of a page that will be copied: what is in use of one of 4 KiB that was split and filled again.
pub(crate) const PAGE_LINES: u64 = 48;
/// Lines of a page of 4 KiB, all of which an edit in place writes.
pub(crate) const ROOM_LINES: u64 = 64;
/// Lines that hold the header and the elements of most pages: 31 elements of 16 bytes.
const ELEMENT_LINES: u64 = 8;

/// A snapshot's pages. Copied into every bucket and cursor.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) backing: Backing<'a>,
    pub(crate) page_size: u64,
    pub(crate) high_water: u64,
    /// A write transaction's changed pages and opened buckets.
    pub(crate) work: Option<&'a Work>,
    /// Digests of the file's pages, where it is large enough for them.
    pub(crate) digests: Option<&'a Digests>,
    /// Where the first damage is noted that an `Option` could not tell of.
    pub(crate) fault: &'a OnceLock<Error>,
}

/// What holds the pages of the file.
#[derive(Clone, Copy)]
pub(crate) enum Backing<'a> {
    Mapped(&'a Mapping),
    Plain(&'a PlainPages),
}

impl<'a> Source<'a> {
    /// Page `id`, header checked, with its overflow.
    #[inline]
    pub(crate) fn page(&self, id: u64) -> Result<Page<'a>> {
        if id >= self.high_water || id < FIRST_DATA_PAGE {
            return self.image(id);
        }
        let first = self.bytes(id, 1)?;
        let bytes = match PageHeader::read(first) {
            Some(header) if header.overflow != 0 => self.whole(id, header)?,
            _ => first,
        };
        Ok(Page::new(bytes, id)?)
    }

    /// A changed page of this transaction; any other id this high is damage.
    #[cold]
    fn image(&self, id: u64) -> Result<Page<'a>> {
        match self.work {
            Some(work) if is_image(id) => work.image_page(self, id),
            _ => Err(out_of_bounds(id, self.high_water)),
        }
    }

    /// Page `id`, which was given to the write transaction and written by it before its commit; it lies below the high-water mark.
    #[cold]
    pub(crate) fn given_page(&self, id: u64) -> Result<Page<'a>> {
        Ok(Page::new(self.bytes(id, 1)?, id)?)
    }

    #[cold]
    fn whole(&self, id: u64, header: PageHeader) -> Result<&'a [u8]> {
        // A page's own header must fit before its overflow is believed.
        if header.id != id {
            let rule = Rule::PageId;
            return Err(Damage { page: id, offset: 0, rule, found: header.id, expected: id }.into());
        }
        let end = id + 1 + u64::from(header.overflow);
        if end > self.high_water {
            let found = u64::from(header.overflow);
            let damage =
                Damage { page: id, offset: 12, rule: Rule::PageInBounds, found, expected: self.high_water };
            return Err(damage.into());
        }
        self.bytes(id, 1 + u64::from(header.overflow))
    }

    /// The bytes of `count` pages from `id` on; both lie below the high-water mark.
    #[inline]
    pub(crate) fn bytes(&self, id: u64, count: u64) -> Result<&'a [u8]> {
        // Below the high-water mark, which was checked against the file's length: the products cannot overflow.
        let (offset, length) = (id * self.page_size, count * self.page_size);
        match self.backing {
            Backing::Mapped(map) => match map.bytes(offset, length) {
                Some(bytes) => Ok(bytes),
                None => Err(not_in_file(id, offset + length, map.readable())),
            },
            Backing::Plain(pages) => pages.bytes(id, count, self.page_size),
        }
    }

    /// Page `id` to be edited in place, if the mapping is for that: for pages that were given to the write transaction.
    pub(crate) fn room(&self, id: u64) -> Option<Room> {
        match self.backing {
            Backing::Mapped(map) if map.is_writable() => {
                map.room(id.checked_mul(self.page_size)?, usize::try_from(self.page_size).ok()?)
            }
            _ => None,
        }
    }

    /// Asks the processor for all of the page that will be edited next.
    #[inline]
    pub(crate) fn prefetch_room(&self, id: u64) {
        if let Backing::Mapped(map) = self.backing {
            self.prefetch_given(map, id, 0..ROOM_LINES);
        }
    }

    /// Lines of a page that may lie behind the high-water mark, as far as it has them.
    #[inline]
    fn prefetch_given(&self, map: &Mapping, id: u64, lines: Range<u64>) {
        let end = lines.end.min(self.page_size / LINE_BYTES as u64);
        let at = id.saturating_mul(self.page_size).saturating_add(LINE_BYTES as u64 * lines.start);
        map.prefetch(at, end.saturating_sub(lines.start));
    }

    /// Asks the processor for the first lines of page `id`: its header and elements then arrive together, and not one after the other.
    #[inline(always)]
    pub(crate) fn prefetch_elements(&self, id: u64) {
        self.prefetch(id, 0, ELEMENT_LINES);
    }

    /// Asks the processor for some lines of page `id`, as far as it has them.
    #[inline]
    pub(crate) fn prefetch_lines(&self, id: u64, lines: Range<u64>) {
        let end = lines.end.min(self.page_size / LINE_BYTES as u64);
        self.prefetch(id, LINE_BYTES as u64 * lines.start, end.saturating_sub(lines.start));
    }

    /// As [`Source::prefetch_lines`], of a page that was given to be edited in place; of no use where that is not done.
    #[inline]
    pub(crate) fn prefetch_room_lines(&self, id: u64, lines: Range<u64>) {
        if let Backing::Mapped(map) = self.backing
            && map.is_writable()
        {
            self.prefetch_given(map, id, lines);
        }
    }

    /// Asks the processor for `lines` lines of page `id`, from byte `at` on.
    #[inline(always)]
    pub(crate) fn prefetch(&self, id: u64, at: u64, lines: u64) {
        if let Backing::Mapped(map) = self.backing
            && id < self.high_water
        {
            map.prefetch(id * self.page_size + at, lines);
        }
    }

    /// Page `id` as it stands, unchecked, to ask for its data before it is reached; empty where nothing is mapped.
    #[inline]
    pub(crate) fn ahead(&self, id: u64) -> &'a [Piece] {
        match self.backing {
            Backing::Mapped(map) if id < self.high_water => {
                map.bytes(id * self.page_size, self.page_size).unwrap_or_default().as_chunks().0
            }
            _ => &[],
        }
    }

    /// Notes damage for [`ReadTx::fault`](crate::ReadTx::fault), if it is the first.
    #[cold]
    pub(crate) fn note(&self, error: Error) {
        let _ = self.fault.set(error);
    }
}

/// Asks the processor for the key of element `index` of a leaf, by what its element says; for a mapped page only.
#[inline(always)]
pub(crate) fn prefetch_key(leaf: &[Piece], index: usize) {
    if let Some(at) = data_hint(leaf, index) {
        fetch(leaf.as_ptr().cast::<u8>().wrapping_add(at), 1);
    }
}

#[cold]
fn not_in_file(page: u64, found: u64, expected: u64) -> Error {
    Damage { page, offset: 0, rule: Rule::PageInFile, found, expected }.into()
}

#[cold]
pub(crate) fn out_of_bounds(page: u64, high_water: u64) -> Error {
    Damage { page, offset: 0, rule: Rule::PageInBounds, found: page, expected: high_water }.into()
}

/// Slots of one level of the table.
const FAN: usize = 512;

type Slots<T> = Box<[OnceLock<T>]>;

/// The pages that a transaction without a mapping has read, each once, by id: a table of three levels that is filled on demand.
pub(crate) struct PlainPages {
    storage: Arc<dyn Storage>,
    top: Slots<Slots<Slots<Box<[u8]>>>>,
}

fn slots<T>(count: usize) -> Slots<T> {
    (0..count).map(|_| OnceLock::new()).collect()
}

impl PlainPages {
    /// An empty table for ids below `high_water`.
    pub(crate) fn new(storage: Arc<dyn Storage>, high_water: u64) -> Self {
        let top = high_water.div_ceil((FAN * FAN) as u64) as usize;
        Self { storage, top: slots(top) }
    }

    fn bytes(&self, id: u64, count: u64, page_size: u64) -> Result<&[u8]> {
        let index = id as usize;
        let Some(top) = self.top.get(index / (FAN * FAN)) else {
            return Err(out_of_bounds(id, (self.top.len() * FAN * FAN) as u64));
        };
        let middle = &top.get_or_init(|| slots(FAN))[index / FAN % FAN];
        let slot = &middle.get_or_init(|| slots(FAN))[index % FAN];
        let length = count * page_size;
        if let Some(bytes) = slot.get() {
            return Self::cut(bytes, id, length);
        }
        // The first read of a page takes its overflow along, so that a slot never has to change.
        let offset = id * page_size;
        let mut first = [0; 16];
        self.read(offset, &mut first, id)?;
        let overflow = PageHeader::read(&first).filter(|header| header.id == id).map_or(0, |h| h.overflow);
        let whole = (1 + u64::from(overflow)) * page_size;
        let file_bytes = self.storage.len().map_err(|error| Error::io("length", 0, error))?;
        if whole > file_bytes || offset > file_bytes - whole {
            return Err(not_in_file(id, offset.saturating_add(whole), file_bytes));
        }
        let mut bytes = vec![0; whole as usize].into_boxed_slice();
        self.read(offset, &mut bytes, id)?;
        Self::cut(slot.get_or_init(|| bytes), id, length)
    }

    fn cut(bytes: &[u8], id: u64, length: u64) -> Result<&[u8]> {
        let cut = usize::try_from(length).ok().and_then(|length| bytes.get(..length));
        cut.ok_or_else(|| not_in_file(id, length, bytes.len() as u64))
    }

    fn read(&self, offset: u64, into: &mut [u8], id: u64) -> Result<()> {
        let read = self.storage.read_at(offset, into).map_err(|error| Error::io("read", offset, error))?;
        if read < into.len() {
            return Err(not_in_file(id, offset + into.len() as u64, offset + read as u64));
        }
        Ok(())
    }
}
