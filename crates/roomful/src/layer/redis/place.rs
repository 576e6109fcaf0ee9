//! One shard: a Redis at an address, or the master that sentinels name, and how to become its client.

use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisResult, TlsMode,
};

/// One Redis, and who we are to it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) place: Place,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: i64,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    Address(ConnectionAddr),
    /// Whoever the sentinels say is the master of this name.
    Sentinel {
        sentinels: Vec<ConnectionAddr>,
        master: String,
        tls: bool,
    },
}

impl Shard {
    /// A client of whoever serves this shard now.
    pub(super) async fn client(&self) -> RedisResult<Client> {
        #[cfg(feature = "redis-tls")]
        choose_cryptography();
        match &self.place {
            Place::Address(address) => {
                let mut settings = RedisConnectionInfo::default().set_db(self.database);
                if let Some(user) = &self.user {
                    settings = settings.set_username(user);
                }
                if let Some(password) = &self.password {
                    settings = settings.set_password(password);
                }
                let address = address.clone().into_connection_info()?;
                Client::open(address.set_redis_settings(settings))
            }
            Place::Sentinel {
                sentinels,
                master,
                tls,
            } => {
                let kind = SentinelServerType::Master;
                let mut builder = SentinelClientBuilder::new(sentinels.clone(), master, kind)?
                    .set_client_to_redis_db(self.database);
                if *tls {
                    builder = builder
                        .set_client_to_redis_tls_mode(TlsMode::Secure)
                        .set_client_to_sentinel_tls_mode(TlsMode::Secure);
                }
                if let Some(user) = &self.user {
                    builder = builder.set_client_to_redis_username(user);
                }
                if let Some(password) = &self.password {
                    builder = builder.set_client_to_redis_password(password);
                }
                builder.build()?.async_get_client().await
            }
        }
    }
}

/// The client takes what the process has chosen, and panics where nothing is and more than one was compiled in.
#[cfg(feature = "redis-tls")]
fn choose_cryptography() {
    use rustls::crypto::{CryptoProvider, ring};

    if CryptoProvider::get_default().is_none() {
        // Somebody else may be faster, and has chosen then.
        let _ = ring::default_provider().install_default();
    }
}
