//! What a SKU is: as its owner describes it, and as it is kept.

use quartermaster_journal::Lsn;

use crate::{fingerprint::Fingerprinter, id::SkuId};

/// A SKU as its owner describes it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SkuSpec {
    /// Code.
    pub code: String,
    /// Style code (款), may be empty.
    pub style: String,
    /// Colour, may be empty.
    pub colour: String,
    /// Size, may be empty.
    pub size: String,
    /// Free attributes, sorted by key.
    pub attributes: Vec<(String, String)>,
    /// Grams; 0 when unknown.
    pub weight_grams: u64,
    /// ISO 4217 code of `unit_value`, or empty.
    pub currency: String,
    /// Value of one unit in minor units.
    pub unit_value: i64,
    /// For sale.
    pub sellable: bool,
    /// What carriers, and policies that tell goods apart, must know of it.
    pub goods: GoodsSpec,
    /// What a unit consists of: codes of other SKUs, each once, and units of each, at least 1. None unless it is a kit.
    pub components: Vec<(String, u32)>,
}

/// What a unit of a SKU is as goods. The default is unknown dimensions, no category, harmless and at ambient temperature.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GoodsSpec {
    /// Category, or empty.
    pub category: String,
    /// Length, width and height in millimetres; 0 when unknown.
    pub dimensions_mm: [u32; 3],
    /// Dangerous-goods class, or empty for none.
    pub dangerous_goods: String,
    /// Temperature class, or empty for ambient.
    pub temperature: String,
}

impl GoodsSpec {
    /// A SKU without them has the fingerprint that it had before there were any.
    fn fingerprint(&self, hash: &mut Fingerprinter) {
        if *self != Self::default() {
            hash.tag(GOODS).text(&self.category).text(&self.dangerous_goods).text(&self.temperature);
            self.dimensions_mm.iter().for_each(|side| _ = hash.number(u64::from(*side)));
        }
    }
}

/// Sets goods apart from attributes before them: no text is so long.
const GOODS: u64 = u64::MAX;

/// Likewise for the components of a kit.
const COMPONENTS: u64 = u64::MAX - 1;

impl SkuSpec {
    /// What the router must know of it.
    #[must_use]
    pub fn goods(&self) -> quartermaster_sourcing::order::Goods<'_> {
        quartermaster_sourcing::order::Goods {
            code: &self.code,
            style: &self.style,
            colour: &self.colour,
            size: &self.size,
            category: &self.goods.category,
            weight: quartermaster_sourcing::Grams(self.weight_grams),
            dimensions_mm: self.goods.dimensions_mm,
            value: self.unit_value,
            dangerous_goods: &self.goods.dangerous_goods,
            temperature: &self.goods.temperature,
            attributes: &self.attributes,
        }
    }

    pub(crate) fn fingerprint(&self, hash: &mut Fingerprinter) {
        hash.text(&self.code).text(&self.style).text(&self.colour).text(&self.size).number(self.weight_grams);
        hash.text(&self.currency).number(self.unit_value.cast_unsigned()).number(u64::from(self.sellable));
        for (key, value) in &self.attributes {
            hash.text(key).text(value);
        }
        self.goods.fingerprint(hash);
        if !self.components.is_empty() {
            hash.tag(COMPONENTS);
            for (code, units) in &self.components {
                hash.text(code).number(u64::from(*units));
            }
        }
    }
}

/// A SKU as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sku {
    /// Its number.
    pub id: SkuId,
    /// What it is.
    pub spec: SkuSpec,
    /// LSN at which it was retired.
    pub retired: Option<Lsn>,
    /// What a unit consists of, as it was resolved when it became a kit. None unless it is one.
    pub components: Box<[Component]>,
}

/// A component of a kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// SKU.
    pub sku: SkuId,
    /// Units in one kit, at least 1.
    pub units: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(spec: &SkuSpec) -> u64 {
        let mut hash = Fingerprinter::default();
        spec.fingerprint(&mut hash);
        hash.finish()
    }

    #[test]
    fn a_sku_without_goods_keeps_the_fingerprint_it_had() {
        let plain = SkuSpec { code: "A".into(), attributes: vec![("k".into(), "v".into())], ..SkuSpec::default() };
        let mut old = Fingerprinter::default();
        old.text("A").text("").text("").text("").number(0).text("").number(0).number(0).text("k").text("v");
        assert_eq!(fingerprint(&plain), old.finish());
        for goods in [
            GoodsSpec { category: "x".into(), ..GoodsSpec::default() },
            GoodsSpec { dangerous_goods: "x".into(), ..GoodsSpec::default() },
            GoodsSpec { temperature: "x".into(), ..GoodsSpec::default() },
            GoodsSpec { dimensions_mm: [1, 0, 0], ..GoodsSpec::default() },
            GoodsSpec { dimensions_mm: [0, 1, 0], ..GoodsSpec::default() },
        ] {
            assert_ne!(fingerprint(&SkuSpec { goods, ..plain.clone() }), old.finish());
        }
    }
}
