//! Who asked for a change is in the log, whatever the change and whichever way it came: every method that changes something, in one working day.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use quartermaster_server::methods::Methods;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Server, command};

/// A server that knows one token, and what was called on it.
struct Day {
    server: Server,
    token: String,
    called: BTreeSet<String>,
    /// Request ids of changes that were made.
    made: BTreeSet<String>,
}

impl Day {
    fn begin(dir: &Path, data: &Path) -> Day {
        let made = command(&["token", "new", "night shift", "--role", "admin"]).output().unwrap();
        assert!(made.status.success());
        let said = String::from_utf8(made.stderr).unwrap();
        let lines: String =
            said.lines().skip_while(|line| !line.starts_with("[[")).take(4).map(|line| format!("{line}\n")).collect();
        let file = dir.join("tokens.toml");
        std::fs::write(&file, lines).unwrap();
        let server = Server::try_start(data, &["--tokens-file", file.to_str().unwrap()]);
        let server = server.unwrap_or_else(|(said, status)| panic!("{status}: {said}"));
        let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        Day { server, token, called: BTreeSet::new(), made: BTreeSet::new() }
    }

    /// Calls a method that changes something, whose messages each have a request id of their own; gives the first answer.
    fn change(&mut self, method: &str, messages: &[Value]) -> Value {
        self.called.insert(method.to_owned());
        for message in messages {
            for one in message.get("requests").and_then(Value::as_array).unwrap_or(&vec![message.clone()]) {
                self.made.extend(one["requestId"].as_str().map(str::to_owned));
            }
        }
        let body: Vec<String> = messages.iter().map(Value::to_string).collect();
        let answer = self.post(method, &body.join("\n"));
        let first: Value = serde_json::from_str(answer.lines().next().unwrap()).unwrap();
        assert!(first.get("rejection").is_none(), "{method}: {first}");
        first
    }

    fn one(&mut self, method: &str, message: Value) -> Value {
        self.change(method, &[message])
    }

    fn post(&self, method: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.server.address).unwrap();
        write!(
            stream,
            "POST /quartermaster.v1.{method} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n\
             authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{method}: {answer}");
        // A stream comes in chunks: the first is its first message.
        let chunked = head.to_lowercase().contains("chunked");
        if chunked { body.split_once("\r\n").unwrap().1.to_owned() } else { body.to_owned() }
    }

    fn hold(&mut self, id: &str, sku: &str, quantity: u32) -> String {
        let lines = json!([{ "sku": sku, "quantity": quantity, "location": "L1" }]);
        let held = self.one(
            "AllocationService/Reserve",
            json!({ "requestId": id, "buyerId": "b", "channel": "web", "lines": lines }),
        );
        held["hold"]["reservationId"].as_str().unwrap_or_else(|| panic!("{held}")).to_owned()
    }

    fn step(&mut self, method: &str, id: &str, reservation: &str, more: &Value) -> Value {
        let mut message = json!({ "requestId": id, "reservationId": reservation });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.one(&format!("AllocationService/{method}"), message)
    }
}

fn catalogue(day: &mut Day) {
    day.one("CatalogService/UpsertRegions", json!({ "requestId": "regions", "regions": [{ "code": "R" }] }));
    let cost = json!({ "handlingCost": 500 });
    let places = json!([{ "code": "L1", "fulfilment": cost }, { "code": "L2" }]);
    day.one("CatalogService/UpsertLocations", json!({ "requestId": "locations", "locations": places }));
    let skus = json!([{ "code": "A" }, { "code": "B" }, { "code": "C" }, { "code": "OLD" }]);
    day.one("CatalogService/UpsertSkus", json!({ "requestId": "skus", "skus": skus }));
    let channels = json!([{ "code": "web" }, { "code": "app" }]);
    day.one("CatalogService/UpsertChannels", json!({ "requestId": "channels", "channels": channels }));
    day.one("CatalogService/RetireSkus", json!({ "requestId": "retire", "skus": ["OLD"] }));
    let rows = |sku: &str| json!({ "sku": sku, "location": "L1", "onHand": 100 });
    day.one(
        "InventoryService/ImportStock",
        json!({ "requestId": "import", "rows": [rows("A"), rows("B"), rows("C")] }),
    );
    let cell = |id: &str, more: Value| {
        let mut message = json!({ "requestId": id, "sku": "A", "location": "L2" });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    day.one("InventoryService/SetStock", cell("set", json!({ "bucket": "BUCKET_ON_HAND", "quantity": 50 })));
    day.one("InventoryService/AdjustStock", cell("adjust", json!({ "bucket": "BUCKET_ON_HAND", "delta": 5 })));
    let between = json!({ "from": "BUCKET_SELLABLE", "to": "BUCKET_DAMAGED", "quantity": 1 });
    let receipt = json!([{ "sku": "A", "location": "L2", "quantity": 5 }]);
    day.one("InventoryService/ReceiveStock", json!({ "requestId": "receive", "receipts": receipt }));
    day.one("InventoryService/MoveStock", cell("move", between));
    let facts = json!([{ "sku": "A", "location": "L2", "weeklyDemandMilli": 1000 }]);
    day.one("InventoryService/SetCellFacts", json!({ "requestId": "facts", "facts": facts }));
    let counted = json!([{ "sku": "B", "counted": 99 }]);
    day.one("InventoryService/CountStock", json!({ "requestId": "count", "location": "L1", "rows": counted }));
}

fn selling(day: &mut Day) {
    let order = |id: &str| json!({ "requestId": id, "lines": [{ "sku": "A", "quantity": 1 }] });
    day.one("AllocationService/ReserveBatch", json!({ "requests": [order("batch-1"), order("batch-2")] }));
    let streamed = [json!({ "requests": [order("stream-1")] }), json!({ "requests": [order("stream-2")] })];
    day.change("AllocationService/ReserveStream", &streamed);
    let none = json!({});
    let released = day.hold("r1", "A", 1);
    day.step("Extend", "extend", &released, &json!({ "ttl": "600s" }));
    day.step("Release", "release", &released, &none);
    let moved = day.hold("r2", "A", 2);
    day.step("Confirm", "confirm", &moved, &none);
    let to = json!({ "sku": "A", "fromLocation": "L1", "toLocation": "L2", "quantity": 1 });
    day.step("Reassign", "reassign", &moved, &to);
    let one = json!({ "lines": [{ "sku": "A", "location": "L2", "quantity": 1 }] });
    day.step("Cancel", "cancel", &moved, &one);
    day.step("Ship", "ship", &moved, &none);
}

fn returns(day: &mut Day) {
    let none = json!({});
    let sold = day.hold("r3", "B", 9);
    day.step("Confirm", "confirm-3", &sold, &none);
    day.step("Ship", "ship-3", &sold, &none);
    let announce =
        |id: &str| json!({ "requestId": id, "reservationId": sold, "lines": [{ "sku": "B", "quantity": 1 }] });
    let back = |answer: &Value| answer["update"]["returnId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    let first = back(&day.one("ReturnService/AnnounceReturn", announce("announce-1")));
    let lines = json!([{ "sku": "B", "quantity": 1 }]);
    let arrived = json!({ "requestId": "arrived", "returnId": first, "location": "L1", "lines": lines });
    day.one("ReturnService/ReceiveReturn", arrived);
    let good = json!([{ "sku": "B", "location": "L1", "quantity": 1, "disposition": "DISPOSITION_RESTOCK" }]);
    day.one("ReturnService/InspectReturn", json!({ "requestId": "inspect", "returnId": first, "lines": good }));
    let second = back(&day.one("ReturnService/AnnounceReturn", announce("announce-2")));
    day.one("ReturnService/CancelReturn", json!({ "requestId": "cancel-return", "returnId": second }));
    let found = json!({ "requestId": "unmatched", "location": "L1", "lines": lines });
    day.one("ReturnService/ReceiveUnmatchedReturn", found);
    let mut announce = announce("");
    announce.as_object_mut().unwrap().remove("requestId");
    let other = json!({ "buyerId": "b", "lines": [{ "sku": "C", "quantity": 1, "location": "L1" }] });
    day.one("ReturnService/ExchangeReturn", json!({ "requestId": "exchange", "announce": announce, "reserve": other }));
}

fn supply(day: &mut Day) {
    let lines = json!([{ "sku": "C", "quantity": 10 }]);
    let document = |id: &str, code: &str| {
        let (kind, eta) = ("INBOUND_KIND_PURCHASE", "2099-01-01T00:00:00Z");
        json!({ "requestId": id, "code": code, "kind": kind, "location": "L1", "eta": eta, "lines": lines })
    };
    day.one("SupplyService/AnnounceInbound", document("inbound-1", "P1"));
    day.one("SupplyService/AnnounceInbound", document("inbound-2", "P2"));
    let eta = "2099-02-01T00:00:00Z";
    day.one("SupplyService/ChangeInbound", json!({ "requestId": "change", "code": "P1", "eta": eta }));
    day.one("SupplyService/ReceiveInbound", json!({ "requestId": "receive-1", "code": "P1", "lines": lines }));
    day.one("SupplyService/CancelInbound", json!({ "requestId": "cancel-2", "code": "P2" }));
    let sent = json!({
        "requestId": "transfer", "code": "T1", "fromLocation": "L1", "toLocation": "L2", "eta": eta, "lines": lines
    });
    day.one("SupplyService/ShipTransfer", sent);
}

fn shares(day: &mut Day) {
    let (goods, web, app) = (json!({ "sku": "C" }), json!({ "channel": "web" }), json!({ "channel": "app" }));
    let set = json!([{ "goods": goods, "node": web, "quantity": 20 }, { "goods": goods, "node": app, "quantity": 5 }]);
    day.one("AllotmentService/SetAllotments", json!({ "requestId": "allot", "settings": set }));
    let step = json!([{ "goods": goods, "node": web, "quantity": 2 }]);
    day.one("AllotmentService/RaiseAllotments", json!({ "requestId": "raise", "steps": step }));
    day.one("AllotmentService/LowerAllotments", json!({ "requestId": "lower", "steps": step }));
    let moves = json!([{ "goods": goods, "from": web, "to": app, "quantity": 1 }]);
    day.one("AllotmentService/MoveAllotments", json!({ "requestId": "move-share", "moves": moves }));
    day.one("AllotmentService/ReturnAllotments", json!({ "requestId": "give-back", "node": app }));
    let campaign = json!({
        "code": "night", "channel": "web", "startTime": "2020-01-01T00:00:00Z", "endTime": "2099-01-01T00:00:00Z",
        "items": [{ "sku": "B", "tranches": [{ "quantity": 5 }] }]
    });
    day.one("CampaignService/UpsertCampaigns", json!({ "requestId": "campaign", "campaigns": [campaign] }));
    day.one("CampaignService/EndCampaign", json!({ "requestId": "end", "code": "night" }));
}

fn documents(day: &mut Day) {
    let text =
        "name = 'retail'\ncurrency = 'CNY'\nrules = [{ name = 'no stores', exclude = \"location.kind == 'store'\" }]\n";
    let kind = "DOCUMENT_KIND_POLICY";
    day.one("PolicyService/DraftDocument", json!({ "requestId": "draft", "kind": kind, "text": text }));
    let named = |id: &str| json!({ "requestId": id, "kind": kind, "name": "retail", "version": 1 });
    day.one("PolicyService/ActivateDocument", named("activate"));
    day.one("PolicyService/RetireDocument", named("retire-policy"));
    day.one("RulesService/PutStockRules", json!({ "requestId": "rules", "text": "description = 'none'\n" }));
}

fn routed(day: &mut Day) {
    let order = |id: &str| {
        json!({
            "requestId": id, "buyerId": "two", "lines": [{ "sku": "B", "quantity": 1 }],
            "sourcing": { "receiverKey": "door" }
        })
    };
    day.one("AllocationService/Reserve", order("first"));
    day.one("AllocationService/Reserve", order("second"));
    let both = json!({ "requestId": "merge", "buyerId": "two", "receiverKey": "door" });
    day.one("RoutingService/Merge", both);
}

fn upkeep(day: &mut Day) {
    let what = |id: &str| json!({ "requestId": id, "sku": "B", "location": "L1", "reason": "FREEZE_REASON_COUNT" });
    day.one("UpkeepService/FreezeStock", what("freeze"));
    day.one("UpkeepService/ThawStock", json!({ "requestId": "thaw", "sku": "B", "location": "L1", "all": true }));
    let none = json!({ "requestId": "gone", "sku": "B", "location": "L1", "bucket": "BUCKET_ON_HAND", "quantity": 0 });
    day.one("InventoryService/SetStock", none);
    day.one("UpkeepService/RepairShortfalls", json!({ "requestId": "repair", "mode": "REPAIR_MODE_CANCEL_ONLY" }));
}

/// Methods of ours that change something: their messages carry a request id, or requests that do.
fn changing() -> BTreeSet<String> {
    let methods = Methods::new();
    let changes = |name: &str, fields: Vec<String>| {
        let has = |field: &str| fields.iter().any(|known| known == field);
        has("request_id") && name != "GetOutcome" || has("requests") && name.starts_with("Reserve")
    };
    let ours = methods.all().iter().filter(|method| method.is_own()).filter(|method| {
        changes(&method.name, method.descriptor.input().fields().map(|field| field.name().to_owned()).collect())
    });
    ours.map(|method| method.path.trim_start_matches("/quartermaster.v1.").to_owned()).collect()
}

#[test]
fn every_change_is_in_the_log_with_who_asked_for_it() {
    let (dir, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut day = Day::begin(dir.path(), data.path());
    catalogue(&mut day);
    selling(&mut day);
    returns(&mut day);
    supply(&mut day);
    shares(&mut day);
    documents(&mut day);
    routed(&mut day);
    upkeep(&mut day);
    assert_eq!(day.called, changing(), "a method that changes something is not part of this day");
    let (made, token) = (day.made.clone(), day.token.clone());
    assert_eq!(day.server.stop(), Some(0));

    let printed = command(&["inspect", data.path().to_str().unwrap()]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let mut actors: BTreeMap<String, String> = BTreeMap::new();
    for line in printed.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let (id, actor) =
            (event["request_id"].as_str().unwrap_or_default(), event["actor"].as_str().unwrap_or_default());
        if id.is_empty() {
            assert_eq!(actor, "", "what a timer does is nobody's: {line}");
        } else {
            actors.insert(id.to_owned(), actor.to_owned());
        }
    }
    assert!(actors.values().all(|actor| actor == "night shift"), "{actors:?}");
    let logged: BTreeSet<String> = actors.into_keys().collect();
    assert_eq!(logged, made);
    assert!(!printed.contains(&token));
}
