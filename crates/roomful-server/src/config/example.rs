//! `roomful.example.toml` is the doc comments and defaults of the structs in `mod.rs`, and this holds them together.
//! `UPDATE_EXAMPLE=1 cargo test -p roomful-server example` writes it anew.

use std::fmt::Write as _;
use std::fs;

use super::{Config, ConfigFile, Sources, load};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../roomful.example.toml");

const HEAD: &str = "\
# Everything that can be set, with its default. Every line is optional: without a file, the server runs like this.
# `roomful --config roomful.toml` reads a file; without the flag it is ./roomful.toml, if there is one.
# Over the file stands the environment (ROOMFUL_LISTEN, ROOMFUL_HISTORY__URL; lists with commas), over that stand flags.
# `roomful config` prints what is in force and where each value comes from, `roomful check` says whether it would start.
";

#[test]
fn the_example_file_says_what_the_structs_say() {
    let expected = example();
    if std::env::var_os("UPDATE_EXAMPLE").is_some() {
        fs::write(PATH, &expected).unwrap();
    }
    let found = fs::read_to_string(PATH).unwrap();
    assert!(
        found == expected,
        "run UPDATE_EXAMPLE=1 cargo test -p roomful-server example"
    );
}

#[test]
fn the_example_file_is_the_defaults() {
    let file = ConfigFile::Named(PATH.into());
    let loaded = load(Sources {
        file,
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(
        !loaded.to_string().contains("# default"),
        "a key is not in the example"
    );
}

fn example() -> String {
    let structs = include_str!("mod.rs");
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let mut example = HEAD.to_owned();
    write_struct(&mut example, structs, "Config", &defaults);
    for field in fields(structs, "Config") {
        if let Some(toml::Value::Table(defaults)) = defaults.get(field.name) {
            write!(example, "\n{}[{}]\n", field.comment, field.name).unwrap();
            write_struct(&mut example, structs, field.kind, defaults);
        }
    }
    example
}

fn write_struct(example: &mut String, structs: &str, name: &str, defaults: &toml::Table) {
    for field in fields(structs, name) {
        let default = &defaults[field.name];
        if !default.is_table() {
            write!(example, "\n{}{} = {default}\n", field.comment, field.name).unwrap();
        }
    }
}

struct Field<'a> {
    /// The doc comment, as TOML comments.
    comment: String,
    name: &'a str,
    kind: &'a str,
}

/// The fields of a struct, by its source, which rustfmt has brought into one shape.
fn fields<'a>(structs: &'a str, name: &str) -> Vec<Field<'a>> {
    let (_, body) = structs
        .split_once(&format!("pub struct {name} {{\n"))
        .unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let mut comment = String::new();
    let mut fields = Vec::new();
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            writeln!(comment, "#{text}").unwrap();
        } else if let Some((name, kind)) = line
            .strip_prefix("pub ")
            .and_then(|line| line.split_once(": "))
        {
            let comment = std::mem::take(&mut comment);
            let kind = kind.trim_end_matches(',');
            fields.push(Field {
                comment,
                name,
                kind,
            });
        }
    }
    fields
}
