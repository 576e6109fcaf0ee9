//! What `history.url` and `layer.url` mean, and how a secret in one stays one.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use roomful::layer::redis::{InvalidRedisUrl, RedisUrl};
use serde::{Deserialize, Serialize};

use crate::redact::hide_secrets;

/// Where rooms are recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HistoryUrl {
    /// `sqlite:PATH`: a file on this machine.
    Sqlite(PathBuf),
    /// `postgres://user:password@host/database`: a database that several nodes share.
    Postgres(PostgresUrl),
    /// `memory`: a bounded record that ends with the process.
    Memory,
    /// `none`: no record.
    None,
}

impl FromStr for HistoryUrl {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        match url {
            "memory" => return Ok(Self::Memory),
            "none" => return Ok(Self::None),
            "sqlite::memory:" => {
                return Err(r#"expected "memory", which is the record that ends with the process"#);
            }
            _ => {}
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return match url.parse::<tokio_postgres::Config>() {
                Ok(_) => Ok(Self::Postgres(PostgresUrl(url.into()))),
                Err(_) => Err(r#"expected "postgres://user:password@host/database""#),
            };
        }
        // `sqlite://a.db` and `sqlite:///a.db` are other tools' spelling of `sqlite:a.db` and `sqlite:/a.db`.
        let path = url
            .strip_prefix("sqlite:")
            .map(|path| path.strip_prefix("//").unwrap_or(path));
        match path {
            Some(path) if !path.is_empty() && !path.ends_with('/') && !path.contains('\0') => {
                Ok(Self::Sqlite(path.into()))
            }
            _ => Err(
                r#"expected "sqlite:PATH", such as "sqlite:roomful.db", "postgres://user@host/database", "memory" or "none""#,
            ),
        }
    }
}

impl fmt::Display for HistoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
            Self::Memory => f.write_str("memory"),
            Self::None => f.write_str("none"),
        }
    }
}

/// Where a PostgreSQL database is, and how to get in. What is shown of it hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(Box<str>);

impl PostgresUrl {
    /// The URL with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hide_secrets(&self.0))
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How several processes hear each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LayerUrl {
    /// `memory`: this process alone.
    Memory,
    /// `redis://…` and its kin: whoever is there. It shows itself without passwords.
    Redis(RedisUrl),
}

impl FromStr for LayerUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        if url == "memory" {
            return Ok(Self::Memory);
        }
        if !url.starts_with("redis") {
            return Err(
                r#"expected "memory", "redis://HOST:PORT" or "redis+pubsub://HOST:PORT""#.into(),
            );
        }
        url.parse()
            .map(Self::Redis)
            .map_err(|error: InvalidRedisUrl| error.to_string())
    }
}

impl fmt::Display for LayerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Redis(url) => url.fmt(f),
        }
    }
}

impl TryFrom<String> for HistoryUrl {
    type Error = &'static str;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        url.parse()
    }
}

impl From<HistoryUrl> for String {
    /// As it is read again, with its password: what shows settings hides that.
    fn from(url: HistoryUrl) -> Self {
        match url {
            HistoryUrl::Postgres(url) => url.expose().to_owned(),
            url => url.to_string(),
        }
    }
}

impl TryFrom<String> for LayerUrl {
    type Error = String;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        url.parse()
    }
}

impl From<LayerUrl> for String {
    /// As it is read again, with its password: what shows settings hides that.
    fn from(url: LayerUrl) -> Self {
        match url {
            LayerUrl::Redis(url) => url.expose().to_owned(),
            url => url.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_a_file_the_memory_or_nothing() {
        for (url, path) in [
            ("sqlite:roomful.db", "roomful.db"),
            ("sqlite://roomful.db", "roomful.db"),
            (
                "sqlite:/var/lib/roomful/rooms.db",
                "/var/lib/roomful/rooms.db",
            ),
            (
                "sqlite:///var/lib/roomful/rooms.db",
                "/var/lib/roomful/rooms.db",
            ),
            ("sqlite:../a b?.db", "../a b?.db"),
        ] {
            assert_eq!(url.parse(), Ok(HistoryUrl::Sqlite(path.into())), "{url}");
        }
        assert_eq!("memory".parse(), Ok(HistoryUrl::Memory));
        assert_eq!("none".parse(), Ok(HistoryUrl::None));
    }

    #[test]
    fn a_database_is_taken_by_its_url_and_its_password_never_printed() {
        let url = "postgres://ana:s3cret@db:5433,db2/rooms?sslmode=require";
        let history: HistoryUrl = url.parse().unwrap();

        let shown = [history.to_string(), format!("{history:?}")];
        assert!(
            shown.iter().all(|shown| !shown.contains("s3cret")),
            "{shown:?}"
        );
        assert!(shown[0].contains("db2/rooms"), "{shown:?}");
        assert_eq!(String::from(history.clone()).parse(), Ok(history));

        for bad in [
            "postgres:db",
            "postgres://db/rooms?colour=red",
            "postgresql://db:port/x",
        ] {
            let refused = bad.parse::<HistoryUrl>().unwrap_err();
            assert!(refused.contains("postgres://user"), "{bad}: {refused}");
        }
    }

    #[test]
    fn a_history_that_means_nothing_is_told_what_to_write() {
        for bad in [
            "",
            "roomful.db",
            "sqlite:",
            "sqlite://",
            "sqlite:data/",
            "sqlite3:a.db",
            "Memory",
            "mysql://db/rooms",
        ] {
            let refused = bad.parse::<HistoryUrl>().unwrap_err();
            assert!(refused.contains(r#""sqlite:PATH""#), "{bad}: {refused}");
        }
        assert!(
            "sqlite::memory:"
                .parse::<HistoryUrl>()
                .unwrap_err()
                .contains(r#""memory""#)
        );
    }

    #[test]
    fn a_layer_is_this_process_or_redis() {
        for (url, shown) in [
            ("memory", "memory"),
            ("redis://:pw@a:6379", "redis://:***@a:6379"),
            ("rediss://a", "rediss://a"),
            ("redis+pubsub://a,b", "redis+pubsub://a,b"),
        ] {
            let parsed: LayerUrl = url.parse().unwrap();
            assert_eq!(parsed.to_string(), shown);
            assert!(!format!("{parsed:?}").contains("pw"));
        }
        for bad in ["memory://", "", "redis", "redis://", "amqp://a"] {
            let refused = bad.parse::<LayerUrl>().unwrap_err();
            assert!(refused.starts_with("expected "), "{bad}: {refused}");
        }
    }

    #[test]
    fn a_url_is_written_as_it_was_read() {
        for url in ["sqlite:roomful.db", "sqlite:/a/b.db", "memory", "none"] {
            assert_eq!(url.parse::<HistoryUrl>().unwrap().to_string(), url);
        }
    }
}
