//! Secrets that are values of their own: they are read and used, and never shown.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::notation::{List, Notation, Written};

/// A text that nobody is shown: empty, or too long to be guessed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(#[serde(with = "SecretText")] String);

impl Secret {
    /// Fewer characters could be guessed.
    const SHORTEST: usize = 16;

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, for whoever compares it; empty where there is none.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { "***" })
    }
}

struct SecretText;

impl Notation<String> for SecretText {
    const EXPECTED: &'static str = "a text of at least 16 characters, or an empty one";

    fn read(written: Written<'_>) -> Option<String> {
        match written {
            Written::Text(text) if text.is_empty() || text.chars().count() >= Secret::SHORTEST => {
                Some(text.into_owned())
            }
            _ => None,
        }
    }

    fn write(value: &String) -> Written<'_> {
        Written::Text(value.into())
    }
}

/// Secrets, of which nothing prints but how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|_| "***"))
            .finish()
    }
}

impl Notation<Secrets> for List {
    const EXPECTED: &'static str = "a list of texts";

    fn read(written: Written<'_>) -> Option<Secrets> {
        <Self as Notation<Vec<String>>>::read(written).map(Secrets)
    }

    fn write(value: &Secrets) -> Written<'_> {
        <Self as Notation<Vec<String>>>::write(&value.0)
    }
}

/// The keys whose values are secrets.
pub(super) fn is_secret(key: &str) -> bool {
    matches!(key, "layer.encryption_keys" | "status.token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown_and_never_short() {
        let secret = Secret("correct horse battery".into());
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(SecretText::read(Written::Text("too short".into())), None);
    }
}
