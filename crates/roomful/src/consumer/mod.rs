//! What users write: a value with a method for each moment in the life of one WebSocket.

mod lane;
mod service;

use std::future::Future;

use serde::de::DeserializeOwned;

pub use service::ConsumerService;

use crate::socket::Moment;
use crate::{ChannelLayer, Close, CloseCode, Deny, Error, Message, Result, Socket};

/// One side of a WebSocket's life, as Django Channels has it: connect, receive, event, disconnect.
///
/// A consumer is a value: its fields are what it depends on, and each connection gets a clone of it. All methods have
/// defaults. They are called one at a time, in order, by [`run`](Self::run).
///
/// ```
/// use roomful::{ChannelLayer, Close, Consumer, Event, Message, ProtocolTypeRouter, Result, Socket, UrlRouter, json};
///
/// #[derive(Clone, Default)]
/// struct ChatConsumer { group: String }
///
/// impl Consumer for ChatConsumer {
///     type Event = Event;
///
///     async fn connect(&mut self, socket: &mut Socket) -> Result {
///         self.group = socket.param("group")?;
///         socket.accept().await?;
///         socket.group_add(&self.group).await
///     }
///     async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
///         let text = message.into_text()?;
///         socket.group_send(&self.group, &json!({"type": "xx.oo", "text": text})).await
///     }
///     async fn event(&mut self, socket: &mut Socket, event: Event) -> Result {
///         match event.kind() {
///             "xx.oo" => socket.send(event.get::<String>("text")?).await,
///             _ => Ok(()),
///         }
///     }
///     async fn disconnect(&mut self, socket: &mut Socket, _close: &Close) -> Result {
///         socket.group_discard(&self.group).await
///     }
/// }
///
/// let layer = ChannelLayer::memory();
/// let chat = ChatConsumer::default().into_service(&layer);
/// let application = UrlRouter::new().re_path(r"room/(?P<group>\w+)/$", chat);
/// # let _ = application;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a consumer",
    note = "implement `roomful::Consumer` for it: `type Event = roomful::Event;` is enough, every method has a default"
)]
pub trait Consumer: Clone + Send + Sync + 'static {
    /// What the consumer's groups say: [`Event`](crate::Event), or an enum with `#[serde(tag = "type")]`.
    type Event: DeserializeOwned + Send + 'static;

    /// A client asks for a WebSocket. Accepts by default.
    ///
    /// Nothing is answered before this has decided: [`Socket::accept`], or [`Deny`] as an error. Returning `Ok` without
    /// either refuses with 403.
    fn connect(&mut self, socket: &mut Socket) -> impl Future<Output = Result> + Send {
        socket.accept()
    }

    /// The peer said something. Ignored by default.
    fn receive(
        &mut self,
        socket: &mut Socket,
        message: Message,
    ) -> impl Future<Output = Result> + Send {
        let _ = (socket, message);
        async { Ok(()) }
    }

    /// A group this consumer is in, or somebody who knows its channel, said something. Ignored by default.
    fn event(
        &mut self,
        socket: &mut Socket,
        event: Self::Event,
    ) -> impl Future<Output = Result> + Send {
        let _ = (socket, event);
        async { Ok(()) }
    }

    /// The peer was too slow and `dropped` writes to it were thrown away (only with
    /// [`Overflow::Resync`](crate::Overflow::Resync)). Closes with 4008 by default.
    fn lagged(&mut self, socket: &mut Socket, dropped: u64) -> impl Future<Output = Result> + Send {
        let _ = (socket, dropped);
        async { Err(Close::new(CloseCode::SLOW, "too slow, come back and catch up").into()) }
    }

    /// The connection is over; called once, if it was accepted. Groups are left afterwards by themselves.
    fn disconnect(
        &mut self,
        socket: &mut Socket,
        close: &Close,
    ) -> impl Future<Output = Result> + Send {
        let _ = (socket, close);
        async { Ok(()) }
    }

    /// How an event looks on the wire, where it looks the same to every member: the fast lane.
    ///
    /// Where this gives `Some`, the process decodes the event once, encodes the frame once and hands the same bytes to
    /// every member of the group here, and no consumer is woken. `None` goes to each consumer's [`event`](Self::event).
    fn render(event: &Self::Event) -> Option<Message> {
        let _ = event;
        None
    }

    /// The life of one connection, made of public calls only. Override it where one straight function is easier.
    ///
    /// An error ends the connection: [`Close`] with its code, [`Deny`] with its status while the handshake is open,
    /// anything else with 1011 or 500.
    fn run(mut self, socket: &mut Socket) -> impl Future<Output = Result> + Send {
        async move {
            let connected = self.connect(socket).await;
            if !socket.is_accepted() {
                return connected.and(Err(Deny::forbidden().into()));
            }
            let ended = match connected {
                Ok(()) => live(&mut self, socket).await,
                Err(error) => Err(error),
            };
            let close = match &ended {
                Ok(close) => close.clone(),
                Err(error) => close_for(error),
            };
            let left = self.disconnect(socket, &close).await;
            ended.and(left)
        }
    }

    /// A tower service that upgrades requests to this consumer, with groups in `layer`.
    fn into_service(self, layer: &ChannelLayer) -> ConsumerService<Self> {
        ConsumerService::new(self, layer.clone())
    }
}

async fn live<C: Consumer>(consumer: &mut C, socket: &mut Socket) -> Result<Close> {
    loop {
        match socket.next().await {
            Moment::Message(message) => consumer.receive(socket, message).await?,
            Moment::Event(event) => match event.decode_owned() {
                Ok(event) => consumer.event(socket, event).await?,
                // Another process may speak a newer vocabulary: that is no reason to hang up.
                Err(error) => {
                    tracing::warn!(event.kind = event.kind(), %error, "an event was not understood and is dropped")
                }
            },
            Moment::Lagged(dropped) => consumer.lagged(socket, dropped).await?,
            Moment::Closed(close) => return Ok(close),
        }
    }
}

/// The close that an error asks for; our own faults keep their reasons to the log.
pub(crate) fn close_for(error: &Error) -> Close {
    match error.as_close() {
        Some(close) => close.clone(),
        None => Close::new(CloseCode::INTERNAL_ERROR, "internal error"),
    }
}
