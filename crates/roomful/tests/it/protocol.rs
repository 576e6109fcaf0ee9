//! RFC 6455 on a real socket: control frames, the closing handshake, what breaks the protocol, peers that vanish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomful::{
    ChannelLayer, Close, CloseCode, Consumer, ConsumerService, Event, Message, Options, Result,
    Socket,
};
use tokio::sync::{Notify, mpsc};

use crate::support::{served, soon};
use crate::wire::{BINARY, CLOSE, FIN, Frame, PING, PONG, TEXT, Wire, close_frame, frame, header};

/// Echoes text, waits when told to, and tells the test how connections ended.
#[derive(Clone)]
struct Echo {
    go_on: Arc<Notify>,
    ended: mpsc::UnboundedSender<Close>,
}

impl Consumer for Echo {
    type Event = Event;

    async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
        let text = message.into_text()?;
        match &*text {
            "wait" => self.go_on.notified().await,
            "close" => socket.close(Close::new(CloseCode::RESTART, "again")),
            _ => {}
        }
        socket.send(text).await
    }

    async fn disconnect(&mut self, _socket: &mut Socket, close: &Close) -> Result {
        // The test may be over.
        let _ = self.ended.send(close.clone());
        Ok(())
    }
}

struct Server {
    address: SocketAddr,
    go_on: Arc<Notify>,
    ended: mpsc::UnboundedReceiver<Close>,
}

impl Server {
    async fn start() -> Self {
        Self::with(|service| service).await
    }

    async fn with(change: impl FnOnce(ConsumerService<Echo>) -> ConsumerService<Echo>) -> Self {
        let (sender, ended) = mpsc::unbounded_channel();
        let go_on = Arc::new(Notify::new());
        let echo = Echo {
            go_on: Arc::clone(&go_on),
            ended: sender,
        };
        let service = change(echo.into_service(&ChannelLayer::memory()));
        Self {
            address: served(service).await,
            go_on,
            ended,
        }
    }

    async fn open(&self) -> Wire {
        Wire::open(self.address, "/").await
    }

    async fn ended(&mut self) -> u16 {
        soon(self.ended.recv()).await.unwrap().code.get()
    }
}

#[tokio::test]
async fn a_ping_is_answered_while_the_consumer_is_busy() {
    let server = Server::start().await;
    let mut client = server.open().await;
    client.say("wait").await;
    client.send(frame(FIN | PING, b"are you there")).await;
    let pong = client.next().await.unwrap();
    assert_eq!(
        (pong.opcode, &pong.payload[..]),
        (PONG, &b"are you there"[..])
    );
    server.go_on.notify_one();
    client.expect_text("wait").await;
}

#[tokio::test]
async fn a_close_is_answered_with_its_code_and_the_server_ends_tcp_first() {
    let mut server = Server::start().await;
    for (payload, code) in [(&b"\x03\xe9bye"[..], 1001), (&b""[..], 1005)] {
        let mut client = server.open().await;
        client.send(frame(FIN | CLOSE, payload)).await;
        client.expect_end(code).await;
        assert_eq!(server.ended().await, code);
    }
}

#[tokio::test]
async fn what_was_said_before_a_close_is_still_answered() {
    let server = Server::start().await;
    let mut client = server.open().await;
    let mut bytes = Vec::new();
    for n in 0..100 {
        bytes.extend(frame(FIN | TEXT, n.to_string().as_bytes()));
    }
    bytes.extend(close_frame(1000));
    client.send(bytes).await;
    for n in 0..100 {
        client.expect_text(&n.to_string()).await;
    }
    client.expect_end(1000).await;
}

#[tokio::test]
async fn a_close_is_answered_though_the_consumer_stays_busy() {
    let server = Server::with(|service| {
        let mut options = Options::default();
        options.close_timeout = Duration::from_millis(100);
        service.options(options)
    })
    .await;
    let mut client = server.open().await;
    client.say("wait").await;
    client.send(close_frame(1000)).await;
    client.expect_end(1000).await;
}

#[tokio::test]
async fn our_close_ends_tcp_when_it_is_answered() {
    let mut server = Server::start().await;
    let mut client = server.open().await;
    client.say("close").await;
    let close = client.next().await.unwrap();
    assert_eq!(
        (close.close_code(), &close.payload[2..]),
        (1012, &b"again"[..])
    );
    assert_eq!(server.ended().await, 1012);
    client.say("nobody listens any more").await;
    client.send(close_frame(1012)).await;
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn a_peer_that_never_answers_our_close_is_cut_off() {
    let server = Server::with(|service| {
        let mut options = Options::default();
        options.close_timeout = Duration::from_millis(100);
        service.options(options)
    })
    .await;
    let mut client = server.open().await;
    client.say("close").await;
    assert_eq!(client.next().await.unwrap().close_code(), 1012);
    client.expect_cut().await;
}

#[tokio::test]
async fn what_breaks_the_protocol_gets_its_close_code_and_then_the_end() {
    let mut two_texts = frame(TEXT, b"a");
    two_texts.extend(frame(FIN | TEXT, b"b"));
    let mut unmasked = vec![FIN | TEXT, 2];
    unmasked.extend(b"hi");
    let cases = [
        ("no mask", unmasked, 1002),
        ("a reserved bit", frame(FIN | TEXT | 0x40, b"x"), 1002),
        ("a reserved opcode", frame(FIN | 3, b"x"), 1002),
        ("a ping in pieces", frame(PING, b"x"), 1002),
        ("a long ping", frame(FIN | PING, &[0; 126]), 1002),
        ("nothing to continue", frame(FIN, b"x"), 1002),
        ("a message in a message", two_texts, 1002),
        ("half a close code", frame(FIN | CLOSE, &[3]), 1002),
        ("a reserved close code", close_frame(1004), 1002),
        ("no UTF-8", frame(FIN | TEXT, b"\xc0\xaf"), 1007),
        ("no UTF-8 in the first half", frame(TEXT, b"\xff"), 1007),
        (
            "no UTF-8 in a reason",
            frame(FIN | CLOSE, b"\x03\xe8\xff"),
            1007,
        ),
        ("too large by its header", header(FIN | TEXT, 2 << 20), 1009),
        ("binary to a text endpoint", frame(FIN | BINARY, b"x"), 1003),
    ];
    let mut server = Server::start().await;
    for (what, bad, code) in cases {
        let mut client = server.open().await;
        let mut bytes = frame(FIN | TEXT, b"before");
        bytes.extend(bad);
        // A reset, which data on the way to a closed socket causes, must not overtake the Close.
        bytes.extend(frame(FIN | TEXT, &[b'x'; 100_000]));
        client.send(bytes).await;
        let started = Instant::now();
        client.expect_text("before").await;
        let close = client.next().await.expect(what);
        assert_eq!(close.close_code(), code, "{what}");
        assert_eq!(server.ended().await, code, "{what}");
        if code == 1003 {
            // This one the consumer decided; the protocol is whole, and the peer may answer.
            client.send(close_frame(code)).await;
        }
        assert_eq!(client.next().await, None, "{what}");
        assert!(started.elapsed() < Duration::from_secs(2), "{what}");
    }
}

#[tokio::test]
async fn fragments_are_one_message_whatever_comes_between_them() {
    let server = Server::start().await;
    let mut client = server.open().await;
    let mut bytes = frame(TEXT, "zwölf Bo".as_bytes());
    bytes.extend(frame(FIN | PING, b"1"));
    bytes.extend(frame(0, b""));
    bytes.extend(frame(FIN, "xkämpfer".as_bytes()));
    for piece in bytes.chunks(3) {
        client.send(piece).await;
    }
    assert_eq!(client.next().await.unwrap().opcode, PONG);
    client.expect_text("zwölf Boxkämpfer").await;
}

#[tokio::test]
async fn bytes_that_come_with_the_handshake_are_not_lost() {
    use tokio::io::AsyncWriteExt as _;
    let server = Server::start().await;
    let mut stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let mut bytes =
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            .to_vec();
    bytes.extend(frame(FIN | TEXT, b"early"));
    stream.write_all(&bytes).await.unwrap();
    let mut client = Wire::upgraded(stream).await;
    client.expect_text("early").await;
}

#[tokio::test]
async fn a_peer_that_vanishes_ends_with_1006() {
    let mut server = Server::start().await;
    let client = server.open().await;
    client.stream.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(server.ended().await, 1006);

    let mut client = server.open().await;
    client.say("hello").await;
    client.expect_text("hello").await;
    drop(client);
    assert_eq!(server.ended().await, 1006);
}

#[tokio::test]
async fn a_silent_peer_is_pinged_and_one_that_does_not_answer_is_given_up() {
    let (ping, gone) = (Duration::from_millis(100), Duration::from_millis(400));
    let mut server = Server::with(|service| service.keep_alive(Some(ping), gone)).await;

    // This one answers, for longer than silence is allowed.
    let mut client = server.open().await;
    let started = Instant::now();
    while started.elapsed() < 2 * gone {
        let frame = client.next().await.unwrap();
        assert_eq!(frame.opcode, PING);
        client
            .send(crate::wire::frame(FIN | PONG, &frame.payload))
            .await;
    }
    client.say("still here").await;
    loop {
        match client.next().await.unwrap() {
            Frame { opcode: PING, .. } => {}
            frame => break assert_eq!(frame.as_text(), "still here"),
        }
    }
    drop(client);
    assert_eq!(server.ended().await, 1006);

    let mut client = server.open().await;
    assert_eq!(client.next().await.unwrap().opcode, PING);
    assert_eq!(server.ended().await, 1006);
    client.expect_cut().await;
}

#[tokio::test]
async fn a_message_as_large_as_the_whole_backlog_can_be_sent() {
    let server = Server::with(|service| service.max_message_bytes(8 << 20)).await;
    let mut client = server.open().await;
    let large = "x".repeat(5 << 20);
    for _ in 0..3 {
        client.say(&large).await;
    }
    for _ in 0..3 {
        assert_eq!(client.next().await.unwrap().as_text().len(), large.len());
    }
}
