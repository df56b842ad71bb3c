//! From the files of a data set to a [`History`].

use std::path::Path;

use clap::ValueEnum;
use quartermaster_benches::files::{open, rows};
use quartermaster_routing::{LocationId, Money, SkuId, Units};
use serde::Deserialize;

use crate::Fault;
use crate::history::{DocumentId, Event, History, Names, Returned, Sale, Stamp, Wanted};
use crate::network::{Kind, Network, Place, Point};

/// A data set by name; the files of each have the same columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Set {
    /// Nine months of a gift-ware retailer; pence.
    Retail,
    /// Twenty months of a marketplace; centavos.
    Olist,
    /// Two days of `retail`, without receipts.
    Sample,
}

/// Reads the whole set below `data`.
pub(crate) fn read(data: &Path, set: Set) -> Result<History, Fault> {
    let (locations, stock, orders) = match set {
        Set::Retail => ("locations.csv", "stock.csv.gz", "retail-orders.csv.gz"),
        Set::Olist => ("olist/locations.csv", "olist/stock.csv.gz", "olist/orders.csv.gz"),
        Set::Sample => ("locations.csv", "sample/stock.csv", "sample/orders.csv"),
    };
    let mut reading = Reading::new(&rows(open(data, locations)?, locations)?)?;
    reading.stock(&rows(open(data, stock)?, stock)?)?;
    reading.orders(&rows(open(data, orders)?, orders)?)?;
    if set == Set::Retail {
        let (receipts, adjustments) = ("receipts.csv.gz", "stock-adjustments.csv.gz");
        reading.receipts(&rows(open(data, receipts)?, receipts)?)?;
        reading.adjustments(&rows(open(data, adjustments)?, adjustments)?)?;
    }
    reading.0.merge();
    Ok(reading.0)
}

#[derive(Deserialize)]
struct LocationRow {
    location_id: String,
    kind: Kind,
    country: String,
    lat: f64,
    lng: f64,
    ship_fixed_cost: i64,
    pick_unit_cost: i64,
}

#[derive(Deserialize)]
struct StockRow {
    location_id: String,
    sku: String,
    on_hand: u32,
}

#[derive(Deserialize)]
struct ReceiptRow {
    ts: String,
    location_id: String,
    sku: String,
    qty: u32,
}

#[derive(Deserialize)]
struct AdjustmentRow {
    ts: String,
    sku: String,
    delta: i64,
}

#[derive(Deserialize)]
struct OrderRow {
    order_id: String,
    ts: String,
    sku: String,
    qty: u32,
    dest_country: String,
    dest_lat: Option<f64>,
    dest_lng: Option<f64>,
    is_return: u8,
    ref_order_id: String,
}

/// A history that still lacks some of its files.
struct Reading(History);

impl Reading {
    fn new(rows: &[LocationRow]) -> Result<Self, Fault> {
        let place = |row: &LocationRow| Place {
            code: row.location_id.clone(),
            kind: row.kind,
            country: row.country.clone(),
            point: Point { latitude: row.lat, longitude: row.lng },
            ship_fixed_cost: Money(row.ship_fixed_cost),
            pick_unit_cost: Money(row.pick_unit_cost),
        };
        let network = Network::new(rows.iter().map(place).collect());
        network.first().ok_or("no locations")?;
        Ok(Self(History {
            network,
            skus: Names::default(),
            documents: Names::default(),
            opening: Vec::new(),
            events: Vec::new(),
            placeless: 0,
        }))
    }

    fn stock(&mut self, rows: &[StockRow]) -> Result<(), Fault> {
        for row in rows {
            let location = self.location(&row.location_id)?;
            let sku = self.sku(&row.sku);
            self.0.opening.push((location, sku, Units(row.on_hand)));
        }
        Ok(())
    }

    fn receipts(&mut self, rows: &[ReceiptRow]) -> Result<(), Fault> {
        for row in rows {
            let (at, location) = (stamp(&row.ts)?, self.location(&row.location_id)?);
            let sku = self.sku(&row.sku);
            self.0.events.push((at, Event::Receipt { location, sku, units: Units(row.qty) }));
        }
        Ok(())
    }

    fn adjustments(&mut self, rows: &[AdjustmentRow]) -> Result<(), Fault> {
        for row in rows {
            let (at, sku) = (stamp(&row.ts)?, self.sku(&row.sku));
            self.0.events.push((at, Event::Adjustment { sku, delta: row.delta }));
        }
        Ok(())
    }

    /// The lines of one document lie together.
    fn orders(&mut self, rows: &[OrderRow]) -> Result<(), Fault> {
        for document in rows.chunk_by(|one, next| one.order_id == next.order_id) {
            let at = stamp(&document[0].ts)?;
            if self.0.documents.known(&document[0].order_id).is_some() {
                return Err(format!("document {} comes in two parts", document[0].order_id).into());
            }
            let id = DocumentId(self.0.documents.number(&document[0].order_id));
            let event = if document[0].is_return == 1 { self.returned(document) } else { self.sale(id, document)? };
            self.0.events.push((at, event));
        }
        Ok(())
    }

    fn sale(&mut self, id: DocumentId, document: &[OrderRow]) -> Result<Event, Fault> {
        let mut lines: Vec<Wanted> =
            document.iter().map(|row| Wanted { sku: self.sku(&row.sku), units: Units(row.qty) }).collect();
        lines.sort_by_key(|line| line.sku);
        lines.dedup_by(|line, kept| {
            let same = line.sku == kept.sku;
            kept.units.0 += if same { line.units.0 } else { 0 };
            same
        });
        let head = &document[0];
        let to = if let (Some(latitude), Some(longitude)) = (head.dest_lat, head.dest_lng) {
            Point { latitude, longitude }
        } else {
            self.0.placeless += 1;
            self.0.network.stand_in(&head.dest_country).ok_or("no locations")?
        };
        Ok(Event::Sale(Sale { id, to, lines }))
    }

    fn returned(&mut self, document: &[OrderRow]) -> Event {
        let line = |row: &OrderRow| Returned {
            sku: self.sku(&row.sku),
            units: Units(row.qty),
            sale: self.0.documents.known(&row.ref_order_id).map(DocumentId),
        };
        Event::Return(document.iter().map(line).collect())
    }

    fn sku(&mut self, name: &str) -> SkuId {
        SkuId(self.0.skus.number(name))
    }

    fn location(&self, code: &str) -> Result<LocationId, Fault> {
        let found = self.0.network.places().find(|(_, place)| place.code == code);
        found.map(|(id, _)| id).ok_or_else(|| format!("no location {code}").into())
    }
}

/// `2010-12-01T08:26:00` as 20101201082600.
fn stamp(text: &str) -> Result<Stamp, Fault> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.len() != 14 || text.len() != 19 {
        return Err(format!("{text} is no date and time").into());
    }
    Ok(Stamp(digits.parse()?))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    const LOCATIONS: &str = "location_id,kind,country,city,lat,lng,ship_fixed_cost,pick_unit_cost\n\
        S1,store,GB,Rugby,52.4,-1.3,420,15\nD1,dc,GB,London,51.5,-0.1,310,6\n";
    const ORDERS: &str = "order_id,ts,line_no,sku,qty,unit_price,dest_country,dest_lat,dest_lng,is_return,ref_order_id\n\
        7,2011-05-10T08:58:00,1,B,4,0.42,GB,53.4,-2.9,0,\n\
        7,2011-05-10T08:58:00,2,A,1,0.42,GB,53.4,-2.9,0,\n\
        7,2011-05-10T08:58:00,3,B,2,0.42,GB,53.4,-2.9,0,\n\
        8,2011-05-10T09:00:00,1,A,3,0.42,,,,0,\n\
        C9,2011-05-11T09:00:00,1,B,5,0.42,GB,53.4,-2.9,1,7\n\
        C9,2011-05-11T09:00:00,2,A,5,0.42,GB,53.4,-2.9,1,\n";

    fn parsed<T: DeserializeOwned>(text: &str) -> Vec<T> {
        rows(text.as_bytes(), "test").unwrap()
    }

    fn read_all() -> History {
        let mut reading = Reading::new(&parsed(LOCATIONS)).unwrap();
        reading.stock(&parsed("location_id,sku,on_hand\nD1,A,9\nS1,B,2\n")).unwrap();
        reading.orders(&parsed(ORDERS)).unwrap();
        reading.receipts(&parsed("ts,location_id,sku,qty\n2011-05-10T09:00:00,S1,A,4\n")).unwrap();
        reading.adjustments(&parsed("ts,sku,delta,reason\n2011-05-10T09:00:00,C,-4,lost\n")).unwrap();
        reading.0.merge();
        reading.0
    }

    const A: SkuId = SkuId(0);
    const B: SkuId = SkuId(1);

    #[test]
    fn lines_of_one_sku_are_added_up_and_ascend() {
        let history = read_all();
        let Event::Sale(sale) = &history.events[0].1 else { panic!("the first event is a sale") };
        let wanted = |sku, units| Wanted { sku, units: Units(units) };
        assert_eq!(sale.lines, [wanted(A, 1), wanted(B, 6)]);
        assert_eq!(sale.to, Point { latitude: 53.4, longitude: -2.9 });
        assert_eq!(history.opening, [(LocationId(1), A, Units(9)), (LocationId(0), B, Units(2))]);
    }

    #[test]
    fn goods_arrive_before_orders_of_the_same_time() {
        let kinds: Vec<u8> = read_all().events.iter().map(|(_, event)| event_number(event)).collect();
        assert_eq!(kinds, [2, 0, 1, 2, 3]);
    }

    fn event_number(event: &Event) -> u8 {
        match event {
            Event::Receipt { .. } => 0,
            Event::Adjustment { .. } => 1,
            Event::Sale(_) => 2,
            Event::Return(_) => 3,
        }
    }

    #[test]
    fn a_receiver_without_coordinates_is_at_the_first_location() {
        let history = read_all();
        let Event::Sale(sale) = &history.events[3].1 else { panic!("the fourth event is a sale") };
        assert_eq!(sale.to, Point { latitude: 51.5, longitude: -0.1 });
        assert_eq!(history.placeless, 1);
    }

    #[test]
    fn a_return_names_its_sale_if_that_is_known() {
        let history = read_all();
        let Event::Return(lines) = &history.events[4].1 else { panic!("the last event is a return") };
        assert_eq!(lines[0], Returned { sku: B, units: Units(5), sale: Some(DocumentId(0)) });
        assert_eq!(lines[1].sale, None);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(rows::<StockRow>("location_id,sku,on_hand\nD1,A,-1\n".as_bytes(), "stock").is_err());
        assert!(rows::<StockRow>("location_id,sku\nD1,A\n".as_bytes(), "stock").is_err());
        assert!(stamp("2011-05-10").is_err());
        let mut reading = Reading::new(&parsed(LOCATIONS)).unwrap();
        assert!(reading.stock(&parsed("location_id,sku,on_hand\nX,A,1\n")).is_err());
        assert!(Reading::new(&[]).is_err());
    }
}
