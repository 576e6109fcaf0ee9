//! The program `roomful`: what it was asked for, in which words it answers, and with which exit code.
//!
//! - `cli`: commands and flags;
//! - `check`: whether the server would start;
//! - `layer_tool`: `roomful layer`, which speaks to the channel layer;
//! - `logging`: the log, on standard error;
//! - `open_files`: as many as the system allows.
//!
//! The server itself is the library beside this file.

mod check;
mod cli;
mod layer_tool;
mod logging;
mod open_files;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use roomful_server::config::{self, Config};
use roomful_server::history::NewerStore;

use check::Finding;
use cli::{Cli, Command};

/// Of the system's, mimalloc and this, the one that needs the least memory per idle connection.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit code when it was asked rightly, but could not.
const FAILED: u8 = 1;
/// The exit code when a setting is wrong; clap's for wrong flags, too.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let loaded = match config::load(cli.sources()) {
        Ok(loaded) => loaded,
        Err(error) => return fail(cli.command(), WRONG_USE, &error.into()),
    };
    match cli.command() {
        Command::Serve => match serve(&loaded.config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(Command::Serve, FAILED, &error),
        },
        Command::Config => {
            print(&loaded.to_string());
            ExitCode::SUCCESS
        }
        Command::Check => check(&loaded.config),
        Command::Layer => match layer(&loaded.config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(Command::Layer, FAILED, &error),
        },
    }
}

fn serve(config: &Config) -> anyhow::Result<()> {
    logging::init(&config.log)?;
    open_files::raise();
    roomful_server::serve(config)
}

fn layer(config: &Config) -> anyhow::Result<()> {
    logging::init(&config.log)?;
    layer_tool::run(&config.layer)
}

fn check(config: &Config) -> ExitCode {
    let findings = check::check(config);
    let (verdict, code) = match findings.iter().any(Finding::is_bad) {
        false => ("it would start", ExitCode::SUCCESS),
        true => ("it would not start", ExitCode::FAILURE),
    };
    for finding in findings {
        print(&format!("{finding}\n"));
    }
    print(&format!("{verdict}\n"));
    code
}

fn fail(command: Command, code: u8, error: &anyhow::Error) -> ExitCode {
    let what = match command {
        Command::Serve if error.is::<NewerStore>() => "stopped: ",
        Command::Serve => "failed to start: ",
        Command::Config | Command::Check | Command::Layer => "",
    };
    // With its causes, and in one line whatever is in them.
    let sentence = format!("roomful: {what}{error:#}");
    let _ = writeln!(io::stderr(), "{}", logging::one_line(&sentence));
    ExitCode::from(code)
}

/// To standard output. Nobody is left to be told if it is closed, as after `roomful config | head -1`.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
