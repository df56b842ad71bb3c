//! The campaign service: convert, submit, wait, convert.

use std::sync::Arc;

use quartermaster_engine::{
    self as engine,
    event::{Event, campaign::CampaignEvent},
    query::CampaignStatus,
};
use quartermaster_proto::v1::{self, campaign_service_server::CampaignService};
use tonic::{Request, Response, Status};

use super::{
    caller,
    convert::{
        answers::{Told, units},
        campaign,
    },
    status::ApiError,
};
use crate::node::Node;

type Reply<T> = Result<Response<T>, Status>;

/// Keeps campaigns.
#[derive(Clone)]
pub struct Campaign {
    node: Arc<Node>,
}

impl Campaign {
    /// The service of a node.
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    fn status(&self, status: &CampaignStatus) -> v1::CampaignStatus {
        let now = self.node.now();
        let pace = self.node.campaigns().pace(&status.campaign.code, now);
        let told = campaign::status(&self.node.engine().catalogue(), status, now);
        v1::CampaignStatus { pace: Some(pace), ..told }
    }
}

#[tonic::async_trait]
impl CampaignService for Campaign {
    async fn upsert_campaigns(
        &self,
        request: Request<v1::UpsertCampaignsRequest>,
    ) -> Reply<v1::UpsertCampaignsResponse> {
        use v1::upsert_campaigns_response::Outcome;
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = campaign::upsert(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let told = Told::of(&self.node, answer, |catalogue, event| {
            let Event::Campaign(event) = event else { return None };
            let CampaignEvent::Upserted { campaigns, created, .. } = &**event else { return None };
            let all = i64::try_from(campaigns.len()).unwrap_or(i64::MAX);
            Some(v1::CampaignsUpserted {
                created: (*created).into(),
                updated: all - i64::from(*created),
                campaigns: campaigns.iter().map(|one| campaign::campaign(catalogue, one)).collect(),
            })
        })?;
        Ok(Response::new(v1::UpsertCampaignsResponse {
            position: Some(told.position),
            replayed: told.replayed,
            outcome: Some(told.outcome.map_or_else(Outcome::Rejection, Outcome::Done)),
        }))
    }

    async fn get_campaign(&self, request: Request<v1::GetCampaignRequest>) -> Reply<v1::GetCampaignResponse> {
        let code = campaign::get(request.into_inner())?;
        let found = self.node.engine().campaign_status(&code);
        let (lsn, status) = found.ok_or_else(|| ApiError::from(engine::Error::UnknownCampaign { code }))?;
        self.node.settle(lsn).await?;
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::GetCampaignResponse { position, campaign: Some(self.status(&status)) }))
    }

    async fn list_campaigns(&self, request: Request<v1::ListCampaignsRequest>) -> Reply<v1::ListCampaignsResponse> {
        let message = request.into_inner();
        let page = campaign::list(&message)?;
        let (lsn, found, more) = self.node.engine().campaigns(page.after, page.size, message.open_only);
        self.node.settle(lsn).await?;
        let last = found.last().filter(|_| more);
        let next_page_token = last.map(|last| page.pages.token(last.campaign.id.0.into())).unwrap_or_default();
        let campaigns = found.iter().map(|status| self.status(status)).collect();
        let position = Some(self.node.position(lsn));
        Ok(Response::new(v1::ListCampaignsResponse { position, campaigns, next_page_token }))
    }

    async fn end_campaign(&self, request: Request<v1::EndCampaignRequest>) -> Reply<v1::EndCampaignResponse> {
        let (caller, message) = caller::opened(&self.node, request)?;
        let (request, command) = campaign::end(message)?;
        let answer = self.node.submit(&caller.signed(request), &command).await?;
        let told = Told::of(&self.node, answer, |_, event| {
            let Event::Campaign(event) = event else { return None };
            let CampaignEvent::Closed { returned, buyers, .. } = &**event else { return None };
            Some((returned.iter().map(|(_, units)| units.units()).sum(), *buyers))
        })?;
        let (position, replayed, (returned, buyers)) = told.done()?;
        Ok(Response::new(v1::EndCampaignResponse {
            position: Some(position),
            replayed,
            returned: units(returned),
            buyers: units(buyers),
        }))
    }
}
