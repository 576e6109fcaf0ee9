//! A WebSocket client made of nothing but bytes, to say what no good client says, and to see every frame.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::soon;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
}

/// A frame as a server sends it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn text(text: &str) -> Self {
        let payload = text.into();
        Self {
            opcode: TEXT,
            payload,
        }
    }

    /// The code of a Close; 1005 where it has none.
    pub(crate) fn close_code(&self) -> u16 {
        assert_eq!(self.opcode, CLOSE, "{self:?}");
        match self.payload[..] {
            [] => 1005,
            [high, low, ..] => u16::from_be_bytes([high, low]),
            [_] => panic!("half a code"),
        }
    }

    pub(crate) fn as_text(&self) -> &str {
        assert_eq!(self.opcode, TEXT, "{self:?}");
        std::str::from_utf8(&self.payload).unwrap()
    }
}

impl Wire {
    /// Opens a WebSocket on a path.
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        Self::upgrade(TcpStream::connect(address).await.unwrap(), path).await
    }

    /// Opens a WebSocket whose client has little room for what it does not read.
    pub(crate) async fn open_narrow(address: SocketAddr, path: &str) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self::upgrade(socket.connect(address).await.unwrap(), path).await
    }

    async fn upgrade(mut stream: TcpStream, path: &str) -> Self {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Self::upgraded(stream).await
    }

    /// A WebSocket whose handshake is sent.
    pub(crate) async fn upgraded(mut stream: TcpStream) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(stream.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self { stream }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.send(frame(FIN | TEXT, text.as_bytes())).await;
    }

    /// The next frame; `None` where the server ended its side of TCP.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        soon(self.read()).await.unwrap()
    }

    pub(crate) async fn read(&mut self) -> std::io::Result<Option<Frame>> {
        let mut first = [0];
        if self.stream.read(&mut first).await? == 0 {
            return Ok(None);
        }
        let [first] = first;
        assert_eq!(first & 0xf0, FIN, "servers here do not fragment");
        let len = match self.stream.read_u8().await? {
            126 => self.stream.read_u16().await?.into(),
            127 => self.stream.read_u64().await?,
            len => u64::from(len),
        };
        let mut payload = vec![0; len as usize];
        self.stream.read_exact(&mut payload).await?;
        Ok(Some(Frame {
            opcode: first & 0x0f,
            payload,
        }))
    }

    pub(crate) async fn expect_text(&mut self, text: &str) {
        assert_eq!(self.next().await, Some(Frame::text(text)));
    }

    /// The next frame is a Close with this code, and TCP ends after it without a reset.
    pub(crate) async fn expect_end(&mut self, code: u16) {
        let frame = self.next().await.expect("a Close comes before the end");
        assert_eq!(frame.close_code(), code);
        assert_eq!(self.next().await, None);
    }

    /// TCP ends, with a reset or without, and nothing comes before that.
    pub(crate) async fn expect_cut(&mut self) {
        let end = soon(self.read()).await;
        assert!(!matches!(end, Ok(Some(_))), "{end:?}");
    }
}

/// A masked frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = header(first, payload.len());
    let mask = [1, 2, 3, 4];
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    out
}

/// A frame's header that announces a mask, without it.
pub(crate) fn header(first: u8, len: usize) -> Vec<u8> {
    let mut out = vec![first];
    match len {
        0..126 => out.push(0x80 | len as u8),
        126..65536 => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out
}

pub(crate) fn close_frame(code: u16) -> Vec<u8> {
    frame(FIN | CLOSE, &code.to_be_bytes())
}
