//! A socket that our own server has accepted, on its way to who lives it: what was read of it before HTTP had it, and whether
//! an event loop knows it already.

use std::io::{self, Write as _};
use std::net::TcpStream as StdTcpStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Handle, Id};

/// An accepted socket, and what was read of it that nobody has taken yet.
pub(crate) struct Accepted {
    stream: Stream,
    read: Bytes,
}

enum Stream {
    /// No event loop knows it.
    Fresh(StdTcpStream),
    /// This event loop does.
    Registered(TcpStream, Id),
}

impl Accepted {
    /// A socket that does not block.
    pub(crate) fn new(stream: StdTcpStream, read: Bytes) -> Self {
        let stream = Stream::Fresh(stream);
        Self { stream, read }
    }

    /// A socket that the event loop this runs on knows already.
    pub(crate) fn registered(stream: TcpStream, read: Bytes) -> Self {
        let stream = Stream::Registered(stream, Handle::current().id());
        Self { stream, read }
    }

    /// What was read, to go on with the rest of it.
    pub(crate) fn read(&mut self) -> &mut Bytes {
        &mut self.read
    }

    /// Writes what the socket takes now.
    ///
    /// # Errors
    /// If the connection is over.
    pub(crate) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &self.stream {
            Stream::Fresh(stream) => (&*stream).write(bytes),
            Stream::Registered(stream, _) => stream.try_write(bytes),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }

    /// The socket, known to the event loop this runs on, and what was read of it.
    ///
    /// # Errors
    /// If the event loop does not take it: there are too many.
    pub(crate) fn into_parts(self) -> io::Result<(TcpStream, Bytes)> {
        let stream = match self.stream {
            Stream::Fresh(stream) => TcpStream::from_std(stream)?,
            Stream::Registered(stream, at) if at == Handle::current().id() => stream,
            Stream::Registered(stream, _) => TcpStream::from_std(stream.into_std()?)?,
        };
        Ok((stream, self.read))
    }

    /// The same for hyper.
    ///
    /// # Errors
    /// As [`into_parts`](Self::into_parts).
    pub(crate) fn into_http(self) -> io::Result<HttpStream> {
        let (stream, read) = self.into_parts()?;
        Ok(HttpStream {
            stream: TokioIo::new(stream),
            read,
            home: Handle::current().id(),
        })
    }
}

/// An accepted socket as hyper has it: a stream that begins with what was read already.
pub(crate) struct HttpStream {
    stream: TokioIo<TcpStream>,
    read: Bytes,
    home: Id,
}

impl HttpStream {
    /// The socket without HTTP, which has left `read_buf` of what it read.
    pub(super) fn into_accepted(self, read_buf: Bytes) -> Accepted {
        let read = match self.read.is_empty() {
            true => read_buf,
            false => BytesMut::from_iter(read_buf.into_iter().chain(self.read)).freeze(),
        };
        let stream = Stream::Registered(self.stream.into_inner(), self.home);
        Accepted { stream, read }
    }
}

impl hyper::rt::Read for HttpStream {
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

impl hyper::rt::Write for HttpStream {
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
