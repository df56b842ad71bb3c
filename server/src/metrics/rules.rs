//! The figures of stock rules.

use std::time::Duration;

use super::page::Page;

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
    page.gauge("quartermaster_stock_rules", "Stock rules in the set, by whether they hold now.");
    page.sample(&[("state", "holding")], rules.holding);
    page.sample(&[("state", "waiting")], rules.rules.saturating_sub(rules.holding));
    page.gauge("quartermaster_stock_rules_skus_waiting", "SKUs that wait for an evaluation of the stock rules.");
    page.single(rules.waiting);
    page.gauge(
        "quartermaster_stock_rules_lag_seconds",
        "How long the SKU that waits longest for an evaluation has waited; 0 when none waits.",
    );
    page.single(rules.lag.as_secs_f64());
    page.gauge(
        "quartermaster_stock_rules_last_lag_seconds",
        "How long the SKU that waited longest had waited, of the newest pass.",
    );
    page.single(rules.last_lag.as_secs_f64());
    page.counter("quartermaster_stock_rules_evaluations_total", "SKUs of which the stock rules were evaluated.");
    page.single(rules.evaluated);
    page.counter("quartermaster_stock_rules_applied_total", "Evaluations that changed something, each one event.");
    page.single(rules.applied);
}
