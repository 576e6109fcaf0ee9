//! One slow reader harms nobody: its backlog is bounded, it is closed or told to catch up, and the others hear all.

use std::net::SocketAddr;

use roomful::audience::Audience;
use roomful::{
    Backlog, ChannelLayer, Consumer, Event, Message, Moment, Overflow, Result, Socket, SocketSender,
};
use tokio::sync::mpsc;
use tokio::task::yield_now;

use crate::support::{served, soon};
use crate::wire::{CLOSE, Wire, close_frame};

/// Has a seat in the audience, and gives the test its sender.
#[derive(Clone)]
struct Listener {
    audience: Audience,
    senders: mpsc::UnboundedSender<SocketSender>,
}

impl Consumer for Listener {
    type Event = Event;

    async fn run(self, socket: &mut Socket) -> Result {
        socket.accept().await?;
        let _seat = self.audience.join(&socket.sender());
        self.senders.send(socket.sender())?;
        loop {
            match socket.next().await {
                Moment::Lagged(dropped) => socket.send(format!("lagged {dropped}")).await?,
                Moment::Closed(_) => return Ok(()),
                _ => {}
            }
        }
    }
}

struct Stage {
    audience: Audience,
    address: SocketAddr,
    senders: mpsc::UnboundedReceiver<SocketSender>,
}

const BACKLOG_BYTES: usize = 64 * 1024;

async fn stage(overflow: Overflow) -> Stage {
    let audience = Audience::new();
    let (sender, senders) = mpsc::unbounded_channel();
    let listener = Listener {
        audience: audience.clone(),
        senders: sender,
    };
    let service = listener
        .into_service(&ChannelLayer::memory())
        .backlog(Backlog {
            max_bytes: BACKLOG_BYTES,
            overflow,
            ..Backlog::default()
        });
    Stage {
        audience,
        address: served(service).await,
        senders,
    }
}

const LINE_BYTES: usize = 4000;

/// A line of the same length whatever its number.
fn line(n: usize) -> Message {
    format!("{n:0LINE_BYTES$}").into()
}

fn number(text: &str) -> usize {
    assert_eq!(text.len(), LINE_BYTES);
    text.parse().unwrap()
}

impl Stage {
    async fn sender(&mut self) -> SocketSender {
        soon(self.senders.recv()).await.unwrap()
    }

    /// Sends lines until the slow one has had enough, which `reader` hears all of.
    async fn send_until(&self, reader: &mut Wire, mut enough: impl FnMut() -> bool) -> usize {
        let mut n = 0;
        while !enough() {
            self.audience.send(&line(n));
            assert_eq!(number(reader.next().await.unwrap().as_text()), n);
            n += 1;
            assert!(n < 100_000, "the slow one never had enough");
        }
        n
    }
}

#[tokio::test]
async fn a_reader_that_stops_is_closed_with_4008_and_the_others_hear_everything() {
    let mut stage = stage(Overflow::Close).await;
    let mut slow = Wire::open_narrow(stage.address, "/").await;
    let slow_sender = stage.sender().await;
    let mut reader = Wire::open(stage.address, "/").await;
    stage.sender().await;

    let mut most = 0;
    let sent = stage
        .send_until(&mut reader, || {
            most = most.max(slow_sender.backlog_bytes());
            slow_sender.is_closed()
        })
        .await;
    assert!(
        most <= BACKLOG_BYTES + 2 * LINE_BYTES,
        "{most} bytes waited"
    );

    // It reads again in time: whole lines in order, the last of them followed by the reason.
    let mut heard = 0;
    loop {
        let frame = slow.next().await.unwrap();
        if frame.opcode == CLOSE {
            assert_eq!(frame.close_code(), 4008);
            break;
        }
        assert_eq!(number(frame.as_text()), heard);
        heard += 1;
    }
    assert!(heard < sent, "{heard} of {sent}");
    slow.send(close_frame(4008)).await;
    assert_eq!(slow.next().await, None);
    soon(async {
        while stage.audience.len() > 1 {
            yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_resyncs_is_told_what_it_missed_and_no_frame_is_torn() {
    let mut stage = stage(Overflow::Resync).await;
    let mut slow = Wire::open_narrow(stage.address, "/").await;
    let slow_sender = stage.sender().await;
    let mut reader = Wire::open(stage.address, "/").await;
    stage.sender().await;

    // The backlog shrinks only by being dropped.
    let mut before = 0;
    stage
        .send_until(&mut reader, || {
            let now = slow_sender.backlog_bytes();
            let dropped = now < before && before > BACKLOG_BYTES / 2;
            before = now;
            dropped
        })
        .await;
    assert!(!slow_sender.is_closed());
    assert!(slow_sender.backlog_bytes() <= BACKLOG_BYTES / 2);

    let mut heard = 0;
    loop {
        let frame = slow.next().await.unwrap();
        match frame.as_text().strip_prefix("lagged ") {
            Some(dropped) => break assert!(dropped.parse::<u64>().unwrap() > 0),
            None => assert_eq!(number(frame.as_text()), heard),
        }
        heard += 1;
    }
    stage.audience.send(&line(7));
    assert_eq!(number(slow.next().await.unwrap().as_text()), 7);
}

#[tokio::test]
async fn a_consumer_that_sends_more_than_the_peer_reads_waits_and_is_not_closed() {
    /// Sends a hundred times its backlog.
    #[derive(Clone)]
    struct Torrent;
    impl Consumer for Torrent {
        type Event = Event;

        async fn receive(&mut self, socket: &mut Socket, _message: Message) -> Result {
            for n in 0..100 * BACKLOG_BYTES / LINE_BYTES {
                socket.send(line(n)).await?;
            }
            socket.send("done").await
        }
    }
    let service = Torrent
        .into_service(&ChannelLayer::memory())
        .backlog(Backlog {
            max_bytes: BACKLOG_BYTES,
            max_writes: 4,
            ..Backlog::default()
        });
    let mut client = Wire::open_narrow(served(service).await, "/").await;
    client.say("go").await;
    for n in 0..100 * BACKLOG_BYTES / LINE_BYTES {
        assert_eq!(number(client.next().await.unwrap().as_text()), n);
    }
    client.expect_text("done").await;
}

#[tokio::test]
async fn a_flood_of_pings_that_nobody_reads_the_answers_of_is_closed() {
    let mut stage = stage(Overflow::Close).await;
    let mut client = Wire::open_narrow(stage.address, "/").await;
    let sender = stage.sender().await;
    let pings = crate::wire::frame(0x89, &[b'x'; 125]).repeat(100);
    let flood = async {
        // The server stops reading, or hangs up: both end the flood.
        use tokio::io::AsyncWriteExt as _;
        while client.stream.write_all(&pings).await.is_ok() {}
    };
    let closed = async {
        while !sender.is_closed() {
            assert!(sender.backlog_bytes() < 4 * BACKLOG_BYTES);
            yield_now().await;
        }
    };
    soon(async {
        tokio::select! {
            () = flood => {}
            () = closed => {}
        }
    })
    .await;
    assert!(sender.is_closed());
}
