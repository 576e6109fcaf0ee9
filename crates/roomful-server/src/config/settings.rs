//! Every key, the value that wins so far, and where that comes from.
//!
//! Every value is tried alone upon the defaults as soon as it is read, so that an error is about that value and can say
//! where it stands. What is known is not listed anywhere: it is what the default configuration has.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use serde::Deserialize as _;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Table, Value};

use super::error::nearest;
use super::secret::is_secret;
use super::{Config, ConfigError, Source};
use crate::redact::hide_secrets;

/// Every key there is, in the order of the structs, with the value that wins so far. Its `Display` is TOML with each value's
/// source as a comment, secrets hidden.
#[derive(Clone, Debug)]
pub(super) struct Settings(Vec<Setting>);

#[derive(Clone)]
struct Setting {
    /// Dotted: `history.url`.
    key: String,
    value: Value,
    source: Source,
}

impl fmt::Debug for Setting {
    /// Secrets hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} = {} ({})",
            self.key,
            shown(&self.key, &self.value),
            self.source
        )
    }
}

impl Default for Settings {
    fn default() -> Self {
        let text =
            toml::to_string(&Config::default()).expect("the defaults can be written as TOML");
        let table = DeTable::parse(&text).expect("what was written as TOML is TOML");
        let setting = |entry: Entry<'_>| Setting {
            key: entry.key,
            value: to_value(entry.value).expect("what was written as TOML is within its bounds"),
            source: Source::Default,
        };
        Self(entries(table.get_ref()).into_iter().map(setting).collect())
    }
}

impl Settings {
    pub(super) fn read_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let line_at = |offset| {
            1 + text
                .bytes()
                .take(offset)
                .filter(|byte| *byte == b'\n')
                .count()
        };
        let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            path: path.into(),
            line: line_at(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        for Entry { key, at, value } in entries(table.get_ref()) {
            let place = Source::File {
                path: path.into(),
                line: line_at(at),
            };
            if !self.knows(&key) {
                if self.has_table(&key) && value.get_ref().is_table() {
                    continue;
                }
                return Err(ConfigError::UnknownKey {
                    place: place.to_string(),
                    nearest: self.nearest(&key),
                    key,
                });
            }
            let written = &text[value.span()];
            let value = to_value(value).map_err(|_| bad_value(&key, written, &place, NUMBERS))?;
            self.set(&key, [value], place)?;
        }
        Ok(())
    }

    pub(super) fn read_environment(
        &mut self,
        environment: Vec<(OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        // RUST_LOG wins, so it is read last, wherever it stands.
        let (rust_log, ours): (Vec<_>, Vec<_>) = environment
            .into_iter()
            .partition(|(name, _)| name == "RUST_LOG");
        let rust_log = rust_log
            .into_iter()
            .filter(|(_, filter)| !filter.is_empty());
        for (name, value) in ours.into_iter().chain(rust_log) {
            // A name that is not Unicode may still be ours; with replacement characters it is no known key either.
            let name = name.to_string_lossy();
            let Some(key) = key_of(&name) else {
                continue;
            };
            let Ok(value) = value.into_string() else {
                return Err(ConfigError::NotUnicode {
                    name: name.into_owned(),
                });
            };
            if !self.knows(&key) {
                let as_variable = |key: String| {
                    format!("ROOMFUL_{}", key.replace('.', "__").to_ascii_uppercase())
                };
                return Err(ConfigError::UnknownKey {
                    place: "the environment".into(),
                    nearest: self.nearest(&key).map(as_variable),
                    key: name.into_owned(),
                });
            }
            self.set_text(&key, &value, Source::Environment(name.into_owned()))?;
        }
        Ok(())
    }

    /// Sets a known key to what `text` means, where everything is text: in the environment and in flags.
    pub(super) fn set_text(
        &mut self,
        key: &str,
        text: &str,
        source: Source,
    ) -> Result<(), ConfigError> {
        let is_list = self
            .get(key)
            .is_some_and(|setting| setting.value.is_array());
        if is_list {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            return self.set(key, [items.collect::<Vec<_>>().into()], source);
        }
        let number = text.parse::<i64>().ok().map(Value::from);
        let switch = text.parse::<bool>().ok().map(Value::from);
        let readings = [Some(Value::from(text)), number, switch];
        self.set(key, readings.into_iter().flatten(), source)
    }

    /// Sets a known key to the first of `readings` that it can have.
    fn set(
        &mut self,
        key: &str,
        readings: impl IntoIterator<Item = Value>,
        source: Source,
    ) -> Result<(), ConfigError> {
        let mut refused = None;
        for value in readings {
            let mut alone = Self::default();
            alone.put(key, value.clone(), source.clone());
            match alone.to_config() {
                Ok(_) => {
                    self.put(key, value, source);
                    return Ok(());
                }
                Err(error) => {
                    refused.get_or_insert_with(|| {
                        bad_value(key, &shown(key, &value), &source, error.message())
                    });
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    fn put(&mut self, key: &str, value: Value, source: Source) {
        let setting = self.0.iter_mut().find(|setting| setting.key == key);
        let setting = setting.expect("only known keys are set");
        setting.value = value;
        setting.source = source;
    }

    fn get(&self, key: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.key == key)
    }

    fn knows(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn has_table(&self, key: &str) -> bool {
        let inside = |setting: &Setting| {
            setting
                .key
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        self.0.iter().any(inside)
    }

    fn nearest(&self, key: &str) -> Option<String> {
        nearest(key, self.0.iter().map(|setting| setting.key.as_str())).map(str::to_owned)
    }

    /// What all the settings together say, each of them already known to be good on its own.
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        let config = self
            .to_config()
            .expect("each value was tried when it was set");
        let Some((key, must, other)) = config.contradiction() else {
            return Ok(config);
        };
        let told = |key| {
            let setting = self.get(key).expect("contradictions are about known keys");
            format!(
                "`{key}` = {} ({})",
                shown(key, &setting.value),
                setting.source
            )
        };
        Err(ConfigError::Contradiction {
            first: told(key),
            must,
            second: told(other),
        })
    }

    fn to_config(&self) -> Result<Config, toml::de::Error> {
        let mut table = Table::new();
        for Setting { key, value, .. } in &self.0 {
            match key.split_once('.') {
                None => table.insert(key.clone(), value.clone()),
                Some((subject, name)) => {
                    match table.entry(subject).or_insert_with(|| Table::new().into()) {
                        Value::Table(inner) => inner.insert(name.to_owned(), value.clone()),
                        _ => None,
                    }
                }
            };
        }
        Config::deserialize(table)
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = "";
        for Setting { key, value, source } in &self.0 {
            let (of, name) = key.split_once('.').unwrap_or(("", key));
            if of != table {
                writeln!(f, "\n[{of}]")?;
                table = of;
            }
            let line = format!("{name} = {}", shown(key, value));
            writeln!(f, "{line:<34} # {source}")?;
        }
        Ok(())
    }
}

/// One key of a TOML document, and where it stands in it.
struct Entry<'i> {
    key: String,
    at: usize,
    value: Spanned<DeValue<'i>>,
}

/// All keys that have a value, in the order of the document. A table without keys is a value.
fn entries<'i>(table: &DeTable<'i>) -> Vec<Entry<'i>> {
    fn collect<'i>(table: &DeTable<'i>, prefix: &str, found: &mut Vec<Entry<'i>>) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) if !inner.is_empty() => {
                    collect(inner, &format!("{key}."), found)
                }
                _ => found.push(Entry {
                    key,
                    at: name.span().start,
                    value: value.clone(),
                }),
            }
        }
    }
    let mut found = Vec::new();
    collect(table, "", &mut found);
    found.sort_by_key(|entry| entry.at);
    found
}

/// The only values that TOML can write and its types cannot hold.
const NUMBERS: &str = "expected a number between -2^63 and 2^63";

fn to_value(value: Spanned<DeValue<'_>>) -> Result<Value, toml::de::Error> {
    Value::deserialize(ValueDeserializer::from(value))
}

/// As TOML, secrets hidden.
fn shown(key: &str, value: &Value) -> String {
    fn hide(value: &Value) -> Value {
        match value {
            Value::String(text) => hide_secrets(text).into(),
            Value::Array(items) => items.iter().map(hide).collect::<Vec<_>>().into(),
            other => other.clone(),
        }
    }
    match value {
        Value::String(text) if is_secret(key) && !text.is_empty() => r#""***""#.into(),
        Value::Array(items) if is_secret(key) && !items.is_empty() => r#"["***"]"#.into(),
        other => hide(other).to_string(),
    }
}

fn bad_value(key: &str, value: &str, place: &Source, message: &str) -> ConfigError {
    // Serde repeats the value before it says what was expected, and does not know of secrets.
    let reason = match message.rsplit_once("expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => message.to_owned(),
    };
    let value = match is_secret(key) {
        true => "what stands there".into(),
        false => hide_secrets(value),
    };
    ConfigError::BadValue {
        key: key.to_owned(),
        value,
        place: place.to_string(),
        reason,
    }
}

/// The key that an environment variable sets, known or not; `None` where it is no business of ours.
fn key_of(variable: &str) -> Option<String> {
    if variable == "RUST_LOG" {
        return Some("log".into());
    }
    let key = variable.strip_prefix("ROOMFUL_")?;
    // Kubernetes gives these to every container beside a service that is called `roomful`.
    let is_kubernetes = matches!(key, "SERVICE_HOST" | "PORT")
        || key.starts_with("SERVICE_PORT")
        || key
            .strip_prefix("PORT_")
            .is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
    // The name of the file is the flag's other spelling, and long since read.
    let is_file = key == "CONFIG";
    (!is_kubernetes && !is_file).then(|| key.to_ascii_lowercase().replace("__", "."))
}
