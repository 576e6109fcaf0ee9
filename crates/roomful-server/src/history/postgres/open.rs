//! From a URL to a connection: the database is there, is what it should be, has the newest schema and a name.

use std::sync::Arc;

use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::link::Link;
use super::migrate::{self, MIGRATIONS};
use super::{PostgresOptions, StoreError};
use crate::history::migration::{Age, Migrations, StoreSchema};
use crate::history::{Identity, NewerStore, OpenError};
use crate::redact::hide_secrets;

/// An open store, before its tasks start.
pub(super) struct Opened {
    /// Refuses a database that has become too new meanwhile.
    pub(super) link: Link,
    pub(super) identity: Identity,
    /// What the database has.
    pub(super) schema: StoreSchema,
    /// What this binary knows.
    pub(super) known: u32,
}

/// Connects, brings the schema up to date, and reads what names the store; a new one gets its name here.
pub(super) async fn open(url: &str, options: &PostgresOptions) -> Result<Opened, OpenError> {
    let shown: Arc<str> = hide_secrets(url).into();
    let mut link = link(url, &shown, options)?;
    let refused = |error: StoreError| refused(&shown, error);
    encoding(&mut link, &shown).await?;
    let migrations = Migrations::new(MIGRATIONS, options.later_migrations);
    let known = migrations.known();
    let mut schema = read(&mut link, &shown).await?;
    if schema.age(known) == Age::Older {
        let session = link.unlimited().await.map_err(refused)?;
        schema = migrate::migrate(&session.client, &migrations, &shown)
            .await
            .map_err(|error| OpenError::Migration {
                url: Arc::clone(&shown),
                source: Box::new(error),
            })?;
    }
    match schema.age(known) {
        Age::NewerUnreadable => return Err(newer(&shown, schema, known)),
        Age::NewerReadable => schema.log_newer(known, &shown),
        Age::Current | Age::Older => {}
    }
    let mut link = link.knowing(known);
    let fresh = Identity::new();
    let identity = link
        .run(&async |session| identity(&session.client, &fresh).await)
        .await
        .map_err(refused)?;
    Ok(Opened {
        link,
        identity,
        schema,
        known,
    })
}

/// Says what is at a URL, without changing it. Blocks.
pub(crate) fn look(url: &str) -> Result<String, OpenError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| OpenError::Thread { source })?;
    let shown: Arc<str> = hide_secrets(url).into();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut link = link(url, &shown, &PostgresOptions::default())?;
        encoding(&mut link, &shown).await?;
        let found = read(&mut link, &shown).await?;
        let known = PostgresOptions::SCHEMA;
        match found.age(known) {
            Age::NewerUnreadable => Err(newer(&shown, found, known)),
            Age::Older if found.schema == 0 => Ok("is reached, its tables will be made".to_owned()),
            age => Ok(format!("is reached{}", found.outlook(age, known))),
        }
    })
}

async fn read(link: &mut Link, shown: &Arc<str>) -> Result<StoreSchema, OpenError> {
    link.run(&async |session| migrate::read(&session.client).await)
        .await
        .map_err(|error| refused(shown, error))
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

fn newer(shown: &Arc<str>, found: StoreSchema, known: u32) -> OpenError {
    OpenError::NewerPostgres {
        url: Arc::clone(shown),
        source: NewerStore::new(found, known),
    }
}

fn refused(shown: &Arc<str>, error: StoreError) -> OpenError {
    OpenError::Postgres {
        url: Arc::clone(shown),
        source: Box::new(error),
    }
}
