//! Kits: SKUs that consist of others. A kit has no stock of its own; an order for kits is one for their components.
//!
//! A kit is taken whole or not at all. Where an order takes what there is, kits come first, in the order of its lines and as many whole
//! ones as there are of each; single units of the same SKUs get what is left.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use quartermaster_journal::Lsn;

use super::{Decision, location, reserve, selection::Subject, sourcing::Brief, upkeep::not_for_sale};
use crate::{
    allotment::LimitedBy,
    catalog::{Catalogue, Component, Sku},
    command::{Asked, LineSelection, Reserve, ReserveLine},
    error::{CodedShortage, Error, KitFault, Rejection},
    event::{Event, Held, Line, Lines, Shortage},
    id::{LocationId, ReservationId, ShardId, SkuId},
    quantity::Quantity,
    shard::{Locked, Look},
    terms::KitLine,
    time::Timestamp,
};

/// Gives components their ids, and holds kits to their rules: they consist of SKUs that are there and are no kits, and of the same for
/// as long as they are active.
pub(crate) fn resolve(catalogue: &Catalogue, skus: &mut [Sku]) -> Result<(), Error> {
    if catalogue.kits().is_empty() && skus.iter().all(|sku| sku.spec.components.is_empty()) {
        return Ok(());
    }
    let of_request: HashMap<String, (SkuId, bool), ahash::RandomState> = {
        let mut known = HashMap::with_hasher(crate::catalog::hasher());
        known.extend(skus.iter().map(|sku| (sku.spec.code.clone(), (sku.id, !sku.spec.components.is_empty()))));
        known
    };
    for sku in skus.iter_mut() {
        let invalid = |component: &str, fault| Error::InvalidKit {
            sku: sku.spec.code.clone(),
            component: component.to_owned(),
            fault,
        };
        let before = catalogue.components(sku.id);
        let spec = &sku.spec.components;
        let mut components = Vec::with_capacity(spec.len());
        for (code, units) in spec {
            let (id, is_kit) = match of_request.get(code) {
                Some(known) => *known,
                None => {
                    let id = catalogue.sku(code).ok_or_else(|| Error::UnknownSku { code: code.clone() })?;
                    (id, catalogue.kits().contains(&id))
                }
            };
            if is_kit {
                return Err(invalid(code, KitFault::OfKits));
            }
            components.push(Component { sku: id, units: *units });
        }
        if !before.is_empty() && before != &components[..] {
            return Err(invalid("", KitFault::Fixed));
        }
        if before.is_empty() && !components.is_empty() && kit_of(catalogue, &[sku.id]).is_some() {
            return Err(invalid("", KitFault::IsComponent));
        }
        sku.components = components.into();
    }
    Ok(())
}

/// An active kit that has one of these SKUs and is none of them itself, with the SKU.
fn kit_of(catalogue: &Catalogue, skus: &[SkuId]) -> Option<(SkuId, SkuId)> {
    let others = catalogue.kits().iter().filter(|kit| skus.binary_search(kit).is_err());
    others
        .filter_map(|kit| {
            let mut parts = catalogue.components(*kit).iter();
            parts.find(|part| skus.binary_search(&part.sku).is_ok()).map(|part| (*kit, part.sku))
        })
        .next()
}

/// SKUs that are to be retired are components of no kit that stays.
pub(crate) fn not_in_use(catalogue: &Catalogue, skus: &[SkuId]) -> Result<(), Error> {
    if catalogue.kits().is_empty() {
        return Ok(());
    }
    let mut skus = skus.to_vec();
    skus.sort_unstable();
    match kit_of(catalogue, &skus) {
        None => Ok(()),
        Some((kit, sku)) => {
            Err(Error::InUse { sku: catalogue.sku_code(sku).to_owned(), kit: catalogue.sku_code(kit).to_owned() })
        }
    }
}

/// A SKU that has had stock becomes no kit. Looked at under the locks.
pub(crate) fn without_stock(locked: &Locked<'_>, event: &Event) -> Result<(), Error> {
    let Event::SkusUpserted { skus, .. } = event else { return Ok(()) };
    for sku in skus.iter().filter(|sku| !sku.components.is_empty()) {
        let row = locked.shard(sku.id.shard()).rows.get(sku.id.row());
        if row.is_some_and(|row| !row.kit() && !row.is_empty()) {
            let (sku, component) = (sku.spec.code.clone(), String::new());
            return Err(Error::InvalidKit { sku, component, fault: KitFault::HasStock });
        }
    }
    Ok(())
}

/// A line of an order that asks for kits.
#[derive(Debug)]
struct Kit {
    /// Its place in the order.
    line: usize,
    sku: SkuId,
    wanted: u64,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    sku: SkuId,
    code: String,
    units: u64,
}

/// The kits of an order, resolved before any shard is locked.
#[derive(Debug)]
pub(crate) struct Kits {
    /// By line.
    kits: Vec<Kit>,
    /// The SKUs of all lines.
    skus: Vec<SkuId>,
}

impl Kits {
    /// The kits among the lines of an order; `None` when there are none.
    ///
    /// # Errors
    /// A kit with substitutes.
    pub(crate) fn of(catalogue: &Catalogue, request: &Reserve, skus: &[SkuId]) -> Result<Option<Self>, Error> {
        let mut kits = Vec::new();
        for (line, (asked, sku)) in request.lines.iter().zip(skus).enumerate() {
            let components = catalogue.components(*sku);
            if components.is_empty() {
                continue;
            }
            if asked.sourcing.as_deref().is_some_and(|sourcing| !sourcing.substitutes.is_empty()) {
                let (sku, component) = (asked.sku.clone(), String::new());
                return Err(Error::InvalidKit { sku: sku.into(), component, fault: KitFault::Substitutes });
            }
            let part = |part: &Component| Part {
                sku: part.sku,
                code: catalogue.sku_code(part.sku).to_owned(),
                units: u64::from(part.units),
            };
            let parts = components.iter().map(part).collect();
            kits.push(Kit { line, sku: *sku, wanted: asked.quantity.units(), parts });
        }
        let plain = request.asked.as_deref().is_none_or(|asked| *asked == Asked::default());
        if !kits.is_empty() && !plain {
            let what = "a kit is taken from stock alone: campaigns, waiting and presale do not go with it";
            return Err(Error::NotCombinable { what });
        }
        Ok((!kits.is_empty()).then(|| Self { kits, skus: skus.to_vec() }))
    }

    /// Kits asked for, line by line.
    pub(crate) fn wanted(&self) -> Vec<u64> {
        self.kits.iter().map(|kit| kit.wanted).collect()
    }

    /// Shards of the kits themselves.
    pub(crate) fn shards(&self) -> impl Iterator<Item = ShardId> {
        self.kits.iter().map(|kit| kit.sku.shard())
    }

    /// The order with so many kits of each line, as one for their components; and the SKUs of its lines.
    ///
    /// # Errors
    /// `SumOverflow` when the units of a component pass 32 bits.
    pub(crate) fn order(&self, request: &Reserve, granted: &[u64]) -> Result<(Reserve, Vec<SkuId>), Error> {
        let (mut lines, mut skus) = (Vec::with_capacity(request.lines.len()), Vec::new());
        let mut kits = self.kits.iter().zip(granted).peekable();
        for (place, line) in request.lines.iter().enumerate() {
            let Some((kit, count)) = kits.next_if(|(kit, _)| kit.line == place) else {
                lines.push(line.clone());
                skus.push(self.skus[place]);
                continue;
            };
            for part in kit.parts.iter().filter(|_| *count > 0) {
                let requested = count.saturating_mul(part.units);
                let overflow = |_| Error::SumOverflow { sku: part.code.clone(), requested };
                let quantity = Quantity(u32::try_from(requested).map_err(overflow)?);
                lines.push(ReserveLine { sku: part.code.clone().into(), quantity, ..line.clone() });
                skus.push(part.sku);
            }
        }
        Ok((Reserve { lines: lines.into(), ..request.clone() }, skus))
    }

    /// What stands against any hold of the kits themselves, whatever their components have.
    ///
    /// # Errors
    /// A kit that was retired since its code was looked up.
    pub(crate) fn refusal(&self, look: &impl Look, request: &Reserve) -> Result<Option<(Rejection, Lsn)>, Error> {
        for kit in &self.kits {
            let (shard, code) = (look.shard(kit.sku.shard()), &request.lines[kit.line].sku);
            let row = shard.row(kit.sku);
            if row.retired() {
                return Err(Error::UnknownSku { code: code.clone().into() });
            }
            if !row.sellable() {
                return Ok(Some((not_for_sale(shard, kit.sku, code), shard.lsn)));
            }
        }
        Ok(None)
    }

    /// Units that the lines that are no kits ask for, by SKU and location code.
    fn single<'r>(&self, request: &'r Reserve) -> BTreeMap<(SkuId, &'r str), u64> {
        let mut units = BTreeMap::new();
        for (place, (line, sku)) in request.lines.iter().zip(&self.skus).enumerate() {
            if self.kits.iter().all(|kit| kit.line != place) {
                *units.entry((*sku, line.location.as_str())).or_default() += line.quantity.units();
            }
        }
        units
    }

    /// The first component that a hold lacks for whole kits, when it lacks these units.
    fn lacking(&self, request: &Reserve, granted: &[u64], missing: &Missing<'_>) -> Option<SkuId> {
        let single = self.single(request);
        let kits = self.kits.iter().zip(granted).filter(|(_, count)| **count > 0);
        kits.flat_map(|(kit, _)| {
            kit.parts.iter().map(move |part| (part.sku, request.lines[kit.line].location.as_str()))
        })
        .find(|place| missing.get(place).is_some_and(|units| *units > single.get(place).copied().unwrap_or(0)))
        .map(|(sku, _)| sku)
    }

    /// As many whole kits of each line as there are, the earlier lines first; and of lines that get fewer the component that they lack.
    /// `lacks` tells what a hold on so many would lack: nothing when it can be had.
    pub(crate) fn search(
        &self,
        mut lacks: impl FnMut(&[u64]) -> Result<Option<SkuId>, Error>,
    ) -> Result<(Vec<u64>, Vec<Option<SkuId>>), Error> {
        let mut granted = vec![0; self.kits.len()];
        let mut limits = vec![None; self.kits.len()];
        for (place, kit) in self.kits.iter().enumerate() {
            let (mut low, mut high) = (0, kit.wanted);
            while low < high {
                let middle = low + (high - low).div_ceil(2);
                granted[place] = middle;
                match lacks(&granted)? {
                    None => low = middle,
                    Some(component) => {
                        high = middle - 1;
                        limits[place] = Some(component);
                    }
                }
            }
            granted[place] = low;
        }
        Ok((granted, limits))
    }

    /// Decides a hold with `attempt`, which decides one on so many kits of each line.
    pub(crate) fn fit(
        &self,
        look: &impl Look,
        request: &Reserve,
        mut attempt: impl FnMut(&[u64]) -> Result<Decision, Error>,
    ) -> Result<Decision, Error> {
        if let Some((rejection, lsn)) = self.refusal(look, request)? {
            return Ok(Decision::Rejected(rejection, lsn));
        }
        let directory = look.directory();
        let wanted = self.wanted();
        let none = self.kits.first().and_then(|kit| kit.parts.first()).map(|part| part.sku);
        let lacks = |granted: &[u64], decision: &Decision| match decision {
            Decision::Event(Event::Held(held)) => {
                let mut missing = Missing::new();
                for short in &held.shortages {
                    let at = short.location.map_or("", |at| directory.location_code(at));
                    missing.insert((short.sku, at), short.requested.saturating_sub(short.available));
                }
                self.lacking(request, granted, &missing)
            }
            _ => none,
        };
        let all = attempt(&wanted)?;
        let (granted, limits) = if lacks(&wanted, &all).is_none() {
            return Ok(self.told(request, all, &wanted, &[], directory));
        } else if request.allow_partial {
            self.search(|granted| {
                let decision = attempt(granted)?;
                Ok(lacks(granted, &decision))
            })?
        } else {
            return Ok(self.told(request, all, &wanted, &[], directory));
        };
        let nothing = granted.iter().all(|count| *count == 0) && self.single(request).is_empty();
        let some = if nothing { Decision::Nothing } else { attempt(&granted)? };
        if !matches!(some, Decision::Event(_)) {
            // Not one kit, and nothing else either: told as what all of them lack.
            let none = match all {
                Decision::Event(Event::Held(held)) => {
                    let rests_on = look.shard(held.reservation.home()).lsn.max(directory.revision());
                    let shortages = self.coded(request, &held, directory);
                    Decision::Rejected(Rejection::InsufficientStock { shortages }, rests_on)
                }
                other => other,
            };
            return Ok(self.told(request, none, &wanted, &[], directory));
        }
        Ok(self.told(request, some, &granted, &limits, directory))
    }

    /// A decision about components as one about the kits.
    fn told(
        &self,
        request: &Reserve,
        decision: Decision,
        granted: &[u64],
        limits: &[Option<SkuId>],
        directory: &crate::catalog::Directory,
    ) -> Decision {
        match decision {
            Decision::Event(Event::Held(mut held)) => {
                self.keep(request, &mut held, granted, limits, directory);
                Decision::Event(Event::Held(held))
            }
            Decision::Rejected(Rejection::InsufficientStock { shortages }, lsn) => {
                let shortages = self.shortages(request, shortages);
                Decision::Rejected(Rejection::InsufficientStock { shortages }, lsn)
            }
            other => other,
        }
    }

    /// Puts the kits into a hold, and tells what it lacks as kits and single units.
    fn keep(
        &self,
        request: &Reserve,
        held: &mut Held,
        granted: &[u64],
        limits: &[Option<SkuId>],
        directory: &crate::catalog::Directory,
    ) {
        let mut kits: BTreeMap<SkuId, u64> = BTreeMap::new();
        let mut in_kits: BTreeMap<(SkuId, Option<LocationId>), u64> = BTreeMap::new();
        for (kit, count) in self.kits.iter().zip(granted).filter(|(_, count)| **count > 0) {
            *kits.entry(kit.sku).or_default() += count;
            let at = directory.location(&request.lines[kit.line].location);
            for part in &kit.parts {
                *in_kits.entry((part.sku, at)).or_default() += count * part.units;
            }
        }
        for short in &mut held.shortages {
            let own = in_kits.get(&(short.sku, short.location)).copied().unwrap_or(0);
            short.requested = short.requested.saturating_sub(own);
            short.available = short.available.saturating_sub(own);
        }
        let causes: Vec<(SkuId, LimitedBy)> =
            held.shortages.iter().map(|short| (short.sku, short.limited_by)).collect();
        let limited_by =
            |sku: SkuId| causes.iter().find(|(own, _)| *own == sku).map_or(LimitedBy::Stock, |(_, by)| *by);
        for ((kit, count), limit) in self.kits.iter().zip(granted).zip(limits) {
            if *count < kit.wanted {
                held.shortages.push(Shortage {
                    sku: kit.sku,
                    location: directory.location(&request.lines[kit.line].location),
                    requested: kit.wanted,
                    available: *count,
                    limited_by: limited_by(limit.unwrap_or(kit.sku)),
                    component: *limit,
                });
            }
        }
        if !kits.is_empty() {
            let line = |(sku, count): (SkuId, u64)| KitLine { sku, quantity: Quantity::clamp(count) };
            held.terms.get_or_insert_default().kits = kits.into_iter().map(line).collect();
        }
    }

    /// What a hold lacks, by codes.
    fn coded(&self, request: &Reserve, held: &Held, directory: &crate::catalog::Directory) -> Vec<CodedShortage> {
        let parts = self.kits.iter().flat_map(|kit| kit.parts.iter().map(|part| (part.sku, part.code.as_str())));
        let lines = self.skus.iter().copied().zip(request.lines.iter().map(|line| line.sku.as_str()));
        let codes: BTreeMap<SkuId, &str> = parts.chain(lines).collect();
        let short = held.shortages.iter().map(|short| CodedShortage {
            sku: codes.get(&short.sku).copied().unwrap_or_default().to_owned(),
            location: short.location.map_or_else(String::new, |at| directory.location_code(at).to_owned()),
            requested: short.requested,
            available: short.available,
            limited_by: short.limited_by,
            component: String::new(),
        });
        short.collect()
    }

    /// What lacks for all kits and single units, when these components lack. The kits take first.
    fn shortages(&self, request: &Reserve, short: Vec<CodedShortage>) -> Vec<CodedShortage> {
        let mut left: BTreeMap<(String, String), u64> = BTreeMap::new();
        left.extend(short.iter().map(|one| ((one.sku.clone(), one.location.clone()), one.available)));
        let causes: Vec<(String, LimitedBy)> = short.iter().map(|one| (one.sku.clone(), one.limited_by)).collect();
        let limited_by = |sku: &str| causes.iter().find(|(own, _)| own == sku).map_or(LimitedBy::Stock, |(_, by)| *by);
        let mut told: Vec<(usize, CodedShortage)> = Vec::new();
        for kit in &self.kits {
            let line = &request.lines[kit.line];
            let place = |part: &Part| (part.code.clone(), line.location.to_string());
            let whole = |part: &Part| left.get(&place(part)).map(|units| units / part.units);
            let least = kit.parts.iter().filter_map(|part| Some((whole(part)?, &part.code)));
            let least = least.reduce(|one, other| if other.0 < one.0 { other } else { one });
            let (count, component) = match least {
                Some((count, component)) if count < kit.wanted => (count, component.clone()),
                _ => (kit.wanted, String::new()),
            };
            if count < kit.wanted {
                let (sku, location) = (line.sku.to_string(), line.location.to_string());
                let (requested, available) = (kit.wanted, count);
                let limited_by = limited_by(&component);
                told.push((kit.line, CodedShortage { sku, location, requested, available, limited_by, component }));
            }
            for part in &kit.parts {
                if let Some(units) = left.get_mut(&place(part)) {
                    *units = units.saturating_sub(count * part.units);
                }
            }
        }
        let single = self.single(request);
        let mut seen: Vec<(SkuId, &str)> = Vec::new();
        for (place, (line, sku)) in request.lines.iter().zip(&self.skus).enumerate() {
            let key = (*sku, line.location.as_str());
            let Some(requested) = single.get(&key).copied().filter(|_| !seen.contains(&key)) else { continue };
            if self.kits.iter().any(|kit| kit.line == place) {
                continue;
            }
            seen.push(key);
            let available = left.get(&(line.sku.to_string(), line.location.to_string())).copied();
            if let Some(available) = available.filter(|available| *available < requested) {
                let (sku, location) = (line.sku.to_string(), line.location.to_string());
                let (limited_by, component) = (limited_by(&sku), String::new());
                told.push((place, CodedShortage { sku, location, requested, available, limited_by, component }));
            }
        }
        if told.is_empty() {
            return short;
        }
        told.sort_by_key(|(place, _)| *place);
        told.into_iter().map(|(_, one)| one).collect()
    }

    /// A brief of the whole order, for so many kits of each line.
    pub(crate) fn brief(&self, request: &Reserve, brief: &Brief, granted: &[u64]) -> Brief {
        let mut units: BTreeMap<SkuId, u64> = BTreeMap::new();
        for ((sku, _), single) in self.single(request) {
            *units.entry(sku).or_default() += single;
        }
        for (kit, count) in self.kits.iter().zip(granted) {
            for part in &kit.parts {
                *units.entry(part.sku).or_default() += count * part.units;
            }
        }
        let mut own = brief.clone();
        for line in &mut own.lines {
            let wanted = units.get(&line.sku.id).copied().unwrap_or(0);
            line.quantity = line.quantity.min(u32::try_from(wanted).unwrap_or(u32::MAX));
        }
        own.lines.retain(|line| line.quantity > 0);
        own
    }

    /// What a plan of so many kits lacks for whole ones.
    pub(crate) fn unserved(&self, request: &Reserve, granted: &[u64], unserved: &[(SkuId, u32)]) -> Option<SkuId> {
        let missing = unserved.iter().map(|(sku, units)| ((*sku, ""), u64::from(*units))).collect();
        self.lacking(request, granted, &missing)
    }
}

/// Units that lack, by SKU and location code.
type Missing<'a> = BTreeMap<(SkuId, &'a str), u64>;

/// Decides a hold on an order that has kits. `id` is the id it shall have.
pub(crate) fn reserve(
    locked: &Locked<'_>,
    request: &Reserve,
    kits: &Kits,
    id: ReservationId,
    now: Timestamp,
) -> Result<Decision, Error> {
    kits.fit(locked, request, |granted| {
        let (order, skus) = kits.order(request, granted)?;
        let demands = reserve::demands(&order, &skus)?;
        reserve::reserve(locked, &order, &demands, id, now)
    })
}

/// The lines that selections name, of a reservation that has kits: a kit stands for its components. Gives the kits that go with them.
pub(crate) fn select(
    subject: &Subject<'_, '_>,
    selections: &[LineSelection],
) -> Result<(Lines, Box<[KitLine]>), Error> {
    let (mut singles, mut gone) = (Vec::new(), Vec::new());
    let mut units: BTreeMap<(SkuId, LocationId), u64> = BTreeMap::new();
    if selections.is_empty() {
        let kits = subject.codes.kits.iter().map(|(kit, ..)| *kit);
        return Ok((subject.open(), kits.collect()));
    }
    for selection in selections {
        let own = subject.lines.iter().any(|line| subject.codes.code(line.sku) == selection.sku);
        let kit = subject.codes.kits.iter().find(|(_, code, _)| *code == selection.sku && !own);
        match kit {
            None => singles.push(selection.clone()),
            Some((kit, _, components)) => gone.push(select_kit(subject, selection, *kit, components, &mut units)?),
        }
    }
    if !singles.is_empty() {
        for line in subject.select(&singles)? {
            *units.entry((line.sku, line.location)).or_default() += line.quantity.units();
        }
    }
    let mut lines = Lines::new();
    for ((sku, at), requested) in units {
        let open = subject.lines.iter().find(|line| (line.sku, line.location) == (sku, at));
        let open = open.map_or(Quantity::ZERO, |line| line.open);
        if requested > open.units() {
            let location = subject.locked.directory().location_code(at).to_owned();
            return Err(Error::ExceedsOpen { sku: subject.codes.code(sku).to_owned(), location, requested, open });
        }
        lines.push(Line { sku, location: at, quantity: Quantity::clamp(requested) });
    }
    gone.sort_unstable();
    gone.dedup_by(|next, kept| {
        let same = next.sku == kept.sku;
        if same {
            kept.quantity = Quantity::clamp(kept.quantity.units() + next.quantity.units());
        }
        same
    });
    Ok((lines, gone.into()))
}

/// Takes the components of kits off what is open, by location.
fn select_kit(
    subject: &Subject<'_, '_>,
    selection: &LineSelection,
    kit: KitLine,
    components: &[Component],
    units: &mut BTreeMap<(SkuId, LocationId), u64>,
) -> Result<KitLine, Error> {
    let at = match selection.location.as_str() {
        "" => None,
        code => Some(location(subject.locked.directory(), code)?),
    };
    let mut own: Vec<_> = subject.lines.iter().filter(|line| at.is_none_or(|at| at == line.location)).collect();
    own.sort_unstable_by_key(|line| (line.sku, line.location));
    let open = |sku: SkuId, units: &BTreeMap<(SkuId, LocationId), u64>| -> u64 {
        let lines = own.iter().filter(|line| line.sku == sku);
        lines
            .map(|line| {
                let taken = units.get(&(line.sku, line.location)).copied().unwrap_or(0);
                line.open.units().saturating_sub(taken)
            })
            .sum()
    };
    let whole = components.iter().map(|part| open(part.sku, units) / u64::from(part.units.max(1))).min().unwrap_or(0);
    let whole = whole.min(kit.quantity.units());
    let wanted = selection.quantity.map_or(whole, Quantity::units);
    if wanted == 0 {
        let (sku, location) = (selection.sku.clone(), selection.location.clone());
        return Err(Error::NoSuchLine { id: subject.id, sku, location, lines: 0 });
    }
    if wanted > whole {
        let (sku, location) = (selection.sku.clone(), selection.location.clone());
        return Err(Error::ExceedsOpen { sku, location, requested: wanted, open: Quantity::clamp(whole) });
    }
    for part in components {
        let mut missing = wanted * u64::from(part.units);
        for line in own.iter().filter(|line| line.sku == part.sku) {
            let taken = units.entry((line.sku, line.location)).or_default();
            let more = missing.min(line.open.units().saturating_sub(*taken));
            *taken += more;
            missing -= more;
        }
    }
    units.retain(|_, taken| *taken > 0);
    Ok(KitLine { sku: kit.sku, quantity: Quantity::clamp(wanted) })
}
