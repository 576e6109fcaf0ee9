//! One shard's connection for commands: made, watched, and made again when it breaks.
//!
//! Nobody waits for a Redis that is away: a command fails at once until the connection is there again. Only the very first
//! attempt is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult};
use tokio::sync::{Notify, watch};
use tokio::task::unconstrained;
use tokio::time::{sleep, timeout};

use super::counters::Counts;
use super::place::Shard;
use crate::layer::LayerError;

/// How long Redis may take to let us in, and to answer a command.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a silent connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long a blocking pop waits in Redis before it is asked for again.
pub(super) const POP_SECONDS: u64 = 5;

/// The connection for a shard's commands.
pub(super) struct Link {
    shard: Shard,
    /// Which of the shards it is, for the log.
    number: usize,
    state: watch::Sender<State>,
    /// The generation that somebody saw failing, and the news of it.
    suspect: AtomicU64,
    suspected: Notify,
    counts: Arc<Counts>,
}

#[derive(Clone)]
enum State {
    /// The first attempt is under way.
    Trying,
    Up(MultiplexedConnection, u64),
    Down(Arc<RedisError>),
}

impl Link {
    pub(super) fn new(shard: Shard, number: usize, counts: Arc<Counts>) -> Self {
        Self {
            shard,
            number,
            state: watch::Sender::new(State::Trying),
            suspect: AtomicU64::new(0),
            suspected: Notify::new(),
            counts,
        }
    }

    /// Keeps the connection, for ever.
    pub(super) async fn run(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        let mut generation = 0;
        loop {
            let number = self.number;
            match self.connect(PATIENCE).await {
                Ok(connection) => {
                    backoff = Backoff::default();
                    generation += 1;
                    if generation > 1 {
                        self.counts.reconnects.fetch_add(1, Ordering::Relaxed);
                        tracing::info!(
                            redis.shard = number,
                            "shard {number} of the channel layer is back"
                        );
                    }
                    let state = State::Up(connection.clone(), generation);
                    self.state.send_replace(state);
                    let error = self.broken(connection, generation).await;
                    tracing::warn!(redis.shard = number, %error, "shard {number} of the channel layer is lost");
                    self.state.send_replace(State::Down(error.into()));
                }
                Err(error) => {
                    if matches!(*self.state.borrow(), State::Trying) {
                        tracing::warn!(redis.shard = number, %error, "shard {number} of the channel layer cannot be reached");
                    }
                    self.state.send_replace(State::Down(error.into()));
                }
            }
            backoff.pause().await;
        }
    }

    /// Waits until the connection fails, and says how.
    async fn broken(&self, mut connection: MultiplexedConnection, generation: u64) -> RedisError {
        loop {
            let suspected = timeout(PING_EVERY, self.suspected.notified()).await.is_ok();
            if suspected && self.suspect.load(Ordering::Acquire) == generation {
                return RedisError::from((ErrorKind::Io, "a command failed"));
            }
            let answer: RedisResult<()> = redis::cmd("PING").query_async(&mut connection).await;
            match answer {
                Err(error) if is_fatal(&error) => return error,
                _ => {}
            }
        }
    }

    /// A connection of its own, whose commands may take that long.
    pub(super) async fn connect(&self, patience: Duration) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(patience));
        let connecting = async {
            let client = self.shard.client().await?;
            client
                .get_multiplexed_async_connection_with_config(&config)
                .await
        };
        timeout(PATIENCE, connecting)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// A connection for blocking pops.
    pub(super) async fn connect_for_pops(&self) -> RedisResult<MultiplexedConnection> {
        self.connect(PATIENCE + Duration::from_secs(2 * POP_SECONDS))
            .await
    }

    /// A connection for subscriptions.
    pub(super) async fn connect_for_subscriptions(&self) -> RedisResult<PubSub> {
        let connecting = async { self.shard.client().await?.get_async_pubsub().await };
        timeout(PATIENCE, connecting)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// Sends commands in one go and gives their answers.
    ///
    /// Queries keep their order, also those that follow an answer: they are outside of tokio's budget, by which a task that
    /// has many under way could be put off between an answer and its next query, and overtaken by one that was behind it.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<T, LayerError> {
        let (mut connection, generation) = unconstrained(self.connection()).await?;
        unconstrained(commands.query_async(&mut connection))
            .await
            .map_err(|error| {
                if is_fatal(&error) {
                    self.suspect.store(generation, Ordering::Release);
                    self.suspected.notify_one();
                }
                unavailable(error)
            })
    }

    /// Waits until the first attempt is over.
    pub(super) async fn ready(&self) -> Result<(), LayerError> {
        self.connection().await.map(drop)
    }

    /// Whether there is a connection that works, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(..))
    }

    /// Each connection's number, as they come.
    pub(super) fn generations(&self) -> Generations {
        Generations {
            state: self.state.subscribe(),
            last: 0,
        }
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64), LayerError> {
        let mut states = self.state.subscribe();
        let state = states
            .wait_for(|state| !matches!(state, State::Trying))
            .await
            .expect("the link holds the sender itself")
            .clone();
        match state {
            State::Up(connection, generation) => Ok((connection, generation)),
            State::Down(error) => Err(unavailable(error)),
            State::Trying => unreachable!("waited for something else"),
        }
    }
}

/// Tells of every new connection.
pub(super) struct Generations {
    state: watch::Receiver<State>,
    last: u64,
}

impl Generations {
    /// Waits for a connection that is another than the last one. Cancel safe.
    pub(super) async fn next(&mut self) {
        let last = self.last;
        let is_new =
            |state: &State| matches!(state, State::Up(_, generation) if *generation != last);
        let generation = match self.state.wait_for(is_new).await.as_deref() {
            Ok(State::Up(_, generation)) => Some(*generation),
            _ => None,
        };
        match generation {
            Some(generation) => self.last = generation,
            // The link is gone, and with it the layer.
            None => std::future::pending().await,
        }
    }
}

/// Waits between attempts: longer each time, and not as long as the others who wait.
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            next: Duration::from_millis(50),
        }
    }
}

impl Backoff {
    pub(super) async fn pause(&mut self) {
        let mut random = [0; 1];
        getrandom::fill(&mut random).expect("the operating system has random bytes");
        let share = 0.5 + f64::from(random[0]) / 512.0;
        sleep(self.next.mul_f64(share)).await;
        self.next = (self.next * 2).min(Duration::from_secs(5));
    }
}

/// Whether another connection may do better.
fn is_fatal(error: &RedisError) -> bool {
    // A master that was demoted says so, and the sentinels know the new one.
    error.is_io_error()
        || error.is_timeout()
        || error.is_unrecoverable_error()
        || error.code() == Some("READONLY")
}

fn late() -> RedisError {
    RedisError::from((ErrorKind::Io, "Redis does not answer"))
}

pub(super) fn unavailable(
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LayerError {
    LayerError::Unavailable(error.into())
}
