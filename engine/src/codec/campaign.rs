//! Flash sales, their buyers and their waiting lists, and orders that take stock at payment: events and snapshot sections as messages.

use quartermaster_proto::journal::v1 as wire;

use super::{DecodeError, promise_from_wire, promise_to_wire, shards_from_wire, shards_to_wire, terms, unknown};
use crate::{
    campaign::{Campaign, Closing, Deduction, Item, Tally, Tranche, Waiter},
    event::{
        Line, Lines,
        campaign::{CampaignEvent, DropReason, Granted},
    },
    id::{CampaignId, ChannelId, LocationId, ReservationId, SkuId},
    quantity::Quantity,
    shard::Shard,
    terms::Bought,
    time::Timestamp,
};

pub(super) fn to_wire(event: &CampaignEvent) -> wire::CampaignEvent {
    let event = match event {
        CampaignEvent::Upserted { campaigns, left, created } => {
            wire::campaign_event::Event::Upserted(wire::CampaignsUpserted {
                campaigns: campaigns.iter().map(campaign_to_wire).collect(),
                left: left.iter().flat_map(|(campaign, sku)| [campaign.0, sku.0]).collect(),
                created: *created,
            })
        }
        CampaignEvent::Closed { campaign, ends_at, returned, buyers } => {
            wire::campaign_event::Event::Closed(wire::CampaignClosed {
                campaign: campaign.0,
                end_time_us: ends_at.0,
                returned: returned.iter().flat_map(|(sku, units)| [sku.0, units.0]).collect(),
                buyers: *buyers,
            })
        }
        CampaignEvent::Granted(granted) => wire::campaign_event::Event::Granted(wire::Granted {
            reservation: granted.reservation.0,
            promise: promise_to_wire(granted.promise).cast_unsigned(),
            expire_time_us: granted.expires_at.0,
            lines: granted.lines.iter().flat_map(|line| [line.sku.0, line.location.0, line.quantity.0]).collect(),
            path: terms::path_to_wire(&granted.path),
            campaign: granted.bought.as_ref().map_or(0, |bought| bought.campaign.0 + 1),
            buyer_id: granted.bought.as_ref().map_or_else(String::new, |bought| bought.buyer_id.to_string()),
            other_shards: shards_to_wire(&granted.others),
        }),
        CampaignEvent::Dropped { reservation, reason } => wire::campaign_event::Event::Dropped(wire::WaitingDropped {
            reservation: reservation.0,
            reason: match reason {
                DropReason::Ended => wire::DropReason::Ended,
                DropReason::LimitReached => wire::DropReason::LimitReached,
                DropReason::NotOffered => wire::DropReason::NotOffered,
            }
            .into(),
        }),
    };
    wire::CampaignEvent { event: Some(event) }
}

pub(super) fn from_wire(event: wire::CampaignEvent) -> Result<CampaignEvent, DecodeError> {
    Ok(match event.event {
        None | Some(wire::campaign_event::Event::None(_)) => return Err(DecodeError::NoEvent),
        Some(wire::campaign_event::Event::Upserted(upserted)) => CampaignEvent::Upserted {
            campaigns: upserted.campaigns.iter().map(campaign_from_wire).collect(),
            left: pairs(&upserted.left).map(|[campaign, sku]| (CampaignId(campaign), SkuId(sku))).collect(),
            created: upserted.created,
        },
        Some(wire::campaign_event::Event::Closed(closed)) => CampaignEvent::Closed {
            campaign: CampaignId(closed.campaign),
            ends_at: Timestamp(closed.end_time_us),
            returned: pairs(&closed.returned).map(|[sku, units]| (SkuId(sku), Quantity(units))).collect(),
            buyers: closed.buyers,
        },
        Some(wire::campaign_event::Event::Granted(granted)) => {
            let lines = pairs(&granted.lines).map(|[sku, location, quantity]| Line {
                sku: SkuId(sku),
                location: LocationId(location),
                quantity: Quantity(quantity),
            });
            let lines = lines.collect::<Lines>();
            let units = lines.iter().map(|line| line.quantity.units()).sum();
            CampaignEvent::Granted(Granted {
                reservation: ReservationId(granted.reservation),
                promise: promise_from_wire(granted.promise.cast_signed())?,
                expires_at: Timestamp(granted.expire_time_us),
                lines,
                path: terms::path_from_wire(&granted.path),
                bought: granted.campaign.checked_sub(1).map(|campaign| Bought {
                    campaign: CampaignId(campaign),
                    buyer_id: granted.buyer_id.into(),
                    quantity: Quantity::clamp(units),
                }),
                others: shards_from_wire(&granted.other_shards),
            })
        }
        Some(wire::campaign_event::Event::Dropped(dropped)) => CampaignEvent::Dropped {
            reservation: ReservationId(dropped.reservation),
            reason: match dropped.reason() {
                wire::DropReason::Ended => DropReason::Ended,
                wire::DropReason::LimitReached => DropReason::LimitReached,
                wire::DropReason::NotOffered => DropReason::NotOffered,
                wire::DropReason::Unspecified => return Err(unknown("waiting_dropped.reason", dropped.reason)),
            },
        },
    })
}

fn pairs<const N: usize>(numbers: &[u32]) -> impl Iterator<Item = [u32; N]> {
    numbers.as_chunks().0.iter().copied()
}

pub(crate) fn campaign_to_wire(campaign: &Campaign) -> wire::Campaign {
    let tranche = |tranche: &Tranche| wire::CampaignTranche { time_us: tranche.at.0, quantity: tranche.quantity.0 };
    let item =
        |item: &Item| wire::CampaignItem { sku: item.sku.0, tranches: item.tranches.iter().map(tranche).collect() };
    wire::Campaign {
        id: campaign.id.0,
        code: campaign.code.to_string(),
        name: campaign.name.to_string(),
        channel: campaign.channel.map_or(0, |channel| channel.0 + 1),
        start_time_us: campaign.starts_at.0,
        end_time_us: campaign.ends_at.0,
        buyer_limit: campaign.buyer_limit,
        order_limit: campaign.order_limit,
        items: campaign.items.iter().map(item).collect(),
        closed_time_us: campaign.closed.map_or(0, |closed| closed.at.0.saturating_add(1)),
        buyers: campaign.closed.map_or(0, |closed| closed.buyers),
    }
}

pub(crate) fn campaign_from_wire(campaign: &wire::Campaign) -> Campaign {
    let tranche = |tranche: &wire::CampaignTranche| Tranche {
        at: Timestamp(tranche.time_us),
        quantity: Quantity(tranche.quantity),
    };
    let item = |item: &wire::CampaignItem| Item {
        sku: SkuId(item.sku),
        tranches: item.tranches.iter().map(tranche).collect(),
    };
    let closed_at = campaign.closed_time_us.checked_sub(1).map(Timestamp);
    Campaign {
        id: CampaignId(campaign.id),
        code: campaign.code.as_str().into(),
        name: campaign.name.as_str().into(),
        channel: campaign.channel.checked_sub(1).map(ChannelId),
        starts_at: Timestamp(campaign.start_time_us),
        ends_at: Timestamp(campaign.end_time_us),
        buyer_limit: campaign.buyer_limit,
        order_limit: campaign.order_limit,
        items: campaign.items.iter().map(item).collect(),
        closed: closed_at.map(|at| Closing { at, buyers: campaign.buyers }),
    }
}

pub(super) fn deduction_to_wire(deduction: Deduction) -> u32 {
    match deduction {
        Deduction::Hold => 0,
        Deduction::OnOrder => 1,
        Deduction::OnPayment => 2,
    }
}

/// The default stands for numbers that are never written.
pub(super) fn deduction_from_wire(deduction: u32) -> Deduction {
    match deduction {
        1 => Deduction::OnOrder,
        2 => Deduction::OnPayment,
        _ => Deduction::Hold,
    }
}

/// What a snapshot keeps of a shard; `None` when there is nothing.
pub(crate) fn section(shard: &Shard) -> Option<wire::CampaignSection> {
    let state = &shard.campaigns;
    if state.tallies.is_empty() && state.lines.is_empty() && state.buyers.is_empty() {
        return None;
    }
    let tally = |((campaign, sku), tally): (&(CampaignId, SkuId), &Tally)| wire::CampaignTally {
        campaign: campaign.0,
        sku: sku.0,
        granted: tally.granted,
        held: tally.held,
        confirmed: tally.confirmed,
        shipped: tally.shipped,
        given_back: tally.given_back,
    };
    let waiters = state.lines.iter().flat_map(|((campaign, sku), line)| {
        line.waiters.iter().map(|(id, waiter)| wire::CampaignWaiter {
            campaign: campaign.0,
            sku: sku.0,
            reservation: id.0,
            buyer_id: waiter.buyer_id.to_string(),
            quantity: waiter.quantity.0,
        })
    });
    let buyers = state.buyers.iter().flat_map(|(campaign, buyers)| {
        let mut sorted: Vec<_> = buyers.iter().collect();
        sorted.sort_unstable();
        sorted.into_iter().map(|(buyer_id, units)| wire::CampaignBuyer {
            campaign: campaign.0,
            buyer_id: buyer_id.to_string(),
            units: *units,
        })
    });
    Some(wire::CampaignSection {
        tallies: state.tallies.iter().map(tally).collect(),
        waiters: waiters.collect(),
        buyers: buyers.collect(),
    })
}

/// More units than any campaign grants: sums of these and what comes fit 64 bits.
const UNITS_MAX: u64 = 1 << 48;

/// Puts back what a snapshot kept. Rows and parts are there already.
pub(crate) fn restore(shard: &mut Shard, section: wire::CampaignSection) -> Result<(), &'static str> {
    let state = &mut shard.campaigns;
    for tally in section.tallies {
        let (campaign, sku) = (CampaignId(tally.campaign), SkuId(tally.sku));
        let (granted, held, confirmed) = (tally.granted, tally.held, tally.confirmed);
        let (shipped, given_back) = (tally.shipped, tally.given_back);
        let parts = [held, confirmed, shipped, given_back];
        let sum = parts.into_iter().try_fold(0_u64, u64::checked_add);
        if sum != Some(granted) || granted > UNITS_MAX {
            return Err("what became of a campaign's units is not what was granted");
        }
        state.tallies.insert((campaign, sku), Tally { granted, held, confirmed, shipped, given_back });
    }
    for waiter in section.waiters {
        let line = state.lines.entry((CampaignId(waiter.campaign), SkuId(waiter.sku))).or_default();
        let (id, buyer_id) = (ReservationId(waiter.reservation), Box::<str>::from(waiter.buyer_id));
        line.buyers.insert(buyer_id.clone(), id);
        line.waiters.insert(id, Waiter { buyer_id, quantity: Quantity(waiter.quantity) });
    }
    for buyer in section.buyers {
        if buyer.units == 0 || buyer.units > UNITS_MAX {
            return Err("a buyer is counted who has nothing, or more than there can be");
        }
        if state.bought(CampaignId(buyer.campaign), &buyer.buyer_id) > 0 {
            return Err("a buyer is counted twice");
        }
        state.buy(CampaignId(buyer.campaign), &buyer.buyer_id, buyer.units);
    }
    Ok(())
}

/// Whatever campaigns can say, for the tests of the codec.
#[cfg(test)]
pub(super) mod strategies {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::{
        event::{Event, Lines, Promise, ShardSet},
        id::{NodeId, ShardId, SupplyId},
        terms::{ClaimExtra, KitLine, PresoldLine, Stage, Terms, Wanted},
    };

    fn path() -> impl Strategy<Value = Box<[NodeId]>> {
        vec(prop_oneof![0_u32..9, any::<u32>()].prop_map(NodeId), 0..5).prop_map(Vec::into_boxed_slice)
    }

    fn presold(lines: impl Strategy<Value = Lines>) -> impl Strategy<Value = Box<[PresoldLine]>> {
        let some = (any::<u64>(), lines).prop_map(|(supply, lines)| {
            lines
                .into_iter()
                .map(|line| PresoldLine {
                    supply: SupplyId(supply),
                    line,
                    promised: Timestamp(supply),
                    charged: supply % 2 == 1,
                })
                .collect()
        });
        prop_oneof![2 => Just(Box::default()), 1 => some]
    }

    fn bought() -> impl Strategy<Value = Bought> {
        (0_u32..300, "[a-z]{0,200}", any::<u32>()).prop_map(|(campaign, buyer_id, quantity)| Bought {
            campaign: CampaignId(campaign),
            buyer_id: buyer_id.into(),
            quantity: Quantity(quantity),
        })
    }

    pub(in crate::codec) fn extra(lines: impl Strategy<Value = Lines>) -> impl Strategy<Value = ClaimExtra> {
        let kit = any::<(u32, u32)>().prop_map(|(sku, units)| KitLine { sku: SkuId(sku), quantity: Quantity(units) });
        let kits = prop_oneof![2 => Just(Vec::new()), 1 => vec(kit, 0..3)];
        (presold(lines), option::of(bought()), kits).prop_map(|(presold, bought, kits)| ClaimExtra {
            presold,
            bought,
            kits: kits.into(),
        })
    }

    pub(in crate::codec) fn terms(lines: impl Strategy<Value = Lines>) -> impl Strategy<Value = Terms> {
        let stage = prop::sample::select(vec![Stage::Held, Stage::Committed, Stage::Placed, Stage::Waiting]);
        let wanted = (any::<u32>(), option::of(0_u32..300), any::<u32>());
        let wanted = wanted.prop_map(|(sku, location, quantity)| Wanted {
            sku: SkuId(sku),
            location: location.map(LocationId),
            quantity: Quantity(quantity),
        });
        let kit = any::<(u32, u32)>().prop_map(|(sku, units)| KitLine { sku: SkuId(sku), quantity: Quantity(units) });
        let kits = prop_oneof![2 => Just(Vec::new()), 1 => vec(kit, 0..3)];
        let numbers = (option::of(0_u32..300), prop_oneof![Just(0), any::<u32>()]);
        (path(), numbers, stage, vec(wanted, 0..3), presold(lines), kits).prop_map(
            |(path, (campaign, place), stage, wanted, presold, kits)| Terms {
                path,
                campaign: campaign.map(CampaignId),
                stage,
                wanted: wanted.into(),
                presold,
                kits: kits.into(),
                place,
            },
        )
    }

    fn campaign() -> impl Strategy<Value = Campaign> {
        let tranche =
            any::<(u64, u32)>().prop_map(|(at, units)| Tranche { at: Timestamp(at), quantity: Quantity(units) });
        let item = (any::<u32>(), vec(tranche, 0..3));
        let item = item.prop_map(|(sku, tranches)| Item { sku: SkuId(sku), tranches });
        let closed = option::of((0..u64::MAX, any::<u64>()));
        let rest = (option::of(0_u32..9), any::<(u64, u64)>(), any::<(u32, u32)>(), vec(item, 0..3), closed);
        (0_u32..9, "[a-z]{0,5}", "[a-z]{0,5}", rest).prop_map(|(id, code, name, rest)| {
            let (channel, (starts_at, ends_at), (buyer_limit, order_limit), items, closed) = rest;
            Campaign {
                id: CampaignId(id),
                code: code.into(),
                name: name.into(),
                channel: channel.map(ChannelId),
                starts_at: Timestamp(starts_at),
                ends_at: Timestamp(ends_at),
                buyer_limit,
                order_limit,
                items,
                // Who bought is told of closed campaigns only.
                closed: closed.map(|(at, buyers)| Closing { at: Timestamp(at), buyers }),
            }
        })
    }

    fn granted(lines: impl Strategy<Value = Lines>) -> impl Strategy<Value = Granted> {
        let promise = prop::sample::select(vec![Promise::Reserved, Promise::Committed]);
        let others = vec(any::<u8>(), 0..4);
        (any::<(u64, u64)>(), promise, lines, path(), option::of(bought()), others).prop_map(
            |((id, at), promise, lines, path, bought, others)| {
                // What is granted is what counts to the buyer.
                let units = lines.iter().map(|line| line.quantity.units()).sum();
                Granted {
                    reservation: ReservationId(id),
                    promise,
                    expires_at: Timestamp(at),
                    bought: bought.map(|bought| Bought { quantity: Quantity::clamp(units), ..bought }),
                    lines,
                    path,
                    others: others.into_iter().map(ShardId).collect::<ShardSet>(),
                }
            },
        )
    }

    pub(in crate::codec) fn events(lines: impl Strategy<Value = Lines> + Clone) -> impl Strategy<Value = Event> {
        let pairs = || vec(any::<(u32, u32)>(), 0..3);
        let reason = prop::sample::select(vec![DropReason::Ended, DropReason::LimitReached, DropReason::NotOffered]);
        let event = prop_oneof![
            (vec(campaign(), 0..3), pairs(), any::<u32>()).prop_map(|(campaigns, left, created)| {
                let left = left.into_iter().map(|(campaign, sku)| (CampaignId(campaign), SkuId(sku))).collect();
                CampaignEvent::Upserted { campaigns, left, created }
            }),
            (any::<(u32, u64, u64)>(), pairs()).prop_map(|((campaign, at, buyers), returned)| CampaignEvent::Closed {
                campaign: CampaignId(campaign),
                ends_at: Timestamp(at),
                returned: returned.into_iter().map(|(sku, units)| (SkuId(sku), Quantity(units))).collect(),
                buyers,
            }),
            granted(lines).prop_map(CampaignEvent::Granted),
            (any::<u64>(), reason)
                .prop_map(|(id, reason)| CampaignEvent::Dropped { reservation: ReservationId(id), reason }),
        ];
        event.prop_map(|event| Event::Campaign(Box::new(event)))
    }
}
