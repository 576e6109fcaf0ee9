//! The programs of two revisions, built alike: the one that is checked out, with its changes, and an older one.
//!
//! The older one is built in a clone of its own with a build folder of its own, both kept for the next time. Both lie in folders
//! whose names are equally long, where no later build replaces them: where a program lies moves its stack, and so its figures.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::results;
use super::server::Program;
use crate::command::{cargo, cmd, in_target};

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
    Ok(Revisions {
        old: Revision {
            name: results::short(&commit),
            programs: build_in(&clone, &clone.join("target"), "old", programs)?,
        },
        new: Revision {
            name: results::revision(),
            programs: build_in(Path::new("."), &in_target("")?, "new", programs)?,
        },
    })
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

/// Builds in a folder and copies the programs away from where cargo builds.
fn build_in(
    source: &Path,
    target: &Path,
    copy_name: &str,
    programs: &[Program],
) -> Result<PathBuf> {
    let source = source
        .to_str()
        .context("the path of the workspace is Unicode")?;
    let copies = in_target(&format!("bench/against/{copy_name}"))?;
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
        let (from, to) = (
            program.path(&target.join("release"))?,
            program.path(&copies)?,
        );
        let folder = to.parent().context("a program lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        // A copy beside it first: one that runs still cannot be written to.
        let fresh = to.with_extension("fresh");
        fs::copy(&from, &fresh).with_context(|| format!("copying {}", from.display()))?;
        fs::rename(&fresh, &to).with_context(|| format!("replacing {}", to.display()))?;
    }
    Ok(copies)
}
