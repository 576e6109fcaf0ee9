//! `/metrics`: what it counts, in which form, and for whom.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{Api, Cable, Node, Raw, Server, Socket, V1, soon};

const TOKEN: &str = "a token that is long enough";

/// What `/metrics` told, read as strictly as the format is written.
struct Metrics {
    types: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    async fn of(api: &Api) -> Self {
        let response = api.get("/metrics").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        Self::parse(&response.text().await.unwrap())
    }

    fn parse(text: &str) -> Self {
        let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
        let mut family = String::new();
        assert!(text.ends_with('\n'));
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, sentence) = help.split_once(' ').expect(line);
                assert!(is_name(name) && sentence.ends_with('.'), "{line}");
                let kind = lines.next().and_then(|line| {
                    let kind = line.strip_prefix("# TYPE ")?.strip_prefix(name)?;
                    kind.strip_prefix(' ')
                });
                let kind = kind.expect(line);
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let is_total = name.ends_with("_total");
                assert_eq!(is_total, kind == "counter", "{line}");
                family = name.to_owned();
                let before = types.insert(family.clone(), kind.to_owned());
                assert_eq!(before, None, "{name} is there twice");
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').expect(line);
            let value: f64 = value.parse().expect(line);
            let name = sample.split('{').next().unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .any(|end| name.strip_suffix(end) == Some(&family));
            match types[&family].as_str() {
                "histogram" => assert!(of_histogram, "{line} under {family}"),
                _ => assert_eq!(name, family),
            }
            if let Some(labels) = sample.strip_prefix(name).filter(|rest| !rest.is_empty()) {
                let labels = labels.strip_prefix('{').and_then(|l| l.strip_suffix('}'));
                for label in labels.expect(line).split(',') {
                    let (name, value) = label.split_once("=\"").expect(line);
                    assert!(is_name(name) && value.ends_with('"'), "{line}");
                }
            }
            let before = samples.insert(sample.to_owned(), value);
            assert_eq!(before, None, "{sample} is there twice");
        }
        let metrics = Self { types, samples };
        metrics.check_histograms();
        metrics
    }

    fn check_histograms(&self) {
        let histograms = self.types.iter().filter(|(_, kind)| *kind == "histogram");
        for (name, _) in histograms {
            let prefix = format!("{name}_bucket{{le=\"");
            let mut buckets: Vec<(f64, f64)> = self
                .samples
                .iter()
                .filter_map(|(sample, count)| {
                    let bound = sample.strip_prefix(&prefix)?.strip_suffix("\"}")?;
                    Some((bound.parse().unwrap(), *count))
                })
                .collect();
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(
                buckets.is_sorted_by(|a, b| a.1 <= b.1),
                "{name}: {buckets:?}"
            );
            let (bound, all) = buckets.last().unwrap();
            assert_eq!(*bound, f64::INFINITY);
            assert_eq!(*all, self.get(&format!("{name}_count")));
        }
    }

    fn get(&self, sample: &str) -> f64 {
        *self.samples.get(sample).expect(sample)
    }
}

/// Asks until a sample has a value.
async fn until(api: &Api, sample: &str, is_enough: impl Fn(f64) -> bool) -> Metrics {
    soon(sample, async {
        loop {
            let metrics = Metrics::of(api).await;
            if is_enough(metrics.get(sample)) {
                return metrics;
            }
        }
    })
    .await
}

fn is_name(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte == b'_' || byte.is_ascii_lowercase())
}

#[tokio::test]
async fn what_happens_in_a_room_moves_its_counters_and_no_others() {
    let server = Server::start();
    let before = Metrics::of(&server.api()).await;
    let mut ana = V1::join(&server, "123", "Ana").await;
    let mut plain = Socket::plain(&server, "123").await;

    ana.says("1", "one").await;
    let two = ana.says("2", "two").await;
    ana.says("2", "two").await;
    ana.does(json!({"type": "chat.edit", "id": "3", "seq": two, "text": "too"}))
        .await;
    ana.send(&json!({"type": "chat.say", "id": "4", "text": " "}))
        .await;
    assert_eq!(ana.hear("chat.error").await["code"], "empty_message");
    assert_eq!(server.api().get("/nowhere").await.status(), 404);
    for said in ["one", "two"] {
        assert_eq!(plain.hear().await, said);
    }

    let after = Metrics::of(&server.api()).await;
    let grew = |sample| after.get(sample) - before.get(sample);
    assert_eq!(grew("roomful_events_total{type=\"chat.message\"}"), 2.0);
    assert_eq!(grew("roomful_events_total{type=\"chat.edited\"}"), 1.0);
    assert_eq!(grew("roomful_events_total{type=\"chat.deleted\"}"), 0.0);
    assert_eq!(grew("roomful_acknowledgement_seconds_count"), 2.0);
    assert!(grew("roomful_acknowledgement_seconds_sum") > 0.0);
    assert_eq!(grew("roomful_history_events_total"), 3.0);
    assert_eq!(grew("roomful_history_commits_total"), 3.0);
    // Two messages to two members, the edit to the one who speaks JSON.
    assert_eq!(grew("roomful_deliveries_total"), 5.0);
    assert_eq!(grew("roomful_refusals_total{code=\"empty_message\"}"), 1.0);
    assert_eq!(grew("roomful_refusals_total{code=\"not_found\"}"), 1.0);
    assert_eq!(grew("roomful_refusals_total{code=\"rate_limited\"}"), 0.0);
    assert_eq!(after.get("roomful_listeners"), 2.0);
    assert_eq!(after.get("roomful_rooms_open"), 1.0);
    assert_eq!(after.get("roomful_members"), 2.0);
    assert!(after.get("roomful_connections_open") >= 3.0);
    assert!(grew("roomful_connections_accepted_total") >= 2.0);
    if cfg!(target_os = "linux") {
        assert!(after.get("process_resident_memory_bytes") > 1e6);
        assert!(after.get("process_open_fds") > 5.0);
        assert!(after.get("process_cpu_seconds_total") >= before.get("process_cpu_seconds_total"));
    }
    ana.leave().await;
    plain.leave().await;
    let gone = until(&server.api(), "roomful_rooms_open", |open| open == 0.0).await;
    assert_eq!(gone.get("roomful_members"), 0.0);
    assert_eq!(gone.get("roomful_listeners"), 0.0);
}

#[tokio::test]
async fn who_does_not_read_is_closed_and_counted() {
    let server = Server::with(
        "memory",
        &[
            ("LIMITS__RATE_LIMITS", "false"),
            ("LIMITS__BACKLOG_BYTES", "64KiB"),
        ],
    );
    let mut deaf = Raw::connect(&server).await;
    let upgrade = "GET /room/123/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    deaf.send(upgrade.as_bytes()).await;
    assert!(deaf.read_head().await.contains(" 101 "));
    let text = "x".repeat(16 << 10);

    let closed = "roomful_slow_consumers_closed_total";
    soon("its end", async {
        while Metrics::of(&server.api()).await.get(closed) == 0.0 {
            for _ in 0..32 {
                server.api().say("123", &text).await;
            }
        }
    })
    .await;

    assert_eq!(Metrics::of(&server.api()).await.get(closed), 1.0);
}

#[tokio::test]
async fn what_nodes_tell_each_other_is_counted_on_both() {
    let cables: [Cable; 2] = Cable::ends();
    let [one, two] = [0, 1].map(|node: usize| Node::start("none", &cables[node]));
    let mut ana = V1::join(&one, "123", "Ana").await;
    let mut ben = V1::join(&two, "123", "Ben").await;

    ana.says("1", "hello").await;

    assert_eq!(ben.hear("chat.message").await["text"], "hello");
    let here = until(&one.api(), "roomful_node_published_total", |n| n >= 1.0).await;
    assert_eq!(here.get("roomful_layer_up"), 1.0);
    assert_eq!(here.get("roomful_node_lag_seconds_count"), 0.0);
    let there = Metrics::of(&two.api()).await;
    assert_eq!(there.get("roomful_node_lag_seconds_count"), 1.0);
    assert!(there.get("roomful_node_lag_seconds_sum") < 20.0);
    assert!(there.get("roomful_node_received_total") >= 1.0);
    assert_eq!(
        there.get("roomful_events_total{type=\"chat.message\"}"),
        0.0
    );
    // Everybody is here once, on the node they are on.
    assert_eq!(here.get("roomful_members"), 1.0);
    two.until_members("123", &["Ana", "Ben"]).await;
    assert_eq!(Metrics::of(&two.api()).await.get("roomful_members"), 1.0);
}

#[tokio::test]
async fn a_layer_that_is_away_shows_and_the_node_serves_on() {
    let server = Server::with(
        "none",
        &[("LAYER__URL", "redis+unix:///nowhere/redis.sock")],
    );

    until(&server.api(), "roomful_layer_up", |up| up == 0.0).await;

    let ready = server.api().get("/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK);
    let words = ready.text().await.unwrap();
    assert_eq!(words, "ready, but the channel layer cannot be reached\n");
    let mut ana = V1::join(&server, "123", "Ana").await;
    ana.says("1", "still here").await;
}

#[tokio::test]
async fn the_documentation_lists_what_there_is() {
    let [cable] = Cable::ends();
    let node = Node::start("memory", &cable);
    let page = include_str!("../../../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.split(['{', '`']).next()?;
        let kind = cells.next()?;
        Some((name.to_owned(), kind.to_owned()))
    });
    let is_row = |(name, _): &(String, String)| name.contains('_');

    let told: BTreeSet<_> = Metrics::of(&node.api()).await.types.into_iter().collect();

    assert_eq!(rows.filter(is_row).collect::<BTreeSet<_>>(), told);
}

async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let answer: Value = response.json().await.unwrap();
    (status, answer["error"]["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn by_default_metrics_are_for_this_machine_alone() {
    let server = Server::with("memory", &[]);
    let asks = async |header: &'static str, value: &'static str| {
        let request = server.api().request("GET", "/metrics");
        code(request.header(header, value).send().await.unwrap()).await
    };

    Metrics::of(&server.api()).await;

    for (header, value) in [
        ("x-forwarded-for", "192.0.2.7"),
        ("via", "1.1 proxy"),
        ("host", "chat.example.com"),
    ] {
        assert_eq!(asks(header, value).await, (403, "forbidden".into()));
    }
}

#[tokio::test]
async fn with_a_token_metrics_are_for_whoever_shows_it() {
    let settings = [("STATUS__ACCESS", "token"), ("STATUS__TOKEN", TOKEN)];
    let server = Server::with("memory", &settings);

    Metrics::of(&server.api().with_token(TOKEN)).await;

    let without = server.api().get("/metrics").await;
    assert_eq!(without.headers()["www-authenticate"], "Bearer");
    assert_eq!(code(without).await, (401, "bad_token".into()));
    let wrong = server.api().with_token("a token that is long enoug");
    let wrong = wrong.get("/metrics").await;
    assert_eq!(code(wrong).await, (401, "bad_token".into()));
    assert!(!server.log().contains(TOKEN));
}

#[tokio::test]
async fn switched_off_there_are_no_metrics() {
    let server = Server::with("memory", &[("STATUS__ACCESS", "off")]);

    let answer = server.api().get("/metrics").await;

    assert_eq!(code(answer).await, (404, "not_found".into()));
}
