//! A database file as bytes: page size, metas, and pages by number, without opening it as a database.
//!
//! Owns [`RawBytes`], where the bytes come from, and [`RawFile`], the reading of them that every tool stands on: it works on files that
//! `Db::open` refuses, takes no lock ([`open_shared`] does), changes nothing and follows no reference by itself. Never trusts a number of the file: each
//! page is checked against the file's length and the high-water mark before it is touched. Limit: one allocation (a page
//! with its overflow) is held at a time, so the memory taken is that of the largest value.

use std::borrow::Cow;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Damage, Error, Refusal, Result, Rule};
use crate::open::is_file_or_absent;
use crate::page::{
    FIRST_DATA_PAGE, META_PAGE_BYTES, MIN_PAGE_SIZE, Meta, MetaFault, Page, PageHeader, PageKind,
};
use crate::tx::ReadTx;

/// The first bytes that tell the page size, if meta page 0 is sound [db.go, `getPageSize`].
const FIRST_READ_BYTES: u64 = 4096;
/// The second meta is looked for at this many bytes, and at each doubling [db.go, `getPageSizeFromSecondMeta`].
const LEAST_SECOND_META: u64 = 1024;
/// Doublings tried: 1 KiB to 16 MiB.
const SECOND_META_DOUBLINGS: u32 = 15;
/// The page size taken where no meta is sound and no other is given.
const USUAL_PAGE_SIZE: u32 = 4096;
/// Between two attempts at a lock [bolt_unix.go, `flockRetryTimeout`].
const LOCK_RETRY: Duration = Duration::from_millis(50);

/// Bytes that can be read at any place: a file, or memory.
///
/// A read hands out borrowed bytes where it can. It never returns fewer than were asked for.
pub trait RawBytes {
    /// Bytes there are.
    ///
    /// # Errors
    /// The operating system's.
    fn length(&self) -> io::Result<u64>;

    /// The `length` bytes at `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where there are fewer, or the operating system's error.
    fn bytes(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>>;
}

impl RawBytes for &[u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn bytes(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        let bytes = usize::try_from(offset).ok().and_then(|at| self.get(at..)?.get(..length));
        bytes.map(Cow::Borrowed).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl RawBytes for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn bytes(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        let bytes = usize::try_from(offset).ok().and_then(|at| self.get(at..)?.get(..length));
        bytes.map(Cow::Borrowed).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// The pages of a snapshot, metas excepted.
impl RawBytes for ReadTx<'_> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.size())
    }

    fn bytes(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        self.raw_bytes(offset, length)
    }
}

/// A file, read piece by piece: no mapping, so a file that shrinks underneath gives an error and no signal.
impl RawBytes for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn bytes(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        let mut bytes = vec![0; length];
        read_exact_at(self, &mut bytes, offset)?;
        Ok(Cow::Owned(bytes))
    }
}

/// Opens a file for reading under the lock that bbolt's readers take: no writer of bbolt's kind can be at work meanwhile.
///
/// Waits for a writer to go away, `timeout` long, or for ever without one.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::NotAFile`], [`Refusal::Timeout`], and the operating system's errors.
pub fn open_shared(path: impl AsRef<Path>, timeout: Option<Duration>) -> Result<File> {
    is_file_or_absent(path.as_ref())?;
    let file = File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Refusal::NotFound.into(),
        _ => Error::io("open", 0, e),
    })?;
    let start = Instant::now();
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(file),
            // Where there are no locks, nobody else takes one either.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => return Ok(file),
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", 0, e)),
            Err(TryLockError::WouldBlock) => {}
        }
        let waited = start.elapsed();
        if timeout.is_some_and(|timeout| waited >= timeout) {
            return Err(Refusal::Timeout { waited }.into());
        }
        std::thread::sleep(LOCK_RETRY);
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// A database file's bytes with its page size and metas found.
#[derive(Clone, Copy)]
pub struct RawFile<'a> {
    source: &'a dyn RawBytes,
    page_size: u32,
    file_bytes: u64,
    metas: [Result<Meta, MetaFault>; 2],
    /// The headers of pages 0 and 1, where the file is long enough.
    headers: [Option<PageHeader>; 2],
}

impl<'a> RawFile<'a> {
    /// Finds page size and metas, as bbolt does: meta page 0, else the second meta at 1 KiB to 16 MiB, else 4 KiB.
    ///
    /// Cost: a handful of reads of at most 4 KiB. A file whose metas are both unsound is a file too; [`RawFile::meta`] refuses it.
    ///
    /// # Errors
    /// [`Refusal::InvalidDatabase`] for an empty file, and the operating system's errors.
    pub fn new(source: &'a dyn RawBytes) -> Result<Self> {
        Self::with_page_size(source, None)
    }

    /// As [`RawFile::new`], with the page size to take where the file does not tell it.
    ///
    /// # Errors
    /// As [`RawFile::new`].
    pub fn with_page_size(source: &'a dyn RawBytes, otherwise: Option<u32>) -> Result<Self> {
        let file_bytes = source.length().map_err(|e| Error::io("length", 0, e))?;
        if file_bytes == 0 {
            return Err(Refusal::InvalidDatabase.into());
        }
        let meta_at = |offset: u64| -> Result<(Result<Meta, MetaFault>, Option<PageHeader>)> {
            if offset >= file_bytes {
                return Ok((Err(MetaFault::Short), None));
            }
            let length = META_PAGE_BYTES.min(usize::try_from(file_bytes - offset).unwrap_or(usize::MAX));
            let bytes = source.bytes(offset, length).map_err(|e| Error::io("read", offset, e))?;
            Ok((Meta::read(&bytes), PageHeader::read(&bytes)))
        };
        let first = meta_at(0)?;
        let mut page_size = match first.0 {
            Ok(meta) if file_bytes >= FIRST_READ_BYTES => Some(meta.page_size),
            _ => None,
        };
        for doubling in 0..SECOND_META_DOUBLINGS {
            let offset = LEAST_SECOND_META << doubling;
            if page_size.is_some() || offset + LEAST_SECOND_META >= file_bytes {
                break;
            }
            page_size = meta_at(offset)?.0.ok().map(|meta| meta.page_size);
        }
        // A file of less than 4 KiB whose first meta is sound tells its page size too; bbolt alone cannot reopen it.
        let page_size = page_size
            .or(first.0.ok().map(|meta| meta.page_size))
            .or(otherwise.filter(|size| *size >= MIN_PAGE_SIZE))
            .unwrap_or(USUAL_PAGE_SIZE);
        let second = meta_at(u64::from(page_size))?;
        Ok(Self { source, page_size, file_bytes, metas: [first.0, second.0], headers: [first.1, second.1] })
    }

    /// The snapshot of a read transaction: its pages stay as they are while it is open, whatever a writer does.
    pub fn of_snapshot(tx: &'a ReadTx<'_>) -> Self {
        let (meta, page_size) = (tx.meta(), tx.page_size());
        let header = |id| PageHeader { id, flags: PageKind::Meta.flags(), count: 0, overflow: 0 };
        Self {
            source: tx,
            page_size,
            file_bytes: tx.size(),
            metas: [Ok(meta), Ok(meta)],
            headers: [Some(header(0)), Some(header(1))],
        }
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u32 {
        self.page_size
    }

    /// Bytes of the file.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// What the two meta pages say, or why they say nothing.
    pub fn metas(&self) -> [Result<Meta, MetaFault>; 2] {
        self.metas
    }

    /// The headers of the two meta pages: they are no part of the checksum, and nothing is opened by them.
    pub fn meta_headers(&self) -> [Option<PageHeader>; 2] {
        self.headers
    }

    /// Which meta page counts: the newest sound one, page 0 on equal transaction ids; `None` if both are unsound.
    pub fn current(&self) -> Option<usize> {
        match self.metas {
            [Ok(first), Ok(second)] => Some(usize::from(second.txid > first.txid)),
            [Ok(_), Err(_)] => Some(0),
            [Err(_), Ok(_)] => Some(1),
            [Err(_), Err(_)] => None,
        }
    }

    /// The meta that counts.
    ///
    /// # Errors
    /// The refusal that meta page 0 deserves, if both are unsound; bbolt says the same.
    pub fn meta(&self) -> Result<Meta> {
        let found = self.current().and_then(|which| self.metas[which].ok());
        found.ok_or_else(|| self.refusal().into())
    }

    fn refusal(&self) -> Refusal {
        match self.metas[0] {
            Err(MetaFault::ByteSwapped) => Refusal::ByteSwapped,
            Err(MetaFault::Version(found)) => Refusal::VersionMismatch { found },
            Err(MetaFault::Checksum) => Refusal::Checksum,
            Err(MetaFault::Short) => {
                Refusal::TooSmall { file_bytes: self.file_bytes, needed_bytes: 2 * u64::from(self.page_size) }
            }
            _ => Refusal::InvalidDatabase,
        }
    }

    /// Whole pages in the file: what a high-water mark may be at most.
    pub fn pages_in_file(&self) -> u64 {
        self.file_bytes / u64::from(self.page_size)
    }

    /// `length` bytes of page `id`, from its start on.
    ///
    /// # Errors
    /// [`Rule::PageInFile`] where the file ends before, and the operating system's errors.
    pub fn bytes(&self, id: u64, length: u64) -> Result<Cow<'a, [u8]>> {
        let size = u64::from(self.page_size);
        let beyond = || Damage {
            page: id,
            offset: 0,
            rule: Rule::PageInFile,
            found: self.file_bytes,
            expected: length,
        };
        let offset = id.checked_mul(size).ok_or_else(beyond)?;
        if offset.checked_add(length).is_none_or(|end| end > self.file_bytes) {
            return Err(beyond().into());
        }
        let length = usize::try_from(length).map_err(|_| beyond())?;
        self.source.bytes(offset, length).map_err(|e| Error::io("read", offset, e))
    }

    /// The header of page `id`, as it stands.
    ///
    /// # Errors
    /// As [`RawFile::bytes`].
    pub fn header(&self, id: u64) -> Result<PageHeader> {
        let header = PageHeader::read(&self.bytes(id, self.page_size.into())?);
        header.ok_or_else(|| {
            Damage { page: id, offset: 0, rule: Rule::PageInFile, found: 0, expected: 16 }.into()
        })
    }

    /// Page `id` with its overflow, below `high_water`, its header checked.
    ///
    /// # Errors
    /// [`Rule::PageInBounds`], [`Rule::PageInFile`], [`Rule::PageId`], [`Rule::PageKind`], and the operating system's errors.
    pub fn allocation(&self, id: u64, high_water: u64) -> Result<Allocation<'a>> {
        let first = self.first_page(id, high_water)?;
        self.whole(first)
    }

    /// As [`RawFile::allocation`], but without the bytes of the overflow: enough for whoever wants the header.
    ///
    /// # Errors
    /// As [`RawFile::allocation`].
    pub fn first_page(&self, id: u64, high_water: u64) -> Result<Allocation<'a>> {
        let outside = |offset, found| Damage {
            page: id,
            offset,
            rule: Rule::PageInBounds,
            found,
            expected: high_water,
        };
        if !(FIRST_DATA_PAGE..high_water).contains(&id) {
            return Err(outside(0, id).into());
        }
        let bytes = self.bytes(id, self.page_size.into())?;
        // What the header itself breaks is told first: a page of another number makes its overflow meaningless.
        Page::new(&bytes, id)?;
        let overflow = PageHeader::read(&bytes).map_or(0, |header| header.overflow);
        let last = id + u64::from(overflow);
        if last >= high_water {
            return Err(outside(12, last).into());
        }
        if last >= self.pages_in_file() {
            let expected = (last + 1) * u64::from(self.page_size);
            return Err(Damage {
                page: id,
                offset: 12,
                rule: Rule::PageInFile,
                found: self.file_bytes,
                expected,
            }
            .into());
        }
        Ok(Allocation { id, bytes, overflow })
    }

    /// Adds the overflow's bytes to what [`RawFile::first_page`] gave.
    ///
    /// # Errors
    /// The operating system's.
    pub fn whole(&self, mut first: Allocation<'a>) -> Result<Allocation<'a>> {
        if first.overflow > 0 {
            first.bytes =
                self.bytes(first.id, (u64::from(first.overflow) + 1) * u64::from(self.page_size))?;
        }
        Ok(first)
    }
}

impl std::fmt::Debug for RawFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { page_size, file_bytes, metas, .. } = self;
        f.debug_struct("RawFile")
            .field("page_size", page_size)
            .field("file_bytes", file_bytes)
            .field("metas", metas)
            .finish_non_exhaustive()
    }
}

/// A page with its overflow.
#[derive(Debug, Clone)]
pub struct Allocation<'a> {
    id: u64,
    bytes: Cow<'a, [u8]>,
    overflow: u32,
}

impl Allocation<'_> {
    /// The page's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Further pages that belong to it.
    pub fn overflow(&self) -> u32 {
        self.overflow
    }

    /// Every byte of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The page, typed.
    ///
    /// # Errors
    /// None in practice: the header was checked when the allocation was read.
    pub fn page(&self) -> Result<Page<'_>, Damage> {
        Page::new(&self.bytes, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of `pages` pages whose metas have these transaction ids.
    fn file(page_size: u32, pages: u64, txids: [u64; 2]) -> Vec<u8> {
        let mut bytes = vec![0; (pages * u64::from(page_size)) as usize];
        for (at, txid) in (0..).zip(txids) {
            let meta =
                Meta { page_size, flags: 0, root: 3, sequence: 0, freelist: 2, high_water: pages, txid };
            let start = at as usize * page_size as usize;
            meta.write(at, &mut bytes[start..start + page_size as usize]);
        }
        bytes
    }

    #[test]
    fn the_page_size_comes_from_either_meta() {
        for page_size in [1024, 4096, 5000, 16384, 65536] {
            let mut bytes = file(page_size, 5, [4, 5]);
            let file = RawFile::new(&bytes).expect("a file");
            assert_eq!((file.page_size(), file.current()), (page_size, Some(1)));
            assert_eq!(file.meta().expect("a meta").txid, 5);
            if page_size.is_power_of_two() {
                bytes[..80].fill(0);
                let file = RawFile::new(&bytes).expect("a file");
                assert_eq!((file.page_size(), file.current()), (page_size, Some(1)));
            }
        }
    }

    #[test]
    fn equal_transactions_count_page_0_and_a_torn_one_counts_nothing() {
        let mut bytes = file(4096, 5, [7, 7]);
        assert_eq!(RawFile::new(&bytes).expect("a file").current(), Some(0));
        bytes[70] ^= 1;
        let file = RawFile::new(&bytes).expect("a file");
        assert_eq!((file.current(), file.metas()[0]), (Some(1), Err(MetaFault::Checksum)));
        bytes[4096 + 70] ^= 1;
        let error = RawFile::new(&bytes).expect("a file").meta().expect_err("both are torn");
        assert_eq!(error.name(), "checksum");
    }

    #[test]
    fn no_length_of_file_is_a_panic() {
        let bytes = file(1024, 4, [1, 2]);
        // What is read lies at the beginning of the pages, so Miri is spared the lengths between.
        let tried = |length: &usize| !cfg!(miri) || length % 1024 < 90 && length % 8 < 2;
        for length in (0..bytes.len()).filter(tried) {
            let cut = &bytes[..length];
            match RawFile::new(&cut) {
                Err(error) => assert_eq!((length, error.name()), (0, "invalid-database")),
                Ok(file) => {
                    let _ = file.meta();
                    assert!(file.bytes(3, 1024).is_err());
                    assert!(file.header(u64::MAX).is_err());
                }
            }
        }
    }
}
