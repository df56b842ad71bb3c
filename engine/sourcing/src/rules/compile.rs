//! A set of stock rules ready for use: locations found, formulas typed, times in one list.

use super::{Percent, Rule, RuleScope, RuleSet};
use crate::{
    bits::LocationSet,
    order::Goods,
    policy::{PlaceFacts, Places, amount},
};
use quartermaster_routing::LocationId;

/// Stock that a figure is taken of: one cell's, or the sum over the cells of a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockFacts {
    /// `stock.on_hand`: units physically there.
    pub on_hand: u64,
    /// `stock.sellable`: on hand, less quality control, damaged and in repair; promised or not. Summed over a scope: less safety stock, too.
    pub sellable: u64,
    /// `stock.safety`: safety stock set by hand.
    pub safety: u64,
    /// `stock.incoming`: units expected.
    pub incoming: u64,
    /// `stock.cells`: how many cells.
    pub cells: u64,
}

/// All rules of a set.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    rules: Vec<CompiledRule>,
    /// Moments at which a rule begins or ends to hold, ascending, each once.
    turns: Vec<u64>,
}

/// A rule ready for use.
#[derive(Clone, Debug)]
pub struct CompiledRule {
    rule: Rule,
    /// Spans in which it holds; from, and until, not included.
    spans: Vec<(u64, u64)>,
    places: LocationSet,
    effect: Effect,
    figure: Figure,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Keeps units back at each cell.
    Keep,
    /// Allots units to a channel.
    Allot {
        /// Channel code.
        channel: String,
        /// Of the scope's sellable units, for the ceiling.
        ceiling: Option<Percent>,
        /// May take from the shared pool.
        spill_over: bool,
    },
    /// Makes a channel leave units to others.
    Leave {
        /// Channel code.
        channel: String,
    },
}

#[derive(Clone, Debug)]
enum Figure {
    Units(u32),
    Percent(Percent),
    Formula(amount::Amount),
}

impl Compiled {
    /// Compiles what can be. What cannot, though it was checked when it was put (an older version may have been less strict), is left out
    /// and told by name.
    #[must_use]
    pub fn new(set: &RuleSet, places: &dyn Places) -> (Self, Vec<String>) {
        let (mut rules, mut left_out) = (Vec::new(), Vec::new());
        for rule in &set.rules {
            match CompiledRule::new(set, rule, places) {
                Some(rule) => rules.push(rule),
                None => left_out.push(rule.name.clone()),
            }
        }
        let spans = rules.iter().flat_map(|rule| &rule.spans);
        let mut turns: Vec<u64> = spans.flat_map(|(from, until)| [*from, *until]).collect();
        turns.retain(|turn| *turn > 0 && *turn < u64::MAX);
        turns.sort_unstable();
        turns.dedup();
        (Self { rules, turns }, left_out)
    }

    /// The rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[CompiledRule] {
        &self.rules
    }

    /// Whether a rule begins or ends to hold after `since` and at `now` or before.
    #[must_use]
    pub fn turns_within(&self, since: u64, now: u64) -> bool {
        let next = self.turns.partition_point(|turn| *turn <= since);
        self.turns.get(next).is_some_and(|turn| *turn <= now)
    }

    /// Rules that hold at a moment.
    pub fn holding(&self, now: u64) -> impl Iterator<Item = &CompiledRule> {
        self.rules.iter().filter(move |rule| rule.holds(now))
    }
}

impl CompiledRule {
    fn new(set: &RuleSet, rule: &Rule, places: &dyn Places) -> Option<Self> {
        let (units, percent, formula, effect) = match (&rule.keep, &rule.allot, &rule.leave) {
            (Some(keep), None, None) => (keep.units, keep.percent, &keep.formula, Effect::Keep),
            (None, Some(allot), None) => {
                let effect = Effect::Allot {
                    channel: allot.channel.clone(),
                    ceiling: allot.ceiling_percent,
                    spill_over: allot.spill_over,
                };
                (allot.units, allot.percent, &allot.formula, effect)
            }
            (None, None, Some(leave)) => {
                (leave.units, leave.percent, &leave.formula, Effect::Leave { channel: leave.channel.clone() })
            }
            _ => return None,
        };
        let figure = match (units, percent, formula) {
            (Some(units), None, None) => Figure::Units(units),
            (None, Some(percent), None) => Figure::Percent(percent),
            (None, None, Some(text)) => Figure::Formula(amount::read(text, effect == Effect::Keep).ok()?),
            _ => return None,
        };
        let (from, until) = (rule.from.map_or(0, |at| at.0), rule.until.map_or(u64::MAX, |at| at.0));
        let spans = if rule.windows.is_empty() {
            vec![(from, until)]
        } else {
            let named = set.windows.iter().filter(|window| rule.windows.contains(&window.name));
            let spans = named.map(|window| (window.from.0.max(from), window.until.0.min(until)));
            spans.filter(|(from, until)| from < until).collect()
        };
        Some(Self { rule: rule.clone(), spans, places: rule.scope.places(places), effect, figure })
    }

    /// The rule as written.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// What it does.
    #[must_use]
    pub fn effect(&self) -> &Effect {
        &self.effect
    }

    /// Whether it holds at a moment.
    #[must_use]
    pub fn holds(&self, now: u64) -> bool {
        self.spans.iter().any(|(from, until)| *from <= now && now < *until)
    }

    /// Whether its scope has the SKU.
    #[must_use]
    pub fn is_for(&self, goods: &Goods<'_>) -> bool {
        let scope = &self.rule.scope;
        let fits = |list: &[String], value: &str| list.is_empty() || list.iter().any(|entry| entry == value);
        fits(&scope.skus, goods.code)
            && fits(&scope.styles, goods.style)
            && fits(&scope.categories, goods.category)
            && fits(&scope.sizes, goods.size)
            && scope.attributes.iter().all(|(key, values)| {
                goods.attributes.iter().any(|(known, value)| known == key && values.contains(value))
            })
    }

    /// Whether its scope has the location.
    #[must_use]
    pub fn is_at(&self, location: LocationId) -> bool {
        self.places.contains(location)
    }

    /// Whether its figure asks for facts of the place.
    #[must_use]
    pub fn asks_of_place(&self) -> bool {
        matches!(&self.figure, Figure::Formula(amount) if amount.asks_of_place())
    }

    /// Units for the stock it looks at: safety is rounded up, a share down. `None`: the formula has no answer (an attribute is missing, or
    /// arithmetic has no result), and the rule says nothing.
    #[must_use]
    pub fn units(&self, goods: &Goods<'_>, place: Option<&PlaceFacts<'_>>, stock: &StockFacts) -> Option<u64> {
        match &self.figure {
            Figure::Units(units) => Some(u64::from(*units)),
            Figure::Percent(percent) => Some(match self.effect {
                Effect::Keep => percent.of_started(stock.on_hand),
                Effect::Allot { .. } => percent.of(stock.sellable),
                Effect::Leave { .. } => percent.of_started(stock.sellable),
            }),
            Figure::Formula(amount) => amount.value(goods, place, stock).map(|value| u64::try_from(value).unwrap_or(0)),
        }
    }
}

impl RuleScope {
    /// The locations that fit.
    pub(super) fn places(&self, places: &dyn Places) -> LocationSet {
        if self.kinds.is_empty() && self.locations.is_empty() && self.regions.is_empty() {
            return LocationSet::all(places.count());
        }
        let fits = |location: &LocationId| {
            let facts = places.facts(*location);
            let one_of = |list: &[String], value: &str| list.is_empty() || list.iter().any(|entry| entry == value);
            one_of(&self.kinds, facts.kind)
                && one_of(&self.locations, facts.code)
                && (self.regions.is_empty()
                    || self.regions.iter().any(|prefix| facts.regions.iter().any(|code| code.starts_with(&**prefix))))
        };
        (0..u32::try_from(places.count()).unwrap_or(u32::MAX)).map(LocationId).filter(fits).collect()
    }
}
