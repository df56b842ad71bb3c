//! Buyers at work: each on a thread and a connection of its own, with several calls under way at once, until it is told to stop.
//!
//! A call whose outcome is unknown is asked again under its id until it is known. Now and then a call is sent twice at once, or again
//! long after its answer: the effect must be one and the answer the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use quartermaster_loadtest::client::{Client, RetryPolicy};
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_proto::v1::ReservationState;
use tokio::task::JoinSet;
use tonic::Status;

use super::book::{Book, Order};
use super::judge::Judge;
use super::ledger::Ledger;
use super::operation::{Answer, Operation, Outcome};
use super::shop;
use crate::Error;

/// Calls a buyer has under way at once.
const BATCH: usize = 8;
/// Open reservations beyond which a buyer opens no more.
const OPEN_MAX: usize = 150;
/// Calls sent twice at once.
const TWICE: f64 = 0.04;
/// Calls sent again after their answer.
const AGAIN: f64 = 0.04;
/// Pause before calls without an answer are sent again.
const PAUSE: Duration = Duration::from_millis(5);

/// How buyers work.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How many buyers.
    pub buyers: usize,
    /// Decides what they ask.
    pub seed: u64,
    /// Time for one attempt of a call.
    pub deadline: Duration,
}

/// Buyers at work.
#[derive(Debug)]
pub struct Crowd {
    watch: Arc<Watch>,
    threads: Vec<JoinHandle<Result<(), String>>>,
}

/// What a crowd shares.
#[derive(Debug, Default)]
pub struct Watch {
    stop: AtomicBool,
    /// Calls that were answered.
    pub answered: AtomicU64,
    /// Answers that something has changed, heard for the first time; counted as they come in.
    pub effects: AtomicU64,
    /// Attempts that ended without an answer.
    pub unanswered: AtomicU64,
    /// Of those, attempts whose time was up.
    pub timed_out: AtomicU64,
    /// Calls refused because the disk is full.
    pub disk_full: AtomicU64,
    /// When calls were sent that the server never answered: for campaigns in which it has to.
    pub cut: parking_lot::Mutex<Vec<(Instant, String)>>,
}

impl Crowd {
    /// Lets the buyers of `judge` go on with their open reservations at the server of `url`. Their ledgers are `round`'s.
    ///
    /// # Errors
    /// When a ledger cannot be made, or the system has no thread to give.
    pub fn start(url: &str, judge: &Judge, round: u64, habits: Habits) -> io::Result<Crowd> {
        let watch = Arc::new(Watch::default());
        let mut threads = Vec::new();
        for number in 0..habits.buyers {
            let random_of = (round << 16) + u64::try_from(number).unwrap_or(0);
            let orders = judge.open_orders(number, OPEN_MAX);
            let mut buyer = Buyer {
                name: format!("b{number}-{round}"),
                random: SplitMix64::for_item(habits.seed, random_of),
                ledger: Ledger::create(&path(judge.dir(), round, number))?,
                idle: orders.iter().map(|order| order.id.clone()).collect(),
                book: Book::of(orders),
                asked: 0,
                pending: Vec::new(),
                past: Vec::new(),
                watch: Arc::clone(&watch),
            };
            let url = url.to_owned();
            let work = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map_err(|error| error.to_string())?.block_on(async {
                    let retry = RetryPolicy { deadline: habits.deadline, attempts_max: 1, ..RetryPolicy::default() };
                    match Client::connect(&url, 1, retry).await {
                        Ok(client) => buyer.work(&client).await.map_err(|error| format!("{}: {error}", buyer.name)),
                        // Killed before the first call: nothing was asked.
                        Err(_gone) => Ok(()),
                    }
                })
            };
            threads.push(thread::Builder::new().name(format!("buyer-{number}")).spawn(work)?);
        }
        Ok(Crowd { watch, threads })
    }

    /// What they have done so far.
    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Tells them to stop. Calls under way are waited for.
    pub fn stop(&self) {
        self.watch.stop.store(true, Ordering::SeqCst);
    }

    /// Stops them and waits until their ledgers are synced.
    ///
    /// # Errors
    /// When a buyer heard what cannot be an answer, or its disk refused.
    pub fn finish(self) -> Result<Arc<Watch>, Error> {
        self.stop();
        for thread in self.threads {
            thread.join().map_err(|_panic| "a buyer panicked")??;
        }
        Ok(self.watch)
    }
}

/// The ledger of a buyer in a round.
pub fn path(dir: &Path, round: u64, buyer: usize) -> PathBuf {
    dir.join(format!("ledger-{round:06}-{buyer:03}.jsonl"))
}

struct Buyer {
    name: String,
    random: SplitMix64,
    ledger: Ledger,
    book: Book,
    /// Open reservations that no call is under way for.
    idle: Vec<String>,
    asked: u64,
    /// Calls whose outcome is unknown.
    pending: Vec<(String, Operation)>,
    /// A few of the calls that were answered.
    past: Vec<(String, Operation)>,
    watch: Arc<Watch>,
}

impl Buyer {
    async fn work(&mut self, client: &Client) -> Result<(), String> {
        while !self.watch.stop.load(Ordering::SeqCst) {
            let mut batch = std::mem::take(&mut self.pending);
            let waits = !batch.is_empty();
            while batch.len() < BATCH {
                batch.push(self.next());
            }
            let mut copies = Vec::new();
            for call in &batch {
                copies.extend(std::iter::repeat_n(call, if self.random.chance(TWICE) { 2 } else { 1 }));
            }
            for (id, operation) in &copies {
                self.ledger.ask(id, operation);
            }
            // One sync makes the answers of the batch before known, and the intents of this one.
            self.ledger.sync().map_err(|error| error.to_string())?;
            if waits {
                tokio::time::sleep(PAUSE).await;
            }
            let answers = self.send(client, &copies).await;
            for (id, operation) in batch {
                match answers.get(&id) {
                    Some(answer) => self.hear(id, operation, answer)?,
                    None => self.pending.push((id, operation)),
                }
            }
        }
        self.ledger.sync().map_err(|error| error.to_string())
    }

    /// Sends copies of calls at once; gives for each call whose outcome is known its answer, of two the one with an effect. A refusal tells
    /// the outcome only when every copy was answered.
    async fn send(&mut self, client: &Client, copies: &[&(String, Operation)]) -> BTreeMap<String, Answer> {
        let mut calls = JoinSet::new();
        let mut begin = |id: &str, operation: &Operation| {
            let (client, id, operation) = (client.clone(), id.to_owned(), operation.clone());
            calls.spawn(async move {
                let sent = Instant::now();
                let heard = operation.send(&client, &id).await;
                (id, sent, heard)
            });
        };
        for (id, operation) in copies {
            begin(id, operation);
        }
        if self.random.chance(AGAIN * 8.0) && !self.past.is_empty() {
            let (id, operation) = &self.past[self.random.index(self.past.len())];
            begin(id, operation);
        }
        let mut answers: BTreeMap<String, Answer> = BTreeMap::new();
        let mut missed = BTreeSet::new();
        while let Some(done) = calls.join_next().await {
            let Ok((id, sent, heard)) = done else { continue };
            match heard {
                Ok(answer) => {
                    self.ledger.hear(&id, &answer);
                    self.watch.answered.fetch_add(1, Ordering::SeqCst);
                    if answer.outcome.is_effect() && !answer.replayed {
                        self.watch.effects.fetch_add(1, Ordering::SeqCst);
                    }
                    let better = answers.get(&id).is_none_or(|before| !before.outcome.is_effect());
                    if better {
                        answers.insert(id, answer);
                    }
                }
                Err(status) => {
                    self.miss(sent, &status);
                    missed.insert(id);
                }
            }
        }
        answers.retain(|id, answer| answer.outcome.is_effect() || !missed.contains(id));
        answers
    }

    fn miss(&self, sent: Instant, status: &Status) {
        self.watch.unanswered.fetch_add(1, Ordering::SeqCst);
        // Told by the server, or by this side's clock, which runs first.
        if status.code() == tonic::Code::DeadlineExceeded || status.message() == "Timeout expired" {
            self.watch.timed_out.fetch_add(1, Ordering::SeqCst);
        }
        self.watch.cut.lock().push((sent, format!("{:?} {}", status.code(), status.message())));
    }

    fn hear(&mut self, id: String, operation: Operation, answer: &Answer) -> Result<(), String> {
        if let Outcome::Refused { error } = &answer.outcome
            && error.ends_with("DISK_FULL")
        {
            self.watch.disk_full.fetch_add(1, Ordering::SeqCst);
        }
        self.book.enter(&operation, &answer.outcome)?;
        let reservation = match &answer.outcome {
            Outcome::Held { reservation, .. } => Some(reservation.as_str()),
            _ => operation.reservation(),
        };
        if let Some(reservation) = reservation
            && self.book.get(reservation).is_some_and(Order::is_open)
        {
            self.idle.push(reservation.to_owned());
        }
        if answer.outcome.is_effect() {
            if self.past.len() < 64 {
                self.past.push((id, operation));
            } else {
                let at = self.random.index(64);
                self.past[at] = (id, operation);
            }
        }
        Ok(())
    }

    /// Decides what to ask next.
    fn next(&mut self) -> (String, Operation) {
        self.asked += 1;
        let id = format!("{}-{}", self.name, self.asked);
        (id, self.choose())
    }

    fn choose(&mut self) -> Operation {
        if self.random.chance(0.05) {
            return shop::adjustment(&mut self.random);
        }
        if self.idle.is_empty() || (self.idle.len() < OPEN_MAX && self.random.chance(0.4)) {
            return shop::order(&mut self.random);
        }
        let at = self.random.index(self.idle.len());
        let reservation = self.idle.swap_remove(at);
        let order = self.book.get(&reservation).expect("Invariant: idle reservations are in the book");
        let some = |random: &mut SplitMix64| {
            let mut open = order.open();
            let mut lines = Vec::new();
            if random.chance(0.5) && !open.is_empty() {
                let mut units = open.swap_remove(random.index(open.len()));
                units.quantity = 1 + i64::try_from(random.below(units.quantity.unsigned_abs())).unwrap_or(0);
                lines.push(units);
            }
            lines
        };
        match (order.state, self.random.below(10)) {
            (ReservationState::Held, 0..=1) => Operation::Release { reservation },
            (ReservationState::Held, 2) => shop::extension(&mut self.random, reservation),
            (ReservationState::Held, 3) => Operation::Cancel { lines: some(&mut self.random), reservation },
            (ReservationState::Held, _) => Operation::Confirm { reservation },
            (_, 0..=2) => Operation::Cancel { lines: some(&mut self.random), reservation },
            (_, _) => Operation::Ship { lines: some(&mut self.random), reservation },
        }
    }
}
