//! The listener: it accepts, counts and ends connections, one thread each.
//!
//! Owns the list of live connections and the way they are all stopped. Never reads or writes a byte of the protocol.
//! Limits: [`ServerConfig::connections_max`] served at once, [`REFUSALS_MAX`] more being told that there is no room,
//! the rest closed unheard; two threads a connection, one before it has logged in.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::connection::{self, Admission, Context};
use crate::inbox::Inbox;
use crate::{Backend, ServerConfig, StopReason};

/// Connections beyond the limit that are heard out only to be told so, at once.
pub const REFUSALS_MAX: usize = 16;

/// Stack of a connection's threads. Nothing here recurses; what an embedded engine needs is most of it.
const STACK_BYTES: usize = 2 << 20;

/// A pause after `accept` failed for want of descriptors or memory, so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A Bolt server on a listening socket. Made by [`bind`](Self::bind), run by [`serve`](Self::serve) or
/// [`spawn`](Self::spawn).
///
/// ```
/// use bolt_server::generated::GeneratedBackend;
/// use bolt_server::{Credentials, Server, ServerConfig};
///
/// let backend = GeneratedBackend::new(Credentials::user("neo4j", "secret"));
/// let server = Server::bind("127.0.0.1:0", ServerConfig::default(), backend)?.spawn()?;
/// println!("bolt://{}", server.handle().local_addr());
/// server.shutdown();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Server<B> {
    listener: TcpListener,
    config: ServerConfig,
    backend: B,
    shared: Arc<Shared>,
}

/// A connection as the rest of the server sees it.
struct Live {
    stream: Arc<TcpStream>,
    inbox: Inbox,
    refused: bool,
}

#[derive(Default)]
struct Registry {
    stopping: bool,
    next_id: u64,
    live: HashMap<u64, Live>,
}

struct Shared {
    address: SocketAddr,
    registry: Mutex<Registry>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Registry> {
        // Every change is a single insertion, removal or store: a panic elsewhere leaves nothing half done.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Backend> Server<B> {
    /// Listens on an address; port 0 takes a free one. Connections wait until the server is run.
    ///
    /// # Errors
    /// The address cannot be bound, or (`InvalidInput`) the configuration cannot work: see [`ServerConfig::check`].
    pub fn bind(address: impl ToSocketAddrs, config: ServerConfig, backend: B) -> io::Result<Self> {
        config.check().map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        let listener = TcpListener::bind(address)?;
        let shared = Shared { address: listener.local_addr()?, registry: Mutex::default() };
        Ok(Server { listener, config, backend, shared: Arc::new(shared) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// What stops the server from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until [`ServerHandle::shutdown`], then ends every connection and waits for its threads.
    ///
    /// A panic in the backend ends the connection it happened on, and no other.
    pub fn serve(self) {
        let Server { listener, config, backend, shared } = self;
        let context = Context::new(&config, &backend, shared.address);
        thread::scope(|scope| {
            loop {
                let accepted = listener.accept();
                if shared.lock().stopping {
                    break;
                }
                let Ok((stream, peer)) = accepted else {
                    thread::sleep(ACCEPT_PAUSE);
                    continue;
                };
                let Some((entry, admission)) = Entry::new(&shared, &config, stream) else { continue };
                let context = &context;
                // A thread that cannot be had drops the closure, and with it the entry and the socket.
                let _ = thread::Builder::new()
                    .name(format!("bolt-{}", entry.id))
                    .stack_size(STACK_BYTES)
                    .spawn_scoped(scope, move || {
                        let serve = || {
                            connection::serve(
                                context,
                                &entry.stream,
                                &entry.inbox,
                                entry.id,
                                peer,
                                admission,
                            );
                        };
                        let _ = catch_unwind(AssertUnwindSafe(serve));
                    });
            }
            // Accepted connections that wait in the backlog are closed with the listener.
            drop(listener);
        });
    }

    /// Serves on a thread of its own.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn spawn(self) -> io::Result<RunningServer> {
        let handle = self.handle();
        let thread = thread::Builder::new().name("bolt-accept".to_owned()).spawn(|| self.serve())?;
        Ok(RunningServer { handle, thread: Some(thread) })
    }
}

/// A connection's place among the live ones; leaves it when dropped, also by a panic.
struct Entry<'s> {
    shared: &'s Shared,
    id: u64,
    stream: Arc<TcpStream>,
    inbox: Inbox,
}

impl<'s> Entry<'s> {
    fn new(shared: &'s Shared, config: &ServerConfig, stream: TcpStream) -> Option<(Self, Admission)> {
        let stream = Arc::new(stream);
        let inbox = Inbox::new(config.queued_requests_max, config.queued_bytes_max);
        let mut registry = shared.lock();
        if registry.stopping {
            return None;
        }
        let refused_now = registry.live.values().filter(|live| live.refused).count();
        let refused = registry.live.len() - refused_now >= config.connections_max;
        if refused && refused_now >= REFUSALS_MAX {
            return None;
        }
        let id = registry.next_id;
        registry.next_id += 1;
        registry.live.insert(id, Live { stream: Arc::clone(&stream), inbox: inbox.clone(), refused });
        let admission = if refused { Admission::Refused } else { Admission::Served };
        Some((Entry { shared, id, stream, inbox }, admission))
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.shared.lock().live.remove(&self.id);
    }
}

/// Stops a [`Server`], and tells about it, from any thread. Cheap to clone.
#[derive(Clone)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

impl ServerHandle {
    /// Where the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// Connections being served now.
    pub fn connections(&self) -> usize {
        self.shared.lock().live.values().filter(|live| !live.refused).count()
    }

    /// Stops accepting, interrupts running queries, rolls their transactions back and closes every connection.
    /// Returns at once; [`Server::serve`] returns when all is done. May be called more than once.
    pub fn shutdown(&self) {
        {
            let mut registry = self.shared.lock();
            if registry.stopping {
                return;
            }
            registry.stopping = true;
            for live in registry.live.values() {
                live.inbox.close(StopReason::Shutdown);
                // Wakes a thread that is blocked in a read or a write. An error means it is closed already.
                let _ = live.stream.shutdown(Shutdown::Both);
            }
        }
        // `accept` has no time-out: a connection from ourselves wakes it.
        let mut address = self.shared.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    }
}

impl std::fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerHandle").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

/// A server on its own thread. Dropping it shuts it down and waits.
#[derive(Debug)]
pub struct RunningServer {
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl RunningServer {
    /// What stops the server from elsewhere.
    pub fn handle(&self) -> &ServerHandle {
        &self.handle
    }

    /// Shuts the server down and waits for every thread of it.
    pub fn shutdown(self) {}

    /// Waits until somebody else has shut it down.
    pub fn join(mut self) {
        self.wait();
    }

    fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Panics of backends are caught on their connections; the accepting thread has none of its own.
            let _ = thread.join();
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.handle.shutdown();
        }
        self.wait();
    }
}
