//! Who is here: one member may have several connections, on several nodes, and is here as long as one of them is, and a
//! little longer.
//!
//! A [`Presence`] is one room's members, wherever they are. What changes in it here goes into [`Changes`], for the other
//! nodes; what they tell (`gossip`) comes in by [`Presence::here_elsewhere`] and [`Presence::gone_elsewhere`].

pub mod gossip;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::AHashMap;
use tokio::sync::Notify;

use crate::counters::Counters;
use crate::protocol::{Member, RoomName};
use gossip::Change;

/// The members of one room.
#[derive(Debug, Default)]
pub struct Presence {
    /// Guards who is here.
    here: Mutex<AHashMap<Arc<str>, Here>>,
    /// Where changes are told, if there are other nodes.
    told: Option<(RoomName, Arc<Changes>)>,
    /// Where members on this node are counted.
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Here {
    name: Arc<str>,
    connections: usize,
    /// Counts departures, so that an old one's grace does not end a new one's.
    departures: u64,
    /// Whether the member is on this node, or was just now.
    local: bool,
    /// The other nodes the member is on.
    elsewhere: Vec<Arc<str>>,
}

/// What has changed on this node and was not told to the others yet: of each member in each room the last state, so that it
/// never holds more than there are members.
#[derive(Debug, Default)]
pub struct Changes {
    /// Guards what has changed.
    waiting: Mutex<AHashMap<Who, Option<Arc<str>>>>,
    changed: Notify,
}

/// A member in a room.
type Who = (RoomName, Arc<str>);

impl Changes {
    fn add(&self, room: &RoomName, id: &Arc<str>, name: Option<&Arc<str>>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert((room.clone(), Arc::clone(id)), name.cloned());
        drop(waiting);
        self.changed.notify_one();
    }

    /// Waits until something has changed since [`take`](Self::take).
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What has changed.
    pub fn take(&self) -> Vec<Change> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = std::mem::take(&mut *waiting).into_iter();
        changes
            .map(|((room, id), name)| Change { room, id, name })
            .collect()
    }
}

/// What a connection's coming changes.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The member was not here.
    Joined,
    /// The member has another connection, or came back in time; under another name than before, if one is given.
    Known {
        /// The name the member had.
        was: Arc<str>,
    },
    /// The member was not here, and there is no place for another one.
    Full,
}

/// What another node's word changes.
#[derive(Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// The member was not here.
    Joined(Member),
    /// The member is called something else now.
    Renamed(Member, Arc<str>),
    /// The member was nowhere else.
    Left(Member),
}

impl Presence {
    /// A room's members, counted; their changes are told to other nodes, if there are any.
    pub fn new(told: Option<(RoomName, Arc<Changes>)>, counters: Arc<Counters>) -> Self {
        Self {
            here: Mutex::default(),
            told,
            counters,
        }
    }

    /// A connection of `member` comes, into a room of at most `places` members.
    pub fn arrive(&self, member: &Member, places: usize) -> Arrival {
        let mut here = self.lock();
        let full = here.len() >= places;
        let (arrival, news) = match here.get_mut(&member.id) {
            Some(known) => {
                known.connections += 1;
                let was = std::mem::replace(&mut known.name, Arc::clone(&member.name));
                let came = !std::mem::replace(&mut known.local, true);
                if came {
                    self.counters.member_came();
                }
                let news = came || was != member.name;
                (Arrival::Known { was }, news)
            }
            None if full => return Arrival::Full,
            None => {
                let known = Here {
                    name: Arc::clone(&member.name),
                    connections: 1,
                    departures: 0,
                    local: true,
                    elsewhere: Vec::new(),
                };
                here.insert(Arc::clone(&member.id), known);
                self.counters.member_came();
                (Arrival::Joined, true)
            }
        };
        if news {
            self.tell(&member.id, Some(&member.name));
        }
        arrival
    }

    /// A connection of `id` goes. If it was the last one, says which departure it is, for [`gone`](Self::gone).
    pub fn depart(&self, id: &str) -> Option<u64> {
        let mut here = self.lock();
        let known = here.get_mut(id)?;
        known.connections = known.connections.saturating_sub(1);
        known.departures += 1;
        (known.connections == 0).then_some(known.departures)
    }

    /// The grace of a departure is over: removes the member if nobody came back since. Says who has left altogether.
    pub fn gone(&self, id: &str, departure: u64) -> Option<Member> {
        let mut here = self.lock();
        let known = here.get_mut(id)?;
        if known.connections > 0 || known.departures != departure {
            return None;
        }
        if std::mem::replace(&mut known.local, false) {
            self.counters.member_left();
        }
        let stays = !known.elsewhere.is_empty();
        let (id, _) = here.get_key_value(id)?;
        let id = Arc::clone(id);
        self.tell(&id, None);
        if stays {
            return None;
        }
        let name = here.remove(&id)?.name;
        Some(Member { id, name })
    }

    /// Gives a member another name; says the old one if it differs.
    pub fn rename(&self, member: &Member) -> Option<Arc<str>> {
        let mut here = self.lock();
        let known = here.get_mut(&member.id)?;
        let was = std::mem::replace(&mut known.name, Arc::clone(&member.name));
        if was == member.name {
            return None;
        }
        self.tell(&member.id, Some(&member.name));
        Some(was)
    }

    /// Another node says that a member is there.
    pub fn here_elsewhere(&self, node: &Arc<str>, member: &Member) -> Option<Elsewhere> {
        let mut here = self.lock();
        let Some(known) = here.get_mut(&member.id) else {
            let known = Here {
                name: Arc::clone(&member.name),
                connections: 0,
                departures: 0,
                local: false,
                elsewhere: vec![Arc::clone(node)],
            };
            here.insert(Arc::clone(&member.id), known);
            return Some(Elsewhere::Joined(member.clone()));
        };
        if !known.elsewhere.contains(node) {
            known.elsewhere.push(Arc::clone(node));
        }
        let was = std::mem::replace(&mut known.name, Arc::clone(&member.name));
        (was != member.name).then(|| Elsewhere::Renamed(member.clone(), was))
    }

    /// Another node says that a member is no longer there, or is gone itself.
    pub fn gone_elsewhere(&self, node: &str, id: &str) -> Option<Elsewhere> {
        let mut here = self.lock();
        let known = here.get_mut(id)?;
        known.elsewhere.retain(|elsewhere| &**elsewhere != node);
        if known.local || !known.elsewhere.is_empty() {
            return None;
        }
        let (id, known) = here.remove_entry(id)?;
        let name = known.name;
        Some(Elsewhere::Left(Member { id, name }))
    }

    /// Under the lock, so that the other nodes hear of changes in their order.
    fn tell(&self, id: &Arc<str>, name: Option<&Arc<str>>) {
        if let Some((room, changes)) = &self.told {
            changes.add(room, id, name);
        }
    }

    /// How many members are here.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// What a member is called here.
    pub fn name_of(&self, id: &str) -> Option<Arc<str>> {
        self.lock().get(id).map(|here| Arc::clone(&here.name))
    }

    /// The members, by name, at most `limit` of them.
    pub fn members(&self, limit: usize) -> Vec<Member> {
        let here = self.lock();
        let mut members: Vec<_> = here
            .iter()
            .map(|(id, here)| Member {
                id: Arc::clone(id),
                name: Arc::clone(&here.name),
            })
            .collect();
        drop(here);
        members.sort_unstable_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        members.truncate(limit);
        members
    }

    fn lock(&self) -> MutexGuard<'_, AHashMap<Arc<str>, Here>> {
        self.here
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_room_takes_its_own_members_back() {
        let presence = Presence::default();
        let ben = Member {
            id: "m-2".into(),
            name: "Ben".into(),
        };
        presence.arrive(&ana(), 1);
        assert_eq!(presence.arrive(&ben, 1), Arrival::Full);
        assert_eq!(
            presence.arrive(&ana(), 1),
            Arrival::Known { was: "Ana".into() }
        );
        assert_eq!(presence.count(), 1);
    }

    fn ana() -> Member {
        Member {
            id: "m-1".into(),
            name: "Ana".into(),
        }
    }

    #[test]
    fn a_member_on_two_nodes_is_one_member_until_both_are_left() {
        let changes = Arc::new(Changes::default());
        let room = RoomName::parse("x").unwrap();
        let presence = Presence::new(Some((room.clone(), Arc::clone(&changes))), Arc::default());
        let node = Arc::from("n-2");
        assert_eq!(
            presence.here_elsewhere(&node, &ana()),
            Some(Elsewhere::Joined(ana()))
        );
        assert!(
            changes.take().is_empty(),
            "what others say is not told to them"
        );

        assert_eq!(
            presence.arrive(&ana(), 0),
            Arrival::Known { was: "Ana".into() }
        );
        assert_eq!(presence.count(), 1);
        let told = |name: Option<&str>| Change {
            room: room.clone(),
            id: "m-1".into(),
            name: name.map(Arc::from),
        };
        assert_eq!(changes.take(), [told(Some("Ana"))]);
        let departure = presence.depart("m-1").unwrap();
        assert_eq!(
            presence.gone("m-1", departure),
            None,
            "still on the other node"
        );
        assert_eq!(changes.take(), [told(None)]);
        assert_eq!(
            presence.gone_elsewhere("n-2", "m-1"),
            Some(Elsewhere::Left(ana()))
        );
        assert_eq!(presence.count(), 0);
    }

    #[test]
    fn two_tabs_are_one_member_and_a_reload_is_no_departure() {
        let presence = Presence::default();
        assert_eq!(presence.arrive(&ana(), 1), Arrival::Joined);
        assert_eq!(
            presence.arrive(&ana(), 1),
            Arrival::Known { was: "Ana".into() }
        );
        assert_eq!(presence.depart("m-1"), None);
        let departure = presence.depart("m-1").unwrap();
        presence.arrive(&ana(), 1);
        assert_eq!(presence.gone("m-1", departure), None);
        let later = presence.depart("m-1").unwrap();
        assert_eq!(
            presence.gone("m-1", departure),
            None,
            "an old grace ends no new presence"
        );
        assert_eq!(presence.gone("m-1", later), Some(ana()));
        assert_eq!(presence.count(), 0);
    }
}
