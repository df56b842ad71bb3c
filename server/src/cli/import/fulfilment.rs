//! The columns of a location that say what it costs, when it works and how much it takes.

use quartermaster_proto::v1::{CapacityLimits, Fulfilment, Shift};
use quartermaster_sourcing::{calendar::check_fulfilment, fulfilment};

use super::problem::Wrong;
use super::table::{CODE_BYTES_MAX, Columns, Row};

const COST_MAX: i64 = 1_000_000_000;
const MINUTES_MAX: i64 = 43_200;
const KEEP_MAX: i64 = 1_000_000;
const LIMIT_MAX: i64 = 4_294_967_295;
const CHANNELS_BYTES_MAX: usize = 4_096;

pub(super) struct Found {
    handling_cost: Option<usize>,
    pick_unit_cost: Option<usize>,
    processing_minutes: Option<usize>,
    time_zone: Option<usize>,
    opens: Option<usize>,
    cutoff: Option<usize>,
    working_days: Option<usize>,
    orders_per_day: Option<usize>,
    units_per_day: Option<usize>,
    radius: Option<usize>,
    keep_units: Option<usize>,
    channels: Option<usize>,
}

impl Found {
    pub(super) fn of(columns: &mut Columns<'_>) -> Found {
        Found {
            handling_cost: columns.find(&["handling_cost", "ship_fixed_cost"]),
            pick_unit_cost: columns.find(&["pick_unit_cost"]),
            processing_minutes: columns.find(&["processing_minutes"]),
            time_zone: columns.find(&["time_zone", "timezone"]),
            opens: columns.find(&["opens", "opens_local"]),
            cutoff: columns.find(&["cutoff", "cutoff_local"]),
            working_days: columns.find(&["working_days"]),
            orders_per_day: columns.find(&["orders_per_day", "daily_capacity_orders"]),
            units_per_day: columns.find(&["units_per_day", "daily_capacity_units"]),
            radius: columns.find(&["same_hour_radius_metres"]),
            keep_units: columns.find(&["keep_units"]),
            channels: columns.find(&["channels"]),
        }
    }
}

/// What the columns say; nothing when they say nothing.
pub(super) fn read(found: &Found, row: &mut Row<'_>) -> Option<Fulfilment> {
    let small = |number: Option<i64>| number.and_then(|number| i32::try_from(number).ok()).unwrap_or(0);
    let capacity = CapacityLimits {
        orders_per_day: row.number(found.orders_per_day, 0, LIMIT_MAX),
        units_per_day: row.number(found.units_per_day, 0, LIMIT_MAX),
        ..CapacityLimits::default()
    };
    let fulfilment = Fulfilment {
        handling_cost: row.number(found.handling_cost, 0, COST_MAX).unwrap_or(0),
        pick_unit_cost: row.number(found.pick_unit_cost, 0, COST_MAX).unwrap_or(0),
        processing_minutes: small(row.number(found.processing_minutes, 0, MINUTES_MAX)),
        time_zone: time_zone(found.time_zone, row),
        shifts: shifts(found, row),
        holidays: Vec::new(),
        capacity: (capacity != CapacityLimits::default()).then_some(capacity),
        same_hour_radius_metres: small(row.number(found.radius, 0, COST_MAX)),
        channels: channels(found.channels, row),
        keep_units: small(row.number(found.keep_units, 0, KEEP_MAX)),
    };
    (fulfilment != Fulfilment::default()).then_some(fulfilment)
}

fn time_zone(column: Option<usize>, row: &mut Row<'_>) -> String {
    let time_zone = row.text(column, CODE_BYTES_MAX);
    let alone = fulfilment::Fulfilment { time_zone: time_zone.clone(), ..fulfilment::Fulfilment::default() };
    if check_fulfilment(&alone).is_err() {
        row.wrong(column.unwrap_or(0), Wrong::NoTimeZone { text: time_zone });
        return String::new();
    }
    time_zone
}

/// The same hours on every working day; none when no column speaks of hours.
fn shifts(found: &Found, row: &mut Row<'_>) -> Vec<Shift> {
    let opens = minute(found.opens, row, 1_439);
    let cutoff = minute(found.cutoff, row, 1_440);
    let days = working_days(found.working_days, row);
    if opens.is_none() && cutoff.is_none() && days.is_none() {
        return Vec::new();
    }
    let (opens_minute, cutoff_minute) = (opens.unwrap_or(0), cutoff.unwrap_or(1_440));
    if cutoff_minute <= opens_minute {
        row.wrong(found.cutoff.or(found.opens).unwrap_or(0), Wrong::ClosedBeforeOpen);
        return Vec::new();
    }
    let days = days.unwrap_or_else(|| (1..=7).collect());
    days.into_iter().map(|weekday| Shift { weekday, opens_minute, cutoff_minute }).collect()
}

/// Minutes after midnight of a time as HH:MM; none when the field is empty.
fn minute(column: Option<usize>, row: &mut Row<'_>, most: i32) -> Option<i32> {
    let text = row.text(column, CODE_BYTES_MAX);
    if text.is_empty() {
        return None;
    }
    let minute = text.split_once(':').and_then(|(hours, minutes)| {
        let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok().filter(|minutes| *minutes < 60)?);
        Some(i32::from(hours) * 60 + i32::from(minutes))
    });
    match minute.filter(|minute| *minute <= most) {
        Some(minute) => Some(minute),
        None => {
            row.wrong(column.unwrap_or(0), Wrong::NoTimeOfDay { text });
            None
        }
    }
}

/// Days from 1 for Monday, of `1-5` or `1;3;5`; none when the field is empty.
fn working_days(column: Option<usize>, row: &mut Row<'_>) -> Option<Vec<i32>> {
    let text = row.text(column, CODE_BYTES_MAX);
    if text.is_empty() {
        return None;
    }
    let day = |text: &str| text.trim().parse().ok().filter(|day: &i32| (1..=7).contains(day));
    let mut days = Vec::new();
    for part in text.split([';', ',', ' ']).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (day(first), day(last)) {
            (Some(first), Some(last)) if first <= last => days.extend(first..=last),
            _ => {
                row.wrong(column.unwrap_or(0), Wrong::NoDays { text });
                return None;
            }
        }
    }
    days.sort_unstable();
    days.dedup();
    Some(days)
}

fn channels(column: Option<usize>, row: &mut Row<'_>) -> Vec<String> {
    let text = row.text(column, CHANNELS_BYTES_MAX);
    let mut channels: Vec<String> =
        text.split(';').map(str::trim).filter(|code| !code.is_empty()).map(str::to_owned).collect();
    for channel in &channels {
        if channel.len() > CODE_BYTES_MAX {
            row.wrong(column.unwrap_or(0), Wrong::TooLong { found: channel.len(), limit: CODE_BYTES_MAX });
        }
    }
    channels.sort_unstable();
    channels.dedup();
    channels
}
