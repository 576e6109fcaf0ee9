//! Audiences: every member hears exactly what is sent while it sits, in one order, whoever comes and goes meanwhile.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use roomful::audience::{Audience, Seat};
use roomful::testing::Client;
use roomful::{
    Backlog, ChannelLayer, CloseCode, Consumer, ConsumerService, Event, Message, Moment, Result,
    Socket, SocketSender, json,
};
use tokio::sync::{Notify, mpsc};

use crate::support::{served, soon};
use crate::wire::{FIN, Frame, TEXT, Wire, close_frame, frame};

/// Gives its sender away and lives until the end.
#[derive(Clone)]
struct Quiet {
    senders: mpsc::UnboundedSender<SocketSender>,
}

impl Consumer for Quiet {
    type Event = Event;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        socket.accept().await?;
        Ok(self.senders.send(socket.sender())?)
    }
}

/// Connections of consumers that do nothing, each with the sender of its other end.
async fn members(count: usize) -> Vec<(Client, SocketSender)> {
    let (senders, mut sender) = mpsc::unbounded_channel();
    let service = Quiet { senders }.into_service(&ChannelLayer::memory());
    let mut members = Vec::new();
    for _ in 0..count {
        let client = Client::connect(service.clone(), "/").await.unwrap();
        members.push((client, soon(sender.recv()).await.unwrap()));
    }
    members
}

/// All texts until the end.
async fn hear_all(client: &mut Client) -> Vec<String> {
    let mut texts = Vec::new();
    while let Ok(text) = client.receive_text().await {
        texts.push(text.to_string());
    }
    texts
}

#[tokio::test]
async fn who_comes_late_hears_nothing_that_was_sent_before() {
    let audience = Audience::new();
    let [(mut early, first), (mut late, second)]: [_; 2] = members(2).await.try_into().unwrap();
    let _early_seat = audience.join(&first);
    audience.send(&"one".into());
    let _late_seat = audience.join(&second);
    audience.send(&"two".into());
    for sender in [first, second] {
        // Still behind what is sent already.
        let farewell = sender.clone();
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        farewell.close(&CloseCode::NORMAL.into());
    }
    assert_eq!(hear_all(&mut early).await, ["one", "two"]);
    assert_eq!(hear_all(&mut late).await, ["two"]);
}

#[tokio::test]
async fn who_leaves_has_heard_all_that_was_sent_before_and_nothing_after() {
    let audience = Audience::new();
    let [(mut client, sender), (mut other, rest)]: [_; 2] = members(2).await.try_into().unwrap();
    let other_seat = audience.join(&rest);
    let seat = audience.join(&sender);
    audience.send(&"one".into());
    drop(seat);
    audience.send(&"two".into());
    drop(other_seat);
    assert!(audience.is_empty());
    for sender in [sender, rest] {
        sender.close(&CloseCode::NORMAL.into());
    }
    assert_eq!(hear_all(&mut client).await, ["one"]);
    assert_eq!(hear_all(&mut other).await, ["one", "two"]);
}

#[tokio::test]
async fn a_member_catches_up_before_it_hears_what_is_live() {
    /// Sits paused, reads its history when told to, and then listens.
    #[derive(Clone)]
    struct CatchesUp {
        audience: Audience,
        sits: Arc<Notify>,
        go_on: Arc<Notify>,
    }
    impl Consumer for CatchesUp {
        type Event = Event;

        async fn run(self, socket: &mut Socket) -> Result {
            socket.accept().await?;
            let mut seat = self.audience.join_paused(&socket.sender());
            self.sits.notify_one();
            self.go_on.notified().await;
            socket.send("old 1").await?;
            socket.send("old 2").await?;
            seat.resume();
            while !matches!(socket.next().await, Moment::Closed(_)) {}
            Ok(())
        }
    }
    let audience = Audience::new();
    let (sits, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let consumer = CatchesUp {
        audience: audience.clone(),
        sits: Arc::clone(&sits),
        go_on: Arc::clone(&go_on),
    };
    let service = consumer.into_service(&ChannelLayer::memory());
    let mut client = Client::connect(service, "/").await.unwrap();
    soon(sits.notified()).await;
    audience.send(&"live 1".into());
    tokio::task::yield_now().await;
    audience.send(&"live 2".into());
    go_on.notify_one();
    for text in ["old 1", "old 2", "live 1", "live 2"] {
        assert_eq!(client.receive_text().await.unwrap(), text);
    }
    audience.send(&"live 3".into());
    assert_eq!(client.receive_text().await.unwrap(), "live 3");
}

/// Says in a group of its path what it hears, on the fast lane or through its own event.
#[derive(Clone)]
struct Room {
    rendered: bool,
}

impl Consumer for Room {
    type Event = Event;

    async fn connect(&mut self, socket: &mut Socket) -> Result {
        socket.accept().await?;
        socket.group_add("room").await
    }

    async fn receive(&mut self, socket: &mut Socket, message: Message) -> Result {
        let kind = if self.rendered {
            "room.rendered"
        } else {
            "room.said"
        };
        let event = json!({"type": kind, "text": message.into_text()?});
        socket.group_send("room", &event).await
    }

    async fn event(&mut self, socket: &mut Socket, event: Event) -> Result {
        socket.send(event.get::<String>("text")?).await
    }

    fn render(event: &Event) -> Option<Message> {
        let rendered = event.kind() == "room.rendered";
        rendered.then(|| event.get::<String>("text").unwrap().into())
    }
}

fn room(rendered: bool) -> ConsumerService<Room> {
    Room { rendered }.into_service(&ChannelLayer::memory())
}

async fn who_says_something_and_leaves_at_once_hears_itself() {
    for rendered in [true, false] {
        let address = served(room(rendered)).await;
        let _other = Wire::open(address, "/").await;
        for n in 0..100 {
            let mut client = Wire::open(address, "/").await;
            let text = format!("goodbye {n}");
            let mut bytes = frame(FIN | TEXT, text.as_bytes());
            bytes.extend(close_frame(1000));
            client.send(bytes).await;
            client.expect_text(&text).await;
            client.expect_end(1000).await;
        }
    }
}

#[tokio::test]
async fn who_says_something_and_leaves_at_once_hears_itself_on_one_thread() {
    who_says_something_and_leaves_at_once_hears_itself().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_says_something_and_leaves_at_once_hears_itself_on_many_threads() {
    who_says_something_and_leaves_at_once_hears_itself().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_accepted_on_another_thread_misses_nothing_of_its_group() {
    // A message in the moment between joining and the driver's first turn was once lost.
    let layer = ChannelLayer::memory();
    let service = Room { rendered: true }.into_service(&layer);
    let address = served(service).await;
    let stop = Arc::new(Notify::new());
    let speaker = tokio::spawn({
        let (layer, stop) = (layer.clone(), Arc::clone(&stop));
        async move {
            let mut n = 0_u64;
            let stopped = stop.notified();
            tokio::pin!(stopped);
            loop {
                let event = json!({"type": "room.rendered", "text": n.to_string()});
                layer.group_send("room", &event).await.unwrap();
                n += 1;
                tokio::select! {
                    biased;
                    () = &mut stopped => return,
                    () = tokio::task::yield_now() => {}
                }
            }
        }
    });
    for _ in 0..50 {
        let mut client = Wire::open(address, "/").await;
        let first: u64 = client.next().await.unwrap().as_text().parse().unwrap();
        for n in first + 1..first + 20 {
            client.expect_text(&n.to_string()).await;
        }
    }
    stop.notify_one();
    soon(speaker).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_members_hear_four_speakers_in_one_order() {
    const SPEAKERS: usize = 4;
    const MESSAGES: usize = 25;
    let audience = Audience::new();
    let mut members = members(1000).await;
    let seats: Vec<Seat> = members
        .iter()
        .map(|(_, sender)| audience.join(sender))
        .collect();
    let speakers: Vec<_> = (0..SPEAKERS)
        .map(|speaker| {
            let audience = audience.clone();
            tokio::spawn(async move {
                for n in 0..MESSAGES {
                    audience.send(&format!("{speaker} {n}").into());
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for speaker in speakers {
        soon(speaker).await.unwrap();
    }
    drop(seats);
    for (_, sender) in &members {
        sender.close(&CloseCode::NORMAL.into());
    }
    let first = hear_all(&mut members[0].0).await;
    assert_eq!(first.len(), SPEAKERS * MESSAGES);
    for speaker in 0..SPEAKERS {
        let own = format!("{speaker} ");
        let own = first.iter().filter_map(|text| text.strip_prefix(&own));
        let expected = (0..MESSAGES).map(|n| n.to_string());
        assert!(own.eq(expected), "{first:?}");
    }
    for (client, _) in &mut members[1..] {
        assert_eq!(hear_all(client).await, first);
    }
}

/// Members come and go at random while messages are sent; each hears what the model says it should.
async fn everybody_hears_exactly_what_was_sent_while_it_sat(seed: u64) {
    const MEMBERS: usize = 300;
    let audience = Audience::new();
    let members = members(MEMBERS).await;
    let mut seats: Vec<Option<Seat>> = (0..MEMBERS).map(|_| None).collect();
    let mut expected: Vec<Vec<String>> = vec![Vec::new(); MEMBERS];
    let mut random = seed;
    let mut draw = |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize % below
    };
    for n in 0..4000 {
        let member = draw(MEMBERS);
        match draw(10) {
            0..4 => {
                seats[member].get_or_insert_with(|| audience.join(&members[member].1));
            }
            4..6 => seats[member] = None,
            6..9 => {
                audience.send(&n.to_string().into());
                for (seat, expected) in seats.iter().zip(&mut expected) {
                    if seat.is_some() {
                        expected.push(n.to_string());
                    }
                }
            }
            _ => tokio::task::yield_now().await,
        }
        assert_eq!(audience.len(), seats.iter().flatten().count());
    }
    for ((mut client, sender), (seat, expected)) in
        members.into_iter().zip(seats.into_iter().zip(expected))
    {
        drop(seat);
        sender.close(&CloseCode::NORMAL.into());
        assert_eq!(hear_all(&mut client).await, expected, "seed {seed}");
    }
}

#[tokio::test]
async fn everybody_hears_exactly_what_was_sent_while_it_sat_on_one_thread() {
    for seed in 0..3 {
        everybody_hears_exactly_what_was_sent_while_it_sat(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_hears_exactly_what_was_sent_while_it_sat_on_many_threads() {
    for seed in 3..6 {
        everybody_hears_exactly_what_was_sent_while_it_sat(seed).await;
    }
}

/// Says to all what it hears, and answers the speaker in the same step.
#[derive(Clone)]
struct Answers {
    audience: Audience,
}

impl Consumer for Answers {
    type Event = Event;

    async fn run(self, socket: &mut Socket) -> Result {
        let mut seat = self.audience.join(&socket.sender());
        socket.accept().await?;
        loop {
            let Moment::Message(message) = socket.next().await else {
                return Ok(());
            };
            let text = message.into_text()?;
            match text.split_once(' ').unwrap_or((&text, "")) {
                // Nothing waits for this member: nothing is held.
                ("whisper", _) => {}
                _ => self.audience.send(&Message::Text(text.clone())),
            }
            socket.send(format!("answer: {text}")).await?;
            seat.hold_step();
            match text.split_once(' ').unwrap_or((&text, "")) {
                ("twice", _) => {
                    socket.send(format!("once more: {text}")).await?;
                    seat.hold_step();
                }
                ("at-length", _) => {
                    // More than may wait: this goes on when the socket has taken it.
                    socket.send("x".repeat(5 << 10)).await?;
                    socket.send("the end").await?;
                }
                ("pause", _) => {
                    let other = Audience::new();
                    let mut paused = other.join_paused(&socket.sender());
                    tokio::task::yield_now().await;
                    paused.resume();
                }
                ("sit", "elsewhere") => seat = self.audience.join(&socket.sender()),
                ("close", _) => socket.close(CloseCode::NORMAL),
                ("return", _) => return Ok(()),
                _ => {}
            }
        }
    }
}

/// A place for [`Answers`] to answer.
async fn answering() -> SocketAddr {
    let audience = Audience::new();
    let backlog = Backlog {
        max_bytes: 8 << 10,
        ..Backlog::default()
    };
    let service = Answers { audience }.into_service(&ChannelLayer::memory());
    served(service.backlog(backlog)).await
}

#[tokio::test]
async fn an_answer_that_is_held_goes_out_in_front_of_what_the_audience_says() {
    let mut client = Wire::open(answering().await, "/").await;
    for text in ["say 1", "say 2", "pause 3", "sit elsewhere", "say 4"] {
        client.say(text).await;
        client.expect_text(&format!("answer: {text}")).await;
        client.expect_text(text).await;
    }
    client.say("twice 5").await;
    for text in ["answer: twice 5", "once more: twice 5", "twice 5"] {
        client.expect_text(text).await;
    }
    client.say("at-length 6").await;
    client.expect_text("answer: at-length 6").await;
    client.expect_text(&"x".repeat(5 << 10)).await;
    let mut rest = [client.next().await.unwrap(), client.next().await.unwrap()];
    rest.sort_unstable_by(|one, other| one.payload.cmp(&other.payload));
    assert_eq!(
        rest,
        [Frame::text("at-length 6"), Frame::text("the end")],
        "in either order"
    );
    client.say("whisper 6").await;
    client.expect_text("answer: whisper 6").await;
}

#[tokio::test]
async fn an_answer_that_is_held_is_not_lost_when_the_connection_ends() {
    let address = answering().await;
    for (text, hears_itself) in [("return", true), ("close", false)] {
        let mut client = Wire::open(address, "/").await;
        client.say(text).await;
        client.expect_text(&format!("answer: {text}")).await;
        if hears_itself {
            client.expect_text(text).await;
        }
        assert_eq!(client.next().await.unwrap().close_code(), 1000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_hears_every_answer_and_every_message_once() {
    const MEMBERS: usize = 8;
    const MESSAGES: usize = 200;
    let address = answering().await;
    let mut clients = Vec::new();
    for _ in 0..MEMBERS {
        clients.push(Wire::open(address, "/").await);
    }
    let talking = clients.into_iter().enumerate().map(|(member, mut client)| {
        tokio::spawn(async move {
            let mut heard = Vec::new();
            for n in 0..MESSAGES {
                client.say(&format!("say {member} {n}")).await;
                // One under way, so that answers meet messages of others at all moments.
                let answer = format!("answer: say {member} {n}");
                loop {
                    let frame = client.next().await.unwrap();
                    match frame.as_text() {
                        text if text == answer => break,
                        text => heard.push(text.to_owned()),
                    }
                }
            }
            while heard.len() < MEMBERS * MESSAGES {
                heard.push(client.next().await.unwrap().as_text().to_owned());
            }
            heard
        })
    });
    let talking: Vec<_> = talking.collect();
    let mut all = Vec::new();
    for client in talking {
        all.push(client.await.unwrap());
    }
    for heard in &all {
        assert_eq!(*heard, all[0], "one order for all");
    }
    let mut once = all.swap_remove(0);
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), MEMBERS * MESSAGES);
}

#[tokio::test]
async fn members_with_and_without_compression_hear_the_same() {
    let layer = ChannelLayer::memory();
    let seats = Arc::new(Mutex::new(Vec::new()));
    let (senders, mut sender) = mpsc::unbounded_channel();
    let service = Quiet { senders }.into_service(&layer).deflate(true);
    let audience = Audience::new();
    let text = "the same line again and again, the same line again and again";
    let mut clients = Vec::new();
    for n in 0..6 {
        let request = Client::request("/");
        let request = if n % 2 == 0 {
            request
        } else {
            request.deflate()
        };
        clients.push(request.connect(service.clone()).await.unwrap());
        let sender = soon(sender.recv()).await.unwrap();
        seats.lock().unwrap().push(audience.join(&sender));
        audience.send(&format!("{text} {n}").into());
    }
    for (joined, client) in clients.iter_mut().enumerate() {
        for n in joined..6 {
            assert_eq!(client.receive_text().await.unwrap(), format!("{text} {n}"));
        }
    }
}
