//! The metrics: what is counted here and what the engine and the journal count themselves, published as one Prometheus page.
//!
//! Hot paths keep handles to fixed atomics; nothing is looked up by name and no sample is stored. Labels come from closed sets only.
mod allotment;
mod buckets;
mod calls;
mod campaign;
pub mod families;
mod page;
mod process;
mod publish;
mod returns;
mod room;
mod rules;
mod runtime;
mod security;
mod sources;
mod supply;
mod upkeep;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use allotment::{Allotted, NODES_MAX};
pub use buckets::{Buckets, Counted, Histogram, Unit};
pub use calls::{CallMetrics, Observation};
pub use campaign::CAMPAIGNS_MAX;
pub use returns::Returns;
pub use rules::Rules;
pub use runtime::Memory;
pub use sources::{
    Audit, CampaignFigures, Decisions, Dedup, Disk, Expiry, Journal, Labelled, Reading, Recovery, Reservations, Routes,
    Snapshots, Sources, Space, Stock,
};
pub use upkeep::Upkeep;

use crate::admission::{Admission, Priority, Refused};
use crate::health::{Health, Phase};
use crate::methods::Methods;
use crate::security::Figures;
use crate::watch::Watch;
use crate::watch::steps::Step;
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
    /// A TLS handshake failed or took too long.
    TlsHandshake,
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
    const ALL: [ShedCause; 10] = [
        ShedCause::InFlight,
        ShedCause::Queue,
        ShedCause::Share,
        ShedCause::JsonBodies,
        ShedCause::Connections,
        ShedCause::Address,
        ShedCause::Handshake,
        ShedCause::Unread,
        ShedCause::Age,
        ShedCause::TlsHandshake,
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
            ShedCause::TlsHandshake => "tls_handshake",
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
            ShedCause::TlsHandshake => 9,
        }
    }
}

/// Everything that is published.
pub struct Metrics {
    calls: Arc<CallMetrics>,
    admission: Arc<Admission>,
    watch: Arc<Watch>,
    health: Health,
    connections: AtomicU64,
    connections_max: AtomicU64,
    open_streams: AtomicU64,
    shed: [AtomicU64; ShedCause::ALL.len()],
    /// Calls alone, by priority.
    shed_calls: [AtomicU64; Priority::ALL.len()],
    queue_wait: Histogram,
    sources: OnceLock<Arc<dyn Sources>>,
    security: OnceLock<Arc<Figures>>,
    process: ProcessMetrics,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(methods: Arc<Methods>, admission: Arc<Admission>, watch: Arc<Watch>, health: Health) -> Arc<Metrics> {
        Arc::new(Metrics {
            calls: CallMetrics::new(methods),
            admission,
            watch,
            health,
            connections: AtomicU64::new(0),
            connections_max: AtomicU64::new(0),
            open_streams: AtomicU64::new(0),
            shed: Default::default(),
            shed_calls: Default::default(),
            queue_wait: Histogram::new(),
            sources: OnceLock::new(),
            security: OnceLock::new(),
            process: ProcessMetrics::new(),
        })
    }

    /// Where the figures of engine and journal are read at each scrape, from now on. The first call counts, later ones change nothing.
    pub fn set_sources(&self, sources: Arc<dyn Sources>) {
        // A second node in one process would be a bug elsewhere; the page keeps telling of the first.
        let _kept = self.sources.set(sources);
    }

    /// Where the figures of TLS and of the gate are read. The first call counts, later ones change nothing.
    pub fn set_security(&self, figures: Arc<Figures>) {
        let _kept = self.security.set(figures);
    }

    /// Rate, errors and duration of the calls.
    pub fn calls(&self) -> &Arc<CallMetrics> {
        &self.calls
    }

    /// What is known of calls that are over.
    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Where the figures of engine and journal are read, once that is known.
    pub fn sources(&self) -> Option<&Arc<dyn Sources>> {
        self.sources.get()
    }

    /// A stream of answers began, until what it gives is dropped.
    pub fn stream(self: &Arc<Self>) -> OpenStream {
        self.open_streams.fetch_add(1, Ordering::Relaxed);
        OpenStream(Arc::clone(self))
    }

    /// Tells how many connections may be open.
    pub fn set_connections_max(&self, max: usize) {
        self.connections_max.store(u64::try_from(max).unwrap_or(u64::MAX), Ordering::Relaxed);
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
        page.open(&families::BUILD_INFO);
        page.sample(&labels, 1);
        self.state(&mut page);
        self.calls.publish(&mut page);
        self.watched(&mut page);
        page.one(&families::INFLIGHT, self.admission.now());
        page.one(&families::INFLIGHT_MAX, self.admission.max());
        page.one(&families::INFLIGHT_LIMIT, self.admission.limit());
        page.histogram(&families::QUEUE_WAIT, &self.queue_wait.read());
        page.one(&families::OPEN_STREAMS, self.open_streams.load(Ordering::Relaxed));
        page.one(&families::CALLERS, self.admission.callers());
        page.one(&families::CONNECTIONS_MAX, self.connections_max.load(Ordering::Relaxed));
        page.one(&families::CONNECTIONS, self.connections.load(Ordering::Relaxed));
        page.open(&families::SHED);
        for cause in ShedCause::ALL {
            page.sample(&[("cause", cause.label())], self.shed[cause.index()].load(Ordering::Relaxed));
        }
        page.open(&families::SHED_CALLS);
        for priority in Priority::ALL {
            let shed = self.shed_calls[priority.index()].load(Ordering::Relaxed);
            page.sample(&[("priority", priority.label())], shed);
        }
        if let Some(figures) = self.security.get() {
            security::publish(figures, &mut page);
        }
        if let Some(sources) = self.sources.get() {
            let reading = sources.read();
            publish::publish(&reading, &mut page);
            campaign::publish(&reading.campaigns, &mut page);
        }
        runtime::publish(&mut page);
        let mut text = page.into_text();
        text.push_str(&self.process.render());
        text
    }

    fn state(&self, page: &mut Page) {
        let now = self.health.phase();
        page.one(&families::READY, u8::from(now == Phase::Serving));
        page.open(&families::PHASE);
        for phase in Phase::ALL {
            page.sample(&[("phase", phase.name())], u8::from(phase == now));
        }
    }

    /// What is known of calls that are over.
    fn watched(&self, page: &mut Page) {
        page.open(&families::STEP);
        for step in Step::ALL {
            page.buckets(&[("phase", step.name())], &self.watch.step(step).read());
        }
        page.one(&families::SLOW_CALLS, self.watch.slow().slow());
        page.one(&families::SLOW_LINES_LEFT_OUT, self.watch.slow().lines_left_out());
        let spans = self.watch.traces().counts();
        page.one(&families::SPANS, spans.exported());
        page.open(&families::SPANS_DROPPED);
        page.sample(&[("reason", "queue")], spans.dropped_at_queue());
        page.sample(&[("reason", "collector")], spans.dropped_at_collector());
    }
}

/// A stream of answers that is counted as open; dropping it ends that.
pub struct OpenStream(Arc<Metrics>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open_streams.fetch_sub(1, Ordering::Relaxed);
    }
}
