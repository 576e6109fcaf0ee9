//! The bytes' way: a bare TCP socket where the server gives one, any other upgraded stream where it does not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::accepted::{Accepted, HttpStream};

/// An upgraded connection and what was already read of it.
pub(crate) struct Transport {
    pub(crate) read: Reader,
    pub(crate) write: Writer,
    pub(crate) first_bytes: Bytes,
}

pub(crate) enum Reader {
    Tcp(OwnedReadHalf),
    Stream(ReadHalf<TokioIo<Upgraded>>),
}

/// A TCP socket takes bytes from any thread, without a turn of the task that reads it; a stream (TLS, a pipe in memory)
/// belongs to its driver.
pub(crate) enum Writer {
    Tcp(OwnedWriteHalf),
    Stream(WriteHalf<TokioIo<Upgraded>>),
}

impl Transport {
    /// Takes the bare socket back from hyper where there is one. Must run on the runtime that will drive it.
    pub(crate) fn new(upgraded: Upgraded) -> io::Result<Self> {
        let upgraded = match upgraded.downcast::<HttpStream>() {
            Ok(parts) => return Self::accepted(parts.io.into_accepted(parts.read_buf)),
            Err(upgraded) => upgraded,
        };
        #[cfg(feature = "axum-serve")]
        // Behind hyper-util's automatic connection (axum::serve) the socket is wrapped once more.
        let upgraded =
            match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded)
            {
                Ok(parts) => return Self::foreign(parts.io.into_inner(), parts.read_buf),
                Err(upgraded) => upgraded,
            };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => Self::foreign(parts.io.into_inner(), parts.read_buf),
            Err(upgraded) => {
                let (read, write) = tokio::io::split(TokioIo::new(upgraded));
                Ok(Self {
                    read: Reader::Stream(read),
                    write: Writer::Stream(write),
                    first_bytes: Bytes::new(),
                })
            }
        }
    }

    /// A socket of our own server. Must run on the runtime that will drive it.
    pub(super) fn accepted(accepted: Accepted) -> io::Result<Self> {
        let (stream, first_bytes) = accepted.into_parts()?;
        Ok(Self::tcp(stream, first_bytes))
    }

    /// A socket that somebody else's server accepted.
    fn foreign(stream: TcpStream, first_bytes: Bytes) -> io::Result<Self> {
        // Registers with the runtime we are on: it may have been accepted on another one.
        let stream = TcpStream::from_std(stream.into_std()?)?;
        // Frames are written whole; waiting for more to send (Nagle) would only delay them.
        stream.set_nodelay(true)?;
        Ok(Self::tcp(stream, first_bytes))
    }

    fn tcp(stream: TcpStream, first_bytes: Bytes) -> Self {
        let (read, write) = stream.into_split();
        Self {
            read: Reader::Tcp(read),
            write: Writer::Tcp(write),
            first_bytes,
        }
    }
}

impl Reader {
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let done = match self {
            Self::Tcp(read) => Pin::new(read).poll_read(cx, &mut buffer),
            Self::Stream(read) => Pin::new(read).poll_read(cx, &mut buffer),
        };
        done.map_ok(|()| buffer.filled().len())
    }
}

impl Writer {
    /// The bare socket, where there is one.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(write) => Some(write.as_ref()),
            Self::Stream(_) => None,
        }
    }

    /// Writes now if the socket takes bytes now; `WouldBlock` otherwise, and always for a stream.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(write) => write.try_write(bytes),
            Self::Stream(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes some of `slices`, or arranges a wake-up for when the transport takes bytes again.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(write) => loop {
                match write.try_write_vectored(slices) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        std::task::ready!(write.as_ref().poll_write_ready(cx))?;
                    }
                    done => return Poll::Ready(done),
                }
            },
            Self::Stream(write) => Pin::new(write).poll_write_vectored(cx, slices),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Stream(write) => Pin::new(write).poll_flush(cx),
        }
    }

    /// Ends the outgoing side; the incoming one stays open until the peer ends it.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(write) => Pin::new(write).poll_shutdown(cx),
            Self::Stream(write) => Pin::new(write).poll_shutdown(cx),
        }
    }

    /// Makes dropping the socket reset it: what the peer never read is not kept in the kernel for it.
    pub(crate) fn reset_on_drop(&self) {
        if let Self::Tcp(write) = self {
            // Where the option cannot be set the socket is gone already.
            let _ = write.as_ref().set_zero_linger();
        }
    }
}
