//! The outermost router: WebSocket or plain HTTP.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use tower::{Service, ServiceExt as _};

use super::service::{BoxedService, RouteFuture, RouteService, answer, boxed, plain};
use crate::ws::handshake::is_websocket_upgrade;

/// Chooses a service by protocol, so that a page and its socket can share one URL and one port.
///
/// A request is a WebSocket's when its `Upgrade` header names `websocket`, in any case, even if the rest of the handshake
/// is malformed: what is wrong with it is for the WebSocket service to say.
///
/// Where nothing was given for a protocol the client is told so: 404 for a WebSocket, 426 Upgrade Required (RFC 9110,
/// section 15.5.22) for plain HTTP at an address that has WebSockets only.
///
/// ```
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use axum::{Router, routing::get};
/// use roomful::routing::{ProtocolTypeRouter, UrlRouter};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let pages = Router::new().route("/room/{group}/", get(|| async { "the page" }));
/// let sockets = Router::new().fallback(|| async { StatusCode::NOT_IMPLEMENTED }); // a consumer's service, in real life
///
/// let application = ProtocolTypeRouter::new()
///     .http(pages)
///     .websocket(UrlRouter::new().re_path(r"room/(?P<group>\w+)/$", sockets));
///
/// let page = Request::get("/room/123/").body(Body::empty()).unwrap();
/// assert_eq!(application.clone().oneshot(page).await.unwrap().status(), StatusCode::OK);
///
/// let socket = Request::get("/room/123/").header("upgrade", "websocket").body(Body::empty()).unwrap();
/// assert_eq!(application.oneshot(socket).await.unwrap().status(), StatusCode::NOT_IMPLEMENTED);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ProtocolTypeRouter {
    services: Arc<Services>,
}

/// Shared: a request clones the one it is for, and a connection none.
#[derive(Clone, Debug, Default)]
struct Services {
    http: Option<BoxedService>,
    websocket: Option<BoxedService>,
}

impl ProtocolTypeRouter {
    /// A router that serves nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Who answers plain HTTP: an axum `Router`, a [`UrlRouter`](super::UrlRouter), or any other service.
    pub fn http(mut self, service: impl RouteService) -> Self {
        Arc::make_mut(&mut self.services).http = Some(boxed(service));
        self
    }

    /// Who answers requests for a WebSocket.
    pub fn websocket(mut self, service: impl RouteService) -> Self {
        Arc::make_mut(&mut self.services).websocket = Some(boxed(service));
        self
    }
}

impl Service<Request<Body>> for ProtocolTypeRouter {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouteFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Which service has to be ready is known with the request only; `oneshot` asks it then.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> RouteFuture {
        let websocket = is_websocket_upgrade(request.headers());
        match (websocket, &self.services.http, &self.services.websocket) {
            (false, Some(service), _) | (true, _, Some(service)) => {
                Box::pin(service.clone().oneshot(request))
            }
            (true, _, None) => answer(plain(StatusCode::NOT_FOUND, "there is no websocket here\n")),
            (false, None, Some(_)) => answer(upgrade_required()),
            (false, None, None) => answer(plain(StatusCode::NOT_FOUND, "nothing is served here\n")),
        }
    }
}

fn upgrade_required() -> Response<Body> {
    let mut response = plain(
        StatusCode::UPGRADE_REQUIRED,
        "this address speaks websocket only: connect with ws:// or wss://\n",
    );
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // RFC 9110, section 7.8: who sends `Upgrade` lists it in `Connection` too.
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response
}
