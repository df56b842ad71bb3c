//! Callbacks of a log, called with none of its locks held.

use std::sync::Arc;

use quartermaster_sync::Mutex;

use crate::error::Error;
use crate::lsn::Lsn;

type Durable = Arc<dyn Fn(Lsn) + Send + Sync>;
type Fatal = Box<dyn Fn(&Error) + Send + Sync>;

/// Registered callbacks.
#[derive(Default)]
pub(crate) struct Hooks {
    durable: Mutex<Arc<[Durable]>>,
    fatal: Mutex<Vec<Fatal>>,
}

impl Hooks {
    pub(crate) fn add_durable(&self, hook: Durable) {
        let mut hooks = self.durable.lock();
        *hooks = hooks.iter().cloned().chain([hook]).collect();
    }

    pub(crate) fn add_fatal(&self, hook: Fatal) {
        self.fatal.lock().push(hook);
    }

    pub(crate) fn durable(&self, lsn: Lsn) {
        let hooks = Arc::clone(&self.durable.lock());
        for hook in hooks.iter() {
            hook(lsn);
        }
    }

    /// Calls each fatal hook once in its life: they are taken out first.
    pub(crate) fn fatal(&self, error: &Error) {
        let hooks = std::mem::take(&mut *self.fatal.lock());
        for hook in hooks {
            hook(error);
        }
    }
}
