//! Units of a reservation by SKU, wherever they are in the other world.

use quartermaster_engine::{
    command::LineSelection,
    event::Line,
    id::LocationId,
    quantity::Quantity,
    reservation::{PartLine, Reservation},
};

use crate::world::World;

/// Picks so many units of each SKU from where the reservation has them open: first at the location of the log, then by location.
/// `takeable` tells how many of an open line may be taken. Gives the lines, and how many units were not found.
pub(crate) fn by_sku(
    reservation: &Reservation,
    wanted: &[Line],
    takeable: impl Fn(&PartLine) -> u64,
) -> (Vec<Line>, u64) {
    let mut open: Vec<(Line, u64)> = reservation
        .lines
        .iter()
        .filter(|line| !line.open.is_zero())
        .map(|line| (Line { sku: line.sku, location: line.location, quantity: Quantity::ZERO }, takeable(line)))
        .collect();
    let mut missing = 0;
    for line in wanted {
        let mut left = line.quantity.units();
        let mut take = |at: Option<LocationId>| {
            let here = open.iter_mut().filter(|(own, _)| own.sku == line.sku);
            for (own, room) in here.filter(|(own, _)| at.is_none_or(|at| own.location == at)) {
                let taken = left.min(*room);
                own.quantity = Quantity::clamp(own.quantity.units() + taken);
                *room -= taken;
                left -= taken;
            }
        };
        take(Some(line.location));
        take(None);
        missing += left;
    }
    let lines = open.into_iter().map(|(line, _)| line).filter(|line| !line.quantity.is_zero());
    (lines.collect(), missing)
}

/// Lines as a request names them.
pub(crate) fn selections(world: &World, lines: &[Line]) -> Vec<LineSelection> {
    let selection = |line: &Line| LineSelection {
        sku: world.sku(line.sku),
        location: world.location(line.location),
        quantity: Some(line.quantity),
    };
    lines.iter().map(selection).collect()
}
