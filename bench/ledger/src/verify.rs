//! The comparison at the end: what was acknowledged, what the server has, and what each reader has.

use std::collections::HashMap;

use anyhow::Result;

use crate::book::Book;
use crate::client::{Cursor, events_url, http};
use crate::figures::Report;
use crate::list::Event;
use crate::readers::{Page, Reader};
use crate::speakers::Speaker;

/// A room's whole log, page by page.
pub(crate) async fn log(port: u16, room: &str) -> Result<Vec<Event>> {
    let client = http()?;
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.seq);
        let cursor = Cursor {
            after: Some(after),
            epoch: None,
        };
        let request = client.get(events_url(port, room, &cursor, None));
        let page: Page = request.send().await?.error_for_status()?.json().await?;
        let (head, count) = (page.head, page.events.len());
        events.extend(page.events);
        if count == 0 || events.last().is_some_and(|event| event.seq >= head) {
            return Ok(events);
        }
    }
}

/// Holds one room's log to the ledger.
pub(crate) fn check_log(report: &mut Report, book: &Book, room: usize, log: &[Event]) {
    let entries = book.lock();
    let mut found: HashMap<&str, u64> = HashMap::new();
    let mut authors: HashMap<usize, &str> = HashMap::new();
    let mut at = "";
    for (expected, event) in (1..).zip(log) {
        let (seq, id) = (event.seq, event.id.as_str());
        if seq != expected {
            report.violation(format!(
                "room {room}: number {seq} stands where {expected} should"
            ));
        }
        if let Some(before) = found.insert(id, seq) {
            report.violation(format!(
                "room {room}: `{id}` is there twice, as {before} and {seq}"
            ));
        }
        if event.at.as_str() < at {
            report.violation(format!(
                "room {room}: {seq} is dated {}, before the one before it",
                event.at
            ));
        }
        at = &event.at;
        let Some(sent) = entries.sent.get(id) else {
            report.violation(format!("room {room}: {seq} is `{id}`, which nobody sent"));
            continue;
        };
        let as_sent = sent.room == room
            && sent.text == event.text
            && Speaker::name(sent.speaker) == event.from.name;
        if !as_sent {
            report.violation(format!(
                "room {room}: `{id}` was sent as {sent:?} and is {event:?}"
            ));
        }
        let author = authors.entry(sent.speaker).or_insert(&event.from.id);
        // Who has no token yet is somebody new each time.
        let first = id.contains("first");
        if *author != event.from.id && !first {
            report.violation(format!(
                "room {room}: `{id}` is by {}, its author was {author}",
                event.from.id
            ));
        } else if first {
            *author = &event.from.id;
        }
    }
    for (id, sent) in entries.sent.iter().filter(|(_, sent)| sent.room == room) {
        if let Some(seq) = sent.acknowledged
            && found.get(id.as_str()) != Some(&seq)
        {
            let there = found.get(id.as_str());
            report.violation(format!(
                "room {room}: `{id}` was acknowledged as {seq}, the log has it as {there:?}"
            ));
        }
    }
}

/// Holds a reader's list to the log.
pub(crate) fn check_reader(report: &mut Report, reader: &Reader, log: &[Event]) {
    let list = reader.list();
    let name = &reader.name;
    for violation in &list.violations {
        report.violation(format!("{name}: {violation}"));
    }
    if list.events.len() != log.len() {
        report.violation(format!(
            "{name} has {} events of {}",
            list.events.len(),
            log.len()
        ));
    }
    let differs = list
        .events
        .iter()
        .zip(log)
        .find(|(theirs, ours)| theirs != ours);
    if let Some((theirs, ours)) = differs {
        report.violation(format!("{name} has {theirs:?}, the log {ours:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{Author, Text};

    fn event(seq: u64, id: &str) -> Event {
        Event {
            seq,
            id: id.to_owned(),
            from: Author {
                id: "m-1".to_owned(),
                name: Speaker::name(0),
            },
            text: Text::from(format!("text of {id}")),
            at: format!("2026-11-22T12:00:00.{seq:03}Z"),
        }
    }

    fn book(acknowledged: &[(&str, u64)]) -> Book {
        let book = Book::default();
        for (id, seq) in acknowledged {
            book.sending(id, 0, 0, &format!("text of {id}"));
            book.acknowledged(id, *seq);
        }
        book
    }

    fn violations(book: &Book, log: &[Event]) -> Vec<String> {
        let mut report = Report::default();
        check_log(&mut report, book, 0, log);
        report.violations
    }

    #[test]
    fn what_was_acknowledged_has_to_be_there_with_its_number() {
        let book = book(&[("a", 1), ("b", 2)]);
        assert!(violations(&book, &[event(1, "a"), event(2, "b")]).is_empty());

        let lost = violations(&book, &[event(1, "a")]);
        assert_eq!(lost.len(), 1, "{lost:?}");
        assert!(lost[0].contains("`b` was acknowledged as 2"), "{lost:?}");
    }

    #[test]
    fn doubles_holes_strangers_and_steps_back_in_time_are_found() {
        let book = book(&[("a", 1), ("b", 2)]);
        let found = |log: &[Event], what: &str| {
            let violations = violations(&book, log);
            assert!(
                violations.iter().any(|one| one.contains(what)),
                "{violations:?}"
            );
        };
        found(
            &[event(1, "a"), event(2, "b"), event(3, "a")],
            "there twice",
        );
        found(&[event(1, "a"), event(3, "b")], "stands where 2 should");
        found(
            &[event(1, "a"), event(2, "b"), event(3, "c")],
            "nobody sent",
        );
        let mut early = event(2, "b");
        early.at = "2026-11-22T11:00:00.000Z".to_owned();
        found(&[event(1, "a"), early], "before the one before it");
        let mut forged = event(2, "b");
        forged.text = Text::from("another text");
        found(&[event(1, "a"), forged], "was sent as");
    }
}
