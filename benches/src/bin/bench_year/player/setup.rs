//! What stands before the first order: places, goods, channels, stock, rules, allotments.

use quartermaster_benches::files::Fault;
use quartermaster_engine::{
    campaign::Deduction,
    catalog::{ChannelSpec, GoodsSpec, LocationKind, LocationSpec, SkuSpec},
    command::{
        CatalogueCommand, CellCode, Command, ImportRow, ImportStock, StockCommand,
        allotment::{AllotmentCommand, Amount, Goods, NodeCode, SetAllotments, SetRow},
        rules::RulesCommand,
    },
    quantity::Quantity,
};
use quartermaster_sourcing::rules::RuleSet;

use super::{Player, units};
use crate::world::Kind;

/// SKUs or cells in one command.
const CHUNK: usize = 1_000;

/// Stores keep two of each size for those who walk in.
const RULES: &str = r#"{"rules":[{"name":"stores keep two","scope":{"kinds":["store"]},"keep":{"units":2}}]}"#;

/// The set of the best two SKUs.
pub(super) const KIT: &str = "KIT-OF-TWO";

impl Player<'_> {
    pub(super) fn set_up(&mut self) -> Result<(), Fault> {
        let world = self.world;
        let locations = world.sites.iter().map(|site| LocationSpec {
            code: site.code.clone(),
            kind: match site.kind {
                Kind::Dc => LocationKind::DistributionCentre,
                Kind::Rdc => LocationKind::ForwardWarehouse,
                Kind::Store => LocationKind::Store,
            },
            priority: match site.kind {
                Kind::Dc => 0,
                Kind::Rdc => 1,
                Kind::Store => 2,
            },
            ..LocationSpec::default()
        });
        self.catalogue(CatalogueCommand::UpsertLocations(locations.collect()))?;
        let [small, large] = world.channels;
        let channel = |code: &str, parent: &str, deduction| ChannelSpec {
            code: code.to_owned(),
            name: code.to_owned(),
            active: true,
            parent: parent.to_owned(),
            deduction,
            ..ChannelSpec::default()
        };
        self.catalogue(CatalogueCommand::UpsertChannels(vec![
            channel("all", "", Deduction::Hold),
            channel(small, "all", Deduction::Hold),
            channel(large, "all", Deduction::OnOrder),
        ]))?;
        let skus: Vec<SkuSpec> = world
            .goods
            .iter()
            .map(|article| SkuSpec {
                code: article.code.clone(),
                style: article.style.clone(),
                colour: article.colour.clone(),
                size: article.size.clone(),
                sellable: true,
                goods: GoodsSpec { category: article.category.clone(), ..GoodsSpec::default() },
                ..SkuSpec::default()
            })
            .collect();
        for part in skus.chunks(CHUNK) {
            self.catalogue(CatalogueCommand::UpsertSkus(part.to_vec()))?;
        }
        self.kit()?;
        if !self.desk.ledger.codes.skus.is_empty() {
            let set = Box::new(RuleSet::read(RULES)?);
            let command = RulesCommand::Put { set, expected_version: None };
            self.desk.must(&Command::Rules(command))?;
        }
        for part in world.opening.chunks(CHUNK) {
            let row = |(place, good, on_hand): &(usize, usize, u32)| ImportRow {
                cell: CellCode { sku: self.code(*good), location: self.site(*place) },
                on_hand: units(*on_hand),
                safety: Quantity::ZERO,
                quality_control: Quantity::ZERO,
                damaged: Quantity::ZERO,
                in_repair: Quantity::ZERO,
                incoming: Quantity::ZERO,
            };
            let import = ImportStock { rows: part.iter().map(row).collect(), reference: "opening".to_owned() };
            self.desk.must(&Command::Stock(StockCommand::Import(import)))?;
        }
        self.desk.tick()?;
        self.allot()
    }

    fn catalogue(&mut self, command: CatalogueCommand) -> Result<(), Fault> {
        self.desk.must(&Command::Catalogue(command)).map(|_| ())
    }

    /// The two SKUs that are asked for most, together.
    fn kit(&mut self) -> Result<(), Fault> {
        let best = self.world.best_sellers(self.world.start(), self.world.end());
        let components: Vec<(String, u32)> = best.iter().take(2).map(|(good, _)| (self.code(*good), 1)).collect();
        if components.len() < 2 {
            return Ok(());
        }
        let spec = SkuSpec { code: KIT.to_owned(), sellable: true, components, ..SkuSpec::default() };
        self.catalogue(CatalogueCommand::UpsertSkus(vec![spec]))
    }

    /// Of the best sellers the trade has a fifth of what is there, and takes from the rest when that is used up; the web has a ceiling.
    pub(super) fn allot(&mut self) -> Result<(), Fault> {
        let [small, large] = self.world.channels;
        let node = |channel: &str| NodeCode { channel: channel.to_owned(), campaign: String::new() };
        let best = self.world.goods.iter().filter(|article| article.best);
        let rows: Vec<SetRow> = best
            .flat_map(|article| {
                let goods = Goods::Sku(article.code.clone());
                let ceiling = u32::try_from(article.asked.div_ceil(2).max(20)).unwrap_or(u32::MAX);
                let quota = Some(Amount::MilliPercent(20_000));
                [
                    SetRow { goods: goods.clone(), node: node(large), quota, ceiling: None, spill_over: true },
                    SetRow { goods, node: node(small), quota: None, ceiling: Some(units(ceiling)), spill_over: true },
                ]
            })
            .collect();
        for part in rows.chunks(200) {
            let command = AllotmentCommand::Set(SetAllotments { rows: part.to_vec(), clip: true });
            if self.desk.must(&Command::Allotment(command))?.is_some() {
                self.desk.tally.add("allotment: rows set", u64::try_from(part.len()).unwrap_or(u64::MAX));
            }
        }
        Ok(())
    }
}
