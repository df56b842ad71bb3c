//! What records and sections may name: the SKUs and locations that records before them made.

use crate::{
    capacity::Booking,
    event::{Held, Line},
    id::{LocationId, SkuId},
    sourced::{Ask, DecidedParcel, Decision, Merged, Rerouted, Sourced},
};

/// How many there are: ids are dense.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) skus: usize,
    pub(super) locations: usize,
    pub(super) campaigns: usize,
}

impl Known {
    pub(super) fn sku(self, id: SkuId) -> bool {
        id.index() < self.skus
    }

    pub(super) fn location(self, id: LocationId) -> bool {
        id.index() < self.locations
    }

    pub(super) fn lines(self, lines: &[Line]) -> bool {
        lines.iter().all(|line| self.sku(line.sku) && self.location(line.location))
    }

    pub(super) fn bookings(self, bookings: &[Booking]) -> bool {
        bookings.iter().all(|booking| self.location(booking.location))
    }

    pub(super) fn held(self, held: &Held) -> bool {
        self.lines(&held.lines)
            && held.presold().iter().all(|one| self.sku(one.line.sku) && self.location(one.line.location))
            && held
                .shortages
                .iter()
                .all(|short| self.sku(short.sku) && short.location.is_none_or(|at| self.location(at)))
            && held.replaced.as_ref().is_none_or(|replaced| self.lines(&replaced.lines))
            && self.bookings(&held.replaced_bookings)
            && held.sourced.as_deref().is_none_or(|sourced| self.sourced(sourced))
            && held.terms.as_deref().is_none_or(|terms| self.terms(terms))
            && held.terms.as_deref().is_none_or(|terms| terms.kits.iter().all(|kit| self.sku(kit.sku)))
    }

    pub(super) fn rerouted(self, rerouted: &Rerouted) -> bool {
        self.lines(&rerouted.from)
            && self.lines(&rerouted.to)
            && self.bookings(&rerouted.bookings)
            && self.parcels(&rerouted.parcels)
            && rerouted.decision.as_deref().is_none_or(|decision| self.decision(decision))
    }

    pub(super) fn merged(self, merged: &Merged) -> bool {
        self.decision(&merged.decision) && merged.moves.iter().all(|part| self.rerouted(part))
    }

    fn sourced(self, sourced: &Sourced) -> bool {
        self.ask(&sourced.ask)
            && sourced.wanted.iter().all(|line| {
                let mut locations = line.only.iter().chain(&line.never).chain(&line.rather);
                self.sku(line.sku)
                    && locations.all(|location| self.location(*location))
                    && line.substitutes.iter().all(|sku| self.sku(*sku))
            })
            && self.decision(&sourced.decision)
            && self.bookings(&sourced.bookings)
    }

    fn ask(self, ask: &Ask) -> bool {
        ask.pickup_at.is_none_or(|location| self.location(location))
    }

    fn decision(self, decision: &Decision) -> bool {
        self.parcels(&decision.parcels)
            && decision.unserved.iter().all(|(sku, ..)| self.sku(*sku))
            && decision.substitutions.iter().all(|(sku, other, _)| self.sku(*sku) && self.sku(*other))
    }

    fn parcels(self, parcels: &[DecidedParcel]) -> bool {
        let known = |parcel: &DecidedParcel| {
            self.location(parcel.location) && parcel.lines.iter().all(|(sku, _)| self.sku(*sku))
        };
        parcels.iter().all(known)
    }
}
