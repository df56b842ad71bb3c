//! The figures of both worlds, side by side: the same rows for the terminal, the file and the page.

use quartermaster_backtest::figures::Figures;

use crate::cli::show;

/// A number with a fixed count of decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figure {
    value: i128,
    decimals: u32,
}

impl Figure {
    pub(super) fn count(value: impl Into<i128>) -> Option<Self> {
        Some(Self { value: value.into(), decimals: 0 })
    }

    /// A quotient, rounded half up; none of nothing.
    fn ratio(part: impl Into<i128>, of: impl Into<i128>, decimals: u32) -> Option<Self> {
        let (part, of) = (part.into() * 10_i128.pow(decimals), of.into());
        (of > 0).then(|| Self { value: (2 * part + of).div_euclid(2 * of), decimals })
    }

    fn percent(part: u64, of: u64) -> Option<Self> {
        Self::ratio(i128::from(part) * 100, of, 2)
    }

    /// With thousands apart, for people.
    pub(super) fn text(self) -> String {
        let sign = if self.value < 0 { "-" } else { "" };
        let scale = 10_u128.pow(self.decimals);
        let (whole, part) = (self.value.unsigned_abs() / scale, self.value.unsigned_abs() % scale);
        let whole = u64::try_from(whole).map_or_else(|_| whole.to_string(), show::number);
        if self.decimals == 0 {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{part:0width$}", width = places(self.decimals))
        }
    }

    /// For programs.
    pub(super) fn plain(self) -> String {
        self.text().replace(',', "")
    }

    /// With its sign, as a change is told.
    fn signed(self) -> String {
        match self.value {
            0 => "=".to_owned(),
            1.. => format!("+{}", self.text()),
            _ => self.text(),
        }
    }
}

fn places(decimals: u32) -> usize {
    usize::try_from(decimals).unwrap_or(0)
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Less,
    More,
    Neither,
}

/// One figure in both worlds.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) group: &'static str,
    /// For programs.
    pub(super) key: String,
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) before: Option<Figure>,
    pub(super) after: Option<Figure>,
    wish: Wish,
}

impl Row {
    /// The difference, for people; empty when one of the figures is not there.
    pub(super) fn change(&self) -> String {
        self.difference().map_or_else(String::new, Figure::signed)
    }

    fn difference(&self) -> Option<Figure> {
        let (before, after) = (self.before?, self.after?);
        Some(Figure { value: after.value - before.value, ..after })
    }

    /// Whether the change is to the better; `None`: it is none, or neither good nor bad.
    pub(super) fn better(&self) -> Option<bool> {
        let change = self.difference().filter(|change| change.value != 0)?.value;
        match self.wish {
            Wish::Less => Some(change < 0),
            Wish::More => Some(change > 0),
            Wish::Neither => None,
        }
    }
}

pub(super) fn text(figure: Option<Figure>) -> String {
    figure.map_or_else(|| "-".to_owned(), Figure::text)
}

type Read = fn(&Figures) -> Option<Figure>;

/// Every figure but the terms of the cost.
const FIGURES: [(&str, &str, &str, &str, Wish, Read); 25] = [
    ("orders", "orders", "asked again", "", Wish::Neither, |f| Figure::count(f.orders)),
    ("orders", "served", "served", "", Wish::More, |f| Figure::count(f.served)),
    ("orders", "refused", "refused as a whole", "", Wish::Less, |f| Figure::count(f.refused)),
    ("units", "units_wanted", "asked for", "", Wish::Neither, |f| Figure::count(f.units_wanted)),
    ("units", "units", "served", "", Wish::More, |f| Figure::count(f.units)),
    ("units", "unfilled", "unfilled", "", Wish::Less, |f| Figure::count(f.unfilled)),
    ("units", "unfilled_percent", "unfilled, of those asked for", "%", Wish::Less, |f| {
        Figure::percent(f.unfilled, f.units_wanted)
    }),
    ("units", "substituted", "served by a substitute", "", Wish::Neither, |f| Figure::count(f.substituted)),
    ("parcels", "parcels", "parcels", "", Wish::Less, |f| Figure::count(f.parcels)),
    ("parcels", "parcels_per_order", "per served order", "", Wish::Less, |f| Figure::ratio(f.parcels, f.served, 3)),
    ("parcels", "split", "split orders", "", Wish::Less, |f| Figure::count(f.split)),
    ("parcels", "split_percent", "split, of served orders", "%", Wish::Less, |f| Figure::percent(f.split, f.served)),
    ("cost", "paid", "paid: handling, carriage, picking", "", Wish::Less, |f| Figure::count(f.cost.paid())),
    ("cost", "paid_per_order", "paid per served order", "", Wish::Less, |f| Figure::ratio(f.cost.paid(), f.served, 2)),
    ("cost", "paid_per_unit", "paid per unit", "", Wish::Less, |f| Figure::ratio(f.cost.paid(), f.units, 2)),
    ("cost", "cost", "as the policy weighs it", "", Wish::Neither, |f| Figure::count(f.cost.total())),
    ("cost", "cost_per_order", "weighed, per served order", "", Wish::Neither, |f| {
        Figure::ratio(f.cost.total(), f.served, 2)
    }),
    ("cost", "cost_per_unit", "weighed, per unit", "", Wish::Neither, |f| Figure::ratio(f.cost.total(), f.units, 2)),
    ("dates", "dated", "served orders with a wanted date", "", Wish::Neither, |f| Figure::count(f.dated)),
    ("dates", "late", "promised later", "", Wish::Less, |f| Figure::count(f.late)),
    ("dates", "late_percent", "promised later, of those", "%", Wish::Less, |f| Figure::percent(f.late, f.dated)),
    ("dates", "lead_hours", "from order to promised arrival, mean", "h", Wish::Less, |f| {
        Figure::ratio(i128::try_from(f.lead_seconds).unwrap_or(i128::MAX / 1_000), i128::from(f.served) * 3_600, 2)
    }),
    ("decisions", "proved_percent", "proved best", "%", Wish::More, |f| {
        Figure::percent(f.proved, f.orders - f.refused)
    }),
    ("decisions", "nodes", "search nodes", "", Wish::Neither, |f| Figure::count(f.nodes)),
    ("decisions", "nodes_max", "most nodes of one", "", Wish::Neither, |f| Figure::count(f.nodes_max)),
];

/// All rows, by group. Terms of the cost that are nothing in both worlds are left out.
pub(super) fn rows(before: &Figures, after: &Figures) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (group, key, name, unit, wish, read) in FIGURES {
        rows.push(Row {
            group,
            key: key.to_owned(),
            name: name.to_owned(),
            unit,
            before: read(before),
            after: read(after),
            wish,
        });
        if key == "cost_per_unit" {
            rows.extend(terms(before, after));
        }
    }
    rows
}

fn terms(before: &Figures, after: &Figures) -> impl Iterator<Item = Row> {
    let pairs = before.cost.terms().into_iter().zip(after.cost.terms());
    pairs.filter(|((_, one), (_, other))| *one != 0 || *other != 0).map(|((name, one), (_, other))| Row {
        group: "cost",
        key: format!("cost_{name}"),
        name: name.to_owned(),
        unit: "",
        before: Figure::count(one),
        after: Figure::count(other),
        // What a policy weighs is its own: another policy's figure is neither better nor worse.
        wish: if ["preference", "opportunity", "pressure"].contains(&name) { Wish::Neither } else { Wish::Less },
    })
}

/// What the money is in.
pub(super) fn currency(before: &Figures, after: &Figures) -> String {
    let mut codes: Vec<&str> = before.currencies.union(&after.currencies).map(|code| &**code).collect();
    codes.retain(|code| *code != "XXX");
    match codes[..] {
        [] => "minor units".to_owned(),
        [code] => format!("minor units of {code}"),
        _ => format!("minor units, of {} mixed", codes.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_and_signed() {
        let text = |figure: Option<Figure>| figure.map_or_else(String::new, Figure::text);
        assert_eq!(text(Figure::ratio(2, 3, 3)), "0.667");
        assert_eq!(text(Figure::ratio(-12_345, 10, 2)), "-1,234.50");
        assert_eq!(text(Figure::percent(1, 8)), "12.50");
        assert_eq!(Figure::ratio(1, 0, 2), None);
        assert_eq!(Figure::count(1_234).map(Figure::plain).as_deref(), Some("1234"));
        let row = |before, after, wish| Row {
            group: "",
            key: String::new(),
            name: String::new(),
            unit: "",
            before: Figure::count(before),
            after: Figure::count(after),
            wish,
        };
        assert_eq!((row(5, 3, Wish::Less).change(), row(5, 3, Wish::Less).better()), ("-2".into(), Some(true)));
        assert_eq!((row(5, 7, Wish::Less).change(), row(5, 7, Wish::Less).better()), ("+2".into(), Some(false)));
        assert_eq!((row(5, 5, Wish::More).change(), row(5, 5, Wish::More).better()), ("=".into(), None));
        assert_eq!(row(5, 7, Wish::Neither).better(), None);
    }
}
