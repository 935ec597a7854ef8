//! Read transactions, and what all transactions share.
//!
//! Owns [`ReadTx`]: a snapshot that begins with one short lock and ends with another, and allocates nothing in between. Never changes the
//! file. Limit: a read transaction keeps the pages it can see from being reused, so a forgotten one lets the file grow; `Db::stats`
//! shows how many are open.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, OnceLock};

use crate::bucket::{Bucket, Root};
use crate::db::{Inner, Writer};
use crate::error::{Error, Result, Usage};
use crate::page::{BucketHeader, Meta};
use crate::source::{Backing, PlainPages, Source};
use crate::work::{BucketId, Work};

/// The database a transaction belongs to: borrowed, or held open by the transaction itself.
#[derive(Clone)]
pub(crate) enum Handle<'db> {
    Borrowed(&'db Arc<Inner>),
    Owned(Arc<Inner>),
}

impl std::ops::Deref for Handle<'_> {
    type Target = Inner;

    #[inline]
    fn deref(&self) -> &Inner {
        match self {
            Self::Borrowed(inner) => inner,
            Self::Owned(inner) => inner,
        }
    }
}

/// What shows a snapshot's pages: a mapping, by its place in the database's list, or a table filled by reads.
enum View {
    Mapped(usize),
    Plain(PlainPages),
}

/// A snapshot: the state of one transaction and the way to its pages.
pub(crate) struct Core<'db> {
    pub(crate) db: Handle<'db>,
    pub(crate) meta: Meta,
    view: View,
    pub(crate) fault: OnceLock<Error>,
}

impl<'db> Core<'db> {
    pub(crate) fn new(db: Handle<'db>, meta: Meta, map: Option<usize>) -> Self {
        let view = match map {
            Some(index) => View::Mapped(index),
            None => View::Plain(PlainPages::new(Arc::clone(&db.storage), meta.high_water)),
        };
        Self { db, meta, view, fault: OnceLock::new() }
    }

    /// High-water mark times page size.
    pub(crate) fn bytes(&self) -> u64 {
        self.meta.high_water * self.db.page_size
    }

    /// Gives a write transaction more pages to edit in place, where it can have them.
    #[cold]
    pub(crate) fn give_homes(&self, writer: &mut Writer) {
        let Writer { free: Some(free), work, homes, file_bytes, .. } = writer else { return };
        if let View::Mapped(map) = &self.view {
            homes.give(&self.db, *map, free, file_bytes, work.homes());
        }
    }

    /// Writes leaves that have not been changed for long to the pages they were given.
    #[cold]
    pub(crate) fn write_early(&self, work: &mut Work) {
        let base = self.source(None);
        work.write_early(&base, |page, bytes| self.db.storage.write_at(page * self.db.page_size, bytes));
    }

    /// The way to the snapshot's pages.
    #[inline]
    pub(crate) fn source<'a>(&'a self, work: Option<&'a Work>) -> Source<'a> {
        let backing = match &self.view {
            View::Mapped(index) => Backing::Mapped(self.db.maps.get(*index)),
            View::Plain(pages) => Backing::Plain(pages),
        };
        // Changed pages have none, and small files are in the processor's caches as they are.
        let digested = work.is_none() && self.meta.high_water >= self.db.digests_from_pages;
        Source {
            digests: if digested { self.db.digests.as_ref() } else { None },
            backing,
            page_size: self.db.page_size,
            high_water: self.meta.high_water,
            work,
            fault: &self.fault,
        }
    }
}

/// A read transaction: everything it sees is the state of one moment.
///
/// Begins and ends in well under a microsecond. `Send` and `Sync`: several threads may read through one. Whatever it gives borrows it.
pub struct ReadTx<'db> {
    pub(crate) core: Core<'db>,
}

impl ReadTx<'_> {
    /// The transaction that wrote what this one sees.
    pub fn txid(&self) -> u64 {
        self.core.meta.txid
    }

    /// Bytes of the database as this transaction sees it: high-water mark times page size.
    pub fn size(&self) -> u64 {
        self.core.bytes()
    }

    /// The meta this transaction sees.
    pub fn meta(&self) -> Meta {
        self.core.meta
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u32 {
        self.core.meta.page_size
    }

    /// The root bucket, which holds the top-level buckets.
    #[inline]
    pub fn root(&self) -> Bucket<'_> {
        let Meta { root, sequence, .. } = self.core.meta;
        Bucket::new(self.core.source(None), Root::Page(root), BucketHeader { root, sequence }, None)
    }

    /// The top-level bucket `name`; `None` if there is none.
    ///
    /// # Errors
    /// Damage on the way to it, or a failed read.
    pub fn bucket(&self, name: &[u8]) -> Result<Option<Bucket<'_>>> {
        self.root().bucket(name)
    }

    /// As [`ReadTx::bucket`], for callers to whom a missing bucket is an error.
    ///
    /// # Errors
    /// [`Usage::BucketNotFound`], or as [`ReadTx::bucket`].
    pub fn require(&self, name: &[u8]) -> Result<Bucket<'_>> {
        self.root().require(name)
    }

    /// The bytes of `count` pages from page `id` on, unchecked: for tools. Pages 0 and 1, the metas, change in place and are not given.
    /// On a writable map ([`Options::writable_map`](crate::Options::writable_map)) it must not be asked for free pages.
    ///
    /// # Errors
    /// [`Usage::NoSuchPage`] for pages 0 and 1 and at the high-water mark; damage if the file is too short.
    pub fn page_bytes(&self, id: u64, count: u64) -> Result<&[u8]> {
        let end = id.checked_add(count).filter(|&end| end <= self.core.meta.high_water);
        if end.is_none() || id < crate::page::FIRST_DATA_PAGE {
            return Err(Usage::NoSuchPage { page: id }.into());
        }
        self.core.source(None).bytes(id, count)
    }

    /// Bytes of the snapshot for tools that read it from end to end: borrowed from the mapping, or read once and not kept.
    pub(crate) fn raw_bytes(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        // A tool may ask for free pages, which a writer may be editing in a writable map: those are never lent (M4).
        if let View::Mapped(index) = &self.core.view
            && let map = self.core.db.maps.get(*index)
            && !map.is_writable()
        {
            let bytes = map.bytes(offset, length as u64);
            return bytes.map(Cow::Borrowed).ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; length];
        if self.core.db.storage.read_at(offset, &mut bytes)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Cow::Owned(bytes))
    }

    /// The first damage that a `get` of this transaction met and could not tell of.
    pub fn fault(&self) -> Option<Error> {
        self.core.fault.get().cloned()
    }
}

impl Drop for ReadTx<'_> {
    fn drop(&mut self) {
        self.core.db.readers.leave(self.core.meta.txid);
    }
}

impl std::fmt::Debug for ReadTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadTx").field("txid", &self.txid()).finish_non_exhaustive()
    }
}

/// The root bucket's handle in the write transaction `txid`.
pub(crate) fn root_id(txid: u64) -> BucketId {
    BucketId { index: 0, txid }
}
