//! When something happened: kept as a number, written as a date.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, to the millisecond. Written as RFC 3339 in UTC with milliseconds: `2026-11-22T12:00:00.000Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    millis: i64,
}

impl Timestamp {
    /// The moment so many milliseconds after 1970. A number that is no date (a damaged row) reads as 1970, so that the
    /// rest can be read.
    pub const fn from_millis(millis: i64) -> Self {
        Self { millis }
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.millis
    }

    /// Now, by the system's clock.
    pub fn now() -> Self {
        Self::from_millis(jiff::Timestamp::now().as_millisecond())
    }

    /// How long ago this was, by this machine's clock; nothing, where that says it is yet to come.
    pub fn age(self) -> Duration {
        let age = Self::now().millis.saturating_sub(self.millis);
        Duration::from_millis(u64::try_from(age).unwrap_or_default())
    }

    /// Calls `read` with the moment as a date.
    fn with_text<T>(self, read: impl FnOnce(&str) -> T) -> T {
        thread_local! {
            /// Under load there are many dates of one millisecond.
            static LAST: RefCell<(i64, String)> = RefCell::new((0, date(0)));
        }
        fn date(millis: i64) -> String {
            let timestamp =
                jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            format!("{timestamp:.3}")
        }
        LAST.with_borrow_mut(|last| {
            if last.0 != self.millis {
                *last = (self.millis, date(self.millis));
            }
            read(&last.1)
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let date = String::deserialize(deserializer)?;
        let timestamp: jiff::Timestamp = date.parse().map_err(serde::de::Error::custom)?;
        Ok(Self::from_millis(timestamp.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_milliseconds_even_when_they_are_zero_and_reads_back() {
        for (millis, date) in [
            (1_795_348_800_000, "2026-11-22T12:00:00.000Z"),
            (1_795_348_800_007, "2026-11-22T12:00:00.007Z"),
        ] {
            let moment = Timestamp::from_millis(millis);
            assert_eq!(moment.to_string(), date);
            let json = serde_json::to_string(&moment).unwrap();
            assert_eq!(json, format!("\"{date}\""));
            assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), moment);
        }
    }

    #[test]
    fn a_number_that_is_no_date_reads_as_1970() {
        let text = Timestamp::from_millis(i64::MAX).to_string();
        assert_eq!(text, "1970-01-01T00:00:00.000Z");
    }
}
