//! What campaigns decided in the last minute: orders that got units and orders that were refused, by second and reason.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::{Mutex, RwLock};
use quartermaster_engine::{Answer, Error, Rejection, Verdict, command::Command, time::Timestamp};
use quartermaster_proto::v1;

/// Seconds that are kept.
const SECONDS: usize = 60;
/// Campaigns whose pace is kept; of more nothing is.
const CAMPAIGNS_MAX: usize = 10_000;

/// The pace of every campaign that was asked of since the start.
#[derive(Default)]
pub struct CampaignPaces(RwLock<BTreeMap<Box<str>, Arc<Mutex<Ring>>>>);

/// Seconds by their remainder; each says which second it is of.
struct Ring([Second; SECONDS]);

#[derive(Clone, Copy, Default)]
struct Second {
    second: u64,
    granted: u32,
    refused: [u32; REASONS.len()],
}

const REASONS: [v1::RejectionReason; 9] = [
    v1::RejectionReason::CampaignSoldOut,
    v1::RejectionReason::BuyerLimitReached,
    v1::RejectionReason::OrderLimitReached,
    v1::RejectionReason::CampaignNotStarted,
    v1::RejectionReason::CampaignEnded,
    v1::RejectionReason::NotInCampaign,
    v1::RejectionReason::AlreadyWaiting,
    v1::RejectionReason::WaitingListFull,
    v1::RejectionReason::Unspecified,
];

fn reason(rejection: &Rejection) -> usize {
    match rejection {
        Rejection::CampaignSoldOut { .. } => 0,
        Rejection::BuyerLimitReached { .. } => 1,
        Rejection::OrderLimitReached { .. } => 2,
        Rejection::CampaignNotStarted { .. } => 3,
        Rejection::CampaignEnded { .. } => 4,
        Rejection::NotInCampaign { .. } => 5,
        Rejection::AlreadyWaiting { .. } => 6,
        Rejection::WaitingListFull { .. } => 7,
        _ => 8,
    }
}

impl CampaignPaces {
    /// Counts an order in a campaign. Others cost a look at the command.
    pub(super) fn count(&self, command: &Command, answer: &Result<Answer, Error>, now: Timestamp) {
        let Command::Reserve(order) = command else { return };
        let Some(asked) = order.asked.as_ref().filter(|asked| !asked.campaign.is_empty()) else { return };
        let Ok(answer) = answer else { return };
        if answer.replayed {
            return;
        }
        let Some(ring) = self.ring(&asked.campaign) else { return };
        let mut ring = ring.lock();
        let second = ring.at(now.0 / 1_000_000);
        match &answer.verdict {
            Verdict::Rejected(rejection) => second.refused[reason(rejection)] += 1,
            Verdict::Done(_) => second.granted += 1,
            Verdict::Nothing => {}
        }
    }

    fn ring(&self, campaign: &str) -> Option<Arc<Mutex<Ring>>> {
        if let Some(ring) = self.0.read().get(campaign) {
            return Some(Arc::clone(ring));
        }
        let mut rings = self.0.write();
        if rings.len() >= CAMPAIGNS_MAX && !rings.contains_key(campaign) {
            return None;
        }
        let fresh = || Arc::new(Mutex::new(Ring([Second::default(); SECONDS])));
        Some(Arc::clone(rings.entry(campaign.into()).or_insert_with(fresh)))
    }

    /// The last minute of a campaign.
    pub fn pace(&self, campaign: &str, now: Timestamp) -> v1::CampaignPace {
        let ring = self.0.read().get(campaign).map(Arc::clone);
        let (mut granted, mut refused) = (vec![0; SECONDS], vec![0; SECONDS]);
        let mut by_reason = [0_i64; REASONS.len()];
        if let Some(ring) = ring {
            let ring = ring.lock();
            let newest = now.0 / 1_000_000;
            for second in &ring.0 {
                let age = newest.checked_sub(second.second).and_then(|age| usize::try_from(age).ok());
                let Some(place) = age.and_then(|age| (SECONDS - 1).checked_sub(age)) else { continue };
                granted[place] += i64::from(second.granted);
                refused[place] += second.refused.iter().map(|count| i64::from(*count)).sum::<i64>();
                by_reason.iter_mut().zip(second.refused).for_each(|(sum, count)| *sum += i64::from(count));
            }
        }
        let mut refusals: Vec<_> = REASONS
            .iter()
            .zip(by_reason)
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| v1::CampaignRefusals { reason: i32::from(*reason), count })
            .collect();
        refusals.sort_by_key(|refusals| (std::cmp::Reverse(refusals.count), refusals.reason));
        v1::CampaignPace { granted, refused, refusals }
    }
}

impl Ring {
    fn at(&mut self, second: u64) -> &mut Second {
        let place = usize::try_from(second).unwrap_or(0) % SECONDS;
        let slot = &mut self.0[place];
        if slot.second != second {
            *slot = Second { second, ..Second::default() };
        }
        slot
    }
}
