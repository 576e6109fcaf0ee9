//! What `/metrics` tells: everything this process has counted, for Prometheus. `docs/metrics.md` has it as a table, and a
//! test holds the two together.
//!
//! Reading it is loads of atomics and a look into `/proc`: nothing that a message ever waits for.

mod text;

use std::time::{SystemTime, UNIX_EPOCH};

use roomful::serve;
use serde::Serialize;

use crate::chat::Chat;
use crate::counters::Counts;
use crate::node::Node;
use crate::process;
use crate::status::Access;
use text::Exposition;

/// What can be told of a server.
#[derive(Clone)]
pub struct Metrics {
    chat: Chat,
    access: Access,
    connections: serve::Counters,
    build: Build,
    started: u64,
}

/// What this server is made of, in the words of `roomful_build_info`.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The kind of its history: `sqlite`, `postgres`, `memory` or `none`.
    pub history: &'static str,
    /// The kind of its layer: `memory`, `redis` or `redis+pubsub`.
    pub layer: &'static str,
}

impl Metrics {
    /// Of this chat, whose connections are counted there, for those whom `access` lets see it.
    pub fn new(chat: Chat, access: Access, build: Build, connections: serve::Counters) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            chat,
            access,
            connections,
            build,
            started: since.map_or(0, |since| since.as_secs()),
        }
    }

    /// Who may see it: as the status page.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// How things stand, in Prometheus' text format. Looks into `/proc`, which takes a moment where many files are open.
    pub fn text(&self) -> String {
        let mut out = Exposition::default();
        let counts = self.chat.counters().now();
        self.connections(&mut out, &counts);
        self.rooms(&mut out, &counts);
        if let Some(node) = self.chat.node() {
            self.layer(&mut out, node, &counts);
        }
        self.process(&mut out);
        out.finish()
    }

    fn connections(&self, out: &mut Exposition, counts: &Counts) {
        out.counter(
            "roomful_connections_accepted_total",
            "TCP connections that were let in.",
            self.connections.accepted(),
        );
        out.counter(
            "roomful_connections_refused_total",
            "TCP connections that were closed at once because their address had its share.",
            self.connections.refused(),
        );
        out.gauge(
            "roomful_connections_open",
            "TCP connections that are open, for whatever purpose.",
            self.connections.open() as u64,
        );
        out.gauge(
            "roomful_listeners",
            "WebSockets in rooms, event streams and polls that wait.",
            counts.connections,
        );
        out.counter(
            "roomful_slow_consumers_closed_total",
            "WebSockets closed with 4008 because they took too slowly what was sent to them.",
            counts.slow,
        );
        out.counter(
            "roomful_resyncs_total",
            "Times that a reader who was behind was told to catch up from history.",
            counts.resyncs,
        );
        out.counters(
            "roomful_refusals_total",
            "Requests, messages and handshakes that were refused, by the code of the answer.",
            "code",
            counts
                .refusals
                .iter()
                .map(|(code, count)| (word(code), *count)),
        );
    }

    fn rooms(&self, out: &mut Exposition, counts: &Counts) {
        out.gauge(
            "roomful_rooms_open",
            "Rooms that somebody listens to on this node.",
            counts.rooms,
        );
        out.gauge(
            "roomful_members",
            "Members of rooms who are on this node, each once in each room.",
            counts.members,
        );
        out.counter(
            "roomful_deliveries_total",
            "Messages handed to one reader each.",
            counts.deliveries,
        );
        out.counters(
            "roomful_events_total",
            "What members of this node did, by the type of the event; repeats are not counted.",
            "type",
            counts
                .events
                .iter()
                .map(|(kind, count)| (word(kind), *count)),
        );
        out.histogram(
            "roomful_acknowledgement_seconds",
            "From the moment a message was read to its commit.",
            &counts.said,
        );
        out.counter(
            "roomful_history_commits_total",
            "Transactions of the history that stored something new.",
            counts.commits,
        );
        out.counter(
            "roomful_history_events_total",
            "Events in those transactions; divided by them, the size of a batch.",
            counts.committed,
        );
        out.counter(
            "roomful_gaps_filled_total",
            "Events that rooms missed and read from the history.",
            self.chat.node_counts().gaps_filled,
        );
    }

    fn layer(&self, out: &mut Exposition, node: &Node, counts: &Counts) {
        let (layer, nodes) = (node.layer_counters(), node.counts());
        out.gauge(
            "roomful_layer_up",
            "1 if the channel layer can be reached, else 0.",
            u8::from(node.is_reachable()),
        );
        for (name, help, value) in [
            (
                "roomful_layer_published_total",
                "Messages given to the layer, one for each process that an event goes to.",
                layer.published,
            ),
            (
                "roomful_layer_received_total",
                "Messages taken from the layer.",
                layer.received,
            ),
            (
                "roomful_layer_dropped_total",
                "Events that did not reach a channel because it was full: one of this process, or another process's queue that this one sent to.",
                layer.dropped,
            ),
            (
                "roomful_layer_expired_total",
                "Events that had waited in the layer for too long.",
                layer.expired,
            ),
            (
                "roomful_layer_poisoned_total",
                "Messages of the layer that could not be read.",
                layer.poisoned,
            ),
            (
                "roomful_layer_reconnects_total",
                "Connections to the layer made anew after one was lost.",
                layer.reconnects,
            ),
            (
                "roomful_node_published_total",
                "Events this node told the others.",
                nodes.published,
            ),
            (
                "roomful_node_unpublished_total",
                "Events this node could not tell the others; they read them from the history.",
                nodes.unpublished,
            ),
            (
                "roomful_node_received_total",
                "Events this node heard from others.",
                nodes.received,
            ),
            (
                "roomful_node_foreign_total",
                "Events of nodes with another history, which were ignored.",
                nodes.foreign,
            ),
        ] {
            out.counter(name, help, value);
        }
        out.counters(
            "roomful_outsider_events_total",
            "Events of other programs in rooms' groups, by what became of them.",
            "outcome",
            [
                ("shown".to_owned(), nodes.outside),
                ("refused".to_owned(), nodes.refused),
            ],
        );
        out.histogram(
            "roomful_node_lag_seconds",
            "From the time of an event on another node to its arrival here, by the clocks of the two.",
            &counts.lag,
        );
    }

    fn process(&self, out: &mut Exposition) {
        out.info(
            "roomful_build_info",
            "This server.",
            &[
                ("version", env!("CARGO_PKG_VERSION")),
                ("history", self.build.history),
                ("layer", self.build.layer),
            ],
        );
        out.gauge(
            "process_start_time_seconds",
            "When the process started, in Unix seconds.",
            self.started,
        );
        if let Some(bytes) = process::resident_bytes() {
            out.gauge(
                "process_resident_memory_bytes",
                "Memory that the process has of the machine's.",
                bytes,
            );
        }
        if let Some(seconds) = process::cpu_seconds() {
            out.counter(
                "process_cpu_seconds_total",
                "CPU time, user and kernel.",
                seconds,
            );
        }
        if let Some(files) = process::open_files() {
            out.gauge(
                "process_open_fds",
                "Files and connections that are open.",
                files,
            );
        }
        if let Some(most) = process::most_open_files() {
            out.gauge(
                "process_max_fds",
                "How many of those the system allows.",
                most,
            );
        }
    }
}

/// The word of the protocol for something.
fn word(value: &impl Serialize) -> String {
    let word = serde_json::to_value(value).ok();
    word.and_then(|word| word.as_str().map(str::to_owned))
        .expect("codes and kinds are words")
}
