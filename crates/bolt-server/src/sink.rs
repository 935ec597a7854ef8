//! Where answers go: a bounded buffer of whole messages in front of the socket, and the backend's view of it.
//!
//! Owns the send buffer and every `write`. Never reads. A slow client blocks the `write`, and with it whoever
//! produces records, so that nothing piles up. Limits: the buffer is written out at [`WRITE_AT_BYTES`], and a single
//! record may be as large as [`ServerConfig::message_bytes_max`](crate::ServerConfig::message_bytes_max).

use std::io::{self, IoSlice, Write};
use std::net::TcpStream;
use std::sync::Arc;

use bolt_buf::{BoltBuf, BufConfig, Cycle};
use bolt_wire::chunk::MessageWriter;
use bolt_wire::response::record_header;
use bolt_wire::{Dialect, EncodeError, Encoder, Value};

use crate::{Failure, Interrupt, StopReason};

/// Buffered bytes that are worth a system call: beyond it a larger `write` is hardly cheaper per byte.
const WRITE_AT_BYTES: usize = 64 << 10;

/// Writes the values of one record. See [`RecordSink::record`].
pub type RecordEncoder<'e, 'o> = Encoder<'e, MessageWriter<'o, BoltBuf>>;

/// The send side of one connection.
pub(crate) struct Outbox {
    stream: Arc<TcpStream>,
    buf: BoltBuf,
    /// The first error of the socket; after it everything is dropped unsent.
    broken: Option<io::ErrorKind>,
}

impl Outbox {
    pub(crate) fn new(stream: Arc<TcpStream>, message_bytes_max: usize) -> Self {
        // The largest message, its chunk headers, and what may wait before it.
        let most = message_bytes_max + (message_bytes_max >> 12) + 2 * WRITE_AT_BYTES;
        let config = BufConfig { max_capacity_bytes: most, ..BufConfig::default() }.normalized();
        Outbox { stream, buf: BoltBuf::with_config(config), broken: None }
    }

    /// Appends one message.
    pub(crate) fn message(
        &mut self,
        dialect: Dialect,
        write: impl FnOnce(&mut RecordEncoder<'_, '_>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut message = MessageWriter::begin(&mut self.buf)?;
        write(&mut Encoder::new(&mut message, dialect))?;
        message.finish().map(|_| ())
    }

    /// The buffer, for encoders that frame their messages themselves.
    pub(crate) fn buf(&mut self) -> &mut BoltBuf {
        &mut self.buf
    }

    /// Sends bytes that are no message.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.framed(bytes);
        self.flush();
    }

    /// Appends bytes as they are; large ones go straight to the socket, in one call with what waited before them.
    fn framed(&mut self, bytes: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        if self.buf.len() + bytes.len() <= WRITE_AT_BYTES && self.buf.append(bytes).is_ok() {
            return;
        }
        let waiting = self.buf.len();
        let mut sent = 0;
        while sent < waiting + bytes.len() {
            let result = if sent < waiting {
                let parts = [IoSlice::new(&self.buf.read_slice()[sent..]), IoSlice::new(bytes)];
                (&*self.stream).write_vectored(&parts)
            } else {
                (&*self.stream).write(&bytes[sent - waiting..])
            };
            match result {
                Ok(0) => self.broken = Some(io::ErrorKind::WriteZero),
                Ok(n) => sent += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => self.broken = Some(e.kind()),
            }
            if self.broken.is_some() {
                break;
            }
        }
        self.buf.reset();
        self.buf.end_cycle(Cycle::Active);
    }

    /// Sends what waits.
    pub(crate) fn flush(&mut self) {
        if self.buf.is_empty() {
            return;
        }
        if self.broken.is_none()
            && let Err(e) = (&*self.stream).write_all(self.buf.read_slice())
        {
            self.broken = Some(e.kind());
        }
        self.buf.reset();
        self.buf.end_cycle(Cycle::Active);
    }

    /// Sends what waits if it is worth it.
    pub(crate) fn flush_if_large(&mut self) {
        if self.buf.len() >= WRITE_AT_BYTES {
            self.flush();
        }
    }

    /// A tick in which nothing happened: memory that was needed once is given back.
    pub(crate) fn idle(&mut self) {
        self.buf.end_cycle(Cycle::Idle);
    }

    /// Treats the connection as lost: what was to be sent cannot be.
    pub(crate) fn give_up(&mut self) {
        self.broken.get_or_insert(io::ErrorKind::OutOfMemory);
    }

    /// The address the client reached.
    pub(crate) fn local_address(&self) -> Option<std::net::SocketAddr> {
        self.stream.local_addr().ok()
    }

    /// Whether the socket has failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }
}

/// Takes the records of one PULL. Records are buffered up to 64 KiB and then written; the write blocks while the client
/// is slow.
pub struct RecordSink<'a> {
    pub(crate) out: &'a mut Outbox,
    pub(crate) dialect: Dialect,
    pub(crate) width: usize,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) records: u64,
}

impl RecordSink<'_> {
    /// Sends one record: `write` encodes as many values as the result has columns.
    ///
    /// Cost: no allocation once the buffer has grown to its working size; a `write` call each 64 KiB. What the
    /// version cannot carry, the encoder refuses; [`dialect`](Self::dialect) tells beforehand.
    ///
    /// # Errors
    /// What `write` says, a record beyond the size limit, or a reason to stop (see [`Interrupt`]): return it.
    pub fn record(
        &mut self,
        write: impl FnOnce(&mut RecordEncoder<'_, '_>) -> Result<(), EncodeError>,
    ) -> Result<(), Failure> {
        let width = self.width;
        self.out.message(self.dialect, |e| {
            record_header(e, width)?;
            write(e)
        })?;
        self.records += 1;
        if self.out.buf.len() >= WRITE_AT_BYTES { self.flush() } else { Ok(()) }
    }

    /// Sends one record of owned values.
    ///
    /// # Errors
    /// As [`record`](Self::record), and when there are not as many values as columns.
    pub fn values(&mut self, values: &[Value]) -> Result<(), Failure> {
        if values.len() != self.width {
            return Err(Failure::new(
                "Neo.DatabaseError.Statement.ExecutionFailed",
                format!("a record of {} values was made for {} columns", values.len(), self.width),
            ));
        }
        self.record(|e| values.iter().try_for_each(|value| e.encode(value)))
    }

    /// Sends records that are encoded and framed already, as fast as the socket takes them.
    ///
    /// `bytes` must be `records` whole RECORD messages with chunk headers, each of as many values as there are columns,
    /// in this connection's [`dialect`](Self::dialect). Nothing checks that; wrong bytes make the client give up.
    /// A call is sent whole before the interrupt is looked at: some 100 KiB a call keep RESET quick.
    ///
    /// # Errors
    /// A reason to stop: return it.
    pub fn framed(&mut self, bytes: &[u8], records: u64) -> Result<(), Failure> {
        self.out.framed(bytes);
        self.records += records;
        self.go_on()
    }

    /// Sends what is buffered now rather than when there is more: before work that takes long, so that the client
    /// sees what was answered until now.
    ///
    /// # Errors
    /// A reason to stop: return it.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush();
        self.go_on()
    }

    fn go_on(&self) -> Result<(), Failure> {
        if self.out.is_broken() { Err(StopReason::Disconnected.failure()) } else { self.interrupt.check() }
    }

    /// What this connection's version can carry.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// How many columns the result has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many records were given in this batch.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The token that tells when to stop.
    pub fn interrupt(&self) -> &Interrupt {
        self.interrupt
    }
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Full { .. } => Failure::new(
                "Neo.TransientError.General.MemoryPoolOutOfMemoryError",
                format!("The record is larger than this server sends: {error}."),
            ),
            _ => Failure::wrong_type(format!("The value cannot be sent: {error}.")),
        }
    }
}

impl From<bolt_wire::DecodeError> for Failure {
    fn from(error: bolt_wire::DecodeError) -> Self {
        Failure::wrong_type(format!("The value cannot be read: {error}."))
    }
}
