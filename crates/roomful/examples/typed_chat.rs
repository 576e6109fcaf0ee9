//! The chat room with events as an enum, on the fast lane: each message is encoded once for the whole room.
//!
//! Run: `cargo run --example typed_chat -- 127.0.0.1:8000`, then connect to `ws://127.0.0.1:8000/room/123/`.

use std::future::{pending, ready};

use roomful::serve::Server;
use roomful::{ChannelLayer, Consumer, Message, Result, Socket, UrlRouter};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum ChatEvent {
    #[serde(rename = "chat.message")]
    Said { text: String },
    #[serde(rename = "chat.count")]
    Count { asked_by: String },
}

#[derive(Clone, Default)]
struct ChatConsumer {
    group: String,
    heard: usize,
}

impl Consumer for ChatConsumer {
    type Event = ChatEvent;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        self.group = socket.param("group")?;
        socket.accept().await?;
        socket.group_add(&self.group).await
    }

    async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
        self.heard += 1;
        let event = match message.into_text()? {
            text if text == "/count" => ChatEvent::Count {
                asked_by: socket.channel_name().await?.to_string(),
            },
            text => ChatEvent::Said {
                text: text.to_string(),
            },
        };
        socket.group_send(&self.group, &event).await
    }

    /// The same for every member, so no consumer is woken for it.
    fn render(event: &ChatEvent) -> Option<Message> {
        match event {
            ChatEvent::Said { text } => Some(text.as_str().into()),
            ChatEvent::Count { .. } => None,
        }
    }

    /// What differs from member to member.
    async fn event(&mut self, socket: &mut Socket, event: ChatEvent) -> Result {
        match event {
            ChatEvent::Count { .. } => socket.send(format!("you said {} things", self.heard)).await,
            ChatEvent::Said { .. } => Ok(()),
        }
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8000".into());
    let layer = ChannelLayer::memory();
    let chat = ChatConsumer::default().into_service(&layer);
    let application = UrlRouter::new().re_path(r"room/(?P<group>\w+)/$", chat);

    // One event loop per core, and a room on one of them: what is said there leaves in one write per member.
    let cores = std::thread::available_parallelism()?;
    let server = Server::bind(address, cores.get())?;
    println!("listening on http://{}/", server.local_addr()?);
    server.run(application, pending(), ready(()))
}
