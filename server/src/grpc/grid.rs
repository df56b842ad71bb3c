//! The colour × size table of a style, from its SKUs and their availability.

use std::collections::BTreeMap;

use quartermaster_engine::query::SkuAvailability;
use quartermaster_proto::v1;

use super::{convert::answers::units, size};

/// A SKU of the style.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) code: String,
    pub(crate) colour: String,
    pub(crate) size: String,
}

/// The table of `members`, whose availability at the same locations is given in the same order. Where two SKUs of a style share
/// colour and size, the one that comes first is shown.
pub(crate) fn table(
    position: v1::Position,
    members: &[Member],
    availability: &[SkuAvailability],
) -> v1::GetStyleGridResponse {
    let mut sizes: Vec<&str> = members.iter().map(|member| member.size.as_str()).collect();
    sizes.sort_unstable_by(|one, other| size::order(one, other));
    sizes.dedup();

    let mut colours: BTreeMap<&str, BTreeMap<&str, (&Member, &SkuAvailability)>> = BTreeMap::new();
    for (member, availability) in members.iter().zip(availability) {
        let colour = colours.entry(&member.colour).or_default();
        colour.entry(&member.size).or_insert((member, availability));
    }

    let rows = colours.iter().map(|(colour, by_size)| {
        let (whole, broken) = runs(by_size.values().map(|(_, availability)| *availability));
        v1::StyleGridRow {
            colour: (*colour).to_owned(),
            cells: sizes.iter().map(|size| by_size.get(size).map(cell).unwrap_or_default()).collect(),
            whole_run_locations: whole,
            broken_run_locations: broken,
        }
    });
    v1::GetStyleGridResponse {
        position: Some(position),
        colours: colours.keys().map(|colour| (*colour).to_owned()).collect(),
        sizes: sizes.iter().map(|size| (*size).to_owned()).collect(),
        rows: rows.collect(),
    }
}

fn cell((member, availability): &(&Member, &SkuAvailability)) -> v1::StyleGridCell {
    let stocked = availability.by_location.iter().filter(|units| !units.is_zero());
    v1::StyleGridCell {
        sku: member.code.clone(),
        // Allotments may let an order have less than lies at the locations together.
        available: units(stocked.clone().map(|units| units.units()).sum::<u64>().min(availability.available)),
        locations: count(stocked.count()),
    }
}

/// Locations that have every size of a colour, and locations that have some but not all.
fn runs<'a>(sizes: impl Iterator<Item = &'a SkuAvailability>) -> (i32, i32) {
    let mut stocked_by_location: Vec<usize> = Vec::new();
    let mut sizes_of_colour = 0;
    for availability in sizes {
        sizes_of_colour += 1;
        stocked_by_location.resize(availability.by_location.len(), 0);
        for (stocked, units) in stocked_by_location.iter_mut().zip(&availability.by_location) {
            *stocked += usize::from(!units.is_zero());
        }
    }
    let whole = stocked_by_location.iter().filter(|stocked| **stocked == sizes_of_colour).count();
    let broken = stocked_by_location.iter().filter(|stocked| (1..sizes_of_colour).contains(*stocked)).count();
    (count(whole), count(broken))
}

fn count(locations: usize) -> i32 {
    i32::try_from(locations).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use quartermaster_engine::{id::SkuId, quantity::Quantity};
    use quartermaster_journal::Lsn;

    use super::*;

    fn sku(code: &str, colour: &str, size: &str, by_location: [u32; 3]) -> (Member, SkuAvailability) {
        let member = Member { code: code.into(), colour: colour.into(), size: size.into() };
        let by_location: Vec<_> = by_location.into_iter().map(Quantity).collect();
        let available = by_location.iter().map(|units| units.units()).sum();
        (member, SkuAvailability { sku: SkuId(0), available, by_location, revision: Lsn::ZERO })
    }

    #[test]
    fn the_table_counts_whole_and_broken_runs() {
        let (members, availability): (Vec<_>, Vec<_>) = [
            sku("red-l", "red", "L", [1, 0, 2]),
            sku("red-s", "red", "S", [4, 5, 0]),
            sku("blue-s", "blue", "S", [0, 0, 0]),
            sku("red-s-again", "red", "S", [9, 9, 9]),
            sku("red-m", "red", "M", [1, 1, 0]),
        ]
        .into_iter()
        .unzip();
        let table = table(v1::Position::default(), &members, &availability);
        assert_eq!(table.colours, ["blue", "red"]);
        assert_eq!(table.sizes, ["S", "M", "L"]);
        let cell = |sku: &str, available, locations| v1::StyleGridCell { sku: sku.into(), available, locations };
        let blue = v1::StyleGridRow {
            colour: "blue".into(),
            cells: vec![cell("blue-s", 0, 0), cell("", 0, 0), cell("", 0, 0)],
            whole_run_locations: 0,
            broken_run_locations: 0,
        };
        let red = v1::StyleGridRow {
            colour: "red".into(),
            cells: vec![cell("red-s", 9, 2), cell("red-m", 2, 2), cell("red-l", 3, 2)],
            whole_run_locations: 1,
            broken_run_locations: 2,
        };
        assert_eq!(table.rows, [blue, red]);
    }

    #[test]
    fn a_style_without_skus_is_an_empty_table() {
        let table = table(v1::Position::default(), &[], &[]);
        assert_eq!((table.colours.len(), table.sizes.len(), table.rows.len()), (0, 0, 0));
    }
}
