//! A TCP proxy that breaks what passes through it: cuts (also in the middle of a piece), resets, half-closes, black holes,
//! delays, and pieces of odd sizes.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// A running proxy; it ends when dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    pub(crate) counts: Arc<Counts>,
    weather: watch::Sender<Weather>,
    accepting: tokio::task::JoinHandle<()>,
}

/// What was done to connections.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicUsize,
    pub(crate) cuts: AtomicUsize,
    pub(crate) resets: AtomicUsize,
    pub(crate) half_closes: AtomicUsize,
    pub(crate) black_holes: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Storm,
    Calm,
}

/// What a connection does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    /// What comes is kept back.
    Held,
    /// The client's side is closed after what has come; answers go on.
    HalfClosed,
    /// Of the next piece only a part goes through.
    Cut,
}

/// What happens to a connection at the end of its life.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Cut,
    Reset,
    HalfClose,
    BlackHole,
}

impl Proxy {
    /// Listens on a port of its own, and passes on to wherever a server is; of several, each connection goes to any. It
    /// lives `cut_every` on average.
    pub(crate) async fn start(
        servers: Vec<watch::Receiver<u16>>,
        cut_every: Duration,
        mut chance: fastrand::Rng,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("the proxy finds no port")?;
        let port = listener
            .local_addr()
            .context("the proxy has a port")?
            .port();
        let first = match cut_every.is_zero() {
            true => Weather::Calm,
            false => Weather::Storm,
        };
        let weather = watch::Sender::new(first);
        let counts = Arc::new(Counts::default());
        let accepting = tokio::spawn({
            let (counts, weather) = (Arc::clone(&counts), weather.clone());
            async move {
                // Connections end with the proxy.
                let mut connections = tokio::task::JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    while connections.try_join_next().is_some() {}
                    counts.connections.fetch_add(1, Ordering::Relaxed);
                    let passing = Passing {
                        lifetime: cut_every.mul_f64(chance.f64() * 2.0),
                        fate: match chance.u8(..10) {
                            0..4 => Fate::Cut,
                            4..7 => Fate::Reset,
                            7..9 => Fate::BlackHole,
                            _ => Fate::HalfClose,
                        },
                        chance: chance.fork(),
                        counts: Arc::clone(&counts),
                        weather: weather.subscribe(),
                    };
                    let Some(server) = chance.choice(&servers) else {
                        return;
                    };
                    connections.spawn(passing.run(client, *server.borrow()));
                }
            }
        });
        Ok(Self {
            port,
            counts,
            weather,
            accepting,
        })
    }

    /// From now on everything passes, so that readers can come to the end.
    pub(crate) fn calm_down(&self) {
        self.weather.send_replace(Weather::Calm);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection through the proxy.
struct Passing {
    lifetime: Duration,
    fate: Fate,
    chance: fastrand::Rng,
    counts: Arc<Counts>,
    weather: watch::Receiver<Weather>,
}

impl Passing {
    async fn run(mut self, mut client: TcpStream, port: u16) {
        // While the server is down, whoever comes is turned away.
        let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
            return;
        };
        if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
            return;
        }
        let flow = watch::Sender::new(Flow::Open);
        let (mut up, mut down) = (self.pipe(&flow), self.pipe(&flow));
        let mut half_closed = flow.subscribe();
        let broken = {
            let (from_client, mut to_client) = client.split();
            let (from_server, mut to_server) = server.split();
            let saying = async {
                tokio::select! {
                    _ = up.pass(from_client, &mut to_server) => {}
                    _ = half_closed.wait_for(|flow| *flow == Flow::HalfClosed) => {}
                }
                let _ = to_server.shutdown().await;
                // A client that says no more may still listen; a server that is gone is gone for both.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = saying => false,
                _ = down.pass(from_server, &mut to_client) => false,
                () = self.trouble(&flow) => true,
            }
        };
        if broken && matches!(self.fate, Fate::Reset) {
            // Both ends get RST instead of FIN. Where that cannot be had, it is a cut like any other.
            let _ = client.set_zero_linger();
            let _ = server.set_zero_linger();
        }
    }

    fn pipe(&mut self, flow: &watch::Sender<Flow>) -> Pipe {
        let odd = *self.weather.borrow() == Weather::Storm && self.chance.u8(..4) == 0;
        Pipe {
            flow: flow.subscribe(),
            weather: self.weather.clone(),
            pieces: if odd { Pieces::Odd } else { Pieces::AsTheyCome },
            delay: match self.chance.u8(..4) {
                0 => Duration::from_micros(self.chance.u64(..5000)),
                _ => Duration::ZERO,
            },
            chance: self.chance.fork(),
        }
    }

    /// Returns when the connection is to be dropped; in calm weather never.
    async fn trouble(&mut self, flow: &watch::Sender<Flow>) {
        sleep(self.lifetime).await;
        if *self.weather.borrow_and_update() == Weather::Calm {
            std::future::pending::<()>().await;
        }
        let moment = Duration::from_millis(self.chance.u64(1..1000));
        let count = match self.fate {
            Fate::Cut => {
                flow.send_replace(Flow::Cut);
                sleep(moment / 10).await;
                &self.counts.cuts
            }
            Fate::Reset => &self.counts.resets,
            Fate::HalfClose => {
                flow.send_replace(Flow::HalfClosed);
                sleep(moment).await;
                &self.counts.half_closes
            }
            Fate::BlackHole => {
                flow.send_replace(Flow::Held);
                sleep(moment).await;
                &self.counts.black_holes
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// One direction of a connection.
struct Pipe {
    flow: watch::Receiver<Flow>,
    weather: watch::Receiver<Weather>,
    pieces: Pieces,
    delay: Duration,
    chance: fastrand::Rng,
}

/// How bytes are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pieces {
    AsTheyCome,
    /// In pieces that end where no frame and no line does.
    Odd,
}

impl Pipe {
    async fn pass(&mut self, mut from: ReadHalf<'_>, to: &mut WriteHalf<'_>) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer).await?;
            let mut bytes = buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
            let stormy = *self.weather.borrow() == Weather::Storm;
            if stormy && !self.delay.is_zero() {
                sleep(self.delay).await;
            }
            let flow = *self.flow.borrow_and_update();
            match flow {
                Flow::Open | Flow::HalfClosed => {}
                // Until the connection is dropped.
                Flow::Held => std::future::pending().await,
                Flow::Cut => {
                    let part = self.chance.usize(..bytes.len());
                    to.write_all(bytes.get(..part).unwrap_or_default()).await?;
                    std::future::pending().await
                }
            }
            while !bytes.is_empty() {
                let piece = match self.pieces {
                    Pieces::Odd if stormy => self.chance.usize(1..=bytes.len().min(700)),
                    _ => bytes.len(),
                };
                let (now, later) = bytes.split_at(piece);
                to.write_all(now).await?;
                bytes = later;
                // Lets the other end read this piece by itself.
                tokio::task::yield_now().await;
            }
        }
    }
}
