//! `GET /metrics`: what was counted, for Prometheus. Whoever may see the status page may see this.

use axum::Extension;
use axum::body::Body;
use axum::response::Response;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use roomful::PeerAddr;

use super::bearer;
use super::error::HttpError;
use crate::metrics::Metrics;
use crate::protocol::ErrorCode;
use crate::status::Visitor;

/// `GET /metrics`
pub(super) async fn metrics(
    Extension(metrics): Extension<Metrics>,
    peer: Option<Extension<PeerAddr>>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let peer = peer.map(|Extension(PeerAddr(peer))| peer);
    match metrics.access().visitor(peer, &headers) {
        Visitor::Welcome => {}
        Visitor::NeedsToken => {
            let shown = bearer(&headers)?;
            if !shown.is_some_and(|token| metrics.access().takes(token)) {
                let message = "metrics are for those with the token of status.token: `Authorization: Bearer …`";
                return Err(HttpError::new(ErrorCode::BadToken, message));
            }
        }
        Visitor::Remote => {
            let message = "metrics are for programs on the server's own machine, without a proxy: \
                the operator can open them to those with a token by status.access";
            return Err(HttpError::new(ErrorCode::Forbidden, message));
        }
        Visitor::Nobody => return Err(super::not_found().await),
    }
    // Counting many open files takes a moment, which no room should wait for.
    let text = tokio::task::spawn_blocking(move || metrics.text()).await;
    let text = text.map_err(|error| {
        tracing::error!(%error, "metrics could not be told");
        HttpError::new(ErrorCode::InternalError, "internal error")
    })?;
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
