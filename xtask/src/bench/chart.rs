//! The chart: CPU seconds per million deliveries, a panel for each scenario, a bar for each server.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::results::{Results, Spread};
use super::scenario::Scenario;
use super::server::{LIMIT, REFERENCE, SERVERS};
use super::table::number;
use crate::command::in_target;

const PANEL_WIDTH: usize = 470;
const BAR: usize = 18;
const HEAD: usize = 44;
const LABEL: usize = 100;
/// The longest bar; what is right of it is for the figure.
const LONGEST: f64 = 290.0;
const FIGURE: &str = "cpu_seconds_per_million";

/// Writes the chart beside the results.
pub(super) fn save(all: &[Results]) -> Result<PathBuf> {
    let file = in_target("bench/fan-out.svg")?;
    fs::write(&file, svg(all)).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

/// Two panels side by side.
pub(super) fn svg(all: &[Results]) -> String {
    let panels: Vec<_> = all
        .iter()
        .filter(|results| !bars(results).is_empty())
        .collect();
    let (mut body, mut top) = (String::new(), 40);
    for pair in panels.chunks(2) {
        for (place, results) in pair.iter().enumerate() {
            let _ = write!(
                body,
                r#"<g transform="translate({} {top})">"#,
                10 + place * PANEL_WIDTH
            );
            panel(&mut body, results);
            body.push_str("</g>\n");
        }
        let most = pair
            .iter()
            .map(|results| bars(results).len())
            .max()
            .unwrap_or(0);
        top += HEAD + most * BAR + 16;
    }
    let width = 20 + 2 * PANEL_WIDTH;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" font-family="sans-serif" font-size="12" fill="#222">
<rect width="{width}" height="{top}" fill="#fff"/>
<text x="10" y="24" font-size="15" font-weight="bold">Server CPU seconds per million deliveries: shorter is better; the line is from the best round to the worst</text>
{body}</svg>
"##
    )
}

fn panel(body: &mut String, results: &Results) {
    let what = Scenario::parse(&results.scenario)
        .map(|scenario| scenario.what())
        .unwrap_or_default();
    let _ = writeln!(
        body,
        r##"<text y="14" font-weight="bold">{}</text><text y="30" fill="#666" font-size="11">{what}</text>"##,
        results.scenario
    );
    let bars = bars(results);
    let most = bars
        .iter()
        .map(|(_, spread)| spread.max)
        .fold(0.0, f64::max);
    let long = |value: f64| value / most * LONGEST;
    for (index, (server, Spread { median, min, max })) in bars.iter().enumerate() {
        let y = HEAD + index * BAR;
        let colour = match *server {
            REFERENCE => "#c2410c",
            name if name.starts_with(LIMIT) => "#9ca3af",
            "v1" | "sqlite" | "library" | "library-event" => "#fdba74",
            _ => "#60a5fa",
        };
        let _ = writeln!(
            body,
            r##"<text x="{label}" y="{text}" text-anchor="end">{server}</text><rect x="{x}" y="{y}" width="{w:.1}" height="{h}" fill="{colour}"/><path d="M{from:.1} {middle}H{to:.1}" stroke="#222"/><text x="{end:.1}" y="{text}">{figure}</text>"##,
            label = LABEL - 6,
            text = y + 12,
            x = LABEL,
            w = long(*median),
            h = BAR - 4,
            from = LABEL as f64 + long(*min),
            to = LABEL as f64 + long(*max),
            middle = y + BAR / 2 - 2,
            end = LABEL as f64 + long(*max) + 6.0,
            figure = number(*median),
        );
    }
}

fn bars(results: &Results) -> Vec<(&'static str, Spread)> {
    let bar =
        |server: &super::server::Server| Some((server.name, results.figure(server.name, FIGURE)?));
    SERVERS.iter().filter_map(bar).collect()
}
