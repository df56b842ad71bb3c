//! The figures as tables, for people and, in long form, for programs.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use crate::exact::Solved;
use crate::history::{DocumentId, Names};
use crate::tally::Tally;

/// Rows of cells under a title.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.title)?;
        let width = |at: usize| {
            let cells = self.rows.iter().map(|row| row[at].len());
            cells.max().unwrap_or(0).max(self.columns[at].len())
        };
        let head = self.columns.iter().map(|name| (*name).to_owned()).collect();
        for row in [&head].into_iter().chain(&self.rows) {
            write!(f, "{:<1$}", row[0], width(0))?;
            for (at, cell) in row.iter().enumerate().skip(1) {
                write!(f, "  {cell:>0$}", width(at))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Table {
    /// One line for each cell: table, row, column, value.
    pub(crate) fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        for row in &self.rows {
            for (column, cell) in self.columns.iter().zip(row).skip(1) {
                writeln!(out, "\"{}\",\"{}\",{column},{cell}", self.title, row[0])?;
            }
        }
        Ok(())
    }
}

/// Compares the decision makers; the first is the one that costs are relative to. Money is in minor units.
pub(crate) fn costs(title: &str, makers: &[(&str, &Tally)]) -> Table {
    let exact = makers.first().map_or(0, |(_, tally)| money(tally));
    let row = |(name, tally): &(&str, &Tally)| {
        let cost = money(tally);
        vec![
            (*name).to_owned(),
            tally.orders.to_string(),
            tally.units.to_string(),
            decimal(tally.units * 100, tally.wanted, 2),
            cost.to_string(),
            decimal(cost, tally.orders, 1),
            decimal(cost, tally.units, 2),
            decimal(tally.parcels, tally.orders, 3),
            decimal(tally.split * 100, tally.orders, 2),
            decimal(cost, exact, 4),
            format!("{:016x}", tally.fingerprint),
        ]
    };
    Table {
        title: title.to_owned(),
        columns: vec![
            "decision maker",
            "orders",
            "units",
            "fill %",
            "cost",
            "per order",
            "per unit",
            "parcels",
            "split %",
            "to exact",
            "plans",
        ],
        rows: makers.iter().map(row).collect(),
    }
}

fn money(tally: &Tally) -> u64 {
    u64::try_from(tally.cost.0).expect("costs are sums of costs above zero")
}

/// One exact answer, without its plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    order: DocumentId,
    lines: usize,
    locations: usize,
    proved: bool,
    solving: Duration,
    with_building: Duration,
    gap_ppm: Option<u64>,
    nodes: u64,
}

/// Orders of more lines than this count as long.
const LINES_SHORT_MAX: usize = 60;
/// What an order may take: short, long.
const LIMITS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(50)];

impl Measured {
    pub(crate) fn new(order: DocumentId, lines: usize, solved: &Solved) -> Self {
        Self {
            order,
            lines,
            locations: solved.locations,
            proved: solved.proved(),
            solving: solved.solving,
            with_building: solved.building + solved.solving,
            gap_ppm: solved.gap_ppm(),
            nodes: solved.plan.nodes,
        }
    }

    /// Not proved, or slower than an order of its length may be.
    pub(crate) fn is_hard(&self) -> bool {
        let limit = LIMITS[usize::from(self.lines > LINES_SHORT_MAX)];
        !self.proved || self.solving > limit
    }
}

/// Classes of orders by their number of lines, and the sums of some.
const CLASSES: [(&str, usize, usize); 7] = [
    ("1", 1, 1),
    ("2-5", 2, 5),
    ("6-20", 6, 20),
    ("21-60", 21, LINES_SHORT_MAX),
    ("1-60", 1, LINES_SHORT_MAX),
    ("61+", LINES_SHORT_MAX + 1, usize::MAX),
    ("all", 1, usize::MAX),
];

fn classes(answers: &[Measured]) -> Vec<(&'static str, Vec<Measured>)> {
    let class = |(name, least, most): (&'static str, usize, usize)| {
        (name, answers.iter().filter(|answer| (least..=most).contains(&answer.lines)).copied().collect())
    };
    CLASSES.into_iter().map(class).filter(|(_, members): &(_, Vec<_>)| !members.is_empty()).collect()
}

/// How much was proved, how soon, and how far off the rest can be. `within` is without proof, the others ask for both.
pub(crate) fn proofs(maker: &str, answers: &[Measured]) -> Table {
    let row = |(name, members): (&str, Vec<Measured>)| {
        let share = |has: &dyn Fn(&Measured) -> bool| {
            decimal(100 * number(members.iter().filter(|answer| has(answer)).count()), number(members.len()), 3)
        };
        let unproved: Vec<_> = members.iter().filter(|answer| !answer.proved).collect();
        let gaps: Vec<u64> = unproved.iter().filter_map(|answer| answer.gap_ppm).collect();
        let sum: u64 = gaps.iter().sum();
        vec![
            name.to_owned(),
            members.len().to_string(),
            share(&|answer| answer.proved),
            share(&|answer| answer.proved && answer.solving <= LIMITS[0]),
            share(&|answer| answer.proved && answer.with_building <= LIMITS[0]),
            share(&|answer| answer.solving <= LIMITS[1]),
            share(&|answer| answer.with_building <= LIMITS[1]),
            unproved.len().to_string(),
            (unproved.len() - gaps.len()).to_string(),
            decimal(sum, number(gaps.len()), 0),
            gaps.iter().max().copied().unwrap_or(0).to_string(),
            decimal(sum, number(members.len()), 1),
        ]
    };
    Table {
        title: format!("{maker}: proofs by lines (shares in %, gaps in millionths of the cost)"),
        columns: vec![
            "lines",
            "orders",
            "proved",
            "proved <=5ms",
            "with building",
            "within 50ms",
            "with building",
            "unproved",
            "no gap known",
            "mean gap",
            "max gap",
            "mean of all",
        ],
        rows: classes(answers).into_iter().map(row).collect(),
    }
}

/// Times by class in microseconds: of the solver, then with stating the problem.
pub(crate) fn times(maker: &str, answers: &[Measured]) -> Table {
    let row = |(name, members): (&str, Vec<Measured>)| {
        let mut cells = vec![name.to_owned()];
        for of in [|answer: &Measured| answer.solving, |answer: &Measured| answer.with_building] {
            let mut times: Vec<Duration> = members.iter().map(of).collect();
            times.sort_unstable();
            cells.extend([50, 99, 100].map(|percent| percentile(&times, percent).as_micros().to_string()));
        }
        cells
    };
    Table {
        title: format!("{maker}: microseconds by lines"),
        columns: vec!["lines", "solve p50", "p99", "max", "with building p50", "p99", "max"],
        rows: classes(answers).into_iter().map(row).collect(),
    }
}

/// Rows of the tables of single orders.
const WORST: usize = 10;

/// The slowest orders.
pub(crate) fn slowest(maker: &str, answers: &[Measured], names: &Names) -> Table {
    let mut worst: Vec<&Measured> = answers.iter().collect();
    worst.sort_by_key(|answer| (std::cmp::Reverse(answer.solving), answer.order));
    singles(format!("{maker}: slowest orders"), &worst, names)
}

/// The orders least is known about: no gap in cost alone first, then the widest gaps.
pub(crate) fn widest(maker: &str, answers: &[Measured], names: &Names) -> Table {
    let mut worst: Vec<&Measured> = answers.iter().filter(|answer| !answer.proved).collect();
    worst.sort_by_key(|answer| (answer.gap_ppm.is_some(), std::cmp::Reverse(answer.gap_ppm), answer.order));
    singles(format!("{maker}: widest gaps"), &worst, names)
}

fn singles(title: String, answers: &[&Measured], names: &Names) -> Table {
    let row = |answer: &&Measured| {
        vec![
            names.name(answer.order.0).to_owned(),
            answer.lines.to_string(),
            answer.locations.to_string(),
            answer.solving.as_micros().to_string(),
            answer.nodes.to_string(),
            if answer.proved { "yes" } else { "no" }.to_owned(),
            answer.gap_ppm.map_or("none".to_owned(), |gap| gap.to_string()),
        ]
    };
    Table {
        title,
        columns: vec!["order", "lines", "locations", "us", "nodes", "proved", "gap ppm"],
        rows: answers.iter().take(WORST).map(row).collect(),
    }
}

/// The least time that so many percent stay at or below, of times in order.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let last = times.len().saturating_sub(1);
    times.get((times.len() * percent / 100).min(last)).copied().unwrap_or_default()
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// `part / whole` with so many decimals, cut off and not rounded: 99.99 is never shown as 100. A share of nothing is 0.
fn decimal(part: u64, whole: u64, places: u32) -> String {
    let scale = 10_u128.pow(places);
    let scaled = (u128::from(part) * scale).checked_div(u128::from(whole)).unwrap_or(0);
    if places == 0 {
        return scaled.to_string();
    }
    let digits = usize::try_from(places).unwrap_or(0);
    format!("{}.{:0digits$}", scaled / scale, scaled % scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lines: usize, proved: bool, millis: u64, gap_ppm: u64) -> Measured {
        let (solving, gap_ppm) = (Duration::from_millis(millis), Some(gap_ppm));
        let with_building = solving + Duration::from_millis(1);
        Measured { order: DocumentId(0), lines, locations: 3, proved, solving, with_building, gap_ppm, nodes: 1 }
    }

    #[test]
    fn decimals_are_cut_off() {
        assert_eq!(decimal(99_999, 1_000, 2), "99.99");
        assert_eq!(decimal(2, 3, 1), "0.6");
        assert_eq!(decimal(7, 2, 0), "3");
        assert_eq!(decimal(1, 0, 3), "0.000");
    }

    #[test]
    fn percentiles_of_few_times() {
        let times: Vec<Duration> = (1..=4).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(3));
        assert_eq!(percentile(&times, 100), Duration::from_millis(4));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn proofs_count_classes_and_limits() {
        let answers =
            [answer(1, true, 1, 0), answer(1, true, 5, 0), answer(60, false, 1, 300), answer(61, false, 51, 100)];
        let table = proofs("exact", &answers);
        let cells: Vec<String> = table.rows.iter().map(|row| row.join(" ")).collect();
        assert_eq!(cells[0], "1 2 100.000 100.000 50.000 100.000 100.000 0 0 0 0 0.0");
        assert_eq!(cells[1], "21-60 1 0.000 0.000 0.000 100.000 100.000 1 0 300 300 300.0");
        assert_eq!(cells[3], "61+ 1 0.000 0.000 0.000 0.000 0.000 1 0 100 100 100.0");
        assert_eq!(cells[4], "all 4 50.000 50.000 25.000 75.000 75.000 2 0 200 300 100.0");
        assert_eq!(answers.map(|answer| answer.is_hard()), [false, false, true, true]);
    }

    #[test]
    fn a_table_is_aligned_and_its_long_form_has_a_line_for_each_cell() {
        let rows = vec![vec!["x".to_owned(), "1".to_owned()], vec!["long".to_owned(), "234".to_owned()]];
        let table = Table { title: "t".to_owned(), columns: vec!["a", "b"], rows };
        assert_eq!(table.to_string(), "\nt\na       b\nx       1\nlong  234\n");
        let mut csv = Vec::new();
        table.write_csv(&mut csv).unwrap();
        assert_eq!(String::from_utf8(csv).unwrap(), "\"t\",\"x\",b,1\n\"t\",\"long\",b,234\n");
    }
}
