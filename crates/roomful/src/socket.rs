//! A consumer's end of one WebSocket: accept, send, close, groups, and what comes next.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Extensions;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::connection::{SocketSender, Switch};
use crate::layer::{ChannelLayer, ChannelName, GroupName, Inbox, Lane, Open};
use crate::scope::MissingParam;
use crate::{Close, CloseCode, Error, Event, Message, Result, Scope};

/// A consumer's end of one WebSocket.
///
/// It is the only thing a consumer needs: the request ([`scope`](Self::scope)), the peer ([`send`](Self::send),
/// [`close`](Self::close)) and the groups it is in. When it is dropped, by a return, an error or a panic, the connection
/// is closed and every group is left.
pub struct Socket {
    scope: Scope,
    sender: SocketSender,
    layer: ChannelLayer,
    lane: Option<Arc<dyn SeatLane>>,
    inbox: Option<Inbox>,
    seats: Vec<(GroupName, crate::audience::Seat)>,
    handshake: Option<Handshake>,
    accepted: bool,
    /// Whose turn it is when both the peer and the layer have something: neither starves the other.
    layer_first: bool,
    /// How many events may still come when the connection is over, before its end.
    last_events: u8,
}

/// Events that were there when the peer left are still the consumer's; a busy group must not put off the end for ever.
const LAST_EVENTS: u8 = 100;

/// What a consumer still owes the client that asked for a WebSocket.
pub(crate) struct Handshake {
    pub(crate) decision: oneshot::Sender<Decision>,
    pub(crate) switch: Switch,
}

/// The answer to a handshake.
pub(crate) enum Decision {
    Accept(Accept),
    Deny(crate::Deny),
}

/// How to accept: the subprotocol that was chosen, and headers of the answer.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    /// Boxed: most have none, and every connection's task has room for one of these.
    extras: Option<Box<Extras>>,
}

/// What an answer has beyond a bare 101.
#[derive(Clone, Debug, Default)]
struct Extras {
    subprotocol: Option<HeaderValue>,
    headers: HeaderMap,
}

/// What happens next in the life of a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Moment {
    /// The peer said something.
    Message(Message),
    /// The layer brought something.
    Event(Event),
    /// The peer was too slow: so many writes to it were dropped ([`Overflow::Resync`](crate::Overflow::Resync)).
    Lagged(u64),
    /// It is over.
    Closed(Close),
}

/// A [`Lane`] that gives seats: the fast lane of one consumer type.
pub(crate) trait SeatLane: Send + Sync {
    fn sit(&self, group: &GroupName, sender: &SocketSender) -> crate::audience::Seat;
    fn lane(self: Arc<Self>) -> Arc<dyn Lane>;
}

impl Socket {
    pub(crate) fn new(
        scope: Scope,
        sender: SocketSender,
        layer: ChannelLayer,
        lane: Option<Arc<dyn SeatLane>>,
        handshake: Handshake,
    ) -> Self {
        Self {
            scope,
            sender,
            layer,
            lane,
            inbox: None,
            seats: Vec::new(),
            handshake: Some(handshake),
            accepted: false,
            layer_first: false,
            last_events: LAST_EVENTS,
        }
    }

    /// Accepts the connection. Returns when the client has been answered and messages can flow.
    ///
    /// # Errors
    /// A [`Close`] with 1006 if the client is gone.
    pub async fn accept(&mut self) -> Result {
        self.accept_with(Accept::new()).await
    }

    /// Accepts the connection with a subprotocol or headers.
    ///
    /// # Errors
    /// As [`accept`](Self::accept); also if the subprotocol is none that the client offered, which a browser would take as
    /// a failed handshake.
    pub async fn accept_with(&mut self, accept: Accept) -> Result {
        if let Some(chosen) = accept.chosen()
            && !self
                .scope
                .subprotocols()
                .any(|offered| offered.as_bytes() == chosen.as_bytes())
        {
            return Err(Error::msg(format!(
                "the client did not offer the subprotocol {chosen:?}: choose one of Socket::scope().subprotocols()"
            )));
        }
        let Some(handshake) = self.handshake.take() else {
            return Err(Error::msg(
                "the handshake is answered already: call accept once",
            ));
        };
        let gone = || Close::new(CloseCode::ABNORMAL, "the client left during the handshake");
        handshake
            .decision
            .send(Decision::Accept(accept))
            .map_err(|_| gone())?;
        let transport = handshake.switch.transport().await.map_err(|_| gone())?;
        self.scope.compact();
        self.sender.open(transport);
        self.accepted = true;
        Ok(())
    }

    /// Whether [`accept`](Self::accept) has succeeded.
    pub fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Answers the handshake with a refusal, if it is not answered yet.
    pub(crate) fn deny(&mut self, deny: crate::Deny) {
        if let Some(handshake) = self.handshake.take() {
            // A client that left hears nothing.
            let _ = handshake.decision.send(Decision::Deny(deny));
        }
    }

    /// Sends a message. What one step of a consumer sends goes out together when the step is over, that is when it waits
    /// for something. Waits itself only while the peer is behind by half of the endpoint's backlog.
    ///
    /// Sending on a connection that is over does nothing: [`next`](Self::next) tells how it ended.
    ///
    /// # Errors
    /// If the connection is not accepted yet.
    ///
    /// # Cancel safety
    /// The message is queued whether or not the wait is cancelled.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result {
        if !self.accepted {
            return Err(Error::msg(
                "the connection is not accepted yet: call accept before send",
            ));
        }
        self.sender.append(&message.into());
        poll_fn(|cx| self.sender.poll_room(cx)).await;
        Ok(())
    }

    /// Sends a value as JSON text.
    ///
    /// # Errors
    /// If the value cannot be written as JSON; else as [`send`](Self::send).
    pub async fn send_json(&mut self, value: &(impl Serialize + ?Sized)) -> Result {
        let text = serde_json::to_string(value)?;
        self.send(text).await
    }

    /// Closes the connection: `socket.close(CloseCode::NORMAL)`, `socket.close(Close::new(code, "reason"))`. What was sent
    /// before goes out first. Before `accept` it refuses the handshake with 403, as Channels does.
    pub fn close(&mut self, close: impl Into<Close>) {
        if self.accepted {
            self.sender.close_step(&close.into());
        } else {
            self.deny(crate::Deny::forbidden());
        }
    }

    /// What happens next: a message, an event, or the end, which comes after what was there before it. After the end it
    /// is the end for ever.
    ///
    /// # Cancel safety
    /// Nothing is lost when the wait is cancelled.
    pub async fn next(&mut self) -> Moment {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Moment> {
        let mut inbound = self.sender.inbound();
        let (dropped, over) = (inbound.take_lagged(), inbound.is_over());
        drop(inbound);
        if dropped > 0 {
            return Poll::Ready(Moment::Lagged(dropped));
        }
        self.layer_first = if over {
            self.last_events > 0
        } else {
            !self.layer_first
        };
        if self.layer_first
            && let Poll::Ready(event) = self.poll_inbox(cx)
        {
            self.last_events -= u8::from(over);
            return Poll::Ready(Moment::Event(event));
        }
        if let Poll::Ready(next) = self.sender.inbound().poll_next(cx) {
            return Poll::Ready(match next {
                Ok(message) => Moment::Message(message),
                Err(close) => {
                    self.last_events = 0;
                    Moment::Closed(close)
                }
            });
        }
        self.poll_inbox(cx).map(Moment::Event)
    }

    fn poll_inbox(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        match &mut self.inbox {
            Some(inbox) => inbox.poll_receive(cx),
            None => Poll::Pending,
        }
    }

    /// Joins a group: from now on its events reach this consumer.
    ///
    /// # Errors
    /// If the name is not a group's, or the layer cannot be reached.
    pub async fn group_add(&mut self, group: &str) -> Result {
        let name = GroupName::parse(group)?;
        let channel = self.channel_name().await?;
        // The seat is taken first: who is a member of the group hears it. It is kept only if there is a membership.
        let seat = match &self.lane {
            Some(lane) if !self.seats.iter().any(|(known, _)| *known == name) => {
                Some(lane.sit(&name, &self.sender))
            }
            _ => None,
        };
        self.layer.group_add(group, channel.as_str()).await?;
        self.seats.extend(seat.map(|seat| (name, seat)));
        Ok(())
    }

    /// Leaves a group. It happens by itself when the connection ends.
    ///
    /// # Errors
    /// As [`group_add`](Self::group_add).
    pub async fn group_discard(&mut self, group: &str) -> Result {
        self.seats.retain(|(known, _)| known.as_str() != group);
        if let Some(inbox) = &self.inbox {
            self.layer
                .group_discard(group, inbox.channel().as_str())
                .await?;
        }
        Ok(())
    }

    /// Sends an event to every member of a group, in all processes. [`ChannelLayer::group_send`] also says how many of
    /// them were reached.
    ///
    /// # Errors
    /// If the name is not a group's, the event has no `type`, or the layer cannot be reached.
    pub async fn group_send(&mut self, group: &str, event: &(impl Serialize + Sync)) -> Result {
        self.layer.group_send(group, event).await?;
        Ok(())
    }

    /// The name of this consumer's own channel; whoever knows it can send to this consumer alone.
    ///
    /// # Errors
    /// If the layer cannot be reached.
    pub async fn channel_name(&mut self) -> Result<ChannelName> {
        let inbox = match &mut self.inbox {
            Some(inbox) => inbox,
            inbox => {
                let lane = self.lane.clone().map(SeatLane::lane);
                inbox.insert(
                    self.layer
                        .open_with(Open {
                            lane,
                            ..Open::default()
                        })
                        .await?,
                )
            }
        };
        Ok(inbox.channel().clone())
    }

    /// The layer this consumer's groups live in.
    pub fn layer(&self) -> &ChannelLayer {
        &self.layer
    }

    /// A handle that sends to this connection from anywhere: a list of connections, another task, an
    /// [`Audience`](crate::audience::Audience).
    pub fn sender(&self) -> SocketSender {
        self.sender.clone()
    }

    /// The request's head.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// A parameter of the URL, percent-decoded.
    ///
    /// # Errors
    /// If the route has no parameter of that name.
    pub fn param(&self, name: &str) -> std::result::Result<String, MissingParam> {
        self.scope.param(name)
    }

    /// The first value of a query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.scope.query(name)
    }

    /// The request's headers.
    pub fn headers(&self) -> &HeaderMap {
        self.scope.headers()
    }

    /// What middleware attached to the request.
    pub fn extensions(&self) -> &Extensions {
        self.scope.extensions()
    }

    /// The address of the other end, where the server that accepted it says so.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.scope.peer()
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("path", &self.scope.path())
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

impl Accept {
    /// An answer without subprotocol and further headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The subprotocol, one of those the client offered.
    ///
    /// # Panics
    /// If it is not a token of visible ASCII characters.
    #[must_use]
    pub fn subprotocol(mut self, name: &str) -> Self {
        let name = HeaderValue::from_str(name).expect("a subprotocol is a token of visible ASCII");
        self.extras.get_or_insert_default().subprotocol = Some(name);
        self
    }

    /// A header of the answer; those of the handshake itself cannot be replaced.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        let extras = self.extras.get_or_insert_default();
        extras.headers.append(name, value);
        self
    }

    /// The subprotocol, where one was chosen.
    pub(crate) fn chosen(&self) -> Option<&HeaderValue> {
        self.extras.as_ref()?.subprotocol.as_ref()
    }

    /// The headers of the answer that are not the handshake's own, where there are any.
    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        Some(&self.extras.as_ref()?.headers)
    }
}
