//! The numbers and names of the problem, each a type of its own so that none can be passed for another.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A stock-keeping unit, as the caller names it. Two lines of one problem never share one.
    SkuId(u32)
}
number! {
    /// A place that can send a parcel, as the caller names it. The last word in every tie: the lower id wins.
    LocationId(u32)
}
number! {
    /// A carrier service of one location, as the caller names it.
    ServiceId(u32)
}
number! {
    /// Minor units (pence, fen) of the one currency of the problem. At most 2^40 either way, so that sums stay exact.
    Money(i64)
}
number! {
    /// Pieces of one SKU.
    Units(u32)
}
number! {
    /// Weight in grams.
    Grams(u64)
}

impl Money {
    /// The largest price or cost a problem may hold, in minor units: about eleven thousand million in major ones.
    pub const MAX: Self = Self(1 << 40);
}

impl Grams {
    /// The largest weight a problem may hold: about a million tonnes.
    pub const MAX: Self = Self(1 << 40);
}
