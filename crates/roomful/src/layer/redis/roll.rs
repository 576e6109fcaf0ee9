//! What Redis is to know of this process on one shard: groups with members here, or channels with listeners.
//!
//! Who changes something says which key it is about; one task per shard compares what should be with what Redis knows, and
//! sets right all that differs in one go. So joins and leaves cannot overtake each other, what piles up is one round trip,
//! and coming back after a failure is the same comparison over everything.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::link::unavailable;
use crate::layer::LayerError;

/// The keys of one shard.
pub(super) struct Roll<K> {
    /// Guards the lists below; what should be is asked for under it.
    state: Mutex<State<K>>,
    wake: Notify,
}

struct State<K> {
    known: HashMap<K, Known>,
    /// No more than there are keys in use or known.
    changed: HashSet<K>,
    waiting: Vec<Waiter>,
}

/// What Redis knows of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Sure,
    /// It may have forgotten it.
    Unsure,
    /// It is told to forget it at the moment.
    Leaving,
}

type Waiter = oneshot::Sender<Result<(), String>>;
type Answer = oneshot::Receiver<Result<(), String>>;

impl<K> State<K> {
    /// Hears how the next round ends.
    fn next_round(&mut self) -> Answer {
        let (waiter, answer) = oneshot::channel();
        self.waiting.push(waiter);
        answer
    }
}

/// What is to be set right, for [`Roll::done`] afterwards.
pub(super) struct Round<K> {
    pub(super) enter: Vec<K>,
    pub(super) leave: Vec<K>,
    waiting: Vec<Waiter>,
}

impl<K> Default for Roll<K> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                known: HashMap::new(),
                changed: HashSet::new(),
                waiting: Vec::new(),
            }),
            wake: Notify::new(),
        }
    }
}

impl<K: Clone + Eq + Hash> Roll<K> {
    /// Something changed about a key; it is looked at soon.
    pub(super) fn changed(&self, key: &K) {
        self.lock().changed.insert(key.clone());
        self.wake.notify_one();
    }

    /// Waits until Redis knows what it should of a key. Costs nothing where it does.
    pub(super) async fn settled(&self, key: &K) -> Result<(), LayerError> {
        let answer = {
            let mut state = self.lock();
            if state.known.get(key) == Some(&Known::Sure) && !state.changed.contains(key) {
                return Ok(());
            }
            state.changed.insert(key.clone());
            state.next_round()
        };
        self.told(answer).await
    }

    /// Waits until Redis knows what it should of every key.
    async fn all_settled(&self) -> Result<(), LayerError> {
        let answer = {
            let mut state = self.lock();
            let State { known, changed, .. } = &mut *state;
            // What a round could not tell waits for Redis to be back, and nothing but that; now it is asked for.
            let open = known.iter().filter(|(_, known)| **known != Known::Sure);
            changed.extend(open.map(|(key, _)| key.clone()));
            state.next_round()
        };
        self.told(answer).await
    }

    async fn told(&self, answer: Answer) -> Result<(), LayerError> {
        self.wake.notify_one();
        match answer.await {
            Ok(result) => result.map_err(unavailable),
            Err(_) => Err(unavailable("the layer was dropped")),
        }
    }

    /// Whether Redis may know of a key.
    pub(super) fn may_know(&self, key: &K) -> bool {
        self.lock().known.contains_key(key)
    }

    /// Redis may have forgotten everything: all it knew, and all of `keys`, is told again.
    pub(super) fn doubt(&self, keys: impl IntoIterator<Item = K>) {
        let mut state = self.lock();
        let State { known, changed, .. } = &mut *state;
        for (key, known) in known {
            *known = Known::Unsure;
            changed.insert(key.clone());
        }
        changed.extend(keys);
        drop(state);
        self.wake.notify_one();
    }

    /// Redis has forgotten everything.
    pub(super) fn forget(&self) {
        self.lock().known.clear();
    }

    /// Waits until something is to be looked at, and says what is to be set right: `wanted` says what should be. Cancel
    /// safe.
    pub(super) async fn round(&self, wanted: impl Fn(&K) -> bool) -> Round<K> {
        loop {
            if let Some(round) = self.take(&wanted) {
                return round;
            }
            self.wake.notified().await;
        }
    }

    fn take(&self, wanted: impl Fn(&K) -> bool) -> Option<Round<K>> {
        let mut state = self.lock();
        if state.changed.is_empty() && state.waiting.is_empty() {
            return None;
        }
        let changed = std::mem::take(&mut state.changed);
        let mut round = Round {
            enter: Vec::new(),
            leave: Vec::new(),
            waiting: std::mem::take(&mut state.waiting),
        };
        for key in changed {
            match (wanted(&key), state.known.get(&key)) {
                (true, Some(Known::Sure)) | (false, None) => {}
                (true, _) => round.enter.push(key),
                (false, Some(_)) => {
                    // From now on a join of it waits for the next round.
                    state.known.insert(key.clone(), Known::Leaving);
                    round.leave.push(key);
                }
            }
        }
        Some(round)
    }

    /// A round is over, well or not.
    pub(super) fn done(&self, round: Round<K>, result: &Result<(), String>) {
        let mut state = self.lock();
        for key in round.leave {
            match result {
                Ok(()) => state.known.remove(&key),
                Err(_) => state.known.insert(key, Known::Unsure),
            };
        }
        if result.is_ok() {
            let sure = round.enter.into_iter().map(|key| (key, Known::Sure));
            state.known.extend(sure);
        }
        drop(state);
        for waiter in round.waiting {
            // Who does not wait any more does not want to know.
            let _ = waiter.send(result.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until Redis knows what it should on every shard.
pub(super) async fn all_settled<K: Clone + Eq + Hash>(rolls: &[Roll<K>]) -> Result<(), LayerError> {
    for roll in rolls {
        roll.all_settled().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(roll: &Roll<u8>, wanted: &[u8]) -> Option<Round<u8>> {
        roll.take(|key| wanted.contains(key))
    }

    /// Redis knows the key 1, which the last one has left, and a round is about to tell that.
    fn leaving() -> (Roll<u8>, Round<u8>) {
        let roll = Roll::default();
        roll.changed(&1);
        let enter = round(&roll, &[1]).unwrap();
        roll.done(enter, &Ok(()));
        roll.changed(&1);
        let leave = round(&roll, &[]).unwrap();
        (roll, leave)
    }

    #[test]
    fn only_what_differs_is_set_right() {
        let roll = Roll::default();
        roll.changed(&1);
        roll.changed(&2);
        let first = round(&roll, &[1]).unwrap();
        assert_eq!((&first.enter[..], &first.leave[..]), (&[1][..], &[][..]));
        roll.done(first, &Ok(()));
        assert!(round(&roll, &[1]).is_none());

        roll.changed(&1);
        let same = round(&roll, &[1]).unwrap();
        assert_eq!((same.enter.len(), same.leave.len()), (0, 0));
        roll.done(same, &Ok(()));

        roll.changed(&1);
        let last = round(&roll, &[]).unwrap();
        assert_eq!(last.leave, [1]);
        assert!(roll.may_know(&1));
        roll.done(last, &Ok(()));
        assert!(!roll.may_know(&1));
    }

    #[test]
    fn who_joins_while_the_last_one_leaves_is_told_again() {
        let (roll, leave) = leaving();

        roll.changed(&1);
        roll.done(leave, &Ok(()));

        assert_eq!(round(&roll, &[1]).unwrap().enter, [1]);
    }

    #[test]
    fn a_failed_round_is_made_up_for_when_redis_is_back() {
        let roll = Roll::default();
        for key in [1, 2] {
            roll.changed(&key);
        }
        let enter = round(&roll, &[1, 2]).unwrap();
        roll.done(enter, &Ok(()));
        roll.changed(&2);
        roll.changed(&3);
        let away = round(&roll, &[1, 3]).unwrap();
        roll.done(away, &Err("away".into()));

        roll.doubt([1, 3]);

        let mut back = round(&roll, &[1, 3]).unwrap();
        back.enter.sort_unstable();
        assert_eq!((&back.enter[..], &back.leave[..]), (&[1, 3][..], &[2][..]));
    }

    #[tokio::test]
    async fn a_wait_ends_with_its_round() {
        let roll = Roll::default();
        let (settled, ()) = tokio::join!(roll.settled(&1), async {
            let round = roll.round(|_| true).await;
            roll.done(round, &Err("away".into()));
        });
        assert!(settled.unwrap_err().is_retryable());

        let (settled, ()) = tokio::join!(roll.settled(&1), async {
            let round = roll.round(|_| true).await;
            roll.done(round, &Ok(()));
        });
        assert!(settled.is_ok());
        assert!(roll.settled(&1).await.is_ok());
    }

    #[tokio::test]
    async fn a_wait_for_everything_is_over_when_what_failed_before_is_told_too() {
        let (roll, leave) = leaving();
        roll.done(leave, &Err("away".into()));

        let (settled, told) = tokio::join!(roll.all_settled(), async {
            let round = roll.round(|_| false).await;
            let told = round.leave.clone();
            roll.done(round, &Ok(()));
            told
        });

        assert!(settled.is_ok());
        assert_eq!(told, [1]);
        assert!(!roll.may_know(&1));
    }
}
