//! The main run: speakers and readers on all transports, through everything that breaks, and the comparison at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::book::Book;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::figures::{Report, milliseconds};
use crate::list::Event;
use crate::options::Options;
use crate::proxy::Proxy;
use crate::readers::{Reader, Transport};
use crate::server::Server;
use crate::speakers::Speaker;
use crate::trouble::{self, FullDisk};
use crate::verify;

/// How long readers may take to the log's end, once nothing breaks any more.
const READERS_PATIENCE: Duration = Duration::from_secs(60);
/// With a reader that stalls, the messages go on for so long before and after.
const AROUND_STALL: Duration = Duration::from_secs(15);
/// The name of the reader that stalls.
const STALLING: &str = "stalling reader";
/// And the messages are so long that what waits for the stalled reader is more than the server and the kernel hold for it.
const TEXT_WHILE_STALLED: usize = 4 * 1024;

/// What the run is made of. Fields are dropped in this order: the server is gone before its disk, and that before the folder.
struct Storm {
    proxy: Proxy,
    server: Arc<Mutex<Server>>,
    port: watch::Receiver<u16>,
    clock: Option<Clock>,
    disk: Option<Arc<Disk>>,
    _folder: TempDir,
    book: Arc<Book>,
    rooms: Vec<String>,
}

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Report> {
    let begun = Instant::now();
    let mut storm = Storm::gather(options).await?;
    let mut readers = storm.readers(options);
    let (gate, is_open) = watch::channel(true);
    if options.stall_reader.is_some() {
        // Not through the proxy: it would be cut before it has stalled for long.
        let mut stalling = Reader::new(
            Transport::WebSocket,
            readers.len(),
            0,
            &storm.rooms[0],
            storm.port.clone(),
        );
        stalling.gate = is_open;
        stalling.name = STALLING.to_owned();
        readers.push(stalling);
    }
    // Ended when dropped, with all that still runs.
    let mut reading = JoinSet::new();
    for (number, reader) in readers.iter().enumerate() {
        reading.spawn(reader.clone().read(options.chance("reader", number)));
    }

    let full_disk = storm.rage(options, gate).await?;
    let spoken_after = begun.elapsed();
    let logs = storm.calm_down().await?;

    let waiting = Instant::now();
    let is_behind = |reader: &Reader| {
        let log = logs.get(reader.room).map_or(0, Vec::len);
        reader.list().events.len() < log
    };
    while readers.iter().any(is_behind) && waiting.elapsed() < READERS_PATIENCE {
        sleep(Duration::from_millis(10)).await;
    }
    reading.shutdown().await;

    let mut report = Report::default();
    for (room, log) in logs.iter().enumerate() {
        verify::check_log(&mut report, &storm.book, room, log);
        for reader in readers.iter().filter(|reader| reader.room == room) {
            verify::check_reader(&mut report, reader, log);
        }
    }
    report.figure("seed", options.seed);
    let stored: usize = logs.iter().map(Vec::len).sum();
    report.figure(
        "messages stored, in rooms",
        format!("{stored} in {}", logs.len()),
    );
    for log in &logs {
        if let (Some(first), Some(last)) = (log.first(), log.last()) {
            report.figure("dated", format!("{} to {}", first.at, last.at));
        }
    }
    storm.tell(&mut report).await;
    tell_of_readers(&mut report, &readers);
    if let Some(full) = full_disk {
        report.figure(
            "disk full for",
            format!("{} ms", milliseconds(full.full_for)),
        );
        report.figure("refused meanwhile", full.refusals);
        let recovered = milliseconds(full.recovered_after);
        report.figure(
            "from room on the disk to acknowledgements",
            format!("{recovered} ms"),
        );
    }
    report.figure(
        "spoken after",
        format!("{:.1} s", spoken_after.as_secs_f64()),
    );
    report.figure("elapsed", format!("{:.1} s", begun.elapsed().as_secs_f64()));
    Ok(report)
}

impl Storm {
    /// Starts the server and the proxy.
    async fn gather(options: &Options) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder")?;
        let disk = match options.disk_full {
            true => Some(Arc::new(Disk::mount(&folder.path().join("disk"))?)),
            false => None,
        };
        let database = match &disk {
            Some(disk) => disk.path("roomful.db"),
            None => folder.path().join("roomful.db"),
        };
        let mut server = Server::new(&options.server, database, folder.path())?;
        let clock = match options.clock {
            Some(by) => Some(Clock::new(folder.path(), by)?),
            None => None,
        };
        if let Some(clock) = &clock {
            server.set_environment(clock.environment());
        }
        server.start().await?;
        let port = server.port();
        let chance = options.chance("proxy", 0);
        let proxy = Proxy::start(port.clone(), options.cut_every, chance).await?;
        let rooms = 0..options.rooms.max(1);
        Ok(Self {
            proxy,
            server: Arc::new(Mutex::new(server)),
            port,
            clock,
            disk,
            _folder: folder,
            book: Arc::default(),
            rooms: rooms.map(|room| format!("ledger-{room}")).collect(),
        })
    }

    fn readers(&self, options: &Options) -> Vec<Reader> {
        let numbers = 0..options.readers;
        let each = numbers.flat_map(|number| Transport::ALL.map(|transport| (number, transport)));
        let (_, port) = watch::channel(self.proxy.port);
        each.map(|(number, transport)| {
            let room = number % self.rooms.len();
            Reader::new(transport, number, room, &self.rooms[room], port.clone())
        })
        .collect()
    }

    /// Has everything said, while everything breaks.
    async fn rage(
        &mut self,
        options: &Options,
        gate: watch::Sender<bool>,
    ) -> Result<Option<FullDisk>> {
        let (server, book, messages) = (&self.server, &self.book, options.messages);
        let speaking = self.speak(options);
        let killing = trouble::kill(
            server,
            book,
            options.kills,
            messages,
            options.chance("kill", 0),
        );
        let stalling = async {
            match options.stall_reader {
                Some(stall) => trouble::stall(server, book, gate, stall, messages).await,
                None => Ok(()),
            }
        };
        let filling = async {
            match &self.disk {
                Some(disk) => trouble::fill_disk(server, book, disk, messages)
                    .await
                    .map(Some),
                None => Ok(None),
            }
        };
        let stepping = async {
            match &mut self.clock {
                Some(clock) => trouble::step_clock(clock).await,
                None => std::future::pending().await,
            }
        };
        let everything = async {
            let spoken = async {
                let all = speaking.join_all().await;
                all.into_iter().collect::<Result<()>>()
            };
            let ((), (), (), full_disk) = tokio::try_join!(spoken, killing, stalling, filling)?;
            Ok(full_disk)
        };
        tokio::select! {
            done = everything => done,
            failed = stepping => failed.map(|()| None),
        }
    }

    fn speak(&self, options: &Options) -> JoinSet<Result<()>> {
        let mut speaking = JoinSet::new();
        let (speakers, rooms) = (options.speakers.max(1), self.rooms.len());
        let (over, text_bytes) = match options.stall_reader {
            Some(stall) => (
                options.over.max(stall + AROUND_STALL),
                options.text_bytes.max(TEXT_WHILE_STALLED),
            ),
            None => (options.over, options.text_bytes),
        };
        for number in 0..speakers {
            // What does not divide evenly falls to the first ones.
            let rest = usize::from(number < options.messages % speakers);
            let messages = options.messages / speakers + rest;
            let room = number % rooms;
            let speaker = Speaker {
                number,
                room,
                room_name: self.rooms[room].clone(),
                messages,
                text_bytes,
                pause: over.div_f64(messages.max(1) as f64),
                port: self.proxy.port,
                book: Arc::clone(&self.book),
                chance: options.chance("speaker", number),
            };
            // Both kinds in every room.
            match number / rooms % 2 {
                0 => speaking.spawn(speaker.over_websocket()),
                _ => speaking.spawn(speaker.over_post()),
            };
        }
        speaking
    }

    /// From here on nothing breaks any more but the server, once: what is compared is what it has after that.
    async fn calm_down(&self) -> Result<Vec<Vec<Event>>> {
        self.proxy.calm_down();
        let mut server = self.server.lock().await;
        server.kill().await?;
        server.start().await?;
        let port = *self.port.borrow();
        let mut logs = Vec::new();
        for room in &self.rooms {
            logs.push(verify::log(port, room).await?);
        }
        Ok(logs)
    }

    async fn tell(&self, report: &mut Report) {
        self.tell_of_messages(report);
        self.tell_of_connections(report);
        let mut server = self.server.lock().await;
        report.figure("kills with -9", server.starts.len() - 1);
        report.times("start to serving", &mut server.starts);
        report.figure("errors in the server's log", server.errors_logged());
        if let Some(clock) = &self.clock {
            report.figure("steps of the clock", clock.steps);
        }
    }

    fn tell_of_messages(&self, report: &mut Report) {
        let mut entries = self.book.lock();
        report.violations.append(&mut entries.violations);
        report.figure("messages acknowledged", self.book.count());
        report.figure("sent, repeats included", entries.sends);
        report.figure(
            "repeats acknowledged, same number",
            entries.repeats_acknowledged,
        );
        for (code, count) in &entries.refusals {
            report.figure(&format!("refused with {code}, said again"), *count);
        }
        report.times("first send to acknowledgement", &mut entries.ack_times);
    }

    fn tell_of_connections(&self, report: &mut Report) {
        let counts = &self.proxy.counts;
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        report.figure("connections through the proxy", count(&counts.connections));
        let (cuts, resets) = (count(&counts.cuts), count(&counts.resets));
        let (halves, holes) = (count(&counts.half_closes), count(&counts.black_holes));
        let broken = format!("{} ({cuts}, {resets}, {halves}, {holes})", counts.broken());
        report.figure("broken (cuts, resets, half-closes, black holes)", broken);
    }
}

fn tell_of_readers(report: &mut Report, readers: &[Reader]) {
    let sum = |of: fn(&Reader) -> usize| readers.iter().map(of).sum::<usize>();
    let events = sum(|reader| reader.list().events.len());
    report.figure(
        "readers, events they have",
        format!("{}, {events}", readers.len()),
    );
    let repeats = sum(|reader| reader.list().repeats);
    report.figure("events readers got again, dropped", repeats);
    for stalling in readers.iter().filter(|reader| reader.name == STALLING) {
        // Once for each life of the server, and once more for each time it was cut for being slow.
        let welcomes = stalling.list().welcomes;
        report.figure("the stalling reader was welcomed", welcomes);
    }
    let mut closes: Vec<u16> = readers
        .iter()
        .flat_map(|reader| reader.list().closes.clone())
        .collect();
    closes.sort_unstable();
    for same in closes.chunk_by(|a, b| a == b) {
        let code = same.first().copied().unwrap_or_default();
        report.figure(&format!("closes with {code}"), same.len());
    }
}
