//! `BytesPool` by its promises: no copy of what comes as `Bytes`, clones that outlive eviction, the budget, pins, owners that panic.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bolt_alloc::{assert_no_alloc, thread_counts};
use bolt_objects::{BytesPool, SnapshotFault, StringError, StringId, StringPool, StringPoolConfig};
use bytes::Bytes;

const ROUNDS: usize = if cfg!(miri) { 30 } else { 10_000 };

fn pool(bytes: usize, strings: u32) -> BytesPool {
    BytesPool::new(StringPoolConfig::new(bytes).strings_max(strings)).unwrap()
}

#[test]
fn what_comes_as_bytes_is_not_copied_and_outlives_eviction() {
    let mut pool = pool(8_000, 20);
    let message = Bytes::from(b"header: value; header: another".to_vec());
    let id = pool.intern_bytes(message.slice(8..13)).unwrap();
    let clone = pool.resolve(id).cloned().unwrap();
    assert_eq!(clone.as_ptr(), message[8..].as_ptr());
    let twice = pool.intern_bytes(Bytes::from_static(b"value")).unwrap();
    assert_eq!(twice, id, "the pool's own handle stays");
    assert_eq!(pool.resolve(id).unwrap().as_ptr(), message[8..].as_ptr());
    for round in 0..if cfg!(miri) { 50 } else { 200_u32 } {
        // Twice, so that the main queue is swept as well.
        let id = pool.intern(&round.to_le_bytes()).unwrap();
        assert_eq!(pool.intern(&round.to_le_bytes()), Ok(id));
    }
    assert_eq!(pool.resolve(id), None);
    assert_eq!(clone, "value");
    assert_eq!(pool.get(b"value"), None);
}

#[test]
fn agrees_with_a_map_and_keeps_its_budget() {
    let pools = [(4_000, 10), (20_000, 100), (60_000, 150)];
    for (budget, strings) in pools.into_iter().take(if cfg!(miri) { 1 } else { 3 }) {
        let before = thread_counts().live_bytes;
        let mut pool = pool(budget, strings);
        let mut ids: HashMap<StringId, Vec<u8>> = HashMap::new();
        let mut pinned = None;
        let text_max = pool.text_bytes_max();
        for round in 0..ROUNDS.min(3000) {
            let number = round * 7919 % 400;
            let text = vec![number as u8; number % text_max.min(90)];
            let text = [&text[..], &number.to_le_bytes()].concat();
            match pool.intern(&text) {
                Ok(id) => {
                    assert_eq!(pool.resolve(id).unwrap(), &text);
                    assert!(ids.insert(id, text.clone()).is_none_or(|other| other == text));
                    if round % 50 == 7 {
                        if let Some(pinned) = pinned.replace(id) {
                            assert!(pool.is_live(pinned));
                            pool.unpin(pinned).unwrap();
                        }
                        pool.pin(id).unwrap();
                    }
                }
                Err(StringError::TooLong { bytes, bytes_max }) => {
                    assert_eq!((bytes, bytes_max), (text.len(), text_max));
                }
                Err(error) => panic!("{error}"),
            }
            let stats = pool.stats();
            assert!(stats.bytes_held <= budget && stats.strings <= strings as usize, "{stats:?}");
        }
        let alive: Vec<_> = ids.iter().filter(|(id, _)| pool.is_live(**id)).collect();
        assert_eq!(alive.len(), pool.stats().strings);
        assert_eq!(alive.iter().map(|(_, text)| text.len()).sum::<usize>(), pool.stats().text_bytes);
        assert!(alive.iter().all(|(id, text)| pool.resolve(**id).unwrap() == &text[..]));
        drop(ids);
        let held = usize::try_from(thread_counts().live_bytes - before).unwrap();
        // Handles that were copied, and the list of those that left.
        let beside = pool.stats().strings * 40 + 8_000;
        assert!(held <= budget + beside, "{held} of {budget}");
    }
}

#[test]
fn hits_and_clones_allocate_nothing() {
    let mut pool = pool(100_000, 200);
    const TEXTS: usize = if cfg!(miri) { 20 } else { 100 };
    let texts: Vec<Bytes> = (0..TEXTS).map(|number| Bytes::from(format!("key {number}"))).collect();
    let ids: Vec<_> = texts.iter().map(|text| pool.intern_bytes(text.clone()).unwrap()).collect();
    assert_no_alloc(|| {
        for round in 0..ROUNDS {
            let (text, id) = (&texts[round % TEXTS], ids[round % TEXTS]);
            assert_eq!(pool.intern(text), Ok(id));
            assert_eq!(pool.intern_bytes(text.clone()), Ok(id));
            drop(pool.resolve(id).cloned());
        }
    });
}

#[test]
fn a_pool_of_pins_says_so_and_pins_are_counted() {
    let mut pool = pool(4_000, 2);
    let (one, two) = (pool.intern(b"one").unwrap(), pool.intern(b"two").unwrap());
    pool.pin(one).unwrap();
    pool.pin(two).unwrap();
    assert_eq!(pool.intern(b"three"), Err(StringError::Full { strings_max: 2 }));
    pool.unpin(two).unwrap();
    assert_eq!(pool.unpin(two), Err(StringError::NotPinned { id: two }));
    let three = pool.intern(b"three").unwrap();
    assert!(pool.is_live(one) && !pool.is_live(two) && pool.is_live(three));
    assert_eq!(pool.pin(two), Err(StringError::Dead { id: two }));
    assert!(BytesPool::new(StringPoolConfig::new(10)).is_err());
}

/// A handle may own anything, also what panics when it goes.
#[test]
fn an_owner_that_panics_leaves_the_pool_in_order() {
    struct Moody(Vec<u8>, Arc<AtomicBool>);
    impl AsRef<[u8]> for Moody {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Moody {
        fn drop(&mut self) {
            if self.1.load(Ordering::Relaxed) {
                resume_unwind(Box::new("in a mood"));
            }
        }
    }
    let mut pool = pool(4_000, 8);
    let mood = Arc::new(AtomicBool::new(true));
    let mut panics = 0;
    for round in 0..if cfg!(miri) { 30 } else { 100_u32 } {
        let owned = Bytes::from_owner(Moody(round.to_le_bytes().to_vec(), mood.clone()));
        let before = pool.stats().evicted;
        let unwound = catch_unwind(AssertUnwindSafe(|| pool.intern_bytes(owned)));
        assert_eq!(unwound.is_err(), pool.stats().evicted > before);
        panics += u32::from(unwound.is_err());
        let id = pool.get(&round.to_le_bytes()).expect("it was put in all the same");
        assert_eq!(pool.resolve(id).unwrap(), &round.to_le_bytes()[..]);
        assert!(pool.stats().strings <= 8);
    }
    assert!(panics > 10);
    // Several that panic at once would end the program.
    mood.store(false, Ordering::Relaxed);
}

#[test]
fn snapshots_go_both_ways_between_the_pools() {
    let config = StringPoolConfig::new(20_000).strings_max(60);
    let mut strings = StringPool::new(config).unwrap();
    let last = if cfg!(miri) { 14 } else { 49 };
    let ids: Vec<_> = (0..=last).map(|i| strings.intern(&format!("string {i}")).unwrap()).collect();
    strings.pin(ids[7]).unwrap();
    let mut snapshot = Vec::new();
    strings.to_snapshot(&mut snapshot);

    let mut pool = BytesPool::from_snapshot(config, &snapshot).unwrap();
    for (i, &id) in ids.iter().enumerate() {
        assert_eq!(pool.resolve(id).unwrap(), format!("string {i}").as_bytes());
    }
    assert_eq!(pool.stats().pinned, 1);
    snapshot.clear();
    pool.to_snapshot(&mut snapshot);
    let strings = StringPool::from_snapshot(config, &snapshot).unwrap();
    assert_eq!(strings.resolve(ids[last]), Some(format!("string {last}").as_str()));

    // What is no text is refused by the pool of strings, with its place, and by no other.
    let other = pool.intern_static(b"ab\xff").unwrap();
    snapshot.clear();
    pool.to_snapshot(&mut snapshot);
    let error = StringPool::from_snapshot(config, &snapshot).unwrap_err();
    assert_eq!((error.fault, snapshot[error.at]), (SnapshotFault::Utf8, 0xff));
    assert_eq!(BytesPool::from_snapshot(config, &snapshot).unwrap().resolve(other).unwrap(), &b"ab\xff"[..]);
}

#[test]
#[cfg_attr(miri, ignore = "it is about numbers, and the test above reads the same bytes")]
fn a_snapshot_in_a_smaller_budget_keeps_the_budget() {
    let config = |bytes| StringPoolConfig::new(bytes).strings_max(40);
    let mut pool = BytesPool::new(config(30_000)).unwrap();
    let ids: Vec<_> = (0..40_u8).map(|i| pool.intern(&[i; 300]).unwrap()).collect();
    pool.pin(ids[3]).unwrap();
    let mut snapshot = Vec::new();
    pool.to_snapshot(&mut snapshot);
    let before = thread_counts().live_bytes;
    let again = BytesPool::from_snapshot(config(9_000), &snapshot).unwrap();
    let stats = again.stats();
    assert!(stats.bytes_held <= 9_000 && stats.strings < 40, "{stats:?}");
    // A handle's own header lies beyond the bytes that are counted.
    assert!(thread_counts().live_bytes - before <= 9_000 + 40 * 64);
    assert_eq!(again.resolve(ids[3]).unwrap(), &[3; 300][..], "it is pinned");
    let alive = ids.iter().filter(|&&id| again.is_live(id)).count();
    assert_eq!(alive, stats.strings);
}
