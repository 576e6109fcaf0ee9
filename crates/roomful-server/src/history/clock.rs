//! What time it is, for the dates that are shown. Order, repeats and time-outs never depend on it.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a store's dates come from: the system's clock, or another for tests.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Milliseconds since 1970; a clock before that counts as 1970.
    pub(super) fn now_ms(&self) -> i64 {
        let since = (self.0)().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for Clock {
    /// The system's clock.
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// RFC 3339 in UTC with milliseconds. A number that is no date (a damaged row) reads as 1970, so that the rest can be read.
pub(super) fn rfc3339(ms: i64) -> String {
    thread_local! {
        /// Under load there are many dates of one millisecond.
        static LAST: RefCell<(i64, String)> = RefCell::new((0, write(0)));
    }
    fn write(ms: i64) -> String {
        let timestamp =
            jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        format!("{timestamp:.3}")
    }
    LAST.with_borrow_mut(|last| {
        if last.0 != ms {
            *last = (ms, write(ms));
        }
        last.1.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_milliseconds_even_when_they_are_zero() {
        assert_eq!(rfc3339(1_795_348_800_000), "2026-11-22T12:00:00.000Z");
        assert_eq!(rfc3339(1_795_348_800_007), "2026-11-22T12:00:00.007Z");
    }
}
