//! What one client has under way in the store.

use std::collections::VecDeque;
use std::future::pending;

use roomful::Result;

use crate::chat::{Acting, Said};
use crate::refusal::Refusal;

/// Actions of one client that may be under way; then its socket is not read.
const MOST: usize = 64;

/// What the client calls what it did, and what became of it.
pub(super) type Outcome<Id> = (Id, Result<Said, Refusal>);

/// What one client has under way in the store: all of it at once, answered in the order it was said.
pub(super) struct UnderWay<'a, Id> {
    actions: VecDeque<(Id, Acting<'a>)>,
}

impl<'a, Id> UnderWay<'a, Id> {
    pub(super) fn new() -> Self {
        Self {
            actions: VecDeque::new(),
        }
    }

    /// Takes one more. What is known at once, with nothing before it, is answered at once.
    pub(super) fn push(&mut self, id: Id, acting: Acting<'a>) -> Option<Outcome<Id>> {
        match acting {
            Acting::Done(outcome) if self.is_empty() => Some((id, outcome)),
            acting => {
                self.actions.push_back((id, acting));
                None
            }
        }
    }

    /// Waits for the next outcome; never ends where nothing is under way.
    ///
    /// # Cancel safety
    /// Nothing is lost when the wait is cancelled.
    pub(super) async fn next(&mut self) -> Outcome<Id> {
        if let Some((_, acting)) = self.actions.front_mut() {
            acting.wait().await;
        }
        match self.actions.pop_front() {
            Some((id, Acting::Done(outcome))) => (id, outcome),
            _ => pending().await,
        }
    }

    /// Waits for everything; the answers have nobody who would hear them.
    pub(super) async fn finish(&mut self) {
        while !self.is_empty() {
            let (_, _nobody_hears) = self.next().await;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// Whether there is room for more.
    pub(super) fn has_room(&self) -> bool {
        self.actions.len() < MOST
    }
}
