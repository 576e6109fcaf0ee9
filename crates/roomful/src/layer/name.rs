//! Names of channels and groups, parsed where they come in.
//!
//! The rule is Channels': ASCII letters, digits, `-`, `_` and `.`, under 100 of them, and in a channel's name one `!`.
//! Its regular expressions also let through digits and letters of other scripts and a final newline; we do not, and no
//! name that Channels makes itself has any.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name, in bytes.
const MAX_BYTES: usize = 99;

/// The name of a group: 1 to 99 ASCII letters, digits, `-`, `_` or `.`. Cloning it copies a pointer.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(Arc<str>);

/// The name of a channel: as a group's, and with at most one `!`, not at the start. Cloning it copies a pointer.
///
/// A name with a `!` is process-local: the part up to it names the process that alone can receive from the channel.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

impl GroupName {
    /// The name of a group.
    ///
    /// # Errors
    /// [`InvalidName`] where a group cannot be called that.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        if name.len() <= MAX_BYTES && is_word(name) {
            Ok(Self(name.into()))
        } else {
            Err(InvalidName::new(Named::Group, name))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ChannelName {
    /// The name of a channel.
    ///
    /// # Errors
    /// [`InvalidName`] where a channel cannot be called that.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        let good = name.len() <= MAX_BYTES
            && match name.split_once('!') {
                Some((process, local)) => is_word(process) && (local.is_empty() || is_word(local)),
                None => is_word(name),
            };
        if good {
            Ok(Self(name.into()))
        } else {
            Err(InvalidName::new(Named::Channel, name))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part that names the process, with the `!` that ends it; `None` for a general channel.
    pub fn process(&self) -> Option<&str> {
        self.0
            .split_inclusive('!')
            .next()
            .filter(|part| part.ends_with('!'))
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A name that no channel or group can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid {} name: use 1 to 99 ASCII letters, digits, `-`, `_` or `.`{}", .named.word(), .named.also())]
pub struct InvalidName {
    named: Named,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Group,
    Channel,
}

impl Named {
    fn word(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Channel => "channel",
        }
    }

    fn also(self) -> &'static str {
        match self {
            Self::Group => "",
            Self::Channel => ", and at most one `!` after the first of them",
        }
    }
}

impl InvalidName {
    /// Keeps as much of the name as an error's reader needs, and nothing that would upset a log.
    fn new(named: Named, name: &str) -> Self {
        let mut shown: String = name
            .chars()
            .take(MAX_BYTES)
            .flat_map(char::escape_debug)
            .collect();
        if name.chars().nth(MAX_BYTES).is_some() {
            shown.push('…');
        }
        Self { named, name: shown }
    }
}

macro_rules! name_traits {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(name: &str) -> Result<Self, InvalidName> {
                Self::parse(name)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // Names compare and hash as their text does.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name_traits!(GroupName);
name_traits!(ChannelName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_of_ascii_and_channels_may_have_one_mark() {
        let longest = "x".repeat(99);
        for good in ["chat", "a", "7", "Room-1_2.3", "-", &longest] {
            assert!(GroupName::parse(good).is_ok(), "{good}");
            assert!(ChannelName::parse(good).is_ok(), "{good}");
        }
        let too_long = "x".repeat(100);
        // The last three pass the regular expressions of Channels.
        for bad in [
            "",
            " ",
            "a b",
            "a:b",
            r"¯\_(ツ)_/¯",
            &too_long,
            "١٢",
            "a\n",
            "é",
        ] {
            assert!(GroupName::parse(bad).is_err(), "{bad}");
            assert!(ChannelName::parse(bad).is_err(), "{bad}");
        }
        for local in ["specific.0f!a1", "a!"] {
            assert!(GroupName::parse(local).is_err(), "{local}");
            assert!(ChannelName::parse(local).is_ok(), "{local}");
        }
        for bad in ["!", "!a", "a!b!c", "a!b c", "a!é", "=+135!"] {
            assert!(ChannelName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_process_of_a_channel_is_the_part_up_to_the_mark() {
        let process = |name| {
            ChannelName::parse(name)
                .unwrap()
                .process()
                .map(String::from)
        };
        assert_eq!(process("specific.0f!a1").as_deref(), Some("specific.0f!"));
        assert_eq!(process("a!").as_deref(), Some("a!"));
        assert_eq!(process("worker-1"), None);
    }

    #[test]
    fn an_error_shows_the_name_without_control_characters_and_not_all_of_it() {
        let error = GroupName::parse("a\nb").unwrap_err().to_string();
        assert_eq!(
            error,
            "`a\\nb` is not a valid group name: use 1 to 99 ASCII letters, digits, `-`, `_` or `.`"
        );
        let error = ChannelName::parse(&"y".repeat(400))
            .unwrap_err()
            .to_string();
        assert!(error.contains("y…`") && error.len() < 300, "{error}");
    }
}
