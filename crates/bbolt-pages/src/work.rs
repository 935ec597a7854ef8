//! A write transaction's own pages and buckets: the tree edited in memory.
//!
//! Owns [`Work`]: changed pages as images under ids that no file has (bit 63 set), opened buckets, and the list of pages this transaction
//! replaced. A page is copied at its first change, its parent then points at the image, and so up to the root; pages keep their places until
//! the commit, when merging, splitting and numbering happen from the leaves upward; of many changed leaves most are written before (`early.rs`). On a writable map an image lies in a free page of the file,
//! which it then is; what outgrows its page goes on on the heap. Never does I/O and never allocates a page of the
//! file; the commit lends it an allocator, and `homes.rs` gives it pages ahead. Limits: an error leaves the tree as it was or, inside a commit, fails the transaction.

mod early;
mod finger;
mod settle;
mod shift;
mod split;
mod way;
mod writes;

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use crate::bucket::{Bucket, Root};
use crate::cursor::wrong_kind;
use crate::error::{Damage, Result, Rule, Usage};
use crate::free::Run;
use crate::image::{Image, Memory, Splice};
use crate::page::{
    BUCKET_FLAG, BUCKET_HEADER_BYTES, BucketHeader, MAX_ELEMENTS, PAGE_HEADER_BYTES, Page, PageHeader,
    PageKind,
};
use crate::source::Source;
use crate::stats::TxStats;
use early::Early;
use finger::Finger;
use way::Path;

/// Ids with this bit name images; the rest of the id is the image's slot.
const IMAGE_BIT: u64 = 1 << 63;
/// bbolt's default: split pages half full.
pub(crate) const DEFAULT_FILL_PERCENT: f64 = 0.5;
/// What an image may not outgrow, so that every position in it can be read back.
const MAX_IMAGE_BYTES: usize = (1 << 31) - 1;
/// Memory of dropped images that is kept for the next ones.
const SPARE_IMAGES: usize = 4096;
/// The same where images lie in the writable map, and only those that outgrow their page or find none on the heap.
const SPARE_AT_HOME: usize = 64;

/// Images from which on further ones are edited in pages of the writable map.
const MANY_IMAGES: usize = 16;

/// Whether `id` names an image of a write transaction.
#[inline]
pub(crate) fn is_image(id: u64) -> bool {
    id & IMAGE_BIT != 0
}

/// As [`is_image`], by the highest byte of the id.
#[inline]
fn is_image_byte(byte: u8) -> bool {
    byte & (IMAGE_BIT >> 56) as u8 != 0
}

fn slot_of(id: u64) -> usize {
    (id & !IMAGE_BIT) as usize
}

/// Names an opened bucket of a write transaction; good for that transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BucketId {
    pub(crate) index: u32,
    pub(crate) txid: u64,
}

#[derive(Debug)]
struct Open {
    parent: u32,
    name: Box<[u8]>,
    root: u64,
    sequence: u64,
    /// As the user set it.
    fill_percent: Option<f64>,
    /// How many branches the last change came by: where the leaf will be next time, most likely.
    levels: usize,
    /// Whether the entry in the parent has to be written again.
    touched: bool,
    gone: bool,
    children: BTreeMap<Box<[u8]>, u32>,
}

/// Hands out pages of the file during a commit.
pub(crate) trait Allocate {
    /// Tells that about `images` pages are about to be asked for. Only the first call counts.
    fn expect(&mut self, images: usize);

    /// A run of `pages` pages.
    fn allocate(&mut self, pages: u64) -> Result<u64>;
}

/// See the file's header.
#[derive(Debug, Default)]
pub(crate) struct Work {
    images: Vec<Option<Image>>,
    vacant: Vec<u32>,
    spare: Vec<Memory>,
    /// How much that is: every commit asks, and there may be thousands.
    spare_bytes: u64,
    open: Vec<Open>,
    /// Pages of the file that this transaction no longer uses.
    freed: Vec<Run>,
    /// Pages of the writable map that were given to this transaction and that no image has: the lowest last.
    homes: Vec<u64>,
    /// Whether an image was made in one of them.
    at_home: bool,
    /// Where the last key was put, as long as nothing else was changed since.
    finger: Finger,
    /// Leaves that are written ahead of the commit.
    early: Early,
    /// Numbered images, by page id, ready to be written.
    writes: Vec<(u64, u32)>,
    /// Numbered images that lie where they are to be.
    settled: usize,
    txid: u64,
    page_size: usize,
    /// Counts since the counters were last taken.
    pub(crate) counters: TxStats,
}

impl Work {
    /// Begins anew with the root bucket `root` open; memory is reused. `leaves_kept`: how many stay in memory while others are written ahead of
    /// the commit; `None` if all do.
    pub(crate) fn begin(
        &mut self,
        txid: u64,
        page_size: u64,
        (root, sequence): (u64, u64),
        leaves_kept: Option<usize>,
    ) {
        self.reset();
        self.early.begin(leaves_kept);
        self.txid = txid;
        self.page_size = page_size as usize;
        self.open.push(Open {
            parent: 0,
            name: Box::default(),
            root,
            sequence,
            fill_percent: None,
            levels: usize::MAX,
            touched: false,
            gone: false,
            children: BTreeMap::new(),
        });
    }

    /// Drops everything but the memory.
    pub(crate) fn reset(&mut self) {
        while let Some(image) = self.images.pop() {
            if let Some(image) = image {
                self.keep(image);
            }
        }
        self.vacant.clear();
        self.open.clear();
        self.freed.clear();
        self.homes.clear();
        self.at_home = false;
        self.finger.lift();
        self.early.end();
        self.writes.clear();
        self.settled = 0;
        self.counters = TxStats::default();
    }

    fn keep(&mut self, image: Image) {
        let (memory, home) = image.into_parts();
        if home != 0 {
            self.homes.push(home);
        }
        self.keep_memory(memory);
    }

    /// Keeps memory for other images, as long as there is not enough.
    fn keep_memory(&mut self, memory: Memory) {
        if self.spare.len() < if self.at_home { SPARE_AT_HOME } else { SPARE_IMAGES }
            && (1..=4 * self.page_size).contains(&memory.private_bytes())
        {
            self.keep_bytes(memory);
        }
    }

    fn keep_bytes(&mut self, memory: Memory) {
        self.spare_bytes += memory.private_bytes() as u64;
        self.spare.push(memory);
    }

    /// Bytes of private memory that images take, those kept for later included.
    pub(crate) fn private_bytes(&self) -> u64 {
        let images = self.images.iter().flatten().map(Image::private_bytes);
        self.spare_bytes + images.map(|bytes| bytes as u64).sum::<u64>()
    }

    pub(crate) fn txid(&self) -> u64 {
        self.txid
    }

    pub(crate) fn freed(&self) -> &[Run] {
        &self.freed
    }

    /// Whether pages that are given ahead are of use to this transaction: those of few changes are better written at the commit.
    #[inline]
    pub(crate) fn wants_homes(&self) -> bool {
        self.images.len() >= self.early.homes_from().unwrap_or(MANY_IMAGES)
    }

    /// The pages that were given to this transaction ahead and that no image has, the next one last.
    pub(crate) fn homes(&mut self) -> &mut Vec<u64> {
        &mut self.homes
    }

    // ---- pages -------------------------------------------------------------------------------------------------

    fn image(&self, id: u64) -> Result<&Image> {
        match self.images.get(slot_of(id)) {
            Some(Some(image)) if is_image(id) => Ok(image),
            _ => Err(crate::source::out_of_bounds(id, IMAGE_BIT)),
        }
    }

    fn image_mut(&mut self, id: u64) -> Result<&mut Image> {
        match self.images.get_mut(slot_of(id)) {
            Some(Some(image)) if is_image(id) => Ok(image),
            _ => Err(crate::source::out_of_bounds(id, IMAGE_BIT)),
        }
    }

    /// An image as a page, wherever it is.
    pub(crate) fn image_page<'a>(&'a self, base: &Source<'a>, id: u64) -> Result<Page<'a>> {
        let image = self.image(id)?;
        match image.written_home() {
            None => Ok(image.page(id)),
            Some(home) => base.given_page(home),
        }
    }

    #[inline]
    fn page<'a>(&'a self, base: &Source<'a>, id: u64) -> Result<Page<'a>> {
        if is_image(id) { self.image_page(base, id) } else { base.page(id) }
    }

    #[inline(always)]
    fn next_id(&self) -> u64 {
        IMAGE_BIT | self.vacant.last().map_or(self.images.len() as u64, |&slot| u64::from(slot))
    }

    /// Memory for an image that will fill a page at most, and the page it lies in or may be written to, if one was given.
    #[inline(always)]
    fn memory(&mut self, base: &Source<'_>) -> (Memory, u64) {
        if let Some(home) = self.homes.pop() {
            if let Some(room) = base.room(home) {
                self.at_home = true;
                return (Memory::home(room), home);
            }
            if self.early.is_on() {
                return (self.heap(), home);
            }
            self.homes.push(home);
        }
        (self.heap(), 0)
    }

    /// Private memory for about a page.
    #[inline(always)]
    fn heap(&mut self) -> Memory {
        let Some(memory) = self.spare.pop() else {
            return Memory::heap(self.page_size + self.page_size / 4);
        };
        self.spare_bytes -= memory.private_bytes() as u64;
        memory
    }

    #[inline(always)]
    fn add(&mut self, image: Image) -> u64 {
        let id = self.next_id();
        match self.vacant.pop() {
            Some(slot) => self.images[slot as usize] = Some(image),
            None => self.images.push(Some(image)),
        }
        self.counters.node_count += 1;
        id
    }

    fn add_empty(&mut self, kind: PageKind) -> u64 {
        let memory = self.heap();
        self.add(Image::empty((memory, 0), kind))
    }

    /// A copy of page `id` of the file, which this transaction thereby replaces; and whether `splice` was made on the way.
    fn copy_in(&mut self, base: &Source<'_>, id: u64, splice: Option<&Splice<'_>>) -> Result<(u64, bool)> {
        let page = base.page(id)?;
        let count = usize::from(page.count());
        if count > MAX_ELEMENTS {
            let (found, expected) = (count as u64, MAX_ELEMENTS as u64);
            return Err(Damage { page: id, offset: 10, rule: Rule::ElementCount, found, expected }.into());
        }
        let length = (page.bytes().len() / self.page_size) as u64;
        // In its place first: it is not moved when it is filled.
        let memory = self.memory(base);
        let new = self.add(Image::empty(memory, page.kind()));
        let image = self.image_mut(new)?;
        let spliced = match splice {
            Some(splice) => page.leaf().is_ok_and(|leaf| image.fill_spliced(&leaf, splice)),
            None => false,
        };
        if !spliced && let Err(damage) = image.fill_from(&page) {
            self.drop_image(new);
            return Err(damage.into());
        }
        self.freed.push(Run { start: id, length });
        self.early.note(slot_of(new), page.kind());
        Ok((new, spliced))
    }

    fn drop_image(&mut self, id: u64) {
        self.finger.lift();
        if let Some(image) = self.images.get_mut(slot_of(id)).and_then(Option::take) {
            self.keep(image);
            self.vacant.push(slot_of(id) as u32);
        }
    }

    fn kind_and_count(&self, base: &Source<'_>, id: u64) -> Result<(PageKind, usize)> {
        let page = self.page(base, id)?;
        Ok((page.kind(), usize::from(page.count())))
    }

    // ---- finding and editing -----------------------------------------------------------------------------------

    /// Makes the page at `level` of a path an image, if it is none, those above being images; a leaf with `splice` made on the way, where that can
    /// be done: whether it was.
    fn own(
        &mut self,
        base: &Source<'_>,
        bucket: u32,
        path: &mut Path,
        level: usize,
        splice: Option<&Splice<'_>>,
    ) -> Result<bool> {
        let id = path.page(level);
        if is_image(id) {
            return Ok(false);
        }
        let (new, spliced) = match level.checked_sub(1) {
            None => {
                let copied = self.copy_in(base, id, splice)?;
                self.open[bucket as usize].root = copied.0;
                copied
            }
            Some(above) => self.own_child(base, path.branches[above], splice)?,
        };
        path.set_page(level, new);
        // Whatever comes of the change: the bucket has another root.
        self.open[bucket as usize].touched = true;
        Ok(spliced)
    }

    /// Makes child `index` of the image `parent`, a page of the file, an image, as [`Work::copy_in`] does.
    fn own_child(
        &mut self,
        base: &Source<'_>,
        (parent, index): (u64, usize),
        splice: Option<&Splice<'_>>,
    ) -> Result<(u64, bool)> {
        let (new, spliced) = self.copy_in(base, self.image(parent)?.child(index), splice)?;
        let image = self.image(new)?;
        let differs = image.count() == 0 || image.key(0) != self.image(parent)?.key(index);
        self.image_mut(new)?.head_changed = differs;
        self.image_mut(parent)?.set_child(index, new);
        Ok((new, spliced))
    }

    /// Makes every page of a path an image and then changes its leaf. An error leaves a tree that is equal to the one before.
    fn edit(&mut self, base: &Source<'_>, bucket: u32, path: &mut Path, splice: &Splice<'_>) -> Result<()> {
        self.finger.lift();
        let leaf_level = path.branches.len();
        for level in 0..leaf_level {
            self.own(base, bucket, path, level, None)?;
        }
        let spliced = self.own(base, bucket, path, leaf_level, Some(splice))?;
        self.open[bucket as usize].touched = true;
        if !spliced {
            self.recall(base, path.leaf)?;
            let added = splice.added.map_or(0, |(key, _, value)| 16 + key.len() + value.len());
            let leaf = self.image_mut(path.leaf)?;
            if leaf.size() + added > MAX_IMAGE_BYTES {
                let given = splice.added.map_or(0, |(_, _, value)| value.len() as u64);
                return Err(Usage::ValueTooLarge { given }.into());
            }
            leaf.change(splice);
        }
        Ok(())
    }

    /// What stands at `key`: its flags.
    fn flags_of(&self, base: &Source<'_>, bucket: u32, key: &[u8]) -> Result<Option<u32>> {
        let path = self.descend(base, bucket, key)?;
        if path.found { self.flags_at(base, &path).map(Some) } else { Ok(None) }
    }

    /// Puts an element, replacing one of the same kind; [`Usage::IncompatibleValue`] if the other kind stands there.
    pub(crate) fn put(
        &mut self,
        base: &Source<'_>,
        bucket: u32,
        key: &[u8],
        flags: u32,
        value: &[u8],
    ) -> Result<()> {
        if let Some(mut path) = self.near(bucket, key)? {
            return self.put_at(base, bucket, (key, flags, value), &mut path);
        }
        let mut path = self.start(bucket);
        self.descend_to_change(base, bucket, key, &mut path, true)?;
        self.put_at(base, bucket, (key, flags, value), &mut path)
    }

    /// The same at the end of a path.
    fn put_at(
        &mut self,
        base: &Source<'_>,
        bucket: u32,
        (key, flags, value): (&[u8], u32, &[u8]),
        path: &mut Path,
    ) -> Result<()> {
        if path.found && (self.flags_at(base, path)? ^ flags) & BUCKET_FLAG != 0 {
            return Err(Usage::IncompatibleValue.into());
        }
        let splice = Splice { index: path.index, removed: path.found, added: Some((key, flags, value)) };
        self.edit(base, bucket, path, &splice)?;
        let leaf = self.image(path.leaf)?;
        if leaf.size() > self.page_size || leaf.is_full() {
            let leaf = path.leaf;
            self.relieve(base, bucket, std::mem::take(path))?;
            self.bring_home(base, leaf)?;
        } else {
            self.point(bucket, path);
        }
        Ok(())
    }

    /// Moves an image that outgrew its page of the writable map back there, if it fits again: both are in the caches now, and at the commit neither is.
    fn bring_home(&mut self, base: &Source<'_>, id: u64) -> Result<()> {
        let page_size = self.page_size;
        let image = self.image_mut(id)?;
        if let Some(room) = image.fits_home(page_size).and_then(|home| base.room(home)) {
            let memory = image.move_home(Memory::home(room));
            self.keep_memory(memory);
        }
        Ok(())
    }

    /// Asks the processor for the elements of the next image behind element `index` of a branch of branches: who walks over it looks at all of them.
    fn ask_for_next(&self, id: u64, index: usize) -> Result<()> {
        if let Some(at) = self.image(id)?.next_child(index + 1, is_image_byte) {
            self.image(self.image(id)?.child(at))?.prefetch_elements();
        }
        Ok(())
    }

    /// Deletes a plain key; a missing one is no error and changes nothing. Whether it was there.
    pub(crate) fn delete(&mut self, base: &Source<'_>, bucket: u32, key: &[u8]) -> Result<bool> {
        let mut path = self.start(bucket);
        self.descend_to_change(base, bucket, key, &mut path, false)?;
        if !path.found {
            return Ok(false);
        }
        if self.flags_at(base, &path)? & BUCKET_FLAG != 0 {
            return Err(Usage::IncompatibleValue.into());
        }
        self.remove(base, bucket, &mut path)?;
        Ok(true)
    }

    fn remove(&mut self, base: &Source<'_>, bucket: u32, path: &mut Path) -> Result<()> {
        let splice = Splice { index: path.index, removed: true, added: None };
        self.edit(base, bucket, path, &splice)?;
        self.image_mut(path.leaf)?.shrunk = true;
        Ok(())
    }

    // ---- buckets -----------------------------------------------------------------------------------------------

    /// Whether a handle is of this transaction and its bucket still there.
    pub(crate) fn check(&self, id: BucketId) -> Result<u32> {
        match self.open.get(id.index as usize) {
            Some(open) if id.txid == self.txid && !open.gone => Ok(id.index),
            _ => Err(Usage::BucketGone.into()),
        }
    }

    pub(crate) fn id(&self, index: u32) -> BucketId {
        BucketId { index, txid: self.txid }
    }

    /// The bucket `name` in `parent`, if it was opened.
    pub(crate) fn opened(&self, parent: BucketId, name: &[u8]) -> Option<BucketId> {
        let parent = self.open.get(parent.index as usize)?;
        parent.children.get(name).map(|&index| self.id(index))
    }

    /// A reading view of an opened bucket.
    pub(crate) fn view<'a>(&self, id: BucketId, source: Source<'a>) -> Bucket<'a> {
        let open = &self.open[id.index as usize];
        let header = BucketHeader { root: open.root, sequence: open.sequence };
        Bucket::new(source, Root::Page(open.root), header, Some(id))
    }

    pub(crate) fn sequence(&self, bucket: u32) -> u64 {
        self.open[bucket as usize].sequence
    }

    pub(crate) fn set_sequence(&mut self, bucket: u32, sequence: u64) {
        let open = &mut self.open[bucket as usize];
        open.sequence = sequence;
        open.touched = true;
    }

    pub(crate) fn fill_percent(&self, bucket: u32) -> f64 {
        self.open[bucket as usize].fill_percent.unwrap_or(DEFAULT_FILL_PERCENT)
    }

    pub(crate) fn set_fill_percent(&mut self, bucket: u32, fill_percent: f64) {
        self.open[bucket as usize].fill_percent = Some(fill_percent);
    }

    fn push_open(&mut self, parent: u32, name: &[u8], root: u64, sequence: u64, touched: bool) -> u32 {
        let index = self.open.len() as u32;
        self.open.push(Open {
            parent,
            name: name.into(),
            root,
            sequence,
            fill_percent: None,
            levels: usize::MAX,
            touched,
            gone: false,
            children: BTreeMap::new(),
        });
        self.open[parent as usize].children.insert(name.into(), index);
        index
    }

    /// Opens the bucket `name` in `parent`.
    pub(crate) fn open_child(&mut self, base: &Source<'_>, parent: u32, name: &[u8]) -> Result<Option<u32>> {
        if let Some(&index) = self.open[parent as usize].children.get(name) {
            return Ok(Some(index));
        }
        let path = self.descend(base, parent, name)?;
        if !path.found {
            return Ok(None);
        }
        let element = self.page(base, path.leaf)?.leaf()?.element(path.index)?;
        if !element.is_bucket() {
            return Ok(None);
        }
        let header = BucketHeader::read(element.value, path.leaf)?;
        let root = if header.root == 0 {
            // The parent's page may change under it, so an inline bucket gets an image of its own at once.
            let leaf = BucketHeader::inline_leaf(element.value, path.leaf)?;
            let mut image = Image::empty((Memory::heap(element.value.len()), 0), PageKind::Leaf);
            image.fill_from_leaf(&leaf)?;
            self.add(image)
        } else {
            header.root
        };
        Ok(Some(self.push_open(parent, name, root, header.sequence, false)))
    }

    /// Creates the bucket `name` in `parent`.
    pub(crate) fn create(&mut self, base: &Source<'_>, parent: u32, name: &[u8]) -> Result<u32> {
        match self.flags_of(base, parent, name)? {
            Some(flags) if flags & BUCKET_FLAG != 0 => return Err(Usage::BucketExists.into()),
            Some(_) => return Err(Usage::IncompatibleValue.into()),
            None => {}
        }
        let mut value = [0; BUCKET_HEADER_BYTES + PAGE_HEADER_BYTES];
        let header = PageHeader { id: 0, flags: PageKind::Leaf.flags(), count: 0, overflow: 0 };
        header.write(&mut value[BUCKET_HEADER_BYTES..]);
        self.put(base, parent, name, BUCKET_FLAG, &value)?;
        let root = self.add_empty(PageKind::Leaf);
        Ok(self.push_open(parent, name, root, 0, true))
    }

    /// Deletes the bucket `name` in `parent` with all it holds.
    pub(crate) fn delete_bucket(&mut self, base: &Source<'_>, parent: u32, name: &[u8]) -> Result<()> {
        let mut path = self.descend(base, parent, name)?;
        if !path.found {
            return Err(Usage::BucketNotFound.into());
        }
        let element = self.page(base, path.leaf)?.leaf()?.element(path.index)?;
        if !element.is_bucket() {
            return Err(Usage::IncompatibleValue.into());
        }
        let handle = self.open[parent as usize].children.get(name).copied();
        let root = match handle {
            Some(handle) => self.open[handle as usize].root,
            None => BucketHeader::read(element.value, path.leaf)?.root,
        };
        // All pages are found before the first is freed, so that damage on the way changes nothing.
        let (pages, images) = self.pages_below(base, root, handle)?;
        self.remove(base, parent, &mut path)?;
        self.freed.extend(pages);
        for image in images {
            self.drop_image(image);
        }
        if let Some(handle) = handle {
            self.open[parent as usize].children.remove(name);
            self.forget(handle);
        }
        Ok(())
    }

    /// Marks an opened bucket and those opened in it as gone.
    fn forget(&mut self, handle: u32) {
        let mut stack = vec![handle];
        while let Some(index) = stack.pop() {
            let open = &mut self.open[index as usize];
            open.gone = true;
            stack.extend(std::mem::take(&mut open.children).into_values());
        }
    }

    /// Every page and image of the tree at `root` and of the buckets in it. `root` 0: an inline bucket that was not opened.
    fn pages_below(&self, base: &Source<'_>, root: u64, handle: Option<u32>) -> Result<(Vec<Run>, Vec<u64>)> {
        let (mut pages, mut images) = (Vec::new(), Vec::new());
        let mut seen = FxHashSet::default();
        let mut stack = vec![(root, handle)];
        while let Some((id, handle)) = stack.pop() {
            if id == 0 {
                continue;
            }
            if !seen.insert(id) {
                let rule = Rule::PageShared;
                return Err(Damage { page: id, offset: 0, rule, found: id, expected: 0 }.into());
            }
            let page = self.page(base, id)?;
            if is_image(id) {
                images.push(id);
            } else {
                pages.push(Run { start: id, length: (page.bytes().len() / self.page_size) as u64 });
            }
            match page.kind() {
                PageKind::Branch => {
                    let branch = page.branch()?;
                    for index in 0..branch.count() {
                        stack.push((branch.child(index)?, handle));
                    }
                }
                PageKind::Leaf => {
                    let leaf = page.leaf()?;
                    for index in 0..leaf.count() {
                        let element = leaf.element(index)?;
                        if !element.is_bucket() {
                            continue;
                        }
                        let child = handle
                            .and_then(|handle| self.open[handle as usize].children.get(element.key).copied());
                        match child {
                            Some(child) => stack.push((self.open[child as usize].root, Some(child))),
                            None => stack.push((BucketHeader::read(element.value, id)?.root, None)),
                        }
                    }
                }
                kind => return Err(wrong_kind(id, kind)),
            }
        }
        Ok((pages, images))
    }

    /// Moves the bucket `name` from one opened bucket to another, with the changes this transaction made to it.
    pub(crate) fn move_bucket(&mut self, base: &Source<'_>, from: u32, name: &[u8], to: u32) -> Result<()> {
        match self.flags_of(base, from, name)? {
            None => return Err(Usage::BucketNotFound.into()),
            Some(flags) if flags & BUCKET_FLAG == 0 => return Err(Usage::IncompatibleValue.into()),
            Some(_) => {}
        }
        if from == to {
            return Err(Usage::SameBuckets.into());
        }
        match self.flags_of(base, to, name)? {
            Some(flags) if flags & BUCKET_FLAG != 0 => return Err(Usage::BucketExists.into()),
            Some(_) => return Err(Usage::IncompatibleValue.into()),
            None => {}
        }
        let Some(moved) = self.open_child(base, from, name)? else {
            return Err(Usage::BucketNotFound.into());
        };
        let mut above = to;
        while above != 0 {
            if above == moved {
                return Err(Usage::IntoItself.into());
            }
            above = self.open[above as usize].parent;
        }
        // The commit writes the true value; any header of the right kind holds the place.
        let stand_in = BucketHeader { root: self.open[moved as usize].root, sequence: 0 }.to_bytes();
        self.put(base, to, name, BUCKET_FLAG, &stand_in)?;
        let mut path = self.descend(base, from, name)?;
        self.remove(base, from, &mut path)?;
        self.open[from as usize].children.remove(name);
        self.open[to as usize].children.insert(name.into(), moved);
        let open = &mut self.open[moved as usize];
        open.parent = to;
        open.touched = true;
        Ok(())
    }

    // ---- commit ------------------------------------------------------------------------------------------------

    /// Merges, splits, numbers: afterwards every changed page is in the list of writes and the parents know their children. Gives the page of
    /// the root bucket.
    pub(crate) fn store(&mut self, base: &Source<'_>, pages: &mut dyn Allocate) -> Result<u64> {
        self.finger.lift();
        let mut order: Vec<(u32, u32)> = (1..self.open.len() as u32)
            .filter(|&index| !self.open[index as usize].gone)
            .map(|index| (self.depth_of(index), index))
            .collect();
        // Deepest first: a bucket's entry lies in its parent's leaf, which must be final only after.
        order.sort_unstable_by(|a, b| b.cmp(a));
        for (_, index) in order {
            if self.open[index as usize].touched {
                self.store_bucket(base, index, pages)?;
            }
        }
        self.settle_root(base, 0)?;
        let root = self.open[0].root;
        pages.expect(self.expected());
        let page = self.number(root, pages)?;
        self.open[0].root = page;
        self.writes.sort_unstable();
        Ok(page)
    }

    /// Images to be numbered: those there are, and the root bucket's leaf, which becomes one when an entry in it is written again.
    fn expected(&self) -> usize {
        self.images.len() - self.vacant.len() + usize::from(!is_image(self.open[0].root))
    }

    fn depth_of(&self, mut index: u32) -> u32 {
        let mut depth = 0;
        while index != 0 {
            index = self.open[index as usize].parent;
            depth += 1;
        }
        depth
    }

    fn store_bucket(&mut self, base: &Source<'_>, index: u32, pages: &mut dyn Allocate) -> Result<()> {
        self.settle_root(base, index)?;
        let open = &self.open[index as usize];
        let (root, sequence, parent) = (open.root, open.sequence, open.parent);
        let name = open.name.clone();
        let inline = is_image(root) && {
            let image = self.image(root)?;
            image.is_leaf() && image.size() <= self.page_size / 4 && !image.has_bucket()
        };
        if inline {
            let image = self.image_mut(root)?;
            image.seal(0, 0);
            let mut value = Vec::with_capacity(BUCKET_HEADER_BYTES + image.size());
            value.extend_from_slice(&BucketHeader { root: 0, sequence }.to_bytes());
            value.extend_from_slice(image.bytes());
            self.drop_image(root);
            return self.put(base, parent, &name, BUCKET_FLAG, &value);
        }
        pages.expect(self.expected());
        let root = self.number(root, pages)?;
        self.open[index as usize].root = root;
        let value = BucketHeader { root, sequence }.to_bytes();
        self.put(base, parent, &name, BUCKET_FLAG, &value)
    }

    /// Gives an image and the images below it their pages, children first.
    fn number(&mut self, id: u64, pages: &mut dyn Allocate) -> Result<u64> {
        let page_size = self.page_size;
        if !is_image(id) {
            return Ok(id);
        }
        let image = self.image(id)?;
        if !image.is_leaf() {
            let mut index = 0;
            while let Some(at) = self.image(id)?.next_child(index, is_image_byte) {
                let child = self.image(id)?.child(at);
                if !self.image(child)?.is_leaf() {
                    self.ask_for_next(id, at)?;
                }
                let page = self.number(child, pages)?;
                self.image_mut(id)?.set_child(at, page);
                index = at + 1;
            }
        }
        let image = self.image_mut(id)?;
        if let Some(home) = image.written_home() {
            self.settled += 1;
            self.counters.spill += 1;
            return Ok(home);
        }
        let needed = image.size().div_ceil(page_size);
        let settled = needed == 1 && image.settle_at_home();
        let home = image.take_home();
        let page = match self.homes.pop_if(|_| needed == 1 && home == 0) {
            Some(page) => page,
            None if needed == 1 && home != 0 => home,
            None => {
                self.homes.extend((home != 0).then_some(home));
                pages.allocate(needed as u64)?
            }
        };
        if settled {
            self.settled += 1;
            self.counters.spill += 1;
            return Ok(page);
        }
        self.writes.push((page, slot_of(id) as u32));
        self.counters.spill += 1;
        Ok(page)
    }
}
