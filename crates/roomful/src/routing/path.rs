//! Patterns written as paths with holes, as in axum: `/room/{group}/`, `/files/{*rest}`.

use super::pattern::{BadPattern, Pattern, Role};

/// Compiles `pattern`, which matches from the path's beginning: to its end before a service, to the end of a segment
/// before an inner router.
pub(super) fn compile(pattern: &str, role: Role) -> Result<Pattern, BadPattern> {
    let regex = translate(pattern, role).map_err(|reason| BadPattern::new(pattern, reason))?;
    let literal = pattern.trim_start_matches('/');
    let prefix = &literal[..literal.find(['{', '}']).unwrap_or(literal.len())];
    Pattern::compile(pattern, &regex, prefix)
}

fn translate(pattern: &str, role: Role) -> Result<String, String> {
    let mut regex = String::from(r"\A");
    let mut rest = pattern.trim_start_matches('/');
    while let Some(at) = rest.find(['{', '}', '<', '>']) {
        regex.push_str(&regex::escape(&rest[..at]));
        let behind = &rest[at + 1..];
        rest = match rest.as_bytes()[at] {
            b'<' | b'>' => return Err("parameters are written `{name}`, without a type".into()),
            brace if behind.as_bytes().first() == Some(&brace) => {
                regex.push_str(&regex::escape(&rest[at..=at]));
                &behind[1..]
            }
            b'{' => {
                let (name, behind) = behind.split_once('}').ok_or(
                    "a `{` is not closed: write `{name}`, or `{{` for the character itself",
                )?;
                regex.push_str(&parameter(name, behind, role)?);
                behind
            }
            _ => return Err("a `}` closes nothing: write `}}` for the character itself".into()),
        };
    }
    regex.push_str(&regex::escape(rest));
    match role {
        Role::Endpoint => regex.push_str(r"\z"),
        // `/api` is not a prefix of `/apiary`. Behind a `/`, or for the empty prefix, a segment has just ended.
        Role::Prefix if regex != r"\A" && !pattern.ends_with('/') => regex.push_str(r"(?:/|\z)"),
        Role::Prefix => {}
    }
    Ok(regex)
}

/// The regular expression of `{name}`, which `behind` follows.
fn parameter(name: &str, behind: &str, role: Role) -> Result<String, String> {
    let (name, expression) = match name.strip_prefix('*') {
        Some(_) if !behind.is_empty() => {
            return Err(format!(
                "nothing can follow `{{{name}}}`, which takes all the rest"
            ));
        }
        Some(_) if role == Role::Prefix => {
            return Err(format!(
                "`{{{name}}}` leaves nothing for the inner router: drop it, the inner one sees the rest anyway"
            ));
        }
        Some(name) => (name, "(?s:.+)"),
        None => (name, "[^/]+"),
    };
    let mut characters = name.chars();
    let good = characters
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_');
    if !good {
        return Err(format!(
            "`{name}` cannot name a parameter: use a letter or `_`, then letters, digits and `_`"
        ));
    }
    Ok(format!("(?P<{name}>{expression})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(role: Role, pattern: &str, path: &str) -> Option<(Vec<(String, String)>, String)> {
        let pattern = compile(pattern, role).unwrap();
        let found = pattern.find(path)?;
        let named = found
            .params
            .named
            .into_iter()
            .map(|(name, value)| (name.to_string(), value));
        Some((named.collect(), found.remaining.into()))
    }

    #[test]
    fn a_path_matches_whole() {
        for (pattern, path, values) in [
            ("", "", Some(vec![])),
            ("/", "", Some(vec![])),
            ("", "x", None),
            ("/foo/", "foo/", Some(vec![])),
            ("foo/", "foo/", Some(vec![])),
            ("/foo/", "foo", None),
            ("/foo/", "foo/x", None),
            ("/a.b/", "axb/", None),
            ("/room/{group}/", "room/聊天 室/", Some(vec!["聊天 室"])),
            ("/room/{group}/", "room//", None),
            ("/room/{group}/", "room/a/b/", None),
            ("/{a}-{b}.json", "1-2.json", Some(vec!["1", "2"])),
            ("/files/{*rest}", "files/a/b\nc", Some(vec!["a/b\nc"])),
            ("/files/{*rest}", "files/", None),
            ("/{{x}}", "{x}", Some(vec![])),
        ] {
            let found = find(Role::Endpoint, pattern, path).map(|(named, _)| {
                named
                    .into_iter()
                    .map(|(_, value)| value)
                    .collect::<Vec<_>>()
            });
            let values = values.map(|values| values.into_iter().map(String::from).collect());
            assert_eq!(found, values, "{pattern} on {path:?}");
        }
    }

    #[test]
    fn a_prefix_ends_with_a_segment() {
        for (pattern, path, remaining) in [
            ("", "a/b", Some("a/b")),
            ("/", "a/b", Some("a/b")),
            ("/api", "api", Some("")),
            ("/api", "api/users", Some("users")),
            ("/api", "apiary", None),
            ("/api/", "api/users", Some("users")),
            ("/api/", "api", None),
            ("/{universe}", "42/x", Some("x")),
        ] {
            let found = find(Role::Prefix, pattern, path).map(|(_, remaining)| remaining);
            assert_eq!(found.as_deref(), remaining, "{pattern} on {path:?}");
        }
    }

    #[test]
    fn a_mistake_is_refused_with_the_way_out() {
        for (role, pattern, sentence) in [
            (Role::Endpoint, "/room/<str:group>/", "written `{name}`"),
            (Role::Endpoint, "/room/{group/", "`{` is not closed"),
            (Role::Endpoint, "/room/group}/", "`}` closes nothing"),
            (Role::Endpoint, "/room/{}/", "cannot name a parameter"),
            (Role::Endpoint, "/room/{1}/", "cannot name a parameter"),
            (Role::Endpoint, "/{*rest}/x", "nothing can follow `{*rest}`"),
            (
                Role::Prefix,
                "/{*rest}",
                "leaves nothing for the inner router",
            ),
            (Role::Endpoint, "/{a}/{a}", "duplicate capture group name"),
        ] {
            let error = compile(pattern, role).unwrap_err().to_string();
            assert!(error.contains(sentence), "{pattern}: {error}");
            assert!(
                error.starts_with(&format!("`{pattern}` is not a route pattern: ")),
                "{error}"
            );
        }
    }
}
