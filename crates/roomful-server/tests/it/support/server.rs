//! The program itself, started on a free port with a directory of its own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::{Api, Listening, soon};

/// A running server; it is killed when the test ends.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The line it prints at the start.
    pub(crate) announced: String,
    directory: TempDir,
    history: String,
    settings: Vec<(String, String)>,
}

impl Server {
    /// A server with an SQLite history.
    pub(crate) fn start() -> Self {
        Self::with("sqlite:rooms.db", &[])
    }

    /// A server with this history and these settings, as in `("LIMITS__BURST", "3")`.
    pub(crate) fn with(history: &str, settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Self::launch(directory, history.to_owned(), settings)
    }

    fn launch(directory: TempDir, history: String, settings: Vec<(String, String)>) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(directory.path().join("log"))
            .unwrap();
        let mut child = Self::command(&directory, &history, &settings)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut announced = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut announced)
            .unwrap();
        let Some(address) = announced
            .split_once("http://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .and_then(|(address, _)| address.parse().ok())
        else {
            let log = fs::read_to_string(directory.path().join("log")).unwrap_or_default();
            panic!("the server did not say where it listens: {announced:?}\n{log}");
        };
        Self {
            child,
            address,
            announced,
            directory,
            history,
            settings,
        }
    }

    fn command(directory: &TempDir, history: &str, settings: &[(String, String)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roomful"));
        command
            .current_dir(directory.path())
            .args(["--listen", "127.0.0.1:0", "--history", history])
            .env_clear()
            .envs(
                settings
                    .iter()
                    .map(|(key, value)| (format!("ROOMFUL_{key}"), value)),
            )
            .stdin(Stdio::null());
        command
    }

    /// Starts a second server in the same directory, which is expected to fail; gives its exit code and what it said.
    pub(crate) fn start_another(&self) -> (Option<i32>, String) {
        let output = Self::command(&self.directory, &self.history, &self.settings)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    /// Asks whether it would start once more; gives the exit code and what was said.
    pub(crate) fn check(&self) -> (Option<i32>, String) {
        let output = Self::command(&self.directory, &self.history, &self.settings)
            .arg("check")
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it without a warning, and starts it again with the same directory and settings.
    pub(crate) fn killed_and_restarted(mut self) -> Self {
        self.kill();
        self.restarted()
    }

    /// Starts an ended server again with the same directory and settings.
    pub(crate) fn restarted(self) -> Self {
        let Parts {
            directory,
            history,
            settings,
        } = self.into_parts();
        Self::launch(directory, history, settings)
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(10));
        soon("the end of the server", async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                pause.tick().await;
            }
        })
        .await
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Everything it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// A file in its directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An HTTP client for it.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.address)
    }

    fn into_parts(mut self) -> Parts {
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        Parts {
            directory,
            history: std::mem::take(&mut self.history),
            settings: std::mem::take(&mut self.settings),
        }
    }
}

impl Listening for Server {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What outlives the process.
struct Parts {
    directory: TempDir,
    history: String,
    settings: Vec<(String, String)>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
