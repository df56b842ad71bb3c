//! What a place can do: costs, hours and limits, checked and converted both ways.

use quartermaster_engine::catalog::Fulfilment;
use quartermaster_proto::v1;
use quartermaster_sourcing::{
    calendar::{FulfilmentError, check_fulfilment},
    fulfilment::{CapacityLimits, Shift},
};

use super::checks::Checks;
use crate::grpc::limits;

/// The default when nothing is said.
pub(crate) fn from_wire(checks: &mut Checks, place: usize, wire: Option<v1::Fulfilment>) -> Fulfilment {
    let Some(wire) = wire else { return Fulfilment::default() };
    let path = format!("locations[{place}].fulfilment");
    let mut quick = Checks::default();
    let fulfilment = fields(&mut quick, &path, &wire);
    // Only of what is in its ranges can be told whether it makes a calendar.
    if quick.passed()
        && let Err(error) = check_fulfilment(&fulfilment)
    {
        quick.refuse(format_args!("{path}.{}", field(&error, &wire.holidays)), problem(&error));
    }
    checks.take(quick);
    fulfilment
}

fn fields(checks: &mut Checks, path: &str, wire: &v1::Fulfilment) -> Fulfilment {
    let mut cost = |field: &str, cost: i64| {
        i64::from(checks.range(format_args!("{path}.{field}"), cost, 0, &limits::PLACE_COST_MAX))
    };
    let (handling_cost, pick_unit_cost) =
        (cost("handling_cost", wire.handling_cost), cost("pick_unit_cost", wire.pick_unit_cost));
    let minutes = i64::from(wire.processing_minutes);
    let processing_minutes =
        checks.range(format_args!("{path}.processing_minutes"), minutes, 0, &limits::PROCESSING_MINUTES_MAX);
    let radius = i64::from(wire.same_hour_radius_metres);
    let same_hour_radius_metres =
        checks.range(format_args!("{path}.same_hour_radius_metres"), radius, 0, &limits::RADIUS_METRES_MAX);
    let keep_units =
        checks.range(format_args!("{path}.keep_units"), i64::from(wire.keep_units), 0, &limits::KEEP_UNITS_MAX);
    Fulfilment {
        handling_cost,
        pick_unit_cost,
        processing_minutes,
        time_zone: checks.text(format_args!("{path}.time_zone"), wire.time_zone.clone(), &limits::CODE_BYTES_MAX),
        week: week(checks, path, &wire.shifts),
        holidays: holidays(checks, path, &wire.holidays),
        capacity: wire.capacity.map(|limits| capacity(checks, path, &limits)).unwrap_or_default(),
        same_hour_radius_metres,
        channels: channels(checks, path, &wire.channels),
        keep_units,
    }
}

/// Seven days, or none when no shift is given.
fn week(checks: &mut Checks, path: &str, shifts: &[v1::Shift]) -> Vec<Option<Shift>> {
    if shifts.is_empty() {
        return Vec::new();
    }
    let mut week = vec![None; 7];
    for (entry, shift) in shifts.iter().enumerate() {
        let path = format!("{path}.shifts[{entry}]");
        let day = usize::try_from(shift.weekday).ok().and_then(|day| day.checked_sub(1)).filter(|day| *day < 7);
        let Some(day) = day else {
            let problem = format_args!("is {}; no Weekday has this number", shift.weekday);
            checks.refuse(format_args!("{path}.weekday"), problem);
            continue;
        };
        if week[day].is_some() {
            let problem = format_args!("repeats {}; each day may stand once", shift.weekday().as_str_name());
            checks.refuse(format_args!("{path}.weekday"), problem);
        }
        let minute = |minute: i32, range: std::ops::RangeInclusive<u16>| {
            u16::try_from(minute).ok().filter(|minute| range.contains(minute))
        };
        match (minute(shift.opens_minute, 0..=1_439), minute(shift.cutoff_minute, 0..=1_440)) {
            (None, _) => {
                let problem = format_args!("is {}; 0 to 1,439 are allowed", shift.opens_minute);
                checks.refuse(format_args!("{path}.opens_minute"), problem);
            }
            (Some(opens), Some(cutoff)) if cutoff > opens => week[day] = Some(Shift { opens, cutoff }),
            (Some(opens), _) => {
                let problem = format_args!("is {}; {} to 1,440 are allowed", shift.cutoff_minute, opens + 1);
                checks.refuse(format_args!("{path}.cutoff_minute"), problem);
            }
        }
    }
    week
}

/// Ascending, as year × 10,000 + month × 100 + day.
fn holidays(checks: &mut Checks, path: &str, days: &[String]) -> Vec<u32> {
    let field = format!("{path}.holidays");
    if !checks.length(&field, days.len(), 0, &limits::HOLIDAYS_MAX) {
        return Vec::new();
    }
    checks.each_once(&field, days.iter().map(String::as_str));
    let mut holidays = Vec::with_capacity(days.len());
    for (entry, day) in days.iter().enumerate() {
        match digits(day) {
            Some(day) => holidays.push(day),
            None => checks.refuse(format_args!("{field}[{entry}]"), format_args!("is {day:?}; YYYY-MM-DD is needed")),
        }
    }
    holidays.sort_unstable();
    holidays
}

/// Of a day as YYYY-MM-DD. Whether there is such a day is for the calendar to tell.
pub(super) fn digits(day: &str) -> Option<u32> {
    let bytes = day.as_bytes();
    let in_form = bytes.len() == 10
        && bytes.iter().enumerate().all(|(place, byte)| match place {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if in_form { day.replace('-', "").parse().ok() } else { None }
}

fn capacity(checks: &mut Checks, path: &str, limits: &v1::CapacityLimits) -> CapacityLimits {
    let mut limit = |field: &str, limit: Option<i64>| {
        let field = format_args!("{path}.capacity.{field}").to_string();
        limit.map(|limit| checks.range(field, limit, 0, &limits::QUANTITY_MAX))
    };
    CapacityLimits {
        orders_per_day: limit("orders_per_day", limits.orders_per_day),
        units_per_day: limit("units_per_day", limits.units_per_day),
        orders_per_hour: limit("orders_per_hour", limits.orders_per_hour),
        units_per_hour: limit("units_per_hour", limits.units_per_hour),
    }
}

fn channels(checks: &mut Checks, path: &str, codes: &[String]) -> Vec<String> {
    let field = format!("{path}.channels");
    if !checks.length(&field, codes.len(), 0, &limits::CHANNELS_MAX) {
        return Vec::new();
    }
    checks.each_once(&field, codes.iter().map(String::as_str));
    let codes = codes.iter().enumerate();
    codes.map(|(entry, code)| checks.code(format_args!("{field}[{entry}]"), code.clone())).collect()
}

/// Where the message has what the calendar complains of. Holidays were sorted, shifts have days instead of places.
fn field(error: &FulfilmentError, holidays: &[String]) -> String {
    match error {
        FulfilmentError::Holiday { date, .. }
        | FulfilmentError::HolidayOrder { date, .. }
        | FulfilmentError::Idle { date } => {
            let place = holidays.iter().position(|day| digits(day) == Some(*date));
            place.map_or_else(|| "holidays".into(), |place| format!("holidays[{place}]"))
        }
        FulfilmentError::Week { .. }
        | FulfilmentError::Opens { .. }
        | FulfilmentError::Cutoff { .. }
        | FulfilmentError::NoShift => "shifts".into(),
        FulfilmentError::HandlingCost { .. }
        | FulfilmentError::PickUnitCost { .. }
        | FulfilmentError::Processing { .. }
        | FulfilmentError::TimeZone { .. } => error.field(),
    }
}

/// In words, without the path that its own words begin with.
fn problem(error: &FulfilmentError) -> String {
    match error {
        FulfilmentError::TimeZone { name } => format!("is {name:?}; the IANA database has no such time zone"),
        FulfilmentError::Holiday { date, .. } => {
            format!("is {:04}-{:02}-{:02}; there is no such day", date / 10_000, date / 100 % 100, date % 100)
        }
        FulfilmentError::HandlingCost { .. }
        | FulfilmentError::PickUnitCost { .. }
        | FulfilmentError::Processing { .. }
        | FulfilmentError::Week { .. }
        | FulfilmentError::Opens { .. }
        | FulfilmentError::Cutoff { .. }
        | FulfilmentError::HolidayOrder { .. }
        | FulfilmentError::NoShift
        | FulfilmentError::Idle { .. } => {
            let words = error.to_string();
            words.split_once(": ").map_or(words.clone(), |(_, problem)| problem.to_owned())
        }
    }
}

/// As it is shown; nothing for a place that costs nothing, works always and takes everything.
pub(crate) fn to_wire(fulfilment: &Fulfilment) -> Option<v1::Fulfilment> {
    if *fulfilment == Fulfilment::default() {
        return None;
    }
    let whole = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let shift = |(weekday, shift): (i32, &Option<Shift>)| {
        shift.map(|shift| v1::Shift {
            weekday,
            opens_minute: i32::from(shift.opens),
            cutoff_minute: i32::from(shift.cutoff),
        })
    };
    let limits = fulfilment.capacity;
    Some(v1::Fulfilment {
        handling_cost: fulfilment.handling_cost,
        pick_unit_cost: fulfilment.pick_unit_cost,
        processing_minutes: whole(fulfilment.processing_minutes),
        time_zone: fulfilment.time_zone.clone(),
        shifts: (1..).zip(&fulfilment.week).filter_map(shift).collect(),
        holidays: fulfilment.holidays.iter().map(|day| date(*day)).collect(),
        capacity: (!limits.is_unlimited()).then(|| v1::CapacityLimits {
            orders_per_day: limits.orders_per_day.map(i64::from),
            units_per_day: limits.units_per_day.map(i64::from),
            orders_per_hour: limits.orders_per_hour.map(i64::from),
            units_per_hour: limits.units_per_hour.map(i64::from),
        }),
        same_hour_radius_metres: whole(fulfilment.same_hour_radius_metres),
        channels: fulfilment.channels.clone(),
        keep_units: whole(fulfilment.keep_units),
    })
}

/// YYYY-MM-DD.
fn date(day: u32) -> String {
    format!("{:04}-{:02}-{:02}", day / 10_000, day / 100 % 100, day % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::status::ApiError;

    fn checked(wire: v1::Fulfilment) -> Result<Fulfilment, Vec<String>> {
        let mut checks = Checks::default();
        let fulfilment = from_wire(&mut checks, 3, Some(wire));
        checks.finish(fulfilment).map_err(|error: ApiError| {
            let wrong = error.violations().into_iter();
            wrong
                .map(|wrong| format!("{}: {}", wrong.field, wrong.problem).replace("locations[3].fulfilment.", ""))
                .collect()
        })
    }

    fn shift(weekday: i32, opens_minute: i32, cutoff_minute: i32) -> v1::Shift {
        v1::Shift { weekday, opens_minute, cutoff_minute }
    }

    #[test]
    fn a_full_description_goes_there_and_back() {
        let wire = v1::Fulfilment {
            handling_cost: 1_000_000_000,
            pick_unit_cost: 6,
            processing_minutes: 43_200,
            time_zone: "Asia/Shanghai".into(),
            shifts: vec![shift(1, 0, 1_440), shift(7, 1_439, 1_440)],
            holidays: vec!["2027-01-01".into(), "2027-10-01".into()],
            capacity: Some(v1::CapacityLimits {
                orders_per_day: Some(0),
                units_per_day: Some(9),
                ..Default::default()
            }),
            same_hour_radius_metres: 5_000,
            channels: vec!["web".into(), "app".into()],
            keep_units: 1_000_000,
        };
        let fulfilment = checked(wire.clone()).unwrap();
        assert_eq!(fulfilment.week[6], Some(Shift { opens: 1_439, cutoff: 1_440 }));
        assert_eq!(to_wire(&fulfilment), Some(wire));
        assert_eq!(checked(v1::Fulfilment::default()), Ok(Fulfilment::default()));
        assert_eq!(to_wire(&Fulfilment::default()), None);
    }

    #[test]
    fn every_wrong_field_is_named() {
        let wire = v1::Fulfilment {
            handling_cost: -1,
            pick_unit_cost: 1_000_000_001,
            processing_minutes: 43_201,
            shifts: vec![shift(0, 0, 1), shift(1, 1_440, 1_440), shift(2, 600, 600), shift(3, 0, 1), shift(3, 0, 1)],
            holidays: vec!["2027-1-1".into(), "2027-01-01".into(), "2027-01-01".into()],
            capacity: Some(v1::CapacityLimits { units_per_hour: Some(-5), ..Default::default() }),
            same_hour_radius_metres: -1,
            channels: vec![String::new()],
            keep_units: 1_000_001,
            ..Default::default()
        };
        let expected = [
            "handling_cost: is -1; 0 to 1,000,000,000 are allowed",
            "pick_unit_cost: is 1000000001; 0 to 1,000,000,000 are allowed",
            "processing_minutes: is 43201; 0 to 43,200 are allowed",
            "same_hour_radius_metres: is -1; 0 to 1,000,000,000 are allowed",
            "keep_units: is 1000001; 0 to 1,000,000 are allowed",
            "shifts[0].weekday: is 0; no Weekday has this number",
            "shifts[1].opens_minute: is 1440; 0 to 1,439 are allowed",
            "shifts[2].cutoff_minute: is 600; 601 to 1,440 are allowed",
            "shifts[4].weekday: repeats WEEKDAY_WEDNESDAY; each day may stand once",
            "holidays[2]: repeats \"2027-01-01\" of holidays[1]",
            "holidays[0]: is \"2027-1-1\"; YYYY-MM-DD is needed",
            "capacity.units_per_hour: is -5; 0 to 4,294,967,295 are allowed",
            "channels[0]: is missing; a code of 1 to 64 bytes is needed",
        ];
        assert_eq!(checked(wire), Err(expected.map(str::to_owned).into()));
    }

    #[test]
    fn a_calendar_that_there_cannot_be_is_refused() {
        let zone = v1::Fulfilment { time_zone: "Mars/Olympus".into(), ..Default::default() };
        let expected = "time_zone: is \"Mars/Olympus\"; the IANA database has no such time zone";
        assert_eq!(checked(zone), Err(vec![expected.to_owned()]));
        let days = vec!["2027-03-01".into(), "2027-02-29".into()];
        let expected = "holidays[1]: is 2027-02-29; there is no such day";
        assert_eq!(checked(v1::Fulfilment { holidays: days, ..Default::default() }), Err(vec![expected.to_owned()]));
    }
}
