//! One heat after the other: servers started, entries in turns, books checked.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use quartermaster_benches::measure::grouped;
use quartermaster_benches::pin;
use quartermaster_loadtest::machine::{Machine, command_line};
use tempfile::TempDir;

use crate::contender::{Kind, Server};
use crate::demand::Demand;
use crate::drive::{self, Figures, Plan};
use crate::process::Cores;
use crate::programme::{Entry, Heat};
use crate::results::{HeatResult, Outcome, Results, Setting};
use crate::{Arguments, Failure, floor, ours, postgres, redis, report, tools};

/// Runs everything that `arguments` ask for; `keep` is called with what there is after each heat.
pub(crate) async fn run(
    arguments: &Arguments,
    keep: impl Fn(&Results) -> Result<(), Failure>,
) -> Result<Results, Failure> {
    let began = Instant::now();
    let all_cores = pin::cores();
    let cores = Cores::choose()?;
    if !pin::to_core(cores.client) {
        return Err("the client cannot be pinned to a core".into());
    }
    let temporary = directory_in(arguments.directory.as_deref().unwrap_or(&std::env::temp_dir()))?;
    let disk = floor::fdatasync(temporary.path(), Duration::from_secs(1))?;
    let (rounds, milliseconds) = if arguments.quick {
        (1, arguments.milliseconds.min(250))
    } else {
        (arguments.rounds.into(), arguments.milliseconds)
    };
    let setting = Setting {
        command: command_line(),
        cpu: Machine::here().cpu,
        client_core: cores.client,
        server_core: cores.server,
        rounds,
        milliseconds,
        share_percent: arguments.share_percent,
        versions: tools::versions(&arguments.server_bin),
        fdatasync_p50: disk.percentile(50.0),
        fdatasync_p99: disk.percentile(99.0),
    };
    print!("{}", report::setting(&setting));
    let mut results = Results { setting, heats: Vec::new(), tools: Vec::new() };
    let demand = Demand::new();
    for &heat in &arguments.heats {
        let directory = directory_in(temporary.path())?;
        let result = run_heat(arguments, &results.setting, heat, &demand, directory.path(), cores).await?;
        print!("{}", report::table(&results.setting, &result));
        results.heats.push(result);
        keep(&results)?;
    }
    println!("\nheats took {} s", grouped(began.elapsed().as_secs()));
    if arguments.tools {
        // They measure several hands, too.
        if !pin::to_cores(&all_cores) {
            return Err("the other tools cannot be given all cores".into());
        }
        tools::run(arguments.quick, temporary.path(), &arguments.out, |report| {
            results.tools.push(report);
            keep(&results)
        })
        .await?;
    }
    Ok(results)
}

async fn run_heat(
    arguments: &Arguments,
    setting: &Setting,
    heat: Heat,
    demand: &Demand,
    directory: &Path,
    cores: Cores,
) -> Result<HeatResult, Failure> {
    let left_out = |kind: Kind| {
        let name = kind.name().to_lowercase();
        arguments.without.iter().any(|word| name.contains(&word.to_lowercase()))
    };
    let entries: Vec<Entry> = heat.entries().into_iter().filter(|entry| !left_out(entry.kind)).collect();
    let mut stable = Stable { server_bin: &arguments.server_bin, directory, cores, servers: Vec::new() };
    for (place, entry) in entries.iter().enumerate() {
        if entries[..place].iter().all(|earlier| earlier.kind != entry.kind) && !stable.start(entry.kind).await? {
            println!("left out: {} is not installed", entry.kind.name());
        }
    }
    let runs = |entry: &Entry| stable.place(entry.kind).is_some();
    let mut outcomes: Vec<Outcome> =
        entries.into_iter().filter(runs).map(|entry| Outcome { entry, rounds: Vec::new() }).collect();
    let measured = Duration::from_millis(setting.milliseconds);
    for round in 0..setting.rounds {
        let count = outcomes.len();
        // Nobody is always first, or always after the same one's load.
        for turn in 0..count {
            let turn = if round % 2 == 0 { turn } else { count - 1 - turn };
            let outcome = &mut outcomes[(turn + round * count / setting.rounds) % count];
            let plan = Plan {
                per_step: outcome.entry.wire.per_step(),
                warm_up: measured / 3,
                measured,
                share_percent: setting.share_percent,
            };
            let figures = stable.turn(outcome.entry, demand, plan).await;
            outcome.rounds.push(figures.map_err(|failure| format!("{}: {failure}", outcome.entry))?);
        }
    }
    for (server, _) in &stable.servers {
        server.check_now().await?;
    }
    Ok(HeatResult { heat, outcomes })
}

/// A directory that goes with this value. Others may pass through it: PostgreSQL runs under an account of its own.
fn directory_in(parent: &Path) -> Result<TempDir, Failure> {
    let made = tempfile::tempdir_in(parent)?;
    fs::set_permissions(made.path(), fs::Permissions::from_mode(0o711))?;
    Ok(made)
}

/// The servers of a heat, each with its directory, which goes after it. All are stopped but the one whose turn it is.
struct Stable<'a> {
    server_bin: &'a Path,
    directory: &'a Path,
    cores: Cores,
    servers: Vec<(Server, TempDir)>,
}

impl Stable<'_> {
    fn place(&self, kind: Kind) -> Option<usize> {
        self.servers.iter().position(|(server, _)| server.kind == kind)
    }

    /// Starts a contender; false when it is not installed.
    async fn start(&mut self, kind: Kind) -> Result<bool, Failure> {
        let own = directory_in(self.directory)?;
        let server = match kind {
            Kind::Ours => Some(ours::start(self.server_bin, own.path(), self.cores).await?),
            Kind::BareEcho | Kind::DurableEcho => Some(floor::start(kind, own.path(), self.cores).await?),
            Kind::RedisAlways | Kind::RedisEverysec | Kind::RedisOff => {
                redis::start(kind, own.path(), self.cores).await?
            }
            Kind::Postgres => postgres::start(own.path(), self.cores).await?,
        };
        let Some(server) = server else { return Ok(false) };
        server.process.pause();
        self.servers.push((server, own));
        Ok(true)
    }

    /// One turn of an entry.
    async fn turn(&mut self, entry: Entry, demand: &Demand, plan: Plan) -> Result<Figures, Failure> {
        let gone = || format!("{} is not there", entry.kind.name());
        let place = self.place(entry.kind).ok_or_else(gone)?;
        if self.servers[place].0.is_worn() {
            let (worn, _directory) = self.servers.swap_remove(place);
            worn.check_now().await?;
            drop(worn);
            self.start(entry.kind).await?;
        }
        let place = self.place(entry.kind).ok_or_else(gone)?;
        let server = &mut self.servers[place].0;
        server.process.resume();
        let lanes = server.lanes(entry.wire).await?;
        let figures = drive::round(server, lanes, &demand.of(entry.scenario), plan).await;
        server.process.pause();
        figures
    }
}
