//! Inspection of a directory while its server runs.

use clap::Parser;
use quartermaster_engine::command::Step;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use super::{InspectArgs, Stop, read, table};
use crate::cli::directory::{DataDir, Unusable};
use crate::cli::testing::Warehouse;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: InspectArgs,
}

/// A directory with a live server, and the lines that `filters` give.
struct World {
    directory: TempDir,
    warehouse: Warehouse,
}

impl World {
    fn new() -> World {
        let directory = tempdir().unwrap();
        let warehouse = Warehouse::open(directory.path());
        World { directory, warehouse }
    }

    fn lines(&self, filters: &str) -> Vec<Value> {
        self.try_lines(filters).unwrap()
    }

    fn try_lines(&self, filters: &str) -> Result<Vec<Value>, Stop> {
        let path = self.directory.path().display().to_string();
        let line = Line::parse_from(["inspect", &path].into_iter().chain(filters.split_whitespace()));
        let mut out = Vec::new();
        let directory = DataDir::open(&line.args.directory)?;
        read::print(&directory, &line.args.filter, line.args.limit.unwrap_or(u64::MAX), &mut out)?;
        Ok(String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    fn lsns(&self, filters: &str) -> Vec<u64> {
        self.lines(filters).iter().map(|line| line["lsn"].as_u64().unwrap()).collect()
    }
}

#[test]
fn events_come_with_ids_and_codes() {
    let mut world = World::new();
    let id = world.warehouse.hold("B", 3);
    let lines = world.lines("");
    assert_eq!(lines.len(), 4);
    let held = &lines[3];
    assert_eq!((&held["kind"], &held["reservation"]), (&"Held".into(), &id.to_string().into()));
    assert_eq!((&held["time"], &held["request_id"]), (&"2026-11-11T00:00:04Z".into(), &"request-4".into()));
    let line = &held["lines"][0];
    assert_eq!((&line["sku"], &line["sku_id"], &line["quantity"]), (&"B".into(), &1.into(), &3.into()));
    assert_eq!((&line["location"], &line["location_id"]), (&"L1".into(), &0.into()));
    let change = &lines[2]["changes"][0];
    assert_eq!((&lines[2]["change"], &lines[2]["reason"]), (&"imported".into(), &"IMPORT".into()));
    assert_eq!((&change["on_hand"], &change["available_after"]), (&10.into(), &9.into()));
    assert_eq!(change.get("damaged"), None, "what did not change is left out");
}

#[test]
fn filters_hold_together() {
    let mut world = World::new();
    let first = world.warehouse.hold("A", 1);
    world.warehouse.step(first, Step::Confirm);
    world.warehouse.hold("B", 1);
    world.warehouse.step(first, Step::Ship(Vec::new()));
    assert_eq!(world.lsns("--sku A"), [1, 3, 4, 5, 7]);
    assert_eq!(world.lsns("--sku A --kind held --kind Shipped"), [4, 7]);
    assert_eq!(world.lsns("--sku A --location L2"), [3], "both in one place");
    assert_eq!(world.lsns("--location L2"), [2, 3]);
    assert_eq!(world.lsns(&format!("--reservation {first}")), [4, 5, 7]);
    assert_eq!(world.lsns("--request-id request-6"), [6]);
    assert_eq!(world.lsns("--from-lsn 3 --to-lsn 5"), [3, 4, 5]);
    assert_eq!(world.lsns("--since 2026-11-11T00:00:05Z --until 2026-11-11T00:00:07Z"), [5, 6]);
    assert_eq!(world.lsns("--kind stock-changed"), [3]);
    assert_eq!(world.lsns("--limit 2"), [1, 2]);
    assert_eq!(world.lsns("--sku nothing"), [0_u64; 0]);
}

#[test]
fn a_wrong_filter_says_what_would_be_right() {
    let wrong = |filter: &str| {
        let line = ["inspect", "x"].into_iter().chain(filter.split_whitespace());
        Line::try_parse_from(line).err().unwrap().to_string()
    };
    assert!(wrong("--kind sold").contains("there are Held, Confirmed"));
    assert!(wrong("--since today").contains("2026-11-11T00:00:00Z"));
    assert!(wrong("--reservation 7").contains("13 digits and letters"));
}

#[test]
fn codes_come_from_a_snapshot_when_the_log_no_longer_has_them() {
    let mut world = World::new();
    while world.warehouse.log.segments().len() < 3 {
        world.warehouse.stock(&[("A", "L1"), ("B", "L2")], 9);
    }
    world.warehouse.snapshot();
    world.warehouse.hold("B", 1);
    world.warehouse.snapshot();
    world.warehouse.trim();
    let id = world.warehouse.hold("B", 2);
    let last = world.lines(&format!("--reservation {id}"));
    assert_eq!((last.len(), &last[0]["lines"][0]["sku"]), (1, &"B".into()));
    let all = world.lsns("");
    assert!(all[0] > 1);
    let from = all.last().unwrap() - 1;
    assert_eq!(world.lsns(&format!("--from-lsn {from}")).len(), 2);
}

#[test]
fn the_files_are_listed() {
    let mut world = World::new();
    world.warehouse.live();
    world.warehouse.snapshot();
    let mut out = Vec::new();
    table::print(&DataDir::open(world.directory.path()).unwrap(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("wal-00000000000000000001.seg                    1      1         65,536  batches from 1"),
        "{text}"
    );
    assert!(text.contains("snapshot-00000000000000000010.snap"), "{text}");
    assert!(text.contains("sections, replay from LSN 11"), "{text}");
}

#[test]
fn a_directory_of_something_else_is_refused() {
    let directory = tempdir().unwrap();
    assert!(matches!(DataDir::open(directory.path()), Err(Unusable::NotOurs { .. })));
}
