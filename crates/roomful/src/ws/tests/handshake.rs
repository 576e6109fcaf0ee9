//! The opening handshake: what is accepted, what is refused and how, and what is answered.

use http::{HeaderMap, HeaderValue, Request, StatusCode, Version, request};

use super::super::handshake::{self, Handshake, Rejection, SubprotocolNotOffered};

/// The request of RFC 6455, section 1.3.
fn request() -> Request<()> {
    Request::get("/chat")
        .header("host", "server.example.com")
        .header("upgrade", "websocket")
        .header("connection", "Upgrade")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap()
}

fn check(change: impl FnOnce(&mut request::Parts)) -> Result<Handshake, Rejection> {
    let (mut parts, ()) = request().into_parts();
    change(&mut parts);
    handshake::check(&parts)
}

/// With the header set to these values, one line each.
fn check_with(name: &'static str, lines: &[&str]) -> Result<Handshake, Rejection> {
    check(|parts| {
        parts.headers.remove(name);
        for line in lines {
            let value = HeaderValue::from_str(line).unwrap();
            parts.headers.append(name, value);
        }
    })
}

#[track_caller]
fn assert_rejected(result: Result<Handshake, Rejection>, status: u16) -> HeaderMap {
    let rejection = result.expect_err("the request is broken");
    assert_eq!(rejection.status.as_u16(), status, "{rejection}");
    let connection = rejection.headers["connection"].to_str().unwrap();
    assert!(connection.starts_with("close"), "{connection}");
    rejection.headers
}

#[test]
fn the_example_of_rfc_6455_section_1_3_is_answered_as_it_stands_there() {
    let handshake = check(|_| {}).unwrap();
    assert_eq!(handshake.accept_key(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");

    let headers = handshake.response_headers(None, &HeaderMap::new()).unwrap();
    assert_eq!(headers["upgrade"], "websocket");
    assert_eq!(headers["connection"], "Upgrade");
    assert_eq!(headers["sec-websocket-accept"], handshake.accept_key());
    assert_eq!(headers.len(), 3);
}

#[test]
fn a_key_that_we_make_as_a_client_is_a_key() {
    let key = handshake::client_key().unwrap();
    assert_ne!(key, handshake::client_key().unwrap());
    let handshake = check_with("sec-websocket-key", &[key.to_str().unwrap()]).unwrap();
    assert_eq!(
        *handshake.accept_key(),
        handshake::accept_key(key.as_bytes())
    );
}

#[test]
fn other_methods_get_405() {
    let result = check(|parts| parts.method = http::Method::POST);
    assert_eq!(assert_rejected(result, 405)["allow"], "GET");
}

#[test]
fn other_http_versions_get_505() {
    for version in [Version::HTTP_09, Version::HTTP_10, Version::HTTP_2] {
        assert_rejected(check(|parts| parts.version = version), 505);
    }
}

#[test]
fn one_host_is_needed() {
    for hosts in [
        &[][..],
        &["one.example", "two.example"],
        &["one.example", "one.example"],
        &[""],
        &["a b"],
        &["a/b"],
        &["user@host"],
        &["host:port"],
        &["one.example, two.example"],
    ] {
        assert_rejected(check_with("host", hosts), 400);
    }
    for host in [
        "localhost:8000",
        "[::1]:8000",
        "127.0.0.1",
        "under_score.example",
    ] {
        assert!(check_with("host", &[host]).is_ok(), "{host}");
    }
}

#[test]
fn a_body_is_refused() {
    for length in ["1", "+0", "-1", "00", "x", "0, 1"] {
        assert_rejected(check_with("content-length", &[length]), 400);
    }
    assert_rejected(check_with("transfer-encoding", &["chunked"]), 400);
    assert_rejected(check_with("transfer-encoding", &["identity"]), 400);
    assert!(check_with("content-length", &["0"]).is_ok());
}

#[test]
fn upgrade_and_connection_are_lists_over_several_lines_in_any_case() {
    for (name, lines) in [
        ("upgrade", &["WebSocket"][..]),
        ("upgrade", &["h2c, websocket"]),
        ("upgrade", &["h2c", " WEBSOCKET "]),
        ("connection", &["keep-alive, upgrade"]),
        ("connection", &["keep-alive,UPGRADE"]),
        ("connection", &["keep-alive", ",,upgrade\t,"]),
    ] {
        assert!(check_with(name, lines).is_ok(), "{name}: {lines:?}");
    }
    for (name, lines) in [
        ("upgrade", &[][..]),
        ("upgrade", &[""]),
        ("upgrade", &["websocket/13"]),
        ("upgrade", &["websockets"]),
        ("upgrade", &["web socket"]),
        ("connection", &[]),
        ("connection", &["notupgrade"]),
        ("connection", &["upgrade-not"]),
        ("connection", &["keep-alive"]),
    ] {
        assert_rejected(check_with(name, lines), 400);
    }
}

#[test]
fn a_request_that_asks_for_a_websocket_badly_still_asks_for_one() {
    let mut headers = request().into_parts().0.headers;
    assert!(handshake::is_websocket_upgrade(&headers));
    headers.remove("sec-websocket-key");
    headers.remove("connection");
    assert!(handshake::is_websocket_upgrade(&headers));
    headers.insert("upgrade", HeaderValue::from_static("h2c"));
    assert!(!handshake::is_websocket_upgrade(&headers));
}

#[test]
fn the_key_is_sixteen_bytes_in_base64_once() {
    for keys in [
        &[][..],
        &[""],
        &["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="],
        &["dGhlIHNhbXBsZSBub25jZQ"],
        &["dGhlIHNhbXBsZSBub25jZQ=x"],
        &["dGhlIHNhbXBsZSBub25j!Q=="],
        &["dGhlIHNhbXBsZSBub25jZQ= ="],
        &["dGhlIHNhbXBsZSBub25jZSEh"],
        &["dGhlIHNhbXBsZSBub25jZSE="],
        &["dGhlIHNhbXBsZSBub25jZSBsb25nZXI="],
        &["dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="],
    ] {
        assert_rejected(check_with("sec-websocket-key", keys), 400);
    }
}

#[test]
fn other_versions_are_told_which_would_do() {
    for version in ["8", "0", "014", "013", "13, 8", "x", "255"] {
        let headers = assert_rejected(check_with("sec-websocket-version", &[version]), 426);
        assert_eq!(headers["sec-websocket-version"], "13");
        assert_eq!(headers["upgrade"], "websocket");
    }
    for versions in [&[][..], &["13", "13"], &["13", "8"]] {
        let headers = assert_rejected(check_with("sec-websocket-version", versions), 400);
        assert_eq!(headers["sec-websocket-version"], "13");
    }
}

#[test]
fn a_subprotocol_is_chosen_among_those_offered() {
    let offers = ["chat, roomful.v1", "soap"];
    let handshake = check_with("sec-websocket-protocol", &offers).unwrap();
    assert_eq!(handshake.subprotocols(), ["chat", "roomful.v1", "soap"]);

    let chosen = handshake.response_headers(Some("roomful.v1"), &HeaderMap::new());
    assert_eq!(chosen.unwrap()["sec-websocket-protocol"], "roomful.v1");

    let other = handshake.response_headers(Some("Chat"), &HeaderMap::new());
    assert_eq!(other, Err(SubprotocolNotOffered("Chat".to_owned())));
}

#[test]
fn subprotocols_are_tokens_and_none_is_offered_twice() {
    for lines in [
        &["a b"][..],
        &["a,,b"],
        &[""],
        &["a,"],
        &["a/b"],
        &["\"a\""],
        &["é"],
        &["a, b, a"],
        &["a", "a"],
    ] {
        assert_rejected(check_with("sec-websocket-protocol", lines), 400);
    }
}

#[test]
fn extra_headers_travel_with_the_answer_but_replace_nothing_of_it() {
    let mut extra = HeaderMap::new();
    for (name, value) in [
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("connection", "close"),
        ("upgrade", "h2c"),
        ("sec-websocket-accept", "forged"),
        ("sec-websocket-protocol", "never-offered"),
        ("sec-websocket-extensions", "x-unknown"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
    ] {
        extra.append(name, HeaderValue::from_static(value));
    }
    let handshake = check(|_| {}).unwrap();
    let headers = handshake.response_headers(None, &extra).unwrap();

    let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(headers["sec-websocket-accept"], handshake.accept_key());
    assert_eq!(headers["connection"], "Upgrade");
    assert_eq!(headers["upgrade"], "websocket");
    assert_eq!(headers.len(), 5);
}

#[test]
fn no_choice_of_ours_can_inject_a_header() {
    let handshake = check_with("sec-websocket-protocol", &["chat"]).unwrap();
    for choice in ["chat\r\nx: y", "", "chat, other", "chat "] {
        let answer = handshake.response_headers(Some(choice), &HeaderMap::new());
        assert!(answer.is_err(), "{choice:?}");
    }
}

#[cfg(feature = "deflate")]
#[test]
fn deflate_is_answered_only_where_it_was_accepted() {
    let offer = "permessage-deflate; client_max_window_bits";
    let mut handshake = check_with("sec-websocket-extensions", &[offer]).unwrap();
    let off = handshake.response_headers(None, &HeaderMap::new()).unwrap();
    assert!(!off.contains_key("sec-websocket-extensions"));

    handshake.accept_deflate().expect("it was offered");
    let on = handshake.response_headers(None, &HeaderMap::new()).unwrap();
    assert_eq!(
        on["sec-websocket-extensions"],
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    );

    let mut plain = check(|_| {}).unwrap();
    assert_eq!(plain.accept_deflate(), None);
    let headers = plain.response_headers(None, &HeaderMap::new()).unwrap();
    assert!(!headers.contains_key("sec-websocket-extensions"));
}

#[test]
fn a_rejection_says_what_is_wrong() {
    let rejection = check_with("upgrade", &[]).unwrap_err();
    assert_eq!(rejection.status, StatusCode::BAD_REQUEST);
    assert!(rejection.to_string().contains("`Upgrade: websocket`"));
}
