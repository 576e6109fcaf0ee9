//! Results as Markdown tables, aligned so that they can be read in a terminal as well.

use std::fmt::Write as _;

use super::measure::figure;
use super::results::{Results, Run, Spread};
use super::scenario::{Kind, Pace, Scenario};
use super::server::{REFERENCE, SERVERS};

/// A column: its head, and a cell for a server.
type Column = (&'static str, Box<dyn Fn(&Results, &str) -> Option<String>>);

/// One scenario: a heading, a table, and what went wrong.
pub(super) fn scenario(results: &Results) -> String {
    let Ok(scenario) = Scenario::parse(&results.scenario) else {
        return String::new();
    };
    let mut text = format!("### `{}`: {}\n\n", scenario.name, scenario.what());
    let columns = columns(scenario.kind);
    let mut rows = vec![vec!["server".to_owned()]];
    rows[0].extend(columns.iter().map(|(head, _)| (*head).to_owned()));
    for server in SERVERS
        .iter()
        .filter(|server| results.of(server.name).any(|run| run.error.is_none()))
    {
        let cell =
            |(_, cell): &Column| cell(results, server.name).unwrap_or_else(|| "-".to_owned());
        let mut row = vec![server.name.to_owned()];
        row.extend(columns.iter().map(cell));
        rows.push(row);
    }
    text.push_str(&markdown(&rows));
    for server in SERVERS {
        text.extend(acknowledgements(results, server.name));
    }
    for run in &results.runs {
        if let Some(error) = &run.error {
            let _ = write!(
                text,
                "\n`{}` failed in round {}: {error}.\n",
                run.server, run.round
            );
        }
    }
    for (server, why) in &results.left_out {
        let _ = write!(text, "\n`{server}` is left out: {why}.\n");
    }
    text
}

/// How fast who speaks hears that it is stored, where they do.
fn acknowledgements(results: &Results, server: &str) -> Option<String> {
    let median = |name| Some(number(results.figure(server, name)?.median));
    Some(format!(
        "\n`{server}` acknowledges {} messages a second; p50 {} ms, p99 {}, p99.9 {}.\n",
        median("acks_per_second")?,
        median("ms_to_ack_p50")?,
        median("ms_to_ack_p99")?,
        median("ms_to_ack_p999")?,
    ))
}

/// One run in a few words.
pub(super) fn in_short(run: &Run) -> String {
    let parts = [
        ("deliveries_per_second", 1e-3, "k/s"),
        ("cpu_seconds_per_million", 1.0, "s/M"),
        ("ms_to_last_p50", 1.0, "ms"),
        ("connects_per_second", 1.0, "connects/s"),
        ("rss_bytes_per_connection", 1.0, "B each"),
        ("generator_cores", 1.0, "generator cores"),
    ];
    let words = parts.iter().filter_map(|(name, scale, unit)| {
        let value = figure(&run.figures, name)? * scale;
        Some(format!("{} {unit}", number(value)))
    });
    words.collect::<Vec<_>>().join(", ")
}

fn columns(kind: Kind) -> Vec<Column> {
    match kind {
        Kind::Talk {
            pace: Pace::UnderWay(_),
            ..
        } => vec![
            value("k/s", "deliveries_per_second", 1e-3),
            ratio("ratio", "deliveries_per_second"),
            value("CPU s/M", "cpu_seconds_per_million", 1.0),
            ratio("ratio", "cpu_seconds_per_million"),
            value("p50 ms", "ms_to_last_p50", 1.0),
            value("p99", "ms_to_last_p99", 1.0),
            value("p99.9", "ms_to_last_p999", 1.0),
            syscalls(),
            value("server cores", "server_cores", 1.0),
            value("generator", "generator_cores", 1.0),
        ],
        Kind::Talk { .. } => vec![
            value("k/s", "deliveries_per_second", 1e-3),
            value("CPU s/M", "cpu_seconds_per_million", 1.0),
            ratio("ratio", "cpu_seconds_per_million"),
            value("p50 ms", "ms_to_last_p50", 1.0),
            ratio("ratio", "ms_to_last_p50"),
            value("p99", "ms_to_last_p99", 1.0),
            ratio("ratio", "ms_to_last_p99"),
            value("p99.9", "ms_to_last_p999", 1.0),
            syscalls(),
            value("generator", "generator_cores", 1.0),
        ],
        Kind::Idle => vec![
            value("RSS bytes each", "rss_bytes_per_connection", 1.0),
            ratio("ratio", "rss_bytes_per_connection"),
            value("RSS MB", "rss_bytes", 1e-6),
            value(
                "CPU µs each and second",
                "cpu_us_per_connection_second",
                1.0,
            ),
            value("connects/s, cold", "connects_per_second", 1.0),
        ],
        Kind::Connects => vec![
            value("connects/s", "connects_per_second", 1.0),
            ratio("ratio", "connects_per_second"),
            value("CPU µs each", "cpu_us_per_connect", 1.0),
            ratio("ratio", "cpu_us_per_connect"),
        ],
        Kind::Churn => vec![
            (
                "RSS MB with nobody: first, after each time",
                Box::new(|results, server| series(results, server, "rss_without")),
            ),
            (
                "RSS MB with all, each time",
                Box::new(|results, server| series(results, server, "rss_with")),
            ),
        ],
    }
}

fn value(head: &'static str, name: &'static str, scale: f64) -> Column {
    let cell = move |results: &Results, server: &str| {
        Some(number(results.figure(server, name)?.median * scale))
    };
    (head, Box::new(cell))
}

fn ratio(head: &'static str, name: &'static str) -> Column {
    let cell = move |results: &Results, server: &str| {
        let Spread { median, min, max } = results.ratio(server, name)?;
        Some(match server {
            REFERENCE => "1".to_owned(),
            _ if results.of(server).count() == 1 => format!("{median:.2}"),
            _ => format!("{median:.2} ({min:.2}-{max:.2})"),
        })
    };
    (head, Box::new(cell))
}

fn syscalls() -> Column {
    let cell = |results: &Results, server: &str| {
        results
            .syscalls
            .get(server)
            .map(|count| format!("{count:.2}"))
    };
    ("calls each", Box::new(cell))
}

/// Of the last round.
fn series(results: &Results, server: &str, name: &str) -> Option<String> {
    let run = results
        .of(server)
        .filter(|run| run.error.is_none())
        .last()?;
    let values = run.figures.get(name)?.as_array()?;
    let megabytes = values
        .iter()
        .filter_map(|value| Some(format!("{:.0}", value.as_f64()? / 1e6)));
    Some(megabytes.collect::<Vec<_>>().join(" "))
}

/// Three digits that mean something.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The first row is the head; the first column is words, the others are figures.
pub(super) fn markdown(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
            .max(3)
    };
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let width = width(column);
            let _ = if column == 0 {
                write!(text, "| {cell:<width$} ")
            } else {
                write!(text, "| {cell:>width$} ")
            };
        }
        text.push_str("|\n");
        if index == 0 {
            for column in 0..row.len() {
                let dashes = "-".repeat(width(column) - usize::from(column > 0));
                let _ = write!(text, "| {dashes}{} ", if column > 0 { ":" } else { "" });
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown_and_aligned() {
        let rows = [["server", "k/s"], ["bun", "451"], ["uws", "1451"]]
            .map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            markdown(&rows),
            "| server |  k/s |\n| ------ | ---: |\n| bun    |  451 |\n| uws    | 1451 |\n"
        );
    }

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.0, 0.0123, 2.1789, 21.789, 217.89, 21789.0].map(number);
        assert_eq!(shown, ["0", "0.012", "2.18", "21.8", "218", "21789"]);
    }
}
