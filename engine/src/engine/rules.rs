//! Safety stock of many levels, and rules that set it and allotments: the write path.

use std::sync::Arc;

use quartermaster_journal::Lsn;

use super::{Decision, Draft, Engine, Slotted, Verdict};
use crate::{
    command::{Command, Request, rules::RulesCommand},
    decide::rules,
    error::Error,
    event::{Event, ShardSet},
    id::{SHARDS, ShardId, SkuId},
    rules::{difference, evaluate},
    time::{Micros, Timestamp},
};

/// What a pass over the SKUs that wait for an evaluation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettleReport {
    /// SKUs evaluated.
    pub evaluated: usize,
    /// SKUs of which something changed.
    pub applied: usize,
    /// How long the one that waited longest had waited.
    pub lag_max: Micros,
    /// LSN of the last event, for whoever wants to wait.
    pub lsn: Lsn,
}

impl Engine {
    pub(super) fn rules(
        &self,
        draft: &Draft<'_>,
        command: &RulesCommand,
        slot: Slotted<'_, '_>,
    ) -> Result<(Lsn, Verdict), Error> {
        match command {
            RulesCommand::Put { set, expected_version } => loop {
                // Compiled before any lock is taken. If another change came between, it is done again.
                let base = Arc::clone(self.catalogue.read().directory());
                let event = Event::Rules(Box::new(rules::put(&base, set, *expected_version)?));
                let candidate =
                    base.after(&event, Lsn::ZERO, draft.now).map(crate::catalog::Directory::with_rules_compiled);
                let mut catalogue = self.catalogue.write();
                if !Arc::ptr_eq(&base, catalogue.directory()) {
                    continue;
                }
                let mut locked = self.shards.lock(&ShardSet::ALL);
                let (lsn, verdict) = self.commit(draft, Decision::Event(event), &mut locked, slot, None)?;
                if let Verdict::Done(event) = &verdict
                    && let (Some(next), Some(candidate)) = (base.after(event, lsn, draft.now), candidate)
                {
                    let next = Arc::new(next.with_rules_of(&candidate));
                    catalogue.set_revision(lsn);
                    catalogue.set_directory(Arc::clone(&next));
                    locked.each().for_each(|shard| {
                        shard.directory = Arc::clone(&next);
                        shard.rules.directory_changed(&next, draft.now);
                    });
                }
                return Ok((lsn, verdict));
            },
            RulesCommand::Settle(sku) => {
                let spec = Arc::clone(&self.catalogue.read().skus()[sku.index()]);
                let mut locked = self.shards.lock(&ShardSet::from_iter([sku.shard()]));
                let decision = rules::settle(locked.shard(sku.shard()), &spec, draft.now);
                self.commit(draft, decision, &mut locked, slot, None)
            }
        }
    }

    /// Evaluates the rules for SKUs that wait for it, at most `limit`, and puts in its place what differs. Sent by the server's timer every
    /// few milliseconds; idempotent.
    ///
    /// # Errors
    /// When the journal takes no record. What was not seen to waits on.
    pub fn settle_rules(&self, now: Timestamp, limit: usize) -> Result<SettleReport, Error> {
        let mut report = SettleReport::default();
        if self.catalogue.read().directory().stock_rules().is_none() {
            return Ok(report);
        }
        // Each pass begins elsewhere, so that no shard waits behind busier ones for ever.
        let first = usize::try_from(now.0 / 1_000 % 256).unwrap_or(0);
        for shard in ShardId::all().cycle().skip(first).take(SHARDS) {
            if report.evaluated >= limit {
                break;
            }
            let mut marks = self.marks(shard, now, limit - report.evaluated).into_iter();
            while let Some((sku, since)) = marks.next() {
                report.evaluated += 1;
                report.lag_max = report.lag_max.max(Micros(now.0.saturating_sub(since.0)));
                if !self.differs(sku, now) {
                    continue;
                }
                let request = Request::unnamed();
                match self.submit(&request, &Command::Rules(RulesCommand::Settle(sku)), now) {
                    Ok(answer) if matches!(answer.verdict, Verdict::Done(_)) => {
                        report.applied += 1;
                        report.lsn = answer.lsn;
                    }
                    Ok(_) => {}
                    Err(error) => {
                        let rest = [(sku, since)].into_iter().chain(marks);
                        self.shards.write(shard).rules.put_back(rest);
                        return Err(error);
                    }
                }
            }
        }
        Ok(report)
    }

    /// Takes marks off SKUs of a shard.
    fn marks(&self, id: ShardId, now: Timestamp, limit: usize) -> Vec<(SkuId, Timestamp)> {
        {
            let shard = self.shards.read(id);
            let rules = shard.directory.stock_rules();
            if rules.is_none_or(|rules| shard.rules.is_settled(rules.rules(), now)) {
                return Vec::new();
            }
        }
        let shard = &mut *self.shards.write(id);
        let rows = shard.rows.len();
        let Some(rules) = shard.directory.stock_rules() else { return Vec::new() };
        shard.rules.take(id, rows, rules.rules(), now, limit)
    }

    /// Whether an evaluation would change anything, seen from a shared lock. The mark is off already: whatever comes after sets another.
    fn differs(&self, sku: SkuId, now: Timestamp) -> bool {
        let spec = Arc::clone(&self.catalogue.read().skus()[sku.index()]);
        let shard = self.shards.read(sku.shard());
        let Some(rules) = shard.directory.stock_rules() else { return false };
        let outcome = evaluate(&shard.directory, rules.rules(), &shard, &spec, now);
        difference(&shard, sku, rules.version, &outcome).is_some()
    }
}
