//! The room over HTTP: saying, reading, polling, long polling and event streams, and answers that say what is wrong.

use std::fs;
use std::io::Read as _;

use futures_util::future::join;
use serde_json::{Value, json};

use crate::support::{Api, Server, Socket, V1, exchange, json_of, soon};

const MESSAGES: &str = "/api/rooms/123/messages";
const EVENTS: &str = "/api/rooms/123/events";

async fn post(api: &Api, kind: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = api
        .request("POST", MESSAGES)
        .header("content-type", kind)
        .body(body);
    let (status, value) = json_of(soon("an answer", request.send()).await.unwrap()).await;
    (status.as_u16(), value)
}

fn seqs(answer: &Value, of: &str) -> Vec<u64> {
    let events = answer[of].as_array().unwrap();
    events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_message_is_posted_as_json_as_a_form_or_as_text() {
    let server = Server::start();
    let api = server.api();
    let mut listener = Socket::plain(&server, "123").await;

    for (kind, body, text) in [
        (
            "application/json",
            r#"{"text":"as json","name":"Ana"}"#,
            "as json",
        ),
        (
            "application/json; charset=utf-8",
            r#"{"text":"你好"}"#,
            "你好",
        ),
        // What `curl -d hi` sends.
        ("application/x-www-form-urlencoded", "hi", "hi"),
        (
            "application/x-www-form-urlencoded",
            "1+1=2 & more",
            "1+1=2 & more",
        ),
        (
            "application/x-www-form-urlencoded",
            "name=Ana&text=a+form%21&id=f-1",
            "a form!",
        ),
        ("text/plain", "as text=text", "as text=text"),
        ("Text/Plain;charset=UTF-8", "😀", "😀"),
    ] {
        let (status, event) = post(&api, kind, body).await;
        assert_eq!(status, 201, "{kind} {body}: {event}");
        assert_eq!(event["type"], "chat.message");
        assert_eq!(event["text"], text);
        assert!(event["you"]["token"].is_string(), "{event}");
        assert_eq!(event["you"]["id"], event["from"]["id"]);
        assert_eq!(listener.hear().await, text);
    }
}

#[tokio::test]
async fn a_repeated_id_is_answered_with_200_and_what_was_stored() {
    let server = Server::start();
    let api = server.api();
    let said = json!({"id": "p-1", "name": "Ana", "text": "once"});
    let (status, first) = api.send_json("POST", MESSAGES, &said).await;
    assert_eq!(status, 201);
    let ana = api.with_token(first["you"]["token"].as_str().unwrap());

    let (status, again) = ana.send_json("POST", MESSAGES, &said).await;

    assert_eq!(status, 200);
    assert_eq!(again["seq"], first["seq"]);
    assert_eq!(again["from"], first["from"]);
    assert!(again.get("you").is_none(), "who has a token keeps it");
    let page = api.get_json(MESSAGES).await;
    assert_eq!(seqs(&page, "messages"), [1]);
}

#[tokio::test]
async fn the_author_edits_deletes_and_reacts_and_nobody_else_edits_or_deletes() {
    let server = Server::start();
    let api = server.api();
    let first = api.say("123", "helo").await;
    let author = api.with_token(first["you"]["token"].as_str().unwrap());
    let other = api.say("123", "two").await;
    let other = api.with_token(other["you"]["token"].as_str().unwrap());
    let message = format!("{MESSAGES}/1");
    let edit = json!({"id": "e-1", "text": "hello"});

    let (status, error) = other.send_json("PATCH", &message, &edit).await;
    assert_eq!(
        (status.as_u16(), &error["error"]["code"]),
        (403, &"forbidden".into())
    );
    let (status, error) = api.send_json("PATCH", &message, &edit).await;
    assert_eq!(
        (status.as_u16(), &error["error"]["code"]),
        (401, &"bad_token".into())
    );
    let stranger = api.with_token("m-x.y").request("PATCH", &message);
    let response = stranger.json(&edit).send().await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let (status, error) = json_of(response).await;
    assert_eq!(
        (status.as_u16(), &error["error"]["code"]),
        (401, &"bad_token".into())
    );
    let (status, edited) = author.send_json("PATCH", &message, &edit).await;
    assert_eq!((status.as_u16(), &edited["seq"]), (201, &3.into()));
    let (status, _) = author.send_json("PATCH", &message, &edit).await;
    assert_eq!(status, 200);
    let reaction = json!({"id": "r-1", "emoji": "🎉", "on": true});
    let (status, reacted) = other
        .send_json("PUT", &format!("{message}/reactions"), &reaction)
        .await;
    assert_eq!((status.as_u16(), &reacted["seq"]), (201, &4.into()));

    let page = api.get_json(MESSAGES).await;
    assert_eq!(page["messages"][0]["text"], "hello");
    assert_eq!(page["messages"][0]["reactions"][0]["emoji"], "🎉");
    assert!(page["messages"][0]["edited_at"].is_string());

    let deleted = json_of(author.request("DELETE", &message).send().await.unwrap()).await;
    assert_eq!((deleted.0.as_u16(), &deleted.1["seq"]), (201, &5.into()));
    let again = json_of(author.request("DELETE", &message).send().await.unwrap()).await;
    assert_eq!(again.0, 404);
    let page = api.get_json(MESSAGES).await;
    assert_eq!(page["messages"][0]["deleted"], true);
    assert_eq!(page["messages"][0]["text"], "");
}

#[tokio::test]
async fn messages_are_read_page_by_page_from_the_newest() {
    let server = Server::with("sqlite:rooms.db", &[("LIMITS__RATE_LIMITS", "false")]);
    let mut ana = V1::join(&server, "123", "Ana").await;
    for number in 1..=7 {
        ana.says(&number.to_string(), "x").await;
    }
    let api = server.api();

    let newest = api.get_json(&format!("{MESSAGES}?limit=3")).await;
    let older = api.get_json(&format!("{MESSAGES}?limit=3&before=5")).await;
    let oldest = api.get_json(&format!("{MESSAGES}?before=2")).await;
    let none = api.get_json(&format!("{MESSAGES}?before=1")).await;

    assert_eq!(seqs(&newest, "messages"), [5, 6, 7]);
    assert_eq!(newest["seq"], 7);
    assert_eq!(newest["epoch"], ana.welcome["epoch"]);
    assert_eq!(seqs(&older, "messages"), [2, 3, 4]);
    assert_eq!(seqs(&oldest, "messages"), [1]);
    assert_eq!(none["messages"], json!([]));
    for bad in [
        "before=-1",
        "before=x",
        "limit=1e3",
        "before=99999999999999999999",
    ] {
        let (status, error) = json_of(api.get(&format!("{MESSAGES}?{bad}")).await).await;
        assert_eq!(
            (status.as_u16(), &error["error"]["code"]),
            (400, &"bad_request".into())
        );
    }
}

#[tokio::test]
async fn polling_gives_the_log_after_a_position_page_by_page() {
    let server = Server::start();
    let api = server.api();
    for number in 1..=5 {
        api.say("123", &number.to_string()).await;
    }

    let page = api.get_json(&format!("{EVENTS}?after=1&limit=2")).await;
    assert_eq!(seqs(&page, "events"), [2, 3]);
    assert_eq!(
        (&page["seq"], &page["head"], &page["recovered"]),
        (&3.into(), &5.into(), &true.into())
    );
    let page = api.get_json(&format!("{EVENTS}?after=3")).await;
    assert_eq!(seqs(&page, "events"), [4, 5]);
    let page = api.get_json(&format!("{EVENTS}?after=5")).await;
    assert_eq!(
        (&page["events"], &page["recovered"]),
        (&json!([]), &true.into())
    );
    for unknown in ["", "?after=6", "?after=1&epoch=0123456789abcdef"] {
        let page = api.get_json(&format!("{EVENTS}{unknown}")).await;
        assert_eq!(page["recovered"], false, "{unknown}");
        assert_eq!(seqs(&page, "events"), [1, 2, 3, 4, 5], "{unknown}");
        assert_eq!(page["seq"], 5);
    }
    for bad in [
        "after=x", "wait=x", "limit=-1", "wait=NaN", "wait=inf", "wait=-1",
    ] {
        let response = api.get(&format!("{EVENTS}?after=5&{bad}")).await;
        assert_eq!(response.status(), 400, "{bad}");
    }
}

#[tokio::test]
async fn a_long_poll_is_held_until_something_is_said() {
    let server = Server::start();
    let api = server.api();
    api.say("123", "one").await;

    let asked = tokio::time::Instant::now();
    let (page, _) = join(
        api.get_json("/api/rooms/123/events?after=1&wait=50"),
        async {
            // A member that polls is here: then the poll is under way.
            api.say("123", "two").await;
        },
    )
    .await;

    assert_eq!(seqs(&page, "events"), [2]);
    assert!(asked.elapsed().as_secs() < 10);
    let page = api
        .get_json("/api/rooms/123/events?after=2&wait=0.05")
        .await;
    assert_eq!(page["events"], json!([]));
}

#[tokio::test]
async fn a_member_that_polls_is_here() {
    let server = Server::start();
    let api = server.api();
    let first = api.say("123", "hi").await;
    let ana = api.with_token(first["you"]["token"].as_str().unwrap());
    let mut ben = V1::join(&server, "123", "Ben").await;

    ana.get_json(&format!("{EVENTS}?after=1")).await;

    let joined = ben.hear("chat.joined").await;
    assert_eq!(joined["member"]["id"], first["you"]["id"]);
    let members = api.get_json("/api/rooms/123/members").await;
    assert_eq!(members["count"], 2);
    let room = api.get_json("/api/rooms/123").await;
    assert_eq!((&room["seq"], &room["members"]), (&1.into(), &2.into()));
    let rooms = api.get_json("/api/rooms").await;
    assert_eq!(rooms["rooms"][0]["room"], "123");
}

#[tokio::test]
async fn an_event_stream_tells_what_was_missed_and_then_what_happens() {
    let server = Server::start();
    let api = server.api();
    api.say("123", "one").await;
    api.say("123", "two").await;

    let mut stream = api.stream(&format!("{EVENTS}?after=1"), None).await;

    let (_, welcome) = stream.next().await.unwrap();
    assert_eq!(welcome["type"], "chat.welcome");
    assert_eq!(
        (&welcome["seq"], &welcome["recovered"]),
        (&2.into(), &true.into())
    );
    let epoch = welcome["epoch"].as_str().unwrap();
    let (id, two) = stream.next().await.unwrap();
    assert_eq!(id.unwrap(), format!("{epoch}:2"));
    assert_eq!(two["text"], "two");
    let mut ana = V1::join(&server, "123", "Ana").await;
    assert_eq!(stream.hear("chat.joined").await.1["member"]["name"], "Ana");
    ana.says("1", "three").await;
    let (id, three) = stream.hear("chat.message").await;
    assert_eq!(
        (id.unwrap(), &three["text"]),
        (format!("{epoch}:3"), &"three".into())
    );
}

#[tokio::test]
async fn an_event_stream_goes_on_after_the_last_event_id() {
    let server = Server::start();
    let api = server.api();
    for text in ["one", "two", "three"] {
        api.say("123", text).await;
    }
    let epoch = api.get_json(MESSAGES).await["epoch"].clone();
    let epoch = epoch.as_str().unwrap();

    for (last, recovered, expected) in [
        (format!("{epoch}:2"), true, &[3][..]),
        // It wins over the query, which is that of the first connection.
        ("1".to_owned(), true, &[2, 3]),
        ("0123456789abcdef:2".to_owned(), false, &[1, 2, 3]),
        (format!("{epoch}:9"), false, &[1, 2, 3]),
    ] {
        let mut stream = api.stream(&format!("{EVENTS}?after=0"), Some(&last)).await;
        let (_, welcome) = stream.next().await.unwrap();
        assert_eq!(welcome["recovered"], recovered, "{last}");
        for seq in expected {
            assert_eq!(&stream.next().await.unwrap().1["seq"], seq, "{last}");
        }
    }
}

#[tokio::test]
async fn pages_are_there_with_a_strict_policy_and_asked_again_they_are_not_sent_again() {
    let server = Server::start();
    let api = server.api();
    for path in [
        "/",
        "/room/123/",
        "/room/%E8%81%8A%E5%A4%A9/",
        "/favicon.ico",
    ] {
        let response = api.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        let headers = response.headers().clone();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");

        let again = api
            .request("GET", path)
            .header("if-none-match", &headers["etag"]);
        let again = again.send().await.unwrap();

        assert_eq!(again.status(), 304, "{path}");
        assert_eq!(again.bytes().await.unwrap().len(), 0);
        for weak in ["W/\"x\", {}", "{} , \"y\"", "W/{}", "*"] {
            let tags = weak.replace("{}", headers["etag"].to_str().unwrap());
            let again = api.request("GET", path).header("if-none-match", &tags);
            assert_eq!(again.send().await.unwrap().status(), 304, "{tags}");
        }
        let other = api
            .request("GET", path)
            .header("if-none-match", "\"other\"");
        assert_eq!(other.send().await.unwrap().status(), 200);
        let head = api.request("HEAD", path).send().await.unwrap();
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers()["content-type"], headers["content-type"]);
        assert_eq!(head.bytes().await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn pages_come_compressed_to_those_who_can_read_that_and_are_the_same_pages() {
    let server = Server::start();
    let api = server.api();
    for path in ["/", "/room/123/", "/assets/room.js", "/assets/room.css"] {
        let plain = api.get(path).await;
        assert!(!plain.headers().contains_key("content-encoding"), "{path}");
        assert_eq!(plain.headers()["vary"], "accept-encoding");
        let tag = plain.headers()["etag"].clone();
        let bytes = plain.bytes().await.unwrap();

        let gzip = |tag: &str| {
            api.request("GET", path)
                .header("accept-encoding", "gzip, deflate")
                .header("if-none-match", tag)
        };
        let packed = gzip(tag.to_str().unwrap()).send().await.unwrap();

        // The tag of one encoding is not that of the other.
        assert_eq!(packed.status(), 200, "{path}");
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        assert_eq!(packed.headers()["vary"], "accept-encoding");
        let packed_tag = packed.headers()["etag"].clone();
        let packed = packed.bytes().await.unwrap();
        assert!(packed.len() < bytes.len() * 6 / 10, "{path}");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*packed)
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, bytes, "{path}");
        let again = gzip(packed_tag.to_str().unwrap()).send().await.unwrap();
        assert_eq!(again.status(), 304, "{path}");
    }
}

#[tokio::test]
async fn a_file_with_its_hash_in_its_name_is_kept_and_one_without_is_asked_for_again() {
    let server = Server::start();
    let api = server.api();
    let script = api.get("/assets/room.js").await;
    assert_eq!(script.headers()["cache-control"], "no-cache");
    let script = script.text().await.unwrap();
    let chunks: Vec<&str> = script
        .split('"')
        .filter_map(|text| text.strip_prefix("./chunks/"))
        .collect();
    assert!(chunks.len() >= 5, "{chunks:?}");

    for chunk in chunks {
        let path = format!("/assets/chunks/{chunk}");
        let response = api.get(&path).await;
        assert_eq!(response.status(), 200, "{path}");
        let headers = response.headers();
        assert_eq!(
            headers["cache-control"],
            "public, max-age=31536000, immutable"
        );
        assert_eq!(headers["content-type"], "text/javascript; charset=utf-8");
    }
    // The browser would keep that, too.
    let gone = api.get("/assets/chunks/gone-01234567.js").await;
    assert_eq!(gone.status(), 404);
    assert!(!gone.headers().contains_key("cache-control"));
}

#[tokio::test]
async fn a_page_in_work_is_sent_as_it_is_now() {
    let web = tempfile::tempdir().unwrap();
    let folder = web.path().to_str().unwrap();
    let settings = [("WEB_DIR", folder)];
    fs::write(web.path().join("room.html"), "<p>one").unwrap();
    let server = Server::with("memory", &settings);
    let api = server.api();
    let one = api.get("/room/123/").await;
    let tag = one.headers()["etag"].to_str().unwrap().to_owned();
    assert!(one.headers().contains_key("content-security-policy"));
    assert_eq!(one.text().await.unwrap(), "<p>one");

    fs::write(web.path().join("room.html"), "<p>two").unwrap();

    let again = api.request("GET", "/room/123/");
    let two = again.header("if-none-match", tag).send().await.unwrap();
    assert_eq!(two.text().await.unwrap(), "<p>two");
    assert_eq!(api.get("/assets/room.js").await.status(), 404);
    web.close().unwrap();
    let (code, said) = server.start_another();
    assert_eq!(code, Some(1));
    assert!(said.contains("failed to start: opening web_dir"), "{said}");
}

#[tokio::test]
async fn a_room_without_its_slash_is_shown_the_way() {
    let server = Server::start();
    let api = server.api();
    for (asked, shown) in [
        ("/room/123", "/room/123/"),
        ("/room/123?transport=poll", "/room/123/?transport=poll"),
        ("/room/%E8%81%8A", "/room/%E8%81%8A/"),
    ] {
        let response = api.get(asked).await;
        assert_eq!(response.status(), 308, "{asked}");
        assert_eq!(response.headers()["location"], shown);
    }
    let outside = exchange(
        &server,
        b"GET //evil.example/room/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(outside.status(), 404, "{}", outside.text);
}

#[tokio::test]
async fn what_is_not_there_or_not_so_is_said_in_json() {
    let server = Server::with("sqlite:rooms.db", &[("LIMITS__MESSAGE_BYTES", "1KiB")]);
    let api = server.api();
    for (method, path, status, code) in [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/room/", 404, "not_found"),
        ("GET", "/api/nothing", 404, "not_found"),
        ("GET", "/api", 404, "not_found"),
        ("GET", "/assets/nothing.js", 404, "not_found"),
        ("GET", "/assets/chunks/", 404, "not_found"),
        ("GET", "/assets/types.js", 404, "not_found"),
        ("GET", "/assets/../../Cargo.toml", 404, "not_found"),
        ("GET", "/assets/%2e%2e/%2e%2e/Cargo.toml", 404, "not_found"),
        ("GET", "/api/rooms/a%20b", 404, "room_not_found"),
        ("GET", "/room/a%20b/", 404, "room_not_found"),
        ("POST", "/room/123/", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
        ("PUT", MESSAGES, 405, "method_not_allowed"),
        (
            "GET",
            "/api/rooms/123/messages/1",
            405,
            "method_not_allowed",
        ),
        (
            "DELETE",
            "/api/rooms/123/messages/x",
            404,
            "message_not_found",
        ),
        (
            "DELETE",
            "/api/rooms/123/messages/+1",
            404,
            "message_not_found",
        ),
        (
            "DELETE",
            "/api/rooms/a%20b/messages/1",
            404,
            "room_not_found",
        ),
    ] {
        let response = api.request(method, path).send().await.unwrap();
        let allow = response.headers().contains_key("allow");
        let (found, error) = json_of(response).await;
        assert_eq!(found.as_u16(), status, "{method} {path}");
        assert_eq!(error["error"]["code"], code, "{method} {path}");
        assert!(error["error"]["message"].is_string());
        // RFC 9110, section 15.5.6.
        assert_eq!(allow, status == 405, "{method} {path}");
    }
    let long = "x".repeat(1025);
    let huge = "x".repeat(20_000);
    for (kind, body, status, code) in [
        ("application/xml", "<x/>", 415, "unsupported_media_type"),
        ("application/jsonx", "{}", 415, "unsupported_media_type"),
        ("", "x", 415, "unsupported_media_type"),
        ("text/plain", &long, 413, "message_too_large"),
        ("text/plain", &huge, 413, "message_too_large"),
        ("text/plain", " \n", 400, "empty_message"),
        ("application/json", "{}", 400, "empty_message"),
        ("application/json", "{", 400, "bad_request"),
        ("application/json", "[]", 400, "bad_request"),
        (
            "application/json",
            r#"["id","name","text",1]"#,
            400,
            "bad_request",
        ),
        ("application/json", r#"{"text":1}"#, 400, "bad_request"),
        (
            "application/json",
            r#"{"text":"x","id":"a b"}"#,
            400,
            "bad_id",
        ),
        (
            "application/json",
            r#"{"text":"x","name":"admin"}"#,
            400,
            "bad_name",
        ),
        (
            "application/json",
            r#"{"text":"x","reply_to":9}"#,
            404,
            "message_not_found",
        ),
        (
            "application/x-www-form-urlencoded",
            "text=x&reply_to=y",
            400,
            "bad_request",
        ),
        (
            "application/x-www-form-urlencoded",
            "text=",
            400,
            "empty_message",
        ),
    ] {
        let (found, error) = post(&api, kind, body.to_owned()).await;
        assert_eq!(
            found,
            status,
            "{kind} {}: {error}",
            &body[..body.len().min(50)]
        );
        assert_eq!(error["error"]["code"], code, "{kind}: {error}");
    }
    let (found, error) = post(&api, "text/plain", vec![0xff, 0xfe]).await;
    assert_eq!(
        (found, &error["error"]["code"]),
        (400, &"bad_request".into())
    );
    assert_eq!(api.get_json(MESSAGES).await["messages"], json!([]));
}

#[tokio::test]
async fn too_many_posts_are_answered_with_429_and_when_to_come_again() {
    let server = Server::with(
        "memory",
        &[("LIMITS__BURST", "2"), ("LIMITS__MESSAGES_PER_SECOND", "1")],
    );
    let api = server.api();
    api.say("123", "1").await;
    api.say("123", "2").await;

    let response = api
        .request("POST", MESSAGES)
        .body("3")
        .send()
        .await
        .unwrap();

    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(json_of(response).await.1["error"]["code"], "rate_limited");
}

#[tokio::test]
async fn a_socket_path_without_an_upgrade_says_that_it_needs_one() {
    let server = Server::start();

    let response = server.api().get("/ws/123/").await;

    assert_eq!(response.status(), 426);
    assert_eq!(response.headers()["upgrade"], "websocket");
    assert_eq!(response.headers()["connection"], "upgrade");
    assert_eq!(
        server.api().get("/healthz").await.text().await.unwrap(),
        "ok\n"
    );
    assert_eq!(
        server.api().get("/readyz").await.text().await.unwrap(),
        "ready\n"
    );
}
