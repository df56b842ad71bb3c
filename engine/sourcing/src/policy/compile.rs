//! From a document to a policy ready for use: everything that can be checked or decided once is.

use quartermaster_routing::LocationId;

use super::bound::{Bound, Removed};
use super::chain;
use super::check::{self, Errors};
use super::condition::{Class, Condition};
use super::document::Document;
use super::error::{Fault, PolicyError};
use super::expression::{Domain, Truth};
use super::facts::{OrderFacts, Places};
use super::prices::Prices;
use super::step::Step;
use crate::bits::LocationSet;

/// A policy ready for use with the places it was compiled against. Compile again when places change: a place it does not know is
/// eligible in no step.
#[derive(Clone, Debug)]
pub struct Policy {
    document: Document,
    version: u32,
    pub(super) rules: Vec<Condition>,
    pub(super) preferences: Vec<Condition>,
    steps: Vec<Step>,
    /// Clauses of the whole policy.
    pub(super) clauses: usize,
    /// Tests of clauses, by number, that are asked once per order.
    pub(super) order_tests: Vec<(usize, Vec<Truth>)>,
    /// Tests of clauses, by number, that are asked once per line.
    pub(super) line_tests: Vec<(usize, Vec<Truth>)>,
    pub(super) parcel_prices: PriceList,
    pub(super) unit_prices: PriceList,
}

/// Prices of preferences: sums where the place alone decides, the rest by index.
#[derive(Clone, Debug, Default)]
pub(super) struct PriceList {
    /// Minor units by location id; empty when no preference is decided by the place alone.
    pub(super) fixed: Vec<i64>,
    /// Preferences that hang on more, with their price.
    pub(super) open: Vec<(usize, i64)>,
}

impl Policy {
    /// The name of the policy of those orders that no other is for.
    pub const BUILT_IN_NAME: &'static str = "default";

    /// Checks a document and makes it ready.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(document: Document, version: u32, places: &dyn Places) -> Result<Self, Vec<PolicyError>> {
        let mut errors = Errors::default();
        check::check(&document, &mut errors);
        let order = chain::resolve(&document, &mut errors);
        let mut reader = Reader { places, clauses: 0, errors };
        let rules = document.rules.iter().enumerate();
        let rules = rules.map(|(at, rule)| reader.read(&rule.exclude, || format!("rules[{at}].exclude"))).collect();
        let preferences = document.preferences.iter().enumerate();
        let preferences =
            preferences.map(|(at, wish)| reader.read(&wish.when, || format!("preferences[{at}].when"))).collect();
        let only = document.only.as_deref().map(|text| reader.read(text, || "where".to_owned()));
        let fallbacks = document.fallbacks.iter().enumerate();
        let onlys: Vec<_> = fallbacks
            .map(|(at, fallback)| {
                fallback.only.as_deref().map(|text| reader.read(text, || format!("fallbacks[{at}].where")))
            })
            .collect();
        let rules = all(rules);
        let preferences = all(preferences);
        if let Some(preferences) = &preferences {
            reader.check_parcel_prices(&document, preferences);
        }
        let (Some(rules), Some(preferences), true) = (rules, preferences, reader.errors.0.is_empty()) else {
            return Err(reader.errors.0);
        };
        let mut steps = vec![Step::of(&document, None, only.flatten(), &rules, places.count())];
        for at in order {
            steps.push(Step::of(&document, Some(at), onlys[at].clone().flatten(), &rules, places.count()));
        }
        let wishes = || document.preferences.iter().zip(&preferences).enumerate();
        let parcel_prices = wishes().map(|(at, (wish, condition))| (at, condition, wish.parcel_price));
        let parcel_prices = PriceList::of(parcel_prices, places.count());
        let unit_prices = wishes().map(|(at, (wish, condition))| (at, condition, wish.unit_price));
        let unit_prices = PriceList::of(unit_prices, places.count());
        let conditions = rules.iter().chain(&preferences).chain(steps.iter().filter_map(|step| step.only.as_ref()));
        let (mut order_tests, mut line_tests) = (Vec::new(), Vec::new());
        for clause in conditions.flat_map(|condition| &condition.clauses) {
            if !clause.order.is_empty() {
                order_tests.push((clause.number, clause.order.clone()));
            }
            if !clause.line.is_empty() {
                line_tests.push((clause.number, clause.line.clone()));
            }
        }
        let clauses = reader.clauses;
        Ok(Self {
            document,
            version,
            rules,
            preferences,
            steps,
            clauses,
            order_tests,
            line_tests,
            parcel_prices,
            unit_prices,
        })
    }

    /// Money alone, any place, no rules: version 0 of the name "default", in no currency.
    ///
    /// # Panics
    /// Never: a plain document has nothing wrong.
    #[must_use]
    pub fn built_in(places: &dyn Places) -> Self {
        Self::compile(Document::plain(Self::BUILT_IN_NAME, "XXX"), 0, places)
            .expect("a plain document has nothing wrong")
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.document.name
    }

    /// Its version; 0 for the built-in one.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// As it was written.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// What things are worth.
    #[must_use]
    pub fn prices(&self) -> &Prices {
        &self.document.prices
    }

    /// In the order in which they are tried; at least one.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Binds it to an order, evaluating once what hangs on the order alone.
    #[must_use]
    pub fn for_order<'a>(&'a self, order: &'a OrderFacts<'a>, places: &'a dyn Places) -> Bound<'a> {
        Bound::new(self, order, places)
    }

    /// Name and expression of what removed a candidate in this step.
    #[must_use]
    pub fn reason(&self, step: &Step, removed: Removed) -> (&str, &str) {
        let fallback = step.fallback.map(|at| &self.document.fallbacks[at]);
        match (removed, fallback) {
            (Removed::Rule(at), _) => {
                self.document.rules.get(at).map_or(("", ""), |rule| (rule.name.as_str(), rule.exclude.as_str()))
            }
            (Removed::Where, Some(fallback)) => (&fallback.name, fallback.only.as_deref().unwrap_or("")),
            (Removed::Where, None) => (&self.document.name, self.document.only.as_deref().unwrap_or("")),
        }
    }
}

/// Reads expressions, numbering their clauses and gathering what is wrong.
struct Reader<'p> {
    places: &'p dyn Places,
    clauses: usize,
    errors: Errors,
}

impl Reader<'_> {
    fn read(&mut self, text: &str, path: impl Fn() -> String) -> Option<Condition> {
        match Condition::read(text, self.clauses, self.places) {
            Ok(condition) => {
                self.clauses += condition.clauses.len();
                Some(condition)
            }
            Err(error) => {
                self.errors.add(path(), error);
                None
            }
        }
    }

    fn check_parcel_prices(&mut self, document: &Document, preferences: &[Condition]) {
        for (at, (wish, condition)) in document.preferences.iter().zip(preferences).enumerate() {
            if wish.parcel_price != 0 && condition.truth.domain().touches(Domain::GOODS) {
                self.errors.add(format!("preferences[{at}].parcel_price"), Fault::ParcelPriceOfSku);
            }
        }
    }
}

impl Step {
    fn of(
        document: &Document,
        fallback: Option<usize>,
        only: Option<Condition>,
        rules: &[Condition],
        places: usize,
    ) -> Self {
        let own = fallback.map(|at| &document.fallbacks[at]);
        let ignored = |name: &String| own.is_some_and(|own| own.ignore_rules.contains(name));
        let holding: Vec<usize> =
            document.rules.iter().enumerate().filter(|(_, rule)| !ignored(&rule.name)).map(|(at, _)| at).collect();
        let with = |test: &dyn Fn(&Condition) -> bool| holding.iter().copied().filter(|at| test(&rules[*at])).collect();
        let order_rules =
            with(&|rule| rule.clauses.iter().any(|clause| clause.class() == Class::Place && !clause.is_fixed()));
        let mixed_rules = with(&|rule| rule.has(Class::Candidate));
        let line_rules = with(&|rule| rule.has(Class::Line));
        let mut eligible = LocationSet::all(places);
        for clause in holding.iter().flat_map(|at| &rules[*at].clauses).filter(|clause| clause.is_fixed()) {
            match &clause.places {
                Some(removed) => eligible.subtract(removed),
                None => eligible = LocationSet::default(),
            }
        }
        if let Some(only) = &only {
            let kept = |place: &LocationId| only.clauses.iter().any(|clause| clause.allows(*place));
            eligible.intersect(&ids(places).filter(kept).collect());
        }
        Self {
            name: own.map_or(&document.name, |own| &own.name).clone(),
            objective: own.and_then(|own| own.objective).unwrap_or(document.objective).0,
            parcels_max: own.map_or(document.parcels_max, |own| own.parcels_max),
            partial: own.and_then(|own| own.partial).unwrap_or(document.partial),
            fallback,
            rules: holding,
            only,
            eligible,
            order_rules,
            mixed_rules,
            line_rules,
        }
    }
}

impl PriceList {
    fn of<'c>(wishes: impl Iterator<Item = (usize, &'c Condition, i64)>, places: usize) -> Self {
        let mut list = Self::default();
        for (at, condition, price) in wishes.filter(|(_, _, price)| *price != 0) {
            if !condition.is_fixed() {
                list.open.push((at, price));
                continue;
            }
            list.fixed.resize(places, 0);
            for (place, sum) in ids(places).zip(&mut list.fixed) {
                if condition.clauses.iter().any(|clause| clause.allows(place)) {
                    *sum = sum.saturating_add(price);
                }
            }
        }
        list
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.open.is_empty()
    }

    pub(super) fn fixed_at(&self, place: LocationId) -> i64 {
        usize::try_from(place.0).ok().and_then(|place| self.fixed.get(place)).copied().unwrap_or(0)
    }
}

fn all<T>(list: Vec<Option<T>>) -> Option<Vec<T>> {
    list.into_iter().collect()
}

/// Ids below `count`.
pub(super) fn ids(count: usize) -> impl Iterator<Item = LocationId> {
    (0..u32::try_from(count).unwrap_or(u32::MAX)).map(LocationId)
}
