//! Whether the server lives, and whether it can serve.

use axum::extract::State;

use super::error::HttpError;
use crate::chat::Chat;
use crate::node::Node;

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: it is not stopping, and the store answers.
pub(super) async fn ready(State(chat): State<Chat>) -> Result<&'static str, HttpError> {
    chat.ready().await?;
    // Without its layer a node still serves its own people, and all it says reaches everybody over the history.
    match chat.node().is_none_or(Node::is_reachable) {
        true => Ok("ready\n"),
        false => Ok("ready, but the channel layer cannot be reached\n"),
    }
}
