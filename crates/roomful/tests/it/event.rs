//! Events: what becomes one, what it looks like on the wire, and how to read it.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use proptest::prelude::*;
use roomful::{Event, EventError, json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Chat {
    #[serde(rename = "chat.message")]
    Message { text: String, seq: u64 },
    #[serde(rename = "chat.typing")]
    Typing,
}

/// Serializes as bytes, as `serde_bytes` does.
struct Raw(&'static [u8]);

impl Serialize for Raw {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

fn event(value: &impl Serialize) -> Event {
    Event::new(value).unwrap()
}

fn refused(value: &impl Serialize) -> String {
    Event::new(value).unwrap_err().to_string()
}

#[test]
fn an_event_has_the_bytes_that_python_packs() {
    // Each right side is `msgpack.packb` of Python's msgpack 1.2.4 for the same map.
    let table: [(Value, &[u8]); 4] = [
        (json!({"type": "x.y", "n": 1}), b"\x82\xa1n\x01\xa4type\xa3x.y"),
        (
            json!({"f": 1.5, "neg": -1, "big": 1_u64 << 40, "t": true, "type": "x", "z": null}),
            b"\x86\xa3big\xcf\x00\x00\x01\x00\x00\x00\x00\x00\xa1f\xcb?\xf8\x00\x00\x00\x00\x00\x00\xa3neg\xff\xa1t\xc3\
              \xa4type\xa1x\xa1z\xc0",
        ),
        (
            json!({"message": {"text": "你好", "type": "websocket.receive"}, "type": "xx.oo"}),
            b"\x82\xa7message\x82\xa4text\xa6\xe4\xbd\xa0\xe5\xa5\xbd\xa4type\xb1websocket.receive\xa4type\xa5xx.oo",
        ),
        (
            json!({"i": [127, 128, 255, 256, 65_535, 65_536, -32, -33, -128, -129], "type": "i"}),
            b"\x82\xa1i\x9a\x7f\xcc\x80\xcc\xff\xcd\x01\x00\xcd\xff\xff\xce\x00\x01\x00\x00\xe0\xd0\xdf\xd0\x80\xd1\xff\x7f\
              \xa4type\xa1i",
        ),
    ];
    for (value, expected) in table {
        assert_eq!(event(&value).as_msgpack(), expected, "{value}");
    }
}

#[test]
fn bytes_and_narrow_floats_are_written_as_python_writes_them() {
    #[derive(Serialize)]
    struct Sample {
        r#type: &'static str,
        raw: Raw,
        narrow: [f32; 2],
        after: u8,
    }

    let sample = event(&Sample {
        r#type: "s",
        raw: Raw(&[0, 255]),
        narrow: [1.5, -0.5],
        after: 7,
    });

    assert_eq!(
        sample.as_msgpack(),
        &b"\x84\xa4type\xa1s\xa3raw\xc4\x02\x00\xff\xa6narrow\x92\xcb?\xf8\x00\x00\x00\x00\x00\x00\
           \xcb\xbf\xe0\x00\x00\x00\x00\x00\x00\xa5after\x07"[..]
    );
    assert_eq!(sample.get::<[f32; 2]>("narrow").unwrap(), [1.5, -0.5]);
    assert_eq!(
        serde_json::to_value(&sample).unwrap()["raw"],
        json!([0, 255])
    );
}

#[test]
fn a_field_is_read_by_its_name() {
    let event =
        event(&json!({"type": "chat.message", "text": "hi", "from": {"id": 7}, "list": [1, 2]}));

    assert_eq!(event.kind(), "chat.message");
    assert_eq!(event.get::<String>("text").unwrap(), "hi");
    assert_eq!(event.get::<HashMap<String, u8>>("from").unwrap()["id"], 7);
    assert_eq!(event.get::<Vec<u64>>("list").unwrap(), [1, 2]);
    assert_eq!(event.get::<String>("type").unwrap(), "chat.message");
    assert_eq!(
        event.get::<Option<String>>("text").unwrap().as_deref(),
        Some("hi")
    );
    assert_eq!(event.get::<Option<String>>("absent").unwrap(), None);
    assert_eq!(
        event.get::<String>("absent").unwrap_err().to_string(),
        "the event `chat.message` has no field `absent`"
    );
    assert_eq!(
        event.get::<u64>("text").unwrap_err().to_string(),
        "the field `text` of the event `chat.message` is not of the type asked for"
    );
}

#[test]
fn an_event_is_a_tagged_enum_and_back() {
    for chat in [
        Chat::Message {
            text: "hi".into(),
            seq: 1 << 60,
        },
        Chat::Typing,
    ] {
        assert_eq!(event(&chat).decode::<Chat>().unwrap(), chat);
    }
    let error = event(&json!({"type": "chat.unknown"}))
        .decode::<Chat>()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the event `chat.unknown` is not of the type asked for"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn decoding_may_borrow_from_the_event() {
    #[derive(Deserialize)]
    struct Borrowed<'a> {
        text: &'a str,
    }

    let event = event(&json!({"type": "chat.message", "text": "hi"}));
    let borrowed: Borrowed<'_> = event.decode().unwrap();

    let whole = event.as_msgpack().as_ptr_range();
    assert_eq!(borrowed.text, "hi");
    assert!(whole.contains(&borrowed.text.as_ptr()));
}

#[test]
fn an_event_asked_for_as_an_event_is_a_clone_and_as_anything_else_is_decoded() {
    let event = event(&json!({"type": "chat.typing"}));

    let same: Event = event.decode_owned().unwrap();
    let chat: Chat = event.decode_owned().unwrap();

    assert_eq!(same.as_msgpack().as_ptr(), event.as_msgpack().as_ptr());
    assert_eq!(chat, Chat::Typing);
}

#[test]
fn what_is_no_event_is_refused_with_the_reason() {
    let int_keys = BTreeMap::from([(1, "type")]);
    #[derive(Serialize)]
    struct Nested {
        r#type: &'static str,
        map: BTreeMap<i32, i32>,
    }
    let nested = Nested {
        r#type: "x",
        map: BTreeMap::from([(1, 1)]),
    };
    #[derive(Serialize)]
    #[serde(rename = "_ExtStruct")]
    struct Extension((i8, Raw));
    let extension = BTreeMap::from([("type", Extension((1, Raw(b"x"))))]);

    assert_eq!(
        refused(&"text"),
        "an event is a map with a field `type`, not a string"
    );
    assert_eq!(
        refused(&[1]),
        "an event is a map with a field `type`, not a list"
    );
    assert!(refused(&json!({"text": "hi"})).starts_with("an event needs a field `type`"));
    assert!(refused(&json!({"type": 7})).ends_with("not an integer"));
    assert!(refused(&json!({"type": ""})).ends_with("not an empty one"));
    assert!(refused(&json!({"type": null})).ends_with("not null"));
    assert!(
        refused(&json!({"type": "x", "__asgi_channel__": "y"}))
            .contains("belongs to the channel layer")
    );
    assert!(refused(&int_keys).starts_with("an event cannot carry a map key that is not a string"));
    assert!(refused(&nested).starts_with("an event cannot carry a map key that is not a string"));
    assert!(refused(&extension).starts_with("an event cannot carry a MessagePack extension"));
    let large = json!({"type": "x", "text": "a".repeat(Event::MAX_BYTES)});
    assert!(refused(&large).starts_with("the event has 10485"));
}

#[test]
fn an_event_nests_as_deep_as_it_may_and_no_deeper() {
    let nested = |levels: usize| {
        let mut bytes = b"\x82\xa4type\xa1x\xa1a".to_vec();
        bytes.extend(std::iter::repeat_n(0x91, levels));
        bytes.push(0xc0);
        Bytes::from(bytes)
    };
    assert!(Event::from_msgpack(nested(Event::MAX_DEPTH - 1)).is_ok());
    let error = Event::from_msgpack(nested(Event::MAX_DEPTH)).unwrap_err();
    assert!(matches!(error, EventError::TooDeep), "{error:?}");
    let error = Event::from_msgpack(nested(100_000)).unwrap_err();
    assert!(matches!(error, EventError::TooDeep), "{error:?}");
}

#[test]
fn bytes_from_elsewhere_are_exactly_one_event() {
    let good = b"\x82\xa4type\xa1x\xa1n\xca\x3f\xc0\x00\x00";
    let event = Event::from_msgpack(Bytes::from_static(good)).unwrap();
    assert_eq!(event.get::<f64>("n").unwrap(), 1.5);

    let bad: [&'static [u8]; 9] = [
        b"",
        b"\x81\xa4type\xa1x\xc0",                      // something after it
        b"\x82\xa4type\xa1x",                          // a field is missing
        b"\x81\xa4type\xa5x",                          // the string is cut off
        b"\x81\xa4type\xa1\xff",                       // not UTF-8
        b"\x82\xa4type\xa1x\xa1a\xc1",                 // never used
        b"\x82\xa4type\xa1x\xa4type\xa1y",             // two types
        b"\x82\xa4type\xa1x\xc4\x01a\xc0",             // a key of bytes
        b"\x82\xa4type\xa1x\xa1a\xdd\xff\xff\xff\xff", // a list that promises four billion items
    ];
    for bytes in bad {
        assert!(
            Event::from_msgpack(Bytes::from_static(bytes)).is_err(),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn the_last_of_two_fields_counts_as_in_python() {
    let twice =
        Event::from_msgpack(Bytes::from_static(b"\x83\xa1a\x01\xa4type\xa1x\xa1a\x02")).unwrap();
    assert_eq!(twice.get::<u8>("a").unwrap(), 2);
}

#[test]
fn an_event_is_printed_with_its_fields() {
    let event =
        event(&json!({"type": "chat.message", "text": "a\nb", "list": [1, -2, 0.5, null, true]}));
    assert_eq!(
        format!("{event:?}"),
        r#"Event({"list": [1, -2, 0.5, null, true], "text": "a\nb", "type": "chat.message"})"#
    );
}

#[test]
fn an_event_travels_inside_another_value() {
    #[derive(Serialize, Deserialize)]
    struct Envelope {
        channel: String,
        event: Event,
    }
    let line = r#"{"channel":"a","event":{"type":"x.y","list":[1,{"a":null}],"f":1.0}}"#;

    let envelope: Envelope = serde_json::from_str(line).unwrap();
    assert_eq!(envelope.event.kind(), "x.y");
    assert_eq!(serde_json::to_string(&envelope).unwrap(), line);

    // And through MessagePack, as a field of another event, and as an event itself.
    let outer = event(&json!({"type": "outer", "inner": envelope.event}));
    assert_eq!(outer.get::<Event>("inner").unwrap().kind(), "x.y");
    assert_eq!(event(&outer), outer);
    let error = serde_json::from_str::<Event>(r#"{"text":"hi"}"#).unwrap_err();
    assert!(
        error.to_string().contains("an event needs a field `type`"),
        "{error}"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no NaN", |f| f.is_finite())
            .prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::hash_map(".{0,40}", inner, 0..20)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_comes_through_as_it_went_in(value in any_json(), kind in ".+") {
        let whole = json!({"type": kind, "value": value});

        let sent = event(&whole);
        let received = Event::from_msgpack(sent.as_msgpack().clone()).unwrap();

        prop_assert_eq!(received.kind(), kind);
        prop_assert_eq!(&received.get::<Value>("value").unwrap(), &value);
        prop_assert_eq!(&received.decode::<Value>().unwrap(), &whole);
        prop_assert_eq!(&serde_json::to_value(&received).unwrap(), &whole);
        prop_assert_eq!(&serde_json::from_value::<Event>(whole).unwrap(), &received);
    }

    #[test]
    fn any_bytes_are_an_event_or_an_error(tail in prop::collection::vec(any::<u8>(), 0..60)) {
        let bytes = [b"\x83\xa4type\xa1x".as_slice(), &tail].concat();
        if let Ok(event) = Event::from_msgpack(bytes.into()) {
            // Whatever was let in can be read, printed and sent on.
            prop_assert!(serde_json::to_value(&event).is_ok());
            let shown = format!("{event:?}");
            prop_assert!(shown.starts_with("Event("));
            prop_assert!(Event::new(&event).is_ok());
        }
    }
}
