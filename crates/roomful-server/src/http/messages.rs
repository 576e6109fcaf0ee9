//! Messages as they read now, and saying, editing, deleting and reacting by HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest as _, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Form, Json};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, StatusCode};
use serde::{Deserialize, Serialize};

use super::error::HttpError;
use super::{Peer, RoomPath, SeqPath, bearer, who_reads};
use crate::chat::{Access, Chat, NEWEST_PAGE, Transport};
use crate::identity::random_text;
use crate::protocol::{Action, ErrorCode, MessageView, RoomEvent, RoomName, You};
use crate::refusal::Refusal;

/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
pub(super) struct PageQuery {
    before: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Page<'a> {
    room: &'a RoomName,
    epoch: Option<Arc<str>>,
    /// The room's newest number.
    seq: u64,
    messages: Vec<MessageView>,
}

/// `GET …/messages`: pages of messages as they read now, the newest without `before`.
pub(super) async fn page(
    State(chat): State<Chat>,
    RoomPath(room): RoomPath,
    peer: Peer,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let Query(query) =
        query.map_err(|error| HttpError::new(ErrorCode::BadRequest, error.body_text()))?;
    let limit = query
        .limit
        .unwrap_or(NEWEST_PAGE)
        .clamp(1, chat.limits().page_max);
    let who = who_reads(&chat, &headers);
    let access = chat.enter(&room, who, peer.by(Transport::Request))?;
    let page = chat.messages(&access, query.before, limit).await?;
    Ok(Json(Page {
        room: &room,
        epoch: chat.epoch(),
        seq: page.seq,
        messages: page.messages,
    })
    .into_response())
}

/// What a client says by POST, as JSON or as a form.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Saying {
    id: Option<String>,
    name: Option<String>,
    text: String,
    reply_to: Option<u64>,
}

/// The event as it was stored; for a new guest, who it is now.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    event: &'a RoomEvent,
    #[serde(skip_serializing_if = "Option::is_none")]
    you: Option<You>,
}

/// `POST …/messages`: says something. 201, or 200 if it was said before.
pub(super) async fn say(
    State(chat): State<Chat>,
    RoomPath(room): RoomPath,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let saying = read_saying(&chat, &headers, body).await?;
    let token = bearer(&headers)?;
    let client = peer.by(Transport::Request);
    let access = chat.enter_by_token(&room, token, saying.name.as_deref(), client)?;
    // Guests are made as fast as requests come: without a token it is the address that counts.
    match (token, client.address) {
        (None, Some(address)) => count(&chat, &address.to_string())?,
        _ => count_member(&chat, &access)?,
    }
    let id = saying.id.unwrap_or_else(random_text);
    let action = Action::Say {
        text: saying.text.into(),
        reply_to: saying.reply_to,
    };
    act(&chat, &access, id, action, token.is_none()).await
}

#[derive(Deserialize)]
pub(super) struct Editing {
    id: String,
    text: String,
}

/// `PATCH …/messages/{seq}`: replaces the text of one's own message.
pub(super) async fn edit(
    State(chat): State<Chat>,
    RoomPath(room): RoomPath,
    SeqPath(seq): SeqPath,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let Editing { id, text } = read_json(&chat, body).await?;
    change(
        &chat,
        &room,
        &peer,
        &headers,
        id,
        Action::Edit {
            target: seq,
            text: text.into(),
        },
    )
    .await
}

/// What the room is about, and by whose word: unlike an edit, everybody sees who it was.
#[derive(Deserialize)]
pub(super) struct Topic {
    id: String,
    name: Option<String>,
    text: String,
}

/// `PUT …/topic`: says what the room is about.
pub(super) async fn topic(
    State(chat): State<Chat>,
    RoomPath(room): RoomPath,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let Topic { id, name, text } = read_json(&chat, body).await?;
    let access = known_speaker(&chat, &room, &peer, &headers, name.as_deref())?;
    act(
        &chat,
        &access,
        id,
        Action::Topic { text: text.into() },
        false,
    )
    .await
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Deleting {
    id: Option<String>,
}

/// `DELETE …/messages/{seq}`: removes one's own message.
pub(super) async fn delete(
    State(chat): State<Chat>,
    RoomPath(room): RoomPath,
    SeqPath(seq): SeqPath,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let bytes = read(&chat, body).await?;
    let deleting = if bytes.is_empty() {
        Deleting::default()
    } else {
        parse_json(&bytes)?
    };
    let id = deleting.id.unwrap_or_else(random_text);
    change(
        &chat,
        &room,
        &peer,
        &headers,
        id,
        Action::Delete { target: seq },
    )
    .await
}

#[derive(Deserialize)]
pub(super) struct Reacting {
    id: String,
    emoji: String,
    on: bool,
}

/// `PUT …/messages/{seq}/reactions`: sets a reaction or takes it back.
pub(super) async fn react(
    State(chat): State<Chat>,
    RoomPath(room): RoomPath,
    SeqPath(seq): SeqPath,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let Reacting { id, emoji, on } = read_json(&chat, body).await?;
    change(
        &chat,
        &room,
        &peer,
        &headers,
        id,
        Action::React {
            target: seq,
            emoji,
            on,
        },
    )
    .await
}

/// What only a known member can do.
async fn change(
    chat: &Chat,
    room: &RoomName,
    peer: &Peer,
    headers: &HeaderMap,
    id: String,
    action: Action,
) -> Result<Response, HttpError> {
    let access = known_speaker(chat, room, peer, headers, None)?;
    act(chat, &access, id, action, false).await
}

/// Enters as the member whose token came along; the action is counted.
fn known_speaker(
    chat: &Chat,
    room: &RoomName,
    peer: &Peer,
    headers: &HeaderMap,
    name: Option<&str>,
) -> Result<Access, HttpError> {
    let token = bearer(headers)?.ok_or_else(|| {
        HttpError::new(
            ErrorCode::BadToken,
            "send the token you got as `Authorization: Bearer …`",
        )
    })?;
    let client = peer.by(Transport::Request);
    let access = chat.enter_by_token(room, Some(token), name, client)?;
    count_member(chat, &access)?;
    Ok(access)
}

async fn act(
    chat: &Chat,
    access: &Access,
    id: String,
    action: Action,
    is_new: bool,
) -> Result<Response, HttpError> {
    let said = chat.act(access, id.into(), action).done().await?;
    let status = if said.repeated {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let you = access.member().filter(|_| is_new);
    let you = you.map(|member| chat.you(member));
    Ok((
        status,
        Json(Answer {
            event: &said.event,
            you,
        }),
    )
        .into_response())
}

fn count(chat: &Chat, who: &str) -> Result<(), HttpError> {
    chat.count(who)
        .map_err(|wait| HttpError(Refusal::rate_limited(wait)))
}

fn count_member(chat: &Chat, access: &Access) -> Result<(), HttpError> {
    let member = access.member().ok_or_else(Refusal::members_only)?;
    count(chat, &member.id)
}

async fn read_saying(chat: &Chat, headers: &HeaderMap, body: Body) -> Result<Saying, HttpError> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("text/plain");
    let kind = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let bytes = read(chat, body).await?;
    match kind.as_str() {
        "application/json" => parse_json(&bytes),
        "text/plain" => Ok(Saying {
            text: utf8(&bytes)?.to_owned(),
            ..Saying::default()
        }),
        "application/x-www-form-urlencoded" => {
            let raw = utf8(&bytes)?;
            // `curl -d hi` calls a bare text a form, too.
            let is_form = raw.split('&').any(|pair| pair.starts_with("text="));
            if !is_form {
                return Ok(Saying {
                    text: raw.to_owned(),
                    ..Saying::default()
                });
            }
            let request = Request::post("/")
                .header(CONTENT_TYPE, content_type)
                .body(Body::from(bytes))
                .expect("a header that came may go");
            let form = Form::<Saying>::from_request(request, &()).await;
            form.map(|Form(saying)| saying)
                .map_err(|error| HttpError::new(ErrorCode::BadRequest, error.body_text()))
        }
        _ => Err(HttpError::new(
            ErrorCode::UnsupportedMediaType,
            "a message comes as application/json, as a form or as text/plain",
        )),
    }
}

async fn read_json<T: serde::de::DeserializeOwned>(
    chat: &Chat,
    body: Body,
) -> Result<T, HttpError> {
    parse_json(&read(chat, body).await?)
}

fn parse_json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, HttpError> {
    // serde would take an array, too, for an object whose keys are left out.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        let message = "the body is a JSON object";
        return Err(HttpError::new(ErrorCode::BadRequest, message));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| HttpError::new(ErrorCode::BadRequest, error.to_string()))
}

fn utf8(bytes: &[u8]) -> Result<&str, HttpError> {
    std::str::from_utf8(bytes)
        .map_err(|_| HttpError::new(ErrorCode::BadRequest, "the text is not UTF-8"))
}

async fn read(chat: &Chat, body: Body) -> Result<axum::body::Bytes, HttpError> {
    // A text may be escaped: six bytes of JSON or three of a form for one.
    let longest = chat.limits().client.message_bytes * 6 + 4096;
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, longest)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_long(&error) => Err(HttpError::new(
            ErrorCode::MessageTooLarge,
            format!("a body has at most {longest} bytes"),
        )),
        Ok(Err(_)) => Err(HttpError::new(
            ErrorCode::IncompleteRequest,
            "the body ended before its end: send it again",
        )),
        Err(_) => Err(HttpError::new(
            ErrorCode::IncompleteRequest,
            "the body did not come within 10 seconds: send it again",
        )),
    }
}

/// Whether a body was refused for its length; else the connection broke off.
fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>())
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn a_body_that_broke_off_is_not_too_long() {
        let long = to_bytes(Body::from("too long"), 3).await.unwrap_err();
        assert!(is_too_long(&long));

        let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
        let cut = Body::from_stream(stream::iter([Ok("to"), Err(cut)]));
        assert!(!is_too_long(&to_bytes(cut, 3).await.unwrap_err()));
    }
}
