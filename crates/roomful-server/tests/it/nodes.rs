//! Several nodes on one channel layer, without a record: who is here, what is said live, and what other programs say.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Cable, Node, Socket, V1, soon};

/// A lease that a test can wait for.
const LEASE: Duration = Duration::from_secs(3);

/// Two nodes that have met, and the ends of the layer between them; the third end is another program's.
fn two_nodes() -> ([Node; 2], [Cable; 3]) {
    let cables = Cable::ends();
    let [one, two, _] = &cables;
    ([Node::start("none", one), Node::start("none", two)], cables)
}

#[tokio::test]
async fn without_history_two_nodes_are_one_live_room_and_nobody_hears_anything_twice() {
    let ([one, two], _cables) = two_nodes();
    let mut ana = V1::join(&one, "聊天室", "Ana").await;
    let mut ben = V1::join(&two, "聊天室", "Ben").await;
    let mut eve = Socket::plain(&two, "聊天室").await;

    ana.says("1", "from one").await;
    assert_eq!(ben.hear("chat.message").await["text"], "from one");
    ben.says("2", "from two").await;

    let heard = [
        ana.hear("chat.message").await,
        ana.hear("chat.message").await,
    ];
    assert_eq!(
        (&heard[0]["text"], &heard[1]["text"]),
        (&"from one".into(), &"from two".into())
    );
    assert_eq!(
        (eve.hear().await, eve.hear().await),
        ("from one".into(), "from two".into())
    );
    // What comes next is next for everybody: nothing came twice.
    ana.says("3", "the end").await;
    assert_eq!(eve.hear().await, "the end");
    assert_eq!(ben.hear("chat.message").await["text"], "from two");
    assert_eq!(ben.hear("chat.message").await["text"], "the end");
    let counts = one.chat().node_counts();
    assert_eq!((counts.unpublished, counts.foreign), (0, 0));
    assert!(counts.published >= 2 && counts.received >= 1, "{counts:?}");
}

#[tokio::test]
async fn a_node_with_a_log_of_its_own_is_refused_with_a_way_out() {
    let [one, two, three] = Cable::ends();
    let first = Node::start("memory", &one);

    for (history, cable) in [("memory", two), ("none", three)] {
        let refused = Node::try_start(history, &cable, LEASE).err().unwrap();
        assert!(
            refused.contains("PostgreSQL") && refused.contains("none"),
            "{refused}"
        );
    }
    first.api().say("123", "still here").await;
    let [elsewhere] = Cable::ends();
    Node::start("memory", &elsewhere);
}

#[tokio::test]
async fn everybody_sees_who_is_here_on_all_nodes() {
    let ([one, two], _cables) = two_nodes();
    let mut ana = V1::join(&one, "123", "Ana").await;
    let ben = V1::join(&two, "123", "Ben").await;

    assert_eq!(ana.hear("chat.joined").await["member"]["name"], "Ben");
    two.until_members("123", &["Ana", "Ben"]).await;
    one.until_members("123", &["Ana", "Ben"]).await;
    let mut cid = V1::join(&two, "123", "Cid").await;
    assert_eq!(cid.welcome["member_count"], 3);
    // Who comes and is renamed at once came under the new name, to the other node.
    assert_eq!(ana.hear("chat.joined").await["member"]["name"], "Cid");
    let listed = one.api().get_json("/api/rooms").await;
    assert_eq!(listed["rooms"][0]["room"], "123");

    cid.send(&json!({"type": "chat.rename", "name": "Cy"}))
        .await;
    let renamed = ana.hear("chat.renamed").await;
    assert_eq!(
        (&renamed["member"]["name"], &renamed["was"]),
        (&"Cy".into(), &"Cid".into())
    );
    cid.send(&json!({"type": "chat.typing"})).await;
    assert_eq!(ana.hear("chat.typing").await["member"]["name"], "Cy");
    ben.leave().await;
    assert_eq!(ana.hear("chat.left").await["member"]["name"], "Ben");
    one.until_members("123", &["Ana", "Cy"]).await;
}

#[tokio::test]
async fn rooms_are_counted_on_nodes_where_they_are_not_open() {
    let ([one, two], _cables) = two_nodes();
    let _ana = V1::join(&one, "123", "Ana").await;

    two.until_members("123", &["Ana"]).await;

    let listed = two.api().get_json("/api/rooms").await;
    assert_eq!(
        (&listed["rooms"][0]["room"], &listed["rooms"][0]["members"]),
        (&"123".into(), &1.into())
    );
    assert_eq!(two.api().get_json("/api/rooms/123").await["members"], 1);
}

#[tokio::test]
async fn a_node_that_comes_later_learns_who_was_there_before() {
    let cables: [Cable; 2] = Cable::ends();
    let one = Node::start("none", &cables[0]);
    let _ana = V1::join(&one, "123", "Ana").await;
    let _ben = V1::join(&one, "123", "Ben").await;

    let two = Node::start("none", &cables[1]);

    two.until_members("123", &["Ana", "Ben"]).await;
}

#[tokio::test]
async fn a_node_that_is_silent_for_the_lease_takes_its_members_and_the_other_serves_on() {
    let cables: [Cable; 2] = Cable::ends();
    let [one, two] = [0, 1].map(|node: usize| Node::with_lease("none", &cables[node], LEASE));
    let _ana = V1::join(&one, "123", "Ana").await;
    let mut ben = V1::join(&two, "123", "Ben").await;
    two.until_members("123", &["Ana", "Ben"]).await;

    cables[0].cut();

    assert_eq!(ben.hear("chat.left").await["member"]["name"], "Ana");
    two.until_members("123", &["Ben"]).await;
    ben.says("1", "still here").await;
    assert_eq!(ben.hear("chat.message").await["text"], "still here");

    // It was only the cable.
    cables[0].mend();
    assert_eq!(ben.hear("chat.joined").await["member"]["name"], "Ana");
    two.until_members("123", &["Ana", "Ben"]).await;
}

#[tokio::test]
async fn a_node_that_stops_says_goodbye_for_its_members() {
    let ([one, two], _cables) = two_nodes();
    let ana = V1::join(&one, "123", "Ana").await;
    let mut ben = V1::join(&two, "123", "Ben").await;
    two.until_members("123", &["Ana", "Ben"]).await;
    let token = ana.token();
    drop(ana);

    one.stop().await;

    assert_eq!(ben.hear("chat.left").await["member"]["name"], "Ana");
    assert!(!token.is_empty());
    two.until_members("123", &["Ben"]).await;
}

#[tokio::test]
async fn another_program_speaks_in_the_room_and_hears_what_is_said_there() {
    let ([one, two], cables) = two_nodes();
    let program = cables[2].layer();
    let mut inbox = program.open().await.unwrap();
    program
        .group_add("123", inbox.channel().as_str())
        .await
        .unwrap();
    let mut ana = V1::join(&one, "123", "Ana").await;
    let mut ben = Socket::plain(&two, "123").await;

    // The lesson's words, and nonsense in between.
    let lesson =
        json!({"type": "xx.oo", "message": {"type": "websocket.receive", "text": "from Django"}});
    let nonsense = [
        json!({"type": "chat.message", "text": ["no text"]}),
        json!({"type": "chat.message", "text": "x".repeat(100_000)}),
        json!({"type": "chat.message", "text": "hi", "from": {"id": "<b>"}}),
        json!({"type": "something.else"}),
        json!({"type": "chat.message", "node": "n-evil", "epoch": 7, "seq": "x"}),
    ];
    for event in nonsense.iter().chain([&lesson]) {
        program.group_send("123", event).await.unwrap();
    }

    let heard = ana.hear("chat.message").await;
    assert_eq!(
        (&heard["text"], &heard["from"]["id"]),
        (&"from Django".into(), &"x-outside".into())
    );
    assert_eq!(ben.hear().await, "from Django");
    let counts = one.chat().node_counts();
    assert_eq!((counts.outside, counts.refused), (1, 4), "{counts:?}");

    ana.says("1", "to Django").await;
    let heard = async {
        loop {
            let event = inbox.receive().await;
            let event: Value = event.decode().unwrap();
            if event["text"] == "to Django" {
                return event;
            }
        }
    };
    let heard = soon("the event", heard).await;
    assert_eq!(
        (&heard["type"], &heard["room"]),
        (&"chat.message".into(), &"123".into())
    );
    assert_eq!(
        (&heard["from"]["name"], &heard["id"]),
        (&"Ana".into(), &"1".into())
    );
}
