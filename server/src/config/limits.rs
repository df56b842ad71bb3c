//! The settings that bound what callers may do, as GetLimits tells them.

use std::time::Duration;

use super::{Config, DESCRIPTIONS, KEYS};

/// A limit of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Name of the key.
    pub name: &'static str,
    /// Value in its unit.
    pub value: u64,
    /// "bytes", "calls", "milliseconds", …
    pub unit: &'static str,
    /// What it bounds and why.
    pub description: &'static str,
}

impl Config {
    /// Every limit that a caller can meet, in the order of their names.
    pub fn limits(&self) -> Vec<Limit> {
        let limits = [
            ("concurrency_per_connection", self.concurrency_per_connection.into(), "calls"),
            ("connection_age_grace", milliseconds(self.connection_age_grace), "milliseconds"),
            ("connection_age_max", milliseconds(self.connection_age_max), "milliseconds"),
            ("connections_max", self.connections_max.into(), "connections"),
            ("connections_per_address_max", self.connections_per_address_max.into(), "connections"),
            ("dedup_entries_max", self.dedup_entries_max, "request ids"),
            ("dedup_retention", milliseconds(self.dedup_retention), "milliseconds"),
            ("default_deadline", milliseconds(self.default_deadline), "milliseconds"),
            ("ended_entries_max", self.ended_entries_max, "reservations"),
            ("ended_retention", milliseconds(self.ended_retention), "milliseconds"),
            ("handshake_timeout", milliseconds(self.handshake_timeout), "milliseconds"),
            ("in_flight_max", self.in_flight_max.into(), "calls"),
            ("json_stream_bytes_max", self.json_stream_bytes_max, "bytes"),
            ("keepalive_interval", milliseconds(self.keepalive_interval), "milliseconds"),
            ("keepalive_timeout", milliseconds(self.keepalive_timeout), "milliseconds"),
            ("message_bytes_max", self.message_bytes_max, "bytes"),
            ("queue_wait_interval", milliseconds(self.queue_wait_interval), "milliseconds"),
            ("queue_wait_target", milliseconds(self.queue_wait_target), "milliseconds"),
            ("rate_burst_per_caller", self.rate_burst_per_caller.into(), "calls"),
            ("rate_limit_per_caller", self.rate_limit_per_caller.into(), "calls per second"),
            ("return_entries_max", self.return_entries_max, "reservations"),
            ("return_rate_alert", self.return_rate_alert.into(), "per mille"),
            ("return_rate_min_units", self.return_rate_min_units, "units"),
            ("return_window", milliseconds(self.return_window), "milliseconds"),
            ("unread_timeout", milliseconds(self.unread_timeout), "milliseconds"),
        ];
        let limits =
            limits.into_iter().map(|(name, value, unit)| Limit { name, value, unit, description: describe(name) });
        limits.collect()
    }
}

fn describe(name: &str) -> &'static str {
    let index = KEYS.iter().position(|key| *key == name);
    index.map_or("", |index| DESCRIPTIONS[index].trim_start())
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_a_key_with_its_reason_and_in_order() {
        let limits = Config::default().limits();
        assert!(limits.iter().all(|limit| limit.description.contains("Default")));
        assert!(limits.is_sorted_by_key(|limit| limit.name));
        let in_flight = limits.iter().find(|limit| limit.name == "in_flight_max").unwrap();
        assert!(in_flight.description.starts_with("Calls in work at once"));
    }
}
