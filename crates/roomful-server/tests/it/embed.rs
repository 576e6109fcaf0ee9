//! Rooms inside the pages of other sites: whom the operator allows, and nobody else.

use crate::support::Server;

/// The part of a page's policy that says who may frame it.
async fn frame_ancestors(server: &Server, path: &str) -> String {
    let response = server.api().get(path).await;
    assert_eq!(response.status(), 200, "{path}");
    let policy = response.headers()["content-security-policy"].to_str();
    let mut parts = policy.unwrap().split("; ");
    let ancestors = parts.find_map(|part| part.strip_prefix("frame-ancestors "));
    ancestors.unwrap().to_owned()
}

#[tokio::test]
async fn without_a_word_from_the_operator_only_our_own_pages_may_show_a_room() {
    let server = Server::with("memory", &[]);

    for path in ["/", "/room/123/", "/room/123/?embed=https://example.org"] {
        assert_eq!(frame_ancestors(&server, path).await, "'self'", "{path}");
    }
    assert_eq!(frame_ancestors(&server, "/status/").await, "'none'");
}

#[tokio::test]
async fn sites_that_are_allowed_may_show_a_room_and_no_other_page() {
    let allowed = [("EMBED__ALLOWED", "https://example.org, .example.com")];
    let server = Server::with("memory", &allowed);

    for path in [
        "/room/123/?embed",
        "/room/123/?lang=zh&embed=https://example.org",
    ] {
        assert_eq!(
            frame_ancestors(&server, path).await,
            "'self' https://example.org example.com:* *.example.com:*",
            "{path}"
        );
    }
    for path in ["/", "/room/123/", "/room/123/?embedded"] {
        assert_eq!(frame_ancestors(&server, path).await, "'self'", "{path}");
    }
}

#[tokio::test]
async fn the_script_may_be_loaded_by_any_page() {
    let server = Server::with("memory", &[]);

    let response = server.api().get("/embed.js").await;

    assert_eq!(response.status(), 200);
    let headers = response.headers();
    assert_eq!(headers["content-type"], "text/javascript; charset=utf-8");
    assert_eq!(headers["cross-origin-resource-policy"], "cross-origin");
    assert!(!headers.contains_key("set-cookie"));
}
