//! Many sends to many sockets in one system call.
//!
//! A `send` of a chat line costs microseconds, and a good part of that is not the sending: it is entering the kernel, and
//! being put aside on the way out for the reader that was just woken. [`Ring::send_each`] hands the kernel a list of sends
//! at once and comes back when all of them are done. On other systems than Linux, and where `io_uring` is switched off (in
//! many containers), [`Ring::new`] fails and the caller goes on with `send`.
//!
//! Nothing is asynchronous here, so nothing outlives the call: each send is made with `MSG_DONTWAIT`, takes what the
//! socket's buffer takes and is over. That is what makes borrowed buffers safe, and it is why all `unsafe` of Roomful, two
//! lines, is in this crate.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::Ring;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::Ring;
