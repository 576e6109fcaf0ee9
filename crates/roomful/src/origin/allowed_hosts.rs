//! The check of `Host`: under which names this server may be reached.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use futures_util::future::Either;
use http::{Request, Response, StatusCode};
use tower::{Layer, Service};

use super::host::HostPort;
use super::pattern::{BadHostPattern, HostPattern};
use crate::routing::plain;

/// A tower layer that answers 421 Misdirected Request (RFC 9110, section 15.5.20) to requests for other hosts.
///
/// It guards a server on a private address, such as one on a developer's machine, against DNS rebinding: a page gives its
/// own name that address, and from then on has the same origin as the server. The name in `Host` is still the page's.
///
/// A request with no `Host`, several, or a malformed one is answered with 400 (RFC 9112, section 3.2).
///
/// ```
/// use axum::{Router, body::Body, http::{Request, StatusCode}, routing::get};
/// use roomful::origin::AllowedHosts;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let application = Router::new().route("/", get(|| async { "hi" })).layer(AllowedHosts::loopback());
///
/// for (host, status) in [
///     ("localhost:8000", StatusCode::OK),
///     ("127.0.0.1:8000", StatusCode::OK),
///     ("rebound.example:8000", StatusCode::MISDIRECTED_REQUEST),
/// ] {
///     let request = Request::get("/").header("host", host).body(Body::empty())?;
///     assert_eq!(application.clone().oneshot(request).await?.status(), status);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "ALLOWED_HOSTS")]
pub struct AllowedHosts {
    patterns: Arc<[HostPattern]>,
}

impl AllowedHosts {
    /// Lets requests for some hosts through: `example.com` and `127.0.0.1` at any port, `example.com:8443` at this one,
    /// `.example.com` with all subdomains, `[::1]`, or `*` for every host.
    ///
    /// # Errors
    /// [`BadHostPattern`] for a pattern that means nothing.
    pub fn list<P: AsRef<str>>(
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, BadHostPattern> {
        let patterns = patterns
            .into_iter()
            .map(|pattern| HostPattern::parse(pattern.as_ref()))
            .collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Lets requests for this machine itself through: `localhost` and its subdomains, `127.0.0.1`, `[::1]`.
    pub fn loopback() -> Self {
        Self::list([".localhost", "127.0.0.1", "[::1]"]).expect("these are hosts")
    }

    fn verdict<B>(&self, request: &Request<B>) -> Result<(), (StatusCode, &'static str)> {
        let host = HostPort::of_request(request).ok_or((
            StatusCode::BAD_REQUEST,
            "a request names its host once, in `Host`\n",
        ))?;
        if self.patterns.iter().any(|pattern| pattern.takes(&host)) {
            return Ok(());
        }
        Err((
            StatusCode::MISDIRECTED_REQUEST,
            "this server does not answer for that host\n",
        ))
    }
}

impl<S> Layer<S> for AllowedHosts {
    type Service = CheckHost<S>;

    fn layer(&self, inner: S) -> CheckHost<S> {
        CheckHost {
            inner,
            allowed: self.clone(),
        }
    }
}

/// The service of [`AllowedHosts`].
#[derive(Clone, Debug)]
pub struct CheckHost<S> {
    inner: S,
    allowed: AllowedHosts,
}

impl<S, B> Service<Request<B>> for CheckHost<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.allowed.verdict(&request) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err((status, sentence)) => Either::Right(ready(Ok(plain(status, sentence)))),
        }
    }
}
