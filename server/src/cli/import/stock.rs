//! The file of stock: many rows, so each is kept in 32 bytes.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use quartermaster_proto::v1::ImportRow;

use super::codes::{Codes, Mention};
use super::digest::Digest;
use super::problem::{Problems, Wrong};
use super::table;

/// A row, its codes as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StockRow {
    sku: u32,
    location: u32,
    on_hand: u32,
    safety: u32,
    quality_control: u32,
    damaged: u32,
    in_repair: u32,
    incoming: u32,
}

impl StockRow {
    /// As it is sent.
    pub(super) fn message(&self, skus: &Codes, locations: &Codes) -> ImportRow {
        ImportRow {
            sku: skus.code(self.sku).to_owned(),
            location: locations.code(self.location).to_owned(),
            on_hand: self.on_hand.into(),
            safety: self.safety.into(),
            quality_control: self.quality_control.into(),
            damaged: self.damaged.into(),
            in_repair: self.in_repair.into(),
            incoming: self.incoming.into(),
        }
    }
}

struct Found {
    sku: usize,
    location: usize,
    on_hand: usize,
    safety: Option<usize>,
    quality_control: Option<usize>,
    damaged: Option<usize>,
    in_repair: Option<usize>,
    incoming: Option<usize>,
}

/// Reads stock; gives it with the names of the columns that mean nothing here.
pub(super) fn read(
    path: &Path,
    digest: &mut Digest,
    (skus, locations): (&mut Codes, &mut Codes),
    problems: &mut Problems,
) -> io::Result<(Vec<StockRow>, Vec<String>)> {
    let file = path.display().to_string();
    let mut rows = Vec::new();
    let mut lines: HashMap<(u32, u32), u64> = HashMap::new();
    let mut ignored = Vec::new();
    table::read(
        path,
        ("stock", digest),
        problems,
        |columns| {
            let sku = columns.require(&["sku", "sku_code", "code"]);
            let location = columns.require(&["location", "location_id", "location_code"]);
            let on_hand = columns.require(&["on_hand", "quantity", "qty"]);
            let found = Found {
                sku: sku?,
                location: location?,
                on_hand: on_hand?,
                safety: columns.find(&["safety", "safety_stock"]),
                quality_control: columns.find(&["quality_control", "qc"]),
                damaged: columns.find(&["damaged"]),
                in_repair: columns.find(&["in_repair"]),
                incoming: columns.find(&["incoming"]),
            };
            ignored = columns.rest().into_iter().map(|(_, name)| name).collect();
            Some(found)
        },
        |found, row| {
            let (sku, location) = (row.code(found.sku), row.code(found.location));
            let before = row.problems.total;
            let on_hand = row.number(Some(found.on_hand), 0, i64::from(u32::MAX));
            if on_hand.is_none() && row.problems.total == before {
                row.wrong(found.on_hand, Wrong::Empty);
            }
            let mut units = |column| row.units(column);
            let (safety, quality_control) = (units(found.safety), units(found.quality_control));
            let (damaged, in_repair) = (units(found.damaged), units(found.in_repair));
            let incoming = units(found.incoming);
            let (sku_column, location_column) = (row.name(found.sku), row.name(found.location));
            let mention = |column: &str| Mention { file: file.clone(), row: row.line, column: column.to_owned() };
            let sku_number = sku.as_ref().map(|code| skus.refer(code, || mention(sku_column)));
            let location_number = location.as_ref().map(|code| locations.refer(code, || mention(location_column)));
            let (Some(sku), Some(location), Some(on_hand)) = (sku, location, on_hand) else { return };
            let (Some(sku_number), Some(location_number)) = (sku_number, location_number) else { return };
            let numbers = (sku_number, location_number);
            if let Some(first) = lines.insert(numbers, row.line) {
                lines.insert(numbers, first);
                row.wrong(found.sku, Wrong::CellTwice { sku, location, first });
                return;
            }
            rows.push(StockRow {
                sku: numbers.0,
                location: numbers.1,
                on_hand: u32::try_from(on_hand).unwrap_or(0),
                safety,
                quality_control,
                damaged,
                in_repair,
                incoming,
            });
        },
    )?;
    Ok((rows, ignored))
}
