//! What rooms there are, and who is in them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde::Serialize;

use super::error::HttpError;
use super::{Peer, RoomPath, who_reads};
use crate::chat::{Chat, Members, RoomInfo, Transport};
use crate::protocol::{Member, RoomName};
use crate::timestamp::Timestamp;

/// Rooms in one answer.
const MAX_ROOMS: usize = 100;
/// Members in one answer.
const MAX_MEMBERS: usize = 500;

#[derive(Serialize)]
pub(super) struct RoomList {
    rooms: Vec<Room>,
}

#[derive(Serialize)]
pub(super) struct Room {
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

impl Room {
    fn new(info: RoomInfo, epoch: Option<Arc<str>>) -> Self {
        Self {
            room: info.room,
            epoch,
            seq: info.seq,
            members: info.members,
            topic: info.topic,
            last_at: info.last_at,
        }
    }
}

/// `GET /api/rooms`: rooms with people in them first, then those that spoke last.
pub(super) async fn rooms(
    State(chat): State<Chat>,
    headers: HeaderMap,
) -> Result<Json<RoomList>, HttpError> {
    let epoch = chat.epoch();
    let rooms = chat.rooms(&who_reads(&chat, &headers), MAX_ROOMS).await?;
    let rooms = rooms.into_iter().map(|info| Room::new(info, epoch.clone()));
    Ok(Json(RoomList {
        rooms: rooms.collect(),
    }))
}

/// `GET /api/rooms/{room}`
pub(super) async fn room(
    State(chat): State<Chat>,
    RoomPath(name): RoomPath,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Json<Room>, HttpError> {
    let who = who_reads(&chat, &headers);
    let access = chat.enter(&name, who, peer.by(Transport::Request))?;
    let info = chat.room_info(&access).await?;
    Ok(Json(Room::new(info, chat.epoch())))
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
    RoomPath(room): RoomPath,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Json<MemberList>, HttpError> {
    let who = who_reads(&chat, &headers);
    let access = chat.enter(&room, who, peer.by(Transport::Request))?;
    let Members { count, members } = chat.members(&access, MAX_MEMBERS)?;
    Ok(Json(MemberList {
        room,
        count,
        members,
    }))
}
