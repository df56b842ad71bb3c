//! Rate, errors and duration of calls by method: one block of atomics a method, laid out at the start from the descriptors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use super::buckets::Histogram;
use super::{families, page::Page};
use crate::methods::{MethodId, Methods};

/// Names of the status codes as grpc's Prometheus libraries label them, in the order of their numbers.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

const UNKNOWN: &str = "unknown";

/// The figures of every method.
#[derive(Debug)]
pub struct CallMetrics {
    methods: Arc<Methods>,
    /// One a method, and at the end one for whatever is no method.
    by_method: Vec<MethodMetrics>,
}

#[derive(Debug, Default)]
struct MethodMetrics {
    started: AtomicU64,
    handled: [AtomicU64; CODES.len()],
    handling: Histogram,
}

/// A call being handled. Told its code it counts that; dropped before, it counts as cancelled, because then the caller went away.
#[derive(Debug)]
pub struct Observation {
    calls: Arc<CallMetrics>,
    index: usize,
    started: Instant,
    counted: bool,
}

impl CallMetrics {
    pub(super) fn new(methods: Arc<Methods>) -> Arc<CallMetrics> {
        let by_method = (0..=methods.all().len()).map(|_| MethodMetrics::default()).collect();
        Arc::new(CallMetrics { methods, by_method })
    }

    /// A call that arrived at `started`.
    pub fn start(self: &Arc<Self>, method: Option<MethodId>, started: Instant) -> Observation {
        let index = method.map_or(self.methods.all().len(), MethodId::index);
        self.by_method[index].started.fetch_add(1, Ordering::Relaxed);
        Observation { calls: Arc::clone(self), index, started, counted: false }
    }

    /// Handled calls of `method` that ended with `code`.
    pub fn handled(&self, method: MethodId, code: Code) -> u64 {
        self.by_method[method.index()].handled[position(code)].load(Ordering::Relaxed)
    }

    pub(super) fn publish(&self, page: &mut Page) {
        let names = self.methods.all().iter().map(|method| (method.service.as_str(), method.name.as_str()));
        let named: Vec<_> = names.chain([(UNKNOWN, UNKNOWN)]).zip(&self.by_method).collect();
        page.open(&families::STARTED);
        for ((service, method), figures) in &named {
            let labels = [("grpc_service", *service), ("grpc_method", *method)];
            page.sample(&labels, figures.started.load(Ordering::Relaxed));
        }
        page.open(&families::HANDLED);
        for ((service, method), figures) in &named {
            for (code, handled) in CODES.iter().zip(&figures.handled) {
                let handled = handled.load(Ordering::Relaxed);
                // OK is there from the start, so that a rate has something to begin from; other codes when they happen.
                if handled > 0 || *code == "OK" {
                    page.sample(&[("grpc_service", service), ("grpc_method", method), ("grpc_code", code)], handled);
                }
            }
        }
        page.open(&families::HANDLING);
        for ((service, method), figures) in &named {
            let buckets = figures.handling.read();
            if buckets.counts.iter().any(|count| *count > 0) {
                page.buckets(&[("grpc_service", service), ("grpc_method", method)], &buckets);
            }
        }
    }
}

impl Observation {
    /// What may be called.
    pub(crate) fn methods(&self) -> &Methods {
        &self.calls.methods
    }

    /// The call ended with `code`. Gives how long it took; none when it had ended before, which is all that counts.
    pub fn end(&mut self, code: Code) -> Option<Duration> {
        if self.counted {
            return None;
        }
        self.counted = true;
        let figures = &self.calls.by_method[self.index];
        let total = self.started.elapsed();
        figures.handled[position(code)].fetch_add(1, Ordering::Relaxed);
        figures.handling.observe(total);
        Some(total)
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// Codes are numbered 0 to 16 without a gap.
fn position(code: Code) -> usize {
    usize::try_from(i32::from(code)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_end_once_and_a_drop_as_cancelled() {
        let methods = Arc::new(Methods::new());
        let reserve = methods.find("/quartermaster.v1.AllocationService/Reserve").unwrap();
        let calls = CallMetrics::new(methods);
        let mut observation = calls.start(Some(reserve), Instant::now());
        observation.end(Code::Ok);
        observation.end(Code::Internal);
        drop(observation);
        drop(calls.start(Some(reserve), Instant::now()));
        drop(calls.start(None, Instant::now()));
        assert_eq!(calls.handled(reserve, Code::Ok), 1);
        assert_eq!(calls.handled(reserve, Code::Internal), 0);
        assert_eq!(calls.handled(reserve, Code::Cancelled), 1);
        let mut page = Page::new();
        calls.publish(&mut page);
        let text = page.into_text();
        assert!(text.contains(
            "grpc_server_handled_total{grpc_service=\"unknown\",grpc_method=\"unknown\",grpc_code=\"Canceled\"} 1\n"
        ));
    }

    #[test]
    fn every_code_has_its_name() {
        for (number, name) in CODES.iter().enumerate() {
            let code = Code::from(i32::try_from(number).unwrap());
            assert_eq!(position(code), number);
            let ours = name.to_lowercase();
            let theirs = format!("{code:?}").to_lowercase().replace("cancelled", "canceled");
            assert_eq!(ours, theirs);
        }
    }
}
