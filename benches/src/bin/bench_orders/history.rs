//! What happened, in order of time: receipts, stock counts, sales and returns, merged into one stream.

use std::collections::HashMap;

use quartermaster_routing::{LocationId, SkuId, Units};

use crate::network::{Network, Point};

/// A local wall-clock time as a number whose digits are those of the date and time, so that later is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Stamp(pub(crate) u64);

/// A sale or return document: its position among all documents of the history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct DocumentId(pub(crate) u32);

/// Units of one SKU that a sale asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub(crate) sku: SkuId,
    pub(crate) units: Units,
}

/// One order: lines of one SKU are added up, and ascend by SKU.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Sale {
    pub(crate) id: DocumentId,
    pub(crate) to: Point,
    pub(crate) lines: Vec<Wanted>,
}

/// One line of a return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Returned {
    pub(crate) sku: SkuId,
    pub(crate) units: Units,
    /// The sale the units went out with; `None` when it is not part of the history.
    pub(crate) sale: Option<DocumentId>,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Event {
    /// Goods arrived.
    Receipt { location: LocationId, sku: SkuId, units: Units },
    /// The stock of the first location was counted or corrected.
    Adjustment { sku: SkuId, delta: i64 },
    /// A customer ordered.
    Sale(Sale),
    /// A customer sent back.
    Return(Vec<Returned>),
}

impl Event {
    /// At equal times: receipts, adjustments, then documents.
    fn rank(&self) -> u8 {
        match self {
            Self::Receipt { .. } => 0,
            Self::Adjustment { .. } => 1,
            Self::Sale(_) | Self::Return(_) => 2,
        }
    }
}

/// A whole history: the locations, what lay there at first, and what happened then.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) network: Network,
    pub(crate) skus: Names,
    pub(crate) documents: Names,
    pub(crate) opening: Vec<(LocationId, SkuId, Units)>,
    pub(crate) events: Vec<(Stamp, Event)>,
    /// Sales whose receiver has no coordinates.
    pub(crate) placeless: u64,
}

impl History {
    /// Puts the events in order of time; equal times and kinds stay as they were read.
    pub(crate) fn merge(&mut self) {
        self.events.sort_by_key(|(at, event)| (*at, event.rank()));
    }
}

/// Names and the numbers they stand for, in order of first mention.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Names {
    /// The number of `name`, given to it now if it has none.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("fewer names than bytes in the files");
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    pub(crate) fn known(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|at| self.names.get(at)).map_or("", String::as_str)
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}
