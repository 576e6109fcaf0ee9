//! Acknowledged means stored: a process that writes is killed again and again, and its ledger is compared with the file.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use roomful_server::history::{History, SqliteOptions};

use super::{member, room, say};

const ROUNDS: usize = 5;
/// Acknowledgements heard before the kill.
const HEARD: usize = 300;
/// Says to the killed process where to write, and which round it is.
const VICTIM: &str = "ROOMFUL_TEST_VICTIM";

#[test]
fn kill_9_under_load_loses_no_acknowledged_message() {
    if let Ok(order) = std::env::var(VICTIM) {
        let (round, path) = order.split_once(' ').unwrap();
        return write_until_killed(round, Path::new(path));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rooms.db");
    let mut ledger = HashMap::new();
    let mut epoch = None;
    for round in 0..ROUNDS {
        for (room, seq, text) in heard_before_the_kill(round, &path) {
            assert_eq!(
                ledger.insert((room, seq), text),
                None,
                "a number given twice"
            );
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            // It opens at once: the lock died with its owner.
            let history = History::open_sqlite(&path, SqliteOptions::default()).unwrap();
            assert_eq!(
                *epoch.get_or_insert_with(|| history.epoch()),
                history.epoch()
            );
            compare(&history, &ledger).await;
            history.close().await;
        });
    }
    assert!(ledger.len() >= ROUNDS * HEARD);
}

/// Everything in the ledger is in the log, under its number, once; and the log has no holes.
async fn compare(history: &History, ledger: &HashMap<(String, u64), String>) {
    let mut found = 0;
    let mut texts = Vec::new();
    for name in ["a", "b", "c"] {
        let page = history.after(&room(name), 0, usize::MAX).await.unwrap();
        assert!(
            page.events.iter().map(|event| event.seq).eq(1..=page.head),
            "no holes"
        );
        let messages = history
            .messages_before(&room(name), None, usize::MAX)
            .await
            .unwrap();
        assert_eq!(messages.len(), page.events.len(), "log and messages agree");
        for event in page.events {
            if let Some(text) = ledger.get(&(name.to_owned(), event.seq)) {
                assert_eq!(event.text.as_deref(), Some(text.as_str()));
                found += 1;
            }
            texts.push(event.text.clone());
        }
    }
    assert_eq!(found, ledger.len(), "acknowledged and stored");
    let count = texts.len();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), count, "nothing twice");
}

/// Starts the victim, listens to its acknowledgements, kills it in the middle, and answers all it acknowledged.
fn heard_before_the_kill(round: usize, path: &Path) -> Vec<(String, u64, String)> {
    let this_test = std::thread::current().name().unwrap().to_owned();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([&*this_test, "--exact", "--nocapture"])
        .env(VICTIM, format!("{round} {}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = Vec::new();
    for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // What the test harness says is between the lines; the last line may be cut off.
        let mut words = line.split(' ');
        if let (Some("acknowledged"), Some(room), Some(seq), Some(text), Some(".")) = (
            words.next(),
            words.next(),
            words.next(),
            words.next(),
            words.next(),
        ) {
            heard.push((room.to_owned(), seq.parse().unwrap(), text.to_owned()));
        }
        if heard.len() == HEARD {
            victim.kill().unwrap();
        }
    }
    let status = victim.wait().unwrap();
    assert!(heard.len() >= HEARD, "the victim ended by itself: {status}");
    heard
}

fn write_until_killed(round: &str, path: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let history = History::open_sqlite(path, SqliteOptions::default()).unwrap();
        let writers = (0..20).map(|writer| {
            let (history, round) = (history.clone(), round.to_owned());
            tokio::spawn(async move {
                let name = ["a", "b", "c"][writer % 3];
                for n in 0.. {
                    let text = format!("{round}/{writer}/{n}");
                    let id = text.clone().into();
                    let appended = history
                        .append(&room(name), member("victim"), id, say(&text))
                        .await
                        .unwrap();
                    // One write, so that the ledger has no mixed lines.
                    let line = format!("acknowledged {name} {} {text} .\n", appended.event.seq);
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            })
        });
        futures_util::future::join_all(writers).await;
    });
}
