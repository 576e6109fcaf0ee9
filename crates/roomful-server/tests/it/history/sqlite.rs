//! What is special about the SQLite file: it outlives the process, belongs to one, and is refused where it is not what it
//! should be.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use roomful_server::history::{History, HistoryError, OpenError, Retention, SqliteOptions};
use roomful_server::protocol::Action;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{HandClock, Voice, edit, messages, react, room, say, until};

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rooms.db");
    (directory, path)
}

fn open(path: &Path) -> Result<History, OpenError> {
    History::open_sqlite(path, SqliteOptions::default())
}

/// Why it did not open, as a person reads it.
fn refusal(path: &Path) -> (OpenError, String) {
    let error = open(path).expect_err("should not open");
    let sentence = error.to_string();
    assert!(
        sentence.contains(path.file_name().unwrap().to_str().unwrap()),
        "{sentence}"
    );
    (error, sentence)
}

#[tokio::test]
async fn a_reopened_file_goes_on_where_it_was() {
    let (_directory, path) = place();
    let history = open(&path).unwrap();
    let ana = Voice::of(&history, "ana");
    ana.says("a", "one").await;
    ana.says("b", "two").await;
    ana.does("e", edit(1, "one!")).await.unwrap();
    let before = (
        history.epoch().unwrap(),
        *history.secret(),
        messages(&history).await,
    );
    history.close().await;

    let history = open(&path).unwrap();
    assert_eq!(
        (
            history.epoch().unwrap(),
            *history.secret(),
            messages(&history).await
        ),
        before
    );
    let ana = Voice::of(&history, "ana");
    assert!(ana.does("b", say("two")).await.unwrap().repeated);
    assert_eq!(ana.says("c", "three").await, 4);
    drop(history);

    let (_directory, elsewhere) = place();
    let other = open(&elsewhere).unwrap();
    assert_ne!(
        other.epoch().unwrap(),
        before.0,
        "another store is another life"
    );
    assert_ne!(*other.secret(), before.1);
}

#[tokio::test]
async fn closing_leaves_one_whole_file() {
    let (directory, path) = place();
    let history = open(&path).unwrap();
    Voice::of(&history, "ana").says("a", "hi").await;
    history.close().await;

    let mut files: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    files.sort();
    assert_eq!(files, ["rooms.db", "rooms.db.lock"]);
}

#[cfg(unix)]
#[tokio::test]
async fn others_may_not_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_directory, path) = place();
    let history = open(&path).unwrap();
    Voice::of(&history, "ana").says("a", "hi").await;

    for file in [&path, &path.with_file_name("rooms.db-wal")] {
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o077,
            0,
            "{}",
            file.display()
        );
    }
}

#[tokio::test]
async fn a_second_handle_on_the_file_is_refused_until_the_first_is_closed() {
    let (directory, path) = place();
    let history = open(&path).unwrap();

    let (error, sentence) = refusal(&path);
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(sentence.contains("PostgreSQL"), "{sentence}");
    // Another path to the same file is no way around it.
    #[cfg(unix)]
    {
        let link = directory.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(open(&link), Err(OpenError::InUse { .. })));
    }

    history.close().await;
    open(&path).unwrap();
}

#[tokio::test]
async fn a_file_from_the_future_is_refused_and_left_alone() {
    let (_directory, path) = place();
    open(&path).unwrap().close().await;
    let other = Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    other
        .execute("INSERT INTO migrations VALUES (99, 99)", [])
        .unwrap();
    drop(other);

    let (error, sentence) = refusal(&path);
    assert!(
        matches!(
            error,
            OpenError::Newer {
                found: 99,
                readable_by: 99,
                known: SqliteOptions::SCHEMA,
                ..
            }
        ),
        "{error:?}"
    );
    let copy = format!("rooms.db.before-{}", SqliteOptions::SCHEMA + 1);
    assert!(sentence.contains(&copy), "{sentence}");
}

#[test]
fn what_is_no_history_is_refused_and_left_alone() {
    let (directory, path) = place();
    fs::write(&path, "Dear diary, this is not a database. ".repeat(100)).unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(refusal(&path).0, OpenError::NotADatabase { .. }));
    assert_eq!(fs::read(&path).unwrap(), before);

    let path = directory.path().join("foreign.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE recipes (name TEXT)")
        .unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(refusal(&path).0, OpenError::Foreign { .. }));
    assert_eq!(fs::read(&path).unwrap(), before);

    let path = directory.path().join("missing").join("rooms.db");
    assert!(matches!(refusal(&path).0, OpenError::NoDirectory { .. }));
    assert!(
        !path.parent().unwrap().exists(),
        "directories are not made by guessing"
    );

    let path = directory.path().join("directory.db");
    fs::create_dir(&path).unwrap();
    assert!(matches!(refusal(&path).0, OpenError::Io { .. }));
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_refused() {
    let (_directory, path) = place();
    let history = open(&path).unwrap();
    Voice::of(&history, "ana")
        .says("a", &"long ".repeat(10_000))
        .await;
    history.close().await;
    let length = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(length / 2)
        .unwrap();

    let (error, sentence) = refusal(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(sentence.contains("backup"), "{sentence}");
}

#[tokio::test]
async fn a_damaged_text_does_not_hide_the_log_around_it() {
    let (_directory, path) = place();
    let history = open(&path).unwrap();
    let ana = Voice::of(&history, "ana");
    for id in ["a", "b", "c"] {
        ana.says(id, "hi").await;
    }
    history.close().await;
    let other = Connection::open(&path).unwrap();
    other.execute("UPDATE events SET text = CAST(x'68ff' AS TEXT), name = CAST(x'ff' AS TEXT) WHERE seq = 2", []).unwrap();
    drop(other);

    let history = open(&path).unwrap();
    let texts: Vec<_> = messages(&history)
        .await
        .into_iter()
        .map(|message| message.text)
        .collect();
    assert_eq!(texts, ["hi", "h\u{fffd}", "hi"]);
}

#[tokio::test]
async fn a_deleted_text_is_nowhere_in_the_file() {
    let (_directory, path) = place();
    let history = open(&path).unwrap();
    let ana = Voice::of(&history, "ana");
    // A short one that stands between others, and a long one on pages of its own.
    let texts = [
        "a word nobody may read",
        &"a text nobody may read ".repeat(1_000),
    ];
    for (n, text) in texts.iter().enumerate() {
        ana.says(&format!("keep{n}"), "a word for everyone").await;
        let seq = ana.says(&format!("say{n}"), text).await;
        ana.does(&format!("edit{n}"), edit(seq, &text.to_uppercase()))
            .await
            .unwrap();
        ana.does(&format!("delete{n}"), Action::Delete { target: seq })
            .await
            .unwrap();
    }
    history.close().await;

    let file = String::from_utf8_lossy(&fs::read(&path).unwrap()).to_lowercase();
    assert!(file.contains("for everyone"));
    assert!(!file.contains("nobody may read"));
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let (_directory, path) = place();
    let history = open(&path).unwrap();
    let commits = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&commits);
    history.on_commit(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let ana = Voice::of(&history, "ana");

    let ids: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    futures_util::future::join_all(ids.iter().map(|id| ana.does(id, say("hi")))).await;

    let commits = commits.load(Ordering::SeqCst);
    assert!(commits < 100, "{commits} commits for 1,000 events");
}

#[tokio::test]
async fn what_became_too_old_goes_and_what_is_young_stays() {
    let (_directory, path) = place();
    let clock = HandClock::default();
    let options = SqliteOptions {
        retention: Retention {
            age: Some(Duration::from_secs(3_600)),
            interval: Duration::from_millis(5),
            ..Retention::default()
        },
        clock: clock.clock(),
        ..SqliteOptions::default()
    };
    let history = History::open_sqlite(&path, options.clone()).unwrap();
    let ana = Voice::of(&history, "ana");
    // More than is taken in one bite.
    let ids: Vec<String> = (1..=1_200).map(|n| n.to_string()).collect();
    futures_util::future::join_all(ids.iter().map(|id| ana.does(id, say("old")))).await;
    ana.does("r", react(1_200, "👍", true)).await.unwrap();
    ana.does("e", edit(1_200, "old, edited")).await.unwrap();
    clock.forward(Duration::from_secs(3_000));
    ana.says("young", "young").await;
    let first = async || history.after(&room("hall"), 0, 1).await.unwrap().first;
    assert_eq!(first().await, 1);

    clock.forward(Duration::from_secs(700));
    until("the old ones are gone", async || first().await == 1_203).await;
    let [young] = &messages(&history).await[..] else {
        panic!("one message")
    };
    assert_eq!((young.seq, &*young.text), (1_203, "young"));

    clock.forward(Duration::from_secs(3_600));
    until("all are gone", async || first().await == 1_204).await;
    assert_eq!(
        history.rooms(10).await.unwrap(),
        [],
        "there is nothing left to read"
    );
    history.close().await;

    let history = History::open_sqlite(&path, options).unwrap();
    assert_eq!(history.head(&room("hall")).await.unwrap(), 1_203);
    assert_eq!(Voice::of(&history, "ana").says("new", "new").await, 1_204);
    let page = history.after(&room("hall"), 0, 10).await.unwrap();
    assert_eq!((page.first, page.events.len()), (1_204, 1));
}

#[tokio::test]
async fn a_full_disk_refuses_shows_nothing_and_recovers_without_a_restart() {
    let (_directory, path) = place();
    let options = SqliteOptions {
        max_file_bytes: Some(1 << 20),
        ..SqliteOptions::default()
    };
    let history = History::open_sqlite(&path, options).unwrap();
    let shown = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&shown);
    history.on_commit(move |events| {
        counter.fetch_add(events.len(), Ordering::SeqCst);
    });
    let ana = Voice::of(&history, "ana");
    let long = "long ".repeat(6_000);

    let mut stored = 0;
    let refused = loop {
        match ana.does(&stored.to_string(), say(&long)).await {
            Ok(appended) => stored = appended.event.seq,
            Err(error) => break error,
        }
        assert!(stored < 100, "a mebibyte is full by now");
    };
    assert!(
        matches!(refused, HistoryError::Unavailable { .. }) && refused.is_retryable(),
        "{refused:?}"
    );
    assert!(
        std::error::Error::source(&refused)
            .unwrap()
            .to_string()
            .contains("full")
    );
    assert_eq!(shown.load(Ordering::SeqCst) as u64, stored);
    assert_eq!(
        history.head(&room("hall")).await.unwrap(),
        stored,
        "reading goes on"
    );
    assert_eq!(messages(&history).await.len() as u64, stored);

    // Space returns, and the retry is the first with its id.
    ana.does("d", Action::Delete { target: 1 }).await.unwrap();
    let retry = ana.does(&stored.to_string(), say(&long)).await.unwrap();
    assert_eq!((retry.event.seq, retry.repeated), (stored + 2, false));
    history.ready().await.unwrap();
    let log = history.after(&room("hall"), 0, 1_000).await.unwrap().events;
    assert!(
        log.iter().map(|event| event.seq).eq(1..=stored + 2),
        "no holes"
    );
}

#[tokio::test]
async fn a_history_that_could_not_write_finds_out_by_itself_that_it_can() {
    let (_directory, path) = place();
    let options = SqliteOptions {
        max_file_bytes: Some(1 << 20),
        ..SqliteOptions::default()
    };
    let history = History::open_sqlite(&path, options).unwrap();
    let ana = Voice::of(&history, "ana");

    ana.does("a", say(&"x".repeat(2 << 20))).await.unwrap_err();

    // Nobody writes, because the server says it is not ready; asking whether it is must be enough.
    history.ready().await.unwrap();
    assert_eq!(ana.says("b", "hi").await, 1);
}

#[tokio::test]
async fn reading_does_not_wait_for_writing() {
    let (_directory, path) = place();
    let history = open(&path).unwrap();
    let ana = Voice::of(&history, "ana");
    ana.says("a", "one").await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let writing = ana.does("b", say("two"));
    tokio::pin!(writing);
    tokio::select! {
        biased;
        written = &mut writing => panic!("the file is locked: {written:?}"),
        read = messages(&history) => assert_eq!(read.len(), 1),
    }

    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(writing.await.unwrap().event.seq, 2);
}

#[tokio::test]
async fn too_much_at_once_is_refused_at_once_and_what_was_taken_is_stored() {
    let (_directory, path) = place();
    let history = open(&path).unwrap();
    let ana = Voice::of(&history, "ana");
    // The writer waits in the listener until it is released.
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    history.on_commit(move |_| {
        let _ = released.lock().unwrap().recv();
    });

    let large = "x".repeat(1 << 20);
    let ids: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let mut attempts: Vec<_> = ids
        .iter()
        .map(|id| Box::pin(ana.does(id, say(&large))))
        .collect();
    let mut refused = 0;
    attempts.retain_mut(|attempt| match attempt.as_mut().now_or_never() {
        Some(Err(HistoryError::Overloaded)) => {
            refused += 1;
            false
        }
        Some(outcome) => panic!("the writer waits: {outcome:?}"),
        None => true,
    });
    assert!(refused > 0, "200 MiB do not fit into the queue");

    drop(release);
    let taken = attempts.len() as u64;
    for attempt in attempts {
        attempt.await.unwrap();
    }
    assert_eq!(history.head(&room("hall")).await.unwrap(), taken);
}
