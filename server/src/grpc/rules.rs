//! The service of stock rules: convert, submit, wait, convert.

use std::sync::Arc;

use quartermaster_engine::{
    Error,
    catalog::documents::DocumentFault,
    command::{Command, rules::RulesCommand},
    event::{Event, rules::RulesEvent},
    id::SkuId,
};
use quartermaster_proto::v1::{self, rules_service_server::RulesService};
use quartermaster_sourcing::rules::RuleSet;
use tonic::{Request, Response, Status};

use super::{
    caller,
    convert::{
        answers::Told,
        documents,
        rules::{self, EXAMPLES_MAX, LOOKED_AT_MAX, Put},
    },
    status::ApiError,
};
use crate::node::Node;

type Reply<T> = Result<Response<T>, Status>;

/// Keeps the stock rules, and tells what they do.
#[derive(Clone)]
pub struct Rules {
    node: Arc<Node>,
}

impl Rules {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// What a set would change. Looks at every SKU, so on a thread that may take its time.
    async fn preview(&self, set: RuleSet) -> Result<v1::PutStockRulesResponse, ApiError> {
        let node = Arc::clone(&self.node);
        let look = move || {
            let lsn = node.engine().journal().appended_lsn();
            let preview = node.engine().preview_rules(&set, node.now(), EXAMPLES_MAX)?;
            Ok::<_, Error>((lsn, rules::preview(&node.engine().catalogue(), &preview)))
        };
        let looked = tokio::task::spawn_blocking(look).await;
        let (lsn, (findings, preview)) =
            looked.map_err(|_| ApiError::Internal { what: "a preview of rules failed" })??;
        self.node.settle(lsn).await?;
        Ok(v1::PutStockRulesResponse {
            position: Some(self.node.position(lsn)),
            replayed: false,
            version: 0,
            findings,
            preview: Some(preview),
        })
    }

    /// What looks wrong with the set in force, if it is still this one.
    fn findings(&self, version: u32) -> Vec<v1::Finding> {
        let directory = Arc::clone(self.node.engine().catalogue().directory());
        let Some(in_force) = directory.stock_rules().filter(|rules| rules.version == version) else {
            return Vec::new();
        };
        let places = directory.places(&directory.stage(self.node.now()).network);
        let found = quartermaster_sourcing::rules::check(&in_force.set, &places);
        found.into_iter().map(documents::finding).collect()
    }
}

#[tonic::async_trait]
impl RulesService for Rules {
    async fn put_stock_rules(&self, request: Request<v1::PutStockRulesRequest>) -> Reply<v1::PutStockRulesResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let Put { request, text, expected_version, dry_run } = rules::put(message)?;
        let set = RuleSet::read(&text).map_err(|error| {
            let fault = DocumentFault { path: "text".into(), message: error.to_string() };
            ApiError::from(Error::InvalidStockRules { faults: vec![fault] })
        })?;
        if dry_run {
            return Ok(Response::new(self.preview(set).await?));
        }
        let command = Command::Rules(RulesCommand::Put { set: Box::new(set), expected_version });
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let told = Told::of(&self.node, answer, |_, event| match event {
            Event::Rules(event) => match **event {
                RulesEvent::Put { version, .. } => Some(version),
                RulesEvent::Applied(_) => None,
            },
            _ => None,
        })?;
        let (position, replayed, version) = told.done()?;
        let findings = self.findings(version);
        Ok(Response::new(v1::PutStockRulesResponse {
            position: Some(position),
            replayed,
            version,
            findings,
            preview: None,
        }))
    }

    async fn get_stock_rules(&self, _: Request<v1::GetStockRulesRequest>) -> Reply<v1::GetStockRulesResponse> {
        let engine = self.node.engine();
        let (lsn, directory) = {
            let catalogue = engine.catalogue();
            (catalogue.revision().max(engine.journal().durable_lsn()), Arc::clone(catalogue.directory()))
        };
        let lag = engine.rules_lag(self.node.now());
        self.node.settle(lsn).await?;
        let position = Some(self.node.position(lsn));
        Ok(Response::new(rules::in_force(position, directory.stock_rules(), &lag)))
    }

    async fn list_rule_effects(
        &self,
        request: Request<v1::ListRuleEffectsRequest>,
    ) -> Reply<v1::ListRuleEffectsResponse> {
        let page = rules::effects_page(request.into_inner())?;
        let engine = self.node.engine();
        let wanted: Vec<SkuId> = {
            let catalogue = engine.catalogue();
            if page.skus.is_empty() {
                let rest = catalogue.skus().iter().skip(page.first);
                rest.map(|sku| sku.id).take(LOOKED_AT_MAX + 1).collect()
            } else {
                let find = |code: &String| catalogue.sku(code).ok_or_else(|| Error::UnknownSku { code: code.clone() });
                let ids = page.skus.iter().map(find).collect::<Result<Vec<_>, _>>().map_err(ApiError::from)?;
                ids.into_iter().skip(page.first).collect()
            }
        };
        let (mut found, mut looked_at) = (Vec::new(), 0);
        let now = self.node.now();
        for sku in wanted.iter().take(LOOKED_AT_MAX) {
            if found.len() >= page.size {
                break;
            }
            looked_at += 1;
            found.extend(engine.rule_effects(*sku, now));
        }
        // Each SKU was read as it is, durable or not.
        let lsn = engine.journal().appended_lsn();
        self.node.settle(lsn).await?;
        let next_page_token = page.token(page.first + looked_at, looked_at < wanted.len());
        let catalogue = engine.catalogue();
        let skus = found.iter().map(|effects| rules::effects(&catalogue, effects)).collect();
        Ok(Response::new(v1::ListRuleEffectsResponse {
            position: Some(self.node.position(lsn)),
            skus,
            next_page_token,
        }))
    }
}
