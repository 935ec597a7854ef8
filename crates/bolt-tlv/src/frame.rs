//! Frames on a stream: read straight into pooled buffers, written without being put together first.
//!
//! Owns the state of a stream that is half-way through a frame, and the few bytes read ahead of it. Never takes a buffer before
//! the length was checked, and never allocates but for the read-ahead itself. Limits: 2³² − 1 bytes a frame, and
//! what the pool's largest class holds.
//!
//! ```text
//!  socket ──read──▶ read-ahead (4 KiB)   │ hdr │ payload │ hdr │ payl…     several small frames of one read: each payload is
//!                        │                                                 copied once, 2 ns for 84 bytes, instead of a read each
//!                        ▼ what came along with the header
//!                   PooledBuffer         │ payl… ◀──── the rest is read straight into the buffer, and what follows it
//!                                                      into the read-ahead, by the same (vectored) read
//! ```

use core::fmt;
use core::task::Poll;
use std::boxed::Box;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::vec;

use crate::block::PooledBuffer;
use crate::codec::EncodeError;
use crate::header::{HEADER_BYTES, Header};
use crate::message::Message;
use crate::pool::{AcquireError, BufferPool};

/// Bytes a [`FrameReader`] reads ahead unless told otherwise: a page; 40 frames of 84 bytes in one read, and no more than this is ever
/// copied of a large one.
pub const READ_AHEAD_BYTES: usize = 4096;

/// From this much on, the rest of a payload is worth a read of its own where a stream cannot read into two places at once; below,
/// reading ahead and copying is cheaper than another system call.
#[cfg(any(feature = "tokio", test))]
const DIRECT_BYTES: usize = 1024;

/// Where buffers come from: a [`BufferPool`], or the taking end of its ring.
pub trait Acquire {
    /// A buffer of `len` bytes.
    ///
    /// # Errors
    /// There is none; see [`BufferPool::acquire`].
    fn acquire(&mut self, len: usize) -> Result<PooledBuffer, AcquireError>;
}

impl Acquire for &BufferPool {
    #[inline]
    fn acquire(&mut self, len: usize) -> Result<PooledBuffer, AcquireError> {
        BufferPool::acquire(self, len)
    }
}

impl Acquire for BufferPool {
    #[inline]
    fn acquire(&mut self, len: usize) -> Result<PooledBuffer, AcquireError> {
        BufferPool::acquire(self, len)
    }
}

/// One frame: its header, and the payload in a buffer that goes back to its pool when the frame is dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The eight bytes in front.
    pub header: Header,
    /// Exactly `header.length` bytes.
    pub payload: PooledBuffer,
}

impl Frame {
    /// Which message the payload is.
    #[inline]
    #[must_use]
    pub fn type_id(&self) -> u16 {
        self.header.type_id
    }

    /// Type id and payload.
    #[inline]
    pub fn into_parts(self) -> (u16, PooledBuffer) {
        (self.header.type_id, self.payload)
    }
}

/// Where a stream stands.
#[derive(Debug)]
enum State {
    /// At the start of a header, or inside it.
    Header,
    /// The header is accepted and its payload has no buffer yet.
    Accepted(Header),
    /// So many bytes of the payload are in its buffer.
    Payload { header: Header, buffer: PooledBuffer, filled: usize },
    /// So many bytes belong to a frame that was refused.
    Skip(u64),
    /// No frame can be told from the next any more.
    OutOfStep(Header),
}

/// Reads the frames of one stream, in as few reads as it can.
///
/// The reader owns all that was read and not yet handed out, so a read that fails, would block, or is cancelled loses nothing:
/// call again and it goes on. One reader serves one stream for its whole life.
///
/// **Layout.** A boxed read-ahead and the buffer of a half-read frame. **Cost.** No allocation after construction once the
/// pool is warm. One read for a frame that arrives alone; one for many small frames that arrive together.
/// **Copies.** A payload that came along with its header is copied out of the read-ahead once, and never more than
/// [`READ_AHEAD_BYTES`] of it; everything else goes straight from the kernel into the buffer. A reader made by
/// [`direct`](Self::direct) copies nothing, at the price of a read for each frame.
///
/// ```
/// use bolt_tlv::{BufferPool, FrameReader, Header, write_frame};
/// let pool = BufferPool::builder().with_size_class(128, 16).build();
/// let mut wire = Vec::new();
/// for type_id in 1..=3 {
///     write_frame(&mut wire, Header { type_id, version: 1, flags: 0, length: 4 }, b"tick")?;
/// }
/// let (mut stream, mut reader) = (wire.as_slice(), FrameReader::new());
/// let mut seen = Vec::new();
/// while let Some(frame) = reader.read(&mut stream, &pool)? {
///     assert_eq!(frame.payload, b"tick");
///     seen.push(frame.type_id());
/// }
/// assert_eq!(seen, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FrameReader {
    ahead: Box<[u8]>,
    /// `ahead[start..end]` was read and not looked at.
    start: usize,
    end: usize,
    /// Offset in the stream of `ahead[start]`, or of the next byte to be read.
    offset: u64,
    /// Offset in the stream of the header of the present frame.
    frame_offset: u64,
    length_max: usize,
    state: State,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameReader {
    /// A reader that reads ahead by [`READ_AHEAD_BYTES`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_read_ahead(READ_AHEAD_BYTES)
    }

    /// A reader that copies no byte of a payload: each goes from the kernel into its buffer, together with the next header.
    #[must_use]
    pub fn direct() -> Self {
        Self::with_read_ahead(HEADER_BYTES)
    }

    /// A reader that reads ahead by `bytes`, at least a header.
    #[must_use]
    pub fn with_read_ahead(bytes: usize) -> Self {
        Self {
            ahead: vec![0; bytes.max(HEADER_BYTES)].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            frame_offset: 0,
            length_max: usize::MAX,
            state: State::Header,
        }
    }

    /// The same reader, which refuses (and skips) frames with longer payloads whatever the pool holds.
    #[must_use]
    pub fn length_max(mut self, bytes: usize) -> Self {
        self.length_max = bytes;
        self
    }

    /// The next frame, or `None` when the stream ends between two frames.
    ///
    /// Blocks as `stream` does. With a stream that does not block, [`FrameErrorKind::Io`] holds its `WouldBlock`; call
    /// again when it is ready.
    ///
    /// # Errors
    /// See [`FrameErrorKind`], which says what the next call does.
    pub fn read<S, A>(&mut self, stream: &mut S, mut pool: A) -> Result<Option<Frame>, FrameError>
    where
        S: Read + ?Sized,
        A: Acquire,
    {
        loop {
            if let Poll::Ready(Some(frame)) = self.advance(|len| Poll::Ready(pool.acquire(len)))? {
                return Ok(Some(frame));
            }
            let read = match self.places() {
                (Some(rest), ahead) => {
                    stream.read_vectored(&mut [IoSliceMut::new(rest), IoSliceMut::new(ahead)])
                }
                (None, ahead) => stream.read(ahead),
            };
            match read {
                Ok(0) => return self.end_of_stream(),
                Ok(n) => self.filled(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(FrameErrorKind::Io(error))),
            }
        }
    }

    /// Gives up the frame that has no buffer ([`FrameErrorKind::Acquire`]): its payload is passed over and the next call
    /// to read is for the frame behind it. Does nothing in any other state.
    pub fn skip_frame(&mut self) {
        if let State::Accepted(header) = self.state {
            self.state = State::Skip(u64::from(header.length));
        }
    }

    /// Whether the reader stands between two frames with nothing read ahead, so that the stream may be used without it.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Header) && self.start == self.end
    }

    /// Uses what was read. `Ready(Some)`: a frame is whole. `Ready(None)`: more bytes are needed. `Pending`: no buffer yet.
    #[inline]
    pub(crate) fn advance(
        &mut self,
        mut acquire: impl FnMut(usize) -> Poll<Result<PooledBuffer, AcquireError>>,
    ) -> Result<Poll<Option<Frame>>, FrameError> {
        loop {
            match &mut self.state {
                State::Header => {
                    let Some(&bytes) = self.ahead[self.start..self.end].first_chunk::<HEADER_BYTES>() else {
                        return Ok(Poll::Ready(None));
                    };
                    self.frame_offset = self.offset;
                    self.consume(HEADER_BYTES);
                    let header = Header::from_bytes(bytes);
                    self.state = State::Accepted(header);
                    self.check(header)?;
                }
                State::Accepted(header) => {
                    let header = *header;
                    match acquire(header.length as usize) {
                        Poll::Ready(Ok(mut buffer)) => {
                            // All of it is here, as with most small frames: the buffer need not be put down first.
                            if let Some(payload) = self.ahead[self.start..self.end].get(..buffer.len()) {
                                buffer.copy_from_slice(payload);
                                self.consume(buffer.len());
                                self.state = State::Header;
                                return Ok(Poll::Ready(Some(Frame { header, payload: buffer })));
                            }
                            self.state = State::Payload { header, buffer, filled: 0 };
                        }
                        Poll::Ready(Err(AcquireError::TooLarge { largest_bytes, .. })) => {
                            self.state = State::Skip(u64::from(header.length));
                            let length_max = largest_bytes.min(self.length_max);
                            return Err(self.error(FrameErrorKind::TooLong { header, length_max }));
                        }
                        Poll::Ready(Err(error)) => {
                            return Err(self.error(FrameErrorKind::Acquire { header, error }));
                        }
                        Poll::Pending => return Ok(Poll::Pending),
                    }
                }
                State::Payload { header, buffer, filled } => {
                    let rest = &mut buffer[*filled..];
                    let ready = rest.len().min(self.end - self.start);
                    rest[..ready].copy_from_slice(&self.ahead[self.start..self.start + ready]);
                    *filled += ready;
                    let whole = *filled == header.length as usize;
                    self.start += ready;
                    self.offset += ready as u64;
                    if !whole {
                        return Ok(Poll::Ready(None));
                    }
                    let State::Payload { header, buffer, .. } =
                        core::mem::replace(&mut self.state, State::Header)
                    else {
                        return Ok(Poll::Ready(None));
                    };
                    return Ok(Poll::Ready(Some(Frame { header, payload: buffer })));
                }
                State::Skip(left) => {
                    let ready = (*left).min((self.end - self.start) as u64);
                    *left -= ready;
                    let done = *left == 0;
                    self.consume(ready as usize);
                    if !done {
                        return Ok(Poll::Ready(None));
                    }
                    self.state = State::Header;
                }
                State::OutOfStep(header) => {
                    let header = *header;
                    return Err(self.error(FrameErrorKind::OutOfStep { header }));
                }
            }
        }
    }

    /// Refuses a header before anything is taken for it.
    fn check(&mut self, header: Header) -> Result<(), FrameError> {
        if header.type_id == 0 {
            self.state = State::OutOfStep(header);
            return Err(self.error(FrameErrorKind::OutOfStep { header }));
        }
        if header.unknown_critical_flags() != 0 {
            self.state = State::Skip(u64::from(header.length));
            return Err(self.error(FrameErrorKind::CriticalFlags { header }));
        }
        if header.length as usize > self.length_max {
            self.state = State::Skip(u64::from(header.length));
            return Err(self.error(FrameErrorKind::TooLong { header, length_max: self.length_max }));
        }
        Ok(())
    }

    fn consume(&mut self, n: usize) {
        self.start += n;
        self.offset += n as u64;
    }

    /// Where the next bytes of the stream belong: first into the rest of a payload, if one is being filled, then into the read-ahead.
    /// The second place is never empty.
    pub(crate) fn places(&mut self) -> (Option<&mut [u8]>, &mut [u8]) {
        // After `advance` at most the beginning of a header is left: its move is a few bytes.
        self.ahead.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let ahead = &mut self.ahead[self.end..];
        match &mut self.state {
            State::Payload { buffer, filled, .. } => (Some(&mut buffer[*filled..]), ahead),
            _ => (None, ahead),
        }
    }

    /// `n` bytes were read into the places, the first of them first.
    pub(crate) fn filled(&mut self, n: usize) {
        let mut n = n;
        if let State::Payload { buffer, filled, .. } = &mut self.state {
            let direct = n.min(buffer.len() - *filled);
            *filled += direct;
            self.offset += direct as u64;
            n -= direct;
        }
        self.end = (self.end + n).min(self.ahead.len());
    }

    /// `n` bytes were read into the read-ahead, whatever the state.
    #[cfg(feature = "tokio")]
    pub(crate) fn filled_ahead(&mut self, n: usize) {
        self.end = (self.end + n).min(self.ahead.len());
    }

    /// The one place to read into, for streams that cannot read into two: `true` if it is the payload's.
    #[cfg(feature = "tokio")]
    pub(crate) fn place(&mut self) -> (bool, &mut [u8]) {
        match self.places() {
            (Some(rest), ahead) if rest.len() >= DIRECT_BYTES || rest.len() >= ahead.len() => (true, rest),
            (_, ahead) => (false, ahead),
        }
    }

    /// The stream ended: between two frames, or inside one.
    pub(crate) fn end_of_stream(&mut self) -> Result<Option<Frame>, FrameError> {
        let (header, expected, received) = match &self.state {
            State::Header if self.start == self.end => return Ok(None),
            State::Header | State::OutOfStep(_) => {
                (None, HEADER_BYTES as u64, (self.end - self.start) as u64)
            }
            State::Accepted(header) => (Some(*header), u64::from(header.length), 0),
            State::Payload { header, filled, .. } => {
                (Some(*header), u64::from(header.length), *filled as u64)
            }
            State::Skip(left) => (None, *left, 0),
        };
        if header.is_none() && !matches!(self.state, State::Skip(_)) {
            self.frame_offset = self.offset;
        }
        Err(self.error(FrameErrorKind::Truncated { header, expected, received }))
    }

    #[cold]
    pub(crate) fn error(&self, kind: FrameErrorKind) -> FrameError {
        FrameError { offset: self.frame_offset, kind }
    }
}

/// Reads one frame and not a byte more: first the header, then the payload straight into a buffer of the pool.
///
/// For a stream that others read too, or a single frame. Two reads a frame, and there is no way to make them one: how long the payload is stands in
/// the header, so whoever asks for both at once asks for bytes of the next frame, and has to keep them somewhere between two calls. A
/// [`FrameReader`] is that somewhere: where frames follow each other it takes a fifth of the processor time outside the kernel (over
/// loopback 80 to 86 % less than three allocations a frame; this function 25 to 48 %). It also survives an error or
/// a time-out in the middle, which this function does not: after an error that is not [in step](FrameError::is_in_step) the
/// stream has to be closed. A frame that is refused is read to its end and dropped, so that the stream is in step again.
///
/// `None` when the stream ends before the first byte of a header.
///
/// # Errors
/// See [`FrameErrorKind`].
///
/// ```
/// use bolt_tlv::{BufferPool, read_frame_pooled};
/// let pool = BufferPool::builder().with_size_class(128, 16).build();
/// let mut stream: &[u8] = &[7, 0, 1, 0, 2, 0, 0, 0, 0xAA, 0xBB];
/// let frame = read_frame_pooled(&mut stream, &pool)?.expect("one frame");
/// assert_eq!((frame.type_id(), &frame.payload[..]), (7, &[0xAA, 0xBB][..]));
/// assert!(read_frame_pooled(&mut stream, &pool)?.is_none());
/// # Ok::<(), bolt_tlv::FrameError>(())
/// ```
pub fn read_frame_pooled<S, A>(stream: &mut S, mut pool: A) -> Result<Option<Frame>, FrameError>
where
    S: Read + ?Sized,
    A: Acquire,
{
    let mut bytes = [0; HEADER_BYTES];
    let received = read_up_to(stream, &mut bytes)?;
    if received == 0 {
        return Ok(None);
    }
    if received < HEADER_BYTES {
        let kind = FrameErrorKind::Truncated {
            header: None,
            expected: HEADER_BYTES as u64,
            received: received as u64,
        };
        return Err(FrameError { offset: 0, kind });
    }
    let header = Header::from_bytes(bytes);
    let buffer = match check_and_acquire(header, &mut pool) {
        Ok(buffer) => buffer,
        Err(kind) => {
            if !matches!(kind, FrameErrorKind::OutOfStep { .. }) {
                skip(stream, header)?;
            }
            return Err(FrameError { offset: 0, kind });
        }
    };
    let mut frame = Frame { header, payload: buffer };
    let received = read_up_to(stream, &mut frame.payload)?;
    if received < frame.payload.len() {
        let expected = u64::from(header.length);
        let kind = FrameErrorKind::Truncated { header: Some(header), expected, received: received as u64 };
        return Err(FrameError { offset: 0, kind });
    }
    Ok(Some(frame))
}

/// What a header by itself says, and a buffer for its payload.
pub(crate) fn check_and_acquire(
    header: Header,
    pool: &mut impl Acquire,
) -> Result<PooledBuffer, FrameErrorKind> {
    if header.type_id == 0 {
        return Err(FrameErrorKind::OutOfStep { header });
    }
    if header.unknown_critical_flags() != 0 {
        return Err(FrameErrorKind::CriticalFlags { header });
    }
    pool.acquire(header.length as usize).map_err(|error| match error {
        AcquireError::TooLarge { largest_bytes, .. } => {
            FrameErrorKind::TooLong { header, length_max: largest_bytes }
        }
        error => FrameErrorKind::Acquire { header, error },
    })
}

/// Reads until `out` is full or the stream ends; says how much.
fn read_up_to<S: Read + ?Sized>(stream: &mut S, out: &mut [u8]) -> Result<usize, FrameError> {
    let mut received = 0;
    while received < out.len() {
        match stream.read(&mut out[received..]) {
            Ok(0) => break,
            Ok(n) => received += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FrameError { offset: 0, kind: FrameErrorKind::Io(error) }),
        }
    }
    Ok(received)
}

/// Reads a refused payload to its end.
fn skip<S: Read + ?Sized>(stream: &mut S, header: Header) -> Result<(), FrameError> {
    let mut left = u64::from(header.length);
    let mut scratch = [0; 1024];
    while left > 0 {
        let n = left.min(scratch.len() as u64) as usize;
        let received = read_up_to(stream, &mut scratch[..n])?;
        if received < n {
            let kind =
                FrameErrorKind::Truncated { header: Some(header), expected: left, received: received as u64 };
            return Err(FrameError { offset: 0, kind });
        }
        left -= n as u64;
    }
    Ok(())
}

/// Writes one frame: header and payload side by side in one vectored write, so that nothing is put together first.
///
/// # Errors
/// What the stream says; or `InvalidInput` when `header.length` is not the payload's, and nothing was written.
pub fn write_frame<S: Write + ?Sized>(stream: &mut S, header: Header, payload: &[u8]) -> io::Result<()> {
    check_length(header, payload)?;
    let bytes = header.to_bytes();
    let mut slices = [IoSlice::new(&bytes), IoSlice::new(payload)];
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match stream.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut left, n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        // An empty payload leaves an empty slice, which no write would ever take away.
        if left.iter().all(|slice| slice.is_empty()) {
            break;
        }
    }
    Ok(())
}

pub(crate) fn check_length(header: Header, payload: &[u8]) -> io::Result<()> {
    if header.length as usize == payload.len() {
        return Ok(());
    }
    let text = std::format!("the header says {} bytes and the payload has {}", header.length, payload.len());
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Encodes a message into a pooled buffer and writes it as one frame.
///
/// # Errors
/// The message does not fit its schema or the pool has no buffer (`InvalidInput` with an [`EncodeError`] inside; nothing was
/// written), or what the stream says.
pub fn write_message<S: Write + ?Sized, M: Message>(
    stream: &mut S,
    pool: &BufferPool,
    message: &M,
) -> io::Result<()> {
    let payload = message.encode_pooled(pool).map_err(invalid_input)?;
    write_frame(stream, M::header(payload.len()), &payload)
}

pub(crate) fn invalid_input(error: EncodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Why no frame was read, and where in the stream.
#[derive(Debug)]
pub struct FrameError {
    /// Offset of the frame's header, counted from where the reader began.
    pub offset: u64,
    /// What went wrong.
    pub kind: FrameErrorKind,
}

/// What is wrong with a frame or its stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum FrameErrorKind {
    /// The stream failed. A [`FrameReader`] goes on where it was when called again.
    Io(io::Error),
    /// The stream ended inside a frame. The peer is gone.
    Truncated {
        /// The header, if it was read.
        header: Option<Header>,
        /// Bytes that were expected of the header, the payload, or what was to be skipped.
        expected: u64,
        /// Bytes of them that came.
        received: u64,
    },
    /// The payload is longer than any buffer, or than the reader allows. No buffer was taken; the frame is skipped.
    TooLong {
        /// The frame's header.
        header: Header,
        /// The most that would have been accepted.
        length_max: usize,
    },
    /// Flags that must be understood and are not. The frame is skipped.
    CriticalFlags {
        /// The frame's header.
        header: Header,
    },
    /// Type id 0, which no message has: these bytes are no header. Close the stream.
    OutOfStep {
        /// What was read as a header.
        header: Header,
    },
    /// The pool has no buffer. A [`FrameReader`] tries again when called again; [`FrameReader::skip_frame`] gives the frame up.
    Acquire {
        /// The frame's header.
        header: Header,
        /// Why there is none.
        error: AcquireError,
    },
}

impl FrameError {
    /// Whether the next call reads the next frame (or tries this one again) as if nothing had happened.
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        match self.kind {
            FrameErrorKind::Io(_) | FrameErrorKind::Truncated { .. } | FrameErrorKind::OutOfStep { .. } => {
                false
            }
            FrameErrorKind::TooLong { .. }
            | FrameErrorKind::CriticalFlags { .. }
            | FrameErrorKind::Acquire { .. } => true,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame at stream offset {}: ", self.offset)?;
        match &self.kind {
            FrameErrorKind::Io(error) => write!(f, "{error}"),
            FrameErrorKind::Truncated { header, expected, received } => {
                match header {
                    Some(header) => write!(f, "payload of message type {}", header.type_id)?,
                    None => write!(f, "header or skipped bytes")?,
                }
                write!(f, ": expected {expected} bytes, the stream ended after {received}")
            }
            FrameErrorKind::TooLong { header, length_max } => write!(
                f,
                "message type {} announces {} bytes, at most {length_max} are accepted; the frame is skipped",
                header.type_id, header.length
            ),
            FrameErrorKind::CriticalFlags { header } => write!(
                f,
                "message type {} has flags {:#04x} that must be understood; the frame is skipped",
                header.type_id,
                header.unknown_critical_flags()
            ),
            FrameErrorKind::OutOfStep { header } => write!(
                f,
                "expected a header, found type id 0 (length {}); the stream is out of step, close it",
                header.length
            ),
            FrameErrorKind::Acquire { header, error } => {
                write!(f, "no buffer for message type {}: {error}", header.type_id)
            }
        }
    }
}

impl core::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.kind {
            FrameErrorKind::Io(error) => Some(error),
            FrameErrorKind::Acquire { error, .. } => Some(error),
            _ => None,
        }
    }
}
