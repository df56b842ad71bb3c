//! Writes single orders and the stock they met, in the form that `bench-split` reads.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::history::{History, Sale};
use crate::network::Site;
use crate::world::Stock;

/// One JSON object on a line: the order's lines, and every location with stock of any of them.
pub(crate) fn write(
    out: &mut impl Write,
    history: &History,
    sale: &Sale,
    stock: &Stock,
    sites: &[Site],
) -> io::Result<()> {
    let mut nodes = Vec::new();
    for site in sites {
        let mut have = Map::new();
        for line in &sale.lines {
            let units = stock.at(site.id, line.sku).min(line.units);
            if units.0 > 0 {
                have.insert(history.skus.name(line.sku.0).to_owned(), json!(units.0));
            }
        }
        if !have.is_empty() {
            let (ship, pick) = (site.parcel_cost.0, site.pick_unit_cost.0);
            nodes.push(json!({"id": history.network.code(site.id), "ship": ship, "pick": pick, "have": have}));
        }
    }
    let lines: Vec<Value> =
        sale.lines.iter().map(|line| json!([history.skus.name(line.sku.0), line.units.0])).collect();
    writeln!(out, "{}", json!({"id": history.documents.name(sale.id.0), "lines": lines, "nodes": nodes}))
}
