//! Systems without `io_uring`.

use std::convert::Infallible;
use std::io;

/// A ring that cannot be had on this system.
#[derive(Debug)]
pub struct Ring(Infallible);

impl Ring {
    /// Always fails here.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`].
    pub fn new(_entries: u32) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Cannot be called here.
    pub fn send_each<S>(
        &mut self,
        _messages: &[(S, &[u8])],
        _sent: impl FnMut(usize, io::Result<usize>),
    ) {
        match self.0 {}
    }
}
