//! The time between a request and its answer: nobody waits for ever, on either side.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use roomful::testing::Client;
use roomful::{ChannelLayer, Consumer, Event, Options, Result, Socket};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use crate::support::{served, soon};

/// Waits in `connect` for ever.
#[derive(Clone)]
struct Undecided {
    connecting: Arc<Notify>,
    /// Its other end sees the consumer go.
    _life: mpsc::Sender<()>,
}

impl Consumer for Undecided {
    type Event = Event;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        socket.group_add("undecided").await?;
        self.connecting.notify_one();
        std::future::pending().await
    }
}

fn undecided() -> (Undecided, Arc<Notify>, mpsc::Receiver<()>) {
    let (life, gone) = mpsc::channel(1);
    let connecting = Arc::new(Notify::new());
    let consumer = Undecided {
        connecting: Arc::clone(&connecting),
        _life: life,
    };
    (consumer, connecting, gone)
}

fn impatient() -> Options {
    let mut options = Options::default();
    options.handshake_timeout = Duration::from_millis(100);
    options
}

#[tokio::test]
async fn a_handshake_that_is_not_decided_in_time_gets_503_and_its_consumer_ends() {
    let layer = ChannelLayer::memory();
    let (consumer, _, mut gone) = undecided();
    let service = consumer.into_service(&layer).options(impatient());
    let refused = Client::connect(service, "/").await.unwrap_err();
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(soon(gone.recv()).await, None);
    let sent = layer
        .group_send("undecided", &roomful::json!({"type": "test"}))
        .await
        .unwrap();
    assert_eq!(sent.delivered, 0);
}

#[tokio::test]
async fn a_client_that_leaves_during_the_handshake_ends_its_consumer() {
    let (consumer, connecting, _gone) = undecided();
    let mut options = Options::default();
    options.handshake_timeout = Duration::from_secs(3600);
    let service = consumer
        .into_service(&ChannelLayer::memory())
        .options(options);
    // This library's own server does not end a request for a client that may have closed its sending side only.
    let application = axum::Router::new().route_service("/", service);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, application).await });
    let mut client = TcpStream::connect(address).await.unwrap();
    let request =
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    client.write_all(request).await.unwrap();
    soon(connecting.notified()).await;
    client.set_zero_linger().unwrap();
    drop(client);
    // The test has one, the service another, and the connection none any more.
    soon(async {
        while Arc::strong_count(&connecting) > 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_answered_as_http() {
    let (consumer, _, _gone) = undecided();
    let address = served(consumer.into_service(&ChannelLayer::memory())).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}
