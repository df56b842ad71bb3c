//! `loadtest run`: a stall is charged to everyone it keeps waiting; all modes decide the same reservations.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use quartermaster_loadtest::latency::Recorder;
use quartermaster_loadtest::pace::{Pacer, Rate};
use quartermaster_loadtest::run::{RunArgs, run};
use quartermaster_proto::v1::{Cell, Location, Sku};
use tokio::time::Instant;

use super::support::{Fake, Faults};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    run: RunArgs,
}

fn args(fake: &Fake, line: &str) -> RunArgs {
    let words = ["loadtest", "--target", &fake.target].into_iter().chain(line.split_whitespace());
    Cli::try_parse_from(words).unwrap().run
}

async fn stocked(skus: usize, units: i64) -> Fake {
    let fake = Fake::start().await;
    let mut book = fake.book();
    book.locations.push(Location { code: "L".to_owned(), ..Location::default() });
    for number in 0..skus {
        let sku = format!("SKU-{number}");
        book.skus.push(Sku { code: sku.clone(), ..Sku::default() });
        let cell = Cell { sku: sku.clone(), location: "L".to_owned(), on_hand: units, ..Cell::default() };
        book.cells.insert((sku, "L".to_owned()), cell);
    }
    drop(book);
    fake
}

/// One worker, a request a millisecond, half a millisecond each but for one that takes 300 ms: the 300 requests that should have
/// started meanwhile are late, and say so. Timed from the actual start only one would be.
#[tokio::test(start_paused = true)]
async fn requests_intended_during_a_stall_count_it() {
    let start = Instant::now();
    let pacer = Arc::new(Pacer::new(Rate::PerSecond(1_000), start, Duration::from_secs(1), u64::MAX));
    let releasing = Arc::clone(&pacer);
    tokio::spawn(async move {
        while let Some(next) = releasing.release_due(Instant::now()) {
            tokio::time::sleep_until(next).await;
        }
    });
    let (recorder, mut late) = (Recorder::default(), 0);
    while let Some(slot) = pacer.next().await {
        let service = if slot.index == 100 { Duration::from_millis(300) } else { Duration::from_micros(500) };
        tokio::time::sleep(service).await;
        recorder.record(slot.intended.elapsed());
        late += u32::from(slot.intended.elapsed() >= Duration::from_millis(100));
    }
    let summary = recorder.summary();
    assert_eq!(summary.count, 1_000);
    assert!(late > 200, "only {late} requests were late");
    assert!(summary.p99_micros >= 250_000, "{summary:?}");
}

#[tokio::test]
async fn a_stalled_server_shows_in_the_tail() {
    let fake = stocked(10, 1_000_000).await;
    fake.set_faults(Faults { stall: Some((100, Duration::from_millis(400))), ..Faults::default() });
    let report = run(&args(&fake, "--rate 500 --duration 1 --in-flight 2 --connections 1")).await.unwrap();
    let reserve = report.latency["Reserve"];
    assert_eq!(reserve.count, 500);
    assert_eq!(report.tally.holds, 500);
    // Two of 500 waited in the server, 0.4 %: only the intended start can put the stall into the 99th percentile.
    assert!(reserve.p99_micros >= 250_000, "{reserve:?}");
}

#[tokio::test]
async fn all_modes_decide_the_same() {
    for mode in ["unary", "stream", "batch"] {
        let fake = stocked(1, 40).await;
        let line = format!("--mode {mode} --rate max --count 100 --duration 60 --in-flight 4 --batch-size 7");
        let report = run(&args(&fake, &line)).await.unwrap();
        assert_eq!((report.tally.holds, report.tally.sold_out), (40, 60), "{mode}");
        assert_eq!(report.tally.errors_total(), 0, "{mode}: {:?}", report.tally);
        assert_eq!(fake.book().reservations.len(), 40, "{mode}");
    }
}

#[tokio::test]
async fn lost_answers_are_asked_for_again_and_change_nothing_twice() {
    let fake = stocked(5, 1_000).await;
    fake.set_faults(Faults { lose_every: Some(3), ..Faults::default() });
    let line = "--rate max --count 60 --duration 60 --confirm-ratio 1 --ship-ratio 1";
    let report = run(&args(&fake, line)).await.unwrap();
    assert_eq!((report.tally.holds, report.tally.confirmed, report.tally.shipped), (60, 60, 60));
    assert!(report.tally.retries > 0 && report.tally.retries == report.tally.replayed, "{:?}", report.tally);
    assert_eq!(fake.book().reservations.len(), 60);
    assert_eq!(fake.book().cells.values().map(|cell| cell.on_hand).sum::<i64>(), 5_000 - 60);
}

#[tokio::test]
async fn errors_are_counted_by_code_and_reason() {
    let fake = stocked(1, 10).await;
    let report = run(&args(&fake, "--rate max --count 7 --duration 60 --sku NO-SUCH")).await.unwrap();
    assert_eq!(report.tally.errors, [("NOT_FOUND UNKNOWN_SKU".to_owned(), 7)].into());
    assert!(report.to_json().contains("NOT_FOUND UNKNOWN_SKU"));
    assert!(report.to_string().contains("NOT_FOUND UNKNOWN_SKU"));
}
