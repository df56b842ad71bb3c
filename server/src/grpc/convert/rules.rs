//! Stock rules: requests to commands, and how sets and their effects are shown.

use quartermaster_engine::{
    catalog::Catalogue,
    command::Request,
    event::rules::{Applied, RuledTerms},
    id::ChannelId,
    query::rules::{RuleEffects, RulesLag, RulesPreview},
    rules::RulesInForce,
};
use quartermaster_proto::v1;
use quartermaster_sourcing::policy::{Finding, Severity};

use super::{checks::Checks, documents::finding, page::Pages, time};
use crate::grpc::{limits, status::ApiError};

/// SKUs of a preview that are told.
pub(crate) const EXAMPLES_MAX: usize = 100;
/// Cells told of each.
const EXAMPLE_CELLS_MAX: usize = 100;
/// SKUs looked at for a page of effects.
pub(crate) const LOOKED_AT_MAX: usize = 5_000;
/// SKUs of a page when nothing is said.
const PAGE_DEFAULT: usize = 100;

/// A set to put.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) request: Request,
    pub(crate) text: String,
    pub(crate) expected_version: Option<u32>,
    pub(crate) dry_run: bool,
}

/// A PutStockRules. A dry run changes nothing, so it needs no request id.
pub(crate) fn put(message: v1::PutStockRulesRequest) -> Result<Put, ApiError> {
    let mut checks = Checks::default();
    let request = if message.dry_run { Request::unnamed() } else { checks.request(message.request_id) };
    let text = checks.text("text", message.text, &limits::STOCK_RULES_BYTES_MAX);
    checks.finish(Put { request, text, expected_version: message.expected_version, dry_run: message.dry_run })
}

/// What a set would change, with what looks wrong with it.
pub(crate) fn preview(catalogue: &Catalogue, preview: &RulesPreview) -> (Vec<v1::Finding>, v1::StockRulesPreview) {
    let without = preview.without_skus.iter().map(|rule| Finding {
        severity: Severity::Warning,
        path: format!("rules.{rule}.scope"),
        message: "no SKU fits it".into(),
    });
    let findings = preview.findings.iter().cloned().chain(without).map(finding).collect();
    let told = v1::StockRulesPreview {
        skus: signed(preview.skus),
        cells: signed(preview.cells),
        kept_before: signed(preview.kept_before),
        kept_after: signed(preview.kept_after),
        allotments: signed(preview.allotments),
        leaves: signed(preview.leaves),
        examples: preview.examples.iter().map(|applied| change(catalogue, applied)).collect(),
    };
    (findings, told)
}

fn change(catalogue: &Catalogue, applied: &Applied) -> v1::RuleChange {
    let cells = applied.cells.iter().take(EXAMPLE_CELLS_MAX).map(|cell| v1::KeptUnits {
        location: catalogue.directory().location_code(cell.location).to_owned(),
        kept: cell.kept.signed(),
        ..v1::KeptUnits::default()
    });
    let allotments = applied.allotments.iter().filter_map(|one| Some((one.node.channel()?, one.terms)));
    let leaves = applied.leaves.iter().filter_map(|one| Some((one.node.channel()?, one.units)));
    v1::RuleChange {
        sku: catalogue.sku_code(applied.sku).to_owned(),
        cells: cells.collect(),
        allotments: allotments.map(|(channel, terms)| quota(catalogue, channel, terms, None)).collect(),
        leaves: leaves
            .map(|(channel, units)| v1::LeftUnits {
                channel: catalogue.directory().channel_code(channel).to_owned(),
                units: units.signed(),
                rule: String::new(),
            })
            .collect(),
    }
}

fn quota(
    catalogue: &Catalogue,
    channel: ChannelId,
    terms: Option<RuledTerms>,
    rule: Option<&String>,
) -> v1::RuledQuota {
    v1::RuledQuota {
        channel: catalogue.directory().channel_code(channel).to_owned(),
        quota: terms.map(|terms| i64::from(terms.quota)),
        ceiling: terms.and_then(|terms| terms.ceiling).map(i64::from),
        spill_over: terms.is_some_and(|terms| terms.spill_over),
        rule: rule.cloned().unwrap_or_default(),
    }
}

/// The set in force; `None`: none was ever put.
pub(crate) fn in_force(
    position: Option<v1::Position>,
    rules: Option<&RulesInForce>,
    lag: &RulesLag,
) -> v1::GetStockRulesResponse {
    let Some(rules) = rules else { return v1::GetStockRulesResponse { position, ..Default::default() } };
    v1::GetStockRulesResponse {
        position,
        version: rules.version,
        json: rules.json.to_string(),
        put_time: Some(time::to_wire(rules.put_at)),
        revision: rules.revision.get(),
        rules: signed(lag.rules),
        rules_holding: signed(lag.holding),
        skus_waiting: signed(lag.waiting),
        lag: Some(prost_types::Duration {
            seconds: signed(lag.lag.0 / 1_000_000),
            nanos: i32::try_from(lag.lag.0 % 1_000_000 * 1_000).unwrap_or(0),
        }),
        left_out: rules.left_out.to_vec(),
    }
}

/// A page of effects that is asked for.
#[derive(Debug)]
pub(crate) struct EffectsPage {
    pub(crate) skus: Vec<String>,
    pub(crate) first: usize,
    pub(crate) size: usize,
    pages: Pages,
}

impl EffectsPage {
    /// Where the next page begins; empty when there is none.
    pub(crate) fn token(&self, next: usize, more: bool) -> String {
        if more { self.pages.token(u64::try_from(next).unwrap_or(u64::MAX)) } else { String::new() }
    }
}

/// A ListRuleEffects.
pub(crate) fn effects_page(message: v1::ListRuleEffectsRequest) -> Result<EffectsPage, ApiError> {
    let mut checks = Checks::default();
    let mut skus = Vec::new();
    if checks.length("skus", message.skus.len(), 0, &limits::RULE_EFFECTS_PAGE_MAX) {
        let codes = message.skus.into_iter().enumerate();
        skus.extend(codes.map(|(place, code)| checks.code(format_args!("skus[{place}]"), code)));
        checks.each_once("skus", skus.iter().map(String::as_str));
    }
    let filter: Vec<&[u8]> = skus.iter().map(|code| code.as_bytes()).collect();
    let pages = Pages::of("rule effects", &filter);
    let first = pages.after(&mut checks, &message.page_token).unwrap_or(0);
    let size = checks.page_size(message.page_size, PAGE_DEFAULT, &limits::RULE_EFFECTS_PAGE_MAX);
    checks.finish(EffectsPage { skus, first: usize::try_from(first).unwrap_or(usize::MAX), size, pages })
}

/// What the rules do to a SKU.
pub(crate) fn effects(catalogue: &Catalogue, effects: &RuleEffects) -> v1::RuleEffects {
    let directory = catalogue.directory();
    let cells = effects.cells.iter().map(|cell| v1::KeptUnits {
        location: directory.location_code(cell.location).to_owned(),
        kept: cell.kept.signed(),
        safety: cell.safety.signed(),
        rule: cell.rule.clone().unwrap_or_default(),
    });
    let allotments = effects.allotments.iter().map(|one| quota(catalogue, one.channel, one.terms, one.rule.as_ref()));
    let leaves = effects.leaves.iter().map(|one| v1::LeftUnits {
        channel: directory.channel_code(one.channel).to_owned(),
        units: one.units.signed(),
        rule: one.rule.clone().unwrap_or_default(),
    });
    v1::RuleEffects {
        sku: catalogue.sku_code(effects.sku).to_owned(),
        settled: effects.settled,
        cells: cells.collect(),
        allotments: allotments.collect(),
        leaves: leaves.collect(),
        unanswered: signed(effects.unanswered),
        revision: effects.revision.get(),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
