//! A buyer's own book of record, on disk: what it is about to ask, then what it heard. Nothing in it is known before it is synced.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::operation::{Answer, Operation};

/// A ledger that is being written.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    lines: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Record {
    Asked(String, Operation),
    Heard(String, Answer),
}

/// A call of a ledger.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its request id.
    pub id: String,
    /// What was asked.
    pub operation: Operation,
    /// How often it was asked.
    pub sent: usize,
    /// Every answer that was heard, in order.
    pub answers: Vec<Answer>,
}

impl Call {
    /// The answer that something changed.
    pub fn effect(&self) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.outcome.is_effect())
    }

    /// Whether it may have happened without an answer that says so. One copy that was refused tells nothing of another that was never
    /// answered: a refusal is not remembered, and what it rests on may be gone a moment later.
    pub fn is_open(&self) -> bool {
        self.effect().is_none() && self.answers.len() < self.sent
    }
}

impl Ledger {
    /// Begins a ledger.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> io::Result<Ledger> {
        Ok(Ledger { file: File::create_new(path)?, lines: Vec::new() })
    }

    /// Notes what is about to be asked, once for each copy. To be synced before it is.
    pub fn ask(&mut self, id: &str, operation: &Operation) {
        self.note(&Record::Asked(id.to_owned(), operation.clone()));
    }

    /// Notes an answer.
    pub fn hear(&mut self, id: &str, answer: &Answer) {
        self.note(&Record::Heard(id.to_owned(), answer.clone()));
    }

    /// Makes everything noted known.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.lines)?;
        self.lines.clear();
        self.file.sync_data()
    }

    fn note(&mut self, record: &Record) {
        let line = serde_json::to_vec(record).expect("Invariant: a record has string keys only");
        self.lines.extend(line);
        self.lines.push(b'\n');
    }
}

/// Reads a ledger: its calls, in the order of their first answers, those without an answer last.
///
/// # Errors
/// When it cannot be read, or is no ledger.
pub fn read(path: &Path) -> io::Result<Vec<Call>> {
    let (mut asked, mut order): (HashMap<String, Call>, Vec<String>) = Default::default();
    let mut unheard = Vec::new();
    for line in BufReader::new(File::open(path)?).lines() {
        match serde_json::from_str(&line?)? {
            Record::Asked(id, operation) => {
                let call = asked.entry(id).or_insert_with_key(|id| {
                    unheard.push(id.clone());
                    Call { id: id.clone(), operation, sent: 0, answers: Vec::new() }
                });
                call.sent += 1;
            }
            Record::Heard(id, answer) => {
                let Some(call) = asked.get_mut(&id) else {
                    return Err(io::Error::other(format!("{id} was answered before it was asked")));
                };
                if call.answers.is_empty() {
                    order.push(id);
                }
                call.answers.push(answer);
            }
        }
    }
    order.extend(unheard.into_iter().filter(|id| asked.get(id).is_some_and(|call| call.answers.is_empty())));
    Ok(order.iter().filter_map(|id| asked.remove(id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judged::operation::Outcome;

    #[test]
    fn reads_what_was_synced_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let mut ledger = Ledger::create(&path).unwrap();
        let confirm = |id: &str| Operation::Confirm { reservation: id.into() };
        let answer = |lsn| Answer { lsn, outcome: Outcome::Adjusted, replayed: lsn > 7 };
        ledger.ask("a", &confirm("1"));
        ledger.ask("b", &confirm("2"));
        for _copy in 0..3 {
            ledger.ask("c", &confirm("3"));
        }
        ledger.hear("c", &answer(7));
        ledger.hear("b", &answer(5));
        ledger.hear("c", &answer(8));
        ledger.sync().unwrap();
        ledger.hear("a", &answer(9));
        let calls = read(&path).unwrap();
        assert_eq!(calls.iter().map(|call| call.id.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
        assert_eq!(calls[0].answers, [answer(7), answer(8)]);
        assert_eq!(calls.iter().map(|call| call.sent).collect::<Vec<_>>(), [3, 1, 1]);
        assert!(calls[2].answers.is_empty());
        assert_eq!(calls[1].operation, confirm("2"));
    }

    #[test]
    fn a_call_is_open_until_every_copy_is_answered_or_one_with_an_effect() {
        let answer = |happened: &bool| {
            let outcome = if *happened { Outcome::Adjusted } else { Outcome::Rejected { reason: 1 } };
            Answer { lsn: 1, outcome, replayed: false }
        };
        let call = |sent, answers: &[bool]| Call {
            id: "a".into(),
            operation: Operation::Confirm { reservation: "1".into() },
            sent,
            answers: answers.iter().map(answer).collect(),
        };
        assert!(call(1, &[]).is_open());
        assert!(call(2, &[false]).is_open(), "the other copy may have found stock");
        assert!(!call(2, &[false, false]).is_open());
        assert!(!call(1, &[false]).is_open(), "its only copy was refused");
        assert!(!call(2, &[true]).is_open(), "the other copy can only have been told the same");
        assert!(!call(3, &[false, true]).is_open());
    }
}
