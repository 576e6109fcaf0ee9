//! The chat room as one route of an axum program, served by axum itself.
//!
//! Run: `cargo run --example in_axum -- 127.0.0.1:8000`, then connect to `ws://127.0.0.1:8000/room/123/`.

use axum::{Router, routing::get};
use roomful::{ChannelLayer, Consumer, Event, Message, Result, Socket, json};

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
        socket
            .group_send(
                &self.group,
                &json!({"type": "chat.message", "text": message.into_text()?}),
            )
            .await
    }

    fn render(event: &Event) -> Option<Message> {
        event.get::<String>("text").ok().map(Message::from)
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8000".into());
    let layer = ChannelLayer::memory();
    let application = Router::new()
        .route("/", get(|| async { "a room is at /room/{group}/\n" }))
        .route_service(
            "/room/{group}/",
            ChatConsumer::default().into_service(&layer),
        );

    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    axum::serve(listener, application).await
}
