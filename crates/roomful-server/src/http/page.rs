//! The page: HTML, CSS and JavaScript modules, embedded in the binary.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::header::{CONNECTION, CONTENT_SECURITY_POLICY, HeaderValue, UPGRADE};
use http::{HeaderMap, StatusCode, Uri};
use rust_embed::RustEmbed;

use super::RoomPath;
use super::asset::{self, Asset};
use super::error::HttpError;
use crate::protocol::ErrorCode;

/// Nothing from elsewhere, nothing inline, no markup from text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

#[derive(RustEmbed)]
#[folder = "web/"]
struct Web;

/// `GET /`
pub(super) async fn lobby(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// `GET /room/{room}/`
pub(super) async fn room(_: RoomPath, headers: HeaderMap) -> Response {
    file("room.html", &headers)
}

/// `GET /room/{room}`: pages have a slash at the end.
pub(super) async fn add_slash(_: RoomPath, uri: Uri) -> Redirect {
    let query = uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    Redirect::permanent(&format!("{}/{query}", uri.path()))
}

/// `GET /ws/{room}/` without an upgrade.
pub(super) async fn only_websocket() -> Response {
    let mut response = (
        StatusCode::UPGRADE_REQUIRED,
        "this path speaks WebSocket only\n",
    )
        .into_response();
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // `Upgrade` is hop by hop (RFC 9110, section 7.8).
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

/// `GET /favicon.ico`, which browsers ask for unasked.
pub(super) async fn favicon(headers: HeaderMap) -> Response {
    file("favicon.svg", &headers)
}

/// `GET /assets/…`
pub(super) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    file(&path, &headers)
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = Asset::find(path, &Web::get) else {
        return HttpError::new(ErrorCode::NotFound, "there is no such file").into_response();
    };
    let mut response = asset::answer(path, &asset, headers);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}
