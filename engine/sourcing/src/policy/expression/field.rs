//! The variables of an expression: their fields, types and what must be known to read them.

use std::ops::BitOr;

/// What must be known to evaluate something: bits for the order, the place, the goods, the distance and stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Domain(u8);

impl Domain {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ORDER: Self = Self(1);
    pub(crate) const PLACE: Self = Self(2);
    pub(crate) const GOODS: Self = Self(4);
    pub(crate) const DISTANCE: Self = Self(8);
    pub(crate) const STOCK: Self = Self(16);

    /// Whether nothing but `other` is needed.
    pub(crate) fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether something of `other` is needed.
    pub(crate) fn touches(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Domain {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One of the variables that have fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Order,
    Location,
    Sku,
    Stock,
}

/// A field that is a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextField {
    OrderChannel,
    OrderType,
    OrderBuyerTier,
    OrderServiceLevel,
    OrderMode,
    OrderRegion,
    LocationCode,
    LocationKind,
    LocationRegion,
    SkuCode,
    SkuStyle,
    SkuColour,
    SkuSize,
    SkuCategory,
    SkuDangerousGoods,
    SkuTemperature,
}

/// A field that is a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberField {
    OrderUnits,
    OrderLines,
    OrderWeight,
    OrderValue,
    LocationPriority,
    SkuWeight,
    SkuValue,
    Distance,
    StockOnHand,
    StockSellable,
    StockSafety,
    StockIncoming,
    StockCells,
}

/// A field that is a list of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListField {
    OrderRegions,
    LocationRegions,
    LocationCapabilities,
    LocationChannels,
}

/// A field of any type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Text(TextField),
    Number(NumberField),
    List(ListField),
    Attributes,
}

const ORDER: &[(&str, Field)] = &[
    ("channel", Field::Text(TextField::OrderChannel)),
    ("order_type", Field::Text(TextField::OrderType)),
    ("buyer_tier", Field::Text(TextField::OrderBuyerTier)),
    ("service_level", Field::Text(TextField::OrderServiceLevel)),
    ("mode", Field::Text(TextField::OrderMode)),
    ("region", Field::Text(TextField::OrderRegion)),
    ("regions", Field::List(ListField::OrderRegions)),
    ("units", Field::Number(NumberField::OrderUnits)),
    ("lines", Field::Number(NumberField::OrderLines)),
    ("weight_grams", Field::Number(NumberField::OrderWeight)),
    ("value", Field::Number(NumberField::OrderValue)),
];

const LOCATION: &[(&str, Field)] = &[
    ("code", Field::Text(TextField::LocationCode)),
    ("kind", Field::Text(TextField::LocationKind)),
    ("priority", Field::Number(NumberField::LocationPriority)),
    ("region", Field::Text(TextField::LocationRegion)),
    ("regions", Field::List(ListField::LocationRegions)),
    ("capabilities", Field::List(ListField::LocationCapabilities)),
    ("channels", Field::List(ListField::LocationChannels)),
];

const SKU: &[(&str, Field)] = &[
    ("code", Field::Text(TextField::SkuCode)),
    ("style", Field::Text(TextField::SkuStyle)),
    ("colour", Field::Text(TextField::SkuColour)),
    ("size", Field::Text(TextField::SkuSize)),
    ("category", Field::Text(TextField::SkuCategory)),
    ("weight_grams", Field::Number(NumberField::SkuWeight)),
    ("value", Field::Number(NumberField::SkuValue)),
    ("dangerous_goods", Field::Text(TextField::SkuDangerousGoods)),
    ("temperature", Field::Text(TextField::SkuTemperature)),
    ("attributes", Field::Attributes),
];

const STOCK: &[(&str, Field)] = &[
    ("on_hand", Field::Number(NumberField::StockOnHand)),
    ("sellable", Field::Number(NumberField::StockSellable)),
    ("safety", Field::Number(NumberField::StockSafety)),
    ("incoming", Field::Number(NumberField::StockIncoming)),
    ("cells", Field::Number(NumberField::StockCells)),
];

impl Variable {
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Order, Self::Location, Self::Sku, Self::Stock].into_iter().find(|variable| variable.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Location => "location",
            Self::Sku => "sku",
            Self::Stock => "stock",
        }
    }

    fn table(self) -> &'static [(&'static str, Field)] {
        match self {
            Self::Order => ORDER,
            Self::Location => LOCATION,
            Self::Sku => SKU,
            Self::Stock => STOCK,
        }
    }

    pub(super) fn field(self, name: &str) -> Option<Field> {
        self.table().iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }

    /// Names of all its fields, for messages.
    pub(super) fn fields(self) -> String {
        self.table().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

impl TextField {
    pub(crate) fn domain(self) -> Domain {
        match self {
            Self::OrderChannel
            | Self::OrderType
            | Self::OrderBuyerTier
            | Self::OrderServiceLevel
            | Self::OrderMode
            | Self::OrderRegion => Domain::ORDER,
            Self::LocationCode | Self::LocationKind | Self::LocationRegion => Domain::PLACE,
            Self::SkuCode
            | Self::SkuStyle
            | Self::SkuColour
            | Self::SkuSize
            | Self::SkuCategory
            | Self::SkuDangerousGoods
            | Self::SkuTemperature => Domain::GOODS,
        }
    }
}

impl NumberField {
    pub(crate) fn domain(self) -> Domain {
        match self {
            Self::OrderUnits | Self::OrderLines | Self::OrderWeight | Self::OrderValue => Domain::ORDER,
            Self::LocationPriority => Domain::PLACE,
            Self::SkuWeight | Self::SkuValue => Domain::GOODS,
            Self::Distance => Domain::DISTANCE,
            Self::StockOnHand | Self::StockSellable | Self::StockSafety | Self::StockIncoming | Self::StockCells => {
                Domain::STOCK
            }
        }
    }
}

impl ListField {
    pub(crate) fn domain(self) -> Domain {
        match self {
            Self::OrderRegions => Domain::ORDER,
            Self::LocationRegions | Self::LocationCapabilities | Self::LocationChannels => Domain::PLACE,
        }
    }
}

/// As expressions write it.
pub(crate) fn path_of(text: TextField) -> String {
    [Variable::Order, Variable::Location, Variable::Sku]
        .into_iter()
        .flat_map(|variable| variable.table().iter().map(move |entry| (variable, entry)))
        .find(|(_, (_, field))| *field == Field::Text(text))
        .map_or_else(String::new, |(variable, (name, _))| format!("{}.{name}", variable.name()))
}
