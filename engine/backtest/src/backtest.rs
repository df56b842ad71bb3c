//! A log from its beginning to its end, with the other world beside it.

use std::collections::BTreeMap;

use quartermaster_engine::{
    Rejection, Verdict, codec,
    command::{Command, Reserve},
    event::{Event, Held, Record},
    id::{LocationId, ReservationId},
    recovery::{Recovery, RecoveryError},
    snapshot::kind,
    sourced::Sourced,
    time::Timestamp,
};
use quartermaster_journal::Lsn;

use crate::{
    ask, catalogue,
    change::{Changed, Difference, Foremost},
    fault::Fault,
    figures::{Answer, Asked, Figures},
    follow::Follower,
    followed::Followed,
    instead::Instead,
    pairs::Pairs,
    rules,
    stock::{self, Clamped},
    unfillable::{Unfillable, Unfillables, removals},
    world::World,
};

/// What is tried and how much is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Policies and tariffs instead of the log's.
    pub instead: Instead,
    /// Changed orders in the outcome: those with the largest difference in cost.
    pub changed_max: usize,
    /// Unfillable orders in the outcome: the first.
    pub unfillable_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { instead: Instead::default(), changed_max: 1_000, unfillable_max: 1_000 }
    }
}

/// The state that the other world begins with: nothing, or what a snapshot says and the records it needs.
pub struct Opening {
    recovery: Recovery,
    /// Records up to here belong to the snapshot.
    reaches_to: Lsn,
    sections: u64,
}

impl Default for Opening {
    fn default() -> Self {
        Self { recovery: Recovery::new(World::config()), reaches_to: Lsn::ZERO, sections: 0 }
    }
}

impl Opening {
    /// Takes a section of a snapshot.
    ///
    /// # Errors
    /// As a recovery.
    pub fn load(&mut self, section_kind: u16, unit: u32, lsn: Lsn, payload: &[u8]) -> Result<(), RecoveryError> {
        self.sections += 1;
        self.reaches_to = self.reaches_to.max(lsn);
        // Nobody repeats a request of the past here.
        if section_kind == kind::DEDUP { Ok(()) } else { self.recovery.load(section_kind, unit, lsn, payload) }
    }
}

/// A log that is being run again.
pub struct Backtest {
    /// Until the first record past it.
    opening: Option<Opening>,
    world: Option<World>,
    run: Run,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Position of the last record.
    pub last_lsn: Lsn,
    /// Records run again.
    pub records: u64,
    /// It began from a snapshot that reaches to here; zero when from nothing.
    pub began_after: Lsn,
    /// Time of the first and the last record.
    pub span: Option<(Timestamp, Timestamp)>,
    /// As the log has it.
    pub before: Figures,
    /// As the other world has it.
    pub after: Figures,
    /// Orders that differ, by what they differ in.
    pub differences: BTreeMap<Difference, u64>,
    /// Those with the largest difference in cost, largest first.
    pub changed: Vec<Changed>,
    /// Orders of the log that no place could serve.
    pub unfillable: Unfillables,
    /// Holds that no policy decided about, taken again at the same places.
    pub unsourced: u64,
    /// Those of them that could not be taken there.
    pub unsourced_refused: u64,
    /// Orders that could not be asked again at all, by why; they are in neither world's figures.
    pub not_repeatable: BTreeMap<String, u64>,
    /// What came after the holds.
    pub followed: Followed,
    /// Stock that could not be taken over.
    pub clamped: Clamped,
    /// Codes of the locations, by id.
    pub locations: BTreeMap<LocationId, String>,
}

/// What is counted on the way.
#[derive(Default)]
struct Run {
    instead: Instead,
    /// They are in force.
    installed: bool,
    pairs: Pairs,
    last_lsn: Lsn,
    began_after: Lsn,
    records: u64,
    span: Option<(Timestamp, Timestamp)>,
    before: Figures,
    after: Figures,
    differences: BTreeMap<Difference, u64>,
    foremost: Foremost,
    unfillable: Unfillables,
    unsourced: u64,
    unsourced_refused: u64,
    not_repeatable: BTreeMap<String, u64>,
    followed: Followed,
    clamped: Clamped,
}

impl Backtest {
    /// Before the first record.
    #[must_use]
    pub fn new(opening: Opening, options: Options) -> Self {
        let run = Run {
            pairs: Pairs::new(opening.sections > 0),
            began_after: opening.reaches_to,
            foremost: Foremost::new(options.changed_max),
            unfillable: Unfillables::new(options.unfillable_max),
            instead: options.instead,
            ..Run::default()
        };
        Self { opening: Some(opening), world: None, run }
    }

    /// Takes the next record of the log. Gives the order it is about when that changed.
    ///
    /// # Errors
    /// When the record is none of this version, or the catalogue of the other world cannot follow.
    pub fn replay(&mut self, lsn: Lsn, bytes: &[u8]) -> Result<Option<Changed>, Fault> {
        self.run.last_lsn = lsn;
        if let Some(opening) = &mut self.opening
            && lsn <= opening.reaches_to
        {
            opening.recovery.replay(lsn, bytes)?;
            return Ok(None);
        }
        let record = codec::decode(bytes).map_err(|source| Fault::Record { lsn, source })?;
        self.begin();
        let Some(world) = &self.world else { return Ok(None) };
        self.run.record(world, lsn, &record)
    }

    /// Opens the other world, if it is not open yet.
    fn begin(&mut self) {
        if let Some(opening) = self.opening.take() {
            self.world = Some(World::begin(opening.recovery, opening.reaches_to));
        }
    }

    /// The log is at its end.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        self.begin();
        let catalogue = self.world.as_ref().map(|world| world.engine.catalogue());
        let places = catalogue.iter().flat_map(|catalogue| catalogue.directory().locations());
        let locations = places.map(|place| (place.id, place.spec.code.clone())).collect();
        let run = self.run;
        Outcome {
            last_lsn: run.last_lsn,
            records: run.records,
            began_after: run.began_after,
            span: run.span,
            before: run.before,
            after: run.after,
            differences: run.differences,
            changed: run.foremost.finish(),
            unfillable: run.unfillable,
            unsourced: run.unsourced,
            unsourced_refused: run.unsourced_refused,
            not_repeatable: run.not_repeatable,
            followed: run.followed,
            clamped: run.clamped,
            locations,
        }
    }
}

impl Run {
    fn record(&mut self, world: &World, lsn: Lsn, record: &Record) -> Result<Option<Changed>, Fault> {
        let now = record.time;
        self.records += 1;
        let (first, last) = self.span.unwrap_or((now, now));
        self.span = Some((first.min(now), last.max(now)));
        if let Some(held) = record.event.held() {
            if held.sourced.is_some() && !self.installed {
                self.instead.install(world, lsn, now)?;
                self.installed = true;
            }
            return Ok(self.held(world, now, held));
        }
        match &record.event {
            Event::StockChanged(change) => {
                stock::follow(world, now, &change.changes, &change.reference, &mut self.clamped);
            }
            // What came back is there in the other world, too, wherever it was shipped from there.
            Event::Returns(event) => {
                let changes: Vec<_> = event.changes().copied().collect();
                if !changes.is_empty() {
                    stock::follow(world, now, &changes, "", &mut self.clamped);
                }
            }
            Event::Rules(event) => {
                if let Err(error) = rules::follow(world, now, event) {
                    *self.not_repeatable.entry(error.to_string()).or_default() += 1;
                }
            }
            event if catalogue::follow(world, &self.instead, lsn, now, event)? => {}
            event => {
                let (pairs, followed) = (&mut self.pairs, &mut self.followed);
                Follower { world, pairs, followed, now }.follow(event);
            }
        }
        Ok(None)
    }

    /// Asks for a hold of the log again.
    fn held(&mut self, world: &World, now: Timestamp, held: &Held) -> Option<Changed> {
        let given_up = held.replaced.as_ref().map(|claim| claim.reservation);
        let replaces = given_up.and_then(|id| self.pairs.get(id)).filter(|id| world.open(*id).is_some());
        let request = ask::reserve(world, held, now, replaces, |named| self.instead.name(named));
        let answer = world.submit(&Command::Reserve(request.clone()), now).map(|answer| answer.verdict);
        let new = match &answer {
            Ok(Verdict::Done(Event::Held(new))) => Some(new),
            _ => None,
        };
        self.pairs.put(held.reservation, new.map(|new| new.reservation));
        if let Some(given_up) = given_up {
            self.give_up(world, now, given_up, replaces.filter(|_| new.is_none()));
        }
        let Some(sourced) = &held.sourced else {
            self.unsourced += 1;
            self.unsourced_refused += u64::from(new.is_none());
            return None;
        };
        match &answer {
            Ok(Verdict::Done(Event::Held(new))) => {
                let decision = &new.sourced.as_ref()?.decision;
                self.compare(world, now, held, sourced, Answer::Held(decision))
            }
            Ok(Verdict::Rejected(rejection)) => {
                self.refused(world, now, held.reservation, &request, rejection);
                self.compare(world, now, held, sourced, Answer::Refused(rejection))
            }
            Ok(_) => None,
            Err(error) => {
                *self.not_repeatable.entry(error.to_string()).or_default() += 1;
                None
            }
        }
    }

    /// The log gave a hold up for another. Where that other was refused the hold would stay for ever, as its expiry is not in the log.
    fn give_up(&mut self, world: &World, now: Timestamp, log: ReservationId, left: Option<ReservationId>) {
        if let Some(id) = left {
            self.followed.given_up += 1;
            // An error would mean that it is not held any more, which is what is wanted.
            _ = world.step(id, quartermaster_engine::command::Step::Release, now);
        }
        self.pairs.forget(log);
    }

    fn refused(
        &mut self,
        world: &World,
        now: Timestamp,
        reservation: ReservationId,
        request: &Reserve,
        rejection: &Rejection,
    ) {
        if let Some((sku, removed_by)) = removals(world, request, rejection, now) {
            let order_id = request.order_id.as_str().into();
            self.unfillable.add(Unfillable { reservation, order_id, at: now, sku, removed_by });
        }
    }

    fn compare(
        &mut self,
        world: &World,
        now: Timestamp,
        held: &Held,
        sourced: &Sourced,
        answer: Answer<'_>,
    ) -> Option<Changed> {
        let asked = Asked::of(now, &sourced.wanted, sourced.ask.wanted_by);
        self.before.add(&asked, Answer::Held(&sourced.decision));
        self.after.add(&asked, answer);
        let difference = Difference::of(&sourced.decision, answer.decision())?;
        *self.differences.entry(difference).or_default() += 1;
        let order = (held.reservation, &*held.order_id, now);
        let changed = Changed::new(world, order, difference, &sourced.decision, answer.decision());
        self.foremost.add(&changed);
        Some(changed)
    }
}
