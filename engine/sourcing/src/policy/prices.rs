//! What a policy charges and rewards, as pure functions of integers.
//!
//! Minor units of the policy's currency. Prices and bonuses are written as amounts not below zero; a bonus comes back from
//! these functions as money below zero. Nothing leaves the range of [`Money::MAX`] either way: sums beyond it stay there.

use quartermaster_routing::Money;
use serde::{Deserialize, Serialize};

use crate::fulfilment::Moment;
use crate::order::SizeRun;

/// The prices of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prices {
    /// For each unit that no parcel carries. Only the objective "money" weighs it.
    pub unserved_unit: i64,
    /// For each started hour that a parcel arrives after the wanted time.
    pub late_hour: i64,
    /// For taking a store's last pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pieces: Option<LastPieces>,
    /// For breaking a whole run of sizes, and for using up one that is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_run: Option<RunPrices>,
    /// For selling what has lain long: ascending days, the last that is reached holds.
    pub ageing: Vec<AgeingBonus>,
    /// For drawing on what is plenty, and against drawing on what runs out.
    pub cover: Vec<CoverPrice>,
    /// For each parcel of a place that is nearly full: ascending, the last that is reached holds.
    pub capacity_pressure: Vec<PressurePrice>,
    /// Bonus for each unit from a place that its line prefers.
    pub preferred_unit_bonus: i64,
    /// For each unit of a substitute.
    pub substitution_unit: i64,
}

/// What a store's last pieces are worth to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastPieces {
    /// Fewer units than this left, were the whole line served here, are the last pieces. At least 1.
    pub at: u32,
    /// For each unit taken.
    pub price: i64,
}

/// What a whole run of sizes is worth to a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunPrices {
    /// For each unit taken where serving the line would empty a cell of a whole run.
    pub break_price: i64,
    /// Bonus for each unit from a place whose run is broken already.
    pub broken_bonus: i64,
}

/// A bonus for old stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgeingBonus {
    /// Days since the oldest unit arrived, at least.
    pub days: u32,
    /// For each unit taken.
    pub bonus: i64,
}

/// What weeks of cover are worth: `weeks_over` with `bonus`, or `weeks_under` with `price`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoverPrice {
    /// More weeks than this are left after the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weeks_over: Option<u32>,
    /// For each unit taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bonus: Option<i64>,
    /// Fewer weeks than this are left after the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weeks_under: Option<u32>,
    /// For each unit taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<i64>,
}

/// What a parcel costs more at a place that is nearly full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PressurePrice {
    /// Percent of its limit already booked, at least; 1 to 100.
    pub used_percent: u32,
    /// For each parcel.
    pub price: i64,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            unserved_unit: 1_000_000,
            late_hour: 0,
            last_pieces: None,
            size_run: None,
            ageing: Vec::new(),
            cover: Vec::new(),
            capacity_pressure: Vec::new(),
            preferred_unit_bonus: 0,
            substitution_unit: 0,
        }
    }
}

impl Prices {
    /// For a parcel that arrives then: each started hour after the wanted time. Nothing wanted costs nothing.
    #[must_use]
    pub fn lateness(&self, wanted: Option<Moment>, arrives: Moment) -> Money {
        let late = wanted.map_or(0, |wanted| arrives.0.saturating_sub(wanted.0)).max(0);
        let hours = late / 3600 + i64::from(late % 3600 != 0);
        clamped(self.late_hour.saturating_mul(hours))
    }

    /// For each unit taken from a place of this kind that has `available`, when the line wants `wanted` in all.
    #[must_use]
    pub fn last_pieces(&self, kind: &str, available: u32, wanted: u32) -> Money {
        match self.last_pieces {
            Some(last) if kind == "store" && available.saturating_sub(wanted) < last.at => clamped(last.price),
            Some(_) | None => Money(0),
        }
    }

    /// For each unit taken where the run of sizes is so: the price of breaking it, or the bonus of one broken before.
    #[must_use]
    pub fn size_run(&self, run: SizeRun, available: u32, wanted: u32) -> Money {
        match (self.size_run, run) {
            (Some(prices), SizeRun::Whole) if wanted >= available => clamped(prices.break_price),
            (Some(prices), SizeRun::Broken) => clamped(prices.broken_bonus.saturating_neg()),
            (Some(_), SizeRun::Whole | SizeRun::Unknown) | (None, _) => Money(0),
        }
    }

    /// For each unit whose cell's oldest stock has lain so many days: zero or a bonus.
    #[must_use]
    pub fn ageing(&self, age_days: u32) -> Money {
        let reached = self.ageing.iter().rfind(|step| step.days <= age_days);
        reached.map_or(Money(0), |step| clamped(step.bonus.saturating_neg()))
    }

    /// For each unit taken, when the cell would keep `available` less `taken` and sells so many thousandths of a unit a week.
    ///
    /// Of several bonuses the one of most weeks holds, of several prices the one of fewest. What does not sell covers for ever;
    /// what is not known costs nothing.
    #[must_use]
    pub fn cover(&self, available: u32, weekly_demand_milli: Option<u32>, taken: u32) -> Money {
        let Some(demand) = weekly_demand_milli.map(u64::from) else { return Money(0) };
        let left = u64::from(available.saturating_sub(taken)) * 1000;
        let over = self.cover.iter().filter_map(|step| Some((step.weeks_over?, step.bonus?)));
        let over = over.filter(|(weeks, _)| demand == 0 || left > u64::from(*weeks) * demand);
        let under = self.cover.iter().filter_map(|step| Some((step.weeks_under?, step.price?)));
        let under = under.filter(|(weeks, _)| left < u64::from(*weeks) * demand);
        let bonus = over.max_by_key(|(weeks, _)| *weeks).map_or(0, |(_, bonus)| bonus);
        clamped(under.min_by_key(|(weeks, _)| *weeks).map_or(0, |(_, price)| price).saturating_sub(bonus))
    }

    /// For a parcel of a place with so much booked of so much it can do; without limit 0 there is nothing left to do.
    #[must_use]
    pub fn pressure(&self, booked: u32, limit: u32) -> Money {
        let percent = (u64::from(booked) * 100).checked_div(u64::from(limit)).unwrap_or(100);
        let reached = self.capacity_pressure.iter().rfind(|step| u64::from(step.used_percent) <= percent);
        reached.map_or(Money(0), |step| clamped(step.price))
    }
}

/// As a problem may hold it: within [`Money::MAX`] either way.
pub(super) fn clamped(minor: i64) -> Money {
    Money(minor.clamp(-Money::MAX.0, Money::MAX.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(toml: &str) -> Prices {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn each_started_hour_is_late() {
        let prices = prices("late_hour = 10");
        let late = |arrives| prices.lateness(Some(Moment(1000)), Moment(arrives)).0;
        assert_eq!([late(0), late(1000), late(1001), late(4600), late(4601)], [0, 0, 10, 10, 20]);
        assert_eq!(prices.lateness(None, Moment(i64::MAX)), Money(0));
        assert_eq!(prices.lateness(Some(Moment(i64::MIN)), Moment(i64::MAX)), Money::MAX);
    }

    #[test]
    fn last_pieces_are_a_store_s() {
        let prices = prices("last_pieces = { at = 3, price = 50 }");
        assert_eq!([6, 5, 4, 2, 0].map(|available| prices.last_pieces("store", available, 2).0), [0, 0, 50, 50, 50]);
        assert_eq!(prices.last_pieces("supplier", 1, 1), Money(0));
    }

    #[test]
    fn a_whole_run_is_broken_by_its_last_piece() {
        let prices = prices("size_run = { break_price = 30, broken_bonus = 20 }");
        assert_eq!(prices.size_run(SizeRun::Whole, 3, 2), Money(0));
        assert_eq!(prices.size_run(SizeRun::Whole, 2, 2), Money(30));
        assert_eq!(prices.size_run(SizeRun::Broken, 9, 1), Money(-20));
        assert_eq!(prices.size_run(SizeRun::Unknown, 1, 1), Money(0));
    }

    #[test]
    fn the_last_age_reached_holds() {
        let prices = prices("ageing = [{ days = 30, bonus = 5 }, { days = 90, bonus = 20 }]");
        assert_eq!([0, 29, 30, 89, 90, u32::MAX].map(|days| prices.ageing(days).0), [0, 0, -5, -5, -20, -20]);
    }

    #[test]
    fn cover_is_weeks_after_the_line() {
        let prices = prices(
            "cover = [{ weeks_over = 10, bonus = 5 }, { weeks_over = 20, bonus = 9 }, { weeks_under = 2, price = 40 }]",
        );
        let cover = |available, demand| prices.cover(available, demand, 1).0;
        assert_eq!([12, 11, 3, 2, 1].map(|available| cover(available, Some(1000))), [-5, 0, 0, 40, 40]);
        assert_eq!((cover(100, Some(1000)), cover(5, Some(0)), cover(0, None)), (-9, -9, 0));
        assert_eq!(cover(u32::MAX, Some(u32::MAX)), -9);
    }

    #[test]
    fn pressure_rises_with_what_is_booked() {
        let prices =
            prices("capacity_pressure = [{ used_percent = 80, price = 10 }, { used_percent = 100, price = 90 }]");
        assert_eq!([0, 79, 80, 99, 100, 300].map(|booked| prices.pressure(booked, 100).0), [0, 0, 10, 10, 90, 90]);
        assert_eq!(prices.pressure(0, 0), Money(90));
    }
}
