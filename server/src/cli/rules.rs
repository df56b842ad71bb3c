//! `quartermaster rules`: the stock rules of a running server, put, shown, and what they do.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use quartermaster_client::Transport;
use quartermaster_proto::v1::rules_service_client::RulesServiceClient;
use quartermaster_proto::v1::{
    GetStockRulesRequest, GetStockRulesResponse, KeptUnits, LeftUnits, ListRuleEffectsRequest, PutStockRulesRequest,
    RuleEffects, RuledQuota, StockRulesPreview,
};
use serde_json::{Value, json};
use tonic::Status;

use super::document::{findings_page, request_id, violations};
use super::remote::Target;
use super::{Output, exit, print, show};

/// The stock rules of a running server: safety stock and allotments by rule.
#[derive(Clone, Debug, clap::Args)]
pub struct RulesArgs {
    #[command(subcommand)]
    step: Step,
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Debug, Subcommand)]
enum Step {
    /// Replaces the whole set with that of a file.
    Put {
        /// TOML or JSON.
        file: PathBuf,
        /// Change nothing: tell what would change now.
        #[arg(long)]
        dry_run: bool,
        /// Refuse unless the set in force has this version; 0: there is none yet.
        #[arg(long, value_name = "VERSION")]
        over: Option<u32>,
    },
    /// Prints the set in force, and how far its evaluation is behind.
    Show,
    /// Lists what the rules do, SKU by SKU.
    Effects {
        /// Only these SKUs.
        skus: Vec<String>,
        /// At most so many SKUs.
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
}

/// Why a command ended early.
enum Stop {
    File(PathBuf, std::io::Error),
    BadTarget(String),
    Refused(Box<Status>),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// Does one step. Ends with 0 when it is done, with 1 when the server refused it, with 2 when it cannot be asked.
pub async fn run(args: &RulesArgs) -> ExitCode {
    match step(args).await {
        Ok(page) => {
            print(&page);
            exit::OK.into()
        }
        Err(Stop::File(path, error)) => {
            eprintln!("quartermaster rules: cannot read {}: {error}", path.display());
            exit::UNUSABLE.into()
        }
        Err(Stop::BadTarget(error)) => {
            eprintln!("quartermaster rules: {error}");
            exit::UNUSABLE.into()
        }
        Err(Stop::Refused(status)) => {
            let code = args.target.refused("rules", &status);
            eprint!("{}", violations(&status));
            code.into()
        }
    }
}

async fn step(args: &RulesArgs) -> Result<String, Stop> {
    let channel = args.target.channel().map_err(Stop::BadTarget)?;
    let mut client = RulesServiceClient::new(channel).max_decoding_message_size(64 << 20);
    match &args.step {
        Step::Put { file, dry_run, over } => {
            let text = fs::read_to_string(file).map_err(|error| Stop::File(file.clone(), error))?;
            let request = PutStockRulesRequest {
                request_id: if *dry_run { String::new() } else { request_id("rules") },
                text,
                expected_version: *over,
                dry_run: *dry_run,
            };
            let answer = client.put_stock_rules(request).await?.into_inner();
            Ok(match (args.output, &answer.preview) {
                (Output::Text, Some(preview)) => findings_page(&answer.findings) + &preview_page(preview),
                (Output::Text, None) => {
                    findings_page(&answer.findings) + &format!("stock rules version {}: in force\n", answer.version)
                }
                (Output::Json, preview) => {
                    let findings = answer.findings.iter().map(|one| {
                        json!({ "severity": one.severity().as_str_name(), "path": one.path, "message": one.message })
                    });
                    let findings: Vec<Value> = findings.collect();
                    let preview = preview.as_ref().map(preview_json);
                    format!("{:#}\n", json!({ "version": answer.version, "findings": findings, "preview": preview }))
                }
            })
        }
        Step::Show => {
            let answer = client.get_stock_rules(GetStockRulesRequest {}).await?.into_inner();
            Ok(in_force(&answer, args.output))
        }
        Step::Effects { skus, limit } => {
            let effects = all_effects(&mut client, skus, *limit).await?;
            Ok(match args.output {
                Output::Text => effects_page(&effects),
                Output::Json => {
                    let all: Vec<Value> = effects.iter().map(effects_json).collect();
                    format!("{:#}\n", json!({ "skus": all }))
                }
            })
        }
    }
}

async fn all_effects(
    client: &mut RulesServiceClient<Transport>,
    skus: &[String],
    limit: usize,
) -> Result<Vec<RuleEffects>, Stop> {
    let mut request = ListRuleEffectsRequest { skus: skus.to_vec(), page_size: 500, page_token: String::new() };
    let mut effects = Vec::new();
    loop {
        let page = client.list_rule_effects(request.clone()).await?.into_inner();
        effects.extend(page.skus);
        if page.next_page_token.is_empty() || effects.len() >= limit {
            effects.truncate(limit);
            return Ok(effects);
        }
        request.page_token = page.next_page_token;
    }
}

fn in_force(answer: &GetStockRulesResponse, output: Output) -> String {
    let rules: Value = serde_json::from_str(&answer.json).unwrap_or_default();
    let lag = answer.lag.and_then(|lag| Duration::try_from(lag).ok()).unwrap_or_default();
    match output {
        Output::Json => {
            let told = json!({
                "version": answer.version,
                "rules": rules,
                "revision": answer.revision,
                "skus_waiting": answer.skus_waiting,
                "lag_seconds": lag.as_secs_f64(),
                "left_out": answer.left_out,
            });
            format!("{told:#}\n")
        }
        Output::Text if answer.version == 0 => "no stock rules were ever put\n".to_owned(),
        Output::Text => {
            let put = answer.put_time.map(|at| at.to_string()).unwrap_or_default();
            let mut page = format!(
                "version {}, put {put}: {} rules, {} hold now; {} SKUs wait{}\n",
                answer.version,
                answer.rules,
                answer.rules_holding,
                answer.skus_waiting,
                if answer.skus_waiting > 0 { format!(" for {}", show::duration(lag)) } else { String::new() },
            );
            answer.left_out.iter().for_each(|rule| _ = writeln!(page, "not in use by this version: {rule}"));
            page + &serde_json::to_string_pretty(&rules).unwrap_or_default() + "\n"
        }
    }
}

fn preview_page(preview: &StockRulesPreview) -> String {
    let mut page = format!(
        "would change {} SKUs: {} cells, kept {} -> {} units; {} allotments, {} of what channels leave\n",
        preview.skus, preview.cells, preview.kept_before, preview.kept_after, preview.allotments, preview.leaves
    );
    for change in &preview.examples {
        _ = writeln!(page, "{}", line(&change.sku, &change.cells, &change.allotments, &change.leaves));
    }
    page
}

fn preview_json(preview: &StockRulesPreview) -> Value {
    let examples: Vec<Value> = preview
        .examples
        .iter()
        .map(|change| body(&change.sku, &change.cells, &change.allotments, &change.leaves))
        .collect();
    json!({
        "skus": preview.skus,
        "cells": preview.cells,
        "kept_before": preview.kept_before,
        "kept_after": preview.kept_after,
        "allotments": preview.allotments,
        "leaves": preview.leaves,
        "examples": examples,
    })
}

/// A line for each SKU; says so when there is none.
fn effects_page(effects: &[RuleEffects]) -> String {
    if effects.is_empty() {
        return "the rules do nothing\n".to_owned();
    }
    let mut page = String::new();
    for one in effects {
        page += &line(&one.sku, &one.cells, &one.allotments, &one.leaves);
        if !one.settled {
            page += "  (waits for an evaluation)";
        }
        page.push('\n');
    }
    page
}

fn line(sku: &str, cells: &[KeptUnits], allotments: &[RuledQuota], leaves: &[LeftUnits]) -> String {
    let by = |rule: &str| if rule.is_empty() { String::new() } else { format!(" ({rule})") };
    let mut parts = vec![sku.to_owned()];
    parts.extend(cells.iter().map(|cell| {
        let safety = if cell.safety > 0 { format!(", safety {}", cell.safety) } else { String::new() };
        format!("{}: keeps {}{safety}{}", cell.location, cell.kept, by(&cell.rule))
    }));
    parts.extend(allotments.iter().map(|one| {
        let quota = one.quota.map_or_else(|| "nothing".to_owned(), |quota| quota.to_string());
        let ceiling = one.ceiling.map_or_else(String::new, |ceiling| format!(", at most {ceiling}"));
        let spill = if one.spill_over { ", may spill over" } else { "" };
        format!("{}: allotted {quota}{ceiling}{spill}{}", one.channel, by(&one.rule))
    }));
    parts.extend(leaves.iter().map(|one| format!("{}: leaves {}{}", one.channel, one.units, by(&one.rule))));
    parts.join("\n  ")
}

fn effects_json(effects: &RuleEffects) -> Value {
    let mut value = body(&effects.sku, &effects.cells, &effects.allotments, &effects.leaves);
    value["settled"] = effects.settled.into();
    value["unanswered"] = effects.unanswered.into();
    value["revision"] = effects.revision.into();
    value
}

fn body(sku: &str, cells: &[KeptUnits], allotments: &[RuledQuota], leaves: &[LeftUnits]) -> Value {
    let cells = cells
        .iter()
        .map(|cell| json!({ "location": cell.location, "kept": cell.kept, "safety": cell.safety, "rule": cell.rule }));
    let allotments = allotments.iter().map(|one| {
        json!({
            "channel": one.channel,
            "quota": one.quota,
            "ceiling": one.ceiling,
            "spill_over": one.spill_over,
            "rule": one.rule,
        })
    });
    let leaves = leaves.iter().map(|one| json!({ "channel": one.channel, "units": one.units, "rule": one.rule }));
    json!({
        "sku": sku,
        "cells": cells.collect::<Vec<_>>(),
        "allotments": allotments.collect::<Vec<_>>(),
        "leaves": leaves.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: RulesArgs,
    }

    #[test]
    fn the_form_and_the_server_stand_anywhere() {
        use clap::Parser as _;
        for line in
            ["rules -o json --target x show", "rules show --target x -o json", "rules effects A B -o json --target x"]
        {
            let args = Line::parse_from(line.split(' ')).args;
            assert_eq!((args.target.target.as_deref().unwrap(), args.output), ("x", Output::Json));
        }
    }

    #[test]
    fn effects_read_as_lines_and_as_json() {
        let effects = RuleEffects {
            sku: "A".into(),
            settled: false,
            cells: vec![KeptUnits { location: "S1".into(), kept: 2, safety: 1, rule: "stores".into() }],
            allotments: vec![RuledQuota {
                channel: "app".into(),
                quota: Some(80),
                ceiling: Some(90),
                spill_over: true,
                rule: String::new(),
            }],
            leaves: vec![LeftUnits { channel: "store".into(), units: 3, rule: "tills".into() }],
            unanswered: 0,
            revision: 7,
        };
        assert_eq!(
            effects_page(std::slice::from_ref(&effects)),
            "A\n  S1: keeps 2, safety 1 (stores)\n  app: allotted 80, at most 90, may spill over\n  store: leaves 3 (tills)  \
             (waits for an evaluation)\n"
        );
        assert_eq!(effects_json(&effects)["allotments"][0]["quota"], 80);
        assert_eq!(effects_page(&[]), "the rules do nothing\n");
    }

    #[test]
    fn a_set_in_force_tells_how_far_behind_it_is() {
        let answer = GetStockRulesResponse {
            version: 3,
            json: "{}".into(),
            put_time: Some(prost_types::Timestamp { seconds: 1_794_355_200, nanos: 0 }),
            rules: 2,
            rules_holding: 1,
            skus_waiting: 0,
            ..GetStockRulesResponse::default()
        };
        let page = in_force(&answer, Output::Text);
        assert_eq!(page, "version 3, put 2026-11-11T00:00:00Z: 2 rules, 1 hold now; 0 SKUs wait\n{}\n");
        assert_eq!(in_force(&GetStockRulesResponse::default(), Output::Text), "no stock rules were ever put\n");
    }

    #[test]
    fn the_example_can_be_read() {
        let text = include_str!("../../../examples/stock-rules.toml");
        let set = quartermaster_sourcing::rules::RuleSet::read(text).unwrap();
        assert_eq!((set.rules.len(), set.windows.len()), (5, 2));
    }
}
