//! Every command that asks a server: what it prints, and the code it ends with.

use quartermaster_client::v1;

use crate::running::{Running, command, ended};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_by_hand() {
    let server = Running::start().await;
    for (arguments, said) in [
        (&["location", "upsert", "HZ", "--name", "杭州", "--kind", "store"][..], "made HZ\n"),
        (&["sku", "upsert", "TEE", "--style", "T", "--size", "M"], "made TEE\n"),
        (&["sku", "upsert", "TEE", "--style", "T", "--size", "L"], "replaced TEE\n"),
        (&["channel", "upsert", "app", "--hold-ttl", "30m"], "made app\n"),
        (&["stock", "set", "TEE@HZ=5"], "TEE  HZ              5          5          0\n"),
        (&["stock", "adjust", "TEE@HZ=-1", "--reason", "damage"], "TEE  HZ              4          4          0\n"),
        (&["stock", "receive", "TEE@HZ=1"], "TEE  HZ              5          5          0\n"),
        (&["stock", "move", "TEE@HZ=1", "--from", "sellable", "--to", "damaged"], "TEE  HZ              5          4"),
        (&["stock", "set", "TEE@HZ=6"], "TEE  HZ              6          5"),
        (&["stock", "get", "TEE"], "AVAILABLE  SHORTFALL\nTEE  HZ"),
        (&["availability", "TEE", "--location", "HZ"], "SKU  LOCATION  AVAILABLE\nTEE  HZ                5\n"),
        (&["sku", "get", "TEE"], "TEE  T              L "),
        (&["location", "list"], "HZ        杭州  store"),
        (&["channel", "get", "app"], "app"),
        (&["route", "TEE=2", "--sourced", "--explain"], "1 parcels"),
        (&["split", "TEE@HZ=3", "--by", "units=2"], "2 packages, at least 2 are needed\n"),
    ] {
        let ended = server.run(arguments);
        assert!(ended.code == 0 && ended.stdout.contains(said), "{arguments:?}: {ended:?}");
    }

    let first = server.run(&["reserve", "TEE=2", "--order", "o-1", "--request-id", "r-1"]);
    assert!(first.code == 0 && first.stdout.contains("TEE  HZ            2\n"), "{first:?}");
    assert!(first.stdout.ends_with("request id r-1\n"), "{first:?}");
    let again = server.run(&["reserve", "TEE=2", "--order", "o-1", "--request-id", "r-1"]);
    assert!(again.stdout.contains("answered before"), "{again:?}");
    let id = first.stdout.split(' ').nth(1).unwrap().to_owned();

    let no = server.run(&["reserve", "TEE=9"]);
    assert_eq!((no.code, no.stdout.as_str()), (3, ""));
    assert!(no.stderr.contains("INSUFFICIENT_STOCK") && no.stderr.contains("TEE: 9 asked for, 3 possible"), "{no:?}");

    for (arguments, said) in [
        (vec!["extend", &id, "--ttl", "20m"], "held until"),
        (vec!["confirm", &id], "confirmed"),
        (vec!["ship", &id, "--line", "TEE=1"], "confirmed"),
        (vec!["cancel", &id], "shipped"),
        (vec!["reservation", "get", &id], "o-1"),
        (vec!["reservation", "list", "--state", "shipped"], "o-1"),
        (vec!["outcome", "r-1"], "TEE  HZ            2\n"),
    ] {
        let ended = server.run(&arguments);
        assert!(ended.code == 0 && ended.stdout.contains(said), "{arguments:?}: {ended:?}");
    }
    let held = server.run(&["reserve", "TEE=1", "-o", "json"]);
    assert!(held.stderr.starts_with("request id "), "{held:?}");
    let held = held.json()["hold"]["reservationId"].as_str().unwrap().to_owned();
    assert_eq!(server.run(&["release", &held]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_code_means_what_the_table_says() {
    let server = Running::start().await;
    server.stock(1).await;
    let nobody = ["status", "--target", "127.0.0.1:1", "--timeout", "300ms"];
    for (arguments, code, said) in [
        (&["reserve", "A=1"][..], 0, ""),
        (&["reserve", "NONE=1"], 1, "NOT_FOUND UNKNOWN_SKU"),
        (&["reserve", "A=0"], 1, "lines[0].quantity"),
        (&["confirm", "0000000000000"], 1, "UNKNOWN_RESERVATION"),
        (&["sku", "get", "NONE"], 1, "there is no NONE"),
        (&["reserve", "A"], 2, "\"A\" is not SKU=UNITS"),
        (&["stock", "set", "A=1"], 2, "names no location"),
        (&["reserve", "A=1", "--ca", "none.pem", "--target", "https://localhost:1"], 2, "none.pem"),
        (&["reserve", "A=1", "--target", "no url"], 2, "is no address of a server"),
        (&["confirm", "R1", "R2", "--request-id", "x"], 2, "for one reservation"),
        (&["call", "AllocationService/Steal"], 2, "there is no method"),
        (&["call", "AllocationService/Reserve", "{\"lins\":[]}"], 2, "unrecognized field name 'lins'"),
        (&["call", "AllocationService/Reserve", "@none.json"], 2, "none.json"),
        (&nobody, 2, "is a server running at"),
        (&["policy", "list", "--target", "127.0.0.1:1"], 2, "is a server running at"),
        (&["why", "R", "--target", "127.0.0.1:1"], 2, "is a server running at"),
        (&["snapshot", "--target", "127.0.0.1:1"], 2, "is a server running at"),
        (&["reserve", "A=1"], 3, "INSUFFICIENT_STOCK"),
        (&["outcome", "never"], 3, ""),
        (&["route", "A=1", "--sourced"], 3, ""),
        (&["reserve", "A=1", "--profile", "x"], 2, "profile"),
    ] {
        let ended = server.run(arguments);
        assert!(ended.code == code && ended.stderr.contains(said), "{arguments:?}: {ended:?}");
    }
}

#[tokio::test]
async fn an_outcome_that_is_not_known_has_a_code_and_says_how_to_ask() {
    // Takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}", silent.local_addr().unwrap());
    let asked = command(&["reserve", "A=1", "--target", &target, "--timeout", "300ms", "--request-id", "r-9"]).output();
    let ended = ended(asked.unwrap());
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.stderr.contains("quartermaster outcome r-9"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_come_from_stdin() {
    let server = Running::start().await;
    server.stock(2).await;
    let line = |id: &str, sku: &str| {
        format!("{{\"requestId\":\"{id}\",\"orderId\":\"o-{id}\",\"lines\":[{{\"sku\":\"{sku}\",\"quantity\":1}}]}}\n")
    };
    let input = line("1", "A") + &line("2", "NONE") + "\n" + &line("3", "A") + &line("4", "A");
    let many = server.run_with(&["reserve", "-", "-o", "json"], &input);
    assert_eq!(many.code, 1, "an error goes before a no: {many:?}");
    let results: Vec<serde_json::Value> = many.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), 4);
    assert_eq!(results[1]["error"]["reason"], "ERROR_REASON_UNKNOWN_SKU");
    assert_eq!(results[3]["response"]["rejection"]["reason"], "REJECTION_REASON_INSUFFICIENT_STOCK");
    assert_eq!((&results[2]["requestId"], results[2]["response"]["hold"].is_object()), (&"3".into(), true));

    let wrong = server.run_with(&["reserve", "-"], &(line("5", "A") + "{\"lines\":3}\n"));
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""));
    assert!(wrong.stderr.contains("line 2 of stdin"), "{wrong:?}");

    let ids = results.iter().filter_map(|one| one["response"]["hold"]["reservationId"].as_str());
    let input: String = ids.map(|id| format!("{id}\n")).collect();
    let confirmed = server.run_with(&["confirm", "-"], &input);
    assert_eq!((confirmed.code, confirmed.stdout.matches(" confirmed").count()), (0, 2), "{confirmed:?}");
    let mixed = server.run_with(&["ship", "-"], &format!("0000000000000\n{input}"));
    assert_eq!((mixed.code, mixed.stdout.matches(" shipped").count()), (1, 2), "{mixed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_method_is_called_with_json_and_streams_are_lines() {
    let server = Running::start().await;
    server.stock(3).await;
    let status = server.run(&["call", "AdminService/GetStatus"]);
    assert_eq!(status.json()["state"], "serving");
    let reserve = "{\"requestId\":\"c-1\",\"lines\":[{\"sku\":\"A\",\"quantity\":\"1\"}]}";
    let held = server.run(&["call", "quartermaster.v1.AllocationService/Reserve", reserve]);
    assert!(held.json()["hold"].is_object() && held.stderr == "request id c-1\n", "{held:?}");
    let from_stdin = server.run_with(&["call", "AllocationService/Reserve", "-"], reserve);
    assert_eq!(from_stdin.json()["replayed"], true);

    let message = |id: &str| {
        format!("{{\"requests\":[{{\"requestId\":\"{id}\",\"lines\":[{{\"sku\":\"A\",\"quantity\":1}}]}}]}}\n")
    };
    let input = message("s-1") + &message("s-2") + &message("s-3");
    let stream = server.run_with(&["call", "AllocationService/ReserveStream", "-"], &input);
    assert_eq!((stream.code, stream.stdout.lines().count()), (0, 3), "{stream:?}");
    assert!(stream.stdout.lines().last().unwrap().contains("INSUFFICIENT_STOCK"), "{stream:?}");
    assert!(server.run(&["call", "--list"]).stdout.contains("UpkeepService/RepairShortfalls\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missing_before() {
    let server = Running::start().await;
    server.stock(10).await;
    let client = server.client();
    for (arguments, said) in [
        (&["channel", "upsert", "app"][..], "made app"),
        (&["allotment", "set", "--sku", "A", "--channel", "app", "--quota", "2"], "A    app       2"),
        (&["allotment", "raise", "--sku", "A", "--channel", "app", "3"], "A    app       5"),
        (&["allotment", "lower", "--sku", "A", "--channel", "app", "1"], "A    app       4"),
        (&["inbound", "announce", "PO-1", "--location", "L", "--eta", "2099-01-01T00:00:00Z", "A=5"], "PO-1"),
        (&["inbound", "change", "PO-1", "A=7", "--eta", "2099-02-01T00:00:00Z", "--cap", "3"], "expected 7"),
        (&["inbound", "change", "PO-1", "--cancel", "A"], "outstanding 0"),
    ] {
        let ended = server.run(arguments);
        assert!(ended.code == 0 && ended.stdout.contains(said), "{arguments:?}: {ended:?}");
    }
    let twice = ["return", "list", "--request-id", "ignored-by-questions"];
    assert_eq!(server.run(&twice).code, 0);
    let set = ["allotment", "lower", "--sku", "A", "--channel", "app", "1", "--request-id", "lower-1"];
    let lowered = [server.run(&set), server.run(&set)].map(|ended| ended.stdout);
    assert!(lowered[0].contains("A    app       3") && lowered[0] == lowered[1], "once for both: {lowered:?}");
    let too_many = server.run(&["allotment", "raise", "--sku", "A", "--channel", "app", "99"]);
    assert_eq!(too_many.code, 3, "{too_many:?}");

    let line = v1::ReserveLine { sku: "A".into(), quantity: 2, ..v1::ReserveLine::default() };
    let order = v1::ReserveRequest { lines: vec![line], ..v1::ReserveRequest::default() };
    let id = client.reserve(order).await.unwrap().done().unwrap().reservation_id;
    client.confirm(&id).await.unwrap();
    client.ship(&id).await.unwrap();
    let exchanged = server.run(&["return", "exchange", &id, "A=1", "--for", "A=1", "--reason", "size", "-o", "json"]);
    assert_eq!(exchanged.code, 0, "{exchanged:?}");
    assert_eq!(exchanged.json()["hold"]["allocations"][0]["quantity"], "1");
    assert!(exchanged.json()["announced"]["returnId"].is_string());
}

#[test]
fn every_shell_gets_its_completion() {
    for (shell, part) in [
        ("bash", "complete -F _quartermaster"),
        ("zsh", "#compdef quartermaster"),
        ("fish", "complete -c quartermaster"),
    ] {
        let ended = ended(command(&["completions", shell]).output().unwrap());
        assert!(ended.code == 0 && ended.stdout.contains(part) && ended.stdout.contains("availability"), "{shell}");
    }
}

#[test]
fn a_profile_names_the_server() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("quartermaster");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "[profile.sha]\ntarget = \"127.0.0.1:1\"\ntimeout = \"200ms\"\n")
        .unwrap();
    let run = |arguments: &[&str]| ended(command(arguments).env("XDG_CONFIG_HOME", home.path()).output().unwrap());
    let asked = run(&["availability", "A", "--profile", "sha"]);
    assert!(asked.code == 2 && asked.stderr.contains("UNAVAILABLE"), "{asked:?}");
    let unknown = run(&["availability", "A", "--profile", "hz"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("no profile \"hz\"; it has: sha"), "{unknown:?}");
}
