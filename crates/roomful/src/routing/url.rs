//! The router by URL: the first route whose pattern matches the path.

use std::any::Any;
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use tower::{Layer, Service, ServiceExt as _};

use super::pattern::{BadPattern, Matched, Pattern, Role};
use super::service::{BoxedService, RouteFuture, RouteService, answer, boxed, plain};
use super::{path, re_path};
use crate::{PathRemaining, RouteName, UrlParams};

/// Chooses a service by the path of the URL, with the rules of Channels' `URLRouter`.
///
/// Routes are tried in the order they were added, and the first match wins. The path is percent-decoded first (`%31` is
/// `1`, `%2F` is `/`), and has all its leading slashes taken off; the query plays no part. What the pattern captured is
/// in the request's extensions as [`UrlParams`], what lies behind the match as [`PathRemaining`], and the route's name
/// as [`RouteName`].
///
/// ```
/// use axum::{Extension, body::{Body, to_bytes}, http::Request, routing::get};
/// use roomful::UrlParams;
/// use roomful::routing::UrlRouter;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let room = get(|Extension(params): Extension<UrlParams>| async move {
///     format!("room {}", params.get("group").unwrap())
/// });
/// let router = UrlRouter::new()
///     .re_path(r"room/(?P<group>\w+)/$", room.clone())
///     .path("/salon/{group}/", room);
///
/// let request = Request::get("/room/%E8%81%8A%E5%A4%A9/").body(Body::empty()).unwrap();
/// let response = router.oneshot(request).await.unwrap();
/// assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "room 聊天");
/// # }
/// ```
///
/// # Nesting
///
/// Where the service of a route is itself a `UrlRouter`, the pattern is a prefix, and the inner router goes on with what
/// remains of the path. Unnamed groups are joined; of named ones the inner wins. If no inner route matches, the outer
/// router goes on with its next route.
///
/// An inner router is known by its type, and a layer around it hides that: put layers on with [`layer`](Self::layer),
/// which keeps it a router.
///
/// # Patterns
///
/// [`re_path`](Self::re_path) takes a regular expression with Django's meaning of it, [`path`](Self::path) a path with
/// holes. Both match in time linear in the path's length.
///
/// # When nothing matches
///
/// The outermost router answers 404, or asks its [`fallback`](Self::fallback). A path that is not UTF-8 once it is
/// decoded gets 400.
#[doc(alias = "URLRouter")]
#[derive(Clone, Default)]
pub struct UrlRouter {
    table: Arc<Table>,
}

#[derive(Clone, Default)]
struct Table {
    routes: Vec<Route>,
    fallback: Option<BoxedService>,
}

#[derive(Clone)]
struct Route {
    pattern: Pattern,
    target: Target,
    name: Option<RouteName>,
    /// Override what the pattern captured.
    params: Vec<(Arc<str>, String)>,
}

#[derive(Clone)]
enum Target {
    Service(BoxedService),
    Router(UrlRouter),
}

impl UrlRouter {
    /// A router without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route whose pattern is a regular expression, with the meaning it has in Django and Channels.
    ///
    /// A pattern that ends in `$` matches the whole path: `room/(?P<group>\w+)/$` needs no `^`. Any other is searched
    /// for: `bar` takes `/bar/baz/` and `/x/bar`. Where the service is a `UrlRouter`, a final `$` is ignored.
    ///
    /// If the pattern has named groups the unnamed ones do not count. A named group that took no part in the match is
    /// left out; an unnamed one is then an empty text.
    ///
    /// The syntax is that of the `regex` crate, nearly Python's. Differences: look-around and backreferences are
    /// refused; `$` never accepts a newline behind it; the end of the path is `\z`, not `\Z`; `\w` also takes combining
    /// marks, which many scripts need (हिन्दी), and does not take numbers that are no digits (`½`).
    ///
    /// # Panics
    /// If the pattern cannot be compiled, with the sentence of [`BadPattern`]. For patterns that are not part of the
    /// program there is [`try_re_path`](Self::try_re_path).
    pub fn re_path(self, pattern: &str, service: impl RouteService) -> Self {
        self.try_re_path(pattern, service)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Adds a route like [`re_path`](Self::re_path), for patterns from a configuration.
    ///
    /// # Errors
    /// [`BadPattern`] where the pattern cannot be compiled, is too large, or could never match.
    pub fn try_re_path(
        self,
        pattern: &str,
        service: impl RouteService,
    ) -> Result<Self, BadPattern> {
        self.route(pattern, re_path::compile, service)
    }

    /// Adds a route whose pattern is a path with holes: `/room/{group}/`, `/files/{*rest}`.
    ///
    /// `{name}` takes one or more characters other than `/`; `{*name}` takes all the rest and stands last; `{{` and `}}`
    /// are the braces themselves. The final slash counts. Where the service is a `UrlRouter`, the pattern is a prefix of
    /// whole segments: `/api` takes `/api/users` and not `/apiary`.
    ///
    /// # Panics
    /// If the pattern is malformed, with the sentence of [`BadPattern`]. For patterns that are not part of the program
    /// there is [`try_path`](Self::try_path).
    pub fn path(self, pattern: &str, service: impl RouteService) -> Self {
        self.try_path(pattern, service)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Adds a route like [`path`](Self::path), for patterns from a configuration.
    ///
    /// # Errors
    /// [`BadPattern`] where the pattern is malformed.
    pub fn try_path(self, pattern: &str, service: impl RouteService) -> Result<Self, BadPattern> {
        self.route(pattern, path::compile, service)
    }

    /// Names the route added last. Of nested routes that have names, the innermost counts.
    ///
    /// # Panics
    /// If no route was added yet.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.last_route().name = Some(RouteName(name.into()));
        self
    }

    /// Gives the route added last a parameter of fixed value, which overrides a captured one of that name.
    ///
    /// # Panics
    /// If no route was added yet.
    pub fn param(mut self, name: impl Into<Arc<str>>, value: impl Into<String>) -> Self {
        self.last_route().params.push((name.into(), value.into()));
        self
    }

    /// Who answers where no route matches. An inner router with a fallback never gives back to the outer one.
    pub fn fallback(mut self, service: impl RouteService) -> Self {
        Arc::make_mut(&mut self.table).fallback = Some(boxed(service));
        self
    }

    /// Puts a layer around every service added so far, those of inner routers and the fallback included.
    ///
    /// The layer sees the request after routing, with its [`UrlParams`]. The answer to a path without a route does not
    /// pass through it.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<BoxedService>,
        L::Service: RouteService,
    {
        self.wrap(&layer);
        self
    }

    fn wrap<L>(&mut self, layer: &L)
    where
        L: Layer<BoxedService>,
        L::Service: RouteService,
    {
        let table = Arc::make_mut(&mut self.table);
        let wrapped = |service: &BoxedService| boxed(layer.layer(service.clone()));
        for route in &mut table.routes {
            match &mut route.target {
                Target::Service(service) => *service = wrapped(service),
                Target::Router(router) => router.wrap(layer),
            }
        }
        table.fallback = table.fallback.as_ref().map(wrapped);
    }

    fn route(
        mut self,
        pattern: &str,
        compile: fn(&str, Role) -> Result<Pattern, BadPattern>,
        service: impl RouteService,
    ) -> Result<Self, BadPattern> {
        let target = Target::new(service);
        let role = match target {
            Target::Service(_) => Role::Endpoint,
            Target::Router(_) => Role::Prefix,
        };
        Arc::make_mut(&mut self.table).routes.push(Route {
            pattern: compile(pattern, role)?,
            target,
            name: None,
            params: Vec::new(),
        });
        Ok(self)
    }

    fn last_route(&mut self) -> &mut Route {
        Arc::make_mut(&mut self.table)
            .routes
            .last_mut()
            .expect("`name` and `param` belong to a route: add one first, with `re_path` or `path`")
    }

    /// The service for `path`, and what was learnt on the way to it.
    fn resolve<'r, 'p>(&'r self, path: &'p str) -> Option<Found<'r, 'p>> {
        let path = path.trim_start_matches('/');
        for route in &self.table.routes {
            let Some(matched) = route.pattern.find(path) else {
                continue;
            };
            let found = match &route.target {
                Target::Service(service) => Some(Found::new(service, matched.remaining)),
                Target::Router(inner) => inner.resolve(matched.remaining),
            };
            if let Some(found) = found {
                return Some(found.by_way_of(route, matched));
            }
        }
        let fallback = self.table.fallback.as_ref()?;
        Some(Found::new(fallback, path))
    }
}

impl Target {
    fn new(service: impl RouteService) -> Self {
        match (&service as &dyn Any).downcast_ref::<UrlRouter>() {
            Some(router) => Self::Router(router.clone()),
            None => Self::Service(boxed(service)),
        }
    }
}

/// Where a path leads.
struct Found<'r, 'p> {
    service: &'r BoxedService,
    remaining: &'p str,
    params: UrlParams,
    name: Option<&'r RouteName>,
}

impl<'r, 'p> Found<'r, 'p> {
    fn new(service: &'r BoxedService, remaining: &'p str) -> Self {
        Self {
            service,
            remaining,
            params: UrlParams::default(),
            name: None,
        }
    }

    /// The same place, seen from the outer `route` that led to it.
    fn by_way_of(self, route: &'r Route, matched: Matched<'_>) -> Self {
        let mut params = matched.params;
        for (name, value) in &route.params {
            params.insert(name.clone(), value.as_str());
        }
        params.merge(self.params);
        Self {
            params,
            name: self.name.or(route.name.as_ref()),
            ..self
        }
    }
}

impl Service<Request<Body>> for UrlRouter {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouteFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Which service has to be ready is known with the request only; `oneshot` asks it then.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> RouteFuture {
        let Some(path) = path_to_route(&request) else {
            return answer(plain(StatusCode::BAD_REQUEST, "the path is not UTF-8\n"));
        };
        let Some(found) = self.resolve(&path) else {
            return answer(plain(
                StatusCode::NOT_FOUND,
                "there is nothing at this path\n",
            ));
        };
        let remaining = PathRemaining(found.remaining.into());
        let Found {
            service,
            params,
            name,
            ..
        } = found;

        let extensions = request.extensions_mut();
        extensions.insert(remaining);
        extensions
            .get_or_insert_default::<UrlParams>()
            .merge(params);
        if let Some(name) = name {
            extensions.insert(name.clone());
        }
        Box::pin(service.clone().oneshot(request))
    }
}

/// What an outer router left of the path, or else the whole of it, decoded; `None` where that is not UTF-8.
fn path_to_route(request: &Request<Body>) -> Option<Cow<'_, str>> {
    match request.extensions().get::<PathRemaining>() {
        Some(remaining) => Some(Cow::Borrowed(&remaining.0)),
        None => percent_decode_str(request.uri().path()).decode_utf8().ok(),
    }
}

impl fmt::Debug for UrlRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.table.routes.iter().map(|route| &route.pattern))
            .finish()
    }
}
