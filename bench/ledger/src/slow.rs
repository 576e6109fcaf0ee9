//! One member of many stops reading: what the others' delivery times and the server's memory notice of it.
//!
//! Times are measured with and without it in turns, several times, because machines have moods.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{PATIENCE, http, messages_url, upgrade};
use crate::figures::{Report, milliseconds, percentile};
use crate::options::Options;
use crate::server::Server;

const ROOM: &str = "slow";
/// Pairs of measurements, one with and one without a member that has stopped.
const PAIRS: usize = 3;
/// Between two messages.
const PACE: Duration = Duration::from_millis(100);
/// Before anything is measured: what the server keeps of a room in memory has found its size then.
const WARM_UP: Duration = Duration::from_secs(30);
/// So long that what waits for the stopped member soon is more than the kernel takes for it.
const TEXT_BYTES: usize = 14 * 1024;
/// What the stopped member's kernel takes for it, about.
const RECEIVE_BUFFER_BYTES: u32 = 4096;
/// What may wait in the server for one member: the default of `limits.backlog_bytes`.
const BACKLOG_BYTES: u64 = 1 << 20;
/// The others' 99th percentile may grow by this.
const MOST: f64 = 2.0;

/// What the members that read have measured; `None` while nobody counts.
type Deliveries = Arc<Mutex<Option<Vec<Duration>>>>;

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Report> {
    let folder = tempfile::tempdir().context("making a folder")?;
    let database = folder.path().join("roomful.db");
    let mut server = Server::new(&options.server, &database, folder.path())?;
    server.start().await?;
    let port = *server.port().borrow();
    let began = Instant::now();
    let deliveries = Deliveries::default();
    let mut members = JoinSet::new();
    for _ in 0..options.members {
        let socket = join(port, None).await?;
        members.spawn(listen(socket, began, Arc::clone(&deliveries)));
    }
    let mut speaking = JoinSet::new();
    speaking.spawn(speak(port, began));

    let phase = async |time: Duration| -> Result<(Vec<Duration>, u64)> {
        *lock(&deliveries) = Some(Vec::new());
        let mut highest = 0;
        let begun = Instant::now();
        while begun.elapsed() < time {
            highest = highest.max(server.resident_bytes()?);
            sleep(Duration::from_millis(50)).await;
        }
        let mut times = lock(&deliveries).take().unwrap_or_default();
        times.sort_unstable();
        Ok((times, highest))
    };
    phase(WARM_UP.max(options.phase)).await?;
    let mut report = Report::default();
    let (mut ratios, mut growths) = (Vec::new(), Vec::new());
    for pair in 1..=PAIRS {
        let (without, before_bytes) = phase(options.phase).await?;
        let stopped = join(port, Some(RECEIVE_BUFFER_BYTES)).await?;
        let (with, highest_bytes) = phase(options.phase).await?;
        let cut = was_cut(stopped).await;
        let [without_p99, with_p99] = [&without, &with].map(|times| percentile(times, 0.99));
        ratios.push(with_p99.as_secs_f64() / without_p99.as_secs_f64());
        growths.push(highest_bytes.saturating_sub(before_bytes));
        let told = format!(
            "{} and {} ms, {} and {} deliveries; {cut}",
            milliseconds(without_p99),
            milliseconds(with_p99),
            without.len(),
            with.len()
        );
        report.figure(
            &format!("pair {pair}: the others' p99 without and with"),
            told,
        );
    }
    if let Some(Ok(ended)) = members.try_join_next() {
        report.violation(format!("a member that reads was cut: {ended:?}"));
    }
    if let Some(Ok(ended)) = speaking.try_join_next() {
        report.violation(format!("the speaker ended: {ended:?}"));
    }
    ratios.sort_by(f64::total_cmp);
    growths.sort_unstable();
    let ratio = ratios[PAIRS / 2];
    let growth = growths[PAIRS / 2];
    report.figure("members", options.members);
    report.figure(
        "p99 with / without, median of the pairs",
        format!("{ratio:.2}"),
    );
    let shown: Vec<String> = growths
        .iter()
        .map(|bytes| format!("{} KiB", bytes / 1024))
        .collect();
    report.figure(
        "the server's memory grew by, in each pair",
        shown.join(", "),
    );
    if ratio > MOST {
        report.violation(format!(
            "the others' p99 grew by {ratio:.2}, more than {MOST}"
        ));
    }
    if growth > BACKLOG_BYTES {
        report.violation(format!(
            "the server's memory grew by {growth} bytes, more than one member's queue"
        ));
    }
    Ok(report)
}

/// A member that speaks plain text.
async fn join(
    port: u16,
    receive_buffer: Option<u32>,
) -> Result<WebSocketStream<tokio::net::TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = socket.connect(([127, 0, 0, 1], port).into()).await?;
    upgrade(stream, port, ROOM, None).await
}

/// Reads for ever.
async fn listen(
    mut socket: WebSocketStream<tokio::net::TcpStream>,
    began: Instant,
    deliveries: Deliveries,
) -> Result<()> {
    while let Some(message) = socket.next().await {
        let now = began.elapsed();
        let Message::Text(text) = message? else {
            continue;
        };
        let sent = text.split(' ').next().and_then(|sent| sent.parse().ok());
        let sent = Duration::from_nanos(sent.context("a text begins with its time")?);
        if let Some(times) = &mut *lock(&deliveries) {
            times.push(now.saturating_sub(sent));
        }
    }
    bail!("closed")
}

/// Says something at a steady pace, for ever; each text begins with the time at which it was said.
async fn speak(port: u16, began: Instant) -> Result<()> {
    let client = http()?;
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let filler = "x".repeat(TEXT_BYTES);
    let mut token: Option<String> = None;
    loop {
        pace.tick().await;
        let text = format!("{} {filler}", began.elapsed().as_nanos());
        let mut request = client
            .post(messages_url(port, ROOM))
            .timeout(PATIENCE)
            .json(&json!({"text": text}));
        if let Some(token) = &token {
            request = request.bearer_auth(token);
        }
        let answer: serde_json::Value = request.send().await?.error_for_status()?.json().await?;
        token = token.or_else(|| Some(answer["you"]["token"].as_str()?.to_owned()));
    }
}

/// What the server did with a member that did not read: read on to the end, or to the present.
async fn was_cut(mut socket: WebSocketStream<tokio::net::TcpStream>) -> String {
    let reading = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return format!("it was closed with {}", u16::from(frame.code));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return "it was cut".to_owned(),
            }
        }
    };
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(ended) => ended,
        Err(_) => "it reads on".to_owned(),
    }
}

fn lock(deliveries: &Deliveries) -> std::sync::MutexGuard<'_, Option<Vec<Duration>>> {
    deliveries
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
