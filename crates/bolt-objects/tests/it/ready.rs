//! The ready pools: sizes as promised, empty at each use, large ones let go.

use bolt_objects::ready::{
    self, GROWTH_KEPT, SERIALIZATION_BUFFER_BYTES, STRING_BUFFER_BYTES, VEC_BUFFER_BYTES,
};

#[test]
fn buffers_have_their_first_capacity_and_come_back_empty() {
    assert_eq!((VEC_BUFFER_BYTES, STRING_BUFFER_BYTES, SERIALIZATION_BUFFER_BYTES), (1024, 256, 4096));
    let (vectors, strings, serialization) = (
        ready::vec_buffers().unwrap(),
        ready::string_buffers().unwrap(),
        ready::serialization_buffers().unwrap(),
    );
    for _ in 0..3 {
        let (mut vector, mut string, mut page) = (vectors.get(), strings.get(), serialization.get());
        assert!(vector.is_empty() && string.is_empty() && page.is_empty());
        assert!(vector.capacity() >= 1024 && string.capacity() >= 256 && page.capacity() >= 4096);
        vector.resize(2000, 1);
        string.push_str("text");
        page.push(1);
    }
    for created in [vectors.stats().created, strings.stats().created, serialization.stats().created] {
        assert_eq!(created, 1);
    }
}

#[test]
fn a_buffer_that_grew_too_large_is_not_kept() {
    let pool = ready::string_buffers().unwrap();
    pool.get().reserve(GROWTH_KEPT * STRING_BUFFER_BYTES + 1);
    assert_eq!((pool.stats().idle, pool.stats().dropped_oversized), (0, 1));
    pool.get().reserve(GROWTH_KEPT * STRING_BUFFER_BYTES / 2);
    assert_eq!(pool.stats().idle, 1);
}

#[cfg(feature = "maps")]
#[test]
fn maps_come_back_empty_and_keep_order_where_it_is_promised() {
    let hash = ready::hash_maps::<String, Vec<u8>>().unwrap();
    hash.get().insert("key".into(), vec![1]);
    assert!(hash.get().is_empty() && hash.get().capacity() >= 16);
    let index = ready::index_maps::<u32, u32>().unwrap();
    for _ in 0..2 {
        let mut map = index.get();
        for key in [5, 3, 9] {
            map.insert(key, key);
        }
        assert!(map.keys().copied().eq([5, 3, 9]));
    }
    index.get().reserve(100_000);
    assert_eq!(index.stats().dropped_oversized, 1);
    ready::with_hash_map::<u32, u32, _>(|outer| {
        outer.insert(1, 1);
        ready::with_hash_map::<u32, u32, _>(|inner| assert!(inner.is_empty()));
        ready::with_index_map::<u32, u32, _>(|other| assert!(other.is_empty()));
    });
    ready::with_hash_map::<u32, u32, _>(|again| assert!(again.is_empty()));
}

#[test]
fn objects_of_a_thread_survive_panics_and_the_threads_end() {
    let unwound = std::panic::catch_unwind(|| {
        ready::with_vec_buffer(|buffer| {
            buffer.push(1);
            std::panic::resume_unwind(Box::new(()));
        });
    });
    assert!(unwound.is_err());
    ready::with_vec_buffer(|buffer| assert!(buffer.is_empty()));

    struct AtEnd;
    impl Drop for AtEnd {
        fn drop(&mut self) {
            // Before or after the thread's pools are gone: both must work.
            ready::with_string_buffer(|text| {
                text.push_str("still here");
                assert_eq!(text.len(), 10);
            });
        }
    }
    thread_local! {
        static FIRST: AtEnd = const { AtEnd };
        static LAST: AtEnd = const { AtEnd };
    }
    std::thread::spawn(|| {
        FIRST.with(|_| ());
        ready::with_string_buffer(|text| text.push('x'));
        LAST.with(|_| ());
    })
    .join()
    .unwrap();
}
