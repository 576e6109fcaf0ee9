//! Puts the server together from its configuration, and runs it until it is told to stop.
//!
//! - `options`: what the configuration means to each part. Nothing below this module reads the configuration.

mod options;

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread;

use anyhow::Context as _;
use axum::body::Body;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use percent_encoding::percent_decode_str;
use roomful::origin::{AllowedHosts, AllowedOrigins};
use roomful::serve::{Counters, Home, Server};
use roomful::{ChannelLayer, Consumer as _, ProtocolTypeRouter, UrlRouter};
use tower::Layer as _;
use tower::util::{BoxCloneSyncService, Either};

use crate::chat::{Chat, Rooms};
use crate::config::{Config, LayerUrl};
use crate::history::NewerStore;
use crate::http::Pages;
use crate::layer;
use crate::metrics::Metrics;
use crate::node::{MakeLayer, Node};
use crate::protocol::{ErrorCode, RoomName};
use crate::room::RoomConsumer;
use crate::status::{Access, Board, StatusConsumer};

pub use options::layer_options;

/// What a room's WebSockets are under: `/room/{room}/`, `/ws/{room}/`.
const ROOMS: [&str; 2] = ["room", "ws"];

/// Runs the server. Returns when it was told to stop and everybody is gone.
///
/// # Errors
/// If it cannot start: the address is taken, the history cannot be opened.
pub fn serve(config: &Config) -> anyhow::Result<()> {
    let app = App::bind(config, shared_layer(config))?;
    let stop = {
        let _runtime = app.housekeeping.handle().enter();
        stop_signal().context("cannot listen for signals")?
    };
    let address = app.local_addr()?;
    // Whoever reads this line may speak to us, and tell us to stop.
    announce(&format!(
        "roomful: open http://{address}/ · history {} · layer {}",
        config.history.url, config.layer.url
    ));
    app.run(stop)
}

/// A server that listens and is ready to run.
pub struct App {
    server: Server,
    application: BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>,
    chat: Chat,
    housekeeping: Home,
    /// Resolves when a newer node has made this one too old for the history.
    outdated: BoxFuture<'static, NewerStore>,
}

impl App {
    /// Binds the address, opens the history, and meets the other nodes on `layer`, if there is one that is shared.
    ///
    /// # Errors
    /// If the address is taken, the history cannot be opened, or another node keeps another log.
    pub fn bind(config: &Config, layer: Option<MakeLayer>) -> anyhow::Result<Self> {
        let threads = match config.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let server = Server::bind(config.listen.as_str(), threads)
            .with_context(|| format!("cannot listen on {}", config.listen))?
            .limits(options::http_limits(config))
            .direct_handshakes()
            // A room's connections live together, by whichever path they came.
            .home_by_path(|shards, path| Some(shards.home(&room_at(path)?)));
        let shards = server.shards().clone();
        let rooms = Arc::new(match layer {
            None => Rooms::new(shards),
            Some(_) => Rooms::among_nodes(shards),
        });
        let history = options::open_history(&config.history)?;
        let node = layer.map(|layer| Node::start(layer, history.epoch()));
        let (node, meeting) = node.transpose()?.unzip();
        let outdated = history.outdated().boxed();
        history.on_commit({
            let (rooms, node) = (Arc::clone(&rooms), node.clone());
            move |events| {
                rooms.committed(events);
                if let Some(node) = &node {
                    node.publish(events);
                }
            }
        });
        let chat = Chat::among(history, rooms, options::chat_limits(config), node.clone());
        let application = application(&chat, config, server.counters().clone())?;
        let housekeeping = server.shards().home("housekeeping");
        drop(housekeeping.handle().spawn(chat.clone().fill_gaps()));
        if let (Some(node), Some(meeting)) = (node, meeting) {
            let gossip = chat.clone().gossip(node.clone(), meeting);
            drop(node.runtime().spawn(gossip));
        }
        Ok(Self {
            server,
            application,
            chat,
            housekeeping,
            outdated,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.server.local_addr().context("cannot tell the address")
    }

    /// What is said in it.
    pub fn chat(&self) -> &Chat {
        &self.chat
    }

    /// Serves until `stop` resolves, or a newer node makes this one too old for the history, and everybody is gone.
    ///
    /// # Errors
    /// If a thread cannot be made; [`NewerStore`] where that is why it stopped.
    pub fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        let chat = self.chat;
        let outdated = self.outdated;
        let reason = Arc::new(OnceLock::new());
        let stop = {
            let reason = Arc::clone(&reason);
            async move {
                tokio::select! {
                    () = stop => {}
                    newer = outdated => drop(reason.set(newer)),
                }
            }
        };
        self.server
            .run(self.application, stop, async move { chat.stop().await })?;
        tracing::info!("stopped: everything acknowledged is stored");
        match reason.get() {
            Some(&newer) => Err(NewerStore::into(newer)),
            None => Ok(()),
        }
    }
}

/// The layer that is shared with other processes, if there is one: alone a server needs none.
fn shared_layer(config: &Config) -> Option<MakeLayer> {
    let options = layer_options(&config.layer);
    match config.layer.url {
        LayerUrl::Memory => None,
        LayerUrl::Redis(_) => Some(Box::new(move || layer::start(&options))),
    }
}

/// Everything behind one port: pages, the API, and WebSockets on the rooms' own paths; `connections` are counted there.
///
/// # Errors
/// If an allowed origin or host is not one.
pub fn application(
    chat: &Chat,
    config: &Config,
    connections: Counters,
) -> anyhow::Result<BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>> {
    // Rooms need no layer inside one process: every feed is there.
    let layer = ChannelLayer::memory();
    let websocket = &config.websocket;
    let consumer = RoomConsumer::new(chat.clone())
        .into_service(&layer)
        // A text may be escaped: six bytes of JSON for one.
        .max_message_bytes(config.limits.message_bytes * 6 + 4096)
        .backlog(options::backlog(config))
        .keep_alive(Some(websocket.ping_interval), websocket.idle_timeout)
        .deflate(websocket.compression);
    let access = Access::new(&options::status_audience(&config.status));
    let board = Board::new(chat.clone(), access.clone());
    let status = StatusConsumer::new(board)
        .into_service(&layer)
        .max_message_bytes(4096);
    let sockets = UrlRouter::new()
        .re_path(
            &format!("(?:{})/(?P<room>[^/]+)/$", ROOMS.join("|")),
            consumer,
        )
        .re_path(r"status/$", status);
    let build = options::build(config);
    let metrics = Metrics::new(chat.clone(), access.clone(), build, connections);
    let pages = Pages::new(&config.web_dir, &config.embed.allowed, access)?;
    let pages = crate::http::router(chat.clone(), pages, metrics);
    let routes = ProtocolTypeRouter::new().http(pages).websocket(sockets);

    let allowed = &config.origins.allowed;
    let origins = match allowed.is_empty() {
        true => AllowedOrigins::same_host(),
        false => AllowedOrigins::list(allowed)
            .context("origins.allowed")?
            .and_same_host(),
    };
    let checked = origins
        .on_refused({
            let counters = Arc::clone(chat.counters());
            move || {
                counters.refused(ErrorCode::OriginNotAllowed);
                crate::http::origin_refused()
            }
        })
        .layer(routes);
    let hosts = &config.origins.hosts;
    let checked = match hosts.is_empty() {
        true => Either::Left(checked),
        false => Either::Right(
            AllowedHosts::list(hosts)
                .context("origins.hosts")?
                .layer(checked),
        ),
    };
    Ok(BoxCloneSyncService::new(checked))
}

/// The room whose WebSockets are at this path, as [`application`] routes them.
fn room_at(path: &str) -> Option<RoomName> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let (root, rest) = path.trim_start_matches('/').split_once('/')?;
    let room = rest.strip_suffix('/').filter(|_| ROOMS.contains(&root))?;
    RoomName::parse(room).ok()
}

/// The one line on standard output, for people and for programs that start us.
fn announce(line: &str) {
    let mut out = io::stdout().lock();
    // Whoever closed our output does not want to know.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Listens for being asked to stop, by a supervisor or by Ctrl-C: from this call on, not only once the answer is awaited.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: members are told to come back");
    })
}

/// Listens for being asked to stop, by Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
        tracing::info!("stopping: members are told to come back");
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_one_under_all_its_addresses() {
        let room = RoomName::parse("聊天").ok();
        for path in [
            "/room/聊天/",
            "/ws/聊天/",
            "//room/聊天/",
            "/room/%E8%81%8A%E5%A4%A9/",
        ] {
            assert_eq!(room_at(path), room, "{path}");
        }
        for path in [
            "/",
            "/status/",
            "/room/x",
            "/room/a b/",
            "/room/x/y/",
            "/%ff",
        ] {
            assert_eq!(room_at(path), None, "{path}");
        }
    }
}
