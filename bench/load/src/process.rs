//! What the kernel says of the server: its process and all that came of it.

use std::collections::HashMap;
use std::fs;

/// A server's processes, as one.
#[derive(Clone, Copy)]
pub(crate) struct Server {
    pid: u32,
}

impl Server {
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// CPU time so far of all threads that are still there, in seconds.
    pub(crate) fn cpu_seconds(self) -> f64 {
        self.processes().into_iter().map(of_threads).sum()
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_bytes(self) -> u64 {
        let of = |pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            kilobytes.unwrap_or(0_u64) * 1024
        };
        self.processes().into_iter().map(of).sum()
    }

    fn processes(self) -> Vec<u32> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            if let Some(parent) = field(&stat, 4) {
                children.entry(parent as u32).or_default().push(pid);
            }
        }
        let mut found = vec![self.pid];
        let mut next = 0;
        while let Some(pid) = found.get(next) {
            found.extend(
                children
                    .get(pid)
                    .into_iter()
                    .flatten()
                    .copied()
                    .collect::<Vec<_>>(),
            );
            next += 1;
        }
        found
    }
}

/// CPU time of our own, in seconds.
pub(crate) fn own_cpu_seconds() -> f64 {
    of_threads(std::process::id())
}

fn of_threads(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let nanoseconds: u64 = tasks
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum();
    nanoseconds as f64 / 1e9
}

/// A field of `/proc/PID/stat` by its number in proc(5); the name in parentheses, which may hold anything, is the second.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(number - 3)?.parse().ok()
}
