//! A clock that is wrong, for the server alone: libfaketime, preloaded, reads from a file how far it is off.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// Where distributions put libfaketime, by architecture.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The server's wall clock.
pub(crate) struct Clock {
    library: &'static str,
    file: PathBuf,
    by: Duration,
    /// How often it was set.
    pub(crate) steps: usize,
}

impl Clock {
    /// A clock that can be set apart by `by`, told through a file in `folder`.
    pub(crate) fn new(folder: &Path, by: Duration) -> Result<Self> {
        let Some(library) = LIBRARIES.into_iter().find(|path| Path::new(path).is_file()) else {
            bail!("--clock needs libfaketime: install the package `faketime`");
        };
        let mut clock = Self {
            library,
            file: folder.join("clock"),
            by,
            steps: 0,
        };
        clock.set(0)?;
        Ok(clock)
    }

    /// What the server's environment needs. Timers go by the monotonic clock, which nobody steps.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", self.library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Steps the clock: ahead, right, behind, right, and so on.
    pub(crate) fn step(&mut self) -> Result<()> {
        self.steps += 1;
        let sign = match self.steps % 4 {
            1 => 1,
            3 => -1,
            _ => 0,
        };
        self.set(sign)
    }

    fn set(&mut self, sign: i64) -> Result<()> {
        let seconds =
            sign * i64::try_from(self.by.as_secs()).context("a step of less than an age")?;
        std::fs::write(&self.file, format!("{seconds:+}\n"))
            .with_context(|| format!("writing {}", self.file.display()))
    }
}
