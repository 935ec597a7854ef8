//! Reading a bucket: get, nested buckets, cursors, ranges.
//!
//! Owns [`Bucket`], a small copyable view that borrows its transaction, and [`Entry`], what a place in a bucket holds. Works the same in read and in
//! write transactions. Never changes anything. Limit: `get` answers with an `Option`; damage it meets is noted in the transaction and
//! reported there, and `try_get` reports it at once.

use std::ops::{Bound, RangeBounds};

use crate::cursor::Cursor;
use crate::error::{Error, Result, Usage};
use crate::iter::{End, Iter};
use crate::lookup::{find, find_many};
use crate::page::{BucketHeader, Leaf, LeafElement};
use crate::source::Source;
use crate::work::BucketId;

/// Where a bucket's tree begins.
#[derive(Clone, Copy)]
pub(crate) enum Root<'a> {
    Page(u64),
    Inline(Leaf<'a>),
}

/// What stands at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'tx> {
    /// A plain value.
    Bytes(&'tx [u8]),
    /// A bucket: its raw bytes as last written, header and inline page. Open it by [`Bucket::bucket`].
    Bucket(&'tx [u8]),
}

/// A key, or a bucket's name, and what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'tx> {
    /// The key or name.
    pub key: &'tx [u8],
    /// The value or bucket.
    pub value: Value<'tx>,
}

impl<'tx> Entry<'tx> {
    #[inline(always)]
    pub(crate) fn new(element: LeafElement<'tx>) -> Self {
        let is_bucket = element.is_bucket();
        let value = if is_bucket { Value::Bucket(element.value) } else { Value::Bytes(element.value) };
        Self { key: element.key, value }
    }

    /// The plain value; `None` for a bucket.
    #[inline]
    pub fn value(&self) -> Option<&'tx [u8]> {
        match self.value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Bucket(_) => None,
        }
    }

    /// Whether this is a bucket.
    #[inline]
    pub fn is_bucket(&self) -> bool {
        matches!(self.value, Value::Bucket(_))
    }
}

/// A bucket as a transaction sees it.
///
/// Layout: about 100 bytes, copied freely. Everything it gives lives as long as the borrow of its transaction.
#[derive(Clone, Copy)]
pub struct Bucket<'tx> {
    source: Source<'tx>,
    root: Root<'tx>,
    header: BucketHeader,
    /// Which opened bucket of a write transaction this is, if it is one.
    handle: Option<BucketId>,
}

impl<'tx> Bucket<'tx> {
    pub(crate) fn new(
        source: Source<'tx>,
        root: Root<'tx>,
        header: BucketHeader,
        handle: Option<BucketId>,
    ) -> Self {
        Self { source, root, header, handle }
    }

    /// The value at `key`; `None` if there is none, and for a bucket's name.
    ///
    /// An empty value is `Some(&[])`. If a page on the way is damaged, this is `None` too, and the transaction remembers: see
    /// [`ReadTx::fault`](crate::ReadTx::fault); `view` and `commit` then report it.
    ///
    /// Cost: one binary search a level; no allocation.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&'tx [u8]> {
        match self.try_get(key) {
            Ok(value) => value,
            Err(error) => {
                self.source.note(error);
                None
            }
        }
    }

    /// As [`Bucket::get`], with damage reported at once.
    ///
    /// # Errors
    /// Damage on the way to the key, or a failed read.
    #[inline]
    pub fn try_get(&self, key: &[u8]) -> Result<Option<&'tx [u8]>> {
        match find(&self.source, self.root, key)? {
            Some((_, element)) if !element.is_bucket() => Ok(Some(element.value)),
            _ => Ok(None),
        }
    }

    /// The values at many keys, as [`Bucket::try_get`] would give each: `values[i]` for `keys[i]`, as far as both reach.
    ///
    /// Faster than one `get` after another where the pages are not in the processor's caches, since their memory is waited for once and not once a
    /// key. Cost: no allocation.
    ///
    /// ```
    /// # fn main() -> bbolt_pages::Result<()> {
    /// # let db = bbolt_pages::Options::new().open_storage(bbolt_pages::io::MemoryStorage::default())?;
    /// db.update(|tx| tx.create_bucket(b"b")?.put(b"one", b"1"))?;
    /// let tx = db.begin_read()?;
    /// let mut values = [None; 2];
    /// tx.require(b"b")?.get_many(&[b"one", b"two"], &mut values)?;
    /// assert_eq!(values, [Some(b"1".as_slice()), None]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Bucket::try_get`].
    pub fn get_many(&self, keys: &[&[u8]], values: &mut [Option<&'tx [u8]>]) -> Result<()> {
        let keys = &keys[..keys.len().min(values.len())];
        find_many(&self.source, self.root, keys, |index, element| {
            values[index] = element.filter(|element| !element.is_bucket()).map(|element| element.value);
        })
    }

    /// What stands at exactly `key`, a value or a bucket.
    ///
    /// # Errors
    /// As [`Bucket::try_get`].
    pub fn entry(&self, key: &[u8]) -> Result<Option<Entry<'tx>>> {
        Ok(find(&self.source, self.root, key)?.map(|(_, element)| Entry::new(element)))
    }

    /// The bucket `name` in this one; `None` if there is none, and for a plain key.
    ///
    /// # Errors
    /// As [`Bucket::try_get`]; damage also if the bucket's value is no bucket.
    pub fn bucket(&self, name: &[u8]) -> Result<Option<Bucket<'tx>>> {
        if let (Some(work), Some(handle)) = (self.source.work, self.handle)
            && let Some(child) = work.opened(handle, name)
        {
            return Ok(Some(work.view(child, self.source)));
        }
        match find(&self.source, self.root, name)? {
            Some((page, element)) if element.is_bucket() => {
                Self::of_value(self.source, element.value, page).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// As [`Bucket::bucket`], for callers to whom a missing bucket is an error.
    ///
    /// # Errors
    /// [`Usage::BucketNotFound`], or as [`Bucket::bucket`].
    pub fn require(&self, name: &[u8]) -> Result<Bucket<'tx>> {
        self.bucket(name)?.ok_or(Error::Usage(Usage::BucketNotFound))
    }

    fn of_value(source: Source<'tx>, value: &'tx [u8], page: u64) -> Result<Self> {
        let header = BucketHeader::read(value, page)?;
        let root = match header.root {
            0 => Root::Inline(BucketHeader::inline_leaf(value, page)?),
            root => Root::Page(root),
        };
        Ok(Self { source, root, header, handle: None })
    }

    /// The bucket's sequence.
    pub fn sequence(&self) -> u64 {
        self.header.sequence
    }

    /// The root page; 0 if the bucket is inline. In a write transaction this may be a number that no page has yet.
    pub fn root_page(&self) -> u64 {
        self.header.root
    }

    /// A cursor that stands nowhere yet.
    pub fn cursor(&self) -> Cursor<'tx> {
        Cursor::new(self.source, self.root)
    }

    /// All entries, in order.
    ///
    /// # Errors
    /// Damage on the way to the first entry, or a failed read.
    pub fn iter(&self) -> Result<Iter<'tx>> {
        self.between(Bound::Unbounded, Bound::Unbounded)
    }

    /// The entries whose keys lie in `range`: `bucket.range(b"a".as_slice()..b"b".as_slice())`.
    ///
    /// # Errors
    /// As [`Bucket::iter`].
    pub fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Result<Iter<'tx>> {
        fn bytes<K: AsRef<[u8]>>(bound: Bound<&K>) -> Bound<&[u8]> {
            bound.map(AsRef::as_ref)
        }
        self.between(bytes(range.start_bound()), bytes(range.end_bound()))
    }

    fn between(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Iter<'tx>> {
        Iter::new(self.source, self.root, start, End::Bound(end))
    }

    /// The entries whose keys begin with `prefix`.
    ///
    /// # Errors
    /// As [`Bucket::iter`].
    pub fn prefix(&self, prefix: &[u8]) -> Result<Iter<'tx>> {
        let end = if prefix.is_empty() { End::Bound(Bound::Unbounded) } else { End::Prefix(prefix) };
        Iter::new(self.source, self.root, Bound::Included(prefix), end)
    }

    /// The buckets directly in this one, with their names, in order.
    ///
    /// # Errors
    /// As [`Bucket::iter`].
    pub fn buckets(&self) -> Result<impl Iterator<Item = Result<(&'tx [u8], Bucket<'tx>)>> + use<'tx>> {
        let bucket = *self;
        Ok(self.iter()?.filter_map(move |entry| match entry {
            Ok(entry) if entry.is_bucket() => Some(bucket.require(entry.key).map(|found| (entry.key, found))),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }))
    }
}

impl std::fmt::Debug for Bucket<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").field("header", &self.header).finish_non_exhaustive()
    }
}
