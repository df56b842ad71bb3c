//! The rows of an import, collected and checked before the first is written.
//!
//! Codes are kept once each and rows refer to them, so that 20 million rows take less than a gigabyte.

use std::{collections::HashMap, sync::Arc};

use quartermaster_engine::{
    self as engine, Engine,
    command::{CellCode, ImportRow},
    quantity::Quantity,
};
use quartermaster_proto::v1;

use super::{convert::checks::Checks, limits, status::ApiError};

/// Codes looked up under one lock of the catalogue; then others have their turn.
const LOOKUPS_PER_TURN: usize = 10_000;

/// A whole import.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Idempotency key of the whole.
    pub(crate) request_id: String,
    /// The caller's document.
    pub(crate) reference: String,
    skus: Codes,
    locations: Codes,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    sku: u32,
    location: u32,
    on_hand: Quantity,
    safety: Quantity,
    quality_control: Quantity,
    damaged: Quantity,
    in_repair: Quantity,
    incoming: Quantity,
}

/// Codes and their numbers in the order of their first appearance.
#[derive(Debug, Default)]
struct Codes {
    codes: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Codes {
    fn number(&mut self, code: &str) -> u32 {
        if let Some(number) = self.numbers.get(code) {
            return *number;
        }
        // There are at most as many codes as rows.
        let number = u32::try_from(self.codes.len()).unwrap_or(u32::MAX);
        let code: Arc<str> = code.into();
        self.codes.push(Arc::clone(&code));
        self.numbers.insert(code, number);
        number
    }

    fn code(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|place| self.codes.get(place)).map_or("", |code| code)
    }
}

impl Rows {
    /// Adds a message of the stream.
    ///
    /// # Errors
    /// When it has too many rows, or one that is malformed: with its number in the whole import, from 1.
    pub(crate) fn add(&mut self, message: v1::ImportStockRequest, is_first: bool) -> Result<(), ApiError> {
        let mut checks = Checks::default();
        if is_first {
            self.request_id = checks.request(message.request_id).id.into();
            self.reference = checks.text("reference", message.reference, &limits::REFERENCE_BYTES_MAX);
        } else {
            same(&mut checks, "request_id", &message.request_id, &self.request_id);
            same(&mut checks, "reference", &message.reference, &self.reference);
        }
        let most = &limits::IMPORT_MESSAGE_ROWS_MAX;
        if checks.length("rows", message.rows.len(), 0, most)
            && checks.length("rows of the import", self.rows.len() + message.rows.len(), 0, &limits::IMPORT_ROWS_MAX)
        {
            for row in &message.rows {
                let row = self.row(&mut checks, row);
                self.rows.push(row);
            }
        }
        checks.finish(())
    }

    fn row(&mut self, checks: &mut Checks, row: &v1::ImportRow) -> Row {
        let number = self.rows.len() + 1;
        for (field, code) in [("sku", &row.sku), ("location", &row.location)] {
            checks.code(format_args!("row {number}: {field}"), code.clone());
        }
        let mut count = |field: &str, units| checks.count(format_args!("row {number}: {field}"), units);
        Row {
            sku: self.skus.number(&row.sku),
            location: self.locations.number(&row.location),
            on_hand: count("on_hand", row.on_hand),
            safety: count("safety", row.safety),
            quality_control: count("quality_control", row.quality_control),
            damaged: count("damaged", row.damaged),
            in_repair: count("in_repair", row.in_repair),
            incoming: count("incoming", row.incoming),
        }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many parts they are written in.
    pub(crate) fn chunks(&self) -> usize {
        self.rows.len().div_ceil(limits::IMPORT_CHUNK_ROWS.size())
    }

    /// The rows of a part, as the engine takes them.
    pub(crate) fn chunk(&self, chunk: usize) -> Vec<ImportRow> {
        let row = |row: &Row| ImportRow {
            cell: self.cell(row),
            on_hand: row.on_hand,
            safety: row.safety,
            quality_control: row.quality_control,
            damaged: row.damaged,
            in_repair: row.in_repair,
            incoming: row.incoming,
        };
        self.rows.chunks(limits::IMPORT_CHUNK_ROWS.size()).nth(chunk).unwrap_or_default().iter().map(row).collect()
    }

    fn cell(&self, row: &Row) -> CellCode {
        CellCode { sku: self.skus.code(row.sku).to_owned(), location: self.locations.code(row.location).to_owned() }
    }

    /// Checks that there are rows and that no cell stands twice.
    ///
    /// # Errors
    /// With the number of the first row that repeats another.
    pub(crate) fn check_cells(&self) -> Result<(), ApiError> {
        if self.rows.is_empty() {
            return Err(ApiError::field("rows", "are missing; at least one row is needed"));
        }
        let mut cells: Vec<(u32, u32, usize)> =
            self.rows.iter().zip(0..).map(|(row, place)| (row.sku, row.location, place)).collect();
        cells.sort_unstable();
        let repeats = cells.windows(2).filter_map(|pair| match pair {
            [(sku, location, first), (same_sku, same_location, again)]
                if (sku, location) == (same_sku, same_location) =>
            {
                Some((*again, *first))
            }
            _ => None,
        });
        let Some((again, first)) = repeats.min() else { return Ok(()) };
        let CellCode { sku, location } = self.cell(&self.rows[again]);
        let problem =
            format!("is SKU {sku:?} at {location:?}, as row {} is; a cell may stand once in an import", first + 1);
        Err(ApiError::field(format!("row {}", again + 1), problem))
    }

    /// Checks that the codes of the rows of these parts are known.
    ///
    /// # Errors
    /// With the number of the first row whose SKU or location is not.
    pub(crate) fn check_codes(&self, engine: &Engine, chunks: &[usize]) -> Result<(), ApiError> {
        let skus = known(&self.skus, |catalogue, code| catalogue.sku(code).is_some(), engine);
        let locations =
            known(&self.locations, |catalogue, code| catalogue.directory().location(code).is_some(), engine);
        let is_known = |known: &[bool], number: u32| {
            usize::try_from(number).is_ok_and(|place| known.get(place).copied().unwrap_or_default())
        };
        let size = limits::IMPORT_CHUNK_ROWS.size();
        for chunk in chunks {
            for (row, place) in self.rows.chunks(size).nth(*chunk).unwrap_or_default().iter().zip(chunk * size..) {
                let error = if !is_known(&skus, row.sku) {
                    engine::Error::UnknownSku { code: self.skus.code(row.sku).to_owned() }
                } else if !is_known(&locations, row.location) {
                    engine::Error::UnknownLocation { code: self.locations.code(row.location).to_owned() }
                } else {
                    continue;
                };
                return Err(ApiError::Row { row: u64::try_from(place + 1).unwrap_or(u64::MAX), error });
            }
        }
        Ok(())
    }
}

/// Which codes the catalogue knows. Its lock is let go again and again: writers wait for it, and everyone waits for a writer.
fn known(codes: &Codes, is_known: impl Fn(&engine::catalog::Catalogue, &str) -> bool, engine: &Engine) -> Vec<bool> {
    let mut known = Vec::with_capacity(codes.codes.len());
    for codes in codes.codes.chunks(LOOKUPS_PER_TURN) {
        let catalogue = engine.catalogue();
        known.extend(codes.iter().map(|code| is_known(&catalogue, code)));
    }
    known
}

fn same(checks: &mut Checks, field: &str, later: &str, first: &str) {
    if !later.is_empty() && later != first {
        checks.refuse(field, format_args!("is {later:?}, the first message had {first:?}; later ones leave it empty"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sku: &str, location: &str, on_hand: i64) -> v1::ImportRow {
        v1::ImportRow { sku: sku.into(), location: location.into(), on_hand, ..Default::default() }
    }

    fn message(request_id: &str, rows: Vec<v1::ImportRow>) -> v1::ImportStockRequest {
        v1::ImportStockRequest { request_id: request_id.into(), rows, reference: String::new() }
    }

    fn said(result: Result<(), ApiError>) -> Vec<String> {
        let violations = result.unwrap_err().violations();
        violations.into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.problem)).collect()
    }

    #[test]
    fn rows_are_cut_into_chunks() {
        let mut rows = Rows::default();
        let many = |first: usize| (first..first + 10_000).map(|sku| row(&format!("A{sku}"), "L", 1)).collect();
        rows.add(message("i", many(0)), true).unwrap();
        assert_eq!((rows.len(), rows.chunks()), (10_000, 10));
        rows.add(message("", many(10_000)), false).unwrap();
        rows.add(message("i", vec![row("B", "L", 7)]), false).unwrap();
        assert_eq!((rows.len(), rows.chunks(), rows.request_id.as_str()), (20_001, 21, "i"));
        let last = rows.chunk(20);
        assert_eq!((last.len(), last[0].cell.sku.as_str(), last[0].on_hand), (1, "B", Quantity(7)));
        assert_eq!((rows.chunk(10)[0].cell.sku.as_str(), rows.chunk(21).len()), ("A10000", 0));
        rows.check_cells().unwrap();
    }

    #[test]
    fn bad_rows_are_refused_by_their_number_in_the_import() {
        let mut rows = Rows::default();
        rows.add(message("i", vec![row("A", "L", 1)]), true).unwrap();
        let wrong = v1::ImportRow { damaged: 1 << 32, ..row("", "L\n", -1) };
        let expected = [
            "row 3: sku: is missing; a code of 1 to 64 bytes is needed",
            "row 3: location: has a control character at position 1; codes have none",
            "row 3: on_hand: is -1; 0 to 4,294,967,295 are allowed",
            "row 3: damaged: is 4294967296; 0 to 4,294,967,295 are allowed",
        ];
        assert_eq!(said(rows.add(message("", vec![row("B", "L", 1), wrong]), false)), expected);
    }

    #[test]
    fn a_cell_stands_once() {
        let mut rows = Rows::default();
        let cells = vec![row("A", "L", 1), row("B", "L", 1), row("A", "M", 1), row("B", "L", 2), row("A", "L", 1)];
        rows.add(message("i", cells), true).unwrap();
        let expected = ["row 4: is SKU \"B\" at \"L\", as row 2 is; a cell may stand once in an import"];
        assert_eq!(said(rows.check_cells()), expected);
    }

    #[test]
    fn messages_belong_to_one_import() {
        let mut rows = Rows::default();
        assert_eq!(said(rows.add(message("", Vec::new()), true)), ["request_id: is missing; 1 to 64 bytes are needed"]);
        rows.add(message("i", Vec::new()), true).unwrap();
        assert_eq!(said(rows.check_cells()), ["rows: are missing; at least one row is needed"]);
        let expected = ["request_id: is \"j\", the first message had \"i\"; later ones leave it empty"];
        assert_eq!(said(rows.add(message("j", Vec::new()), false)), expected);
        let expected = ["rows: has 10001 entries; 0 to 10,000 rows are allowed"];
        assert_eq!(said(rows.add(message("", vec![row("A", "L", 1); 10_001]), false)), expected);
    }
}
