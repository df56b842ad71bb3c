//! The lane and the general way are the same: the same command of every message that the lane reads, the same bytes of every answer that it
//! writes. What it does not read and write is for the general way to refuse.

use std::cell::Cell;

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use prost::Message;
use quartermaster_engine::{
    Answer, CodedShortage, Rejection, Verdict,
    allotment::LimitedBy,
    engine::Granted,
    event::{Event, Held, Line, Shortage},
    id::{CampaignId, LocationId, ReservationId, SkuId},
    quantity::Quantity,
    terms::{KitLine, Stage, Terms},
    time::Timestamp,
};
use quartermaster_journal::Lsn;
use quartermaster_proto::{
    fields::put_varint,
    v1::{self, reserve_result::Result as Outcome},
};

use super::{answer::Told, request, results::Results};
use crate::{
    grpc::{
        batch::Decided,
        convert::{allocation, answers},
        tests::support::World,
    },
    node::Node,
};

/// One field of a message, right or wrong.
type Bytes = Vec<u8>;

fn varint(value: u64) -> Bytes {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, value);
    bytes
}

fn keyed(field: u8, kind: u8, mut value: Bytes) -> Bytes {
    let mut bytes = varint(u64::from(field) << 3 | u64::from(kind));
    bytes.append(&mut value);
    bytes
}

fn number(field: u8, value: u64) -> Bytes {
    keyed(field, 0, varint(value))
}

fn delimited(field: u8, value: &[u8]) -> Bytes {
    let mut bytes = varint(u64::try_from(value.len()).unwrap());
    bytes.extend_from_slice(value);
    keyed(field, 2, bytes)
}

/// A number, some of them longer than need be, and some too long to be one.
fn any_varint() -> impl Strategy<Value = Bytes> {
    let padded = (any::<u64>(), 0..5_usize).prop_map(|(value, more)| {
        let mut bytes = varint(value >> 20);
        let last = bytes.len() - 1;
        if more > 0 {
            bytes[last] |= 0x80;
            bytes.extend(std::iter::repeat_n(0x80, more - 1).chain([0]));
        }
        bytes
    });
    prop_oneof![
        4 => select(vec![0, 1, 2, 60, 127, 128, 300, u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX])
            .prop_map(varint),
        2 => any::<u64>().prop_map(varint),
        1 => padded,
        1 => Just(vec![0xFF; 11]),
    ]
}

/// A text, some of them none.
fn any_text() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        6 => select(vec!["", "a", "SKU-1", "L1", "大衣/红 M", "é", "0000000000100", "000000000010z"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => (60..70_usize).prop_map(|length| vec![b'x'; length]),
        1 => (20..24_usize).prop_map(|length| "大".repeat(length).into_bytes()),
        1 => select(vec![vec![0xC3, 0x28], vec![0xFF], vec![0xED, 0xA0, 0x80], vec![b'a', 0x07], vec![0x7F], vec![0xC2, 0x85]]),
    ]
}

/// A field of the right kind, another kind, or a kind that there is not; its number may be one that nobody knows.
fn any_field(right: impl Strategy<Value = Bytes> + 'static, fields: u8) -> impl Strategy<Value = Bytes> {
    prop_oneof![
        12 => right,
        1 => (1..=fields, any_varint()).prop_map(|(field, value)| keyed(field, 0, value)),
        1 => (1..=fields, any_text()).prop_map(|(field, value)| delimited(field, &value)),
        1 => (1..=fields, 0..8_u8, vec(any::<u8>(), 0..10)).prop_map(|(field, kind, value)| keyed(field, kind, value)),
    ]
}

fn any_line() -> impl Strategy<Value = Bytes> {
    let right = prop_oneof![
        any_text().prop_map(|text| delimited(1, &text)),
        any_varint().prop_map(|units| keyed(2, 0, units)),
        any_text().prop_map(|text| delimited(3, &text)),
    ];
    (prop::bool::weighted(0.8), vec(any_field(right, 6), 0..4)).prop_map(|(begun, fields)| {
        let begin = if begun { [delimited(1, b"A"), number(2, 3)].concat() } else { Vec::new() };
        [begin, fields.concat()].concat()
    })
}

fn any_request() -> impl Strategy<Value = Bytes> {
    let duration = vec((1..3_u8, any_varint()).prop_map(|(field, value)| keyed(field, 0, value)), 0..3);
    let right = prop_oneof![
        6 => (1..5_u8, any_text()).prop_map(|(field, text)| delimited(field, &text)),
        3 => any_line().prop_map(|line| delimited(5, &line)),
        2 => duration.prop_map(|fields| delimited(6, &fields.concat())),
        1 => any_varint().prop_map(|flag| keyed(7, 0, flag)),
        1 => any_text().prop_map(|text| delimited(8, &text)),
        1 => any_varint().prop_map(|lsn| keyed(9, 0, lsn)),
        1 => any_text().prop_map(|text| delimited(11, &text)),
        1 => any_varint().prop_map(|flag| keyed(12, 0, flag)),
    ];
    (prop::bool::weighted(0.8), vec(any_field(right, 15), 0..8), prop::bool::weighted(0.1)).prop_map(
        |(begun, fields, cut)| {
            let begin = [delimited(1, b"r1"), delimited(5, &[delimited(1, b"A"), number(2, 1)].concat())];
            let mut message = if begun { [begin.concat(), fields.concat()].concat() } else { fields.concat() };
            if cut {
                message.pop();
            }
            message
        },
    )
}

/// What a client asks for: right or wrong, but a message.
fn any_message() -> impl Strategy<Value = v1::ReserveRequest> {
    let text = || {
        let right = select(vec!["a", "order-1", "大衣"]);
        prop_oneof![20 => right, 2 => Just(""), 1 => select(vec!["x\u{7}", "\u{85}"])].prop_map(str::to_owned)
    };
    let units = prop_oneof![
        10 => select(vec![1, 2, 4_294_967_295]),
        1 => select(vec![-1, 0, 4_294_967_296, i64::MIN]),
    ];
    let line = (text(), units, text()).prop_map(|(sku, quantity, location)| v1::ReserveLine {
        sku,
        quantity,
        location,
        sourcing: None,
    });
    let seconds = prop_oneof![5 => select(vec![1, 60, 900]), 1 => select(vec![0, 2_592_000, 2_592_001, -1])];
    let ttl = (seconds, prop_oneof![5 => select(vec![0, 1_000, 999_999_999]), 1 => Just(-1)])
        .prop_map(|(seconds, nanos)| prost_types::Duration { seconds, nanos });
    let replaced = select(vec!["", "0000000000100", "earlier"]).prop_map(str::to_owned);
    let texts = (text(), text(), text(), text(), text());
    let rest = (prop::option::of(ttl), any::<bool>(), replaced, select(vec![0, 9, u64::MAX]), any::<bool>());
    (texts, vec(line, 0..4), rest).prop_map(|(texts, lines, (ttl, allow_partial, replaced, lsn, wait))| {
        let (request_id, order_id, buyer_id, channel, campaign) = texts;
        v1::ReserveRequest {
            request_id,
            order_id,
            buyer_id,
            channel,
            lines,
            ttl,
            allow_partial,
            replaces_reservation_id: replaced,
            unchanged_since_lsn: lsn,
            campaign,
            wait,
            ..Default::default()
        }
    })
}

/// Holds what the lane reads to the general way. Gives whether it reads it.
fn same_command(message: &[u8]) -> bool {
    let Some(straight) = request::reserve(message) else { return false };
    let general = allocation::reserve(v1::ReserveRequest::decode(message).expect("the lane reads messages only"));
    assert_eq!(straight.into_command(), general.expect("the lane reads right messages only"), "{message:?}");
    true
}

/// Tries values until `cases` are tried; how many passed the lane, and how many it left to the general way.
fn tally<S: Strategy>(cases: u32, values: &S, passes: impl Fn(S::Value) -> bool) -> [u32; 2] {
    let tally = [Cell::new(0), Cell::new(0)];
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let held = runner.run(values, |value| {
        let of = &tally[usize::from(!passes(value))];
        of.set(of.get() + 1);
        Ok(())
    });
    held.unwrap();
    tally.map(Cell::into_inner)
}

#[test]
fn the_lane_reads_what_the_general_way_reads_or_steps_aside() {
    let [read, aside] = tally(20_000, &any_request(), |message| same_command(&message));
    assert!(read > 2_000 && aside > 2_000, "{read} read, {aside} left to the general way");
}

#[test]
fn right_messages_without_rare_fields_are_read() {
    let [read, aside] = tally(20_000, &any_message(), |message| {
        let is_right = allocation::reserve(message.clone()).is_ok();
        let is_read = same_command(&message.encode_to_vec());
        let is_rare = message.wait || message.unchanged_since_lsn > u64::MAX >> 1;
        assert_eq!(is_read, is_right && !is_rare, "{message:?}");
        is_read
    });
    assert!(read > 1_000 && aside > 2_000, "{read} read, {aside} left to the general way");
}

#[test]
fn requests_are_cut_apart_as_prost_does_it() {
    let order = delimited(1, b"r1");
    let requests = |message: &[u8]| request::requests(message).map(|one| one.map(<[u8]>::to_vec)).collect::<Vec<_>>();
    assert_eq!(requests(&[]), []);
    let two = [delimited(1, &order), delimited(1, b"")].concat();
    assert_eq!(requests(&two), [Some(order.clone()), Some(Vec::new())]);
    for unusual in [number(1, 5), delimited(2, &order), delimited(1, &order)[..4].to_vec()] {
        assert_eq!(requests(&unusual)[0], None, "{unusual:?}");
    }
}

const SKUS: [&str; 3] = ["A", "大衣/红 M", "a code of forty-two bytes, which is long .."];

/// A world with three SKUs and three locations.
async fn world() -> World {
    World::with(&[(SKUS[0], "L1", 5), (SKUS[1], "L2", 5), (SKUS[2], "L1", 5)]).await
}

fn any_held() -> impl Strategy<Value = Held> {
    let line = (0..3_u32, 0..2_u32, 1..=u32::MAX).prop_map(|(sku, at, units)| Line {
        sku: SkuId(sku),
        location: LocationId(at),
        quantity: Quantity(units),
    });
    let stage = select(vec![Stage::Held, Stage::Committed, Stage::Placed, Stage::Waiting]);
    let kit = KitLine { sku: SkuId(0), quantity: Quantity(1) };
    let terms = (stage, prop::option::of(0..3_u32), 0..300_u32, prop::bool::weighted(0.1)).prop_map(
        move |(stage, campaign, place, kits)| {
            let kits = kits.then_some(kit).into_iter().collect();
            Box::new(Terms { stage, campaign: campaign.map(CampaignId), place, kits, ..Terms::default() })
        },
    );
    let short = Shortage {
        sku: SkuId(1),
        location: None,
        requested: 7,
        available: 5,
        limited_by: LimitedBy::Stock,
        component: None,
    };
    let expires_at = prop_oneof![any::<u64>(), Just(u64::MAX), Just(0), Just(1_790_000_000_123_456)];
    (any::<u64>(), expires_at, vec(line, 0..5), prop::option::of(terms), prop::bool::weighted(0.1)).prop_map(
        move |(id, expires_at, lines, terms, is_partial)| Held {
            reservation: ReservationId(id),
            order_id: "order".into(),
            buyer_id: "buyer".into(),
            channel: None,
            expires_at: Timestamp(expires_at),
            lines: lines.into(),
            replaced: None,
            replaced_bookings: Box::default(),
            shortages: is_partial.then_some(short).into_iter().collect(),
            sourced: None,
            terms,
        },
    )
}

fn any_rejection() -> impl Strategy<Value = Rejection> {
    let by = select(vec![LimitedBy::Stock, LimitedBy::Allotment, LimitedBy::Ceiling]);
    let units = || prop_oneof![any::<u64>(), 0..200_u64, Just(0)];
    let component = select(vec!["", "B"]);
    let short = (select(SKUS.to_vec()), select(vec!["", "L1"]), units(), units(), by, component).prop_map(
        |(sku, location, requested, available, limited_by, component)| CodedShortage {
            sku: sku.into(),
            location: location.into(),
            requested,
            available,
            limited_by,
            component: component.into(),
        },
    );
    prop_oneof![
        8 => vec(short, 0..13).prop_map(|shortages| Rejection::InsufficientStock { shortages }),
        1 => Just(Rejection::SkuNotSellable { sku: "A".into() }),
    ]
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let verdict = prop_oneof![
        any_held().prop_map(|held| Verdict::Done(Event::Held(held))),
        any_rejection().prop_map(Verdict::Rejected),
    ];
    let lsn = prop_oneof![any::<u64>(), Just(0), 0..300_u64];
    (lsn, any::<bool>(), verdict).prop_map(|(lsn, replayed, verdict)| Answer { lsn: Lsn::new(lsn), replayed, verdict })
}

/// An answer as that to a plain order, if it may be one.
fn granted(answer: &Answer) -> Option<Granted> {
    let Verdict::Done(Event::Held(held)) = &answer.verdict else { return None };
    let [line] = *held.lines else { return None };
    let is_plain = !answer.replayed && held.shortages.is_empty() && held.terms.is_none();
    is_plain.then_some(Granted {
        lsn: answer.lsn,
        reservation: held.reservation,
        line,
        channel: held.channel,
        expires_at: held.expires_at,
    })
}

/// Holds the bytes of an answer to those of the general way. Gives whether the lane wrote them.
fn same_bytes(node: &Node, answer: &Answer) -> bool {
    let response = answers::reserve(node, answer.clone()).unwrap();
    let unary = super::told(node, answer.clone()).unwrap();
    assert_eq!(unary[super::frame::HEAD_BYTES..], response.encode_to_vec(), "{answer:?}");
    let batch = v1::ReserveBatchResponse {
        position: None,
        results: vec![v1::ReserveResult { result: Some(Outcome::Response(response)) }],
    };
    let (mut results, mut bytes) = (Results::new(node), Vec::new());
    results.put(&mut bytes, 2, Decided::Other(Box::new(Ok(answer.clone()))));
    assert_eq!((&bytes, results.lsn()), (&batch.encode_to_vec(), answer.lsn), "{answer:?}");
    if let Some(granted) = granted(answer) {
        let mut again = Vec::new();
        results.put(&mut again, 2, Decided::Plain(granted));
        assert_eq!(again, bytes, "{answer:?}");
        let again = super::framed(|bytes| super::put_told(bytes, node, (granted.lsn, false), Told::Plain(&granted)));
        assert_eq!(again, unary, "{answer:?}");
    }
    Told::of(answer).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_bytes_that_prost_writes() {
    let world = world().await;
    let [straight, general] = tally(5_000, &any_answer(), |answer| same_bytes(&world.node, &answer));
    assert!(straight > 2_000 && general > 100, "{straight} straight, {general} the general way");
}
