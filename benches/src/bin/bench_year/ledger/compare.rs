//! The books beside the engine: every cell, every open reservation, what every channel was promised.

use std::{collections::BTreeMap, fmt::Write as _};

use quartermaster_engine::{
    Engine, command::allotment::NodeCode, id::SkuId, query::ReservationFilter, reservation::State,
};

use super::{Figures, Ledger, Place, Stand};

impl Ledger {
    /// Holds every cell and every reservation against the engine: how many cells were compared, and each difference as text.
    pub(crate) fn compare(&self, engine: &Engine) -> (u64, Vec<String>) {
        let (mut cells, mut differences) = (0, Vec::new());
        let mut known = self.cells.clone();
        for sku in (0..).map(SkuId).take(self.codes.sku_codes.len()) {
            for cell in engine.cells(sku, None, usize::MAX).1 {
                let (at, found) = ((sku, cell.location), &cell.buckets);
                let found = Figures {
                    on_hand: found.on_hand.signed(),
                    reserved: found.reserved.signed(),
                    committed: found.committed.signed(),
                    quality_control: found.quality_control.signed(),
                    damaged: found.damaged.signed(),
                    in_repair: found.in_repair.signed(),
                    incoming: found.incoming.signed(),
                };
                let own = known.remove(&at).unwrap_or_default();
                cells += 1;
                if own != found {
                    differences.push(format!("{}: the engine has {found:?}, the books {own:?}", self.name(at)));
                }
            }
        }
        for (at, own) in known.into_iter().filter(|(_, own)| *own != Figures::default()) {
            differences.push(format!("{}: the engine has no such cell, the books {own:?}", self.name(at)));
        }
        self.compare_claims(engine, &mut differences);
        self.compare_allotments(engine, &mut differences);
        (cells, differences)
    }

    fn compare_allotments(&self, engine: &Engine, differences: &mut Vec<String>) {
        for (channel, sku) in self.ceilings.keys() {
            let code = NodeCode { channel: channel.clone(), campaign: String::new() };
            let Ok(node) = engine.selling_node(&code) else {
                differences.push(format!("the engine does not know the channel {channel}"));
                continue;
            };
            let found = engine.allotments(Some(node), Some(*sku), None, 1).1;
            let found = found.first().map_or(0, |found| found.allotment.used());
            let own = self.used.get(&(channel.clone(), *sku)).copied().unwrap_or(0);
            if u64::try_from(own).ok() != Some(found) {
                differences
                    .push(format!("{channel} and SKU {}: the engine counts {found} units, the books {own}", sku.0));
            }
        }
    }

    fn compare_claims(&self, engine: &Engine, differences: &mut Vec<String>) {
        let mut unseen = self.claims.values().filter(|claim| claim.stand != Stand::Ended).count();
        for state in [State::Held, State::Confirmed, State::Waiting] {
            let filter = ReservationFilter { state: Some(state), ..ReservationFilter::default() };
            let (mut after, mut more) = (None, true);
            while more {
                let (_, page, rest) = engine.reservations(&filter, after, 10_000);
                (after, more) = (page.last().map(|found| found.id), rest);
                for found in page {
                    let open: BTreeMap<Place, u32> = found
                        .lines
                        .iter()
                        .filter(|line| !line.open.is_zero())
                        .map(|line| ((line.sku, line.location), line.open.0))
                        .collect();
                    let presold = found
                        .presold
                        .iter()
                        .map(|presold| ((presold.supply, presold.line.sku), presold.line.quantity.0));
                    let presold: BTreeMap<_, u32> = presold.collect();
                    let stand = match state {
                        State::Held => Stand::Held,
                        State::Confirmed => Stand::Confirmed,
                        _ => Stand::Waiting,
                    };
                    let own = self.claims.get(&found.id);
                    if own.is_some_and(|own| own.stand == stand && own.open == open && own.presold == presold) {
                        unseen -= 1;
                    } else {
                        let mut text = format!("{}: the engine has {stand:?} {open:?} {presold:?}", found.id);
                        _ = write!(text, ", the books {own:?}");
                        differences.push(text);
                    }
                }
            }
        }
        if unseen > 0 {
            differences.push(format!("{unseen} open reservations of the books are not open in the engine"));
        }
    }
}
