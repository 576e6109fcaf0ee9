//! WebSocket handshakes without hyper: most come whole and are answered with 101 in their first step, in one write.
//!
//! None of hyper's machinery for bodies, pipelines and upgrades is needed then: a fifth of what a connection costs.
//! What is anything else stays hyper's: a head that is not whole or not quite right, an answer that takes its time, and one
//! that refuses. So its limits, deadlines and errors are the only ones.

use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::Poll;

use axum::body::Body;
use axum::response::IntoResponse;
use bytes::{Buf as _, Bytes};
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use tower::{Service, ServiceExt as _};

use super::HttpLimits;
use super::accept::{Arrival, Serving};
use super::http1::{self, malformed};
use crate::connection::{Accepted, Promise, Promised, Switched};
use crate::ws::handshake::is_websocket_upgrade;

/// Browsers send twenty header fields.
const MAX_HEADERS: usize = 64;

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A request that the service has, and that hyper shall answer.
pub(super) struct Begun {
    pub(super) answer: Answer,
    pub(super) promised: Promised,
}

/// The request for a WebSocket whose whole head these bytes begin with, and how long that is; `None` if it is anything else,
/// or if anything is wrong with it.
pub(super) fn whole_request(bytes: &Bytes, limits: &HttpLimits) -> Option<(Request<Body>, usize)> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut []);
    let parsed = head.parse_with_uninit_headers(bytes, &mut fields).ok()?;
    let httparse::Status::Complete(length) = parsed else {
        return None;
    };
    let is_get = head.method == Some("GET") && head.version == Some(1);
    if !is_get || length > limits.max_head_bytes || head.headers.len() > limits.max_headers {
        return None;
    }
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::try_from(head.path?).ok()?;
    let headers = request.headers_mut();
    headers.reserve(head.headers.len());
    for field in &*head.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).ok()?;
        headers.append(name, value);
    }
    let is_handshake = is_websocket_upgrade(headers)
        && malformed(&request).is_none()
        && !request.headers().contains_key(CONTENT_LENGTH);
    is_handshake.then_some((request, length))
}

/// Answers a request for a WebSocket, whose head are the first `length` bytes that were read.
pub(super) async fn answer<S>(
    mut request: Request<Body>,
    length: usize,
    mut accepted: Accepted,
    arrival: Arrival,
    serving: Serving<S>,
) -> io::Result<()>
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    let (promised, promise) = Promise::new();
    arrival.attach(&mut request, Some(promise));
    let answer = serving.service.clone().oneshot(request);
    let mut answer: Answer = Box::pin(async { answer.await.into_response() });
    let answer: Answer = match poll_once(&mut answer).await {
        Poll::Ready(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            accepted.read().advance(length);
            let accepted = write(&head_of(&response), accepted, arrival.limits()).await?;
            // Who is gone again needs no socket.
            let _ = promised.send(Switched::Socket(accepted));
            return Ok(());
        }
        Poll::Ready(response) => Box::pin(ready(response)),
        Poll::Pending => answer,
    };
    let begun = Begun { answer, promised };
    let stream = accepted.into_http()?;
    Box::pin(http1::serve(stream, arrival, Some(begun), serving)).await;
    Ok(())
}

async fn poll_once(answer: &mut Answer) -> Poll<Response<Body>> {
    poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await
}

/// The head of a 101, which has no body.
fn head_of(response: &Response<Body>) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in response.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Writes all of it: at once, as good as always.
async fn write(mut bytes: &[u8], accepted: Accepted, limits: &HttpLimits) -> io::Result<Accepted> {
    bytes.advance(accepted.write_now(bytes)?);
    if bytes.is_empty() {
        return Ok(accepted);
    }
    let (mut stream, read) = accepted.into_parts()?;
    timeout(limits.keep_alive, stream.write_all(bytes)).await??;
    Ok(Accepted::registered(stream, read))
}
