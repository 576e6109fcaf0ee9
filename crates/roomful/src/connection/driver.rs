//! Reads one WebSocket, answers what the protocol asks, writes what waits, and ends it the way RFC 6455 wants.

use std::cell::RefCell;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, Sleep};

use super::Options;
use super::outbox::SocketSender;
use super::transport::Reader;
use crate::ws::{Decoder, Incoming, Opcode};
use crate::{Close, CloseCode};

/// How long a peer that broke the protocol may take to see our Close before the socket is gone.
const LINGER: Duration = Duration::from_secs(1);

thread_local! {
    /// One buffer for all sockets of a thread: an idle connection owns none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; 64 * 1024].into_boxed_slice());
}

pub(crate) struct Driver {
    sender: SocketSender,
    options: Arc<Options>,
    decoder: Decoder,
    reader: Option<Reader>,
    stage: Stage,
    /// Where [`Stage::Leaving`] leads.
    after_leaving: Stage,
    timer: Option<Pin<Box<Sleep>>>,
    last_heard: Instant,
    pinged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The handshake is not answered yet.
    Connecting,
    /// Messages flow.
    Open,
    /// The peer sent Close, or broke the protocol. The consumer deals with what came before that, then we send ours.
    Leaving,
    /// We sent Close and wait for the peer's.
    Closing,
    /// Both Closes are said: what waits goes out, then TCP ends, ours first (RFC 6455, section 7.1.1).
    Closed,
    /// The peer broke the protocol: our Close goes out, what still came in is thrown away.
    Failed,
    /// All is sent and our side of TCP is shut; waiting for the peer's end, so that no reset overtakes the Close.
    Lingering,
    /// Nothing is left.
    Done,
}

impl Driver {
    pub(crate) fn new(sender: SocketSender, options: Arc<Options>, decoder: Decoder) -> Self {
        Self {
            sender,
            options,
            decoder,
            reader: None,
            stage: Stage::Connecting,
            after_leaving: Stage::Closed,
            timer: None,
            last_heard: Instant::now(),
            pinged: false,
        }
    }

    /// Takes what the socket has. `true` if the consumer has something new to see.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        if self.stage == Stage::Connecting && !self.open() {
            return false;
        }
        let mut news = false;
        while self.reads() {
            let Some(mut reader) = self.reader.take() else {
                break;
            };
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let read = reader.poll_read(cx, scratch);
                if let Poll::Ready(Ok(count @ 1..)) = read {
                    self.hear();
                    news |= self.take(&scratch[..count], cx);
                }
                read
            });
            self.reader = Some(reader);
            match read {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => {
                    self.finish(Close::code(CloseCode::ABNORMAL));
                    return true;
                }
                Poll::Pending => break,
            }
        }
        news
    }

    /// Whether the socket may be read: not while the consumer is behind, so that TCP slows the peer down.
    pub(crate) fn reads(&self) -> bool {
        match self.stage {
            Stage::Open => self.sender.inbound().has_room(),
            Stage::Closing | Stage::Failed | Stage::Lingering => true,
            Stage::Connecting | Stage::Leaving | Stage::Closed | Stage::Done => false,
        }
    }

    /// Writes what waits and keeps the time. Ready when the connection is over.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.stage == Stage::Connecting && !self.open() {
            return Poll::Pending;
        }
        loop {
            let before = self.stage;
            self.notice_close();
            self.notice_told();
            let drained = match self.stage {
                Stage::Connecting => return Poll::Pending,
                Stage::Done => return Poll::Ready(()),
                Stage::Lingering => Poll::Pending,
                _ => self.sender.lock().poll_drain(cx),
            };
            match drained {
                Poll::Ready(Err(_)) => self.finish(Close::code(CloseCode::ABNORMAL)),
                Poll::Ready(Ok(())) => self.poll_end(cx),
                Poll::Pending => {}
            }
            self.poll_timer(cx);
            if self.stage == before {
                return if self.stage == Stage::Done {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                };
            }
            // A new stage may have something to do at once, a wake-up to arrange at least.
            if matches!(self.stage, Stage::Lingering | Stage::Closing) {
                self.poll_read(cx);
            }
        }
    }

    /// All is sent; our side of TCP ends if nothing can follow.
    fn poll_end(&mut self, cx: &mut Context<'_>) {
        let last = matches!(self.stage, Stage::Closed | Stage::Failed);
        if last && self.sender.lock().poll_shutdown(cx).is_ready() {
            match self.stage {
                Stage::Failed => self.enter(Stage::Lingering, LINGER),
                _ => self.finish(Close::code(CloseCode::ABNORMAL)),
            }
        }
    }

    /// The consumer has returned: the connection is closed if nobody else did.
    pub(crate) fn close(&mut self, close: &Close) {
        if self.stage == Stage::Connecting && !self.open() {
            // Never accepted: without a transport there is nobody to tell.
            self.finish(close.clone());
        } else if self.stage == Stage::Leaving {
            self.answer_close();
        } else {
            self.sender.lock().close(close);
        }
    }

    fn open(&mut self) -> bool {
        let Some((reader, first_bytes)) = self.sender.inbound().take_accepted() else {
            return false;
        };
        self.reader = Some(reader);
        self.stage = Stage::Open;
        self.last_heard = Instant::now();
        if let Some(interval) = self.ping_interval() {
            self.set_timer(self.last_heard + jittered(interval));
        }
        // Not the consumer's turn: it is woken for what is new to it.
        self.take(&first_bytes, &mut Context::from_waker(Waker::noop()));
        true
    }

    /// The peer is alive.
    fn hear(&mut self) {
        self.last_heard = Instant::now();
        if std::mem::take(&mut self.pinged)
            && self.stage == Stage::Open
            && let Some(interval) = self.ping_interval()
        {
            self.set_timer(self.last_heard + interval);
        }
    }

    /// How long a silence may last before a ping: it has to leave time for the answer.
    fn ping_interval(&self) -> Option<Duration> {
        let interval = self.options.ping_interval?;
        Some(interval.min(self.options.idle_timeout / 2))
    }

    /// Decodes what was read. `true` if the consumer has something new to see.
    fn take(&mut self, mut bytes: &[u8], cx: &mut Context<'_>) -> bool {
        let mut news = false;
        while matches!(self.stage, Stage::Open | Stage::Closing) {
            match self.decoder.decode(&mut bytes) {
                Ok(None) => break,
                Ok(Some(Incoming::Message(message))) if self.stage == Stage::Open => {
                    let mut inbound = self.sender.inbound();
                    inbound.push(message, cx.waker());
                    news = true;
                }
                // We have said Close already: what the peer still says goes to nobody.
                Ok(Some(Incoming::Message(_) | Incoming::Pong(_))) => {}
                Ok(Some(Incoming::Ping(payload))) => {
                    self.sender.lock().control(Opcode::Pong, &payload)
                }
                Ok(Some(Incoming::Close(close))) => {
                    let close = close.unwrap_or_else(|| Close::code(CloseCode::NO_STATUS));
                    self.sender.inbound().end(close);
                    self.leave(Stage::Closed, self.options.close_timeout);
                    news = true;
                }
                Err(error) => {
                    self.sender.inbound().end(error.close);
                    self.leave(Stage::Failed, LINGER);
                    news = true;
                }
            }
        }
        news
    }

    /// Somebody sent Close from our side: the consumer hears of it, and the peer has its time to answer. It also hears of
    /// writes that were dropped.
    fn notice_close(&mut self) {
        if self.stage != Stage::Open {
            return;
        }
        let mut outbox = self.sender.lock();
        let (sent, dropped) = (outbox.sent_close().cloned(), outbox.take_dropped_writes());
        drop(outbox);
        if dropped > 0 {
            self.sender.inbound().lag(dropped);
        }
        if let Some(close) = sent {
            self.sender.inbound().end(close);
            self.enter(Stage::Closing, self.options.close_timeout);
        }
    }

    /// Nothing more comes from the peer. If our Close is not said yet, the consumer first deals with what came before.
    fn leave(&mut self, to: Stage, within: Duration) {
        if self.stage == Stage::Open {
            self.after_leaving = to;
            self.enter(Stage::Leaving, within);
        } else {
            self.enter(to, self.options.close_timeout);
        }
    }

    /// The consumer knows how it ended, and what it still had to say is sent.
    fn notice_told(&mut self) {
        if self.stage == Stage::Leaving && self.sender.inbound().is_told() {
            self.answer_close();
        }
    }

    /// Answers the peer's Close with the code that came (RFC 6455, section 5.5.1), and what is no WebSocket with what is
    /// wrong with it.
    fn answer_close(&mut self) {
        let ended = self.sender.inbound().closed();
        let mut close = ended.unwrap_or_else(|| CloseCode::NO_STATUS.into());
        if self.after_leaving == Stage::Closed {
            close = close.code.into();
        }
        self.sender.lock().close(&close);
        self.enter(self.after_leaving, self.options.close_timeout);
    }

    fn enter(&mut self, stage: Stage, within: Duration) {
        self.stage = stage;
        self.set_timer(Instant::now() + within);
    }

    fn set_timer(&mut self, deadline: Instant) {
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(deadline),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(deadline))),
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) {
        while let Some(timer) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            match self.stage {
                Stage::Open => self.keep_alive(),
                Stage::Connecting | Stage::Done => break,
                // The consumer is busy with something else; the peer has waited long enough.
                Stage::Leaving => self.answer_close(),
                Stage::Closing | Stage::Closed | Stage::Failed => {
                    self.abandon(Close::code(CloseCode::ABNORMAL));
                }
                Stage::Lingering => self.finish(Close::code(CloseCode::ABNORMAL)),
            }
        }
    }

    /// Pings a silent peer, and gives up on one that stays silent.
    fn keep_alive(&mut self) {
        let Some(interval) = self.ping_interval() else {
            return;
        };
        if !self.reads() {
            // The consumer is behind, so nothing is read: the silence is ours.
            self.last_heard = Instant::now();
        }
        let silent = self.last_heard.elapsed();
        if silent >= self.options.idle_timeout {
            self.abandon(Close::new(CloseCode::ABNORMAL, "no answer to a ping"));
            return;
        }
        // The first deadline is jittered, so a ping may go out before a full interval of silence; that is harmless.
        if !self.pinged && silent >= interval / 2 {
            let mut outbox = self.sender.lock();
            outbox.control(Opcode::Ping, &[]);
            outbox.flush();
            self.pinged = true;
        }
        let next = if self.pinged {
            self.last_heard + self.options.idle_timeout
        } else {
            self.last_heard + interval
        };
        self.set_timer(next.max(Instant::now() + Duration::from_millis(10)));
    }

    /// The peer had its time. What it did not read is not kept in the kernel for it.
    fn abandon(&mut self, close: Close) {
        if let Some(writer) = self.sender.lock().finish() {
            writer.reset_on_drop();
        }
        self.finish(close);
    }

    fn finish(&mut self, close: Close) {
        self.stage = Stage::Done;
        self.reader = None;
        self.timer = None;
        self.sender.inbound().end(close);
        let writer = self.sender.lock().finish();
        drop(writer);
    }
}

/// Somewhere in the second half of `interval`: the clock's nanoseconds are random enough to keep pings apart.
fn jittered(interval: Duration) -> Duration {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let byte = since_epoch.map_or(0, |time| time.subsec_nanos() % 256);
    interval / 2 + interval / 512 * byte
}
