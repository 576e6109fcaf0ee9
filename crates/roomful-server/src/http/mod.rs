//! The room over HTTP: pages, polling, long polling, event streams, and saying something by POST.

mod asset;
mod embed;
mod error;
mod events;
mod health;
mod members;
mod messages;
mod metrics;
mod page;

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch, put};
use axum::{Extension, Router};
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderName, HeaderValue};
use http::request::Parts;
use roomful::PeerAddr;

use crate::chat::{Chat, Client, Transport, Who};
use crate::metrics::Metrics;
use crate::protocol::{ErrorCode, RoomName};
use error::HttpError;
pub use page::Pages;

/// All that is served over plain HTTP.
pub fn router(chat: Chat, pages: Pages, metrics: Metrics) -> Router {
    let api = Router::new()
        .route("/rooms", get(members::rooms))
        .route("/rooms/{room}", get(members::room))
        .route("/rooms/{room}/topic", put(messages::topic))
        .route("/rooms/{room}/members", get(members::members))
        .route("/rooms/{room}/events", get(events::events))
        .route(
            "/rooms/{room}/messages",
            get(messages::page).post(messages::say),
        )
        .route(
            "/rooms/{room}/messages/{seq}",
            patch(messages::edit).delete(messages::delete),
        )
        .route(
            "/rooms/{room}/messages/{seq}/reactions",
            put(messages::react),
        )
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(no_store));
    Router::new()
        .route("/", get(page::lobby))
        .route("/room/{room}/", get(page::room))
        .route("/room/{room}", get(page::add_slash))
        .route("/ws/{room}/", get(page::only_websocket))
        .route("/assets/{*path}", get(page::asset))
        .route("/favicon.ico", get(page::favicon))
        .route("/embed.js", get(page::embed))
        .route("/status/", get(page::status))
        .route("/status", get(page::status_slash))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .nest("/api", api)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(safe_headers))
        .layer(middleware::map_response_with_state(
            chat.clone(),
            count_refusals,
        ))
        .layer(Extension(pages))
        .layer(Extension(metrics))
        .with_state(chat)
}

async fn not_found() -> HttpError {
    HttpError::new(ErrorCode::NotFound, "there is nothing at this path")
}

async fn method_not_allowed() -> HttpError {
    HttpError::new(ErrorCode::MethodNotAllowed, "this path takes other methods")
}

/// Rooms change: no cache may answer for them.
async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A refusal on its way out is counted.
async fn count_refusals(State(chat): State<Chat>, response: Response) -> Response {
    if let Some(code) = response.extensions().get::<ErrorCode>() {
        chat.counters().refused(*code);
    }
    response
}

/// What is text stays text, whatever a browser thinks of it.
async fn safe_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

/// The answer to a page of another site.
pub fn origin_refused() -> Response {
    let message =
        "pages of this origin may not speak here: the operator can allow it with origins.allowed";
    HttpError::new(ErrorCode::OriginNotAllowed, message).into_response()
}

/// The room that a path names.
struct RoomPath(RoomName);

impl<S: Send + Sync> FromRequestParts<S> for RoomPath {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let name = path_param(parts, state, "room").await;
        RoomName::parse(&name.unwrap_or_default())
            .map(Self)
            .map_err(|error| HttpError::new(ErrorCode::RoomNotFound, error.to_string()))
    }
}

/// Where a request comes from.
struct Peer(Option<IpAddr>);

impl Peer {
    /// The same, as the gate asks for it.
    fn by(&self, transport: Transport) -> Client {
        Client {
            address: self.0,
            transport,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<PeerAddr>();
        Ok(Self(peer.map(|PeerAddr(peer)| peer.ip())))
    }
}

/// The number of the message that a path names.
struct SeqPath(u64);

impl<S: Send + Sync> FromRequestParts<S> for SeqPath {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let seq = path_param(parts, state, "seq").await;
        // `parse` alone would take `+1`, a second name for the same thing.
        seq.filter(|seq| seq.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|seq| seq.parse().ok())
            .map(Self)
            .ok_or_else(|| {
                HttpError::new(
                    ErrorCode::MessageNotFound,
                    "a message is named by its number",
                )
            })
    }
}

/// A parameter of the path, decoded; `None` where it is not UTF-8.
async fn path_param<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Option<String> {
    let segments: Result<Path<Vec<(String, String)>>, PathRejection> =
        Path::from_request_parts(parts, state).await;
    let Path(segments) = segments.ok()?;
    let (_, value) = segments.into_iter().find(|(known, _)| known == name)?;
    Some(value)
}

/// Who reads: the member whose token came along, or somebody unknown. Nobody needs a token to read, so a wrong one is none.
fn who_reads(chat: &Chat, headers: &http::HeaderMap) -> Who {
    let token = bearer(headers).ok().flatten();
    match token.map(|token| chat.member(Some(token), None)) {
        Some(Ok(member)) => Who::Member(member),
        Some(Err(_)) | None => Who::Reader,
    }
}

/// The token a request carries, if it carries one.
fn bearer(headers: &http::HeaderMap) -> Result<Option<&str>, HttpError> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token
        .map(Some)
        .ok_or_else(|| HttpError::new(ErrorCode::BadToken, "Authorization is `Bearer` and a token"))
}
