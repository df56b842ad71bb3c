//! What the decisions of one world come to.
//!
//! All figures are of orders as they were decided when they were held; what reroutes and merges made of them later is counted apart.

use std::collections::{BTreeMap, BTreeSet};

use quartermaster_engine::{
    Rejection,
    id::LocationId,
    sourced::{AskLine, Decision},
    time::Timestamp,
};
use quartermaster_sourcing::{
    Proof,
    fulfilment::Moment,
    plan::{Terms, UnservedReason},
};

use crate::day::Day;

/// An order as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// Units of all lines.
    pub units: u64,
    /// When it should arrive.
    pub wanted_by: Option<Moment>,
}

impl Asked {
    pub(crate) fn of(at: Timestamp, wanted: &[AskLine], wanted_by: Option<Moment>) -> Self {
        Self { at, units: wanted.iter().map(|line| u64::from(line.quantity)).sum(), wanted_by }
    }
}

/// What became of an order in one world.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// It was held.
    Held(&'a Decision),
    /// It was refused.
    Refused(&'a Rejection),
}

impl<'a> Answer<'a> {
    pub(crate) fn decision(self) -> Option<&'a Decision> {
        match self {
            Self::Held(decision) => Some(decision),
            Self::Refused(_) => None,
        }
    }
}

/// Money by what it is for, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The places' cost for parcels.
    pub handling: i128,
    /// The carriers' prices.
    pub carriage: i128,
    /// Picking.
    pub picking: i128,
    /// Being later than wanted.
    pub lateness: i128,
    /// The policy's preferences.
    pub preference: i128,
    /// Last pieces, size runs, ageing stock, weeks of cover.
    pub opportunity: i128,
    /// Places that are nearly full.
    pub pressure: i128,
}

impl Cost {
    fn add(&mut self, terms: &Terms) {
        self.handling += i128::from(terms.handling.0);
        self.carriage += i128::from(terms.carriage.0);
        self.picking += i128::from(terms.picking.0);
        self.lateness += i128::from(terms.lateness.0);
        self.preference += i128::from(terms.preference.0);
        self.opportunity += i128::from(terms.opportunity.0);
        self.pressure += i128::from(terms.pressure.0);
    }

    /// Each term with its name.
    #[must_use]
    pub fn terms(&self) -> [(&'static str, i128); 7] {
        [
            ("handling", self.handling),
            ("carriage", self.carriage),
            ("picking", self.picking),
            ("lateness", self.lateness),
            ("preference", self.preference),
            ("opportunity", self.opportunity),
            ("pressure", self.pressure),
        ]
    }

    /// What is paid to somebody: the rest is what a policy weighs, and differs from policy to policy for the same parcels.
    #[must_use]
    pub fn paid(&self) -> i128 {
        self.handling + self.carriage + self.picking
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> i128 {
        self.terms().iter().map(|(_, money)| money).sum()
    }
}

/// What a location had to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Orders that it had a part of.
    pub orders: u64,
    /// Parcels.
    pub parcels: u64,
    /// Units in them.
    pub units: u64,
    /// What its parcels cost.
    pub cost: i128,
}

/// One day of arrivals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayFigures {
    /// Orders that came in.
    pub orders: u64,
    /// Of them with at least one parcel.
    pub served: u64,
    /// Of them with more than one parcel.
    pub split: u64,
    /// Parcels.
    pub parcels: u64,
    /// Units served.
    pub units: u64,
    /// Units not served.
    pub unfilled: u64,
    /// Of those with a wanted date, promised later.
    pub late: u64,
    /// What the parcels cost.
    pub cost: i128,
    /// What of it is paid to somebody.
    pub paid: i128,
}

/// The most parcels that left a location in one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    /// Which day.
    pub day: Day,
    /// Parcels.
    pub parcels: u64,
}

/// Which step of which policy decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DecidedBy {
    /// Policy.
    pub policy: Box<str>,
    /// Version; 0 for the built-in one.
    pub version: u32,
    /// Name of the step, empty for the policy itself.
    pub step: Box<str>,
}

/// Figures of one world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Orders asked for.
    pub orders: u64,
    /// Orders with at least one parcel.
    pub served: u64,
    /// Orders with more than one parcel.
    pub split: u64,
    /// Orders refused as a whole.
    pub refused: u64,
    /// Units asked for.
    pub units_wanted: u64,
    /// Units in parcels, substitutes included.
    pub units: u64,
    /// Units asked for and not served.
    pub unfilled: u64,
    /// Units served by another SKU.
    pub substituted: u64,
    /// Parcels.
    pub parcels: u64,
    /// Billed grams.
    pub weight_grams: u128,
    /// What the parcels cost.
    pub cost: Cost,
    /// Currencies of the policies that decided.
    pub currencies: BTreeSet<Box<str>>,
    /// Served orders with a wanted date.
    pub dated: u64,
    /// Of them promised later.
    pub late: u64,
    /// Seconds from order to promised arrival, over all served orders.
    pub lead_seconds: u128,
    /// Decisions proved best.
    pub proved: u64,
    /// Search nodes.
    pub nodes: u64,
    /// Most nodes of one decision.
    pub nodes_max: u64,
    /// Units not served, by the reason told; what a refusal leaves of an order that could have been served has none.
    pub unserved: BTreeMap<UnservedReason, u64>,
    /// Orders by who decided.
    pub decided_by: BTreeMap<DecidedBy, u64>,
    /// By location.
    pub locations: BTreeMap<LocationId, Load>,
    /// By day of arrival of the order.
    pub days: BTreeMap<Day, DayFigures>,
    /// Parcels by location and the day they leave.
    leaving: BTreeMap<(LocationId, Day), u64>,
}

impl Figures {
    /// Counts an order and what became of it.
    pub(crate) fn add(&mut self, asked: &Asked, answer: Answer<'_>) {
        self.orders += 1;
        self.units_wanted += asked.units;
        let day = self.days.entry(Day::of(asked.at)).or_default();
        day.orders += 1;
        match answer {
            Answer::Held(decision) => self.decided(asked, decision),
            Answer::Refused(rejection) => {
                self.refused += 1;
                self.unfilled += asked.units;
                day.unfilled += asked.units;
                if let Rejection::NotRoutable { unserved } = rejection {
                    for one in unserved {
                        *self.unserved.entry(one.reason).or_default() += u64::from(one.units);
                    }
                }
            }
        }
    }

    fn decided(&mut self, asked: &Asked, decision: &Decision) {
        let day = self.days.entry(Day::of(asked.at)).or_default();
        let parcels = count(decision.parcels.len());
        let units = served_units(decision);
        let unfilled: u64 = decision.unserved.iter().map(|(_, units, _)| u64::from(*units)).sum();
        self.parcels += parcels;
        self.units += units;
        self.unfilled += unfilled;
        day.parcels += parcels;
        day.units += units;
        day.unfilled += unfilled;
        self.served += u64::from(parcels > 0);
        self.split += u64::from(parcels > 1);
        day.served += u64::from(parcels > 0);
        day.split += u64::from(parcels > 1);
        if let Some(arrives_at) = decision.arrives_at() {
            let asked_at = i64::try_from(asked.at.0 / 1_000_000).unwrap_or(i64::MAX);
            self.lead_seconds += u128::try_from(arrives_at.0.saturating_sub(asked_at)).unwrap_or(0);
            let late = asked.wanted_by.is_some_and(|wanted_by| arrives_at > wanted_by);
            self.dated += u64::from(asked.wanted_by.is_some());
            self.late += u64::from(late);
            day.late += u64::from(late);
        }
        for (_, units, reason) in &decision.unserved {
            *self.unserved.entry(*reason).or_default() += u64::from(*units);
        }
        self.substituted += decision.substitutions.iter().map(|(.., units)| u64::from(*units)).sum::<u64>();
        self.proved += u64::from(decision.proof == Proof::Proved);
        self.nodes += decision.nodes;
        self.nodes_max = self.nodes_max.max(decision.nodes);
        if !self.currencies.contains(&decision.currency) {
            self.currencies.insert(decision.currency.clone());
        }
        let by = DecidedBy {
            policy: decision.policy.clone(),
            version: decision.policy_version,
            step: decision.step_name.clone(),
        };
        *self.decided_by.entry(by).or_default() += 1;
        day.cost += i128::from(decision.cost());
        let mut cost = Cost::default();
        decision.parcels.iter().for_each(|parcel| cost.add(&parcel.terms));
        day.paid += cost.paid();
        self.parcels_of(decision);
    }

    fn parcels_of(&mut self, decision: &Decision) {
        // Parcels come by location, so an order's parcels of one place stand together.
        let mut before = None;
        for parcel in &decision.parcels {
            self.cost.add(&parcel.terms);
            self.weight_grams += u128::from(parcel.weight_grams);
            let load = self.locations.entry(parcel.location).or_default();
            load.orders += u64::from(before != Some(parcel.location));
            load.parcels += 1;
            load.units += parcel.lines.iter().map(|(_, units)| u64::from(*units)).sum::<u64>();
            load.cost += i128::from(parcel.terms.total().0);
            *self.leaving.entry((parcel.location, Day::of_moment(parcel.ships_at))).or_default() += 1;
            before = Some(parcel.location);
        }
    }

    /// The day on which most parcels left a location, the first of equals.
    #[must_use]
    pub fn peak(&self, location: LocationId) -> Option<Peak> {
        let days = self.leaving.range((location, Day(0))..=(location, Day(u32::MAX)));
        let peaks = days.map(|((_, day), parcels)| Peak { day: *day, parcels: *parcels });
        peaks.reduce(|most, next| if next.parcels > most.parcels { next } else { most })
    }
}

/// Units in a decision's parcels.
pub(crate) fn served_units(decision: &Decision) -> u64 {
    decision.parcels.iter().flat_map(|parcel| &parcel.lines).map(|(_, units)| u64::from(*units)).sum()
}

/// A length as a figure.
pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
