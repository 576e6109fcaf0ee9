//! Loads a room broadcast server and counts what arrives.
//!
//! One thread, epoll, frames counted by their headers: the generator must not be what is measured. `closed` keeps a number
//! of messages of each room under way and sends the next when one has reached every member; `open` sends at a fixed rate,
//! whatever comes back; `idle` only connects. Loopback only.

mod frames;
mod process;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::{Parser, ValueEnum};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use frames::{Frames, text_frame};

/// Messages of one room that may be under way.
const RING: usize = 1024;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    Closed,
    Open,
    Idle,
}

/// Loads a room broadcast server on loopback and prints one line of JSON.
#[derive(Parser)]
struct Arguments {
    /// The server's port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// The server's process, for its CPU time and memory.
    #[arg(long)]
    pid: u32,
    /// The path of a room; `{room}` becomes its number.
    #[arg(long, default_value = "/room/{room}/")]
    path: String,
    #[arg(long, default_value_t = 100)]
    rooms: usize,
    #[arg(long, default_value_t = 50)]
    members: usize,
    #[arg(long, value_enum, default_value_t = Mode::Closed)]
    mode: Mode,
    /// Messages of each room under way (closed).
    #[arg(long, default_value_t = 4)]
    under_way: usize,
    /// Messages a second, over all rooms (open).
    #[arg(long, default_value_t = 600)]
    rate: u32,
    /// Bytes of a message's text.
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Speak `roomful.v1`.
    #[arg(long)]
    v1: bool,
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

struct Member {
    stream: TcpStream,
    frames: Frames,
    room: usize,
    heard: usize,
    /// What the socket did not take.
    unsent: Vec<u8>,
}

#[derive(Clone)]
struct Room {
    first_member: usize,
    sent: usize,
    done: usize,
    /// For each message under way: how many members have it, and when it was sent or due.
    reached: Vec<(u32, Instant)>,
}

struct Load {
    arguments: Arguments,
    poll: Poll,
    members: Vec<Member>,
    rooms: Vec<Room>,
    deliveries: u64,
    to_last: Vec<u32>,
    recording: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let idle_before = process::resident_bytes(arguments.pid);
    let cpu_before = process::cpu_seconds(arguments.pid);
    let begun = Instant::now();
    let mut load = Load::connect(arguments)?;
    let connecting = begun.elapsed().as_secs_f64();
    let cpu_connected = process::cpu_seconds(load.arguments.pid) - cpu_before;
    load.settle(Duration::from_millis(500))?;
    let (pid, count) = (load.arguments.pid, load.members.len());
    let idle_bytes = process::resident_bytes(pid).saturating_sub(idle_before) / count as u64;

    if load.arguments.mode == Mode::Idle {
        let cpu = process::cpu_seconds(pid);
        load.settle(Duration::from_secs_f64(load.arguments.seconds))?;
        let cpu = process::cpu_seconds(pid) - cpu;
        println!(
            "{}",
            serde_json::json!({
                "connections": count, "connects_per_second": (count as f64 / connecting).round(),
                "cpu_us_per_connect": cpu_connected * 1e6 / count as f64,
                "rss_bytes_per_connection": idle_bytes, "rss_bytes": process::resident_bytes(pid),
                "cpu_us_per_second_each": cpu * 1e6 / load.arguments.seconds / count as f64,
            })
        );
        return Ok(());
    }

    load.run(load.arguments.warm_up)?;
    load.recording = true;
    load.deliveries = 0;
    let (cpu, begun) = (process::cpu_seconds(pid), Instant::now());
    load.run(load.arguments.seconds)?;
    let (elapsed, cpu) = (
        begun.elapsed().as_secs_f64(),
        process::cpu_seconds(pid) - cpu,
    );
    let deliveries = load.deliveries;
    load.recording = false;
    let missing = load.finish()?;
    load.to_last.sort_unstable();
    let at = |share: f64| {
        let index = (load.to_last.len() as f64 * share) as usize;
        load.to_last
            .get(index.min(load.to_last.len().saturating_sub(1)))
            .map(|us| f64::from(*us) / 1000.0)
    };
    println!(
        "{}",
        serde_json::json!({
            "rooms": load.rooms.len(), "members": load.arguments.members,
            "deliveries_per_second": (deliveries as f64 / elapsed).round(),
            "cpu_seconds_per_million": cpu / deliveries as f64 * 1e6,
            "server_cores": cpu / elapsed,
            "ms_to_last_member": {"p50": at(0.5), "p99": at(0.99), "p999": at(0.999)},
            "missing": missing, "connects_per_second": (count as f64 / connecting).round(),
            "rss_bytes_per_connection": idle_bytes, "rss_bytes": process::resident_bytes(pid),
        })
    );
    ensure!(missing == 0, "{missing} deliveries are missing");
    Ok(())
}

impl Load {
    fn connect(arguments: Arguments) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut members = Vec::new();
        let mut rooms = Vec::new();
        for room in 0..arguments.rooms {
            let started = (0, Instant::now());
            rooms.push(Room {
                first_member: members.len(),
                sent: 0,
                done: 0,
                reached: vec![started; RING],
            });
            for _ in 0..arguments.members {
                let mut member = open(&arguments, room, members.len())?;
                poll.registry().register(
                    &mut member.stream,
                    Token(members.len()),
                    Interest::READABLE,
                )?;
                members.push(member);
            }
        }
        Ok(Self {
            arguments,
            poll,
            members,
            rooms,
            deliveries: 0,
            to_last: Vec::new(),
            recording: false,
        })
    }

    /// Reads for a while without counting: greetings, comings and goings.
    fn settle(&mut self, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.turn(Some(left.min(Duration::from_millis(50))))?;
        }
        Ok(())
    }

    fn run(&mut self, seconds: f64) -> anyhow::Result<()> {
        let begun = Instant::now();
        let until = begun + Duration::from_secs_f64(seconds);
        if self.arguments.mode == Mode::Closed {
            for room in 0..self.rooms.len() {
                while self.rooms[room].sent - self.rooms[room].done < self.arguments.under_way {
                    self.say(room, Instant::now())?;
                }
            }
        }
        let gap = Duration::from_secs(1) / self.arguments.rate.max(1);
        let mut due = begun;
        let mut next_room = 0;
        while Instant::now() < until {
            if self.arguments.mode == Mode::Open {
                while due <= Instant::now() {
                    if self.rooms[next_room].sent - self.rooms[next_room].done < RING {
                        self.say(next_room, due)?;
                    }
                    next_room = (next_room + 1) % self.rooms.len();
                    due += gap;
                }
                // epoll counts in milliseconds: the last of them is spun away, so that messages are not late.
                let wait = due.saturating_duration_since(Instant::now());
                self.turn(Some(if wait < Duration::from_millis(1) {
                    Duration::ZERO
                } else {
                    wait
                }))?;
            } else {
                self.turn(Some(Duration::from_millis(20)))?;
            }
        }
        Ok(())
    }

    /// Waits for what is under way; says how many deliveries never came.
    fn finish(&mut self) -> anyhow::Result<u64> {
        self.arguments.mode = Mode::Open;
        let until = Instant::now() + Duration::from_secs(10);
        while self.rooms.iter().any(|room| room.done < room.sent) && Instant::now() < until {
            self.turn(Some(Duration::from_millis(20)))?;
        }
        let heard: usize = self.members.iter().map(|member| member.heard).sum();
        let sent: usize = self
            .rooms
            .iter()
            .map(|room| room.sent * self.arguments.members)
            .sum();
        Ok(sent.abs_diff(heard) as u64)
    }

    /// The next member of a room says something.
    fn say(&mut self, room: usize, due: Instant) -> anyhow::Result<()> {
        let number = self.rooms[room].sent;
        self.rooms[room].sent += 1;
        self.rooms[room].reached[number % RING] = (0, due);
        let speaker = self.rooms[room].first_member + number % self.arguments.members;
        let text = "x".repeat(self.arguments.size);
        let frame = match self.arguments.v1 {
            true => text_frame(
                format!(r#"{{"type":"chat.say","id":"l{room}-{number}","text":"{text}"}}"#)
                    .as_bytes(),
            ),
            false => text_frame(text.as_bytes()),
        };
        let member = &mut self.members[speaker];
        member.unsent.extend(frame);
        write_unsent(member)
    }

    /// One turn of the loop: everything that has arrived.
    fn turn(&mut self, wait: Option<Duration>) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(4096);
        match self.poll.poll(&mut events, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            done => done?,
        }
        let mut buffer = vec![0; 256 * 1024];
        for event in &events {
            self.read(event.token().0, &mut buffer)?;
        }
        Ok(())
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) -> anyhow::Result<()> {
        let counted = if self.arguments.v1 {
            &b"{\"type\":\"chat.message\""[..]
        } else {
            b""
        };
        let everyone = self.arguments.members as u32;
        let mut finished = 0;
        let member = &mut self.members[index];
        let room = member.room;
        loop {
            let count = match member.stream.read(buffer) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            let (rooms, heard) = (&mut self.rooms, &mut member.heard);
            let (deliveries, to_last, recording) =
                (&mut self.deliveries, &mut self.to_last, self.recording);
            member.frames.read(&buffer[..count], |start| {
                if !start.starts_with(counted) {
                    return;
                }
                let (reached, due) = &mut rooms[room].reached[*heard % RING];
                *heard += 1;
                *deliveries += 1;
                *reached += 1;
                if *reached == everyone {
                    finished += 1;
                    if recording {
                        to_last.push(due.elapsed().as_micros().min(u128::from(u32::MAX)) as u32);
                    }
                }
            });
            if count < buffer.len() {
                break;
            }
        }
        write_unsent(member)?;
        for _ in 0..finished {
            self.rooms[room].done += 1;
            if self.arguments.mode == Mode::Closed {
                self.say(room, Instant::now())?;
            }
        }
        Ok(())
    }
}

fn write_unsent(member: &mut Member) -> anyhow::Result<()> {
    while !member.unsent.is_empty() {
        match member.stream.write(&member.unsent) {
            Ok(count) => drop(member.unsent.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Connects, shakes hands and, in `roomful.v1`, says hello.
fn open(arguments: &Arguments, room: usize, index: usize) -> anyhow::Result<Member> {
    let server: SocketAddr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, arguments.port).into();
    let mut stream =
        std::net::TcpStream::connect(server).context("cannot connect to the server")?;
    stream.set_nodelay(true)?;
    let path = arguments.path.replace("{room}", &room.to_string());
    let subprotocol = if arguments.v1 {
        "Sec-WebSocket-Protocol: roomful.v1\r\n"
    } else {
        ""
    };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{subprotocol}\r\n",
        arguments.port
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        ensure!(
            stream.read(&mut byte)? == 1,
            "the server closed connection {index} during the handshake"
        );
        head.push(byte[0]);
    }
    ensure!(
        head.starts_with(b"HTTP/1.1 101"),
        "handshake refused: {}",
        String::from_utf8_lossy(&head)
    );
    if arguments.v1 {
        stream.write_all(&text_frame(
            format!(r#"{{"type":"chat.hello","name":"member {index}","after":0}}"#).as_bytes(),
        ))?;
    }
    stream.set_nonblocking(true)?;
    let stream = TcpStream::from_std(stream);
    Ok(Member {
        stream,
        frames: Frames::default(),
        room,
        heard: 0,
        unsent: Vec::new(),
    })
}
