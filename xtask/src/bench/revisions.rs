//! The programs of two revisions, built alike: the one that is checked out, with its changes, and an older one.
//!
//! The older one is built in a clone of its own with a build folder of its own, both kept for the next time. Both lie in folders
//! whose names are equally long, where no later build replaces them: where a program lies moves its stack, and so its figures.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::results;
use super::server::Program;
use crate::command::{cargo, cmd, in_target};

/// The file beside the programs that says which revision they are of.
const NOTE: &str = "revision.txt";

/// One revision's programs.
pub(super) struct Revision {
    /// The commit, with a plus if there are changes.
    pub(super) name: String,
    /// Its programs, as cargo lays them out in `release`.
    pub(super) programs: PathBuf,
}

/// What is compared.
pub(super) struct Revisions {
    pub(super) old: Revision,
    pub(super) new: Revision,
}

/// Builds these programs of the revision `old` and of what is checked out.
pub(super) fn build(old: &str, programs: &[Program]) -> Result<Revisions> {
    let commit = commit(old)?;
    let clone = check_out(&commit)?;
    let (old, new) = (
        Revision::new("old", results::short(&commit))?,
        Revision::new("new", results::revision())?,
    );
    old.build(&clone, &clone.join("target"), programs)?;
    new.build(Path::new("."), &in_target("")?, programs)?;
    Ok(Revisions { old, new })
}

/// What was built the last time, if the older one was this revision.
pub(super) fn built(old: &str) -> Result<Revisions> {
    let wanted = results::short(&commit(old)?);
    let (old, new) = (Revision::built("old")?, Revision::built("new")?);
    ensure!(
        old.name == wanted,
        "{} is of {}, not of {wanted}: leave out --no-build",
        old.programs.display(),
        old.name
    );
    Ok(Revisions { old, new })
}

/// The commit that a name stands for.
fn commit(name: &str) -> Result<String> {
    cmd("git")
        .args(&["rev-parse", "--verify", "--quiet"])
        .arg(format!("{name}^{{commit}}"))
        .answer()
        .with_context(|| format!("`{name}` is no revision that git knows here"))
}

/// The clone, which borrows our objects, at this commit.
fn check_out(commit: &str) -> Result<PathBuf> {
    let clone = in_target("bench/against/clone")?;
    if !clone.join(".git").exists() {
        cmd("git")
            .args(&["clone", "--quiet", "--shared", "--no-checkout", "."])
            .arg(&clone)
            .run()?;
    }
    cmd("git")
        .arg("-C")
        .arg(&clone)
        .args(&["checkout", "--quiet", "--force", "--detach", commit])
        .run()?;
    Ok(clone)
}

impl Revision {
    fn new(folder: &str, name: String) -> Result<Self> {
        let programs = in_target(&format!("bench/against/{folder}"))?;
        Ok(Self { name, programs })
    }

    /// Builds in a folder, copies the programs away from where cargo builds, and notes what they are.
    fn build(&self, source: &Path, target: &Path, programs: &[Program]) -> Result<()> {
        let source = source
            .to_str()
            .context("the path of the workspace is Unicode")?;
        if self.programs.exists() {
            fs::remove_dir_all(&self.programs).context("removing the programs of the last time")?;
        }
        // One after the other, as users build them: together they would get each other's features.
        let targets: BTreeSet<_> = programs.iter().filter_map(|each| each.target()).collect();
        for arguments in targets {
            cargo(&["build", "--release"])
                .args(&arguments)
                .arg("--target-dir")
                .arg(target)
                .dir(source)
                .run()?;
        }
        for program in programs {
            let from = program.path(&target.join("release"))?;
            let to = program.path(&self.programs)?;
            let folder = to.parent().context("a program lies in a folder")?;
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
            fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
        fs::write(self.programs.join(NOTE), &self.name).context("noting what was built")
    }

    fn built(folder: &str) -> Result<Self> {
        let mut revision = Self::new(folder, String::new())?;
        let note = revision.programs.join(NOTE);
        revision.name = fs::read_to_string(&note)
            .with_context(|| format!("reading {}: leave out --no-build", note.display()))?;
        Ok(revision)
    }
}
