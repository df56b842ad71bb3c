//! What a document must keep to whatever the places are: names, ranges, lengths and orders of its lists.

use hashbrown::HashSet;
use quartermaster_routing::Money;

use super::document::Document;
use super::error::{Fault, PolicyError};
use super::prices::Prices;

const NAME_BYTES_MAX: usize = 64;
const DESCRIPTION_BYTES_MAX: usize = 4096;
const RULES_MAX: usize = 256;
const FALLBACKS_MAX: usize = 16;
const STEPS_OF_A_PRICE_MAX: usize = 32;
const CODES_MAX: usize = 1024;
/// More nodes than anyone waits for.
const NODES_MAX: i64 = 10_000_000;
/// A thousand years.
const DAYS_MAX: i64 = 365_000;

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Errors(pub(super) Vec<PolicyError>);

impl Errors {
    pub(super) fn add(&mut self, path: impl Into<String>, fault: impl Into<Fault>) {
        self.0.push(PolicyError { path: path.into(), fault: fault.into() });
    }

    fn range(&mut self, path: &str, value: impl Into<i64>, least: i64, most: i64) {
        let value = value.into();
        if !(least..=most).contains(&value) {
            self.add(path, Fault::Range { value, least, most });
        }
    }

    fn amount(&mut self, path: &str, value: i64) {
        self.range(path, value, 0, Money::MAX.0);
    }

    fn length(&mut self, path: &str, text: &str, most: usize) {
        if text.is_empty() || text.len() > most {
            self.add(path, Fault::Length { bytes: text.len(), most });
        }
    }

    fn count(&mut self, path: &str, count: usize, most: usize) {
        if count > most {
            self.add(path, Fault::TooMany { count, most });
        }
    }

    /// Each of 1 to 64 bytes, no two alike.
    fn names<'n>(&mut self, list: &str, names: impl Iterator<Item = &'n str>) {
        let mut taken = HashSet::<_, ahash::RandomState>::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
        for (at, name) in names.enumerate() {
            let path = format!("{list}[{at}].name");
            self.length(&path, name, NAME_BYTES_MAX);
            if !taken.insert(name) {
                self.add(path, Fault::NameTaken { name: name.to_owned() });
            }
        }
    }
}

pub(super) fn check(document: &Document, errors: &mut Errors) {
    errors.length("name", &document.name, NAME_BYTES_MAX);
    if document.description.len() > DESCRIPTION_BYTES_MAX {
        errors.length("description", &document.description, DESCRIPTION_BYTES_MAX);
    }
    if document.currency.len() != 3 || !document.currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
        errors.add("currency", Fault::Currency);
    }
    scope(document, errors);
    errors.range("nodes_max", document.nodes_max, 1, NODES_MAX);
    parcels("parcels_max", document.parcels_max, errors);
    prices(&document.prices, errors);
    errors.count("rules", document.rules.len(), RULES_MAX);
    errors.names("rules", document.rules.iter().map(|rule| rule.name.as_str()));
    errors.count("preferences", document.preferences.len(), RULES_MAX);
    errors.names("preferences", document.preferences.iter().map(|preference| preference.name.as_str()));
    for (at, preference) in document.preferences.iter().enumerate() {
        let most = Money::MAX.0;
        errors.range(&format!("preferences[{at}].parcel_price"), preference.parcel_price, -most, most);
        errors.range(&format!("preferences[{at}].unit_price"), preference.unit_price, -most, most);
    }
    errors.count("fallbacks", document.fallbacks.len(), FALLBACKS_MAX);
    errors.names("fallbacks", document.fallbacks.iter().map(|fallback| fallback.name.as_str()));
    for (at, fallback) in document.fallbacks.iter().enumerate() {
        parcels(&format!("fallbacks[{at}].parcels_max"), fallback.parcels_max, errors);
        for (entry, name) in fallback.ignore_rules.iter().enumerate() {
            if !document.rules.iter().any(|rule| rule.name == *name) {
                let path = format!("fallbacks[{at}].ignore_rules[{entry}]");
                errors.add(path, Fault::UnknownRule { name: name.clone() });
            }
        }
    }
}

fn scope(document: &Document, errors: &mut Errors) {
    let lists = [
        ("channels", &document.scope.channels),
        ("order_types", &document.scope.order_types),
        ("buyer_tiers", &document.scope.buyer_tiers),
    ];
    for (name, list) in lists {
        errors.count(&format!("scope.{name}"), list.len(), CODES_MAX);
        for (at, code) in list.iter().enumerate() {
            errors.length(&format!("scope.{name}[{at}]"), code, NAME_BYTES_MAX);
        }
    }
}

fn parcels(path: &str, most: Option<u16>, errors: &mut Errors) {
    if let Some(most) = most {
        errors.range(path, most, 1, i64::from(u16::MAX));
    }
}

fn prices(prices: &Prices, errors: &mut Errors) {
    errors.amount("prices.unserved_unit", prices.unserved_unit);
    errors.amount("prices.late_hour", prices.late_hour);
    errors.amount("prices.preferred_unit_bonus", prices.preferred_unit_bonus);
    errors.amount("prices.substitution_unit", prices.substitution_unit);
    if let Some(last) = prices.last_pieces {
        errors.range("prices.last_pieces.at", last.at, 1, i64::from(u32::MAX));
        errors.amount("prices.last_pieces.price", last.price);
    }
    if let Some(run) = prices.size_run {
        errors.amount("prices.size_run.break_price", run.break_price);
        errors.amount("prices.size_run.broken_bonus", run.broken_bonus);
    }
    errors.count("prices.ageing", prices.ageing.len(), STEPS_OF_A_PRICE_MAX);
    for (at, step) in prices.ageing.iter().enumerate() {
        errors.range(&format!("prices.ageing[{at}].days"), step.days, 0, DAYS_MAX);
        errors.amount(&format!("prices.ageing[{at}].bonus"), step.bonus);
    }
    ascending("prices.ageing", "days", prices.ageing.iter().map(|step| step.days), errors);
    errors.count("prices.capacity_pressure", prices.capacity_pressure.len(), STEPS_OF_A_PRICE_MAX);
    for (at, step) in prices.capacity_pressure.iter().enumerate() {
        errors.range(&format!("prices.capacity_pressure[{at}].used_percent"), step.used_percent, 1, 100);
        errors.amount(&format!("prices.capacity_pressure[{at}].price"), step.price);
    }
    let percents = prices.capacity_pressure.iter().map(|step| step.used_percent);
    ascending("prices.capacity_pressure", "used_percent", percents, errors);
    cover(prices, errors);
}

fn cover(prices: &Prices, errors: &mut Errors) {
    errors.count("prices.cover", prices.cover.len(), STEPS_OF_A_PRICE_MAX);
    for (at, step) in prices.cover.iter().enumerate() {
        let path = format!("prices.cover[{at}]");
        let (weeks, amount) = match (step.weeks_over, step.bonus, step.weeks_under, step.price) {
            (Some(weeks), Some(bonus), None, None) => (weeks, bonus),
            (None, None, Some(weeks), Some(price)) => (weeks, price),
            _ => {
                errors.add(path, Fault::CoverForm);
                continue;
            }
        };
        errors.range(&path, weeks, 0, DAYS_MAX);
        errors.amount(&path, amount);
    }
}

fn ascending(list: &str, field: &str, values: impl Iterator<Item = u32>, errors: &mut Errors) {
    let mut before = None;
    for (at, value) in values.enumerate() {
        if before.is_some_and(|before| value <= before) {
            errors.add(format!("{list}[{at}].{field}"), Fault::NotAscending);
        }
        before = Some(value);
    }
}
