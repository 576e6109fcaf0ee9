//! What a storm breaks: one server on a file of its own, or two nodes on one Redis and one PostgreSQL; and the ways to them.

use anyhow::{Context as _, Result};
use services::{Postgres, Redis};
use tempfile::TempDir;
use tokio::sync::{Mutex, watch};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::options::Options;
use crate::proxy::Proxy;
use crate::server::Server;

/// Nodes of a cluster.
const NODES: usize = 2;

/// Fields are dropped in this order: the servers are gone before what they stand on, and that before the folder.
pub(crate) struct Nodes {
    /// One for each node, and where there are several one more that leads to any of them, chosen for each connection.
    doors: Vec<Proxy>,
    pub(crate) servers: Vec<Mutex<Server>>,
    /// Where the first server listens.
    pub(crate) port: watch::Receiver<u16>,
    pub(crate) clock: Option<Clock>,
    pub(crate) disk: Option<Disk>,
    pub(crate) redis: Option<Mutex<Redis>>,
    _postgres: Option<Postgres>,
    _folder: TempDir,
}

impl Nodes {
    /// Starts all of it.
    pub(crate) async fn start(options: &Options) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder")?;
        let disk = match options.disk_full {
            true => Some(Disk::mount(&folder.path().join("disk"))?),
            false => None,
        };
        let clock = match options.clock {
            Some(by) => Some(Clock::new(folder.path(), by)?),
            None => None,
        };
        let (mut redis, mut postgres) = (None, None);
        let mut servers = match options.cluster {
            true => {
                let layer = redis.insert(Redis::start()?).url();
                let history = postgres.insert(Postgres::start()?).database()?;
                (0..NODES)
                    .map(|n| Server::node(&options.server, n, &history, &layer, folder.path()))
                    .collect::<Result<Vec<_>>>()?
            }
            false => {
                let database = match &disk {
                    Some(disk) => disk.path("roomful.db"),
                    None => folder.path().join("roomful.db"),
                };
                vec![Server::new(&options.server, &database, folder.path())?]
            }
        };
        for server in &mut servers {
            if let Some(clock) = &clock {
                server.set_environment(clock.environment());
            }
            server.start().await?;
        }
        let ports: Vec<_> = servers.iter().map(Server::port).collect();
        let mut ways: Vec<_> = ports.iter().map(|port| vec![port.clone()]).collect();
        if ports.len() > 1 {
            ways.push(ports.clone());
        }
        let mut doors = Vec::new();
        for (number, way) in ways.into_iter().enumerate() {
            let chance = options.chance("proxy", number);
            doors.push(Proxy::start(way, options.cut_every, chance).await?);
        }
        Ok(Self {
            doors,
            port: ports.into_iter().next().context("there is a server")?,
            servers: servers.into_iter().map(Mutex::new).collect(),
            clock,
            disk,
            redis: redis.map(Mutex::new),
            _postgres: postgres,
            _folder: folder,
        })
    }

    /// Where the speaker or reader of this number connects to.
    pub(crate) fn door(&self, number: usize) -> &Proxy {
        &self.doors[number % self.doors.len()]
    }

    /// All ways in.
    pub(crate) fn doors(&self) -> &[Proxy] {
        &self.doors
    }

    /// From now on everything passes, so that readers can come to the end.
    pub(crate) fn calm_down(&self) {
        for door in &self.doors {
            door.calm_down();
        }
    }
}
