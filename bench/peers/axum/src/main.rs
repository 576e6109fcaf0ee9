//! A chat room as it is usually written on axum: one `tokio::sync::broadcast` for each room, two tasks for each member, and
//! axum's defaults for the WebSocket.
//!
//! Only the channel is deeper than the usual 100: a member that falls behind would lose messages without a word.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{Path, State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::broadcast;

const DEPTH: usize = 1024;

/// Guards who is asked for which room.
type Rooms = Arc<Mutex<HashMap<String, broadcast::Sender<String>>>>;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let rooms = Rooms::default();
    let app = Router::new().route("/room/{room}/", any(enter)).with_state(rooms);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await
}

async fn enter(upgrade: WebSocketUpgrade, Path(room): Path<String>, State(rooms): State<Rooms>) -> Response {
    let mut rooms = rooms.lock().expect("nobody panics with this lock");
    let room = rooms.entry(room).or_insert_with(|| broadcast::channel(DEPTH).0).clone();
    upgrade.on_upgrade(|socket| talk(socket, room))
}

async fn talk(socket: WebSocket, room: broadcast::Sender<String>) {
    let (mut to_member, mut from_member) = socket.split();
    let mut heard = room.subscribe();
    let mut writing = tokio::spawn(async move {
        while let Ok(text) = heard.recv().await {
            if to_member.send(Message::text(text)).await.is_err() {
                break;
            }
        }
    });
    let mut reading = tokio::spawn(async move {
        while let Some(Ok(Message::Text(text))) = from_member.next().await {
            // Fails where nobody listens, and then nobody misses it.
            let _ = room.send(text.to_string());
        }
    });
    tokio::select! {
        _ = &mut writing => reading.abort(),
        _ = &mut reading => writing.abort(),
    }
}
