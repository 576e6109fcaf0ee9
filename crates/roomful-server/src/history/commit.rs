//! What both SQL writers do around a transaction: take a batch of requests apart, tell the listeners and answer the authors
//! after the commit, and notice when writing begins to fail and when it works again.

use std::error::Error;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::appending::{Answer, Outcome, give_all};
use super::{Entry, HistoryError, Listeners};

/// Actions in one transaction at most: enough to make a commit cheap, few enough that the first of them does not wait long.
pub(super) const BATCH: usize = 512;
/// Requests that may wait for a writer: a few seconds' worth at full load.
pub(super) const WAITING: usize = 16_384;
/// Bytes of text that may wait for a writer.
pub(super) const WAITING_BYTES: usize = 64 << 20;

/// Where the answer of a probe goes.
type Probe = oneshot::Sender<Result<(), HistoryError>>;

/// What a writer is asked for, and where the answer goes.
pub(super) enum Request {
    Append(Entry, Answer),
    /// Whether writing works.
    Ready(Probe),
}

/// The requests of one turn.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    pub(super) answers: Vec<Answer>,
    probes: Vec<Probe>,
}

impl Batch {
    pub(super) fn of(requests: impl Iterator<Item = Request>) -> Self {
        let (most, _) = requests.size_hint();
        let mut batch = Self {
            entries: Vec::with_capacity(most),
            answers: Vec::with_capacity(most),
            probes: Vec::new(),
        };
        for request in requests {
            match request {
                Request::Append(entry, answer) => {
                    batch.entries.push(entry);
                    batch.answers.push(answer);
                }
                Request::Ready(probe) => batch.probes.push(probe),
            }
        }
        batch
    }

    pub(super) fn has_probes(&self) -> bool {
        !self.probes.is_empty()
    }
}

/// The end of every transaction of one writer.
pub(super) struct Commits {
    listeners: Listeners,
    /// Whether the last one failed.
    failing: bool,
}

impl Commits {
    pub(super) fn new(listeners: Listeners) -> Self {
        Self {
            listeners,
            failing: false,
        }
    }

    /// Tells the listeners and answers, in this order. An error means that nothing was stored, or that nobody knows.
    pub(super) fn finish<E: Error + Send + Sync + 'static>(
        &mut self,
        outcomes: Result<Vec<Outcome>, E>,
        answers: Vec<Answer>,
    ) {
        self.note(outcomes.as_ref().err());
        match outcomes {
            Ok(outcomes) => {
                let appended = outcomes.iter().flatten();
                let new = appended.filter(|appended| !appended.repeated);
                let new: Vec<_> = new.map(|appended| Arc::clone(&appended.event)).collect();
                self.listeners.committed(&new);
                give_all(answers.into_iter().zip(outcomes));
            }
            Err(error) => {
                let error = HistoryError::unavailable(error);
                let refused = |answer| (answer, Err(error.clone()));
                give_all(answers.into_iter().map(refused));
            }
        }
    }

    /// Whether the last write failed: then a probe has to try another, for nobody else may dare to.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }

    /// Answers the probes of a batch. `tried` is what the write gave that had to be tried.
    pub(super) fn answer_probes<E: Error + Send + Sync + 'static>(
        &mut self,
        batch: Batch,
        tried: Option<Result<(), E>>,
    ) {
        if let Some(tried) = &tried {
            self.note(tried.as_ref().err());
        }
        let ready = tried.unwrap_or(Ok(())).map_err(HistoryError::unavailable);
        for probe in batch.probes {
            // A caller that has gone needs no answer.
            let _ = probe.send(ready.clone());
        }
    }

    /// Logs when writing begins to fail and when it works again, not what is refused in between.
    fn note<E: Error>(&mut self, error: Option<&E>) {
        match error {
            Some(error) if !self.failing => {
                tracing::error!(%error, "the history cannot be written; what is said is refused until it can");
            }
            None if self.failing => tracing::info!("the history can be written again"),
            _ => {}
        }
        self.failing = error.is_some();
    }
}
