//! What waits for a thread or a task: bounded in items and bytes, taken many at a time, and closed for good.
//!
//! Full is an error at once: the caller is told to come back, and nobody waits for room.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Id;
use tokio::sync::Notify;

use crate::history::HistoryError;

pub(super) struct Queue<T> {
    /// Guards the list; held for a push or for moving a batch out.
    waiting: Mutex<Waiting<T>>,
    /// Something is there, or nothing ever will be: for threads that take.
    changed: Condvar,
    /// The same, for the one task that takes.
    notified: Notify,
    max_items: usize,
    max_bytes: usize,
}

struct Waiting<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
    taker: Taker,
}

/// What the one who takes is doing, or one of those who do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taker {
    Awake,
    /// It waits for something to come.
    Asleep,
    /// The same, but who pushed from this event loop is about to wake it.
    ToBeWoken(Option<Id>),
}

/// What [`Queue::take`] came back for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Items,
    /// The deadline passed first.
    Nothing,
    /// Closed, and everything that was waiting has been taken.
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new(max_items: usize, max_bytes: usize) -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                items: VecDeque::new(),
                bytes: 0,
                closed: false,
                taker: Taker::Awake,
            }),
            changed: Condvar::new(),
            notified: Notify::new(),
            max_items,
            max_bytes,
        }
    }

    /// Adds `item`, which holds `bytes` of memory.
    pub(super) fn push(&self, item: T, bytes: usize) -> Result<(), HistoryError> {
        self.push_quietly(item, bytes, None)?;
        self.wake();
        Ok(())
    }

    /// Adds `item` and says whether the caller has to [`wake`](Self::wake) the taker. Who pushes next on the same event loop
    /// need not; another loop does not rely on this one. For queues that one thread takes from.
    pub(super) fn push_quietly(
        &self,
        item: T,
        bytes: usize,
        event_loop: Option<Id>,
    ) -> Result<bool, HistoryError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(HistoryError::Closed);
        }
        // One item always fits, however large.
        if waiting.items.len() >= self.max_items
            || (waiting.bytes > 0 && waiting.bytes + bytes > self.max_bytes)
        {
            return Err(HistoryError::Overloaded);
        }
        waiting.bytes += bytes;
        waiting.items.push_back((item, bytes));
        let told = Taker::ToBeWoken(event_loop);
        if waiting.taker == Taker::Awake || waiting.taker == told {
            return Ok(false);
        }
        waiting.taker = told;
        Ok(true)
    }

    /// Wakes the taker.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
        self.notified.notify_one();
    }

    /// Moves up to `limit` items into `batch`, waiting for the first one until `deadline`, or as long as it takes.
    pub(super) fn take(
        &self,
        batch: &mut Vec<T>,
        limit: usize,
        deadline: Option<Instant>,
    ) -> Taken {
        let mut waiting = self.lock();
        while waiting.items.is_empty() {
            if waiting.closed {
                return Taken::Closed;
            }
            waiting.taker = Taker::Asleep;
            waiting =
                match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                    None => self
                        .changed
                        .wait(waiting)
                        .unwrap_or_else(PoisonError::into_inner),
                    Some(left) if left.is_zero() => return Taken::Nothing,
                    Some(left) => {
                        let woken = self.changed.wait_timeout(waiting, left);
                        woken.unwrap_or_else(PoisonError::into_inner).0
                    }
                };
        }
        waiting.move_into(batch, limit);
        Taken::Items
    }

    /// As [`take`](Self::take), for a task. For queues that one task takes from.
    ///
    /// # Cancel safety
    /// Nothing is taken when the wait is cancelled.
    pub(super) async fn take_async(&self, batch: &mut Vec<T>, limit: usize) -> Taken {
        loop {
            {
                let mut waiting = self.lock();
                if !waiting.items.is_empty() {
                    waiting.move_into(batch, limit);
                    return Taken::Items;
                }
                if waiting.closed {
                    return Taken::Closed;
                }
                waiting.taker = Taker::Asleep;
            }
            // A wake-up that comes before this waits for it.
            self.notified.notified().await;
        }
    }

    /// Takes no more items; what is waiting can still be taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
        self.notified.notify_one();
    }

    /// Takes no more items, and throws away what is waiting: nobody will take it.
    pub(super) fn abandon(&self) {
        self.close();
        let items = std::mem::take(&mut self.lock().items);
        drop(items);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Waiting<T> {
    /// The taker is awake and takes up to `limit` items.
    fn move_into(&mut self, batch: &mut Vec<T>, limit: usize) {
        self.taker = Taker::Awake;
        let count = self.items.len().min(limit);
        for (item, bytes) in self.items.drain(..count) {
            self.bytes -= bytes;
            batch.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_full_queue_refuses_at_once_and_takes_again_when_there_is_room() {
        let queue = Queue::new(2, 100);
        queue.push('a', 1).unwrap();
        queue.push('b', 1).unwrap();
        assert!(matches!(queue.push('c', 1), Err(HistoryError::Overloaded)));

        let mut batch = Vec::new();
        assert_eq!(queue.take(&mut batch, 1, None), Taken::Items);
        assert_eq!(batch, ['a']);
        queue.push('c', 1).unwrap();
    }

    #[test]
    fn bytes_are_bounded_but_one_item_always_fits() {
        let queue = Queue::new(10, 100);
        queue.push('a', 500).unwrap();
        assert!(matches!(queue.push('b', 1), Err(HistoryError::Overloaded)));
        assert_eq!(queue.take(&mut Vec::new(), 10, None), Taken::Items);
        queue.push('b', 1).unwrap();
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_then_ends() {
        let queue = Queue::new(10, 100);
        queue.push('a', 1).unwrap();
        queue.close();
        assert!(matches!(queue.push('b', 1), Err(HistoryError::Closed)));

        let mut batch = Vec::new();
        assert_eq!(queue.take(&mut batch, 10, None), Taken::Items);
        assert_eq!(queue.take(&mut batch, 10, None), Taken::Closed);
        assert_eq!(batch, ['a']);
    }

    #[test]
    fn one_on_each_event_loop_is_told_to_wake_the_taker_that_sleeps() {
        let queue = Queue::new(10, 100);
        let loops: Vec<_> = (0..2)
            .map(|_| Builder::new_current_thread().build().unwrap())
            .collect();
        let push = |item, on: usize| {
            let id = Some(loops[on].handle().id());
            queue.push_quietly(item, 1, id).unwrap()
        };
        assert!(!push('a', 0), "nobody takes yet");
        std::thread::scope(|scope| {
            let taking = scope.spawn(|| {
                let mut batch = Vec::new();
                assert_eq!(queue.take(&mut batch, 10, None), Taken::Items);
                assert_eq!(queue.take(&mut batch, 10, None), Taken::Items);
                batch
            });
            while queue.lock().taker != Taker::Asleep {
                std::thread::yield_now();
            }
            assert!(push('b', 0));
            assert!(!push('c', 0));
            assert!(push('d', 1));
            queue.wake();
            assert_eq!(taking.join().unwrap(), ['a', 'b', 'c', 'd']);
        });
    }

    #[test]
    fn what_is_abandoned_is_dropped() {
        let queue = Queue::new(10, 100);
        let item = std::sync::Arc::new(());
        queue.push(std::sync::Arc::clone(&item), 1).unwrap();
        queue.abandon();
        assert_eq!(std::sync::Arc::strong_count(&item), 1);
        assert_eq!(queue.take(&mut Vec::new(), 10, None), Taken::Closed);
    }

    #[test]
    fn a_task_that_takes_is_woken_by_a_push_and_by_the_end() {
        let queue = std::sync::Arc::new(Queue::new(10, 100));
        let taker = std::sync::Arc::clone(&queue);
        let taking = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut batch = Vec::new();
                while taker.take_async(&mut batch, 10).await != Taken::Closed {}
                batch
            })
        });
        for item in ['a', 'b'] {
            while queue.lock().taker != Taker::Asleep {
                std::thread::yield_now();
            }
            queue.push(item, 1).unwrap();
        }
        queue.close();
        assert_eq!(taking.join().unwrap(), ['a', 'b']);
    }

    #[test]
    fn nothing_comes_back_when_the_deadline_is_over() {
        let queue = Queue::<char>::new(10, 100);
        assert_eq!(
            queue.take(&mut Vec::new(), 10, Some(Instant::now())),
            Taken::Nothing
        );
    }
}
