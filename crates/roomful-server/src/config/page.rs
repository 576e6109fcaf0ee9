//! Notations of what the pages are told: the sites that may show a room, and the secret of the status page.

use std::fmt;

use roomful::origin::AllowedOrigins;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::notation::{Notation, Written};

/// Sites that may show a room, in the notation of `origins.allowed`.
pub(super) struct Sites;

impl Notation<Vec<String>> for Sites {
    const EXPECTED: &'static str = r#"a list of sites, such as ["https://example.org", ".example.com", "localhost:3000"], or ["*"]"#;

    fn read(written: Written<'_>) -> Option<Vec<String>> {
        let Written::List(list) = written else {
            return None;
        };
        // A policy has no notation for IPv6 addresses: a browser would read such a site as no site.
        let good = list.iter().all(|site| !site.contains('['));
        (good && AllowedOrigins::list(&*list).is_ok()).then(|| list.into_owned())
    }

    fn write(value: &Vec<String>) -> Written<'_> {
        Written::List(value.into())
    }
}

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

    /// Whether `given` is the secret; how long that takes to tell says nothing of it. Nothing is an empty one.
    pub fn is(&self, given: &str) -> bool {
        !self.is_empty() && Sha256::digest(given) == Sha256::digest(&self.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sites(list: &[&str]) -> Option<Vec<String>> {
        let list: Vec<String> = list.iter().map(|site| (*site).to_owned()).collect();
        Sites::read(Written::List(list.into()))
    }

    #[test]
    fn a_site_is_an_origin_or_a_pattern_of_them_and_nothing_that_could_end_the_policy() {
        for good in ["https://example.org", ".example.com", "localhost:3000", "*"] {
            assert!(sites(&[good]).is_some(), "{good}");
        }
        assert!(sites(&[]).is_some());
        for bad in [
            "",
            "https://example.org/",
            "https://example.org; script-src *",
            "'none'",
            "https://a b",
            "https://[::1]:3000",
            "null",
        ] {
            assert_eq!(sites(&["https://example.org", bad]), None, "{bad}");
        }
    }

    #[test]
    fn a_secret_is_known_by_who_has_it_and_never_shown() {
        let secret = Secret("correct horse battery".into());
        assert!(secret.is("correct horse battery"));
        assert!(!secret.is("correct horse"));
        assert!(!secret.is(""));
        assert!(!Secret::default().is(""));
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(SecretText::read(Written::Text("too short".into())), None);
    }
}
