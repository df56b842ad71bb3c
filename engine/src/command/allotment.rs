//! Units ring-fenced for channels and campaigns: what can be asked.

use crate::{fingerprint::Fingerprinter, quantity::Quantity};

/// A change that is asked for. All rows of a request happen, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllotmentCommand {
    /// Make allotments, or replace them.
    Set(SetAllotments),
    /// Make quotas larger or smaller by units.
    Shift(ShiftAllotments),
    /// Take units out of the quota of one node and put them into that of another.
    Move(MoveAllotments),
    /// End allotments: what was not used is for everybody again.
    Return(ReturnAllotments),
}

/// Whose allotment: exactly one of the codes is given.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct NodeCode {
    /// Channel code, or empty.
    pub channel: String,
    /// Campaign code, or empty.
    pub campaign: String,
}

/// What is allotted, by code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Goods {
    /// One SKU.
    Sku(String),
    /// All active SKUs of a style.
    Style(String),
    /// All active SKUs of a category.
    Category(String),
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Units.
    Units(Quantity),
    /// Thousandths of a percent, 0 to 100,000, of what is available at open locations now; rounded down to units.
    MilliPercent(u32),
}

/// Makes allotments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAllotments {
    /// Taken one after another, at least one.
    pub rows: Vec<SetRow>,
    /// Cut down what cannot be had instead of refusing the request.
    pub clip: bool,
}

/// An allotment as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRow {
    /// What.
    pub goods: Goods,
    /// Whose.
    pub node: NodeCode,
    /// Units ring-fenced; `None` for a ceiling alone.
    pub quota: Option<Amount>,
    /// Units it may be promised at most. Not below a quota in units.
    pub ceiling: Option<Quantity>,
    /// It may take from what its parent can reach when its own share is used up.
    pub spill_over: bool,
}

/// Makes quotas larger or smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShiftAllotments {
    /// Larger; otherwise smaller.
    pub raise: bool,
    /// Taken one after another, at least one.
    pub rows: Vec<ShiftRow>,
    /// Cut down what cannot be had instead of refusing the request.
    pub clip: bool,
}

/// By how much a quota changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShiftRow {
    /// What.
    pub goods: Goods,
    /// Whose.
    pub node: NodeCode,
    /// Units, at least 1.
    pub units: Quantity,
}

/// Moves quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveAllotments {
    /// Taken one after another, at least one.
    pub rows: Vec<MoveRow>,
    /// Cut down what cannot be had instead of refusing the request.
    pub clip: bool,
}

/// Units of quota that change hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRow {
    /// What.
    pub goods: Goods,
    /// Out of the unused rest of this node's quota.
    pub from: NodeCode,
    /// Into the quota of this one, which is made if it has none.
    pub to: NodeCode,
    /// Units, at least 1.
    pub units: Quantity,
}

/// Ends allotments of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnAllotments {
    /// Whose.
    pub node: NodeCode,
    /// Of what; nothing for all it has.
    pub goods: Vec<Goods>,
}

impl AllotmentCommand {
    /// What its rows are about, in their order.
    pub fn goods(&self) -> Vec<&Goods> {
        match self {
            Self::Set(set) => set.rows.iter().map(|row| &row.goods).collect(),
            Self::Shift(shift) => shift.rows.iter().map(|row| &row.goods).collect(),
            Self::Move(step) => step.rows.iter().map(|row| &row.goods).collect(),
            Self::Return(back) => back.goods.iter().collect(),
        }
    }

    /// Tags 100 to 119 are this file's.
    pub(super) fn fingerprint(&self, hash: &mut Fingerprinter) {
        match self {
            Self::Set(set) => {
                hash.tag(100).number(u64::from(set.clip));
                for row in &set.rows {
                    row.goods.fingerprint(hash);
                    row.node.fingerprint(hash);
                    match row.quota {
                        None => _ = hash.tag(104),
                        Some(Amount::Units(units)) => _ = hash.tag(105).quantity(units),
                        Some(Amount::MilliPercent(part)) => _ = hash.tag(106).number(u64::from(part)),
                    }
                    hash.number(row.ceiling.map_or(0, |ceiling| ceiling.units() + 1)).number(u64::from(row.spill_over));
                }
            }
            Self::Shift(shift) => {
                hash.tag(101).number(u64::from(shift.raise)).number(u64::from(shift.clip));
                for row in &shift.rows {
                    row.goods.fingerprint(hash);
                    row.node.fingerprint(hash);
                    hash.quantity(row.units);
                }
            }
            Self::Move(step) => {
                hash.tag(102).number(u64::from(step.clip));
                for row in &step.rows {
                    row.goods.fingerprint(hash);
                    row.from.fingerprint(hash);
                    row.to.fingerprint(hash);
                    hash.quantity(row.units);
                }
            }
            Self::Return(back) => {
                back.node.fingerprint(hash.tag(103));
                back.goods.iter().for_each(|goods| goods.fingerprint(hash));
            }
        }
    }
}

impl NodeCode {
    fn fingerprint(&self, hash: &mut Fingerprinter) {
        hash.text(&self.channel).text(&self.campaign);
    }
}

impl Goods {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Sku(code) | Self::Style(code) | Self::Category(code) => code,
        }
    }

    fn fingerprint(&self, hash: &mut Fingerprinter) {
        let tag = match self {
            Self::Sku(_) => 107,
            Self::Style(_) => 108,
            Self::Category(_) => 109,
        };
        hash.tag(tag).text(self.code());
    }
}
