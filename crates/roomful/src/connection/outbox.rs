//! The outgoing side of one WebSocket: written straight to the socket where it takes bytes, queued and bounded where not.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;

use super::inbound::Inbound;
use super::transport::{Transport, Writer};
use crate::ws::{Encoder, frame};
use crate::{Close, CloseCode, Message};

/// What may wait for a peer that does not read, and what happens when it is more.
///
/// What counts is what waits already: one message is taken whatever its size, and the next one finds the peer behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The memory that what waits may take, in bytes. A peer with frames of seven eighths of it waiting is behind when
    /// anything further comes; the rest is what keeping them costs.
    pub max_bytes: usize,
    /// A peer with this many writes waiting is behind too; a batch of frames for a group counts once.
    pub max_writes: usize,
    /// What happens to a peer that is behind.
    pub overflow: Overflow,
}

impl Backlog {
    /// What frames may take of it. The rest is for keeping them: an allocation is larger than what it holds.
    fn frame_bytes(&self) -> usize {
        self.max_bytes - self.max_bytes / 8
    }
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 20,
            max_writes: 4096,
            overflow: Overflow::Close,
        }
    }
}

/// What happens to a peer that is too slow for what it is sent. Nobody else is delayed either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// It is closed with 4008; it may come back and catch up.
    #[default]
    Close,
    /// What waits is dropped, and its consumer is told by [`lagged`](crate::Consumer::lagged).
    Resync,
}

/// A handle that sends to one WebSocket, from anywhere: another task, another thread, a list of connections.
///
/// Sending never waits. What the socket does not take at once is queued within the endpoint's [`Backlog`].
#[derive(Clone)]
pub struct SocketSender {
    shared: Arc<Shared>,
}

struct Shared {
    /// Guards the queue and the socket's writing side, so that frames never interleave.
    outbox: Mutex<Outbox>,
    /// Guards what the driver read and the consumer has not taken yet.
    inbound: Mutex<Inbound>,
    encoder: Encoder,
}

pub(crate) struct Outbox {
    writer: Option<Writer>,
    /// Frames of the consumer's current step; they go out together when the step is over.
    step: BytesMut,
    /// The step waits for what a group is about to write, and goes out in front of that.
    step_is_held: bool,
    /// What the socket has not taken. The front may be the rest of a write that was cut.
    queue: VecDeque<Bytes>,
    queue_bytes: usize,
    front_is_cut: bool,
    /// What groups sent while the consumer was still reading history: it follows after that.
    paused: Option<Box<Paused>>,
    phase: Phase,
    /// The Close we sent.
    sent_close: Option<Box<Close>>,
    backlog: Backlog,
    /// How many writes were dropped by [`Overflow::Resync`] since the driver last asked.
    dropped_writes: u64,
    /// The driver's task, to be woken when something waits for it.
    driver: Option<Waker>,
    /// A consumer that waits for room in the queue.
    sender: Option<Waker>,
}

#[derive(Default)]
struct Paused {
    frames: Vec<Bytes>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not accepted yet: what is sent waits.
    Connecting,
    Open,
    /// Our Close frame is in the queue; nothing may follow it (RFC 6455, section 5.5.1).
    Closing,
    Closed,
}

impl SocketSender {
    pub(crate) fn new(backlog: Backlog, encoder: Encoder) -> Self {
        let outbox = Outbox {
            writer: None,
            step: BytesMut::new(),
            step_is_held: false,
            queue: VecDeque::new(),
            queue_bytes: 0,
            front_is_cut: false,
            paused: None,
            phase: Phase::Connecting,
            sent_close: None,
            backlog,
            dropped_writes: 0,
            driver: None,
            sender: None,
        };
        Self {
            shared: Arc::new(Shared {
                outbox: Mutex::new(outbox),
                inbound: Mutex::default(),
                encoder,
            }),
        }
    }

    /// Sends one message. Does nothing once the connection is closing.
    pub fn send(&self, message: impl Into<Message>) {
        let message = message.into();
        let mut outbox = self.lock();
        outbox.append(&message, self.shared.encoder);
        outbox.flush();
    }

    /// Asks the peer to close; what was sent before goes out first.
    pub fn close(&self, close: &Close) {
        let mut outbox = self.lock();
        outbox.close(close);
        outbox.flush();
        outbox.wake_driver();
    }

    /// Whether the connection is over, or about to be.
    pub fn is_closed(&self) -> bool {
        matches!(self.lock().phase, Phase::Closing | Phase::Closed)
    }

    /// Bytes that wait because the peer does not take them.
    pub fn backlog_bytes(&self) -> usize {
        self.lock().queue_bytes
    }

    /// Whether both handles send to the same connection.
    pub fn same_connection(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// How this connection's messages are written.
    pub(crate) fn encoder(&self) -> Encoder {
        self.shared.encoder
    }

    /// The connection is accepted: the driver, which runs in the same task, will read it, and all may write to it.
    pub(crate) fn open(&self, transport: Transport) {
        self.lock().open(transport.write);
        self.inbound().open(transport.read, transport.first_bytes);
    }

    /// Sends whole frames that others get too, without copying them.
    ///
    /// `choose` is called while nobody else can write to this connection, so that what it looks up and what is written
    /// are one step.
    pub(crate) fn write_shared(&self, choose: impl FnOnce() -> Bytes) {
        let mut outbox = self.lock();
        let frames = choose();
        if frames.is_empty() {
            return;
        }
        if outbox.paused.is_some() {
            outbox.write_paused(frames);
        } else {
            outbox.write(frames);
        }
    }

    /// From now on what groups send is kept back until [`resume`](Self::resume).
    pub(crate) fn pause(&self) {
        let mut outbox = self.lock();
        if outbox.step_is_held {
            outbox.flush();
        }
        outbox.paused.get_or_insert_default();
    }

    /// Keeps the consumer's current step for the write of a group, if `is_due` says that one is coming, and nobody is
    /// writing now. `is_due` is called while nobody else can write to this connection.
    pub(crate) fn hold_step(&self, is_due: impl FnOnce() -> bool) {
        if let Some(mut outbox) = self.try_lock() {
            outbox.step_is_held = outbox.is_straight(0) && !outbox.step.is_empty() && is_due();
        }
    }

    /// Sends what groups sent since [`pause`](Self::pause), after everything the consumer itself sent meanwhile.
    pub(crate) fn resume(&self) {
        let mut outbox = self.lock();
        let paused = outbox.paused.take();
        outbox.flush();
        // They go out together, by the driver's next write.
        for frames in paused.map(|paused| paused.frames).unwrap_or_default() {
            outbox.enqueue(frames);
        }
    }

    /// Queues a message of the consumer's current step; the driver writes when the step is over.
    pub(crate) fn append(&self, message: &Message) {
        self.lock().append(message, self.shared.encoder);
    }

    pub(crate) fn inbound(&self) -> MutexGuard<'_, Inbound> {
        self.shared
            .inbound
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().poll_room(cx)
    }

    pub(crate) fn close_step(&self, close: &Close) {
        self.lock().close(close);
    }

    /// The writing side, unless somebody is using it.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Outbox>> {
        match self.shared.outbox.try_lock() {
            Ok(outbox) => Some(outbox),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.shared
            .outbox
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl std::fmt::Debug for SocketSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let outbox = self.lock();
        f.debug_struct("SocketSender")
            .field("phase", &outbox.phase)
            .field("backlog_bytes", &outbox.queue_bytes)
            .finish()
    }
}

impl Outbox {
    pub(super) fn open(&mut self, writer: Writer) {
        self.writer = Some(writer);
        if self.phase == Phase::Connecting {
            self.phase = Phase::Open;
        }
    }

    pub(super) fn sent_close(&self) -> Option<&Close> {
        self.sent_close.as_deref()
    }

    /// How many writes were dropped since this was asked last.
    pub(super) fn take_dropped_writes(&mut self) -> u64 {
        std::mem::take(&mut self.dropped_writes)
    }

    fn append(&mut self, message: &Message, encoder: Encoder) {
        if matches!(self.phase, Phase::Connecting | Phase::Open) {
            encoder.encode(&mut self.step, message);
        }
    }

    pub(super) fn control(&mut self, opcode: frame::Opcode, payload: &[u8]) {
        /// Answers to a flood of pings go where they are counted: nobody waits for room for them.
        const MAX_STEP: usize = 16 * 1024;
        if self.phase == Phase::Open {
            frame::encode(&mut self.step, opcode, payload);
            if self.step.len() > MAX_STEP {
                self.flush();
            }
        }
    }

    /// Puts a Close frame behind everything else; nothing may follow it.
    pub(super) fn close(&mut self, close: &Close) {
        if matches!(self.phase, Phase::Connecting | Phase::Open) {
            frame::encode_close(&mut self.step, close);
            self.phase = Phase::Closing;
            self.step_is_held = false;
            self.sent_close = Some(Box::new(close.clone()));
        }
    }

    /// Forgets what waits and takes nothing more.
    pub(super) fn finish(&mut self) -> Option<Writer> {
        self.phase = Phase::Closed;
        self.step = BytesMut::new();
        self.queue = VecDeque::new();
        self.queue_bytes = 0;
        self.paused = None;
        self.wake_sender();
        self.writer.take()
    }

    /// Writes frames now if nothing is before them and the socket takes them, else queues the rest of them.
    fn write(&mut self, frames: Bytes) {
        if matches!(self.phase, Phase::Connecting | Phase::Open) {
            let frames = if self.queue.is_empty() && self.shares_a_write(frames.len()) {
                self.behind_step(frames)
            } else {
                self.flush();
                frames
            };
            self.write_or_queue(frames);
        }
    }

    /// Whether so many bytes of frames go out in one write with what the consumer's step left: a copy of them costs less
    /// than a write does.
    fn shares_a_write(&self, bytes: usize) -> bool {
        const MOST: usize = 16 * 1024;
        self.step.is_empty() || bytes <= MOST
    }

    /// What the consumer's step left and `frames` after it, as one write.
    pub(crate) fn behind_step(&mut self, frames: Bytes) -> Bytes {
        self.step_is_held = false;
        if self.step.is_empty() {
            return frames;
        }
        let mut step = std::mem::take(&mut self.step);
        step.extend_from_slice(&frames);
        step.freeze()
    }

    fn write_paused(&mut self, frames: Bytes) {
        let queue_bytes = self.queue_bytes;
        let Some(paused) = &mut self.paused else {
            return;
        };
        let behind = queue_bytes + paused.bytes > self.backlog.frame_bytes()
            || paused.frames.len() >= self.backlog.max_writes;
        paused.bytes += frames.len();
        paused.frames.push(frames);
        if behind {
            self.overflow();
        }
    }

    /// Writes what the consumer's step left, as far as the socket takes it now.
    pub(super) fn flush(&mut self) {
        self.step_is_held = false;
        if !self.step.is_empty() {
            let step = std::mem::take(&mut self.step).freeze();
            self.write_or_queue(step);
        }
    }

    fn write_or_queue(&mut self, frames: Bytes) {
        if self.queue.is_empty() {
            let taken = self.try_write(&frames);
            self.wrote(frames, taken);
        } else {
            self.enqueue(frames);
        }
    }

    /// Whether so many bytes of frames may go to the socket at once: nothing is before them but a step that goes with them,
    /// and nothing keeps them back.
    pub(crate) fn is_straight(&self, bytes: usize) -> bool {
        self.phase == Phase::Open
            && self.queue.is_empty()
            && self.shares_a_write(bytes)
            && self.paused.is_none()
            && self.socket().is_some()
    }

    /// The bare socket, where there is one.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        self.writer.as_ref()?.socket()
    }

    /// The socket took `taken` bytes of `frames`; the rest waits.
    pub(crate) fn wrote(&mut self, mut frames: Bytes, taken: usize) {
        frames.advance(taken);
        self.front_is_cut = taken > 0 && !frames.is_empty();
        if !frames.is_empty() {
            self.enqueue(frames);
        }
    }

    fn try_write(&self, bytes: &[u8]) -> usize {
        match self.writer.as_ref().map(|writer| writer.try_write(bytes)) {
            Some(Ok(written)) => written,
            // A broken socket is the driver's to find: it waits for the rest and gets the error.
            Some(Err(_)) | None => 0,
        }
    }

    fn enqueue(&mut self, frames: Bytes) {
        let behind = self.queue_bytes > self.backlog.frame_bytes()
            || self.queue.len() >= self.backlog.max_writes;
        self.queue_bytes += frames.len();
        self.queue.push_back(frames);
        self.wake_driver();
        if behind && matches!(self.phase, Phase::Connecting | Phase::Open) {
            self.overflow();
        }
    }

    /// The peer is too far behind. What waits is dropped, save the rest of a frame it has begun to get.
    fn overflow(&mut self) {
        let dropped = self.queue.len()
            + self.paused.as_ref().map_or(0, |paused| paused.frames.len())
            - usize::from(self.front_is_cut);
        self.queue.truncate(usize::from(self.front_is_cut));
        self.queue_bytes = self.queue.iter().map(Bytes::len).sum();
        match self.backlog.overflow {
            Overflow::Close => {
                self.paused = None;
                self.close(&Close::new(
                    CloseCode::SLOW,
                    "too slow, come back and catch up",
                ));
                let close = std::mem::take(&mut self.step).freeze();
                self.queue_bytes += close.len();
                self.queue.push_back(close);
            }
            Overflow::Resync => {
                if let Some(paused) = &mut self.paused {
                    **paused = Paused::default();
                }
                self.dropped_writes += dropped as u64;
            }
        }
        self.wake_driver();
    }

    /// Writes until nothing waits. Pending while the peer takes no bytes.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It is running: what the flush leaves over is its next work anyway.
        let driver = self.driver.take();
        if !self.step_is_held {
            self.flush();
        }
        self.driver = driver
            .filter(|waker| waker.will_wake(cx.waker()))
            .or_else(|| Some(cx.waker().clone()));
        let drained = self.poll_write_queue(cx);
        if self.has_room() {
            self.wake_sender();
        }
        drained
    }

    fn poll_write_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        /// Slices given to one write: enough to fill a socket buffer with chat lines, few enough for the stack.
        const SLICES: usize = 32;
        let Some(writer) = &mut self.writer else {
            return Poll::Ready(Ok(()));
        };
        while !self.queue.is_empty() {
            let mut slices = [io::IoSlice::new(&[]); SLICES];
            let count = self
                .queue
                .iter()
                .zip(&mut slices)
                .map(|(bytes, slice)| *slice = io::IoSlice::new(bytes))
                .count();
            let mut written = std::task::ready!(writer.poll_write(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.queue_bytes -= written;
            while written > 0 {
                let Some(front) = self.queue.front_mut() else {
                    break;
                };
                if written >= front.len() {
                    written -= front.len();
                    self.front_is_cut = false;
                    self.queue.pop_front();
                } else {
                    front.advance(written);
                    self.front_is_cut = true;
                    written = 0;
                }
            }
        }
        if self.queue.capacity() > 16 {
            self.queue = VecDeque::new();
        }
        writer.poll_flush(cx)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.writer {
            Some(writer) => writer.poll_shutdown(cx).map(|_| ()),
            None => Poll::Ready(()),
        }
    }

    /// Ready once there is room for more; the consumer's own sends wait for that, groups never do.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        self.sender = Some(cx.waker().clone());
        // Whoever waits for room does not wait for a group: the driver, which runs next, makes it.
        self.step_is_held = false;
        Poll::Pending
    }

    /// Whether no more waits than half of what may, or nothing will be sent any more.
    fn has_room(&self) -> bool {
        let bytes = self.queue_bytes + self.step.len();
        self.phase != Phase::Open
            || bytes <= self.backlog.max_bytes / 2
                && self.queue.len() <= self.backlog.max_writes / 2
    }

    fn wake_driver(&mut self) {
        if let Some(waker) = &self.driver {
            waker.wake_by_ref();
        }
    }

    fn wake_sender(&mut self) {
        if let Some(waker) = self.sender.take() {
            waker.wake();
        }
    }
}
