//! Who is here on the other nodes: what each node tells the others about its own members. Pure: no clock, no I/O.
//!
//! Each node numbers what it tells, as a room numbers what is said, and the same rule heals everything: whoever misses a
//! number asks, and gets the whole list. A node says with every heartbeat how far it is, so that a lost last change is found
//! too. A node of which nothing is heard for the lease is gone, and its members with it.
//!
//! ```text
//! hello ──▶ all          alive {number} ──▶ whoever said hello, and all, some times in a lease
//! changes {number} ──▶ all            ask ──▶ one            list {number, part, parts} ──▶ whoever asked
//! goodbye {after_ms} ──▶ all: its members have so long to come back elsewhere
//! ```

use std::sync::Arc;
use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::protocol::{Member, RoomName};

/// Members in one message: some tens of kilobytes.
const MEMBERS: usize = 500;
/// How often one node is asked for its list at most.
const ASKING: Duration = Duration::from_secs(1);

/// What nodes tell each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum What {
    /// A node begins; answers go to its channel.
    #[serde(rename = "roomful.hello")]
    Hello {
        /// Where it listens.
        channel: Arc<str>,
    },
    /// A node lives, and has told so much.
    #[serde(rename = "roomful.alive")]
    Alive {
        /// Where it listens.
        channel: Arc<str>,
        /// The number of its last changes.
        number: u64,
    },
    /// Members came, went, or are called something else.
    #[serde(rename = "roomful.changes")]
    Changes {
        /// The number of these changes: from 1, without holes.
        number: u64,
        /// The changes, in order.
        changes: Vec<Change>,
    },
    /// Tell me all your members.
    #[serde(rename = "roomful.ask")]
    Ask {
        /// Where the asker listens.
        channel: Arc<str>,
    },
    /// All members, in parts.
    #[serde(rename = "roomful.list")]
    List {
        /// The number of the last changes that are in it.
        number: u64,
        /// Which part this is, from 0.
        part: usize,
        /// How many there are.
        parts: usize,
        /// Who is here.
        members: Vec<Change>,
    },
    /// A member is typing; nobody minds if this gets lost.
    #[serde(rename = "roomful.typing")]
    Typing {
        /// Where.
        room: RoomName,
        /// Who.
        member: Member,
    },
    /// The node stops.
    #[serde(rename = "roomful.goodbye")]
    Goodbye {
        /// How long its members may take to come back elsewhere, in milliseconds.
        after_ms: u64,
    },
}

impl What {
    /// The `type` of a hello.
    pub const HELLO: &str = "roomful.hello";
}

/// One member in one room: here under a name, or gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where.
    pub room: RoomName,
    /// Who.
    pub id: Arc<str>,
    /// The name; `None` for who is gone.
    pub name: Option<Arc<str>>,
}

/// What follows from something that was heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A member is here on this node, or called something else there.
    Here(Arc<str>, RoomName, Member),
    /// A member is no longer here on this node.
    Gone(Arc<str>, RoomName, Arc<str>),
    /// Somebody is typing.
    Typing(RoomName, Member),
    /// To be told to all nodes.
    ToAll(What),
    /// To be told to whoever listens to a channel.
    To(Arc<str>, What),
}

type Members = AHashMap<(RoomName, Arc<str>), Arc<str>>;

/// What one node has told and heard.
pub struct Gossip {
    channel: Arc<str>,
    lease: Duration,
    /// What the others were told, as of `number`.
    mine: Members,
    number: u64,
    peers: AHashMap<Arc<str>, Peer>,
}

struct Peer {
    heard: Instant,
    /// When it takes its members with it, where it said goodbye.
    leaves: Option<Instant>,
    /// The last changes we have; `None` until we know any list of its.
    number: Option<u64>,
    members: Members,
    asked: Option<Instant>,
    /// A list that has not come whole: its number, its next part, and what it holds so far.
    coming: Option<(u64, usize, Members)>,
}

impl Gossip {
    /// A node that listens to `channel` and takes others for gone that say nothing for the `lease`.
    pub fn new(channel: Arc<str>, lease: Duration) -> Self {
        Self {
            channel,
            lease,
            mine: Members::default(),
            number: 0,
            peers: AHashMap::new(),
        }
    }

    /// This node's members have changed.
    pub fn tell(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<Effect> {
        let mut new = Vec::new();
        for change in changes {
            let key = (change.room.clone(), Arc::clone(&change.id));
            let old = match &change.name {
                Some(name) => self.mine.insert(key, Arc::clone(name)),
                None => self.mine.remove(&key),
            };
            // Who came and went in between, or was told before, is no news.
            if old != change.name {
                new.push(change);
            }
        }
        let messages = new.chunks(MEMBERS).map(|changes| {
            self.number += 1;
            let (number, changes) = (self.number, changes.to_vec());
            Effect::ToAll(What::Changes { number, changes })
        });
        messages.collect()
    }

    /// A heartbeat is due: says that we live, and lets go of nodes that do not. To be called some times in a lease.
    pub fn beat(&mut self, now: Instant, until_next: Duration) -> Vec<Effect> {
        let mut effects = vec![Effect::ToAll(self.alive())];
        // Whose lease ends before the next beat is let go now: nobody stays longer than the lease.
        let lease = self.lease.saturating_sub(until_next);
        let over = |peer: &Peer| {
            now >= peer.heard + lease || peer.leaves.is_some_and(|leaves| now >= leaves)
        };
        let gone: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| over(peer))
            .map(|(node, _)| Arc::clone(node))
            .collect();
        for node in gone {
            if let Some(peer) = self.peers.remove(&node) {
                tracing::info!(node = %node, members = peer.members.len(), "node {node} is gone, and its members with it");
                let members = peer.members.into_keys();
                effects.extend(members.map(|(room, id)| Effect::Gone(Arc::clone(&node), room, id)));
            }
        }
        effects
    }

    /// Another node said something.
    pub fn hear(&mut self, node: &str, what: What, now: Instant) -> Vec<Effect> {
        let known = self.peers.contains_key(node);
        let node: Arc<str> = match self.peers.get_key_value(node) {
            Some((node, _)) => Arc::clone(node),
            None => node.into(),
        };
        let peer = self
            .peers
            .entry(Arc::clone(&node))
            .or_insert_with(|| Peer::new(now));
        peer.heard = now;
        match what {
            What::Hello { channel } => {
                // Who begins has told nothing yet.
                peer.number.get_or_insert(0);
                vec![Effect::To(channel, self.alive())]
            }
            What::Alive { channel, number } => {
                if !known && number == 0 {
                    peer.number = Some(0);
                }
                match peer.number == Some(number) {
                    true => Vec::new(),
                    false => peer.ask(&channel, &self.channel, now),
                }
            }
            What::Changes { number, changes } => peer.change(&node, number, changes),
            What::Ask { channel } => self.list(&channel),
            What::List {
                number,
                part,
                parts,
                members,
            } => peer.take(&node, number, part, parts, members),
            What::Typing { room, member } => vec![Effect::Typing(room, member)],
            What::Goodbye { after_ms } => {
                peer.leaves = Some(now + Duration::from_millis(after_ms));
                Vec::new()
            }
        }
    }

    /// That this node lives.
    pub fn alive(&self) -> What {
        What::Alive {
            channel: Arc::clone(&self.channel),
            number: self.number,
        }
    }

    /// All members of this node, for one that asked.
    fn list(&self, channel: &Arc<str>) -> Vec<Effect> {
        let members: Vec<Change> = self
            .mine
            .iter()
            .map(|((room, id), name)| Change {
                room: room.clone(),
                id: Arc::clone(id),
                name: Some(Arc::clone(name)),
            })
            .collect();
        let parts = members.len().div_ceil(MEMBERS).max(1);
        let part_of = |part: usize| {
            let members = members.chunks(MEMBERS).nth(part).unwrap_or_default();
            What::List {
                number: self.number,
                part,
                parts,
                members: members.to_vec(),
            }
        };
        (0..parts)
            .map(|part| Effect::To(Arc::clone(channel), part_of(part)))
            .collect()
    }
}

impl Peer {
    fn new(now: Instant) -> Self {
        Self {
            heard: now,
            leaves: None,
            number: None,
            members: Members::default(),
            asked: None,
            coming: None,
        }
    }

    fn ask(&mut self, whom: &Arc<str>, me: &Arc<str>, now: Instant) -> Vec<Effect> {
        if self.asked.is_some_and(|asked| now < asked + ASKING) {
            return Vec::new();
        }
        self.asked = Some(now);
        let channel = Arc::clone(me);
        vec![Effect::To(Arc::clone(whom), What::Ask { channel })]
    }

    /// Applies changes that are next. Where some are missing, the next heartbeat says so too, and then the list is asked for.
    fn change(&mut self, node: &Arc<str>, number: u64, changes: Vec<Change>) -> Vec<Effect> {
        if self.number.map(|last| last + 1) != Some(number) {
            return Vec::new();
        }
        self.number = Some(number);
        let mut effects = Vec::new();
        for Change { room, id, name } in changes {
            let key = (room.clone(), Arc::clone(&id));
            match name {
                Some(name) => {
                    self.members.insert(key, Arc::clone(&name));
                    effects.push(Effect::Here(Arc::clone(node), room, Member { id, name }));
                }
                None => {
                    self.members.remove(&key);
                    effects.push(Effect::Gone(Arc::clone(node), room, id));
                }
            }
        }
        effects
    }

    /// Takes a part of the list; with the last one the list is what is known.
    fn take(
        &mut self,
        node: &Arc<str>,
        number: u64,
        part: usize,
        parts: usize,
        members: Vec<Change>,
    ) -> Vec<Effect> {
        let mut so_far = match (part, self.coming.take()) {
            (0, _) => Members::default(),
            (part, Some((of, next, so_far))) if of == number && next == part => so_far,
            // A part is missing; the next heartbeat leads to another list.
            _ => return Vec::new(),
        };
        for change in members {
            if let Some(name) = change.name {
                so_far.insert((change.room, change.id), name);
            }
        }
        if part + 1 < parts {
            self.coming = Some((number, part + 1, so_far));
            return Vec::new();
        }
        // Changes that came meanwhile may be newer than the list.
        if self.number.is_some_and(|have| have >= number) {
            return Vec::new();
        }
        self.number = Some(number);
        let old = std::mem::replace(&mut self.members, so_far);
        let gone: AHashSet<_> = old
            .keys()
            .filter(|key| !self.members.contains_key(*key))
            .collect();
        let mut effects: Vec<_> = gone
            .into_iter()
            .map(|(room, id)| Effect::Gone(Arc::clone(node), room.clone(), Arc::clone(id)))
            .collect();
        for (key, name) in &self.members {
            if old.get(key) != Some(name) {
                let member = Member {
                    id: Arc::clone(&key.1),
                    name: Arc::clone(name),
                };
                effects.push(Effect::Here(Arc::clone(node), key.0.clone(), member));
            }
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use proptest::prelude::*;

    use super::*;

    const LEASE: Duration = Duration::from_secs(15);
    const BEAT: Duration = Duration::from_secs(3);

    /// Two nodes, and what is on its way between them.
    struct Pair {
        nodes: [Gossip; 2],
        seen: [BTreeSet<(String, String, String)>; 2],
        wire: VecDeque<(usize, What)>,
        now: Instant,
    }

    impl Pair {
        fn new() -> Self {
            Self {
                nodes: ["a", "b"].map(|name| Gossip::new(name.into(), LEASE)),
                seen: Default::default(),
                wire: VecDeque::new(),
                now: Instant::now(),
            }
        }

        fn follow(&mut self, node: usize, effects: Vec<Effect>) {
            for effect in effects {
                match effect {
                    Effect::ToAll(what) => self.wire.push_back((1 - node, what)),
                    Effect::To(to, what) => self.wire.push_back((usize::from(&*to == "b"), what)),
                    Effect::Here(_, room, member) => {
                        let seen = &mut self.seen[node];
                        let (room, id) = (room.to_string(), member.id.to_string());
                        seen.retain(|known| (&known.0, &known.1) != (&room, &id));
                        seen.insert((room, id, member.name.to_string()));
                    }
                    Effect::Gone(_, room, id) => {
                        let gone = (room.to_string(), id.to_string());
                        self.seen[node].retain(|known| (&known.0, &known.1) != (&gone.0, &gone.1));
                    }
                    Effect::Typing(..) => {}
                }
            }
        }

        fn deliver(&mut self, fate: Fate) {
            let Some((to, what)) = self.wire.pop_front() else {
                return;
            };
            let from = ["a", "b"][1 - to];
            let times = match fate {
                Fate::Lost => 0,
                Fate::Once => 1,
                Fate::Twice => 2,
            };
            for _ in 0..times {
                let effects = self.nodes[to].hear(from, what.clone(), self.now);
                self.follow(to, effects);
            }
        }

        fn beat(&mut self) {
            self.now += BEAT;
            for node in 0..2 {
                let effects = self.nodes[node].beat(self.now, BEAT);
                self.follow(node, effects);
            }
        }

        fn told(&self, node: usize) -> BTreeSet<(String, String, String)> {
            let mine = self.nodes[node].mine.iter();
            mine.map(|((room, id), name)| (room.to_string(), id.to_string(), name.to_string()))
                .collect()
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Lost,
        Once,
        Twice,
    }

    #[derive(Clone, Debug)]
    enum Happening {
        Change(usize, Change),
        Deliver(Fate),
        Beat,
    }

    fn change() -> impl Strategy<Value = Change> {
        ("[xy]", "[m-o]", prop::option::of("[A-C]")).prop_map(|(room, id, name)| Change {
            room: RoomName::parse(&room).unwrap(),
            id: id.into(),
            name: name.map(Arc::from),
        })
    }

    fn happening() -> impl Strategy<Value = Happening> {
        let fate =
            prop_oneof![1 => Just(Fate::Lost), 4 => Just(Fate::Once), 1 => Just(Fate::Twice)];
        prop_oneof![
            4 => (0usize..2, change()).prop_map(|(node, change)| Happening::Change(node, change)),
            8 => fate.prop_map(Happening::Deliver),
            1 => Just(Happening::Beat),
        ]
    }

    proptest! {
        #[test]
        fn whatever_gets_lost_two_nodes_agree_when_it_no_longer_does(
            happenings in prop::collection::vec(happening(), 0..80),
        ) {
            let mut pair = Pair::new();
            for happening in happenings {
                match happening {
                    Happening::Change(node, change) => {
                        let effects = pair.nodes[node].tell([change]);
                        pair.follow(node, effects);
                    }
                    Happening::Deliver(fate) => pair.deliver(fate),
                    Happening::Beat => pair.beat(),
                }
            }
            while !pair.wire.is_empty() {
                pair.deliver(Fate::Lost);
            }
            for _ in 0..2 {
                pair.beat();
                while !pair.wire.is_empty() {
                    pair.deliver(Fate::Once);
                }
            }
            prop_assert_eq!(&pair.seen[0], &pair.told(1));
            prop_assert_eq!(&pair.seen[1], &pair.told(0));
        }
    }

    #[test]
    fn a_node_that_is_silent_for_the_lease_takes_its_members_with_it() {
        let mut pair = Pair::new();
        pair.beat();
        while !pair.wire.is_empty() {
            pair.deliver(Fate::Once);
        }
        let change = Change {
            room: RoomName::parse("x").unwrap(),
            id: "m".into(),
            name: Some("Ana".into()),
        };
        let effects = pair.nodes[0].tell([change]);
        pair.follow(0, effects);
        pair.deliver(Fate::Once);
        assert_eq!(pair.seen[1].len(), 1);

        let (heard, mut beats) = (pair.now, 0);
        while !pair.seen[1].is_empty() {
            pair.now += BEAT;
            let effects = pair.nodes[1].beat(pair.now, BEAT);
            pair.follow(1, effects);
            beats += 1;
        }

        assert!(pair.now <= heard + LEASE, "after {beats} heartbeats");
        assert!(beats > 2);
    }

    #[test]
    fn long_lists_come_in_parts() {
        let mut pair = Pair::new();
        let changes = (0..MEMBERS * 2 + 1).map(|n| Change {
            room: RoomName::parse("x").unwrap(),
            id: format!("m-{n}").into(),
            name: Some("Ana".into()),
        });
        let effects = pair.nodes[0].tell(changes.collect::<Vec<_>>());
        assert_eq!(effects.len(), 3);

        // All of that is lost.
        pair.beat();
        while !pair.wire.is_empty() {
            pair.deliver(Fate::Once);
        }

        assert_eq!(pair.seen[1].len(), MEMBERS * 2 + 1);
    }
}
