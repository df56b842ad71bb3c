//! What a seed decides before the first step: how the node is set up, and how often everything happens.

use std::time::Duration;

use quartermaster_engine::EngineConfig;
use quartermaster_journal::{Durability, LogConfig};
use quartermaster_node::CoreConfig;

use crate::workload::{Case, Dice};

/// Chances are weights of a step's choice beside each other; 0 for what never happens in this run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Settings of the node.
    pub config: CoreConfig,
    /// Commands by kind.
    pub case: Case,
    /// A command of some client.
    pub command: u32,
    /// A client repeats a call it has no answer to.
    pub retry: u32,
    /// The committer takes a batch.
    pub commit: u32,
    /// A spare segment is prepared.
    pub spare: u32,
    /// The timer ticks.
    pub tick: u32,
    /// The auditor looks at a shard.
    pub audit: u32,
    /// A snapshot is taken while traffic goes on.
    pub snapshot: u32,
    /// The machine or the process dies.
    pub crash: u32,
    /// An orderly end and a new start.
    pub close: u32,
    /// A call to the disk is going to fail.
    pub fault: u32,
    /// The disk fills up, or has room again.
    pub space: u32,
    /// Clocks jump.
    pub jump: u32,
    /// Bits rot in cold files before a start, once in so many starts; 0 for never.
    pub rot_one_in: usize,
    /// The machine dies while it recovers, once in so many starts; 0 for never.
    pub dies_in_recovery_one_in: usize,
    /// A read fails in a start, once in so many starts; 0 for never.
    pub unreadable_one_in: usize,
    /// How often what is written is synced, in microseconds, where answers do not wait for it; nothing where they do.
    pub sync_interval: Option<u64>,
    /// All figures are compared with the model once in so many steps.
    pub compare_one_in: usize,
}

impl Plan {
    /// A plan of its own for each seed: each kind of trouble may be absent, so that none hides another.
    #[must_use]
    pub fn swarm(dice: &mut Dice) -> Self {
        let mut plan = Self::swarm_with_fsync(dice);
        if dice.one_in(6) {
            plan.answer_before_sync(1_000 << dice.below(14));
        }
        plan
    }

    /// Answers wait for the write alone, and what is written is synced every so many microseconds of the simulated clock. The journal's
    /// own timer reads the machine's clock, so it is set to never.
    pub fn answer_before_sync(&mut self, micros: u64) {
        self.config.log.durability = Durability::Interval(Duration::from_secs(1 << 30));
        self.sync_interval = Some(micros);
    }

    fn swarm_with_fsync(dice: &mut Dice) -> Self {
        let case = Case::swarm(dice);
        let mut some =
            |most: u64| u32::try_from(if dice.one_in(4) { 0 } else { 1 + dice.number() % most }).unwrap_or(0);
        let (retry, audit, snapshot, crash, close) = (some(60), some(30), some(6), some(8), some(3));
        let (fault, space, jump) = (some(5), some(3), some(8));
        let (commit, spare, tick) = (40 + some(300), 5 + some(40), 5 + some(40));
        let log =
            LogConfig { backlog_bytes_max: if dice.one_in(4) { 24 << 10 } else { 1 << 20 }, ..LogConfig::small() };
        let config = CoreConfig {
            engine: EngineConfig::default(),
            log,
            snapshot_interval: Duration::from_secs(if dice.one_in(2) { 0 } else { 20 }),
            snapshot_after_bytes: if dice.one_in(2) { 0 } else { 100 << 10 },
            journal_keep: Duration::from_secs(if dice.one_in(2) { 0 } else { 30 }),
            disk_budget_bytes: 0,
        };
        Self {
            config,
            case,
            command: 1_000,
            retry,
            commit,
            spare,
            tick,
            audit,
            snapshot,
            crash,
            close,
            fault,
            space,
            jump,
            rot_one_in: [0, 2, 4][dice.below(3)],
            dies_in_recovery_one_in: [0, 2, 4][dice.below(3)],
            unreadable_one_in: [0, 3, 8][dice.below(3)],
            sync_interval: None,
            compare_one_in: 100,
        }
    }
}
