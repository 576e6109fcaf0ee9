//! A PostgreSQL server of the tests' own: made in a temporary directory, reachable by a socket there, gone with its last user.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use tempfile::TempDir;

/// A running server.
pub(crate) struct Postgres {
    /// `None` while it is stopped.
    server: Mutex<Option<Child>>,
    directory: TempDir,
    databases: AtomicU32,
}

impl Postgres {
    /// The server that the running tests share; each makes a database of its own.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(postgres) = shared.upgrade() {
            return postgres;
        }
        let postgres = Arc::new(Self::new());
        *shared = Arc::downgrade(&postgres);
        postgres
    }

    /// A server that belongs to one test, which may stop it.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        if is_root() {
            succeed(Command::new("chown").arg("postgres").arg(directory.path()));
        }
        let data = directory.path().join("data");
        succeed(
            program("initdb")
                .args(["--no-sync", "--auth=trust", "--username=postgres"])
                .args(["--encoding=UTF8", "--locale=C"])
                .arg(&data),
        );
        let postgres = Self {
            server: Mutex::new(None),
            directory,
            databases: AtomicU32::new(0),
        };
        postgres.start();
        postgres
    }

    /// Starts it, and waits until it takes connections.
    pub(crate) fn start(&self) {
        let mut server = program("postgres")
            .arg("-D")
            .arg(self.directory.path().join("data"))
            .arg("-k")
            .arg(self.directory.path())
            // A test that is killed leaves nothing worth saving.
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .args(["-c", "max_connections=200", "-c", "shared_buffers=16MB"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("PostgreSQL does not start: {error}"));
        let mut log = BufReader::new(server.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("ready to accept connections") {
            let read = log.read_line(&mut said).unwrap();
            assert!(read > 0, "PostgreSQL ended at its start:\n{said}");
        }
        // What is not read would one day stop it.
        thread::spawn(move || log.lines().for_each(drop));
        *self.server() = Some(server);
    }

    /// Ends it at once; connections break, and what was committed stays.
    pub(crate) fn stop(&self) {
        if let Some(mut server) = self.server().take() {
            // "Immediate" in PostgreSQL's words.
            let id = server.id().to_string();
            succeed(Command::new("kill").args(["-QUIT", &id]));
            server.wait().unwrap();
        }
    }

    /// A new database; gives its URL.
    pub(crate) fn database(&self) -> String {
        let name = format!("rooms{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let url = self.url(&name);
        succeed(
            program("createdb")
                .arg("--host")
                .arg(self.directory.path())
                .args(["--username=postgres", "--template=template0"])
                .arg(&name),
        );
        url
    }

    /// What `sql` answers, by PostgreSQL's own client.
    pub(crate) fn psql(&self, url: &str, sql: &str) -> String {
        let output = program("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command"])
            .arg(sql)
            .arg(url)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn url(&self, database: &str) -> String {
        let host = self.directory.path().display();
        format!("postgres:///{database}?host={host}&user=postgres")
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One of PostgreSQL's programs, as a user it serves: not root.
fn program(name: &str) -> Command {
    let path = found(name).unwrap_or_else(|| {
        panic!("`{name}` is missing: install PostgreSQL (`sudo apt-get install postgresql`)")
    });
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        command.arg(path);
        command
    } else {
        Command::new(path)
    };
    command
        .current_dir("/")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null());
    command
}

/// Where it is: on `PATH`, or where Debian keeps each version's.
fn found(name: &str) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<_> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    versions.sort();
    versions
        .into_iter()
        .rev()
        .chain(on_path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn is_root() -> bool {
    fs::metadata(Path::new("/proc/self")).is_ok_and(|me| me.uid() == 0)
}

fn succeed(command: &mut Command) {
    let output = command
        .stderr(Stdio::piped())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
