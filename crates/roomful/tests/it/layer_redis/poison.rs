//! Messages that cannot be read, and calls that another process would have to make.

use roomful::layer::redis::{Dialect, Serializer};
use roomful::layer::{LayerError, Limits};
use roomful::{ChannelLayer, Event, json};

use super::server::Server;
use super::{both, member, process};
use crate::support::{next_number, numbered};

both! {
    what_cannot_be_read_is_passed_over_and_counted
    another_processs_channel_is_not_received_from
    json_and_encryption_carry_what_they_can
}

async fn what_cannot_be_read_is_passed_over_and_counted(dialect: Dialect) {
    let server = Server::start();
    let (here, _) = process(&server, dialect, Limits::default()).await;
    let (there, redis) = process(&server, dialect, Limits::default()).await;
    let mut inbox = member(&there, "room").await;
    let poison: [&[u8]; 5] = [
        b"",
        b"garbage",
        b"0123456789ab\x81\x01\x02",
        b"0123456789ab\x81\xa4type\xa1x",
        b"\x81\xa4text\xa1x",
    ];

    for (n, message) in poison.iter().enumerate() {
        let command = match dialect {
            Dialect::Core => {
                let queue = format!("asgi{}", inbox.channel().process().unwrap());
                redis::cmd("ZADD")
                    .arg(queue)
                    .arg(4e9 + n as f64)
                    .arg(*message)
                    .take()
            }
            Dialect::PubSub => redis::cmd("PUBLISH")
                .arg("asgi__group__room")
                .arg(*message)
                .take(),
        };
        let _: i64 = server.ask(&command);
    }
    here.group_send("room", &numbered(1)).await.unwrap();

    assert_eq!(next_number(&mut inbox).await, 1);
    super::until("they are counted", async || redis.counters().poisoned == 5).await;
    assert_eq!(redis.counters().received, 1);
}

async fn another_processs_channel_is_not_received_from(dialect: Dialect) {
    let server = Server::start();
    let (here, _) = process(&server, dialect, Limits::default()).await;
    let (there, _) = process(&server, dialect, Limits::default()).await;
    let inbox = there.open().await.unwrap();

    let error = here.listen(inbox.channel().as_str()).await.unwrap_err();

    assert!(matches!(error, LayerError::Elsewhere(_)), "{error:?}");
    assert!(!error.is_retryable());
}

async fn json_and_encryption_carry_what_they_can(dialect: Dialect) {
    let server = Server::start();
    let value = json!({"type": "x", "text": "你好", "most": u64::MAX, "half": 0.5, "list": [{"none": null}]});
    for serializer in [Serializer::MessagePack, Serializer::Json] {
        let layer = async |keys: &[&str]| {
            let options = server
                .options(dialect)
                .serializer(serializer)
                .encryption_keys(keys.iter().copied());
            ChannelLayer::new(options.connect().await.unwrap())
        };
        let (here, there) = (layer(&["new", "old"]).await, layer(&["other", "new"]).await);
        let mut inbox = member(&there, "room").await;

        here.group_send("room", &value).await.unwrap();
        let heard: serde_json::Value = crate::support::soon(inbox.receive())
            .await
            .decode()
            .unwrap();
        assert_eq!(heard, value);

        let bytes =
            Event::from_msgpack(b"\x82\xa4type\xa1x\xa1b\xc4\x01\x00".as_slice().into()).unwrap();
        let sent = here.group_send("room", &bytes).await;
        assert_eq!(
            sent.is_ok(),
            serializer == Serializer::MessagePack,
            "{sent:?}"
        );
    }
}
