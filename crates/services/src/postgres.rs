//! A PostgreSQL server; never as root, as which it refuses to run.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::child::{succeed, wait_until_ready};

/// Where Debian keeps the programs, by version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A PostgreSQL server; ended when dropped.
#[derive(Debug)]
pub struct Postgres {
    /// `None` while it is stopped.
    server: Mutex<Option<Child>>,
    folder: TempDir,
    databases: AtomicU32,
}

impl Postgres {
    /// The server that all in this process share who want one now; each makes a database of its own.
    ///
    /// # Errors
    /// Where PostgreSQL is not installed, or does not start.
    pub fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(postgres) = shared.upgrade() {
            return Ok(postgres);
        }
        let postgres = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&postgres);
        Ok(postgres)
    }

    /// A server of one's own, running.
    ///
    /// # Errors
    /// Where PostgreSQL is not installed, or does not start.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder")?;
        if is_root()? {
            succeed(Command::new("chown").arg("postgres").arg(folder.path()))?;
        }
        succeed(
            program("initdb")?
                .args(["--no-sync", "--auth=trust", "--username=postgres"])
                .args(["--encoding=UTF8", "--locale=C"])
                .arg(folder.path().join("data")),
        )?;
        let postgres = Self {
            server: Mutex::new(None),
            folder,
            databases: AtomicU32::new(0),
        };
        postgres.start_again()?;
        Ok(postgres)
    }

    /// After [`stop`](Self::stop): the same address, with all that was committed.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start_again(&self) -> Result<()> {
        let mut server = program("postgres")?
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .arg("-k")
            .arg(self.folder.path())
            // Nobody takes the machine's power away, so a flush would prove nothing.
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .args(["-c", "max_connections=200", "-c", "shared_buffers=16MB"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting PostgreSQL")?;
        let log = server.stderr.take();
        *self.server() = Some(server);
        wait_until_ready("PostgreSQL", log)
    }

    /// Ends it at once; connections break, and what was committed stays.
    ///
    /// # Errors
    /// Where the system does not do that.
    pub fn stop(&self) -> Result<()> {
        if let Some(mut server) = self.server().take() {
            // "Immediate" in PostgreSQL's words: its own processes end with it, which a SIGKILL would leave to chance.
            let id = server.id().to_string();
            succeed(Command::new("kill").args(["-QUIT", &id]))?;
            server.wait().context("waiting for PostgreSQL's end")?;
        }
        Ok(())
    }

    /// A new database; gives its URL, as `--history` takes it.
    ///
    /// # Errors
    /// Where the server does not make one.
    pub fn database(&self) -> Result<String> {
        let name = format!("rooms{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let host = self.folder.path();
        succeed(
            program("createdb")?
                .arg("--host")
                .arg(host)
                .args(["--username=postgres", "--template=template0"])
                .arg(&name),
        )?;
        let host = host.display();
        Ok(format!("postgres:///{name}?host={host}&user=postgres"))
    }

    /// What `sql` answers, by PostgreSQL's own client.
    ///
    /// # Errors
    /// Where it fails.
    pub fn psql(&self, url: &str, sql: &str) -> Result<String> {
        let answer = succeed(
            program("psql")?
                .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command"])
                .args([sql, url]),
        )?;
        Ok(answer.trim().to_owned())
    }

    fn server(&self) -> MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("PostgreSQL does not end: {error:#}");
        }
    }
}

/// One of PostgreSQL's programs, as a user it serves.
fn program(name: &str) -> Result<Command> {
    let path = found(name).with_context(|| {
        format!("there is no `{name}`: install PostgreSQL (`sudo apt-get install postgresql`)")
    })?;
    let mut command = match is_root()? {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
            command.arg(path);
            command
        }
        false => Command::new(path),
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .current_dir("/")
        .env_clear()
        .env("PATH", path)
        .stdin(Stdio::null());
    Ok(command)
}

/// Where a program is: in Debian's newest version, or on `PATH`.
fn found(name: &str) -> Option<PathBuf> {
    let folders = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut versions: Vec<_> = folders.map(|version| version.path().join("bin")).collect();
    versions.sort();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    versions
        .into_iter()
        .rev()
        .chain(std::env::split_paths(&on_path))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn is_root() -> Result<bool> {
    let me = fs::metadata("/proc/self").context("asking who we are")?;
    Ok(me.uid() == 0)
}
