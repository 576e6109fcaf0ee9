//! What a storm's report tells besides what is wrong.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::book::Book;
use crate::figures::{Report, milliseconds};
use crate::list::Event;
use crate::nodes::Nodes;
use crate::readers::Reader;
use crate::trouble::FullDisk;

/// The name of the reader that stalls.
pub(crate) const STALLING: &str = "stalling reader";

pub(crate) fn of_logs(report: &mut Report, logs: &[Vec<Event>]) {
    let stored: usize = logs.iter().map(Vec::len).sum();
    report.figure(
        "messages stored, in rooms",
        format!("{stored} in {}", logs.len()),
    );
    for log in logs {
        if let (Some(first), Some(last)) = (log.first(), log.last()) {
            report.figure("dated", format!("{} to {}", first.at, last.at));
        }
    }
}

pub(crate) fn of_messages(report: &mut Report, book: &Book) {
    let mut entries = book.lock();
    report.violations.append(&mut entries.violations);
    report.figure("messages acknowledged", book.count());
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

pub(crate) fn of_connections(report: &mut Report, nodes: &Nodes) {
    let sum = |of: fn(&crate::proxy::Counts) -> &AtomicUsize| {
        let doors = nodes.doors().iter();
        let counts = doors.map(|door| of(&door.counts).load(Ordering::Relaxed));
        counts.sum::<usize>()
    };
    let connections = sum(|counts| &counts.connections);
    report.figure("connections through the proxy", connections);
    let (cuts, resets) = (sum(|counts| &counts.cuts), sum(|counts| &counts.resets));
    let halves = sum(|counts| &counts.half_closes);
    let holes = sum(|counts| &counts.black_holes);
    let broken = cuts + resets + halves + holes;
    report.figure(
        "broken (cuts, resets, half-closes, black holes)",
        format!("{broken} ({cuts}, {resets}, {halves}, {holes})"),
    );
}

pub(crate) async fn of_servers(report: &mut Report, nodes: &Nodes) {
    let (mut starts, mut errors) = (Vec::new(), 0);
    for server in &nodes.servers {
        let server = server.lock().await;
        starts.extend(server.starts.iter().copied());
        errors += server.errors_logged();
    }
    report.figure("kills with -9", starts.len() - nodes.servers.len());
    report.times("start to serving", &mut starts);
    report.figure("errors in the servers' logs", errors);
    if let Some(clock) = &nodes.clock {
        report.figure("steps of the clock", clock.steps);
    }
}

pub(crate) fn of_readers(report: &mut Report, readers: &[Reader]) {
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

pub(crate) fn of_disk(report: &mut Report, full: &FullDisk) {
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
