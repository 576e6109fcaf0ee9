//! A PostgreSQL of the run's own, on a Unix socket in its folder; never as root, as which it refuses to run.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// Where Debian keeps the programs, by version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A PostgreSQL server; ended when dropped.
pub(crate) struct Postgres {
    folder: TempDir,
    child: Child,
}

impl Postgres {
    /// A server with a new cluster, running.
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder")?;
        if is_root()? {
            succeed(Command::new("chown").arg("postgres").arg(folder.path()))?;
        }
        let data = folder.path().join("data");
        succeed(
            program("initdb")?
                .args(["--no-sync", "--auth=trust", "--username=postgres"])
                .args(["--encoding=UTF8", "--locale=C"])
                .arg(&data),
        )?;
        let mut child = program("postgres")?
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            // Nobody kills it, so a flush would prove nothing.
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .args(["-c", "max_connections=50", "-c", "shared_buffers=16MB"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting PostgreSQL")?;
        let stderr = child.stderr.take().context("its log is a pipe")?;
        let postgres = Self { folder, child };
        let mut log = BufReader::new(stderr);
        let mut said = String::new();
        while !said.contains("ready to accept connections") {
            if log.read_line(&mut said)? == 0 {
                bail!("PostgreSQL ended before it was ready: {}", said.trim());
            }
        }
        // What is not read would one day stop it.
        std::thread::spawn(move || log.lines().for_each(drop));
        Ok(postgres)
    }

    /// As `--history` takes it.
    pub(crate) fn url(&self) -> String {
        let host = self.folder.path().display();
        format!("postgres:///postgres?host={host}&user=postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // "Immediate" in PostgreSQL's words: its own processes end with it, which a SIGKILL would leave to chance.
        let id = self.child.id().to_string();
        let ended = succeed(Command::new("kill").args(["-QUIT", &id]));
        if let Err(error) = ended.and_then(|()| Ok(self.child.wait()?)) {
            eprintln!("PostgreSQL does not end: {error:#}");
        }
    }
}

/// One of PostgreSQL's programs, as a user it serves.
fn program(name: &str) -> Result<Command> {
    let path = found(name).with_context(|| {
        format!(
            "--cluster starts PostgreSQL, and there is no `{name}`: install it (`sudo apt-get install postgresql`)"
        )
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
    command.current_dir("/").stdin(Stdio::null());
    Ok(command)
}

/// Where a program is: in Debian's newest version, or on `PATH`.
fn found(name: &str) -> Option<PathBuf> {
    let folders = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
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
    let me = std::fs::metadata("/proc/self").context("asking who we are")?;
    Ok(me.uid() == 0)
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}: {}", output.status, said.trim());
    }
    Ok(())
}
