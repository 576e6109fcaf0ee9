//! What can be told of a room, and which rooms there are, whether somebody listens to them or not.

use std::sync::Arc;

use super::permission::{Activity, Who, permission};
use super::{Access, Chat};
use crate::protocol::{Member, MessageView, RoomName};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;

/// What is told of a room.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomInfo {
    /// Its name.
    pub room: RoomName,
    /// The newest number; 0 where nothing was said.
    pub seq: u64,
    /// How many members are there now, on all nodes.
    pub members: usize,
    /// What it is about; empty where nobody said so.
    pub topic: String,
    /// When something was last stored there, where that is known.
    pub last_at: Option<Timestamp>,
}

/// Who is in a room, on all nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    /// How many they are.
    pub count: usize,
    /// Those who are named, by name.
    pub members: Vec<Member>,
}

/// A page of messages as they read now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Messages {
    /// The room's newest number when the page was read, or before that.
    pub seq: u64,
    /// The messages, the oldest first.
    pub messages: Vec<MessageView>,
}

/// How many rooms have how many members on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Rooms with members.
    pub rooms: usize,
    /// Members of all of them.
    pub members: usize,
}

impl Chat {
    /// The rooms that `who` may be told of: those with people in them first, then those that spoke last.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn rooms(&self, who: &Who, limit: usize) -> Result<Vec<RoomInfo>, Refusal> {
        let mut here = self.inner.rooms.members();
        let mut rooms = Vec::new();
        if self.is_numbered() {
            for summary in self.inner.history.rooms(limit).await? {
                let members = here.remove(&summary.room).unwrap_or(0);
                rooms.push(RoomInfo {
                    room: summary.room,
                    seq: summary.head,
                    members,
                    topic: summary.topic,
                    last_at: Some(summary.last_at),
                });
            }
        }
        // Rooms where people are and nobody has spoken, or not for long.
        for (room, members) in here {
            rooms.push(RoomInfo {
                room,
                seq: 0,
                members,
                topic: String::new(),
                last_at: None,
            });
        }
        let state = self.room_state();
        rooms.retain(|_| permission(who, Activity::Find, state).is_ok());
        rooms.sort_by(|a, b| {
            (b.members > 0, &b.last_at, &a.room).cmp(&(a.members > 0, &a.last_at, &b.room))
        });
        rooms.truncate(limit);
        Ok(rooms)
    }

    /// What is told of one room.
    ///
    /// # Errors
    /// If they may not read it, or the store cannot be read.
    pub async fn room_info(&self, access: &Access) -> Result<RoomInfo, Refusal> {
        self.may(access, Activity::Read)?;
        let room = &access.room;
        let (seq, topic) = match self.is_numbered() {
            true => (
                self.inner.history.head(room).await?,
                self.inner.history.topic(room).await?,
            ),
            false => (0, String::new()),
        };
        let presence = self.inner.rooms.presence_in(room);
        Ok(RoomInfo {
            room: room.clone(),
            seq,
            members: presence.map_or(0, |presence| presence.count()),
            topic,
            last_at: None,
        })
    }

    /// Who is in a room, at most `limit` of them by name.
    ///
    /// # Errors
    /// If they may not be told.
    pub fn members(&self, access: &Access, limit: usize) -> Result<Members, Refusal> {
        self.may(access, Activity::SeeMembers)?;
        let presence = self.inner.rooms.presence_in(&access.room);
        Ok(presence.map_or_else(Members::default, |presence| Members {
            count: presence.count(),
            members: match limit {
                // Naming them takes sorting them.
                0 => Vec::new(),
                limit => presence.members(limit),
            },
        }))
    }

    /// The newest `limit` messages with numbers under `before`, as they read now; none where nothing is numbered.
    ///
    /// # Errors
    /// If they may not read it, or the store cannot be read.
    pub async fn messages(
        &self,
        access: &Access,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Messages, Refusal> {
        self.may(access, Activity::Read)?;
        if !self.is_numbered() {
            return Ok(Messages::default());
        }
        let (history, room) = (&self.inner.history, &access.room);
        // The number first: what comes in between is in the page and again in the events after it, and dropped there.
        let seq = history.head(room).await?;
        let messages = history.messages_before(room, before, limit).await?;
        Ok(Messages { seq, messages })
    }

    /// How many rooms that are open here have how many members.
    pub fn occupancy(&self) -> Occupancy {
        let rooms = self.inner.rooms.all();
        let members = rooms.iter().map(|room| room.presence.count());
        let occupied = members.filter(|members| *members > 0);
        occupied.fold(Occupancy::default(), |all, members| Occupancy {
            rooms: all.rooms + 1,
            members: all.members + members,
        })
    }

    /// Names the life of the numbering; `None` where nothing is numbered.
    pub fn epoch(&self) -> Option<Arc<str>> {
        self.inner.history.epoch()
    }

    /// Whether rooms can be served: the server is not stopping, and the store reads and takes writes.
    ///
    /// # Errors
    /// Why not.
    pub async fn ready(&self) -> Result<(), Refusal> {
        if *self.inner.stopping.borrow() {
            return Err(Refusal::stopping());
        }
        Ok(self.inner.history.ready().await?)
    }
}
