//! Campaigns and deduction through a real server.

use prost_types::{Duration, Timestamp};
use quartermaster_proto::v1::{self, upsert_campaigns_response::Outcome};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::support::{World, order};

/// Seconds from now.
fn at(world: &World, seconds: i64) -> Option<Timestamp> {
    let now = i64::try_from(world.node.now().0 / 1_000_000).unwrap();
    Some(Timestamp { seconds: now + seconds, nanos: 0 })
}

/// A campaign that runs, of so many units of A.
fn campaign(world: &World, units: i64) -> v1::Campaign {
    let tranche = v1::CampaignTranche { release_time: None, quantity: units };
    v1::Campaign {
        code: "sale".into(),
        channel: "app".into(),
        start_time: at(world, -10),
        end_time: at(world, 3_600),
        buyer_limit: 2,
        items: vec![v1::CampaignItem { sku: "A".into(), tranches: vec![tranche] }],
        ..Default::default()
    }
}

fn request(id: &str, campaign: v1::Campaign) -> v1::UpsertCampaignsRequest {
    v1::UpsertCampaignsRequest { request_id: id.into(), campaigns: vec![campaign], clip: false }
}

async fn upsert(world: &World, id: &str, campaign: v1::Campaign) -> Result<v1::UpsertCampaignsResponse, Status> {
    world.campaigns().upsert_campaigns(request(id, campaign)).await.map(tonic::Response::into_inner)
}

fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    details.bad_request().into_iter().flat_map(|bad| &bad.field_violations).map(|wrong| wrong.field.clone()).collect()
}

fn reason(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    (status.code(), details.error_info().map(|info| info.reason.clone()).unwrap_or_default())
}

fn sale(id: &str, buyer: &str, units: i64) -> v1::ReserveRequest {
    v1::ReserveRequest { campaign: "sale".into(), buyer_id: buyer.into(), ..order(id, &[("A", units)]) }
}

fn refused(answer: v1::ReserveResponse) -> v1::Rejection {
    match answer.outcome {
        Some(v1::reserve_response::Outcome::Rejection(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_wrong_field_of_a_campaign_is_named() {
    let world = World::with(&[("A", "L1", 10)]).await;
    let good = campaign(&world, 5);
    let tranche = |release_time, quantity| v1::CampaignTranche { release_time, quantity };
    let item = |sku: &str, tranches| v1::CampaignItem { sku: sku.into(), tranches };
    let cases: Vec<(v1::Campaign, &str)> = vec![
        (v1::Campaign { code: String::new(), ..good.clone() }, "campaigns[0].code"),
        (v1::Campaign { start_time: None, ..good.clone() }, "campaigns[0].start_time"),
        (v1::Campaign { end_time: None, ..good.clone() }, "campaigns[0].end_time"),
        (v1::Campaign { end_time: at(&world, -20), ..good.clone() }, "campaigns[0].end_time"),
        (v1::Campaign { items: Vec::new(), ..good.clone() }, "campaigns[0].items"),
        (v1::Campaign { buyer_limit: -1, ..good.clone() }, "campaigns[0].buyer_limit"),
        (v1::Campaign { order_limit: 1 << 32, ..good.clone() }, "campaigns[0].order_limit"),
        (v1::Campaign { items: vec![item("", vec![tranche(None, 1)])], ..good.clone() }, "campaigns[0].items[0].sku"),
        (v1::Campaign { items: vec![item("A", Vec::new())], ..good.clone() }, "campaigns[0].items[0].tranches"),
        (
            v1::Campaign { items: vec![item("A", vec![tranche(None, 0)])], ..good.clone() },
            "campaigns[0].items[0].tranches[0].quantity",
        ),
        (
            v1::Campaign { items: vec![item("A", vec![tranche(at(&world, 4_000), 1)])], ..good.clone() },
            "campaigns[0].items[0].tranches[0].release_time",
        ),
        (v1::Campaign { items: vec![item("A", vec![tranche(None, 1)]); 2], ..good.clone() }, "campaigns[0].items[1]"),
    ];
    for (place, (wrong, field)) in cases.into_iter().enumerate() {
        let status = upsert(&world, &format!("wrong{place}"), wrong).await.unwrap_err();
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]));
    }
    let none = v1::UpsertCampaignsRequest { request_id: "none".into(), ..Default::default() };
    let status = world.campaigns().upsert_campaigns(none).await.unwrap_err();
    assert_eq!(fields(&status), ["campaigns"]);
    let status = world.campaigns().end_campaign(v1::EndCampaignRequest::default()).await.unwrap_err();
    assert_eq!(fields(&status), ["request_id", "code"]);
    let status = world.campaigns().get_campaign(v1::GetCampaignRequest::default()).await.unwrap_err();
    assert_eq!(fields(&status), ["code"]);
    let wrong = v1::ListCampaignsRequest { page_size: 101, ..Default::default() };
    let status = world.campaigns().list_campaigns(wrong).await.unwrap_err();
    assert_eq!(fields(&status), ["page_size"]);
}

#[tokio::test]
async fn what_a_campaign_names_must_be_there() {
    let world = World::with(&[("A", "L1", 10)]).await;
    let good = campaign(&world, 5);
    let items = vec![v1::CampaignItem { sku: "X".into(), ..good.items[0].clone() }];
    let status = upsert(&world, "sku", v1::Campaign { items, ..good.clone() }).await.unwrap_err();
    assert_eq!(reason(&status), (Code::NotFound, "UNKNOWN_SKU".into()));
    let status = upsert(&world, "channel", v1::Campaign { channel: "x".into(), ..good.clone() }).await.unwrap_err();
    assert_eq!(reason(&status), (Code::NotFound, "UNKNOWN_CHANNEL".into()));
    let past = v1::Campaign { start_time: at(&world, -20), end_time: at(&world, -10), ..good.clone() };
    let status = upsert(&world, "past", past).await.unwrap_err();
    assert_eq!(reason(&status), (Code::FailedPrecondition, "CAMPAIGN_TIMES".into()));
    let unknown = v1::GetCampaignRequest { code: "sale".into() };
    let status = world.campaigns().get_campaign(unknown).await.unwrap_err();
    assert_eq!(reason(&status), (Code::NotFound, "UNKNOWN_CAMPAIGN".into()));
    let status = world.allocation().reserve(sale("r", "ann", 1)).await.unwrap_err();
    assert_eq!(reason(&status), (Code::NotFound, "UNKNOWN_CAMPAIGN".into()));
    let answer = upsert(&world, "much", campaign(&world, 11)).await.unwrap();
    let Some(Outcome::Rejection(rejection)) = answer.outcome else { panic!("there are ten") };
    assert_eq!(rejection.reason(), v1::RejectionReason::CampaignNotStocked);
    let facts = rejection.campaign.unwrap();
    assert_eq!((facts.sku.as_str(), facts.requested, facts.available), ("A", 11, 10));
}

#[tokio::test]
async fn a_campaign_runs_from_its_making_to_its_end() {
    let world = World::with(&[("A", "L1", 10)]).await;
    // Made once: its times are those of the second in which it is made.
    let made = campaign(&world, 3);
    let answer = upsert(&world, "put", made.clone()).await.unwrap();
    let Some(Outcome::Done(done)) = answer.outcome.clone() else { panic!("{answer:?}") };
    assert_eq!((done.created, done.updated, done.campaigns.len()), (1, 0, 1));
    assert!(upsert(&world, "put", made).await.unwrap().replayed);

    let hold = world.hold(sale("r1", "ann", 2)).await;
    assert_eq!((hold.state(), hold.place_in_line), (v1::ReservationState::Held, 0));
    let no = refused(world.reserve(sale("r2", "ann", 1)).await);
    assert_eq!(no.reason(), v1::RejectionReason::BuyerLimitReached);
    let facts = no.campaign.unwrap();
    assert_eq!((facts.limit, facts.taken, facts.requested), (2, 2, 1));
    let status = world.allocation().reserve(sale("r3", "", 1)).await.unwrap_err();
    assert_eq!(fields(&status), ["buyer_id"]);
    let no = refused(world.reserve(sale("r4", "bob", 2)).await);
    assert_eq!(no.reason(), v1::RejectionReason::CampaignSoldOut);
    assert_eq!(no.campaign.map(|facts| facts.available), Some(1));

    let wait = v1::ReserveRequest { wait: true, ..sale("r5", "bob", 2) };
    let waits = world.hold(wait).await;
    assert_eq!((waits.state(), waits.place_in_line), (v1::ReservationState::Waiting, 1));
    let get = v1::GetReservationRequest { reservation_id: waits.reservation_id.clone() };
    let found = world.allocation().get_reservation(get.clone()).await.unwrap().into_inner().reservation.unwrap();
    assert_eq!((found.state(), found.place_in_line), (v1::ReservationState::Waiting, 1));
    assert_eq!((found.campaign.as_str(), found.wanted.len(), found.wanted[0].quantity), ("sale", 1, 2));

    let release = v1::ReleaseRequest { request_id: "x".into(), reservation_id: hold.reservation_id };
    world.allocation().release(release).await.unwrap();
    world.node.engine().settle_campaigns(world.node.now(), 100).unwrap();
    let found = world.allocation().get_reservation(get).await.unwrap().into_inner().reservation.unwrap();
    assert_eq!((found.state(), found.place_in_line, found.wanted.len()), (v1::ReservationState::Held, 0, 0));

    let shown = v1::GetCampaignRequest { code: "sale".into() };
    let status = world.campaigns().get_campaign(shown).await.unwrap().into_inner().campaign.unwrap();
    assert_eq!((status.state(), status.buyers), (v1::CampaignState::Running, 1));
    let item = &status.items[0];
    assert_eq!((item.allotted, item.released, item.held, item.remaining), (3, 3, 2, 1));
    assert_eq!((item.granted, item.given_back, item.waiting), (4, 2, 0));
    let pace = status.pace.unwrap();
    assert_eq!((pace.granted.len(), pace.granted.iter().sum::<i64>(), pace.refused.iter().sum::<i64>()), (60, 2, 2));
    assert_eq!(pace.refusals.len(), 2);

    let end = v1::EndCampaignRequest { request_id: "end".into(), code: "sale".into() };
    let ended = world.campaigns().end_campaign(end.clone()).await.unwrap().into_inner();
    assert_eq!((ended.returned, ended.buyers, ended.replayed), (1, 1, false));
    assert!(world.campaigns().end_campaign(end).await.unwrap().into_inner().replayed);
    let again = v1::EndCampaignRequest { request_id: "end2".into(), code: "sale".into() };
    let status = world.campaigns().end_campaign(again).await.unwrap_err();
    assert_eq!(reason(&status), (Code::FailedPrecondition, "CAMPAIGN_OVER".into()));
    let no = refused(world.reserve(sale("r6", "eve", 1)).await);
    assert_eq!(no.reason(), v1::RejectionReason::CampaignEnded);
    let open = v1::ListCampaignsRequest { open_only: true, ..Default::default() };
    assert!(world.campaigns().list_campaigns(open).await.unwrap().into_inner().campaigns.is_empty());
    let all = world.campaigns().list_campaigns(v1::ListCampaignsRequest::default()).await.unwrap().into_inner();
    assert_eq!(all.campaigns.len(), 1);
}

#[tokio::test]
async fn a_channel_says_when_it_deducts() {
    let world = World::with(&[("A", "L1", 3)]).await;
    let channel = |code: &str, deduction: v1::Deduction, seconds| v1::Channel {
        code: code.into(),
        deduction: deduction.into(),
        hold_ttl: Some(Duration { seconds, nanos: 0 }),
        ..Default::default()
    };
    let channels = vec![channel("order", v1::Deduction::OnOrder, 60), channel("pay", v1::Deduction::OnPayment, 60)];
    let message = v1::UpsertChannelsRequest { request_id: "more".into(), channels };
    world.catalog().upsert_channels(message).await.unwrap();
    let listed = world.catalog().list_channels(v1::ListChannelsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.channels.last().map(|last| (last.deduction(), last.hold_ttl)), {
        Some((v1::Deduction::OnPayment, Some(Duration { seconds: 60, nanos: 0 })))
    });
    for (wrong, field) in [
        (v1::Channel { deduction: 9, ..channel("w", v1::Deduction::Hold, 60) }, "channels[0].deduction"),
        (channel("w", v1::Deduction::Hold, 0), "channels[0].hold_ttl"),
    ] {
        let message = v1::UpsertChannelsRequest { request_id: field.into(), channels: vec![wrong] };
        assert_eq!(fields(&world.catalog().upsert_channels(message).await.unwrap_err()), [field]);
    }
    let through =
        |id: &str, channel: &str, units| v1::ReserveRequest { channel: channel.into(), ..order(id, &[("A", units)]) };
    let at_once = world.hold(through("o", "order", 1)).await;
    assert_eq!((at_once.state(), at_once.expire_time), (v1::ReservationState::Confirmed, None));
    let placed = [world.hold(through("p1", "pay", 2)).await, world.hold(through("p2", "pay", 2)).await];
    assert_eq!((placed[0].state(), placed[0].allocations.len()), (v1::ReservationState::Placed, 0));
    assert_eq!(world.available("A").await, 2);
    let [first, second] = placed.map(|placed| placed.reservation_id);
    let extend = v1::ExtendRequest {
        request_id: "e".into(),
        reservation_id: first.clone(),
        ttl: Some(Duration { seconds: 600, nanos: 0 }),
    };
    let told = world.allocation().extend(extend).await.unwrap().into_inner().outcome;
    let Some(v1::extend_response::Outcome::Update(update)) = told else { panic!("{told:?}") };
    assert_eq!(update.state(), v1::ReservationState::Placed);
    let confirm = |id: &str, reservation_id: &str| v1::ConfirmRequest {
        request_id: id.into(),
        reservation_id: reservation_id.into(),
    };
    let told = world.allocation().confirm(confirm("c1", &first)).await.unwrap().into_inner().outcome;
    let Some(v1::confirm_response::Outcome::Update(update)) = told else { panic!("{told:?}") };
    assert_eq!((update.state(), update.allocations.len()), (v1::ReservationState::Confirmed, 1));
    let told = world.allocation().confirm(confirm("c2", &second)).await.unwrap().into_inner().outcome;
    let Some(v1::confirm_response::Outcome::Rejection(no)) = told else { panic!("{told:?}") };
    assert_eq!(no.reason(), v1::RejectionReason::InsufficientStock);
    let wait = v1::ReserveRequest { wait: true, ..through("w", "app", 1) };
    assert_eq!(fields(&world.allocation().reserve(wait).await.unwrap_err()), ["wait"]);
    let sourced = v1::ReserveRequest { sourcing: Some(v1::Sourcing::default()), ..through("s", "pay", 1) };
    let status = world.allocation().reserve(sourced).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}
