//! Who a member is: a guest with a name, known again by a signed token.

use std::cell::RefCell;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// The longest name, in characters as people count them.
pub const MAX_NAME_CHARS: usize = 32;
/// Bytes of the signature that a token carries: 128 bits are beyond guessing.
const SIGNATURE_BYTES: usize = 16;

/// Gives guests their ids and tokens, and knows its own tokens again.
#[derive(Clone)]
pub struct Guests {
    key: Hmac<Sha256>,
}

impl Guests {
    /// Guests of the store that keeps `secret`.
    pub fn new(secret: &[u8]) -> Self {
        Self {
            key: Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"),
        }
    }

    /// A new guest's id: `m-` and 22 characters.
    pub fn new_id(&self) -> Arc<str> {
        format!("m-{}", random_text()).into()
    }

    /// The token that proves an id. It is a secret of that member.
    pub fn token(&self, id: &str) -> String {
        let signature = self.key.clone().chain_update(id).finalize().into_bytes();
        format!("{id}.{}", BASE64.encode(&signature[..SIGNATURE_BYTES]))
    }

    /// The id that a token proves; `None` if it is not one of ours. Takes the same time for every wrong signature.
    pub fn verify(&self, token: &str) -> Option<Arc<str>> {
        let (id, signature) = token.rsplit_once('.')?;
        let signature = BASE64
            .decode(signature)
            .ok()
            .filter(|bytes| bytes.len() == SIGNATURE_BYTES)?;
        self.key
            .clone()
            .chain_update(id)
            .verify_truncated_left(&signature)
            .ok()?;
        Some(id.into())
    }
}

/// 128 random bits as 22 characters that may stand anywhere.
pub fn random_text() -> String {
    BASE64.encode(random_bytes())
}

/// Sixteen bytes that nobody can foretell, asked of the system in stores of sixteen: members come by the thousand, and each
/// of these calls costs half a microsecond.
fn random_bytes() -> [u8; 16] {
    type Store = ([u8; 256], usize);
    thread_local! {
        static STORE: RefCell<Store> = const { RefCell::new(([0; 256], 256)) };
    }
    STORE.with_borrow_mut(|(store, taken)| {
        if *taken == store.len() {
            getrandom::fill(store).expect("the system has randomness");
            *taken = 0;
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&store[*taken..*taken + 16]);
        // Nobody finds later what was handed out.
        store[*taken..*taken + 16].fill(0);
        *taken += 16;
        bytes
    })
}

/// A name as its owner wrote it, made fit to be shown: NFKC, single spaces, nothing invisible.
///
/// # Errors
/// [`BadName`] if nothing is left, if it is too long, or if it pretends to be the system.
pub fn parse_name(name: &str) -> Result<Arc<str>, BadName> {
    // A grapheme may have many code points, but not a name of 32 of them.
    if name.len() > MAX_NAME_CHARS * 16 {
        return Err(BadName::TooLong);
    }
    let normal: String = name.nfkc().collect();
    let name = normal.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.chars().any(is_hidden) || has_stray_joiner(&name) {
        return Err(BadName::Hidden);
    }
    if name.graphemes(true).count() > MAX_NAME_CHARS {
        return Err(BadName::TooLong);
    }
    match name.to_lowercase().as_str() {
        "" => Err(BadName::Empty),
        "system" | "admin" | "moderator" | "roomful" => Err(BadName::Reserved),
        _ => Ok(name.into()),
    }
}

/// The name of a guest who gave none; told apart by the id's first characters.
pub fn guest_name(id: &str) -> Arc<str> {
    let tag: String = id
        .chars()
        .skip(2)
        .filter(char::is_ascii_alphanumeric)
        .take(4)
        .collect();
    format!("guest-{}", tag.to_lowercase()).into()
}

/// Characters that cannot be seen, or that turn what is around them: two names that look alike must be alike.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            // Soft hyphen, zero-width and directional marks, embeddings, overrides and isolates, invisible operators.
            0xAD | 0x34F | 0x61C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F
            | 0x200B | 0x200E | 0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFEFF | 0xFFA0 | 0xFFF9..=0xFFFB
            // Private use, and tags.
            | 0xE000..=0xF8FF | 0xE0000..=0xE007F | 0xF0000..)
}

/// Joiners belong between letters of some scripts and between emoji; beside ASCII or at an end they only hide.
fn has_stray_joiner(name: &str) -> bool {
    let joins = |c: char| matches!(c, '\u{200c}' | '\u{200d}');
    let chars: Vec<char> = name.chars().collect();
    let inside = |index: usize| {
        chars
            .get(index)
            .is_some_and(|c| !c.is_ascii() && !joins(*c))
    };
    chars
        .iter()
        .enumerate()
        .any(|(index, c)| joins(*c) && !(index > 0 && inside(index - 1) && inside(index + 1)))
}

/// A name nobody can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing is left of it.
    #[error("a name has at least one character")]
    Empty,
    /// Too many characters.
    #[error("a name has at most {MAX_NAME_CHARS} characters")]
    TooLong,
    /// Control, invisible or direction-changing characters.
    #[error("a name has no invisible characters")]
    Hidden,
    /// It belongs to the house.
    #[error("this name is reserved, choose another one")]
    Reserved,
}

/// Whether `id` may name a client's action: 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `:`.
pub fn is_client_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_proves_its_id_and_no_other() {
        let guests = Guests::new(b"a secret");
        let id = guests.new_id();
        let token = guests.token(&id);
        assert_eq!(guests.verify(&token).as_deref(), Some(&*id));
        assert_eq!(guests.verify(&token.replacen("m-", "n-", 1)), None);
        assert_eq!(guests.verify(&token[..token.len() - 1]), None);
        assert_eq!(guests.verify(&format!("{id}.")), None);
        assert_eq!(guests.verify(""), None);
        assert_eq!(Guests::new(b"another").verify(&token), None);
    }

    #[test]
    fn names_are_made_fit_to_be_shown() {
        assert_eq!(&*parse_name("  Ana   Lima ").unwrap(), "Ana Lima");
        assert_eq!(&*parse_name("林小明").unwrap(), "林小明");
        assert_eq!(&*parse_name("ＡＢＣ").unwrap(), "ABC");
        assert_eq!(&*parse_name("👩\u{200d}🚀").unwrap(), "👩\u{200d}🚀");
        assert_eq!(parse_name("a\u{200d}b"), Err(BadName::Hidden));
        assert_eq!(parse_name(" \t "), Err(BadName::Empty));
        assert_eq!(parse_name("a\u{200b}"), Err(BadName::Hidden));
        assert_eq!(parse_name("\u{202e}nimda"), Err(BadName::Hidden));
        assert_eq!(parse_name("Admin"), Err(BadName::Reserved));
        assert_eq!(parse_name(&"x".repeat(33)), Err(BadName::TooLong));
    }
}
