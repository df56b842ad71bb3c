//! Slow and failed calls as they are told: as a message, as a table for people, as JSON for programs.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use quartermaster_proto::v1;
use serde_json::{Value, json};

use super::super::steps::Step;
use super::{SlowCall, SlowCalls};

impl SlowCalls {
    /// Everything that is kept, as a message.
    #[must_use]
    pub fn told(&self) -> v1::ListSlowCallsResponse {
        let threshold = self.threshold();
        v1::ListSlowCallsResponse {
            calls: self.list().into_iter().map(SlowCall::told).collect(),
            threshold: (!threshold.is_zero()).then(|| wire(threshold)),
            slow_total: self.slow(),
        }
    }
}

impl SlowCall {
    fn told(self) -> v1::SlowCall {
        let phase = |step: Step| {
            let nanos = self.times[step.index()]?;
            Some(v1::CallPhase { phase: step.name().to_owned(), duration: Some(wire(Duration::from_nanos(nanos))) })
        };
        let ended = wire(self.ended_at.duration_since(UNIX_EPOCH).unwrap_or_default());
        v1::SlowCall {
            end_time: Some(prost_types::Timestamp { seconds: ended.seconds, nanos: ended.nanos }),
            method: self.method,
            code: format!("{:?}", self.code),
            caller: self.caller.to_string(),
            request_id: self.request_id,
            trace_id: self.trace_id,
            duration: Some(wire(self.total)),
            phases: Step::ALL.into_iter().filter_map(phase).collect(),
        }
    }
}

/// One line a call, times in milliseconds.
#[must_use]
pub fn table(told: &v1::ListSlowCallsResponse) -> String {
    let threshold = told.threshold.as_ref().map_or_else(
        || "no call counts as slow (slow_call_threshold is 0)".to_owned(),
        |threshold| format!("slow is from {} ms on", millis(Some(threshold))),
    );
    let mut text = format!("{} slow calls since the start; {threshold}\n", told.slow_total);
    if told.calls.is_empty() {
        text.push_str("none is kept, and none that failed\n");
        return text;
    }
    let method = told.calls.iter().map(|call| short(&call.method).len()).max().unwrap_or(0).max(6);
    let code = told.calls.iter().map(|call| call.code.len()).max().unwrap_or(0).max(4);
    let _infallible = write!(text, "{:<24}  {:<method$}  {:<code$}  {:>10}", "ended (UTC)", "method", "code", "ms");
    for step in Step::ALL {
        let _infallible = write!(text, "  {:>9}", step.name());
    }
    text.push_str("  caller                 request id\n");
    for call in &told.calls {
        let ended = call.end_time.map_or_else(String::new, |at| milliseconds_of(at).to_string());
        let total = millis(call.duration.as_ref());
        let _infallible =
            write!(text, "{ended:<24}  {:<method$}  {:<code$}  {total:>10}", short(&call.method), call.code);
        for step in Step::ALL {
            let time = call.phases.iter().find(|phase| phase.phase == step.name());
            let time = time.map_or_else(|| "-".to_owned(), |phase| millis(phase.duration.as_ref()));
            let _infallible = write!(text, "  {time:>9}");
        }
        let _infallible = writeln!(text, "  {:<21}  {}", call.caller, call.request_id);
    }
    text
}

/// The same as JSON, times in seconds.
#[must_use]
pub fn json_of(told: &v1::ListSlowCallsResponse) -> Value {
    let seconds = |span: Option<&prost_types::Duration>| span.map(|span| duration(span).as_secs_f64());
    let call = |call: &v1::SlowCall| {
        let phases = call.phases.iter().map(|phase| (phase.phase.clone(), json!(seconds(phase.duration.as_ref()))));
        json!({
            "end_time": call.end_time.map(|at| at.to_string()),
            "method": call.method,
            "code": call.code,
            "caller": call.caller,
            "request_id": call.request_id,
            "trace_id": call.trace_id,
            "seconds": seconds(call.duration.as_ref()),
            "phase_seconds": phases.collect::<serde_json::Map<_, _>>(),
        })
    };
    json!({
        "slow_total": told.slow_total,
        "threshold_seconds": seconds(told.threshold.as_ref()),
        "calls": told.calls.iter().map(call).collect::<Vec<_>>(),
    })
}

/// Without the package, which is the same for nearly all.
fn short(method: &str) -> &str {
    method.strip_prefix("quartermaster.v1.").unwrap_or(method)
}

fn wire(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}

fn duration(span: &prost_types::Duration) -> Duration {
    Duration::try_from(*span).unwrap_or_default()
}

fn milliseconds_of(at: prost_types::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { nanos: at.nanos - at.nanos % 1_000_000, ..at }
}

/// Milliseconds with three digits behind the point.
fn millis(span: Option<&prost_types::Duration>) -> String {
    let micros = span.map_or(0, |span| duration(span).as_micros());
    format!("{}.{:03}", micros / 1_000, micros % 1_000)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::SystemTime;

    use tonic::Code;

    use super::super::super::steps::Times;
    use super::*;

    #[test]
    fn a_call_is_shown_with_where_its_time_went() {
        let calls = SlowCalls::new(Duration::from_millis(100));
        let mut times = Times::default();
        times[Step::Wait.index()] = Some(1_500_000);
        times[Step::Fsync.index()] = Some(248_500_000);
        calls.keep(SlowCall {
            ended_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            method: "quartermaster.v1.AllocationService/Reserve".to_owned(),
            code: Code::DeadlineExceeded,
            caller: SocketAddr::from(([10, 0, 0, 7], 4711)),
            request_id: "gw-1".to_owned(),
            trace_id: String::new(),
            total: Duration::from_millis(250),
            is_stream: false,
            times,
        });
        let told = calls.told();
        let text = table(&told);
        for part in [
            "1 slow calls",
            "from 100.000 ms",
            "AllocationService/Reserve",
            "250.000",
            "248.500",
            "10.0.0.7:4711",
            "gw-1",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(text.contains("1970-01-01T00:00:01.500Z"), "{text}");
        let json = json_of(&told);
        assert_eq!(json["calls"][0]["phase_seconds"], json!({ "wait": 0.0015, "fsync": 0.2485 }));
        assert_eq!((&json["slow_total"], &json["threshold_seconds"]), (&json!(1), &json!(0.1)));
    }
}
