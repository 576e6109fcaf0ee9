//! `roomful.v1`: hello and welcome, catching up, saying, and every way to be refused.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Server, Socket, V1};

fn seqs(events: &[Value]) -> Vec<u64> {
    events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn the_welcome_says_where_one_is_and_who_is_here() {
    let server = Server::start();
    let ana = V1::join(&server, "123", " Ana  Lima ").await;

    let welcome = &ana.welcome;

    assert_eq!(welcome["room"], "123");
    assert_eq!(welcome["seq"], 0);
    assert_eq!(welcome["epoch"].as_str().unwrap().len(), 16);
    assert_eq!(welcome["recovered"], false);
    assert_eq!(welcome["you"]["name"], "Ana Lima");
    assert!(
        ana.id().starts_with("m-") && ana.id().len() == 24,
        "{}",
        ana.id()
    );
    assert!(ana.token().starts_with(ana.id()));
    assert_eq!(
        welcome["members"],
        json!([{"id": ana.id(), "name": "Ana Lima"}])
    );
    assert_eq!(welcome["member_count"], 1);
    assert_eq!(
        welcome["limits"],
        json!({"message_bytes": 16384, "messages_per_second": 20, "burst": 50})
    );
}

#[tokio::test]
async fn what_is_said_comes_to_all_with_its_number_and_to_the_speaker_as_said() {
    let server = Server::start();
    let mut ana = V1::join(&server, "123", "Ana").await;
    let mut ben = V1::join(&server, "123", "Ben").await;

    let seq = ana.says("c-1", "hi <b>&</b> 你好").await;

    assert_eq!(seq, 1);
    let own = ana.hear("chat.message").await;
    let heard = ben.hear("chat.message").await;
    assert_eq!(own, heard);
    assert!(heard["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        heard,
        json!({"type": "chat.message", "room": "123", "seq": 1, "id": "c-1", "at": heard["at"],
               "from": {"id": ana.id(), "name": "Ana"}, "text": "hi <b>&</b> 你好"})
    );
}

#[tokio::test]
async fn edits_deletions_reactions_and_answers_are_numbered_events_of_the_room() {
    let server = Server::start();
    let mut ana = V1::join(&server, "123", "Ana").await;
    let mut ben = V1::join(&server, "123", "Ben").await;
    ana.says("1", "helo").await;

    let seq = ana
        .does(json!({"type": "chat.edit", "id": "2", "seq": 1, "text": "hello"}))
        .await;
    assert_eq!(seq, 2);
    let seq = ben
        .does(json!({"type": "chat.react", "id": "1", "seq": 1, "emoji": "👍", "on": true}))
        .await;
    assert_eq!(seq, 3);
    let seq = ben
        .does(json!({"type": "chat.say", "id": "2", "text": "yes", "reply_to": 1}))
        .await;
    assert_eq!(seq, 4);
    let seq = ana
        .does(json!({"type": "chat.delete", "id": "3", "seq": 1}))
        .await;
    assert_eq!(seq, 5);

    let events = ben.events(5).await;
    assert_eq!(seqs(&events), [1, 2, 3, 4, 5]);
    assert_eq!(ana.events(5).await, events);
    assert_eq!(events[1]["type"], "chat.edited");
    assert_eq!(
        (&events[1]["target"], &events[1]["text"]),
        (&json!(1), &json!("hello"))
    );
    assert_eq!(events[2]["type"], "chat.reacted");
    assert_eq!(
        (&events[2]["target"], &events[2]["emoji"], &events[2]["on"]),
        (&json!(1), &json!("👍"), &json!(true))
    );
    assert_eq!(events[3]["reply_to"], 1);
    assert_eq!(events[4]["type"], "chat.deleted");
    assert_eq!(events[4]["target"], 1);
}

#[tokio::test]
async fn a_deleted_text_is_told_to_nobody_who_comes_later() {
    let server = Server::start();
    let mut ana = V1::join(&server, "123", "Ana").await;
    ana.says("1", "a secret").await;
    ana.does(json!({"type": "chat.edit", "id": "2", "seq": 1, "text": "the secret"}))
        .await;
    ana.does(json!({"type": "chat.delete", "id": "3", "seq": 1}))
        .await;

    let mut ben = V1::join_with(&server, "123", json!({"after": 0})).await;
    let events = ben.events(3).await;
    let polled = server.api().get_json("/api/rooms/123/events?after=0").await;

    assert_eq!(ben.welcome["recovered"], true);
    assert_eq!(events[2]["type"], "chat.deleted");
    assert_eq!(polled["events"], json!(events));
    assert!(!json!(events).to_string().contains("secret"), "{events:?}");
}

#[tokio::test]
async fn who_comes_back_gets_the_missed_messages_once_and_in_order() {
    let server = Server::start();
    let mut ana = V1::join(&server, "123", "Ana").await;
    for number in 1..=10 {
        ana.says(&format!("c-{number}"), &format!("message {number}"))
            .await;
    }
    let epoch = ana.welcome["epoch"].clone();

    let mut ben = V1::join_with(&server, "123", json!({"after": 4, "epoch": epoch})).await;

    assert_eq!(ben.welcome["recovered"], true);
    assert_eq!(ben.welcome["seq"], 10);
    assert_eq!(seqs(&ben.events(6).await), [5, 6, 7, 8, 9, 10]);
    ana.says("c-11", "and live").await;
    assert_eq!(seqs(&ben.events(1).await), [11]);
    assert_eq!(ben.all_that_came().await, Vec::<Value>::new());
}

#[tokio::test]
async fn who_has_everything_gets_nothing_and_is_recovered() {
    let server = Server::start();
    server.api().say("123", "one").await;

    let mut ben = V1::join_with(&server, "123", json!({"name": "Ben", "after": 1})).await;

    assert_eq!(ben.welcome["recovered"], true);
    let came = ben.all_that_came().await;
    assert!(
        came.iter().all(|message| message["type"] == "chat.joined"),
        "{came:?}"
    );
}

#[tokio::test]
async fn a_position_that_is_not_known_here_gets_the_newest_page() {
    let server = Server::with(
        "sqlite:rooms.db",
        &[
            ("LIMITS__RATE_LIMITS", "false"),
            ("LIMITS__HISTORY_PAGE_MAX", "100"),
        ],
    );
    let mut ana = V1::join(&server, "123", "Ana").await;
    for number in 1..=101 {
        ana.send(&json!({"type": "chat.say", "id": format!("c-{number}"), "text": "x"}))
            .await;
    }
    ana.events(101).await;

    for (position, why) in [
        (json!({}), "none"),
        (
            json!({"after": 100, "epoch": "0123456789abcdef"}),
            "of another epoch",
        ),
        (json!({"after": 102}), "in the future"),
        (json!({"after": u64::MAX}), "far in the future"),
        (json!({"after": 0}), "too long ago"),
    ] {
        let mut ben = V1::join_with(&server, "123", position).await;
        assert_eq!(ben.welcome["recovered"], false, "{why}");
        let expected: Vec<u64> = (52..=101).collect();
        assert_eq!(seqs(&ben.events(50).await), expected, "{why}");
    }
    let ben = V1::join_with(&server, "123", json!({"after": 1})).await;
    assert_eq!(
        ben.welcome["recovered"], true,
        "a hundred missed are a page"
    );
}

#[tokio::test]
async fn readers_that_come_while_others_talk_have_no_hole_and_no_repeat() {
    const EACH: u64 = 150;
    let server = Server::with("sqlite:rooms.db", &[("LIMITS__RATE_LIMITS", "false")]);
    let speakers = (0..4).map(|speaker| {
        let server = &server;
        async move {
            let mut member = V1::join(server, "123", &format!("speaker {speaker}")).await;
            for number in 0..EACH {
                member.says(&format!("c-{number}"), "blah").await;
            }
        }
    });
    let readers = (0..8).map(|reader| {
        let server = &server;
        async move {
            let mut after = 0;
            // Each comes and goes several times, and then stays to the end.
            for visit in 1..=6 {
                let mut member = V1::join_with(server, "123", json!({ "after": after })).await;
                assert_eq!(member.welcome["recovered"], true);
                let until = if visit == 6 {
                    4 * EACH
                } else {
                    after + 20 + reader
                };
                while after < until {
                    let event = member.events(1).await.remove(0);
                    assert_eq!(event["seq"], after + 1);
                    after += 1;
                }
                member.leave().await;
            }
        }
    });

    futures_util::future::join(join_all(speakers), join_all(readers)).await;
}

#[tokio::test]
async fn saying_something_twice_says_it_once_also_after_a_kill() {
    let server = Server::start();
    let mut ana = V1::join(&server, "123", "Ana").await;
    assert_eq!(ana.says("c-1", "hi").await, 1);
    assert_eq!(ana.says("c-1", "hi").await, 1);
    assert_eq!(ana.says("c-1", "something else").await, 1);
    let token = ana.token();
    ana.leave().await;

    let mut again = V1::join_with(&server, "123", json!({"name": "Ana", "token": token})).await;
    assert_eq!(again.says("c-1", "hi").await, 1);
    let server = server.killed_and_restarted();
    let mut again = V1::join_with(&server, "123", json!({"name": "Ana", "token": token})).await;
    assert_eq!(again.welcome["seq"], 1);
    assert_eq!(again.says("c-1", "hi").await, 1);
    let mut ben = V1::join(&server, "123", "Ben").await;
    assert_eq!(ben.says("c-1", "another author's").await, 2);

    let page = server.api().get_json("/api/rooms/123/messages").await;
    let texts: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["text"])
        .collect();
    assert_eq!(texts, ["hi", "another author's"]);
}

#[tokio::test]
async fn before_the_hello_only_a_ping_is_answered() {
    let server = Server::start();
    let mut client = V1::open(&server, "123").await;

    client.send(&json!({"type": "chat.ping"})).await;
    assert_eq!(client.next().await, json!({"type": "chat.pong"}));
    for early in [
        json!({"type": "chat.say", "id": "1", "text": "hi"}),
        json!({"type": "chat.typing"}),
        json!({"type": "chat.rename", "name": "Ana"}),
    ] {
        client.send(&early).await;
        assert_eq!(client.next().await["code"], "hello_first", "{early}");
    }
    client
        .send(&json!({"type": "chat.hello", "name": "Ana"}))
        .await;
    assert_eq!(client.next().await["type"], "chat.welcome");
    assert_eq!(
        server.api().get_json("/api/rooms/123").await["seq"],
        0,
        "nothing was said"
    );
}

#[tokio::test]
async fn a_name_nobody_can_have_is_refused_and_another_may_be_tried() {
    let server = Server::start();
    let mut client = V1::open(&server, "123").await;
    for name in [
        "",
        " \t",
        "admin",
        "SYSTEM",
        "a\u{200b}b",
        "\u{202e}nimda",
        "a\u{0}b",
        "\u{1b}[31m",
        "ad\u{ad}min",
        &"x".repeat(33),
        &"x".repeat(100_000),
    ] {
        client
            .send(&json!({"type": "chat.hello", "name": name}))
            .await;
        let error = client.next().await;
        assert_eq!(error["type"], "chat.error", "{name:?}");
        assert_eq!(error["code"], "bad_name", "{name:?}");
    }
    client
        .send(&json!({"type": "chat.hello", "name": "林小明"}))
        .await;
    assert_eq!(client.next().await["you"]["name"], "林小明");
    client
        .send(&json!({"type": "chat.rename", "name": "\u{202e}x"}))
        .await;
    assert_eq!(client.hear("chat.error").await["code"], "bad_name");
}

#[tokio::test]
async fn a_token_that_is_not_ours_ends_with_4501() {
    let server = Server::start();
    let mut client = V1::open(&server, "123").await;

    client
        .send(&json!({"type": "chat.hello", "token": "m-aaaaaaaaaaaaaaaaaaaaaa.bm90IG91cnMgYXQgYWxsIQ"}))
        .await;

    assert_eq!(client.next().await["code"], "bad_token");
    assert_eq!(client.closed().await.0, 4501);
}

#[tokio::test]
async fn who_says_no_hello_is_sent_away_with_4501() {
    let server = Server::start();
    let mut client = V1::open(&server, "123").await;

    let (code, reason) = client.closed().await;

    assert_eq!(code, 4501);
    assert!(reason.contains("chat.hello"), "{reason}");
}

#[tokio::test]
async fn what_cannot_be_done_is_answered_with_its_code_and_id_and_the_connection_lives() {
    let server = Server::with("sqlite:rooms.db", &[("LIMITS__MESSAGE_BYTES", "1KiB")]);
    let mut ben = V1::join(&server, "123", "Ben").await;
    ben.says("1", "Ben's").await;
    let mut ana = V1::join(&server, "123", "Ana").await;
    let long = "x".repeat(1025);

    for (message, code) in [
        (json!({"type": "chat.shout", "id": "a"}), "unknown_type"),
        (json!({"type": "", "id": "a"}), "unknown_type"),
        (json!({"type": "chat.say", "id": "a"}), "bad_request"),
        (
            json!({"type": "chat.say", "id": "a", "text": 1}),
            "bad_request",
        ),
        (
            json!({"type": "chat.edit", "id": "a", "seq": -1, "text": "x"}),
            "bad_request",
        ),
        (
            json!({"type": "chat.react", "id": "a", "seq": 1, "emoji": "x", "on": "yes"}),
            "bad_request",
        ),
        (json!({"type": "chat.say", "id": "", "text": "x"}), "bad_id"),
        (
            json!({"type": "chat.say", "id": "a b", "text": "x"}),
            "bad_id",
        ),
        (
            json!({"type": "chat.say", "id": "ä", "text": "x"}),
            "bad_id",
        ),
        (
            json!({"type": "chat.say", "id": "a".repeat(65), "text": "x"}),
            "bad_id",
        ),
        (
            json!({"type": "chat.say", "id": "a", "text": " \n"}),
            "empty_message",
        ),
        (
            json!({"type": "chat.edit", "id": "a", "seq": 1, "text": ""}),
            "empty_message",
        ),
        (
            json!({"type": "chat.say", "id": "a", "text": long}),
            "message_too_large",
        ),
        (
            json!({"type": "chat.edit", "id": "a", "seq": 1, "text": long}),
            "message_too_large",
        ),
        (
            json!({"type": "chat.react", "id": "a", "seq": 1, "emoji": "", "on": true}),
            "bad_emoji",
        ),
        (
            json!({"type": "chat.react", "id": "a", "seq": 1, "emoji": "x".repeat(17), "on": true}),
            "bad_emoji",
        ),
        (
            json!({"type": "chat.edit", "id": "a", "seq": 1, "text": "mine"}),
            "forbidden",
        ),
        (
            json!({"type": "chat.delete", "id": "a", "seq": 1}),
            "forbidden",
        ),
        (
            json!({"type": "chat.delete", "id": "a", "seq": 99}),
            "message_not_found",
        ),
        (
            json!({"type": "chat.delete", "id": "a", "seq": u64::MAX}),
            "message_not_found",
        ),
        (
            json!({"type": "chat.say", "id": "a", "text": "x", "reply_to": 99}),
            "message_not_found",
        ),
        (
            json!({"type": "chat.react", "id": "a", "seq": 0, "emoji": "x", "on": true}),
            "message_not_found",
        ),
    ] {
        ana.send(&message).await;
        let error = ana.hear("chat.error").await;
        assert_eq!(error["code"], code, "{message}: {error}");
        assert_eq!(error["id"], message["id"], "{message}: {error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    for (message, code) in [
        (json!({}), "bad_request"),
        (json!([]), "bad_request"),
        (json!("chat.say"), "bad_request"),
        (json!({"type": 1}), "bad_request"),
        (json!({"type": "chat.hello"}), "bad_request"),
    ] {
        ana.send(&message).await;
        let error = ana.hear("chat.error").await;
        assert_eq!(error["code"], code, "{message}: {error}");
    }
    assert_eq!(ana.says("b", "still here").await, 2);
}

#[tokio::test]
async fn too_much_in_too_short_a_time_is_refused_until_it_may_be_said() {
    let server = Server::with(
        "memory",
        &[
            ("LIMITS__BURST", "3"),
            ("LIMITS__MESSAGES_PER_SECOND", "10"),
        ],
    );
    let mut ana = V1::join(&server, "123", "Ana").await;
    for id in ["1", "2", "3", "4"] {
        ana.send(&json!({"type": "chat.say", "id": id, "text": "x"}))
            .await;
    }

    let error = ana.hear("chat.error").await;

    assert_eq!(error["code"], "rate_limited");
    assert_eq!(error["id"], "4");
    let wait = error["retry_after_ms"].as_u64().unwrap();
    assert!((1..=100).contains(&wait), "{wait}");
    // What the server says is true: after that time it is taken.
    tokio::time::sleep(std::time::Duration::from_millis(wait + 1)).await;
    ana.hear("chat.said").await;
    ana.hear("chat.said").await;
    ana.hear("chat.said").await;
    assert_eq!(ana.says("4", "x").await, 4);
}

#[tokio::test]
async fn what_is_no_json_ends_with_1007_and_binary_with_1003() {
    let server = Server::start();
    for text in [
        "",
        "hello",
        "{",
        "{\"type\":\"chat.ping\"}}",
        "[1,",
        "\u{feff}{}",
    ] {
        let mut ana = V1::join(&server, "123", "Ana").await;
        ana.send_raw(Message::text(text)).await;
        ana.hear_close(1007).await;
    }
    let mut ana = V1::join(&server, "123", "Ana").await;
    ana.send_raw(Message::binary(b"{\"type\":\"chat.ping\"}".to_vec()))
        .await;
    ana.hear_close(1003).await;
}

#[tokio::test]
async fn typing_is_told_at_once_and_leaves_no_trace() {
    let server = Server::start();
    let mut ana = V1::join(&server, "123", "Ana").await;
    let mut ben = V1::join(&server, "123", "Ben").await;

    ana.send(&json!({"type": "chat.typing"})).await;

    let typing = ben.hear("chat.typing").await;
    assert_eq!(
        typing,
        json!({"type": "chat.typing", "member": {"id": ana.id(), "name": "Ana"}})
    );
    assert_eq!(server.api().get_json("/api/rooms/123").await["seq"], 0);
}

#[tokio::test]
async fn a_new_name_is_told_to_all_and_stands_in_what_follows() {
    let server = Server::start();
    let mut ana = V1::join(&server, "123", "Ana").await;
    let mut ben = V1::join(&server, "123", "Ben").await;

    ana.send(&json!({"type": "chat.rename", "name": "Anna"}))
        .await;

    let renamed = ben.hear("chat.renamed").await;
    assert_eq!(
        renamed,
        json!({"type": "chat.renamed", "member": {"id": ana.id(), "name": "Anna"}, "was": "Ana"})
    );
    ana.says("1", "hi").await;
    assert_eq!(ben.hear("chat.message").await["from"]["name"], "Anna");
    let members = server.api().get_json("/api/rooms/123/members").await;
    assert_eq!(members["members"][0]["name"], "Anna");
}

#[tokio::test]
async fn two_connections_of_one_person_are_one_member_and_a_reload_is_no_departure() {
    let server = Server::with("memory", &[("PRESENCE_GRACE", "300ms")]);
    let mut ben = V1::join(&server, "123", "Ben").await;
    let ana = V1::join(&server, "123", "Ana").await;
    let joined = ben.hear("chat.joined").await;
    assert_eq!(joined["member"]["id"], ana.id());
    let hello = json!({"name": "Ana", "token": ana.token()});
    let second = V1::join_with(&server, "123", hello.clone()).await;
    assert_eq!(second.id(), ana.id());
    assert_eq!(second.welcome["member_count"], 2);
    ana.leave().await;
    second.leave().await;
    let reloaded = V1::join_with(&server, "123", hello).await;
    let id = reloaded.id().to_owned();
    assert_eq!(
        ben.all_that_came().await,
        Vec::<Value>::new(),
        "one person came, once"
    );
    reloaded.leave().await;

    let left = ben.hear("chat.left").await;
    assert_eq!(left["member"], json!({"id": id, "name": "Ana"}));
    let members = server.api().get_json("/api/rooms/123/members").await;
    assert_eq!(members["count"], 1);
}

#[tokio::test]
async fn a_room_that_is_full_takes_back_its_own_members_only() {
    let server = Server::with("memory", &[("LIMITS__MEMBERS_PER_ROOM", "1")]);
    let ana = V1::join(&server, "123", "Ana").await;

    let plain = Socket::try_open(&server, "/room/123/", &[]).await;
    let mut ben = V1::open(&server, "123").await;
    ben.send(&json!({"type": "chat.hello", "name": "Ben"}))
        .await;

    assert_eq!(plain.err(), Some(503));
    assert_eq!(ben.next().await["code"], "room_full");
    assert_eq!(ben.closed().await.0, 1013);
    V1::join_with(&server, "123", json!({"token": ana.token()})).await;
    V1::join(&server, "456", "Ben").await;
}
