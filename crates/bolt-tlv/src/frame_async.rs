//! The asynchronous faces of frames: tokio's and futures-io's streams, over the same [`FrameReader`].
//!
//! Owns nothing: all state is in the reader, so a future that is dropped half-way loses no byte and no buffer. Never blocks; a pool
//! that waits for buffers wakes the task instead. Limits: those of `frame.rs`.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};

use crate::block::PooledBuffer;
use crate::frame::{Frame, FrameError, FrameErrorKind, FrameReader, check_and_acquire, check_length};
use crate::header::{HEADER_BYTES, Header};
use crate::message::Message;
use crate::pool::{AcquireError, BufferPool};

/// One asynchronous read into one place; `0` at the end of the stream.
trait PollRead {
    fn poll_some(&mut self, context: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>>;
}

/// One asynchronous vectored write.
trait PollWrite {
    fn poll_some(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;
}

/// Reads until `out` is full or the stream ends; says how much.
async fn read_up_to(stream: &mut impl PollRead, out: &mut [u8]) -> Result<usize, FrameError> {
    let mut received = 0;
    while received < out.len() {
        match poll_fn(|context| stream.poll_some(context, &mut out[received..])).await {
            Ok(0) => break,
            Ok(n) => received += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FrameError { offset: 0, kind: FrameErrorKind::Io(error) }),
        }
    }
    Ok(received)
}

fn truncated(header: Option<Header>, expected: u64, received: u64) -> FrameError {
    FrameError { offset: 0, kind: FrameErrorKind::Truncated { header, expected, received } }
}

async fn read_one(stream: &mut impl PollRead, pool: &BufferPool) -> Result<Option<Frame>, FrameError> {
    let mut bytes = [0; HEADER_BYTES];
    let received = read_up_to(stream, &mut bytes).await?;
    if received == 0 {
        return Ok(None);
    }
    if received < HEADER_BYTES {
        return Err(truncated(None, HEADER_BYTES as u64, received as u64));
    }
    let header = Header::from_bytes(bytes);
    let taken = poll_fn(|context| match pool.poll_acquire(context, header.length as usize) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => Poll::Pending,
    });
    // A header that is refused by itself takes no buffer; checked by the same function as on the blocking side.
    let kind = match check_and_acquire(header, &mut Nothing) {
        Err(FrameErrorKind::Acquire { .. }) => match taken.await {
            Ok(payload) => return read_payload(stream, Frame { header, payload }).await.map(Some),
            Err(AcquireError::TooLarge { largest_bytes, .. }) => {
                FrameErrorKind::TooLong { header, length_max: largest_bytes }
            }
            Err(error) => FrameErrorKind::Acquire { header, error },
        },
        Err(kind) => kind,
        // `Nothing` has no buffer to give.
        Ok(_) => FrameErrorKind::OutOfStep { header },
    };
    if !matches!(kind, FrameErrorKind::OutOfStep { .. }) {
        let mut left = u64::from(header.length);
        let mut scratch = [0; 1024];
        while left > 0 {
            let n = left.min(scratch.len() as u64) as usize;
            let received = read_up_to(stream, &mut scratch[..n]).await?;
            if received < n {
                return Err(truncated(Some(header), left, received as u64));
            }
            left -= n as u64;
        }
    }
    Err(FrameError { offset: 0, kind })
}

/// A source without buffers, with which a header is checked by itself.
struct Nothing;

impl crate::frame::Acquire for Nothing {
    fn acquire(&mut self, len: usize) -> Result<PooledBuffer, AcquireError> {
        Err(AcquireError::Exhausted { requested: len, class_bytes: 0, capacity: 0 })
    }
}

async fn read_payload(stream: &mut impl PollRead, mut frame: Frame) -> Result<Frame, FrameError> {
    let received = read_up_to(stream, &mut frame.payload).await?;
    if received < frame.payload.len() {
        return Err(truncated(Some(frame.header), u64::from(frame.header.length), received as u64));
    }
    Ok(frame)
}

async fn write_one(stream: &mut impl PollWrite, header: Header, payload: &[u8]) -> io::Result<()> {
    check_length(header, payload)?;
    let bytes = header.to_bytes();
    let total = bytes.len() + payload.len();
    let mut written = 0;
    while written < total {
        let from_header = written.min(HEADER_BYTES);
        let slices = [IoSlice::new(&bytes[from_header..]), IoSlice::new(&payload[written - from_header..])];
        let slices = if from_header == HEADER_BYTES { &slices[1..] } else { &slices[..] };
        match poll_fn(|context| stream.poll_some(context, slices)).await {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => written += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The functions of one family of streams.
macro_rules! face {
    ($Read:path, $Write:path, $poll_read:ident, $read:ident, $adapter:ident, $family:literal) => {
        impl FrameReader {
            #[doc = concat!("As [`read`](Self::read), from a stream of ", $family, ".")]
            ///
            /// **Cancel-safe**: what was read stays in the reader; drop the future and call again.
            ///
            /// # Errors
            /// See [`FrameErrorKind`].
            pub async fn $read<S>(&mut self, stream: &mut S, pool: &BufferPool) -> Result<Option<Frame>, FrameError>
            where
                S: $Read + Unpin + ?Sized,
            {
                poll_fn(|context| self.$poll_read(context, stream, pool)).await
            }

            #[doc = concat!("One step of [`", stringify!($read), "`](Self::", stringify!($read), "), for those who write futures by hand.")]
            ///
            /// # Errors
            /// See [`FrameErrorKind`].
            pub fn $poll_read<S>(
                &mut self,
                context: &mut Context<'_>,
                stream: &mut S,
                pool: &BufferPool,
            ) -> Poll<Result<Option<Frame>, FrameError>>
            where
                S: $Read + Unpin + ?Sized,
            {
                loop {
                    if let Some(frame) = ready!(self.advance(|len| pool.poll_acquire(context, len))?) {
                        return Poll::Ready(Ok(Some(frame)));
                    }
                    match ready!(step(self, context, stream)) {
                        Ok(0) => return Poll::Ready(self.end_of_stream()),
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Poll::Ready(Err(self.error(FrameErrorKind::Io(error)))),
                    }
                }
            }
        }

        #[doc = concat!("As [`read_frame_pooled`](crate::read_frame_pooled), from a stream of ", $family, ".")]
        ///
        /// Not cancel-safe, since it has nowhere to keep what it read: a future that is dropped half-way leaves the stream inside
        /// a frame. [`FrameReader`] is.
        ///
        /// # Errors
        /// See [`FrameErrorKind`].
        pub async fn read_frame_pooled<S>(stream: &mut S, pool: &BufferPool) -> Result<Option<Frame>, FrameError>
        where
            S: $Read + Unpin + ?Sized,
        {
            read_one(&mut $adapter(stream), pool).await
        }

        #[doc = concat!("As [`write_frame`](crate::write_frame), to a stream of ", $family, ".")]
        ///
        /// Not cancel-safe: a future that is dropped half-way has written part of a frame.
        ///
        /// # Errors
        /// As `write_frame`.
        pub async fn write_frame<S>(stream: &mut S, header: Header, payload: &[u8]) -> io::Result<()>
        where
            S: $Write + Unpin + ?Sized,
        {
            write_one(&mut $adapter(stream), header, payload).await
        }

        #[doc = concat!("As [`write_message`](crate::write_message), to a stream of ", $family, ".")]
        ///
        /// # Errors
        /// As `write_message`.
        pub async fn write_message<S, M>(stream: &mut S, pool: &BufferPool, message: &M) -> io::Result<()>
        where
            S: $Write + Unpin + ?Sized,
            M: Message,
        {
            let payload = message.encode_pooled(pool).map_err(crate::frame::invalid_input)?;
            write_frame(stream, M::header(payload.len()), &payload).await
        }
    };
}

/// Frames over `tokio::io` streams.
#[cfg(feature = "tokio")]
pub mod tokio {
    use super::*;
    use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    /// Tells tokio's streams from others.
    struct Tokio<'a, S: ?Sized>(&'a mut S);

    impl<S: AsyncRead + Unpin + ?Sized> PollRead for Tokio<'_, S> {
        fn poll_some(&mut self, context: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
            let mut place = ReadBuf::new(out);
            ready!(Pin::new(&mut *self.0).poll_read(context, &mut place))?;
            Poll::Ready(Ok(place.filled().len()))
        }
    }

    impl<S: AsyncWrite + Unpin + ?Sized> PollWrite for Tokio<'_, S> {
        fn poll_some(
            &mut self,
            context: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut *self.0).poll_write_vectored(context, slices)
        }
    }

    face!(AsyncRead, AsyncWrite, poll_read_tokio, read_tokio, Tokio, "tokio");

    /// One read, into the one place that is worth it: these streams read into one at a time.
    fn step(
        reader: &mut FrameReader,
        context: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin + ?Sized),
    ) -> Poll<io::Result<usize>> {
        let (direct, place) = reader.place();
        let n = ready!(Tokio(stream).poll_some(context, place))?;
        if direct {
            reader.filled(n);
        } else {
            reader.filled_ahead(n);
        }
        Poll::Ready(Ok(n))
    }
}

/// Frames over `futures::io` streams (async-std, smol and others).
#[cfg(feature = "futures-io")]
pub mod futures {
    use super::*;
    use ::futures_io::{AsyncRead, AsyncWrite};
    use std::io::IoSliceMut;

    /// Tells these streams from others.
    struct Futures<'a, S: ?Sized>(&'a mut S);

    impl<S: AsyncRead + Unpin + ?Sized> PollRead for Futures<'_, S> {
        fn poll_some(&mut self, context: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut *self.0).poll_read(context, out)
        }
    }

    impl<S: AsyncWrite + Unpin + ?Sized> PollWrite for Futures<'_, S> {
        fn poll_some(
            &mut self,
            context: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut *self.0).poll_write_vectored(context, slices)
        }
    }

    face!(AsyncRead, AsyncWrite, poll_read_futures, read_futures, Futures, "`futures::io`");

    /// One read, into both places.
    fn step(
        reader: &mut FrameReader,
        context: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin + ?Sized),
    ) -> Poll<io::Result<usize>> {
        let mut stream = Pin::new(stream);
        let n = match reader.places() {
            (Some(rest), ahead) => {
                let mut places = [IoSliceMut::new(rest), IoSliceMut::new(ahead)];
                ready!(stream.as_mut().poll_read_vectored(context, &mut places))?
            }
            (None, ahead) => ready!(stream.as_mut().poll_read(context, ahead))?,
        };
        reader.filled(n);
        Poll::Ready(Ok(n))
    }
}
