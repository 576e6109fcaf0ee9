//! What comes out of the four sources, and what is said when one of them is wrong.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

/// A directory with a `roomful.toml` in it, which is gone at the end of the test.
struct File {
    directory: TempDir,
}

impl File {
    fn with(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("roomful.toml"), text).unwrap();
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("roomful.toml")
    }

    fn sources(&self) -> Sources {
        Sources {
            file: ConfigFile::Named(self.path()),
            ..Sources::default()
        }
    }

    /// What is said about it, with the directory left out.
    fn refused(&self) -> String {
        let error = load(self.sources()).unwrap_err().to_string();
        error.replace(&format!("{}/", self.directory.path().display()), "")
    }
}

fn environment(variables: &[(&str, &str)]) -> Sources {
    Sources {
        environment: variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        ..Sources::default()
    }
}

fn refused(variables: &[(&str, &str)]) -> String {
    load(environment(variables)).unwrap_err().to_string()
}

fn flag(name: &'static str, key: &'static str, value: &str) -> Flag {
    let value = value.into();
    Flag { name, key, value }
}

#[test]
fn without_any_source_the_defaults_run() {
    assert_eq!(load(Sources::default()).unwrap().config, Config::default());
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = File::with(
        "listen = 'file:1'\nlog = 'warn'\n[limits]\nburst = 1\nmessages_per_second = 1\n",
    );
    let sources = Sources {
        environment: environment(&[("ROOMFUL_LISTEN", "env:2"), ("ROOMFUL_LIMITS__BURST", "2")])
            .environment,
        flags: vec![flag("--listen", "listen", "flag:3")],
        ..file.sources()
    };

    let loaded = load(sources).unwrap();

    assert_eq!(loaded.config.listen, "flag:3");
    assert_eq!(loaded.config.limits.burst, 2);
    assert_eq!(loaded.config.limits.messages_per_second, 1);
    assert_eq!(loaded.config.log, "warn");
    assert_eq!(loaded.config.limits.history_page, 100);
}

#[test]
fn every_kind_of_value_can_be_given_in_the_environment() {
    let loaded = load(environment(&[
        ("ROOMFUL_THREADS", "3"),
        ("ROOMFUL_DRAIN_SPREAD", "250ms"),
        ("ROOMFUL_HISTORY__URL", "none"),
        ("ROOMFUL_HISTORY__SYNCHRONOUS", "off"),
        ("ROOMFUL_HISTORY__KEEP_FOR", "90d"),
        ("ROOMFUL_HISTORY__KEEP_EVENTS", "1000"),
        ("ROOMFUL_LIMITS__RATE_LIMITS", "false"),
        ("ROOMFUL_LIMITS__MEMBERS_PER_ROOM", "unlimited"),
        ("ROOMFUL_LIMITS__OVERFLOW", "resync"),
        ("ROOMFUL_LIMITS__BACKLOG_BYTES", "4MiB"),
        ("ROOMFUL_ORIGINS__ALLOWED", "https://a.example, .b.example"),
        ("ROOMFUL_ORIGINS__HOSTS", ""),
        ("HOME", "/"),
    ]));
    let config = loaded.unwrap().config;

    assert_eq!(config.threads, 3);
    assert_eq!(config.drain_spread, Duration::from_millis(250));
    assert_eq!(config.history.url, HistoryUrl::None);
    assert_eq!(config.history.synchronous, Synchronous::Off);
    assert_eq!(
        config.history.keep_for,
        Some(Duration::from_secs(90 * 86_400))
    );
    assert_eq!(config.history.keep_events, Some(1_000));
    assert!(!config.limits.rate_limits);
    assert_eq!(config.limits.members_per_room, None);
    assert_eq!(config.limits.overflow, Overflow::Resync);
    assert_eq!(config.limits.backlog_bytes, 4 << 20);
    assert_eq!(config.origins.allowed, ["https://a.example", ".b.example"]);
    assert!(config.origins.hosts.is_empty());
}

#[test]
fn rust_log_wins_wherever_it_stands_unless_it_is_empty() {
    let log = |variables: &[(&str, &str)]| load(environment(variables)).unwrap().config.log;
    assert_eq!(
        log(&[("RUST_LOG", "debug"), ("ROOMFUL_LOG", "warn")]),
        "debug"
    );
    assert_eq!(log(&[("RUST_LOG", ""), ("ROOMFUL_LOG", "warn")]), "warn");
    let said = refused(&[("RUST_LOG", "roomful=loud")]);
    assert!(
        said.starts_with(r#"`log` cannot be "roomful=loud" (RUST_LOG): expected a level"#),
        "{said}"
    );
}

#[test]
fn variables_that_kubernetes_makes_for_a_service_named_roomful_are_not_ours() {
    let sources = environment(&[
        ("ROOMFUL_SERVICE_HOST", "10.0.0.1"),
        ("ROOMFUL_SERVICE_PORT", "80"),
        ("ROOMFUL_SERVICE_PORT_HTTP", "80"),
        ("ROOMFUL_PORT", "tcp://10.0.0.1:80"),
        ("ROOMFUL_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("ROOMFUL_CONFIG", "read by the flag"),
    ]);
    assert_eq!(load(sources).unwrap().config, Config::default());
    assert!(refused(&[("ROOMFUL_PORT_HTTP", "80")]).starts_with("unknown key"));
}

#[test]
fn an_unknown_key_in_the_file_is_answered_with_the_nearest_and_where_it_stands() {
    for (text, said) in [
        (
            "\n[limits]\nburst = 1\nbrust = 2\n",
            "unknown key `limits.brust` in roomful.toml line 4, the nearest known one is `limits.burst`",
        ),
        (
            "[histroy]\nurl = 'none'\n",
            "unknown key `histroy.url` in roomful.toml line 2, the nearest known one is `history.url`",
        ),
        (
            "history = 'none'\n",
            "unknown key `history` in roomful.toml line 1, the nearest known one is `history.url`",
        ),
        (
            "ping_interval = '1s'",
            "unknown key `ping_interval` in roomful.toml line 1, the nearest known one is `websocket.ping_interval`",
        ),
        (
            "[limits]\ncompresion = true",
            "unknown key `limits.compresion` in roomful.toml line 2, the nearest known one is `websocket.compression`",
        ),
        (
            "listen.port = 1",
            "unknown key `listen.port` in roomful.toml line 1, the nearest known one is `listen`",
        ),
        (
            "[[limits]]\nburst = 1",
            "unknown key `limits` in roomful.toml line 1, the nearest known one is `limits.rate_limits`",
        ),
        (
            "[zzz]",
            "unknown key `zzz` in roomful.toml line 1, `roomful config` lists all that are known",
        ),
    ] {
        assert_eq!(File::with(text).refused(), said);
    }
}

#[test]
fn an_unknown_variable_is_answered_with_the_nearest() {
    assert_eq!(
        refused(&[("ROOMFUL_HISTORY_URL", "none")]),
        "unknown key `ROOMFUL_HISTORY_URL` in the environment, the nearest known one is `ROOMFUL_HISTORY__URL`"
    );
    assert_eq!(
        refused(&[("ROOMFUL_LISTN", "a:1")]),
        "unknown key `ROOMFUL_LISTN` in the environment, the nearest known one is `ROOMFUL_LISTEN`"
    );
}

#[test]
fn a_wrong_value_is_answered_with_key_value_place_and_what_is_allowed() {
    for (text, said) in [
        (
            "drain_timeout = 10",
            r#"`drain_timeout` cannot be 10 (roomful.toml line 1): expected a duration with its unit, such as "500ms", "30s", "5m", "2h" or "7d""#,
        ),
        (
            "[limits]\n\nmessage_bytes = 16384",
            r#"`limits.message_bytes` cannot be 16384 (roomful.toml line 3): expected a size with its unit, such as "512B", "16KiB" or "1MiB""#,
        ),
        (
            "threads = -1",
            "`threads` cannot be -1 (roomful.toml line 1): expected a whole number from 0 to 1024",
        ),
        (
            "limits = { burst = 0.5 }",
            "`limits.burst` cannot be 0.5 (roomful.toml line 1): expected a whole number from 1 up",
        ),
        (
            "limits.burst = 99999999999999999999",
            "`limits.burst` cannot be 99999999999999999999 (roomful.toml line 1): expected a number between -2^63 and 2^63",
        ),
        (
            "limits.burst = '7'",
            r#"`limits.burst` cannot be "7" (roomful.toml line 1): expected a whole number from 1 up"#,
        ),
        (
            "limits.overflow = 'wait'",
            r#"`limits.overflow` cannot be "wait" (roomful.toml line 1): expected `close` or `resync`"#,
        ),
        (
            "websocket.compression = 'yes'",
            r#"`websocket.compression` cannot be "yes" (roomful.toml line 1): expected true or false"#,
        ),
        (
            "origins.allowed = 'a'",
            r#"`origins.allowed` cannot be "a" (roomful.toml line 1): expected a list of texts, such as ["example.com", ".example.org"]"#,
        ),
        (
            "origins.allowed = ['a', 1]",
            r#"`origins.allowed` cannot be ["a", 1] (roomful.toml line 1): expected a string"#,
        ),
        (
            "history.url = 1",
            "`history.url` cannot be 1 (roomful.toml line 1): expected a string",
        ),
        (
            "listen = 1979-05-27",
            r#"`listen` cannot be 1979-05-27 (roomful.toml line 1): expected host and port, such as "127.0.0.1:8000", "[::]:8000" or "localhost:8000""#,
        ),
    ] {
        assert_eq!(File::with(text).refused(), said);
    }
    assert_eq!(
        refused(&[("ROOMFUL_THREADS", "many")]),
        r#"`threads` cannot be "many" (ROOMFUL_THREADS): expected a whole number from 0 to 1024"#
    );
    let flags = vec![flag("--history", "history.url", "rooms.db")];
    assert_eq!(
        load(Sources {
            flags,
            ..Sources::default()
        })
        .unwrap_err()
        .to_string(),
        r#"`history.url` cannot be "rooms.db" (--history): expected "sqlite:PATH", such as "sqlite:roomful.db", "postgres://user@host/database", "memory" or "none""#
    );
}

#[test]
fn values_that_contradict_each_other_are_named_with_their_sources() {
    let file = File::with("websocket.idle_timeout = '10s'");
    assert_eq!(
        file.refused(),
        r#"`websocket.idle_timeout` = "10s" (roomful.toml line 1) must be longer than `websocket.ping_interval` = "20s" (default)"#
    );
    let both = Sources {
        environment: environment(&[("ROOMFUL_WEBSOCKET__PING_INTERVAL", "5s")]).environment,
        ..file.sources()
    };
    assert!(load(both).is_ok());
    for (name, value) in [
        ("ROOMFUL_DRAIN_SPREAD", "1m"),
        ("ROOMFUL_LIMITS__MESSAGE_BYTES", "2MiB"),
        ("ROOMFUL_LIMITS__HISTORY_PAGE", "501"),
    ] {
        let said = refused(&[(name, value)]);
        assert!(said.contains(name) && said.contains("(default)"), "{said}");
    }
}

#[test]
fn the_status_pages_token_must_be_there_where_it_is_asked_for_and_is_never_shown() {
    assert_eq!(
        refused(&[("ROOMFUL_STATUS__ACCESS", "token")]),
        r#"`status.access` = "token" (ROOMFUL_STATUS__ACCESS) must not stand beside `status.token` = "" (default)"#
    );
    for text in [
        "status.token = 'too short'",
        "status.token = ['too short']",
        "status.token = 123456",
    ] {
        let said = File::with(text).refused();
        assert!(
            said.contains("16 characters") && !said.contains("short") && !said.contains("123456"),
            "{said}"
        );
    }
    let said = refused(&[("ROOMFUL_STATUS__TOKEN", "too short")]);
    assert!(!said.contains("short"), "{said}");

    let loaded = load(environment(&[
        ("ROOMFUL_STATUS__ACCESS", "token"),
        ("ROOMFUL_STATUS__TOKEN", "long enough to be one"),
    ]))
    .unwrap();

    assert_eq!(loaded.config.status.token.expose(), "long enough to be one");
    assert!(loaded.to_string().contains(r#"token = "***""#), "{loaded}");
    assert!(!format!("{loaded} {:?}", loaded.config).contains("long enough"));
}

#[test]
fn a_site_that_is_none_is_refused_before_the_server_starts() {
    let said = refused(&[("ROOMFUL_EMBED__ALLOWED", "https://example.org/page")]);
    assert!(
        said.contains("https://example.org/page") && said.contains("a list of sites"),
        "{said}"
    );
}

#[test]
fn a_file_that_is_named_must_be_there_and_be_toml() {
    let missing = Sources {
        file: ConfigFile::Named("no/such/roomful.toml".into()),
        ..Sources::default()
    };
    assert_eq!(
        load(missing).unwrap_err().to_string(),
        "cannot read the configuration file no/such/roomful.toml"
    );
    let said = File::with("threads = 1\nlisten = \n").refused();
    assert!(
        said.starts_with("roomful.toml line 2 is not TOML: "),
        "{said}"
    );
    let said = File::with("threads = 1\nthreads = 2\n").refused();
    assert!(
        said.starts_with("roomful.toml line 2 is not TOML: "),
        "{said}"
    );
}

#[test]
fn an_empty_file_and_empty_tables_change_nothing() {
    for text in ["", "# nothing\n", "[history]\n[limits]\n"] {
        assert_eq!(
            load(File::with(text).sources()).unwrap().config,
            Config::default()
        );
    }
}

#[test]
fn a_password_in_a_refused_value_is_not_told() {
    for text in [
        "history.url = 'postgres://ana:s3cret@db:port/rooms'",
        "history.url = 'mysql://ana:s3cret@db/rooms'",
        "layer.url = 'redis://:s3cret@a:6379,:s3cret@b:x'",
        "layer.encryption_keys = 's3cret'",
        "layer.encryption_keys = [1, 's3cret']",
        "listen = 'postgres://ana:s3cret@db/rooms'",
        "threads = 'postgres://ana:s3cret@db/rooms'",
        "limits.overflow = 'postgres://ana:s3cret@db/rooms'",
        "limits.rate_limits = 'postgres://ana:s3cret@db/rooms'",
        "origins.allowed = 'postgres://ana:s3cret@db/rooms'",
        "origins.hosts = [1, 'postgres://ana:s3cret@db/rooms']",
        "unknown = 'postgres://ana:s3cret@db/rooms'",
        "history.url = 'postgres://ana:s3cret@db/rooms",
    ] {
        let error = load(File::with(text).sources()).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{error:?}"
        );
    }
    let said = File::with("history.url = 'postgres://ana:s3cret@db:port/rooms'").refused();
    assert!(
        said.contains("postgres://ana:***@db:port/rooms") && said.contains("expected"),
        "{said}"
    );
    let taken = load(File::with("history.url = 'postgres://ana:s3cret@db/rooms'").sources());
    let shown = format!("{0} {0:?}", taken.unwrap());
    assert!(
        shown.contains("ana:***@db") && !shown.contains("s3cret"),
        "{shown}"
    );
}

#[test]
fn secrets_of_the_layer_are_in_force_and_not_shown() {
    let file = File::with(
        "[layer]\nurl = 'redis://ana:s3cret@a'\nencryption_keys = ['s3cret', 'older s3cret']\n",
    );

    let loaded = load(file.sources()).unwrap();

    let keys: Vec<_> = loaded.config.layer.encryption_keys.iter().collect();
    assert_eq!(keys, ["s3cret", "older s3cret"]);
    let shown = format!("{loaded} {:?}", loaded.config);
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("encryption_keys = [\"***\"]"), "{shown}");
}

#[test]
fn what_is_in_force_is_shown_with_its_sources_and_can_be_read_again() {
    let file = File::with(
        "[origins]\nallowed = ['https://ana:s3cret@example.com']\n[limits]\nburst = 7\n",
    );
    let sources = Sources {
        environment: environment(&[
            ("ROOMFUL_DRAIN_SPREAD", "90s"),
            ("ROOMFUL_DRAIN_TIMEOUT", "120s"),
        ])
        .environment,
        flags: vec![flag("--history", "history.url", "memory")],
        ..file.sources()
    };

    let shown = load(sources).unwrap().to_string();

    let line = |start: &str| {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        words(shown.lines().find(|line| line.starts_with(start)).unwrap())
    };
    assert_eq!(line("listen"), r#"listen = "127.0.0.1:8000" # default"#);
    assert_eq!(
        line("drain_timeout"),
        r#"drain_timeout = "120s" # ROOMFUL_DRAIN_TIMEOUT"#
    );
    assert_eq!(line("url"), r#"url = "memory" # --history"#);
    assert_eq!(
        line("burst"),
        format!("burst = 7 # {} line 4", file.path().display())
    );
    assert!(line("allowed").contains("https://ana:***@example.com"));
    let again = load(File::with(&shown).sources()).unwrap().config;
    assert_eq!(again.limits.burst, 7);
    assert_eq!(again.history.url, HistoryUrl::Memory);
}
