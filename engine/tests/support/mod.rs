//! What the engine's tests share: answers and state as text, restarts, and random commands.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod dump;
pub(crate) mod generate;
pub(crate) mod render;

use std::{convert::Infallible, sync::Arc};

use quartermaster_engine::{
    Answer, Crew, Engine, EngineConfig, Error,
    command::{Command, Request},
    recovery::{Recovery, RecoveryError, Stretch},
    snapshot::{Section, SnapshotSpan, kind},
    time::Timestamp,
};
use quartermaster_journal::{Journal, Lsn, MemoryJournal};

/// When every test begins: any time will do that is not 0.
pub(crate) const T0: u64 = 1_700_000_000_000_000;

/// An engine whose journal the test can read.
pub(crate) struct Rig {
    pub(crate) config: EngineConfig,
    pub(crate) engine: Arc<Engine>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) now: Timestamp,
}

impl Rig {
    pub(crate) fn new(config: EngineConfig) -> Self {
        let journal = Arc::new(MemoryJournal::keeping_records());
        let engine = Arc::new(Engine::new(config, Arc::clone(&journal) as Arc<dyn Journal>));
        Self { config, engine, journal, now: Timestamp(T0) }
    }

    pub(crate) fn submit(&self, id: &str, command: &Command) -> Result<Answer, Error> {
        self.engine.submit(&request(id), command, self.now)
    }

    /// Becomes what a restart from the whole journal makes of it.
    pub(crate) fn restart(&mut self) {
        let recovery = replay(self.config, &self.journal.records()).expect("the engine's own records replay");
        self.become_of(recovery);
    }

    /// Becomes what a restart from a snapshot makes of it.
    pub(crate) fn restart_from_snapshot(&mut self) {
        let (span, sections) = snapshot(&self.engine, self.now);
        self.become_of(recover(self.config, &sections, span, &self.journal.records()));
    }

    fn become_of(&mut self, recovery: Recovery) {
        self.engine = Arc::new(recovery.finish(Arc::clone(&self.journal) as Arc<dyn Journal>));
    }
}

/// A request of nobody in particular.
pub(crate) fn request(id: &str) -> Request {
    Request { id: id.into(), actor: "tester".into() }
}

/// Replays records from the first.
pub(crate) fn replay(config: EngineConfig, records: &[Vec<u8>]) -> Result<Recovery, RecoveryError> {
    let mut recovery = Recovery::new(config);
    for (lsn, record) in (1..).zip(records) {
        recovery.replay(Lsn::new(lsn), record)?;
    }
    Ok(recovery)
}

/// Takes a snapshot while nothing else happens.
pub(crate) fn snapshot(engine: &Engine, now: Timestamp) -> (SnapshotSpan, Vec<Section>) {
    let mut sections = Vec::new();
    let span = engine.snapshot(now, |section| {
        sections.push(section);
        Ok::<(), Infallible>(())
    });
    let Ok(span) = span;
    (span, sections)
}

/// Loads a snapshot and replays the records past it.
pub(crate) fn recover(config: EngineConfig, sections: &[Section], span: SnapshotSpan, records: &[Vec<u8>]) -> Recovery {
    let mut recovery = Recovery::new(config);
    for section in sections {
        recovery
            .load(section.kind, section.unit, section.lsn, &section.payload)
            .expect("the engine's own sections load");
    }
    for (lsn, record) in (1..).zip(records).filter(|(lsn, _)| *lsn > span.complete_to.get()) {
        recovery.replay(Lsn::new(lsn), record).expect("the engine's own records replay");
    }
    recovery
}

/// The same with a crew: records in stretches of `lengths`, over and over, and the catalogue behind all other sections, these in the other order.
///
/// # Errors
/// What the recovery says of a record.
pub(crate) fn recover_together(
    config: EngineConfig,
    sections: &[Section],
    records: &[(Lsn, &[u8])],
    lengths: &[usize],
    crew: &dyn Crew,
) -> Result<Recovery, RecoveryError> {
    let mut recovery = Recovery::new(config);
    let (first, others): (Vec<&Section>, Vec<&Section>) =
        sections.iter().partition(|section| [kind::META, kind::CATALOGUE].contains(&section.kind));
    recovery.make_room(first.iter().map(|section| section.payload.len() as u64));
    for section in others.into_iter().rev().chain(first) {
        recovery
            .load(section.kind, section.unit, section.lsn, &section.payload)
            .expect("the engine's own sections load");
    }
    let (mut stretch, mut rest, mut lengths) = (Stretch::default(), records, lengths.iter().cycle());
    while !rest.is_empty() {
        let length = lengths.next().map_or(1, |length| (*length).clamp(1, rest.len()));
        let (part, others) = rest.split_at(length);
        part.iter().for_each(|(lsn, record)| stretch.push(*lsn, record));
        recovery.replay_together(&stretch, crew)?;
        stretch.clear();
        rest = others;
    }
    Ok(recovery)
}

/// Number of cases: what the variable says, or the default.
pub(crate) fn cases(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number of cases"))
}

/// Where found seeds are kept.
pub(crate) fn regressions(file: &'static str) -> Option<Box<dyn proptest::test_runner::FailurePersistence>> {
    Some(Box::new(proptest::test_runner::FileFailurePersistence::Direct(file)))
}
