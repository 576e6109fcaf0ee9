//! What touches the wire: the WebSocket handshake, frames, the decoder and compression (RFC 6455, RFC 7692).
//!
//! Sans-I/O: nothing here reads a socket, knows a clock or a runtime. Bytes go in, [`Incoming`] items come out; what is
//! to be sent is appended to a buffer by the functions in [`frame`]. A connection that is idle costs one [`Decoder`],
//! about a hundred bytes, and no buffer.
//!
//! ```
//! use bytes::BytesMut;
//! use roomful::Message;
//! use roomful::ws::{Decoder, Incoming, Role, frame};
//!
//! let mut wire = BytesMut::new();
//! frame::encode_message(&mut wire, &Message::text("hello"));
//!
//! let mut decoder = Decoder::new(Role::Client, 64 * 1024);
//! let mut input = &wire[..];
//! let item = decoder.decode(&mut input)?;
//! assert_eq!(item, Some(Incoming::Message(Message::text("hello"))));
//! assert_eq!(decoder.decode(&mut input)?, None);
//! # Ok::<(), roomful::ws::ProtocolError>(())
//! ```

#[cfg(feature = "deflate")]
pub mod compression;
mod encoder;
mod error;
#[cfg(feature = "deflate")]
mod extensions;
pub mod frame;
pub mod handshake;
mod protocol;
#[cfg(test)]
mod tests;
mod token;

pub use encoder::Encoder;
pub use error::ProtocolError;
pub use frame::Opcode;
pub use protocol::{Decoder, Incoming, Role};
