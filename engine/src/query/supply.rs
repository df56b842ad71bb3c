//! Units that are expected, the promises on them, and transfers: reads.

use quartermaster_journal::Lsn;

use crate::{
    catalog::LocationState,
    decide::allotment::cap_in,
    engine::Engine,
    error::Error,
    event::{
        ShardSet,
        supply::{InboundState, UncoveredPromise},
    },
    id::{LocationId, ShardId, SkuId, SupplyId},
    quantity::Quantity,
    shard::SharedLocked,
    supply::{InboundHeader, Supply, home_of},
    time::Timestamp,
};

/// A document of expected units as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// Its code.
    pub code: Box<str>,
    /// What its header keeps.
    pub header: InboundHeader,
    /// Units promised ahead of each line, in the order of the header's.
    pub promised: Vec<u64>,
    /// Units of those that the line does not cover.
    pub uncovered: Vec<u64>,
}

/// Which documents are listed. All that is given must hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct InboundFilter {
    /// Expected at this location.
    pub location: Option<LocationId>,
    /// With a line of this SKU.
    pub sku: Option<SkuId>,
    /// Expected at this time or later.
    pub eta_from: Option<Timestamp>,
    /// Expected before this time.
    pub eta_before: Option<Timestamp>,
    /// Closed ones too.
    pub closed: bool,
}

/// What can be promised of a SKU over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Atp {
    /// Which SKU.
    pub sku: SkuId,
    /// Units that a Reserve of no channel could take from stock now: without what is ring-fenced.
    pub available: u64,
    /// Units that can be promised ahead more, by when they are expected: each time once, ascending.
    pub steps: Vec<AtpStep>,
    /// LSN of the last event that changed its stock or what is expected of it.
    pub revision: Lsn,
}

/// Units that can be promised from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtpStep {
    /// When they are expected.
    pub time: Timestamp,
    /// Units expected then that can be promised ahead.
    pub added: u64,
    /// Units that can be promised until then, stock included.
    pub total: u64,
}

impl Atp {
    /// The first time at which this many units can be promised; `now` when stock has them. `None`: not by what is known.
    #[must_use]
    pub fn first(&self, quantity: u64, now: Timestamp) -> Option<Timestamp> {
        if self.available >= quantity {
            return Some(now);
        }
        self.steps.iter().find(|step| step.total >= quantity).map(|step| step.time)
    }

    /// Units that can be promised by then.
    #[must_use]
    pub fn by(&self, time: Timestamp) -> u64 {
        let last = self.steps.iter().take_while(|step| step.time <= time).last();
        last.map_or(self.available, |step| step.total)
    }
}

/// A supply that does not cover what is promised of it, and whom this hurts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresaleShortfall {
    /// The supply.
    pub supply: Supply,
    /// The promises it does not cover, the last given, in the order of promise.
    pub hurt: Vec<UncoveredPromise>,
}

/// Running figures of what is expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SupplyCounts {
    /// Documents that are open.
    pub inbounds: u64,
    /// Units that open supplies still expect.
    pub incoming: u64,
    /// Of those, units that left another location.
    pub in_transit: u64,
    /// Units promised ahead.
    pub presold: u64,
    /// Of those, units that no supply covers.
    pub uncovered: u64,
}

impl Engine {
    /// A document as it stands.
    ///
    /// # Errors
    /// `UnknownInbound` when it was never announced or is no longer kept.
    pub fn inbound(&self, code: &str) -> Result<(Lsn, Inbound), Error> {
        let home = home_of(code);
        let unknown = || Error::UnknownInbound { code: code.to_owned() };
        loop {
            let shards = {
                let shard = self.shards.read(home);
                shards_of(shard.supply.header(code).ok_or_else(unknown)?, home)
            };
            let locked = self.shards.lock_shared(&shards);
            let header = locked.shard(home).supply.header(code).ok_or_else(unknown)?;
            if shards_of(header, home) != shards {
                continue;
            }
            let mut rests_on = header.revision;
            for line in &header.lines {
                rests_on = rests_on.max(locked.shard(line.sku.shard()).row(line.sku).revision());
            }
            return Ok((self.as_of(rests_on), inbound(&locked, code, header)));
        }
    }

    /// Documents past `after` by code, at most `limit`; and whether there are more. Every document is looked at. Each is of one moment, the
    /// page is not.
    #[must_use]
    pub fn inbounds(&self, filter: &InboundFilter, after: &str, limit: usize) -> (Lsn, Vec<Inbound>, bool) {
        let mut codes: Vec<Box<str>> = Vec::new();
        for shard in ShardId::all() {
            let shard = self.shards.read(shard);
            let wanted = shard.supply.headers().filter(|(code, header)| {
                *code > after
                    && (filter.closed || header.state.is_open())
                    && filter.location.is_none_or(|location| location == header.location)
                    && filter.sku.is_none_or(|sku| header.lines.iter().any(|line| line.sku == sku))
                    && filter.eta_from.is_none_or(|from| header.eta >= from)
                    && filter.eta_before.is_none_or(|before| header.eta < before)
            });
            codes.extend(wanted.map(|(code, _)| Box::<str>::from(code)));
        }
        codes.sort_unstable();
        let more = codes.len() > limit;
        codes.truncate(limit);
        let page = codes.iter().filter_map(|code| self.inbound(code).ok()).map(|(_, inbound)| inbound);
        (self.journal.appended_lsn(), page.collect(), more)
    }

    /// What can be promised of SKUs over time, at open ones of `locations` (none: at all open locations), of what is expected before
    /// `until`; all at one LSN. What a Reserve with presale would get by then.
    #[must_use]
    pub fn atp(&self, skus: &[SkuId], locations: &[LocationId], until: Option<Timestamp>) -> (Lsn, Vec<Atp>) {
        let shards: ShardSet = skus.iter().map(|sku| sku.shard()).collect();
        let locked = self.shards.lock_shared(&shards);
        let rows: Vec<Atp> = skus.iter().map(|sku| atp(&locked, *sku, locations, until)).collect();
        let rests_on = skus.iter().zip(&rows).map(|(sku, row)| {
            let shard = locked.shard(sku.shard());
            let for_sale = shard.row(*sku).sellable() && !shard.row(*sku).retired();
            row.revision.max(shard.directory.revision()).max(if for_sale { Lsn::ZERO } else { shard.lsn })
        });
        let newest = rests_on.max().unwrap_or(Lsn::ZERO);
        (self.as_of(newest), rows)
    }

    /// Supplies that do not cover what is promised of them, past `after` by id, at most `limit`; and whether there are more.
    #[must_use]
    pub fn presale_shortfalls(&self, after: Option<SupplyId>, limit: usize) -> (Lsn, Vec<PresaleShortfall>, bool) {
        let mut places: Vec<(SupplyId, SkuId)> = ShardId::all()
            .flat_map(|shard| self.shards.read(shard).supply.uncovered().collect::<Vec<_>>())
            .filter(|(_, supply)| after.is_none_or(|after| *supply > after))
            .map(|(sku, supply)| (supply, sku))
            .collect();
        places.sort_unstable();
        let more = places.len() > limit;
        places.truncate(limit);
        let shortfalls = places.into_iter().filter_map(|(id, sku)| {
            let shard = self.shards.read(sku.shard());
            let supply = shard.supply.supply(id).filter(|supply| supply.uncovered() > 0)?.clone();
            let mut over = supply.uncovered();
            let mut hurt = Vec::new();
            for (reservation, units) in shard.supply.promises(id).rev() {
                let quantity = Quantity::clamp(units.units().min(over));
                if quantity.is_zero() {
                    break;
                }
                over -= quantity.units();
                hurt.push(UncoveredPromise { reservation, sku, supply: id, quantity });
            }
            hurt.reverse();
            Some(PresaleShortfall { supply, hurt })
        });
        let shortfalls = shortfalls.collect();
        (self.journal.appended_lsn(), shortfalls, more)
    }

    /// A supply, while more may come or something is promised of it.
    #[must_use]
    pub fn expected_supply(&self, id: SupplyId) -> Option<Supply> {
        self.shards.read(id.shard()).supply.supply(id).cloned()
    }

    /// Running figures, each shard at its own moment.
    #[must_use]
    pub fn supply_counts(&self) -> SupplyCounts {
        let mut counts = SupplyCounts::default();
        for shard in ShardId::all() {
            let shard = self.shards.read(shard);
            let open = shard
                .supply
                .headers()
                .filter(|(_, header)| matches!(header.state, InboundState::Open | InboundState::Receiving));
            counts.inbounds += u64::try_from(open.count()).unwrap_or(u64::MAX);
            for supply in shard.supply.supplies() {
                let rest = supply.line.rest().units();
                counts.incoming += rest;
                counts.in_transit += if supply.in_transit { rest } else { 0 };
                counts.presold += supply.promised;
                counts.uncovered += supply.uncovered();
            }
        }
        counts
    }
}

fn shards_of(header: &InboundHeader, home: ShardId) -> ShardSet {
    header.lines.iter().map(|line| line.sku.shard()).chain([home]).collect()
}

fn inbound(locked: &SharedLocked<'_>, code: &str, header: &InboundHeader) -> Inbound {
    let figure = |of: fn(&Supply) -> u64| {
        let figures = header.lines.iter().map(|line| {
            let supply = locked.shard(line.sku.shard()).supply.supply(line.supply);
            supply.map_or(0, of)
        });
        figures.collect()
    };
    Inbound {
        code: code.into(),
        header: header.clone(),
        promised: figure(|supply| supply.promised),
        uncovered: figure(Supply::uncovered),
    }
}

fn atp(locked: &SharedLocked<'_>, sku: SkuId, locations: &[LocationId], until: Option<Timestamp>) -> Atp {
    let shard = locked.shard(sku.shard());
    let (row, directory) = (shard.row(sku), &shard.directory);
    let for_sale = row.sellable() && !row.retired();
    let here = |location: LocationId| {
        for_sale
            && directory.takes(location)
            && directory.state(location) == LocationState::Open
            && (locations.is_empty() || locations.contains(&location))
    };
    let available: u64 = row.stocked().filter(|(location, _)| here(*location)).map(|(_, units)| units.units()).sum();
    // What others keep for themselves cannot be promised to anybody else.
    let available = cap_in(shard, sku, &[]).map_or(available, |cap| available.min(cap.units));
    let mut steps: Vec<AtpStep> = Vec::new();
    let mut total = available;
    for supply in shard.supply.expected(sku).take_while(|supply| until.is_none_or(|until| supply.eta < until)) {
        let room = supply.room();
        if room == 0 || !here(supply.location) {
            continue;
        }
        total += room;
        match steps.last_mut().filter(|step| step.time == supply.eta) {
            Some(step) => {
                step.added += room;
                step.total = total;
            }
            None => steps.push(AtpStep { time: supply.eta, added: room, total }),
        }
    }
    Atp { sku, available, steps, revision: row.revision() }
}
