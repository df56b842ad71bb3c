//! Where commands are handed in: to the engine, and with their answers to the other set of books.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use quartermaster_benches::files::Fault;
use quartermaster_engine::{
    Answer, Engine, EngineConfig, Error, Rejection, Verdict, codec,
    command::{Command, Request},
    event::Event,
    time::{Micros, Timestamp},
};
use quartermaster_journal::{AppendError, Journal, Lsn};

use crate::{
    book::Book,
    calendar::{DAY, date, times},
    ledger::Ledger,
    tally::{Tally, variant},
};

/// One command in so many is sent a second time, and must get its first answer.
const REPEAT_EVERY: u64 = 61;

/// Faults kept; all are counted.
const FAULTS_MAX: usize = 50;

/// What came of a command.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done(Event),
    Rejected(Rejection),
    Refused(Error),
    Nothing,
}

impl Outcome {
    /// Its name, with the reason of a refusal.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Done(event) => event.name().to_owned(),
            Self::Rejected(rejection) => variant(rejection),
            Self::Refused(error) => variant(error),
            Self::Nothing => "nothing".to_owned(),
        }
    }

    /// It was refused, one way or the other.
    pub(crate) fn is_no(&self) -> bool {
        matches!(self, Self::Rejected(_) | Self::Refused(_))
    }
}

/// The engine, its journal and the books beside it.
pub(crate) struct Desk {
    pub(crate) engine: Arc<Engine>,
    pub(crate) book: Arc<Book>,
    pub(crate) ledger: Ledger,
    pub(crate) tally: Tally,
    pub(crate) now: Timestamp,
    /// Commands handed in, repeats included, and what they and the timers took.
    pub(crate) commands: u64,
    pub(crate) spent: Duration,
    /// Answers that should not have been.
    pub(crate) faults: Vec<String>,
    /// Up to here the books know all records.
    seen: Lsn,
}

/// Keeps every reservation of the year: returns come months later.
pub(crate) fn config() -> EngineConfig {
    EngineConfig {
        ended_retention: times(DAY, 500),
        ended_entries_max: 100_000_000,
        dedup_retention: Micros::from_secs(24 * 3_600),
        ..EngineConfig::default()
    }
}

impl Desk {
    pub(crate) fn new(directory: Option<&Path>) -> Result<Self, Fault> {
        let book = Arc::new(Book::new(directory)?);
        let engine = Engine::new(config(), Arc::clone(&book) as Arc<dyn Journal>);
        Ok(Self {
            engine: Arc::new(engine),
            book,
            ledger: Ledger::default(),
            tally: Tally::default(),
            now: Timestamp::default(),
            commands: 0,
            spent: Duration::ZERO,
            faults: Vec::new(),
            seen: Lsn::ZERO,
        })
    }

    /// Hands a command in.
    ///
    /// # Errors
    /// When the journal fails.
    pub(crate) fn submit(&mut self, command: &Command) -> Result<Outcome, Fault> {
        let request = Request { id: format!("y{:09}", self.commands).into(), actor: "year".to_owned() };
        let answer = match self.send(&request, command)? {
            Ok(answer) => answer,
            Err(error) => return Ok(Outcome::Refused(error)),
        };
        match answer.verdict {
            Verdict::Done(event) => {
                self.ledger.done(command, &event, self.now);
                self.seen = answer.lsn;
                if self.commands.is_multiple_of(REPEAT_EVERY) {
                    let again = self.send(&request, command)?;
                    self.tally.add("traffic: commands sent twice", 1);
                    if !again.is_ok_and(|again| again.replayed && again.lsn == answer.lsn) {
                        self.faults.push(format!("{} did not get its first answer again", request.id));
                    }
                }
                Ok(Outcome::Done(event))
            }
            Verdict::Rejected(rejection) => Ok(Outcome::Rejected(rejection)),
            Verdict::Nothing => Ok(Outcome::Nothing),
        }
    }

    /// Hands in a command that must be done.
    ///
    /// # Errors
    /// When the journal fails.
    pub(crate) fn must(&mut self, command: &Command) -> Result<Option<Event>, Fault> {
        match self.submit(command)? {
            Outcome::Done(event) => Ok(Some(event)),
            other => {
                self.unexpected(&format!("{command:?}"), &other);
                Ok(None)
            }
        }
    }

    /// Takes note of an answer that should not have been.
    pub(crate) fn unexpected(&mut self, what: &str, outcome: &Outcome) {
        self.tally.add(&format!("unexpected: {}", outcome.name()), 1);
        if self.faults.len() < FAULTS_MAX {
            let short = |text: &str| text.chars().take(400).collect::<String>();
            let outcome = short(&format!("{outcome:?}"));
            self.faults.push(format!("{}: {} got {outcome}", date(self.now), short(what)));
        }
    }

    fn send(&mut self, request: &Request, command: &Command) -> Result<Result<Answer, Error>, Fault> {
        self.commands += 1;
        if self.commands.is_multiple_of(64) {
            self.book.write()?;
        }
        loop {
            let started = Instant::now();
            let answer = self.engine.submit(request, command, self.now);
            self.spent += started.elapsed();
            match answer {
                Err(Error::Journal(AppendError::Full { .. })) => self.book.write()?,
                Err(Error::Journal(error)) => return Err(Box::new(error)),
                answer => return Ok(answer),
            }
        }
    }

    /// What the server's timers do every few milliseconds: ends holds, settles sales and rules. The books hear of it from the records.
    ///
    /// # Errors
    /// When the journal fails, or a record cannot be read.
    pub(crate) fn tick(&mut self) -> Result<(), Fault> {
        let due = self.ledger.due(self.now);
        let started = Instant::now();
        let report = self.engine.expire_due(self.now, usize::MAX)?;
        self.settle()?;
        self.spent += started.elapsed();
        if report.expired != due {
            self.faults.push(format!("{} holds expired and {due} were due", report.expired));
        }
        for record in self.book.after(self.seen) {
            let record = codec::decode(&record)?;
            self.tally.add(&format!("timer: {}", record.event.name()), 1);
            self.ledger.timer(&record.event, self.now);
            self.seen = self.seen.next();
        }
        Ok(())
    }

    fn settle(&self) -> Result<(), Fault> {
        self.engine.settle_campaigns(self.now, usize::MAX)?;
        self.engine.settle_rules(self.now, usize::MAX)?;
        Ok(())
    }
}
