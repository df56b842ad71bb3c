//! Every target over its corpus, then over seeded mutations. `FUZZ_EXECUTIONS` (of each target) and `FUZZ_SEED` make it longer or other.

use std::time::Duration;

use quartermaster_fuzz::{
    campaign::{self, Plan},
    corpus, find, harness,
};

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Runs what is kept, then mutations: `share` of a hundred of them, since targets differ in what a run costs.
///
/// # Errors
/// What broke, and where the input is. Not a panic: tests run beside each other, and the harness takes any panic for one of its target.
fn hold(name: &str, share: u64) -> Result<(), String> {
    let target = find(name).expect("the target exists");
    for (file, input) in corpus::kept(target).expect("the corpus is read") {
        if let Err(broken) = harness::run(target, &input) {
            return Err(format!("corpus/{name}/{file} {broken}"));
        }
    }
    let seed = variable("FUZZ_SEED", 1_111);
    let executions = variable("FUZZ_EXECUTIONS", 200) * share / 100;
    println!("target {name}: FUZZ_SEED={seed}, {executions} executions");
    let plan = Plan { seed, executions: executions.max(10), time: Duration::from_secs(3_600) };
    let report = campaign::run(target, &plan).expect("the corpus is read");
    if let Some(failure) = report.failure {
        let folder = std::env::temp_dir().join("quartermaster-fuzz").join(name);
        let file = corpus::put(&folder, "found", &failure.input).expect("the input is written");
        let (number, broken) = (failure.number, failure.broken);
        return Err(format!("target {name}, FUZZ_SEED={seed}, input {number}: {broken}; it is {}", file.display()));
    }
    println!("target {name}: {} executions in {:.1?}, most {:?}", report.executions, report.took, report.most);
    Ok(())
}

macro_rules! targets {
    ($($name:ident: $share:literal,)+) => {
        $(
            #[test]
            fn $name() -> Result<(), String> {
                hold(stringify!($name), $share)
            }
        )+

        #[test]
        fn no_target_is_left_out() {
            let tested = [$(stringify!($name)),+];
            let all: Vec<&str> = quartermaster_fuzz::targets::ALL.iter().map(|target| target.name).collect();
            assert_eq!(tested[..], all[..]);
        }
    };
}

targets! {
    batches: 100,
    log: 100,
    snapshot: 100,
    records: 50,
    sections: 25,
    settings: 50,
    documents: 100,
    tables: 50,
    calls: 100,
    json: 100,
}
