//! Amounts in CEL: the language of conditions, with a whole number for its answer, over a SKU, a location and stock.

use super::{
    PlaceFacts,
    expression::{self, Domain, ExpressionError, Facts, Number},
};
use crate::{order::Goods, rules::StockFacts};

/// A formula that was read and typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Amount(Number);

/// Reads a formula. One for a sum of cells has no location to ask.
pub(crate) fn read(text: &str, of_cell: bool) -> Result<Amount, ExpressionError> {
    let number = expression::read_amount(text)?;
    let domain = number.domain();
    let unsupported = |what: &str, instead| Err(ExpressionError::Unsupported { what: what.to_owned(), instead });
    if domain.touches(Domain::ORDER) {
        return unsupported("order", ": a stock rule knows sku, location and stock");
    }
    if domain.touches(Domain::DISTANCE) {
        return unsupported("distance_metres", ": a stock rule knows sku, location and stock");
    }
    if domain.touches(Domain::PLACE) && !of_cell {
        return unsupported("location", ": the figure is of all cells of the scope; use stock and sku");
    }
    Ok(Amount(number))
}

impl Amount {
    pub(crate) fn asks_of_place(&self) -> bool {
        self.0.domain().touches(Domain::PLACE)
    }

    /// Its value; `None` when there is none.
    pub(crate) fn value(&self, goods: &Goods<'_>, place: Option<&PlaceFacts<'_>>, stock: &StockFacts) -> Option<i64> {
        self.0.value(&Facts::new(None, place, Some(goods), None).with_stock(stock)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_whole_numbers_over_sku_location_and_stock() {
        let goods = Goods { code: "A", size: "42", category: "shoes", value: 990, ..Goods::default() };
        let place = PlaceFacts { code: "S1", kind: "store", ..PlaceFacts::default() };
        let stock = StockFacts { on_hand: 21, sellable: 20, safety: 1, incoming: 4, cells: 1 };
        for (text, value) in [
            ("2", Some(2)),
            ("stock.on_hand / 10", Some(2)),
            ("sku.category == 'shoes' && location.kind == 'store' ? 3 : 1", Some(3)),
            ("stock.sellable > 100 ? 5 : stock.sellable > 10 ? 2 : 0", Some(2)),
            ("stock.safety - stock.incoming", Some(-3)),
            ("stock.on_hand / (stock.cells - 1)", None),
            ("size(sku.attributes['brand'])", None),
        ] {
            assert_eq!(read(text, true).unwrap().value(&goods, Some(&place), &stock), value, "{text}");
        }
    }

    #[test]
    fn what_a_formula_cannot_know_is_refused_with_its_name() {
        for (text, message) in [
            ("order.units", "order cannot be used here"),
            ("distance_metres", "distance_metres cannot be used here"),
            ("stock.on_hand > 3", "is a bool, an int is needed"),
            ("stock.onhand", "stock has no field \"onhand\""),
            ("stock.on_hand * 0.5", "a number with a fraction cannot be used"),
            ("1 +", "line 1, column"),
        ] {
            let error = read(text, true).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
        assert!(read("location.priority", true).is_ok());
        assert!(read("location.priority", false).unwrap_err().to_string().contains("location cannot be used here"));
        // Policies know nothing of stock.
        assert!(expression::read("stock.on_hand > 1").unwrap_err().to_string().contains("there is no \"stock\""));
    }
}
