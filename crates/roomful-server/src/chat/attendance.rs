//! Being in a room: announced when it begins, and when it has ended for longer than a reload takes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Access, Activity, Chat, Reader, Room, Who, parse_name};
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
    reader: Reader,
    grace: Duration,
    stopping: watch::Receiver<bool>,
}

impl Attendance {
    /// What is heard here.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// How the room was entered.
    pub fn access(&self) -> &Access {
        &self.reader.access
    }

    /// Who is here.
    pub fn member(&self) -> &Member {
        let member = self.reader.access.member();
        member.expect("those who only read do not attend")
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let Some(departure) = self.reader.room.presence.depart(&self.member().id) else {
            return;
        };
        if *self.stopping.borrow() {
            return;
        }
        let id = Arc::clone(&self.member().id);
        self.reader.room.depart(id, departure, self.grace);
    }
}

impl Chat {
    /// A connection of the member who entered is in the room until the answer is dropped, and for `grace` longer.
    ///
    /// # Errors
    /// If they may not be there, or the room is full. Who is here already has a place.
    pub fn attend(&self, reader: Reader, grace: Duration) -> Result<Attendance, Refusal> {
        let Reader { access, room } = &reader;
        self.may(access, Activity::Attend)?;
        let member = access.member().ok_or_else(Refusal::members_only)?;
        let announced = room.presence.count() < ANNOUNCED_MEMBERS;
        match room
            .presence
            .arrive(member, self.inner.limits.members_per_room)
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
            reader,
            grace,
            stopping: self.inner.stopping.subscribe(),
        })
    }

    /// A member who is in a room wants to be called something else.
    ///
    /// # Errors
    /// If they may not, or nobody can have that name.
    pub fn rename(&self, attendance: &mut Attendance, name: &str) -> Result<(), Refusal> {
        self.may(attendance.access(), Activity::Rename)?;
        let name = parse_name(name)?;
        let Reader { access, room } = &mut attendance.reader;
        let Who::Member(member) = &mut access.who else {
            return Err(Refusal::members_only());
        };
        member.name = name;
        if let Some(was) = room.presence.rename(member) {
            room.feed.pass(&ServerMessage::Renamed {
                member: member.clone(),
                was,
            });
        }
        Ok(())
    }
}
