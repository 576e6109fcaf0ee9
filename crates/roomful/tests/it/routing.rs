//! Which service answers, and what it is told: the cases Channels asserts of its routers, and what HTTP adds to them.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::routing::get;
use axum::{Extension, Router, middleware};
use http::{HeaderValue, Request, Response, StatusCode};
use roomful::routing::RouteService;
use roomful::{PathRemaining, ProtocolTypeRouter, RouteName, UrlParams, UrlRouter};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::{ServiceExt as _, service_fn};

/// A service that answers with its name and all it was told: `name (args) {named} +remaining #route`.
fn told(name: &'static str) -> impl RouteService {
    service_fn(move |request: Request<Body>| async move {
        let mut answer = String::from(name);
        let told = request.extensions();
        if let Some(params) = told.get::<UrlParams>() {
            if !params.args.is_empty() {
                answer += &format!(" ({})", params.args.join(","));
            }
            for (name, value) in &params.named {
                answer += &format!(" {name}={value}");
            }
        }
        match told.get::<PathRemaining>() {
            Some(remaining) if !remaining.0.is_empty() => answer += &format!(" +{}", remaining.0),
            _ => {}
        }
        if let Some(name) = told.get::<RouteName>() {
            answer += &format!(" #{}", name.0);
        }
        Ok::<_, Infallible>(Response::new(Body::from(answer)))
    })
}

/// What a GET of `path` is answered with: the body of a 200, or else the status.
async fn ask(service: &impl RouteService, path: &str) -> Result<String, StatusCode> {
    let request = Request::get(path)
        .body(Body::empty())
        .expect("a good request");
    answer(service, request).await
}

async fn answer(service: &impl RouteService, request: Request<Body>) -> Result<String, StatusCode> {
    let response = service.clone().oneshot(request).await.unwrap();
    let response = axum::response::IntoResponse::into_response(response);
    if response.status() != StatusCode::OK {
        return Err(response.status());
    }
    let body = to_bytes(response.into_body(), 1 << 20)
        .await
        .expect("a short body");
    Ok(String::from_utf8(body.to_vec()).expect("text"))
}

const NOT_FOUND: Result<&str, StatusCode> = Err(StatusCode::NOT_FOUND);

async fn assert_answers(
    service: &impl RouteService,
    cases: impl IntoIterator<Item = (&str, Result<&str, StatusCode>)>,
) {
    for (path, expected) in cases {
        let got = ask(service, path).await;
        assert_eq!(got.as_deref().map_err(|status| *status), expected, "{path}");
    }
}

#[tokio::test]
async fn the_first_route_that_matches_answers_and_is_told_its_parameters() {
    let router = UrlRouter::new()
        .path("", told("root"))
        .path("foo/", told("foo"))
        .re_path("bar", told("bar"))
        .re_path(r"^posarg/(\d+)/$", told("positional"))
        .path("kwarg/{name}/", told("named"))
        .path("defaultkwargs/", told("default"))
        .param("default", "42")
        .path("foo/", told("never"));

    assert_answers(
        &router,
        [
            ("/", Ok("root")),
            ("/foo/", Ok("foo")),
            ("/bar/", Ok("bar +/")),
            ("/bar/baz/", Ok("bar +/baz/")),
            ("/x/bar", Ok("bar")),
            ("/posarg/123/", Ok("positional (123)")),
            ("/posarg/456/", Ok("positional (456)")),
            ("/posarg/abc/", NOT_FOUND),
            ("/kwarg/hello/", Ok("named name=hello")),
            ("/kwarg/hellothere/", Ok("named name=hellothere")),
            ("/defaultkwargs/", Ok("default default=42")),
            ("/foo/?name=value", Ok("foo")),
            ("/foo", NOT_FOUND),
            ("/nonexistent/", NOT_FOUND),
        ],
    )
    .await;
}

#[tokio::test]
async fn inner_routers_add_their_parameters_to_the_outer_ones() {
    let inner = UrlRouter::new()
        .re_path(
            r"^book/(?P<book>[\w\-]+)/page/(?P<page>\d+)/$",
            told("page"),
        )
        .re_path(r"^test/(\d+)/$", told("test"));
    let outer = UrlRouter::new()
        .re_path(
            r"^universe/(?P<universe>\d+)/author/(?P<author>\w+)/",
            inner.clone(),
        )
        .re_path(r"^positional/(\w+)/$", inner);

    assert_answers(
        &outer,
        [
            (
                "/universe/42/author/andrewgodwin/book/channels-guide/page/10/",
                Ok("page universe=42 author=andrewgodwin book=channels-guide page=10"),
            ),
            ("/positional/foo/test/3/", Ok("test (foo,3)")),
            ("/universe/42/author/andrewgodwin/", NOT_FOUND),
            ("/positional/foo/test/x/", NOT_FOUND),
        ],
    )
    .await;
}

#[tokio::test]
async fn of_equal_names_the_innermost_wins_and_a_fixed_value_wins_over_a_captured_one() {
    let inner = UrlRouter::new()
        .path("/{room}/", told("inner"))
        .name("inner-room")
        .path("/unnamed", told("unnamed"));
    let router = UrlRouter::new()
        .path("/a/{room}/{other}", inner)
        .name("outer")
        .re_path(r"^b/(?P<room>\w+)/$", told("fixed"))
        .param("room", "lobby");

    assert_answers(
        &router,
        [
            ("/a/1/x/2/", Ok("inner room=2 other=x #inner-room")),
            ("/a/1/x/unnamed", Ok("unnamed room=1 other=x #outer")),
            ("/b/1/", Ok("fixed room=lobby")),
        ],
    )
    .await;
}

#[tokio::test]
async fn path_routes_nest_too_and_a_layer_does_not_hide_an_inner_router() {
    let mark = middleware::from_fn(
        |request: axum::extract::Request, next: middleware::Next| async {
            let mut response = next.run(request).await;
            response
                .headers_mut()
                .insert("x-layer", HeaderValue::from_static("seen"));
            response
        },
    );
    let inner = UrlRouter::new()
        .path("test/{page}/", told("page"))
        .layer(mark.clone());
    let outer = UrlRouter::new().path("number/{number}/", inner.clone());

    for router in [outer.clone(), UrlRouter::new().path("/", outer.layer(mark))] {
        assert_answers(
            &router,
            [
                ("/number/42/test/3/", Ok("page number=42 page=3")),
                ("/number/42/test/3/bla/", NOT_FOUND),
                ("/number/42/blub/", NOT_FOUND),
            ],
        )
        .await;
        let request = Request::get("/number/42/test/3/")
            .body(Body::empty())
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.headers()["x-layer"], "seen");
    }
    assert_answers(&inner, [("/test/3/", Ok("page page=3"))]).await;
}

#[tokio::test]
async fn an_inner_router_without_a_match_gives_back_to_the_outer_one() {
    let inner = UrlRouter::new().path("no-match/", told("inner"));
    let outer = UrlRouter::new()
        .path("prefix/", inner)
        .path("prefix/stuff/", told("outer"));
    let outermost = UrlRouter::new().path("", outer);
    let rooted = UrlRouter::new().path("/root", outermost.clone());

    assert_answers(
        &outermost,
        [
            ("/prefix/stuff/", Ok("outer")),
            ("/prefix/no-match/", Ok("inner")),
            ("/prefix/", NOT_FOUND),
        ],
    )
    .await;
    assert_answers(
        &rooted,
        [
            ("/root/prefix/stuff/", Ok("outer")),
            ("/prefix/stuff/", NOT_FOUND),
            ("/root/root/prefix/stuff/", NOT_FOUND),
            ("/root/prefix/root/stuff/", NOT_FOUND),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_layer_goes_around_inner_routes_and_fallbacks_and_sees_the_parameters() {
    let guard = middleware::from_fn(
        |Extension(params): Extension<UrlParams>, request, next: middleware::Next| async move {
            match params.get("room") {
                Some("secret") => Err(StatusCode::UNAUTHORIZED),
                _ => Ok(next.run(request).await),
            }
        },
    );
    let inner = UrlRouter::new()
        .path("here", told("inner"))
        .fallback(told("inner fallback"));
    let router = UrlRouter::new()
        .path("/in/{room}", inner)
        .path("/{room}", told("outer"))
        .fallback(told("fallback"))
        .layer(guard)
        .path("/later/{room}", told("later"));

    let unauthorized = Err(StatusCode::UNAUTHORIZED);
    assert_answers(
        &router,
        [
            ("/in/1/here", Ok("inner room=1")),
            ("/in/secret/here", unauthorized),
            ("/in/secret/elsewhere", unauthorized),
            ("/secret", unauthorized),
            ("/later/secret", Ok("later room=secret")),
        ],
    )
    .await;

    let guarded = UrlRouter::new()
        .fallback(told("fallback"))
        .layer(middleware::from_fn(
            |_: axum::extract::Request, _: middleware::Next| async { StatusCode::UNAUTHORIZED },
        ));
    assert_answers(&guarded, [("/anything", unauthorized)]).await;
}

#[tokio::test]
async fn a_fallback_answers_what_no_route_does() {
    let inner = UrlRouter::new()
        .path("known", told("known"))
        .fallback(told("inner fallback"));
    let router = UrlRouter::new()
        .path("/in/{n}", inner)
        .path("/in/1/other", told("never"))
        .fallback(told("fallback"));

    assert_answers(
        &router,
        [
            ("/in/1/known", Ok("known n=1")),
            ("/in/1/other", Ok("inner fallback n=1 +other")),
            ("/elsewhere", Ok("fallback +elsewhere")),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_router_goes_on_with_what_a_service_between_was_told_of_the_path() {
    let inner = UrlRouter::new().path("{page}/", told("inner"));
    let hidden = axum::Router::new().fallback_service(inner);
    let router = UrlRouter::new().re_path(r"^book/(?P<book>\w+)/", hidden);

    assert_answers(
        &router,
        [
            ("/book/a/7/", Ok("inner book=a page=7")),
            ("/book/a/", NOT_FOUND),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_lesson_s_room_is_one_word_of_any_script_between_slashes() {
    let router = UrlRouter::new().re_path(r"room/(?P<group>\w+)/$", told("room"));

    assert_answers(
        &router,
        [
            ("/room/123/", Ok("room group=123")),
            ("/room/%31/", Ok("room group=1")),
            ("/%72oom/1/", Ok("room group=1")),
            ("//room/1/", Ok("room group=1")),
            ("////room/1/", Ok("room group=1")),
            ("/%2F/room/1/", Ok("room group=1")),
            ("/room/1/?x=/room/2/", Ok("room group=1")),
            ("/room/%E8%81%8A%E5%A4%A9/", Ok("room group=聊天")),
            ("/room/%D7%9E%D7%94/", Ok("room group=מה")),
            ("/room//1/", NOT_FOUND),
            ("/room/1", NOT_FOUND),
            ("/room/1/x", NOT_FOUND),
            ("/x/room/1/", NOT_FOUND),
            ("/room/a-b/", NOT_FOUND),
            ("/room/a%2Fb/", NOT_FOUND),
            ("/room/../", NOT_FOUND),
            ("/room/1%00/", NOT_FOUND),
            ("/room/1/%0A", NOT_FOUND),
            ("/room/%2531/", NOT_FOUND),
            ("/room/%zz/", NOT_FOUND),
            ("/room/%E8%81/", Err(StatusCode::BAD_REQUEST)),
            ("/room/%C0%AF/", Err(StatusCode::BAD_REQUEST)),
            ("/room/%ED%A0%80/", Err(StatusCode::BAD_REQUEST)),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_hostile_path_costs_no_more_than_its_length() {
    let router = UrlRouter::new()
        .re_path(r"^(\w+\w+)+!$", told("1"))
        .re_path(r"(a|a?)+$", told("2"))
        .re_path(r"(.*)(.*)(.*)(.*)x$", told("3"))
        .re_path(r"(?P<a>\w*\w*\w*)-(?P<b>[^-]*)y", told("4"))
        .re_path(r"^room/(?P<group>[\w.-]{1,100})/$", told("5"))
        .path("/{a}-{b}-{c}-{d}.json", told("6"));
    let long = 8_000;
    for path in [
        format!("/{}%21%21", "a".repeat(long)),
        format!("/{}", "a-".repeat(long / 2)),
        format!("/room/{}", "a".repeat(long)),
        format!("/room/{}/", "%E8%81%8A".repeat(long / 9)),
        format!("/{}", "/".repeat(long)),
        format!("/{}", "%2e%2e%2f".repeat(long / 9)),
    ] {
        let start = Instant::now();
        let _ = ask(&router, &path).await;
        let took = start.elapsed();
        // Unoptimized and on a busy machine; a backtracking engine would take longer than the universe has lasted.
        assert!(
            took < Duration::from_secs(2),
            "{took:?} for {}",
            &path[..20]
        );
    }
}

#[test]
fn a_pattern_that_cannot_be_matched_is_an_error_that_names_it() {
    let error = UrlRouter::new()
        .try_re_path(r"(?=x)room/$", told("x"))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`(?=x)room/$` is not a route pattern: look-around"),
        "{error}"
    );

    let error = UrlRouter::new()
        .try_path("/room/<int:x>/", told("x"))
        .unwrap_err();
    assert!(error.to_string().contains("written `{name}`"), "{error}");
}

#[test]
#[should_panic(expected = "`(room` is not a route pattern: unclosed group")]
fn a_bad_pattern_in_the_program_panics_with_the_sentence() {
    let _ = UrlRouter::new().re_path("(room", told("x"));
}

#[test]
#[should_panic(expected = "add one first")]
fn a_name_without_a_route_panics() {
    let _ = UrlRouter::new().name("nobody");
}

fn upgrade(path: &str, protocol: &str) -> Request<Body> {
    Request::get(path)
        .header("upgrade", protocol)
        .body(Body::empty())
        .expect("a good request")
}

#[tokio::test]
async fn page_and_socket_share_one_url() {
    let pages = Router::new().route("/room/{group}/", get(|| async { "page" }));
    let application = ProtocolTypeRouter::new()
        .http(pages)
        .websocket(UrlRouter::new().re_path(r"room/(?P<group>\w+)/$", told("socket")));

    assert_answers(
        &application,
        [("/room/1/", Ok("page")), ("/nowhere", NOT_FOUND)],
    )
    .await;
    for protocol in [
        "websocket",
        "WebSocket",
        "WEBSOCKET",
        "h2c, websocket",
        "websocket ,x",
    ] {
        let got = answer(&application, upgrade("/room/1/", protocol)).await;
        assert_eq!(got.as_deref(), Ok("socket group=1"), "{protocol}");
    }
    for protocol in ["h2c", "websockets", "websocket2", ""] {
        let got = answer(&application, upgrade("/room/1/", protocol)).await;
        assert_eq!(got.as_deref(), Ok("page"), "{protocol}");
    }
    // Malformed in every other way (no GET, no key): still the socket's to refuse.
    let post = Request::post("/room/1/")
        .header("upgrade", "websocket")
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        answer(&application, post).await.as_deref(),
        Ok("socket group=1")
    );
    // The second of two headers counts as well.
    let two = Request::get("/room/1/")
        .header("upgrade", "h2c")
        .header("upgrade", "websocket");
    let got = answer(&application, two.body(Body::empty()).unwrap()).await;
    assert_eq!(got.as_deref(), Ok("socket group=1"));
    // A socket without a route is a 404, not a 500.
    assert_eq!(
        answer(&application, upgrade("/nowhere", "websocket")).await,
        Err(StatusCode::NOT_FOUND)
    );
}

#[tokio::test]
async fn what_a_protocol_router_does_not_serve_is_refused_with_a_sentence() {
    let page = || Request::get("/").body(Body::empty()).unwrap();

    let sockets_only = ProtocolTypeRouter::new().websocket(told("socket"));
    let response = sockets_only.oneshot(page()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(response.headers()["upgrade"], "websocket");
    assert_eq!(response.headers()["connection"], "upgrade");
    let body = to_bytes(response.into_body(), 1000).await.unwrap();
    assert_eq!(
        body,
        "this address speaks websocket only: connect with ws:// or wss://\n"
    );

    let pages_only = ProtocolTypeRouter::new().http(told("page"));
    let response = pages_only.oneshot(upgrade("/", "websocket")).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; charset=utf-8"
    );
    let body = to_bytes(response.into_body(), 1000).await.unwrap();
    assert_eq!(body, "there is no websocket here\n");

    let nothing = ProtocolTypeRouter::new();
    assert_eq!(answer(&nothing, page()).await, Err(StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn axum_serves_a_router_and_nests_one() {
    let rooms = UrlRouter::new().re_path(
        r"room/(?P<group>\w+)/$",
        get(|Extension(params): Extension<UrlParams>| async move {
            params.get("group").unwrap().to_owned()
        }),
    );
    let application = Router::new().nest_service("/root", rooms);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, application).await });

    for (path, status, body) in [
        ("/root/room/%31/", "200 OK", "1"),
        ("/root//room/2/", "200 OK", "2"),
        (
            "/root/room/a-b/",
            "404 Not Found",
            "there is nothing at this path\n",
        ),
    ] {
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{path}: {response}"
        );
        assert!(
            response.ends_with(&format!("\r\n\r\n{body}")),
            "{path}: {response}"
        );
    }
    server.abort();
}
