//! What is known of every call once it is over: its figures by step, its place among the slow and failed, its trace if it has one.
pub mod request_id;
pub mod slow;
pub mod steps;
pub mod traces;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use tonic::Code;

use crate::config::Config;
use crate::methods::Method;
use crate::metrics::Histogram;
use request_id::{Ids, RequestId, TraceParent};
use slow::{SlowCall, SlowCalls};
use steps::{STEPS, Step, Times};
use traces::{Ended, Traced, Traces};

/// Watches the calls of a server.
#[derive(Debug)]
pub struct Watch {
    ids: Ids,
    steps: [Histogram; STEPS],
    slow: Arc<SlowCalls>,
    traces: Traces,
}

/// What a call is known by while it is under way.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    /// Its id.
    pub(crate) id: RequestId,
    /// Its place in its caller's trace.
    parent: Option<TraceParent>,
    /// Its own place, when it is traced.
    traced: Option<Traced>,
    /// Address it comes from.
    caller: SocketAddr,
}

impl Watch {
    /// As `config` says. With traces it must be called within a runtime.
    ///
    /// # Errors
    /// When traces cannot be sent where the configuration says.
    pub fn new(config: &Config) -> Result<Watch, traces::TraceError> {
        Ok(Watch {
            ids: Ids::default(),
            steps: Default::default(),
            slow: Arc::new(SlowCalls::new(config.slow_call_threshold)),
            traces: Traces::new(config)?,
        })
    }

    /// The calls that are kept, which can take another threshold at run time.
    #[must_use]
    pub fn slow(&self) -> &Arc<SlowCalls> {
        &self.slow
    }

    /// What became of spans.
    #[must_use]
    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Times of a step.
    pub(crate) fn step(&self, step: Step) -> &Histogram {
        &self.steps[step.index()]
    }

    /// Names a call with `headers` from `caller`, and decides whether it is traced.
    pub(crate) fn tag(&self, headers: &HeaderMap, caller: SocketAddr) -> Tag {
        let parent = TraceParent::of(headers);
        let id = self.ids.of(headers, parent.as_ref());
        let traced = self.traces.begin(parent.as_ref());
        Tag { id, parent, traced, caller }
    }

    /// A call is over: `method` (none for what is no method) took `total`, in these steps where they are known.
    pub(crate) fn ended(&self, tag: &Tag, method: Option<&Method>, code: Code, total: Duration, times: Option<Times>) {
        for (histogram, nanos) in self.steps.iter().zip(times.unwrap_or_default()) {
            if let Some(nanos) = nanos {
                histogram.observe_nanos(nanos);
            }
        }
        let name = || method.map_or("unknown", |method| method.path.trim_start_matches('/'));
        if let Some(traced) = &tag.traced {
            let ended = Ended { method: name(), code, total, times: times.as_ref(), caller: tag.caller, id: &tag.id };
            self.traces.end(traced, &ended);
        }
        tracing::debug!(target: "quartermaster_server::calls", request_id = tag.id.as_str(), method = name(), ?code, ?total, "call");
        let is_stream = method.is_some_and(|method| !method.is_unary());
        if self.slow.wants(code, total, is_stream) {
            let trace_id = match (&tag.traced, &tag.parent) {
                (Some(traced), _) => request_id::hex(&traced.trace_id),
                (None, Some(parent)) => request_id::hex(&parent.trace_id),
                (None, None) => String::new(),
            };
            self.slow.keep(SlowCall {
                ended_at: SystemTime::now(),
                method: name().to_owned(),
                code,
                caller: tag.caller,
                request_id: tag.id.as_str().to_owned(),
                trace_id,
                total,
                is_stream,
                times: times.unwrap_or_default(),
            });
        }
    }
}
