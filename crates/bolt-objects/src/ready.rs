//! Owns: the pools that most programs want, ready-made: byte vectors, strings, serialization buffers, maps. Never global: each function
//! makes a pool for you to own; the `with_…` functions use one of the calling thread. Limits: the sizes below.

use std::string::String;
use std::vec::Vec;

use crate::config::PoolConfig;
use crate::manage::Manage;
use crate::pool::{ObjectPool, PoolError};
use crate::thread::with_thread_object;

/// First capacity of a pooled byte vector: a key with its value, a request line with its headers; a quarter of a page.
pub const VEC_BUFFER_BYTES: usize = 1024;
/// First capacity of a pooled string: a path, an identifier, a line of a log; longer ones are rare and grow once.
pub const STRING_BUFFER_BYTES: usize = 256;
/// First capacity of a pooled serialization buffer: a page of the system, what a log entry or a table block is written in.
pub const SERIALIZATION_BUFFER_BYTES: usize = 4096;
/// First capacity of a pooled map: the write set of a small transaction.
pub const MAP_ENTRIES: usize = 16;
/// A buffer that has grown beyond this many times its first capacity is not kept: it served an exception.
pub const GROWTH_KEPT: usize = 64;

/// What clears, measures and remakes a kind of buffer.
macro_rules! buffers {
    ($(#[$doc:meta])* $name:ident, $object:ty, $bytes:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name;

        impl Manage<$object> for $name {
            #[inline]
            fn create(&self) -> $object {
                <$object>::with_capacity($bytes)
            }

            #[inline]
            fn reset(&self, buffer: &mut $object) {
                buffer.clear();
            }

            #[inline]
            fn bytes(&self, buffer: &$object) -> usize {
                buffer.capacity()
            }
        }
    };
}

buffers!(
    /// Handles byte vectors that begin with [`VEC_BUFFER_BYTES`].
    VecBuffers, Vec<u8>, VEC_BUFFER_BYTES
);
buffers!(
    /// Handles strings that begin with [`STRING_BUFFER_BYTES`].
    StringBuffers, String, STRING_BUFFER_BYTES
);
buffers!(
    /// Handles byte vectors that begin with [`SERIALIZATION_BUFFER_BYTES`].
    SerializationBuffers, Vec<u8>, SERIALIZATION_BUFFER_BYTES
);

/// A pool of byte vectors; see [`vec_buffers`].
pub type VecBufferPool = ObjectPool<Vec<u8>, VecBuffers>;
/// A pool of strings; see [`string_buffers`].
pub type StringBufferPool = ObjectPool<String, StringBuffers>;
/// A pool of serialization buffers; see [`serialization_buffers`].
pub type SerializationBufferPool = ObjectPool<Vec<u8>, SerializationBuffers>;

const fn growing(bytes: usize) -> PoolConfig {
    PoolConfig::new().object_bytes_max(GROWTH_KEPT * bytes)
}

/// A pool of byte vectors of 1 KiB, each kept up to 64 KiB.
///
/// # Errors
/// [`PoolError`] when there is no memory for 24 KiB of slots.
///
/// ```
/// let buffers = bolt_objects::ready::vec_buffers()?;
/// let mut buffer = buffers.get();
/// assert!(buffer.is_empty() && buffer.capacity() >= 1024);
/// buffer.extend_from_slice(b"key=value");
/// # Ok::<(), bolt_objects::PoolError>(())
/// ```
pub fn vec_buffers() -> Result<VecBufferPool, PoolError> {
    ObjectPool::managed(VecBuffers, growing(VEC_BUFFER_BYTES))
}

/// A pool of strings of 256 bytes, each kept up to 16 KiB.
///
/// # Errors
/// [`PoolError`] when there is no memory for 24 KiB of slots.
pub fn string_buffers() -> Result<StringBufferPool, PoolError> {
    ObjectPool::managed(StringBuffers, growing(STRING_BUFFER_BYTES))
}

/// A pool of byte vectors of 4 KiB, each kept up to 256 KiB, for whoever serializes into one and hands it on.
///
/// # Errors
/// [`PoolError`] when there is no memory for 24 KiB of slots.
pub fn serialization_buffers() -> Result<SerializationBufferPool, PoolError> {
    ObjectPool::managed(SerializationBuffers, growing(SERIALIZATION_BUFFER_BYTES))
}

/// Lends a byte vector of this thread: empty, of at least 1 KiB. See [`with_thread_object`].
///
/// ```
/// let length = bolt_objects::ready::with_vec_buffer(|buffer| {
///     buffer.extend_from_slice(b"abc");
///     buffer.len()
/// });
/// assert_eq!(length, 3);
/// ```
pub fn with_vec_buffer<R>(f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    with_thread_object::<_, VecBuffers, _>(f)
}

/// Lends a string of this thread: empty, of at least 256 bytes. See [`with_thread_object`].
pub fn with_string_buffer<R>(f: impl FnOnce(&mut String) -> R) -> R {
    with_thread_object::<_, StringBuffers, _>(f)
}

/// Lends a serialization buffer of this thread: empty, of at least 4 KiB. See [`with_thread_object`].
pub fn with_serialization_buffer<R>(f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    with_thread_object::<_, SerializationBuffers, _>(f)
}

#[cfg(feature = "maps")]
pub use maps::*;

#[cfg(feature = "maps")]
mod maps {
    use core::hash::Hash;
    use std::collections::HashMap;

    use indexmap::IndexMap;
    use rustc_hash::FxBuildHasher;

    use super::{MAP_ENTRIES, Manage, ObjectPool, PoolConfig, PoolError, with_thread_object};

    /// A hash map with Fx hashing: two multiplications a word. For keys that nobody hostile chooses.
    pub type FxHashMap<K, V> = HashMap<K, V, FxBuildHasher>;
    /// A map that keeps the order of insertion, with Fx hashing.
    pub type FxIndexMap<K, V> = IndexMap<K, V, FxBuildHasher>;

    /// Handles maps that begin with room for [`MAP_ENTRIES`] entries.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Maps;

    impl<K: Eq + Hash, V> Manage<FxHashMap<K, V>> for Maps {
        fn create(&self) -> FxHashMap<K, V> {
            HashMap::with_capacity_and_hasher(MAP_ENTRIES, FxBuildHasher)
        }

        fn reset(&self, map: &mut FxHashMap<K, V>) {
            map.clear();
        }

        fn bytes(&self, map: &FxHashMap<K, V>) -> usize {
            // An entry and its control byte; what the map keeps free besides is at most as much again.
            map.capacity().saturating_mul(size_of::<(K, V)>() + 1)
        }
    }

    impl<K: Eq + Hash, V> Manage<FxIndexMap<K, V>> for Maps {
        fn create(&self) -> FxIndexMap<K, V> {
            IndexMap::with_capacity_and_hasher(MAP_ENTRIES, FxBuildHasher)
        }

        fn reset(&self, map: &mut FxIndexMap<K, V>) {
            map.clear();
        }

        fn bytes(&self, map: &FxIndexMap<K, V>) -> usize {
            // An entry with its hash, an index and a control byte.
            map.capacity().saturating_mul(size_of::<(K, V)>() + 2 * size_of::<usize>() + 1)
        }
    }

    /// A pool of Fx hash maps; see [`hash_maps`].
    pub type HashMapPool<K, V> = ObjectPool<FxHashMap<K, V>, Maps>;
    /// A pool of index maps; see [`index_maps`].
    pub type IndexMapPool<K, V> = ObjectPool<FxIndexMap<K, V>, Maps>;

    /// Emptying a map touches all of its slots: one that once held a million entries would cost each later user that walk. 64 KiB
    /// are cleared in two microseconds.
    const MAP_BYTES_MAX: usize = 64 << 10;

    const CONFIG: PoolConfig = PoolConfig::new().object_bytes_max(MAP_BYTES_MAX);

    /// A pool of hash maps with Fx hashing, each kept up to 64 KiB.
    ///
    /// # Errors
    /// [`PoolError`] when there is no memory for 32 KiB of slots.
    ///
    /// ```
    /// let maps = bolt_objects::ready::hash_maps::<u64, String>()?;
    /// maps.get().insert(1, "one".into());
    /// assert!(maps.get().is_empty());
    /// # Ok::<(), bolt_objects::PoolError>(())
    /// ```
    pub fn hash_maps<K, V>() -> Result<HashMapPool<K, V>, PoolError>
    where
        K: Eq + Hash + Send + 'static,
        V: Send + 'static,
    {
        ObjectPool::managed(Maps, CONFIG)
    }

    /// A pool of maps that keep the order of insertion, each kept up to 64 KiB.
    ///
    /// # Errors
    /// [`PoolError`] when there is no memory for 56 KiB of slots.
    pub fn index_maps<K, V>() -> Result<IndexMapPool<K, V>, PoolError>
    where
        K: Eq + Hash + Send + 'static,
        V: Send + 'static,
    {
        ObjectPool::managed(Maps, CONFIG)
    }

    /// Lends an empty hash map of this thread. See [`with_thread_object`].
    pub fn with_hash_map<K, V, R>(f: impl FnOnce(&mut FxHashMap<K, V>) -> R) -> R
    where
        K: Eq + Hash + 'static,
        V: 'static,
    {
        with_thread_object::<_, Maps, _>(f)
    }

    /// Lends an empty index map of this thread. See [`with_thread_object`].
    pub fn with_index_map<K, V, R>(f: impl FnOnce(&mut FxIndexMap<K, V>) -> R) -> R
    where
        K: Eq + Hash + 'static,
        V: 'static,
    {
        with_thread_object::<_, Maps, _>(f)
    }
}
