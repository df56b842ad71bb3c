//! Stock rules over the wire: put, refused field by field, shown, and what they do.

use quartermaster_proto::v1::{self, rules_service_client::RulesServiceClient};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use super::support::{World, class, fact, held, order, refused};

fn client(world: &World) -> RulesServiceClient<Channel> {
    RulesServiceClient::new(world.channel.clone())
}

fn put(request_id: &str, text: &str) -> v1::PutStockRulesRequest {
    v1::PutStockRulesRequest { request_id: request_id.into(), text: text.into(), ..Default::default() }
}

fn violations(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let wrong = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    wrong.into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.description)).collect()
}

/// What the timer does, now.
fn settle(world: &World) {
    world.node.engine().settle_rules(world.node.now(), usize::MAX).unwrap();
}

async fn effects(world: &World) -> Vec<v1::RuleEffects> {
    client(world).list_rule_effects(v1::ListRuleEffectsRequest::default()).await.unwrap().into_inner().skus
}

const KEEP: &str = "[[rules]]\nname = 'one'\nscope.locations = ['L1']\nkeep.units = 2\n\
                    [[rules]]\nname = 'other'\nkeep.percent = 10\n";

#[tokio::test]
async fn rules_keep_units_back_and_say_so() {
    let world = World::with(&[("A", "L1", 10), ("A", "L2", 5), ("B", "L1", 50)]).await;
    let none = client(&world).get_stock_rules(v1::GetStockRulesRequest {}).await.unwrap().into_inner();
    assert_eq!((none.version, none.json.as_str(), none.put_time), (0, "", None));
    let answer = client(&world).put_stock_rules(put("p", KEEP)).await.unwrap().into_inner();
    assert_eq!((answer.version, answer.replayed, answer.findings.len(), answer.preview), (1, false, 0, None));
    let again = client(&world).put_stock_rules(put("p", KEEP)).await.unwrap().into_inner();
    assert_eq!((again.version, again.replayed, again.position), (1, true, answer.position));
    settle(&world);
    let cells = v1::ListCellsRequest { sku: "A".into(), ..Default::default() };
    let cells = world.inventory().list_cells(cells).await.unwrap().into_inner().cells;
    let kept: Vec<_> =
        cells.iter().map(|cell| (cell.location.as_str(), cell.safety, cell.kept, cell.available)).collect();
    assert_eq!(kept, [("L1", 0, 2, 8), ("L2", 0, 1, 4)]);
    assert_eq!(world.available("A").await, 12);
    assert_eq!(refused(&world.reserve(order("r", &[("A", 13)])).await).shortages[0].available, 12);
    assert_eq!(held(&world.reserve(order("r", &[("A", 12)])).await).allocations.len(), 2);
    let told = effects(&world).await;
    let cell = |location: &str, kept, rule: &str| v1::KeptUnits {
        location: location.into(),
        kept,
        safety: 0,
        rule: rule.into(),
    };
    assert_eq!(told[0].cells, [cell("L1", 2, "one"), cell("L2", 1, "other")]);
    assert_eq!((told.len(), told[1].sku.as_str(), &told[1].cells[..]), (2, "B", &[cell("L1", 5, "other")][..]));
    assert!(told.iter().all(|one| one.settled && one.unanswered == 0));
    let shown = client(&world).get_stock_rules(v1::GetStockRulesRequest {}).await.unwrap().into_inner();
    assert_eq!((shown.version, shown.rules, shown.rules_holding, shown.skus_waiting), (1, 2, 2, 0));
    let text: serde_json::Value = serde_json::from_str(&shown.json).unwrap();
    assert_eq!((&text["rules"][1]["name"], &text["rules"][1]["keep"]["percent"]), (&"other".into(), &10.into()));
    assert_eq!(Some(shown.revision), answer.position.map(|position| position.lsn));
}

#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() {
    let world = World::with(&[("A", "L1", 10), ("B", "L2", 50)]).await;
    let text = format!(
        "{KEEP}[[rules]]\nname = 'hats'\nscope.categories = ['hats']\nleave = {{ channel = 'app', units = 1 }}"
    );
    let request = v1::PutStockRulesRequest { dry_run: true, ..put("", &text) };
    let answer = client(&world).put_stock_rules(request.clone()).await.unwrap().into_inner();
    let preview = answer.preview.unwrap();
    assert_eq!((answer.version, preview.skus, preview.cells, preview.kept_before, preview.kept_after), (0, 2, 2, 0, 7));
    assert_eq!(preview.examples[1].sku, "B");
    assert_eq!((preview.examples[1].cells[0].location.as_str(), preview.examples[1].cells[0].kept), ("L2", 5));
    let found: Vec<_> =
        answer.findings.iter().map(|one| (one.severity(), one.path.as_str(), one.message.as_str())).collect();
    assert_eq!(found, [(v1::FindingSeverity::Warning, "rules.hats.scope", "no SKU fits it")]);
    assert!(effects(&world).await.is_empty());
    let shown = client(&world).get_stock_rules(v1::GetStockRulesRequest {}).await.unwrap().into_inner();
    assert_eq!(shown.version, 0);
    let wrong = v1::PutStockRulesRequest { text: "[[rules]]\nname = 'r'".into(), ..request };
    let status = client(&world).put_stock_rules(wrong).await.unwrap_err();
    assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_STOCK_RULES".into()));
}

#[tokio::test]
async fn what_is_wrong_with_a_set_is_told_place_by_place() {
    let world = World::with(&[("A", "L1", 10)]).await;
    for (rule, expected) in [
        ("keep = {}", "rules[0].keep: must have exactly one of units, percent and formula; it has 0"),
        ("keep.percent = 101", "rules[0].keep.percent: is 101: 0 to 100 is allowed"),
        ("scope.locations = ['X']\nkeep.units = 1", "rules[0].scope.locations[0]: there is no location \"X\""),
        (
            "scope.kinds = ['x']\nkeep.units = 1",
            "rules[0].scope.kinds[0]: there is no kind \"x\"; known are distribution_centre, forward_warehouse, store, third_party, supplier",
        ),
        ("allot = { channel = 'x', percent = 1 }", "rules[0].allot.channel: there is no channel \"x\""),
        ("leave = { channel = 'x', units = 1 }", "rules[0].leave.channel: there is no channel \"x\""),
        ("windows = ['w']\nkeep.units = 1", "rules[0].windows[0]: there is no window \"w\""),
        (
            "from = '2026-01-02T00:00:00Z'\nuntil = '2026-01-01T00:00:00Z'\nkeep.units = 1",
            "rules[0].until: must be later than from",
        ),
        ("keep.formula = 'stock.on_hand > 1'", "rules[0].keep.formula: the result of > is a bool, an int is needed"),
        (
            "keep.formula = 'stock.many'",
            "rules[0].keep.formula: stock has no field \"many\"; it has on_hand, sellable, safety, incoming, cells",
        ),
        (
            "keep.units = 1\nleave = { channel = 'app', units = 1 }",
            "rules[0]: must have exactly one of keep, allot and leave; it has 2",
        ),
        (
            "keep.many = 1",
            "text: line 3, column 6: unknown field `many`, expected one of `units`, `percent`, `formula`",
        ),
        ("keep.units = 1.5", "text: line 3, column 14: invalid type: floating point `1.5`, expected u32"),
        (
            "from = 'soon'\nkeep.units = 1",
            "text: line 3, column 8: \"soon\" is no time: write it as in 2026-11-11T00:00:00+08:00",
        ),
    ] {
        let status =
            client(&world).put_stock_rules(put("p", &format!("[[rules]]\nname = 'r'\n{rule}"))).await.unwrap_err();
        assert_eq!(class(&status), (Code::InvalidArgument, "INVALID_STOCK_RULES".into()));
        assert_eq!(violations(&status), [expected], "{rule}");
    }
    for (request, expected) in [
        (put("", ""), "request_id: is missing; 1 to 64 bytes are needed"),
        (put("p", &"#".repeat(262_145)), "text: has 262145 bytes; at most 262,144 are allowed"),
    ] {
        let status = client(&world).put_stock_rules(request).await.unwrap_err();
        assert_eq!(violations(&status), [expected]);
    }
    let expected = |version| v1::PutStockRulesRequest { expected_version: Some(version), ..put("v", KEEP) };
    let status = client(&world).put_stock_rules(expected(3)).await.unwrap_err();
    assert_eq!(class(&status), (Code::Aborted, "STOCK_RULES_VERSION".into()));
    assert_eq!((fact(&status, "version"), fact(&status, "expected")), ("0".into(), "3".into()));
    assert_eq!(client(&world).put_stock_rules(expected(0)).await.unwrap().into_inner().version, 1);

    let list = |skus: &[&str], page_size, page_token: &str| v1::ListRuleEffectsRequest {
        skus: skus.iter().map(|sku| (*sku).into()).collect(),
        page_size,
        page_token: page_token.into(),
    };
    for (request, expected) in [
        (list(&[], 501, ""), "page_size: is 501; 1 to 500 are allowed, 0 for 100"),
        (list(&["A", "A"], 0, ""), "skus[1]: repeats \"A\" of skus[0]"),
        (
            list(&[], 0, "x"),
            "page_token: is not from the page before; send the same filters and the token as it was given",
        ),
    ] {
        let status = client(&world).list_rule_effects(request).await.unwrap_err();
        assert_eq!(violations(&status), [expected]);
    }
    let status = client(&world).list_rule_effects(list(&["X"], 0, "")).await.unwrap_err();
    assert_eq!(class(&status), (Code::NotFound, "UNKNOWN_SKU".into()));
}

#[tokio::test]
async fn a_channel_leaves_units_and_is_allotted_some() {
    let world = World::with(&[("A", "L1", 10), ("B", "L1", 10), ("C", "L1", 10)]).await;
    let channel = v1::Channel { code: "app".into(), active: Some(true), safety_units: 3, ..Default::default() };
    let upsert = |request_id: &str, channel: &v1::Channel| v1::UpsertChannelsRequest {
        request_id: request_id.into(),
        channels: vec![channel.clone()],
    };
    let wrong = v1::Channel { safety_units: -1, ..channel.clone() };
    let status = world.catalog().upsert_channels(upsert("w", &wrong)).await.unwrap_err();
    assert_eq!(violations(&status), ["channels[0].safety_units: is -1; 0 to 4,294,967,295 are allowed"]);
    world.catalog().upsert_channels(upsert("c", &channel)).await.unwrap();
    let listed = world.catalog().list_channels(v1::ListChannelsRequest::default()).await.unwrap().into_inner().channels;
    assert_eq!(listed[0].safety_units, 3);
    let from_app =
        |request_id: &str, units| v1::ReserveRequest { channel: "app".into(), ..order(request_id, &[("A", units)]) };
    assert_eq!(refused(&world.reserve(from_app("a", 8)).await).shortages[0].available, 7);
    let text = "[[rules]]\nname = 'leave'\nscope.skus = ['A']\nleave = { channel = 'app', units = 6 }\n\
                [[rules]]\nname = 'share'\nscope.skus = ['B']\nallot = { channel = 'app', percent = \"12.5\", spill_over = true }";
    client(&world).put_stock_rules(put("p", text)).await.unwrap();
    settle(&world);
    assert_eq!(refused(&world.reserve(from_app("b", 5)).await).shortages[0].available, 4);
    held(&world.reserve(from_app("b", 4)).await);
    let first = v1::ListRuleEffectsRequest { page_size: 1, ..Default::default() };
    let first = client(&world).list_rule_effects(first).await.unwrap().into_inner();
    assert_eq!(first.skus[0].leaves, [v1::LeftUnits { channel: "app".into(), units: 6, rule: "leave".into() }]);
    let rest = v1::ListRuleEffectsRequest { page_token: first.next_page_token, ..Default::default() };
    let rest = client(&world).list_rule_effects(rest).await.unwrap().into_inner();
    let quota =
        v1::RuledQuota { channel: "app".into(), quota: Some(1), ceiling: None, spill_over: true, rule: "share".into() };
    assert_eq!((rest.skus.len(), &rest.skus[0].allotments[..], rest.next_page_token.as_str()), (1, &[quota][..], ""));
}

#[tokio::test]
async fn the_timer_puts_rules_in_their_place() {
    let world = World::with(&[("A", "L1", 10)]).await;
    client(&world).put_stock_rules(put("p", KEEP)).await.unwrap();
    // The server's own tick: nobody calls for it here.
    while world.available("A").await != 8 {
        tokio::task::yield_now().await;
    }
}
