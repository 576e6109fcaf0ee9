//! Where connections live: the event loops of a server, and which of them is a path's or a room's.

use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::RandomState;
use tokio::runtime::Handle;

use super::Landing;
use crate::audience::{Audience, Flusher};

/// The event loops of a [`Server`](super::Server), kept in every request's extensions. A consumer's socket is where it belongs
/// and no longer has it.
#[derive(Clone)]
pub struct Shards {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    homes: Arc<[Home]>,
    hasher: RandomState,
    by_path: Option<Arc<ByPath>>,
}

/// The home of what lives at a path, where that is not the path's own.
pub(super) type ByPath = dyn Fn(&Shards, &str) -> Option<Home> + Send + Sync;

/// The event loop where a connection shall live. Put into a request's extensions it overrides the choice by path.
#[derive(Clone)]
pub struct Home {
    flusher: Flusher,
    arriving: Arc<Mutex<Arriving>>,
}

/// Guarded: tasks from other event loops that this one has not seen yet. As many at most as there are connections.
type Arriving = Vec<Pin<Box<dyn Future<Output = ()> + Send>>>;

impl Shards {
    pub(super) fn new(handles: impl Iterator<Item = Handle>) -> Self {
        Self {
            inner: Arc::new(Inner {
                homes: handles.map(Home::from).collect(),
                hasher: RandomState::new(),
                by_path: None,
            }),
        }
    }

    /// The home of everything that has this key: a room's name, a path.
    pub fn home(&self, key: &(impl Hash + ?Sized)) -> Home {
        let Inner { homes, hasher, .. } = &*self.inner;
        let index = hasher.hash_one(key) % homes.len() as u64;
        homes[index as usize].clone()
    }

    /// Lets `choose` say where the WebSockets of a path live.
    pub(super) fn by_path(&mut self, choose: Arc<ByPath>) {
        Arc::make_mut(&mut self.inner).by_path = Some(choose);
    }

    /// The first event loop, that of the thread which runs the server.
    pub(super) fn first(&self) -> &Home {
        &self.inner.homes[0]
    }

    /// The home of the WebSockets at this path, as [`home_by_path`](super::Server::home_by_path) says.
    pub(super) fn home_at(&self, path: &str) -> Home {
        let chosen = self
            .inner
            .by_path
            .as_ref()
            .and_then(|choose| choose(self, path));
        chosen.unwrap_or_else(|| self.home(path))
    }

    /// Where the WebSocket will live that a request asks for whose first bytes are these. None where it asks for something
    /// else, or does not say yet: then the home is found once the request was read.
    pub(super) fn home_of(&self, head: &[u8]) -> Option<Home> {
        let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
        let path = lines
            .next()?
            .strip_prefix("GET ")?
            .split([' ', '?'])
            .next()?;
        // Less than `is_websocket_upgrade`: only a GET, only `websocket` alone. What is missed here is found later.
        let asks = lines
            .filter_map(|line| line.split_once(':'))
            .any(|(name, value)| {
                name.eq_ignore_ascii_case("upgrade")
                    && value.trim().eq_ignore_ascii_case("websocket")
            });
        asks.then(|| self.home_at(path))
    }
}

impl std::fmt::Debug for Shards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&*self.inner.homes).finish()
    }
}

impl From<Handle> for Home {
    /// A home in a runtime that is no [`Server`](super::Server)'s.
    fn from(handle: Handle) -> Self {
        Self {
            flusher: Flusher::new(handle),
            arriving: Arc::default(),
        }
    }
}

impl Home {
    /// The home of a request's connection: what a layer chose, or that of its path; none outside of a
    /// [`Server`](super::Server).
    pub(crate) fn of(request: &http::request::Parts) -> Option<Self> {
        let known = &request.extensions;
        let found = || known.get::<Landing>()?.home.clone();
        let by_path = || Some(known.get::<Shards>()?.home_at(request.uri.path()));
        known.get::<Self>().cloned().or_else(found).or_else(by_path)
    }

    /// The runtime, for a task that belongs to the same key.
    pub fn handle(&self) -> &Handle {
        self.flusher.home()
    }

    /// An empty [`Audience`] of members that live here. All audiences of a home share one flush a turn: their writes go
    /// out together, in one system call where the system can do that.
    pub fn audience(&self) -> Audience {
        Audience::of(self.flusher.clone())
    }

    /// Whether this runs there.
    pub(crate) fn is_here(&self) -> bool {
        Handle::try_current().is_ok_and(|current| current.id() == self.handle().id())
    }

    /// Starts a task there. Of those that come from elsewhere only the first wakes the event loop, which finds the others
    /// with it: a wake-up costs a system call.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if self.is_here() {
            drop(tokio::spawn(task));
            return;
        }
        let mut arriving = lock(&self.arriving);
        arriving.push(Box::pin(task));
        if arriving.len() == 1 {
            drop(arriving);
            let arriving = Arc::clone(&self.arriving);
            drop(self.handle().spawn(async move {
                let tasks = std::mem::take(&mut *lock(&arriving));
                for task in tasks {
                    drop(tokio::spawn(task));
                }
            }));
        }
    }
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Home").field(self.handle()).finish()
    }
}

fn lock(arriving: &Mutex<Arriving>) -> MutexGuard<'_, Arriving> {
    arriving.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn the_first_bytes_of_a_websocket_tell_its_home() {
        let runtimes: Vec<_> = (0..8)
            .map(|_| Builder::new_current_thread().build().unwrap())
            .collect();
        let shards = Shards::new(runtimes.iter().map(|runtime| runtime.handle().clone()));
        let index = |home: Home| {
            let id = home.handle().id();
            runtimes
                .iter()
                .position(|runtime| runtime.handle().id() == id)
        };
        let told = |head: &str| shards.home_of(head.as_bytes()).and_then(index);
        for room in 0..64 {
            let path = format!("/room/{room}/");
            let home = index(shards.home(path.as_str()));
            let head = format!("GET {path}?a=b HTTP/1.1\r\nHost: x\r\nuPGRADE: WebSocket\r\n");
            assert_eq!(told(&head), home);
            assert_eq!(told(&format!("{head}Accept: */*\r\n\r\n")), home);
        }
        for other in [
            "",
            "GET",
            "GET /room/1/ HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /room/1/ HTTP/1.1\r\nUpgrade: h2c\r\n\r\n",
            "POST /room/1/ HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        ] {
            assert_eq!(told(other), None, "{other:?}");
        }
        assert!(
            shards
                .home_of(b"GET /\xff HTTP/1.1\r\nUpgrade: websocket\r\n")
                .is_none()
        );
    }
}
