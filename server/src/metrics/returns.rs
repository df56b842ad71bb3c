//! Names and explains the figures of returns.

use quartermaster_engine::event::returns::Disposition;
use quartermaster_engine::returns::ReturnState;

use super::page::Page;

/// Returns, as the engine counts them.
#[derive(Clone, Debug, Default)]
pub struct Returns {
    /// Kept, by `ReturnState::index`.
    pub states: [u64; 5],
    /// Units inspected, by `Disposition::index`.
    pub disposed: [u64; 5],
    /// SKUs at or above the setting `return_rate_alert`.
    pub above_alert: u64,
}

pub(super) fn publish(returns: &Returns, page: &mut Page) {
    page.gauge("quartermaster_returns", "Returns kept, by state.");
    for state in ReturnState::ALL {
        page.sample(&[("state", state.name())], returns.states[state.index()]);
    }
    page.counter("quartermaster_returned_units_total", "Units that came back and were inspected, by disposition.");
    for disposition in Disposition::ALL {
        page.sample(&[("disposition", disposition.name())], returns.disposed[disposition.index()]);
    }
    page.gauge("quartermaster_return_rate_alerts", "SKUs whose return rate is at or above `return_rate_alert`.");
    page.single(returns.above_alert);
}
