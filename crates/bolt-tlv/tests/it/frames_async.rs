//! Frames over asynchronous streams of both families, polled by hand, so that every `Pending` and every cancelled future is a case.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bolt_tlv::{BufferPool, Exhausted, FrameReader, futures, tokio};

use crate::frames::{header, pool, wire};

/// Runs a future that is always ready in the end.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("the future never becomes ready");
}

/// A stream of both families that is ready every second time and hands out or takes a few bytes then.
struct Shy<'a> {
    input: &'a [u8],
    output: Vec<u8>,
    chunk: usize,
    polls: usize,
}

impl Shy<'_> {
    fn new(input: &[u8], chunk: usize) -> Shy<'_> {
        Shy { input, output: Vec::new(), chunk, polls: 0 }
    }

    fn some(&mut self, context: &mut Context<'_>, room: usize) -> Poll<&[u8]> {
        self.polls += 1;
        if !self.polls.is_multiple_of(2) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let (now, later) = self.input.split_at(room.min(self.chunk).min(self.input.len()));
        self.input = later;
        Poll::Ready(now)
    }

    fn take(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.polls += 1;
        if !self.polls.is_multiple_of(2) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let n = bytes.len().min(self.chunk);
        self.output.extend_from_slice(&bytes[..n]);
        Poll::Ready(Ok(n))
    }
}

impl ::tokio::io::AsyncRead for Shy<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ::tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.some(context, out.remaining()).map(|bytes| {
            out.put_slice(bytes);
            Ok(())
        })
    }
}

impl futures_io::AsyncRead for Shy<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.some(context, out.len()).map(|bytes| {
            out[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        })
    }
}

/// Both families write in the same words, but for how a stream is closed.
macro_rules! shy_write {
    ($family:path, $close:ident) => {
        impl $family for Shy<'_> {
            fn poll_write(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.take(context, bytes)
            }
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
            fn $close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
    };
}

shy_write!(::tokio::io::AsyncWrite, poll_shutdown);
shy_write!(futures_io::AsyncWrite, poll_close);

const CHUNKS: &[usize] = if cfg!(miri) { &[997] } else { &[1, 7, 8, 9, 92, 1448, 4096, 65536] };

#[test]
fn every_cut_gives_the_same_frames_with_both_families() {
    let (wire, expected) = wire();
    let pool = pool();
    for &chunk in CHUNKS {
        let mut streams = [(); 4].map(|()| Shy::new(&wire, chunk));
        let [a, b, c, d] = &mut streams;
        let (mut one, mut other) = (FrameReader::new(), FrameReader::direct());
        for (type_id, payload) in &expected {
            for frame in [
                block_on(one.read_tokio(a, &pool)),
                block_on(other.read_futures(b, &pool)),
                block_on(tokio::read_frame_pooled(c, &pool)),
                block_on(futures::read_frame_pooled(d, &pool)),
            ] {
                let frame = frame.unwrap().unwrap();
                assert_eq!(
                    (frame.type_id(), &frame.payload[..]),
                    (*type_id, &payload[..]),
                    "chunks of {chunk}"
                );
            }
        }
        assert!(block_on(one.read_tokio(a, &pool)).unwrap().is_none());
        assert!(block_on(other.read_futures(b, &pool)).unwrap().is_none());
        assert!(block_on(tokio::read_frame_pooled(c, &pool)).unwrap().is_none());
        assert!(block_on(futures::read_frame_pooled(d, &pool)).unwrap().is_none());
    }
    assert_eq!(pool.stats().in_use(), 0);
}

#[test]
fn a_cancelled_read_loses_neither_bytes_nor_buffers() {
    let (wire, expected) = wire();
    let pool = pool();
    for &chunk in CHUNKS {
        let (mut stream, mut reader) = (Shy::new(&wire, chunk), FrameReader::new());
        let mut context = Context::from_waker(Waker::noop());
        for (type_id, payload) in &expected {
            let frame = loop {
                // Polled once and dropped, whatever it says: a timeout that always fires.
                let polled = pin!(reader.read_tokio(&mut stream, &pool)).poll(&mut context);
                if let Poll::Ready(frame) = polled {
                    break frame.unwrap().unwrap();
                }
            };
            assert_eq!((frame.type_id(), &frame.payload[..]), (*type_id, &payload[..]));
        }
    }
    assert_eq!(pool.stats().in_use(), 0);
}

#[test]
fn refusals_are_the_same_as_when_blocking() {
    let mut wire = Vec::new();
    bolt_tlv::write_frame(&mut wire, header(1, 20_000), &[1; 20_000]).unwrap();
    bolt_tlv::write_frame(&mut wire, bolt_tlv::Header { flags: 0x80, ..header(2, 3) }, b"abc").unwrap();
    bolt_tlv::write_frame(&mut wire, header(3, 3), b"abc").unwrap();
    wire.extend([0; 8]);
    let pool = pool();
    let mut stream = Shy::new(&wire, 100);
    for expected in [1, 2] {
        let error = block_on(tokio::read_frame_pooled(&mut stream, &pool)).unwrap_err();
        assert!(error.is_in_step(), "frame {expected}: {error}");
    }
    assert_eq!(block_on(tokio::read_frame_pooled(&mut stream, &pool)).unwrap().unwrap().type_id(), 3);
    assert!(!block_on(tokio::read_frame_pooled(&mut stream, &pool)).unwrap_err().is_in_step());
    let mut cut = Shy::new(&wire[..5000], 100);
    assert!(!block_on(futures::read_frame_pooled(&mut cut, &pool)).unwrap_err().is_in_step());
}

#[test]
fn frames_are_written_whole_by_writers_that_take_a_little() {
    let mut expected = Vec::new();
    bolt_tlv::write_frame(&mut expected, header(7, 30), &[7; 30]).unwrap();
    bolt_tlv::write_frame(&mut expected, header(8, 0), &[]).unwrap();
    for chunk in [1, 8, 9, 100] {
        let (mut one, mut other) = (Shy::new(&[], chunk), Shy::new(&[], chunk));
        block_on(tokio::write_frame(&mut one, header(7, 30), &[7; 30])).unwrap();
        block_on(tokio::write_frame(&mut one, header(8, 0), &[])).unwrap();
        block_on(futures::write_frame(&mut other, header(7, 30), &[7; 30])).unwrap();
        block_on(futures::write_frame(&mut other, header(8, 0), &[])).unwrap();
        assert_eq!((&one.output, &other.output), (&expected, &expected));
    }
}

/// A waker that counts.
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_pool_that_waits_wakes_the_task_when_a_buffer_comes_back() {
    let mut wire = Vec::new();
    bolt_tlv::write_frame(&mut wire, header(1, 10), &[1; 10]).unwrap();
    let pool = BufferPool::builder()
        .exhausted(Exhausted::Wait(Duration::from_secs(1)))
        .with_size_class(128, 1)
        .build();
    let held = pool.acquire(1).unwrap();
    let bell = Arc::new(Bell(AtomicUsize::new(0)));
    let waker = Waker::from(bell.clone());
    let mut context = Context::from_waker(&waker);
    let (mut stream, mut reader) = (wire.as_slice(), FrameReader::new());
    for _ in 0..3 {
        assert!(pin!(reader.read_tokio(&mut stream, &pool)).poll(&mut context).is_pending());
    }
    assert_eq!(bell.0.load(Ordering::Relaxed), 0);
    drop(held);
    let wakes = bell.0.load(Ordering::Relaxed);
    // One task, one wake, however often it asked; interpreted, a waker does not always know its equal.
    assert!(wakes == 1 || cfg!(miri) && wakes > 0, "{wakes} wakes");
    let Poll::Ready(frame) = pin!(reader.read_tokio(&mut stream, &pool)).poll(&mut context) else {
        panic!("a buffer is there");
    };
    assert_eq!(frame.unwrap().unwrap().payload, [1; 10]);
}
