//! A script or a style sheet without what only its readers need: comments, indentation, spaces around punctuation.
//!
//! Strings, templates and regular expressions stay as they are, and so does each line that has something on it. The
//! page's tests compare the tokens of every file with those of its source.

/// The same script in fewer bytes.
pub(super) fn script(source: &str) -> String {
    let mut out = Bare::default();
    let mut rest = source;
    // One for each template that is open: how many braces are open within its `${`.
    let mut templates: Vec<usize> = Vec::new();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = after_comment(rest);
                out.gap = out.gap.max(Gap::Space);
                continue;
            }
            '/' if out.expects_value() => regular_expression(rest),
            '"' | '\'' => string(rest, first),
            '`' => template(rest, 1, &mut templates),
            '}' if templates.last() == Some(&0) => {
                templates.pop();
                template(rest, 1, &mut templates)
            }
            '{' | '}' => {
                if let Some(open) = templates.last_mut() {
                    *open = if first == '{' { *open + 1 } else { *open - 1 };
                }
                1
            }
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if length == first.len_utf8() && first.is_whitespace() {
            out.gap = out
                .gap
                .max(if first == '\n' { Gap::Line } else { Gap::Space });
        } else {
            out.push(token);
        }
        rest = after;
    }
    out.text.push('\n');
    out.text
}

/// The same style sheet in fewer bytes.
pub(super) fn style(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("/*") {
        push_lines(&mut out, &rest[..start]);
        rest = after_comment(&rest[start..]);
    }
    push_lines(&mut out, rest);
    out
}

fn push_lines(out: &mut String, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // Space before a colon, and around signs, has a meaning in selectors and in `calc()`.
        out.push_str(
            &line
                .replace(": ", ":")
                .replace(", ", ",")
                .replace(" {", "{"),
        );
        out.push('\n');
    }
}

/// What is between two tokens.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    Nothing,
    Space,
    Line,
}

#[derive(Default)]
struct Bare {
    text: String,
    gap: Gap,
}

impl Bare {
    fn push(&mut self, token: &str) {
        let gap = std::mem::take(&mut self.gap);
        match gap {
            _ if self.text.is_empty() => {}
            Gap::Nothing => {}
            // A line's end may end a statement.
            Gap::Line => self.text.push('\n'),
            Gap::Space if self.needs_space(token) => self.text.push(' '),
            Gap::Space => {}
        }
        self.text.push_str(token);
    }

    /// Two words, or two signs that would become another one.
    fn needs_space(&self, token: &str) -> bool {
        let before = self.text.chars().next_back().unwrap_or(' ');
        let after = token.chars().next().unwrap_or(' ');
        is_word(before) && is_word(after) || before == after && matches!(before, '+' | '-' | '/')
    }

    /// Whether a slash here begins a regular expression, and does not divide.
    fn expects_value(&self) -> bool {
        let Some(before) = self.text.chars().next_back() else {
            return true;
        };
        if is_word(before) {
            let word = self.text.rsplit(|char| !is_word(char)).next().unwrap_or("");
            return matches!(word, "return" | "typeof" | "case" | "in" | "of" | "await");
        }
        !matches!(before, ')' | ']' | '}' | '"' | '\'' | '`')
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '$' | '#' | '\\' | '@')
}

fn after_comment(text: &str) -> &str {
    text.find("*/").map_or("", |end| &text[end + 2..])
}

/// How long the string is that begins here.
fn string(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// How long the regular expression is that begins here, without its flags.
fn regular_expression(text: &str) -> usize {
    let (mut escaped, mut in_class) = (false, false);
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => return at + 1,
            '\n' => return 1,
            _ => {}
        }
    }
    1
}

/// How long the part of a template is that begins `from` bytes in: to its end, or to the next `${`.
fn template(text: &str, from: usize, open: &mut Vec<usize>) -> usize {
    let mut escaped = false;
    let bytes = text.as_bytes();
    for at in from..bytes.len() {
        match bytes[at] {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'`' => return at + 1,
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                open.push(0);
                return at + 2;
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_spaces_go_and_the_program_stays() {
        for (source, wanted) in [
            (
                "/** What.\n * For. */\n\nconst a = 1; // one\n  f(a, b);\n",
                "const a=1;\nf(a,b);\n",
            ),
            ("f(/** @type {T} */ (x), /* y */ y);", "f((x),y);\n"),
            (
                "const u = \"https://a // b\", v = '/* c */';",
                "const u=\"https://a // b\",v='/* c */';\n",
            ),
            (
                "`a  ${ b + `c  ${ { d : 1 }.d }  // e` }  /* f */`  + g",
                "`a  ${b+`c  ${{d:1}.d}  // e`}  /* f */`+g\n",
            ),
            (
                "x = a / b / c; y = /[/*]  \\/ /u.test(z) / 2;",
                "x=a/b/c;y=/[/*]  \\/ /u.test(z)/2;\n",
            ),
            ("return /a  b/;\ncase /c/:", "return/a  b/;\ncase/c/:\n"),
            (
                "a + +b; c - -d; e++ + f; typeof g; h in i",
                "a+ +b;c- -d;e++ +f;typeof g;h in i\n",
            ),
            ("a\n++b\nif (c) return\nd", "a\n++b\nif(c)return\nd\n"),
            (
                "class A { #b = 1; get c() { return this.#b; } static async *d() {} }",
                "class A{#b=1;get c(){return this.#b;}static async*d(){}}\n",
            ),
        ] {
            assert_eq!(script(source), wanted);
        }
    }

    #[test]
    fn a_style_sheet_keeps_the_spaces_that_mean_something() {
        let source = "/* What. */\n.a :hover,\n.b > .c {\n  margin: calc(1rem + 2px) 0; /* why */\n}\n@media (x) and (y: 1) {\n}\n";
        let wanted =
            ".a :hover,\n.b > .c{\nmargin:calc(1rem + 2px) 0;\n}\n@media (x) and (y:1){\n}\n";
        assert_eq!(style(source), wanted);
    }
}
