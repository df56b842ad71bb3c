//! When a place works: from the moment of an order to the moment its parcel leaves.
//!
//! Shifts are turned into moments by the zone's rules, and moments are compared, so that a day of 23 or 25 hours needs no case of its
//! own: an opening or cut-off that the clock skips is as many minutes after the jump as it was to be after the hour before it, and one
//! that the clock shows twice is the first. A day whose shift the clock skips altogether is no working day.

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, civil::Date};
use quartermaster_routing::Money;

use crate::fulfilment::{Fulfilment, Moment, Shift};

/// The longest processing that makes sense: a year of minutes.
pub const PROCESSING_MINUTES_MAX: u32 = 366 * 24 * 60;

/// The longest stretch of days without work.
pub const IDLE_DAYS_MAX: u32 = 366;

const DAY_SECONDS: i64 = 86_400;
const DAY_MINUTES: u16 = 1440;
/// Moments are read as if between the epoch and the year 9000, where no zone's arithmetic leaves the calendar.
const LATEST: i64 = 221_845_392_000;

/// What is wrong with a [`Fulfilment`]; [`FulfilmentError::field`] names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FulfilmentError {
    /// Below zero, or above 2^40 minor units.
    #[error("handling_cost: {cost} is not between 0 and {}", Money::MAX)]
    HandlingCost {
        /// What was given.
        cost: i64,
    },
    /// Below zero, or above 2^40 minor units.
    #[error("pick_unit_cost: {cost} is not between 0 and {}", Money::MAX)]
    PickUnitCost {
        /// What was given.
        cost: i64,
    },
    /// More than [`PROCESSING_MINUTES_MAX`].
    #[error("processing_minutes: {minutes} is more than a year")]
    Processing {
        /// What was given.
        minutes: u32,
    },
    /// No zone of that name in the IANA database.
    #[error("time_zone: {name:?} is unknown")]
    TimeZone {
        /// What was given.
        name: String,
    },
    /// Neither empty nor of seven days.
    #[error("week: {days} days are given, not 7")]
    Week {
        /// How many were given.
        days: usize,
    },
    /// A shift that ends before it starts, or at once.
    #[error("week[{day}].opens: {opens} is not before the cutoff, {cutoff}")]
    Opens {
        /// 0 for Monday.
        day: usize,
        /// Minutes after midnight.
        opens: u16,
        /// Minutes after midnight.
        cutoff: u16,
    },
    /// A cut-off after midnight.
    #[error("week[{day}].cutoff: {cutoff} is more than 1440")]
    Cutoff {
        /// 0 for Monday.
        day: usize,
        /// Minutes after midnight.
        cutoff: u16,
    },
    /// No such day between 1970 and 8999.
    #[error("holidays[{position}]: {date} is no date")]
    Holiday {
        /// Position in the list.
        position: usize,
        /// What was given.
        date: u32,
    },
    /// Earlier than the one before, or the same.
    #[error("holidays[{position}]: {date} does not come after the one before")]
    HolidayOrder {
        /// Position in the list.
        position: usize,
        /// What was given.
        date: u32,
    },
    /// No day of the week has a shift.
    #[error("week: no day has a shift")]
    NoShift,
    /// More than [`IDLE_DAYS_MAX`] days on end without work.
    #[error("holidays: no working day within a year from {date}")]
    Idle {
        /// The holiday that the stretch begins with.
        date: u32,
    },
}

impl FulfilmentError {
    /// Path of the field within the fulfilment, for example `week[3].opens`.
    #[must_use]
    pub fn field(&self) -> String {
        match self {
            Self::HandlingCost { .. } => "handling_cost".into(),
            Self::PickUnitCost { .. } => "pick_unit_cost".into(),
            Self::Processing { .. } => "processing_minutes".into(),
            Self::TimeZone { .. } => "time_zone".into(),
            Self::Week { .. } | Self::NoShift => "week".into(),
            Self::Opens { day, .. } => format!("week[{day}].opens"),
            Self::Cutoff { day, .. } => format!("week[{day}].cutoff"),
            Self::Holiday { position, .. } | Self::HolidayOrder { position, .. } => format!("holidays[{position}]"),
            Self::Idle { .. } => "holidays".into(),
        }
    }
}

/// Whether a place so described can be part of a network.
///
/// # Errors
/// The first field that is wrong.
pub fn check_fulfilment(fulfilment: &Fulfilment) -> Result<(), FulfilmentError> {
    check_costs(fulfilment)?;
    Calendar::new(fulfilment).map(drop)
}

/// The part of [`check_fulfilment`] that is not of the calendar.
pub(crate) fn check_costs(fulfilment: &Fulfilment) -> Result<(), FulfilmentError> {
    let bad = |cost: i64| !(0..=Money::MAX.0).contains(&cost);
    if bad(fulfilment.handling_cost) {
        return Err(FulfilmentError::HandlingCost { cost: fulfilment.handling_cost });
    }
    if bad(fulfilment.pick_unit_cost) {
        return Err(FulfilmentError::PickUnitCost { cost: fulfilment.pick_unit_cost });
    }
    Ok(())
}

/// When the parcel of an order leaves.
///
/// Holds from the moment asked for until `valid_until`: until then `day` and `hour` stay. While work has not started (`work_starts` is
/// later than the moment asked for) the whole answer stays. Within a shift, or round the clock, `work_starts` is the moment asked for, and
/// `work_starts` and `ships_at` move with it: see [`Departure::at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// When work on it starts: now within a shift, else the next opening.
    pub work_starts: Moment,
    /// When it is with the carrier.
    pub ships_at: Moment,
    /// The local day of the work, in days since 1970-01-01.
    pub day: u32,
    /// The hour in which work starts, in hours since the Unix epoch.
    pub hour: u32,
    /// The answer holds before this moment, and not from it on: the opening that is waited for; within a shift the next full hour or the
    /// cut-off, whichever is first. Later than the moment asked for.
    pub valid_until: Moment,
}

impl Departure {
    /// The departure of an order placed at `now`, which is not before the moment that this one was asked for and before `valid_until`.
    #[must_use]
    pub fn at(mut self, now: Moment) -> Self {
        let later = now.0.saturating_sub(self.work_starts.0);
        if later > 0 {
            self.work_starts = now;
            self.ships_at.0 = self.ships_at.0.saturating_add(later);
        }
        self
    }
}

/// The working days and hours of a place, compiled.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    /// Monday to Sunday.
    week: [Option<Shift>; 7],
    /// Days since 1970-01-01, ascending.
    holidays: Vec<i64>,
    processing_minutes: u32,
}

impl Calendar {
    /// Reads the zone, the week, the holidays and the processing time.
    ///
    /// # Errors
    /// The first of these fields that is wrong.
    pub fn new(fulfilment: &Fulfilment) -> Result<Self, FulfilmentError> {
        let minutes = fulfilment.processing_minutes;
        if minutes > PROCESSING_MINUTES_MAX {
            return Err(FulfilmentError::Processing { minutes });
        }
        let holidays = holidays(&fulfilment.holidays)?;
        let calendar = Self {
            zone: zone(&fulfilment.time_zone)?,
            week: week(&fulfilment.week)?,
            holidays,
            processing_minutes: minutes,
        };
        calendar.check_idle(&fulfilment.holidays)?;
        Ok(calendar)
    }

    /// When an order placed at `now` leaves. Moments outside 1970 to 8999 are read as the nearest inside.
    #[must_use]
    pub fn departure(&self, now: Moment) -> Departure {
        let now = now.0.clamp(0, LATEST);
        // A shift of yesterday's may last, by the clock of today, if the clock was put forward over midnight; hence one day back.
        let today = self.local_day(now) - 1;
        let shift = (today..today + 2 * i64::from(IDLE_DAYS_MAX) + 16)
            .filter_map(|day| Some((day, self.shift(day)?)))
            .find(|(_, (_, cutoff))| now < *cutoff);
        // There always is one: `new` has checked that work is never idle for longer, and a skipped day costs a week at most.
        let (day, (opens, cutoff)) = shift.unwrap_or((today + 1, (now, now + 1)));
        let work_starts = now.max(opens);
        let hour = work_starts.div_euclid(3600);
        let valid_until = if now < opens { opens } else { cutoff.min((hour + 1) * 3600) };
        Departure {
            work_starts: Moment(work_starts),
            ships_at: Moment(work_starts).plus_minutes(self.processing_minutes),
            day: u32::try_from(day.max(0)).unwrap_or(u32::MAX),
            hour: u32::try_from(hour).unwrap_or(u32::MAX),
            valid_until: Moment(valid_until),
        }
    }

    /// Days since 1970-01-01 on the wall at a moment.
    fn local_day(&self, moment: i64) -> i64 {
        let offset = Timestamp::from_second(moment).map_or(0, |moment| self.zone.to_offset(moment).seconds());
        (moment + i64::from(offset)).div_euclid(DAY_SECONDS)
    }

    /// The opening and the cut-off of a day, in seconds since the epoch; `None` when there is no work on it.
    fn shift(&self, day: i64) -> Option<(i64, i64)> {
        if self.holidays.binary_search(&day).is_ok() {
            return None;
        }
        let shift = self.week[weekday(day)]?;
        let (opens, cutoff) = (self.moment(day, shift.opens)?, self.moment(day, shift.cutoff)?);
        (opens < cutoff && self.local_day(opens) == day).then_some((opens, cutoff))
    }

    fn moment(&self, day: i64, minute: u16) -> Option<i64> {
        let wall = Timestamp::from_second(day * DAY_SECONDS + i64::from(minute) * 60).ok()?;
        let moment = self.zone.to_ambiguous_timestamp(Offset::UTC.to_datetime(wall)).compatible().ok()?;
        Some(moment.as_second())
    }

    fn check_idle(&self, dates: &[u32]) -> Result<(), FulfilmentError> {
        if self.week.iter().all(Option::is_none) {
            return Err(FulfilmentError::NoShift);
        }
        let mut seen = i64::MIN;
        for (first, date) in self.holidays.iter().zip(dates) {
            if *first < seen {
                continue;
            }
            let works = |day: &i64| self.week[weekday(*day)].is_some() && self.holidays.binary_search(day).is_err();
            let limit = first + i64::from(IDLE_DAYS_MAX);
            seen = (*first..=limit).find(works).ok_or(FulfilmentError::Idle { date: *date })?;
        }
        Ok(())
    }
}

/// 0 for Monday; 1970-01-01 was a Thursday.
fn weekday(day: i64) -> usize {
    usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0)
}

fn zone(name: &str) -> Result<TimeZone, FulfilmentError> {
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    // The bundled rules, never the machine's: the same answer on every node.
    let unknown = |_| FulfilmentError::TimeZone { name: name.into() };
    TimeZoneDatabase::bundled().get(name).map_err(unknown)
}

fn week(days: &[Option<Shift>]) -> Result<[Option<Shift>; 7], FulfilmentError> {
    if days.is_empty() {
        return Ok([Some(Shift { opens: 0, cutoff: DAY_MINUTES }); 7]);
    }
    for (day, shift) in days.iter().enumerate() {
        let Some(Shift { opens, cutoff }) = *shift else { continue };
        if cutoff > DAY_MINUTES {
            return Err(FulfilmentError::Cutoff { day, cutoff });
        }
        if opens >= cutoff {
            return Err(FulfilmentError::Opens { day, opens, cutoff });
        }
    }
    days.try_into().map_err(|_| FulfilmentError::Week { days: days.len() })
}

fn holidays(dates: &[u32]) -> Result<Vec<i64>, FulfilmentError> {
    let mut days: Vec<i64> = Vec::with_capacity(dates.len());
    for (position, &date) in dates.iter().enumerate() {
        let day = day_of(date).ok_or(FulfilmentError::Holiday { position, date })?;
        if days.last().is_some_and(|before| *before >= day) {
            return Err(FulfilmentError::HolidayOrder { position, date });
        }
        days.push(day);
    }
    Ok(days)
}

fn day_of(date: u32) -> Option<i64> {
    let year = i16::try_from(date / 10_000).ok().filter(|year| (1970..9000).contains(year))?;
    let month = i8::try_from(date / 100 % 100).ok()?;
    let day = i8::try_from(date % 100).ok()?;
    let midnight = Date::new(year, month, day).ok()?.at(0, 0, 0, 0);
    Some(Offset::UTC.to_timestamp(midnight).ok()?.as_second() / DAY_SECONDS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFICE: Option<Shift> = Some(Shift { opens: 9 * 60, cutoff: 17 * 60 });

    fn place(zone: &str, week: &[Option<Shift>], holidays: &[u32], processing_minutes: u32) -> Fulfilment {
        let (week, holidays) = (week.to_vec(), holidays.to_vec());
        Fulfilment { time_zone: zone.into(), week, holidays, processing_minutes, ..Fulfilment::default() }
    }

    fn moment(text: &str) -> Moment {
        Moment(text.parse::<Timestamp>().unwrap().as_second())
    }

    /// Placed at, work starts, valid until: as RFC 3339.
    #[track_caller]
    fn check(place: &Fulfilment, placed: &str, starts: &str, valid_until: &str) -> Departure {
        let departure = Calendar::new(place).unwrap().departure(moment(placed));
        let text = |moment: Moment| Timestamp::from_second(moment.0).unwrap().to_string();
        assert_eq!(text(departure.work_starts), text(moment(starts)), "work starts");
        assert_eq!(text(departure.valid_until), text(moment(valid_until)), "valid until");
        assert_eq!(departure.ships_at, departure.work_starts.plus_minutes(place.processing_minutes));
        assert_eq!(i64::from(departure.hour), departure.work_starts.0.div_euclid(3600));
        departure
    }

    #[track_caller]
    fn refused(place: &Fulfilment, field: &str) {
        let error = check_fulfilment(place).unwrap_err();
        assert_eq!(error.field(), field, "{error}");
        assert!(error.to_string().starts_with(field.split('[').next().unwrap()), "{error}");
    }

    #[test]
    fn round_the_clock_work_starts_at_once() {
        let place = place("", &[], &[], 90);
        let departure = check(&place, "2027-03-01T10:20:30Z", "2027-03-01T10:20:30Z", "2027-03-01T11:00:00Z");
        assert_eq!(departure.day, 20_878);
        // In India the local day ends at half past an hour of the epoch.
        let india = Fulfilment { time_zone: "Asia/Kolkata".into(), ..place };
        check(&india, "2027-03-01T18:20:00Z", "2027-03-01T18:20:00Z", "2027-03-01T18:30:00Z");
        assert_eq!(check(&india, "2027-03-01T18:30:00Z", "2027-03-01T18:30:00Z", "2027-03-01T19:00:00Z").day, 20_879);
    }

    #[test]
    fn an_order_waits_for_the_opening_and_misses_the_cutoff() {
        // Shanghai is 8 hours ahead; 2027-01-08 is a Friday.
        let mut week = [OFFICE; 7];
        (week[5], week[6]) = (None, None);
        let place = place("Asia/Shanghai", &week, &[], 120);
        check(&place, "2027-01-08T00:59:59Z", "2027-01-08T01:00:00Z", "2027-01-08T01:00:00Z");
        check(&place, "2027-01-08T01:00:00Z", "2027-01-08T01:00:00Z", "2027-01-08T02:00:00Z");
        let last = check(&place, "2027-01-08T08:59:59Z", "2027-01-08T08:59:59Z", "2027-01-08T09:00:00Z");
        let monday = check(&place, "2027-01-08T09:00:00Z", "2027-01-11T01:00:00Z", "2027-01-11T01:00:00Z");
        assert_eq!((last.day, monday.day), (20_826, 20_829));
        // Saturday 07:30 in Shanghai is still Friday in Greenwich.
        check(&place, "2027-01-08T23:30:00Z", "2027-01-11T01:00:00Z", "2027-01-11T01:00:00Z");
    }

    #[test]
    fn holidays_are_no_working_days_even_round_the_clock() {
        let friday_on = [2027_0108, 2027_0109, 2027_0111];
        let weekdays = [OFFICE, OFFICE, OFFICE, OFFICE, OFFICE, None, None];
        let office = place("Asia/Shanghai", &weekdays, &friday_on, 0);
        check(&office, "2027-01-07T09:00:00Z", "2027-01-12T01:00:00Z", "2027-01-12T01:00:00Z");
        let always = place("Asia/Shanghai", &[], &friday_on, 0);
        check(&always, "2027-01-08T03:00:00Z", "2027-01-09T16:00:00Z", "2027-01-09T16:00:00Z");
        check(&always, "2027-01-07T15:30:00Z", "2027-01-07T15:30:00Z", "2027-01-07T16:00:00Z");
    }

    #[test]
    fn clocks_that_are_put_forward_or_back() {
        // New York, 2027-03-14: 02:00 EST becomes 03:00 EDT. The office opens an hour earlier in UTC than the day before.
        let office = place("America/New_York", &[OFFICE; 7], &[], 0);
        check(&office, "2027-03-13T13:00:00Z", "2027-03-13T14:00:00Z", "2027-03-13T14:00:00Z");
        check(&office, "2027-03-14T12:00:00Z", "2027-03-14T13:00:00Z", "2027-03-14T13:00:00Z");
        // An opening at 02:30, which the clock skips, is at 03:30; a shift that the clock skips altogether is not worked.
        let night = |opens, cutoff| place("America/New_York", &[Some(Shift { opens, cutoff }); 7], &[], 0);
        check(&night(150, 300), "2027-03-14T06:00:00Z", "2027-03-14T07:30:00Z", "2027-03-14T07:30:00Z");
        check(&night(120, 180), "2027-03-14T06:00:00Z", "2027-03-15T06:00:00Z", "2027-03-15T06:00:00Z");
        // 2027-11-07: 02:00 EDT becomes 01:00 EST, and a cutoff at 01:30 is that of the first time.
        check(&night(60, 90), "2027-11-07T05:29:59Z", "2027-11-07T05:29:59Z", "2027-11-07T05:30:00Z");
        check(&night(60, 90), "2027-11-07T06:10:00Z", "2027-11-08T06:00:00Z", "2027-11-08T06:00:00Z");
        // Samoa had no 2011-12-30.
        let samoa = place("Pacific/Apia", &[OFFICE; 7], &[], 0);
        let departure = check(&samoa, "2011-12-30T03:00:00Z", "2011-12-30T19:00:00Z", "2011-12-30T19:00:00Z");
        assert_eq!(departure.day, 15_339);
    }

    #[test]
    fn wrong_fields_are_named() {
        let good = place("", &[OFFICE; 7], &[], 0);
        check_fulfilment(&good).unwrap();
        refused(&Fulfilment { handling_cost: -1, ..good.clone() }, "handling_cost");
        refused(&Fulfilment { pick_unit_cost: Money::MAX.0 + 1, ..good.clone() }, "pick_unit_cost");
        refused(&Fulfilment { processing_minutes: PROCESSING_MINUTES_MAX + 1, ..good.clone() }, "processing_minutes");
        refused(&Fulfilment { time_zone: "Mars/Olympus".into(), ..good.clone() }, "time_zone");
        refused(&place("", &[OFFICE; 6], &[], 0), "week");
        refused(&place("", &[None; 7], &[], 0), "week");
        let shift = |opens, cutoff| place("", &[OFFICE, Some(Shift { opens, cutoff })], &[], 0);
        refused(&shift(600, 600), "week[1].opens");
        refused(&shift(600, 1441), "week[1].cutoff");
        refused(&place("", &[], &[2027_0229], 0), "holidays[0]");
        refused(&place("", &[], &[2028_0229, 1969_1231], 0), "holidays[1]");
        refused(&place("", &[], &[2028_0229, 2028_0229], 0), "holidays[1]");
        refused(&place("", &[], &[u32::MAX], 0), "holidays[0]");
    }

    #[test]
    fn a_year_without_work_is_refused() {
        let first = moment("2027-01-01T00:00:00Z").0 / DAY_SECONDS;
        let dates = |count: i64| -> Vec<u32> {
            let date = |day| Offset::UTC.to_datetime(Timestamp::from_second(day * DAY_SECONDS).unwrap()).date();
            let figure =
                |date: Date| i32::from(date.year()) * 10_000 + i32::from(date.month()) * 100 + i32::from(date.day());
            (first..first + count).map(|day| u32::try_from(figure(date(day))).unwrap()).collect()
        };
        let idle = place("UTC", &[], &dates(366), 0);
        check(&idle, "2026-12-31T23:59:59Z", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z");
        check(&idle, "2027-01-01T00:00:00Z", "2028-01-02T00:00:00Z", "2028-01-02T00:00:00Z");
        refused(&place("UTC", &[], &dates(367), 0), "holidays");
        // With work on Fridays only (2027-01-01 is one), 52 of them off end after 364 days, 53 after 371.
        let mut fridays = [None; 7];
        fridays[4] = OFFICE;
        let dates: Vec<u32> = dates(366).into_iter().step_by(7).collect();
        check_fulfilment(&place("UTC", &fridays, &dates[..52], 0)).unwrap();
        refused(&place("UTC", &fridays, &dates, 0), "holidays");
    }

    #[test]
    fn moments_off_the_calendar_are_answered() {
        let calendar = Calendar::new(&place("Europe/London", &[OFFICE; 7], &[], 10)).unwrap();
        assert_eq!(calendar.departure(Moment(i64::MIN)), calendar.departure(Moment(0)));
        assert!(calendar.departure(Moment(i64::MAX)).work_starts.0 >= LATEST);
    }

    proptest! {
        #[test]
        fn an_answer_holds_until_it_says(
            zone in prop::sample::select(vec!["", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]),
            week in prop::collection::vec(prop::option::of((0_u16..1440, 1_u16..=1440)), 7),
            now in 1_700_000_000_i64..1_900_000_000,
            share in 0.0..1.0_f64,
        ) {
            let shift = |(a, b): (u16, u16)| Shift { opens: a.min(b - 1), cutoff: b.max(a + 1) };
            let week: Vec<_> = week.into_iter().map(|day| day.map(shift)).collect();
            prop_assume!(week.iter().any(Option::is_some));
            let calendar = Calendar::new(&place(zone, &week, &[2025_0101], 45)).unwrap();
            let first = calendar.departure(Moment(now));
            prop_assert!(first.work_starts.0 >= now && first.valid_until.0 > now);
            prop_assert_eq!(first.ships_at, first.work_starts.plus_minutes(45));
            let thousandths = share * 1000.0;
            let part = (0..1000).take_while(|n| f64::from(*n) < thousandths).count();
            let later = Moment(now + (first.valid_until.0 - 1 - now) * i64::try_from(part).unwrap() / 1000);
            prop_assert_eq!(calendar.departure(later), first.at(later));
            prop_assert_ne!(calendar.departure(first.valid_until), first.at(first.valid_until));
        }
    }
}
