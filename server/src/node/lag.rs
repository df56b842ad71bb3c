//! How far durability is behind: the age of the oldest event that is not on disk yet, as seen at each tick of the timer.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quartermaster_journal::Lsn;

/// An event to watch, and since when.
#[derive(Debug, Default)]
pub(super) struct DurableLag(Mutex<Option<(Lsn, Instant)>>);

impl DurableLag {
    /// Looks at the journal's two ends. While the event that was newest at an earlier look is not durable, the lag is at least the
    /// time since then.
    pub(super) fn look(&self, appended: Lsn, durable: Lsn) {
        let mut watched = self.0.lock();
        if watched.is_none_or(|(lsn, _)| durable >= lsn) {
            *watched = (appended > durable).then(|| (appended, Instant::now()));
        }
    }

    /// The lag now.
    pub(super) fn now(&self) -> Duration {
        self.0.lock().map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_while_the_watched_event_is_not_durable() {
        let lag = DurableLag::default();
        lag.look(Lsn::new(5), Lsn::new(5));
        assert_eq!(lag.now(), Duration::ZERO);
        lag.look(Lsn::new(7), Lsn::new(5));
        let since = lag.0.lock().unwrap();
        lag.look(Lsn::new(9), Lsn::new(6));
        assert_eq!(*lag.0.lock(), Some(since), "the older event is still waited for");
        lag.look(Lsn::new(9), Lsn::new(7));
        assert_eq!(lag.0.lock().unwrap().0, Lsn::new(9));
        lag.look(Lsn::new(9), Lsn::new(9));
        assert_eq!(lag.now(), Duration::ZERO);
    }
}
