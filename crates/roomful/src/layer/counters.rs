//! What a layer counts.

/// What happened in this process since its layer was made. See [`ChannelLayer::counters`](super::ChannelLayer::counters).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages given to what carries them between processes: one for each process or queue that an event goes to.
    pub published: u64,
    /// Messages taken from there that could be read.
    pub received: u64,
    /// Events that did not reach a channel because it was full: one of this process, or where the backend keeps queues for
    /// others, one that this process sent to.
    pub dropped: u64,
    /// Events that had waited for too long.
    pub expired: u64,
    /// Messages that could not be read: written by somebody else, with another key or serializer.
    pub poisoned: u64,
    /// Connections made anew after one was lost.
    pub reconnects: u64,
}
