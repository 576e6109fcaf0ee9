//! What a consumer's methods see and decide, from the handshake to the disconnect.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderName, HeaderValue, StatusCode, header};
use roomful::testing::Client;
use roomful::{
    Accept, ChannelLayer, Close, CloseCode, Consumer, ConsumerService, Deny, Error, Event, Message,
    Moment, Result, Socket, json,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::support::soon;

/// Does in each of its moments what the client asks for, and tells the test what happened.
#[derive(Clone)]
struct Told {
    happened: mpsc::UnboundedSender<String>,
    heard: usize,
}

type Happened = mpsc::UnboundedReceiver<String>;

fn told(layer: &ChannelLayer) -> (ConsumerService<Told>, Happened) {
    let (happened, log) = mpsc::unbounded_channel();
    let consumer = Told { happened, heard: 0 };
    (consumer.into_service(layer), log)
}

impl Told {
    fn note(&self, what: impl Into<String>) {
        // The test may be over.
        let _ = self.happened.send(what.into());
    }
}

impl Consumer for Told {
    type Event = Event;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        match socket.query("connect").as_deref() {
            Some("deny") => {
                let mut deny = Deny::new(StatusCode::PAYMENT_REQUIRED, r#"{"coins":5}"#);
                let json = HeaderValue::from_static("application/json");
                deny.headers.insert(header::CONTENT_TYPE, json);
                deny.headers
                    .insert("x-price", HeaderValue::from_static("5"));
                Err(deny.into())
            }
            Some("nothing") => Ok(()),
            Some("close") => {
                socket.close(CloseCode::POLICY);
                Ok(())
            }
            Some("fail") => Err(Error::msg("the database is away")),
            Some("close by ?") => Err(Close::code(CloseCode::POLICY).into()),
            Some("panic") => panic!("on purpose"),
            Some("subprotocol") => {
                let name = socket.query("name").unwrap();
                socket.accept_with(Accept::new().subprotocol(&name)).await
            }
            Some("headers") => {
                let accept = Accept::new()
                    .header(header::SET_COOKIE, HeaderValue::from_static("a=1"))
                    .header(header::SET_COOKIE, HeaderValue::from_static("b=2"))
                    .header(
                        HeaderName::from_static("sec-websocket-accept"),
                        HeaderValue::from_static("forged"),
                    );
                socket.accept_with(accept).await
            }
            Some("accept and fail") => {
                socket.accept().await?;
                Err(Error::msg("no group"))
            }
            _ => socket.accept().await,
        }
    }

    async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
        self.heard += 1;
        let Message::Text(text) = message else {
            return socket.send(message).await;
        };
        match text.split_once(' ').unwrap_or((&text, "")) {
            ("heard", _) => socket.send(self.heard.to_string()).await,
            ("join", group) => {
                socket.group_add(group).await?;
                socket.send("joined").await
            }
            ("leave", group) => {
                socket.group_discard(group).await?;
                socket.send("left").await
            }
            ("json", text) => socket.send_json(&json!({"text": text})).await,
            ("close", reason) => {
                socket.close(Close::new(CloseCode::new(4001).unwrap(), reason));
                Ok(())
            }
            ("error", reason) => Err(Close::new(CloseCode::new(4002).unwrap(), reason).into()),
            ("fail", _) => {
                "no number".parse::<u8>()?;
                Ok(())
            }
            ("panic", _) => panic!("on purpose"),
            _ => socket.send(text).await,
        }
    }

    async fn event(&mut self, socket: &mut Socket, event: Event) -> Result {
        match event.kind() {
            "test.say" => socket.send(event.get::<String>("text")?).await,
            "test.broken" => socket.send(event.get::<String>("not there")?).await,
            _ => Ok(()),
        }
    }

    async fn disconnect(&mut self, _socket: &mut Socket, close: &Close) -> Result {
        self.note(format!("disconnect {} {}", close.code, close.reason));
        Ok(())
    }
}

async fn next(log: &mut Happened) -> String {
    soon(log.recv()).await.expect("the consumer is alive")
}

/// Sends a text and gives the answer.
async fn ask(client: &mut Client, text: &str) -> String {
    client.send(text).await;
    client.receive_text().await.unwrap().to_string()
}

#[tokio::test]
async fn connect_accepts_unless_it_is_told_otherwise() {
    #[derive(Clone)]
    struct Silent;
    impl Consumer for Silent {
        type Event = Event;
    }
    let service = Silent.into_service(&ChannelLayer::memory());
    let client = Client::connect(service, "/").await.unwrap();
    assert_eq!(client.subprotocol(), None);
    let close = client.close(CloseCode::GOING_AWAY, "").await;
    assert_eq!(close.code, CloseCode::GOING_AWAY);
}

#[tokio::test]
async fn a_refusal_has_the_status_headers_and_body_it_was_given() {
    let (service, mut log) = told(&ChannelLayer::memory());
    let refused = Client::connect(service, "/?connect=deny")
        .await
        .unwrap_err();
    assert_eq!(refused.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(refused.headers["content-type"], "application/json");
    assert_eq!(refused.headers["x-price"], "5");
    assert_eq!(refused.body, r#"{"coins":5}"#);
    assert_eq!(
        soon(log.recv()).await,
        None,
        "what was not accepted has no disconnect"
    );
}

#[tokio::test]
async fn a_consumer_that_does_not_accept_refuses_with_403_and_one_that_fails_with_500() {
    for (connect, status) in [
        ("nothing", StatusCode::FORBIDDEN),
        ("close", StatusCode::FORBIDDEN),
        ("close%20by%20%3f", StatusCode::FORBIDDEN),
        ("fail", StatusCode::INTERNAL_SERVER_ERROR),
        ("panic", StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let (service, mut log) = told(&ChannelLayer::memory());
        let path = format!("/?connect={connect}");
        let refused = Client::connect(service, &path).await.unwrap_err();
        assert_eq!(refused.status, status, "{connect}");
        assert!(!refused.body.windows(8).any(|it| it == b"database"));
        assert_eq!(soon(log.recv()).await, None, "{connect}");
    }
}

#[tokio::test]
async fn a_subprotocol_is_chosen_among_those_offered() {
    let (service, _log) = told(&ChannelLayer::memory());
    let client = Client::request("/?connect=subprotocol&name=two")
        .subprotocol("one")
        .subprotocol("two")
        .connect(service.clone())
        .await
        .unwrap();
    assert_eq!(client.subprotocol(), Some("two"));

    let client = Client::request("/").subprotocol("one");
    let client = client.connect(service.clone()).await.unwrap();
    assert_eq!(client.subprotocol(), None);

    let client = Client::request("/?connect=subprotocol&name=two").subprotocol("one");
    let refused = client.connect(service).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn accepting_adds_headers_but_cannot_forge_the_handshake() {
    let (service, _log) = told(&ChannelLayer::memory());
    let client = Client::connect(service, "/?connect=headers").await.unwrap();
    let cookies = client.headers().get_all("set-cookie").iter();
    assert_eq!(cookies.collect::<Vec<_>>(), ["a=1", "b=2"]);
    let accepts = client.headers().get_all("sec-websocket-accept").iter();
    assert_eq!(accepts.count(), 1);
}

#[tokio::test]
async fn text_binary_and_json_travel_whole() {
    let (service, _log) = told(&ChannelLayer::memory());
    let mut client = Client::connect(service, "/").await.unwrap();
    for message in [
        Message::text("你好 🦀"),
        Message::text(""),
        Message::binary(vec![0, 255, 1]),
        Message::binary(Vec::new()),
        Message::text("x".repeat(300_000)),
    ] {
        client.send(message.clone()).await;
        assert_eq!(client.receive().await.unwrap(), message);
    }
    client.send("json ok").await;
    let answer: serde_json::Value = client.receive_json().await.unwrap();
    assert_eq!(answer, json!({"text": "ok"}));
}

#[tokio::test]
async fn every_connection_has_its_own_copy_of_the_consumer() {
    let (service, _log) = told(&ChannelLayer::memory());
    let mut first = Client::connect(service.clone(), "/").await.unwrap();
    let mut second = Client::connect(service, "/").await.unwrap();
    ask(&mut first, "one").await;
    ask(&mut first, "two").await;
    assert_eq!(ask(&mut first, "heard").await, "3");
    assert_eq!(ask(&mut second, "heard").await, "1");
}

#[tokio::test]
async fn a_member_hears_its_groups_until_it_leaves_them() {
    let layer = ChannelLayer::memory();
    let (service, _log) = told(&layer);
    let mut client = Client::connect(service, "/").await.unwrap();
    let say = |text: &str| json!({"type": "test.say", "text": text});

    assert_eq!(ask(&mut client, "join one").await, "joined");
    assert_eq!(ask(&mut client, "join two").await, "joined");
    assert_eq!(ask(&mut client, "join two").await, "joined");
    layer.group_send("one", &say("to one")).await.unwrap();
    assert_eq!(client.receive_text().await.unwrap(), "to one");
    layer.group_send("two", &say("to two")).await.unwrap();
    assert_eq!(client.receive_text().await.unwrap(), "to two");

    assert_eq!(ask(&mut client, "leave one").await, "left");
    layer.group_send("one", &say("lost")).await.unwrap();
    layer.group_send("two", &say("heard once")).await.unwrap();
    assert_eq!(client.receive_text().await.unwrap(), "heard once");
    assert_eq!(ask(&mut client, "end").await, "end");
}

#[tokio::test]
async fn an_event_nobody_knows_is_passed_over_and_the_connection_lives() {
    let layer = ChannelLayer::memory();
    let (service, _log) = told(&layer);
    let mut client = Client::connect(service, "/").await.unwrap();
    assert_eq!(ask(&mut client, "join room").await, "joined");
    for event in [
        json!({"type": "from.the.future", "n": 1}),
        json!({"type": "_private"}),
        json!({"type": "websocket.receive", "text": "close"}),
    ] {
        layer.group_send("room", &event).await.unwrap();
    }
    assert_eq!(ask(&mut client, "still here").await, "still here");
}

#[tokio::test]
async fn an_error_in_an_event_ends_with_1011() {
    let layer = ChannelLayer::memory();
    let (service, mut log) = told(&layer);
    let mut client = Client::connect(service, "/").await.unwrap();
    assert_eq!(ask(&mut client, "join room").await, "joined");
    let event = json!({"type": "test.broken"});
    layer.group_send("room", &event).await.unwrap();
    let close = client.receive_close().await;
    assert_eq!(
        close,
        Close::new(CloseCode::INTERNAL_ERROR, "internal error")
    );
    assert_eq!(next(&mut log).await, "disconnect 1011 internal error");
}

#[tokio::test]
async fn every_way_to_end_has_its_code_and_disconnect_hears_it_once() {
    for (said, code, reason) in [
        ("close enough", 4001, "enough"),
        ("error by a question mark", 4002, "by a question mark"),
        ("fail", 1011, "internal error"),
    ] {
        let (service, mut log) = told(&ChannelLayer::memory());
        let mut client = Client::connect(service, "/").await.unwrap();
        client.send(said).await;
        let close = client.receive_close().await;
        assert_eq!((close.code.get(), &*close.reason), (code, reason));
        let disconnect = format!("disconnect {code} {reason}");
        assert_eq!(next(&mut log).await, disconnect);
        drop(client);
        assert_eq!(soon(log.recv()).await, None);
    }
}

#[tokio::test]
async fn disconnect_hears_the_code_of_a_peer_that_leaves_and_1006_of_one_that_vanishes() {
    let (service, mut log) = told(&ChannelLayer::memory());
    let client = Client::connect(service.clone(), "/").await.unwrap();
    let answer = client.close(CloseCode::new(3456).unwrap(), "bye").await;
    assert_eq!(answer.code.get(), 3456);
    assert_eq!(next(&mut log).await, "disconnect 3456 bye");

    let client = Client::connect(service.clone(), "/").await.unwrap();
    client.close(CloseCode::NO_STATUS, "").await;
    assert_eq!(next(&mut log).await, "disconnect 1005 ");

    drop(Client::connect(service, "/").await.unwrap());
    assert_eq!(next(&mut log).await, "disconnect 1006 ");
    assert_eq!(soon(log.recv()).await, None);
}

#[tokio::test]
async fn what_is_accepted_and_then_fails_in_connect_is_disconnected_too() {
    let (service, mut log) = told(&ChannelLayer::memory());
    let path = "/?connect=accept%20and%20fail";
    let mut client = Client::connect(service, path).await.unwrap();
    let close = client.receive_close().await;
    assert_eq!(close.code, CloseCode::INTERNAL_ERROR);
    assert_eq!(next(&mut log).await, "disconnect 1011 internal error");
}

#[tokio::test]
async fn a_panic_ends_with_1011_and_leaves_the_groups() {
    let layer = ChannelLayer::memory();
    let (service, _log) = told(&layer);
    let mut client = Client::connect(service, "/").await.unwrap();
    assert_eq!(ask(&mut client, "join room").await, "joined");
    client.send("panic").await;
    let close = client.receive_close().await;
    assert_eq!(
        close,
        Close::new(CloseCode::INTERNAL_ERROR, "internal error")
    );
    let event = json!({"type": "test.say", "text": "anybody?"});
    let sent = layer.group_send("room", &event).await.unwrap();
    assert_eq!((sent.delivered, sent.dropped), (0, 0));
}

#[tokio::test]
async fn messages_and_answers_keep_their_order() {
    let (service, _log) = told(&ChannelLayer::memory());
    let mut client = Client::connect(service, "/").await.unwrap();
    for n in 0..500 {
        client.send(format!("n{n}")).await;
    }
    for n in 0..500 {
        assert_eq!(client.receive_text().await.unwrap(), format!("n{n}"));
    }
}

/// What a typed consumer's group says.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Typed {
    #[serde(rename = "test.number")]
    Number { n: i64 },
    #[serde(rename = "test.shout")]
    Shout { text: String },
}

#[derive(Clone)]
struct TypedConsumer;

impl Consumer for TypedConsumer {
    type Event = Typed;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        socket.accept().await?;
        socket.group_add("typed").await
    }

    async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
        socket.send(message).await
    }

    async fn event(&mut self, socket: &mut Socket, event: Typed) -> Result {
        match event {
            Typed::Number { n } => socket.send((n + 1).to_string()).await,
            Typed::Shout { text } => socket.send(text.to_uppercase()).await,
        }
    }
}

#[tokio::test]
async fn events_can_be_an_enum_and_what_does_not_fit_is_dropped() {
    let layer = ChannelLayer::memory();
    let mut client = Client::connect(TypedConsumer.into_service(&layer), "/")
        .await
        .unwrap();
    assert_eq!(ask(&mut client, "ready").await, "ready");
    layer
        .group_send("typed", &Typed::Number { n: 41 })
        .await
        .unwrap();
    for odd in [
        json!({"type": "test.number", "n": "not a number"}),
        json!({"type": "test.number"}),
        json!({"type": "test.unknown"}),
    ] {
        layer.group_send("typed", &odd).await.unwrap();
    }
    let text = "hey".to_owned();
    layer
        .group_send("typed", &Typed::Shout { text })
        .await
        .unwrap();
    assert_eq!(client.receive_text().await.unwrap(), "42");
    assert_eq!(client.receive_text().await.unwrap(), "HEY");
}

#[tokio::test]
async fn run_can_be_one_straight_function() {
    #[derive(Clone)]
    struct Adder;
    impl Consumer for Adder {
        type Event = Event;

        async fn run(self, socket: &mut Socket) -> Result {
            socket.accept().await?;
            let mut sum = 0;
            loop {
                match socket.next().await {
                    Moment::Message(message) => sum += message.into_text()?.parse::<i64>()?,
                    Moment::Closed(_) => return Ok(()),
                    _ => {}
                }
                socket.send(sum.to_string()).await?;
                if sum > 9 {
                    return Ok(());
                }
            }
        }
    }
    let mut client = Client::connect(Adder.into_service(&ChannelLayer::memory()), "/")
        .await
        .unwrap();
    assert_eq!(ask(&mut client, "4").await, "4");
    assert_eq!(ask(&mut client, "6").await, "10");
    assert_eq!(client.receive_close().await.code, CloseCode::NORMAL);
}

/// Says in its group what it hears, on the fast lane, between two answers of its own.
#[derive(Clone)]
struct FastLane {
    woken: Arc<AtomicUsize>,
}

impl Consumer for FastLane {
    type Event = Event;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        socket.accept().await?;
        socket.group_add("lane").await?;
        socket.send("welcome").await
    }

    async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
        let text = message.into_text()?;
        socket.send(format!("before {text}")).await?;
        let event = json!({"type": "lane.say", "text": text});
        socket.group_send("lane", &event).await
    }

    async fn event(&mut self, _socket: &mut Socket, _event: Event) -> Result {
        self.woken.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn render(event: &Event) -> Option<Message> {
        (event.kind() == "lane.say").then(|| event.get::<String>("text").unwrap().into())
    }
}

#[tokio::test]
async fn rendered_events_reach_every_member_in_order_and_wake_no_consumer() {
    let layer = ChannelLayer::memory();
    let woken = Arc::new(AtomicUsize::new(0));
    let service = FastLane {
        woken: Arc::clone(&woken),
    }
    .into_service(&layer);
    let mut speaker = Client::connect(service.clone(), "/").await.unwrap();
    let mut listener = Client::connect(service, "/").await.unwrap();
    assert_eq!(speaker.receive_text().await.unwrap(), "welcome");
    assert_eq!(listener.receive_text().await.unwrap(), "welcome");

    for n in 0..20 {
        speaker.send(n.to_string()).await;
    }
    let (mut own, mut said) = (0, 0);
    while said < 20 {
        let text = speaker.receive_text().await.unwrap();
        match text.strip_prefix("before ") {
            Some(text) => {
                assert_eq!(text, own.to_string());
                own += 1;
            }
            None => {
                assert_eq!(text, said.to_string());
                said += 1;
                assert!(said <= own, "{said} was said before it was answered");
            }
        }
    }
    for n in 0..20 {
        assert_eq!(listener.receive_text().await.unwrap(), n.to_string());
    }
    assert_eq!(woken.load(Ordering::SeqCst), 0);

    // What is not rendered goes to each consumer.
    let whisper = json!({"type": "lane.whisper"});
    let sent = layer.group_send("lane", &whisper).await.unwrap();
    assert_eq!(sent.delivered, 2);
    assert_eq!(ask(&mut listener, "x").await, "before x");
    soon(async {
        while woken.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
