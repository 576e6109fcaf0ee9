//! The lesson's first version: one list of connections, no groups. Everybody hears everybody, followed by three dots.
//!
//! Run: `cargo run --example connections -- 127.0.0.1:8000`, then connect to `ws://127.0.0.1:8000/` twice.

#![expect(
    clippy::unwrap_used,
    reason = "a lock that is poisoned ends an example"
)]

use std::sync::{Arc, Mutex};

use roomful::{Close, Consumer, Event, Message, Result, Socket, SocketSender};

#[derive(Clone, Default)]
struct EveryConnection {
    connections: Arc<Mutex<Vec<SocketSender>>>,
}

impl Consumer for EveryConnection {
    type Event = Event;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        socket.accept().await?;
        self.connections.lock().unwrap().push(socket.sender());
        Ok(())
    }

    async fn receive(&mut self, _socket: &mut Socket, message: Message) -> Result {
        let answer = Message::from(format!("{}...", message.into_text()?));
        // Sending never waits: a slow one cannot hold up the others, a dead one cannot end them.
        for connection in self.connections.lock().unwrap().iter() {
            connection.send(answer.clone());
        }
        Ok(())
    }

    async fn disconnect(&mut self, socket: &mut Socket, _close: &Close) -> Result {
        let gone = socket.sender();
        self.connections
            .lock()
            .unwrap()
            .retain(|connection| !connection.same_connection(&gone));
        Ok(())
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8000".into());
    let layer = roomful::ChannelLayer::memory();
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    roomful::serve::serve(listener, EveryConnection::default().into_service(&layer)).await
}
