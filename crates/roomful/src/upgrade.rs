//! From an HTTP request to a running connection: checks the handshake, lets whoever lives it decide, answers, and runs its
//! one task.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, RawPathParams};
use futures_util::FutureExt as _;
use futures_util::future::{MaybeDone, maybe_done};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::connection::{Driver, Options, SocketSender, Switch};
use crate::serve::{Home, Landing, Place, Shards};
use crate::socket::{Decision, Handshake, SeatLane};
use crate::ws::{Decoder, Encoder, Role, handshake};
use crate::{ChannelLayer, Close, CloseCode, Deny, Scope, Socket, UrlParams};

/// What the connections of one endpoint have in common.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) layer: ChannelLayer,
    pub(crate) options: Arc<Options>,
    pub(crate) lane: Arc<dyn SeatLane>,
}

/// The answer to the request.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// The client that waits for its handshake to be answered.
pub(crate) struct Client(oneshot::Receiver<Answered>);

impl Client {
    /// Resolves if the client leaves before it is answered.
    pub(crate) async fn left(self) -> Close {
        match self.0.await {
            Ok(Answered) => std::future::pending().await,
            Err(_) => Close::new(CloseCode::ABNORMAL, "the client left during the handshake"),
        }
    }
}

/// The handshake has its answer. Who waited for it and is dropped without this was the client, and has left.
#[derive(Debug)]
struct Answered;

/// Answers a request for a WebSocket. `live` gets its socket, decides, and says in the end how to close.
pub(crate) fn upgrade<B, L>(
    mut request: Request<B>,
    endpoint: Endpoint,
    live: impl FnOnce(Socket, Client) -> L,
) -> Answer
where
    L: Future<Output = Close> + Send + 'static,
{
    let upgrade = hyper::upgrade::on(&mut request);
    let (mut parts, _) = request.into_parts();
    #[cfg_attr(
        not(feature = "deflate"),
        expect(unused_mut, reason = "only compression is negotiated")
    )]
    let mut handshake = match handshake::check(&parts) {
        Ok(handshake) => handshake,
        Err(rejection) => return Box::pin(std::future::ready(rejected(rejection))),
    };
    let params = url_params(&mut parts);
    let home = Home::of(&parts);
    parts.extensions.remove::<Shards>();
    parts.extensions.remove::<Home>();
    let landing = parts.extensions.remove::<Landing>();
    let (place, promise) = landing
        .map(|landing| (landing.place, landing.promise))
        .unzip();
    let switch = Switch::new(promise.flatten(), upgrade);
    let scope = Scope::new(parts, params);

    let decoder = Decoder::new(Role::Server, endpoint.options.max_message_bytes);
    #[cfg(not(feature = "deflate"))]
    let encoder = Encoder::PLAIN;
    #[cfg(feature = "deflate")]
    let (decoder, encoder) = match endpoint
        .options
        .deflate
        .then(|| handshake.accept_deflate())
        .flatten()
    {
        Some(deflate) => (decoder.with_deflate(deflate), Encoder::deflating(deflate)),
        None => (decoder, Encoder::PLAIN),
    };

    let (decision, decided) = oneshot::channel();
    let (client, waiting) = oneshot::channel();
    let sender = SocketSender::new(endpoint.options.backlog, encoder);
    let socket = Socket::new(
        scope,
        sender.clone(),
        endpoint.layer,
        Some(endpoint.lane),
        Handshake { decision, switch },
    );
    let span = tracing::debug_span!(
        "websocket",
        path = socket.scope().path(),
        peer = socket.peer().map(tracing::field::display)
    );
    let options = Arc::clone(&endpoint.options);
    let driver = Driver::new(sender, options, decoder);
    let life = AssertUnwindSafe(live(socket, Client(waiting))).catch_unwind();
    let mut life = Box::pin(maybe_done(life));

    let patience = endpoint.options.handshake_timeout;
    Box::pin(async move {
        // Most lives decide in their first step. Where that can be taken here, the answer needs no second turn of this task.
        if home.as_ref().is_none_or(Home::is_here) {
            poll_fn(|cx| {
                let _ = span.in_scope(|| life.as_mut().poll(cx));
                Poll::Ready(())
            })
            .await;
        }
        let connection = drive(driver, place, life).instrument(span);
        match home {
            Some(home) => home.spawn(connection),
            None => drop(tokio::spawn(connection)),
        }
        let decided = tokio::time::timeout(patience, decided).await;
        if decided.is_ok() {
            let _ = client.send(Answered);
        }
        match decided {
            Ok(Ok(Decision::Accept(accept))) => {
                let subprotocol = accept.chosen().and_then(|name| name.to_str().ok());
                let none = HeaderMap::new();
                let headers = accept.headers().unwrap_or(&none);
                let headers = handshake.response_headers(subprotocol, headers);
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                // `accept_with` has checked that the client offered it.
                *response.headers_mut() = headers.unwrap_or_default();
                response
            }
            Ok(Ok(Decision::Deny(deny))) => deny_response(deny),
            // The task died before it decided; it has said why.
            Ok(Err(_)) => deny_response(internal_error()),
            Err(_) => deny_response(Deny::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the handshake took too long\n",
            )),
        }
    })
}

/// What our own router found, and what axum's found.
fn url_params(parts: &mut http::request::Parts) -> UrlParams {
    let mut params = parts.extensions.remove::<UrlParams>().unwrap_or_default();
    if let Some(Ok(raw)) = RawPathParams::from_request_parts(parts, &()).now_or_never() {
        for (name, value) in &raw {
            params.insert(name, value);
        }
    }
    params
}

fn deny_response(deny: Deny) -> Response<Body> {
    let mut response = Response::new(Body::from(deny.body));
    *response.status_mut() = deny.status;
    *response.headers_mut() = deny.headers;
    response
        .headers_mut()
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn rejected(rejection: handshake::Rejection) -> Response<Body> {
    let body = format!("{}\n", rejection.message);
    deny_response(Deny {
        status: rejection.status,
        headers: rejection.headers,
        body: body.into(),
    })
}

/// What a client hears of our own faults.
pub(crate) fn internal_error() -> Deny {
    Deny::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
}

/// The connection's task: the consumer and the driver side by side. After each step of the consumer the driver writes
/// what it sent, so a step's messages share a write; while the consumer waits for something slow, pings are still
/// answered and groups still heard.
///
/// No `async fn`: that would keep what it is given twice, and there may be a hundred thousand of these.
fn drive(
    mut driver: Driver,
    place: Option<Place>,
    mut life: Pin<Box<MaybeDone<impl Future<Output = thread::Result<Close>> + Send>>>,
) -> impl Future<Output = ()> + Send {
    /// Rounds before other tasks get a turn.
    const ROUNDS: usize = 8;
    async move {
        let close = poll_fn(|cx| {
            for _ in 0..ROUNDS {
                driver.poll_read(cx);
                let behind = !driver.reads();
                if life.as_mut().poll(cx).is_ready()
                    && let Some(close) = life.as_mut().take_output()
                {
                    return Poll::Ready(close);
                }
                let _ = driver.poll_write(cx);
                // Only a consumer that had fallen behind leaves something unread.
                if !(behind && driver.reads()) {
                    return Poll::Pending;
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        // The consumer and its socket are gone, its groups are left; what is owed to the peer still goes out.
        drop(life);
        driver.close(&close.unwrap_or_else(|panic| {
            tracing::error!(
                panic = panic_text(&*panic),
                "a consumer panicked, its connection is closed"
            );
            Close::new(CloseCode::INTERNAL_ERROR, "internal error")
        }));
        poll_fn(|cx| {
            driver.poll_read(cx);
            driver.poll_write(cx)
        })
        .await;
        // It counts among the server's connections until here.
        drop(place);
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("?")
}

/// For tests of other files: the bytes of a connection's task but for its life, and what a life is given.
#[cfg(test)]
pub(crate) fn measure(endpoint: Endpoint) -> (usize, Socket, Client) {
    let mut request = Request::new(());
    let (decision, _) = oneshot::channel();
    let (_, waiting) = oneshot::channel();
    let switch = Switch::new(None, hyper::upgrade::on(&mut request));
    let sender = SocketSender::new(endpoint.options.backlog, Encoder::PLAIN);
    let scope = Scope::new(request.into_parts().0, UrlParams::default());
    let handshake = Handshake { decision, switch };
    let driver = Driver::new(
        sender.clone(),
        endpoint.options,
        Decoder::new(Role::Server, 1 << 20),
    );
    let life = std::future::ready(Ok(Close::code(CloseCode::NORMAL)));
    let task = drive(driver, None, Box::pin(maybe_done(life)));
    let socket = Socket::new(scope, sender, endpoint.layer, None, handshake);
    (size_of_val(&task), socket, Client(waiting))
}
