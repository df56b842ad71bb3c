//! How far durability is behind: the age of the oldest event that is not on disk yet, as seen at each tick of the timer.

use std::time::Duration;

use parking_lot::Mutex;
use quartermaster_journal::Lsn;

/// An event to watch, and since when.
#[derive(Debug, Default)]
pub(crate) struct DurableLag(Mutex<Option<(Lsn, Duration)>>);

impl DurableLag {
    /// Looks at the journal's two ends. While the event that was newest at an earlier look is not durable, the lag is at least the
    /// time since then. `elapsed` is the monotonic clock.
    pub(crate) fn look(&self, appended: Lsn, durable: Lsn, elapsed: Duration) {
        let mut watched = self.0.lock();
        if watched.is_none_or(|(lsn, _)| durable >= lsn) {
            *watched = (appended > durable).then_some((appended, elapsed));
        }
    }

    /// The lag when the monotonic clock says `elapsed`.
    pub(crate) fn at(&self, elapsed: Duration) -> Duration {
        self.0.lock().map_or(Duration::ZERO, |(_, since)| elapsed.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_while_the_watched_event_is_not_durable() {
        let lag = DurableLag::default();
        let looks = [
            ((5, 5), 0, "nothing is behind"),
            ((7, 5), 0, "seen for the first time"),
            ((9, 6), 1, "the older event is still waited for"),
            ((9, 7), 0, "a newer one is watched"),
            ((9, 7), 1, "and is late, too"),
            ((9, 9), 0, "nothing is behind"),
        ];
        for (second, ((appended, durable), behind, why)) in (0..).zip(looks) {
            let now = Duration::from_secs(second);
            lag.look(Lsn::new(appended), Lsn::new(durable), now);
            assert_eq!(lag.at(now), Duration::from_secs(behind), "{why}");
        }
    }
}
