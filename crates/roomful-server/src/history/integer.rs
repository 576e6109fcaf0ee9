//! Numbers of events as SQL keeps them: its integers have a sign, and our numbers have none.

/// No number that was stored is under 0.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// What is over the largest integer is over every number in the log too.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
