//! Packages for Python and Node.js that the tests use, at the versions this repository names; installed once per version.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::command::{Cmd, cmd, in_target};
use crate::programs;

/// The page's tests: `npm test` there drives Chromium.
pub(crate) const WEB_TESTS: &str = "crates/roomful-server/web-tests";

/// The Autobahn test suite, and the last virtualenv that makes environments for the Python it needs.
const AUTOBAHN: [&str; 2] = ["virtualenv==20.21.1", "autobahntestsuite==25.10.1"];

/// `target/venv`: the Python of the interop tests.
pub(crate) fn python() -> Result<()> {
    let requirements = "interop/requirements.txt";
    let wanted =
        fs::read_to_string(requirements).with_context(|| format!("reading {requirements}"))?;
    let venv = in_target("venv")?;
    once(&venv, &wanted, || {
        new_venv(&venv)?;
        pip(&venv)
            .args(&["install", "--quiet", "--requirement", requirements])
            .run()
    })
}

/// `node_modules` wherever our tests have a lock file.
pub(crate) fn node() -> Result<()> {
    for folder in ["interop/node", WEB_TESTS] {
        let lock = Path::new(folder).join("package-lock.json");
        let wanted =
            fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
        once(&Path::new(folder).join("node_modules"), &wanted, || {
            cmd("npm")
                .args(&["ci", "--no-audit", "--no-fund"])
                .dir(folder)
                .run()
        })?;
    }
    Ok(())
}

/// `target/autobahn`: `tool` makes `env`, which is Python 2.7 with the test suite.
pub(crate) fn autobahn() -> Result<()> {
    let folder = in_target("autobahn")?;
    once(&folder, &AUTOBAHN.join("\n"), || {
        let [virtualenv, suite] = AUTOBAHN;
        let python2 = programs::python2().context("CPython 2.7 is gone since it was looked for")?;
        let (tool, env) = (folder.join("tool"), folder.join("env"));
        new_venv(&tool)?;
        pip(&tool).args(&["install", "--quiet", virtualenv]).run()?;
        cmd(tool.join("bin/virtualenv"))
            .args(&["--quiet", "--clear", "--python"])
            .arg(python2)
            .arg(&env)
            .run()?;
        // pip 20 is the last for 2.7, and says so at length.
        pip(&env)
            .args(&["install", "--quiet", suite])
            .env("PYTHONWARNINGS", "ignore")
            .run()
    })
}

pub(crate) fn new_venv(folder: &Path) -> Result<()> {
    let python = programs::python3().context("Python 3.10 is gone since it was looked for")?;
    cmd(python)
        .args(&["-m", "venv", "--clear"])
        .arg(folder)
        .run()
}

pub(crate) fn pip(venv: &Path) -> Cmd {
    cmd(venv.join("bin/python")).args(&["-m", "pip", "--disable-pip-version-check"])
}

/// Fills a folder unless it was filled from the same `wanted` before.
pub(crate) fn once(folder: &Path, wanted: &str, fill: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = folder.join("filled-from.txt");
    if fs::read_to_string(&stamp).is_ok_and(|from| from == wanted) {
        println!("{} is up to date", folder.display());
        return Ok(());
    }
    fill()?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}
