//! Layers on Redis, put to the contract of all layers, and to what is theirs alone: what it costs, what happens while
//! Redis is away, and what becomes of messages that cannot be read.

mod away;
mod costs;
mod other_processes;
mod poison;
mod server;

use std::time::Duration;

use roomful::ChannelLayer;
use roomful::layer::redis::{Dialect, Redis};
use roomful::layer::{Inbox, Limits};

use self::server::Server;
use crate::layer_contract::{Subject, contract, keeping_contract};

pub(crate) struct Core;
pub(crate) struct PubSub;

impl Subject for Core {
    const SECOND: Duration = Duration::from_millis(400);

    async fn layer(limits: Limits) -> ChannelLayer {
        layer(Dialect::Core, limits).await
    }

    async fn pass(time: Duration) {
        tokio::time::sleep(time).await;
    }
}

impl Subject for PubSub {
    const SECOND: Duration = Duration::from_millis(400);

    async fn layer(limits: Limits) -> ChannelLayer {
        layer(Dialect::PubSub, limits).await
    }

    async fn pass(time: Duration) {
        tokio::time::sleep(time).await;
    }
}

contract! { core: crate::layer_redis::Core, #[tokio::test] }
keeping_contract! { core_keeps: crate::layer_redis::Core, #[tokio::test] }
contract! { pubsub: crate::layer_redis::PubSub, #[tokio::test] }

/// Makes a test of each dialect.
macro_rules! both {
    ($($test:ident)*) => {
        mod core {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(roomful::layer::redis::Dialect::Core).await;
                }
            )*
        }

        mod pubsub {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(roomful::layer::redis::Dialect::PubSub).await;
                }
            )*
        }
    };
}

use both;

/// One more process on a server.
async fn process(server: &Server, dialect: Dialect, limits: Limits) -> (ChannelLayer, Redis) {
    let redis = server
        .options(dialect)
        .limits(limits)
        .connect()
        .await
        .unwrap();
    (ChannelLayer::new(redis.clone()), redis)
}

async fn member(layer: &ChannelLayer, group: &str) -> Inbox {
    let inbox = layer.open().await.unwrap();
    layer
        .group_add(group, inbox.channel().as_str())
        .await
        .unwrap();
    inbox
}

/// Waits until something is so, which nothing tells us of.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), looking).await;
    in_time.unwrap_or_else(|_| panic!("{what}, not within 20 s"));
}

/// A layer on a server of its own, both of which end with the test's runtime.
async fn layer(dialect: Dialect, limits: Limits) -> ChannelLayer {
    let server = Server::start();
    let redis = server
        .options(dialect)
        .limits(limits)
        .connect()
        .await
        .unwrap();
    tokio::spawn(async move {
        let _kept = server;
        std::future::pending::<()>().await;
    });
    ChannelLayer::new(redis)
}
