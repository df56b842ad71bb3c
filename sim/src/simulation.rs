//! The schedule: what happens next, and whether what came of it is right.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quartermaster_engine::{
    Answer, Error, Verdict, codec,
    command::{Command, Request},
    event::{Event, Record, returns::ReturnsEvent, rules::RulesEvent},
    fingerprint::Fingerprinter,
};
use quartermaster_journal::{Error as LogError, Journal as _, Lsn, Operation, SimStorage, storage::CrashStyle};
use quartermaster_node::{Clock as _, DiskFull, OpenError};

use crate::{
    checks::{folded_hash, same_history, same_log, state_hash},
    clock::SimClock,
    compare::compare,
    counts::Counts,
    faults::{self, Rot},
    life::Life,
    model::{Judged, Model},
    plan::Plan,
    story::Story,
    tap::Records,
    watchdog::Watchdog,
    workload::{Asked, Dice, Kind, Op, setup},
};

/// When every run begins, in microseconds since the Unix epoch.
const T0: u64 = 1_700_000_000_000_000;
/// Clocks jump at most this far forward in all, so that nothing is old enough to be forgotten: the model forgets nothing.
const JUMPS_MAX: u64 = 20 * 3_600 * 1_000_000;
/// Calls without an answer that are remembered, to be repeated.
const CALLS_MAX: usize = 64;
/// Starts after one end, most of which fail on purpose: more than so many are no accident.
const STARTS_MAX: usize = 100;

/// What came of a run without a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The same for every run of the same seed and steps.
    pub hash: u64,
    /// What was covered.
    pub counts: Counts,
}

/// What is wrong, and how it came about.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The run.
    pub seed: u64,
    /// The step at which it showed.
    pub step: u64,
    /// What is wrong.
    pub wrong: String,
    /// The last steps before it.
    pub story: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in &self.story {
            writeln!(formatter, "  {line}")?;
        }
        writeln!(formatter, "seed {} fails at step {}: {}", self.seed, self.step, self.wrong)?;
        write!(formatter, "again: quartermaster-sim --seed {} --steps {}", self.seed, self.step + 1)
    }
}

thread_local! {
    static DOING: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Seed and step that this thread is at: for a panic, which leaves no [`Failure`].
#[must_use]
pub fn doing() -> (u64, u64) {
    DOING.get()
}

/// Runs `steps` steps of a seed.
///
/// # Errors
/// The first thing that is wrong.
pub fn run(seed: u64, steps: u64) -> Result<Outcome, Failure> {
    run_planned(seed, steps, &|_| {})
}

/// As [`run`], with the seed's plan changed by `change` before the first step.
///
/// # Errors
/// As [`run`].
pub fn run_planned(seed: u64, steps: u64, change: &dyn Fn(&mut Plan)) -> Result<Outcome, Failure> {
    match attempt(seed, steps, change, false) {
        Ok(outcome) => Ok(outcome),
        // The same again, and this time for its story.
        Err(failure) => Err(attempt(seed, failure.step + 1, change, true).err().unwrap_or(failure)),
    }
}

fn attempt(seed: u64, steps: u64, change: &dyn Fn(&mut Plan), story: bool) -> Result<Outcome, Failure> {
    DOING.set((seed, 0));
    let mut dice = Dice::new(seed);
    let mut plan = Plan::swarm(&mut dice);
    change(&mut plan);
    let mut simulation = Simulation::new(plan, dice, story);
    let result = simulation.all(seed, steps);
    let step = DOING.get().1;
    match result {
        Ok(hash) => Ok(Outcome { hash, counts: simulation.counts }),
        Err(wrong) => Err(Failure { seed, step, wrong, story: simulation.story.into_lines() }),
    }
}

/// A call that its client has no answer to yet.
struct Call {
    id: String,
    command: Command,
    /// The answer, when there was one in this life, may be told from here on.
    rests_on: Option<Lsn>,
}

struct Simulation {
    plan: Plan,
    dice: Dice,
    clock: SimClock,
    storage: SimStorage,
    records: Records,
    life: Option<Life>,
    model: Model,
    asked: Asked,
    /// Records that the model has followed, decoded.
    followed: Vec<Record>,
    /// Answers that led to an event, by request id.
    answers: BTreeMap<String, (u64, Event)>,
    calls: Vec<Call>,
    /// The highest LSN that an answer rested on which a client was told.
    acknowledged: Lsn,
    /// What is known to be synced, and when that was last done, by the monotonic clock. Asked only where answers do not wait for it.
    synced: (Lsn, Duration),
    /// Since the last start that came to its end.
    power_was_cut: bool,
    jumped: u64,
    full: bool,
    hash: Fingerprinter,
    story: Story,
    counts: Counts,
}

macro_rules! must {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}

impl Simulation {
    fn new(plan: Plan, dice: Dice, story: bool) -> Self {
        let (clock, storage, records) = (SimClock::at(T0), SimStorage::new(), Records::default());
        storage.set_wall(T0);
        Self {
            plan,
            dice,
            clock,
            storage,
            records,
            life: None,
            model: Model::default(),
            asked: Asked::default(),
            followed: Vec::new(),
            answers: BTreeMap::new(),
            calls: Vec::new(),
            acknowledged: Lsn::ZERO,
            synced: (Lsn::ZERO, Duration::ZERO),
            power_was_cut: false,
            jumped: 0,
            full: false,
            hash: Fingerprinter::default(),
            story: Story::new(story),
            counts: Counts::default(),
        }
    }

    fn all(&mut self, seed: u64, steps: u64) -> Judged<u64> {
        let watchdog = Watchdog::watch(seed);
        self.recover(Lsn::ZERO, None)?;
        for (place, command) in setup().iter().enumerate() {
            self.submit(None, format!("setup{place}"), command)?;
        }
        for step in 0..steps {
            DOING.set((seed, step));
            watchdog.at(step);
            self.step()?;
        }
        self.compare()?;
        self.end_orderly()?;
        let records = Arc::clone(&self.records);
        same_history(self.life().core.engine(), &records.lock())?;
        let state = state_hash(self.life().core.engine());
        self.hash.number(state);
        Ok(self.hash.finish())
    }

    fn life(&self) -> &Life {
        self.life.as_ref().expect("Invariant: between two steps a process runs")
    }

    fn step(&mut self) -> Judged {
        let plan = &self.plan;
        let chances = [
            plan.command,
            plan.retry,
            plan.commit,
            plan.spare,
            plan.tick,
            plan.audit,
            plan.snapshot,
            plan.crash,
            plan.close,
            plan.fault,
            plan.space,
            plan.jump,
        ];
        let all: u32 = chances.iter().sum();
        let mut rest = u32::try_from(self.dice.number() % u64::from(all.max(1))).unwrap_or(0);
        let mut action = 0;
        while let Some(chance) = chances.get(action).filter(|chance| rest >= **chance) {
            rest -= chance;
            action += 1;
        }
        match action {
            0..=5 => self.traffic(action),
            6 => self.snapshot(),
            7 if self.dice.one_in(2) => self.threaten(),
            7 => self.crash("the machine dies"),
            8 => self.end_orderly(),
            9 => self.inject(),
            10 => self.change_space(),
            _ => self.jump(),
        }?;
        if self.life().has_failed() {
            self.end_failed()?;
        } else if self.storage.is_powered_off() {
            self.crash("the power is gone")?;
        }
        if self.dice.one_in(self.plan.compare_one_in) {
            self.compare()?;
        }
        Ok(())
    }

    /// What goes on beside a snapshot, too.
    fn traffic(&mut self, action: usize) -> Judged {
        match action {
            0 => self.command()?,
            1 => self.retry()?,
            2 => self.commit()?,
            3 => self.prepare_spare()?,
            4 => self.tick()?,
            _ => self.audit()?,
        }
        self.acknowledge()
    }

    fn compare(&mut self) -> Judged {
        self.counts.event("compared with the model");
        self.model.now = self.life().core.now();
        compare(self.life().core.engine(), &self.model)
    }

    /// Records that the model has not followed yet.
    fn news(&mut self) -> Vec<Record> {
        let records = self.records.lock();
        let news = records[self.followed.len()..].iter();
        news.map(|bytes| codec::decode(bytes).expect("Invariant: the engine's own record")).collect()
    }

    fn command(&mut self) -> Judged {
        let raw = (u16::try_from(self.dice.below(1 << 16)).unwrap_or(0), self.dice.number());
        let (pause, kind, op) = self.plan.case.step(&raw, &self.model, &mut self.asked);
        self.pass(pause);
        match op {
            Op::Submit(id, command) => self.submit(Some(kind), id, &command),
            Op::Timer { .. } => self.timer(kind),
        }
    }

    fn pass(&mut self, micros: u64) {
        self.clock.advance(micros);
        self.storage.set_wall(self.clock.wall());
    }

    fn submit(&mut self, kind: Option<Kind>, id: String, command: &Command) -> Judged {
        let core = Arc::clone(&self.life().core);
        let now = core.now();
        self.model.now = now;
        let request = Request { id: id.as_str().into(), actor: "simulator".into() };
        let result = core.submit(&request, command, now);
        let outcome = outcome(&result);
        if let Some(kind) = kind {
            self.counts.command(kind, outcome);
        }
        self.story.tell(|| format!("{} {id} {command:?}: {outcome}", now.0 - T0));
        let news = self.news();
        let result = match result {
            Err(DiskFull) => {
                must!(self.full || self.life().doomed, "the disk is not full");
                must!(news.is_empty(), "what is refused leaves no record");
                return Ok(());
            }
            Ok(Err(Error::Journal(_))) => {
                must!(news.is_empty(), "what the journal refused leaves no record");
                return Ok(());
            }
            Ok(result) => result,
        };
        let judged = self.model.answered(&id, command, &result, &news);
        judged.map_err(|wrong| format!("{id} {command:?}\n led to {result:?}\n {wrong}"))?;
        self.followed.extend(news);
        // An error that tells of the state rests on all there was, see the server's `rests_on`.
        let rests_on = result.as_ref().map_or_else(|_| core.log().appended_lsn(), |answer| answer.lsn);
        self.hash.number(rests_on.get()).text(outcome);
        if let Ok(Answer { lsn, verdict: Verdict::Done(event), replayed }) = result {
            match self.answers.get(&id) {
                Some((first, known)) => {
                    must!(replayed && *first == lsn.get(), "{id} was answered at {first}, and again at {lsn}");
                    must!(
                        same_answer(known, &event),
                        "{id} got another answer than at first: {event:?}, not {known:?}"
                    );
                    self.counts.event("repeats answered as at first");
                }
                None => _ = self.answers.insert(id.clone(), (lsn.get(), event)),
            }
        }
        self.calls.retain(|call| call.id != id);
        if self.calls.len() < CALLS_MAX {
            self.calls.push(Call { id, command: command.clone(), rests_on: Some(rests_on) });
        }
        Ok(())
    }

    /// Answers are told whose LSN is durable.
    fn acknowledge(&mut self) -> Judged {
        let (life, told) = (self.life(), self.life().told());
        must!(told <= life.core.log().appended_lsn(), "{told} is told, and was never appended");
        let (mut most, mut count) = (self.acknowledged, 0);
        self.calls.retain(|call| match call.rests_on.filter(|lsn| *lsn <= told) {
            Some(lsn) => {
                (most, count) = (most.max(lsn), count + 1);
                false
            }
            None => true,
        });
        self.acknowledged = most;
        self.counts.events("answers told", count);
        Ok(())
    }

    fn retry(&mut self) -> Judged {
        if self.calls.is_empty() {
            return Ok(());
        }
        let place = self.dice.below(self.calls.len());
        let (id, command) = (self.calls[place].id.clone(), self.calls[place].command.clone());
        self.counts.event(if self.calls[place].rests_on.is_some() {
            "calls repeated"
        } else {
            "calls repeated after a crash"
        });
        self.submit(Some(Kind::Repeat), id, &command)
    }

    fn commit(&mut self) -> Judged {
        let before = self.life().told();
        match self.life().core.log().step() {
            Ok(report) => {
                self.counts.events("records committed", report.records);
                self.hash.number(report.durable_lsn.get());
                self.sync_if_due()
            }
            Err(error) => {
                must!(self.life().doomed || self.full, "a commit fails without a reason: {error:?}");
                must!(self.life().told() == before, "a commit failed, and something was told");
                self.story.tell(|| format!("a commit fails: {error}"));
                Ok(())
            }
        }
    }

    /// The timer of `durability = "interval"`, by the simulated clock.
    fn sync_if_due(&mut self) -> Judged {
        let Some(interval) = self.plan.sync_interval.map(Duration::from_micros) else { return Ok(()) };
        let now = self.clock.elapsed();
        if now < self.synced.1 + interval {
            return Ok(());
        }
        match self.life().core.log().sync() {
            Ok(()) => {
                self.counts.event("syncs after answers");
                self.synced.1 = now;
                Ok(())
            }
            Err(error) => {
                must!(self.life().doomed || self.full, "a sync fails without a reason: {error:?}");
                self.story.tell(|| format!("a sync fails: {error}"));
                Ok(())
            }
        }
    }

    fn prepare_spare(&mut self) -> Judged {
        match self.life().core.log().prepare_spare() {
            Ok(made) => self.counts.events("spare segments made", u64::from(made)),
            Err(error) => {
                must!(self.life().doomed || self.full, "a spare cannot be made without a reason: {error:?}");
                self.counts.event("spare segments not made");
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> Judged {
        self.life().core.watch_journal();
        for kind in [Kind::SettleCampaigns, Kind::ExpireDue, Kind::SettleRules] {
            self.timer(kind)?;
        }
        Ok(())
    }

    /// What the timer sends: no command is seen, the records are.
    fn timer(&mut self, kind: Kind) -> Judged {
        let core = Arc::clone(&self.life().core);
        self.model.now = core.now();
        let again = match kind {
            Kind::SettleCampaigns => core.settle_campaigns(),
            Kind::SettleRules => core.settle_rules(),
            _ => core.expire(),
        };
        must!(!again, "a pass leaves something to do at once");
        for record in self.news() {
            self.counts.command(kind, "done");
            self.story.tell(|| format!("{} {kind:?}: {}", record.time.0 - T0, record.event.name()));
            self.model.record(&record).map_err(|wrong| format!("{kind:?}: {record:?}\n {wrong}"))?;
            self.followed.push(record);
        }
        let stats = core.log().stats();
        let may_be_refused =
            stats.backlog_bytes + 8_192 > u64::try_from(self.plan.config.log.backlog_bytes_max).unwrap_or(0);
        if self.life().has_failed() || may_be_refused {
            return Ok(());
        }
        match kind {
            Kind::SettleCampaigns => self.model.settled_campaigns(),
            Kind::SettleRules => self.model.settled_rules(),
            _ => self.model.expired_all(),
        }
    }

    fn audit(&mut self) -> Judged {
        let report = self.life().core.audit_step();
        must!(report.violations.is_empty(), "the auditor finds {:?}", report.violations);
        self.counts.event("shards audited");
        Ok(())
    }

    /// A snapshot with traffic between its sections, and the trimming after it.
    fn snapshot(&mut self) -> Judged {
        let core = Arc::clone(&self.life().core);
        core.make_room_if_full();
        if !core.snapshot_is_due() && !self.dice.one_in(2) {
            return Ok(());
        }
        self.story.tell(|| format!("a snapshot begins at {}", core.log().appended_lsn()));
        let (pace, mut judged) = (20 + self.dice.below(200), Ok(()));
        let segments = core.log().segments().len();
        let taken = core.take_snapshot_amid(&mut || {
            if judged.is_ok() && self.dice.one_in(pace) && !self.life().has_failed() {
                let action = [0, 0, 0, 1, 2, 3, 4, 5][self.dice.below(8)];
                judged = self.traffic(action);
            }
        });
        judged?;
        match taken {
            Ok(taken) => {
                self.story.tell(|| format!("{} is taken", taken.file));
                self.counts.event("snapshots");
                let left = core.log().segments().len();
                self.counts.events("segments trimmed", u64::try_from(segments.saturating_sub(left)).unwrap_or(0));
            }
            Err(error) => {
                must!(self.life().doomed || self.full, "a snapshot fails without a reason: {error:?}");
                self.story.tell(|| format!("the snapshot fails: {error:?}"));
                self.counts.event("snapshots failed");
            }
        }
        self.acknowledge()
    }

    fn inject(&mut self) -> Judged {
        let name = faults::inject(&self.storage, &mut self.dice);
        self.doom();
        self.story.tell(|| format!("to come: a {name}"));
        self.counts.event(name);
        Ok(())
    }

    /// The power is to go at one of the next calls to the disk, whatever that is in the middle of.
    fn threaten(&mut self) -> Judged {
        let calls = self.dice.number() % [8, 64][self.dice.below(2)];
        self.storage.power_off_after(calls);
        self.doom();
        self.story.tell(|| format!("to come: the power goes after {calls} calls to the disk"));
        self.counts.event("power that goes in the middle of something");
        Ok(())
    }

    fn doom(&mut self) {
        if let Some(life) = &mut self.life {
            life.doomed = true;
        }
    }

    fn change_space(&mut self) -> Judged {
        self.full = !self.full;
        let room = self.dice.number() % (160 << 10);
        self.storage.set_capacity(self.full.then(|| self.storage.used_bytes() + room));
        if self.full {
            self.counts.event("the disk fills up");
        } else {
            // What failed for want of space a moment ago may still show.
            self.doom();
        }
        self.story.tell(|| format!("the disk {}", if self.full { "fills up" } else { "has room again" }));
        Ok(())
    }

    fn jump(&mut self) -> Judged {
        let far = [1_000, 1_000_000, 60_000_000, 3_600_000_000][self.dice.below(4)];
        let micros = self.dice.number() % far;
        if self.dice.one_in(2) {
            self.clock.set_wall(self.clock.wall().saturating_sub(micros).max(T0));
            self.counts.event("clock set back");
        } else if self.jumped + micros < JUMPS_MAX {
            self.jumped += micros;
            if self.dice.one_in(2) {
                self.clock.advance(micros);
                self.counts.event("time passed in one leap");
            } else {
                self.clock.set_wall(self.clock.wall() + micros);
                self.counts.event("clock set forward");
            }
        }
        self.storage.set_wall(self.clock.wall());
        self.story.tell(|| format!("the clock says {}", self.clock.wall() - T0));
        Ok(())
    }

    /// The process ends as an operator ends it.
    fn end_orderly(&mut self) -> Judged {
        self.story.tell(|| "an orderly end".into());
        let (core, excused) = (Arc::clone(&self.life().core), self.life().doomed || self.full);
        let ended = core.snapshot_unless_fresh().map_err(|error| format!("{error:?}"));
        let ended = ended.and(core.log().close().map_err(|error| format!("{error:?}")));
        must!(excused || ended.is_ok(), "an orderly end fails: {ended:?}");
        self.acknowledge()?;
        self.counts.event("orderly ends");
        let all = core.log().appended_lsn();
        let (told, live) = (self.life().told(), state_hash(core.engine()));
        self.synced.0 = core.log().synced_lsn();
        must!(ended.is_err() || told == all && self.synced.0 == all, "an orderly end leaves something behind");
        self.life = None;
        drop(core);
        self.storage = if self.dice.one_in(2) { self.storage.restart() } else { self.cut() };
        self.recover(told, Some((all, live)))
    }

    /// After a failed write or sync nothing more is written or told, and the process ends.
    fn end_failed(&mut self) -> Judged {
        let core = Arc::clone(&self.life().core);
        let failure = core.log().failure();
        must!(self.life().doomed || self.full, "the journal fails without a reason: {failure:?}");
        let (told, calls) = (self.life().told(), self.storage.calls());
        must!(core.log().step().is_err() && core.log().sync().is_err(), "a failed journal goes on");
        must!(core.log().prepare_spare().is_err(), "a failed journal makes segments");
        let refused =
            core.engine().submit(&Request { id: "late".into(), actor: "simulator".into() }, &setup()[0], core.now());
        must!(matches!(refused, Err(Error::Journal(_))), "a failed journal takes a record: {refused:?}");
        must!(self.life().told() == told, "a failed journal tells that something is durable");
        must!(self.storage.calls() == calls, "a failed journal calls the disk");
        must!(self.storage.retried_syncs() == 0, "a sync that failed was tried again");
        self.counts.event("journal failures");
        drop(core);
        self.crash("the process ends itself")
    }

    fn crash(&mut self, why: &'static str) -> Judged {
        self.story.tell(|| why.into());
        self.counts.event("crashes");
        self.acknowledge()?;
        let core = Arc::clone(&self.life().core);
        self.synced.0 = core.log().synced_lsn();
        let (told, all) = (self.life().told(), core.log().appended_lsn());
        let live = state_hash(core.engine());
        self.life = None;
        drop(core);
        let dark = self.storage.is_powered_off();
        self.storage = if !dark && self.dice.one_in(3) { self.storage.restart() } else { self.cut() };
        self.recover(told, Some((all, live)))
    }

    /// What a power cut leaves.
    fn cut(&mut self) -> SimStorage {
        let seed = self.dice.number();
        self.counts.event("power cuts");
        self.power_was_cut = true;
        match self.dice.below(6) {
            0 => self.storage.crash_with(CrashStyle::LoseAll, seed),
            1 => self.storage.crash_with(CrashStyle::KeepAll, seed),
            _ => self.storage.crash(seed),
        }
    }

    /// Starts again, however often that takes. `told` is how far callers had been told; `live` is the state of the process that ended and
    /// the LSN it was of.
    fn recover(&mut self, told: Lsn, live: Option<(Lsn, u64)>) -> Judged {
        let is_first = live.is_none();
        let mut rot = None;
        if self.plan.rot_one_in > 0 && !is_first && self.dice.one_in(self.plan.rot_one_in) {
            rot = Rot::plant(&self.storage, &mut self.dice);
        }
        let dies = self.plan.dies_in_recovery_one_in;
        for start in 0.. {
            must!(start < STARTS_MAX, "it does not start, however often it is tried");
            let dies_now = dies > 0 && !is_first && self.dice.one_in(dies);
            if dies_now {
                self.storage.power_off_after(self.dice.number() % 24);
            }
            let unreadable =
                self.plan.unreadable_one_in > 0 && !dies_now && self.dice.one_in(self.plan.unreadable_one_in);
            if unreadable {
                faults::inject_read(&self.storage, &mut self.dice);
            }
            let met = |storage: &SimStorage| unreadable && storage.faults_to_come() == 0;
            match Life::open(&self.storage, &self.plan.config, &self.clock, &self.records) {
                Ok(life) => {
                    must!(!met(&self.storage), "a read failed, and the start went on");
                    self.life = Some(life);
                    if dies_now || unreadable {
                        self.doom();
                    }
                    break;
                }
                Err(error) if met(&self.storage) => {
                    must!(is_read_error(&error), "a read failed, and the start ends with another reason: {error:?}");
                    self.story.tell(|| format!("a read fails and stops the start: {error:?}"));
                    self.counts.event("reads that fail and stop a start");
                    // The next process can read it.
                    self.storage = self.storage.restart();
                }
                Err(_) if dies_now => {
                    self.counts.event("crashes in a recovery");
                    self.story.tell(|| "the machine dies while it recovers".into());
                    self.storage = self.cut();
                }
                Err(OpenError::Journal { source: LogError::NoSpace { .. }, .. }) if self.full => {
                    self.story.tell(|| "no room to start".into());
                    self.full = false;
                    self.storage = self.storage.restart();
                    self.storage.set_capacity(None);
                }
                Err(error) => {
                    let Some(rotten) = rot.take().filter(|rot| !rot.is_snapshot) else {
                        return Err(format!("a start fails: {error:?}"));
                    };
                    self.story.tell(|| format!("bit rot in {} stops the start: {error:?}", rotten.file));
                    self.counts.event("rotten segments that stop a start");
                    self.storage = self.storage.restart();
                    rotten.heal(&self.storage);
                }
            }
        }
        if let Some(rot) = &rot {
            let skipped = self.life().core.recovered().damaged_snapshots;
            self.story.tell(|| format!("bit rot in {}, {skipped} snapshots passed over", rot.file));
            self.counts.event(match (rot.is_snapshot, skipped) {
                (true, 0) => "rotten snapshots that were not needed",
                (true, _) => "starts from the older snapshot",
                (false, _) => "rotten segments that were not needed",
            });
            if !rot.is_snapshot {
                rot.heal(&self.storage);
            }
        }
        if is_first { Ok(()) } else { self.judge_recovery(told, live) }
    }

    fn judge_recovery(&mut self, told: Lsn, live: Option<(Lsn, u64)>) -> Judged {
        let core = Arc::clone(&self.life().core);
        let recovered = core.log().appended_lsn();
        self.story.tell(|| format!("recovered to {recovered}: {:?}", core.recovered()));
        self.counts.event("recoveries");
        self.counts.events("torn tails", u64::from(core.recovered().torn_bytes > 0));
        self.counts.events("recoveries from a snapshot", u64::from(core.recovered().snapshot_lsn > Lsn::ZERO));
        let told = if self.plan.sync_interval.is_some() && self.power_was_cut {
            // Answers did not wait for the disk, so a power cut may take them: those since the last sync, and no other.
            let lost = told.get().saturating_sub(recovered.get());
            self.counts.events("records lost to a power cut as agreed", lost);
            self.acknowledged = self.acknowledged.min(recovered);
            self.synced.0
        } else {
            told
        };
        must!(recovered >= told, "{told} was told to be durable, and the log ends at {recovered}");
        must!(recovered >= self.acknowledged, "an answer at {} was told, and is lost", self.acknowledged);
        let records = Arc::clone(&self.records);
        let kept = usize::try_from(recovered.get()).unwrap_or(usize::MAX);
        must!(kept <= records.lock().len(), "more is recovered than was appended");
        let lost = records.lock().len() - kept;
        records.lock().truncate(kept);
        // Whoever looks beside the node is not hit by what is to hit the node.
        let looked_at = if self.life().doomed { self.storage.restart() } else { self.storage.clone() };
        same_log(looked_at, core.log().first_lsn(), &records.lock())?;
        if lost > 0 {
            self.counts.event("recoveries to an earlier record");
            self.followed.truncate(kept);
            self.model = self.model.rebuilt(&self.followed)?;
            self.answers.retain(|_, (lsn, _)| *lsn <= recovered.get());
        }
        self.model.now = core.now();
        compare(core.engine(), &self.model).map_err(|wrong| format!("after a recovery: {wrong}"))?;
        let state = state_hash(core.engine());
        if let Some((_, live)) = live.filter(|(all, _)| *all == recovered) {
            must!(live == state, "the recovered state is not that of the process that ended");
            self.counts.event("recoveries to the live state");
        }
        let folded = folded_hash(self.plan.config.engine, &records.lock())?;
        must!(folded == state, "the recovered state is not what the log alone leads to");
        if self.dice.one_in(4) {
            same_history(core.engine(), &records.lock())?;
            self.counts.event("recoveries held against the history");
        }
        for call in &mut self.calls {
            call.rests_on = None;
        }
        // Opening the log makes durable whatever it has shown.
        self.synced = (recovered, self.clock.elapsed());
        must!(core.log().synced_lsn() == recovered, "a start leaves something unsynced");
        self.power_was_cut = false;
        self.hash.number(recovered.get()).number(state);
        Ok(())
    }
}

fn is_read_error(error: &OpenError) -> bool {
    matches!(error, OpenError::Journal { source: LogError::Io { operation: Operation::Read, .. }, .. })
}

fn outcome(result: &Result<Result<Answer, Error>, DiskFull>) -> &'static str {
    match result {
        Err(DiskFull) => "disk full",
        Ok(Err(Error::Journal(_))) => "journal refuses",
        Ok(Err(_)) => "error",
        Ok(Ok(answer)) if answer.replayed => "replayed",
        Ok(Ok(answer)) => match answer.verdict {
            Verdict::Done(_) => "done",
            Verdict::Rejected(_) => "rejected",
            Verdict::Nothing => "nothing",
        },
    }
}

/// What a repeat is told is the event, without what no answer shows of it: of large ones a summary, of routed ones no traces, of rule sets
/// no text.
fn same_answer(first: &Event, repeated: &Event) -> bool {
    fn shown(event: &Event) -> Event {
        let mut event = event.clone();
        match &mut event {
            Event::Held(held) => {
                if let Some(sourced) = &mut held.sourced {
                    sourced.traces.clear();
                }
            }
            Event::Returns(returned) => {
                if let ReturnsEvent::Exchanged { held, .. } = &mut **returned {
                    **held = shown(held);
                }
            }
            Event::Rules(rules) => {
                if let RulesEvent::Put { json, .. } = &mut **rules {
                    *json = "".into();
                }
            }
            _ => {}
        }
        event
    }
    match repeated {
        Event::Summary(summary) => *summary.event == *first.name(),
        _ => shown(first) == shown(repeated),
    }
}
