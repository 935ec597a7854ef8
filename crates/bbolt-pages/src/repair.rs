//! Copies of a file: as it is, as bbolt's hot backup writes it, and repaired.
//!
//! Owns [`backup`] and [`repair`], and the same tools on a snapshot. Neither changes the file it reads; both write front to back, so the copy can go to a pipe. A repaired
//! copy has the tree of one sound state, whole, and a free list made anew from what that tree does not reach; both its metas
//! tell of this state. Never guesses: a tree that is broken itself is refused here, and salvaged pair by pair elsewhere. Limit: a
//! page at a time of memory, and a bit a page.

use std::io::{self, Write};

use crate::check::{CheckOptions, Finding, PageSet, Report, check, pages_in_use};
use crate::error::{Damage, Error, Result, Rule};
use crate::page::{
    FIRST_DATA_PAGE, FreelistPage, LONG_FREELIST, Meta, NO_FREELIST, PAGE_HEADER_BYTES, PageHeader, PageKind,
};
use crate::raw_file::RawFile;
use crate::survey::{BucketStats, BucketTree, PageInfo, PageTable, PageUse};
use crate::tx::ReadTx;
use crate::walk::Tree;

/// Pages copied by one read.
const PAGES_AT_ONCE: u64 = 64;

fn failed(e: io::Error) -> Error {
    Error::io("write", 0, e)
}

/// Writes what bbolt's `Tx.WriteTo` writes of the newest state: two metas that tell of it, then every page below the high-water
/// mark. Says how many bytes that were.
///
/// # Errors
/// [`Error::Refused`] if neither meta is sound, [`Rule::PageInFile`] if the file is too short, and those of reading and writing.
pub fn backup(file: &RawFile<'_>, out: &mut dyn Write) -> Result<u64> {
    let meta = file.meta()?;
    metas(file, [meta, Meta { txid: meta.txid.saturating_sub(1), ..meta }], out)?;
    copy_pages(file, FIRST_DATA_PAGE..meta.high_water, out)?;
    Ok(meta.high_water * u64::from(file.page_size()))
}

impl ReadTx<'_> {
    /// Writes this transaction's snapshot as a database of its own, while others go on writing: bbolt's `Tx.WriteTo`. Says how many bytes
    /// that were.
    ///
    /// # Errors
    /// Those of reading and of `out`.
    ///
    /// ```
    /// # fn main() -> bbolt_pages::Result<()> {
    /// let db = bbolt_pages::Options::new().open_storage(bbolt_pages::io::MemoryStorage::default())?;
    /// let mut copy = Vec::new();
    /// let bytes = db.begin_read()?.write_to(&mut copy)?;
    /// assert_eq!(bytes, copy.len() as u64);
    /// # Ok(())
    /// # }
    /// ```
    pub fn write_to(&self, out: &mut dyn Write) -> Result<u64> {
        backup(&RawFile::of_snapshot(self), out)
    }

    /// The strict check on this transaction's snapshot: bbolt's `Tx.Check`.
    ///
    /// # Errors
    /// Those of reading; damage is a finding.
    pub fn check(&self, options: &CheckOptions) -> Result<Report> {
        check(&RawFile::of_snapshot(self), options)
    }

    /// Page `id` of this snapshot: bbolt's `Tx.Page`. Ask a [`PageTable`] of [`RawFile::of_snapshot`] for many.
    ///
    /// # Errors
    /// Those of reading, and damage to the free list.
    pub fn page(&self, id: u64) -> Result<Option<PageInfo>> {
        if id < FIRST_DATA_PAGE {
            let used_as = PageUse::Kind(PageKind::Meta);
            return Ok(Some(PageInfo { id, used_as, count: 0, overflow: 0 }));
        }
        PageTable::new(RawFile::of_snapshot(self))?.page(id)
    }

    /// Statistics of the bucket at `path`, everything in it included: bbolt's `Bucket.Stats`. `None` if there is none.
    ///
    /// # Errors
    /// Damage, and those of reading.
    pub fn bucket_stats(&self, path: &[impl AsRef<[u8]>]) -> Result<Option<BucketStats>> {
        let tree = Tree::new(RawFile::of_snapshot(self))?;
        tree.bucket(path)?.map(|bucket| tree.stats(&bucket)).transpose()
    }

    /// The tree of buckets with the keys in each: bbolt's `Tx.Inspect`.
    ///
    /// # Errors
    /// Damage, and those of reading.
    pub fn inspect(&self) -> Result<BucketTree> {
        Tree::new(RawFile::of_snapshot(self))?.inspect()
    }
}

/// What a repair did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repaired {
    /// The meta page whose state the copy has.
    pub meta_page: u64,
    /// The transaction that wrote that state.
    pub txid: u64,
    /// Whether this is the older of the two states: the newest one is broken.
    pub older: bool,
    /// Free pages in the copy.
    pub free_pages: u64,
    /// Bytes of the copy.
    pub bytes: u64,
}

/// Writes a sound copy of the newest state whose tree is whole, with a free list made anew.
///
/// This cures whatever is wrong with the free list, the meta pages, or the newest commit. It gives back the older state where
/// the newest one is broken: one transaction is lost then, and [`Repaired::older`] says so.
///
/// # Errors
/// The damage in the newest tree, if neither state's tree is whole: salvage what can be reached instead. Nothing has been written
/// then. Also [`Error::Refused`] if neither meta is sound, and those of reading and writing.
pub fn repair(file: &RawFile<'_>, out: &mut dyn Write) -> Result<Repaired> {
    let mut first_damage = None;
    for older in [false, true] {
        let options = CheckOptions { older, ..CheckOptions::default() };
        let report = match check(file, &options) {
            Ok(report) => report,
            // There is no sound older meta: what was wrong with the newest one counts.
            Err(error) if older => return Err(first_damage.map_or(error, Error::from)),
            Err(error) => return Err(error),
        };
        let in_tree = report.findings.iter().find(|finding| !of_the_freelist(finding, &report.meta));
        match in_tree {
            None if report.findings_omitted == 0 => {
                match pages_in_use(*file, Meta { freelist: NO_FREELIST, ..report.meta }) {
                    Ok(used) => return rebuilt(file, report.meta, report.meta_page, older, &used, out),
                    Err(Error::Damaged(damage)) => first_damage = first_damage.or(Some(*damage)),
                    Err(other) => return Err(other),
                }
            }
            None => first_damage = first_damage.or(report.findings.first().map(|finding| finding.damage)),
            Some(finding) => first_damage = first_damage.or(Some(finding.damage)),
        }
    }
    let unknown = Damage { page: 0, offset: 0, rule: Rule::Meta, found: 0, expected: 0 };
    Err(first_damage.unwrap_or(unknown).into())
}

/// Whether a new free list and new metas cure this.
fn of_the_freelist(finding: &Finding, meta: &Meta) -> bool {
    let Damage { page, offset, rule, .. } = finding.damage;
    let listed = matches!(
        rule,
        Rule::FreelistCount
            | Rule::FreelistOrder
            | Rule::FreelistBounds
            | Rule::FreelistInUse
            | Rule::FreedTwice
            | Rule::PageLeaked
            | Rule::FileLength
    );
    listed
        || finding.severity == crate::Severity::Warning
        || page == meta.freelist && rule != Rule::PageShared
        || page < FIRST_DATA_PAGE && (offset < 16 || offset == 48)
}

fn rebuilt(
    file: &RawFile<'_>,
    meta: Meta,
    meta_page: u64,
    older: bool,
    used: &PageSet,
    out: &mut dyn Write,
) -> Result<Repaired> {
    let page_size = u64::from(file.page_size());
    // The old free list's own pages are free in the copy. The file may be shorter than its high-water mark, where only free pages are missing.
    let free: Vec<u64> = (FIRST_DATA_PAGE..meta.high_water).filter(|id| !used.has(*id)).collect();
    let list_pages = FreelistPage::bytes_for(free.len() as u64) / page_size + 1;
    let copy = Meta {
        freelist: meta.high_water,
        high_water: meta.high_water + list_pages,
        txid: meta.txid.saturating_add(1),
        ..meta
    };
    let before = Meta { txid: copy.txid - 1, ..copy };
    metas(file, if copy.txid.is_multiple_of(2) { [copy, before] } else { [before, copy] }, out)?;
    let there = meta.high_water.min(file.pages_in_file());
    copy_pages(file, FIRST_DATA_PAGE..there, out)?;
    let zeros = vec![0; file.page_size() as usize];
    for _ in there..meta.high_water {
        out.write_all(&zeros).map_err(failed)?;
    }
    out.write_all(&freelist_page(copy.freelist, &free, list_pages, page_size)).map_err(failed)?;
    Ok(Repaired {
        meta_page,
        txid: meta.txid,
        older,
        free_pages: free.len() as u64,
        bytes: copy.high_water * page_size,
    })
}

/// A free list of `ids` on `pages` pages from `id` on.
fn freelist_page(id: u64, ids: &[u64], pages: u64, page_size: u64) -> Vec<u8> {
    let mut bytes = vec![0; (pages * page_size) as usize];
    let long = ids.len() >= usize::from(LONG_FREELIST);
    let count = if long { LONG_FREELIST } else { ids.len() as u16 };
    PageHeader { id, flags: PageKind::Freelist.flags(), count, overflow: pages as u32 - 1 }.write(&mut bytes);
    let first = long.then_some(ids.len() as u64);
    let words = bytes[PAGE_HEADER_BYTES..].chunks_exact_mut(8);
    for (place, word) in words.zip(first.iter().chain(ids)) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn metas(file: &RawFile<'_>, metas: [Meta; 2], out: &mut dyn Write) -> Result<()> {
    let mut page = vec![0; file.page_size() as usize];
    for (id, meta) in (0..).zip(metas) {
        meta.write(id, &mut page);
        out.write_all(&page).map_err(failed)?;
    }
    Ok(())
}

fn copy_pages(file: &RawFile<'_>, pages: std::ops::Range<u64>, out: &mut dyn Write) -> Result<()> {
    let page_size = u64::from(file.page_size());
    let mut at = pages.start;
    while at < pages.end {
        let count = (pages.end - at).min(PAGES_AT_ONCE);
        out.write_all(&file.bytes(at, count * page_size)?).map_err(failed)?;
        at += count;
    }
    Ok(())
}
