//! Evaluating a checked condition, as CEL does: `&&` and `||` need not know what the other side decides.

use std::cmp::Ordering;

use super::field::{ListField, NumberField, TextField};
use super::term::{Compare, Number, Operator, Part, Quantifier, Text, Texts, Truth};
use crate::order::Goods;
use crate::policy::facts::{Codes, OrderFacts, PlaceFacts, capability_names, mode_name};
use crate::rules::StockFacts;

/// How deep `exists` and its like may stand in one another.
pub(super) const LOCALS_MAX: usize = 2;

/// What is known. A condition is evaluated only with what its domain names.
#[derive(Clone, Copy, Default)]
pub(crate) struct Facts<'f, 'p> {
    pub(crate) order: Option<&'f OrderFacts<'f>>,
    pub(crate) place: Option<&'f PlaceFacts<'p>>,
    pub(crate) goods: Option<&'f Goods<'f>>,
    /// Metres.
    pub(crate) distance: Option<u32>,
    stock: Option<&'f StockFacts>,
    locals: [&'f str; LOCALS_MAX],
}

/// There is no answer: an attribute is missing, a list is too short, or arithmetic has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

type Answer<T> = Result<T, Unknown>;

impl<'f, 'p> Facts<'f, 'p> {
    pub(crate) fn new(
        order: Option<&'f OrderFacts<'f>>,
        place: Option<&'f PlaceFacts<'p>>,
        goods: Option<&'f Goods<'f>>,
        distance: Option<u32>,
    ) -> Self {
        Self { order, place, goods, distance, stock: None, locals: [""; LOCALS_MAX] }
    }

    pub(crate) fn with_stock(self, stock: &'f StockFacts) -> Self {
        Self { stock: Some(stock), ..self }
    }
}

impl Truth {
    pub(crate) fn holds(&self, facts: &Facts<'_, '_>) -> Answer<bool> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::Not(inner) => inner.holds(facts).map(|value| !value),
            Self::All(parts) => decide(parts.iter().map(|part| part.holds(facts)), false),
            Self::Any(parts) => decide(parts.iter().map(|part| part.holds(facts)), true),
            Self::Choose(parts) => if parts[0].holds(facts)? { &parts[1] } else { &parts[2] }.holds(facts),
            Self::Same(parts) => Ok(parts[0].holds(facts)? == parts[1].holds(facts)?),
            Self::Numbers(compare, left, right) => Ok(compare.of(left.value(facts)?.cmp(&right.value(facts)?))),
            Self::Texts(compare, left, right) => Ok(compare.of(left.value(facts)?.cmp(right.value(facts)?))),
            Self::Among(text, list) => list.contains(text.value(facts)?, facts),
            Self::AmongNumbers(number, list) => {
                let value = number.value(facts)?;
                list.iter().try_fold(false, |found, entry| Ok(found | (entry.value(facts)? == value)))
            }
            Self::HasAttribute(key) => Ok(attribute(facts, key.value(facts)?)?.is_some()),
            Self::Part(part, whole, piece) => {
                let (whole, piece) = (whole.value(facts)?, piece.value(facts)?);
                Ok(match part {
                    Part::Start => whole.starts_with(piece),
                    Part::End => whole.ends_with(piece),
                    Part::Anywhere => whole.contains(piece),
                })
            }
            Self::Each(quantifier, list, depth, inner) => quantified(*quantifier, list, *depth, inner, facts),
        }
    }
}

/// `decisive` if one answer is; else unknown if one is; else the opposite.
fn decide(answers: impl Iterator<Item = Answer<bool>>, decisive: bool) -> Answer<bool> {
    let mut result = Ok(!decisive);
    for answer in answers {
        match answer {
            Ok(value) if value == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(Unknown) => result = Err(Unknown),
        }
    }
    result
}

fn quantified(
    quantifier: Quantifier,
    list: &Texts,
    depth: usize,
    inner: &Truth,
    facts: &Facts<'_, '_>,
) -> Answer<bool> {
    let items = list.items(facts)?;
    let answers = items.iter().map(|item| {
        let mut facts = *facts;
        facts.locals[depth] = item;
        inner.holds(&facts)
    });
    match quantifier {
        Quantifier::All => decide(answers, false),
        Quantifier::Any => decide(answers, true),
        Quantifier::One => {
            let mut count = 0_u32;
            for answer in answers {
                count += u32::from(answer?);
            }
            Ok(count == 1)
        }
    }
}

impl Compare {
    pub(crate) fn of(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

impl Number {
    pub(crate) fn value(&self, facts: &Facts<'_, '_>) -> Answer<i64> {
        match self {
            Self::Literal(value) => Ok(*value),
            Self::Field(field) => number(*field, facts),
            Self::Negate(inner) => inner.value(facts)?.checked_neg().ok_or(Unknown),
            Self::Arithmetic(operator, parts) => {
                let (left, right) = (parts[0].value(facts)?, parts[1].value(facts)?);
                let result = match operator {
                    Operator::Add => left.checked_add(right),
                    Operator::Subtract => left.checked_sub(right),
                    Operator::Multiply => left.checked_mul(right),
                    Operator::Divide => left.checked_div(right),
                    Operator::Remainder => left.checked_rem(right),
                };
                result.ok_or(Unknown)
            }
            Self::TextSize(text) => Ok(size(text.value(facts)?.chars().count())),
            Self::ListSize(list) => list.items(facts).map(|items| size(items.len())),
            Self::AttributesSize => Ok(size(facts.goods.ok_or(Unknown)?.attributes.len())),
            Self::Choose(parts) => if parts.0.holds(facts)? { &parts.1 } else { &parts.2 }.value(facts),
        }
    }
}

impl Text {
    fn value<'x>(&'x self, facts: &Facts<'x, '_>) -> Answer<&'x str> {
        match self {
            Self::Literal(text) => Ok(text),
            Self::Field(field) => text(*field, facts),
            Self::Local(depth) => Ok(facts.locals[*depth]),
            Self::Attribute(key) => attribute(facts, key.value(facts)?)?.ok_or(Unknown),
            Self::Item(parts) => {
                let at = usize::try_from(parts.1.value(facts)?).map_err(|_| Unknown)?;
                parts.0.items(facts)?.get(at).copied().ok_or(Unknown)
            }
            Self::Choose(parts) => if parts.0.holds(facts)? { &parts.1 } else { &parts.2 }.value(facts),
        }
    }
}

impl Texts {
    /// All entries are read, so that one without an answer leaves none, as in CEL.
    fn contains(&self, wanted: &str, facts: &Facts<'_, '_>) -> Answer<bool> {
        match self {
            Self::Literal(list) => {
                list.iter().try_fold(false, |found, entry| Ok(found | (entry.value(facts)? == wanted)))
            }
            Self::Field(_) => Ok(self.items(facts)?.contains(&wanted)),
        }
    }

    fn items<'x>(&'x self, facts: &Facts<'x, '_>) -> Answer<Codes<'x>> {
        match self {
            Self::Literal(list) => list.iter().map(|entry| entry.value(facts)).collect(),
            Self::Field(ListField::OrderRegions) => Ok(Codes::from_slice(facts.order.ok_or(Unknown)?.regions)),
            Self::Field(ListField::LocationRegions) => Ok(Codes::from_slice(&facts.place.ok_or(Unknown)?.regions)),
            Self::Field(ListField::LocationCapabilities) => {
                Ok(capability_names(facts.place.ok_or(Unknown)?.capabilities))
            }
            Self::Field(ListField::LocationChannels) => {
                Ok(facts.place.ok_or(Unknown)?.channels.iter().map(String::as_str).collect())
            }
        }
    }
}

fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn wide(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

fn attribute<'x>(facts: &Facts<'x, '_>, key: &str) -> Answer<Option<&'x str>> {
    let attributes = &facts.goods.ok_or(Unknown)?.attributes;
    Ok(attributes.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str()))
}

fn text<'x>(field: TextField, facts: &Facts<'x, '_>) -> Answer<&'x str> {
    let order = facts.order.ok_or(Unknown);
    let place = facts.place.ok_or(Unknown);
    let goods = facts.goods.ok_or(Unknown);
    Ok(match field {
        TextField::OrderChannel => order?.channel,
        TextField::OrderType => order?.order_type,
        TextField::OrderBuyerTier => order?.buyer_tier,
        TextField::OrderServiceLevel => order?.service_level,
        TextField::OrderMode => mode_name(order?.mode),
        TextField::OrderRegion => order?.regions.first().copied().unwrap_or(""),
        TextField::LocationCode => place?.code,
        TextField::LocationKind => place?.kind,
        TextField::LocationRegion => place?.regions.first().copied().unwrap_or(""),
        TextField::SkuCode => goods?.code,
        TextField::SkuStyle => goods?.style,
        TextField::SkuColour => goods?.colour,
        TextField::SkuSize => goods?.size,
        TextField::SkuCategory => goods?.category,
        TextField::SkuDangerousGoods => goods?.dangerous_goods,
        TextField::SkuTemperature => goods?.temperature,
    })
}

fn number(field: NumberField, facts: &Facts<'_, '_>) -> Answer<i64> {
    let order = facts.order.ok_or(Unknown);
    let goods = facts.goods.ok_or(Unknown);
    Ok(match field {
        NumberField::OrderUnits => i64::try_from(order?.units).unwrap_or(i64::MAX),
        NumberField::OrderLines => i64::from(order?.lines),
        NumberField::OrderWeight => i64::try_from(order?.weight_grams).unwrap_or(i64::MAX),
        NumberField::OrderValue => order?.value,
        NumberField::LocationPriority => i64::from(facts.place.ok_or(Unknown)?.priority),
        NumberField::SkuWeight => i64::try_from(goods?.weight.0).unwrap_or(i64::MAX),
        NumberField::SkuValue => goods?.value,
        NumberField::Distance => facts.distance.map_or(-1, i64::from),
        NumberField::StockOnHand => wide(facts.stock.ok_or(Unknown)?.on_hand),
        NumberField::StockSellable => wide(facts.stock.ok_or(Unknown)?.sellable),
        NumberField::StockSafety => wide(facts.stock.ok_or(Unknown)?.safety),
        NumberField::StockIncoming => wide(facts.stock.ok_or(Unknown)?.incoming),
        NumberField::StockCells => wide(facts.stock.ok_or(Unknown)?.cells),
    })
}
