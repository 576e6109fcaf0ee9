//! The notation of the sites that may show a room.

use roomful::origin::AllowedOrigins;

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
}
