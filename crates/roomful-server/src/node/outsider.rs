//! What another program says in a room's group: a Django process, say.
//!
//! Two forms are understood: `chat.message` with `text`, and what the first tutorials send, `xx.oo` with `message.text`.
//! `id`, `name` and `from: {id, name}` are optional. With an `id` it is said once, whichever node hears it.

use std::sync::Arc;

use roomful::Event;
use serde_json::Value;

use crate::identity;
use crate::protocol::Member;

/// Something another program says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outsider {
    /// Its own id for it, if it wants it to be stored.
    pub id: Option<Arc<str>>,
    /// Who says it: a stable id that no member has, and a name.
    pub from: Member,
    /// What.
    pub text: String,
}

/// Longest id that an outsider may give itself; the rest is room for the prefix.
const MAX_ID: usize = 60;

/// What an event that no node published says; `None` for what is not for people.
///
/// # Errors
/// What is wrong with it.
pub fn parse(event: &Event) -> Result<Option<Outsider>, &'static str> {
    let text_in = match event.kind() {
        "chat.message" => "/text",
        "xx.oo" => "/message/text",
        _ => return Ok(None),
    };
    let Ok(fields) = event.decode::<Value>() else {
        return Err("it cannot be read");
    };
    if fields.get("seq").is_some_and(|seq| !seq.is_null()) {
        return Err("it has a `seq`, which only the history gives");
    }
    let text = fields.pointer(text_in).and_then(Value::as_str);
    let text = text.ok_or("it has no text")?.to_owned();
    let id = match fields.get("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(id.as_str().into()),
        Some(Value::Number(id)) => Some(id.to_string().into()),
        Some(_) => return Err("its `id` is neither a string nor a number"),
    };
    let given = |path| fields.pointer(path).and_then(Value::as_str);
    let name = given("/name").or(given("/from/name")).or(given("/from"));
    let name = match name.map(|name| (name, identity::parse_name(name))) {
        Some((_, Ok(name))) => name,
        // It is the house itself that speaks.
        Some((name, Err(identity::BadName::Reserved))) => name.trim().into(),
        Some(_) => return Err("its name cannot be shown"),
        None => "outside".into(),
    };
    let author = match given("/from/id") {
        None => "x-outside".into(),
        Some(id) if id.len() <= MAX_ID && identity::is_client_id(id) => format!("x-{id}").into(),
        Some(_) => {
            return Err("its `from.id` is not 1 to 60 ASCII letters, digits, `-`, `_`, `.` or `:`");
        }
    };
    Ok(Some(Outsider {
        id,
        from: Member { id: author, name },
        text,
    }))
}

#[cfg(test)]
mod tests {
    use roomful::json;

    use super::*;

    fn parsed(event: &Value) -> Result<Option<Outsider>, &'static str> {
        parse(&Event::new(event).unwrap())
    }

    #[test]
    fn both_forms_are_understood() {
        let said = |id: Option<&str>, author: &str, name: &str| {
            Ok(Some(Outsider {
                id: id.map(Arc::from),
                from: Member {
                    id: author.into(),
                    name: name.into(),
                },
                text: "hi".into(),
            }))
        };
        let lesson =
            json!({"type": "xx.oo", "message": {"type": "websocket.receive", "text": "hi"}});
        assert_eq!(parsed(&lesson), said(None, "x-outside", "outside"));
        let named = json!({"type": "chat.message", "text": "hi", "id": 7, "name": "System"});
        assert_eq!(parsed(&named), said(Some("7"), "x-outside", "System"));
        let from =
            json!({"type": "chat.message", "text": "hi", "from": {"id": "m-1", "name": "Ana"}});
        assert_eq!(
            parsed(&from),
            said(None, "x-m-1", "Ana"),
            "nobody can speak for a member"
        );
        assert_eq!(parsed(&json!({"type": "other.thing"})), Ok(None));
    }

    #[test]
    fn what_cannot_be_shown_is_told_why() {
        for (event, why) in [
            (json!({"type": "chat.message"}), "text"),
            (json!({"type": "chat.message", "text": 7}), "text"),
            (json!({"type": "xx.oo", "text": "hi"}), "text"),
            (
                json!({"type": "chat.message", "text": "hi", "seq": 7}),
                "seq",
            ),
            (
                json!({"type": "chat.message", "text": "hi", "id": {}}),
                "id",
            ),
            (
                json!({"type": "chat.message", "text": "hi", "name": "\u{202e}x"}),
                "name",
            ),
            (
                json!({"type": "chat.message", "text": "hi", "from": {"id": "a b"}}),
                "from.id",
            ),
        ] {
            assert!(parsed(&event).unwrap_err().contains(why));
        }
    }
}
