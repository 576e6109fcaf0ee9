//! The log: one line an event on standard error, for people and for what collects it.
//!
//! What strangers send ends up in fields (a name, a path, a header). Control characters in it must not reach a terminal,
//! where they move the cursor and forge lines; the subscriber itself guards messages alone, and from escape sequences only.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// Begins to log what `filter` lets through.
///
/// # Errors
/// If somebody else did so before.
pub(crate) fn init(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).context("the log filter is not one")?;
    let in_colour =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    tracing_subscriber::fmt()
        .compact()
        .with_writer(io::stderr)
        .with_ansi(in_colour)
        .fmt_fields(debug_fn(write_field).delimited(" "))
        .with_env_filter(filter)
        .try_init()
        .map_err(anyhow::Error::from_boxed)
        .context("cannot begin to log")
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    write!(OneLine(writer), "{value:?}")
}

/// `text` without control characters: they are written as `\n`, `\u{1b}`.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len() + 8);
    let _ = OneLine(&mut line).write_str(text);
    line.into()
}

/// Control characters, and those that turn the direction of the text around them.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes control characters as escapes.
struct OneLine<W>(W);

impl<W: fmt::Write> fmt::Write for OneLine<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(is_control) {
            match part.chars().next_back().filter(|c| is_control(*c)) {
                Some(control) => {
                    self.0.write_str(&part[..part.len() - control.len_utf8()])?;
                    write!(self.0, "{}", control.escape_default())?;
                }
                None => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_strangers_send_cannot_leave_its_line_or_move_the_cursor() {
        let written = Written::default();
        let subscriber = {
            let written = written.clone();
            tracing_subscriber::fmt()
                .compact()
                .with_writer(move || written.clone())
                .with_ansi(false)
                .fmt_fields(debug_fn(write_field).delimited(" "))
                .finish()
        };
        let evil = "\x1b[2J\r\nINFO forged\u{9b}\u{202e}";

        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("connection", path = %evil, name = evil);
            span.in_scope(
                || tracing::info!(room.name = %evil, peer = ?evil, n = 3, "room {evil} is empty"),
            );
        });

        let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(!log.trim_end_matches('\n').contains(is_control), "{log:?}");
        assert!(
            log.contains(r"room \u{1b}[2J\r\nINFO forged\u{9b}\u{202e} is empty"),
            "{log}"
        );
        assert!(
            log.contains(r"room.name=\u{1b}[2J")
                && log.contains(r"path=\u{1b}[2J")
                && log.contains(" n=3"),
            "{log}"
        );
    }

    #[test]
    fn text_of_any_script_stays_as_it_is() {
        for text in ["", "room Ünïcode 聊天室 is empty", "नमस्ते", "a=\"b\" \\n"] {
            assert_eq!(one_line(text), text);
        }
        assert_eq!(one_line("a\tb\0c\n"), r"a\tb\u{0}c\n");
    }
}
