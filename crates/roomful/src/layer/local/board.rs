//! What a switchboard consists of, and how channels come into its table and go out of it.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::by::ByName;
use super::group::{Group, Groups, Plan};
use super::mailbox::{Mailbox, Moment, Origin, Outcome, Pushed, Tenure};
use super::{ChannelName, Limits, Open, Watch, lock};
use crate::event::Event;

/// How often, at most, a mailbox that no inbox owns is looked at for whether anybody still needs it.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The inside of a [`Switchboard`](super::Switchboard).
pub(super) struct Board {
    pub(super) limits: Limits,
    /// `specific.` and 32 hexadecimal digits and `!`: how the names of this process's channels begin.
    pub(super) process: Box<str>,
    /// Guards the lookup of mailboxes, not what is in them.
    channels: Mutex<Channels>,
    pub(super) groups: Groups,
    pub(super) watch: Option<Box<dyn Watch>>,
    pub(super) full: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) closed: AtomicU64,
}

#[derive(Default)]
struct Channels {
    by_name: HashSet<ByName<Mailbox>, ahash::RandomState>,
    /// The mailboxes that are no inbox's own, each with when to look whether anybody still needs it.
    unowned: VecDeque<(Instant, Weak<Mailbox>)>,
}

impl Board {
    pub(super) fn new(limits: Limits, watch: Option<Box<dyn Watch>>) -> Self {
        Self {
            limits,
            process: format!("specific.{}!", random_hex()).into(),
            channels: Mutex::default(),
            groups: Groups::default(),
            watch,
            full: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            closed: AtomicU64::new(0),
        }
    }

    /// An inbox's own mailbox.
    pub(super) fn open(&self, options: Open) -> Arc<Mailbox> {
        let mailbox = self.make(self.fresh_name(), Tenure::Inbox { lane: options.lane });
        lock(&self.channels)
            .by_name
            .insert(ByName(Arc::clone(&mailbox)));
        mailbox
    }

    /// A mailbox that waits for listeners.
    pub(super) fn reserve(&self, now: Instant) -> Arc<Mailbox> {
        let until = now + self.limits.group_expires_after();
        let mailbox = self.make(self.fresh_name(), Tenure::Reserved { until });
        let due = {
            let mut channels = lock(&self.channels);
            channels.add_unowned(Arc::clone(&mailbox), self.look_again(now));
            channels.due(now)
        };
        self.tidy(due, now);
        mailbox
    }

    /// Ends an inbox's mailbox.
    pub(super) fn close(&self, mailbox: &Arc<Mailbox>) {
        lock(&self.channels).by_name.remove(mailbox.name.as_str());
        self.report(mailbox.close(&self.groups));
    }

    pub(super) fn flush(&self, now: Instant) {
        let all: Vec<_> = lock(&self.channels)
            .by_name
            .iter()
            .map(|mailbox| Arc::clone(&mailbox.0))
            .collect();
        for mailbox in all {
            mailbox.clear();
            self.leave_all(&mailbox);
            self.free_if_idle(&mailbox, now);
        }
    }

    pub(super) fn listened(&self) -> Vec<ChannelName> {
        let channels = lock(&self.channels);
        let mailboxes = channels.by_name.iter().map(|mailbox| &mailbox.0);
        mailboxes
            .filter(|mailbox| mailbox.is_open() && !mailbox.is_owned())
            .map(|mailbox| mailbox.name.clone())
            .collect()
    }

    pub(super) fn channel_count(&self) -> usize {
        lock(&self.channels).by_name.len()
    }

    fn fresh_name(&self) -> ChannelName {
        ChannelName::parse(&format!("{}{}", self.process, random_hex()))
            .expect("hexadecimal digits are good names")
    }

    fn make(&self, name: ChannelName, tenure: Tenure) -> Arc<Mailbox> {
        let capacity = self.limits.capacity_of(&name);
        Arc::new(Mailbox::new(name, capacity, tenure))
    }

    pub(super) fn moment(&self) -> Moment {
        let now = Instant::now();
        Moment {
            now,
            deadline: now + self.limits.expires_after(),
        }
    }

    pub(super) fn find(&self, channel: &ChannelName) -> Option<Arc<Mailbox>> {
        lock(&self.channels).find(channel)
    }

    /// The channel's mailbox, made now where it is a general channel that nobody has used yet; `None` where it was this
    /// process's own and is no more.
    pub(super) fn find_or_make(&self, channel: &ChannelName, now: Instant) -> Option<Arc<Mailbox>> {
        let (found, due) = {
            let mut channels = lock(&self.channels);
            let mut found = channels.find(channel);
            if found.is_none() && channel.process() != Some(&*self.process) {
                let mailbox = self.make(channel.clone(), Tenure::Shared);
                channels.add_unowned(Arc::clone(&mailbox), self.look_again(now));
                found = Some(mailbox);
            }
            (found, channels.due(now))
        };
        self.tidy(due, now);
        found
    }

    pub(super) fn push(
        &self,
        mailbox: &Arc<Mailbox>,
        event: &Event,
        moment: Moment,
        origin: Origin,
    ) -> Outcome {
        let Pushed { outcome, expired } = mailbox.push(event, moment, origin);
        self.note_expired(mailbox, expired);
        outcome
    }

    /// Counts events that nobody read in time. A channel that nobody has open leaves its groups for it, as in Channels:
    /// its reader is gone without a word. Where somebody has it open, the reader is slow and stays.
    pub(super) fn note_expired(&self, mailbox: &Arc<Mailbox>, expired: usize) {
        if expired > 0 {
            self.expired.fetch_add(expired as u64, Ordering::Relaxed);
            if !mailbox.is_open() {
                self.leave_all(mailbox);
            }
        }
    }

    /// Whom to send to, without those whose stay in the group is over.
    pub(super) fn plan(&self, group: &Arc<Group>, now: Instant) -> Arc<Plan> {
        let plan = group.plan();
        let Some(limit) = now.checked_sub(self.limits.group_expires_after()) else {
            return plan;
        };
        if plan.oldest_unowned.is_none_or(|joined| joined > limit) {
            return plan;
        }
        for mailbox in group.joined_before(limit) {
            self.leave_overdue(&mailbox, limit);
            self.free_if_idle(&mailbox, now);
        }
        group.plan()
    }

    /// Takes a channel that nobody has open out of the groups it joined that long ago.
    fn leave_overdue(&self, mailbox: &Arc<Mailbox>, limit: Instant) {
        if !mailbox.is_open() {
            self.report(mailbox.leave_joined_before(&self.groups, limit));
        }
    }

    fn leave_all(&self, mailbox: &Arc<Mailbox>) {
        self.report(mailbox.leave_all(&self.groups));
    }

    fn report(&self, emptied: impl IntoIterator<Item = Arc<Group>>) {
        if let Some(watch) = &self.watch {
            for group in emptied {
                watch.emptied(&group.name);
            }
        }
    }

    /// Looks after mailboxes that no inbox owns: drops what expired, frees those that nobody needs.
    fn tidy(&self, due: Vec<Arc<Mailbox>>, now: Instant) {
        for mailbox in due {
            let expired = mailbox.prune(now);
            self.note_expired(&mailbox, expired);
            if let Some(limit) = now.checked_sub(self.limits.group_expires_after()) {
                self.leave_overdue(&mailbox, limit);
            }
            if !self.free_if_idle(&mailbox, now) {
                let entry = (self.look_again(now), Arc::downgrade(&mailbox));
                lock(&self.channels).unowned.push_back(entry);
            }
        }
    }

    fn look_again(&self, now: Instant) -> Instant {
        now + self.limits.expires_after().min(LOOK_AGAIN)
    }

    /// Whether the mailbox is gone, now or already.
    pub(super) fn free_if_idle(&self, mailbox: &Arc<Mailbox>, now: Instant) -> bool {
        if mailbox.is_owned() {
            return false;
        }
        let mut channels = lock(&self.channels);
        let gone = mailbox.close_if_idle(now);
        if gone {
            // Where it was freed earlier, the name may belong to another one by now.
            let name = mailbox.name.as_str();
            let same = channels
                .by_name
                .get(name)
                .is_some_and(|known| Arc::ptr_eq(&known.0, mailbox));
            if same {
                channels.by_name.remove(name);
            }
        }
        gone
    }
}

impl Channels {
    /// How many unowned mailboxes one call looks at: twice what it can add, so that none waits for ever.
    const DUE_AT_ONCE: usize = 2;

    fn find(&self, channel: &ChannelName) -> Option<Arc<Mailbox>> {
        self.by_name
            .get(channel.as_str())
            .map(|mailbox| Arc::clone(&mailbox.0))
    }

    fn add_unowned(&mut self, mailbox: Arc<Mailbox>, look_again: Instant) {
        self.unowned
            .push_back((look_again, Arc::downgrade(&mailbox)));
        self.by_name.insert(ByName(mailbox));
    }

    fn due(&mut self, now: Instant) -> Vec<Arc<Mailbox>> {
        let mut due = Vec::new();
        for _ in 0..Self::DUE_AT_ONCE {
            match self.unowned.front() {
                Some((at, _)) if *at <= now => {
                    let freed_or_due = self.unowned.pop_front();
                    due.extend(freed_or_due.and_then(|(_, mailbox)| mailbox.upgrade()));
                }
                _ => break,
            }
        }
        due
    }
}

fn random_hex() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    format!("{:032x}", u128::from_be_bytes(bytes))
}
