//! One HTTP/1.1 connection: deadlines for heads and idleness, and the checks of RFC 9112 that hyper leaves to its user.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tower::{Service, ServiceExt as _};

use super::Shards;
use super::count::Place;
use crate::scope::{PeerAddr, asks_for_websocket};

/// When the next head must be complete; `None` while a request is being answered.
type Deadline = Arc<Mutex<Option<Instant>>>;

pub(super) async fn serve<S>(
    stream: TcpStream,
    place: Place,
    peer: SocketAddr,
    service: S,
    shards: Option<Shards>,
    mut stop: watch::Receiver<bool>,
) where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    let limits = Arc::clone(place.limits());
    #[cfg(target_os = "linux")]
    // A peer that takes nothing of its answer for as long as it might be idle is gone, too: answers wait in memory. What
    // fails here is a connection that has ended already.
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(limits.keep_alive));
    let deadline: Deadline = Arc::new(Mutex::new(Some(Instant::now() + limits.head_timeout)));
    let guard = Guard {
        service,
        shards,
        peer,
        place,
        deadline: Arc::clone(&deadline),
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    http.max_headers(limits.max_headers)
        .max_buf_size(limits.max_head_bytes.max(8192));
    let connection = http.serve_connection(
        TokioIo::new(stream),
        hyper_util::service::TowerToHyperService::new(guard),
    );
    let mut connection = pin!(connection.with_upgrades());
    let mut stopping = false;
    loop {
        // A deadline that is set while this waits is seen no later than after another `keep_alive`.
        let later = Instant::now() + limits.keep_alive;
        let until = read(&deadline).map_or(later, |deadline| deadline.min(later));
        tokio::select! {
            // An error is the client's: it left, or sent what is no HTTP and has been told so.
            _ = connection.as_mut() => return,
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(until) => {
                if read(&deadline).is_some_and(|deadline| deadline <= Instant::now()) {
                    return;
                }
            }
        }
    }
}

fn read(deadline: &Deadline) -> Option<Instant> {
    *deadline
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn set(deadline: &Deadline, to: Option<Instant>) {
    *deadline
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner()) = to;
}

#[derive(Clone)]
struct Guard<S> {
    service: S,
    shards: Option<Shards>,
    peer: SocketAddr,
    place: Place,
    deadline: Deadline,
}

impl<S> Service<Request<Incoming>> for Guard<S>
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        set(&self.deadline, None);
        let Self {
            service,
            shards,
            peer,
            place,
            deadline,
        } = self.clone();
        let keep_alive = place.limits().keep_alive;
        Box::pin(async move {
            let response = match malformed(&request) {
                Some(sentence) => {
                    let mut response =
                        (StatusCode::BAD_REQUEST, format!("{sentence}\n")).into_response();
                    // What follows on such a connection may not be what it seems (RFC 9112, section 11.2).
                    response
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                    response
                }
                None => {
                    let upgrading = asks_for_websocket(request.headers());
                    let mut request = request.map(Body::new);
                    request.extensions_mut().insert(PeerAddr(peer));
                    request.extensions_mut().insert(place);
                    if let Some(shards) = shards {
                        request.extensions_mut().insert(shards);
                    }
                    let mut response = service.oneshot(request).await.into_response();
                    if upgrading && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                        // A client that did not wait for the answer has sent frames behind its request: no HTTP.
                        response
                            .headers_mut()
                            .insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    response
                }
            };
            let idle = Idle {
                deadline,
                keep_alive,
            };
            Ok(response.map(|body| Body::new(WatchedBody { body, _idle: idle })))
        })
    }
}

/// Starts the wait for the next request when an answer, streams included, is out.
struct Idle {
    deadline: Deadline,
    keep_alive: Duration,
}

impl Drop for Idle {
    fn drop(&mut self) {
        set(&self.deadline, Some(Instant::now() + self.keep_alive));
    }
}

struct WatchedBody {
    body: Body,
    _idle: Idle,
}

impl hyper::body::Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// What RFC 9112 forbids and hyper lets through, as a sentence for the answer.
fn malformed<B>(request: &Request<B>) -> Option<&'static str> {
    let headers = request.headers();
    let hosts = headers.get_all(HOST).iter().count();
    // Section 3.2: exactly one Host in HTTP/1.1.
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Some("a request has exactly one Host header");
    }
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return Some("a request has Content-Length or Transfer-Encoding, not both");
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) && has_body(headers) {
        return Some("this request takes no body");
    }
    None
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length != "0")
}
