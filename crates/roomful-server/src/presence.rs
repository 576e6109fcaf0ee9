//! Who is here: one member may have several connections, and is here as long as one of them is, and a little longer.

use std::sync::{Arc, Mutex, MutexGuard};

use ahash::AHashMap;

use crate::protocol::Member;

/// The members of one room in this process.
#[derive(Debug, Default)]
pub struct Presence {
    /// Guards who is here.
    here: Mutex<AHashMap<Arc<str>, Here>>,
}

#[derive(Debug)]
struct Here {
    name: Arc<str>,
    connections: usize,
    /// Counts departures, so that an old one's grace does not end a new one's.
    departures: u64,
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

impl Presence {
    /// A connection of `member` comes, into a room of at most `places` members.
    pub fn arrive(&self, member: &Member, places: usize) -> Arrival {
        let mut here = self.lock();
        let full = here.len() >= places;
        match here.get_mut(&member.id) {
            Some(known) => {
                known.connections += 1;
                Arrival::Known {
                    was: std::mem::replace(&mut known.name, Arc::clone(&member.name)),
                }
            }
            None if full => Arrival::Full,
            None => {
                let name = Arc::clone(&member.name);
                here.insert(
                    Arc::clone(&member.id),
                    Here {
                        name,
                        connections: 1,
                        departures: 0,
                    },
                );
                Arrival::Joined
            }
        }
    }

    /// A connection of `id` goes. If it was the last one, says which departure it is, for [`gone`](Self::gone).
    pub fn depart(&self, id: &str) -> Option<u64> {
        let mut here = self.lock();
        let known = here.get_mut(id)?;
        known.connections = known.connections.saturating_sub(1);
        known.departures += 1;
        (known.connections == 0).then_some(known.departures)
    }

    /// The grace of a departure is over: removes the member if nobody came back since.
    pub fn gone(&self, id: &str, departure: u64) -> Option<Member> {
        let mut here = self.lock();
        let known = here.get(id)?;
        if known.connections > 0 || known.departures != departure {
            return None;
        }
        let (id, known) = here.remove_entry(id)?;
        Some(Member {
            id,
            name: known.name,
        })
    }

    /// Gives a member another name; says the old one if it differs.
    pub fn rename(&self, member: &Member) -> Option<Arc<str>> {
        let mut here = self.lock();
        let known = here.get_mut(&member.id)?;
        let was = std::mem::replace(&mut known.name, Arc::clone(&member.name));
        (was != member.name).then_some(was)
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
