//! Rooms in which members take turns to speak, and what becomes of each message.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::crowd::Crowd;
use crate::dialect::Dialect;
use crate::frames::text_frame;
use crate::histogram::Histogram;
use crate::member::Got;

/// Messages of one room that may be under way.
const RING: usize = 1024;

/// How the next message comes about.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// This many messages of each room are under way: when one has reached everybody, the next is sent.
    Closed { under_way: usize },
    /// This many messages a second over all rooms, whatever comes back.
    Open { messages_per_second: f64 },
    /// No more.
    Ending,
}

pub(crate) struct Talk {
    pub(crate) crowd: Crowd,
    /// Since [`Talk::record`].
    pub(crate) deliveries: u64,
    /// Since the beginning.
    pub(crate) deliveries_in_all: u64,
    /// From the moment a message was sent (closed) or due (open) to its arrival at the last member.
    pub(crate) to_last: Histogram,
    /// Messages that were acknowledged since [`Talk::record`].
    pub(crate) acknowledged: u64,
    /// From the moment a message was sent or due to its acknowledgement, where there is one.
    pub(crate) to_ack: Histogram,
    /// Messages of an open loop that were not sent, because so many others of the room were still under way.
    pub(crate) withheld: u64,
    state: State,
}

/// Apart from the crowd, which is lent out while it is read.
struct State {
    dialect: Dialect,
    members: usize,
    text: String,
    pace: Pace,
    rooms: Vec<Room>,
    /// For each member, when that was sent or due which is not acknowledged yet.
    unacknowledged: Vec<VecDeque<Instant>>,
    recording: bool,
}

struct Room {
    sent: usize,
    done: usize,
    /// For each message under way: how many members have it, and when it was sent or due.
    reached: Vec<(usize, Instant)>,
}

impl Talk {
    /// For a crowd that is here.
    pub(crate) fn new(
        crowd: Crowd,
        dialect: Dialect,
        rooms: usize,
        members: usize,
        size_bytes: usize,
        pace: Pace,
    ) -> Self {
        let room = || Room {
            sent: 0,
            done: 0,
            reached: vec![(0, Instant::now()); RING],
        };
        let state = State {
            dialect,
            members,
            text: "x".repeat(size_bytes),
            pace,
            rooms: (0..rooms).map(|_| room()).collect(),
            unacknowledged: vec![VecDeque::new(); rooms * members],
            recording: false,
        };
        Self {
            crowd,
            deliveries: 0,
            deliveries_in_all: 0,
            to_last: Histogram::default(),
            acknowledged: 0,
            to_ack: Histogram::default(),
            withheld: 0,
            state,
        }
    }

    /// From here on it counts.
    pub(crate) fn record(&mut self) {
        self.state.recording = true;
        (self.deliveries, self.acknowledged) = (0, 0);
    }

    pub(crate) fn run(&mut self, time: Duration) -> Result<()> {
        let begun = Instant::now();
        let until = begun + time;
        match self.state.pace {
            Pace::Closed { under_way } => {
                for room in 0..self.state.rooms.len() {
                    while self.state.under_way(room) < under_way {
                        self.state.say(&mut self.crowd, room, Instant::now())?;
                    }
                }
                while Instant::now() < until {
                    self.turn(Duration::from_millis(20))?;
                }
            }
            Pace::Open {
                messages_per_second,
            } => {
                let due =
                    |nth: u64| begun + Duration::from_secs_f64(nth as f64 / messages_per_second);
                let mut nth = 0;
                while Instant::now() < until {
                    while due(nth) <= Instant::now() {
                        let room = nth as usize % self.state.rooms.len();
                        if self.state.under_way(room) < RING {
                            self.state.say(&mut self.crowd, room, due(nth))?;
                        } else {
                            self.withheld += 1;
                        }
                        nth += 1;
                    }
                    self.turn(due(nth).saturating_duration_since(Instant::now()))?;
                }
            }
            Pace::Ending => {}
        }
        Ok(())
    }

    /// Waits for what is under way, and for what should not come; says how many deliveries are missing or too many.
    pub(crate) fn finish(&mut self) -> Result<u64> {
        self.state.recording = false;
        self.state.pace = Pace::Ending;
        let until = Instant::now() + Duration::from_secs(10);
        while self.state.rooms.iter().any(|room| room.done < room.sent) && Instant::now() < until {
            self.turn(Duration::from_millis(20))?;
        }
        let settled = Instant::now() + Duration::from_millis(100);
        while Instant::now() < settled {
            self.turn(Duration::from_millis(20))?;
        }
        let wrong = |member: &crate::member::Member| {
            self.state.rooms[member.room].sent.abs_diff(member.heard) as u64
        };
        Ok(self.crowd.members.iter().map(wrong).sum())
    }

    fn turn(&mut self, wait: Duration) -> Result<()> {
        let (state, to_last, to_ack) = (&mut self.state, &mut self.to_last, &mut self.to_ack);
        let (mut deliveries, mut acknowledged, recording) = (0, 0, state.recording);
        self.crowd.turn(wait, |crowd, index, got| {
            if got == Got::Acknowledgement {
                acknowledged += 1;
                let since = state.unacknowledged[index].pop_front();
                if let Some(since) = since.filter(|_| recording) {
                    to_ack.record(since.elapsed().as_micros() as u64);
                }
                return Ok(());
            }
            deliveries += 1;
            let member = &crowd.members[index];
            let (number, room) = (member.heard - 1, member.room);
            let (reached, due) = &mut state.rooms[room].reached[number % RING];
            *reached += 1;
            if *reached == state.members {
                if recording {
                    to_last.record(due.elapsed().as_micros() as u64);
                }
                state.rooms[room].done += 1;
                if let Pace::Closed { .. } = state.pace {
                    state.say(crowd, room, Instant::now())?;
                }
            }
            Ok(())
        })?;
        self.deliveries += deliveries;
        self.deliveries_in_all += deliveries;
        self.acknowledged += acknowledged;
        Ok(())
    }
}

impl State {
    fn under_way(&self, room: usize) -> usize {
        self.rooms[room].sent - self.rooms[room].done
    }

    /// The next member of a room says something.
    fn say(&mut self, crowd: &mut Crowd, room: usize, due: Instant) -> Result<()> {
        let number = self.rooms[room].sent;
        self.rooms[room].sent += 1;
        self.rooms[room].reached[number % RING] = (0, due);
        // Messages of two nodes may reach people in different orders, and are told apart by their order alone.
        let turn = match crowd.is_on_two_nodes() {
            true => number % self.members / 2 * 2,
            false => number % self.members,
        };
        let speaker = room * self.members + turn;
        if self.dialect.is_acknowledged() {
            self.unacknowledged[speaker].push_back(due);
        }
        let message = self.dialect.say(room, number, &self.text);
        crowd.members[speaker].write(&text_frame(message.as_bytes()))
    }
}
