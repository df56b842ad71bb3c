//! How often each caller may call. The generic cell rate algorithm (ITU-T I.371): a caller's account is one number, the moment at which all it
//! has called will have been paid for.
//!
//! A batch counts as its items and may go beyond what is saved up as long as something is: the debt is paid by what follows. Refusing it
//! would refuse it for ever. Accounts are slots of a fixed table, found by a keyed hash, so that a flood of callers costs no memory; that two
//! of a hundred share one happens in one server of thirteen.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::principal::Rate;

/// Slots: half a megabyte.
const SLOTS: usize = 1 << 16;

const SECOND_NANOS: u64 = 1_000_000_000;

/// One caller's account: nanoseconds from the origin of time to when everything is paid for. Relaxed: it guards nothing but itself.
#[derive(Debug, Default)]
pub(super) struct Account(AtomicU64);

impl Account {
    /// Books `items` at `now`, in nanoseconds; gives the time to wait where nothing is saved up.
    pub(super) fn charge(&self, rate: Rate, items: u64, now: u64) -> Result<(), Duration> {
        let each = SECOND_NANOS / u64::from(rate.per_second.max(1));
        let saved = each.saturating_mul(rate.burst.max(1).into());
        let mut paid_at = self.0.load(Ordering::Relaxed);
        loop {
            let from = paid_at.max(now);
            // One more must fit into what may be saved up; how many come with it is for the future.
            let earliest = from.saturating_add(each).saturating_sub(saved);
            if earliest > now {
                return Err(Duration::from_nanos(earliest - now));
            }
            let then = from.saturating_add(each.saturating_mul(items));
            match self.0.compare_exchange_weak(paid_at, then, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => paid_at = other,
            }
        }
    }
}

/// The accounts of all callers.
pub(super) struct Rates {
    accounts: Box<[Account]>,
    hasher: RandomState,
    origin: Instant,
}

impl Rates {
    pub(super) fn new() -> Rates {
        let accounts = std::iter::repeat_with(Account::default).take(SLOTS).collect();
        Rates { accounts, hasher: RandomState::new(), origin: Instant::now() }
    }

    /// Where the account of `key` is.
    pub(super) fn place(&self, key: impl Hash) -> usize {
        let hash = self.hasher.hash_one(key);
        usize::try_from(hash % u64::try_from(SLOTS).unwrap_or(1)).unwrap_or(0)
    }

    /// Books `items` on the account at `place`; gives the time to wait where nothing is saved up.
    pub(super) fn charge(&self, place: usize, rate: Rate, items: u64) -> Result<(), Duration> {
        self.accounts[place].charge(rate, items, self.now())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };
    const TENTH: u64 = SECOND_NANOS / 10;

    #[test]
    fn a_burst_then_the_rate() {
        let account = Account::default();
        let now = 5 * SECOND_NANOS;
        for _ in 0..3 {
            assert_eq!(account.charge(RATE, 1, now), Ok(()));
        }
        assert_eq!(account.charge(RATE, 1, now), Err(Duration::from_millis(100)));
        assert_eq!(account.charge(RATE, 1, now + TENTH - 1), Err(Duration::from_nanos(1)));
        assert_eq!(account.charge(RATE, 1, now + TENTH), Ok(()));
        assert_eq!(account.charge(RATE, 1, now + TENTH), Err(Duration::from_millis(100)));
        let later = now + 100 * SECOND_NANOS;
        let let_in = (0..10).filter(|_| account.charge(RATE, 1, later).is_ok()).count();
        assert_eq!(let_in, 3, "no more is saved up than a burst");
    }

    #[test]
    fn a_batch_beyond_the_burst_passes_once_and_is_paid_for_after() {
        let account = Account::default();
        assert_eq!(account.charge(RATE, 50, 0), Ok(()));
        let Err(wait) = account.charge(RATE, 1, 0) else { panic!("nothing is saved up") };
        assert_eq!(wait, Duration::from_millis(4_800));
        assert_eq!(account.charge(RATE, 1, 48 * TENTH), Ok(()));
    }

    #[test]
    fn callers_have_accounts_of_their_own() {
        let rates = Rates::new();
        let (one, other) = (rates.place("one"), rates.place("other"));
        assert_eq!(rates.place("one"), one);
        // One in 65,536 runs meets one slot for both; then there is nothing to see.
        if one != other {
            let slow = Rate { per_second: 1, burst: 1 };
            assert!(rates.charge(one, slow, 1).is_ok() && rates.charge(one, slow, 1).is_err());
            assert!(rates.charge(other, slow, 1).is_ok());
        }
    }
}
