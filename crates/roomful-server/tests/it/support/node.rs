//! A node within the test: all of the server but the process around it, so that several share a layer in memory.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use roomful_server::App;
use roomful_server::chat::Chat;
use roomful_server::config::Config;
use tokio::sync::oneshot;

use super::{Api, Cable, Listening, soon};

/// A running node; it is told to stop when the test ends.
pub(crate) struct Node {
    address: SocketAddr,
    chat: Chat,
    stop: Option<oneshot::Sender<()>>,
    ended: oneshot::Receiver<()>,
}

impl Node {
    /// A node with this history, at this end of a layer. On a busy machine it still knows the others to be there.
    pub(crate) fn start(history: &str, cable: &Cable) -> Self {
        Self::with_lease(history, cable, Duration::from_secs(30))
    }

    /// A node that soon takes others for gone.
    pub(crate) fn with_lease(history: &str, cable: &Cable, lease: Duration) -> Self {
        Self::try_start(history, cable, lease).unwrap()
    }

    /// The same, or why it does not start.
    pub(crate) fn try_start(history: &str, cable: &Cable, lease: Duration) -> Result<Self, String> {
        let mut config = Config {
            listen: "127.0.0.1:0".into(),
            threads: 1,
            presence_grace: Duration::from_millis(100),
            presence_lease: lease,
            drain_timeout: Duration::from_secs(2),
            drain_spread: Duration::ZERO,
            ..Config::default()
        };
        config.history.url = history.parse().unwrap();
        config.limits.rate_limits = false;
        let layer = cable.layer();
        // What does not start is dropped there, too: runtimes must not be, within another.
        let app = thread::spawn(move || {
            App::bind(&config, Some(Box::new(move || layer))).map_err(|error| format!("{error:#}"))
        });
        let app = app.join().unwrap()?;
        let (address, chat) = (app.local_addr().unwrap(), app.chat().clone());
        let (stop, stopped) = oneshot::channel();
        let (running, ended) = oneshot::channel();
        thread::spawn(move || {
            let stop = async move {
                // A test that is over says nothing, and means the same.
                let _ = stopped.await;
            };
            app.run(stop).unwrap();
            drop(running);
        });
        Ok(Self {
            address,
            chat,
            stop: Some(stop),
            ended,
        })
    }

    /// Stops it gently, and waits for its end.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        let _ = soon("the end of the node", &mut self.ended).await;
    }

    /// What it has counted.
    pub(crate) fn chat(&self) -> &Chat {
        &self.chat
    }

    /// Waits until a room has these members, as an HTTP client of this node sees it.
    pub(crate) async fn until_members(&self, room: &str, expected: &[&str]) {
        let path = format!("/api/rooms/{room}/members");
        let asking = async {
            loop {
                let list = self.api().get_json(&path).await;
                let names: Vec<_> = list["members"].as_array().unwrap().iter().collect();
                let names: Vec<_> = names.iter().map(|m| m["name"].as_str().unwrap()).collect();
                if names == expected {
                    assert_eq!(list["count"], expected.len());
                    return;
                }
            }
        };
        soon(&format!("{expected:?} being in {room}"), asking).await;
    }

    /// An HTTP client for it.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.address)
    }
}

impl Listening for Node {
    fn address(&self) -> SocketAddr {
        self.address
    }
}
