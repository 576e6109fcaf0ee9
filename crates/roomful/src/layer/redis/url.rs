//! Where Redis is: the URL of a layer, and how to reach each of its shards.
//!
//! ```text
//! redis://[[user]:password@]host[:port][/database][,host…]            one shard a host
//! redis+unix:///path/to.sock[,/other.sock][?db=1&user=…&password=…]
//! redis+sentinel://[[user]:password@]host[:port][,host…]/name[/database]
//! ```
//!
//! `rediss` for `redis` is TLS with the system's roots (or those of `SSL_CERT_FILE`), `+pubsub` after either the pub/sub
//! dialect. What one host does not say, the first one's
//! password and the last one's database are taken for. In a password `,`, `/`, `@`, `?` and `%` are percent-encoded.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use redis::ConnectionAddr;

use super::place::{Place, Shard};

/// How two processes speak to each other over Redis. Both have to speak the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Messages wait in Redis: `RedisChannelLayer` of `channels_redis`.
    #[doc(alias = "RedisChannelLayer")]
    Core,
    /// Messages go to whoever listens at the moment: `RedisPubSubChannelLayer` of `channels_redis`.
    #[doc(alias = "RedisPubSubChannelLayer")]
    PubSub,
}

/// The URL of a layer on Redis. It shows itself without passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    dialect: Dialect,
    shards: Vec<Shard>,
    written: Arc<str>,
    shown: Arc<str>,
}

/// A URL that says nothing about where Redis is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRedisUrl(&'static str);

const EXPECTED: InvalidRedisUrl = InvalidRedisUrl(
    r#"expected "redis://HOST:PORT", "redis+pubsub://HOST:PORT", "rediss://…" for TLS, several hosts with commas, "redis+unix:///PATH" or "redis+sentinel://HOST/NAME""#,
);
const NO_TLS: InvalidRedisUrl =
    InvalidRedisUrl("this program was built without TLS: build it with the feature `redis-tls`");
const BAD_PORT: InvalidRedisUrl =
    InvalidRedisUrl("expected a port between 1 and 65535 after the host");
const BAD_DATABASE: InvalidRedisUrl =
    InvalidRedisUrl("expected the number of a database after the host");
const BAD_ESCAPE: InvalidRedisUrl = InvalidRedisUrl("expected UTF-8 behind the percent signs");

/// One host of the list, as it is written.
struct Written<'a> {
    user: Option<&'a str>,
    address: &'a str,
    database: Option<&'a str>,
}

impl<'a> Written<'a> {
    fn read(item: &'a str) -> Self {
        let (user, rest) = match item.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, item),
        };
        let (address, database) = match rest.split_once('/') {
            Some((address, database)) => (address, Some(database)),
            None => (rest, None),
        };
        Self {
            user,
            address,
            database: database.filter(|database| !database.is_empty()),
        }
    }
}

impl RedisUrl {
    /// How processes speak to each other there.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The URL as it was written, with its passwords.
    pub fn expose(&self) -> &str {
        &self.written
    }

    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;

    fn from_str(url: &str) -> Result<Self, InvalidRedisUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(EXPECTED)?;
        let mut words = scheme.split('+');
        let tls = match words.next() {
            Some("redis") => false,
            Some("rediss") if cfg!(feature = "redis-tls") => true,
            Some("rediss") => return Err(NO_TLS),
            _ => return Err(EXPECTED),
        };
        let mut words = words.peekable();
        let dialect = match words.next_if_eq(&"pubsub") {
            Some(_) => Dialect::PubSub,
            None => Dialect::Core,
        };
        let (kind, more) = (words.next(), words.next());
        let shards = match (kind, more) {
            (None, None) => hosts(rest, tls)?,
            (Some("unix"), None) if !tls => sockets(rest)?,
            (Some("sentinel"), None) => vec![sentinel(rest, tls)?],
            _ => return Err(EXPECTED),
        };
        let shown = format!("{scheme}://{}", without_passwords(rest)).into();
        Ok(Self {
            dialect,
            shards,
            written: url.into(),
            shown,
        })
    }
}

fn hosts(list: &str, tls: bool) -> Result<Vec<Shard>, InvalidRedisUrl> {
    let written: Vec<_> = list.split(',').map(Written::read).collect();
    let first_user = written.first().and_then(|it| it.user);
    let last_database = written.last().and_then(|it| it.database);
    written
        .iter()
        .map(|it| {
            let (user, password) = credentials(it.user.or(first_user))?;
            Ok(Shard {
                place: Place::Address(address(it.address, tls, 6379)?),
                user,
                password,
                database: database(it.database.or(last_database))?,
            })
        })
        .collect()
}

fn sockets(list: &str) -> Result<Vec<Shard>, InvalidRedisUrl> {
    let (paths, query) = list.split_once('?').unwrap_or((list, ""));
    let (mut user, mut password, mut number) = (None, None, 0);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').ok_or(EXPECTED)? {
            ("user", it) => user = Some(decoded(it)?),
            ("password", it) => password = Some(decoded(it)?),
            ("db", it) => number = database(Some(it))?,
            _ => return Err(EXPECTED),
        }
    }
    let shard = |path: &str| {
        if !path.starts_with('/') {
            return Err(EXPECTED);
        }
        Ok(Shard {
            place: Place::Address(ConnectionAddr::Unix(decoded(path)?.into())),
            user: user.clone(),
            password: password.clone(),
            database: number,
        })
    };
    paths.split(',').map(shard).collect()
}

fn sentinel(list: &str, tls: bool) -> Result<Shard, InvalidRedisUrl> {
    let (user, list) = match list.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, list),
    };
    let (addresses, name) = list.split_once('/').ok_or(EXPECTED)?;
    let (master, number) = name.split_once('/').unwrap_or((name, ""));
    if master.is_empty() {
        return Err(EXPECTED);
    }
    let (user, password) = credentials(user)?;
    Ok(Shard {
        place: Place::Sentinel {
            sentinels: addresses
                .split(',')
                .map(|it| address(it, tls, 26379))
                .collect::<Result<_, _>>()?,
            master: decoded(master)?,
            tls,
        },
        user,
        password,
        database: database(Some(number).filter(|number| !number.is_empty()))?,
    })
}

fn address(text: &str, tls: bool, usual_port: u16) -> Result<ConnectionAddr, InvalidRedisUrl> {
    // An IPv6 address has colons too, and stands in brackets.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let port = port.parse().ok().filter(|port| *port != 0);
            (host, port.ok_or(BAD_PORT)?)
        }
        _ => (text, usual_port),
    };
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    if host.is_empty() {
        return Err(EXPECTED);
    }
    Ok(match tls {
        false => ConnectionAddr::Tcp(host, port),
        true => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
    })
}

fn credentials(text: Option<&str>) -> Result<(Option<String>, Option<String>), InvalidRedisUrl> {
    let Some(text) = text else {
        return Ok((None, None));
    };
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let given = |text: &str| {
        Some(text)
            .filter(|text| !text.is_empty())
            .map(decoded)
            .transpose()
    };
    Ok((given(user)?, given(password)?))
}

fn database(text: Option<&str>) -> Result<i64, InvalidRedisUrl> {
    text.map_or(Ok(0), |text| {
        text.parse::<u32>().map(i64::from).map_err(|_| BAD_DATABASE)
    })
}

fn decoded(text: &str) -> Result<String, InvalidRedisUrl> {
    let text = percent_decode_str(text).decode_utf8();
    Ok(text.map_err(|_| BAD_ESCAPE)?.into_owned())
}

/// The part after the scheme, with `***` for whatever can be a password.
fn without_passwords(rest: &str) -> String {
    let (list, query) = rest.split_once('?').unwrap_or((rest, ""));
    let hosts = list.split(',').map(|item| match item.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => format!("{user}@{host}"),
        },
        None => item.to_owned(),
    });
    let mut shown = hosts.collect::<Vec<_>>().join(",");
    for (n, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        shown.push(if n == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some(("password", _)) => shown.push_str("password=***"),
            _ => shown.push_str(pair),
        }
    }
    shown
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> RedisUrl {
        url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn tcp(host: &str, port: u16) -> Place {
        Place::Address(ConnectionAddr::Tcp(host.to_owned(), port))
    }

    #[test]
    fn each_host_is_a_shard_and_takes_what_it_does_not_say_from_the_others() {
        let url = parsed("redis://ana:p%40ss@a,b:7000/1,:x@[::1]:7001/2");
        assert_eq!(url.dialect(), Dialect::Core);
        let shards: Vec<_> = url
            .shards()
            .iter()
            .map(|shard| {
                let Shard {
                    place,
                    user,
                    password,
                    database,
                } = shard;
                (
                    place.clone(),
                    user.as_deref(),
                    password.as_deref(),
                    *database,
                )
            })
            .collect();
        let expected = [
            (tcp("a", 6379), Some("ana"), Some("p@ss"), 2),
            (tcp("b", 7000), Some("ana"), Some("p@ss"), 1),
            (tcp("::1", 7001), None, Some("x"), 2),
        ];
        assert!(shards == expected);
    }

    #[test]
    fn sockets_sentinels_and_the_other_dialect_are_in_the_scheme() {
        let url = parsed("redis+pubsub+unix:///run/a.sock,/run/b.sock?db=3&password=x");
        assert_eq!((url.dialect(), url.shards().len()), (Dialect::PubSub, 2));
        assert!(
            url.shards()[1].place == Place::Address(ConnectionAddr::Unix("/run/b.sock".into()))
        );
        assert_eq!(url.shards()[1].password.as_deref(), Some("x"));

        let url = parsed("redis+sentinel://:pw@a,b:7000/mymaster/4");
        let [
            Shard {
                place:
                    Place::Sentinel {
                        sentinels,
                        master,
                        tls: false,
                    },
                database: 4,
                ..
            },
        ] = url.shards()
        else {
            panic!("one shard behind sentinels");
        };
        assert_eq!(master, "mymaster");
        assert_eq!(sentinels[1], ConnectionAddr::Tcp("b".into(), 7000));
        assert_eq!(sentinels[0], ConnectionAddr::Tcp("a".into(), 26379));
    }

    #[test]
    fn what_is_no_url_of_redis_is_told_what_to_write() {
        for bad in [
            "",
            "redis",
            "redis:",
            "redis://",
            "redis://a,",
            "http://a",
            "redis://a:0",
            "redis://a:99999",
            "redis://a/x",
            "redis+x://a",
            "redis+unix://a",
            "redis+sentinel://a",
            "redis+unix+pubsub:///a",
            "redis+unix:///a?x=1",
            "redis://:%ff@a",
        ] {
            let error = bad.parse::<RedisUrl>().expect_err(bad).to_string();
            assert!(error.starts_with("expected "), "{bad}: {error}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            (
                "redis://ana:s3cret@a,:s3cret@b/1",
                "redis://ana:***@a,:***@b/1",
            ),
            (
                "redis+unix:///a?password=s3cret&db=1",
                "redis+unix:///a?password=***&db=1",
            ),
            ("redis+pubsub://a:1,b", "redis+pubsub://a:1,b"),
            (
                "redis+sentinel://:s3c@ret@a,b/m",
                "redis+sentinel://:***@a,b/m",
            ),
        ] {
            let url = parsed(url);
            assert_eq!(
                (url.to_string(), format!("{url:?}")),
                (shown.to_owned(), format!("{shown:?}"))
            );
        }
    }
}
