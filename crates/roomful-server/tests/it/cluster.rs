//! Several nodes on one channel layer and one PostgreSQL: one room, whatever happens between them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use services::Postgres;

use crate::support::{Cable, Node, V1, soon};

/// Two nodes on one database, and the ends of the layer between them; the third end is another program's.
struct Cluster {
    nodes: [Node; 2],
    cables: [Cable; 3],
    _postgres: Arc<Postgres>,
}

impl Cluster {
    fn start() -> Self {
        Self::with_lease(Duration::from_secs(30))
    }

    fn with_lease(lease: Duration) -> Self {
        let (postgres, cables) = (Postgres::shared().unwrap(), Cable::ends());
        let url = postgres.database().unwrap();
        let [one, two, _] = &cables;
        Self {
            nodes: [one, two].map(|cable| Node::with_lease(&url, cable, lease)),
            cables,
            _postgres: postgres,
        }
    }

    /// A member on each node.
    async fn members(&self) -> [V1; 2] {
        let [one, two] = &self.nodes;
        [
            V1::join(one, "123", "Ana").await,
            V1::join(two, "123", "Ben").await,
        ]
    }
}

/// What a reader heard, by number.
fn texts(events: &[Value]) -> Vec<(u64, &str)> {
    let text = |event: &Value| event["seq"].as_u64().unwrap();
    events
        .iter()
        .map(|event| (text(event), event["text"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn two_nodes_speak_at_once_and_every_reader_sees_the_same_list_without_holes() {
    const EACH: usize = 2_000;
    let cluster = Cluster::start();
    let speakers = cluster.members().await;
    let readers = cluster.members().await;

    let mut speaking = Vec::new();
    for (name, mut speaker) in ["one", "two"].into_iter().zip(speakers) {
        speaking.push(tokio::spawn(async move {
            for number in 0..EACH {
                let say = json!({"type": "chat.say", "id": format!("c{number}"), "text": format!("{name} {number}")});
                speaker.send(&say).await;
            }
            speaker.events(EACH * 2).await
        }));
    }
    let mut lists = Vec::new();
    for mut reader in readers {
        lists.push(reader.events(EACH * 2).await);
    }
    for speaking in speaking {
        lists.push(soon("everything", speaking).await.unwrap());
    }

    let first = texts(&lists[0]);
    assert!(first.iter().map(|(seq, _)| *seq).eq(1..=EACH as u64 * 2));
    for list in &lists[1..] {
        assert_eq!(texts(list), first);
    }
    for name in ["one", "two"] {
        let mut own = first.iter().filter(|(_, text)| text.starts_with(name));
        assert!((0..EACH).all(|number| own.next().unwrap().1 == format!("{name} {number}")));
    }
    let logs = [0, 1].map(|node: usize| {
        let api = cluster.nodes[node].api();
        async move { api.get_json("/api/rooms/123/messages?limit=500").await["messages"].clone() }
    });
    let [one, two] = logs;
    assert_eq!(one.await, two.await);
    for node in &cluster.nodes {
        println!("{:?}", node.chat().node_counts());
    }
}

#[tokio::test]
async fn with_the_layer_cut_everybody_still_hears_everything() {
    let cluster = Cluster::start();
    let [mut ana, mut ben] = cluster.members().await;
    ana.says("1", "by the layer").await;
    assert_eq!(ben.events(1).await[0]["text"], "by the layer");

    for cable in &cluster.cables {
        cable.cut();
    }
    ana.says("2", "by the history").await;
    ben.says("3", "from both sides").await;

    let expected = [(2, "by the history"), (3, "from both sides")];
    assert_eq!(texts(&ben.events(2).await), expected);
    assert_eq!(texts(&ana.events(3).await)[1..], expected);
    let filled = |node: &Node| node.chat().node_counts().gaps_filled;
    assert!(cluster.nodes.iter().all(|node| filled(node) > 0));
}

#[tokio::test]
async fn a_saying_is_one_saying_on_whichever_nodes_it_is_repeated_and_members_may_change_nodes() {
    let cluster = Cluster::start();
    let [mut ana, _ben] = cluster.members().await;
    assert_eq!(ana.says("same", "hi").await, 1);
    let hello =
        json!({"name": "Ana", "token": ana.token(), "after": 0, "epoch": ana.welcome["epoch"]});
    drop(ana);

    let mut again = V1::join_with(&cluster.nodes[1], "123", hello).await;

    assert_eq!(again.welcome["recovered"], true);
    assert_eq!(again.says("same", "hi").await, 1);
    assert_eq!(again.says("next", "on the other node").await, 2);
    assert_eq!(
        texts(&again.events(2).await),
        [(1, "hi"), (2, "on the other node")]
    );
}

#[tokio::test]
async fn who_comes_from_a_node_that_is_ahead_goes_on_where_they_were() {
    const EACH: u64 = 5;
    let cluster = Cluster::start();
    let [mut ana, _ben] = cluster.members().await;
    let epoch = ana.welcome["epoch"].clone();
    let epoch = epoch.as_str().unwrap();
    cluster.cables[0].cut();
    // Each transport in its turn: after any of them, the other node has what had been said.
    let mut said = 0;
    let mut say_more = async || {
        for _ in 0..EACH {
            said += 1;
            ana.says(&format!("{said}"), "heard on one node").await;
        }
        said
    };

    let after = say_more().await;
    let hello = json!({"name": "Chen", "after": after, "epoch": epoch});
    let chen = V1::join_with(&cluster.nodes[1], "123", hello).await;
    assert_eq!(chen.welcome["recovered"], true);
    assert_eq!(chen.welcome["seq"], after);

    let after = say_more().await;
    let path = format!("/api/rooms/123/events?after={after}&epoch={epoch}");
    let page = cluster.nodes[1].api().get_json(&path).await;
    assert_eq!(page["recovered"], true);
    assert_eq!(page["seq"], after);
    assert_eq!(page["events"], json!([]));

    let after = say_more().await;
    let last = format!("{epoch}:{after}");
    let api = cluster.nodes[1].api();
    let mut stream = api.stream("/api/rooms/123/events", Some(&last)).await;
    let (_, welcome) = stream.hear("chat.welcome").await;
    assert_eq!(welcome["recovered"], true);
    assert_eq!(welcome["seq"], after);

    // A position that no node has is nobody's.
    let path = format!("/api/rooms/123/events?after={}&epoch={epoch}", after + 1);
    let page = api.get_json(&path).await;
    assert_eq!(page["recovered"], false);
}

#[tokio::test]
async fn what_another_program_says_with_an_id_is_stored_once_though_both_nodes_hear_it() {
    let cluster = Cluster::start();
    let [mut ana, mut ben] = cluster.members().await;
    let program = cluster.cables[2].layer();

    for repeat in 0..3 {
        let event = json!({"type": "chat.message", "id": "order-7", "name": "Shop", "text": format!("paid {repeat}")});
        program.group_send("123", &event).await.unwrap();
    }
    let unsaved = json!({"type": "chat.message", "text": "passing by"});
    program.group_send("123", &unsaved).await.unwrap();

    for member in [&mut ana, &mut ben] {
        let mut messages = [
            member.hear("chat.message").await,
            member.hear("chat.message").await,
        ];
        // What is not stored does not wait for the store.
        messages.sort_by_key(|message| message["seq"].as_u64());
        let [passing, stored] = messages;
        assert_eq!(
            (&passing["text"], &passing["unsaved"]),
            (&"passing by".into(), &true.into())
        );
        assert_eq!(passing.get("seq"), None);
        assert_eq!(
            (&stored["seq"], &stored["text"]),
            (&1.into(), &"paid 0".into())
        );
        assert_eq!(stored["from"], json!({"id": "x-outside", "name": "Shop"}));
        assert_eq!(stored.get("unsaved"), None);
    }
    ana.says("1", "thanks").await;
    assert_eq!(ben.hear("chat.message").await["text"], "thanks");
    let log = cluster.nodes[1]
        .api()
        .get_json("/api/rooms/123/events?after=0")
        .await;
    let log = log["events"].as_array().unwrap();
    assert_eq!(texts(log), [(1, "paid 0"), (2, "thanks")]);
}

#[tokio::test]
async fn a_node_that_ends_leaves_the_room_to_the_other() {
    let Cluster {
        nodes: [one, two],
        cables,
        _postgres,
    } = Cluster::with_lease(Duration::from_secs(3));
    let mut ana = V1::join(&one, "123", "Ana").await;
    let mut ben = V1::join(&two, "123", "Ben").await;
    ana.says("1", "last words").await;
    assert_eq!(ben.events(1).await[0]["text"], "last words");
    two.until_members("123", &["Ana", "Ben"]).await;

    // Without a word, as if its machine was gone.
    cables[0].cut();
    drop(ana);
    drop(one);

    assert_eq!(ben.hear("chat.left").await["member"]["name"], "Ana");
    assert_eq!(ben.says("2", "alone").await, 2);
    assert_eq!(
        two.api().get_json("/api/rooms/123/members").await["count"],
        1
    );
}
