//! Requests about the catalogue, to commands.

use quartermaster_engine::{
    catalog::{Capabilities, ChannelSpec, Coordinates, GoodsSpec, LocationKind, LocationSpec, LocationState, SkuSpec},
    command::{CatalogueCommand, Command, Request},
};
use quartermaster_proto::v1;

use super::{campaign, checks::Checks, fulfilment, page::Pages, upkeep};
use crate::grpc::{
    limits::{self, Limit},
    status::ApiError,
};

type Change = Result<(Request, Command), ApiError>;

/// An UpsertSkus.
pub(crate) fn upsert_skus(message: v1::UpsertSkusRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let mut specs = Vec::new();
    if checks.length("skus", message.skus.len(), 1, &limits::SKUS_MAX) {
        specs.extend(message.skus.into_iter().enumerate().map(|(place, sku)| self::sku(&mut checks, place, sku)));
        each_once(&mut checks, "skus", &specs, |spec| &spec.code);
    }
    checks.finish((request, Command::Catalogue(CatalogueCommand::UpsertSkus(specs))))
}

fn sku(checks: &mut Checks, place: usize, sku: v1::Sku) -> SkuSpec {
    let mut text = |field, text| checks.optional_code(format_args!("skus[{place}].{field}"), text);
    let (style, colour, size) = (text("style", sku.style), text("colour", sku.colour), text("size", sku.size));
    let category = text("category", sku.category);
    let (dangerous_goods, temperature) =
        (text("dangerous_goods", sku.dangerous_goods), text("temperature", sku.temperature));
    let mut side =
        |field, side| checks.range(format_args!("skus[{place}].{field}"), i64::from(side), 0, &limits::SKU_SIDE_MM_MAX);
    let dimensions_mm =
        [side("length_mm", sku.length_mm), side("width_mm", sku.width_mm), side("height_mm", sku.height_mm)];
    let code = checks.code(format_args!("skus[{place}].code"), sku.code);
    let field = format_args!("skus[{place}].attributes").to_string();
    if checks.length(&field, sku.attributes.len(), 0, &limits::ATTRIBUTES_MAX) {
        for (key, value) in &sku.attributes {
            checks.required(format_args!("{field} key"), key.clone(), &limits::ATTRIBUTE_KEY_BYTES_MAX);
            checks.text(format_args!("{field}[{key:?}]"), value.clone(), &limits::ATTRIBUTE_VALUE_BYTES_MAX);
        }
    }
    let weight_grams = u64::try_from(sku.weight_grams).unwrap_or_else(|_| {
        let weight = sku.weight_grams;
        checks.refuse(format_args!("skus[{place}].weight_grams"), format_args!("is {weight}; 0 or more are allowed"));
        0
    });
    let (currency, unit_value) = money(checks, place, sku.unit_value);
    let components = upkeep::parts(checks, format_args!("skus[{place}].components"), sku.components);
    SkuSpec {
        code,
        style,
        colour,
        size,
        attributes: sku.attributes.into_iter().collect(),
        weight_grams,
        currency,
        unit_value,
        sellable: sku.sellable.unwrap_or(true),
        goods: GoodsSpec { category, dimensions_mm, dangerous_goods, temperature },
        components,
    }
}

fn money(checks: &mut Checks, place: usize, money: Option<v1::Money>) -> (String, i64) {
    let Some(v1::Money { currency_code, minor_units }) = money else { return (String::new(), 0) };
    if currency_code.len() != 3 || !currency_code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        let field = format_args!("skus[{place}].unit_value.currency_code");
        checks.refuse(field, format_args!("is {currency_code:?}; three capital letters are needed, for example CNY"));
    }
    if minor_units < 0 {
        let field = format_args!("skus[{place}].unit_value.minor_units");
        checks.refuse(field, format_args!("is {minor_units}; 0 or more are allowed"));
    }
    (currency_code, minor_units)
}

/// A RetireSkus.
pub(crate) fn retire_skus(message: v1::RetireSkusRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let mut codes = Vec::new();
    if checks.length("skus", message.skus.len(), 1, &limits::SKUS_MAX) {
        let skus = message.skus.into_iter().enumerate();
        codes.extend(skus.map(|(place, code)| checks.code(format_args!("skus[{place}]"), code)));
        checks.each_once("skus", codes.iter().map(String::as_str));
    }
    checks.finish((request, Command::Catalogue(CatalogueCommand::RetireSkus(codes))))
}

/// An UpsertLocations.
pub(crate) fn upsert_locations(message: v1::UpsertLocationsRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let mut specs = Vec::new();
    if checks.length("locations", message.locations.len(), 1, &limits::LOCATIONS_MAX) {
        let locations = message.locations.into_iter().enumerate();
        specs.extend(locations.map(|(place, location)| self::location(&mut checks, place, location)));
        each_once(&mut checks, "locations", &specs, |spec| &spec.code);
    }
    checks.finish((request, Command::Catalogue(CatalogueCommand::UpsertLocations(specs))))
}

fn location(checks: &mut Checks, place: usize, location: v1::Location) -> LocationSpec {
    LocationSpec {
        code: checks.code(format_args!("locations[{place}].code"), location.code),
        name: checks.text(format_args!("locations[{place}].name"), location.name, &limits::NAME_BYTES_MAX),
        kind: kind(checks, place, location.kind),
        coordinates: location
            .coordinates
            .and_then(|at| coordinates(checks, &format!("locations[{place}].coordinates"), &at)),
        region: checks.optional_code(format_args!("locations[{place}].region"), location.region),
        capabilities: capabilities(checks, place, &location.capabilities),
        state: state(checks, place, location.state),
        priority: priority(checks, place, location.priority),
        fulfilment: fulfilment::from_wire(checks, place, location.fulfilment),
    }
}

fn kind(checks: &mut Checks, place: usize, number: i32) -> LocationKind {
    use v1::LocationKind as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Unspecified) => LocationKind::Unspecified,
        Ok(Wire::DistributionCentre) => LocationKind::DistributionCentre,
        Ok(Wire::ForwardWarehouse) => LocationKind::ForwardWarehouse,
        Ok(Wire::Store) => LocationKind::Store,
        Ok(Wire::ThirdParty) => LocationKind::ThirdParty,
        Ok(Wire::Supplier) => LocationKind::Supplier,
        Err(_) => {
            let problem = format_args!("is {number}; no LocationKind has this number");
            checks.refuse(format_args!("locations[{place}].kind"), problem);
            LocationKind::Unspecified
        }
    }
}

fn state(checks: &mut Checks, place: usize, number: i32) -> LocationState {
    use v1::LocationState as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Unspecified | Wire::Open) => LocationState::Open,
        Ok(Wire::Paused) => LocationState::Paused,
        Ok(Wire::Closed) => LocationState::Closed,
        Err(_) => {
            let problem = format_args!("is {number}; no LocationState has this number");
            checks.refuse(format_args!("locations[{place}].state"), problem);
            LocationState::Open
        }
    }
}

/// Bit n stands for capability number n.
fn capabilities(checks: &mut Checks, place: usize, numbers: &[i32]) -> Capabilities {
    let mut bits = 0_u32;
    for (entry, number) in numbers.iter().enumerate() {
        let known =
            v1::LocationCapability::try_from(*number).is_ok_and(|known| known != v1::LocationCapability::Unspecified);
        let bit = u32::try_from(*number).ok().filter(|_| known).and_then(|number| 1_u32.checked_shl(number));
        let field = format_args!("locations[{place}].capabilities[{entry}]");
        match bit {
            Some(bit) if bits & bit == 0 => bits |= bit,
            Some(_) => checks.refuse(field, format_args!("repeats {number}; each may stand once")),
            None => checks.refuse(field, format_args!("is {number}; no LocationCapability has this number")),
        }
        if !checks.passed() {
            break;
        }
    }
    Capabilities(bits)
}

/// A point; `path` is that of its field.
pub(super) fn coordinates(checks: &mut Checks, path: &str, at: &v1::LatLng) -> Option<Coordinates> {
    let mut degrees = |field: &str, degrees: f64, most: f64| {
        if (-most..=most).contains(&degrees) {
            return e7(degrees);
        }
        checks.refuse(format_args!("{path}.{field}"), format_args!("is {degrees}; -{most} to {most} are allowed"));
        None
    };
    let (latitude, longitude) = (degrees("latitude", at.latitude, 90.0), degrees("longitude", at.longitude, 180.0));
    Some(Coordinates { latitude_e7: latitude?, longitude_e7: longitude? })
}

/// Degrees in units of 1e-7, rounded. There is no checked conversion from a float, so this one goes through its decimal digits.
fn e7(degrees: f64) -> Option<i32> {
    format!("{:.0}", degrees * 1e7).parse().ok()
}

fn priority(checks: &mut Checks, place: usize, priority: i32) -> u32 {
    let field = format_args!("locations[{place}].priority").to_string();
    checks.range(field, i64::from(priority), 0, &limits::PRIORITY_MAX)
}

/// An UpsertChannels.
pub(crate) fn upsert_channels(message: v1::UpsertChannelsRequest) -> Change {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let mut specs = Vec::new();
    if checks.length("channels", message.channels.len(), 1, &limits::CHANNELS_MAX) {
        specs.extend(message.channels.into_iter().enumerate().map(|(place, channel)| ChannelSpec {
            code: checks.code(format_args!("channels[{place}].code"), channel.code),
            name: checks.text(format_args!("channels[{place}].name"), channel.name, &limits::NAME_BYTES_MAX),
            active: channel.active.unwrap_or(true),
            deduction: campaign::deduction(&mut checks, place, channel.deduction),
            hold_ttl: checks.ttl(format_args!("channels[{place}].hold_ttl"), channel.hold_ttl.as_ref()),
            parent: checks.optional_code(format_args!("channels[{place}].parent"), channel.parent),
            priority: checks.range(
                format_args!("channels[{place}].priority"),
                i64::from(channel.priority),
                0,
                &limits::PRIORITY_MAX,
            ),
            safety_units: checks.count(format_args!("channels[{place}].safety_units"), channel.safety_units).0,
        }));
        each_once(&mut checks, "channels", &specs, |spec| &spec.code);
    }
    checks.finish((request, Command::Catalogue(CatalogueCommand::UpsertChannels(specs))))
}

fn each_once<S>(checks: &mut Checks, field: &str, specs: &[S], code: impl Fn(&S) -> &String) {
    checks.each_once(field, specs.iter().map(|spec| code(spec).as_str()));
}

/// A page of the catalogue that is asked for: what follows the entry at `after`.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) first: usize,
    pub(crate) size: usize,
    pages: Pages,
}

impl Page {
    pub(super) fn of(mut checks: Checks, pages: Pages, size: i32, token: &str, most: &Limit) -> Result<Self, ApiError> {
        let size = checks.page_size(size, 100, most);
        let after = pages.after(&mut checks, token);
        let first = after.map_or(0, |position| usize::try_from(position).unwrap_or(usize::MAX));
        checks.finish(Self { first, size, pages })
    }

    /// The token of the page that begins at position `next`, empty when that is the end.
    pub(crate) fn token(&self, next: usize, end: usize) -> String {
        if next >= end { String::new() } else { self.pages.token(u64::try_from(next).unwrap_or(u64::MAX)) }
    }
}

/// A ListSkus.
pub(crate) fn list_skus(message: &v1::ListSkusRequest) -> Result<Page, ApiError> {
    let mut checks = Checks::default();
    checks.optional_code("style", message.style.clone());
    let pages = Pages::of("skus", &[message.style.as_bytes(), &[u8::from(message.include_retired)]]);
    Page::of(checks, pages, message.page_size, &message.page_token, &limits::SKUS_PAGE_MAX)
}

/// A ListLocations.
pub(crate) fn list_locations(message: &v1::ListLocationsRequest) -> Result<Page, ApiError> {
    let pages = Pages::of("locations", &[]);
    Page::of(Checks::default(), pages, message.page_size, &message.page_token, &limits::LOCATIONS_PAGE_MAX)
}

/// A ListChannels.
pub(crate) fn list_channels(message: &v1::ListChannelsRequest) -> Result<Page, ApiError> {
    let pages = Pages::of("channels", &[]);
    Page::of(Checks::default(), pages, message.page_size, &message.page_token, &limits::CHANNELS_PAGE_MAX)
}

#[cfg(test)]
mod tests {
    use quartermaster_engine::catalog::Fulfilment;

    use super::*;

    fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>) -> Vec<String> {
        let violations = result.unwrap_err().violations();
        violations.into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.problem)).collect()
    }

    fn upsert(skus: Vec<v1::Sku>) -> Change {
        upsert_skus(v1::UpsertSkusRequest { request_id: "u".into(), skus })
    }

    fn place(locations: Vec<v1::Location>) -> Change {
        upsert_locations(v1::UpsertLocationsRequest { request_id: "u".into(), locations })
    }

    #[test]
    fn a_sku_is_for_sale_unless_told_otherwise() {
        let sku = v1::Sku { code: "A".into(), ..Default::default() };
        let (_, command) =
            upsert(vec![sku.clone(), v1::Sku { code: "B".into(), sellable: Some(false), ..sku }]).unwrap();
        let Command::Catalogue(CatalogueCommand::UpsertSkus(specs)) = command else { panic!() };
        assert_eq!((specs[0].sellable, specs[1].sellable), (true, false));
    }

    #[test]
    fn every_wrong_field_of_a_sku_is_named() {
        let attributes = [(String::new(), "v".into()), ("k".into(), "v".repeat(257))].into_iter().collect();
        let sku = v1::Sku {
            style: "s".repeat(65),
            attributes,
            weight_grams: -1,
            unit_value: Some(v1::Money { currency_code: "rmb".into(), minor_units: -1 }),
            length_mm: -1,
            height_mm: 100_001,
            temperature: "\n".into(),
            ..Default::default()
        };
        let expected = [
            "skus[0].style: has 65 bytes; at most 64 are allowed",
            "skus[0].temperature: has a control character at position 0; codes have none",
            "skus[0].length_mm: is -1; 0 to 100,000 are allowed",
            "skus[0].height_mm: is 100001; 0 to 100,000 are allowed",
            "skus[0].code: is missing; a code of 1 to 64 bytes is needed",
            "skus[0].attributes key: is missing; 1 to 64 bytes are needed",
            "skus[0].attributes[\"k\"]: has 257 bytes; at most 256 are allowed",
            "skus[0].weight_grams: is -1; 0 or more are allowed",
            "skus[0].unit_value.currency_code: is \"rmb\"; three capital letters are needed, for example CNY",
            "skus[0].unit_value.minor_units: is -1; 0 or more are allowed",
        ];
        assert_eq!(refused(upsert(vec![sku])), expected);
        let many = (0..33).map(|number| (number.to_string(), String::new())).collect();
        let sku = v1::Sku { code: "A".into(), attributes: many, ..Default::default() };
        let expected = ["skus[0].attributes: has 33 entries; 0 to 32 attributes are allowed"];
        assert_eq!(refused(upsert(vec![sku])), expected);
    }

    #[test]
    fn codes_stand_once_in_a_request() {
        let sku = v1::Sku { code: "A".into(), ..Default::default() };
        assert_eq!(refused(upsert(vec![sku.clone(), sku])), ["skus[1]: repeats \"A\" of skus[0]"]);
        let message = v1::RetireSkusRequest { request_id: "u".into(), skus: vec!["A".into(), "A".into()] };
        assert_eq!(refused(retire_skus(message)), ["skus[1]: repeats \"A\" of skus[0]"]);
        let message = v1::UpsertChannelsRequest { request_id: "u".into(), channels: Vec::new() };
        assert_eq!(refused(upsert_channels(message)), ["channels: has 0 entries; 1 to 1,000 channels are allowed"]);
    }

    #[test]
    fn a_location_is_carried_over() {
        let location = v1::Location {
            code: "HZ1".into(),
            name: "杭州一号".into(),
            kind: i32::from(v1::LocationKind::ForwardWarehouse),
            coordinates: Some(v1::LatLng { latitude: 30.274_084_9, longitude: -0.000_000_1 }),
            region: "330106".into(),
            capabilities: vec![1, 3],
            state: 0,
            priority: 1_000_000,
            fulfilment: Some(v1::Fulfilment { keep_units: 2, ..Default::default() }),
        };
        let (_, command) = place(vec![location]).unwrap();
        let Command::Catalogue(CatalogueCommand::UpsertLocations(specs)) = command else { panic!() };
        let coordinates = Coordinates { latitude_e7: 302_740_849, longitude_e7: -1 };
        let expected = LocationSpec {
            code: "HZ1".into(),
            name: "杭州一号".into(),
            kind: LocationKind::ForwardWarehouse,
            coordinates: Some(coordinates),
            region: "330106".into(),
            capabilities: Capabilities(0b1010),
            state: LocationState::Open,
            priority: 1_000_000,
            fulfilment: Fulfilment { keep_units: 2, ..Fulfilment::default() },
        };
        assert_eq!(specs, [expected]);
    }

    #[test]
    fn every_wrong_field_of_a_location_is_named() {
        let location = v1::Location {
            code: "L".into(),
            name: "n".repeat(257),
            kind: 6,
            coordinates: Some(v1::LatLng { latitude: 90.1, longitude: f64::NAN }),
            state: -1,
            priority: 1_000_001,
            ..Default::default()
        };
        let expected = [
            "locations[0].name: has 257 bytes; at most 256 are allowed",
            "locations[0].kind: is 6; no LocationKind has this number",
            "locations[0].coordinates.latitude: is 90.1; -90 to 90 are allowed",
            "locations[0].coordinates.longitude: is NaN; -180 to 180 are allowed",
            "locations[0].state: is -1; no LocationState has this number",
            "locations[0].priority: is 1000001; 0 to 1,000,000 are allowed",
        ];
        assert_eq!(refused(place(vec![location])), expected);
        let capable = |capabilities: &[i32]| {
            place(vec![v1::Location { code: "L".into(), capabilities: capabilities.into(), ..Default::default() }])
        };
        let first = |capabilities: &[i32]| refused(capable(capabilities)).remove(0);
        assert_eq!(first(&[2, 2]), "locations[0].capabilities[1]: repeats 2; each may stand once");
        for wrong in [0, 5, -1, 99] {
            let expected = format!("locations[0].capabilities[0]: is {wrong}; no LocationCapability has this number");
            assert_eq!(first(&[wrong]), expected);
        }
    }

    #[test]
    fn pages_of_the_catalogue_end_with_an_empty_token() {
        let message = v1::ListSkusRequest { style: "S".into(), page_size: 2, ..Default::default() };
        let page = list_skus(&message).unwrap();
        assert_eq!((page.first, page.size, page.token(4, 4).as_str()), (0, 2, ""));
        let page_token = page.token(2, 4);
        let next = list_skus(&v1::ListSkusRequest { page_token: page_token.clone(), ..message.clone() }).unwrap();
        assert_eq!(next.first, 2);
        let other = list_skus(&v1::ListSkusRequest { page_token, include_retired: true, ..message });
        assert_eq!(refused(other).len(), 1);
    }
}
