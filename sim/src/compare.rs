//! The engine as its queries show it, held against the model.

use std::collections::BTreeMap;

use quartermaster_engine::{
    Engine,
    allotment::Allotment,
    event::returns::ReturnKind,
    id::{NodeId, SkuId},
    query::{ReservationFilter, allotment::Asker, returns::ReturnFilter, upkeep::FreezeFilter},
    stock::Buckets,
    time::Timestamp,
};

use super::{
    model::{Ahead, Cell, Due, Judged, Model, Rate, Return, Share, Tally, There, must},
    workload::BUYERS,
};

fn figures(buckets: &Buckets) -> Cell {
    Cell {
        on_hand: buckets.on_hand.units(),
        reserved: buckets.reserved.units(),
        committed: buckets.committed.units(),
        safety: buckets.safety.units(),
        quality_control: buckets.quality_control.units(),
        damaged: buckets.damaged.units(),
        in_repair: buckets.in_repair.units(),
        incoming: buckets.incoming.units(),
        kept: buckets.kept.units(),
    }
}

/// All that can be asked is what the model says.
///
/// # Errors
/// The first difference.
pub fn compare(engine: &Engine, model: &Model) -> Judged {
    cells(engine, model)?;
    availability(engine, model)?;
    reservations(engine, model)?;
    allotments(engine, model)?;
    returns(engine, model)?;
    freezes(engine, model)?;
    campaigns(engine, model)?;
    supplies(engine, model)?;
    model.judge_incoming()?;
    let violations = engine.audit().violations;
    must!(violations.is_empty(), "the auditor finds {violations:?}");
    let booked = engine.audit_bookings();
    must!(booked.is_empty(), "the auditor finds {booked:?}");
    Ok(())
}

fn cells(engine: &Engine, model: &Model) -> Judged {
    for sku in model.all_skus() {
        let (_, cells, _) = engine.cells(sku, None, 100);
        let ours: BTreeMap<_, _> = cells.iter().map(|cell| (cell.location, figures(&cell.buckets))).collect();
        for location in model.all_locations() {
            let (ours, theirs) = (ours.get(&location).copied().unwrap_or_default(), model.cell((sku, location)));
            must!(ours == theirs, "cell {sku:?} {location:?}\n engine {ours:?}\n model  {theirs:?}");
        }
    }
    let (_, short, _) = engine.shortfalls(None, 1_000, 1);
    let short: Vec<_> = short.iter().map(|short| (short.cell.sku, short.cell.location)).collect();
    let theirs = model.cells.iter().filter(|(_, cell)| cell.shortfall() > 0).map(|(place, _)| *place);
    must!(short == theirs.collect::<Vec<_>>(), "shortfalls {short:?}");
    Ok(())
}

fn availability(engine: &Engine, model: &Model) -> Judged {
    let (skus, locations): (Vec<_>, Vec<_>) = (model.all_skus().collect(), model.all_locations().collect());
    for row in engine.availability(&skus, &locations).1 {
        let ours: Vec<u64> = row.by_location.iter().map(|units| units.units()).collect();
        let (most, theirs) = within_reach(model, row.sku, &[], true);
        must!(row.available == most, "{} of {:?} in all, not {most}", row.available, row.sku);
        must!(ours == theirs, "available of {:?}\n engine {ours:?}\n model  {theirs:?}", row.sku);
        let known = &model.skus[row.sku.index()];
        let parts = known.components.iter().map(|(part, _)| model.skus[part.index()].revision);
        let revision = parts.fold(known.revision, u64::max);
        must!(row.revision.get() == revision, "revision {} of {:?}, not {revision}", row.revision, row.sku);
    }
    Ok(())
}

/// What can be had of a SKU in all and at each location; of a kit as many as its scarcest component allows.
fn within_reach(model: &Model, sku: SkuId, path: &[NodeId], active: bool) -> (u64, Vec<u64>) {
    let locations = || model.all_locations();
    let known = &model.skus[sku.index()];
    if known.components.is_empty() {
        let most = if active { model.reach(sku, path, model.pool(sku)) } else { 0 };
        return (most, locations().map(|location| model.takeable((sku, location)).min(most)).collect());
    }
    if !model.is_for_sale(sku) {
        return (0, locations().map(|_| 0).collect());
    }
    let parts = known.components.iter().map(|(part, units)| {
        let (most, by_location) = within_reach(model, *part, path, active);
        (most / units, by_location.into_iter().map(|at| at / units).collect::<Vec<u64>>())
    });
    let least =
        |one: Vec<u64>, other: Vec<u64>| one.into_iter().zip(other).map(|(one, other)| one.min(other)).collect();
    parts.reduce(|one, other| (one.0.min(other.0), least(one.1, other.1))).expect("a kit has components")
}

fn freezes(engine: &Engine, model: &Model) -> Judged {
    let (_, all, _) = engine.freezes(&FreezeFilter::default(), None, 100_000);
    let mut ours: Vec<_> = all.iter().map(|(target, freeze)| (*target, freeze.id, freeze.reason)).collect();
    ours.sort_unstable();
    let theirs = model.freezes.iter().flat_map(|(target, all)| all.iter().map(|(id, why)| (*target, *id, *why)));
    must!(ours == theirs.collect::<Vec<_>>(), "frozen are {ours:?}, not {:?}", model.freezes);
    Ok(())
}

fn reservations(engine: &Engine, model: &Model) -> Judged {
    let (_, all, _) = engine.reservations(&ReservationFilter::default(), None, 100_000);
    must!(all.len() == model.reservations.len(), "{} reservations", all.len());
    for ours in &all {
        let Some(theirs) = model.reservations.get(&ours.id) else { return Err(format!("{} was never made", ours.id)) };
        let told = (ours.state, &*ours.buyer_id, ours.channel, ours.created_at, ours.expires_at, ours.ended_at);
        let known = (theirs.state, &*theirs.buyer, theirs.channel, theirs.created, theirs.expires, theirs.ended);
        must!(told == known, "reservation {}\n engine {told:?}\n model  {known:?}", ours.id);
        let lines: Vec<_> = ours
            .lines
            .iter()
            .map(|line| {
                let units = [line.open.units(), line.shipped.units(), line.returned.units(), line.announced.units()];
                ((line.sku, line.location), units, line.charged)
            })
            .collect();
        let known = theirs
            .lines
            .iter()
            .map(|(place, own)| (*place, [own.open, own.shipped, own.returned, own.announced], own.charged));
        let known: Vec<_> = known.collect();
        let campaign = ours.kept.as_ref().and_then(|kept| kept.campaign);
        must!(campaign == theirs.campaign, "{} is of {campaign:?}", ours.id);
        let ahead: BTreeMap<_, _> = ours
            .presold
            .iter()
            .map(|one| {
                let (units, promised, charged) = (one.line.quantity.units(), one.promised, one.charged);
                (one.supply, Ahead { units, promised, charged })
            })
            .collect();
        must!(ahead == theirs.ahead, "ahead of {}\n engine {ahead:?}\n model  {:?}", ours.id, theirs.ahead);
        let kits = ours.kept.iter().flat_map(|kept| kept.kits.iter());
        let kits: BTreeMap<_, _> = kits.map(|kit| (kit.sku, kit.quantity.units())).collect();
        must!(kits == theirs.kits, "kits of {}: {kits:?}, not {:?}", ours.id, theirs.kits);
        must!(lines == known, "lines of {}\n engine {lines:?}\n model  {known:?}", ours.id);
    }
    Ok(())
}

/// What nodes have of each SKU, and what each channel can have, by every way to ask.
fn allotments(engine: &Engine, model: &Model) -> Judged {
    let (_, all, _) = engine.allotments(None, None, None, 100_000);
    let ours: BTreeMap<_, _> = all.iter().map(|own| ((own.sku, own.node), share(&own.allotment))).collect();
    let theirs = model.selling.shares.iter();
    let theirs: BTreeMap<_, _> =
        theirs.flat_map(|(sku, nodes)| nodes.iter().map(|(node, share)| ((*sku, *node), *share))).collect();
    must!(ours == theirs, "allotments\n engine {ours:?}\n model  {theirs:?}");
    for own in &all {
        let open = own.node.channel().is_none_or(|channel| model.channels[channel.index()].active);
        let most = model.reach(own.sku, &model.path(Some(own.node)), model.pool(own.sku));
        let most = if open { most } else { 0 };
        must!(own.reach == most, "{:?} of {:?} can reach {}, not {most}", own.node, own.sku, own.reach);
    }
    let (skus, locations): (Vec<_>, Vec<_>) = (model.all_skus().collect(), model.all_locations().collect());
    for channel in model.all_channels() {
        let spec = &model.channels[channel.index()];
        let asker = Asker { channel: spec.code.clone(), campaign: String::new() };
        let (_, rows) = engine.availability_to(&asker, &skus, &locations).map_err(|error| error.to_string())?;
        for row in rows {
            let (most, theirs) = within_reach(model, row.sku, &model.path_of(Some(channel), None), spec.active);
            must!(row.available == most, "{} of {:?} for {}, not {most}", row.available, row.sku, spec.code);
            let ours: Vec<u64> = row.by_location.iter().map(|units| units.units()).collect();
            must!(ours == theirs, "{ours:?} of {:?} for {}, not {theirs:?}", row.sku, spec.code);
        }
    }
    Ok(())
}

/// Returns, how far each has come, and how much of each SKU comes back.
fn returns(engine: &Engine, model: &Model) -> Judged {
    let (_, all, _) = engine.returns_page(&ReturnFilter::default(), None, 100_000);
    must!(all.len() == model.came_back.len(), "{} returns", all.len());
    for ours in &all {
        let lines = ours.lines.iter().map(|line| {
            let (announced, received) = (line.announced.units(), line.received.units());
            ((line.sku, line.shipped_from), Due { announced, received, withdrawn: line.withdrawn.units() })
        });
        let arrivals = ours.arrivals.iter().map(|there| {
            let (received, inspected) = (there.received.units(), there.inspected.map(|units| units.units()));
            ((there.sku, there.location), There { received, inspected })
        });
        let told = Return {
            reservation: ours.reservation,
            exchanged_for: ours.exchanged_for,
            lines: lines.collect(),
            arrivals: arrivals.collect(),
            is_customer: ours.kind == ReturnKind::Customer,
            ended: ours.ended_at.is_some(),
        };
        let known = model.came_back.get(&ours.id);
        must!(known == Some(&told), "return {}\n engine {told:?}\n model  {known:?}", ours.id);
    }
    for sku in model.all_skus() {
        let ours = engine.return_rate(sku);
        let ours = Rate { shipped: ours.shipped, returned: ours.returned, undelivered: ours.undelivered };
        let theirs = model.rates.get(&sku).copied().unwrap_or_default();
        must!(ours == theirs, "of {sku:?} came back {ours:?}, not {theirs:?}");
    }
    Ok(())
}

/// What became of campaigns' units, who had how many, and who waits.
fn campaigns(engine: &Engine, model: &Model) -> Judged {
    let (_, all, _) = engine.campaigns(None, 1_000, false);
    must!(all.len() == model.sales.campaigns.len(), "{} campaigns", all.len());
    for (ours, theirs) in all.iter().zip(&model.sales.campaigns) {
        must!(*ours.campaign == *theirs, "campaigns\n engine {:?}\n model  {theirs:?}", ours.campaign);
        for item in &ours.items {
            let tally = item.tally;
            let told = Tally {
                granted: tally.granted,
                held: tally.held,
                confirmed: tally.confirmed,
                shipped: tally.shipped,
                given_back: tally.given_back,
            };
            let known = model.sales.tallies.get(&(theirs.id, item.sku)).copied().unwrap_or_default();
            must!(told == known, "units of {}\n engine {told:?}\n model  {known:?}", theirs.code);
            let waiting = model.waiting(theirs.id, item.sku);
            must!(u64::try_from(waiting.len()) == Ok(item.waiting), "{} wait, not {waiting:?}", item.waiting);
            for (place, id) in (1..).zip(waiting) {
                must!(engine.place_in_line(id) == Some(place), "{id} is not at {place}");
            }
        }
        for buyer in BUYERS {
            let known = model.sales.bought.get(&(theirs.id, buyer.into())).copied().unwrap_or(0);
            must!(engine.bought(theirs.id, buyer) == known, "{buyer} has not {known} of {}", theirs.code);
        }
    }
    Ok(())
}

/// Documents, what each line may promise and has promised, and what can be promised over time.
fn supplies(engine: &Engine, model: &Model) -> Judged {
    for (code, known) in &model.expected.documents {
        let (_, told) = engine.inbound(code).map_err(|error| error.to_string())?;
        let header = &told.header;
        let head = (header.location, header.from, header.eta, header.state);
        must!(head == (known.location, known.from, known.eta, known.state), "document {code}: {header:?}");
        let lines = header.lines.iter().zip(&told.promised).map(|(line, promised)| (line.supply, *promised));
        let theirs = known.lines.iter().map(|id| (*id, model.promised_of(*id)));
        must!(lines.eq(theirs), "lines of {code}: {:?} {:?}", header.lines, told.promised);
        for line in &header.lines {
            let own = &model.expected.supplies[&line.supply];
            let told = (line.expected.units(), line.received.units(), line.cap.map(|cap| cap.units()), line.open);
            must!(told == (own.expected, own.received, own.cap, own.open), "{line:?} is not {own:?}");
        }
    }
    let skus: Vec<SkuId> = model.all_skus().collect();
    for row in engine.atp(&skus, &[], None).1 {
        let available = model.reach(row.sku, &[], model.pool(row.sku));
        if model.skus[row.sku.index()].components.is_empty() {
            must!(row.available == available, "{} of {:?} by now, not {available}", row.available, row.sku);
        }
        let mut steps: BTreeMap<Timestamp, u64> = BTreeMap::new();
        let open = if model.is_for_sale(row.sku) { model.open_supplies(row.sku, Timestamp::MAX) } else { Vec::new() };
        for id in open {
            *steps.entry(model.expected.supplies[&id].eta).or_default() += model.room(id);
        }
        steps.retain(|_, units| *units > 0);
        let told: BTreeMap<_, _> = row.steps.iter().map(|step| (step.time, step.added)).collect();
        must!(told == steps, "{:?} can be promised {told:?}, not {steps:?}", row.sku);
        let mut total = row.available;
        for step in &row.steps {
            total += step.added;
            must!(step.total == total, "sums of {:?}", row.steps);
        }
    }
    Ok(())
}

fn share(own: &Allotment) -> Share {
    Share {
        quota: own.quota.map(u64::from),
        ceiling: own.ceiling.map(u64::from),
        spill_over: own.spill_over,
        reserved: u64::from(own.reserved),
        committed: u64::from(own.committed),
        shipped: own.shipped,
        granted: own.granted,
    }
}
