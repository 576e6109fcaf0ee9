//! What the peers stand on: packages from npm, crates.io and the Python index, in `target/bench/`, at the versions that `bench/peers/` names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::command::{cargo, cmd, in_target};
use crate::packages::{new_venv, once, pip};

const PEERS: &str = "bench/peers";

/// What a server needs before it can be started.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Needs {
    Nothing,
    Npm,
    Python,
    /// Python, and a C library that its package does not bring.
    Socketify,
    Axum,
}

/// Sees to it that it is there.
pub(super) fn provide(needs: Needs) -> Result<()> {
    match needs {
        Needs::Nothing => Ok(()),
        Needs::Npm => provide_npm(),
        Needs::Python => provide_python(),
        Needs::Socketify => {
            provide_python()?;
            let loads = cmd(python()?).args(&["-c", "import socketify"]).answer();
            ensure!(
                loads.is_some(),
                "socketify does not load: it wants libuv (`sudo apt-get install libuv1`)"
            );
            Ok(())
        }
        Needs::Axum => cargo(&[
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--manifest-path",
        ])
        .arg(format!("{PEERS}/axum/Cargo.toml"))
        .arg("--target-dir")
        .arg(in_target("bench/axum")?)
        .run(),
    }
}

/// A path beside the packages from npm.
pub(super) fn npm(path: &str) -> Result<PathBuf> {
    in_target(&format!("bench/npm/{path}"))
}

/// The Python that has the packages of `requirements.txt`.
pub(super) fn python() -> Result<PathBuf> {
    in_target("bench/venv/bin/python")
}

fn provide_npm() -> Result<()> {
    let folder = npm("")?;
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    for file in [
        "package.json",
        "package-lock.json",
        "bun.js",
        "ws.js",
        "socketio.js",
    ] {
        let from = Path::new(PEERS).join(file);
        fs::copy(&from, folder.join(file))
            .with_context(|| format!("copying {}", from.display()))?;
    }
    let wanted = read("package-lock.json")?;
    once(&folder.join("node_modules"), &wanted, || {
        let dir = folder
            .to_str()
            .context("the path of the workspace is Unicode")?;
        cmd("npm")
            .args(&["ci", "--no-audit", "--no-fund"])
            .dir(dir)
            .run()
    })
}

fn provide_python() -> Result<()> {
    let venv = in_target("bench/venv")?;
    once(&venv, &read("requirements.txt")?, || {
        new_venv(&venv)?;
        pip(&venv)
            .args(&["install", "--quiet", "--requirement"])
            .arg(format!("{PEERS}/requirements.txt"))
            .run()
    })
}

/// What was compared, with versions, in one line.
pub(super) fn versions() -> Result<String> {
    let package: Value =
        serde_json::from_str(&read("package.json")?).context("reading package.json")?;
    let mut versions: Vec<_> = package["dependencies"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?")))
        .collect();
    let requirements = read("requirements.txt")?;
    versions.extend(
        requirements
            .lines()
            .filter_map(|line| line.split_once("=="))
            .map(|(name, version)| format!("{name} {version}")),
    );
    let lock = read("axum/Cargo.lock")?;
    for name in ["axum", "tokio"] {
        let entry = lock.split_once(&format!("name = \"{name}\"\nversion = \""));
        let version = entry.and_then(|(_, rest)| rest.split('"').next());
        versions.push(format!("{name} {}", version.unwrap_or("?")));
    }
    let answers = [
        ("Node.js", cmd("node").arg("--version")),
        ("", cmd("rustc").arg("--version")),
        ("", cmd(python()?).arg("--version")),
    ];
    let answers = answers.into_iter().filter_map(|(name, command)| {
        Some(format!("{name} {}", command.answer()?).trim().to_owned())
    });
    versions.extend(answers);
    Ok(versions.join(", "))
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(Path::new(PEERS).join(file))
        .with_context(|| format!("reading {PEERS}/{file}"))
}
