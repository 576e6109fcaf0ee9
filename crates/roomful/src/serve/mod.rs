//! Accepting connections: one single-threaded runtime per core, limits that hold from the first moment, a gentle stop.
//!
//! `axum::serve` works too, for any of this library's services. What this adds: a deadline for the request's head that
//! runs from `accept` on (hyper's own starts with the first byte), bounded heads, the checks of RFC 9112 that hyper leaves
//! to its user, and *shards*: each core has its own event loop and listener, and all WebSockets of one URL live on one of
//! them, so that a room's messages pile up in one place and leave in one write.

mod count;
mod http1;

use std::future::Future;
use std::hash::Hash;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ahash::RandomState;
use axum::body::Body;
use axum::response::IntoResponse;
use http::Request;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tower::Service;

use crate::audience::{Audience, Flusher};
use count::Connections;
pub use count::Counters;

/// What a server allows one HTTP connection. Every field has a default that runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpLimits {
    /// How long a request's head may take, from the moment the connection is accepted. 10 s.
    pub head_timeout: Duration,
    /// How long a connection may wait for its next request. 60 s.
    pub keep_alive: Duration,
    /// The largest head, in bytes: 16 KiB, at least 8 KiB; a larger one is answered with 431.
    pub max_head_bytes: usize,
    /// The most header fields: 100; more are answered with 431.
    pub max_headers: usize,
    /// Connections altogether, WebSockets included; further ones wait to be accepted. Unlimited.
    pub max_connections: usize,
    /// Connections from one address, WebSockets included; further ones are closed at once. Unlimited.
    pub max_connections_per_address: usize,
    /// How long requests may go on after the server was told to stop. 10 s.
    pub drain_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            max_head_bytes: 16 * 1024,
            max_headers: 100,
            max_connections: usize::MAX,
            max_connections_per_address: usize::MAX,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// The event loops of a [`Server`], kept in every request's extensions.
#[derive(Clone, Debug)]
pub struct Shards {
    homes: Arc<[Home]>,
    hasher: RandomState,
}

/// The event loop where a connection shall live. Put into a request's extensions it overrides the choice by path.
#[derive(Clone, Debug)]
pub struct Home(Flusher);

impl Shards {
    fn new(handles: impl Iterator<Item = Handle>) -> Self {
        Self {
            homes: handles.map(Home::from).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The home of everything that has this key: a room's name, a path.
    pub fn home(&self, key: &(impl Hash + ?Sized)) -> Home {
        let index = self.hasher.hash_one(key) % self.homes.len() as u64;
        self.homes[index as usize].clone()
    }
}

impl From<Handle> for Home {
    /// A home in a runtime that is no [`Server`]'s.
    fn from(handle: Handle) -> Self {
        Self(Flusher::new(handle))
    }
}

impl Home {
    /// The home of a request's connection: what a layer chose, or that of its path; none outside of a [`Server`].
    pub(crate) fn of(request: &http::request::Parts) -> Option<Self> {
        let chosen = request.extensions.get::<Self>().cloned();
        chosen.or_else(|| Some(request.extensions.get::<Shards>()?.home(request.uri.path())))
    }

    /// The runtime, for a task that belongs to the same key.
    pub fn handle(&self) -> &Handle {
        self.0.home()
    }

    /// An empty [`Audience`] of members that live here. All audiences of a home share one flush a turn: their writes go
    /// out together, in one system call where the system can do that.
    pub fn audience(&self) -> Audience {
        Audience::of(self.0.clone())
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle().spawn(task));
    }
}

/// Serves any tower service on a listener, in the tokio runtime that is running: what `axum::serve` does, with limits.
///
/// ```no_run
/// # async fn example(application: roomful::ProtocolTypeRouter) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
/// roomful::serve::serve(listener, application).await
/// # }
/// ```
///
/// # Errors
/// None in practice: a failed `accept` is logged and tried again.
pub async fn serve<S>(listener: TcpListener, service: S) -> io::Result<()>
where
    S: Service<Request<Body>, Error = std::convert::Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    let (_running, stop) = watch::channel(false);
    accept(
        listener,
        service,
        None,
        Connections::new(Arc::default(), Counters::default()),
        stop,
    )
    .await;
    Ok(())
}

/// A server with one event loop per core, bound and ready to run.
pub struct Server {
    listener: StdTcpListener,
    runtimes: Vec<Runtime>,
    shards: Shards,
    limits: Arc<HttpLimits>,
    counters: Counters,
}

impl Server {
    /// Listens on `address` with `threads` event loops.
    ///
    /// # Errors
    /// If the address cannot be listened on, or a runtime cannot be made.
    pub fn bind(address: impl ToSocketAddrs, threads: usize) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
        let mut bound = None;
        for address in address.to_socket_addrs()? {
            match listen(address) {
                Ok(listener) => {
                    bound = Some(listener);
                    break;
                }
                Err(error) => last = error,
            }
        }
        let listener = bound.ok_or(last)?;
        let runtimes = (0..threads.max(1))
            .map(|_| Builder::new_current_thread().enable_all().build())
            .collect::<io::Result<Vec<_>>>()?;
        let shards = Shards::new(runtimes.iter().map(|runtime| runtime.handle().clone()));
        Ok(Self {
            listener,
            runtimes,
            shards,
            limits: Arc::default(),
            counters: Counters::default(),
        })
    }

    /// Replaces the limits.
    #[must_use]
    pub fn limits(self, limits: HttpLimits) -> Self {
        Self {
            limits: Arc::new(limits),
            ..self
        }
    }

    /// Where it listens; with port 0, the port that was found.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The event loops, to place rooms and audiences on.
    pub fn shards(&self) -> &Shards {
        &self.shards
    }

    /// What becomes of its connections; to be kept, because [`run`](Self::run) takes the server.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Serves until `stop` resolves; then accepts nothing more, waits for `drain` and for the requests under way, at most
    /// [`HttpLimits::drain_timeout`], and returns. Connections that are left are dropped.
    ///
    /// Blocks the calling thread, which becomes one of the event loops.
    ///
    /// # Errors
    /// If a listener cannot be made for each event loop.
    pub fn run<S>(
        self,
        service: S,
        stop: impl Future<Output = ()> + Send + 'static,
        drain: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()>
    where
        S: Service<Request<Body>, Error = std::convert::Infallible> + Clone + Send + 'static,
        S::Response: IntoResponse,
        S::Future: Send,
    {
        let address = self.local_addr()?;
        let (stopping, stopped) = watch::channel(false);
        let (draining, drained) = watch::channel(false);
        let mut listeners = vec![self.listener];
        for _ in 1..self.runtimes.len() {
            listeners.push(listen(address)?);
        }
        let connections = Connections::new(Arc::clone(&self.limits), self.counters);
        let mut shards = Vec::new();
        let services = std::iter::repeat_n(service, listeners.len());
        for ((runtime, listener), service) in self.runtimes.into_iter().zip(listeners).zip(services)
        {
            let (connections, extension) = (connections.clone(), self.shards.clone());
            let (stopped, mut drained) = (stopped.clone(), drained.clone());
            shards.push(move || {
                runtime.block_on(async move {
                    let listener = TcpListener::from_std(listener)?;
                    accept(listener, service, Some(extension), connections, stopped).await;
                    // The other event loops may still have work that needs this one.
                    let _ = drained.wait_for(|drained| *drained).await;
                    io::Result::Ok(())
                })
            });
        }
        let drain_timeout = self.limits.drain_timeout;
        let first = shards.remove(0);
        thread::scope(|scope| {
            for (index, shard) in shards.into_iter().enumerate() {
                thread::Builder::new()
                    .name(format!("shard-{}", index + 1))
                    .spawn_scoped(scope, shard)?;
            }
            let handle = self.shards.homes[0].handle().clone();
            handle.spawn(async move {
                stop.await;
                stopping.send_replace(true);
                let _ = tokio::time::timeout(drain_timeout, drain).await;
                draining.send_replace(true);
            });
            first()
        })
    }
}

/// A listener that shares its port with the other event loops' (`SO_REUSEPORT`).
fn listen(address: SocketAddr) -> io::Result<StdTcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // A burst of reconnecting clients waits in the kernel rather than being refused.
    socket.listen(4096)?;
    Ok(socket.into())
}

/// Serves connections until told to stop, then waits for those under way.
async fn accept<S>(
    listener: TcpListener,
    service: S,
    shards: Option<Shards>,
    connections: Connections,
    mut stop: watch::Receiver<bool>,
) where
    S: Service<Request<Body>, Error = std::convert::Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    let limits = connections.limits();
    // Every connection holds a receiver: when the last is gone, `closed` resolves.
    let (open, _) = watch::channel(());
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = async {
                connections.room().await;
                listener.accept().await
            } => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = connections.enter(peer.ip()) else {
                    continue;
                };
                let connection = http1::serve(
                    stream,
                    place,
                    peer,
                    service.clone(),
                    shards.clone(),
                    stop.clone(),
                );
                let open = open.subscribe();
                tokio::spawn(async move {
                    connection.await;
                    drop(open);
                });
            }
            Err(error) if is_connection_error(&error) => {}
            Err(error) => {
                // Out of descriptors or memory: those who are here go on; asking again at once would only spin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(limits.drain_timeout, open.closed()).await;
}

/// Errors of one connection that was gone before it was accepted.
fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
