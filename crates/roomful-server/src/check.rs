//! Whether the server would start: what the configuration alone cannot tell, tried out and undone.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::net::{TcpListener, ToSocketAddrs as _};
use std::path::Path;

use roomful_server::app::layer_options;
use roomful_server::config::{Config, HistoryUrl, LayerConfig, LayerUrl};
use roomful_server::history::History;

use crate::logging::one_line;
use crate::open_files;

/// One thing that was looked at.
pub(crate) struct Finding {
    subject: &'static str,
    outcome: Outcome,
}

/// What was found, in a sentence.
enum Outcome {
    Good(String),
    /// It would start, but not do all that is asked of it.
    Short(String),
    Bad(String),
}

impl Finding {
    /// Whether the server would not start for this.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.outcome, Outcome::Bad(_))
    }
}

impl From<Result<String, String>> for Outcome {
    fn from(result: Result<String, String>) -> Self {
        match result {
            Ok(sentence) => Self::Good(sentence),
            Err(sentence) => Self::Bad(sentence),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, sentence) = match &self.outcome {
            Outcome::Good(sentence) => ("ok", sentence),
            Outcome::Short(sentence) => ("note", sentence),
            Outcome::Bad(sentence) => ("failed", sentence),
        };
        write!(f, "{word:<7} {:<10} {}", self.subject, one_line(sentence))
    }
}

/// Looks at everything that can keep the server from starting, or from serving as many as it is asked to.
pub(crate) fn check(config: &Config) -> Vec<Finding> {
    let finding = |subject, outcome| Finding { subject, outcome };
    vec![
        finding("listen", listen(&config.listen).into()),
        finding("history", history(&config.history.url).into()),
        finding("layer", layer(&config.layer)),
        finding("open files", open_files(config.limits.connections)),
    ]
}

fn listen(address: &str) -> Result<String, String> {
    let cannot = |error: io::Error| format!("cannot listen on {address}: {error}");
    let addresses: Vec<_> = address.to_socket_addrs().map_err(cannot)?.collect();
    TcpListener::bind(addresses.as_slice()).map_err(cannot)?;
    Ok(format!("{address} is free"))
}

fn history(url: &HistoryUrl) -> Result<String, String> {
    let path = match url {
        HistoryUrl::Sqlite(path) => path,
        HistoryUrl::Postgres(database) => {
            return match History::look_at_postgres(database.expose()) {
                Ok(state) => Ok(format!("{database} {state}")),
                Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
            };
        }
        HistoryUrl::Memory | HistoryUrl::None => return Ok(format!("{url} needs nothing")),
    };
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    // SQLite makes its write-ahead log beside the file.
    writable(directory)
        .map_err(|error| format!("cannot write into {}: {error}", directory.display()))?;
    let is_there =
        is_usable(path).map_err(|error| format!("cannot use {}: {error}", path.display()))?;
    let state = match is_there {
        false => "will be made".to_owned(),
        true => History::look_at_sqlite(path)
            .map_err(|error| format!("{:#}", anyhow::Error::from(error)))?,
    };
    Ok(format!("{} {state}", path.display()))
}

/// A layer that is away keeps nobody from starting: each node serves its own people meanwhile.
fn layer(config: &LayerConfig) -> Outcome {
    if config.url == LayerUrl::Memory {
        return Outcome::Good("memory needs nothing".into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let opened = match runtime {
        Ok(runtime) => runtime.block_on(roomful_server::layer::open(&layer_options(config))),
        Err(error) => return Outcome::Bad(format!("cannot start a runtime: {error}")),
    };
    match opened {
        Ok(_) => Outcome::Good(format!("{} answers", config.url)),
        Err(error) => Outcome::Short(format!(
            "{error:#}; it would start, and hear others once that is there"
        )),
    }
}

/// Makes a file and takes it away again: permissions alone do not tell of full disks and read-only mounts.
fn writable(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".roomful-check-{}", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)?;
    std::fs::remove_file(probe)
}

/// Whether there is a file at `path`, which must then be one that we may write.
fn is_usable(path: &Path) -> io::Result<bool> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn open_files(connections: usize) -> Outcome {
    match open_files::most() {
        None => Outcome::Good("as many as there are connections".into()),
        Some(most) if most > connections as u64 => Outcome::Good(format!(
            "{most}, enough for limits.connections = {connections}"
        )),
        Some(most) => Outcome::Short(format!(
            "{most}, fewer than limits.connections = {connections}: raise the limit (ulimit -Hn, LimitNOFILE) or lower the setting"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use roomful_server::history::SqliteOptions;

    use super::*;

    fn sqlite(path: &Path) -> Result<String, String> {
        history(&HistoryUrl::Sqlite(path.into()))
    }

    #[test]
    fn an_address_that_is_taken_is_told() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();

        let refused = listen(&address).unwrap_err();

        assert!(
            refused.starts_with(&format!("cannot listen on {address}: ")),
            "{refused}"
        );
        drop(taken);
        assert_eq!(listen(&address), Ok(format!("{address} is free")));
    }

    #[test]
    fn a_history_file_must_be_one_or_be_possible_and_checking_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rooms.db");
        assert!(sqlite(&path).unwrap().ends_with("rooms.db will be made"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

        fs::write(&path, "").unwrap();
        assert!(sqlite(&path).unwrap().ends_with("rooms.db is empty"));

        drop(History::open_sqlite(&path, SqliteOptions::default()).unwrap());
        // Once the lock is free the file is closed.
        let lock = fs::File::open(directory.path().join("rooms.db.lock")).unwrap();
        lock.lock().unwrap();
        assert!(sqlite(&path).unwrap().ends_with("rooms.db is there"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);

        for no_database in ["dear diary", "SQLite format 3\0…"] {
            fs::write(&path, no_database).unwrap();
            let refused = sqlite(&path).unwrap_err();
            assert!(
                refused.contains("rooms.db` is not an SQLite database"),
                "{refused}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), no_database);
        }

        let nowhere = sqlite(&directory.path().join("no/rooms.db")).unwrap_err();
        assert!(nowhere.starts_with("cannot write into "), "{nowhere}");
        let a_directory = sqlite(directory.path()).unwrap_err();
        assert!(a_directory.starts_with("cannot use "), "{a_directory}");
    }

    #[test]
    fn too_few_open_files_are_a_note_and_no_reason_not_to_start() {
        let finding = |connections| Finding {
            subject: "open files",
            outcome: open_files(connections),
        };
        assert!(!finding(usize::MAX).is_bad());
        if open_files::most().is_some() {
            assert!(finding(usize::MAX).to_string().starts_with("note"));
        }
        assert!(finding(1).to_string().starts_with("ok"));
    }

    #[test]
    fn the_defaults_find_the_directory_of_a_bare_file_name() {
        // Cargo runs tests in the package's directory.
        assert_eq!(
            sqlite(Path::new("roomful-check-test.db")),
            Ok("roomful-check-test.db will be made".into())
        );
    }
}
