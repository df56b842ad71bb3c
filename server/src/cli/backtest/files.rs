//! The CSV files and the page.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use csv::Writer;
use quartermaster_backtest::change::{Changed, Side};
use quartermaster_backtest::figures::DayFigures;
use quartermaster_engine::id::LocationId;
use quartermaster_sourcing::fulfilment::Moment;

use super::rows::{Figure, rows};
use super::{Report, Stop, html};
use crate::cli::show;

type Out = Writer<BufWriter<File>>;

/// The files of a run; changed orders are written as they come.
pub(super) struct Files {
    directory: PathBuf,
    orders: Out,
}

impl Files {
    /// Makes the directory and begins `orders.csv`.
    pub(super) fn create(directory: &Path) -> Result<Files, Stop> {
        fs::create_dir_all(directory).map_err(|source| Stop::Write { file: directory.to_owned(), source })?;
        let header = [
            "order_id",
            "reservation",
            "time",
            "difference",
            "before_places",
            "after_places",
            "before_parcels",
            "after_parcels",
            "before_units",
            "after_units",
            "before_cost",
            "after_cost",
            "dearer_by",
            "before_arrives",
            "after_arrives",
            "before_policy",
            "after_policy",
        ];
        Ok(Files { orders: begin(&directory.join(ORDERS), &header)?, directory: directory.to_owned() })
    }

    /// One order that changed.
    pub(super) fn order(&mut self, changed: &Changed) -> Result<(), Stop> {
        let (before, after) = (&changed.before, &changed.after);
        let record = [
            changed.order_id.to_string(),
            changed.reservation.to_string(),
            show::time(changed.at),
            changed.difference.name().to_owned(),
            places(before),
            places(after),
            before.parcels.to_string(),
            after.parcels.to_string(),
            before.units.to_string(),
            after.units.to_string(),
            before.cost.to_string(),
            after.cost.to_string(),
            changed.dearer_by().to_string(),
            arrives(before),
            arrives(after),
            before.policy.to_string(),
            after.policy.to_string(),
        ];
        self.orders.write_record(&record).map_err(failed(&self.directory.join(ORDERS)))
    }

    /// Everything else.
    pub(super) fn finish(mut self, report: &Report) -> Result<(), Stop> {
        let orders = self.directory.join(ORDERS);
        self.orders.flush().map_err(|source| Stop::Write { file: orders, source })?;
        self.figures(report)?;
        self.days(report)?;
        self.locations(report)?;
        self.unfillable(report)?;
        let file = self.directory.join("report.html");
        fs::write(&file, html::page(report)).map_err(|source| Stop::Write { file, source })
    }

    fn figures(&self, report: &Report) -> Result<(), Stop> {
        let plain = |figure: Option<Figure>| figure.map_or_else(String::new, Figure::plain);
        let rows = rows(&report.outcome.before, &report.outcome.after).into_iter();
        self.write(
            "figures.csv",
            &["figure", "before", "after"],
            rows.map(|row| vec![row.key.clone(), plain(row.before), plain(row.after)]),
        )
    }

    fn days(&self, report: &Report) -> Result<(), Stop> {
        let (before, after) = (&report.outcome.before.days, &report.outcome.after.days);
        let figures = |day: Option<&DayFigures>| {
            let day = day.copied().unwrap_or_default();
            let counts = [day.served, day.split, day.parcels, day.units, day.unfilled, day.late];
            counts
                .map(|count| count.to_string())
                .into_iter()
                .chain([day.cost.to_string(), day.paid.to_string()])
                .collect::<Vec<_>>()
        };
        let rows = before.iter().map(|(day, own)| {
            let mut row = vec![day.to_string(), own.orders.to_string()];
            row.extend(figures(Some(own)));
            row.extend(figures(after.get(day)));
            row
        });
        let header = [
            "day",
            "orders",
            "before_served",
            "before_split",
            "before_parcels",
            "before_units",
            "before_unfilled",
            "before_late",
            "before_cost",
            "before_paid",
            "after_served",
            "after_split",
            "after_parcels",
            "after_units",
            "after_unfilled",
            "after_late",
            "after_cost",
            "after_paid",
        ];
        self.write("days.csv", &header, rows)
    }

    fn locations(&self, report: &Report) -> Result<(), Stop> {
        let header = [
            "location",
            "before_orders",
            "before_parcels",
            "before_units",
            "before_cost",
            "before_peak_day",
            "before_peak_parcels",
            "after_orders",
            "after_parcels",
            "after_units",
            "after_cost",
            "after_peak_day",
            "after_peak_parcels",
        ];
        let outcome = &report.outcome;
        let side = |figures: &quartermaster_backtest::figures::Figures, location: LocationId| {
            let load = figures.locations.get(&location).copied().unwrap_or_default();
            let peak = figures.peak(location);
            let day = peak.map_or_else(String::new, |peak| peak.day.to_string());
            let parcels = peak.map_or_else(String::new, |peak| peak.parcels.to_string());
            let counts = [load.orders, load.parcels, load.units].map(|count| count.to_string());
            counts.into_iter().chain([load.cost.to_string(), day, parcels]).collect::<Vec<_>>()
        };
        let rows = outcome.locations.iter().map(|(location, code)| {
            let mut row = vec![code.clone()];
            row.extend(side(&outcome.before, *location));
            row.extend(side(&outcome.after, *location));
            row
        });
        self.write("locations.csv", &header, rows)
    }

    fn unfillable(&self, report: &Report) -> Result<(), Stop> {
        let header = ["order_id", "reservation", "time", "sku", "removed_by"];
        let rows = report.outcome.unfillable.first.iter().map(|one| {
            let reasons = one.removed_by.iter().map(|(name, places)| format!("{name}={places}"));
            let reasons = reasons.collect::<Vec<_>>().join(" ");
            vec![one.order_id.to_string(), one.reservation.to_string(), show::time(one.at), one.sku.clone(), reasons]
        });
        self.write("unfillable.csv", &header, rows)
    }

    fn write(&self, name: &str, header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<(), Stop> {
        let file = self.directory.join(name);
        let mut out = begin(&file, header)?;
        for row in rows {
            out.write_record(&row).map_err(failed(&file))?;
        }
        out.flush().map_err(|source| Stop::Write { file, source })
    }
}

const ORDERS: &str = "orders.csv";

fn begin(file: &Path, header: &[&str]) -> Result<Out, Stop> {
    let created = File::create(file).map_err(|source| Stop::Write { file: file.to_owned(), source })?;
    let mut out = Writer::from_writer(BufWriter::new(created));
    out.write_record(header).map_err(failed(file))?;
    Ok(out)
}

fn failed(file: &Path) -> impl FnOnce(csv::Error) -> Stop {
    let file = file.to_owned();
    move |error| Stop::Write { file, source: io::Error::other(error) }
}

/// As in `DC=2 ST-1=1`.
pub(super) fn places(side: &Side) -> String {
    side.places.iter().map(|(place, units)| format!("{place}={units}")).collect::<Vec<_>>().join(" ")
}

fn arrives(side: &Side) -> String {
    side.arrives_at.map_or_else(String::new, moment)
}

/// RFC 3339 in UTC, to the second.
fn moment(at: Moment) -> String {
    let micros = u64::try_from(at.0).unwrap_or(0).saturating_mul(1_000_000);
    show::time(quartermaster_engine::time::Timestamp(micros))
}
