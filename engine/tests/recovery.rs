//! What a restart brings back: the same state as before it, from the log alone or from a snapshot taken in mid-traffic, at any cut;
//! and what recovery says to records and sections that do not belong.

mod support;

use std::{convert::Infallible, sync::Arc};

use proptest::{collection::vec, prelude::*, sample::Index};
use quartermaster_engine::crew::{Crew, InTurn, Threads};
use quartermaster_engine::{
    Engine, EngineConfig, Verdict,
    command::{Command, Reserve, ReserveLine, Step},
    event::Event,
    history::{History as Fold, Rules},
    quantity::Quantity,
    recovery::Recovery,
    snapshot::{Section, SnapshotSpan, kind},
    time::{Micros, Timestamp},
};
use quartermaster_journal::{Lsn, MemoryJournal};
use support::{
    Rig, cases, dump,
    generate::{Case, Known, Op, SECOND, case, setup},
    recover, recover_together, regressions, replay, snapshot,
};

/// Forgets soon and keeps few, so that retention is part of every history.
fn short_memory() -> EngineConfig {
    EngineConfig {
        dedup_retention: Micros(4 * SECOND),
        dedup_entries_max: 256 * 2,
        ended_retention: Micros(4 * SECOND),
        ended_entries_max: 256 * 3,
        shipped_retention: Micros(4 * SECOND),
        shipped_entries_max: 256 * 3,
    }
}

/// A random history, as far as it has come.
struct History<'a> {
    case: &'a Case,
    place: usize,
    rig: Rig,
    known: Known,
    requests: Vec<String>,
}

impl<'a> History<'a> {
    fn new(case: &'a Case, config: EngineConfig) -> Self {
        let rig = Rig::new(config);
        let mut history = Self { case, place: 0, rig, known: Known::default(), requests: Vec::new() };
        for (place, command) in setup(0).iter().enumerate() {
            history.submit(format!("setup{place}"), command);
        }
        history
    }

    fn submit(&mut self, id: String, command: &Command) {
        if let Ok(answer) = self.rig.submit(&id, command)
            && let Verdict::Done(Event::Held(held)) = answer.verdict
            && !answer.replayed
        {
            assert!(!self.known.reservations.contains(&held.reservation), "an id is given out once");
            self.known.reservations.push(held.reservation);
        }
        self.requests.push(id);
    }

    /// The next steps, at most `count`.
    fn run(&mut self, count: usize) {
        for raw in self.case.steps.iter().skip(self.place).take(count) {
            self.known.lsn = self.rig.journal.appended_lsn().get();
            let (pause, op) = self.case.step(raw, &mut self.known);
            self.rig.now = Timestamp(self.rig.now.0.saturating_add_signed(pause));
            match op {
                Op::Submit(id, command) => self.submit(id, &command),
                Op::ExpireDue { limit } => {
                    self.rig.engine.expire_due(self.rig.now, limit).expect("memory is never full");
                }
            }
            self.place += 1;
        }
    }

    /// Takes a snapshot; between any two of its sections there may be more steps.
    fn run_through_snapshot(&mut self, gaps: &[u8]) -> (SnapshotSpan, Vec<Section>) {
        let (engine, now) = (Arc::clone(&self.rig.engine), self.rig.now);
        let (mut sections, mut gaps) = (Vec::new(), gaps.iter().cycle());
        let Ok(span) = engine.snapshot(now, |section| {
            sections.push(section);
            // More than five hundred sections, few of which matter: bursts, so that some fall where it hurts.
            let burst = gaps.next().map_or(0, |gap| usize::from(gap.saturating_sub(245)));
            self.run(burst);
            Ok::<(), Infallible>(())
        });
        (span, sections)
    }

    fn dump(&self, engine: &Engine) -> String {
        assert_eq!(engine.audit().violations, vec![]);
        dump::dump(engine, self.requests.iter().map(String::as_str))
    }
}

use quartermaster_journal::Journal as _;

fn finish(recovery: Recovery) -> Engine {
    recovery.finish(Arc::new(MemoryJournal::new()))
}

fn same(live: &str, back: &str, what: &str) -> Result<(), TestCaseError> {
    match live.lines().zip(back.lines()).find(|(one, other)| one != other) {
        Some((one, other)) => Err(TestCaseError::fail(format!("{what}\n live: {one}\n back: {other}"))),
        None => {
            prop_assert_eq!(live, back, "{}", what);
            Ok(())
        }
    }
}

/// Sections as bytes, but for the first: ids that refusals used up are not brought back.
fn bytes(engine: &Engine) -> Vec<(u16, u32, Vec<u8>)> {
    let (_, sections) = snapshot(engine, Timestamp(0));
    let kept = sections.into_iter().filter(|section| section.kind != kind::META);
    kept.map(|section| (section.kind, section.unit, section.payload)).collect()
}

fn config(default_memory: bool) -> EngineConfig {
    if default_memory { EngineConfig::default() } else { short_memory() }
}

fn proptest_config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_iters: 2048,
        failure_persistence: regressions(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recovery.regressions")),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(proptest_config(cases("RECOVERY_CASES", 100)))]

    /// The log from its beginning, cut anywhere, is the state of that moment; twice over it is the same to the byte.
    #[test]
    fn the_log_is_the_state(case in case(20..120), cut: Index, default_memory: bool) {
        let mut history = History::new(&case, config(default_memory));
        history.run(cut.index(case.steps.len()));
        let (then, at) = (history.dump(&history.rig.engine), history.rig.journal.records().len());
        let requests = history.requests.clone();
        history.run(usize::MAX);
        let records = history.rig.journal.records();

        let back = finish(replay(history.rig.config, &records).expect("it replays"));
        same(&history.dump(&history.rig.engine), &history.dump(&back), "the whole log")?;
        let again = finish(replay(history.rig.config, &records).expect("it replays"));
        prop_assert_eq!(bytes(&back), bytes(&again), "twice the same");
        prop_assert_eq!(bytes(&history.rig.engine), bytes(&again), "and the same as the live one");

        let cut = finish(replay(history.rig.config, &records[..at]).expect("it replays"));
        same(&then, &dump::dump(&cut, requests.iter().map(String::as_str)), "the log up to a cut")?;
    }

    /// A snapshot that was taken while things went on, and the log past it, cut anywhere behind it.
    #[test]
    fn a_snapshot_and_the_log_past_it_are_the_state(
        case in case(20..150),
        begin: Index,
        gaps in vec(any::<u8>(), 1..40),
        cut: Index,
        default_memory: bool,
    ) {
        let mut history = History::new(&case, config(default_memory));
        history.run(begin.index(case.steps.len()));
        let (span, sections) = history.run_through_snapshot(&gaps);
        history.run(usize::MAX);
        let records = history.rig.journal.records();

        let back = finish(recover(history.rig.config, &sections, span, &records));
        same(&history.dump(&history.rig.engine), &history.dump(&back), "the whole log")?;
        prop_assert_eq!(bytes(&history.rig.engine), bytes(&back));

        let reached = usize::try_from(span.reaches_to.get()).expect("small");
        let cut = reached + cut.index(records.len() - reached + 1);
        let back = finish(recover(history.rig.config, &sections, span, &records[..cut]));
        let fresh = finish(replay(history.rig.config, &records[..cut]).expect("it replays"));
        same(&history.dump(&fresh), &history.dump(&back), "the log up to a cut")?;
    }

    /// Many hands do what one does: from the log, or from a snapshot taken in mid-traffic and the log past it.
    #[test]
    fn many_hands_make_the_same_state(
        case in case(20..150),
        begin: Index,
        gaps in vec(any::<u8>(), 1..40),
        lengths in vec(1..60_usize, 1..6),
        hands in 1..6_usize,
        default_memory: bool,
    ) {
        let mut history = History::new(&case, config(default_memory));
        history.run(begin.index(case.steps.len()));
        let (span, sections) = history.run_through_snapshot(&gaps);
        history.run(usize::MAX);
        let records = history.rig.journal.records();
        let records: Vec<(Lsn, &[u8])> = (1..).map(Lsn::new).zip(records.iter().map(|record| &**record)).collect();
        let past = usize::try_from(span.complete_to.get()).expect("small");
        let live = (history.dump(&history.rig.engine), bytes(&history.rig.engine));
        for crew in [&InTurn::new(hands) as &dyn Crew, &Threads::new(2)] {
            for (sections, records) in [(&[][..], &records[..]), (&sections[..], &records[past..])] {
                let back = recover_together(history.rig.config, sections, records, &lengths, crew);
                let back = back.expect("the engine's own records replay");
                prop_assert_eq!(back.records(), u64::try_from(records.len()).expect("small"));
                let back = finish(back);
                same(&live.0, &history.dump(&back), "by many hands")?;
                prop_assert_eq!(&live.1, &bytes(&back));
            }
        }
    }

    /// After a restart, from either, things go on: no id is given out again, every answer is as it would have been.
    #[test]
    fn life_goes_on_after_restarts(case in case(20..100), gaps in vec(any::<u8>(), 1..40), stops in vec(0..30_usize, 1..6)) {
        let mut history = History::new(&case, short_memory());
        for (turn, stop) in stops.iter().enumerate() {
            history.run(*stop);
            let before = history.dump(&history.rig.engine);
            match turn % 3 {
                0 => history.rig.restart(),
                1 => history.rig.restart_from_snapshot(),
                _ => {
                    let (span, sections) = history.run_through_snapshot(&gaps);
                    let before = history.dump(&history.rig.engine);
                    let records = history.rig.journal.records();
                    let back = recover(history.rig.config, &sections, span, &records);
                    let journal = Arc::clone(&history.rig.journal);
                    history.rig.engine = Arc::new(back.finish(journal));
                    same(&before, &history.dump(&history.rig.engine), "a restart in mid-snapshot")?;
                    continue;
                }
            }
            same(&before, &history.dump(&history.rig.engine), "a restart")?;
        }
        history.run(usize::MAX);
        let fresh = finish(replay(history.rig.config, &history.rig.journal.records()).expect("it replays"));
        same(&history.dump(&history.rig.engine), &history.dump(&fresh), "the whole log")?;
    }

    /// Records that were damaged, lost, doubled or come from another history: an error or a state, never a panic.
    #[test]
    fn foreign_records_are_refused_by_name(
        case in case(20..60),
        damage in vec((any::<Index>(), any::<Index>(), 0..5_u8, any::<u8>()), 1..8),
        stretch in 1..80_usize,
    ) {
        let mut history = History::new(&case, short_memory());
        history.run(usize::MAX);
        let mut records = history.rig.journal.records();
        for (place, other, kind, byte) in damage {
            let (place, other) = (place.index(records.len()), other.index(records.len()));
            match kind {
                0 => drop(records.remove(place)),
                1 => records.insert(place, records[other].clone()),
                2 => records.swap(place, other),
                3 if !records[place].is_empty() => {
                    let at = usize::from(byte) % records[place].len();
                    records[place][at] ^= 1 << (other % 8);
                }
                _ => records[place] = vec![byte; other % 40],
            }
            if records.is_empty() {
                break;
            }
        }
        let mut recovery = Recovery::new(history.rig.config);
        let with_lsns: Vec<(Lsn, &[u8])> = (1..).map(Lsn::new).zip(records.iter().map(|record| &**record)).collect();
        let together = recover_together(history.rig.config, &[], &with_lsns, &[stretch], &InTurn::new(3)).map(finish);
        for (lsn, record) in (1..).zip(&records) {
            if let Err(error) = recovery.replay(Lsn::new(lsn), record) {
                prop_assert!(error.to_string().contains(&format!("LSN {lsn}")), "{}", error);
                let same = together.err().map(|error| error.to_string());
                prop_assert_eq!(same, Some(error.to_string()), "many hands say the same");
                return Ok(());
            }
        }
        prop_assert_eq!(bytes(&finish(recovery)), bytes(&together.expect("one hand finds nothing wrong")));
    }

    /// The same of sections.
    #[test]
    fn foreign_sections_are_refused_by_name(
        case in case(20..60),
        damage in vec((any::<Index>(), any::<Index>(), 0..5_u8, any::<u8>()), 1..4),
    ) {
        let mut history = History::new(&case, short_memory());
        history.run(case.steps.len() / 2);
        let (span, sections) = snapshot(&history.rig.engine, history.rig.now);
        history.run(usize::MAX);
        // Empty sections are no fun.
        let mut sections: Vec<Section> = sections.into_iter().filter(|section| section.payload.len() > 4).collect();
        for (place, other, kind, byte) in damage {
            let (place, other) = (place.index(sections.len()), other.index(sections.len()));
            let payload = &mut sections[place].payload;
            match kind {
                0 => payload.truncate(usize::from(byte)),
                1 => sections.insert(place, sections[other].clone()),
                2 => sections[place].kind = sections[other].kind + u16::from(byte > 250) * 9,
                3 => drop(sections.remove(place)),
                _ if !payload.is_empty() => {
                    let at = (usize::from(byte) * 7919 + other) % payload.len();
                    payload[at] ^= 1 << (byte % 8);
                }
                _ => {}
            }
            if sections.is_empty() {
                break;
            }
        }
        let mut recovery = Recovery::new(history.rig.config);
        for section in &sections {
            if let Err(error) = recovery.load(section.kind, section.unit, section.lsn, &section.payload) {
                prop_assert!(error.to_string().contains(&format!("{}/{}", section.kind, section.unit)), "{}", error);
                return Ok(());
            }
        }
        let records = history.rig.journal.records();
        for (lsn, record) in (1..).zip(&records).filter(|(lsn, _)| *lsn > span.complete_to.get()) {
            if let Err(error) = recovery.replay(Lsn::new(lsn), record) {
                prop_assert!(error.to_string().contains(&format!("LSN {lsn}")), "{}", error);
                return Ok(());
            }
        }
    }

    /// Bytes of no origin.
    #[test]
    fn random_bytes_are_refused(bytes in vec(any::<u8>(), 0..200), kind in 0..6_u16) {
        let mut recovery = Recovery::new(EngineConfig::default());
        _ = recovery.load(kind, 1, Lsn::new(1), &bytes);
        _ = recovery.replay(Lsn::new(2), &bytes);
    }
}

/// An order of two SKUs is forgotten at home by the orders of its first SKU that come after, and not yet where its second lies: a fold that
/// begins from a snapshot of that moment knows nothing of its state, and finds nothing.
#[test]
fn a_fold_from_a_snapshot_takes_what_its_home_forgot_for_unknown() {
    let mut rig = Rig::new(short_memory());
    setup(0).iter().enumerate().for_each(|(place, command)| _ = rig.submit(&format!("setup{place}"), command));
    let mut sell = |name: &str, skus: &[&str]| {
        let Ok(answer) = rig.submit(name, &order(skus)) else { panic!("{name} is refused") };
        let Verdict::Done(Event::Held(held)) = answer.verdict else { panic!("{name} gets nothing: {answer:?}") };
        for (what, step) in [("paid", Step::Confirm), ("sent", Step::Ship(vec![]))] {
            rig.submit(&format!("{name} {what}"), &Command::Reservation(held.reservation, step)).expect("it is open");
        }
        rig.now = Timestamp(rig.now.0 + 10 * SECOND);
        held.reservation
    };
    let first = sell("first", &["A", "B"]);
    (0..5).for_each(|number| _ = sell(&format!("next{number}"), &["A"]));
    assert!(rig.engine.reservation(first).is_err(), "its home has forgotten it");

    let (span, sections) = snapshot(&rig.engine, rig.now);
    let mut fold = Fold::new(Rules::default());
    sections.iter().for_each(|section| fold.load(section.kind, section.unit, section.lsn, &section.payload));
    fold.begin_at(span.reaches_to.next());
    sections.iter().for_each(|section| fold.check_section(section.kind, section.unit, section.lsn, &section.payload));
    fold.compare(&rig.engine);
    assert!(fold.findings().is_empty(), "{:?}", fold.findings());
}

fn order(skus: &[&str]) -> Command {
    let line =
        |sku: &&str| ReserveLine { sku: (*sku).into(), quantity: Quantity(1), location: "".into(), sourcing: None };
    Command::Reserve(Reserve {
        order_id: "".into(),
        buyer_id: "ann".into(),
        channel: "".into(),
        lines: skus.iter().map(line).collect(),
        ttl: Micros(60 * SECOND),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    })
}
