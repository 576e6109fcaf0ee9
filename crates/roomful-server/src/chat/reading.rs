//! Reading a room's log: what a reader missed, page by page, and what a feed itself missed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{Activity, Chat, Reader, Room};
use crate::feed::{Entry, Tail};
use crate::refusal::Refusal;

/// How often the positions of all feeds are compared with the log's: once for a room, however many members it has.
const POSITION_CHECK: Duration = Duration::from_secs(5);
/// How long an event may be late before it is read from the log: two nodes that speak in one room overtake each other all
/// the time.
const LATE: Duration = Duration::from_millis(20);
/// How often the log is read for an event that it does not have; then the next comparison of positions goes on.
const READS: usize = 40;
/// Rooms whose positions are compared by one question.
const COMPARED: usize = 1_000;
/// Events on the newest page, for a reader whose position is not known.
pub const NEWEST_PAGE: usize = 50;

/// One answer to "everything after 41".
#[derive(Debug)]
pub struct Page {
    /// Whether it follows the reader's position; else it is the newest page.
    pub recovered: bool,
    /// The position after this page: what to ask for next.
    pub seq: u64,
    /// The newest number there is.
    pub head: u64,
    /// The events, in order.
    pub events: Vec<Entry>,
}

/// A reader's position in a room's log.
#[derive(Clone, Debug, Default)]
pub struct Position {
    /// The last number the reader has.
    pub after: Option<u64>,
    /// The numbering it belongs to; a reader that names none means ours.
    pub epoch: Option<String>,
}

impl Chat {
    /// Sees to it that the feed has what a reader has already, who comes from another node and may have heard there what has
    /// not come here yet.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn reach(&self, reader: &Reader, position: &Position) -> Result<(), Refusal> {
        let room = &reader.room;
        // A node alone has made all there is.
        let (Some(_), Some(after)) = (self.node(), position.after) else {
            return Ok(());
        };
        if after > room.feed.head() && self.is_of_this_log(position) {
            let head = self.inner.history.head(&room.name).await?;
            self.read_until(room, after.min(head)).await;
        }
        Ok(())
    }

    fn is_of_this_log(&self, position: &Position) -> bool {
        match (self.inner.history.epoch(), &position.epoch) {
            (Some(ours), Some(theirs)) => *ours == **theirs,
            (ours, _) => ours.is_some(),
        }
    }

    /// What a reader gets first that comes with `position` to a log that ends at `head`: all it missed, or the newest page
    /// where that is not known or too much.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn catch_up(
        &self,
        reader: &Reader,
        position: &Position,
        head: u64,
    ) -> Result<Page, Refusal> {
        let most = self.inner.limits.page_max as u64;
        let until = |after: u64| (head - after <= most).then_some(head);
        self.read(reader, position, head, NEWEST_PAGE, until).await
    }

    /// One page of the log after a position, or the newest page where that position is not known.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn page(
        &self,
        reader: &Reader,
        position: &Position,
        limit: usize,
    ) -> Result<Page, Refusal> {
        self.reach(reader, position).await?;
        let head = reader.room.feed.head();
        let until = |after: u64| Some(head.min(after.saturating_add(limit as u64)));
        self.read(reader, position, head, NEWEST_PAGE.min(limit), until)
            .await
    }

    /// What follows a position, as far as `until` says for it; else the `newest` events.
    async fn read(
        &self,
        reader: &Reader,
        position: &Position,
        head: u64,
        newest: usize,
        until: impl Fn(u64) -> Option<u64>,
    ) -> Result<Page, Refusal> {
        let Reader { access, room } = reader;
        self.may(access, Activity::Read)?;
        if !self.is_numbered() {
            return Ok(Page {
                recovered: false,
                seq: 0,
                head: 0,
                events: Vec::new(),
            });
        }
        if let Some(after) = position.after.filter(|after| *after <= head)
            && self.is_of_this_log(position)
            && let Some(until) = until(after)
        {
            let events = self.events_between(room, after, until).await?;
            // Fewer than there were numbers given: the log no longer has all of them.
            if events.len() as u64 == until - after {
                return Ok(Page {
                    recovered: true,
                    seq: until,
                    head,
                    events,
                });
            }
        }
        let after = head.saturating_sub(newest as u64);
        let events = self.events_between(room, after, head).await?;
        Ok(Page {
            recovered: false,
            seq: head,
            head,
            events,
        })
    }

    /// The events `after+1..=head`, as many of them as are kept.
    async fn events_between(
        &self,
        room: &Room,
        after: u64,
        head: u64,
    ) -> Result<Vec<Entry>, Refusal> {
        if after >= head {
            return Ok(Vec::new());
        }
        let wanted = (head - after) as usize;
        if let Tail::Complete(entries) = room.feed.tail_after(after, wanted) {
            return Ok(entries);
        }
        let page = self.inner.history.after(&room.name, after, wanted).await?;
        Ok(page
            .events
            .into_iter()
            .filter(|event| event.seq <= head)
            .map(Entry::from)
            .collect())
    }

    /// Keeps feeds complete: reads from the log what one of them misses, as soon as it is late, and compares all positions
    /// with the log now and then. Never ends; dropping it is safe at any time.
    pub async fn fill_gaps(self) {
        let mut check = tokio::time::interval(POSITION_CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.inner.rooms.gap.notified() => tokio::time::sleep(LATE).await,
                _ = check.tick() => if self.is_numbered() {
                    self.compare_positions().await;
                }
            }
            for room in self.inner.rooms.all() {
                if let Some(until) = room.feed.gap() {
                    self.read_until(&room, until).await;
                }
            }
        }
    }

    /// Finds feeds that are behind the log without knowing it.
    async fn compare_positions(&self) {
        let mut rooms = self.inner.rooms.all();
        rooms.retain(|room| room.started.initialized());
        for rooms in rooms.chunks(COMPARED) {
            let names: Vec<_> = rooms.iter().map(|room| room.name.clone()).collect();
            // A log that cannot be read now is asked again next time.
            let heads = self.inner.history.heads(&names).await;
            for (room, head) in rooms.iter().zip(heads.unwrap_or_default()) {
                self.read_until(room, head).await;
            }
        }
    }

    /// Offers a feed the log's events up to a number that is known to be given.
    async fn read_until(&self, room: &Room, until: u64) {
        for _ in 0..READS {
            let head = room.feed.head();
            if head >= until {
                return;
            }
            let limit = self.inner.limits.page_max;
            match self.inner.history.after(&room.name, head, limit).await {
                Ok(page) if page.first > head + 1 => room.feed.skip_to(page.first - 1),
                Ok(page) => {
                    for event in &page.events {
                        room.feed.offer(event);
                    }
                    let read = room.feed.head() - head;
                    self.inner
                        .rooms
                        .gaps_filled
                        .fetch_add(read, Ordering::Relaxed);
                }
                Err(error) => {
                    tracing::warn!(room.name = %room.name, %error, "missing events cannot be read, trying again soon");
                    return;
                }
            }
            if room.feed.head() == head {
                // The log does not have it yet; somebody else's commit is on its way.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        if room.feed.head() < until {
            // Far behind: there is more to read, after the other rooms.
            self.inner.rooms.gap.notify_one();
        }
    }
}
