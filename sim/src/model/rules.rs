//! Stock rules: what is kept back at cells, allotted to channels and left to others, as the rules' own events say and as a plain
//! evaluation of the set says.

use std::collections::BTreeMap;

use quartermaster_engine::{
    event::rules::{Applied, RulesEvent},
    id::{NodeId, SkuId},
};
use quartermaster_sourcing::rules::{Percent, Rule, RuleSet};

use super::{Judged, Model, Place, must};

#[derive(Clone, Debug, Default)]
pub(crate) struct Ruled {
    pub(crate) version: u32,
    pub(crate) set: RuleSet,
    /// Units that nodes leave to others by rule.
    pub(crate) leaves: BTreeMap<(SkuId, NodeId), u64>,
}

impl Model {
    pub(super) fn rules(&mut self, event: &RulesEvent) -> Judged {
        match event {
            RulesEvent::Put { version, json } => {
                must!(*version == self.ruled.version + 1, "version {version} after {}", self.ruled.version);
                self.ruled.version = *version;
                self.ruled.set = RuleSet::read(json).map_err(|error| error.to_string())?;
                Ok(())
            }
            RulesEvent::Applied(applied) => self.rules_applied(applied),
        }
    }

    fn rules_applied(&mut self, applied: &Applied) -> Judged {
        let sku = applied.sku;
        must!(applied.version == self.ruled.version, "rules of another version");
        let parts = applied.cells.len() + applied.allotments.len() + applied.leaves.len();
        must!(parts > 0, "an event of no change");
        for cell in &applied.cells {
            let (place, kept) = ((sku, cell.location), cell.kept.units());
            must!(self.cell(place).kept != kept, "{kept} are kept already at {place:?}");
            must!(kept == self.to_keep(place), "{kept} are kept at {place:?}, not {}", self.to_keep(place));
            self.cell_mut(place).kept = kept;
        }
        for ruled in &applied.allotments {
            match ruled.terms {
                Some(terms) => {
                    let (quota, ceiling) = (u64::from(terms.quota), terms.ceiling.map(u64::from));
                    must!(ceiling.is_none_or(|ceiling| quota <= ceiling), "a ceiling below its quota: {terms:?}");
                    self.selling.set(sku, ruled.node, Some(quota), ceiling, terms.spill_over);
                }
                None => self.selling.set(sku, ruled.node, None, None, false),
            }
        }
        for leave in &applied.leaves {
            self.ruled.leaves.insert((sku, leave.node), leave.units.units());
        }
        self.ruled.leaves.retain(|_, units| *units > 0);
        self.skus[sku.index()].revision = self.lsn;
        Ok(())
    }

    fn holds(&self, rule: &Rule) -> bool {
        rule.from.is_none_or(|from| from.0 <= self.now.0) && rule.until.is_none_or(|until| self.now.0 < until.0)
    }

    /// What the rules that hold now keep at a cell: the strictest. Of a retired SKU they say nothing.
    fn to_keep(&self, place: Place) -> u64 {
        if self.skus[place.0.index()].retired {
            return 0;
        }
        let (sku, at) = (self.sku_code(place.0), self.location_code(place.1));
        let on_hand = self.cell(place).on_hand;
        let started = |Percent(milli): Percent| (on_hand * u64::from(milli)).div_ceil(100_000);
        let fits = |rule: &&Rule| {
            let one_of = |list: &[String], code: &str| list.is_empty() || list.iter().any(|one| one == code);
            self.holds(rule) && one_of(&rule.scope.skus, sku) && one_of(&rule.scope.locations, at)
        };
        let keep = self.ruled.set.rules.iter().filter(fits).filter_map(|rule| rule.keep.as_ref());
        keep.map(|keep| keep.units.map_or(0, u64::from).max(keep.percent.map_or(0, started))).max().unwrap_or(0)
    }

    /// What whoever sells along a path leaves to others of a SKU.
    pub(super) fn left_to_others(&self, sku: SkuId, path: &[NodeId]) -> u64 {
        let of = |node: &NodeId| {
            let set = node.channel().map_or(0, |channel| self.channels[channel.index()].safety_units);
            self.ruled.leaves.get(&(sku, *node)).copied().unwrap_or(0).max(u64::from(set))
        };
        path.iter().map(of).max().unwrap_or(0)
    }

    /// Every cell keeps what the rules say once the timer has seen to them.
    ///
    /// # Errors
    /// Names one that is not.
    pub fn settled_rules(&self) -> Judged {
        for (place, cell) in self.cells.iter().filter(|(place, _)| !self.skus[place.0.index()].retired) {
            let kept = if self.ruled.version == 0 { 0 } else { self.to_keep(*place) };
            must!(cell.kept == kept, "{} are kept at {place:?}, not {kept}", cell.kept);
        }
        Ok(())
    }
}
