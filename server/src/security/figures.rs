//! What TLS and the gate count. Relaxed throughout: the numbers order nothing.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::auth::Denial;

/// How a handshake went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The connection is made.
    Done,
    /// The peer does not speak TLS, or its certificate is missing or bad.
    Failed,
    /// It took longer than it may.
    Slow,
}

/// The figures, each 0 until something happens.
#[derive(Debug, Default)]
pub struct Figures {
    expires: AtomicI64,
    reloads: [AtomicU64; 2],
    handshakes: [AtomicU64; 3],
    denied: [AtomicU64; Denial::REASONS.len()],
    tokens_reloads: [AtomicU64; 2],
    keys_fetches: [AtomicU64; 2],
    keys: AtomicU64,
    keys_at: AtomicU64,
}

impl Figures {
    /// The certificate in force ends then, in seconds since 1970.
    pub(crate) fn certificate_expires(&self, seconds: i64) {
        self.expires.store(seconds, Ordering::Relaxed);
    }

    /// The certificate was read again; `good` when it could be used.
    pub(crate) fn certificate_read(&self, good: bool) {
        count(&self.reloads[usize::from(!good)]);
    }

    /// A handshake is over.
    pub(crate) fn handshake(&self, result: Handshake) {
        let place = match result {
            Handshake::Done => 0,
            Handshake::Failed => 1,
            Handshake::Slow => 2,
        };
        count(&self.handshakes[place]);
    }

    /// A call was denied.
    pub(crate) fn denied(&self, denial: &Denial) {
        count(&self.denied[denial.index()]);
    }

    /// The tokens were read again; `good` when they could be used.
    pub(crate) fn tokens_read(&self, good: bool) {
        count(&self.tokens_reloads[usize::from(!good)]);
    }

    /// Public keys came, so many usable ones, at this time in seconds since 1970; none when they could not be had.
    pub(crate) fn keys_read(&self, keys: Option<usize>, now: u64) {
        count(&self.keys_fetches[usize::from(keys.is_none())]);
        if let Some(keys) = keys {
            self.keys.store(u64::try_from(keys).unwrap_or(u64::MAX), Ordering::Relaxed);
            self.keys_at.store(now, Ordering::Relaxed);
        }
    }

    /// Seconds since 1970; 0 without a certificate.
    pub(crate) fn expires(&self) -> i64 {
        self.expires.load(Ordering::Relaxed)
    }

    /// Reads of certificates that were good, and that were not.
    pub(crate) fn reloads(&self) -> [u64; 2] {
        read(&self.reloads)
    }

    /// Handshakes done, failed and slow.
    pub(crate) fn handshakes(&self) -> [u64; 3] {
        read(&self.handshakes)
    }

    /// By [`Denial::REASONS`].
    pub(crate) fn denials(&self) -> [u64; Denial::REASONS.len()] {
        read(&self.denied)
    }

    /// Reads of tokens that were good, and that were not.
    pub(crate) fn tokens_reloads(&self) -> [u64; 2] {
        read(&self.tokens_reloads)
    }

    /// Fetches of keys that were good, and that were not; how many keys there are, and since when, in seconds since 1970.
    pub(crate) fn keys(&self) -> ([u64; 2], u64, u64) {
        (read(&self.keys_fetches), self.keys.load(Ordering::Relaxed), self.keys_at.load(Ordering::Relaxed))
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read<const N: usize>(counters: &[AtomicU64; N]) -> [u64; N] {
    counters.each_ref().map(|counter| counter.load(Ordering::Relaxed))
}
