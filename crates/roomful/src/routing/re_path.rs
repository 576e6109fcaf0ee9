//! Patterns written as regular expressions, with the meaning Django gives them in `re_path`.

use super::pattern::{BadPattern, Pattern, Role};

/// Compiles `pattern` as Django would.
///
/// `$` at the end of an endpoint's pattern makes it match the whole path, so it needs no `^`; any other pattern matches
/// wherever it is found. Before an inner router the final `$` falls away: it would leave nothing for the inner one.
pub(super) fn compile(pattern: &str, role: Role) -> Result<Pattern, BadPattern> {
    let anchored = ends_with_anchor(pattern);
    let whole_path = anchored && role == Role::Endpoint;
    let prefix = literal_prefix(pattern, whole_path);
    if prefix.starts_with('/') {
        return Err(BadPattern::new(
            pattern,
            "it would never match, because paths are matched without their leading `/`: drop that slash",
        ));
    }
    // Alone first: between the brackets below, `a)(b$` would compile.
    let searched = Pattern::compile(pattern, pattern, &prefix)?;
    if whole_path {
        Pattern::compile(pattern, &format!(r"\A(?:{pattern})\z"), &prefix)
    } else if anchored {
        Pattern::compile(pattern, &pattern[..pattern.len() - 1], &prefix)
    } else {
        Ok(searched)
    }
}

/// Whether the last character is the anchor `$` and not a literal `\$`.
fn ends_with_anchor(pattern: &str) -> bool {
    let Some(before) = pattern.strip_suffix('$') else {
        return false;
    };
    let backslashes = before.len() - before.trim_end_matches('\\').len();
    backslashes.is_multiple_of(2)
}

/// What every path that matches begins with, as far as the pattern says it in plain characters.
fn literal_prefix(pattern: &str, whole_path: bool) -> String {
    let from_start = pattern
        .strip_prefix('^')
        .or_else(|| pattern.strip_prefix(r"\A"));
    let rest = match from_start {
        Some(rest) => rest,
        None if whole_path => pattern,
        None => return String::new(),
    };
    // The other branch may begin otherwise.
    if rest.contains('|') {
        return String::new();
    }
    let rest = rest.replace(r"\/", "/");
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '-');
    let end = rest.find(|c| !plain(c)).unwrap_or(rest.len());
    let (literal, behind) = rest.split_at(end);
    let mut literal = literal.to_owned();
    if behind.starts_with(['?', '*', '+', '{']) {
        // The last character need not be there (`+*` is a repetition too).
        literal.pop();
    }
    literal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    proptest! {
        /// The shortcut through the literal beginning never changes what a pattern means.
        #[test]
        fn a_literal_beginning_refuses_nothing_that_the_expression_takes(
            pattern in r"\^?[ab/]{0,3}[ab/?*+|().\\${}0]{0,8}\$?",
            path in "[ab][ab/]{0,8}",
        ) {
            let Ok(expression) = Regex::new(&pattern) else { return Ok(()) };
            let prefix = literal_prefix(&pattern, false);
            prop_assert!(!expression.is_match(&path) || path.starts_with(&prefix), "{prefix}");

            let whole = Regex::new(&format!(r"\A(?:{pattern})\z")).unwrap();
            let prefix = literal_prefix(&pattern, true);
            prop_assert!(!whole.is_match(&path) || path.starts_with(&prefix), "{prefix}");
        }
    }

    /// Unnamed groups, named ones, and what remains.
    type Groups = (Vec<String>, Vec<(String, String)>, String);

    fn endpoint(pattern: &str, path: &str) -> Option<Groups> {
        find(Role::Endpoint, pattern, path)
    }

    fn find(role: Role, pattern: &str, path: &str) -> Option<Groups> {
        let pattern = compile(pattern, role).unwrap();
        let found = pattern.find(path)?;
        let named = found.params.named.into_iter();
        let named = named
            .map(|(name, value)| (name.to_string(), value))
            .collect();
        Some((found.params.args, named, found.remaining.into()))
    }

    fn refusal(pattern: &str) -> String {
        compile(pattern, Role::Endpoint).unwrap_err().to_string()
    }

    #[test]
    fn a_final_dollar_anchors_an_endpoint_at_both_ends() {
        for (pattern, path, matches) in [
            (r"room/(?P<group>\w+)/$", "room/123/", true),
            (r"room/(?P<group>\w+)/$", "x/room/123/", false),
            (r"room/(?P<group>\w+)/$", "room/123/x", false),
            (r"room/(?P<group>\w+)/$", "room/123/\n", false),
            (r"^room/$", "room/", true),
            // A full match tries all branches, where a search would be content with the first.
            (r"a|ab$", "ab", true),
            (r"a|ab$", "abc", false),
            (r"^$", "", true),
            (r"^$", "x", false),
        ] {
            assert_eq!(
                endpoint(pattern, path).is_some(),
                matches,
                "{pattern} on {path:?}"
            );
        }
    }

    #[test]
    fn without_a_final_dollar_a_pattern_is_found_anywhere() {
        for (pattern, path, remaining) in [
            ("bar", "bar/", Some("/")),
            ("bar", "bar/baz/", Some("/baz/")),
            ("bar", "x/bar", Some("")),
            ("bar", "ba/r", None),
            ("^bar", "x/bar", None),
            ("/bar", "x/bar", Some("")),
            (r"cash\$", "x/cash$/y", Some("/y")),
            (r"back\\$", r"back\", Some("")),
            (r"back\\$", r"x/back\", None),
            ("", "anything", Some("anything")),
        ] {
            let found = endpoint(pattern, path).map(|(_, _, remaining)| remaining);
            assert_eq!(found.as_deref(), remaining, "{pattern} on {path:?}");
        }
    }

    #[test]
    fn a_prefix_loses_its_final_dollar() {
        let (args, _, remaining) = find(Role::Prefix, r"^room/(\w+)/$", "room/1/page/2/").unwrap();
        assert_eq!(args, ["1"]);
        assert_eq!(remaining, "page/2/");
    }

    #[test]
    fn named_groups_displace_unnamed_ones() {
        let (args, named, _) = endpoint(r"^(\d+)/(?P<name>\w+)(?P<more>x)?/$", "1/a/").unwrap();
        assert!(args.is_empty());
        assert_eq!(named, [("name".into(), "a".into())]);
    }

    #[test]
    fn unnamed_groups_keep_their_places_when_one_is_missing() {
        let (args, ..) = endpoint(r"^(a)?/(b)/$", "/b/").unwrap();
        assert_eq!(args, ["", "b"]);
    }

    #[test]
    fn words_and_digits_are_those_of_any_script() {
        for name in ["123", "聊天室", "комната", "مرحبا", "हिन्दी", "a_b", "٣"]
        {
            assert!(
                endpoint(r"room/(\w+)/$", &format!("room/{name}/")).is_some(),
                "{name}"
            );
        }
        for name in ["a-b", "a b", "a/b", "", "½", "a\u{202e}"] {
            assert!(
                endpoint(r"room/(\w+)/$", &format!("room/{name}/")).is_none(),
                "{name}"
            );
        }
        assert!(endpoint(r"(\d+)$", "٣").is_some());
    }

    #[test]
    fn what_cannot_be_matched_is_refused_with_a_sentence() {
        assert_eq!(
            refusal(r"(?!x)room/$"),
            "`(?!x)room/$` is not a route pattern: look-around cannot be matched in linear time: match more, and check \
             the parameter in the service"
        );
        assert!(
            refusal(r"(?P<a>\w)(?P=a)$").contains("backreferences"),
            "{}",
            refusal(r"(?P<a>\w)(?P=a)$")
        );
        assert!(
            refusal(r"(\w)\1$").contains("backreferences"),
            "{}",
            refusal(r"(\w)\1$")
        );
        assert!(refusal(r"room/\Z").contains(r"write `\z`"));
        assert!(refusal(r"(\w{5000}){5000}$").contains("too large"));
        assert!(refusal("a)(b$").contains("unopened group"));
        assert!(refusal("room/($").contains("unclosed group"));
    }

    #[test]
    fn a_leading_slash_that_could_never_match_is_refused() {
        for pattern in ["/room/$", "^/room/", r"\A/room/", r"^\/room/$"] {
            assert!(refusal(pattern).contains("drop that slash"), "{pattern}");
        }
        for pattern in ["^/?room/$", "/room", "^/a|b$"] {
            assert!(compile(pattern, Role::Endpoint).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn the_literal_beginning_of_a_pattern_is_what_every_match_begins_with() {
        for (pattern, whole_path, prefix) in [
            (r"room/(?P<group>\w+)/$", true, "room/"),
            (r"room/(?P<group>\w+)/$", false, ""),
            (r"^room/(\w+)", false, "room/"),
            (r"\Aroom/(\w+)", false, "room/"),
            (r"^ws\/room-1_x/", false, "ws/room-1_x/"),
            ("^rooms?/", false, "room"),
            ("^rooms*", false, "room"),
            ("^rooms{0,2}", false, "room"),
            ("^rooms+", false, "room"),
            ("^a|b$", true, ""),
            ("^a(b|c)$", true, ""),
            ("(?i)room/$", true, ""),
            ("a.b$", true, "a"),
            (r"^a\\/b", false, "a"),
            ("^聊天/$", true, "聊天/"),
            ("^聊天?/$", true, "聊"),
        ] {
            assert_eq!(literal_prefix(pattern, whole_path), prefix, "{pattern}");
        }
    }

    #[test]
    fn a_counted_word_fits_the_size_limit() {
        assert!(compile(r"room/(?P<group>[\w.-]{1,100})/$", Role::Endpoint).is_ok());
    }
}
