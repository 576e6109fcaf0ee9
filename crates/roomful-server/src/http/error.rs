//! How HTTP says no: `{"error": {"code": "room_not_found", "message": "…"}}` with the right status.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::protocol::ErrorCode;
use crate::refusal::Refusal;

/// A refusal on its way to an HTTP client.
#[derive(Debug)]
pub(super) struct HttpError(pub(super) Refusal);

impl HttpError {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Refusal::new(code, message))
    }
}

impl From<Refusal> for HttpError {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let Refusal {
            code,
            message,
            retry_after,
        } = self.0;
        let body = serde_json::json!({"error": {"code": code, "message": message}}).to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status(code);
        // For whoever counts refusals on their way out.
        response.extensions_mut().insert(code);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if code == ErrorCode::BadToken {
            // RFC 9110, section 15.5.2: a 401 says how to do better.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = retry_after {
            // Whole seconds, rounded up: sooner would be refused again.
            headers.insert(
                RETRY_AFTER,
                HeaderValue::from(wait.as_millis().div_ceil(1000).max(1) as u64),
            );
        }
        response
    }
}

fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest
        | ErrorCode::UnknownType
        | ErrorCode::HelloFirst
        | ErrorCode::BadId
        | ErrorCode::BadName
        | ErrorCode::EmptyMessage
        | ErrorCode::BadTopic
        | ErrorCode::BadEmoji => StatusCode::BAD_REQUEST,
        ErrorCode::BadToken => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden | ErrorCode::OriginNotAllowed => StatusCode::FORBIDDEN,
        ErrorCode::NotFound | ErrorCode::RoomNotFound | ErrorCode::MessageNotFound => {
            StatusCode::NOT_FOUND
        }
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::NoHistory => StatusCode::CONFLICT,
        ErrorCode::MessageTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        // RFC 9110, section 15.5.9: what did not come whole may be sent again.
        ErrorCode::IncompleteRequest => StatusCode::REQUEST_TIMEOUT,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::RoomFull | ErrorCode::StoreUnavailable | ErrorCode::ShuttingDown => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
