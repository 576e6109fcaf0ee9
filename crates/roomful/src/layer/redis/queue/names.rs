//! The names of keys, and of this process's seats in groups.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use sha1::{Digest as _, Sha1};

use crate::layer::redis::link::Link;
use crate::layer::{ChannelName, GroupName, LayerError};

/// The longest name that Channels lets pass, in bytes.
const LONGEST: usize = 99;
/// How many keys one command deletes.
const BATCH: usize = 1000;

/// Makes names.
pub(super) struct Names {
    prefix: Box<str>,
    /// `specific.`, 32 hexadecimal digits, `!`.
    process: Box<str>,
    /// The groups whose names do not fit into a seat's, by what stands there instead. Holds those that have, or had a
    /// moment ago, members here.
    long: Mutex<HashMap<String, GroupName>>,
}

impl Names {
    pub(super) fn new(prefix: &str, process: &str) -> Self {
        Self {
            prefix: prefix.into(),
            process: process.into(),
            long: Mutex::default(),
        }
    }

    /// The sorted set of a group.
    pub(super) fn group(&self, group: &GroupName) -> String {
        format!("{}:group:{group}", self.prefix)
    }

    /// The sorted set of what waits: for a process, by the part of its channels' names up to the `!`, or for a general
    /// channel.
    pub(super) fn queue(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// This process's own part of its channels' names.
    pub(super) fn process(&self) -> &str {
        &self.process
    }

    /// This process's channel in a group: `specific.HEX!g.GROUP`, or with a digest where that would be too long. The
    /// names of single channels have no dot after the `!`.
    pub(super) fn seat(&self, group: &GroupName) -> String {
        let plain = format!("{}g.{group}", self.process);
        match plain.len() <= LONGEST {
            true => plain,
            false => format!("{}h.{}", self.process, digest(group)),
        }
    }

    /// Makes sure that the group's seat will be understood; to be called after joining it.
    pub(super) fn learn(&self, group: &GroupName) {
        if !self.is_plain(group) {
            let mut long = self.long.lock().unwrap_or_else(PoisonError::into_inner);
            long.insert(digest(group), group.clone());
        }
    }

    /// The group was left; `is_empty` tells whether that is still so.
    pub(super) fn unlearn(&self, group: &GroupName, is_empty: impl Fn() -> bool) {
        if !self.is_plain(group) {
            // Who joins it after this look learns it after this removal.
            let mut long = self.long.lock().unwrap_or_else(PoisonError::into_inner);
            if is_empty() {
                long.remove(&digest(group));
            }
        }
    }

    /// What a name that begins with this process's own part means.
    pub(super) fn read(&self, name: &str) -> Option<Target> {
        let local = name.strip_prefix(&*self.process)?;
        if let Some(group) = local.strip_prefix("g.") {
            return GroupName::parse(group).ok().map(Target::Group);
        }
        if let Some(digest) = local.strip_prefix("h.") {
            let long = self.long.lock().unwrap_or_else(PoisonError::into_inner);
            return long.get(digest).cloned().map(Target::Group);
        }
        ChannelName::parse(name).ok().map(Target::Channel)
    }

    fn is_plain(&self, group: &GroupName) -> bool {
        self.process.len() + 2 + group.as_str().len() <= LONGEST
    }

    /// Deletes all keys that begin with the prefix.
    pub(super) async fn delete_all(&self, link: &Link) -> Result<(), LayerError> {
        let mut glob = String::new();
        for c in self.prefix.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '\\') {
                glob.push('\\');
            }
            glob.push(c);
        }
        glob.push('*');
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::pipe();
            scan.cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&glob)
                .arg("COUNT")
                .arg(BATCH);
            let ((next, keys),): ((u64, Vec<Vec<u8>>),) = link.query(&scan).await?;
            if !keys.is_empty() {
                let mut delete = redis::pipe();
                delete.cmd("DEL").arg(keys).ignore();
                let () = link.query(&delete).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// What a channel's name of this process means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A seat: all members that the group has here.
    Group(GroupName),
    /// One channel.
    Channel(ChannelName),
}

fn digest(group: &GroupName) -> String {
    let mut hex = String::new();
    for byte in &Sha1::digest(group.as_str())[..16] {
        write!(hex, "{byte:02x}").expect("a string takes all that is written to it");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESS: &str = "specific.0123456789abcdef0123456789abcdef!";

    fn group(name: &str) -> GroupName {
        GroupName::parse(name).unwrap()
    }

    #[test]
    fn keys_are_those_of_channels_redis() {
        let (usual, other) = (
            Names::new("asgi", PROCESS),
            Names::new("test_prefix", PROCESS),
        );
        assert_eq!(usual.group(&group("test_group")), "asgi:group:test_group");
        assert_eq!(
            other.group(&group("test_group")),
            "test_prefix:group:test_group"
        );
        assert_eq!(usual.queue("worker-1"), "asgiworker-1");
        assert_eq!(
            usual.queue(PROCESS),
            "asgispecific.0123456789abcdef0123456789abcdef!"
        );
    }

    #[test]
    fn every_seat_is_a_channels_name_and_leads_back_to_its_group() {
        let names = Names::new("asgi", PROCESS);
        for length in [1, 54, 55, 56, 99] {
            let group = group(&"x".repeat(length));
            names.learn(&group);
            let seat = names.seat(&group);
            assert!(ChannelName::parse(&seat).is_ok(), "{seat}");
            assert_eq!(names.read(&seat), Some(Target::Group(group.clone())));
            names.unlearn(&group, || true);
            assert_eq!(names.read(&seat).is_some(), length <= 55, "{seat}");
        }
        let channel = format!("{PROCESS}abc");
        assert_eq!(
            names.read(&channel),
            Some(Target::Channel(ChannelName::parse(&channel).unwrap()))
        );
        assert_eq!(names.read("specific.other!abc"), None);
    }
}
