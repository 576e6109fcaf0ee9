//! A program that is ready when its log says so.

use std::io::{BufRead as _, BufReader, Read};
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, bail};

/// What both of them say.
const READY: &str = "eady to accept connections";

/// Reads a log until it says that the program takes connections; what comes later is thrown away.
pub(crate) fn wait_until_ready(name: &str, log: Option<impl Read + Send + 'static>) -> Result<()> {
    let mut log = BufReader::new(log.context("its log is a pipe")?);
    let mut said = String::new();
    while !said.contains(READY) {
        if log.read_line(&mut said)? == 0 {
            bail!("{name} ended before it was ready: {}", said.trim());
        }
    }
    // What is not read would one day stop it.
    thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    Ok(())
}

/// Runs a program to its end, and gives what it printed.
pub(crate) fn succeed(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
