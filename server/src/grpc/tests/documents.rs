//! Policies, tariffs, regions and facts of cells over the wire.

use prost_types::Timestamp;
use quartermaster_proto::v1::{self, DocumentKind, DocumentState, policy_service_client::PolicyServiceClient};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use super::support::{World, class, fact};

const POLICY: &str =
    "name = 'retail'\ncurrency = 'CNY'\nrules = [{ name = 'no stores', exclude = \"location.kind == 'store'\" }]\n";

fn client(world: &World) -> PolicyServiceClient<Channel> {
    PolicyServiceClient::new(world.channel.clone())
}

fn draft(request_id: &str, kind: DocumentKind, text: &str) -> v1::DraftDocumentRequest {
    v1::DraftDocumentRequest { request_id: request_id.into(), kind: kind.into(), text: text.into() }
}

fn activate(request_id: &str, version: u32, effective_time: Option<Timestamp>) -> v1::ActivateDocumentRequest {
    let (request_id, name) = (request_id.into(), "retail".into());
    v1::ActivateDocumentRequest { request_id, kind: DocumentKind::Policy.into(), name, version, effective_time }
}

fn violations(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let wrong = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    wrong.into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.description)).collect()
}

#[tokio::test]
async fn a_policy_is_drafted_put_in_force_and_retired() {
    let world = World::with(&[]).await;
    let drafted = client(&world).draft_document(draft("d", DocumentKind::Policy, POLICY)).await.unwrap().into_inner();
    let document = drafted.document.unwrap();
    assert_eq!((document.name.as_str(), document.version, document.state()), ("retail", 1, DocumentState::Draft));
    assert_eq!((document.revision, document.json.as_str()), (drafted.position.unwrap().lsn, ""));
    let paths: Vec<&str> = drafted.findings.iter().map(|finding| finding.path.as_str()).collect();
    assert!(paths.contains(&"rules[0].exclude"), "no place is a store: {:?}", drafted.findings);
    let again = client(&world).draft_document(draft("d", DocumentKind::Policy, POLICY)).await.unwrap().into_inner();
    assert!(again.replayed && again.document == Some(document.clone()));

    let wrong = client(&world).activate_document(activate("a", 2, None)).await.unwrap_err();
    assert_eq!(class(&wrong), (Code::NotFound, "UNKNOWN_DOCUMENT".into()));
    assert_eq!((fact(&wrong, "name"), fact(&wrong, "version")), ("retail".into(), "2".into()));
    let active = client(&world).activate_document(activate("a", 1, None)).await.unwrap().into_inner().document.unwrap();
    assert_eq!((active.state(), active.effective_time.is_some()), (DocumentState::Active, true));
    let wrong = client(&world).activate_document(activate("b", 1, None)).await.unwrap_err();
    assert_eq!(class(&wrong), (Code::FailedPrecondition, "DOCUMENT_STATE".into()));
    assert_eq!(fact(&wrong, "state"), "ACTIVE");

    // The second waits: until then the first holds, and is what version 0 stands for.
    client(&world).draft_document(draft("d2", DocumentKind::Policy, POLICY)).await.unwrap();
    let later = Timestamp { seconds: 4_000_000_000, nanos: 0 };
    client(&world).activate_document(activate("a2", 2, Some(later))).await.unwrap();
    let get = v1::GetDocumentRequest { kind: DocumentKind::Policy.into(), name: "retail".into(), version: 0 };
    let held = client(&world).get_document(get.clone()).await.unwrap().into_inner().document.unwrap();
    assert_eq!(held.version, 1);
    let text: serde_json::Value = serde_json::from_str(&held.json).unwrap();
    assert_eq!((&text["name"], &text["rules"][0]["name"]), (&"retail".into(), &"no stores".into()));
    let all = client(&world).list_documents(v1::ListDocumentsRequest { kind: 0 }).await.unwrap().into_inner().documents;
    let states: Vec<_> = all.iter().map(|one| (one.version, one.state(), one.json.is_empty())).collect();
    assert_eq!(states, [(1, DocumentState::Active, true), (2, DocumentState::Active, true)]);

    let retire = |request_id: &str, version| v1::RetireDocumentRequest {
        request_id: request_id.into(),
        kind: DocumentKind::Policy.into(),
        name: "retail".into(),
        version,
    };
    let retired = client(&world).retire_document(retire("x", 1)).await.unwrap().into_inner().document.unwrap();
    assert_eq!((retired.state(), retired.effective_time), (DocumentState::Retired, active.effective_time));
    let wrong = client(&world).retire_document(retire("y", 1)).await.unwrap_err();
    assert_eq!(class(&wrong), (Code::FailedPrecondition, "DOCUMENT_STATE".into()));
    let newest = client(&world).get_document(get).await.unwrap().into_inner().document.unwrap();
    assert_eq!(newest.version, 2, "nothing is in force, so the newest is told");
    let tariffs = v1::ListDocumentsRequest { kind: DocumentKind::Tariff.into() };
    assert!(client(&world).list_documents(tariffs).await.unwrap().into_inner().documents.is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_a_document_is_told_place_by_place() {
    let world = World::with(&[]).await;
    let text = "{\"name\": \"t\", \"currency\": \"CNY\", \"services\": [{\"code\": \"std\", \"locations\": [\"L9\"], \"rates\": [{\"destinations\": [\"33\"], \"first_weight_grams\": 0, \"first_price\": -1}]}]}";
    let expected =
        ["services[0].locations[0]", "services[0].rates[0].destinations[0]", "services[0].rates[0].first_price"];
    let status = client(&world).draft_document(draft("d", DocumentKind::Tariff, text)).await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_DOCUMENT".into()));
    let told = violations(&status);
    assert!(expected.iter().all(|path| told.iter().any(|one| one.starts_with(path))), "{told:#?}");
    let lint = |text: &str, name: &str| v1::LintDocumentRequest {
        kind: DocumentKind::Tariff.into(),
        text: text.into(),
        name: name.into(),
        version: 0,
    };
    let found = client(&world).lint_document(lint(text, "")).await.unwrap().into_inner().findings;
    assert!(found.len() >= 3 && found.iter().all(|finding| finding.severity() == v1::FindingSeverity::Error));
    let found = client(&world).lint_document(lint("name = 3", "")).await.unwrap().into_inner().findings;
    assert_eq!((found.len(), found[0].severity()), (1, v1::FindingSeverity::Error));
    let status = client(&world).lint_document(lint("", "nobody")).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_DOCUMENT".into()));
    for (message, expected) in [
        (
            draft("d", DocumentKind::Unspecified, "x"),
            "kind: is missing; DOCUMENT_KIND_POLICY or DOCUMENT_KIND_TARIFF is needed",
        ),
        (draft("d", DocumentKind::Policy, ""), "text: is missing; 1 to 1,048,576 bytes are needed"),
        (
            draft("d", DocumentKind::Tariff, &"#".repeat(1_048_577)),
            "text: has 1048577 bytes; at most 1,048,576 are allowed",
        ),
    ] {
        let status = client(&world).draft_document(message).await.unwrap_err();
        assert_eq!(violations(&status), [expected]);
    }
    let status = client(&world).activate_document(activate("a", 0, None)).await.unwrap_err();
    assert_eq!(violations(&status), ["version: is missing; versions count from 1"]);
}

#[tokio::test]
async fn regions_are_kept_as_trees_and_listed_in_pages() {
    let world = World::empty().await;
    let region = |code: &str, parent: &str| v1::Region {
        code: code.into(),
        parent: parent.into(),
        name: "浙江省".into(),
        coordinates: Some(v1::LatLng { latitude: 30.265_551, longitude: 120.152_575 }),
    };
    let upsert = |request_id: &str, regions: &[v1::Region]| v1::UpsertRegionsRequest {
        request_id: request_id.into(),
        regions: regions.to_vec(),
    };
    let status = world.catalog().upsert_regions(upsert("a", &[region("3301", "33")])).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_REGION".into()));
    assert_eq!(fact(&status, "region"), "33");
    let round = [region("1", "2"), region("2", "1")];
    let status = world.catalog().upsert_regions(upsert("a", &round)).await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
    assert!(violations(&status)[0].starts_with("regions[0]: region 1 lies in a round"), "{:?}", violations(&status));
    let all = [region("3301", "33"), region("33", ""), region("330106", "3301")];
    let answer = world.catalog().upsert_regions(upsert("a", &all)).await.unwrap().into_inner();
    assert_eq!((answer.created, answer.updated, answer.replayed), (3, 0, false));
    let answer = world.catalog().upsert_regions(upsert("a", &all)).await.unwrap().into_inner();
    assert_eq!((answer.created, answer.replayed), (3, true));
    let answer = world.catalog().upsert_regions(upsert("b", &all[..1])).await.unwrap().into_inner();
    assert_eq!((answer.created, answer.updated), (0, 1));
    let mut message = v1::ListRegionsRequest { page_size: 2, page_token: String::new() };
    let first = world.catalog().list_regions(message.clone()).await.unwrap().into_inner();
    message.page_token = first.next_page_token;
    let second = world.catalog().list_regions(message).await.unwrap().into_inner();
    assert_eq!([first.regions, second.regions].concat(), all);
    assert_eq!(second.next_page_token, "");
}

#[tokio::test]
async fn facts_of_cells_are_set_all_or_none() {
    let world = World::with(&[("A", "L1", 5)]).await;
    let facts = |location: &str| v1::CellFacts {
        sku: "A".into(),
        location: location.into(),
        weekly_demand_milli: Some(1_500),
        oldest_receipt_date: "2026-11-11".into(),
    };
    let set = |locations: &[&str]| v1::SetCellFactsRequest {
        request_id: "f".into(),
        facts: locations.iter().map(|location| facts(location)).collect(),
    };
    let status = world.inventory().set_cell_facts(set(&["L1", "L9"])).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_LOCATION".into()));
    let answer = world.inventory().set_cell_facts(set(&["L1", "L2"])).await.unwrap().into_inner();
    assert_eq!((answer.cells, answer.replayed), (2, false));
    let answer = world.inventory().set_cell_facts(set(&["L1", "L2"])).await.unwrap().into_inner();
    assert_eq!((answer.cells, answer.replayed), (2, true));
}
