//! A policy bound to one order: which candidates its rules remove, and what its preferences make them cost.

use std::borrow::Cow;
use std::cell::Cell;

use quartermaster_routing::{LocationId, Money};
use smallvec::SmallVec;

use super::compile::Policy;
use super::condition::{Class, Clause, Condition};
use super::expression::{Facts, Truth};
use super::facts::{OrderFacts, Places};
use super::prices::clamped;
use super::step::Step;
use crate::bits::LocationSet;
use crate::order::Goods;

/// A policy and an order. See [`Policy::for_order`].
pub struct Bound<'a> {
    policy: &'a Policy,
    order: &'a OrderFacts<'a>,
    places: &'a dyn Places,
    /// Whether what looks at the order alone holds, by number of the clause.
    holds: SmallVec<[bool; 32]>,
    unanswered: Cell<u32>,
}

/// A policy, an order and the goods of one of its lines. See [`Bound::line`].
pub struct BoundLine<'b> {
    bound: &'b Bound<'b>,
    goods: &'b Goods<'b>,
    /// Whether what looks at the order and the goods holds, by number of the clause.
    holds: SmallVec<[bool; 32]>,
}

/// What removed a candidate. [`Policy::reason`] says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removed {
    /// The rule of the document with this index.
    Rule(usize),
    /// The step's own `where`.
    Where,
}

impl<'a> Bound<'a> {
    pub(super) fn new(policy: &'a Policy, order: &'a OrderFacts<'a>, places: &'a dyn Places) -> Self {
        let mut bound =
            Self { policy, order, places, holds: SmallVec::from_elem(true, policy.clauses), unanswered: Cell::new(0) };
        let facts = Facts::new(Some(order), None, None, None);
        for (number, tests) in &policy.order_tests {
            bound.holds[*number] = bound.all_hold(tests, &facts);
        }
        bound
    }

    /// Places that neither rules nor the step's `where` remove, as far as place and order apart decide.
    /// Borrowed when the order has no say.
    #[must_use]
    pub fn eligible<'s>(&self, step: &'s Step) -> Cow<'s, LocationSet> {
        let only = step.only.as_ref().filter(|only| only.hangs_on_order());
        if step.order_rules.is_empty() && only.is_none() {
            return Cow::Borrowed(&step.eligible);
        }
        let mut left = step.eligible.clone();
        let clauses = step.order_rules.iter().flat_map(|rule| &self.policy.rules[*rule].clauses);
        for clause in clauses.filter(|clause| clause.class() == Class::Place && self.holds[clause.number]) {
            match &clause.places {
                Some(removed) => left.subtract(removed),
                None => return Cow::Owned(LocationSet::default()),
            }
        }
        if let Some(only) = only {
            let lost: LocationSet = left.iter().filter(|place| !self.may_keep(only, *place)).collect();
            left.subtract(&lost);
        }
        Cow::Owned(left)
    }

    /// What keeps a place out of [`Bound::eligible`]: the first rule that does, else the `where`.
    #[must_use]
    pub fn excluded_by(&self, step: &Step, place: LocationId) -> Option<Removed> {
        let removes = |rule: &usize| {
            let mut clauses = self.policy.rules[*rule].clauses.iter();
            clauses.any(|clause| clause.class() == Class::Place && self.allows(clause, place))
        };
        let rule = step.rules.iter().find(|rule| removes(rule)).map(|rule| Removed::Rule(*rule));
        rule.or_else(|| step.only.as_ref().filter(|only| !self.may_keep(only, place)).map(|_| Removed::Where))
    }

    /// Whether [`Bound::candidate_excluded_by`] can remove anything.
    #[must_use]
    pub fn has_mixed_rules(&self, step: &Step) -> bool {
        !step.mixed_rules.is_empty() || step.only.as_ref().is_some_and(asks_candidates)
    }

    /// What removes an eligible place, looking at it and the order together: the first rule that does, else the `where`.
    /// `distance_metres`: `None` when unknown.
    #[must_use]
    pub fn candidate_excluded_by(
        &self,
        step: &Step,
        place: LocationId,
        distance_metres: Option<u32>,
    ) -> Option<Removed> {
        if !self.has_mixed_rules(step) {
            return None;
        }
        let place_facts = self.places.facts(place);
        let facts = Facts::new(Some(self.order), Some(&place_facts), None, distance_metres);
        let holds = |clause: &Clause| self.allows(clause, place) && self.all_hold(&clause.candidate, &facts);
        let removes = |rule: &usize| {
            let mut clauses = self.policy.rules[*rule].clauses.iter();
            clauses.any(|clause| clause.class() == Class::Candidate && holds(clause))
        };
        let rule = step.mixed_rules.iter().find(|rule| removes(rule)).map(|rule| Removed::Rule(*rule));
        rule.or_else(|| {
            let only = step.only.as_ref().filter(|only| asks_candidates(only))?;
            (!only.clauses.iter().any(holds)).then_some(Removed::Where)
        })
    }

    /// Whether [`BoundLine::excluded_by`] can remove anything.
    #[must_use]
    pub fn has_line_rules(&self, step: &Step) -> bool {
        !step.line_rules.is_empty() || step.only.as_ref().is_some_and(|only| only.has(Class::Line))
    }

    /// Whether [`Bound::parcel_price`] can be other than zero.
    #[must_use]
    pub fn has_parcel_prices(&self) -> bool {
        !self.policy.parcel_prices.is_empty()
    }

    /// What preferences add to a parcel of a place, minor units; below zero it is a bonus.
    #[must_use]
    pub fn parcel_price(&self, place: LocationId, distance_metres: Option<u32>) -> Money {
        let list = &self.policy.parcel_prices;
        let mut sum = list.fixed_at(place);
        if !list.open.is_empty() {
            let place_facts = self.places.facts(place);
            let facts = Facts::new(Some(self.order), Some(&place_facts), None, distance_metres);
            for (wish, price) in &list.open {
                let mut clauses = self.policy.preferences[*wish].clauses.iter();
                if clauses.any(|clause| self.allows(clause, place) && self.all_hold(&clause.candidate, &facts)) {
                    sum = sum.saturating_add(*price);
                }
            }
        }
        clamped(sum)
    }

    /// Whether [`BoundLine::unit_price`] can be other than zero.
    #[must_use]
    pub fn has_unit_prices(&self) -> bool {
        !self.policy.unit_prices.is_empty()
    }

    /// Binds it to a line as well, evaluating once what hangs on the goods and the order.
    #[must_use]
    pub fn line<'b>(&'b self, goods: &'b Goods<'b>) -> BoundLine<'b> {
        let mut holds = self.holds.clone();
        let facts = Facts::new(Some(self.order), None, Some(goods), None);
        for (number, tests) in &self.policy.line_tests {
            holds[*number] = holds[*number] && self.all_hold(tests, &facts);
        }
        BoundLine { bound: self, goods, holds }
    }

    /// How many times a test had no answer so far, for want of an attribute or by arithmetic without a result.
    #[must_use]
    pub fn unanswered(&self) -> u32 {
        self.unanswered.get()
    }

    /// Whether neither the order nor the place, each alone, speaks against the clause.
    fn allows(&self, clause: &Clause, place: LocationId) -> bool {
        self.holds[clause.number] && clause.allows(place)
    }

    fn may_keep(&self, only: &Condition, place: LocationId) -> bool {
        only.clauses.iter().any(|clause| self.allows(clause, place))
    }

    /// What has no answer does not hold; it is counted unless another test settles the matter.
    fn all_hold(&self, tests: &[Truth], facts: &Facts<'_, '_>) -> bool {
        let mut known = true;
        for test in tests {
            match test.holds(facts) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(_) => known = false,
            }
        }
        if !known {
            self.unanswered.set(self.unanswered.get().saturating_add(1));
        }
        known
    }
}

impl BoundLine<'_> {
    /// What removes an eligible place for this line, looking at its goods: the first rule that does, else the `where`.
    /// `distance_metres`: `None` when unknown.
    #[must_use]
    pub fn excluded_by(&self, step: &Step, place: LocationId, distance_metres: Option<u32>) -> Option<Removed> {
        if !self.bound.has_line_rules(step) {
            return None;
        }
        let removes = |rule: &usize| {
            let mut clauses = self.bound.policy.rules[*rule].clauses.iter();
            clauses.any(|clause| clause.class() == Class::Line && self.holds(clause, place, distance_metres))
        };
        let rule = step.line_rules.iter().find(|rule| removes(rule)).map(|rule| Removed::Rule(*rule));
        rule.or_else(|| {
            let only = step.only.as_ref().filter(|only| only.has(Class::Line))?;
            (!only.clauses.iter().any(|clause| self.holds(clause, place, distance_metres))).then_some(Removed::Where)
        })
    }

    /// What preferences add to each unit of this line from a place, minor units; below zero it is a bonus.
    #[must_use]
    pub fn unit_price(&self, place: LocationId, distance_metres: Option<u32>) -> Money {
        let list = &self.bound.policy.unit_prices;
        let mut sum = list.fixed_at(place);
        for (wish, price) in &list.open {
            let mut clauses = self.bound.policy.preferences[*wish].clauses.iter();
            if clauses.any(|clause| self.holds(clause, place, distance_metres)) {
                sum = sum.saturating_add(*price);
            }
        }
        clamped(sum)
    }

    fn holds(&self, clause: &Clause, place: LocationId, distance_metres: Option<u32>) -> bool {
        if !self.holds[clause.number] || !clause.allows(place) {
            return false;
        }
        if clause.candidate.is_empty() && clause.cell.is_empty() {
            return true;
        }
        let bound = self.bound;
        let place_facts = bound.places.facts(place);
        let facts = Facts::new(Some(bound.order), Some(&place_facts), Some(self.goods), distance_metres);
        bound.all_hold(&clause.candidate, &facts) && bound.all_hold(&clause.cell, &facts)
    }
}

fn asks_candidates(only: &Condition) -> bool {
    only.clauses.iter().any(|clause| !clause.candidate.is_empty())
}
