//! All members of all rooms on one epoll: they come, are read, and go.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::dialect::Dialect;
use crate::member::{Got, Member, Stage};

const TIMER: Token = Token(usize::MAX);
/// Connections that may be on their way at once.
const COMING: usize = 256;
/// Whoever takes longer than this to come or go does not do so at all.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Crowd {
    pub(crate) members: Vec<Member>,
    /// Where the even members are, and the odd ones.
    ports: [u16; 2],
    dialect: Dialect,
    size_bytes: usize,
    poll: Poll,
    events: Option<Events>,
    buffer: Vec<u8>,
    /// Wakes epoll, which counts in milliseconds, in time for the next message of an open loop.
    timer: OwnedFd,
    connected: usize,
    last_read: Instant,
}

impl Crowd {
    pub(crate) fn new(ports: [u16; 2], dialect: Dialect, size_bytes: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)
            .map_err(io::Error::from)
            .context("making a timer")?;
        poll.registry()
            .register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        Ok(Self {
            members: Vec::new(),
            ports,
            dialect,
            size_bytes,
            poll,
            events: Some(Events::with_capacity(4096)),
            buffer: vec![0; 256 * 1024],
            timer,
            connected: 0,
            last_read: Instant::now(),
        })
    }

    /// Whether the members are on two nodes.
    pub(crate) fn is_on_two_nodes(&self) -> bool {
        self.ports[0] != self.ports[1]
    }

    /// Fills the rooms, one after the other.
    pub(crate) fn come(&mut self, rooms: usize, members: usize) -> Result<()> {
        self.members.clear();
        let until = Instant::now() + PATIENCE;
        // Those before it are here, or have been.
        let mut first_coming = 0;
        while first_coming < rooms * members {
            let mut coming = self.members[first_coming..]
                .iter()
                .filter(|member| member.stage != Stage::Here)
                .count();
            while coming < COMING && self.members.len() < rooms * members {
                let index = self.members.len();
                let mut member = Member::connect(
                    self.ports[index % members % 2],
                    self.connected,
                    index / members,
                    index,
                )?;
                self.poll.registry().register(
                    &mut member.stream,
                    Token(index),
                    Interest::READABLE | Interest::WRITABLE,
                )?;
                self.connected += 1;
                self.members.push(member);
                coming += 1;
            }
            self.turn(Duration::from_millis(100), |_, _, _| Ok(()))?;
            while self
                .members
                .get(first_coming)
                .is_some_and(|member| member.stage == Stage::Here)
            {
                first_coming += 1;
            }
            if Instant::now() > until {
                bail!(
                    "{first_coming} of {} members are here after {} s",
                    rooms * members,
                    PATIENCE.as_secs()
                );
            }
        }
        Ok(())
    }

    /// Everybody says goodbye, and waits for the answer.
    pub(crate) fn go(&mut self) -> Result<()> {
        for member in &mut self.members {
            member.leave()?;
        }
        let until = Instant::now() + PATIENCE;
        while self
            .members
            .iter()
            .any(|member| member.stage != Stage::Gone)
        {
            self.turn(Duration::from_millis(100), |_, _, _| Ok(()))?;
            if Instant::now() > until {
                bail!("not everybody could leave within {} s", PATIENCE.as_secs());
            }
        }
        self.members.clear();
        Ok(())
    }

    /// Reads until nothing has come for a while: greetings, comings and goings.
    pub(crate) fn quiet(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        self.last_read = Instant::now();
        while self.last_read.elapsed() < time {
            self.turn(time, |_, _, _| Ok(()))?;
            if Instant::now() > until {
                bail!(
                    "the server did not fall silent within {} s",
                    PATIENCE.as_secs()
                );
            }
        }
        Ok(())
    }

    /// One turn of the loop: everything that has arrived. `got` is told which member got what.
    pub(crate) fn turn(
        &mut self,
        wait: Duration,
        mut got: impl FnMut(&mut Self, usize, Got) -> Result<()>,
    ) -> Result<()> {
        self.set_timer(wait)?;
        let mut events = self
            .events
            .take()
            .expect("a turn is not begun within a turn");
        match self
            .poll
            .poll(&mut events, Some(wait + Duration::from_millis(5)))
        {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        for event in &events {
            let Token(index) = event.token();
            if event.token() != TIMER {
                if event.is_writable() {
                    self.members[index].writable(self.dialect)?;
                }
                if event.is_readable() {
                    self.read(index, &mut buffer, &mut got)?;
                }
            }
        }
        (self.events, self.buffer) = (Some(events), buffer);
        Ok(())
    }

    fn read(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        got: &mut impl FnMut(&mut Self, usize, Got) -> Result<()>,
    ) -> Result<()> {
        while let Some(count) = self.members[index].read(buffer)? {
            self.last_read = Instant::now();
            let mut bytes = &buffer[..count];
            while let Some(what) =
                self.members[index].next(&mut bytes, self.dialect, self.size_bytes)?
            {
                self.members[index].heard += usize::from(what == Got::Message);
                got(self, index, what)?;
            }
            if count < buffer.len() {
                break;
            }
        }
        Ok(())
    }

    fn set_timer(&self, wait: Duration) -> Result<()> {
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let wait = Timespec {
            tv_sec: wait.as_secs() as i64,
            // Zero would switch it off.
            tv_nsec: i64::from(wait.subsec_nanos()).max(1),
        };
        let spec = Itimerspec {
            it_interval: zero,
            it_value: wait,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)
            .map_err(io::Error::from)
            .context("setting the timer")?;
        Ok(())
    }
}
