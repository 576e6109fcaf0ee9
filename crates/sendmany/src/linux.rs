//! The ring: sends go in, results come out, all within one call.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use io_uring::{IoUring, opcode, types};

/// `MSG_DONTWAIT | MSG_NOSIGNAL` of `linux/socket.h`: take what fits now, and no SIGPIPE for a peer that is gone.
const FLAGS: i32 = 0x40 | 0x4000;

/// A list of sends for the kernel. It belongs to the thread that made it.
///
/// ```
/// # use std::io::{self, Read as _};
/// # use std::net::{TcpListener, TcpStream};
/// # fn main() -> io::Result<()> {
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut reader = TcpStream::connect(listener.local_addr()?)?;
/// let (socket, _) = listener.accept()?;
/// let Ok(mut ring) = sendmany::Ring::new(64) else {
///     return Ok(()); // this system has none: use `send`
/// };
/// ring.send_each(&[(&socket, b"hello, ".as_slice()), (&socket, b"everybody")], |_, sent| {
///     assert!(sent.is_ok());
/// });
/// let mut heard = [0; 16];
/// reader.read_exact(&mut heard)?;
/// assert_eq!(&heard, b"hello, everybody");
/// # Ok(())
/// # }
/// ```
pub struct Ring {
    ring: IoUring,
    entries: usize,
    /// Results of the batch under way; kept for its memory.
    results: Vec<(usize, i32)>,
}

impl Ring {
    /// A ring for batches of `entries` sends; longer lists are sent in several batches.
    ///
    /// # Errors
    /// Where `io_uring` is not there or not allowed, or the process has no descriptor left.
    pub fn new(entries: u32) -> io::Result<Self> {
        let ring = IoUring::builder()
            // One thread submits, and looks for results only after it has: the kernel need not interrupt it.
            .setup_single_issuer()
            .setup_coop_taskrun()
            .dontfork()
            .build(entries)?;
        let entries = ring.params().sq_entries() as usize;
        Ok(Self {
            ring,
            entries,
            results: Vec::new(),
        })
    }

    /// Sends each message to its socket as `send(2)` would that does not wait, in the order of the list, and calls `sent`
    /// with the message's place in the list and how many bytes the socket took.
    ///
    /// `sent` hears of every message exactly once. [`io::ErrorKind::WouldBlock`] is a socket that takes nothing now.
    ///
    /// # Aborts
    /// If the kernel stops answering for sends it has taken, the process ends: the messages are borrowed.
    pub fn send_each<S: AsFd>(
        &mut self,
        messages: &[(S, &[u8])],
        mut sent: impl FnMut(usize, io::Result<usize>),
    ) {
        for (batch, first) in messages
            .chunks(self.entries)
            .zip((0..).step_by(self.entries))
        {
            let mut queue = self.ring.submission();
            for ((socket, bytes), place) in batch.iter().zip(first..) {
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let send = opcode::Send::new(
                    types::Fd(socket.as_fd().as_raw_fd()),
                    bytes.as_ptr(),
                    length,
                )
                .flags(FLAGS)
                .build()
                .user_data(place as u64);
                // SAFETY: the socket and the bytes are borrowed until this function returns, and it does not return
                // before the kernel has answered for this entry (`finish` below), so neither is closed, freed or changed
                // while the kernel uses it. The queue has room: a batch is no longer than it, and it was left empty.
                unsafe { queue.push(&send) }.expect("the queue is as long as a batch");
            }
            drop(queue);
            self.finish(batch.len(), &mut sent);
        }
    }

    /// Gives the queue to the kernel and takes the results of all `count` sends.
    fn finish(&mut self, count: usize, sent: &mut impl FnMut(usize, io::Result<usize>)) {
        self.results.clear();
        while self.results.len() < count {
            let submitted = self.ring.submit_and_wait(count - self.results.len());
            self.results.extend(
                self.ring
                    .completion()
                    .map(|done| (done.user_data() as usize, done.result())),
            );
            match submitted.map_err(|error| error.kind()) {
                // Interrupted by a signal, or short of memory for a moment: the rest is still in the queue.
                Ok(_)
                | Err(
                    io::ErrorKind::Interrupted
                    | io::ErrorKind::ResourceBusy
                    | io::ErrorKind::WouldBlock,
                ) => {}
                // There is no sound way on: the kernel may hold pointers to what our caller is about to free.
                Err(_) => std::process::abort(),
            }
        }
        // Only now, when the kernel holds nothing of ours, does foreign code run: it may panic.
        for (place, result) in self.results.drain(..) {
            let result = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
            sent(place, result);
        }
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("entries", &self.entries)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A ring, or nothing where the system says that there is none.
    fn ring(entries: u32) -> Option<Ring> {
        match Ring::new(entries) {
            Ok(ring) => Some(ring),
            Err(error) => {
                let said = [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported];
                assert!(said.contains(&error.kind()), "{error}");
                eprintln!("io_uring is switched off here ({error}): sends are made one by one");
                None
            }
        }
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, reader)
    }

    #[test]
    fn everybody_gets_theirs_in_order_though_the_list_is_longer_than_the_ring() {
        let pairs: Vec<_> = (0..10).map(|_| pair()).collect();
        let Some(mut ring) = ring(4) else { return };
        let lines: Vec<String> = (0..10).map(|n| format!("line {n};")).collect();
        let messages: Vec<_> = lines
            .iter()
            .flat_map(|line| pairs.iter().map(|(socket, _)| (socket, line.as_bytes())))
            .collect();

        let mut heard = Vec::new();
        ring.send_each(&messages, |place, sent| {
            assert_eq!(sent.unwrap(), messages[place].1.len());
            heard.push(place);
        });

        heard.sort_unstable();
        assert_eq!(heard, (0..100).collect::<Vec<_>>());
        for (socket, mut reader) in pairs {
            drop(socket);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, lines.concat());
        }
    }

    #[test]
    fn a_full_socket_and_a_gone_one_are_told_apart_and_delay_nobody() {
        let (full, _unread) = pair();
        let (gone, peer) = pair();
        let (good, mut reader) = pair();
        gone.shutdown(std::net::Shutdown::Write).unwrap();
        drop(peer);
        let Some(mut ring) = ring(8) else { return };
        let much = vec![0; 64 << 20];
        ring.send_each(&[(&full, &much[..])], |_, sent| {
            assert!(sent.unwrap() < much.len());
        });

        let mut results = Vec::new();
        let messages = [(&full, &b"x"[..]), (&gone, b"y"), (&good, b"z")];
        ring.send_each(&messages, |place, sent| {
            results.push((place, sent.map_err(|error| error.kind())))
        });

        results.sort_unstable_by_key(|(place, _)| *place);
        assert_eq!(results[0].1, Err(io::ErrorKind::WouldBlock));
        assert_eq!(results[1].1, Err(io::ErrorKind::BrokenPipe));
        assert_eq!(results[2].1, Ok(1));
        let mut heard = [0; 1];
        reader.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"z");
    }
}
