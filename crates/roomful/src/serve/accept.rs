//! From the listener to the event loop where a connection belongs.
//!
//! A socket is read once before any event loop knows it. In a storm of connections the request is there already, and a
//! WebSocket is registered with one event loop only, that of its room, which also answers it: no connection changes threads
//! later on. Where nothing has come yet, the loop that accepted the socket waits for it.

use std::convert::Infallible;
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener as StdTcpListener, TcpStream as StdTcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::Request;
use mio::net::TcpListener;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};
use tower::Service;

use super::count::{Connections, Place};
use super::{Home, HttpLimits, Shards, handshake, http1};
use crate::connection::{Accepted, Promise};
use crate::scope::PeerAddr;

/// The most that is read of a socket before HTTP has it.
const FIRST_READ: usize = 8 * 1024;
/// Connections that are accepted before those who are here get their turn.
const BURST: usize = 32;

/// What the connections of a server have in common.
#[derive(Clone)]
pub(super) struct Serving<S> {
    pub(super) service: S,
    pub(super) handshakes: Handshakes,
    pub(super) shards: Option<Shards>,
    pub(super) connections: Connections,
    /// Becomes `true` when the server is to stop.
    pub(super) stop: watch::Receiver<bool>,
    /// Every connection holds a receiver: when the last is gone, `closed` resolves.
    pub(super) open: watch::Sender<()>,
}

/// Who answers the requests for WebSockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshakes {
    /// hyper, for whatever takes upgrades.
    Hyper,
    /// We, where all WebSockets are consumers'.
    Direct,
}

/// A connection that was accepted.
pub(super) struct Arrival {
    peer: SocketAddr,
    place: Place,
    shards: Option<Shards>,
    /// Where its WebSocket will live, if that is known.
    home: Option<Home>,
    /// When the head of its first request must be complete.
    pub(super) head_until: Instant,
}

/// What a request brings for a WebSocket that comes of it, in its extensions.
#[derive(Clone)]
pub(crate) struct Landing {
    pub(crate) place: Place,
    /// Where it is to live, if that was found already.
    pub(crate) home: Option<Home>,
    /// Its socket, if hyper does not have it.
    pub(crate) promise: Option<Promise>,
}

/// Serves connections until told to stop, then waits for those under way.
///
/// # Errors
/// If the listener cannot be used with this runtime.
pub(super) async fn accept<S>(listener: StdTcpListener, serving: Serving<S>) -> io::Result<()>
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    let limits = serving.connections.limits();
    set_options(&SockRef::from(&listener), &limits);
    // Linux gives a new connection what its listener has. Those that were waiting before are told one by one.
    let mut inherited = false;
    #[expect(
        deprecated,
        reason = "its successor is unsafe, as what it is given may change its descriptor; a listener keeps its own"
    )]
    let listener = AsyncFd::with_interest(TcpListener::from_std(listener), Interest::READABLE)?;
    let mut stop = serving.stop.clone();
    let mut buffer = vec![0; FIRST_READ];
    loop {
        let mut ready = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            ready = async {
                serving.connections.room().await;
                listener.readable().await
            } => ready?,
        };
        let mut burst = 0;
        while burst < BURST && serving.connections.has_room() {
            burst += 1;
            match ready.try_io(|listener| listener.get_ref().accept()) {
                Ok(Ok((stream, peer))) => {
                    let stream = StdTcpStream::from(stream);
                    if !inherited {
                        set_options(&SockRef::from(&stream), &limits);
                    }
                    if let Some(place) = serving.connections.enter(peer.ip()) {
                        let arrival = Arrival {
                            peer,
                            place,
                            shards: serving.shards.clone(),
                            home: None,
                            head_until: Instant::now() + limits.head_timeout,
                        };
                        // What fails here is a connection that has ended already.
                        let _ = serving.begin(stream, arrival, &mut buffer);
                    }
                }
                Ok(Err(error)) if is_connection_error(&error) => {}
                Ok(Err(error)) => {
                    // Out of descriptors or memory: those who are here go on; asking again at once would only spin.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    break;
                }
                Err(_none_waits) => {
                    inherited = cfg!(target_os = "linux");
                    break;
                }
            }
        }
        if burst == BURST {
            yield_now().await;
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(limits.drain_timeout, serving.open.closed()).await;
    Ok(())
}

/// What holds for a connection.
fn set_options(socket: &SockRef<'_>, limits: &HttpLimits) {
    // Frames and answers are written whole; waiting for more to send (Nagle) would only delay them.
    let _ = socket.set_tcp_nodelay(true);
    // A peer that takes nothing of its answer for as long as it might be idle is gone, too: answers wait in memory.
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(limits.keep_alive));
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
}

impl Arrival {
    pub(super) fn limits(&self) -> &Arc<HttpLimits> {
        self.place.limits()
    }

    /// Tells a request what is known of its connection.
    pub(super) fn attach(&self, request: &mut Request<Body>, promise: Option<Promise>) {
        let extensions = request.extensions_mut();
        extensions.insert(PeerAddr(self.peer));
        extensions.insert(Landing {
            place: self.place.clone(),
            home: self.home.clone(),
            promise,
        });
        if let Some(shards) = &self.shards {
            extensions.insert(shards.clone());
        }
    }
}

impl<S> Serving<S>
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    /// Reads what has come, and brings the connection to where it belongs.
    fn begin(&self, stream: StdTcpStream, arrival: Arrival, buffer: &mut [u8]) -> io::Result<()> {
        match (&stream).read(buffer) {
            Ok(count) => {
                let read = Bytes::copy_from_slice(&buffer[..count]);
                self.settle(Accepted::new(stream, read), arrival);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drop(tokio::spawn(self.clone().wait(stream, arrival)));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Waits for the first bytes.
    async fn wait(self, stream: StdTcpStream, arrival: Arrival) -> io::Result<()> {
        let _open = self.open.subscribe();
        let mut stop = self.stop.clone();
        let stream = TcpStream::from_std(stream)?;
        let read = loop {
            tokio::select! {
                readable = timeout_at(arrival.head_until, stream.readable()) => readable??,
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
            let mut buffer = vec![0; FIRST_READ];
            match stream.try_read(&mut buffer) {
                Ok(count) => break Bytes::copy_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        };
        self.settle(Accepted::registered(stream, read), arrival);
        Ok(())
    }

    /// Goes on where the connection belongs.
    fn settle(&self, mut accepted: Accepted, mut arrival: Arrival) {
        let read = accepted.read();
        let handshake = match self.handshakes {
            Handshakes::Direct => handshake::whole_request(read, arrival.limits()),
            Handshakes::Hyper => None,
        };
        let home = arrival.shards.as_ref().and_then(|shards| match &handshake {
            Some((request, _)) => Some(shards.home_at(request.uri().path())),
            None => shards.home_of(read),
        });
        let (serving, open) = (self.clone(), self.open.subscribe());
        match handshake {
            Some((request, length)) => {
                arrival.home.clone_from(&home);
                start(home, async move {
                    // What fails here is a client that has left.
                    let _ = handshake::answer(request, length, accepted, arrival, serving).await;
                    drop(open);
                });
            }
            None => start(home, async move {
                if let Ok(stream) = accepted.into_http() {
                    http1::serve(stream, arrival, None, serving).await;
                }
                drop(open);
            }),
        }
    }
}

fn start(home: Option<Home>, connection: impl Future<Output = ()> + Send + 'static) {
    match home {
        Some(home) => home.spawn(connection),
        None => drop(tokio::spawn(connection)),
    }
}

/// A connection that was gone before it was accepted, or a signal that came between: the next one may be good.
fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
