//! Which reservation the n-th request asks for. The same seed gives the same requests, whoever sends them and when.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::ValueEnum;
use quartermaster_proto::v1::{ReserveLine, ReserveRequest, Sourcing};

use crate::random::{SplitMix64, Zipf};

/// Distinct buyers a workload draws from.
const BUYERS: u64 = 1_000_000;

/// Shape of the demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Everyone wants the first SKU.
    Hot,
    /// One line; the SKUs are wanted as ranks of a Zipf law with exponent 1.
    Zipf,
    /// One line; every SKU is wanted alike.
    Uniform,
    /// Orders of 1 to 5 lines of 1 to 3 units over the Zipf law.
    Orders,
}

/// A source of reservations.
#[derive(Clone, Debug)]
pub struct Workload {
    shape: Shape,
    skus: Vec<String>,
    zipf: Zipf,
    seed: u64,
    run: String,
    ttl: Duration,
    place: Place,
}

/// Who decides where the units come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The server, by priority.
    #[default]
    Priority,
    /// The request: this location code on every line.
    Named(String),
    /// The router.
    Routed,
}

impl Workload {
    /// Reservations of `skus` (not empty) under request ids that begin with `run`.
    pub fn new(shape: Shape, skus: Vec<String>, seed: u64, run: String, ttl: Duration) -> Self {
        let ranks = u32::try_from(skus.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        Workload { shape, skus, zipf: Zipf::new(ranks, 1.0), seed, run, ttl, place: Place::default() }
    }

    /// The same demand with another word on where its units come from.
    #[must_use]
    pub fn placed(self, place: Place) -> Self {
        Workload { place, ..self }
    }

    /// The `index`-th request.
    pub fn request(&self, index: u64) -> ReserveRequest {
        let mut random = SplitMix64::for_item(self.seed, index);
        let buyer = random.below(BUYERS);
        let lines = match self.shape {
            Shape::Hot => vec![self.line(0, 1)],
            Shape::Zipf => vec![self.line(self.zipf.sample(&mut random), 1)],
            Shape::Uniform => vec![self.line(random.index(self.skus.len()), 1)],
            Shape::Orders => {
                let count = 1 + random.below(5);
                let mut line = || {
                    let at = self.zipf.sample(&mut random);
                    self.line(at, 1 + i64::try_from(random.below(3)).unwrap_or(0))
                };
                (0..count).map(|_| line()).collect()
            }
        };
        ReserveRequest {
            request_id: format!("{}-{index}", self.run),
            order_id: format!("{}-{index}", self.run),
            buyer_id: format!("buyer-{buyer}"),
            lines,
            ttl: prost_types::Duration::try_from(self.ttl).ok(),
            sourcing: (self.place == Place::Routed).then(Sourcing::default),
            ..ReserveRequest::default()
        }
    }

    fn line(&self, at: usize, quantity: i64) -> ReserveLine {
        let location = match &self.place {
            Place::Named(location) => location.clone(),
            Place::Priority | Place::Routed => String::new(),
        };
        ReserveLine { sku: self.skus[at].clone(), quantity, location, sourcing: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(shape: Shape, seed: u64) -> Workload {
        let skus = (0..500).map(|n| format!("SKU-{n}")).collect();
        Workload::new(shape, skus, seed, "run".to_owned(), Duration::from_secs(3))
    }

    #[test]
    fn the_same_seed_gives_the_same_requests_in_any_order() {
        for shape in [Shape::Hot, Shape::Zipf, Shape::Uniform, Shape::Orders] {
            let (one, two) = (workload(shape, 9), workload(shape, 9));
            let forwards: Vec<_> = (0..300).map(|index| one.request(index)).collect();
            let mut backwards: Vec<_> = (0..300).rev().map(|index| two.request(index)).collect();
            backwards.reverse();
            assert_eq!(forwards, backwards, "{shape:?}");
        }
        assert_ne!(workload(Shape::Orders, 9).request(5), workload(Shape::Orders, 10).request(5));
    }

    #[test]
    fn orders_have_one_to_five_lines_of_one_to_three_units() {
        let orders = workload(Shape::Orders, 1);
        let mut seen = [0_u32; 6];
        for index in 0..1_000 {
            let lines = orders.request(index).lines;
            assert!(lines.iter().all(|line| (1..=3).contains(&line.quantity)));
            seen[lines.len()] += 1;
        }
        assert!(seen[0] == 0 && seen[1..].iter().all(|&count| count > 100), "{seen:?}");
    }
}
