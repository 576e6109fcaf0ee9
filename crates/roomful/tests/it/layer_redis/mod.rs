//! Layers on Redis, put to the contract of all layers, and to what is theirs alone: what it costs, what happens while
//! Redis is away, and what becomes of messages that cannot be read.

mod server;

use std::time::Duration;

use roomful::ChannelLayer;
use roomful::layer::Limits;
use roomful::layer::redis::Dialect;

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
