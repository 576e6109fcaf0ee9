//! Values as people write them: `"30s"`, `"16KiB"`, `"unlimited"`.
//!
//! Each notation is a name for `#[serde(with = …)]`, so that fields have plain types. A value that is not understood is
//! answered by "expected" and what can be written instead, never by the value itself: it may be a secret in the wrong place.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserializer, Serialize, Serializer, de};
use tracing_subscriber::EnvFilter;

/// One way to write values of type `T`.
pub(super) trait Notation<T> {
    /// What can be written, after the word "expected".
    const EXPECTED: &'static str;

    /// What `written` means, if anything.
    fn read(written: Written<'_>) -> Option<T>;

    /// How `value` is written.
    fn write(value: &T) -> Written<'_>;

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>
    where
        Self: Sized,
    {
        deserializer.deserialize_any(Reader::<Self, T>(PhantomData))
    }

    fn serialize<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        Self::write(value).serialize(serializer)
    }
}

/// A value as it stands in a file, as far as the notations use it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Written<'a> {
    Text(Cow<'a, str>),
    Number(u64),
    Switch(bool),
    List(Cow<'a, [String]>),
}

struct Reader<N, T>(PhantomData<(N, T)>);

impl<N: Notation<T>, T> Reader<N, T> {
    fn read<E: de::Error>(written: Written<'_>) -> Result<T, E> {
        N::read(written).ok_or_else(|| E::custom(format_args!("expected {}", N::EXPECTED)))
    }
}

impl<'de, N: Notation<T>, T> de::Visitor<'de> for Reader<N, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(N::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        Self::read(Written::Text(text.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        Self::read(Written::Number(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let negative = |_| E::custom(format_args!("expected {}", N::EXPECTED));
        self.visit_u64(u64::try_from(number).map_err(negative)?)
    }

    fn visit_bool<E: de::Error>(self, switch: bool) -> Result<T, E> {
        Self::read(Written::Switch(switch))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Self::read(Written::List(list.into()))
    }
}

/// `true` or `false`.
pub(super) struct Switch;

impl Notation<bool> for Switch {
    const EXPECTED: &'static str = "true or false";

    fn read(written: Written<'_>) -> Option<bool> {
        match written {
            Written::Switch(switch) => Some(switch),
            _ => None,
        }
    }

    fn write(value: &bool) -> Written<'_> {
        Written::Switch(*value)
    }
}

/// A number of things, at least one.
pub(super) struct Count;

impl<T: TryFrom<u64> + TryInto<u64> + Copy> Notation<T> for Count {
    const EXPECTED: &'static str = "a whole number from 1 up";

    fn read(written: Written<'_>) -> Option<T> {
        match written {
            Written::Number(number @ 1..) => number.try_into().ok(),
            _ => None,
        }
    }

    fn write(value: &T) -> Written<'_> {
        Written::Number((*value).try_into().unwrap_or(u64::MAX))
    }
}

/// A number of things, at least one, or `"unlimited"`.
pub(super) struct CountOrUnlimited;

impl<T: TryFrom<u64> + TryInto<u64> + Copy> Notation<Option<T>> for CountOrUnlimited {
    const EXPECTED: &'static str = r#"a whole number from 1 up, or "unlimited""#;

    fn read(written: Written<'_>) -> Option<Option<T>> {
        match written {
            Written::Text(text) if text == "unlimited" => Some(None),
            number => Count::read(number).map(Some),
        }
    }

    fn write(value: &Option<T>) -> Written<'_> {
        value
            .as_ref()
            .map_or(Written::Text("unlimited".into()), Count::write)
    }
}

/// A number of threads, 0 for as many as there are cores.
pub(super) struct Threads;

impl Threads {
    /// Far beyond any machine, and below what exhausts one at start-up.
    const MOST: usize = 1_024;
}

impl Notation<usize> for Threads {
    const EXPECTED: &'static str = "a whole number from 0 to 1024";

    fn read(written: Written<'_>) -> Option<usize> {
        match written {
            Written::Number(0) => Some(0),
            number => Count::read(number).filter(|threads| *threads <= Self::MOST),
        }
    }

    fn write(value: &usize) -> Written<'_> {
        Count::write(value)
    }
}

/// Names, in a list that may be empty.
pub(super) struct List;

impl Notation<Vec<String>> for List {
    const EXPECTED: &'static str = r#"a list of texts, such as ["example.com", ".example.org"]"#;

    fn read(written: Written<'_>) -> Option<Vec<String>> {
        match written {
            Written::List(list) if list.iter().all(|text| !text.is_empty()) => {
                Some(list.into_owned())
            }
            _ => None,
        }
    }

    fn write(value: &Vec<String>) -> Written<'_> {
        Written::List(value.into())
    }
}

/// A word of the characters that names in Redis have.
pub(super) struct Name;

impl Notation<String> for Name {
    const EXPECTED: &'static str = "letters, digits, `-`, `_`, `.` and `:`";

    fn read(written: Written<'_>) -> Option<String> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        match written {
            Written::Text(text) if !text.is_empty() && text.chars().all(is_good) => {
                Some(text.into_owned())
            }
            _ => None,
        }
    }

    fn write(value: &String) -> Written<'_> {
        Written::Text(value.into())
    }
}

/// Host and port to listen on.
pub(super) struct Address;

impl Notation<String> for Address {
    const EXPECTED: &'static str =
        r#"host and port, such as "127.0.0.1:8000", "[::]:8000" or "localhost:8000""#;

    fn read(written: Written<'_>) -> Option<String> {
        let Written::Text(text) = written else {
            return None;
        };
        let (host, port) = text.rsplit_once(':')?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let good_host = !host.is_empty() && (bracketed || !host.contains([':', '/']));
        (good_host && port.parse::<u16>().is_ok()).then(|| text.into_owned())
    }

    fn write(value: &String) -> Written<'_> {
        Written::Text(value.into())
    }
}

/// What `tracing_subscriber::EnvFilter` understands.
pub(super) struct LogFilter;

impl Notation<String> for LogFilter {
    const EXPECTED: &'static str = r#"a level (error, warn, info, debug, trace, off), or levels per module, such as "info,roomful=debug""#;

    fn read(written: Written<'_>) -> Option<String> {
        match written {
            Written::Text(text) if !text.is_empty() && EnvFilter::try_new(&text).is_ok() => {
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

    #[test]
    fn no_limit_is_a_word_and_not_a_number() {
        let read = <CountOrUnlimited as Notation<Option<u64>>>::read;
        assert_eq!(read(Written::Text("unlimited".into())), Some(None));
        assert_eq!(read(Written::Number(7)), Some(Some(7)));
        assert_eq!(read(Written::Number(0)), None);
        assert_eq!(read(Written::Text("7".into())), None);
        let written = CountOrUnlimited::write(&None::<u64>);
        assert_eq!(serde_json::to_value(written).unwrap(), "unlimited");
    }

    #[test]
    fn a_count_fits_its_type() {
        let most = u64::from(u32::MAX);
        assert_eq!(
            <Count as Notation<u32>>::read(Written::Number(most)),
            Some(u32::MAX)
        );
        assert_eq!(
            <Count as Notation<u32>>::read(Written::Number(most + 1)),
            None
        );
        assert_eq!(Threads::read(Written::Number(0)), Some(0));
        assert_eq!(Threads::read(Written::Number(1_025)), None);
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        let read = |text: &str| Address::read(Written::Text(text.to_owned().into()));
        for good in [
            "127.0.0.1:8000",
            "[::1]:0",
            "[::]:8000",
            "localhost:8000",
            "0.0.0.0:80",
        ] {
            assert_eq!(read(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "8000",
            ":8000",
            "localhost",
            "::1:8000",
            "127.0.0.1:65536",
            "127.0.0.1:",
            "http://localhost:8000",
            "a:-1",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_log_filter_is_a_level_or_levels_per_module() {
        let read = |text: &str| LogFilter::read(Written::Text(text.to_owned().into()));
        for good in [
            "info",
            "off",
            "info,roomful_server::history=debug",
            "warn,roomful[connection{id=1}]=trace",
        ] {
            assert!(read(good).is_some(), "{good}");
        }
        for bad in ["", "info,=", "roomful=loud"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
