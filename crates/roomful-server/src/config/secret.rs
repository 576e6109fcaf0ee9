//! Secrets that are values of their own: they are read and used, and never shown.

use std::fmt;

use super::notation::{List, Notation, Written};

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
    key == "layer.encryption_keys"
}
