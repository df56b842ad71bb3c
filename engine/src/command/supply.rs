//! Units that are expected, the promises on them, and transfers: what can be asked.

use crate::{
    command::StockReason, event::supply::InboundKind, fingerprint::Fingerprinter, quantity::Quantity, time::Timestamp,
};

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SupplyCommand {
    /// Units are expected.
    Announce(AnnounceInbound),
    /// What was announced is no longer so.
    Change(ChangeInbound),
    /// Units arrived.
    Receive(ReceiveInbound),
    /// Nothing more will come. The document's code.
    Cancel(String),
    /// Units leave one location for another.
    Ship(ShipTransfer),
}

/// Announces units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceInbound {
    /// The document's code, 1 to 64 bytes, of no open document.
    pub code: String,
    /// Where they come from.
    pub kind: InboundKind,
    /// Location code they are expected at.
    pub location: String,
    /// When they are expected. Not in the past.
    pub eta: Timestamp,
    /// What is expected: at least one line, each SKU once.
    pub lines: Vec<ExpectedLine>,
    /// The caller's document.
    pub reference: String,
}

/// Units of one SKU that are expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedLine {
    /// SKU code.
    pub sku: String,
    /// Units, at least 1.
    pub quantity: Quantity,
    /// Units that may stand promised ahead at most; `None` for no cap.
    pub cap: Option<Quantity>,
    /// Per cent of what is still expected that may be promised ahead, 0 to 100. `None`: 100, or 0 of a return.
    pub confidence: Option<u8>,
}

/// Changes what was announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeInbound {
    /// The document's code.
    pub code: String,
    /// When it is expected now. Not in the past.
    pub eta: Option<Timestamp>,
    /// Lines that change, each SKU once.
    pub lines: Vec<LineChange>,
}

/// Changes a line of a document. What is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineChange {
    /// SKU code.
    pub sku: String,
    /// Units in all, those that arrived already included.
    pub quantity: Option<Quantity>,
    /// Units that may stand promised ahead at most; `Some(None)` for no cap.
    pub cap: Option<Option<Quantity>>,
    /// Per cent of what is still expected that may be promised ahead.
    pub confidence: Option<u8>,
    /// Nothing more of it will come.
    pub cancel: bool,
}

/// Says what arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveInbound {
    /// The document's code.
    pub code: String,
    /// What arrived, each SKU once. May be empty when it is final.
    pub lines: Vec<ArrivedLine>,
    /// Nothing more will come: the document is closed.
    pub is_final: bool,
    /// Why lines differ that name no reason.
    pub reason: StockReason,
    /// The caller's document.
    pub reference: String,
}

/// Units of one SKU that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivedLine {
    /// SKU code.
    pub sku: String,
    /// Units. 0 says that none did.
    pub quantity: Quantity,
    /// Why it differs from what was expected.
    pub reason: StockReason,
}

/// Sends units from one location to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShipTransfer {
    /// The document's code, 1 to 64 bytes, of no open document.
    pub code: String,
    /// Location code they leave.
    pub from: String,
    /// Location code they are expected at; not `from`.
    pub to: String,
    /// When they are expected. Not in the past.
    pub eta: Timestamp,
    /// What is sent: at least one line, each SKU once.
    pub lines: Vec<ExpectedLine>,
    /// The caller's document.
    pub reference: String,
}

impl SupplyCommand {
    /// The document it speaks of.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Announce(announce) => &announce.code,
            Self::Change(change) => &change.code,
            Self::Receive(receive) => &receive.code,
            Self::Cancel(code) => code,
            Self::Ship(ship) => &ship.code,
        }
    }

    /// Tags 140 to 159 are this file's.
    pub(super) fn fingerprint(&self, hash: &mut Fingerprinter) {
        match self {
            Self::Announce(announce) => {
                hash.tag(140).text(&announce.code).number(announce.kind.code()).text(&announce.location);
                hash.number(announce.eta.0).text(&announce.reference);
                announce.lines.iter().for_each(|line| line.fingerprint(hash));
            }
            Self::Change(change) => {
                hash.tag(141).text(&change.code).number(change.eta.map_or(0, |eta| eta.0));
                for line in &change.lines {
                    hash.text(&line.sku).number(optional(line.quantity));
                    hash.number(u64::from(line.cap.is_some())).number(optional(line.cap.flatten()));
                    hash.number(line.confidence.map_or(0, |confidence| u64::from(confidence) + 1));
                    hash.number(u64::from(line.cancel));
                }
            }
            Self::Receive(receive) => {
                hash.tag(142).text(&receive.code).number(u64::from(receive.is_final));
                hash.number(u64::from(receive.reason.0)).text(&receive.reference);
                for line in &receive.lines {
                    hash.text(&line.sku).quantity(line.quantity).number(u64::from(line.reason.0));
                }
            }
            Self::Cancel(code) => _ = hash.tag(143).text(code),
            Self::Ship(ship) => {
                hash.tag(144).text(&ship.code).text(&ship.from).text(&ship.to);
                hash.number(ship.eta.0).text(&ship.reference);
                ship.lines.iter().for_each(|line| line.fingerprint(hash));
            }
        }
    }
}

impl ExpectedLine {
    fn fingerprint(&self, hash: &mut Fingerprinter) {
        hash.text(&self.sku).quantity(self.quantity).number(optional(self.cap));
        hash.number(self.confidence.map_or(0, |confidence| u64::from(confidence) + 1));
    }
}

fn optional(quantity: Option<Quantity>) -> u64 {
    quantity.map_or(0, |quantity| quantity.units() + 1)
}
