//! One straight function instead of moments: tells the time each second until the peer has heard enough.
//!
//! Run: `cargo run --example clock -- 127.0.0.1:8000`, then connect to `ws://127.0.0.1:8000/`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roomful::{ChannelLayer, CloseCode, Consumer, Event, Moment, Result, Socket};

#[derive(Clone)]
struct Clock;

impl Consumer for Clock {
    type Event = Event;

    async fn run(self, socket: &mut Socket) -> Result {
        socket.accept().await?;
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
                    socket.send(format!("{:02}:{:02}:{:02} UTC", now / 3600 % 24, now / 60 % 60, now % 60)).await?;
                }
                moment = socket.next() => match moment {
                    Moment::Message(message) if message.as_text() == Some("enough") => {
                        socket.close(CloseCode::NORMAL);
                        return Ok(());
                    }
                    Moment::Closed(_) => return Ok(()),
                    _ => {}
                },
            }
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8000".into());
    let layer = ChannelLayer::memory();
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    roomful::serve::serve(listener, Clock.into_service(&layer)).await
}
