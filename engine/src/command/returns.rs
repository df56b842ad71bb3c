//! Units that come back from buyers: what can be asked.

use super::{CellCode, Command, Reserve, StockReason};
use crate::{
    event::returns::{Disposition, ReturnKind, ReturnReason},
    fingerprint::Fingerprinter,
    id::{ReservationId, ReturnId},
    quantity::Quantity,
};

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReturnsCommand {
    /// Shipped units will come back.
    Announce(AnnounceReturn),
    /// Shipped units will come back, and others are taken in their place: both or neither.
    Exchange(Box<ExchangeReturn>),
    /// Announced units arrived.
    Receive(ReceiveReturn),
    /// Units arrived that belong to no known reservation.
    ReceiveUnmatched(ReceiveUnmatched),
    /// Units that arrived were looked at.
    Inspect(InspectReturn),
    /// What has not arrived will not come.
    Cancel(ReturnId),
    /// Cells of a location were counted.
    Count(CountStock),
}

/// Announces a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceReturn {
    /// Whose units.
    pub reservation: ReservationId,
    /// Why it is made.
    pub kind: ReturnKind,
    /// Why, in the buyer's or the carrier's words.
    pub reason: ReturnReason,
    /// What comes back, at least one line. Lines of one SKU and location are summed.
    pub lines: Vec<ReturnedLine>,
    /// Code of the location it is expected at, or empty.
    pub expected_at: String,
    /// The caller's document.
    pub reference: String,
}

/// Units of one SKU that were shipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnedLine {
    /// SKU code.
    pub sku: String,
    /// Code of the location they were shipped from, or empty when the reservation shipped the SKU from one only.
    pub shipped_from: String,
    /// Units, at least 1.
    pub quantity: Quantity,
}

/// Announces a return and asks for a hold in the same step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeReturn {
    /// What comes back.
    pub announce: AnnounceReturn,
    /// What is taken in its place.
    pub reserve: Reserve,
}

/// Announced units arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveReturn {
    /// Which return.
    pub id: ReturnId,
    /// Code of the location where they arrived.
    pub location: String,
    /// What arrived, at least one line. Lines of one SKU are summed.
    pub lines: Vec<(String, Quantity)>,
    /// Nothing more will come.
    pub last: bool,
}

/// Units arrived that belong to no known reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveUnmatched {
    /// Why it is made.
    pub kind: ReturnKind,
    /// Why, in the buyer's or the carrier's words.
    pub reason: ReturnReason,
    /// Code of the location where they arrived.
    pub location: String,
    /// What arrived, at least one line. Lines of one SKU are summed.
    pub lines: Vec<(String, Quantity)>,
    /// The caller's document.
    pub reference: String,
}

/// Units that arrived were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectReturn {
    /// Which return.
    pub id: ReturnId,
    /// What was found, at least one line. Lines of one SKU, location and disposition are summed.
    pub lines: Vec<InspectLine>,
}

/// What was found of one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectLine {
    /// SKU code.
    pub sku: String,
    /// Code of the location they are at, or empty when the SKU arrived at one only.
    pub location: String,
    /// Units, at least 1.
    pub quantity: Quantity,
    /// What becomes of them.
    pub disposition: Disposition,
}

/// What was counted at a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountStock {
    /// Cells of one location, at least one, each once.
    pub rows: Vec<CountRow>,
    /// The caller's document.
    pub reference: String,
}

/// What was counted in a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountRow {
    /// Which cell.
    pub cell: CellCode,
    /// Units on hand.
    pub counted: Quantity,
    /// Why it differs, where it does.
    pub reason: StockReason,
}

impl ReturnsCommand {
    /// Tags 160 to 179 are this file's.
    pub(super) fn fingerprint(&self, hash: &mut Fingerprinter) {
        match self {
            Self::Announce(announce) => announce.fingerprint(hash.tag(160)),
            Self::Exchange(exchange) => {
                exchange.announce.fingerprint(hash.tag(161));
                hash.number(Command::Reserve(exchange.reserve.clone()).fingerprint());
            }
            Self::Receive(receive) => {
                hash.tag(162).number(receive.id.0).text(&receive.location).number(u64::from(receive.last));
                for (sku, units) in &receive.lines {
                    hash.text(sku).quantity(*units);
                }
            }
            Self::ReceiveUnmatched(receive) => {
                hash.tag(163).number(receive.kind.code()).number(u64::from(receive.reason.0));
                hash.text(&receive.location).text(&receive.reference);
                for (sku, units) in &receive.lines {
                    hash.text(sku).quantity(*units);
                }
            }
            Self::Inspect(inspect) => {
                hash.tag(164).number(inspect.id.0);
                for line in &inspect.lines {
                    hash.text(&line.sku).text(&line.location).quantity(line.quantity);
                    hash.number(line.disposition.code());
                }
            }
            Self::Cancel(id) => _ = hash.tag(165).number(id.0),
            Self::Count(count) => {
                hash.tag(166).text(&count.reference);
                for row in &count.rows {
                    hash.cell(&row.cell).quantity(row.counted).number(u64::from(row.reason.0));
                }
            }
        }
    }
}

impl AnnounceReturn {
    fn fingerprint(&self, hash: &mut Fingerprinter) {
        hash.number(self.reservation.0).number(self.kind.code()).number(u64::from(self.reason.0));
        hash.text(&self.expected_at).text(&self.reference);
        for line in &self.lines {
            hash.text(&line.sku).text(&line.shipped_from).quantity(line.quantity);
        }
    }
}
