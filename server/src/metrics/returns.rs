//! Names and explains the figures of returns.

use quartermaster_engine::event::returns::Disposition;
use quartermaster_engine::returns::ReturnState;

use super::{families, page::Page};

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
    page.open(&families::RETURNS);
    for state in ReturnState::ALL {
        page.sample(&[("state", state.name())], returns.states[state.index()]);
    }
    page.open(&families::RETURNED_UNITS);
    for disposition in Disposition::ALL {
        page.sample(&[("disposition", disposition.name())], returns.disposed[disposition.index()]);
    }
    page.one(&families::RETURN_ALERTS, returns.above_alert);
}
