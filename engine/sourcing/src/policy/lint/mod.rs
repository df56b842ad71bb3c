//! What a document says that its author cannot have meant.

mod contradiction;
mod mention;
mod prices;
mod steps;

use quartermaster_routing::Money;

use super::compile::{Policy, ids};
use super::condition::{Class, Condition};
use super::document::Document;
use super::expression::{Text, TextField, Texts, Truth};
use super::facts::Places;
use crate::bits::LocationSet;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Probably not meant.
    Warning,
    /// Cannot have been meant: do not publish.
    Error,
}

/// One thing worth a second look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Where, for example `rules[2].exclude`.
    pub path: String,
    /// What, for the document's author.
    pub message: String,
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, path: &str, message: impl Into<String>) {
        self.0.push(Finding { severity, path: path.to_owned(), message: message.into() });
    }

    fn warn(&mut self, path: &str, message: impl Into<String>) {
        self.add(Severity::Warning, path, message);
    }
}

/// Looks a document over against the places there are. What does not compile is found as errors, and then nothing else is
/// looked for.
///
/// `cheapest_parcel`: what the cheapest parcel of any place costs with its carriage, when the caller knows.
#[must_use]
pub fn lint(document: &Document, places: &dyn Places, cheapest_parcel: Option<Money>) -> Vec<Finding> {
    let mut findings = Findings::default();
    let policy = match Policy::compile(document.clone(), 0, places) {
        Ok(policy) => policy,
        Err(errors) => {
            errors.iter().for_each(|error| findings.add(Severity::Error, &error.path, error.fault.to_string()));
            return findings.0;
        }
    };
    for (at, channel) in document.scope.channels.iter().enumerate() {
        if !places.has_channel(channel) {
            let path = format!("scope.channels[{at}]");
            findings.add(Severity::Error, &path, format!("there is no channel \"{channel}\""));
        }
    }
    let scope = scope_tests(document);
    for (at, rule) in policy.rules.iter().enumerate() {
        let path = format!("rules[{at}].exclude");
        condition(rule, &path, &scope, places, &mut findings);
        if is_everywhere(rule, places.count()) {
            findings.warn(&path, "removes every place from every order");
        }
    }
    for (at, wish) in policy.preferences.iter().enumerate() {
        condition(wish, &format!("preferences[{at}].when"), &scope, places, &mut findings);
    }
    preferences(document, &policy, &mut findings);
    steps::look(document, &policy, &scope, places, &mut findings);
    prices::look(document, &policy, cheapest_parcel, &mut findings);
    findings.0
}

/// What every order of the scope is like.
fn scope_tests(document: &Document) -> Vec<Truth> {
    let lists = [
        (TextField::OrderChannel, &document.scope.channels),
        (TextField::OrderType, &document.scope.order_types),
        (TextField::OrderBuyerTier, &document.scope.buyer_tiers),
    ];
    let named = lists.into_iter().filter(|(_, codes)| !codes.is_empty());
    let literal = |code: &String| Text::Literal(code.as_str().into());
    named
        .map(|(field, codes)| Truth::Among(Text::Field(field), Texts::Literal(codes.iter().map(literal).collect())))
        .collect()
}

fn condition(condition: &Condition, path: &str, scope: &[Truth], places: &dyn Places, findings: &mut Findings) {
    let mut reasons = Vec::new();
    for (clause, part) in condition.clauses.iter().zip(condition.truth.clauses()) {
        let nowhere = clause.places.as_ref().is_some_and(LocationSet::is_empty);
        let tests = [part.tests(), scope].concat();
        reasons.push(contradiction::find(&tests).or_else(|| nowhere.then(|| "it matches no place".to_owned())));
    }
    if let Some(first) = reasons.iter().flatten().next().filter(|_| reasons.iter().all(Option::is_some)) {
        findings.warn(path, format!("can never be true: {first}"));
    } else {
        for (at, reason) in reasons.iter().enumerate() {
            if let Some(reason) = reason {
                findings.warn(path, format!("part {} of its || can never be true: {reason}", at + 1));
            }
        }
    }
    mention::look(&condition.truth, path, places, findings);
    if condition.has(Class::Candidate) || condition.clauses.iter().any(|clause| !clause.cell.is_empty()) {
        let message =
            "looks at the place together with the order, the SKU or the distance: evaluated for each candidate";
        findings.add(Severity::Note, path, message);
    }
    if condition.unanswered_places > 0 {
        findings.warn(path, format!("has no answer for {} places, by its arithmetic", condition.unanswered_places));
    }
}

fn is_everywhere(condition: &Condition, count: usize) -> bool {
    let mut fixed = condition.clauses.iter().filter(|clause| clause.is_fixed());
    fixed.any(|clause| ids(count).all(|place| clause.allows(place)))
}

fn preferences(document: &Document, policy: &Policy, findings: &mut Findings) {
    for (at, wish) in document.preferences.iter().enumerate() {
        if wish.parcel_price == 0 && wish.unit_price == 0 {
            findings.warn(&format!("preferences[{at}]"), "has no price and changes nothing");
            continue;
        }
        let cancelling = document.preferences[..at].iter().zip(&policy.preferences).position(|(other, condition)| {
            condition.truth == policy.preferences[at].truth
                && other.parcel_price == wish.parcel_price.saturating_neg()
                && other.unit_price == wish.unit_price.saturating_neg()
        });
        if let Some(other) = cancelling {
            let name = &document.preferences[other].name;
            findings.warn(&format!("preferences[{at}]"), format!("cancels the preference \"{name}\""));
        }
    }
}
