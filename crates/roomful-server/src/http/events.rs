//! The room's log over HTTP: polling, long polling and Server-Sent Events, three ways to ask one question.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::Response;
use futures_util::stream;
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::error::HttpError;
use super::{Peer, RoomPath, bearer};
use crate::chat::{Attendance, Chat, Entry, Page, Position, Reader, Transport, Who, stopped};
use crate::counters::Connected;
use crate::protocol::{ErrorCode, RoomName, ServerMessage, to_json};

/// The longest wait, below what proxies allow a silent request.
const MAX_WAIT: f64 = 55.0;
/// Silence after which an event stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A polling member is here until it has not asked for so long.
const POLLING_GRACE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
pub(super) struct EventsQuery {
    after: Option<u64>,
    epoch: Option<String>,
    limit: Option<usize>,
    /// Seconds to hold the answer until there is something.
    wait: Option<f64>,
}

impl EventsQuery {
    /// How long to hold the answer.
    fn wait(&self) -> Result<Duration, HttpError> {
        let seconds = self.wait.unwrap_or(0.0);
        // `NaN` and `inf` are numbers, too, to whoever parses them.
        if seconds.is_finite() && seconds >= 0.0 {
            Ok(Duration::from_secs_f64(seconds.min(MAX_WAIT)))
        } else {
            Err(HttpError::new(
                ErrorCode::BadRequest,
                "`wait` is a number of seconds",
            ))
        }
    }
}

/// Somebody who listens.
enum Listener {
    /// Without a token: reads, and is in nobody's list.
    Reading(Reader),
    /// A member, who is in the room meanwhile.
    Attending(Attendance),
}

impl Listener {
    fn reader(&self) -> &Reader {
        match self {
            Self::Reading(reader) => reader,
            Self::Attending(attendance) => attendance.reader(),
        }
    }
}

/// `GET …/events`
pub(super) async fn events(
    State(chat): State<Chat>,
    RoomPath(room): RoomPath,
    peer: Peer,
    query: Result<Query<EventsQuery>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let Query(query) =
        query.map_err(|error| HttpError::new(ErrorCode::BadRequest, error.body_text()))?;
    let wait = query.wait()?;
    let streams = wants_stream(&headers);
    let client = peer.by(match streams {
        true => Transport::EventStream,
        false => Transport::Polling,
    });
    let token = bearer(&headers)?;
    let access = match token {
        Some(token) => chat.enter_by_token(&room, Some(token), None, client)?,
        None => chat.enter(&room, Who::Reader, client)?,
    };
    let reader = chat.open(access).await?;
    let listener = match token {
        Some(_) => Listener::Attending(chat.attend(reader, POLLING_GRACE)?),
        None => Listener::Reading(reader),
    };
    let mut position = Position {
        after: query.after,
        epoch: query.epoch,
    };
    if streams {
        if let Some(last) = headers.get("last-event-id").and_then(|id| id.to_str().ok()) {
            position = parse_event_id(last).unwrap_or(position);
        }
        return Ok(event_stream(chat, listener, position));
    }
    let limit = query
        .limit
        .unwrap_or(chat.limits().page)
        .clamp(1, chat.limits().page_max);
    let mut stopping = chat.stopping();
    let mut head = listener.reader().feed().listen();
    let deadline = Instant::now() + wait;
    let connected = chat.counters().connected();
    let page = loop {
        head.mark_unchanged();
        let page = chat.page(listener.reader(), &position, limit).await?;
        if (!page.recovered && chat.is_numbered()) || !page.events.is_empty() || wait.is_zero() {
            break page;
        }
        tokio::select! {
            _ = head.changed() => {}
            () = stopped(&mut stopping) => break page,
            () = tokio::time::sleep_until(deadline) => break page,
        }
    };
    drop((listener, connected));
    chat.counters().delivered(page.events.len());
    Ok(answer(&chat, &room, page))
}

fn answer(chat: &Chat, room: &RoomName, mut page: Page) -> Response {
    // The events are JSON already: the answer is written around them.
    let mut body = format!(
        r#"{{"room":{},"epoch":{},"seq":{},"head":{},"recovered":{},"events":["#,
        to_json(room),
        to_json(&chat.epoch()),
        page.seq,
        page.head,
        page.recovered
    );
    for (index, entry) in page.events.iter_mut().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(entry.json());
    }
    body.push_str("]}");
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.split(',').any(|kind| {
                kind.split(';').next().unwrap_or_default().trim() == "text/event-stream"
            })
        })
}

/// `epoch:seq`, as we gave it.
fn parse_event_id(id: &str) -> Option<Position> {
    match id.rsplit_once(':') {
        Some((epoch, seq)) => Some(Position {
            after: Some(seq.parse().ok()?),
            epoch: Some(epoch.to_owned()),
        }),
        None => Some(Position {
            after: Some(id.parse().ok()?),
            epoch: None,
        }),
    }
}

struct EventStream {
    chat: Chat,
    /// A member is here while the stream is read.
    listener: Listener,
    position: Position,
    head: watch::Receiver<u64>,
    passing: broadcast::Receiver<bytestring::ByteString>,
    stopping: watch::Receiver<bool>,
    started: bool,
    ended: bool,
    _connected: Connected,
}

fn event_stream(chat: Chat, listener: Listener, position: Position) -> Response {
    let feed = listener.reader().feed();
    let stream = EventStream {
        head: feed.listen(),
        passing: feed.listen_passing(),
        stopping: chat.stopping(),
        _connected: chat.counters().connected(),
        chat,
        listener,
        position,
        started: false,
        ended: false,
    };
    let body = Body::from_stream(stream::unfold(stream, |mut stream| async {
        let bytes = stream.next().await?;
        Some((Ok::<_, Infallible>(bytes), stream))
    }));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would keep events back to fill its buffer.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl EventStream {
    /// The next piece of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        loop {
            self.head.mark_unchanged();
            let reader = self.listener.reader();
            // A store that cannot be read ends the stream; the client comes back with its last id.
            let mut page = self
                .chat
                .page(reader, &self.position, self.chat.limits().page_max)
                .await
                .ok()?;
            let mut out = String::new();
            if !self.started {
                self.started = true;
                let members = self.chat.members(reader.access(), 0).unwrap_or_default();
                let welcome = serde_json::json!({
                    "type": "chat.welcome", "room": reader.access().room(), "epoch": self.chat.epoch(),
                    "seq": self.chat.is_numbered().then_some(page.head), "recovered": page.recovered,
                    "member_count": members.count,
                });
                out.push_str("retry: 2000\n");
                push(&mut out, None, &welcome.to_string());
            } else if !page.recovered && self.chat.is_numbered() {
                // The log was pruned past this reader.
                self.chat.counters().resynced();
                let resync = ServerMessage::Resync {
                    seq: Some(page.head),
                };
                push(&mut out, None, &to_json(&resync));
            }
            self.chat.counters().delivered(page.events.len());
            for entry in &mut page.events {
                push(&mut out, self.id(entry).as_deref(), entry.json());
            }
            self.position = Position {
                after: Some(page.seq),
                epoch: None,
            };
            if !out.is_empty() {
                return Some(out.into());
            }
            tokio::select! {
                biased;
                _ = self.head.changed() => {}
                passing = self.passing.recv() => {
                    if let Ok(json) = passing {
                        push(&mut out, None, &json);
                        return Some(out.into());
                    }
                }
                () = stopped(&mut self.stopping) => {
                    self.ended = true;
                    push(&mut out, None, r#"{"type":"chat.bye","reconnect":true,"after_ms":1000}"#);
                    return Some(out.into());
                }
                () = tokio::time::sleep(HEARTBEAT) => return Some(Bytes::from_static(b": alive\n\n")),
            }
        }
    }

    fn id(&self, entry: &Entry) -> Option<String> {
        Some(format!("{}:{}", self.chat.epoch()?, entry.event().seq))
    }
}

/// One event of the stream; JSON has no line breaks, so it is one line of data.
fn push(out: &mut String, id: Option<&str>, json: &str) {
    if let Some(id) = id {
        out.push_str("id: ");
        out.push_str(id);
        out.push('\n');
    }
    out.push_str("data: ");
    out.push_str(json);
    out.push_str("\n\n");
}
