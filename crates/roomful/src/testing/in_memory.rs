//! HTTP/1.1 between a test and a service, over a pipe in memory.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::HOST;
use http::{Extensions, Request, Response};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::DuplexStream;
use tower::{Service, ServiceExt};

/// How long anything may take before the test fails. With tokio's clock paused it takes no time at all.
const DEADLINE: Duration = Duration::from_secs(5);

/// What lies between client and service before the one that writes has to wait, in each direction.
const PIPE_BYTES: usize = 64 * 1024;

/// The services that can be tested: axum routers, [`routing`](crate::routing), consumers and whatever wraps them.
pub trait TestService:
    Service<
        Request<Body>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<S> TestService for S where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

/// Asks a service for a page, in memory, and gives the whole answer.
///
/// # Panics
/// There is no answer after five seconds.
pub async fn get<S: TestService>(service: S, path: &str) -> Response<Bytes> {
    let request = Request::get(path).header(HOST, "localhost");
    let request = request.body(Body::empty()).expect("a valid path");
    collect(send(service, request, Extensions::new()).await).await
}

/// Sends one request through HTTP/1.1 in memory. Both ends run until they are done, or the test is.
pub(super) async fn send<S: TestService>(
    service: S,
    request: Request<Body>,
    extensions: Extensions,
) -> Response<hyper::body::Incoming> {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    tokio::spawn(serve(service, extensions, theirs));
    let answer = async {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(ours)).await?;
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await
    };
    within("an answer to the request", answer)
        .await
        .unwrap_or_else(|error| panic!("the service did not answer: {error:?}"))
}

async fn serve<S: TestService>(service: S, extensions: Extensions, stream: DuplexStream) {
    let service = service.map_request(move |request: Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().extend(extensions.clone());
        request
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    // The client has hung up: what that means is for it to say.
    let _ = connection.await;
}

pub(super) async fn collect(response: Response<hyper::body::Incoming>) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    let body = within("the end of the body", body.collect()).await;
    let body = body.expect("the service sends the whole body").to_bytes();
    Response::from_parts(parts, body)
}

/// Waits for something with the deadline.
pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {DEADLINE:?} in vain for {what}"),
    }
}
