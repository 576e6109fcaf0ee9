//! This process as one node among others on a channel layer, and Django processes beside them.
//!
//! The layer is a hint, the log is the truth: what is published here may get lost, and nothing that was stored depends on
//! it. So a layer that is away is counted and logged once, and never fails anybody.
//!
//! - `group`: which group of the layer is a room;
//! - `wire`: what travels between nodes, and whose it is;
//! - `publish`: the queue of what this node tells the others;
//! - `meet`: whether the nodes that are there keep the same log;
//! - `outsider`: what other programs say in a room's group.
//!
//! A room's group carries what is said, in the vocabulary of all transports, to everybody who is in it. What concerns
//! nodes alone (who is here, who is typing) goes to the group [`NODES`], where no Django consumer ever hears it.

mod group;
mod meet;
mod outsider;
mod publish;
mod wire;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use roomful::layer::{GroupName, Inbox, LayerError};
use roomful::{ChannelLayer, Event};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

pub use group::group_of;
pub use meet::SeparateLogs;
pub use outsider::{Outsider, parse as parse_outsider};
pub use wire::{Envelope, Sender};

use crate::identity::random_text;
use crate::protocol::RoomEvent;
use publish::Outgoing;

/// The group in which nodes meet.
pub const NODES: &str = "roomful.nodes";
/// Events that may wait to be published; further ones are dropped and counted: whoever misses them reads the log.
const WAITING: usize = 16_384;
/// How long the last events may take when the node stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Makes the layer, in the runtime that its own tasks shall live in.
pub type MakeLayer = Box<dyn FnOnce() -> ChannelLayer>;

/// This node; clones are the same.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    id: Arc<str>,
    epoch: Option<Arc<str>>,
    layer: ChannelLayer,
    /// A runtime that lives as long as the node: what the layer starts at its first use must not end with a shard.
    runtime: Handle,
    outgoing: mpsc::Sender<Outgoing>,
    counters: Counters,
    /// Ends the runtime when the last handle is gone.
    _running: oneshot::Sender<()>,
}

#[derive(Default)]
struct Counters {
    published: AtomicU64,
    unpublished: AtomicU64,
    received: AtomicU64,
    foreign: AtomicU64,
    outside: AtomicU64,
    refused: AtomicU64,
    away: AtomicBool,
}

/// What a node has counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCounts {
    /// Events the layer took.
    pub published: u64,
    /// Events the layer did not take, or that found the queue full.
    pub unpublished: u64,
    /// Events of other nodes that were heard.
    pub received: u64,
    /// Events of nodes that keep another log; they were ignored.
    pub foreign: u64,
    /// Events of other programs that were shown or stored.
    pub outside: u64,
    /// Events of other programs that could not be.
    pub refused: u64,
    /// Events that feeds missed and read from the log.
    pub gaps_filled: u64,
}

/// Why a process cannot be a node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Another node keeps another log.
    #[error(transparent)]
    SeparateLogs(#[from] SeparateLogs),
    /// The operating system gives no thread to work in.
    #[error("the node has no thread to work in")]
    Thread(#[from] io::Error),
}

impl Node {
    /// A node of the store that `epoch` names, after it has met the others that are on the layer. Blocks for the half second
    /// that others have to answer in.
    ///
    /// A layer that cannot be reached now is no reason not to start.
    ///
    /// # Errors
    /// [`NodeError::SeparateLogs`] where another node keeps another log.
    pub fn start(layer: MakeLayer, epoch: Option<Arc<str>>) -> Result<(Self, Meeting), NodeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let layer = {
            let _runtime = handle.enter();
            layer()
        };
        let (running, ended) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("node".to_owned())
            .spawn(move || {
                // An error says that all handles are gone, which is what is waited for.
                let _ = runtime.block_on(ended);
            })?;
        let (outgoing, waiting) = mpsc::channel(WAITING);
        let node = Self {
            inner: Arc::new(Inner {
                id: format!("n-{}", random_text()).into(),
                epoch,
                layer,
                runtime: handle.clone(),
                outgoing,
                counters: Counters::default(),
                _running: running,
            }),
        };
        let (met, meeting) = std::sync::mpsc::sync_channel(1);
        let publisher = publish::run(
            Arc::downgrade(&node.inner),
            node.inner.layer.clone(),
            waiting,
        );
        drop(handle.spawn(publisher));
        let meeting_node = node.clone();
        drop(handle.spawn(async move {
            let _ = met.send(meet::meet(&meeting_node).await);
        }));
        let inbox = meeting.recv().expect("the meeting ends with an answer")?;
        Ok((node, Meeting { inbox }))
    }

    /// This node's name among the others; new with each start.
    pub fn id(&self) -> &Arc<str> {
        &self.inner.id
    }

    /// Where tasks of the node run.
    pub fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    /// Whether the layer can be reached, as far as is known: a connection that is silent is tried every few seconds.
    pub fn is_reachable(&self) -> bool {
        self.inner.layer.is_up()
    }

    /// Tells other nodes and programs of events, in this order. Never waits: what finds no place is dropped and counted.
    pub fn publish(&self, events: &[Arc<RoomEvent>]) {
        for event in events {
            self.send(Outgoing::RoomEvent(Arc::clone(event)));
        }
    }

    /// Tells all nodes something.
    pub fn tell_nodes(&self, message: &impl Serialize) {
        self.send_event(NODES, message);
    }

    /// Tells the node that listens to `channel` something.
    pub fn tell_node(&self, channel: &str, message: &impl Serialize) {
        if let Some(event) = self.enveloped(message) {
            self.send(Outgoing::ToChannel(channel.into(), event));
        }
    }

    fn send_event(&self, group: &str, message: &impl Serialize) {
        let group = GroupName::parse(group);
        if let (Ok(group), Some(event)) = (group, self.enveloped(message)) {
            self.send(Outgoing::ToGroup(group, event));
        }
    }

    fn enveloped(&self, message: &impl Serialize) -> Option<Event> {
        let envelope = Envelope {
            node: &self.inner.id,
            epoch: self.inner.epoch.as_deref(),
            message,
        };
        Event::new(&envelope)
            .inspect_err(
                |error| tracing::error!(%error, "a message to other nodes cannot be written"),
            )
            .ok()
    }

    fn send(&self, outgoing: Outgoing) {
        if self.inner.outgoing.try_send(outgoing).is_err() {
            self.inner
                .counters
                .unpublished
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was said so far is on its way, for a second at most.
    pub async fn flush(&self) {
        let (done, finished) = oneshot::channel();
        let flushing = async {
            let _ = self.inner.outgoing.send(Outgoing::Flush(done)).await;
            let _ = finished.await;
        };
        // Whoever misses the last words reads the log.
        let _ = tokio::time::timeout(LAST_WORDS, flushing).await;
    }

    /// Waits until the layer knows which groups this node has left: else others go on filling a queue that nobody reads.
    pub async fn settled(&self) {
        if let Err(error) = self.inner.layer.settled().await {
            tracing::debug!(%error, "the channel layer takes this node for a member of its groups until they expire");
        }
    }

    /// Opens an inbox that gets what is sent to a group.
    ///
    /// # Errors
    /// Where the layer cannot be reached.
    pub async fn join(&self, group: &GroupName) -> Result<Inbox, LayerError> {
        let inbox = self.inner.layer.open().await?;
        let channel = inbox.channel().as_str();
        self.inner.layer.group_add(group.as_str(), channel).await?;
        Ok(inbox)
    }

    /// Whose an event is; counts it, and logs what should not be there.
    pub fn sender(&self, event: &Event) -> Sender {
        let counters = &self.inner.counters;
        let sender = wire::sender(event, &self.inner.id, self.inner.epoch.as_deref());
        match &sender {
            Sender::Me | Sender::Outsider => {}
            Sender::Node(_) => {
                counters.received.fetch_add(1, Ordering::Relaxed);
            }
            Sender::Foreign(node) => {
                let before = counters.foreign.fetch_add(1, Ordering::Relaxed);
                if is_worth_a_line(before) {
                    tracing::error!(
                        node = %node,
                        "a node on this layer keeps another log: what it says is ignored; stop it, or let all use one PostgreSQL"
                    );
                }
            }
        }
        sender
    }

    /// Counts an event of another program that was shown or stored.
    pub fn count_outsider(&self) {
        self.inner.counters.outside.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an event of another program that could not be, and logs it: all of the first ones, then fewer and fewer.
    pub fn refuse_outsider(&self, room: &str, kind: &str, why: &str) {
        let before = self.inner.counters.refused.fetch_add(1, Ordering::Relaxed);
        if is_worth_a_line(before) {
            tracing::warn!(room.name = %room, event = %kind, refused = before + 1, "an event of another program was not shown: {why}");
        }
    }

    /// What the layer has counted in this process.
    pub fn layer_counters(&self) -> roomful::layer::Counters {
        self.inner.layer.counters()
    }

    /// What was counted so far, but for gaps.
    pub fn counts(&self) -> NodeCounts {
        let counters = &self.inner.counters;
        NodeCounts {
            published: counters.published.load(Ordering::Relaxed),
            unpublished: counters.unpublished.load(Ordering::Relaxed),
            received: counters.received.load(Ordering::Relaxed),
            foreign: counters.foreign.load(Ordering::Relaxed),
            outside: counters.outside.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            gaps_filled: 0,
        }
    }
}

/// The nodes' group as this node has entered it; `None` inside where the layer could not be reached.
pub struct Meeting {
    inbox: Option<Inbox>,
}

impl Meeting {
    /// The inbox of the nodes' group, entered now if it could not be before.
    pub async fn inbox(self, node: &Node) -> Inbox {
        match self.inbox {
            Some(inbox) => inbox,
            None => node.join_when_possible(&nodes()).await,
        }
    }
}

impl Node {
    /// [`join`](Self::join), tried until it succeeds.
    pub async fn join_when_possible(&self, group: &GroupName) -> Inbox {
        loop {
            match self.join(group).await {
                Ok(inbox) => return inbox,
                Err(error) => {
                    tracing::debug!(group = %group, %error, "a group cannot be entered, trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

fn nodes() -> GroupName {
    GroupName::parse(NODES).expect("a valid name")
}

/// Whether the next one after `before` others is to be logged: the 1st, 2nd, 4th, 8th… are.
fn is_worth_a_line(before: u64) -> bool {
    (before + 1).is_power_of_two()
}
