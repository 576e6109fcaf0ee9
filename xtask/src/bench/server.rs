//! The servers that are measured, and how each is started.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::peers::{self, Needs};
use crate::command::{Cmd, cmd, in_target};

/// What all others are compared with.
pub(super) const REFERENCE: &str = "roomful";
/// What is measured in any case, beside it.
pub(super) const LIMIT: &str = "limit";

/// One way to run a room.
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) dialect: &'static str,
    pub(super) needs: Needs,
    program: Program,
    /// `DATA` stands for an empty folder.
    arguments: &'static [&'static str],
}

/// What is started.
#[derive(Clone, Copy)]
pub(super) enum Program {
    /// Roomful's server.
    Roomful,
    /// An example of the library, by its name.
    Example(&'static str),
    /// The kernel's limit.
    Limit,
    /// Somebody else's.
    Peer(fn() -> Result<PathBuf>),
}

impl Program {
    /// What cargo is given to build a program that depends on Roomful's revision, after `build --release`; `None` for others.
    pub(super) fn target(self) -> Option<Vec<&'static str>> {
        match self {
            Self::Roomful => Some(vec!["--package", "roomful-server"]),
            Self::Example(name) => Some(vec!["--package", "roomful", "--example", name]),
            Self::Limit | Self::Peer(_) => None,
        }
    }

    /// Its path, where cargo puts our own into `release`.
    pub(super) fn path(self, release: &Path) -> Result<PathBuf> {
        match self {
            Self::Roomful => Ok(release.join("roomful")),
            Self::Example(name) => Ok(release.join("examples").join(name)),
            Self::Limit => Ok(release.join("limit")),
            Self::Peer(path) => path(),
        }
    }
}

const MEMORY: &[&str] = &[
    "--listen",
    "127.0.0.1:0",
    "--layer",
    "memory",
    "--no-rate-limits",
    "--history",
    "memory",
];
const SQLITE: &[&str] = &[
    "--listen",
    "127.0.0.1:0",
    "--layer",
    "memory",
    "--no-rate-limits",
    "--history",
    "sqlite:DATA/roomful.db",
];

pub(super) const SERVERS: &[Server] = &[
    Server {
        name: REFERENCE,
        what: "Roomful's server, history in memory, plain text",
        dialect: "plain",
        needs: Needs::Nothing,
        program: Program::Roomful,
        arguments: MEMORY,
    },
    Server {
        name: "v1",
        what: "the same, speaking roomful.v1",
        dialect: "roomful.v1",
        needs: Needs::Nothing,
        program: Program::Roomful,
        arguments: MEMORY,
    },
    Server {
        name: "sqlite",
        what: "the same in plain text, each message in SQLite with full sync before it is delivered",
        dialect: "plain",
        needs: Needs::Nothing,
        program: Program::Roomful,
        arguments: SQLITE,
    },
    Server {
        name: "v1-sqlite",
        what: "Roomful speaking roomful.v1, each message in SQLite with full sync before it is delivered",
        dialect: "roomful.v1",
        needs: Needs::Nothing,
        program: Program::Roomful,
        arguments: SQLITE,
    },
    Server {
        name: "library",
        what: "a program on the library whose consumer has `render` (examples/typed_chat)",
        dialect: "plain",
        needs: Needs::Nothing,
        program: Program::Example("typed_chat"),
        arguments: &["127.0.0.1:0"],
    },
    Server {
        name: "library-event",
        what: "a program on the library that wakes each consumer for each event (examples/chat)",
        dialect: "plain",
        needs: Needs::Nothing,
        program: Program::Example("chat"),
        arguments: &["127.0.0.1:0"],
    },
    Server {
        name: "library-axum",
        what: "the library behind `axum::serve`, with `render` (examples/in_axum)",
        dialect: "plain",
        needs: Needs::Nothing,
        program: Program::Example("in_axum"),
        arguments: &["127.0.0.1:0"],
    },
    Server {
        name: LIMIT,
        what: "the kernel alone: what a room got in one turn of epoll goes to each member in one send",
        dialect: "plain",
        needs: Needs::Nothing,
        program: Program::Limit,
        arguments: &["0", "coalesce"],
    },
    Server {
        name: "limit-each",
        what: "the kernel alone, with a send for each message and member",
        dialect: "plain",
        needs: Needs::Nothing,
        program: Program::Limit,
        arguments: &["0", "each"],
    },
    Server {
        name: "bun",
        what: "Bun's WebSocket server and its topics",
        dialect: "plain",
        needs: Needs::Npm,
        program: Program::Peer(|| peers::npm("node_modules/.bin/bun")),
        arguments: &["bun.js"],
    },
    Server {
        name: "uws",
        what: "uWebSockets (C++) under socketify (Python) and its topics",
        dialect: "plain",
        needs: Needs::Socketify,
        program: Program::Peer(peers::python),
        arguments: &["bench/peers/socketify_room.py"],
    },
    Server {
        name: "axum",
        what: "axum with tokio::sync::broadcast and two tasks for each member, as usually written",
        dialect: "plain",
        needs: Needs::Axum,
        program: Program::Peer(|| in_target("bench/axum/release/peer-axum")),
        arguments: &[],
    },
    Server {
        name: "ws",
        what: "ws on Node.js, a loop over the room",
        dialect: "plain",
        needs: Needs::Npm,
        program: Program::Peer(|| Ok("node".into())),
        arguments: &["ws.js"],
    },
    Server {
        name: "socketio",
        what: "Socket.IO on Node.js, WebSocket from the start",
        dialect: "socket.io",
        needs: Needs::Npm,
        program: Program::Peer(|| Ok("node".into())),
        arguments: &["socketio.js"],
    },
    Server {
        name: "channels",
        what: "Django Channels under daphne, layer in memory",
        dialect: "plain",
        needs: Needs::Python,
        program: Program::Peer(peers::python),
        arguments: &["bench/peers/channels_room.py"],
    },
];

/// The server of this name.
pub(super) fn named(name: &str) -> Result<&'static Server> {
    let found = SERVERS.iter().find(|server| server.name == name);
    let names = || {
        SERVERS
            .iter()
            .map(|server| server.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    found.with_context(|| format!("`{name}` is no server: there are {}", names()))
}

impl Server {
    /// What it starts.
    pub(super) fn program(&self) -> Program {
        self.program
    }

    /// The command that starts it, on CPU 0 if it is to stay there; our own programs lie in `release`.
    pub(super) fn command(&self, release: &Path, data: &Path, pin: bool) -> Result<Cmd> {
        let program = self.program.path(release)?;
        let mut command = if pin {
            cmd("taskset").args(&["--cpu-list", "0"]).arg(program)
        } else {
            cmd(program)
        };
        for argument in self.arguments {
            let argument = argument.replace("DATA", &data.to_string_lossy());
            // The scripts lie where the packages are, because that is where Node.js looks for those.
            command = match argument.strip_suffix(".js") {
                Some(_) => command.arg(peers::npm(&argument)?),
                None => command.arg(argument),
            };
        }
        Ok(command.quiet())
    }
}
