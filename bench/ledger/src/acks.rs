//! Acknowledged messages per second, end to end: in one room, and in a hundred. The database is on a real disk, and every
//! acknowledgement waits for its flush (`synchronous = full`, the default).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::{Connection, Cursor};
use crate::figures::Report;
use crate::options::Options;
use crate::server::Server;

/// Rooms, speakers in each, and what each speaker has on its way: as much together in either case, and few in one room,
/// because everybody hears everything.
const CASES: [(usize, usize, usize); 2] = [(1, 8, 50), (100, 1, 4)];
/// Before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Report> {
    let mut report = Report::default();
    for (rooms, speakers, window) in CASES {
        // Beside the program, not on a tmpfs: there a flush costs nothing.
        let parent = options.server.parent().unwrap_or(std::path::Path::new("."));
        let folder = tempfile::tempdir_in(parent).context("making a folder")?;
        let mut server = Server::new(
            &options.server,
            &folder.path().join("roomful.db"),
            folder.path(),
        )?;
        server.start().await?;
        let port = *server.port().borrow();
        let mut speaking = JoinSet::new();
        let begun = Instant::now() + WARM_UP;
        for room in 0..rooms {
            for speaker in 0..speakers {
                let name = format!("acks-{rooms}-{room}");
                let phase = (begun, begun + options.phase);
                speaking.spawn(say(port, name, speaker, window, options.text_bytes, phase));
            }
        }
        let mut times = Vec::new();
        while let Some(said) = speaking.join_next().await {
            times.append(&mut said.context("a speaker")??);
        }
        let rate = times.len() as f64 / options.phase.as_secs_f64();
        let what = format!(
            "{rooms} rooms, {} speakers, {} on the way",
            rooms * speakers,
            rooms * speakers * window
        );
        report.figure(&format!("{what}: acknowledged/s"), format!("{rate:.0}"));
        report.times(&format!("{what}: say to said"), &mut times);
        let cpu = server.cpu_seconds()?;
        report.figure(
            &format!("{what}: the server's processor time"),
            format!("{cpu:.2} s"),
        );
        server.kill().await?;
    }
    Ok(report)
}

/// Says as much as is acknowledged, `window` at a time; how long each took that was acknowledged within the phase.
async fn say(
    port: u16,
    room: String,
    speaker: usize,
    window: usize,
    text_bytes: usize,
    (begin, end): (Instant, Instant),
) -> Result<Vec<Duration>> {
    let name = format!("Speaker {speaker}");
    let (mut connection, _) =
        Connection::open(port, &room, &name, None, &Cursor::default()).await?;
    let text = "x".repeat(text_bytes);
    let mut times = Vec::new();
    // Answers come in the order of what was said.
    let mut pending: VecDeque<Instant> = VecDeque::with_capacity(window);
    for number in 0.. {
        if Instant::now() > end {
            break;
        }
        let id = format!("a{speaker}-{number}");
        let say = json!({"type": "chat.say", "id": id, "text": text});
        connection.send(&say).await?;
        pending.push_back(Instant::now());
        while pending.len() >= window {
            let said = connection.next().await?;
            match said["type"].as_str() {
                Some("chat.said") => {
                    let sent = pending.pop_front().context("an answer to something")?;
                    let now = Instant::now();
                    if (begin..end).contains(&now) {
                        times.push(now - sent);
                    }
                }
                Some("chat.error") => bail!("refused: {said}"),
                _ => {}
            }
        }
    }
    Ok(times)
}
