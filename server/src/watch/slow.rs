//! The calls one asks about afterwards: the last that were slow, and the last that failed, each with where its time went.
//!
//! Both are kept in memory, apart, so that a caller who makes mistakes does not push out what was slow. A slow call is logged, too, a few a
//! second at most: in a stall every call is slow, and a log that grows with the load makes a stall longer.

mod shown;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tonic::Code;

use super::steps::{STEPS, Step, Times};
pub use shown::{json_of, table};

use crate::config::Config;
use crate::reload::Reload;

/// Slow calls that are kept, and as many that failed.
pub const KEPT_MAX: usize = 128;

/// Lines about slow calls in any one second.
const LINES_MAX: u32 = 10;

/// A call that was slow or failed.
#[derive(Clone, Debug)]
pub struct SlowCall {
    /// When it ended.
    pub ended_at: SystemTime,
    /// "package.Service/Method"; "unknown" for what is no method.
    pub method: String,
    /// How it ended.
    pub code: Code,
    /// Address it came from.
    pub caller: SocketAddr,
    /// Its id.
    pub request_id: String,
    /// The trace it belongs to, in hexadecimal; empty for none.
    pub trace_id: String,
    /// From its headers to the end of its answer.
    pub total: Duration,
    /// Whether messages or answers came as a stream.
    pub is_stream: bool,
    /// Where the time went, as far as it is known.
    pub times: Times,
}

/// The calls that are kept.
#[derive(Debug)]
pub struct SlowCalls {
    /// Nanoseconds from which on a call is slow; `u64::MAX` for never.
    threshold: AtomicU64,
    slow: Mutex<VecDeque<SlowCall>>,
    failed: Mutex<VecDeque<SlowCall>>,
    lines: Mutex<Lines>,
    /// Slow calls, and lines that were left out.
    counts: [AtomicU64; 2],
}

/// Lines written in the second under way.
#[derive(Debug, Default)]
struct Lines {
    second: u64,
    written: u32,
    left_out: u64,
}

impl SlowCalls {
    /// Nothing kept. Calls of at least `threshold` are slow, none when it is zero.
    #[must_use]
    pub fn new(threshold: Duration) -> SlowCalls {
        let calls = SlowCalls {
            threshold: AtomicU64::new(0),
            slow: Mutex::default(),
            failed: Mutex::default(),
            lines: Mutex::default(),
            counts: Default::default(),
        };
        calls.set_threshold(threshold);
        calls
    }

    /// From now on calls of at least `threshold` are slow, none when it is zero.
    pub fn set_threshold(&self, threshold: Duration) {
        let nanos = if threshold.is_zero() { u64::MAX } else { nanos(threshold) };
        self.threshold.store(nanos, Ordering::Relaxed);
    }

    /// From how long on a call is slow; zero when none is.
    #[must_use]
    pub fn threshold(&self) -> Duration {
        match self.threshold.load(Ordering::Relaxed) {
            u64::MAX => Duration::ZERO,
            nanos => Duration::from_nanos(nanos),
        }
    }

    /// Whether a call that took `total` and ended with `code` is one to keep. A stream lasts as long as its caller likes: it is never slow,
    /// and that its caller ends it is no failure.
    pub(super) fn wants(&self, code: Code, total: Duration, is_stream: bool) -> bool {
        let failed = code != Code::Ok && !(is_stream && code == Code::Cancelled);
        failed || self.is_slow(total, is_stream)
    }

    fn is_slow(&self, total: Duration, is_stream: bool) -> bool {
        !is_stream && nanos(total) >= self.threshold.load(Ordering::Relaxed)
    }

    /// Keeps a call that is wanted, and logs it when it is slow.
    pub(super) fn keep(&self, call: SlowCall) {
        if !self.is_slow(call.total, call.is_stream) {
            return push(&self.failed, call);
        }
        self.counts[0].fetch_add(1, Ordering::Relaxed);
        let second = call.ended_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        match self.lines.lock().next(second) {
            Some(left_out) => log(&call, left_out),
            None => _ = self.counts[1].fetch_add(1, Ordering::Relaxed),
        }
        push(&self.slow, call);
    }

    /// What is kept, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<SlowCall> {
        let mut all: Vec<SlowCall> = self.slow.lock().iter().cloned().collect();
        all.extend(self.failed.lock().iter().cloned());
        all.sort_by_key(|call| std::cmp::Reverse(call.ended_at));
        all
    }

    /// Slow calls since the start.
    #[must_use]
    pub fn slow(&self) -> u64 {
        self.counts[0].load(Ordering::Relaxed)
    }

    /// Slow calls that the log says nothing of.
    #[must_use]
    pub fn lines_left_out(&self) -> u64 {
        self.counts[1].load(Ordering::Relaxed)
    }
}

impl Reload for SlowCalls {
    fn keys(&self) -> &'static [&'static str] {
        &["slow_call_threshold"]
    }

    /// Its range is checked with the configuration.
    fn check(&self, _config: &Config) -> Result<(), String> {
        Ok(())
    }

    fn take(&self, config: &Config) -> Result<(), String> {
        self.set_threshold(config.slow_call_threshold);
        Ok(())
    }
}

impl Lines {
    /// Whether there is a line for one more call in `second`, and for how many there was none since the last.
    fn next(&mut self, second: u64) -> Option<u64> {
        if self.second != second {
            (self.second, self.written) = (second, 0);
        }
        if self.written == LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

fn push(kept: &Mutex<VecDeque<SlowCall>>, call: SlowCall) {
    let mut kept = kept.lock();
    let oldest = if kept.len() == KEPT_MAX { kept.pop_front() } else { None };
    kept.push_back(call);
    drop(kept);
    // Freed outside the lock.
    drop(oldest);
}

fn log(call: &SlowCall, left_out: u64) {
    let [wait, convert, lock, decide, append, fsync, reply]: [Option<u64>; STEPS] =
        Step::ALL.map(|step| call.times[step.index()].map(|nanos| nanos / 1_000));
    tracing::warn!(
        target: "quartermaster_server::slow",
        request_id = %call.request_id,
        trace_id = %call.trace_id,
        method = %call.method,
        code = ?call.code,
        caller = %call.caller,
        total_us = nanos(call.total) / 1_000,
        wait_us = wait,
        convert_us = convert,
        lock_us = lock,
        decide_us = decide,
        append_us = append,
        fsync_us = fsync,
        reply_us = reply,
        left_out,
        "slow call"
    );
}

/// Saturating: 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u64, total: Duration, code: Code) -> SlowCall {
        SlowCall {
            ended_at: SystemTime::UNIX_EPOCH + Duration::from_millis(number),
            method: "S/M".to_owned(),
            code,
            caller: SocketAddr::from(([127, 0, 0, 1], 7)),
            request_id: number.to_string(),
            trace_id: String::new(),
            total,
            is_stream: false,
            times: Times::default(),
        }
    }

    #[test]
    fn failures_do_not_push_out_what_was_slow() {
        let calls = SlowCalls::new(Duration::from_millis(100));
        calls.keep(call(0, Duration::from_millis(100), Code::Ok));
        for number in 1..=500 {
            calls.keep(call(number, Duration::from_millis(1), Code::NotFound));
        }
        let kept = calls.list();
        assert_eq!(kept.len(), KEPT_MAX + 1);
        assert_eq!((kept[0].request_id.as_str(), kept[KEPT_MAX].request_id.as_str()), ("500", "0"));
        assert_eq!(calls.slow(), 1);
    }

    #[test]
    fn what_is_slow_is_a_setting_and_zero_turns_it_off() {
        let calls = SlowCalls::new(Duration::from_millis(100));
        let wants = |millis| calls.wants(Code::Ok, Duration::from_millis(millis), false);
        assert!(wants(100) && !wants(99));
        assert!(calls.wants(Code::Internal, Duration::ZERO, false), "what failed is always kept");
        assert!(!calls.wants(Code::Ok, Duration::from_secs(3_600), true), "a stream lasts as long as it likes");
        assert!(!calls.wants(Code::Cancelled, Duration::from_secs(3_600), true), "and ends when its caller likes");
        assert!(
            calls.wants(Code::Internal, Duration::ZERO, true) && calls.wants(Code::Cancelled, Duration::ZERO, false)
        );
        calls.take(&Config { slow_call_threshold: Duration::from_millis(5), ..Config::default() }).unwrap();
        assert!(wants(5) && !wants(4));
        calls.set_threshold(Duration::ZERO);
        assert!(!wants(3_600_000));
        assert_eq!(calls.threshold(), Duration::ZERO);
    }

    #[test]
    fn the_log_has_ten_lines_a_second_and_counts_the_rest() {
        let mut lines = Lines::default();
        let written = (0..25).filter(|_| lines.next(7).is_some()).count();
        assert_eq!((written, lines.next(8), lines.next(8)), (10, Some(15), Some(0)));
        let calls = SlowCalls::new(Duration::from_millis(1));
        (0..30).for_each(|_| calls.keep(call(1, Duration::from_secs(1), Code::Ok)));
        assert_eq!((calls.slow(), calls.lines_left_out()), (30, 20));
    }
}
