//! Programs that the steps call: looked for, and installed with apt where this is Debian and we are root.
//!
//! What is still missing afterwards is an error that says what to install. Services are never started: the tests start
//! their own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::command::cmd;
use crate::plan::Plan;

/// Something a step calls.
struct Program {
    /// As people call it, with the version it takes.
    name: &'static str,
    found: fn() -> bool,
    /// Debian's packages that have it; none where Debian has it no longer.
    packages: &'static [&'static str],
    /// Where else to get it.
    otherwise: &'static str,
    used_by: &'static [&'static str],
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "Redis (redis-server and redis-cli)",
        found: || on_path("redis-server") && on_path("redis-cli"),
        packages: &["redis-server", "redis-tools"],
        otherwise: "https://redis.io/docs/latest/operate/oss_and_stack/install/",
        used_by: &["tests", "interop", "ledger"],
    },
    Program {
        name: "PostgreSQL (postgres, initdb and createdb)",
        found: || {
            let found = |name| {
                on_path(name) || versioned("/usr/lib/postgresql", &format!("bin/{name}")).is_some()
            };
            ["postgres", "initdb", "createdb"].into_iter().all(found)
        },
        packages: &["postgresql"],
        otherwise: "https://www.postgresql.org/download/",
        used_by: &["tests", "interop", "ledger"],
    },
    Program {
        name: "curl",
        found: || on_path("curl"),
        packages: &["curl"],
        otherwise: "https://curl.se/download.html",
        used_by: &["interop"],
    },
    Program {
        name: "Node.js 20 or later, with npm",
        found: node,
        packages: &["nodejs", "npm"],
        otherwise: "https://nodejs.org/",
        used_by: &["interop", "browser", "engines"],
    },
    Program {
        name: "Python 3.10 or later, with venv",
        found: || python3().is_some(),
        packages: &["python3", "python3-venv"],
        otherwise: "https://www.python.org/downloads/",
        used_by: &["interop", "conformance"],
    },
    Program {
        name: "CPython 2.7, which the Autobahn test suite needs",
        found: || python2().is_some(),
        packages: &[],
        otherwise: "`pyenv install 2.7.18` (https://github.com/pyenv/pyenv)",
        used_by: &["conformance"],
    },
    Program {
        name: "Chromium",
        found: || on_path("chromium") || on_path("chromium-browser") || on_path("google-chrome"),
        packages: &["chromium"],
        otherwise: "https://www.chromium.org/getting-involved/download-chromium/",
        used_by: &["browser", "engines"],
    },
    Program {
        name: "chromedriver",
        found: || on_path("chromedriver"),
        packages: &["chromium-driver"],
        otherwise: "https://developer.chrome.com/docs/chromedriver/get-started",
        used_by: &["engines"],
    },
    Program {
        name: "Firefox (firefox-esr)",
        found: || on_path("firefox-esr"),
        packages: &["firefox-esr"],
        otherwise: "https://www.mozilla.org/firefox/enterprise/",
        used_by: &["engines"],
    },
    Program {
        name: "WebKitGTK (WebKitWebDriver)",
        found: || on_path("WebKitWebDriver"),
        packages: &["webkit2gtk-driver"],
        otherwise: "https://webkitgtk.org/",
        used_by: &["engines"],
    },
    Program {
        name: "Xvfb, on which WebKitGTK is shown",
        found: || on_path("Xvfb"),
        packages: &["xvfb"],
        otherwise: "https://www.x.org/",
        used_by: &["engines"],
    },
    Program {
        name: "a font with Chinese characters",
        found: || font_with("4f60"),
        packages: &["fonts-noto-cjk", "fontconfig"],
        otherwise: "https://fonts.google.com/noto",
        used_by: &["browser", "engines"],
    },
    Program {
        name: "a font with emoji",
        found: || font_with("1f389"),
        packages: &["fonts-noto-color-emoji", "fontconfig"],
        otherwise: "https://fonts.google.com/noto",
        used_by: &["browser", "engines"],
    },
];

/// Sees to it that the programs of the plan's steps are there.
pub(crate) fn provide(plan: &Plan) -> Result<()> {
    let wanted = |program: &&Program| {
        program
            .used_by
            .iter()
            .any(|step| plan.chosen.contains(step))
    };
    let missing = || {
        PROGRAMS
            .iter()
            .filter(wanted)
            .filter(|program| !(program.found)())
    };
    let packages: Vec<_> = missing()
        .flat_map(|program| program.packages)
        .copied()
        .collect();
    if !packages.is_empty() && on_path("apt-get") && is_root() {
        install(&packages)?;
    }
    let sentences: Vec<_> = missing().map(sentence).collect();
    if !sentences.is_empty() {
        bail!("{}", sentences.join("; "));
    }
    Ok(())
}

fn sentence(program: &Program) -> String {
    let Program {
        name,
        packages,
        otherwise,
        ..
    } = program;
    if packages.is_empty() {
        format!("{name} is missing: install it, for example with {otherwise}")
    } else {
        format!(
            "{name} is missing: `sudo apt-get install {}`, or see {otherwise}",
            packages.join(" ")
        )
    }
}

fn install(packages: &[&str]) -> Result<()> {
    // Debian starts what it installs, except in run level 1.
    let apt = || {
        cmd("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1")
    };
    apt().args(&["update", "--quiet=2"]).run()?;
    apt()
        .args(&["install", "--quiet=2", "--yes", "--no-install-recommends"])
        .args(packages)
        .run()
}

fn is_root() -> bool {
    cmd("id").arg("-u").answer().is_some_and(|id| id == "0")
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// `path` in one of the folders of `parent`, which are named by version.
fn versioned(parent: impl AsRef<Path>, path: &str) -> Option<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(parent)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    folders
        .into_iter()
        .map(|folder| folder.join(path))
        .find(|file| file.is_file())
}

fn node() -> bool {
    let version = cmd("node").arg("--version").answer();
    let major = version
        .as_deref()
        .and_then(|version| version.strip_prefix('v')?.split('.').next()?.parse().ok());
    on_path("npm") && major.is_some_and(|major: u32| major >= 20)
}

fn font_with(character: &str) -> bool {
    let fonts = cmd("fc-list").arg(format!(":charset={character}")).answer();
    fonts.is_some_and(|fonts| !fonts.is_empty())
}

/// A Python that can make virtual environments.
pub(crate) fn python3() -> Option<PathBuf> {
    const RECENT: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
    let recent = |python: &PathBuf| cmd(python).args(&["-c", RECENT]).answer().is_some();
    let named = [
        "python3",
        "python3.14",
        "python3.13",
        "python3.12",
        "python3.11",
        "python3.10",
    ];
    named.into_iter().map(PathBuf::from).find(recent)
}

/// A Python 2.7, from `PATH` or pyenv.
pub(crate) fn python2() -> Option<PathBuf> {
    const IS_27: &str = "import sys; sys.exit(sys.version_info[:2] != (2, 7))";
    // A pyenv shim stands on PATH even where it leads nowhere, so each candidate is run.
    let is_27 = |python: &PathBuf| cmd(python).args(&["-c", IS_27]).answer().is_some();
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let pyenv = env::var_os("PYENV_ROOT").map_or_else(|| home.join(".pyenv"), PathBuf::from);
    let candidates = [
        Some(PathBuf::from("python2.7")),
        versioned(pyenv.join("versions"), "bin/python2.7"),
    ];
    candidates.into_iter().flatten().find(is_27)
}
