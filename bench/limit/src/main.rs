//! The yardstick: what the kernel alone costs when a room's messages go to its members.
//!
//! One thread, epoll, `recv` and `send`. It takes the load generator's word for everything: the handshake's key is the one of
//! RFC 6455's example, masks are zero, frames are text. With `coalesce` (the default) what a room got in one turn of the loop
//! goes to each member in one `send`; with `each` every message is a `send` of its own.
//!
//! Run: `limit PORT [coalesce|each]`

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read as _, Write as _};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);
const ANSWER: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// The first byte of a frame that says goodbye.
const CLOSE: u8 = 0x88;

struct Member {
    stream: TcpStream,
    /// What is not a whole head or frame yet.
    unread: Vec<u8>,
    room: Option<usize>,
    unsent: Vec<u8>,
}

#[derive(Default)]
struct Room {
    members: Vec<usize>,
    out: Vec<u8>,
}

struct Relay {
    poll: Poll,
    members: Vec<Option<Member>>,
    rooms: Vec<Room>,
    by_path: HashMap<Vec<u8>, usize>,
    dirty: Vec<usize>,
    coalesce: bool,
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments
        .next()
        .and_then(|port| port.parse::<u16>().ok())
        .unwrap_or(0);
    let coalesce = arguments.next().is_none_or(|mode| mode == "coalesce");
    let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into())?;
    println!("listening on http://{}/", listener.local_addr()?);
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let (members, rooms, by_path, dirty) = (Vec::new(), Vec::new(), HashMap::new(), Vec::new());
    let mut relay = Relay {
        poll,
        members,
        rooms,
        by_path,
        dirty,
        coalesce,
    };
    let mut events = Events::with_capacity(4096);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        relay.poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => relay.accept(&listener)?,
                Token(index) => {
                    if event.is_readable() {
                        relay.read(index, &mut buffer);
                    }
                    if event.is_writable() {
                        relay.write(index, &[]);
                    }
                }
            }
        }
        relay.flush();
    }
}

impl Relay {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Ok((mut stream, _)) = listener.accept() {
            stream.set_nodelay(true)?;
            let token = Token(self.members.len());
            self.poll.registry().register(
                &mut stream,
                token,
                Interest::READABLE | Interest::WRITABLE,
            )?;
            self.members.push(Some(Member {
                stream,
                unread: Vec::new(),
                room: None,
                unsent: Vec::new(),
            }));
        }
        Ok(())
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) {
        loop {
            let Some(member) = &mut self.members[index] else {
                return;
            };
            match member.stream.read(buffer) {
                Ok(0) => return self.leave(index),
                Ok(count) => {
                    member.unread.extend_from_slice(&buffer[..count]);
                    self.take(index);
                    if count < buffer.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.leave(index),
            }
        }
    }

    fn take(&mut self, index: usize) {
        let Some(member) = &mut self.members[index] else {
            return;
        };
        let mut unread = std::mem::take(&mut member.unread);
        let Some(room) = member.room else {
            if unread.ends_with(b"\r\n\r\n") {
                let path = unread
                    .split(|byte| *byte == b' ')
                    .nth(1)
                    .unwrap_or_default()
                    .to_vec();
                let rooms = &mut self.rooms;
                let room = *self.by_path.entry(path).or_insert_with(|| {
                    rooms.push(Room::default());
                    rooms.len() - 1
                });
                member.room = Some(room);
                self.rooms[room].members.push(index);
                self.write(index, ANSWER);
            } else {
                member.unread = unread;
            }
            return;
        };
        let mut at = 0;
        while let Some((header, len)) = frame(&unread[at..]) {
            if unread[at] == CLOSE {
                return self.leave(index);
            }
            let payload = &unread[at + header..at + header + len];
            let out = &mut self.rooms[room].out;
            if out.is_empty() {
                self.dirty.push(room);
            }
            out.push(0x81);
            match len {
                0..126 => out.push(len as u8),
                _ => {
                    out.push(126);
                    out.extend_from_slice(&(len as u16).to_be_bytes());
                }
            }
            out.extend_from_slice(payload);
            at += header + len;
            if !self.coalesce {
                self.flush();
            }
        }
        unread.drain(..at);
        if let Some(member) = &mut self.members[index] {
            member.unread = unread;
        }
    }

    fn flush(&mut self) {
        for room in std::mem::take(&mut self.dirty) {
            let out = std::mem::take(&mut self.rooms[room].out);
            for place in 0..self.rooms[room].members.len() {
                self.write(self.rooms[room].members[place], &out);
            }
        }
    }

    fn write(&mut self, index: usize, bytes: &[u8]) {
        let Some(member) = &mut self.members[index] else {
            return;
        };
        if !member.unsent.is_empty() {
            member.unsent.extend_from_slice(bytes);
            if let Ok(count) = member.stream.write(&member.unsent) {
                member.unsent.drain(..count);
            }
        } else if !bytes.is_empty() {
            let count = member.stream.write(bytes).unwrap_or(0);
            member.unsent.extend_from_slice(&bytes[count..]);
        }
    }

    fn leave(&mut self, index: usize) {
        if let Some(room) = self.members[index].take().and_then(|member| member.room) {
            self.rooms[room].members.retain(|member| *member != index);
        }
    }
}

/// The lengths of the header and payload of a whole masked frame.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (header, len) = match bytes.get(1)? & 0x7f {
        126 => (
            8,
            usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])),
        ),
        len => (6, usize::from(len)),
    };
    (bytes.len() >= header + len).then_some((header, len))
}
