//! Many members come back at once: the server is killed under all of them and started again, and each has to have everything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::book::Book;
use crate::figures::Report;
use crate::options::Options;
use crate::readers::{Reader, Transport};
use crate::server::Server;
use crate::speakers::Speaker;
use crate::verify;

const ROOM: &str = "burst";
/// Said while everybody is here.
const BEFORE: usize = 200;
/// Said while they come back.
const AFTER: usize = 200;
/// Between two messages, on average.
const BETWEEN_MESSAGES: Duration = Duration::from_millis(2);
/// How long all of it may take: to come, to hear what is said, to come back.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two members, when they first come.
const ONE_BY_ONE: Duration = Duration::from_millis(1);

/// Runs it.
pub(crate) async fn run(options: &Options, members: usize) -> Result<Report> {
    let folder = tempfile::tempdir().context("making a folder")?;
    let database = folder.path().join("roomful.db");
    let mut server = Server::new(&options.server, &database, folder.path())?;
    server.start().await?;
    let book = Arc::new(Book::default());

    let mut reading = JoinSet::new();
    let mut readers = Vec::new();
    for number in 0..members {
        let reader = Reader::new(Transport::WebSocket, number, 0, ROOM, server.port());
        let (copy, chance) = (reader.clone(), options.chance("reader", number));
        reading.spawn(async move {
            // The first time they come one by one; the second time is what is measured.
            sleep(ONE_BY_ONE * u32::try_from(number).unwrap_or(u32::MAX)).await;
            copy.read(chance).await
        });
        readers.push(reader);
    }
    let all_have = async |welcomes: usize, events: usize, what: &str| {
        let missing = |reader: &&Reader| {
            let list = reader.list();
            list.welcomes < welcomes || list.events.len() < events
        };
        let begun = Instant::now();
        while let Some(reader) = readers.iter().find(missing) {
            if begun.elapsed() > PATIENCE {
                let behind = readers.iter().filter(missing).count();
                bail!(
                    "{what}: {behind} of {members} members are not there, such as {}",
                    reader.name
                );
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok::<_, anyhow::Error>(begun.elapsed())
    };
    let came = all_have(1, 0, "coming").await?;
    speak(&server, &book, options, 0, BEFORE).await?;
    all_have(1, BEFORE, "hearing").await?;
    let full_bytes = server.resident_bytes()?;

    server.kill().await?;
    server.start().await?;
    let begun = Instant::now();
    let speaking = speak(&server, &book, options, 1, AFTER);
    let returned = all_have(2, BEFORE, "coming back");
    let ((), back) = tokio::try_join!(speaking, returned)?;
    all_have(2, BEFORE + AFTER, "catching up").await?;
    let complete = begun.elapsed();
    let cpu = server.cpu_seconds()?;
    let resident_bytes = server.resident_bytes()?;
    reading.shutdown().await;

    let mut report = Report::default();
    let log = verify::log(*server.port().borrow(), ROOM).await?;
    verify::check_log(&mut report, &book, 0, &log);
    for reader in &readers {
        verify::check_reader(&mut report, reader, &log);
    }
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    report.figure("members", members);
    report.figure("connected at first within", seconds(came));
    report.figure("start to serving", seconds(server.starts[1]));
    report.figure("all welcomed again, after it serves", seconds(back));
    report.figure("all complete, after it serves", seconds(complete));
    report.figure(
        "messages before and meanwhile",
        format!("{BEFORE} and {AFTER}"),
    );
    let mut times = std::mem::take(&mut book.lock().ack_times);
    report.times(
        "send to acknowledgement",
        times.get_mut(BEFORE..).unwrap_or_default(),
    );
    report.figure(
        "the server's processor time since its start",
        format!("{cpu:.2} s"),
    );
    report.figure(
        "the server's memory before and after",
        format!(
            "{} and {}",
            mebibytes(full_bytes),
            mebibytes(resident_bytes)
        ),
    );
    Ok(report)
}

/// Says so many messages.
async fn speak(
    server: &Server,
    book: &Arc<Book>,
    options: &Options,
    number: usize,
    messages: usize,
) -> Result<()> {
    let speaker = Speaker {
        number,
        room: 0,
        room_name: ROOM.to_owned(),
        messages,
        text_bytes: options.text_bytes,
        pause: BETWEEN_MESSAGES,
        port: *server.port().borrow(),
        book: Arc::clone(book),
        chance: options.chance("speaker", number),
    };
    speaker.over_websocket().await
}
