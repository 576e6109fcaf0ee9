//! Readers on four transports. Each keeps its list by its cursor, comes back with it when cut, and never asks for anything a
//! client of that transport would not ask for.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::client::{Backoff, Closed, Connection, Cursor, PATIENCE, events_url, http};
use crate::list::{Event, List, Taken};

/// A member that missed more gets the newest page and a break, and reads the rest of the log page by page.
const LARGEST_GAP: u64 = 500;
/// How long a long poll is held.
const WAIT_SECONDS: u64 = 5;
/// How long a polling reader waits before it asks again.
const POLLED_EVERY_MS: std::ops::Range<u64> = 20..150;
/// An event stream says every 15 seconds that it lives.
const STREAM_SILENCE: Duration = Duration::from_secs(20);
/// Silence after which a WebSocket reader asks whether anybody is there.
const SOCKET_SILENCE: Duration = Duration::from_secs(10);

/// How a reader hears the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSocket,
    EventStream,
    LongPoll,
    Poll,
}

impl Transport {
    pub(crate) const ALL: [Self; 4] = [
        Self::WebSocket,
        Self::EventStream,
        Self::LongPoll,
        Self::Poll,
    ];
}

/// One reader; clones share its list.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) name: String,
    pub(crate) transport: Transport,
    pub(crate) room: usize,
    pub(crate) room_name: String,
    /// Where it connects to: the proxy, or a server that moves.
    port: watch::Receiver<u16>,
    /// While this is closed, a WebSocket reader does not read, and stays connected.
    pub(crate) gate: Gate,
    list: Arc<Mutex<List>>,
}

/// Whether a reader reads now.
pub(crate) type Gate = watch::Receiver<bool>;

/// One answer to a poll.
#[derive(Deserialize)]
pub(crate) struct Page {
    epoch: Value,
    pub(crate) head: u64,
    recovered: bool,
    pub(crate) events: Vec<Event>,
}

impl Reader {
    pub(crate) fn new(
        transport: Transport,
        number: usize,
        room: usize,
        room_name: &str,
        port: watch::Receiver<u16>,
    ) -> Self {
        let (_, open) = watch::channel(true);
        Self {
            name: format!("{transport:?} reader {number}"),
            transport,
            room,
            room_name: room_name.to_owned(),
            port,
            gate: open,
            list: Arc::default(),
        }
    }

    /// What it has.
    pub(crate) fn list(&self) -> MutexGuard<'_, List> {
        self.list
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Reads for ever, through everything that breaks.
    pub(crate) async fn read(self, mut chance: fastrand::Rng) -> Result<()> {
        let client = http()?;
        let mut backoff = Backoff::new(chance.fork());
        loop {
            let before = self.list().last();
            let ended = match self.transport {
                Transport::WebSocket => self.socket(&client).await,
                Transport::EventStream => self.stream(&client).await,
                Transport::LongPoll => self.poll(&client, Some(WAIT_SECONDS)).await,
                Transport::Poll => {
                    sleep(Duration::from_millis(chance.u64(POLLED_EVERY_MS))).await;
                    self.poll(&client, None).await
                }
            };
            if self.list().last() > before {
                backoff.reset();
            }
            if let Err(error) = ended {
                if let Some(Closed(code)) = error.downcast_ref() {
                    self.list().closes.push(*code);
                }
                backoff.wait().await;
            }
        }
    }

    fn port(&self) -> u16 {
        *self.port.borrow()
    }

    fn cursor(&self) -> Cursor {
        let list = self.list();
        Cursor {
            after: Some(list.last()),
            epoch: list.epoch.clone(),
        }
    }

    fn violation(&self, sentence: String) {
        self.list().violations.push(sentence);
    }

    /// One WebSocket connection, until it ends.
    async fn socket(&self, client: &reqwest::Client) -> Result<()> {
        let cursor = self.cursor();
        let (mut connection, welcome) =
            Connection::open(self.port(), &self.room_name, &self.name, None, &cursor).await?;
        let head = welcome["seq"].as_u64().context("a welcome has a number")?;
        {
            let mut list = self.list();
            list.welcomes += 1;
            list.check_epoch(&welcome["epoch"]);
            list.check_head(head);
        }
        let mut may_skip = welcome["recovered"] != true;
        if may_skip && head.saturating_sub(self.list().last()) <= LARGEST_GAP {
            let last = self.list().last();
            self.violation(format!(
                "not recovered after {last}, with the log's end at {head}"
            ));
        }
        let mut gate = self.gate.clone();
        loop {
            // Nobody closes it for good: where its other end is gone, it stays as it was.
            let _ = gate.wait_for(|open| *open).await;
            let said = match timeout(SOCKET_SILENCE, connection.next()).await {
                Ok(said) => said?,
                Err(_) => {
                    connection
                        .send(&serde_json::json!({"type": "chat.ping"}))
                        .await?;
                    timeout(PATIENCE, connection.next())
                        .await
                        .context("nobody there")??
                }
            };
            match said["type"].as_str() {
                Some("chat.message") => {
                    let event: Event = serde_json::from_value(said)?;
                    let taken = self.list().take(event.clone());
                    if taken == Taken::Early {
                        if !may_skip {
                            let last = self.list().last();
                            self.violation(format!(
                                "{} came after {last} on one connection",
                                event.seq
                            ));
                        }
                        while self.list().last() + 1 < event.seq {
                            self.poll(client, None).await?;
                        }
                        self.list().take(event);
                    }
                    // The break is over with its first event.
                    may_skip = false;
                }
                Some("chat.resync" | "chat.bye") => bail!("told to come back"),
                _ => {}
            }
        }
    }

    /// One event stream, until it ends.
    async fn stream(&self, client: &reqwest::Client) -> Result<()> {
        let cursor = self.cursor();
        let mut request = client
            .get(events_url(self.port(), &self.room_name, &cursor, None))
            .header("accept", "text/event-stream");
        if let (Some(epoch), Some(after @ 1..)) = (&cursor.epoch, cursor.after) {
            request = request.header("last-event-id", format!("{epoch}:{after}"));
        }
        let sent = timeout(PATIENCE, request.send());
        let mut response = sent
            .await
            .context("no answer in time")??
            .error_for_status()?;
        let mut received: Vec<u8> = Vec::new();
        while let Some(chunk) = timeout(STREAM_SILENCE, response.chunk())
            .await
            .context("no sign of life")??
        {
            received.extend_from_slice(&chunk);
            // An event counts when its blank line has come; half of one is lost with its connection.
            while let Some(end) = received.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = received.drain(..end + 2).collect();
                self.dispatch(&String::from_utf8(event)?)?;
            }
        }
        bail!("the stream ended")
    }

    fn dispatch(&self, event: &str) -> Result<()> {
        let mut id = None;
        for line in event.lines() {
            if let Some(value) = line.strip_prefix("id: ") {
                id = Some(value.to_owned());
            }
            let Some(data) = line.strip_prefix("data: ") else {
                continue;
            };
            let said: Value = serde_json::from_str(data).context("the stream carries JSON")?;
            let mut list = self.list();
            match said["type"].as_str() {
                Some("chat.welcome") => {
                    list.check_epoch(&said["epoch"]);
                    list.check_head(said["seq"].as_u64().unwrap_or_default());
                    if said["recovered"] != true {
                        let last = list.last();
                        list.violations
                            .push(format!("the stream was not recovered after {last}"));
                    }
                }
                Some("chat.message") => {
                    let event: Event = serde_json::from_value(said)?;
                    let last = list.last();
                    let seq = event.seq;
                    let expected = list.epoch.as_deref().map(|epoch| format!("{epoch}:{seq}"));
                    if id != expected {
                        list.violations
                            .push(format!("event {seq} of the stream has the id {id:?}"));
                    }
                    if list.take(event) == Taken::Early {
                        list.violations
                            .push(format!("{seq} came after {last} in one stream"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// One poll, held for `wait` seconds if there is nothing.
    async fn poll(&self, client: &reqwest::Client, wait: Option<u64>) -> Result<()> {
        let cursor = self.cursor();
        let request = client
            .get(events_url(self.port(), &self.room_name, &cursor, wait))
            .timeout(PATIENCE + Duration::from_secs(wait.unwrap_or(0)));
        let response = request.send().await?.error_for_status()?;
        let page: Page = response.json().await?;
        let mut list = self.list();
        list.check_epoch(&page.epoch);
        list.check_head(page.head);
        let after = cursor.after.unwrap_or_default();
        if !page.recovered {
            list.violations
                .push(format!("a poll was not recovered after {after}"));
        }
        for (expected, event) in (after + 1..).zip(page.events) {
            let seq = event.seq;
            if list.take(event) == Taken::Early || seq != expected {
                list.violations.push(format!(
                    "a poll after {after} answered {seq} in place of {expected}"
                ));
            }
        }
        Ok(())
    }
}
