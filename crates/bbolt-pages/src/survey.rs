//! What is in a file, counted: pages by kind, bucket statistics in bbolt's shapes, the tree of buckets.
//!
//! Owns [`PageTable`], [`BucketStats`] and [`BucketTree`], all read from a file that need not be opened. The figures follow bbolt's rules
//! where they surprise: sub-buckets are included, a bucket's entry in its parent counts as a key, depths add up. Never changes
//! anything. Limit: statistics end with the first damage, since a sum over a part would look like one over the whole.

use crate::check::{PageSet, pages_in_use};
use crate::error::{Damage, Result};
use crate::page::{FIRST_DATA_PAGE, Meta, NO_FREELIST, PageHeader, PageKind};
use crate::raw_file::RawFile;
use crate::walk::{FoundBucket, PageSeen, Step, Tree};

/// What a page is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageUse {
    /// In use, and this.
    Kind(PageKind),
    /// In the freelist.
    Free,
    /// In use, with flags that no page has.
    Unknown(u16),
}

impl std::fmt::Display for PageUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kind(kind) => f.pad(kind.name()),
            Self::Free => f.pad("free"),
            Self::Unknown(flags) => f.pad(&format!("unknown<{flags:02x}>")),
        }
    }
}

/// A row of the table of pages: bbolt's `Tx.Page`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageInfo {
    /// The page's number.
    pub id: u64,
    /// What it is.
    pub used_as: PageUse,
    /// Elements; of a freelist, ids. Meaningless for a free page, whose bytes are old.
    pub count: u64,
    /// Further pages that belong to it; 0 for a free page.
    pub overflow: u64,
}

/// Every page below the high-water mark.
#[derive(Debug)]
pub struct PageTable<'a> {
    file: RawFile<'a>,
    meta: Meta,
    free: PageSet,
}

impl<'a> PageTable<'a> {
    /// The table of the state that a reader would see. A freelist that was not written, or cannot be read, is found by a walk.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] if neither meta is sound, damage that hides what is free, and the operating system's errors.
    pub fn new(file: RawFile<'a>) -> Result<Self> {
        let meta = file.meta()?;
        let free = free_pages(file, meta)?;
        Ok(Self { file, meta, free })
    }

    /// The page with this number; `None` at the high-water mark and above.
    ///
    /// # Errors
    /// [`crate::Rule::PageInFile`] where the file is too short, and the operating system's errors.
    pub fn page(&self, id: u64) -> Result<Option<PageInfo>> {
        if id >= self.meta.high_water {
            return Ok(None);
        }
        let header = self.file.header(id)?;
        if self.free.has(id) {
            return Ok(Some(PageInfo {
                id,
                used_as: PageUse::Free,
                count: header.count.into(),
                overflow: 0,
            }));
        }
        let used_as = header.kind().map_or(PageUse::Unknown(header.flags), PageUse::Kind);
        let count = match used_as {
            PageUse::Kind(PageKind::Freelist) => self.ids_on(id, &header),
            _ => header.count.into(),
        };
        Ok(Some(PageInfo { id, used_as, count, overflow: header.overflow.into() }))
    }

    fn ids_on(&self, id: u64, header: &PageHeader) -> u64 {
        let pages = self.file.allocation(id, self.meta.high_water).ok();
        let list = pages.as_ref().and_then(|pages| pages.page().ok()?.freelist().ok());
        list.map_or(header.count.into(), |list| list.count() as u64)
    }

    /// Every page in turn, those that belong to another left out.
    pub fn iter(&self) -> impl Iterator<Item = Result<PageInfo>> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let info = self.page(next).transpose()?;
            next =
                info.as_ref().map_or(u64::MAX, |info| next.saturating_add(1).saturating_add(info.overflow));
            Some(info)
        })
    }

    /// Free pages.
    pub fn free_count(&self) -> u64 {
        (FIRST_DATA_PAGE..self.meta.high_water).filter(|id| self.free.has(*id)).count() as u64
    }

    /// Whether this page is free.
    pub fn is_free(&self, id: u64) -> bool {
        self.free.has(id)
    }
}

/// The pages that `meta`'s freelist names, or those that nothing reaches, if there is none.
pub(crate) fn free_pages(file: RawFile<'_>, meta: Meta) -> Result<PageSet> {
    let bound = meta.high_water.min(file.pages_in_file());
    let mut free = PageSet::new(bound);
    if meta.freelist == NO_FREELIST {
        let used = pages_in_use(file, meta)?;
        (FIRST_DATA_PAGE..bound).filter(|id| !used.has(*id)).for_each(|id| {
            free.insert(id);
        });
    } else {
        let pages = file.allocation(meta.freelist, meta.high_water)?;
        pages.page()?.freelist()?.ids().for_each(|id| {
            free.insert(id);
        });
    }
    Ok(free)
}

/// Statistics of a bucket and everything in it, in bbolt's shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketStats {
    /// Branch pages, overflow not counted.
    pub branch_page_n: u64,
    /// Overflow pages of branches.
    pub branch_overflow_n: u64,
    /// Leaf pages, overflow not counted; an inline bucket has none.
    pub leaf_page_n: u64,
    /// Overflow pages of leaves.
    pub leaf_overflow_n: u64,
    /// Keys, the entries of sub-buckets counted too.
    pub key_n: u64,
    /// Levels, those of the deepest sub-bucket added.
    pub depth: u64,
    /// Bytes of the branch pages.
    pub branch_alloc: u64,
    /// Bytes of them in use.
    pub branch_inuse: u64,
    /// Bytes of the leaf pages.
    pub leaf_alloc: u64,
    /// Bytes of them in use.
    pub leaf_inuse: u64,
    /// Buckets, this one included.
    pub bucket_n: u64,
    /// Inline buckets among them.
    pub inline_bucket_n: u64,
    /// Bytes that inline buckets use, within their leaves.
    pub inline_bucket_inuse: u64,
}

impl BucketStats {
    /// Adds another bucket's figures: sums, and the greater depth.
    pub fn add(&mut self, other: &Self) {
        self.branch_page_n += other.branch_page_n;
        self.branch_overflow_n += other.branch_overflow_n;
        self.leaf_page_n += other.leaf_page_n;
        self.leaf_overflow_n += other.leaf_overflow_n;
        self.key_n += other.key_n;
        self.depth = self.depth.max(other.depth);
        self.branch_alloc += other.branch_alloc;
        self.branch_inuse += other.branch_inuse;
        self.leaf_alloc += other.leaf_alloc;
        self.leaf_inuse += other.leaf_inuse;
        self.bucket_n += other.bucket_n;
        self.inline_bucket_n += other.inline_bucket_n;
        self.inline_bucket_inuse += other.inline_bucket_inuse;
    }

    fn page(&mut self, page: &PageSeen, page_size: u64) {
        self.depth = self.depth.max(u64::from(page.depth) + 1);
        let (overflow, bytes) = (u64::from(page.overflow), (u64::from(page.overflow) + 1) * page_size);
        match page.kind {
            PageKind::Branch => {
                self.branch_page_n += 1;
                self.branch_overflow_n += overflow;
                self.branch_alloc += bytes;
                self.branch_inuse += page.used_bytes;
            }
            _ => {
                self.key_n += u64::from(page.count);
                if page.inline {
                    self.inline_bucket_inuse += page.used_bytes;
                } else {
                    self.leaf_page_n += 1;
                    self.leaf_overflow_n += overflow;
                    self.leaf_alloc += bytes;
                    self.leaf_inuse += page.used_bytes;
                }
            }
        }
    }
}

impl Tree<'_> {
    /// Statistics of `bucket` and everything in it.
    ///
    /// Cost: every page of the bucket is read once.
    ///
    /// # Errors
    /// The first damage, and the operating system's errors.
    pub fn stats(&self, bucket: &FoundBucket) -> Result<BucketStats> {
        let page_size = u64::from(self.file().page_size());
        let own = |inline: bool| BucketStats {
            bucket_n: 1,
            inline_bucket_n: inline.into(),
            ..BucketStats::default()
        };
        // Of each bucket on the way: its own figures, and those of the sub-buckets that have ended.
        let mut open = vec![(own(bucket.root_page() == 0), BucketStats::default())];
        let close = |(mut stats, below): (BucketStats, BucketStats)| {
            stats.depth += below.depth;
            stats.add(&below);
            stats
        };
        let mut walk = self.walk(bucket);
        while let Some(step) = walk.next()? {
            match step {
                Step::Page(page) => {
                    if let Some((stats, _)) = open.last_mut() {
                        stats.page(&page, page_size);
                    }
                }
                Step::Bucket { root_page, .. } => open.push((own(root_page == 0), BucketStats::default())),
                Step::End => {
                    let ended = open.pop().map(close);
                    if let (Some(ended), Some((_, below))) = (ended, open.last_mut()) {
                        below.add(&ended);
                    }
                }
                Step::Pair { .. } => {}
                Step::Damage(damage) => return Err(damage.into()),
            }
        }
        Ok(open.pop().map(close).unwrap_or_default())
    }

    /// The buckets under the root with the keys in each: bbolt's `Tx.Inspect`.
    ///
    /// # Errors
    /// As [`Tree::stats`].
    pub fn inspect(&self) -> Result<BucketTree> {
        let mut open = vec![BucketTree { name: b"root".to_vec(), key_n: 0, buckets: Vec::new() }];
        let mut walk = self.walk(&self.root());
        while let Some(step) = walk.next()? {
            match step {
                Step::Bucket { path, .. } => {
                    let name = path.last().cloned().unwrap_or_default();
                    open.push(BucketTree { name, key_n: 0, buckets: Vec::new() });
                }
                Step::Pair { .. } => {
                    if let Some(top) = open.last_mut() {
                        top.key_n += 1;
                    }
                }
                Step::End => {
                    let ended = open.pop();
                    if let (Some(ended), Some(top)) = (ended, open.last_mut()) {
                        top.buckets.push(ended);
                    }
                }
                Step::Page(_) => {}
                Step::Damage(damage) => return Err(damage.into()),
            }
        }
        Ok(open.swap_remove(0))
    }
}

/// A bucket with the buckets in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketTree {
    /// Its name; "root" at the top.
    pub name: Vec<u8>,
    /// Plain keys in it.
    pub key_n: u64,
    /// The buckets in it, by name.
    pub buckets: Vec<BucketTree>,
}

impl Drop for BucketTree {
    /// A chain of a million buckets must not take a million stack frames to let go of.
    fn drop(&mut self) {
        let mut open = std::mem::take(&mut self.buckets);
        while let Some(mut tree) = open.pop() {
            open.append(&mut tree.buckets);
        }
    }
}

/// How full a page is, for those who draw.
pub(crate) fn fill_of(file: RawFile<'_>, id: u64, high_water: u64) -> Result<Option<(PageKind, u32, f64)>> {
    let first = match file.first_page(id, high_water) {
        Ok(first) => first,
        Err(crate::Error::Damaged(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    let overflow = first.overflow();
    let bytes = (f64::from(overflow) + 1.0) * f64::from(file.page_size());
    let whole = file.whole(first)?;
    let used = |page: crate::page::Page<'_>| -> Result<u64, Damage> {
        Ok(match page.kind() {
            PageKind::Leaf => crate::walk::used_leaf(&page.leaf()?),
            PageKind::Branch => crate::walk::used_branch(&page.branch()?),
            PageKind::Freelist => crate::page::FreelistPage::bytes_for(page.freelist()?.count() as u64),
            PageKind::Meta => crate::page::META_PAGE_BYTES as u64,
        })
    };
    let Ok(page) = whole.page() else { return Ok(None) };
    let fill = used(page).map_or(0.0, |used| (used as f64 / bytes).min(1.0));
    Ok(Some((page.kind(), overflow, fill)))
}
