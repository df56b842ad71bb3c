//! The file of regions.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use quartermaster_proto::v1::Region;

use super::codes::{Codes, Mention};
use super::digest::Digest;
use super::locations::coordinates;
use super::problem::{Problems, Wrong};
use super::table::{self, CODE_BYTES_MAX};

const NAME_BYTES_MAX: usize = 256;

struct Found {
    code: usize,
    parent: Option<usize>,
    name: Option<usize>,
    latitude: Option<usize>,
    longitude: Option<usize>,
    /// The codes are those of GB/T 2260.
    adcodes: bool,
}

/// A region and where its parent is named.
struct Read {
    region: Region,
    mention: Mention,
    adcode: bool,
}

/// Reads regions, each behind the one it lies in; gives them with the names of the columns that mean nothing here.
pub(super) fn read(
    path: &Path,
    digest: &mut Digest,
    codes: &mut Codes,
    problems: &mut Problems,
) -> io::Result<(Vec<Region>, Vec<String>)> {
    let mut rows = Vec::new();
    let mut ignored = Vec::new();
    table::read(
        path,
        ("regions", digest),
        problems,
        |columns| {
            let adcode = columns.find(&["adcode"]);
            let code = adcode.or_else(|| columns.require(&["code", "region"]));
            let found = Found {
                code: code?,
                parent: columns.find(&["parent"]),
                name: columns.find(&["name"]),
                latitude: columns.find(&["lat", "latitude"]),
                longitude: columns.find(&["lng", "lon", "longitude"]),
                adcodes: adcode.is_some(),
            };
            ignored = columns.rest().into_iter().map(|(_, name)| name).collect();
            Some(found)
        },
        |found, row| {
            let Some(code) = row.code(found.code) else { return };
            if let Some(first) = codes.make(&code, row.line) {
                row.wrong(found.code, Wrong::Twice { text: code, first });
                return;
            }
            let parent = row.text(found.parent, CODE_BYTES_MAX);
            let name = row.text(found.name, NAME_BYTES_MAX);
            let coordinates = coordinates(found.latitude, found.longitude, row);
            let column = row.name(found.parent.unwrap_or(found.code)).to_owned();
            let mention = Mention { file: path.display().to_string(), row: row.line, column };
            rows.push(Read { region: Region { code, parent, name, coordinates }, mention, adcode: found.adcodes });
        },
    )?;
    Ok((in_order(rows, codes, problems), ignored))
}

/// Parents first, so that they come with the same request or one before.
fn in_order(mut rows: Vec<Read>, codes: &mut Codes, problems: &mut Problems) -> Vec<Region> {
    let places: HashMap<String, usize> = rows.iter().map(|row| row.region.code.clone()).zip(0..).collect();
    for row in &mut rows {
        if row.region.parent.is_empty() || places.contains_key(&row.region.parent) {
            continue;
        }
        match province(&row.region.parent).filter(|province| row.adcode && places.contains_key(province)) {
            Some(province) => row.region.parent = province,
            None => _ = codes.refer(&row.region.parent, || row.mention.clone()),
        }
    }
    let parent = |place: &usize| places.get(&rows[*place].region.parent).copied();
    let mut order: Vec<(usize, usize)> = Vec::with_capacity(rows.len());
    for place in 0..rows.len() {
        let depth = std::iter::successors(Some(place), parent).take(rows.len() + 1).count();
        if depth > rows.len() {
            let Mention { file, row, column } = &rows[place].mention;
            problems.add(file, *row, column, Wrong::Round { text: rows[place].region.code.clone() });
            return Vec::new();
        }
        order.push((depth, place));
    }
    order.sort_unstable();
    order.into_iter().map(|(_, place)| std::mem::take(&mut rows[place].region)).collect()
}

/// GB/T 2260 numbers counties that no prefecture has as if there were one, 419000 for example, and lists none: they lie in the province.
fn province(adcode: &str) -> Option<String> {
    let digits = adcode.len() == 6 && adcode.bytes().all(|digit| digit.is_ascii_digit());
    digits.then(|| format!("{}0000", &adcode[..2]))
}
