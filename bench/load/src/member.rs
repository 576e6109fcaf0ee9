//! One connection of the crowd: from `connect(2)` to goodbye.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, bail, ensure};
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use crate::dialect::Dialect;
use crate::frames::{Frame, Frames, Kind, close_frame, pong_frame, text_frame};

/// Connections from one source address, which has 28,000 ports by default.
const PER_ADDRESS: usize = 20_000;

pub(crate) struct Member {
    pub(crate) stream: TcpStream,
    pub(crate) room: usize,
    /// Messages that have reached it.
    pub(crate) heard: usize,
    pub(crate) stage: Stage,
    index: usize,
    frames: Frames,
    /// The answer to the handshake, until it is whole.
    head: Vec<u8>,
    /// What the socket did not take.
    unsent: Vec<u8>,
}

/// What a member got that counts.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Got {
    /// Another message.
    Message,
    /// What it said first of what was not acknowledged is stored.
    Acknowledgement,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Stage {
    Connecting,
    ShakingHands,
    Greeting,
    Here,
    Leaving,
    Gone,
}

impl Member {
    /// Begins to connect; `nth` counts all connections of this process.
    pub(crate) fn connect(port: u16, nth: usize, room: usize, index: usize) -> Result<Self> {
        let socket = Socket::new(
            Domain::IPV4,
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        socket.set_tcp_nodelay(true)?;
        // All of 127/8 is this machine. Each run takes other addresses than the one before, whose ports may still be waiting.
        let run = std::process::id() % 250 + 2;
        let source = Ipv4Addr::new(127, run as u8, (nth / PER_ADDRESS) as u8, 1);
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match socket.connect(&server.into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => {
                return Err(error).context("cannot connect to the server");
            }
            _ => {}
        }
        Ok(Self {
            stream: TcpStream::from_std(socket.into()),
            room,
            heard: 0,
            stage: Stage::Connecting,
            index,
            frames: Frames::default(),
            head: Vec::new(),
            unsent: Vec::new(),
        })
    }

    /// The socket takes bytes: it is connected, or was full.
    pub(crate) fn writable(&mut self, dialect: Dialect) -> Result<()> {
        if self.stage == Stage::Connecting {
            if let Some(error) = self.stream.take_error()? {
                return Err(error).context("cannot connect to the server");
            }
            self.stage = Stage::ShakingHands;
            let (path, header) = (dialect.path(self.room), dialect.header());
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{header}\r\n",
                self.stream
                    .peer_addr()
                    .context("cannot connect to the server")?
            );
            return self.write(request.as_bytes());
        }
        self.write(&[])
    }

    /// Reads once; what came is handed to [`Member::next`]. `None` when there is nothing now.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        if self.stage == Stage::Gone {
            return Ok(None);
        }
        match self.stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Ok(count) if count > 0 => Ok(Some(count)),
            _ if self.stage == Stage::Leaving => {
                self.stage = Stage::Gone;
                Ok(None)
            }
            Ok(_) => bail!("the server closed connection {}", self.index),
            Err(error) => Err(error).context("the server cut a connection"),
        }
    }

    /// What the bytes bring that counts, messages of `size` bytes among it; everything else is seen to here.
    pub(crate) fn next(
        &mut self,
        bytes: &mut &[u8],
        dialect: Dialect,
        size: usize,
    ) -> Result<Option<Got>> {
        if self.stage == Stage::ShakingHands && !self.take_head(bytes, dialect)? {
            return Ok(None);
        }
        while let Some(Frame { kind, len }) = self.frames.next(bytes) {
            let start = self.frames.start();
            match kind {
                Kind::Message if self.stage == Stage::Greeting => {
                    if dialect.welcomes(start) {
                        self.stage = Stage::Here;
                    }
                }
                Kind::Message if dialect.delivers(start, len, size) => {
                    return Ok(Some(Got::Message));
                }
                Kind::Message if dialect.acknowledges(start) => {
                    return Ok(Some(Got::Acknowledgement));
                }
                Kind::Message => {
                    if let Some(answer) = dialect.answer(start) {
                        self.write(&text_frame(answer.as_bytes()))?;
                    }
                }
                Kind::Ping => {
                    let pong = pong_frame(start);
                    self.write(&pong)?;
                }
                Kind::Close if self.stage == Stage::Leaving => {
                    self.stage = Stage::Gone;
                    // Fails where the server was faster.
                    let _ = self.stream.shutdown(std::net::Shutdown::Both);
                    return Ok(None);
                }
                Kind::Close => {
                    let code = start.first_chunk().map(|code| u16::from_be_bytes(*code));
                    bail!(
                        "the server closed connection {} with code {}",
                        self.index,
                        code.unwrap_or(1005)
                    );
                }
                Kind::Other => {}
            }
        }
        Ok(None)
    }

    /// Writes what it can, and keeps the rest for when the socket takes bytes again.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.unsent.extend(bytes);
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The reading side tells how it ended.
                Err(_) if matches!(self.stage, Stage::Leaving | Stage::Gone) => self.unsent.clear(),
                Err(error) => return Err(error).context("the server cut a connection"),
            }
        }
        Ok(())
    }

    /// Says goodbye; gone when the server has answered.
    pub(crate) fn leave(&mut self) -> Result<()> {
        self.stage = Stage::Leaving;
        self.write(&close_frame())
    }

    fn take_head(&mut self, bytes: &mut &[u8], dialect: Dialect) -> Result<bool> {
        while !self.head.ends_with(b"\r\n\r\n") {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(false);
            };
            self.head.push(*first);
            *bytes = rest;
        }
        ensure!(
            self.head.starts_with(b"HTTP/1.1 101"),
            "handshake refused: {}",
            String::from_utf8_lossy(&self.head)
        );
        self.head = Vec::new();
        self.stage = Stage::Here;
        if let Some(hello) = dialect.hello(self.index) {
            self.stage = Stage::Greeting;
            self.write(&text_frame(hello.as_bytes()))?;
        }
        Ok(true)
    }
}

/// `EINPROGRESS`: a connection that is not blocking is on its way.
const IN_PROGRESS: i32 = 115;
