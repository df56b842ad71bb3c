//! Why a problem cannot be stated. A problem that can be stated always gets a plan.

use crate::units::{Grams, LocationId, Money, ServiceId, SkuId, Units};

/// What is wrong with a problem or one of its parts; nothing was solved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProblemError {
    /// Two lines name one SKU; their demand has to be added up first.
    #[error("SKU {sku} stands on two lines")]
    DuplicateSku {
        /// The SKU named twice.
        sku: SkuId,
    },
    /// A line asks for nothing.
    #[error("line of SKU {sku} asks for {demand} units")]
    Demand {
        /// The line's SKU.
        sku: SkuId,
        /// What it asks for.
        demand: Units,
    },
    /// A penalty below zero or above [`Money::MAX`].
    #[error("penalty {penalty} of SKU {sku} is out of range")]
    Penalty {
        /// The line's SKU.
        sku: SkuId,
        /// The penalty given.
        penalty: Money,
    },
    /// A unit weight above [`Grams::MAX`].
    #[error("unit weight {weight} of SKU {sku} is out of range")]
    UnitWeight {
        /// The line's SKU.
        sku: SkuId,
        /// The weight given.
        weight: Grams,
    },
    /// Two locations share an id.
    #[error("location {location} is given twice")]
    DuplicateLocation {
        /// The location given twice.
        location: LocationId,
    },
    /// A cost of a location below zero or above [`Money::MAX`].
    #[error("cost {cost} of location {location} is out of range")]
    LocationCost {
        /// The location.
        location: LocationId,
        /// The cost given.
        cost: Money,
    },
    /// The extra unit cost of an offer is beyond [`Money::MAX`] either way.
    #[error("extra unit cost {cost} of SKU {sku} at location {location} is out of range")]
    OfferCost {
        /// The line's SKU.
        sku: SkuId,
        /// The location.
        location: LocationId,
        /// The cost given.
        cost: Money,
    },
    /// One line has two offers from one location.
    #[error("SKU {sku} is offered twice by location {location}")]
    DuplicateOffer {
        /// The line's SKU.
        sku: SkuId,
        /// The location.
        location: LocationId,
    },
    /// An offer names a line or location that the problem does not have.
    #[error("offer names line {line} and location {location}; the problem has no such pair")]
    UnknownOffer {
        /// Position of the line.
        line: u16,
        /// Position of the location.
        location: u16,
    },
    /// A price of a carrier service below zero or above [`Money::MAX`].
    #[error("price {price} of service {service} is out of range")]
    ServicePrice {
        /// The service.
        service: ServiceId,
        /// The price given.
        price: Money,
    },
    /// A weight of a carrier service of zero or above [`Grams::MAX`].
    #[error("weight {weight} of service {service} is out of range")]
    ServiceWeight {
        /// The service.
        service: ServiceId,
        /// The weight given.
        weight: Grams,
    },
    /// A service that does not even carry its first weight.
    #[error("service {service} has a limit below its first weight")]
    LimitBelowFirstWeight {
        /// The service.
        service: ServiceId,
    },
    /// More lines than a problem can number.
    #[error("more than {max} lines")]
    TooManyLines {
        /// The most there can be.
        max: u16,
    },
    /// More locations than a problem can number.
    #[error("more than {max} locations")]
    TooManyLocations {
        /// The most there can be.
        max: u16,
    },
    /// The largest possible cost does not fit the solver's 62 bits.
    #[error("quantities times costs are too large to be added exactly")]
    TooLarge,
}
