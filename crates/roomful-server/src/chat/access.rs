//! The gate: every transport enters a room by [`Chat::enter`] before it reads or says anything there.
//!
//! What reads, says or attends asks for the [`Access`] that the gate gave, or for the [`Reader`] of an open room that was
//! made of it, so code that did not enter a room cannot reach what is in it.

use std::net::IpAddr;
use std::sync::Arc;

use super::permission::{Activity, RoomState, Who, permission};
use super::{Chat, Room};
use crate::feed::Feed;
use crate::protocol::{Member, RoomName};
use crate::refusal::Refusal;

/// Where somebody comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The other end of the connection, where it has an address. Behind a proxy it is the proxy's.
    pub address: Option<IpAddr>,
    /// How they speak with us.
    pub transport: Transport,
}

/// How somebody speaks with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A WebSocket of plain text.
    PlainWebSocket,
    /// A WebSocket of `roomful.v1`.
    JsonWebSocket,
    /// Server-Sent Events.
    EventStream,
    /// Polls for events, held or not.
    Polling,
    /// Any other request over HTTP.
    Request,
    /// Another program on the channel layer.
    Layer,
}

/// Somebody has entered a room. Only [`Chat::enter`] makes one.
#[derive(Debug)]
pub struct Access {
    pub(super) room: RoomName,
    pub(super) who: Who,
    client: Client,
}

/// Somebody who has entered a room that is open as long as this is kept, and hears what is said there.
pub struct Reader {
    pub(super) access: Access,
    pub(super) room: Arc<Room>,
}

/// A room that is open as long as this is kept; it tells nothing to whoever has not entered it.
pub struct Prepared {
    _room: Arc<Room>,
}

impl Access {
    /// Where.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// Who.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// The member who entered; `None` for somebody who only reads.
    pub fn member(&self) -> Option<&Member> {
        match &self.who {
            Who::Member(member) => Some(member),
            Who::Reader => None,
        }
    }

    /// From where.
    pub fn client(&self) -> Client {
        self.client
    }
}

impl Reader {
    /// How it was entered.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// What is said here.
    pub fn feed(&self) -> &Feed {
        &self.room.feed
    }
}

impl Chat {
    /// Enters a room: the one gate, for all transports.
    ///
    /// # Errors
    /// Why they may not come in.
    pub fn enter(&self, room: &RoomName, who: Who, from: Client) -> Result<Access, Refusal> {
        let access = Access {
            room: room.clone(),
            who,
            client: from,
        };
        self.may(&access, Activity::Enter)?;
        Ok(access)
    }

    /// Enters a room as the member that `token` proves, or as a new guest: by the name that is given, else by the one the
    /// member has in the room, else by one we choose.
    ///
    /// # Errors
    /// As [`member`](Self::member) and [`enter`](Self::enter).
    pub fn enter_by_token(
        &self,
        room: &RoomName,
        token: Option<&str>,
        name: Option<&str>,
        from: Client,
    ) -> Result<Access, Refusal> {
        let member = self.member(token, name)?;
        let mut access = self.enter(room, Who::Member(member), from)?;
        if name.is_none()
            && let Who::Member(member) = &mut access.who
            && let Some(presence) = self.inner.rooms.presence_in(room)
            && let Some(known) = presence.name_of(&member.id)
        {
            member.name = known;
        }
        Ok(access)
    }

    /// Opens a room to listen to what is said there.
    ///
    /// # Errors
    /// If they may not read it, or the store cannot be read.
    pub async fn open(&self, access: Access) -> Result<Reader, Refusal> {
        self.may(&access, Activity::Read)?;
        let room = self.room(&access.room).await?;
        Ok(Reader { access, room })
    }

    /// Opens a room for somebody who has not said yet who they are, so that a store that cannot be read is known before a
    /// WebSocket is accepted.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn prepare(&self, room: &RoomName) -> Result<Prepared, Refusal> {
        let room = self.room(room).await?;
        Ok(Prepared { _room: room })
    }

    /// Asks the permission check for somebody who has entered, or is about to.
    pub(super) fn may(&self, access: &Access, activity: Activity) -> Result<(), Refusal> {
        permission(&access.who, activity, self.room_state())
    }

    pub(super) fn room_state(&self) -> RoomState {
        RoomState {
            keeps_history: self.is_numbered(),
        }
    }
}
