//! The id of an action.

use std::sync::Arc;

/// What an author calls one action: each author uses an id once, and whoever says it again means the same action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionId {
    text: Arc<str>,
    counted: bool,
}

impl ActionId {
    /// The id of the `n`-th action of an author who lives no longer than one connection, which counts: it never comes
    /// again, so that nobody has to remember it.
    pub fn counted(n: u64) -> Self {
        Self {
            text: n.to_string().into(),
            counted: true,
        }
    }

    /// The id as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it may come again.
    pub fn may_come_again(&self) -> bool {
        !self.counted
    }

    /// The id as it is written, shared.
    pub fn into_text(self) -> Arc<str> {
        self.text
    }
}

impl<T: Into<Arc<str>>> From<T> for ActionId {
    /// An id that a client made: it may come again.
    fn from(id: T) -> Self {
        Self {
            text: id.into(),
            counted: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_id_is_its_number_and_does_not_come_again() {
        let id = ActionId::counted(123);
        assert_eq!(id.as_str(), "123");
        assert!(!id.may_come_again());
        assert!(ActionId::from("c-1").may_come_again());
    }
}
