//! Says back what it hears, text and binary, up to 16 MiB a message. The server for conformance tests.
//!
//! Run: `cargo run --example echo --features deflate -- 127.0.0.1:8000`

use roomful::{Backlog, ChannelLayer, Consumer, Event, Message, Result, Socket};

/// An idle connection takes a quarter less memory than with glibc's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Clone)]
struct Echo;

impl Consumer for Echo {
    type Event = Event;

    async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
        socket.send(message).await
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8000".into());
    // What is heard has to fit into what may wait to be said.
    let backlog = Backlog {
        max_bytes: 64 << 20,
        ..Backlog::default()
    };
    let echo = Echo
        .into_service(&ChannelLayer::memory())
        .max_message_bytes(16 << 20)
        .backlog(backlog);
    #[cfg(feature = "deflate")]
    let echo = echo.deflate(true);

    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    roomful::serve::serve(listener, echo).await
}
