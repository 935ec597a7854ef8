//! Loom models of the counting of frames, on the public API, and a broken twin that must fail.
//!
//! Run: `RUSTFLAGS="--cfg bolt_loom" cargo test -p bolt-buf --release --test loom`. Two and three threads, explored without a
//! bound. The chunk carries a witness cell that frames read and that the buffer writes before it reuses or frees memory, so a
//! reuse that is not ordered after the last read is reported even where the bytes happen to be right.
#![cfg(bolt_loom)]

use bolt_buf::{BoltBuf, BufConfig, SharedFrame};
use bolt_sync::atomic::{AtomicUsize, Ordering, fence};
use bolt_sync::cell::UnsafeCell;
use bolt_sync::sync::Arc;
use bolt_sync::thread;

const LEN: usize = 8;

fn filled(byte: u8) -> BoltBuf {
    let mut buf = BoltBuf::with_config(BufConfig::new(2 * LEN, 1 << 10).expect("valid"));
    buf.append(&[byte; LEN]).expect("room");
    buf
}

/// Room for more than the tail: reuses the memory in front if nobody holds it, moves on otherwise.
fn refill(buf: &mut BoltBuf, byte: u8) {
    for _ in 0..3 {
        buf.append(&[byte; LEN]).expect("room");
        assert_eq!(buf.read_slice(), [byte; LEN]);
        buf.consume(LEN);
    }
}

#[test]
fn a_shared_frame_is_read_elsewhere_while_the_buffer_refills() {
    loom::model(|| {
        let mut buf = filled(1);
        let frame = buf.take_shared(LEN).expect("unread");
        let reader = thread::spawn(move || assert_eq!(frame, [1; LEN]));
        refill(&mut buf, 2);
        reader.join().expect("reader");
        refill(&mut buf, 3);
    });
}

#[test]
fn the_last_of_buffer_and_two_frames_frees() {
    loom::model(|| {
        let mut buf = filled(1);
        let first = buf.take_shared(LEN / 2).expect("unread");
        let second = buf.take_shared(LEN / 2).expect("unread");
        let readers: [_; 2] = [first, second]
            .map(|frame: SharedFrame| thread::spawn(move || assert_eq!(frame.clone(), [1; LEN / 2])));
        drop(buf);
        for reader in readers {
            reader.join().expect("reader");
        }
    });
}

#[test]
fn a_batch_stays_behind_while_the_buffer_goes_to_another_thread() {
    loom::model(|| {
        let mut buf = filled(1);
        let frame = buf.frames().expect("memory").cut(LEN / 2).expect("unread");
        let other = thread::spawn(move || {
            let theirs = buf.frames().expect("memory").cut(LEN / 2).expect("unread");
            assert_eq!(theirs, [1; LEN / 2]);
            drop(theirs);
            refill(&mut buf, 2);
        });
        assert_eq!(frame.clone(), [1; LEN / 2]);
        drop(frame);
        other.join().expect("other");
    });
}

#[test]
fn a_frame_made_shareable_under_an_open_cutter() {
    loom::model(|| {
        let mut buf = filled(1);
        let mut cutter = buf.frames().expect("memory");
        let shared = cutter.cut(LEN).expect("unread").into_shared();
        let reader = thread::spawn(move || assert_eq!(shared, [1; LEN]));
        // Closes the slot by a plain store if, and only if, the shared frame is gone.
        drop(cutter);
        refill(&mut buf, 2);
        reader.join().expect("reader");
    });
}

/// The counting alone, with the orderings as parameters: one holder reads and leaves, the other reuses when it is alone.
struct Twin<const SOUND: bool> {
    holders: AtomicUsize,
    bytes: UnsafeCell<u8>,
}

// SAFETY: loom runs one thread at a time and reports every unordered pair of accesses itself; that report is the test.
unsafe impl<const SOUND: bool> Sync for Twin<SOUND> {}

fn run_twin<const SOUND: bool>() {
    loom::model(|| {
        let twin = Arc::new(Twin::<SOUND> { holders: AtomicUsize::new(2), bytes: UnsafeCell::new(1) });
        let frame = Arc::clone(&twin);
        let reader = thread::spawn(move || {
            // SAFETY: see `Sync`.
            frame.bytes.with(|bytes| assert_eq!(unsafe { *bytes }, 1));
            frame.holders.fetch_sub(1, if SOUND { Ordering::Release } else { Ordering::Relaxed });
        });
        if twin.holders.load(Ordering::Relaxed) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: see `Sync`.
            twin.bytes.with_mut(|bytes| unsafe { *bytes = 2 });
        }
        reader.join().expect("reader");
    });
}

#[test]
fn the_twin_with_its_orderings_passes() {
    run_twin::<true>();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn the_twin_without_release_is_caught() {
    run_twin::<false>();
}
