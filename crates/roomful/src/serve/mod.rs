//! Accepting connections: one single-threaded runtime per core, limits that hold from the first moment, a gentle stop.
//!
//! `axum::serve` works too, for any of this library's services. What this adds: a deadline for the request's head that
//! runs from `accept` on (hyper's own starts with the first byte), bounded heads, the checks of RFC 9112 that hyper leaves
//! to its user, and *shards*: each core has its own event loop and listener, and all WebSockets of one URL live on one of
//! them, so that a room's messages pile up in one place and leave in one write.

mod accept;
mod count;
mod handshake;
mod home;
mod http1;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use http::Request;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tower::Service;

pub(crate) use accept::Landing;
use accept::{Handshakes, Serving, accept};
use count::Connections;
pub use count::Counters;
pub(crate) use count::Place;
pub use home::{Home, Shards};

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
/// If the listener cannot be used; a failed `accept` is logged and tried again.
pub async fn serve<S>(listener: TcpListener, service: S) -> io::Result<()>
where
    S: Service<Request<Body>, Error = std::convert::Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    let (_running, stop) = watch::channel(false);
    let serving = Serving {
        service,
        handshakes: Handshakes::Hyper,
        shards: None,
        connections: Connections::new(Arc::default(), Counters::default()),
        stop,
        open: watch::Sender::new(()),
    };
    accept(listener.into_std()?, serving).await
}

/// A server with one event loop per core, bound and ready to run.
pub struct Server {
    listener: StdTcpListener,
    runtimes: Vec<Runtime>,
    shards: Shards,
    limits: Arc<HttpLimits>,
    counters: Counters,
    handshakes: Handshakes,
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
            handshakes: Handshakes::Hyper,
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

    /// Says where WebSockets live by the path of their URL, for paths where several belong together: those of one room under
    /// two addresses. It is asked with the path as it came (percent-encoded) when the connection's first bytes are there,
    /// which spares it a change of threads, and mostly again when hyper has read its request. `None` is the path's own home.
    #[must_use]
    pub fn home_by_path(
        mut self,
        choose: impl Fn(&Shards, &str) -> Option<Home> + Send + Sync + 'static,
    ) -> Self {
        self.shards.by_path(Arc::new(choose));
        self
    }

    /// Answers the handshakes of WebSockets without hyper, which spares a fifth of what a connection costs. For services
    /// whose WebSockets are all [`Consumer`](crate::Consumer)s: whatever else takes upgrades, such as axum's
    /// `WebSocketUpgrade`, finds none in most of its requests.
    #[must_use]
    pub fn direct_handshakes(self) -> Self {
        Self {
            handshakes: Handshakes::Direct,
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
        let serving = Serving {
            service,
            handshakes: self.handshakes,
            shards: Some(self.shards.clone()),
            connections: Connections::new(Arc::clone(&self.limits), self.counters),
            stop: stopped,
            open: watch::Sender::new(()),
        };
        let mut shards = Vec::new();
        let servings = std::iter::repeat_n(serving, listeners.len());
        for ((runtime, listener), serving) in self.runtimes.into_iter().zip(listeners).zip(servings)
        {
            let mut drained = drained.clone();
            shards.push(move || {
                runtime.block_on(async move {
                    accept(listener, serving).await?;
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
            let handle = self.shards.first().handle().clone();
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
