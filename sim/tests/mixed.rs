//! Everything at once: random commands of every kind, each answer judged and all figures compared after each, by a naive model.

#[path = "../../engine/tests/support/mod.rs"]
mod support;

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{RngSeed, TestRunner},
};
use quartermaster_engine::{
    Engine, EngineConfig, Error, Verdict, codec,
    command::Command,
    event::Record,
    history::{History, Rules},
    time::Timestamp,
};
use quartermaster_journal::{Lsn, MemoryJournal};
use quartermaster_sim::{
    compare::compare,
    model::{Judged, Model},
    workload::{Asked, Case, Kind, Op, setup},
};
use support::{Rig, T0, cases, recover, regressions, replay, snapshot};

thread_local! {
    /// Steps by kind and what came of them, over all cases of a test.
    static COUNTS: RefCell<BTreeMap<(String, &'static str), u64>> = const { RefCell::new(BTreeMap::new()) };
}

fn count(kind: impl std::fmt::Debug, outcome: &'static str) {
    COUNTS.with(|counts| *counts.borrow_mut().entry((format!("{kind:?}"), outcome)).or_default() += 1);
}

/// A case as far as it has come.
struct Run {
    rig: Rig,
    model: Model,
    asked: Asked,
    /// Records that the model has followed.
    followed: usize,
    /// What was done, as a failure tells it.
    story: Vec<String>,
}

impl Run {
    fn new() -> Self {
        let (rig, model, asked) = (Rig::new(EngineConfig::default()), Model::default(), Asked::default());
        Self { rig, model, asked, followed: 0, story: Vec::new() }
    }

    /// Records that the model has not followed yet.
    fn news(&mut self) -> Vec<Record> {
        let records = self.rig.journal.records();
        let news = records[self.followed..].iter().map(|bytes| codec::decode(bytes).expect("the engine's own record"));
        let news = news.collect();
        self.followed = records.len();
        news
    }

    fn submit(&mut self, kind: Option<Kind>, id: &str, command: &Command) -> Judged {
        self.model.now = self.rig.now;
        let result = self.rig.submit(id, command);
        if let Some(kind) = kind {
            count(kind, outcome(&result));
        }
        let news = self.news();
        if !news.is_empty() {
            self.story.push(format!("{} {id} {command:?}", self.rig.now.0 - T0));
        }
        let judged = self.model.answered(id, command, &result, &news);
        judged.map_err(|wrong| format!("{id} {command:?}\n led to {result:?}\n {wrong}"))
    }

    /// What the timers send: no command is seen, the records are.
    fn timer(&mut self, kind: Kind, pass: impl FnOnce(&Engine, Timestamp)) -> Judged {
        self.model.now = self.rig.now;
        pass(&self.rig.engine, self.rig.now);
        for record in self.news() {
            count(kind, "done");
            self.story.push(format!("{} {kind:?} {}", self.rig.now.0 - T0, record.event.name()));
            self.model.record(&record).map_err(|wrong| format!("{kind:?}: {record:?}\n {wrong}"))?;
        }
        Ok(())
    }

    fn step(&mut self, case: &Case, place: usize) -> Judged {
        let (pause, kind, op) = case.step(&case.steps[place], &self.model, &mut self.asked);
        self.rig.now = Timestamp(self.rig.now.0 + pause);
        match op {
            Op::Submit(id, command) => self.submit(Some(kind), &id, &command)?,
            Op::Timer { limit } => {
                self.timer(kind, |engine, now| match kind {
                    Kind::SettleCampaigns => _ = engine.settle_campaigns(now, limit).expect("memory is never full"),
                    Kind::SettleRules => _ = engine.settle_rules(now, limit).expect("memory is never full"),
                    _ => _ = engine.expire_due(now, limit).expect("memory is never full"),
                })?;
                if limit > 1 {
                    match kind {
                        Kind::SettleCampaigns => self.model.settled_campaigns(),
                        Kind::SettleRules => self.model.settled_rules(),
                        _ => self.model.expired_all(),
                    }?;
                }
            }
        }
        compare(&self.rig.engine, &self.model).map_err(|wrong| format!("after {kind:?} at step {place}: {wrong}"))
    }

    /// A restart from the log, and from a snapshot and the log past it, brings back the same.
    fn restart(&self, taken: Option<&Snapshot>) -> Judged {
        let records = self.rig.journal.records();
        let fresh = replay(self.rig.config, &records).map_err(|error| format!("the log does not replay: {error}"))?;
        let fresh = fresh.finish(Arc::new(MemoryJournal::new()));
        compare(&fresh, &self.model).map_err(|wrong| format!("from the log: {wrong}"))?;
        let live = bytes(&self.rig.engine);
        same(&live, &bytes(&fresh)).map_err(|wrong| format!("from the log: {wrong}"))?;
        if let Some((span, sections)) = taken {
            let back = recover(self.rig.config, sections, *span, &records).finish(Arc::new(MemoryJournal::new()));
            compare(&back, &self.model).map_err(|wrong| format!("from a snapshot: {wrong}"))?;
            same(&live, &bytes(&back)).map_err(|wrong| format!("from a snapshot: {wrong}"))?;
        }
        Ok(())
    }

    /// A fold of the log that shares no code with the engine finds nothing.
    fn verify(&self) -> Judged {
        let mut history = History::new(Rules::default());
        for (lsn, record) in (1..).zip(self.rig.journal.records()) {
            history.fold(Lsn::new(lsn), &record);
        }
        history.balance();
        history.compare(&self.rig.engine);
        let findings = history.findings();
        if findings.is_empty() { Ok(()) } else { Err(format!("the history finds {findings:?}")) }
    }
}

type Snapshot = (quartermaster_engine::snapshot::SnapshotSpan, Vec<quartermaster_engine::snapshot::Section>);

/// Sections as bytes, but for the first: ids that refusals used up are not brought back.
fn bytes(engine: &Engine) -> Vec<(u16, u32, Vec<u8>)> {
    let (_, sections) = snapshot(engine, Timestamp(0));
    let kept = sections.into_iter().filter(|section| section.kind != quartermaster_engine::snapshot::kind::META);
    kept.map(|section| (section.kind, section.unit, section.payload)).collect()
}

fn same(live: &[(u16, u32, Vec<u8>)], back: &[(u16, u32, Vec<u8>)]) -> Judged {
    match live.iter().zip(back).find(|(one, other)| one != other) {
        Some(((kind, unit, _), _)) => Err(format!("section {kind}/{unit} differs")),
        None if live.len() != back.len() => Err("sections are missing".into()),
        None => Ok(()),
    }
}

fn outcome(result: &Result<quartermaster_engine::Answer, Error>) -> &'static str {
    match result {
        Ok(answer) if answer.replayed => "replayed",
        Ok(answer) => match answer.verdict {
            Verdict::Done(_) => "done",
            Verdict::Rejected(_) => "rejected",
            Verdict::Nothing => "nothing",
        },
        Err(_) => "error",
    }
}

fn run(case: &Case, stop: Index) -> Judged {
    let mut run = Run::new();
    run.all(case, stop).map_err(|wrong| format!("{wrong}\n after\n{}", run.story.join("\n")))
}

impl Run {
    fn all(&mut self, case: &Case, stop: Index) -> Judged {
        let run = self;
        for (place, command) in setup().iter().enumerate() {
            run.submit(None, &format!("setup{place}"), command)?;
        }
        compare(&run.rig.engine, &run.model)?;
        let (mut taken, stop) = (None, stop.index(case.steps.len()));
        for place in 0..case.steps.len() {
            if place == stop {
                run.restart(None)?;
                taken = Some(snapshot(&run.rig.engine, run.rig.now));
                run.restart(taken.as_ref())?;
                // Things go on with what came back.
                run.rig.restart_from_snapshot();
            }
            run.step(case, place)?;
        }
        run.restart(taken.as_ref())?;
        run.verify()
    }
}

/// The same cases every time, so that a change is judged by itself; `MIXED_SEED=random` looks for new ones, a number repeats a run. Half of
/// them each, because a test has one core.
fn config(half: u64) -> ProptestConfig {
    ProptestConfig {
        cases: cases("MIXED_CASES", 150).div_ceil(2),
        failure_persistence: regressions(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mixed.regressions")),
        max_shrink_iters: cases("MIXED_SHRINKS", 1024),
        rng_seed: match std::env::var("MIXED_SEED").as_deref() {
            Err(_) => RngSeed::Fixed(1_111 + half),
            Ok("random") => RngSeed::Random,
            Ok(number) => RngSeed::Fixed(number.parse::<u64>().expect("a number, or random") + half),
        },
        ..ProptestConfig::default()
    }
}

fn case(steps: std::ops::Range<usize>) -> impl Strategy<Value = Case> {
    let weights = vec(prop_oneof![1 => Just(0_u32), 3 => 1..4_u32, 1 => 8..20_u32], Kind::ALL.len());
    (weights.no_shrink(), vec((any::<u16>(), any::<u64>()).no_shrink(), steps))
        .prop_map(|(weights, steps)| Case::new(weights, steps))
}

fn everything(half: u64) {
    let mut runner = TestRunner::new(config(half));
    let outcome = runner.run(&(case(1..160), any::<Index>()), |(case, stop)| {
        run(&case, stop).map_err(TestCaseError::fail)?;
        Ok(())
    });
    if std::env::var_os("MIXED_COUNTS").is_some() {
        COUNTS.with(|counts| {
            counts.borrow().iter().for_each(|((kind, outcome), count)| println!("{kind} {outcome} {count}"))
        });
    }
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
}

/// All features at once keep every rule.
#[test]
fn all_features_together_keep_every_rule() {
    everything(0);
}

#[test]
fn all_features_together_keep_every_rule_in_other_cases() {
    everything(1);
}
