//! A compiled pattern: what both ways of writing one come down to.
//!
//! Matching takes time linear in the path's length, whatever the pattern: the `regex` crate never backtracks.

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::UrlParams;

/// How large a compiled pattern may be, in bytes. Matching costs at worst pattern size times path length, so this bounds
/// what one request can cost. Counted repetition is what makes a pattern large: `\w{1,100}` compiles to 5 MiB, and a path
/// of 8,000 characters then takes some 20 ms where it is searched for, nothing to speak of where it is anchored.
const SIZE_LIMIT: usize = 8 << 20;

/// A pattern that no route can have, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a route pattern: {reason}")]
pub struct BadPattern {
    pattern: String,
    reason: String,
}

impl BadPattern {
    pub(super) fn new(pattern: &str, reason: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            reason: reason.into(),
        }
    }

    fn from_regex(pattern: &str, error: &regex::Error) -> Self {
        let reason = match error {
            regex::Error::CompiledTooBig(_) => {
                "it is too large when compiled: use smaller counted repetitions".into()
            }
            regex::Error::Syntax(_) if pattern.contains(r"\Z") => {
                r"`\Z` is Python's: write `\z` for the end of the path".into()
            }
            regex::Error::Syntax(text) if text.contains("look-around") => {
                "look-around cannot be matched in linear time: \
                 match more, and check the parameter in the service"
                    .into()
            }
            regex::Error::Syntax(text)
                if text.contains("backreferences") || pattern.contains("(?P=") =>
            {
                "backreferences cannot be matched in linear time: \
                 capture both parts, and compare them in the service"
                    .into()
            }
            // The crate draws the pattern with carets under it; its last line is the sentence.
            regex::Error::Syntax(text) => match text.rsplit_once("error: ") {
                Some((_, sentence)) => sentence.trim().into(),
                None => text.clone(),
            },
            other => other.to_string(),
        };
        Self::new(pattern, reason)
    }
}

/// Where a pattern stands: before a service, or before an inner router that goes on with the rest of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Endpoint,
    Prefix,
}

/// A pattern ready to match.
#[derive(Clone)]
pub(super) struct Pattern {
    text: Box<str>,
    /// What every path that matches begins with: tells most routes of a large table apart without their expressions.
    prefix: Box<str>,
    regex: Regex,
    /// Index and name of each named group.
    named: Vec<(usize, Arc<str>)>,
}

/// What a pattern found in a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Matched<'p> {
    pub(super) params: UrlParams,
    /// What stands behind the match.
    pub(super) remaining: &'p str,
}

impl Pattern {
    /// A pattern known to people as `text` and matched by `regex`, which takes no path that does not begin with `prefix`.
    pub(super) fn compile(text: &str, regex: &str, prefix: &str) -> Result<Self, BadPattern> {
        let regex = RegexBuilder::new(regex)
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| BadPattern::from_regex(text, &error))?;
        let named = regex
            .capture_names()
            .enumerate()
            .filter_map(|(index, name)| Some((index, Arc::from(name?))))
            .collect();
        Ok(Self {
            text: text.into(),
            prefix: prefix.into(),
            regex,
            named,
        })
    }

    /// The first place in `path`, which has no leading `/`, where the pattern matches.
    ///
    /// With named groups in the pattern the others do not count. A named group that took no part in the match is left
    /// out; an unnamed one is an empty text, so that those behind it keep their places.
    pub(super) fn find<'p>(&self, path: &'p str) -> Option<Matched<'p>> {
        // `captures` allocates before it looks, `is_match` does not.
        if !path.starts_with(&*self.prefix) || !self.regex.is_match(path) {
            return None;
        }
        let captures = self.regex.captures(path)?;
        let mut params = UrlParams::default();
        if self.named.is_empty() {
            params.args = captures
                .iter()
                .skip(1)
                .map(|group| group.map_or("", |found| found.as_str()).into())
                .collect();
        }
        for (index, name) in &self.named {
            if let Some(found) = captures.get(*index) {
                params.named.push((name.clone(), found.as_str().into()));
            }
        }
        let end = captures.get_match().end();
        Some(Matched {
            params,
            remaining: &path[end..],
        })
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}
