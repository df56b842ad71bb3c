//! From a request to a brief: codes resolved, lines of one SKU summed, and what is read beforehand without a lock to hold.

use std::sync::Arc;

use quartermaster_sourcing::LocationId as PlaceId;

use super::{location, sourcing::Brief, sourcing::BriefLine};
use crate::{
    catalog::{Catalogue, Directory, Sku},
    command::{LineSourcing, Reserve, SourcingRequest},
    error::Error,
    id::SkuId,
    sourced::Ask,
};

/// Resolves a request. Open parcels and siblings are left to be filled in.
///
/// # Errors
/// Unknown codes, lines of one SKU that differ in their conditions or pass 32 bits together.
pub(crate) fn brief(catalogue: &Catalogue, request: &Reserve, sourcing: &SourcingRequest) -> Result<Brief, Error> {
    let directory = catalogue.directory();
    let mut lines: Vec<BriefLine> = Vec::with_capacity(request.lines.len());
    let mut substitutes: Vec<(SkuId, BriefLine)> = Vec::new();
    let none = LineSourcing::default();
    let mut order: Vec<usize> = (0..request.lines.len()).collect();
    let ids = request.lines.iter().map(|line| sku(catalogue, &line.sku)).collect::<Result<Vec<_>, _>>()?;
    order.sort_by_key(|place| ids[*place].id);
    let mut before: Option<(&LineSourcing, u64)> = None;
    for place in order {
        let (line, sku) = (&request.lines[place], &ids[place]);
        let conditions = line.sourcing.as_deref().unwrap_or(&none);
        if let (Some(last), Some((same, sum))) = (lines.last_mut(), before)
            && last.sku.id == sku.id
        {
            if same != conditions {
                return Err(Error::MixedConditions { sku: line.sku.clone().into() });
            }
            let requested = sum + line.quantity.units();
            let overflow = |_| Error::SumOverflow { sku: line.sku.clone().into(), requested };
            last.quantity = u32::try_from(requested).map_err(overflow)?;
            before = Some((same, requested));
            continue;
        }
        before = Some((conditions, line.quantity.units()));
        let own = BriefLine {
            sku: Arc::clone(sku),
            quantity: line.quantity.0,
            whole: conditions.whole,
            only: places(directory, &conditions.only)?,
            never: places(directory, &conditions.never)?,
            rather: places(directory, &conditions.rather)?,
            siblings: None,
        };
        for code in &conditions.substitutes {
            let other = self::sku(catalogue, code)?;
            if other.id != sku.id && other.spec.sellable {
                substitutes.push((sku.id, BriefLine { sku: other, ..own.clone() }));
            }
        }
        lines.push(own);
    }
    substitutes.retain(|(_, other)| lines.iter().all(|line| line.sku.id != other.sku.id));
    Ok(Brief {
        ask: ask(directory, request, sourcing)?,
        channel: request.channel.clone().into(),
        lines,
        substitutes,
        open_parcels: Vec::new(),
    })
}

fn ask(directory: &Directory, request: &Reserve, sourcing: &SourcingRequest) -> Result<Ask, Error> {
    let pickup = &sourcing.pickup_location;
    Ok(Ask {
        region: sourcing.region.as_str().into(),
        point: sourcing.point,
        service_level: sourcing.service_level.as_str().into(),
        order_type: sourcing.order_type.as_str().into(),
        buyer_tier: sourcing.buyer_tier.as_str().into(),
        mode: sourcing.mode,
        pickup_at: if pickup.is_empty() { None } else { Some(location(directory, pickup)?) },
        wanted_by: sourcing.wanted_by,
        parcels_max: sourcing.parcels_max,
        policy: sourcing.policy.as_str().into(),
        receiver_key: sourcing.receiver_key.as_str().into(),
        join_open_parcels: sourcing.join_open_parcels,
        allow_partial: request.allow_partial,
    })
}

fn sku(catalogue: &Catalogue, code: &str) -> Result<Arc<Sku>, Error> {
    let id = catalogue.sku(code).ok_or_else(|| Error::UnknownSku { code: code.into() })?;
    Ok(Arc::clone(&catalogue.skus()[id.index()]))
}

fn places(directory: &Directory, codes: &[String]) -> Result<Vec<PlaceId>, Error> {
    codes.iter().map(|code| location(directory, code).map(|location| PlaceId(location.0))).collect()
}
