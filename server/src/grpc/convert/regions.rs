//! Regions, to a command and as they are shown.

use quartermaster_engine::command::{CatalogueCommand, Command, Request};
use quartermaster_proto::v1;
use quartermaster_sourcing::region::RegionSpec;

use super::{
    catalog::{Page, coordinates},
    checks::Checks,
    page::Pages,
};
use crate::grpc::{limits, status::ApiError};

/// An UpsertRegions.
pub(crate) fn upsert(message: v1::UpsertRegionsRequest) -> Result<(Request, Command), ApiError> {
    let mut checks = Checks::default();
    let request = checks.request(message.request_id);
    let mut specs = Vec::new();
    if checks.length("regions", message.regions.len(), 1, &limits::REGIONS_MAX) {
        specs.extend(message.regions.into_iter().enumerate().map(|(place, region)| {
            RegionSpec {
                code: checks.code(format_args!("regions[{place}].code"), region.code),
                parent: checks.optional_code(format_args!("regions[{place}].parent"), region.parent),
                name: checks.text(format_args!("regions[{place}].name"), region.name, &limits::NAME_BYTES_MAX),
                coordinates: region
                    .coordinates
                    .and_then(|at| coordinates(&mut checks, &format!("regions[{place}].coordinates"), &at)),
            }
        }));
        checks.each_once("regions", specs.iter().map(|spec| spec.code.as_str()));
    }
    checks.finish((request, Command::Catalogue(CatalogueCommand::UpsertRegions(specs))))
}

/// A ListRegions.
pub(crate) fn list(message: &v1::ListRegionsRequest) -> Result<Page, ApiError> {
    let pages = Pages::of("regions", &[]);
    Page::of(Checks::default(), pages, message.page_size, &message.page_token, &limits::REGIONS_PAGE_MAX)
}

/// A region as it is shown.
pub(crate) fn shown(region: &RegionSpec) -> v1::Region {
    v1::Region {
        code: region.code.clone(),
        parent: region.parent.clone(),
        name: region.name.clone(),
        coordinates: region.coordinates.map(|at| v1::LatLng {
            latitude: f64::from(at.latitude_e7) / 1e7,
            longitude: f64::from(at.longitude_e7) / 1e7,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_of_a_region_is_named() {
        let region = |code: &str, parent: &str, latitude| v1::Region {
            code: code.into(),
            parent: parent.into(),
            coordinates: Some(v1::LatLng { latitude, longitude: 181.0 }),
            ..Default::default()
        };
        let long = "p".repeat(65);
        let regions = vec![region("", &long, 1.0), region("A", "", f64::NAN), region("A", "", -90.5)];
        let error = upsert(v1::UpsertRegionsRequest { request_id: "r".into(), regions }).unwrap_err();
        let wrong: Vec<String> =
            error.violations().into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.problem)).collect();
        let expected = [
            "regions[0].code: is missing; a code of 1 to 64 bytes is needed",
            "regions[0].parent: has 65 bytes; at most 64 are allowed",
            "regions[0].coordinates.longitude: is 181; -180 to 180 are allowed",
            "regions[1].coordinates.latitude: is NaN; -90 to 90 are allowed",
            "regions[1].coordinates.longitude: is 181; -180 to 180 are allowed",
            "regions[2].coordinates.latitude: is -90.5; -90 to 90 are allowed",
            "regions[2].coordinates.longitude: is 181; -180 to 180 are allowed",
            "regions[2]: repeats \"A\" of regions[1]",
        ];
        assert_eq!(wrong, expected);
        let error = upsert(v1::UpsertRegionsRequest { request_id: "r".into(), regions: Vec::new() }).unwrap_err();
        assert_eq!(error.to_string(), "regions: has 0 entries; 1 to 5,000 regions are allowed");
    }
}
