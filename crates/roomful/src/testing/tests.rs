//! The client against a service that is made of nothing but the codec.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::service_fn;

use super::{Client, Refused, TestService};
use crate::ws::{Decoder, Incoming, Opcode, Role, frame, handshake};
use crate::{Close, CloseCode, Message, PeerAddr};

/// Echoes messages, after a ping and what the request was. Some texts make it do something else.
fn echo() -> impl TestService {
    service_fn(|request| async { Ok::<_, Infallible>(answer(request)) })
}

fn answer(request: Request<Body>) -> Response<Body> {
    let (mut parts, _) = request.into_parts();
    let mut handshake = match handshake::check(&parts) {
        Ok(handshake) => handshake,
        Err(rejection) => {
            let mut response = Response::new(Body::from(rejection.message));
            *response.status_mut() = rejection.status;
            *response.headers_mut() = rejection.headers;
            return response;
        }
    };
    if parts.uri.path() == "/closed/" {
        let response = Response::builder().status(StatusCode::FORBIDDEN);
        return response.body(Body::from("not today\n")).unwrap();
    }
    handshake.accept_deflate();
    let subprotocol = handshake.subprotocols().first().cloned();
    let headers = handshake.response_headers(subprotocol.as_deref(), &HeaderMap::new());
    let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
    tokio::spawn(async move {
        let stream = TokioIo::new(upgrade.unwrap().await.unwrap());
        speak(stream, &parts).await;
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers.unwrap();
    response
}

async fn speak(mut stream: TokioIo<hyper::upgrade::Upgraded>, parts: &http::request::Parts) {
    let mut decoder = Decoder::new(Role::Server, 1 << 20);
    let (mut input, mut output) = (vec![0; 4096], BytesMut::new());
    frame::encode(&mut output, Opcode::Ping, b"are you there");
    loop {
        stream.write_all_buf(&mut output).await.unwrap();
        let len = stream.read(&mut input).await.unwrap();
        if len == 0 {
            return;
        }
        let mut bytes = &input[..len];
        while let Some(item) = decoder.decode(&mut bytes).unwrap() {
            match item {
                Incoming::Message(message) => match message.as_text() {
                    Some("hang up") => return,
                    Some("close") => {
                        let close = Close::new(CloseCode::TRY_AGAIN, "later");
                        frame::encode_close(&mut output, &close);
                    }
                    Some("origin") => {
                        let origin = parts.headers[header::ORIGIN].to_str().unwrap();
                        frame::encode_message(&mut output, &origin.into());
                    }
                    Some("peer") => {
                        let peer = parts.extensions.get::<PeerAddr>().unwrap().0;
                        frame::encode_message(&mut output, &peer.to_string().into());
                    }
                    _ if parts.headers.contains_key("sec-websocket-extensions") => {
                        use crate::ws::compression;
                        let deflate = compression::Deflate::negotiate(&parts.headers).unwrap();
                        compression::encode_message(&mut output, &message, deflate);
                    }
                    _ => frame::encode_message(&mut output, &message),
                },
                Incoming::Pong(payload) => assert_eq!(payload, "are you there"),
                Incoming::Ping(payload) => frame::encode(&mut output, Opcode::Pong, &payload),
                Incoming::Close(close) => {
                    let close = close.unwrap_or(CloseCode::NO_STATUS.into());
                    frame::encode_close(&mut output, &close);
                    let _ = stream.write_all_buf(&mut output).await;
                    return;
                }
            }
        }
    }
}

#[tokio::test]
async fn messages_of_every_kind_and_size_come_back() {
    let mut client = Client::connect(echo(), "/").await.unwrap();
    client.send("hello").await;
    assert_eq!(client.receive_text().await.unwrap(), "hello");

    let large = Message::binary(vec![7; 40_000]);
    client.send(large.clone()).await;
    assert_eq!(client.receive().await.unwrap(), large);

    client.send_json(&json!({"type": "chat.say"})).await;
    let value: Value = client.receive_json().await.unwrap();
    assert_eq!(value["type"], "chat.say");
}

#[tokio::test]
async fn a_refusal_is_given_whole() {
    let Refused {
        status,
        body,
        ref headers,
    } = Client::connect(echo(), "/closed/").await.unwrap_err();
    assert_eq!(
        (status, &body[..]),
        (StatusCode::FORBIDDEN, &b"not today\n"[..])
    );
    assert_eq!(headers["content-length"], "10");
}

#[tokio::test]
async fn a_handshake_can_be_broken_on_purpose() {
    let request = Client::request("/").header("sec-websocket-version", "8");
    let refused = request.connect(echo()).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::UPGRADE_REQUIRED);
    assert_eq!(refused.headers["sec-websocket-version"], "13");
    assert_eq!(
        refused.to_string(),
        "the handshake was refused with 426 Upgrade Required: this server speaks version 13 of the websocket protocol"
    );
}

#[tokio::test]
async fn the_request_carries_what_it_was_given() {
    let peer = PeerAddr(([192, 0, 2, 1], 9).into());
    let request = Client::request("/")
        .subprotocol("one")
        .subprotocol("two")
        .origin("https://example.com")
        .extension(peer);
    let mut client = request.connect(echo()).await.unwrap();
    assert_eq!(client.subprotocol(), Some("one"));
    client.send("origin").await;
    assert_eq!(client.receive_text().await.unwrap(), "https://example.com");
    client.send("peer").await;
    assert_eq!(client.receive_text().await.unwrap(), "192.0.2.1:9");
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn compressed_messages_are_read_where_it_was_offered() {
    let mut client = Client::request("/")
        .deflate()
        .connect(echo())
        .await
        .unwrap();
    assert!(client.headers().contains_key("sec-websocket-extensions"));
    let text = "again and ".repeat(100);
    client.send(text.as_str()).await;
    assert_eq!(client.receive_text().await.unwrap(), text);
}

#[tokio::test]
async fn the_service_closes_with_a_code_and_a_reason_and_goes_on_saying_so() {
    let mut client = Client::connect(echo(), "/").await.unwrap();
    client.send("close").await;
    let closed = Close::new(CloseCode::TRY_AGAIN, "later");
    assert_eq!(client.receive().await.unwrap_err(), closed);
    assert_eq!(client.receive().await.unwrap_err(), closed);
    client.send("too late").await;
    assert_eq!(client.receive_close().await, closed);
}

#[tokio::test]
async fn a_connection_that_breaks_ends_with_1006() {
    let mut client = Client::connect(echo(), "/").await.unwrap();
    client.send("hang up").await;
    assert_eq!(client.receive_close().await, CloseCode::ABNORMAL.into());
}

#[tokio::test]
async fn closing_gives_the_answer_of_the_service() {
    let mut client = Client::connect(echo(), "/").await.unwrap();
    client.send("passed over").await;
    let answer = client.close(CloseCode::NORMAL, "bye").await;
    assert_eq!(answer, Close::new(CloseCode::NORMAL, "bye"));

    let client = Client::connect(echo(), "/").await.unwrap();
    let answer = client.close(CloseCode::NO_STATUS, "").await;
    assert_eq!(answer.code, CloseCode::NO_STATUS);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_nothing_loses_nothing() {
    let mut client = Client::connect(echo(), "/").await.unwrap();
    assert!(client.receive_nothing(Duration::from_secs(1)).await);
    client.send("something").await;
    assert!(!client.receive_nothing(Duration::from_secs(1)).await);
    assert_eq!(client.receive_text().await.unwrap(), "something");
    client.send("hang up").await;
    assert!(!client.receive_nothing(Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "waited 5s in vain for a message")]
async fn waiting_in_vain_fails_the_test_and_says_for_what() {
    let mut client = Client::connect(echo(), "/").await.unwrap();
    let _ = client.receive().await;
}

#[tokio::test]
async fn a_page_can_be_asked_for() {
    let page = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
    let response = super::get(page, "/").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(*response.body(), Bytes::from_static(b"hello"));
}
