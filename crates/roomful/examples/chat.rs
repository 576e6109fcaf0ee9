//! A chat room for each URL: open `http://127.0.0.1:8000/room/123/` in two tabs and talk.
//!
//! Run: `cargo run --example chat -- 127.0.0.1:8000`

use axum::response::Html;
use axum::{Router, routing::get};
use roomful::{
    ChannelLayer, Close, Consumer, Event, Message, ProtocolTypeRouter, Result, Socket, UrlRouter,
    json,
};

#[derive(Clone, Default)]
struct ChatConsumer {
    group: String,
}

impl Consumer for ChatConsumer {
    type Event = Event;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        self.group = socket.param("group")?;
        socket.accept().await?;
        socket.group_add(&self.group).await
    }

    async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
        let text = message.into_text()?;
        socket
            .group_send(&self.group, &json!({"type": "xx.oo", "text": text}))
            .await
    }

    async fn event(&mut self, socket: &mut Socket, event: Event) -> Result {
        match event.kind() {
            "xx.oo" => socket.send(event.get::<String>("text")?).await,
            _ => Ok(()),
        }
    }

    async fn disconnect(&mut self, socket: &mut Socket, _close: &Close) -> Result {
        socket.group_discard(&self.group).await
    }
}

const PAGE: &str = r#"<!doctype html><html lang="zh"><meta charset="utf-8"><title>聊天室</title>
<div id="message" role="log"></div>
<input id="txt" placeholder="请输入" aria-label="请输入"> <button id="send">发送</button> <button id="close">关闭连接</button>
<script type="module">
const socket = new WebSocket(location.href.replace(/^http/, "ws"));
const show = text => document.getElementById("message").append(Object.assign(document.createElement("div"), { textContent: text }));
socket.onopen = () => show("连接成功");
socket.onmessage = event => show(event.data);
socket.onclose = () => show("服务端断开");
document.getElementById("send").onclick = () => socket.send(document.getElementById("txt").value);
document.getElementById("close").onclick = () => socket.close();
</script></html>"#;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8000".into());
    let layer = ChannelLayer::memory();
    let pages = Router::new().route("/room/{group}/", get(|| async { Html(PAGE) }));
    let chat = ChatConsumer::default().into_service(&layer);
    let application = ProtocolTypeRouter::new()
        .http(pages)
        .websocket(UrlRouter::new().re_path(r"room/(?P<group>\w+)/$", chat));

    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    roomful::serve::serve(listener, application).await
}
