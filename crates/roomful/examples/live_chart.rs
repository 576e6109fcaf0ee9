//! Values pushed to every page that draws them, from a task that has no connection of its own.
//!
//! Run: `cargo run --example live_chart -- 127.0.0.1:8000`, then open `http://127.0.0.1:8000/`.

use std::time::Duration;

use axum::response::Html;
use axum::{Router, routing::get};
use roomful::{ChannelLayer, Consumer, Message, ProtocolTypeRouter, Result, Socket, UrlRouter};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename = "chart.point")]
struct Point {
    at: u64,
    value: f64,
}

#[derive(Clone)]
struct Chart;

impl Consumer for Chart {
    type Event = Point;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        socket.accept().await?;
        socket.group_add("chart").await
    }

    fn render(point: &Point) -> Option<Message> {
        serde_json::to_string(point).ok().map(Message::from)
    }
}

/// A wandering value, as a measuring device would give it.
async fn measure(layer: ChannelLayer) -> Result {
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    for at in 0.. {
        ticks.tick().await;
        let turn = at as f64 / 10.0;
        layer
            .group_send(
                "chart",
                &Point {
                    at,
                    value: turn.sin() + (turn * 2.7).sin() / 3.0,
                },
            )
            .await?;
    }
    Ok(())
}

const PAGE: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Live chart</title>
<style>body { font: 1rem system-ui; margin: 2rem } canvas { width: 100%; max-width: 60rem; height: 16rem }</style>
<h1>Live chart</h1><p id="now" role="status">Connecting…</p><canvas id="chart" width="960" height="256"></canvas>
<script type="module">
const points = [], canvas = document.getElementById("chart"), now = document.getElementById("now");
const socket = new WebSocket(`ws${location.protocol.slice(4)}//${location.host}/chart/`);
socket.onclose = () => now.textContent = "The server has gone; reload to try again.";
socket.onmessage = event => {
  points.push(JSON.parse(event.data)); points.splice(0, points.length - 200);
  now.textContent = `Point ${points.at(-1).at}: ${points.at(-1).value.toFixed(3)}`;
  const pen = canvas.getContext("2d"); pen.clearRect(0, 0, 960, 256); pen.beginPath();
  points.forEach((point, x) => pen.lineTo(x * 4.8, 128 - point.value * 90)); pen.stroke();
};
</script></html>"#;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8000".into());
    let layer = ChannelLayer::memory();
    tokio::spawn(measure(layer.clone()));
    let pages = Router::new().route("/", get(|| async { Html(PAGE) }));
    let sockets = UrlRouter::new().re_path(r"chart/$", Chart.into_service(&layer));
    let application = ProtocolTypeRouter::new().http(pages).websocket(sockets);

    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    roomful::serve::serve(listener, application).await
}
