//! Loom models of the scratch memory in which records are indexed, on the public API, and a broken twin that must fail.
//!
//! Run: `RUSTFLAGS="--cfg bolt_loom" cargo test -p bolt-wire --release --test loom`.
#![cfg(bolt_loom)]

use std::panic::catch_unwind;

use bolt_sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use bolt_sync::sync::Arc;
use bolt_sync::thread;
use bolt_wire::{Dialect, Fields, ListRef, RecordDecoder};

/// RECORD [[1, 2], [3, 4]]
const MESSAGE: &[u8] = b"\xB1\x71\x92\x92\x01\x02\x92\x03\x04";

fn scanned() -> Arc<RecordDecoder> {
    let mut decoder = RecordDecoder::new(8, Dialect::V5);
    decoder.scan(MESSAGE, 2).expect("legal");
    Arc::new(decoder)
}

fn sum(decoder: &RecordDecoder, column: usize) -> i64 {
    let fields: Fields = ["a", "b"].into_iter().collect();
    let list = decoder.record(MESSAGE, &fields).get::<ListRef<'_>>(column).expect("a list").indexed();
    (0..list.len()).map(|i| list.get_as::<i64>(i).expect("an integer")).sum()
}

#[test]
fn two_threads_index_one_record_each_in_a_stretch_of_its_own() {
    loom::model(|| {
        let decoder = scanned();
        let other = Arc::clone(&decoder);
        let reader = thread::spawn(move || assert_eq!(sum(&other, 0), 3));
        assert_eq!(sum(&decoder, 1), 7);
        reader.join().expect("reader");
    });
}

#[test]
fn three_threads_find_no_room_and_are_right_all_the_same() {
    loom::model(|| {
        let decoder = scanned();
        // Eight places under loom: each thread wants four.
        let readers = [0, 1].map(|column| {
            let decoder = Arc::clone(&decoder);
            thread::spawn(move || (sum(&decoder, column), sum(&decoder, column)))
        });
        assert_eq!(sum(&decoder, 0), 3);
        let sums = readers.map(|reader| reader.join().expect("reader"));
        assert_eq!(sums, [(3, 3), (7, 7)]);
    });
}

/// The twin: it looks how much is taken and then says how much is, in two steps.
struct Torn {
    places: [AtomicU32; 4],
    taken: AtomicUsize,
}

impl Torn {
    fn note(&self, places: [u32; 2]) -> [u32; 2] {
        let start = self.taken.load(Ordering::Relaxed);
        self.taken.store(start + 2, Ordering::Relaxed);
        let stretch = &self.places[start..start + 2];
        for (place, at) in stretch.iter().zip(places) {
            place.store(at, Ordering::Relaxed);
        }
        [stretch[0].load(Ordering::Relaxed), stretch[1].load(Ordering::Relaxed)]
    }
}

#[test]
fn a_counter_that_is_read_and_written_apart_is_caught() {
    let caught = catch_unwind(|| {
        loom::model(|| {
            let torn =
                Arc::new(Torn { places: [0, 0, 0, 0].map(AtomicU32::new), taken: AtomicUsize::new(0) });
            let other = Arc::clone(&torn);
            let reader = thread::spawn(move || assert_eq!(other.note([1, 2]), [1, 2]));
            assert_eq!(torn.note([3, 4]), [3, 4]);
            reader.join().expect("reader");
        });
    });
    assert!(caught.is_err(), "two stretches overlapped and nobody saw it");
}
