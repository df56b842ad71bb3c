//! Keeps a spare segment ready, so that the committer never has to fill one while callers wait.

use std::time::Duration;

use quartermaster_sync::{Condvar, Mutex};

use crate::error::Error;
use crate::log::{Log, Shared};
use crate::storage::Storage;

/// How long to wait before a full disk is tried again.
const NO_SPACE_RETRY: Duration = Duration::from_secs(1);

/// A call for a spare, from the committer to the preparing thread.
#[derive(Default)]
pub(crate) struct Request {
    state: Mutex<RequestState>,
    changed: Condvar,
}

#[derive(Default)]
struct RequestState {
    raised: bool,
    stopped: bool,
}

impl Request {
    pub(crate) fn raise(&self) {
        self.state.lock().raised = true;
        self.changed.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Waits for a call, or for `patience` when a try has failed. Gives false when it is time to end.
    pub(crate) fn wait(&self, patience: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        while !state.raised && !state.stopped {
            match patience {
                Some(patience) if self.changed.wait_for(&mut state, patience).timed_out() => break,
                Some(_) => {}
                None => self.changed.wait(&mut state),
            }
        }
        state.raised = false;
        !state.stopped
    }
}

impl<S: Storage> Log<S> {
    /// Makes a spare segment if none is ready; says whether it did. The preparing thread is a loop around this.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when the disk is full: the log goes on as long as it has room, see
    /// [`LogStats::headroom_bytes`](crate::LogStats::headroom_bytes). Any other failure poisons the log.
    pub fn prepare_spare(&self) -> Result<bool, Error> {
        self.shared.prepare_spare()
    }
}

impl<S: Storage> Shared<S> {
    fn prepare_spare(&self) -> Result<bool, Error> {
        self.check_alive()?;
        self.spares.prepare().map_err(|error| match error {
            Error::NoSpace { .. } => {
                self.counters.spare_failures.add(1);
                error
            }
            error => self.fail(error),
        })
    }

    /// Poisons the log from outside of a commit, and tells everyone.
    pub(crate) fn fail(&self, error: Error) -> Error {
        let failure = self.poison(error);
        self.wake_waiters();
        self.hooks.fatal(&failure);
        Error::Poisoned { source: failure }
    }

    pub(crate) fn run_preparer(&self) {
        loop {
            let patience = match self.prepare_spare() {
                Ok(_) => None,
                Err(Error::NoSpace { .. }) => Some(NO_SPACE_RETRY),
                // The fatal hook has the error.
                Err(_) => return,
            };
            if !self.spare_wanted.wait(patience) {
                return;
            }
        }
    }
}
