//! Members who went and may come back: a room's one task waits until the grace of the next one is over.
//!
//! When a thousand leave at once that is a thousand entries of a queue, and no more timers or tasks than one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Room;
use crate::protocol::ServerMessage;

/// Who has left a room and still counts as there. As many at most as left within a grace.
#[derive(Default)]
pub(super) struct Departures {
    /// Guards who is waited for, the next one first, and whether the task that waits is there.
    queue: Mutex<Queue>,
    /// Somebody's grace ends before those that are waited for.
    sooner: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: BinaryHeap<Reverse<Departure>>,
    running: bool,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Departure {
    until: Instant,
    member: Arc<str>,
    /// Which departure of the member it is.
    number: u64,
}

impl Departures {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// A member's last connection went: the member has left when `grace` is over, unless somebody comes back by then.
    pub(super) fn depart(self: &Arc<Self>, member: Arc<str>, number: u64, grace: Duration) {
        if grace.is_zero() {
            self.let_go(&member, number);
            return;
        }
        let until = Instant::now() + grace;
        let mut queue = self.departures.lock();
        let next = queue.waiting.peek();
        let is_next = next.is_none_or(|Reverse(next)| until < next.until);
        queue.waiting.push(Reverse(Departure {
            until,
            member,
            number,
        }));
        if !std::mem::replace(&mut queue.running, true) {
            // The room's own runtime: this may run on a thread that has none, or is about to end.
            drop(self.home.handle().spawn(Arc::clone(self).see_off()));
        } else if is_next {
            self.departures.sooner.notify_one();
        }
    }

    /// Waits for graces to be over, until nobody is waited for.
    async fn see_off(self: Arc<Self>) {
        while let Some(until) = self.next_departure() {
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.departures.sooner.notified() => {}
            }
        }
    }

    /// Lets go of those whose grace is over; says when that of the next one is. `None` ends the task.
    fn next_departure(&self) -> Option<Instant> {
        let now = Instant::now();
        loop {
            let mut queue = self.departures.lock();
            let Some(Reverse(next)) = queue.waiting.peek() else {
                // What it took when everybody left at once is not kept.
                *queue = Queue::default();
                return None;
            };
            if next.until > now {
                return Some(next.until);
            }
            let gone = queue.waiting.pop();
            drop(queue);
            if let Some(Reverse(gone)) = gone {
                self.let_go(&gone.member, gone.number);
            }
        }
    }

    /// The member has left, unless somebody came back since.
    fn let_go(&self, member: &str, number: u64) {
        if let Some(member) = self.presence.gone(member, number) {
            self.announce(&ServerMessage::Left { member });
        }
    }
}
