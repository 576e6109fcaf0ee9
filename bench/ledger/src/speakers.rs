//! Speakers: each says its messages, and says again what is not acknowledged, with the same id, until it is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::book::{Book, Retry};
use crate::client::{Backoff, Connection, Cursor, PATIENCE, http, messages_url};

/// What a WebSocket speaker has on its way at once.
const WINDOW: usize = 8;
/// Of a hundred acknowledged messages, how many are said once more: the answer has to be the same.
const REPEATED_PERCENT: u8 = 2;
/// A POST that takes longer is given up, and said again.
const POST_PATIENCE: Duration = Duration::from_secs(5);

/// One speaker.
pub(crate) struct Speaker {
    pub(crate) number: usize,
    pub(crate) room: usize,
    pub(crate) room_name: String,
    pub(crate) messages: usize,
    pub(crate) text_bytes: usize,
    /// Between two messages, on average.
    pub(crate) pause: Duration,
    /// The proxy's port.
    pub(crate) port: u16,
    pub(crate) book: Arc<Book>,
    pub(crate) chance: fastrand::Rng,
}

impl Speaker {
    /// What it is called; also in the log.
    pub(crate) fn name(number: usize) -> String {
        format!("Speaker {number}")
    }

    fn id(&self, number: usize) -> String {
        format!("s{}-{number}", self.number)
    }

    fn text(&self, id: &str) -> String {
        let mut text = format!("{id} 你好 🎉 ");
        while text.len() < self.text_bytes {
            text.push_str("lorem ipsum ");
        }
        // Text is kept as it was said, blanks at its ends too; the log is compared byte by byte.
        text
    }

    fn sending(&self, id: &str) -> String {
        let text = self.text(id);
        self.book.sending(id, self.room, self.number, &text);
        text
    }

    fn think(&mut self) -> Duration {
        self.pause.mul_f64(self.chance.f64() * 2.0)
    }

    /// Speaks over a WebSocket until everything is acknowledged.
    pub(crate) async fn over_websocket(mut self) -> Result<()> {
        let mut backoff = Backoff::new(self.chance.fork());
        let mut speaking = Speaking {
            todo: (0..self.messages).collect(),
            pending: BTreeMap::new(),
            token: None,
        };
        while !speaking.is_done() {
            // However the connection ends, what is pending is said again on the next one.
            if self
                .one_connection(&mut speaking, &mut backoff)
                .await
                .is_err()
            {
                backoff.wait().await;
            }
        }
        Ok(())
    }

    async fn one_connection(
        &mut self,
        speaking: &mut Speaking,
        backoff: &mut Backoff,
    ) -> Result<()> {
        let name = Self::name(self.number);
        let token = speaking.token.as_deref();
        let nothing = Cursor::default();
        let (mut connection, welcome) =
            Connection::open(self.port, &self.room_name, &name, token, &nothing).await?;
        let token = welcome["you"]["token"].as_str();
        speaking.token = Some(token.context("a welcome has a token")?.to_owned());
        for number in speaking.pending.keys() {
            self.say(&mut connection, *number).await?;
        }
        let mut heard = Instant::now();
        let mut next = Instant::now() + self.think();
        while !speaking.is_done() {
            let may_say = speaking.pending.len() < WINDOW && !speaking.todo.is_empty();
            let again = speaking.pending.values().flatten().min().copied();
            tokio::select! {
                said = connection.next() => {
                    if self.hear(&mut connection, speaking, &said?).await? == Heard::Answer {
                        heard = Instant::now();
                        backoff.reset();
                    }
                }
                () = until(next), if may_say => {
                    if speaking.pending.is_empty() {
                        heard = Instant::now();
                    }
                    if let Some(number) = speaking.todo.pop_front() {
                        speaking.pending.insert(number, None);
                        self.say(&mut connection, number).await?;
                    }
                    next = Instant::now() + self.think();
                }
                () = until(again.unwrap_or(heard)), if again.is_some() => {
                    let now = Instant::now();
                    let due = speaking.pending.iter_mut().filter(|(_, at)| at.is_some_and(|at| at <= now));
                    let due: Vec<usize> = due.map(|(number, at)| { *at = None; *number }).collect();
                    for number in due {
                        self.say(&mut connection, number).await?;
                    }
                    heard = now;
                }
                () = until(heard + PATIENCE), if !speaking.pending.is_empty() => bail!("no answer in time"),
            }
        }
        Ok(())
    }

    async fn say(&self, connection: &mut Connection, number: usize) -> Result<()> {
        let id = self.id(number);
        let text = self.sending(&id);
        let say = json!({"type": "chat.say", "id": id, "text": text});
        timeout(PATIENCE, connection.send(&say)).await?
    }

    async fn hear(
        &mut self,
        connection: &mut Connection,
        speaking: &mut Speaking,
        said: &Value,
    ) -> Result<Heard> {
        let number = said["id"]
            .as_str()
            .and_then(|id| number_in(self.number, id));
        match (said["type"].as_str(), number) {
            (Some("chat.said"), Some(number)) => {
                let seq = said["seq"].as_u64().context("a numbered room numbers")?;
                self.book.acknowledged(&self.id(number), seq);
                let first = speaking.pending.remove(&number).is_some();
                if first && self.chance.u8(..100) < REPEATED_PERCENT {
                    self.say(connection, number).await?;
                }
                Ok(Heard::Answer)
            }
            (Some("chat.error"), Some(number)) => {
                let code = said["code"].as_str().unwrap_or_default();
                if self.book.refused(&self.id(number), code) == Retry::Never {
                    speaking.pending.remove(&number);
                } else if let Some(again) = speaking.pending.get_mut(&number) {
                    let Some(wait) = said["retry_after_ms"].as_u64() else {
                        self.book
                            .violation(format!("`{code}` does not say when to try again"));
                        bail!("no retry_after_ms");
                    };
                    *again = Some(Instant::now() + Duration::from_millis(wait));
                }
                Ok(Heard::Answer)
            }
            (Some("chat.error"), None) => {
                self.book
                    .violation(format!("speaker {} heard {said}", self.number));
                Ok(Heard::Other)
            }
            _ => Ok(Heard::Other),
        }
    }

    /// Speaks by POST until everything is acknowledged.
    pub(crate) async fn over_post(mut self) -> Result<()> {
        let client = http()?;
        let mut token = None;
        let mut attempts = 0;
        for number in 0..self.messages {
            sleep(self.think()).await;
            let mut backoff = Backoff::new(self.chance.fork());
            loop {
                attempts += 1;
                // Who has no token yet is somebody new each time: only with a new id is that not said twice.
                let id = match &token {
                    Some(_) => self.id(number),
                    None => format!("{}-first{attempts}", self.id(number)),
                };
                match self.post(&client, &id, token.as_deref()).await {
                    Ok(Posted::Stored(you)) => {
                        token = token.or(you);
                        break;
                    }
                    Ok(Posted::Refused(wait)) => sleep(wait).await,
                    Err(_) => backoff.wait().await,
                }
            }
            if self.chance.u8(..100) < REPEATED_PERCENT && token.is_some() && number > 0 {
                // Whatever becomes of this one: it was acknowledged before.
                let _ = self.post(&client, &self.id(number), token.as_deref()).await;
            }
        }
        Ok(())
    }

    async fn post(
        &self,
        client: &reqwest::Client,
        id: &str,
        token: Option<&str>,
    ) -> Result<Posted> {
        let text = self.sending(id);
        let mut request = client
            .post(messages_url(self.port, &self.room_name))
            .timeout(POST_PATIENCE)
            .json(&json!({"id": id, "text": text, "name": Self::name(self.number)}));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let answer: Value = response.json().await?;
        match status {
            200 | 201 => {
                let seq = answer["seq"]
                    .as_u64()
                    .context("a stored message has a number")?;
                self.book.acknowledged(id, seq);
                let token = answer["you"]["token"].as_str().map(str::to_owned);
                Ok(Posted::Stored(token))
            }
            _ => {
                let code = answer["error"]["code"].as_str().unwrap_or_default();
                if self.book.refused(id, code) == Retry::Never {
                    return Ok(Posted::Stored(None));
                }
                // What came in half may be sent again at once.
                if retry_after.is_none() && code != "incomplete_request" {
                    self.book
                        .violation(format!("{status} `{code}` comes without Retry-After"));
                }
                Ok(Posted::Refused(Duration::from_secs(
                    retry_after.unwrap_or(0),
                )))
            }
        }
    }
}

/// What a WebSocket speaker has to say, over all its connections.
struct Speaking {
    todo: VecDeque<usize>,
    /// Said and not acknowledged; with a time where it was refused and is to be said again then.
    pending: BTreeMap<usize, Option<Instant>>,
    token: Option<String>,
}

impl Speaking {
    fn is_done(&self) -> bool {
        self.todo.is_empty() && self.pending.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Answer,
    Other,
}

enum Posted {
    /// With the token of whoever came without one.
    Stored(Option<String>),
    /// For so long.
    Refused(Duration),
}

/// The number in an id, if it is one of this speaker's.
fn number_in(speaker: usize, id: &str) -> Option<usize> {
    id.strip_prefix(&format!("s{speaker}-"))?.parse().ok()
}

async fn until(moment: Instant) {
    tokio::time::sleep_until(moment.into()).await;
}
