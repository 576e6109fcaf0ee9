//! The chat consumer everyone writes first, in every place it can be mounted, heard by another implementation's client.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use futures_util::{SinkExt as _, StreamExt as _};
use roomful::{
    ChannelLayer, Close, Consumer, Event, Message, ProtocolTypeRouter, Result, Socket, UrlRouter,
    json,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{self, protocol::frame::coding::CloseCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::{served, soon};

#[derive(Clone, Default)]
struct ChatConsumer {
    group: String,
}

impl Consumer for ChatConsumer {
    type Event = Event;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        self.group = socket.param("group")?;
        socket.accept().await?;
        socket.group_add(&self.group).await
    }
    async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
        let text = message.into_text()?;
        socket
            .group_send(&self.group, &json!({"type": "xx.oo", "text": text}))
            .await
    }
    async fn event(&mut self, socket: &mut Socket, event: Event) -> Result {
        match event.kind() {
            "xx.oo" => socket.send(event.get::<String>("text")?).await,
            _ => Ok(()),
        }
    }
    async fn disconnect(&mut self, socket: &mut Socket, _close: &Close) -> Result {
        socket.group_discard(&self.group).await
    }
}

/// A member of a room, by tungstenite.
pub(crate) struct Member(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Member {
    pub(crate) async fn join(address: SocketAddr, path: &str) -> Self {
        let url = format!("ws://{address}{path}");
        let (stream, _) = soon(tokio_tungstenite::connect_async(url)).await.unwrap();
        Self(stream)
    }

    /// Joins and waits until it is a member: it hears itself. Being accepted comes before that.
    pub(crate) async fn enter(address: SocketAddr, path: &str) -> Self {
        let mut member = Self::join(address, path).await;
        member.say("I am here").await;
        assert_eq!(member.hear().await, "I am here");
        member
    }

    pub(crate) async fn say(&mut self, text: &str) {
        soon(self.0.send(tungstenite::Message::text(text)))
            .await
            .unwrap();
    }

    pub(crate) async fn hear(&mut self) -> String {
        loop {
            let message = soon(self.0.next())
                .await
                .expect("the room is open")
                .unwrap();
            if let tungstenite::Message::Text(text) = message {
                return text.to_string();
            }
        }
    }

    /// Closes and waits for the answer and the end.
    pub(crate) async fn leave(mut self) {
        soon(self.0.close(None)).await.unwrap();
        while let Some(message) = soon(self.0.next()).await {
            message.unwrap();
        }
    }

    /// The code with which the server closes.
    pub(crate) async fn end(mut self) -> CloseCode {
        loop {
            let message = soon(self.0.next()).await.expect("a Close comes first");
            if let tungstenite::Message::Close(close) = message.unwrap() {
                return close.expect("it has a code").code;
            }
        }
    }
}

async fn a_room_is_a_room(address: SocketAddr) {
    let mut ana = Member::enter(address, "/room/123/").await;
    let mut bo = Member::join(address, "/room/123/").await;
    let mut elsewhere = Member::enter(address, "/room/456/").await;
    bo.say("大家好 <b>").await;
    assert_eq!(bo.hear().await, "大家好 <b>");
    assert_eq!(ana.hear().await, "大家好 <b>");
    ana.leave().await;
    bo.say("anybody here?").await;
    assert_eq!(bo.hear().await, "anybody here?");
    elsewhere.say("nothing else came").await;
    assert_eq!(elsewhere.hear().await, "nothing else came");
    bo.0.send(tungstenite::Message::binary(vec![1]))
        .await
        .unwrap();
    assert_eq!(bo.end().await, CloseCode::Unsupported);
}

#[tokio::test]
async fn a_chat_room_behind_the_routers_of_this_library() {
    let layer = ChannelLayer::memory();
    let pages = Router::new().route("/room/{group}/", get(|| async { "the page" }));
    let chat = ChatConsumer::default().into_service(&layer);
    let application = ProtocolTypeRouter::new()
        .http(pages)
        .websocket(UrlRouter::new().re_path(r"room/(?P<group>\w+)/$", chat));
    a_room_is_a_room(served(application).await).await;
}

#[tokio::test]
async fn a_chat_room_as_a_route_of_an_axum_program() {
    let chat = ChatConsumer::default().into_service(&ChannelLayer::memory());
    let application = Router::new().route_service("/room/{group}/", chat);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, application).await });
    a_room_is_a_room(address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_room_on_many_threads() {
    let chat = ChatConsumer::default().into_service(&ChannelLayer::memory());
    let application = UrlRouter::new().re_path(r"room/(?P<group>\w+)/$", chat);
    a_room_is_a_room(served(application).await).await;
}
