//! How much a layer keeps and for how long: capacity, by channel where wanted, and expiry.

use std::time::Duration;

use regex::Regex;

use super::ChannelName;

/// Any time beyond this is as good as for ever, and can be added to an instant without overflow.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 86_400);

/// What a layer keeps for its channels and groups; the defaults are Channels'.
///
/// ```
/// use std::time::Duration;
/// use roomful::layer::Limits;
///
/// let limits = Limits::default()
///     .capacity(200)
///     .channel_capacity("worker.*", 10_000)
///     .expiry(Duration::from_secs(30));
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    capacity: usize,
    channel_capacity: Vec<(Pattern, usize)>,
    expiry: Duration,
    group_expiry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            capacity: 100,
            channel_capacity: Vec::new(),
            expiry: Duration::from_secs(60),
            group_expiry: Duration::from_secs(86_400),
        }
    }
}

impl Limits {
    /// How many events may wait in a channel, at least 1; 100 unless set.
    #[must_use]
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events.max(1);
        self
    }

    /// How many events may wait in channels whose full name matches; the first pattern that does decides.
    #[must_use]
    pub fn channel_capacity(mut self, pattern: impl Into<Pattern>, events: usize) -> Self {
        self.channel_capacity.push((pattern.into(), events.max(1)));
        self
    }

    /// How long an event may wait before it is no longer delivered; 60 seconds unless set.
    #[must_use]
    pub fn expiry(mut self, expiry: Duration) -> Self {
        self.expiry = expiry.min(FOR_EVER);
        self
    }

    /// How long after its last `group_add` a channel that nobody has open stays in the group; a day unless set.
    ///
    /// Channels takes everyone out after that time, tabs that are still open too. A channel that is open in this
    /// process stays.
    #[must_use]
    pub fn group_expiry(mut self, expiry: Duration) -> Self {
        self.group_expiry = expiry.min(FOR_EVER);
        self
    }

    /// How many events may wait in this channel.
    pub fn capacity_of(&self, channel: &ChannelName) -> usize {
        self.channel_capacity
            .iter()
            .find(|(pattern, _)| pattern.matches(channel.as_str()))
            .map_or(self.capacity, |(_, events)| *events)
    }

    /// How long an event may wait.
    pub fn expires_after(&self) -> Duration {
        self.expiry
    }

    /// How long a channel that nobody has open stays in a group.
    pub fn group_expires_after(&self) -> Duration {
        self.group_expiry
    }
}

/// Which channels a capacity is for: a glob as of the shell, or a regular expression.
///
/// In a glob `*` is any text, `?` any character, `[a-z]` one of a set and `[!a-z]` one outside it; it is about the whole
/// name. A regular expression matches at the start of the name, as Python's `re.match` does: end it with `$` to mean
/// the whole.
#[derive(Clone, Debug)]
pub struct Pattern(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Glob(Box<[u8]>),
    Regex(Regex),
}

impl Pattern {
    fn matches(&self, name: &str) -> bool {
        match &self.0 {
            Kind::Glob(glob) => glob_matches(glob, name.as_bytes()),
            // The leftmost match is at the start if there is one there.
            Kind::Regex(regex) => regex.find(name).is_some_and(|found| found.start() == 0),
        }
    }
}

impl From<&str> for Pattern {
    fn from(glob: &str) -> Self {
        Self(Kind::Glob(glob.as_bytes().into()))
    }
}

impl From<String> for Pattern {
    fn from(glob: String) -> Self {
        Self::from(&*glob)
    }
}

impl From<Regex> for Pattern {
    fn from(regex: Regex) -> Self {
        Self(Kind::Regex(regex))
    }
}

/// Matches as Python's `fnmatch` does; names are ASCII, so a byte is a character.
fn glob_matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut g, mut n) = (0, 0);
    // Where to go on when the rest does not fit: the last star takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match glob.get(g) {
            Some(b'*') => {
                retry = Some((g + 1, n));
                g += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => match set_matches(&glob[g..], name[n]) {
                Some((len, true)) => Some(len),
                Some((_, false)) => None,
                None => (name[n] == b'[').then_some(1),
            },
            Some(&literal) => (literal == name[n]).then_some(1),
            None => None,
        };
        match (step, retry) {
            (Some(len), _) => {
                g += len;
                n += 1;
            }
            (None, Some((after_star, taken))) => {
                retry = Some((after_star, taken + 1));
                (g, n) = (after_star, taken + 1);
            }
            (None, None) => return false,
        }
    }
    glob[g..].iter().all(|&byte| byte == b'*')
}

/// The length of the set at the start of `glob` and whether it has `byte`; `None` where the bracket never closes.
fn set_matches(glob: &[u8], byte: u8) -> Option<(usize, bool)> {
    let negated = glob.get(1) == Some(&b'!');
    let start = if negated { 2 } else { 1 };
    // A bracket that closes at once stands for itself.
    let end = start
        + 1
        + glob
            .get(start + 1..)?
            .iter()
            .position(|&byte| byte == b']')?;
    let set = &glob[start..end];
    let mut has = false;
    let mut i = 0;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == b'-' {
            has |= (set[i]..=set[i + 2]).contains(&byte);
            i += 3;
        } else {
            has |= set[i] == byte;
            i += 1;
        }
    }
    Some((end + 1, has != negated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_pythons_fnmatch() {
        // Each verdict is that of Python 3.11's `fnmatch.fnmatchcase(name, glob)`.
        let table = [
            ("one", "one", true),
            ("one", "one.two", false),
            ("*", "", true),
            ("*", "specific.ab!cd", true),
            ("specific.*!*", "specific.ab!cd", true),
            ("specific.*!*", "specific.ab", false),
            ("w?rker-*", "worker-12", true),
            ("w?rker-*", "wrker-12", false),
            ("*a*b", "aabab", true),
            ("*a*b", "aaba", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[!a-c]x", "dx", true),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[a-]", "-", true),
            ("[", "[", true),
            ("[a", "[a", true),
            ("[a", "a", false),
            ("", "", true),
            ("", "a", false),
            ("a**", "a", true),
            ("One", "one", false),
        ];
        for (glob, name, expected) in table {
            assert_eq!(
                glob_matches(glob.as_bytes(), name.as_bytes()),
                expected,
                "{glob} {name}"
            );
        }
    }

    #[test]
    fn the_first_pattern_that_matches_the_full_name_decides() {
        let limits = Limits::default()
            .capacity(7)
            .channel_capacity(Regex::new("work").unwrap(), 1)
            .channel_capacity("*er-?", 2)
            .channel_capacity("*", 3);
        let capacity = |name| limits.capacity_of(&ChannelName::parse(name).unwrap());
        assert_eq!(capacity("worker-1"), 1);
        assert_eq!(capacity("coworker-1"), 2);
        assert_eq!(capacity("x!worker-12"), 3);
        assert_eq!(
            Limits::default().capacity_of(&ChannelName::parse("a").unwrap()),
            100
        );
    }
}
