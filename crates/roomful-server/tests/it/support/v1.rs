//! A client of `roomful.v1`.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Listening, Socket};

/// A member of a room.
pub(crate) struct V1 {
    socket: Socket,
    /// Events that came while something else was waited for.
    passed: VecDeque<Value>,
    pub(crate) welcome: Value,
}

impl V1 {
    /// Connects without a hello.
    pub(crate) async fn open(server: &impl Listening, room: &str) -> Self {
        let socket = Socket::open(server, &format!("/room/{room}/"), &["roomful.v1"]).await;
        assert_eq!(socket.subprotocol.as_deref(), Some("roomful.v1"));
        Self {
            socket,
            passed: VecDeque::new(),
            welcome: Value::Null,
        }
    }

    /// Joins a room under a name.
    pub(crate) async fn join(server: &impl Listening, room: &str, name: &str) -> Self {
        Self::join_with(server, room, json!({ "name": name })).await
    }

    /// Joins a room with this hello; the first answer must be the welcome.
    pub(crate) async fn join_with(server: &impl Listening, room: &str, mut hello: Value) -> Self {
        let mut client = Self::open(server, room).await;
        hello["type"] = "chat.hello".into();
        client.send(&hello).await;
        client.welcome = client.next().await;
        assert_eq!(client.welcome["type"], "chat.welcome", "{}", client.welcome);
        client
    }

    pub(crate) fn id(&self) -> &str {
        self.welcome["you"]["id"].as_str().unwrap()
    }

    pub(crate) fn token(&self) -> String {
        self.welcome["you"]["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.socket.say(&message.to_string()).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        self.socket.send(message).await;
    }

    /// The very next message.
    pub(crate) async fn next(&mut self) -> Value {
        if let Some(passed) = self.passed.pop_front() {
            return passed;
        }
        self.receive().await
    }

    async fn receive(&mut self) -> Value {
        serde_json::from_str(&self.socket.hear().await).unwrap()
    }

    /// The next message of a type; what comes before it is kept for later.
    pub(crate) async fn hear(&mut self, kind: &str) -> Value {
        if let Some(index) = self.passed.iter().position(|passed| passed["type"] == kind) {
            return self.passed.remove(index).unwrap();
        }
        loop {
            let message = self.receive().await;
            if message["type"] == kind {
                return message;
            }
            self.passed.push_back(message);
        }
    }

    /// Does something and waits for the answer to it, which must say that it is stored. Gives its number.
    pub(crate) async fn does(&mut self, action: Value) -> Value {
        self.send(&action).await;
        let said = self.hear("chat.said").await;
        assert_eq!(said["id"], action["id"]);
        said["seq"].clone()
    }

    /// Says something under an id. Gives its number.
    pub(crate) async fn says(&mut self, id: &str, text: &str) -> Value {
        self.does(json!({"type": "chat.say", "id": id, "text": text}))
            .await
    }

    /// Everything that is on its way to this member, up to the answer to a ping.
    pub(crate) async fn all_that_came(&mut self) -> Vec<Value> {
        self.send(&json!({"type": "chat.ping"})).await;
        let mut came: Vec<_> = self.passed.drain(..).collect();
        loop {
            let message = self.receive().await;
            if message["type"] == "chat.pong" {
                return came;
            }
            came.push(message);
        }
    }

    /// The next `count` numbered events.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            let message = self.next().await;
            if message["seq"].is_u64() && message["type"] != "chat.said" {
                events.push(message);
            }
        }
        events
    }

    /// The close that follows whatever else is on its way.
    pub(crate) async fn hear_close(&mut self, code: u16) {
        assert_eq!(self.socket.closed_at_last().await, code);
    }

    pub(crate) async fn closed(&mut self) -> (u16, String) {
        self.socket.closed().await
    }

    pub(crate) async fn leave(self) {
        self.socket.leave().await;
    }
}
