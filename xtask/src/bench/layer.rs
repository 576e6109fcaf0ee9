//! `cargo xtask bench --layer`: events from process to process over Redis, beside `channels_redis`. The program that does
//! it is `bench/layer`.

use anyhow::Result;

use super::options::Options;
use super::peers::{self, Needs};
use crate::command::{cargo, cmd, in_target};

/// Where `--write-docs` puts the tables.
const PAGE: &str = "docs/layer-results.md";

/// Measures and prints; the program itself fails where Roomful lost something.
pub(super) fn run(options: &Options) -> Result<()> {
    cargo(&["build", "--release", "--package", "layer"]).run()?;
    let mut layer = cmd(in_target("release/layer")?).args(&[
        "run",
        "--rounds",
        &options.rounds.to_string(),
        "--seconds",
        &options.seconds.to_string(),
    ]);
    match peers::provide(Needs::Python) {
        Ok(()) => layer = layer.arg("--python").arg(peers::python()?),
        Err(error) => println!("channels_redis is left out: {error:#}"),
    }
    if options.write_docs {
        layer = layer.args(&["--markdown", PAGE]);
    }
    layer.run()
}
