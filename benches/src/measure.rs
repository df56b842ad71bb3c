//! Times and how they are summed up: percentiles per round, then the median and the least over the rounds, because the machine is
//! shared and its neighbours only ever make things slower.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Nanoseconds of one round.
#[derive(Debug)]
pub struct Round(Histogram<u64>);

impl Default for Round {
    fn default() -> Self {
        // To a minute, above which a time counts as one.
        Self(Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order"))
    }
}

impl Round {
    /// Notes one time.
    pub fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Nanoseconds that so many percent stay at or below.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> u64 {
        self.0.value_at_percentile(percent)
    }

    /// Longest time.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.0.max()
    }
}

/// Percentiles over rounds.
#[derive(Debug, Default)]
pub struct Rounds(Vec<Round>);

impl Rounds {
    /// Notes a round.
    pub fn push(&mut self, round: Round) {
        self.0.push(round);
    }

    /// Median and least over the rounds of one percentile, less what reading the clock costs.
    #[must_use]
    pub fn of(&self, percent: f64, clock: u64) -> (u64, u64) {
        let mut values: Vec<u64> = self.0.iter().map(|round| round.percentile(percent).saturating_sub(clock)).collect();
        (median(&mut values), values.first().copied().unwrap_or(0))
    }
}

/// The middle of the values, which are left in order; 0 for none.
pub fn median<T: Copy + PartialOrd + Default>(values: &mut [T]) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).expect("times are numbers"));
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Nanoseconds between two readings of the clock with nothing between them.
#[must_use]
pub fn clock_cost() -> u64 {
    let mut costs: Vec<u64> = (0..10_000)
        .map(|_| {
            let start = Instant::now();
            u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
        })
        .collect();
    median(&mut costs)
}

/// A figure with its thousands set apart.
#[must_use]
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One number as a multiple of another, to a thousandth; infinity when the other is 0.
#[must_use]
pub fn ratio(number: u64, of: u64) -> f64 {
    let thousandths = (u128::from(number) * 1_000).checked_div(of.into());
    thousandths.map_or(f64::INFINITY, |thousandths| decimal(thousandths, 1_000))
}

/// A whole number of so-manieth parts, as 1,234 thousandths are 1.234.
fn decimal(parts: u128, of: u32) -> f64 {
    // Above the largest 32-bit number the fraction no longer says anything.
    match u32::try_from(parts) {
        Ok(parts) => f64::from(parts) / f64::from(of),
        Err(_) => u32::try_from(parts / u128::from(of)).map_or(f64::INFINITY, f64::from),
    }
}

/// Events per second, for people.
#[must_use]
pub fn per_second(count: u64, took: Duration) -> u64 {
    let nanos = took.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

/// Bytes of this process that are in memory; 0 where the system does not tell.
#[must_use]
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "thousandths of whole numbers are exact here")]
    fn ratios_are_to_a_thousandth_and_stay_numbers_at_the_ends() {
        assert_eq!(ratio(1_500, 1_000), 1.5);
        assert_eq!(ratio(0, 7), 0.0);
        assert_eq!(ratio(1, 0), f64::INFINITY);
        assert_eq!(ratio(3_000_000_000, 1), 3_000_000_000.0);
    }
}
