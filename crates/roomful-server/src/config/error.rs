//! What can be wrong with a configuration, in sentences that name the thing, the place and the way out.
//!
//! No sentence shows a secret: a value in it went through [`hide_secrets`](crate::redact::hide_secrets).

use std::io;
use std::path::PathBuf;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The file is not TOML.
    #[error("{} line {line} is not TOML: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// There is no such key.
    #[error("unknown key `{key}` in {place}, {}", way_out(.nearest.as_deref()))]
    UnknownKey {
        /// The key, as it is spelled there.
        key: String,
        /// Where it stands.
        place: String,
        /// The known key that is most like it, in the same spelling.
        nearest: Option<String>,
    },
    /// The key cannot have this value.
    #[error("`{key}` cannot be {value} ({place}): {reason}")]
    BadValue {
        /// The key.
        key: String,
        /// The value, secrets hidden.
        value: String,
        /// Where it stands.
        place: String,
        /// What is allowed.
        reason: String,
    },
    /// Two values cannot both be meant.
    #[error("{first} must {must} {second}")]
    Contradiction {
        /// One key, its value, and where that stands.
        first: String,
        /// How it must stand to the other.
        must: &'static str,
        /// The other.
        second: String,
    },
    /// An environment variable is not Unicode.
    #[error("the environment variable {name} is not UTF-8")]
    NotUnicode {
        /// The variable.
        name: String,
    },
}

fn way_out(nearest: Option<&str>) -> String {
    match nearest {
        Some(key) => format!("the nearest known one is `{key}`"),
        None => "`roomful config` lists all that are known".into(),
    }
}

/// The one of `known` that is most like `key`, if any is like it at all. Keys are dotted.
pub(super) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this, two words have little more than some letters in common.
    const ALIKE: f64 = 0.75;

    fn last(key: &str) -> &str {
        key.rsplit_once('.').map_or(key, |(_, last)| last)
    }

    let likeness = |candidate: &str| {
        if candidate
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with('.'))
        {
            // A table written as a value: `history = "memory"`.
            return 1.0;
        }
        // The right name in the wrong table is what was meant unless the whole key says otherwise.
        let misplaced = strsim::jaro_winkler(last(key), last(candidate)) * 0.95;
        strsim::jaro_winkler(key, candidate).max(misplaced)
    };
    known
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        // The first of several that are equally alike, as `max_by` would take the last.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}
