//! Where a path's instructions go, step by step, and with them its time.
//!
//! callgrind tells the source file of every instruction, of code that was inlined, too. What stands in a file of ours belongs to that file's
//! step, what of the libraries was inlined or called there (tables, allocator, copies) to the step it was done for. Time is measured without
//! valgrind, and shared out by the cycles that callgrind's model of the caches makes of each step: an instruction is 1, a miss of the first
//! level 10, one of the last 100.

use std::collections::BTreeMap;
use std::time::Instant;

use quartermaster_benches::callgrind::{self, Fault};
use quartermaster_benches::figures::Report;
use quartermaster_benches::measure::{grouped, median};
use quartermaster_benches::paths::Path;

use crate::TIMES;

/// Rounds of the time.
const ROUNDS: usize = 9;

/// Steps by what is in a file's path; the first that fits counts.
const STEPS: [(&str, &str); 15] = [
    ("engine/src/fingerprint", "fingerprint of the content"),
    ("engine/src/dedup", "request id: look up, remember"),
    ("engine/src/catalog", "codes to ids"),
    ("engine/src/decide/directory", "codes to ids"),
    ("engine/src/decide/selection", "codes to ids"),
    ("engine/src/decide", "decide"),
    ("engine/src/codec", "encode the record"),
    ("proto/src", "encode the record"),
    ("engine/journal/src", "append"),
    ("engine/src/owners", "index of buyers"),
    ("engine/src/apply", "apply"),
    ("engine/src/stock", "apply: cells and rows"),
    ("engine/src/reservation", "apply: the reservation"),
    ("engine/src/shard", "shards: locks, parts, expiries"),
    ("engine/src", "submit: the order of it all"),
];

/// What a step costs.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    instructions: u64,
    /// Misses of the first and of the last level.
    misses: u64,
    last_misses: u64,
}

impl Cost {
    fn cycles(self) -> u64 {
        self.instructions + 10 * self.misses + 100 * self.last_misses
    }

    /// A part of it, as `part` is of `whole`.
    fn share(self, part: u64, whole: u64) -> Cost {
        let of = |count: u64| {
            let share = u128::from(count) * u128::from(part) / u128::from(whole.max(1));
            u64::try_from(share).unwrap_or(u64::MAX)
        };
        Cost { instructions: of(self.instructions), misses: of(self.misses), last_misses: of(self.last_misses) }
    }

    fn add(&mut self, other: Cost) {
        self.instructions += other.instructions;
        self.misses += other.misses;
        self.last_misses += other.last_misses;
    }
}

/// Prints the budget of a path.
pub(crate) fn print(path: &Path, report: &mut Report) -> Result<(), Fault> {
    let flags = ["--cache-sim=yes", "--compress-strings=no", "--compress-pos=no"];
    let laps = callgrind::run(&["--go", path.name], &flags)?;
    let (times, dump) = laps.first().ok_or_else(|| Fault::Failed(format!("{} was not gone", path.name)))?;
    let steps = steps(dump);
    let nanos = nanos(path);
    let mut all = Cost::default();
    steps.values().for_each(|cost| all.add(*cost));
    println!("{}: {} ns, mean of a time, median of {ROUNDS} rounds", path.name, grouped(nanos));
    println!("{:<36}{:>14}{:>10}{:>12}{:>8}", "", "instructions", "misses", "of the last", "ns");
    let mut ordered: Vec<(&str, Cost)> = steps.into_iter().collect();
    ordered.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.cycles()));
    for (step, cost) in ordered.into_iter().chain([("all", all)]) {
        let nanos = nanos * cost.cycles() / all.cycles().max(1);
        let hundredths = |count: u64| format!("{}.{:02}", count / times, count % times * 100 / times);
        println!(
            "{step:<36}{:>14}{:>10}{:>12}{nanos:>8}",
            grouped(cost.instructions / times),
            hundredths(cost.misses),
            hundredths(cost.last_misses)
        );
        report.count(format!("{}: {step}, ns", path.name), nanos);
    }
    Ok(())
}

/// Nanoseconds of a time, without valgrind.
fn nanos(path: &Path) -> u64 {
    let round = |_| {
        let mut prepared = (path.prepare)(TIMES);
        let start = Instant::now();
        (prepared.run)();
        let each = start.elapsed().as_nanos() / u128::try_from(prepared.times).unwrap_or(1);
        u64::try_from(each).unwrap_or(u64::MAX)
    };
    median(&mut (0..ROUNDS).map(round).collect::<Vec<_>>())
}

/// The step of a file of ours; none for a library's.
fn step(file: &str) -> Option<&'static str> {
    STEPS.iter().find(|(part, _)| file.contains(part)).map(|(_, step)| *step)
}

/// A function as a dump has it: its lines with the step of the file that each is of, none for a library's, and its calls.
#[derive(Debug, Default)]
struct Function {
    lines: Vec<(Option<&'static str>, Cost)>,
    calls: Vec<(Option<&'static str>, String, Cost)>,
}

/// The functions of a dump by name.
fn functions(dump: &str) -> BTreeMap<String, Function> {
    let mut functions: BTreeMap<String, Function> = BTreeMap::new();
    let (mut events, mut name, mut callee) = (Vec::new(), String::new(), None);
    // The step of the lines now read, and whether they are of a call.
    let (mut place, mut is_call, mut home) = (None, false, "");
    for text in dump.lines() {
        match text.split_once('=').unwrap_or(("", text)) {
            ("fl", file) => (place, home) = (step(file), file),
            // Back in the function's own file.
            ("fi" | "fe", file) if file == home => place = step(file),
            // A library's code that was inlined is done for the code of ours before it.
            ("fi" | "fe", file) => place = step(file).or(place),
            ("fn", function) => name = function.to_owned(),
            ("cfn", function) => callee = Some(function.to_owned()),
            ("calls", _) => is_call = true,
            _ if text.starts_with("events:") => events = text.split_whitespace().skip(1).collect(),
            _ if text.starts_with(|first: char| first.is_ascii_digit()) => {
                let function = functions.entry(name.clone()).or_default();
                let cost = cost(&events, text);
                match callee.take() {
                    Some(callee) if is_call => function.calls.push((place, callee, cost)),
                    _ => function.lines.push((place, cost)),
                }
                is_call = false;
            }
            _ => {}
        }
    }
    functions
}

/// The cost of each step of a dump.
fn steps(dump: &str) -> BTreeMap<&'static str, Cost> {
    let functions = functions(dump);
    let mut known = BTreeMap::new();
    let mut costs: BTreeMap<&'static str, Cost> = BTreeMap::new();
    for function in functions.values() {
        for (place, cost) in &function.lines {
            place.iter().for_each(|step| costs.entry(step).or_default().add(*cost));
        }
        for (place, callee, cost) in &function.calls {
            let (part, whole) = of_libraries(&functions, callee, &mut known);
            place.iter().for_each(|step| costs.entry(step).or_default().add(cost.share(part, whole)));
        }
    }
    costs
}

/// Instructions that a call of `function` spends in libraries for its caller, out of how many: what code of ours spends within, called
/// back or inlined, counts where it stands. `known` has what was found before.
fn of_libraries<'a>(
    functions: &'a BTreeMap<String, Function>,
    name: &'a str,
    known: &mut BTreeMap<&'a str, (u64, u64)>,
) -> (u64, u64) {
    if let Some(found) = known.get(name) {
        return *found;
    }
    // Whoever comes here again by recursion finds nothing more.
    known.insert(name, (0, 1));
    let Some(function) = functions.get(name) else { return (0, 1) };
    let (mut part, mut whole) = (0, 0);
    for (place, cost) in &function.lines {
        whole += cost.instructions;
        part += if place.is_none() { cost.instructions } else { 0 };
    }
    for (place, callee, cost) in &function.calls {
        whole += cost.instructions;
        if place.is_none() {
            let (inner, outer) = of_libraries(functions, callee, known);
            part += cost.share(inner, outer).instructions;
        }
    }
    known.insert(name, (part, whole.max(1)));
    (part, whole.max(1))
}

/// The costs of one line: its number, then a figure an event, zeros at the end left out.
fn cost(events: &[&str], text: &str) -> Cost {
    let mut cost = Cost::default();
    let figures = text.split_whitespace().skip(1).map(|figure| figure.parse::<u64>().unwrap_or(0));
    for (event, figure) in events.iter().zip(figures) {
        match *event {
            "Ir" => cost.instructions += figure,
            "I1mr" | "D1mr" | "D1mw" => cost.misses += figure,
            "ILmr" | "DLmr" | "DLmw" => cost.last_misses += figure,
            _ => {}
        }
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inlined_code_counts_where_it_stands_and_libraries_where_they_are_called() {
        let dump = "events: Ir Dr D1mr DLmr\n\
            fl=/a/engine/src/engine.rs\nfn=submit\n10 5\nfi=/a/engine/src/dedup.rs\n20 7 1 1\nfi=/rust/library/core/hash.rs\n30 3\n\
            fe=/a/engine/src/engine.rs\ncfi=/c/malloc.c\ncfn=malloc\ncalls=1 1\n11 100 9 2 1\n\
            cfi=/rust/thread/local.rs\ncfn=with\ncalls=1 1\n12 1220\n\n\
            fl=/rust/thread/local.rs\nfn=with\n60 20\nfi=/a/engine/src/codec.rs\n61 200\nfe=/rust/thread/local.rs\n\
            cfi=/a/engine/src/apply.rs\ncfn=apply\ncalls=1 1\n62 1000\n\n\
            fl=/a/engine/src/apply.rs\nfn=apply\n40 1000\n\nfl=/c/malloc.c\nfn=malloc\n50 100 9 2 1\n";
        let steps = steps(dump);
        let instructions = |step: &str| steps.get(step).map(|cost| cost.instructions);
        assert_eq!(instructions("submit: the order of it all"), Some(125));
        assert_eq!(instructions("encode the record"), Some(200));
        assert_eq!(instructions("request id: look up, remember"), Some(10));
        assert_eq!(instructions("apply"), Some(1_000));
        assert_eq!(steps.len(), 4);
        let submit = steps["submit: the order of it all"];
        assert_eq!((submit.misses, submit.last_misses), (2, 1));
    }
}
