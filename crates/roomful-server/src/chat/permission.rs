//! The permission check: whether somebody may do something in a room. It is one pure function, asked for every activity on
//! every transport, and it has an answer for each: a new [`Activity`] does not compile without one.
//!
//! Today rooms are open: everybody may enter, read and see who is there, and every member may say and change what is theirs.
//! Whose a message is, is known to the store alone, which asks that in the transaction.

use crate::protocol::{Action, Member};
use crate::refusal::Refusal;

/// Who wants something of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Somebody who only reads and did not say who they are.
    Reader,
    /// A member, by a token or just made.
    Member(Member),
}

/// What somebody does in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Being told that the room is there, in the list of rooms.
    Find,
    /// Entering it, which comes before all that follow.
    Enter,
    /// Reading its messages and events, old and new.
    Read,
    /// Being told who is in it.
    SeeMembers,
    /// Being in it, so that others see that.
    Attend,
    /// Telling that one is typing.
    Type,
    /// Being called something else.
    Rename,
    /// Saying something.
    Say,
    /// Replacing the text of a message.
    Edit,
    /// Removing a message.
    Delete,
    /// Setting a reaction, or taking it back.
    React,
    /// Saying what the room is about.
    SetTopic,
}

/// What the answer depends on besides who asks for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomState {
    /// Whether what is said is kept: else there is nothing to change.
    pub keeps_history: bool,
}

impl From<&Action> for Activity {
    fn from(action: &Action) -> Self {
        match action {
            Action::Say { .. } => Self::Say,
            Action::Edit { .. } => Self::Edit,
            Action::Delete { .. } => Self::Delete,
            Action::React { .. } => Self::React,
            Action::Topic { .. } => Self::SetTopic,
        }
    }
}

/// Whether `who` may do this in a room in this state.
///
/// # Errors
/// Why not.
pub fn permission(who: &Who, activity: Activity, room: RoomState) -> Result<(), Refusal> {
    match activity {
        Activity::Find | Activity::Enter | Activity::Read | Activity::SeeMembers => Ok(()),
        Activity::Attend | Activity::Type | Activity::Rename | Activity::Say => member(who),
        Activity::Edit | Activity::Delete | Activity::React | Activity::SetTopic => {
            member(who)?;
            match room.keeps_history {
                true => Ok(()),
                false => Err(Refusal::no_history()),
            }
        }
    }
}

fn member(who: &Who) -> Result<(), Refusal> {
    match who {
        Who::Member(_) => Ok(()),
        Who::Reader => Err(Refusal::members_only()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ErrorCode;

    const READING: [Activity; 4] = [
        Activity::Find,
        Activity::Enter,
        Activity::Read,
        Activity::SeeMembers,
    ];
    const TAKING_PART: [Activity; 4] = [
        Activity::Attend,
        Activity::Type,
        Activity::Rename,
        Activity::Say,
    ];
    const CHANGING: [Activity; 4] = [
        Activity::Edit,
        Activity::Delete,
        Activity::React,
        Activity::SetTopic,
    ];
    const KEPT: RoomState = RoomState {
        keeps_history: true,
    };
    const LIVE: RoomState = RoomState {
        keeps_history: false,
    };

    fn ana() -> Who {
        Who::Member(Member {
            id: "m-1".into(),
            name: "Ana".into(),
        })
    }

    fn refusal(who: &Who, activity: Activity, room: RoomState) -> Option<ErrorCode> {
        permission(who, activity, room).err().map(|no| no.code)
    }

    #[test]
    fn a_room_is_open_to_everybody_who_reads() {
        for activity in READING {
            for who in [ana(), Who::Reader] {
                assert_eq!(refusal(&who, activity, KEPT), None, "{who:?} {activity:?}");
                assert_eq!(refusal(&who, activity, LIVE), None, "{who:?} {activity:?}");
            }
        }
    }

    #[test]
    fn whoever_takes_part_says_who_they_are() {
        for activity in TAKING_PART.into_iter().chain(CHANGING) {
            assert_eq!(refusal(&ana(), activity, KEPT), None, "{activity:?}");
            let no = refusal(&Who::Reader, activity, KEPT);
            assert_eq!(no, Some(ErrorCode::Forbidden), "{activity:?}");
        }
    }

    #[test]
    fn where_nothing_is_kept_nothing_can_be_changed() {
        for activity in TAKING_PART {
            assert_eq!(refusal(&ana(), activity, LIVE), None, "{activity:?}");
        }
        for activity in CHANGING {
            let no = refusal(&ana(), activity, LIVE);
            assert_eq!(no, Some(ErrorCode::NoHistory), "{activity:?}");
        }
    }
}
