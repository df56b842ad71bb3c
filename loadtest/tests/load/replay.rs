//! `loadtest replay` on a small set that is made here: it reconciles, twice, after an interruption, and finds a planted difference.

use std::fmt::Write;
use std::fs;

use clap::Parser;
use quartermaster_loadtest::random::SplitMix64;
use quartermaster_loadtest::replay::{ReplayArgs, ReplayError, ReplayReport, replay};
use quartermaster_proto::v1::Cell;
use tempfile::TempDir;

use super::support::{Fake, Faults};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    replay: ReplayArgs,
}

const SKUS: u64 = 20;

/// Ten days at three locations: scarce stock, repeated SKUs, losses of more than there is, matched and unmatched returns.
fn made_set() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut random = SplitMix64::new(11);
    let mut stock = "location_id,sku,on_hand\n".to_owned();
    let mut receipts = "ts,location_id,sku,qty\n".to_owned();
    let mut adjustments = "ts,sku,delta,reason\n".to_owned();
    let mut orders =
        "order_id,ts,line_no,sku,qty,unit_price,customer_id,is_return,ref_order_id,ref_line_no\n".to_owned();
    for sku in 0..SKUS {
        for place in ["DC-1", "ST-1"] {
            writeln!(stock, "{place},S{sku},{}", random.below(30)).unwrap();
        }
    }
    let mut sales = Vec::new();
    for day in 1..=10 {
        if day % 3 == 0 {
            for sku in 0..SKUS {
                writeln!(receipts, "2011-01-{day:02}T06:00:00,DC-2,S{sku},{}", 1 + random.below(40)).unwrap();
            }
        }
        for delta in [-3, 2, -80] {
            writeln!(adjustments, "2011-01-{day:02}T07:00:00,S{},{delta},lost", random.below(SKUS)).unwrap();
        }
        for order in 0..25 {
            let (id, time) = (format!("{day}-{order}"), format!("2011-01-{day:02}T{:02}:00:00", 8 + order / 3));
            for line in 1..=1 + random.below(6) {
                let (sku, units) = (random.below(SKUS), 1 + random.below(9));
                writeln!(orders, "{id},{time},{line},S{sku},{units},1.00,c{order},0,,").unwrap();
                sales.push((id.clone(), line, sku, units));
            }
            if order % 6 == 5 {
                let (sale, line, sku, units) = &sales[random.index(sales.len())];
                let reference = if random.chance(0.3) { ",".to_owned() } else { format!("{sale},{line}") };
                writeln!(orders, "C{id},{time},1,S{sku},{units},1.00,c{order},1,{reference}").unwrap();
            }
        }
    }
    let locations = "location_id,kind\nDC-1,dc\nDC-2,dc\nST-1,store\n".to_owned();
    let files = [
        ("locations.csv", locations),
        ("stock.csv", stock),
        ("receipts.csv", receipts),
        ("stock-adjustments.csv", adjustments),
        ("retail-orders.csv", orders),
    ];
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

async fn play(fake: &Fake, data: &TempDir, more: &str) -> Result<ReplayReport, ReplayError> {
    let path = data.path().to_str().unwrap();
    let words = ["loadtest", "--target", &fake.target, "--data", path, "--released", "10", "--cancelled", "20"];
    let words = words.into_iter().chain(["--abandoned", "5"]).chain(more.split_whitespace());
    replay(&Cli::try_parse_from(words).unwrap().replay, std::future::pending()).await
}

#[tokio::test]
async fn a_replay_reconciles_and_so_does_its_repetition() {
    let (fake, data) = (Fake::start().await, made_set());
    let report = play(&fake, &data, "--concurrency 8").await.unwrap();
    assert!(report.proof.holds(), "{report}");
    let totals = report.totals;
    assert_eq!(totals.orders, 250);
    assert!(totals.unfilled > 0 && totals.clipped > 0 && totals.cancelled > 0 && totals.released > 0, "{totals:?}");
    assert!(totals.expired > 0 && totals.returned > 0 && totals.returned_unshipped > 0, "{totals:?}");
    assert!(totals.orders_split > 0 && totals.orders_whole > 0 && totals.orders_served < 250, "{totals:?}");
    let again = play(&fake, &data, "--concurrency 1").await.unwrap();
    assert!(again.again && again.proof.holds(), "{again}");
}

#[tokio::test]
async fn lost_answers_do_not_disturb_it() {
    let (fake, data) = (Fake::start().await, made_set());
    fake.set_faults(Faults { lose_every: Some(5), ..Faults::default() });
    let report = play(&fake, &data, "--days 6").await.unwrap();
    assert!(report.proof.holds(), "{report}");
    assert_eq!(report.totals.orders, 150);
    assert!(fake.book().replayed > 50);
}

#[tokio::test]
async fn an_interrupted_replay_goes_on_under_its_name() {
    let (fake, data) = (Fake::start().await, made_set());
    let words = ["loadtest", "--target", &fake.target, "--data", data.path().to_str().unwrap()];
    let args = Cli::try_parse_from(words).unwrap().replay;
    // Interrupted when the server has decided fifty orders.
    let seen = fake.clone();
    let interrupted = std::future::poll_fn(move |context| {
        context.waker().wake_by_ref();
        if seen.book().reservations.len() < 50 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    });
    let stopped = replay(&args, interrupted).await.unwrap_err();
    assert!(matches!(stopped, ReplayError::Interrupted { .. }), "{stopped}");
    let report = replay(&args, std::future::pending()).await.unwrap();
    assert!(report.again && report.proof.holds(), "{report}");
    assert_eq!(report.totals.orders, 250);
}

#[tokio::test]
async fn a_planted_difference_is_found() {
    let (fake, data) = (Fake::start().await, made_set());
    let cell = Cell { sku: "S3".to_owned(), location: "ST-1".to_owned(), on_hand: 5, ..Cell::default() };
    let played = play(&fake, &data, "--limit-orders 40").await.unwrap();
    assert!(played.proof.holds(), "{played}");
    assert_eq!(played.totals.orders, 40);
    let key = (cell.sku.clone(), cell.location.clone());
    fake.book().cells.entry(key).or_insert(cell).on_hand += 1;
    let report = play(&fake, &data, "--limit-orders 40").await.unwrap();
    let broken: Vec<_> = report.proof.checks.iter().filter(|check| check.failures_total > 0).collect();
    assert_eq!(broken.len(), 2, "{report}");
    assert!(broken[0].failures[0].starts_with("S3 at ST-1: the server has"), "{report}");
}

#[tokio::test]
async fn missing_data_is_said() {
    let fake = Fake::start().await;
    let data = tempfile::tempdir().unwrap();
    let error = play(&fake, &data, "").await.unwrap_err();
    assert!(matches!(error, ReplayError::Input(_)), "{error}");
    assert!(error.to_string().contains("locations.csv is missing"), "{error}");
    let gone = data.path().to_owned();
    data.close().unwrap();
    let words = ["loadtest", "--data", gone.to_str().unwrap()];
    let error = replay(&Cli::try_parse_from(words).unwrap().replay, std::future::pending()).await.unwrap_err();
    assert!(matches!(error, ReplayError::NoData(_)), "{error}");
}
