//! Which group of a channel layer is a room.
//!
//! A name that a group can have is that group, so that a Django process finds the room by its name. Other names (letters
//! of other scripts) are spelled in base64url behind `roomful.u.`. A group's name has fewer than 100 characters, which is
//! not enough for the longest names: those are hashed behind `roomful.h.`. Nobody needs the way back, because events say
//! in which room they are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use roomful::layer::GroupName;
use sha2::{Digest as _, Sha256};

use crate::protocol::RoomName;

/// Groups of this server's own: no room is called so.
const OURS: &str = "roomful.";

/// The group that is a room.
pub fn group_of(room: &RoomName) -> GroupName {
    let name = room.as_str();
    let plain = GroupName::parse(name).ok();
    let spelled = || GroupName::parse(&format!("{OURS}u.{}", BASE64.encode(name))).ok();
    let hashed = || {
        let hash = BASE64.encode(Sha256::digest(name));
        GroupName::parse(&format!("{OURS}h.{hash}")).expect("54 characters of the right kind")
    };
    plain
        .filter(|_| !name.starts_with(OURS))
        .or_else(spelled)
        .unwrap_or_else(hashed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(room: &str) -> String {
        group_of(&RoomName::parse(room).unwrap())
            .as_str()
            .to_owned()
    }

    #[test]
    fn a_name_that_a_group_can_have_is_that_group() {
        for room in ["123", "a_b-c.D", &"x".repeat(64), "roomfully"] {
            assert_eq!(group(room), room);
        }
    }

    #[test]
    fn any_other_name_is_spelled_and_can_be_read_back() {
        for room in ["聊天室", "roomful.nodes", "roomful.u.eA", "ürsus"] {
            let group = group(room);
            let spelled = group.strip_prefix("roomful.u.").unwrap();
            assert_eq!(BASE64.decode(spelled).unwrap(), room.as_bytes());
        }
    }

    #[test]
    fn the_longest_names_are_groups_too_and_each_its_own() {
        let (one, other) = ("聊".repeat(64), "聊".repeat(63));
        assert!(group(&one).starts_with("roomful.h."));
        assert_ne!(group(&one), group(&other));
    }
}
