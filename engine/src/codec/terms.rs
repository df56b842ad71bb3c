//! What a reservation carries beyond a plain hold, as messages.

use quartermaster_proto::journal::v1 as wire;

use super::{DecodeError, unknown};
use crate::{
    event::Line,
    id::{CampaignId, LocationId, NodeId, SkuId, SupplyId},
    quantity::Quantity,
    terms::{Bought, ClaimExtra, Kept, KitLine, PresoldLine, Stage, Terms, Wanted},
    time::Timestamp,
};

pub(super) fn terms_to_wire(terms: &Terms) -> wire::Terms {
    wire::Terms {
        path: path_to_wire(&terms.path),
        campaign: terms.campaign.map_or(0, |campaign| campaign.0 + 1),
        stage: stage_to_wire(terms.stage).into(),
        wanted: terms.wanted.iter().map(wanted_to_wire).collect(),
        presold: presold_to_wire(&terms.presold),
        kits: terms.kits.iter().map(kit_to_wire).collect(),
        place: terms.place,
    }
}

pub(super) fn terms_from_wire(terms: &wire::Terms) -> Result<Terms, DecodeError> {
    Ok(Terms {
        stage: stage_from_wire(terms.stage)?,
        path: path_from_wire(&terms.path),
        campaign: terms.campaign.checked_sub(1).map(CampaignId),
        wanted: terms.wanted.iter().map(wanted_from_wire).collect(),
        presold: presold_from_wire(&terms.presold).into(),
        kits: terms.kits.iter().map(kit_from_wire).collect(),
        place: terms.place,
    })
}

pub(super) fn stage_to_wire(stage: Stage) -> wire::Stage {
    match stage {
        Stage::Held => wire::Stage::Held,
        Stage::Committed => wire::Stage::Committed,
        Stage::Placed => wire::Stage::Placed,
        Stage::Waiting => wire::Stage::Waiting,
    }
}

pub(super) fn stage_from_wire(stage: i32) -> Result<Stage, DecodeError> {
    match wire::Stage::try_from(stage) {
        Ok(wire::Stage::Held) => Ok(Stage::Held),
        Ok(wire::Stage::Committed) => Ok(Stage::Committed),
        Ok(wire::Stage::Placed) => Ok(Stage::Placed),
        Ok(wire::Stage::Waiting) => Ok(Stage::Waiting),
        Ok(wire::Stage::Unspecified) | Err(_) => Err(unknown("Terms.stage", stage)),
    }
}

pub(super) fn bought_to_wire(bought: &Bought) -> wire::Bought {
    wire::Bought { campaign: bought.campaign.0, buyer_id: bought.buyer_id.to_string(), quantity: bought.quantity.0 }
}

pub(super) fn bought_from_wire(bought: &wire::Bought) -> Bought {
    Bought {
        campaign: CampaignId(bought.campaign),
        buyer_id: bought.buyer_id.as_str().into(),
        quantity: Quantity(bought.quantity),
    }
}

/// What a claim moves besides its lines; `None` when there is nothing.
pub(super) fn extra_from_wire(claim: &wire::Claim) -> Option<Box<ClaimExtra>> {
    let extra = ClaimExtra {
        presold: presold_from_wire(&claim.presold).into(),
        bought: claim.bought.as_ref().map(bought_from_wire),
        kits: claim.kits.iter().map(kit_from_wire).collect(),
    };
    (extra != ClaimExtra::default()).then(|| Box::new(extra))
}

pub(crate) fn path_to_wire(path: &[NodeId]) -> Vec<u32> {
    path.iter().map(|node| node.0).collect()
}

pub(crate) fn path_from_wire(path: &[u32]) -> Box<[NodeId]> {
    path.iter().map(|node| NodeId(*node)).collect()
}

pub(crate) fn presold_to_wire(presold: &[PresoldLine]) -> Vec<wire::PresoldLine> {
    let line = |one: &PresoldLine| wire::PresoldLine {
        supply: one.supply.0,
        sku: one.line.sku.0,
        location: one.line.location.0,
        quantity: one.line.quantity.0,
        promised_time_us: one.promised.0,
        charged: one.charged,
    };
    presold.iter().map(line).collect()
}

pub(crate) fn presold_from_wire(presold: &[wire::PresoldLine]) -> Vec<PresoldLine> {
    let line = |one: &wire::PresoldLine| PresoldLine {
        supply: SupplyId(one.supply),
        line: Line { sku: SkuId(one.sku), location: LocationId(one.location), quantity: Quantity(one.quantity) },
        promised: Timestamp(one.promised_time_us),
        charged: one.charged,
    };
    presold.iter().map(line).collect()
}

pub(crate) fn wanted_to_wire(wanted: &Wanted) -> wire::Wanted {
    wire::Wanted {
        sku: wanted.sku.0,
        location: wanted.location.map_or(0, |location| location.0 + 1),
        quantity: wanted.quantity.0,
    }
}

pub(crate) fn wanted_from_wire(wanted: &wire::Wanted) -> Wanted {
    Wanted {
        sku: SkuId(wanted.sku),
        location: wanted.location.checked_sub(1).map(LocationId),
        quantity: Quantity(wanted.quantity),
    }
}

pub(crate) fn kit_to_wire(kit: &KitLine) -> wire::KitLine {
    wire::KitLine { sku: kit.sku.0, quantity: kit.quantity.0 }
}

pub(crate) fn kit_from_wire(kit: &wire::KitLine) -> KitLine {
    KitLine { sku: SkuId(kit.sku), quantity: Quantity(kit.quantity) }
}

/// What a header in a snapshot keeps; `None` when there is nothing.
pub(crate) fn kept_from_wire(header: &wire::ReservationHeader) -> Option<Box<Kept>> {
    let kept = Kept {
        campaign: header.campaign.checked_sub(1).map(CampaignId),
        kits: header.kits.iter().map(kit_from_wire).collect(),
        wanted: header.wanted.iter().map(wanted_from_wire).collect(),
    };
    (kept != Kept::default()).then(|| Box::new(kept))
}
