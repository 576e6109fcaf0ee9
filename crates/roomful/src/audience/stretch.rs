//! What an audience has been sent, as bytes at positions.

use bytes::{Bytes, BytesMut};

/// A part of what an audience is sent, plain and compressed. Both are counted from the audience's first byte on, so that a
/// position says what a member has heard.
#[derive(Clone, Default)]
pub(super) struct Stretch<B> {
    pub(super) plain: Track<B>,
    pub(super) deflated: Track<B>,
}

#[derive(Clone, Default)]
pub(super) struct Track<B> {
    pub(super) start: u64,
    pub(super) bytes: B,
}

impl<B> Stretch<B> {
    pub(super) fn track(&self, deflated: bool) -> &Track<B> {
        if deflated {
            &self.deflated
        } else {
            &self.plain
        }
    }
}

impl<B: AsRef<[u8]>> Track<B> {
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.as_ref().len() as u64
    }
}

impl Track<BytesMut> {
    pub(super) fn take(&mut self) -> Track<Bytes> {
        let (start, end) = (self.start, self.end());
        self.start = end;
        let bytes = std::mem::take(&mut self.bytes).freeze();
        Track { start, bytes }
    }

    /// A copy of what comes after `heard`.
    pub(super) fn rest(&self, heard: u64) -> Option<Track<Bytes>> {
        let start = heard.max(self.start);
        let rest = &self.bytes[(start - self.start) as usize..];
        (!rest.is_empty()).then(|| Track {
            start,
            bytes: Bytes::copy_from_slice(rest),
        })
    }
}

impl Track<Bytes> {
    /// What comes after `heard`, without copying.
    pub(super) fn after(&self, heard: u64) -> Bytes {
        let heard = heard.clamp(self.start, self.end());
        self.bytes.slice((heard - self.start) as usize..)
    }
}
