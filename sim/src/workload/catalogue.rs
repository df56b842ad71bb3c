//! What there is to speak of: the universe at the start, and its changes.

use quartermaster_engine::{
    campaign::Deduction,
    catalog::{ChannelSpec, GoodsSpec, LocationSpec, LocationState, SkuSpec},
    command::{CatalogueCommand, CellCode, Command, ImportRow, ImportStock, StockCommand},
    quantity::Quantity,
};

use super::{CHANNELS, Dice, KIT, Kind, LOCATIONS, SKUS, STYLE};

fn sku(code: &str) -> SkuSpec {
    let style = if ["S", "M"].contains(&code) { STYLE.into() } else { String::new() };
    let components = if code == KIT { vec![("A".into(), 1), ("S".into(), 2)] } else { Vec::new() };
    let goods =
        GoodsSpec { category: if code == "A" { "outer".into() } else { String::new() }, ..GoodsSpec::default() };
    SkuSpec { code: code.into(), style, sellable: true, components, goods, ..SkuSpec::default() }
}

fn location(code: &str, state: LocationState, priority: u32) -> LocationSpec {
    LocationSpec { code: code.into(), state, priority, ..LocationSpec::default() }
}

fn channel(code: &str) -> ChannelSpec {
    let parent = if ["web", "app"].contains(&code) { "all" } else { "" };
    let deduction = match code {
        "shop" => Deduction::OnOrder,
        "slow" => Deduction::OnPayment,
        _ => Deduction::Hold,
    };
    ChannelSpec { code: code.into(), active: true, parent: parent.into(), deduction, ..ChannelSpec::default() }
}

pub(super) fn change(kind: Kind, dice: &mut Dice) -> CatalogueCommand {
    match kind {
        Kind::Skus if dice.one_in(8) => CatalogueCommand::RetireSkus(vec![dice.sku()]),
        Kind::Skus => {
            let code = dice.pick(&SKUS);
            CatalogueCommand::UpsertSkus(vec![SkuSpec { sellable: !dice.one_in(3), ..sku(code) }])
        }
        Kind::Locations => {
            let (open, paused, closed) = (LocationState::Open, LocationState::Paused, LocationState::Closed);
            let (state, code) = (dice.pick(&[open, open, open, paused, closed]), dice.pick(&LOCATIONS));
            let priority = u32::try_from(dice.below(3)).unwrap_or(0);
            CatalogueCommand::UpsertLocations(vec![location(code, state, priority)])
        }
        _ => {
            let mut spec = channel(dice.pick(&CHANNELS));
            (spec.active, spec.priority) = (!dice.one_in(5), u32::try_from(dice.below(3)).unwrap_or(0));
            spec.safety_units = [0, 0, 1, 3][dice.below(4)];
            spec.hold_ttl = dice.one_in(3).then(|| dice.span());
            if dice.one_in(6) {
                spec.parent = dice.pick(&["", "all", "web", "shop", "?"]).into();
            }
            CatalogueCommand::UpsertChannels(vec![spec])
        }
    }
}

/// A catalogue and stock to begin with.
#[must_use]
pub fn setup() -> Vec<Command> {
    let mut rows = Vec::new();
    for (place, sku) in SKUS.iter().enumerate().filter(|(_, sku)| **sku != KIT) {
        for (other, location) in LOCATIONS.iter().enumerate().filter(|(other, _)| (place + other) % 3 != 0) {
            rows.push(ImportRow {
                cell: CellCode { sku: (*sku).into(), location: (*location).into() },
                on_hand: Quantity(u32::try_from(4 + 3 * place + other).unwrap_or(0)),
                safety: Quantity(u32::try_from(place % 2).unwrap_or(0)),
                quality_control: Quantity(0),
                damaged: Quantity(0),
                in_repair: Quantity(0),
                incoming: Quantity(2),
            });
        }
    }
    let locations = LOCATIONS.iter().enumerate();
    let locations =
        locations.map(|(place, code)| location(code, LocationState::Open, u32::try_from(place / 2).unwrap_or(0)));
    vec![
        Command::Catalogue(CatalogueCommand::UpsertSkus(SKUS.iter().map(|code| sku(code)).collect())),
        Command::Catalogue(CatalogueCommand::UpsertLocations(locations.collect())),
        Command::Catalogue(CatalogueCommand::UpsertChannels(CHANNELS.iter().map(|code| channel(code)).collect())),
        Command::Stock(StockCommand::Import(ImportStock { rows, reference: String::new() })),
    ]
}
