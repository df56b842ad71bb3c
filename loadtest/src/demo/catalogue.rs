//! An apparel catalogue on a network of Chinese cities, the same for the same seed: styles × colours × sizes, broken size runs in
//! stores, one SKU that everybody wants.

use std::collections::HashMap;

use quartermaster_proto::v1::{
    Channel, ImportRow, LatLng, Location, LocationCapability, LocationKind, LocationState, Money, Sku,
};

use super::places::{CITIES, City};
use crate::load::Opening;
use crate::random::SplitMix64;

const COLOURS: [&str; 5] = ["black", "white", "navy", "sand", "rose"];
const SIZES: [&str; 6] = ["XS", "S", "M", "L", "XL", "XXL"];
/// Category, styles of it, weight in grams, price in fen.
const CATEGORIES: [(&str, u32, i64, i64); 8] = [
    ("TEE", 24, 180, 9_900),
    ("SHIRT", 16, 260, 19_900),
    ("HOODIE", 16, 620, 29_900),
    ("JEANS", 16, 700, 34_900),
    ("DRESS", 16, 340, 39_900),
    ("SKIRT", 12, 280, 24_900),
    ("KNIT", 12, 420, 32_900),
    ("DOWN", 8, 950, 89_900),
];
const CENTRES: usize = 6;
const FORWARD: usize = 18;
const STORES: usize = 48;
/// Centres that have the wanted SKU, and what each has of it.
const HOT_UNITS: [u32; 3] = [2_500, 1_500, 1_000];

/// Code of the SKU that everybody wants.
pub const HOT_SKU: &str = "DROP-01-BLACK-M";

/// Opening stock of one SKU at one location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpeningStock {
    /// Index into [`Catalogue::skus`].
    pub sku: u32,
    /// Index into [`Catalogue::locations`].
    pub location: u32,
    /// Units on hand.
    pub units: u32,
}

/// What the demo loads.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The network: distribution centres, forward warehouses, stores.
    pub locations: Vec<Location>,
    /// Where orders come from.
    pub channels: Vec<Channel>,
    /// The wanted SKU first.
    pub skus: Vec<Sku>,
    /// By SKU, then location.
    pub stock: Vec<OpeningStock>,
}

impl Catalogue {
    /// 121 styles, 3,601 SKUs, 72 locations, about 120,000 cells.
    pub fn apparel(seed: u64) -> Self {
        let skus = skus();
        let stock = stock(seed, &skus);
        Catalogue { locations: locations(), channels: channels(), skus, stock }
    }

    /// Units of the wanted SKU.
    pub fn hot_units(&self) -> u64 {
        self.stock.iter().filter(|cell| cell.sku == 0).map(|cell| u64::from(cell.units)).sum()
    }

    /// All units.
    pub fn units(&self) -> u64 {
        self.stock.iter().map(|cell| u64::from(cell.units)).sum()
    }

    /// Styles.
    pub fn styles(&self) -> usize {
        self.skus.iter().map(|sku| &sku.style).collect::<std::collections::HashSet<_>>().len()
    }

    /// All of it, ready to be loaded.
    pub fn to_load(&self) -> Opening {
        let row = |cell: &OpeningStock| {
            let (sku, location) = self.codes(cell);
            ImportRow {
                sku: sku.to_owned(),
                location: location.to_owned(),
                on_hand: cell.units.into(),
                ..ImportRow::default()
            }
        };
        Opening {
            locations: self.locations.clone(),
            channels: self.channels.clone(),
            skus: self.skus.clone(),
            rows: self.stock.iter().map(row).collect(),
        }
    }

    /// Codes of the SKU and the location of a cell.
    pub fn codes(&self, cell: &OpeningStock) -> (&str, &str) {
        let at = |index: u32| usize::try_from(index).unwrap_or(usize::MAX);
        (&self.skus[at(cell.sku)].code, &self.locations[at(cell.location)].code)
    }

    /// Opening units by SKU code, then location code.
    pub fn opening(&self) -> HashMap<&str, HashMap<&str, i64>> {
        let mut opening: HashMap<&str, HashMap<&str, i64>> = HashMap::with_capacity(self.skus.len());
        for cell in &self.stock {
            let (sku, location) = self.codes(cell);
            opening.entry(sku).or_default().insert(location, i64::from(cell.units));
        }
        opening
    }
}

fn locations() -> Vec<Location> {
    let kinds = [
        (LocationKind::DistributionCentre, "DC", "distribution centre", CENTRES, 100),
        (LocationKind::ForwardWarehouse, "FW", "forward warehouse", FORWARD, 200),
        (LocationKind::Store, "ST", "store", STORES, 300),
    ];
    let mut locations = Vec::new();
    for (kind, prefix, noun, count, priority) in kinds {
        // Stores stand in the large cities too: they start again from the top of the list.
        let skip = if kind == LocationKind::ForwardWarehouse { CENTRES } else { 0 };
        for (number, city) in (1_i32..).zip(CITIES.iter().skip(skip).take(count)) {
            locations.push(location(kind, &format!("{prefix}-{number:02}"), noun, city, priority + number));
        }
    }
    locations
}

fn location(kind: LocationKind, code: &str, noun: &str, city: &City, priority: i32) -> Location {
    use LocationCapability::{Pickup, SameHour, Ship};
    let capabilities: &[LocationCapability] = match kind {
        LocationKind::Store => &[Ship, Pickup],
        LocationKind::ForwardWarehouse => &[Ship, SameHour],
        LocationKind::DistributionCentre
        | LocationKind::ThirdParty
        | LocationKind::Supplier
        | LocationKind::Unspecified => &[Ship],
    };
    Location {
        code: code.to_owned(),
        name: format!("{} {noun}", city.name),
        kind: kind.into(),
        coordinates: Some(LatLng { latitude: city.latitude, longitude: city.longitude }),
        region: city.code.to_owned(),
        capabilities: capabilities.iter().map(|&capability| capability.into()).collect(),
        state: LocationState::Open.into(),
        priority,
        fulfilment: None,
    }
}

fn channels() -> Vec<Channel> {
    let named = [
        ("tmall", "天猫 Tmall"),
        ("jd", "京东 JD"),
        ("douyin", "抖音 Douyin"),
        ("app", "App"),
        ("store", "Store till"),
    ];
    let channel = |(code, name): (&str, &str)| Channel {
        code: code.to_owned(),
        name: name.to_owned(),
        active: Some(true),
        ..Channel::default()
    };
    named.into_iter().map(channel).collect()
}

fn skus() -> Vec<Sku> {
    let sku = |style: &str, category: &str, colour: &str, size: &str, weight_grams, minor_units| Sku {
        code: format!("{style}-{}-{size}", colour.to_uppercase()),
        style: style.to_owned(),
        colour: colour.to_owned(),
        size: size.to_owned(),
        attributes: [("category".to_owned(), category.to_lowercase())].into(),
        weight_grams,
        unit_value: Some(Money { currency_code: "CNY".to_owned(), minor_units }),
        ..Sku::default()
    };
    let mut skus = vec![sku("DROP-01", "DROP", "black", "M", 640, 49_900)];
    for (category, styles, weight, price) in CATEGORIES {
        for style in 1..=styles {
            let code = format!("{category}-{style:02}");
            for colour in COLOURS {
                for size in SIZES {
                    skus.push(sku(&code, category, colour, size, weight, price));
                }
            }
        }
    }
    skus
}

fn stock(seed: u64, skus: &[Sku]) -> Vec<OpeningStock> {
    let mut stock: Vec<OpeningStock> =
        (0_u32..).zip(HOT_UNITS).map(|(location, units)| OpeningStock { sku: 0, location, units }).collect();
    let carries = |style: &str, location: usize, share: f64| {
        let place = u64::try_from(location).unwrap_or(0);
        SplitMix64::for_item(seed ^ crate::random::digest(style), place).chance(share)
    };
    for (index, sku) in (0_u32..).zip(skus).skip(1) {
        let mut random = SplitMix64::for_item(seed, u64::from(index));
        for (place, location) in (0_u32..).zip(0..CENTRES + FORWARD + STORES) {
            let units = if location < CENTRES {
                200 + random.below(200)
            } else if location < CENTRES + FORWARD {
                let here = 10 + random.below(40);
                if carries(&sku.style, location, 0.6) { here } else { 0 }
            } else {
                // A store that carries the style lacks some sizes of it: a broken size run.
                let (here, missing) = (1 + random.below(4), random.chance(0.15));
                if carries(&sku.style, location, 0.42) && !missing { here } else { 0 }
            };
            if units > 0 {
                stock.push(OpeningStock { sku: index, location: place, units: u32::try_from(units).unwrap_or(0) });
            }
        }
    }
    stock
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_catalogue_is_what_the_demo_promises() {
        let catalogue = Catalogue::apparel(1);
        assert!(catalogue.locations.len() >= 60);
        assert!(catalogue.stock.len() >= 100_000, "{} cells", catalogue.stock.len());
        assert_eq!(catalogue.skus.len(), 3_601);
        assert_eq!(catalogue.styles(), 121);
        assert_eq!(catalogue.skus[0].code, HOT_SKU);
        assert_eq!(catalogue.hot_units(), 5_000);
        let codes: HashSet<_> = catalogue.skus.iter().map(|sku| &sku.code).collect();
        assert_eq!(codes.len(), catalogue.skus.len());
        let places: HashSet<_> = catalogue.locations.iter().map(|location| &location.code).collect();
        assert_eq!(places.len(), catalogue.locations.len());
        let cells: HashSet<_> = catalogue.stock.iter().map(|cell| (cell.sku, cell.location)).collect();
        assert_eq!(cells.len(), catalogue.stock.len());
    }

    #[test]
    fn the_same_seed_gives_the_same_stock() {
        assert_eq!(Catalogue::apparel(3).stock, Catalogue::apparel(3).stock);
        assert_ne!(Catalogue::apparel(3).stock, Catalogue::apparel(4).stock);
    }

    #[test]
    fn cities_lie_in_china_and_have_their_own_codes() {
        assert!(CITIES.iter().all(|city| (18.0..54.0).contains(&city.latitude)));
        assert!(CITIES.iter().all(|city| (73.0..136.0).contains(&city.longitude)));
        assert!(CITIES.iter().all(|city| city.code.len() == 6));
        assert_eq!(CITIES.iter().map(|city| city.code).collect::<HashSet<_>>().len(), CITIES.len());
    }
}
