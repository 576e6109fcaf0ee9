//! What travels between nodes: an event of the vocabulary, and whose it is.
//!
//! `node` names who published an event, so that a node knows its own, and `epoch` the log that its numbers belong to. An
//! event without `node` is another program's.

use roomful::Event;
use serde::{Deserialize, Serialize};

/// A message and who says it.
#[derive(Serialize)]
pub struct Envelope<'a, T> {
    /// The node.
    pub node: &'a str,
    /// The log it keeps; none where nothing is numbered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<&'a str>,
    /// What it says.
    #[serde(flatten)]
    pub message: T,
}

/// Whose an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// This node's own: the layer gives everybody in a group what is sent there.
    Me,
    /// Another node's, with the same log.
    Node(String),
    /// A node's with another log.
    Foreign(String),
    /// Another program's.
    Outsider,
}

pub(super) fn sender(event: &Event, me: &str, epoch: Option<&str>) -> Sender {
    #[derive(Deserialize)]
    struct Head<'a> {
        node: Option<&'a str>,
        epoch: Option<&'a str>,
    }
    // Fields of other kinds are an outsider's, too.
    let Ok(head) = event.decode::<Head<'_>>() else {
        return Sender::Outsider;
    };
    match head.node {
        None => Sender::Outsider,
        Some(node) if node == me => Sender::Me,
        Some(node) if head.epoch == epoch => Sender::Node(node.to_owned()),
        Some(node) => Sender::Foreign(node.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use roomful::json;

    use super::*;
    use crate::protocol::{EventKind, Member, RoomEvent};
    use crate::timestamp::Timestamp;

    #[test]
    fn a_numbered_event_travels_with_all_its_fields_and_comes_back_as_it_was() {
        let told = RoomEvent {
            kind: EventKind::Message,
            room: "123".into(),
            seq: 42,
            id: "c-1".into(),
            from: Member {
                id: "m-1".into(),
                name: "Ana".into(),
            },
            at: Timestamp::from_millis(1_795_348_800_000),
            text: Some("hi".into()),
            reply_to: Some(41),
            target: None,
            emoji: None,
            on: None,
        };
        let envelope = Envelope {
            node: "n-1",
            epoch: Some("e"),
            message: &Arc::new(told.clone()),
        };

        let event = Event::new(&envelope).unwrap();

        assert_eq!(event.kind(), "chat.message");
        assert_eq!(event.get::<u64>("seq").unwrap(), 42);
        assert_eq!(event.decode::<RoomEvent>().unwrap(), told);
        assert_eq!(sender(&event, "n-1", Some("e")), Sender::Me);
        assert_eq!(sender(&event, "n-2", Some("e")), Sender::Node("n-1".into()));
        assert_eq!(
            sender(&event, "n-2", Some("f")),
            Sender::Foreign("n-1".into())
        );
        assert_eq!(sender(&event, "n-2", None), Sender::Foreign("n-1".into()));
    }

    #[test]
    fn what_names_no_node_is_an_outsiders() {
        for event in [
            json!({"type": "chat.message", "text": "hi"}),
            json!({"type": "chat.message", "text": "hi", "node": 7}),
        ] {
            let event = Event::new(&event).unwrap();
            assert_eq!(sender(&event, "n-1", Some("e")), Sender::Outsider);
        }
    }
}
