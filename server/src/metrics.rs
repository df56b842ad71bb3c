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
mod room;
mod rules;
mod sources;
mod supply;
mod upkeep;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

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

use crate::admission::{Admission, Priority, Refused};
use crate::methods::Methods;
use page::Page;
use process::ProcessMetrics;

/// Why a call or a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShedCause {
    /// `in_flight_max` calls were in work.
    InFlight,
    /// Calls waited longer than `queue_wait_target`.
    Queue,
    /// The same, and the caller had its share of what was let in.
    Share,
    /// All places for JSON bodies of streams were taken.
    JsonBodies,
    /// `connections_max` connections were open.
    Connections,
    /// `connections_per_address_max` connections were open from the same address.
    Address,
    /// A connection did not say in time what it speaks.
    Handshake,
    /// A connection's peer did not take the answers it had asked for.
    Unread,
    /// A connection was told to go for its age and did not.
    Age,
}

impl From<Refused> for ShedCause {
    fn from(refused: Refused) -> ShedCause {
        match refused {
            Refused::InFlight => ShedCause::InFlight,
            Refused::Queue => ShedCause::Queue,
            Refused::Share => ShedCause::Share,
        }
    }
}

impl ShedCause {
    const ALL: [ShedCause; 9] = [
        ShedCause::InFlight,
        ShedCause::Queue,
        ShedCause::Share,
        ShedCause::JsonBodies,
        ShedCause::Connections,
        ShedCause::Address,
        ShedCause::Handshake,
        ShedCause::Unread,
        ShedCause::Age,
    ];

    fn label(self) -> &'static str {
        match self {
            ShedCause::InFlight => "in_flight",
            ShedCause::Queue => "queue",
            ShedCause::Share => "share",
            ShedCause::JsonBodies => "json_bodies",
            ShedCause::Connections => "connections",
            ShedCause::Address => "address",
            ShedCause::Handshake => "handshake",
            ShedCause::Unread => "unread",
            ShedCause::Age => "age",
        }
    }

    fn index(self) -> usize {
        match self {
            ShedCause::InFlight => 0,
            ShedCause::Queue => 1,
            ShedCause::Share => 2,
            ShedCause::JsonBodies => 3,
            ShedCause::Connections => 4,
            ShedCause::Address => 5,
            ShedCause::Handshake => 6,
            ShedCause::Unread => 7,
            ShedCause::Age => 8,
        }
    }
}

/// Everything that is published.
pub struct Metrics {
    calls: Arc<CallMetrics>,
    admission: Arc<Admission>,
    connections: AtomicU64,
    shed: [AtomicU64; ShedCause::ALL.len()],
    /// Calls alone, by priority.
    shed_calls: [AtomicU64; Priority::ALL.len()],
    queue_wait: Histogram,
    sources: OnceLock<Arc<dyn Sources>>,
    process: ProcessMetrics,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(methods: Arc<Methods>, admission: Arc<Admission>) -> Arc<Metrics> {
        Arc::new(Metrics {
            calls: CallMetrics::new(methods),
            admission,
            connections: AtomicU64::new(0),
            shed: Default::default(),
            shed_calls: Default::default(),
            queue_wait: Histogram::new(),
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

    /// Counts a call that was not let in.
    pub fn shed_call(&self, cause: ShedCause, priority: Priority) {
        self.shed(cause);
        self.shed_calls[priority.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// A call waited so long for a thread.
    pub fn queue_wait(&self, waited: Duration) {
        self.queue_wait.observe(waited);
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
        page.sample(&[], self.admission.now());
        page.gauge("quartermaster_inflight_requests_max", "Calls in work at which more are refused.");
        page.sample(&[], self.admission.max());
        page.gauge(
            "quartermaster_inflight_limit",
            "Calls in work at which new promises are refused: follows the queue.",
        );
        page.sample(&[], self.admission.limit());
        page.histogram("quartermaster_queue_wait_seconds", "Time from a call's headers to a thread's turning to it.");
        page.buckets(&[], &self.queue_wait.read());
        page.gauge("quartermaster_connections", "Open connections of callers.");
        page.sample(&[], self.connections.load(Ordering::Relaxed));
        page.counter("quartermaster_shed_total", "Calls and connections refused, by the limit they met.");
        for cause in ShedCause::ALL {
            page.sample(&[("cause", cause.label())], self.shed[cause.index()].load(Ordering::Relaxed));
        }
        page.counter("quartermaster_shed_calls_total", "Calls refused in overload, by what they can wait for.");
        for priority in Priority::ALL {
            let shed = self.shed_calls[priority.index()].load(Ordering::Relaxed);
            page.sample(&[("priority", priority.label())], shed);
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
