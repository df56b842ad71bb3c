//! An order to be cut into packages, and the packages back.

use std::sync::Arc;

use quartermaster_engine::{
    Error,
    catalog::{Catalogue, Sku},
    id::{LocationId, ReservationId},
};
use quartermaster_journal::Lsn;
use quartermaster_proto::v1::{self, SplitKey};
use quartermaster_sourcing::{
    LocationId as PlaceId, SkuId as GoodsId,
    network::Network,
    split::{Key, Measure, Rule, Split, SplitError, SplitLine, split},
};

use super::checks::Checks;
use crate::{
    grpc::{limits, status::ApiError},
    node::Node,
};

/// A split that is asked for, checked as far as it can be without the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    subject: Subject,
    rules: Vec<(SplitKey, u64, String)>,
}

#[derive(Clone, Debug)]
enum Subject {
    Reservation(ReservationId),
    Lines(Vec<Line>),
}

#[derive(Clone, Debug)]
struct Line {
    sku: String,
    units: u32,
    location: String,
    kit: String,
    together: String,
    alone: bool,
}

/// A line with its codes resolved.
struct Resolved {
    sku: Arc<Sku>,
    units: u32,
    location: Option<LocationId>,
    kit: String,
    together: String,
    alone: bool,
}

/// A Split.
pub(crate) fn ask(message: v1::SplitRequest) -> Result<Ask, ApiError> {
    let mut checks = Checks::default();
    let subject = match (message.reservation_id.is_empty(), message.lines.is_empty()) {
        (false, true) => Subject::Reservation(checks.reservation_id("reservation_id", &message.reservation_id)),
        (true, false) if checks.length("lines", message.lines.len(), 1, &limits::LINES_MAX) => {
            Subject::Lines(lines(&mut checks, message.lines))
        }
        (true, false) => Subject::Lines(Vec::new()),
        _ => {
            checks.refuse("lines", "exactly one of reservation_id and lines says what is cut");
            Subject::Lines(Vec::new())
        }
    };
    let mut rules: Vec<(SplitKey, u64, String)> = Vec::new();
    if checks.length("rules", message.rules.len(), 1, &limits::SPLIT_RULES_MAX) {
        for (place, rule) in message.rules.into_iter().enumerate() {
            let key = rule.key();
            if key == SplitKey::Unspecified {
                checks
                    .refuse(format_args!("rules[{place}].key"), format_args!("is {}; a known key is needed", rule.key));
            }
            if rules.iter().any(|(other, ..)| *other == key) {
                checks.refuse(format_args!("rules[{place}].key"), "stands twice; each key may stand once");
            }
            let is_limit = matches!(key, SplitKey::Weight | SplitKey::Volume | SplitKey::Value | SplitKey::Units);
            let limit = u64::try_from(rule.limit).unwrap_or(0);
            if is_limit && limit == 0 {
                checks.refuse(
                    format_args!("rules[{place}].limit"),
                    format_args!("is {}; at least 1 is needed", rule.limit),
                );
            }
            if !is_limit && rule.limit != 0 {
                checks.refuse(
                    format_args!("rules[{place}].limit"),
                    "is set; only weight, volume, value and units have one",
                );
            }
            let carrier = key == SplitKey::Carrier;
            if carrier == rule.service.is_empty() {
                let problem =
                    if carrier { "is missing; a service's code is needed" } else { "is set; only a carrier has one" };
                checks.refuse(format_args!("rules[{place}].service"), problem);
            }
            rules.push((key, limit, rule.service));
        }
    }
    checks.finish(Ask { subject, rules })
}

fn lines(checks: &mut Checks, lines: Vec<v1::SplitLine>) -> Vec<Line> {
    let lines = lines.into_iter().enumerate().map(|(place, line)| Line {
        sku: checks.code(format_args!("lines[{place}].sku"), line.sku),
        units: checks.range(format_args!("lines[{place}].quantity"), line.quantity, 1, &limits::SPLIT_UNITS_MAX),
        location: checks.optional_code(format_args!("lines[{place}].location"), line.location),
        kit: checks.text(format_args!("lines[{place}].kit"), line.kit, &limits::REFERENCE_BYTES_MAX),
        together: checks.text(format_args!("lines[{place}].together"), line.together, &limits::REFERENCE_BYTES_MAX),
        alone: line.alone,
    });
    lines.collect()
}

/// Cuts what was asked for. The answer may be told once everything up to its LSN is durable.
pub(crate) fn answer(node: &Node, ask: &Ask) -> Result<(Lsn, v1::SplitResponse), ApiError> {
    let (open, mut lsn) = match &ask.subject {
        Subject::Lines(_) => (None, Lsn::ZERO),
        Subject::Reservation(id) => {
            let (lsn, reservation) = node.engine().reservation(*id)?;
            (Some(reservation), lsn)
        }
    };
    let catalogue = node.engine().catalogue();
    lsn = lsn.max(catalogue.revision());
    let lines = match (&ask.subject, open) {
        (Subject::Lines(lines), _) => {
            lines.iter().map(|line| resolved(&catalogue, line)).collect::<Result<Vec<_>, _>>()?
        }
        (Subject::Reservation(_), reservation) => {
            let lines = reservation.into_iter().flat_map(|reservation| reservation.lines);
            let open = lines.filter(|line| !line.open.is_zero());
            open.map(|line| Resolved {
                sku: Arc::clone(&catalogue.skus()[line.sku.index()]),
                units: line.open.0,
                location: Some(line.location),
                kit: String::new(),
                together: String::new(),
                alone: false,
            })
            .collect()
        }
    };
    let stage = Arc::clone(catalogue.directory().stage(node.now()));
    drop(catalogue);
    let rules = rules(&stage.network, &ask.rules)?;
    let parts: Vec<SplitLine<'_>> = lines.iter().map(part).collect();
    let split = split(&parts, &rules).map_err(|error| impossible(&error))?;
    Ok((lsn, told(node, lsn, &lines, &split)))
}

fn resolved(catalogue: &Catalogue, line: &Line) -> Result<Resolved, ApiError> {
    let unknown = || ApiError::from(Error::UnknownSku { code: line.sku.clone() });
    let sku = catalogue.sku(&line.sku).ok_or_else(unknown)?;
    let location = if line.location.is_empty() {
        None
    } else {
        let unknown = || ApiError::from(Error::UnknownLocation { code: line.location.clone() });
        Some(catalogue.directory().location(&line.location).ok_or_else(unknown)?)
    };
    Ok(Resolved {
        sku: Arc::clone(&catalogue.skus()[sku.index()]),
        units: line.units,
        location,
        kit: line.kit.clone(),
        together: line.together.clone(),
        alone: line.alone,
    })
}

fn part(line: &Resolved) -> SplitLine<'_> {
    SplitLine {
        sku: GoodsId(line.sku.id.0),
        goods: line.sku.spec.goods(),
        units: line.units,
        location: line.location.map(|location| PlaceId(location.0)),
        kit: &line.kit,
        together: &line.together,
        alone: line.alone,
    }
}

fn rules<'n>(network: &'n Network, rules: &[(SplitKey, u64, String)]) -> Result<Vec<Rule<'n>>, ApiError> {
    let rules = rules.iter().enumerate().map(|(place, (key, limit, service))| {
        Ok(match key {
            SplitKey::Unspecified | SplitKey::Location => Rule::By(Key::Location),
            SplitKey::Category => Rule::By(Key::Category),
            SplitKey::Temperature => Rule::By(Key::Temperature),
            SplitKey::DangerousGoods => Rule::By(Key::DangerousGoods),
            SplitKey::Weight => Rule::Limit(Measure::Weight, *limit),
            SplitKey::Volume => Rule::Limit(Measure::Volume, *limit),
            SplitKey::Value => Rule::Limit(Measure::Value, *limit),
            SplitKey::Units => Rule::Limit(Measure::Units, *limit),
            SplitKey::Carrier => {
                let found = network.services().iter().find(|known| known.spec.code == *service);
                let problem = || format!("is {service:?}; no tariff in force has a service of this code");
                Rule::Carrier(found.ok_or_else(|| ApiError::field(format!("rules[{place}].service"), problem()))?)
            }
        })
    });
    rules.collect()
}

/// What cannot be done, as the field that stands against it.
fn impossible(error: &SplitError) -> ApiError {
    let field = match error {
        SplitError::TooLarge { line, .. }
        | SplitError::Uncarried { line, .. }
        | SplitError::Apart { line, .. }
        | SplitError::NotAlone { line, .. } => format!("lines[{line}]"),
        SplitError::TooMany { .. } => "lines".to_owned(),
    };
    ApiError::field(field, error.to_string())
}

fn told(node: &Node, lsn: Lsn, lines: &[Resolved], split: &Split) -> v1::SplitResponse {
    let catalogue = node.engine().catalogue();
    let directory = catalogue.directory();
    let code = |location: PlaceId| directory.location_code(LocationId(location.0)).to_owned();
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let packages = split.packages.iter().map(|package| v1::SplitPackage {
        location: package.location.map(code).unwrap_or_default(),
        lines: package
            .lines
            .iter()
            .map(|(line, units)| v1::ParcelLine {
                sku: lines[*line].sku.spec.code.clone(),
                quantity: i64::from(*units),
            })
            .collect(),
        weight_grams: signed(package.weight),
        volume_mm3: signed(package.volume),
        value: signed(package.value),
        path: package
            .path
            .iter()
            .map(|step| match (step.starts_with("location="), package.location) {
                (true, Some(location)) => format!("location={}", code(location)),
                _ => step.clone(),
            })
            .collect(),
    });
    v1::SplitResponse {
        position: Some(node.position(lsn)),
        packages: packages.collect(),
        packages_lower_bound: i64::try_from(split.lower_bound).unwrap_or(i64::MAX),
    }
}
