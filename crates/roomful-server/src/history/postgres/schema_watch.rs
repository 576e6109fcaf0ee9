//! Notices that a newer node has migrated the database while this one runs.
//!
//! A task of its own, with a connection of its own, asks for the two numbers every other second. Where `readable_by` is
//! above what this binary knows, the history takes nothing more and the server stops. Between that migration's commit and
//! the next question this node may still have written: a migration that cannot bear two seconds of that has to be
//! announced, and the older nodes stopped before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::StoreError;
use super::link::Link;
use super::migrate;
use crate::history::migration::Age;
use crate::history::{NewerStore, StoreSchema};

/// How often the database is asked.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looks after the schema while the node runs.
pub(super) struct SchemaWatch {
    /// What this binary knows.
    pub(super) known: u32,
    /// What the database had at the start, or when it was last told.
    pub(super) told: StoreSchema,
    /// Set when nothing more may be taken.
    pub(super) closed: Arc<AtomicBool>,
    /// Where the reason goes.
    pub(super) outdated: watch::Sender<Option<NewerStore>>,
}

impl SchemaWatch {
    /// Watches until this node is too old.
    pub(super) async fn run(mut self, mut link: Link) {
        let mut due = interval(INTERVAL);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let known = self.known;
        loop {
            due.tick().await;
            let found = match link
                .run(&async |session| migrate::read(&session.client).await)
                .await
            {
                Ok(found) => found,
                Err(StoreError::Newer(newer)) => return self.stop(newer),
                // Reading and writing say that the database is away.
                Err(error) => {
                    tracing::debug!(%error, "the schema of the history cannot be read now");
                    continue;
                }
            };
            match found.age(known) {
                Age::NewerUnreadable => return self.stop(NewerStore::new(found, known)),
                Age::NewerReadable if found != self.told => {
                    self.told = found;
                    found.log_newer(known, "the history");
                }
                Age::NewerReadable | Age::Current | Age::Older => {}
            }
        }
    }

    fn stop(self, newer: NewerStore) {
        tracing::error!(
            found = newer.found,
            known = newer.known,
            "{newer}; this server takes nothing more and stops"
        );
        self.closed.store(true, Ordering::Release);
        self.outdated.send_replace(Some(newer));
    }
}
