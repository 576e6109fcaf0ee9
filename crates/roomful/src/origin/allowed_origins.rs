//! The check of `Origin`: whose pages may speak to this server.

use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::IntoResponse;
use futures_util::future::Either;
use http::header::ORIGIN;
use http::{Request, Response, StatusCode};
use tower::{Layer, Service};

use super::host::{HostPort, Origin};
use super::pattern::{BadHostPattern, OriginPattern};
use crate::routing::plain;
use crate::ws::handshake::is_websocket_upgrade;

/// A tower layer that lets pages of some origins through and answers 403 to those of others, before the service inside
/// has seen the request.
///
/// What it checks, unless told otherwise: handshakes of WebSockets, and requests with any method but GET, HEAD, OPTIONS
/// and TRACE. What another page may *read* with GET is the browser's own check (CORS).
///
/// A request without `Origin` passes: browsers send one with every WebSocket and every cross-site POST, so it comes from
/// a program, which could send any `Origin` it likes. Where cookies say who somebody is, and old browsers matter, add
/// [`require_origin`](Self::require_origin). Two `Origin` headers are always refused.
///
/// ```
/// use axum::{Router, body::Body, http::{Request, StatusCode}, routing::post};
/// use roomful::origin::AllowedOrigins;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let application = Router::new()
///     .route("/messages", post(|| async { "said" }))
///     .layer(AllowedOrigins::list(["https://example.com", ".example.org"])?.and_same_host());
///
/// for (origin, status) in [
///     ("https://example.com", StatusCode::OK),
///     ("https://www.example.org", StatusCode::OK),
///     ("http://127.0.0.1:8000", StatusCode::OK),
///     ("https://evil.example", StatusCode::FORBIDDEN),
/// ] {
///     let request = Request::post("/messages").header("host", "127.0.0.1:8000").header("origin", origin);
///     let response = application.clone().oneshot(request.body(Body::empty())?).await?;
///     assert_eq!(response.status(), status);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[doc(alias = "OriginValidator")]
#[doc(alias = "AllowedHostsOriginValidator")]
#[doc(alias = "check_origin")]
pub struct AllowedOrigins {
    same_host: bool,
    patterns: Vec<OriginPattern>,
    require_origin: bool,
    check_all: bool,
    refused: Arc<dyn Fn() -> Response<Body> + Send + Sync>,
}

impl AllowedOrigins {
    /// Lets a page speak to the host it came from, and to no other.
    ///
    /// Host and port of `Origin` have to be those of `Host`, where a missing port is 80 or 443 by the origin's scheme.
    /// `http` and `https` count alike, because a proxy in front may speak either. A proxy that does not pass `Host` on as
    /// the browser sent it makes every page a stranger: let it pass, or give the pages' origin to [`list`](Self::list).
    pub fn same_host() -> Self {
        Self {
            same_host: true,
            patterns: Vec::new(),
            require_origin: false,
            check_all: false,
            refused: Arc::new(|| {
                plain(
                    StatusCode::FORBIDDEN,
                    "pages of this origin may not speak to this server\n",
                )
            }),
        }
    }

    /// Lets the pages of some origins through, whatever the host they speak to. An empty list refuses every page.
    ///
    /// | pattern | what it takes |
    /// | --- | --- |
    /// | `example.com` | this host, with any scheme and port |
    /// | `.example.com` | this host and all its subdomains |
    /// | `example.com:8443` | this host at this port |
    /// | `https://example.com` | this host with this scheme, at the scheme's port |
    /// | `https://.example.com:8443` | all of it together |
    /// | `*` | everything: `null`, `file://` and what is no origin at all, too |
    ///
    /// # Errors
    /// [`BadHostPattern`] for a pattern that means nothing. `*.example.com` is one: write `.example.com`.
    pub fn list<P: AsRef<str>>(
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, BadHostPattern> {
        let patterns = patterns
            .into_iter()
            .map(|pattern| OriginPattern::parse(pattern.as_ref()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            same_host: false,
            patterns,
            ..Self::same_host()
        })
    }

    /// Lets pages speak to the host they came from as well, as [`same_host`](Self::same_host) does.
    pub fn and_same_host(mut self) -> Self {
        self.same_host = true;
        self
    }

    /// Refuses a request without `Origin`, among those that are checked.
    ///
    /// Not for use with [`check_all`](Self::check_all) in front of pages: browsers send no `Origin` when they open one.
    pub fn require_origin(mut self) -> Self {
        self.require_origin = true;
        self
    }

    /// Checks every request, those with GET too.
    pub fn check_all(mut self) -> Self {
        self.check_all = true;
        self
    }

    /// What a refused request is answered with, instead of 403 and a line of text.
    pub fn on_refused<R: IntoResponse>(
        mut self,
        answer: impl Fn() -> R + Send + Sync + 'static,
    ) -> Self {
        self.refused = Arc::new(move || answer().into_response());
        self
    }

    fn allows<B>(&self, request: &Request<B>) -> bool {
        let checked = self.check_all
            || !request.method().is_safe()
            || is_websocket_upgrade(request.headers());
        if !checked {
            return true;
        }
        let mut origins = request.headers().get_all(ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (None, _) => return !self.require_origin,
            (Some(origin), None) => origin,
            // Not from a browser, and one reader's first is another's last.
            (Some(_), Some(_)) => return false,
        };
        if self.patterns.iter().any(OriginPattern::takes_all) {
            return true;
        }
        let Some(origin) = origin.to_str().ok().and_then(Origin::parse) else {
            return false;
        };
        let from_here = || HostPort::of_request(request).is_some_and(|host| origin.is_at(&host));
        (self.same_host && from_here())
            || self.patterns.iter().any(|pattern| pattern.takes(&origin))
    }
}

impl Default for AllowedOrigins {
    fn default() -> Self {
        Self::same_host()
    }
}

impl fmt::Debug for AllowedOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllowedOrigins")
            .field("same_host", &self.same_host)
            .field("patterns", &self.patterns)
            .field("require_origin", &self.require_origin)
            .field("check_all", &self.check_all)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for AllowedOrigins {
    type Service = CheckOrigin<S>;

    fn layer(&self, inner: S) -> CheckOrigin<S> {
        CheckOrigin {
            inner,
            allowed: Arc::new(self.clone()),
        }
    }
}

/// The service of [`AllowedOrigins`].
#[derive(Clone, Debug)]
pub struct CheckOrigin<S> {
    inner: S,
    allowed: Arc<AllowedOrigins>,
}

impl<S, B> Service<Request<B>> for CheckOrigin<S>
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
        if self.allowed.allows(&request) {
            return Either::Left(self.inner.call(request));
        }
        tracing::debug!(
            origin = ?request.headers().get(ORIGIN),
            "a page of another origin is refused"
        );
        Either::Right(ready(Ok((self.allowed.refused)())))
    }
}
