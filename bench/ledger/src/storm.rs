//! The main run: speakers and readers on all transports, through everything that breaks, and the comparison at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::book::Book;
use crate::figures::Report;
use crate::list::Event;
use crate::nodes::Nodes;
use crate::options::Options;
use crate::readers::{Reader, Transport};
use crate::speakers::Speaker;
use crate::tell::{self, STALLING};
use crate::trouble::{self, FullDisk};
use crate::verify;

/// How long readers may take to the log's end, once nothing breaks any more; and the nodes until they have the same log.
const READERS_PATIENCE: Duration = Duration::from_secs(60);
/// With a reader that stalls, or without Redis, the messages go on for so long before and after.
const AROUND_TROUBLE: Duration = Duration::from_secs(15);
/// And with such a reader they are so long that what waits for it is more than the server and the kernel hold for it.
const TEXT_WHILE_STALLED: usize = 4 * 1024;

/// What the run is made of.
struct Storm {
    nodes: Nodes,
    book: Arc<Book>,
    rooms: Vec<String>,
}

/// What was felt of all that broke.
struct Felt {
    full_disk: Option<FullDisk>,
    /// Acknowledged while a node was gone.
    without_node: usize,
    /// Acknowledged while Redis was gone.
    without_redis: Option<usize>,
}

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Report> {
    let begun = Instant::now();
    let rooms = 0..options.rooms.max(1);
    let mut storm = Storm {
        nodes: Nodes::start(options).await?,
        book: Arc::default(),
        rooms: rooms.map(|room| format!("ledger-{room}")).collect(),
    };
    let mut readers = storm.readers(options);
    let (gate, is_open) = watch::channel(true);
    if options.stall_reader.is_some() {
        // Not through the proxy: it would be cut before it has stalled for long.
        let mut stalling = Reader::new(
            Transport::WebSocket,
            readers.len(),
            0,
            &storm.rooms[0],
            storm.nodes.port.clone(),
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

    let felt = storm.rage(options, gate).await?;
    let spoken_after = begun.elapsed();
    storm.nodes.calm_down();
    let calm = Instant::now();
    let mut report = Report::default();
    let logs = storm.logs(&mut report).await?;

    let is_behind = |reader: &Reader| {
        let log = logs.get(reader.room).map_or(0, Vec::len);
        reader.list().events.len() < log
    };
    while readers.iter().any(is_behind) && calm.elapsed() < READERS_PATIENCE {
        sleep(Duration::from_millis(10)).await;
    }
    let complete_after = calm.elapsed();
    reading.shutdown().await;

    for (room, log) in logs.iter().enumerate() {
        verify::check_log(&mut report, &storm.book, room, log);
        for reader in readers.iter().filter(|reader| reader.room == room) {
            verify::check_reader(&mut report, reader, log);
        }
    }
    report.figure("seed", options.seed);
    tell::of_logs(&mut report, &logs);
    tell::of_messages(&mut report, &storm.book);
    tell::of_connections(&mut report, &storm.nodes);
    tell::of_servers(&mut report, &storm.nodes).await;
    tell::of_readers(&mut report, &readers);
    if let Some(full) = &felt.full_disk {
        tell::of_disk(&mut report, full);
    }
    if let Some(acknowledged) = felt.without_redis {
        let away = options.redis_away.as_secs_f64();
        report.figure(
            &format!("acknowledged in {away} s without Redis"),
            acknowledged,
        );
        report.figure("acknowledged with one node of two gone", felt.without_node);
    }
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    report.figure("spoken after", seconds(spoken_after));
    report.figure(
        "and the last reader complete after",
        seconds(complete_after),
    );
    report.figure("elapsed", seconds(begun.elapsed()));
    Ok(report)
}

impl Storm {
    fn readers(&self, options: &Options) -> Vec<Reader> {
        let numbers = 0..options.readers;
        let each = numbers.flat_map(|number| Transport::ALL.map(|transport| (number, transport)));
        each.map(|(number, transport)| {
            let room = number % self.rooms.len();
            let (_, port) = watch::channel(self.nodes.door(number).port);
            Reader::new(transport, number, room, &self.rooms[room], port)
        })
        .collect()
    }

    /// Has everything said, while everything breaks.
    async fn rage(&mut self, options: &Options, gate: watch::Sender<bool>) -> Result<Felt> {
        let mut speaking = self.speak(options);
        let mut clock = self.nodes.clock.take();
        let (nodes, book, messages) = (&self.nodes, &self.book, options.messages);
        let spoken = async {
            while let Some(spoken) = speaking.join_next().await {
                spoken.context("a speaker")??;
            }
            Ok::<(), anyhow::Error>(())
        };
        let stalling = async {
            match options.stall_reader {
                Some(stall) => trouble::stall(&nodes.servers[0], book, gate, stall, messages).await,
                None => Ok(()),
            }
        };
        let filling = async {
            match &nodes.disk {
                Some(disk) => trouble::fill_disk(&nodes.servers[0], book, disk, messages)
                    .await
                    .map(Some),
                None => Ok(None),
            }
        };
        let taking_away = async {
            match &nodes.redis {
                Some(redis) => trouble::take_redis_away(redis, book, options)
                    .await
                    .map(Some),
                None => Ok(None),
            }
        };
        let stepping = async {
            match &mut clock {
                Some(clock) => trouble::step_clock(clock).await,
                None => std::future::pending().await,
            }
        };
        let everything = async {
            let ((), without_node, (), full_disk, without_redis) = tokio::try_join!(
                spoken,
                trouble::kill(nodes, book, options),
                stalling,
                filling,
                taking_away
            )?;
            Ok::<Felt, anyhow::Error>(Felt {
                full_disk,
                without_node,
                without_redis,
            })
        };
        let felt = tokio::select! {
            done = everything => done?,
            failed = stepping => return Err(failed.err().context("stepping the clock never ends")?),
        };
        self.nodes.clock = clock;
        Ok(felt)
    }

    fn speak(&self, options: &Options) -> JoinSet<Result<()>> {
        let mut speaking = JoinSet::new();
        let (speakers, rooms) = (options.speakers.max(1), self.rooms.len());
        let (mut over, mut text_bytes) = (options.over, options.text_bytes);
        if let Some(stall) = options.stall_reader {
            over = over.max(stall + AROUND_TROUBLE);
            text_bytes = text_bytes.max(TEXT_WHILE_STALLED);
        }
        if options.cluster {
            over = over.max(options.redis_away + AROUND_TROUBLE);
        }
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
                port: self.nodes.door(number).port,
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

    /// The rooms' logs, which every node has to have alike. A single server is killed once more before: what is compared is
    /// what it has after that. Nodes are not: their readers have to be complete without coming back.
    async fn logs(&self, report: &mut Report) -> Result<Vec<Vec<Event>>> {
        if let [server] = self.nodes.servers.as_slice() {
            let mut server = server.lock().await;
            server.kill().await?;
            server.start().await?;
        }
        let begun = Instant::now();
        loop {
            let mut logs = Vec::new();
            for server in &self.nodes.servers {
                let port = *server.lock().await.port().borrow();
                let mut rooms = Vec::new();
                for room in &self.rooms {
                    rooms.push(verify::log(port, room).await?);
                }
                logs.push(rooms);
            }
            let are_same = logs.iter().all(|log| *log == logs[0]);
            let stored: usize = logs[0].iter().map(Vec::len).sum();
            let is_over = begun.elapsed() > READERS_PATIENCE;
            // A node that missed something without knowing it finds that out within seconds.
            if (are_same && stored >= self.book.count()) || self.nodes.servers.len() == 1 || is_over
            {
                if !are_same {
                    report.violation("the nodes' logs differ");
                }
                return logs.into_iter().next().context("there is a server");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}
