//! What other nodes and other programs say: in a room that is open here, and about who is where.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytestring::ByteString;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use roomful::Event;
use roomful::layer::Inbox;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Activity, Attendance, Chat, Client, Room, Transport, Who, stopped, unnumbered};
use crate::node::{self, Meeting, Node, Outsider, Sender, group_of};
use crate::presence::Elsewhere;
use crate::presence::gossip::{Effect, Gossip, What};
use crate::protocol::{Action, RoomEvent, ServerMessage};
use crate::refusal::Refusal;

/// How long opening a room waits for the layer; then the room is open without it, and enters its group when it can.
const PATIENCE: Duration = Duration::from_secs(1);
/// Heartbeats in a lease: four may get lost.
const BEATS: u32 = 5;
/// Changes that come so close together travel together.
const GATHERING: Duration = Duration::from_millis(20);
/// Messages of other programs on their way into the log, in one room.
const AT_ONCE: usize = 64;

impl Chat {
    /// Begins to hear what is said in a room elsewhere.
    pub(super) async fn listen_elsewhere(&self, room: &Arc<Room>) {
        let Some(node) = self.inner.node.clone() else {
            return;
        };
        // Where the store could not be read the room is opened again, and listens already.
        if room.ear.get().is_some() {
            return;
        }
        let (entered, listening) = oneshot::channel();
        let ear = listen(
            self.clone(),
            node.clone(),
            Arc::downgrade(room),
            group_of(&room.name),
            entered,
        );
        let ear = node.runtime().spawn(ear);
        let _ = room.ear.set(ear.abort_handle());
        // A layer that is away must not keep a room closed.
        let _ = tokio::time::timeout(PATIENCE, listening).await;
    }

    /// A member who is in a room is typing.
    ///
    /// # Errors
    /// If they may not tell that.
    pub fn typing(&self, attendance: &Attendance) -> Result<(), Refusal> {
        self.may(attendance.access(), Activity::Type)?;
        let room = &attendance.reader().room;
        let member = attendance.member().clone();
        if let Some(node) = &self.inner.node {
            let (room, member) = (room.name.clone(), member.clone());
            node.tell_nodes(&What::Typing { room, member });
        }
        room.feed.pass(&ServerMessage::Typing { member });
        Ok(())
    }

    /// Tells the other nodes who is here, and hears from them, until the server stops.
    pub async fn gossip(self, node: Node, meeting: Meeting) {
        let Some(changes) = self.inner.rooms.changes.clone() else {
            return;
        };
        let mut stopping = self.stopping();
        let mut inbox = tokio::select! {
            inbox = meeting.inbox(&node) => inbox,
            () = stopped(&mut stopping) => return,
        };
        let channel: Arc<str> = inbox.channel().as_str().into();
        let lease = self.inner.limits.presence_lease;
        let between = (lease / BEATS).max(Duration::from_millis(1));
        let mut gossip = Gossip::new(Arc::clone(&channel), lease);
        // Those who were told before the meeting ended know that we are here; the others learn it now.
        node.tell_nodes(&What::Hello { channel });
        let mut beat = tokio::time::interval(between);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let effects = tokio::select! {
                biased;
                () = stopped(&mut stopping) => break,
                _ = beat.tick() => gossip.beat(Instant::now(), between),
                event = inbox.receive() => match (node.sender(&event), event.decode()) {
                    (Sender::Node(from), Ok(what)) => gossip.hear(&from, what, Instant::now()),
                    // It must not start with a log of its own.
                    (Sender::Foreign(_), Ok(What::Hello { channel })) => {
                        vec![Effect::To(channel, gossip.alive())]
                    }
                    (Sender::Node(_), Err(error)) => {
                        tracing::debug!(%error, "another node says something that this version does not know");
                        continue;
                    }
                    _ => continue,
                },
                () = changes.changed() => {
                    tokio::time::sleep(GATHERING).await;
                    gossip.tell(changes.take())
                }
            };
            for effect in effects {
                self.follow(&node, effect);
            }
        }
        let limits = &self.inner.limits;
        let back = limits.drain_spread + limits.presence_grace;
        let after_ms = u64::try_from(back.as_millis()).unwrap_or(u64::MAX);
        node.tell_nodes(&What::Goodbye { after_ms });
    }

    fn follow(&self, node: &Node, effect: Effect) {
        let rooms = &self.inner.rooms;
        let (room, change) = match effect {
            Effect::ToAll(what) => return node.tell_nodes(&what),
            Effect::To(channel, what) => return node.tell_node(&channel, &what),
            Effect::Typing(room, member) => {
                if let Some(room) = rooms.if_open(&room) {
                    room.feed.pass(&ServerMessage::Typing { member });
                }
                return;
            }
            Effect::Here(node, room, member) => {
                let change = rooms
                    .presence_elsewhere(&room)
                    .here_elsewhere(&node, &member);
                (room, change)
            }
            Effect::Gone(node, room, id) => {
                let presence = rooms.presence_in(&room);
                let change = presence.and_then(|presence| presence.gone_elsewhere(&node, &id));
                rooms.forget_empty(&room);
                (room, change)
            }
        };
        if let (Some(change), Some(room)) = (change, rooms.if_open(&room)) {
            room.announce(&match change {
                Elsewhere::Joined(member) => ServerMessage::Joined { member },
                Elsewhere::Renamed(member, was) => ServerMessage::Renamed { member, was },
                Elsewhere::Left(member) => ServerMessage::Left { member },
            });
        }
    }

    /// Another node said something in a room.
    fn heard(&self, room: &Room, event: &Event) {
        match event.decode::<RoomEvent>() {
            Ok(event) if &*event.room != room.name.as_str() => {}
            Ok(event) => {
                self.counters().heard(event.at.age());
                if event.seq == 0 {
                    room.feed.pass_unnumbered(&event);
                } else if room.feed.offer(&Arc::new(event)) {
                    self.inner.rooms.gap.notify_one();
                }
            }
            Err(error) => {
                tracing::debug!(%error, "another node says something that this version does not know");
            }
        }
    }

    /// Another program says something in a room: stored, where it has an id; else shown to those who are here.
    async fn outside(&self, room: Arc<Room>, kind: Event, said: Outsider) {
        let Some(node) = &self.inner.node else { return };
        let Outsider { id, from, text } = said;
        let text = ByteString::from(text);
        let say = Action::Say {
            text: text.clone(),
            reply_to: None,
        };
        let client = Client {
            address: None,
            transport: Transport::Layer,
        };
        let entered = self.enter(&room.name, Who::Member(from.clone()), client);
        let (taken, is_stored) = match (entered, &id) {
            (Err(refusal), _) => (Err(refusal), false),
            (Ok(access), Some(id)) if self.is_numbered() => {
                let id = Arc::clone(id).into();
                let stored = self.act(&access, id, say).done().await;
                (stored.map(drop), true)
            }
            (Ok(access), _) => {
                let may_say = self.may(&access, Activity::Say);
                (may_say.and_then(|()| self.check(&say)), false)
            }
        };
        if let Err(Refusal { message, .. }) = taken {
            node.refuse_outsider(room.name.as_str(), kind.kind(), &message);
            return;
        }
        node.count_outsider();
        // What is stored, the feed hands out by itself.
        if !is_stored {
            let id = id.unwrap_or_else(|| crate::identity::random_text().into());
            let event = unnumbered(&room.name, id, from, text);
            match self.is_numbered() {
                true => room.feed.pass_unsaved(&event),
                false => room.feed.pass_unnumbered(&event),
            }
        }
    }
}

/// Hears what is said in a room's group, as long as the room is open and the server is not told to stop, which waits until
/// this has left the group.
async fn listen(
    chat: Chat,
    node: Node,
    room: Weak<Room>,
    group: roomful::layer::GroupName,
    entered: oneshot::Sender<()>,
) {
    // Dropped after the inbox, however this ends.
    let mut stopping = chat.stopping();
    let mut stop = pin!(stopped(&mut stopping));
    let mut inbox: Inbox = tokio::select! {
        inbox = node.join_when_possible(&group) => inbox,
        () = &mut stop => return,
    };
    let _ = entered.send(());
    let mut under_way = FuturesOrdered::new();
    loop {
        let event = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(()) = under_way.next() => continue,
            event = inbox.receive(), if under_way.len() < AT_ONCE => event,
        };
        let Some(room) = room.upgrade() else { return };
        match node.sender(&event) {
            Sender::Me | Sender::Foreign(_) => {}
            Sender::Node(_) => chat.heard(&room, &event),
            Sender::Outsider => match node::parse_outsider(&event) {
                Ok(Some(said)) => under_way.push_back(chat.outside(room, event, said)),
                Ok(None) => {
                    tracing::trace!(event = event.kind(), "an event that is not for people");
                }
                Err(why) => node.refuse_outsider(room.name.as_str(), event.kind(), why),
            },
        }
    }
    drop(inbox);
    // The store takes what was heard before it is closed.
    while under_way.next().await.is_some() {}
}
