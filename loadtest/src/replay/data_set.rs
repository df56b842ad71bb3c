//! A retailer's files in memory: network, products, opening stock, and everything that happened, in the order it happened.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use quartermaster_proto::v1::{
    LatLng, Location, LocationCapability, LocationKind, LocationState, Money, Sku, StockReason,
};

use super::csv_file::{Column, CsvFile, InputError};
use super::local_time::LocalTime;

/// A SKU's place in [`DataSet::skus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SkuNo(u32);

/// A location's place in [`DataSet::locations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PlaceNo(u32);

/// One SKU at one location.
pub(super) type CellNo = (SkuNo, PlaceNo);

/// Units of a SKU at a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goods {
    /// Where.
    pub(super) cell: CellNo,
    /// How many.
    pub(super) units: u32,
}

/// A correction of stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Adjustment {
    /// Row in the file, counted from 1: part of its request id.
    pub(super) number: u64,
    /// Where.
    pub(super) cell: CellNo,
    /// Units found (positive) or lost (negative), never 0.
    pub(super) delta: i64,
    /// Why, as the API says it.
    pub(super) reason: StockReason,
    /// Why, as the file says it.
    pub(super) said: String,
}

/// What was asked of, or sent back of, one SKU on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DocumentLine {
    /// Line number within the document.
    pub(super) line_no: u32,
    /// SKU.
    pub(super) sku: SkuNo,
    /// Units.
    pub(super) units: u32,
    /// On a return: the order that was returned from.
    pub(super) sold_by: Option<String>,
}

/// An order or a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// Its number.
    pub(super) id: String,
    /// Pseudonym of the customer, empty for a guest.
    pub(super) customer: String,
    /// At least one.
    pub(super) lines: Vec<DocumentLine>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// Goods arrived, all at one time.
    Receipts(Vec<Goods>),
    /// Stock was corrected.
    Adjusted(Adjustment),
    /// A customer ordered.
    Sale(Document),
    /// A customer sent something back.
    Return(Document),
}

/// The files, read and checked.
#[derive(Clone, Debug)]
pub(super) struct DataSet {
    /// SKUs of all files, those of the products file first.
    pub(super) skus: Vec<Sku>,
    /// Locations in the order of the file. At least one.
    pub(super) locations: Vec<Location>,
    /// Where adjustments and unmatched returns go: the first distribution centre, or the first location if there is none.
    pub(super) main: PlaceNo,
    /// Opening stock, one entry a cell.
    pub(super) opening: Vec<Goods>,
    /// In the order of their times; receipts, then adjustments, then orders at equal times.
    pub(super) happenings: Vec<(LocalTime, Happening)>,
}

/// Which files to read, and how much of them.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// The directory.
    pub(super) directory: PathBuf,
    /// Orders and stock from the folder `sample` in it, without receipts and adjustments.
    pub(super) sample: bool,
    /// Orders (sales) at most; everything after the last one is left out.
    pub(super) orders_max: Option<u64>,
    /// Days from the first happening.
    pub(super) days: Option<u32>,
    /// ISO 4217 code of the prices.
    pub(super) currency: String,
}

impl DataSet {
    /// Reads the files.
    ///
    /// # Errors
    /// With file, row and column of the first thing that is wrong.
    pub(super) fn read(selection: &Selection) -> Result<Self, InputError> {
        let directory = &selection.directory;
        let (locations, main) = read_locations(directory)?;
        let mut names = Names::new(&locations);
        let mut skus = read_products(directory, &selection.currency, &mut names)?;
        let stock_and_orders = if selection.sample { directory.join("sample") } else { directory.clone() };
        let opening = read_opening(&stock_and_orders, &mut names)?;
        let mut happenings = Vec::new();
        if !selection.sample {
            happenings.extend(read_receipts(directory, &mut names)?);
            happenings.extend(read_adjustments(directory, main, &mut names)?);
        }
        let orders = if selection.sample { "orders.csv" } else { "retail-orders.csv" };
        happenings.extend(read_orders(&stock_and_orders, orders, &mut names)?);
        // Stable: what was read first stays first at equal times.
        happenings.sort_by_key(|(time, _)| *time);
        cut(&mut happenings, selection);
        skus.extend(names.skus_beyond(skus.len()).map(|code| Sku { code, ..Sku::default() }));
        Ok(DataSet { skus, locations, main, opening, happenings })
    }

    /// Code of a SKU.
    pub(super) fn sku_code(&self, sku: SkuNo) -> &str {
        &self.skus[usize::try_from(sku.0).unwrap_or(usize::MAX)].code
    }

    /// Code of a location.
    pub(super) fn place_code(&self, place: PlaceNo) -> &str {
        &self.locations[usize::try_from(place.0).unwrap_or(usize::MAX)].code
    }

    /// Numbers by code, to read the server's answers by.
    pub(super) fn index(&self) -> Index {
        let numbered =
            |codes: Vec<&String>| (0_u32..).zip(codes).map(|(number, code)| (code.clone(), number)).collect();
        Index {
            skus: numbered(self.skus.iter().map(|sku| &sku.code).collect()),
            places: numbered(self.locations.iter().map(|location| &location.code).collect()),
        }
    }
}

/// Numbers by code.
#[derive(Clone, Debug)]
pub(super) struct Index {
    skus: HashMap<String, u32>,
    places: HashMap<String, u32>,
}

impl Index {
    /// The cell of two codes; `None` when the files know neither or only one.
    pub(super) fn cell(&self, sku: &str, location: &str) -> Option<CellNo> {
        Some((SkuNo(*self.skus.get(sku)?), PlaceNo(*self.places.get(location)?)))
    }
}

fn cut(happenings: &mut Vec<(LocalTime, Happening)>, selection: &Selection) {
    if let (Some(days), Some(&(first, _))) = (selection.days, happenings.first()) {
        let end = first.midnight_after(days);
        happenings.retain(|(time, _)| *time < end);
    }
    if let Some(orders_max) = selection.orders_max {
        let mut sales = 0;
        let end = happenings.iter().position(|(_, happening)| {
            sales += u64::from(matches!(happening, Happening::Sale(_)));
            sales > orders_max
        });
        happenings.truncate(end.unwrap_or(happenings.len()));
    }
}

/// Numbers given to codes as they turn up.
struct Names {
    skus: HashMap<String, SkuNo>,
    in_order: Vec<String>,
    places: HashMap<String, PlaceNo>,
}

impl Names {
    fn new(locations: &[Location]) -> Self {
        let places =
            (0_u32..).zip(locations).map(|(number, location)| (location.code.clone(), PlaceNo(number))).collect();
        Names { skus: HashMap::new(), in_order: Vec::new(), places }
    }

    fn sku(&mut self, file: &CsvFile, column: Column) -> Result<SkuNo, InputError> {
        let code = file.code(column)?;
        if let Some(&known) = self.skus.get(code) {
            return Ok(known);
        }
        let number =
            SkuNo(u32::try_from(self.in_order.len()).map_err(|_| file.wrong(column, "one of 4 billion SKUs"))?);
        self.skus.insert(code.to_owned(), number);
        self.in_order.push(code.to_owned());
        Ok(number)
    }

    fn place(&self, file: &CsvFile, column: Column) -> Result<PlaceNo, InputError> {
        let known = self.places.get(file.text(column)).copied();
        known.ok_or_else(|| file.wrong(column, "a location_id of locations.csv"))
    }

    fn skus_beyond(&self, len: usize) -> impl Iterator<Item = String> {
        self.in_order.iter().skip(len).cloned()
    }
}

fn read_locations(directory: &Path) -> Result<(Vec<Location>, PlaceNo), InputError> {
    let mut file = CsvFile::open(directory, "locations.csv")?;
    let (id, kind) = (file.column("location_id")?, file.column("kind")?);
    let (city, lat, lng) = (file.optional("city"), file.optional("lat"), file.optional("lng"));
    let country = file.optional("country");
    let mut locations: Vec<Location> = Vec::new();
    let mut main = None;
    while file.next_row()? {
        let (kind_found, rank) = match file.text(kind) {
            "dc" => (LocationKind::DistributionCentre, 100_000),
            "rdc" | "hub" => (LocationKind::DistributionCentre, 200_000),
            "warehouse" => (LocationKind::ForwardWarehouse, 300_000),
            "store" => (LocationKind::Store, 400_000),
            "3pl" => (LocationKind::ThirdParty, 500_000),
            "supplier" => (LocationKind::Supplier, 600_000),
            _ => return Err(file.wrong(kind, "one of dc, rdc, hub, warehouse, store, 3pl, supplier")),
        };
        let number = u32::try_from(locations.len()).unwrap_or(u32::MAX);
        if file.text(kind) == "dc" && main.is_none() {
            main = Some(PlaceNo(number));
        }
        let text = |column: Option<Column>| column.map(|column| file.text(column)).unwrap_or("");
        let coordinates = match (lat, lng) {
            (Some(lat), Some(lng)) if !file.text(lat).is_empty() => Some(LatLng {
                latitude: file.parse(lat, "degrees north")?,
                longitude: file.parse(lng, "degrees east")?,
            }),
            _ => None,
        };
        locations.push(Location {
            code: file.code(id)?.to_owned(),
            name: text(city).to_owned(),
            kind: kind_found.into(),
            coordinates,
            region: text(country).to_owned(),
            capabilities: vec![LocationCapability::Ship.into()],
            state: LocationState::Open.into(),
            priority: rank + i32::try_from(locations.len()).unwrap_or(0),
            fulfilment: None,
        });
    }
    if locations.is_empty() {
        file.next_row()?;
        return Err(file.wrong(id, "there: the file has no rows"));
    }
    Ok((locations, main.unwrap_or(PlaceNo(0))))
}

fn read_products(directory: &Path, currency: &str, names: &mut Names) -> Result<Vec<Sku>, InputError> {
    let Some(mut file) = CsvFile::find(directory, "products.csv")? else { return Ok(Vec::new()) };
    let sku = file.column("sku")?;
    let (name, price, class) = (file.optional("name"), file.optional("median_price"), file.optional("abc"));
    let mut skus: Vec<Sku> = Vec::new();
    while file.next_row()? {
        let code = file.code(sku)?.to_owned();
        names.sku(&file, sku)?;
        if names.in_order.len() == skus.len() {
            return Err(file.wrong(sku, "new: it stood in an earlier row"));
        }
        let unit_value = match price {
            Some(price) if !file.text(price).is_empty() => {
                let minor = minor_units(file.text(price));
                let minor_units = minor.ok_or_else(|| file.wrong(price, "a price with at most six decimals"))?;
                Some(Money { currency_code: currency.to_owned(), minor_units })
            }
            _ => None,
        };
        let attribute = |key: &str, column: Option<Column>| {
            let text = column.map(|column| file.text(column)).unwrap_or("");
            (!text.is_empty()).then(|| (key.to_owned(), text.chars().take(64).collect()))
        };
        let attributes = [attribute("name", name), attribute("abc", class)].into_iter().flatten().collect();
        skus.push(Sku { code, attributes, unit_value, ..Sku::default() });
    }
    Ok(skus)
}

/// `12.3` as 1,230 minor units. A median may have more decimals than a price: half a unit and more is rounded up.
fn minor_units(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = part.len();
    if !(1..=6).contains(&digits) || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millionths = part.parse::<i64>().ok()? * 10_i64.pow(6 - u32::try_from(digits).ok()?);
    whole.parse::<u32>().ok().map(|whole| i64::from(whole) * 100 + (millionths + 5_000) / 10_000)
}

fn read_opening(directory: &Path, names: &mut Names) -> Result<Vec<Goods>, InputError> {
    let mut file = CsvFile::open(directory, "stock.csv")?;
    let (place, sku, units) = (file.column("location_id")?, file.column("sku")?, file.column("on_hand")?);
    let mut opening = Vec::new();
    let mut seen = HashSet::new();
    while file.next_row()? {
        let cell = (names.sku(&file, sku)?, names.place(&file, place)?);
        if !seen.insert(cell) {
            return Err(file.wrong(sku, "new at this location: the cell stood in an earlier row"));
        }
        opening.push(Goods { cell, units: file.parse(units, "units from 0 to 4,294,967,295")? });
    }
    Ok(opening)
}

fn read_receipts(directory: &Path, names: &mut Names) -> Result<Vec<(LocalTime, Happening)>, InputError> {
    let Some(mut file) = CsvFile::find(directory, "receipts.csv")? else { return Ok(Vec::new()) };
    let (ts, place) = (file.column("ts")?, file.column("location_id")?);
    let (sku, qty) = (file.column("sku")?, file.column("qty")?);
    let mut arrivals: Vec<(LocalTime, Vec<Goods>)> = Vec::new();
    while file.next_row()? {
        let time = time_of(&file, ts)?;
        let goods = Goods { cell: (names.sku(&file, sku)?, names.place(&file, place)?), units: positive(&file, qty)? };
        match arrivals.last_mut() {
            Some((last, _)) if time < *last => return Err(file.out_of_order(ts)),
            Some((last, all)) if time == *last => all.push(goods),
            _ => arrivals.push((time, vec![goods])),
        }
    }
    Ok(arrivals.into_iter().map(|(time, goods)| (time, Happening::Receipts(goods))).collect())
}

fn read_adjustments(
    directory: &Path,
    main: PlaceNo,
    names: &mut Names,
) -> Result<Vec<(LocalTime, Happening)>, InputError> {
    let Some(mut file) = CsvFile::find(directory, "stock-adjustments.csv")? else { return Ok(Vec::new()) };
    let (ts, sku, delta) = (file.column("ts")?, file.column("sku")?, file.column("delta")?);
    let (reason, place) = (file.column("reason")?, file.optional("location_id"));
    let mut adjustments: Vec<(LocalTime, Happening)> = Vec::new();
    while file.next_row()? {
        let time = time_of(&file, ts)?;
        if adjustments.last().is_some_and(|(last, _)| time < *last) {
            return Err(file.out_of_order(ts));
        }
        let expected = "a difference that is not 0 and fits 32 bits";
        let change: i32 = file.parse(delta, expected)?;
        if change == 0 {
            return Err(file.wrong(delta, expected));
        }
        let place = place.map_or(Ok(main), |place| names.place(&file, place))?;
        let said = file.text(reason).to_owned();
        let adjustment = Adjustment {
            number: u64::try_from(adjustments.len()).unwrap_or(u64::MAX) + 1,
            cell: (names.sku(&file, sku)?, place),
            delta: change.into(),
            reason: reason_of(&said),
            said,
        };
        adjustments.push((time, Happening::Adjusted(adjustment)));
    }
    Ok(adjustments)
}

fn reason_of(said: &str) -> StockReason {
    match said {
        "" | "none" => StockReason::Unspecified,
        "damaged" | "thrown_away" => StockReason::Damage,
        "lost" => StockReason::Loss,
        "found" => StockReason::Found,
        "sample" => StockReason::Sample,
        "check" | "count" => StockReason::Count,
        "correction" => StockReason::Correction,
        "transfer" => StockReason::Transfer,
        _ => StockReason::Other,
    }
}

fn read_orders(directory: &Path, name: &str, names: &mut Names) -> Result<Vec<(LocalTime, Happening)>, InputError> {
    let mut file = CsvFile::open(directory, name)?;
    let (order, ts, line_no) = (file.column("order_id")?, file.column("ts")?, file.column("line_no")?);
    let (sku, qty, customer) = (file.column("sku")?, file.column("qty")?, file.column("customer_id")?);
    let (is_return, sold_by) = (file.column("is_return")?, file.column("ref_order_id")?);
    let mut documents: Vec<(LocalTime, bool, Document)> = Vec::new();
    let mut seen = HashSet::new();
    while file.next_row()? {
        let time = time_of(&file, ts)?;
        let id = file.code(order)?;
        let returned = match file.text(is_return) {
            "0" => false,
            "1" => true,
            _ => return Err(file.wrong(is_return, "0 for a sale or 1 for a return")),
        };
        let reference = file.text(sold_by);
        let line = DocumentLine {
            line_no: file.parse(line_no, "a line number from 1")?,
            sku: names.sku(&file, sku)?,
            units: positive(&file, qty)?,
            sold_by: (returned && !reference.is_empty()).then(|| reference.to_owned()),
        };
        match documents.last_mut() {
            Some((last, _, _)) if time < *last => return Err(file.out_of_order(ts)),
            Some((_, was_returned, document)) if document.id == id && *was_returned == returned => {
                document.lines.push(line);
            }
            _ => {
                if !seen.insert(id.to_owned()) {
                    return Err(file.wrong(order, "new: the lines of one document must lie together"));
                }
                let customer = file.text(customer).to_owned();
                documents.push((time, returned, Document { id: id.to_owned(), customer, lines: vec![line] }));
            }
        }
    }
    let happening = |returned, document| if returned { Happening::Return(document) } else { Happening::Sale(document) };
    Ok(documents.into_iter().map(|(time, returned, document)| (time, happening(returned, document))).collect())
}

fn time_of(file: &CsvFile, ts: Column) -> Result<LocalTime, InputError> {
    file.parse(ts, "a time like 2010-12-01T08:26:00")
}

fn positive(file: &CsvFile, qty: Column) -> Result<u32, InputError> {
    let expected = "units from 1 to 4,294,967,295";
    match file.parse(qty, expected)? {
        0 => Err(file.wrong(qty, expected)),
        units => Ok(units),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LOCATIONS: &str =
        "location_id,kind,country,city,lat,lng\nST-1,store,GB,Leeds,53.8,-1.5\nDC-1,dc,GB,London,51.5,-0.1\n";
    const ORDERS: &str = "order_id,ts,line_no,sku,qty,unit_price,customer_id,dest_country,dest_zip,dest_city,dest_lat,\
        dest_lng,is_return,ref_order_id,ref_line_no\n";

    fn files(changed: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let orders = format!(
            "{ORDERS}1,2011-01-02T10:00:00,1,A,2,1.0,c,GB,,,,,0,,\n1,2011-01-02T10:00:00,2,A,1,1.0,c,GB,,,,,0,,\n\
             C1,2011-01-03T10:00:00,1,A,1,1.0,c,GB,,,,,1,1,1\n"
        );
        let all = [
            ("locations.csv", LOCATIONS),
            ("products.csv", "sku,name,median_price\nA,apple,1.5\n"),
            ("stock.csv", "location_id,sku,on_hand\nST-1,A,3\nDC-1,B,4\n"),
            ("receipts.csv", "ts,location_id,sku,qty\n2011-01-02T10:00:00,DC-1,A,5\n2011-01-02T10:00:00,DC-1,B,1\n"),
            ("stock-adjustments.csv", "ts,sku,delta,reason\n2011-01-02T10:00:00,A,-2,lost\n"),
            ("retail-orders.csv", &orders),
        ];
        for (name, text) in all {
            let text = changed.iter().find(|(changed, _)| *changed == name).map_or(text, |(_, text)| text);
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    fn read(directory: &tempfile::TempDir) -> Result<DataSet, InputError> {
        DataSet::read(&Selection {
            directory: directory.path().to_owned(),
            sample: false,
            orders_max: None,
            days: None,
            currency: "GBP".to_owned(),
        })
    }

    #[test]
    fn files_become_one_stream_with_receipts_and_adjustments_first() {
        let set = read(&files(&[])).unwrap();
        assert_eq!(set.skus.iter().map(|sku| sku.code.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(set.skus[0].unit_value.as_ref().unwrap().minor_units, 150);
        assert_eq!(set.place_code(set.main), "DC-1");
        assert_eq!(set.opening.len(), 2);
        let kinds: Vec<_> = set
            .happenings
            .iter()
            .map(|(_, happening)| match happening {
                Happening::Receipts(goods) => format!("receipts {}", goods.len()),
                Happening::Adjusted(adjustment) => format!("adjusted {}", adjustment.delta),
                Happening::Sale(document) => format!("sale {} of {} lines", document.id, document.lines.len()),
                Happening::Return(document) => format!("return of {:?}", document.lines[0].sold_by),
            })
            .collect();
        assert_eq!(kinds, ["receipts 2", "adjusted -2", "sale 1 of 2 lines", "return of Some(\"1\")"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_file_row_and_column() {
        let bad_qty = format!("{ORDERS}1,2011-01-02T10:00:00,1,A,0,1.0,c,GB,,,,,0,,\n");
        let backwards = format!(
            "{ORDERS}1,2011-01-02T10:00:00,1,A,1,1.0,c,GB,,,,,0,,\n2,2011-01-01T10:00:00,1,A,1,1.0,c,GB,,,,,0,,\n"
        );
        let table: [(&str, &str, &str); 9] = [
            (
                "retail-orders.csv",
                &bad_qty,
                "retail-orders.csv, row 2, column qty: \"0\" is not units from 1 to 4,294,967,295",
            ),
            (
                "retail-orders.csv",
                &backwards,
                "retail-orders.csv, row 3, column ts: 2011-01-01T10:00:00 comes after a later time",
            ),
            (
                "stock.csv",
                "location_id,sku,on_hand\nST-9,A,3\n",
                "stock.csv, row 2, column location_id: \"ST-9\" is not a location_id",
            ),
            ("stock.csv", "location_id,sku\nST-1,A\n", "stock.csv: the header has no column \"on_hand\""),
            (
                "stock.csv",
                "location_id,sku,on_hand\nST-1,A,3\nST-1,A,4\n",
                "stock.csv, row 3, column sku: \"A\" is not new",
            ),
            ("stock.csv", "location_id,sku,on_hand\nST-1,A\n", "stock.csv, row 2: CSV error"),
            (
                "receipts.csv",
                "ts,location_id,sku,qty\n2011-02-30,DC-1,A,5\n",
                "receipts.csv, row 2, column ts: \"2011-02-30\" is not a time",
            ),
            (
                "stock-adjustments.csv",
                "ts,sku,delta,reason\n2011-01-02,A,0,lost\n",
                "stock-adjustments.csv, row 2, column delta: \"0\"",
            ),
            (
                "products.csv",
                "sku,name,median_price\nA,apple,1.5x\n",
                "products.csv, row 2, column median_price: \"1.5x\" is not a price",
            ),
        ];
        for (file, text, expected) in table {
            let error = read(&files(&[(file, text)])).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} lacks {expected:?}");
        }
        let directory = files(&[]);
        fs::remove_file(directory.path().join("stock.csv")).unwrap();
        let error = read(&directory).unwrap_err().to_string();
        assert!(error.contains("stock.csv is missing") && error.contains("stock.csv.gz"), "{error}");
    }

    #[test]
    fn prices_become_minor_units() {
        let table = [("12", 1_200), ("12.3", 1_230), ("0.85", 85), ("1.225", 123), ("1.224", 122), ("0.999", 100)];
        table.into_iter().for_each(|(text, minor)| assert_eq!(minor_units(text), Some(minor), "{text}"));
        let wrong = ["", ".5", "-1", "1.", "1.-5", "1,5", "1.1234567"];
        wrong.into_iter().for_each(|text| assert_eq!(minor_units(text), None, "{text}"));
    }

    #[test]
    fn a_gzipped_file_reads_as_the_plain_one() {
        use std::io::Write;
        let directory = files(&[]);
        let plain = directory.path().join("stock.csv");
        let mut zipped = flate2::write::GzEncoder::new(
            fs::File::create(directory.path().join("stock.csv.gz")).unwrap(),
            flate2::Compression::fast(),
        );
        zipped.write_all(&fs::read(&plain).unwrap()).unwrap();
        zipped.finish().unwrap();
        let before = read(&directory).unwrap().opening;
        fs::remove_file(plain).unwrap();
        assert_eq!(read(&directory).unwrap().opening, before);
    }
}
