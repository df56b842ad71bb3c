//! The file of SKUs.

use std::io;
use std::path::Path;

use quartermaster_proto::v1::{Money, Sku};

use super::codes::Codes;
use super::digest::Digest;
use super::problem::{Problems, Wrong};
use super::table::{self, CODE_BYTES_MAX, Row};

const ATTRIBUTES_MAX: usize = 32;
const VALUE_BYTES_MAX: usize = 256;
const SIDE_MM_MAX: i64 = 100_000;

struct Found {
    code: usize,
    style: Option<usize>,
    colour: Option<usize>,
    size: Option<usize>,
    weight: Option<usize>,
    currency: Option<usize>,
    value: Option<usize>,
    sellable: Option<usize>,
    sides: [Option<usize>; 3],
    dangerous_goods: Option<usize>,
    temperature: Option<usize>,
    category: Option<usize>,
    /// Every other column.
    attributes: Vec<(usize, String)>,
}

/// Reads SKUs. Columns that mean nothing here become attributes, unless a field is empty.
pub(super) fn read(
    path: &Path,
    digest: &mut Digest,
    codes: &mut Codes,
    problems: &mut Problems,
) -> io::Result<Vec<Sku>> {
    let mut skus = Vec::new();
    table::read(
        path,
        ("skus", digest),
        problems,
        |columns| {
            let code = columns.require(&["sku", "code", "sku_code"]);
            let found = Found {
                code: code?,
                style: columns.find(&["style", "style_code"]),
                colour: columns.find(&["colour", "color"]),
                size: columns.find(&["size"]),
                weight: columns.find(&["weight_grams", "weight_g"]),
                currency: columns.find(&["currency"]),
                value: columns.find(&["unit_value"]),
                sellable: columns.find(&["sellable"]),
                sides: [&["length_mm"], &["width_mm"], &["height_mm"]].map(|names| columns.find(names)),
                dangerous_goods: columns.find(&["dangerous_goods"]),
                temperature: columns.find(&["temperature"]),
                category: columns.find(&["category"]),
                attributes: columns.rest(),
            };
            Some(found)
        },
        |found, row| skus.extend(sku(found, row, codes)),
    )?;
    Ok(skus)
}

fn sku(found: &Found, row: &mut Row<'_>, codes: &mut Codes) -> Option<Sku> {
    let code = row.code(found.code)?;
    if let Some(first) = codes.make(&code, row.line) {
        row.wrong(found.code, Wrong::Twice { text: code, first });
        return None;
    }
    let currency = row.text(found.currency, 16);
    let value = row.number(found.value, i64::MIN, i64::MAX);
    if !currency.is_empty() && (currency.len() != 3 || !currency.bytes().all(|letter| letter.is_ascii_uppercase())) {
        row.wrong(found.currency.unwrap_or(0), Wrong::NoCurrency { text: currency.clone() });
    }
    if value.is_some() && currency.is_empty() {
        row.wrong(found.value.unwrap_or(0), Wrong::NoCurrencyGiven);
    }
    let [length_mm, width_mm, height_mm] = found.sides.map(|side| {
        let side = row.number(side, 0, SIDE_MM_MAX).unwrap_or(0);
        i32::try_from(side).unwrap_or(0)
    });
    let mut sku = Sku {
        code,
        style: row.text(found.style, CODE_BYTES_MAX),
        colour: row.text(found.colour, CODE_BYTES_MAX),
        size: row.text(found.size, CODE_BYTES_MAX),
        weight_grams: row.number(found.weight, 0, i64::MAX).unwrap_or(0),
        unit_value: value.map(|minor_units| Money { currency_code: currency, minor_units }),
        sellable: row.flag(found.sellable),
        category: row.text(found.category, CODE_BYTES_MAX),
        length_mm,
        width_mm,
        height_mm,
        dangerous_goods: row.text(found.dangerous_goods, CODE_BYTES_MAX),
        temperature: row.text(found.temperature, CODE_BYTES_MAX),
        ..Sku::default()
    };
    for (place, name) in &found.attributes {
        let value = row.text(Some(*place), VALUE_BYTES_MAX);
        if name.len() > CODE_BYTES_MAX {
            row.wrong(*place, Wrong::TooLong { found: name.len(), limit: CODE_BYTES_MAX });
        } else if !value.is_empty() && !name.is_empty() {
            sku.attributes.insert(name.clone(), value);
        }
    }
    if sku.attributes.len() > ATTRIBUTES_MAX {
        let attributes = sku.attributes.len();
        row.wrong(found.code, Wrong::TooManyAttributes { attributes, limit: ATTRIBUTES_MAX });
    }
    Some(sku)
}
