//! What clients of one server asked and heard, and two ways to tell whether one sequence of events explains all of it.
//!
//! Nothing here does I/O or knows a server: [`model`] is stock as one would keep it in a notebook, [`witness`] believes the LSN that every
//! answer carries and checks it in `O(n log n)`, [`search`] believes nothing and looks for an order.

pub mod model;
pub mod search;
pub mod witness;

use std::fmt;

use model::{Answer, Call, Cells};

/// One call as its client saw it, its repeats under the same request id included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Just before it was sent for the first time, in nanoseconds of one clock for all clients.
    pub called: u64,
    /// Which SKU it is about, from 0.
    pub sku: u32,
    /// What was asked.
    pub call: Call,
    /// What was heard.
    pub end: End,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Its client gave up without an answer: it may have happened, may happen later, or never.
    Unknown,
    /// It was answered.
    Answered {
        /// Just after the answer had come, by the same clock.
        returned: u64,
        /// LSN of the answer's position; errors carry none.
        lsn: Option<u64>,
        /// What it says.
        answer: Answer,
    },
}

/// What all clients of one server did.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The stock of each SKU before the first operation, when nothing was promised.
    pub stock: Vec<Cells>,
    /// LSN of the last event before the first operation.
    pub since: u64,
    /// In any order.
    pub operations: Vec<Operation>,
}

/// What no order of events explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which SKU.
    pub sku: u32,
    /// Index of the operation in the history, where one can be named.
    pub operation: Option<usize>,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation {
            Some(operation) => write!(f, "SKU {}, operation {operation}: {}", self.sku, self.why),
            None => write!(f, "SKU {}: {}", self.sku, self.why),
        }
    }
}

impl Operation {
    /// The answer, where there is one.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.end {
            End::Unknown => None,
            End::Answered { answer, .. } => Some(answer),
        }
    }

    /// The LSN of the answer, where it carries one.
    pub fn lsn(&self) -> Option<u64> {
        match &self.end {
            End::Unknown => None,
            End::Answered { lsn, .. } => *lsn,
        }
    }

    /// When the answer had come; never, for an unknown end.
    pub fn returned(&self) -> u64 {
        match &self.end {
            End::Unknown => u64::MAX,
            End::Answered { returned, .. } => *returned,
        }
    }
}

impl History {
    /// Indices of the operations of each SKU.
    fn by_sku(&self) -> Vec<Vec<usize>> {
        let mut by_sku = vec![Vec::new(); self.stock.len()];
        for (at, operation) in self.operations.iter().enumerate() {
            if let Some(own) = usize::try_from(operation.sku).ok().and_then(|sku| by_sku.get_mut(sku)) {
                own.push(at);
            }
        }
        by_sku
    }
}
