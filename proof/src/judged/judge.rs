//! The judge: reads the buyers' ledgers and nothing else, and asks the server what it remembers.
//!
//! What it demands: every call that was answered is there, with the same answer; one that was not is there whole or not at all; every
//! reservation is what its answers make it; every cell holds exactly what the calls add up to, and never promises more than it has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use quartermaster_loadtest::client::{Client, sentence};
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_proto::v1::{GetOutcomeRequest, GetReservationRequest, ListCellsRequest};
use tokio::task::JoinSet;
use tonic::Code;

use super::book::{Balance, Book, Order};
use super::ledger::{self, Call};
use super::operation::{Answer, Outcome, outcome};
use super::{buyer, shop};
use crate::Error;
use crate::verdict::Verdict;

/// Questions under way at once.
const AT_ONCE: usize = 64;
/// Older calls and reservations that are looked at again in each round.
const SAMPLE: usize = 300;

/// How much of the past is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What happened since the last look, and a sample of what is older.
    Recent,
    /// All of it.
    All,
}

/// Knows what the ledgers say.
#[derive(Debug)]
pub struct Judge {
    dir: PathBuf,
    books: Vec<Book>,
    /// Calls with an effect, and whose they are.
    known: Vec<Call>,
    /// How many of them were looked at in an earlier round.
    seen: usize,
    unknown: Vec<(usize, Call)>,
    /// Errors with which calls may be refused, besides an overloaded server.
    allowed: &'static [&'static str],
    random: SplitMix64,
    tally: Tally,
}

/// What was judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Calls that were answered and changed something.
    pub effects: u64,
    /// Calls that were refused, by the rules or with an error.
    pub refused: u64,
    /// Answers beyond the first, to calls that were repeated under load.
    pub repeated: u64,
    /// Calls that had no answer when the server went.
    pub unknown: u64,
    /// Of those, how many had happened.
    pub unknown_done: u64,
    /// Calls asked again of a restarted server.
    pub replayed: u64,
    /// Reservations compared.
    pub reservations: u64,
    /// Cells compared.
    pub cells: u64,
}

impl Judge {
    /// Of ledgers in `dir`, by `buyers` buyers; calls may be refused with one of `allowed`.
    pub fn new(dir: &Path, buyers: usize, seed: u64, allowed: &'static [&'static str]) -> Judge {
        Judge {
            dir: dir.to_owned(),
            books: vec![Book::default(); buyers],
            known: Vec::new(),
            seen: 0,
            unknown: Vec::new(),
            allowed,
            random: SplitMix64::new(seed ^ 0x6a75_6467_6500_0000),
            tally: Tally::default(),
        }
    }

    /// Where the ledgers are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was judged so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Up to `max` open reservations of a buyer, the newest.
    pub fn open_orders(&self, buyer: usize, max: usize) -> Vec<Order> {
        let mut open: Vec<Order> = self.books[buyer].orders().filter(|order| order.is_open()).cloned().collect();
        open.split_off(open.len().saturating_sub(max))
    }

    /// Takes in the ledgers of a round.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read(&mut self, round: u64, verdict: &mut Verdict) -> Result<(), Error> {
        for buyer in 0..self.books.len() {
            let path = buyer::path(&self.dir, round, buyer);
            for call in ledger::read(&path)? {
                self.take_in(buyer, call, verdict);
            }
        }
        Ok(())
    }

    fn take_in(&mut self, buyer: usize, call: Call, verdict: &mut Verdict) {
        let effect = call.effect().cloned();
        self.tally.repeated += u64::try_from(call.answers.len().saturating_sub(1)).unwrap_or(0);
        for answer in &call.answers {
            if let Outcome::Refused { error } = &answer.outcome {
                let allowed = error.ends_with("OVERLOADED") || self.allowed.contains(&error.as_str());
                verdict.must(allowed, || format!("{}: {:?} was refused with {error}", call.id, call.operation));
            }
        }
        match effect {
            Some(effect) => {
                for answer in call.answers.iter().filter(|answer| answer.outcome.is_effect()) {
                    verdict
                        .must(answer.agrees(&effect), || format!("{} was answered {answer:?} and {effect:?}", call.id));
                }
                self.tally.effects += 1;
                self.enter(buyer, call, &effect, verdict);
            }
            None if call.is_open() => self.unknown.push((buyer, call)),
            None => self.tally.refused += 1,
        }
    }

    fn enter(&mut self, buyer: usize, call: Call, effect: &Answer, verdict: &mut Verdict) {
        if let Err(wrong) = self.books[buyer].enter(&call.operation, &effect.outcome) {
            verdict.violation(format!("{}: {wrong}", call.id));
        }
        self.known.push(Call { answers: vec![effect.clone()], ..call });
    }

    /// Compares a server that has come back with the ledgers.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn check(&mut self, client: &Client, depth: Depth, verdict: &mut Verdict) -> Result<(), Error> {
        let unknown = std::mem::take(&mut self.unknown);
        self.tally.unknown += u64::try_from(unknown.len()).unwrap_or(0);
        let done = self.look_up(client, &unknown, verdict).await?;
        self.check_cells(client, verdict).await?;
        self.resolve(client, unknown, &done, verdict).await?;
        self.check_calls(client, depth, verdict).await?;
        self.check_reservations(client, depth, verdict).await?;
        self.seen = self.known.len();
        Ok(())
    }

    /// Which of the unanswered calls have happened. Those are entered: each whole, or a violation.
    async fn look_up(
        &mut self,
        client: &Client,
        unknown: &[(usize, Call)],
        verdict: &mut Verdict,
    ) -> Result<BTreeSet<String>, Error> {
        let mut done = BTreeSet::new();
        let ids: Vec<String> = unknown.iter().map(|(_, call)| call.id.clone()).collect();
        let told = each(ids, |request_id| {
            let mut allocation = client.allocation();
            async move { allocation.get_outcome(GetOutcomeRequest { request_id }).await }
        });
        for ((buyer, call), told) in unknown.iter().zip(told.await?) {
            let told = told.into_inner();
            if !told.known {
                continue;
            }
            let Some(outcome) = outcome(told.outcome) else {
                verdict.violation(format!("{} is known and has no outcome", call.id));
                continue;
            };
            let effect = Answer { lsn: told.decided.unwrap_or_default().lsn, outcome, replayed: true };
            self.tally.unknown_done += 1;
            done.insert(call.id.clone());
            self.enter(*buyer, call.clone(), &effect, verdict);
        }
        Ok(done)
    }

    /// Asks the unanswered calls again. Those that have happened are checked with all others later.
    async fn resolve(
        &mut self,
        client: &Client,
        unknown: Vec<(usize, Call)>,
        done: &BTreeSet<String>,
        verdict: &mut Verdict,
    ) -> Result<(), Error> {
        let open: Vec<(usize, Call)> = unknown.into_iter().filter(|(_, call)| !done.contains(&call.id)).collect();
        let answers = each(open.clone(), |(_, call)| {
            let client = client.clone();
            async move { call.operation.send(&client, &call.id).await }
        });
        for ((buyer, call), answer) in open.into_iter().zip(answers.await?) {
            verdict.must(!answer.replayed, || format!("{} had no outcome and was answered before", call.id));
            if answer.outcome.is_effect() {
                self.tally.effects += 1;
                self.enter(buyer, call, &answer, verdict);
            } else {
                self.tally.refused += 1;
            }
        }
        Ok(())
    }

    async fn check_cells(&mut self, client: &Client, verdict: &mut Verdict) -> Result<(), Error> {
        let mut expected: BTreeMap<_, Balance> = BTreeMap::new();
        for (cell, on_hand) in shop::first_stock() {
            expected.insert(cell, Balance { on_hand, ..Balance::default() });
        }
        self.books.iter().for_each(|book| book.add_to(&mut expected));
        let mut found = BTreeMap::new();
        for sku in shop::skus() {
            let list = ListCellsRequest { sku, ..ListCellsRequest::default() };
            let cells =
                client.inventory().list_cells(list).await.map_err(|status| sentence(&status))?.into_inner().cells;
            for cell in cells {
                self.tally.cells += 1;
                let promised = cell.reserved + cell.committed;
                verdict.must(promised <= cell.on_hand && cell.shortfall == 0, || {
                    format!("{} at {}: {promised} promised of {}", cell.sku, cell.location, cell.on_hand)
                });
                verdict.must(cell.available == cell.on_hand - promised, || {
                    format!("{} at {}: {} available", cell.sku, cell.location, cell.available)
                });
                let balance = Balance { on_hand: cell.on_hand, reserved: cell.reserved, committed: cell.committed };
                found.insert((cell.sku, cell.location), balance);
            }
        }
        for (cell, expected) in &expected {
            let found = found.get(cell).copied().unwrap_or_default();
            verdict.must(found == *expected, || {
                format!("{} at {}: {found:?}, the ledgers make it {expected:?}", cell.0, cell.1)
            });
        }
        verdict.must(found.len() == expected.len(), || format!("{} cells of {}", found.len(), expected.len()));
        Ok(())
    }

    /// Repeats calls: each must give its answer again, and say that it did.
    async fn check_calls(&mut self, client: &Client, depth: Depth, verdict: &mut Verdict) -> Result<(), Error> {
        let calls: Vec<Call> = match depth {
            Depth::All => self.known.clone(),
            Depth::Recent => {
                let (old, new) = self.known.split_at(self.seen);
                let sample = (0..SAMPLE.min(old.len())).map(|_| &old[self.random.index(old.len())]);
                sample.chain(new).cloned().collect()
            }
        };
        self.tally.replayed += u64::try_from(calls.len()).unwrap_or(0);
        let answers = each(calls.clone(), |call| {
            let client = client.clone();
            async move { call.operation.send(&client, &call.id).await }
        });
        for (call, again) in calls.iter().zip(answers.await?) {
            verdict.must(again.replayed && again.agrees(&call.answers[0]), || {
                format!(
                    "{} {:?} was answered {:?}, and after the restart {again:?}",
                    call.id, call.operation, call.answers[0]
                )
            });
        }
        Ok(())
    }

    async fn check_reservations(&mut self, client: &Client, depth: Depth, verdict: &mut Verdict) -> Result<(), Error> {
        let mut ids: BTreeSet<&str> = BTreeSet::new();
        let orders = || self.books.iter().flat_map(Book::orders);
        match depth {
            Depth::All => ids.extend(orders().map(|order| order.id.as_str())),
            Depth::Recent => {
                for call in &self.known[self.seen..] {
                    ids.extend(call.operation.reservation());
                    if let Outcome::Held { reservation, .. } = &call.answers[0].outcome {
                        ids.insert(reservation);
                    }
                }
            }
        }
        let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
        self.tally.reservations += u64::try_from(ids.len()).unwrap_or(0);
        let told = each(ids.clone(), |reservation_id| {
            let mut allocation = client.allocation();
            async move {
                match allocation.get_reservation(GetReservationRequest { reservation_id }).await {
                    Ok(told) => Ok(told.into_inner().reservation),
                    Err(status) if status.code() == Code::NotFound => Ok(None),
                    Err(status) => Err(status),
                }
            }
        });
        for (id, told) in ids.iter().zip(told.await?) {
            let Some(order) = self.books.iter().find_map(|book| book.get(id)) else { continue };
            let difference = match told {
                Some(told) => order.difference(&told),
                None => Some(format!("{id} is unknown, the answers make it {order:?}")),
            };
            if let Some(difference) = difference {
                verdict.violation(difference);
            }
        }
        Ok(())
    }

    /// Tells what was judged.
    pub fn tell(&self, verdict: &mut Verdict) {
        let Tally { effects, refused, repeated, unknown, unknown_done, replayed, reservations, cells } = self.tally;
        verdict.figure("answered_calls", effects + refused);
        verdict.figure("answered_calls_with_effect", effects);
        verdict.figure("calls_repeated_under_load", repeated);
        verdict.figure("calls_without_answer", unknown);
        verdict.figure("calls_without_answer_that_had_happened", unknown_done);
        verdict.figure("calls_asked_again_after_restarts", replayed);
        verdict.figure("reservations_compared", reservations);
        verdict.figure("cells_compared", cells);
    }
}

/// Asks about each item, many at once; answers in the order of the items.
async fn each<I, T, F>(items: Vec<I>, mut ask: impl FnMut(I) -> F) -> Result<Vec<T>, Error>
where
    F: Future<Output = Result<T, tonic::Status>> + Send + 'static,
    T: Send + 'static,
{
    let mut answers: BTreeMap<usize, T> = BTreeMap::new();
    let mut under_way = JoinSet::new();
    let mut items = items.into_iter().enumerate();
    loop {
        while under_way.len() < AT_ONCE
            && let Some((number, item)) = items.next()
        {
            let asked = ask(item);
            under_way.spawn(async move { (number, asked.await) });
        }
        let Some(done) = under_way.join_next().await else { break };
        let (number, answer) = done?;
        answers.insert(number, answer.map_err(|status| format!("the judge was not answered: {}", sentence(&status)))?);
    }
    Ok(answers.into_values().collect())
}
