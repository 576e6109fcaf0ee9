//! A small disk that can be full: a tmpfs of our own, for the database.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Its size: the whole log of a run fits, and filling it takes a moment.
const SIZE: &str = "size=64m";

/// A mounted disk; unmounted when dropped.
pub(crate) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts it over `folder`, which is made.
    pub(crate) fn mount(folder: &Path) -> Result<Self> {
        std::fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "ledger"])
            .arg(folder)
            .output()
            .context("running `mount`")?;
        if !mount.status.success() {
            let why = String::from_utf8_lossy(&mount.stderr);
            bail!(
                "--disk-full needs root, to mount a small disk: {}",
                why.trim()
            );
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Where on it something is kept.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Leaves no byte free.
    pub(crate) fn fill(&self) -> Result<()> {
        let mut filler = File::create(self.filler()).context("starting to fill the disk")?;
        let mut size = 1 << 20;
        let zeroes = vec![0; size];
        while size > 0 {
            match filler.write_all(zeroes.get(..size).unwrap_or_default()) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
                Err(error) => return Err(error).context("filling the disk"),
            }
        }
        Ok(())
    }

    /// Gives back what [`fill`](Self::fill) took.
    pub(crate) fn free(&self) -> Result<()> {
        std::fs::remove_file(self.filler()).context("freeing the disk")
    }

    fn filler(&self) -> PathBuf {
        self.path("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The server has the database open until it is gone; a lazy unmount waits for that by itself.
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(&self.folder)
            .status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("could not unmount {}", self.folder.display());
        }
    }
}
