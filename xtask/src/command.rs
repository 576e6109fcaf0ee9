//! Programs: run, shown as they start, and named when they fail.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};

/// A program with its arguments.
pub(crate) struct Cmd {
    command: Command,
    shown: String,
    is_quiet: bool,
}

/// A program found on `PATH`, or by its path.
pub(crate) fn cmd(program: impl AsRef<OsStr>) -> Cmd {
    let program = program.as_ref();
    Cmd {
        command: Command::new(program),
        shown: program.to_string_lossy().into_owned(),
        is_quiet: false,
    }
}

/// The cargo that runs us.
pub(crate) fn cargo(args: &[&str]) -> Cmd {
    let mut cargo = cmd("cargo").args(args);
    if let Some(path) = std::env::var_os("CARGO") {
        let mut command = Command::new(path);
        command.args(cargo.command.get_args());
        cargo.command = command;
    }
    // What cargo tells us about our own package is nothing to those it builds: `ring` is built again where it changes.
    for (name, _) in std::env::vars_os() {
        let is_about_us = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if is_about_us {
            cargo.command.env_remove(name);
        }
    }
    cargo
}

impl Cmd {
    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let arg = arg.as_ref();
        self.shown.push(' ');
        self.shown.push_str(&arg.to_string_lossy());
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub(crate) fn args(self, args: &[&str]) -> Self {
        args.iter().fold(self, |cmd, arg| cmd.arg(arg))
    }

    /// Sets a variable of the program's environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref();
        self.shown = format!("{name}={:?} {}", value.to_string_lossy(), self.shown);
        self.command.env(name, value);
        self
    }

    /// Sets the folder the program runs in.
    pub(crate) fn dir(mut self, dir: &str) -> Self {
        self.shown = format!("cd {dir} && {}", self.shown);
        self.command.current_dir(dir);
        self
    }

    /// Does not show the program as it starts: for one that is started many times.
    pub(crate) fn quiet(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    /// Sends the program's errors to a file.
    pub(crate) fn errors_into(mut self, log: &Path) -> Result<Self> {
        let file =
            std::fs::File::create(log).with_context(|| format!("creating {}", log.display()))?;
        self.command.stderr(file);
        Ok(self)
    }

    /// Starts the program, to be spoken to.
    pub(crate) fn start_piped(mut self) -> Result<Child> {
        self.show("&");
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting `{}`", self.shown))
    }

    fn show(&self, rest: &str) {
        if !self.is_quiet {
            println!("$ {} {rest}", self.shown);
        }
    }

    /// Runs the program to its end with our output.
    pub(crate) fn run(mut self) -> Result<()> {
        self.show("");
        let status = self
            .command
            .status()
            .with_context(|| format!("starting `{}`", self.shown))?;
        if !status.success() {
            bail!("`{}` ended with {status}", self.shown);
        }
        Ok(())
    }

    /// What the program prints, or `None` where it is missing or fails: for asking whether something is there.
    pub(crate) fn answer(mut self) -> Option<String> {
        let output = self
            .command
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    }

    /// Starts the program with its output in a file.
    pub(crate) fn start_into(mut self, log: &Path) -> Result<Running> {
        self.show(&format!("> {}", log.display()));
        let file =
            std::fs::File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let errors = file
            .try_clone()
            .with_context(|| format!("opening {} twice", log.display()))?;
        let child = self
            .command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn();
        let child = child.with_context(|| format!("starting `{}`", self.shown))?;
        Ok(Running {
            child,
            shown: self.shown,
        })
    }

    /// Starts a server that prints a line with the URL it listens on, and gives that URL.
    pub(crate) fn start_server(mut self) -> Result<(Running, String)> {
        self.show("&");
        let child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let child = child.with_context(|| format!("starting `{}`", self.shown))?;
        let mut server = Running {
            child,
            shown: self.shown,
        };
        let stdout = server
            .child
            .stdout
            .take()
            .context("the server's output is a pipe")?;
        let mut lines = BufReader::new(stdout).lines();
        let url = loop {
            let Some(line) = lines.next() else {
                bail!("`{}` ended without saying where it listens", server.shown);
            };
            let line = line.with_context(|| format!("reading what `{}` prints", server.shown))?;
            if let Some(url) = line
                .split_whitespace()
                .find(|word| word.starts_with("http://"))
            {
                break url.to_owned();
            }
        };
        // Nobody reads on, and a full pipe would stop the server.
        thread::spawn(move || lines.for_each(drop));
        Ok((server, url))
    }
}

/// A program that was started; ended when dropped.
pub(crate) struct Running {
    child: Child,
    shown: String,
}

impl Running {
    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Result<()> {
        let status = self
            .child
            .wait()
            .with_context(|| format!("waiting for `{}`", self.shown))?;
        if !status.success() {
            bail!("`{}` ended with {status}", self.shown);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where cargo builds, and where what we install is kept.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// The absolute path of something under [`target`], which programs in other folders need.
pub(crate) fn in_target(path: &str) -> Result<PathBuf> {
    std::path::absolute(target().join(path)).context("the current folder has a path")
}
