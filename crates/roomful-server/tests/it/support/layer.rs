//! A channel layer between nodes of one test, whose cables can be cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roomful::layer::{
    Backend, BoxFuture, ChannelName, GroupName, Inbox, LayerError, Memory, Open, Sent,
};
use roomful::{ChannelLayer, Event};

/// One end of a layer: what is sent from here can be cut off. Clones are the same end.
#[derive(Clone)]
pub(crate) struct Cable {
    memory: Memory,
    cut: Arc<AtomicBool>,
}

impl Cable {
    /// Ends of one new layer.
    pub(crate) fn ends<const N: usize>() -> [Self; N] {
        let memory = Memory::builder().capacity(100_000).build();
        [(); N].map(|()| Self {
            memory: memory.clone(),
            cut: Arc::default(),
        })
    }

    /// From now on everything that is sent from this end is lost without a word.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }

    pub(crate) fn layer(&self) -> ChannelLayer {
        ChannelLayer::new(self.clone())
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }
}

impl Backend for Cable {
    fn open(&self, options: Open) -> BoxFuture<'_, Result<Inbox, LayerError>> {
        self.memory.open(options)
    }

    fn listen<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Inbox, LayerError>> {
        self.memory.listen(channel)
    }

    fn new_channel(&self) -> BoxFuture<'_, Result<ChannelName, LayerError>> {
        self.memory.new_channel()
    }

    fn send<'a>(
        &'a self,
        channel: &'a ChannelName,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        match self.is_cut() {
            true => Box::pin(async { Ok(()) }),
            false => self.memory.send(channel, event),
        }
    }

    fn group_add<'a>(
        &'a self,
        group: &'a GroupName,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        self.memory.group_add(group, channel)
    }

    fn group_discard<'a>(
        &'a self,
        group: &'a GroupName,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<(), LayerError>> {
        self.memory.group_discard(group, channel)
    }

    fn group_send<'a>(
        &'a self,
        group: &'a GroupName,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<Sent, LayerError>> {
        match self.is_cut() {
            true => Box::pin(async { Ok(Sent::default()) }),
            false => self.memory.group_send(group, event),
        }
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), LayerError>> {
        self.memory.flush()
    }
}
