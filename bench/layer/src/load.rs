//! What is measured: whose layer, under which load, and what one measurement found.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

/// What to measure, and how long.
#[derive(Args)]
pub(crate) struct Run {
    /// A Python with `channels_redis`; without it, Roomful is measured alone.
    #[arg(long)]
    pub(crate) python: Option<PathBuf>,
    /// How often each is measured, in turn.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// How long each is measured.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Events a second of the open loop.
    #[arg(long, default_value_t = 5000.0)]
    pub(crate) rate: f64,
    /// What to measure: between two processes, to the members of one, or both.
    #[arg(long, value_delimiter = ',', default_values = ["node-to-node", "group"])]
    pub(crate) what: Vec<String>,
    /// A file for the tables, besides the terminal.
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
}

/// A layer that is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subject {
    pub(crate) is_ours: bool,
    pub(crate) dialect: &'static str,
}

/// What is asked of it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Load {
    /// One member hears what is said at a rate.
    Open,
    /// One member hears what is said as fast as it goes.
    Most,
    /// So many members hear what is said now and then.
    Group(usize),
}

/// What one measurement found.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) said: Value,
    pub(crate) heard: Value,
    /// Redis' CPU time, and its commands by name, from before the first event to after the last.
    pub(crate) redis_cpu: f64,
    pub(crate) commands: BTreeMap<String, u64>,
}

/// Groups of this many members are compared.
pub(crate) const GROUPS: [usize; 2] = [10, 10_000];
impl Subject {
    pub(crate) fn name(self) -> String {
        let whose = if self.is_ours {
            "Roomful"
        } else {
            "channels_redis"
        };
        format!("{whose} {}", self.dialect)
    }
}
