//! The metrics: what is counted here and what the engine and the journal count themselves, published as one Prometheus page.
//!
//! Hot paths keep handles to fixed atomics; nothing is looked up by name and no sample is stored. Labels come from closed sets only.
mod allotment;
mod buckets;
mod calls;
mod campaign;
mod page;
mod process;
mod publish;
mod returns;
mod rules;
mod sources;
mod supply;
mod upkeep;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

pub use allotment::{Allotted, NODES_MAX};
pub use buckets::{Buckets, Counted, Histogram, Unit};
pub use calls::{CallMetrics, Observation};
pub use returns::Returns;
pub use rules::Rules;
pub use sources::{
    Audit, CampaignFigures, Decisions, Dedup, Expiry, Journal, Labelled, Reading, Recovery, Reservations, Routes,
    Snapshots, Sources, Stock,
};
pub use upkeep::Upkeep;

use crate::limits::InFlight;
use crate::methods::Methods;
use page::Page;
use process::ProcessMetrics;

/// Why a call or a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShedCause {
    /// `in_flight_max` calls were in work.
    InFlight,
    /// All places for JSON bodies of streams were taken.
    JsonBodies,
    /// `connections_max` connections were open.
    Connections,
    /// A connection did not say in time what it speaks.
    Handshake,
}

impl ShedCause {
    const ALL: [ShedCause; 4] =
        [ShedCause::InFlight, ShedCause::JsonBodies, ShedCause::Connections, ShedCause::Handshake];

    fn label(self) -> &'static str {
        match self {
            ShedCause::InFlight => "in_flight",
            ShedCause::JsonBodies => "json_bodies",
            ShedCause::Connections => "connections",
            ShedCause::Handshake => "handshake",
        }
    }

    fn index(self) -> usize {
        match self {
            ShedCause::InFlight => 0,
            ShedCause::JsonBodies => 1,
            ShedCause::Connections => 2,
            ShedCause::Handshake => 3,
        }
    }
}

/// Everything that is published.
pub struct Metrics {
    calls: Arc<CallMetrics>,
    in_flight: Arc<InFlight>,
    connections: AtomicU64,
    shed: [AtomicU64; 4],
    sources: OnceLock<Arc<dyn Sources>>,
    process: ProcessMetrics,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(methods: Arc<Methods>, in_flight: Arc<InFlight>) -> Arc<Metrics> {
        Arc::new(Metrics {
            calls: CallMetrics::new(methods),
            in_flight,
            connections: AtomicU64::new(0),
            shed: Default::default(),
            sources: OnceLock::new(),
            process: ProcessMetrics::new(),
        })
    }

    /// Where the figures of engine and journal are read at each scrape, from now on. The first call counts, later ones change nothing.
    pub fn set_sources(&self, sources: Arc<dyn Sources>) {
        // A second node in one process would be a bug elsewhere; the page keeps telling of the first.
        let _kept = self.sources.set(sources);
    }

    /// Rate, errors and duration of the calls.
    pub fn calls(&self) -> &Arc<CallMetrics> {
        &self.calls
    }

    /// Counts a refusal.
    pub fn shed(&self, cause: ShedCause) {
        self.shed[cause.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Tells how many connections are open.
    pub fn set_connections(&self, open: usize) {
        self.connections.store(u64::try_from(open).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The page, in the Prometheus text format. May take a while (it reads /proc and asks the engine): not for async threads.
    pub fn render(&self) -> String {
        let mut page = Page::new();
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        page.gauge("quartermaster_build_info", "1, labelled with what runs.");
        page.sample(&labels, 1);
        self.calls.publish(&mut page);
        page.gauge("quartermaster_inflight_requests", "Calls in work.");
        page.sample(&[], self.in_flight.now());
        page.gauge("quartermaster_inflight_requests_max", "Calls in work at which more are refused.");
        page.sample(&[], self.in_flight.max());
        page.gauge("quartermaster_connections", "Open connections of callers.");
        page.sample(&[], self.connections.load(Ordering::Relaxed));
        page.counter("quartermaster_shed_total", "Calls and connections refused, by the limit they met.");
        for cause in ShedCause::ALL {
            page.sample(&[("cause", cause.label())], self.shed[cause.index()].load(Ordering::Relaxed));
        }
        if let Some(sources) = self.sources.get() {
            let reading = sources.read();
            publish::publish(&reading, &mut page);
            campaign::publish(&reading.campaigns, &mut page);
        }
        let mut text = page.into_text();
        text.push_str(&self.process.render());
        text
    }
}
