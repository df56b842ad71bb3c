//! Fills an engine: so many SKUs at so many locations, all through `submit`, as a server would.

use std::ops::Range;

use quartermaster_engine::{
    Engine, Verdict,
    catalog::{LocationKind, LocationSpec, SkuSpec},
    command::{CatalogueCommand, CellCode, Command, ImportRow, ImportStock, Request, StockCommand},
    quantity::Quantity,
    time::Timestamp,
};

/// When the benchmarks' time begins: some day in 2026.
pub const START: Timestamp = Timestamp(1_780_000_000_000_000);

/// SKUs in one upsert, and SKUs whose cells are in one import.
const SKUS_PER_REQUEST: u32 = 1_000;

/// Extent of a matrix. Every SKU has a cell at every location.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// SKUs that have stock.
    pub skus: u32,
    /// SKUs behind those, with cells and nothing in them.
    pub sold_out_skus: u32,
    /// Locations, all open, the first first by priority.
    pub locations: u32,
}

impl Shape {
    /// Cells of all SKUs.
    #[must_use]
    pub fn cells(self) -> u64 {
        u64::from(self.skus + self.sold_out_skus) * u64::from(self.locations)
    }
}

/// Code of SKU number `sku`: 12 bytes, as codes of a retailer are.
#[must_use]
pub fn sku_code(sku: u32) -> String {
    format!("TS-{sku:07}-M")
}

/// Code of location number `location`.
#[must_use]
pub fn location_code(location: u32) -> String {
    format!("DC-{location:04}")
}

/// Makes the catalogue and puts `on_hand` units into each cell.
///
/// # Panics
/// When the engine refuses anything.
pub fn fill(engine: &Engine, shape: Shape, on_hand: u32) {
    fill_with(engine, shape, on_hand, || {});
}

/// As `fill`, calling `pause` after each request, so that a journal can keep up.
///
/// # Panics
/// When the engine refuses anything.
pub fn fill_with(engine: &Engine, shape: Shape, on_hand: u32, mut pause: impl FnMut()) {
    catalogue(engine, shape, &mut pause);
    stock(engine, shape, on_hand, &mut pause);
}

/// Makes the locations and SKUs.
///
/// # Panics
/// When the engine refuses anything.
pub fn catalogue(engine: &Engine, shape: Shape, pause: &mut impl FnMut()) {
    let location = |number| LocationSpec {
        code: location_code(number),
        kind: LocationKind::DistributionCentre,
        priority: number,
        ..LocationSpec::default()
    };
    catalogue_change(engine, CatalogueCommand::UpsertLocations((0..shape.locations).map(location).collect()));
    let sku = |number| SkuSpec { code: sku_code(number), sellable: true, ..SkuSpec::default() };
    for part in parts(shape) {
        catalogue_change(engine, CatalogueCommand::UpsertSkus(part.map(sku).collect()));
        pause();
    }
}

/// Puts `on_hand` units into each cell, none into those of sold-out SKUs.
///
/// # Panics
/// When the engine refuses anything.
pub fn stock(engine: &Engine, shape: Shape, on_hand: u32, pause: &mut impl FnMut()) {
    for part in parts(shape) {
        done(engine, &import(shape, part, on_hand));
        pause();
    }
}

/// An import that puts `on_hand` units into each cell of these SKUs, none into those of sold-out SKUs.
#[must_use]
pub fn import(shape: Shape, skus: Range<u32>, on_hand: u32) -> Command {
    let locations: Vec<String> = (0..shape.locations).map(location_code).collect();
    let rows = skus.flat_map(|sku| {
        let units = if sku < shape.skus { on_hand } else { 0 };
        locations.iter().map(move |location| row(sku_code(sku), location.clone(), units))
    });
    Command::Stock(StockCommand::Import(ImportStock { rows: rows.collect(), reference: String::new() }))
}

fn parts(shape: Shape) -> impl Iterator<Item = Range<u32>> {
    let end = shape.skus + shape.sold_out_skus;
    (0..end).step_by(1_000).map(move |start| start..(start + SKUS_PER_REQUEST).min(end))
}

fn row(sku: String, location: String, on_hand: u32) -> ImportRow {
    ImportRow {
        cell: CellCode { sku, location },
        on_hand: Quantity(on_hand),
        safety: Quantity::ZERO,
        quality_control: Quantity::ZERO,
        damaged: Quantity::ZERO,
        in_repair: Quantity::ZERO,
        incoming: Quantity::ZERO,
    }
}

fn catalogue_change(engine: &Engine, command: CatalogueCommand) {
    done(engine, &Command::Catalogue(command));
}

/// Submits what nobody will repeat, so that no id is remembered for it.
fn done(engine: &Engine, command: &Command) {
    let request = Request::unnamed();
    let answer = engine.submit(&request, command, START).expect("the matrix is filled");
    assert!(matches!(answer.verdict, Verdict::Done(_)), "the matrix is filled: {:?}", answer.verdict);
}
