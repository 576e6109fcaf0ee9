//! What this node tells the others, on its way: in order, many at a time, and nobody waits for it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use futures_util::stream::{FuturesOrdered, StreamExt as _};
use roomful::layer::{ChannelName, GroupName, LayerError};
use roomful::{ChannelLayer, Event};
use tokio::sync::{mpsc, oneshot};

use super::{Envelope, Inner, group_of};
use crate::protocol::{RoomEvent, RoomName};

/// Events on their way at once: a layer on another machine answers one by one.
const AT_ONCE: usize = 64;

/// Something to be published.
pub(super) enum Outgoing {
    /// What was said in a room, for everybody in its group.
    RoomEvent(Arc<RoomEvent>),
    ToGroup(GroupName, Event),
    ToChannel(Arc<str>, Event),
    /// Everything before this is on its way.
    Flush(oneshot::Sender<()>),
}

/// Publishes until the node is gone.
pub(super) async fn run(
    node: Weak<Inner>,
    layer: ChannelLayer,
    mut waiting: mpsc::Receiver<Outgoing>,
) {
    let mut under_way = FuturesOrdered::new();
    loop {
        tokio::select! {
            outgoing = waiting.recv(), if under_way.len() < AT_ONCE => match outgoing {
                Some(outgoing) => under_way.push_back(send(&node, &layer, outgoing)),
                None => return,
            },
            Some(outcome) = under_way.next() => {
                let Some(node) = node.upgrade() else { return };
                if let Some(outcome) = outcome {
                    note(&node, outcome);
                }
            }
        }
    }
}

/// `None` for what is nothing to the layer.
async fn send(
    node: &Weak<Inner>,
    layer: &ChannelLayer,
    outgoing: Outgoing,
) -> Option<Result<(), LayerError>> {
    match outgoing {
        Outgoing::RoomEvent(event) => {
            let room = RoomName::parse(&event.room).ok()?;
            let event = {
                let node = node.upgrade()?;
                let envelope = Envelope {
                    node: &node.id,
                    epoch: node.epoch.as_deref(),
                    message: &*event,
                };
                match Event::new(&envelope) {
                    Ok(event) => event,
                    Err(error) => return Some(Err(error.into())),
                }
            };
            let sent = layer.backend().group_send(&group_of(&room), &event).await;
            Some(sent.map(drop))
        }
        Outgoing::ToGroup(group, event) => {
            Some(layer.backend().group_send(&group, &event).await.map(drop))
        }
        Outgoing::ToChannel(channel, event) => {
            let channel = ChannelName::parse(&channel).ok()?;
            Some(layer.backend().send(&channel, &event).await)
        }
        Outgoing::Flush(done) => {
            let _ = done.send(());
            None
        }
    }
}

/// Counts, and logs when the layer goes and when it is back, not what is lost in between.
fn note(node: &Inner, outcome: Result<(), LayerError>) {
    let counters = &node.counters;
    match outcome {
        Ok(()) => {
            counters.published.fetch_add(1, Ordering::Relaxed);
            if counters.away.swap(false, Ordering::Relaxed) {
                tracing::info!("the channel layer takes events again");
            }
        }
        Err(error) => {
            counters.unpublished.fetch_add(1, Ordering::Relaxed);
            // A channel that is full or gone is the other node's affair; it catches up.
            let away = matches!(error, LayerError::Unavailable(_));
            if away && !counters.away.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "the channel layer does not take events: other nodes hear of them from the history, some seconds later");
            }
        }
    }
}
