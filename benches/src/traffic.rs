//! Requests made before the clock runs, so that only the engine is timed.

use std::sync::atomic::{AtomicU64, Ordering};

use quartermaster_engine::{
    Answer, Engine, Error, Verdict,
    command::{Command, PlainOrder, Request, Reserve, ReserveLine, Step},
    event::Event,
    id::ReservationId,
    quantity::Quantity,
    time::{Micros, Timestamp},
};

use crate::matrix::{location_code, sku_code};

/// A request as a gateway would send it, already checked and converted.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Idempotency key.
    pub request: Request,
    /// What is asked.
    pub command: Command,
}

impl Sent {
    /// As a plain order, if it is one.
    #[must_use]
    pub fn plain(&self) -> Option<PlainOrder<'_>> {
        match &self.command {
            Command::Reserve(reserve) => PlainOrder::of(&self.request, reserve),
            _ => None,
        }
    }
}

/// Pseudo-random numbers, the same in every run: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins a sequence.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// The next number below `bound`.
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.draw() % u64::from(bound)).expect("a remainder is below its divisor")
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A request with a new id: 32 bytes, as a UUID without its dashes has.
#[must_use]
pub fn send(command: Command) -> Sent {
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let mixed = Random::new(id).draw();
    Sent { request: Request { id: format!("{mixed:016x}{id:016x}").into(), actor: String::new() }, command }
}

/// Which SKUs an order asks for.
#[derive(Clone, Copy, Debug)]
pub enum Skus {
    /// Any of the first so many.
    Below(u32),
    /// This one, always.
    Only(u32),
    /// Any from the first number on, so many.
    From(u32, u32),
}

impl Skus {
    fn pick(self, random: &mut Random) -> u32 {
        match self {
            Self::Below(bound) => random.below(bound),
            Self::Only(sku) => sku,
            Self::From(first, count) => first + random.below(count),
        }
    }
}

/// An order of `lines` lines of one unit each, with order and buyer ids as long as real ones; at a location, or wherever there is stock.
#[must_use]
pub fn reserve(random: &mut Random, skus: Skus, lines: usize, location: Option<u32>) -> Sent {
    let number = random.draw();
    let line = |_| ReserveLine {
        sku: sku_code(skus.pick(random)).into(),
        quantity: Quantity(1),
        location: location.map(location_code).unwrap_or_default().into(),
        sourcing: None,
    };
    let lines = (0..lines).map(line).collect();
    send(Command::Reserve(Reserve {
        order_id: format!("O{:015}", number % 1_000_000_000_000_000).into(),
        buyer_id: format!("B{:09}", number % 1_000_000_000).into(),
        channel: "".into(),
        lines,
        ttl: Micros::from_secs(900),
        allow_partial: false,
        replaces: None,
        unchanged_since_lsn: 0,
        sourcing: None,
        asked: None,
    }))
}

/// The next step of a reservation.
#[must_use]
pub fn step(id: ReservationId, step: Step) -> Sent {
    send(Command::Reservation(id, step))
}

/// What is timed, and nothing else: a place that a profiler can find by name.
///
/// # Errors
/// As `Engine::submit`.
#[inline(never)]
pub fn measured(engine: &Engine, sent: &Sent, now: Timestamp) -> Result<Answer, Error> {
    engine.submit(&sent.request, &sent.command, now)
}

/// The reservation that was granted.
///
/// # Panics
/// When none was.
#[must_use]
pub fn granted(answer: &Answer) -> ReservationId {
    match &answer.verdict {
        Verdict::Done(Event::Held(held)) => held.reservation,
        other => panic!("the stock suffices for every round: {other:?}"),
    }
}
