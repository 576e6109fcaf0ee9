//! Too much at once, and too little: floods, and those who keep a connection waiting.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use futures_util::stream;
use serde_json::json;

use super::Canary;
use crate::support::{Raw, Server, V1, soon};

#[tokio::test]
async fn a_flood_of_one_does_not_keep_the_others_waiting() {
    let mut server = Server::start();
    let canary = Canary::sits_in(&server).await;
    let mut flooder = V1::join(&server, "123", "Flood").await;
    let mut ben = V1::join(&server, "123", "Ben").await;
    let say = json!({"type": "chat.say", "id": "x", "text": "flood"});

    let (slowest, refused) = join(
        async {
            let mut slowest = Duration::ZERO;
            for number in 0..40 {
                let asked = Instant::now();
                ben.says(&number.to_string(), "hi").await;
                slowest = slowest.max(asked.elapsed());
            }
            slowest
        },
        async {
            let mut refused = 0;
            for round in 0..20 {
                for number in 0..250 {
                    let mut say = say.clone();
                    say["id"] = format!("{round}-{number}").into();
                    flooder.send(&say).await;
                }
                refused += flooder
                    .all_that_came()
                    .await
                    .iter()
                    .filter(|message| message["code"] == "rate_limited")
                    .count();
            }
            refused
        },
    )
    .await;

    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert!(refused > 4_000, "{refused} of 5,000 were refused");
    canary.was_undisturbed(&mut server).await;
}

#[tokio::test]
async fn who_never_finishes_a_request_is_cut_off_and_keeps_nobody_out() {
    let mut server = Server::start();
    let canary = Canary::sits_in(&server).await;
    let begun = Instant::now();
    let mut waiting = Vec::new();
    for beginning in [
        &b""[..],
        b"G",
        b"GET /room/123/ HTTP/1.1\r\nHost: x\r\n",
        b"POST /api/rooms/123/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhi",
    ] {
        for _ in 0..50 {
            let mut raw = Raw::connect(&server).await;
            raw.send(beginning).await;
            waiting.push(raw);
        }
    }
    let joined = Instant::now();
    V1::join(&server, "123", "Ana").await;
    assert!(
        joined.elapsed() < Duration::from_secs(2),
        "{:?}",
        joined.elapsed()
    );

    let drip = async {
        let mut raw = Raw::connect(&server).await;
        // A header a second: always alive, never done.
        for number in 0..20 {
            if !raw.send(format!("X-{number}: x\r\n").as_bytes()).await {
                break;
            }
            if raw.read(Duration::from_secs(1)).await.ended {
                return;
            }
        }
        panic!("a head of 20 seconds was waited for");
    };
    let cut = join_all(waiting.iter_mut().map(Raw::read_to_end));
    let (_, ()) = join(cut, drip).await;

    assert!(
        begun.elapsed() < Duration::from_secs(14),
        "{:?}",
        begun.elapsed()
    );
    canary.was_undisturbed(&mut server).await;
}

#[tokio::test]
async fn who_takes_no_answer_is_cut_off() {
    let endless = || async {
        let piece = || Ok::<_, std::convert::Infallible>(vec![b'x'; 64 << 10]);
        axum::body::Body::from_stream(stream::repeat_with(piece))
    };
    let application = axum::Router::new()
        .route("/endless", axum::routing::get(endless))
        .route("/", axum::routing::get(|| async { "hi" }));
    let mut limits = roomful::serve::HttpLimits::default();
    limits.keep_alive = Duration::from_millis(500);
    // The next one is served when this one is gone.
    limits.max_connections = 1;
    let server = roomful::serve::Server::bind("127.0.0.1:0", 1)
        .unwrap()
        .limits(limits);
    let address = server.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = std::thread::spawn(move || {
        let stopped = async { drop(stopped.await) };
        server.run(application, stopped, async {}).unwrap();
    });
    let mut stalled = tokio::net::TcpStream::connect(address).await.unwrap();
    let get = b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stalled, get)
        .await
        .unwrap();

    let next = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = soon(
        "the next one's turn",
        next.get(format!("http://{address}/")).send(),
    );

    assert_eq!(answer.await.unwrap().status(), 200);
    drop((stop, stalled, next));
    running.join().unwrap();
}
