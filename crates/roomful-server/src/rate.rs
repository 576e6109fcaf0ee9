//! How much in how short a time: a token bucket.
//!
//! Buckets are each node's own. A member who speaks on several nodes at once may say as much on each of them: that costs
//! every node no more than it can bear, and asking the others before each message would cost everybody a round trip. What
//! must hold over all nodes does not rest on this: ids are one author's once, and numbers have no holes, by the history.

use std::sync::Mutex;
use std::time::Duration;

use ahash::AHashMap;
use tokio::time::Instant;

/// A bucket that fills at a steady rate up to its size; each action takes one token.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    per_second: f64,
    size: f64,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket: `burst` actions at once, `per_second` over time.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let size = f64::from(burst.max(1));
        Self {
            per_second: f64::from(per_second.max(1)),
            size,
            tokens: size,
            filled: Instant::now(),
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn take(&mut self) -> Result<(), Duration> {
        let now = Instant::now();
        let filled = (now - self.filled).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + filled).min(self.size);
        self.filled = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64(
                (1.0 - self.tokens) / self.per_second,
            ))
        }
    }

    /// Whether the bucket is full: nothing was taken for a while, and it can be forgotten.
    pub fn is_full(&self) -> bool {
        self.tokens + self.filled.elapsed().as_secs_f64() * self.per_second >= self.size
    }
}

/// A bucket for everyone who says something.
#[derive(Debug)]
pub struct Rates {
    per_second: u32,
    burst: u32,
    /// Guards who has said how much. Those who were silent for a while are forgotten before it grows.
    buckets: Mutex<AHashMap<Box<str>, TokenBucket>>,
}

impl Rates {
    /// Everyone's bucket is like this one.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second,
            burst,
            buckets: Mutex::default(),
        }
    }

    /// Takes a token of `who`.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn take(&self, who: &str) -> Result<(), Duration> {
        let mut buckets = self
            .buckets
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(bucket) = buckets.get_mut(who) {
            return bucket.take();
        }
        if buckets.len() >= 1024 && buckets.len() == buckets.capacity() {
            buckets.retain(|_, bucket| !bucket.is_full());
        }
        let bucket = buckets
            .entry(who.into())
            .or_insert_with(|| TokenBucket::new(self.per_second, self.burst));
        bucket.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_then_the_rate_holds() {
        let mut bucket = TokenBucket::new(10, 3);
        for _ in 0..3 {
            assert!(bucket.take().is_ok());
        }
        let wait = bucket.take().unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        tokio::time::advance(wait + Duration::from_millis(1)).await;
        assert!(bucket.take().is_ok());
        assert!(bucket.take().is_err());
    }
}
