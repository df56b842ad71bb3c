//! What a place can do, folded into the fingerprint of the request that says so.

use quartermaster_sourcing::fulfilment::Fulfilment;

use crate::fingerprint::Fingerprinter;

/// Sets it apart from the fields before it: no number of theirs is so high.
const FULFILMENT: u64 = u64::MAX;

/// Folds what a place can do. One that costs nothing, works always and takes everything adds nothing, as before places could say so.
pub(super) fn fingerprint(fulfilment: &Fulfilment, hash: &mut Fingerprinter) {
    if *fulfilment == Fulfilment::default() {
        return;
    }
    hash.tag(FULFILMENT).number(fulfilment.handling_cost.cast_unsigned());
    hash.number(fulfilment.pick_unit_cost.cast_unsigned()).number(u64::from(fulfilment.processing_minutes));
    hash.text(&fulfilment.time_zone).number(u64::from(fulfilment.same_hour_radius_metres));
    hash.number(u64::from(fulfilment.keep_units));
    for shift in &fulfilment.week {
        // A shift ends after it begins, so that a free day is like none.
        let (opens, cutoff) = shift.map_or((0, 0), |shift| (shift.opens, shift.cutoff));
        hash.number(u64::from(opens)).number(u64::from(cutoff));
    }
    let limits = fulfilment.capacity;
    for limit in [limits.orders_per_day, limits.units_per_day, limits.orders_per_hour, limits.units_per_hour] {
        hash.number(limit.map_or(0, |limit| u64::from(limit) + 1));
    }
    hash.number(length(fulfilment.holidays.len()));
    fulfilment.holidays.iter().for_each(|day| _ = hash.number(u64::from(*day)));
    hash.number(length(fulfilment.channels.len()));
    fulfilment.channels.iter().for_each(|channel| _ = hash.text(channel));
}

fn length(entries: usize) -> u64 {
    u64::try_from(entries).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use quartermaster_sourcing::fulfilment::{CapacityLimits, Shift};

    use super::*;

    fn hash(fulfilment: &Fulfilment) -> u64 {
        let mut hash = Fingerprinter::default();
        fingerprint(fulfilment, &mut hash);
        hash.finish()
    }

    #[test]
    fn every_field_counts_and_the_default_does_not() {
        let plain = Fulfilment::default();
        assert_eq!(hash(&plain), Fingerprinter::default().finish());
        let mut all: Vec<u64> = [
            Fulfilment { handling_cost: 1, ..plain.clone() },
            Fulfilment { pick_unit_cost: 1, ..plain.clone() },
            Fulfilment { processing_minutes: 1, ..plain.clone() },
            Fulfilment { time_zone: "Asia/Shanghai".into(), ..plain.clone() },
            Fulfilment { week: vec![Some(Shift { opens: 0, cutoff: 1 }); 7], ..plain.clone() },
            Fulfilment { week: vec![Some(Shift { opens: 0, cutoff: 2 }); 7], ..plain.clone() },
            Fulfilment { holidays: vec![20_270_101], ..plain.clone() },
            Fulfilment { same_hour_radius_metres: 1, ..plain.clone() },
            Fulfilment { channels: vec!["app".into()], ..plain.clone() },
            Fulfilment { keep_units: 1, ..plain.clone() },
            Fulfilment {
                capacity: CapacityLimits { orders_per_day: Some(0), ..CapacityLimits::default() },
                ..plain.clone()
            },
            Fulfilment { capacity: CapacityLimits { units_per_hour: Some(0), ..CapacityLimits::default() }, ..plain },
        ]
        .iter()
        .map(hash)
        .collect();
        let different = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), different);
    }
}
