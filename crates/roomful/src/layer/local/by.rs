//! Sets of shared things that are told apart by a part of themselves: by name, or by where they are in memory.
//!
//! A set of `Arc`s costs 9 bytes an entry, a map from name to `Arc` 25: it counts with 100,000 inboxes.

use std::borrow::Borrow;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

/// For keys that are addresses, which nobody outside chooses; takes no memory itself.
pub(super) type AddressHasher = BuildHasherDefault<ahash::AHasher>;

/// Something with a name that never changes.
pub(super) trait Named {
    fn name(&self) -> &str;
}

/// Found by its name.
pub(super) struct ByName<T>(pub(super) Arc<T>);

impl<T: Named> Borrow<str> for ByName<T> {
    fn borrow(&self) -> &str {
        self.0.name()
    }
}

impl<T: Named> Hash for ByName<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
    }
}

impl<T: Named> PartialEq for ByName<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl<T: Named> Eq for ByName<T> {}

/// Found by its address.
pub(super) struct ByAddress<T>(pub(super) Arc<T>);

impl<T> Hash for ByAddress<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).addr().hash(state);
    }
}

impl<T> PartialEq for ByAddress<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Eq for ByAddress<T> {}
