//! `roomful layer`: speaks to the channel layer, one JSON object per line in, one answer per line out. A tool for operators
//! who want to look, and for tests in other languages.
//!
//! | line | answer's `ok` |
//! | --- | --- |
//! | `{"do":"new_channel"}` | a fresh name, that this program receives for |
//! | `{"do":"send","channel":…,"event":…}` | `true` |
//! | `{"do":"receive","channel":…,"wait":1.0}` | the next event, or `null` after so many seconds without one |
//! | `{"do":"group_add","group":…,"channel":…}`, `{"do":"group_discard",…}` | `true` |
//! | `{"do":"group_send","group":…,"event":…}` | `{"delivered":…,"dropped":…}`, as far as it is known |
//! | `{"do":"flush"}` | `true` |
//!
//! What does not work is answered by `{"error":{"code":…,"message":…}}`, and the next line is read. How bytes are written
//! is in `json`. A channel that was received from is listened to until the program ends, which it does with its input.

mod json;

use std::collections::HashMap;
use std::io::{self, BufRead as _, Write as _};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use roomful::ChannelLayer;
use roomful::layer::{Inbox, LayerError};
use roomful_server::app::layer_options;
use roomful_server::config::LayerConfig;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::json::{event_of, value_of};

/// What a line asks for.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    NewChannel {},
    Send { channel: String, event: Value },
    Receive { channel: String, wait: f64 },
    GroupAdd { group: String, channel: String },
    GroupDiscard { group: String, channel: String },
    GroupSend { group: String, event: Value },
    Flush {},
}

/// Why a line was not done.
enum Failure {
    Request(serde_json::Error),
    Layer(LayerError),
}

impl<E: Into<LayerError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Layer(error.into())
    }
}

/// Answers the lines of standard input until it ends.
pub(crate) fn run(config: &LayerConfig) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    // One line waits at most: who writes faster than we answer waits in the pipe.
    let (sender, mut lines) = mpsc::channel(1);
    // Reading blocks, and ends with the process.
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    runtime.block_on(async {
        let mut tool = Tool {
            layer: roomful_server::layer::open(&layer_options(config)).await?,
            inboxes: HashMap::new(),
        };
        while let Some(line) = lines.recv().await {
            let line = line.context("cannot read the input")?;
            if line.trim().is_empty() {
                continue;
            }
            let answer = tool.answer(&line).await;
            let mut out = io::stdout().lock();
            writeln!(out, "{answer}")
                .and_then(|()| out.flush())
                .context("cannot write an answer")?;
        }
        Ok(())
    })
}

struct Tool {
    layer: ChannelLayer,
    inboxes: HashMap<String, Inbox>,
}

impl Tool {
    async fn answer(&mut self, line: &str) -> Value {
        let done = match serde_json::from_str(line) {
            Ok(request) => self.perform(request).await,
            Err(error) => Err(Failure::Request(error)),
        };
        match done {
            Ok(value) => json!({ "ok": value }),
            Err(failure) => {
                json!({"error": {"code": failure.code(), "message": failure.message()}})
            }
        }
    }

    async fn perform(&mut self, request: Request) -> Result<Value, Failure> {
        let layer = &self.layer;
        match request {
            Request::NewChannel {} => {
                let channel = layer.new_channel().await?.to_string();
                let inbox = layer.listen(&channel).await?;
                self.inboxes.insert(channel.clone(), inbox);
                return Ok(channel.into());
            }
            Request::Receive { channel, wait } => return self.receive(channel, wait).await,
            Request::GroupSend { group, event } => {
                let sent = layer.group_send(&group, &event_of(&event)?).await?;
                return Ok(json!({"delivered": sent.delivered, "dropped": sent.dropped}));
            }
            Request::Send { channel, event } => layer.send(&channel, &event_of(&event)?).await?,
            Request::GroupAdd { group, channel } => layer.group_add(&group, &channel).await?,
            Request::GroupDiscard { group, channel } => {
                layer.group_discard(&group, &channel).await?;
            }
            Request::Flush {} => layer.flush().await?,
        }
        Ok(true.into())
    }

    async fn receive(&mut self, channel: String, wait: f64) -> Result<Value, Failure> {
        if !self.inboxes.contains_key(&channel) {
            let inbox = self.layer.listen(&channel).await?;
            self.inboxes.insert(channel.clone(), inbox);
        }
        let inbox = self
            .inboxes
            .get_mut(&channel)
            .expect("it was put there if it was not");
        let wait = Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX);
        match timeout(wait, inbox.receive()).await {
            Ok(event) => Ok(value_of(&event)?),
            Err(_) => Ok(Value::Null),
        }
    }
}

impl Failure {
    /// For programs; these never change.
    fn code(&self) -> &'static str {
        match self {
            Self::Request(_) => "bad_request",
            Self::Layer(error) => match error {
                LayerError::ChannelFull { .. } => "channel_full",
                LayerError::InvalidName(_) => "invalid_name",
                LayerError::Event(_) => "invalid_event",
                LayerError::Closed(_) => "channel_closed",
                LayerError::InUse(_) => "channel_in_use",
                LayerError::Elsewhere(_) => "channel_elsewhere",
                LayerError::Unavailable(_) => "layer_unavailable",
                _ => "layer_error",
            },
        }
    }

    /// For people, with the causes.
    fn message(&self) -> String {
        match self {
            Self::Request(error) => format!("not a line this tool knows: {error}"),
            Self::Layer(error) => {
                let mut message = error.to_string();
                let mut cause = std::error::Error::source(error);
                while let Some(error) = cause {
                    message.push_str(&format!(": {error}"));
                    cause = error.source();
                }
                message
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tool() -> Tool {
        Tool {
            layer: ChannelLayer::memory(),
            inboxes: HashMap::new(),
        }
    }

    #[tokio::test]
    async fn every_line_is_answered() {
        let mut tool = tool().await;
        let channel = tool.answer(r#"{"do":"new_channel"}"#).await["ok"]
            .as_str()
            .unwrap()
            .to_owned();
        let join = json!({"do": "group_add", "group": "room", "channel": channel}).to_string();
        assert_eq!(tool.answer(&join).await, json!({"ok": true}));

        let event =
            json!({"type": "t", "data": {"__bytes__": "AP8="}, "n": u64::MAX, "none": null});
        let say = json!({"do": "group_send", "group": "room", "event": event}).to_string();
        assert_eq!(
            tool.answer(&say).await,
            json!({"ok": {"delivered": 1, "dropped": 0}})
        );
        let hear = json!({"do": "receive", "channel": channel, "wait": 1.0}).to_string();
        assert_eq!(tool.answer(&hear).await, json!({ "ok": event }));

        let leave = join.replace("group_add", "group_discard");
        assert_eq!(tool.answer(&leave).await, json!({"ok": true}));
        let direct = json!({"do": "send", "channel": channel, "event": event}).to_string();
        assert_eq!(tool.answer(&direct).await, json!({"ok": true}));
        assert_eq!(tool.answer(r#"{"do":"flush"}"#).await, json!({"ok": true}));
        let hear = json!({"do": "receive", "channel": channel, "wait": 0}).to_string();
        assert_eq!(tool.answer(&hear).await, json!({"ok": null}));
    }

    #[tokio::test]
    async fn what_does_not_work_is_answered_too() {
        let mut tool = tool().await;
        for (line, code) in [
            ("", "bad_request"),
            ("{", "bad_request"),
            (r#"{"do":"sing"}"#, "bad_request"),
            (r#"{"do":"flush","now":true}"#, "bad_request"),
            (
                r#"{"do":"receive","channel":"a b","wait":0}"#,
                "invalid_name",
            ),
            (r#"{"do":"send","channel":"a","event":{}}"#, "invalid_event"),
            (
                r#"{"do":"send","channel":"a","event":{"type":"t","x":{"__bytes__":"?"}}}"#,
                "invalid_event",
            ),
        ] {
            let answer = tool.answer(line).await;
            assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
            assert!(answer["error"]["message"].is_string(), "{line}: {answer}");
        }
        let send = r#"{"do":"send","channel":"a","event":{"type":"t"}}"#;
        for _ in 0..100 {
            tool.answer(send).await;
        }
        assert_eq!(tool.answer(send).await["error"]["code"], "channel_full");
    }
}
