//! The ranges of the settings, and the few that depend on each other.

use std::fmt::Display;
use std::time::Duration;

use humantime_serde::re::humantime;

use super::error::ConfigError;
use super::load::Origin;
use super::{Config, Durability, secure};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The first setting that may not be as it is.
pub(super) fn check(
    config: &Config,
    unsafe_no_fsync: bool,
    insecure_public: bool,
    origin: impl Fn(&str) -> Origin,
) -> Result<(), ConfigError> {
    let check = Check { origin: &origin };
    check.time("sync_interval", config.sync_interval, MILLISECOND, 10 * SECOND)?;
    check.bytes("segment_bytes", config.segment_bytes, 64 * KIB, GIB)?;
    check.right(config.segment_bytes.is_multiple_of(512), "segment_bytes", config.segment_bytes, || {
        "a multiple of 512, the size of a sector".to_owned()
    })?;
    let batch = 4 * KIB..=(64 * MIB).min(config.segment_bytes / 2);
    check.right(batch.contains(&config.batch_bytes_max), "batch_bytes_max", config.batch_bytes_max, || {
        format!("{} to {} bytes: at most 64 MiB and half of segment_bytes", batch.start(), batch.end())
    })?;
    let backlog = (64 * KIB).max(config.batch_bytes_max)..=GIB;
    check.right(backlog.contains(&config.backlog_bytes_max), "backlog_bytes_max", config.backlog_bytes_max, || {
        format!("{} to {} bytes: at least 64 KiB and batch_bytes_max", backlog.start(), backlog.end())
    })?;
    check.time_or_off("snapshot_interval", config.snapshot_interval, SECOND, 7 * DAY)?;
    let keep = config.journal_keep;
    check.right(keep.is_zero() || (SECOND..=365 * DAY).contains(&keep), "journal_keep", text(keep), || {
        "0s for only what snapshots need, or 1s to 365days".to_owned()
    })?;
    let budget = config.disk_budget_bytes;
    let least = config.segment_bytes.saturating_mul(8);
    check.right(budget == 0 || (least..=1 << 50).contains(&budget), "disk_budget_bytes", budget, || {
        format!("0 for all there are, or {least} (eight segments) to {} bytes", 1_u64 << 50)
    })?;
    check.backups(config)?;
    check.time("expiry_tick", config.expiry_tick, MILLISECOND, SECOND)?;
    check.time("dedup_retention", config.dedup_retention, MINUTE, 30 * DAY)?;
    check.number("dedup_entries_max", config.dedup_entries_max, 1_000, 1_000_000_000)?;
    check.time("ended_retention", config.ended_retention, MINUTE, 365 * DAY)?;
    check.number("ended_entries_max", config.ended_entries_max, 1_000, 1_000_000_000)?;
    check.time("return_window", config.return_window, MINUTE, 3_650 * DAY)?;
    check.number("return_entries_max", config.return_entries_max, 1_000, 1_000_000_000)?;
    check.number("return_rate_alert", config.return_rate_alert.into(), 1, 1_000_000)?;
    check.number("return_rate_min_units", config.return_rate_min_units, 1, 1_000_000_000)?;
    check.time_or_off("audit_interval", config.audit_interval, SECOND, 7 * DAY)?;
    check.number("in_flight_max", config.in_flight_max.into(), 1, 1_000_000)?;
    let target = config.queue_wait_target;
    check.right(
        target.is_zero() || (MILLISECOND..=10 * SECOND).contains(&target),
        "queue_wait_target",
        text(target),
        || "0s for any, or 1ms to 10s".to_owned(),
    )?;
    check.time("queue_wait_interval", config.queue_wait_interval, 10 * MILLISECOND, 10 * SECOND)?;
    check.number("connections_per_address_max", config.connections_per_address_max.into(), 1, 1_000_000)?;
    check.number("connections_max", config.connections_max.into(), 1, 1_000_000)?;
    check.number("concurrency_per_connection", config.concurrency_per_connection.into(), 1, 65_536)?;
    check.time("handshake_timeout", config.handshake_timeout, 100 * MILLISECOND, MINUTE)?;
    check.time_or_off("connection_age_max", config.connection_age_max, 10 * SECOND, 7 * DAY)?;
    check.time("connection_age_grace", config.connection_age_grace, SECOND, DAY)?;
    check.time("keepalive_interval", config.keepalive_interval, SECOND, HOUR)?;
    check.time("keepalive_timeout", config.keepalive_timeout, 100 * MILLISECOND, MINUTE)?;
    check.time("unread_timeout", config.unread_timeout, SECOND, HOUR)?;
    check.bytes("message_bytes_max", config.message_bytes_max, 4 * KIB, 64 * MIB)?;
    check.bytes("json_stream_bytes_max", config.json_stream_bytes_max, 4 * KIB, GIB)?;
    check.time("default_deadline", config.default_deadline, 10 * MILLISECOND, HOUR)?;
    check.number("worker_threads", config.worker_threads.into(), 1, 1_024)?;
    check.time("drain_grace", config.drain_grace, Duration::ZERO, 10 * MINUTE)?;
    let slow = config.slow_call_threshold;
    check.right(slow.is_zero() || (MILLISECOND..=HOUR).contains(&slow), "slow_call_threshold", text(slow), || {
        "0s for none, or 1ms to 1h".to_owned()
    })?;
    if config.otlp_endpoint.is_some() && !cfg!(feature = "otel") {
        let (key, origin) = ("otlp_endpoint".to_owned(), origin("otlp_endpoint"));
        return Err(ConfigError::Value { key, origin, problem: super::NO_TRACES.to_owned() });
    }
    if let Some(address) = config.debug_listen.filter(|address| !address.ip().is_loopback() && !config.debug_public) {
        check.right(false, "debug_listen", address, || {
            "a loopback address such as 127.0.0.1:7072, or debug_public = true where a firewall stands before it"
                .to_owned()
        })?;
    }
    if let Err(problem) = crate::logging::parse(&config.log_level) {
        let origin = origin("log_level");
        return Err(ConfigError::Value { key: "log_level".to_owned(), origin, problem });
    }
    if config.durability == Durability::None && !unsafe_no_fsync {
        return Err(ConfigError::UnsafeDurability { origin: origin("durability") });
    }
    check.time("tls_reload_interval", config.tls_reload_interval, SECOND, DAY)?;
    check.number("rate_limit_per_caller", config.rate_limit_per_caller.into(), 0, 1_000_000)?;
    check.number("rate_burst_per_caller", config.rate_burst_per_caller.into(), 1, 10_000_000)?;
    secure::check(config, insecure_public, &origin)
}

struct Check<'a> {
    origin: &'a dyn Fn(&str) -> Origin,
}

impl Check<'_> {
    fn number(&self, key: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
        let right = (least..=most).contains(&value);
        self.right(right, key, value, || format!("{least} to {most}"))
    }

    fn bytes(&self, key: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
        let right = (least..=most).contains(&value);
        self.right(right, key, format_args!("{value} bytes"), || format!("{least} to {most} bytes"))
    }

    fn time(&self, key: &'static str, value: Duration, least: Duration, most: Duration) -> Result<(), ConfigError> {
        let right = (least..=most).contains(&value);
        self.right(right, key, text(value), || format!("{} to {}", text(least), text(most)))
    }

    fn time_or_off(
        &self,
        key: &'static str,
        value: Duration,
        least: Duration,
        most: Duration,
    ) -> Result<(), ConfigError> {
        let right = value.is_zero() || (least..=most).contains(&value);
        self.right(right, key, text(value), || format!("0s for never, or {} to {}", text(least), text(most)))
    }

    fn backups(&self, config: &Config) -> Result<(), ConfigError> {
        if let Some(text) = &config.backup_target {
            let place = crate::backup::Place::parse(text);
            let problem = place.and_then(|place| match &config.data_dir {
                Some(data) if place.is_within(data) => {
                    Err("it lies within data_dir, and would be lost with it".to_owned())
                }
                _ => Ok(()),
            });
            if let Err(problem) = problem {
                let origin = (self.origin)("backup_target");
                return Err(ConfigError::Value { key: "backup_target".to_owned(), origin, problem });
            }
        }
        self.time_or_off("backup_interval", config.backup_interval, MINUTE, 30 * DAY)?;
        self.number("backup_keep", config.backup_keep.into(), 0, 10_000)?;
        self.bytes("backup_bytes_per_second", config.backup_bytes_per_second, 64 * KIB, 10 * GIB)?;
        self.time("archive_interval", config.archive_interval, SECOND, DAY)?;
        let needs = |wanted: bool, key: &'static str, value: &str| {
            self.right(!wanted || config.backup_target.is_some(), key, value, || {
                "left out while there is no backup_target to send to".to_owned()
            })
        };
        needs(!config.backup_interval.is_zero(), "backup_interval", &text(config.backup_interval))?;
        needs(config.archive, "archive", "true")
    }

    fn right(
        &self,
        right: bool,
        key: &'static str,
        value: impl Display,
        range: impl Fn() -> String,
    ) -> Result<(), ConfigError> {
        if right {
            return Ok(());
        }
        Err(ConfigError::OutOfRange { key, value: value.to_string(), origin: (self.origin)(key), range: range() })
    }
}

fn text(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}
