//! Groups: who is in them here, and whom an event goes to.
//!
//! A sender takes a *plan* of the group, a list that is shared with the next senders until somebody joins or leaves, and
//! walks it with no lock held. Making a plan costs about as much as walking it, so a join costs the same in any group.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};

use tokio::time::Instant;

use super::by::{AddressHasher, ByAddress, ByName, Named};
use super::mailbox::Mailbox;
use super::{GroupName, Joined, Left, lock};
use crate::layer::Lane;

/// The groups that have members here.
#[derive(Default)]
pub(super) struct Groups {
    /// Guards the lookup of groups, not who is in them.
    by_name: Mutex<HashSet<ByName<Group>, ahash::RandomState>>,
}

impl Groups {
    pub(super) fn find(&self, name: &str) -> Option<Arc<Group>> {
        lock(&self.by_name)
            .get(name)
            .map(|group| Arc::clone(&group.0))
    }

    pub(super) fn names(&self) -> Vec<GroupName> {
        lock(&self.by_name)
            .iter()
            .map(|group| group.0.name.clone())
            .collect()
    }

    /// Called under the mailbox's lock, so that the two agree on who is where; so are the next two.
    pub(super) fn join(
        &self,
        name: &GroupName,
        mailbox: &Arc<Mailbox>,
        now: Instant,
    ) -> (Arc<Group>, Joined) {
        loop {
            let group = self.find_or_make(name);
            match group.join(mailbox, now) {
                Some(joined) => return (group, joined),
                // Its last member left after it was found, so the next look makes a new one.
                None => self.forget(&group),
            }
        }
    }

    pub(super) fn leave(&self, group: &Arc<Group>, mailbox: &Arc<Mailbox>) -> Left {
        self.settle(group, group.leave(mailbox, None))
    }

    pub(super) fn leave_if_joined_before(
        &self,
        group: &Arc<Group>,
        mailbox: &Arc<Mailbox>,
        limit: Instant,
    ) -> Left {
        self.settle(group, group.leave(mailbox, Some(limit)))
    }

    fn settle(&self, group: &Arc<Group>, left: Left) -> Left {
        if left == Left::Last {
            self.forget(group);
        }
        left
    }

    fn find_or_make(&self, name: &GroupName) -> Arc<Group> {
        let mut groups = lock(&self.by_name);
        if let Some(group) = groups.get(name.as_str()) {
            return Arc::clone(&group.0);
        }
        let group = Arc::new(Group {
            name: name.clone(),
            members: Mutex::default(),
        });
        groups.insert(ByName(Arc::clone(&group)));
        group
    }

    fn forget(&self, group: &Arc<Group>) {
        let mut groups = lock(&self.by_name);
        let same = groups
            .get(group.name.as_str())
            .is_some_and(|known| Arc::ptr_eq(&known.0, group));
        if same {
            groups.remove(group.name.as_str());
        }
    }
}

/// A group with members here.
pub(super) struct Group {
    pub(super) name: GroupName,
    /// Guards who is in the group. A plan is made under it, and walked without.
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    /// One for each lane, and one for the members without. They are as few as there are kinds of consumer in a room.
    shares: Vec<Share>,
    plan: Option<Arc<Plan>>,
    /// The last member left: nobody joins any more, the name is for a new group.
    over: bool,
}

/// The members that have the same lane, with when they joined last.
struct Share {
    lane: Option<Arc<dyn Lane>>,
    members: HashMap<ByAddress<Mailbox>, Instant, AddressHasher>,
}

/// Whom an event goes to.
pub(super) struct Plan {
    pub(super) parts: Vec<Part>,
    /// When the first of the members joined who may fall out of the group by age.
    pub(super) oldest_unowned: Option<Instant>,
}

/// The members that have the same lane.
pub(super) struct Part {
    pub(super) lane: Option<Arc<dyn Lane>>,
    pub(super) len: usize,
    mailboxes: OnceLock<Vec<Arc<Mailbox>>>,
}

impl Part {
    /// The members one by one: listed when the lane first leaves an event to them, which most lanes never do.
    pub(super) fn mailboxes(&self, group: &Group) -> &[Arc<Mailbox>] {
        self.mailboxes.get_or_init(|| {
            let members = lock(&group.members);
            members
                .share(self.lane.as_ref())
                .map_or_else(Vec::new, |i| members.shares[i].mailboxes())
        })
    }
}

impl Named for Group {
    fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl Group {
    /// `None` where the group is over.
    fn join(&self, mailbox: &Arc<Mailbox>, now: Instant) -> Option<Joined> {
        let mut members = lock(&self.members);
        if members.over {
            return None;
        }
        let first = members.shares.is_empty();
        let i = members.share(mailbox.lane()).unwrap_or_else(|| {
            members.shares.push(Share {
                lane: mailbox.lane().cloned(),
                members: HashMap::default(),
            });
            members.shares.len() - 1
        });
        let before = members.shares[i]
            .members
            .insert(ByAddress(Arc::clone(mailbox)), now);
        members.plan = None;
        Some(match before {
            Some(_) => Joined::Again,
            None if first => Joined::First,
            None => Joined::Another,
        })
    }

    /// With a limit, only where the mailbox joined no later.
    fn leave(&self, mailbox: &Arc<Mailbox>, limit: Option<Instant>) -> Left {
        let mut members = lock(&self.members);
        let Some(i) = members.share(mailbox.lane()) else {
            return Left::Absent;
        };
        if !members.shares[i].remove(mailbox, limit) {
            return Left::Absent;
        }
        if members.shares[i].members.is_empty() {
            members.shares.swap_remove(i);
        }
        members.plan = None;
        if members.shares.is_empty() {
            members.over = true;
            return Left::Last;
        }
        Left::Others
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.members)
            .shares
            .iter()
            .map(|share| share.members.len())
            .sum()
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        let mut members = lock(&self.members);
        if let Some(plan) = &members.plan {
            return Arc::clone(plan);
        }
        let plan = Arc::new(Plan {
            parts: members.shares.iter().map(Share::part).collect(),
            oldest_unowned: members.unowned().map(|(_, joined)| joined).min(),
        });
        members.plan = Some(Arc::clone(&plan));
        plan
    }

    /// The members that may fall out by age and joined no later than this.
    pub(super) fn joined_before(&self, limit: Instant) -> Vec<Arc<Mailbox>> {
        lock(&self.members)
            .unowned()
            .filter(|(_, joined)| *joined <= limit)
            .map(|(mailbox, _)| Arc::clone(mailbox))
            .collect()
    }
}

impl Members {
    /// Which of the shares has this lane.
    fn share(&self, lane: Option<&Arc<dyn Lane>>) -> Option<usize> {
        // The data's address tells lanes apart; the same type may have several vtables.
        let address = |lane: &Arc<dyn Lane>| Arc::as_ptr(lane).cast::<()>().addr();
        let wanted = lane.map(address);
        self.shares
            .iter()
            .position(|share| share.lane.as_ref().map(address) == wanted)
    }

    /// The members that are no inbox's own; these have no lane.
    fn unowned(&self) -> impl Iterator<Item = (&Arc<Mailbox>, Instant)> {
        self.share(None)
            .into_iter()
            .flat_map(|i| &self.shares[i].members)
            .filter(|(mailbox, _)| !mailbox.0.is_owned())
            .map(|(mailbox, joined)| (&mailbox.0, *joined))
    }
}

impl Share {
    fn remove(&mut self, mailbox: &Arc<Mailbox>, limit: Option<Instant>) -> bool {
        let key = ByAddress(Arc::clone(mailbox));
        let joined = self.members.get(&key);
        let goes = joined.is_some_and(|joined| limit.is_none_or(|limit| *joined <= limit));
        if goes {
            self.members.remove(&key);
            // A room that was full once should not keep the space for ever.
            if self.members.len() * 8 < self.members.capacity() {
                self.members.shrink_to(self.members.len() * 2);
            }
        }
        goes
    }

    fn part(&self) -> Part {
        let mailboxes = OnceLock::new();
        if self.lane.is_none() {
            mailboxes.get_or_init(|| self.mailboxes());
        }
        Part {
            lane: self.lane.clone(),
            len: self.members.len(),
            mailboxes,
        }
    }

    /// In the order of memory: in that of the map, walking 100,000 members took almost three times as long.
    fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        let members = self.members.keys();
        let mut mailboxes: Vec<_> = members.map(|mailbox| Arc::clone(&mailbox.0)).collect();
        mailboxes.sort_unstable_by_key(Arc::as_ptr);
        mailboxes
    }
}
