//! A data directory for tests, written by the engine and the journal as a server would.

use std::path::Path;
use std::sync::Arc;

use quartermaster_engine::catalog::{LocationSpec, SkuSpec};
use quartermaster_engine::command::{
    CatalogueCommand, CellCode, Command, ImportRow, ImportStock, Request, Reserve, ReserveLine, Step, StockCommand,
};
use quartermaster_engine::id::ReservationId;
use quartermaster_engine::quantity::Quantity;
use quartermaster_engine::time::{Micros, Timestamp};
use quartermaster_engine::{Engine, EngineConfig, Verdict};
use quartermaster_journal::{FileStorage, Journal as _, Log, LogConfig, Lsn, SnapshotStart, SnapshotStore};

pub(super) const SECOND: u64 = 1_000_000;

/// A server's data directory while the server runs.
pub(super) struct Warehouse {
    storage: FileStorage,
    pub(super) engine: Engine,
    pub(super) log: Log,
    pub(super) now: u64,
    requests: u64,
}

impl Warehouse {
    /// Two SKUs at two locations, ten units in each cell, at LSN 3.
    pub(super) fn open(directory: &Path) -> Warehouse {
        Warehouse::sized(directory, LogConfig::small())
    }

    pub(super) fn sized(directory: &Path, config: LogConfig) -> Warehouse {
        let storage = FileStorage::new(directory);
        let (log, _) = Log::open(storage.clone(), config, Lsn::new(1), &mut |_, _, _| Ok(())).unwrap();
        let engine = Engine::new(EngineConfig::default(), Arc::new(log.clone()));
        // 2026-11-11T00:00:00Z
        let mut warehouse = Warehouse { storage, engine, log, now: 1_794_355_200 * SECOND, requests: 0 };
        let skus = ["A", "B"].map(|code| SkuSpec { code: code.into(), sellable: true, ..SkuSpec::default() });
        warehouse.tell(&Command::Catalogue(CatalogueCommand::UpsertSkus(skus.into())));
        let places = ["L1", "L2"].map(|code| LocationSpec { code: code.into(), ..LocationSpec::default() });
        warehouse.tell(&Command::Catalogue(CatalogueCommand::UpsertLocations(places.into())));
        let cells = [("A", "L1"), ("A", "L2"), ("B", "L1"), ("B", "L2")];
        warehouse.stock(&cells, 10);
        warehouse
    }

    pub(super) fn stock(&mut self, cells: &[(&str, &str)], on_hand: u32) {
        let row = |(sku, location): &(&str, &str)| ImportRow {
            cell: CellCode { sku: (*sku).into(), location: (*location).into() },
            on_hand: Quantity(on_hand),
            safety: Quantity(0),
            quality_control: Quantity(1),
            damaged: Quantity(0),
            in_repair: Quantity(0),
            incoming: Quantity(0),
        };
        let rows = cells.iter().map(row).collect();
        self.tell(&Command::Stock(StockCommand::Import(ImportStock { rows, reference: "first".into() })));
    }

    pub(super) fn tell(&mut self, command: &Command) -> Verdict {
        self.now += SECOND;
        self.requests += 1;
        let request = Request { id: format!("request-{}", self.requests).into(), actor: String::new() };
        let answer = self.engine.submit(&request, command, Timestamp(self.now)).unwrap();
        while self.log.step().unwrap().more {}
        answer.verdict
    }

    pub(super) fn hold(&mut self, sku: &str, units: u32) -> ReservationId {
        let line = ReserveLine { sku: sku.into(), quantity: Quantity(units), location: "".into(), sourcing: None };
        let reserve = Reserve {
            order_id: "order".into(),
            buyer_id: "buyer".into(),
            channel: "".into(),
            lines: [line].into(),
            ttl: Micros::from_secs(600),
            allow_partial: false,
            replaces: None,
            unchanged_since_lsn: 0,
            sourcing: None,
            asked: None,
        };
        match self.tell(&Command::Reserve(reserve)) {
            Verdict::Done(event) => event.reservation().unwrap(),
            verdict => panic!("{verdict:?}"),
        }
    }

    pub(super) fn step(&mut self, id: ReservationId, step: Step) {
        assert!(matches!(self.tell(&Command::Reservation(id, step)), Verdict::Done(_)));
    }

    /// Holds, pays, ships and gives back.
    pub(super) fn live(&mut self) {
        let shipped = self.hold("A", 2);
        self.step(shipped, Step::Confirm);
        self.step(shipped, Step::Ship(Vec::new()));
        let released = self.hold("B", 3);
        self.step(released, Step::Release);
        self.hold("A", 1);
        self.stock(&[("B", "L2")], 7);
    }

    /// Stocks `skus` more SKUs at both locations.
    pub(super) fn fill(&mut self, skus: u32, on_hand: u32) {
        let spec = |number| SkuSpec { code: format!("S{number}"), sellable: true, ..SkuSpec::default() };
        self.tell(&Command::Catalogue(CatalogueCommand::UpsertSkus((0..skus).map(spec).collect())));
        let codes: Vec<String> = (0..skus).map(|number| format!("S{number}")).collect();
        for chunk in codes.chunks(20) {
            let cells: Vec<(&str, &str)> = chunk.iter().flat_map(|sku| [(sku.as_str(), "L1"), (sku, "L2")]).collect();
            self.stock(&cells, on_hand);
        }
    }

    /// Orders over the SKUs of `fill`, of which a third is given back; without waiting for the disk in between.
    pub(super) fn trade(&mut self, orders: u64) {
        for order in 0..orders {
            let line = |step| ReserveLine {
                sku: format!("S{}", (order * 7 + step) % 100).into(),
                quantity: Quantity(1),
                location: if order % 2 == 0 { "L1".into() } else { "L2".into() },
                sourcing: None,
            };
            let reserve = Reserve {
                order_id: format!("order-{order}").into(),
                buyer_id: format!("buyer-{}", order % 5_000).into(),
                channel: "".into(),
                lines: (0..=order % 3).map(line).collect(),
                ttl: Micros::from_secs(600),
                allow_partial: false,
                replaces: None,
                unchanged_since_lsn: 0,
                sourcing: None,
                asked: None,
            };
            let mut quick = |command: &Command| {
                self.now += 1_000;
                self.requests += 1;
                let request = Request { id: format!("request-{}", self.requests).into(), actor: String::new() };
                self.engine.submit(&request, command, Timestamp(self.now)).unwrap().verdict
            };
            let Verdict::Done(held) = quick(&Command::Reserve(reserve)) else { panic!("sold out") };
            let id = held.reservation().unwrap();
            if order % 3 == 0 {
                quick(&Command::Reservation(id, Step::Release));
            } else {
                quick(&Command::Reservation(id, Step::Confirm));
                quick(&Command::Reservation(id, Step::Ship(Vec::new())));
            }
        }
        while self.log.step().unwrap().more {}
    }

    /// A snapshot as a server writes it.
    pub(super) fn snapshot(&self) -> Lsn {
        let position = self.log.position();
        let start = SnapshotStart {
            shard: 0,
            epoch: self.log.epoch(),
            lsn: self.log.appended_lsn(),
            batch_index: position.batch_index,
            chain: position.chain,
        };
        let mut writer = SnapshotStore::new(self.storage.clone()).begin(&start).unwrap();
        let write = |section: quartermaster_engine::snapshot::Section| {
            writer.section(section.kind, section.unit, section.lsn, &section.payload)
        };
        let span = self.engine.snapshot(Timestamp(self.now), write).unwrap();
        self.log.sync().unwrap();
        writer.finish(span.complete_to.next(), 0).unwrap();
        start.lsn
    }

    /// Removes what two snapshots no longer need.
    pub(super) fn trim(&self) {
        let kept = SnapshotStore::new(self.storage.clone()).retain_newest().unwrap();
        self.log.trim(kept.needed_from).unwrap();
    }

    pub(super) fn close(self) {
        self.log.close().unwrap();
    }
}
