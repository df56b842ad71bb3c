//! Flash sales, their buyers and their waiting lists, and orders that take stock at payment: the write path.

use std::sync::Arc;

use quartermaster_journal::Lsn;

use super::{Draft, Engine, Slotted, Verdict};
use crate::{
    campaign::{Campaign, counter_shard},
    catalog::Directory,
    command::{Command, Request, Reserve, campaign::CampaignCommand},
    decide::{Decision, campaign as decide, reserve},
    error::Error,
    event::{Event, ShardSet, campaign::CampaignEvent},
    id::{CampaignId, ReservationId, ShardId},
    reservation::State,
    time::Timestamp,
};

/// What a pass over the campaigns did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettleReport {
    /// Waiting buyers that got a hold.
    pub granted: usize,
    /// Waiting buyers that wait no longer and got nothing.
    pub dropped: usize,
    /// Campaigns that were closed.
    pub closed: usize,
    /// LSN of the last event, for whoever wants to wait.
    pub lsn: Lsn,
}

impl SettleReport {
    /// Events of the pass.
    #[must_use]
    pub fn events(&self) -> usize {
        self.granted + self.dropped + self.closed
    }
}

impl Engine {
    /// Closes campaigns whose time is up, and gives what has come back to those who wait, the oldest first; at most `limit` events. Sent
    /// by the server's timer every few milliseconds.
    ///
    /// # Errors
    /// When the journal takes no record. What was due stays due.
    pub fn settle_campaigns(&self, now: Timestamp, limit: usize) -> Result<SettleReport, Error> {
        let mut report = SettleReport::default();
        let directory = Arc::clone(self.catalogue.read().directory());
        let ended: Vec<CampaignId> =
            directory.campaigns().open().filter(|one| one.ends_at <= now).map(|one| one.id).collect();
        for campaign in ended.into_iter().take(limit) {
            self.settle_one(CampaignCommand::Close(campaign), now, &mut report)?;
        }
        for shard in ShardId::all() {
            while report.events() < limit {
                let due = self.due_waiters(shard, now, limit - report.events());
                let before = report.events();
                for id in due {
                    self.settle_one(CampaignCommand::Settle(id), now, &mut report)?;
                }
                if report.events() == before {
                    break;
                }
            }
        }
        Ok(report)
    }

    fn settle_one(&self, command: CampaignCommand, now: Timestamp, report: &mut SettleReport) -> Result<(), Error> {
        let nobody = Request::unnamed();
        match self.submit(&nobody, &Command::Campaign(command), now) {
            Ok(answer) => {
                if let Verdict::Done(Event::Campaign(event)) = &answer.verdict {
                    report.lsn = answer.lsn;
                    match **event {
                        CampaignEvent::Closed { .. } => report.closed += 1,
                        CampaignEvent::Granted(_) => report.granted += 1,
                        CampaignEvent::Dropped { .. } => report.dropped += 1,
                        CampaignEvent::Upserted { .. } => {}
                    }
                }
                Ok(())
            }
            Err(Error::UnknownReservation { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Of every line of a shard the first, if it seems that there are units for it; of lines without a campaign all, up to the limit.
    fn due_waiters(&self, shard: ShardId, now: Timestamp, limit: usize) -> Vec<ReservationId> {
        let shard = self.shards.read(shard);
        let mut due = Vec::new();
        for ((campaign, sku), line) in &shard.campaigns.lines {
            let campaign = shard.directory.campaigns().by_id(*campaign).map(|campaign| &**campaign);
            match campaign.filter(|one| one.closed.is_none() && now < one.ends_at && one.item(*sku).is_some()) {
                None => due.extend(line.waiters.keys().take(limit)),
                Some(campaign) => due.extend(decide::first_served(&shard, campaign, *sku, line, now)),
            }
            if due.len() >= limit {
                due.truncate(limit);
                break;
            }
        }
        due
    }

    pub(super) fn campaign(
        &self,
        draft: &Draft<'_>,
        command: &CampaignCommand,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        match command {
            CampaignCommand::Settle(id) => self.settle_waiter(draft, *id, slot),
            CampaignCommand::Upsert { .. } | CampaignCommand::End { .. } | CampaignCommand::Close(_) => {
                self.change_campaigns(draft, command, slot)
            }
        }
    }

    /// Changes campaigns. Decided with every shard locked, because every shard reads them.
    fn change_campaigns(
        &self,
        draft: &Draft<'_>,
        command: &CampaignCommand,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        let mut catalogue = self.catalogue.write();
        // Held to the end, so that the old directory is not taken apart under the locks; the next one is copied before them.
        let base = Arc::clone(catalogue.directory());
        let next = Directory::clone(&base);
        let find = |code: &str| {
            let campaign = base.campaigns().get(code);
            campaign.ok_or_else(|| Error::UnknownCampaign { code: code.to_owned() })
        };
        let mut locked = self.shards.lock(&ShardSet::ALL);
        let decision = match command {
            CampaignCommand::Upsert { campaigns, clip } => {
                decide::upsert(&locked, &catalogue, campaigns, *clip, draft.now)?
            }
            CampaignCommand::End { code } => {
                let campaign = find(code)?;
                if campaign.closed.is_some() {
                    return Err(Error::CampaignOver { code: code.clone() });
                }
                decide::close(&locked, campaign, campaign.ends_at.min(draft.now))
            }
            CampaignCommand::Close(id) => match base.campaigns().by_id(*id) {
                Some(one) if one.closed.is_none() && one.ends_at <= draft.now => {
                    decide::close(&locked, one, one.ends_at)
                }
                _ => Decision::Nothing,
            },
            CampaignCommand::Settle(_) => Decision::Nothing,
        };
        let (lsn, verdict) = self.commit(draft, decision, &mut locked, slot, None)?;
        if let Verdict::Done(Event::Campaign(event)) = &verdict
            && let Some(changed) = event.campaigns(base.campaigns())
        {
            let next = Arc::new(next.put_campaigns(changed).at(lsn));
            catalogue.set_revision(lsn);
            catalogue.set_directory(Arc::clone(&next));
            locked.each().for_each(|shard| shard.directory = Arc::clone(&next));
        }
        Ok((lsn, verdict))
    }

    /// The campaign that an order names, and the shard where its buyer is counted.
    pub(super) fn campaign_shard(&self, request: &Reserve) -> Result<Option<ShardId>, Error> {
        let Some(asked) = request.asked.as_ref().filter(|asked| !asked.campaign.is_empty()) else { return Ok(None) };
        let catalogue = self.catalogue.read();
        let campaign = catalogue.directory().campaigns().get(&asked.campaign);
        let campaign = campaign.ok_or_else(|| Error::UnknownCampaign { code: asked.campaign.clone() })?;
        Ok(Some(counter_shard(campaign.id, &request.buyer_id)))
    }

    /// Says no to an order in a campaign from shared locks alone where they show it: no exclusive lock, no id, no record.
    pub(super) fn refused_by_campaign(
        &self,
        draft: &Draft<'_>,
        request: &Reserve,
        demands: &[reserve::Demand<'_>],
        shards: &ShardSet,
    ) -> Result<Option<(Lsn, Verdict)>, Error> {
        let locked = self.shards.lock_shared(shards);
        let refused = decide::refusal(&locked, request, demands, draft.now)?;
        Ok(refused.map(|(rejection, rests_on)| (rests_on, Verdict::Rejected(rejection))))
    }

    /// An order that was placed is paid.
    pub(super) fn confirm_placed(
        &self,
        draft: &Draft<'_>,
        id: ReservationId,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        self.take_wanted(draft, id, slot, decide::confirm_placed)
    }

    fn settle_waiter(
        &self,
        draft: &Draft<'_>,
        id: ReservationId,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        self.take_wanted(draft, id, slot, decide::settle)
    }

    /// Decides about what a reservation wants. Its codes are looked up before the locks; what it wants changes only by being taken.
    fn take_wanted(
        &self,
        draft: &Draft<'_>,
        id: ReservationId,
        slot: Slotted<'_, '_>,
        decide: impl Fn(
            &crate::shard::Locked<'_>,
            &Reserve,
            &[reserve::Demand<'_>],
            ReservationId,
            Timestamp,
        ) -> Result<Decision, Error>,
    ) -> Result<(Lsn, Verdict), Error> {
        let header = {
            let home = self.shards.read(id.home());
            home.parts.header(&id).ok_or(Error::UnknownReservation { id })?.to_header()
        };
        let (request, skus) = decide::kept_request(&self.catalogue.read(), &header);
        let demands = reserve::demands(&request, &skus)?;
        let mut locked = self.lock_reservation(id)?;
        let decision = decide(&locked, &request, &demands, id, draft.now)?;
        self.commit(draft, decision, &mut locked, slot, None)
    }

    /// Whether a reservation has been placed and is to take its units when it is paid.
    pub(super) fn is_placed(locked: &crate::shard::Locked<'_>, id: ReservationId) -> bool {
        locked.shard(id.home()).parts.header(&id).is_some_and(|header| header.state() == State::Placed)
    }

    /// A campaign by its code, and the LSN it is of.
    #[must_use]
    pub fn campaign_by_code(&self, code: &str) -> Option<(Lsn, Arc<Campaign>)> {
        let catalogue = self.catalogue.read();
        let directory = catalogue.directory();
        let campaign = directory.campaigns().get(code)?;
        Some((self.as_of(directory.revision()), Arc::clone(campaign)))
    }
}
