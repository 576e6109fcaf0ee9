//! What rooms there are, and who is in them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::RoomPath;
use super::error::HttpError;
use crate::chat::Chat;
use crate::protocol::{Member, RoomName};
use crate::timestamp::Timestamp;

/// Rooms in one answer.
const MAX_ROOMS: usize = 100;
/// Members in one answer.
const MAX_MEMBERS: usize = 500;

#[derive(Serialize)]
pub(super) struct RoomList {
    rooms: Vec<RoomInfo>,
}

#[derive(Serialize)]
pub(super) struct RoomInfo {
    room: RoomName,
    epoch: Option<Arc<str>>,
    /// The newest number.
    seq: u64,
    /// How many members are here now.
    members: usize,
    /// What it is about; empty where nobody said so.
    topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<Timestamp>,
}

/// `GET /api/rooms`: rooms with people in them first, then those that spoke last.
pub(super) async fn rooms(State(chat): State<Chat>) -> Result<Json<RoomList>, HttpError> {
    let mut here = chat.members();
    let mut rooms = Vec::new();
    let epoch = chat.history().epoch();
    if epoch.is_some() {
        for summary in chat.history().rooms(MAX_ROOMS).await? {
            let members = here.remove(&summary.room).unwrap_or(0);
            let epoch = epoch.clone();
            rooms.push(RoomInfo {
                room: summary.room,
                epoch,
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
            epoch: epoch.clone(),
            seq: 0,
            members,
            topic: String::new(),
            last_at: None,
        });
    }
    rooms.sort_by(|a, b| {
        (b.members > 0, &b.last_at, &a.room).cmp(&(a.members > 0, &a.last_at, &b.room))
    });
    rooms.truncate(MAX_ROOMS);
    Ok(Json(RoomList { rooms }))
}

/// `GET /api/rooms/{room}`
pub(super) async fn room(
    State(chat): State<Chat>,
    RoomPath(name): RoomPath,
) -> Result<Json<RoomInfo>, HttpError> {
    let (seq, topic) = match chat.is_numbered() {
        true => (
            chat.history().head(&name).await?,
            chat.history().topic(&name).await?,
        ),
        false => (0, String::new()),
    };
    let members = chat
        .presence_in(&name)
        .map_or(0, |presence| presence.count());
    Ok(Json(RoomInfo {
        room: name,
        epoch: chat.history().epoch(),
        seq,
        members,
        topic,
        last_at: None,
    }))
}

#[derive(Serialize)]
pub(super) struct MemberList {
    room: RoomName,
    count: usize,
    members: Vec<Member>,
}

/// `GET /api/rooms/{room}/members`
pub(super) async fn members(
    State(chat): State<Chat>,
    RoomPath(name): RoomPath,
) -> Json<MemberList> {
    let (count, members) = match chat.presence_in(&name) {
        Some(presence) => (presence.count(), presence.members(MAX_MEMBERS)),
        None => (0, Vec::new()),
    };
    Json(MemberList {
        room: name,
        count,
        members,
    })
}
