//! A connection that comes back: opened when it is needed, given up when it fails, and not tried again too often.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{StoreError, migrate};
use crate::history::migration::Age;
use crate::history::{NewerStore, Synchronous};

/// How long connecting, and one piece of work, may take. Who waits longer is told to try again.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a database that could not be reached is left alone; doubled up to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// Told to every session. A node that was cut off must not keep rows locked until TCP gives up on it. Our statements all
/// want an index: with fresh tables the planner has no statistics yet, and plans that are kept would read whole tables.
const SETTINGS: &str = "\
    SET statement_timeout = '5s'; SET lock_timeout = '3s'; SET idle_in_transaction_session_timeout = '5s'; \
    SET client_encoding = 'UTF8'; SET jit = off; \
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off;";

/// Told to the session that migrates: no time limits. Not every version of PostgreSQL has all of them.
const UNLIMITED: &str = "\
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', \
    'transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout'); \
    SET client_encoding = 'UTF8';";
/// Told to it as well, where PostgreSQL can do it: a statement whose client is gone gives up its locks soon.
const CHECKED: &str = "SET client_connection_check_interval = '5s'";

/// Where the database is, and how to speak to it.
#[derive(Clone)]
struct Address {
    config: Config,
    tls: MakeRustlsConnect,
    synchronous: Synchronous,
    /// The newest schema this binary knows: no connection is opened to a database that takes a newer one. `None` before the
    /// schema was looked at.
    known: Option<u32>,
}

/// A connection that comes back.
pub(super) struct Link {
    address: Arc<Address>,
    session: Option<Session>,
    /// Before this the database is not tried again.
    not_before: Option<Instant>,
    pause: Duration,
}

/// An open connection.
pub(super) struct Session {
    pub(super) client: Client,
    statements: HashMap<&'static str, Statement>,
    driver: AbortHandle,
}

impl Link {
    pub(super) fn new(
        mut config: Config,
        tls: MakeRustlsConnect,
        synchronous: Synchronous,
    ) -> Self {
        if config.get_application_name().is_none() {
            config.application_name("roomful");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(PATIENCE / 2);
        }
        config
            .keepalives_idle(Duration::from_secs(15))
            .tcp_user_timeout(Duration::from_secs(10));
        Self::at(Arc::new(Address {
            config,
            tls,
            synchronous,
            known: None,
        }))
    }

    /// The same, which from its next connection on refuses a database that takes a newer schema than `known`.
    pub(super) fn knowing(self, known: u32) -> Self {
        Self::at(Arc::new(Address {
            known: Some(known),
            ..Address::clone(&self.address)
        }))
    }

    /// A connection without time limits, for migrations alone.
    pub(super) async fn unlimited(&self) -> Result<Session, StoreError> {
        let opening = async {
            let session = Session::connect(&self.address).await?;
            session.client.batch_execute(UNLIMITED).await?;
            // Before version 14, and on some systems, it cannot.
            let _ = session.client.batch_execute(CHECKED).await;
            // Whoever waits for this node wants to know which it is.
            let name = format!("roomful migration, process {}", std::process::id());
            session
                .client
                .execute("SELECT set_config('application_name', $1, false)", &[&name])
                .await?;
            Ok(session)
        };
        let opened = timeout(PATIENCE, opening).await;
        opened.unwrap_or(Err(StoreError::Silent(PATIENCE)))
    }

    fn at(address: Arc<Address>) -> Self {
        Self {
            address,
            session: None,
            not_before: None,
            pause: PAUSES[0],
        }
    }

    /// Another connection to the same database.
    pub(super) fn another(&self) -> Self {
        Self::at(Arc::clone(&self.address))
    }

    /// Does `work` on an open connection. A connection that turns out to be broken is replaced, once; so `work` must be
    /// something that may be done twice.
    pub(super) async fn run<T>(
        &mut self,
        work: &impl AsyncFn(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let was_open = self.session.is_some();
        match self.attempt(work).await {
            Err(error) if was_open && error.is_cut() => self.attempt(work).await,
            outcome => outcome,
        }
    }

    async fn attempt<T>(
        &mut self,
        work: &impl AsyncFn(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.connect().await?,
        };
        let outcome = timeout(PATIENCE, work(&mut session)).await;
        let outcome = outcome.unwrap_or(Err(StoreError::Silent(PATIENCE)));
        // After any failure a new connection is the shortest way to a known state.
        if outcome.is_ok() {
            self.session = Some(session);
        }
        outcome
    }

    async fn connect(&mut self) -> Result<Session, StoreError> {
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return Err(StoreError::Away);
        }
        let outcome = timeout(PATIENCE, Session::open(&self.address)).await;
        let outcome = outcome.unwrap_or(Err(StoreError::Silent(PATIENCE)));
        if outcome.is_ok() {
            (self.not_before, self.pause) = (None, PAUSES[0]);
        } else {
            self.not_before = Some(Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(PAUSES[1]);
        }
        outcome
    }
}

impl Session {
    async fn connect(address: &Address) -> Result<Self, StoreError> {
        let (client, connection) = address.config.connect(address.tls.clone()).await?;
        let driver = tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the history ended");
            }
        });
        Ok(Self {
            client,
            statements: HashMap::new(),
            driver: driver.abort_handle(),
        })
    }

    async fn open(address: &Address) -> Result<Self, StoreError> {
        let session = Self::connect(address).await?;
        session.client.batch_execute(SETTINGS).await?;
        let commits = match address.synchronous {
            // What the server's owner chose may be more than a flush.
            Synchronous::Full => {
                "SELECT set_config('synchronous_commit', 'on', false) \
                 WHERE current_setting('synchronous_commit') = 'off'"
            }
            Synchronous::Normal | Synchronous::Off => "SET synchronous_commit = off",
        };
        session.client.batch_execute(commits).await?;
        if let Some(known) = address.known {
            let found = migrate::read(&session.client).await?;
            if found.age(known) == Age::NewerUnreadable {
                return Err(StoreError::Newer(NewerStore::new(found, known)));
            }
        }
        Ok(session)
    }

    /// A statement that is parsed once in a connection's life.
    pub(super) async fn statement(&mut self, sql: &'static str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    pub(super) async fn query(
        &mut self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.statement(sql).await?;
        Ok(self.client.query(&statement, values).await?)
    }

    pub(super) async fn execute(
        &mut self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let statement = self.statement(sql).await?;
        Ok(self.client.execute(&statement, values).await?)
    }
}

impl Drop for Session {
    /// With its driver goes the connection, and with that a transaction that was open.
    fn drop(&mut self) {
        self.driver.abort();
    }
}
