//! The figures of stock rules.

use std::time::Duration;

use super::{families, page::Page};

/// Stock rules and how far their evaluation is behind.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// In the set.
    pub rules: u64,
    /// Of these, holding now.
    pub holding: u64,
    /// SKUs that wait for an evaluation.
    pub waiting: u64,
    /// How long the one that waits longest has waited.
    pub lag: Duration,
    /// SKUs evaluated.
    pub evaluated: u64,
    /// SKUs of which an evaluation changed something.
    pub applied: u64,
    /// How long the SKU that waited longest had waited, of the last pass.
    pub last_lag: Duration,
}

pub(super) fn publish(rules: &Rules, page: &mut Page) {
    page.open(&families::STOCK_RULES);
    page.sample(&[("state", "holding")], rules.holding);
    page.sample(&[("state", "waiting")], rules.rules.saturating_sub(rules.holding));
    page.one(&families::RULES_WAITING, rules.waiting);
    page.one(&families::RULES_LAG, rules.lag.as_secs_f64());
    page.one(&families::RULES_LAST_LAG, rules.last_lag.as_secs_f64());
    page.one(&families::RULES_EVALUATIONS, rules.evaluated);
    page.one(&families::RULES_APPLIED, rules.applied);
}
