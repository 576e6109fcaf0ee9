//! Whose pages may speak to a server, and under which names it may be reached.

use std::convert::Infallible;

use axum::body::{Body, to_bytes};
use axum::routing::any;
use http::{Method, Request, Response, StatusCode};
use roomful::UrlRouter;
use roomful::origin::{AllowedHosts, AllowedOrigins};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

type Headers<'a> = &'a [(&'static str, &'a str)];

fn service()
-> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone
{
    service_fn(|_: Request<Body>| async { Ok(Response::new(Body::from("inside"))) })
}

async fn status(allowed: &AllowedOrigins, method: Method, headers: Headers<'_>) -> StatusCode {
    let mut request = Request::builder().method(method).uri("/room/1/");
    for (name, value) in headers {
        request = request.header(*name, value.as_bytes());
    }
    let request = request.body(Body::empty()).expect("a good request");
    allowed
        .layer(service())
        .oneshot(request)
        .await
        .unwrap()
        .status()
}

/// Whether the handshake of a WebSocket with these headers gets through.
async fn connects(allowed: &AllowedOrigins, headers: Headers<'_>) -> bool {
    let headers = [&[("upgrade", "websocket")], headers].concat();
    match status(allowed, Method::GET, &headers).await {
        StatusCode::OK => true,
        StatusCode::FORBIDDEN => false,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_list_decides_as_channels_origin_validator_does() {
    let plain = ["allowed-domain.com"].as_slice();
    let subdomains = [".allowed-domain.com"].as_slice();
    let scheme = ["http://allowed-domain.com"].as_slice();
    for (list, origin, allowed) in [
        (plain, Some("http://allowed-domain.com"), true),
        (plain, Some("http://bad-domain.com"), false),
        (subdomains, Some("http://www.allowed-domain.com"), true),
        (scheme, Some("http://allowed-domain.com"), true),
        (scheme, Some("https://bad-domain.com:443"), false),
        (&["*"], None, true),
        (&[], None, false),
        (subdomains, Some(""), false),
        (subdomains, Some("something-invalid"), false),
    ] {
        // Channels refuses a missing origin unless all are allowed.
        let mut layer = AllowedOrigins::list(list).unwrap();
        if list != ["*"] {
            layer = layer.require_origin();
        }
        let headers: Vec<_> = origin
            .map(|origin| ("origin", origin))
            .into_iter()
            .collect();
        assert_eq!(
            connects(&layer, &headers).await,
            allowed,
            "{list:?} for {origin:?}"
        );
    }
    // The tenth case: there this pattern silently matches nothing, here it is an error.
    let error = AllowedOrigins::list(["*.allowed-domain.com"]).unwrap_err();
    assert!(
        error.to_string().contains("write `.example.com`"),
        "{error}"
    );
}

#[tokio::test]
async fn by_default_a_page_speaks_to_its_own_host_only() {
    let layer = AllowedOrigins::default();
    for (host, origin, allowed) in [
        ("chat.example", "http://chat.example", true),
        ("chat.example", "https://chat.example", true),
        ("chat.example:443", "https://chat.example", true),
        ("chat.example", "https://chat.example:443", true),
        ("chat.example:80", "http://chat.example", true),
        ("chat.example:443", "http://chat.example", false),
        ("Chat.Example:8000", "http://chat.example:8000", true),
        ("127.0.0.1:8000", "http://127.0.0.1:8000", true),
        ("[::1]:8000", "http://[::1]:8000", true),
        ("[0:0:0:0:0:0:0:1]:8000", "http://[::1]:8000", true),
        ("127.0.0.1:8000", "http://localhost:8000", false),
        ("127.0.0.1:8000", "http://127.0.0.1:8001", false),
        ("127.0.0.1:8000", "http://127.0.0.1", false),
        ("chat.example", "http://evil.example", false),
        ("chat.example", "http://www.chat.example", false),
        ("chat.example", "http://chat.example.evil.example", false),
        ("chat.example", "http://evilchat.example", false),
        ("chat.example", "http://chat.example@evil.example", false),
        ("chat.example", "http://evil.example#chat.example", false),
        ("chat.example", "http://chat.example/", false),
        ("chat.example", "ftp://chat.example", false),
        ("chat.example", "chat.example", false),
        ("chat.example", "null", false),
        ("null", "null", false),
        ("chat.example", "file://", false),
        ("", "file://", false),
        ("chat.example", "", false),
        ("chat.example", "*", false),
        (
            "chat.example",
            "http://chat.example http://evil.example",
            false,
        ),
        (
            "chat.example",
            "http://chat.example, http://evil.example",
            false,
        ),
        ("chat.example", "http://ch\u{e4}t.example", false),
    ] {
        let got = connects(&layer, &[("host", host), ("origin", origin)]).await;
        assert_eq!(got, allowed, "{origin} speaks to {host}");
    }
}

#[tokio::test]
async fn two_origins_are_refused_even_where_every_one_is_allowed() {
    let two = [
        ("host", "a.example"),
        ("origin", "http://a.example"),
        ("origin", "http://a.example"),
    ];
    for layer in [
        AllowedOrigins::same_host(),
        AllowedOrigins::list(["*"]).unwrap(),
    ] {
        assert!(!connects(&layer, &two).await);
    }
}

#[tokio::test]
async fn a_page_needs_exactly_one_host_to_be_of_the_same() {
    let layer = AllowedOrigins::same_host();
    assert!(!connects(&layer, &[("origin", "http://a.example")]).await);
    let two = [
        ("host", "a.example"),
        ("host", "a.example"),
        ("origin", "http://a.example"),
    ];
    assert!(!connects(&layer, &two).await);

    // An absolute target outranks `Host` (RFC 9112, section 3.2.2).
    let request = Request::post("http://a.example/")
        .header("host", "evil.example")
        .header("origin", "http://evil.example")
        .body(Body::empty())
        .unwrap();
    let response = layer.layer(service()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_star_takes_what_is_no_origin_at_all() {
    let layer = AllowedOrigins::list(["*"]).unwrap();
    for origin in ["null", "file://", "anything", "http://evil.example"] {
        assert!(connects(&layer, &[("origin", origin)]).await, "{origin}");
    }
}

#[tokio::test]
async fn a_list_may_be_joined_by_the_same_host() {
    let list = AllowedOrigins::list(["https://example.com:8443"]).unwrap();
    let here = [("host", "a.example"), ("origin", "http://a.example")];
    assert!(!connects(&list, &here).await);
    assert!(connects(&list.clone().and_same_host(), &here).await);
    assert!(
        connects(
            &list,
            &[
                ("host", "a.example"),
                ("origin", "https://example.com:8443")
            ]
        )
        .await
    );
}

#[tokio::test]
async fn reading_is_free_and_saying_is_checked() {
    let evil: Headers<'_> = &[("host", "a.example"), ("origin", "http://evil.example")];
    let layer = AllowedOrigins::same_host();
    for (method, checked) in [
        (Method::GET, false),
        (Method::HEAD, false),
        (Method::OPTIONS, false),
        (Method::POST, true),
        (Method::PUT, true),
        (Method::PATCH, true),
        (Method::DELETE, true),
        (Method::from_bytes(b"PURGE").unwrap(), true),
    ] {
        let expected = if checked {
            StatusCode::FORBIDDEN
        } else {
            StatusCode::OK
        };
        assert_eq!(
            status(&layer, method.clone(), evil).await,
            expected,
            "{method}"
        );
        let all = layer.clone().check_all();
        assert_eq!(
            status(&all, method.clone(), evil).await,
            StatusCode::FORBIDDEN,
            "{method}"
        );
    }
}

#[tokio::test]
async fn programs_without_an_origin_pass_unless_one_is_required() {
    let host = [("host", "a.example")];
    let layer = AllowedOrigins::same_host();
    assert!(connects(&layer, &host).await);
    assert_eq!(status(&layer, Method::POST, &host).await, StatusCode::OK);

    let strict = layer.require_origin();
    assert!(!connects(&strict, &host).await);
    assert_eq!(
        status(&strict, Method::POST, &host).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(status(&strict, Method::GET, &host).await, StatusCode::OK);
}

#[tokio::test]
async fn a_refusal_says_what_the_program_wants_it_to_say() {
    let layer = AllowedOrigins::same_host().on_refused(|| {
        (
            StatusCode::UNAUTHORIZED,
            r#"{"error":{"code":"origin_not_allowed"}}"#,
        )
    });
    let router = UrlRouter::new()
        .path("/", any(|| async { "inside" }))
        .layer(layer);

    let request = Request::post("/")
        .header("host", "a.example")
        .header("origin", "http://evil.example");
    let response = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let body = to_bytes(response.into_body(), 1000).await.unwrap();
    assert_eq!(body, r#"{"error":{"code":"origin_not_allowed"}}"#);
}

#[tokio::test]
async fn a_request_for_another_host_is_misdirected() {
    let listed = AllowedHosts::list([
        "chat.example",
        ".example.org",
        "a.example:8443",
        "b.example:443",
    ])
    .unwrap();
    let loopback = AllowedHosts::loopback();
    let misdirected = StatusCode::MISDIRECTED_REQUEST;
    for (layer, host, expected) in [
        (&listed, "chat.example", StatusCode::OK),
        (&listed, "CHAT.example:8000", StatusCode::OK),
        (&listed, "www.example.org", StatusCode::OK),
        (&listed, "a.example:8443", StatusCode::OK),
        (&listed, "a.example", misdirected),
        (&listed, "a.example:80", misdirected),
        (&listed, "b.example", StatusCode::OK),
        (&listed, "rebound.example", misdirected),
        (&listed, "chat.example.evil.example", misdirected),
        (&listed, "127.0.0.1", misdirected),
        (&loopback, "localhost:8000", StatusCode::OK),
        (&loopback, "app.localhost:8000", StatusCode::OK),
        (&loopback, "127.0.0.1:8000", StatusCode::OK),
        (&loopback, "[::1]:8000", StatusCode::OK),
        (&loopback, "rebound.example:8000", misdirected),
        (&loopback, "localhost.evil.example", misdirected),
        (&loopback, "127.0.0.1.evil.example", misdirected),
        (&loopback, "", StatusCode::BAD_REQUEST),
        (&loopback, "local host", StatusCode::BAD_REQUEST),
        (&loopback, "localhost:", StatusCode::BAD_REQUEST),
    ] {
        let request = Request::get("/")
            .header("host", host)
            .body(Body::empty())
            .unwrap();
        let response = layer.layer(service()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), expected, "{host:?}");
    }

    for hosts in [[].as_slice(), &["localhost", "localhost"]] {
        let mut request = Request::get("/");
        for host in hosts {
            request = request.header("host", *host);
        }
        let response = loopback
            .layer(service())
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{hosts:?}");
    }

    let error = AllowedHosts::list(["https://chat.example"]).unwrap_err();
    assert!(error.to_string().contains("drop the slash"), "{error}");
}
