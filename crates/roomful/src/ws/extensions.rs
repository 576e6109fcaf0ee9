//! The list in `Sec-WebSocket-Extensions` (RFC 6455, section 9.1), read strictly.
//!
//! ```text
//! extension-list = 1#( token *( ";" token [ "=" ( token / quoted-string ) ] ) )
//! ```

use std::borrow::Cow;

use super::token::is_token;

/// One extension that the peer names, with its parameters in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extension<'a> {
    pub(super) name: &'a str,
    pub(super) params: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

/// The extensions in one header line; `None` if the line does not follow the grammar.
pub(super) fn parse(line: &str) -> Option<Vec<Extension<'_>>> {
    let mut extensions = Vec::new();
    let mut rest = Cursor(line);
    loop {
        let mut extension = Extension {
            name: rest.token()?,
            params: Vec::new(),
        };
        while rest.skip(';') {
            let name = rest.token()?;
            let value = if rest.skip('=') {
                Some(rest.value()?)
            } else {
                None
            };
            extension.params.push((name, value));
        }
        extensions.push(extension);
        if rest.is_empty() {
            return Some(extensions);
        }
        if !rest.skip(',') {
            return None;
        }
    }
}

/// What is left of a header line. White space may stand around every separator.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn trimmed(&self) -> &'a str {
        self.0.trim_start_matches([' ', '\t'])
    }

    fn is_empty(&self) -> bool {
        self.trimmed().is_empty()
    }

    fn skip(&mut self, separator: char) -> bool {
        match self.trimmed().strip_prefix(separator) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn token(&mut self) -> Option<&'a str> {
        let text = self.trimmed();
        let end = text
            .find([' ', '\t', ';', ',', '=', '"'])
            .unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        self.0 = rest;
        is_token(token).then_some(token)
    }

    /// A token, plain or quoted. What is quoted must be a token too, once the quotes are off.
    fn value(&mut self) -> Option<Cow<'a, str>> {
        if !self.skip('"') {
            return self.token().map(Cow::Borrowed);
        }
        let mut value = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next()?),
                other => value.push(other),
            }
        }
        self.0 = chars.as_str();
        is_token(&value).then_some(Cow::Owned(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_with_its_parameters_in_order() {
        let list = parse("a;x ; y=1 , b; z = \"q\\\"\"");
        assert_eq!(list, None, "a quoted value must be a token");

        let list = parse("a;x ; y=1 ,\tb; z = \"q\\2\"").unwrap();
        let owned = |value: &'static str| Some(Cow::Borrowed(value));
        assert_eq!(list[0].name, "a");
        assert_eq!(list[0].params, [("x", None), ("y", owned("1"))]);
        assert_eq!(list[1].name, "b");
        assert_eq!(list[1].params, [("z", owned("q2"))]);
    }

    #[test]
    fn what_does_not_follow_the_grammar_is_no_list() {
        for line in [
            "",
            " ",
            ",",
            "a,",
            ",a",
            "a;",
            "a;;b",
            "a b",
            "a;x=",
            "a;=1",
            "a;x=\"",
            "a;x=\"1",
            "a;x=\"\"",
            "a;x=1 2",
            "a;x=\"1\"2",
            "a/b",
            "ä",
            "a;x=\"1\\",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
