//! What can be routed to, and the plain answers of the routers themselves.

use std::convert::Infallible;
use std::future::ready;

use axum::body::Body;
use axum::response::IntoResponse;
use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

/// A service behind a route, its type erased. [`UrlRouter::layer`](crate::routing::UrlRouter::layer) hands it to layers.
pub type BoxedService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The future of a router.
pub type RouteFuture = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// A service that can stand behind a route: any cloneable tower service of HTTP requests that cannot fail.
///
/// An axum `Router` or `MethodRouter` is one, and so are the routers of this module and `tower::service_fn`. There is
/// nothing to implement: every service of the right shape is one already.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand behind a route",
    label = "not a tower service of HTTP requests",
    note = "a route takes a `tower::Service<http::Request<axum::body::Body>, Error = Infallible>` that is `Clone + Send + Sync + 'static` and answers with an `axum::response::IntoResponse`",
    note = "what has a method `into_service` becomes one by calling it"
)]
pub trait RouteService:
    Service<Request<Body>, Response: IntoResponse, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> RouteService for S where
    S: Service<Request<Body>, Response: IntoResponse, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

pub(super) fn boxed(service: impl RouteService) -> BoxedService {
    BoxedService::new(service.map_response(IntoResponse::into_response))
}

/// The future of an answer that is already there.
pub(super) fn answer(response: Response<Body>) -> RouteFuture {
    Box::pin(ready(Ok(response)))
}

/// An answer of a router's own: a status and one sentence. It never repeats what the request said.
pub(crate) fn plain(status: StatusCode, sentence: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(sentence));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
