//! Steps that tests share.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use http::Request;
use roomful::layer::Inbox;
use roomful::{ChannelLayer, Event, json};
use tokio::net::TcpListener;
use tower::Service;

/// What must happen happens within this time, or the test fails instead of hanging.
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it happens within ten seconds")
}

/// Serves on a free port until the test ends.
pub(crate) async fn served<S>(service: S) -> SocketAddr
where
    S: Service<Request<Body>, Response: IntoResponse, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(roomful::serve::serve(listener, service));
    address
}

/// An event with a number.
pub(crate) fn numbered(n: u64) -> Event {
    Event::new(&json!({"type": "test.numbered", "n": n})).unwrap()
}

/// The number of the next event.
pub(crate) async fn next_number(inbox: &mut Inbox) -> u64 {
    soon(inbox.receive()).await.get("n").unwrap()
}

/// Shows that nothing waits: what is sent now is the next to come.
pub(crate) async fn assert_silent(layer: &ChannelLayer, inbox: &mut Inbox) {
    let mark = json!({"type": "test.mark"});
    layer.send(inbox.channel().as_str(), &mark).await.unwrap();
    let event = soon(inbox.receive()).await;
    assert_eq!(event.kind(), "test.mark", "{event:?}");
}
