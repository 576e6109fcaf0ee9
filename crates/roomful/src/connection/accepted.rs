//! A socket that our own server has accepted, on its way through HTTP: what was read of it before an event loop knew it,
//! and which one that is.

use std::io;
use std::net::TcpStream as StdTcpStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Handle, Id};

/// An accepted socket. For hyper it is a stream that begins with what was read already.
pub(crate) struct Accepted {
    stream: TokioIo<TcpStream>,
    read: Bytes,
    home: Id,
}

impl Accepted {
    /// Registers the socket with the event loop this runs on.
    ///
    /// # Errors
    /// If the event loop does not take it: there are too many.
    pub(crate) fn new(stream: StdTcpStream, read: Bytes) -> io::Result<Self> {
        Ok(Self::registered(TcpStream::from_std(stream)?, read))
    }

    /// A socket that the event loop this runs on knows already.
    pub(crate) fn registered(stream: TcpStream, read: Bytes) -> Self {
        Self {
            stream: TokioIo::new(stream),
            read,
            home: Handle::current().id(),
        }
    }

    /// The bare socket, registered with the event loop this runs on, and what was read of it, of which HTTP has left
    /// `read_buf`.
    pub(super) fn into_parts(self, read_buf: Bytes) -> io::Result<(TcpStream, Bytes)> {
        let mut stream = self.stream.into_inner();
        if self.home != Handle::current().id() {
            stream = TcpStream::from_std(stream.into_std()?)?;
        }
        let first_bytes = match self.read.is_empty() {
            true => read_buf,
            false => BytesMut::from_iter(read_buf.into_iter().chain(self.read)).freeze(),
        };
        Ok((stream, first_bytes))
    }
}

impl hyper::rt::Read for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let count = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read[..count]);
        self.read.advance(count);
        if self.read.is_empty() {
            // What is empty may still hold what it was cut from.
            self.read = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
