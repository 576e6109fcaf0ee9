//! Bytes over TCP, for what no client library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Server, soon};

/// A bare connection.
pub(crate) struct Raw {
    stream: TcpStream,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// Whether the server ended the connection.
    pub(crate) ended: bool,
}

impl Raw {
    pub(crate) async fn connect(server: &Server) -> Self {
        let stream = soon("a connection", TcpStream::connect(server.address)).await;
        Self {
            stream: stream.unwrap(),
        }
    }

    /// Sends bytes. That the server has had enough of them is for its answer to show.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        soon("sending", self.stream.write_all(bytes)).await.is_ok()
    }

    /// Reads until the server ends the connection, or says nothing for `patience`.
    pub(crate) async fn read(&mut self, patience: Duration) -> Answer {
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 * 1024];
        let ended = loop {
            match tokio::time::timeout(patience, self.stream.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => break true,
                Ok(Ok(length)) => bytes.extend_from_slice(&buffer[..length]),
                Err(_) => break false,
            }
        };
        Answer {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            ended,
        }
    }

    /// Reads to the end of the connection.
    pub(crate) async fn read_to_end(&mut self) -> Answer {
        let answer = self.read(Duration::from_secs(20)).await;
        assert!(
            answer.ended,
            "the server left the connection open: {answer:?}"
        );
        answer
    }

    /// Reads the head of one answer.
    pub(crate) async fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match soon("a head", self.stream.read_u8()).await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&head).into_owned()
    }
}

impl Answer {
    /// The status of the first answer; 0 where there was none.
    pub(crate) fn status(&self) -> u16 {
        self.statuses().first().copied().unwrap_or(0)
    }

    /// The statuses of all answers.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.text
            .match_indices("HTTP/1.")
            .filter_map(|(at, _)| self.text.get(at + 9..at + 12)?.parse().ok())
            .collect()
    }
}

/// Sends one request on a connection of its own that asks to be closed, and reads to the end.
pub(crate) async fn exchange(server: &Server, bytes: &[u8]) -> Answer {
    let mut raw = Raw::connect(server).await;
    raw.send(bytes).await;
    raw.read_to_end().await
}
