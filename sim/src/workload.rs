//! Random commands of every kind over a small universe, so that all features get in each other's way: dice, weights, and what each kind
//! of step is made of.

mod allotments;
mod campaigns;
mod catalogue;
mod orders;
mod returns;
mod rules;
mod stock;
mod supply;
mod upkeep;

pub use catalogue::setup;

use std::fmt;

use quartermaster_engine::{command::Command, id::ReservationId, quantity::Quantity, reservation::State, time::Micros};

use super::model::{Model, Own, Return};

pub(crate) const SECOND: u64 = 1_000_000;
pub(crate) const SKUS: [&str; 5] = ["A", "B", "S", "M", KIT];
/// One A and two S.
pub(crate) const KIT: &str = "KIT";
pub(crate) const STYLE: &str = "coat";
pub(crate) const LOCATIONS: [&str; 4] = ["L0", "L1", "L2", "L3"];
/// `all` is round `web` and `app`; `shop` deducts at the order, `slow` at the payment.
pub(crate) const CHANNELS: [&str; 5] = ["all", "web", "app", "shop", "slow"];
pub(crate) const CAMPAIGNS: [&str; 5] = ["flash", "eve", "noon", "late", "last"];
pub(crate) const BUYERS: [&str; 3] = ["ann", "bob", "cyd"];

/// What a step can be, by name.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Reserve,
    Replace,
    Routed,
    Confirm,
    Release,
    Cancel,
    Extend,
    Ship,
    Reassign,
    Refuse,
    Merge,
    Expire,
    ExpireDue,
    SetStock,
    AdjustStock,
    ReceiveStock,
    MoveStock,
    ImportStock,
    Skus,
    Locations,
    Channels,
    Allot,
    ShiftAllotment,
    MoveAllotment,
    ReturnAllotment,
    AnnounceReturn,
    Exchange,
    ReceiveReturn,
    ReceiveUnmatched,
    Inspect,
    CancelReturn,
    Count,
    Freeze,
    Thaw,
    Repair,
    UpsertCampaign,
    EndCampaign,
    CampaignOrder,
    SettleCampaigns,
    Announce,
    Transfer,
    ChangeInbound,
    ReceiveInbound,
    CancelInbound,
    PresaleOrder,
    PutRules,
    SettleRules,
    Repeat,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Reserve,
        Self::Replace,
        Self::Routed,
        Self::Confirm,
        Self::Release,
        Self::Cancel,
        Self::Extend,
        Self::Ship,
        Self::Reassign,
        Self::Refuse,
        Self::Merge,
        Self::Expire,
        Self::ExpireDue,
        Self::SetStock,
        Self::AdjustStock,
        Self::ReceiveStock,
        Self::MoveStock,
        Self::ImportStock,
        Self::Skus,
        Self::Locations,
        Self::Channels,
        Self::Allot,
        Self::ShiftAllotment,
        Self::MoveAllotment,
        Self::ReturnAllotment,
        Self::AnnounceReturn,
        Self::Exchange,
        Self::ReceiveReturn,
        Self::ReceiveUnmatched,
        Self::Inspect,
        Self::CancelReturn,
        Self::Count,
        Self::Freeze,
        Self::Thaw,
        Self::Repair,
        Self::UpsertCampaign,
        Self::EndCampaign,
        Self::CampaignOrder,
        Self::SettleCampaigns,
        Self::Announce,
        Self::Transfer,
        Self::ChangeInbound,
        Self::ReceiveInbound,
        Self::CancelInbound,
        Self::PresaleOrder,
        Self::PutRules,
        Self::SettleRules,
        Self::Repeat,
    ];

    /// How often it comes beside the others, before a case draws its own weights.
    fn share(self) -> u32 {
        match self {
            Self::Reserve => 6,
            Self::CampaignOrder | Self::PresaleOrder | Self::ReceiveInbound => 5,
            Self::UpsertCampaign => 3,
            Self::Announce | Self::SettleCampaigns | Self::SettleRules => 2,
            Self::Confirm | Self::Ship => 4,
            Self::AnnounceReturn | Self::ReceiveReturn | Self::Inspect | Self::Thaw => 2,
            Self::Routed | Self::Cancel | Self::ReceiveStock | Self::SetStock | Self::Allot => 2,
            _ => 1,
        }
    }
}

/// One random step: which kind, and the seed of what it is made from. They do not shrink: a failing case loses steps.
pub type Raw = (u16, u64);

/// A case: how often each kind comes (a kind may not come at all), and its steps.
#[derive(Clone)]
pub struct Case {
    weights: Vec<u32>,
    /// The steps.
    pub steps: Vec<Raw>,
}

impl fmt::Debug for Case {
    /// On one line: a case is read by a machine first.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&format!("Case {{ weights: {:?}, steps: {:?} }}", self.weights, self.steps))
    }
}

/// What to do next.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made at a time, and nearly all are requests")]
pub enum Op {
    /// A request with its id.
    Submit(String, Command),
    /// A pass of a timer.
    Timer {
        /// Events it may lead to.
        limit: usize,
    },
}

/// What earlier steps asked, for later ones to ask again.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    requests: Vec<(String, Command)>,
    serial: usize,
}

/// The numbers of a step, one after another: SplitMix64 (Steele, Lea and Flood 2014).
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() >> 32).unwrap_or(0) % bound
    }

    /// True once in so many times.
    pub fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == chance - 1
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Few units.
    pub(crate) fn few(&mut self, most: usize) -> Quantity {
        Quantity(u32::try_from(1 + self.below(most)).expect("small"))
    }

    /// Mostly few units; seldom so many that sums pass 32 bits.
    pub(crate) fn units(&mut self) -> Quantity {
        match self.below(128) {
            127 => Quantity(u32::MAX),
            126 => Quantity(u32::MAX - 3),
            122..126 => Quantity(1_000),
            few => Quantity(u32::try_from(1 + few % 6).expect("small")),
        }
    }

    pub(crate) fn figure(&mut self) -> Quantity {
        let units = self.units();
        if self.one_in(4) { Quantity::ZERO } else { units }
    }

    pub(crate) fn sku(&mut self) -> String {
        if self.one_in(60) { "?".into() } else { self.pick(&SKUS).into() }
    }

    pub(crate) fn location(&mut self) -> String {
        if self.one_in(60) { "?".into() } else { self.pick(&LOCATIONS).into() }
    }

    pub(crate) fn place(&mut self) -> String {
        if self.below(3) < 2 { String::new() } else { self.location() }
    }

    pub(crate) fn buyer(&mut self) -> String {
        if self.one_in(8) { String::new() } else { self.pick(&BUYERS).into() }
    }

    /// A span of time that holds last and other things take: half a second to four.
    pub(crate) fn span(&mut self) -> Micros {
        Micros(SECOND / 2 * u64::try_from(1 + self.below(8)).expect("small"))
    }

    /// Mostly one in these states, if there is one; now and then any, or none at all.
    pub(crate) fn reservation(&mut self, model: &Model, states: &[State]) -> ReservationId {
        let (any, unknown) = (self.one_in(6), self.one_in(60));
        let fit = |id: &ReservationId| any || states.contains(&model.reservations[id].state);
        let fitting: Vec<ReservationId> = model.reservations.keys().copied().filter(fit).collect();
        // Rather a young one.
        let back = self.below(8).min(self.below(8)) % fitting.len().max(1);
        fitting.into_iter().rev().nth(back).filter(|_| !unknown).unwrap_or(ReservationId(u64::MAX))
    }
}

/// Mostly what can be done, or a step towards it: what cannot is refused, and teaches little.
fn within_means(kind: Kind, model: &Model, dice: &mut Dice) -> Kind {
    if dice.one_in(8) {
        return kind;
    }
    let any = |states: &[State]| model.reservations.values().any(|one| states.contains(&one.state));
    let shipped = |own: &Own| own.shipped > own.announced;
    let mut kind = kind;
    loop {
        let sooner = match kind {
            Kind::Inspect => (!model.came_back.values().any(Return::waits)).then_some(Kind::ReceiveReturn),
            Kind::ReceiveReturn | Kind::CancelReturn => {
                (!model.came_back.values().any(Return::expects)).then_some(Kind::AnnounceReturn)
            }
            Kind::AnnounceReturn | Kind::Exchange => {
                (!model.reservations.values().any(|one| one.lines.values().any(shipped))).then_some(Kind::Ship)
            }
            Kind::Ship => (!any(&[State::Confirmed])).then_some(Kind::Confirm),
            Kind::Confirm | Kind::Release | Kind::Extend | Kind::Cancel | Kind::Reassign | Kind::Replace => {
                (!any(&[State::Held, State::Placed])).then_some(Kind::Reserve)
            }
            Kind::CampaignOrder | Kind::EndCampaign => {
                let open = model.sales.campaigns.iter().any(|one| one.closed.is_none() && one.ends_at > model.now);
                (!open).then_some(Kind::UpsertCampaign)
            }
            Kind::ReceiveInbound | Kind::ChangeInbound | Kind::CancelInbound | Kind::PresaleOrder => {
                (!model.expected.documents.values().any(|one| one.state.is_open())).then_some(Kind::Announce)
            }
            Kind::Thaw => model.freezes.is_empty().then_some(Kind::Freeze),
            _ => None,
        };
        match sooner {
            Some(sooner) => kind = sooner,
            None => return kind,
        }
    }
}

impl Case {
    /// A case from its parts; one weight for each kind.
    #[must_use]
    pub const fn new(weights: Vec<u32>, steps: Vec<Raw>) -> Self {
        Self { weights, steps }
    }

    /// Weights drawn for a run of its own: some kinds do not come at all, some come often (swarm testing, Groce and others 2012).
    #[must_use]
    pub fn swarm(dice: &mut Dice) -> Self {
        let weight = |dice: &mut Dice| match dice.below(5) {
            0 => 0,
            1..4 => 1 + dice.number() % 3,
            _ => 8 + dice.number() % 12,
        };
        let weights = Kind::ALL.iter().map(|_| u32::try_from(weight(dice)).unwrap_or(0));
        Self { weights: weights.collect(), steps: Vec::new() }
    }

    fn kind(&self, selector: u16) -> Kind {
        let weights = || Kind::ALL.iter().zip(&self.weights).map(|(kind, weight)| (*kind, weight * kind.share()));
        let mut rest = u32::from(selector) % weights().map(|(_, weight)| weight).sum::<u32>().max(1);
        for (kind, weight) in weights() {
            if rest < weight {
                return kind;
            }
            rest -= weight;
        }
        Kind::Reserve
    }

    /// Makes a step. Gives how far time moves before it, too, in microseconds.
    #[must_use]
    pub fn step(&self, (selector, seed): &Raw, model: &Model, asked: &mut Asked) -> (u64, Kind, Op) {
        let mut dice = Dice(*seed);
        let half = SECOND / 2;
        let one_in_three = dice.one_in(3);
        let pause = match dice.below(16) {
            15 if one_in_three => 3 * half,
            14 => half,
            12 => half - 1,
            11 => 1,
            _ => 0,
        };
        let kind = within_means(self.kind(*selector), model, &mut dice);
        asked.serial += 1;
        let id = format!("q{}", asked.serial);
        let dice = &mut dice;
        let command = match kind {
            Kind::Reserve | Kind::Replace | Kind::Routed | Kind::Merge => orders::order(kind, dice, model),
            Kind::Confirm
            | Kind::Release
            | Kind::Cancel
            | Kind::Extend
            | Kind::Ship
            | Kind::Reassign
            | Kind::Refuse
            | Kind::Expire => orders::step(kind, dice, model),
            Kind::SetStock | Kind::AdjustStock | Kind::ReceiveStock | Kind::MoveStock | Kind::ImportStock => {
                Command::Stock(stock::change(kind, dice, model))
            }
            Kind::Skus | Kind::Locations | Kind::Channels => Command::Catalogue(catalogue::change(kind, dice)),
            Kind::Allot | Kind::ShiftAllotment | Kind::MoveAllotment | Kind::ReturnAllotment => {
                Command::Allotment(allotments::change(kind, dice))
            }
            Kind::AnnounceReturn
            | Kind::Exchange
            | Kind::ReceiveReturn
            | Kind::ReceiveUnmatched
            | Kind::Inspect
            | Kind::CancelReturn
            | Kind::Count => Command::Returns(returns::change(kind, dice, model)),
            Kind::Freeze | Kind::Thaw | Kind::Repair => Command::Upkeep(upkeep::change(kind, dice, model)),
            Kind::UpsertCampaign | Kind::EndCampaign => Command::Campaign(campaigns::change(kind, dice, model)),
            Kind::CampaignOrder => Command::Reserve(campaigns::order(dice, model)),
            Kind::Announce | Kind::Transfer | Kind::ChangeInbound | Kind::ReceiveInbound | Kind::CancelInbound => {
                Command::Supply(supply::change(kind, dice, model))
            }
            Kind::PresaleOrder => Command::Reserve(supply::order(dice, model)),
            Kind::PutRules => Command::Rules(rules::put(dice, model)),
            Kind::SettleCampaigns | Kind::SettleRules => {
                return (pause, kind, Op::Timer { limit: if dice.one_in(3) { 1 } else { 1_000 } });
            }
            Kind::ExpireDue => return (pause, kind, Op::Timer { limit: if dice.one_in(3) { 1 } else { 1_000 } }),
            Kind::Repeat => {
                // An id once more: with its own content, or with another's.
                let count = asked.requests.len().max(1);
                let place = dice.below(count);
                let other = if dice.one_in(3) { dice.below(count) } else { place };
                match (asked.requests.get(place), asked.requests.get(other)) {
                    (Some((id, _)), Some((_, command))) => {
                        return (pause, kind, Op::Submit(id.clone(), command.clone()));
                    }
                    _ => orders::order(Kind::Reserve, dice, model),
                }
            }
        };
        asked.requests.push((id.clone(), command.clone()));
        (pause, kind, Op::Submit(id, command))
    }
}
