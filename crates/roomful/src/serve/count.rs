//! How many connections there are, altogether and from each address, and how many there were; WebSockets count until they
//! end.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ahash::AHashMap;
use tokio::sync::Notify;

use super::HttpLimits;

/// Counts a server's connections, and can be read while it runs. Clones count the same.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    refused: AtomicU64,
    open: AtomicUsize,
}

impl Counters {
    /// Connections that were let in since the server was bound.
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// Connections that were closed at once because their address had its share.
    pub fn refused(&self) -> u64 {
        self.counts.refused.load(Ordering::Relaxed)
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::Relaxed)
    }
}

/// The connections of one server, over all its event loops.
#[derive(Clone)]
pub(super) struct Connections {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Arc<HttpLimits>,
    counters: Counters,
    /// Guards how many came from where; kept only where there is a limit.
    by_address: Mutex<AHashMap<IpAddr, usize>>,
    left: Notify,
}

/// A connection's place, kept by the task of a WebSocket that comes of it.
#[derive(Clone)]
pub(crate) struct Place {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Connections {
    pub(super) fn new(limits: Arc<HttpLimits>, counters: Counters) -> Self {
        Self {
            shared: Arc::new(Shared {
                limits,
                counters,
                by_address: Mutex::default(),
                left: Notify::new(),
            }),
        }
    }

    pub(super) fn limits(&self) -> Arc<HttpLimits> {
        Arc::clone(&self.shared.limits)
    }

    /// Waits until one more may be accepted; the others wait in the kernel.
    pub(super) async fn room(&self) {
        loop {
            if self.has_room() {
                return;
            }
            let left = self.shared.left.notified();
            if self.has_room() {
                return;
            }
            left.await;
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.shared.counters.open() < self.shared.limits.max_connections
    }

    /// Takes a place, unless the address has its share.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let shared = &self.shared;
        let address = network(address);
        let most = shared.limits.max_connections_per_address;
        if most < usize::MAX {
            let mut by_address = shared
                .by_address
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            let count = by_address.entry(address).or_insert(0);
            if *count >= most {
                let refused = &shared.counters.counts.refused;
                refused.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            *count += 1;
        }
        let counts = &shared.counters.counts;
        counts.accepted.fetch_add(1, Ordering::Relaxed);
        counts.open.fetch_add(1, Ordering::Relaxed);
        let inner = Inner {
            shared: Arc::clone(shared),
            address,
        };
        Some(Place {
            inner: Arc::new(inner),
        })
    }
}

impl Place {
    pub(super) fn limits(&self) -> &Arc<HttpLimits> {
        &self.inner.shared.limits
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let shared = &self.shared;
        if shared.limits.max_connections_per_address < usize::MAX {
            let mut by_address = shared
                .by_address
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            if let Some(count) = by_address.get_mut(&self.address) {
                *count -= 1;
                if *count == 0 {
                    by_address.remove(&self.address);
                }
            }
        }
        shared.counters.counts.open.fetch_sub(1, Ordering::Relaxed);
        shared.left.notify_one();
    }
}

/// What one customer of a network has: an IPv4 address, or 64 bits of an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => {
            let bits = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
        address => address.to_canonical(),
    }
}
