//! The short way of plain holds, seen ahead, against the general one.
//!
//! Two engines get the same commands. One gets every order with a condition that says nothing, which the short way does not know: it
//! decides all of them the general way. The other sees several commands ahead, and much of what it saw has changed when their turn comes; half
//! of the orders it gets as plain orders first, as batches have them. Both must answer alike and come to the same state.

mod support;

use proptest::prelude::*;
use quartermaster_engine::{
    Answer, EngineConfig, Error, Verdict,
    campaign::Deduction,
    catalog::{ChannelSpec, SkuSpec},
    command::{
        CatalogueCommand, Command, PlainOrder, Request,
        allotment::{AllotmentCommand, Amount, Goods, NodeCode, SetAllotments, SetRow},
    },
    engine::{Ahead, Ordered, Seen},
    event::Event,
    quantity::Quantity,
    time::{Micros, Timestamp},
};
use support::{
    Rig, cases, dump,
    generate::{Case, Known, Op, case, setup},
    regressions, request,
};

/// Steps that are seen together.
const STEPS_AHEAD: usize = 6;

/// Channels that deduct at other times than the hold, or not at all, a kit, and units that only one channel may have.
fn wider(case: &Case) -> Vec<Command> {
    let (selector, dice) = case.steps.first().copied().unwrap_or_default();
    let deduction = [Deduction::Hold, Deduction::OnOrder, Deduction::OnPayment][usize::from(dice[0] % 3)];
    let safety_units = u32::from(dice[1] % 4 == 3);
    let channel = |code: &str, active| ChannelSpec { code: code.into(), active, ..ChannelSpec::default() };
    let channels = vec![
        ChannelSpec { deduction, hold_ttl: Some(Micros::from_secs(2)), safety_units, ..channel("app", true) },
        channel("web", dice[2] % 5 != 0),
    ];
    let kit = SkuSpec {
        code: "E".into(),
        sellable: true,
        components: if dice[3] % 2 == 0 { vec![("A".into(), 1), ("B".into(), 2)] } else { Vec::new() },
        ..SkuSpec::default()
    };
    let off_sale = SkuSpec { code: "D".into(), sellable: dice[4] % 4 != 0, ..SkuSpec::default() };
    let row = SetRow {
        goods: Goods::Sku("B".into()),
        node: NodeCode { channel: "web".into(), ..NodeCode::default() },
        quota: Some(Amount::Units(Quantity(2))),
        ceiling: None,
        spill_over: dice[5] % 2 == 0,
    };
    let mut commands = vec![
        Command::Catalogue(CatalogueCommand::UpsertChannels(channels)),
        Command::Catalogue(CatalogueCommand::UpsertSkus(vec![kit, off_sale])),
    ];
    if selector % 3 == 0 {
        commands.push(Command::Allotment(AllotmentCommand::Set(SetAllotments { rows: vec![row], clip: true })));
    }
    commands
}

/// The same, with a condition that says nothing.
fn the_general_way(command: &Command) -> Command {
    let mut command = command.clone();
    if let Command::Reserve(reserve) = &mut command
        && reserve.sourcing.is_none()
    {
        reserve.lines.iter_mut().for_each(|line| line.sourcing = Some(Box::default()));
    }
    command
}

/// What an operation submits.
fn ordered(op: &Op) -> Option<(Request, &Command)> {
    match op {
        Op::Submit(id, command) => Some((request(id), command)),
        Op::ExpireDue { .. } => None,
    }
}

/// Submits an order as a plain one, if its id says so, else as the command that it is.
fn as_batches_do(rig: &Rig, request: &Request, command: &Command, seen: Seen) -> Result<Answer, Error> {
    let plain = match command {
        Command::Reserve(reserve) if request.id.ends_with(['0', '2', '4', '6', '8']) => {
            PlainOrder::of(request, reserve)
        }
        _ => None,
    };
    match plain {
        Some(order) => Ok(answer(&order, rig.engine.submit_plain(&order, &request.actor, rig.now, seen)?)),
        None => rig.engine.submit_seen(request, command, rig.now, seen),
    }
}

/// What a plain order was answered, as its command is.
fn answer(order: &PlainOrder<'_>, ordered: Ordered) -> Answer {
    match ordered {
        Ordered::Granted(granted) => {
            let verdict = Verdict::Done(Event::Held(granted.to_held(order)));
            Answer { lsn: granted.lsn, replayed: false, verdict }
        }
        Ordered::Answered(answer) => *answer,
    }
}

struct Twins {
    one: Rig,
    other: Rig,
}

impl Twins {
    fn submit(&mut self, known: &mut Known, id: &str, command: &Command, seen: Seen) -> Result<(), TestCaseError> {
        let answer = as_batches_do(&self.one, &request(id), command, seen);
        let other = self.other.submit(id, &the_general_way(command));
        match (answer, other) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!(one.replayed, other.replayed);
                prop_assert_eq!(&one.verdict, &other.verdict, "{:?}", command);
                if let Verdict::Done(event) = &one.verdict {
                    prop_assert_eq!(one.lsn, other.lsn);
                    known.lsn = known.lsn.max(one.lsn.get());
                    known.reservations.extend(event.reservation().filter(|id| !known.reservations.contains(id)));
                }
            }
            (one, other) => {
                prop_assert_eq!(one.map_err(|error| error.to_string()), other.map_err(|error| error.to_string()))
            }
        }
        Ok(())
    }
}

fn run(case: &Case, fillers: usize) -> Result<(), TestCaseError> {
    let mut twins = Twins { one: Rig::new(EngineConfig::default()), other: Rig::new(EngineConfig::default()) };
    let mut known = Known::default();
    for (place, command) in setup(fillers).iter().chain(&wider(case)).enumerate() {
        twins.submit(&mut known, &format!("setup{place}"), command, Seen::default())?;
    }
    for group in case.steps.chunks(STEPS_AHEAD) {
        let group: Vec<(i64, Op)> = group.iter().map(|raw| case.step(raw, &mut known)).collect();
        let orders: Vec<_> = group.iter().map(|(_, op)| ordered(op)).collect();
        let ahead = orders.iter().map(|order| match order {
            Some((request, command)) => Ahead::of(request, command),
            None => Ahead::default(),
        });
        let seen = twins.one.engine.look_ahead(ahead);
        for ((pause, op), seen) in group.iter().zip(seen) {
            let now = Timestamp(twins.one.now.0.saturating_add_signed(*pause));
            (twins.one.now, twins.other.now) = (now, now);
            match op {
                Op::Submit(id, command) => twins.submit(&mut known, id, command, seen)?,
                Op::ExpireDue { limit } => {
                    let one = twins.one.engine.expire_due(now, *limit).expect("memory is never full");
                    let other = twins.other.engine.expire_due(now, *limit).expect("memory is never full");
                    prop_assert_eq!(one, other);
                }
            }
            prop_assert_eq!(twins.one.engine.audit().violations, vec![]);
        }
    }
    let ids: Vec<&str> = known.requests.iter().map(|(id, _)| id.as_str()).collect();
    let all = |rig: &Rig| dump::dump(&rig.engine, ids.iter().copied());
    let state = all(&twins.other);
    prop_assert_eq!(&all(&twins.one), &state);
    twins.one.restart();
    prop_assert_eq!(&all(&twins.one), &state);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases("PLAIN_CASES", 60),
        failure_persistence: regressions(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plain.regressions")),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_plain_hold_is_what_the_general_way_makes_of_it(case in case(20..120)) {
        run(&case, 0)?;
    }

    /// Two SKUs in one lock shard.
    #[test]
    fn a_plain_hold_is_what_the_general_way_makes_of_it_within_a_shard(case in case(20..80)) {
        run(&case, 255)?;
    }
}

/// Exactly once, whichever way it comes first and again.
#[test]
fn a_repeat_is_granted_once() {
    let rig = Rig::new(EngineConfig::default());
    for (place, command) in setup(0).iter().enumerate() {
        rig.submit(&format!("setup{place}"), command).expect("the first requests can stand");
    }
    let order = PlainOrder {
        request_id: "r1",
        order_id: "order",
        buyer_id: "ann",
        channel: "",
        sku: "C",
        location: "",
        quantity: Quantity(1),
        ttl: Micros(0),
    };
    let plain = |order: &PlainOrder<'_>| {
        let ordered = rig.engine.submit_plain(order, "", rig.now, Seen::default());
        ordered.map(|ordered| answer(order, ordered))
    };
    let command = |order: &PlainOrder<'_>| rig.submit(order.request_id, &Command::Reserve(order.to_reserve()));
    let first = plain(&order).expect("there is stock");
    let other = PlainOrder { request_id: "r2", ..order };
    let second = command(&other).expect("there is stock");
    assert!([&first, &second].iter().all(|answer| !answer.replayed && matches!(answer.verdict, Verdict::Done(_))));
    let state = dump::dump(&rig.engine, ["r1", "r2"]);

    let repeat = |answer: &Answer| Answer { replayed: true, ..answer.clone() };
    for ask in [&plain as &dyn Fn(&PlainOrder<'_>) -> Result<Answer, Error>, &command] {
        assert_eq!(ask(&order).expect("it was answered before"), repeat(&first));
        assert_eq!(ask(&other).expect("it was answered before"), repeat(&second));
        let content = PlainOrder { quantity: Quantity(2), ..order };
        assert!(matches!(ask(&content), Err(Error::RequestIdReused { .. })));
    }
    assert_eq!(dump::dump(&rig.engine, ["r1", "r2"]), state);
}
