//! A node over a disk in memory with random traffic, and what a backup needs of it.
#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use quartermaster_backup::{Archive, Created, Error, HistoryId, Live, MemoryTarget, Order, Pace, Pin, create};
use quartermaster_engine::EngineConfig;
use quartermaster_engine::codec;
use quartermaster_engine::command::{Command, Request};
use quartermaster_engine::event::Record;
use quartermaster_journal::{Journal as _, LogConfig, Lsn, SimStorage};
use quartermaster_node::{Clock as _, Core, CoreConfig};
use quartermaster_sim::model::Model;
use quartermaster_sim::workload::{Asked, Case, Dice, Op, setup};
use quartermaster_sim::{SimClock, Tap};

pub(crate) const T0: u64 = 1_700_000_000_000_000;

pub(crate) fn config() -> CoreConfig {
    CoreConfig {
        engine: EngineConfig::default(),
        log: LogConfig::small(),
        snapshot_interval: Duration::ZERO,
        snapshot_after_bytes: 0,
        journal_keep: Duration::ZERO,
        disk_budget_bytes: 0,
    }
}

pub(crate) type SimCore = Core<SimStorage, SimClock>;

/// Holds the log of a core, or of none.
pub(crate) struct Held<'a>(pub(crate) &'a SimCore);

impl Pin for Held<'_> {
    fn hold(&self, from: Option<Lsn>) {
        self.0.hold_log(from);
    }
}

/// As fast as it goes; cancels after so many calls.
pub(crate) struct Unpaced(pub(crate) AtomicU64);

impl Unpaced {
    pub(crate) fn forever() -> Unpaced {
        Unpaced(AtomicU64::new(u64::MAX))
    }
}

impl Pace for Unpaced {
    fn spend(&self, _: usize) -> Result<(), Error> {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 0 { Err(Error::Cancelled) } else { Ok(()) }
    }
}

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) storage: SimStorage,
    pub(crate) clock: SimClock,
    pub(crate) core: Option<SimCore>,
    pub(crate) records: Arc<Mutex<Vec<Vec<u8>>>>,
    case: Case,
    model: Model,
    asked: Asked,
    followed: Vec<Record>,
    pub(crate) archive: Option<Archive>,
    pub(crate) fresh: HistoryId,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let case = Case::swarm(&mut dice);
        let storage = SimStorage::new();
        storage.set_wall(T0);
        let mut world = World {
            dice,
            storage,
            clock: SimClock::at(T0),
            core: None,
            records: Arc::default(),
            case,
            model: Model::default(),
            asked: Asked::default(),
            followed: Vec::new(),
            archive: None,
            fresh: HistoryId(u128::from(seed) + 1),
        };
        world.start();
        for (place, command) in setup().iter().enumerate() {
            world.submit(format!("setup{place}"), command);
        }
        world.core().log().sync().unwrap();
        world
    }

    pub(crate) fn core(&self) -> &SimCore {
        self.core.as_ref().unwrap()
    }

    pub(crate) fn start(&mut self) {
        let records = Arc::clone(&self.records);
        let core = Core::open(self.storage.clone(), &config(), self.clock.clone(), |log| {
            Arc::new(Tap::new(log.clone(), records))
        });
        self.core = Some(core.unwrap());
    }

    /// The machine dies and comes back with what its disk has.
    pub(crate) fn crash(&mut self) {
        self.archive = None;
        drop(self.core.take());
        let seed = self.dice.number();
        self.storage = self.storage.crash(seed);
        self.start();
        let kept = usize::try_from(self.core().log().appended_lsn().get()).unwrap();
        self.records.lock().truncate(kept);
        self.followed.truncate(kept);
        self.model = self.model.rebuilt(&self.followed).unwrap();
    }

    fn submit(&mut self, id: String, command: &Command) {
        let now = self.core().now();
        self.model.now = now;
        let request = Request { id: id.into(), actor: String::new() };
        let result = self.core().submit(&request, command, now).unwrap();
        let news = self.news();
        self.model.answered(&request.id, command, &result, &news).unwrap();
        self.followed.extend(news);
    }

    /// Records that the model has not followed yet.
    fn news(&self) -> Vec<Record> {
        let records = self.records.lock();
        records[self.followed.len()..].iter().map(|bytes| codec::decode(bytes).unwrap()).collect()
    }

    pub(crate) fn traffic(&mut self, steps: usize) {
        for _ in 0..steps {
            let raw = (u16::try_from(self.dice.below(1 << 16)).unwrap(), self.dice.number());
            let (pause, _, op) = self.case.step(&raw, &self.model, &mut self.asked);
            self.clock.advance(pause + 1_000);
            self.storage.set_wall(self.clock.wall());
            match op {
                Op::Submit(id, command) => self.submit(id, &command),
                Op::Timer { .. } => {
                    self.core().tick();
                    for record in self.news() {
                        self.model.now = record.time;
                        self.model.record(&record).unwrap();
                        self.followed.push(record);
                    }
                }
            }
            if self.dice.one_in(4) {
                self.core().log().step().unwrap();
            }
        }
    }

    pub(crate) fn ship(&mut self, target: &MemoryTarget, pace: &Unpaced) -> Result<(), Error> {
        self.with_archive(target, pace, |live, target, archive| archive.ship(live, target).map(|_| ()))
    }

    pub(crate) fn back_up(&mut self, target: &MemoryTarget, pace: &Unpaced, keep: usize) -> Result<Created, Error> {
        let clock = self.clock.clone();
        let order = Order { software: "test", keep, clock: &|| clock.wall() };
        self.with_archive(target, pace, |live, target, archive| create(live, target, archive, &order))
    }

    fn with_archive<T>(
        &mut self,
        target: &MemoryTarget,
        pace: &Unpaced,
        act: impl FnOnce(&Live<'_, SimStorage>, &MemoryTarget, &mut Archive) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let core = self.core.as_ref().unwrap();
        let pin = Held(core);
        let live = Live { log: core.log(), storage: core.storage(), pin: &pin, pace };
        let mut archive = match self.archive.take() {
            Some(archive) => archive,
            None => Archive::open(&live, target, self.fresh, true)?,
        };
        let done = act(&live, target, &mut archive)?;
        // One that failed is opened anew, as a server does.
        self.archive = Some(archive);
        Ok(done)
    }
}
