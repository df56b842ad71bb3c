//! Traces: which calls have one, and what of it is sent where.
//!
//! A call that is not traced costs a comparison. One that is becomes spans at its end, made from the times that are taken of every call
//! anyway. Sending them is behind the feature `otel`; without it nothing is ever traced.
#[cfg(feature = "otel")]
mod otlp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tonic::Code;

use super::request_id::{RequestId, TraceParent};
use super::steps::Times;
use crate::config::Config;

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The endpoint is no address.
    #[error("\"otlp_endpoint\" is {endpoint:?}: {problem}; write it as http://127.0.0.1:4317")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A call's own place in a trace.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The caller's span; none when the trace begins here.
    pub parent: Option<[u8; 8]>,
    /// The span of the call.
    pub span_id: [u8; 8],
    /// When the server turned to it.
    pub began: SystemTime,
}

/// A call that has ended, as its span tells it.
#[cfg_attr(not(feature = "otel"), allow(dead_code))]
pub(crate) struct Ended<'a> {
    pub(crate) method: &'a str,
    pub(crate) code: Code,
    pub(crate) total: Duration,
    pub(crate) times: Option<&'a Times>,
    pub(crate) caller: SocketAddr,
    pub(crate) id: &'a RequestId,
}

/// What became of spans since the start.
#[derive(Debug, Default)]
pub struct SpanCounts {
    exported: AtomicU64,
    /// Dropped for a full queue, and for a collector that did not take them.
    dropped: [AtomicU64; 2],
}

impl SpanCounts {
    /// Sent, and taken by the collector.
    #[must_use]
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Dropped because the queue was full.
    #[must_use]
    pub fn dropped_at_queue(&self) -> u64 {
        self.dropped[0].load(Ordering::Relaxed)
    }

    /// Dropped because the collector did not take them.
    #[must_use]
    pub fn dropped_at_collector(&self) -> u64 {
        self.dropped[1].load(Ordering::Relaxed)
    }
}

/// Decides about traces and sends them.
#[derive(Debug)]
pub struct Traces {
    counts: Arc<SpanCounts>,
    /// None when nothing is traced.
    sampler: Option<Sampler>,
    #[cfg(feature = "otel")]
    sender: Option<otlp::Sender>,
}

/// Draws ids and decides by them, as other services of the same ratio do.
#[derive(Debug)]
struct Sampler {
    seed: u64,
    next: AtomicU64,
    /// Of 2^56 traces so many are sampled.
    below: u64,
}

/// Traces are sampled by the last seven bytes of their ids.
const SAMPLE_BITS: u32 = 56;

impl Traces {
    /// As `config` says; nothing is traced without an endpoint. With one it must be called within a runtime.
    ///
    /// # Errors
    /// When the endpoint is no address.
    pub fn new(config: &Config) -> Result<Traces, TraceError> {
        let counts = Arc::<SpanCounts>::default();
        let Some(endpoint) = &config.otlp_endpoint else {
            return Ok(Traces {
                counts,
                sampler: None,
                #[cfg(feature = "otel")]
                sender: None,
            });
        };
        #[cfg(feature = "otel")]
        {
            let sender = otlp::Sender::start(endpoint, Arc::clone(&counts))?;
            let sampler = Some(Sampler::new(config.trace_ratio.millionths()));
            Ok(Traces { counts, sampler, sender: Some(sender) })
        }
        #[cfg(not(feature = "otel"))]
        {
            // The configuration was checked before; whoever made one by hand is told the same.
            let problem = crate::config::NO_TRACES.to_owned();
            Err(TraceError::Endpoint { endpoint: endpoint.clone(), problem })
        }
    }

    /// What became of spans.
    #[must_use]
    pub fn counts(&self) -> &SpanCounts {
        &self.counts
    }

    /// The place of a call that belongs to `parent`, if it is traced: as its caller decided, else by the ratio.
    pub(crate) fn begin(&self, parent: Option<&TraceParent>) -> Option<Traced> {
        let sampler = self.sampler.as_ref()?;
        match parent {
            Some(parent) => parent.sampled.then(|| Traced {
                trace_id: parent.trace_id,
                parent: Some(parent.span_id),
                span_id: sampler.draw(),
                began: SystemTime::now(),
            }),
            None => {
                let (high, low) = (sampler.draw(), sampler.draw());
                sampler.takes(low).then(|| {
                    let mut trace_id = [0; 16];
                    trace_id[..8].copy_from_slice(&high);
                    trace_id[8..].copy_from_slice(&low);
                    Traced { trace_id, parent: None, span_id: sampler.draw(), began: SystemTime::now() }
                })
            }
        }
    }

    /// The call is over.
    pub(crate) fn end(&self, traced: &Traced, ended: &Ended<'_>) {
        #[cfg(feature = "otel")]
        if let Some(sender) = &self.sender {
            sender.send(otlp::spans(traced, ended, || self.sampler.as_ref().map_or([1; 8], Sampler::draw)));
        }
        #[cfg(not(feature = "otel"))]
        let _nothing_is_traced = (traced, ended);
    }
}

#[cfg_attr(not(feature = "otel"), allow(dead_code))]
impl Sampler {
    fn new(millionths: u32) -> Sampler {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = u64::try_from(start.as_nanos()).unwrap_or(u64::MAX);
        let whole = 1_u64 << SAMPLE_BITS;
        // Exact for all and none, and to a millionth between.
        let below = whole / 1_000_000 * u64::from(millionths);
        let below = if millionths == 1_000_000 { whole } else { below };
        Sampler { seed: mix(nanos ^ (u64::from(std::process::id()) << 32)), next: AtomicU64::new(0), below }
    }

    /// Eight bytes that no other server has drawn, as far as its start and a count can make it so; never zero.
    fn draw(&self) -> [u8; 8] {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        mix(self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).max(1).to_be_bytes()
    }

    fn takes(&self, low: [u8; 8]) -> bool {
        u64::from_be_bytes(low) & ((1 << SAMPLE_BITS) - 1) < self.below
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
#[cfg_attr(not(feature = "otel"), allow(dead_code))]
fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(millionths: u32) -> Traces {
        Traces {
            counts: Arc::default(),
            sampler: Some(Sampler::new(millionths)),
            #[cfg(feature = "otel")]
            sender: None,
        }
    }

    #[test]
    fn one_in_a_hundred_is_sampled_and_each_has_its_own_id() {
        let traces = traces(10_000);
        let sampled: Vec<_> = (0..100_000).filter_map(|_| traces.begin(None)).collect();
        assert!((850..1_150).contains(&sampled.len()), "{}", sampled.len());
        let ids: std::collections::BTreeSet<_> = sampled.iter().map(|traced| traced.trace_id).collect();
        assert_eq!(ids.len(), sampled.len());
        assert!((0..1_000).all(|_| self::traces(0).begin(None).is_none()));
        assert!((0..1_000).all(|_| self::traces(1_000_000).begin(None).is_some()));
    }

    #[test]
    fn the_callers_decision_stands() {
        let parent = |sampled| TraceParent { trace_id: [7; 16], span_id: [9; 8], sampled };
        let traced = traces(0).begin(Some(&parent(true))).unwrap();
        assert_eq!((traced.trace_id, traced.parent), ([7; 16], Some([9; 8])));
        assert!(traces(1_000_000).begin(Some(&parent(false))).is_none());
    }
}
