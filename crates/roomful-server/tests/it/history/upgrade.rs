//! Stores that a newer version migrates, while older ones run or come back.

use std::path::{Path, PathBuf};

use roomful_server::history::{History, Migration, OpenError, SqliteOptions};
use rusqlite::Connection;

use super::{Voice, messages};
use crate::support::Server;

const ADD_COLOUR: &str = "ALTER TABLE rooms ADD COLUMN colour TEXT";

/// What a later version has after our own steps.
fn later(steps: &[(&'static str, u32)], ours: u32) -> &'static [Migration] {
    let steps = steps.iter().zip(ours + 1..);
    let steps: Vec<_> = steps
        .map(|(&(sql, readable_by), schema)| Migration {
            schema,
            readable_by,
            sql,
        })
        .collect();
    steps.leak()
}

/// A file in which somebody spoke, brought by a later version to a schema that one can use who knows `readable_by`.
async fn newer_file(directory: &Path, readable_by: u32) -> PathBuf {
    let path = directory.join("rooms.db");
    let history = History::open_sqlite(&path, SqliteOptions::default()).unwrap();
    Voice::of(&history, "ana").says("a", "hi").await;
    history.close().await;
    let newer = SqliteOptions {
        later_migrations: later(&[(ADD_COLOUR, readable_by)], SqliteOptions::SCHEMA),
        ..SqliteOptions::default()
    };
    History::open_sqlite(&path, newer).unwrap().close().await;
    path
}

#[tokio::test]
async fn a_file_that_a_newer_version_only_added_to_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = newer_file(directory.path(), SqliteOptions::SCHEMA).await;

    let looked_at = History::look_at_sqlite(&path).unwrap();
    let history = History::open_sqlite(&path, SqliteOptions::default()).unwrap();

    assert!(looked_at.contains("may still use it"), "{looked_at}");
    assert_eq!(Voice::of(&history, "ana").says("b", "again").await, 2);
    assert_eq!(messages(&history).await.len(), 2);
}

#[tokio::test]
async fn a_file_that_takes_a_newer_version_is_refused_in_words_and_left_alone() {
    let (ours, directory) = (SqliteOptions::SCHEMA, tempfile::tempdir().unwrap());
    let path = newer_file(directory.path(), ours + 1).await;
    let before = std::fs::read(&path).unwrap();

    for refused in [
        History::look_at_sqlite(&path).unwrap_err(),
        History::open_sqlite(&path, SqliteOptions::default()).unwrap_err(),
    ] {
        let OpenError::Newer {
            found,
            readable_by,
            known,
            ref copy,
            ..
        } = refused
        else {
            panic!("{refused:?}")
        };
        assert_eq!((found, readable_by, known), (ours + 1, ours + 1, ours));
        assert!(copy.exists(), "the way back is there: {refused}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_from_before_the_second_number_is_served_and_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rooms.db");
    let early = History::open_sqlite(&path, SqliteOptions::default()).unwrap();
    Voice::of(&early, "ana").says("a", "hi").await;
    early.close().await;
    let drop_table = Connection::open(&path).unwrap();
    drop_table.execute_batch("DROP TABLE migrations").unwrap();
    drop(drop_table);

    let history = History::open_sqlite(&path, SqliteOptions::default()).unwrap();
    assert_eq!(Voice::of(&history, "ana").says("b", "again").await, 2);
    history.close().await;

    let ours = SqliteOptions::SCHEMA;
    let newer = SqliteOptions {
        later_migrations: later(&[(ADD_COLOUR, ours + 1)], ours),
        ..SqliteOptions::default()
    };
    let newer = History::open_sqlite(&path, newer).unwrap();
    assert_eq!(messages(&newer).await.len(), 2);
    newer.close().await;
    History::open_sqlite(&path, SqliteOptions::default()).unwrap_err();
}

#[tokio::test]
async fn the_program_and_its_check_say_that_a_file_takes_a_newer_version() {
    let mut server = Server::start();
    server.terminate();
    server.ended().await;
    let newer = Connection::open(server.path("rooms.db")).unwrap();
    newer
        .execute("INSERT INTO migrations VALUES (99, 98)", [])
        .unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);

    for (code, said) in [server.start_another(), server.check()] {
        assert_eq!(code, Some(1), "{said}");
        for words in ["schema 99", "schema 98", "start that version"] {
            assert!(said.contains(words), "{said}");
        }
    }
}

#[cfg(feature = "postgres-tests")]
mod postgres {
    use roomful_server::history::{History, HistoryError, OpenError, PostgresOptions};
    use services::Postgres;
    use tokio::task::spawn_blocking;

    use super::super::{Voice, messages, say, until};
    use super::later;
    use crate::support::{Server, soon};

    const OURS: u32 = PostgresOptions::SCHEMA;
    const ADD_COLOUR: &str = "ALTER TABLE roomful.rooms ADD COLUMN colour text";

    /// By this version.
    fn open(url: &str) -> Result<History, OpenError> {
        History::open_postgres(url, PostgresOptions::default())
    }

    /// As `roomful check` does, which blocks.
    async fn look(url: &str) -> Result<String, OpenError> {
        let url = url.to_owned();
        spawn_blocking(move || History::look_at_postgres(&url))
            .await
            .unwrap()
    }

    /// By a later version, which has these steps after ours.
    fn open_later(url: &str, steps: &[(&'static str, u32)]) -> Result<History, OpenError> {
        let options = PostgresOptions {
            later_migrations: later(steps, OURS),
            ..PostgresOptions::default()
        };
        History::open_postgres(url, options)
    }

    /// A later version was here.
    fn mark(server: &Postgres, url: &str, schema: u32, readable_by: u32) {
        let newer = format!(
            "INSERT INTO roomful.migrations (version, readable_by) VALUES ({schema}, {readable_by})"
        );
        server.psql(url, &newer).unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_two_servers_that_start_one_runs_a_slow_migration_the_other_waits_and_both_serve() {
        // Longer than a statement and a piece of work may take otherwise; by hand also 30.
        let seconds = std::env::var("SLOW_MIGRATION_SECONDS").unwrap_or("7".to_owned());
        let postgres = Postgres::shared().unwrap();
        let url = postgres.database().unwrap();
        // A sequence counts runs that were rolled back, too.
        let slow = format!(
            "CREATE SEQUENCE public.runs; \
             CREATE FUNCTION public.slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'roomful.store') THEN \
             PERFORM nextval('public.runs'); PERFORM pg_sleep({seconds}); END IF; END $$; \
             CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.slow()"
        );
        postgres.psql(&url, &slow).unwrap();

        let starting = [(); 2].map(|()| {
            let url = url.clone();
            spawn_blocking(move || Server::with(&url, &[]))
        });
        let mut servers = Vec::new();
        for starting in starting {
            servers.push(starting.await.unwrap());
        }

        let runs = "SELECT last_value, is_called FROM public.runs";
        assert_eq!(postgres.psql(&url, runs).unwrap(), "1|t");
        let logs: Vec<String> = servers.iter().map(Server::log).collect();
        println!("{}\n---\n{}", logs[0], logs[1]);
        let which = |words| logs.iter().position(|log| log.contains(words));
        let runner = which("step 1 of").expect("one runs it");
        assert!(logs[runner].contains("running for 5 s"));
        let waiting = &logs[1 - runner];
        assert!(
            waiting.contains("waiting for it") && waiting.contains("roomful migration, process "),
            "{waiting}"
        );
        assert!(!waiting.contains("step 1 of"), "{waiting}");
        for (server, seq) in servers.iter().zip(1..) {
            assert_eq!(server.api().say("hall", "hi").await["seq"], seq);
        }
        for server in &servers {
            let page = server.api().get_json("/api/rooms/hall/messages").await;
            assert_eq!(page["messages"].as_array().unwrap().len(), 2, "{page}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nodes_run_on_where_newer_ones_only_add() {
        let postgres = Postgres::shared().unwrap();
        let url = postgres.database().unwrap();
        let old = open(&url).unwrap();
        assert_eq!(Voice::of(&old, "ana").says("a", "before").await, 1);

        let opening = [(); 3].map(|()| {
            let url = url.clone();
            spawn_blocking(move || open_later(&url, &[(ADD_COLOUR, OURS)]).unwrap())
        });
        let mut nodes = vec![old];
        for opening in opening {
            nodes.push(opening.await.unwrap());
        }
        let looked_at = look(&url).await.unwrap();
        nodes.push(open(&url).unwrap());

        assert!(looked_at.contains("may still use it"), "{looked_at}");
        for (node, seq) in nodes.iter().zip(2..) {
            let id = format!("b{seq}");
            assert_eq!(Voice::of(node, "ben").says(&id, "after").await, seq);
        }
        for node in &nodes {
            node.ready().await.unwrap();
            assert_eq!(messages(node).await.len(), 6);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_node_that_a_migration_makes_too_old_takes_nothing_more_and_does_not_come_back() {
        let postgres = Postgres::shared().unwrap();
        let url = postgres.database().unwrap();
        let old = open(&url).unwrap();
        let ana = Voice::of(&old, "ana");
        assert_eq!(ana.says("a", "before").await, 1);
        let outdated = old.outdated();

        let newer = open_later(&url, &[(ADD_COLOUR, OURS + 1)]).unwrap();
        let reason = soon("that the node is too old", outdated).await;

        assert_eq!(
            (reason.found, reason.readable_by, reason.known),
            (OURS + 1, OURS + 1, OURS)
        );
        let refused = ana.does("b", say("after")).await.unwrap_err();
        assert!(matches!(refused, HistoryError::Closed), "{refused:?}");
        old.ready().await.unwrap_err();
        old.close().await;
        assert_eq!(Voice::of(&newer, "ben").says("b", "after").await, 2);
        for refused in [look(&url).await.unwrap_err(), open(&url).unwrap_err()] {
            let OpenError::NewerPostgres { source, .. } = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(source, reason);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_notices_later_migrations_and_leaves_in_words_when_it_must() {
        let postgres = Postgres::shared().unwrap();
        let url = postgres.database().unwrap();
        let mut server = spawn_blocking({
            let url = url.clone();
            move || Server::with(&url, &[])
        })
        .await
        .unwrap();
        server.api().say("hall", "hi").await;

        mark(&postgres, &url, 98, OURS);
        until("it notices", async || server.log().contains("to schema 98")).await;
        assert_eq!(server.api().say("hall", "still here").await["seq"], 2);

        mark(&postgres, &url, 99, 97);
        let status = server.ended().await;

        assert_eq!(status.code(), Some(1));
        let log = server.log();
        assert!(log.contains("takes nothing more and stops"), "{log}");
        assert!(log.contains("roomful: stopped: a newer roomful"), "{log}");
        for (code, said) in [server.start_another(), server.check()] {
            assert_eq!(code, Some(1), "{said}");
            let known = format!("this one knows {OURS}");
            for words in ["schema 99", "schema 97", &known, "start that version"] {
                assert!(said.contains(words), "{said}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_migration_that_fails_leaves_the_tables_as_they_were() {
        let postgres = Postgres::shared().unwrap();
        let url = postgres.database().unwrap();
        let old = open(&url).unwrap();

        let steps = [(ADD_COLOUR, OURS + 1), ("not SQL", OURS + 2)];
        let failed = open_later(&url, &steps).unwrap_err();

        assert!(matches!(failed, OpenError::Migration { .. }), "{failed:?}");
        let told = format!("{:#}", anyhow::Error::from(failed));
        assert!(told.contains("syntax error"), "{told}");
        assert_eq!(Voice::of(&old, "ana").says("a", "hi").await, 1);
        open(&url).unwrap();
        open_later(&url, &steps[..1]).expect("there is no such column yet");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_database_from_before_the_second_number_is_served_and_upgraded() {
        let postgres = Postgres::shared().unwrap();
        let url = postgres.database().unwrap();
        open(&url).unwrap().close().await;
        let early = "ALTER TABLE roomful.migrations DROP COLUMN readable_by";
        postgres.psql(&url, early).unwrap();

        let history = open(&url).unwrap();
        assert_eq!(Voice::of(&history, "ana").says("a", "hi").await, 1);
        let newer = open_later(&url, &[(ADD_COLOUR, OURS)]).unwrap();

        assert_eq!(messages(&newer).await.len(), 1);
        let kept =
            "SELECT string_agg(readable_by::text, ',' ORDER BY version) FROM roomful.migrations";
        let kept = postgres.psql(&url, kept).unwrap();
        assert!(kept.starts_with('1'), "{kept}");
        history.ready().await.unwrap();
    }
}
