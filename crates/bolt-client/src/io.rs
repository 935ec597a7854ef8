//! The seam between the protocol and the machine: one read, one write, and the socket behind them.
//!
//! Owns the [`Io`] trait over which the connection's body is written once as async code, the blocking TCP socket, and
//! the driver that runs that body without a runtime. Never interprets a byte. Limits: the blocking socket's futures
//! are ready when polled, so the driver polls exactly once; a future that waits there is a bug, reported, not spun on.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bolt_buf::BoltBuf;

use crate::cancel::Interrupt;
use crate::error::{Error, Reason};

/// The two directions of one connection.
///
/// An implementation waits for the machine and for nothing else. Dropping a future of `read` before it is ready must
/// lose no bytes; dropping one of `write_all` ends the connection, since a message may be out in part.
pub trait Io: Send {
    /// Reads once, as many bytes as have come, into the free tail of `into`; 0 means the other end has closed.
    ///
    /// # Errors
    /// `TimedOut` (or `WouldBlock`) when nothing came for as long as `patience`; otherwise what the socket says.
    fn read(
        &mut self,
        into: &mut BoltBuf,
        patience: Option<Duration>,
    ) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes all of `bytes`; `patience` is the longest wait without progress.
    ///
    /// # Errors
    /// As for `read`.
    fn write_all(
        &mut self,
        bytes: &[u8],
        patience: Option<Duration>,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// A second pair of hands on the outgoing direction, for RESET from another thread.
    ///
    /// # Errors
    /// When the socket cannot be shared.
    fn interrupt(&self) -> io::Result<Box<dyn Interrupt>>;

    /// Closes both directions. Best effort: there is nobody to tell.
    fn close(&mut self);
}

/// A blocking TCP socket with TCP_NODELAY.
#[derive(Debug)]
pub struct TcpIo {
    stream: TcpStream,
    // What the socket was last told, so that a steady stream costs no system call for its timeouts.
    read_patience: Option<Duration>,
    write_patience: Option<Duration>,
}

impl TcpIo {
    /// Takes over a connected socket and turns Nagle's algorithm off: a flight is one write already, and waiting for
    /// an acknowledgement before the next only adds a round trip.
    ///
    /// # Errors
    /// When the socket does not take its options.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        Ok(TcpIo { stream, read_patience: None, write_patience: None })
    }

    /// Connects to the first address of `host` that answers. Each gets an equal share of the time that is left.
    pub(crate) fn connect(host: &str, port: u16, patience: Option<Duration>) -> Result<Self, Error> {
        let addresses: Vec<SocketAddr> = match (host, port).to_socket_addrs() {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                return Err(Error::new(
                    Reason::Unreachable,
                    format!("the name {host:?} cannot be resolved: {error}; check its spelling and your DNS"),
                )
                .with_source(error));
            }
        };
        let started = Instant::now();
        let mut tried = String::new();
        let mut last = None;
        for (index, address) in addresses.iter().enumerate() {
            let attempt = match patience {
                None => TcpStream::connect(address),
                Some(patience) => {
                    let left = patience.saturating_sub(started.elapsed());
                    let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
                    if share.is_zero() {
                        Err(io::ErrorKind::TimedOut.into())
                    } else {
                        TcpStream::connect_timeout(address, share)
                    }
                }
            };
            match attempt.and_then(TcpIo::new) {
                Ok(io) => return Ok(io),
                Err(error) => {
                    if !tried.is_empty() {
                        tried.push_str("; ");
                    }
                    tried.push_str(&format!("{address}: {error}"));
                    last = Some(error);
                }
            }
        }
        let timed_out = last.as_ref().is_some_and(is_timeout);
        let advice = if timed_out {
            "is a firewall in between, or is Config::connect_timeout too short?"
        } else {
            "is the server running, and is this its Bolt port?"
        };
        let reason = if timed_out { Reason::TimedOut } else { Reason::Unreachable };
        let error = Error::new(reason, format!("no connection to {host}:{port} ({tried}): {advice}"));
        Err(match last {
            Some(last) => error.with_source(last),
            None => error,
        })
    }

    fn read_now(&mut self, into: &mut BoltBuf, patience: Option<Duration>) -> io::Result<usize> {
        if self.read_patience != patience {
            self.stream.set_read_timeout(at_least_a_tick(patience))?;
            self.read_patience = patience;
        }
        loop {
            match into.fill_from(&mut Once(&self.stream)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn write_now(&mut self, bytes: &[u8], patience: Option<Duration>) -> io::Result<()> {
        if self.write_patience != patience {
            self.stream.set_write_timeout(at_least_a_tick(patience))?;
            self.write_patience = patience;
        }
        (&self.stream).write_all(bytes)
    }
}

/// One `read` of a socket that is only borrowed.
struct Once<'a>(&'a TcpStream);

impl Read for Once<'_> {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&mut self.0).read(into)
    }
}

impl Io for TcpIo {
    fn read(
        &mut self,
        into: &mut BoltBuf,
        patience: Option<Duration>,
    ) -> impl Future<Output = io::Result<usize>> + Send {
        std::future::ready(self.read_now(into, patience))
    }

    fn write_all(
        &mut self,
        bytes: &[u8],
        patience: Option<Duration>,
    ) -> impl Future<Output = io::Result<()>> + Send {
        std::future::ready(self.write_now(bytes, patience))
    }

    fn interrupt(&self) -> io::Result<Box<dyn Interrupt>> {
        Ok(Box::new(TcpInterrupt(self.stream.try_clone()?)))
    }

    fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

struct TcpInterrupt(TcpStream);

impl Interrupt for TcpInterrupt {
    fn write_now(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}

/// A socket takes no timeout of zero (it would mean none), so the shortest is a millisecond.
fn at_least_a_tick(patience: Option<Duration>) -> Option<Duration> {
    patience.map(|patience| patience.max(Duration::from_millis(1)))
}

pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// Runs a future whose I/O blocks: polls it once.
#[inline]
pub(crate) fn drive<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(result) => result,
        Poll::Pending => {
            Err(Error::internal("a blocking read or write was not ready when it returned").fatal())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_future_that_waits_is_reported_and_not_spun_on() {
        let error = drive(std::future::pending::<Result<(), Error>>()).unwrap_err();
        assert_eq!(error.reason(), Reason::Internal);
        assert!(!error.is_connection_usable());
    }

    #[test]
    fn a_closed_port_names_each_address_and_what_to_check() {
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let error = TcpIo::connect("127.0.0.1", port, Some(Duration::from_secs(5))).unwrap_err();
        assert_eq!(error.reason(), Reason::Unreachable);
        let message = error.to_string();
        assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
        assert!(message.contains("is the server running"), "{message}");
        assert!(error.is_retryable() && !error.is_connection_usable());
    }

    #[test]
    fn a_name_without_an_address_is_said_to_be_one() {
        let error = TcpIo::connect("no-such-host.invalid", 7687, None).unwrap_err();
        assert_eq!(error.reason(), Reason::Unreachable);
        assert!(error.to_string().contains("cannot be resolved"), "{error}");
    }
}
