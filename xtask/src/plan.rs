//! What is to be run, and how.

/// The steps to run, in order, and what the user said about them.
#[derive(Default)]
pub(crate) struct Plan {
    /// What is asked for, with what that needs.
    pub(crate) chosen: Vec<&'static str>,
    /// Left out by `--skip`: shown in the table, so that nothing goes missing unseen.
    pub(crate) skipped: Vec<&'static str>,
    /// How many messages each compression case of Autobahn sends.
    pub(crate) compression: Compression,
    /// What `pack` does with what it packed.
    pub(crate) packed: Packed,
    /// A running server for Autobahn, instead of `examples/echo`.
    pub(crate) url: Option<String>,
}

/// Autobahn's compression cases, which take half an hour as the suite has them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Compression {
    /// 50 messages a case: every payload size, fragmentation and parameter, less often.
    #[default]
    Short,
    /// 1,000 messages a case, as the suite has them.
    Full,
}

/// The page's packed files, which are committed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Packed {
    /// They have to be what the sources give.
    #[default]
    Compare,
    /// They are written anew.
    Write,
}
