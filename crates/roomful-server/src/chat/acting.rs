//! Something a member did, on its way into the log.

use std::time::Instant;

use super::{Chat, Said};
use crate::history::{Appended, Appending, HistoryError};
use crate::refusal::Refusal;

/// What becomes of something a member did.
#[must_use = "the outcome says whether it is stored"]
pub enum Acting<'a> {
    /// Known at once.
    Done(Result<Said, Refusal>),
    /// With the store, which goes on whether this is waited for or not.
    Storing(Storing<'a>),
}

/// An action that the store has.
pub struct Storing<'a> {
    chat: &'a Chat,
    since: Instant,
    appending: Appending,
}

impl<'a> Acting<'a> {
    pub(super) fn storing(chat: &'a Chat, appending: Appending) -> Self {
        match appending.now() {
            Ok(outcome) => Self::Done(said(chat, None, outcome)),
            Err(appending) => Self::Storing(Storing {
                chat,
                since: Instant::now(),
                appending,
            }),
        }
    }

    /// Waits until it is done.
    ///
    /// # Cancel safety
    /// Nothing is lost when the wait is cancelled.
    pub async fn wait(&mut self) {
        if let Self::Storing(storing) = self {
            let outcome = (&mut storing.appending).await;
            *self = Self::Done(said(storing.chat, Some(storing.since), outcome));
        }
    }

    /// Resolves when it is stored.
    ///
    /// # Errors
    /// As [`Chat::act`].
    pub async fn done(self) -> Result<Said, Refusal> {
        match self {
            Self::Done(outcome) => outcome,
            Self::Storing(storing) => {
                said(storing.chat, Some(storing.since), storing.appending.await)
            }
        }
    }
}

/// What the store says, counted.
fn said(
    chat: &Chat,
    since: Option<Instant>,
    outcome: Result<Appended, HistoryError>,
) -> Result<Said, Refusal> {
    let Appended { event, repeated } = outcome?;
    if !repeated {
        let after = since.map(|since| since.elapsed()).unwrap_or_default();
        chat.counters().acted(event.kind, after);
    }
    Ok(Said { event, repeated })
}
