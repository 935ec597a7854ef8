//! Reading a database from its bytes, in key order and without opening it: what dump, statistics, salvage and the page tools stand on.
//!
//! Owns [`Tree`], which finds a bucket or a key, and [`Walk`], which visits every page, bucket and pair once. Each reference is checked
//! before it is followed, each page visited once, and damage is a step of the walk: the caller decides whether it ends there or goes on
//! with the rest. Never recurses and never changes anything. It does not judge order or layout; that is the strict check's. Limits: a
//! bit a page, and the pages from the root down to where the walk stands.

use std::ops::Range;
use std::rc::Rc;

use crate::check::{MAX_TREE_DEPTH, PageSet};
use crate::error::{Damage, Error, Result, Rule};
use crate::page::{
    BUCKET_FLAG, BUCKET_HEADER_BYTES, Branch, BucketHeader, Leaf, Meta, PageHeader, PageKind, element_at,
};
use crate::raw_file::{Allocation, RawFile};

/// One state of a database file, readable without a transaction.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    file: RawFile<'a>,
    meta: Meta,
}

/// A bucket found in a [`Tree`].
#[derive(Debug, Clone)]
pub struct FoundBucket {
    header: BucketHeader,
    /// The whole value, if the bucket is inline.
    inline: Option<Rc<[u8]>>,
    page: u64,
}

impl FoundBucket {
    /// The bucket's sequence.
    pub fn sequence(&self) -> u64 {
        self.header.sequence
    }

    /// Its root page; 0 if it is inline.
    pub fn root_page(&self) -> u64 {
        self.header.root
    }
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub enum Found {
    /// A plain key's value.
    Value(Vec<u8>),
    /// A bucket.
    Bucket(FoundBucket),
}

impl<'a> Tree<'a> {
    /// The state that a reader of the file would see.
    ///
    /// # Errors
    /// [`Error::Refused`] if neither meta is sound.
    pub fn new(file: RawFile<'a>) -> Result<Self> {
        Ok(Self { file, meta: file.meta()? })
    }

    /// The state of this meta, which need not be the newest.
    pub fn of_meta(file: RawFile<'a>, meta: Meta) -> Self {
        Self { file, meta }
    }

    /// The meta.
    pub fn meta(&self) -> Meta {
        self.meta
    }

    /// The file.
    pub fn file(&self) -> RawFile<'a> {
        self.file
    }

    /// The root bucket, which holds the others.
    pub fn root(&self) -> FoundBucket {
        let header = BucketHeader { root: self.meta.root, sequence: self.meta.sequence };
        FoundBucket { header, inline: None, page: 0 }
    }

    /// The bucket at `path`, from the top; the root bucket for an empty one. `None` if there is none.
    ///
    /// # Errors
    /// Damage on the way down, and the operating system's errors.
    pub fn bucket(&self, path: &[impl AsRef<[u8]>]) -> Result<Option<FoundBucket>> {
        let mut bucket = self.root();
        for name in path {
            match self.find(&bucket, name.as_ref())? {
                Some(Found::Bucket(found)) => bucket = found,
                _ => return Ok(None),
            }
        }
        Ok(Some(bucket))
    }

    /// What `key` stands for in `bucket`.
    ///
    /// # Errors
    /// As [`Tree::bucket`].
    pub fn find(&self, bucket: &FoundBucket, key: &[u8]) -> Result<Option<Found>> {
        if let Some(value) = &bucket.inline {
            return found_in(&BucketHeader::inline_leaf(value, bucket.page)?, key);
        }
        let mut id = bucket.header.root;
        for _ in 0..MAX_TREE_DEPTH {
            let pages = self.file.allocation(id, self.meta.high_water)?;
            let page = pages.page()?;
            if page.kind() == PageKind::Branch {
                let branch = page.branch()?;
                id = branch.child(branch.search(key)?)?;
            } else {
                return found_in(&page.leaf()?, key);
            }
        }
        let (found, expected) = (id, MAX_TREE_DEPTH.into());
        Err(Damage { page: id, offset: 0, rule: Rule::Depth, found, expected }.into())
    }

    /// Visits everything in `bucket`, its sub-buckets included.
    pub fn walk(&self, bucket: &FoundBucket) -> Walk<'a> {
        self.walk_as(bucket, false)
    }

    /// Visits what stands in `bucket` itself: its sub-buckets are told and not entered.
    pub fn walk_flat(&self, bucket: &FoundBucket) -> Walk<'a> {
        self.walk_as(bucket, true)
    }

    fn walk_as(&self, bucket: &FoundBucket, flat: bool) -> Walk<'a> {
        let mut walk = Walk {
            flat,
            tree: *self,
            seen: PageSet::new(self.meta.high_water.min(self.file.pages_in_file())),
            frames: Vec::new(),
            path: Vec::new(),
            waiting: None,
        };
        walk.waiting = Some(match &bucket.inline {
            Some(value) => Waiting::Inline(Rc::clone(value), bucket.page),
            None => Waiting::Page { id: bucket.header.root, depth: 0, opens_bucket: true },
        });
        walk
    }
}

fn found_in(leaf: &Leaf<'_>, key: &[u8]) -> Result<Option<Found>> {
    let (index, equal) = leaf.search(key)?;
    if !equal {
        return Ok(None);
    }
    let element = leaf.element(index)?;
    if !element.is_bucket() {
        return Ok(Some(Found::Value(element.value.to_vec())));
    }
    let header = BucketHeader::read(element.value, leaf.page())?;
    let inline = (header.root == 0).then(|| Rc::from(element.value));
    Ok(Some(Found::Bucket(FoundBucket { header, inline, page: leaf.page() })))
}

/// A page on the way, or the page image of an inline bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSeen {
    /// The page's number; that of the page that holds it, for an inline bucket.
    pub id: u64,
    /// Branch or leaf.
    pub kind: PageKind,
    /// Elements.
    pub count: u16,
    /// Further pages that belong to it.
    pub overflow: u32,
    /// Bytes up to the end of the last element.
    pub used_bytes: u64,
    /// Levels above it in its bucket.
    pub depth: u32,
    /// Whether it is the image of an inline bucket.
    pub inline: bool,
}

/// One thing on the way.
#[derive(Debug, Clone, Copy)]
pub enum Step<'w> {
    /// A page is entered.
    Page(PageSeen),
    /// A sub-bucket begins; everything in it follows, up to its [`Step::End`].
    Bucket {
        /// The names from where the walk began down to this bucket.
        path: &'w [Vec<u8>],
        /// Its sequence.
        sequence: u64,
        /// Its root page; 0 if it is inline.
        root_page: u64,
    },
    /// A plain key.
    Pair {
        /// The names from where the walk began down to the bucket that holds it.
        path: &'w [Vec<u8>],
        /// The key.
        key: &'w [u8],
        /// The value.
        value: &'w [u8],
    },
    /// The innermost sub-bucket ends.
    End,
    /// Something cannot be read. Asking for the next step goes on behind it.
    Damage(Damage),
}

/// A walk over a bucket. See [`Tree::walk`].
#[derive(Debug)]
pub struct Walk<'a> {
    tree: Tree<'a>,
    seen: PageSet,
    frames: Vec<Frame<'a>>,
    path: Vec<Vec<u8>>,
    /// What the step before promised: it is entered first.
    waiting: Option<Waiting>,
    /// Sub-buckets end where they begin.
    flat: bool,
}

#[derive(Debug)]
enum Waiting {
    Page {
        id: u64,
        depth: u32,
        opens_bucket: bool,
    },
    /// An inline bucket's image within the page on top.
    Image {
        image: Range<usize>,
    },
    /// An inline bucket at which the walk begins.
    Inline(Rc<[u8]>, u64),
    /// The sub-bucket whose contents could not be read ends.
    End,
}

#[derive(Debug, Clone)]
enum Bytes<'a> {
    Pages(Rc<Allocation<'a>>),
    Value(Rc<[u8]>),
}

impl Bytes<'_> {
    fn all(&self) -> &[u8] {
        match self {
            Self::Pages(pages) => pages.bytes(),
            Self::Value(value) => value,
        }
    }
}

#[derive(Debug)]
struct Frame<'a> {
    bytes: Bytes<'a>,
    /// The page's image within them.
    image: Range<usize>,
    page: u64,
    branch: bool,
    depth: u32,
    index: usize,
    count: usize,
    ends_bucket: bool,
}

/// Places of an element: kind, key and value, within the image.
enum Element {
    Child(u64),
    Bucket { name: Range<usize>, value: Range<usize> },
    Pair { key: Range<usize>, value: Range<usize> },
}

impl Frame<'_> {
    fn element(&self) -> Result<Element, Damage> {
        let bytes = &self.bytes.all()[self.image.clone()];
        let at = |range: Range<usize>| range.start + self.image.start..range.end + self.image.start;
        if self.branch {
            return Ok(Element::Child(Branch::of(bytes, self.page, self.count as u16)?.child(self.index)?));
        }
        let leaf = Leaf::of(bytes, self.page, self.count as u16)?;
        let (flags, (start, middle, end)) = leaf.places(self.index)?;
        Ok(if flags & BUCKET_FLAG != 0 {
            Element::Bucket { name: at(start..middle), value: at(middle..end) }
        } else {
            Element::Pair { key: at(start..middle), value: at(middle..end) }
        })
    }
}

impl<'a> Walk<'a> {
    /// The next step; `None` at the end.
    ///
    /// # Errors
    /// The operating system's. Damage is a step.
    #[expect(clippy::should_implement_trait, reason = "the step borrows from the walk")]
    pub fn next(&mut self) -> Result<Option<Step<'_>>> {
        if let Some(waiting) = self.waiting.take() {
            return self.enter(waiting).map(Some);
        }
        let Some(frame) = self.frames.last_mut() else { return Ok(None) };
        if frame.index >= frame.count {
            let ends_bucket = frame.ends_bucket;
            self.frames.pop();
            if ends_bucket {
                self.path.pop();
                return Ok(Some(Step::End));
            }
            return self.next();
        }
        let element = frame.element();
        frame.index += 1;
        let depth = frame.depth;
        match element {
            Err(damage) => {
                // The places of the elements behind cannot be trusted more than this one's, but each is checked.
                Ok(Some(Step::Damage(damage)))
            }
            Ok(Element::Child(id)) => {
                self.waiting = Some(Waiting::Page { id, depth: depth + 1, opens_bucket: false });
                self.next()
            }
            Ok(Element::Pair { key, value }) => {
                let Some(frame) = self.frames.last() else { return Ok(None) };
                let bytes = frame.bytes.all();
                Ok(Some(Step::Pair { path: &self.path, key: &bytes[key], value: &bytes[value] }))
            }
            Ok(Element::Bucket { name, value }) => self.open(name, value).map(Some),
        }
    }

    /// A sub-bucket's name and value on the page on top.
    fn open(&mut self, name: Range<usize>, value: Range<usize>) -> Result<Step<'_>> {
        let Some(frame) = self.frames.last() else { return Ok(Step::End) };
        let bytes = frame.bytes.all();
        let header = match BucketHeader::read(&bytes[value.clone()], frame.page) {
            Ok(header) => header,
            Err(damage) => return Ok(Step::Damage(damage)),
        };
        self.path.push(bytes[name].to_vec());
        self.waiting = Some(if self.flat {
            Waiting::End
        } else if header.root == 0 {
            Waiting::Image { image: value.start + BUCKET_HEADER_BYTES..value.end }
        } else {
            Waiting::Page { id: header.root, depth: 0, opens_bucket: true }
        });
        Ok(Step::Bucket { path: &self.path, sequence: header.sequence, root_page: header.root })
    }

    fn enter(&mut self, waiting: Waiting) -> Result<Step<'_>> {
        let outermost = self.path.is_empty();
        match waiting {
            Waiting::End => {
                self.path.pop();
                Ok(Step::End)
            }
            Waiting::Page { id, depth, opens_bucket } => {
                let ends_bucket = opens_bucket && !outermost;
                match self.read(id, depth) {
                    Ok(pages) => {
                        let image = 0..pages.bytes().len();
                        let overflow = pages.overflow();
                        let bytes = Bytes::Pages(Rc::new(pages));
                        Ok(self.push(bytes, image, id, overflow, depth, ends_bucket))
                    }
                    Err(Error::Damaged(damage)) => {
                        if ends_bucket {
                            self.waiting = Some(Waiting::End);
                        }
                        Ok(Step::Damage(*damage))
                    }
                    Err(other) => Err(other),
                }
            }
            Waiting::Image { image } => {
                let Some(frame) = self.frames.last() else { return Ok(Step::End) };
                let (bytes, page) = (frame.bytes.clone(), frame.page);
                Ok(self.push(bytes, image, page, 0, 0, true))
            }
            Waiting::Inline(value, page) => {
                let image = BUCKET_HEADER_BYTES..value.len();
                Ok(self.push(Bytes::Value(value), image, page, 0, 0, !outermost))
            }
        }
    }

    fn read(&mut self, id: u64, depth: u32) -> Result<Allocation<'a>> {
        let damage = |rule, expected| Damage { page: id, offset: 0, rule, found: id, expected };
        if depth >= MAX_TREE_DEPTH {
            return Err(damage(Rule::Depth, MAX_TREE_DEPTH.into()).into());
        }
        let pages = self.tree.file.allocation(id, self.tree.meta.high_water)?;
        if !self.seen.insert(id) {
            return Err(damage(Rule::PageShared, 0).into());
        }
        Ok(pages)
    }

    /// Puts a page or an inline image on top and tells of it.
    fn push(
        &mut self,
        bytes: Bytes<'a>,
        image: Range<usize>,
        page: u64,
        overflow: u32,
        depth: u32,
        ends_bucket: bool,
    ) -> Step<'_> {
        let inline = image.start > 0;
        let all = &bytes.all()[image.clone()];
        let header = PageHeader::read(all);
        let seen = header
            .ok_or(Damage { page, offset: 0, rule: Rule::BucketValue, found: 0, expected: 16 })
            .and_then(|header| {
                let wrong = Damage {
                    page,
                    offset: 8,
                    rule: if inline { Rule::InlineBucket } else { Rule::PageKind },
                    found: header.flags.into(),
                    expected: PageKind::Leaf.flags().into(),
                };
                let used_bytes = match header.kind() {
                    Some(PageKind::Leaf) => Leaf::of(all, page, header.count).map(|leaf| used_leaf(&leaf)),
                    Some(PageKind::Branch) if !inline => {
                        Branch::of(all, page, header.count).map(|branch| used_branch(&branch))
                    }
                    _ => Err(wrong),
                }?;
                let kind = header.kind().ok_or(wrong)?;
                Ok(PageSeen { id: page, kind, count: header.count, overflow, used_bytes, depth, inline })
            });
        match seen {
            Ok(seen) => {
                let (branch, count) = (seen.kind == PageKind::Branch, seen.count.into());
                self.frames.push(Frame { bytes, image, page, branch, depth, index: 0, count, ends_bucket });
                Step::Page(seen)
            }
            Err(damage) => {
                if ends_bucket {
                    self.waiting = Some(Waiting::End);
                }
                Step::Damage(damage)
            }
        }
    }
}

/// Bytes up to the end of the last element, as bbolt counts them.
pub(crate) fn used_leaf(leaf: &Leaf<'_>) -> u64 {
    let last = leaf.count().checked_sub(1).and_then(|last| leaf.places(last).ok());
    last.map_or(element_at(leaf.count()) as u64, |(_, (_, _, end))| end as u64)
}

/// As [`used_leaf`].
pub(crate) fn used_branch(branch: &Branch<'_>) -> u64 {
    let last = branch.count().checked_sub(1).and_then(|last| branch.places(last).ok());
    last.map_or(element_at(branch.count()) as u64, |(_, end)| end as u64)
}
