//! A day's churn: every hour as many reservations are made, most of them confirmed and shipped, the rest released or left to expire, and
//! all of it forgotten an hour later, request ids included. From the second hour on as much goes as comes, so what still grows then
//! leaks, and what is resident beyond what is allocated is fragmented.

use std::collections::VecDeque;

use quartermaster_benches::{
    figures::Report,
    matrix::{START, Shape},
    measure::{grouped, ratio},
    traffic::{self, Random, Sent, Skus, granted, measured},
};
use quartermaster_engine::{
    Engine, EngineConfig, Verdict,
    command::{Command, Step},
    id::ReservationId,
    time::{Micros, Timestamp},
};

use crate::Use;

const HOUR: Micros = Micros::from_secs(3600);

/// Requests between two looks for what is due, as the server's timer looks every few milliseconds.
const EXPIRY_EVERY: u64 = 100;

/// An engine that forgets after an hour, so that a day's traffic passes through it many times over.
pub(crate) fn config() -> EngineConfig {
    EngineConfig { dedup_retention: HOUR, ended_retention: HOUR, shipped_retention: HOUR, ..EngineConfig::default() }
}

/// Runs so many hours of so many reservations, and tells what they leave behind.
pub(crate) fn run(engine: &Engine, shape: Shape, hours: u64, each: u64, report: &mut Report) {
    println!("churn: {} reservations an hour, all forgotten an hour after their end", grouped(each));
    println!("{:>5}{:>18}{:>18}{:>10}{:>12}{:>12}", "hour", "allocated", "resident", "ratio", "open", "kept ended");
    let mut traffic = Traffic { engine, shape, random: Random::new(7), open: VecDeque::new(), made: 0 };
    let mut uses: Vec<Use> = Vec::new();
    for hour in 0..hours {
        for number in 0..each {
            let passed = HOUR.0 * hour + HOUR.0 * number / each;
            // Orders are paid or given up seven and a half minutes later, half of the time that a hold runs.
            traffic.step(START.plus(Micros(passed)), usize::try_from(each / 8).unwrap_or(usize::MAX));
        }
        let now = Use::now();
        let counts = engine.counts();
        println!(
            "{:>5}{:>18}{:>18}{:>10}{:>12}{:>12}",
            hour + 1,
            grouped(now.allocated),
            grouped(now.resident),
            permille(now.resident, now.allocated),
            grouped(counts.held + counts.confirmed),
            grouped(counts.ended)
        );
        uses.push(now);
    }
    if let Some(last) = uses.last() {
        report.add("churn_fragmentation_ratio", ratio(last.resident, last.allocated));
    }
    let quarter = uses.len() / 4;
    if quarter == 0 {
        return;
    }
    let (early, late) = (&uses[quarter..2 * quarter], &uses[uses.len() - quarter..]);
    let mean =
        |uses: &[Use], of: fn(&Use) -> u64| uses.iter().map(of).sum::<u64>() / u64::try_from(quarter).unwrap_or(1);
    for (what, of) in [("allocated", (|one| one.allocated) as fn(&Use) -> u64), ("resident", |one| one.resident)] {
        let (before, after) = (mean(early, of), mean(late, of));
        println!("{what} in the last quarter against the second: {} of it", permille(after, before));
        report.add(format!("churn_{what}_growth_ratio"), ratio(after, before));
    }
}

struct Traffic<'a> {
    engine: &'a Engine,
    shape: Shape,
    random: Random,
    open: VecDeque<ReservationId>,
    made: u64,
}

impl Traffic<'_> {
    /// Makes a reservation, and decides one that was made `lag` reservations ago.
    fn step(&mut self, now: Timestamp, lag: usize) {
        self.made += 1;
        let lines = if self.made.is_multiple_of(20) { 3 } else { 1 };
        let mut sent = traffic::reserve(&mut self.random, Skus::Below(self.shape.skus), lines, None);
        if self.made.is_multiple_of(8)
            && let Command::Reserve(reserve) = &mut sent.command
        {
            // Some callers number their orders by UUIDs.
            reserve.order_id = format!("{:08x}-0000-4000-8000-{:012x}", self.made, self.made).into();
        }
        let answer = self.send(&sent, now);
        self.open.push_back(granted(&answer));
        if self.open.len() > lag
            && let Some(id) = self.open.pop_front()
        {
            let steps: &[Step] = match self.random.below(4) {
                0 => &[Step::Release],
                1 => &[],
                _ => &[Step::Confirm, Step::Ship(Vec::new())],
            };
            for step in steps {
                self.send(&traffic::step(id, step.clone()), now);
            }
        }
        if self.made.is_multiple_of(EXPIRY_EVERY) {
            self.engine.expire_due(now, usize::MAX).expect("the journal takes every record");
        }
    }

    fn send(&self, sent: &Sent, now: Timestamp) -> quartermaster_engine::Answer {
        let answer = measured(self.engine, sent, now).expect("every request can stand");
        assert!(matches!(answer.verdict, Verdict::Done(_)), "the stock suffices: {:?}", answer.verdict);
        answer
    }
}

/// A ratio with three places.
fn permille(part: u64, whole: u64) -> String {
    let permille = part.saturating_mul(1_000) / whole.max(1);
    format!("{}.{:03}", permille / 1_000, permille % 1_000)
}
