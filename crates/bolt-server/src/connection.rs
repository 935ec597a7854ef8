//! One connection's life: handshake, login, requests in order until it ends.
//!
//! Owns the reading of the socket and the two threads' division of work: before login one thread does all, under one
//! deadline; afterwards a second one reads, so that a RESET is seen while a query runs. Never decides what a request
//! means: that is the conversation's. Limits: all from [`ServerConfig`](crate::ServerConfig).

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bolt_buf::{BoltBuf, BufConfig, Cycle};
use bolt_wire::Version;
use bolt_wire::chunk::{Chunked, Dechunker};
use bolt_wire::handshake::{HandshakeError, HandshakeStep, ServerHandshake};

use crate::conversation::{Conversation, Flow};
use crate::inbox::{Inbox, Popped};
use crate::sink::Outbox;
use crate::{Backend, Failure, ServerConfig, StopReason};

/// Whether a connection was within the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Served,
    /// It is heard until HELLO, and told that there is no room.
    Refused,
}

/// What all connections of a server share.
pub(crate) struct Context<'s, B> {
    pub(crate) config: &'s ServerConfig,
    pub(crate) backend: &'s B,
    pub(crate) address: SocketAddr,
    /// Transactions committed so far: the number in the last bookmark.
    pub(crate) commits: Mutex<u64>,
}

impl<'s, B: Backend> Context<'s, B> {
    pub(crate) fn new(config: &'s ServerConfig, backend: &'s B, address: SocketAddr) -> Self {
        Context { config, backend, address, commits: Mutex::new(0) }
    }
}

/// A tick of a connection on which nothing happens. After [`IDLE_TICKS`] of them its buffers are as small as they get,
/// and its threads sleep until there is something to do.
const IDLE_TICK: Duration = Duration::from_secs(1);
const IDLE_TICKS: u32 = 40;

/// How long a connection that the server ends is read on, so that the reason arrives before the reset that unread
/// bytes would cause.
const LINGER: Duration = Duration::from_millis(500);

/// How long a connection refused for want of room may take to be told so.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Told to browsers and the like.
const HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 58\r\n\
    Connection: close\r\n\r\nThis port speaks Bolt, not HTTP. Use bolt://host:port URIs";

const _: () = assert!(b"This port speaks Bolt, not HTTP. Use bolt://host:port URIs".len() == 58);

/// Serves a connection to its end.
pub(crate) fn serve<B: Backend>(
    context: &Context<'_, B>,
    stream: &Arc<TcpStream>,
    inbox: &Inbox,
    id: u64,
    peer: SocketAddr,
    admission: Admission,
) {
    let config = context.config;
    let timeout = match admission {
        Admission::Served => config.login_timeout,
        Admission::Refused => config.login_timeout.min(REFUSAL_TIMEOUT),
    };
    let deadline = Instant::now() + timeout;
    // A socket that refuses these is dead, and the first read says so.
    let _ = stream.set_nodelay(true);
    let _ = stream.set_write_timeout(Some(config.write_timeout.unwrap_or(timeout).min(timeout)));

    let mut inlet = Inlet::new(stream, config.message_bytes_max);
    let mut outbox = Outbox::new(Arc::clone(stream), config.message_bytes_max);
    let Some((version, manifest)) = inlet.handshake(config, &mut outbox, deadline) else {
        linger(stream, inlet.buf);
        return;
    };
    let mut conversation = Conversation::new(context, inbox, outbox, id, peer, version, manifest, admission);

    // Until it has logged in, a connection costs one thread and a small message.
    while !conversation.is_logged_in() {
        let flow = match inlet.next(config.login_message_bytes_max, Some(deadline)) {
            Inbound::Message { start, end, consumed } => {
                let flow = conversation.serve(&inlet.buf.read_slice()[start..end]);
                inlet.buf.consume(consumed);
                flow
            }
            Inbound::TooLarge(failure) => conversation.end(&failure),
            Inbound::Idle => Flow::Continue,
            Inbound::Closed => return,
        };
        conversation.outbox().flush();
        if flow == Flow::Close || conversation.outbox().is_broken() {
            linger(stream, inlet.buf);
            return;
        }
    }
    let _ = stream.set_write_timeout(config.write_timeout);

    thread::scope(|scope| {
        let reader = thread::Builder::new()
            .name(format!("bolt-{id}-read"))
            .stack_size(128 << 10)
            .spawn_scoped(scope, move || read(inlet, inbox, config.message_bytes_max));
        if reader.is_ok() {
            // A panic in the backend must still wake the reader, or the scope would wait for it for ever.
            let _guard = EndReader { stream, inbox };
            converse(config, &mut conversation, inbox);
        }
    });
}

/// Serves what the reader queues, until either side ends it.
fn converse<B: Backend>(config: &ServerConfig, conversation: &mut Conversation<'_, B>, inbox: &Inbox) {
    let mut idle_ticks = 0;
    let mut idle_since = Instant::now();
    loop {
        let message = match inbox.try_pop() {
            Some(message) => message,
            None => {
                conversation.outbox().flush();
                if conversation.outbox().is_broken() {
                    return;
                }
                let tick = (idle_ticks < IDLE_TICKS).then(|| Instant::now() + IDLE_TICK);
                let idle_end = config.idle_timeout.map(|timeout| idle_since + timeout);
                let login_end = conversation.login_deadline();
                let wake = [tick, idle_end, login_end].into_iter().flatten().min();
                match inbox.pop(wake) {
                    Popped::Request(message) => message,
                    Popped::TimedOut => {
                        let passed = |end: Option<Instant>| end.is_some_and(|end| Instant::now() >= end);
                        if passed(idle_end) || passed(login_end) {
                            return;
                        }
                        idle_ticks += 1;
                        conversation.outbox().idle();
                        continue;
                    }
                    Popped::Closed => {
                        if let Some(failure) = inbox.take_failure() {
                            conversation.end(&failure);
                            conversation.outbox().flush();
                        }
                        return;
                    }
                }
            }
        };
        let flow = conversation.serve(&message);
        inbox.recycle(message);
        if flow == Flow::Close {
            conversation.outbox().flush();
            return;
        }
        conversation.outbox().flush_if_large();
        idle_ticks = 0;
        idle_since = Instant::now();
    }
}

/// Ends the reading thread when the serving one is done, by whatever way.
struct EndReader<'a> {
    stream: &'a TcpStream,
    inbox: &'a Inbox,
}

impl Drop for EndReader<'_> {
    fn drop(&mut self) {
        self.inbox.close(StopReason::Disconnected);
        // The client sees the end behind the last answer and closes in turn, which ends the reader.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.inbox.wait_reader_done(LINGER);
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// The reading thread: messages go to the inbox until the connection ends; then bytes are thrown away until the client
/// has closed.
fn read(mut inlet: Inlet<'_>, inbox: &Inbox, message_bytes_max: usize) {
    loop {
        match inlet.next(message_bytes_max, None) {
            Inbound::Message { start, end, consumed } => {
                let body = &inlet.buf.read_slice()[start..end];
                let taken = inbox.push(body, matches!(body, [0xB0, RESET, ..]));
                inlet.buf.consume(consumed);
                if !taken {
                    break;
                }
            }
            Inbound::TooLarge(failure) => {
                inbox.fail(failure);
                break;
            }
            Inbound::Idle => {}
            Inbound::Closed => {
                inbox.close(StopReason::Disconnected);
                break;
            }
        }
    }
    drain(inlet.stream, inlet.buf);
    inbox.reader_done();
}

const RESET: u8 = bolt_wire::request::RequestTag::Reset as u8;

/// Says that nothing more will be sent, and waits for the client to close.
fn linger(stream: &TcpStream, buf: BoltBuf) {
    let _ = stream.shutdown(Shutdown::Write);
    drain(stream, buf);
}

/// Throws away what still comes until the client closes, for a while.
fn drain(stream: &TcpStream, mut buf: BoltBuf) {
    let end = Instant::now() + LINGER;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        buf.reset();
        match buf.fill_from(&mut &*stream) {
            Ok(0) => return,
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// What the socket brought.
enum Inbound {
    /// A message: its body is at `start..end` of the unread bytes.
    Message {
        start: usize,
        end: usize,
        consumed: usize,
    },
    TooLarge(Failure),
    /// Nothing, for a tick.
    Idle,
    /// The end, an error, or the deadline.
    Closed,
}

/// The receive side of a connection.
struct Inlet<'s> {
    stream: &'s TcpStream,
    buf: BoltBuf,
    dechunker: Dechunker,
    idle_ticks: u32,
    timeout: Option<Duration>,
}

impl<'s> Inlet<'s> {
    fn new(stream: &'s TcpStream, message_bytes_max: usize) -> Self {
        // A message sent one byte a chunk takes three times its size while it is joined.
        let most = message_bytes_max.saturating_mul(3).saturating_add(64 << 10);
        let config = BufConfig { max_capacity_bytes: most, ..BufConfig::default() }.normalized();
        Inlet {
            stream,
            buf: BoltBuf::with_config(config),
            dechunker: Dechunker::new(),
            idle_ticks: 0,
            timeout: None,
        }
    }

    fn handshake(
        &mut self,
        config: &ServerConfig,
        outbox: &mut Outbox,
        deadline: Instant,
    ) -> Option<(Version, bool)> {
        let mut handshake = ServerHandshake::range(config.version_min, config.version_max).ok()?;
        if !config.manifest {
            handshake = handshake.without_manifest();
        }
        loop {
            match handshake.read(self.buf.read_slice(), outbox.buf()) {
                Ok(HandshakeStep::Done { version, consumed, manifest }) => {
                    self.buf.consume(consumed);
                    outbox.flush();
                    return Some((version, manifest));
                }
                Ok(HandshakeStep::NeedMore) => outbox.flush(),
                Err(HandshakeError::Http) => {
                    outbox.raw(HTTP_ANSWER);
                    return None;
                }
                Err(_) => {
                    outbox.flush();
                    return None;
                }
            }
            loop {
                match self.fill(Some(deadline)) {
                    Filled::Bytes => break,
                    Filled::Nothing => {}
                    Filled::End => return None,
                }
            }
        }
    }

    /// The next message. Without a deadline it waits for ever, but reports idle ticks at first.
    fn next(&mut self, message_bytes_max: usize, deadline: Option<Instant>) -> Inbound {
        loop {
            match self.dechunker.next(self.buf.read_slice_mut(), message_bytes_max) {
                Ok(Chunked::Message { start, end, consumed }) => {
                    return Inbound::Message { start, end, consumed };
                }
                Ok(Chunked::Noop { consumed }) => {
                    self.buf.consume(consumed);
                    // Empty chunks are no way to stay for ever without logging in.
                    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        return Inbound::Closed;
                    }
                }
                Ok(Chunked::NeedMore { at_least }) => {
                    if self.buf.reserve(at_least).is_err() {
                        return Inbound::Closed;
                    }
                    match self.fill(deadline) {
                        Filled::Bytes => {}
                        Filled::Nothing => return Inbound::Idle,
                        Filled::End => return Inbound::Closed,
                    }
                }
                Err(error) => {
                    return Inbound::TooLarge(Failure::invalid_request(format!(
                        "The message is too large: {} bytes and more, this server takes {}.",
                        error.message_bytes, error.message_bytes_max
                    )));
                }
            }
        }
    }

    fn fill(&mut self, deadline: Option<Instant>) -> Filled {
        let timeout = match deadline {
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Filled::End;
                }
                Some(left)
            }
            None => (self.idle_ticks < IDLE_TICKS).then_some(IDLE_TICK),
        };
        if timeout != self.timeout {
            if self.stream.set_read_timeout(timeout).is_err() {
                return Filled::End;
            }
            self.timeout = timeout;
        }
        match self.buf.fill_from(&mut &*self.stream) {
            Ok(0) => Filled::End,
            Ok(_) => {
                self.idle_ticks = 0;
                Filled::Bytes
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Filled::Nothing,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                self.idle_ticks += 1;
                self.buf.end_cycle(Cycle::Idle);
                Filled::Nothing
            }
            Err(_) => Filled::End,
        }
    }
}

enum Filled {
    Bytes,
    Nothing,
    End,
}
