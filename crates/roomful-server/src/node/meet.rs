//! Meeting the nodes that are there before starting: they must all keep the same log.
//!
//! A node that starts says hello with the name of its log; those that run answer at once with theirs. Of two that start at
//! the same moment with separate logs, the one with the greater id gives way.

use std::time::Duration;

use roomful::layer::{Inbox, LayerError};
use tokio::time::{Instant, timeout_at};

use super::{Node, Sender, nodes};
use crate::presence::gossip::What;

/// How long other nodes have to answer.
const ANSWERS: Duration = Duration::from_millis(500);

/// Another node on the layer keeps another log.
#[derive(Debug, thiserror::Error)]
#[error(
    "another node on this channel layer keeps a log of its own, and two logs would be two truths: let all nodes use \
     one PostgreSQL (--history postgres://…), or none (--history none), or give this one a layer of its own"
)]
pub struct SeparateLogs;

/// Enters the nodes' group, and waits for objections.
pub(super) async fn meet(node: &Node) -> Result<Option<Inbox>, SeparateLogs> {
    let mut inbox = match hello(node).await {
        Ok(inbox) => inbox,
        Err(error) => {
            tracing::error!(%error, "the channel layer cannot be reached: starting alone, other nodes are met later");
            return Ok(None);
        }
    };
    let deadline = Instant::now() + ANSWERS;
    while let Ok(event) = timeout_at(deadline, inbox.receive()).await {
        if let Sender::Foreign(other) = node.sender(&event) {
            let starting = event.kind() == What::HELLO;
            if !starting || *other < **node.id() {
                return Err(SeparateLogs);
            }
        }
    }
    Ok(Some(inbox))
}

async fn hello(node: &Node) -> Result<Inbox, LayerError> {
    let inbox = node.join(&nodes()).await?;
    let hello = What::Hello {
        channel: inbox.channel().as_str().into(),
    };
    node.tell_nodes(&hello);
    Ok(inbox)
}
