//! One life of the process: from opening the directory to its end, however that comes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use quartermaster_engine::crew::InTurn;
use quartermaster_journal::{Journal as _, Lsn, SimStorage};
use quartermaster_node::{Core, CoreConfig, OpenError};

use crate::clock::SimClock;
use crate::tap::{Records, Tap};

/// A node that runs.
pub(crate) struct Life {
    pub(crate) core: Arc<Core<SimStorage, SimClock>>,
    /// How far callers have been told, by the hook that tells the server's.
    told: Arc<AtomicU64>,
    /// A call to the disk is to fail in this life: what fails is no surprise.
    pub(crate) doomed: bool,
}

impl Life {
    pub(crate) fn open(
        storage: &SimStorage,
        config: &CoreConfig,
        clock: &SimClock,
        records: &Records,
    ) -> Result<Self, OpenError> {
        let tap = |log: &_| Arc::new(Tap::new(Clone::clone(log), Arc::clone(records))) as _;
        // What threads of a server do at the same time is done in turn: the outcome is the same, or this run finds it out.
        let core = Core::open_with(storage.clone(), config, clock.clone(), &InTurn::new(3), tap)?;
        let told = Arc::new(AtomicU64::new(core.log().durable_lsn().get()));
        let hook = Arc::clone(&told);
        core.log().on_durable(move |lsn| hook.store(lsn.get(), Ordering::Relaxed));
        Ok(Self { core: Arc::new(core), told, doomed: false })
    }

    pub(crate) fn told(&self) -> Lsn {
        Lsn::new(self.told.load(Ordering::Relaxed))
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.core.log().failure().is_some()
    }
}
