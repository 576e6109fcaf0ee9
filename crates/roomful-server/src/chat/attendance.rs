//! Being in a room: announced when it begins, and when it has ended for longer than a reload takes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Chat, Room, parse_name};
use crate::presence::Arrival;
use crate::protocol::{Member, ServerMessage};
use crate::refusal::Refusal;

/// From this many members on, comings and goings are no longer told one by one: in a full room each of them would cost as
/// much as a message. Who is here is answered when asked.
const ANNOUNCED_MEMBERS: usize = 200;

impl Room {
    /// Tells who listens here of somebody's coming or going.
    pub(super) fn announce(&self, message: &ServerMessage) {
        if self.presence.count() < ANNOUNCED_MEMBERS {
            self.feed.pass(message);
        }
    }
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
        self.room
            .depart(Arc::clone(&self.member.id), departure, self.grace);
    }
}

impl Chat {
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
}
