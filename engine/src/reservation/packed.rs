//! The three forms that a part is kept in. Which one has no meaning: it is the smallest that can say everything.

use super::{HeaderRef, Part, PartLine, PartMut, PartRef, plain::Plain};
use crate::{event::Promise, id::ReservationId, time::Timestamp};

/// A part and its reservation's id.
#[derive(Clone, Debug)]
pub(crate) enum Packed {
    /// A whole reservation of one line.
    Plain(Plain),
    /// One line of a reservation that is at home elsewhere.
    Bare(Bare),
    /// Anything.
    Whole(Box<(ReservationId, Part)>),
}

/// One line of a reservation that is at home elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Bare {
    id: ReservationId,
    pub(super) promise: Promise,
    pub(super) line: PartLine,
    pub(super) ended_at: Option<Timestamp>,
}

impl Packed {
    /// The part in its smallest form.
    pub(super) fn of(id: ReservationId, part: Part) -> Self {
        if let Some(plain) = Plain::of(id, &part) {
            return Self::Plain(plain);
        }
        match part {
            Part { header: None, lines, path, presold, promise, ended_at }
                if path.is_empty() && presold.is_empty() && lines.len() == 1 =>
            {
                Self::Bare(Bare { id, promise, line: lines[0], ended_at })
            }
            part => Self::Whole(Box::new((id, part))),
        }
    }

    #[inline]
    pub(crate) fn id(&self) -> ReservationId {
        match self {
            Self::Plain(plain) => plain.id,
            Self::Bare(bare) => bare.id,
            Self::Whole(whole) => whole.0,
        }
    }

    #[inline]
    pub(crate) fn view(&self) -> PartRef<'_> {
        match self {
            Self::Plain(plain) => PartRef::Plain(plain),
            Self::Bare(bare) => PartRef::Bare(bare),
            Self::Whole(whole) => PartRef::Whole(&whole.1),
        }
    }

    pub(crate) fn header(&self) -> Option<HeaderRef<'_>> {
        self.view().header()
    }

    #[inline]
    pub(super) fn view_mut(&mut self) -> PartMut<'_> {
        match self {
            Self::Plain(plain) => PartMut::Plain(plain),
            Self::Bare(bare) => PartMut::Bare(bare),
            Self::Whole(whole) => PartMut::Whole(&mut whole.1),
        }
    }

    /// Makes it the form that can say anything.
    pub(super) fn whole(&mut self) -> &mut Part {
        if !matches!(self, Self::Whole(_)) {
            *self = Self::Whole(Box::new((self.id(), self.view().to_part())));
        }
        match self {
            Self::Whole(whole) => &mut whole.1,
            Self::Plain(_) | Self::Bare(_) => panic!("Invariant: it was just made so"),
        }
    }
}

impl Bare {
    pub(super) fn to_part(&self) -> Part {
        Part {
            promise: self.promise,
            lines: [self.line].into_iter().collect(),
            ended_at: self.ended_at,
            ..Part::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quartermaster_journal::Lsn;

    use super::*;
    use crate::{
        id::{CampaignId, ChannelId, LocationId, NodeId, ShardId, SkuId},
        quantity::Quantity,
        reservation::{Header, Parts, State},
        terms::Kept,
    };

    /// Parts as engines have them and a little beyond, plain ones and such as are nearly plain.
    fn part() -> impl Strategy<Value = Part> {
        let line = (0_u32..2, 0_u32..2, 0_u32..3, 0_u32..3, 0_u32..3, 0_u32..8, 0_u32..8);
        let line = line.prop_map(|(sku, location, open, shipped, returned, announced, charged)| PartLine {
            shipped: Quantity(shipped),
            returned: Quantity(returned),
            announced: Quantity(announced.saturating_sub(6)),
            charged: charged == 0,
            ..PartLine::open(SkuId(sku << 8), LocationId(location), Quantity(open))
        });
        let state = (0_usize..9, 0_u8..8, 1_u64..9);
        let texts = (".{0,20}", ".{0,20}", prop_oneof![Just(None), (0_u32..3).prop_map(Some), Just(Some(u32::MAX))]);
        let odd = (0_u8..16, 0_u8..8, prop_oneof![4 => 1_u64..9, 1 => Just(1 << 56)]);
        (prop::collection::vec(line, 0..3), state, texts, odd, any::<bool>()).prop_map(
            |(lines, (state, end, at), (order_id, buyer_id, channel), (odd, headless, revision), committed)| {
                let state = State::ALL[state];
                let ended = state.is_open() == (end == 0);
                let header = Header {
                    state,
                    order_id: order_id.as_str().into(),
                    buyer_id: buyer_id.as_str().into(),
                    channel: channel.map(ChannelId),
                    created_at: Timestamp(at),
                    expires_at: Timestamp(at + 5),
                    revision: Lsn::new(revision),
                    shards: [ShardId(0)].into_iter().chain((odd == 1).then_some(ShardId(3))).collect(),
                    sourcing: None,
                    kept: (odd == 2).then(|| Box::new(Kept { campaign: Some(CampaignId(1)), ..Kept::default() })),
                };
                Part {
                    promise: if committed { Promise::Committed } else { Promise::Reserved },
                    lines: lines.into_iter().collect(),
                    path: if odd == 3 { Box::new([NodeId(4)]) } else { Box::default() },
                    presold: Vec::new(),
                    ended_at: ended.then_some(Timestamp(at)),
                    header: (headless > 1).then(|| Box::new(header)),
                }
            },
        )
    }

    /// A change that every part takes.
    fn change(part: &mut PartMut<'_>, step: u8) {
        match step % 6 {
            0 => part.set_promise(Promise::Committed),
            1 => part.set_promise(Promise::Reserved),
            2 => part.set_revision(Lsn::new(77)),
            3 => part.set_expires_at(Timestamp(88)),
            4 => {
                part.set_ended_at(Timestamp(99));
                part.set_state(State::Released, Lsn::new(78));
            }
            _ => part.set_state(State::Confirmed, Lsn::new(79)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        /// Whatever form a part is kept in, it reads as the part does, and stays so through every change.
        #[test]
        fn every_form_says_what_the_part_says(part in part(), steps in prop::collection::vec(0_u8..5, 0..4)) {
            let id = ReservationId::new(5, ShardId(0));
            let mut whole = part.clone();
            let mut packed = Packed::of(id, part);
            let same = |packed: &mut Packed, whole: &mut Part| {
                prop_assert_eq!(packed.id(), id);
                prop_assert_eq!(&packed.view().to_part(), &*whole);
                let (one, other) = (packed.view(), PartRef::Whole(whole));
                prop_assert!(one.lines().eq(other.lines()));
                prop_assert_eq!(one.promise(), other.promise());
                prop_assert_eq!(one.ended_at(), other.ended_at());
                prop_assert_eq!((one.path(), one.presold()), (other.path(), other.presold()));
                prop_assert_eq!(one.header().map(HeaderRef::to_header), other.header().map(HeaderRef::to_header));
                let told = |header: HeaderRef<'_>| {
                    let texts = (header.order_id().to_owned(), header.buyer_id().to_owned());
                    let times = (header.created_at(), header.expires_at(), header.revision());
                    (header.state(), texts, header.channel(), times, header.shards(), header.kept().cloned())
                };
                prop_assert_eq!(one.header().map(told), other.header().map(told));
                Ok(())
            };
            same(&mut packed, &mut whole)?;
            for step in steps {
                // An end is set once and together with a state that has one.
                if step != 4 || whole.ended_at.is_none() {
                    change(&mut packed.view_mut(), step);
                    change(&mut PartMut::Whole(&mut whole), step);
                }
                for (sku, location) in [(0, 0), (256, 1)] {
                    let raise = |part: PartMut<'_>| part.units(SkuId(sku), LocationId(location)).map(|units| {
                        units.open.0 += 1;
                        units.shipped.0 += 2;
                        units.returned.0 += 3;
                    });
                    prop_assert_eq!(raise(packed.view_mut()), raise(PartMut::Whole(&mut whole)));
                }
                same(&mut packed, &mut whole)?;
            }
            prop_assert_eq!(&*packed.whole(), &whole);
            same(&mut packed, &mut whole)?;
        }
    }

    #[test]
    fn a_plain_hold_is_packed_and_keeps_its_place_when_it_is_no_longer_plain() {
        let home = ShardId(0);
        let mut parts = Parts::default();
        let of = |sequence: u64| Part {
            lines: [PartLine::open(SkuId(0), LocationId(1), Quantity(2))].into_iter().collect(),
            header: Some(Box::new(Header {
                state: State::Held,
                order_id: "order".into(),
                buyer_id: "buyer".into(),
                channel: None,
                created_at: Timestamp(sequence),
                expires_at: Timestamp(9),
                revision: Lsn::new(sequence),
                shards: [home].into_iter().collect(),
                sourcing: None,
                kept: None,
            })),
            ..Part::default()
        };
        let ids: Vec<ReservationId> = (1..3_000).map(|sequence| ReservationId::new(sequence, home)).collect();
        let places: Vec<u32> = ids.iter().map(|id| parts.insert(*id, of(id.sequence())).expect("it is new")).collect();
        assert_eq!(parts.insert(ids[7], Part::default()), None, "an id stands once");
        assert!(parts.iter().all(|(_, part)| matches!(part, PartRef::Plain(_))));
        parts.whole_mut(&ids[7]).expect("it is there").lines[0].announced = Quantity(1);
        assert!(matches!(parts.get(&ids[7]), Some(PartRef::Whole(_))));
        for (id, place) in ids.iter().zip(&places) {
            assert_eq!(parts.place(id), Some(*place));
            assert_eq!(parts.at(*place).map(|(there, _)| there), Some(*id));
            assert_eq!(parts.header(id).map(HeaderRef::revision), Some(Lsn::new(id.sequence())));
        }
        for id in &ids[100..] {
            assert_eq!(parts.remove(id).map(|packed| packed.id()), Some(*id));
            assert!(parts.remove(id).is_none() && !parts.contains_key(id) && parts.get_mut(id).is_none());
        }
        assert_eq!((parts.len(), parts.is_empty()), (100, false));
        // What was given up is taken again.
        let again = ReservationId::new(9_999, home);
        let place = parts.insert(again, of(9_999)).expect("it is new");
        assert!(places[100..].contains(&place) && parts.at(place).is_some_and(|(id, _)| id == again));
    }
}
