//! The one door for all transports: rooms, who is in them, and what is said.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use ahash::AHashMap;
use roomful::serve::{Home, Shards};
use tokio::sync::{Notify, OnceCell, watch};
use tokio::time::MissedTickBehavior;

use crate::feed::{Entry, Feed, Tail};
use crate::history::{Appended, History, HistoryError};
use crate::identity::{self, Guests};
use crate::presence::{Arrival, Presence};
use crate::protocol::{
    Action, ErrorCode, EventKind, Limits, Member, RoomEvent, RoomName, ServerMessage, You,
};
use crate::rate::Rates;

/// From this many members on, comings and goings are no longer told one by one: in a full room each of them would cost as
/// much as a message. Who is here is answered when asked.
pub const ANNOUNCED_MEMBERS: usize = 200;
/// How often the positions of all feeds are compared with the log's: once for a room, however many members it has.
const POSITION_CHECK: Duration = Duration::from_secs(5);
/// The longest topic, in characters.
const MAX_TOPIC: usize = 250;
/// Events on the newest page, for a reader whose position is not known.
pub const NEWEST_PAGE: usize = 50;

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
    stopping: watch::Sender<bool>,
}

/// The rooms somebody listens to; others exist only in the log.
pub struct Rooms {
    shards: Shards,
    /// Guards which rooms are open.
    open: Mutex<AHashMap<RoomName, Weak<Room>>>,
    /// Some room's feed misses events.
    gap: Notify,
}

/// A room that somebody listens to.
pub struct Room {
    name: RoomName,
    feed: Feed,
    presence: Presence,
    home: Home,
    started: OnceCell<()>,
}

/// Something was said.
#[derive(Clone, Debug)]
pub struct Said {
    /// The event as it was stored.
    pub event: Arc<RoomEvent>,
    /// Whether it was there before: the client said it twice.
    pub repeated: bool,
}

/// Why something was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The code, for programs.
    pub code: ErrorCode,
    /// The reason, for people.
    pub message: String,
    /// When to try again, where that helps.
    pub retry_after: Option<Duration>,
}

/// What a reader that comes to a room gets first.
#[derive(Debug)]
pub struct CatchUp {
    /// Whether it is everything after the reader's position; else it is the newest page.
    pub recovered: bool,
    /// The events, in order.
    pub events: Vec<Entry>,
}

/// One answer to "everything after 41".
#[derive(Debug)]
pub struct Page {
    /// Whether it follows the reader's position; else it is the newest page.
    pub recovered: bool,
    /// The position after this page: what to ask for next.
    pub seq: u64,
    /// The newest number there is.
    pub head: u64,
    /// The events, in order.
    pub events: Vec<Entry>,
}

/// A reader's position in a room's log.
#[derive(Clone, Debug, Default)]
pub struct Position {
    /// The last number the reader has.
    pub after: Option<u64>,
    /// The numbering it belongs to; a reader that names none means ours.
    pub epoch: Option<String>,
}

impl Rooms {
    /// No rooms yet.
    pub fn new(shards: Shards) -> Self {
        Self {
            shards,
            open: Mutex::default(),
            gap: Notify::new(),
        }
    }

    /// Events were committed, in this order: those who listen hear them. Called by the store, before it acknowledges.
    pub fn committed(&self, events: &[Arc<RoomEvent>]) {
        let mut known: Option<Arc<Room>> = None;
        for event in events {
            if known
                .as_ref()
                .is_none_or(|room| room.name.as_str() != &*event.room)
            {
                known = RoomName::parse(&event.room)
                    .ok()
                    .and_then(|name| self.lock().get(&name)?.upgrade());
            }
            if let Some(room) = &known
                && room.feed.offer(event)
            {
                self.gap.notify_one();
            }
        }
    }

    fn room(&self, name: &RoomName) -> Arc<Room> {
        let mut open = self.lock();
        if let Some(room) = open.get(name).and_then(Weak::upgrade) {
            return room;
        }
        if open.len() >= 64 && open.len() == open.capacity() {
            // Before the map grows, rooms that everybody left make room.
            open.retain(|_, room| room.strong_count() > 0);
        }
        let home = self.shards.home(name);
        let room = Arc::new(Room {
            name: name.clone(),
            feed: Feed::new(home.handle()),
            presence: Presence::default(),
            home,
            started: OnceCell::new(),
        });
        open.insert(name.clone(), Arc::downgrade(&room));
        room
    }

    fn all(&self) -> Vec<Arc<Room>> {
        self.lock().values().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, AHashMap<RoomName, Weak<Room>>> {
        self.open
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Room {
    /// The room's name.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// What is said here.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Who is here.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }
}

impl Chat {
    /// A chat over `history`, whose commits go to `rooms`.
    pub fn new(history: History, rooms: Arc<Rooms>, limits: ChatLimits) -> Self {
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
                stopping,
            }),
        }
    }

    /// The store.
    pub fn history(&self) -> &History {
        &self.inner.history
    }

    /// What the operator allows.
    pub fn limits(&self) -> &ChatLimits {
        &self.inner.limits
    }

    /// Whether what is said is numbered and kept.
    pub fn is_numbered(&self) -> bool {
        self.inner.history.epoch().is_some()
    }

    /// Where connections of this room live.
    pub fn home(&self, name: &RoomName) -> Home {
        self.inner.rooms.shards.home(name)
    }

    /// Rooms somebody is in now.
    pub fn open_rooms(&self) -> Vec<Arc<Room>> {
        self.inner.rooms.all()
    }

    /// A room, if somebody listens to it.
    pub fn if_open(&self, name: &RoomName) -> Option<Arc<Room>> {
        self.inner.rooms.lock().get(name).and_then(Weak::upgrade)
    }

    /// What a member is called in a room it is in.
    pub fn name_in(&self, room: &RoomName, id: &str) -> Option<Arc<str>> {
        self.if_open(room)?.presence.name_of(id)
    }

    /// Opens a room to listen to.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn room(&self, name: &RoomName) -> Result<Arc<Room>, Refusal> {
        let room = self.inner.rooms.room(name);
        room.started
            .get_or_try_init(|| async {
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

    /// Says, edits, deletes or reacts; resolves when it is stored.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was stored then, and nobody was shown it. If its code is `store_unavailable` the outcome may
    /// be unknown: doing it again with the same id is safe.
    pub async fn act(
        &self,
        room: &RoomName,
        by: &Member,
        id: Arc<str>,
        action: Action,
    ) -> Result<Said, Refusal> {
        if !identity::is_client_id(&id) {
            return Err(Refusal::new(
                ErrorCode::BadId,
                "an action's id has 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `:`",
            ));
        }
        self.check(&action)?;
        if *self.inner.stopping.borrow() {
            return Err(Refusal::stopping());
        }
        if !self.is_numbered() {
            return self.act_live(room, by, id, action);
        }
        let Appended { event, repeated } = self
            .inner
            .history
            .append(room, by.clone(), id, action)
            .await?;
        Ok(Said { event, repeated })
    }

    fn check(&self, action: &Action) -> Result<(), Refusal> {
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
        by: &Member,
        id: Arc<str>,
        action: Action,
    ) -> Result<Said, Refusal> {
        let Action::Say { text, .. } = action else {
            return Err(Refusal::new(
                ErrorCode::NoHistory,
                "this server keeps no history: there is nothing to change",
            ));
        };
        let event = RoomEvent {
            kind: EventKind::Message,
            room: room.as_str().into(),
            seq: 0,
            id,
            from: by.clone(),
            at: crate::protocol::now(),
            text: Some(text),
            reply_to: None,
            target: None,
            emoji: None,
            on: None,
        };
        self.inner.rooms.room(room).feed.pass_unnumbered(&event);
        Ok(Said {
            event: Arc::new(event),
            repeated: false,
        })
    }

    /// What a reader gets that has everything up to `position`, of a log that ends at `head`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn catch_up(
        &self,
        room: &Room,
        position: &Position,
        head: u64,
    ) -> Result<CatchUp, Refusal> {
        let Some(epoch) = self.inner.history.epoch() else {
            return Ok(CatchUp {
                recovered: false,
                events: Vec::new(),
            });
        };
        let same_epoch = position
            .epoch
            .as_deref()
            .is_none_or(|theirs| theirs == &*epoch);
        if let Some(after) = position.after
            && same_epoch
            && after <= head
            && head - after <= self.inner.limits.page_max as u64
        {
            let events = self.events_between(room, after, head).await?;
            if let Some(events) = events {
                return Ok(CatchUp {
                    recovered: true,
                    events,
                });
            }
        }
        let newest = head.saturating_sub(NEWEST_PAGE as u64);
        let events = self.newest_between(room, newest, head).await?;
        Ok(CatchUp {
            recovered: false,
            events,
        })
    }

    /// One page of the log after a position, or the newest page where that position is not known.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn page(
        &self,
        room: &Room,
        position: &Position,
        limit: usize,
    ) -> Result<Page, Refusal> {
        let Some(epoch) = self.inner.history.epoch() else {
            return Ok(Page {
                recovered: false,
                seq: 0,
                head: 0,
                events: Vec::new(),
            });
        };
        let head = room.feed.head();
        let same_epoch = position
            .epoch
            .as_deref()
            .is_none_or(|theirs| theirs == &*epoch);
        if let Some(after) = position.after
            && same_epoch
            && after <= head
        {
            let until = head.min(after.saturating_add(limit as u64));
            if let Some(events) = self.events_between(room, after, until).await? {
                return Ok(Page {
                    recovered: true,
                    seq: until,
                    head,
                    events,
                });
            }
        }
        let newest = head.saturating_sub(NEWEST_PAGE.min(limit) as u64);
        let events = self.newest_between(room, newest, head).await?;
        Ok(Page {
            recovered: false,
            seq: head,
            head,
            events,
        })
    }

    /// The events `after+1..=head`; `None` if the log no longer has all of them.
    async fn events_between(
        &self,
        room: &Room,
        after: u64,
        head: u64,
    ) -> Result<Option<Vec<Entry>>, Refusal> {
        let events = self.newest_between(room, after, head).await?;
        let whole = events.len() as u64 == head - after;
        Ok(whole.then_some(events))
    }

    async fn newest_between(
        &self,
        room: &Room,
        after: u64,
        head: u64,
    ) -> Result<Vec<Entry>, Refusal> {
        if after >= head {
            return Ok(Vec::new());
        }
        let wanted = (head - after) as usize;
        if let Tail::Complete(entries) = room.feed.tail_after(after, wanted) {
            return Ok(entries);
        }
        let page = self.inner.history.after(&room.name, after, wanted).await?;
        Ok(page
            .events
            .into_iter()
            .filter(|event| event.seq <= head)
            .map(Entry::from)
            .collect())
    }

    /// A connection of `member` is in the room until the answer is dropped, and for `grace` longer.
    ///
    /// # Errors
    /// If the room is full. Who is here already has a place.
    pub fn attend(
        &self,
        room: &Arc<Room>,
        member: Member,
        grace: Duration,
    ) -> Result<Attendance, Refusal> {
        let announced = room.presence.count() < ANNOUNCED_MEMBERS;
        match room
            .presence
            .arrive(&member, self.inner.limits.members_per_room)
        {
            Arrival::Joined if announced => room.feed.pass(&ServerMessage::Joined {
                member: member.clone(),
            }),
            Arrival::Known { was } if was != member.name => {
                room.feed.pass(&ServerMessage::Renamed {
                    member: member.clone(),
                    was,
                });
            }
            Arrival::Full => return Err(Refusal::room_full()),
            Arrival::Joined | Arrival::Known { .. } => {}
        }
        Ok(Attendance {
            room: Arc::clone(room),
            member,
            grace,
            stopping: self.inner.stopping.subscribe(),
        })
    }

    /// Keeps feeds complete: reads from the log what one of them misses, as soon as it notices, and compares all positions
    /// with the log now and then. Never ends; dropping it is safe at any time.
    pub async fn fill_gaps(self) {
        let mut check = tokio::time::interval(POSITION_CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let check_all = tokio::select! {
                () = self.inner.rooms.gap.notified() => false,
                _ = check.tick() => self.is_numbered(),
            };
            for room in self.open_rooms() {
                if check_all && room.started.initialized() {
                    // A log that cannot be read now is asked again next time.
                    let head = self.inner.history.head(&room.name).await;
                    self.read_until(&room, head.unwrap_or_default()).await;
                }
                while let Some(until) = room.feed.gap() {
                    self.read_until(&room, until).await;
                }
            }
        }
    }

    /// Offers a feed the log's events up to a number that is known to be given.
    async fn read_until(&self, room: &Room, until: u64) {
        while room.feed.head() < until {
            let head = room.feed.head();
            let limit = self.inner.limits.page_max;
            match self.inner.history.after(&room.name, head, limit).await {
                Ok(page) if page.first > head + 1 => room.feed.skip_to(page.first - 1),
                Ok(page) => {
                    for event in &page.events {
                        room.feed.offer(event);
                    }
                }
                Err(error) => {
                    tracing::warn!(room.name = %room.name, %error, "missing events cannot be read, trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            if room.feed.head() == head {
                // The log does not have it yet; somebody else's commit is on its way.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Becomes `true` when the server is told to stop; it waits for all receivers to be dropped then.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.inner.stopping.subscribe()
    }

    /// Tells everybody that the server stops, waits until they are gone, and finishes all writes.
    pub async fn stop(&self) {
        self.inner.stopping.send_replace(true);
        self.inner.stopping.closed().await;
        self.inner.history.close().await;
    }
}

/// Resolves when the server is told to stop.
pub async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A chat that is gone has stopped, too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// A connection's presence in a room.
pub struct Attendance {
    room: Arc<Room>,
    member: Member,
    grace: Duration,
    stopping: watch::Receiver<bool>,
}

impl Attendance {
    /// Where.
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Who is here.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// The member wants to be called something else.
    ///
    /// # Errors
    /// If nobody can have that name.
    pub fn rename(&mut self, name: &str) -> Result<(), Refusal> {
        self.member.name = parse_name(name)?;
        if let Some(was) = self.room.presence.rename(&self.member) {
            self.room.feed.pass(&ServerMessage::Renamed {
                member: self.member.clone(),
                was,
            });
        }
        Ok(())
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let Some(departure) = self.room.presence.depart(&self.member.id) else {
            return;
        };
        if *self.stopping.borrow() {
            return;
        }
        let (room, id, grace) = (
            Arc::clone(&self.room),
            Arc::clone(&self.member.id),
            self.grace,
        );
        // The room's own runtime: this may run on a thread that has none, or is about to end.
        drop(self.room.home.handle().spawn(async move {
            tokio::time::sleep(grace).await;
            if let Some(member) = room.presence.gone(&id, departure)
                && room.presence.count() < ANNOUNCED_MEMBERS
            {
                room.feed.pass(&ServerMessage::Left { member });
            }
        }));
    }
}

fn parse_name(name: &str) -> Result<Arc<str>, Refusal> {
    identity::parse_name(name).map_err(|error| Refusal::new(ErrorCode::BadName, error.to_string()))
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Too much in too short a time.
    pub fn rate_limited(wait: Duration) -> Self {
        let message = "too many messages in too short a time: wait a moment";
        Self {
            retry_after: Some(wait),
            ..Self::new(ErrorCode::RateLimited, message)
        }
    }

    /// No place for another member.
    pub fn room_full() -> Self {
        let message = "this room has as many members as it may: try again later";
        Self::new(ErrorCode::RoomFull, message)
    }

    /// The server stops.
    pub fn stopping() -> Self {
        let message = "the server is stopping: connect again in a moment";
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(ErrorCode::ShuttingDown, message)
        }
    }

    /// The refusal as a message of the protocol.
    pub fn into_message(self, id: Option<String>) -> ServerMessage {
        let retry_after_ms = self
            .retry_after
            .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        ServerMessage::Error {
            code: self.code,
            message: self.message,
            id,
            retry_after_ms,
        }
    }
}

impl From<HistoryError> for Refusal {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::MessageNotFound => {
                Self::new(ErrorCode::MessageNotFound, "there is no such message here")
            }
            HistoryError::Forbidden => {
                Self::new(ErrorCode::Forbidden, "this message is somebody else's")
            }
            error => {
                let message = "the history cannot be reached: nothing was said, try again";
                tracing::debug!(%error, "the store refused");
                Self {
                    retry_after: Some(Duration::from_secs(1)),
                    ..Self::new(ErrorCode::StoreUnavailable, message)
                }
            }
        }
    }
}
