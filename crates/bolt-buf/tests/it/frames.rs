//! Owned frames: what they see stays as it was, whatever the buffer does and whichever thread it is on.

use std::sync::mpsc;
use std::thread;

use bolt_buf::{BoltBuf, Frame, RangeError, SharedFrame};

fn filled(byte: u8, len: usize) -> BoltBuf {
    let mut buf = BoltBuf::new();
    buf.append(&vec![byte; len]).unwrap();
    buf
}

#[test]
fn the_buffer_and_shared_frames_are_send_and_frames_are_not() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<BoltBuf>();
    is_sync::<BoltBuf>();
    is_send::<SharedFrame>();
    is_sync::<SharedFrame>();
    // `Frame` and `FrameCutter` must not be: two blanket impls would make this call ambiguous for a Send type.
    trait Ambiguous<A> {
        fn check() {}
    }
    impl<T: ?Sized> Ambiguous<()> for T {}
    struct IsSend;
    impl<T: ?Sized + Send> Ambiguous<IsSend> for T {}
    <Frame as Ambiguous<_>>::check();
    <bolt_buf::FrameCutter<'static> as Ambiguous<_>>::check();
}

#[test]
fn frames_keep_their_bytes_while_the_buffer_refills_compacts_grows_and_goes() {
    let mut buf = filled(1, 1000);
    let mut cutter = buf.frames().unwrap();
    let one = cutter.cut(600).unwrap();
    assert_eq!(cutter.cut(401).unwrap_err(), RangeError { end: 401, available: 400 });
    let rest = cutter.cut(400).unwrap();
    drop(cutter);
    for round in 0..50_u8 {
        buf.append(&[round; 700]).unwrap();
        buf.read_slice_mut().fill(round ^ 0xFF);
        buf.compact();
        buf.consume(650);
        let _ = buf.fill_from(&mut &[round; 900][..]).unwrap();
        assert_eq!((&one[..], &rest[..]), (&[1; 600][..], &[1; 400][..]), "round {round}");
    }
    buf.append(&[9; 200_000]).unwrap();
    drop(buf);
    assert_eq!(one, [1; 600]);
    assert_eq!(format!("{:?}", one.slice(0..2).unwrap()), "Frame(b\"\\x01\\x01\")");
}

#[test]
fn a_frame_that_died_leaves_the_chunk_to_be_reused_in_place() {
    let mut buf = filled(1, 100);
    let before = buf.read_slice().as_ptr();
    let mut cutter = buf.frames().unwrap();
    drop(cutter.cut(100).unwrap());
    drop(cutter);
    buf.append(&[2; 50]).unwrap();
    assert_eq!(buf.read_slice().as_ptr(), before);
    // The same for a batch that outlives its cutter.
    let frame = buf.frames().unwrap().cut(50).unwrap();
    drop(frame);
    buf.append(&[3; 50]).unwrap();
    assert_eq!(buf.read_slice().as_ptr(), before);
}

#[test]
fn more_batches_than_slots_move_the_buffer_to_another_chunk() {
    let mut buf = filled(0, 0);
    let mut held = Vec::new();
    for i in 0..100_u8 {
        buf.append(&[i; 10]).unwrap();
        held.push(buf.frames().unwrap().cut(10).unwrap());
        assert!(buf.is_empty());
    }
    for (i, frame) in held.iter().enumerate() {
        assert_eq!(*frame, [i as u8; 10]);
    }
    // Sixteen batches a chunk: the 17th, 33rd … found it full, and its ten bytes moved on.
    assert_eq!((buf.stats().moves, buf.stats().bytes_moved), (6, 60));
}

/// The buffer goes to another thread and cuts there, while frames of the first thread live and die here: their counts are apart.
#[test]
fn batches_of_one_chunk_may_live_on_several_threads() {
    let rounds = if cfg!(miri) { 5 } else { 500 };
    for _ in 0..rounds {
        let mut buf = filled(7, 3000);
        let mut cutter = buf.frames().unwrap();
        let here: Vec<Frame> = (0..10).map(|_| cutter.cut(100).unwrap()).collect();
        drop(cutter);
        let there = thread::spawn(move || {
            let mut cutter = buf.frames().unwrap();
            let frames: Vec<Frame> = (0..10).map(|_| cutter.cut(100).unwrap()).collect();
            drop(cutter);
            assert!(frames.iter().all(|frame| *frame == [7; 100]));
            drop(frames);
            // Reuses the chunk if the other thread's frames are gone, moves on if not.
            for _ in 0..20 {
                buf.append(&[8; 900]).unwrap();
                buf.consume(buf.len());
            }
        });
        for frame in here {
            assert_eq!(frame.clone(), [7; 100]);
        }
        there.join().unwrap();
    }
}

#[test]
fn shared_frames_travel_and_the_last_one_anywhere_frees() {
    let rounds = if cfg!(miri) { 5 } else { 500 };
    let (sender, receiver) = mpsc::channel::<SharedFrame>();
    let reader = thread::spawn(move || {
        for (i, frame) in receiver.iter().enumerate() {
            let byte = (i / 3) as u8;
            assert!(frame.iter().all(|b| *b == byte), "frame {i}");
            assert_eq!(frame.slice(1..3).unwrap(), [byte; 2]);
        }
    });
    let mut buf = BoltBuf::new();
    for round in 0..rounds {
        buf.append(&[round as u8; 3000]).unwrap();
        let mut cutter = buf.frames().unwrap();
        let frame = cutter.cut(1000).unwrap();
        drop(cutter);
        sender.send(frame.clone().into_shared()).unwrap();
        sender.send(frame.into_shared().clone()).unwrap();
        sender.send(buf.take_shared(1000).unwrap()).unwrap();
        assert_eq!(buf.take_shared(1001).unwrap_err(), RangeError { end: 1001, available: 1000 });
        buf.consume(1000);
    }
    drop(buf);
    drop(sender);
    reader.join().unwrap();
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "the very thing to be refused")]
fn parts_outside_a_frame_are_refused() {
    let mut buf = filled(5, 10);
    let frame = buf.frames().unwrap().cut(10).unwrap();
    assert_eq!(frame.slice(0..11).unwrap_err(), RangeError { end: 11, available: 10 });
    assert_eq!(frame.slice(5..4).unwrap_err(), RangeError { end: 5, available: 10 });
    assert_eq!(frame.slice(10..10).unwrap(), []);
    assert!(frame.into_shared().slice(3..usize::MAX).is_err());
}
