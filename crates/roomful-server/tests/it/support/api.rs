//! A client of the HTTP API.

use std::collections::VecDeque;
use std::net::SocketAddr;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use serde_json::Value;

use super::soon;

/// An HTTP client that follows no redirect, and may have a token.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    address: SocketAddr,
    token: Option<String>,
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            client,
            address,
            token: None,
        }
    }

    /// The same client as the member that a token proves.
    pub(crate) fn with_token(&self, token: impl Into<String>) -> Self {
        Self {
            token: Some(token.into()),
            ..self.clone()
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        let request = self
            .client
            .request(method, format!("http://{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        soon("an answer", self.request("GET", path).send())
            .await
            .unwrap()
    }

    /// The JSON at a path that answers 200.
    pub(crate) async fn get_json(&self, path: &str) -> Value {
        let (status, value) = json_of(self.get(path).await).await;
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    /// Sends JSON; gives the status and the JSON that comes back.
    pub(crate) async fn send_json(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        let request = self.request(method, path).json(body);
        json_of(soon("an answer", request.send()).await.unwrap()).await
    }

    /// Says something; gives the stored event.
    pub(crate) async fn say(&self, room: &str, text: &str) -> Value {
        let path = format!("/api/rooms/{room}/messages");
        let body = serde_json::json!({ "text": text });
        let (status, event) = self.send_json("POST", &path, &body).await;
        assert_eq!(status, StatusCode::CREATED, "{event}");
        event
    }

    /// Opens an event stream.
    pub(crate) async fn stream(&self, path: &str, last_event_id: Option<&str>) -> EventStream {
        let mut request = self
            .request("GET", path)
            .header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = soon("an event stream", request.send()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        EventStream {
            response,
            unread: String::new(),
            events: VecDeque::new(),
        }
    }
}

/// The status and the JSON body of an answer.
pub(crate) async fn json_of(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    assert_eq!(
        response.headers()["content-type"],
        "application/json",
        "{status}"
    );
    (status, soon("a body", response.json()).await.unwrap())
}

/// An open stream of Server-Sent Events.
pub(crate) struct EventStream {
    response: Response,
    unread: String,
    events: VecDeque<(Option<String>, Value)>,
}

impl EventStream {
    /// The next event and its id; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<(Option<String>, Value)> {
        while self.events.is_empty() {
            let chunk = soon("an event", self.response.chunk()).await.unwrap()?;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some((block, rest)) = self.unread.split_once("\n\n") {
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                };
                if let Some(data) = field("data") {
                    let value = serde_json::from_str(data).unwrap();
                    self.events
                        .push_back((field("id").map(str::to_owned), value));
                }
                self.unread = rest.to_owned();
            }
        }
        self.events.pop_front()
    }

    /// The next event of a type; others are passed over.
    pub(crate) async fn hear(&mut self, kind: &str) -> (Option<String>, Value) {
        loop {
            let (id, event) = self.next().await.expect("the stream goes on");
            if event["type"] == kind {
                return (id, event);
            }
        }
    }
}
