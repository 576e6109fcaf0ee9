//! The Autobahn test suite against `examples/echo`, or any other echo server.
//!
//! The suite connects once for each of its 517 cases and writes a report for people (HTML) and one for programs (JSON). We
//! read the latter, and demand everything: NON-STRICT and UNIMPLEMENTED fail as FAILED does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::command::{Running, cmd, in_target, target};
use crate::plan::{Compression, Plan};

/// How many cases there are; fewer in the reports means that the server went away.
const CASES: usize = 517;

/// Cases for which the standard leaves the outcome open, and that the suite therefore only reports.
const OPEN: [&str; 3] = ["7.1.6", "7.13.1", "7.13.2"];

/// The cases in two halves of about the same length, because the suite, not the server, is what takes the time.
const HALVES: [&[&str]; 2] = [
    &[
        "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.*",
    ],
    &["13.*"],
];

/// One case's result.
struct Verdict {
    case: String,
    behavior: String,
    /// How the connection ended.
    close: String,
}

impl Verdict {
    fn is_good(&self) -> bool {
        let open = OPEN.contains(&self.case.as_str());
        let good = |word: &str| word == "OK" || (open && word == "INFORMATIONAL");
        good(&self.behavior) && good(&self.close)
    }
}

/// Runs all cases and judges them.
pub(crate) fn run(plan: &Plan) -> Result<()> {
    let reports = in_target("autobahn/reports")?;
    if reports.exists() {
        fs::remove_dir_all(&reports).context("removing the old reports")?;
    }
    let verdicts = match &plan.url {
        Some(url) => test(url, plan.compression, &reports)?,
        None => {
            let (_echo, url) = cmd(target().join("release/examples/echo"))
                .arg("127.0.0.1:0")
                .start_server()?;
            test(&url.replacen("http", "ws", 1), plan.compression, &reports)?
        }
    };
    judge(&verdicts)?;
    println!("reports: {}/*/index.html", reports.display());
    Ok(())
}

fn test(url: &str, compression: Compression, reports: &Path) -> Result<Vec<Verdict>> {
    let folders: Vec<_> = (1..=HALVES.len())
        .map(|n| reports.join(n.to_string()))
        .collect();
    let start = |(folder, cases): (&PathBuf, &&[&str])| start(url, cases, compression, folder);
    let running: Vec<_> = folders
        .iter()
        .zip(&HALVES)
        .map(start)
        .collect::<Result<_>>()?;
    running.into_iter().try_for_each(Running::wait)?;
    let mut verdicts = Vec::new();
    for folder in &folders {
        read(&folder.join("index.json"), &mut verdicts)?;
    }
    Ok(verdicts)
}

fn start(url: &str, cases: &[&str], compression: Compression, folder: &Path) -> Result<Running> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let spec = folder.join("spec.json");
    let content = json!({
        "outdir": folder,
        "servers": [{"agent": "roomful", "url": url}],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    fs::write(&spec, content.to_string()).with_context(|| format!("writing {}", spec.display()))?;
    let messages = match compression {
        Compression::Short => "50",
        Compression::Full => "0",
    };
    let python = cmd(in_target("autobahn/env/bin/python")?);
    python
        .arg("xtask/autobahn/fuzz.py")
        .arg(&spec)
        .arg(messages)
        .start_into(&folder.join("log.txt"))
}

/// Reads a report: `{"roomful": {"1.1.1": {"behavior": "OK", "behaviorClose": "OK", …}, …}}`.
fn read(index: &Path, verdicts: &mut Vec<Verdict>) -> Result<()> {
    let text = fs::read_to_string(index).with_context(|| {
        format!(
            "the suite left no {}: see log.txt beside it",
            index.display()
        )
    })?;
    let report: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_str(&text).with_context(|| format!("reading {}", index.display()))?;
    for (case, result) in report.into_values().flatten() {
        let word = |field| result[field].as_str().unwrap_or("missing").to_owned();
        verdicts.push(Verdict {
            behavior: word("behavior"),
            close: word("behaviorClose"),
            case,
        });
    }
    Ok(())
}

/// Prints how often each behaviour was seen, and fails where one is not as it should be.
fn judge(verdicts: &[Verdict]) -> Result<()> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for verdict in verdicts {
        *counts.entry(&verdict.behavior).or_default() += 1;
    }
    println!();
    for (behavior, count) in &counts {
        println!("{behavior:<14} {count:>4}");
    }
    println!("{:<14} {:>4}", "cases", verdicts.len());
    let bad: Vec<_> = verdicts
        .iter()
        .filter(|verdict| !verdict.is_good())
        .collect();
    for Verdict {
        case,
        behavior,
        close,
    } in &bad
    {
        println!("case {case}: {behavior}, and its close {close}");
    }
    if verdicts.len() != CASES {
        bail!(
            "{} of {CASES} cases were run: the server went away, or the suite is another version",
            verdicts.len()
        );
    }
    if !bad.is_empty() {
        bail!(
            "{} of {CASES} Autobahn cases are not as they should be",
            bad.len()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(case: &str, behavior: &str, close: &str) -> Verdict {
        Verdict {
            case: case.to_owned(),
            behavior: behavior.to_owned(),
            close: close.to_owned(),
        }
    }

    #[test]
    fn only_ok_is_good_but_where_the_standard_leaves_it_open() {
        assert!(verdict("1.1.1", "OK", "OK").is_good());
        assert!(verdict("7.1.6", "INFORMATIONAL", "INFORMATIONAL").is_good());
        assert!(!verdict("1.1.1", "INFORMATIONAL", "OK").is_good());
        assert!(!verdict("3.2", "NON-STRICT", "OK").is_good());
        assert!(!verdict("7.1.6", "FAILED", "OK").is_good());
        assert!(!verdict("1.1.1", "OK", "WRONG CODE").is_good());
    }
}
