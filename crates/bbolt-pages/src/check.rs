//! The strict check: every rule of the format, each breach with page, offset and rule.
//!
//! Owns [`check`] and its [`Report`]. Verifies all that bbolt's own check does and what that one misses: overflow pages in the freelist,
//! ids out of bounds, values that leave their page, overlapping elements, inline buckets, uneven depth, loops, short files. It reads
//! through [`RawFile`], so it runs on files that cannot be opened, takes no lock and changes nothing. Never recurses, never panics,
//! and ends on any bytes: a page is visited once. Limits: two bits a page of memory, one separator a page that waits for
//! its visit, and the largest allocation; a concurrent writer's pages may be read torn, so check what is at rest, or a backup.

use std::fmt;
use std::rc::Rc;

use crate::MAX_KEY_BYTES;
use crate::error::{Damage, Error, Result, Rule};
use crate::page::{
    BUCKET_FLAG, BUCKET_HEADER_BYTES, Branch, BucketHeader, FIRST_DATA_PAGE, Leaf, Meta, MetaFault,
    NO_FREELIST, PAGE_HEADER_BYTES, PageHeader, PageKind, element_at,
};
use crate::raw_file::RawFile;

/// A tree of this many levels would hold more pages than a file can, if each branch had two children.
pub(crate) const MAX_TREE_DEPTH: u32 = 64;

/// How much to check, and how much to tell.
#[derive(Debug, Clone, Copy)]
pub struct CheckOptions {
    /// Findings kept; more are counted. Default 1,000.
    pub findings_max: usize,
    /// Checks the state of the older meta instead, which a sound file at rest also holds whole. Default false.
    pub older: bool,
    /// Checks only the tree under this page, as `bbolt check --from-page` does. Default none.
    pub from_page: Option<u64>,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { findings_max: 1_000, older: false, from_page: None }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Reads are right, and bbolt never writes it so.
    Warning,
    /// Reads are wrong or fail, or a later commit would destroy data.
    Error,
}

/// One breach: the rule with its place, and the bucket in which it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, which rule, what was found and what was expected.
    pub damage: Damage,
    /// How bad it is.
    pub severity: Severity,
    /// The names from the top down to the bucket; empty for the root bucket, and for what belongs to none.
    pub bucket: Vec<Vec<u8>>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        write!(f, "{} [{}]", self.damage, self.damage.rule.name())?;
        if !self.bucket.is_empty() {
            f.write_str(" in bucket ")?;
            for name in &self.bucket {
                write!(f, "/{}", name.escape_ascii())?;
            }
        }
        Ok(())
    }
}

/// What was seen on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Branch pages, overflow not counted.
    pub branch_pages: u64,
    /// Leaf pages, overflow not counted.
    pub leaf_pages: u64,
    /// Pages of the freelist, overflow counted.
    pub freelist_pages: u64,
    /// Overflow pages of branches and leaves.
    pub overflow_pages: u64,
    /// Pages that the freelist names, or, where none was written, that no tree reaches.
    pub free_pages: u64,
    /// Plain keys.
    pub keys: u64,
    /// Buckets, inline ones too, the root bucket not.
    pub buckets: u64,
    /// Inline buckets.
    pub inline_buckets: u64,
    /// Levels of the deepest tree.
    pub depth_max: u32,
}

/// What a check found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The meta page whose state was checked.
    pub meta_page: u64,
    /// What it says.
    pub meta: Meta,
    /// The findings, by page and offset; at most [`CheckOptions::findings_max`].
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub findings_omitted: u64,
    /// A meta page that is torn or overwritten. The other one counts then, and the file may be sound: this is how a file looks after
    /// a power cut in the last step of a commit. The reader sees the state of the other meta.
    pub unsound_meta: Option<(u64, MetaFault)>,
    /// What was seen.
    pub counts: Counts,
    /// False if damage kept the walk from some part of the tree; leaked pages are not told then.
    pub complete: bool,
}

impl Report {
    /// Whether there is nothing to say.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.findings_omitted == 0
    }

    /// Whether some rule was broken whose breach is more than a warning.
    pub fn has_errors(&self) -> bool {
        self.findings_omitted > 0 || self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Checks the state that a reader of this file would see.
///
/// Cost: every branch and leaf page in use is read once; values are read only where they are buckets.
///
/// # Errors
/// [`Error::Refused`] if neither meta is sound (there is no state to check), and the operating system's errors. Damage is no error
/// here: it is a finding.
///
/// ```
/// use bbolt_pages::{CheckOptions, RawFile, check};
///
/// let bytes = vec![0_u8; 16384];
/// let file = RawFile::new(&bytes)?;
/// assert_eq!(check(&file, &CheckOptions::default()).unwrap_err().name(), "invalid-database");
/// # Ok::<(), bbolt_pages::Error>(())
/// ```
pub fn check(file: &RawFile<'_>, options: &CheckOptions) -> Result<Report> {
    let current = file.current();
    let which = match (current, options.older) {
        (Some(current), true) => 1 - current,
        (Some(current), false) => current,
        (None, _) => return Err(file.meta().err().unwrap_or(Error::Poisoned)),
    };
    let meta = match file.metas()[which] {
        Ok(meta) => meta,
        Err(_) => return Err(crate::error::Refusal::Checksum.into()),
    };
    check_meta(file, meta, which as u64, options)
}

/// Checks the state that `meta` tells of, which need not stand in the file yet: what is about to be committed, or a snapshot. `meta_page` is
/// the page it stands on or will.
///
/// # Errors
/// The operating system's.
pub fn check_meta(file: &RawFile<'_>, meta: Meta, meta_page: u64, options: &CheckOptions) -> Result<Report> {
    let mut walk = Walk::new(*file, meta, meta_page, options.findings_max);
    walk.metas();
    if let Some(page) = options.from_page {
        walk.start(page, Place { page, offset: 0 });
        walk.run()?;
        return Ok(walk.report());
    }
    walk.freelist()?;
    walk.start(meta.root, Place { page: meta_page, offset: 32 });
    walk.run()?;
    walk.leaks();
    Ok(walk.report())
}

/// Which pages the tree of `meta` and its freelist occupy.
///
/// # Errors
/// The first damage that hides some part of the tree, and the operating system's errors.
pub(crate) fn pages_in_use(file: RawFile<'_>, meta: Meta) -> Result<PageSet> {
    let mut walk = Walk::new(file, meta, 0, 1);
    walk.lost_only = true;
    walk.start(meta.root, Place { page: 0, offset: 32 });
    walk.run()?;
    if meta.freelist != NO_FREELIST
        && let Ok(pages) = file.first_page(meta.freelist, meta.high_water)
    {
        (meta.freelist..=meta.freelist + u64::from(pages.overflow())).for_each(|id| {
            walk.used.insert(id);
        });
    }
    match walk.findings.first() {
        Some(finding) if !walk.complete => Err(finding.damage.into()),
        _ => Ok(walk.used),
    }
}

/// A set of page ids below a bound.
#[derive(Debug, Clone)]
pub(crate) struct PageSet {
    words: Vec<u64>,
    bound: u64,
}

impl PageSet {
    /// A set for ids below `bound`.
    pub(crate) fn new(bound: u64) -> Self {
        let words = usize::try_from(bound.div_ceil(64)).unwrap_or(0);
        Self { words: vec![0; words], bound }
    }

    /// Whether `id` is in the set; never for an id past the bound.
    pub(crate) fn has(&self, id: u64) -> bool {
        id < self.bound && self.words[(id / 64) as usize] >> (id % 64) & 1 == 1
    }

    /// Puts `id` in and says whether it is new. An id past the bound stays out, and is always new.
    pub(crate) fn insert(&mut self, id: u64) -> bool {
        if id >= self.bound {
            return true;
        }
        let word = &mut self.words[(id / 64) as usize];
        let new = *word >> (id % 64) & 1 == 0;
        *word |= 1 << (id % 64);
        new
    }
}

/// Where a reference stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    page: u64,
    offset: u64,
}

/// A page that waits for its visit.
struct Visit {
    id: u64,
    /// Where its number was read.
    place: Place,
    /// No key may be below.
    low: Option<Rc<[u8]>>,
    /// Every key must be below.
    high: Option<Rc<[u8]>>,
    /// Levels above it in its bucket.
    depth: u32,
    bucket: usize,
}

/// A paged bucket on the way.
struct Bucket {
    name: Rc<[u8]>,
    parent: usize,
    /// The depth of the first leaf that was seen.
    leaf_depth: Option<u32>,
}

/// Where a page's keys must lie, and what it is.
struct Frame<'f> {
    low: Option<&'f [u8]>,
    high: Option<&'f [u8]>,
    bucket: usize,
    inline: bool,
}

const ROOT: usize = 0;

struct Walk<'a> {
    file: RawFile<'a>,
    meta: Meta,
    meta_page: u64,
    used: PageSet,
    free: PageSet,
    visits: Vec<Visit>,
    buckets: Vec<Bucket>,
    findings: Vec<Finding>,
    findings_max: usize,
    omitted: u64,
    counts: Counts,
    complete: bool,
    /// Only what hides a part of the tree is of interest.
    lost_only: bool,
}

impl<'a> Walk<'a> {
    fn new(file: RawFile<'a>, meta: Meta, meta_page: u64, findings_max: usize) -> Self {
        // Ids past the file's end are findings; no set is ever made for more pages than the file has.
        let bound = meta.high_water.min(file.pages_in_file());
        Self {
            file,
            meta,
            meta_page,
            used: PageSet::new(bound),
            free: PageSet::new(bound),
            visits: Vec::new(),
            buckets: vec![Bucket { name: Rc::from(&b""[..]), parent: ROOT, leaf_depth: None }],
            findings: Vec::new(),
            findings_max,
            omitted: 0,
            counts: Counts::default(),
            complete: true,
            lost_only: false,
        }
    }

    fn report(mut self) -> Report {
        self.findings
            .sort_by_key(|finding| (finding.damage.page, finding.damage.offset, finding.damage.rule));
        let unsound =
            (0..).zip(self.file.metas()).find_map(|(page, meta)| meta.err().map(|fault| (page, fault)));
        Report {
            meta_page: self.meta_page,
            meta: self.meta,
            findings: self.findings,
            findings_omitted: self.omitted,
            unsound_meta: unsound,
            counts: self.counts,
            complete: self.complete,
        }
    }

    fn find(&mut self, severity: Severity, damage: Damage, bucket: usize) {
        if self.lost_only && self.complete {
            return;
        }
        if self.findings.len() >= self.findings_max {
            self.omitted += 1;
            return;
        }
        let mut names = Vec::new();
        let mut at = bucket;
        while at != ROOT {
            names.push(self.buckets[at].name.to_vec());
            at = self.buckets[at].parent;
        }
        names.reverse();
        self.findings.push(Finding { damage, severity, bucket: names });
    }

    fn error(&mut self, place: Place, rule: Rule, found: u64, expected: u64, bucket: usize) {
        let Place { page, offset } = place;
        self.find(Severity::Error, Damage { page, offset, rule, found, expected }, bucket);
    }

    fn warn(&mut self, place: Place, rule: Rule, found: u64, expected: u64, bucket: usize) {
        let Place { page, offset } = place;
        self.find(Severity::Warning, Damage { page, offset, rule, found, expected }, bucket);
    }

    /// A part of the file that cannot be looked into.
    fn lost(&mut self, damage: Damage, bucket: usize) {
        self.complete = false;
        self.find(Severity::Error, damage, bucket);
    }

    /// Takes damage as a finding and hands every other error on.
    fn or_lost<T>(&mut self, result: Result<T>, bucket: usize) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Damaged(damage)) => {
                self.lost(*damage, bucket);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// The headers of sound metas, and the file's length.
    fn metas(&mut self) {
        for ((page, meta), header) in (0..).zip(self.file.metas()).zip(self.file.meta_headers()) {
            let (Ok(_), Some(header)) = (meta, header) else { continue };
            if header.id != page {
                self.error(Place { page, offset: 0 }, Rule::PageId, header.id, page, ROOT);
            }
            if header.kind() != Some(PageKind::Meta) {
                let expected = PageKind::Meta.flags();
                self.error(
                    Place { page, offset: 8 },
                    Rule::PageKind,
                    header.flags.into(),
                    expected.into(),
                    ROOT,
                );
            }
        }
        if self.meta.txid == u64::MAX {
            let place = Place { page: self.meta_page, offset: 64 };
            self.error(place, Rule::Meta, u64::MAX, u64::MAX - 1, ROOT);
        }
        if self.meta.high_water > self.file.pages_in_file() {
            let needed = self.meta.high_water.saturating_mul(self.file.page_size().into());
            let place = Place { page: self.meta_page, offset: 56 };
            self.error(place, Rule::FileLength, self.file.file_bytes(), needed, ROOT);
        }
    }

    fn freelist(&mut self) -> Result<()> {
        let id = self.meta.freelist;
        if id == NO_FREELIST {
            return Ok(());
        }
        let high_water = self.meta.high_water;
        if !(FIRST_DATA_PAGE..high_water).contains(&id) {
            let damage = Damage {
                page: self.meta_page,
                offset: 48,
                rule: Rule::PageInBounds,
                found: id,
                expected: high_water,
            };
            self.lost(damage, ROOT);
            return Ok(());
        }
        let file = self.file;
        let Some(pages) = self.or_lost(file.allocation(id, high_water), ROOT)? else { return Ok(()) };
        for page in id..=id + u64::from(pages.overflow()) {
            self.used.insert(page);
            self.counts.freelist_pages += 1;
        }
        let list = pages.page().and_then(|page| page.freelist()).map_err(Error::from);
        let Some(list) = self.or_lost(list, ROOT)? else { return Ok(()) };
        // The ids stand at the end of what the list reads: its own bytes tell whether the long form was used.
        let count = PageHeader::read(pages.bytes()).map_or(0, |header| header.count);
        let first = PAGE_HEADER_BYTES as u64 + if count == crate::page::LONG_FREELIST { 8 } else { 0 };
        let mut previous = None;
        for (place, free) in (0_u64..).zip(list.ids()) {
            let place = Place { page: id, offset: first + 8 * place };
            match previous {
                Some(before) if before == free => {
                    self.error(place, Rule::FreedTwice, free, before, ROOT);
                }
                Some(before) if before > free => {
                    self.error(place, Rule::FreelistOrder, free, before, ROOT);
                }
                _ => {}
            }
            previous = Some(free);
            if !(FIRST_DATA_PAGE..high_water).contains(&free) {
                self.error(place, Rule::FreelistBounds, free, high_water, ROOT);
                continue;
            }
            if self.used.has(free) {
                self.error(place, Rule::FreelistInUse, free, id, ROOT);
            }
            if self.free.insert(free) {
                self.counts.free_pages += 1;
            }
        }
        Ok(())
    }

    fn start(&mut self, id: u64, place: Place) {
        self.visits.push(Visit { id, place, low: None, high: None, depth: 0, bucket: ROOT });
    }

    fn run(&mut self) -> Result<()> {
        while let Some(visit) = self.visits.pop() {
            self.visit(&visit)?;
        }
        Ok(())
    }

    fn visit(&mut self, visit: &Visit) -> Result<()> {
        let &Visit { id, place, depth, bucket, .. } = visit;
        let high_water = self.meta.high_water;
        let at =
            |rule, expected| Damage { page: place.page, offset: place.offset, rule, found: id, expected };
        if !(FIRST_DATA_PAGE..high_water).contains(&id) {
            self.lost(at(Rule::PageInBounds, high_water), bucket);
            return Ok(());
        }
        if self.used.has(id) {
            self.lost(at(Rule::PageShared, 0), bucket);
            return Ok(());
        }
        if depth >= MAX_TREE_DEPTH {
            self.lost(at(Rule::Depth, MAX_TREE_DEPTH.into()), bucket);
            return Ok(());
        }
        let file = self.file;
        let first = file.first_page(id, high_water);
        let Some(first) = self.or_lost(first, bucket)? else {
            self.used.insert(id);
            return Ok(());
        };
        for page in id..=id + u64::from(first.overflow()) {
            if !self.used.insert(page) {
                // Stopping at the first keeps the whole check linear, whatever the headers claim.
                self.lost(
                    Damage { page: id, offset: 12, rule: Rule::PageShared, found: page, expected: 0 },
                    bucket,
                );
                return Ok(());
            }
            if self.free.has(page) {
                self.error(Place { page: id, offset: 0 }, Rule::FreelistInUse, page, 0, bucket);
            }
        }
        self.counts.overflow_pages += u64::from(first.overflow());
        let whole = file.whole(first)?;
        let page = match whole.page() {
            Ok(page) => page,
            Err(damage) => {
                self.lost(damage, bucket);
                return Ok(());
            }
        };
        match page.kind() {
            PageKind::Branch => {
                self.counts.branch_pages += 1;
                match page.branch() {
                    Ok(branch) => self.branch(&branch, visit),
                    Err(damage) => self.lost(damage, bucket),
                }
            }
            PageKind::Leaf => {
                self.counts.leaf_pages += 1;
                self.counts.depth_max = self.counts.depth_max.max(depth + 1);
                match self.buckets[bucket].leaf_depth {
                    None => self.buckets[bucket].leaf_depth = Some(depth),
                    Some(wanted) if wanted == depth => {}
                    Some(wanted) => {
                        let place = Place { page: id, offset: 8 };
                        self.warn(place, Rule::LeafDepth, depth.into(), wanted.into(), bucket);
                    }
                }
                match page.leaf() {
                    Ok(leaf) => {
                        if leaf.count() == 0 && depth > 0 {
                            self.error(Place { page: id, offset: 10 }, Rule::EmptyPage, 0, 1, bucket);
                        }
                        let (low, high) = (visit.low.as_deref(), visit.high.as_deref());
                        self.leaf(&leaf, &Frame { low, high, bucket, inline: false });
                    }
                    Err(damage) => self.lost(damage, bucket),
                }
            }
            other => {
                let (found, expected) = (other.flags().into(), PageKind::Leaf.flags().into());
                self.lost(Damage { page: id, offset: 8, rule: Rule::PageKind, found, expected }, bucket);
            }
        }
        Ok(())
    }

    fn branch(&mut self, branch: &Branch<'_>, visit: &Visit) {
        let (page, bucket, count) = (branch.page(), visit.bucket, branch.count());
        if count == 0 {
            self.lost(Damage { page, offset: 10, rule: Rule::EmptyPage, found: 0, expected: 1 }, bucket);
            return;
        }
        let mut expected = element_at(count);
        let mut keys: Vec<Rc<[u8]>> = Vec::with_capacity(count);
        let mut previous: Option<&[u8]> = None;
        for index in 0..count {
            let (start, end) = match branch.places(index) {
                Ok(places) => places,
                Err(damage) => return self.lost(damage, bucket),
            };
            let at = self.laid_out(page, index, start, expected, bucket);
            expected = end;
            let key = &branch.bytes()[start..end];
            if key.is_empty() {
                self.error(at, Rule::KeySize, 0, 1, bucket);
            }
            self.order(key, previous, visit.low.as_deref(), visit.high.as_deref(), index, at, bucket);
            previous = Some(key);
            keys.push(Rc::from(key));
        }
        self.rest(branch.bytes(), expected, page, count, bucket);
        for index in (0..count).rev() {
            let Ok(id) = branch.child(index) else { return };
            let offset = (element_at(index) + 8) as u64;
            let high = keys.get(index + 1).cloned().or_else(|| visit.high.clone());
            let low = Some(Rc::clone(&keys[index]));
            let place = Place { page, offset };
            self.visits.push(Visit { id, place, low, high, depth: visit.depth + 1, bucket });
        }
    }

    /// Data begins where the last element's ended; says where element `index` stands.
    fn laid_out(&mut self, page: u64, index: usize, start: usize, expected: usize, bucket: usize) -> Place {
        let at = Place { page, offset: element_at(index) as u64 };
        if start != expected {
            self.error(at, Rule::ElementLayout, start as u64, expected as u64, bucket);
        }
        at
    }

    /// Order within a page, and between the separators above it.
    #[expect(clippy::too_many_arguments, reason = "one key with everything it is compared to")]
    fn order(
        &mut self,
        key: &[u8],
        previous: Option<&[u8]>,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
        index: usize,
        at: Place,
        bucket: usize,
    ) {
        if previous.is_some_and(|previous| previous >= key) {
            self.error(at, Rule::KeyOrder, index as u64, index as u64 - 1, bucket);
        }
        if low.is_some_and(|low| key < low) || high.is_some_and(|high| key >= high) {
            self.error(at, Rule::KeySeparator, index as u64, 0, bucket);
        } else if index == 0 && low.is_some_and(|low| key != low) {
            // bbolt enters a page's first key in its parent whenever it writes the page.
            self.warn(at, Rule::KeySeparator, index as u64, 0, bucket);
        }
    }

    /// What follows the last element: zeros in a page, nothing in an inline bucket.
    fn rest(&mut self, bytes: &[u8], end: usize, page: u64, count: usize, bucket: usize) {
        let Some(rest) = bytes.get(end..) else { return };
        if let Some(at) = rest.iter().position(|&byte| byte != 0) {
            let place = Place { page, offset: (element_at(count.max(1)) - 4) as u64 };
            self.warn(place, Rule::ElementLayout, (end + at) as u64, end as u64, bucket);
        }
    }

    fn leaf(&mut self, leaf: &Leaf<'_>, frame: &Frame<'_>) {
        let (page, bucket, count) = (leaf.page(), frame.bucket, leaf.count());
        let mut expected = element_at(count);
        let mut previous: Option<&[u8]> = None;
        for index in 0..count {
            let (flags, (start, middle, end)) = match leaf.places(index) {
                Ok(places) => places,
                Err(damage) => return self.lost(damage, bucket),
            };
            let at = self.laid_out(page, index, start, expected, bucket);
            expected = end;
            let (key, value) = (&leaf.bytes()[start..middle], &leaf.bytes()[middle..end]);
            if flags & !BUCKET_FLAG != 0 {
                self.error(at, Rule::ElementFlags, flags.into(), BUCKET_FLAG.into(), bucket);
            }
            let is_bucket = flags & BUCKET_FLAG != 0;
            if key.is_empty() || !is_bucket && key.len() > MAX_KEY_BYTES {
                self.error(at, Rule::KeySize, key.len() as u64, MAX_KEY_BYTES as u64, bucket);
            }
            self.order(key, previous, frame.low, frame.high, index, at, bucket);
            previous = Some(key);
            if is_bucket {
                self.counts.buckets += 1;
                if frame.inline {
                    self.lost(
                        Damage { page, offset: at.offset, rule: Rule::InlineBucket, found: 1, expected: 0 },
                        bucket,
                    );
                } else {
                    let place = Place { page, offset: middle as u64 };
                    self.sub_bucket(key, value, place, bucket);
                }
            } else {
                self.counts.keys += 1;
                if looks_like_inline_bucket(value) {
                    self.warn(at, Rule::ElementFlags, flags.into(), BUCKET_FLAG.into(), bucket);
                }
            }
        }
        if frame.inline && expected != leaf.bytes().len() {
            let place = Place { page, offset: expected as u64 };
            self.error(place, Rule::ElementLayout, leaf.bytes().len() as u64, expected as u64, bucket);
        } else {
            self.rest(leaf.bytes(), expected, page, count, bucket);
        }
    }

    fn sub_bucket(&mut self, name: &[u8], value: &[u8], place: Place, parent: usize) {
        let header = match BucketHeader::read(value, place.page) {
            Ok(header) => header,
            Err(damage) => return self.lost(Damage { offset: place.offset, ..damage }, parent),
        };
        let bucket = self.buckets.len();
        if header.root != 0 {
            self.buckets.push(Bucket { name: Rc::from(name), parent, leaf_depth: None });
            self.visits.push(Visit { id: header.root, place, low: None, high: None, depth: 0, bucket });
            return;
        }
        self.counts.inline_buckets += 1;
        // The bucket is known by name only while its few keys are looked at.
        self.buckets.push(Bucket { name: Rc::from(name), parent, leaf_depth: None });
        let image = &value[BUCKET_HEADER_BYTES..];
        if let Some(PageHeader { id, .. }) = PageHeader::read(image).filter(|header| header.id != 0) {
            self.error(place, Rule::InlineBucket, id, 0, bucket);
        }
        let most = self.file.page_size() as usize / 4;
        if image.len() > most {
            self.warn(place, Rule::InlineBucket, image.len() as u64, most as u64, bucket);
        }
        match BucketHeader::inline_leaf(value, place.page) {
            Ok(leaf) => self.leaf(&leaf, &Frame { low: None, high: None, bucket, inline: true }),
            Err(damage) => self.lost(Damage { offset: place.offset, ..damage }, bucket),
        }
        self.buckets.truncate(bucket);
    }

    /// Every page below the high-water mark is in use or free.
    fn leaks(&mut self) {
        if self.meta.freelist == NO_FREELIST {
            let pages = FIRST_DATA_PAGE..self.used.bound;
            self.counts.free_pages = pages.filter(|id| !self.used.has(*id)).count() as u64;
            return;
        }
        if !self.complete {
            return;
        }
        for page in FIRST_DATA_PAGE..self.used.bound {
            if !self.used.has(page) && !self.free.has(page) {
                self.error(Place { page, offset: 0 }, Rule::PageLeaked, page, 0, ROOT);
            }
        }
    }
}

/// Whether a plain value is, byte for byte, what an inline bucket would be: then the flag of its element was lost.
fn looks_like_inline_bucket(value: &[u8]) -> bool {
    let Ok(BucketHeader { root: 0, .. }) = BucketHeader::read(value, 0) else { return false };
    let Some(PageHeader { id: 0, .. }) = PageHeader::read(&value[BUCKET_HEADER_BYTES..]) else {
        return false;
    };
    let Ok(leaf) = BucketHeader::inline_leaf(value, 0) else { return false };
    let first = element_at(leaf.count());
    let end = (0..leaf.count()).try_fold(first, |expected, index| match leaf.places(index) {
        Ok((0, (start, _, end))) if start == expected => Some(end),
        _ => None,
    });
    end == Some(leaf.bytes().len())
}
