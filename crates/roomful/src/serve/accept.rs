//! From the listener to the event loop where a connection belongs.
//!
//! A socket is read once before any event loop knows it. In a storm of connections the request is there already, and a
//! WebSocket is registered with one event loop only, that of its room, which also parses the request and answers it: no
//! connection changes threads later on. Where nothing has come yet, the loop that accepted the socket waits for it.

use std::convert::Infallible;
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener as StdTcpListener, TcpStream as StdTcpStream};
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::Request;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tower::Service;

use super::count::{Connections, Place};
use super::{HttpLimits, Shards, http1};
use crate::connection::Accepted;

/// The most that is read of a socket before HTTP has it.
const FIRST_READ: usize = 8 * 1024;

/// What the connections of a server have in common.
#[derive(Clone)]
pub(super) struct Serving<S> {
    pub(super) service: S,
    pub(super) shards: Option<Shards>,
    pub(super) connections: Connections,
    /// Becomes `true` when the server is to stop.
    pub(super) stop: watch::Receiver<bool>,
    /// Every connection holds a receiver: when the last is gone, `closed` resolves.
    pub(super) open: watch::Sender<()>,
}

/// A connection that was accepted.
pub(super) struct Arrival {
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
    /// When the head of its first request must be complete.
    pub(super) head_until: Instant,
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
    #[expect(
        deprecated,
        reason = "its successor is unsafe, as what it is given may change its descriptor; a listener keeps its own"
    )]
    let listener = AsyncFd::with_interest(listener, Interest::READABLE)?;
    let mut stop = serving.stop.clone();
    let mut buffer = vec![0; FIRST_READ];
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = async {
                serving.connections.room().await;
                listener.async_io(Interest::READABLE, StdTcpListener::accept).await
            } => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(place) = serving.connections.enter(peer.ip()) {
                    let arrival = Arrival {
                        peer,
                        place,
                        head_until: Instant::now() + limits.head_timeout,
                    };
                    // What fails here is a connection that has ended already.
                    let _ = serving.begin(stream, arrival, &mut buffer);
                }
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
    let _ = tokio::time::timeout(limits.drain_timeout, serving.open.closed()).await;
    Ok(())
}

/// What holds for a connection. Set on each, not inherited from the listener: it listened before its limits were known.
fn set_options(socket: &SockRef<'_>, limits: &HttpLimits) {
    // Frames and answers are written whole; waiting for more to send (Nagle) would only delay them.
    let _ = socket.set_tcp_nodelay(true);
    // A peer that takes nothing of its answer for as long as it might be idle is gone, too: answers wait in memory.
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(limits.keep_alive));
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
}

impl<S> Serving<S>
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    /// Reads what has come, and brings the connection to where it belongs.
    fn begin(&self, stream: StdTcpStream, arrival: Arrival, buffer: &mut [u8]) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        set_options(&SockRef::from(&stream), arrival.place.limits());
        match (&stream).read(buffer) {
            Ok(count) => self.settle(stream, &buffer[..count], arrival),
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
        let head = loop {
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
        let home = self
            .shards
            .as_ref()
            .and_then(|shards| shards.home_of(&head));
        if home.is_none_or(|home| home.is_here()) {
            let accepted = Accepted::registered(stream, head);
            Box::pin(http1::serve(accepted, arrival, self)).await;
        } else {
            self.settle(stream.into_std()?, &head, arrival);
        }
        Ok(())
    }

    /// Goes on where the connection belongs.
    fn settle(&self, stream: StdTcpStream, head: &[u8], arrival: Arrival) {
        let home = self.shards.as_ref().and_then(|shards| shards.home_of(head));
        let (serving, head, open) = (
            self.clone(),
            Bytes::copy_from_slice(head),
            self.open.subscribe(),
        );
        let connection = async move {
            if let Ok(accepted) = Accepted::new(stream, head) {
                http1::serve(accepted, arrival, serving).await;
            }
            drop(open);
        };
        match home {
            Some(home) => home.spawn(connection),
            None => drop(tokio::spawn(connection)),
        }
    }
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
