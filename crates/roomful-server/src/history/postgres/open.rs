//! From a URL to a connection: the database is there, is what it should be, has the newest schema and a name.

use std::sync::Arc;

use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::link::Link;
use super::migrate::{self, MIGRATIONS, Migrated};
use super::{PostgresOptions, StoreError};
use crate::history::{Identity, OpenError};
use crate::redact::hide_secrets;

/// Connects, brings the schema up to date, and reads what names the store; a new one gets its name here.
pub(super) async fn open(
    url: &str,
    options: &PostgresOptions,
) -> Result<(Link, Identity), OpenError> {
    let shown: Arc<str> = hide_secrets(url).into();
    let mut link = link(url, &shown, options)?;
    let refused = |error: StoreError| refused(&shown, error);
    encoding(&mut link, &shown).await?;
    let migrated = link
        .run(&async |session| migrate::migrate(&mut session.client, MIGRATIONS).await)
        .await
        .map_err(refused)?;
    if let Migrated::Newer { found, known } = migrated {
        return Err(newer(&shown, found, known));
    }
    let fresh = Identity::new();
    let identity = link
        .run(&async |session| identity(&session.client, &fresh).await)
        .await
        .map_err(refused)?;
    Ok((link, identity))
}

/// Says what is at a URL, without changing it. Blocks.
pub(crate) fn look(url: &str) -> Result<&'static str, OpenError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| OpenError::Thread { source })?;
    let shown: Arc<str> = hide_secrets(url).into();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut link = link(url, &shown, &PostgresOptions::default())?;
        encoding(&mut link, &shown).await?;
        let found = link
            .run(&async |session| migrate::version(&session.client).await)
            .await
            .map_err(|error| refused(&shown, error))?;
        let known = i32::try_from(MIGRATIONS.len()).expect("migrations are counted by hand");
        match found {
            0 => Ok("is reached, its tables will be made"),
            found if found > known => Err(newer(&shown, found, known)),
            found if found < known => Ok("is reached, its tables will be brought up to date"),
            _ => Ok("is reached"),
        }
    })
}

fn link(url: &str, shown: &Arc<str>, options: &PostgresOptions) -> Result<Link, OpenError> {
    let config = url
        .parse()
        .map_err(|error: tokio_postgres::Error| OpenError::PostgresUrl {
            url: Arc::clone(shown),
            source: Box::new(StoreError::from(error)),
        })?;
    // Certificates of the system that cannot be read are not missed where TLS is not asked for.
    let (tls, _unread) =
        MakeRustlsConnect::with_native_certs().map_err(|error| OpenError::PostgresUrl {
            url: Arc::clone(shown),
            source: format!("{error:?}").into(),
        })?;
    Ok(Link::new(config, tls, options.synchronous))
}

/// Text of any script has to fit.
async fn encoding(link: &mut Link, shown: &Arc<str>) -> Result<(), OpenError> {
    let encoding: String = link
        .run(&async |session| {
            let row = session
                .client
                .query_one("SHOW server_encoding", &[])
                .await?;
            Ok(row.try_get(0)?)
        })
        .await
        .map_err(|error| refused(shown, error))?;
    match encoding.as_str() {
        "UTF8" => Ok(()),
        _ => Err(OpenError::Encoding {
            url: Arc::clone(shown),
            encoding,
        }),
    }
}

async fn identity(client: &Client, fresh: &Identity) -> Result<Identity, StoreError> {
    let epoch = fresh.epoch.as_deref().unwrap_or_default();
    // Of nodes that start together the first one names it.
    client
        .execute(
            "INSERT INTO roomful.store (id, epoch, secret) VALUES (1, $1, $2) ON CONFLICT DO NOTHING",
            &[&epoch, &&fresh.secret[..]],
        )
        .await?;
    let row = client
        .query_one("SELECT epoch, secret FROM roomful.store", &[])
        .await?;
    let epoch: String = row.try_get(0)?;
    let secret: Vec<u8> = row.try_get(1)?;
    Ok(Identity {
        epoch: Some(epoch.into()),
        secret: secret
            .try_into()
            .map_err(|_| StoreError::Unexpected("the secret in roomful.store is not 32 bytes"))?,
    })
}

fn newer(shown: &Arc<str>, found: i32, known: i32) -> OpenError {
    OpenError::NewerPostgres {
        url: Arc::clone(shown),
        found,
        known,
    }
}

fn refused(shown: &Arc<str>, error: StoreError) -> OpenError {
    OpenError::Postgres {
        url: Arc::clone(shown),
        source: Box::new(error),
    }
}
