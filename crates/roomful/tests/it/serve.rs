//! The server under HTTP's own troubles: heads that never end, limits, event loops, and a gentle stop.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use roomful::serve::{Counters, HttpLimits, Server};
use roomful::{ChannelLayer, CloseCode, Consumer, Event, Message, Result, Socket};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use crate::support::soon;
use crate::wire::{FIN, TEXT, Wire, frame};

/// A server on threads of its own, told to stop when it is dropped.
struct Running {
    address: SocketAddr,
    counters: Counters,
    stop: Option<oneshot::Sender<()>>,
    done: Option<thread::JoinHandle<std::io::Result<()>>>,
}

impl Running {
    fn start(application: Router, threads: usize, change: impl FnOnce(&mut HttpLimits)) -> Self {
        let mut limits = HttpLimits::default();
        limits.drain_timeout = Duration::from_secs(5);
        change(&mut limits);
        let server = Server::bind("127.0.0.1:0", threads).unwrap().limits(limits);
        Self::run(server, application)
    }

    fn run(server: Server, application: Router) -> Self {
        let address = server.local_addr().unwrap();
        let counters = server.counters().clone();
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            // Dropping the sender stops it too.
            let _ = stopped.await;
        };
        let run = move || server.run(application, stopped, std::future::ready(()));
        Self {
            address,
            counters,
            stop: Some(stop),
            done: Some(thread::spawn(run)),
        }
    }

    async fn connect(&self) -> TcpStream {
        soon(TcpStream::connect(self.address)).await.unwrap()
    }

    fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }

    async fn stopped(&mut self) {
        let done = self.done.take().unwrap();
        let joined = soon(tokio::task::spawn_blocking(|| done.join())).await;
        joined.unwrap().unwrap().unwrap();
    }
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// One answer to `REQUEST`, on a connection that may go on.
async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nhello") {
        let byte = soon(stream.read_u8()).await;
        answer.push(byte.unwrap_or_else(|error| panic!("{error}: {answer:?}")));
    }
    String::from_utf8(answer).unwrap()
}

/// Everything until the connection ends, with a reset or without.
async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    String::from_utf8(rest).unwrap()
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_ends_the_connection() {
    let timeout = Duration::from_millis(200);
    let server = Running::start(hello(), 1, |limits| limits.head_timeout = timeout);

    let started = Instant::now();
    let mut silent = server.connect().await;
    assert_eq!(rest(&mut silent).await, "");
    assert!(started.elapsed() >= timeout);

    // Bytes do not buy time.
    let started = Instant::now();
    let mut dripping = server.connect().await;
    let _ = dripping
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        .await;
    let drip = async {
        let mut ticks = tokio::time::interval(timeout / 8);
        loop {
            ticks.tick().await;
            if dripping.write_all(b"x: y\r\n").await.is_err() {
                return;
            }
        }
    };
    soon(drip).await;
    assert!(started.elapsed() < Duration::from_secs(3));

    let mut good = server.connect().await;
    good.write_all(REQUEST).await.unwrap();
    answer(&mut good).await;
}

#[tokio::test]
async fn a_head_that_is_too_large_gets_431() {
    let server = Running::start(hello(), 1, |_| {});
    let long = format!("x: {}\r\n\r\n", "y".repeat(20 * 1024));
    let many = format!("{}\r\n", "x: y\r\n".repeat(150));
    for headers in [long, many] {
        let mut client = server.connect().await;
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{headers}");
        client.write_all(request.as_bytes()).await.unwrap();
        let answer = rest(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests_until_it_is_idle_for_too_long() {
    let keep_alive = Duration::from_millis(200);
    let server = Running::start(hello(), 1, |limits| limits.keep_alive = keep_alive);
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.write_all(REQUEST).await.unwrap();
        answer(&mut client).await;
    }
    let started = Instant::now();
    assert_eq!(rest(&mut client).await, "");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn one_address_has_its_share_of_connections_and_no_more() {
    let server = Running::start(hello(), 1, |limits| limits.max_connections_per_address = 2);
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    for client in [&mut first, &mut second] {
        client.write_all(REQUEST).await.unwrap();
        answer(client).await;
    }
    let mut third = server.connect().await;
    assert_eq!(rest(&mut third).await, "");
    let counted = &server.counters;
    assert_eq!((counted.accepted(), counted.refused()), (2, 1));
    assert_eq!(counted.open(), 2);
    drop(first);
    // Its place is free as soon as the server has seen it go.
    soon(async {
        loop {
            let mut client = server.connect().await;
            let _ = client.write_all(REQUEST).await;
            if client.read_u8().await.is_ok() {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_full_server_lets_the_next_one_wait_until_somebody_leaves() {
    let server = Running::start(hello(), 1, |limits| limits.max_connections = 1);
    let mut first = server.connect().await;
    first.write_all(REQUEST).await.unwrap();
    answer(&mut first).await;
    let mut next = server.connect().await;
    next.write_all(REQUEST).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(100), next.read_u8()).await;
    assert!(early.is_err(), "it is not served yet");
    drop(first);
    answer(&mut next).await;
}

#[tokio::test]
async fn stopping_finishes_what_was_begun_and_accepts_nothing_more() {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, finish) = (Arc::clone(&begun), Arc::clone(&finish));
        move || async move {
            begun.notify_one();
            finish.notified().await;
            "hello"
        }
    };
    let mut server = Running::start(Router::new().route("/", get(slow)), 2, |_| {});
    let mut client = server.connect().await;
    client.write_all(REQUEST).await.unwrap();
    soon(begun.notified()).await;
    server.tell_to_stop();
    soon(async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    finish.notify_one();
    answer(&mut client).await;
    assert_eq!(rest(&mut client).await, "");
    server.stopped().await;
}

/// Says on which thread it lives.
#[derive(Clone)]
struct WhereAmI;

impl Consumer for WhereAmI {
    type Event = Event;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        socket.accept().await?;
        let thread = format!("{:?}", thread::current().id());
        socket.send(thread).await
    }
}

async fn thread_at(server: &Running, path: &str) -> String {
    let mut client = Wire::open(server.address, path).await;
    client.next().await.unwrap().as_text().to_owned()
}

#[tokio::test]
async fn all_connections_of_one_path_live_on_one_event_loop() {
    let service = WhereAmI.into_service(&ChannelLayer::memory());
    let application = Router::new().route_service("/{room}/", service);
    let server = Running::start(application, 2, |_| {});
    let mut all = HashSet::new();
    for room in 0..16 {
        let mut threads = HashSet::new();
        for _ in 0..6 {
            threads.insert(thread_at(&server, &format!("/{room}/")).await);
        }
        assert_eq!(threads.len(), 1, "room {room} is in one place");
        all.extend(threads);
    }
    assert_eq!(all.len(), 2, "rooms are spread");
}

#[tokio::test]
async fn a_room_under_two_addresses_lives_where_the_server_was_told() {
    let service = WhereAmI.into_service(&ChannelLayer::memory());
    let application = Router::new().route_service("/{kind}/{room}/", service);
    let server = Server::bind("127.0.0.1:0", 2)
        .unwrap()
        .home_by_path(|shards, path| Some(shards.home(path.rsplit('/').nth(1)?)));
    let server = Running::run(server, application);
    let mut all = HashSet::new();
    for room in 0..16 {
        let one = thread_at(&server, &format!("/room/{room}/")).await;
        let other = thread_at(&server, &format!("/ws/{room}/?x=1")).await;
        assert_eq!(one, other, "room {room} is in one place");
        all.insert(one);
    }
    assert_eq!(all.len(), 2, "rooms are spread");
}

/// Accepts at `/echo/`, refuses at `/refuse/`, accepts at `/late/` when it may.
#[derive(Clone)]
struct Door {
    open: Arc<Notify>,
}

impl Consumer for Door {
    type Event = Event;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        match socket.scope().path() {
            "/refuse/" => socket.close(CloseCode::NORMAL),
            path => {
                if path == "/late/" {
                    self.open.notified().await;
                }
                socket.accept().await?;
            }
        }
        Ok(())
    }

    async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
        socket.send(message).await
    }
}

/// The same house twice: hyper answers its handshakes, and the server does.
fn both_ways() -> ([Running; 2], Arc<Notify>) {
    let open = Arc::new(Notify::new());
    let servers = [false, true].map(|direct| {
        let open = Arc::clone(&open);
        let door = Door { open }.into_service(&ChannelLayer::memory());
        let mut house = Router::new().route("/page/", get(|| async { "hello" }));
        for path in ["/echo/", "/refuse/", "/late/"] {
            house = house.route_service(path, door.clone());
        }
        let server = Server::bind("127.0.0.1:0", 2).unwrap();
        let server = match direct {
            true => server.direct_handshakes(),
            false => server,
        };
        Running::run(server, house)
    });
    (servers, open)
}

/// The answer's head and body but for its date, which a 101 has through hyper alone.
async fn undated_answer(server: &Running, request: &str) -> String {
    let mut client = server.connect().await;
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while let Ok(byte) = soon(client.read_u8()).await {
        answer.push(byte);
        if answer.starts_with(b"HTTP/1.1 101 ") && answer.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let answer = String::from_utf8(answer).unwrap();
    let lines = answer.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("date: ")).collect()
}

#[tokio::test]
async fn a_handshake_has_the_same_answer_with_hyper_and_without() {
    let ([through_hyper, direct], open) = both_ways();
    let asks = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let many = "x: y\r\n".repeat(80);
    let too_many = "x: y\r\n".repeat(150);
    for (request, status) in [
        (format!("GET /echo/ HTTP/1.1\r\n{asks}\r\n"), 101),
        (format!("GET /echo/?a=b HTTP/1.1\r\nx:\r\n{asks}\r\n"), 101),
        (format!("\r\nGET /echo/ HTTP/1.1\r\n{asks}\r\n"), 101),
        (
            format!("GET http://localhost/echo/ HTTP/1.1\r\n{asks}\r\n"),
            101,
        ),
        (format!("GET /echo/ HTTP/1.1\r\n{asks}{many}\r\n"), 101),
        (format!("GET /echo/ HTTP/1.1\r\n{asks}{too_many}\r\n"), 431),
        (format!("GET /refuse/ HTTP/1.1\r\n{asks}\r\n"), 403),
        (format!("GET /page/ HTTP/1.1\r\n{asks}\r\n"), 200),
        (format!("GET /nowhere/ HTTP/1.1\r\n{asks}\r\n"), 404),
        (format!("GET /echo/ HTTP/1.1\r\n{asks}Host: b\r\n\r\n"), 400),
        (
            format!("GET /echo/ HTTP/1.1\r\n{asks}Content-Length: 1\r\n\r\nx"),
            400,
        ),
        (
            format!("GET /echo/ HTTP/1.1\r\n{asks}Sec-WebSocket-Key: x\r\n\r\n"),
            400,
        ),
        (format!("GET /echo/ HTTP/1.1\r\n{asks}a b: c\r\n\r\n"), 400),
        (format!("GET /echo/ HTTP/1.0\r\n{asks}\r\n"), 505),
        (format!("POST /echo/ HTTP/1.1\r\n{asks}\r\n"), 405),
        (format!("GET echo HTTP/1.1\r\n{asks}\r\n"), 404),
    ] {
        let wanted = undated_answer(&through_hyper, &request).await;
        let head = wanted.get(9..12).unwrap_or_default();
        assert_eq!(head, status.to_string(), "{request} {wanted}");
        assert_eq!(undated_answer(&direct, &request).await, wanted, "{request}");
    }

    // Once it is decided, and not before.
    let late = format!("GET /late/ HTTP/1.1\r\n{asks}\r\n");
    for server in [through_hyper, direct] {
        open.notify_one();
        let answer = undated_answer(&server, &late).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    }
}

#[tokio::test]
async fn frames_that_follow_the_request_at_once_are_heard() {
    let ([through_hyper, direct], open) = both_ways();
    for (server, path) in [
        (&through_hyper, "/echo/"),
        (&direct, "/echo/"),
        (&through_hyper, "/late/"),
        (&direct, "/late/"),
    ] {
        let mut bytes = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        .into_bytes();
        bytes.extend(frame(FIN | TEXT, b"early"));
        let mut stream = server.connect().await;
        stream.write_all(&bytes).await.unwrap();
        if path == "/late/" {
            open.notify_one();
        }
        let mut client = Wire::upgraded(stream).await;
        client.expect_text("early").await;
        client.say("later").await;
        client.expect_text("later").await;
    }
}

#[tokio::test]
async fn a_request_that_comes_in_pieces_is_a_handshake_too() {
    let ([_, direct], _) = both_ways();
    let mut stream = direct.connect().await;
    stream.set_nodelay(true).unwrap();
    let request = "GET /echo/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    for piece in request.as_bytes().chunks(7) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut client = Wire::upgraded(stream).await;
    client.say("whole").await;
    client.expect_text("whole").await;
}
