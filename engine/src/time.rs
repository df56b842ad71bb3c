//! Points in time and lengths of time, as arguments: the engine has no clock.

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The end of time, for "never".
    pub const MAX: Self = Self(u64::MAX);

    /// This much later; the end of time if that would pass it.
    #[must_use]
    pub fn plus(self, span: Micros) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// This much earlier; the epoch if that would pass it.
    #[must_use]
    pub fn minus(self, span: Micros) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

/// A length of time in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Micros(pub u64);

impl Micros {
    /// Whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }
}
