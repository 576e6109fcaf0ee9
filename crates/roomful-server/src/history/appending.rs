//! An action on its way into the log, and the way back of its outcome.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{Appended, HistoryError};

/// What became of an action.
pub(super) type Outcome = Result<Appended, HistoryError>;

/// An action that was given to the store, and its outcome as soon as there is one. The store goes on without it being
/// polled, and if it is dropped, as long as the runtime runs that it was given from.
#[derive(Debug)]
#[must_use = "the outcome says whether it is stored"]
pub struct Appending(State);

#[derive(Debug)]
enum State {
    Known(Option<Outcome>),
    Waiting(oneshot::Receiver<Outcome>),
}

/// Where an outcome is waited for.
pub(super) struct Answer {
    outcome: oneshot::Sender<Outcome>,
    /// The runtime that waits, where it was asked from one.
    home: Option<Handle>,
}

impl Appending {
    /// The outcome that is known already.
    pub(super) fn known(outcome: Outcome) -> Self {
        Self(State::Known(Some(outcome)))
    }

    /// An outcome that another thread will give.
    pub(super) fn waiting() -> (Answer, Self) {
        let (outcome, waiting) = oneshot::channel();
        let home = Handle::try_current().ok();
        (Answer { outcome, home }, Self(State::Waiting(waiting)))
    }

    /// The outcome, if it was known at once.
    ///
    /// # Errors
    /// The action itself, if its outcome has to be waited for.
    pub fn now(self) -> Result<Result<Appended, HistoryError>, Self> {
        match self.0 {
            State::Known(Some(outcome)) => Ok(outcome),
            state => Err(Self(state)),
        }
    }
}

impl Future for Appending {
    type Output = Result<Appended, HistoryError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match &mut self.0 {
            State::Known(outcome) => outcome.take().expect("polled once after it is ready"),
            State::Waiting(waiting) => {
                ready!(Pin::new(waiting).poll(cx)).unwrap_or(Err(HistoryError::Closed))
            }
        })
    }
}

impl Answer {
    /// The runtime that waits, where it was asked from one.
    pub(super) fn home(&self) -> Option<&Handle> {
        self.home.as_ref()
    }

    pub(super) fn give(self, outcome: Outcome) {
        // Who has gone meanwhile needs no answer.
        let _ = self.outcome.send(outcome);
    }
}

/// Gives each its outcome: with one wake-up for all who wait in the same runtime, where each alone would cost one.
pub(super) fn give_all(outcomes: impl Iterator<Item = (Answer, Outcome)>) {
    let mut homes: Vec<(Handle, Vec<(Answer, Outcome)>)> = Vec::new();
    for (mut answer, outcome) in outcomes {
        let Some(home) = answer.home.take() else {
            answer.give(outcome);
            continue;
        };
        match homes.iter_mut().find(|(known, _)| known.id() == home.id()) {
            Some((_, answers)) => answers.push((answer, outcome)),
            None => homes.push((home, vec![(answer, outcome)])),
        }
    }
    for (home, answers) in homes {
        // A runtime that has ended drops them: nobody waits there any more.
        drop(home.spawn(async move {
            for (answer, outcome) in answers {
                answer.give(outcome);
            }
        }));
    }
}
