//! Rooms inside the pages of other sites: who may show them, as browsers are told by `frame-ancestors`.

use std::fmt::Write as _;

/// The sources of a policy's `frame-ancestors`: our own pages, and these sites, in the notation of `origins.allowed`.
pub(super) fn frame_ancestors(sites: &[String]) -> String {
    let mut sources = String::from("'self'");
    for site in sites {
        // Writing to a `String` does not fail.
        let _ = match site.split_once("://") {
            Some((scheme, host)) => match host.strip_prefix('.') {
                Some(host) => write!(sources, " {scheme}://{host} {scheme}://*.{host}"),
                None => write!(sources, " {site}"),
            },
            None if site == "*" => write!(sources, " *"),
            None => {
                let (host, subdomains) = match site.strip_prefix('.') {
                    Some(host) => (host, true),
                    None => (site.as_str(), false),
                };
                // Without a scheme, a site without a port is one at any port; in a policy it would be at the usual one.
                let port = if host.contains(':') { "" } else { ":*" };
                write!(sources, " {host}{port}").and_then(|()| match subdomains {
                    true => write!(sources, " *.{host}{port}"),
                    false => Ok(()),
                })
            }
        };
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_written_as_policies_write_it() {
        for (site, source) in [
            ("https://example.org", "https://example.org"),
            ("http://localhost:3000", "http://localhost:3000"),
            (
                "https://.example.org",
                "https://example.org https://*.example.org",
            ),
            ("example.org", "example.org:*"),
            (".example.org", "example.org:* *.example.org:*"),
            ("example.org:8443", "example.org:8443"),
            ("*", "*"),
        ] {
            let expected = format!("'self' {source}");
            assert_eq!(frame_ancestors(&[site.to_owned()]), expected);
        }
        assert_eq!(frame_ancestors(&[]), "'self'");
    }
}
