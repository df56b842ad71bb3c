//! Everything that is to be sent, read and checked.

use quartermaster_proto::v1::{Channel, Location, Region, Sku};

use super::codes::Codes;
use super::digest::Digest;
use super::problem::{Problems, Wrong};
use super::progress::Progress;
use super::stock::StockRow;
use super::{ImportArgs, Stop, channels, locations, regions, skus, stock};

/// What the files say.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) skus: Vec<Sku>,
    pub(super) locations: Vec<Location>,
    pub(super) channels: Vec<Channel>,
    pub(super) stock: Vec<StockRow>,
    pub(super) sku_codes: Codes,
    pub(super) location_codes: Codes,
    pub(super) regions: Vec<Region>,
    pub(super) region_codes: Codes,
}

impl Plan {
    /// Reads every file that was given; what is wrong with them goes to `problems`.
    pub(super) fn read(
        args: &ImportArgs,
        digest: &mut Digest,
        problems: &mut Problems,
        progress: &Progress,
    ) -> Result<Plan, Stop> {
        let mut plan = Plan::default();
        if let Some(path) = &args.regions {
            progress.step(&format!("reading {}", path.display()));
            let read = regions::read(path, digest, &mut plan.region_codes, problems);
            let (rows, ignored) = read.map_err(|error| Stop::File(path.clone(), error))?;
            progress.ignored(path, &ignored);
            plan.regions = rows;
        }
        if let Some(path) = &args.locations {
            progress.step(&format!("reading {}", path.display()));
            let read = locations::read(path, digest, &mut plan.location_codes, problems);
            let (rows, ignored) = read.map_err(|error| Stop::File(path.clone(), error))?;
            progress.ignored(path, &ignored);
            plan.locations = rows;
        }
        if let Some(path) = &args.channels {
            progress.step(&format!("reading {}", path.display()));
            let read = channels::read(path, digest, problems);
            let (rows, ignored) = read.map_err(|error| Stop::File(path.clone(), error))?;
            progress.ignored(path, &ignored);
            plan.channels = rows;
        }
        if let Some(path) = &args.skus {
            progress.step(&format!("reading {}", path.display()));
            let read = skus::read(path, digest, &mut plan.sku_codes, problems);
            plan.skus = read.map_err(|error| Stop::File(path.clone(), error))?;
        }
        if let Some(path) = &args.stock {
            progress.step(&format!("reading {}", path.display()));
            let codes = (&mut plan.sku_codes, &mut plan.location_codes);
            let read = stock::read(path, digest, codes, problems);
            let (rows, ignored) = read.map_err(|error| Stop::File(path.clone(), error))?;
            progress.ignored(path, &ignored);
            plan.stock = rows;
        }
        Ok(plan)
    }

    /// Whether a file names what no file makes, so that the server must be asked.
    pub(super) fn refers_elsewhere(&self) -> bool {
        let codes = [&self.sku_codes, &self.location_codes, &self.region_codes];
        codes.iter().any(|codes| codes.unknown().next().is_some())
    }

    /// Notes what neither the files nor the server have.
    pub(super) fn note_unknown(&self, problems: &mut Problems) {
        let all = [("SKUs", &self.sku_codes), ("locations", &self.location_codes), ("regions", &self.region_codes)];
        for (what, codes) in all {
            for (code, mention) in codes.unknown() {
                let wrong = Wrong::Unknown { what, text: code.to_owned() };
                problems.add(&mention.file, mention.row, &mention.column, wrong);
            }
        }
    }
}
