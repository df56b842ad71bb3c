//! From the files of a data set to a [`World`].

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use quartermaster_benches::files::{Fault, open, rows};
use quartermaster_engine::time::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    calendar::{DAY, HOUR, MINUTE, day_of, stamp, times},
    world::{Article, Correction, Good, Kind, Order, Purchase, Receipt, Return, ReturnLine, Sale, Site, World},
};

/// Lines from which on an order is one of the trade.
const TRADE_LINES: usize = 20;

#[derive(Deserialize)]
struct LocationRow {
    location_id: String,
    kind: String,
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
struct ProductRow {
    sku: String,
    abc: String,
}

#[derive(Deserialize)]
struct CatalogueRow {
    sku: String,
    style: String,
    colour: String,
    size: String,
    category: String,
}

#[derive(Deserialize)]
struct OrderRow {
    order_id: String,
    ts: String,
    sku: String,
    qty: u32,
    customer_id: String,
    is_return: u8,
    ref_order_id: String,
}

/// Nine months of a gift-ware retailer: orders, receipts, corrections and returns.
pub(crate) fn retail(data: &Path, orders_max: usize) -> Result<World, Fault> {
    let mut reading = Reading::new(&file::<LocationRow>(data, "locations.csv")?)?;
    for row in file::<ProductRow>(data, "products.csv.gz")? {
        let good = reading.good(&row.sku);
        reading.world.goods[good].best = row.abc == "A";
    }
    reading.stock(&file::<StockRow>(data, "stock.csv.gz")?)?;
    reading.orders(&file::<OrderRow>(data, "retail-orders.csv.gz")?)?;
    reading.receipts(&file::<ReceiptRow>(data, "receipts.csv.gz")?)?;
    for row in file::<AdjustmentRow>(data, "stock-adjustments.csv.gz")? {
        let correction = Correction { at: stamp(&row.ts)?, good: reading.good(&row.sku), delta: row.delta };
        reading.world.corrections.push(correction);
    }
    let mut world = reading.world;
    world.channels = ["web", "trade"];
    world.announced_ahead = times(DAY, 14);
    world.corrections.sort_by_key(|correction| correction.at);
    world.orders.iter_mut().for_each(|order| order.trade = order.lines.len() >= TRADE_LINES);
    world.cut(orders_max);
    world.sale = Some(busiest(&world));
    Ok(world)
}

/// Wholesale orders of a clothing brand against short stock, and a shop's that are made up beside them.
pub(crate) fn apparel(data: &Path, orders_max: usize) -> Result<World, Fault> {
    let mut reading = Reading::new(&file::<LocationRow>(data, "apparel/locations.csv")?)?;
    for row in file::<CatalogueRow>(data, "apparel/catalogue.csv.gz")? {
        let good = reading.good(&row.sku);
        let article = &mut reading.world.goods[good];
        (article.style, article.colour, article.size, article.category) =
            (row.style, row.colour, row.size, row.category);
    }
    reading.stock(&file::<StockRow>(data, "apparel/stock.csv.gz")?)?;
    let listed = reading.world.goods.len();
    reading.orders(&file::<OrderRow>(data, "apparel/orders.csv.gz")?)?;
    let mut world = reading.world;
    world.channels = ["shop", "wholesale"];
    for order in &mut world.orders {
        let before = order.lines.len();
        order.lines.retain(|(good, _)| *good < listed);
        world.unknown += u64::try_from(before - order.lines.len()).unwrap_or(u64::MAX);
        order.trade = true;
    }
    world.goods.truncate(listed);
    world.orders.retain(|order| !order.lines.is_empty());
    world.cut(orders_max);
    dress(&mut world);
    Ok(world)
}

/// What a brand's own shop and its suppliers do beside the wholesale orders, which are all that the files have.
///
/// Each style that wholesale asks for is replenished once, at the first place, with half of what is asked of each SKU, twenty days after
/// its first order and announced the day before that. In the middle third of the history twenty styles are on sale in the shop for two weeks. The shop sells a few units
/// a day, more while the sale runs. Every seventh shop order comes back.
pub(crate) fn dress(world: &mut World) {
    let (start, end) = (world.start(), world.end());
    let mut styles: BTreeMap<String, (Timestamp, BTreeMap<Good, u32>)> = BTreeMap::new();
    for order in &world.orders {
        for (good, units) in &order.lines {
            let style = styles.entry(world.goods[*good].style.clone()).or_insert((order.at, BTreeMap::new()));
            *style.1.entry(*good).or_default() += units;
        }
    }
    let place = world.first_dc();
    world.announced_ahead = times(DAY, 21);
    world.purchases = styles
        .values()
        .map(|(first, asked)| {
            let lines = asked.iter().map(|(good, units)| Receipt { good: *good, units: units.div_ceil(2) });
            Purchase { at: first.plus(times(DAY, 20)), place, lines: lines.collect() }
        })
        .collect();
    world.purchases.sort_by_key(|purchase| purchase.at);
    for (good, asked) in world.best_sellers(start, Timestamp::MAX).into_iter().take(100) {
        (world.goods[good].best, world.goods[good].asked) = (true, asked);
    }
    let starts_at = start.plus(times(DAY, (day_of(end) - day_of(start)) / 2)).plus(times(HOUR, 10));
    let ends_at = starts_at.plus(times(DAY, 14));
    // Styles with much stock: the sale is of what lies there.
    let mut stock: HashMap<&str, u64> = HashMap::new();
    for (_, good, units) in &world.opening {
        *stock.entry(world.goods[*good].style.as_str()).or_default() += u64::from(*units);
    }
    let mut chosen: Vec<(&str, u64)> = stock.into_iter().collect();
    chosen.sort_unstable_by_key(|(style, units)| (std::cmp::Reverse(*units), *style));
    chosen.truncate(20);
    let on_sale: Vec<Good> = (0..world.goods.len())
        .filter(|good| chosen.iter().any(|(style, _)| *style == world.goods[*good].style))
        .collect();
    let stocked: Vec<Good> = {
        let mut goods: Vec<Good> = world.opening.iter().map(|(_, good, _)| *good).collect();
        goods.sort_unstable();
        goods.dedup();
        goods
    };
    if stocked.is_empty() {
        return;
    }
    let mut count = 0_usize;
    let mut day = Timestamp(day_of(start) * DAY.0).plus(times(HOUR, 9));
    while day < end {
        let selling = starts_at <= day.plus(HOUR) && day < ends_at && !on_sale.is_empty();
        for number in 0..if selling { 40_u8 } else { 8 } {
            count += 1;
            // A step that has no divisor in common with most lengths goes through all of a list.
            let pick = |list: &[Good], step: usize| list[(count * 7_919 + step * 104_729) % list.len()];
            let list = if selling && number % 4 != 3 { &on_sale } else { &stocked };
            let mut lines: Vec<(Good, u32)> = (0..=count % 3).map(|step| (pick(list, step), 1)).collect();
            lines.sort_unstable();
            lines.dedup_by_key(|(good, _)| *good);
            let at = day.plus(HOUR).plus(times(MINUTE, u64::from(number) * 11));
            let (code, buyer) = (format!("S{count:06}"), format!("B{:04}", count % 997));
            world.orders.push(Order { at, code, buyer, trade: false, lines });
        }
        day = day.plus(DAY);
    }
    world.orders.sort_by_key(|order| order.at);
    for (number, order) in world.orders.iter().enumerate().filter(|(_, order)| !order.trade).step_by(7) {
        let (good, units) = order.lines[0];
        let line = ReturnLine { good, units, order: Some(number) };
        let code = format!("R{}", order.code);
        world.returns.push(Return { at: order.at.plus(times(DAY, 9)), code, lines: vec![line] });
    }
    world.returns.sort_by_key(|back| back.at);
    let tranche = vec![6; on_sale.len()];
    world.sale = Some(Sale { starts_at, ends_at, goods: on_sale, tranche, buyer_limit: 3 });
}

/// A flash sale in the busiest two weeks: the fifty SKUs asked for most, three tranches that come to a quarter of what is asked.
pub(crate) fn busiest(world: &World) -> Sale {
    let mut days: BTreeMap<u64, u64> = BTreeMap::new();
    for order in &world.orders {
        *days.entry(day_of(order.at)).or_default() += 1;
    }
    let first = day_of(world.start());
    let window = |from: u64| -> u64 { days.range(from..from + 14).map(|(_, orders)| orders).sum() };
    let from = (first..=day_of(world.end())).max_by_key(|from| (window(*from), std::cmp::Reverse(*from)));
    let starts_at = Timestamp(from.unwrap_or(first) * DAY.0);
    let ends_at = starts_at.plus(times(DAY, 14));
    let mut best = world.best_sellers(starts_at, ends_at);
    best.truncate(50);
    let tranche = |asked: u64| u32::try_from(asked / 12).unwrap_or(u32::MAX).max(1);
    Sale {
        starts_at,
        ends_at,
        tranche: best.iter().map(|(_, asked)| tranche(*asked)).collect(),
        goods: best.into_iter().map(|(good, _)| good).collect(),
        buyer_limit: 48,
    }
}

fn file<T: DeserializeOwned>(data: &Path, name: &str) -> Result<Vec<T>, Fault> {
    rows(open(data, name)?, name)
}

/// A world that still lacks some of its files.
struct Reading {
    world: World,
    goods: HashMap<String, Good>,
    places: HashMap<String, usize>,
}

impl Reading {
    fn new(locations: &[LocationRow]) -> Result<Self, Fault> {
        let kind = |kind: &str| match kind {
            "dc" => Ok(Kind::Dc),
            "rdc" => Ok(Kind::Rdc),
            "store" => Ok(Kind::Store),
            other => Err(format!("a location cannot be a {other}")),
        };
        let site = |row: &LocationRow| Ok(Site { code: row.location_id.clone(), kind: kind(&row.kind)? });
        let sites: Result<Vec<Site>, Fault> = locations.iter().map(site).collect();
        let places = locations.iter().enumerate().map(|(place, row)| (row.location_id.clone(), place)).collect();
        Ok(Self { world: World { sites: sites?, ..World::default() }, goods: HashMap::new(), places })
    }

    fn good(&mut self, code: &str) -> Good {
        if let Some(good) = self.goods.get(code) {
            return *good;
        }
        let good = self.world.goods.len();
        self.world.goods.push(Article { code: code.to_owned(), ..Article::default() });
        self.goods.insert(code.to_owned(), good);
        good
    }

    fn place(&self, code: &str) -> Result<usize, Fault> {
        self.places.get(code).copied().ok_or_else(|| format!("no location {code}").into())
    }

    fn stock(&mut self, rows: &[StockRow]) -> Result<(), Fault> {
        for row in rows {
            let (place, good) = (self.place(&row.location_id)?, self.good(&row.sku));
            self.world.opening.push((place, good, row.on_hand));
        }
        Ok(())
    }

    /// What arrives at one place at one time was ordered together.
    fn receipts(&mut self, rows: &[ReceiptRow]) -> Result<(), Fault> {
        let mut purchases: BTreeMap<(Timestamp, usize), BTreeMap<Good, u32>> = BTreeMap::new();
        for row in rows {
            let (at, place, good) = (stamp(&row.ts)?, self.place(&row.location_id)?, self.good(&row.sku));
            *purchases.entry((at, place)).or_default().entry(good).or_default() += row.qty;
        }
        let lines =
            |lines: BTreeMap<Good, u32>| lines.into_iter().map(|(good, units)| Receipt { good, units }).collect();
        let purchases = purchases.into_iter().map(|((at, place), goods)| Purchase { at, place, lines: lines(goods) });
        self.world.purchases = purchases.collect();
        Ok(())
    }

    /// The lines of one document lie together.
    fn orders(&mut self, rows: &[OrderRow]) -> Result<(), Fault> {
        let mut known: HashMap<&str, usize> = HashMap::new();
        for document in rows.chunk_by(|one, next| one.order_id == next.order_id) {
            let (head, at) = (&document[0], stamp(&document[0].ts)?);
            if head.is_return == 1 {
                let mut lines = Vec::with_capacity(document.len());
                for row in document {
                    let order = known.get(row.ref_order_id.as_str()).copied();
                    lines.push(ReturnLine { good: self.good(&row.sku), units: row.qty, order });
                }
                self.world.returns.push(Return { at, code: head.order_id.clone(), lines });
                continue;
            }
            let mut lines: BTreeMap<Good, u32> = BTreeMap::new();
            for row in document {
                *lines.entry(self.good(&row.sku)).or_default() += row.qty;
            }
            for (good, units) in &lines {
                self.world.goods[*good].asked += u64::from(*units);
            }
            if known.insert(&head.order_id, self.world.orders.len()).is_some() {
                return Err(format!("document {} comes in two parts", head.order_id).into());
            }
            let buyer =
                if head.customer_id.is_empty() { format!("guest-{}", head.order_id) } else { head.customer_id.clone() };
            let (code, lines) = (head.order_id.clone(), lines.into_iter().collect());
            self.world.orders.push(Order { at, code, buyer, trade: false, lines });
        }
        Ok(())
    }
}
