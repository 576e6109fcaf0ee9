//! The loads.

use anyhow::{Result, bail};

/// What is measured when nothing is said.
pub(super) const USUAL: &[&str] = &[
    "100x50",
    "100x50-one",
    "1x1000",
    "1x10000",
    "1000x2",
    "100x50-1k",
    "1x1000-1k",
    "100x50-fixed",
    "100x50-half",
    "idle",
    "connects",
    "churn",
];

/// Deliveries a second of `-fixed`.
const FIXED: usize = 30_000;
/// Messages of each room under way where it is not `-one`.
const UNDER_WAY: usize = 4;

/// A load.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Rooms in which people talk.
    Talk {
        rooms: usize,
        members: usize,
        size_bytes: usize,
        pace: Pace,
    },
    /// People who are only there.
    Idle,
    /// Coming, to a server that is warm.
    Connects,
    /// Coming and going.
    Churn,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// The next message is sent when one has reached everybody.
    UnderWay(usize),
    /// The same for all servers.
    DeliveriesPerSecond(usize),
    /// Half of what this server did with one message of each room under way, just before.
    HalfOfMaximum,
}

impl Scenario {
    /// `100x50-1k-one` is 100 rooms of 50 members, 1 KiB a message, one message of each room under way.
    pub(super) fn parse(name: &str) -> Result<Self> {
        let kind = match name {
            "idle" => Some(Kind::Idle),
            "connects" => Some(Kind::Connects),
            "churn" => Some(Kind::Churn),
            _ => talk(name),
        };
        let Some(kind) = kind else {
            bail!(
                "`{name}` is no scenario: take ROOMSxMEMBERS, followed by -1k, and by -one, -fixed or -half; or idle, connects or \
                 churn"
            );
        };
        Ok(Self {
            name: name.to_owned(),
            kind,
        })
    }

    /// For people.
    pub(super) fn what(&self) -> String {
        match self.kind {
            Kind::Idle => "10,000 connections that are only there".to_owned(),
            Kind::Connects => {
                "5,000 connections at once, to a server that has had as many before".to_owned()
            }
            Kind::Churn => "10,000 connections in and out ten times".to_owned(),
            Kind::Talk {
                rooms,
                members,
                size_bytes,
                pace,
            } => {
                let pace = match pace {
                    Pace::UnderWay(1) => "one message of each room under way".to_owned(),
                    Pace::UnderWay(count) => format!("{count} messages of each room under way"),
                    Pace::DeliveriesPerSecond(rate) => {
                        format!("{rate} deliveries a second, whatever comes back")
                    }
                    Pace::HalfOfMaximum => {
                        "half of what each can do with one message of each room under way"
                            .to_owned()
                    }
                };
                let rooms = if rooms == 1 {
                    "1 room".to_owned()
                } else {
                    format!("{rooms} rooms")
                };
                format!("{rooms} of {members}, {size_bytes} bytes, {pace}")
            }
        }
    }

    pub(super) fn talks(&self) -> bool {
        matches!(self.kind, Kind::Talk { .. })
    }
}

fn talk(name: &str) -> Option<Kind> {
    let mut words = name.split('-');
    let (rooms, members) = words.next()?.split_once('x')?;
    let (rooms, members) = (rooms.parse().ok()?, members.parse().ok()?);
    let (mut size_bytes, mut pace) = (64, Pace::UnderWay(UNDER_WAY));
    for word in words {
        match word {
            "1k" => size_bytes = 1024,
            "one" => pace = Pace::UnderWay(1),
            "fixed" => pace = Pace::DeliveriesPerSecond(FIXED),
            "half" => pace = Pace::HalfOfMaximum,
            _ => return None,
        }
    }
    (rooms > 0 && members > 0).then_some(Kind::Talk {
        rooms,
        members,
        size_bytes,
        pace,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_scenarios_are_scenarios() {
        for name in USUAL {
            assert_eq!(Scenario::parse(name).unwrap().name, *name);
        }
    }

    #[test]
    fn a_name_says_rooms_members_size_and_pace() {
        let kind = |name| Scenario::parse(name).map(|scenario| scenario.kind);
        let (rooms, members, pace) = (100, 50, Pace::UnderWay(1));
        let wanted = Kind::Talk {
            rooms,
            members,
            size_bytes: 1024,
            pace,
        };
        assert_eq!(kind("100x50-1k-one").unwrap(), wanted);
        assert!(kind("100x50-fast").is_err());
        assert!(kind("0x50").is_err());
    }
}
