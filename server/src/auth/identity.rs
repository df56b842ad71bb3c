//! Who makes a call, as it travels with it: among the extensions of its request, once it has passed the gate.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Denial;
use super::audit::{Audit, What, Whose};
use super::principal::{Principal, Rate};
use super::rates::Rates;
use crate::methods::MethodId;

/// Who makes a call. Without authentication it is nobody in particular, who may do everything.
#[derive(Clone, Default)]
pub(crate) struct Identity {
    principal: Option<Arc<Principal>>,
    meter: Option<Meter>,
    told: Option<Told>,
}

/// Where it is told when it is denied something, and as what.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) audit: Arc<Audit>,
    pub(super) network: IpAddr,
    pub(super) method: Option<MethodId>,
}

/// What its calls are booked on.
#[derive(Clone)]
pub(super) struct Meter {
    pub(super) rates: Arc<Rates>,
    pub(super) place: usize,
    pub(super) rate: Rate,
}

impl Identity {
    pub(super) fn new(principal: Option<Arc<Principal>>, meter: Option<Meter>, told: Told) -> Identity {
        Identity { principal, meter, told: Some(told) }
    }

    /// That of a principal whose calls are neither counted nor told of.
    #[cfg(test)]
    pub(crate) fn of_principal(principal: Principal) -> Identity {
        Identity { principal: Some(Arc::new(principal)), ..Identity::default() }
    }

    /// Nobody's in particular, held to a rate.
    #[cfg(test)]
    pub(crate) fn metered(rate: Rate) -> Identity {
        let meter = Meter { rates: Arc::new(Rates::new()), place: 0, rate };
        Identity { meter: Some(meter), ..Identity::default() }
    }

    /// That of `request`; nobody's when no gate was passed.
    pub(crate) fn of<T>(request: &tonic::Request<T>) -> Identity {
        request.extensions().get::<Identity>().cloned().unwrap_or_default()
    }

    /// The same of a request before tonic.
    pub(crate) fn of_http<T>(request: &http::Request<T>) -> Identity {
        request.extensions().get::<Identity>().cloned().unwrap_or_default()
    }

    /// What the journal calls it; empty for nobody in particular.
    pub(crate) fn name(&self) -> &str {
        self.principal.as_ref().map_or("", |principal| principal.name.as_str())
    }

    /// The principal, if it is bound to channels or locations.
    pub(crate) fn bound(&self) -> Option<&Principal> {
        self.principal.as_deref().filter(|principal| principal.is_bound())
    }

    /// Books `items` calls.
    ///
    /// # Errors
    /// [`Denial::Rate`] when it has called more than it may.
    pub(crate) fn charge(&self, items: usize) -> Result<(), Denial> {
        self.book(items).map_err(|retry_after| {
            let (rate, burst) = self.meter.as_ref().map_or((0, 0), |meter| (meter.rate.per_second, meter.rate.burst));
            self.denied(Denial::Rate { rate, burst, retry_after })
        })
    }

    /// The same for who waits: the time to wait where it has called more than it may, which is no denial.
    pub(crate) fn book(&self, items: usize) -> Result<(), Duration> {
        match &self.meter {
            Some(meter) if items > 0 => {
                meter.rates.charge(meter.place, meter.rate, u64::try_from(items).unwrap_or(u64::MAX))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts and logs what it is denied.
    pub(crate) fn denied(&self, denial: Denial) -> Denial {
        if let Some(Told { audit, network, method }) = &self.told {
            audit.refused(Whose { actor: self.name(), network: *network, what: What::Method(*method) }, &denial);
        }
        denial
    }
}
