//! A real directory, run again: the same under its own policy, and what one expects under another, in the table, the files and the page.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use quartermaster_engine::catalog::documents::{Content, DocumentKind};
use quartermaster_engine::catalog::{LocationSpec, SkuSpec};
use quartermaster_engine::command::{
    CatalogueCommand, CellCode, Command, ReceiveStock, Request, Reserve, ReserveLine, StockCommand, StockReason,
};
use quartermaster_engine::event::Event;
use quartermaster_engine::quantity::Quantity;
use quartermaster_engine::time::{Micros, Timestamp};
use quartermaster_engine::{Engine, EngineConfig, Verdict};
use quartermaster_journal::{FileStorage, Log, LogConfig, Lsn};
use quartermaster_sourcing::fulfilment::{Capabilities, Fulfilment};

use super::{BacktestArgs, Stop, backtest, table};

const HOUR: u64 = 3_600_000_000;

/// Writes a log: two places of ten units, two orders a day apart, the dearer place second.
fn log(directory: &Path) {
    let storage = FileStorage::new(directory);
    let (log, _) = Log::open(storage, LogConfig::small(), Lsn::new(1), &mut |_, _, _| Ok(())).unwrap();
    let engine = Engine::new(EngineConfig::default(), Arc::new(log.clone()));
    let mut now = 1_794_355_200_000_000;
    let mut tell = |command: Command| {
        now += HOUR;
        let nobody = Request::unnamed();
        let answer = engine.submit(&nobody, &command, Timestamp(now)).unwrap();
        while log.step().unwrap().more {}
        answer.verdict
    };
    let sku = SkuSpec { code: "A".into(), sellable: true, ..SkuSpec::default() };
    tell(Command::Catalogue(CatalogueCommand::UpsertSkus(vec![sku])));
    let place = |code: &str, handling_cost| LocationSpec {
        code: code.into(),
        capabilities: Capabilities(Capabilities::SHIP),
        fulfilment: Fulfilment { handling_cost, ..Fulfilment::default() },
        ..LocationSpec::default()
    };
    tell(Command::Catalogue(CatalogueCommand::UpsertLocations(vec![place("L<1>", 100), place("L2", 250)])));
    let content = Content::read(DocumentKind::Policy, "name = 'money'\ncurrency = 'CNY'").unwrap();
    let Verdict::Done(Event::DocumentDrafted { document, .. }) =
        tell(Command::Catalogue(CatalogueCommand::Draft(Box::new(content))))
    else {
        panic!("no draft")
    };
    tell(Command::Catalogue(CatalogueCommand::Activate { document, effective_at: None }));
    let cell = |place: &str| (CellCode { sku: "A".into(), location: place.into() }, Quantity(10));
    tell(Command::Stock(StockCommand::Receive(ReceiveStock {
        receipts: vec![cell("L<1>"), cell("L2")],
        from_incoming: false,
        reason: StockReason(1),
        reference: String::new(),
    })));
    for id in ["<one>", "two"] {
        let line = ReserveLine { sku: "A".into(), quantity: Quantity(1), location: "".into(), sourcing: None };
        tell(Command::Reserve(Reserve {
            order_id: id.into(),
            buyer_id: "buyer".into(),
            channel: "".into(),
            lines: [line].into(),
            ttl: Micros(48 * HOUR),
            allow_partial: false,
            replaces: None,
            unchanged_since_lsn: 0,
            sourcing: Some(Box::default()),
            asked: None,
        }));
        for _ in 0..23 {
            tell(Command::Stock(StockCommand::Receive(ReceiveStock {
                receipts: vec![cell("L2")],
                from_incoming: false,
                reason: StockReason(1),
                reference: String::new(),
            })));
        }
    }
}

fn args(directory: &Path) -> BacktestArgs {
    BacktestArgs { directory: directory.to_owned(), policy: Vec::new(), tariff: Vec::new(), out: None }
}

#[test]
fn a_directory_run_again_under_its_own_policy_is_the_same() {
    let home = tempfile::tempdir().unwrap();
    log(home.path());
    let report = backtest(&args(home.path())).unwrap();
    assert_eq!(report.outcome.before, report.outcome.after);
    let page = table::page(&report, None);
    assert!(page.contains("changed orders  0 of 2\n"), "{page}");
    assert!(page.contains("the policies and tariffs of the log itself"), "{page}");
}

#[test]
fn another_policy_is_told_in_the_table_the_files_and_the_page() {
    let home = tempfile::tempdir().unwrap();
    let (data, out, policy) = (home.path().join("data"), home.path().join("out"), home.path().join("new.toml"));
    fs::create_dir(&data).unwrap();
    log(&data);
    let text = "name = 'not-first'\ncurrency = 'CNY'\n[[rules]]\nname = 'r'\nexclude = \"location.code == 'L<1>'\"";
    fs::write(&policy, text).unwrap();
    let report = backtest(&BacktestArgs { policy: vec![policy], out: Some(out.clone()), ..args(&data) }).unwrap();
    let page = table::page(&report, Some(&out));
    assert!(page.contains("changed orders  2 of 2: 2 in the places\n"), "{page}");

    let orders = fs::read_to_string(out.join("orders.csv")).unwrap();
    let first = orders.lines().nth(1).unwrap();
    assert!(first.starts_with("<one>,") && first.contains(",places,L<1>=1,L2=1,1,1,1,1,100,250,150,"), "{orders}");
    let figures = fs::read_to_string(out.join("figures.csv")).unwrap();
    assert!(figures.contains("\npaid,200,500\n") && figures.contains("\nparcels_per_order,1.000,1.000\n"), "{figures}");
    let locations = fs::read_to_string(out.join("locations.csv")).unwrap();
    assert!(locations.contains("\nL2,0,0,0,0,,,2,2,2,500,2026-11-11,1\n"), "{locations}");
    let days = fs::read_to_string(out.join("days.csv")).unwrap();
    assert!(days.contains("\n2026-11-11,1,1,0,1,1,0,0,100,100,1,0,1,1,0,0,250,250\n"), "{days}");

    let html = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(html.contains("&lt;one&gt;") && !html.contains("<one>"), "codes are text");
    assert!(!html.contains("http") && !html.contains("src=") && !html.contains("url("), "nothing from outside");
    for part in ["Paid per order", "prefers-color-scheme: dark", "Over time", "<svg", "not-first"] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn what_cannot_be_used_is_told() {
    let home = tempfile::tempdir().unwrap();
    assert!(matches!(backtest(&args(home.path())), Err(Stop::Unusable(_))));
    log(home.path());
    let policy = home.path().join("new.toml");
    let with = |text: &str| {
        fs::write(&policy, text).unwrap();
        backtest(&BacktestArgs { policy: vec![policy.clone()], ..args(home.path()) }).err()
    };
    assert!(matches!(with("name = 3"), Some(Stop::Document { .. })));
    let unknown = "name = 'p'\ncurrency = 'CNY'\n[[rules]]\nname = 'r'\nexclude = \"location.colour == 'red'\"";
    assert!(matches!(with(unknown), Some(Stop::Run(_))));
    let missing = BacktestArgs { tariff: vec![home.path().join("none.toml")], ..args(home.path()) };
    assert!(matches!(backtest(&missing), Err(Stop::Read { .. })));
}
