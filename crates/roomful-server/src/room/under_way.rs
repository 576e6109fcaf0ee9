//! What one client has under way in the store.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::{MaybeDone, maybe_done};
use roomful::Result;

use crate::chat::{Chat, Room, Said};
use crate::protocol::{Action, Member};
use crate::refusal::Refusal;

/// Actions of one client that may be under way; then its socket is not read.
const MOST: usize = 64;

/// The client's id for what it did, and what became of it.
pub(super) type Outcome = (Arc<str>, Result<Said, Refusal>);

/// Boxed, as it is much larger than all else that a connection keeps.
type Saying = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What one client has under way in the store: all of it at once, answered in the order it was said.
#[derive(Default)]
pub(super) struct UnderWay {
    sayings: VecDeque<MaybeDone<Saying>>,
    /// Of these so many were polled, and so begun.
    begun: usize,
}

impl UnderWay {
    /// Takes one more; [`next`](Self::next) begins it.
    pub(super) fn push(&mut self, saying: Saying) {
        self.sayings.push_back(maybe_done(saying));
    }

    /// Begins what was pushed, and waits for the next outcome; never ends where nothing is under way.
    ///
    /// # Cancel safety
    /// Nothing is lost when the wait is cancelled.
    pub(super) async fn next(&mut self) -> Outcome {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        for saying in self.sayings.iter_mut().skip(self.begun) {
            let _ = Pin::new(saying).poll(cx);
        }
        self.begun = self.sayings.len();
        if let Some(first) = self.sayings.front_mut() {
            ready!(Pin::new(&mut *first).poll(cx));
            if let Some(outcome) = Pin::new(first).take_output() {
                self.sayings.pop_front();
                self.begun -= 1;
                return Poll::Ready(outcome);
            }
        }
        Poll::Pending
    }

    /// Waits for everything; the answers have nobody who would hear them.
    pub(super) async fn finish(&mut self) {
        while !self.is_empty() {
            let (_, _nobody_hears) = self.next().await;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sayings.is_empty()
    }

    /// Whether there is room for more.
    pub(super) fn has_room(&self) -> bool {
        self.sayings.len() < MOST
    }
}

/// What a member does in a room, ready to be started.
pub(super) fn act(
    chat: &Chat,
    room: &Room,
    member: &Member,
    id: Arc<str>,
    action: Action,
) -> Saying {
    let (chat, room, member) = (chat.clone(), room.name().clone(), member.clone());
    Box::pin(async move {
        let said = chat.act(&room, &member, Arc::clone(&id), action).await;
        (id, said)
    })
}
