//! Write transactions: the handles through which buckets are changed, and the commit.
//!
//! Owns [`WriteTx`], [`BucketMut`], [`CursorMut`] and the order of a commit: changed pages, one barrier, the meta page, one barrier. Never overwrites a
//! page that the current or an open older state uses. Limits: one handle borrows the transaction at a time; [`BucketId`] is how to
//! come back to another bucket. What the disk holds after a failed barrier is not known, so the writer is then closed until reopen.

use std::borrow::Cow;
use std::io::{self, IoSlice};
use std::time::Instant;

use crate::bucket::{Bucket, Entry};
use crate::check::{CheckOptions, Severity, check_meta};
use crate::cursor::Cursor;
use crate::db::{Published, Writer, grow};
use crate::error::{Error, Result, Usage};
use crate::free::Run;
use crate::homes::Homes;
use crate::io::Storage;
use crate::page::{META_PAGE_BYTES, Meta, NO_FREELIST};
use crate::places::Pages;
use crate::raw_file::{RawBytes, RawFile};
use crate::source::Source;
use crate::tx::{Core, root_id};
use crate::work::{BucketId, Work};
use crate::{MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_VALUE_BYTES};

/// The write transaction. Dropping it without a commit rolls it back.
///
/// It sees its own changes; nobody else does until the commit. `Send`.
pub struct WriteTx<'db> {
    core: Core<'db>,
    /// Taken when the transaction ends.
    writer: Option<Box<Writer>>,
    /// An error left the transaction in a state that must not be committed.
    failed: bool,
}

impl<'db> WriteTx<'db> {
    pub(crate) fn new(core: Core<'db>, writer: Box<Writer>) -> Self {
        Self { core, writer: Some(writer), failed: false }
    }

    fn work(&self) -> &Work {
        &self.writer.as_ref().expect("the writer is here until the transaction ends").work
    }

    /// Runs an edit; an error that is not the caller's makes the transaction useless.
    fn edit<T>(&mut self, edit: impl FnOnce(&mut Work, &Source<'_>) -> Result<T>) -> Result<T> {
        if self.failed {
            return Err(Usage::TransactionFailed.into());
        }
        let writer = self.writer.as_mut().expect("the writer is here until the transaction ends");
        if writer.work.wants_homes() && writer.homes.runs_low(writer.work.homes().len()) {
            self.core.give_homes(writer);
        }
        // The result is made anew on each way: one moved as a whole would be read in larger parts than it was written in, which a processor can only
        // after all stores before, those to cold pages included.
        match edit(&mut writer.work, &self.core.source(None)) {
            Ok(value) => {
                if writer.work.has_cooled() {
                    self.core.write_early(&mut writer.work);
                }
                Ok(value)
            }
            Err(error) => {
                self.failed = !matches!(error, Error::Usage(_));
                Err(error)
            }
        }
    }

    /// The id this transaction will have when it is committed.
    pub fn txid(&self) -> u64 {
        self.work().txid()
    }

    /// Bytes of the database as it was when this transaction began: high-water mark times page size.
    pub fn size(&self) -> u64 {
        self.core.bytes()
    }

    /// The meta this transaction began from.
    pub fn meta(&self) -> Meta {
        self.core.meta
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u32 {
        self.core.meta.page_size
    }

    /// A reading view of the root bucket, this transaction's changes included.
    pub fn root(&self) -> Bucket<'_> {
        let work = self.work();
        work.view(root_id(work.txid()), self.core.source(Some(work)))
    }

    /// A reading view of the top-level bucket `name`; `None` if there is none.
    ///
    /// # Errors
    /// Damage on the way to it, or a failed read.
    pub fn bucket(&self, name: &[u8]) -> Result<Option<Bucket<'_>>> {
        self.root().bucket(name)
    }

    /// The root bucket, to be changed: top-level buckets are created and deleted here.
    pub fn root_mut(&mut self) -> BucketMut<'_, 'db> {
        BucketMut { tx: self, index: 0 }
    }

    /// The top-level bucket `name`, to be changed.
    ///
    /// # Errors
    /// [`Usage::BucketNotFound`]; damage, or a failed read.
    pub fn bucket_mut(&mut self, name: &[u8]) -> Result<BucketMut<'_, 'db>> {
        self.root_mut().into_bucket(name)
    }

    /// Creates the top-level bucket `name`.
    ///
    /// # Errors
    /// As [`BucketMut::create_bucket`].
    pub fn create_bucket(&mut self, name: &[u8]) -> Result<BucketMut<'_, 'db>> {
        let index = self.root_mut().create(name)?;
        Ok(BucketMut { tx: self, index })
    }

    /// Opens the top-level bucket `name`, creating it if it is missing.
    ///
    /// # Errors
    /// As [`BucketMut::create_bucket_if_not_exists`].
    pub fn create_bucket_if_not_exists(&mut self, name: &[u8]) -> Result<BucketMut<'_, 'db>> {
        let index = self.root_mut().create_if_not_exists(name)?;
        Ok(BucketMut { tx: self, index })
    }

    /// Deletes the top-level bucket `name` with all it holds.
    ///
    /// # Errors
    /// As [`BucketMut::delete_bucket`].
    pub fn delete_bucket(&mut self, name: &[u8]) -> Result<()> {
        self.root_mut().delete_bucket(name)
    }

    /// Opens the bucket at `path`, names from the top; the empty path is the root.
    ///
    /// # Errors
    /// [`Usage::BucketNotFound`]; damage, or a failed read.
    pub fn open_bucket(&mut self, path: &[&[u8]]) -> Result<BucketId> {
        let mut bucket = self.root_mut();
        for name in path {
            bucket = bucket.into_bucket(name)?;
        }
        Ok(bucket.id())
    }

    /// The opened bucket behind a handle.
    ///
    /// # Errors
    /// [`Usage::BucketGone`] if it was deleted or is another transaction's.
    pub fn at(&mut self, id: BucketId) -> Result<BucketMut<'_, 'db>> {
        let index = self.work().check(id)?;
        Ok(BucketMut { tx: self, index })
    }

    /// A reading view of the opened bucket behind a handle.
    ///
    /// # Errors
    /// As [`WriteTx::at`].
    pub fn view(&self, id: BucketId) -> Result<Bucket<'_>> {
        let work = self.work();
        work.check(id)?;
        Ok(work.view(id, self.core.source(Some(work))))
    }

    /// Moves the bucket `name` from bucket `from` to bucket `to`, with all it holds and all that this transaction changed in it.
    ///
    /// # Errors
    /// In this order: [`Usage::BucketNotFound`], [`Usage::IncompatibleValue`] (a plain key), [`Usage::SameBuckets`], [`Usage::BucketExists`],
    /// [`Usage::IncompatibleValue`] (a plain key in the target), [`Usage::IntoItself`].
    pub fn move_bucket(&mut self, from: BucketId, name: &[u8], to: BucketId) -> Result<()> {
        let (from, to) = (self.work().check(from)?, self.work().check(to)?);
        self.edit(|work, base| work.move_bucket(base, from, name, to))
    }

    /// The first damage that a `get` of this transaction met and could not tell of.
    pub fn fault(&self) -> Option<Error> {
        self.core.fault.get().cloned()
    }

    /// Gives up all changes.
    pub fn rollback(self) {
        drop(self);
    }

    /// Makes all changes durable and visible to transactions that begin later.
    ///
    /// Cost: one write a changed page, two waits for the disk, no matter how many changes.
    ///
    /// # Errors
    /// Whatever the error, nothing acknowledged before is lost. [`Usage::MaxSizeReached`], a full disk or damage leave the database as it was and
    /// usable. If a wait for the disk failed, nobody knows which state the disk holds: all later write transactions get
    /// [`Error::Poisoned`] until the database is reopened, which shows one state or the other, whole.
    pub fn commit(mut self) -> Result<()> {
        if self.failed {
            return Err(Usage::TransactionFailed.into());
        }
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        let mut writer = self.writer.take().expect("the writer is here until the transaction ends");
        let result = Commit::new(&self.core, &mut writer).run();
        let poison = matches!(result, Err((_, true)));
        self.core.db.give_writer(writer, poison);
        result.map_err(|(error, _)| error)
    }
}

impl Drop for WriteTx<'_> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.core.db.give_writer(writer, false);
        }
    }
}

impl std::fmt::Debug for WriteTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteTx").field("txid", &(self.core.meta.txid + 1)).finish_non_exhaustive()
    }
}

// ---- buckets -------------------------------------------------------------------------------------------------------

/// A bucket that can be changed. It borrows the transaction, so there is one at a time; [`BucketMut::id`] is a handle to come back by.
pub struct BucketMut<'a, 'db> {
    tx: &'a mut WriteTx<'db>,
    index: u32,
}

fn check_name(name: &[u8]) -> Result<()> {
    if name.is_empty() {
        return Err(Usage::BucketNameRequired.into());
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(Usage::BucketNameTooLarge { given: name.len() as u64 }.into());
    }
    Ok(())
}

impl<'a, 'db> BucketMut<'a, 'db> {
    /// A handle that outlives this borrow.
    pub fn id(&self) -> BucketId {
        self.tx.work().id(self.index)
    }

    /// A reading view: cursors, ranges, nested buckets.
    pub fn as_bucket(&self) -> Bucket<'_> {
        let work = self.tx.work();
        work.view(work.id(self.index), self.tx.core.source(Some(work)))
    }

    /// The value at `key`, as [`Bucket::get`].
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.as_bucket().get(key)
    }

    /// Stores `value` at `key`, replacing what stands there. Both are copied.
    ///
    /// # Errors
    /// In this order: [`Usage::KeyRequired`], [`Usage::KeyTooLarge`], [`Usage::ValueTooLarge`], [`Usage::IncompatibleValue`] (a bucket stands there).
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if key.is_empty() {
            return Err(Usage::KeyRequired.into());
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(Usage::KeyTooLarge { given: key.len() as u64 }.into());
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(Usage::ValueTooLarge { given: value.len() as u64 }.into());
        }
        let index = self.index;
        self.tx.edit(|work, base| work.put(base, index, key, 0, value))
    }

    /// Deletes `key`; a missing one is no error and changes nothing.
    ///
    /// # Errors
    /// [`Usage::IncompatibleValue`] if a bucket stands there.
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        let index = self.index;
        self.tx.edit(|work, base| work.delete(base, index, key).map(drop))
    }

    /// The bucket `name` in this one, to be changed.
    ///
    /// # Errors
    /// [`Usage::BucketNotFound`]; damage, or a failed read.
    pub fn bucket_mut(&mut self, name: &[u8]) -> Result<BucketMut<'_, 'db>> {
        let index = self.open(name)?;
        Ok(BucketMut { tx: self.tx, index })
    }

    /// As [`BucketMut::bucket_mut`], going down for good: for walking a path.
    ///
    /// # Errors
    /// As [`BucketMut::bucket_mut`].
    pub fn into_bucket(mut self, name: &[u8]) -> Result<Self> {
        let index = self.open(name)?;
        Ok(Self { tx: self.tx, index })
    }

    fn open(&mut self, name: &[u8]) -> Result<u32> {
        let index = self.index;
        self.tx.edit(|work, base| {
            work.open_child(base, index, name)?.ok_or_else(|| Usage::BucketNotFound.into())
        })
    }

    fn create(&mut self, name: &[u8]) -> Result<u32> {
        check_name(name)?;
        let index = self.index;
        self.tx.edit(|work, base| work.create(base, index, name))
    }

    fn create_if_not_exists(&mut self, name: &[u8]) -> Result<u32> {
        match self.create(name) {
            Err(Error::Usage(Usage::BucketExists)) => self.open(name),
            result => result,
        }
    }

    /// Creates the bucket `name` in this one.
    ///
    /// # Errors
    /// In this order: [`Usage::BucketNameRequired`], [`Usage::BucketExists`], [`Usage::IncompatibleValue`] (a plain key stands there).
    pub fn create_bucket(&mut self, name: &[u8]) -> Result<BucketMut<'_, 'db>> {
        let index = self.create(name)?;
        Ok(BucketMut { tx: self.tx, index })
    }

    /// Opens the bucket `name` in this one, creating it if it is missing.
    ///
    /// # Errors
    /// [`Usage::BucketNameRequired`], [`Usage::IncompatibleValue`] (a plain key stands there).
    pub fn create_bucket_if_not_exists(&mut self, name: &[u8]) -> Result<BucketMut<'_, 'db>> {
        let index = self.create_if_not_exists(name)?;
        Ok(BucketMut { tx: self.tx, index })
    }

    /// Deletes the bucket `name` in this one with all it holds.
    ///
    /// # Errors
    /// [`Usage::BucketNotFound`], [`Usage::IncompatibleValue`] (a plain key). Damage in what it holds leaves everything as it was.
    pub fn delete_bucket(&mut self, name: &[u8]) -> Result<()> {
        let index = self.index;
        self.tx.edit(|work, base| work.delete_bucket(base, index, name))
    }

    /// The bucket's sequence.
    pub fn sequence(&self) -> u64 {
        self.tx.work().sequence(self.index)
    }

    /// Sets the bucket's sequence.
    ///
    /// # Errors
    /// [`Usage::TransactionFailed`] after an earlier error.
    pub fn set_sequence(&mut self, sequence: u64) -> Result<()> {
        let index = self.index;
        self.tx.edit(|work, _| {
            work.set_sequence(index, sequence);
            Ok(())
        })
    }

    /// Adds one to the sequence and gives it; after 2^64 − 1 comes 0.
    ///
    /// # Errors
    /// As [`BucketMut::set_sequence`].
    pub fn next_sequence(&mut self) -> Result<u64> {
        let next = self.sequence().wrapping_add(1);
        self.set_sequence(next)?;
        Ok(next)
    }

    /// How full pages are left when they are split: 0.5 at first, though overfull pages are shared with a neighbour before, and keys that arrive in order leave
    /// full ones. Good for this transaction.
    pub fn fill_percent(&self) -> f64 {
        self.tx.work().fill_percent(self.index)
    }

    /// Sets [`BucketMut::fill_percent`]: from then on every overfull page is split, its left part filled so far: 1.0 for keys that arrive in order, 0.5 and less
    /// where others will come between them. Splitting clamps it to 0.1 … 1.0, as bbolt does.
    pub fn set_fill_percent(&mut self, fill_percent: f64) {
        let index = self.index;
        if let Some(writer) = &mut self.tx.writer {
            writer.work.set_fill_percent(index, fill_percent);
        }
    }

    /// A cursor that may delete, standing nowhere yet.
    pub fn cursor(&mut self) -> CursorMut<'_, 'db> {
        self.cursor_at(CursorState::default())
    }

    /// A cursor that stands where another stood when it was taken apart by [`CursorMut::into_state`].
    pub fn cursor_at(&mut self, state: CursorState) -> CursorMut<'_, 'db> {
        CursorMut { tx: self.tx, index: self.index, state }
    }
}

impl std::fmt::Debug for BucketMut<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketMut").field("id", &self.id()).finish_non_exhaustive()
    }
}

// ---- cursors that may delete ---------------------------------------------------------------------------------------

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    #[default]
    Nowhere,
    /// On the key, if it is still there; else between its neighbours.
    Key,
    End,
}

/// Where a [`CursorMut`] stands, without its transaction: by key, so it stays true whatever is changed meanwhile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CursorState {
    key: Vec<u8>,
    at: At,
}

/// A cursor in a write transaction. It moves as [`Cursor`] does, over the transaction's own changes, and may delete what it stands on; `next` then
/// gives the entry after the deleted one and `prev` the one before, whatever was changed in between.
///
/// Cost: it stands on a key and not on a page, so each move and each deletion is one descent from the root.
pub struct CursorMut<'a, 'db> {
    tx: &'a mut WriteTx<'db>,
    index: u32,
    state: CursorState,
}

impl CursorMut<'_, '_> {
    fn go<'s>(
        &'s mut self,
        missing: Option<At>,
        place: impl FnOnce(&mut Cursor<'s>, &CursorState) -> Result<Option<Entry<'s>>>,
    ) -> Result<Option<Entry<'s>>> {
        let work = self.tx.work();
        let bucket = work.view(work.id(self.index), self.tx.core.source(Some(work)));
        let entry = place(&mut bucket.cursor(), &self.state)?;
        match (entry, missing) {
            (Some(entry), _) => {
                self.state.at = At::Key;
                self.state.key.clear();
                self.state.key.extend_from_slice(entry.key);
            }
            (None, Some(at)) => self.state.at = at,
            (None, None) => {}
        }
        Ok(entry)
    }

    /// As [`Cursor::first`].
    ///
    /// # Errors
    /// Damage on the way, or a failed read.
    pub fn first(&mut self) -> Result<Option<Entry<'_>>> {
        self.go(Some(At::Nowhere), |cursor, _| cursor.first())
    }

    /// As [`Cursor::last`].
    ///
    /// # Errors
    /// As [`CursorMut::first`].
    pub fn last(&mut self) -> Result<Option<Entry<'_>>> {
        self.go(Some(At::Nowhere), |cursor, _| cursor.last())
    }

    /// As [`Cursor::seek`].
    ///
    /// # Errors
    /// As [`CursorMut::first`].
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<Entry<'_>>> {
        self.go(Some(At::End), |cursor, _| cursor.seek(key))
    }

    /// As [`Cursor::next`].
    ///
    /// # Errors
    /// As [`CursorMut::first`].
    #[expect(clippy::should_implement_trait, reason = "bbolt's name; what it lends borrows the cursor")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        self.go(None, |cursor, state| {
            if state.at != At::Key {
                return Ok(None);
            }
            match cursor.seek(&state.key)? {
                Some(entry) if entry.key == state.key => cursor.next(),
                // What it stood on is gone; the one behind it comes next.
                other => Ok(other),
            }
        })
    }

    /// As [`Cursor::prev`].
    ///
    /// # Errors
    /// As [`CursorMut::first`].
    pub fn prev(&mut self) -> Result<Option<Entry<'_>>> {
        self.go(None, |cursor, state| match state.at {
            At::Nowhere => Ok(None),
            At::End => cursor.last(),
            At::Key => {
                cursor.seek(&state.key)?;
                cursor.prev()
            }
        })
    }

    /// The entry it stands on, if it is still there.
    ///
    /// # Errors
    /// As [`CursorMut::first`].
    pub fn current(&self) -> Result<Option<Entry<'_>>> {
        if self.state.at != At::Key {
            return Ok(None);
        }
        let work = self.tx.work();
        work.view(work.id(self.index), self.tx.core.source(Some(work))).entry(&self.state.key)
    }

    /// Deletes the entry it stands on.
    ///
    /// # Errors
    /// [`Usage::NoEntry`] if it stands on none, [`Usage::IncompatibleValue`] on a bucket.
    pub fn delete(&mut self) -> Result<()> {
        let CursorState { key, at: At::Key } = &self.state else { return Err(Usage::NoEntry.into()) };
        let index = self.index;
        self.tx.edit(|work, base| match work.delete(base, index, key)? {
            true => Ok(()),
            false => Err(Usage::NoEntry.into()),
        })
    }

    /// The position without the borrow of the transaction.
    pub fn into_state(self) -> CursorState {
        self.state
    }
}

impl std::fmt::Debug for CursorMut<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CursorMut").field("state", &self.state).finish_non_exhaustive()
    }
}

// ---- commit --------------------------------------------------------------------------------------------------------

/// Runs for which room is kept from one commit to the next.
const RUNS_KEPT: usize = 4096;

/// Memory of the writer that commits write from.
struct Buffers<'a> {
    meta_page: &'a mut [u8],
    freelist: &'a mut Vec<u8>,
}

/// One commit, step by step. Until the meta page is written every failure is undone; from then on it poisons.
struct Commit<'a, 'db> {
    core: &'a Core<'db>,
    writer: &'a mut Writer,
}

impl<'a, 'db> Commit<'a, 'db> {
    fn new(core: &'a Core<'db>, writer: &'a mut Writer) -> Self {
        Self { core, writer }
    }

    /// The flag of an error: whether the writer is poisoned by it.
    fn run(self) -> Result<(), (Error, bool)> {
        let Self { core, writer } = self;
        let Writer { free, work, homes, file_bytes, meta_page, buffer, taken, fresh, listed, .. } = writer;
        let db = &*core.db;
        for runs in [&mut *taken, fresh, listed] {
            runs.clear();
            runs.shrink_to(RUNS_KEPT);
        }
        let Some(free) = free.as_mut() else { return Err((Usage::FreePagesNotLoaded.into(), false)) };
        let mut pages = Pages::new(free, homes.high_water(), db.page_size, &db.options, taken, fresh);
        meta_page.resize(db.page_size as usize, 0);
        let buffers = Buffers { meta_page, freelist: buffer };
        let result = Self::write_all(core, work, homes, &mut pages, listed, file_bytes, buffers);
        pages.end(result.is_ok());
        let published = match result {
            Ok(published) => published,
            Err((error, poison)) => {
                for run in listed.drain(..) {
                    free.unlist(run);
                }
                for run in taken.drain(..) {
                    free.untake(run);
                }
                free.listed.forget_all();
                return Err((error, poison));
            }
        };
        let readers = db.readers.publish(published.meta.txid, published);
        let used = taken.drain(..).chain(fresh.drain(..));
        free.commit(published.meta.txid, listed.drain(..), used, readers);
        Ok(())
    }

    /// Everything up to the second barrier.
    fn write_all(
        core: &Core<'_>,
        work: &mut Work,
        homes: &mut Homes,
        pages: &mut Pages<'_>,
        listed: &mut Vec<Run>,
        file_bytes: &mut u64,
        buffers: Buffers<'_>,
    ) -> Result<Published, (Error, bool)> {
        let undo = |error| (error, false);
        let db = &*core.db;
        let source = core.source(None);
        let started = Instant::now();
        let root = work.store(&source, pages).map_err(undo)?;
        let settled = Instant::now();
        work.counters.rebalance_time += settled - started;
        let Pages { free, high_water, taken, fresh, .. } = &mut *pages;
        homes
            .settle(free, work.homes(), high_water, taken, fresh, listed)
            .map_err(|damage| undo(damage.into()))?;

        // The pages this transaction no longer uses, those of the old freelist among them, are listed as free by the new one.
        for &run in work.freed() {
            pages.free.list(run).map_err(|damage| undo(damage.into()))?;
            listed.push(run);
        }
        if core.meta.freelist != NO_FREELIST {
            let old = source.page(core.meta.freelist).map_err(undo)?;
            let run = Run { start: core.meta.freelist, length: old.bytes().len() as u64 / db.page_size };
            pages.free.list(run).map_err(|damage| undo(damage.into()))?;
            listed.push(run);
        }
        let list = match db.options.no_freelist_sync {
            true => None,
            false => Some(pages.allocate_list().map_err(undo)?),
        };

        let needed = pages.high_water * db.page_size;
        let (_, current) = db.readers.current();
        let stored = current.map.is_some_and(|map| db.maps.get(map).is_writable());
        grow(&*db.storage, &db.options, needed, file_bytes, stored).map_err(undo)?;
        // Where pages are stored into the mapping it has to reach that far before; elsewhere after, since writes may lengthen the file.
        let store_to = db.map_for(current.map.filter(|_| stored), *file_bytes).map_err(undo)?;
        let store_to = store_to.map(|map| db.maps.get(map));
        work.counters.page_count += (pages.taken.len() + pages.fresh.len()) as u64;
        let all = pages.taken.iter().chain(&*pages.fresh);
        work.counters.page_alloc += all.map(|run| run.length * db.page_size).sum::<u64>();

        let write_at = |offset: u64, bytes: &[u8]| {
            if store_to.is_some_and(|map| map.store(offset, bytes)) {
                return Ok(());
            }
            db.storage.write_at(offset, bytes).map_err(|error| Error::io("write", offset, error))
        };
        let write = |first: u64, pieces: &[IoSlice<'_>]| {
            let mut page = first;
            for piece in pieces {
                if let Some(digests) = &db.digests {
                    digests.forget(page);
                }
                if store_to.is_some() {
                    write_at(page * db.page_size, piece)?;
                }
                page += piece.len() as u64 / db.page_size;
            }
            if store_to.is_some() {
                return Ok(());
            }
            let offset = first * db.page_size;
            db.storage.write_all_at(offset, pieces).map_err(|error| Error::io("write", offset, error))
        };
        work.for_each_write(&source, &write).map_err(undo)?;
        let mut writes = work.write_count() as u64;
        if let Some(run) = list {
            writes += pages.free.listed.write(run, db.page_size, buffers.freelist, write_at).map_err(undo)?;
        }
        // What was just written must be visible to the readers of the new state.
        *file_bytes = (*file_bytes).max(needed);
        let map = db.map_for(current.map, *file_bytes).map_err(undo)?;

        if !db.options.no_sync {
            // The file may have outgrown the mapping in which pages were edited.
            let edited = current.map.map(|map| db.maps.get(map));
            for map in edited.into_iter().chain(store_to) {
                map.flush().map_err(|error| (Error::io("sync", 0, error), true))?;
            }
            db.storage.sync().map_err(|error| (Error::io("sync", 0, error), true))?;
        }
        let freelist = list.map_or(NO_FREELIST, |run| run.start);
        let meta = Meta { root, freelist, high_water: pages.high_water, txid: work.txid(), ..core.meta };
        let page = meta.txid % 2;
        if db.options.strict_mode {
            verify(&*db.storage, meta).map_err(undo)?;
        }
        // Behind these bytes stand zeros, always.
        meta.write(page, &mut buffers.meta_page[..META_PAGE_BYTES]);
        let offset = page * db.page_size;
        let written = if db.options.no_sync {
            db.storage.write_at(offset, buffers.meta_page)
        } else {
            db.storage.write_durable(offset, buffers.meta_page)
        };
        written.map_err(|error| (Error::io("write meta", offset, error), true))?;
        work.counters.write += writes + 1;
        work.counters.write_time += settled.elapsed();
        Ok(Published { meta, map })
    }
}

/// The strict check of the state that `meta` is about to make current: what strict mode is.
fn verify(storage: &dyn Storage, meta: Meta) -> Result<()> {
    let bytes = Stored(storage);
    let file = RawFile::new(&bytes)?;
    let report = check_meta(&file, meta, meta.txid % 2, &CheckOptions::default())?;
    let error = report.findings.iter().find(|finding| finding.severity == Severity::Error);
    error.map_or(Ok(()), |finding| Err(finding.damage.into()))
}

/// A storage as the check reads it.
struct Stored<'a>(&'a dyn Storage);

impl RawBytes for Stored<'_> {
    fn length(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn bytes(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        // Room is made for what the file has, whatever is asked for.
        let there = self.0.len()?.saturating_sub(offset);
        if (length as u64) > there {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; length];
        match self.0.read_at(offset, &mut bytes)? {
            read if read == length => Ok(Cow::Owned(bytes)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
