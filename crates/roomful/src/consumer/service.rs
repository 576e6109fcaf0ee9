//! The tower service that turns requests into connections of one consumer.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Request, Response};
use tower::Service;

use super::lane::RenderLane;
use super::{Consumer, close_for};
use crate::connection::{Backlog, Options};
use crate::upgrade::{Answer, Client, Endpoint, internal_error, upgrade};
use crate::{ChannelLayer, Close, CloseCode, Deny, Result, Socket};

/// A tower service that turns WebSocket requests into connections of one consumer. Made by
/// [`Consumer::into_service`]; it can be mounted in any router, axum's included.
pub struct ConsumerService<C: Consumer> {
    consumer: C,
    endpoint: Endpoint,
}

impl<C: Consumer> ConsumerService<C> {
    pub(crate) fn new(consumer: C, layer: ChannelLayer) -> Self {
        let endpoint = Endpoint {
            layer,
            options: Arc::default(),
            lane: Arc::new(RenderLane::<C>::default()),
        };
        Self { consumer, endpoint }
    }

    /// Replaces all options at once.
    #[must_use]
    pub fn options(self, options: Options) -> Self {
        self.with(|known| *known = options)
    }

    /// The largest message taken, in bytes.
    #[must_use]
    pub fn max_message_bytes(self, bytes: usize) -> Self {
        self.with(|options| options.max_message_bytes = bytes)
    }

    /// What may wait for a peer that does not read, and what happens when it is more.
    #[must_use]
    pub fn backlog(self, backlog: Backlog) -> Self {
        self.with(|options| options.backlog = backlog)
    }

    /// How long a silence may be before a ping, and before the peer counts as gone.
    #[must_use]
    pub fn keep_alive(self, ping_interval: Option<Duration>, idle_timeout: Duration) -> Self {
        self.with(|options| {
            (options.ping_interval, options.idle_timeout) = (ping_interval, idle_timeout)
        })
    }

    /// Whether to negotiate permessage-deflate with clients that offer it.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(self, deflate: bool) -> Self {
        self.with(|options| options.deflate = deflate)
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.endpoint.options));
        self
    }
}

impl<C: Consumer> Clone for ConsumerService<C> {
    fn clone(&self) -> Self {
        Self {
            consumer: self.consumer.clone(),
            endpoint: self.endpoint.clone(),
        }
    }
}

impl<C: Consumer, B> Service<Request<B>> for ConsumerService<C> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future =
        futures_util::future::Map<Answer, fn(Response<Body>) -> Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let consumer = self.consumer.clone();
        let live = |socket, client| live(consumer, socket, client);
        upgrade(request, self.endpoint.clone(), live).map(Ok)
    }
}

/// Runs the consumer to its end; says how to close.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn would keep the socket twice"
)]
fn live<C: Consumer>(
    consumer: C,
    mut socket: Socket,
    client: Client,
) -> impl Future<Output = Close> + Send {
    async move {
        let ended = tokio::select! {
            biased;
            ended = consumer.run(&mut socket) => ended,
            // Whatever `connect` waits for, nobody else does.
            close = client.left() => return close,
        };
        let Err(error) = ended else {
            socket.deny(Deny::forbidden());
            return Close::code(CloseCode::NORMAL);
        };
        if let Some(deny) = error.as_deny() {
            socket.deny(deny.clone());
            return Close::code(CloseCode::NORMAL);
        }
        if error.as_close().is_none() {
            tracing::error!(%error, "a consumer failed, its connection is closed");
            socket.deny(internal_error());
        }
        socket.deny(Deny::forbidden());
        close_for(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Message};

    #[derive(Clone)]
    struct Echo;

    impl Consumer for Echo {
        type Event = Event;

        async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
            socket.send(message).await
        }
    }

    #[tokio::test]
    async fn a_connection_is_a_small_task() {
        let service = Echo.into_service(&ChannelLayer::memory());
        let (bytes, socket, client) = crate::upgrade::measure(service.endpoint);
        let life_bytes = size_of_val(&live(Echo, socket, client));
        assert!(life_bytes <= 768, "{life_bytes} bytes");
        assert!(bytes <= 256, "{bytes} bytes");
    }
}
