//! What a place can do, to journal bytes and back.

use quartermaster_sourcing::fulfilment::{CapacityLimits, Fulfilment, Shift};

use super::{DecodeError, unknown, wire};

/// Nothing for a place that costs nothing, works always and takes everything.
pub(super) fn to_wire(fulfilment: &Fulfilment) -> Option<wire::Fulfilment> {
    let limits = fulfilment.capacity;
    let day = |shift: &Option<Shift>| shift.map_or([0, 0], |shift| [u32::from(shift.opens), u32::from(shift.cutoff)]);
    (*fulfilment != Fulfilment::default()).then(|| wire::Fulfilment {
        handling_cost: fulfilment.handling_cost,
        pick_unit_cost: fulfilment.pick_unit_cost,
        processing_minutes: fulfilment.processing_minutes,
        time_zone: fulfilment.time_zone.clone(),
        week: fulfilment.week.iter().flat_map(day).collect(),
        holidays: fulfilment.holidays.clone(),
        capacity: if limits.is_unlimited() {
            Vec::new()
        } else {
            [limits.orders_per_day, limits.units_per_day, limits.orders_per_hour, limits.units_per_hour]
                .map(|limit| limit.map_or(0, |limit| u64::from(limit) + 1))
                .into()
        },
        same_hour_radius_metres: fulfilment.same_hour_radius_metres,
        channels: fulfilment.channels.clone(),
        keep_units: fulfilment.keep_units,
    })
}

pub(super) fn from_wire(fulfilment: Option<wire::Fulfilment>) -> Result<Fulfilment, DecodeError> {
    let Some(fulfilment) = fulfilment else { return Ok(Fulfilment::default()) };
    let (week, rest) = fulfilment.week.as_chunks();
    if !rest.is_empty() {
        let days = i64::try_from(fulfilment.week.len()).unwrap_or(i64::MAX);
        return Err(unknown("fulfilment.week", days));
    }
    let limit = |place: usize| match fulfilment.capacity.get(place).copied().unwrap_or(0).checked_sub(1) {
        None => Ok(None),
        Some(limit) => u32::try_from(limit)
            .map(Some)
            .map_err(|_| unknown("fulfilment.capacity", i64::try_from(limit).unwrap_or(i64::MAX))),
    };
    let capacity = CapacityLimits {
        orders_per_day: limit(0)?,
        units_per_day: limit(1)?,
        orders_per_hour: limit(2)?,
        units_per_hour: limit(3)?,
    };
    Ok(Fulfilment {
        week: week.iter().map(shift).collect::<Result<_, _>>()?,
        handling_cost: fulfilment.handling_cost,
        pick_unit_cost: fulfilment.pick_unit_cost,
        processing_minutes: fulfilment.processing_minutes,
        time_zone: fulfilment.time_zone,
        holidays: fulfilment.holidays,
        capacity,
        same_hour_radius_metres: fulfilment.same_hour_radius_metres,
        channels: fulfilment.channels,
        keep_units: fulfilment.keep_units,
    })
}

/// A day; one that ends as it begins is free.
fn shift(day: &[u32; 2]) -> Result<Option<Shift>, DecodeError> {
    let minute = |minute: u32| u16::try_from(minute).map_err(|_| unknown("fulfilment.week", minute));
    match *day {
        [0, 0] => Ok(None),
        [opens, cutoff] => Ok(Some(Shift { opens: minute(opens)?, cutoff: minute(cutoff)? })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_place_can_do_comes_back_as_it_was() {
        let (early, late) = (Shift { opens: 480, cutoff: 1_440 }, Shift { opens: 0, cutoff: 1 });
        let full = Fulfilment {
            handling_cost: 310,
            pick_unit_cost: 6,
            processing_minutes: 43_200,
            time_zone: "Asia/Shanghai".into(),
            week: vec![Some(early), None, Some(late), None, None, None, Some(early)],
            holidays: vec![20_270_101, 20_271_001],
            capacity: CapacityLimits { orders_per_day: Some(0), units_per_hour: Some(u32::MAX), ..Default::default() },
            same_hour_radius_metres: 5_000,
            channels: vec!["app".into(), "web".into()],
            keep_units: 2,
        };
        for fulfilment in [full, Fulfilment { keep_units: 1, ..Fulfilment::default() }, Fulfilment::default()] {
            assert_eq!(from_wire(to_wire(&fulfilment)).unwrap(), fulfilment);
        }
        assert_eq!(to_wire(&Fulfilment::default()), None);
        let odd = |week: &[u32], capacity: &[u64]| {
            let wire = wire::Fulfilment { week: week.into(), capacity: capacity.into(), ..Default::default() };
            from_wire(Some(wire)).is_err()
        };
        assert!(odd(&[1], &[]) && odd(&[65_536, 65_537], &[]) && odd(&[], &[1 << 33]));
    }
}
