//! Every example runs, and does what its first lines say.

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::chat_room::Member;
use crate::support::soon;

/// An example that runs on a free port until the test ends.
struct Example {
    address: SocketAddr,
    _process: Child,
}

impl Example {
    async fn start(name: &str) -> Self {
        // Tests are in `deps`, examples beside it; cargo builds both before it runs any test.
        let tests = std::env::current_exe().unwrap();
        let program = tests
            .ancestors()
            .nth(2)
            .unwrap()
            .join("examples")
            .join(name);
        let mut process = Command::new(&program)
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = soon(lines.next_line()).await.unwrap().unwrap();
        let address = line
            .strip_prefix("listening on http://")
            .and_then(|rest| rest.strip_suffix('/'))
            .unwrap_or_else(|| panic!("{name} says where it listens, not {line:?}"));
        Self {
            address: address.parse().unwrap(),
            _process: process,
        }
    }

    async fn join(&self, path: &str) -> Member {
        Member::join(self.address, path).await
    }

    /// Joins a room in which everybody hears what is said.
    async fn enter(&self, path: &str) -> Member {
        Member::enter(self.address, path).await
    }

    async fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer
    }
}

#[tokio::test]
async fn echo_says_back_what_it_hears() {
    let example = Example::start("echo").await;
    let mut client = example.join("/").await;
    client.say("hello").await;
    assert_eq!(client.hear().await, "hello");
    client.leave().await;
}

#[tokio::test]
async fn chat_has_a_page_and_a_room_on_one_url() {
    let example = Example::start("chat").await;
    let page = example.page("/room/123/").await;
    assert!(page.contains("text/html"), "{page}");
    assert!(page.contains("new WebSocket("), "{page}");
    let mut ana = example.enter("/room/123/").await;
    let mut bo = example.join("/room/123/").await;
    bo.say("hello, everybody").await;
    assert_eq!(ana.hear().await, "hello, everybody");
    assert_eq!(bo.hear().await, "hello, everybody");
}

#[tokio::test]
async fn connections_sends_everything_to_everybody_with_three_dots() {
    let example = Example::start("connections").await;
    let mut ana = example.join("/").await;
    ana.say("one").await;
    assert_eq!(ana.hear().await, "one...");
    let mut bo = example.join("/somewhere/else/").await;
    bo.say("two").await;
    assert_eq!(bo.hear().await, "two...");
    assert_eq!(ana.hear().await, "two...");
    bo.leave().await;
    ana.say("three").await;
    assert_eq!(ana.hear().await, "three...");
}

#[tokio::test]
async fn typed_chat_tells_each_member_what_is_its_own() {
    let example = Example::start("typed_chat").await;
    let mut ana = example.enter("/room/1/").await;
    let mut bo = example.join("/room/1/").await;
    bo.say("hello").await;
    assert_eq!(bo.hear().await, "hello");
    assert_eq!(ana.hear().await, "hello");
    ana.say("/count").await;
    assert_eq!(ana.hear().await, "you said 2 things");
    assert_eq!(bo.hear().await, "you said 1 things");
    bo.say("again").await;
    assert_eq!(ana.hear().await, "again");
    assert_eq!(bo.hear().await, "again");
    bo.say("/count").await;
    assert_eq!(ana.hear().await, "you said 2 things");
    assert_eq!(bo.hear().await, "you said 3 things");
}

#[tokio::test]
async fn in_axum_is_a_room_beside_a_page() {
    let example = Example::start("in_axum").await;
    assert!(
        example
            .page("/")
            .await
            .ends_with("a room is at /room/{group}/\n")
    );
    let mut ana = example.enter("/room/a/").await;
    let mut bo = example.join("/room/a/").await;
    bo.say("from axum").await;
    assert_eq!(ana.hear().await, "from axum");
    assert_eq!(bo.hear().await, "from axum");
}

#[tokio::test]
async fn live_chart_pushes_points_to_everybody() {
    let example = Example::start("live_chart").await;
    assert!(example.page("/").await.contains("<canvas"));
    let mut first = example.join("/chart/").await;
    let mut second = example.join("/chart/").await;
    let mut at = Vec::new();
    for client in [&mut first, &mut second] {
        let point: serde_json::Value = serde_json::from_str(&client.hear().await).unwrap();
        assert_eq!(point["type"], "chart.point");
        assert!(point["value"].is_number());
        at.push(point["at"].as_u64().unwrap());
        let next: serde_json::Value = serde_json::from_str(&client.hear().await).unwrap();
        assert_eq!(next["at"].as_u64().unwrap(), at.last().unwrap() + 1);
    }
}

#[tokio::test]
async fn clock_tells_the_time_until_it_is_enough() {
    let example = Example::start("clock").await;
    let mut client = example.join("/").await;
    let time = client.hear().await;
    assert!(
        time.ends_with(" UTC") && time.len() == "12:34:56 UTC".len(),
        "{time}"
    );
    client.say("enough").await;
    assert_eq!(u16::from(client.end().await), 1000);
}
