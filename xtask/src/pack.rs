//! The page's files as the server sends them: `web-packed/` is made of `web/`, and committed, so that building the server
//! needs Rust alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::command::{cmd, in_target};
use crate::packages::WEB_TESTS;
use crate::plan::Packed;

const COMMITTED: &str = "crates/roomful-server/web-packed";

/// Packs, into the folder that is committed or to compare with it.
pub(crate) fn run(packed: Packed) -> Result<()> {
    let folder = match packed {
        Packed::Write => std::path::absolute(COMMITTED).context("the current folder has a path")?,
        Packed::Compare => in_target("web-packed")?,
    };
    let node = cmd("node").arg("pack.js").arg(&folder);
    node.dir(WEB_TESTS).run()?;
    if packed == Packed::Write {
        return Ok(());
    }
    let differing = differing(&files(Path::new(COMMITTED))?, &files(&folder)?);
    if !differing.is_empty() {
        bail!(
            "not what the sources give: {}; run `cargo xtask pack` and commit {COMMITTED}",
            differing.join(", ")
        );
    }
    Ok(())
}

/// The contents of all files in a folder, by path.
type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Result<Files> {
    let mut all = Files::new();
    collect(folder, "", &mut all).with_context(|| format!("reading {}", folder.display()))?;
    Ok(all)
}

fn collect(folder: &Path, prefix: &str, into: &mut Files) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), into)?;
        } else {
            into.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// The paths at which two folders are not the same, each with what is wrong there.
fn differing(committed: &Files, given: &Files) -> Vec<String> {
    let wrong = |path: &String| match (committed.get(path), given.get(path)) {
        (Some(committed), Some(given)) if committed == given => None,
        (Some(_), Some(_)) => Some(format!("{path} differs")),
        (Some(_), None) => Some(format!("{path} is left over")),
        (None, _) => Some(format!("{path} is missing")),
    };
    let added = given.keys().filter(|path| !committed.contains_key(*path));
    committed.keys().chain(added).filter_map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_that_is_not_what_the_sources_give_is_named() {
        let files = |all: &[(&str, &str)]| -> Files {
            all.iter()
                .map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec()))
                .collect()
        };
        let committed = files(&[("a.js", "1"), ("b.js", "2"), ("chunks/c.js", "3")]);
        let given = files(&[("a.js", "1"), ("b.js", "4"), ("chunks/d.js", "3")]);
        assert_eq!(
            differing(&committed, &given),
            [
                "b.js differs",
                "chunks/c.js is left over",
                "chunks/d.js is missing"
            ]
        );
        assert!(differing(&committed, &committed).is_empty());
    }
}
