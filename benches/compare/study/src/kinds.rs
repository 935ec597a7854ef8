//! Owns: the two types behind each technique, the plain one and the other, and the traits by which the work is written once for both. Never
//! does a database's work itself. Where a technique is a matter of types (lists, bytes, batches, maps) the work is compiled for each, so that no
//! configuration pays for another's branches; pools and reservations are one predictable branch.

use std::any::Any;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash};
use std::ops::{Deref, DerefMut, Range};
use std::sync::{Mutex, OnceLock};

use bolt_objects::bumpalo::collections::Vec as ArenaVec;
use bolt_objects::ready::{
    self, FxIndexMap, Maps, SerializationBufferPool, SerializationBuffers, StringBufferPool, VecBufferPool,
};
use bolt_objects::{
    ArenaPool, BatchContext, Manage, ObjectPool, PoolConfig, PoolGuard, SharedStringPool, SizeHint,
    StringPoolConfig,
};
use bytes::Bytes;
use smallvec::SmallVec;

use crate::figures::{Technique, Techniques};

/// std's own hash, with the same keys in every run: growth of a table and so the counts are the same every time.
pub type StdHash = BuildHasherDefault<DefaultHasher>;

/// Strings that a pool of names has place for, and its budget: all names of the study fit, so that none dies.
const NAMES_MAX: u32 = 16 << 10;
const NAMES_BYTES: usize = 3 << 20;
/// Shards of the pool of names in the stress run.
const NAMES_SHARDS: usize = 64;

// ---------------------------------------------------------------- small collections

/// What the work asks of a list.
pub trait List<T>: Default + Deref<Target = [T]> + DerefMut + IntoIterator<Item = T> + Extend<T> {
    /// An empty one with room for so many.
    fn with_room(room: usize) -> Self;
    /// Appends one.
    fn push(&mut self, value: T);
    /// Puts one in.
    fn insert(&mut self, at: usize, value: T);
    /// Takes one out.
    fn remove(&mut self, at: usize) -> T;
    /// Moves what begins at `at` to the end of `to`.
    fn move_tail(&mut self, at: usize, to: &mut Self);
    /// Hands all of them to `f` and keeps its memory.
    fn drain_to(&mut self, f: impl FnMut(T));
}

/// A kind of lists; `N` is how many elements lie inside the owner, where the kind can do that.
pub trait Lists: 'static {
    /// The list.
    type Of<T, const N: usize>: List<T>;
}

/// `Vec`.
pub struct OnHeap;
/// `SmallVec`.
pub struct Inside;

impl Lists for OnHeap {
    type Of<T, const N: usize> = Vec<T>;
}

impl Lists for Inside {
    type Of<T, const N: usize> = SmallVec<[T; N]>;
}

macro_rules! list {
    ([$($generic:tt)*], $list:ty) => {
        impl<T, $($generic)*> List<T> for $list {
            #[inline]
            fn with_room(room: usize) -> Self {
                Self::with_capacity(room)
            }
            #[inline]
            fn push(&mut self, value: T) {
                Self::push(self, value);
            }
            #[inline]
            fn insert(&mut self, at: usize, value: T) {
                Self::insert(self, at, value);
            }
            #[inline]
            fn remove(&mut self, at: usize) -> T {
                Self::remove(self, at)
            }
            #[inline]
            fn move_tail(&mut self, at: usize, to: &mut Self) {
                to.extend(self.drain(at..));
            }
            #[inline]
            fn drain_to(&mut self, f: impl FnMut(T)) {
                self.drain(..).for_each(f);
            }
        }
    };
}

list!([], Vec<T>);
list!([const N: usize], SmallVec<[T; N]>);

// ---------------------------------------------------------------- keys and values

/// A key or a value that is kept.
pub trait Blob: Clone + Deref<Target = [u8]> + Borrow<[u8]> + Ord + Hash + Send + Sync + 'static {
    /// What a request or a segment of the log is parsed in.
    type Frame<'a>;
    /// Receives a request: into the connection's one buffer, or into memory of its own that can be shared.
    fn receive(wire: &[u8]) -> Self::Frame<'_>;
    /// The received bytes.
    fn whole<'a>(frame: &'a Self::Frame<'_>) -> &'a [u8];
    /// A part of them, to be kept.
    fn part(frame: &Self::Frame<'_>, range: Range<usize>) -> Self;
    /// A copy that holds on to nothing else.
    fn copy_of(bytes: &[u8]) -> Self;
}

impl Blob for Vec<u8> {
    type Frame<'a> = &'a [u8];
    fn receive(wire: &[u8]) -> &[u8] {
        wire
    }
    fn whole<'a>(frame: &'a &[u8]) -> &'a [u8] {
        frame
    }
    fn part(frame: &&[u8], range: Range<usize>) -> Self {
        frame[range].to_vec()
    }
    fn copy_of(bytes: &[u8]) -> Self {
        bytes.to_vec()
    }
}

impl Blob for Bytes {
    type Frame<'a> = Self;
    fn receive(wire: &[u8]) -> Self {
        Self::copy_from_slice(wire)
    }
    fn whole(frame: &Self) -> &[u8] {
        frame
    }
    fn part(frame: &Self, range: Range<usize>) -> Self {
        frame.slice(range)
    }
    fn copy_of(bytes: &[u8]) -> Self {
        Self::copy_from_slice(bytes)
    }
}

// ---------------------------------------------------------------- what dies with a batch

/// What a list of a batch can do.
pub trait Gather<T>: Deref<Target = [T]> + DerefMut {
    /// Appends one.
    fn gather(&mut self, value: T);
}

impl<T> Gather<T> for Vec<T> {
    #[inline]
    fn gather(&mut self, value: T) {
        self.push(value);
    }
}

impl<T> Gather<T> for ArenaVec<'_, T> {
    #[inline]
    fn gather(&mut self, value: T) {
        self.push(value);
    }
}

/// Where the memory of one batch comes from.
pub trait Batch {
    /// A list that dies with the batch.
    type List<'a, T: 'a>: Gather<T>
    where
        Self: 'a;
    /// Bytes that die with the batch.
    type Text<'a>: Deref<Target = [u8]>
    where
        Self: 'a;
    /// A list with room for so many.
    fn list<'a, T: 'a>(&'a self, room: usize) -> Self::List<'a, T>;
    /// Two pieces, joined.
    fn joined<'a>(&'a self, front: &[u8], back: &[u8]) -> Self::Text<'a>;
}

/// A kind of batches.
pub trait Batches: 'static {
    /// One.
    type Of<'c>: Batch;
    /// Begins one that expects so many bytes.
    fn begin(pools: &Pools, bytes: usize) -> Self::Of<'_>;
}

/// Each thing in its own piece of heap.
pub struct Pieces;
/// All in one arena, from a pool.
pub struct InArena;

impl Batches for Pieces {
    type Of<'c> = Self;
    fn begin(_: &Pools, _: usize) -> Self {
        Self
    }
}

impl Batch for Pieces {
    type List<'a, T: 'a> = Vec<T>;
    type Text<'a> = Vec<u8>;
    fn list<'a, T: 'a>(&'a self, room: usize) -> Vec<T> {
        Vec::with_capacity(room)
    }
    fn joined(&self, front: &[u8], back: &[u8]) -> Vec<u8> {
        // Nobody would let this grow: `concat` reserves the sum.
        [front, back].concat()
    }
}

impl Batches for InArena {
    type Of<'c> = BatchContext<'c>;
    fn begin(pools: &Pools, bytes: usize) -> BatchContext<'_> {
        pools.arenas.batch(SizeHint::new().bytes(bytes))
    }
}

impl Batch for BatchContext<'_> {
    type List<'a, T: 'a>
        = ArenaVec<'a, T>
    where
        Self: 'a;
    type Text<'a>
        = &'a [u8]
    where
        Self: 'a;
    fn list<'a, T: 'a>(&'a self, room: usize) -> ArenaVec<'a, T> {
        self.vec(room)
    }
    fn joined<'a>(&'a self, front: &[u8], back: &[u8]) -> &'a [u8] {
        let mut both = self.vec(front.len() + back.len());
        both.extend_from_slice_copy(front);
        both.extend_from_slice_copy(back);
        both.into_bump_slice()
    }
}

// ---------------------------------------------------------------- write sets

/// What a transaction will write, in the order in which it first named each key. No value: the key is to go.
pub trait WriteSet<B>: Default + Send + 'static {
    /// Makes, empties and weighs it for a pool.
    type Manager: Manage<Self> + Default + Send + Sync + 'static;
    /// With room for so many.
    fn with_room(room: usize) -> Self;
    /// Makes room for so many more.
    fn make_room(&mut self, more: usize);
    /// The last write of a key wins.
    fn put(&mut self, key: B, value: Option<B>);
    /// What the transaction has written itself.
    fn read(&self, key: &[u8]) -> Option<&Option<B>>;
    /// Empties it, handing all to `f`.
    fn drain_to(&mut self, f: impl FnMut(B, Option<B>));
}

/// std's map with a list beside it, as it is done where there is no `IndexMap`: both own their key.
pub struct MapAndList<B> {
    at: HashMap<B, usize, StdHash>,
    list: Vec<(B, Option<B>)>,
}

impl<B> Default for MapAndList<B> {
    fn default() -> Self {
        Self { at: HashMap::default(), list: Vec::new() }
    }
}

impl<B: Blob> WriteSet<B> for MapAndList<B> {
    type Manager = MapAndListManager;
    fn with_room(room: usize) -> Self {
        Self {
            at: HashMap::with_capacity_and_hasher(room, StdHash::default()),
            list: Vec::with_capacity(room),
        }
    }
    fn make_room(&mut self, more: usize) {
        self.at.reserve(more);
        self.list.reserve(more);
    }
    fn put(&mut self, key: B, value: Option<B>) {
        if let Some(&at) = self.at.get(&*key) {
            self.list[at].1 = value;
        } else {
            self.at.insert(key.clone(), self.list.len());
            self.list.push((key, value));
        }
    }
    fn read(&self, key: &[u8]) -> Option<&Option<B>> {
        self.at.get(key).map(|&at| &self.list[at].1)
    }
    fn drain_to(&mut self, mut f: impl FnMut(B, Option<B>)) {
        self.at.clear();
        self.list.drain(..).for_each(|(key, value)| f(key, value));
    }
}

/// As the ready pools handle their maps: 16 entries at first.
#[derive(Default)]
pub struct MapAndListManager;

impl<B: Blob> Manage<MapAndList<B>> for MapAndListManager {
    fn create(&self) -> MapAndList<B> {
        MapAndList::with_room(ready::MAP_ENTRIES)
    }
    fn reset(&self, writes: &mut MapAndList<B>) {
        writes.at.clear();
        writes.list.clear();
    }
    fn bytes(&self, writes: &MapAndList<B>) -> usize {
        writes.at.capacity() * (size_of::<(B, usize)>() + 1)
            + writes.list.capacity() * size_of::<(B, Option<B>)>()
    }
}

impl<B: Blob> WriteSet<B> for FxIndexMap<B, Option<B>> {
    type Manager = Maps;
    fn with_room(room: usize) -> Self {
        Self::with_capacity_and_hasher(room, Default::default())
    }
    fn make_room(&mut self, more: usize) {
        self.reserve(more);
    }
    fn put(&mut self, key: B, value: Option<B>) {
        self.insert(key, value);
    }
    fn read(&self, key: &[u8]) -> Option<&Option<B>> {
        self.get(key)
    }
    fn drain_to(&mut self, mut f: impl FnMut(B, Option<B>)) {
        self.drain(..).for_each(|(key, value)| f(key, value));
    }
}

// ---------------------------------------------------------------- pools

/// A thing that is used for a moment: a fresh one, or one that goes back to its pool.
pub enum Lent<'c, T: Send + 'static, M: Manage<T>> {
    /// Freed when dropped.
    Fresh(T),
    /// Back to its pool when dropped.
    Pooled(PoolGuard<'c, T, M>),
}

impl<T: Send + 'static, M: Manage<T>> Deref for Lent<'_, T, M> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        match self {
            Self::Fresh(object) => object,
            Self::Pooled(guard) => guard,
        }
    }
}

impl<T: Send + 'static, M: Manage<T>> DerefMut for Lent<'_, T, M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match self {
            Self::Fresh(object) => object,
            Self::Pooled(guard) => guard,
        }
    }
}

/// A buffer of a log record.
pub type RecordBuffer<'c> = Lent<'c, Vec<u8>, SerializationBuffers>;

/// All pools of one run, shared by its threads.
pub struct Pools {
    /// 1 KiB byte vectors.
    pub vectors: VecBufferPool,
    /// 256 B strings.
    pub texts: StringBufferPool,
    /// 4 KiB buffers of the log.
    pub records: SerializationBufferPool,
    /// Arenas of batches.
    pub arenas: ArenaPool,
    /// The pool of write sets; its type is the configuration's.
    writes: OnceLock<Box<dyn Any + Send + Sync>>,
    names: OnceLock<SharedStringPool>,
}

impl Pools {
    /// Pools that hold nothing yet.
    pub fn new() -> Self {
        const MEMORY: &str = "memory for the slots of a pool";
        Self {
            vectors: ready::vec_buffers().expect(MEMORY),
            texts: ready::string_buffers().expect(MEMORY),
            records: ready::serialization_buffers().expect(MEMORY),
            arenas: ArenaPool::new().expect(MEMORY),
            writes: OnceLock::new(),
            names: OnceLock::new(),
        }
    }

    /// The pool of write sets.
    pub fn writes<B: Blob, W: WriteSet<B>>(&self) -> &ObjectPool<W, W::Manager> {
        let any = self.writes.get_or_init(|| {
            let config = PoolConfig::new().object_bytes_max(64 << 10);
            Box::new(
                ObjectPool::<W, _>::managed(W::Manager::default(), config)
                    .expect("memory for the slots of a pool"),
            )
        });
        any.downcast_ref().expect("one kind of write set a run")
    }

    /// The pool of names that threads share.
    pub fn names(&self) -> &SharedStringPool {
        self.names.get_or_init(|| {
            SharedStringPool::new(names_config(), NAMES_SHARDS).expect("the budget has place for its strings")
        })
    }
}

impl Default for Pools {
    fn default() -> Self {
        Self::new()
    }
}

/// The budget of a pool of names.
pub fn names_config() -> StringPoolConfig {
    StringPoolConfig::new(NAMES_BYTES).strings_max(NAMES_MAX)
}

/// What all threads of a run share.
pub struct Common<'c> {
    /// What is on.
    pub on: Techniques,
    /// Whether several threads run: names are then shared between them.
    pub many_threads: bool,
    /// The pools, used as far as `on` says.
    pub pools: &'c Pools,
    /// Records that wait for one thread to write them.
    pub log: Mutex<Vec<RecordBuffer<'c>>>,
}

impl<'c> Common<'c> {
    /// For one run.
    pub fn new(on: Techniques, many_threads: bool, pools: &'c Pools) -> Self {
        Self { on, many_threads, pools, log: Mutex::new(Vec::new()) }
    }

    /// `room` where reservations are on, else none.
    #[inline]
    pub fn room(&self, room: usize) -> usize {
        if self.on.has(Technique::Presize) { room } else { 0 }
    }

    /// A buffer for one record of the log.
    pub fn record(&self, bytes: usize) -> RecordBuffer<'c> {
        let room = self.room(bytes);
        if self.on.has(Technique::Pools) {
            let mut buffer = self.pools.records.get();
            buffer.reserve(room);
            Lent::Pooled(buffer)
        } else {
            Lent::Fresh(Vec::with_capacity(room))
        }
    }

    /// Bytes for a moment; whoever needs them reserves.
    pub fn vector(&self) -> Lent<'c, Vec<u8>, ready::VecBuffers> {
        if self.on.has(Technique::Pools) {
            Lent::Pooled(self.pools.vectors.get())
        } else {
            Lent::Fresh(Vec::new())
        }
    }

    /// Text for a moment.
    pub fn text(&self, bytes: usize) -> Lent<'c, String, ready::StringBuffers> {
        if self.on.has(Technique::Pools) {
            Lent::Pooled(self.pools.texts.get())
        } else {
            Lent::Fresh(String::with_capacity(self.room(bytes)))
        }
    }

    /// A write set for one transaction.
    pub fn write_set<B: Blob, W: WriteSet<B>>(&self, entries: usize) -> Lent<'c, W, W::Manager> {
        let room = self.room(entries);
        if self.on.has(Technique::Pools) {
            let mut writes = self.pools.writes::<B, W>().get();
            writes.make_room(room);
            Lent::Pooled(writes)
        } else {
            Lent::Fresh(W::with_room(room))
        }
    }
}
