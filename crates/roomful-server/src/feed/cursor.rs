//! Where a reader of a room's log stands, and what a number that arrives means to it.

/// The last number a reader has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    last: u64,
}

/// What an arriving number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is the next one; the cursor has moved on.
    Next,
    /// It was there before; to be dropped.
    Repeat,
    /// Numbers are missing before it; nothing has moved. Read the log after `after`.
    Gap {
        /// The last number the reader has.
        after: u64,
    },
}

impl Cursor {
    /// A reader that has everything up to `last`.
    pub fn after(last: u64) -> Self {
        Self { last }
    }

    /// The last number the reader has.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Takes the next number, and only that.
    pub fn offer(&mut self, seq: u64) -> Step {
        if seq <= self.last {
            Step::Repeat
        } else if seq == self.last + 1 {
            self.last = seq;
            Step::Next
        } else {
            Step::Gap { after: self.last }
        }
    }
}
