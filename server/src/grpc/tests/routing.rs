//! Orders that the router decides about: quoted, held, refused, routed anew, merged, and explained from the log.

use std::{
    fs::File,
    time::{Duration, SystemTime},
};

use quartermaster_proto::v1;
use tonic::Code;

use super::support::{World, allocation, class, fact, held, order, refused};
use crate::metrics::Sources;

fn line(sku: &str, quantity: i64) -> v1::ReserveLine {
    v1::ReserveLine { sku: sku.into(), quantity, ..Default::default() }
}

/// A question about some units of each SKU.
fn question(lines: &[(&str, i64)]) -> v1::RouteRequest {
    v1::RouteRequest { lines: lines.iter().map(|(sku, units)| line(sku, *units)).collect(), ..Default::default() }
}

/// An order for the same, to be sourced.
fn sourced(request_id: &str, lines: &[(&str, i64)]) -> v1::ReserveRequest {
    let sourcing = v1::Sourcing { receiver_key: "door".into(), ..Default::default() };
    v1::ReserveRequest { sourcing: Some(sourcing), ..order(request_id, lines) }
}

fn quoted(response: &v1::RouteResponse) -> v1::Quote {
    match &response.outcome {
        Some(v1::route_response::Outcome::Quote(quote)) => quote.clone(),
        other => panic!("no quote: {other:?}"),
    }
}

/// Where a plan's units come from, as "L2: 4 A, 2 B".
fn parcels(plan: &v1::Plan) -> Vec<String> {
    let goods = |lines: &[v1::ParcelLine]| {
        lines.iter().map(|line| format!("{} {}", line.quantity, line.sku)).collect::<Vec<_>>().join(", ")
    };
    plan.parcels.iter().map(|parcel| format!("{}: {}", parcel.location, goods(&parcel.lines))).collect()
}

impl World {
    async fn quote(&self, message: v1::RouteRequest) -> v1::Quote {
        quoted(&self.routing().route(message).await.unwrap().into_inner())
    }

    async fn why(&self, id: &str) -> Result<v1::ExplainReservationResponse, tonic::Status> {
        let message = v1::ExplainReservationRequest { reservation_id: id.into() };
        self.routing().explain_reservation(message).await.map(tonic::Response::into_inner)
    }

    /// Writes some 10 KB to the journal.
    async fn chatter(&self, number: usize) {
        let sku = |item| v1::Sku { code: format!("{number}-{item}"), style: "s".repeat(60), ..Default::default() };
        let skus = (0..100).map(sku).collect();
        let message = v1::UpsertSkusRequest { request_id: format!("chatter {number}"), skus };
        self.catalog().upsert_skus(message).await.unwrap();
    }
}

#[tokio::test]
async fn a_hold_takes_what_was_quoted_and_is_told_the_same_again() {
    let world = World::with(&[("A", "L1", 3), ("A", "L2", 9), ("B", "L2", 5)]).await;
    let ask = |request_id: &str| {
        let mut message = sourced(request_id, &[("A", 4), ("B", 2)]);
        // Parcels cost nothing here, so two would be as good.
        message.sourcing.as_mut().unwrap().parcels_max = 1;
        message
    };
    let message = v1::RouteRequest {
        explain: true,
        alternatives: 2,
        sourcing: ask("").sourcing,
        ..question(&[("A", 4), ("B", 2)])
    };
    let response = world.routing().route(message).await.unwrap().into_inner();
    assert!(world.node.engine().journal().durable_lsn().get() >= response.position.unwrap().lsn);
    let quote = quoted(&response);
    let plan = quote.plan.clone().unwrap();
    assert_eq!(parcels(&plan), ["L2: 4 A, 2 B"]);
    assert_eq!((plan.proof(), plan.gap_ppm, plan.step.as_str()), (v1::ProofState::Proved, 0, "first"));
    assert_eq!(plan.total_cost, Some(v1::Money { currency_code: "XXX".into(), minor_units: 0 }));
    assert_eq!(quote.policy, Some(v1::PolicyRef { name: "default".into(), version: 0 }));
    assert_eq!(world.available("A").await, 12, "a quote takes nothing");

    let first = world.reserve(ask("r")).await;
    let hold = held(&first);
    assert_eq!(hold.allocations, [allocation("A", "L2", 4), allocation("B", "L2", 2)]);
    let taken = hold.plan.clone().unwrap();
    assert_eq!((parcels(&taken), taken.value, hold.policy.clone()), (parcels(&plan), plan.value, quote.policy));
    let again = world.reserve(ask("r")).await;
    assert_eq!(again, v1::ReserveResponse { replayed: true, ..first.clone() });
    let message = v1::GetOutcomeRequest { request_id: "r".into() };
    let outcome = world.allocation().get_outcome(message).await.unwrap().into_inner().outcome;
    assert_eq!(outcome, Some(v1::get_outcome_response::Outcome::Hold(hold.clone())));

    let message = v1::GetReservationRequest { reservation_id: hold.reservation_id.clone() };
    let shown = world.allocation().get_reservation(message).await.unwrap().into_inner().reservation.unwrap();
    assert_eq!((shown.receiver_key.as_str(), shown.merged_with.as_str()), ("door", ""));
    assert_eq!(shown.promise_time, taken.parcels[0].delivery_time);

    let why = world.why(&hold.reservation_id).await.unwrap();
    assert_eq!((why.position, why.summary_only), (first.position, false));
    let told = why.quote.unwrap();
    assert_eq!(told.plan, hold.plan, "the decision as it was taken");
    let (then, now) = (told.explanation.unwrap(), quote.explanation.unwrap());
    assert_eq!((&then.sentences, &then.counterfactuals), (&now.sentences, &now.counterfactuals));
    let candidates = |explanation: &v1::Explanation| -> Vec<(String, bool, usize)> {
        let places = explanation.candidates.iter();
        places.map(|place| (place.location.clone(), place.chosen, place.stock.len())).collect()
    };
    assert_eq!(candidates(&then), candidates(&now));
    assert_eq!(candidates(&then), [("L1".into(), false, 1), ("L2".into(), true, 2)]);
    assert_eq!(then.sentences[0], "Ships in 1 parcel: L2 has all of it.");
}

#[tokio::test]
async fn what_cannot_be_served_is_told_line_by_line() {
    let world = World::with(&[("A", "L1", 3), ("B", "P", 5)]).await;
    let rejection = refused(&world.reserve(sourced("r", &[("A", 4), ("B", 1)])).await);
    assert_eq!(rejection.reason(), v1::RejectionReason::NotRoutable);
    let told: Vec<_> = rejection.unserved.iter().map(|one| (one.sku.as_str(), one.quantity, one.reason())).collect();
    assert_eq!(told, [("A", 4, v1::UnservedReason::NoStock), ("B", 1, v1::UnservedReason::NoLocation)]);
    assert!(rejection.message.contains("of A 4 units: no location has them"), "{}", rejection.message);

    let quote = world.quote(v1::RouteRequest { explain: true, ..question(&[("A", 4), ("B", 1)]) }).await;
    let plan = quote.plan.unwrap();
    assert_eq!((parcels(&plan), plan.unserved.len()), (Vec::<String>::new(), 2), "every unit or none");
    let explanation = quote.explanation.unwrap();
    let removed: Vec<_> =
        explanation.candidates.iter().map(|place| (place.location.as_str(), place.removed_by.as_str())).collect();
    assert_eq!(removed, [("L1", ""), ("P", "location_not_open")]);
    assert!(explanation.sentences.contains(&"1 location was left out: 1 by location_not_open.".to_owned()));

    let some = v1::ReserveRequest { allow_partial: true, ..sourced("some", &[("A", 4), ("B", 1)]) };
    match world.reserve(some).await.outcome {
        Some(v1::reserve_response::Outcome::Hold(hold)) => {
            assert_eq!(hold.allocations, [allocation("A", "L1", 3)]);
            assert_eq!(hold.shortages.len(), 2);
        }
        // The built-in policy may serve in full or not at all.
        Some(v1::reserve_response::Outcome::Rejection(no)) => {
            assert_eq!(no.reason(), v1::RejectionReason::NotRoutable);
        }
        None => panic!("no outcome"),
    }
}

#[tokio::test]
async fn conditions_of_lines_are_kept() {
    let world = World::with(&[("A", "L1", 3), ("A", "L2", 9), ("B", "L1", 1)]).await;
    let ask = |conditions: v1::LineSourcing| {
        let lines = vec![v1::ReserveLine { sourcing: Some(conditions), ..line("A", 2) }];
        v1::RouteRequest { lines, ..Default::default() }
    };
    let only = v1::LineSourcing { only_locations: vec!["L2".into()], ..Default::default() };
    assert_eq!(parcels(&world.quote(ask(only)).await.plan.unwrap()), ["L2: 2 A"]);
    let never = v1::LineSourcing { never_locations: vec!["L1".into()], ..Default::default() };
    assert_eq!(parcels(&world.quote(ask(never)).await.plan.unwrap()), ["L2: 2 A"]);
    let pickup =
        v1::Sourcing { mode: i32::from(v1::DeliveryMode::Pickup), pickup_location: "L2".into(), ..Default::default() };
    let message = v1::RouteRequest { sourcing: Some(pickup), explain: true, ..question(&[("A", 1)]) };
    let quote = world.quote(message).await;
    let removed: Vec<_> = quote.explanation.unwrap().candidates.into_iter().map(|place| place.removed_by).collect();
    assert!(removed.contains(&"not_the_pickup_location".to_owned()), "{removed:?}");
    let substitute = v1::LineSourcing { substitutes: vec!["A".into()], ..Default::default() };
    let lines = vec![v1::ReserveLine { sourcing: Some(substitute), ..line("B", 2) }];
    let plan = world.quote(v1::RouteRequest { lines, ..Default::default() }).await.plan.unwrap();
    assert_eq!(parcels(&plan), ["L1: 1 A, 1 B"]);
    let agreed = v1::Substitution { sku: "B".into(), substitute: "A".into(), quantity: 1 };
    assert_eq!(plan.substitutions, [agreed]);
}

#[tokio::test]
async fn errors_of_the_router_are_typed() {
    let world = World::with(&[("A", "L1", 3)]).await;
    let fails = |sourcing: v1::Sourcing| {
        let mut client = world.routing();
        let message = v1::RouteRequest { sourcing: Some(sourcing), ..question(&[("A", 1)]) };
        async move { client.route(message).await.unwrap_err() }
    };
    let region = v1::Destination { region: "330106".into(), point: None };
    let status = fails(v1::Sourcing { destination: Some(region), ..Default::default() }).await;
    assert_eq!((class(&status), fact(&status, "region")), ((Code::NotFound, "UNKNOWN_REGION".into()), "330106".into()));
    let status = fails(v1::Sourcing { policy: "vip".into(), ..Default::default() }).await;
    assert_eq!((class(&status), fact(&status, "policy")), ((Code::NotFound, "UNKNOWN_DOCUMENT".into()), "vip".into()));

    let whole = v1::LineSourcing { whole: true, ..Default::default() };
    let lines = vec![line("A", 1), v1::ReserveLine { sourcing: Some(whole), ..line("A", 1) }];
    let mixed = v1::RouteRequest { lines, ..Default::default() };
    let unknown = v1::RouteRequest { channel: "web".into(), ..question(&[("A", 1)]) };
    let inactive = v1::RouteRequest { channel: "old".into(), ..question(&[("A", 1)]) };
    let empty = v1::RouteRequest::default();
    let message = v1::RouteBatchRequest { requests: vec![mixed, unknown, inactive, empty, question(&[("A", 1)])] };
    let answer = world.routing().route_batch(message).await.unwrap().into_inner();
    let told: Vec<String> = answer
        .results
        .into_iter()
        .map(|result| match result.result {
            Some(v1::route_result::Result::Error(error)) => error.message,
            Some(v1::route_result::Result::Response(response)) => match response.outcome {
                Some(v1::route_response::Outcome::Rejection(no)) => no.message,
                Some(v1::route_response::Outcome::Quote(quote)) => parcels(&quote.plan.unwrap()).join("; "),
                None => String::new(),
            },
            None => String::new(),
        })
        .collect();
    let expected = [
        "lines of SKU A have different conditions: lines of one SKU must be sourced alike",
        "unknown channel \"web\": no channel has this code",
        "channel old is not active",
        "lines: has 0 entries; 1 to 2,000 lines are allowed",
        "L1: 1 A",
    ];
    assert_eq!(told, expected);
    let status = world.routing().route_batch(v1::RouteBatchRequest::default()).await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
}

#[tokio::test]
async fn a_refused_line_goes_elsewhere() {
    let world = World::with(&[("A", "L1", 3), ("A", "L2", 2)]).await;
    let third = v1::Location { code: "L3".into(), priority: 9, state: 1, ..Default::default() };
    let message = v1::UpsertLocationsRequest { request_id: "third".into(), locations: vec![third] };
    world.catalog().upsert_locations(message).await.unwrap();
    world.count("A", "L3", 2).await;
    let hold = world.hold(sourced("r", &[("A", 3)])).await;
    assert_eq!(hold.allocations, [allocation("A", "L1", 3)]);
    let refuse = v1::ReassignRequest {
        request_id: "no".into(),
        reservation_id: hold.reservation_id.clone(),
        sku: "A".into(),
        from_location: "L1".into(),
        refused: true,
        ..Default::default()
    };
    let answer = world.allocation().reassign(refuse.clone()).await.unwrap().into_inner();
    let Some(v1::reassign_response::Outcome::Update(update)) = answer.outcome.clone() else { panic!("{answer:?}") };
    assert_eq!(update.allocations.iter().map(|to| to.quantity).sum::<i64>(), 3);
    assert_eq!(update.allocations.len(), 2, "no other location has all three");
    let again = world.allocation().reassign(refuse).await.unwrap().into_inner();
    assert_eq!(again, v1::ReassignResponse { replayed: true, ..answer });

    let quote = world.quote(v1::RouteRequest { explain: true, ..question(&[("A", 1)]) }).await;
    let places = quote.explanation.unwrap().candidates;
    let first = places.iter().find(|place| place.location == "L1").unwrap();
    assert_eq!((first.removed_by.as_str(), first.chosen), ("refused", false));
    let why = world.why(&hold.reservation_id).await.unwrap();
    assert_eq!(parcels(&why.quote.unwrap().plan.unwrap()), ["L1: 3 A"], "the decision it was made by");
}

#[tokio::test]
async fn merging_takes_two_and_must_pay() {
    let world = World::with(&[("A", "L1", 9)]).await;
    let first = world.hold(sourced("one", &[("A", 1)])).await.reservation_id;
    let ask = |request_id: &str, preview| v1::MergeRequest {
        request_id: request_id.into(),
        buyer_id: "buyer".into(),
        receiver_key: "door".into(),
        preview,
        ..Default::default()
    };
    let reason = |response: v1::MergeResponse| match response.outcome {
        Some(v1::merge_response::Outcome::Rejection(no)) => no.reason(),
        other => panic!("merged: {other:?}"),
    };
    for message in [ask("m", false), ask("", true)] {
        let answer = world.routing().merge(message).await.unwrap().into_inner();
        assert_eq!(reason(answer), v1::RejectionReason::NothingToMerge);
    }
    let second = world.hold(sourced("two", &[("A", 1)])).await.reservation_id;
    let named = v1::MergeRequest { reservation_ids: vec![first.clone(), second], ..ask("n", false) };
    let answer = world.routing().merge(named).await.unwrap().into_inner();
    assert_eq!(reason(answer), v1::RejectionReason::MergeNotBetter, "parcels cost nothing here");

    let wrong = v1::MergeRequest { reservation_ids: vec![first.clone(), first, "x".into()], ..Default::default() };
    let status = world.routing().merge(wrong).await.unwrap_err();
    let expected = "request_id: is missing; 1 to 64 bytes are needed; and 4 more fields";
    assert_eq!((class(&status).0, status.message()), (Code::InvalidArgument, expected));
}

#[tokio::test]
async fn two_orders_to_one_door_share_a_parcel() {
    let world = World::with(&[("A", "L1", 9)]).await;
    let costs = v1::Fulfilment { handling_cost: 500, ..Default::default() };
    let place =
        v1::Location { code: "L1".into(), priority: 1, state: 1, fulfilment: Some(costs), ..Default::default() };
    let message = v1::UpsertLocationsRequest { request_id: "costs".into(), locations: vec![place] };
    world.catalog().upsert_locations(message).await.unwrap();
    let first = world.hold(sourced("one", &[("A", 1)])).await;
    let second = world.hold(sourced("two", &[("A", 2)])).await;
    let why = world.why(&first.reservation_id).await.unwrap().quote.unwrap();
    let sentences = why.explanation.unwrap().sentences;
    assert_eq!(sentences[..2], ["Ships in 1 parcel: L1 has all of it.", "L1 costs 5.00: handling 5.00."]);

    let ask = |request_id: &str, preview| v1::MergeRequest {
        request_id: request_id.into(),
        buyer_id: "buyer".into(),
        receiver_key: "door".into(),
        preview,
        ..Default::default()
    };
    let told = |response: &v1::MergeResponse| match &response.outcome {
        Some(v1::merge_response::Outcome::Result(result)) => result.clone(),
        other => panic!("not merged: {other:?}"),
    };
    let before = world.node.engine().journal().appended_lsn();
    let preview = told(&world.routing().merge(ask("", true)).await.unwrap().into_inner());
    assert_eq!(world.node.engine().journal().appended_lsn(), before, "a preview changes nothing");
    let done = world.routing().merge(ask("m", false)).await.unwrap().into_inner();
    let result = told(&done);
    assert_eq!(
        (&result.reservation_ids, &result.moves, result.policy.clone()),
        (&preview.reservation_ids, &preview.moves, preview.policy)
    );
    let money = |minor_units| Some(v1::Money { currency_code: "XXX".into(), minor_units });
    let plan = result.plan.unwrap();
    assert_eq!(
        (parcels(&plan), plan.total_cost, result.cost_before),
        (vec!["L1: 3 A".into()], money(500), money(1_000))
    );
    let again = world.routing().merge(ask("m", false)).await.unwrap().into_inner();
    assert_eq!(again, v1::MergeResponse { replayed: true, ..done });
    for id in [&first.reservation_id, &second.reservation_id] {
        let message = v1::GetReservationRequest { reservation_id: id.clone() };
        let shown = world.allocation().get_reservation(message).await.unwrap().into_inner().reservation.unwrap();
        assert_eq!(shown.merged_with, first.reservation_id);
    }
}

#[tokio::test]
async fn only_decisions_of_the_router_are_explained() {
    let world = World::with(&[("A", "L1", 3)]).await;
    let plain = world.hold(order("r", &[("A", 1)])).await;
    assert!(plain.plan.is_none() && plain.policy.is_none());
    let status = world.why(&plain.reservation_id).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "NOT_SOURCED".into()));
    let status = world.why("0000000000100").await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_RESERVATION".into()));
    let status = world.why("r1").await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
}

/// A world with small segments, a sourced hold, and some 300 KB of journal after it, of which snapshots need the end alone.
async fn aged(keep: Duration) -> (World, v1::Hold) {
    let world = World::started(|config| {
        config.segment_bytes = 64 << 10;
        config.batch_bytes_max = 32 << 10;
        config.journal_keep = keep;
    })
    .await;
    world.stock(&[("A", "L1", 3)]).await;
    let hold = world.hold(sourced("r", &[("A", 1)])).await;
    for number in 0..50 {
        world.chatter(number).await;
    }
    (world, hold)
}

impl World {
    /// Two snapshots: what lies before the older of them is needed by none.
    async fn snapshots(&self) {
        for number in [100, 101] {
            self.chatter(number).await;
            self.admin().take_snapshot(v1::TakeSnapshotRequest::default()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn decisions_go_with_their_segments_and_stay_as_long_as_is_asked_for() {
    let (world, hold) = aged(Duration::ZERO).await;
    world.snapshots().await;
    let status = world.why(&hold.reservation_id).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "EXPLANATION_GONE".into()));
    let oldest: u64 = fact(&status, "oldest_lsn").parse().unwrap();
    assert!(oldest > fact(&status, "decided_lsn").parse().unwrap(), "{status:?}");

    let (world, hold) = aged(Duration::from_secs(3_600)).await;
    world.snapshots().await;
    assert!(world.why(&hold.reservation_id).await.is_ok(), "kept for an hour");
    let mut segments: Vec<_> =
        std::fs::read_dir(world.dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("wal-"));
    segments.sort();
    let before = segments.len();
    assert!(before > 3, "{segments:?}");
    let long_ago = SystemTime::now() - Duration::from_secs(3_700);
    for path in &segments[..2] {
        File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    world.snapshots().await;
    let status = world.why(&hold.reservation_id).await.unwrap_err();
    assert_eq!(class(&status), (Code::FailedPrecondition, "EXPLANATION_GONE".into()));
    assert!(!segments[0].exists() && !segments[1].exists() && segments[2].exists());
}

#[tokio::test]
async fn what_the_router_does_is_counted() {
    let world = World::with(&[("A", "L1", 3)]).await;
    world.quote(question(&[("A", 1)])).await;
    world.quote(question(&[("A", 4)])).await;
    for request_id in ["r", "r"] {
        world.hold(sourced(request_id, &[("A", 2)])).await;
    }
    world.hold(order("plain", &[("A", 1)])).await;
    refused(&world.reserve(sourced("none", &[("A", 1)])).await);
    let reading = world.node.read();
    let routes: Vec<_> = reading.routes.iter().map(|row| (row.kind, row.proof, row.outcome, row.count)).collect();
    let expected = [
        ("quote", "proved", "complete", 1),
        ("quote", "proved", "none", 1),
        ("reserve", "proved", "complete", 1),
        ("reserve", "", "none", 1),
    ];
    assert_eq!(routes, expected, "a repeat is no decision, an order without sourcing is not the router's");
    assert_eq!(reading.route_parcels.counts.iter().sum::<u64>(), 3);
    assert_eq!((reading.route_gap.counts[0], reading.route_gap.sum), (3, 0));
    let timed: Vec<_> = reading.route_duration.iter().map(|kind| kind.label).collect();
    assert_eq!(timed, ["quote", "reserve"]);
}

#[tokio::test]
async fn an_order_is_cut_into_packages() {
    let world = World::with(&[]).await;
    let skus = [("TENT", 4_000, "outdoor"), ("PEG", 50, "outdoor"), ("TEA", 200, "food")];
    let sku = |(code, weight_grams, category): (&str, i64, &str)| v1::Sku {
        code: code.into(),
        weight_grams,
        category: category.into(),
        ..Default::default()
    };
    let message = v1::UpsertSkusRequest { request_id: "goods".into(), skus: skus.map(sku).into() };
    world.catalog().upsert_skus(message).await.unwrap();
    let line = |sku: &str, quantity, kit: &str| v1::SplitLine {
        sku: sku.into(),
        quantity,
        kit: kit.into(),
        ..Default::default()
    };
    let rule = |key: v1::SplitKey, limit| v1::SplitRule { key: key.into(), limit, ..Default::default() };
    let lines = vec![line("TENT", 2, "camp"), line("PEG", 8, "camp"), line("TEA", 3, "")];
    let rules = vec![rule(v1::SplitKey::Category, 0), rule(v1::SplitKey::Weight, 5_000)];
    let message = v1::SplitRequest { lines: lines.clone(), rules, ..Default::default() };
    let split = world.routing().split(message).await.unwrap().into_inner();
    let told: Vec<String> = split
        .packages
        .iter()
        .map(|package| {
            let lines = package.lines.iter().map(|line| format!("{} {}", line.quantity, line.sku));
            format!(
                "{}: {} = {} g",
                package.path.join(", "),
                lines.collect::<Vec<_>>().join(", "),
                package.weight_grams
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "category=food: 3 TEA = 600 g",
            "category=outdoor, package 1 of 2: 1 TENT, 4 PEG = 4200 g",
            "category=outdoor, package 2 of 2: 1 TENT, 4 PEG = 4200 g",
        ]
    );
    assert_eq!(split.packages_lower_bound, 3);
    for (rules, problem) in [
        (vec![rule(v1::SplitKey::Weight, 0)], "rules[0].limit: is 0; at least 1 is needed"),
        (vec![rule(v1::SplitKey::Units, 1), rule(v1::SplitKey::Units, 2)], "rules[1].key: stands twice"),
        (vec![rule(v1::SplitKey::Carrier, 0)], "rules[0].service: is missing"),
        (vec![rule(v1::SplitKey::Weight, 4_100)], "one piece has 4200 of weight, a package may hold 4100"),
        (Vec::new(), "rules"),
    ] {
        let message = v1::SplitRequest { lines: lines.clone(), rules, ..Default::default() };
        let status = world.routing().split(message).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(problem), "{}", status.message());
    }
}

/// The tariff and the policy that the README shows.
#[tokio::test]
async fn the_examples_route_an_order() {
    let world = World::with(&[]).await;
    let region = |code: &str, parent: &str| v1::Region {
        code: code.into(),
        parent: parent.into(),
        name: code.into(),
        coordinates: None,
    };
    let regions = vec![region("330000", ""), region("330106", "330000"), region("310000", "")];
    let message = v1::UpsertRegionsRequest { request_id: "regions".into(), regions };
    world.catalog().upsert_regions(message).await.unwrap();
    let place = |code: &str, kind: v1::LocationKind, region: &str, handling_cost| v1::Location {
        code: code.into(),
        kind: kind.into(),
        region: region.into(),
        fulfilment: Some(v1::Fulfilment { handling_cost, pick_unit_cost: 30, ..Default::default() }),
        ..Default::default()
    };
    let locations = vec![
        place("HZ", v1::LocationKind::DistributionCentre, "330106", 200),
        place("HZ-ST", v1::LocationKind::Store, "330106", 100),
        place("SH", v1::LocationKind::DistributionCentre, "310000", 100),
    ];
    let message = v1::UpsertLocationsRequest { request_id: "places".into(), locations };
    world.catalog().upsert_locations(message).await.unwrap();
    let skus = ["TEE", "COAT"].map(|code| v1::Sku { code: code.into(), weight_grams: 900, ..Default::default() });
    let message = v1::UpsertSkusRequest { request_id: "skus".into(), skus: skus.into() };
    world.catalog().upsert_skus(message).await.unwrap();
    for (number, (sku, location, quantity)) in
        [("TEE", "HZ", 5), ("TEE", "HZ-ST", 9), ("TEE", "SH", 9), ("COAT", "SH", 9)].into_iter().enumerate()
    {
        let message = v1::SetStockRequest {
            request_id: format!("stock {number}"),
            sku: sku.into(),
            location: location.into(),
            bucket: v1::Bucket::OnHand.into(),
            quantity,
            ..Default::default()
        };
        world.inventory().set_stock(message).await.unwrap();
    }
    let mut policies = v1::policy_service_client::PolicyServiceClient::new(world.channel.clone());
    for (kind, name, text) in [
        (v1::DocumentKind::Tariff, "courier-2026", include_str!("../../../../examples/tariff.toml")),
        (v1::DocumentKind::Policy, "own-province-first", include_str!("../../../../examples/policy.toml")),
    ] {
        let (kind, text) = (kind.into(), text.into());
        let message = v1::DraftDocumentRequest { request_id: format!("draft {name}"), kind, text };
        policies.draft_document(message).await.unwrap();
        let request_id = format!("activate {name}");
        let message =
            v1::ActivateDocumentRequest { request_id, kind, name: name.into(), version: 1, effective_time: None };
        policies.activate_document(message).await.unwrap();
    }
    let to = |lines: &[(&str, i64)], allow_partial| {
        let destination = Some(v1::Destination { region: "330106".into(), point: None });
        let sourcing = Some(v1::Sourcing { destination, ..Default::default() });
        v1::RouteRequest { sourcing, allow_partial, ..question(lines) }
    };
    let told = |quote: &v1::Quote| {
        let plan = quote.plan.as_ref().unwrap();
        (plan.step.clone(), parcels(plan), plan.total_cost.as_ref().unwrap().minor_units)
    };
    // In the province: 200 to handle, 600 + 100 to send 1,800 g, 60 to pick. The store saves 100 of that and is 150 dearer by preference.
    let near = world.quote(to(&[("TEE", 2)], false)).await;
    assert_eq!(told(&near), ("first".into(), vec!["HZ: 2 TEE".into()], 960));
    assert_eq!(near.policy.unwrap().name, "own-province-first");
    // The coat is elsewhere, so all of it comes from there: 100, 1,200 + 500, 60.
    let far = world.quote(to(&[("TEE", 1), ("COAT", 1)], false)).await;
    assert_eq!(told(&far), ("anywhere".into(), vec!["SH: 1 TEE, 1 COAT".into()], 1_860));
    let short = world.quote(to(&[("COAT", 11)], true)).await;
    let (step, from, _) = told(&short);
    assert_eq!((step.as_str(), from), ("what there is", vec!["SH: 9 COAT".to_owned()]));
    let unserved = &short.plan.unwrap().unserved[0];
    assert_eq!((unserved.quantity, unserved.reason()), (2, v1::UnservedReason::NoStock));
}
