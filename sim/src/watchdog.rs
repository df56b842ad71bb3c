//! A run never hangs: one that stands still ends the process, and says where.
//!
//! On one thread, whoever waits for itself waits for ever: no failure would be told, and no seed. The watchdog only looks on; no decision
//! of a run depends on it, or on how fast the machine is.

use std::io::Write as _;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
    mpsc::{self, RecvTimeoutError, Sender},
};
use std::thread;
use std::time::Duration;

/// A step takes microseconds, with a recovery milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks on until it is dropped.
pub(crate) struct Watchdog {
    step: Arc<AtomicU64>,
    _ends_with_the_run: Sender<()>,
}

impl Watchdog {
    /// Ends the process when a run of `seed` stays at one step for a minute.
    pub(crate) fn watch(seed: u64) -> Self {
        Self::watch_for(PATIENCE, move |step| {
            // Not `eprintln`: what a test prints is kept until the test ends, and this one never does.
            let again = format!("again: quartermaster-sim --seed {seed} --steps {}", step + 1);
            _ = writeln!(std::io::stderr(), "seed {seed} fails at step {step}: it stands still\n{again}");
            std::process::exit(1);
        })
    }

    fn watch_for(patience: Duration, tell: impl FnOnce(u64) + Send + 'static) -> Self {
        let step = Arc::new(AtomicU64::new(0));
        let (ends, ended) = mpsc::channel();
        let seen = Arc::clone(&step);
        thread::spawn(move || {
            let mut last = None;
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(patience) {
                let now = seen.load(Ordering::Relaxed);
                if last == Some(now) {
                    return tell(now);
                }
                last = Some(now);
            }
        });
        Self { step, _ends_with_the_run: ends }
    }

    /// The run has come to this step.
    pub(crate) fn at(&self, step: u64) {
        self.step.store(step, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_stands_still_is_told_and_one_that_has_ended_is_looked_at_no_more() {
        let (told, heard) = mpsc::channel();
        let watch = |patience, told: Sender<u64>| Watchdog::watch_for(patience, move |step| _ = told.send(step));
        let still = watch(Duration::from_millis(1), told.clone());
        assert_eq!(heard.recv(), Ok(0));
        drop((watch(Duration::from_secs(3_600), told), still));
        assert!(heard.recv().is_err(), "nobody is left who could tell");
    }
}
