//! Puts the server together from its configuration, and runs it until it is told to stop.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::thread;

use anyhow::Context as _;
use axum::body::Body;
use http::{Request, Response};
use roomful::origin::{AllowedHosts, AllowedOrigins};
use roomful::serve::{HttpLimits, Server};
use roomful::{Backlog, ChannelLayer, Consumer as _, ProtocolTypeRouter, UrlParams, UrlRouter};
use tower::util::{BoxCloneSyncService, Either};
use tower::{Layer as _, ServiceExt as _};

use crate::chat::{Chat, ChatLimits, Rooms};
use crate::config::{Config, HistoryUrl, Overflow, Synchronous};
use crate::history::{self, History, MemoryOptions, Retention, SqliteOptions};
use crate::http::Pages;
use crate::layer;
use crate::protocol::{Limits, RoomName};
use crate::room::RoomConsumer;
use crate::status::{Access, Board, StatusConsumer};

/// Runs the server. Returns when it was told to stop and everybody is gone.
///
/// # Errors
/// If it cannot start: the address is taken, the history cannot be opened.
pub fn serve(config: &Config) -> anyhow::Result<()> {
    let threads = match config.threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let server = Server::bind(config.listen.as_str(), threads)
        .with_context(|| format!("cannot listen on {}", config.listen))?
        .limits(http_limits(config));
    let rooms = Arc::new(Rooms::new(server.shards().clone()));
    let history = open_history(config)?;
    history.on_commit({
        let rooms = Arc::clone(&rooms);
        move |events| rooms.committed(events)
    });
    let chat = Chat::new(history, rooms, chat_limits(config));
    let housekeeping = server.shards().home("housekeeping");
    let layer = {
        let _runtime = housekeeping.handle().enter();
        layer::start(&config.layer)
    };
    let application = application(&chat, config, &layer)?;
    drop(housekeeping.handle().spawn(chat.clone().fill_gaps()));

    let stop = {
        let _runtime = housekeeping.handle().enter();
        stop_signal().context("cannot listen for signals")?
    };
    // Whoever reads this line may speak to us, and tell us to stop.
    let address = server.local_addr().context("cannot tell the address")?;
    announce(&format!(
        "roomful: open http://{address}/ · history {} · layer {}",
        config.history.url, config.layer.url
    ));
    server.run(application, stop, async move { chat.stop().await })?;
    tracing::info!("stopped: everything acknowledged is stored");
    Ok(())
}

/// Everything behind one port: pages, the API, and WebSockets on the rooms' own paths.
///
/// # Errors
/// If an allowed origin or host is not one.
pub fn application(
    chat: &Chat,
    config: &Config,
    layer: &ChannelLayer,
) -> anyhow::Result<BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>> {
    let websocket = &config.websocket;
    let consumer = RoomConsumer::new(chat.clone())
        .into_service(layer)
        // A text may be escaped: six bytes of JSON for one.
        .max_message_bytes(config.limits.message_bytes * 6 + 4096)
        .backlog(backlog(config))
        .keep_alive(Some(websocket.ping_interval), websocket.idle_timeout)
        .deflate(websocket.compression);
    let at_home = {
        let chat = chat.clone();
        consumer.map_request(move |mut request: Request<Body>| {
            // A room's connections live together, by whichever path they came.
            let params = request.extensions().get::<UrlParams>();
            let name = params.and_then(|params| RoomName::parse(params.get("room")?).ok());
            if let Some(name) = name {
                let home = chat.home(&name);
                request.extensions_mut().insert(home);
            }
            request
        })
    };
    let board = Board::new(chat.clone(), Access::new(&config.status));
    let status = StatusConsumer::new(board)
        .into_service(&layer)
        .max_message_bytes(4096);
    let sockets = UrlRouter::new()
        .re_path(r"(?:room|ws)/(?P<room>[^/]+)/$", at_home)
        .re_path(r"status/$", status);
    let pages = crate::http::router(chat.clone(), Pages::new(config));
    let routes = ProtocolTypeRouter::new().http(pages).websocket(sockets);

    let allowed = &config.origins.allowed;
    let origins = match allowed.is_empty() {
        true => AllowedOrigins::same_host(),
        false => AllowedOrigins::list(allowed)
            .context("origins.allowed")?
            .and_same_host(),
    };
    let checked = origins
        .on_refused(crate::http::origin_refused)
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

fn open_history(config: &Config) -> anyhow::Result<History> {
    let history = &config.history;
    Ok(match &history.url {
        HistoryUrl::Sqlite(path) => {
            let options = SqliteOptions {
                synchronous: match history.synchronous {
                    Synchronous::Full => history::Synchronous::Full,
                    Synchronous::Normal => history::Synchronous::Normal,
                    Synchronous::Off => history::Synchronous::Off,
                },
                retention: Retention {
                    age: history.keep_for,
                    events_per_room: history.keep_events,
                    ..Retention::default()
                },
                ..SqliteOptions::default()
            };
            History::open_sqlite(path, options)?
        }
        HistoryUrl::Memory => History::memory(MemoryOptions {
            events_per_room: history.memory_events,
            ..MemoryOptions::default()
        }),
        HistoryUrl::None => History::none(),
    })
}

fn http_limits(config: &Config) -> HttpLimits {
    let mut limits = HttpLimits::default();
    limits.drain_timeout = config.drain_timeout;
    limits.max_connections = config.limits.connections;
    if config.limits.rate_limits {
        limits.max_connections_per_address = config.limits.connections_per_address;
    }
    limits
}

fn chat_limits(config: &Config) -> ChatLimits {
    let limits = &config.limits;
    ChatLimits {
        client: Limits {
            message_bytes: limits.message_bytes,
            messages_per_second: limits.messages_per_second,
            burst: limits.burst,
        },
        rates: limits.rate_limits,
        members_per_room: limits.members_per_room.unwrap_or(usize::MAX),
        page: limits.history_page,
        page_max: limits.history_page_max,
        presence_grace: config.presence_grace,
        drain_spread: config.drain_spread,
    }
}

fn backlog(config: &Config) -> Backlog {
    Backlog {
        max_bytes: config.limits.backlog_bytes,
        overflow: match config.limits.overflow {
            Overflow::Close => roomful::Overflow::Close,
            Overflow::Resync => roomful::Overflow::Resync,
        },
        ..Backlog::default()
    }
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
