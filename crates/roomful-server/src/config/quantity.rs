//! Durations and sizes: a whole number and its unit.

use std::time::Duration;

use super::notation::{Notation, Written};

/// A length of time above zero.
pub(super) struct Time;

impl Time {
    const UNITS: &[Unit] = &[
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
}

impl Notation<Duration> for Time {
    const EXPECTED: &'static str =
        r#"a duration with its unit, such as "500ms", "30s", "5m", "2h" or "7d""#;

    fn read(written: Written<'_>) -> Option<Duration> {
        read_quantity(&written, Self::UNITS).map(Duration::from_millis)
    }

    fn write(value: &Duration) -> Written<'_> {
        write_quantity(value.as_millis(), Self::UNITS)
    }
}

/// A length of time above zero, or `"forever"`.
pub(super) struct TimeOrForever;

impl Notation<Option<Duration>> for TimeOrForever {
    const EXPECTED: &'static str =
        r#"a duration with its unit, such as "12h" or "90d", or "forever""#;

    fn read(written: Written<'_>) -> Option<Option<Duration>> {
        match written {
            Written::Text(text) if text == "forever" => Some(None),
            time => Time::read(time).map(Some),
        }
    }

    fn write(value: &Option<Duration>) -> Written<'_> {
        value
            .as_ref()
            .map_or(Written::Text("forever".into()), Time::write)
    }
}

/// A number of bytes, at least one.
pub(super) struct Size;

impl Size {
    const UNITS: &[Unit] = &[
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("B", 1),
    ];
}

impl Notation<usize> for Size {
    const EXPECTED: &'static str = r#"a size with its unit, such as "512B", "16KiB" or "1MiB""#;

    fn read(written: Written<'_>) -> Option<usize> {
        read_quantity(&written, Self::UNITS)?.try_into().ok()
    }

    fn write(value: &usize) -> Written<'_> {
        write_quantity(*value as u128, Self::UNITS)
    }
}

/// A unit's name, and how many of the smallest it is.
type Unit = (&'static str, u128);

/// A whole number and its unit, multiplied. `None` where one is missing or unknown, or the product is 0 or absurd.
fn read_quantity(written: &Written<'_>, units: &[Unit]) -> Option<u64> {
    let Written::Text(text) = written else {
        return None;
    };
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    // 2^48 milliseconds are nine thousand years, and 2^48 bytes are what a processor can address. Neither overflows when
    // it is added to a clock or multiplied by a few.
    u64::try_from(number.parse::<u128>().ok()?.checked_mul(*factor)?)
        .ok()
        .filter(|quantity| (1..=1 << 48).contains(quantity))
}

/// In the largest unit that divides it.
fn write_quantity(quantity: u128, units: &[Unit]) -> Written<'static> {
    let fitting = units
        .iter()
        .find(|(_, factor)| quantity.is_multiple_of(*factor));
    let (unit, factor) = fitting.expect("one divides everything, and it is the last of each table");
    Written::Text(format!("{}{unit}", quantity / factor).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Option<Duration> {
        Time::read(Written::Text(text.into()))
    }

    fn size(text: &str) -> Option<usize> {
        Size::read(Written::Text(text.into()))
    }

    fn written<N: Notation<T>, T>(value: &T) -> String {
        serde_json::to_value(N::write(value)).unwrap().to_string()
    }

    #[test]
    fn durations_are_read_with_their_unit_only() {
        assert_eq!(time("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(time("30s"), Some(Duration::from_secs(30)));
        assert_eq!(time("5 m"), Some(Duration::from_secs(300)));
        assert_eq!(time("2h"), Some(Duration::from_secs(7_200)));
        assert_eq!(time("7d"), Some(Duration::from_secs(604_800)));
        for bad in [
            "",
            "30",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "30 sec",
            "30S",
            "0s",
            " 30s",
            "1s ",
            "999999999999999999d",
            "९s",
        ] {
            assert_eq!(time(bad), None, "{bad:?}");
        }
        assert_eq!(Time::read(Written::Number(30)), None);
    }

    #[test]
    fn sizes_are_read_with_their_unit_only() {
        assert_eq!(size("512B"), Some(512));
        assert_eq!(size("16KiB"), Some(16_384));
        assert_eq!(size("1 MiB"), Some(1_048_576));
        assert_eq!(size("2GiB"), Some(2_147_483_648));
        // kB means 1000 to some and 1024 to others.
        for bad in [
            "16",
            "16k",
            "16kB",
            "16KB",
            "16kib",
            "0B",
            "1.5MiB",
            "340282366920938463463374607431768211456B",
        ] {
            assert_eq!(size(bad), None, "{bad:?}");
        }
        assert_eq!(Size::read(Written::Number(16_384)), None);
    }

    #[test]
    fn a_quantity_is_written_in_the_largest_unit_that_divides_it() {
        let times = [
            (1, "1ms"),
            (1_500, "1500ms"),
            (90_000, "90s"),
            (3_600_000, "1h"),
            (604_800_000, "7d"),
        ];
        for (millis, text) in times {
            assert_eq!(
                written::<Time, _>(&Duration::from_millis(millis)),
                format!("{text:?}")
            );
            assert_eq!(time(text), Some(Duration::from_millis(millis)));
        }
        for (bytes, text) in [
            (1, "1B"),
            (1_000, "1000B"),
            (16 << 10, "16KiB"),
            (3 << 20, "3MiB"),
        ] {
            assert_eq!(written::<Size, _>(&bytes), format!("{text:?}"));
            assert_eq!(size(text), Some(bytes));
        }
    }

    #[test]
    fn for_ever_is_a_word() {
        let read = |text: &str| TimeOrForever::read(Written::Text(text.to_owned().into()));
        assert_eq!(read("forever"), Some(None));
        assert_eq!(read("90d"), Some(Some(Duration::from_secs(90 * 86_400))));
        assert_eq!(read("0s"), None);
        assert_eq!(written::<TimeOrForever, _>(&None), r#""forever""#);
    }
}
