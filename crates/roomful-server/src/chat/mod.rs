//! The one door for all transports: rooms, who is in them, and what is said.
//!
//! - `access`: the gate that everybody enters a room by;
//! - `permission`: whether somebody may do something there;
//! - `lobby`: what can be told of rooms;
//! - `rooms`: those that somebody listens to;
//! - `attendance`: being in one of them;
//! - `acting`: doing something there, until it is stored;
//! - `departures`: having left, for as long as one may come back;
//! - `reading`: what a reader or a feed missed;
//! - `elsewhere`: what other nodes and programs say.

mod access;
mod acting;
mod attendance;
mod departures;
mod elsewhere;
mod lobby;
mod permission;
mod reading;
mod rooms;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::watch;

pub use access::{Access, Client, Prepared, Reader, Transport};
pub use acting::{Acting, Storing};
pub use attendance::Attendance;
pub use lobby::{Members, Messages, Occupancy, RoomInfo};
pub use permission::{Activity, RoomState, Who, permission};
pub use reading::{NEWEST_PAGE, Page, Position};
pub use rooms::Rooms;

pub use crate::feed::Entry;
pub use crate::history::ActionId;

use crate::counters::Counters;
use crate::history::{History, HistoryError};
use crate::identity::{self, Guests};
use crate::node::{Node, NodeCounts};
use crate::protocol::{Action, ErrorCode, EventKind, Limits, Member, RoomEvent, RoomName, You};
use crate::rate::Rates;
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;
use rooms::Room;

/// The longest topic, in characters.
const MAX_TOPIC: usize = 250;
/// What the operator allows.
#[derive(Clone, Debug)]
pub struct ChatLimits {
    /// What clients are told.
    pub client: Limits,
    /// Whether rates are limited at all.
    pub rates: bool,
    /// Members in one room.
    pub members_per_room: usize,
    /// Events on a page of history, and the most that can be asked for.
    pub page: usize,
    /// The most events on a page of history.
    pub page_max: usize,
    /// How long a member may be away without having left.
    pub presence_grace: Duration,
    /// How long a node of which nothing is heard keeps its members.
    pub presence_lease: Duration,
    /// Over how long members are told to come back when the server stops.
    pub drain_spread: Duration,
}

/// All rooms of this process. Clones are the same chat.
#[derive(Clone)]
pub struct Chat {
    inner: Arc<Inner>,
}

struct Inner {
    history: History,
    guests: Guests,
    rooms: Arc<Rooms>,
    limits: ChatLimits,
    rates: Rates,
    node: Option<Node>,
    stopping: watch::Sender<bool>,
    /// The same for whoever only asks, without a lock.
    is_stopping: AtomicBool,
}

/// Something was said.
#[derive(Clone, Debug)]
pub struct Said {
    /// The event as it was stored.
    pub event: Arc<RoomEvent>,
    /// Whether it was there before: the client said it twice.
    pub repeated: bool,
}

impl Chat {
    /// A chat of one node over `history`, whose commits go to `rooms`.
    pub fn new(history: History, rooms: Arc<Rooms>, limits: ChatLimits) -> Self {
        Self::among(history, rooms, limits, None)
    }

    /// A chat of a node among others, or of one alone.
    pub fn among(
        history: History,
        rooms: Arc<Rooms>,
        limits: ChatLimits,
        node: Option<Node>,
    ) -> Self {
        let guests = Guests::new(&history.secret()[..]);
        let rates = Rates::new(limits.client.messages_per_second, limits.client.burst);
        let stopping = watch::Sender::new(false);
        Self {
            inner: Arc::new(Inner {
                history,
                guests,
                rooms,
                limits,
                rates,
                node,
                stopping,
                is_stopping: AtomicBool::new(false),
            }),
        }
    }

    /// What the operator allows.
    pub fn limits(&self) -> &ChatLimits {
        &self.inner.limits
    }

    /// What happens here, counted.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.inner.rooms.counters
    }

    /// Whether what is said is numbered and kept.
    pub fn is_numbered(&self) -> bool {
        self.inner.history.is_numbered()
    }

    /// This process among others on a channel layer, if it is.
    pub fn node(&self) -> Option<&Node> {
        self.inner.node.as_ref()
    }

    /// What was counted between nodes; all zero but for gaps where there is one alone.
    pub fn node_counts(&self) -> NodeCounts {
        let counts = self.inner.node.as_ref().map(Node::counts);
        NodeCounts {
            gaps_filled: self.inner.rooms.gaps_filled.load(Ordering::Relaxed),
            ..counts.unwrap_or_default()
        }
    }

    /// A room that is open and has read where its log ends.
    async fn room(&self, name: &RoomName) -> Result<Arc<Room>, Refusal> {
        let room = self.inner.rooms.room(name);
        room.started
            .get_or_try_init(|| async {
                // First listen, then read: what is said in between is heard.
                self.listen_elsewhere(&room).await;
                let (head, topic) = match self.is_numbered() {
                    true => (
                        self.inner.history.head(name).await?,
                        self.inner.history.topic(name).await?,
                    ),
                    false => (0, String::new()),
                };
                room.feed.start(head, topic);
                Ok::<_, HistoryError>(())
            })
            .await?;
        Ok(room)
    }

    /// The member a token proves, or a new guest; with a name of its own choice, or one we choose.
    ///
    /// # Errors
    /// If the token is not ours or the name cannot be had.
    pub fn member(&self, token: Option<&str>, name: Option<&str>) -> Result<Member, Refusal> {
        let id = match token {
            Some(token) => self.inner.guests.verify(token).ok_or_else(|| {
                Refusal::new(
                    ErrorCode::BadToken,
                    "this token is not one of ours: leave it out to get a new one",
                )
            })?,
            None => self.inner.guests.new_id(),
        };
        let name = match name {
            Some(name) => parse_name(name)?,
            None => identity::guest_name(&id),
        };
        Ok(Member { id, name })
    }

    /// What a member is told about itself.
    pub fn you(&self, member: &Member) -> You {
        let (id, name) = (Arc::clone(&member.id), Arc::clone(&member.name));
        You {
            token: self.inner.guests.token(&id),
            id,
            name,
        }
    }

    /// Counts a message against what `who`, a member's id or an address, may say.
    ///
    /// # Errors
    /// How long to wait until it may say more.
    pub fn count(&self, who: &str) -> Result<(), Duration> {
        if self.inner.limits.rates {
            self.inner.rates.take(who)
        } else {
            Ok(())
        }
    }

    /// Says, edits, deletes or reacts. It is with the store when this returns, and done when it is stored.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was stored then, and nobody was shown it. If its code is `store_unavailable` the outcome may
    /// be unknown: doing it again with the same id is safe.
    pub fn act(&self, access: &Access, id: ActionId, action: Action) -> Acting<'_> {
        let by = match self.may_act(access, &id, &action) {
            Ok(member) => member.clone(),
            Err(refusal) => return Acting::Done(Err(refusal)),
        };
        if self.is_numbered() {
            let appending = self.inner.history.append(&access.room, by, id, action);
            Acting::storing(self, appending)
        } else {
            Acting::Done(self.act_live(&access.room, by, id, action))
        }
    }

    /// The member who acts, if they may.
    fn may_act<'a>(
        &self,
        access: &'a Access,
        id: &ActionId,
        action: &Action,
    ) -> Result<&'a Member, Refusal> {
        if id.may_come_again() && !identity::is_client_id(id.as_str()) {
            return Err(Refusal::new(
                ErrorCode::BadId,
                "an action's id has 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `:`",
            ));
        }
        self.check(action)?;
        if self.inner.is_stopping.load(Ordering::Acquire) {
            return Err(Refusal::stopping());
        }
        self.may(access, Activity::from(action))?;
        access.member().ok_or_else(Refusal::members_only)
    }

    pub(super) fn check(&self, action: &Action) -> Result<(), Refusal> {
        let longest = self.inner.limits.client.message_bytes;
        match action {
            Action::Say { text, .. } | Action::Edit { text, .. } if text.trim().is_empty() => {
                Err(Refusal::new(ErrorCode::EmptyMessage, "a message has text"))
            }
            Action::Say { text, .. } | Action::Edit { text, .. } if text.len() > longest => {
                let message = format!(
                    "a message has at most {longest} bytes, this one has {}",
                    text.len()
                );
                Err(Refusal::new(ErrorCode::MessageTooLarge, message))
            }
            Action::Topic { text } if text.chars().count() > MAX_TOPIC => Err(Refusal::new(
                ErrorCode::BadTopic,
                format!("a topic has at most {MAX_TOPIC} characters"),
            )),
            Action::React { emoji, .. }
                if emoji.trim().is_empty() || emoji.chars().count() > 16 =>
            {
                Err(Refusal::new(
                    ErrorCode::BadEmoji,
                    "a reaction has 1 to 16 characters",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Where nothing is kept: to those who listen now.
    fn act_live(
        &self,
        room: &RoomName,
        by: Member,
        id: ActionId,
        action: Action,
    ) -> Result<Said, Refusal> {
        let Action::Say { text, .. } = action else {
            return Err(Refusal::no_history());
        };
        let event = unnumbered(room, id.into_text(), by, text);
        self.inner.rooms.room(room).feed.pass_unnumbered(&event);
        self.counters().acted(event.kind, Duration::ZERO);
        let event = Arc::new(event);
        if let Some(node) = &self.inner.node {
            node.publish(std::slice::from_ref(&event));
        }
        Ok(Said {
            event,
            repeated: false,
        })
    }

    /// Becomes `true` when the server is told to stop; it waits for all receivers to be dropped then.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.inner.stopping.subscribe()
    }

    /// Tells everybody that the server stops, waits until they are gone, and finishes all writes. A node among others then
    /// leaves their groups.
    pub async fn stop(&self) {
        self.inner.is_stopping.store(true, Ordering::Release);
        self.inner.stopping.send_replace(true);
        self.inner.stopping.closed().await;
        self.inner.history.close().await;
        if let Some(node) = &self.inner.node {
            node.flush().await;
            node.settled().await;
        }
    }
}

/// Resolves when the server is told to stop.
pub async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A chat that is gone has stopped, too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// A message that is shown and not stored.
fn unnumbered(room: &RoomName, id: Arc<str>, from: Member, text: ByteString) -> RoomEvent {
    RoomEvent {
        kind: EventKind::Message,
        room: room.as_str().into(),
        seq: 0,
        id,
        from,
        at: Timestamp::now(),
        text: Some(text),
        reply_to: None,
        target: None,
        emoji: None,
        on: None,
    }
}

fn parse_name(name: &str) -> Result<Arc<str>, Refusal> {
    identity::parse_name(name).map_err(|error| Refusal::new(ErrorCode::BadName, error.to_string()))
}
