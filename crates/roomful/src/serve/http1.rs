//! One HTTP/1.1 connection: deadlines for heads and idleness, and the checks of RFC 9112 that hyper leaves to its user.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};
use tower::{Service, ServiceExt as _};

use super::accept::{Arrival, Serving};
use super::handshake::Begun;
use crate::connection::{HttpStream, Switched};
use crate::ws::handshake::is_websocket_upgrade;

/// What one connection's requests have in common.
struct Connection {
    arrival: Arrival,
    /// The first request, if the service has it already.
    begun: Mutex<Option<Begun>>,
    /// When the next head must be complete; `None` while a request is being answered.
    head_until: Mutex<Option<Instant>>,
}

/// Serves the requests of one connection, the first of which may have begun.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn would keep what it is given twice"
)]
pub(super) fn serve<S>(
    stream: HttpStream,
    arrival: Arrival,
    begun: Option<Begun>,
    serving: Serving<S>,
) -> impl Future<Output = ()> + Send
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    async move {
        let limits = Arc::clone(arrival.limits());
        let Serving {
            service, mut stop, ..
        } = serving;
        let connection = Arc::new(Connection {
            head_until: Mutex::new(Some(arrival.head_until)),
            begun: Mutex::new(begun),
            arrival,
        });
        let guard = Guard {
            service,
            connection: Arc::clone(&connection),
        };
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .max_headers(limits.max_headers)
            .max_buf_size(limits.max_head_bytes.max(8192));
        let http =
            builder.serve_connection(stream, hyper_util::service::TowerToHyperService::new(guard));
        let mut http = pin!(http.with_upgrades());
        let mut stopping = false;
        loop {
            // A deadline that is set while this waits is seen no later than after another `keep_alive`.
            let later = Instant::now() + limits.keep_alive;
            let until = connection
                .head_until()
                .map_or(later, |until| until.min(later));
            tokio::select! {
                // An error is the client's: it left, or sent what is no HTTP and has been told so.
                _ = http.as_mut() => return,
                _ = stop.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    http.as_mut().graceful_shutdown();
                }
                () = sleep_until(until) => {
                    if connection.head_until().is_some_and(|until| until <= Instant::now()) {
                        return;
                    }
                }
            }
        }
    }
}

impl Connection {
    fn head_until(&self) -> Option<Instant> {
        *lock(&self.head_until)
    }

    fn set_head_until(&self, to: Option<Instant>) {
        *lock(&self.head_until) = to;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Guard<S> {
    service: S,
    connection: Arc<Connection>,
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

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let Self {
            service,
            connection,
        } = self.clone();
        connection.set_head_until(None);
        Box::pin(async move {
            let begun = lock(&connection.begun).take();
            let response = if let Some(begun) = begun {
                let upgrade = hyper::upgrade::on(&mut request);
                let response = begun.answer.await;
                // Nobody waits for it where the answer is another one than 101.
                let _ = begun.promised.send(Switched::Hyper(upgrade));
                refused_closes(response)
            } else if let Some(sentence) = malformed(&request) {
                // What follows on such a connection may not be what it seems (RFC 9112, section 11.2).
                closing((StatusCode::BAD_REQUEST, format!("{sentence}\n")).into_response())
            } else {
                let upgrading = is_websocket_upgrade(request.headers());
                let mut request = request.map(Body::new);
                connection.arrival.attach(&mut request, None);
                let response = service.oneshot(request).await.into_response();
                match upgrading {
                    true => refused_closes(response),
                    false => response,
                }
            };
            let idle = Idle(connection);
            Ok(response.map(|body| Body::new(WatchedBody { body, _idle: idle })))
        })
    }
}

/// Starts the wait for the next request when an answer, streams included, is out.
struct Idle(Arc<Connection>);

impl Drop for Idle {
    fn drop(&mut self) {
        let keep_alive = self.0.arrival.limits().keep_alive;
        self.0.set_head_until(Some(Instant::now() + keep_alive));
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

/// A client that asks for a WebSocket and did not wait for the answer has sent frames behind its request: no HTTP.
fn refused_closes(response: Response<Body>) -> Response<Body> {
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => response,
        _ => closing(response),
    }
}

fn closing(mut response: Response<Body>) -> Response<Body> {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// What RFC 9112 forbids and hyper lets through, as a sentence for the answer.
pub(super) fn malformed<B>(request: &Request<B>) -> Option<&'static str> {
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
