//! From HTTP to WebSocket: the connection behind a request, once that was answered with 101.
//!
//! hyper gives it as an upgrade. Where our own server answers a handshake itself, it comes with the request as a
//! [`Promise`], which is kept as soon as the answer is written.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;

use super::{Accepted, Transport};

/// Comes with a request whose connection our own server has, not hyper.
#[derive(Clone)]
pub(crate) struct Promise {
    /// Guards who will get it: one.
    switched: Arc<Mutex<Option<oneshot::Receiver<Switched>>>>,
}

/// Keeps a [`Promise`].
pub(crate) type Promised = oneshot::Sender<Switched>;

/// A connection whose handshake is answered.
pub(crate) enum Switched {
    /// By our own server.
    Socket(Accepted),
    /// By hyper, which had to wait for the answer or for the socket.
    Hyper(OnUpgrade),
}

/// The connection of a request, as soon as that is answered with 101.
pub(crate) enum Switch {
    Ours(oneshot::Receiver<Switched>),
    Hyper(OnUpgrade),
}

impl Promise {
    pub(crate) fn new() -> (Promised, Self) {
        let (promised, switched) = oneshot::channel();
        let switched = Arc::new(Mutex::new(Some(switched)));
        (promised, Self { switched })
    }
}

impl Switch {
    /// What was promised, or else what hyper has.
    pub(crate) fn new(promise: Option<Promise>, upgrade: OnUpgrade) -> Self {
        let switched = promise.and_then(|promise| {
            let mut switched = promise
                .switched
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            switched.take()
        });
        match switched {
            Some(switched) => Self::Ours(switched),
            None => Self::Hyper(upgrade),
        }
    }

    /// Waits for it. Must run on the runtime that will drive it.
    ///
    /// # Errors
    /// If the client left, or was answered otherwise.
    pub(crate) async fn transport(self) -> io::Result<Transport> {
        let upgrade = match self {
            Self::Hyper(upgrade) => upgrade,
            Self::Ours(switched) => match switched.await.map_err(io::Error::other)? {
                Switched::Socket(accepted) => return Transport::accepted(accepted),
                Switched::Hyper(upgrade) => upgrade,
            },
        };
        Transport::new(upgrade.await.map_err(io::Error::other)?)
    }
}
